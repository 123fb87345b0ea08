"""Find files of weights, which are never downloaded, say which file it was, and how the network in it is made."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from hyla.errors import ConfigError

if TYPE_CHECKING:
    from hyla.pictures import Pictures
    from hyla.types import Image, Labels, Record

Spec = TypeVar("Spec")
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


def provenance(kind: str, path: Path | None, seed: int) -> dict[str, str]:
    """Return the name and digest of a model whose weights are in `path`, or random by `seed` if that is None."""
    name = "random weights" if path is None else path.stem
    return {"name": f"{kind} ({name})", "digest": f"random, seed {seed}" if path is None else digest(path)}


def read_spec(cls: type[Spec], path: Path) -> Spec:
    """Return what the JSON file beside weights says under `spec`, as a dataclass; figures of the training are passed over.

    Raises:
        ConfigError: if it is not there, or says not how the network is made.
    """
    try:
        values = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        known = {one.name for one in fields(cls)}  # type: ignore[arg-type]
        return msgspec.convert({key: value for key, value in values["spec"].items() if key in known}, cls)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path.name} is not beside the weights", "it says how the network is made: keep the two together"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path.name} says not how the network is made: {error}") from error


def examples(records: Iterable[Record], pictures: Pictures | None) -> Iterator[tuple[Image, Labels]]:
    """Return each picture with its labels, for training.

    Raises:
        ConfigError: where a model was not given `pictures`, which read what records only name.
    """
    if pictures is None:
        raise ConfigError(
            "the model can't be trained: records hold labels only, and nothing reads their pictures", "give it pictures"
        )
    return ((pictures.original(record.item), record.labels) for record in records)


def _near(name: str, places: Sequence[Path]) -> list[str]:
    """Return the files of `places` with a name like `name`, five at most."""
    there = {one.name for place in places if place.is_dir() for one in place.iterdir() if one.is_file()}
    return get_close_matches(name, sorted(there), n=5)
