"""Tell which price label belongs to which facing, by where they are.

A label is on the rail of its shelf, taken to be below the facings; that it is above them, as where goods hang on hooks, a caller
must say. Along the rail, shops follow one of two habits. Either a label stands at its product's first facing and holds until the
next label; or it stands under the middle of its product's facings. Which of the two a photo shows is told by the ends of its
rails: under the first habit a rail begins with a label and may end without one, under the second both ends are alike.
"""

from __future__ import annotations

import numpy as np

from hyla.errors import ConfigError
from hyla.types import Bools, Floats, Ints, Labels

HABITS = ("auto", "first", "middle")
DEEP = 0.75  # of a facing's height: how far from the facing's edge the middle of its label may be
INTO = 0.25  # of a facing's height: how far a label may reach into it, by perspective or a coarse box
STACKED = 0.2  # of a facing's height: how far apart two facings are that stand on each other, at most
FAR = 6.0  # widths of a facing: how far to the side its label may be, at most
UNDER = 0.75  # widths of a facing: how far from the end of its rail a label is that stands under the first facing


def labels_of_facings(
    labels: Labels, facing: Bools, price_label: Bools, above: bool = False, habit: str = "auto", far: float = FAR
) -> tuple[Ints, Floats]:
    """Return which price label belongs to each facing, and how far to the side of it the label is.

    Args:
        labels: n labels of one picture.
        facing: (n,) which of them are facings. Only those of one `shelf`, if it is known, stand on each other.
        price_label: (n,) which of them are price labels.
        above: True if labels are above their facings; below otherwise, as the model and the source of barcodes take them to be.
        habit: `first`, a label stands at its product's first facing from the left; `middle`, under the middle of them; `auto`,
            what the ends of the rails tell.
        far: how far to the side a label may be, in widths of the facing.

    Returns:
        (n,) row of the price label, or -1; and (n,) distance between the centres in x, in widths of the facing, NaN without one.

    Raises:
        ConfigError: for a habit that is none.
    """
    if habit not in HABITS:
        raise ConfigError(f"there is no habit {habit!r}", choices=HABITS)
    n = len(labels)
    below, offset = np.full(n, -1, dtype=np.int64), np.full(n, np.nan)
    rows, tags = np.flatnonzero(facing), np.flatnonzero(price_label)
    if not len(rows) or not len(tags):
        return below, offset
    boxes, prices = labels.box[rows], labels.box[tags]
    if above:  # upside down, what is above is below
        boxes, prices = (b[:, [0, 3, 2, 1]] * (1, -1, 1, -1) for b in (boxes, prices))
    near = _on_its_rail(boxes, prices, _shelves(labels)[rows])
    width = np.maximum(boxes[:, 2] - boxes[:, 0], 1e-9)
    x, at = (boxes[:, 0] + boxes[:, 2]) / 2, (prices[:, 0] + prices[:, 2]) / 2
    away = (at[None] - x[:, None]) / width[:, None]  # (facings, prices), in widths; below 0 to the left
    near &= np.abs(away) <= far
    if habit == "first" or (habit == "auto" and _begins_with_a_label(boxes, at, near)):
        # The last label that begins left of the facing's middle; before the first label of a rail, the nearest.
        begun = near & (prices[None, :, 0] <= x[:, None])
        choice = np.where(begun.any(axis=1), _least(np.abs(away), begun), _least(np.abs(away), near))
    else:
        choice = _least(np.abs(away), near)
    has = near.any(axis=1)
    below[rows[has]] = tags[choice[has]]
    offset[rows[has]] = np.abs(away)[has, choice[has]]
    return below, offset


def _least(values: Floats, allowed: Bools) -> Ints:
    """Return where the least allowed value of each row is; the first of equals."""
    return np.asarray(np.where(allowed, values, np.inf).argmin(axis=1), dtype=np.int64)


def _shelves(labels: Labels) -> Floats:
    """Return (n,) the number of the shelf of each label, NaN where it is not known."""
    column = labels.attributes.get("shelf")
    return np.full(len(labels), np.nan) if column is None or column.dtype.kind != "f" else column


def _on_its_rail(boxes: Floats, prices: Floats, shelf: Floats) -> Bools:
    """Return (facings, prices) whether a label is on the rail that is nearest below a facing."""
    edge = _foot(boxes, shelf)
    height = np.maximum(boxes[:, 3] - boxes[:, 1], 1e-9)
    down = (prices[:, 1] + prices[:, 3])[None] / 2 - edge[:, None]
    near = (down >= -INTO * height[:, None]) & (down <= DEEP * height[:, None])
    # Of two rails within reach the nearer one is meant: labels of one rail differ by less than their height.
    nearest = np.where(near, np.abs(down), np.inf).min(axis=1, keepdims=True)
    tall = (prices[:, 3] - prices[:, 1])[None]
    return np.asarray(near & (np.abs(down) <= nearest + np.maximum(tall, 0.25 * height[:, None])), dtype=bool)


def _foot(boxes: Floats, shelf: Floats) -> Floats:
    """Return where each facing, or the lowest of those that it stands on, meets its shelf, as y in pixels."""
    width, height = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9).T
    shared = np.minimum(boxes[:, None, 2], boxes[None, :, 2]) - np.maximum(boxes[:, None, 0], boxes[None, :, 0])
    over = (shared > 0.5 * np.minimum(width[:, None], width[None])) & ~(np.abs(shelf[:, None] - shelf[None]) > 0)
    foot = boxes[:, 3].copy()
    for _ in range(len(boxes)):
        under = over & (np.abs(boxes[None, :, 1] - foot[:, None]) <= STACKED * np.minimum(height[:, None], height[None]))
        lower = np.maximum(foot, np.where(under, boxes[None, :, 3], -np.inf).max(axis=1))
        if np.array_equal(lower, foot):
            break
        foot = lower
    return foot


def _begins_with_a_label(boxes: Floats, at: Floats, near: Bools) -> bool:
    """Tell whether rails begin with a label and end without one, more than the other way round.

    A rail is what the facings of one row share: here, the facings that could have the same label.
    """
    left: list[float] = []
    right: list[float] = []
    todo = near.any(axis=1)
    while todo.any():
        mine: Bools = np.zeros(len(boxes), dtype=bool)
        mine[int(np.argmax(todo))] = True
        while True:
            tags = near[mine].any(axis=0)
            grown: Bools = np.asarray(near[:, tags].any(axis=1), dtype=bool)
            if np.array_equal(grown, mine):
                break
            mine = grown
        todo &= ~mine
        if mine.sum() <= tags.sum():  # a label for each facing says nothing of habits
            continue
        width = float(np.median(boxes[mine, 2] - boxes[mine, 0]))
        left.append(float(at[tags].min() - boxes[mine, 0].min()) / width)
        right.append(float(boxes[mine, 2].max() - at[tags].max()) / width)
    # The first label is under the first facing, and the last one further from its end.
    return bool(left) and float(np.median(left)) < UNDER and float(np.mean(right) - np.mean(left)) > 0.5
