"""What people say: a log that only grows, and the state it leaves the items in."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import HylaError, StageError, StoreError
from hyla.store import Decision, Project, Stale, Stored
from hyla.store.asks import ACTIONS, Ask, genesis
from hyla.types import Flag, Severity, Verdict
from store_kit import CAR, PERSON, boxes, fill, held, raw, record, start, words

ASK = (Flag("r", "why"),)
OTHER = boxes([PERSON], 1.0)
THREE = boxes([CAR, PERSON, CAR])


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "out") as made:
        start(made)
        fill(made, 3, flags=ASK, verdict=Verdict.REVIEW)
        yield made


def best(project: Project, item_id: str = "item00000"):
    found = project.record(item_id)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("action", "left"),
    [
        ("accept", {"outcome": "accept", "lane": "", "open": ""}),
        ("reject", {"outcome": "reject", "lane": "", "open": ""}),
        ("unsure", {"outcome": "review", "lane": "second", "open": "0-1"}),
        ("repair", {"outcome": "review", "lane": "repair", "open": "0-1"}),
    ],
)
def test_a_verdict_of_a_person_stands_above_the_machines(project: Project, action: str, left: dict) -> None:
    before = project.state("item00000")
    made = project.decide("item00000", action, who="ann", key="k1", active_ms=900, mode="grid", note="blurred")
    assert (made.seq, made.item_id, made.action, made.who, made.rows) == (1, "item00000", action, "ann", ())
    assert (made.active_ms, made.mode, made.note, made.key) == (900, "grid", "blurred", "k1")
    machine = project.machine_annotation("item00000")
    assert made.before == before
    assert before == {
        "decision": 0,
        "outcome": None,
        "annotation": machine,
        "digest": before["digest"],
        "lane": "review",
        "open": "0-1",
        "mend": "",
        "doubt": "",
        "second": 0,
        "whole": False,
    }
    assert made.after == project.state("item00000") == {**before, "decision": 1, **left}
    assert made.prev_hash == genesis(project._db.id)
    assert made.hash == made.reckon()
    assert list(project.decisions()) == [made]
    record = best(project)
    assert (record.verdict, record.source, record.flags) == (left["outcome"], "model:toy@0f", ASK)
    theirs = project.record("item00000", "model")
    assert theirs is not None
    assert theirs.verdict is Verdict.REVIEW
    assert project.verify().ok


def test_an_edit_stores_the_persons_labels_beside_the_machines(project: Project) -> None:
    made = project.decide("item00000", "edit", who="ann", key="k1", labels=OTHER)
    record = best(project)
    assert (record.labels, record.source, record.verdict) == (OTHER, "human:ann", Verdict.ACCEPT)
    assert record.flags == ()  # their rows count the machine's labels
    machine = project.record("item00000", "model")
    assert machine is not None
    assert machine.labels == boxes()
    assert made.before["annotation"] != made.after["annotation"]
    assert [r.item.id for r in project.records("human")] == ["item00000"]
    project.decide("item00000", "edit", who="ann", key="k2", labels=boxes([CAR]))
    assert best(project).labels == boxes([CAR])
    assert [r.labels for r in project.records("human:ann")] == [boxes([CAR])]
    assert project.verify().annotations == 5


def test_rejected_rows_are_left_out_and_the_item_stays_open(project: Project) -> None:
    made = project.decide("item00000", "reject", who="ann", key="k1", rows=[0])
    assert made.rows == (0,)
    record = best(project)
    assert record.labels == boxes()[[1]]
    assert (record.source, record.verdict) == ("human:ann", Verdict.REVIEW)
    project.decide("item00001", "accept", who="ann", key="k2", rows=[0])
    assert project.state("item00001")["outcome"] is None
    assert best(project, "item00001").source == "model:toy@0f"
    with pytest.raises(StoreError, match="rows must be 0 to 0"):
        project.decide("item00000", "reject", who="ann", key="k3", rows=[1])
    assert project.verify().ok


def test_undo_brings_back_what_was_there_and_can_be_undone(project: Project) -> None:
    fresh = project.state("item00000")
    project.decide("item00000", "accept", who="ann", key="1")
    project.decide("item00000", "edit", who="bob", key="2", labels=OTHER)
    edited = project.state("item00000")
    with pytest.raises(StoreError, match="decision number 1 does not stand") as e:
        project.decide("item00000", "undo", who="ann", key="3", undoes=1)
    assert "undo the later" in e.value.hint
    undo = project.decide("item00000", "undo", who="ann", key="3", undoes=2)
    assert undo.undoes == 2
    assert project.state("item00000") == {**fresh, "decision": 1, "outcome": "accept", "lane": "", "open": ""}
    assert best(project).labels == boxes()
    project.decide("item00000", "undo", who="ann", key="4", undoes=3)
    assert project.state("item00000") == edited
    assert best(project).labels == OTHER
    for key, seq in (("5", 4), ("6", 3 - 2)):
        project.decide("item00000", "undo", who="ann", key=key, undoes=seq)
    assert project.state("item00000") == fresh
    assert best(project).verdict is Verdict.REVIEW
    assert [d.action for d in project.decisions()] == ["accept", "edit", "undo", "undo", "undo", "undo"]
    assert project.verify().ok


@pytest.mark.parametrize("undoes", [1, 7])
def test_undo_needs_a_decision_of_that_item(project: Project, undoes: int) -> None:
    project.decide("item00001", "accept", who="ann", key="1")
    with pytest.raises(StoreError, match=f"item 'item00000' has no decision number {undoes}"):
        project.decide("item00000", "undo", who="ann", key="2", undoes=undoes)


def test_the_same_key_is_the_same_decision(project: Project) -> None:
    how = {"who": "ann", "key": "k", "labels": OTHER, "active_ms": 5}
    first = project.decide("item00000", "edit", **how)
    project.decide("item00000", "reject", who="bob", key="later")
    assert project.decide("item00000", "edit", **how) == first
    assert project.counts().decisions == 2
    assert best(project).verdict is Verdict.REJECT
    for change in ({"labels": boxes([CAR])}, {"who": "bob"}, {"note": "other"}, {"active_ms": 6}):
        with pytest.raises(StoreError, match="key 'k' was used for another decision, number 1"):
            project.decide("item00000", "edit", **{**how, **change})
    with pytest.raises(StoreError, match="used for another"):
        project.decide("item00001", "edit", **how)
    assert project.counts().decisions == 2
    assert project.verify().ok


def test_nobody_decides_on_labels_that_changed_meanwhile(project: Project) -> None:
    seen = project.state("item00000")["annotation"]
    project.decide("item00000", "edit", who="ann", key="1", labels=OTHER, annotation=seen)
    with pytest.raises(Stale, match="the labels of item 'item00000' changed meanwhile") as e:
        project.decide("item00000", "accept", who="bob", key="2", annotation=seen)
    assert "load the item again" in e.value.hint
    project.decide("item00000", "accept", who="bob", key="2", annotation=project.state("item00000")["annotation"])


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ({"action": "agree"}, "unknown action 'agree'"),
        ({"mode": "list"}, "unknown mode 'list'"),
        ({"who": ""}, "does not say whose"),
        ({"who": "a\nb"}, "does not say whose"),
        ({"key": ""}, "needs a key"),
        ({"note": "\ud800"}, "is not Unicode"),
        ({"action": "edit"}, "carry labels, and nothing else does"),
        ({"action": "opinion"}, "carry labels, and nothing else does"),
        ({"labels": OTHER}, "carry labels, and nothing else does"),
        ({"open": [0]}, "only an edit says which labels stay open"),
        ({"action": "edit", "labels": OTHER, "open": [1]}, "rows must be 0 to 0"),
        ({"action": "reject", "rows": [2]}, "rows must be 0 to 1"),
        ({"action": "repair", "rows": [2]}, "rows must be 0 to 1"),
        ({"action": "unsure", "rows": [2]}, "rows must be 0 to 1"),
        ({"action": "undo"}, "an undo, and nothing else, names"),
        ({"undoes": 1}, "an undo, and nothing else, names"),
        ({"item_id": "nothing"}, "no item 'nothing'"),
        ({"rows": [2]}, "rows must be 0 to 1"),
        ({"rows": [-1]}, "rows must be 0 to 1"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(project: Project, how: dict, what: str) -> None:
    with pytest.raises(StoreError, match=what):
        project.decide(**{"item_id": "item00000", "action": "accept", "who": "ann", "key": "k", **how})
    assert project.counts().decisions == 0


def test_an_edit_that_does_not_fit_the_schema_leaves_nothing(project: Project) -> None:
    for labels in (boxes([9]), replace(boxes(), box=boxes().box + 500)):
        with pytest.raises(StageError):
            project.decide("item00000", "edit", who="ann", key="k", labels=labels)
    assert project.verify().annotations == 3
    assert project.counts().decisions == 0


def test_decisions_of_one_item_and_of_all(project: Project) -> None:
    for i in range(300):
        project.decide(f"item{i % 2:05d}", "accept", who="ann", key=str(i))
    assert [d.seq for d in project.decisions()] == list(range(1, 301))
    assert [d.seq for d in project.decisions("item00001")] == list(range(2, 301, 2))
    assert list(project.decisions("item00002")) == []


def test_imported_human_labels_are_decisions(project: Project) -> None:
    over = replace(OTHER, box=OTHER.box + np.array([0, 0, 300, 0]))  # over the edge of the picture, as some tools write them
    theirs = [record("item00000", over), record("item00002", OTHER)]
    assert project.add(theirs, "human:ann") == 2
    assert [(d.action, d.mode, d.who) for d in project.decisions()] == [("edit", "import", "ann")] * 2
    assert best(project, "item00002").labels == OTHER
    assert project.add(theirs, "human:ann") == 2  # the same file again
    assert project.counts().decisions == 2
    with pytest.raises(StoreError, match="no item 'nothing'"):
        project.add([record("item00001", OTHER), record("nothing", OTHER)], "human:bob")
    assert project.counts().decisions == 2
    assert project.verify().ok


def test_several_people_at_once_make_one_chain(project: Project) -> None:
    def work(who: int) -> None:
        for i in range(12):
            project.decide(f"item{i % 3:05d}", "unsure", who=f"p{who}", key=f"{who}-{i}", note="é中")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    report = project.verify()
    assert (report.ok, report.decisions) == (True, 48)
    assert [d.seq for d in project.decisions()] == list(range(1, 49))


def test_the_head_is_of_the_last_decision_and_stays_in_the_chain(project: Project) -> None:
    start = project.verify().head
    first = project.decide("item00000", "accept", who="ann", key="1")
    head = project.verify().head
    assert head == first.hash
    project.decide("item00001", "accept", who="ann", key="2")
    for known in (start, head, project.verify().head):
        assert project.verify(head=known).ok
    report = project.verify(head="00" * 32)
    assert not report.ok
    assert "head given is not in the chain" in report.problems[0]


def test_projects_do_not_share_a_chain(tmp_path: Path) -> None:
    heads = set()
    for name in "ab":
        with Project.create(tmp_path / name) as project:
            heads.add(project.verify().head)
    assert len(heads) == 2


# Many at once


def asks(n: int = 3, **how: Any) -> list[Ask]:
    return [Ask(f"item{i % 3:05d}", how.get("action", "accept"), "ann", f"k{i}", rows=how.get("rows", ())) for i in range(n)]


def test_many_decisions_are_a_chain_like_any_other(project: Project) -> None:
    first = project.decide("item00000", "unsure", who="bob", key="0")
    made = project.decide_all(asks())
    assert [d.seq for d in made] == [2, 3, 4]
    assert made[0].prev_hash == first.hash
    assert list(project.decisions()) == [first, *made]
    assert [d.item_id for d in made] == ["item00000", "item00001", "item00002"]
    assert project.counts().waiting == 0
    assert project.decide_all([]) == []
    assert project.verify().ok


def test_later_ones_see_what_earlier_ones_left(project: Project) -> None:
    made = project.decide_all(
        [
            Ask("item00000", "reject", "ann", "1", rows=(0,)),
            Ask("item00000", "accept", "ann", "2", rows=(0,)),  # what was row 1
            Ask("item00000", "undo", "ann", "3", undoes=2),
            Ask("item00000", "edit", "ann", "4", labels=OTHER, open=(0,)),
            Ask("item00000", "repair", "ann", "5"),
            Ask("item00001", "accept", "bob", "6"),
        ]
    )
    assert [d.after["lane"] for d in made] == ["review", "", "review", "review", "repair", ""]
    assert [d.before for d in made[1:5]] == [d.after for d in made[:4]]
    assert held(project, "item00000") == ("repair", "review", "0", "", "")
    assert words(project, made[0].after["annotation"]) == "accept"
    assert words(project, project.machine_annotation("item00000")) == "accept accept"
    back = [Ask(d.item_id, "undo", "ann", f"u{d.seq}", undoes=d.seq) for d in reversed(made) if d.seq not in (2, 3)]
    project.decide_all(back)
    assert held(project, "item00000") == held(project, "item00001") == ("review", None, "0-1", "", "")
    assert project.verify().ok


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (Ask("nothing", "accept", "ann", "x"), "no item 'nothing'"),
        (Ask("item00001", "accept", "ann", "x", annotation=99), "changed meanwhile"),
        (Ask("item00002", "accept", "ann", "x", rows=(9,)), "rows must be 0 to 1"),
        (Ask("item00001", "undo", "ann", "x", undoes=9), "has no decision number 9"),
        (Ask("item00001", "reject", "bob", "k0"), "used for another decision"),
        (Ask("item00001", "agree", "ann", "x"), "unknown action"),
        (Ask("item00001", "edit", "ann", "x", labels=boxes([9])), "class ids"),
    ],
)
def test_one_that_can_not_be_leaves_none(project: Project, bad: Ask, what: str) -> None:
    before = [project.state(f"item{i:05d}") for i in range(3)]
    with pytest.raises(HylaError, match=what):
        project.decide_all([*asks(2, action="reject", rows=(0,)), bad])
    assert [project.state(f"item{i:05d}") for i in range(3)] == before
    assert project.counts().decisions == 0
    assert project.verify().annotations == 3


def test_many_sent_again_are_the_same_decisions(project: Project) -> None:
    made = project.decide_all(asks(3, action="reject", rows=(0,)))
    assert project.decide_all(asks(3, action="reject", rows=(0,))) == made
    more = project.decide_all([*asks(3, action="reject", rows=(0,)), Ask("item00000", "accept", "ann", "new")])
    assert more[:3] == made
    assert [d.seq for d in more] == [1, 2, 3, 4]
    twice = Ask("item00001", "accept", "ann", "twice")
    assert [d.seq for d in project.decide_all([twice, twice])] == [5, 5]
    assert project.verify().ok


def test_more_than_one_question_can_hold(project: Project) -> None:
    fill(project, 1200, flags=ASK, verdict=Verdict.REVIEW)
    many = [Ask(f"item{i:05d}", "reject", "ann", f"k{i}", rows=(1,)) for i in range(1200)]
    made = project.decide_all(many)
    assert [d.seq for d in made] == list(range(1, 1201))
    assert project.decide_all(many) == made
    project.decide_all([Ask(d.item_id, "undo", "ann", f"u{d.seq}", undoes=d.seq) for d in made])
    assert project.state("item01199")["open"] == "0-1"
    assert project.verify().ok


# Any answers, undone and redone


def answer(n: int, step: tuple[str, int, str, int], project: Project) -> Decision | None:
    """Give an answer, and return None where it may not be given."""
    action, i, who, rows = step
    item = f"item{i:05d}"
    had = len(best(project, item).labels)
    chosen = tuple(row for row in range(3) if rows >> row & 1 and row < had)
    how: dict[str, Any] = {}
    if action in ("edit", "opinion", "adjudicate"):
        how = {"labels": boxes([CAR, PERSON, CAR][: n % 4])}
        how["open"] = tuple(row for row in chosen if row < n % 4) if action == "edit" else ()
    try:
        return project.decide(item, action, who=who, key=f"{n}", rows=() if how else chosen, **how)
    except StoreError:
        return None


STEPS = st.lists(
    st.tuples(st.sampled_from([a for a in ACTIONS if a != "undo"]), st.integers(0, 1), st.sampled_from("abc"), st.integers(0, 7)),
    max_size=7,
)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(STEPS)
def test_undoing_all_brings_back_the_beginning_and_redoing_all_the_end(steps: list[tuple[str, int, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Project.create(folder) as project:
        start(project)
        flags = (Flag("r", "why", rows=(0, 2)), Flag("r", "twin", Severity.REJECT, (1,)))
        some = [record("item00000", THREE, flags, Verdict.REVIEW)]
        some.append(record("item00001", THREE, (*flags, Flag("r", "both", Severity.SECOND)), Verdict.REVIEW))
        project.write([Stored(one, i, 0.0) for i, one in enumerate(some)])

        def seen() -> list[Any]:
            report = project.verify()
            assert report.ok, report.problems
            routing = raw(project.path, "SELECT best, lane, answered, seconded FROM items ORDER BY id")
            said = raw(project.path, "SELECT * FROM labels WHERE verdict <> 'accept' ORDER BY annotation_id, row")
            return [held(project, one.item.id) for one in some] + [project.state(one.item.id) for one in some] + routing + said

        left = [seen()]
        made = []
        for n, step in enumerate(steps):
            if one := answer(n, step, project):
                made.append(one)
                left.append(seen())
            else:
                assert seen() == left[-1]
        undone = []
        for at, one in reversed(list(enumerate(made))):
            undone.append(project.decide(one.item_id, "undo", who="d", key=f"u{one.seq}", undoes=one.seq))
            assert seen() == left[at]
        for at, one in enumerate(reversed(undone), 1):
            project.decide(one.item_id, "undo", who="d", key=f"r{one.seq}", undoes=one.seq)
            assert seen() == left[at]
        assert project.verify().decisions == 3 * len(made)
