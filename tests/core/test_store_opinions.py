"""Second opinions, and who chooses between two that differ."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from hyla.errors import StoreError
from hyla.store import LaneCount, Opinion, Project
from hyla.store.asks import Ask
from hyla.types import Flag, Labels, Severity, Verdict
from store_kit import CAR, PERSON, boxes, fill, held, start

ASK = (Flag("r", "tumour", Severity.SECOND, (0,)), Flag("r", "small", rows=(1,)))
ITEM = "item00000"
MINE = boxes([CAR, PERSON], 1.0)
NEAR = boxes([PERSON, CAR], 1.0)[[1, 0]]
NEAR.box[:] = MINE.box + 1.0
FAR = boxes([CAR, CAR], 1.0)
WAITS = ("second", "accept", "", "", "")
DONE = ("", "accept", "", "", "")
DIFFER = ("adjudicate", "accept", "", "", "")


@pytest.fixture
def project(tmp_path: Path):
    """Hold two items of which a flag wants a second opinion."""
    with Project.create(tmp_path / "out") as made:
        start(made)
        fill(made, 2, flags=ASK, verdict=Verdict.REVIEW)
        yield made
        report = made.verify()
        assert report.ok, report.problems


@pytest.fixture
def say(project: Project):
    """Return what decides on the first item, as whoever is named, and tells what is left."""
    keys = count()

    def one(who: str, action: str, labels: Labels | None = None, **how: Any) -> tuple[Any, ...]:
        project.decide(ITEM, action, who=who, key=f"k{next(keys)}", labels=labels, **how)
        return held(project, ITEM)

    return one


def offered(project: Project, lane: str, *who: str) -> list[bool]:
    """Return to whom of `who` an item of the lane is offered."""
    found = [bool(project.next_items(lane, who=one)) for one in who]
    assert found == [project.yours(lane, who=one) == 1 for one in who]
    return found


def test_the_first_answer_waits_for_a_second(project: Project, say) -> None:
    assert held(project, ITEM) == ("review", None, "0-1", "", "")
    assert say("ann", "accept", rows=[0]) == ("review", None, "1", "", "")
    assert say("ann", "edit", MINE) == WAITS
    assert offered(project, "second", "ann", "bob") == [False, True]
    assert project.lanes() == [LaneCount("review", "tumour", 1), LaneCount("second", "tumour", 1)]
    assert project.opinions(ITEM) == [Opinion("ann", project.state(ITEM)["annotation"], "accept")]
    best = project.record(ITEM)
    assert best is not None
    assert (best.labels, best.verdict) == (MINE, Verdict.ACCEPT)


def test_a_second_that_agrees_finishes_the_item(project: Project, say) -> None:
    say("ann", "edit", MINE)
    before = project.state(ITEM)
    assert say("bob", "opinion", NEAR) == DONE
    after = project.state(ITEM)
    assert after == {**before, "decision": 2, "lane": "", "second": after["second"]}
    assert project.labels_of(after["second"]) == (ITEM, "human:bob", NEAR)
    best = project.record(ITEM)
    assert best is not None
    assert best.labels == MINE  # the first goes on holding
    first, second = project.opinions(ITEM)
    assert first == Opinion("ann", before["annotation"], "accept")
    assert second == Opinion("bob", after["second"], "accept")
    assert project.lanes() == [LaneCount("review", "tumour", 1)]


def test_two_that_differ_wait_for_a_third(project: Project, say) -> None:
    say("ann", "edit", MINE)
    assert say("bob", "opinion", FAR) == DIFFER
    assert offered(project, "adjudicate", "ann", "bob", "cid") == [False, False, True]
    assert [one.who for one in project.opinions(ITEM)] == ["ann", "bob"]
    for who in ("ann", "bob"):
        with pytest.raises(StoreError, match=f"{who} gave one of the two opinions"):
            say(who, "adjudicate", MINE)
    for action in ("accept", "reject", "unsure", "repair"):
        with pytest.raises(StoreError, match="two opinions on item 'item00000' differ"):
            say("cid", action)
    assert say("cid", "adjudicate", FAR) == DONE
    best = project.record(ITEM)
    assert best is not None
    assert (best.labels, best.source, project.state(ITEM)["second"]) == (FAR, "human:cid", 0)
    assert project.opinions(ITEM) == [Opinion("cid", project.state(ITEM)["annotation"], "accept")]


def test_a_second_opinion_is_somebody_elses(project: Project, say) -> None:
    with pytest.raises(StoreError, match="waits for no second opinion"):
        say("bob", "opinion", MINE)
    with pytest.raises(StoreError, match="has no two opinions that differ"):
        say("bob", "adjudicate", MINE)
    say("ann", "accept")
    with pytest.raises(StoreError, match="ann gave the first answer") as e:
        say("ann", "opinion", MINE)
    assert e.value.hint
    say("bob", "unsure")
    with pytest.raises(StoreError, match="waits for no second opinion"):
        say("cid", "opinion", MINE)  # there is no first answer any more


def test_whoever_answers_after_a_doubt_gives_the_first_answer(project: Project, say) -> None:
    assert say("ann", "unsure") == ("second", "review", "0-1", "", "")
    assert offered(project, "second", "ann", "bob") == [False, True]
    assert say("bob", "accept", rows=[0]) == ("second", "review", "1", "", "")
    assert say("bob", "accept") == WAITS
    assert offered(project, "second", "ann", "bob") == [True, False]
    assert say("ann", "opinion", boxes()) == DONE


def test_who_answered_may_correct_it_while_it_waits(project: Project, say) -> None:
    say("ann", "accept")
    assert say("ann", "edit", MINE) == WAITS
    assert say("ann", "reject") == ("second", "reject", "", "", "")
    assert say("ann", "edit", MINE, open=[0]) == ("review", "review", "0", "", "")
    assert say("ann", "repair", rows=[0]) == ("repair", "review", "0", "", "")
    assert say("bob", "edit", MINE) == WAITS
    assert offered(project, "second", "ann", "bob") == [True, False]


def test_what_is_changed_after_a_second_agreed_is_done(project: Project, say) -> None:
    say("ann", "edit", MINE)
    say("bob", "opinion", NEAR)
    assert say("ann", "edit", NEAR) == DONE
    assert project.state(ITEM)["second"] == 0


@pytest.mark.parametrize(
    ("labels", "left"), [(Labels.empty(), ("", "reject", "", "", "")), (MINE, ("adjudicate", "reject", "", "", ""))]
)
def test_a_picture_with_nothing_in_it_agrees_with_no_labels(project: Project, say, labels: Labels, left: tuple) -> None:
    assert say("ann", "reject") == ("second", "reject", "", "", "")
    assert say("bob", "opinion", labels) == left


def test_all_of_it_can_be_undone_and_redone(project: Project, say) -> None:
    seen = [(project.state(ITEM), offered(project, "second", "ann", "bob"), offered(project, "adjudicate", "ann", "bob", "cid"))]
    for who, action, labels in (("ann", "edit", MINE), ("bob", "opinion", FAR), ("cid", "adjudicate", NEAR)):
        say(who, action, labels)
        lanes = (offered(project, "second", "ann", "bob"), offered(project, "adjudicate", "ann", "bob", "cid"))
        seen.append((project.state(ITEM), *lanes))
    undone = []
    for seq in (3, 2, 1):
        undone.append(project.decide(ITEM, "undo", who="dot", key=f"u{seq}", undoes=seq).seq)
        lanes = (offered(project, "second", "ann", "bob"), offered(project, "adjudicate", "ann", "bob", "cid"))
        assert (project.state(ITEM), *lanes) == seen[seq - 1]
        assert project.verify().ok
    for at, seq in enumerate(reversed(undone), 1):
        project.decide(ITEM, "undo", who="dot", key=f"r{seq}", undoes=seq)
        lanes = (offered(project, "second", "ann", "bob"), offered(project, "adjudicate", "ann", "bob", "cid"))
        assert (project.state(ITEM), *lanes) == seen[at]
        assert project.verify().ok


def test_an_import_is_an_answer_like_any_other(project: Project, say) -> None:
    say("ann", "edit", MINE)
    say("bob", "opinion", FAR)
    best = project.record(ITEM)
    assert best is not None
    project.add([best], "human:cid")
    assert held(project, ITEM) == WAITS
    assert offered(project, "second", "ann", "cid") == [True, False]


def test_opinions_of_one_batch(project: Project) -> None:
    first = [Ask(f"item{i:05d}", "edit", "ann", f"a{i}", labels=MINE) for i in range(2)]
    second = [Ask(f"item{i:05d}", "opinion", "bob", f"b{i}", labels=(NEAR, FAR)[i]) for i in range(2)]
    project.decide_all([*first, *second])
    assert held(project, ITEM) == DONE
    assert held(project, "item00001") == DIFFER
    assert offered(project, "adjudicate", "ann", "bob", "cid") == [False, False, True]


def test_how_much_must_overlap_to_agree_is_remembered_of_the_project(project: Project, say) -> None:
    assert project.agree_iou == 0.5
    project.remember("agree_iou", 0.9)
    assert project.agree_iou == 0.9
    say("ann", "edit", MINE)
    assert say("ben", "opinion", NEAR)[0] == "adjudicate", "an overlap of 0.74 is not enough any more"
    project.remember("agree_iou", 0.7)
    assert held(project, ITEM)[0] == "adjudicate", "what was compared stays as it is"
    (last,) = [one.seq for one in project.decisions(ITEM) if one.action == "opinion"]
    say("ben", "undo", undoes=last)
    assert say("ben", "opinion", NEAR)[0] == ""
