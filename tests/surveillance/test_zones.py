"""Zones that nobody may be in, lines to cross, ways to go: counted once, at any frame rate, through gaps and over midnight."""

from __future__ import annotations

from datetime import UTC, datetime, time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from behaviour_kit import PIXELS, Actor, behaviour, line, play, square, times, walk
from hyla_surveillance.camera import Camera, Span, Zone
from hyla_surveillance.zones import Zones, crossed, nearest

YARD = square("yard", "restricted", 10, 5, 16, 15)
DOOR = line("door", (15, 20), (15, 0))
LANE = square("lane", "one_way", 2, 2, 28, 18, direction=np.array([1.0, 0.0]))
FPS = [1, 2, 6, 25, 60]
floats = st.integers(-50, 350).map(lambda n: n / 10)


# Zones of one camera together


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(floats, floats), min_size=3, max_size=7), max_size=5),
    st.lists(st.tuples(floats, floats), max_size=20),
)
def test_all_zones_in_one_go_are_what_each_says(
    corners: list[list[tuple[float, float]]], points: list[tuple[float, float]]
) -> None:
    zones = tuple(Zone(str(i), "dwell", np.array(one)) for i, one in enumerate(corners))
    at = np.array(points).reshape(-1, 2)
    inside = Zones(Camera("a", zones=zones)).inside(at, None)
    expected = [zone.contains(at) for zone in zones]
    np.testing.assert_array_equal(inside, np.reshape(expected, (len(zones), len(at))))


# Intrusion


@pytest.mark.parametrize("fps", FPS)
def test_who_goes_through_a_restricted_zone_intrudes(fps: float) -> None:
    (event,) = play(behaviour(YARD), [Actor(walk((0, 0, 10), (20, 30, 10)), 3)], times(20, fps))
    assert (event.name, event.place, event.participants) == ("intrusion", "yard", (3,))
    assert event.start == pytest.approx(10 / 1.5, abs=1 / fps)
    assert event.end == pytest.approx(16 / 1.5, abs=1 / fps)
    assert event.evidence["dwell_s"] == pytest.approx(event.seconds)


def test_less_than_a_second_is_none() -> None:
    assert play(behaviour(YARD), [Actor(walk((0, 9.5, 14.6), (2, 12, 14.6), (2.1, 12, 16)))], times(4)) != []
    assert play(behaviour(YARD), [Actor(walk((0, 7, 14.6), (2, 11, 14.6), (2.4, 11, 16)))], times(4)) == []


def test_the_foot_counts_and_not_the_head() -> None:
    assert play(behaviour(YARD), [Actor(walk((0, 12, 16), (9, 12, 16)))], times(9)) == [], "the head is over the zone"


def test_vehicles_intrude_and_things_do_not() -> None:
    actors = [Actor(walk((0, 12, 10), (9, 12, 10)), 1, "car"), Actor(walk((0, 14, 10), (9, 14, 10)), 2, "bag")]
    (event,) = play(behaviour(YARD), actors, times(9))
    assert event.participants == (1,)


def test_standing_on_the_edge_is_one_event() -> None:
    (event,) = play(behaviour(YARD), [Actor(walk((0, 10.02, 10), (30, 10.02, 10)))], times(29), sigma=2)
    assert event.seconds > 25


def test_a_zone_may_say_for_how_long() -> None:
    zone = square("yard", "restricted", 10, 5, 16, 15, seconds=6.0)
    assert play(behaviour(zone), [Actor(walk((0, 0, 10), (20, 30, 10)))], times(20)) == []


