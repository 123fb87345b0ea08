"""Review rules about the outline of a field: its size, its border, its neighbours, and what its file says of its area."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, evidence, number
from hyla.schema import Schema
from hyla.types import Flag, Item, Labels


class SmallField(SchemaRule):
    """Send fields to a person that the sensor is too coarse for.

    After a buffer of 5 m inwards, half a pixel of Sentinel-2, at least 8 full pixels must be left, and less than 60 % of them
    lost (JRC: Vajsova et al. 2020, Remote Sens. 12(14):2195). Below 0.2 ha EUSPA advises finer pictures; Hungary's monitoring
    goes down to about 0.08 ha.

    Args:
        pixels: least number of full pixels; 8.
        lost: share of the pixels that the buffer costs from which a field is too narrow; 0.6.
        ha: area in hectares below which it is too small for 10 m pixels; 0.2. It is not asked of scenes with finer pixels.
        metres: size of a pixel from which on `ha` counts; 10.
        classes: what a field is.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        pixels: float = 8,
        lost: float = 0.6,
        ha: float = 0.2,
        metres: float = 10.0,
        classes: Sequence[str] = ("field",),
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.pixels = pixels
        self.lost = lost
        self.ha = ha
        self.metres = metres
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the fields that are too small, and one with those that are too narrow."""
        mine = self.classes[labels.class_id]
        pixels, lost = evidence(labels, "pixels"), evidence(labels, "lost")
        size = labels.context.get("resolution_m")
        coarse = not isinstance(size, (int, float)) or size >= self.metres - 0.5  # a pixel of 10 m is 9.99 m here and there
        few = mine & (pixels < self.pixels)
        small = mine & (number(labels, "area_ha") < self.ha) & coarse & ~few
        narrow = mine & (lost >= self.lost) & ~few & ~small
        found = self.flags("few_pixels", few, f"{few.sum()} field(s) with fewer than {self.pixels:g} full pixels")
        found += self.flags("small_field", small, f"{small.sum()} field(s) below {self.ha:g} ha")
        return found + self.flags(
            "narrow_field", narrow, f"{narrow.sum()} field(s) that lose {self.lost:.0%} of their pixels at the border"
        )


class MixedEdge(SchemaRule):
    """Send labels to review of which most pixels lie at the border, where two fields share a pixel.

    Args:
        share: of the pixels within one pixel of the border above which values are mixed; 0.5.
    """

    def __init__(self, schema: Schema, name: str, share: float = 0.5, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.share = share

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows above the limit."""
        edge = evidence(labels, "edge")
        mixed = edge > self.share
        most = edge[mixed].max(initial=0.0)
        return self.flags(
            "mixed_edge",
            mixed,
            f"{mixed.sum()} label(s) mostly of mixed pixels: up to {most:.0%} at the border, limit {self.share:.0%}",
        )


class Boundary(SchemaRule):
    """Send labels to review whose outline is weak, or of which the model is unsure where its pixels are mixed.

    Args:
        strength: of the outline, 0 to 1, below which it may lie elsewhere; 0.65, where `boundaries` keeps those from 0.55 on.
        margin: of the best class over the second below which it is a toss; 0.1.
        score: below which a label is unsure; 0.7.
        edge: share of its pixels within one pixel of the border above which an unsure label is flagged; 0.3.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        strength: float = 0.65,
        margin: float = 0.1,
        score: float = 0.7,
        edge: float = 0.3,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.strength = strength
        self.margin = margin
        self.score = score
        self.edge = edge

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags with the rows of weak outlines, small margins, and low scores at the border."""
        weak = evidence(labels, "boundary") < self.strength
        toss = evidence(labels, "margin") < self.margin
        unsure = (labels.score < self.score) & (evidence(labels, "edge") > self.edge)
        found = self.flags("weak_outline", weak, f"{weak.sum()} outline(s) of a strength below {self.strength:g}")
        found += self.flags("small_margin", toss, f"{toss.sum()} label(s) with a second class less than {self.margin:g} behind")
        return found + self.flags(
            "unsure_border", unsure, f"{unsure.sum()} label(s) with a score below {self.score:g}, mixed at the border"
        )


class Geometry(SchemaRule):
    """Send fields to review whose outline can't be theirs.

    Args:
        overlap: share of the area that other fields also claim; 0.01.
        compactness: 4 pi area / perimeter^2, 1 for a circle, below which it is a sliver; 0.1.
        declared: by what share the area may differ from the declared one; 0.05.
        inside: share of the parcel that must lie on the scene; 0.9.
        classes: what a field is.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        overlap: float = 0.01,
        compactness: float = 0.1,
        declared: float = 0.05,
        inside: float = 0.9,
        classes: Sequence[str] = ("field",),
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.overlap = overlap
        self.compactness = compactness
        self.declared = declared
        self.inside = inside
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags with the rows of overlaps, slivers, areas that differ, and parcels partly beyond the scene."""
        mine = self.classes[labels.class_id]
        shared = mine & (evidence(labels, "overlap") > self.overlap)
        thin = mine & (evidence(labels, "compactness") < self.compactness)
        area, said = number(labels, "area_ha"), number(labels, "declared_ha")
        off = np.divide(np.abs(area - said), said, out=np.full(len(labels), np.nan), where=said > 0)
        differs = mine & (off > self.declared)
        cut = mine & (evidence(labels, "inside") < self.inside)
        most = off[differs].max(initial=0.0)
        return [
            *self.flags("overlap", shared, f"{shared.sum()} field(s) of which others claim more than {self.overlap:.0%}"),
            *self.flags("sliver", thin, f"{thin.sum()} field(s) as thin as a sliver: 4 pi A / P^2 below {self.compactness:g}"),
            *self.flags("area_differs", differs, f"{differs.sum()} field(s) of another area than declared: up to {most:.0%}"),
            *self.flags("partly_outside", cut, f"{cut.sum()} field(s) not wholly on the scene"),
        ]
