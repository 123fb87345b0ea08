"""How sure a likeness is, and what is unknown: promises that hold whatever the exemplars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_retail.novelty import FEWEST, Calibration, calibrate

MANY = np.ones(10**6)  # distances of trials, all as far as can be, so that nothing is new


def trials(n: int, seed: int, curve: tuple[float, float, float] = (-1.0, 2.0, 1.5)) -> Calibration:
    """Return what n trials teach whose outcomes follow a curve."""
    random = np.random.default_rng(seed)
    similarity, margin = random.uniform(0.7, 1, n), random.exponential(0.03, n)
    truth = Calibration(curve, MANY).likeness(similarity, margin)
    return calibrate(similarity, margin, random.uniform(size=n) < truth, similarity)


def test_without_trials_nothing_is_sure_and_nothing_unknown() -> None:
    none = calibrate(*[np.zeros(0)] * 2, np.zeros(0, dtype=bool), np.zeros(0))
    assert none.likeness(np.array([1.0]), np.array([1.0]))[0] == pytest.approx(0.9)
    assert np.isnan(none.novelty(np.array([0.1, 0.9]))).all()
    assert np.isnan(none.right)


def test_likeness_is_the_share_that_is_right() -> None:
    random = np.random.default_rng(5)
    curve = (-1.0, 2.0, 1.5)
    found = trials(2000, 0, curve)
    similarity, margin = random.uniform(0.7, 1, 20_000), random.exponential(0.03, 20_000)
    right = random.uniform(size=20_000) < Calibration(curve, MANY).likeness(similarity, margin)
    said = found.likeness(similarity, margin)
    for low in np.arange(0, 1, 0.1):
        some = (said >= low) & (said < low + 0.1)
        if some.sum() > 500:
            assert right[some].mean() == pytest.approx(said[some].mean(), abs=0.05)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 200), st.integers(0, 999), st.floats(0, 1), st.floats(0, 0.3), st.floats(0, 0.2))
def test_more_alike_is_never_less_sure(n: int, seed: int, similarity: float, margin: float, more: float) -> None:
    found = trials(n, seed)
    one = found.likeness(np.array([similarity, similarity + more]), np.array([margin, margin]))
    two = found.likeness(np.array([similarity, similarity]), np.array([margin, margin + more]))
    assert one[0] <= one[1] + 1e-12
    assert two[0] <= two[1] + 1e-12
    assert (one >= 0).all()
    assert (one <= (n + 9) / (n + 10)).all()


def test_trials_that_were_all_wrong_make_it_unsure() -> None:
    n = 60
    high, lead = np.full(n, 0.95), np.full(n, 0.05)
    wrong, right = (calibrate(high, lead, np.full(n, told), high) for told in (False, True))
    assert wrong.likeness(high[:1], lead[:1])[0] < 0.1
    assert right.likeness(high[:1], lead[:1])[0] > 0.9


def test_few_known_products_are_called_unknown() -> None:
    """Conformal: of pictures taken as the exemplars were, no more than 1 in 20 has a novelty above 0.95."""
    random = np.random.default_rng(3)
    above = []
    for _ in range(400):
        known = random.beta(8, 2, 51)
        found = calibrate(known[:50], np.zeros(50), np.ones(50, dtype=bool), known[:50])
        above.append(found.novelty(known[50:])[0] > 0.95)
    assert np.mean(above) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert found.novelty(np.array([0.01]))[0] == pytest.approx(50 / 51)
    assert found.novelty(np.array([1.0]))[0] == 0


def test_what_is_new_is_unsure_however_far_ahead() -> None:
    known = np.linspace(0.8, 0.99, 200)
    found = calibrate(known, np.full(200, 0.05), np.ones(200, dtype=bool), known)
    near, far = found.likeness(np.array([0.85, 0.5]), np.array([0.3, 0.3]))
    assert near > 0.9
    assert far < 0.15


def test_too_few_trials_tell_nothing_of_novelty() -> None:
    for n, known in ((FEWEST - 1, False), (FEWEST, True)):
        assert np.isfinite(trials(n, 1).novelty(np.array([0.5]))[0]) == known
