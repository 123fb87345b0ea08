"""Find the machine's labels among the labels that hold now, so that flags point at what they are about.

The rows of a flag count the machine's labels. Once a person has removed or added some, the same label has another row; a label
that was changed in any way is no longer the one that the rule judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from hyla.types import Flag, Ints, Labels, Rle

GONE = -1


def rows_now(machine: Labels, now: Labels) -> Ints:
    """Return for each of the machine's labels (n,) the row of the same label in `now`, or GONE.

    Labels are the same if class, score, box, kind, track, shape and attributes are equal; evidence does not count. Of several
    that are the same, the first is the first.
    """
    if machine is now:
        return np.arange(len(machine))
    free: dict[Any, list[int]] = defaultdict(list)
    for row, key in enumerate(_keys(now)):
        free[key].append(row)
    for rows in free.values():
        rows.reverse()
    found = [left.pop() if (left := free.get(key)) else GONE for key in _keys(machine)]
    return np.array(found, dtype=np.int64)


def flags_now(flags: Iterable[Flag], rows: Ints) -> Iterator[tuple[Flag, list[int]]]:
    """Yield each flag with the rows that it is about now, from what `rows_now` gave; one whose rows are all gone is left out."""
    for flag in flags:
        now = rows[list(flag.rows)] if flag.rows else rows[:0]
        here = now[now != GONE].tolist()
        if here or not flag.rows:
            yield flag, here


def _keys(labels: Labels) -> Iterator[Any]:
    """Yield for each label what is equal for the same label, and for no other."""
    numbers = np.column_stack([labels.class_id, labels.kind, labels.track, labels.score, labels.box]) + 0.0  # no -0.0
    raw, width = numbers.tobytes(), numbers.shape[1] * numbers.itemsize
    plain = [raw[at : at + width] for at in range(0, len(raw), width)]
    columns = [(name, column.tolist()) for name, column in sorted(labels.attributes.items())]
    if not columns and all(shape is None for shape in labels.shape):
        yield from plain
        return
    for row, shape in enumerate(labels.shape):
        known = tuple((name, repr(v)) for name, values in columns if (v := values[row]) is not None and v == v)
        yield (plain[row], _shape_key(shape), known) if known or shape is not None else plain[row]


def _shape_key(shape: Any) -> Any:
    if shape is None or isinstance(shape, Rle):
        return shape
    return tuple(ring.tobytes() for ring in shape) if isinstance(shape, tuple) else shape.tobytes()
