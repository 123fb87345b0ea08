"""The policies: each answers every ask once, in the order that it is made for, and stops where it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hyla.decide.arms import ARMS, NO_ASK, SEEDS, Case, Desk
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.reviewer import Reviewer
from hyla.types import Floats
from sim_kit import objects, single

CASES = {"single": single(), "objects": objects()}


def played(name: str, case: Case, reviewer: Reviewer | None = None, seed: int = 0) -> Desk:
    desk = Desk(case, reviewer or Reviewer(), np.random.default_rng(seed))
    ARMS[name].play(desk)
    return desk


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("name", ARMS)
def test_every_arm_asks_everything_once_in_the_end(name: str, kind: str) -> None:
    case = CASES[kind]
    if ARMS[name].why_not(case):
        return
    desk = played(name, case)
    asks, seconds, removed = desk.log
    assert sorted(asks.tolist()) == list(range(len(case.wrong)))
    assert (seconds > 0).all()
    assert removed.sum() == case.wrong.sum()
    assert (desk.left == 0).all()


def test_only_what_an_arm_needs_keeps_it_away() -> None:
    assert {n: bool(a.why_not(CASES["single"])) for n, a in ARMS.items()} == {n: n == "objectlab" for n in ARMS}
    assert {n for n, a in ARMS.items() if a.why_not(CASES["objects"])} == {"objectlab", "pac"}
    bare = replace(CASES["single"], signals={})
    assert {n for n, a in ARMS.items() if a.why_not(bare)} == {"threshold-.5", "threshold-.9", "entropy", "objectlab", "pac"}


def test_review_all_goes_picture_by_picture() -> None:
    case = CASES["objects"]
    asks = played("review-all", case).log[0]
    assert (np.diff(case.lot.item[asks]) >= 0).all()


def test_a_random_order_is_another_each_time_and_opens_pictures_whole() -> None:
    case = CASES["objects"]
    one, other = (played("random", case, seed=seed).log[0] for seed in (0, 1))
    assert (one != other).any()
    items = case.lot.item[one]
    assert int((np.diff(items) != 0).sum()) == len(case.lot) - 1


def test_a_threshold_asks_what_is_below_it_and_stops() -> None:
    case = CASES["objects"]
    desk = played("threshold-.9", case)
    asks = desk.log[0][: desk.stopped]
    score = case.signals["score"]
    assert sorted(asks.tolist()) == np.flatnonzero(score < 0.9).tolist()
    assert not (case.lot.row[asks] == WHOLE).any()  # it never looks for what is missing
    assert not desk.certified


def test_entropy_and_objectlab_open_the_worst_first() -> None:
    base = CASES["objects"]
    quality = np.where(base.lot.row == WHOLE, np.random.default_rng(3).random(len(base.wrong)), np.nan)
    case = replace(base, signals={**base.signals, "objectlab": quality})
    first = case.lot.item[played("objectlab", case).log[0][0]]
    assert first == case.lot.item[np.nanargmin(quality)]
    sums = np.bincount(case.lot.item, np.nan_to_num(case.signals["entropy"]))
    assert case.lot.item[played("entropy", case).log[0][0]] == sums.argmax()


def test_the_oracle_asks_no_more_than_it_must() -> None:
    case = CASES["single"]
    desk = played("oracle", case)
    allowed = case.eps * case.lot.size.sum()
    left = case.wrong.sum() - np.cumsum(desk.log[2])
    assert desk.stopped is not None
    assert left[desk.stopped - 1] <= allowed < left[desk.stopped - 2]


def test_the_oracle_asks_nothing_where_all_is_well() -> None:
    desk = played("oracle", replace(CASES["single"], eps=0.9))
    assert desk.stopped == 0


@pytest.mark.parametrize("name", ["pac", "hyla"])
def test_a_certificate_of_right_and_wrong_keeps_its_word(name: str) -> None:
    ends = [played(name, CASES["single"], seed=seed) for seed in range(40)]
    assert all(desk.certified for desk in ends)
    lefts = []
    for desk in ends:
        removed = desk.log[2][: desk.stopped].sum()
        lefts.append((CASES["single"].wrong.sum() - removed) / CASES["single"].lot.size.sum())
    # Of 40, more than 6 above eps have a chance of 0.003 if the certificate is wrong in 5 %.
    assert sum(left > 0.05 for left in lefts) <= 6
    assert max(desk.stopped or 0 for desk in ends) < len(CASES["single"].wrong)


def test_hyla_accepts_the_least_risky_and_its_audit_is_asked() -> None:
    case = CASES["objects"]
    desk = played("hyla", case)
    done = np.zeros(len(case.wrong), dtype=bool)
    done[desk.log[0][: desk.stopped]] = True
    value = case.lot.risk / case.lot.seconds
    assert done.mean() < 0.9
    assert value[~done].max() <= value[done].max()
    assert np.median(value[~done]) < np.median(value[done])


def test_a_pilot_comes_first_and_what_it_taught_is_used() -> None:
    base = single(seed=5)
    taught: list[Floats] = []

    def learn(seen: Floats) -> Lot:
        taught.append(seen)
        return replace(base.lot, risk=base.lot.risk[::-1].copy())

    desk = played("hyla", replace(base, learn=learn, pilot=100))
    (seen,) = taught
    first = desk.log[0][:100]
    assert sorted(first.tolist()) == np.flatnonzero(~np.isnan(seen)).tolist()
    assert (seen[first] == base.wrong[first]).all()


def test_one_who_overlooks_is_measured_and_looks_twice() -> None:
    case = single(seed=7, eps=0.02)
    desk = played("hyla", case, Reviewer(0.8))
    asks = desk.log[0][: desk.stopped]
    assert (asks == NO_ASK).sum() == SEEDS
    counts = np.bincount(asks[asks != NO_ASK], minlength=len(case.wrong))
    assert (counts == 2).any()
    left = desk.log[2][: desk.stopped].sum()
    if desk.certified:
        assert (case.wrong.sum() - left) / case.lot.size.sum() <= 0.02


def test_no_certificate_where_two_passes_still_leave_too_much() -> None:
    desk = played("hyla", single(seed=7, eps=0.005), Reviewer(0.5))
    assert desk.stopped is not None
    assert not desk.certified


def test_what_people_settled_is_neither_asked_nor_wrong() -> None:
    base = single(n=500)
    settled = np.arange(500) < 200
    case = replace(base, lot=replace(base.lot, settled=settled))
    desk = played("review-all", case)
    assert sorted(desk.log[0].tolist()) == list(range(200, 500))
    assert desk.log[2].sum() == base.wrong[200:].sum()
