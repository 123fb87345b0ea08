"""Review rules about use, certainty and who must look, and what all rules of this plugin share.

Each rule looks at all labels of an item at once, remembers nothing, and can be changed or left out by name. It judges from what
the loader and the model measured (`Item.meta`, attributes, evidence), never from pixels, and is silent where that is not known.
Each takes `severity`: what its flags ask for (note, review, human, second, reject). Messages hold values and limits, and nothing
out of a header.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.errors import ConfigError
from hyla.geometry import shape_iou
from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, draw, evidence, fact, number
from hyla.schema import Schema
from hyla.types import Flag, Ints, Item, Kind, Labels

ORGANS = (
    *("lung", "heart", "aorta", "inferior_vena_cava", "liver", "spleen", "kidney", "pancreas", "stomach", "gallbladder"),
    *("adrenal_left", "adrenal_right", "bladder", "brain"),
)
PURPOSES = ("clinical", "research")


def is_ct(item: Item, labels: Labels) -> bool:
    """Tell whether the pixels are known to be HU."""
    return fact(item, labels, "modality") == "CT" or item.meta.get("unit") == "HU"


class ClinicalUse(SchemaRule):
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


class Uncertainty(SchemaRule):
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


class TwoModels(SchemaRule):
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


class SecondReader(SchemaRule):
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
