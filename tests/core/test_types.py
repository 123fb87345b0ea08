"""The nouns: building, selecting, joining and comparing labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla.errors import StageError
from hyla.geometry import encode
from hyla.types import NO_TRACK, Image, Item, Kind, Labels, Rle, Severity, Verdict, column_of, item_id, same_shape
from strategies import labels, schemas

TWO = Labels.of(
    [0, 1],
    [[0, 0, 4, 2], [1, 1, 3, 6]],
    score=[0.5, 0.9],
    track=[7, NO_TRACK],
    attributes={"colour": ["red", None], "age": [None, 3]},
    context={"weather": "rain"},
    evidence={"margin": [0.1, np.nan]},
)


def arrays(**other: Any) -> dict[str, Any]:
    """Return the arguments of a sound Labels of two boxes, with `other` in place of some."""
    sound: dict[str, Any] = {
        "class_id": np.zeros(2, np.int64),
        "score": np.ones(2),
        "box": np.zeros((2, 4)),
        "kind": np.ones(2, np.uint8),
        "shape": np.empty(2, object),
        "track": np.zeros(2, np.int64),
    }
    return sound | other


def test_what_is_not_given_is_filled_in() -> None:
    one = Labels.of([3, 4], [[0, 0, 2, 2], [1, 1, 2, 4]])
    assert one.score.tolist() == [1, 1]
    assert one.track.tolist() == [NO_TRACK, NO_TRACK]
    assert one.kind.tolist() == [Kind.BOX, Kind.BOX]
    assert one.shape.tolist() == [None, None]
    assert one.width.tolist() == [2, 1]
    assert one.height.tolist() == [2, 3]


def test_a_box_that_is_not_given_is_the_bounds_of_the_shape() -> None:
    line, mask = np.array([[1, 5], [3, 2.5]]), encode(np.eye(3, dtype=bool))
    one = Labels.of([0, 0], kind=[Kind.POLYLINE, Kind.MASK], shape=[line, mask])
    assert one.box.tolist() == [[1, 2.5, 3, 5], [0, 0, 3, 3]]


def test_a_box_or_a_tag_needs_its_box() -> None:
    with pytest.raises(StageError, match="a tag has no shape to take a box from"):
        Labels.of([0], kind=Kind.TAG)


def test_empty_labels_keep_the_context() -> None:
    one = Labels.empty({"weather": "fog"})
    assert len(one) == 0
    assert one.box.shape == (0, 4)
    assert one.context == {"weather": "fog"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"score": np.ones(3)}, r"Labels.score must be an array of shape \(2,\), got ndarray of shape \(3,\)"),
        ({"box": np.zeros((2, 5))}, r"Labels.box must be an array of shape \(2, 4\)"),
        ({"box": [[0, 0, 1, 1]] * 2}, "Labels.box must be .* got list of shape None"),
        ({"track": np.zeros((2, 1), np.int64)}, "Labels.track must be"),
        ({"shape": np.empty((2, 2), object)}, "Labels.shape must be"),
        ({"kind": np.ones(1, np.uint8)}, "Labels.kind must be"),
        ({"attributes": {"age": np.zeros(1)}}, r"Labels.attributes\['age'\] must be"),
        ({"evidence": {"margin": np.zeros((2, 2))}}, r"Labels.evidence\['margin'\] must be"),
        ({"class_id": np.zeros(2)}, "Labels.class_id must hold whole numbers, got float64"),
        ({"track": np.zeros(2)}, "Labels.track must hold whole numbers"),
        ({"score": np.array(["a", "b"])}, "Labels.score must hold numbers"),
        ({"shape": np.zeros(2)}, "Labels.shape must hold objects"),
        ({"evidence": {"margin": np.array(["a", "b"])}}, "must hold numbers"),
    ],
)
def test_arrays_of_the_wrong_shape_or_type_are_refused(given: dict[str, Any], says: str) -> None:
    assert len(Labels(**arrays())) == 2
    with pytest.raises(StageError, match=says):
        Labels(**arrays(**given))


def test_as_many_shapes_as_labels() -> None:
    with pytest.raises(StageError, match="must have 2 entries, got 1"):
        Labels.of([0, 0], np.zeros((2, 4)), shape=[None])


def test_selecting_takes_every_column_and_keeps_the_context() -> None:
    for rows in (np.array([False, True]), [1], slice(1, 2), 1, np.int64(1)):
        one = TWO[rows]
        assert one.class_id.tolist() == [1]
        assert one.score.tolist() == [0.9]
        assert one.attributes["colour"].tolist() == [None]
        assert one.attributes["age"].tolist() == [3]
        assert np.isnan(one.evidence["margin"]).all()
        assert one.context == TWO.context
    assert len(TWO[[]]) == 0
    assert TWO[::-1][::-1] == TWO


def test_selecting_does_not_share_the_context() -> None:
    TWO[:1].context["weather"] = "snow"
    assert TWO.context == {"weather": "rain"}


def test_joining_fills_what_a_part_lacks() -> None:
    other = Labels.of([2], [[0, 0, 1, 1]], attributes={"age": [5], "late": [True]}, context={"weather": "sun", "night": False})
    one = Labels.concat([TWO, other])
    assert one.class_id.tolist() == [0, 1, 2]
    assert one.attributes["colour"].tolist() == ["red", None, None]
    assert one.attributes["age"].dtype == np.float64
    assert one.attributes["age"].tolist()[1:] == [3, 5]
    assert one.attributes["late"].tolist() == [None, None, True]
    assert np.isnan(one.evidence["margin"][1:]).all()
    assert one.context == {"weather": "sun", "night": False}
    assert Labels.concat([]) == Labels.empty()


def test_joining_unknown_numbers_with_words_leaves_no_nan_among_the_words() -> None:
    unknown, known = (
        Labels.of([0], np.zeros((1, 4)), attributes={"a": [None]}),
        Labels.of([0], np.zeros((1, 4)), attributes={"a": ["x"]}),
    )
    assert Labels.concat([unknown, known]).attributes["a"].tolist() == [None, "x"]


@given(st.data())
def test_joining_the_parts_gives_the_whole(data: st.DataObject) -> None:
    whole = data.draw(labels(data.draw(schemas())))
    cut = data.draw(st.integers(0, len(whole)))
    assert Labels.concat([whole[:cut], whole[cut:]]) == whole


@given(st.data())
def test_equal_labels_are_equal_and_others_are_not(data: st.DataObject) -> None:
    one = data.draw(labels(data.draw(schemas())))
    assert one == one[:]
    if len(one):
        assert one != one[1:]
        assert one != Labels.concat([one, one])


@pytest.mark.parametrize(
    "other",
    [
        {"class_id": np.array([0, 1])},
        {"score": np.array([1, 0.5])},
        {"box": np.ones((2, 4))},
        {"kind": np.zeros(2, np.uint8)},
        {"track": np.array([0, 1])},
        {"shape": column_of([None, "x"])},
        {"attributes": {"a": column_of([None, 1])}},
        {"context": {"a": 1}},
        {"evidence": {"a": np.array([0.0, np.nan])}},
    ],
)
def test_labels_differ_in_any_field(other: dict[str, Any]) -> None:
    assert Labels(**arrays()) == Labels(**arrays())
    assert Labels(**arrays(**other)) == Labels(**arrays(**other))
    assert Labels(**arrays()) != Labels(**arrays(**other))


def test_a_column_of_nothing_equals_no_column() -> None:
    nothing = {"a": column_of([None, None]), "b": np.array([None, None], dtype=object)}
    assert Labels(**arrays(attributes=nothing)) == Labels(**arrays())
    assert Labels(**arrays(attributes={"a": column_of(["x", None])})) != Labels(
        **arrays(attributes={"a": column_of([None, "x"])})
    )


def test_labels_compare_with_nothing_else_and_do_not_hash() -> None:
    assert TWO != "labels"
    with pytest.raises(TypeError, match="unhashable"):
        hash(TWO)


def test_shapes_compare_by_value() -> None:
    ring = np.array([[0.0, 0], [1, 0], [1, 1]])
    assert same_shape(None, None)
    assert same_shape(ring, ring.copy())
    assert same_shape((ring, ring), (ring.copy(), ring.copy()))
    assert same_shape(Rle((1, 1), b"1"), Rle((1, 1), b"1"))
    assert not same_shape((ring,), (ring, ring))
    assert not same_shape(ring, (ring,))
    assert not same_shape(ring, None)
    assert not same_shape(Rle((1, 1), b"1"), Rle((1, 1), b"01"))
    assert not same_shape(Rle((1, 1), b"1"), ((1, 1), b"1"))


@pytest.mark.parametrize(
    ("given", "dtype", "holds"),
    [
        ([1, 2.5], float, [1, 2.5]),
        ([np.float32(0.5), np.int8(3)], float, [0.5, 3]),
        (np.array([1, 2]), float, [1, 2]),
        (np.array([True, False]), object, [True, False]),
        ([np.bool_(True), None], object, [True, None]),
        (["a", None, float("nan")], object, ["a", None, None]),
        (np.array(["a", "b"]), object, ["a", "b"]),
        ([[1, 2], None], object, [[1, 2], None]),
        ([], float, []),
    ],
)
def test_a_column_is_of_numbers_or_of_objects(given: Any, dtype: type, holds: list[Any]) -> None:
    column = column_of(given)
    assert column.dtype == dtype
    assert column.tolist() == holds


def test_an_unknown_number_is_nan() -> None:
    column = column_of([1, None])
    assert column.dtype == np.float64
    assert np.isnan(column[1])


def test_an_item_id_is_safe_unique_and_the_same_everywhere() -> None:
    assert item_id("a/b c?.jpg") == "b_c_-4b7fdf534f48"
    assert item_id("a/x.jpg") != item_id("b/x.jpg")
    assert item_id("x.mp4", 1) != item_id("x.mp4", 11)
    assert item_id("x.mp4", 7).startswith("x-000007-")
    assert len(item_id("y" * 500)) < 80


def test_an_image_knows_its_size() -> None:
    item = Item("a", "a.png")
    assert Image(np.zeros((4, 6, 3), np.uint8), item).size == (4, 6)
    assert Image(np.zeros((2, 4, 6)), item, volume=True).size == (2, 4, 6)


def test_words_are_their_own_values() -> None:
    assert Kind.ROTATED_BOX.word == "rotated_box"
    assert str(Verdict.REVIEW) == "review"
    assert [str(s) for s in Severity] == ["note", "review", "human", "second", "reject"]
