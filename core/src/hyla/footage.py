"""Find the files that go with deleted items, and remove them: nothing outside of their folders, whatever links and names say.

A file is named as `source:URI`, or as a path in the folder of the project: only `recordings` and `pictures`. The folder of
recordings need not be Hyla's alone: it, or a folder around it, may be a source itself, and several projects may link to one disk.
So Hyla calls its own only what has the names that it gives, where the source does not lie in the same folder.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from hyla.errors import BadItem, ConfigError
from hyla.images import EXTENSIONS, beside, inside
from hyla.store import Project
from hyla.store.dated import Dated
from hyla.store.lock import running
from hyla.store.retention_log import Event

RECORDINGS = "recordings"  # folder of the project in which a live run keeps what it saw
RECORDED = re.compile(r"([\w.-]+/\d{8}T\d{6}\.\d{3}Z)/\d{4,}\.ts")  # a file in it: CAMERA/SESSION, which is the clip, and a count
DRAWN = "pictures"  # folder of the project in which `hyla draw` writes
SOURCE = "source:"
REPLACED = "another file has this name now"
AWAY = (
    "it is not there, nor is the file system that it was on: mount that; or, if the file is gone for good, "
    "put an empty one in its place and call again"
)


@dataclass
class Removed:
    """Hold what became of files: gone -> bytes, None if it was gone already; left -> why; replaced by others of their names."""

    gone: dict[str, int | None] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    replaced: list[str] = field(default_factory=list)


def check_source(project: Project) -> None:
    """Raise ConfigError if the source is not there, so that nobody can tell which of its files are.

    A source that is one file is not there once its deletion was asked for, and nobody needs one of which all is gone.
    """
    if not _missing(project):
        return
    name = f"{SOURCE}{_source(project).name}"
    deletions = [one for one in project.retention() if one.kind == "delete"]
    named = [one for one in deletions if name in (*one.body["files"], *one.body.get("kept", ()))]
    if named and not _missing(project, name) and not _away(project, named[-1], name):
        return
    if next(project.dated(), None) or project.unswept() or project.unswept(kept=True):
        raise ConfigError(f"the source {project.source()} is not there", "mount it, or call without --footage: it may go later")


def files_of(
    project: Project, going: Sequence[Dated], group: str, whole: bool, uses: Mapping[str, int]
) -> tuple[list[str], list[str]]:
    """Return what Hyla itself made of items that go, and the files of the source of which nothing is left then.

    A file that items tell of goes with the last of them, but those of a clip go together. Those of the source are named whether
    they are there just now or not.

    Args:
        project: of the items.
        going: the items.
        group: the clip that they are of; empty for items that stand alone.
        whole: nothing is left of the clip.
        uses: uri -> how many items are of it once these went; below 0 if some were stored meanwhile.
    """
    made, sources = dict[str, None](), dict[str, None]()
    for uri, clip in {one.uri: one.group for one in going if uses[one.uri] <= 0}.items():
        if _session(project, uri) == clip and size_of(project, recorded := f"{RECORDINGS}/{uri}") is not None:
            made[recorded] = None
        elif whole and _local(project) and _allowed(project, name := f"{SOURCE}{uri}"):
            sources[name] = None
    if whole and group and (project.group_done(group) or not running(project.path)):  # else frames may be on their way
        made |= dict.fromkeys(name for name in _recorded(project, group) if uses[uri_of(name)] <= 0)
    if sources and group:
        sources |= dict.fromkeys(f"{SOURCE}{uri}" for uri in _between(project, going, uses))
    made |= dict.fromkeys(name for one in going if size_of(project, name := f"{DRAWN}/{one.id}.jpg") is not None)
    return list(made), list(sources)


def orphans(project: Project, groups: Collection[str], uses: Mapping[str, int], before: float) -> list[str]:
    """Return recordings that no item is of: the run was killed before it stored what it had recorded.

    None where they may be somebody else's: if the folder of recordings is a link out of the project, which others may share, or
    the source lies in it or around it, so that what was not labelled may be still to be.

    Args:
        project: with the recordings.
        groups: of the items that there are.
        uses: uri -> how many items are of it.
        before: when the run that goes on began, in seconds since 1970: what was written since is its own.
    """
    root = (project.path / RECORDINGS).resolve()
    around = _local(project) and root.is_relative_to(_source(project))
    if around or _within(project) or not root.is_relative_to(project.path.resolve()):
        return []
    found = []
    for path in sorted(root.rglob("*.ts")) if root.is_dir() else ():  # links to folders are not followed
        uri = path.relative_to(root).as_posix()
        named = RECORDED.fullmatch(uri)
        if named is None or named[1] in groups or path.is_symlink() or not path.is_file():
            continue
        mark = _mark(project, name := f"{RECORDINGS}/{uri}")
        if mark is not None and mark[1] < before * 1e9 and uses[uri] <= 0:
            found.append(name)
    return found


def of_source(project: Project, part: Iterable[Dated]) -> bool:
    """Tell whether frames of a clip were read from files of the source, which may show more than was labelled yet."""
    if not _local(project):
        return False
    uris = {one.uri for one in part if _session(project, one.uri) != one.group}
    return bool(uris) and (_missing(project) or any(size_of(project, f"{SOURCE}{uri}") is not None for uri in uris))


def ready(project: Project, name: str, hours: float | None, clock: float) -> bool:
    """Tell whether a file is there, and all that it shows may go.

    Args:
        project: of the file.
        name: of the file.
        hours: for which it may be kept, of a clip that was not labelled to its end: nobody knows how old the rest is, but that it
            was taken before the file last changed, or came to this place with a time of change of its own. None for others.
        clock: seconds since 1970.
    """
    try:
        path = _path(project, name)
        about = path.stat()
        return path.is_file() and (hours is None or max(about.st_mtime, about.st_ctime) + hours * 3600 <= clock)
    except (OSError, BadItem):
        return False


def facts(project: Project, names: Collection[str]) -> dict[str, Any]:
    """Return what a deletion must know of its files later: the `marks` of those that are there, and the `devices` they are on.

    An unmounted folder is there, and empty: only its device tells that a file in it isn't gone.
    """
    found = marks(project, names)
    folders = {_folder(name): name for name in found if name.startswith(SOURCE)}
    devices = {folder: number for folder, name in folders.items() if (number := _device(project, name)) is not None}
    return {"marks": {name: list(mark) for name, mark in found.items()}, "devices": devices}


def marks(project: Project, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return of the files that are there the bytes and, in nanoseconds since 1970, the last change."""
    return {name: mark for name in names if (mark := _mark(project, name)) is not None}


