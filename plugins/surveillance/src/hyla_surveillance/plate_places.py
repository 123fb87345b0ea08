"""Guess, without weights, where on a vehicle a number plate may be, so that it is rather hidden in vain than seen."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.review.pixels import flat
from hyla.types import Floats

WIDTH = 240  # pixels to which a vehicle is scaled
LEAST = 48  # pixels of a vehicle's width below which no plate on it can be read: it is less than a third as wide
MOST = 6  # places on one vehicle
SHARES = (0.14, 0.2, 0.28, 0.38)  # widths of plates on vehicles seen from the side to those seen from ahead
SHAPES = (2.0, 3.2, 4.6)  # width by height: two lines, Asia and America, Europe (520 x 110 mm)
APART = 0.12  # of the vehicle's width between two places at least
LARGER = 1.8  # than what fits best, which may leave out letters at an end
BAND = (0.1, 0.35, 0.9, 0.97)  # x0, y0, x1, y1 of a box, as shares, where plates of a vehicle seen from ahead or behind are


def places(pixels: npt.NDArray[Any], vehicles: Floats) -> Floats:
    """Return boxes (k, 4), in pixels, in which plates of vehicles (n, 4) may be: the lower middle, and what looks like writing.

    Writing is a part as wide and high as a plate, with as many edges from dark to light as from light to dark along its rows, and
    fewer around it. Lamps and grilles look like that too, and are hidden as well. Vehicles less than 48 pixels wide are left out.

    Args:
        pixels: (H, W, C) of any type.
        vehicles: (n, 4) boxes in pixels.
    """
    height, width = pixels.shape[:2]
    box = np.clip(np.rint(vehicles), 0, [width, height, width, height])
    found = []
    for x0, y0, x1, y1 in box[box[:, 2] - box[:, 0] >= LEAST].astype(int):
        if y1 - y0 < LEAST / 4:
            continue
        corner, size = np.array([x0, y0, x0, y0]), np.array([x1 - x0, y1 - y0] * 2)
        found.append((corner + size * BAND)[None])
        found.append(corner + writing(flat(np.asarray(pixels[y0:y1, x0:x1]))))
    return np.concatenate(found) if found else np.zeros((0, 4))


def writing(crop: npt.NDArray[np.uint8]) -> Floats:
    """Return boxes (k, 4) of a vehicle (h, w) or (h, w, 3) that look like writing, the surest first, six at most."""
    grey = crop if crop.ndim == 2 else cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    scale = WIDTH / grey.shape[1]
    size = WIDTH, max(round(grey.shape[0] * scale), 8)
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    edge = cv2.Sobel(cv2.GaussianBlur(small, (3, 3), 0), cv2.CV_32F, 1, 0, ksize=3)
    strong = float(np.percentile(np.abs(edge), 90)) + 8  # 8: noise of a plain door is no writing
    up, down = (np.clip(one / strong, 0, 1) for one in (edge, -edge))
    high = small.shape[0]
    row, column = np.arange(high)[:, None] / high, np.abs(np.arange(WIDTH)[None] / WIDTH - 0.5)
    likely = np.where(row < 0.35, 0.3, 1.0) * (1 - 0.5 * column)  # low, and in the middle
    rows = [one for share in SHARES for shape in SHAPES for one in _best(up, down, likely, round(share * WIDTH), shape)]
    kept: list[tuple[float, float, float, float, float]] = []
    for one in sorted(rows, reverse=True):
        near = [max(abs(one[1] - k[1]), abs(one[2] - k[2])) < APART * WIDTH for k in kept]
        if not any(near) and len(kept) < MOST:
            kept.append(one)
    boxes = [[x - LARGER * w / 2, y - LARGER * h / 2, x + LARGER * w / 2, y + LARGER * h / 2] for _, x, y, w, h in kept]
    return np.asarray(np.array(boxes, dtype=np.float64).reshape(-1, 4) / scale)


def _best(
    up: npt.NDArray[Any], down: npt.NDArray[Any], likely: Floats, wide: int, shape: float
) -> list[tuple[float, float, float, float, float]]:
    """Return the three best (score, middle x, middle y, width, height) of one size."""
    high = max(round(wide / shape), 5)
    if high >= up.shape[0]:
        return []
    rising, falling = (cv2.blur(one, (wide, high), borderType=cv2.BORDER_CONSTANT) for one in (up, down))
    wider = 1.3 * 2.2  # the surroundings, as multiples of the area
    around = cv2.blur(up + down, (round(wide * 1.3), round(high * 2.2)), borderType=cv2.BORDER_CONSTANT)
    score = (2 * np.minimum(rising, falling) - 0.6 * (around * wider - rising - falling) / (wider - 1)) * likely
    x, y = wide // 2, high // 2
    score[:, :x] = score[:, WIDTH - x :] = score[:y] = score[score.shape[0] - y :] = 0
    found = []
    for _ in range(3):
        row, column = divmod(int(score.argmax()), WIDTH)
        if score[row, column] <= 0:
            break
        found.append((float(score[row, column]), float(column), float(row), float(wide), float(high)))
        score[max(row - high, 0) : row + high, max(column - x, 0) : column + x] = 0
    return found
