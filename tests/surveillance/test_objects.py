"""Things that somebody put down and left."""

from __future__ import annotations

import pytest

from behaviour_kit import Actor, behaviour, play, square, times, walk
from hyla_surveillance.events import Event

BAG = walk((10, 10.3, 10), (150, 10.3, 10))
LEAVES = walk((0, 2, 10), (10, 10, 10), (12, 10, 10), (30, 28, 10))


def left(*actors: Actor, seconds: float = 150, fps: float = 8, **more: object) -> list[Event]:
    """Return what is told of abandoned objects."""
    made = behaviour(ground=bool(more.pop("ground", True)), events=["abandoned_object"], **more)
    return play(made, actors, times(seconds, fps), sigma=2)


@pytest.mark.parametrize("fps", [1, 6, 30])
@pytest.mark.parametrize("ground", [True, False])
def test_a_bag_that_is_left_is_abandoned(fps: float, ground: bool) -> None:
    (event,) = left(Actor(LEAVES, 3), Actor(BAG, 4, "bag"), fps=fps, ground=ground, seconds=120)
    assert event.participants == (3, 4)
    assert event.start == pytest.approx(15, abs=1), "when its owner was three metres away"
    assert event.evidence["still_s"] == pytest.approx(110, abs=1.5)
    assert event.evidence["owner_away_s"] == pytest.approx(105, abs=1.5)


def test_it_takes_a_minute() -> None:
    assert left(Actor(LEAVES, 3), Actor(BAG, 4, "bag"), seconds=69) == []
    (event,) = left(Actor(LEAVES, 3), Actor(BAG, 4, "bag"), seconds=70.5)
    assert event.score == pytest.approx(0.5, abs=0.02)


def test_it_takes_half_a_minute_without_the_owner() -> None:
    stays = walk((0, 2, 10), (10, 10, 10), (80, 10, 10), (90, 28, 10))
    assert left(Actor(stays, 3), Actor(BAG, 4, "bag"), seconds=110) == []
    (event,) = left(Actor(stays, 3), Actor(BAG, 4, "bag"), seconds=125)
    assert event.start == pytest.approx(81.7, abs=1)


def test_an_owner_who_comes_back_ends_it() -> None:
    back = walk((0, 2, 10), (10, 10, 10), (12, 10, 10), (22, 24, 10), (100, 24, 10), (110, 10, 10), (150, 10, 10))
    (event,) = left(Actor(back, 3), Actor(BAG, 4, "bag"))
    assert event.end == pytest.approx(108.5, abs=1.5)


def test_a_bag_that_is_taken_away_ends_it() -> None:
    bag = walk((10, 10.3, 10), (100, 10.3, 10), (110, 20, 10))
    (event,) = left(Actor(LEAVES, 3), Actor(bag, 4, "bag"), seconds=120)
    assert event.end == pytest.approx(100.5, abs=1.5)


def test_a_bag_that_is_carried_is_not_abandoned() -> None:
    path = walk((0, 2, 10), (60, 28, 10), (120, 2, 10))
    carried = Actor(lambda t: None if (p := path(t)) is None else (p[0] + 0.3, p[1]), 4, "bag")
    assert left(Actor(path, 3), carried, seconds=120) == []


def test_a_bag_that_was_carried_belongs_to_who_carried_it() -> None:
    bag = Actor(lambda t: LEAVES(t) if t < 10 else (10, 10), 4, "bag")
    passer = Actor(walk((0, 28, 11), (10, 13.5, 11), (20, 2, 11)), 9)
    (event,) = left(Actor(LEAVES, 3), passer, bag, seconds=120)
    assert event.participants == (3, 4)


def test_passers_by_do_not_end_it() -> None:
    passers = [Actor(walk((20 + 8 * n, 2, 10.5), (36 + 8 * n, 28, 10.5)), 10 + n) for n in range(12)]
    (event,) = left(Actor(LEAVES, 3), *passers, Actor(BAG, 4, "bag"), seconds=120)
    assert event.participants == (3, 4)


def test_one_that_is_hidden_and_found_again_goes_on() -> None:
    bag = Actor(lambda t: None if 40 < t < 52 or 80 < t < 90 else BAG(t), lambda t: 4 if t < 45 else 14, "bag")
    (event,) = left(Actor(LEAVES, 3), bag, seconds=120)
    assert event.evidence["still_s"] > 105


def test_one_that_was_found_late_counts_from_when_it_was_put_down() -> None:
    found = Actor(lambda t: BAG(t) if t > 17 else None, 4, "bag", still=lambda t: t - 10)
    passer = Actor(walk((8, 13, 10.2), (16, 13, 10.2), (17, 11, 10.2), (40, 11, 10.2)), 8)
    (event,) = left(Actor(LEAVES, 3), passer, found, seconds=80)
    assert event.participants == (3, 4), "not who stands there when it is found"
    assert event.start == pytest.approx(15, abs=1)
    assert event.evidence["still_s"] == pytest.approx(70, abs=1)


def test_one_near_which_nobody_was_is_alone_from_the_beginning() -> None:
    (event,) = left(Actor(walk((0, 10, 10), (80, 10, 10)), 4, "bag"), seconds=80)
    assert event.participants == (4,)
    assert event.start == 0


def test_people_and_cars_are_not_abandoned() -> None:
    actors = [Actor(walk((0, 10, 10), (90, 10, 10)), 1), Actor(walk((0, 20, 10), (90, 20, 10)), 2, "car")]
    assert left(*actors, seconds=90) == []


def test_what_is_in_an_ignore_zone_is_not_looked_at() -> None:
    made = behaviour(square("shelf", "ignore", 9, 9, 12, 12), events=["abandoned_object"])
    assert play(made, [Actor(BAG, 4, "bag")], times(150)) == []


def test_two_bags_are_two_events() -> None:
    bags = [Actor(walk((10, x, 10), (90, x, 10)), n, "bag") for n, x in ((4, 10.0), (5, 11.5))]
    one, two = left(Actor(LEAVES, 3), *bags, seconds=90)
    assert (one.participants, two.participants) == ((3, 4), (3, 5))


def test_who_passed_a_thing_long_before_it_was_seen_did_not_leave_it() -> None:
    bag = Actor(lambda t: (10.0, 10.0) if t >= 70 else None, 4, "bag", still=lambda t: t)
    passer = Actor(walk((30, 0.5, 10.5), (48, 19.5, 10.5)), 9)
    (event,) = left(bag, passer, seconds=90)
    assert event.participants == (4,)
    assert event.start == 0


def test_who_stands_by_a_bag_that_was_seen_late_has_not_left_it() -> None:
    for seen in (20.0, 40.0, 70.0):
        bag = Actor(lambda t, seen=seen: (10.0, 10.0) if t >= seen else None, 4, "bag", still=lambda t: t - 2)
        owner = Actor(walk((0, 10.4, 10), (seen, 10.4, 10), (seen + 1, 11.2, 10), (120, 11.2, 10)), 5)
        assert left(bag, owner, seconds=120) == []
