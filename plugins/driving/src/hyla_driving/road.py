"""Fit lanes to road markings: a flat road seen in perspective, on which lanes run side by side.

A point of a flat road at row y and column x, below the vanishing point (x0, y0) of the lanes, lies (x - x0) / (y - y0) camera
heights to the side of the camera, at a distance in proportion to 1 / (y - y0), whatever the lens. This is the bird's-eye view,
taken point by point. A lane that is a parabola there, side = a + c / (y - y0)^2, is x = x0 + a t + b + c / t in the picture, with
t = y - y0: a is its offset, b its heading against the others and c its bend, which lanes of one road share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from hyla.types import Bools, Floats, Ints
from hyla_driving.markings import Marks, Segments

Size = tuple[int, int]
Pair = tuple[float, float]

FAR = 0.03  # of the picture's height below the horizon, where lanes are no longer told apart
CLEAR = 0.05  # of the picture's height below the horizon, above which cars and bushes leave more marks than lanes do
BIN = 0.06  # camera heights: a third of a wide marking
SIDE = 7.0  # camera heights to each side: three lanes of a car's camera
WINDOWS = 9
BENDS = (-0.06, -0.04, -0.025, -0.015, -0.007, 0, 0.007, 0.015, 0.025, 0.04, 0.06)
LEAST = 10  # marks, fewer of which are no lane
PAIR = 0.15  # evidence that each of two lines beside the camera has at least
BESIDE = (-0.9, -0.6, -0.35, 0.35, 0.6, 0.9)  # camera heights from a lane, where no other lane can be


@dataclass(frozen=True)
class Road:
    """Place the vanishing point (column x, row y, pixels) and give the bend c (pixels squared) that lanes share."""

    x: float
    y: float
    bend: float = 0.0

    def side(self, marks: Marks) -> Floats:
        """Return (n,) camera heights to the right of the camera, as if the road were straight."""
        t = marks.row - self.y
        return np.asarray((marks.column - self.x - self.bend / t) / t)


@dataclass(frozen=True)
class Lane:
    """Hold one fitted lane.

    Args:
        curve: a, b, c of x = x0 + a t + b + c / t.
        spread: (3, 3) covariance of the curve.
        rows: (k,) rows in which markings lie on the curve, ascending, unique.
        cover: share from 0 to 1 of the rows below the horizon, where the curve is in the picture, that have a marking on it.
        error: root mean square distance of those markings from the curve, in usual errors of a marking's centre.
        clear: share from 0 to 1 of rows with a marking on the curve, among those and the rows with one just beside it.
    """

    curve: Floats
    spread: Floats
    rows: Ints
    cover: float
    error: float
    clear: float

    def at(self, road: Road, rows: Floats) -> Floats:
        """Return the columns of the curve in `rows` (n,), pixels."""
        return np.asarray(road.x + _basis(rows - road.y) @ self.curve)

    def doubt(self, road: Road, rows: Floats) -> Floats:
        """Return the standard error of the curve's columns in `rows` (n,), pixels."""
        basis = _basis(rows - road.y)
        return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", basis, self.spread, basis)))

    def marking(self, road: Road, height: int) -> str:
        """Return solid, dashed (two gaps or more) or unknown, from the nearer rows, in which gaps can be seen."""
        rows = self.rows[self.rows > road.y + 0.06 * height]
        if len(rows) < 8:
            return "unknown"
        gaps = np.diff(rows) - 1
        cover = len(rows) / (rows[-1] - rows[0] + 1)
        if cover > 0.85 and len(rows) > 0.1 * height:
            return "solid"
        return "dashed" if cover < 0.8 and np.count_nonzero(gaps > 2) >= 2 else "unknown"

    def points(self, road: Road, size: Size, n: int = 24) -> Floats:
        """Return (k, 2) up to `n` points x, y of the curve, pixels, from near to far, evenly spaced in the log of the distance.

        It goes as far as it is inside the picture and known to 1 % of the picture's width.
        """
        height, width = size
        t = np.geomspace(height - road.y, FAR * height, 256)
        x = self.at(road, road.y + t)
        good = (x >= 0) & (x <= width) & (self.doubt(road, road.y + t) < 0.01 * width)
        edges = np.flatnonzero(np.diff(good, prepend=False, append=False))
        if not len(edges):
            return np.zeros((0, 2))
        longest = int(np.argmax(edges[1::2] - edges[::2]))
        start, stop = edges[2 * longest], edges[2 * longest + 1]
        chosen = np.unique(np.linspace(start, stop - 1, min(n, stop - start)).round().astype(int))
        points = np.stack([x[chosen], road.y + t[chosen]], axis=1)
        if start > 0 and not 0 <= x[start - 1] <= width:  # it leaves at the side: exactly there
            border = 0.0 if x[start - 1] < 0 else float(width)
            share = (border - x[start]) / (x[start - 1] - x[start])
            points = np.concatenate([[[border, road.y + t[start] + share * (t[start - 1] - t[start])]], points])
        return points

    @property
    def evidence(self) -> float:
        """Return how sure this alone is a lane, from 0 to 1: cover, error and clearness, multiplied.

        An eighth of the rows covered is much (a dashed line far ahead), an error of 1.44 is what marks strewn evenly have, and a
        clearness of one half is what texture has.
        """
        support = 1 - np.exp(-self.cover / 0.12)
        return float(support * max(0.0, 1 - (self.error / 1.44) ** 2) * max(0.0, 2 * self.clear - 1))


