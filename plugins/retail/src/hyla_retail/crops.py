"""Cut what labels are about out of a picture, as RGB of 8 bits, without the white paper around a packshot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats
from hyla_retail.pictures import bytes_of

Pixels = npt.NDArray[np.uint8]

PAPER = (
    235  # grey value from which a border counts as white paper: packshots are cut out to 255 and come back from JPEG a bit darker
)
BORDER = 0.9  # share of the border that must be paper


def rgb(pixels: npt.NDArray[Any]) -> Pixels:
    """Return (h, w, 3) uint8 of a picture (h, w, c) of any dtype with 1, 3 or more bands, of which the first three are taken."""
    part = bytes_of(pixels)
    return np.repeat(part[:, :, :1], 3, axis=2) if part.shape[2] < 3 else part[:, :, :3]


def cut(pixels: npt.NDArray[Any], boxes: Floats) -> list[Pixels]:
    """Return what lies in each of the boxes (n, 4), in pixels: whole pixels, one at least, inside the picture."""
    height, width = pixels.shape[:2]
    low = np.floor(np.asarray(boxes, dtype=np.float64).reshape(-1, 4)[:, :2])
    high = np.ceil(np.asarray(boxes, dtype=np.float64).reshape(-1, 4)[:, 2:])
    low = np.clip(low, 0, (max(width - 1, 0), max(height - 1, 0))).astype(np.int64)
    high = np.clip(high, low + 1, (max(width, 1), max(height, 1))).astype(np.int64)
    return [rgb(pixels[y0:y1, x0:x1]) for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True)]


def on_paper(pixels: Pixels) -> Bools | None:
    """Return (h, w) True where white paper lies around a product, or None where there is none around it.

    Paper is white that hangs together with the border, so that white on the pack itself is none, unless nothing parts the two.
    """
    import cv2

    height, width = pixels.shape[:2]
    if min(height, width) < 8:
        return None
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    if (border.min(axis=1) >= PAPER).mean() < BORDER:
        return None
    white = cv2.inRange(np.ascontiguousarray(pixels), np.full(3, PAPER), np.full(3, 255))
    _, parts = cv2.connectedComponents(white, connectivity=4)
    outside = np.zeros(int(parts.max()) + 1, dtype=bool)
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        outside[edge] = True
    outside[0] = False
    paper: Bools = outside[parts]
    return None if paper.all() else paper


def trim(pixels: Pixels) -> Pixels:
    """Return the picture without the white paper around the product, or as it is where there is none."""
    paper = on_paper(pixels)
    if paper is None:
        return pixels
    rows, columns = np.flatnonzero(~paper.all(axis=1)), np.flatnonzero(~paper.all(axis=0))
    if min(rows[-1] - rows[0], columns[-1] - columns[0]) < 8:  # a speck
        return pixels
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
