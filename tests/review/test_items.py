"""What is told of one item, and of what was decided."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hyla.store import Project
from hyla.types import Flag, Kind, Labels, Severity
from review_kit import LOW, SCORE, Room, box_labels, code, label, waiting


def test_an_item_with_all_that_is_known_of_it(room: Room) -> None:
    flags = (LOW, Flag("size", "too_small", Severity.NOTE, (1, 2), "8 px"), Flag("dark", "dark", Severity.REVIEW))
    room.store(waiting("i0", flags=flags))
    item = room.person("vic", "viewer").item("i0")
    assert (item["id"], item["name"], item["view"], item["size"], item["mode"]) == ("i0", "i0.jpg", "image", [100, 200], "single")
    assert item["state"] == {"annotation": 1, "open": [0, 1, 2], "lane": "review", "outcome": None, "decision": 0}
    assert item["labels"][1] == {
        "class": "lorry",
        "kind": "box",
        "box": [10, 5, 18, 40],
        "score": SCORE,
        "shape": None,
        "track": -1,
        "attributes": {"occluded": True},
        "evidence": {"margin": 0.25},
    }
    assert [(f["reason"], f["severity"], f["rows"]) for f in item["flags"]] == [
        ("low_score", "review", [0]),
        ("too_small", "note", [1, 2]),
        ("dark", "review", []),
    ]
    assert item["reason"] == "low_score"
    assert item["context"] == {"weather": "dry"}
    assert item["media"]["image"].startswith("/media/i0/")
    assert item["frame"] == {"kind": "pixel"}
    assert item["opinions"] == []


def test_only_the_flagged_label_is_open(room: Room) -> None:
    room.store(waiting("i0"))
    assert room.person("ann").item("i0")["state"]["open"] == [0]


def test_flags_follow_their_labels(room: Room) -> None:
    flags = (LOW, Flag("size", "too_small", Severity.REVIEW, (1, 2), "8 px"))
    room.store(waiting("i0", flags=flags))
    ann = room.person("ann")
    ann.done("i0", "reject", rows=[0])
    item = ann.item("i0")
    assert [(f["reason"], f["rows"]) for f in item["flags"]] == [("too_small", [0, 1])]
    assert item["state"]["open"] == [0, 1]
    ann.done("i0", "edit", changes={"put": {"0": label()}}, done=False)
    assert [(f["reason"], f["rows"]) for f in ann.item("i0")["flags"]] == [("too_small", [1])]


def test_the_etag_changes_with_the_labels_and_with_decisions(room: Room) -> None:
    room.store(waiting("i0"))
    ann = room.person("ann")

    def tag() -> str:
        return str(ann.get("/items/i0?tab=t").headers["etag"])

    tags = [tag(), tag()]
    ann.done("i0", "accept")
    tags.append(tag())
    ann.done("i0", "edit", changes={"drop": [0]})
    tags.append(tag())
    assert tags[0] == tags[1]
    assert len(set(tags)) == 3


def test_an_item_that_is_not_there(room: Room) -> None:
    room.store(waiting("i0"))
    ann = room.person("ann")
    for path in ("/items/nowhere?tab=t", "/items/..%2f..%2fetc%2fpasswd?tab=t", "/clips/nowhere?tab=t"):
        assert code(ann.get(path)) == (404, "item")


def test_an_id_may_hold_slashes_and_markup(room: Room) -> None:
    name = "a/b <b>&\u202e.x"
    room.store(waiting(name))
    ann = room.person("ann")
    assert ann.take() == [name]
    path = "a%2Fb%20%3Cb%3E%26%E2%80%AE.x"
    assert ann.item(path)["id"] == name
    assert ann.take_one(path).status_code == 200
    answer = ann.get(f"/items/{path}?tab=t")
    assert answer.headers["content-type"] == "application/json"


def test_no_labels_at_all(room: Room) -> None:
    room.store(waiting("i0", Labels.empty(), flags=(Flag("r", "empty", Severity.REVIEW),)))
    item = room.person("ann").item("i0")
    assert (item["labels"], item["state"]["open"], item["flags"][0]["rows"]) == ([], [], [])


def test_five_thousand_labels_travel(room: Room) -> None:
    n = 5000
    labels = Labels.of(np.ones(n, dtype=int), np.tile([1.0, 2, 3, 4], (n, 1)), score=np.full(n, 0.5))
    room.store(waiting("i0", labels))
    assert len(room.person("ann").item("i0")["labels"]) == n


def test_every_kind_of_label_comes_back_as_it_was_sent(gallery: Callable[..., Path]) -> None:
    source = "photo 4 9\nclip 1 3\nvolume 1\nraster 1\ntiny 1\nempty 1"
    with Project.open(gallery(source)) as project:
        ann = Room(project).person("ann", "admin")
        kinds: set[str] = set()
        for record in list(project.records("model")):
            item = ann.item(record.item.id)
            put = {str(row): one for row, one in enumerate(item["labels"])}
            made = ann.done(record.item.id, "edit", changes={"put": put, "context": item["context"]})
            kept = project.labels_of(made["state"]["annotation"])[2]
            record.labels.score[:] = 1
            record.labels.evidence.clear()
            flat = record.labels.kind != Kind.TAG  # whose box is the whole picture, whatever a model said
            assert kept[flat] == record.labels[flat], record.item.id
            kinds |= {one["kind"] for one in item["labels"]}
        assert kinds == {kind.word for kind in Kind}
        assert project.verify().ok


# History.


def test_history_is_last_first_and_says_what_stands(room: Room) -> None:
    room.store(waiting("i0"), waiting("i1"))
    ann, ben = room.person("ann"), room.person("ben")
    first = ann.done("i0", "accept", active_ms=1200, note="clear")
    second = ben.done("i1", "repair", rows=[0])
    ann.undo(first["seq"])
    events = ann.get("/history").json()["events"]
    assert [(e["seq"], e["action"], e["who"], e["stands"]) for e in events] == [
        (3, "undo", "ann", False),
        (2, "repair", "ben", True),
        (1, "accept", "ann", False),
    ]
    assert (events[2]["name"], events[2]["active_ms"], events[2]["note"], events[2]["mode"]) == (
        "i0.jpg",
        1200,
        "clear",
        "single",
    )
    assert events[1]["rows"] == 1
    assert [e["seq"] for e in ann.get("/history?mine=true").json()["events"]] == [3, 1]
    assert [e["seq"] for e in ann.get("/history?item=i1").json()["events"]] == [second["seq"]]
    assert [e["seq"] for e in ann.get("/history?limit=1").json()["events"]] == [3]
    assert ann.get("/history?limit=101").status_code == 422


def test_a_redone_decision_stands_again(room: Room) -> None:
    room.store(waiting("i0"))
    ann = room.person("ann")
    made = ann.done("i0")
    undone = ann.undo(made["seq"]).json()["made"][0]
    assert ann.undo(undone["seq"]).status_code == 200
    assert [e["seq"] for e in ann.get("/history").json()["events"] if e["stands"]] == [made["seq"]]


def test_everything_needs_a_login(room: Room) -> None:
    room.store(waiting("i0", box_labels()))
    stranger = room.person("ann")
    stranger.http.cookies.clear()
    for path in ("/items/i0?tab=t", "/queue", "/history", "/clips/i0?tab=t", "/stats"):
        assert code(stranger.get(path)) == (401, "session")
    for path in ("/leases", "/leases/renew", "/leases/release", "/items/i0/lease", "/decisions", "/undo", "/grid"):
        assert stranger.post(path, {}, key="k").status_code in (401, 422)
