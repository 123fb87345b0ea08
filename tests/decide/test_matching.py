"""Which labels of several readers mean the same object."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from hyla.decide.agree import agree
from hyla.decide.matching import ABSENT, clusters, ratings
from hyla.errors import StageError
from hyla.geometry import encode, iou
from hyla.schema import KINDS, Schema
from hyla.types import Kind, Labels

SCHEMA = Schema.from_config({"name": "all", "kinds": [*KINDS], "classes": {"one": {}, "two": {}, "three": {}}})
LINE = np.array([[0.0, 0], [50, 0], [100, 0]])
POINTS = np.array([[10.0, 10, 2], [20, 20, 1], [90, 90, 2], [0, 0, 0]])
CUBE = np.array([1.0, 2, 3, 0, 0, 0, 1, 4, 2, 1.5])


def boxes(*corners: list[float], classes: list[int] | None = None) -> Labels:
    return Labels.of(classes or [0] * len(corners), list(corners))


def of(kind: Kind, *shapes: Any, classes: list[int] | None = None) -> Labels:
    box = [[0, 0, 1, 1]] * len(shapes) if kind in (Kind.TAG, Kind.CUBOID) else shapes if kind == Kind.BOX else None
    bare = kind in (Kind.TAG, Kind.BOX)
    return Labels.of(classes or [0] * len(shapes), box, kind=kind, shape=None if bare else list(shapes))


def disc(x: float) -> Any:
    rows, columns = np.mgrid[:60, :60]
    return encode((columns - x) ** 2 + (rows - 30) ** 2 < 100)


def square(x: float) -> tuple[np.ndarray, ...]:
    return (np.array([[x, 0], [x + 10, 0], [x + 10, 10], [x, 10]]),)


def test_a_disagreement_on_the_class_is_one_object_and_a_miss_is_absent() -> None:
    ann = boxes([0, 0, 10, 10], [50, 50, 60, 60], classes=[0, 1])
    bob = boxes([51, 50, 61, 60], [1, 0, 11, 10], [80, 80, 90, 90], classes=[2, 0, 1])
    assert clusters([ann, bob], SCHEMA) == [(0, 1), (1, 0), (-1, 2)]
    value, picture = ratings([[ann, bob], [Labels.empty(), Labels.empty()], [ann, Labels.empty()]], SCHEMA)
    assert value.tolist() == [[0, 1, ABSENT, 0, 1], [0, 2, 1, ABSENT, ABSENT]]
    assert picture.tolist() == [0, 0, 0, 2, 2]  # where nobody found anything there is no object


@pytest.mark.parametrize(
    ("kind", "one", "near", "far"),
    [
        (Kind.BOX, [0, 0, 10, 10], [2, 0, 12, 10], [5, 0, 15, 10]),
        (Kind.ROTATED_BOX, np.array([20.0, 20, 10, 4, 0.3]), np.array([20.5, 20, 10, 4, 0.35]), np.array([20.0, 20, 10, 4, 1.8])),
        (Kind.POLYGON, square(0), square(2), square(5)),
        (Kind.MASK, disc(20), disc(22), disc(32)),
        (Kind.POLYLINE, LINE, np.add(LINE[::-1], [0, 4]), np.add(LINE, [0, 6])),
        (Kind.KEYPOINTS, POINTS, np.add(POINTS, [3, 4, 0]), np.add(POINTS, [0, 7, 0])),
        (Kind.CUBOID, CUBE, np.add(CUBE, [0.3, 0.4, *[0] * 8]), np.add(CUBE, [0.4, 0.4, *[0] * 8])),
    ],
    ids=lambda v: v.word if isinstance(v, Kind) else "",
)
def test_every_kind_is_matched_as_far_as_two_people_agree_on_it(kind: Kind, one: Any, near: Any, far: Any) -> None:
    a = of(kind, one)
    for other, same in ((one, True), (near, True), (far, False)):
        b = of(kind, other, classes=[1])
        assert clusters([a, b], SCHEMA) == ([(0, 0)] if same else [(0, -1), (-1, 0)])
        assert agree(a, of(kind, other), SCHEMA) is same
    assert clusters([of(kind, one, far), of(kind, far, near)], SCHEMA) == [(0, 1), (1, 0)]
    assert clusters([a, of(Kind.TAG, None)], SCHEMA) == [(0, -1), (-1, 0)]  # of two kinds


def test_one_tag_each_is_one_object_and_several_are_matched_by_class() -> None:
    cat, dog, both = of(Kind.TAG, None), of(Kind.TAG, None, classes=[1]), of(Kind.TAG, None, None, classes=[1, 2])
    assert clusters([cat, dog], SCHEMA) == [(0, 0)]
    assert ratings([[cat, dog], [dog, dog]], SCHEMA).value.tolist() == [[0, 1], [1, 1]]
    assert clusters([cat, both], SCHEMA) == [(0, -1), (-1, 0), (-1, 1)]
    assert clusters([dog, both], SCHEMA) == [(0, 0), (-1, 1)]


def test_the_largest_overlap_in_all_decides_and_of_equals_the_class() -> None:
    # Greedy by overlap, a takes y and b goes without; in all, a and x, b and y is more.
    a, b = [0, 0, 100, 10], [30, 0, 130, 10]
    x, y = [-25, 0, 75, 10], [10, 0, 110, 10]
    assert iou([a, b], [x, y])[0, 1] == iou([a, b], [x, y]).max()
    assert clusters([boxes(a, b), boxes(x, y)], SCHEMA) == [(0, 0), (1, 1)]
    twice = boxes(a, a, classes=[0, 1])
    assert clusters([twice, boxes(a, a, classes=[1, 0])], SCHEMA) == [(0, 1), (1, 0)]


def test_what_the_second_has_in_common_with_both_joins_three() -> None:
    first, second, third = ([x, 0, x + 10, 10] for x in (0, 3, 6))
    assert iou([first], [third])[0, 0] < 0.5
    assert clusters([boxes(first), boxes(second), boxes(third)], SCHEMA) == [(0, 0, 0)]
    # Never two labels of one reader: the closer one joins.
    assert clusters([boxes(first), boxes(second), boxes(third, first)], SCHEMA) == [(0, 0, 1), (-1, -1, 0)]


def test_who_did_not_see_a_picture_is_no_voice_in_it() -> None:
    one, none = boxes([0, 0, 9, 9]), Labels.empty()
    value = ratings([[one, None, none], [None, one, one], [None, None, one]], SCHEMA).value
    assert np.array_equal(value, [[0, np.nan, np.nan], [np.nan, 0, np.nan], [ABSENT, 0, 0]], equal_nan=True)
    assert ratings([], SCHEMA).value.shape == (0, 0)


CORNERS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=5)


@given(st.lists(CORNERS, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_each_label_is_in_one_object_whoever_comes_first(spots: list[list[tuple[int, int]]], random: Any) -> None:
    assert strategies.settings.default is not None
    readers = [boxes(*([x, 0, x + 10 + w, 10] for x, w in some)) for some in spots]
    found = clusters(readers, SCHEMA)
    for reader, labels in enumerate(readers):
        assert sorted(rows[reader] for rows in found if rows[reader] >= 0) == [*range(len(labels))]
    assert all(len(rows) == len(readers) and max(rows) >= 0 for rows in found)
    order = [*range(len(readers))]
    random.shuffle(order)
    overlaps = [iou(a.box, b.box) for i, a in enumerate(readers) for b in readers[i + 1 :]]
    values = np.concatenate([o[o >= 0.5] for o in overlaps] + [np.zeros(0)])
    if len(np.unique(values.round(9))) == len(values) and all(_one_best(o) for o in overlaps):  # of equals, any may win
        other = clusters([readers[i] for i in order], SCHEMA)
        assert {tuple(rows[order.index(i)] for i in range(len(readers))) for rows in other} == set(found)


@given(CORNERS, CORNERS)
def test_two_readers_are_matched_as_well_as_can_be(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    a, b = (boxes(*([x, 0, x + 10 + w, 10] for x, w in some)) for some in (left, right))
    overlap = iou(a.box, b.box)
    pairs = [(i, j) for i, j in clusters([a, b], SCHEMA) if i >= 0 and j >= 0]
    assert all(overlap[pair] >= 0.5 for pair in pairs)
    assert sum(overlap[pair] for pair in pairs) == pytest.approx(_sums(overlap)[0])


def _sums(overlap: np.ndarray) -> list[float]:
    """Return the sums of overlaps of all ways to match, largest first."""
    worth = np.where(overlap >= 0.5, overlap, 0)
    worth = worth if worth.shape[0] <= worth.shape[1] else worth.T
    ways = permutations(range(worth.shape[1]), worth.shape[0])
    return sorted((sum(worth[i, j] for i, j in enumerate(way)) for way in ways), reverse=True)


def _one_best(overlap: np.ndarray) -> bool:
    sums = _sums(overlap)
    return not (overlap >= 0.5).any() or len({round(s, 9) for s in sums if s > sums[0] - 1e-6}) == 1


def test_what_does_not_fit_is_refused() -> None:
    one = boxes([0, 0, 9, 9])
    for least in (0.0, 1.5):
        with pytest.raises(StageError, match="overlap above 0"):
            clusters([one, one], SCHEMA, least)
    with pytest.raises(StageError, match="class ids"):
        clusters([one, boxes([0, 0, 9, 9], classes=[7])], SCHEMA)
    with pytest.raises(StageError, match="picture 1 has 1 readers"):
        ratings([[one, one], [one]], SCHEMA)
