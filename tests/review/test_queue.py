"""What waits, for whom, and for how long still."""

from __future__ import annotations

from typing import Any

import numpy as np

from hyla.store import Stored
from hyla.store.lock import RunLock
from hyla.types import Flag, Labels, Severity
from review_kit import LORRY, LOW, TWICE, Person, Room, waiting


def lanes(one: Person) -> dict[tuple[str, str], dict[str, Any]]:
    return {(lane["lane"], lane["reason"]): lane for lane in one.get("/queue").json()["lanes"]}


def test_an_empty_project(room: Room) -> None:
    queue = room.person("ann").get("/queue").json()
    assert queue == {"lanes": [], "grid": [], "items": 0, "waiting": 0, "decided": 0, "quarantined": 0, "running": True}


def test_lanes_by_reason(room: Room) -> None:
    dark = Flag("dark", "dark", Severity.REVIEW)
    room.store(*(waiting(f"i{n}") for n in range(3)), waiting("d0", flags=(dark,)), waiting("t0", flags=(TWICE,)))
    ann = room.person("ann")
    queue = ann.get("/queue").json()
    assert (queue["items"], queue["waiting"], queue["decided"], queue["quarantined"]) == (5, 5, 0, 0)
    assert {key: one["waiting"] for key, one in lanes(ann).items()} == {
        ("review", "low_score"): 3,
        ("review", "dark"): 1,
        ("review", "two_readers"): 1,
    }
    assert queue["grid"] == [{"name": "lorry", "waiting": 9}]
    ann.done("i0")
    ann.done("i1", "repair")
    ann.done("t0")
    found = lanes(ann)
    assert found["repair", "low_score"]["waiting"] == found["second", "two_readers"]["waiting"] == 1
    assert found["review", "low_score"]["waiting"] == 1
    assert ann.get("/queue").json()["decided"] == 3


def test_yours_is_what_one_may_answer(room: Room) -> None:
    other = Flag("other", "other", Severity.SECOND)
    room.store(waiting("t0", flags=(TWICE,)), waiting("t1", flags=(other,)), waiting("t2", flags=(other,)))
    ann, ben = room.person("ann"), room.person("ben")
    ann.done("t0")
    ann.done("t1")
    ben.done("t2")
    for person, two, others in [(ann, 0, 1), (ben, 1, 1), (room.person("vic", "viewer"), 0, 0)]:
        found = lanes(person)
        assert (found["second", "two_readers"]["yours"], found["second", "other"]["yours"]) == (two, others)
    ben.done("t0", "reject")
    assert lanes(ann)["adjudicate", "two_readers"]["yours"] == 0
    assert lanes(room.person("ada", "adjudicator"))["adjudicate", "two_readers"]["yours"] == 1
    assert lanes(room.person("ben", "adjudicator"))["adjudicate", "two_readers"]["yours"] == 0


def test_taken_counts_leases_that_live(room: Room) -> None:
    room.store(*(waiting(f"i{n}") for n in range(4)))
    ann = room.person("ann")
    ann.take(2)
    room.person("ben").take_one("i3")
    assert lanes(ann)["review", "low_score"]["taken"] == 3
    room.time = 1e6
    assert lanes(ann)["review", "low_score"]["taken"] == 0


def test_time_left_only_from_five_items_on(room: Room) -> None:
    room.store(*(waiting(f"i{n}") for n in range(9)))
    ann = room.person("ann")
    seconds = [1, 2, 3, 10, 30]
    for n, s in enumerate(seconds[:4]):
        ann.done(f"i{n}", active_ms=1000 * s)
    lane = lanes(ann)["review", "low_score"]
    assert (lane["n_timed"], lane["median_s"], lane["eta_s"]) == (4, 2.5, None)
    ann.done("i4", "accept", rows=[0], active_ms=20_000)
    ann.undo(ann.done("i0", "reject")["seq"])  # an undo and what took no time are not timed
    lane = lanes(ann)["review", "low_score"]
    assert (lane["n_timed"], lane["median_s"], lane["eta_s"]) == (5, 3, 12)


def test_the_parts_of_one_item_are_added_up(room: Room) -> None:
    room.store(
        waiting("i0", flags=(Flag("r", "all", Severity.REVIEW),)), waiting("i1", flags=(Flag("r", "all", Severity.REVIEW),))
    )
    ann = room.person("ann")
    for row in range(3):
        ann.done("i0", "accept", rows=[row], active_ms=1000)
    lane = lanes(ann)["review", "all"]
    assert (lane["n_timed"], lane["median_s"]) == (1, 3)


def test_a_run_beside_it_is_seen(room: Room) -> None:
    ann = room.person("ann")
    assert ann.get("/queue").json()["running"]
    room.project.finish_run(room.run, "done", {})
    assert not ann.get("/queue").json()["running"]
    with RunLock(room.project.path):
        assert ann.get("/queue").json()["running"]


def test_a_hundred_thousand_labels_are_counted(room: Room) -> None:
    n = 50
    labels = Labels.of(np.arange(n) % 2 + LORRY, np.tile([1.0, 2, 3, 4], (n, 1)), score=np.linspace(0.1, 0.9, n))
    for first in range(0, 2000, 500):
        room.project.write([Stored(waiting(f"i{i}", labels, (LOW,)), i, 0.0) for i in range(first, first + 500)])
    ann = room.person("ann")
    queue = ann.get("/queue").json()
    assert queue["waiting"] == 2000
    assert [one["waiting"] for one in queue["grid"]] == [2000]
