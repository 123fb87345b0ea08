"""Whoever changes the file behind Hyla's back is found out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hyla import codec
from hyla.store import Project
from hyla.store.rows import digest_of
from hyla.types import Flag, Verdict
from store_kit import PERSON, boxes, fill, raw, start


@pytest.fixture
def told(tmp_path: Path) -> tuple[Path, str]:
    """Return a project with five items and four decisions, and its head."""
    with Project.create(tmp_path) as project:
        start(project)
        made = fill(project, 5, flags=(Flag("r", "why", rows=(0,)),), verdict=Verdict.REVIEW)
        project.add(made[:2], "truth:x")
        for i, action in enumerate(("accept", "reject", "edit", "accept")):
            labels = boxes([PERSON]) if action == "edit" else None
            project.decide(f"item{i:05d}", action, who="ann", key=str(i), labels=labels)
        report = project.verify()
        assert report.ok, report.problems
        return tmp_path, report.head


def problems(path: Path, head: str | None = None) -> str:
    with Project.open(path) as project:
        report = project.verify(head)
    assert report.ok == (not report.problems)
    return "\n".join(report.problems)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE decisions SET action = 'reject' WHERE seq = 1", "decision 1 was changed"),
        ("UPDATE decisions SET who = 'eve' WHERE seq = 4", "decision 4 was changed"),
        ("UPDATE decisions SET at = '2020-01-01' WHERE seq = 2", "decision 2 was changed"),
        ("UPDATE decisions SET hash = prev_hash WHERE seq = 2", "decision 3 does not follow"),
        ("UPDATE decisions SET seq = 9 WHERE seq = 4", "missing between number 3 and number 9"),
        ("DELETE FROM decisions WHERE seq = 2", "missing between number 1 and number 3"),
        ("DELETE FROM decisions WHERE seq = 1", "missing between number 0 and number 2"),
        ("DELETE FROM decisions", "in a state that no decision led to"),
        ("UPDATE decisions SET before = '[' WHERE seq = 2", "rows can't be read"),
        ("UPDATE annotations SET blob = x'01' WHERE id = 1", "the labels model:toy@0f gave item 'item00000' were changed"),
        ("UPDATE annotations SET source = 'model:other' WHERE id = 1", "were changed: their digest does not fit"),
        ("UPDATE annotations SET item_id = 'item00004', rev = 3 WHERE id = 1", "were changed: their digest does not fit"),
        ("UPDATE annotations SET digest = '00' WHERE id = 2", "the labels that item 'item00001' had before decision 2 are gone"),
        ("DELETE FROM annotations WHERE role = 'human'", "the labels that item 'item00002' had after decision 3 are gone"),
        ("DELETE FROM annotations WHERE id = 5", "the labels of item 'item00004' are gone"),
        ("DELETE FROM annotations WHERE id = 5", "a row of labels belongs to a row of annotations that is not there"),
        ("UPDATE labels SET class_id = 2 WHERE annotation_id = 1 AND row = 0", "item 'item00000' differ from their rows"),
        ("UPDATE labels SET score = 0.51 WHERE annotation_id = 6 AND row = 1", "the labels truth:x gave item 'item00000' differ"),
        ("UPDATE labels SET x1 = x1 + 1 WHERE annotation_id = 3", "item 'item00002' differ from their rows"),
        ("DELETE FROM labels WHERE annotation_id = 1 AND row = 1", "item 'item00000' are 2, and 1 rows"),
        ("INSERT INTO labels SELECT 1, 2, 1, 1, 1, -1, 0, 0, 1, 1, NULL, NULL, 'accept'", "item 'item00000' are 2, and 3 rows"),
        ("UPDATE flags SET severity = 'note' WHERE id = 2", "a flag r of item 'item00001' was changed"),
        ("UPDATE flags SET item_id = 'item00000', digest = 'x' WHERE id = 2", "a flag r of item 'item00000' was changed"),
        (
            "UPDATE items SET outcome = 'accept' WHERE id = 'item00001'",
            "'item00001' is not in the state that its last decision left",
        ),
        ("UPDATE items SET decided = NULL WHERE id = 'item00001'", "'item00001' is not in the state that its last decision left"),
        ("UPDATE items SET best = 3 WHERE id = 'item00002'", "'item00002' is not in the state that its last decision left"),
        ("UPDATE items SET best = 6 WHERE id = 'item00004'", "the labels of item 'item00004' are gone"),
        ("UPDATE items SET machine = 6 WHERE id = 'item00000'", "the labels of item 'item00000' are gone"),
        ("UPDATE items SET outcome = 'accept' WHERE id = 'item00004'", "'item00004' is in a state that no decision led to"),
        (
            "UPDATE items SET lane = 'review' WHERE id = 'item00001'",
            "'item00001' is not in the state that its last decision left",
        ),
        ("UPDATE items SET lane = '' WHERE id = 'item00004'", "'item00004' is in a state that no decision led to"),
        ("UPDATE items SET lane = 'second' WHERE id = 'item00004'", "'item00004' is in a state that no decision led to"),
        ("UPDATE items SET verdict = 'accept' WHERE id = 'item00004'", "'item00004' is in a state that no decision led to"),
        ("UPDATE items SET answered = 'ann' WHERE id = 'item00004'", "'item00004' is in a state that no decision led to"),
        (
            "UPDATE items SET seconded = 'ann' WHERE id = 'item00000'",
            "'item00000' is not in the state that its last decision left",
        ),
        ("UPDATE items SET reason = 'other' WHERE id = 'item00000'", "'item00000' waits for another reason than its flags give"),
        (
            "UPDATE labels SET verdict = 'accept' WHERE annotation_id = 5",
            "gave item 'item00004' does not follow from what was said",
        ),
        (
            "UPDATE labels SET verdict = 'reject' WHERE annotation_id = 5",
            "gave item 'item00004' does not follow from what was said",
        ),
        (
            "UPDATE labels SET verdict = 'review' WHERE annotation_id = 1",
            "gave item 'item00000' does not follow from what was said",
        ),
        (
            "UPDATE labels SET verdict = 'review' WHERE annotation_id = 3",
            "gave item 'item00002' does not follow from what was said",
        ),
        ("UPDATE labels SET verdict = 'review' WHERE annotation_id = 6", "truth:x gave item 'item00000' does not follow"),
        ("UPDATE flags SET rows = '[7]' WHERE id = 5", "the flags of item 'item00004' do not fit its labels"),
        ("UPDATE flags SET rows = '[\"a\"]' WHERE id = 5", "a flag r of item 'item00004' was changed"),
        ("UPDATE items SET uri = 'other.jpg' WHERE id = 'item00003'", "item 'item00003' was changed"),
        ("UPDATE items SET size = '[200, 100]' WHERE id = 'item00003'", "item 'item00003' was changed"),
        ("DELETE FROM items WHERE id = 'item00004'", "belongs to a row of items that is not there"),
    ],
)
def test_a_change_behind_hylas_back_is_found(told: tuple[Path, str], statement: str, found: str) -> None:
    raw(told[0], statement, free=True)
    assert found in problems(told[0])


def test_decisions_cut_off_the_end_are_found_against_the_head(told: tuple[Path, str]) -> None:
    """Whoever cuts and puts the item's state right leaves a chain that holds in itself: only a head kept elsewhere tells."""
    path, head = told
    raw(path, "DELETE FROM decisions WHERE seq = 4", free=True)
    assert "'item00003' is in a state that no decision led to" in problems(path)
    raw(
        path,
        "UPDATE items SET decided = NULL, outcome = NULL, lane = 'review' WHERE id = 'item00003'",
        "UPDATE labels SET verdict = 'review' WHERE annotation_id = 4 AND row = 0",
    )
    assert problems(path) == ""
    assert "the head given is not in the chain" in problems(path, head)


