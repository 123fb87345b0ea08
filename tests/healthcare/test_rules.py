"""The review rules of scans: each fires on a made case, is silent on its opposite and the unknown, and holds at its limit."""

from __future__ import annotations

import inspect
import re
from importlib import import_module, resources
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hyla import geometry, plugins
from hyla.decide.route import item_verdict
from hyla.errors import ConfigError
from hyla.rules import draw
from hyla.schema import Schema
from hyla.types import Item, Kind, Labels, Rle, Severity, Verdict

CONF = resources.files("hyla_healthcare") / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "healthcare.yaml").read_text())["schema"])
RULES = yaml.safe_load((CONF / "rules" / "healthcare.yaml").read_text())
CT = {"modality": "CT", "series": "2.25.1", "reference": "2.25.2", "unit": "HU", "spacing_mm": [2.0, 0.8, 0.8]}
NAMES = [one.name for one in SCHEMA.classes if not one.abstract]
SECRETS = ("Doe^Jane", "MRN-4711", "1.2.840.113619.2.55")


def rule(rule_name, **changes):
    """Build a rule as a run does: from the preset's YAML, with some settings changed."""
    return plugins.build({**RULES[rule_name], **changes}, f"rules.{rule_name}", schema=SCHEMA)


def item(kind="series", **meta):
    return Item("a-1", "ct/2.25.1", kind=kind, meta={**CT, **meta})


def masks(*names, evidence=None, score=None, shape=None, **attributes):
    """Return one mask for each class name, of a volume of 4 x 8 x 8, with columns of evidence and attributes."""
    return Labels.of(
        [SCHEMA.class_id(name) for name in names],
        kind=Kind.MASK,
        shape=shape or [cube(0, 4)] * len(names),
        score=score,
        evidence=evidence,
        attributes=attributes,
    )


def cube(start, stop) -> Rle:
    full = np.zeros((4, 8, 8), dtype=bool)
    full[:, :, start:stop] = True
    return geometry.encode(full)


def found(flags):
    """Return reason -> rows."""
    return {flag.reason: flag.rows for flag in flags}


@pytest.mark.parametrize(
    ("name", "column", "classes", "values", "rows"),
    [
        # A value at the limit passes; NaN is unknown, and passes.
        ("uncertainty", "entropy", ["liver"] * 4, [0.4, 0.41, np.nan, 0.1], (1,)),
        ("fragments", "components", ["liver", "liver", "bone", "lung_left"], [1, 2, 9, 3], (1, 3)),
        ("area_jump", "area_jump", ["liver", "spleen", "body", "aorta"], [0.5, 0.51, 1, np.nan], (1,)),
        ("touches_edge", "touches_edge", ["liver", "spleen", "bone"], [0, 1, 1], (1,)),
        ("hu_range", "mean_hu", ["liver", "lung_left", "liver", "lung_right"], [151, -950, 150, -399], (0, 3)),
        ("outside_body", "outside_body", ["liver", "spleen", "body", "bone"], [0.005, 0.006, 1, 0.05], (1, 3)),
        ("laterality", "midline_mm", ["kidney_left", "kidney_left", "kidney_right", "liver"], [-10, -10.1, 11, 80], (1, 2)),
    ],
)
def test_evidence_out_of_its_limit_is_flagged(name, column, classes, values, rows):
    flags = rule(name).check(item(), masks(*classes, evidence={column: values}))
    assert [(flag.rule, flag.rows) for flag in flags] == [(name, rows)]
    assert rule(name).check(item(), masks(*classes)) == []


@pytest.mark.parametrize(
    ("name", "attribute", "classes", "values", "rows"),
    [
        ("small_lesion", "long_axis_mm", ["lesion", "lung_nodule", "liver"], [3.0, 2.9, 1.0], (1,)),
        ("measurable_lesion", "long_axis_mm", ["lesion", "lung_nodule", "liver"], [10.0, 9.9, 80.0], (0,)),
        ("volume_range", "volume_ml", ["liver", "liver", "kidney_left", "bone"], [3000, 799, 351, 1e5], (1, 2)),
        ("second_reader", "long_axis_mm", ["lesion", "opacity", "liver_lesion", "liver"], [2.9, None, 3.0, 9.0], (1, 2)),
    ],
)
def test_a_measure_out_of_its_limit_is_flagged(name, attribute, classes, values, rows):
    flags = rule(name).check(item(), masks(*classes, **{attribute: values}))
    assert [(flag.rule, flag.rows) for flag in flags] == [(name, rows)]


