"""A plan is fixed before the draw, spends delta once, says what will be saved, and what would make it work where it won't."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from audit_kit import box_lot, single_lot
from hyla.decide import outlook, threshold
from hyla.decide.bounds import hypergeometric_p, most_found, zero_defect
from hyla.decide.drawing import draw, orders, route
from hyla.decide.lot import Lot
from hyla.decide.planning import Plan, plan
from hyla.decide.wording import duration
from hyla.errors import ConfigError
from hyla.types import Floats


def risks(n: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).beta(0.4, 2.5, n)


def detections(pictures: int, seed: int = 0) -> tuple[Lot, Floats]:
    """Return pictures with boxes, and how many errors each ask would find: as many as the risks say."""
    rng = np.random.default_rng(seed)
    count = rng.poisson(6, pictures)
    hard = rng.beta(0.5, 3, pictures)
    rows = np.clip(rng.beta(0.4, 6, int(count.sum())) * (0.3 + 3 * np.repeat(hard, count)), 0, 0.95)
    missing = (0.015 + 0.06 * count) * hard
    lot = box_lot(count, rows, missing)
    wrong = np.where(lot.row < 0, rng.poisson(lot.risk), rng.random(len(lot.risk)) < lot.risk)
    return replace(lot, seconds=np.where(lot.row < 0, 2 + 0.3 * count[lot.item], 1.8)), wrong.astype(np.float64)


def simulate(lot: Lot, planned: Plan, wrong: Floats, audits: int) -> tuple[float, int]:
    """Return the mean time of people over some audits, and in how many more errors were left than allowed."""
    seconds, bad = [], 0
    for seed in range(audits):
        draws = draw(lot, planned, str(seed))
        cuts = []
        for s, (part, units) in enumerate(zip(planned.strata, draws, strict=True)):
            if part.draws:
                asked = np.where(np.isin(lot.ask_unit, units), wrong, np.nan)
                given = threshold.Test(s, part.name, part.method, part.eps, part.delta, part.cuts)
                cuts.append(threshold.test(lot, given, units, asked).cut)
            else:
                cuts.append(0)
        asked = route(lot, cuts, draws)
        seconds.append(lot.seconds[asked].sum())
        bad += wrong[~asked].sum() > planned.eps * lot.size.sum()
    return float(np.mean(seconds)), bad


@pytest.mark.parametrize(("eps", "delta", "most"), [(0, 0.05, 0.25), (1, 0.05, 0.25), (0.05, 1.2, 0.25), (0.05, 0.05, 0)])
def test_shares_outside_0_and_1_are_refused(eps: float, delta: float, most: float) -> None:
    with pytest.raises(ConfigError, match="give a share above 0 and below 1"):
        plan(single_lot(risks(300)), eps, delta, most=most)
    with pytest.raises(ConfigError, match="sideways"):
        plan(single_lot(risks(300)), 0.05, 0.05, mode="sideways")


def test_what_is_expected_comes_true() -> None:
    rng = np.random.default_rng(5)
    risk = risks(6000)
    lot, wrong = single_lot(risk), (rng.random(6000) < risk).astype(float)
    planned = plan(lot, 0.05, 0.05)
    seconds, bad = simulate(lot, planned, wrong, 60)
    assert planned.seconds == pytest.approx(seconds, rel=0.03)
    assert planned.strata[0].accepted == pytest.approx(1 - seconds / planned.review_all_seconds, abs=0.02)
    assert bad <= 9  # 5 % of 60, and what chance adds once in a thousand times


def test_what_is_expected_of_boxes_comes_true() -> None:
    lot, wrong = detections(3000)
    for eps in (0.05, 0.025):
        planned = plan(lot, eps, 0.05)
        assert planned.strata[0].method == "betting"
        seconds, bad = simulate(lot, planned, wrong, 20)
        assert planned.seconds == pytest.approx(seconds, rel=0.12), eps
        assert bad <= 5


def test_no_other_size_of_audit_is_expected_to_cost_less() -> None:
    for lot in (single_lot(risks(4000)), detections(1500)[0]):
        planned = plan(lot, 0.05, 0.05)
        for most in (0.02, 0.05, 0.1):
            least = plan(lot, 0.05, 0.05, most=most).seconds
            assert planned.seconds <= 1.01 * least + outlook.SLACK * planned.review_all_seconds  # sizes are tried on a grid
        assert planned.seconds < planned.review_all_seconds


def test_audits_grow_slower_than_lots() -> None:
    """The share that is audited falls with the size of the lot, about as its cube root."""
    shares = [plan(single_lot(risks(n)), 0.05, 0.05).strata[0].draws / n for n in (1000, 8000, 64_000)]
    assert shares[0] / shares[1] == pytest.approx(2, rel=0.35)
    assert shares[1] / shares[2] == pytest.approx(2, rel=0.35)


@pytest.mark.parametrize("population", [30, 400, 20_000])
@pytest.mark.parametrize("errors", [1, 12, 29])
def test_how_many_errors_an_audit_may_find(population: int, errors: int) -> None:
    sizes = np.unique(np.linspace(1, population - 1, 9).astype(np.int64))
    found = outlook.tolerated(errors, population, sizes, 0.05).tolist()
    assert found == [most_found(errors, population, int(m), 0.05) for m in sizes]


def test_the_smallest_audit_is_the_zero_defect_size() -> None:
    lot = single_lot(np.linspace(0, 0.001, 100_000))
    curve_draws = plan(lot, 0.05, 0.05, most=0.00061).strata[0].draws  # 61 units at most
    assert curve_draws in (59, 60, 61)
    assert zero_defect(0.05, 0.05) == 59
    part = plan(lot, 0.05, 0.05, most=0.00055).strata[0]
    assert (part.draws, part.method, part.cuts, part.feasible) == (0, "census", (), False)


def test_a_stratum_too_small_is_asked_whole_and_said_so() -> None:
    stratum = np.repeat([0, 1], [2000, 60])
    planned = plan(single_lot(np.r_[risks(2000), risks(60)], stratum=stratum), 0.02, 0.05)
    big, small = planned.strata
    assert big.feasible
    assert big.delta == 0.05  # the small one leaves nothing to chance, and so needs no delta
    assert (small.method, small.draws, small.cuts, small.accepted, small.delta) == ("census", 0, (), 0.0, 0.0)
    assert small.review_seconds == small.all_seconds == 60
    # the smallest number that may remain in 60 of which an audit of 30 without an error would be the proof
    proves = min(t for t in range(60) if hypergeometric_p(0, t + 1, 60, 30) <= 0.05) / 60
    assert proves <= small.smallest_eps <= proves + 0.02
    assert "too few units for an audit" in small.why
    assert "50% of 60 units is 30" in small.why
    assert "about 298 units" in small.why  # of which half are 149, the zero-defect size of 2 %


def test_the_eps_that_is_offered_works() -> None:
    part = plan(single_lot(risks(60)), 0.02, 0.05).strata[0]
    offered = float(part.why.split("--eps ")[1].split()[0])
    assert plan(single_lot(risks(60)), offered, 0.05).strata[0].feasible
    assert not plan(single_lot(risks(60)), 0.9 * part.smallest_eps, 0.05).strata[0].feasible


def test_a_machine_that_is_mostly_wrong_is_asked_whole() -> None:
    lot = detections(4000)[0]
    part = plan(replace(lot, risk=np.full(len(lot.risk), 0.8)), 0.004, 0.05).strata[0]
    assert (part.method, part.feasible) == ("census", False)
    assert "wrong too often" in part.why
    assert duration(part.all_seconds) in part.why


def test_of_pictures_mostly_wrong_no_more_is_accepted_than_eps_allows_of_itself() -> None:
    part = plan(single_lot(np.linspace(0.7, 0.99, 3000)), 0.02, 0.05).strata[0]
    assert part.accepted < 0.02 / 0.7


def test_where_people_have_answered_all_nothing_is_planned() -> None:
    lot = single_lot(risks(500), settled=np.ones(500, dtype=bool))
    for given in (lot, replace(lot, settled=~lot.settled, always=np.ones(500, dtype=bool))):
        part = plan(given, 0.02, 0.05).strata[0]
        assert (part.method, part.draws, part.smallest_eps) == ("census", 0, 0.0)
        assert "nothing to accept" in part.why
    assert part.review_seconds == 500


def test_delta_is_spent_once() -> None:
    stratum = np.arange(6000) % 5
    planned = plan(single_lot(risks(6000), stratum=stratum), 0.05, 0.05)
    assert sum(part.delta for part in planned.strata) <= 0.05 + 1e-12
    assert {part.delta for part in planned.strata} == {0.01}
    assert {part.eps for part in planned.strata} == {0.05}


def test_answers_before_the_freeze_leave_more_room() -> None:
    """What is settled holds no error of the machine, and still counts in the denominator."""
    settled = np.arange(3000) % 4 == 0
    risk = risks(3000)
    part = plan(single_lot(risk, settled=settled), 0.02, 0.05).strata[0]
    alone = plan(single_lot(risk[~settled]), 0.02, 0.05).strata[0]
    assert (part.units, part.unsettled, part.size) == (3000, 2250, 3000.0)
    assert part.accepted * 3000 > alone.accepted * 2250
    assert part.all_seconds == 2250


def test_always_asked_is_paid_and_not_accepted() -> None:
    lot = single_lot(risks(3000))
    some = replace(lot, always=np.arange(3000) % 2 == 0)
    part = plan(some, 0.02, 0.05).strata[0]
    assert part.all_seconds == 3000
    assert part.review_seconds + part.audit_seconds > 1500
    assert part.accepted < 0.5
    assert part.cuts[-1] == 1500


def test_cuts_ascend_within_the_asks_and_are_finest_where_the_test_will_stop() -> None:
    for lot in (single_lot(risks(100_000)), detections(1500)[0], single_lot(risks(300))):
        part, asks = plan(lot, 0.05, 0.05).strata[0], len(orders(lot)[0])
        steps = np.diff((0, *part.cuts))
        assert (steps > 0).all()
        assert part.cuts[-1] == asks
        assert steps.max() <= -(-asks // 255)
        stop = part.accepted_asks / (1 - part.audit_seconds / part.all_seconds)  # what is audited is among the cut, too
        assert steps[min(np.searchsorted(part.cuts, stop), len(steps) - 1)] <= np.median(steps) + 1


def test_stopping_early_costs_a_little() -> None:
    lot = single_lot(risks(5000))
    planned, early = plan(lot, 0.05, 0.05), plan(lot, 0.05, 0.05, mode="early")
    assert (planned.strata[0].method, early.strata[0].method) == ("hypergeometric", "alpha")
    assert planned.seconds < early.seconds < 1.25 * planned.seconds
    assert plan(detections(1500)[0], 0.05, 0.05, mode="early").strata[0].method == "betting"


def test_it_goes_through_json() -> None:
    planned = plan(single_lot(risks(900), stratum=np.arange(900) % 2), 0.05, 0.05)
    assert Plan.from_dict(json.loads(json.dumps(planned.to_dict()))) == planned


def test_the_table_says_what_is_saved() -> None:
    stratum = np.repeat([0, 1], [3000, 60])
    text = str(plan(single_lot(np.r_[risks(3000), risks(60)], stratum=stratum), 0.05, 0.05))
    lines = text.splitlines()
    assert lines[0] == "At most 5 % errors left, with 95 % confidence, in each part:"
    assert lines[2].split("  ")[-1].strip() == "instead of"
    assert lines[3].startswith("s0")
    assert "%" in lines[3]
    assert "all asked" in lines[4]
    assert lines[5].startswith("together")
    assert lines[-1].startswith("s1: too few units")
    assert len({len(line) for line in lines[2:6]}) == 1
    alone = str(plan(replace(single_lot(risks(3000)), strata=("",)), 0.05, 0.05)).splitlines()
    assert [line.split()[0] for line in alone[2:]] == ["units", "all"]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (42, "42 s"), (600, "10 min"), (9000, "2 h 30 min"), (7.2e6, "2,000 h 0 min")]
)
def test_times_read_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_same_lot_gives_the_same_plan() -> None:
    lot = detections(800)[0]
    assert plan(lot, 0.05, 0.05) == plan(Lot.unpack(lot.pack()), 0.05, 0.05)
