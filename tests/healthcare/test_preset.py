"""The healthcare preset: it composes, nothing is accepted unseen, and its codes are those of DICOM."""

from __future__ import annotations

from pathlib import Path

import pytest

import hyla
from hyla import config
from hyla.schema import Schema

# Chest findings that the code lists of DICOM lack; SNOMED CT's own identifiers.
OUTSIDE = {"56717001": "Tuberculosis"}
CATEGORIES = {"91723000", "85756007", "91720002", "49755003", "260787004"}
SIDES = {"_left": "7771000", "_right": "24028007"}
UNCODED = {"finding", "ignore", "opacity"}  # a group, a region to leave out, and what no list of codes names


@pytest.fixture(scope="module")
def run():
    return hyla.compose("healthcare", source=".")


@pytest.fixture(scope="module")
def schema(run):
    return Schema.from_config(run.schema)


@pytest.fixture(scope="module")
def snomed():
    """Return code -> (words that DICOM has for it, context groups it is in)."""
    from pydicom.sr._concepts_dict import concepts

    found: dict[str, tuple[set[str], set[int]]] = {}
    for of_keyword in concepts["SCT"].values():
        for code, (meaning, groups) in of_keyword.items():
            words, ids = found.setdefault(code, (set(), set()))
            words.add(meaning)
            ids.update(groups)
    return found


def test_it_composes_with_every_rule(run):
    assert len(run.rules) == 23
    assert "**Rules**: 23" in (Path(__file__).parents[2] / "plugins/healthcare/README.md").read_text()
    assert next(iter(run.rules)) == "phi"  # the first strong flag is the reason that the queue shows
    assert list(run.rules)[-1] == "clinical_use"


def test_the_rules_build_with_the_schema_and_their_names(run):
    stages, schema = config.stages(run)
    rules = {key: stage for key, stage in stages.items() if key.startswith("rules.")}
    assert {key: stage.name for key, stage in rules.items()} == {f"rules.{name}": name for name in run.rules}
    assert all(stage.schema is schema for stage in rules.values())


def test_nothing_is_accepted_unless_two_switches_are_set(run):
    assert run.default == "review"
    assert run.rules["clinical_use"]["purpose"] == "clinical"
    research = hyla.compose("healthcare", "rules.clinical_use.purpose=research", "default=accept", source=".")
    assert (research.rules["clinical_use"]["purpose"], research.default) == ("research", "accept")


def test_readers_differ_and_masks_are_wrong_below_a_dice_of_0_8(run):
    assert run.agree_iou == run.decide["loss"]["iou"] == round(0.8 / (2 - 0.8), 3)


def test_a_rule_can_be_changed_and_left_out():
    changed = hyla.compose(
        "healthcare", "rules.small_lesion.mm=4", "~rules.face", "+rules.volume_range.ranges.body=[1,2]", source="."
    )
    assert changed.rules["small_lesion"]["mm"] == 4
    assert "face" not in changed.rules
    assert changed.rules["volume_range"]["ranges"]["body"] == [1, 2]
    assert changed.rules["volume_range"]["ranges"]["liver"] == [800, 3000]


def test_every_class_has_a_code_that_dicom_knows(schema, snomed):
    for one in schema.classes:
        code = one.codes.get("snomed")
        if code is None:
            assert one.name in UNCODED
            continue
        words, groups = snomed.get(code, ({OUTSIDE.get(code)}, set()))
        assert one.codes["snomed_meaning"] in words, one.name
        if "_2d" not in one.name and one.parent != "finding":
            assert 7151 in groups, f"{one.name}: not among the segmentation property types (CID 7151)"


def test_categories_regions_and_sides_are_of_their_context_groups(schema, snomed):
    for one in (one for one in schema.classes if "snomed" in one.codes):
        assert one.codes["snomed_category"] in CATEGORIES
        side = next((code for end, code in SIDES.items() if one.name.endswith(end)), None)
        assert one.codes.get("snomed_modifier") == side, one.name
        if region := one.codes.get("snomed_region"):
            assert 7192 in snomed[region][1], one.name
    assert all(7150 in snomed[code][1] for code in CATEGORIES)
    assert all(244 in snomed[code][1] for code in SIDES.values())


def test_every_code_has_the_check_digit_of_snomed(schema):
    numbers = {v for one in schema.classes for k, v in one.codes.items() if k.startswith("snomed") and k != "snomed_meaning"}
    assert len(numbers) > 30
    assert [number for number in numbers if _verhoeff(number)] == []
    assert _verhoeff("10200005")  # the check can fail


def test_no_two_classes_mean_the_same_segment(schema):
    keys = ("snomed", "snomed_modifier", "snomed_region")
    segments = [
        tuple(one.codes.get(key) for key in keys)
        for one in schema.classes
        if "snomed" in one.codes and not one.abstract and one.parent != "finding"
    ]
    assert len(segments) == len(set(segments))


def test_the_sides_share_a_parent_where_there_is_one(schema):
    for name in ("lung", "kidney"):
        assert [schema.names[i] for i in schema.under(name)] == [name, f"{name}_left", f"{name}_right"]


def _verhoeff(number: str) -> int:
    """Return 0 for a number with a right check digit (Verhoeff 1969, dihedral group of order 10)."""
    turns = ["0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258"]
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = _times(check, int(turns[place % 8][int(digit)]))
    return check


def _times(a: int, b: int) -> int:
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
    return 5 + (a - b) % 5 if b < 5 else (a - b) % 5
