"""What an error of the machine is, and on which ask it counts."""

from __future__ import annotations

import numpy as np
import pytest

from hyla import geometry
from hyla.decide.losses import Objects, Pictures, Pixels, Tags
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Kind, Labels

SCHEMA = Schema.from_config(
    {
        "name": "all",
        "kinds": ["tag", "box", "rotated_box", "polygon", "polyline", "keypoints", "mask", "cuboid"],
        "classes": {"car": {}, "person": {}, "tram": {}},
    }
)
CAR, PERSON, TRAM = range(3)
SQUARE = [0, 0, 10, 10]


def boxes(*given: tuple[int, list[float]]) -> Labels:
    return Labels.of([c for c, _ in given], [b for _, b in given])


def square(x: float, y: float, side: float = 10) -> np.ndarray:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], dtype=float)


def mask(x: int, y: int, side: int = 10, size: tuple[int, int] = (60, 60)) -> object:
    bits = np.zeros(size, dtype=bool)
    bits[y : y + side, x : x + side] = True
    return geometry.encode(bits)


def found(machine: Labels, truth: Labels, iou: float = 0.5) -> tuple[list[float], float]:
    errors = Objects(iou).errors(machine, truth, SCHEMA)
    return errors.rows.tolist(), errors.whole


def test_equal_labels_are_right_in_whatever_order() -> None:
    truth = boxes((CAR, SQUARE), (PERSON, [20, 20, 30, 30]), (CAR, [40, 0, 50, 10]))
    assert found(truth[[2, 0, 1]], truth) == ([0, 0, 0], 0)


@pytest.mark.parametrize(
    ("machine", "rows", "whole"),
    [
        (boxes((PERSON, SQUARE)), [1], 0),  # another class: once, and nothing is missed besides
        (boxes((CAR, [4, 0, 14, 10])), [1], 0),  # IoU 0.43: it lies badly
        (boxes((CAR, [9.5, 0, 19.5, 10])), [1], 1),  # IoU 0.026: about nothing, and the car is missed
        (boxes((CAR, SQUARE), (CAR, [0, 0, 10, 9])), [0, 1], 0),  # the same car twice
        (boxes((CAR, SQUARE), (CAR, [30, 30, 40, 40])), [0, 1], 0),  # nothing there
        (boxes(), [], 1),
        (boxes((CAR, [0, 0, 10, 6]), (CAR, SQUARE)), [1, 0], 0),  # the better of two is the right one
        (boxes((PERSON, SQUARE), (CAR, [0, 0, 10, 7])), [1, 0], 0),  # a right one goes before a nearer one of another class
    ],
)
def test_each_error_counts_once_where_it_belongs(machine: Labels, rows: list[float], whole: float) -> None:
    assert found(machine, boxes((CAR, SQUARE))) == (rows, whole)


def test_the_overlap_that_counts_is_a_setting() -> None:
    machine, truth = boxes((CAR, [0, 0, 10, 6])), boxes((CAR, SQUARE))
    assert found(machine, truth, 0.6) == ([0], 0)
    assert found(machine, truth, 0.61) == ([1], 0)


def test_what_is_left_over_is_about_one_object_each() -> None:
    """Two labels of the wrong class on two objects are two errors; a third one on them adds one."""
    truth = boxes((CAR, SQUARE), (CAR, [8, 0, 18, 10]))
    machine = boxes((TRAM, SQUARE), (TRAM, [8, 0, 18, 10]), (TRAM, [4, 0, 14, 10]))
    assert found(machine, truth) == ([1, 1, 1], 0)


def test_size_is_labels_and_the_picture() -> None:
    assert Objects().size(boxes((CAR, SQUARE), (CAR, SQUARE))) == 3
    assert Objects().size(Labels.empty()) == 1
    assert Pictures().size(boxes((CAR, SQUARE))) == Tags().size(Labels.empty()) == Pixels().size(boxes()) == 1


def test_rows_are_asked_where_errors_have_rows() -> None:
    machine = boxes((CAR, SQUARE), (CAR, [30, 0, 40, 10]))
    assert Objects().rows(machine).tolist() == [0, 1]
    assert [len(loss.rows(machine)) for loss in (Pictures(), Tags(), Pixels())] == [0, 0, 0]


def test_a_crowd_is_neither_missed_nor_spoilt() -> None:
    """What lies in a crowd is no error, unless it is about an object of its own or of another class than the crowd's."""
    truth = Labels.of([PERSON, PERSON], [[0, 0, 50, 50], [60, 0, 70, 10]], evidence={"iscrowd": [1, 0]})
    machine = boxes((PERSON, [5, 5, 15, 15]), (PERSON, [60, 0, 70, 10]), (CAR, [20, 20, 30, 30]), (PERSON, [45, 0, 58, 10]))
    assert found(machine, truth) == ([0, 0, 1, 1], 0)
    assert found(Labels.empty(), truth) == ([], 1)


