"""Where items wait: what each answer leaves open, and what people are offered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla.errors import ConfigError, StoreError
from hyla.store import LaneCount, Project, Stored
from hyla.store.answers import still_there
from hyla.store.ranges import from_ranges, to_ranges, without
from hyla.types import Flag, Labels, Severity, Verdict
from store_kit import CAR, PERSON, boxes, fill, held, record, start, words

ROWS = (Flag("small", "too_small", rows=(0, 2)),)
THREE = boxes([CAR, PERSON, CAR])
ITEM = "item00000"


@pytest.fixture
def project(tmp_path: Path):
    """Hold three items of three labels, rows 0 and 2 of which are open."""
    with Project.create(tmp_path / "out") as made:
        start(made)
        fill(made, 3, labels=THREE, flags=ROWS, verdict=Verdict.REVIEW)
        yield made
        report = made.verify()
        assert report.ok, report.problems


class Hand:
    """Decide on one item, with a new key each time."""

    def __init__(self, project: Project, item: str = ITEM, who: str = "ann") -> None:
        self.project, self.item, self.who = project, item, who

    def __call__(self, action: str, *rows: int, **how) -> tuple:
        how = {"who": self.who, "key": f"{self.project.counts().decisions}", **how}
        self.project.decide(self.item, action, rows=rows, **how)
        return held(self.project, self.item)


def flag(severity: str, reason: str, *rows: int) -> Flag:
    return Flag("rule", reason, Severity(severity), rows)


# Before anybody answered


@pytest.mark.parametrize(
    ("flags", "verdict", "lane", "reason", "said"),
    [
        ((), "accept", "", "", "accept accept"),
        ((), "review", "review", "default", "review review"),
        ((), "reject", "", "", "reject reject"),
        ((flag("note", "seen"),), "accept", "", "", "accept accept"),
        ((flag("note", "seen"),), "review", "review", "default", "review review"),
        ((flag("review", "small", 1),), "review", "review", "small", "accept review"),
        ((flag("review", "small"), flag("review", "dark")), "review", "review", "small", "review review"),
        ((flag("review", "small"), flag("human", "near", 1)), "review", "review", "near", "review review"),
        ((flag("second", "tumour", 0), flag("human", "near")), "review", "review", "tumour", "review review"),
        ((flag("reject", "twin", 0), flag("review", "dark", 1)), "review", "review", "dark", "reject review"),
        ((flag("reject", "twin", 0),), "accept", "", "", "reject accept"),
        ((flag("human", "near", 1),), "accept", "", "near", "accept accept"),  # a run would not, but labels wait in lanes only
    ],
)
def test_where_an_item_waits_follows_from_its_flags(tmp_path: Path, flags, verdict, lane, reason, said) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        project.write([Stored(record("a", flags=flags, verdict=Verdict(verdict)), 0, 0.0)])
        assert held(project, "a")[0] == lane
        assert words(project, project.machine_annotation("a")) == said
        assert project.lanes() == ([LaneCount(lane, reason, 1)] if lane else [])
        assert project.counts().waiting == bool(lane)
        assert project.verify().ok


def test_what_a_whole_group_shows_sends_its_items_to_review(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 4, group="clip")
        project.decide("item00001", "accept", who="ann", key="1")
        taken_back = project.decide("item00002", "repair", who="ann", key="2")
        project.decide("item00002", "undo", who="ann", key="3", undoes=taken_back.seq)
        jump = flag("review", "jump", 1)
        project.finish_group("clip", [(f"item{i:05d}", jump) for i in range(3)])
        assert held(project, "item00000") == ("review", None, "1", "", "")
        assert held(project, "item00001") == ("", "accept", "", "", "")  # somebody answered it before
        assert held(project, "item00002") == ("review", None, "1", "", "")
        assert held(project, "item00003") == ("", None, "", "", "")
        assert project.lanes() == [LaneCount("review", "jump", 2)]
        assert project.verify().ok
        project.finish_group("clip", [("item00000", flag("human", "near", 0)), ("item00003", flag("reject", "twin"))])
        assert held(project, "item00000") == ("review", None, "0-1", "", "")
        assert held(project, "item00003") == ("", None, "", "", "")
        assert project.lanes() == [LaneCount("review", "jump", 1), LaneCount("review", "near", 1)]
        # What nobody decides on any more waits as all flags say now.
        project.decide("item00001", "undo", who="ann", key="4", undoes=1)
        assert held(project, "item00001") == ("review", None, "1", "", "")
        project.decide("item00001", "undo", who="ann", key="5", undoes=4)
        assert held(project, "item00001") == ("", "accept", "", "", "")
        assert project.verify().ok


# Answers


def test_the_last_open_label_finishes_the_item(project: Project) -> None:
    ann = Hand(project)
    assert held(project, ITEM) == ("review", None, "0,2", "", "")
    assert ann("accept", 0) == ("review", None, "2", "", "")
    assert ann("accept", 2) == ("", "accept", "", "", "")
    assert project.counts().waiting == 2


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([("accept",)], ("", "accept", "", "", "")),
        ([("accept", 1)], ("review", None, "0,2", "", "")),  # one that nobody asked about
        ([("accept", 0, 1, 2)], ("", "accept", "", "", "")),
        ([("reject",)], ("", "reject", "", "", "")),
        ([("repair", 0)], ("review", None, "2", "0", "")),
        ([("repair", 0), ("accept", 2)], ("repair", "review", "0", "", "")),
        ([("repair", 0), ("accept", 0)], ("review", None, "2", "", "")),
        ([("repair", 0), ("accept",)], ("", "accept", "", "", "")),
        ([("repair", 0), ("unsure", 0), ("accept", 2)], ("second", "review", "0", "", "")),
        ([("repair",)], ("repair", "review", "0,2", "", "")),
        ([("repair",), ("accept", 0)], ("repair", "review", "2", "", "")),
        ([("repair",), ("accept",)], ("", "accept", "", "", "")),
        ([("repair", 0), ("reject", 0)], ("review", None, "1", "", "")),  # row 2 became row 1
        ([("unsure", 0)], ("review", None, "2", "", "0")),
        ([("unsure", 0), ("accept", 2)], ("second", "review", "0", "", "")),
        ([("unsure",)], ("second", "review", "0,2", "", "")),
        ([("unsure",), ("accept",)], ("", "accept", "", "", "")),
        ([("unsure",), ("reject",)], ("", "reject", "", "", "")),
        ([("unsure", 0), ("repair", 2)], ("second", "review", "0", "2", "")),  # doubts first, then repairs
        ([("unsure", 0), ("repair", 2), ("accept", 0)], ("repair", "review", "2", "", "")),
        ([("unsure", 0), ("repair", 2), ("reject", 0)], ("repair", "review", "1", "", "")),
        ([("reject", 0)], ("review", None, "1", "", "")),
        ([("reject", 0), ("accept", 1)], ("", "accept", "", "", "")),
        ([("reject", 0, 2)], ("", "accept", "", "", "")),
        ([("accept",), ("accept", 1)], ("", "accept", "", "", "")),  # on an item that waits for nothing
        ([("accept",), ("repair", 1)], ("repair", "review", "1", "", "")),
        ([("accept",), ("unsure", 1)], ("second", "review", "1", "", "")),
        ([("accept",), ("repair",)], ("repair", "review", "", "", "")),  # the picture as a whole
        ([("accept",), ("repair",), ("accept",)], ("", "accept", "", "", "")),
        ([("accept",), ("unsure",)], ("second", "review", "", "", "")),
        ([("reject",), ("accept", 0)], ("", "accept", "", "", "")),
    ],
)
def test_answers_leave_an_item_where_it_belongs(project: Project, steps: list[tuple], left: tuple) -> None:
    ann = Hand(project)
    for step in steps:
        after = ann(*step)
    assert after == left
    assert project.verify().ok


def test_rejected_rows_leave_the_labels_and_the_others_move_up(project: Project) -> None:
    assert Hand(project)("reject", 0) == ("review", None, "1", "", "")
    best = project.record(ITEM)
    assert best is not None
    assert best.labels == THREE[[1, 2]]
    assert words(project, project.machine_annotation(ITEM)) == "accept accept accept"  # what holds no longer waits for nothing
    assert words(project, project.state(ITEM)["annotation"]) == "accept review"


def test_an_edit_says_what_stays_open(project: Project) -> None:
    ann = Hand(project)
    more = Labels.concat([THREE, boxes([PERSON] * 9)[[8]]])
    assert ann("edit", labels=more, open=[0, 2]) == ("review", None, "0,2", "", "")
    assert ann("edit", labels=more, open=[2]) == ("review", None, "2", "", "")
    assert ann("edit", labels=more) == ("", "accept", "", "", "")
    assert ann("edit", labels=more, open=[1]) == ("review", "review", "1", "", "")  # somebody opens it again
    assert ann("accept", 1) == ("", "accept", "", "", "")


def test_what_is_wrong_stays_so_until_an_edit_mends_it(project: Project) -> None:
    ann = Hand(project)
    ann("repair", 0)
    ann("unsure", 1)
    mended = THREE[[2, 1, 0]]
    mended.box[0] += 1  # what was row 2, and open
    assert ann("edit", labels=mended) == ("second", "review", "1", "2", "")
    assert ann("accept", 1) == ("repair", "review", "2", "", "")
    mended = mended[[0, 1, 2]]
    mended.box[2] += 1
    assert ann("edit", labels=mended) == ("", "accept", "", "", "")


@given(st.data(), st.integers(0, 6))
def test_what_an_edit_left_alone_is_found_again(data: st.DataObject, n: int) -> None:
    old = Labels.of(
        [CAR] * n,
        [[i // 2, 0, i // 2 + 1, 1] for i in range(n)],  # by twos alike
        attributes={"a": [None if i % 2 else "x" for i in range(n)], "b": [np.nan] * n},
    )
    order = data.draw(st.permutations(range(n)))
    wrong = data.draw(st.sets(st.integers(0, n - 1)) if n else st.just(set()))
    new = old[list(order)]
    assert {order[row] for row in still_there(old, new, wrong)} == wrong
    changed = set(data.draw(st.sets(st.integers(0, n - 1)) if n else st.just(set())))
    new.score[list(changed)] = 0.25
    assert {order[row] for row in still_there(old, new, wrong)} == {row for row in wrong if order.index(row) not in changed}


def test_imported_labels_finish_an_item_whatever_was_said_before(project: Project) -> None:
    Hand(project)("repair", 0)
    Hand(project, "item00001")("unsure")
    assert project.add([record(f"item{i:05d}", THREE) for i in range(3)], "human:bob") == 3
    for i in range(3):
        assert held(project, f"item{i:05d}") == ("", "accept", "", "", "")
    assert project.lanes() == []


# What people are offered


def test_lanes_count_by_reason(project: Project) -> None:
    project.write([Stored(record("x", verdict=Verdict.REVIEW), 9, 0.0), Stored(record("y"), 10, 0.0)])
    assert project.lanes() == [LaneCount("review", "default", 1), LaneCount("review", "too_small", 3)]
    Hand(project)("repair")
    Hand(project, "x")("unsure")
    assert project.lanes() == [
        LaneCount("repair", "too_small", 1),
        LaneCount("review", "too_small", 2),
        LaneCount("second", "default", 1),
    ]
    assert project.counts().waiting == 4


def test_classes_count_their_open_labels_in_review(project: Project) -> None:
    assert project.classes_waiting() == {"car": 6}
    project.write([Stored(record("x", verdict=Verdict.REVIEW), 9, 0.0)])
    assert project.classes_waiting() == {"car": 7, "person": 1}
    Hand(project, "x")("unsure")
    Hand(project)("repair", 0)
    assert project.classes_waiting() == {"car": 5}
    Hand(project)("repair", 2)
    assert project.classes_waiting() == {"car": 4}
    for i in (1, 2):
        Hand(project, f"item{i:05d}")("reject", 0, 2)
    assert project.classes_waiting() == {}


def test_items_are_offered_in_the_order_of_the_scan(project: Project) -> None:
    project.write([Stored(record("zero", verdict=Verdict.REVIEW), 1, 0.0)])
    offered = project.next_items("review")
    assert [one.item.id for one in offered] == [ITEM, "item00001", "zero", "item00002"]
    one = offered[0]
    assert (one.lane, one.reason, one.size, one.annotation) == (
        "review",
        "too_small",
        (100, 200),
        project.machine_annotation(ITEM),
    )
    assert one.item == record(ITEM).item
    assert one.frame == record(ITEM).frame

    def ids(*lane: str, **how) -> list[str]:
        return [one.item.id for one in project.next_items(*lane, **how)]

    assert ids("review", "default") == ["zero"]
    assert ids("review", limit=2) == [ITEM, "item00001"]
    assert ids("review", without=[ITEM, "zero"]) == ["item00001", "item00002"]
    assert ids("review", after="item00001") == ["zero", "item00002"]
    assert ids("review", after="item00001", without=["zero"], who="ann") == ["item00002"]
    assert ids("repair") == []
    with pytest.raises(StoreError, match="no item 'nothing'"):
        ids("review", after="nothing")
    assert project.yours("review", "ann") == 4


def test_who_was_unsure_leaves_it_to_another(project: Project) -> None:
    ann, bob = Hand(project), Hand(project, who="bob")
    ann("unsure", 0)
    assert bob("accept", 2) == ("second", "review", "0", "", "")  # the last answer is not hers, the doubt is
    assert [one.item.id for one in project.next_items("second", who="bob")] == [ITEM]
    assert project.next_items("second", who="ann") == []
    assert (project.yours("second", "ann"), project.yours("second", "bob")) == (0, 1)
    assert len(project.next_items("second")) == 1
    assert project.opinions(ITEM) == []
    assert ann("accept", 0) == ("", "accept", "", "", "")  # she may all the same


def test_open_labels_come_surest_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with Project.create(tmp_path) as project:
        start(project)
        expected = []
        for i in range(40):
            labels = boxes([CAR, PERSON, CAR])
            labels.score[:] = np.round(rng.random(3), 1)
            asking = (flag("review", "rare" if i % 10 == 0 else "often", 0, 1),)
            project.write([Stored(record(f"i{i:02d}", labels, asking, Verdict.REVIEW), i, 0.0)])
            expected.append((-labels.score[0], project.machine_annotation(f"i{i:02d}"), f"i{i:02d}"))
        found = project.open_labels("car", limit=100)
        assert [(-one.score, one.annotation, one.item_id) for one in found] == sorted(expected)
        first = found[0]
        assert (first.uri, first.row, first.box) == (f"{first.item_id}.jpg", 0, (0.0, 5.0, 8.0, 40.0))
        assert (first.size, first.reason in ("rare", "often")) == ((100, 200), True)
        assert project.open_labels("car", limit=7) == found[:7]
        rare = project.open_labels("car", "rare")
        assert rare == [one for one in found if one.reason == "rare"]
        assert len(rare) == 4
        assert project.open_labels("car", "often", 99, [found[0].item_id]) == [one for one in found[1:] if one.reason == "often"]
        assert project.open_labels("vehicle") == []
        with pytest.raises(ConfigError, match="no class 'cart'"):
            project.open_labels("cart")
        Hand(project, first.item_id)("accept", 0)
        Hand(project, found[1].item_id)("unsure")
        edited = boxes([PERSON, CAR])
        Hand(project, found[2].item_id)("edit", labels=edited, open=[1])
        left = project.open_labels("car", limit=100)
        assert {one.item_id for one in found} - {one.item_id for one in left} == {first.item_id, found[1].item_id}
        (again,) = (one for one in left if one.item_id == found[2].item_id)
        assert (again.row, again.annotation) == (1, project.state(again.item_id)["annotation"])


@pytest.mark.parametrize("few", [0, 1000])
def test_open_labels_of_a_reason_are_the_same_either_way(project: Project, monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr("hyla.store.queue.FEW", few)
    found = project.open_labels("car", "too_small")
    assert [(one.item_id, one.row) for one in found] == [(f"item{i:05d}", row) for i in range(3) for row in (0, 2)]
    assert project.open_labels("car", "other") == []


def test_a_clip_shows_what_holds_and_what_is_open(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        made = fill(project, 150, labels=THREE, flags=ROWS, verdict=Verdict.REVIEW, group="clip")
        project.write([Stored(record("other"), 999, 0.0)])
        Hand(project, "item00001")("reject", 0)
        Hand(project, "item00002")("accept")
        clip = list(project.clip("clip"))
        assert [one.item for one in clip] == [one.item for one in made]
        assert (clip[0].open, clip[0].lane, clip[0].outcome, clip[0].labels) == ((0, 2), "review", None, THREE)
        assert (clip[1].open, clip[1].annotation) == ((1,), project.state("item00001")["annotation"])
        assert (clip[2].open, clip[2].lane, clip[2].outcome) == ((), "", "accept")
        assert (clip[1].labels, clip[0].size, clip[0].frame) == (THREE[[1, 2]], (100, 200), made[0].frame)
        assert list(project.clip("other")) == []


def test_labels_by_number(project: Project) -> None:
    Hand(project)("reject", 0)
    number = project.machine_annotation(ITEM)
    assert project.labels_of(number) == (ITEM, "model:toy@0f", THREE)
    assert project.labels_of(project.state(ITEM)["annotation"]) == (ITEM, "human:ann", THREE[[1, 2]])
    for work in (
        lambda: project.labels_of(99),
        lambda: project.machine_annotation("nothing"),
        lambda: project.opinions("nothing"),
    ):
        with pytest.raises(StoreError, match="has no"):
            work()


def test_what_people_did_lately_comes_last_first(project: Project) -> None:
    ann, bob = Hand(project), Hand(project, "item00001", "bob")
    ann("unsure", active_ms=900)
    bob("accept", mode="grid", active_ms=100)
    ann("accept", 0)
    assert [d.seq for d in project.recent(9)] == [3, 2, 1]
    assert [d.seq for d in project.recent(1)] == [3]
    assert [d.seq for d in project.recent(9, who="ann")] == [3, 1]
    assert [d.seq for d in project.recent(9, item_id="item00001")] == [2]
    assert project.decision(2) == project.recent(9, who="bob")[0]
    with pytest.raises(StoreError, match="no decision number 4"):
        project.decision(4)
    timed = project.paces()
    assert [(t.who, t.lane, t.reason, t.mode, t.action, t.active_ms) for t in timed] == [
        ("ann", "second", "too_small", "single", "accept", 0),
        ("bob", "review", "too_small", "grid", "accept", 100),
        ("ann", "review", "too_small", "single", "unsure", 900),
    ]
    assert timed[0].at == project.decision(3).at
    assert len(project.paces(1)) == 1


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_ranges_stand_for_rows(rows: set[int], gone: set[int]) -> None:
    assert from_ranges(to_ranges(rows)) == rows
    left = [row for row in range(41) if row not in gone]
    assert without(rows, gone) == {at for at, row in enumerate(left) if row in rows}


def test_ranges_are_written_short() -> None:
    assert to_ranges([7, 0, 1, 2, 3, 9, 10]) == "0-3,7,9-10"
    assert to_ranges([]) == ""
    assert from_ranges("") == set()


def test_many_are_looked_up_at_once(project: Project) -> None:
    ann = Hand(project)
    ann("accept", 0)
    ids = [ITEM, "item00002", "nothing"]
    assert project.states(ids) == {item: project.state(item) for item in ids[:2]}
    assert project.machine_annotations(ids) == {item: project.machine_annotation(item) for item in ids[:2]}
    made = project.decision(1)
    assert project.decisions_of_keys(["other", made.key]) == [made]
    assert project.yours("review", "ann", "too_small") == 3
    assert project.yours("review", "ann", "other") == 0
    with pytest.raises(StoreError, match="no item 'nothing'"):
        project.state("nothing")
