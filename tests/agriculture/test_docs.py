"""The page on agriculture is true: rules with their settings, classes, tables of crops and pests, limits of drought classes."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
import yaml

from hyla_agriculture import crops, drought

CONF = resources.files("hyla_agriculture") / "conf"
RULES = yaml.safe_load((CONF / "rules" / "agriculture.yaml").read_text())
SCHEMA = yaml.safe_load((CONF / "preset" / "agriculture.yaml").read_text())["schema"]
PAGE = (Path(__file__).parents[2] / "docs" / "agriculture.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.*) \|$", PAGE, re.MULTILINE)


def test_the_table_shows_every_rule_with_its_settings():
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", PAGE, re.MULTILINE)
    shown = {name: rest for name, rest in rows if name in RULES}
    assert set(shown) == set(RULES)
    for name, node in RULES.items():
        for setting, value in node.items():
            if setting != "_target_":
                text = f"`{setting}` {said(value)}"
                assert text in shown[name], f"{name}: the table lacks {text}"


@pytest.mark.parametrize("part", ["classes", "attributes"])
def test_every_class_and_attribute_is_named(part):
    assert [name for name in SCHEMA[part] if f"`{name}`" not in PAGE] == []


def test_every_crop_and_pest_stands_with_its_code():
    for name, one in SCHEMA["classes"].items():
        if code := (one.get("codes") or {}).get("eppo"):
            assert re.search(rf"`{name}` {code}\b", PAGE), f"the page lacks `{name}` {code}"


def test_the_priority_pests_are_all_there():
    text = re.sub(r"\s+", " ", PAGE)
    assert [code for code, name in crops.PRIORITY_PESTS.items() if f"{code} ({name})" not in text] == []


def test_the_breaks_and_hosts_are_those_of_the_tables():
    breaks = dict(re.findall(r"([A-Z]{5}) (\d+)(?:[,;.]| \()", section("Breaks")))
    assert {code: float(years) for code, years in breaks.items()} == crops.BREAKS
    hosts = {
        pest: tuple(found.split(", ")) for pest, found in re.findall(r"([A-Z]{6}) on ((?:[A-Z]{5}(?:, )?)+)", section("Hosts"))
    }
    assert hosts == crops.HOSTS


def test_the_drought_classes_have_the_limits_of_the_code():
    table = {row.split(" | ")[0]: row.split(" | ")[1:] for row in ROWS}
    for name, limit in drought.VHI_CLASSES.items():
        assert table[name][0] == f"below {limit:g} %"
        assert table[name][1] == (f"{drought.SPI_CLASSES[name]:g} and less" if name in drought.SPI_CLASSES else "-")
    assert f"{drought.CLIP:g}" in PAGE
    assert f"{drought.YEARS} years" in PAGE


def test_the_classes_of_each_stage_that_the_page_names_are_there():
    for kind in ("model", "loader", "export"):
        for name in sorted(path.name.removesuffix(".yaml") for path in (CONF / kind).iterdir() if path.name.endswith(".yaml")):
            assert re.search(rf"`({kind}=)?{name}`", PAGE), f"the page does not name {kind}={name}"


def test_the_thresholds_of_conditions_and_zones_are_those_of_the_yaml():
    part = PAGE[PAGE.index("### Conditions and zones") : PAGE.index("### Outlines, networks and leaves")].replace("\n", " ")
    model = yaml.safe_load((CONF / "model" / "zones.yaml").read_text())
    limits, rules = model["thresholds"], model["rules"]
    for text in (
        f"more than {rules['hidden']:.0%} of it".replace("%", " %"),
        f"NDVI < {rules['bare']:g} and BSI > {rules['bare_bsi']:g}; NDVI < {rules['bare_alone']:g} where",
        f"(NDVI < {rules['bare']:g}, MNDWI > {rules['flooded']:g})",
        f"at least {rules['patch']:g} % of it in compact patches",
        f"(z < {rules['z']:g})",
        f"NDMI < {rules['dry']:g} or low",
        f"VCI < {rules['vci']:g} with at least {rules['years']} years",
        f"at least {rules['severity']:g} % of it in stress zones",
        f"Low vigour is NDVI < {rules['low']:g};",
        f"at least {rules['neighbours']} neighbours (fields of the same crop within {rules['radius'] / 1000:g} km",
        f"at least {rules['drop']:g} lower",
        f"4 pi A / P^2 of at least {rules['compact']:g}",
        f"at least {limits['least_ha']:g} ha",
        f"{limits['depth']:g} robust standard deviations (1.4826 MAD, at least {limits['floor']:g})",
        f"at least {limits['step']:g} below the field's median",
        f"gained or lost {limits['change']:g} of NDVI",
    ):
        assert text in re.sub(r"\s+", " ", part), f"the page lacks: {text}"
    assert rules["abrupt"] == 0.5  # half its depth


def section(word):
    """Return the paragraph that begins with a bold word."""
    return re.search(rf"\*\*{word}\.\*\*(.*?)(?:\n\n|\Z)", PAGE, re.DOTALL).group(1).replace("\n", " ")


def said(value):
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        nested = bool(value) and all(isinstance(one, dict) for one in value.values())
        parts = [f"{key}{':' if nested else ''} {said(one)}" for key, one in value.items()]
        return ("; " if nested else ", ").join(parts) or "none"
    if isinstance(value, list):
        if len(value) == 2 and None in value:
            return f"to {said(value[1])}" if value[0] is None else f"from {said(value[0])}"
        pair = len(value) == 2 and not isinstance(value[0], str)
        return (" to " if pair else ", ").join(map(said, value)) or "none"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