@pytest.mark.parametrize(
    ("kind", "right", "near", "far"),
    [
        (Kind.POLYGON, (square(0, 0),), (square(5, 0),), (square(30, 0),)),
        (Kind.MASK, mask(0, 0), mask(5, 0), mask(30, 0)),
        (Kind.ROTATED_BOX, np.array([5.0, 5, 10, 10, 0]), np.array([10.0, 5, 10, 10, 0]), np.array([40.0, 5, 10, 10, 0])),
        (Kind.POLYLINE, square(0, 0)[:2] * 10, square(0, 1)[:2] * 10, square(0, 40)[:2] * 10),
        (
            Kind.KEYPOINTS,
            np.column_stack([square(0, 0, 40), [2, 2, 2, 2]]),
            np.column_stack([square(12, 0, 40), [2, 2, 2, 2]]),
            np.column_stack([square(200, 0, 40), [2, 2, 2, 2]]),
        ),
        (
            Kind.CUBOID,
            np.array([0, 0, 0, 0, 0, 0, 1, 4, 2, 2.0]),
            np.array([2, 0, 0, 0, 0, 0, 1, 4, 2, 2.0]),
            np.array([20, 0, 0, 0, 0, 0, 1, 4, 2, 2.0]),
        ),
    ],
)
def test_every_kind_is_right_badly_placed_or_about_nothing(kind: Kind, right: object, near: object, far: object) -> None:
    truth = Labels.of([CAR], kind=kind, shape=[right])
    for shape, rows, whole in ((right, [0], 0), (near, [1], 0), (far, [1], 1)):
        assert found(Labels.of([CAR], kind=kind, shape=[shape]), truth) == (rows, whole), shape
    assert found(Labels.of([TRAM], kind=kind, shape=[right]), truth) == ([1], 0)


def test_a_box_may_stand_for_a_shape_and_a_mask_for_a_polygon() -> None:
    """A detector's boxes are judged against truth that has outlines, by the boxes around them."""
    polygon = Labels.of([CAR], kind=Kind.POLYGON, shape=[(square(0, 0),)])
    assert found(boxes((CAR, SQUARE)), polygon) == ([0], 0)
    assert found(boxes((CAR, [6, 0, 16, 10])), polygon) == ([1], 0)
    assert found(Labels.of([CAR], kind=Kind.MASK, shape=[mask(0, 0)]), polygon) == ([0], 0)
    assert found(Labels.of([CAR], kind=Kind.MASK, shape=[mask(8, 0)]), polygon) == ([1], 0)
    turned = Labels.of([CAR], kind=Kind.ROTATED_BOX, shape=[np.array([5.0, 5, 10, 10, 0])])
    assert found(turned, polygon) == ([0], 0)


def test_kinds_that_can_not_be_compared_are_two_errors() -> None:
    line = Labels.of([CAR], kind=Kind.POLYLINE, shape=[square(0, 0)[:2]])
    assert found(line, boxes((CAR, SQUARE))) == ([1], 1)


def test_a_wrong_tag_is_one_error() -> None:
    tag = Labels.of([CAR], [SQUARE], kind=Kind.TAG)
    assert found(Labels.of([TRAM], [SQUARE], kind=Kind.TAG), tag) == ([1], 0)
    assert found(tag, tag) == ([0], 0)


def test_keypoints_with_others_present_are_wrong_but_about_their_object() -> None:
    points = np.column_stack([square(0, 0, 40), [2, 2, 2, 2]])
    hidden = np.column_stack([square(0, 0, 40), [2, 2, 2, 0]])
    one, other = (Labels.of([CAR], kind=Kind.KEYPOINTS, shape=[shape]) for shape in (points, hidden))
    assert found(one, other) == ([1], 0)


def test_thousands_of_labels_are_judged_in_parts() -> None:
    """3,000 boxes on either side are 9 million pairs, more than are looked at together."""
    rng = np.random.default_rng(0)
    near = rng.random((3000, 2)) * 4000
    truth = Labels.of(rng.integers(0, 3, 3000), np.hstack([near, near + 20]))
    machine = Labels.of(truth.class_id, truth.box + rng.normal(0, 1, (3000, 4)))
    errors = Objects().errors(machine, truth, SCHEMA)
    near = (geometry.iou(machine.box, truth.box) * np.eye(3000)).max(axis=1) >= 0.5
    assert errors.whole == 0  # each is about its own object, if badly
    assert (errors.rows == 0).sum() >= near.sum() - 5  # crowds may swap a few


def test_pictures_are_right_or_wrong() -> None:
    truth = boxes((CAR, SQUARE), (PERSON, [20, 0, 30, 10]))
    loss = Pictures()
    assert loss.errors(truth, truth, SCHEMA).whole == 0
    for machine in (truth[[0]], boxes((CAR, SQUARE), (CAR, [20, 0, 30, 10]), (CAR, [40, 0, 50, 10])), Labels.empty()):
        errors = loss.errors(machine, truth, SCHEMA)
        assert (errors.whole, errors.rows.sum()) == (1, 0)


