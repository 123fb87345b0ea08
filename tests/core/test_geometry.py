"""Geometry: exact against what it is defined by, and against pycocotools and shapely where they are the reference."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from pycocotools import mask as coco

from hyla import geometry as g
from hyla.errors import StageError
from hyla.types import Bools, Floats, Kind, Rle
from strategies import masks, reals, shapes, sizes

FLAT = sizes(depth=False).flatmap(masks)
DEEP = sizes(depth=True).flatmap(masks)
BOXES = nps.arrays(np.float64, st.tuples(st.integers(0, 6), st.just(4)), elements=reals(-20, 20))
SORTED = BOXES.map(lambda b: np.concatenate([np.minimum(b[:, :2], b[:, 2:]), np.maximum(b[:, :2], b[:, 2:])], axis=1))


def around(mask: Bools) -> list[int]:
    """Return the box around a mask or a volume, the slow way."""
    ys, xs = np.nonzero(mask.any(axis=0) if mask.ndim == 3 else mask)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] if len(xs) else [0, 0, 0, 0]


def inside(rings: Any, size: tuple[int, ...]) -> Bools:
    """Return which pixels' centres lie inside by the even-odd rule, one pixel at a time."""
    out = np.zeros(size, dtype=bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            for row, column in np.ndindex(*size):
                y = row + 0.5
                if (y0 <= y) != (y1 <= y):
                    (xa, ya), (xb, yb) = ((x0, y0), (x1, y1)) if y0 <= y1 else ((x1, y1), (x0, y0))
                    out[row, column] ^= xa + (y - ya) * (xb - xa) / (yb - ya) <= column + 0.5
    return out


# Boxes.


@given(SORTED, SORTED)
def test_iou_is_what_shapely_says(a: Floats, b: Floats) -> None:
    a, b = a.round(3), b.round(3)  # GEOS is wrong about boxes that begin at 1e-313
    first, second = np.asarray(shapely.box(*a.T))[:, None], np.asarray(shapely.box(*b.T))[None]
    common = shapely.area(shapely.intersection(first, second))
    union = shapely.area(first) + shapely.area(second) - common
    expected = np.divide(common, union, out=np.zeros((len(a), len(b))), where=union > 0)
    np.testing.assert_allclose(g.iou(a, b), expected, atol=1e-9)
    np.testing.assert_allclose(g.area(a), shapely.area(shapely.box(*a.T)), atol=1e-9)


def test_iou_of_boxes_by_hand() -> None:
    assert g.iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2], [2, 0, 4, 2]]).tolist() == [[1 / 7, 1, 0]]
    assert g.iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]).tolist() == [[0]]
    assert g.area([[3, 3, 1, 1]]).tolist() == [0]


@given(BOXES)
def test_xyxy_undoes_xywh(box: Floats) -> None:
    np.testing.assert_allclose(g.xyxy(g.xywh(box)), box, atol=1e-12)
    assert g.xywh([[1, 2, 4, 8]]).tolist() == [[1, 2, 3, 6]]


@given(BOXES)
def test_a_clipped_box_lies_inside(box: Floats) -> None:
    got = g.clip(box, (5, 8))
    assert ((got >= 0) & (got <= [8, 5, 8, 5])).all()
    np.testing.assert_array_equal(g.clip(box, (3, 5, 8)), got)
    within = ((box >= 0) & (box <= [8, 5, 8, 5])).all(axis=1)
    np.testing.assert_array_equal(got[within], box[within])


@given(st.data(), st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_nms_keeps_the_best_and_only_what_does_not_overlap_it(data: st.DataObject, limit: float) -> None:
    box = data.draw(SORTED)
    n = len(box)
    score = np.array(data.draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=n, max_size=n)))
    class_id = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)), dtype=np.int64)
    kept = g.nms(box, score, class_id, limit)
    assert kept.dtype == np.int64
    overlap = (g.iou(box, box) > limit) & (class_id[:, None] == class_id[None])
    rank = np.lexsort((np.arange(n), -score))
    expected: list[int] = []
    for row in rank.tolist():
        if not overlap[row, expected].any():
            expected.append(row)
    assert kept.tolist() == expected