@pytest.mark.parametrize(
    ("name", "meta", "reasons"),
    [
        ("uneven_slices", {"uneven": 0.011}, ["uneven_slices"]),
        ("uneven_slices", {"uneven": 0.01}, []),
        ("missing_slices", {"missing": 2, "duplicates": 1}, ["missing_slices", "duplicate_slices"]),
        ("missing_slices", {"missing": 0, "duplicates": 0}, []),
        ("gantry_tilt", {"tilt_deg": -12.0}, ["gantry_tilt"]),
        ("gantry_tilt", {"tilt_deg": 0.5}, []),
        ("thick_slices", {"spacing_mm": [5.01, 1, 1]}, ["thick_slices"]),
        ("thick_slices", {"spacing_mm": [5, 1, 1]}, []),
        ("thick_slices", {"spacing_mm": [10, 1, 1], "slices": 1}, []),
        ("thick_slices", {"spacing_mm": [10, 1, 1], "slices": 3, "localizer": True}, []),
        ("unseen_acquisition", {"localizer": True}, ["unseen_localizer"]),
        ("frame_of_reference", {"reference": None}, ["frame_of_reference"]),
        ("frame_of_reference", {}, []),
        ("unseen_acquisition", {"modality": "MR"}, ["unseen_modality"]),
        ("unseen_acquisition", {"modality": "CT", "derived": True, "kernel": "B80"}, []),
        ("minor", {"child": True}, ["minor"]),
        ("minor", {"child": False}, []),
        ("minor", {}, []),
        ("phi", {"burned_in": "YES"}, ["phi"]),
        ("phi", {"burned_in": "NO"}, []),
        ("phi", {}, []),
        ("phi", {"sop_class": "1.2.840.10008.5.1.4.1.1.7"}, ["phi"]),
        ("phi", {"sop_class": "1.2.840.10008.5.1.4.1.1.6.1", "burned_in": "NO"}, ["phi"]),
        ("phi", {"sop_class": "1.2.840.10008.5.1.4.1.1.2"}, []),
        ("phi", {"burned_in_text": "2 regions blacked out"}, ["phi"]),
        ("phi", {"burned_in_text": "none found"}, []),
        ("face", {"body_part": "Head"}, ["face"]),
        ("face", {"body_part": "CHEST"}, []),
        ("clinical_use", {}, ["clinical_use"]),
    ],
)
def test_facts_about_the_series_are_judged(name, meta, reasons):
    flags = rule(name).check(item(**meta), Labels.empty())
    assert [flag.reason for flag in flags] == reasons
    assert all(flag.rows == () for flag in flags)


def test_a_volume_that_the_edge_cuts_is_only_held_against_the_most():
    cut = masks("liver", "liver", evidence={"touches_edge": [1, 1]}, volume_ml=[100, 3100])
    assert found(rule("volume_range").check(item(), cut)) == {"volume_range": (1,)}
    assert rule("volume_range").check(item(child=True), masks("liver", volume_ml=[100])) == []


def test_pieces_of_an_organ_that_the_edge_cuts_are_no_fragments():
    both = masks("aorta", "aorta", evidence={"components": [2, 2], "touches_edge": [1, 0], "fragment": [0.4, 0.4]})
    (flag,) = rule("fragments").check(item(), both)
    assert flag.rows == (1,)
    assert "40.0%" in flag.message


def test_a_mask_far_outside_the_body_has_a_reason_of_its_own_and_both_go_to_a_person():
    flags = rule("outside_body").check(item(), masks("liver", "spleen", evidence={"outside_body": [0.01, 0.06]}))
    assert found(flags) == {"outside_body": (0,), "outside_body_block": (1,)}
    assert {flag.severity for flag in flags} == {Severity.HUMAN}


def test_the_side_that_is_said_and_that_of_the_header_are_compared_with_the_class():
    said = masks("kidney_left", "kidney_left", "lesion", side=["right", "left", "right"])
    assert found(rule("laterality").check(item(), said)) == {"laterality": (0,)}
    assert found(rule("laterality").check(item(laterality="R"), said))["laterality_header"] == (0, 1)
    assert found(rule("laterality").check(item(laterality="L"), said))["laterality_header"] == (2,)
    near = masks("kidney_left", side=["right"], evidence={"midline_mm": [-3.0]})
    assert rule("laterality").check(item(), near) == []


