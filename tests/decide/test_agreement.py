"""How far readers agree, against the literature and other people's formulas."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from sklearn.metrics import cohen_kappa_score

import strategies
from hyla.average_precision import wilson
from hyla.decide.agreement import Agreement, agreement, of_project
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.matching import ABSENT
from hyla.errors import ConfigError, StageError
from hyla.store import Project, Twin
from hyla.types import Flag, Labels, Severity, Verdict
from store_kit import CAR, PERSON, boxes, fill, start

_ = np.nan
# Krippendorff, Computing Krippendorff's alpha-reliability (2011), section C: 4 observers, 12 units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
]
# The worked example of Fleiss' kappa: 14 raters, 10 subjects, 5 categories.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
LOT = Lot(
    items=np.array([b"item00004"]),
    digests=np.array([b"0" * 64]),
    unit=np.array([0]),
    size=np.array([1.0]),
    stratum=np.array([0]),
    settled=np.array([False]),
    strata=("",),
    item=np.array([0]),
    row=np.array([WHOLE]),
    risk=np.array([0.5]),
    seconds=np.array([2.0]),
    always=np.array([False]),
)
ASK = (Flag("r", "tumour", Severity.SECOND, (0,)),)


def value(figure: object) -> float:
    found = getattr(figure, "value", None)
    assert isinstance(found, float)
    return found


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)])
def test_alpha_is_that_of_krippendorffs_own_example(level: str, alpha: float) -> None:
    found = agreement(OBSERVERS, level=level, samples=50)
    assert round(value(found.alpha), 3) == alpha
    assert found.alpha.n == found.objects == 11  # the last but one column but one has one answer only
    assert found.kappa is None
    assert found.fleiss is None


def test_fleiss_is_that_of_the_worked_example() -> None:
    ratings = np.array([np.repeat(np.arange(5), row) for row in FLEISS]).T
    found = agreement(ratings)
    assert found.fleiss is not None
    assert round(value(found.fleiss), 3) == 0.210
    assert (found.readers, found.kappa) == (14, None)


def test_kappa_is_that_of_the_textbook() -> None:
    ann, bob = np.repeat([1, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    found = agreement([ann, bob])
    assert value(found.kappa) == pytest.approx(0.4)
    assert value(found.same) == pytest.approx(0.7)


RATINGS = nps.arrays(
    np.float64, st.tuples(st.integers(2, 4), st.integers(2, 12)), elements=st.sampled_from([0, 1, 2, 5, ABSENT, _])
)


@given(RATINGS)
def test_alpha_and_kappa_are_those_of_other_libraries(ratings: np.ndarray) -> None:
    assert strategies.settings.default is not None
    pairable = ratings[:, (~np.isnan(ratings)).sum(axis=0) > 1]
    assume(len(np.unique(pairable[~np.isnan(pairable)])) > 1)
    found = agreement(ratings, samples=2)
    assert value(found.alpha) == pytest.approx(krippendorff.alpha(reliability_data=ratings, level_of_measurement="nominal"))
    if len(ratings) == 2:
        assert value(found.kappa) == pytest.approx(cohen_kappa_score(*pairable.astype(int)))
    there = np.where(np.isnan(ratings), _, ratings != ABSENT)[:, (~np.isnan(ratings)).sum(axis=0) > 1]
    pairs = [(a == b).sum() / (m * (m - 1)) * m for a, b, m in _answers(there)]
    assert value(found.found) == pytest.approx(sum(pairs) / (~np.isnan(there)).sum())


def _answers(there: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Return for each object all ordered pairs of two answers, and how many answered."""
    given = [column[~np.isnan(column)] for column in there.T]
    apart = [~np.eye(len(one), dtype=bool) for one in given]
    return [
        (np.repeat(one, len(one))[off.ravel()], np.tile(one, len(one))[off.ravel()], len(one))
        for one, off in zip(given, apart, strict=True)
    ]


def test_the_interval_is_over_pictures_and_holds_the_truth() -> None:
    rng = np.random.default_rng(0)
    # Of three classes, the second answer is the first in 70 % of the pictures, else any: alpha is (0.8 - 1/3) / (2/3) = 0.7.
    held = []
    for _sim in range(300):
        truth = rng.integers(0, 3, 60)
        second = np.where(rng.random(60) < 0.7, truth, rng.integers(0, 3, 60))
        ratings = np.repeat([truth, second], 4, axis=1)  # each picture has four objects that are all alike
        alpha = agreement(ratings, np.repeat(np.arange(60), 4), samples=200).alpha
        held.append(alpha.low is not None and alpha.high is not None and alpha.low <= 0.7 <= alpha.high)
    assert 0.91 <= np.mean(held) <= 0.99
    narrow = agreement(ratings, samples=200).alpha
    wide = agreement(ratings, np.repeat(np.arange(60), 4), samples=200).alpha
    assert narrow.low is not None
    assert wide.low is not None
    assert value(narrow) - narrow.low == pytest.approx((value(wide) - wide.low) / 2, rel=0.2)  # a fourth of the pictures


def test_where_nobody_disagreed_the_interval_is_wilsons() -> None:
    found = agreement([[0, 1] * 10, [0, 1] * 10])
    low = wilson(20, 20)[0]
    assert (value(found.same), found.same.low, found.same.high) == (1, low, 1)
    expected = 2 * 20 * 19 / (40 * 39)
    assert found.alpha.low == pytest.approx((low - expected) / (1 - expected))
    assert found.kappa is not None
    assert found.kappa.low == pytest.approx((low - 0.5) / 0.5)


