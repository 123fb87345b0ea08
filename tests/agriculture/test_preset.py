"""The agriculture presets: they compose, nothing is accepted unseen by default, and their codes and classes are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hyla
from hyla import config
from hyla.decide.stages import build_decide
from hyla.schema import Schema
from hyla.types import Kind, Labels

README = Path(__file__).parents[2] / "plugins/agriculture/README.md"
# ESA WorldCover v200, all its classes but mangroves (95), and moss and lichen (100)
WORLDCOVER = {
    "10": "forest",
    "20": "shrubland",
    "30": "grassland",
    "40": "cropland",
    "50": "built",
    "60": "bare_soil",
    "70": "snow",
    "80": "water",
    "90": "wetland",
}
CONDITIONS = ("field", "healthy", "stressed", "suspected_drought", "suspected_pest", "bare", "unusable")
ZONES = ("stress_zone", "suspected_pest_zone", "change_zone")


@pytest.fixture(scope="module")
def run():
    return hyla.compose("agriculture", source=".")


@pytest.fixture(scope="module")
def schema(run):
    return Schema.from_config(run.schema)


def test_it_composes_with_every_rule(run):
    assert len(run.rules) == 18
    assert "**Rules**: 18" in README.read_text()
    assert next(iter(run.rules)) == "quarantine_pest"  # the first strong flag is the reason that the queue shows


def test_the_rules_build_with_the_schema_and_their_names(run):
    stages, schema = config.stages(run)
    rules = {key: stage for key, stage in stages.items() if key.startswith("rules.")}
    assert {key: stage.name for key, stage in rules.items()} == {f"rules.{name}": name for name in run.rules}
    assert all(stage.schema is schema for stage in rules.values())


def test_nothing_is_accepted_unless_somebody_says_so(run):
    assert run.default == "review"
    assert hyla.compose("agriculture", "default=accept", source=".").default == "accept"


def test_a_field_of_another_class_or_place_counts_as_an_error(run, schema):
    loss = build_decide(run.decide, schema=schema)[0]
    square = [(np.array([[0.0, 0], [10, 0], [10, 10], [0, 10]]),)]
    half = [(np.array([[0.0, 0], [10, 0], [10, 4], [0, 4]]),)]

    def errors(name, shape):
        machine, truth = (
            Labels.of([schema.class_id(n)], kind=Kind.POLYGON, shape=s) for n, s in ((name, shape), ("healthy", square))
        )
        return loss.errors(machine, truth, schema).total

    assert errors("healthy", square) == 0
    assert errors("stressed", square) == errors("healthy", half) == 1
    assert run.agree_iou == run.decide["loss"]["iou"]


def test_a_rule_can_be_changed_and_left_out():
    changed = hyla.compose(
        "agriculture",
        "rules.cloud.share=0.2",
        "~rules.geometry",
        "rules.index_against_class.limits.healthy.ndvi=[0.4,null]",
        "+rules.index_against_class.limits.cropland={ndvi:[0.1,null]}",
        "+rules.host_pest.hosts={LPTNDE:[SOLTU]}",
        "+rules.rotation.breaks={HELAN:5}",
        source=".",
    )
    assert changed.rules["cloud"]["share"] == 0.2
    assert "geometry" not in changed.rules
    assert changed.rules["index_against_class"]["limits"]["healthy"]["ndvi"] == [0.4, None]
    assert changed.rules["index_against_class"]["limits"]["bare"] == {"ndvi": [None, 0.4]}
    stages, _ = config.stages(changed)
    assert stages["rules.host_pest"].hosts["LPTNDE"] == ("SOLTU",)
    assert stages["rules.rotation"].breaks["HELAN"] == 5
    assert stages["rules.rotation"].breaks["BEAVA"] == 4


def test_land_cover_has_the_codes_of_worldcover(schema):
    assert {one.codes["worldcover"]: one.name for one in schema.classes if "worldcover" in one.codes} == WORLDCOVER


def test_crops_and_pests_have_eppo_codes_of_their_own(schema):
    plants = {one.name: one.codes.get("eppo") for one in schema.classes if one.parent == "crop"}
    pests = {one.name: one.codes.get("eppo") for one in schema.classes if one.parent == "pest"}
    assert {name for name, code in plants.items() if not code} == {"soybean_maize", "triticale"}
    assert {name for name, code in pests.items() if not code} == {"other_pest"}
    assert all(len(code) == 5 and code.isupper() for code in plants.values() if code)
    assert all(len(code) == 6 and code.isupper() for code in pests.values() if code)
    codes = [one.codes["eppo"] for one in schema.classes if "eppo" in one.codes]
    assert len(set(codes)) == len(codes)
    assert plants["maize"] == "ZEAMX"


def test_conditions_and_zones_have_their_parents(schema):
    assert {schema.names[i] for i in schema.under("field")} == set(CONDITIONS)
    assert {schema.names[i] for i in schema.under("zone")} == {"zone", *ZONES}
    assert {schema.names[i] for i in schema.under("stressed")} == {"stressed", "suspected_drought", "suspected_pest"}
    assert {one.name for one in schema.classes if one.abstract} == {"zone", "land_cover", "crop", "finding", "pest"}


def test_labels_of_every_kind_fit(schema):
    ring = (np.array([[1.0, 1], [9, 1], [9, 9]]),)
    field = Labels.of(
        [schema.class_id(name) for name in CONDITIONS],
        kind=Kind.POLYGON,
        shape=[ring] * len(CONDITIONS),
        attributes={"ndvi": [0.5] * 7, "severity": [0.0, 100.0] + [None] * 5, "field": ["a"] * 7, "drought": ["none"] * 7},
        context={"date": "2024-06-01", "sensor": "sentinel2", "cloud_share": 0.25, "resolution_m": 10.0},
    )
    schema.check(field, (10, 10))
    point = Labels.of([schema.class_id("forest")], kind=Kind.KEYPOINTS, shape=[np.array([[5.0, 5.0, 2.0]])])
    schema.check(point, (10, 10))


def test_photos_of_leaves_have_the_same_classes_and_rules(run):
    photos = hyla.compose("leaf_photos", source=".")
    assert photos.schema == run.schema
    assert photos.rules == run.rules
    assert photos.default == "review"
    assert photos.loader != run.loader
