"""The test of a stratum: what it refuses, what it counts, and that what it claims holds on populations made to break it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from audit_kit import box_lot, draw_by_size, single_lot
from hyla.decide import threshold
from hyla.decide.lot import Lot
from hyla.errors import ConfigError
from hyla.types import Floats, Ints

DELTA = 0.1


def plan(method: str, cuts: Ints, eps: float = 0.05, delta: float = DELTA) -> threshold.Test:
    return threshold.Test(0, "north", method, eps, delta, tuple(int(c) for c in cuts))


def grid(top: int, cuts: int = 60) -> Ints:
    return np.unique(np.linspace(top / cuts, top, cuts).astype(np.int64))


def test_the_first_failure_ends_it() -> None:
    assert [threshold.first_failure(p) for p in ([], [True, True], [False, True], [True, False, True])] == [0, 2, 0, 1]


def test_a_small_audit_by_hand() -> None:
    """Ten pictures in risk order, two settled before; the fifth, drawn, is wrong, and the ninth, not drawn, is too."""
    lot = single_lot(np.arange(12), settled=np.arange(12) < 2)
    wrong = np.zeros(12)
    wrong[[6, 10]] = 1
    draws = np.array([3, 6, 8, 2, 11])
    tested = threshold.test(lot, plan("hypergeometric", [2, 4, 8, 10], eps=0.26, delta=0.3), draws, wrong)
    # three errors may remain in 12; of 10 that could be drawn 5 were, so at the last cut no more than 5 are unknown
    assert tested.cut == 10
    assert [c for c, _ in tested.tried] == [2, 4, 8, 10]
    assert [p for _, p in tested.tried][:2] == [0.0, 0.0]
    # more than 3 remain and one was found: 5 wrong of 10, and one or none of them in 5 drawn
    assert tested.tried[-1][1] == pytest.approx((1 + 5 * 5) / 252)
    assert (tested.draws, tested.units_audited, tested.errors) == (5, 5, 1.0)
    assert (tested.units, tested.unsettled, tested.asks) == (12, 10, 10)
    assert (tested.accepted, tested.accepted_units) == (5, 5)
    assert tested.estimate == pytest.approx((1 / 5 * 10 - 1) / 12)
    # two or more remain and one was found: 3 wrong of 10, one or none drawn: (10 + ...)/252 = 1/2 > 0.3; three or more: 4 of 10
    assert tested.upper == pytest.approx(2 / 12)
    assert tested.upper_accepted == pytest.approx(2 / 5)
    assert (tested.overlooked, tested.second_pass, tested.clipped) == (0.0, False, 0.0)


def test_nothing_is_promised_where_the_first_cut_fails() -> None:
    lot = single_lot(np.arange(400))
    tested = threshold.test(lot, plan("hypergeometric", [100, 200, 400]), np.arange(0, 400, 5), np.ones(400))
    assert (tested.cut, tested.accepted, tested.accepted_units, tested.errors) == (0, 0, 0, 0.0)
    assert (tested.upper, tested.upper_accepted, tested.estimate) == (0.0, 0.0, 0.0)
    assert len(tested.tried) == 1


def test_no_cuts_means_that_people_answer_all() -> None:
    lot = single_lot(np.arange(10))
    tested = threshold.test(lot, plan("hypergeometric", []), np.empty(0, dtype=np.int64), np.full(10, np.nan))
    assert (tested.cut, tested.tried, tested.upper) == (0, (), 0.0)


def test_a_stratum_without_audit_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'north' has no audit"):
        threshold.test(single_lot(np.arange(9)), plan("hypergeometric", [5]), np.empty(0, dtype=np.int64), np.zeros(9))


def test_an_audit_left_half_done_is_refused_with_what_is_left() -> None:
    wrong = np.zeros(9)
    wrong[[2, 4, 7]] = np.nan
    with pytest.raises(ConfigError, match="2 of 3 units drawn still wait"):
        threshold.test(single_lot(np.arange(9)), plan("hypergeometric", [5]), np.array([2, 3, 4]), wrong)


@pytest.mark.parametrize(("eps", "delta"), [(0.0, 0.1), (1.0, 0.1), (0.1, 0.0), (0.1, 1.0), (-0.1, 0.5), (float("nan"), 0.1)])
def test_shares_outside_0_to_1_are_refused(eps: float, delta: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        threshold.Test(0, "", "betting", eps, delta, (1,))


@pytest.mark.parametrize("cuts", [(0, 3), (3, 3), (5, 2)])
def test_cuts_that_do_not_ascend_are_refused(cuts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ascend"):
        threshold.Test(0, "", "betting", 0.1, 0.1, cuts)


def test_an_audit_that_could_not_have_been_drawn_is_refused() -> None:
    lot = single_lot(np.arange(9), settled=np.arange(9) == 4)
    for draws, cuts in (([4], [3]), ([1, 1], [3]), ([1], [9])):
        with pytest.raises(ValueError, match="drawn"):
            threshold.test(lot, plan("hypergeometric", cuts), np.array(draws), np.zeros(9))


def test_asks_of_a_box_lot_are_counted_where_they_are() -> None:
    boxes = np.array([2, 1, 3])
    lot = box_lot(boxes, np.array([0.1, 0.6, 0.2, 0.3, 0.4, 0.9]), np.array([0.5, 0.7, 0.8]))
    # order: box 0 of A, box of B, boxes 0 and 1 of C, whole A, box 1 of A, whole B, whole C, box 2 of C
    wrong = np.array([0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 1.0, 1.0, 4.0])
    tested = threshold.test(lot, plan("betting", [2, 5, 7], eps=0.9, delta=0.5), np.array([0, 2] * 8), wrong)
    assert tested.cut == 7
    assert tested.errors == 2 + 1 + 1  # A: whole and box 1; C: box 1
    assert (tested.draws, tested.units_audited, tested.units, tested.asks) == (16, 2, 3, 9)
    assert (tested.accepted, tested.accepted_units) == (2, 1)  # B, both asks
    assert tested.upper <= 0.9
    assert tested.clipped == 0.0


def test_the_share_that_the_cap_cut_off_is_told() -> None:
    lot = box_lot(np.array([1, 1, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 0.6, 0.7, 0.8]))
    wrong = np.array([0.0, 5.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])  # five missing in a picture of size 2
    tested = threshold.test(lot, plan("betting", [8], eps=0.99, delta=0.9), np.array([0, 1, 2, 3]), wrong)
    assert tested.cut == 8
    assert tested.clipped == pytest.approx(3 / 6)


def adversaries(n: int, allowed: int, cuts: Ints) -> dict[str, Floats]:
    """Return populations in the order of the lot that are hardest to be right about."""
    rng, out = np.random.default_rng(0), {}
    for name, where in {
        "on the most confident": np.arange(allowed + 1),
        "a few more on the most confident": np.arange(allowed + 8),
        "just before a cut": cuts[cuts > allowed + 9][0] - 1 - np.arange(allowed + 6),
        "after a long stretch of right ones": n // 2 + np.arange(n // 3),
        "anywhere": rng.choice(n, 2 * allowed, replace=False),
        "all wrong": np.arange(n),
        "all right": np.arange(0),
    }.items():
        out[name] = np.zeros(n)
        out[name][where] = 1
    return out


@pytest.mark.parametrize("method", ["hypergeometric", "alpha", "betting"])
def test_no_adversary_beats_delta(method: str) -> None:
    n, m, reps, rng = 600, 120, 150, np.random.default_rng(8)
    lot, cuts = single_lot(np.arange(n)), grid(n)
    for name, wrong in adversaries(n, 30, cuts).items():
        false = 0
        for _ in range(reps):
            draws = rng.choice(n, m, replace=method == "betting").astype(np.int64)
            cut = threshold.test(lot, plan(method, cuts), draws, wrong, order=np.arange(n)).cut
            false += wrong[np.setdiff1d(np.arange(cut), draws)].sum() > 30
            if name == "all wrong":
                assert cut <= 30 + m
            if name == "all right" and method != "alpha":
                assert cut == n
        assert false <= binom.ppf(0.999, reps, DELTA), name


def test_object_errors_in_pictures_of_unequal_size_stay_within_delta() -> None:
    rng, reps, false, accepted = np.random.default_rng(9), 120, 0, 0
    boxes = rng.integers(1, 12, 500)
    risk = rng.beta(0.4, 4, int(boxes.sum()))
    lot = box_lot(boxes, risk, rng.beta(0.4, 4, 500))
    wrong = (rng.random(len(lot.item)) < lot.risk).astype(float) + rng.poisson(0.05, len(lot.item)) * (lot.row < 0)
    order, cuts, allowed = lot.order(), grid(len(lot.item)), 0.05 * lot.size.sum()
    for _ in range(reps):
        draws = draw_by_size(rng, lot.size, 250)
        tested = threshold.test(lot, plan("betting", cuts), draws, wrong, order=order)
        left = order[: tested.cut][~np.isin(lot.ask_unit[order[: tested.cut]], draws)]
        false += wrong[left].sum() > allowed
        accepted += tested.cut
    assert false <= binom.ppf(0.999, reps, DELTA)
    assert accepted > 0.3 * reps * len(order)


def test_settled_units_and_strata_count_in_the_denominator_alone() -> None:
    """Half of the stratum was answered before: twice as much error may hide in the other half."""
    n = 600
    stratum = np.repeat([0, 1], n)
    lot = single_lot(np.arange(2 * n), stratum=stratum, settled=np.tile(np.arange(n) < n // 2, 2))
    assert len(threshold.stratum_order(lot, 1)) == n // 2
    wrong = np.zeros(2 * n)
    draws = n + n // 2 + np.arange(0, 300, 3)
    test = threshold.Test(1, "s1", "hypergeometric", 0.05, 0.1, (300,))
    tested = threshold.test(lot, test, draws, wrong)
    assert (tested.units, tested.unsettled, tested.accepted) == (n, 300, 200)
    zero_defect = draws[:24]  # enough to refute a mean of 0.1, not one of 0.05
    half = threshold.Test(1, "s1", "betting", 0.05, 0.1, (300,))
    assert threshold.test(lot, half, zero_defect, wrong).cut == 300
    nothing_settled = single_lot(np.arange(2 * n), stratum=stratum)
    assert threshold.test(nothing_settled, half, zero_defect, wrong).cut == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["hypergeometric", "alpha"]))
def test_more_errors_never_give_a_later_cut_and_a_looser_claim_never_an_earlier_one(seed: int, method: str) -> None:
    rng = np.random.default_rng(seed)
    lot, cuts = single_lot(np.arange(300)), grid(300, 30)
    draws = rng.permutation(300)[:90].astype(np.int64)
    wrong = (rng.random(300) < rng.uniform(0, 0.2)).astype(float)

    def cut(wrong: Floats = wrong, eps: float = 0.1, delta: float = 0.1) -> int:
        return threshold.test(lot, plan(method, cuts, eps, delta), draws, wrong).cut

    assert cut(delta=0.01) <= cut(delta=0.05) <= cut(delta=0.2)
    if method == "hypergeometric":
        worse = wrong.copy()
        worse[rng.choice(300, 20)] = 1
        assert cut(worse) <= cut(wrong)
        assert cut(eps=0.05) <= cut(eps=0.1) <= cut(eps=0.2)


def _million() -> tuple[Lot, Floats]:
    rng = np.random.default_rng(0)
    risk = rng.beta(0.3, 1.5, 1_000_000)
    return single_lot(risk), (rng.random(1_000_000) < risk).astype(float)


@pytest.mark.parametrize("method", ["hypergeometric", "alpha", "betting"])
def test_a_million_asks_and_two_hundred_cuts(method: str, once: Callable[[], tuple[Lot, Floats]]) -> None:
    lot, wrong = once()
    draws = np.random.default_rng(1).choice(1_000_000, 3000, replace=False).astype(np.int64)
    tested = threshold.test(lot, plan(method, grid(1_000_000, 200), delta=0.05), draws, wrong)
    assert 600_000 < tested.cut < 800_000
    assert tested.upper == pytest.approx(0.05)


@pytest.fixture(scope="module")
def once() -> Callable[[], tuple[Lot, Floats]]:
    kept: list[tuple[Lot, Floats]] = []

    def make() -> tuple[Lot, Floats]:
        kept.extend([_million()] if not kept else [])
        return kept[0]

    return make