def test_one_answer_throughout_is_nothing_to_correct_for_chance() -> None:
    found = agreement([[0, 0, 0], [0, 0, 0]])
    assert found.alpha.value is None
    assert value(found.same) == 1
    assert "nothing to read" in str(found)
    alone = agreement([[0, _], [_, 1]])
    assert (alone.objects, alone.pictures, alone.readers) == (0, 0, 0)
    assert str(alone)
    one = agreement([[0] * 40, [0] * 36 + [ABSENT] * 4])
    assert value(one.alpha) < 0 < 0.9 == value(one.found)
    assert "one class only" in one.reading


def test_classes_are_read_apart_from_what_was_found() -> None:
    found = agreement([[0, 0, 1, 1, 0, 1], [0, 0, 1, 1, ABSENT, ABSENT]])
    assert value(found.named) == 1
    assert value(found.found) == pytest.approx(4 / 6)
    assert value(found.same) == pytest.approx(4 / 6)
    assert value(found.alpha) < 0.6


@pytest.mark.parametrize(
    ("wrong", "reading"), [(2, "alpha is reliable"), (25, "alpha is good for tentative"), (40, "alpha is not reliable")]
)
def test_the_reading_is_the_conventional_one(wrong: int, reading: str) -> None:
    first = np.tile([0, 1], 100)
    second = first.copy()
    second[:wrong] = 1 - second[:wrong]
    found = agreement([first, second])
    assert found.reading.startswith(reading)
    close = agreement([first[:40], np.r_[1 - first[:3], first[3:40]]])
    assert "but its interval reaches down to" in close.reading


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="level=cardinal"):
        agreement(OBSERVERS, level="cardinal")
    for bad in ([1, 2, 3], np.zeros((2, 3, 4))):
        with pytest.raises(StageError, match="readers, objects"):
            agreement(bad)
    with pytest.raises(StageError, match="picture for each object"):
        agreement(OBSERVERS, [0, 1])
    monkeypatch.setitem(sys.modules, "krippendorff", None)
    assert agreement(OBSERVERS).alpha.value
    with pytest.raises(ConfigError, match="krippendorff") as e:
        agreement(OBSERVERS, level="ordinal")
    assert e.value.hint == "pip install 'hyla[decide]'"


def test_absent_has_no_place_among_grades() -> None:
    missed = [[*row, ABSENT] for row in OBSERVERS]
    assert (
        agreement(missed, level="ordinal", samples=2).alpha.value == agreement(OBSERVERS, level="ordinal", samples=2).alpha.value
    )


@pytest.fixture
def project(tmp_path: Path):
    """Hold six items of which a flag wants a second opinion."""
    with Project.create(tmp_path / "out") as made:
        start(made)
        fill(made, 6, flags=ASK, verdict=Verdict.REVIEW)
        yield made


def say(project: Project, keys: count[int], item: int | str, *said: Sequence[object]) -> list[int]:
    return [
        project.decide(
            item if isinstance(item, str) else f"item{item:05d}",
            str(action),
            who=str(who),
            key=f"k{next(keys)}",
            labels=labels if isinstance(labels, Labels) else None,
            undoes=labels if isinstance(labels, int) else None,
            mode=str(mode[0]) if mode else "single",
        ).seq
        for who, action, labels, *mode in said
    ]


def test_a_project_is_read_as_people_answered_it(project: Project) -> None:
    assert of_project(project) is None
    keys = count()
    same, other = boxes([CAR, PERSON]), boxes([CAR, CAR])
    say(project, keys, 0, ("ann", "edit", same), ("bob", "opinion", same, "blind"))
    say(project, keys, 1, ("ann", "edit", same), ("bob", "opinion", other), ("cid", "adjudicate", other))
    say(project, keys, 2, ("bob", "reject", None), ("ann", "opinion", same[[0]]))
    (_first, back) = say(project, keys, 3, ("ann", "edit", same), ("bob", "opinion", other))
    say(project, keys, 3, ("bob", "undo", back))  # taken back: no opinion
    say(project, keys, 4, ("ann", "edit", same))  # nobody's second opinion
    say(project, keys, 5, ("ann", "edit", same), ("bob", "opinion", other, "simulated"))  # nobody said that
    lot = project.freeze(LOT, {})
    (copy,) = project.plant(lot, [Twin("item00004", other, second=True)])
    say(project, keys, copy, ("ann", "edit", same), ("bob", "opinion", other))  # planted
    found = of_project(project, samples=50)
    assert isinstance(found, Agreement)
    expected = agreement(
        [[CAR, PERSON, CAR, PERSON, CAR], [CAR, PERSON, CAR, CAR, ABSENT]], [0, 0, 1, 1, 2], samples=50
    )  # ann, bob; the adjudicated picture counts as the two answered it
    assert found == expected
    assert json.loads(json.dumps(found.to_dict()))["alpha"]["n"] == 5
    blind = of_project(project, blind=True, samples=50)
    assert blind is not None
    assert (blind.pictures, value(blind.same)) == (1, 1)


def test_a_project_of_three_people_has_alpha_and_no_kappa(project: Project) -> None:
    keys = count()
    same = boxes([CAR, PERSON])
    for item, (first, second) in enumerate([("ann", "bob"), ("bob", "cid"), ("cid", "ann")]):
        say(project, keys, item, (first, "edit", same), (second, "opinion", boxes([CAR, CAR]) if item == 2 else same))
    found = of_project(project, samples=50)
    assert found is not None
    assert (found.readers, found.kappa) == (3, None)
    assert found.fleiss is not None
    ratings = [[CAR, PERSON, _, _, CAR, CAR], [CAR, PERSON, CAR, PERSON, _, _], [_, _, CAR, PERSON, CAR, PERSON]]
    assert value(found.alpha) == pytest.approx(krippendorff.alpha(reliability_data=ratings, level_of_measurement="nominal"))
