"""The comparison of policies: its figures, its repetitions, and how it is made from a project with truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hyla.decide.arms import ARMS
from hyla.decide.reviewer import Reviewer
from hyla.decide.simulate import project_case, simulate, simulate_project
from hyla.decide.simulation import NAME, Simulation
from hyla.errors import ConfigError, StoreError
from hyla.store import Project
from hyla.types import Kind, Labels, Record
from sim_kit import objects, single
from store_kit import CAR, PERSON, SCHEMA, boxes, fill, start

FEW = 6


@pytest.fixture(scope="module")
def played() -> Simulation:
    return simulate(single(), repetitions=FEW)


def test_curves_go_from_all_errors_to_none(played: Simulation) -> None:
    for one in played.arms:
        if not one.why:
            assert one.error[0] == pytest.approx(played.errors / played.size)
            assert one.error[-1] <= 0.03
            assert all(b <= a + 1e-12 for a, b in zip(one.error, one.error[1:], strict=False))
            spans = zip(one.low, one.error, one.high, strict=True)
            assert all(low - 1e-12 <= mean <= high + 1e-12 for low, mean, high in spans)


def test_areas_lie_between_random_and_oracle(played: Simulation) -> None:
    values = {one.name: one.auc.value for one in played.arms if one.auc}
    assert values["random"] == pytest.approx(0)
    assert values["oracle"] == pytest.approx(1)
    assert values["review-all"] == pytest.approx(0, abs=0.1)
    assert 0.2 < (values["hyla"] or 0) < 1
    assert 0.4 < (values["entropy"] or 0) < 1


def test_less_error_takes_more_seconds(played: Simulation) -> None:
    for one in played.arms:
        if one.to:
            at = [one.to[mark].value or 0 for mark in ("0.05", "0.02", "0.01")]
            assert at == sorted(at)
            assert at[-1] > 0
            assert {figure.n for figure in one.to.values()} == {FEW}


def test_only_some_may_claim_a_certificate(played: Simulation) -> None:
    assert {one.name for one in played.arms if one.certified} == {"pac", "hyla"}
    mine = played["hyla"]
    assert mine.certified
    assert mine.certified.n == FEW
    assert mine.certified == mine.stopped
    assert mine.over
    assert mine.over.n == FEW
    assert (mine.certified.value or 0) < played.seconds[-1]


def test_what_has_no_certificate_is_judged_where_it_stops(played: Simulation) -> None:
    bold = played["threshold-.5"]
    assert bold.over
    assert (bold.over.value, bold.over.n) == (1.0, FEW)
    assert bold.left
    assert (bold.left.value or 0) > 0.05
    assert played["random"].over is None
    assert played["random"].left  # when Hyla stops


def test_all_time_counts(played: Simulation) -> None:
    seeded = simulate(single(), ["hyla"], Reviewer(0.9), FEW)["hyla"]
    assert seeded.stopped
    assert played["hyla"].stopped
    assert (seeded.stopped.value or 0) > (played["hyla"].stopped.value or 0)


def test_a_certificate_is_held_to_its_own_words_and_to_all_errors() -> None:
    # In one picture of ten many objects are missed, and no risk tells it from the others.
    base = objects(600, eps=0.3)
    whole = base.lot.row == -1
    case = replace(base, lot=replace(base.lot, risk=np.where(whole, 0.01, 2.0)))
    ends = {}
    for many in (20, 42):
        wrong = np.where(whole & (base.lot.item % 10 == 0), float(many), 0.0)
        mine = simulate(replace(case, wrong=wrong), ["hyla"], repetitions=FEW)["hyla"]
        assert mine.broken
        assert mine.over
        assert mine.broken.n == mine.over.n == FEW
        ends[many] = (mine.broken.value, mine.over.value)
    assert ends[20] == (0, 0)  # 2 of 7 for each label and picture
    assert ends[42][0] == 0  # of one picture, no more than labels + 1 count
    assert (ends[42][1] or 0) > 0.5


def test_the_worst_part_is_no_better_than_the_whole() -> None:
    found = simulate(single(strata=3), ["hyla", "threshold-.5"], repetitions=FEW)
    for one in found.arms:
        assert one.left
        assert one.worst
        assert (one.worst.value or 0) >= (one.left.value or 0)


def test_the_same_again_is_the_same() -> None:
    one, other, third = (simulate(objects(300), ["hyla", "random"], repetitions=3, seed=seed) for seed in (1, 1, 2))
    assert one.to_dict() == other.to_dict()
    assert one.to_dict() != third.to_dict()


def test_an_arm_gives_the_same_whichever_others_play() -> None:
    alone, beside = (simulate(objects(300), names, repetitions=3) for names in (["entropy"], ["review-all", "entropy", "oracle"]))
    assert alone["entropy"] == beside["entropy"]
    assert [one.name for one in alone.arms] == ["entropy"]


def test_what_does_not_apply_says_why() -> None:
    found = simulate(objects(300), repetitions=2)
    assert {one.name for one in found.arms} == set(ARMS)
    assert {one.name for one in found.arms if one.why} == {"objectlab", "pac"}
    assert "PAC labels: not applicable" in str(found)
    assert str(found).startswith("simulated")


def test_an_unknown_arm_and_one_repetition_are_refused() -> None:
    with pytest.raises(ConfigError, match="no arm 'magic'"):
        simulate(objects(300), ["magic"])
    with pytest.raises(ConfigError, match="no interval"):
        simulate(objects(300), repetitions=1)


def test_it_is_written_and_read_again(played: Simulation, tmp_path: Path) -> None:
    path = played.write(tmp_path)
    assert json.loads(path.read_text())["simulated"] is True
    assert Simulation.read(tmp_path) == played
    assert Simulation.read(tmp_path / "elsewhere") is None
    for text in ("{", "[]", '{"eps": 0.1}'):
        (tmp_path / NAME).write_text(text)
        with pytest.raises(StoreError, match="simulat"):
            Simulation.read(tmp_path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project of 60 pictures with two labels each; in the truth, each fourth has another class and one more."""
    found = Project.create(tmp_path / "project")
    start(found)
    made = fill(found, 60)
    found.add((_true(k, one) for k, one in enumerate(made)), "truth:survey")
    return found


