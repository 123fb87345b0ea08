"""The review rules of fields: each fires on a made case, is silent on its opposite and the unknown, and holds at its limit."""

from __future__ import annotations

import inspect
from importlib import import_module, resources

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hyla import plugins
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Item, Kind, Labels, Record, Severity

CONF = resources.files("hyla_agriculture") / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "agriculture.yaml").read_text())["schema"])
RULES = yaml.safe_load((CONF / "rules" / "agriculture.yaml").read_text())
NAMES = [one.name for one in SCHEMA.classes if not one.abstract]
META = {"date": "2024-06-15", "sensor": "sentinel2", "bands": ["red", "nir"], "baseline": "05.10", "offset": -1000}
SQUARE = (np.array([[1.0, 1], [9, 1], [9, 9], [1, 9]]),)
nan = float("nan")
EVIDENCE = (
    *("pixels", "lost", "cloud", "missing", "edge", "spread", "zneighbours", "zhistory", "years", "overlap", "compactness"),
    *("inside", "saturated", "margin", "boundary", "least", "most"),
)


def rule(rule_name, **changes):
    """Build a rule as a run does: from the preset's YAML, with some settings changed."""
    return plugins.build({**RULES[rule_name], **changes}, f"rules.{rule_name}", schema=SCHEMA)


def item(kind="scene", **meta):
    return Item("a-1", "a.tif", kind=kind, meta={**META, **meta})


def fields(*names, evidence=None, score=None, context=None, **attributes):
    """Return one polygon for each class name, with columns of evidence and attributes."""
    return Labels.of(
        [SCHEMA.class_id(name) for name in names],
        kind=Kind.POLYGON,
        shape=[SQUARE] * len(names),
        score=score,
        evidence=evidence,
        attributes=attributes,
        context=context,
    )


def found(flags):
    """Return reason -> rows."""
    return {flag.reason: flag.rows for flag in flags}


@pytest.mark.parametrize(
    ("name", "reason", "column", "classes", "values", "rows"),
    [
        # A value at the limit passes; NaN is unknown, and passes.
        ("cloud", "cloud", "cloud", ["healthy"] * 4, [0.1, 0.11, 0.3, nan], (1, 2)),
        ("cloud", "cloud_unusable", "cloud", ["healthy", "unusable", "bare"], [0.31, 0.9, 0.05], (0,)),
        ("cloud", "missing_data", "missing", ["healthy", "unusable", "bare"], [0.11, 0.9, 0.1], (0,)),
        ("small_field", "few_pixels", "pixels", ["healthy", "unusable", "stress_zone", "field"], [7, 3, 2, 8], (0, 1)),
        ("small_field", "narrow_field", "lost", ["healthy", "healthy", "stress_zone"], [0.6, 0.59, 0.9], (0,)),
        ("mixed_edge", "mixed_edge", "edge", ["healthy", "forest", "healthy"], [0.5, 0.51, nan], (1,)),
        ("boundary", "weak_outline", "boundary", ["field"] * 3, [0.64, 0.65, nan], (0,)),
        ("boundary", "small_margin", "margin", ["wheat"] * 3, [0.09, 0.1, nan], (0,)),
        ("geometry", "overlap", "overlap", ["healthy", "healthy", "stress_zone"], [0.02, 0.01, 0.9], (0,)),
        ("geometry", "sliver", "compactness", ["healthy", "healthy", "change_zone"], [0.09, 0.1, 0.01], (0,)),
        ("geometry", "partly_outside", "inside", ["healthy", "healthy", "bare"], [0.89, 0.9, nan], (0,)),
        ("georeference", "saturated", "saturated", ["healthy", "bare", "bare"], [0.01, 0.011, nan], (1,)),
        ("index_range", "pixel_range", "most", ["healthy"] * 3, [1.05, 1.06, nan], (1,)),
        ("index_range", "pixel_range", "least", ["water"] * 2, [-1.05, -3.0], (1,)),
        ("baseline_years", "baseline_years", "years", ["suspected_drought", "suspected_drought", "healthy"], [9, 10, 2], (0,)),
        ("index_against_class", "index_against_class", "zhistory", ["healthy", "healthy", "stressed"], [-3.1, -3, -9], (0,)),
    ],
)
def test_evidence_out_of_its_limit_is_flagged(name, reason, column, classes, values, rows):
    flags = rule(name).check(item(), fields(*classes, evidence={column: values}))
    assert [(flag.rule, flag.reason, flag.rows) for flag in flags] == [(name, reason, rows)]
    assert rule(name).check(item(), fields(*classes)) == []


