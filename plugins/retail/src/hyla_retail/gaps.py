"""Tell which parts of a row of products are empty: only the wall behind, or the dark, shows."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats

LOW = 0.8  # share of the height that is even from above, from which on a column is empty
EVEN = 24.0  # grey levels of spread at which an empty place looks half sure


def empty(strip: npt.NDArray[np.uint8], tops: Floats) -> npt.NDArray[np.bool_]:
    """Return (w,) which columns of `strip` (h, w, 3) are empty.

    Args:
        strip: a row of products, straightened.
        tops: (w,) the row where something begins in each column, from above; see `facings`.
    """
    return np.asarray(tops >= LOW * strip.shape[0])


def runs(hollow: npt.NDArray[np.bool_], least: int) -> list[tuple[int, int, bool]]:
    """Return (start, end, empty) of the stretches of a row that are empty or not, from the left.

    Joints and scratches of the wall do not end an empty stretch, and one narrower than `least` columns belongs to what is beside
    it: a slit between packs is for the seams to see.
    """
    if not len(hollow):
        return []
    kernel, wide = np.ones(least // 2 | 1, np.uint8), np.ones((1, least | 1), np.uint8)  # odd, so that nothing is shifted
    padded = cv2.copyMakeBorder(hollow.astype(np.uint8)[None], 0, 0, least, least, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel[None])
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, wide)[0, least:-least] > 0
    cuts = [0, *(np.flatnonzero(np.diff(opened)) + 1).tolist(), len(opened)]
    return [(a, b, bool(opened[a])) for a, b in pairwise(cuts)]


def score(part: npt.NDArray[np.uint8]) -> float:
    """Return how sure it is that `part` (h, w, 3) of a row is empty, 0 to 1, by how even its columns are."""
    spread = float(np.abs(part.astype(np.int16) - np.median(part, axis=1, keepdims=True)).mean())
    return float(0.9 / (1 + spread / EVEN))