def test_nms_knows_classes_and_order() -> None:
    box = [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]]
    assert g.nms(box, [0.8, 0.9, 0.7, 0.1], [0, 0, 1, 0], 0.5).tolist() == [1, 2, 3]
    assert g.nms(np.zeros((0, 4)), [], [], iou=0.5).tolist() == []


# Shapes.


@given(st.data(), st.sampled_from(Kind))
def test_a_sound_shape_is_taken_as_float64(data: st.DataObject, kind: Kind) -> None:
    shape = data.draw(shapes(kind, (6, 7)))
    got = g.check_shape(kind, shape)
    for one in got if isinstance(got, tuple) and not isinstance(got, Rle) else [got]:
        assert one is None or isinstance(one, Rle) or one.dtype == np.float64


RING = np.array([[0.0, 0], [4, 0], [4, 4]])


@pytest.mark.parametrize(
    ("kind", "shape", "says"),
    [
        (Kind.TAG, RING, "a tag has no shape, got ndarray"),
        (Kind.BOX, Rle((1, 1), b"1"), "a box has no shape, got Rle"),
        (Kind.MASK, None, "a mask is an Rle, got NoneType"),
        (Kind.MASK, Rle((3,), b"1"), "the size of a mask is"),
        (Kind.MASK, Rle((3, -1), b"1"), "the size of a mask is"),
        (Kind.MASK, Rle((2**20, 2**20), b"1"), "the size of a mask is .* up to 4294967295 pixels"),
        (Kind.MASK, Rle((3, 3), b""), "not COCO's run-length string"),
        (Kind.MASK, Rle((3, 3), b"9\x00"), "not COCO's run-length string"),
        (Kind.MASK, Rle((3, 3), b"P"), "not COCO's run-length string"),
        (Kind.POLYGON, RING, "a polygon is a tuple of rings, got ndarray"),
        (Kind.POLYGON, (), "a polygon is a tuple of rings, got tuple"),
        (Kind.POLYGON, (RING, RING[:2]), r"a polygon is \(k, 2\), k of 3 or more, got \(2, 2\)"),
        (Kind.POLYLINE, RING[:1], r"a polyline is \(k, 2\), k of 2 or more, got \(1, 2\)"),
        (Kind.POLYLINE, None, "a polyline is"),
        (Kind.POLYLINE, [["a", "b"], ["c", "d"]], "a polyline must be numbers, got list"),
        (Kind.POLYLINE, [[0, 0], [1]], "a polyline must be numbers"),
        (Kind.POLYLINE, RING * np.nan, "a polyline must be finite"),
        (Kind.KEYPOINTS, RING, r"keypoints is \(k, 3\)"),
        (Kind.KEYPOINTS, [[1, 1, 0.5]], "visibility of a keypoint is 0, 1 or 2"),
        (Kind.ROTATED_BOX, [1, 2, 3, 4], r"a rotated_box is \(5,\), got \(4,\)"),
        (Kind.CUBOID, np.full(10, np.inf), "a cuboid must be finite"),
    ],
)
def test_a_shape_that_is_not_of_its_kind_is_refused(kind: Kind, shape: Any, says: str) -> None:
    with pytest.raises(StageError, match=says):
        g.check_shape(kind, shape)
    with pytest.raises(StageError):
        g.bounds([kind], [shape])


def test_bounds_of_every_kind() -> None:
    hole = np.array([[1.0, 1], [2, 1], [2, 2]])
    volume = np.zeros((3, 4, 5), dtype=bool)
    volume[1, 2, 3] = volume[2, 1, 4] = True
    given_: list[tuple[Kind, Any, list[float]]] = [
        (Kind.POLYGON, (RING, hole + 7), [0, 0, 9, 9]),
        (Kind.POLYLINE, RING[1:] - 2, [2, -2, 2, 2]),
        (Kind.ROTATED_BOX, np.array([10, 20, 4, 2, math.pi / 2]), [9, 18, 11, 22]),
        (Kind.KEYPOINTS, np.array([[1, 2, 1], [3, 1, 2], [99, 99, 0]]), [1, 1, 3, 2]),
        (Kind.KEYPOINTS, np.array([[9, 9, 0]]), [0, 0, 0, 0]),
        (Kind.MASK, g.encode(volume), [3, 1, 5, 3]),
        (Kind.CUBOID, np.ones(10), [0, 0, 0, 0]),
    ]
    kinds, entries, expected = zip(*given_, strict=True)
    np.testing.assert_allclose(g.bounds(kinds, entries), expected, atol=1e-12)
    assert g.bounds([], []).shape == (0, 4)


