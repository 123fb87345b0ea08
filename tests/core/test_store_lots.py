"""Lots: frozen for good, noted, and what they ask of items stands in the place of REVIEW flags and the default."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

import strategies
from hyla.decide.route import Route, label_verdicts, routed
from hyla.errors import StageError, StoreError
from hyla.store import LaneCount, Project, Stored
from hyla.types import Flag, Severity, Verdict
from store_kit import CAR, PERSON, boxes, fill, held, lot_of, raw, record, start, words

A, R, X = Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT
IDS = [f"item{i:05d}" for i in range(4)]
ITEM = IDS[0]
THREE = boxes([CAR, PERSON, CAR])
LOW = Flag("r", "low", rows=(0, 2))


def flag(severity: str, *rows: int) -> Flag:
    return Flag("rule", f"{severity}_reason", Severity(severity), rows)


@pytest.fixture
def project(tmp_path: Path):
    """Hold four items of three labels, rows 0 and 2 of which are open, and a lot of them, number 1."""
    with Project.create(tmp_path) as made:
        start(made)
        fill(made, 4, labels=THREE, flags=(LOW,), verdict=R)
        made.freeze(lot_of(IDS, 3), {"eps": 0.05})
        yield made
        report = made.verify()
        assert report.ok, report.problems


@pytest.fixture
def say(project: Project):
    """Return what decides on the first item and tells what is left."""
    keys = count()

    def one(action: str, *rows: int, who: str = "ann", **how: Any) -> tuple[Any, ...]:
        project.decide(ITEM, action, who=who, key=f"k{next(keys)}", rows=rows, **how)
        return held(project, ITEM)

    return one


def queue(project: Project, lane: str = "review", **how: Any) -> list[str]:
    return [one.item.id for one in project.next_items(lane, limit=99, **how)]


# Frozen for good


def test_a_lot_comes_back_as_it_was_frozen(project: Project) -> None:
    lot = lot_of(IDS, 3)
    (row,) = project.lots()
    assert (row.number, row.settings, row.digest, row.events) == (1, {"eps": 0.05}, lot.digest, [])
    assert project.lot(1).pack() == lot.pack()
    assert len(row.seed) == 32
    with pytest.raises(StoreError, match="no lot number 2"):
        project.lot(2)


def test_a_seed_is_drawn_or_given(project: Project) -> None:
    assert project.freeze(lot_of(IDS), {}, seed="3 1 4 1 5, rolled by Ann") == 2
    assert project.freeze(lot_of(IDS), {}) == 3
    seeds = [row.seed for row in project.lots()]
    assert seeds[1] == "3 1 4 1 5, rolled by Ann"
    assert len(set(seeds)) == 3
    with pytest.raises(StoreError, match="the seed of a lot is empty"):
        project.freeze(lot_of(IDS), {}, seed="")


def test_what_became_of_a_lot_is_noted_in_order(project: Project) -> None:
    project.freeze(lot_of(IDS[:2]), {})
    for number, kind in ((1, "drawn"), (2, "drawn"), (1, "tested")):
        project.note(number, kind, {"cuts": [1, 2]})
    first, second = project.lots()
    assert [(one.id, one.kind, one.body) for one in first.events] == [
        (1, "drawn", {"cuts": [1, 2]}),
        (3, "tested", {"cuts": [1, 2]}),
    ]
    assert [one.id for one in second.events] == [2]
    with pytest.raises(StoreError, match="no lot number 9"):
        project.note(9, "drawn", {})
    for bad in ({"x": float("nan")}, {"x": object()}, {"x": "\ud800"}):
        with pytest.raises(StoreError, match="the event 'drawn' of a lot can't be kept as JSON"):
            project.note(1, "drawn", bad)
        with pytest.raises(StoreError, match="the settings of a lot can't be kept as JSON"):
            project.freeze(lot_of(IDS), bad)
    assert len(project.lots()) == 2


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE lots SET seed = '1'", "lot 1 was changed"),
        ("UPDATE lots SET settings = '{}'", "lot 1 was changed"),
        ("UPDATE lots SET digest = 'x'", "lot 1 was changed"),
        ("UPDATE lots SET blob = x'00'", "lot 1 was changed"),
        ("UPDATE lot_events SET body = '{}' WHERE id = 1", "event 1 of lot 1 was changed"),
        ("UPDATE lot_events SET kind = 'issued' WHERE id = 2", "event 2 of lot 1 was changed"),
        ("DELETE FROM lot_events WHERE id = 1", "event 2 of lot 1 was changed, or one before it is missing"),
        ("UPDATE items SET reason = 'low' WHERE id = 'item00000'", "'item00000' waits for another reason"),
        ("UPDATE items SET route = NULL WHERE id = 'item00000'", "'item00000' waits for another reason"),
        ("UPDATE items SET verdict = 'accept', lane = '' WHERE id = 'item00000'", "'item00000' is sent elsewhere than its flags"),
        ("UPDATE items SET lane = 'review' WHERE id = 'item00001'", "'item00001' is in a state that no decision led to"),
        ("UPDATE labels SET verdict = 'accept' WHERE annotation_id = 1", "'item00000' does not follow from what was said"),
        ("UPDATE labels SET verdict = 'review' WHERE annotation_id = 2", "'item00001' does not follow from what was said"),
        (
            """UPDATE items SET route = '{"rows":"7","second":false,"whole":true}' WHERE id = 'item00000'""",
            "'item00000' do not fit its labels: a lot asks for row 7 of 3 labels",
        ),
        ("UPDATE items SET route = 'x' WHERE id = 'item00000'", "rows can't be read"),
    ],
)
def test_a_change_behind_hylas_back_is_found(tmp_path: Path, statement: str, found: str) -> None:
    with Project.create(tmp_path) as made:
        start(made)
        fill(made, 2, labels=THREE, flags=(LOW,), verdict=R)
        made.freeze(lot_of(IDS[:2], 3), {"eps": 0.05})
        made.note(1, "drawn", {"units": [0]})
        made.note(1, "tested", {"cuts": [1]})
        made.route(1, [Route(ITEM, True, (1,)), Route(IDS[1])])
        assert made.verify().ok
    raw(tmp_path, statement, free=True)
    with Project.open(tmp_path) as made:
        assert found in "\n".join(made.verify().problems)


def test_a_changed_lot_is_not_read(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with Project.create(other) as made:
        start(made)
        made.freeze(lot_of(["a"]), {})
        for blob in ("x'00'", "(SELECT zeroblob(9))"):
            raw(other, f"UPDATE lots SET blob = {blob}", free=True)
            with pytest.raises(StoreError, match="lot 1 was changed after it was frozen"):
                made.lot(1)
        raw(other, "UPDATE lots SET digest = 'x'")
        with pytest.raises(StoreError, match="lot 1 was changed after it was frozen"):
            made.lot(1)


# What a route makes of an item


@pytest.mark.parametrize(
    ("flags", "route", "verdict", "said"),
    [
        ((), {}, A, "accept accept accept"),
        ((), {"rows": (1,)}, R, "accept review accept"),
        ((), {"whole": True}, R, "accept accept accept"),
        ((), {"whole": True, "rows": (0, 1, 2)}, R, "review review review"),
        ((flag("review"),), {}, A, "accept accept accept"),
        ((flag("note", 0), flag("review", 0)), {"rows": (2,)}, R, "accept accept review"),
        ((flag("human", 1),), {}, R, "accept review accept"),
        ((flag("second"),), {"rows": (0,)}, R, "review review review"),
        ((flag("reject", 1),), {"rows": (0, 1)}, R, "review reject accept"),
        ((flag("reject", 1),), {"rows": (1,)}, A, "accept reject accept"),  # nothing is left to ask
        ((flag("reject"),), {}, X, "reject reject reject"),
        ((flag("reject"),), {"whole": True}, R, "reject reject reject"),
        ((flag("reject", 1), flag("human", 1)), {}, R, "accept review accept"),
    ],
)
def test_a_route_stands_above_flags_that_may_be_overruled(flags, route, verdict, said) -> None:
    found, labels = routed(range(3), flags, Route("a", **route))
    assert (found, " ".join(labels)) == (verdict, said)


@given(st.data(), st.integers(0, 5))
def test_routes_hold_together(data: st.DataObject, n: int) -> None:
    flags = data.draw(st.lists(strategies.flags(n), max_size=4))
    rows = tuple(sorted(data.draw(st.sets(st.integers(0, n - 1)) if n else st.just(set()))))
    whole = data.draw(st.booleans())
    verdict, labels = routed(range(n), flags, Route("a", whole, rows))
    always = {row for f in flags if f.severity in ("human", "second") for row in f.rows or range(n)}
    assert {row for row in range(n) if labels[row] == "review"} <= always | set(rows)
    assert all(labels[row] == "review" for row in always)
    assert (verdict == R) >= (whole or "review" in labels)
    if verdict == R:
        assert whole or rows or any(f.severity in ("human", "second") for f in flags)
    strong = [f for f in flags if f.severity not in ("review", "note")]
    assert routed(range(n), strong, Route("a", whole, rows))[1].tolist() == labels.tolist()
    if not whole and not rows and verdict == A:
        assert labels.tolist() == label_verdicts(range(n), strong, A).tolist()


def test_a_route_about_a_row_that_is_not_there() -> None:
    for rows in ((3,), (-1, 0)):
        with pytest.raises(StageError, match=f"row {max(rows, key=abs)} of 3 labels of item 'a'"):
            routed(range(3), [], Route("a", rows=rows))


def test_routes_send_items_where_they_say(project: Project) -> None:
    project.write([Stored(record("human", THREE, (LOW, flag("human", 1)), R), 4, 0.0), Stored(record("open", verdict=R), 5, 0.0)])
    project.write([Stored(record("bad", THREE, (flag("reject", 0), LOW), R), 6, 0.0), Stored(record("no", verdict=X), 7, 0.0)])
    project.route(
        1,
        [
            Route(IDS[0]),
            Route(IDS[1], True, (1,)),
            Route(IDS[2], True),
            Route("human", rows=(2,)),
            *(Route(name) for name in ("open", "bad", "no")),
        ],
    )
    assert held(project, IDS[0]) == ("", None, "", "", "")
    assert held(project, IDS[1]) == ("review", None, "1", "", "")
    assert held(project, IDS[2]) == ("review", None, "", "", "")
    assert held(project, IDS[3]) == ("review", None, "0,2", "", "")  # not routed
    assert held(project, "human") == ("review", None, "1-2", "", "")
    assert [held(project, name)[0] for name in ("open", "bad", "no")] == ["", "", ""]
    assert words(project, project.machine_annotation("bad")) == "reject accept accept"
    assert project.lanes() == [
        LaneCount("review", "human_reason", 1),
        LaneCount("review", "lot", 2),
        LaneCount("review", "low", 1),
    ]
    verdicts = {one.item.id: one.verdict for one in project.records("model")}
    assert verdicts == {IDS[0]: A, IDS[1]: R, IDS[2]: R, IDS[3]: R, "human": R, "open": A, "bad": A, "no": A}
    assert [project.state(name)["whole"] for name in IDS] == [False, True, True, False]
    assert project.classes_waiting() == {"car": 3, "person": 2}
    assert project.routes([*IDS, "gone"])[IDS[1]] == Route(IDS[1], True, (1,))
    assert IDS[3] not in project.routes(IDS)


def test_routing_again_replaces(project: Project) -> None:
    project.route(1, [Route(ITEM, True, (0, 1, 2), True, 0.5)])
    project.route(1, [Route(ITEM, rows=(1,), priority=0.25)])
    assert held(project, ITEM) == ("review", None, "1", "", "")
    assert project.routes([ITEM]) == {ITEM: Route(ITEM, rows=(1,), priority=0.25)}
    project.route(1, [Route(ITEM)])
    assert held(project, ITEM) == ("", None, "", "", "")


def test_routes_are_all_taken_or_none(project: Project) -> None:
    for bad, what in (
        ([Route(ITEM), Route("gone")], "no item 'gone'"),
        ([Route(ITEM), Route(ITEM, True)], "is routed twice"),
        ([Route(ITEM), Route(IDS[1], rows=(3,))], "row 3 of 3 labels"),
    ):
        with pytest.raises(StoreError, match=what):
            project.route(1, bad)
    with pytest.raises(StoreError, match="no lot number 5"):
        project.route(5, [])
    assert held(project, ITEM) == ("review", None, "0,2", "", "")
    assert project.routes(IDS) == {}


def test_what_somebody_decided_on_only_moves_in_the_queue(project: Project, say) -> None:
    say("accept", 0)
    before = project.state(ITEM)
    project.route(1, [Route(ITEM, priority=-1.0), *(Route(name, True) for name in IDS[1:])])
    assert project.state(ITEM) == before
    assert project.routes([ITEM]) == {}
    assert queue(project) == IDS
    assert project.lanes() == [LaneCount("review", "lot", 3), LaneCount("review", "low", 1)]
    project.decide(ITEM, "undo", who="ann", key="u", undoes=1)
    assert held(project, ITEM) == ("review", None, "0,2", "", "")  # nobody answered it, and no lot accepted it


def test_only_labels_whose_word_changes_are_written(project: Project) -> None:
    project.route(1, [Route(name, rows=(0, 1)) for name in IDS])
    written: list[tuple[str, int]] = []

    def note(_connection, _cursor, text, values, _context, many) -> None:
        if text.startswith("UPDATE"):
            written.append((text.split()[1], len(values) if many else 1))

    event.listen(project._db.engine, "before_cursor_execute", note)
    project.route(1, [Route(IDS[0], rows=(0, 1)), Route(IDS[1], rows=(1,)), Route(IDS[2], rows=(0, 1), priority=1.0)])
    event.remove(project._db.engine, "before_cursor_execute", note)
    assert written == [("items", 2), ("labels", 1)]


# Answers on what a lot asks


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([("accept",)], ("", "accept", "", "", "")),
        ([("reject",)], ("", "reject", "", "", "")),
        ([("accept", 0)], ("review", None, "2", "", "")),
        ([("accept", 0), ("accept", 2)], ("", "accept", "", "", "")),  # who sees the last label sees the picture
        ([("repair", 0), ("accept", 2)], ("repair", "review", "0", "", "")),
        ([("unsure", 0), ("accept", 2)], ("second", "review", "0", "", "")),
        ([("unsure",)], ("second", "review", "0,2", "", "")),
    ],
)
def test_a_whole_picture_is_answered_with_its_last_label(project: Project, say, steps: list[tuple], left: tuple) -> None:
    project.route(1, [Route(ITEM, True, (0, 2))])
    for step in steps:
        after = say(*step)
    assert after == left
    assert project.verify().ok


def test_crops_do_not_show_what_is_missing(project: Project, say) -> None:
    project.route(1, [Route(ITEM, True, (0, 2))])
    assert say("accept", 0, mode="grid") == ("review", None, "2", "", "")
    assert say("accept", 2, mode="grid") == ("review", None, "", "", "")
    assert project.state(ITEM)["whole"]
    assert queue(project, reason="lot") == [ITEM]
    assert say("accept") == ("", "accept", "", "", "")
    assert not project.state(ITEM)["whole"]
    project.decide(ITEM, "undo", who="ann", key="u", undoes=3)
    assert (project.state(ITEM)["whole"], project.state(ITEM)["lane"]) == (True, "review")


def test_labels_without_a_look_at_the_picture_may_be_answered_from_crops(project: Project, say) -> None:
    project.route(1, [Route(ITEM, rows=(0,))])
    assert say("accept", 0, mode="grid") == ("", "accept", "", "", "")


def test_what_is_doubted_on_a_crop_is_looked_at_whole(project: Project, say) -> None:
    project.route(1, [Route(ITEM, True, (0, 2))])
    say("repair", 0, mode="grid")
    assert say("accept", 2, mode="grid") == ("repair", "review", "0", "", "")
    mended = THREE[[0, 1, 2]]
    mended.box[0] += 1
    assert say("edit", labels=mended) == ("", "accept", "", "", "")
    assert not project.state(ITEM)["whole"]


def test_an_edit_that_leaves_something_open_leaves_the_picture_open(project: Project, say) -> None:
    project.route(1, [Route(ITEM, True, (0, 2))])
    assert say("edit", labels=THREE, open=[2]) == ("review", None, "2", "", "")
    assert project.state(ITEM)["whole"]
    assert say("accept", 2, mode="grid") == ("review", None, "", "", "")
    assert say("edit", labels=THREE) == ("", "accept", "", "", "")


def test_a_lot_may_ask_for_a_second_opinion(project: Project, say) -> None:
    project.route(1, [Route(ITEM, True, (0, 1, 2), True), Route(IDS[1], True, (0,))])
    assert say("accept") == ("second", "accept", "", "", "")
    assert project.lanes()[-1] == LaneCount("second", "lot", 1)
    assert (queue(project, "second", who="ann"), queue(project, "second", who="bob")) == ([], [ITEM])
    far = boxes([PERSON, PERSON, CAR], 1.0)
    assert say("opinion", who="bob", labels=far) == ("adjudicate", "accept", "", "", "")
    assert say("adjudicate", who="cid", labels=far) == ("", "accept", "", "", "")
    project.decide(IDS[1], "accept", who="ann", key="x")
    assert project.state(IDS[1])["lane"] == ""


def test_simulated_answers_are_answers(project: Project, say) -> None:
    project.route(1, [Route(ITEM, True, (0, 2))])
    assert say("edit", labels=THREE, mode="simulated") == ("", "accept", "", "", "")
    assert next(project.decisions()).mode == "simulated"


def test_a_group_that_ends_after_the_lot_calls_people_only_where_it_must(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 4, group="clip")
        project.freeze(lot_of(IDS), {})
        project.route(1, [*(Route(name) for name in IDS[:3]), Route(IDS[3], rows=(0,))])
        found = [(IDS[0], flag("review", 1)), (IDS[1], flag("human", 1)), (IDS[2], flag("reject", 1)), (IDS[3], flag("note"))]
        project.finish_group("clip", found)
        assert held(project, IDS[0]) == ("", None, "", "", "")
        assert held(project, IDS[1]) == ("review", None, "1", "", "")
        assert held(project, IDS[2]) == ("", None, "", "", "")
        assert words(project, project.machine_annotation(IDS[2])) == "accept reject"
        assert held(project, IDS[3]) == ("review", None, "0", "", "")
        assert project.lanes() == [LaneCount("review", "human_reason", 1), LaneCount("review", "lot", 1)]
        assert project.verify().ok


# The queue


def test_the_queue_goes_by_priority_then_by_the_scan(project: Project) -> None:
    project.write([Stored(record("late", verdict=R), 9, 0.0)])
    places = {IDS[0]: 0.5, IDS[1]: 0.25, IDS[2]: 0.5, IDS[3]: 0.125}
    project.route(1, [Route(name, True, priority=place) for name, place in places.items()])
    order = ["late", IDS[3], IDS[1], IDS[0], IDS[2]]
    assert queue(project) == order
    for at, name in enumerate(order):
        assert queue(project, after=name) == order[at + 1 :]
        assert queue(project, reason="lot", after=name) == [one for one in order[at + 1 :] if one != "late"]
    assert [one.route and one.route.priority for one in project.next_items("review", limit=2)] == [None, 0.125]
    assert project.heads([IDS[3]])[IDS[3]].route == Route(IDS[3], True, priority=0.125)


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5]), st.integers(0, 3)), max_size=12))
def test_a_cursor_passes_over_nothing_and_comes_to_nothing_twice(places: list[tuple[float, int]]) -> None:
    order = sorted((place, ordinal, f"i{n}") for n, (place, ordinal) in enumerate(places))
    with TemporaryDirectory() as folder, Project.create(folder) as project:
        start(project)
        project.write([Stored(record(name, verdict=R), ordinal, 0.0) for _, ordinal, name in order])
        project.freeze(lot_of(["x"]), {})
        project.route(1, [Route(name, True, priority=place) for place, _, name in order])
        seen: list[str] = []
        while more := project.next_items("review", limit=2, after=seen[-1] if seen else None):
            seen += [one.item.id for one in more]
        assert seen == [name for _, _, name in order]


def test_many_routes_are_one_transaction(project: Project) -> None:
    begun: list[str] = []
    event.listen(project._db.engine, "begin", lambda _: begun.append("begin"))
    project.route(1, [Route(name, True) for name in IDS])
    assert len(begun) == 1


def test_a_digest_is_of_what_is_frozen(project: Project) -> None:
    lot = project.lot(1)
    assert project.lots()[0].digest == sha256(lot.pack()).hexdigest()
    other = replace(lot, risk=np.nextafter(lot.risk, 1))
    project.freeze(other, {})
    assert project.lots()[1].digest != lot.digest
