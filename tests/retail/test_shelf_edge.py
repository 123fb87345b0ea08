"""Which price label belongs to which facing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import ConfigError
from hyla.types import Bools, Floats, Ints, Labels
from hyla_retail.shelf_edge import labels_of_facings

WIDTH, HEIGHT, RAIL = 100.0, 200.0, 60.0


def shelf(blocks: list[int], where: str, top: float = 0.0, above: bool = False) -> tuple[Floats, Floats, list[int]]:
    """Return facings in blocks of one product each, a label for each block, and the product of each facing."""
    facings, prices, product, x = [], [], [], 0.0
    for number, many in enumerate(blocks):
        start = x
        for _ in range(many):
            facings.append([x, top + RAIL * above, x + WIDTH, top + HEIGHT + RAIL * above])
            product.append(number)
            x += WIDTH
        middle = {"first": start + 50, "edge": start + 40, "middle": (start + x) / 2}[where]
        y = top + (5 if above else HEIGHT + 5)
        prices.append([middle - 40, y, middle + 40, y + 50])
    return np.array(facings), np.array(prices), product


def belongs(facings: Floats, prices: Floats, **settings: object) -> tuple[Ints, Floats]:
    labels = Labels.of(np.zeros(len(facings) + len(prices)), np.concatenate([facings, prices]))
    facing: Bools = np.arange(len(labels)) < len(facings)
    rows, offset = labels_of_facings(labels, facing, ~facing, **settings)  # type: ignore[arg-type]
    assert (rows[len(facings) :] == -1).all()
    assert np.array_equal(np.isnan(offset), rows < 0)
    return np.where(rows >= 0, rows - len(facings), -1)[: len(facings)], offset[: len(facings)]


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.sampled_from(["first", "edge"]))
def test_a_label_at_the_first_facing_holds_until_the_next(blocks: list[int], where: str) -> None:
    facings, prices, product = shelf(blocks, where)
    assert belongs(facings, prices, habit="first")[0].tolist() == product


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 8))
def test_a_label_under_the_middle_is_the_nearest(many: int, products: int) -> None:
    facings, prices, product = shelf([many] * products, "middle")
    assert belongs(facings, prices, habit="middle")[0].tolist() == product


@pytest.mark.parametrize("where", ["first", "edge", "middle"])
@pytest.mark.parametrize("blocks", [[3, 3, 3], [1, 1, 1, 1], [2, 4, 4], [4]])
def test_the_ends_of_the_rails_tell_the_habit(blocks: list[int], where: str) -> None:
    rows = [shelf(blocks, where, top=top) for top in (0.0, 300.0, 600.0)]
    facings, prices = np.concatenate([r[0] for r in rows]), np.concatenate([r[1] for r in rows])
    got, _ = belongs(facings, prices)
    wanted = [number + i * len(blocks) for i, row in enumerate(rows) for number in row[2]]
    wrong = sum(a != b for a, b in zip(got.tolist(), wanted, strict=True))
    # Under the middle of 2 beside 4, the first of the four is nearer to the label of the two: position alone can't tell.
    assert wrong <= (3 if where == "middle" and blocks == [2, 4, 4] else 0)


def test_labels_above_their_facings() -> None:
    facings, prices, product = shelf([1, 2], "first", above=True)
    assert belongs(facings, prices, above=True, habit="first")[0].tolist() == product
    assert belongs(facings, prices)[0].tolist() == [-1, -1, -1]


def test_the_offset_is_in_widths_of_the_facing() -> None:
    facings, prices, _ = shelf([2], "first")
    assert belongs(facings, prices, habit="first")[1].tolist() == [0.0, 1.0]


def test_packs_on_packs_have_the_label_of_the_lowest() -> None:
    stack = np.array([[0.0, 100 * i, 100, 100 * (i + 1)] for i in range(4)])
    assert belongs(stack, np.array([[10.0, 405, 90, 440]]))[0].tolist() == [0, 0, 0, 0]


def test_the_rail_of_another_shelf_is_not_meant() -> None:
    facings, prices, product = shelf([2], "middle")
    low, far, _ = shelf([2], "middle", top=400)
    assert belongs(np.concatenate([facings, low]), far)[0].tolist() == [-1, -1, 0, 0]
    assert belongs(np.concatenate([facings, low]), np.concatenate([prices, far]))[0].tolist() == [*product, 1, 1]


def test_a_label_too_far_to_the_side_is_not_meant() -> None:
    facings, prices, _ = shelf([1] * 9, "first")
    got, _ = belongs(facings, prices[:1], far=3)
    assert got.tolist() == [0, 0, 0, 0, -1, -1, -1, -1, -1]


@settings(deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_labels_does_not_matter(blocks: list[int], random: object) -> None:
    facings, prices, _ = shelf(blocks, "first")
    order = list(range(len(facings)))
    random.shuffle(order)  # type: ignore[attr-defined]
    straight, _ = belongs(facings, prices)
    mixed, _ = belongs(facings[order], prices)
    assert mixed.tolist() == straight[order].tolist()


def test_nothing_belongs_to_nothing() -> None:
    empty = np.zeros((0, 4))
    facings, prices, _ = shelf([2], "first")
    assert belongs(empty, prices)[0].tolist() == []
    assert belongs(facings, empty)[0].tolist() == [-1, -1]
    assert belongs(np.array([[5.0, 5, 5, 5]]), np.array([[5.0, 5, 5, 5]]))[0].tolist() == [0]


def test_an_unknown_habit_is_refused() -> None:
    with pytest.raises(ConfigError, match="habit"):
        belongs(*shelf([1], "first")[:2], habit="last")
