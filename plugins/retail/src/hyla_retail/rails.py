"""Find the rails of shelves: the lines on which packs stand, with the strip below that carries the price labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats, Ints
from hyla_retail import straight_lines
from hyla_retail.bands import Band, alongside, common, drop
from hyla_retail.straight_lines import LEVELS, STRIPS

Pixels = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.float32]

THICK = 0.045  # lines that are closer belong to one rail, in heights of the picture
TALL = 0.1  # height of the tallest rails, those with large price labels, in heights of the picture
THROUGH = 0.45  # correlation of the upright edges above and below a line from which on they pass through it
UNEVEN = 60.0  # grey levels between places a strip apart that count as full change
WEAK, SURE = 0.08, 0.2  # strength from which on a line may be a rail, and is one
LOWER = 0.4  # greatest height of a rail, in what it is from one to the next
RAILWISE = 0.75  # most unevenness of a rail, labels and all, in that of the packs above it
QUIET = 0.6  # most unevenness of a rail, in that of the packs above it
NEAR = 0.5  # least between two rails of one bay, in what is usual in the picture


def rails(small: Pixels) -> list[Band]:
    """Return the rails of shelves in a picture (H, W, 3), from the top; the upper line of each is where its products stand.

    Candidates are long straight lines. Of those, a rail is where packs end: they stand side by side above it, with upright edges
    and changing colours, and below it the colour is even, however long. A stripe printed on all packs of a row is crossed by
    their edges, and their tops have no edges above them.
    """
    height, width = small.shape[:2]
    if height < 16 or width < 4 * STRIPS:
        return []
    lines = straight_lines.lines(np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8))
    across, down = width / STRIPS, height / LEVELS
    bands = []
    for line in lines:
        y = (line.start + 0.5) * down, (line.end + 0.5) * down
        bands.append(Band(line.first * across, line.last * across, y, y, line.strength))
    looks = _Looks.of(small)
    floors = _apart([one for one in _floors(looks, bands) if one.strength > WEAK], THICK * height)
    floors = [_up_to(one, bands, min(TALL * height, LOWER * _above(one, floors)), looks) for one in floors]
    pairs = _regular(_with_lower_edges(floors, TALL * height))
    found = [_down_to(one, under, bands, THICK * height, looks) for one, under in pairs]
    return _apart([_reaching(one, found) for one in _apart(found, THICK * height)], THICK * height)


@dataclass(frozen=True, slots=True)
class _Looks:
    """Hold running sums, from above, of what is to be measured along slanting lines.

    Args:
        edges: (H, W) of the change of brightness across the columns.
        uneven: (H, 4 * STRIPS - 4) of how much the colour changes from a place to that one strip to the right, at most `UNEVEN`.
    """

    edges: Maps
    uneven: Maps

    @classmethod
    def of(cls, small: Pixels) -> _Looks:
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        upright = cv2.blur(cv2.Sobel(cv2.GaussianBlur(grey, (3, 3), 0), cv2.CV_32F, 1, 0, ksize=3), (3, 1))
        colour = cv2.resize(small, (4 * STRIPS, len(small)), interpolation=cv2.INTER_AREA).astype(np.int16)
        change = np.minimum(np.abs(colour[:, 4:] - colour[:, :-4]).max(axis=2), UNEVEN).astype(np.float32)
        return cls(np.cumsum(upright, axis=0), np.cumsum(change, axis=0))

    def places(self, line: Band) -> tuple[Ints, Floats]:
        """Return the columns of `uneven` that `line` crosses, and where in the picture they are."""
        scale = self.edges.shape[1] / (4 * STRIPS)
        places = np.arange(max(int(line.x0 / scale), 0), min(int(line.x1 / scale) - 4, 4 * STRIPS - 4))
        return places, (places + 2.5) * scale


def _floors(looks: _Looks, lines: Sequence[Band]) -> list[Band]:
    """Return `lines` moved up to where the packs above them end, their strength 0 where none do.

    The strength becomes the product of the line's own, its length, how much more even the colour is along the picture below it
    than above it, and the share of the upright edges above it that do not go on below.
    """
    height, width = looks.edges.shape
    window, step = max(round(0.025 * height), 4), max(round(0.008 * height), 2)
    out, busy = [], []
    for line in lines:
        places, x = looks.places(line)
        if len(places) < 4:
            continue
        y = np.rint(line.at(x)[0]).astype(np.int64)
        above = [float(_mean(looks.uneven, places, y - 2 - o - window, y - 2 - o).mean()) for o in (0, step, 2 * step)]
        below = [float(_mean(looks.uneven, places, y + o, y + step + o).mean()) for o in (0, step, 2 * step)]
        up = int(np.argmax(np.array(above) > 0.85 * max(above))) * step
        down = int(np.argmin(below)) * step
        columns = np.arange(int(line.x0), min(int(line.x1), width))
        y = np.rint(line.at(columns + 0.5)[0]).astype(np.int64)
        first = _mean(looks.edges, columns, y - 2 - up - window, y - 2 - up)
        last = _mean(looks.edges, columns, y + 2 + down, y + 2 + down + window)
        through = float((first * last).sum()) / max(float(np.sqrt((first**2).sum() * (last**2).sum())), 1e-6)
        jump = (max(above) - min(below)) / (max(above) + min(below) + 3)
        ends = max(1 - max(through, 0) / THROUGH, 0) * max(jump, 0)
        top = line.top[0] - up, line.top[1] - up
        out.append(replace(line, top=top, strength=line.strength * float(np.sqrt((line.x1 - line.x0) / width)) * ends))
        busy.append(max(above))
    usual = float(np.percentile(busy, 60)) if busy else 1.0
    return [replace(one, strength=one.strength * min(b / max(usual, 1e-6), 1.0)) for one, b in zip(out, busy, strict=True)]


def _mean(total: Maps, x: Ints, first: Ints, last: Ints) -> Maps:
    """Return the means over the rows `first` to `last` of columns `x`, of which `total` has the running sums."""
    end = len(total) - 1
    return np.asarray((total[np.clip(last, 0, end), x] - total[np.clip(first, 0, end), x]) / np.maximum(last - first, 1))


def _apart(floors: Sequence[Band], near: float) -> list[Band]:
    """Return the strongest of the floors that are closer than `near` to each other, from the top."""
    out: list[Band] = []
    for one in sorted(floors, key=lambda band: -band.strength):
        if not any(common(one, other) > 0.5 and drop(one, other, signed=False) < near for other in out):
            out.append(one)
    return sorted(out, key=lambda band: sum(band.bottom))


def _above(floor: Band, floors: Sequence[Band]) -> float:
    """Return how far above `floor` the next one is, or the top of the picture."""
    top = min(floor.top)
    return min((far for other in floors if common(floor, other) > 0.5 and (far := drop(other, floor)) > 0), default=top)


def _up_to(floor: Band, lines: Sequence[Band], near: float, looks: _Looks) -> Band:
    """Return `floor` from the highest of `lines` on, nearer than `near`, below which it is more even than above: a rail.

    The edges of price labels end at the lower edge of a rail as those of packs do at the upper one, and at times more clearly.
    """
    window = max(round(0.025 * len(looks.edges)), 4)
    best = floor
    for line in lines:
        far = drop(line, floor)
        if alongside(line, floor) < 0.5 or not 0.2 * near < far < near or drop(line, best) <= 0:
            continue
        places, x = looks.places(line)
        if len(places) < 4:
            continue
        y, end = (np.rint(one.at(x)[0]).astype(np.int64) for one in (line, floor))
        between = float(_mean(looks.uneven, places, y + 2, end - 2).mean())
        above = float(_mean(looks.uneven, places, y - 2 - window, y - 2).mean())
        if between < RAILWISE * above:
            top = line.at(np.array([floor.x0, floor.x1]))[0]
            best = replace(floor, top=(float(top[0]), float(top[1])))
    return best


def _with_lower_edges(floors: Sequence[Band], tall: float) -> list[tuple[Band, Band | None]]:
    """Return each floor with the floor just below it that is the lower edge of its rail, where the edges of price labels end.

    Such a one is nearer to the floors above it than half of what lies below it, and nearer than `tall`.
    """
    lower: dict[int, int] = {}
    edges: set[int] = set()
    for i, one in enumerate(floors):
        above = [(drop(other, one), k) for k, other in enumerate(floors) if k < i and common(one, other) > 0.5]
        below = [drop(one, other) for other in floors[i + 1 :] if other.strength > SURE and common(one, other) > 0.5]
        limit = min(tall, 0.5 * min(below, default=2 * tall))
        over = [k for far, k in above if k not in edges and 0 < far < limit]
        if over:
            edges.add(i)
            lower.update(dict.fromkeys(over, i))
    return [(one, floors[lower[k]] if k in lower else None) for k, one in enumerate(floors) if k not in edges]


def _regular(pairs: Sequence[tuple[Band, Band | None]]) -> list[tuple[Band, Band | None]]:
    """Return the floors without those that a clearer one is too near to, by how far floors usually are apart."""
    drops, weights = [], []
    for floor, _ in pairs:
        below = [(d, other.strength) for other, _ in pairs if common(floor, other) > 0.5 and (d := drop(floor, other)) > 0]
        if below:
            far, strength = min(below)
            drops.append(far)
            weights.append(min(strength, floor.strength))
    if not drops:
        return list(pairs)
    order = np.argsort(drops)
    half = np.searchsorted(np.cumsum(np.array(weights)[order]), 0.5 * sum(weights))
    near = NEAR * drops[int(order[min(int(half), len(order) - 1)])]
    out: list[tuple[Band, Band | None]] = []
    for pair in sorted(pairs, key=lambda one: -one[0].strength):
        if all(common(pair[0], other) <= 0.5 or drop(pair[0], other, signed=False) > near for other, _ in out):
            out.append(pair)
    return sorted(out, key=lambda pair: sum(pair[0].top))


def _reaching(rail: Band, others: Sequence[Band]) -> Band:
    """Return `rail` as long as the others of its bay usually are, unless another rail takes its place there."""
    bay = [other for other in others if alongside(rail, other) > 0.5]
    left = min(float(np.median([one.x0 for one in bay])), rail.x0)
    right = max(float(np.median([one.x1 for one in bay])), rail.x1)
    near = 0.6 * min((d for other in bay if (d := drop(rail, other, signed=False)) > 0), default=np.inf)
    for other in others:
        if other.x1 <= rail.x0 + 1 and abs(float(other.at(rail.x0)[0] - rail.top[0])) < near:
            left = min(max(left, other.x1), rail.x0)
        if other.x0 >= rail.x1 - 1 and abs(float(other.at(rail.x1)[0] - rail.top[1])) < near:
            right = max(min(right, other.x0), rail.x1)
    return _as_far_as(rail, left, right)


def _as_far_as(rail: Band, left: float, right: float) -> Band:
    """Return `rail` from `left` to `right`."""
    top, bottom = rail.at(np.array([left, right]))
    return replace(rail, x0=left, x1=right, top=(float(top[0]), float(top[1])), bottom=(float(bottom[0]), float(bottom[1])))


def _down_to(floor: Band, under: Band | None, lines: Sequence[Band], thick: float, looks: _Looks) -> Band:
    """Return the rail below `floor`: down to `under`, or to the lowest of `lines` nearer than `thick`, before the next packs."""
    ends = np.array([floor.x0, floor.x1])
    start = floor.at(ends)[0]
    lowest = floor.at(ends)[1]
    reach = floor.x0, floor.x1  # a pack of the colour of the rail hides the upper edge; the lower one goes on
    places, x = looks.places(floor)
    if under is None:
        y = np.rint(floor.at(x)[0]).astype(np.int64)
        packs = float(_mean(looks.uneven, places, y - round(thick), y - 2).mean())
    for line in [under] if under else lines:
        if common(floor, line) <= 0.5:
            continue
        other = line.at(ends)[1]
        if under is None:
            if (other < lowest).any() or (other - start > thick).any():
                continue
            between = np.rint(floor.at(x)[1]).astype(np.int64), np.rint(line.at(x)[1]).astype(np.int64)
            if float(_mean(looks.uneven, places, between[0] + 2, between[1]).mean()) > QUIET * packs:
                continue
        lowest, reach = other, (min(reach[0], line.x0), max(reach[1], line.x1))
    return _as_far_as(replace(floor, bottom=(float(lowest[0]), float(lowest[1]))), *reach)
