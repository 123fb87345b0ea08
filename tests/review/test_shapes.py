"""What people draw, made to fit the picture or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hyla import geometry
from hyla.errors import StageError
from hyla.review.shapes import MOST_POINTS, fit, inside
from hyla.types import Kind, Labels, Rle
from review_kit import SIZE, mask_of

H, W = SIZE


def fitted(kind: Kind, shape: Any = None, box: Any = (0, 0, 0, 0), points: int = 0) -> tuple[list[float], Any]:
    out = fit(Labels.of([1], [box], kind=kind, shape=[shape]), SIZE, [points])
    return out.box[0].tolist(), out.shape[0]


def refused(kind: Kind, shape: Any = None, box: Any = (0, 0, 0, 0), points: int = 0) -> str:
    with pytest.raises(StageError, match=r"^labels\[0\]: ") as error:
        fitted(kind, shape, box, points)
    return error.value.what


@pytest.mark.parametrize(
    ("drawn", "kept"),
    [
        ((10, 20, 30, 40), [10, 20, 30, 40]),
        ((30, 40, 10, 20), [10, 20, 30, 40]),  # drawn from the other corner
        ((-5, -5, 10, 10), [0, 0, 10, 10]),
        ((190, 90, 999, 999), [190, 90, 200, 100]),
        ((5, 5, 6, 6), [5, 5, 6, 6]),  # one pixel
    ],
)
def test_a_box_is_cut(drawn: tuple[int, ...], kept: list[float]) -> None:
    assert fitted(Kind.BOX, None, drawn)[0] == kept


@pytest.mark.parametrize("drawn", [(10, 10, 10, 20), (10, 10, 20, 10), (300, 0, 400, 50), (0, 0, 0, 0), (-9, -9, 0, 0)])
def test_a_box_with_nothing_in_it_is_refused(drawn: tuple[int, ...]) -> None:
    assert "width and a height" in refused(Kind.BOX, None, drawn)


def test_a_tag_is_the_whole_picture() -> None:
    assert fitted(Kind.TAG, None, (3, 3, 4, 4)) == ([0, 0, W, H], None)


def test_a_rotated_box_keeps_its_shape_over_the_edge() -> None:
    shape = np.array([0, 50, 40, 20, 0.5])
    box, kept = fitted(Kind.ROTATED_BOX, shape)
    assert kept is shape
    assert box[0] == 0
    assert box[2] == pytest.approx(geometry.bounds([Kind.ROTATED_BOX], [shape])[0, 2])
    assert "outside" in refused(Kind.ROTATED_BOX, np.array([-90, 50, 40, 20, 0.5]))
    assert "width and a height" in refused(Kind.ROTATED_BOX, np.array([50, 50, 0, 20, 0.5]))


def test_a_polygon_inside_is_kept_to_the_last_digit() -> None:
    rings = (np.array([[1 / 3, 0], [50, 0.1], [40, 60]]), np.array([[10, 1], [20, 1], [15, 9.0]]))
    box, kept = fitted(Kind.POLYGON, rings)
    assert all((a == b).all() for a, b in zip(kept, rings, strict=True))
    assert box == [1 / 3, 0, 50, 60]


def test_a_ring_that_crosses_itself_is_kept() -> None:
    eight = np.array([[10, 10], [50, 50], [50, 10], [10, 50.0]])  # as much turns left as right: its signed area is 0
    assert (fitted(Kind.POLYGON, (eight,))[1][0] == eight).all()


def test_a_polygon_over_the_edge_is_cut_as_it_is_filled() -> None:
    eight = np.array([[-20, 10], [60, 70], [60, 10], [-20, 70.0]])
    hole = np.array([[45, 35], [55, 35], [55, 45], [45, 45.0]])
    box, kept = fitted(Kind.POLYGON, (eight, hole))
    whole, cut = geometry.rasterize((eight, hole), SIZE), geometry.rasterize(kept, SIZE)
    assert (whole == cut).mean() > 0.999
    assert min(ring[:, 0].min() for ring in kept) == 0
    assert box[0] == 0


@pytest.mark.parametrize(
    "ring",
    [
        [[5, 5], [5, 5], [5, 5]],
        [[5, 5], [50, 5], [20, 5]],
        [[5, 5], [50, 50], [5, 5]],
    ],
)
def test_a_polygon_without_area_is_refused(ring: list[list[float]]) -> None:
    assert "no area" in refused(Kind.POLYGON, (np.array(ring, dtype=float),))


def test_two_rings_that_cancel_out_are_refused() -> None:
    ring = np.array([[5, 5], [50, 5], [50, 50.0]])
    assert "no area" in refused(Kind.POLYGON, (ring, ring.copy()))


def test_a_polygon_outside_is_refused() -> None:
    assert "outside" in refused(Kind.POLYGON, (np.array([[300, 5], [350, 5], [350, 50.0]]),))
    assert "outside" in refused(Kind.POLYGON, (np.array([[200, 5], [350, 5], [350, 50.0]]),))  # touches the edge, no more


def test_a_line_is_cut_once() -> None:
    box, line = fitted(Kind.POLYLINE, np.array([[150, 50], [250, 50.0]]))
    assert line.tolist() == [[150, 50], [200, 50]]
    assert box == [150, 50, 200, 50]
    assert "comes back" in refused(Kind.POLYLINE, np.array([[150, 50], [250, 50], [250, 60], [150, 60.0]]))
    assert "outside" in refused(Kind.POLYLINE, np.array([[250, 50], [260, 50.0]]))
    assert "no length" in refused(Kind.POLYLINE, np.array([[5, 5], [5, 5.0]]))


def test_a_line_that_crosses_itself_is_kept() -> None:
    loop = np.array([[10, 10], [50, 50], [50, 10], [10, 50.0]])
    assert fitted(Kind.POLYLINE, loop)[1] is loop
    over = np.array([[10, 10], [50, 50], [50, 10], [-10, 70.0]])
    assert fitted(Kind.POLYLINE, over)[1][-1].tolist() == [0, 60]


def test_keypoints_over_the_edge_move_onto_it() -> None:
    box, shape = fitted(Kind.KEYPOINTS, np.array([[10, 20, 2], [30, -4, 1.0]]), points=2)
    assert shape.tolist() == [[10, 20, 2], [30, 0, 1]]
    assert box == [10, 0, 30, 20]
    box, shape = fitted(Kind.KEYPOINTS, np.array([[10, 20, 2], [-7, -7, 0.0]]), (5, 5, 40, 60), points=2)
    assert box == [5, 5, 40, 60]  # the box around the object is its own
    assert shape.tolist() == [[10, 20, 2], [-7, -7, 0]]


def test_keypoints_that_can_not_be_are_refused() -> None:
    assert "2 keypoints" in refused(Kind.KEYPOINTS, np.array([[10, 20, 2.0]]), points=2)
    assert "no keypoint" in refused(Kind.KEYPOINTS, np.array([[10, 20, 0], [10, 20, 0.0]]), points=2)
    assert "no keypoint" in refused(Kind.KEYPOINTS, np.array([[310, 20, 2.0]]))


def test_a_mask_is_of_this_picture_and_not_empty() -> None:
    rle = geometry.encode(mask_of(10, 20, 30, 40))
    assert fitted(Kind.MASK, rle) == ([10, 20, 30, 40], rle)
    assert "empty" in refused(Kind.MASK, geometry.encode(mask_of(0, 0, 0, 0)))
    assert "is of a picture of" in refused(Kind.MASK, Rle((5, 5), geometry.encode(np.ones((5, 5))).counts))


def test_a_mask_of_a_volume() -> None:
    voxels = np.zeros((4, *SIZE), dtype=bool)
    voxels[1:3, 20:40, 10:30] = True
    out = fit(Labels.of([1], [[0, 0, 0, 0]], kind=Kind.MASK, shape=[geometry.encode(voxels)]), (4, *SIZE), [0])
    assert out.box[0].tolist() == [10, 20, 30, 40]


def test_a_cuboid_turns_and_has_lengths() -> None:
    shape = np.array([1, 2, 30, 0, 0, 0, 1, 4, 2, 1.5])
    assert fitted(Kind.CUBOID, shape, (5, 5, 300, 50)) == ([5, 5, 200, 50], shape)
    for place, value in [(7, 0), (6, 0), (9, -1)]:
        wrong = shape.copy()
        wrong[place] = value
        assert "cuboid" in refused(Kind.CUBOID, wrong)


def test_too_many_points_are_refused() -> None:
    angle = np.linspace(0, 6, MOST_POINTS + 1)
    ring = 50 + 40 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert "20001" in refused(Kind.POLYGON, (ring,))
    assert fitted(Kind.POLYGON, (ring[1:],))[1][0] is not None


@pytest.mark.parametrize("kind", [Kind.ROTATED_BOX, Kind.POLYLINE, Kind.CUBOID])
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_numbers_are_finite(kind: Kind, number: float) -> None:
    shape = np.full((2, 2), 5.0) if kind == Kind.POLYLINE else np.full({Kind.ROTATED_BOX: 5, Kind.CUBOID: 10}[kind], 5.0)
    shape[(0, 0) if shape.ndim == 2 else 0] = number
    assert "finite" in refused(kind, shape)


def test_what_other_tools_let_hang_over_is_cut_and_nothing_else() -> None:
    labels = Labels.of([1, 1], [[-9, 5, 20, 250], [-0.25, 0, 5, 5]])
    assert inside(labels, SIZE).box.tolist() == [[0, 5, 20, 100], [-0.25, 0, 5, 5]]
    fine = Labels.of([1], [[0, 0, 200.5, 100.5]])
    assert inside(fine, SIZE) is fine
