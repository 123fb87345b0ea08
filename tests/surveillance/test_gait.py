"""Who runs, and who may have fallen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from behaviour_kit import Actor, behaviour, play, times, walk

UPRIGHT, LYING = (0.5, 1.7), (1.7, 0.5)


@pytest.mark.parametrize("fps", [1, 2, 6, 25, 60])
@pytest.mark.parametrize("ground", [True, False])
def test_who_is_fast_runs(fps: float, ground: bool) -> None:
    path = walk((0, 1, 10), (4, 6, 10), (8, 24, 10), (12, 29, 10))
    (event,) = play(behaviour(ground=ground), [Actor(path, 5)], times(12, fps), sigma=1)
    assert (event.name, event.participants) == ("running", (5,))
    assert event.start == pytest.approx(4, abs=1)
    assert event.end == pytest.approx(8, abs=1)
    assert event.evidence["speed_mps"] == pytest.approx(4.5, abs=0.6)


def test_walking_fast_is_not_running() -> None:
    assert play(behaviour(), [Actor(walk((0, 1, 10), (10, 26, 10)))], times(10), sigma=2) == []


def test_a_short_dash_is_not_running() -> None:
    assert play(behaviour(), [Actor(walk((0, 1, 10), (5, 6, 10), (5.4, 8, 10), (12, 15, 10)))], times(12)) == []


def test_vehicles_do_not_run() -> None:
    assert play(behaviour(), [Actor(walk((0, 1, 10), (3, 28, 10)), 1, "car")], times(3)) == []


def test_feet_that_vanish_behind_something_do_not_run() -> None:
    path = walk((0, 10, 10), (20, 20, 10))

    def place(t: float) -> tuple[float, float] | None:
        at = path(t)
        return (at[0], at[1] - 1.0) if at and int(t) % 4 == 1 else at

    hidden = Actor(place, shape=lambda t: (0.5, 0.7) if int(t) % 4 == 1 else UPRIGHT)
    assert play(behaviour(events=["running"]), [hidden], times(19)) == []


def test_a_tracks_jump_to_another_person_is_not_running() -> None:
    one, two = walk((0, 10, 10), (20, 10, 10)), walk((0, 18, 10), (20, 18, 10))
    actors = [Actor(one, lambda t: 1 + int(t / 2) % 2), Actor(two, lambda t: 2 - int(t / 2) % 2)]
    assert play(behaviour(events=["running"]), actors, times(20)) == []


def falls(at: float = 10.0, takes: float = 0.2, until: float = 99.0) -> Callable[[float], tuple[float, float]]:
    def shape(t: float) -> tuple[float, float]:
        if at + takes <= t < until:
            return LYING
        return UPRIGHT if t <= at or t >= until else (1.0, 1.0)

    return shape


HERE = walk((0, 12, 10), (20, 12, 10))


@pytest.mark.parametrize("fps", [1, 2, 6, 25, 60])
def test_who_suddenly_lies_and_stays_may_have_fallen(fps: float) -> None:
    (event,) = play(behaviour(), [Actor(HERE, 8, shape=falls())], times(20, fps), sigma=1)
    assert (event.name, event.participants) == ("fall", (8,))
    assert event.start == pytest.approx(10, abs=1)
    assert event.end == 20
    assert event.evidence["drop_s"] <= max(0.5, 1.5 / fps)


def test_who_gets_up_at_once_has_not() -> None:
    assert play(behaviour(), [Actor(HERE, shape=falls(until=11.8))], times(20)) == []


def test_who_lies_down_slowly_has_not() -> None:
    assert play(behaviour(), [Actor(HERE, shape=falls(takes=1.5))], times(20)) == []


def test_who_lay_from_the_beginning_has_not() -> None:
    assert play(behaviour(), [Actor(HERE, shape=lambda t: LYING)], times(20)) == []


@pytest.mark.parametrize("x", [0.0, 30.0])
def test_a_box_cut_by_the_picture_says_nothing(x: float) -> None:
    assert play(behaviour(), [Actor(walk((0, x, 10), (20, x, 10)), shape=falls())], times(20)) == []


def test_a_box_cut_from_below_is_no_fall() -> None:
    # Somebody whose lower part goes behind a wall: the head stays where it was.
    path = Actor(lambda t: (12, 10.0 if t < 10 else 8.7), shape=lambda t: UPRIGHT if t < 10 else (0.55, 0.4))
    assert play(behaviour(events=["fall"]), [path], times(20)) == []


def test_a_track_that_breaks_off_in_the_fall_does_not_lose_it() -> None:
    actor = Actor(lambda t: None if 10.1 < t < 10.4 else HERE(t), lambda t: 1 if t < 10.2 else 2, shape=falls())
    (event,) = play(behaviour(), [actor], times(20))
    assert event.name == "fall"
