"""The schema: what it takes, what it refuses and how it says so, and which labels fit it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla.errors import ConfigError, StageError
from hyla.schema import Attribute, Schema
from hyla.types import Kind, Labels
from strategies import labels, schemas, sizes

ROAD = Schema.from_config(
    {
        "name": "road",
        "version": 3,
        "kinds": ["box", "polyline", "tag", "track"],
        "classes": {
            "vehicle": {"abstract": True},
            "car": {"parent": "vehicle", "codes": {"coco": "car", "snomed": 10200004}, "kinds": ["box"]},
            "van": {"parent": "car"},
            "person": None,
            "lane": {"kinds": ["polyline"]},
        },
        "attributes": {
            "colour": {"type": "choice", "choices": ["red", "blue"], "classes": ["car"]},
            "parked": {"type": "boolean"},
            "age": {"type": "integer", "minimum": 0, "maximum": 120, "unit": "a"},
            "speed": {"type": "number", "unit": "m/s"},
            "plate": {},
            "weather": {"type": "choice", "choices": ["sun", "rain"], "scope": "image"},
        },
    }
)
BOX = [[1.0, 1.0, 2.0, 2.0]]


def test_a_schema_reads_names_codes_and_parents() -> None:
    assert ROAD.version == "3"
    assert ROAD.names == ("vehicle", "car", "van", "person", "lane")
    assert ROAD.ids["person"] == 3
    assert ROAD.class_id("van") == 2
    assert ROAD.code(1, "snomed") == "10200004"
    assert ROAD.code(1, "kitti") == "car"
    assert ROAD.by_code("snomed") == {"vehicle": 0, "10200004": 1, "van": 2, "person": 3, "lane": 4}
    assert ROAD.under("vehicle").tolist() == [0, 1, 2]
    assert ROAD.under("car", "lane", "unheard of").tolist() == [1, 2, 4]
    assert ROAD.under().tolist() == []
    assert list(ROAD.attributes_of("image")) == ["weather"]


def test_of_classes_with_one_code_the_first_answers() -> None:
    one = Schema.from_config({"classes": {"a": {"codes": {"coco": "car"}}, "b": {"codes": {"coco": "car"}}}})
    assert one.by_code("coco") == {"car": 0}


def test_what_is_not_given_has_a_default() -> None:
    one = Schema.from_config({"classes": {"a": {}}})
    assert (one.name, one.version, one.kinds, one.attributes) == ("unnamed", "1", ("box",), ())


@given(schemas())
def test_a_schema_survives_its_dict_through_json(schema: Schema) -> None:
    assert Schema.from_config(json.loads(json.dumps(schema.to_dict()))) == schema


CAR: dict[str, Any] = {"car": {}}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, ["schema.classes is empty", "schema.classes.car={}"]),
        ({"clases": {}}, ["schema has no setting 'clases'", "did you mean 'classes'?", "attributes, classes, kinds"]),
        ({"classes": ["car"]}, ["schema.classes must be a dict by name"]),
        ({"classes": CAR, "attributes": "age"}, ["schema.attributes must be a dict by name"]),
        ({"classes": {"car": "red"}}, ["schema.classes.car must be a dict of settings, got 'red'"]),
        ({"classes": {"car": {"parrent": "x"}}}, ["schema.classes.car has no setting 'parrent'", "did you mean 'parent'?"]),
        ({"classes": {"car": {"name": "x"}}}, ["schema.classes.car has no setting 'name'"]),
        ({"classes": {"car": {"abstract": "no"}}}, ["schema.classes.car: Expected `bool`, got `str` - at `$.abstract`"]),
        ({"classes": {"car": {"kinds": "box"}}}, ["schema.classes.car: Expected `array`, got `str` - at `$.kinds`"]),
        ({"classes": CAR, "kinds": "box"}, ["schema.kinds must be a list", "schema.kinds=[box]"]),
        ({"classes": CAR, "kinds": ["boxx"]}, ["schema.kinds: unknown kind 'boxx'", "did you mean 'box'?", "cuboid"]),
        ({"classes": {"car": {"kinds": ["dot"]}}}, ["schema.classes.car.kinds: unknown kind 'dot'", "choices:"]),
        ({"classes": {"car": {"parent": "thing"}}}, ["schema.classes.car: its parent 'thing' is not a class", "choices: car"]),
        ({"classes": {"a": {"parent": "a"}}}, ["schema.classes.a: its parents form a circle"]),
        ({"classes": {"a": {"parent": "b"}, "b": {"parent": "c"}, "c": {"parent": "b"}}}, ["its parents form a circle"]),
        ({"classes": CAR, "attributes": {"age": {"type": "int"}}}, ["schema.attributes.age: unknown type 'int'", "integer"]),
        (
            {"classes": CAR, "attributes": {"age": {"scope": "clip"}}},
            ["schema.attributes.age: unknown scope 'clip'", "image, label"],
        ),
        ({"classes": CAR, "attributes": {"age": {"type": "choice"}}}, ["schema.attributes.age: a choice needs choices"]),
        ({"classes": CAR, "attributes": {"age": {"minimum": "low"}}}, ["schema.attributes.age: Expected `float | null`"]),
        ({"classes": CAR, "attributes": {"on": {"choices": [True]}}}, ["Expected `str`, got `bool`", "put quotes around"]),
        ({"classes": CAR, "attributes": {"age": {"classes": ["cat"]}}}, ["schema.attributes.age: 'cat' is not a class"]),
    ],
)
def test_a_wrong_schema_says_what_is_wrong_and_what_would_be_right(values: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(ConfigError) as e:
        Schema.from_config(values)
    for words in says:
        assert words in str(e.value)


def test_an_unknown_class_is_met_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"has no class 'cart'[\s\S]*did you mean 'car'"):
        ROAD.class_id("cart")


@given(st.data())
def test_labels_drawn_for_a_schema_fit_it(data: st.DataObject) -> None:
    schema, size = data.draw(schemas()), data.draw(sizes())
    schema.check(data.draw(labels(schema, size)), size)


def test_labels_may_lie_half_a_pixel_outside_and_a_cuboid_anywhere() -> None:
    ROAD.check(Labels.of([3], [[-0.5, 0, 10.5, 20.5]]), (20, 10))
    Schema.from_config({"classes": CAR, "kinds": ["cuboid"]}).check(
        Labels.of([0], [[-9, -9, 99, 99]], kind=Kind.CUBOID, shape=[np.zeros(10)]), (20, 10)
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Labels.of([5], BOX), "class ids must be 0 to 4, got 5 to 5"),
        (Labels.of([-1], BOX), "class ids must be 0 to 4, got -1 to -1"),
        (Labels.of([3], BOX, score=[1.1]), "scores must lie between 0 and 1"),
        (Labels.of([3], BOX, score=[np.nan]), "scores must lie between 0 and 1"),
        (Labels.of([3], [[0, 0, np.inf, 1]]), "boxes must be finite"),
        (Labels.of([3], BOX, kind=np.array([8])), "kinds must be 0 to 7, got 8 to 8"),
        (Labels.of([0], BOX), "schema 'road' does not allow a box for 'vehicle'"),
        (Labels.of([4], BOX), "schema 'road' does not allow a box for 'lane'"),
        (Labels.of([3, 1], BOX * 2, kind=[Kind.TAG, Kind.TAG]), "does not allow a tag for 'car'"),
        (Labels.of([3], [[0, 0, 10.6, 1]]), "a box lies outside the image of 10 x 20 pixels"),
        (Labels.of([3], [[0, -0.6, 1, 1]]), "a box lies outside the image"),
        (Labels.of([3], [[2, 0, 1, 1]]), "far corner before its near corner"),
        (Labels.of([3], BOX, attributes={"color": ["red"]}), "has no label attribute 'color'[\\s\\S]*did you mean 'colour'"),
        (Labels.of([3], BOX, attributes={"weather": ["sun"]}), "has no label attribute 'weather'"),
        (Labels.of([3], BOX, context={"colour": "red"}), "has no image attribute 'colour'"),
        (Labels.of([3], BOX, context={"weather": "hail"}), "'weather' is not one of its choices: 'hail'[\\s\\S]*rain, sun"),
        (Labels.of([3], BOX, context={"weather": ["sun"]}), "'weather' is not one of its choices"),
        (Labels.of([3], BOX, attributes={"colour": ["green"]}), "'colour' is not one of its choices: 'green'"),
        (Labels.of([3], BOX, attributes={"parked": [1]}), "'parked' must be true or false"),
        (Labels.of([3], BOX, attributes={"plate": [7]}), "'plate' must be text"),
        (Labels.of([3], BOX, attributes={"age": ["old"]}), "'age' must be a number"),
        (Labels.of([3], BOX, attributes={"age": [True]}), "'age' must be a number"),
        (Labels.of([3], BOX, attributes={"age": [1.5]}), "'age' must be a whole number"),
        (Labels.of([3], BOX, attributes={"age": [121]}), "'age' must lie between 0.0 and 120.0 a"),
        (Labels.of([3], BOX, attributes={"age": [-1]}), "'age' must lie between 0.0 and 120.0 a"),
    ],
)
def test_labels_that_do_not_fit_are_refused(given: Labels, says: str) -> None:
    with pytest.raises(StageError, match=says):
        ROAD.check(given, (20, 10))


def test_tracks_need_a_schema_with_tracks() -> None:
    ROAD.check(Labels.of([3], BOX, track=[1]))
    with pytest.raises(StageError, match="has no kind 'track' but labels carry tracks"):
        Schema.from_config({"classes": CAR}).check(Labels.of([0], BOX, track=[1]))


def test_unknown_values_fit_every_attribute() -> None:
    names = ROAD.attributes_of("label")
    ROAD.check(Labels.of([3], BOX, attributes={name: [None] for name in names}, context={"weather": None}))


def test_a_bound_that_is_not_given_does_not_bind() -> None:
    one = Schema("s", ROAD.classes, ("box",), (Attribute("depth", "number"),))
    one.check(Labels.of([3], BOX, attributes={"depth": [1e30]}))
