"""Hold what runs across a photo of a shelf between two straight lines, a rail or a row, and cut it out so that it lies level."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Band:
    """Hold what lies between two straight lines across a part of a picture, in pixels: a rail, or a row of products.

    Args:
        x0, x1: from left to right, x1 exclusive.
        top: y of the upper line at x0 and at x1.
        bottom: y of the lower line at x0 and at x1.
        strength: 0 to 1, how clear its edge is; of a row that of the rail on which it stands, 0 where there is none.
    """

    x0: float
    x1: float
    top: tuple[float, float]
    bottom: tuple[float, float]
    strength: float = 0.0

    def at(self, x: npt.ArrayLike) -> tuple[Floats, Floats]:
        """Return y of the upper and of the lower line at `x`; the lines go on beyond the band."""
        share = (np.asarray(x, dtype=np.float64) - self.x0) / max(self.x1 - self.x0, 1e-9)
        (a, b), (c, d) = self.top, self.bottom
        return a + (b - a) * share, c + (d - c) * share

    @property
    def height(self) -> float:
        """Return the mean height."""
        return (self.bottom[0] + self.bottom[1] - self.top[0] - self.top[1]) / 2


def common(a: Band, b: Band) -> float:
    """Return the share of the narrower one's width that two bands have in common."""
    return (min(a.x1, b.x1) - max(a.x0, b.x0)) / max(min(a.x1 - a.x0, b.x1 - b.x0), 1e-9)


def alongside(a: Band, b: Band) -> float:
    """Return what two bands have in common of the width that they cover together."""
    return (min(a.x1, b.x1) - max(a.x0, b.x0)) / max(max(a.x1, b.x1) - min(a.x0, b.x0), 1e-9)


def drop(a: Band, b: Band, signed: bool = True) -> float:
    """Return how far the line of `b` lies below that of `a`, in the middle of what they share, or how far off if not `signed`."""
    middle = (max(a.x0, b.x0) + min(a.x1, b.x1)) / 2
    far = float(b.at(middle)[1] - a.at(middle)[1])
    return far if signed else abs(far)


def straighten(small: Pixels, row: Band, height: int) -> Pixels:
    """Return what lies in `row` as (height, w, 3), level, with its proportions kept at its mean height."""
    scale = max(row.height, 1.0) / height
    width = max(round((row.x1 - row.x0) / scale), 1)
    x = row.x0 + (np.arange(width) + 0.5) * scale
    top, bottom = row.at(x)
    share = (np.arange(height) + 0.5)[:, None] / height
    y = (top + (bottom - top) * share - 0.5).astype(np.float32)
    across = np.broadcast_to(x - 0.5, y.shape).astype(np.float32)
    return np.asarray(cv2.remap(small, across, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)


def lower(row: Band, share: float) -> Band:
    """Return `row` without its upper `share` (0 to 1)."""
    (a, b), (c, d) = row.top, row.bottom
    return Band(row.x0, row.x1, (a + (c - a) * share, b + (d - b) * share), row.bottom, row.strength)
