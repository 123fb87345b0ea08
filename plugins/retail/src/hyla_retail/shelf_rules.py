"""Review rules about a shelf: its planogram, its gaps, and boxes that are too small, cut, blurred or on top of each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from hyla.geometry import iou
from hyla.hooks import hookimpl
from hyla.rules import evidence, fact, number
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Item, Labels, Severity
from hyla_retail.catalogue import open_catalogue
from hyla_retail.planogram import open_planogram
from hyla_retail.rules import SAID, TINY, RetailRule, naming, words, worst


class OffPlanogram(RetailRule):
    """Send shelves to review that are not as planned: too few or too many facings, products missing, strange or on another shelf.

    One photo shows one fixture. A photo whose store or fixture is not known is not judged if the planogram has several; nor is
    one of a place that the planogram has nothing of. Both get a note.

    Args:
        planogram: `auto` for planogram.* beside the photos, a path, or null for none: then the rule is silent.
        catalogue, columns: as the loader has them, so that a product is the same by SKU, GTIN and name.
        source: of the run.
        facings: difference above which a count is off; 2.
        share: of the planned facings, above which a count is off; 0.1.

    Raises:
        ConfigError: for a planogram or catalogue that is named and not there.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        planogram: str | None = None,
        catalogue: str | None = None,
        columns: Mapping[str, str] | None = None,
        source: str = "",
        facings: int = 2,
        share: float = 0.1,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.facings_off = facings
        self.share = share
        self._plan = open_planogram(planogram, source)
        self._catalogue = open_catalogue(catalogue, source, columns)
        places = {"store": self._plan.store, "fixture": self._plan.fixture}
        self._several = {name: known for name, column in places.items() if len(known := _folded(column.tolist())) > 1}

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return flags for counts, strange products and wrong shelves with their rows, and one for what is missing."""
        if not len(self._plan) or (fact(item, labels, "view") or "shelf") != "shelf":
            return []
        place = {name: str(fact(item, labels, name) or "") for name in ("store", "fixture")}
        for name, known in self._several.items():
            if place[name].casefold() not in known:
                message = f"the planogram has more than one {name}, and {place[name] or 'none'} is that of this photo"
                return [Flag(self.name, "place_unknown", Severity.NOTE, (), message)]
        mine = self._plan.of(place["store"], place["fixture"])
        if not len(mine):
            named = ", ".join(f"{name} {word}" for name, word in place.items() if word)
            message = f"the planogram has nothing of {named}, which is that of this photo"
            return [Flag(self.name, "place_unknown", Severity.NOTE, (), message)]
        planned: Counter[str] = Counter()
        shelves: dict[str, set[int]] = {}
        for key, count, shelf in zip(mine.keys(self._catalogue), mine.facings, mine.shelf, strict=True):
            planned[str(key)] += int(count)
            shelves.setdefault(str(key), set()).add(int(shelf))
        return self._compare(labels, planned, shelves)

    def _compare(self, labels: Labels, planned: Counter[str], shelves: dict[str, set[int]]) -> list[Flag]:
        own = self.facings(labels).tolist()
        names = [word if here else "" for word, here in zip(words(labels, "product"), own, strict=True)]
        seen = Counter(word for word in names if word)
        gone = [key for key in planned if not seen[key]]
        off = {key: f"{key} {seen[key]} of {n}" for key, n in planned.items() if seen[key] and self._off(seen[key], n)}
        strange = sorted(key for key in seen if key not in planned)
        at = np.nan_to_num(number(labels, "shelf")).tolist()  # 0 where it is not known
        moved = _mask(
            bool(word in planned and shelf and not {0, int(shelf)} & shelves[word]) for word, shelf in zip(names, at, strict=True)
        )
        limit = f"{self.facings_off} or {self.share:.0%}"
        return [
            *self.flags(
                "facings_off",
                _mask(word in off for word in names),
                f"facings off the planogram by more than {limit}: {_list(off.values())}",
            ),
            *self.flags(
                "not_on_planogram",
                _mask(word in strange for word in names),
                f"not on the planogram of this fixture: {_list(strange)}",
            ),
            *self.flags("wrong_shelf", moved, f"{moved.sum()} facing(s) on another shelf than planned{naming(labels, moved)}"),
            *(self.whole("missing_product", f"planned and not seen: {_list(gone)}") if gone else []),
        ]

    def _off(self, seen: int, planned: int) -> bool:
        return abs(seen - planned) > self.facings_off or abs(seen - planned) > self.share * planned + TINY


class OutOfStock(RetailRule):
    """Send gaps to review that are wide enough for a product: it may be out of stock.

    Args:
        widths: of a gap, in median widths of the facings of its shelf, above which a product may be missing; 1.5.
    """

    def __init__(self, schema: Schema, name: str, widths: float = 1.5, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.widths = widths
        self._gap = self.table("gap")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the gaps."""
        wide = evidence(labels, "gap_ratio")
        empty = self._gap[labels.class_id] & (wide > self.widths)
        message = f"{empty.sum()} gap(s) of up to {worst(wide, empty):.1f} facing widths, limit {self.widths:g}: out of stock?"
        return self.flags("out_of_stock", empty, message)