@settings(deadline=None, max_examples=60)
@given(st.sets(st.integers(40, 120), max_size=70), st.integers(0, 1000), st.booleans())
def test_dropped_frames_do_not_lose_an_intrusion_of_five_seconds(dropped: set[int], shift: int, changes: bool) -> None:
    # In from 5 s to 10 s: as long as two frames a second apart are left, it is told, and once.
    moments = [n / 8 for n in range(160) if n not in dropped]
    actor = Actor(walk((0, 7.5, 10), (5, 10, 10), (7.5, 12.5, 10), (10, 10, 10), (15, 7.5, 10)), shift)
    if changes:
        actor.track = lambda t: shift + int(t / 2)
    inside = [t for t in moments if 5.05 < t < 9.95]
    events = play(behaviour(YARD), [actor], moments)
    if inside and inside[-1] - inside[0] >= 1.0 and not changes:
        assert [e.name for e in events] == ["intrusion"]
    assert len(events) <= (2 if changes else 1)
    for one in events:
        assert 5 - 1e-6 <= one.start < one.end <= 10 + 1e-6


# Schedules


def nights() -> Zone:
    return square("yard", "restricted", 10, 5, 16, 15, schedule=(Span(begin=time(22), end=time(6)),))


@pytest.mark.parametrize(
    ("moment", "expected"), [((2026, 1, 5, 23), 1), ((2026, 1, 5, 12), 0), ((2026, 7, 5, 21), 1), ((2026, 1, 5, 20, 30), 0)]
)
def test_a_schedule_is_by_the_clock_on_the_wall(moment: tuple[int, ...], expected: int) -> None:
    utc = datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    made = behaviour(nights(), timezone="Europe/Berlin")  # 21 UTC is 23 in summer
    assert len(play(made, [Actor(walk((0, 12, 10), (9, 12, 10)))], times(9), utc=utc)) == expected


@pytest.mark.parametrize("day", [(2026, 3, 29, 0, 59, 55), (2026, 10, 25, 0, 59, 55)])
def test_clocks_that_change_neither_lose_nor_double_an_intrusion(day: tuple[int, ...]) -> None:
    utc = datetime(*day, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]
    made = behaviour(nights(), timezone="Europe/Berlin")
    (event,) = play(made, [Actor(walk((0, 12, 10), (20, 12, 10)))], times(20), utc=utc)
    assert (event.start, event.end) == (0, 20)


def test_an_intrusion_ends_with_the_schedule() -> None:
    utc = datetime(2026, 1, 5, 5, 59, 50, tzinfo=UTC).timestamp()
    (event,) = play(behaviour(nights()), [Actor(walk((0, 12, 10), (20, 12, 10)))], times(20), utc=utc)
    assert event.end == pytest.approx(10, abs=0.2)


# Lines


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("ground", [True, False])
def test_a_line_is_crossed_in_and_out(fps: float, ground: bool) -> None:
    path = walk((0, 5, 10), (10, 25, 10), (20, 5, 12))
    into, out = play(behaviour(DOOR, ground=ground), [Actor(path, 6)], times(20, fps), sigma=1)
    assert (into.name, into.direction, into.place, into.participants) == ("line_crossing", "in", "door", (6,))
    assert out.direction == "out"
    assert into.start == pytest.approx(5, abs=0.2)
    assert out.start == pytest.approx(15, abs=0.2)
    assert into.score >= 0.5


def test_who_stands_on_the_line_is_counted_once() -> None:
    path = walk((0, 5, 10), (5, 15, 10), (65, 15, 10), (70, 25, 10))
    (event,) = play(behaviour(DOOR, events=["line_crossing"]), [Actor(path)], times(70), sigma=3)
    assert event.direction == "in"


def test_who_turns_back_on_the_line_does_not_cross() -> None:
    path = walk((0, 5, 10), (5, 15.05, 10), (15, 15.05, 10), (20, 5, 10))
    assert play(behaviour(DOOR), [Actor(path)], times(20), sigma=2) == []


def test_who_goes_around_the_end_does_not_cross() -> None:
    path = walk((0, 10, 10), (5, 10, 17), (10, 20, 17), (15, 20, 10))
    assert play(behaviour(line("door", (15, 15), (15, 5))), [Actor(path)], times(15)) == []


def test_being_hidden_at_the_line_does_not_lose_it() -> None:
    path = walk((0, 5, 10), (20, 25, 10))
    actor = Actor(lambda t: None if 8.5 < t < 11.5 else path(t), lambda t: 1 if t < 10 else 2)
    (event,) = play(behaviour(DOOR), [actor], times(20))
    assert event.direction == "in"
    assert event.start == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize("wanted", ["in", "out"])
