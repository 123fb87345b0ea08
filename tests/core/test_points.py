"""What areas say at points where somebody knows the truth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla import geometry, points
from hyla.evaluate import evaluate
from hyla.figure import share
from hyla.points import NOTHING
from hyla.schema import Schema
from hyla.types import Item, Kind, Labels, Record

SCHEMA = Schema.from_config(
    {
        "name": "map",
        "kinds": ["polygon", "mask", "box", "keypoints", "tag"],
        "classes": {
            "cover": {"abstract": True},
            "forest": {"parent": "cover"},
            "pine": {"parent": "forest"},
            "water": {"parent": "cover"},
            "field": {},
        },
    }
)
FOREST, PINE, WATER, FIELD = (SCHEMA.class_id(name) for name in ("forest", "pine", "water", "field"))
SIZE = (100, 100)


def square(x: float, y: float, side: float) -> Any:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], dtype=float)


def record(name: str, labels: Labels) -> Record:
    return Record(Item(name, f"{name}.tif"), labels, size=SIZE)


def stood(*where: tuple[int, float, float]) -> Labels:
    return Labels.of([c for c, *_ in where], kind=Kind.KEYPOINTS, shape=[np.array([[x, y, 2.0]]) for _, x, y in where])


def area(*found: tuple[int, float, float, float]) -> Labels:
    return Labels.of([c for c, *_ in found], kind=Kind.POLYGON, shape=[(square(*at),) for _, *at in found])


def test_accuracy_and_confusion() -> None:
    truth = [
        record("a", stood((FOREST, 10, 10), (FOREST, 30, 30), (WATER, 60, 60), (WATER, 95, 5))),
        record("b", stood((FOREST, 50, 50))),
    ]
    found = [record("a", area((PINE, 0, 0, 20), (WATER, 20, 20, 60), (FIELD, 0, 0, 100)))]
    one = evaluate(found, truth, SCHEMA, samples=10)
    assert one.points is not None
    assert (one.points.right.value, one.points.right.n) == (0.4, 5), "a pine is a forest"
    assert (one.points.covered.value, one.points.covered.n) == (0.6, 5), "a field covers nothing of the land cover"
    assert one.points.confusion == {"forest": {"nothing": 1, "pine": 1, "water": 1}, "water": {"nothing": 1, "water": 1}}
    assert one.points.recall["forest"] == share(1, 3)
    assert one.points.precision["water"] == share(1, 2)
    assert (one.images, one.missing) == (2, 1)
    assert "boxes" not in one.parts, "a point has no box to find"
    assert json.loads(json.dumps(one.to_dict(), allow_nan=False))["points"]["right"]["n"] == 5
    assert "points: right 0.400 [0.118, 0.769] (n 5)" in str(one)


def test_the_smallest_area_answers() -> None:
    asked = points.known(stood((FOREST, 10, 10)))
    family = points.families(SCHEMA)
    layers = [area((WATER, 0, 0, 50), (PINE, 5, 5, 10)), area((PINE, 5, 5, 10), (WATER, 0, 0, 50))]
    assert [points.said(asked, one, family) for one in layers] == [[PINE], [PINE]]


def test_every_kind_of_area_and_holes() -> None:
    mask = np.zeros(SIZE, bool)
    mask[40:50, 40:50] = True
    labels = Labels.of(
        [FOREST] * 4,
        box=[[0, 0, 10, 10], [20, 0, 40, 10], [40, 40, 50, 50], [60, 60, 90, 90]],
        kind=[Kind.BOX, Kind.ROTATED_BOX, Kind.MASK, Kind.POLYGON],
        shape=[None, np.array([30.0, 5.0, 20.0, 2.0, 0.0]), geometry.encode(mask), (square(60, 60, 30), square(70, 70, 10))],
    )
    asked = [(5, 5), (30, 5), (30, 8), (45.5, 49.9), (45.5, 50.1), (65, 65), (75, 75), (-3, 5)]
    said = points.said([(FOREST, x, y) for x, y in asked], labels, points.families(SCHEMA))
    assert [one != NOTHING for one in said] == [True, True, False, True, False, True, False, False]


def test_no_labels_and_no_points() -> None:
    family = points.families(SCHEMA)
    assert points.said([(FOREST, 1.0, 1.0)], Labels.empty(), family) == [NOTHING]
    assert points.said([], area((FOREST, 0, 0, 10)), family) == []
    assert evaluate([], [record("a", area((FOREST, 0, 0, 10)))], SCHEMA, samples=10).points is None


@given(
    st.lists(
        st.tuples(st.sampled_from([FOREST, PINE, WATER]), st.integers(0, 80), st.integers(0, 80), st.integers(1, 60)), max_size=6
    ),
    st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=6),
)
def test_it_agrees_with_painting(found: list[Any], at: list[Any]) -> None:
    painted = np.full(SIZE, NOTHING)
    for c, x, y, side in sorted(found, key=lambda one: -one[3]):
        painted[y : y + side, x : x + side] = c
    asked = [(FOREST, x + 0.5, y + 0.5) for x, y in at]
    labels = area(*found) if found else Labels.empty()
    assert points.said(asked, labels, points.families(SCHEMA)) == [painted[y, x] for x, y in at]


def test_shares() -> None:
    assert (share(0, 0).value, str(share(0, 0))) == (None, "- (n 0)")
    assert str(share(8, 10)) == "0.800 [0.490, 0.943] (n 10)"
    with pytest.raises(AttributeError):
        share(1, 2).value = 3  # type: ignore[misc]
