"""Cut a large picture into overlapping tiles, and merge what was found in them: what is small is lost when all is reduced."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.types import Bools, Floats, Ints

BORDER = 3.0  # pixels from the edge of a tile within which a box may have been cut off there
INSIDE = 0.7  # share of a piece that lies in a better box of which it then is a part


def tiles(size: tuple[int, int], side: int, overlap: float) -> Ints:
    """Return (k, 4) x0, y0, x1, y1 of square tiles that cover a picture of `size` (height, width), and last the whole picture.

    Tiles lie evenly, so that none hangs over the border, and neighbours share at least `overlap` of a side: what is smaller than
    that is whole in one of them. A picture that fits into a tile is its only one.

    Args:
        size: height and width, pixels.
        side: of a tile, pixels.
        overlap: share of a side, 0 to below 1.
    """
    height, width = size
    whole = [(0, 0, width, height)]
    if max(height, width) <= side:
        return np.array(whole, dtype=np.int64)
    starts = [_starts(length, side, overlap) for length in size]
    parts = [(int(x), int(y), min(int(x) + side, width), min(int(y) + side, height)) for y in starts[0] for x in starts[1]]
    return np.array(parts + whole, dtype=np.int64)


def cut_off(box: Floats, tile: npt.ArrayLike, size: tuple[int, int]) -> Bools:
    """Return (n,) which boxes, in pixels of the picture, end where their tile does and the picture of `size` goes on."""
    x0, y0, x1, y1 = np.asarray(tile, dtype=np.float64)
    height, width = size
    inner = np.array([x0 > 0, y0 > 0, x1 < width, y1 < height])
    near = np.abs(box - np.array([x0, y0, x1, y1])) <= BORDER
    return np.asarray((near & inner).any(axis=1))


def merge(box: Floats, score: Floats, cut: Bools, iou: float, most: int) -> Ints:
    """Return the rows that stay of what all tiles of a picture found, best score first, `most` at most.

    Whole boxes go before those that a tile cut off, then by score, of any class: one thing is one label. A box goes if it
    overlaps one that stays by more than `iou`, and a piece also if most of it lies inside one.

    Args:
        box: (n, 4) in pixels of the picture.
        score: (n,).
        cut: (n,) which boxes an inner edge of a tile may have cut off.
        iou: intersection over union, 0 to 1.
        most: how many may stay.
    """
    order = np.lexsort((np.arange(len(box)), -score, cut))
    area = geometry.area(box)
    kept: list[int] = []
    rest = order
    while len(rest):
        best, rest = int(rest[0]), rest[1:]
        kept.append(best)
        shared = _shared(box[best], box[rest])
        same = shared > iou * (area[best] + area[rest] - shared)
        part = cut[rest] & (shared > INSIDE * area[rest])
        rest = rest[~(same | part)]
    rows = np.array(kept, dtype=np.int64)
    return rows[np.argsort(-score[rows], kind="stable")][:most]


def _starts(length: int, side: int, overlap: float) -> Ints:
    """Return where tiles begin along one side of the picture."""
    if length <= side:
        return np.zeros(1, dtype=np.int64)
    step = max(side * (1 - overlap), 1.0)
    count = int(np.ceil((length - side) / step)) + 1
    return np.rint(np.linspace(0, length - side, count)).astype(np.int64)


def _shared(one: Floats, others: Floats) -> Floats:
    wide = np.minimum(one[2], others[:, 2]) - np.maximum(one[0], others[:, 0])
    high = np.minimum(one[3], others[:, 3]) - np.maximum(one[1], others[:, 1])
    return np.asarray(np.maximum(wide, 0) * np.maximum(high, 0))