def trace(marks: Marks, vanishing: Pair, size: Size, gap: Pair) -> tuple[Road, list[Lane]]:
    """Return the road and every candidate of a lane on it, from left to right.

    Args:
        marks: cuts of markings, of the whole picture.
        vanishing: (x, y) in pixels, where straight lanes meet.
        size: (height, width) of the picture.
        gap: least and most distance between neighbouring lanes, in camera heights.
    """
    height, width = size
    road = Road(*vanishing)
    seen = below(marks, road, CLEAR * height)
    if len(seen.row) < LEAST:
        return road, []
    road = align(seen, road, size)
    sides, high = peaks(seen, road, 0.6 * gap[0])
    if not len(sides):
        return road, []
    road = adjust(seen, road, sides[high >= 0.25 * high.max()], size)
    seen = below(marks, road, FAR * height)
    if len(seen.row) < LEAST:
        return road, []
    sides, _ = peaks(seen, road, 0.6 * gap[0])
    held = follow(seen, road, sides, width)
    lanes = [fit(seen, road, held[:, i], float(side), size) for i, side in enumerate(sides)]
    return road, _distinct(lanes, road, size)


def choose(lanes: list[Lane], road: Road, size: Size, gap: Pair) -> list[tuple[Lane, float, str]]:
    """Return (lane, confidence, position) from left to right: the two lines beside the camera, then outward from them.

    The pair with the most evidence and a plausible distance is the ego lane. Further lines keep their evidence as far as their
    distance from the line before them is about that of the pair, or twice or three times that. A line without a partner is worth
    half, and less when it runs straight under the camera, as upright things do.
    """
    height = size[0]
    near = np.array([(lane.at(road, np.array([height - 0.5]))[0] - road.x) / (height - 0.5 - road.y) for lane in lanes])
    worth = np.array([lane.evidence for lane in lanes])
    left, right = np.flatnonzero(near < 0), np.flatnonzero(near >= 0)
    apart = near[right] - near[left, None]
    middle = np.log(gap[0] * gap[1]) / 2
    usual = np.exp(-0.5 * ((np.log(np.maximum(apart, 1e-3)) - middle) / (0.3 * np.log(gap[1] / gap[0]))) ** 2)
    usual = np.where((apart >= gap[0]) & (apart <= gap[1]), usual, 0)
    both = worth[left, None] * worth[right] * usual
    if not both.size or both.max() < PAIR**2:
        alone = [(i, 0.5 * worth[i] * min(1.0, 0.3 + abs(near[i]) / 0.5)) for i in range(len(lanes))]
        ego = {int(side[np.argmin(np.abs(near[side]))]) for side in (left, right) if len(side)}
        return [(lanes[i], score, _position(near[i], i in ego and abs(near[i]) <= gap[1])) for i, score in alone]
    first, second = np.unravel_index(int(np.argmax(both)), both.shape)
    a, b = int(left[first]), int(right[second])
    lane_width = near[b] - near[a]
    chosen = {a: worth[a] * (0.5 + 0.5 * min(1.0, worth[b] / 0.4)), b: worth[b] * (0.5 + 0.5 * min(1.0, worth[a] / 0.4))}
    for start, outward in ((a, range(a - 1, -1, -1)), (b, range(b + 1, len(lanes)))):
        edge = near[start]
        for i in outward:
            lanes_off = abs(near[i] - edge) / lane_width
            fits = np.exp(-0.5 * ((lanes_off - max(1, round(lanes_off))) / 0.25) ** 2)
            score = worth[i] * (0.5 + 0.5 * fits) if lanes_off > 0.3 else 0.0
            if score >= PAIR:
                chosen[i] = score
                edge = near[i]
    return [(lanes[i], float(chosen[i]), _position(near[i], i in (a, b))) for i in sorted(chosen)]


