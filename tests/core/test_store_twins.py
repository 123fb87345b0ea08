"""Planted copies: items for whoever reviews, and none for anything else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from hyla import formats
from hyla.errors import StoreError
from hyla.frame import VideoFrame
from hyla.store import Project, Stored, Twin, glance
from hyla.types import Flag, Item, Labels, Verdict, item_id
from store_kit import CAR, PERSON, boxes, fill, held, lot_of, raw, record, start

ITEM = "item00001"
WRONG = boxes([PERSON, PERSON], 0.75)
SPOT = {"kind": "swap", "row": 0}


@pytest.fixture
def project(tmp_path: Path):
    """Hold three accepted items, and a lot of them, number 1."""
    with Project.create(tmp_path / "out") as made:
        start(made)
        fill(made, 3)
        made.freeze(lot_of([f"item{i:05d}" for i in range(3)]), {})
        yield made
        report = made.verify()
        assert report.ok, report.problems


def planted(project: Project, **how) -> str:
    return project.plant(1, [Twin(**{"item_id": ITEM, "labels": WRONG, "about": SPOT, **how})])[0]


def test_a_twin_waits_like_any_item(project: Project) -> None:
    twin = planted(project, priority=0.5)
    assert held(project, twin) == ("review", None, "0-1", "", "")
    assert project.state(twin)["whole"]
    (head,) = project.next_items("review")
    original = project.record(ITEM, "model")
    assert original is not None
    assert head.item == replace(original.item, id=twin)
    assert (head.reason, head.size, head.frame) == ("lot", original.size, original.frame)
    found = project.record(twin, "model")
    assert found is not None
    assert (found.labels, found.source, found.flags, found.verdict) == (WRONG, original.source, (), Verdict.REVIEW)
    assert project.classes_waiting() == {"person": 2}
    assert [one.item_id for one in project.open_labels("person")] == [twin, twin]
    assert project.labels_of(project.machine_annotation(twin))[2] == WRONG
    assert project.planted() == {twin: ITEM}
    assert project.hiding()


def test_what_is_asked_of_a_twin_may_be_said(project: Project) -> None:
    assert held(project, planted(project, rows=(1,)))[2] == "1"
    twin = planted(project, rows=(), second=True, priority=-1.0)
    assert (held(project, twin)[2], project.routes([twin])[twin].second) == ("", True)
    assert project.next_items("review", limit=1)[0].item.id == twin


def test_a_twin_is_answered_like_any_item(project: Project) -> None:
    twin = planted(project)
    other = planted(project, labels=Labels.empty(), about={"kind": "delete"})
    project.decide(twin, "edit", who="ann", key="1", labels=boxes())
    first, second = project.twins(1)
    assert (first.id, first.original, first.about, first.labels) == (twin, ITEM, SPOT, boxes())
    assert (first.state["outcome"], first.state) == ("accept", project.state(twin))
    assert (second.id, second.about, second.labels) == (other, {"kind": "delete"}, Labels.empty())
    assert project.hiding()
    project.decide(other, "reject", who="ann", key="2")
    assert not project.hiding()
    assert project.lots()[0].events[0].kind == "plant"


def test_a_twin_is_nowhere_else(project: Project) -> None:
    before, seen = project.counts(), [list(project.records(source)) for source in ("model", "best")]
    assert glance(project.path).counts == before
    twin = planted(project)
    project.decide(twin, "edit", who="ann", key="1", labels=boxes([CAR]))
    planted(project)
    after = project.counts()
    assert after == replace(before, decisions=1)
    assert glance(project.path).counts == after
    assert [list(project.records(source)) for source in ("model", "best")] == seen
    assert list(project.records("human")) == list(project.records("human:ann")) == []
    assert list(project.records(verdict=Verdict.REVIEW)) == list(project.records(class_name="person", score=(0.7, 0.8))) == []
    assert project.known([twin, ITEM]) == {ITEM}
    every = project.counts(planted=True)
    assert (every.items, every.decided, every.waiting, every.labels) == (before.items + 2, 1, 1, before.labels + 4)
    project.write([Stored(one, i, 0.0) for i, one in enumerate(seen[0])])  # the run again
    assert project.counts() == after


def test_a_twin_of_one_of_a_group_is_in_no_group(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 3, group="tiles")
        project.freeze(lot_of([ITEM]), {})
        twin = planted(project)
        found = project.record(twin)
        assert found is not None
        assert found.item.group == "tiles"
        assert [one.item.id for one in project.clip("tiles")] == [f"item{i:05d}" for i in range(3)]
        assert [one.item.id for one in project.records(group="tiles")] == [f"item{i:05d}" for i in range(3)]
        project.finish_group("tiles", [(ITEM, Flag("r", "why"))])
        assert project.verify().ok


def test_a_twin_of_a_frame_is_a_clip_of_its_own(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        frames = [
            replace(
                record(f"f{i}"), item=Item(item_id("a.mp4", i), "a.mp4", "a.mp4", i, "video_frame"), frame=VideoFrame(i / 10, i)
            )
            for i in range(3)
        ]
        project.write([Stored(one, i, 0.0) for i, one in enumerate(frames)])
        original = frames[1].item
        project.freeze(lot_of([original.id]), {})
        twin = planted(project, item_id=original.id)
        found = project.record(twin)
        assert found is not None
        assert found.item == replace(original, id=twin, group=twin)
        assert [one.item.id for one in project.clip(twin)] == [twin]
        assert [one.item.id for one in project.clip("a.mp4")] == [one.item.id for one in frames]
        assert project.waits(twin, ["review"], "ann")
        assert not project.waits("a.mp4", ["review"], "ann")
        assert project.verify().ok


@pytest.mark.parametrize("original", [item_id("a/b c.jpg"), item_id("v.mp4", 7), "kitti-000004"])
def test_the_id_of_a_twin_looks_like_the_originals(tmp_path: Path, original: str) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        project.write([Stored(record(original), 0, 0.0)])
        project.freeze(lot_of([original]), {})
        ids = project.plant(1, [Twin(original, WRONG) for _ in range(20)])
        assert len({original, *ids}) == 21
        stem = original[:-12] if original != "kitti-000004" else f"{original}-"
        assert all(re.fullmatch(f"{re.escape(stem)}[0-9a-f]{{12}}", one) for one in ids)


def test_what_can_not_be_planted(project: Project) -> None:
    twin = planted(project)
    bad = Labels.of([9], [[0, 0, 5, 5]])
    for seeds, what in (
        ([Twin(ITEM, WRONG), Twin("gone", WRONG)], "no item 'gone'"),
        ([Twin(twin, WRONG)], "to plant an error in"),
        ([Twin(ITEM, bad)], "a copy of item 'item00001': class ids must be 0 to 2"),
        ([Twin(ITEM, WRONG, rows=(2,))], "row 2 of 2 labels"),
        ([Twin(ITEM, WRONG, {"x": object()})], "can't be kept as JSON"),
    ):
        with pytest.raises(StoreError, match=what):
            project.plant(1, seeds)
    for work in (lambda: project.plant(2, []), lambda: project.twins(2)):
        with pytest.raises(StoreError, match="no lot number 2"):
            work()
    assert [one.id for one in project.twins(1)] == [twin]
    assert project.planted() == {twin: ITEM}


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE items SET twin = '' WHERE twin > ''", "is gone, or called no copy any more"),
        (
            "UPDATE items SET twin = 'item00000' WHERE id = 'item00002'",
            "'item00002' is called a planted copy, and no lot planted",
        ),
        ("UPDATE items SET twin = 'item00000' WHERE twin > ''", "is called a planted copy, and no lot planted it"),
        ("UPDATE items SET uri = 'x.jpg' WHERE id = 'item00001'", "is not a copy of 'item00001'"),
        ("UPDATE items SET lane = '' WHERE twin > ''", "is in a state that no decision led to"),
        ("UPDATE lot_events SET body = '{\"twins\":[]}'", "no lot planted it"),
        ("UPDATE labels SET score = 0.1 WHERE annotation_id = 4", "differ from their rows"),
    ],
)
def test_a_change_behind_hylas_back_is_found(tmp_path: Path, statement: str, found: str) -> None:
    with Project.create(tmp_path) as made:
        start(made)
        fill(made, 3)
        made.freeze(lot_of([ITEM]), {})
        planted(made)
        assert made.verify().ok
    raw(tmp_path, statement, free=True)
    with Project.open(tmp_path) as made:
        assert found in "\n".join(made.verify().problems)


def test_exports_leave_twins_out(project: Project, tmp_path: Path) -> None:
    planted(project)
    to = tmp_path / "coco"
    formats.get("coco", schema=project.schema()).export(project.records(), project.schema(), to)
    (written,) = to.glob("**/*.json")
    assert len(json.loads(written.read_text())["images"]) == 3
