"""Make things of what stands before the background: pieces joined, groups parted, each told by its size next to a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats, Ints
from hyla_surveillance.background import SHADOW, Mask, above
from hyla_surveillance.perspective import Perspective

Grey = npt.NDArray[np.uint8]

PERSON, VEHICLE, SMALL = 0, 1, 2

# In heights of a person who stands there: 1.7 m.
TALL = (0.5, 1.4)  # a person, from a child to somebody tall with a hat and what is left of a shadow
WIDE = 0.75  # a person with legs and arms apart; wider ones are groups, or vehicles
ONE = 0.45  # a person of a group, shoulder to shoulder
PIECE = 0.004  # of the square of that height: smaller pieces are noise
NEAR = 0.24  # pieces of one person are no further apart,
APART = 0.5  # nor are head and legs, where a coat is like its background: if both together are as tall as a person
LYING = (0.6, 1.3, 0.1, 0.45)  # somebody on the ground: least and most width, least height, least filled share of the box
HEADS = 0.25  # heads of a group are no nearer to each other
THIN = 0.22  # columns of a person hold more
VALLEY = 0.75  # of the lesser of two peaks, between which a group is parted
CAR = (0.9, 0.55, 0.62)  # a vehicle: least width, least height, and least filled share of its box
MOVED = 14  # levels of 255 by which a pixel changes at least when something moves over it
EDGE = 24.0  # of Sobel's gradient, 3 x 3: less is noise
TEXTURE = 0.35  # share of the edges that a shadow may add or hide


@dataclass(frozen=True, slots=True)
class Blob:
    """Hold one thing in a picture.

    Args:
        box: (4,) x0, y0, x1, y1.
        rows: of the mask's pieces it is made of.
        kind: PERSON, VEHICLE or SMALL.
        size: its height in heights of a person there.
        fit: 0 to 1, how well its size and shape are those of its kind.
        whole: whether it is one piece, away from the picture's edges, and not parted from a group.
    """

    box: tuple[int, int, int, int]
    pieces: tuple[int, ...]
    kind: int
    size: float
    fit: float
    whole: bool


def edges(grey: Grey) -> Grey:
    """Return the strength (H, W) of gradients, 0 to 255."""
    x, y = (cv2.convertScaleAbs(cv2.Sobel(grey, cv2.CV_16S, *d)) for d in ((1, 0), (0, 1)))
    return np.asarray(cv2.max(x, y), dtype=np.uint8)


def solid(mask: Mask, now: Grey, before: Grey) -> Mask:
    """Return what stands before the background (H, W; 0 or 255), without shadows and specks.

    A shadow keeps the background's edges and adds none; what MOG2 takes for one, and has others, is part of a dark thing.

    Args:
        mask: of the background.
        now: `edges` of the picture.
        before: `edges` of the background.
    """
    sure = above(mask, 254)
    shade = (mask == SHADOW).astype(np.uint8) * 255
    if cv2.countNonZero(shade):
        other = above(np.asarray(cv2.absdiff(now, before)), EDGE)
        busy = above(np.asarray(cv2.blur(other, (5, 5))), 255 * TEXTURE)
        beside = cv2.dilate(sure, np.ones((5, 5), np.uint8))
        sure = np.asarray(cv2.bitwise_or(sure, cv2.bitwise_and(cv2.bitwise_and(shade, busy), beside)), dtype=np.uint8)
    sure = np.asarray(cv2.medianBlur(sure, 3), dtype=np.uint8)
    return np.asarray(cv2.morphologyEx(sure, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8)), dtype=np.uint8)


def fresh(now: Grey, before: Grey) -> Mask:
    """Return where (H, W; 0 or 255) the picture has edges that the background has not: a ghost and a patch of light have none."""
    around = cv2.dilate(before, np.ones((3, 3), np.uint8))  # a picture that shakes by a pixel has no new edges
    return above(np.asarray(cv2.subtract(now, around)), EDGE)


def outlined(box: tuple[int, int, int, int], mine: Mask, edge: Mask) -> float:
    """Return the share of a thing's outline, 0 to 1, that has edges of its own.

    Args:
        box: of the thing.
        mine: (h, w) its mask within the box, 0 or 255.
        edge: (H, W) of `fresh`.
    """
    x0, y0, x1, y1 = box
    window = np.s_[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2]
    top, left = min(y0, 2), min(x0, 2)
    around = edge[window]
    padded = np.zeros(around.shape, np.uint8)
    padded[top : top + y1 - y0, left : left + x1 - x0] = mine
    ring = cv2.morphologyEx(padded, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) > 0
    return float((around[ring] > 0).mean()) if ring.any() else 0.0


def find(mask: Mask, perspective: Perspective) -> tuple[list[Blob], npt.NDArray[np.int32]]:
    """Return the things of a mask that `solid` gave, and its pieces (H, W), numbered from 1."""
    n, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    numbered = np.asarray(pieces, dtype=np.int32)
    x, y, w, h, area = np.asarray(stats, dtype=np.int64).T
    tall = perspective.height((y + h).astype(np.float64))
    keep = np.flatnonzero((np.arange(n) > 0) & (area >= np.maximum(PIECE * tall**2, 6)))
    box = np.column_stack([x, y, x + w, y + h])[keep]
    found: list[Blob] = []
    for group in _joined(box, area[keep], tall[keep], perspective.known):
        x0, y0 = box[group, :2].min(axis=0).tolist()
        x1, y1 = box[group, 2:].max(axis=0).tolist()
        mine = within(numbered[y0:y1, x0:x1], keep[group])
        found += _told((x0, y0, x1, y1), tuple(keep[group].tolist()), mine, perspective)
    return found, numbered


def within(pieces: npt.NDArray[np.int32], wanted: Sequence[int] | Ints) -> Bools:
    """Return where (h, w) `pieces` are among `wanted`; by a table, since np.isin sorts."""
    table = np.zeros(int(pieces.max(initial=0)) + 1, dtype=np.bool_)
    chosen = np.asarray(wanted, dtype=np.int64)
    table[chosen[chosen < len(table)]] = True
    return np.asarray(table[pieces])


def _joined(box: Ints, area: Ints, tall: Floats, known: bool) -> list[Ints]:
    """Return groups of pieces (rows of `box`) that make one thing: one above the other, no larger together than a person."""
    group = list(range(len(box)))
    bounds: list[list[float]] = box.astype(np.float64).tolist()  # of each group
    height = tall.tolist()  # of a person where the lowest piece of each group ends
    order = np.argsort(-area, kind="stable").tolist()  # the largest piece of a person draws the others
    for at, i in enumerate(order):
        for j in order[at + 1 :]:
            a, b = group[i], group[j]
            p, q = bounds[a], bounds[b]
            shared = min(p[2], q[2]) - max(p[0], q[0])
            if a == b or shared < 0.5 * min(p[2] - p[0], q[2] - q[0]):
                continue
            whose = height[a] if p[3] >= q[3] else height[b]
            both = [min(p[0], q[0]), min(p[1], q[1]), max(p[2], q[2]), max(p[3], q[3])]
            fits = both[3] - both[1] <= 1.15 * whose and both[2] - both[0] <= max(ONE * whose, 1.05 * (p[2] - p[0]))
            near = APART if known and both[3] - both[1] >= 0.8 * whose else NEAR
            if fits and max(p[1], q[1]) - min(p[3], q[3]) <= near * whose:
                group = [a if g == b else g for g in group]
                bounds[a], height[a] = both, whose
    return [np.flatnonzero(np.array(group) == g) for g in dict.fromkeys(group)]


def _told(box: tuple[int, int, int, int], pieces: tuple[int, ...], mine: Bools, perspective: Perspective) -> list[Blob]:
    """Return what a group of pieces is: one thing, or the people of a group, beside and behind each other."""
    x, y = box[:2]
    tall = float(perspective.height(np.array([float(box[3])]))[0])
    columns = _parted(mine, tall) if perspective.known else [(0, mine.shape[1])]
    parts: list[tuple[int, int, int, int]] = []
    for left, right in columns:
        rows = np.flatnonzero(mine[:, left:right].any(axis=1))
        while len(rows):
            top, bottom = int(rows[0]), int(rows[-1]) + 1
            cut = _behind(mine[top:bottom, left:right], float(perspective.height(np.array([float(y + bottom)]))[0]))
            cut = cut if perspective.known else 0
            parts.append((left, top + cut, right, bottom))
            rows = rows[rows < top + cut]
    found = []
    for left, top, right, bottom in parts:
        part = mine[top:bottom, left:right]
        across, down = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
        if not len(across):
            continue
        x0, x1 = left + int(across[0]), left + int(across[-1]) + 1
        y0, y1 = top + int(down[0]), top + int(down[-1]) + 1
        filled = float(mine[y0:y1, x0:x1].mean())
        whole = len(parts) == 1 and len(pieces) == 1
        found.append(_kind((x + x0, y + y0, x + x1, y + y1), pieces, filled, perspective, whole))
    return found


def _behind(mine: Bools, tall: float) -> int:
    """Return the row from which on a thing is the person in front, of whom somebody behind sticks out above; 0 for nobody."""
    height = len(mine)
    if height <= TALL[1] * tall:
        return 0
    low, high = height - round(1.15 * tall), height - round(0.85 * tall)
    return max(0, low) + int(mine[max(0, low) : high + 1].sum(axis=1).argmin())


def _kind(box: tuple[int, int, int, int], pieces: tuple[int, ...], filled: float, perspective: Perspective, whole: bool) -> Blob:
    x0, y0, x1, y1 = box
    height, width = perspective.size
    tall = float(perspective.height(np.array([float(y1)]))[0])
    high, wide = (y1 - y0) / tall, (x1 - x0) / tall
    low_edge = y1 >= height - 1  # the feet are out of sight
    edge = x0 <= 0 or y0 <= 0 or x1 >= width or low_edge
    upright = (y1 - y0) > 0.9 * (x1 - x0)
    if not perspective.known:  # by shape alone
        person = upright and (y1 - y0) > 0.05 * height
        return Blob(box, pieces, PERSON if person else SMALL, high, 0.5 * min(1.0, filled / 0.5), whole and not edge)
    least = TALL[0] / 2 if edge else TALL[0]
    if wide >= CAR[0] and high >= CAR[1] and filled >= CAR[2] and wide > 1.05 * high:
        return Blob(box, pieces, VEHICLE, high, min(1.0, filled / 0.8), whole and not edge)
    if least <= high <= TALL[1] and (upright or wide <= WIDE) and wide <= 1.5 * WIDE:
        size = 1.0 if edge else float(np.exp(-0.5 * (np.log(max(high, 1e-3)) / 0.35) ** 2))
        shape = float(np.exp(-0.5 * (max(0.0, wide - ONE) / 0.3) ** 2))
        return Blob(box, pieces, PERSON, high, size * shape * min(1.0, filled / 0.45), whole and not edge)
    if LYING[0] <= wide <= LYING[1] and LYING[2] <= high < TALL[0] and filled >= LYING[3]:
        return Blob(box, pieces, PERSON, high, 0.5 * min(1.0, filled / 0.6), False)
    return Blob(box, pieces, SMALL if high < TALL[0] else VEHICLE, high, 0.4 * min(1.0, filled), False)


def _parted(mine: Bools, tall: float) -> list[tuple[int, int]]:
    """Return (left, right) of each person of a group: the mask's columns are counted, and parted where few stand between many."""
    height, width = mine.shape
    if width <= WIDE * tall or height < TALL[0] * tall:
        return [(0, width)]
    count = mine.sum(axis=0).astype(np.float64)
    side = max(1, round(0.12 * tall)) | 1
    smooth = np.convolve(np.pad(count, side // 2, mode="edge"), np.ones(side) / side, mode="valid")
    reach = max(1, round(HEADS * tall))
    peaks: list[int] = []
    for x in np.argsort(-smooth, kind="stable").tolist():
        if smooth[x] < 0.4 * smooth.max():
            break
        if all(abs(x - p) >= reach and smooth[min(x, p) : max(x, p)].min() < VALLEY * min(smooth[x], smooth[p]) for p in peaks):
            peaks.append(x)
    peaks.sort()
    cuts = [a + int(smooth[a:b].argmin()) for a, b in pairwise(peaks)]
    # What is thin beside a person, such as a waving tape, is none of them.
    thick = smooth >= THIN * tall
    parts = []
    for left, right, peak in zip([0, *cuts], [*cuts, width], peaks, strict=True):
        thin = np.flatnonzero(~thick)
        before, after = thin[thin < peak], thin[thin > peak]
        a = max(left, int(before[-1]) + 1 - side // 2) if len(before) else left
        b = min(right, int(after[0]) + side // 2) if len(after) else right
        parts.append((max(a, left), max(b, a + 1)))
    return parts