def test_a_decision_written_anew_is_found_by_the_next_or_by_the_head(told: tuple[Path, str]) -> None:
    path, head = told
    with Project.open(path) as project:
        last = list(project.decisions())[-1]
    forged = replace(last, who="eve").reckon()
    raw(path, f"UPDATE decisions SET who = 'eve', hash = '{forged}' WHERE seq = 4", free=True)
    assert problems(path) == ""
    assert "the head given is not in the chain" in problems(path, head)


def test_labels_exchanged_with_their_digest_are_found_by_the_decision_on_them(told: tuple[Path, str]) -> None:
    path, _ = told
    blob = codec.pack(boxes([PERSON, PERSON]))
    digest = digest_of("item00000", "model:toy@0f", 0, blob)
    raw(
        path,
        f"UPDATE annotations SET blob = x'{blob.hex()}', digest = '{digest}' WHERE id = 1",
        f"UPDATE labels SET class_id = {PERSON} WHERE annotation_id = 1",
        free=True,
    )
    assert "the labels that item 'item00000' had before decision 1 are gone or others" in problems(path)


@pytest.mark.parametrize("name", ["labels", "decisions", "labels_by_class"])
def test_a_damaged_file_is_found(told: tuple[Path, str], name: str) -> None:
    path, _ = told
    file = path / "project.db"
    data = bytearray(file.read_bytes())
    (root,) = raw(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{name}'")[0]
    data[(root - 1) * 4096 : (root - 1) * 4096 + 16] = b"\xff" * 16  # the header of the page
    file.write_bytes(data)
    assert "is damaged" in problems(path)


def test_a_report_of_very_many_problems_is_cut_short(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 130)
    raw(tmp_path, "UPDATE annotations SET digest = 'x'", free=True)
    with Project.open(tmp_path) as project:
        report = project.verify()
    assert len(report.problems) == 101
    assert report.problems[-1] == "and 30 more"
    assert (report.ok, report.annotations, report.labels) == (False, 130, 260)
