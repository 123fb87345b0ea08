"""Compare lines, such as lanes, with those of the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.geometry import rasterize
from hyla.types import Bools, Floats

WIDTH, OF = 30, 1640  # CULane draws lanes 30 px wide on pictures 1640 px wide (Pan et al. 2018, "Spatial As Deep")
LEAST = 0.5  # IoU at which CULane counts two lanes as one


def overlaps(found: Sequence[Floats], truth: Sequence[Floats], size: tuple[int, ...]) -> Floats:
    """Return the IoU (n, m) of lines (k, 2) in pixels, drawn as wide as CULane does for a picture of `size` (height, width)."""
    if not found or not truth:
        return np.zeros((len(found), len(truth)))
    width = max(3, round(WIDTH * size[-1] / OF))
    a, b = (np.stack([rasterize(line, size, width).reshape(-1) for line in lines]).astype(np.float32) for lines in (found, truth))
    both = a @ b.T
    total = a.sum(axis=1)[:, None] + b.sum(axis=1)[None] - both
    return np.asarray(np.divide(both, total, out=np.zeros(both.shape), where=total > 0, dtype=np.float64))


def right(found: Sequence[Floats], truth: Sequence[Floats], size: tuple[int, ...]) -> Bools:
    """Return which of the `found` lines, given from the surest to the least sure, are lines of the truth, each taken once."""
    iou = overlaps(found, truth, size)
    hits = np.zeros(len(found), dtype=bool)
    for row in range(len(found)):
        if len(truth) and iou[row].max() >= LEAST:
            hits[row] = True
            iou[:, int(iou[row].argmax())] = -1
    return hits