def _position(near: float, ego: bool) -> str:
    return ("ego_" if ego else "") + ("left" if near < 0 else "right")


def _distinct(lanes: list[Lane], road: Road, size: Size) -> list[Lane]:
    """Return the lanes, from left to right, without those that run on a better one for half of its rows."""
    height, width = size
    kept: list[Lane] = []
    for lane in sorted(lanes, key=lambda one: -one.evidence):
        rows: Floats = lane.rows + np.float64(0.5)
        reach = 3 * _noise(rows - road.y, width, float(lane.curve[0]))
        if len(rows) and not any(np.mean(np.abs(lane.at(road, rows) - one.at(road, rows)) < reach) > 0.5 for one in kept):
            kept.append(lane)
    bottom = np.array([height - 0.5])
    return sorted(kept, key=lambda one: float(one.at(road, bottom)[0]))


def vanishing_point(segments: Segments, size: Size, expected: Pair) -> Pair | None:
    """Return where most segments meet as (x, y) in pixels, or None when no two of them meet where a horizon may be.

    Every pair of the 40 longest proposes a point; the point on which most length agrees wins, nearer to the `expected` one (x, y)
    first; then least squares over those that agree.
    """
    height, width = size
    order = np.argsort(-segments.length, kind="stable")[:40]
    slope, offset, row, weight = (part[order] for part in segments)
    weight = np.sqrt(weight)
    i, j = np.triu_indices(len(slope), 1)
    apart = slope[i] - slope[j]
    i, j, apart = i[np.abs(apart) > 0.4], j[np.abs(apart) > 0.4], apart[np.abs(apart) > 0.4]  # 0.4: well over their error
    y = (offset[j] - offset[i]) / apart
    x = slope[i] * y + offset[i]
    inside = (y > 0.15 * height) & (y < 0.75 * height) & (x > 0.1 * width) & (x < 0.9 * width)
    x, y = x[inside], y[inside]
    if not len(x):
        return None
    across = np.hypot(1, slope)
    distance = np.abs(slope * y[:, None] + offset - x[:, None]) / across
    below = row > y[:, None] + FAR * height
    agree = (weight * np.exp(-((distance / (0.015 * width)) ** 2)) * below).sum(axis=1)
    agree *= np.exp(-0.5 * (((x - expected[0]) / (0.25 * width)) ** 2 + ((y - expected[1]) / (0.15 * height)) ** 2))
    best = int(np.argmax(agree))
    near = (distance[best] < 0.02 * width) & below[best]
    scale = (weight / across)[near]
    left = np.concatenate([np.stack([scale, -slope[near] * scale], axis=1), 0.5 * np.eye(2)])
    right = np.concatenate([offset[near] * scale, [0.5 * x[best], 0.5 * y[best]]])
    found = np.linalg.lstsq(left, right, rcond=None)[0]
    return float(found[0]), float(found[1])


