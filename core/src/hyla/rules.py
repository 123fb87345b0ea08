"""What review rules share: classes of the schema as tables, flags over rows, and what is known of a label or an item.

A rule of a plugin inherits `SchemaRule` and writes `check`. It looks at all labels at once, and remembers nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.hooks import Rule, hookimpl
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Item, Labels, Severity

Classes = Mapping[str, float | None]


class SchemaRule(Rule):
    """Hold what a rule is given: the schema, its name in the config, and what its flags ask for.

    Raises:
        ConfigError: for an unknown severity, or a setting that names a class which the schema does not have.
    """

    def __init__(self, schema: Schema, name: str, severity: str = "review") -> None:
        if severity not in list(Severity):
            raise ConfigError(f"rules.{name}.severity is {severity!r}", choices=list(Severity))
        self.schema = schema
        self.name = name
        self.severity = Severity(severity)

    def table(self, *names: str) -> Bools:
        """Return (number of classes,) True for the named classes and all below them; a class the schema lacks is passed over."""
        found = np.zeros(len(self.schema.classes), dtype=bool)
        found[self.schema.under(*names)] = True
        return found

    def chosen(self, names: Sequence[str]) -> Bools:
        """Return `table` of names from a setting, which must exist."""
        for name in names:
            self.schema.class_id(name)
        return self.table(*names)

    def per_class(self, default: float, values: Classes | None) -> Floats:
        """Return (number of classes,) values of a setting by class: a name counts for all below it, unless they have their own.

        A value of None takes an entry out again.
        """
        given = {name: value for name, value in (values or {}).items() if value is not None}
        out = np.full(len(self.schema.classes), float(default))
        for name in sorted(given, key=self._depth):
            out[self.schema.under(name)] = given[name]
        return out

    def ranges(self, given: Mapping[str, Sequence[float] | None] | None) -> tuple[Floats, Floats]:
        """Return the least and the most (number of classes,) of a setting that gives a pair by class; infinite where it does not.

        Raises:
            ConfigError: for what is no pair in ascending order.
        """
        pairs = {name: pair for name, pair in (given or {}).items() if pair is not None}
        for name, pair in pairs.items():
            if len(pair) != 2 or not pair[0] <= pair[1]:
                raise ConfigError(f"rules.{self.name}.ranges.{name} must be [least, most], got {list(pair)}")
        least = self.per_class(-np.inf, {name: pair[0] for name, pair in pairs.items()})
        return least, self.per_class(np.inf, {name: pair[1] for name, pair in pairs.items()})

    def flags(self, reason: str, rows: Bools, message: str) -> list[Flag]:
        """Return one flag for the rows of a mask (n,), or none if no row is in it."""
        found = np.flatnonzero(rows).tolist()
        return [Flag(self.name, reason, self.severity, tuple(found), message)] if found else []

    def whole(self, reason: str, message: str) -> list[Flag]:
        """Return one flag for the item as a whole."""
        return [Flag(self.name, reason, self.severity, (), message)]

    def _depth(self, name: str) -> int:
        depth, one = 0, self.schema.classes[self.schema.class_id(name)]
        while one.parent:
            depth, one = depth + 1, self.schema.classes[self.schema.ids[one.parent]]
        return depth


class LowScore(SchemaRule):
    """Send labels with a low score to review.

    Args:
        threshold: score from 0 to 1 below which a label is flagged; 0.5.
        classes: thresholds of single classes with all below them.
    """

    def __init__(
        self, schema: Schema, name: str, threshold: float = 0.5, classes: Classes | None = None, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.limit = self.per_class(threshold, classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows below the threshold of their class."""
        limit = self.limit[labels.class_id]
        low = labels.score < limit
        return self.flags("low_score", low, lowest(labels, low, limit, "score too low for their class"))


def lowest(labels: Labels, low: Bools, limit: Floats, what: str) -> str:
    """Return a message about the rows of mask `low`, naming the score (n,) furthest under its limit (n,)."""
    if not low.any():
        return ""
    row = int(np.argmin(np.where(low, labels.score - limit, np.inf)))
    return f"{low.sum()} label(s), {what}: {labels.score[row]:.2f} where {limit[row]:.2f} is asked for"


def evidence(labels: Labels, name: str) -> Floats:
    """Return what the model knew (n,), NaN where it is not known."""
    column = np.asarray(labels.evidence.get(name, np.full(len(labels), np.nan)), dtype=np.float64)
    return np.where(np.isfinite(column), column, np.nan)


def number(labels: Labels, name: str) -> Floats:
    """Return an attribute that is a number (n,), NaN where it is not known."""
    column = labels.attributes.get(name)
    if column is None or column.dtype == object:
        return np.full(len(labels), np.nan)
    return np.where(np.isfinite(column), column, np.nan)


def fact(item: Item, labels: Labels, name: str) -> Any:
    """Return what is known of the image as a whole, from the loader or else the image attributes; None if nothing is."""
    value = item.meta.get(name)
    return labels.context.get(name) if value is None else value


def draw(item_id: str) -> float:
    """Return a number from 0 to 1 that is the same for this item on every machine, for drawing a share of the items."""
    return int.from_bytes(sha256(item_id.encode()).digest()[:8], "big") / 2**64
