"""A whole clip in one answer."""

from __future__ import annotations

from typing import Any

from hyla.store import Stored
from hyla.types import Flag, Severity
from review_kit import LORRY, LOW, SCORE, TWICE, Room, box_labels, clip_of, code, label, waiting


def test_all_frames_and_all_labels(room: Room) -> None:
    room.store(*clip_of(3, each=2), *clip_of(2, "other"))
    clip = room.person("vic", "viewer").get("/clips/clip0001?tab=t").json()
    assert (clip["group"], clip["size"], clip["next_track"]) == ("clip", [100, 200], 2)
    assert [(f["item"], f["index"], f["seconds"], f["annotation"]) for f in clip["frames"]] == [
        ("clip0000", 0, 0, 1),
        ("clip0001", 1, 0.1, 2),
        ("clip0002", 2, 0.2, 3),
    ]
    assert clip["frames"][0]["image"].startswith("/media/clip0000/")
    assert clip["boxes"][:3] == [
        [0, 0, LORRY, 0, 0, 5, 8, 40, SCORE, 1],
        [0, 1, LORRY, 1, 10, 5, 18, 40, SCORE, 0],
        [1, 0, LORRY, 0, 0, 5, 8, 40, SCORE, 1],
    ]
    assert clip["kinds"] == [1] * 6
    assert clip["suspects"] == [[0, 0, "low_score"], [0, 1, "low_score"], [0, 2, "low_score"]]


def test_what_holds_is_shown_and_flags_follow_it(room: Room) -> None:
    flags = (
        Flag("r", "jump", Severity.REVIEW, (1, 2)),
        Flag("n", "note", Severity.NOTE, (0,)),
        Flag("p", "dark", Severity.REVIEW),
    )
    room.store(*clip_of(2, flags=flags))
    ann = room.person("ann")
    ann.done("clip0000", "edit", changes={"drop": [1], "add": [label(track=7)]})
    clip = ann.get("/clips/clip0000?tab=t").json()
    frame = clip["frames"][0]
    assert (frame["lane"], frame["outcome"], frame["annotation"]) == ("", "accept", 3)
    assert [box[3] for box in clip["boxes"]] == [0, 2, 7, 0, 1, 2]
    assert [box[9] for box in clip["boxes"]] == [0, 0, 0, 1, 1, 1]
    assert clip["suspects"] == [[2, 0, "jump"], [1, 1, "jump"], [2, 1, "jump"]]
    assert clip["next_track"] == 8


def test_labels_without_a_track_are_no_suspects(room: Room) -> None:
    room.store(waiting("f0", box_labels(2), group="clip", kind="video_frame", index=0))
    clip = room.person("ann").get("/clips/f0?tab=t").json()
    assert (clip["suspects"], clip["next_track"]) == ([], 0)


def test_what_is_no_clip(room: Room) -> None:
    room.store(waiting("i0"))
    assert code(room.person("ann").get("/clips/i0?tab=t")) == (404, "clip")


def test_a_second_reader_sees_the_first_answer_on_no_frame(room: Room) -> None:
    room.store(*clip_of(3, flags=(LOW, TWICE)))
    ann, ben = room.person("ann"), room.person("ben")
    ann.done("clip0001", "edit", changes={"put": {"0": label(box=[131, 2, 177, 9], track=50)}})
    answer = ben.get("/clips/clip0000?tab=t")
    clip = answer.json()
    assert b"131" not in answer.content
    frame = clip["frames"][1]
    assert (frame["annotation"], frame["lane"], frame["outcome"]) == (2, "second", None)
    assert [box for box in clip["boxes"] if box[0] == 1] == [[1, *box[1:]] for box in clip["boxes"] if box[0] == 0]
    assert clip["next_track"] == 1000  # whatever numbers the first answer gave
    assert b"131" in ann.get("/clips/clip0000?tab=t").content


def test_a_clip_that_was_seen_is_not_answered_blind(room: Room) -> None:
    room.store(*clip_of(3), waiting("i0"))
    ann = room.person("ann")
    ann.get("/clips/clip0000?tab=t")
    assert ann.take(1, mode="blind") == ["i0"]


def test_a_track_is_split_in_one_request(room: Room) -> None:
    room.store(*clip_of(4, each=1))
    ann = room.person("ann")
    clip = ann.get("/clips/clip0000?tab=t").json()

    def moved(frame: int, row: int, track: int, box: list[float]) -> dict[str, Any]:
        one = clip["frames"][frame]
        put = {str(row): label(box=box, track=track)}
        return {"item": one["item"], "annotation": one["annotation"], "action": "edit", "changes": {"put": put}, "done": False}

    later = [moved(f, r, clip["next_track"], [*b[4:8]]) for b in clip["boxes"] if b[0] >= 2 for f, r in [b[:2]]]
    answer = ann.decide(*later)
    assert answer.status_code == 200
    clip = ann.get("/clips/clip0000?tab=t").json()
    assert [box[3] for box in clip["boxes"]] == [0, 0, 1, 1]
    ann.undo(*(one["seq"] for one in answer.json()["made"]))
    clip = ann.get("/clips/clip0000?tab=t").json()
    assert [box[3] for box in clip["boxes"]] == [0, 0, 0, 0]


def test_five_thousand_frames(room: Room) -> None:
    frames = clip_of(5000, each=5)
    for first in range(0, 5000, 500):
        room.project.write([Stored(one, first + i, 0.0) for i, one in enumerate(frames[first : first + 500])])
    ann = room.person("ann")
    boxes = ann.get("/clips/clip2500?tab=t").json()["boxes"]
    assert [len(boxes), boxes[0][:2], boxes[-1][:2]] == [25_000, [0, 0], [4999, 4]]
