"""Second opinions: another person, who does not see the first answer; and adjudication where the two differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hyla
from hyla.geometry import decode, encode
from hyla.store import Project
from hyla.types import Rle
from review_kit import LOW, SCORE, TWICE, Room, code, label, waiting

SHIFTED = [131, 55, 177, 91]


@pytest.fixture
def asked(room: Room) -> Room:
    """Give items on which ann has given a first answer that differs from the machine's."""
    room.store(*(waiting(f"i{n}", flags=(LOW, TWICE)) for n in range(3)))
    ann = room.person("ann")
    for n in range(3):
        state = ann.done(f"i{n}", "edit", changes={"put": {"0": label(box=SHIFTED)}}, note="mine")["state"]
        assert (state["lane"], state["outcome"]) == ("second", "accept")
    return room


def test_the_first_answer_is_nowhere(asked: Room) -> None:
    ben = asked.person("ben")
    assert ben.take(1, lane="second") == ["i0"]
    answers = [
        ben.get("/items/i0?tab=tab-1"),
        ben.get("/items/i0?tab=elsewhere"),
        ben.get("/history"),
        ben.get("/history?item=i0"),
        ben.take_one("i0"),
        ben.decide({"item": "i0", "action": "repair"}),
        ben.decide({"item": "i0", "action": "accept", "annotation": 99}),
    ]
    for answer in answers:
        for word in (b"131", b"177", b"ann", b"mine"):
            assert word not in answer.content.replace(b"annotation", b"")
    assert ben.get("/history").json()["events"] == []


def test_a_second_reader_sees_what_the_first_saw(asked: Room) -> None:
    item = asked.person("ben").item("i0")  # without having taken it: a look must not sway either
    assert item["mode"] == "second"
    assert [one["score"] for one in item["labels"]] == [SCORE] * 3
    assert [one["reason"] for one in item["flags"]] == ["low_score", "two_readers"]
    # The machine's labels as they waited at first: the flag about the picture asks for them all.
    assert item["state"] == {"annotation": 1, "open": [0, 1, 2], "lane": "second", "outcome": None, "decision": 0}


def test_who_answered_first_sees_all_and_is_not_asked(asked: Room) -> None:
    ann = asked.person("ann")
    assert ann.item("i0")["mode"] == "single"
    assert ann.item("i0")["state"]["lane"] == "second"
    assert ann.take(lane="second") == []
    lanes = {one["lane"]: one for one in ann.get("/queue").json()["lanes"]}
    assert (lanes["second"]["waiting"], lanes["second"]["yours"]) == (3, 0)
    lanes = {one["lane"]: one for one in asked.person("ben").get("/queue").json()["lanes"]}
    assert lanes["second"]["yours"] == 3


@pytest.mark.parametrize(
    ("one", "agreed", "n"),
    [
        ({"action": "accept"}, False, 3),
        ({"action": "accept", "rows": [0, 1, 2]}, False, 3),
        ({"action": "opinion", "changes": {"put": {"0": label(box=SHIFTED)}}}, True, 3),
        ({"action": "edit", "changes": {"put": {"0": label(box=SHIFTED)}}}, True, 3),
        ({"action": "reject"}, False, 0),
    ],
)
def test_whatever_the_word_it_is_an_opinion(asked: Room, one: dict[str, Any], agreed: bool, n: int) -> None:
    ben = asked.person("ben")
    ben.take(1, lane="second")
    held = asked.project.state("i0")["annotation"]
    made = ben.done("i0", **one)
    assert made["state"]["lane"] == ("" if agreed else "adjudicate")
    assert made["state"]["annotation"] == held  # the first answer holds until somebody chooses
    last = asked.project.decision(made["seq"])
    assert (last.action, last.who) == ("opinion", "ben")
    assert len(asked.project.labels_of(last.after["second"])[2]) == n
    assert asked.hold("i0") is None
    assert asked.project.verify().ok


@pytest.mark.parametrize(
    "one",
    [
        {"action": "accept", "rows": [0]},
        {"action": "reject", "rows": [0]},
        {"action": "repair"},
        {"action": "repair", "rows": [0, 1, 2]},
    ],
)
def test_an_opinion_is_about_the_whole_item(asked: Room, one: dict[str, Any]) -> None:
    assert code(asked.person("ben").decide({"item": "i0", **one})) == (422, "second")


def test_an_opinion_sent_again_is_one(asked: Room) -> None:
    ben = asked.person("ben")
    body = {"decisions": [{"item": "i0", "action": "accept", "annotation": 1}], "tab": ben.tab}
    first = ben.post("/decisions", body, "key")
    assert first.status_code == 200
    asked.person("ada", "adjudicator").done("i0", "adjudicate", changes={})
    assert ben.post("/decisions", body, "key").json() == first.json()
    assert len(list(asked.project.decisions())) == 5


def test_an_opinion_is_of_what_the_machine_said(asked: Room) -> None:
    held = asked.project.state("i0")["annotation"]
    answer = asked.person("ben").decide({"item": "i0", "action": "accept", "annotation": held})
    assert code(answer) == (409, "stale")
    assert (answer.json()["who"], answer.json()["item"]["mode"]) == ("", "second")


def test_taking_an_opinion_back(asked: Room) -> None:
    ben = asked.person("ben")
    made = ben.done("i0", "accept")
    state = ben.undo(made["seq"]).json()["made"][0]["state"]
    assert state == {"annotation": 1, "open": [0, 1, 2], "lane": "second", "outcome": None, "decision": 0}


