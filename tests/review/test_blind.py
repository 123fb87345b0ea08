"""Blind answers: nothing that reaches the browser tells what the machine or anybody else said of the item."""

from __future__ import annotations

from typing import Any

import pytest

from hyla.types import Flag, Labels, Severity
from review_kit import LOW, SCORE, TWICE, Person, Room, box_labels, clip_of, code, label, waiting

SECRET = (
    "lorry",
    "walker",
    str(SCORE),
    "low_score",
    "min_score",
    "below 0.9",
    "two_readers",
    "margin",
    "0.25",
    "dry",
    "model:toy",
)


@pytest.fixture
def blind(room: Room) -> Room:
    room.store(*(waiting(f"i{n}") for n in range(8)))
    return room


def everything(ann: Person, item: str) -> dict[str, Any]:
    """Return what each endpoint answers about one item."""
    return {
        "lease again": ann.take_one(item, "blind"),
        "item": ann.get(f"/items/{item}?tab={ann.tab}"),
        "item, no tab": ann.get(f"/items/{item}"),
        "history": ann.get("/history?limit=100"),
        "its history": ann.get(f"/history?item={item}"),
        "decide wrongly": ann.decide({"item": item, "action": "accept"}, mode="blind"),
        "decide on old labels": ann.decide({"item": item, "action": "unsure", "annotation": 10**6}, mode="blind"),
        "decide in another mode": ann.decide({"item": item, "action": "accept"}),
        "drop a row": ann.decide({"item": item, "action": "edit", "changes": {"drop": [0]}}, mode="blind"),
        "clip": ann.get(f"/clips/{item}?tab={ann.tab}"),
        "stats": ann.get("/stats"),
    }


def tells(answer: Any) -> list[str]:
    return [word for word in SECRET if word.encode() in answer.content]


def test_what_is_seen_otherwise_is_what_is_searched_for(blind: Room) -> None:
    assert set(tells(blind.person("ann").get("/items/i0?tab=t"))) >= {"lorry", str(SCORE), "low_score", "below 0.9", "dry"}


def test_no_answer_tells_anything(blind: Room) -> None:
    ann = blind.person("ann")
    taken = ann.post("/leases", {"tab": ann.tab, "mode": "blind", "n": 1})
    assert [one["id"] for one in taken.json()["items"]] == ["i0"]
    assert tells(taken) == []
    for name, answer in everything(ann, "i0").items():
        assert tells(answer) == [], name


