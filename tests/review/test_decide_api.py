"""Decisions over HTTP: all or nothing, once for each key, only on what was seen, and back again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from hyla.types import Flag, Labels, Severity
from review_kit import LOW, Room, box_labels, code, label, waiting

ALL = Flag("all", "look", Severity.REVIEW)  # every label is open


@pytest.fixture
def items(room: Room) -> Room:
    room.store(*(waiting(f"i{n}", flags=(ALL,)) for n in range(4)))
    return room


def labels_of(room: Room, item: str) -> Labels:
    record = room.project.record(item)
    assert record is not None
    return record.labels


def test_accepting_finishes_an_item(items: Room) -> None:
    made = items.person("ann").done("i0", "accept", active_ms=900)
    assert made == {
        "seq": 1,
        "item": "i0",
        "state": {"annotation": 1, "open": [], "lane": "", "outcome": "accept", "decision": 1},
    }
    (one,) = items.project.decisions()
    assert (one.who, one.active_ms, one.mode, one.action) == ("ann", 900, "single", "accept")
    assert items.project.verify().ok


def test_label_by_label(items: Room) -> None:
    ann = items.person("ann")
    ann.take(1)
    assert ann.done("i0", "accept", rows=[1])["state"]["open"] == [0, 2]
    assert items.hold("i0")  # it is not through yet
    state = ann.done("i0", "repair", rows=[0])["state"]
    assert (state["open"], state["lane"]) == ([2], "review")
    state = ann.done("i0", "accept", rows=[2])["state"]
    assert (state["open"], state["lane"], state["outcome"]) == ([0], "repair", "review")
    assert items.hold("i0") is None
    state = ann.done("i0", "edit", changes={"put": {"0": label()}})["state"]
    assert (state["open"], state["lane"], state["outcome"]) == ([], "", "accept")


def test_all_or_nothing(items: Room) -> None:
    ann = items.person("ann")
    answer = ann.decide(
        {"item": "i0", "action": "accept"}, {"item": "i1", "action": "accept", "rows": [7]}, {"item": "i2", "action": "accept"}
    )
    assert answer.status_code == 409
    assert list(items.project.decisions()) == []
    answer = ann.decide(*({"item": f"i{n}", "action": "accept"} for n in range(4)))
    assert [one["item"] for one in answer.json()["made"]] == ["i0", "i1", "i2", "i3"]


def test_an_edit_changes_only_what_it_names(items: Room) -> None:
    before = labels_of(items, "i0")
    changes = {
        "put": {"1": label(score=0.3, attributes={"speed": 12.5}, evidence={"margin": 0.9})},
        "drop": [0],
        "add": [label(kind="polygon", box=[0, 0, 0, 0], shape=[[[1, 1], [20, 1], [20, 30]]])],
        "context": {"weather": "wet"},
    }
    state = items.person("ann").done("i0", "edit", changes=changes)["state"]
    after = labels_of(items, "i0")
    assert state["annotation"] == 5
    assert after.score.tolist() == [1, before.score[2], 1]  # a person is sure
    assert after.box.tolist() == [[50, 50, 70, 80], before.box[2].tolist(), [1, 1, 20, 30]]
    assert after.attributes["occluded"].tolist() == [None, False, None]
    assert np.isnan(after.attributes["speed"][[1, 2]]).all()
    assert after.attributes["speed"][0] == 12.5
    assert np.isnan(after.evidence["margin"][[0, 2]]).all()
    assert after.evidence["margin"][1] == 0.25
    assert after.context == {"weather": "wet"}
    assert items.project.record("i0", "model").labels == before  # type: ignore[union-attr]


def test_what_an_edit_leaves_open(items: Room) -> None:
    ann = items.person("ann")
    ann.done("i0", "accept", rows=[1])
    state = ann.done("i0", "edit", changes={"drop": [0], "add": [label()]}, done=False)["state"]
    assert (state["open"], state["lane"]) == ([1], "review")  # row 2 of before; what was drawn needs no answer
    state = ann.done("i0", "edit", changes={"put": {"1": label()}}, done=False)["state"]
    assert (state["open"], state["lane"], state["outcome"]) == ([], "", "accept")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"put": {"7": label()}}, "row 7"),
        ({"drop": [3]}, "row 3"),
        ({"put": {"1": label()}, "drop": [1]}, "both"),
        ({"put": {"1": label(**{"class": "ufo"})}}, "put[1]: unknown class 'ufo'"),
        ({"add": [label(), label(kind="blob")]}, "add[1]: unknown kind"),
        ({"add": [label(**{"class": "vehicle"})]}, "does not allow"),
        ({"add": [label(box=[5, 5, 5, 9])]}, "add[0]: a box must have"),
        ({"add": [label(box=[float("nan"), 0, 1, 1])]}, "finite"),
        ({"add": [label(kind="polyline", shape=[[0, 0], [float("inf"), 3]])]}, "finite"),
        ({"add": [label(kind="polygon", shape=[[[0, 0], [1, 1]]])]}, "add[0].shape"),
        ({"add": [label(kind="polygon", shape=[[[300, 0], [310, 1], [300, 9]]])]}, "add[0]: the polygon lies outside"),
        ({"add": [label(kind="mask", shape={"size": [9, 9], "counts": "Q3"})]}, "add[0]"),
        ({"add": [label(kind="mask", shape={"size": [100, 200], "counts": "\ud800"})]}, "add[0].shape"),
        ({"add": [label(kind="polygon", shape=[[[0, 0], [1e300, 0], [9, 9]]])]}, "add[0]: a shape must be finite"),
        ({"add": [label(attributes={"speed": "\ud800"})]}, "Unicode"),
        ({"add": [label(attributes={"occluded": "yes"})]}, "occluded"),
        ({"add": [label(attributes={"colour": "red"})]}, "colour"),
        ({"add": [label(attributes={"speed": 10**400})]}, "speed"),
        ({"add": [label(track=2**70)]}, "track"),
        ({"context": {"weather": "hail"}}, "weather"),
        ({"context": {"moon": 1}}, "moon"),
    ],
)
def test_labels_that_can_not_be_are_refused_by_name(items: Room, changes: dict[str, Any], says: str) -> None:
    answer = items.person("ann").decide({"item": "i0", "action": "edit", "changes": changes})
    assert code(answer) == (422, "labels")
    assert says in answer.json()["error"]["message"]
    assert list(items.project.decisions()) == []


def test_what_is_unknown_is_left_out(items: Room) -> None:
    changes = {"add": [label(attributes={"speed": float("nan"), "occluded": None})], "context": {"weather": None}}
    items.person("ann").done("i0", "edit", changes=changes)
    assert items.person("ann").item("i0")["labels"][3]["attributes"] == {}
    assert labels_of(items, "i0").context == {}


def test_boxes_of_other_tools_hang_over_and_do_not_stop_an_edit(room: Room) -> None:
    over = Labels.of([1, 1], [[-9, 5, 20, 250], [5, 5, 9, 9]], score=[0.5, 0.5])
    room.store(waiting("i0", over))
    room.person("ann").done("i0", "edit", changes={"put": {"1": label()}})
    assert labels_of(room, "i0").box[0].tolist() == [0, 5, 20, 100]


@pytest.mark.parametrize(
    ("one", "status"),
    [
        ({"action": "accept", "changes": {"drop": [0]}}, 422),
        ({"action": "edit"}, 422),
        ({"action": "undo"}, 422),
        ({"action": "accept", "rows": [-1]}, 422),
        ({"action": "accept", "active_ms": -5}, 422),
        ({"action": "accept", "who": "ben"}, 422),
        ({"action": "opinion", "changes": {}}, 409),
        ({"action": "adjudicate", "changes": {}}, 403),
    ],
)
def test_what_makes_no_sense_is_refused(items: Room, one: dict[str, Any], status: int) -> None:
    assert items.person("ann").decide({"item": "i0", **one}).status_code == status
    assert list(items.project.decisions()) == []


def test_an_item_whose_labels_change_stands_once(items: Room) -> None:
    edit = {"item": "i0", "action": "edit", "changes": {"drop": [0]}}
    answer = items.person("ann").decide({"item": "i0", "action": "accept", "rows": [1]}, edit)
    assert code(answer) == (422, "twice")
    answer = items.person("ann").decide(
        {"item": "i0", "action": "accept", "rows": [1]}, {"item": "i0", "action": "repair", "rows": [0]}
    )
    assert [one["state"]["open"] for one in answer.json()["made"]] == [[0, 2], [2]]


def test_a_key_is_needed(items: Room) -> None:
    ann = items.person("ann")
    body = {"decisions": [{"item": "i0", "action": "accept", "annotation": 1}], "tab": "t"}
    assert ann.post("/decisions", body).status_code == 422
    for key in ("", "x" * 101, "two words"):
        assert ann.post("/decisions", body, key).status_code == 422
    assert ann.post("/decisions", body, "x" * 100).status_code == 200


# Sent again.


def test_sent_again_nothing_happens_twice(items: Room) -> None:
    ann, ben = items.person("ann"), items.person("ben")
    body = {
        "decisions": [
            {"item": "i0", "action": "edit", "annotation": 1, "changes": {"drop": [0]}, "done": False},
            {"item": "i1", "action": "accept", "annotation": 2, "rows": [0]},
            {"item": "i1", "action": "repair", "annotation": 2, "rows": [1]},
        ],
        "tab": ann.tab,
        "note": "twice",
    }
    first = ann.post("/decisions", body, "key")
    assert first.status_code == 200
    ben.done("i0", "edit", changes={"add": [label()]})  # the annotation moved on
    ben.take_one("i1")
    items.open()  # the server was killed and came back
    ann.in_tab("tab-9")
    assert ann.post("/decisions", body, "key").json() == first.json()
    assert len(list(items.project.decisions())) == 4
    assert items.project.verify().ok


def test_a_key_is_one_persons_and_one_requests(items: Room) -> None:
    ann, ben = items.person("ann"), items.person("ben")
    body = {"decisions": [{"item": "i0", "action": "accept", "annotation": 1}], "tab": "t"}
    assert ann.post("/decisions", body, "key").status_code == 200
    assert code(ben.post("/decisions", body, "key")) == (409, "key")
    other = {"decisions": [{"item": "i1", "action": "accept", "annotation": 2}], "tab": "t"}
    assert ann.post("/decisions", other, "key").status_code == 409
    more = {"decisions": [*body["decisions"], *other["decisions"]], "tab": "t"}  # type: ignore[misc]
    assert code(ann.post("/decisions", more, "key")) == (409, "key")
    assert len(list(items.project.decisions())) == 1


def test_the_same_key_at_the_same_time_is_one_decision(items: Room) -> None:
    people = [items.person("ann", tab="tab-1") for _ in range(6)]
    body = {"decisions": [{"item": "i0", "action": "accept", "annotation": 1}], "tab": "tab-1"}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: one.post("/decisions", body, "key"), people))
    assert {a.status_code for a in answers} == {200}
    assert len({a.text for a in answers}) == 1
    assert len(list(items.project.decisions())) == 1


@pytest.mark.parametrize("path", ["/decisions", "/undo"])
def test_a_request_that_overtakes_itself_is_one(items: Room, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = items.person("ann")
    edit = {"item": "i0", "action": "edit", "annotation": 1, "changes": {"drop": [0]}}
    body = {"decisions": [edit] if path == "/decisions" else [ann.done("i0")["seq"]], "tab": ann.tab}
    states, other = items.project.states, []

    def slow(ids: Any) -> Any:
        found = states(ids)
        if not other:
            other.append(None)
            other[0] = ann.post(path, body, "key")
        return found

    monkeypatch.setattr(items.project, "states", slow)
    answer = ann.post(path, body, "key")
    assert (answer.status_code, answer.json()) == (200, other[0].json())


# What changed meanwhile.


def test_a_stale_decision_is_answered_with_what_holds_now(items: Room) -> None:
    ann, ben = items.person("ann"), items.person("ben")
    ben.done("i0", "edit", changes={"drop": [0, 1]})
    one = {"item": "i0", "action": "accept", "annotation": 1}
    answer = ann.decide({"item": "i1", "action": "accept"}, one)
    assert code(answer) == (409, "stale")
    body = answer.json()
    assert (body["who"], len(body["item"]["labels"]), body["item"]["state"]["annotation"]) == ("ben", 1, 5)
    assert body["at"].startswith("20")
    assert len(list(items.project.decisions())) == 1  # nothing of it was taken


def test_labels_of_another_item_can_not_be_named(items: Room) -> None:
    edit = {"item": "i0", "action": "edit", "annotation": 2, "changes": {"drop": [0]}}
    assert code(items.person("ann").decide(edit)) == (409, "stale")


def test_what_another_holds_is_refused(items: Room) -> None:
    ann, ben = items.person("ann"), items.person("ben")
    ann.take(1)
    answer = ben.decide({"item": "i0", "action": "accept"})
    assert code(answer) == (409, "taken")
    assert code(ann.in_tab("tab-2").decide({"item": "i0", "action": "accept"})) == (409, "taken")
    assert ann.done("i0")["state"]["outcome"] == "accept"
    assert ben.done("i0", "reject")["state"]["outcome"] == "reject"  # the lease went with the decision


def test_a_decision_says_in_which_mode_it_was_made(items: Room) -> None:
    ann = items.person("ann")
    ann.take_one("i0")
    one = {"item": "i0", "action": "accept"}
    assert code(ann.decide(one, mode="grid")) == (403, "mode")
    assert code(ann.decide({"item": "i0", "action": "unsure"}, mode="blind")) == (403, "mode")
    assert ann.decide(one, mode="single").status_code == 200


def test_who_may_decide(items: Room) -> None:
    viewer = items.person("vic", "viewer")
    assert code(viewer.decide({"item": "i0", "action": "accept"})) == (403, "role")
    assert code(viewer.undo(1)) == (403, "role")
    assert code(items.person("ann").decide({"item": "nowhere", "action": "accept", "annotation": 1})) == (404, "item")


# Back again.


def test_undo_takes_back_in_order_and_redo_brings_back(items: Room) -> None:
    ann = items.person("ann")
    before = items.project.state("i0")
    seqs = [ann.done("i0", "reject", rows=[0])["seq"], ann.done("i0", "accept")["seq"], ann.done("i1")["seq"]]
    after = items.project.state("i0")
    undone = ann.undo(*seqs)
    assert [(one["item"], one["seq"]) for one in undone.json()["made"]] == [("i0", 6), ("i0", 5), ("i1", 4)]
    assert items.project.state("i0") == before
    redone = ann.undo(*(one["seq"] for one in undone.json()["made"]))
    assert redone.status_code == 200
    assert items.project.state("i0") == after
    assert items.project.verify().ok


def test_an_undo_sent_again_is_one(items: Room) -> None:
    ann = items.person("ann")
    seq = ann.done("i0")["seq"]
    first = ann.undo(seq, key="u")
    ann.done("i0", "reject")
    assert ann.undo(seq, key="u").json() == first.json()
    assert len(list(items.project.decisions())) == 3


def test_what_does_not_stand_can_not_be_undone(items: Room) -> None:
    ann, ada = items.person("ann"), items.person("ada", "adjudicator")
    first = ann.done("i0", "reject", rows=[0])["seq"]
    second = ann.done("i0", "accept")["seq"]
    answer = ann.undo(first)
    assert code(answer) == (409, "undo")
    assert answer.json()["item"]["state"]["decision"] == second
    assert answer.json()["who"] == "ann"
    assert code(ann.undo(99)) == (404, "decision")
    assert code(ann.undo(first, first)) == (422, "twice")
    assert code(items.person("ben").undo(second)) == (403, "role")
    assert ada.undo(second, first).status_code == 200


def test_an_undo_of_what_another_works_on_is_refused(items: Room) -> None:
    ann, ben = items.person("ann"), items.person("ben")
    seq = ann.done("i0")["seq"]
    ben.take_one("i0")
    assert code(ann.undo(seq)) == (409, "taken")


def test_many_decisions_in_one_request(room: Room) -> None:
    room.store(*(waiting(f"i{n}", box_labels(), (LOW,)) for n in range(500)))
    ann = room.person("ann")
    body = {"decisions": [{"item": f"i{n}", "action": "accept", "annotation": n + 1} for n in range(500)], "tab": "t"}
    made = ann.post("/decisions", body, "k").json()["made"]
    assert [one["seq"] for one in made] == list(range(1, 501))