@pytest.mark.parametrize(
    ("name", "reason", "attribute", "classes", "values", "rows"),
    [
        ("small_field", "small_field", "area_ha", ["healthy", "bare", "stress_zone", "field"], [0.19, 0.2, 0.01, None], (0,)),
        ("index_range", "index_range", "ndvi", ["healthy"] * 4, [1.0, 1.01, -1.2, None], (1, 2)),
        ("index_range", "index_range", "vhi", ["healthy"] * 2, [100, 101], (1,)),
        ("index_range", "index_range", "bbch", ["wheat"] * 2, [99, 100], (1,)),
        ("index_against_class", "index_against_class", "ndvi", ["healthy", "healthy", "stressed"], [0.29, 0.3, 0.1], (0,)),
        ("index_against_class", "index_against_class", "ndvi", ["bare", "bare_soil", "bare"], [0.4, 0.41, None], (1,)),
        ("index_against_class", "index_against_class", "mndwi", ["water", "water", "healthy"], [-0.01, 0, -0.9], (0,)),
        ("index_against_class", "index_against_class", "ndmi", ["healthy", "healthy", "bare"], [-0.11, -0.1, -0.9], (0,)),
        ("drought_disagreement", "drought_denied", "vhi", ["healthy", "healthy", "stressed"], [39.9, 40, 5], (0,)),
        ("drought_disagreement", "drought_denied", "vci", ["healthy", "healthy"], [39, None], (0,)),
        ("drought_disagreement", "drought_denied", "spi3", ["healthy", "healthy", "bare"], [-1, -0.99, -3], (0,)),
        ("drought_disagreement", "drought_unsupported", "vci", ["suspected_drought"] * 3, [40, 39, None], (0,)),
        ("severity_stage", "severity_against_class", "severity", ["healthy", "healthy", "stressed"], [11, 10, 90], (0,)),
        ("severity_stage", "stage_against_class", "bbch", ["bare", "bare", "bare", "wheat"], [30, 9, 90, 30], (0,)),
        ("rotation", "rotation_break", "crop", ["healthy"] * 3, ["BEAVA", "TRZAX", None], ()),
    ],
)
def test_a_measure_out_of_its_limit_is_flagged(name, reason, attribute, classes, values, rows):
    flags = rule(name).check(item(), fields(*classes, **{attribute: values}))
    assert [(flag.rule, flag.reason, flag.rows) for flag in flags] == ([(name, reason, rows)] if rows else [])
    assert rule(name).check(item(), fields(*classes)) == []


@pytest.mark.parametrize(
    ("name", "meta", "context", "reasons"),
    [
        ("cloud", {}, {"cloud_share": 0.61}, ["cloudy_scene"]),
        ("cloud", {}, {"cloud_share": 0.6}, []),
        ("cloud", {"cloud_cover": 80.0}, {}, ["cloudy_scene"]),
        ("cloud", {"cloud_cover": 80.0}, {"cloud_share": 0.1}, []),  # what was seen counts, not what the metadata say
        ("georeference", {"date": None}, {}, ["no_date"]),
        ("georeference", {"date": None}, {"date": "2024-06-01"}, []),
        ("georeference", {"offset": None, "offset_known": False}, {}, ["offset_unknown"]),
        ("georeference", {"offset": None}, {}, []),
        ("georeference", {"offset": 0, "harmonised": True}, {}, []),
        ("georeference", {"offset": 0}, {}, ["offset_not_applied"]),
        ("georeference", {"offset": 0, "baseline": "03.01"}, {}, []),
        ("georeference", {"offset": 0, "baseline": "04.00"}, {}, ["offset_not_applied"]),
        ("georeference", {"offset": 0, "baseline": None}, {}, []),
        ("georeference", {"offset_known": False, "sensor": "landsat8"}, {}, []),
        ("unseen_bands", {"bands": ["red", "green", "blue"]}, {}, ["unseen_bands"]),
        ("unseen_bands", {"bands": ["ndvi"]}, {}, []),
        ("unseen_bands", {"bands": None}, {}, []),
    ],
)
def test_facts_about_the_scene_are_judged(name, meta, context, reasons):
    flags = rule(name).check(item(**meta), Labels.empty(context))
    assert [flag.reason for flag in flags] == reasons
    assert all(flag.rows == () for flag in flags)


