"""Review rules about use, certainty and who must look, and what all rules of this plugin share.

Each rule looks at all labels of an item at once, remembers nothing, and can be changed or left out by name. It judges from what
the loader and the model measured (`Item.meta`, attributes, evidence), never from pixels, and is silent where that is not known.
Each takes `severity`: what its flags ask for (note, review, human, second, reject). Messages hold values and limits, and nothing
out of a header.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.geometry import shape_iou
from hyla.hooks import Rule, hookimpl
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Ints, Item, Kind, Labels, Severity

ORGANS = (
    *("lung", "heart", "aorta", "inferior_vena_cava", "liver", "spleen", "kidney", "pancreas", "stomach", "gallbladder"),
    *("adrenal_left", "adrenal_right", "bladder", "brain"),
)
PURPOSES = ("clinical", "research")
Classes = Mapping[str, float | None]


class HealthcareRule(Rule):
    """Hold what each rule of this plugin is given: the schema, its name in the config, and what its flags ask for.

    Raises:
        ConfigError: for an unknown severity, or a setting that names a class which the schema does not have.
    """

    def __init__(self, schema: Schema, name: str, severity: str = "review") -> None:
        if severity not in list(Severity):
            raise ConfigError(f"rules.{name}.severity is {severity!r}", choices=list(Severity))
        self.schema = schema
        self.name = name
        self.severity = Severity(severity)

    def chosen(self, names: Sequence[str]) -> Bools:
        """Return (number of classes,) True for the classes of a setting, which must exist, and all below them."""
        for name in names:
            self.schema.class_id(name)
        found = np.zeros(len(self.schema.classes), dtype=bool)
        found[self.schema.under(*names)] = True
        return found

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


def is_ct(item: Item, labels: Labels) -> bool:
    """Tell whether the pixels are known to be HU."""
    return fact(item, labels, "modality") == "CT" or item.meta.get("unit") == "HU"


def draw(item_id: str) -> float:
    """Return a number from 0 to 1 that is the same for this item on every machine."""
    return int.from_bytes(sha256(item_id.encode()).digest()[:8], "big") / 2**64


class ClinicalUse(HealthcareRule):
    """Send every item to a person: no draft may be used on patients unless somebody entitled to it has looked.

    Args:
        purpose: clinical, or research, which silences this rule; `default=accept` is needed besides before anything is accepted.
    """

    def __init__(self, schema: Schema, name: str, purpose: str = "clinical", severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        if purpose not in PURPOSES:
            raise ConfigError(f"rules.{name}.purpose is {purpose!r}", choices=PURPOSES)
        self.purpose = purpose

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item."""
        return self.whole("clinical_use", "clinical use: a person looks at every item") if self.purpose == "clinical" else []


class LowScore(HealthcareRule):
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
        row = int(np.argmin(np.where(low, labels.score - limit, np.inf))) if low.any() else None
        said = "" if row is None else f"{labels.score[row]:.2f} where {limit[row]:.2f} is asked for"
        return self.flags("low_score", low, f"{low.sum()} label(s), score too low: {said}")


class Uncertainty(HealthcareRule):
    """Send structures of which the model is unsure to review.

    Args:
        nats: mean entropy per voxel of the mask above which it is unsure; 0.4. Two outcomes have at most ln 2 = 0.69.
    """

    def __init__(self, schema: Schema, name: str, nats: float = 0.4, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.nats = nats

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows above the limit."""
        entropy = evidence(labels, "entropy")
        unsure = entropy > self.nats
        most = entropy[unsure].max(initial=0.0)
        return self.flags(
            "uncertainty", unsure, f"{unsure.sum()} label(s) of high entropy: up to {most:.2f} nats, limit {self.nats:g} nats"
        )


class TwoModels(HealthcareRule):
    """Send structures to review that two models outline differently.

    Where the model is an ensemble of several that know the same organ, an item has two masks of a class of which a body has one.

    Args:
        dice: below which two masks of one class differ; 0.85.
        classes: of which there is one in a body.
    """

    def __init__(
        self, schema: Schema, name: str, dice: float = 0.85, classes: Sequence[str] = ORGANS, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.dice = dice
        self.iou = dice / (2 - dice)
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows of classes of which two masks differ."""
        mine = self.classes[labels.class_id] & (labels.kind == Kind.MASK)
        known, counts = np.unique(labels.class_id[mine], return_counts=True)
        differ, least = np.zeros(len(labels), dtype=bool), 1.0
        for class_id in known[counts > 1].tolist():
            rows = np.flatnonzero(mine & (labels.class_id == class_id))
            overlap = _overlap(labels, rows)
            if overlap < self.iou:
                differ[rows] = True
                least = min(least, overlap)
        dice = 2 * least / (1 + least)
        return self.flags(
            "two_models", differ, f"{differ.sum()} masks of the same organs differ: Dice down to {dice:.2f}, limit {self.dice:g}"
        )


class SecondReader(HealthcareRule):
    """Ask for a second reader where a person says, or may say, that something is wrong, and of a share of all items.

    Args:
        classes: what is read twice: lesions and findings.
        least_mm: long axis in mm from which a lesion is read twice; 3, as below it is too small to be told (`small_lesion`). One
            that is not measured is read twice.
        sample: share from 0 to 1 of the items that are read twice whatever is in them, drawn by a hash of the item's id; 0.05.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        classes: Sequence[str] = ("lesion", "finding"),
        least_mm: float = 3.0,
        sample: float = 0.05,
        severity: str = "second",
    ) -> None:
        super().__init__(schema, name, severity)
        self.classes = self.chosen(classes)
        self.least_mm = least_mm
        self.sample = sample

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows to read twice, and one if the item is drawn."""
        rows = self.classes[labels.class_id] & ~(number(labels, "long_axis_mm") < self.least_mm)
        found = self.flags("second_reader", rows, f"{rows.sum()} lesion(s) or finding(s): a second reader is asked")
        if draw(item.id) < self.sample:
            found += self.whole("second_reader_sample", f"drawn for a second reader, as {self.sample:.0%} of all items are")
        return found


def _overlap(labels: Labels, rows: Ints) -> float:
    """Return the lowest intersection over union of any two of the masks of `rows`."""
    masks = labels.shape[rows].tolist()
    same = len({one.size for one in masks}) == 1
    return float(shape_iou(Kind.MASK, masks, masks).min()) if same else 0.0
