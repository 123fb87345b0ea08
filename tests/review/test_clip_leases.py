"""A clip is one tab's as a whole: what one answer about a track touches is not two people's."""

from __future__ import annotations

from typing import Any

import pytest

from hyla.review.leases import SECONDS
from hyla.store import Stored
from review_kit import LOW, TWICE, Person, Room, clip_of, code, label, waiting


@pytest.fixture
def clips(room: Room) -> Room:
    room.store(waiting("i0"), *clip_of(4, "a"), *clip_of(3, "b"), waiting("i1"))
    return room


def cells(one: Person) -> set[str]:
    return {cell["item"] for cell in one.post("/grid", {"tab": one.tab, "class": "lorry"}).json()["cells"]}


def batch(room: Room, *frames: str, action: str = "accept") -> list[dict[str, Any]]:
    return [{"item": one, "action": action, "rows": [0], "annotation": room.project.state(one)["annotation"]} for one in frames]


def test_a_clip_is_handed_out_once_and_last(clips: Room) -> None:
    ann, ben = clips.person("ann"), clips.person("ben")
    assert ann.take() == ["i0", "a0000"]
    assert ben.take() == ["b0000"]
    assert ann.take(after="a0000") == ["i1"]  # what comes after the clip, not after the frame
    assert ann.take() == ben.take() == []
    assert ann.in_tab("tab-2").take() == []


def test_nobody_else_gets_a_frame(clips: Room) -> None:
    ann, ben = clips.person("ann"), clips.person("ben")
    ann.take_one("a0002")
    assert ann.in_tab("tab-2").take(1, after="i0") == ["b0000"]
    for other in (ben, ann.in_tab("tab-3")):
        refused = other.take_one("a0000")
        assert code(refused) == (409, "taken")
        assert "clip" in refused.json()["error"]["message"]
        assert code(other.decide(*batch(clips, "i1", "a0003"))) == (409, "taken")
    assert clips.project.state("i1")["decision"] == 0
    assert cells(ben) == {"i0", "i1"}
    assert ann.take_one("a0001").status_code == 200


def test_one_answer_about_many_frames(clips: Room) -> None:
    ann, ben = clips.person("ann"), clips.person("ben")
    ann.take_one("a0000")
    made = ann.decide(*batch(clips, *(f"a{n:04d}" for n in range(4))))
    assert made.status_code == 200
    assert clips.hold("a0000") is None  # nothing of it waits
    ben.take_one("a0003")
    assert code(ann.undo(*(one["seq"] for one in made.json()["made"]))) == (409, "taken")


def test_a_clip_is_held_until_nothing_of_it_waits(clips: Room) -> None:
    ann, ben = clips.person("ann"), clips.person("ben")
    ann.take_one("a0000")
    for action, frame in [("accept", "a0000"), ("repair", "a0002"), ("unsure", "a0003")]:
        ann.done(frame, action)
        assert clips.mode("a0000", ann) == "single"
        assert code(ben.take_one("a0001")) == (409, "taken")
    ann.done("a0001")
    assert clips.hold("a0000") is None
    assert ben.take(lane="repair") == ["a0002"]


def test_what_waits_for_somebody_else_holds_no_clip(room: Room) -> None:
    room.store(*clip_of(2, "a", flags=(LOW, TWICE)))
    ann, ben = room.person("ann"), room.person("ben")
    ann.done("a0000")
    ben.done("a0001")
    assert ann.take(lane="second") == ["a0001"]
    ann.done("a0001")
    assert room.hold("a0000") is None  # the other frame waits for ben
    assert ben.take(lane="second") == ["a0000"]


def test_any_frame_renews_and_gives_back_the_clip(clips: Room) -> None:
    ann, ben = clips.person("ann"), clips.person("ben")
    ann.take_one("a0000")
    clips.time = SECONDS - 1
    renewed = ann.post("/leases/renew", {"tab": ann.tab, "items": ["a0003", "a0000", "b0000", "never"]})
    assert renewed.json()["lost"] == ["b0000", "never"]
    clips.time += 2
    ben.post("/leases/release", {"tab": ben.tab, "items": ["a0000"]})
    assert clips.hold("a0001")
    ann.post("/leases/release", {"tab": ann.tab, "items": ["a0002"]})
    assert clips.hold("a0001") is None
    assert ben.take_one("a0001").status_code == 200


def test_a_grid_page_holds_the_clips_of_its_crops(clips: Room) -> None:
    ann, ben = clips.person("ann"), clips.person("ben")
    page = ann.post("/grid", {"tab": ann.tab, "class": "lorry", "n": 2}).json()["cells"]
    assert [(cell["item"], cell["row"]) for cell in page] == [("i0", 0), ("a0000", 0)]
    assert len(cells(ann)) == 9  # more of the same clip comes to the same tab
    ann.post("/leases/release", {"tab": ann.tab, "items": ["b0000", "i1"]})
    assert cells(ben) == {"b0000", "b0001", "b0002", "i1"}


# Picture by picture.


def test_who_answers_blind_goes_on_in_the_clip(clips: Room) -> None:
    ann, ben = clips.person("ann"), clips.person("ben")
    assert ann.take(3, mode="blind") == ["i0", "a0000", "a0001"]
    assert ann.take(2, mode="blind", after="a0001") == ["a0002", "a0003"]
    assert ben.take(3, mode="blind") == ["b0000", "b0001", "b0002"]
    answer = {"changes": {"add": [label()]}, "mode": "blind"}
    ann.done("a0001", "edit", **answer)
    assert clips.mode("a0000", ann) == "blind"
    for frame in ("a0000", "a0001", "a0003"):  # what holds of the next picture tells of this one
        assert ann.item(frame)["mode"] == "blind"


def test_a_frame_that_was_seen_before_is_not_answered_blind(clips: Room) -> None:
    ann = clips.person("ann")
    ann.item("a0001")
    assert ann.take(3, mode="blind") == ["i0", "a0000", "a0002"]
    edit = {"item": "a0001", "action": "edit", "changes": {"add": [label()]}}
    assert code(ann.decide(edit, mode="blind")) == (403, "mode")
    assert code(ann.decide({"item": "a0001", "action": "accept"})) == (403, "mode")
    ann.take_one("a0001", "blind")  # to look at, and then the clip is blind no more
    assert ann.item("a0000")["mode"] == "single"
    assert code(ann.decide({**edit, "item": "a0000"}, mode="blind")) == (403, "mode")


def test_second_readers_take_turns_in_a_clip(room: Room) -> None:
    room.store(*clip_of(3, "a", flags=(LOW, TWICE)))
    ann, ben, cem = room.person("ann"), room.person("ben"), room.person("cem")
    ann.take_one("a0000")
    assert ann.decide(*({"item": f"a{n:04d}", "action": "accept"} for n in range(3))).status_code == 200
    assert ben.take(lane="second") == ["a0000", "a0001", "a0002"]
    assert cem.take(lane="second") == []
    ben.done("a0000")
    assert cem.take(lane="second") == []
    ben.done("a0001")
    ben.done("a0002")
    assert room.hold("a0000") is None


def test_long_clips_that_others_hold_are_passed_over(room: Room) -> None:
    frames = [one for name in "abcd" for one in clip_of(5000, name, each=1)]
    room.project.write([Stored(one, i, 0.0) for i, one in enumerate([*frames, waiting("i0")])])
    for name in "abcd":
        assert room.person(name).take(1) == [f"{name}0000"]
    ann = room.person("ann")
    assert ann.take() == ["i0"]
    room.person("a").done("a0000")
    assert room.hold("a4999")