def test_a_rotated_box_turns_clockwise_as_seen() -> None:
    np.testing.assert_allclose(g.rotated_corners([0, 0, 4, 2, 0]), [[-2, -1], [2, -1], [2, 1], [-2, 1]])
    np.testing.assert_allclose(g.rotated_corners([0, 0, 4, 2, math.pi / 2])[0], [1, -2], atol=1e-12)
    assert g.rotated_corners(np.zeros((3, 5))).shape == (3, 4, 2)
    with pytest.raises(StageError, match=r"a rotated box is \(5,\)"):
        g.rotated_corners([1, 2, 3, 4])


# Masks.


@given(FLAT)
def test_a_mask_becomes_what_pycocotools_writes(mask: Bools) -> None:
    expected = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    rle = g.encode(mask)
    assert rle == Rle(tuple(expected["size"]), expected["counts"])
    assert g.encode(mask * 7) == g.encode(np.asfortranarray(mask)) == rle


@given(FLAT | DEEP)
def test_a_mask_survives_its_run_lengths(mask: Bools) -> None:
    rle = g.encode(mask)
    got = g.decode(rle)
    assert got.dtype == bool
    np.testing.assert_array_equal(got, mask)
    assert rle.size == mask.shape
    assert g.rle_area(rle) == mask.sum()
    assert g.rle_bounds(rle).tolist() == around(mask)
    flat = mask.ravel(order="F" if mask.ndim == 2 else "C")
    lengths = g.runs(rle)
    np.testing.assert_array_equal(np.repeat(np.arange(len(lengths)) % 2 == 1, lengths), flat)


def test_a_volume_runs_along_x_then_y_then_slices() -> None:
    volume = np.zeros((2, 3, 4), dtype=bool)
    volume[0, 1, 2:] = volume[1] = True
    assert g.runs(g.encode(volume)).tolist() == [6, 2, 4, 12]
    assert g.rle_bounds(g.encode(volume)).tolist() == [0, 0, 4, 3]


def test_long_runs_and_a_large_volume() -> None:
    volume = np.zeros((40, 300, 200), dtype=bool)
    volume[3:30, 20:280, 10:150:7] = True
    rle = g.encode(volume)
    np.testing.assert_array_equal(g.decode(rle), volume)
    assert g.rle_bounds(rle).tolist() == around(volume)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (3, 0), (0, 2, 2), (2, 0, 3), (2, 2, 0)])
def test_a_mask_of_no_pixels(size: tuple[int, ...]) -> None:
    rle = g.encode(np.zeros(size, dtype=bool))
    assert g.decode(rle).shape == size
    assert g.rle_area(rle) == 0
    assert g.rle_bounds(rle).tolist() == [0, 0, 0, 0]
    assert g.shape_iou(Kind.MASK, [rle], [rle]).tolist() == [[0]]


