"""Cut out one label with what is round it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hyla import geometry
from hyla.types import Kind, Labels, Rle

CONTEXT = 0.2  # of the label's longer side, shown on every side
LEAST = 32  # px of the picture that a crop shows at least

Window = tuple[int, int, int, int]


def window(box: Sequence[float], size: Sequence[int]) -> Window:
    """Return the part x0, y0, x1, y1 of a picture that shows a label: a square about it, moved to lie inside the picture.

    Args:
        box: of the label, in pixels; one without area at the origin, as a cuboid may have, stands for the whole picture.
        size: (height, width) of the picture, or (depth, height, width).

    It is no square where the picture is narrower than the square would be.
    """
    height, width = (int(v) for v in size[-2:])
    x0, y0, x1, y1 = (float(v) for v in box)
    if x0 == y0 == x1 == y1 == 0:
        x1, y1 = width, height
    side = max(LEAST, math.ceil(max(x1 - x0, y1 - y0) * (1 + 2 * CONTEXT)))
    left, right = _along((x0 + x1) / 2, side, width)
    top, bottom = _along((y0 + y1) / 2, side, height)
    return left, top, right, bottom


def place(box: Sequence[float], size: Sequence[int]) -> tuple[float, float, float, float]:
    """Return where a label is on its crop: x0, y0, x1, y1 as shares of the crop's width and height, from 0 to 1."""
    left, top, right, bottom = window(box, size)
    height, width = (int(v) for v in size[-2:])
    whole = not any(box)
    x0, y0, x1, y1 = (0.0, 0.0, float(width), float(height)) if whole else (float(v) for v in box)
    shares = (
        (x0 - left) / (right - left),
        (y0 - top) / (bottom - top),
        (x1 - left) / (right - left),
        (y1 - top) / (bottom - top),
    )
    a, b, c, d = (min(1.0, max(0.0, share)) for share in shares)
    return a, b, c, d


def scaled(part: Window, size: int) -> tuple[int, int]:
    """Return the (width, height) of a crop whose longer side is to have `size` pixels."""
    width, height = part[2] - part[0], part[3] - part[1]
    scale = size / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def slice_of(labels: Labels, row: int, depth: int) -> int:
    """Return the slice of a volume in which a label has the largest area; the middle one if it has none."""
    shape = labels.shape[row]
    if labels.kind[row] == Kind.MASK and len(shape.size) == 3:
        areas = slice_areas(shape)
        return int(np.argmax(areas)) if any(areas) else depth // 2
    return depth // 2


def slice_areas(mask: Rle) -> list[int]:
    """Return the number of voxels of a mask in each slice; the mask is not decoded."""
    lengths = geometry.check_runs(mask)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    inside = np.concatenate([[0], np.cumsum(lengths * (np.arange(len(lengths)) % 2))])
    depth, height, width = mask.size
    # Between the ends of runs the count grows evenly, or not at all.
    upto = np.interp(np.arange(depth + 1) * height * width, ends, inside)
    return [int(n) for n in np.rint(np.diff(upto))]


def _along(middle: float, side: int, length: int) -> tuple[int, int]:
    """Return the first and the last but one pixel of `side` pixels about `middle` in 0 to `length`."""
    side = min(side, length)
    first = min(max(0, round(middle - side / 2)), length - side)
    return first, first + side
