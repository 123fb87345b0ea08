"""Known errors: put in as machines make them, and caught only by who takes them out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla import geometry
from hyla.decide.pairing import likeness
from hyla.decide.seeds import APART, KINDS, OVERLAP, caught, plant
from hyla.schema import Schema
from hyla.types import Kind, Labels

SCHEMA = Schema.from_config(
    {
        "name": "all",
        "kinds": ["tag", "box", "rotated_box", "polygon", "polyline", "keypoints", "mask", "cuboid", "track"],
        "classes": {
            "vehicle": {"abstract": True},
            "car": {"parent": "vehicle"},
            "bus": {"parent": "vehicle"},
            "walker": {"keypoints": ["head", "foot"]},
            "rain": {"kinds": ["tag"]},
            "snow": {"kinds": ["tag"]},
        },
    }
)
CAR, BUS, WALKER, RAIN, SNOW = (SCHEMA.class_id(name) for name in ("car", "bus", "walker", "rain", "snow"))
SIZE = (200, 300)


def boxes(n: int = 4, **how: Any) -> Labels:
    return Labels.of([CAR] * n, [[20 + 60 * i, 80, 50 + 60 * i, 110] for i in range(n)], score=np.linspace(0.9, 0.5, n), **how)


def shaped(kind: Kind) -> Labels:
    """Return two labels of a kind."""
    square = [np.array([[x, 50.0], [x + 40, 50], [x + 40, 90], [x, 90]]) for x in (30.0, 150.0)]
    if kind == Kind.ROTATED_BOX:
        return Labels.of([CAR, BUS], kind=kind, shape=[np.array([x, 70.0, 40, 20, 0.4]) for x in (60.0, 170.0)])
    if kind == Kind.POLYGON:
        return Labels.of([CAR, BUS], kind=kind, shape=[(one,) for one in square])
    if kind == Kind.MASK:
        masks = [geometry.encode(geometry.rasterize((one,), SIZE)) for one in square]
        return Labels.of([CAR, BUS], kind=kind, shape=masks)
    return Labels.of([CAR, BUS], [[30, 50, 70, 90], [150, 50, 190, 90]])


AREAS = (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.MASK)


def one(labels: Labels | None) -> Labels:
    assert labels is not None
    SCHEMA.check(labels, SIZE)
    return labels


def kept(old: Labels, new: Labels) -> int:
    """Count the labels of `old` that are in `new` as they were."""
    return sum(any(old[i] == new[j] for j in range(len(new))) for i in range(len(old)))


@pytest.mark.parametrize("kind", AREAS)
@given(st.integers(0, 10**18))
def test_each_error_is_what_it_is_called(kind: Kind, chance: int) -> None:
    truth = shaped(kind)
    found = {name: one(plant(truth, SCHEMA, chance, name, SIZE)) for name in KINDS}
    assert {name: len(made) - len(truth) for name, made in found.items()} == {"swap": 0, "shift": 0, "delete": -1, "extra": 1}
    assert {name: kept(truth, made) for name, made in found.items()} == {"swap": 1, "shift": 1, "delete": 1, "extra": 2}
    (row,) = np.flatnonzero(found["swap"].class_id != truth.class_id)
    assert found["swap"].box[row].tolist() == truth.box[row].tolist()
    moved = [i for i in range(2) if found["shift"][i] != truth[i]]
    pairs = likeness(found["shift"][moved], truth[moved])
    assert 0 < pairs.value.max() < OVERLAP
    assert found["shift"].class_id.tolist() == truth.class_id.tolist()
    (new,) = (i for i in range(3) if not any(found["extra"][i] == truth[j] for j in range(2)))
    assert (geometry.iou(found["extra"].box[[new]], truth.box) < APART).all()
    for name, made in found.items():
        assert plant(truth, SCHEMA, chance, name, SIZE) == made


@pytest.mark.parametrize("kind", AREAS)
@pytest.mark.parametrize("name", KINDS)
def test_who_answers_the_truth_caught_it_and_who_accepts_did_not(kind: Kind, name: str) -> None:
    truth = shaped(kind)
    for chance in range(10):
        planted = one(plant(truth, SCHEMA, chance, name, SIZE))
        assert not caught(name, truth, planted, planted, SCHEMA)
        assert caught(name, truth, planted, truth, SCHEMA)
        assert caught(name, truth, planted, truth[[1, 0]], SCHEMA)
        assert caught(name, truth, planted, Labels.empty(), SCHEMA) == (name != "delete")


@pytest.mark.parametrize("name", KINDS)
def test_other_changes_do_not_count(name: str) -> None:
    truth = boxes()
    for chance in range(20):
        planted = one(plant(truth, SCHEMA, chance, name, SIZE))
        others = [i for i in range(len(planted)) if any(planted[i] == truth[j] for j in range(4))]
        answer = planted[[i for i in range(len(planted)) if i != others[0]]]
        assert not caught(name, truth, planted, answer, SCHEMA)
        drawn = Labels.concat([planted, Labels.of([BUS], [[100, 150, 130, 180]])])
        assert not caught(name, truth, planted, drawn, SCHEMA)


def test_a_nudge_is_no_catch() -> None:
    truth = Labels.of([CAR], [[100, 100, 140, 140]])
    planted = Labels.of([CAR], [[126, 100, 166, 140]])
    for x, hit in ((126, False), (122, False), (115, False), (105, True), (100, True)):
        answer = Labels.of([CAR], [[x, 100, x + 40, 140]])
        assert caught("shift", truth, planted, answer, SCHEMA) is hit, x
    assert caught("shift", truth, planted, Labels.empty(), SCHEMA)


def test_a_swapped_class_that_is_swapped_again_is_no_longer_that_error() -> None:
    truth = boxes(1)
    planted = replace(truth, class_id=np.array([BUS]))
    assert not caught("swap", truth, planted, planted, SCHEMA)
    assert caught("swap", truth, planted, replace(truth, class_id=np.array([WALKER])), SCHEMA)
    moved = replace(planted, box=planted.box + 2)
    assert not caught("swap", truth, planted, moved, SCHEMA)


def test_a_label_that_is_right_by_itself_is_no_error() -> None:
    """A shifted car that came to lie near another car: the other car stays, and is not taken for the error."""
    truth = Labels.of([CAR, CAR], [[0, 0, 40, 40], [45, 0, 85, 40]])
    planted = Labels.of([CAR, CAR], [[24, 0, 64, 40], [45, 0, 85, 40]])
    assert not caught("shift", truth, planted, planted, SCHEMA)
    assert caught("shift", truth, planted, truth, SCHEMA)
    assert caught("shift", truth, planted, truth[[1]], SCHEMA)


@given(st.integers(0, 10**18))
def test_without_the_size_of_the_picture_nothing_leaves_what_is_known_of_it(chance: int) -> None:
    truth = boxes()
    for name in ("shift", "extra"):
        if made := plant(truth, SCHEMA, chance, name):
            assert made.box.min() >= 0
            assert (made.box.max(axis=0)[2:] <= truth.box.max(axis=0)[2:]).all()


def test_where_an_error_can_not_be() -> None:
    tag = Labels.of([RAIN], [[0, 0, 300, 200]], kind=Kind.TAG)
    swapped = one(plant(tag, SCHEMA, 1, "swap"))
    assert swapped.class_id[0] != RAIN
    assert not caught("swap", tag, swapped, swapped, SCHEMA)
    assert caught("swap", tag, swapped, tag, SCHEMA)
    volume = geometry.encode(np.pad(np.ones((2, 4, 4), dtype=bool), 2))
    for labels, can in (
        (tag, {"swap"}),
        (Labels.empty(), set()),
        (Labels.of([CAR], kind=Kind.MASK, shape=[volume]), {"swap", "delete"}),
        (Labels.of([WALKER], kind=Kind.KEYPOINTS, shape=[np.array([[1.0, 1, 2], [5, 9, 2]])]), {"delete"}),
        (Labels.of([CAR], kind=Kind.POLYLINE, shape=[np.array([[1.0, 1], [5, 9]])]), {"swap", "delete"}),
        (Labels.of([CAR], [[0, 0, 300, 200]]), {"swap", "delete"}),
    ):
        assert {name for name in KINDS if plant(labels, SCHEMA, 1, name, SIZE) is not None} == can
    only = Schema.from_config({"name": "one", "classes": {"car": {}}})
    assert plant(Labels.of([0], [[0, 0, 9, 9]]), only, 1, "swap") is None
    with pytest.raises(ValueError, match="unknown kind of error 'move'"):
        plant(tag, SCHEMA, 1, "move")


def test_what_stands_twice_is_not_deleted() -> None:
    twice = boxes(1)[[0, 0]]
    assert plant(twice, SCHEMA, 1, "delete") is None
    both = Labels.concat([boxes(1), replace(boxes(1), class_id=np.array([BUS]))])
    assert plant(both, SCHEMA, 1, "delete") is not None
    swapped = one(plant(both, SCHEMA, 1, "swap"))
    assert WALKER in swapped.class_id


def test_an_extra_label_has_a_track_of_its_own_and_no_place_of_its_own() -> None:
    truth = boxes(4, track=[3, 5, 7, 9])
    made = [one(plant(truth, SCHEMA, chance, "extra", SIZE)) for chance in range(40)]
    assert all(len(set(labels.track.tolist())) == 5 for labels in made)
    assert {int(np.flatnonzero(labels.track == 10)[0]) for labels in made} == set(range(5))


def test_errors_are_spread_over_the_labels() -> None:
    truth = boxes()
    hit = {int(np.flatnonzero(one(plant(truth, SCHEMA, chance, "swap")).class_id != CAR)[0]) for chance in range(40)}
    assert hit == set(range(4))
