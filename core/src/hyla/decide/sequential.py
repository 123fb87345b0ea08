"""Test as the audit goes on, so that it may stop at any time: e-values and confidence sequences.

All of them hold whenever one stops, if what the bets are laid for (`draws`, `aim`) was fixed before the draw.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betaln, gammaln, ndtri

from hyla.decide.bounds import BOLDEST, hedge
from hyla.types import Bools, Floats, Ints

_PRIOR_DRAWS = 30  # weight of the guess that half the errors allowed are there, in draws


def alpha_e(wrong: Bools, place: Ints, cuts: Ints, allowed: int, *, aim: int | None = None) -> Floats:
    """Return the running logarithms of ALPHA's e-values against "more than `allowed` errors among the first `cut` of an order".

    ALPHA (Stark 2023) for yes/no draws without replacement: of the draws among the first `cut`, after n with d errors, the next
    is wrong with chance p0 = (allowed + 1 - d) / (cut - n) at least if the hypothesis holds. With any guess q < p0 made from the
    past, the wealth times q / p0 for an error and (1 - q) / (1 - p0) for none is a supermartingale: it reaches 1/delta with
    chance delta at most, whenever one stops. Where p0 is 1 or more, a draw without error refutes the hypothesis for good; where
    d > allowed, it stands for ever.

    Args:
        wrong: (m,) whether each drawn unit was wrong, in the order drawn, without replacement.
        place: (m,) place of each in the order, from 0.
        cuts: (g,) ascending.
        allowed: errors that may be among the first `cut`.
        aim: where `allowed` was learned from the draws: a number that was not, to choose the guesses for. The bets that they come
            to, (p0 - q) / (p0 * (1 - p0)), are then those of `allowed` too. Wealth rises with `allowed` while bets do not
            depend on it, so that passing at what was learned is passing at the truth, if that is no lower.

    Returns:
        (m, g), the logarithm of the wealth after each draw; inf where the hypothesis is refuted.
    """
    boldest, aim = (math.inf, allowed) if aim is None else (BOLDEST, aim)
    n, d = np.zeros(len(cuts)), np.zeros(len(cuts))
    wealth = np.where(cuts <= allowed, math.inf, 0.0)  # so few can't hold more than is allowed
    out = np.empty((len(wrong), len(cuts)))
    guess = 0.5 * (aim + 1) / np.maximum(cuts, 1)
    for t, (bad, at) in enumerate(zip(wrong, place, strict=True)):
        g = slice(int(np.searchsorted(cuts, at, side="right")), None)  # the cuts that this draw is within
        rest = cuts[g] - n[g]
        p0 = (allowed + 1 - d[g]) / rest
        sure = (p0 >= 1) & (d[g] <= allowed)  # all that is left would have to be wrong
        p = np.clip((aim + 1 - d[g]) / rest, 1e-9, 1 - 1e-9)
        q = np.minimum((_PRIOR_DRAWS * guess[g] + d[g]) / (_PRIOR_DRAWS + n[g]), p * (1 - 1e-6))
        bet = np.minimum((p - q) / (p * (1 - p)), boldest)
        step = np.log1p(-np.where((p0 > 0) & (p0 < 1), bet, 0.0) * (bad - np.clip(p0, 0, 1)))
        wealth[g] += step
        if not bad:
            wealth[g] = np.where(sure, math.inf, wealth[g])
        n[g] += 1
        d[g] += bad
        out[t] = wealth
    return out


def remaining_e(x: Floats, size: Floats, everything: float, allowed: float, alpha: float, draws: float) -> tuple[Floats, Floats]:
    """Return e-values against "more than `allowed` remains among what was not drawn", at each cut of an order.

    Units are drawn one at a time with chance in proportion to size among those not drawn yet (draws with replacement do that, if
    those of a unit drawn before are passed over), and what is found in them is put right. After each, the wealth of a cut is
    multiplied by 1 - bet * (x - m), m = allowed / size not drawn before. *All cuts share the bet*, which only knows the past.

    Proof that it holds at every cut at once and at any time. Losses grow from cut to cut. Let R(c) be what is not drawn yet of
    the loss at cut c, and suppose that in the end R(k) > allowed for a cut k that was passed. Follow another wealth, which at
    each draw is multiplied by 1 - bet * (x(c) - m) for the first cut c with R(c) > allowed before that draw. This is known
    before the draw, the mean of x(c) is R(c) / size not drawn > m, so it is a supermartingale and reaches 1/alpha with chance
    alpha at most (Ville). And it is never below the wealth of cut k, since R only falls as units are drawn: c <= k, x(c) <= x(k).

    The bet is `bounds.hedge` for the last cut that looks as if it could still pass; a bad choice costs power, never truth.

    Args:
        x: (n, g) loss per size, in [0, 1], of the different units in the order drawn; ascending along g.
        size: (n,) of each.
        everything: size of all that could be drawn.
        allowed: loss that may remain, above 0.
        alpha: the level that the bets aim at.
        draws: how many different units are expected to be drawn in all.

    Returns:
        (n, g) the running logarithms of the wealth, inf once no more can remain than is allowed, and (n,) the bets.
    """
    n, g = x.shape
    goal, wealth, won = 1e-9 - math.log(alpha), np.zeros(g), 0
    total, squares, out, bets = np.zeros(g), np.zeros(g), np.zeros((n, g)), np.zeros(n)
    left = everything - np.r_[0.0, np.cumsum(size)]
    for t in range(n):
        if left[t] <= allowed:
            out[t:] = math.inf
            break
        m = allowed / left[t]
        if won < g:  # wealth falls along the cuts, so that those that have won come first
            live = slice(won, None)
            drawn, to_come = t + 0.5 / m, max(draws - t, 1.0)  # as in `betting_e`
            mean = (total[live] + 0.5) / drawn
            sd = np.sqrt(np.maximum((squares[live] + 0.5) / drawn - mean**2, 1e-9))
            p = np.exp(np.clip(wealth[live] - goal, -600.0, 0.0))
            hopeless = ndtri(np.clip(p, 1e-300, 1 - 1e-15)) + (m - mean) / sd * math.sqrt(to_come) <= 0
            at = max(int(hopeless.argmax()) - 1, 0) if hopeless.any() else len(p) - 1
            bet = hedge(p[at], sd[at] * math.sqrt(to_come))
            bets[t] = min(float(bet), BOLDEST, float(1 / p[at] - 1) / m)
        wealth = wealth + np.log1p(-bets[t] * (x[t] - m))
        out[t] = wealth
        won = max(won, int((wealth >= goal - 1e-9).sum()))
        total, squares = total + x[t], squares + x[t] ** 2
    if n and left[n] <= allowed:
        out[-1] = math.inf
    return out, bets


def remaining_wealth(x: Floats, size: Floats, everything: float, allowed: float, bets: Floats) -> Floats:
    """Return the wealth (n, g) of `remaining_e` against another `allowed`, with bets laid for one that was known before the draw.

    So may `allowed` be learned from the draws: wealth rises with it while the bets do not depend on it, so that passing at what
    was learned is passing at the truth, if that is no lower.
    """
    left = everything - np.r_[0.0, np.cumsum(size)]
    with np.errstate(divide="ignore", invalid="ignore"):
        m = np.where(left[:-1] > allowed, allowed / left[:-1], 1.0)
    wealth = np.log1p(-bets[:, None] * (x - m[:, None])).cumsum(axis=0)
    wealth[left[1:] <= allowed] = math.inf
    return wealth


def remaining_upper(x: Floats, size: Floats, everything: float, allowed: float, alpha: float, bets: Floats) -> float:
    """Return a bound on the loss that remains at one cut: the least that its wealth refutes with the bets of `remaining_e`.

    It holds together with the claims of `remaining_e` at the same alpha: in the proof, once no more than `allowed` remains at
    that cut, go on with m = R / size not drawn. `allowed` is the most that it says.
    """
    low, high = 0.0, allowed
    for _ in range(40):
        bound = (low + high) / 2
        wealth = remaining_wealth(x[:, None], size, everything, bound, bets)
        refuted = wealth.max(initial=0.0) >= -math.log(alpha)
        low, high = (low, bound) if refuted else (bound, high)
    return high


def ppr_e(n: Ints, d: Ints, errors: int, population: int, prior: tuple[float, float] = (0.5, 4.5)) -> Floats:
    """Return the logarithms of prior-posterior ratios against "exactly `errors` are wrong" after `n` draws with `d` errors.

    The ratio of a beta-binomial prior to its posterior at a point is the likelihood of the data under the prior, over that under
    the point: a martingale if the point is true, so that the points with a ratio below 1/delta are a confidence sequence, valid
    at all times at once (Waudby-Smith & Ramdas 2020). A count that the data rules out gives inf.
    """
    a, b = prior
    with np.errstate(invalid="ignore", divide="ignore"):
        mixture = betaln(a + d, b + n - d) - betaln(a, b)
        point = _log_falling(errors, d) + _log_falling(population - errors, n - d) - _log_falling(population, n)
    return np.where((d > errors) | (n - d > population - errors), math.inf, mixture - point)


def ppr_upper(n: int, d: int, population: int, alpha: float, prior: tuple[float, float] = (0.5, 4.5)) -> int:
    """Return the largest number of errors in a population that is in the confidence sequence after `n` draws with `d` errors."""
    highest = population - n + d
    low, high = min(highest, math.ceil(d * population / n) if n else highest), highest
    while low < high:  # the ratio is convex in the count, with its least near d * population / n
        middle = (low + high + 1) // 2
        inside = float(ppr_e(np.array(n), np.array(d), middle, population, prior)) < -math.log(alpha)
        low, high = (middle, high) if inside else (low, middle - 1)
    return low


def _log_falling(total: float, k: Ints) -> Floats:
    """Return log of total * (total - 1) * ... of k factors; meaningless where k > total, which the caller rules out."""
    return np.asarray(gammaln(total + 1.0) - gammaln(np.maximum(total - k, 0) + 1.0), dtype=np.float64)
