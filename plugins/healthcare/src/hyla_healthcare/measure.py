"""Measures of masks in the space of the patient: all by the affine, so that oblique and anisotropic volumes come out right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats
from hyla_healthcare.components import Box, box_of

Point = tuple[float, float, float]
Ends = tuple[Point, Point]


class Diameters(NamedTuple):
    """Hold the axes of a lesion.

    Args:
        long, short: in mm.
        long_ends, short_ends: the two ends of each as (x, y, slice) in pixels, as `hyla.frame` counts them: x and y from the
            corner of the first voxel, slices from the centre of slice 0.
    """

    long: float
    short: float
    long_ends: Ends
    short_ends: Ends


def voxel_ml(affine: npt.ArrayLike) -> float:
    """Return the volume of a voxel in ml: the determinant of an affine (4, 4) in mm, so that shear and angle count."""
    return abs(float(np.linalg.det(np.asarray(affine, dtype=np.float64)[:3, :3]))) / 1000


def volume_ml(mask: Bools, affine: npt.ArrayLike) -> float:
    """Return the volume of a mask (D, H, W) in ml, for an affine (4, 4) from (x, y, slice) at voxel centres to mm."""
    return int(np.count_nonzero(mask)) * voxel_ml(affine)


def centroid_mm(mask: Bools, affine: npt.ArrayLike, box: Box | None = None) -> Floats | None:
    """Return the centroid (3,) of a mask (D, H, W) in mm, LPS, or None if nothing is in it."""
    box = box_of(mask) if box is None else box
    if box is None:
        return None
    part = mask[box]
    rows = np.count_nonzero(part, axis=2)  # (D, H)
    total = rows.sum()
    z = (rows.sum(axis=1) * np.arange(rows.shape[0])).sum() / total + box[0].start
    y = (rows.sum(axis=0) * np.arange(rows.shape[1])).sum() / total + box[1].start
    columns = np.count_nonzero(part, axis=(0, 1))
    x = (columns * np.arange(len(columns))).sum() / total + box[2].start
    return np.asarray(np.asarray(affine, dtype=np.float64)[:3] @ (x, y, z, 1.0))


def diameters_mm(mask: Bools, affine: npt.ArrayLike, box: Box | None = None) -> Diameters | None:
    """Return the axes of a mask (D, H, W) as RECIST 1.1 measures a lesion, or None if nothing is in it.

    The long axis is the longest distance between two points of the outline in one slice, over all slices; the short one is the
    longest line at a right angle to it in the same slice (Eisenhauer et al. 2009, Eur J Cancer 45:228; the convex hull stands
    for the lesion). Slices are those of the volume: for RECIST, an axial series.

    The outline passes through the middles of the outer edges of voxels, half way between a centre inside and one outside, as the
    surface mesh of pyradiomics does: one voxel is as long as its spacing, and a diameter is within a voxel of the truth, where
    outer corners would always add to it and centres take from it. The hull is exact, and each pair of its corners is
    compared. Measured on balls of 3 to 40 mm on grids of 1 and of 0.7 x 0.7 x 2.5 mm, the long axis is 0.1 to 0.8 mm too long.

    Args:
        mask: one lesion. In one that lies in pieces, the line may pass from piece to piece.
        affine: (4, 4) from (x, y, slice) at voxel centres to mm.
        box: where the mask is, if known.
    """
    box = box_of(mask) if box is None else box
    if box is None:
        return None
    matrix = np.asarray(affine, dtype=np.float64)[:3, :2]  # one slice: the rest is a shift
    part = mask[box]
    best: tuple[float, int, Floats, int, int] = (0.0, 0, np.zeros((0, 2)), 0, 0)
    reach = np.array([_reach(one, matrix) for one in part])
    for z in np.argsort(-reach, kind="stable"):
        if reach[z] <= best[0]:
            break  # no slice that is left can hold a longer one
        corners = _hull(part[z])
        world = corners @ matrix.T
        apart = np.linalg.norm(world[:, None] - world[None], axis=2)
        i, j = divmod(int(np.argmax(apart)), len(corners))
        if apart[i, j] > best[0]:
            best = float(apart[i, j]), int(z), corners, i, j
    length, z, corners, i, j = best
    across = _across(corners, i, j, matrix)
    short = float(np.linalg.norm((across[1] - across[0]) @ matrix.T))
    corner = np.array([box[2].start + 0.5, box[1].start + 0.5])
    slice_ = float(z + box[0].start)
    return Diameters(length, short, _ends(corners[[i, j]] + corner, slice_), _ends(across + corner, slice_))


def _reach(plane: Bools, matrix: Floats) -> float:
    """Return a length in mm that no line in a mask (H, W) exceeds: the longer diagonal of its box."""
    y, x = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    if not len(y):
        return 0.0
    sides = np.array([[x[-1] - x[0] + 1, y[-1] - y[0] + 1], [x[-1] - x[0] + 1, -(y[-1] - y[0] + 1)]])
    return float(np.linalg.norm(sides @ matrix.T, axis=1).max())


def _hull(plane: Bools) -> Floats:
    """Return the corners x, y (k, 2) of the convex hull of a mask (H, W), anticlockwise, from the centre of its first pixel."""
    from scipy.spatial import ConvexHull

    points = np.concatenate([_sides(plane), _sides(plane.T)[:, ::-1]])
    return np.asarray(points[ConvexHull(points).vertices])


def _sides(plane: Bools) -> Floats:
    """Return the middles x, y of the outermost edges of each row of a mask."""
    rows = np.flatnonzero(plane.any(axis=1))
    first = plane[rows].argmax(axis=1) - 0.5
    last = plane.shape[1] - 0.5 - plane[rows, ::-1].argmax(axis=1)
    return np.stack([np.concatenate([first, last]), np.concatenate([rows, rows]).astype(np.float64)], axis=1)


def _across(corners: Floats, i: int, j: int, matrix: Floats) -> Floats:
    """Return the ends (2, 2) of the longest line in a convex outline (k, 2) at a right angle, in mm, to that from corner i to j.

    Along the longest axis the width of a convex outline is concave, and linear between corners: it is widest at a corner.
    """
    along = (corners[j] - corners[i]) @ matrix.T
    along /= np.linalg.norm(along)
    beside = matrix - np.outer(along, along @ matrix)
    aside = beside[:, np.argmax(np.linalg.norm(beside, axis=0))]
    plane = np.stack([along, aside / np.linalg.norm(aside)], axis=1)
    to_plane = matrix.T @ plane  # from pixels to mm along the axis, and at a right angle to it
    flat = (corners - corners[i]) @ to_plane
    sides = _chain(flat, i, j), _chain(flat, j, i)[::-1]
    at = np.sort(flat[:, 0])
    ends = np.stack([np.stack([at, np.interp(at, *side.T)], axis=1) for side in sides])  # (2, k, 2)
    widest = int(np.argmax(np.abs(ends[1, :, 1] - ends[0, :, 1])))
    return np.asarray(corners[i] + ends[:, widest] @ np.linalg.inv(to_plane))


def _chain(points: Floats, start: int, end: int) -> Floats:
    """Return the corners from one to another in order, round the end of the list if need be."""
    count = (end - start) % len(points)
    return np.asarray(points[(start + np.arange(count + 1)) % len(points)])


def _ends(points: Floats, z: float) -> Ends:
    (ax, ay), (bx, by) = points.tolist()
    return (ax, ay, z), (bx, by, z)
