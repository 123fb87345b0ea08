"""Tell which products stand out of the order that is planned for their shelf."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

Spot = tuple[str, int | None]  # a product, and its shelf
Planned = Mapping[Spot, list[tuple[int, int]]]


def out_of_order(planned: Planned, orders: Mapping[int | None, list[tuple[float, str]]]) -> set[Spot]:
    """Return the products of each shelf that must move so that the others stand in the planned order: as few as can be.

    Nothing is said of facings on no known shelf, nor of a shelf on which a product has no planned position.

    Args:
        planned: product and shelf -> position (from 1; 0 if it is not said) and facings of each place.
        orders: shelf -> middle, in pixels from the left, and product of each facing.
    """
    stray: set[Spot] = set()
    for on, facings in orders.items():
        if on is None:
            continue
        middles: dict[str, list[float]] = defaultdict(list)
        for middle, key in facings:
            middles[key].append(middle)
        ranks = {key: float(np.mean([position for position, _ in planned[key, on]])) for key in middles if (key, on) in planned}
        if any(rank == 0 for rank in ranks.values()):
            continue
        order = sorted(ranks, key=lambda key: (float(np.mean(middles[key])), key))
        stays = longest_rise([ranks[key] for key in order])
        stray |= {(key, on) for n, key in enumerate(order) if n not in stays}
    return stray


def longest_rise(values: Sequence[float]) -> set[int]:
    """Return the places of a longest increasing subsequence (patience sorting)."""
    ends: list[float] = []
    places: list[int] = []
    before: list[int] = []
    for n, value in enumerate(values):
        at = bisect_left(ends, value)
        before.append(places[at - 1] if at else -1)
        ends[at:], places[at:] = [value, *ends[at + 1 :]], [n, *places[at + 1 :]]
    found: set[int] = set()
    at = places[-1] if places else -1
    while at >= 0:
        found.add(at)
        at = before[at]
    return found
