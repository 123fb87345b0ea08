"""A shelf against its planogram: counts, strange and missing products, wrong shelves, and photos of unknown places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Item, Labels, Severity
from hyla_retail import shelf_rules

CONF = Path(shelf_rules.__file__).parent / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "retail.yaml").read_text(encoding="utf-8"))["schema"])
CATALOGUE = "sku,gtin,name,price\nA,05449000000996,Cola,1.00\nB,04006381333931,Pen,2.00\n"
ONE = "shelf,position,sku,facings\n1,1,A,3\n1,2,B,30\n2,1,C,1\n"
TWO = "store,fixture,shelf,position,sku,facings\nnorth,bay1,1,1,A,2\nnorth,bay2,1,1,B,2\n"


def rule(folder, planogram="auto", **changes):
    return shelf_rules.OffPlanogram(SCHEMA, "planogram", planogram, catalogue="auto", source=str(folder), **changes)


def shelf(products, shelves=None, context=None):
    """Return one facing for each product, from left to right."""
    n = len(products)
    box = np.array([[20 * i, 0, 20 * i + 19, 50] for i in range(n)], dtype=np.float64).reshape(-1, 4)
    shelves = [1] * n if shelves is None else shelves
    return Labels.of([SCHEMA.class_id("juice")] * n, box, attributes={"product": products, "shelf": shelves}, context=context)


def found(flags):
    return {flag.reason: flag.rows for flag in flags}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "catalogue.csv").write_text(CATALOGUE, encoding="utf-8")
    (tmp_path / "planogram.csv").write_text(ONE, encoding="utf-8")
    return tmp_path


ITEM = Item("a-1", "bay1.jpg", kind="photo")
PLANNED = ["A"] * 3 + ["B"] * 30 + ["C"]
SHELVES = [1] * 33 + [2]


def test_a_shelf_as_planned_passes(folder):
    assert rule(folder).check(ITEM, shelf(PLANNED, SHELVES)) == []


def test_two_facings_of_thirty_are_within_both_limits_and_three_are_not(folder):
    assert rule(folder).check(ITEM, shelf([*PLANNED[:-3], "C"], [*SHELVES[:-3], 2])) == []  # 28 of 30
    flags = rule(folder).check(ITEM, shelf([*PLANNED[:-4], "C"], [*SHELVES[:-4], 2]))
    assert found(flags) == {"facings_off": tuple(range(3, 30))}
    assert "B 27 of 30" in flags[0].message
    assert rule(folder, facings=3).check(ITEM, shelf([*PLANNED[:-4], "C"], [*SHELVES[:-4], 2])) == []


def test_one_facing_of_three_is_more_than_a_tenth(folder):
    flags = rule(folder).check(ITEM, shelf(["A", *PLANNED], [1, *SHELVES]))
    assert found(flags) == {"facings_off": (0, 1, 2, 3)}
    assert rule(folder, share=0.34).check(ITEM, shelf(["A", *PLANNED], [1, *SHELVES])) == []


def test_missing_and_strange_products_and_those_on_another_shelf(folder):
    labels = shelf(["A", "A", "A", "X", None, *["B"] * 30], [1, 1, 2, 1, 1] + [1] * 30)
    flags = {flag.reason: flag for flag in rule(folder).check(ITEM, labels)}
    assert {reason: flag.rows for reason, flag in flags.items()} == {
        "not_on_planogram": (3,),
        "wrong_shelf": (2,),
        "missing_product": (),
    }
    assert "C" in flags["missing_product"].message
    assert all(flag.severity == Severity.REVIEW for flag in flags.values())


def test_a_planogram_may_name_products_by_gtin(folder):
    (folder / "planogram.csv").write_text("gtin,facings\n5449000000996,2\n", encoding="utf-8")
    assert rule(folder).check(ITEM, shelf(["A", "A"], [1, 3])) == []  # it names no shelf


def test_the_fixture_of_the_photo_says_which_part_counts(folder):
    (folder / "planogram.csv").write_text(TWO, encoding="utf-8")
    bay = {"store": "North", "fixture": "BAY1"}
    assert rule(folder).check(Item("a", "x.jpg", kind="photo", meta=bay), shelf(["A", "A"])) == []
    assert rule(folder).check(ITEM, shelf(["A", "A"], context=bay)) == []
    (flag,) = rule(folder).check(ITEM, shelf(["A", "A"]))
    assert (flag.reason, flag.severity, flag.rows) == ("place_unknown", Severity.NOTE, ())
    assert "none is that of this photo" in flag.message


@pytest.mark.parametrize(
    ("meta", "reasons"),
    [
        ({}, ["missing_product"]),  # nobody knows where it is: it is taken for the only one
        ({"fixture": "BAY1"}, ["missing_product"]),
        ({"store": "north", "fixture": "bay1"}, ["missing_product"]),
        ({"fixture": "IMG_0001"}, ["place_unknown"]),
        ({"store": "south", "fixture": "bay1"}, ["place_unknown"]),
    ],
)
def test_a_photo_of_another_place_than_the_only_one_gets_a_note(folder, meta, reasons):
    (folder / "planogram.csv").write_text("store,fixture,sku,facings\nnorth,bay1,A,2\nnorth,bay1,B,2\n", encoding="utf-8")
    flags = rule(folder).check(Item("a", "x.jpg", kind="photo", meta=meta), shelf(["A", "A"]))
    assert [flag.reason for flag in flags] == reasons
    if reasons == ["place_unknown"]:
        assert flags[0].severity == Severity.NOTE
        assert all(word in flags[0].message for word in meta.values())


def test_a_fixture_of_another_store_gets_a_note(folder):
    (folder / "planogram.csv").write_text(TWO.replace("north,bay2", "south,bay2"), encoding="utf-8")
    photo = Item("a", "x.jpg", kind="photo", meta={"store": "north", "fixture": "bay2"})
    assert [flag.reason for flag in rule(folder).check(photo, shelf(["B", "B"]))] == ["place_unknown"]


def test_photos_of_one_product_and_sources_without_a_planogram_are_not_judged(folder):
    assert rule(folder).check(ITEM, shelf(["A"], context={"view": "product"})) == []
    assert rule(folder, None).check(ITEM, shelf(["X"])) == []
    (folder / "planogram.csv").unlink()
    assert rule(folder).check(ITEM, shelf(["X"])) == []
    with pytest.raises(ConfigError, match="is not there"):
        rule(folder, "gone.csv")


@settings(deadline=None, max_examples=60)
@given(seen=st.integers(1, 60), planned=st.integers(1, 60), facings=st.integers(0, 5), share=st.floats(0, 1))
def test_a_count_is_off_if_either_limit_says_so(tmp_path_factory, seen, planned, facings, share):
    folder = tmp_path_factory.mktemp("shelf")
    (folder / "planogram.csv").write_text(f"sku,facings\nA,{planned}\n", encoding="utf-8")
    flags = rule(folder, facings=facings, share=share).check(ITEM, shelf(["A"] * seen))
    beyond = abs(seen - planned) > facings or abs(seen - planned) / planned > share + 1e-9
    assert found(flags) == ({"facings_off": tuple(range(seen))} if beyond else {})
