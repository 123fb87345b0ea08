"""Tests that may stop at any time, stopped by somebody who wants them to say what is not so."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import binom

from hyla.decide import sequential
from hyla.decide.bounds import betting_e
from hyla.types import Bools, Floats, Ints

N, ALLOWED, DELTA = 400, 20, 0.1
CUTS = np.arange(40, N + 1, 20)


def passed(log_e: Floats) -> Ints:
    """Return how many cuts pass before the first failure, after each draw."""
    won = np.maximum.accumulate(log_e, axis=0) >= -np.log(DELTA)
    return np.logical_and.accumulate(won, axis=1).sum(axis=1)


def population(where: Ints) -> Bools:
    wrong = np.zeros(N, dtype=bool)
    wrong[where] = True
    return wrong


@pytest.mark.parametrize(
    "where",
    [
        np.arange(ALLOWED + 1),
        100 - 1 - np.arange(ALLOWED + 1),
        np.arange(0, N, 5),
        N - 1 - np.arange(ALLOWED + 1),
        np.arange(60, N),
    ],
    ids=["first of all", "just before a cut", "evenly", "last of all", "nearly all"],
)
def test_to_stop_when_it_suits_does_not_help(where: Ints) -> None:
    """A false claim at *any* time counts, whatever is drawn afterwards."""
    rng, wrong, reps, false, best = np.random.default_rng(0), population(where), 200, 0, 0
    errors = np.array([wrong[:c].sum() for c in CUTS])
    for _ in range(reps):
        draws = rng.permutation(N)[:250]
        stops = passed(sequential.alpha_e(wrong[draws], draws, CUTS, ALLOWED))
        claimed = np.r_[0, errors][stops]
        false += (claimed > ALLOWED).any()
        best = max(best, int(stops.max()))
    assert false <= binom.ppf(0.999, reps, DELTA)
    assert best > 0 or errors[0] > ALLOWED


def test_an_audit_without_error_is_believed_in_time() -> None:
    draws = np.random.default_rng(1).permutation(N)
    stops = passed(sequential.alpha_e(np.zeros(N, dtype=bool), draws, CUTS, ALLOWED))
    assert stops[-1] == len(CUTS)
    assert stops[150] == len(CUTS)
    assert stops[5] < len(CUTS)


def test_so_few_units_that_no_more_can_be_wrong_need_no_draw() -> None:
    log_e = sequential.alpha_e(np.array([True]), np.array([50]), np.array([3, 20, 21, 60]), ALLOWED)
    assert log_e[0].tolist()[:3] == [np.inf, np.inf, 0.0]
    assert log_e[0, 3] < 0


def test_a_hypothesis_is_refuted_for_good_once_it_is_impossible() -> None:
    """Of 5, more than 2 wrong: after 3 right ones it can't be."""
    log_e = sequential.alpha_e(np.array([False] * 3 + [True] * 2), np.arange(5), np.array([5]), 2)[:, 0]
    assert np.isfinite(log_e[:2]).all()
    assert (log_e[2:] == np.inf).all()


def test_a_hypothesis_that_is_plainly_true_stands_for_ever() -> None:
    log_e = sequential.alpha_e(np.array([True] * 3 + [False] * 40), np.arange(43), np.array([60]), 2)[:, 0]
    assert log_e[-1] == log_e[2] < 0


def test_draws_beyond_a_cut_leave_its_wealth_alone() -> None:
    rng = np.random.default_rng(2)
    draws = rng.permutation(N)[:200]
    wrong = rng.random(200) < 0.05
    together = sequential.alpha_e(wrong, draws, CUTS, ALLOWED)
    for g in (0, 5, len(CUTS) - 1):
        inside = draws < CUTS[g]
        alone = sequential.alpha_e(wrong[inside], draws[inside], CUTS[g : g + 1], ALLOWED)[:, 0]
        assert together[inside, g] == pytest.approx(alone)


def test_wealth_rises_with_what_is_allowed_while_the_bets_stay() -> None:
    rng = np.random.default_rng(3)
    draws = rng.permutation(N)[:200]
    wrong = rng.random(200) < 0.04
    sums = [sequential.alpha_e(wrong, draws, CUTS, a, aim=18).max(axis=0) for a in range(6, 30, 3)]
    assert all((b >= a - 1e-9).all() for a, b in pairwise(sums))
    x = np.minimum(rng.poisson(0.02, (200, 10)).cumsum(axis=1) / 5, 1.0)
    _, bets = sequential.remaining_e(x, np.ones(200), N, 30.0, DELTA, 200)
    sums = [sequential.remaining_wealth(x, np.ones(200), N, float(a), bets).max(axis=0) for a in range(5, 60, 5)]
    assert all((b >= a - 1e-9).all() for a, b in pairwise(sums))


def test_the_wealth_of_the_aim_is_that_of_the_game() -> None:
    rng = np.random.default_rng(4)
    x = np.minimum(rng.poisson(0.02, (150, 10)).cumsum(axis=1) / 5, 1.0)
    size = rng.integers(1, 5, 150).astype(float)
    log_e, bets = sequential.remaining_e(x, size, 2000.0, 120.0, DELTA, 150)
    assert sequential.remaining_wealth(x, size, 2000.0, 120.0, bets) == pytest.approx(log_e)
    assert bets.min() >= 0
    assert bets.max() <= 0.98


@pytest.mark.parametrize("spread", [1, 4])
def test_what_remains_of_objects_is_bounded_at_any_time(spread: int) -> None:
    """Draws by size without replacement; the audit stops whenever a cut passes of which too much remains at that time."""
    rng, reps, n, false = np.random.default_rng(5), 300, 120, 0
    size = rng.integers(1, 1 + spread, n).astype(float)
    loss = np.minimum(rng.poisson(0.06, (n, 6)).cumsum(axis=1), size[:, None])
    allowed = float(loss[:, 3].sum() * 0.75)  # a quarter put right is about what it takes
    for _ in range(reps):
        order = np.argsort(rng.exponential(size=n) / size)[:60]
        log_e, _ = sequential.remaining_e((loss / size[:, None])[order], size[order], size.sum(), allowed, DELTA, 60)
        left = loss.sum(axis=0) - loss[order].cumsum(axis=0)
        won = np.maximum.accumulate(log_e, axis=0) >= -np.log(DELTA)
        false += (np.logical_and.accumulate(won, axis=1) & (left > allowed)).any()
    assert false <= binom.ppf(0.999, reps, DELTA)


def test_a_long_run_of_errors_leaves_next_to_nothing_and_no_warning() -> None:
    x = np.ones((700, 2))
    log_e, _ = sequential.remaining_e(x, np.ones(700), 10_000.0, 100.0, DELTA, 700)
    assert log_e[-1].max() < -500
    assert betting_e(x, 0.05)[-1].max() < -500
    assert np.isfinite(betting_e(x, 0.05)).all()


def test_the_sequence_for_a_count_covers_it_at_all_times() -> None:
    rng, reps, misses = np.random.default_rng(7), 300, 0
    errors = 30
    for _ in range(reps):
        d = (rng.permutation(N) < errors)[:200].cumsum()
        misses += (sequential.ppr_e(np.arange(1, 201), d, errors, N) >= -np.log(DELTA)).any()
    assert misses <= binom.ppf(0.999, reps, DELTA)
    assert sequential.ppr_upper(200, 0, N, DELTA) < sequential.ppr_upper(200, 10, N, DELTA) < 60
    assert sequential.ppr_upper(0, 0, N, DELTA) == N
