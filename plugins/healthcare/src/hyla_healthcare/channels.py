"""Match what a network calls its channels with the classes of a schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hyla.errors import ConfigError, did_you_mean
from hyla.schema import Schema

NOTHING = ("background", "other", "others", "everything_else", "unlabeled", "unlabelled", "none", "ignore")


def channels_of(
    schema: Schema, names: Mapping[int, str], classes: Mapping[Any, str | None], drop_unknown: bool = False
) -> dict[int, str]:
    """Return channel -> class of the schema, for a network that names its channels.

    Args:
        schema: of the project.
        names: channel -> the network's own name: "Left kidney", "tumor"; that of the background is left out.
        classes: channel or own name -> class of the schema, or None to drop it; goes before what the names say.
        drop_unknown: leave out names that the schema does not know.

    Raises:
        ConfigError: for a name that is no class of the schema, and for a key of `classes` that is no channel.
    """
    given = {_words(str(key)): value for key, value in classes.items()}
    keys = {_words(str(one)) for pair in names.items() for one in pair}
    for key in given.keys() - keys:
        if not key.isdecimal():
            raise ConfigError(f"classes names {key!r}, which the network does not", did_you_mean(key, keys), names.values())
    real = {one.name for one in schema.classes if not one.abstract}
    known = {_words(name): name for name in real}
    found: dict[int, str] = {}
    unknown = []
    for channel, own in {**{int(key): key for key in given if key.isdecimal()}, **names}.items():
        word = _words(str(own))
        chosen = given.get(str(channel), given.get(word, ""))
        if chosen is None or (not chosen and word in NOTHING):
            continue
        name = chosen or known.get(word, "")
        if name in real:
            found[channel] = name
        elif chosen or not drop_unknown:
            unknown.append(f"{channel}: {chosen or own}")
    if unknown:
        raise ConfigError(
            f"schema {schema.name!r} has no class for {', '.join(unknown[:8])}{' ...' if len(unknown) > 8 else ''}",
            "say which it is, or null to drop it: classes={1: spleen, 2: null}; drop_unknown=true drops all of them",
            real,
        )
    if not found:
        raise ConfigError("no class of the network is in the schema", "classes={1: spleen} says which channel is what", real)
    return found


def _words(name: str) -> str:
    """Return a name as the schema's classes are written: `Left kidney` as `kidney_left`, tumor as tumour."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    sides = [word for word in words if word in ("left", "right")]
    rest = ["tumour" if word == "tumor" else word for word in words if word not in ("left", "right")]
    return "_".join([*rest, *sides])
