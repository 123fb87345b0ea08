"""Say on which shelf each box of a picture stands, and at which place: the same for the boxes of any detector."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hyla.types import Floats, Ints

STEP = 0.35  # most by which the bottoms of neighbours on a shelf differ, in heights of the lower one
FAR, LEVEL = 3.0, 0.12  # widths of a pack between two from which on they are no neighbours, and what their bottoms may differ
STACKED = 0.08  # most between two packs that stand on one another, in heights of the lower one
COMMON = 0.6  # share of the narrower one's width that packs of one stack have in common
RECENT = 4  # packs on the left whose bottoms tell where the shelf is, and how it slopes
STEEP = 0.3  # most that it slopes


def arrange(box: Floats, facing: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return (n,) shelf, 1 for the top one, and (n,) position on it, 1 for the leftmost; NaN for what is no facing.

    Packs whose bottoms lie on one line make a shelf, however high they are. Each is compared with those to the left of it, not
    with the far end, since shelves run up or down a photo from the side. The number of a shelf is one more than that of the
    lowest shelf above it, so that shelves of neighbouring bays count for themselves. Packs that stand on one another have the
    shelf and the position of the lowest one.

    Args:
        box: (n, 4) x0, y0, x1, y1 in pixels.
        facing: (n,) which boxes stand on shelves.
    """
    shelf, position = np.full(len(box), np.nan), np.full(len(box), np.nan)
    rows = np.flatnonzero(facing)
    if not len(rows):
        return shelf, position
    own = box[rows]
    stack = _stacks(own)
    names, member = np.unique(stack, return_inverse=True)
    column = np.stack([[*own[stack == name, :2].min(axis=0), *own[stack == name, 2:].max(axis=0)] for name in names])
    line = _lines(column)
    number = _numbers(column, line)[line]
    place = np.zeros(len(column))
    middle = column[:, 0] + column[:, 2]
    for one in np.unique(number):
        same = np.flatnonzero(number == one)
        place[same[np.argsort(middle[same], kind="stable")]] = np.arange(1, len(same) + 1)
    shelf[rows], position[rows] = number[member], place[member]
    return shelf, position


def _stacks(box: Floats) -> Ints:
    """Return (n,) the lowest pack of the stack in which each pack is, by row."""
    width, height = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    common = np.minimum(box[:, None, 2], box[None, :, 2]) - np.maximum(box[:, None, 0], box[None, :, 0])
    between = box[None, :, 1] - box[:, None, 3]  # from the bottom of the upper one to the top of the lower one
    on = (common > COMMON * np.minimum(width[:, None], width)) & (np.abs(between) <= STACKED * height)
    on &= np.maximum(width[:, None], width) < 2 * np.minimum(width[:, None], width)
    on &= box[:, None, 3] < box[None, :, 3]
    below = np.where(on.any(axis=1), np.where(on, np.abs(between), np.inf).argmin(axis=1), np.arange(len(box)))
    while not np.array_equal(below[below], below):
        below = below[below]
    return np.asarray(below, dtype=np.int64)


def _lines(box: Floats) -> Ints:
    """Return (n,) which shelf line each box stands on, numbered as they are met from the left."""
    line = np.full(len(box), -1, dtype=np.int64)
    members: list[list[int]] = []
    for i in np.argsort(box[:, 0] + box[:, 2], kind="stable"):
        height = box[i, 3] - box[i, 1]
        best, choice = np.inf, -1
        for name, known in enumerate(members):
            recent = box[known[-RECENT:]]
            off = abs(_floor(recent, float(box[i, 0] + box[i, 2]) / 2) - box[i, 3])
            lower = min(height, float(np.median(recent[:, 3] - recent[:, 1])))
            between = box[i, 0] - float(box[known, 2].max())
            step = LEVEL if between > FAR * (box[i, 2] - box[i, 0]) else STEP
            if off < step * lower and off < best:
                best, choice = off, name
        if choice < 0:
            members.append([])
            choice = len(members) - 1
        members[choice].append(int(i))
        line[i] = choice
    return _strays(box, line, members)


def _floor(recent: Floats, x: float) -> float:
    """Return the height at `x` of the line on which the boxes `recent` (n, 4), from the left, stand."""
    if len(recent) < 3:
        return float(recent[-1, 3])
    middle = (recent[:, 0] + recent[:, 2]) / 2
    slope = (recent[-1, 3] - recent[0, 3]) / max(middle[-1] - middle[0], 1e-9)
    return float(recent[:, 3].mean() + np.clip(slope, -STEEP, STEEP) * (x - middle.mean()))


def _strays(box: Floats, line: Ints, members: list[list[int]]) -> Ints:
    """Give a box that is alone on its line to the nearest line of several, unless none of them is near."""
    several = [name for name, known in enumerate(members) if len(known) > 1]
    for known in members:
        if len(known) > 1 or not several:
            continue
        i = known[0]
        off = [float(np.min(np.abs(box[members[name], 3] - box[i, 3]))) for name in several]
        if min(off) < box[i, 3] - box[i, 1]:
            line[i] = several[int(np.argmin(off))]
    return np.asarray(np.unique(line, return_inverse=True)[1], dtype=np.int64)


def _numbers(box: Floats, line: Ints) -> Ints:
    """Return (lines,) the number of each line: 1, or one more than that of any line above it that it shares columns with."""
    count = int(line.max()) + 1
    level = np.array([np.median(box[line == name, 3]) for name in range(count)])
    reach = np.array([[box[line == name, 0].min(), box[line == name, 2].max()] for name in range(count)])
    number = np.ones(count, dtype=np.int64)
    order = np.argsort(level, kind="stable")
    for place, name in enumerate(order):
        for other in order[:place]:
            common = min(reach[name, 1], reach[other, 1]) - max(reach[name, 0], reach[other, 0])
            if common > 0.25 * min(reach[name, 1] - reach[name, 0], reach[other, 1] - reach[other, 0]):
                number[name] = max(number[name], number[other] + 1)
    return number
