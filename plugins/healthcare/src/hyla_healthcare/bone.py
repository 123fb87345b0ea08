"""Bone in a CT volume of HU: dense shells, and what they enclose."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.types import Bools
from hyla_healthcare import components
from hyla_healthcare.lungs import Place

MARROW = 90.0  # HU above which what a shell of bone encloses is bone as well; muscle and the spinal cord lie below
SPECK = 12.0  # mm2 of a hole in the marrow that is filled: noise


def bone(hu: npt.NDArray[Any], body: Bools, place: Place, limit: float, dense: float, least_ml: float, close_mm: float) -> Bools:
    """Return the mask (D, H, W) of bone: pieces above `limit` HU with a dense shell, closed, and the marrow they enclose.

    A piece counts if a fiftieth of it is above `dense` HU: cortical bone is, vessels and kidneys with iodine mostly are not. What
    touches bone is taken for bone, such as a vessel with iodine or calcium in it. Gaps in the shell up to twice `close_mm` are
    closed in each slice.

    Args:
        hu: (D, H, W).
        body: (D, H, W); nothing outside it is bone.
        place: of the volume.
        limit: HU of a candidate.
        dense: HU that cortical bone reaches.
        least_ml: least volume of a piece.
        close_mm: half of the widest gap in a shell.
    """
    bright = (hu > limit) & body
    pieces = components.find(bright, "corners")
    if not len(pieces):
        return bright
    shell = hu > dense
    hard = components.counts(pieces, shell)
    keep = (pieces.sizes * place.voxel_ml >= least_ml) & (hard >= 0.02 * pieces.sizes)
    found = pieces.mask(keep)
    box = components.box_of(found)
    if box is None:
        return found
    _, y, x = place.reach(close_mm)
    part = np.pad(found[box], ((0, 0), (y, y), (x, x)))
    whole = components.fill_slices(components.closed(part, (0, y, x)))[:, y:-y, x:-x]
    found[box] |= whole & (hu[box] > MARROW) & body[box]
    found[box] = components.fill_slices(found[box], SPECK / (place.spacing[1] * place.spacing[2]))
    return found
