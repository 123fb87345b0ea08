"""Certificates from the first command to the last, on real projects with simulated people."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from decide_kit import TAGS, more, project_of, tags
from hyla.decide import drift
from hyla.decide.flow import Demand, NotYet, certify, look, recompute
from hyla.decide.gather import evidence
from hyla.decide.losses import Objects, Tags
from hyla.decide.play import copy, play
from hyla.decide.reviewer import Reviewer
from hyla.errors import ConfigError, HylaError, StoreError
from hyla.report import report
from hyla.store import Project
from hyla.types import Flag, Labels, Severity, Verdict
from store_kit import raw

SURE = Demand(0.15, 1e-4)  # a claim that no run of the tests is going to see fail


@pytest.fixture(scope="module")
def animals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of 900 tagged pictures with truth."""
    path = tmp_path_factory.mktemp("animals") / "out"
    project_of(path, 900, tags, TAGS, decide="tags").close()
    return path


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project of 900 pictures with boxes and truth."""
    path = tmp_path_factory.mktemp("street") / "out"
    project_of(path, 900).close()
    return path


def errors_left(path: Path) -> tuple[float, float]:
    """Return the true errors of the labels that hold, and the denominator."""
    with Project.open(path) as project:
        loss = Tags() if "tag" in project.schema().kinds else Objects()
        wrong = size = 0.0
        best = project.records("best")
        for held, machine, true in zip(best, project.records("model"), project.records("truth:known"), strict=True):
            wrong += loss.errors(held.labels, true.labels, project.schema()).total
            size += loss.size(machine.labels)
    return wrong, size


@pytest.mark.parametrize("what", ["animals", "street"])
def test_a_certificate_is_issued_and_true(what: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with Project.open(request.getfixturevalue(what)) as project:
        step = play(project, "known", tmp_path / "copy", SURE, Reviewer())
    assert step.state == "issued"
    certificate = step.data["certificate"]
    assert certificate["simulated"]
    assert "SIMULATED" in step.text.upper()
    wrong, size = errors_left(tmp_path / "copy")
    assert 0 < wrong <= SURE.eps * size, "something is accepted unseen, and no more errors are left than promised"
    assert certificate["units"]["accepted"] > 0
    assert certificate["whole"]["upper"] <= SURE.eps + 1e-9
    with Project.open(tmp_path / "copy") as played:
        assert played.verify().ok
        assert recompute(played, json.loads((tmp_path / "copy" / "certificate.json").read_text())).sha256
        again = certify(played, SURE)
        assert again.state == "issued", "asked again, it is the same certificate"
        assert again.data["certificate"] == certificate


def test_a_changed_certificate_or_ledger_is_seen(animals: Path, tmp_path: Path) -> None:
    with Project.open(animals) as project:
        play(project, "known", tmp_path / "copy", Demand(0.1, 0.1), Reviewer())
    value = json.loads((tmp_path / "copy" / "certificate.json").read_text())
    with Project.open(tmp_path / "copy") as played, pytest.raises(StoreError, match="eps"):
        recompute(played, {**value, "eps": 0.01})
    raw(tmp_path / "copy", "UPDATE decisions SET active_ms = 1 WHERE seq = 3", free=True)
    with Project.open(tmp_path / "copy") as played, pytest.raises(StoreError, match="decision 3 was changed"):
        recompute(played, value)


def test_half_an_audit_is_no_audit(street: Path, tmp_path: Path) -> None:
    with Project.open(street) as project:
        copy(project, tmp_path / "copy")
    demand = Demand(0.1, 0.1)
    with Project.open(tmp_path / "copy") as played:
        step = certify(played, demand)
        assert step.state == "audit"
        assert "hyla review" in step.text
        before = played.counts().waiting
        with pytest.raises(NotYet, match=r"still wait for an answer; nothing is tested on half an audit"):
            certify(played, demand)
        assert not any(event.kind == "tested" for event in played.lots()[-1].events)
        assert played.counts().waiting == before


def test_labels_changed_after_the_freeze_are_refused(street: Path, tmp_path: Path) -> None:
    with Project.open(street) as project:
        copy(project, tmp_path / "copy")
    with Project.open(tmp_path / "copy") as played:
        certify(played, Demand(0.1, 0.1))
        assert evidence(played, 1).number == 1
    raw(tmp_path / "copy", "UPDATE annotations SET digest = 'ff' WHERE item_id = 'item00007'", free=True)
    with (
        Project.open(tmp_path / "copy") as played,
        pytest.raises(StoreError, match="changed after the freeze, first of 'item00007'"),
    ):
        evidence(played, 1)


def test_pictures_of_which_only_crops_were_answered_are_looked_at_again(street: Path, tmp_path: Path) -> None:
    with Project.open(street) as project:
        copy(project, tmp_path / "copy")
    with Project.open(tmp_path / "copy") as played:
        names = [f"item{i:05d}" for i in range(300)]
        for name in names:
            played.decide(name, "accept", who="ann", key=f"grid {name}", rows=(0,), mode="grid")
        assert all(played.state(name)["lane"] == "" for name in names)
        step = certify(played, Demand(0.1, 0.1))
        lot = played.lot(step.data["lot"])
        drawn = {lot.id(i) for i in played.lots()[-1].events[-1].body["draws"][0]}
        waiting = {one.item.id for lane in ("review", "second") for one in played.next_items(lane, limit=900)}
        assert drawn & set(names)
        assert drawn <= waiting, "nobody looked for what is missing there, so somebody has to"
    with Project.open(tmp_path / "copy") as begun:
        assert play(begun, "known", tmp_path / "played", Demand(0.1, 0.1), Reviewer()).state == "issued"


def test_another_demand_needs_another_lot(street: Path, tmp_path: Path) -> None:
    with Project.open(street) as project:
        copy(project, tmp_path / "copy")
    with Project.open(tmp_path / "copy") as played:
        certify(played, Demand(0.1, 0.1))
        with pytest.raises(ConfigError, match=r"lot 1 was frozen for eps 0\.1, not 0\.2"):
            certify(played, Demand(0.2, 0.1))
        assert certify(played, Demand(0.2, 0.1), afresh=True).data["lot"] == 2
        assert [row.events[-1].kind for row in played.lots()] == ["given up", "drawn"]


@pytest.mark.parametrize("demand", [Demand(0), Demand(1.2), Demand(0.1, 0), Demand(0.1, 1), Demand(0.1, mode="soon")])
def test_a_demand_that_makes_no_sense_is_refused_before_any_work(street: Path, demand: Demand) -> None:
    with Project.open(street) as project, pytest.raises(ConfigError):
        certify(project, demand)


def test_too_few_items_are_told_what_they_can_have(tmp_path: Path) -> None:
    with project_of(tmp_path / "few", 30, tags, TAGS, decide="tags") as project:
        with pytest.raises(ConfigError) as refused:
            certify(project, Demand(0.01))
        assert "nothing can be accepted without a person" in str(refused.value)
        assert project.lots() == []


def test_what_a_rule_keeps_for_people_is_asked_and_the_rest_may_not_be(tmp_path: Path) -> None:
    def flags(i: int) -> tuple[Flag, ...]:
        return (Flag("police", "face", Severity.HUMAN, (), "a face"),) if i % 10 == 0 else (Flag("dim", "dim", Severity.REVIEW),)

    with project_of(tmp_path / "flagged", 900, tags, TAGS, flags=flags, decide="tags") as project:
        step = play(project, "known", tmp_path / "copy", Demand(0.1, 0.1), Reviewer())
    assert step.state == "issued"
    with Project.open(tmp_path / "copy") as played:
        states = played.states(f"item{i:05d}" for i in range(0, 900, 10))
        assert all(state["decision"] for state in states.values()), "each picture that a rule keeps was answered"
        accepted = sum(one.verdict == Verdict.ACCEPT and one.source.startswith("model") for one in played.records())
        assert accepted > 100


def test_people_who_overlook_are_told_that_a_second_pass_is_needed(animals: Path, tmp_path: Path) -> None:
    with Project.open(animals) as project:
        copy(project, tmp_path / "begun")
    with Project.open(tmp_path / "begun") as begun:
        begun.add((one for i, one in enumerate(begun.records("truth:known")) if i < 60), "human:ann")
        step = play(begun, "known", tmp_path / "copy", Demand(0.02, 0.1, seeds=40), Reviewer(0.7))
    assert step.state == "second pass"
    assert not (tmp_path / "copy" / "certificate.json").exists()
    assert "second" in step.text


def test_strata_each_have_their_claim(street: Path, tmp_path: Path) -> None:
    with Project.open(street) as project:
        _, plan = look(project, Demand(0.1, 0.1, strata=("site",)))
        assert [part.name for part in plan.strata]
        assert sum(part.units for part in plan.strata) == 900
        assert sum(part.delta for part in plan.strata if part.draws) <= 0.1 + 1e-12
        with pytest.raises(HylaError, match="weather"):
            look(project, Demand(0.1, 0.1, strata=("weather",)))
        step = play(project, "known", tmp_path / "copy", Demand(0.1, 0.1, strata=("site",)), Reviewer())
    assert {row["name"] for row in step.data["certificate"]["strata"]} == {part.name for part in plan.strata}


def test_a_large_project_begins_with_a_pilot(tmp_path: Path) -> None:
    with project_of(tmp_path / "large", 1500, tags, TAGS, decide="tags") as project:
        copy(project, tmp_path / "copy")
        step = play(project, "known", tmp_path / "played", Demand(0.05), Reviewer())
    assert step.state == "issued"
    with Project.open(tmp_path / "played") as played:
        assert [row.events[0].kind for row in played.lots()] == ["pilot", "drawn"]
        lot = played.lot(2)
        assert int(lot.settled.sum()) == 100
        assert not np.isin(np.concatenate(played.lots()[1].events[0].body["draws"]), np.flatnonzero(lot.settled)).any()
    with Project.open(tmp_path / "copy") as played:
        assert certify(played, Demand(0.05)).state == "pilot"
        assert played.counts().waiting == 100
    with Project.open(tmp_path / "copy") as played:
        waiting = {one.item.id for one in played.next_items("review", limit=200)}
        played.add((one for one in played.records("truth:known") if one.item.id in waiting), "human:ann")
        step = certify(played, Demand(0.5, 0.1, strata=("site",)))
        assert step.data["lot"] == 2, "a pilot serves whatever is asked for"


def test_a_certificate_of_something_else_is_not_handed_out(animals: Path, tmp_path: Path) -> None:
    with Project.open(animals) as project:
        play(project, "known", tmp_path / "copy", SURE, Reviewer())
    with Project.open(tmp_path / "copy") as played:
        with pytest.raises(ConfigError, match=r"lot 1 was frozen for eps 0\.15, not 0\.3"):
            certify(played, Demand(0.3, 1e-4))
        certify(played, Demand(0.3, 1e-4), afresh=True)
        assert evidence(played, 2).given_up == 1, "what the first spent of delta is told by the second"


@pytest.mark.parametrize("seeds", [0, 200])
def test_two_readers_answer_the_audit_and_with_seeds_all_that_is_asked(street: Path, tmp_path: Path, seeds: int) -> None:
    with Project.open(street) as project:
        copy(project, tmp_path / "begun")
    with Project.open(tmp_path / "begun") as begun:
        begun.add((one for i, one in enumerate(begun.records("truth:known")) if i < 60), "human:ann")
        step = play(begun, "known", tmp_path / "copy", Demand(0.3, 0.1, protocol="double", seeds=seeds), Reviewer())
    assert step.state == "issued"
    told = step.data["certificate"]["reviewers"]
    assert told["protocol"] == "double"
    assert told["alpha"] == pytest.approx(1.0)
    assert sum(kind["planted"] for kind in told["seeds"].values()) == seeds
    with Project.open(tmp_path / "copy") as played:
        answers = [one for one in played.decisions() if one.mode == "simulated"]
        opinions = {one.item_id for one in answers if one.action == "opinion"}
        first = {one.item_id for one in answers if one.action != "opinion"}
        lot = played.lot(1)
        drawn = {lot.id(i) for units in evidence(played, 1).draws for i in units.tolist()}
        assert opinions >= drawn
        assert (opinions == first) == bool(seeds)


def test_new_pictures_are_a_lot_of_their_own_and_a_change_is_told(tmp_path: Path) -> None:
    def worse(i: int, rng: np.random.Generator) -> tuple[Labels, Labels]:
        said, true = tags(i, rng)
        return (said, true) if i < 900 else (replace(said, score=said.score * 0.5, class_id=(true.class_id + (i % 2)) % 3), true)

    with project_of(tmp_path / "two", 900, worse, TAGS, decide="tags") as project:
        play(project, "known", tmp_path / "copy", SURE, Reviewer())
    with Project.open(tmp_path / "copy") as played:
        more(played, range(900, 1500), worse, TAGS)
        assert certify(played, Demand(0.5, 0.1)).data["lot"] == 2
        lot = played.lot(2)
        assert {lot.id(i) for i in range(len(lot.items))} == {f"item{i:05d}" for i in range(900, 1500)}
        waiting = {one.item.id for one in played.next_items("review", limit=900)}
        played.add((one for one in played.records("truth:later") if one.item.id in waiting), "human:ann")
        step = certify(played, Demand(0.5, 0.1))
        assert "unlike the lot before" in step.text
        found = drift.of_project(played)
        assert found is not None
        assert found.warning
        assert [one.name for one in found.figures if one.warning] == ["scores", "losses"]
        page = report(played).read_text()
        assert "Like the lot before?" in page
        assert "losses changed" in page
