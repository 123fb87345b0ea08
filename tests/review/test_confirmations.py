"""Two people confirm through the page: different ones, each unswayed, and what they drew by hand as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hyla.errors import StoreError
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Kind, Labels
from review_kit import Room, code, waiting
from store_kit import start

MATCH = Schema.from_config(
    {
        "name": "yard",
        "kinds": ["box", "tag", "track"],
        "classes": {"thing": {}, "event": {"kinds": ["tag"], "confirmations": 1}, "match": {"confirmations": 2}},
        "attributes": {"entry": {"type": "text", "classes": ["match"]}},
    }
)
BOX = [10, 5, 18, 40]


def labels(*classes: int, entry: str = "17") -> Labels:
    return Labels.of(
        list(classes),
        [[0, 0, 200, 100] if c == 1 else BOX for c in classes],
        kind=[Kind.TAG if c == 1 else Kind.BOX for c in classes],
        score=[0.8] * len(classes),
        attributes={"entry": [entry if c == 2 else None for c in classes]},
    )


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with Project.create(tmp_path / "out") as project:
        made = Room(project, start(project, schema=MATCH))
        made.store(waiting("i0", labels(0, 2), ()), waiting("i1", labels(0), ()), waiting("i2", labels(2, 2), ()))
        yield made
        assert project.verify().ok


def out(room: Room, item: str) -> list[str]:
    """Return the classes of what may leave of an item."""
    return [MATCH.names[c] for one in room.project.released() for c in one.labels.class_id if one.item.id == item]


def state(made: dict[str, Any]) -> tuple[str, str | None]:
    return made["state"]["lane"], made["state"]["outcome"]


def test_a_match_is_read_by_two_who_do_not_see_each_other(room: Room) -> None:
    ann, ben = room.person("ann"), room.person("ben")
    shown = ann.item("i0")
    assert (shown["reason"], shown["state"]["lane"]) == ("needs_confirmation", "review")
    assert [flag["rows"] for flag in shown["flags"]] == [[1]]
    assert state(ann.done("i0")) == ("second", "accept")
    assert ann.take(lane="second") == []
    assert out(room, "i0") == ["thing"]
    assert ben.item("i0")["mode"] == "second"
    assert b"ann" not in ben.get("/history?item=i0").content
    assert state(ben.done("i0")) == ("", "accept")
    assert out(room, "i0") == ["thing", "match"]


def test_what_one_draws_by_hand_waits_for_another(room: Room) -> None:
    ann, ben = room.person("ann"), room.person("ben")
    drawn = {"class": "match", "kind": "box", "box": BOX, "attributes": {"entry": "5"}}
    assert state(ann.done("i1", "edit", changes={"add": [drawn]})) == ("second", "accept")
    assert out(room, "i1") == ["thing"]
    assert [one["class"] for one in ben.item("i1")["labels"]] == ["thing"]  # as the machine had it
    ben.done("i1", "edit", changes={"add": [drawn]})  # found by another, without having seen the first
    assert room.project.state("i1")["lane"] == ""
    assert out(room, "i1") == ["thing", "match"]


def test_an_adjudicator_alone_is_one(room: Room) -> None:
    ann, ben, kim = room.person("ann"), room.person("ben"), room.person("kim", "adjudicator")
    other = {"class": "match", "kind": "box", "box": BOX, "attributes": {"entry": "6"}}
    ann.done("i0")
    ben.done("i0", "edit", changes={"put": {"1": {**other}}})
    assert room.project.state("i0")["lane"] == "adjudicate"
    made = kim.done("i0", "adjudicate", changes={"put": {"1": {**other, "attributes": {"entry": "7"}}}})
    assert state(made) == ("second", "accept")
    assert out(room, "i0") == ["thing"]
    assert kim.take(lane="second") == []
    assert ann.take(lane="second") == ["i0"]  # who was overruled is asked again


def test_a_page_of_crops_by_one_person_is_one(room: Room) -> None:
    ann = room.person("ann")
    page = ann.post("/grid", {"tab": ann.tab, "class": "match", "n": 48}).json()["cells"]
    assert len(page) == 3
    given = [{"item": c["item"], "action": "accept", "rows": [c["row"]], "annotation": c["annotation"]} for c in page]
    assert ann.decide(*given, mode="grid").status_code == 200
    assert [room.project.state(name)["lane"] for name in ("i0", "i2")] == ["second", "second"]
    assert out(room, "i0") + out(room, "i2") == ["thing"]


def test_undo_and_redo_leave_as_many_people_as_there_are(room: Room) -> None:
    ann, ben = room.person("ann"), room.person("ben")
    ann.done("i0")
    seq = ben.done("i0")["seq"]
    assert out(room, "i0") == ["thing", "match"]
    undone = ben.undo(seq).json()["made"][0]["seq"]
    assert out(room, "i0") == ["thing"]
    assert ben.undo(undone).status_code == 200
    assert out(room, "i0") == ["thing", "match"]


def test_nobody_is_let_in_twice_under_one_name(room: Room) -> None:
    room.person("ann")
    for name in ("Ann", "a nn", "\uff21nn"):
        with pytest.raises(StoreError, match="differ in nothing but case or spaces"):
            room.project.invite(name, "reviewer")
    room.project.invite("ann", "admin")


def test_the_sender_can_not_say_how_it_was_answered(room: Room) -> None:
    ann = room.person("ann")
    for mode in ("simulated", "import"):
        assert code(ann.decide({"item": "i0", "action": "accept"}, mode=mode))[0] == 422
