"""The retail presets: they compose, nothing is accepted unseen by default, and their codes and classes are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hyla
from hyla import config
from hyla.decide.stages import build_decide
from hyla.schema import Schema
from hyla.types import Kind, Labels
from hyla_retail.categories import RESTRICTED

README = Path(__file__).parents[2] / "plugins/retail/README.md"


@pytest.fixture(scope="module")
def run():
    return hyla.compose("retail", source=".")


@pytest.fixture(scope="module")
def schema(run):
    return Schema.from_config(run.schema)


def test_it_composes_with_every_rule(run):
    assert len(run.rules) == 21
    assert "**Rules**: 21" in README.read_text(encoding="utf-8")
    assert next(iter(run.rules)) == "restricted_goods"  # the first strong flag is the reason that the queue shows


def test_the_rules_build_with_the_schema_and_their_names(run):
    stages, schema = config.stages(run)
    rules = {key: stage for key, stage in stages.items() if key.startswith("rules.")}
    assert {key: stage.name for key, stage in rules.items()} == {f"rules.{name}": name for name in run.rules}
    assert all(stage.schema is schema for stage in rules.values())


def test_nothing_is_accepted_unless_somebody_says_so(run):
    assert run.default == "review"
    assert run.rules["auto_accept"]["confidence"] is None
    assert hyla.compose("retail", "default=accept", source=".").default == "accept"


def test_another_product_or_place_counts_as_an_error(run, schema):
    loss = build_decide(run.decide, schema=schema)[0]
    assert schema.identities == ("product",)

    def facing(product, right=10.0, name="juice"):
        return Labels.of([schema.class_id(name)], [[0, 0, right, 10]], attributes={"product": [product]})

    truth = facing("A")
    assert loss.errors(facing("A"), truth, schema).total == 0
    assert loss.errors(facing("B"), truth, schema).total == 1
    assert loss.errors(facing("A", 4.0), truth, schema).total == 1
    assert loss.errors(facing("A", name="water"), truth, schema).total == 1
    assert run.agree_iou == run.decide["loss"]["iou"]


def test_a_rule_can_be_changed_and_left_out():
    changed = hyla.compose(
        "retail", "rules.price_difference.share=0.02", "~rules.overlap", "rules.auto_accept.confidence=0.9", source="."
    )
    assert changed.rules["price_difference"]["share"] == 0.02
    assert "overlap" not in changed.rules
    stages, _ = config.stages(changed)
    assert stages["rules.auto_accept"].confidence == 0.9


@pytest.mark.parametrize("finder", ["retail_yolo", "retail_torchvision"])
def test_another_finder_is_a_setting(finder):
    other = hyla.compose("retail", f"model@model.finder={finder}", "model.finder.weights=own.pt", source=".")
    assert other.model["finder"]["weights"] == "own.pt"
    assert other.model["sources"] == hyla.compose("retail", source=".").model["sources"]


def test_it_composes_with_loaders_that_know_no_planogram():
    other = hyla.compose("retail", "loader=folder", source=".")
    assert other.rules["planogram"]["planogram"] is None
    config.stages(other)


def test_codes_stand_once_in_each_vocabulary_and_have_its_form(schema):
    products = [one for i, one in enumerate(schema.classes) if i in schema.under("product")]
    for scheme, form in (("gpc", lambda code: len(code) == 8 and code.isdigit()), ("google", str.isdigit)):
        codes = [one.codes[scheme] for one in products if scheme in one.codes]
        assert all(map(form, codes))
        assert len(set(codes)) == len(codes) > 20
    # codes of GPC nest: what lies below a class with a code shares its segment, family or class
    for one in products:
        parent = schema.classes[schema.ids[one.parent]] if one.parent else None
        if parent is not None and "gpc" in one.codes and "gpc" in parent.codes:
            assert one.codes["gpc"].startswith(parent.codes["gpc"].rstrip("0"))


def test_restricted_classes_and_groups_are_there(schema):
    assert set(RESTRICTED) <= set(schema.names)
    assert {one.name for one in schema.classes if one.abstract} == {"tag", "colour", "packaging", "claim"}
    choices = schema.attributes_of("label")
    for name in ("colour", "packaging"):
        below = {schema.names[i] for i in schema.under(name)} - {name}
        assert set(choices[name].choices) == below


def test_labels_of_a_shelf_and_of_a_photo_of_one_product_fit(schema):
    shelf = Labels.of(
        [schema.class_id(name) for name in ("juice", "price_label", "gap", "barcode", "unknown_product")],
        np.tile([0.0, 0, 9, 9], (5, 1)),
        attributes={
            "product": ["A", None, None, None, None],
            "gtin": ["05449000000996"] * 5,
            "price": [1.99, 1.99, None, None, None],
            "shelf": [1, None, 1, None, 2],
            "packaging": ["bottle", None, None, None, None],
        },
        context={
            "view": "shelf",
            "store": "north",
            "fixture": "bay1",
            "date": "2026-11-23",
            "sharpness": 300.0,
            "catalogue": "x",
        },
    )
    schema.check(shelf, (10, 10))
    tags = [schema.class_id(name) for name in ("wine", "red", "bottle", "organic")]
    schema.check(Labels.of(tags, np.tile([0.0, 0, 10, 10], (4, 1)), kind=Kind.TAG), (10, 10))


@pytest.mark.parametrize(
    ("settings", "taxonomy"), [((), "auto"), (("model.taxonomy=gpc.xml",), "gpc.xml"), (("model=facings",), None)]
)
def test_rules_understand_categories_by_the_taxonomy_of_the_model(settings, taxonomy):
    rules = hyla.compose("retail", *settings, source="photos").rules
    assert [rules[name]["taxonomy"] for name in ("restricted_goods", "brand_category")] == [taxonomy, taxonomy]
    assert rules["brand_category"]["source"] == "photos"


def test_packshots_have_the_same_classes_and_rules(run):
    photos = hyla.compose("packshots", source=".")
    assert photos.schema == run.schema
    assert list(photos.rules) == list(run.rules)
    assert photos.default == "review"
    assert photos.loader != run.loader
    assert photos.model == run.model  # which tells the two apart by the view of the photo
