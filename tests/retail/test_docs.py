"""The page on retail is true: rules with their settings, classes, codes, attributes, and what each stage offers."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest
import yaml

from hyla_retail.categories import RESTRICTED
from hyla_retail.columns import guess

CONF = resources.files("hyla_retail") / "conf"
RULES = yaml.safe_load((CONF / "rules" / "retail.yaml").read_text(encoding="utf-8"))
SCHEMA = yaml.safe_load((CONF / "preset" / "retail.yaml").read_text(encoding="utf-8"))["schema"]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "retail.md").read_text(encoding="utf-8")
TEXT = re.sub(r"\s+", " ", PAGE)


def test_the_table_shows_every_rule_with_its_settings():
    part = PAGE[PAGE.index("## Review rules") : PAGE.index("## Review\n")]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", part, re.MULTILINE)
    shown = {name: rest for name, rest in rows if name in RULES}
    assert list(shown) == list(RULES)  # in the order of the queue
    for name, node in RULES.items():
        for setting, value in node.items():
            if setting != "_target_" and not str(value).startswith("${"):  # those are the loader's
                text = f"`{setting}` {said(value)}"
                assert text in shown[name], f"{name}: the table lacks {text}"


@pytest.mark.parametrize("part", ["classes", "attributes"])
def test_every_class_and_attribute_is_named(part):
    assert [name for name in SCHEMA[part] if f"`{name}`" not in PAGE] == []


def test_every_code_stands_with_its_class():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d-]+ \| [\d-]+) \|$", PAGE, re.MULTILINE))
    codes = {name: (one or {}).get("codes") for name, one in SCHEMA["classes"].items()}
    assert rows == {name: f"{one.get('gpc', '-')} | {one.get('google', '-')}" for name, one in codes.items() if one}


def test_the_restricted_goods_of_the_rule_are_those_of_the_categories():
    assert RULES["restricted_goods"]["classes"] == [*RESTRICTED, "claim"]


@pytest.mark.parametrize("kind", ["preset", "model", "loader", "export"])
def test_what_each_stage_offers_is_named(kind):
    names = sorted(path.name.removesuffix(".yaml") for path in (CONF / kind).iterdir() if path.name.endswith(".yaml"))
    assert [name for name in names if not re.search(rf"`({kind}=)?{name}`", PAGE)] == []


def test_the_columns_that_the_page_names_are_found():
    part = TEXT[TEXT.index("### Catalogue") : TEXT.index("### Planogram")]
    names = ["gtin", "sku", "name", "brand", "category", "price", "currency", "size", "image"]
    assert all(f"`{name}`" in part for name in names)
    assert set(guess(names, names, {}, "catalogue.csv")) == set(names)


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert target.startswith("https://") or (ROOT / "docs" / target).exists(), target


def said(value):
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{key} {said(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(said, value)) or "none"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
