"""People who overlook errors: the claim counts what they overlook, or says that a second pass is needed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

from audit_kit import box_lot, draw_by_size, single_lot
from hyla.decide import sensitivity, threshold

N, M, EPS, DELTA, DELTA_R = 2000, 400, 0.05, 0.05, 0.05
CUTS = tuple(range(40, N + 1, 40))


def test_each_kind_of_seed_has_its_bound_and_the_lowest_counts() -> None:
    found = sensitivity.measure({"swap": (95, 100), "delete": (80, 100)}, 0.05)
    assert 0.70 < found.lowest == found.kinds["delete"][2] < 0.8 < found.kinds["swap"][2] < 0.95
    assert sensitivity.measure({"swap": (95, 100)}, 0.05).lowest > found.kinds["swap"][2]  # one kind has all of delta
    assert sensitivity.measure({}, 0.05).lowest == 0.0
    with pytest.raises(ValueError, match="planted"):
        sensitivity.measure({"swap": (3, 2)}, 0.05)


def test_what_was_overlooked_is_bounded_by_the_inverse_of_the_binomial() -> None:
    upper = sensitivity.overlooked_upper(90, 0.9, 0.05)
    assert binom.cdf(90, 90 + upper, 0.9) > 0.05 >= binom.cdf(90, 90 + upper + 1, 0.9)
    assert upper > 10  # a tenth of a hundred is what one would guess
    assert sensitivity.overlooked_upper(1000, 1.0, 0.05) == 0.0
    assert sensitivity.overlooked_upper(0, 0.0, 0.05) == np.inf
    rising = [sensitivity.overlooked_upper(v, 0.9, 0.05) for v in range(0, 400, 20)]
    assert rising == sorted(rising)
    assert sensitivity.overlooked_upper(90, 0.8, 0.05) > upper > sensitivity.overlooked_upper(90, 0.9, 0.2)


@pytest.mark.parametrize("s", [0.7, 0.9])
def test_the_bound_on_what_was_overlooked_covers(s: float) -> None:
    rng, reps = np.random.default_rng(0), 2000
    seen = rng.binomial(60, s, reps)
    upper = Counter({int(v): sensitivity.overlooked_upper(int(v), s, 0.1) for v in np.unique(seen)})
    assert sum(60 - v > upper[v] for v in seen.tolist()) <= binom.ppf(0.999, reps, 0.1)


def play(error: float, s: float, seeds: int, reps: int, *, told: bool = True, method: str = "hypergeometric") -> Counter[str]:
    """Count how claims end where people see a share `s` of errors, in seeds, audit and review alike."""
    rng, out = np.random.default_rng(1), Counter[str]()
    lot, order = single_lot(np.arange(N)), np.arange(N)
    for _ in range(reps):
        wrong = rng.random(N) < np.linspace(0, 2 * error, N)
        seen = wrong & (rng.random(N) < s)
        low = sensitivity.measure({"swap": (int(rng.binomial(seeds, s)), seeds)}, DELTA_R / 2).lowest if told else 1.0
        draws = rng.choice(N, M, replace=False).astype(np.int64)
        test = threshold.Test(0, "", method, EPS, DELTA, CUTS)
        tested = threshold.test(lot, test, draws, seen.astype(float), sensitivity=low, doubt=DELTA_R / 2, order=order)
        left = seen[np.setdiff1d(np.arange(tested.cut), draws)].sum() + (wrong & ~seen).sum()
        out["second pass"] += tested.second_pass
        out["false"] += not tested.second_pass and left > EPS * N
        out["false bound"] += left > tested.upper * N + 1e-6
        out["accepted"] += tested.accepted
    return out


@pytest.mark.parametrize("method", ["hypergeometric", "alpha", "betting"])
@pytest.mark.parametrize("s", [0.95, 0.9, 0.7])
def test_a_claim_with_reviewers_who_overlook_errors_is_false_no_more_often_than_it_says(s: float, method: str) -> None:
    reps = 60 if method == "betting" else 150
    out = play(0.12, s, 300, reps, method=method)
    most = binom.ppf(0.999, reps, DELTA + DELTA_R)
    assert out["false"] <= most
    assert out["false bound"] <= most
    if s == 0.9:
        assert out["accepted"] > 0
    if s == 0.7:  # people who were asked everything would still leave 3.6 % of errors, and their bound is wider
        assert out["second pass"] > 0.5 * reps


def test_to_take_people_for_perfect_is_to_promise_what_is_not_so() -> None:
    assert play(0.2, 0.9, 300, 100, told=False)["false"] > 2 * binom.ppf(0.999, 100, DELTA + DELTA_R)


def test_where_people_leave_more_than_is_allowed_a_second_pass_is_asked_for() -> None:
    out = play(0.3, 0.8, 300, 50)
    assert out["second pass"] == 50
    assert out["accepted"] == out["false"] == 0


def test_people_who_see_all_the_seeds_still_need_enough_of_them() -> None:
    few, many = (play(0.12, 1.0, seeds, 20)["accepted"] for seeds in (20, 2000))
    assert few < many


def test_errors_found_before_the_freeze_widen_the_bound() -> None:
    lot, wrong = single_lot(np.arange(400)), np.zeros(400)
    test = threshold.Test(0, "", "hypergeometric", 0.1, 0.1, (100, 400))
    draws = np.arange(0, 400, 2)
    without, with_found = (
        threshold.test(lot, test, draws, wrong, sensitivity=0.9, reviewed_found=found) for found in (0.0, 200.0)
    )
    assert without.overlooked < with_found.overlooked
    assert without.cut == 400
    assert not without.second_pass
    assert without.overlooked / 400 < without.upper < 0.1  # the last cut passed, by more than it had to
    assert with_found.estimate > without.estimate


def test_objects_in_pictures_with_reviewers_who_overlook_a_tenth() -> None:
    rng, reps, out = np.random.default_rng(3), 80, Counter[str]()
    boxes = rng.integers(1, 12, 500)
    risk = np.sort(rng.beta(0.5, 6, int(boxes.sum())))
    lot = box_lot(boxes, rng.permutation(risk), rng.beta(0.5, 6, 500))
    order, total = lot.order(), lot.size.sum()
    test = threshold.Test(0, "", "betting", 0.06, DELTA, tuple(range(80, len(lot.item), 80)))
    for _ in range(reps):
        wrong = rng.random(len(lot.item)) < lot.risk
        seen = wrong & (rng.random(len(wrong)) < 0.9)
        low = sensitivity.measure({"swap": (int(rng.binomial(400, 0.9)), 400)}, DELTA_R / 2).lowest
        draws = draw_by_size(rng, lot.size, 300)
        tested = threshold.test(lot, test, draws, seen.astype(float), sensitivity=low, doubt=DELTA_R / 2, order=order)
        accepted = order[: tested.cut][~np.isin(lot.ask_unit[order[: tested.cut]], draws)]
        out["false"] += not tested.second_pass and seen[accepted].sum() + (wrong & ~seen).sum() > 0.06 * total
        out["accepted"] += tested.accepted
    assert out["false"] <= binom.ppf(0.999, reps, DELTA + DELTA_R)
    assert out["accepted"] > 0