def same(project: Project, event: Event, name: str) -> bool:
    """Tell whether a file is there, and the one that a deletion meant: as it was then; older, if it was not there."""
    mark, known = _mark(project, name), event.body.get("marks", {}).get(name)
    if mark is None or known is not None:
        return mark is not None and list(mark) == list(known)
    return mark[1] <= datetime.fromisoformat(event.at).timestamp() * 1e9


def remove(project: Project, event: Event, names: Iterable[str]) -> Removed:
    """Remove files of a deletion, but none that has the name of one now and is another."""
    done = Removed()
    for name in names:
        try:
            path = _path(project, name)
            size = path.stat().st_size if path.exists() else None
            there = _mark(project, name) is not None
            if name.startswith(SOURCE) and _missing(project, name):
                done.left[name] = "the source is not there"
            elif name.startswith(SOURCE) and not there and _away(project, event, name):
                done.left[name] = AWAY
            elif there and not same(project, event, name):
                done.replaced.append(name)
            else:
                path.unlink(missing_ok=True)
                done.gone[name] = size
        except (OSError, BadItem) as error:
            done.left[name] = getattr(error, "strerror", None) or str(error)
    return done


def size_of(project: Project, name: str) -> int | None:
    """Return the bytes of a file; None if there is none that may be removed."""
    try:
        path = _path(project, name)
        return path.stat().st_size if path.is_file() else None
    except (OSError, BadItem):
        return None


def uri_of(name: str) -> str:
    """Return the uri of a file of the source, or of one that was recorded."""
    return name.removeprefix(SOURCE) if name.startswith(SOURCE) else name.removeprefix(f"{RECORDINGS}/")


def _recorded(project: Project, group: str) -> list[str]:
    """Return the files that were recorded of a clip."""
    try:
        folder = _path(project, f"{RECORDINGS}/{group}")
        found = [path.name for path in sorted(folder.iterdir()) if path.is_file()]
        return [f"{RECORDINGS}/{group}/{name}" for name in found if _session(project, f"{group}/{name}") == group]
    except (OSError, BadItem):
        return []


