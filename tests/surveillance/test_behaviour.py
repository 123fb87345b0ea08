"""Behaviour as a whole: clocks, sizes, identities, memory, settings; the same events whatever the frame rate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviour_kit import GROUND, SCHEMA, SIZE, Actor, behaviour, frames, labels, line, play, square, times, told, walk
from hyla.errors import ConfigError
from hyla.types import Item, Labels
from hyla_surveillance.behaviour import Behaviour, Clock
from hyla_surveillance.camera import Cameras
from hyla_surveillance.events import EVENTS, EVIDENCE, FIRST_EVENT, Event
from hyla_surveillance.trails import MOST

YARD = square("yard", "restricted", 10, 5, 16, 15)
DOOR = line("door", (20, 20), (20, 0))
LANE = square("lane", "one_way", 0, 15, 30, 20, direction=np.array([1.0, 0.0]))
CAST = [
    Actor(walk((0, 2, 10), (9, 12, 10), (54, 12, 10), (60, 18, 10)), 1),  # loiters and intrudes
    Actor(walk((5, 2, 4), (12, 28, 4)), 2),  # runs and crosses
    Actor(walk((20, 28, 17), (38, 4, 17)), 3),  # the wrong way, and out
    Actor(walk((2, 5, 13), (95, 5, 13)), 4, "bag"),
    Actor(walk((0, 5.3, 13), (5, 5.3, 13), (25, 5.3, 1)), 5),
]
SCENE = (YARD, DOOR, LANE)


def summary(events: list[Event]) -> list[tuple[Any, ...]]:
    return sorted((e.name, e.place, e.direction, e.participants) for e in events)


EXPECTED = [
    ("abandoned_object", "", "", (4, 5)),
    ("intrusion", "yard", "", (1,)),
    ("line_crossing", "door", "in", (2,)),
    ("line_crossing", "door", "out", (3,)),
    ("loitering", "", "", (1,)),
    ("running", "", "", (2,)),
    ("wrong_way", "lane", "", (3,)),
]


@pytest.mark.parametrize("fps", [1, 3, 8, 30])
def test_the_frame_rate_changes_no_event(fps: float) -> None:
    assert summary(play(behaviour(*SCENE), CAST, times(90, fps), sigma=1)) == EXPECTED


@pytest.mark.parametrize("seed", range(3))
def test_irregular_times_change_no_event(seed: int) -> None:
    moments = np.sort(np.random.default_rng(seed).uniform(0, 90, 90 * 8)).tolist()
    assert summary(play(behaviour(*SCENE), CAST, moments, sigma=1)) == EXPECTED


def test_without_a_ground_the_same_happens() -> None:
    assert summary(play(behaviour(*SCENE, ground=False), CAST, times(90), sigma=1)) == EXPECTED


@settings(deadline=None, max_examples=4)
@given(st.permutations(range(1, 6)), st.integers(0, 10**6))
def test_other_identities_change_nothing_else(order: list[int], shift: int) -> None:
    new = {i + 1: shift + n for i, n in enumerate(order)}
    cast = [Actor(a.path, new[int(a.track)], a.name) for a in CAST]  # type: ignore[call-overload]
    before = list(frames(behaviour(*SCENE), CAST, times(72, 4)))
    after = list(frames(behaviour(*SCENE), cast, times(72, 4)))
    for a, b in zip(before, after, strict=True):
        expected = [tuple(sorted(new[p] for p in one.participants)) for one in a]
        assert [one.participants for one in b] == expected
        assert [(o.name, o.track, o.start, o.end, o.score, o.evidence) for o in a] == [
            (o.name, o.track, o.start, o.end, o.score, o.evidence) for o in b
        ]


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 4.0, 8.0]), st.booleans())
def test_events_of_anybody_never_overlap_themselves(seed: int, fps: float, ground: bool) -> None:
    chance = np.random.default_rng(seed)

    def path(points: np.ndarray) -> Any:
        return walk(*np.column_stack([np.linspace(0, 60, len(points)), points]).tolist())

    cast = [
        Actor(path(chance.uniform((1, 3), (29, 19), (int(chance.integers(2, 9)), 2))), n, ("person", "car", "bag")[n % 3])
        for n in range(8)
    ]
    made = behaviour(*SCENE, loitering_s=10.0, abandoned_s=10.0, owner_s=5.0)
    events = play(made, cast, times(60, fps), sigma=3)
    for i, one in enumerate(events):
        for other in events[i + 1 :]:
            if (one.name, one.place, one.participants) == (other.name, other.place, other.participants):
                assert other.start >= one.end or one.start >= other.end, (one, other)


# The clock


def test_a_clock_that_jumps_back_neither_loses_nor_doubles() -> None:
    path = walk((0, 12, 10), (60, 12, 10))
    made, found = behaviour(YARD, events=["intrusion", "loitering"]), []
    for index in range(481):
        real = index / 8
        shown = real + 1000 if real < 20 else real - 20  # set anew after 20 s
        item = Item(str(index), "c", "c", index, "video_frame", {"camera": "a"})
        found.append(made.update(item, labels([Actor(path)], real), shown, SIZE))
    before, after, stay = told(found)
    assert (before.name, before.start, before.end) == ("intrusion", 1000.0, pytest.approx(1019.875))
    assert (after.name, after.start, after.end) == ("intrusion", 0.0, 40.0)
    assert (stay.name, stay.start) == ("loitering", 0.0), "what was measured so far counts on"
    assert stay.evidence["dwell_s"] == pytest.approx(60, abs=0.2)


def test_a_frame_out_of_order_does_not_end_an_event() -> None:
    moments = times(20)
    moments[80], moments[81] = moments[81], moments[80]
    (event,) = play(behaviour(YARD), [Actor(walk((0, 12, 10), (20, 12, 10)))], moments)
    assert (event.start, event.end) == (0, 20)


def test_a_clock_that_stands_still_measures_nothing() -> None:
    made = behaviour(YARD)
    actor = Actor(lambda t: (12, 10))
    assert told(frames(made, [actor], [5.0] * 100)) == []
    later = play(behaviour(YARD), [actor], [5.0] * 100 + [5 + n / 8 for n in range(20)])
    assert [e.name for e in later] == ["intrusion"]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_time_that_is_no_number_is_passed_over(bad: float) -> None:
    moments = [bad, *times(20)]
    moments[60] = bad
    noise = Actor(lambda t: (12, 10))
    (event,) = play(behaviour(YARD), [noise], moments)
    assert (event.start, event.end) == (0, 20)


def test_a_long_pause_does_not_count_as_staying() -> None:
    moments = [*times(10), *(1000 + t for t in times(10))]
    assert play(behaviour(), [Actor(lambda t: (12, 10))], moments) == []


def test_a_clip_may_begin_at_any_time() -> None:
    actor = Actor(lambda t: (12, 10))
    (event,) = play(behaviour(YARD), [actor], [1e6 + t for t in times(10)])
    assert (event.start, event.end) == (1e6, 1e6 + 10)


def test_the_clock_counts_frames_per_second() -> None:
    clock = Clock()
    for n in range(100):
        clock.advance(n / 25)
    assert clock.interval == pytest.approx(1 / 25)


# The picture


def test_a_picture_that_changes_its_size_does_not_end_an_event() -> None:
    made, found = behaviour(YARD, ground=False), []
    for index, seconds in enumerate(times(20)):
        shown = labels([Actor(lambda t: (12, 10), lambda t: 1 if t < 10 else 2)], seconds)
        size = SIZE
        if seconds >= 10:
            shown.box = shown.box * 0.5
            size = (SIZE[0] // 2, SIZE[1] // 2)
        item = Item(str(index), "c", "c", index, "video_frame", {"camera": "a"})
        found.append(made.update(item, shown, seconds, size))
    (event,) = told(found)
    assert event.end == 20


@pytest.mark.parametrize("size", [(1, 1), (800, 1200), (4, 3)])
def test_boxes_that_are_none_do_no_harm(size: tuple[int, int]) -> None:
    made = behaviour(*SCENE)
    box = [[np.nan] * 4, [5, 5, 5, 9], [9, 9, 2, 2], [0, 0, np.inf, 4], [0, 0, 1, 1], [-9e9, -9e9, 9e9, 9e9]]
    for n in range(30):
        shown = Labels.of([0] * 6, box, track=range(6))
        events = made.update(Item(str(n), "c", "c", n, "video_frame", {"camera": "a"}), shown, n / 2, size)
        for one in events:
            assert all(np.isfinite([one.start, one.end, one.score, *one.evidence.values()]))


def test_no_people_no_events() -> None:
    assert list(frames(behaviour(*SCENE), [], times(60))) == [[]] * 481


def test_classes_that_nobody_asked_for_are_passed_over() -> None:
    assert play(behaviour(YARD), [Actor(lambda t: (12, 10), 1, "bag", shape=lambda t: (1, 1))], times(9)) == []
    tree = Labels.of([SCHEMA.ids["tree"]], [[480, 350, 500, 400]], track=[1])
    made = behaviour(YARD)
    assert [made.update(Item(str(n), "c", "c", n), tree, n / 8, SIZE) for n in range(80)] == [[]] * 80


# Memory


def test_five_hundred_people_are_kept_apart_in_bounded_memory() -> None:
    chance = np.random.default_rng(0)
    made = behaviour(*SCENE)
    for n in range(25):
        foot = chance.uniform((20, 80), (1180, 790), (500, 2))
        shown = Labels.of(
            np.zeros(500), np.column_stack([foot - np.array([10, 68]), foot + np.array([10, 0])]), track=np.arange(500) + 500 * n
        )
        made.update(Item(str(n), "c", "c", n, "video_frame", {"camera": "a"}), shown, n / 8, SIZE)
    (group,) = made._groups.values()
    assert group.trails.serial.size <= MOST


def test_a_group_that_is_forgotten_begins_anew() -> None:
    made = behaviour(YARD)
    first = list(frames(made, [Actor(lambda t: (12, 10))], times(5)))
    made.forget("clip")
    assert not made._groups
    assert list(frames(made, [Actor(lambda t: (12, 10))], times(5))) == first
    made.forget("never seen")


def test_a_replay_gives_the_same_again() -> None:
    made = behaviour(*SCENE)
    first = list(frames(made, CAST, times(30)))
    assert list(frames(made, CAST, times(30))) == first


def test_clips_side_by_side_do_not_touch() -> None:
    alone = list(frames(behaviour(*SCENE), CAST, times(40)))
    made, both = behaviour(*SCENE), []
    for index, seconds in enumerate(times(40)):
        shown = labels(CAST, seconds)
        for group in ("a", "b"):
            item = Item(f"{group}{index}", group, group, index, "video_frame", {"camera": "a"})
            both.append(made.update(item, shown, seconds, SIZE))
    assert both[::2] == both[1::2] == alone


def test_an_item_that_stands_alone_has_no_events() -> None:
    made = behaviour(YARD)
    assert made.update(Item("a", "a.jpg"), labels([Actor(lambda t: (12, 10))], 0.0), 0.0, SIZE) == []


# What is told


def test_events_are_numbered_in_order_and_say_what_they_know() -> None:
    events = play(behaviour(*SCENE), CAST, times(90))
    assert [e.track for e in events] == [FIRST_EVENT + n for n in range(len(events))]
    assert {name for e in events for name in e.evidence} <= set(EVIDENCE)
    assert {"fps", "calibrated"} <= set.intersection(*(set(e.evidence) for e in events))


def test_an_event_is_told_no_sooner_than_it_is_sure() -> None:
    shown = list(frames(behaviour(YARD), [Actor(walk((0, 12, 10), (20, 12, 10)))], times(20)))
    first = next(n for n, events in enumerate(shown) if events)
    assert first == 8
    assert all(shown[first:]), "and on every frame from then on"
    assert shown[first][0].score == pytest.approx(0.5)


def test_what_nobody_wants_is_not_told() -> None:
    events = play(behaviour(*SCENE, events=["line_crossing"]), CAST, times(40))
    assert {e.name for e in events} == {"line_crossing"}
    assert play(behaviour(*SCENE, events=[]), CAST, times(40)) == []


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"events": ["loitring"]}, "did you mean 'loitering'"),
        ({"loitering": 3.0}, "loitering_"),
        ({"loitering_s": 0.0}, "loitering_s"),
        ({"running_mps": float("nan")}, "running_mps"),
        ({"gap_s": "5"}, "gap_s"),
        ({"lying_ratio": 2.0}, "lying_ratio"),
        ({"wrong_way_deg": 180.0}, "below 180"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Behaviour(SCHEMA, None, "", **setting)
    assert word in f"{caught.value} {caught.value.hint}"


def test_cameras_are_read_from_the_source(tmp_path: Path) -> None:
    (tmp_path / "cameras").mkdir()
    values = {
        "size": list(SIZE),
        "ground": {"matrix": GROUND.tolist()},
        "zones": {"yard": {"purpose": "restricted", "polygon": YARD.polygon.tolist()}},
    }
    (tmp_path / "cameras" / "a.yaml").write_text(yaml.safe_dump(values))
    made = Behaviour(SCHEMA, "auto", str(tmp_path))
    (event,) = play(made, [Actor(lambda t: (12, 10))], times(9))
    assert (event.place, event.evidence["calibrated"]) == ("yard", 1)
    assert set(made.events) == set(EVENTS)


# Whatever comes


edges = st.one_of(st.integers(-400, 1600).map(float), st.sampled_from([float("nan"), float("inf"), -1e12, 0.0]))
rows = st.tuples(st.integers(0, len(SCHEMA.classes) - 1), st.integers(-1, 6), edges, edges, edges, edges)
seconds = st.one_of(st.integers(-50, 400).map(lambda n: n / 8), st.sampled_from([float("nan"), 1e9]))
shots = st.tuples(seconds, st.lists(rows, max_size=6), st.sampled_from([SIZE, (1, 1), (400, 600)]), st.integers(0, 1))


@settings(deadline=None, max_examples=60)
@given(st.lists(shots, max_size=25), st.sampled_from(["none", "flat", "tilted"]))
def test_whatever_comes_is_survived_and_what_is_told_holds_together(frames: list[Any], ground: str) -> None:
    made = behaviour(*SCENE, square("all", "crowd", 0, 0, 30, 20), loitering_s=2.0, abandoned_s=2.0, owner_s=1.0)
    tilted = np.array([[1 / 40, 0, 0], [0, 1 / 40, 0], [0, 1 / 300, -1.0]])  # the upper rows are sky
    camera = made.cameras.of("a")
    made.cameras = Cameras([replace(camera, homography={"none": None, "flat": GROUND, "tilted": tilted}[ground])])
    for index, (at, found, size, live) in enumerate(frames):
        shown = Labels.of([r[0] for r in found], [r[2:] for r in found], track=[r[1] for r in found])
        before = shown[:]
        item = Item(str(index), "c", "c", index, "video_frame", {"camera": "a", "utc": at if live else None})
        events = made.update(item, shown, at, size)
        assert shown == before or any(v != v for r in found for v in r), "labels are not changed"
        assert len({one.track for one in events}) == len(events)
        for one in events:
            assert one.start <= one.end
            assert 0.5 <= one.score <= 1
            assert np.isfinite([one.start, one.end, *one.evidence.values()]).all()
            assert all(p >= 0 for p in one.participants)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.4]), st.booleans())
def test_missed_boxes_and_changed_tracks_lose_and_double_nothing(seed: int, missed: float, changes: bool) -> None:
    chance = np.random.default_rng(seed)
    moments = [t for t in times(50) if chance.random() > 0.1]
    when = sorted(chance.uniform(0, 50, 6).tolist()) if changes else []
    gone = {a: {t for t in moments if chance.random() < missed} for a in range(2)}
    paths = [CAST[0].path, walk((3, 2, 4), (28, 28, 4), (29, 28, 4), (49, 3, 4))]  # stays and intrudes; crosses there and back

    def actor(n: int) -> Actor:
        return Actor(lambda t: None if t in gone[n] else paths[n](t), lambda t: 10 * (n + 1) + sum(t > w for w in when))

    events = play(behaviour(YARD, DOOR), [actor(0), actor(1)], moments, sigma=1)
    assert sorted((e.name, e.direction) for e in events) == [
        ("intrusion", ""),
        ("line_crossing", "in"),
        ("line_crossing", "out"),
        ("loitering", ""),
    ]
