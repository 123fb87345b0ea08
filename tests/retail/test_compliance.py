"""The planogram against the shelves: each thing that can differ, and figures that were reckoned by hand."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.types import Record
from hyla_retail.compliance import PlanogramReport
from hyla_retail.shelf_order import longest_rise
from tags_kit import SCHEMA, pictures, project, rejected, shelf

PLAN = [("SKU1", 1, 1, 2), ("SKU2", 1, 2, 1), ("SKU3", 2, 1, 2)]
HEADER = "store,fixture,shelf,position,sku,facings\n"


def planogram(
    to: Path, rows: Sequence[tuple[str, int, int, int]] = PLAN, fixture: str = "bay 1", store: str = "Dresden 1"
) -> str:
    lines = [f"{store},{fixture},{on},{position},{sku},{facings}\n" for sku, on, position, facings in rows]
    (to / "planogram.csv").write_text(HEADER + "".join(lines), encoding="utf-8")
    return str(to / "planogram.csv")


def report(to: Path, *records: Record, plan: str | None = None, **how: Any) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    """Return (product, status, planned shelf, shelf it was seen on, difference) of each line, and the figures."""
    PlanogramReport(plan or planogram(to), None, **how).export(iter(records), SCHEMA, to / "out")
    with (to / "out" / "planogram_report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figures = json.loads((to / "out" / "planogram_report.json").read_text(encoding="utf-8"))
    return [(r["product"], r["status"], r["shelf"], r["seen_shelf"], int(r["difference"])) for r in rows], figures


GOOD = [("SKU1", 1), ("SKU1", 1), ("SKU2", 1), ("SKU3", 2), ("SKU3", 2)]


def test_a_shelf_as_it_should_be(tmp_path: Path) -> None:
    lines, figures = report(tmp_path, shelf(GOOD))
    assert lines == [("SKU1", "right", "1", "1", 0), ("SKU2", "right", "1", "1", 0), ("SKU3", "right", "2", "2", 0)]
    assert figures["all"]["compliance"] == {"share": 1.0, "count": 5, "n": 5}
    assert figures["all"]["right"] == {"share": 1.0, "count": 3, "n": 3}
    assert (figures["not_photographed"], figures["not_planned"]) == ([], [])


def test_missing_extra_moved_and_facings(tmp_path: Path) -> None:
    lines, figures = report(tmp_path, shelf([("SKU1", 1), ("SKU3", 1), ("SKU9", 2), (None, 2)]))
    assert lines == [
        ("SKU1", "facings", "1", "1", -1),
        ("SKU2", "missing", "1", "", -1),
        ("SKU3", "moved", "2", "1", -1),
        ("SKU9", "extra", "", "2", 1),
    ]
    one = figures["all"]
    assert one["compliance"] == {"share": 0.2, "count": 1, "n": 5}
    assert (one["present"]["count"], one["in_place"]["count"], one["right"]["count"], one["present"]["n"]) == (2, 1, 0, 3)
    assert (one["extra_facings"], one["unnamed_facings"]) == (1, 1)


def test_a_rejected_photo_leaves_the_fixture_as_it_was_seen(tmp_path: Path) -> None:
    _, figures = report(tmp_path, shelf(GOOD), rejected(shelf([("SKU9", 1)], "again")))
    assert figures["all"]["compliance"] == {"share": 1.0, "count": 5, "n": 5}


def test_a_place_without_a_shelf_is_met_on_any(tmp_path: Path) -> None:
    plan = planogram(tmp_path, [("SKU1", 1, 1, 1), ("SKU2", 0, 0, 3), ("SKU3", 0, 0, 1)])
    lines, figures = report(tmp_path, shelf([("SKU1", 1), ("SKU2", 2), ("SKU2", 3), ("SKU2", 3)]), plan=plan)
    assert lines == [("SKU3", "missing", "", "", -1), ("SKU1", "right", "1", "1", 0), ("SKU2", "right", "", "3", 0)]
    assert figures["all"]["compliance"] == {"share": 0.8, "count": 4, "n": 5}
    unknown = shelf([("SKU1", 1), ("SKU3", 2)])
    unknown.labels.attributes["shelf"] = np.array([1, np.nan])
    lines, _ = report(tmp_path, unknown, plan=plan)
    assert [(name, status) for name, status, *_ in lines] == [("SKU2", "missing"), ("SKU3", "right"), ("SKU1", "right")]


def test_a_product_of_two_shelves_is_present_if_it_stands_on_one(tmp_path: Path) -> None:
    plan = planogram(tmp_path, [("SKU1", 1, 1, 2), ("SKU1", 2, 1, 1), ("SKU2", 2, 2, 1)])
    lines, figures = report(tmp_path, shelf([("SKU1", 1), ("SKU1", 1)]), plan=plan)
    assert lines == [("SKU1", "right", "1", "1", 0), ("SKU1", "missing", "2", "", -1), ("SKU2", "missing", "2", "", -1)]
    one = figures["all"]
    assert (one["present"]["count"], one["in_place"]["count"], one["present"]["n"]) == (2, 1, 3)


def test_names_of_stores_and_fixtures_are_the_same_in_any_case(tmp_path: Path) -> None:
    plan = Path(planogram(tmp_path))
    plan.write_text(plan.read_text().replace("Dresden 1,bay 1,2", "DRESDEN 1,Bay 1,2"))
    _, figures = report(tmp_path, shelf(GOOD), plan=str(plan))
    assert (figures["not_planned"], figures["all"]["compliance"]["share"]) == ([], 1)
    _, figures = report(tmp_path, shelf(GOOD, fixture="other"), plan=str(plan))
    assert figures["not_photographed"] == ["Dresden 1 · bay 1"]


def test_order_from_the_left(tmp_path: Path) -> None:
    plan = planogram(tmp_path, [("SKU1", 1, 1, 1), ("SKU2", 1, 2, 1), ("SKU3", 1, 3, 1)])
    lines, figures = report(tmp_path, shelf([("SKU3", 1), ("SKU1", 1), ("SKU2", 1)]), plan=plan)
    assert [(name, status) for name, status, *_ in lines] == [("SKU1", "right"), ("SKU2", "right"), ("SKU3", "order")]
    assert figures["all"]["compliance"]["count"] == 2
    halves = [shelf([("SKU3", 1)], "left"), shelf([("SKU1", 1), ("SKU2", 1)], "right")]
    lines, _ = report(tmp_path, *halves, plan=plan, several="sum")
    assert {status for _, status, *_ in lines} == {"right"}, "pixels of two photos give no order"


def test_without_shelves_the_fixture_is_compared_as_a_whole(tmp_path: Path) -> None:
    one = shelf(GOOD)
    one.labels.attributes["shelf"][:] = None if one.labels.attributes["shelf"].dtype == object else float("nan")
    lines, figures = report(tmp_path, one)
    assert {(status, on, where) for _, status, on, where, _ in lines} == {("right", "", "")}
    assert figures["all"]["compliance"]["share"] == 1


def test_products_are_the_same_under_any_of_their_numbers(tmp_path: Path) -> None:
    (tmp_path / "catalogue.csv").write_text("sku,gtin,name\nSKU1,4006381333931,Orange juice\n", encoding="utf-8")
    (tmp_path / "planogram.csv").write_text("fixture,shelf,position,ean,facings\nbay 1,1,1,4006381333931,1\n", encoding="utf-8")
    with project(tmp_path / "project", [shelf([("SKU1", 1)])], str(tmp_path)) as made:
        form = PlanogramReport("auto", "auto", pictures=pictures(made))
        form.export(made.records(), SCHEMA, tmp_path / "out")
        named = formats.get("planogram_report", SCHEMA, pictures(made))
        named.export(made.records(), SCHEMA, tmp_path / "again")
    text = (tmp_path / "out" / "planogram_report.csv").read_text(encoding="utf-8")
    assert '"SKU1","Orange juice","right"' in text
    assert (tmp_path / "again" / "planogram_report.csv").read_text(encoding="utf-8") == text


def test_fixtures_without_a_photo_or_a_planogram_are_named(tmp_path: Path) -> None:
    plan = planogram(tmp_path, fixture="bay 7")
    loss = PlanogramReport(plan, None).export([shelf(GOOD)], SCHEMA, tmp_path / "out")
    assert loss == {"photo without planogram": 1}
    _, figures = report(tmp_path, shelf(GOOD), plan=plan)
    assert figures["not_photographed"] == ["Dresden 1 · bay 7"]
    assert figures["not_planned"] == ["Dresden 1 · bay 1 · 2026-05-02"]
    assert figures["all"]["compliance"] == {"share": None, "count": 0, "n": 0}


def test_a_photo_that_fits_several_fixtures_fits_none(tmp_path: Path) -> None:
    plan = planogram(tmp_path)
    with Path(plan).open("a", encoding="utf-8") as file:
        file.write("Dresden 1,bay 2,1,1,SKU1,1\n")
    _, figures = report(tmp_path, shelf(GOOD, fixture=None), plan=plan)
    assert figures["fixtures"] == []
    assert figures["not_planned"] == ["Dresden 1 · bay.jpg · 2026-05-02"]


def test_the_page_says_it_and_runs_nothing(tmp_path: Path) -> None:
    report(tmp_path, shelf([*GOOD, ("<script>alert(1)</script>", 2)]))
    page = (tmp_path / "out" / "planogram_report.html").read_text(encoding="utf-8")
    assert "100.0 %" in page
    assert "5 of 5" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    PlanogramReport(None, None).export([shelf(GOOD)], SCHEMA, tmp_path / "none")
    assert "no planogram" in (tmp_path / "none" / "planogram_report.html").read_text(encoding="utf-8")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 6), max_size=8))
def test_as_few_as_can_be_are_out_of_order(values: list[int]) -> None:
    kept = sorted(longest_rise(values))
    rise = [values[n] for n in kept]
    assert all(a < b for a, b in pairwise(rise))
    longest = max(k for k in range(len(values) + 1) for c in combinations(values, k) if all(a < b for a, b in pairwise(c)))
    assert len(kept) == longest


@pytest.mark.parametrize("name", ["planogram_report", "shelf_counts"])
def test_reports_are_not_read(tmp_path: Path, name: str) -> None:
    assert formats.get(name, SCHEMA).read(tmp_path, SCHEMA) is None
