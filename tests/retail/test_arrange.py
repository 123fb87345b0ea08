"""Shelf and position of boxes of any detector: rows that slope, bays, stacks, strays."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.types import Labels
from hyla_retail.arrange import arrange
from hyla_retail.box_facts import box_facts


def _rows(
    seed: int, rows: int, slope: float = 0.0, x: float = 0.0, pitch: float = 150
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes of packs that stand on lines of one slope, with their shelves and positions."""
    rng = np.random.default_rng(seed)
    box, shelf, position = [], [], []
    for row in range(rows):
        left = x
        for n in range(int(rng.integers(4, 9))):
            width, height = rng.uniform(25, 60), rng.uniform(0.55, 0.8) * pitch
            floor = (row + 1) * pitch + slope * left + rng.uniform(-3, 3)
            box.append((left, floor - height, left + width, floor))
            shelf.append(row + 1)
            position.append(n + 1)
            left += width + rng.uniform(0, 6)
    return np.array(box), np.array(shelf), np.array(position)


def _all(box: np.ndarray) -> np.ndarray:
    return np.ones(len(box), dtype=bool)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 6), slope=st.floats(-0.25, 0.25))
def test_packs_on_sloping_shelves_are_counted_from_the_top_and_from_the_left(seed, rows, slope):
    box, shelf, position = _rows(seed, rows, slope)
    found = arrange(box, _all(box))
    assert found[0].tolist() == shelf.tolist()
    assert found[1].tolist() == position.tolist()


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.2, 8), x=st.floats(0, 500), y=st.floats(0, 500))
def test_neither_order_nor_scale_nor_place_matters(seed, scale, x, y):
    box, _, _ = _rows(seed, 4, 0.05)
    order = np.random.default_rng(seed).permutation(len(box))
    one = arrange(box, _all(box))
    other = arrange(box[order] * scale + [x, y, x, y], _all(box))
    assert other[0].tolist() == one[0][order].tolist()
    assert other[1].tolist() == one[1][order].tolist()


def test_bays_count_their_own_shelves():
    left, shelf, _ = _rows(1, 4)
    right, other, _ = _rows(2, 3, x=1000, pitch=190)
    box = np.concatenate([left, right])
    found, _ = arrange(box, _all(box))
    assert found.tolist() == [*shelf.tolist(), *other.tolist()]


def test_a_stack_shares_shelf_and_position():
    box = np.array([[0, 50, 40, 100], [0, 0, 40, 49], [42, 20, 80, 100], [0, 150, 40, 240], [42, 160, 80, 240]])
    shelf, position = arrange(box, _all(box))
    assert shelf.tolist() == [1, 1, 1, 2, 2]
    assert position.tolist() == [1, 1, 2, 1, 2]


def test_what_is_no_facing_has_no_place_and_nothing_is_answered_with_nothing():
    box, shelf, _ = _rows(3, 2)
    facing = np.arange(len(box)) % 3 > 0
    found, place = arrange(box, facing)
    assert np.isnan(found[~facing]).all()
    assert np.isnan(place[~facing]).all()
    assert found[facing].tolist() == shelf[facing].tolist()
    assert [one.tolist() for one in arrange(np.zeros((0, 4)), np.zeros(0, dtype=bool))] == [[], []]


def test_facts_of_boxes_are_what_they_say():
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[::2, 100:] = 255  # sharp on the right
    box = np.array(
        [[0, 10, 40, 90], [50, 10, 90, 90], [55, 10, 95, 90], [120, 10, 199.5, 90], [100, 20, 110, 80]], dtype=np.float64
    )
    labels = Labels.of([0, 0, 0, 0, 1], box, attributes={"shelf": [1, 1, 1, 1, None]})
    facts = box_facts(pixels, labels, np.array([True, True, True, True, False]))
    assert facts["short_px"].tolist() == [40, 40, 40, 79.5, 10]
    assert facts["cut"].tolist() == [1, 0, 0, 1, 0]
    assert np.allclose(facts["overlap"], [0, 35 / 45, 35 / 45, 0, np.nan], equal_nan=True)
    assert np.allclose(facts["width_ratio"], [1, 1, 1, 79.5 / 40, np.nan], equal_nan=True)
    assert np.allclose(facts["gap_ratio"], [np.nan] * 4 + [10 / 40], equal_nan=True)
    assert facts["sharpness"][0] == 0 < 1000 < facts["sharpness"][4]
    assert {name: len(v) for name, v in box_facts(pixels, Labels.empty(), np.zeros(0, bool)).items()} == dict.fromkeys(facts, 0)
    assert np.isnan(box_facts(pixels, labels, np.zeros(5, bool))["gap_ratio"]).all()
