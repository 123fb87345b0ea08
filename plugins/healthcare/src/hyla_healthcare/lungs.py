"""Lungs, airway and nodules in a CT volume of HU, by thresholds and shape."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats, Ints
from hyla_healthcare import components
from hyla_healthcare.components import Components

Volume = npt.NDArray[Any]
PURE = -950.0  # HU: gas without tissue has a median below, lungs have not
BASE = -900.0  # HU: as well for the base of a lung alone, since small bubbles have much blurred edge
LUMEN = -700.0  # HU of the airway's inside, apart from its blurred edge
VESSEL = 150.0  # mm2: a hole in a slice of a lung up to this is a vessel
ENCLOSED = 20.0  # ml of what a lung encloses and takes in: a ball of 34 mm, since nodules are at most 30
GRID = 3.0  # mm at which the two lungs are told apart where they touch
WIND = -930.0  # HU of gas in the bronchi; of lung, only in emphysema
BRONCHI, LEAK = 60.0, 40.0  # mm below the end of the trachea, and ml, up to which bronchi are followed
AIRWAY_AREA = (30.0, 700.0)  # mm2 of a trachea in one slice, child to adult
AIRWAY_LENGTH, AIRWAY_WIDTH, AIRWAY_STEP = 20.0, 35.0, 6.0  # mm: least length, greatest width, greatest shift between slices


class Place(NamedTuple):
    """Tell where a volume lies.

    Args:
        affine: (4, 4) from (x, y, slice) at voxel centres to mm, LPS.
        spacing: mm between slices, rows and columns.
        middle: (D,) LPS x in mm of the body's middle in each slice.
    """

    affine: Floats
    spacing: tuple[float, float, float]
    middle: Floats

    @property
    def voxel_ml(self) -> float:
        """Return the volume of a voxel."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000

    def reach(self, mm: float) -> tuple[int, int, int]:
        """Return a distance in voxels of each axis, at least 1 in the slice."""
        z, y, x = self.spacing
        return int(mm / z), max(1, round(mm / y)), max(1, round(mm / x))

    def left(self, z: npt.ArrayLike, y: npt.ArrayLike, x: npt.ArrayLike) -> Bools:
        """Tell of voxels whether they are on the patient's left."""
        a = self.affine[0]
        at = np.asarray(z)
        return np.asarray(a[0] * np.asarray(x) + a[1] * np.asarray(y) + a[2] * at + a[3] > self.middle[at.astype(np.int64)])