def test_the_measurable_diameter_grows_with_the_distance_of_slices():
    lesion = masks("lesion", long_axis_mm=[13.0])
    assert found(rule("measurable_lesion").check(item(spacing_mm=[6.0, 1, 1]), lesion)) == {"measurable_lesion": (0,)}
    assert rule("measurable_lesion").check(item(spacing_mm=[7.0, 1, 1]), lesion) == []


def test_densities_are_only_judged_in_hu():
    liver = masks("liver", evidence={"mean_hu": [600]})
    assert rule("hu_range").check(item(), liver)
    for meta in ({"modality": "MR", "unit": None}, {"modality": None, "unit": None}):
        assert rule("hu_range").check(item(**meta), liver) == []


def test_two_models_that_differ_are_told_by_dice():
    def check(a, b, names=("liver", "liver"), dice=0.85):
        return found(rule("two_models", dice=dice).check(item(), masks(*names, shape=[a, b])))

    same, other = cube(0, 4), cube(1, 5)  # 3 of 4 columns shared: Dice 0.75
    assert check(same, same) == {}
    assert check(same, other) == {"two_models": (0, 1)}
    assert check(same, other, dice=0.75) == {}
    assert check(same, other, names=("liver", "spleen")) == {}
    assert check(same, other, names=("lesion", "lesion")) == {}
    assert check(same, geometry.encode(np.ones((2, 8, 8), dtype=bool))) == {"two_models": (0, 1)}


def test_what_the_model_never_saw_is_told_apart_by_settings():
    def check(meta, **settings):
        return list(found(rule("unseen_acquisition", **settings).check(item(**meta), Labels.empty())))

    assert check({"kernel": "B80f"}, kernels=["B3*", "br??"]) == ["unseen_kernel"]
    assert check({"kernel": "Br38"}, kernels=["B3*", "br??"]) == []
    assert check({"contrast": "yes"}, contrast="no") == ["unseen_contrast"]
    assert check({"contrast": "no"}, contrast="no") == []
    assert check({}, contrast="no", kernels=["B3*"], manufacturers=["GE*"]) == []
    assert check({"manufacturer": "Acme"}, manufacturers=["GE*", "siemens*"]) == ["unseen_manufacturer"]
    assert check({"modality": "MR"}, modalities=None) == []
    assert check({"derived": True}, derived=True) == ["unseen_derived"]


def test_a_brain_shows_that_the_head_is_there_unless_faces_were_removed():
    assert found(rule("face").check(item(), masks("brain"))) == {"face": ()}
    assert rule("face", defaced=True).check(item(), masks("brain")) == []
    assert rule("face").check(item(kind="radiograph", body_part="HEAD"), Labels.empty()) == []


def test_unknown_ages_and_unsaid_annotations_are_flagged_only_if_asked_for():
    assert found(rule("minor", unknown=True).check(item(), Labels.empty())) == {"minor": ()}
    assert found(rule("phi", unknown=True).check(item(), Labels.empty())) == {"phi": ()}
    assert rule("phi", unknown=True).check(item(burned_in="NO"), Labels.empty()) == []


def test_one_item_in_twenty_is_drawn_for_a_second_reader_and_always_the_same():
    second = rule("second_reader")
    ids = [f"item-{n}" for n in range(4000)]
    drawn = [name for name in ids if second.check(Item(name, name), Labels.empty())]
    assert drawn == [name for name in ids if draw(name) < 0.05]
    assert 0.04 < len(drawn) / len(ids) < 0.06


def test_nothing_is_accepted_for_clinical_use_and_research_lifts_only_that():
    flags = rule("clinical_use").check(item(), Labels.empty())
    assert item_verdict(Labels.empty(), flags, Verdict.ACCEPT, Verdict.ACCEPT) == Verdict.REVIEW
    assert rule("clinical_use", purpose="research").check(item(), Labels.empty()) == []
    flags = rule("laterality").check(item(), masks("lung_left", evidence={"midline_mm": [-60]}))
    assert item_verdict(masks("lung_left"), flags, Verdict.ACCEPT, Verdict.ACCEPT) == Verdict.REVIEW


