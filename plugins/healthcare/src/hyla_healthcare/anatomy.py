"""Review rules about what an adult body looks like: sides, volumes, densities, one piece each.

The ranges themselves stand in conf/rules/healthcare.yaml, by class and with their sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, evidence, fact, number
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Item, Labels
from hyla_healthcare.rules import ORGANS, is_ct

LEFT, RIGHT = "7771000", "24028007"  # SNOMED CT
SIDE = {"left": 1.0, "right": -1.0, "L": 1.0, "R": -1.0}
LARGE = ("lung", "heart", "aorta", "inferior_vena_cava", "liver", "spleen", "kidney", "stomach", "bladder", "brain")
Ranges = Mapping[str, Sequence[float] | None]


class Laterality(SchemaRule):
    """Send structures to a person whose class names the other side than the one on which they lie.

    The side of a class is its code `snomed_modifier` (7771000 left, 24028007 right). It is held against the centroid of the mask,
    as `midline_mm` of the evidence has it, against the attribute `side`, and against the laterality that the header gives
    (0020,0060 or 0020,0062). Left is always the patient's left.

    Args:
        mm: distance from the midline of the body within which a structure may lie on either side; 10.
    """

    def __init__(self, schema: Schema, name: str, mm: float = 10.0, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.mm = mm
        sides = {LEFT: 1.0, RIGHT: -1.0}
        self.side = np.array([sides.get(one.codes.get("snomed_modifier", ""), 0.0) for one in schema.classes])

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows on the wrong side, and one with those that contradict the header."""
        side = self.side[labels.class_id]
        offset = evidence(labels, "midline_mm")
        said = np.array([SIDE.get(one, 0.0) for one in labels.attributes.get("side", np.full(len(labels), None)).tolist()])
        past = -side * offset  # mm on the other side
        wrong = (past > self.mm) | (side * said < 0) & ~(np.abs(offset) <= self.mm)
        far = past[wrong & np.isfinite(past)].max(initial=0.0)
        header = SIDE.get(str(item.meta.get("laterality", "")), 0.0)
        other = np.where(side, side, said) * header < 0
        return [
            *self.flags(
                "laterality",
                wrong,
                f"{wrong.sum()} label(s) not on the patient's side that their class names: up to {far:.0f} mm past the midline, "
                f"tolerance {self.mm:g} mm",
            ),
            *self.flags(
                "laterality_header", other, f"{other.sum()} label(s) of the other side than the header of the series names"
            ),
        ]


class OutsideBody(SchemaRule):
    """Send masks that leave the body to a person.

    Args:
        share: share of the voxels outside the body above which a mask is flagged `outside_body`; 0.005.
        block: the same above which it can't be what it says, flagged `outside_body_block`; 0.05.
        apart: classes that may lie outside.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        share: float = 0.005,
        block: float = 0.05,
        apart: Sequence[str] = ("body", "device", "ignore"),
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.share = share
        self.block = block
        self.apart = self.chosen(apart)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the rows above each of the two shares."""
        outside = np.where(self.apart[labels.class_id], np.nan, evidence(labels, "outside_body"))
        far, some = outside > self.block, (outside > self.share) & ~(outside > self.block)
        said = [
            f"{rows.sum()} label(s) with up to {outside[rows].max(initial=0.0):.1%} of it outside the body, limit {most:.1%}"
            for rows, most in ((some, self.share), (far, self.block))
        ]
        return [*self.flags("outside_body", some, said[0]), *self.flags("outside_body_block", far, said[1])]


