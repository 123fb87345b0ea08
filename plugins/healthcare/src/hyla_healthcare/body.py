"""The body in a CT volume, without the table: what other structures are compared with."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Ints
from hyla_healthcare import components

SKIN = -300.0  # HU: about half way between air and fat, in which the skin's blurred edge lies
GRID = 3.0  # mm in a slice at which the body is told from the table
TABLE = 6.0  # mm: half of what the shells of tables and cushions are thinner than
LEAST = 0.01  # share of the largest piece from which another (an arm) is body too


def body(hu: npt.NDArray[Any], spacing: tuple[float, float, float], skin: float = SKIN, table: float = TABLE) -> Bools:
    """Return the mask (D, H, W) of the body in a CT volume of HU, with what lies inside it filled in each slice.

    What is thinner than twice `table` goes, unless it is near something thicker: so the skin stays, and the table, a shell round
    foam, does not. A hole in what is not air is part of the body if most of its rim is, with the wall around it, as lungs are. Of
    what is left, the largest piece is body, and with it every other that has a hundredth of its voxels, as arms do. A table that
    is solid, or a cushion as heavy as fat, counts as body; so does the table's surface where the body lies on it.

    Args:
        hu: (D, H, W).
        spacing: in mm between slices, rows and columns.
        skin: HU above which something is not air.
        table: mm.
    """
    step = [max(1, round(GRID / one)) for one in spacing[1:]]
    grid = (spacing[1] * step[0], spacing[2] * step[1])
    solid = hu[:, :: step[0], :: step[1]] > skin
    pieces = components.find(components.opened(solid, _reach(table, grid)))
    if not len(pieces):
        return np.zeros(hu.shape, dtype=bool)
    kept = pieces.mask(pieces.sizes >= LEAST * pieces.sizes.max())
    region = components.dilated(kept, _reach(table, grid)) & solid
    inner = _held(components.fill_slices(solid) & ~solid, region)
    region |= components.dilated(inner, _reach(2 * table, grid)) & components.dilated(solid, (0, 1, 1))
    wide = np.repeat(np.repeat(components.dilated(region, (0, 1, 1)), step[0], axis=1), step[1], axis=2)
    return components.fill_slices((hu > skin) & wide[:, : hu.shape[1], : hu.shape[2]])


def _held(holes: Bools, region: Bools) -> Bools:
    """Return those pieces of `holes` of whose rim in the slices more than half lies in `region`."""
    from scipy import ndimage

    number, count = ndimage.label(holes)
    rim, inside = np.zeros(count + 1), np.zeros(count + 1)
    for axis in (1, 2):
        one, other = [slice(None)] * 3, [slice(None)] * 3
        one[axis], other[axis] = slice(None, -1), slice(1, None)
        for here, beside in ((tuple(one), tuple(other)), (tuple(other), tuple(one))):
            edge = holes[here] & ~holes[beside]
            at: Ints = number[here][edge]
            rim += np.bincount(at, minlength=count + 1)
            inside += np.bincount(at, weights=region[beside][edge], minlength=count + 1)
    return np.asarray((inside > 0.5 * rim)[number] & holes)


def _reach(radius: float, grid: tuple[float, float]) -> tuple[int, int, int]:
    """Return `radius` mm in voxels of a slice, at least 1."""
    return 0, max(1, math.floor(radius / grid[0])), max(1, math.floor(radius / grid[1]))