def test_photos_are_no_scenes():
    photo = Item("p-1", "leaf.jpg", kind="image")
    for name in ("georeference", "unseen_bands", "cloud"):
        assert rule(name).check(photo, fields("leaf", "lesion", "colorado_beetle")) == []


def test_a_small_field_counts_only_where_pixels_are_coarse():
    small = fields("healthy", area_ha=[0.05], context={"resolution_m": 0.6})
    assert rule("small_field").check(item(), small) == []
    for size in (9.99, 10.0, 30.0):
        small.context["resolution_m"] = size
        assert found(rule("small_field").check(item(), small)) == {"small_field": (0,)}


def test_a_jump_of_ndvi_counts_within_days_only():
    both = fields("healthy", "healthy", "healthy", "bare", change=[-0.31, 0.31, -0.3, -0.5], days=[10, 5, 5, 11])
    assert found(rule("index_range").check(item(), both)) == {"ndvi_jump": (0, 1)}
    assert rule("index_range").check(item(), fields("healthy", change=[-0.9])) == []


def test_a_healthy_field_may_be_grey_out_of_season_and_a_bare_one_never_green():
    grey = fields("healthy", "bare", ndvi=[0.15, 0.6])

    def rows(date, latitude=None, **changes):
        flags = rule("index_against_class", **changes).check(item(date=date, latitude=latitude), grey)
        return tuple(row for flag in flags for row in flag.rows)

    assert rows("2024-06-15", 51.0) == (0, 1)
    assert rows("2024-01-15", 51.0) == (1,)
    assert rows("2024-01-15", -30.0) == (0, 1)
    assert rows("2024-06-15", -30.0) == (1,)
    assert rows("2024-01-15", -12.0) == (0, 1)  # between the tropics there is no winter
    assert rows("2024-01-15") == (0, 1)  # nobody knows where it is
    assert rows("2024-01-15", hemisphere="north") == (1,)
    assert rows("2024-01-15", 51.0, hemisphere="always") == (0, 1)
    assert rows(None, 51.0) == (0, 1)


def test_limits_hold_for_classes_below_and_can_be_taken_out():
    changed = rule("index_against_class", limits={"field": {"ndvi": [0.1, None]}, "healthy": None})
    assert found(changed.check(item(), fields("suspected_drought", "forest", ndvi=[0.05, 0.05]))) == {"index_against_class": (0,)}


def test_droughts_that_one_index_supports_pass_and_all_are_named():
    dry = fields("suspected_drought", "suspected_drought", "suspected_drought", vhi=[50, 30, None], spi3=[-1.5, 0, 1])
    assert found(rule("drought_disagreement").check(item(), dry)) == {"drought_unsupported": (2,)}
    (flag,) = rule("drought_disagreement").check(item(), fields("healthy", vhi=[20], vci=[90], spi3=[-2]))
    assert "VHI, SPI3" in flag.message


def test_a_drought_named_by_its_word_needs_the_years_as_well():
    labels = fields("stressed", "stressed", "stressed", drought=["severe", "none", None], evidence={"years": [3, 3, 3]})
    (flag,) = rule("baseline_years").check(item(), labels)
    assert flag.rows == (0,)
    assert "not classifiable" in flag.message


def test_an_area_is_compared_with_the_declared_one():
    labels = fields("field", "field", "field", "field", area_ha=[1.06, 1.049, 0.94, 2], declared_ha=[1, 1, 1, None])
    assert found(rule("geometry").check(item(), labels)) == {"area_differs": (0, 2)}
    assert rule("geometry").check(item(), fields("field", area_ha=[1.0], declared_ha=[0.0])) == []


def test_low_scores_where_pixels_are_mixed_are_flagged():
    labels = fields("wheat", "wheat", "wheat", score=[0.69, 0.7, 0.1], evidence={"edge": [0.31, 0.9, 0.3]})
    assert found(rule("boundary").check(item(), labels)) == {"unsure_border": (0,)}
    assert found(rule("low_score").check(item(), fields("wheat", "ignore", score=[0.49, 0.1]))) == {"low_score": (0,)}