class VolumeRange(SchemaRule):
    """Send organs of an implausible volume to review.

    A structure that the first or last slice cuts is only held against the most. Children have a rule of their own (`minor`), and
    are left out, since the ranges are those of adults.

    Args:
        ranges: class -> [least, most] in ml, for all below it unless they have their own.
    """

    def __init__(self, schema: Schema, name: str, ranges: Ranges | None = None, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.least, self.most = self.ranges(ranges)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows out of their range."""
        if fact(item, labels, "child"):
            return []
        volume = number(labels, "volume_ml")
        least, most = self.least[labels.class_id], self.most[labels.class_id]
        odd = (volume > most) | (volume < least) & ~(evidence(labels, "touches_edge") > 0)
        return self.flags("volume_range", odd, _worst(odd, volume, least, most, "a volume", "ml"))


class HuRange(SchemaRule):
    """Send structures of an implausible mean density in CT to review: another class, another phase, or not HU at all.

    Args:
        ranges: class -> [least, most] in HU, for all below it unless they have their own.
    """

    def __init__(self, schema: Schema, name: str, ranges: Ranges | None = None, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.least, self.most = self.ranges(ranges)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows out of their range."""
        if not is_ct(item, labels):
            return []
        mean = evidence(labels, "mean_hu")
        least, most = self.least[labels.class_id], self.most[labels.class_id]
        odd = (mean < least) | (mean > most)
        return self.flags("hu_range", odd, _worst(odd, mean, least, most, "a mean density", "HU"))


class Fragments(SchemaRule):
    """Send organs that come in several pieces to review.

    What the first or last slice cuts may come in pieces rightly (the aorta below its arch, the lungs around the diaphragm), and
    is left out.

    Args:
        pieces: with more than 1 % of the volume each, above which an organ is flagged; 1.
        classes: that are one piece in a body.
    """

    def __init__(
        self, schema: Schema, name: str, pieces: int = 1, classes: Sequence[str] = ORGANS, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.pieces = pieces
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows in pieces."""
        pieces = evidence(labels, "components")
        broken = self.classes[labels.class_id] & (pieces > self.pieces) & ~(evidence(labels, "touches_edge") > 0)
        apart = evidence(labels, "fragment")[broken]
        share = f", {np.nanmax(apart):.1%} of the volume apart from the largest" if np.isfinite(apart).any() else ""
        most = pieces[broken].max(initial=0.0)
        return self.flags(
            "fragments", broken, f"{broken.sum()} organ(s) in several pieces: up to {most:.0f}{share}, limit {self.pieces}"
        )


class AreaJump(SchemaRule):
    """Send organs to review whose area changes abruptly from one slice to the next, as where a slice was missed.

    Small ones (adrenal glands, gallbladder, pancreas) are left out: their shape alone makes their area change by half.

    Args:
        share: change of the area between neighbouring slices, as a share of the largest area; 0.5.
        classes: what is looked at.
    """

    def __init__(
        self, schema: Schema, name: str, share: float = 0.5, classes: Sequence[str] = LARGE, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.share = share
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that jump."""
        jump = evidence(labels, "area_jump")
        odd = self.classes[labels.class_id] & (jump > self.share)
        most = jump[odd].max(initial=0.0)
        return self.flags(
            "area_jump",
            odd,
            f"{odd.sum()} organ(s) whose area changes by up to {most:.0%} between two slices, limit {self.share:.0%}",
        )


class TouchesEdge(SchemaRule):
    """Note organs that the first or last slice cuts: their volume is that of a part.

    Args:
        classes: what is looked at.
    """

    def __init__(self, schema: Schema, name: str, classes: Sequence[str] = ORGANS, severity: str = "note") -> None:
        super().__init__(schema, name, severity)
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that are cut."""
        cut = self.classes[labels.class_id] & (evidence(labels, "touches_edge") > 0)
        return self.flags("touches_edge", cut, f"{cut.sum()} organ(s) cut by the first or last slice: the volume is of a part")


def _worst(odd: Bools, value: Floats, least: Floats, most: Floats, what: str, unit: str) -> str:
    """Return a message about the rows of `odd`, with the value furthest out of its range."""
    if not odd.any():
        return ""
    out = np.fmax(least[odd] - value[odd], value[odd] - most[odd])
    row = int(np.flatnonzero(odd)[np.argmax(out)])
    return (
        f"{odd.sum()} label(s) of {what} out of the range of their class: {value[row]:.4g} {unit} where {least[row]:g} to "
        f"{most[row]:g} {unit} is usual"
    )
