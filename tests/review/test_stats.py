"""What people did: figures with their n, and none where nothing is known."""

from __future__ import annotations

import pytest

from hyla.average_precision import wilson
from hyla.review.stats import share
from hyla.store.recall import standing
from review_kit import LOW, TWICE, Person, Room, box_labels, clip_of, label, waiting


def stats(one: Person) -> dict[str, object]:
    answer = one.get("/stats")
    assert answer.status_code == 200
    return dict(answer.json())


NOTHING = {"n": 0, "hits": 0, "share": None, "low": None, "high": None}


def told(n: int, hits: int) -> dict[str, float]:
    low, high = wilson(hits, n)
    return {"n": n, "hits": hits, "share": hits / n, "low": low, "high": high}


def test_nothing_done_yet(room: Room) -> None:
    room.store(waiting("i0"))
    found = stats(room.person("vic", "viewer"))
    assert (found["items"], found["waiting"], found["decided"]) == (1, 1, 0)
    assert (found["pace"], found["hours"], found["untouched"], found["saved"]) == ([], [], {}, None)
    assert found["second"] == found["blind"] == NOTHING


def test_shares_have_wilsons_interval() -> None:
    found = share([True] * 9 + [False])
    assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert share([]).model_dump() == NOTHING


def test_pace_by_person_lane_and_mode(room: Room) -> None:
    room.store(*(waiting(f"i{n}") for n in range(6)))
    ann, ben = room.person("ann"), room.person("ben")
    for n, seconds in enumerate([1, 2, 3, 6]):
        ann.done(f"i{n}", "repair" if n == 3 else "accept", active_ms=1000 * seconds)
    ann.done("i3", "edit", changes={"put": {"0": label()}}, active_ms=9000)
    ben.done("i4", active_ms=4000)
    ben.done("i5")  # not timed
    paces = {(one["who"], one["lane"], one["mode"]): one for one in stats(ann)["pace"]}  # type: ignore[attr-defined]
    first = paces["ann", "review", "single"]
    assert (first["n"], first["median_s"], first["q1_s"], first["q3_s"], first["per_hour"]) == (4, 2.5, 1.75, 3.75, 1200)
    assert paces["ann", "repair", "single"]["median_s"] == 9
    one = paces["ben", "review", "single"]
    assert (one["n"], one["q1_s"], one["median_s"], one["q3_s"]) == (1, 4, 4, 4)


def test_what_was_taken_back_counts_nowhere_and_what_was_done_again_once(room: Room) -> None:
    room.store(waiting("i0"), waiting("i1"))
    ann = room.person("ann")

    def counted() -> tuple[list[int], list[int], dict[str, object], int]:
        found, lanes = stats(ann), ann.get("/queue").json()["lanes"]
        assert all(one["at"].endswith(":00:00Z") for one in found["hours"])  # type: ignore[attr-defined]
        hours = sum(one["n"] for one in found["hours"])  # type: ignore[attr-defined]
        return [one["n"] for one in found["pace"]], [hours], found["untouched"], lanes[0]["n_timed"]  # type: ignore[attr-defined,return-value]

    first = ann.done("i0", active_ms=2000)["seq"]
    assert counted() == ([1], [1], {"single": told(1, 1)}, 1)
    back = ann.undo(first).json()["made"][0]["seq"]
    assert counted() == ([], [0], {}, 0)
    ann.undo(back)
    assert counted() == ([1], [1], {"single": told(1, 1)}, 1)


def test_untouched_by_mode(room: Room) -> None:
    room.store(*(waiting(f"i{n}") for n in range(9)))
    ann = room.person("ann")
    ann.done("i0")
    ann.done("i1")
    ann.done("i2", "edit", changes={"put": {"0": label()}})
    ann.done("i3", "reject")
    ann.done("i4", "reject", rows=[0])  # what is left is not what the machine said
    ann.done("i5", "repair")
    ann.done("i6", "unsure")  # no answer yet
    ann.undo(ann.done("i7")["seq"])  # taken back
    ann.post("/grid", {"tab": ann.tab, "class": "lorry"})
    ann.done("i8", "accept", rows=[0], mode="grid")
    assert stats(ann)["untouched"] == {"single": told(6, 2), "grid": told(1, 1)}


def test_second_opinions(room: Room) -> None:
    room.store(*(waiting(f"i{n}", flags=(LOW, TWICE)) for n in range(4)))
    ann, ben = room.person("ann"), room.person("ben")
    for n in range(4):
        ann.done(f"i{n}")
    ben.done("i0")
    ben.done("i1")
    ben.done("i2", "reject")
    ben.undo(ben.done("i3", "reject")["seq"])
    room.person("ada", "adjudicator").done("i2", "adjudicate", changes={})
    assert stats(ann)["second"] == told(3, 2)


def test_blind_answers_and_the_machines(room: Room) -> None:
    room.store(*(waiting(f"i{n}", box_labels(1)) for n in range(4)))
    ann = room.person("ann")
    ann.take(4, mode="blind")
    same = {"add": [label(box=[0, 5, 8, 41])]}
    ann.done("i0", "edit", changes=same, mode="blind")
    ann.done("i1", "edit", changes={"add": [label()]}, mode="blind")
    ann.done("i2", "edit", changes={}, mode="blind")
    ann.done("i3", "unsure", mode="blind")
    for _ in range(2):  # what was compared is remembered
        found = stats(ann)
        assert found["blind"] == told(3, 1)
        assert found["untouched"] == {}


def test_time_saved_only_from_five_of_each_on(room: Room) -> None:
    room.store(*(waiting(f"i{n}") for n in range(20)))
    ann = room.person("ann")
    ann.take(5, mode="blind")
    for n in range(5):
        ann.done(f"i{n}", "edit", changes={"add": [label()]}, mode="blind", active_ms=10_000 + 1000 * n)
    for n in range(5, 9):
        ann.done(f"i{n}", active_ms=2000)
    assert stats(ann)["saved"] is None
    ann.done("i9", active_ms=3000)
    assert stats(ann)["saved"] == {"blind_s": 12, "assisted_s": 2, "seconds": 10, "n_blind": 5, "n_assisted": 5}


def test_labels_from_files_are_nobodys_work(room: Room) -> None:
    records = clip_of(3)
    room.store(*records)
    room.project.add(records, "human:ann")
    found = stats(room.person("ann"))
    assert (found["pace"], found["hours"], found["untouched"], found["decided"]) == ([], [], {}, 3)


def test_what_stands_after_undo_and_redo(room: Room) -> None:
    room.store(waiting("i0"))
    ann = room.person("ann")
    first = ann.done("i0")["seq"]
    assert [one.seq for one in standing(room.project.recent(9))] == [first]
    back = ann.undo(first).json()["made"][0]["seq"]
    assert standing(room.project.recent(9)) == []
    ann.undo(back)
    assert [one.seq for one in standing(room.project.recent(9))] == [first]
