"""Find files of weights, which are never downloaded, and say which file it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from hyla.errors import ConfigError

VARIABLE = "HYLA_WEIGHTS"
HINT = f"give weights=/path/to/file or weights_dir=FOLDER (environment {VARIABLE}), or choose a model= that needs none"


def find(name: str | Path, weights_dir: str | Path | None = None) -> Path:
    """Return the absolute path of a file of weights.

    A name with a folder in it (`./best.pt`, `/data/best.pt`, `~/best.pt`) is that file. A bare name (`yolov8n.pt`) is searched
    for in `weights_dir`, then in the folder that the environment variable HYLA_WEIGHTS names, and nowhere else.

    Raises:
        ConfigError: when there is no such file, naming the folders searched and the files there with a similar name.
    """
    given = Path(name).expanduser()
    if not str(name):
        raise ConfigError("the name of the weights is empty", HINT)
    if given.name != str(name):
        places = [given.parent]
    else:
        places = [Path(one).expanduser() for one in (weights_dir, os.environ.get(VARIABLE)) if one]
    for place in places:
        if (place / given.name).is_file():
            return (place / given.name).resolve()
    where = ", ".join(map(str, places)) or f"any folder: neither weights_dir nor {VARIABLE} is set"
    hint = HINT
    if given.name == str(name) and given.is_file():
        hint = f"there is one in the current folder: give weights=./{given.name}, or {HINT.removeprefix('give ')}"
    raise ConfigError(f"model needs weights {str(name)!r}: no such file in {where}", hint, _near(given.name, places))


def digest(path: str | Path) -> str:
    """Return the sha256 of a file in hexadecimal, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _near(name: str, places: Sequence[Path]) -> list[str]:
    """Return the files of `places` with a name like `name`, five at most."""
    there = {one.name for place in places if place.is_dir() for one in place.iterdir() if one.is_file()}
    return get_close_matches(name, sorted(there), n=5)
