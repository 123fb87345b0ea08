"""Find facings, price labels and gaps on photos of shelves by their geometry alone, without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Labels
from hyla_retail import gaps, price_strips, rails, seams, shelf_rows
from hyla_retail.bands import Band, lower, straighten
from hyla_retail.finding import finish, whole
from hyla_retail.pictures import overview

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

HEIGHT, WIDEST = 72, 3000  # rows and, at most, columns of pixels in which a row of packs is divided
EDGE = 0.35  # share of the strong changes of a row from which on a change says that something is in front of the wall
EDGES = (14.0, 40.0)  # at least and at most, in grey levels from one pixel to the next but one
SOLID = 20  # percent of a pack's columns, at least, that reach up to its top: the neck of a bottle does
SLIVER = 0.4  # width, in median packs of its row, below which what repeats nowhere is the edge of something
NO_RAIL = 0.6  # the score of packs of which it is not seen what they stand on, in that of others
STACK = 0.45  # how much more the packs of a stack must be like each other than like other places, -1 to 1


@dataclass(slots=True)
class Places:
    """Collect the boxes of one picture: class, x0, y0, x1, y1 in pixels of its overview, and score."""

    class_id: list[int] = field(default_factory=list)
    box: list[Box] = field(default_factory=list)
    score: list[float] = field(default_factory=list)

    def add(self, class_id: int, box: Box, score: float) -> None:
        """Add one."""
        self.class_id.append(class_id)
        self.box.append(box)
        self.score.append(score)


class Facings(Model):
    """Find the facings, price labels and gaps of a shelf without weights.

    The rails of the shelves are found first (rails), then each row between two rails is straightened, freed of the wall
    above the packs, and divided into packs (seams); what is empty in between are gaps, and bright patches on the rails are price
    labels. It takes packs that stand upright side by side for granted: loose fruit, packs on hooks, and heaps of bags come out as
    rough pieces. Every box is a `product`: what it shows is for others to say. A picture of one product (`view` product in its
    context) gets one tag over the whole of it.

    Args:
        schema: has the classes `product`, and, where they are to be found, `price_label` and `gap`.
        longest: the longer side that pictures are reduced to for the search, pixels.
        aspect: least and greatest width of a pack, in heights of the packs of its row.
        price: what another pack costs, 0 to 2, in clear seams: higher finds fewer, larger packs.
        gap_ratio: least width of a gap, in widths of the median pack of its shelf.
        threshold: least score, 0 to 1.
        labels: look for price labels.
        gaps: look for gaps.

    Raises:
        ConfigError: for a schema without `product`, and for settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        longest: int = 1400,
        aspect: Sequence[float] = (0.18, 1.6),
        price: float = 0.55,
        gap_ratio: float = 0.5,
        threshold: float = 0.2,
        labels: bool = True,
        gaps: bool = True,
    ) -> None:
        least, most = (float(one) for one in aspect) if len(aspect) == 2 else (0.0, 0.0)
        if not 0 < least < most:
            raise ConfigError(f"aspect is {list(aspect)}", "give the least and the greatest width of a pack: aspect=[0.18,1.6]")
        if longest < 200:
            raise ConfigError(f"longest is {longest}", "a shelf needs 200 pixels at least: longest=1400")
        if not 0 <= price <= 2:
            raise ConfigError(f"price is {price}", "it must lie between 0 and 2: price=0.55")
        if not 0 <= threshold <= 1 or gap_ratio <= 0:
            raise ConfigError(f"threshold is {threshold} and gap_ratio {gap_ratio}", "0 <= threshold <= 1, and gap_ratio > 0")
        self.longest, self.aspect, self.price = longest, (least, most), price
        self.gap_ratio, self.threshold = gap_ratio, threshold
        self._product = schema.class_id("product")
        names = {one.name for one in schema.classes}
        self._label = schema.class_id("price_label") if labels and "price_label" in names else -1
        self._gap = schema.class_id("gap") if gaps and "gap" in names else -1

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return facings with `shelf` (1 is the top one) and `position` (1 is the leftmost), price labels and gaps."""
        return [whole(image, self._product) if image.context.get("view") == "product" else self._shelf(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name; there are no weights."""
        return {"name": "facings"}

    def _shelf(self, image: Image) -> Labels:
        small, scale = overview(image.pixels, self.longest)
        edges = rails.rails(small)
        places = Places()
        for row in shelf_rows.rows(edges, small.shape[:2]):
            self._divide(small, row, places)
        if self._label >= 0:
            for box, full in price_strips.joined([price_strips.find(small, edge) for edge in edges]):
                places.add(self._label, box, full)
        height, width = image.size
        boxes = np.array(places.box, dtype=np.float64).reshape(-1, 4) / scale
        boxes = np.clip(boxes, 0, np.array([width, height, width, height], dtype=np.float64))
        ids, score = np.array(places.class_id, dtype=np.int64), np.array(places.score, dtype=np.float64)
        keep = (boxes[:, 2:] - boxes[:, :2] >= 1).all(axis=1) & ((score >= self.threshold) | (ids != self._product))
        labels = Labels.of(ids[keep], boxes[keep], score=np.clip(score[keep], 0, 1))
        return finish(image, labels, labels.class_id == self._product)

    def _divide(self, small: Pixels, row: Band, places: Places) -> None:
        """Add the facings and the gaps of one row."""
        strip = straighten(small, row, _height(row))
        height, width = strip.shape[:2]
        if width < 8:
            return
        tops = _tops(strip)
        there = tops < gaps.LOW * height
        if not there.any():
            return
        above = min(max(float(np.percentile(tops[there], 20)) - 2, 0.0), 0.75 * height) / height
        if above > 0:  # once more without the wall above the packs, which is the same for all of them
            row = lower(row, above)
            strip = straighten(small, row, _height(row))
            tops, height = _tops(strip), strip.shape[0]
        runs = gaps.runs(gaps.empty(strip, tops), max(round(self.aspect[0] * height), 3))
        packs = [(a, self._packs(strip[:, a:b], tops[a:b])) for a, b, hollow in runs if not hollow]
        if not packs:
            return
        usual = float(np.median(np.concatenate([cut.end - cut.start for _, cut in packs])))
        scale = row.height / height
        for start, end, hollow in runs:
            if hollow and self._gap >= 0 and end - start >= self.gap_ratio * usual and row.strength > 0:
                box = _box(row, row.x0 + start * scale, row.x0 + end * scale, 0)
                places.add(self._gap, box, gaps.score(strip[:, start:end]))
        sure = 1.0 if row.strength > 0 else NO_RAIL
        for first, cut in packs:
            for start, end, clear, repeats in zip(cut.start + first, cut.end + first, cut.clear, cut.repeats, strict=True):
                if end - start < SLIVER * usual and repeats < STACK:
                    continue
                top = min(float(np.percentile(tops[start:end], SOLID)) / height, gaps.LOW)
                for upper, under in _stacked(strip[int(top * height) :, start:end], top):
                    box = _box(row, row.x0 + start * scale, row.x0 + end * scale, upper, under)
                    places.add(self._product, box, float(np.clip(0.25 + 0.4 * clear + 0.35 * repeats, 0, 1)) * sure)

    def _packs(self, strip: Pixels, tops: Floats) -> seams.Cut:
        least, most = (max(round(one * strip.shape[0]), 3) for one in self.aspect)
        return seams.divide(strip, least, most, self.price, tops=tops)


