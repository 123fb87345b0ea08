"""Propose vehicles without weights: what moves before a camera that stands still, and dark undersides on the road.

Both are rough. A shadow of a tree can pass for a vehicle, a white lorry with light under it for none; scores say so, none being
over 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats
from hyla_driving import markings
from hyla_driving.markings import Pixels

BEST = 0.5  # the highest score: no proposal of this kind is sure
LANE = 2.5  # width of a lane in camera heights, where no lane was found: 3.5 m for a camera at 1.4 m
FARTHEST = 0.015  # of the picture's height below the horizon, from where on vehicles are sought
SPREAD = 2.5  # lanes to each side of the middle of the ego lane in which vehicles are sought
DARK = 0.7  # of the road's lightness, below which something may be the underside of a vehicle (Tzomakas and von Seelen 1998)
WIDE, USUAL, VARY = (0.25, 0.9), 0.53, 0.12  # a vehicle's width in lanes: bounds, middle and deviation (1.8 m in a lane of 3.4 m)
TALL = 0.8  # height of a vehicle from behind, in its widths
STILL = (0.6, 0.004, 0.02)  # a standing camera: share of points that agree, change of scale, shift in shares of the width
STANDS = np.array([[1.0, 0, 0], [0, 1, 0]])
LEAST = 12  # corners, fewer of which say nothing about the camera
MOVED = 12.0  # levels of 255 by which a pixel changes at least when something moves over it
LEARN, KEEP = 0.05, 0.005  # share of each frame that goes into the background: elsewhere, and where something moves
SMALL = 0.0015  # of the picture's area: the least that is taken for a vehicle


@dataclass(frozen=True)
class Gauge:
    """Tell how wide a lane is in a row (`grow` x (row - `horizon`) pixels) and where its middle is (a parabola in the row)."""

    grow: float
    horizon: float
    middle: Floats

    @classmethod
    def of(cls, left: Floats | None, right: Floats | None, size: tuple[int, int], horizon: float) -> Gauge:
        """Build one from the two lines (k, 2) of the ego lane, or from the expected horizon where there is no pair of them."""
        width = size[1]
        if left is not None and right is not None:
            top, bottom = max(left[:, 1].min(), right[:, 1].min()), min(left[:, 1].max(), right[:, 1].max())
            rows = np.linspace(top, bottom, 32)
            if bottom > top + 8:
                a, b = (np.interp(rows, *line[np.argsort(line[:, 1])].T[::-1]) for line in (left, right))
                grow, offset = np.polyfit(rows, b - a, 1)
                if grow > 0.5:
                    return cls(float(grow), float(-offset / grow), np.polyfit(rows, (a + b) / 2, 2))
        return cls(LANE, horizon, np.array([0.0, 0.0, width / 2]))


def contrast(pixels: Pixels, gauge: Gauge) -> tuple[Floats, Floats]:
    """Return boxes (n, 4) and scores (n,) of what is dark at the bottom, as wide as a vehicle there, and has upright sides.

    The underside is the lowest part that is darker than the road ahead; the box stands on it. Score: half of how usual its width
    is, times the lesser share of rows with an edge at its left and right side, times the share of columns with an edge across.
    """
    height, width = pixels.shape[:2]
    none = np.zeros((0, 4)), np.zeros(0)
    top = max(0, int(gauge.horizon + FARTHEST * height))
    if height - top < 20:
        return none
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    rows = np.arange(top, height)
    lane: Floats = gauge.grow * (rows.astype(np.float64) - gauge.horizon)
    middle: Floats = np.polyval(gauge.middle, rows).astype(np.float64)
    level, noise = _road(grey[top:], middle, lane)
    if not level.max() > 0:
        return none
    off = np.abs(np.arange(width, dtype=np.float32) - middle[:, None].astype(np.float32))
    darker = np.minimum(DARK * level, level - 3.5 * noise)
    dark = ((grey[top:] < darker[:, None].astype(np.float32)) & (off < (SPREAD * lane)[:, None].astype(np.float32))).astype(
        np.uint8
    )
    runs = markings.cuts(dark)
    share = runs.width / lane[runs.row.astype(int)]
    fits = (share > WIDE[0]) & (share < WIDE[1])
    row, left, right = runs.row[fits].astype(int), (runs.column - runs.width / 2)[fits], (runs.column + runs.width / 2)[fits]
    wide = np.zeros_like(dark)
    for y, a, b in zip(row, left.astype(int), right.astype(int), strict=True):
        wide[y, a:b] = 1
    pieces = cv2.connectedComponents(wide)[1][row, (left + right).astype(int) // 2]
    upright = np.abs(cv2.Sobel(grey, cv2.CV_16S, 1, 0))
    across = np.abs(cv2.Sobel(grey, cv2.CV_16S, 0, 1))
    least = max(24.0, 6 * noise)
    boxes, scores = [], []
    for piece in np.unique(pieces):
        mine = pieces == piece
        bottom = int(row[mine].max())
        low = mine & (row > bottom - max(2.0, 0.12 * lane[bottom]))
        if np.count_nonzero(low) < 2:
            continue
        a, b = float(np.median(left[low])), float(np.median(right[low]))
        ground = top + bottom + 1
        roof = max(0, round(ground - TALL * (b - a)))
        usual = float(np.exp(-0.5 * (((b - a) / lane[bottom] - USUAL) / VARY) ** 2))
        sides = min(_edge(upright[roof:ground] > least, x, 0.12 * (b - a)) for x in (a, b))
        body = across[roof : max(roof + 1, round(ground - 0.15 * (b - a))), int(a) : max(int(b), int(a) + 1)] > least
        boxes.append((a, float(roof), b, float(ground)))
        scores.append(BEST * usual * sides * float(body.any(axis=0).mean()))
    return np.array(boxes).reshape(-1, 4), np.array(scores)


def _road(grey: Any, middle: Floats, lane: Floats) -> tuple[Floats, float]:
    """Return the lightness (rows,) of the road, and the usual difference from it, from levels of 255.

    Lightness may fall or rise with distance, as it does before headlights: a line through the medians of rows of the ego lane, by
    the median of slopes between its nearer and its farther half (Theil and Sen), which a car in the lane does not spoil.
    """
    height = len(grey)
    rows = np.linspace(0.15 * height, height - 1, 32).astype(int)
    cuts = [grey[y, max(0, int(middle[y] - 0.4 * lane[y])) : max(0, int(middle[y] + 0.4 * lane[y]))] for y in rows]
    seen = [(y, float(np.median(cut)), cut) for y, cut in zip(rows, cuts, strict=True) if len(cut) >= 8]
    if len(seen) < 8:
        return np.zeros(height), 0.0
    y, values = np.array([one[0] for one in seen], dtype=np.float64), np.array([one[1] for one in seen])
    half = len(y) // 2
    slope = float(np.median((values[half:, None] - values[:half]) / (y[half:, None] - y[:half])))
    offset = float(np.median(values - slope * y))
    level = np.clip(offset + slope * np.arange(height), 0.5 * np.median(values), 2 * np.median(values))
    rest = np.concatenate([np.abs(cut[::4] - level[int(row)]) for row, _, cut in seen])
    return level, 1.4826 * float(np.median(rest))


def _edge(edges: npt.NDArray[np.bool_], x: float, reach: float) -> float:
    """Return the share of rows that have an edge within `reach` (2 pixels at least) of column `x`."""
    half = max(2.0, reach)
    near = edges[:, max(0, int(x - half)) : int(x + half) + 1]
    return float(near.any(axis=1).mean()) if near.size else 0.0


@dataclass
class Motion:
    """Remember the background of one clip, and tell what moves before it; nothing while the camera itself moves on.

    A shake or a slow turn of the camera is taken out: the background is moved along by what corners between the last frame and
    this one have in common. Where fewer than 60 % of the corners agree, as on a drive, the background is begun again.
    """

    width: int = 480
    background: npt.NDArray[np.float32] | None = None
    last: Any = None  # the last frame, and where something stood before the background in it
    before: Any = None
    seen: int = 0

    def update(self, pixels: Pixels) -> tuple[Floats, Floats]:
        """Return boxes (n, 4) and scores (n,) of what moves in the next frame."""
        none = np.zeros((0, 4)), np.zeros(0)
        scale = min(1.0, self.width / pixels.shape[1])
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        small = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        grey = cv2.GaussianBlur(small, (5, 5), 0)
        last, self.last = self.last, small
        if last is None or self.background is None or last.shape != small.shape:
            return self._begin(grey, none)
        shift = _shift(last, small, self.before)
        if shift is None:
            return self._begin(grey, none)
        background = cv2.warpAffine(self.background, shift, size, borderMode=cv2.BORDER_REPLICATE)
        previous = cv2.GaussianBlur(cv2.warpAffine(last, shift, size, borderMode=cv2.BORDER_REPLICATE), (5, 5), 0)
        known = cv2.warpAffine(np.ones_like(grey), shift, size) > 0  # not the edge that comes into view
        background = np.where(known, background, grey)
        off = np.where(known, cv2.absdiff(grey, _exposed(background, grey)), 0)
        usual = float(np.median(off))
        if usual > MOVED:
            return self._begin(grey, none)  # another scene
        differs = (off > max(MOVED, 9 * usual)).astype(np.uint8)  # 9 medians are 6 standard deviations
        moves = cv2.absdiff(grey, _exposed(previous, grey)) > MOVED
        side = max(3, round(0.02 * size[0])) | 1
        opened = cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        joined = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
        self.before = joined
        self.seen += 1
        rate = np.where(joined > 0, max(KEEP, 1 / self.seen if self.seen < 3 else 0), max(LEARN, 1 / self.seen))
        self.background = (background + rate * (grey - background)).astype(np.float32)
        return _moving(joined, moves, scale)

    def _begin(self, grey: Any, none: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
        self.background, self.before, self.seen = grey.astype(np.float32), None, 1
        return none


def _exposed(picture: Any, like: Any) -> Any:
    """Return the picture as light as another: a camera dims everything when something white comes in."""
    usual = float(np.median(picture))
    return cv2.convertScaleAbs(picture, alpha=float(np.median(like)) / usual) if usual > 1 else picture.astype(np.uint8)


def _shift(before: Any, now: Any, moved: Any) -> npt.NDArray[np.float64] | None:
    """Return the (2, 3) matrix that takes the last frame to this one, or None when the camera moves on, or the scene is cut.

    Corners in what `moved` in the last frame do not count, nor do those that are not found again on the way back, which are
    noise (forward-backward error, Kalal et al. 2010). Where hardly any are left, as on plain asphalt, the camera is taken to
    stand.
    """
    around = None if moved is None else (cv2.dilate(moved, np.ones((9, 9), np.uint8)) == 0).astype(np.uint8)
    corners = cv2.goodFeaturesToTrack(before, 200, 0.01, 8, mask=around)
    if corners is None:
        return STANDS
    before = _exposed(before, now)
    found, there, _ = cv2.calcOpticalFlowPyrLK(before, now, corners, None)  # type: ignore[call-overload]
    back, again, _ = cv2.calcOpticalFlowPyrLK(now, before, found, None)  # type: ignore[call-overload]
    good = (there.ravel() == 1) & (again.ravel() == 1) & (np.abs(back - corners).reshape(-1, 2).max(axis=1) < 0.5)
    if np.count_nonzero(good) < LEAST:
        return STANDS if len(corners) < 5 * LEAST or float(cv2.absdiff(before, now).mean()) < MOVED else None
    matrix, inliers = cv2.estimateAffinePartial2D(corners[good], found[good], method=cv2.RANSAC, ransacReprojThreshold=1.0)
    if matrix is None or inliers.mean() < STILL[0]:
        return None
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    middle = np.array([now.shape[1] / 2, now.shape[0] / 2, 1.0])
    shift = float(np.hypot(*(matrix @ middle - middle[:2])))
    return matrix if abs(scale - 1) < STILL[1] and shift < STILL[2] * now.shape[1] else None


def _moving(joined: Any, moves: npt.NDArray[np.bool_], scale: float) -> tuple[Floats, Floats]:
    n, pieces, stats, _ = cv2.connectedComponentsWithStats(joined)
    share = np.bincount(pieces.ravel(), weights=moves.ravel(), minlength=n) / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    x, y, w, h, area = (stats[:, k].astype(np.float64) for k in range(5))
    keep = (area > SMALL * joined.size) & (share > 0.05) & (np.arange(n) > 0) & (w < 4 * h) & (h < 4 * w)
    scores = BEST * np.minimum(1, area / (w * h) / 0.8) * np.minimum(1, share / 0.15)
    boxes = np.stack([x, y, x + w, y + h], axis=1) / scale
    return boxes[keep], scores[keep]
