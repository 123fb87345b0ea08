"""Whether two people said the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import strategies
from hyla.decide.agree import _pairs_up, agree
from hyla.errors import StageError
from hyla.geometry import encode
from hyla.schema import KINDS, Schema
from hyla.types import Kind, Labels

SCHEMA = Schema.from_config({"name": "all", "kinds": [*KINDS], "classes": {"one": {}, "two": {}}})
LINE = np.array([[0.0, 0], [50, 0], [100, 0]])
POINTS = np.array([[10.0, 10, 2], [20, 20, 1], [90, 90, 2], [0, 0, 0]])
OTHERWISE = np.array([[10.0, 10, 1], [20, 20, 2], [90, 90, 1], [500, 500, 0]])
CUBE = np.array([1.0, 2, 3, 0, 0, 0, 1, 4, 2, 1.5])


def of(kind: Kind, *shapes: Any, classes: list[int] | None = None) -> Labels:
    box = [[0, 0, 1, 1]] * len(shapes) if kind in (Kind.TAG, Kind.CUBOID) else shapes if kind == Kind.BOX else None
    bare = kind in (Kind.TAG, Kind.BOX)
    return Labels.of(classes or [0] * len(shapes), box, kind=kind, shape=None if bare else list(shapes))


def moved(shape: np.ndarray, *by: float) -> np.ndarray:
    return np.add(shape, by)


def disc(x: float, size: int = 60) -> Any:
    rows, columns = np.mgrid[:size, :size]
    return encode((columns - x) ** 2 + (rows - 30) ** 2 < 100)


def square(x: float) -> tuple[np.ndarray, ...]:
    return (np.array([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]]),)


@pytest.mark.parametrize(
    ("kind", "one", "near", "far"),
    [
        (Kind.BOX, [0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10]),
        (Kind.ROTATED_BOX, np.array([20.0, 20, 10, 4, 0.3]), np.array([20.5, 20, 10, 4, 0.35]), np.array([20.0, 20, 10, 4, 1.8])),
        (Kind.POLYGON, square(0), square(2), square(5)),
        (Kind.MASK, disc(20), disc(22), disc(32)),
        (Kind.POLYLINE, LINE, moved(LINE[::-1], 0, 4), moved(LINE, 0, 6)),
        (Kind.POLYLINE, LINE, moved(LINE[[0, 2]], 0, 5), LINE[:2]),
        (Kind.KEYPOINTS, POINTS, moved(POINTS, 3, 4, 0), moved(POINTS, 0, 7, 0)),
        (Kind.KEYPOINTS, POINTS, OTHERWISE, np.where(POINTS[:, 2:] == 0, [0, 0, 2], POINTS)),  # one more is present
        (Kind.CUBOID, CUBE, moved(CUBE, 0.3, 0.4, *[0] * 5, 9, 9, 9), moved(CUBE, 0.4, 0.4, *[0] * 8)),
    ],
    ids=lambda v: v.word if isinstance(v, Kind) else "",
)
def test_what_lies_near_is_the_same_and_what_lies_far_is_not(kind: Kind, one: Any, near: Any, far: Any) -> None:
    a = of(kind, one)
    for other, same in ((one, True), (near, True), (far, False)):
        b = of(kind, other)
        assert agree(a, b, SCHEMA) is agree(b, a, SCHEMA) is same


def test_tags_agree_by_class_and_count() -> None:
    assert agree(of(Kind.TAG, None, None, classes=[0, 1]), of(Kind.TAG, None, None, classes=[1, 0]), SCHEMA)
    assert not agree(of(Kind.TAG, None), of(Kind.TAG, None, classes=[1]), SCHEMA)
    assert not agree(of(Kind.TAG, None), of(Kind.TAG, None, None), SCHEMA)


def test_what_looks_alike_is_of_one_class_and_one_kind() -> None:
    box = of(Kind.BOX, [0, 0, 10, 10])
    assert not agree(box, of(Kind.BOX, [0, 0, 10, 10], classes=[1]), SCHEMA)
    assert not agree(box, of(Kind.POLYGON, square(0)), SCHEMA)
    assert not agree(box, Labels.empty(), SCHEMA)
    assert agree(Labels.empty(), Labels.empty(), SCHEMA)


def test_how_much_must_overlap_can_be_said() -> None:
    a, b = of(Kind.BOX, [0, 0, 10, 10]), of(Kind.BOX, [2, 0, 12, 10])  # 8 / 12
    assert agree(a, b, SCHEMA, iou=0.66)
    assert not agree(a, b, SCHEMA, iou=0.67)


def test_each_label_needs_a_twin_of_its_own() -> None:
    """Taken from the left, the second box would leave the first of the other side without a twin."""
    a = of(Kind.BOX, [0, 0, 10, 10], [3, 0, 13, 10])
    b = of(Kind.BOX, [3, 0, 13, 10], [6, 0, 16, 10])
    assert agree(a, b, SCHEMA)
    assert agree(b, a, SCHEMA)
    assert not agree(a, of(Kind.BOX, [1, 0, 11, 10], [20, 0, 30, 10]), SCHEMA)
    assert not agree(of(Kind.BOX, *[[0, 0, 10, 10]] * 3), of(Kind.BOX, *[[0, 0, 10, 10]] * 2, [50, 0, 60, 10]), SCHEMA)


def test_masks_of_other_sizes_are_not_the_same() -> None:
    assert not agree(of(Kind.MASK, disc(20)), of(Kind.MASK, disc(20, 61)), SCHEMA)


def test_scores_tracks_and_attributes_do_not_count() -> None:
    a = of(Kind.BOX, [0, 0, 10, 10])
    assert agree(a, replace(a, score=np.array([0.1])), SCHEMA)


def test_labels_of_another_schema_are_refused() -> None:
    with pytest.raises(StageError):
        agree(of(Kind.BOX, [0, 0, 1, 1], classes=[7]), Labels.empty(), SCHEMA)


def test_thousands_of_labels_are_compared_in_moderate_time() -> None:
    corner = np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0)), axis=-1).reshape(-1, 2) * 20
    rows = np.random.default_rng(0).permutation(len(corner))
    a = of(Kind.POLYGON, *((square(0)[0] + at,) for at in corner))
    b = of(Kind.POLYGON, *((square(1)[0] + at,) for at in corner[rows]))
    assert agree(a, b, SCHEMA)
    b.shape[7] = square(5000)
    assert not agree(a, b, SCHEMA)


@given(st.data())
def test_any_labels_agree_with_themselves_in_any_order(data: st.DataObject) -> None:
    schema = data.draw(strategies.schemas())
    labels = data.draw(strategies.labels(schema))
    order = data.draw(st.permutations(range(len(labels))))
    assert agree(labels, labels, schema)
    assert agree(labels, labels[list(order)], schema)
    if len(labels):
        dropped = np.delete(np.arange(len(labels)), data.draw(st.integers(0, len(labels) - 1)))
        assert not agree(labels, labels[dropped], schema)
        assert not agree(labels[dropped], labels, schema)


@given(st.data())
def test_who_is_named_first_does_not_matter(data: st.DataObject) -> None:
    schema = data.draw(
        strategies.schemas(tuple(data.draw(st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=2, unique=True))))
    )
    a, b = data.draw(strategies.labels(schema, most=3)), data.draw(strategies.labels(schema, most=3))
    assert agree(a, b, schema) is agree(b, a, schema)


@given(st.lists(st.tuples(*[st.floats(0, 90)] * 2, *[st.floats(1, 10)] * 2), min_size=1, max_size=5), st.data())
def test_a_box_moved_far_away_disagrees(boxes: list[tuple[float, ...]], data: st.DataObject) -> None:
    a = of(Kind.BOX, *([x, y, x + width, y + height] for x, y, width, height in boxes))
    b = a[:]
    b.box = a.box.copy()
    b.box[data.draw(st.integers(0, len(boxes) - 1))] += 500.0
    assert not agree(a, b, SCHEMA)
    assert not agree(b, a, SCHEMA)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.sets(st.integers(0, n - 1)), min_size=n, max_size=n)))
def test_pairs_are_found_wherever_there_are_any(alike: list[set[int]]) -> None:
    assume(all(alike))

    def possible(left: list[set[int]], used: frozenset[int]) -> bool:
        return not left or any(possible(left[1:], used | {twin}) for twin in left[0] - used)

    assert _pairs_up([np.array(sorted(one)) for one in alike]) is possible(alike, frozenset())
