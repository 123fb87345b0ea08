"""Tell how tall a person is in the picture by the row that the feet are in."""

from __future__ import annotations

import numpy as np

from hyla.types import Floats
from hyla_surveillance.camera import Camera

PERSON = 1.7  # metres
FEW, MANY = 20, 400  # people's boxes from which a fit is made, and which are remembered
AGAIN = 20  # new boxes between fits
REACH = 0.15  # share of the picture's height that feet must span, for a slope to be told


class Perspective:
    """Hold the height of a person, in pixels, by row: from the camera's ground, or learnt from people who walk alone.

    The height grows by a line with the row of the feet, as it does for a level camera over level ground; the line is the median
    of slopes (Theil and Sen), which groups and things that pass for people don't spoil.

    Args:
        size: (height, width) of the picture.
        camera: for pictures of that size; its ground, if it has one, is believed and nothing is learnt.
    """

    def __init__(self, size: tuple[int, int], camera: Camera | None = None) -> None:
        self.size = size
        self._slope, self._offset = 0.0, 0.3 * size[0]
        self._seen: list[tuple[float, float]] = []
        self._new = 0
        self._table = None if camera is None or camera.homography is None else _by_ground(camera, size)
        self.known = self._table is not None

    def height(self, rows: Floats) -> Floats:
        """Return the height (n,) in pixels of people whose feet are at `rows` (n,); a guess until it is `known`."""
        if self._table is not None:
            return np.asarray(self._table[np.clip(rows, 0, self.size[0] - 1).astype(np.int64)])
        return np.asarray(np.clip(self._slope * rows + self._offset, 0.02 * self.size[0], 1.5 * self.size[0]))

    def learn(self, rows: Floats, heights: Floats) -> None:
        """Learn from people (n,) who were seen whole and alone."""
        if self._table is not None or not len(rows):
            return
        self._seen = (self._seen + list(zip(rows.tolist(), heights.tolist(), strict=True)))[-MANY:]
        self._new += len(rows)
        if len(self._seen) >= FEW and self._new >= AGAIN:
            self._new = 0
            self._fit()

    def _fit(self) -> None:
        row, height = np.array(self._seen).T
        order = np.argsort(row, kind="stable")
        row, height = row[order], height[order]
        third = max(1, len(row) // 3)
        low, high = slice(None, third), slice(-third, None)
        span = float(np.median(row[high]) - np.median(row[low]))
        if span > REACH * self.size[0]:
            rise = row[high, None] - row[None, low]
            apart = rise > 0.5 * span
            slopes = ((height[high, None] - height[None, low])[apart]) / rise[apart]
            self._slope = max(0.0, float(np.median(slopes))) if len(slopes) else 0.0
        else:
            self._slope = float(np.median(height) / max(np.median(row), 1.0))  # as if the horizon were the upper edge
        self._offset = float(np.median(height - self._slope * row))
        self.known = True


def _by_ground(camera: Camera, size: tuple[int, int]) -> Floats | None:
    """Return (rows,) the height of a person in pixels: what as many metres measure across the picture there."""
    rows = np.arange(size[0]) + 0.5
    middle = np.full_like(rows, size[1] / 2)
    left, right = (camera.to_ground(np.column_stack([middle + d, rows])) for d in (-0.5, 0.5))
    metres = np.hypot(*(right - left).T)
    seen = np.isfinite(metres) & (metres > 1e-6)
    if not seen.any():
        return None
    height = np.interp(rows, rows[seen], PERSON / metres[seen])
    return np.asarray(np.clip(height, 0.02 * size[0], 1.5 * size[0]))
