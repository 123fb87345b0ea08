"""Loitering: half a minute within three metres, whatever the frame rate, the tracker and people who pass before."""

from __future__ import annotations

from datetime import time

import numpy as np
import pytest

from behaviour_kit import Actor, behaviour, play, square, times, walk
from hyla_surveillance.camera import Span

STAYS = walk((0, 0, 10), (8, 12, 10), (50, 12, 10), (60, 28, 10))


def pacing(seconds: float, radius: float = 2.5) -> tuple[float, float]:
    """Return a place on a circle, gone around in 10 s."""
    return 15 + radius * np.cos(seconds * 0.63), 10 + radius * np.sin(seconds * 0.63)


@pytest.mark.parametrize("fps", [1, 6, 8, 25, 60])
@pytest.mark.parametrize("ground", [True, False])
def test_who_stays_half_a_minute_loiters(fps: float, ground: bool) -> None:
    (event,) = play(behaviour(ground=ground), [Actor(STAYS, 4)], times(60, fps))
    assert event.name == "loitering"
    assert event.participants == (4,)
    assert event.start == pytest.approx(6, abs=2.5), "within six metres of where the stay ends"
    assert event.end == pytest.approx(52, abs=2.5)
    assert event.evidence["dwell_s"] == pytest.approx(event.seconds)
    assert event.evidence["radius_m"] <= 3
    assert event.evidence["fps"] == pytest.approx(fps, rel=0.01)
    assert event.evidence["calibrated"] == float(ground)


def test_who_stays_for_less_does_not() -> None:
    assert play(behaviour(), [Actor(walk((0, 10, 10), (28, 10, 10)))], times(40)) == []


def test_who_walks_around_in_a_small_circle_loiters_and_in_a_large_one_does_not() -> None:
    assert len(play(behaviour(), [Actor(pacing)], times(60), sigma=1)) == 1
    assert play(behaviour(), [Actor(lambda t: pacing(t, 4.0))], times(60), sigma=1) == []


def test_it_is_told_when_it_is_sure_and_no_sooner() -> None:
    made = behaviour()
    events = play(made, [Actor(walk((0, 10, 10), (29.0, 10, 10)))], times(29))
    assert events == []
    (event,) = play(behaviour(), [Actor(walk((0, 10, 10), (32, 10, 10)))], times(32))
    assert event.start == 0
    assert event.score == pytest.approx(32 / 62, abs=0.01)


def test_changing_tracks_do_not_end_a_stay() -> None:
    (event,) = play(behaviour(), [Actor(STAYS, lambda t: 1 + int(t // 7))], times(60), sigma=2)
    assert event.seconds > 40
    assert event.participants == (5, 6, 7, 8)


def test_being_hidden_for_some_seconds_does_not_end_a_stay() -> None:
    actor = Actor(lambda t: None if 20 < t < 24 else STAYS(t), lambda t: 1 if t < 22 else 2)
    (event,) = play(behaviour(), [actor], times(60))
    assert event.seconds > 40


def test_being_gone_for_longer_does() -> None:
    actor = Actor(lambda t: None if 20 < t < 28 else STAYS(t), lambda t: 1 if t < 22 else 2)
    assert play(behaviour(), [actor], times(55)) == []


def test_who_comes_out_of_a_door_is_not_who_went_in() -> None:
    actors = []
    for n in range(12):  # one walks in, 2 s later another comes out, all at the same door
        t = 5.0 * n
        there = (t, 4, 10), (t + 3, 0.2, 10)
        back = (t, 0.2, 10), (t + 3, 4, 10)
        actors.append(Actor(walk(*(there if n % 2 else back)), n))
    assert play(behaviour(), actors, times(62)) == []


def test_it_counts_in_dwell_zones_if_there_are_any() -> None:
    inside, outside = square("bench", "dwell", 10, 8, 14, 12), square("bench", "dwell", 20, 8, 24, 12)
    (event,) = play(behaviour(inside), [Actor(STAYS)], times(60))
    assert event.place == "bench"
    assert play(behaviour(outside), [Actor(STAYS)], times(60)) == []


def test_a_zone_may_say_for_how_long() -> None:
    zones = square("a", "dwell", 0, 0, 15, 20, seconds=10.0), square("b", "dwell", 15, 0, 30, 20, seconds=60.0)
    actors = [Actor(walk((0, 5, 10), (40, 5, 10)), 1), Actor(walk((0, 25, 10), (40, 25, 10)), 2)]
    (event,) = play(behaviour(*zones), actors, times(40))
    assert (event.place, event.participants) == ("a", (1,))
    assert event.score == pytest.approx(0.8, abs=0.01)


def test_stepping_out_of_the_zone_for_a_moment_does_not_count() -> None:
    zone = square("a", "dwell", 10, 8, 14, 12)
    steps = Actor(lambda t: (14.3, 10) if 15 < t < 16.5 else (13.5, 10))
    (event,) = play(behaviour(zone), [steps], times(40))
    assert event.start == 0
    gone = Actor(lambda t: (14.3, 10) if 15 < t < 20 else (13.5, 10))
    assert play(behaviour(zone), [gone], times(40)) == []


def test_what_is_in_an_ignore_zone_is_not_looked_at() -> None:
    assert play(behaviour(square("x", "ignore", 10, 8, 14, 12)), [Actor(STAYS)], times(60)) == []


def test_a_zone_holds_by_its_schedule() -> None:
    night = (Span(begin=time(22), end=time(6)),)
    zone = square("a", "dwell", 10, 8, 14, 12, schedule=night)
    assert len(play(behaviour(zone), [Actor(STAYS)], times(60), utc=23 * 3600.0)) == 1
    assert play(behaviour(zone), [Actor(STAYS)], times(60), utc=12 * 3600.0) == []


def test_only_people_loiter() -> None:
    actors = [Actor(walk((0, 10, 10), (50, 10, 10)), 1, "car"), Actor(walk((0, 20, 10), (50, 20, 10)), 2, "bag")]
    assert [e.name for e in play(behaviour(), actors, times(50))] == []


def test_two_stays_are_two_events() -> None:
    path = walk((0, 4, 10), (35, 4, 10), (50, 25, 10), (85, 25, 10))
    one, two = play(behaviour(), [Actor(path)], times(85))
    assert one.end <= two.start
