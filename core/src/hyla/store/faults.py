"""Say in plain words what SQLite complained of. Nothing here needs SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hyla.errors import StoreError

DATABASE = "project.db"
FORMAT = 5  # of the project folder; raised when an older Hyla could no longer read it

# A part of SQLite's message -> what it means for {path}, what to do.
_MEANINGS = (
    ("disk is full", "no space left for {path}", "nothing stored is lost; free space and run again"),
    (
        "disk i/o error",
        "{path} could not be written: the disk is full, over quota or failing",
        "nothing stored is lost; free space and run again",
    ),
    ("readonly database", "{path} is read-only", "make the folder writable, or work on a copy of it"),
    ("unable to open database", "{path} can't be opened", "is the folder there, and may you write to it?"),
    (
        "is locked",
        "{path} is in use by another program that does not let go",
        "wait until it has finished, and try again",
    ),
    ("not a database", "{path} is not a project of Hyla", "give the folder of a project: the out= of a run"),
    ("malformed", "{path} is damaged", "copy it from a backup; `sqlite3 project.db .recover` may save what is readable"),
)


def no_project(folder: Path) -> StoreError:
    """Return the error for a folder that is no project."""
    return StoreError(f"{folder} is not a project of Hyla", "give the folder of a project: the out= of a run")


def check_format(folder: Path, found: int) -> None:
    """Raise StoreError if the project in `folder`, of format `found`, is of another format than this Hyla reads."""
    if found != FORMAT:
        hint = "install the Hyla that wrote it, or a newer one" if found > FORMAT else "run again into a new folder: out=DIR"
        raise StoreError(f"{folder} is a project of format {found}, and this Hyla reads format {FORMAT}", hint)


def explain(error: BaseException, path: Path) -> StoreError:
    """Return what `error`, of SQLite or the system, means for the database at `path`."""
    words = str(error).lower()
    for part, what, hint in _MEANINGS:
        if part in words:
            return StoreError(what.format(path=path), hint)
    if isinstance(error, OSError):
        return StoreError(f"{path} can't be written: {error.strerror or error}", "give a folder that you may write to: out=DIR")
    return StoreError(f"{path}: {error}", "run `hyla verify` on the project")


@contextmanager
def system_errors(path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError about `path`."""
    try:
        yield
    except OSError as e:
        raise explain(e, path) from e
