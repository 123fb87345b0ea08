"""Every population of up to 11 units, every sample of it: a claim is never false more often than delta. Nothing is random."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, permutations, product

import numpy as np
import pytest

from audit_kit import single_lot
from hyla.decide import bounds, sequential, threshold
from hyla.types import Floats, Ints

SIZES = [1, 2, 3, 5, 8, 10, 11]
DELTAS = (0.05, 0.1, 0.2)


def bits(values: Ints, n: int) -> Ints:
    """Return whole numbers as rows of 0 and 1."""
    return (values[:, None] >> np.arange(n)) & 1


def samples_of(n: int, m: int) -> Ints:
    """Return every sample of m of n units, as rows of 0 and 1."""
    rows = np.zeros((len(list(combinations(range(n), m))), n), dtype=np.int64)
    for row, chosen in zip(rows, combinations(range(n), m), strict=True):
        row[list(chosen)] = 1
    return rows


@lru_cache(maxsize=1)
def found(n: int, m: int, cuts: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """Return errors found (populations, samples, cuts), all errors (populations, 1, cuts), and units drawn (samples, cuts)."""
    population, sample = bits(np.arange(2**n), n).astype(np.int8), samples_of(n, m).astype(np.int8)
    d = np.stack([population[:, :c] @ sample[:, :c].T for c in cuts], axis=-1)
    everything = np.stack([population[:, :c].sum(axis=1, dtype=np.int8) for c in cuts], axis=-1)[:, None, :]
    return d, everything, np.stack([sample[:, :c].sum(axis=1) for c in cuts], axis=-1)


def false_claims(n: int, m: int, cuts: tuple[int, ...], allowed: int, delta: float, *, credit: bool = True) -> Floats:
    """Return, for each population of n units, the share of samples of m after which too much remains."""
    d, everything, within = found(n, m, cuts)
    table = threshold.counted_p(np.arange(n + 1)[:, None], within[:, None], np.array(cuts), allowed)  # samples, d, cuts
    passes = (table <= delta)[np.arange(len(within))[None, :, None], d, np.arange(len(cuts))]
    standing = np.logical_and.accumulate(passes, axis=-1)  # up to the first failure
    return (standing & (everything - d * credit > allowed)).any(axis=-1).mean(axis=1)


@pytest.mark.parametrize("n", SIZES)
def test_no_population_and_no_sample_size_beats_delta(n: int) -> None:
    every = tuple(range(1, n + 1))
    grids = {every, every[::3], (n,), tuple(sorted({max(n // 2, 1), max(n - 2, 1)}))}
    worst = 0.0
    for m, cuts in product(sorted({1, n // 3, n // 2, n - 1, n} - {0}), sorted(grids)):
        for delta, allowed in product(DELTAS, range(min(n, 4))):
            chance = float(false_claims(n, m, cuts, allowed, delta).max())
            assert chance <= delta + 1e-12, (m, delta, cuts, allowed)
            worst = max(worst, chance / delta)
    assert n < 8 or worst > 0.5  # it is not that nothing is ever claimed


def test_claiming_that_what_was_found_has_not_been_put_right_breaks_it() -> None:
    """The same cuts, with the errors found left in: the enumeration sees that this is too much."""
    worst = max(float(false_claims(10, 5, tuple(range(1, 11)), allowed, 0.2, credit=False).max()) for allowed in range(4))
    assert worst > 0.2


@pytest.mark.parametrize("settled", [0, 2])
def test_the_vectorised_form_is_what_test_does(settled: int) -> None:
    """All populations of 6 and all samples of 3, through Lot and `test` itself."""
    n, delta = 6, 0.2
    lot = single_lot(np.r_[np.zeros(settled), np.arange(1, n + 1)], settled=np.arange(n + settled) < settled)
    sample = samples_of(n, 3)
    for eps, cuts in product((0.13, 0.34), [(2, 4, 5), (1, 2, 3, 4, 5, 6)]):
        allowed = int(eps * (n + settled))
        test = threshold.Test(0, "", "hypergeometric", eps, delta, cuts)
        for number in range(2**n):
            wrong = np.r_[np.zeros(settled), bits(np.array([number]), n)[0]].astype(float)
            for row in sample[:: 1 + number % 3]:
                tested = threshold.test(lot, test, settled + np.flatnonzero(row), wrong)
                d = np.array([(wrong[settled : settled + c] * row[:c]).sum() for c in cuts], dtype=np.int64)
                within = np.array([row[:c].sum() for c in cuts])
                p = threshold.counted_p(d, within, np.array(cuts), allowed)
                passed = threshold.first_failure(p <= delta)
                assert tested.cut == (cuts[passed - 1] if passed else 0)
                assert tested.tried == tuple(zip(cuts[: passed + 1], p[: passed + 1].tolist(), strict=True))


@pytest.mark.parametrize("n", [6, 9])
def test_a_claim_at_any_time_is_false_no_more_often_than_delta(n: int) -> None:
    """Every order in which errors can turn up: the wealth of ALPHA against one error more than allowed, stopped at its best."""
    strings = bits(np.arange(2**n), n).astype(bool)
    for allowed in range(n - 1):
        best = np.array(
            [sequential.alpha_e(s, np.arange(n), np.array([n]), allowed).max() for s in strings[strings.sum(1) == allowed + 1]]
        )
        for delta in DELTAS:  # given the number of errors, every order is as likely as any other
            assert (best >= -np.log(delta)).mean() <= delta


def test_every_order_of_draws_by_size_with_losses_of_any_amount() -> None:
    """Seven units of unequal size and all 210 orders of three of them: any claim of any cut, or the bound beside it, is false."""
    rng, delta, claimed, worst = np.random.default_rng(0), 0.3, 0.0, 0.0
    orders = np.array(list(permutations(range(7), 3)))
    for trial in range(150):
        size = rng.integers(1, 4, 7).astype(float)
        shape = (7, 4)
        steps = rng.random(shape) * (rng.random(shape) < rng.choice([0.15, 0.5, 1.0]))
        if trial % 3 == 0:
            steps = np.round(steps)
        x = np.minimum(steps.cumsum(axis=1) / rng.choice([1.0, 3.0]), 1.0)
        allowed = size.sum() * rng.choice([0.2, 0.35, 0.5])
        rest = size.sum() - np.c_[np.zeros(len(orders)), size[orders[:, :2]].cumsum(axis=1)]
        chance = (size[orders] / rest).prod(axis=1)
        assert chance.sum() == pytest.approx(1.0)
        false = 0.0
        for order, p in zip(orders, chance, strict=True):
            log_e, bets = sequential.remaining_e(x[order], size[order], size.sum(), allowed, delta, 3)
            passed = threshold.first_failure(log_e.max(axis=0) >= -np.log(delta))
            left = (x * size[:, None]).sum(axis=0) - (x * size[:, None])[order].sum(axis=0)
            upper = np.full(4, allowed)
            if passed == 4:
                upper[3] = sequential.remaining_upper(x[order, 3], size[order], size.sum(), allowed, delta, bets)
                assert upper[3] <= allowed
            claimed += p * passed
            false += p * bool(passed and left[passed - 1] > upper[passed - 1] + 1e-9)
        assert false <= delta
        worst = max(worst, false)
    assert claimed > 0
    assert worst > 0  # it is not that nothing is ever at stake


def test_wealth_falls_along_the_cuts() -> None:
    rng = np.random.default_rng(1)
    x = np.minimum(rng.poisson(0.1, (200, 30)).cumsum(axis=1) / 20, 1.0)
    log_e, _ = sequential.remaining_e(x, np.ones(200), 2000.0, 300.0, 0.05, 200)
    assert (np.diff(log_e, axis=1) <= 1e-12).all()
    passes = log_e.max(axis=0) >= -np.log(0.05)
    assert 0 < passes.sum() < 30


def test_once_no_more_can_remain_than_is_allowed_all_cuts_pass() -> None:
    log_e, _ = sequential.remaining_e(np.ones((6, 2)), np.ones(6), 10.0, 4.5, 0.05, 6)
    assert (log_e[-1] == np.inf).all()
    assert (log_e[-2] <= 0).all()


def test_the_prior_posterior_ratio_covers_at_all_times_at_once() -> None:
    n, a = 10, 0.1
    strings = bits(np.arange(2**n), n)
    t = np.arange(1, n + 1)
    for errors in range(n + 1):
        orders = strings[strings.sum(1) == errors].cumsum(axis=1)
        log_e = sequential.ppr_e(np.broadcast_to(t, orders.shape), orders, errors, n)
        assert (log_e.max(axis=1) >= -np.log(a)).mean() <= a


def test_the_upper_count_at_all_times_is_the_largest_that_stands() -> None:
    for n, d in product(range(0, 21, 4), range(0, 8, 2)):
        if d > n:
            continue
        stands = [e for e in range(41) if float(sequential.ppr_e(np.array(n), np.array(d), e, 40)) < -np.log(0.05)]
        assert sequential.ppr_upper(n, d, 40, 0.05) == max(stands)


def test_the_bound_beside_the_claim_is_false_no_more_often_than_delta() -> None:
    """`upper` and the claim at once, on every population: either is wrong with chance delta at most."""
    n, m, delta, cuts = 10, 5, 0.2, np.array([3, 5, 8])
    population, sample = bits(np.arange(2**n), n), samples_of(n, m)
    for allowed in (1, 2, 3):
        wrong = np.zeros(len(population))
        for row in sample:
            d = np.stack([(population[:, :c] * row[:c]).sum(axis=1) for c in cuts], axis=-1)
            p = threshold.counted_p(d, np.array([row[:c].sum() for c in cuts]), cuts, allowed)
            stop = np.concatenate([p > delta, np.ones((len(p), 1), dtype=bool)], axis=-1).argmax(axis=-1)
            errors = np.stack([population[:, :c].sum(axis=1) for c in cuts], axis=-1)
            left = np.concatenate([np.zeros((len(p), 1)), errors - d], axis=-1)
            left = np.take_along_axis(left, stop[:, None], axis=-1)[:, 0]
            drawn = int(row[:8].sum())
            sharp = np.array([bounds.remaining_upper(min(k, drawn), 8, drawn, delta) for k in range(9)])
            limit = np.where(stop == 3, np.minimum(sharp[d[:, 2]], allowed), allowed)
            wrong += left > limit
        assert (wrong / len(sample)).max() <= delta
