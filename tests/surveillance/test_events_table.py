"""Tables of events: one line each, confirmed only, with times in UTC and who said so."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from behaviour_kit import Actor, behaviour, frames, line, times, walk
from evidence_kit import UTC0, Watched
from hyla import formats
from hyla.types import Labels
from hyla_surveillance.events import FIRST_EVENT, Event, to_labels
from hyla_surveillance.events_table import COLUMNS, EventsTable
from hyla_surveillance.happenings import confirm, happenings, iso
from surveillance_kit import SCHEMA, boxes, clip, event

SIZE = (480, 640)


def lines(out):
    return [json.loads(line) for line in (out / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def table(out):
    with (out / "events.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_line_per_confirmed_event(tmp_path):
    yard = Watched(tmp_path)
    yard.answer("ann", "loitering")
    yard.answer("bob", "intrusion")
    yard.export(EventsTable(pictures=yard.pictures), tmp_path / "out")
    first, second = lines(tmp_path / "out")
    assert [one["event"] for one in (first, second)] == ["loitering", "intrusion"]
    assert (first["clip"], first["camera"], first["site"], first["place"]) == ("gate.mp4", "gate", "works", "yard")
    assert (first["start_s"], first["end_s"], first["duration_s"], first["frames"]) == (6, 12, 6, 17)
    assert (first["start_utc"], first["end_utc"]) == ("2026-03-29T01:00:06.000Z", "2026-03-29T01:00:12.000Z")
    assert first["participants"] == [3]
    assert second["participants"] == [3, 4]
    assert first["state"] == "confirmed"
    assert first["evidence"] == {"dwell_s": 6, "fps": 4}
    assert [said["who"] for said in first["answered"]] == ["ann"]
    assert first["answered"][0]["at"] == max(
        d.at for i in yard.of("loitering") for d in yard.project.decisions(i) if d.who == "ann"
    )
    rows = table(tmp_path / "out")
    assert list(rows[0]) == list(COLUMNS)
    assert (rows[1]["participants"], rows[1]["answered_by"], rows[0]["dwell_s"]) == ("3 4", "bob", "6.0")
    yard.project.close()


def test_candidates_and_denied_events_are_not_written(tmp_path):
    yard = Watched(tmp_path)
    yard.answer("ann", "intrusion", "reject")
    yard.export(EventsTable(pictures=yard.pictures), tmp_path / "out")
    assert lines(tmp_path / "out") == []
    assert table(tmp_path / "out") == []
    # Nor when records are handed over past the project's own way out.
    loss = EventsTable(pictures=yard.pictures).export(yard.project.records(), SCHEMA, tmp_path / "past")
    assert lines(tmp_path / "past") == []
    assert loss["unconfirmed event"] == 2  # the third was denied: it is gone
    yard.project.close()


def test_denied_events_are_listed_when_asked_for(tmp_path):
    yard = Watched(tmp_path)
    for name in ("loitering", "fall"):
        yard.answer("ann", name)
    yard.answer("bob", "intrusion", "reject")
    yard.export(EventsTable(denied=True, pictures=yard.pictures), tmp_path / "out")
    found = {one["event"]: one for one in lines(tmp_path / "out")}
    assert {name: one["state"] for name, one in found.items()} == {
        "loitering": "confirmed",
        "fall": "confirmed",
        "intrusion": "denied",
    }
    assert [said["who"] for said in found["intrusion"]["answered"]] == ["bob"]
    yard.project.close()


def test_taking_a_confirmation_back_takes_the_event_back(tmp_path):
    yard = Watched(tmp_path)
    yard.answer("ann", "fall")
    last = yard.project.recent(3)
    for one in last:
        yard.project.decide(one.item_id, "undo", who="ann", key=f"u{one.seq}", undoes=one.seq)
    yard.export(EventsTable(pictures=yard.pictures), tmp_path / "out")
    assert lines(tmp_path / "out") == []
    yard.project.close()


def test_an_event_confirmed_on_some_frames_is_as_long_as_these(tmp_path):
    yard = Watched(tmp_path)
    some = yard.of("loitering")[4:8]
    yard.of = lambda name: some  # type: ignore[method-assign]
    yard.answer("ann", "loitering")
    yard.export(EventsTable(pictures=yard.pictures), tmp_path / "out")
    (one,) = lines(tmp_path / "out")
    assert (one["frames"], one["first_item"], one["last_item"]) == (4, some[0], some[-1])
    assert one["end_s"] == 39 / 4
    yard.project.close()


def test_an_event_lasts_as_long_as_frames_carry_it_whatever_its_times_say():
    (found,) = happenings(clip(*[event()] * 5, seconds=(0.5, 1, 2, 2.5, 4)), SCHEMA)  # from 1 to 2 s, as its label says
    assert (found[0].event.start, found[0].event.end) == (0.5, 4)


@pytest.mark.parametrize("fps", [1, 8])
def test_an_event_ends_when_it_ended_though_frames_show_it_a_while_longer(fps):
    made = behaviour(line("door", (10, 4), (10, 16)), events=["line_crossing"])
    walker, seconds = Actor(walk((0, 2, 10), (12, 18, 10)), 3), times(12, fps)
    shown = clip(*(to_labels(one, SCHEMA, SIZE) for one in frames(made, [walker], seconds)), seconds=seconds)
    carrying = [one for one in shown if len(one.labels)]
    (found,) = happenings(shown, SCHEMA)
    assert len(found[0].items) == len(carrying) > 1
    assert found[0].event.end == carrying[-1].labels.attributes["end"][0]
    assert carrying[-1].frame.seconds >= found[0].event.end + 1


def test_an_event_whose_start_is_told_later_begins_then_in_utc_too():
    def told(start, end):
        return to_labels([Event("loitering", FIRST_EVENT, start, end, (3,))], SCHEMA, SIZE)

    (found,) = happenings(clip(told(40.0, 40.0), told(10.0, 40.125), seconds=(40, 40.125), utc=1000.0), SCHEMA)
    assert found[0].end - found[0].begin == found[0].event.seconds == 30.125


def test_two_events_without_a_track_in_one_frame_are_one_of_a_name_of_its_own():
    twice = replace(Labels.concat([event("fall"), event("fall", 1)]), track=np.array([-1, -1]))
    known = to_labels([Event("fall", 0, 1.0, 2.0)], SCHEMA, SIZE)  # whose track is the number of that frame
    (found,) = happenings(clip(Labels.concat([twice, known]), twice), SCHEMA)
    assert [len(one.items) for one in found] == [2, 1]
    assert len({one.id for one in found}) == 2


def test_a_picture_that_stands_alone_is_a_clip_of_its_own(tmp_path):
    alone = [replace(one, item=replace(one.item, group="")) for one in clip(event(), event())]
    found = [one for some in happenings(alone, SCHEMA) for one in some]
    assert [(one.group, len(one.items)) for one in found] == [(one.item.id, 1) for one in alone]
    assert found[0].id != found[1].id


def test_who_denied_is_whoever_took_it_out(tmp_path):
    yard = Watched(tmp_path)
    yard.answer("bob", "intrusion", "reject")
    for one in yard.of("intrusion"):
        yard.project.decide(one, "accept", who="ann", key=f"later {one}", rows=(0,))  # of a box
        seq = yard.project.decide(one, "reject", who="eve", key=f"no {one}", rows=(0,)).seq
        yard.project.decide(one, "undo", who="eve", key=f"undo {one}", undoes=seq)
    yard.export(EventsTable(denied=True, pictures=yard.pictures), tmp_path / "out")
    (one,) = [one for one in lines(tmp_path / "out") if one["event"] == "intrusion"]
    at = [d.at for i in yard.of("intrusion") for d in yard.project.decisions(i) if d.who == "bob"]
    assert one["answered"] == [{"who": "bob", "at": max(at)}]
    yard.project.close()


def test_truth_needs_nobody_and_is_called_truth(tmp_path):
    records = [replace(one, source="truth:sample") for one in clip(event(), event())]
    EventsTable().export(records, SCHEMA, tmp_path)
    assert [one["state"] for one in lines(tmp_path)] == ["truth"]


def test_without_a_project_nothing_is_confirmed(tmp_path):
    loss = EventsTable().export(clip(event(), event()), SCHEMA, tmp_path)
    assert lines(tmp_path) == []
    assert loss["unconfirmed event"] == 1


def test_events_are_joined_over_frames_gaps_and_clips():
    def one(at, name="loitering", track=FIRST_EVENT, who=(3,)):
        return to_labels([Event(name, track, 1.0, at, who)], SCHEMA, SIZE)

    frames = clip(one(1), one(2, who=(4,)), Labels.empty(), one(4), one(4, "fall"), seconds=(1, 2, 3, 4, 5))
    other = [replace(r, item=replace(r.item, group="b.mp4", id=f"b{r.item.id}")) for r in clip(one(1))]
    found = list(happenings([*frames, *other], SCHEMA))
    assert [[(h.event.name, len(h.items)) for h in some] for some in found] == [
        [("loitering", 3), ("fall", 1)],
        [("loitering", 1)],
    ]
    joined = found[0][0]
    assert (joined.event.start, joined.event.end, joined.event.participants) == (1, 4, (3, 4))
    assert len({h.id for some in found for h in some}) == 3


def test_what_a_person_drew_without_times_has_those_of_its_frames():
    def drawn():
        return Labels.of([SCHEMA.class_id("fall")], [[0, 0, 640, 480]], kind=0)

    (found,) = happenings(clip(drawn(), drawn(), Labels.empty(), drawn(), fps=4), SCHEMA)
    assert [(h.event.start, h.event.end, len(h.items)) for h in found] == [(0, 0.25, 2), (0.75, 0.75, 1)]


def test_times_are_utc_whatever_daylight_saving_does():
    assert iso(UTC0) == "2026-03-29T01:00:00.000Z"
    assert iso(None) == ""
    (found,) = happenings(clip(event(), event(), seconds=(1.5, 2), utc=5.0), SCHEMA)
    assert found[0].begin == 5.0 - 0.5  # it began half a second before the frame
    kept, left = confirm(found, SCHEMA, None)
    assert (kept, left) == ([], 1)


def test_a_text_that_looks_like_a_formula_stays_a_text(tmp_path):
    event_ = to_labels([Event("fall", FIRST_EVENT, 0, 1, (), "=HYPERLINK(1)")], SCHEMA, SIZE)
    EventsTable().export([replace(one, source="truth:x") for one in clip(event_)], SCHEMA, tmp_path)
    assert table(tmp_path)[0]["place"] == "'=HYPERLINK(1)"
    assert lines(tmp_path)[0]["place"] == "=HYPERLINK(1)"


def test_what_else_there_is_is_counted(tmp_path):
    labels = Labels.concat([boxes(("person", 1, 0, 0, 5, 9)), event()])
    loss = EventsTable().export([replace(one, source="truth:x") for one in clip(labels)], SCHEMA, tmp_path)
    assert loss["box"] == 1
    assert "tag" not in loss
    assert formats.get("events", schema=SCHEMA).name == "events"