def test_a_second_reader_may_be_unsure(asked: Room) -> None:
    ben, cem = asked.person("ben"), asked.person("cem")
    ben.take_one("i0")
    assert ben.done("i0", "unsure")["state"]["lane"] == "second"
    assert asked.hold("i0") is None
    assert code(ben.decide({"item": "i0", "action": "accept"})) == (403, "second")
    assert ben.take(lane="second") == ["i1", "i2"]
    assert cem.take(1, lane="second") == ["i0"]


# Somebody was unsure.


def test_what_somebody_was_unsure_about_is_anothers(room: Room) -> None:
    room.store(waiting("i0"))
    ann, ben = room.person("ann"), room.person("ben")
    ann.done("i0", "unsure")
    assert ann.take(lane="second") == []
    assert code(ann.decide({"item": "i0", "action": "accept"})) == (403, "second")
    assert ben.take(lane="second") == ["i0"]
    item = ben.item("i0")
    assert (item["mode"], item["state"]["open"], item["state"]["lane"]) == ("single", [0], "second")
    assert ben.done("i0", "accept")["state"]["lane"] == ""


def test_one_may_go_on_where_one_was_not_unsure(room: Room) -> None:
    room.store(waiting("i0", flags=(TWICE,)))
    ann, ben = room.person("ann"), room.person("ben")
    ann.done("i0", "unsure")
    ben.take(lane="second")
    assert ben.done("i0", "accept", rows=[0])["state"]["open"] == [1, 2]
    assert ben.done("i0", "accept", rows=[1])["state"]["open"] == [2]
    assert asked_of(room, "i0") == "ben"
    assert ben.done("i0", "unsure", rows=[2])["state"]["open"] == [2]
    assert asked_of(room, "i0") == ""


def asked_of(room: Room, item: str) -> str:
    hold = room.hold(item)
    return hold.person if hold else ""


# Two opinions that differ.


def test_the_adjudicator_sees_both_and_chooses(asked: Room) -> None:
    ben, ada = asked.person("ben"), asked.person("ada", "adjudicator")
    ben.done("i0", "accept")
    assert ada.take(lane="adjudicate") == ["i0"]
    item = ada.item("i0")
    assert item["mode"] == "adjudicate"
    first, second = item["opinions"]
    assert [one["who"] for one in (first, second)] == ["ann", "ben"]
    assert first["labels"][0]["box"] == SHIFTED
    assert second["labels"][0]["score"] == SCORE
    assert code(ada.decide({"item": "i0", "action": "accept"})) == (422, "adjudicate")
    one = {"item": "i0", "action": "adjudicate", "annotation": 1, "changes": {}}
    assert code(ada.decide(one)) == (409, "stale")  # the machine's labels are nobody's opinion
    made = ada.done("i0", "adjudicate", annotation=second["annotation"], changes={"drop": [2]})
    assert (made["state"]["lane"], made["state"]["outcome"]) == ("", "accept")
    record = asked.project.record("i0")
    assert record is not None
    assert (record.source, len(record.labels), record.labels.box[0, 0]) == ("human:ada", 2, 0)


def test_who_gave_an_opinion_does_not_adjudicate(asked: Room) -> None:
    asked.person("ben").done("i0", "accept")
    ben = asked.person("ben", "admin")
    assert ben.take(lane="adjudicate") == []
    assert (ben.item("i0")["mode"], ben.item("i0")["opinions"]) == ("single", [])
    assert ben.decide({"item": "i0", "action": "adjudicate", "changes": {}}).status_code == 409
    assert ben.decide({"item": "i0", "action": "accept"}).status_code == 409
    cem = asked.person("cem")
    assert cem.item("i0")["mode"] == "single"
    assert code(cem.decide({"item": "i0", "action": "adjudicate", "changes": {}})) == (403, "role")


def test_an_adjudication_sent_again_is_one(asked: Room) -> None:
    asked.person("ben").done("i0", "accept")
    ada = asked.person("ada", "adjudicator")
    annotation = ada.item("i0")["opinions"][1]["annotation"]
    body = {"decisions": [{"item": "i0", "action": "adjudicate", "annotation": annotation, "changes": {}}], "tab": "t"}
    first = ada.post("/decisions", body, "key")
    assert first.status_code == 200
    assert ada.post("/decisions", body, "key").json() == first.json()


@pytest.mark.parametrize(("bound", "lane"), [(0.5, ""), (0.667, "adjudicate")])
def test_masks_of_a_dice_below_the_bound_of_the_run_go_to_an_adjudicator(
    gallery: Any, tmp_path: Path, bound: float, lane: str
) -> None:
    """A blob that was cut to 0.6 of itself: an IoU of 0.6, a Dice of 0.75."""
    source, out = tmp_path / "four.gallery", tmp_path / "out"
    source.write_text("photo 4 9\n")  # the last one is flagged for a second reader
    for least in (0.5, bound):  # a run may go on with another bound
        hyla.run(hyla.compose("gallery", source=str(source), out=str(out), progress=False, agree_iou=least))
    with Project.open(out) as project:
        assert project.agree_iou == bound
        room = Room(project)
        *_, record = project.records()
        item = record.item.id
        room.person("ann").done(item, "accept")
        assert project.state(item)["lane"] == "second"
        ((row, whole),) = ((i, decode(shape)) for i, shape in enumerate(record.labels.shape) if isinstance(shape, Rle))
        flat = whole.ravel().copy()
        flat[np.flatnonzero(flat)[round(0.6 * flat.sum()) :]] = False
        cut = encode(flat.reshape(whole.shape))
        shape = {"size": list(cut.size), "counts": cut.counts.decode()}
        put = {str(row): {"class": "blob", "kind": "mask", "box": [0, 0, 1, 1], "shape": shape}}
        assert room.person("ben").done(item, "opinion", changes={"put": put})["state"]["lane"] == lane
