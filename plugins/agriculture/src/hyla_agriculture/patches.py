"""Find the parts of a field that differ from the rest of it, or from what they were: zones of stress and of change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats
from hyla_agriculture.sweep import FieldPixels

MAD = 1.4826  # times the median absolute deviation is the standard deviation, where values are normally distributed
ABRUPT = 2  # pixels at either side of the edge of a zone, between which NDVI falls if it is abrupt
STACK = 1 << 22  # pixels that are looked at in one go, if no single field has more
Rings = tuple[Floats, ...]
Values = npt.NDArray[np.float32]


class Patch(NamedTuple):
    """Hold one zone of a field.

    Args:
        rings: in pixels of the scene, along the edges of pixels.
        pixels: how many.
        means: (n,) of the indices over them.
        least, most: NDVI of single pixels.
        spread: robust standard deviation of NDVI in it.
        compactness: 4 pi A / P^2 with the perimeter along the edges of pixels: 0.79 for a square, about 0.6 for a disc.
        step: share, 0 to 1, of its depth by which NDVI falls from the 2 pixels outside its edge to the 2 inside; NaN if unseen.
        change: mean NDVI now minus that of the last clear date; NaN where it is not known.
        depth: NDVI by which it lies below the median of the field.
    """

    rings: Rings
    pixels: int
    means: Floats
    least: float
    most: float
    spread: float
    compactness: float
    step: float
    change: float
    depth: float


def centre_and_spread(values: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the median and 1.4826 MAD of values (n,) in ascending order, without NaN; NaN of none."""
    if not len(values):
        return float("nan"), float("nan")
    middle = _middle(values)
    apart = np.abs(values - values.dtype.type(middle))
    apart.sort()
    return middle, MAD * _middle(apart)


class Wanted(NamedTuple):
    """Hold what is to be looked for in one field.

    Args:
        field: whose pixels they are.
        ndvi: (h, w).
        seen: (h, w) pixels that are full and clear.
        mask: (h, w) those of them that differ; they lie wholly in the field, and so do their regions.
        least: pixels of a region.
        middle: median NDVI of the field.
        before: (h, w) NDVI of the last clear date, NaN where not known; None for no such date.
    """

    field: FieldPixels
    ndvi: Values
    seen: Bools
    mask: Bools
    least: int
    middle: float
    before: Values | None


def patches(wanted: Sequence[Wanted]) -> list[list[Patch]]:
    """Return the 4-connected regions that have enough pixels, for each of `wanted` in the order of their first pixels."""
    out: list[list[Patch]] = [[] for _ in wanted]
    first = 0
    while first < len(wanted):
        # Under each other, with a free row between them: libraries are called once for many fields, not once for each.
        last, height, width = first, 0, 0
        while last < len(wanted):
            high, wide = wanted[last].mask.shape
            if last > first and (height + high + 1) * max(width, wide) > STACK:
                break
            last, height, width = last + 1, height + high + 1, max(width, wide)
        _stacked(wanted[first:last], out[first:last], (height, width))
        first = last
    return out


def _stacked(wanted: Sequence[Wanted], out: Sequence[list[Patch]], size: tuple[int, int]) -> None:
    from scipy import ndimage

    from hyla_agriculture.polygons import polygons

    starts = np.concatenate([[0], np.cumsum([len(one.mask) + 1 for one in wanted])])
    stack = np.zeros(size, np.bool_)
    for one, row in zip(wanted, starts.tolist(), strict=False):
        stack[row : row + len(one.mask), : one.mask.shape[1]] = one.mask
    numbers, count = ndimage.label(stack)
    if not count:
        return
    boxes = ndimage.find_objects(numbers)
    owners = np.searchsorted(starts, [box[0].start for box in boxes], side="right") - 1
    least = np.array([one.least for one in wanted])[owners]
    kept = np.concatenate([[False], np.bincount(numbers.ravel())[1:] >= least])
    if not kept.any():
        return
    for _, rings in polygons(kept[numbers].astype(np.uint8)):
        column, row = rings[0][0].astype(int)  # the upper left corner of a region's first pixel
        number = int(numbers[row, column])
        owner, (rows, columns) = int(owners[number - 1]), boxes[number - 1]
        one, start = wanted[owner], int(starts[owner])
        down, across = (
            slice(max(0, span.start - ABRUPT), min(length, span.stop + ABRUPT))
            for span, length in ((slice(rows.start - start, rows.stop - start), one.mask.shape[0]), (columns, one.mask.shape[1]))
        )
        mask = numbers[down.start + start : down.stop + start, across] == number
        offset = one.field.window.column0, one.field.window.row0 - start
        out[owner].append(_patch(one, (down, across), mask, tuple(ring + offset for ring in rings)))


def _patch(wanted: Wanted, box: tuple[slice, slice], mask: Bools, rings: Rings) -> Patch:
    from scipy import ndimage

    ndvi, before = wanted.ndvi[box], wanted.before
    within = ndvi[mask].astype(np.float64)
    count = len(within)
    around = ndimage.binary_dilation(mask, iterations=ABRUPT) & wanted.seen[box] & ~wanted.mask[box]
    depth = wanted.middle - float(within.mean())
    step = change = float("nan")
    if around.any() and depth:
        rim = mask & ndimage.binary_dilation(around, iterations=ABRUPT)
        step = float(np.clip((ndvi[around].mean(dtype=np.float64) - ndvi[rim].mean(dtype=np.float64)) / depth, 0, 1))
    if before is not None:
        apart = within - before[box][mask]
        known = apart[np.isfinite(apart)]
        change = float(known.mean()) if len(known) else change
    padded = np.pad(mask, 1)
    perimeter = int(np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1]))
    means = _means(wanted.field.values[:, *box][:, mask].astype(np.float64))
    spread = centre_and_spread(np.sort(within))[1]
    compactness = 4 * np.pi * count / perimeter**2
    return Patch(rings, count, means, float(within.min()), float(within.max()), spread, compactness, step, change, depth)


def _means(values: Floats) -> Floats:
    """Return the means (n,) of rows without their NaN; NaN for a row of nothing else."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    out: Floats = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return out


def _middle(ordered: npt.NDArray[Any]) -> float:
    half = len(ordered) // 2
    return float(ordered[half]) if len(ordered) % 2 else (float(ordered[half - 1]) + float(ordered[half])) / 2
