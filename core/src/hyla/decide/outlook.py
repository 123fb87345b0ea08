"""Predict from the risks where a test will stop, and so what an audit of each size costs and saves."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
from scipy.special import ndtri, xlogy

from hyla.decide.bounds import remaining_p, zero_defect
from hyla.types import Bools, Floats, Ints

MODES = ("planned", "early")
SIZES = 48  # audits tried, from the smallest that can prove anything to the largest allowed
WORTH = 0.01  # of the time: what saves less is not worth a share of delta
SLACK = 0.003  # of the time: within it, audits cost about the same
_SPREAD = np.array([-1.59, -0.97, -0.59, -0.28, 0.0, 0.28, 0.59, 0.97, 1.59])  # the normal distribution in nine equal parts


@dataclass(frozen=True)
class Curve:
    """Hold what a stratum's first asks hold, at some hundreds of cuts (g,).

    Args:
        method: hypergeometric, alpha or betting.
        units: in the stratum, of which `drawable` may be drawn.
        size: of all units; `mass` of those that may be drawn.
        at: cuts, from 0 to the number of asks that might be left out.
        risk: errors expected among the asks before the cut.
        square: expected sum over units of squared errors divided by size: the spread of what draws by size find.
        seconds: for answering the asks before the cut; `sized`, each times the size of its unit.
        whole: units of which nothing is asked.
        fixed: seconds for the asks that must be answered whatever is accepted.
    """

    method: str
    units: int
    drawable: int
    size: float
    mass: float
    at: Floats
    risk: Floats
    square: Floats
    seconds: Floats
    sized: Floats
    whole: Floats
    fixed: float

    @property
    def all_seconds(self) -> float:
        """Return the time for asking everything."""
        return float(self.seconds[-1] + self.fixed)

    def most_draws(self, most: float) -> int:
        """Return the largest audit: a share of the units that may be drawn."""
        return floor(most * self.drawable)


@dataclass(frozen=True)
class Outlook:
    """Hold what is expected of an audit: `draws`, where the test stops (9 equally likely cuts), and the seconds of both parts."""

    draws: int
    stops: Floats
    unaudited: Floats
    accepted_units: float
    audit_seconds: float
    review_seconds: float

    @property
    def seconds(self) -> float:
        """Return the time for audit and review."""
        return self.audit_seconds + self.review_seconds


def allowed(eps: float, units: int) -> int:
    """Return how many errors may remain among the units: the largest whole number that is not more than eps of them."""
    return floor(eps * units + 1e-9)


def tolerated(errors: int, population: int, samples: Ints, delta: float) -> Ints:
    """Return for each sample size (k,) how many errors it may find at most; -1 where even none would be too many.

    It is `bounds.most_found` for many sizes at once.
    """
    low, high = np.full(len(samples), -1), samples + 1
    while (high - low > 1).any():
        middle = (low + high) // 2
        fits = remaining_p(middle, errors, population, samples) <= delta
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return np.asarray(low, dtype=np.int64)


def stops(curve: Curve, draws: Ints, eps: float, delta: float) -> Floats:
    """Return (k, 9) equally likely cuts at which the test is expected to stop, for each of k audit sizes."""
    if curve.method == "hypergeometric":
        share = draws / curve.drawable
        errors = min(allowed(eps, curve.units), curve.drawable - 1)
        found = tolerated(errors, curve.drawable, draws, delta) + 1
        # The found-th error that is drawn is about the found/share-th of all; its place spreads as waiting times do.
        place = found / share
        spread = np.sqrt(found * (1 - share)) / share
        reached = np.interp(np.maximum(place[:, None] + spread[:, None] * _SPREAD, 0), curve.risk, curve.at)
        return np.where(found[:, None] > 0, reached, 0.0)
    passes = _bets(curve, draws, eps, delta) if curve.method == "betting" else _wins(curve, draws, eps, delta)
    last = np.where(passes.all(axis=1), len(curve.at), np.argmin(passes, axis=1)) - 1
    return np.repeat(curve.at[np.maximum(last, 0)][:, None], len(_SPREAD), axis=1)


def expect(curve: Curve, draws: Ints, eps: float, delta: float) -> list[Outlook]:
    """Return what each audit size is expected to cost and save."""
    found = []
    for m, cuts in zip(draws.tolist(), stops(curve, draws, eps, delta), strict=True):
        seconds = np.interp(cuts, curve.at, curve.seconds)
        opened = _opened(curve, m, seconds, np.interp(cuts, curve.at, curve.sized))
        everything = _opened(curve, m, curve.seconds[-1:], curve.sized[-1:])
        audit = float(everything[0] * curve.seconds[-1])
        total = curve.all_seconds - float(np.mean((1 - opened) * seconds))
        units = float(np.mean((1 - opened) * np.interp(cuts, curve.at, curve.whole)))
        found.append(Outlook(m, cuts, (1 - opened) * cuts, units, audit, total - audit))
    return found


def best(curve: Curve, eps: float, delta: float, most: float) -> Outlook | None:
    """Return the audit that leaves the least work in total, or None where none saves enough to be worth it.

    Of those that cost about as little, the largest is taken: machines are surer than right, and an audit that is too small then
    costs more than one that is too large.
    """
    if not curve.drawable:
        return None
    low, high = least_draws(curve, eps, delta), curve.most_draws(most)
    if low > high:
        return None
    sizes = np.unique(np.geomspace(low, high, SIZES).astype(np.int64))
    found = expect(curve, sizes, eps, delta)
    least = min(outlook.seconds for outlook in found)
    chosen = [outlook for outlook in found if outlook.seconds <= least + SLACK * curve.all_seconds][-1]
    return chosen if chosen.seconds <= (1 - WORTH) * curve.all_seconds else None


def smallest_eps(curve: Curve, delta: float, most: float) -> float:
    """Return the smallest eps at which the largest audit is expected to save enough to be worth it; 1 where none is."""
    low, high, size, enough = 0.0, 1.0, np.array([curve.most_draws(most)]), (1 - WORTH) * curve.all_seconds
    if size[0] < 1:
        return 1.0
    while high - low > 0.002 * high:
        middle = (low + high) / 2 if low else high / 2
        if _proves(curve, middle, delta, size) and expect(curve, size, middle, delta)[0].seconds <= enough:
            high = middle
        elif middle < 1e-6:
            break
        else:
            low = middle
    return high


def least_draws(curve: Curve, eps: float, delta: float) -> int:
    """Return the smallest audit that could prove anything: all it finds is right, and still it is just enough."""
    if curve.method == "betting":
        return zero_defect(_level(curve, eps), delta)
    low, high = 0, curve.drawable
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _proves(curve, eps, delta, np.array([middle])) else (middle, high)
    return high


def _proves(curve: Curve, eps: float, delta: float, draws: Ints) -> bool:
    """Tell whether an audit could prove anything, if all it finds is right."""
    if curve.method == "betting":
        return zero_defect(_level(curve, eps), delta) <= int(draws[0])
    errors = min(allowed(eps, curve.units), curve.drawable - 1)
    return int(tolerated(errors, curve.drawable, draws, delta)[0]) >= 0


def _level(curve: Curve, eps: float) -> float:
    """Return the share of errors that may be left in what can be drawn, below 1."""
    return min(eps * curve.size / curve.mass, 0.999)


def _opened(curve: Curve, draws: int, seconds: Floats, sized: Floats) -> Floats:
    """Return the share of the first asks' time that the audit opens anyway."""
    if curve.method != "betting":
        return np.full(len(seconds), draws / curve.drawable)
    mean_size = np.divide(sized, seconds, out=np.zeros(len(seconds)), where=seconds > 0)
    return np.asarray(-np.expm1(-draws * mean_size / curve.mass))