def test_what_is_seen_of_a_blind_item(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    item = ann.item("i0")
    assert item["mode"] == "blind"
    assert (item["labels"], item["flags"], item["context"], item["opinions"], item["reason"]) == ([], [], {}, [], "")
    assert item["state"] == {"annotation": 1, "open": [], "lane": "review", "outcome": None, "decision": 0}
    assert (item["name"], item["size"], item["view"]) == ("i0.jpg", [100, 200], "image")


def test_another_tab_does_not_see_more(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    for tab in ("tab-1", "tab-2"):
        for answer in (ann.get(f"/items/i0?tab={tab}"), ann.in_tab(tab).get(f"/items/i0?tab={tab}")):
            assert answer.json()["mode"] == "blind"
            assert tells(answer) == []
    assert code(ann.in_tab("tab-2").take_one("i0")) == (409, "taken")
    cells = ann.in_tab("tab-2").post("/grid", {"tab": "tab-2", "class": "lorry"}).json()["cells"]
    assert {one["item"] for one in cells} == {f"i{n}" for n in range(1, 8)}
    assert blind.person("ben").item("i0")["mode"] == "single"


def test_the_grid_of_the_same_tab_leaves_blind_items_out(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(2, mode="blind")
    cells = ann.post("/grid", {"tab": ann.tab, "class": "lorry"}).json()["cells"]
    assert "i0" not in {one["item"] for one in cells}
    assert blind.mode("i0", ann) == "blind"


def test_a_blind_answer_is_the_persons_own_labels(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    made = ann.done("i0", "edit", changes={"add": [label()], "context": {"weather": "wet"}}, mode="blind", active_ms=9000)
    assert (made["state"]["outcome"], made["state"]["lane"]) == ("accept", "")
    record = blind.project.record("i0")
    assert record is not None
    assert record.labels == Labels.of([1], [[50, 50, 70, 80]], context={"weather": "wet"})
    assert next(blind.project.decisions()).mode == "blind"
    assert blind.hold("i0") is None
    assert ann.item("i0")["mode"] == "single"  # own answer given, all may be seen
    assert tells(ann.get("/items/i0?tab=t"))


def test_nothing_there_is_an_answer(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    ann.done("i0", "edit", changes={}, mode="blind")
    record = blind.project.record("i0")
    assert record is not None
    assert len(record.labels) == 0


def test_unsure_is_an_answer(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    assert ann.done("i0", "unsure", mode="blind")["state"]["lane"] == "second"


@pytest.mark.parametrize(
    "one",
    [
        {"action": "accept"},
        {"action": "reject"},
        {"action": "repair"},
        {"action": "unsure", "rows": [0]},
        {"action": "edit", "changes": {}, "done": False},
        {"action": "edit", "changes": {}, "rows": [0]},
        {"action": "adjudicate", "changes": {}},
    ],
)
def test_other_answers_are_refused(blind: Room, one: dict[str, Any]) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    assert code(ann.decide({"item": "i0", **one}, mode="blind")) == (422, "mode")


def test_a_blind_answer_sent_again_is_one(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    body = {
        "decisions": [{"item": "i0", "action": "edit", "annotation": 1, "changes": {"add": [label()]}}],
        "tab": ann.tab,
        "mode": "blind",
    }
    first = ann.post("/decisions", body, "key")
    assert first.status_code == 200
    ann.item("i0")
    blind.open()
    again = blind.person("ann").post("/decisions", body, "key")
    assert again.json() == first.json()
    assert len(list(blind.project.decisions())) == 1


# Who has seen an item can't be blind to it.


def test_what_was_seen_is_not_handed_out_blind(blind: Room) -> None:
    ann = blind.person("ann")
    ann.item("i0")
    ann.post("/grid", {"tab": ann.tab, "class": "lorry", "n": 2})
    ann.post("/leases/release", {"tab": ann.tab, "items": ["i0", "i1"]})
    assert ann.take(2, mode="blind") == ["i2", "i3"]
    assert ann.take_one("i0", "blind").json()["items"][0]["reason"] == "low_score"  # to look at, and not blind
    assert ann.item("i0")["mode"] == "single"
    assert code(ann.decide({"item": "i0", "action": "unsure"}, mode="blind")) == (403, "mode")
    ann.post("/leases/release", {"tab": ann.tab, "items": ["i0"]})
    ben = blind.person("ben")
    assert ben.take_one("i0", "blind").json()["items"][0]["reason"] == ""
    assert ben.item("i0")["mode"] == "blind"


def test_what_was_decided_is_not_handed_out_blind(blind: Room) -> None:
    ann = blind.person("ann")
    ann.undo(ann.done("i0")["seq"])
    blind.open()  # what was shown is forgotten, what was decided is not
    ann = blind.person("ann")
    assert ann.take(1, mode="blind") == ["i1"]
    for item in ("i0", "i2"):
        ann.done(item)
        ann.take_one(item, "blind")
        assert ann.item(item)["mode"] == "single"


def test_a_look_after_giving_back_ends_blindness(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    ann.post("/leases/release", {"tab": ann.tab, "items": ["i0"]})
    assert ann.take(1, mode="blind") == ["i0"]  # nothing was seen
    ann.post("/leases/release", {"tab": ann.tab, "items": ["i0"]})
    assert ann.item("i0")["mode"] == "single"
    answer = ann.decide({"item": "i0", "action": "edit", "changes": {"add": [label()]}}, mode="blind")
    assert code(answer) == (403, "mode")


def test_a_lost_lease_does_not_lose_the_answer(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    one = {"item": "i0", "action": "edit", "annotation": 1, "changes": {"add": [label()]}}
    blind.open()  # the server came back, and remembers no lease
    assert blind.person("ann").decide(one, mode="blind").status_code == 200


def test_a_blind_answer_comes_too_late(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(1, mode="blind")
    blind.open()  # the lease is forgotten, and ben is quicker
    blind.person("ben").done("i0")
    one = {"item": "i0", "action": "edit", "annotation": 1, "changes": {"add": [label()]}}
    assert code(blind.person("ann").decide(one, mode="blind")) == (409, "stale")


def test_paging_passes_over_what_was_seen(room: Room) -> None:
    room.store(*(waiting(f"i{n:03d}") for n in range(60)))
    ann = room.person("ann")
    room.desk.leases.show([f"i{n:03d}" for n in range(50)], "ann")
    assert ann.take(3, mode="blind") == ["i050", "i051", "i052"]


# Clips, and second opinions given blind.


def test_a_clip_tells_nothing_while_one_frame_is_blind(room: Room) -> None:
    room.store(*clip_of(4, each=3))
    ann = room.person("ann")
    ann.take(1, mode="blind")
    answer = ann.get(f"/clips/clip0000?tab={ann.tab}")
    clip = answer.json()
    assert tells(answer) == []
    assert (clip["boxes"], clip["kinds"], clip["suspects"], clip["next_track"]) == ([], [], [], 1000)
    assert {(f["lane"], f["outcome"]) for f in clip["frames"]} == {("review", None)}
    assert [f["seconds"] for f in clip["frames"]] == [0, 0.1, 0.2, 0.3]
    assert len(room.person("ben").get("/clips/clip0000?tab=t").json()["boxes"]) == 12


def test_a_second_opinion_may_be_blind(room: Room) -> None:
    room.store(waiting("i0", flags=(LOW, TWICE)))
    ann, ben = room.person("ann"), room.person("ben")
    first = ann.done("i0", "edit", changes={"put": {"0": label(**{"class": "lorry"}, box=[1, 2, 33, 44])}})
    assert first["state"]["lane"] == "second"
    assert ben.take(1, lane="second", mode="blind") == ["i0"]
    for name, answer in everything(ben, "i0").items():
        assert tells(answer) == [], name
        assert b"33" not in answer.content, name
    item = ben.item("i0")
    assert (item["mode"], item["state"]["lane"], item["state"]["outcome"]) == ("blind", "review", None)
    assert (item["state"]["annotation"], item["state"]["decision"]) == (1, 0)
    made = ben.done("i0", "edit", changes={"add": [label()]}, mode="blind")
    assert made["state"]["lane"] == "adjudicate"
    last = room.project.decision(2)
    assert (last.action, last.mode, last.who) == ("opinion", "blind", "ben")


def test_a_volume_shows_no_strip(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, bool]] = []
    describe = room.desk.media.describe

    def spy(record: Any, blind: bool = False) -> Any:
        asked.append((len(record.labels), blind))
        return describe(record, blind)

    monkeypatch.setattr(room.desk.media, "describe", spy)
    room.store(waiting("i0", box_labels(4)), waiting("i1", flags=(Flag("r", "x", Severity.REVIEW, (0,)),)))
    ann = room.person("ann")
    ann.take(1, mode="blind")
    ann.item("i0")
    ann.item("i1")
    assert asked == [(0, True), (3, False)]


def test_numbers_of_annotations_do_not_tell_how_many_labels(blind: Room) -> None:
    ann = blind.person("ann")
    ann.take(8, mode="blind")
    sizes = {len(ann.get(f"/items/i{n}?tab=t").content) for n in range(8)}
    assert len(sizes) == 1