def airway(hu: Volume, body: Bools, place: Place, edge: float) -> Bools:
    """Return the trachea and what of the bronchi can be followed; empty if there is none.

    The trachea is the longest chain of round lumens, one per slice, near the middle of the body. The bronchi are the gas without
    tissue in it that hangs together with it, up to 60 mm from its lower end; where that leaks into the lungs, only the trachea
    stays. HU below `edge` around the trachea's lumen belong to it.
    """
    z_mm, y_mm, x_mm = place.spacing
    lumen = components.find((hu < LUMEN) & body, "slice")
    if not len(lumen):
        return np.zeros(hu.shape, dtype=bool)
    z, _, y0, y1, x0, x1 = lumen.bounds().T
    area, high, wide = lumen.sizes * y_mm * x_mm, (y1 - y0) * y_mm, (x1 - x0) * x_mm
    y, x = (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2
    aside = np.abs(
        place.affine[0, 0] * x + place.affine[0, 1] * y + place.affine[0, 2] * z + place.affine[0, 3] - place.middle[z]
    )
    fits = (area >= AIRWAY_AREA[0]) & (area <= AIRWAY_AREA[1]) & (np.maximum(high, wide) <= AIRWAY_WIDTH)
    fits &= (np.maximum(high, wide) <= 2 * np.minimum(high, wide)) & (area >= 0.6 * high * wide) & (aside <= AIRWAY_WIDTH)
    chain = _chain(np.flatnonzero(fits), z, y * y_mm, x * x_mm, area)
    if (len(chain) - 1) * z_mm < AIRWAY_LENGTH:
        return np.zeros(hu.shape, dtype=bool)
    keep = np.zeros(len(lumen), dtype=bool)
    keep[chain] = True
    inside = lumen.mask(keep)
    tube = components.dilated(inside, (0, 1, 1)) & body & (hu < edge)
    end, other = (z[chain].min(), z[chain].max()) if place.affine[2, 2] > 0 else (z[chain].max(), z[chain].min())
    far = int(BRONCHI / z_mm)
    low, high = (max(0, end - far), other + 1) if end <= other else (other, end + far + 1)
    gas = (hu[low:high] < WIND) & body[low:high]
    tree = _joined(gas | inside[low:high], inside[low:high])
    if np.count_nonzero(tree & ~inside[low:high]) * place.voxel_ml <= LEAK:
        tube[low:high] |= tree
    return np.asarray(tube)


def _joined(mask: Bools, seed: Bools) -> Bools:
    """Return the pieces of `mask` that hang together with `seed`, a part of it."""
    pieces = components.find(mask)
    return pieces.mask(components.counts(pieces, seed) > 0)


def _chain(rows: Ints, z: Ints, y: npt.NDArray[Any], x: npt.NDArray[Any], area: npt.NDArray[Any]) -> Ints:
    """Return the longest chain of pieces, each in the slice after the last one's, near it, and of about its area."""
    length, before = np.ones(len(z), dtype=np.int64), np.full(len(z), -1)
    by_slice = {int(at): rows[z[rows] == at] for at in np.unique(z[rows])}
    for at in sorted(by_slice):
        last = by_slice.get(at - 1)
        if last is None:
            continue
        for one in by_slice[at]:
            near = np.hypot(y[last] - y[one], x[last] - x[one]) <= AIRWAY_STEP
            near &= (area[last] < 2 * area[one]) & (area[one] < 2 * area[last])
            if near.any():
                best = last[near][np.argmax(length[last[near]])]
                length[one], before[one] = length[best] + 1, best
    if not len(rows):
        return rows
    chain = [int(rows[np.argmax(length[rows])])]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.array(chain, dtype=np.int64)


def lungs(hu: Volume, air: Bools, body: Bools, place: Place, least_ml: float, close_mm: float) -> tuple[Bools, Bools]:
    """Return the masks of the left and the right lung of the patient, with the vessels in them; one that is not there is empty.

    Lungs are the pieces of `air` of at least `least_ml` whose median is not that of pure gas; of one that the upper end of the
    volume cuts, a tenth of that is enough. Where left and right are one piece, since they touch or by the main bronchi, they are
    parted: worn off until they fall apart, each voxel then goes to the nearer rest. Gaps up to twice `close_mm` are closed.
    """
    pieces = components.find(air)
    z0, z1 = pieces.bounds()[:, :2].T
    cut = z1 == len(air) if place.affine[2, 2] > 0 else z0 == 0
    ml = pieces.sizes * place.voxel_ml
    large = [int(i) for i in np.flatnonzero((ml >= least_ml) | (cut & (ml >= least_ml / 10)))]
    limits = np.where(ml >= least_ml, PURE, BASE)
    sides = [np.zeros(hu.shape, dtype=bool), np.zeros(hu.shape, dtype=bool)]
    for i in large:
        one = pieces.mask(np.arange(len(pieces)) == i)
        box = components.box_of(one)
        if box is None or np.median(hu[box][one[box]]) <= limits[i]:
            continue
        share = _left_share(one, place)
        if 0.1 < share < 0.9:
            left = _parted(one, place)
            sides[0] |= one & left
            sides[1] |= one & ~left
        else:
            sides[0 if share >= 0.9 else 1] |= one
    whole = [_closed(one, place, close_mm) & body for one in sides]
    both = whole[0] & whole[1]
    return whole[0] & ~both & ~sides[1] | sides[0], whole[1] & ~both & ~sides[0] | sides[1]


def _left_share(mask: Bools, place: Place) -> float:
    step = [max(1, round(GRID / one)) for one in place.spacing]
    z, y, x = (at * n for at, n in zip(np.nonzero(mask[tuple(slice(None, None, n) for n in step)]), step, strict=True))
    return float(place.left(z, y, x).mean()) if len(z) else 0.0


def _parted(mask: Bools, place: Place) -> Bools:
    """Return for each voxel of the volume whether it goes to the left lung; see `lungs`."""
    from scipy import ndimage

    step = [max(1, round(GRID / one)) for one in place.spacing]
    coarse = mask[tuple(slice(None, None, n) for n in step)]
    total = np.count_nonzero(coarse)
    where = np.ogrid[tuple(slice(None, n) for n in coarse.shape)]
    left = place.left(*(at * n for at, n in zip(where, step, strict=True)))
    seeds = np.zeros(coarse.shape, dtype=np.int8)
    for reach in range(1, 6):
        pieces = components.find(components.eroded(coarse, (reach // 2, reach, reach)))
        rest = [int(i) for i in np.flatnonzero(pieces.sizes >= 0.02 * total)]
        parts = [pieces.mask(np.arange(len(pieces)) == i) for i in rest]
        shares = [float(left[part].mean()) for part in parts]
        if not any(0.1 < share < 0.9 for share in shares):
            for part, share in zip(parts, shares, strict=True):
                seeds[part] = 1 if share >= 0.9 else 2
            break
    if (seeds == 1).any() and (seeds == 2).any():
        nearest = ndimage.distance_transform_edt(
            seeds == 0,
            sampling=[a * b for a, b in zip(place.spacing, step, strict=True)],
            return_distances=False,
            return_indices=True,
        )
        left = seeds[tuple(nearest)] == 1
    for axis, n in enumerate(step):
        left = np.repeat(left, n, axis=axis)
    return np.asarray(left[tuple(slice(None, n) for n in mask.shape)])


def _closed(mask: Bools, place: Place, mm: float) -> Bools:
    """Return a lung with its vessels, and nodules that it encloses; the top of the liver, round which it lies, stays out."""
    box = components.box_of(mask)
    out = mask.copy()
    if box is not None:
        _, y, x = place.reach(mm)
        whole = components.closed(np.pad(mask[box], ((1, 1), (y, y), (x, x))), (0, y, x))
        whole = components.fill_slices(whole, VESSEL / (place.spacing[1] * place.spacing[2]))
        out[box] = components.fill(whole, ENCLOSED / place.voxel_ml)[1:-1, y:-y, x:-x]
    return out


def nodules(hu: Volume, lung: Bools, place: Place, limit: float, size_mm: tuple[float, float]) -> list[tuple[Bools, float]]:
    """Return candidates for nodules, as masks with how round they are, from 0 to 1, the roundest first.

    A candidate is a piece in the lungs brighter than `limit` HU, about as wide as high as deep, and of a size, that of a ball of
    its volume, in `size_mm`. One that touches a vessel or the wall is part of that, and so is not found.
    """
    pieces = components.find((hu > limit) & lung)
    if not len(pieces):
        return []
    spans = np.diff(pieces.bounds().reshape(-1, 3, 2), axis=2)[:, :, 0] * np.array(place.spacing)
    ball = np.cbrt(6 * pieces.sizes * place.voxel_ml * 1000 / np.pi)
    rounds = np.minimum(1, ball / spans.max(axis=1)) * np.minimum(1, spans.min(axis=1) / ball)
    fits = (ball >= size_mm[0]) & (ball <= size_mm[1]) & (rounds >= 0.5) & (pieces.sizes >= 4)
    order = np.flatnonzero(fits)[np.argsort(-rounds[fits], kind="stable")]
    return [(_touched(pieces, int(i), hu, lung), float(rounds[i])) for i in order]


def _touched(pieces: Components, number: int, hu: Volume, lung: Bools) -> Bools:
    """Return the mask of one piece with the half-filled voxels around it."""
    mask = pieces.mask(np.arange(len(pieces)) == number)
    box = components.box_of(mask)
    assert box is not None
    wide = tuple(slice(max(0, one.start - 1), one.stop + 1) for one in box)
    half = (np.median(hu[mask]) + np.median(hu[lung])) / 2
    mask[wide] |= components.dilated(mask[wide], (0, 1, 1)) & lung[wide] & (hu[wide] > half)
    return mask