def below(marks: Marks, road: Road, rows: float) -> Marks:
    """Return the marks that lie more than `rows` below the horizon."""
    keep = marks.row - road.y > rows
    return Marks(*(part[keep] for part in marks))


def align(marks: Marks, road: Road, size: Size) -> Road:
    """Return the heading and the bend that draw the marks together into the sharpest lines: a search over a grid."""
    height, width = size
    unit = 0.1 * height * width  # a bend of 1 moves a lane by the picture's width at a tenth of its height below the horizon
    grid = np.meshgrid(np.array(BENDS) * unit, np.arange(-3, 4) / 100 * width)
    bends, shifts = grid[0].ravel(), grid[1].ravel()
    every = slice(None, None, max(1, len(marks.row) // 500))
    t, u = (marks.row - road.y)[every], (marks.column - road.x)[every]
    bins = round(2 * SIDE / BIN)
    side = (u - shifts[:, None] - bends[:, None] / t) / t
    place = np.floor((side + SIDE) / BIN)
    place = np.where((place >= 0) & (place < bins), place, bins).astype(np.int64) + np.arange(len(bends))[:, None] * (bins + 1)
    count = np.bincount(place.ravel(), minlength=len(bends) * (bins + 1)).reshape(len(bends), bins + 1)[:, :bins]
    sharp = ((count[:, :-1] + count[:, 1:]) ** 2).sum(axis=1)
    plain = np.exp(-0.15 * ((shifts / (0.03 * width)) ** 2 + (bends / (0.06 * unit)) ** 2))  # of equal ones, the straighter
    best = int(np.argmax(sharp * plain))
    return replace(road, x=road.x + float(shifts[best]), bend=float(bends[best]))


def peaks(marks: Marks, road: Road, apart: float) -> tuple[Floats, Floats]:
    """Return where the histogram of the marks' sides peaks (k,), ascending, and how high; no two nearer than `apart`."""
    edges = np.linspace(-SIDE, SIDE, round(2 * SIDE / BIN) + 1)
    count = np.histogram(road.side(marks), edges)[0]
    smooth = np.convolve(count, [0.5, 1, 0.5], "same")
    middle = (edges[:-1] + edges[1:]) / 2
    chosen: list[int] = []
    for i in np.argsort(-smooth, kind="stable"):
        if smooth[i] < 4:
            break
        if all(abs(middle[i] - middle[j]) > apart for j in chosen):
            chosen.append(int(i))
    chosen.sort()
    return middle[chosen], smooth[chosen]


def adjust(marks: Marks, road: Road, sides: Floats, size: Size) -> Road:
    """Return the road after three rounds of robust least squares over all its lanes at once, at `sides` (k,) to begin with.

    Lanes on both sides of the camera tell where the horizon is: what it is off moves them apart or together.
    """
    height, width = size
    n = len(sides)
    trust = np.array([0.3] * n + [0.02 * width, 0.02 * 0.1 * height * width, 0.02 * height])
    for _ in range(3):
        t = marks.row - road.y
        off = road.side(marks)[:, None] - sides
        lane = np.argmin(np.abs(off), axis=1)
        rest = off[np.arange(len(t)), lane] * t
        noise = _noise(t, width, sides[lane])
        weight = _tukey(rest, 4 * noise) / noise**2
        columns = np.zeros((len(t), n + 3))
        columns[np.arange(len(t)), lane] = t
        columns[:, n], columns[:, n + 1], columns[:, n + 2] = 1, 1 / t, road.bend / t**2 - sides[lane]
        step = np.linalg.solve(columns.T @ (columns * weight[:, None]) + np.diag(trust**-2.0), columns.T @ (weight * rest))
        sides = sides + step[:n]
        road = Road(road.x + float(step[n]), road.y + float(step[n + 2]), road.bend + float(step[n + 1]))
        marks = below(marks, road, CLEAR * height)
        if len(marks.row) < LEAST:
            break
    return road


def follow(marks: Marks, road: Road, sides: Floats, width: float) -> Bools:
    """Return (n, k) which marks lie in the sliding windows of which lane.

    The windows go from the near end to the far end in steps of equal ratio of distance, and each is centred on the marks that the
    windows before it held.
    """
    t = marks.row - road.y
    off = road.side(marks)[:, None] - sides
    edges = np.geomspace(t.max(initial=1) + 1, max(t.min(initial=1), 1) * 0.999, WINDOWS + 1)
    inside = np.zeros(off.shape, dtype=bool)
    shift = np.zeros(len(sides))
    for near, far in pairwise(edges):
        rows = np.flatnonzero((t <= near) & (t > far))
        half = 0.25 + 2 * _noise(t[rows, None], width, sides) / t[rows, None]
        held = np.abs(off[rows] - shift) < half
        inside[rows] = held
        count = held.sum(axis=0)
        mean = (off[rows] * held).sum(axis=0) / np.maximum(count, 1)
        shift = np.where(count >= 4, mean, shift)
    return inside


def fit(marks: Marks, road: Road, held: Bools, side: float, size: Size) -> Lane:
    """Return the lane through the `held` (n,) marks: iterated, reweighted least squares (Tukey's biweight).

    What few marks say about heading and bend gives way to what the other lanes say: the prior is 1 % of the width for b, and a
    bend that moves the lane by 1 % of the width at a tenth of the height below the horizon for c.
    """
    height, width = size
    own = Marks(*(part[held] for part in marks))
    t, u = own.row - road.y, own.column - road.x
    columns = _basis(t)
    prior = np.array([side, 0.0, road.bend])
    trust = np.diag(np.array([0.3, 0.01 * width, 0.01 * 0.1 * height * width]) ** -2.0)
    noise = _noise(t, width, side)
    curve = prior
    for reach in (8, 8, 6, 4, 4):
        weight = _tukey(u - columns @ curve, reach * noise) / noise**2
        normal = columns.T @ (columns * weight[:, None]) + trust
        curve = np.linalg.solve(normal, columns.T @ (weight * u) + trust @ prior)
    spread: Floats = np.linalg.inv(normal).astype(np.float64)
    return _judge(Lane(curve, spread, np.zeros(0, np.int64), 0, 0, 0), marks, road, size)


def _judge(lane: Lane, marks: Marks, road: Road, size: Size) -> Lane:
    """Return `lane` with what the marks say of it."""
    height, width = size
    t = marks.row - road.y
    noise = _noise(t, width, float(lane.curve[0]))
    rest = marks.column - lane.at(road, marks.row)
    on = np.abs(rest) < 2.5 * noise
    every: Floats = np.arange(np.ceil(road.y + FAR * height), height, dtype=np.float64) + 0.5
    across = lane.at(road, every)
    visible = np.count_nonzero((across >= 0) & (across < width))
    rows = np.unique(marks.row[on].astype(np.int64))
    if not len(rows):
        return lane
    others = [np.abs(rest - shift * (t + 0.01 * width)) < 2.5 * noise for shift in BESIDE]
    beside = float(np.mean([len(np.unique(marks.row[other])) for other in others]))
    return replace(
        lane,
        rows=rows,
        cover=min(1.0, len(rows) / max(int(visible), 1)),
        error=float(np.sqrt(np.mean((rest[on] / noise[on]) ** 2))),
        clear=len(rows) / (len(rows) + beside),
    )


def _basis(t: Floats) -> Floats:
    return np.stack([t, np.ones_like(t), 1 / t], axis=1)


def _noise(t: Floats, width: float, side: float | Floats = 0.0) -> Floats:
    """Return the usual error in pixels of the centre of a marking `side` camera heights to the side.

    It is a fifth of a marking's width, a thousandth of the picture's width, and what a quarter of a row moves the lane by.
    """
    return np.asarray(0.02 * t + 0.0012 * width + 0.25 * np.abs(side))


def _tukey(rest: Floats, reach: Floats) -> Floats:
    return np.asarray(np.maximum(1 - (rest / reach) ** 2, 0) ** 2)