def _true(k: int, one: Record) -> Record:
    return replace(one, labels=boxes((CAR, CAR, PERSON)) if k % 4 == 0 else one.labels)


def test_a_project_gives_its_errors_to_the_asks(project: Project) -> None:
    with project:
        case, count = project_case(project, "survey", 0.05, 0.05)
        assert count == 60 * 2 + 15
        assert case.wrong.sum() == 2 * 15
        wrong = {(int(i), int(r)): w for i, r, w in zip(case.lot.item, case.lot.row, case.wrong, strict=True) if w}
        assert wrong == {(i, r): 1.0 for i in range(0, 60, 4) for r in (-1, 1)}
        whole = case.lot.row == -1
        assert np.isnan(case.signals["score"][whole]).all()
        assert (case.signals["score"][~whole] == 0.5).all()
        assert (case.look[~whole] == 1.8).all()
        assert set(case.fix[case.wrong > 0].tolist()) == {7.0}


def test_a_project_is_compared_and_stays_as_it_is(project: Project) -> None:
    with project:
        before = project.counts()
        found = simulate_project(project, "truth:survey", 0.1, repetitions=2)
        assert found.units == 60
        assert found.errors == 30
        assert found.objects == 135
        assert project.counts() == before
        assert not (project.path / NAME).exists()


def test_learning_in_the_simulation_is_that_of_the_project(project: Project) -> None:
    with project:
        case, _ = project_case(project, "survey", 0.05, 0.05)
        assert case.learn is not None
        assert case.pilot == 0  # so few are audited without one
        answered = case.lot.item < 40
        lot = case.learn(np.where(answered, case.wrong, np.nan))
        assert (lot.seconds > 0).all()
        assert lot.risk[case.lot.row == -1].sum() == pytest.approx(15, rel=0.5)
        nothing = case.learn(np.full(len(case.wrong), np.nan))
        assert nothing.risk.tolist() == pytest.approx(case.lot.risk.tolist())


def test_a_second_model_lets_objectlab_play(project: Project) -> None:
    with project:
        project.add((one for one in project.records("model")), "truth:other")
        case, _ = project_case(project, "survey", 0.05, 0.05, overrides=["second=truth:other"])
        assert len(case.signals["objectlab"]) == len(case.wrong)
        assert not simulate(case, ["objectlab"], repetitions=2)["objectlab"].why


def test_truth_that_misses_pictures_is_refused_with_their_number(project: Project) -> None:
    with project:
        project.add(list(project.records("truth:survey"))[:57], "truth:part")
        with pytest.raises(ConfigError, match="misses 3 of 60 pictures") as caught:
            simulate_project(project, "part", 0.05)
        assert "truth" in caught.value.hint


def test_unknown_truth_and_odd_shares_are_refused(project: Project) -> None:
    with project:
        with pytest.raises(ConfigError, match="no truth 'none'") as caught:
            simulate_project(project, "none", 0.05)
        assert caught.value.choices == ["survey"]
        for eps, delta in ((0, 0.05), (1, 0.05), (0.05, 0), (0.05, 1)):
            with pytest.raises(ConfigError, match=r"^(eps|delta) is [01]"):
                simulate_project(project, "survey", eps, delta)


def test_pictures_with_tags_alone_are_single_questions(tmp_path: Path) -> None:
    def tag(class_id: int, score: float) -> Labels:
        return Labels.of([class_id], [[0, 0, 200, 100]], kind=Kind.TAG, score=[score])

    with Project.create(tmp_path / "tags") as made:
        start(made, schema=replace(SCHEMA, kinds=("tag",)))
        records = fill(made, 80, labels=tag(CAR, 0.7))
        made.add((replace(one, labels=tag(PERSON if k % 5 == 0 else CAR, 1.0)) for k, one in enumerate(records)), "truth:t")
        case, count = project_case(made, "t", 0.05, 0.05, overrides=["decide=tags"])
    assert case.lot.single
    assert count == 80
    assert case.wrong.sum() == 16
    assert (case.signals["score"] == 0.7).all()
    assert not ARMS["pac"].why_not(case)
