"""The bounds against brute force, against other libraries, and against populations made to break them."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.risk_control.methods import compute_hoeffding_bentkus_p_value
from scipy.stats import binom, binomtest

from hyla.decide import bounds

CASES = [(0, 3, 10, 4), (2, 5, 12, 6), (1, 1, 9, 9), (3, 7, 30, 11), (0, 0, 5, 2), (4, 40, 60, 20), (5, 5, 5, 5)]


def brute(d: int, errors: int, population: int, sample: int) -> Fraction:
    """Count the samples with `d` errors or fewer."""
    hits = sum(comb(errors, k) * comb(population - errors, sample - k) for k in range(min(d, sample) + 1))
    return Fraction(hits, comb(population, sample))


@pytest.mark.parametrize(("d", "errors", "population", "sample"), CASES)
def test_the_hypergeometric_chance_is_that_of_counting(d: int, errors: int, population: int, sample: int) -> None:
    assert float(bounds.hypergeometric_p(d, errors, population, sample)) == pytest.approx(
        float(brute(d, errors, population, sample)), rel=1e-10
    )


def test_more_errors_than_units_are_impossible() -> None:
    assert bounds.hypergeometric_p(3, [9, 10, 11], 10, 4).tolist() == pytest.approx([0.4, 0.0, 0.0])


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))), st.floats(0.01, 0.5))
def test_the_upper_count_is_the_largest_not_ruled_out(sizes: tuple[int, int, int], alpha: float) -> None:
    population, sample, d = sizes[0], max(sizes[1:]), min(sizes[1:])
    stands = [e for e in range(population + 1) if d <= e <= population - sample + d and brute(d, e, population, sample) > alpha]
    assert bounds.errors_upper(d, population, sample, alpha) == max(stands)


@given(st.integers(2, 60), st.data())
def test_p_values_fall_with_errors_and_rise_with_those_found(population: int, data: st.DataObject) -> None:
    sample = data.draw(st.integers(1, population))
    allowed = data.draw(st.integers(0, population - 1))
    found = np.arange(sample + 1)
    assert (np.diff(bounds.hypergeometric_p(found, allowed, population, sample)) >= -1e-12).all()
    assert (np.diff(bounds.remaining_p(found, allowed, population, sample)) >= -1e-12).all()
    assert (np.diff(bounds.remaining_p(found[0], np.arange(population), population, sample)) <= 1e-12).all()
    assert (np.diff(bounds.remaining_p(0, allowed, population, np.arange(population + 1))) <= 1e-12).all()
    most = [bounds.most_found(allowed, population, sample, delta) for delta in (0.01, 0.05, 0.2)]
    assert most == sorted(most)


@given(st.integers(2, 40), st.data())
def test_putting_right_what_was_found_never_makes_the_test_harder(population: int, data: st.DataObject) -> None:
    sample = data.draw(st.integers(1, population))
    allowed = data.draw(st.integers(0, population - 1))
    d = data.draw(st.integers(0, sample))
    plain = bounds.hypergeometric_p(d, allowed + 1, population, sample)
    assert bounds.remaining_p(d, allowed, population, sample) <= plain + 1e-12


def test_remaining_upper_is_where_the_test_turns() -> None:
    for d in range(8):
        upper = bounds.remaining_upper(d, 300, 90, 0.05)
        assert bounds.remaining_p(d, upper, 300, 90) <= 0.05 < bounds.remaining_p(d, upper - 1, 300, 90)


@pytest.mark.parametrize(("k", "n"), [(0, 20), (3, 20), (20, 20), (17, 300)])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_clopper_pearson_is_that_of_scipy(k: int, n: int, alpha: float) -> None:
    upper = binomtest(k, n, alternative="less").proportion_ci(1 - alpha, method="exact").high
    lower = binomtest(k, n, alternative="greater").proportion_ci(1 - alpha, method="exact").low
    assert float(bounds.clopper_pearson_upper(k, n, alpha)) == pytest.approx(upper)
    assert float(bounds.clopper_pearson_lower(k, n, alpha)) == pytest.approx(lower)


@pytest.mark.parametrize("n", [30, 500])
@pytest.mark.parametrize("risk", [0.02, 0.1, 0.5])
def test_hoeffding_bentkus_is_that_of_mapie(n: int, risk: float) -> None:
    means = np.array([0.0, 0.004, 0.013, 0.05, 0.21, 0.49, 0.8])
    theirs = compute_hoeffding_bentkus_p_value(means, n, risk).ravel()
    assert bounds.hoeffding_bentkus_p(means, n, risk) == pytest.approx(np.minimum(theirs, 1.0), rel=1e-6, abs=1e-12)


def test_zero_defect_sizes_are_those_of_the_tables() -> None:
    assert [bounds.zero_defect(e, 0.05) for e in (0.05, 0.02, 0.01, 0.005, 0.001)] == [59, 149, 299, 598, 2995]


def _losses(rng: np.random.Generator, shape: tuple[int, int], mean: float) -> dict[str, np.ndarray]:
    """Return losses in [0, 1] of one mean, of the shapes that betting could trip over."""
    return {
        "yes or no": (rng.random(shape) < mean).astype(float),
        "all the same": np.full(shape, mean),
        "rare and total, on a floor": np.where(rng.random(shape) < mean / 2, 1.0, mean / 2 / (1 - mean / 2)),
        "counts per picture": np.minimum(rng.poisson(mean * 8, shape) / 8, 1.0),
        "smooth": rng.beta(0.3, 0.3 * (1 - mean) / mean, shape),
    }


@pytest.mark.parametrize("mean", [0.02, 0.1, 0.6])
def test_betting_at_the_edge_of_its_hypothesis_pays_out_no_more_than_alpha(mean: float) -> None:
    rng, reps, alpha = np.random.default_rng(4), 1500, 0.1
    for name, x in _losses(rng, (250, reps), mean).items():
        null = min(float(x.mean(axis=None)), mean) if name == "counts per picture" else mean
        won = (bounds.betting_e(x, null, alpha).max(axis=0) >= -np.log(alpha)).sum()
        assert won <= binom.ppf(0.999, reps, alpha), name


def test_betting_is_a_supermartingale_one_draw_ahead() -> None:
    """From any past, the mean of the wealth after all draws that could follow is the wealth before, or less."""
    rng = np.random.default_rng(1)
    for mean in (0.05, 0.3):
        past = np.minimum(rng.poisson(mean * 4, (40, 300)) / 4, 1.0)
        good, bad = (np.vstack([past, np.full((1, 300), v)]) for v in (0.0, 1.0))
        low, high = (np.exp(bounds.betting_e(x, mean)) for x in (good, bad))
        assert (mean * high[-1] + (1 - mean) * low[-1] <= low[-2] * (1 + 1e-9)).all()
        assert (low > 0).all()
        assert (high > 0).all()


def test_betting_without_replacement_holds_for_every_order_of_a_small_population() -> None:
    rng, reps, alpha = np.random.default_rng(9), 2000, 0.1
    for population in (np.array([1.0] * 4 + [0.0] * 36), np.linspace(0, 0.4, 40), np.array([0.1] * 40)):
        x = np.array([rng.permutation(population)[:30] for _ in range(reps)]).T
        won = (bounds.betting_e(x, float(population.mean()), alpha, population=40).max(axis=0) >= -np.log(alpha)).sum()
        assert won <= binom.ppf(0.999, reps, alpha)


def test_betting_finds_more_than_hoeffding_and_bentkus() -> None:
    """The power that its bets are chosen for: mean 0.04 against 0.05, 400 pictures with a few errors each."""
    rng, reps = np.random.default_rng(2), 500
    x = np.minimum(rng.poisson(0.04 * 8, (400, reps)) / 8, 1.0)
    betting = (bounds.betting_e(x, 0.05, 0.05).max(axis=0) >= -np.log(0.05)).mean()
    other = (bounds.hoeffding_bentkus_p(x.mean(axis=0), 400, 0.05) <= 0.05).mean()
    assert betting > 0.5
    assert other < 0.05


def test_the_betting_bound_covers_and_is_where_the_bets_turn() -> None:
    rng, misses, reps = np.random.default_rng(3), 0, 150
    for _ in range(reps):
        x = np.minimum(rng.poisson(0.3, 120) / 6, 1.0)
        upper = bounds.betting_upper(x, 0.1)
        misses += upper < 0.05
        assert bounds.betting_e(x, upper + 1e-4, 0.1).max() >= -np.log(0.1)
    assert misses <= binom.ppf(0.999, reps, 0.1)


def test_losses_of_several_cuts_are_games_of_their_own() -> None:
    rng = np.random.default_rng(5)
    x, means = rng.random((60, 3)) * 0.2, np.array([0.1, 0.2, 0.3])
    together = bounds.betting_e(x, means)
    for g in range(3):
        assert together[:, g] == pytest.approx(bounds.betting_e(x[:, g], float(means[g])))
    assert bounds.betting_e(x[:, 0], means).shape == (60, 3)
