"""Write rows of labels as ranges, as states and decisions keep them: 0, 1, 2, 3 and 7 are `0-3,7`."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise


def to_ranges(rows: Iterable[int]) -> str:
    """Return the one text that stands for a set of rows; empty for none."""
    ordered = sorted(rows)
    if not ordered:
        return ""
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), 1) if b != a + 1]
    parts = zip([0, *breaks], [*breaks, len(ordered)], strict=True)
    ends = ((ordered[first], ordered[last - 1]) for first, last in parts)
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ends)


def from_ranges(text: str) -> set[int]:
    """Return the rows that `to_ranges` wrote; raise ValueError for any other text."""
    rows: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        rows.update(range(int(first), int(last or first) + 1))
    return rows


def without(rows: Iterable[int], gone: Iterable[int]) -> set[int]:
    """Return `rows` as they count once the rows `gone` were taken out of the labels."""
    removed = sorted(set(gone))
    left = set(rows).difference(removed)
    return {row - bisect_left(removed, row) for row in left}
