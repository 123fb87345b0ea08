"""The surveillance presets: they compose, their rules build, and what people must say stands in the schema."""

from __future__ import annotations

import pytest

import hyla
from hyla import config
from hyla.schema import Schema
from hyla_surveillance.events import EVENTS, EVIDENCE
from hyla_surveillance.rules import UNITS
from surveillance_kit import SCHEMA


@pytest.fixture(scope="module")
def run():
    return hyla.compose("surveillance", source=".")


def test_the_rules_build_with_the_schema_and_their_names(run):
    stages, schema = config.stages(run)
    rules = {key: stage for key, stage in stages.items() if key.startswith("rules.")}
    assert {key: stage.name for key, stage in rules.items()} == {f"rules.{name}": name for name in run.rules}
    assert all(stage.schema is schema for stage in rules.values())
    assert "redact" in stages


def test_events_are_the_classes_under_event_and_each_needs_a_person(run):
    schema = Schema.from_config(run.schema)
    assert set(EVENTS) == {schema.names[i] for i in schema.under("event")} - {"event"}
    assert {schema.classes[i].confirmations for i in schema.under("event") if not schema.classes[i].abstract} == {1}


def test_a_match_needs_two_people_and_nothing_in_the_package_makes_one(run):
    assert SCHEMA.classes[SCHEMA.class_id("candidate_match")].confirmations == 2
    assert "matches" not in str(run.model)


def test_redaction_is_on_unless_it_is_switched_off_before_the_run(run):
    assert run.redact["_target_"] == "hyla_surveillance.redact.Mosaic"
    assert not hyla.compose("surveillance", "redact=none", source=".").redact


def test_what_speaks_for_an_event_has_words(run):
    assert set(UNITS) <= set(EVIDENCE)


def test_a_rule_can_be_changed_and_left_out():
    changed = hyla.compose("surveillance", "rules.gaps.seconds=5", "~rules.sample", source=".")
    assert changed.rules["gaps"]["seconds"] == 5
    assert "sample" not in changed.rules


@pytest.mark.parametrize("finder", ["surveillance_yolo", "surveillance_torchvision"])
def test_another_finder_is_a_setting(finder):
    other = hyla.compose("surveillance", f"model@model.finder={finder}", "model.finder.weights=own.pt", source=".")
    assert other.model["finder"]["weights"] == "own.pt"
    assert other.model["behaviour"] == hyla.compose("surveillance", source=".").model["behaviour"]


def test_faces_and_plates_are_settings():
    other = hyla.compose("surveillance", "model@model.faces=faces", "model.faces.weights=own.onnx", source=".")
    assert other.model["faces"]["weights"] == "own.onnx"
    assert hyla.compose("surveillance", "model@model.plates=plates", source=".").model["plates"] is not None