def _height(row: Band) -> int:
    """Return in how many rows of pixels a row of packs is looked at, so that none becomes too wide."""
    return int(np.clip(WIDEST * row.height / max(row.x1 - row.x0, 1), 16, HEIGHT))


def _box(row: Band, x0: float, x1: float, share0: float, share1: float = 1.0) -> Box:
    """Return what lies in a row from `x0` to `x1` and, from above, between two shares of its height."""
    x1 = min(x1, row.x1)
    top, bottom = row.at((x0 + x1) / 2)
    height = float(bottom - top)
    return x0, float(top) + share0 * height, x1, float(top) + share1 * height


def _tops(strip: Pixels) -> Floats:
    """Return (w,) the row in which, from above, each column first shows something else than an even wall; the height if none."""
    soft = cv2.GaussianBlur(strip, (3, 3), 0).astype(np.int16)
    change = np.zeros(strip.shape[:2], np.int16)
    change[1:-1] = np.abs(soft[2:] - soft[:-2]).max(axis=2)
    change[:, 1:-1] = np.maximum(change[:, 1:-1], np.abs(soft[:, 2:] - soft[:, :-2]).max(axis=2))
    change[: len(strip) // 24] = 0  # the shadow of the shelf above
    edge = float(np.clip(EDGE * np.percentile(change, 90), *EDGES))
    seen = change > edge
    return np.where(seen.any(axis=0), seen.argmax(axis=0), len(strip)).astype(np.float64)


def _stacked(crop: Pixels, top: float) -> list[tuple[float, float]]:
    """Return (upper, lower) share of the row for each pack of a stack that reaches up to `top`; one if the pack stands alone."""
    height, width = crop.shape[:2]
    if height < 16 or width < 4:
        return [(top, 1.0)]
    steps = np.arange(max(height // 6, 5), height // 2 + 1)
    turned = np.ascontiguousarray(crop.transpose(1, 0, 2))
    soft = cv2.blur(turned, (1, seams.COARSE)).astype(np.int16)
    apart = np.array([np.abs(soft[:, step:] - soft[:, :-step]).mean() for step in steps])
    usual = apart.mean()
    like = (usual - apart) / (usual + seams.UNLIKE)
    best = int(like.argmax())
    if like[best] < STACK:
        return [(top, 1.0)]
    count = max(round(height / steps[best]), 1)
    edges = np.linspace(top, 1.0, count + 1)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
