"""Divide a photo of shelves into rows of products: what stands on one rail."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.types import Ints
from hyla_retail.bands import Band
from hyla_retail.straight_lines import LENGTH, STRIPS

HEIGHT = 0.03  # least height of a row, in heights of the picture


def rows(found: Sequence[Band], size: tuple[int, int]) -> list[Band]:
    """Return the rows of products that stand on the rails `found` in a picture of `size` (height, width), from the top.

    A row reaches from its rail up to the nearest rail above, or to the edge of the picture; where another rail begins above, as
    at the next bay, a row ends and another one begins. What lies below the last rail is a row that the picture cuts off, if it is
    at least half as high as the others. Without rails there is one row, the whole picture.
    """
    height, width = size
    if not found:
        return [Band(0, width, (0, 0), (height, height))]
    middle = (np.arange(STRIPS) + 0.5) * width / STRIPS
    tops = np.array([band.at(middle)[0] for band in found])
    there = np.array([(middle >= band.x0) & (middle <= band.x1) for band in found])
    out: list[Band] = []
    floor = Band(0, width, (height, height), (height, height))
    for i, band in enumerate([*found, floor]):
        y = band.at(middle)[0]
        spans = there[i] if i < len(found) else np.ones(STRIPS, dtype=bool)
        above = np.where(there & (tops < y - HEIGHT * height), tops, -np.inf)
        upper = np.where(np.isfinite(above.max(axis=0)), above.argmax(axis=0), -1)
        for first, last in _runs(np.where(spans, upper, -2)):
            over = int(upper[first])
            x0, x1 = max(band.x0, first * width / STRIPS), min(band.x1, (last + 1) * width / STRIPS)
            ends = np.array([x0, x1])
            lines = found[over].at(ends)[1] if over >= 0 else np.zeros(2)
            low = band.at(ends)[0]
            row = Band(x0, x1, (lines[0], lines[1]), (low[0], low[1]), band.strength if i < len(found) else 0.0)
            if last - first + 1 >= LENGTH * STRIPS / 2 and row.height > HEIGHT * height and (low > lines).all():
                out.append(row)
    usual = float(np.median([row.height for row in out if row.strength > 0] or [0.0]))
    out = [row for row in out if row.strength > 0 or row.height > 0.35 * usual]
    return sorted(out, key=lambda row: (sum(row.bottom), row.x0))


def _runs(values: Ints) -> list[tuple[int, int]]:
    """Return (first, last) of the runs of equal values, those of -2 left out."""
    cuts = np.flatnonzero(np.diff(values)) + 1
    parts = np.split(np.arange(len(values)), cuts)
    return [(int(part[0]), int(part[-1])) for part in parts if values[part[0]] != -2]
