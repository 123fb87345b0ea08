"""Find price labels on the rail of a shelf: patches lighter than the rail, or of another colour, about as high as it is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from hyla_retail.bands import Band, straighten

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]

HEIGHT = 48  # rows of a straightened rail, with what is around it
ABOVE, BELOW = 0.1, 0.3  # of the height of the rail that labels may hang over it
LOW, LEAST = 0.5, 6.0  # least height of a label, in heights of the rail, and in pixels
ASPECT = (0.8, 5.0)  # width of a label in its heights
PAPER = 0.4  # least share of its box that is no print
FULL = 0.6  # least share of its box that a label fills
APART = 20.0  # grey levels by which a label is lighter than the rail beside it, or differs from it in any colour
RAIL = 40  # percentile of a row of pixels, from dark to light, at which the rail is still seen beside its labels
MANY, SAME = 4, 0.15  # labels of a photo that show what form its labels have, and how far widths and heights may differ
BRIDGE = 0.2  # of the height: dark print of this width does not part a label


def find(small: Pixels, rail: Band) -> list[tuple[Box, float]]:
    """Return box (x0, y0, x1, y1, in pixels) and score of the price labels on `rail` of a picture (H, W, 3), from the left.

    The score is the share of its box that a label fills. A rail of one line, without height, shows none.
    """
    if rail.height < LEAST:
        return []
    (a, b), (c, d) = rail.top, rail.bottom
    up, down = ABOVE * rail.height, BELOW * rail.height
    wide = Band(rail.x0, rail.x1, (a - up, b - up), (c + down, d + down))
    strip = straighten(small, wide, HEIGHT)
    if strip.shape[1] < HEIGHT // 2:
        return []
    light = cv2.GaussianBlur(strip, (3, 3), 0).astype(np.int16)
    beside = np.percentile(light, RAIL, axis=1, keepdims=True)
    differs = light - beside
    other = np.abs(differs).max(axis=2) > APART  # with the dark print of a label on a light rail
    lighter = other & (differs.mean(axis=2) > -APART / 2)
    scale = wide.height / HEIGHT
    found: list[tuple[Box, float]] = []
    for mask in (other, lighter):  # without the print, where it ties a label to what is around it
        for x, y, w, h, full in _patches(mask):
            middle = (y + h / 2) / HEIGHT * (1 + ABOVE + BELOW) - ABOVE  # 0 at the top of the rail, 1 at its bottom
            if not 0 < middle < 1 or h * scale < LEAST or lighter[y : y + h, x : x + w].mean() < PAPER:
                continue
            x0, x1 = wide.x0 + x * scale, wide.x0 + (x + w) * scale
            top = float(wide.at((x0 + x1) / 2)[0])
            if all(min(x1, known[2]) <= max(x0, known[0]) for known, _ in found):
                found.append(((x0, top + y * scale, x1, top + (y + h) * scale), full))
    return sorted(found)


def joined(rails: Sequence[Sequence[tuple[Box, float]]]) -> list[tuple[Box, float]]:
    """Return the labels of all rails, pieces of one label joined where its large print parts it.

    Labels of a photo have one form, if a third of them, and four, are about as wide and high as each other. Neighbours on a rail
    that together have this form are one label. What stays narrower than that is less sure, in proportion.
    """
    sizes = np.array([(x1 - x0, y1 - y0) for found in rails for (x0, y0, x1, y1), _ in found]).reshape(-1, 2)
    form = _form(sizes)
    if form is None:
        return [one for found in rails for one in found]
    out = []
    for found in rails:
        left = sorted(found)
        while left:
            first = left.pop(0)
            box, full = first
            for count in range(len(left), 0, -1):
                pieces = [first, *left[:count]]
                whole = _around([piece for piece, _ in pieces])
                if abs((whole[2] - whole[0]) / form[0] - 1) <= SAME and whole[3] - whole[1] <= (1 + 2 * SAME) * form[1]:
                    box, full = whole, max(share for _, share in pieces)
                    del left[:count]
                    break
            out.append((box, full * min((box[2] - box[0]) / form[0], 1.0)))
    return out


def _form(sizes: npt.NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the (width, height) that most of the labels (n, 2) have, or None where they are of many forms."""
    if len(sizes) < MANY:
        return None
    like = np.asarray((np.abs(sizes[:, None] / np.maximum(sizes[None], 1) - 1) <= SAME).all(axis=2))
    best = int(like.sum(axis=0).argmax())
    alike = sizes[like[:, best]]
    return None if len(alike) < max(MANY, len(sizes) / 3) else (float(np.median(alike[:, 0])), float(np.median(alike[:, 1])))


def _around(boxes: Sequence[Box]) -> Box:
    """Return the box around all of these."""
    x0, y0, x1, y1 = np.array(boxes).T
    return float(x0.min()), float(y0.min()), float(x1.max()), float(y1.max())


def _patches(mask: npt.NDArray[np.bool_]) -> list[tuple[int, int, int, int, float]]:
    """Return x, y, width, height and filled share of the patches of `mask` (HEIGHT, w) that have the form of a label."""
    least = LOW * HEIGHT / (1 + ABOVE + BELOW)
    steps = (
        (cv2.MORPH_CLOSE, 1, BRIDGE * HEIGHT),
        (cv2.MORPH_OPEN, 0.7 * least, 1),
        (cv2.MORPH_OPEN, 1, 0.7 * least),
    )
    opened = mask.astype(np.uint8)
    for how, high, wide in steps:
        opened = np.asarray(cv2.morphologyEx(opened, how, np.ones((max(round(high), 1), max(round(wide), 1)), np.uint8)))
    _, _, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    out = []
    for x, y, w, h, area in stats[1:].tolist():
        full = area / max(w * h, 1)
        if h >= least and y + h < HEIGHT and ASPECT[0] <= w / h <= ASPECT[1] and full >= FULL:
            out.append((x, y, w, h, full))
    return out
