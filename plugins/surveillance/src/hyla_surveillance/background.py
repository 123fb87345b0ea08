"""Learn what a camera sees when nobody is there, and tell what stands before it (MOG2: Zivkovic 2004, 2006)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]  # (H, W), 0 or 255

SHADOW = 127  # what MOG2 calls a shadow
DARKEST = 0.5  # a shadow leaves at least this share of the light; OpenCV's default
BEGIN = 2.0  # seconds over which the first frames are averaged
LIGHT = (0.6, 1.6)  # by how much the light of the whole picture may change at once before it is another picture
DULL = 0.04  # a change of light below this is left to the model to learn
ANEW = 0.6  # share of the picture that differs, from which the background is begun again
FLICKER = 0.4  # changes per second of a pixel from which it belongs to something that waves, and is learnt
FLICKER_OVER = 20.0  # seconds over which changes are counted


class Background:
    """Hold the background of one camera at one size.

    What is protected (people, things that were put down) is not learnt, however long it stands. What flickers (leaves, water, a
    screen) is learnt even so. The light of the whole picture may change at once: colours are compared after scaling each channel
    by the median ratio to the background, a gain that a camera's exposure and clouds explain.

    Args:
        history: seconds in which a change that nothing protects becomes background.
        threshold: squared distance, in variances, from which a pixel is none of the background.
    """

    def __init__(self, history: float = 60.0, threshold: float = 20.0) -> None:
        self._model: Any = cv2.createBackgroundSubtractorMOG2(500, threshold, True)
        self._model.setShadowThreshold(DARKEST)
        self._model.setNMixtures(4)
        self.history, self.threshold = history, threshold
        self.age = 0.0
        self.picture: Pixels | None = None
        self._often: npt.NDArray[np.float32] | None = None
        self._before: Mask | None = None

    def compare(self, pixels: Pixels) -> tuple[Pixels, Mask] | None:
        """Return the picture (H, W, 3) in the light of the background, and a mask of 0, SHADOW and 255; None at another scene.

        Nothing is learnt.
        """
        if self.picture is None:
            return pixels, np.zeros(pixels.shape[:2], np.uint8)
        lit = self._in_its_light(pixels)
        if lit is None:
            return None
        mask: Mask = self._model.apply(lit, learningRate=0)
        if np.count_nonzero(mask == 255) > ANEW * mask.size:
            return None
        return lit, mask

    def learn(self, pixels: Pixels, mask: Mask, protected: Mask, step: float) -> None:
        """Learn a picture that `compare` gave, except where it is protected.

        Args:
            pixels: (H, W, 3).
            mask: of `compare`.
            protected: (H, W), 255 where nothing is to be learnt.
            step: seconds since the last picture.
        """
        self.age += step
        rate = min(1.0, step / min(self.history, max(self.age, step)))
        if self.picture is None or self.age < BEGIN:
            protected = np.zeros_like(protected)
        else:
            protected = np.asarray(
                cv2.bitwise_and(protected, cv2.bitwise_not(above(self._flicker(mask, step), FLICKER))), np.uint8
            )
        self._model.apply(pixels, protected, None, min(rate, 0.99))
        self._take()

    def heal(self, pixels: Pixels, where: Mask) -> None:
        """Take what the picture shows at `where` (H, W, 255) for background at once: a ghost of what has left."""
        protected = cv2.bitwise_not(where)
        for _ in range(4):  # the weight of what was there falls below a hundredth
            self._model.apply(pixels, protected, None, 0.7)
        self._take()

    def _take(self) -> None:
        self.picture = np.asarray(self._model.getBackgroundImage(), dtype=np.uint8)

    def _in_its_light(self, pixels: Pixels) -> Pixels | None:
        assert self.picture is not None
        few, there = (p[4::8, 4::8].reshape(-1, 3).astype(np.float32) for p in (pixels, self.picture))
        seen = (there.min(axis=1) > 16) & (few.min(axis=1) > 4) & (few.max(axis=1) < 250)
        if np.count_nonzero(seen) < 32:
            return pixels
        gain = np.median(few[seen] / there[seen], axis=0)
        if not (LIGHT[0] < gain.min() and gain.max() < LIGHT[1]):
            return None
        if np.abs(gain - 1).max() < DULL:
            return pixels
        table = np.clip(np.arange(256)[:, None] / gain + 0.5, 0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(pixels, table.reshape(256, 1, 3)), dtype=np.uint8)

    def _flicker(self, mask: Mask, step: float) -> npt.NDArray[np.float32]:
        """Return how often each pixel came and went lately, per second."""
        now = above(mask, 254)
        if self._often is None or self._before is None:
            self._often, self._before = np.zeros(mask.shape, np.float32), now
        keep = float(np.exp(-step / FLICKER_OVER))
        changes = cv2.bitwise_xor(now, self._before)
        # Each change adds 1 / FLICKER_OVER, so that a steady rate comes out as that rate.
        self._often = np.asarray(cv2.addWeighted(self._often, keep, changes, 1 / 255 / FLICKER_OVER, 0, dtype=cv2.CV_32F))
        self._before = now
        return self._often


def above(values: npt.NDArray[Any], level: float) -> Mask:
    """Return where (H, W; 0 or 255) `values` (H, W) are more than `level`."""
    return np.asarray(cv2.threshold(values, level, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)