def test_scores_are_held_against_the_limit_of_their_class():
    (flag,) = rule("low_score", classes={"lung": 0.9}).check(item(), masks("liver", "lung_left", score=[0.5, 0.8]))
    assert flag.rows == (1,)
    assert "0.80 where 0.90" in flag.message


@given(
    names=st.lists(st.sampled_from(NAMES), max_size=6),
    value=st.floats(allow_nan=True, allow_infinity=True, width=32),
    meta=st.sampled_from([{}, CT, {**CT, "child": True, "uneven": 0.5, "missing": 3, "tilt_deg": 9.0, "burned_in": "YES"}]),
)
def test_every_rule_takes_anything_and_points_at_rows_that_are_there(names, value, meta):
    from hyla_healthcare.structures import EVIDENCE

    n = len(names)
    attributes = {name: np.full(n, value) for name in ("volume_ml", "long_axis_mm", "short_axis_mm")}
    labels = masks(*names, evidence={name: np.full(n, value) for name in EVIDENCE}, **attributes)
    before = labels[:]
    for name in RULES:
        for flag in rule(name).check(Item("x", "x.png", kind="series", meta=meta), labels):
            assert flag.rule == name
            assert flag.message
            assert all(0 <= row < n for row in flag.rows)
    assert labels == before


def test_messages_tell_nothing_out_of_a_header():
    secret = dict.fromkeys(("kernel", "manufacturer", "modality", "body_part", "scanner", "position", "series", "patient"))
    meta = {key: SECRETS[n % 3] for n, key in enumerate(secret)} | {"contrast": SECRETS[0], "laterality": SECRETS[1]}
    told = [
        flag.message
        for name in RULES
        for flag in rule(name, **({"kernels": ["B3*"], "manufacturers": ["GE*"]} if name == "unseen_acquisition" else {})).check(
            item(**meta, sop_class=SECRETS[2], child=True, burned_in="YES", burned_in_text=SECRETS[0]), masks("brain", "lesion")
        )
    ]
    assert len(told) >= 7
    assert not [message for message in told for secret in SECRETS if secret in message]


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("clinical_use", {"purpose": "play"}, "research"),
        ("small_lesion", {"classes": ["lesions"]}, "did you mean 'lesion'?"),
        ("volume_range", {"ranges": {"livre": [1, 2]}}, "livre"),
        ("volume_range", {"ranges": {"liver": [2, 1]}}, "least, most"),
        ("hu_range", {"ranges": {"liver": [2]}}, "least, most"),
        ("unseen_acquisition", {"contrast": "maybe"}, "yes"),
        ("laterality", {"severity": "urgent"}, "urgent"),
        ("laterality", {"mm": "wide"}, "mm"),
        ("laterality", {"px": 3}, "px"),
    ],
)
def test_a_setting_that_can_not_be_is_refused_before_work_starts(name, changes, said):
    with pytest.raises(ConfigError) as error:
        rule(name, **changes)
    assert said in str(error.value)


def test_the_yaml_shows_every_setting_with_the_default_of_the_code():
    for name, node in RULES.items():
        module, _, cls = node["_target_"].rpartition(".")
        parameters = inspect.signature(getattr(import_module(module), cls)).parameters
        assert set(node) - {"_target_"} == set(parameters) - {"schema", "name"}, name
        for setting, value in node.items():
            default = parameters[setting].default if setting != "_target_" else None
            if default is not None:
                assert (list(default) if isinstance(default, tuple) else default) == value, f"{name}.{setting}"


def test_the_table_of_the_page_shows_every_rule_with_its_settings():
    page = Path(__file__).parents[2] / "docs" / "healthcare.md"
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name: rest for name, rest in rows if name in RULES}
    assert set(shown) == set(RULES)
    for name, node in RULES.items():
        for setting, value in node.items():
            if setting != "_target_":
                text = f"`{setting}` {_said(value)}"
                assert text in shown[name], f"{name}: the table lacks {text}"


def _said(value):
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{k} {_said(v)}" for k, v in value.items())
    if isinstance(value, list):
        return (" to " if value and not isinstance(value[0], str) else ", ").join(map(_said, value))
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
