"""Cut a raster into even regions with strong outlines, so that the answer at a place depends on its surroundings only.

The edge strength of a pixel is the change across it in units of the step that two neighbouring fields differ by. Pixels below a
threshold form regions; a higher threshold joins them, unless what it joins was already cut into sound parts, or is too large or
too ragged. At last regions grow towards each other by a few pixels, along the least edge: a watershed of limited reach. It is
written out here, since the queue of a general watershed breaks ties by the order of entry, which differs between tiles.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from hyla.types import Bools, Floats, Ints

Array = npt.NDArray[Any]
# Reflectance by which two neighbouring fields differ, at least, where their border is plain to see. Chosen by eye on Sentinel-2.
STEPS = {
    **{"blue": 0.02, "green": 0.02, "red": 0.025, "gray": 0.03},
    **{"rededge1": 0.03, "rededge2": 0.05, "rededge3": 0.05, "nir": 0.05, "nir08": 0.05, "swir16": 0.04, "swir22": 0.04},
    **{"ndvi": 0.1},
}
SIGMA = 0.8  # pixels by which values are smoothed
REACH = 4  # pixels to which the smoothing looks
LEVELS = (0.2, 0.3, 0.45, 0.7, 1.0, 1.4, 2.0)  # thresholds of edge strength
GROW = 3  # pixels by which regions grow towards each other
FILL = 0.7  # share of the ellipse of equal moments that a region must fill to be left whole: 0.95 for rectangles
LEAST_FILL = 0.4  # below which it is no field at all
COVERED = 0.6  # share of a region that its parts must cover to take its place, or one part to be all of it
WATER = 0.15  # reflectance in the near infrared below which a negative NDVI is water and not bare soil
NEAR = 4  # pixels at which a region may still matter to how a border is simplified
MARGIN = 2 * REACH + 3 * GROW + 4  # pixels beyond a region on which its outline may depend


def features(bands: Sequence[str]) -> list[tuple[str, float]]:
    """Return which of `bands` tell fields apart, and the step of each; bands of further dates end in a number: `red_2`."""
    known = [(band, STEPS.get(re.sub(r"_\d+$", "", band), 0.0)) for band in bands]
    return [(band, step) for band, step in known if step] or [(band, STEPS["gray"]) for band in bands[:3]]


def pairs(bands: Sequence[str]) -> list[tuple[str, str]]:
    """Return the (red, nir) of each date that has both."""
    return [(band, "nir" + band[3:]) for band in bands if re.fullmatch(r"red(_\d+)?", band) and "nir" + band[3:] in bands]


def edge_strength(read: Callable[[str], Array], clear: Bools, bands: Sequence[str]) -> tuple[Array, Bools]:
    """Return the edge strength (h, w), NaN where nothing is known, and the mask of what may be a field: known, and no water.

    It is the greatest change, over bands, dates and NDVI, of smoothed values between the neighbours at either side of a pixel.

    Args:
        read: returns the reflectance (h, w) of a band, NaN where there is none.
        clear: mask of the pixels that are neither cloud nor shadow.
        bands: that `read` knows.
    """
    strongest = np.full(clear.shape, -1, np.float32)
    ground = np.ones(clear.shape, np.bool_)
    smooth: dict[str, Array] = {}
    paired = pairs(bands)
    kept = {band for pair in paired for band in pair}
    for band, step in features(bands):
        value, known = smoothed(read(band), clear)
        ground &= known
        np.maximum(strongest, slope(value) / np.float32(step), out=strongest)
        if band in kept:
            smooth[band] = value
    for red, nir in paired:
        total = smooth[nir] + smooth[red]
        ndvi = np.divide(smooth[nir] - smooth[red], total, out=np.zeros_like(total), where=total > 0.02)
        np.maximum(strongest, slope(np.clip(ndvi, -1, 1)) / np.float32(STEPS["ndvi"]), out=strongest)
        ground &= ~((ndvi < 0) & (smooth[nir] < WATER))
    strongest[strongest < 0] = np.nan
    return strongest, ground


def smoothed(value: Array, clear: Bools) -> tuple[Array, Bools]:
    """Return values (h, w) averaged over near pixels that are known, and which are known themselves."""
    known = np.isfinite(value) & clear
    weight = _gauss(known.astype(np.float64))
    total = _gauss(np.where(known, value, 0).astype(np.float64))
    mean = np.divide(total, weight, out=np.full(total.shape, np.nan), where=weight > 1e-3)
    return mean, known


def _gauss(value: Array) -> Array:
    return np.asarray(ndimage.gaussian_filter(value, SIGMA, mode="constant", radius=REACH - 1))


def slope(value: Array) -> npt.NDArray[np.float32]:
    """Return the change (h, w) that a step between two even areas would have where it is steepest; NaN counts as no change."""
    framed = np.pad(value, 1, mode="edge")
    across = (framed[1:-1, 2:] - framed[1:-1, :-2]) / 2
    down = (framed[2:, 1:-1] - framed[:-2, 1:-1]) / 2
    size = np.sqrt(np.nan_to_num(across) ** 2 + np.nan_to_num(down) ** 2)
    return np.asarray(size * STEEPEST, np.float32)


# A step of 1 between pixels, smoothed and measured over two pixels, is this much less steep.
_kernel = np.exp(-0.5 * (np.arange(-REACH + 1, REACH) / SIGMA) ** 2)
STEEPEST = float(2 / (_kernel / _kernel.sum())[REACH - 2 : REACH].sum())


def regions(strength: Array, ground: Bools, largest: int, least: int) -> npt.NDArray[np.int32]:
    """Return the numbered regions (h, w) of even ground, before they grow; none is wider or higher than `largest` pixels."""
    label = np.zeros(strength.shape, np.int32)
    for level in LEVELS:
        found, count = ndimage.label(ground & (strength < level))
        if not count:
            continue
        area, fill, fits = _measure(found, count, largest)
        held, most = _parts(found, label, count)
        whole = (held < COVERED * area) | ((fill >= FILL) & (most >= COVERED * area))
        keep = fits & (area >= least) & (fill >= LEAST_FILL) & whole
        keep[0] = False
        mine = keep[found]
        np.copyto(label, found + label.max(), where=mine)
    return label


def _parts(found: Array, label: Array, count: int) -> tuple[Ints, Ints]:
    """Return how many pixels of the regions 0 to `count` earlier regions hold, in all and the largest of them alone."""
    here = label > 0
    pair, size = np.unique(found[here].astype(np.int64) * (int(label.max()) + 1) + label[here], return_counts=True)
    owner = pair // (int(label.max()) + 1)
    most = np.zeros(count + 1, np.int64)
    np.maximum.at(most, owner, size)
    return np.bincount(owner, size, count + 1).astype(np.int64), most


def _measure(found: Array, count: int, largest: int) -> tuple[Ints, Floats, Bools]:
    """Return area, fill and whether it is small enough, of the regions 0 to `count`."""
    row, column = np.nonzero(found)
    number = found[row, column]
    area = np.bincount(number, minlength=count + 1)
    boxes = ndimage.find_objects(found, count)
    side = np.array([0, *(max(box[0].stop - box[0].start, box[1].stop - box[1].start) for box in boxes)])
    origin = np.array([(0, 0), *((box[0].start, box[1].start) for box in boxes)])
    # From its own corner, so that sums of whole numbers are exact, wherever the region lies.
    y, x = row - origin[number, 0], column - origin[number, 1]
    safe = np.maximum(area, 1)
    sums = [np.bincount(number, w, minlength=count + 1) / safe for w in (y, x, y * y, x * x, x * y)]
    yy, xx, xy = sums[2] - sums[0] ** 2 + 1 / 12, sums[3] - sums[1] ** 2 + 1 / 12, sums[4] - sums[0] * sums[1]
    fill = area / (4 * np.pi * np.sqrt(np.maximum(xx * yy - xy**2, 1e-9)))
    return area, fill, side <= largest


def grown(label: Array, strength: Array, ground: Bools) -> npt.NDArray[np.int32]:
    """Return the regions grown by up to GROW pixels over `ground`: each pixel joins the one that it reaches over the least edge.

    Of equal ones it takes the one above, then left, right and below.
    """
    cost = np.where(label > 0, np.float32(0), np.float32(np.inf))
    label = label.astype(np.int32)
    free = ground & (label == 0)
    for _ in range(GROW):
        best, owner = cost.copy(), label.copy()
        for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            there = np.maximum(_moved(cost, dy, dx, np.inf), strength)
            better = free & (there < best)
            best[better] = there[better]
            owner[better] = _moved(label, dy, dx, 0)[better]
        cost, label = best, owner
    return label


def _moved(value: Array, dy: int, dx: int, fill: float) -> Array:
    """Return what each pixel has at (dy, dx) from it."""
    out = np.full_like(value, fill)
    h, w = value.shape
    out[max(-dy, 0) : h - max(dy, 0), max(-dx, 0) : w - max(dx, 0)] = value[
        max(dy, 0) : h - max(-dy, 0), max(dx, 0) : w - max(-dx, 0)
    ]
    return out


def contrast(label: Array, strength: Array) -> Floats:
    """Return how strong the outline of each region 0 to n is, 0 to 1: 1 - edge strength inside / edge strength along it.

    Inside is two pixels from the outline, or one where there is no such pixel. Where the outline itself is half a step it is less
    by half, and it is 0 where nothing is known of outline or inside.
    """
    count = int(label.max()) + 1
    border = _along(label)
    deep = ~border & ~_along(np.where(border, 0, label))
    known = np.isfinite(strength)
    mean = {
        name: _mean(label, strength, known & mask, count)
        for name, mask in {"along": border, "near": ~border, "deep": deep}.items()
    }
    along, within = np.nan_to_num(mean["along"]), np.where(np.isnan(mean["deep"]), mean["near"], mean["deep"])
    share = np.divide(within, along, out=np.ones(count), where=along > 0)
    return np.asarray(np.clip(1 - np.nan_to_num(share, nan=1.0), 0, 1) * np.minimum(along, 1))


def near(label: Array, chosen: Bools) -> tuple[npt.NDArray[np.int32], tuple[int, int]]:
    """Return the part of `label` that holds the `chosen` regions and those within NEAR pixels of them, and its first pixel."""
    mine = chosen[label]
    around = ndimage.maximum_filter(mine, 2 * NEAR + 1, mode="constant")
    others = np.zeros(len(chosen), np.bool_)
    others[label[around]] = True
    kept = np.where(others[label], label, 0)
    row, column = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    return kept[row[0] : row[-1] + 1, column[0] : column[-1] + 1], (int(row[0]), int(column[0]))


def _along(label: Array) -> Bools:
    """Return the mask of the pixels with one of another region beside them."""
    border = np.zeros(label.shape, np.bool_)
    for dy, dx in ((-1, 0), (0, -1), (0, 1), (1, 0)):
        border |= _moved(label, dy, dx, -1) != label
    return border


def _mean(label: Array, value: Array, mask: Bools, count: int) -> Floats:
    number = np.bincount(label[mask], minlength=count)
    return np.asarray(
        np.divide(np.bincount(label[mask], value[mask], count), number, out=np.full(count, np.nan), where=number > 0)
    )