def _bets(curve: Curve, draws: Ints, eps: float, delta: float) -> Bools:
    """Tell (k, g) at which cuts `bounds.betting_e` is expected to reach 1/delta.

    What a draw finds is taken as nothing or one lump, of the same mean and spread as the risks predict: then the best bet is
    known, and how fast it grows. Where a loss of 1 would ruin the gambler, bets are held back, and growth is all that counts.
    Far from that, one who aims at 1/delta alone needs only what the normal distribution asks for, z squared over 2.
    """
    level = _level(curve, eps)
    mean = np.minimum(curve.risk / curve.mass, level)
    lump = np.divide(curve.square, curve.risk, out=np.ones(len(curve.at)), where=curve.risk > 0)
    lump = np.clip(lump, 1.001 * level, 1.0) if level < 0.99 else np.ones(len(curve.at))
    highest = 0.98 / (1 - level)  # as in `bounds.betting_e`
    bet = np.minimum((level - mean) / (level * (lump - level)), highest)
    hit = mean / lump
    growth = hit * np.log1p(-bet * (lump - level)) + (1 - hit) * np.log1p(bet * level)
    least = ndtri(delta) ** 2 / 2
    needed = least + (-np.log(delta) - least) * (bet / highest) ** 2
    return np.asarray((draws[:, None] * growth >= needed) & (mean < level))


def _wins(curve: Curve, draws: Ints, eps: float, delta: float) -> Bools:
    """Tell (k, g) at which cuts ALPHA is expected to reach 1/delta: its growth per draw is the divergence of two coins."""
    errors, share = allowed(eps, curve.units), (draws / curve.drawable)[:, None]
    level = np.minimum((errors + 1) / np.maximum(curve.at, 1), 0.999)
    mean = np.minimum(curve.risk / np.maximum(curve.at, 1), level)
    rate = xlogy(mean, mean / level) + xlogy(1 - mean, (1 - mean) / (1 - level))
    count = share / (1 - share) * curve.at  # without replacement, each draw tells more of what is left
    learning = 0.5 * np.log1p(count * mean)  # what it costs to find the best bet on the way
    return np.asarray((count * rate - learning >= -np.log(delta)) | (curve.at <= errors))
