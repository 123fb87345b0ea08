"""The page on surveillance is true: rules with their settings, classes, attributes, and what each stage offers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from surveillance_kit import CONF, RULES, SCHEMA

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "surveillance.md").read_text(encoding="utf-8")
TEXT = re.sub(r"\s+", " ", PAGE)
README = (ROOT / "plugins/surveillance/README.md").read_text(encoding="utf-8")


def test_the_table_shows_every_rule_with_its_settings():
    part = PAGE[PAGE.index("## Review rules") :]
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", part, re.MULTILINE)
    shown = {name: rest for name, rest in rows if name in RULES}
    assert list(shown) == list(RULES)  # in the order of the queue
    for name, node in RULES.items():
        for setting, value in node.items():
            if (
                setting != "_target_" and not isinstance(value, dict) and not str(value).startswith("${")
            ):  # those are the loader's
                assert f"`{setting}` {value}" in shown[name], f"{name}: the table lacks `{setting}` {value}"


def test_the_number_of_rules_is_right():
    assert f"{len(RULES)} rules" in part_of("## Review rules")
    assert f"**Rules**: {len(RULES)}" in README


@pytest.mark.parametrize("name", [c.name for c in SCHEMA.classes] + [a.name for a in SCHEMA.attributes])
def test_every_class_and_attribute_is_named(name):
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("kind", ["preset", "model", "loader", "export", "redact"])
def test_what_each_stage_offers_is_named(kind):
    names = sorted(path.name.removesuffix(".yaml") for path in (CONF / kind).iterdir() if path.name.endswith(".yaml"))
    assert [name for name in names if not re.search(rf"`({kind}=)?{name}`", PAGE)] == []


@pytest.mark.parametrize("said", ["identifies nobody", "Article 14(5)", "Article 9", "no legal advice", "two different people"])
def test_the_legal_limits_stand_plainly(said):
    assert said in part_of("## Legal limits") or said in TEXT[: TEXT.index("## ")]


def test_pictures_are_there():
    for path in re.findall(r"\]\((images/[^)]+)\)", PAGE):
        assert (ROOT / "docs" / path).is_file(), path


def part_of(title: str) -> str:
    rest = TEXT[TEXT.index(title) + len(title) :]
    return rest[: rest.index(" ## ")] if " ## " in rest else rest
