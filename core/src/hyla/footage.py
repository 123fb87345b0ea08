"""Find the files that go with deleted items, and remove them: nothing outside of the source and the project, whatever links say.

A file is named as `source:URI`, or as a path in the folder of the project.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from hyla.errors import BadItem
from hyla.images import EXTENSIONS, beside, inside
from hyla.store import Project
from hyla.store.dated import Dated

RECORDINGS = "recordings"  # folder of the project in which a live run keeps what it saw
DRAWN = "pictures"  # folder of the project in which `hyla draw` writes
SOURCE = "source:"


def files_of(
    project: Project, going: Sequence[Dated], group: str, whole: bool, uses: Mapping[str, int]
) -> tuple[list[str], list[str]]:
    """Return what Hyla itself made of items that go, and the files of the source of which nothing is left then.

    A file that items tell of goes with the last of them, but those of a clip go together.

    Args:
        project: of the items.
        going: the items.
        group: the clip that they are of; empty for items that stand alone.
        whole: nothing is left of the clip.
        uses: uri -> how many items are of it once these went.
    """
    made, sources = list[str](), dict[str, None]()
    for uri in dict.fromkeys(one.uri for one in going if not uses[one.uri]):
        if size_of(project, recorded := f"{RECORDINGS}/{uri}") is not None:
            made.append(recorded)
        elif whole and "://" not in project.source():
            some = [uri, *(_between(Path(project.source()), uri, uses) if group else ())]
            sources |= dict.fromkeys(name for one in some if size_of(project, name := f"{SOURCE}{one}") is not None)
    made += [name for one in going if size_of(project, name := f"{DRAWN}/{one.id}.jpg") is not None]
    return made, list(sources)


def remove(project: Project, names: Iterable[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Remove files, and return those that are gone with their bytes, and those that are left with the reason."""
    gone, left = dict[str, int](), dict[str, str]()
    for name in names:
        try:
            path = _path(project, name)
            size = path.stat().st_size if path.exists() else 0
            path.unlink(missing_ok=True)
        except (OSError, BadItem) as error:
            left[name] = getattr(error, "strerror", None) or str(error)
        else:
            gone[name] = size
    return gone, left


def size_of(project: Project, name: str) -> int | None:
    """Return the bytes of a file; None if there is none that may be removed."""
    try:
        path = _path(project, name)
        return path.stat().st_size if path.is_file() else None
    except (OSError, BadItem):
        return None


def uri_of(name: str) -> str:
    """Return the uri of a file of the source."""
    return name.removeprefix(SOURCE)


def _between(root: Path, uri: str, uses: Mapping[str, int]) -> list[str]:
    """Return the pictures beside one of a sequence, unless another item is of that folder.

    Those between the labelled ones show the same people, and would be labelled by the next run.
    """
    if not root.is_dir() or PurePosixPath(uri).suffix.lower() not in EXTENSIONS:
        return []
    try:
        names = beside(root.resolve(), uri, frozenset(EXTENSIONS))
    except OSError:
        return []
    found = [str(PurePosixPath(uri).with_name(name)) for name in names]
    return [] if any(uses[one] for one in found) else found


def _path(project: Project, name: str) -> Path:
    """Return where a file is; raise BadItem if it lies neither in the source nor in the project."""
    root = Path(project.source()) if name.startswith(SOURCE) else project.path
    root = (root if root.is_dir() else root.parent).resolve()
    inside(root, uri_of(name))
    return root / uri_of(name)  # of a link, the link itself goes and not what it leads to
