"""Divide a lot by what is known of its items, so that what is promised holds for each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hyla.codec import Packed
from hyla.errors import ConfigError, did_you_mean
from hyla.schema import Schema
from hyla.types import Ints, Kind

UNKNOWN = "unknown"
MIXED = "mixed"
DECLARED = "declared"
_SPECIAL = ("class", "group", "kind")
MOST = 1000  # parts; with more, nothing could be promised of any
_TRUE = {True: "true", False: "false"}


def spread(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of an item with the groups that were declared of it, each under its own name.

    They stand in `declared` as pairs with commas, `site=north,entrance=staff`: what somebody wrote down about where a picture is
    from. A key that the item has itself is not overwritten.
    """
    text = known.get(DECLARED)
    pairs = (pair.partition("=") for pair in text.split(",")) if isinstance(text, str) else ()
    declared = {name.strip(): value.strip() for name, _, value in pairs if name.strip() and value.strip()}
    return {**declared, **known}


class Strata:
    """Gather the strata of items, one after another.

    Args:
        keys: `class`, `group`, `kind`, any key of the items' meta or of the context of their labels, or a declared group. An item
            without it is in the stratum `unknown`; a unit of several items of different strata in `mixed`. `class` is that of the
            surest tag.
        schema: that the labels are of.
    """

    def __init__(self, keys: Sequence[str], schema: Schema) -> None:
        self.keys, self._names = tuple(dict.fromkeys(keys)), schema.names
        self._seen: set[str] = set()  # keys that some item has
        self._found: set[str] = set()  # of those asked for, the ones that some item has
        self._numbers: dict[tuple[str, ...], int] = {}
        self._of: list[int] = []

    def add(self, group: str, kind: str, meta: Callable[[], Mapping[str, Any]], machine: Packed) -> None:
        """Take the next item: its group and kind, what gives its meta, and the machine's labels."""
        if not self.keys:
            self._of.append(0)
            return
        known = spread({**machine.context, **meta()})
        self._seen.update(known)
        known |= {"group": group, "kind": kind, "class": self._class(machine)}
        value = tuple(self._value(key, known.get(key)) for key in self.keys)
        self._of.append(self._numbers.setdefault(value, len(self._numbers)))

    def units(self, unit: Ints) -> tuple[Ints, tuple[str, ...]]:
        """Return the stratum (m,) of each unit and the names of the strata, sorted, for the unit (n,) of each item.

        Raises:
            ConfigError: for a key that no item has, or one that would give more than 1,000 strata.
        """
        if not self.keys:
            return np.zeros(int(unit.max()) + 1, dtype=np.int64), ("",)
        choices = sorted(self._seen | set(_SPECIAL))
        for key in self.keys:
            if key not in self._found:
                raise ConfigError(
                    f"no item has {key!r}, so that the lot can't be divided by it", did_you_mean(key, choices), choices
                )
        if len(self._numbers) > MOST:
            raise ConfigError(
                f"{', '.join(self.keys)} would divide the lot into {len(self._numbers)} parts",
                "divide by what has few values: a site, a camera, the weather",
            )
        names = {number: _name(self.keys, value) for value, number in self._numbers.items()}
        of = np.array(self._of)
        low, high = np.full(int(unit.max()) + 1, len(names)), np.full(int(unit.max()) + 1, -1)
        np.minimum.at(low, unit, of)
        np.maximum.at(high, unit, of)
        said = [
            names[a] if a == b else _name(self.keys, (MIXED,) * len(self.keys))
            for a, b in zip(low.tolist(), high.tolist(), strict=True)
        ]
        strata = sorted(set(said))
        place = {name: i for i, name in enumerate(strata)}
        return np.array([place[name] for name in said], dtype=np.int64), tuple(strata)

    def _value(self, key: str, value: Any) -> str:
        if value is None or value == "" or value != value:
            return UNKNOWN
        self._found.add(key)
        return _TRUE[value] if isinstance(value, bool) else str(value)

    def _class(self, machine: Packed) -> str:
        kind, score = np.frombuffer(machine.kind, "|u1"), np.frombuffer(machine.score, "<f8")
        tags = np.flatnonzero(kind == Kind.TAG)
        return self._names[np.frombuffer(machine.class_id, "<i8")[tags[np.argmax(score[tags])]]] if len(tags) else ""


def _name(keys: Sequence[str], values: Sequence[str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
