"""Draw the audit of a frozen lot from its seed alone, and say what a person must then answer.

No random generator of a library is used: a draw is a few hashes of the seed, so that whoever holds the lot and the seed draws the
same units anywhere, in any language, years later.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from hyla.decide.lot import Lot
from hyla.types import Bools, Ints

if TYPE_CHECKING:
    from hyla.decide.planning import Plan


def drawable(lot: Lot) -> Bools:
    """Tell of each unit (m,) whether an audit may draw it: it isn't settled, and has an ask that might be left out."""
    free = np.zeros(len(lot), dtype=bool)
    free[lot.ask_unit[~lot.always]] = True
    return free & ~lot.settled


def orders(lot: Lot) -> list[Ints]:
    """Return for each stratum its asks that might be left out, the ones to leave out first at the front; see `Lot.order`."""
    order = lot.order()
    stratum = lot.stratum[lot.ask_unit[order]]
    return [order[stratum == s] for s in range(len(lot.strata))]


def draw(lot: Lot, plan: Plan, seed: str) -> list[Ints]:
    """Return for each stratum the units drawn, in the order drawn.

    Where each unit counts the same and is right or wrong, units are drawn without replacement: those with the smallest SHA-256 of
    `seed:stratum:id`, the id being that of the unit's first item. Otherwise with replacement, by size: draw j takes the first 8
    bytes of the SHA-256 of `seed:stratum:j` as a fraction of 2 ** 64 into the cumulative sizes.
    """
    may = drawable(lot)
    _, first = np.unique(lot.unit, return_index=True)
    drawn = []
    for s, (name, part) in enumerate(zip(lot.strata, plan.strata, strict=True)):
        units = np.flatnonzero(may & (lot.stratum == s))
        if not part.draws or not len(units):
            drawn.append(np.empty(0, dtype=np.int64))
        elif part.method == "betting":
            hashes = [sha256(f"{seed}:{name}:{j}".encode()).digest()[:8] for j in range(part.draws)]
            place = np.array([int.from_bytes(h, "big") / 2**64 for h in hashes])
            sums = np.cumsum(lot.size[units])
            drawn.append(units[np.minimum(np.searchsorted(sums, place * sums[-1], side="right"), len(units) - 1)])
        else:
            head = f"{seed}:{name}:".encode()
            keys = np.array([sha256(head + item).hexdigest() for item in lot.items[first[units]].tolist()])
            drawn.append(units[np.argsort(keys)[: part.draws]])
    return drawn


def route(lot: Lot, cuts: Sequence[int], draws: Sequence[Ints]) -> Bools:
    """Return which asks (a,) a person must answer when the first `cuts[s]` asks of each stratum's order are left out.

    Asked are all others, each ask of a unit that was drawn, and those that must be asked always; never those of settled units.
    """
    asked = np.ones(len(lot.item), dtype=bool)
    for order, cut in zip(orders(lot), cuts, strict=True):
        asked[order[:cut]] = False
    opened = np.zeros(len(lot), dtype=bool)
    for units in draws:
        opened[units] = True
    unit = lot.ask_unit
    return (asked | opened[unit] | lot.always) & ~lot.settled[unit]