def test_a_regulated_pest_goes_to_two_experts_by_its_class_or_its_code():
    labels = fields("japanese_beetle", "colorado_beetle", "suspected_pest", "other_pest", pest=[None, None, "XYLEFA", "DACUZO"])
    (flag,) = rule("quarantine_pest").check(item("image"), labels)
    assert flag.rows == (0, 2, 3)
    assert flag.severity == Severity.SECOND
    assert "POPIJA Popillia japonica" in flag.message
    more = rule("quarantine_pest", more=["LPTNDE"], less=["POPIJA"]).check(item("image"), labels)
    assert found(more) == {"quarantine_pest": (1, 2, 3)}


def test_whatever_is_sure_a_pest_from_space_is_only_suspected():
    labels = fields("suspected_pest", "suspected_pest_zone", "stressed", "healthy", pest=[None, None, "POPIJA", None])
    flags = rule("suspected_from_space").check(item(), labels)
    assert found(flags)["suspected_from_space"] == (0, 1, 2)
    assert {flag.severity for flag in flags} == {Severity.HUMAN}


def test_an_unsure_or_incomplete_pest_on_a_photo_goes_to_an_expert():
    labels = fields(
        *["colorado_beetle"] * 4,
        "lesion",
        score=[0.95, 0.94, 1, 1, 0.2],
        host=["SOLTU", "SOLTU", None, "SOLTU", None],
        severity=[5, 5, 5, None, None],
    )
    flags = found(rule("suspected_from_space").check(item("image"), labels))
    assert flags == {"pest_expert": (1,), "pest_incomplete": (2, 3)}
    assert found(rule("suspected_from_space", complete=False).check(item("image"), labels)) == {"pest_expert": (1,)}
    other = fields("other_pest", host=["SOLTU"], severity=[5])
    assert found(rule("suspected_from_space").check(item("image"), other)) == {"pest_incomplete": (0,)}  # without a code


def test_a_pest_is_held_against_its_host_or_else_the_crop():
    labels = fields(
        *["colorado_beetle"] * 4,
        "japanese_beetle",
        host=["ZEAMX", "potato", None, None, None],
        crop=[None, None, "maize", None, "ZEAMX"],
    )
    (flag,) = rule("host_pest").check(item("image"), labels)
    assert flag.rows == (0, 2)
    assert "LPTNDE on ZEAMX" in flag.message
    assert rule("host_pest", hosts={"LPTNDE": None}).check(item("image"), labels) == []


def test_crops_that_follow_too_soon_or_hardly_at_all_are_flagged():
    labels = fields(
        *["healthy"] * 5,
        crop=["sugar beet", "BRSNW", "BRSNW", "TRZAX", "BRSOL"],
        previous_crop=["BEAVA", "BEAVA", "TRZAX", "TRZAX", "rapeseed"],
    )
    assert found(rule("rotation").check(item(), labels)) == {"rotation_break": (0, 4), "rotation_unlikely": (1,)}
    assert found(rule("rotation", breaks={"BEAVA": 0}).check(item(), labels))["rotation_break"] == (4,)


def records(*dates_and_crops):
    """Return a record for each (date, {field: crop}), in order."""
    for index, (date, crops) in enumerate(dates_and_crops):
        labels = fields(*["field"] * len(crops), field=list(crops), crop=list(crops.values()))
        yield Record(Item(f"s-{index}", f"{index}.tif", "place", index, "scene", {"date": date}), labels, size=(10, 10))


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ([("2024-05-01", "TRZAX"), ("2024-06-01", "TRZAX"), ("2024-07-01", "BEAVA")], [("s-2", "crop_change")]),
        ([("2024-01-15", "GLXMA"), ("2024-04-01", "ZEAMX")], []),  # two harvests of one season
        ([("2024-06-01", "TRZAX"), ("2024-11-01", "BRSNW")], []),  # the next season
        ([("2023-11-01", "BRSNW"), ("2024-04-20", "BRSNW"), ("2024-06-01", "BRSNW")], []),  # stands over the winter
        ([("2022-05-01", "BRSNN"), ("2023-05-01", "TRZAX"), ("2024-05-01", "BRSNN")], [("s-2", "rotation_break")]),
        ([("2020-05-01", "BRSNN"), ("2021-05-01", "TRZAX"), ("2024-05-01", "BRSNN")], []),  # three years without it
        ([("2022-06-01", "SOLTU"), ("2023-06-01", "SOLTU")], [("s-1", "rotation_break")]),
        ([("2022-06-01", "TRZAX"), ("2023-06-01", "TRZAX")], []),
        ([("2024-05-01", "TRZAX"), ("", "BEAVA"), ("2024-06-01", None)], []),  # without a date, or a crop
    ],
)
def test_crops_are_followed_from_date_to_date(dates, said):
    flags = list(rule("rotation").check_group(records(*[(date, {"f1": crop, "f2": "TRZAX"}) for date, crop in dates])))
    assert [(name, flag.reason) for name, flag in flags] == said
    assert all(flag.rows == (0,) for _, flag in flags)


