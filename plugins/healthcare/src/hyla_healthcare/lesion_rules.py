"""Review rules about lesions and their size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, fact, number
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels


class SmallLesion(SchemaRule):
    """Send tiny lesions to review: noise and partial volume look the same.

    Args:
        mm: long axis below which a lesion is tiny; 3, the smallest nodule that LIDC-IDRI's readers outlined.
        classes: what a lesion is.
    """

    def __init__(
        self, schema: Schema, name: str, mm: float = 3.0, classes: Sequence[str] = ("lesion",), severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.mm = mm
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows below `mm`."""
        long = number(labels, "long_axis_mm")
        tiny = self.classes[labels.class_id] & (long < self.mm)
        least = long[tiny].min(initial=np.inf)
        return self.flags(
            "small_lesion", tiny, f"{tiny.sum()} lesion(s) under {self.mm:g} mm: the smallest has a long axis of {least:.1f} mm"
        )


class MeasurableLesion(SchemaRule):
    """Note lesions that are large enough to be followed by their diameter.

    RECIST 1.1 calls a lesion measurable in CT from a longest diameter of 10 mm on, and of twice the distance of the slices where
    that is more (slices thicker than 5 mm). Lymph nodes go by their short axis, from 15 mm on, and are not told apart here.

    Args:
        mm: longest diameter; 10.
        slices: the same in distances of slices; 2.
        classes: what a lesion is.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        mm: float = 10.0,
        slices: float = 2.0,
        classes: Sequence[str] = ("lesion",),
        severity: str = "note",
    ) -> None:
        super().__init__(schema, name, severity)
        self.mm = mm
        self.slices = slices
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that are measurable."""
        spacing = fact(item, labels, "spacing_mm")
        limit = max(self.mm, self.slices * float(spacing[0])) if spacing else self.mm
        long = number(labels, "long_axis_mm")
        large = self.classes[labels.class_id] & (long >= limit)
        most = long[large].max(initial=0.0)
        return self.flags(
            "measurable_lesion", large, f"{large.sum()} lesion(s) of {limit:g} mm or more: the largest has {most:.1f} mm"
        )
