"""Bring any picture into the form that finding needs: three colours, 8 bits, and no larger than asked."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def overview(pixels: npt.NDArray[Any], longest: int) -> tuple[Pixels, float]:
    """Return `pixels` (H, W, C) of any type as (h, w, 3) uint8 with a longer side of at most `longest`, and the scale h / H.

    Reduced by averaging over areas, never enlarged. Of four and more bands the first three are taken, of one three are made;
    integers of more than 8 bits keep their high byte, floating-point numbers from 0 to 1 are spread over 0 to 255.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    part = bytes_of(pixels)
    if part.shape[2] != 3:
        part = np.ascontiguousarray(part[:, :, :3] if part.shape[2] > 3 else np.repeat(part[:, :, :1], 3, axis=2))
    if scale < 1:
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return part, scale


def bytes_of(pixels: npt.NDArray[Any]) -> Pixels:
    """Return `pixels` as uint8, themselves if they are."""
    kind = pixels.dtype.kind
    if pixels.dtype == np.uint8:
        return pixels  # also a part of a picture, which cv2 reads where it lies
    if kind == "b":
        return np.asarray(pixels, dtype=np.uint8) * np.uint8(255)
    if kind in "ui":
        high = np.maximum(pixels, 0)
        return np.asarray(high >> max(8 * pixels.dtype.itemsize - 8 - (kind == "i"), 0), dtype=np.uint8)
    known = np.nan_to_num(pixels.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = 1.0 if known.size == 0 or known.max() <= 1 else 255.0
    return np.asarray(np.clip(known / top * 255, 0, 255), dtype=np.uint8)
