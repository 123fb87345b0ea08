"""Outline an object from clicks without weights: grow a region of like brightness, and cut it where clicks say so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.types import Bools, Click, Image, Rle
from hyla_healthcare import components
from hyla_healthcare.components import Box
from hyla_healthcare.structures import spacing

REACHES = (30.0, 90.0)  # mm around the clicks within which to look; the second where the object goes beyond the first
AROUND = 3  # pixels at each side of a click from which the brightness of the object is taken
NOISE = 15  # pixels at each side of a click in which noise is measured
SPREADS = 2.0  # robust standard deviations that the average of 3 x 3 may be off
EDGE = 3.5  # times that, for a pixel of the rim, which is not averaged
LEAST_SHARE = 0.02  # of the range of brightness around: as much may always be off
MOST = 3_000_000  # voxels of a box; of more, each second pixel of a slice is taken, or third...
COARSE = 500_000  # voxels of a box in which a region is cut
NARROW, SPECK = 8, 20  # voxels: half of the widest bridge that is looked for, and what is too small to be meant by a click
CUT = 30.0  # mm from an outside click, or pixels of a picture, that go at most
Voxel = tuple[int, int, int]


def refine(image: Image, clicks: Sequence[Click], mask: Rle | None = None) -> Rle | None:
    """Return the mask of one object in a volume (D, H, W) or a picture (H, W, C).

    From each inside click a region grows of pixels, averaged over 3 x 3, whose brightness is within 2 standard deviations
    (robust) of that around the click; in a picture, the root of the mean square over its channels is. It must hang together,
    holes in slices are filled, and bridges of a pixel or two are cut. Outside clicks in it take off the part they are in, as far
    as the next narrow place and at most 30 mm. What it finds lies within 90 mm of the clicks; where that is more than 3 million
    voxels, the outline is that of each second or third pixel.

    Args:
        image: of any modality.
        clicks: at pixels; those beyond the image count for nothing.
        mask: what is there now; the regions are added to it, and outside clicks cut it too.

    Returns:
        The mask, or None without a mask and without an inside click.
    """
    size = image.size if image.volume else (1, *image.size)
    values = image.pixels[..., None] if image.volume else image.pixels[None]
    inside, outside = _voxels(clicks, size, True), _voxels(clicks, size, False)
    if not inside and mask is None:
        return None
    grid = spacing(image)
    whole = np.zeros(size, dtype=bool) if mask is None else geometry.decode(mask).reshape(size)
    for seed in inside:
        _grow(whole, values, seed, grid, image.volume)
    _cut(whole, inside, outside, grid)
    return geometry.encode(whole if image.volume else whole[0])


def _voxels(clicks: Sequence[Click], size: Sequence[int], inside: bool) -> list[Voxel]:
    at = [(int(c.z), int(np.floor(c.y)), int(np.floor(c.x))) for c in clicks if c.inside == inside]
    return [one for one in at if all(0 <= i < n for i, n in zip(one, size, strict=True))]


def _grow(whole: Bools, values: npt.NDArray[Any], seed: Voxel, grid: tuple[float, float, float], volume: bool) -> None:
    """Add the region around `seed` to `whole` (D, H, W)."""
    for reach in REACHES:
        far = [max(1, int(reach / one)) if volume else n for one, n in zip(grid, whole.shape, strict=True)]
        box = tuple(slice(max(0, i - n), min(i + n + 1, end)) for i, n, end in zip(seed, far, whole.shape, strict=True))
        at = [i - one.start for i, one in zip(seed, box, strict=True)]
        # Every nth voxel, such that the click is one of them.
        step = max(1, math.ceil(math.sqrt(whole[box].size / MOST)))
        thin = (slice(None), *(slice(i % step, None, step) for i in at[1:]))
        region = _region(values[box][thin], (at[0], at[1] // step, at[2] // step))
        cut = [
            (axis, end)
            for axis, one in enumerate(box)
            for end, at_end in ((0, 0), (-1, whole.shape[axis]))
            if (one.start, one.stop)[end] != at_end
        ]
        if not any(region.take(end, axis).any() for axis, end in cut):
            break
    if step > 1:
        for axis in (1, 2):
            nearest = (np.arange(whole[box].shape[axis]) - at[axis] % step + step // 2) // step
            region = region.take(np.clip(nearest, 0, region.shape[axis] - 1), axis)
    whole[box] |= region


def _region(values: npt.NDArray[Any], at: tuple[int, ...]) -> Bools:
    """Return what hangs together with voxel `at` in `values` (D, H, W, C) and is as bright as its surroundings."""
    from scipy import ndimage

    z, y, x = at
    off, off_rim = np.zeros(values.shape[:3], dtype=np.float32), np.zeros(values.shape[:3], dtype=np.float32)
    for channel in range(values.shape[3]):
        plane = np.ascontiguousarray(values[..., channel], dtype=np.float32)
        smooth = ndimage.uniform_filter1d(ndimage.uniform_filter1d(plane, 3, axis=1), 3, axis=2)
        centre, spread = _brightness(smooth[z], y, x)
        low, high = np.percentile(smooth[z], (1, 99))
        width = max(SPREADS * spread, LEAST_SHARE * float(high - low), 1e-6)
        off += ((smooth - centre) / width) ** 2
        off_rim += ((plane - centre) / (EDGE * width)) ** 2
    alike, wide = off <= values.shape[3], off_rim <= values.shape[3]
    alike[at] = True
    thin = components.opened(alike, (0, 1, 1))
    region = _piece(thin if thin[at] else alike, at)
    region |= components.dilated(region, (0, 1, 1)) & wide  # the rim, which the average blurs
    return components.fill_slices(region)


def _brightness(plane: npt.NDArray[np.float32], y: int, x: int) -> tuple[float, float]:
    """Return the brightness of the object at pixel (y, x) of a smooth slice, and its standard deviation.

    Of the pixels around, the half that is most alike counts: the other may be beyond the edge. It has 0.32 standard deviations as
    median distance from its own median if all are of the object, and 0.67 if just that half is: 0.45 errs either way. The noise
    around, from differences that are small where there is no edge, is the least.
    """
    near = plane[max(0, y - AROUND) : y + AROUND + 1, max(0, x - AROUND) : x + AROUND + 1]
    half = near.ravel()[np.argsort(np.abs(near - plane[y, x]), axis=None)[: near.size // 2 + 1]]
    for _ in range(5):
        half = near.ravel()[np.argsort(np.abs(near - np.median(half)), axis=None)[: near.size // 2 + 1]]
    centre = float(np.median(half))
    around = plane[max(0, y - NOISE) : y + NOISE + 1, max(0, x - NOISE) : x + NOISE + 1]
    steps = np.abs(around[:, 3:] - around[:, :-3])
    noise = float(np.percentile(steps, 25)) / 0.451 if steps.size else 0.0  # 0.3186 times the root of 2, of normal noise
    return centre, max(float(np.median(np.abs(half - centre))) / 0.45, noise)


def _piece(mask: Bools, at: tuple[int, ...]) -> Bools:
    """Return the connected piece of `mask` that voxel `at` is in."""
    pieces = components.find(mask)
    z, y, x = (i - one.start for i, one in zip(at, pieces.box, strict=True))
    height, width = (one.stop - one.start + 1 for one in pieces.box[1:])
    run = int(np.searchsorted(pieces.starts, (z * height + y) * width + x, side="right")) - 1
    return pieces.mask(np.arange(len(pieces)) == pieces.label[run])


def _cut(whole: Bools, inside: list[Voxel], outside: list[Voxel], grid: tuple[float, float, float]) -> None:
    """Take from `whole` the parts in which the outside clicks lie, as far as the narrowest place before an inside click."""
    outside = [one for one in outside if whole[one]]
    box = components.box_of(whole)
    if not outside or box is None:
        return
    part = whole[box]
    step = max(1, math.ceil(math.sqrt(part.size / COARSE)))
    steps = (1, min(step, part.shape[1]), min(step, part.shape[2]))
    coarse = part[:: steps[0], :: steps[1], :: steps[2]].copy()
    kept, cut = (_coarse(places, box, steps, coarse.shape) for places in (inside, outside))
    for at in (*kept, *cut):
        coarse[at] = True
    cell = [a * b for a, b in zip(grid, steps, strict=True)]
    gone = np.zeros(coarse.shape, dtype=bool)
    for at in cut:
        gone |= _arm(coarse, at, kept, cell)
    for axis, n in enumerate(steps):
        gone = np.repeat(gone, n, axis=axis)
    part &= ~gone[tuple(slice(None, n) for n in part.shape)]
    for one in outside:
        whole[one] = False
    if any(whole[one] for one in inside):  # what is left without a click goes with what was cut
        whole &= np.logical_or.reduce([_piece(whole, one) for one in inside if whole[one]])


def _arm(mask: Bools, at: Voxel, kept: Sequence[Voxel], cell: Sequence[float]) -> Bools:
    """Return what to take off at voxel `at`: what is nearer to it than to the kept voxels, within 30 mm, beyond a narrow place.

    What is narrow goes first, wider and wider, until the piece that `at` is in holds no kept voxel: it is either narrow itself,
    or joined to the rest by what is. Without a narrow place, all that is near goes.
    """
    places = np.indices(mask.shape).transpose(1, 2, 3, 0) * cell
    away, *others = (np.square(places - np.multiply(one, cell)).sum(axis=3) for one in (at, *kept))
    near: Bools = mask & (away < CUT**2)
    for other in others:
        near &= away < other
    for reach in range(1, NARROW):
        deep, high, wide = (max(int(n > 1), round(reach * min(cell) / one)) for one, n in zip(cell, mask.shape, strict=True))
        core = components.opened(mask, (deep, high, wide))
        piece = _piece(core if core[at] else mask & ~core, at)
        if np.count_nonzero(piece) >= SPECK and not any(piece[one] for one in kept):
            return piece & near
    return near


def _coarse(places: Sequence[Voxel], box: Box, steps: Sequence[int], shape: Sequence[int]) -> list[Voxel]:
    """Return where voxels lie in the coarse grid of `box`."""
    out = []
    for at in places:
        z, y, x = (min(max((i - one.start) // n, 0), end - 1) for i, one, n, end in zip(at, box, steps, shape, strict=True))
        out.append((z, y, x))
    return out
