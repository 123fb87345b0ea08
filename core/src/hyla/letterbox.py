"""Fit a picture into the input of a network without changing its proportions, and bring boxes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.errors import StageError
from hyla.types import Image

GREY = (114, 114, 114)  # the padding that YOLO networks were trained with
Pixels = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Say how one picture is scaled and padded.

    It depends on the picture alone, never on its neighbours in a batch: that is what makes labels independent of the batch.

    Args:
        size: (height, width) of the picture.
        scaled: (height, width) after scaling.
        canvas: (height, width) of the network's input.
    """

    size: tuple[int, int]
    scaled: tuple[int, int]
    canvas: tuple[int, int]

    @classmethod
    def of(cls, size: tuple[int, int], target: tuple[int, int], stride: int = 32, fixed: bool = False) -> Letterbox:
        """Fit `size` into `target` (height, width), larger or smaller, and pad to the next multiple of `stride`.

        With `fixed` the canvas is `target` itself, as networks exported for one size need it. The arithmetic is that of
        ultralytics' LetterBox for a batch of one (sides rounded, at least 1 pixel).
        """
        ratio = min(target[0] / size[0], target[1] / size[1])
        scaled = max(round(size[0] * ratio), 1), max(round(size[1] * ratio), 1)
        gap = target[0] - scaled[0], target[1] - scaled[1]
        if not fixed:
            gap = gap[0] % stride, gap[1] % stride
        return cls(size, scaled, (scaled[0] + gap[0], scaled[1] + gap[1]))

    @property
    def corner(self) -> tuple[int, int]:
        """Return (top, left) of the picture on the canvas; of an odd gap the larger half is below and to the right."""
        return (self.canvas[0] - self.scaled[0]) // 2, (self.canvas[1] - self.scaled[1]) // 2

    def apply(self, pixels: Pixels) -> Pixels:
        """Return the canvas (H, W, 3) that holds `pixels` (h, w, 3); `pixels` themselves where they fit as they are."""
        (height, width), (top, left) = self.scaled, self.corner
        if self.scaled != self.size:
            pixels = _array(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR))
        below, right = self.canvas[0] - height - top, self.canvas[1] - width - left
        if self.canvas != self.scaled:
            pixels = _array(cv2.copyMakeBorder(pixels, top, below, left, right, cv2.BORDER_CONSTANT, value=GREY))
        return np.ascontiguousarray(pixels)

    def restore(self, boxes: Boxes) -> Boxes:
        """Return boxes (n, 4) of the canvas in pixels of the picture, cut off at its edges."""
        top, left = self.corner
        gain_y, gain_x = self.scaled[0] / self.size[0], self.scaled[1] / self.size[1]
        shift = np.array([left, top, left, top], dtype=np.float32)
        gain = np.array([gain_x, gain_y, gain_x, gain_y], dtype=np.float32)
        height, width = self.size
        limit = np.array([width, height, width, height], dtype=np.float32)
        return np.asarray(np.clip((boxes - shift) / gain, 0, limit), dtype=np.float32)


def rgb(image: Image) -> Pixels:
    """Return the pixels (H, W, 3) of a picture in RGB or grey; raise StageError for any other."""
    pixels = image.pixels
    if image.volume or pixels.dtype != np.uint8 or pixels.shape[2] not in (1, 3):
        raise StageError(f"the detector reads 8-bit pictures in RGB or grey, got {pixels.dtype} of shape {pixels.shape}")
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _array(pixels: Any) -> Pixels:
    return np.asarray(pixels, dtype=np.uint8)
