"""Bound what the people overlooked: from the errors planted for them, which they found or not.

*What is assumed*: an error that the machine made is as easy to see as one planted of its kind, and errors are overlooked
independently of each other. Nothing else is: not how many errors there are, nor where.

Fix for each error of a stratum whether a person who is asked would see it. Errors then are of two sorts, V that would be seen
and I that would not. What remains in the end is the seen sort among what is accepted and not audited, plus *all* of I, wherever
it is: in what was accepted, reviewed or audited. The audit counts the seen sort, as it counts errors where people see all. So the
claim "no more than T remain" follows from "no more than T - B of the seen sort remain", with B a bound on I.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from scipy.stats import binom

from hyla.decide.bounds import clopper_pearson_lower


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Hold how many planted errors people found.

    Args:
        kinds: for each kind: how many were found, of how many planted, and the lower confidence bound of the share.
        delta: the chance that any of the bounds is too high.
    """

    kinds: Mapping[str, tuple[int, int, float]]
    delta: float

    @property
    def lowest(self) -> float:
        """Return the lowest bound of all kinds: the share of errors that people see, whatever their mix is; 0 without seeds."""
        return min((low for _, _, low in self.kinds.values()), default=0.0)


def measure(found: Mapping[str, tuple[int, int]], delta: float) -> Sensitivity:
    """Return the sensitivity from `found`: for each kind of planted error, how many were found, of how many.

    Each bound is Clopper-Pearson's at delta / kinds, so that all hold at once. Raise ValueError where found > planted.
    """
    if any(not 0 <= k <= n for k, n in found.values()):
        raise ValueError("wanted: 0 <= found <= planted")
    return Sensitivity(
        {kind: (k, n, float(clopper_pearson_lower(k, n, delta / len(found)))) for kind, (k, n) in found.items()}, delta
    )


def overlooked_upper(seen: float, sensitivity: float, alpha: float) -> float:
    """Return an upper bound at level 1 - `alpha` of the errors overlooked where `seen` were not, each seen with that chance.

    Of seen + i errors, P[Bin(seen + i, sensitivity) <= seen] > alpha for i up to the bound: the inverse of the exact test. It
    rises with `seen`, so that an upper bound may stand in for `seen`. At sensitivity 1 it is 0, at 0 infinite.
    """
    if sensitivity >= 1:
        return 0.0
    if sensitivity <= 0:
        return math.inf
    v = math.ceil(seen - 1e-9)
    low, high = 0, 1
    while binom.cdf(v, v + high, sensitivity) > alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if binom.cdf(v, v + middle, sensitivity) > alpha else (low, middle)
    return float(low)