class SmallOrCut(RetailRule):
    """Send products to review of which little is seen: tiny, cut by the border of the photo, or blurred.

    Args:
        px: short side in pixels below which a box is tiny; 24.
        sharpness: variance of the Laplacian of the crop, reduced to 128 pixels, below which it is blurred; 100.
        cut: whether boxes that meet the border are asked about.
    """

    def __init__(
        self, schema: Schema, name: str, px: float = 24.0, sharpness: float = 100.0, cut: bool = True, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.px = px
        self.sharpness = sharpness
        self.cut = cut

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for each of the three."""
        box, sharp = self.facings(labels), evidence(labels, "sharpness")
        short = np.minimum(labels.width, labels.height)
        tiny = box & (short < self.px)
        cut = box & (evidence(labels, "cut") > 0.5) & self.cut
        blurred = box & (sharp < self.sharpness)
        least = worst(sharp, blurred, highest=False)
        return [
            *self.flags(
                "tiny", tiny, f"{tiny.sum()} box(es), the smallest {worst(short, tiny, highest=False):.0f} px, limit {self.px:g}"
            ),
            *self.flags("cut", cut, f"{cut.sum()} box(es) cut by the border of the photo: what is beyond it is not seen"),
            *self.flags("blurred", blurred, f"{blurred.sum()} blurred box(es): sharpness {least:.0f}, limit {self.sharpness:g}"),
        ]


class Overlap(RetailRule):
    """Send facings to review that lie on each other: one product may be counted twice.

    Args:
        iou: overlap with another facing, intersection over union, above which they are asked about; 0.5.
    """

    def __init__(self, schema: Schema, name: str, iou: float = 0.5, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.iou = iou

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the facings."""
        shared = _overlap(labels, self.facings(labels))
        twice = shared > self.iou
        return self.flags(
            "overlap", twice, f"{twice.sum()} facing(s) overlap by an IoU of up to {worst(shared, twice):.2f}, limit {self.iou:g}"
        )


def _overlap(labels: Labels, facings: Bools) -> Floats:
    out = np.full(len(labels), np.nan)
    rows = np.flatnonzero(facings)
    if len(rows) > 1:
        shared = iou(labels.box[rows], labels.box[rows])
        np.fill_diagonal(shared, 0)
        out[rows] = shared.max(axis=1)
    return out


def _mask(rows: Iterable[bool]) -> Bools:
    return np.array(list(rows), dtype=bool)


def _folded(names: Iterable[str]) -> set[str]:
    return {name.casefold() for name in names if name}


def _list(found: Iterable[str]) -> str:
    names = list(found)
    return ", ".join(names[:SAID]) + (f" and {len(names) - SAID} more" if len(names) > SAID else "")