def test_only_two_or_three_dimensions_make_a_mask() -> None:
    for shape in ((3,), (1, 2, 3, 4)):
        with pytest.raises(StageError, match=r"a mask is \(height, width\)"):
            g.encode(np.zeros(shape))
    with pytest.raises(StageError, match="a mask is"):
        g.polygons_of(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("counts", [b"8", b":", b"52", b"5220004", b"0o", b"PPPPPPPPPP1"])
def test_runs_that_do_not_fill_their_size_are_refused(counts: bytes) -> None:
    with pytest.raises(StageError, match="runs of a mask"):
        g.decode(Rle((3, 3), counts))


@given(st.tuples(st.integers(0, 4), st.integers(0, 4)) | st.tuples(*[st.integers(0, 3)] * 3), st.binary(max_size=8))
def test_no_bytes_bring_a_mask_down(size: tuple[int, ...], counts: bytes) -> None:
    rle = Rle(size, bytes(48 + c % 64 for c in counts))
    for function in (g.decode, g.rle_area, g.rle_bounds, lambda r: g.shape_iou(Kind.MASK, [r], [r])):
        with suppress(StageError):  # and nothing else, a fault of the memory least of all
            function(rle)


# Between points and masks.


@given(FLAT)
@example(np.array([[1, 0], [0, 1]], dtype=bool))
@example(np.array([[0, 1], [1, 0]], dtype=bool))
@example(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool))
@example(np.indices((7, 9)).sum(axis=0) % 2 == 0)
def test_outlines_give_the_mask_back(mask: Bools) -> None:
    rings = g.polygons_of(mask)
    np.testing.assert_array_equal(g.rasterize(rings, mask.shape), mask)
    if rings:
        assert g.bounds([Kind.POLYGON], [rings])[0].tolist() == around(mask)


def test_outlines_are_corners_of_pixels_with_rings_before_their_holes() -> None:
    mask = np.ones((5, 6), dtype=bool)
    mask[0] = mask[2, 2:4] = False
    outer, hole = g.polygons_of(mask)
    assert outer.tolist() == [[0, 1], [6, 1], [6, 5], [0, 5]]
    assert hole.tolist() == [[2, 2], [4, 2], [4, 3], [2, 3]]
    assert g.polygons_of(np.zeros((3, 3))) == ()


def test_pixels_that_touch_at_a_corner_are_apart() -> None:
    for mask in (np.eye(3), np.eye(3)[::-1]):
        rings = g.polygons_of(mask)
        assert [len(r) for r in rings] == [4, 4, 4]
        assert all(shapely.Polygon(r).is_valid for r in rings)


@given(st.data(), sizes(depth=False))
def test_a_pixel_is_in_when_its_centre_is(data: st.DataObject, size: tuple[int, ...]) -> None:
    coordinate = st.integers(-4, 24).map(lambda v: v / 2) | reals(-3, 12)
    ring = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=6).map(lambda p: np.array(p, dtype=np.float64))
    rings = data.draw(st.lists(ring, max_size=3))
    np.testing.assert_array_equal(g.rasterize(rings, size), inside(rings, size))


@given(nps.arrays(np.float64, (4, 2), elements=reals(-3, 12)), reals(-3, 12), reals(-3, 12))
def test_polygons_that_share_an_edge_share_no_pixel(ring: Floats, x: float, y: float) -> None:
    point, size = np.array([[x, y]]), (9, 9)
    fan = [np.concatenate([point, ring[[i, (i + 1) % 4]]]) for i in range(4)]
    odd = np.logical_xor.reduce([g.rasterize((part,), size) for part in fan])
    np.testing.assert_array_equal(odd, g.rasterize((ring,), size))


def test_a_ring_inside_a_ring_is_a_hole() -> None:
    outer, inner = np.array([[0, 0], [5, 0], [5, 5], [0, 5]]), np.array([[1, 1], [1, 4], [4, 4], [4, 1]])
    assert g.rasterize((outer, inner), (5, 5)).sum() == 25 - 9
    assert g.rasterize((outer * 100 - 200,), (5, 5)).all()
    assert not g.rasterize((), (5, 5)).any()
    assert g.rasterize((outer,), (0, 5)).shape == (0, 5)
    assert g.rasterize((outer,), (5, 0)).shape == (5, 0)


@given(nps.arrays(np.float64, (3, 2), elements=reals(0, 12)), st.sampled_from([0.5, 1, 2, 5]))
def test_a_line_covers_the_centres_within_half_its_width(line: Floats, width: float) -> None:
    line = line.round(3)  # GEOS divides by zero at 1e-308
    y, x = np.indices((12, 12)) + 0.5
    distance = shapely.distance(shapely.LineString(line), shapely.points(x, y))
    got = g.rasterize(line, (12, 12), width)
    # The round ends are drawn with 16 segments to a quarter: inside the circle by up to 1 - cos(pi / 64) = 0.12 % of the radius.
    assert got[distance < width / 2 * 0.998].all()
    assert not got[distance > width / 2 + 1e-9].any()


