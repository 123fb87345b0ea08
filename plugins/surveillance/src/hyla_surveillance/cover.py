"""Lay cells of one colour, and black, over parts of a picture of any type and size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.lazy import LazyPixels
from hyla.types import Floats, Ints

MOST = 512  # samples along a region that averages are taken of, in a picture too large to hold


@dataclass(frozen=True)
class Patch:
    """Hold the cells (k, m, C) that cover x0 to x1 and y0 to y1, each `side` pixels wide and high."""

    x0: int
    y0: int
    x1: int
    y1: int
    side: int
    cells: npt.NDArray[Any]


def patch_of(pixels: npt.NDArray[Any], box: Floats, cells: int, cell: int) -> Patch | None:
    """Return what covers a box (4,) of a picture (H, W, C), in pixels; None if none of it lies in the picture.

    Args:
        pixels: of any type; may be a `LazyPixels`, of which no more than needed is read.
        box: x0, y0, x1, y1; what it touches in part is covered as well.
        cells: along the longer side, at most.
        cell: least side of a cell in pixels.
    """
    height, width = pixels.shape[:2]
    x0, y0 = np.maximum(np.floor(box[:2]), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(box[2:]), [width, height]).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return None
    longest = max(x1 - x0, y1 - y0)
    side = -(-longest // min(cells, -(-longest // cell)))
    step = max(side * cells // MOST, 1) if isinstance(pixels, LazyPixels) else 1
    part = np.asarray(pixels[y0:y1:step, x0:x1:step]).astype(np.float64)
    rows, columns = (np.arange(length) * step // side for length in part.shape[:2])
    down, across = (np.unique(one, return_index=True, return_counts=True) for one in (rows, columns))
    sums = np.add.reduceat(np.add.reduceat(part, down[1], axis=0), across[1], axis=1)
    means = sums / (down[2][:, None] * across[2])[..., None]
    return Patch(x0, y0, x1, y1, side, _cast(means, pixels.dtype))


@dataclass(frozen=True)
class Cover:
    """Hold what lies over a picture: patches, then black polygons (k, 2) in pixels."""

    patches: Sequence[Patch]
    zones: Sequence[Floats]

    def put(self, out: npt.NDArray[Any], row0: int, column0: int, step: int = 1, bands: Sequence[int] | None = None) -> None:
        """Cover `out` (h, w, C), every `step`-th pixel of the picture from a row and column on, of some of its bands."""
        rows, columns = row0 + step * np.arange(out.shape[0]), column0 + step * np.arange(out.shape[1])
        for one in self.patches:
            down, across = _between(rows, one.y0, one.y1), _between(columns, one.x0, one.x1)
            if down.stop > down.start and across.stop > across.start:
                cells = one.cells if bands is None else one.cells[..., list(bands)]
                at = (rows[down] - one.y0) // one.side, (columns[across] - one.x0) // one.side
                out[down, across] = cells[at[0]][:, at[1]]
        if self.zones:
            black = np.zeros(out.shape[:2], np.uint8)
            for zone in self.zones:
                corners = np.rint((zone - [column0, row0]) / step).astype(np.int32)
                cv2.fillPoly(black, [corners], 1)  # with the pixels on the edge
            out[black > 0] = 0


class Covered(LazyPixels):
    """Cover the parts of a picture too large to hold when they are read."""

    def __init__(self, pixels: LazyPixels, cover: Cover) -> None:
        super().__init__(pixels.shape, pixels.dtype, pixels.bands)
        self._pixels, self._cover = pixels, cover

    def read(self, row0: int, row1: int, column0: int, column1: int, bands: Sequence[int], step: int = 1) -> npt.NDArray[Any]:
        """Return samples as `LazyPixels.read` does, covered."""
        out = np.array(self._pixels.read(row0, row1, column0, column1, bands, step))
        self._cover.put(out, row0, column0, step, bands)
        return out


def _between(places: Ints, low: int, high: int) -> slice:
    start, stop = np.searchsorted(places, [low, high])
    return slice(int(start), int(stop))


def _cast(values: Floats, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    kind = np.dtype(dtype).kind
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(values >= 0.5 if kind == "b" else np.rint(values) if kind in "iu" else values).astype(dtype)
