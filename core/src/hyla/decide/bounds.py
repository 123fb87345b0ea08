"""Bound what was not looked at from what was: exact tests for counts, betting for losses between 0 and 1.

Every bound here holds for any population, whatever the model, its scores or their order: the only chance is in the draw of the
audit. All p-values and e-values are one-sided, against the hypothesis that there is *more* error than allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import beta, binom, hypergeom

from hyla.types import Floats

BOLDEST = 0.98  # share of the wealth that the worst loss may cost: one unlucky draw should not end the game


def hypergeometric_p(d: npt.ArrayLike, errors: npt.ArrayLike, population: npt.ArrayLike, sample: npt.ArrayLike) -> Floats:
    """Return the chance to find `d` errors or fewer in a sample drawn without replacement, where `errors` hide in a population.

    All four are whole numbers, broadcast. It falls as `errors` grows, so that it is the exact p-value of "there are `errors` or
    more". More errors than the population has units are impossible: 0.
    """
    k, bad, size, n = np.broadcast_arrays(*(np.asarray(v, dtype=np.int64) for v in (d, errors, population, sample)))
    p = np.asarray(hypergeom.cdf(k, size, np.minimum(bad, size), n), dtype=np.float64)
    return np.where(bad > size, 0.0, np.clip(p, 0.0, 1.0))


def remaining_p(d: npt.ArrayLike, allowed: npt.ArrayLike, population: npt.ArrayLike, sample: npt.ArrayLike) -> Floats:
    """Return the p-value of "more than `allowed` errors remain" where the `d` errors that a sample found have been put right.

    It is P[Hyp(population, allowed + 1 + d, sample) <= d]: if `allowed + 1` remain, there were `allowed + 1 + d`. Proof that it
    holds at every cut of an order at once, without a correction, for any order of the population fixed before the draw: let k be
    the largest d with p <= delta (p grows with d, since one error more in the population adds one at most to the sample). Suppose
    that at some cut, of which the sample found d <= k errors, more than `allowed` remain. Take the first `allowed + 1 + k` errors
    of the order. Going on from the cut, each further error adds one at most to those found, so that of these no more than k were
    found; the chance of that is p(k) <= delta. (If the population holds fewer errors, `allowed + 1 + j`, then at most j of them
    were found, and p(j) <= p(k).) The event is the same one for all cuts, so that no union over cuts is paid for, and neither
    the number of cuts nor the number drawn before each of them matters.
    """
    k, t, size, n = np.broadcast_arrays(*(np.asarray(v, dtype=np.int64) for v in (d, allowed, population, sample)))
    found = np.minimum(k, size - t - 1)  # if more remain than allowed, no more than these can have been found
    p = hypergeometric_p(found, np.minimum(t + 1 + found, size), size, n)
    return np.where(size - n <= t, 0.0, p)


def most_found(allowed: int, population: int, sample: int, delta: float) -> int:
    """Return how many errors a sample may find at most, so that no more than `allowed` remain with confidence 1 - `delta`.

    It is -1 where even a sample without error would not do. See `remaining_p`, which also says why one number serves every cut.
    """
    return _bisect_last(lambda d: float(remaining_p(d, allowed, population, sample)) <= delta, -1, sample)


def errors_upper(d: int, population: int, sample: int, alpha: float) -> int:
    """Return the largest number of errors in a population that `d` errors in a sample do not rule out at level `alpha`."""
    if not 0 <= d <= sample <= population:
        raise ValueError("wanted: 0 <= d <= sample <= population")
    return _bisect_last(lambda bad: float(hypergeometric_p(d, bad, population, sample)) > alpha, d, population - sample + d)


def remaining_upper(d: int, population: int, sample: int, alpha: float) -> int:
    """Return the largest number of errors that may remain in a population after the `d` that a sample found were put right."""
    return errors_upper(d, population, sample, alpha) - d


def clopper_pearson_upper(k: npt.ArrayLike, n: npt.ArrayLike, alpha: float) -> Floats:
    """Return the exact upper confidence bound of a chance that came true `k` times of `n`, at level 1 - `alpha`."""
    k, n = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    return np.where(k >= n, 1.0, beta.ppf(1 - alpha, k + 1, np.maximum(n - k, 1)))


def clopper_pearson_lower(k: npt.ArrayLike, n: npt.ArrayLike, alpha: float) -> Floats:
    """Return the exact lower confidence bound of a chance that came true `k` times of `n`, at level 1 - `alpha`."""
    k, n = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    return np.where(k <= 0, 0.0, beta.ppf(alpha, np.maximum(k, 1), n - k + 1))


def hoeffding_bentkus_p(mean: npt.ArrayLike, n: int, risk: float) -> Floats:
    """Return the Hoeffding-Bentkus p-value of "the mean is above `risk`" for `n` independent losses in [0, 1] (Bates 2021)."""
    m = np.asarray(mean, dtype=np.float64)
    low = np.minimum(m, risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.where(low > 0, low * np.log(low / risk), 0.0)
        h += np.where(low < 1, (1 - low) * np.log((1 - low) / (1 - risk)), 0.0)
    p: Floats = np.minimum(np.exp(-n * h), math.e * binom.cdf(np.ceil(n * m - 1e-9), n, risk))
    return np.minimum(p, 1.0)


def zero_defect(eps: float, delta: float) -> int:
    """Return how many independent draws without any error show that the rate is below `eps` with confidence 1 - `delta`."""
    return math.ceil(math.log(delta) / math.log1p(-eps) - 1e-9)


def betting_e(x: Floats, mean: float | Floats, alpha: float = 0.05, *, population: int | None = None) -> Floats:
    """Return the running logarithms of e-values against "the mean is `mean` or more", for losses in [0, 1] in the order drawn.

    A gambler starts with 1 and bets on small losses: after each draw the wealth is multiplied by 1 - bet * (x - mean), with a bet
    that only knows the past, so that under the hypothesis it is a supermartingale whatever the losses are: it exceeds 1/alpha
    with chance alpha at most, at any time (Ville; Waudby-Smith & Ramdas 2023). The bet is that of a gambler who wants 1/alpha
    after the last draw, and nothing else (`hedge`), capped so that it neither overshoots 1/alpha nor goes broke. It stops when
    1/alpha is reached.

    Args:
        x: (n,) or (n, g) losses; each column is a game of its own.
        mean: the hypothesis, in (0, 1); one, or (g,).
        alpha: the level that the bets aim at; any other holds too, with less power.
        population: where draws are without replacement: the number of units, whose mean is the hypothesis.

    Returns:
        (n,) or (n, g), the logarithm of the wealth after each draw.
    """
    losses = x[:, None] if x.ndim == 1 else x
    n, columns = losses.shape
    columns = max(columns, np.size(mean))
    goal, wealth = 1e-9 - math.log(alpha), np.zeros(columns)  # a hair above, so that what reaches it is not lost to rounding
    null = np.broadcast_to(np.asarray(mean, dtype=np.float64), columns)
    total, squares, out = np.zeros(columns), np.zeros(columns), np.empty((n, columns))
    for t in range(n):
        m = null if population is None else np.clip((population * null - total) / (population - t), 0.0, 1.0)
        inner = (m > 0) & (m < 1)
        safe = np.where(inner, m, 0.5)
        drawn = t + 0.5 / null  # as if half an error of size 1 had been met in as many draws as its hypothesis says
        sd = np.sqrt(np.maximum((squares + 0.5) / drawn - ((total + 0.5) / drawn) ** 2, 1e-9))
        p = np.exp(np.clip(wealth - goal, -600.0, 0.0))  # never quite 0, which nothing could be divided by
        bet = np.minimum(hedge(p, sd * math.sqrt(n - t)), np.minimum(BOLDEST / (1 - safe), (1 / p - 1) / safe))
        bet = np.where(inner & (p < 1), bet, 0.0)
        wealth = wealth + np.log1p(-bet * (losses[t] - m))
        out[t] = wealth
        total = total + losses[t]
        squares = squares + losses[t] ** 2
    return out[:, 0] if x.ndim == 1 and np.ndim(mean) == 0 else out


def hedge(p: Floats, risk: Floats) -> Floats:
    """Return the bet per unit of loss that would turn a wealth of `p`, of a goal of 1, into 1 or nothing at the end.

    It is the delta of a digital option: phi(z) / (p * risk), z the normal quantile of `p`, and `risk` the standard deviation of
    the sum of the losses to come. Made anew from the wealth at each draw, it wastes little on winning more than the goal, where
    bets of a fixed size need sqrt(2 log(1/alpha)) standard deviations instead of the quantile's. (To recalculate from the wealth
    is the idea of STaR-Bets, Voracek & Orabona 2025.)
    """
    z = ndtri(np.clip(p, 1e-300, 1 - 1e-15))
    delta: Floats = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) / (np.maximum(p, 1e-300) * risk)
    return delta


def betting_upper(x: Floats, alpha: float) -> float:
    """Return an upper bound at level 1 - `alpha` of the mean of losses (n,) in [0, 1], drawn with replacement, in that order.

    It is the largest mean that `betting_e` does not refute, on a grid that is refined three times around it.
    """
    low, high = 0.0, 1.0
    for _ in range(4):
        means = np.linspace(low, high, 34)[1:-1]
        stands = betting_e(x, means, alpha).max(axis=0, initial=0.0) < -math.log(alpha)
        last = int(np.flatnonzero(stands)[-1]) if stands.any() else -1
        low, high = (low if last < 0 else float(means[last])), (high if last == len(means) - 1 else float(means[last + 1]))
    return high


def _bisect_last(holds: Callable[[int], bool], first: int, last: int) -> int:
    """Return the largest whole number in `first`..`last` for which `holds`, which is true up to it; `first` is taken to be."""
    while first < last:
        middle = (first + last + 1) // 2
        first, last = (middle, last) if holds(middle) else (first, middle - 1)
    return first