def test_pictures_find_the_matching_that_leaves_nothing_over() -> None:
    """The most alike first takes the middle box from the one that has no other; both sides still say the same."""
    truth = boxes((CAR, [0, 0, 10, 10]), (CAR, [3, 0, 13, 10]))
    machine = boxes((CAR, [2.9, 0, 12.9, 10]), (CAR, [6, 0, 16, 10]))
    assert Objects(0.5).errors(machine, truth, SCHEMA).total == 1
    assert Pictures().errors(machine, truth, SCHEMA).whole == 0


def test_tags_compare_sets_and_nothing_else() -> None:
    def tags(*classes: int) -> Labels:
        return Labels.of(list(classes), [SQUARE] * len(classes), kind=Kind.TAG)

    loss = Tags()
    assert loss.errors(tags(CAR, PERSON), tags(PERSON, CAR), SCHEMA).whole == 0
    assert loss.errors(tags(CAR), tags(PERSON), SCHEMA).whole == 1
    assert loss.errors(tags(CAR), tags(CAR, PERSON), SCHEMA).whole == 1
    assert loss.errors(tags(), tags(), SCHEMA).whole == 0
    assert loss.errors(Labels.concat([tags(CAR), boxes((TRAM, SQUARE))]), tags(CAR), SCHEMA).whole == 0


def test_pixels_measure_areas_by_class() -> None:
    def masks(*given: tuple[int, object]) -> Labels:
        return Labels.of([c for c, _ in given], kind=Kind.MASK, shape=[m for _, m in given])

    truth = masks((CAR, mask(0, 0)), (CAR, mask(20, 0)))
    iou, dice = Pixels(), Pixels("dice")
    assert iou.errors(masks((CAR, mask(20, 0)), (CAR, mask(0, 0))), truth, SCHEMA).whole == 0
    half = masks((CAR, mask(0, 0)))  # half of the pixels: IoU 1/2, Dice 2/3
    assert iou.errors(half, truth, SCHEMA).whole == pytest.approx(1 / 2)
    assert dice.errors(half, truth, SCHEMA).whole == pytest.approx(1 / 3)
    other = masks((CAR, mask(0, 0)), (CAR, mask(20, 0)), (TRAM, mask(40, 0)))  # a class that is not there is all wrong
    assert iou.errors(other, truth, SCHEMA).whole == pytest.approx(1 / 2)
    assert iou.errors(Labels.empty(), truth, SCHEMA).whole == 1
    assert iou.errors(Labels.empty(), Labels.empty(), SCHEMA).whole == 0
    polygon = Labels.of([CAR, CAR], kind=Kind.POLYGON, shape=[(square(0, 0),), (square(20, 0),)])
    assert iou.errors(polygon, truth, SCHEMA).whole == 0
    assert iou.errors(polygon, polygon, SCHEMA).whole == 0


def test_pixels_of_volumes() -> None:
    bits = np.zeros((4, 10, 10), dtype=bool)
    bits[:2, :5] = True
    half = bits.copy()
    half[1] = False
    one, other = (Labels.of([CAR], kind=Kind.MASK, shape=[geometry.encode(b)]) for b in (bits, half))
    assert Pixels().errors(other, one, SCHEMA).whole == pytest.approx(1 / 2)


@pytest.mark.parametrize("make", [lambda: Objects(0), lambda: Objects(1.1), lambda: Pictures(0.05), lambda: Tags("clip")])
def test_settings_that_can_not_be_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()


def test_an_unknown_measure_names_the_choices() -> None:
    with pytest.raises(ConfigError) as caught:
        Pixels("jaccard")
    assert caught.value.choices == ["dice", "iou"]


def plain(machine: Labels, truth: Labels, tau: float) -> tuple[list[float], float]:
    """Judge as the docstring of Objects says, in loops."""
    overlap = geometry.iou(machine.box, truth.box)
    free, lost, wrong = set(range(len(machine))), set(range(len(truth))), [1.0] * len(machine)
    for same, least in ((True, tau), (False, 0.1)):
        while True:
            pairs = [
                (overlap[i, j], -i, -j)
                for i in free
                for j in lost
                if overlap[i, j] >= least and (not same or machine.class_id[i] == truth.class_id[j])
            ]
            if not pairs:
                break
            _, i, j = max(pairs)
            free.remove(-i)
            lost.remove(-j)
            wrong[-i] = 0.0 if same else 1.0
    return wrong, float(len(lost))


@pytest.mark.parametrize("seed", range(60))
def test_errors_are_those_of_a_plain_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def some(n: int) -> Labels:
        near = rng.integers(0, 12, (n, 2))
        return Labels.of(rng.integers(0, 2, n), np.hstack([near, near + rng.integers(1, 12, (n, 2))]))

    for _ in range(5):
        machine, truth = some(int(rng.integers(0, 9))), some(int(rng.integers(0, 9)))
        for tau in (0.3, 0.5, 0.75):
            assert found(machine, truth, tau) == plain(machine, truth, tau)
