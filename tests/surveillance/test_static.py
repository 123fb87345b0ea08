"""What was put down: how long it stands, what hides it, and when it is gone."""

from __future__ import annotations

import numpy as np
import pytest

from hyla_surveillance.static import Static

STEP = 0.125
BOX = np.s_[40:60, 50:70]


def scene(level: int | None = 200, hidden: bool = False, wide: bool = False):
    """Return (grey, mask) with a thing of `level` in BOX, and somebody before it."""
    grey, mask = np.full((120, 160), 100, np.uint8), np.zeros((120, 160), np.uint8)
    if level is not None:
        grey[BOX], mask[BOX] = level, 255
    if wide:  # part of something larger
        grey[10:60, 50:70], mask[10:60, 50:70] = 200, 255
        grey[10:40, 50:70] = np.random.default_rng(int(grey.sum()) % 7).integers(0, 255, (30, 20))
    if hidden:
        grey[20:80, 40:75], mask[20:80, 40:75] = 30, 255
    return grey, mask


def play(static, seconds, *, people=(), **how):
    found = []
    for _ in range(round(seconds / STEP)):
        found = static.update(*scene(**how), STEP, people)
    return found


def test_a_thing_is_told_once_it_has_settled_and_its_time_goes_on():
    static = Static(settle=3.0)
    assert play(static, 2.5) == []
    (thing,) = play(static, 1.5)
    assert thing.box.tolist() == [50, 40, 70, 60]
    assert thing.seconds == pytest.approx(4 - STEP, abs=0.3)
    assert play(static, 60)[0].seconds == pytest.approx(64, abs=0.5)


def test_a_thing_that_is_hidden_for_a_while_keeps_its_time():
    static = Static(settle=3.0)
    play(static, 20)
    (hidden,) = play(static, 2, hidden=True)
    assert hidden.hidden
    assert hidden.seconds == pytest.approx(20, abs=0.5)
    (again,) = play(static, 1)
    assert not again.hidden
    assert again.seconds == pytest.approx(21, abs=0.5)


def test_a_thing_that_is_taken_away_is_gone_within_seconds():
    static = Static(settle=3.0)
    play(static, 10)
    assert play(static, 2, level=None) == []
    assert play(static, 2) == [], "and begins anew when it comes back"


def test_a_mask_that_flickers_forgets_little():
    static = Static(settle=3.0)
    play(static, 20)
    static.update(*scene(level=None), STEP)
    (thing,) = play(static, 1)
    assert thing.seconds > 19


def test_a_part_of_somebody_is_no_thing_until_it_stands_alone():
    static = Static(settle=3.0)
    assert play(static, 10, people=[(45, 10, 75, 62)]) == []
    (thing,) = play(static, 1)
    assert thing.seconds == pytest.approx(11, abs=0.5)


def test_forgetting_and_ages():
    static = Static(settle=1.0)
    assert static.age((0, 0), scene()[1]) == 0
    play(static, 5)
    assert static.age((0, 0), scene()[1]) == pytest.approx(5, abs=0.3)
    assert static.age((51, 41), np.full((9, 7), 255, np.uint8)) == pytest.approx(5, abs=0.3)
    assert static.age((71, 41), np.full((9, 7), 255, np.uint8)) == 0
    static.forget(scene()[1])
    assert static.age((0, 0), scene()[1]) == 0


def test_smallest_things_are_noise():
    assert play(Static(settle=1.0, smallest=0.5), 5) == []