def test_a_thin_line_has_no_gap() -> None:
    for line in ([[0, 1], [9, 1]], [[0.5, 0.5], [8.5, 4.1]], [[0, 0], [9, 9]], [[0.5, 0.5], [4, 8.5], [8.5, 8.5]]):
        drawn = g.rasterize(np.array(line), (10, 10))
        steps = np.abs(np.diff(line, axis=0)).max()
        assert drawn.sum() >= steps
        assert drawn.any(axis=0).sum() >= np.ptp(np.array(line)[:, 0])


def test_a_line_of_one_point_is_a_dot_and_of_none_nothing() -> None:
    assert g.rasterize(np.array([[2.5, 2.5]]), (5, 5), 2.2).sum() == 5
    assert not g.rasterize(np.zeros((0, 2)), (5, 5)).any()


def test_points_must_be_points() -> None:
    for shape in (np.zeros((3, 3)), np.array([[np.nan, 0], [1, 1]]), (np.zeros(4),)):
        with pytest.raises(StageError, match="points must be finite"):
            g.rasterize(shape, (5, 5))
    with pytest.raises(StageError, match="a width above 0"):
        g.rasterize(RING, (5, 5), 0)


# Overlap of shapes.


@given(sizes().flatmap(lambda size: st.lists(masks(size), min_size=2, max_size=4)))
def test_iou_of_masks_and_of_their_outlines(given_: list[Bools]) -> None:
    flat = np.array([m.ravel() for m in given_], dtype=np.float64)
    common = flat @ flat.T
    union = flat.sum(axis=1)[:, None] + flat.sum(axis=1)[None] - common
    expected = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    rles = [g.encode(m) for m in given_]
    np.testing.assert_allclose(g.shape_iou(Kind.MASK, rles, rles), expected)
    if given_[0].ndim == 2 and flat.any(axis=1).all():
        rings = [g.polygons_of(m) for m in given_]
        np.testing.assert_allclose(g.shape_iou(Kind.POLYGON, rings, rings), expected, atol=1e-12)


def test_iou_of_polygons_follows_the_even_odd_rule() -> None:
    square = np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]])
    tie = np.array([[0.0, 0], [4, 4], [4, 0], [0, 4]])  # crosses itself: two triangles, half of the square
    got = g.shape_iou(Kind.POLYGON, [(square,), (square, square / 2)], [(square,), (tie,), (square + 9,)])
    np.testing.assert_allclose(got, [[1, 0.5, 0], [0.75, 6 / 14, 0]])


def test_iou_of_rotated_boxes() -> None:
    a = [np.array([5, 5, 4, 4, 0])]
    b = [
        np.array([5, 5, 4, 4, math.pi / 2]),
        np.array([5, 5, 2, 2, 0]),
        np.array([5, 5, 4, 4, math.pi / 4]),
        np.array([20, 5, 4, 4, 1]),
    ]
    octagon = 16 * (2 * math.sqrt(2) - 2)
    np.testing.assert_allclose(g.shape_iou(Kind.ROTATED_BOX, a, b), [[1, 0.25, octagon / (32 - octagon), 0]], atol=1e-12)


def test_iou_of_boxes_of_nothing_and_of_what_has_no_area() -> None:
    assert g.shape_iou(Kind.BOX, [[0, 0, 2, 2]], [[0, 0, 2, 1]]).tolist() == [[0.5]]
    assert g.shape_iou(Kind.POLYGON, [], [(RING,)]).shape == (0, 1)
    assert g.shape_iou(Kind.POLYGON, [(RING * [1, 0],)], [(RING * [1, 0],)]).tolist() == [[0]]
    with pytest.raises(StageError, match="a polyline has no area to compare"):
        g.shape_iou(Kind.POLYLINE, [RING], [RING])
    with pytest.raises(StageError, match="masks of different sizes"):
        g.shape_iou(Kind.MASK, [g.encode(np.ones((2, 2)))], [g.encode(np.ones((2, 3)))])
