"""What a lot asks looks the same whatever it is asked for: drawn for the audit, to be reviewed, or planted with an error."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hyla.decide.route import Route
from hyla.store import Twin
from hyla.types import Flag, Severity, item_id
from review_kit import LOW, Person, Room, box_labels, clip_of, label, waiting
from store_kit import lot_of

NOTE = Flag("size", "tiny", Severity.NOTE, (1,), "8 pixels wide")
NEAR = Flag("near", "too_near", Severity.HUMAN, (2,), "an adult must look")
ROUTED, AUDITED, ORIGINAL, CALLED = (item_id(f"{name}.jpg") for name in ("p1", "p2", "p3", "p4"))
WRONG = box_labels(3)[[0, 1]]


def named(name: str, *flags: Flag) -> Any:
    one = waiting(item_id(f"{name}.jpg"), flags=flags)
    return replace(one, item=replace(one.item, uri=f"{name}.jpg"))


@pytest.fixture
def twin(room: Room) -> str:
    """Store an item to be reviewed, one to be audited, one that a flag calls people to, and a planted copy; return that."""
    room.store(named("p1", LOW, NOTE), named("p2", NOTE), named("p3"), named("p4", LOW, NEAR))
    lot = room.project.freeze(lot_of([ROUTED, AUDITED, ORIGINAL, CALLED], 3), {})
    whole = {"whole": True, "rows": (0, 1, 2)}
    routes = [Route(ROUTED, **whole, priority=0.25), Route(AUDITED, **whole, priority=0.5), Route(CALLED, priority=0.75)]
    room.project.route(lot, [*routes, Route(ORIGINAL)])
    return room.project.plant(lot, [Twin(ORIGINAL, WRONG, {"kind": "delete"}, priority=0.625)])[0]


def item_of(one: dict[str, Any]) -> dict[str, Any]:
    """Return all of an answer about an item but what follows from its name, its picture and its labels."""
    text = repr({name: value for name, value in one.items() if name not in ("labels", "context")})
    text = re.sub(r"'open': \[[\d, ]*\]", "'open': ...", text)
    text = re.sub(r"'annotation': \d+", "'annotation': N", text)
    text = re.sub(r"p[123]-[0-9a-f]{12}", "NAME-HASH", text)
    return {"said": re.sub(r"p[123]\.jpg", "NAME.jpg", text), "keys": sorted(one)}


def test_items_look_the_same(room: Room, twin: str) -> None:
    ann = room.person("ann")
    routed, audited, planted = (item_of(ann.item(name)) for name in (ROUTED, AUDITED, twin))
    assert routed == audited == planted
    shown = ann.item(ROUTED)
    assert (shown["reason"], shown["flags"], shown["state"]["lane"], shown["mode"]) == ("lot", [], "review", "single")
    for name in (ROUTED, AUDITED, twin):
        answer = ann.get(f"/items/{name}?tab=t")
        for word in ("low_score", "tiny", "audit", "twin", "plant", "seed", "route", "priority", "second"):
            assert word.encode() not in answer.content.replace(name.encode(), b""), word
        assert set(answer.headers) == set(ann.get(f"/items/{ROUTED}?tab=t").headers)


def test_labels_of_a_twin_have_what_others_have(room: Room, twin: str) -> None:
    ann = room.person("ann")
    assert {frozenset(one) for one in ann.item(twin)["labels"]} == {frozenset(one) for one in ann.item(ROUTED)["labels"]}


def test_heads_look_the_same_and_come_by_priority(room: Room, twin: str) -> None:
    ann = room.person("ann")
    heads = ann.post("/leases", {"tab": ann.tab, "n": 4, "reason": "lot"}).json()["items"]
    assert [one["id"] for one in heads] == [ROUTED, AUDITED, twin]
    assert len({str(item_of(one)) for one in heads}) == 1
    assert {(one["lane"], one["reason"], one["view"]) for one in heads} == {("review", "lot", "image")}
    single = [ann.take_one(name).json()["items"][0] for name in (ROUTED, AUDITED, twin)]
    assert len({str(item_of(one)) for one in single}) == 1


def test_the_grid_looks_the_same(room: Room, twin: str) -> None:
    ann = room.person("ann")
    cells = ann.post("/grid", {"tab": ann.tab, "class": "lorry", "reason": "lot"}).json()["cells"]
    assert {one["item"] for one in cells} == {ROUTED, AUDITED, twin}
    assert len({(tuple(sorted(one)), one["reason"], one["score"]) for one in cells}) == 1


def test_pictures_are_at_addresses_of_the_same_form(room: Room, twin: str) -> None:
    ann = room.person("ann")
    told = {name: ann.item(name)["media"] for name in (ROUTED, twin)}
    assert told[twin]["image"] == told[ROUTED]["image"].replace(ROUTED, twin)


def figures(one: Person) -> tuple[Any, ...]:
    queue, stats = one.get("/queue").json(), one.get("/stats").json()
    waits = sum(lane["waiting"] for lane in queue["lanes"])
    counted = [queue[name] for name in ("items", "waiting", "decided")], [stats[name] for name in ("items", "waiting", "decided")]
    done = sum(pace["n"] for pace in stats["pace"]), sum(hour["n"] for hour in stats["hours"]), stats["untouched"]["single"]["n"]
    return waits, counted, done


def test_no_figure_moves_otherwise_for_a_twin(room: Room, twin: str) -> None:
    lot = 1
    room.project.plant(lot, [Twin(ORIGINAL, WRONG)])  # one that waits on
    ann = room.person("ann")
    ann.done(CALLED, active_ms=1000)
    seen = [figures(ann)]
    for name in (ROUTED, twin, AUDITED):
        ann.done(name, active_ms=2000)
        seen.append(figures(ann))
    for before, after in pairwise(seen):
        assert after[0] == before[0] - 1
        assert after[1] == tuple([n, w - 1, d + 1] for n, w, d in before[1])
        assert after[2] == tuple(n + 1 for n in before[2])
    assert {frozenset(one) for one in ann.get("/history").json()["events"]} == {
        frozenset(ann.get("/history").json()["events"][0])
    }


def test_once_none_waits_twins_count_nowhere(room: Room, twin: str) -> None:
    ann = room.person("ann")
    ann.done(ROUTED, active_ms=1000)
    assert (ann.get("/stats").json()["items"], ann.get("/queue").json()["items"]) == (5, 5)
    ann.done(twin, "edit", changes={"add": [label()]}, active_ms=1000)
    stats, queue = ann.get("/stats").json(), ann.get("/queue").json()
    assert (stats["items"], queue["items"], stats["decided"], queue["decided"]) == (4, 4, 1, 1)
    assert [one["n"] for one in stats["pace"]] == [1]
    assert stats["untouched"]["single"]["n"] == 1


def test_flags_that_call_people_are_shown_and_the_others_once_it_is_answered(room: Room, twin: str) -> None:
    ann = room.person("ann")
    shown = ann.item(CALLED)
    assert ([one["reason"] for one in shown["flags"]], shown["reason"], shown["state"]["open"]) == (["too_near"], "too_near", [2])
    for name in (CALLED, ROUTED):
        ann.done(name)
    assert [one["reason"] for one in ann.item(CALLED)["flags"]] == ["low_score", "too_near"]
    assert [one["reason"] for one in ann.item(ROUTED)["flags"]] == ["low_score", "tiny"]


def test_a_second_reader_sees_what_the_lot_asks(room: Room, twin: str) -> None:
    whole = {"whole": True, "rows": (1,), "second": True}
    room.project.route(1, [Route(ROUTED, **whole)])
    room.project.plant(1, [Twin(ORIGINAL, box_labels(3), rows=(1,), second=True)])
    other = next(one for one in room.project.planted() if one != twin)
    ann, ben = room.person("ann"), room.person("ben")
    for name in (ROUTED, other):
        assert ann.item(name)["state"]["open"] == [1]
        assert ann.done(name)["state"]["lane"] == "second"
    shown, planted = ben.item(ROUTED), ben.item(other)
    assert (shown["mode"], shown["state"]["open"], shown["flags"]) == ("second", [1], [])
    assert item_of(shown) == item_of(planted)


def test_crops_leave_the_whole_picture_to_be_seen(room: Room, twin: str) -> None:
    ann = room.person("ann")
    cells = ann.post("/grid", {"tab": ann.tab, "class": "lorry", "reason": "lot"}).json()["cells"]
    for name in (ROUTED, twin):
        made = ann.decide(
            *({"item": name, "action": "accept", "rows": [one["row"]]} for one in cells if one["item"] == name), mode="grid"
        )
        assert made.json()["made"][-1]["state"] == {**ann.item(name)["state"], "open": [], "lane": "review", "outcome": None}
    ann.post("/leases/release", {"tab": ann.tab, "items": [ROUTED, AUDITED, twin]})
    assert ann.take(9, reason="lot") == [ROUTED, AUDITED, twin]
    assert ann.done(twin)["state"]["lane"] == ""


def test_simulated_answers_are_in_no_figure(room: Room, twin: str) -> None:
    room.project.decide(ROUTED, "accept", who="program", key="1", mode="simulated", active_ms=9000)
    room.project.decide(AUDITED, "accept", who="program", key="2", mode="simulated", active_ms=9000)
    ann = room.person("ann")
    stats = ann.get("/stats").json()
    assert (stats["pace"], stats["hours"], stats["untouched"]) == ([], [], {})
    assert {one["n_timed"] for one in ann.get("/queue").json()["lanes"]} == {0}


def test_a_routed_clip_shows_no_suspects(room: Room) -> None:
    frames = clip_of(3, flags=(LOW, replace(NEAR, rows=(1,))))
    room.store(*frames)
    lot = room.project.freeze(lot_of([one.item.id for one in frames], 3), {})
    ann = room.person("ann")
    assert {one[2] for one in ann.get(f"/clips/clip0000?tab={ann.tab}").json()["suspects"]} == {"low_score", "too_near"}
    room.project.route(lot, [Route(one.item.id, True, (0, 1, 2)) for one in frames])
    assert {one[2] for one in ann.get(f"/clips/clip0000?tab={ann.tab}").json()["suspects"]} == {"too_near"}


def test_a_planted_frame_is_a_clip_of_one_and_leased_by_itself(room: Room) -> None:
    frames = clip_of(3)
    room.store(*frames)
    lot = room.project.freeze(lot_of([one.item.id for one in frames], 3), {})
    (twin,) = room.project.plant(lot, [Twin(frames[1].item.id, box_labels(2, track=True))])
    ann, ben = room.person("ann"), room.person("ben")
    assert ann.take_one("clip0000").status_code == 200
    assert ben.take_one(twin).status_code == 200
    shown = ben.get(f"/clips/{twin}?tab={ben.tab}").json()
    assert ([one["item"] for one in shown["frames"]], len(shown["boxes"])) == ([twin], 2)
    assert len(ann.get(f"/clips/clip0000?tab={ann.tab}").json()["frames"]) == 3
    ben.done(twin)
    assert room.hold(twin) is None
    assert room.hold("clip0001") is not None
