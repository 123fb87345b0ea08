"""Find what lies beside photos: the catalogue, the planogram, pictures of known products."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hyla.errors import ConfigError

AUTO = "auto"
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")


def find(setting: str | None, source: str, stem: str, extensions: Sequence[str]) -> Path | None:
    """Return the file that a setting names, or the folder if `extensions` is empty; None if there is none.

    Args:
        setting: `auto` for the file `stem` with one of `extensions`, in any case, in the source; a path, relative to the source
            if it is there, else to the working folder; None for none.
        source: of the run: a folder, or a file, beside which is looked.
        stem: the name without extension that `auto` looks for; several with | between them, of which the first found is taken.
        extensions: that `auto` looks for, with the dot, the first found is taken; empty for a folder, which may be a link.

    Raises:
        ConfigError: if what the setting names is not there.
    """
    if not setting:
        return None
    root = folder(source)
    if setting == AUTO:
        return _named(root, stem, extensions) if root is not None else None
    path = Path(setting).expanduser()
    kind = stem.split("|")[0]
    try:
        for one in (path,) if path.is_absolute() or root is None else (root / path, path):
            if one.is_file() if extensions else one.is_dir():
                return one.resolve()
        where = "is not there" if not path.exists() else "is no file" if extensions else "is no folder"
    except (OSError, ValueError) as error:  # a name that no file can have
        where = f"can't be looked for: {error}"
    raise ConfigError(f"{kind}={setting} {where}", f"give a path, {kind}=auto to look beside the photos, or {kind}=null")


def table(source: str) -> Path | None:
    """Return the resolved path of a source that is a table; None of anything else."""
    if not source or "://" in source or not source.lower().endswith(TABLES):
        return None
    path = Path(source).expanduser().resolve()
    return path if path.is_file() else None


def folder(source: str) -> Path | None:
    """Return the resolved folder of a source on this machine: itself, or that of a file; None of anything else."""
    if not source or "://" in source:
        return None
    path = Path(source).expanduser().resolve()
    return path if path.is_dir() else path.parent if path.is_file() else None


def _named(root: Path, stem: str, extensions: Sequence[str]) -> Path | None:
    stems = stem.split("|")
    wanted = [f"{one}{end}" for one in stems for end in extensions] if extensions else stems
    with os.scandir(root) as entries:  # a source may hold a million photos, so that only names are looked at
        there = sorted(
            (entry.name for entry in entries if entry.name.lower() in wanted), key=lambda name: (wanted.index(name.lower()), name)
        )
    for path in (root / name for name in there):
        if path.is_file() if extensions else path.is_dir():
            return path if extensions else path.resolve()  # of a linked folder, that which it leads to
    return None
