"""Too many people on a square metre, or in a zone."""

from __future__ import annotations

import numpy as np
import pytest

from behaviour_kit import Actor, behaviour, play, square, times, walk

SQUARE = square("square", "crowd", 5, 5, 25, 18)


def group(n: int, apart: float, begin: float = 0.0, end: float = 30.0, tracked: bool = True) -> list[Actor]:
    """Return people who stand in rows, so many metres apart."""
    wide = int(np.ceil(np.sqrt(n)))
    at = [(10 + apart * (i % wide), 10 + apart * (i // wide)) for i in range(n)]
    return [Actor(walk((begin, *p), (end, *p)), i + 1 if tracked else -1) for i, p in enumerate(at)]


def test_people_who_stand_close_are_a_crowd() -> None:
    (event,) = play(behaviour(events=["crowding"]), group(36, 0.47), times(20))
    assert event.name == "crowding"
    assert event.evidence["density_m2"] == pytest.approx(1 / 0.47**2, rel=0.12)
    assert event.evidence["danger"] == 0
    assert event.evidence["count"] == 36
    assert len(event.participants) == 36


def test_danger_is_said() -> None:
    (event,) = play(behaviour(events=["crowding"]), group(49, 0.4), times(20))
    assert event.evidence["density_m2"] > 5
    assert event.evidence["danger"] == 1


def test_people_who_stand_apart_are_none() -> None:
    assert play(behaviour(events=["crowding"]), group(36, 0.7), times(20)) == []


def test_more_than_ten_in_a_zone_for_five_seconds() -> None:
    made = behaviour(SQUARE, events=["crowding"])
    (event,) = play(made, group(11, 1.5), times(20))
    assert (event.place, event.evidence["count"]) == ("square", 11)
    assert play(behaviour(SQUARE, events=["crowding"]), group(10, 1.5), times(20)) == []
    assert play(behaviour(SQUARE, events=["crowding"]), group(11, 1.5, end=4.5), times(20)) == []


def test_without_a_zone_only_density_counts() -> None:
    assert play(behaviour(events=["crowding"]), group(30, 1.2), times(20)) == []


def test_outside_the_zones_nobody_is_counted() -> None:
    made = behaviour(square("x", "crowd", 20, 15, 28, 19), events=["crowding"])
    assert play(made, group(36, 0.45), times(20)) == []


def test_who_has_no_track_counts_too() -> None:
    (event,) = play(behaviour(SQUARE, events=["crowding"]), group(12, 1.2, tracked=False), times(20))
    assert event.evidence["count"] == 12
    assert event.participants == ()


def test_someone_who_is_hidden_for_a_moment_does_not_end_it() -> None:
    people = group(11, 1.5)
    there = people[0].path
    people[0].path = lambda t: None if int(t * 8) % 9 == 0 else there(t)
    (event,) = play(behaviour(SQUARE, events=["crowding"]), people, times(20))
    assert event.seconds > 18


def test_a_zone_that_reaches_the_horizon_is_counted_without_its_area() -> None:
    made = behaviour(SQUARE, events=["crowding"])
    camera = made.cameras.of("a")
    tilted = np.array([[1 / 40, 0, 0], [0, 1 / 40, 0], [0, 1 / 300, -1.0]])  # rows above 300 are sky
    object.__setattr__(camera, "homography", tilted)
    (event,) = play(made, group(12, 1.2), times(20))
    assert event.evidence["count"] == 12


def test_many_participants_are_counted_and_not_all_named() -> None:
    (event,) = play(behaviour(SQUARE, events=["crowding"]), group(120, 0.7), times(8))
    assert event.evidence["count"] == 120
    assert len(event.participants) == 50


def test_without_a_ground_it_says_that_metres_are_guessed() -> None:
    (event,) = play(behaviour(ground=False, events=["crowding"]), group(49, 0.4), times(20))
    assert event.evidence["calibrated"] == 0
