"""Whose answer each label rests on: what a person said counts for the labels they said it of, through every later change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyla.pictures import Pictures
from hyla.store import Project
from hyla.store.asks import Ask
from hyla.types import Labels
from store_kit import CAR, PERSON, SCHEMA, boxes, fill, start

FOUR = boxes([CAR, CAR, PERSON, PERSON])


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project") as made:
        start(made)
        fill(made, 2, labels=FOUR)
        yield made


def say(project: Project, action: str, *rows: int, **how: Any) -> int:
    key = f"key {len(list(project.decisions()))}"
    return project.decide("item00000", action, who=how.pop("who", "ann"), key=key, rows=rows, **how).seq


def told(project: Project) -> dict[int, str]:
    found = project.answered(["item00000", "item00001"])
    assert "item00001" not in found, "nobody said anything of it"
    return {row: one.who for row, one in sorted(found["item00000"].by.items())} if found else {}


def test_nobody_answered_what_the_machine_said(project: Project) -> None:
    assert told(project) == {}
    assert project.answered(["nothing"]) == {}


def test_an_answer_counts_for_its_rows(project: Project) -> None:
    say(project, "accept", 1, 3, mode="grid")
    assert told(project) == {1: "ann", 3: "ann"}
    assert not project.answered(["item00000"])["item00000"].looked, "crops are not the picture"
    say(project, "accept", who="bob")
    assert told(project) == dict.fromkeys(range(4), "bob")
    assert project.answered(["item00000"])["item00000"].looked


def test_rows_move_up_when_others_are_taken_out(project: Project) -> None:
    say(project, "accept", 1, 3, mode="grid")
    say(project, "reject", 0, 2, mode="grid", who="bob")
    assert told(project) == {0: "ann", 1: "ann"}
    held = project.answered(["item00000"])["item00000"]
    assert held.source == "human:bob", "she took labels out, and did not look at what is left"


def test_doubt_and_repair_take_the_answer_back(project: Project) -> None:
    say(project, "accept", 0, 1, 2, mode="grid")
    say(project, "unsure", 0)
    say(project, "repair", 1, who="bob")
    found = project.answered(["item00000"])["item00000"]
    assert set(found.by) == {2}
    assert found.wrong == {1}


def test_what_was_undone_was_not_said(project: Project) -> None:
    seq = say(project, "accept")
    say(project, "undo", undoes=seq)
    assert told(project) == {}
    say(project, "accept", 2, mode="grid")
    assert told(project) == {2: "ann"}


def test_an_edit_of_the_picture_is_about_all_that_it_does_not_leave_open(project: Project) -> None:
    say(project, "edit", labels=boxes([CAR, PERSON, PERSON]), open=(2,))
    assert told(project) == {0: "ann", 1: "ann"}


def test_an_edit_from_the_grid_is_about_what_it_changed(project: Project) -> None:
    say(project, "accept", 3, mode="grid")
    changed = Labels.of(np.array([PERSON, CAR, PERSON, PERSON]), FOUR.box, score=[1, *FOUR.score[1:]])
    say(project, "edit", 0, labels=changed[[3, 1, 0]], mode="grid", who="bob")
    assert told(project) == {0: "ann", 2: "bob"}
    assert not project.answered(["item00000"])["item00000"].looked


def test_an_edit_of_a_part_is_about_what_it_changed(project: Project) -> None:
    say(project, "accept", 3)
    moved = Labels.of(FOUR.class_id, FOUR.box + np.eye(4)[[1]].T * 3, score=np.where([False, True, False, False], 1, FOUR.score))
    project.decide_all([Ask("item00000", "edit", "bob", "key", labels=moved, part=True)])
    assert told(project) == {1: "bob", 3: "ann"}


def test_who_calls_things_otherwise_without_looking_verifies_nothing(project: Project) -> None:
    """Two names become one: the labels get another class, and keep the machine's score."""
    say(project, "accept", 3, mode="grid")
    renamed = Labels.of(np.array([PERSON] * 4), FOUR.box, score=FOUR.score)
    say(project, "edit", labels=renamed, mode="grid", who="bob")
    assert told(project) == {3: "ann"}


def test_only_labels_that_hold_are_told_of(project: Project) -> None:
    say(project, "edit", labels=boxes([CAR]))
    pictures = Pictures("", {}, SCHEMA, project)
    best, model = (list(project.records(source)) for source in ("best", "model"))
    assert set(pictures.answered(best)) == {"item00000"}
    assert pictures.answered(model) == {}, "the machine's own labels are nobody's answer once others hold"
    assert Pictures("", {}, SCHEMA).answered(best) == {}
