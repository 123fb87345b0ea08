"""The driving preset: it composes, its parts can be exchanged, and its schema means one thing in every vocabulary."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import hyla
from hyla import config
from hyla.errors import ConfigError
from hyla.schema import Schema

VOCABULARIES = ("coco", "kitti", "bdd100k", "nuscenes", "openlabel")


@pytest.fixture(scope="module")
def run():
    return hyla.compose("driving", source=".")


def test_it_composes_a_detector_with_lanes_and_every_rule(run):
    assert {name: node["_target_"] for name, node in run.model["members"].items()} == {
        "detector": "hyla_driving.yolo.Yolo",
        "lanes": "hyla_driving.lanes.Lanes",
    }
    assert run.loader["_target_"] == "hyla_driving.layouts.Recording"
    assert len(run.rules) == 21
    assert "**Rules**: 21" in (Path(__file__).parents[2] / "plugins/driving/README.md").read_text()


def test_the_rules_build_with_the_schema_and_their_names(run):
    run.model, run.loader = {"_target_": "hyla_driving.lanes.Lanes"}, {"_target_": "hyla.images.Folder"}
    stages, schema = config.stages(run)
    rules = {key: stage for key, stage in stages.items() if key.startswith("rules.")}
    assert {key: stage.name for key, stage in rules.items()} == {f"rules.{name}": name for name in run.rules}
    assert all(stage.schema is schema for stage in rules.values())


def test_a_rule_can_be_changed_and_left_out():
    changed = hyla.compose("driving", "rules.min_height.px=25", "~rules.crowd", "+rules.low_score.classes.bus=0.3", source=".")
    assert changed.rules["min_height"]["px"] == 25
    assert "crowd" not in changed.rules
    assert changed.rules["low_score"]["classes"] == {"vehicle": 0.8, "vru": 0.8, "lane": 0.0, "ignore": 0.0, "bus": 0.3}
    with pytest.raises(ConfigError, match=r"min_heigth"):
        hyla.compose("driving", "rules.min_heigth.px=25", source=".")


def test_a_member_of_the_model_can_be_exchanged_and_left_out():
    other = hyla.compose("driving", "model@model.members.detector=torchvision", "model.members.detector.weights=null", source=".")
    assert other.model["members"]["detector"]["_target_"] == "hyla.torchvision_detector.Torchvision"
    assert hyla.compose("driving", "model.members.lanes=null", source=".").model["members"]["lanes"] is None
    assert hyla.compose("driving", "model=lanes", source=".").model["_target_"] == "hyla_driving.lanes.Lanes"


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
def test_no_two_classes_share_a_code(run, vocabulary):
    schema = Schema.from_config(run.schema)
    codes = Counter(schema.code(i, vocabulary) for i in range(len(schema.classes)))
    assert [code for code, n in codes.items() if n > 1] == []
    assert {v for one in schema.classes for v in one.codes} == set(VOCABULARIES)


def test_the_hierarchy_is_what_the_rules_count_on(run):
    schema = Schema.from_config(run.schema)
    below = {name: [schema.names[i] for i in schema.under(name)] for name in ("vehicle", "vru", "traffic_sign")}
    assert below["vehicle"] == ["vehicle", "car", "van", "truck", "bus", "train", "trailer", "motorcycle", "bicycle"]
    assert below["vru"] == ["vru", "person", "sitting_person", "rider"]
    assert below["traffic_sign"] == ["traffic_sign", "stop_sign"]
    assert [c.name for c in schema.classes if c.abstract] == ["vru"]
    assert schema.json_schema()["$schema"].endswith("2020-12/schema")