def test_only_the_direction_that_is_asked_for(wanted: str) -> None:
    path = walk((0, 5, 10), (10, 25, 10), (20, 5, 12))
    (event,) = play(behaviour(line("door", (15, 20), (15, 0), direction=wanted)), [Actor(path)], times(20))
    assert event.direction == wanted


def test_a_line_with_corners_is_crossed_once() -> None:
    zigzag = line("door", (15, 20), (15, 12), (16, 10), (15, 8), (15, 0))
    (event,) = play(behaviour(zigzag), [Actor(walk((0, 5, 10), (10, 25, 10)))], times(10))
    assert event.direction == "in"


def test_a_crossing_stays_on_the_frames_for_a_second() -> None:
    from behaviour_kit import frames

    shown = [len(e) for e in frames(behaviour(DOOR), [Actor(walk((0, 5, 10), (10, 25, 10)))], times(10))]
    assert sum(shown) == 9, "of 8 a second, with both ends"


@settings(deadline=None)
@given(floats, floats, floats, floats)
def test_back_the_same_way_counts_back(x0: float, y0: float, x1: float, y1: float) -> None:
    a, b = np.array([[x0, y0]]), np.array([[x1, y1]])
    there, _ = crossed(np.array([[15.0, 20], [14, 10], [15, 0]]), a, b)
    back, _ = crossed(np.array([[15.0, 20], [14, 10], [15, 0]]), b, a)
    middle_free = np.hypot(*(nearest(np.array([[15.0, 20], [14, 10], [15, 0]]), np.vstack([a, b])) - np.vstack([a, b])).T) > 1e-6
    if middle_free.all():
        assert (there == -back).all()
    assert abs(int(there[0])) <= 2


# The wrong way


@pytest.mark.parametrize("fps", FPS)
@pytest.mark.parametrize("ground", [True, False])
def test_against_the_direction_is_the_wrong_way(fps: float, ground: bool) -> None:
    path = walk((0, 5, 10), (5, 12, 10), (10, 5, 10), (14, 11, 10))
    (event,) = play(behaviour(LANE, ground=ground), [Actor(path, 2)], times(14, fps), sigma=1)
    assert (event.name, event.place, event.participants) == ("wrong_way", "lane", (2,))
    assert event.start == pytest.approx(5, abs=1.1)
    assert event.end == pytest.approx(10, abs=1.1)
    assert event.evidence["angle_deg"] > 120
    assert event.evidence["distance_m"] > 1


@pytest.mark.parametrize(("degrees", "expected"), [(0, 0), (90, 0), (110, 0), (130, 1), (180, 1), (-130, 1)])
def test_the_angle_decides(degrees: float, expected: int) -> None:
    way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    path = walk((0, 15, 10), (5, *(np.array([15, 10]) + 1.3 * 5 * way)))
    assert len(play(behaviour(LANE), [Actor(path)], times(5))) == expected


def test_too_short_too_slow_and_standing_are_not() -> None:
    short = walk((0, 15, 10), (1.5, 13, 10), (10, 13, 10))
    slow = walk((0, 15, 10), (30, 12, 10))
    assert play(behaviour(LANE, events=["wrong_way"]), [Actor(short), Actor(slow, 2)], times(29), sigma=1) == []


def test_a_zone_without_direction_has_no_wrong_way() -> None:
    zone = square("lane", "one_way", 2, 2, 28, 18)
    assert play(behaviour(zone), [Actor(walk((0, 25, 10), (9, 5, 10)))], times(9)) == []


def test_points_are_found_on_lines() -> None:
    at = nearest(DOOR.points, np.array([[0.0, 400.0], [1000, -50], [600, 900]]))
    np.testing.assert_allclose(at, [[15 * PIXELS, 400], [15 * PIXELS, 0], [15 * PIXELS, 800]])
