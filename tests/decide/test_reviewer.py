"""The simulated reviewer: what is seen, what is missed, what is left of a picture, and how long it takes."""

from __future__ import annotations

import numpy as np
import pytest

from hyla.decide.effort import Effort
from hyla.decide.losses import Objects, Pictures, Tags
from hyla.decide.reviewer import Reviewer, fixing
from hyla.errors import ConfigError
from hyla.types import Kind, Labels
from store_kit import CAR, PERSON, SCHEMA

# The machine: right, wrong class, badly placed, about nothing; the truth has one more that is missed, and a crowd.
MACHINE = Labels.of(
    [CAR, CAR, PERSON, CAR], [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]], score=[0.9, 0.8, 0.7, 0.6]
)
TRUTH = Labels.of(
    [CAR, PERSON, PERSON, CAR, PERSON],
    [[0, 0, 10, 10], [20, 0, 30, 10], [46, 0, 58, 10], [80, 0, 90, 10], [100, 0, 180, 40]],
    evidence={"iscrowd": [0, 0, 0, 0, 1]},
)
ALONE = TRUTH[:4]  # what a person would draw
PERFECT = Reviewer(spread=0.0)


def answered(rows: range | list[int], whole: bool, reviewer: Reviewer = PERFECT, seed: int = 0) -> tuple[Labels, float]:
    return reviewer.answer(MACHINE, TRUTH, Objects(), SCHEMA, np.random.default_rng(seed), rows, whole)


def test_a_perfect_reviewer_leaves_the_truth_where_everything_is_asked() -> None:
    labels, _ = answered(range(4), True)
    assert Objects().errors(labels, TRUTH, SCHEMA).total == 0
    assert sorted(labels.box.tolist()) == sorted(ALONE.box.tolist())
    assert labels.score[0] == 0.9  # what was right stays the machine's


@pytest.mark.parametrize(
    ("rows", "whole", "left"),
    [([], True, 3), ([1], False, 3), ([2], False, 3), ([3], False, 3), ([0], False, 4), ([1, 2, 3], False, 1)],
)
def test_only_the_errors_of_what_is_asked_are_put_right(rows: list[int], whole: bool, left: int) -> None:
    assert Objects().errors(MACHINE, TRUTH, SCHEMA).total == 4
    labels, _ = answered(rows, whole)
    errors = Objects().errors(labels, TRUTH, SCHEMA)
    assert errors.total == left
    # And what was put right is what the asks held, as a certificate reckons it from the answer.
    seen = Objects().errors(MACHINE, labels, SCHEMA)
    assert [row for row in range(4) if seen.rows[row]] == [row for row in rows if row]
    assert seen.whole == float(whole)


def test_what_is_right_stays_as_it_is() -> None:
    labels, seconds = answered([0], False)
    assert labels is MACHINE
    assert seconds == pytest.approx(1.8)


def test_time_is_the_looks_and_what_is_drawn() -> None:
    effort = Effort()
    _, seconds = answered(range(4), True)
    # Two labels are drawn anew and one is added; what is about nothing is only dropped.
    assert seconds == pytest.approx(4 * 1.8 + effort.whole(MACHINE) + 3 * 7.0)
    rows, whole = fixing(MACHINE, TRUTH, Objects(), SCHEMA, effort)
    assert rows.tolist() == [0, 7, 7, 0]
    assert whole == 7


def test_people_draw_what_the_machine_draws() -> None:
    polygon = Labels.of([CAR], kind=Kind.POLYGON, shape=[(np.array([[80.0, 0], [90, 0], [90, 10], [80, 10]]),)])
    assert fixing(MACHINE[:1], polygon, Objects(), SCHEMA, Effort())[1] == 7
    assert fixing(MACHINE[:0], polygon, Objects(), SCHEMA, Effort())[1] == 26


def test_of_a_picture_as_one_question_all_becomes_the_truth() -> None:
    rng = np.random.default_rng(0)
    loss = Pictures()
    labels, seconds = PERFECT.answer(MACHINE, ALONE, loss, SCHEMA, rng, whole=True)
    assert labels == ALONE
    looked = Effort().whole(MACHINE, False)
    assert seconds == pytest.approx(looked + 3 * 7.0)
    same, quick = PERFECT.answer(ALONE, ALONE, loss, SCHEMA, rng, whole=True)
    assert same is ALONE
    assert quick < seconds


def test_other_labels_than_tags_stay_where_tags_are_asked() -> None:
    tag = Labels.of([PERSON], [[0, 0, 200, 100]], kind=Kind.TAG)
    said = Labels.concat([Labels.of([CAR], [[0, 0, 200, 100]], kind=Kind.TAG, score=[0.4]), MACHINE])
    labels, seconds = PERFECT.answer(said, tag, Tags(), SCHEMA, np.random.default_rng(0), whole=True)
    assert Tags().errors(labels, tag, SCHEMA).total == 0
    assert (labels.kind == Kind.BOX).sum() == len(MACHINE)
    assert seconds > 1.8


def test_misses_follow_the_sensitivity() -> None:
    rng = np.random.default_rng(1)
    wrong = np.ones(20_000)
    assert Reviewer(0.9).found(wrong, rng).mean() == pytest.approx(0.9, abs=0.01)
    assert Reviewer(0.9).found(3 * wrong, rng).mean() == pytest.approx(2.7, abs=0.02)  # each error by itself
    assert Reviewer(0.5).found(0.3 * wrong, rng).mean() == pytest.approx(0.15, abs=0.005)
    assert (Reviewer().found(0.3 * wrong, rng) == 0.3).all()


@pytest.mark.parametrize(("share", "missed"), [(0.5, 0.07), (0.1, 0.16), (0.01, 0.30), (0.001, 0.30), (1.0, 0.07)])
def test_rare_errors_are_missed_more_often(share: float, missed: float) -> None:
    assert float(1 - Reviewer(prevalence=True).chance(share)) == pytest.approx(missed)
    if 0.01 <= share <= 0.5:
        wrong = (np.arange(50_000) % round(1 / share) == 0).astype(float)
        found = Reviewer(prevalence=True).found(wrong, np.random.default_rng(2))
        assert 1 - found.sum() / wrong.sum() == pytest.approx(missed, abs=0.05)


def test_between_two_shares_misses_lie_on_a_line_over_the_logarithm() -> None:
    middle = float(1 - Reviewer(prevalence=True).chance(np.sqrt(0.1 * 0.01)))
    assert middle == pytest.approx((0.16 + 0.30) / 2)


def test_times_keep_their_mean_and_are_the_same_again() -> None:
    expected = np.full(50_000, 4.0)
    times = Reviewer().times(expected, np.random.default_rng(3))
    assert times.mean() == pytest.approx(4.0, rel=0.02)
    assert np.log(times).std() == pytest.approx(0.5, rel=0.02)
    assert (times == Reviewer().times(expected, np.random.default_rng(3))).all()


def test_one_who_overlooks_leaves_some() -> None:
    left = [Objects().errors(answered(range(4), True, Reviewer(0.5), seed)[0], TRUTH, SCHEMA).total for seed in range(40)]
    assert 0 < sum(left) / len(left) < 4


@pytest.mark.parametrize("text", ["perfect", "sensitivity=0.9", "prevalence", "sensitivity=0.9,prevalence"])
def test_a_reviewer_is_named_as_it_names_itself(text: str) -> None:
    assert str(Reviewer.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "sensitivity=0", "sensitivity=1.1", "sensitivity=-1", "sensitivity=x", "sensitivity", "best"]
)
def test_an_unknown_reviewer_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no simulated reviewer"):
        Reviewer.parse(text)
