"""Tell how the camera moved from one picture of a clip to the next."""

from __future__ import annotations

from typing import Any

import numpy as np

from hyla.types import Floats, Image

WIDTH = 640  # pixels to which wider pictures are reduced
CORNERS, APART = 500, 6  # so many at most, and so many pixels between them
LEAST = 8  # corners, fewer of which say nothing
AGREE = 0.5  # share of corners that must move as one: less is a cut, or a covered camera


class CameraMotion:
    """Remember the last picture, and follow the corners of what stands still in it (pyramidal Lucas and Kanade)."""

    def __init__(self) -> None:
        self._last: Any = None
        self._corners: Any = None

    def update(self, image: Image, box: Floats) -> Floats | None:
        """Return (2, 3) what takes pixels of the last picture to those of this one: shift, turn and scale.

        Args:
            image: the next one.
            box: (n, 4) of what moves in it by itself, where no corner is taken.

        Returns:
            None for the first picture, one that is no picture, and where too little is found again.
        """
        import cv2

        if image.volume or image.pixels.dtype != np.uint8 or min(image.size) < 32 or image.pixels.shape[2] not in (1, 3):
            self._last = None
            return None
        pixels = np.asarray(image.pixels)
        scale = min(1.0, WIDTH / pixels.shape[1])
        grey: Any = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.shape[2] == 3 else np.ascontiguousarray(pixels[:, :, 0])
        if scale < 1:
            grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        last, corners = self._last, self._corners
        still = np.full(grey.shape, 255, np.uint8)
        for x0, y0, x1, y1 in np.clip(box * scale, 0, max(grey.shape)).astype(int).tolist():
            still[y0:y1, x0:x1] = 0
        self._last = grey
        self._corners = cv2.goodFeaturesToTrack(grey, CORNERS, 0.01, APART, mask=still)
        if last is None or corners is None or last.shape != grey.shape:
            return None
        found, there, _ = cv2.calcOpticalFlowPyrLK(last, grey, corners, None)  # type: ignore[call-overload]
        good = there.ravel() == 1
        if np.count_nonzero(good) < LEAST:
            return None
        matrix, agree = cv2.estimateAffinePartial2D(corners[good], found[good], method=cv2.RANSAC, ransacReprojThreshold=1.5)
        if matrix is None or agree.mean() < AGREE:
            return None
        moved = np.asarray(matrix, dtype=np.float64)
        moved[:, 2] /= scale
        return moved
