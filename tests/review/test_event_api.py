"""The events of a clip as each person is told of them: who said so, what was denied, who is still to be heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hyla import Kind, Labels
from hyla.decide.route import confirming
from hyla.review import mentions, wire
from hyla.review.clip_events import next_tracks
from hyla.review.guard import MAX_BODY
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Flag, Record, Severity, Verdict
from review_kit import Room, waiting
from store_kit import start

SCHEMA = Schema.from_config(
    {
        "name": "yard",
        "kinds": ["box", "tag", "track"],
        "classes": {
            "person": {"kinds": ["box"]},
            "event": {"abstract": True, "kinds": ["tag"]},
            "loitering": {"parent": "event", "kinds": ["tag"], "confirmations": 1},
            "handover": {"parent": "event", "kinds": ["tag"], "confirmations": 2},
        },
        "attributes": {
            "start": {"type": "number", "unit": "s", "classes": ["event"]},
            "participants": {"type": "text", "classes": ["event"]},
            "subject": {"type": "integer", "minimum": 0, "classes": ["person"]},
        },
    }
)
LOITERING, HANDOVER = 100, 101
FRAMES, LOITERS, HANDS = 12, range(2, 6), range(7, 10)


def frame(i: int) -> Record:
    """Return a frame with two people, and an event of one confirmation or of two."""
    events = [(LOITERING, "loitering", "1")] * (i in LOITERS) + [(HANDOVER, "handover", "1,2")] * (i in HANDS)
    n = len(events)
    labels = Labels.of(
        [SCHEMA.class_id("person")] * 2 + [SCHEMA.class_id(name) for _, name, _ in events],
        [[10, 10, 30, 60], [50, 10, 70, 60], *[[0, 0, 200, 100]] * n],
        score=[0.9] * (2 + n),
        kind=[Kind.BOX] * 2 + [Kind.TAG] * n,
        track=[1, 2, *(track for track, _, _ in events)],
        attributes={
            "start": [np.nan] * 2 + [0.5] * n,
            "participants": [None] * 2 + [who for _, _, who in events],
            "subject": [np.nan, 2.0] + [np.nan] * n,
        },
    )
    record = waiting(f"f{i:02d}", labels, confirming(labels, SCHEMA), group="clip", kind="video_frame", index=i)
    return record if n else replace(record, verdict=Verdict.ACCEPT)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Room]:
    with Project.create(tmp_path / "yard") as project:
        room = Room(project, start(project, schema=SCHEMA))
        project.write([Stored(frame(i), i, 0.0) for i in range(FRAMES)])
        yield room


def clip_of(person: Any) -> dict[str, Any]:
    answer = person.get("/clips/f00?tab=t")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def told(person: Any) -> dict[int, tuple[str, bool, list[str]]]:
    """Return event -> class, whether it was denied, and who said so."""
    return {one["track"]: (one["class"], one["denied"], one["said"]) for one in clip_of(person)["events"]}


def answer(person: Any, frames: range, action: str, *rows: int, **more: Any) -> list[int]:
    """Answer some frames in one request."""
    names = [f"f{i:02d}" for i in frames]
    made = person.decide(*({"item": one, "action": action, "rows": list(rows), **more} for one in names))
    assert made.status_code == 200, made.text
    return [one["seq"] for one in made.json()["made"]]


def lanes(room: Room, frames: range) -> set[str]:
    return {room.project.state(f"f{i:02d}")["lane"] for i in frames}


def test_events_with_their_attributes_and_numbers(yard: Room) -> None:
    clip = clip_of(yard.person("vic", "viewer"))
    assert clip["events"] == [
        {
            **{"track": LOITERING, "class": "loitering", "first": 2, "last": 5, "denied": False, "said": []},
            "attributes": {"start": 0.5, "participants": "1"},
        },
        {
            **{"track": HANDOVER, "class": "handover", "first": 7, "last": 9, "denied": False, "said": []},
            "attributes": {"start": 0.5, "participants": "1,2"},
        },
    ]
    assert (clip["next_track"], clip["next_event"]) == (3, 102)
    assert [frame["asks"] for frame in clip["frames"]] == [""] * FRAMES


def test_the_schema_tells_how_many_people_a_class_wants(yard: Room) -> None:
    classes = yard.person("ann").get("/session").json()["data_schema"]["classes"]
    assert {one["name"]: one["confirmations"] for one in classes} == {
        **{"person": 0, "event": 0},
        **{"loitering": 1, "handover": 2},
    }


def test_one_person_confirms_and_takes_it_back(yard: Room) -> None:
    ann = yard.person("ann")
    seqs = answer(ann, LOITERS, "accept", 2)
    assert told(ann)[LOITERING] == ("loitering", False, ["ann"])
    assert lanes(yard, LOITERS) == {""}
    assert told(yard.person("vic", "viewer"))[LOITERING] == ("loitering", False, ["ann"])
    assert ann.undo(*seqs).status_code == 200
    assert told(ann)[LOITERING] == ("loitering", False, [])
    assert lanes(yard, LOITERS) == {"review"}


def test_what_was_denied_is_told_with_who_denied_it(yard: Room) -> None:
    ann = yard.person("ann")
    seqs = answer(ann, LOITERS, "reject", 2)
    (one,) = [one for one in clip_of(ann)["events"] if one["denied"]]
    assert (one["track"], one["class"], one["said"], one["first"], one["last"]) == (LOITERING, "loitering", ["ann"], 2, 5)
    assert one["attributes"]["participants"] == "1"
    ann.undo(*seqs)
    assert told(ann)[LOITERING] == ("loitering", False, [])


def test_all_frames_or_none(yard: Room) -> None:
    ann, ben = yard.person("ann"), yard.person("ben")
    held = {f"f{i:02d}": ann.item(f"f{i:02d}")["state"]["annotation"] for i in LOITERS}
    ben.done("f04", "reject", rows=[2])
    late = ann.decide(*({"item": one, "action": "accept", "rows": [2], "annotation": held[one]} for one in held))
    assert late.status_code == 409
    assert told(ann)[LOITERING] == ("loitering", False, [])
    assert yard.project.state("f02")["decision"] == 0


def test_a_second_person_is_not_told_what_the_first_said(yard: Room) -> None:
    ann, ben = yard.person("ann"), yard.person("ben")
    answer(ann, HANDS, "accept", 2)
    assert lanes(yard, HANDS) == {"second"}
    assert told(ann)[HANDOVER] == ("handover", False, ["ann"])
    clip = clip_of(ben)
    assert [frame["asks"] for frame in clip["frames"]] == ["second" * (i in HANDS) for i in range(FRAMES)]
    assert {(box[0], box[9]) for box in clip["boxes"] if box[3] == HANDOVER} == {(i, 1) for i in HANDS}
    assert told(ben)[HANDOVER] == ("handover", False, [])
    answer(ben, HANDS, "accept")
    assert lanes(yard, HANDS) == {""}
    assert told(ben)[HANDOVER] == ("handover", False, ["ann", "ben"])


@pytest.mark.parametrize("first", ["accept", "reject"])
def test_a_second_person_sees_the_same_whatever_the_first_said(yard: Room, first: str) -> None:
    ann, ben = yard.person("ann"), yard.person("ben")
    before = clip_of(yard.person("vic", "viewer"))
    answer(ann, HANDS, first, 2)
    seen = clip_of(ben)
    assert seen["events"] == before["events"]
    assert [box[:9] for box in seen["boxes"]] == [box[:9] for box in before["boxes"]]


def test_two_who_differ_confirm_nothing(yard: Room) -> None:
    ann, ben = yard.person("ann"), yard.person("ben")
    answer(ann, HANDS, "accept", 2)
    answer(ben, HANDS, "edit", changes={"drop": [2]})
    assert lanes(yard, HANDS) == {"adjudicate"}
    assert told(ann)[HANDOVER] == ("handover", False, ["ann"])
    assert {frame["asks"] for frame in clip_of(ann)["frames"]} == {""}


@pytest.mark.parametrize("first", ["accept", "reject"])
def test_an_adjudicator_chooses_for_all_frames(yard: Room, first: str) -> None:
    ann, ben, kim = yard.person("ann"), yard.person("ben"), yard.person("kim", "adjudicator")
    answer(ann, HANDS, first, 2)
    denied = {"changes": {"drop": [2]}}
    answer(ben, HANDS, "edit" if first == "accept" else "accept", **(denied if first == "accept" else {}))
    clip = clip_of(kim)
    asked = {i: frame["annotation"] for i, frame in enumerate(clip["frames"]) if frame["asks"] == "adjudicate"}
    assert list(asked) == [*HANDS]
    assert {(box[0], box[9]) for box in clip["boxes"] if box[3] == HANDOVER} == {(i, 1) for i in HANDS}
    made = kim.decide(*({"item": f"f{i:02d}", "action": "adjudicate", "annotation": held} for i, held in asked.items()))
    assert made.status_code == 200, made.text
    assert lanes(yard, HANDS) == {""}
    assert told(kim)[HANDOVER][:2] == ("handover", False)


def test_who_differ_about_more_are_adjudicated_picture_by_picture(yard: Room) -> None:
    ann, ben, kim = yard.person("ann"), yard.person("ben"), yard.person("kim", "adjudicator")
    answer(ann, HANDS, "accept", 2)
    answer(ben, HANDS, "edit", changes={"drop": [1, 2]})
    assert {frame["asks"] for frame in clip_of(kim)["frames"]} == {""}


def test_who_answers_blind_is_told_of_no_event(yard: Room) -> None:
    ann = yard.person("ann")
    assert ann.take(1, mode="blind")
    clip = clip_of(ann)
    assert (clip["events"], clip["boxes"]) == ([], [])
    assert (clip["next_track"], clip["next_event"]) == (1000, 1000)


def test_an_event_added_by_hand_is_confirmed_by_who_added_it(yard: Room) -> None:
    ann = yard.person("ann")
    tag = {"class": "loitering", "kind": "tag", "box": [0, 0, 200, 100], "track": 102, "attributes": {"start": 0.0}}
    answer(ann, range(2), "edit", changes={"add": [tag]})
    (one,) = [one for one in clip_of(ann)["events"] if one["track"] == 102]
    assert (one["first"], one["last"], one["said"], one["denied"]) == (0, 1, ["ann"], False)


def test_what_is_no_number_of_a_track_is_passed_over() -> None:
    assert mentions.tracks_in(f" 7,x,3,,²,{'9' * 5000},-1") == [7, 3]
    assert mentions.joined(["10,9", "9, 2", ""]) == "2,9,10"
    labels = Labels.of([0], [[0, 0, 9, 9]], track=[1], attributes={"participants": ["me and 1"], "subject": [4.0]})
    assert mentions.renumbered(labels, {1: 2}, SCHEMA) is labels
    assert (
        mentions.renumbered(labels, {4: 2}, Schema.from_config({"name": "s", "kinds": ["box"], "classes": {"a": {}}})) is labels
    )


def test_numbers_never_meet() -> None:
    assert next_tracks(set(), set()) == (0, 0)
    assert next_tracks({0, 4}, {5, 6}) == (7, 7)
    assert next_tracks({1, 2}, {1_000_000}) == (3, 1_000_001)
    assert next_tracks({9}, {2}) == (10, 10)


def test_crops_have_an_address(yard: Room) -> None:
    clip = clip_of(yard.person("ann"))
    url = clip["crop"].format(item="f03", annotation=clip["frames"][3]["annotation"], row=1)
    assert url == yard.desk.media.crop_url("f03", clip["frames"][3]["annotation"], 1)


def held(room: Room, name: str) -> tuple[list[int], list[Any], list[Any]]:
    """Return tracks, participants and subjects of the labels that hold."""
    labels = room.project.labels_of(room.project.state(name)["annotation"])[2]
    return labels.track.tolist(), labels.attributes["participants"].tolist(), labels.attributes["subject"].tolist()


def another(room: Room, person: Any, frames: range, numbers: dict[int, int]) -> None:
    """Give a box another track, and say so in what names it."""
    for i in frames:
        row = held(room, f"f{i:02d}")[0].index(next(iter(numbers)))
        label = {**person.item(f"f{i:02d}")["labels"][row], "track": next(iter(numbers.values()))}
        changes = {"put": {str(row): label}, "renumber": {str(old): new for old, new in numbers.items()}}
        person.done(f"f{i:02d}", "edit", changes=changes, done=False)


def test_a_track_of_another_number_is_followed_where_labels_name_it(yard: Room) -> None:
    ann = yard.person("ann")
    another(yard, ann, HANDS, {2: 5})
    tracks, participants, subjects = held(yard, "f08")
    assert (tracks, participants) == ([1, 5, HANDOVER], [None, None, "1,5"])
    assert subjects[1] == 5
    assert lanes(yard, HANDS) == {"review"}, "an event that waited goes on waiting"
    assert told(ann)[HANDOVER] == ("handover", False, [])
    assert held(yard, "f03")[1] == [None, None, "1"]
    another(yard, ann, HANDS, {1: 9})
    assert held(yard, "f08")[1] == [None, None, "5,9"], "kept in order"
    another(yard, ann, HANDS, {9: 5})
    assert held(yard, "f08")[1] == [None, None, "5"], "nobody twice"


def test_all_who_take_part_in_some_frame_are_told(yard: Room) -> None:
    ann = yard.person("ann")
    another(yard, ann, range(8, 10), {2: 11})
    (one,) = [one for one in clip_of(ann)["events"] if one["track"] == HANDOVER]
    assert one["attributes"]["participants"] == "1,2,11"


def test_who_confirmed_an_event_of_other_people_says_so_again(yard: Room) -> None:
    ann, ben = yard.person("ann"), yard.person("ben")
    answer(ann, HANDS, "accept", 2)
    answer(ben, HANDS, "accept")
    assert told(ann)[HANDOVER] == ("handover", False, ["ann", "ben"])
    another(yard, ann, HANDS, {2: 5})
    assert told(ann)[HANDOVER] == ("handover", False, ["ann"])
    assert lanes(yard, HANDS) == {"second"}
    answer(ben, HANDS, "accept")
    assert told(ann)[HANDOVER] == ("handover", False, ["ann", "ben"])
    assert lanes(yard, HANDS) == {""}
    assert yard.project.verify().ok


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Room]:
    """Give the yard with all labels open: somebody must look at the people too."""
    with Project.create(tmp_path / "asked") as project:
        room = Room(project, start(project, schema=SCHEMA))
        look = Flag("ident", "doubt", Severity.REVIEW, (0, 1), "look")
        records = [frame(i) for i in range(FRAMES)]
        records = [replace(one, flags=(*one.flags, look), verdict=Verdict.REVIEW) for one in records]
        project.write([Stored(one, i, 0.0) for i, one in enumerate(records)])
        yield room
        report = project.verify()
        assert report.ok, report.problems


def said(room: Room, i: int) -> tuple[str, dict[str, str]]:
    state = room.project.state(f"f{i:02d}")
    return state["lane"], state["said"]


@pytest.mark.parametrize(("word", "lane"), [("unsure", "second"), ("repair", "repair")])
@pytest.mark.parametrize(("frames", "track"), [(LOITERS, 1), (HANDS, 2)])
def test_an_event_in_doubt_stays_so_when_a_track_that_it_names_is_split(
    asked: Room, word: str, lane: str, frames: range, track: int
) -> None:
    ann = asked.person("ann")
    answer(ann, frames, word, 2)
    another(asked, ann, frames, {track: 5})
    answer(ann, frames, "accept", 2 - track)
    assert said(asked, frames[0]) == (lane, {})
    assert asked.project.state(f"f{frames[0]:02d}")["open"] == "2"
    assert {int(c) for one in asked.project.released() for c in one.labels.class_id} == {SCHEMA.class_id("person")}


def test_a_split_before_the_first_answer_leaves_the_second_one_what_it_is(yard: Room) -> None:
    ann, ben = yard.person("ann"), yard.person("ben")
    another(yard, ann, HANDS, {2: 5})
    answer(ann, HANDS, "accept", 2)
    assert {box[3] for box in clip_of(ben)["boxes"] if box[0] == 8} == {1, 2, HANDOVER}, "as the machine has it"
    answer(ben, HANDS, "accept")
    assert said(yard, 8) == ("", {"ann": "2", "ben": "2"})
    assert yard.project.verify().ok


def test_who_edits_another_label_confirms_no_event(asked: Room) -> None:
    ann, ben = asked.person("ann"), asked.person("ben")
    answer(ann, HANDS, "accept", 2)
    for i in HANDS:
        box = {**ben.item(f"f{i:02d}")["labels"][0], "box": [11, 10, 31, 60]}
        ben.done(f"f{i:02d}", "edit", changes={"put": {"0": box}}, done=False)
    assert said(asked, 8) == ("review", {"ann": "2"})
    another(asked, ben, HANDS, {1: 7})
    assert said(asked, 8) == ("review", {"ben": "2"}), "who changes who takes part says that it is so"
    answer(ben, HANDS, "accept", 1)
    assert asked.project.confirmations(["f08"])["f08"].tolist() == [0, 0, 1]
    answer(ann, LOITERS, "accept", 2)
    ben.done("f03", "edit", changes={"put": {"0": ben.item("f03")["labels"][0]}})
    assert said(asked, 3)[1] == {"ann": "2", "ben": "2"}, "an edit of all is a word on all"


def test_numbers_that_nothing_names_are_no_decision(asked: Room) -> None:
    ann, ben = asked.person("ann"), asked.person("ben")
    answer(ann, HANDS, "accept", 2)
    before = asked.project.state("f08")
    held = {name: asked.project.state(name)["annotation"] for name in ("f03", "f08")}
    given = [
        {"item": name, "action": "edit", "changes": {"renumber": {"1": 9}, "drop": []}, "done": False, "annotation": number}
        for name, number in held.items()
    ]
    given[1]["changes"] = {"renumber": {"77": 9}}
    made = [ben.decide(*given, key="again") for _ in range(2)]
    assert [one.status_code for one in made] == [200, 200]
    assert [[one["item"] for one in each.json()["made"]] for each in made] == [["f03"], ["f03"]]
    assert made[0].json() == made[1].json()
    assert asked.project.state("f08") == before
    assert ben.decide(given[1]).json() == {"made": []}
    assert ben.decide(given[0], {"item": "f00", "action": "accept"}, key="again").status_code == 409


def test_an_event_is_told_as_the_frame_that_the_fewest_confirmed(asked: Room) -> None:
    ann, ben = asked.person("ann"), asked.person("ben")
    answer(ann, HANDS, "accept", 2)
    assert told(ben)[HANDOVER] == ("handover", False, ["ann"])
    another(asked, ben, range(9, 10), {2: 5})
    assert told(ann)[HANDOVER] == ("handover", False, ["ann"]), "as many on each"
    another(asked, ben, range(7, 9), {2: 5})
    assert told(ann)[HANDOVER] == ("handover", False, ["ben"])
    ann.done("f07", "reject")
    assert told(ann)[HANDOVER] == ("handover", False, ["ben"]), "a frame with nothing on it says nothing"
    answer(ann, range(8, 9), "repair", 2)
    assert told(ann)[HANDOVER] == ("handover", False, [])


@pytest.mark.parametrize("numbers", [{"x": 1}, {"-1": 2}, {"1": -1}, {"1": 2**31}, {str(i): 1 for i in range(101)}])
def test_numbers_that_no_track_has_are_refused(yard: Room, numbers: dict[str, int]) -> None:
    ann = yard.person("ann")
    assert ann.decide({"item": "f08", "action": "edit", "changes": {"renumber": numbers}, "done": False}).status_code == 422
    assert yard.project.state("f08")["decision"] == 0


def test_an_event_of_an_hour_is_confirmed_as_a_whole(tmp_path: Path) -> None:
    n = 30_000
    one = frame(LOITERS[0])
    with Project.create(tmp_path / "hour") as project:
        room = Room(project, start(project, schema=SCHEMA))
        items = [replace(one.item, id=f"f{i:05d}", uri=f"f{i:05d}.jpg", index=i) for i in range(n)]
        project.write([Stored(replace(one, item=item), i, 0.0) for i, item in enumerate(items)])
        before = project.states([item.id for item in items])
        held = {key: state["annotation"] for key, state in before.items()}
        given = [{"item": key, "action": "accept", "rows": [2], "annotation": number} for key, number in held.items()]
        made = room.person("ann").decide(*given)
        assert made.status_code == 200, made.text[:300]
        assert len(made.json()["made"]) == n
        assert {state["lane"] for state in project.states(before).values()} == {""}


def test_as_much_is_taken_back_and_no_request_is_without_bound() -> None:
    wire.Undo(decisions=list(range(wire.MOST)), tab="t")
    with pytest.raises(ValidationError):
        wire.Undo(decisions=list(range(wire.MOST + 1)), tab="t")
    longest = {"item": "x" * 40, "action": "edit", "annotation": 10**9, "active_ms": 10**5, "done": False, "rows": []}
    label = {"class": "x" * 20, "kind": "box", "box": [1234.56789] * 4, "score": 1.0, "shape": None, "track": 10**6}
    changes = {"put": {"10": {**label, "attributes": {"place": "x" * 40}}}, "renumber": {"1000": 1001}, "add": [], "drop": []}
    assert wire.MOST * len(json.dumps({**longest, "changes": changes})) < MAX_BODY, "a split over as many frames fits"
