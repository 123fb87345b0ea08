"""The built page: all of it is in the package, small, and such that the content security policy can be strict."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

import hyla.review
from hyla.review.app import api
from hyla.review.wire import Wire

STATIC = Path(hyla.review.__file__).parent / "static"
SOURCE = Path(__file__).resolve().parents[2] / "core/review-ui"
SOURCES = sorted(p for p in (SOURCE / "src").rglob("*") if p.suffix in (".ts", ".svelte") and not p.name.endswith(".test.ts"))


def referenced(path: Path) -> set[str]:
    """Return the files of the page that a file names."""
    text = path.read_text(encoding="utf-8")
    return {name.rpartition("/")[2] for name in re.findall(r"[\w./-]+-[\w-]{8}\.(?:js|css)", text)}


def test_every_file_that_the_page_names_is_there_and_no_other() -> None:
    there = {p.name for p in (STATIC / "assets").iterdir()}
    seen: set[str] = set()
    wanted = referenced(STATIC / "index.html")
    while wanted - seen:
        name = (wanted - seen).pop()
        seen.add(name)
        wanted |= referenced(STATIC / "assets" / name)
    assert seen == there
    assert (STATIC / "icon.svg").is_file()


def test_the_page_has_nothing_inline_and_loads_nothing_from_elsewhere() -> None:
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\bstyle=|\bon\w+=", page) == []
    assert all(address.startswith("/") for address in re.findall(r'(?:src|href)="([^"]+)"', page))


def test_scripts_weigh_at_most_250_kilobytes_gzipped() -> None:
    total = sum(len(gzip.compress(p.read_bytes(), 9)) for p in (STATIC / "assets").glob("*.js"))
    assert total <= 250_000, total


def test_the_licences_of_what_is_built_in_are_there() -> None:
    text = (STATIC / "licenses.md").read_text(encoding="utf-8")
    assert all(re.search(rf"^## {name} ", text, re.MULTILINE) for name in ("ol", "svelte"))


@pytest.mark.parametrize(
    "word", [r"\{@html", r"\.innerHTML", r"\.outerHTML", "insertAdjacentHTML", r"document\.write", r"\beval\(", "new Function"]
)
def test_text_never_becomes_markup_or_code(word: str) -> None:
    assert len(SOURCES) > 50
    assert [p.name for p in SOURCES if re.search(word, p.read_text(encoding="utf-8"))] == []


def test_the_contract_names_every_field_and_refuses_others() -> None:
    assert all(model.model_config.get("extra") == "forbid" for model in Wire.__subclasses__())
    operations = [one for path in api().openapi()["paths"].values() for one in path.values()]
    assert len(operations) > 15