def _between(project: Project, going: Sequence[Dated], uses: Mapping[str, int]) -> list[str]:
    """Return the pictures between the labelled ones of a sequence, unless another item is of that folder.

    They show the same people, and would be labelled by the next run. Those after the last, and those that changed since the clip
    was labelled, are new: nobody labelled them yet.
    """
    root, folders = _root(project, SOURCE), defaultdict[str, list[str]](list)
    for one in going:
        place = PurePosixPath(one.uri)
        if place.suffix.lower() in EXTENSIONS and _allowed(project, f"{SOURCE}{one.uri}"):
            folders[str(place.parent)].append(place.name)
    since = max(one.labelled for one in going)
    found = list[str]()
    for folder, labelled in folders.items():
        try:
            names = beside(root, f"{folder}/{labelled[0]}", frozenset(EXTENSIONS)) if root.is_dir() else []
            if not any(uses[str(PurePosixPath(folder, name))] > 0 for name in names):
                names = [name for name in names if min(labelled) < name < max(labelled)]
                names = [name for name in names if (root / folder / name).stat().st_mtime <= since]
                found += [str(PurePosixPath(folder, name)) for name in names]
        except OSError:
            continue
    return found


def _mark(project: Project, name: str) -> tuple[int, int] | None:
    try:
        about = _path(project, name).lstat()
    except (OSError, BadItem):
        return None
    return about.st_size, about.st_mtime_ns


def _local(project: Project) -> bool:
    return "://" not in project.source()


def _source(project: Project) -> Path:
    return Path(project.source()).expanduser().resolve()


def _session(project: Project, uri: str) -> str | None:
    """Return the clip that a file of this name was recorded of; None for other names, and where recordings are the source."""
    named = RECORDED.fullmatch(uri)
    return None if named is None or _within(project) else named[1]


def _within(project: Project) -> bool:
    """Tell whether the source is the folder of recordings, or lies in it."""
    return _local(project) and _source(project).is_relative_to((project.path / RECORDINGS).resolve())


def _missing(project: Project, name: str = SOURCE) -> bool:
    return _local(project) and not _root(project, name).is_dir()


def _away(project: Project, event: Event, name: str) -> bool:
    """Tell whether a folder is on another device than when a deletion was written down; earlier versions didn't note it."""
    known = event.body.get("devices", {}).get(_folder(name))
    return known is not None and known != _device(project, name)


def _folder(name: str) -> str:
    return str(PurePosixPath(uri_of(name)).parent)


def _device(project: Project, name: str) -> int | None:
    """Return the device of the folder that a file of the source is in or, if that is gone, of the next one above it."""
    root = _root(project, name)
    folder = root / _folder(name)
    while folder != root and not folder.is_dir():
        folder = folder.parent
    return folder.stat().st_dev if folder.is_dir() else None


def _allowed(project: Project, name: str) -> bool:
    try:
        _path(project, name)
    except BadItem:
        return False
    return True


def _root(project: Project, name: str) -> Path:
    """Return the folder that a file may be in; raise BadItem if there is no such folder."""
    if not name.startswith(SOURCE):
        folder = name.partition("/")[0]
        if folder not in (RECORDINGS, DRAWN):
            raise BadItem(f"{name} is no file that goes with an item")
        return (project.path / folder).resolve()
    source = _source(project)
    # A source that was one file is gone with it; no item is named like the folder that it is in.
    alone = source.is_file() or (name == f"{SOURCE}{source.name}" and source.suffix and not source.exists())
    return source.parent if alone else source


def _path(project: Project, name: str) -> Path:
    """Return where a file is; raise BadItem if it lies neither in the source nor in a folder that Hyla writes pictures into."""
    root = _root(project, name)
    rest = PurePosixPath(name.removeprefix(SOURCE) if name.startswith(SOURCE) else name.partition("/")[2])
    if rest.is_absolute() or ".." in rest.parts or not rest.parts:
        raise BadItem(f"{name} lies outside of its folder")
    inside(root, str(rest))
    return root / rest  # of a link, the link itself goes and not what it leads to