def test_a_field_that_goes_and_comes_is_told_of():
    dates = [("2024-05-01", "ab"), ("2024-05-11", "ab"), ("2024-05-21", ""), ("2024-05-31", "bc")]
    group = [(date, dict.fromkeys(names, "TRZAX")) for date, names in dates]
    flags = list(rule("field_lost").check_group(records(*group)))
    assert [(name, flag.reason, flag.rows) for name, flag in flags] == [("s-3", "field_lost", ())]
    assert "a" in flags[0][1].message
    both = list(rule("field_lost", new=True).check_group(records(*group)))
    assert [flag.reason for _, flag in both] == ["field_lost", "field_new"]


def test_an_index_that_was_not_computed_is_told_of_and_sensors_can_be_listed():
    labels = fields("healthy", "unusable", "forest", ndvi=[None, None, None])
    assert found(rule("unseen_bands").check(item(), labels)) == {"index_missing": (0,)}
    flags = rule("unseen_bands", sensors=["landsat8"]).check(item(), Labels.empty())
    assert found(flags) == {"unseen_sensor": ()}
    assert rule("unseen_bands", sensors=["sentinel2"]).check(item(), Labels.empty()) == []


@given(
    names=st.lists(st.sampled_from(NAMES), max_size=6),
    value=st.floats(allow_nan=True, allow_infinity=True, width=32),
    word=st.sampled_from([None, "", "ZEAMX", "POPIJA", "winter wheat", "§"]),
    meta=st.sampled_from([{}, META, {"date": 5, "offset": "x", "baseline": "N", "bands": 3 * ["red"], "cloud_cover": "?"}]),
    kind=st.sampled_from(["scene", "image"]),
)
def test_every_rule_takes_anything_and_points_at_rows_that_are_there(names, value, word, meta, kind):
    n = len(names)
    attributes = {
        one.name: np.full(n, value) if one.type in ("number", "integer") else [word] * n
        for one in SCHEMA.attributes_of("label").values()
    }
    labels = fields(*names, evidence={name: np.full(n, value) for name in EVIDENCE}, **attributes)
    before = labels[:]
    thing = Item("x", "x.tif", "g", 0, kind, meta)
    for name in RULES:
        one = rule(name)
        flags = list(one.check(thing, labels) or []) if hasattr(type(one), "check") else []
        if hasattr(type(one), "check_group"):
            flags += [flag for _, flag in one.check_group([Record(thing, labels, size=(10, 10))] * 2) or ()]
        for flag in flags:
            assert flag.rule == name
            assert flag.message
            assert all(0 <= row < n for row in flag.rows)
    assert labels == before


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("cloud", {"severity": "urgent"}, "urgent"),
        ("cloud", {"share": "much"}, "share"),
        ("cloud", {"shares": 0.1}, "shares"),
        ("small_field", {"classes": ["fields"]}, "did you mean 'field'?"),
        ("index_range", {"ranges": {"ndvi": [1, -1]}}, "least, most"),
        ("index_range", {"ranges": {"nvdi": [-1, 1]}}, "nvdi"),
        ("index_against_class", {"limits": {"helthy": {"ndvi": [0, 1]}}}, "helthy"),
        ("index_against_class", {"limits": {"healthy": {"ndvi": [0.3]}}}, "least, most"),
        ("index_against_class", {"hemisphere": "east"}, "north"),
        ("index_against_class", {"months": {"north": [13]}}, "1 to 12"),
        ("severity_stage", {"limits": {"healty": [0, 1]}}, "healty"),
        ("quarantine_pest", {"less": ["LPTNDE"]}, "LPTNDE"),
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
                assert plain(default) == value, f"{name}.{setting}"


def plain(value):
    """Return what YAML would hold."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (tuple, list)) else value
