"""Planograms: tables and PSA files become places, and what is wrong is named row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogue_kit import catalogue, gtin13, reasons, row, table
from hyla.errors import ConfigError
from hyla_retail.planogram import open_planogram

COLUMNS = ("store", "fixture", "shelf", "position", "sku", "facings")


def psa(path: Path, *records: str, version: str = "; Version 2024.4.0") -> Path:
    path.write_bytes(
        "\r\n".join(["PROSPACE SCHEMATIC FILE", version, "; Codepage=1252", "Project,Café", *records, ""]).encode("cp1252")
    )
    return path


def record(kind: str, **cells: str) -> str:
    """Return a record of a PSA file of 20 cells, with some set: c1 is the cell after the name."""
    return ",".join([kind, *(cells.get(f"c{n}", "") for n in range(1, 20))])


def position(upc: str, x: float, facings: float = 1, key: str = "") -> str:
    return record("Position", c1=upc, c2=key, c4=str(x), c5="10", c6="40", c14=str(facings))


def test_rows_become_places(tmp_path: Path) -> None:
    rows = [["s1", "bay 1", 1, 1, "a", 3], ["s1", "bay 1", 1, 2, "b", ""], ["s2", "bay 1", "2.0", 1, "c", 2]]
    table(tmp_path / "planogram.csv", rows, COLUMNS)
    found = open_planogram("auto", str(tmp_path))
    assert found.product.tolist() == ["a", "b", "c"]
    assert found.shelf.tolist() == [1, 1, 2]
    assert found.position.tolist() == [1, 2, 1]
    assert found.facings.tolist() == [3, 1, 2]
    assert found.row.tolist() == [2, 3, 4]
    assert (found.file, found.root, found.problems) == ("planogram.csv", tmp_path, ())
    assert {one.dtype for one in (found.shelf, found.position, found.facings)} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    "columns",
    [
        ("Filiale", "Regal", "Boden", "Position", "Artikelnummer", "Facings"),
        ("Magasin", "Planogramme", "Niveau", "Position", "Code article", "Facing"),
        ("Store ID", "Planogram Name", "Shelf Number", "Location ID", "UPC", "HFacings"),
    ],
)
def test_columns_of_several_programs_are_known(tmp_path: Path, columns: tuple[str, ...]) -> None:
    table(tmp_path / "planogram.csv", [["s1", "bay 1", 2, 3, "a", 4]], columns, between=";")
    found = open_planogram("auto", str(tmp_path))
    assert (found.shelf[0], found.position[0], found.product[0], found.facings[0]) == (2, 3, "a", 4)
    assert found.store[0] == "s1"


def test_one_fixture_is_asked_for(tmp_path: Path) -> None:
    rows = [["North", "A1", 1, 1, "a", 1], ["South", "A1", 1, 1, "b", 1], ["", "A2", 1, 1, "c", 1], ["North", "", 9, 9, "d", 1]]
    table(tmp_path / "planogram.csv", rows, COLUMNS)
    found = open_planogram("auto", str(tmp_path))
    assert found.of("north", "a1").product.tolist() == ["a", "d"]
    assert found.of("South", "A2").product.tolist() == ["c"]
    assert found.of(None, "A1").product.tolist() == ["a", "b", "d"]
    assert found.of("", None).product.tolist() == ["a", "b", "c", "d"]
    assert len(found.of("West", "B")) == 0
    assert found.of("north", "a1").file == "planogram.csv"


def test_products_are_called_as_the_catalogue_does(tmp_path: Path) -> None:
    known = catalogue(tmp_path, [row(1), row(2)])
    table(tmp_path / "planogram.csv", [["1", 1, gtin13(1)], ["1", 2, "s2"], ["1", 3, "else"]], ("shelf", "position", "product"))
    assert open_planogram("auto", str(tmp_path)).keys(known).tolist() == ["s1", "s2", "else"]


def test_each_fault_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    rows = [
        ["s", "f", 1, 1, "a", 1],
        ["s", "f", 1, 2, "", 1],
        ["s", "f", "top", 3, "b", 1],
        ["s", "f", 1, 4, "c", 0],
        ["s", "f", 1, 1, "d", 1],
        ["s", "f", 1],
        ["s", "f", 2, 1, "e", -1],
        ["s", "f", 2, 1, "f", 1],
        ["S", "F", 2, 1, "g", 1],
        ["s", "f", 2, 2, "h", 10**19],
        ["s", "f", "9" * 5000, 1, "i", 1],
    ]
    table(tmp_path / "planogram.csv", rows, COLUMNS)
    found = open_planogram("auto", str(tmp_path))
    assert found.product.tolist() == ["a", "f"]
    said = reasons(found.problems)
    assert sorted(said) == [3, 4, 5, 6, 7, 8, 10, 11, 12]
    assert "names no product" in said[3]
    assert said[4].startswith("shelf: 'top' is no number")
    assert said[5].startswith("facings: '0'")
    assert "taken by row 2" in said[6]
    assert "taken by row 9" in said[10], "in any case of letters"
    assert said[11].startswith("facings: '10000000000000000000' is no number")


def test_parquet_is_read(tmp_path: Path) -> None:
    columns = {"fixture": ["a", "a"], "shelf": [1, 1], "position": [1.0, 2.0], "sku": [11, 12], "facings": [2, None]}
    pq.write_table(pa.table(columns), tmp_path / "planogram.parquet")
    found = open_planogram("auto", str(tmp_path))
    assert found.product.tolist() == ["11", "12"]
    assert found.position.tolist() == [1, 2]
    assert found.facings.tolist() == [2, 1]


def test_a_psa_file_is_read_shelf_by_shelf_from_the_top(tmp_path: Path) -> None:
    cola = gtin13(1)
    psa(
        tmp_path / "planogram.psa",
        record("Product", c1=cola, c2="11", c3=r"Cola\, 1 l"),
        record("Planogram", c1="Drinks", c3="48", c4="72"),
        record("Segment", c4="48"),
        record("Fixture", c1="0", c2="low", c4="0", c5="48", c6="10"),
        position("", 20, key="13"),
        position(cola, 0, 2),
        record("Fixture", c1="0", c2="left", c4="0", c5="24", c6="40"),
        position("12", 0, 3.0, key="SKU-12"),
        record("Fixture", c1="0", c2="right", c4="24", c5="24", c6="40.5"),
        position(cola, 24),
        record("Planogram", c1="Café"),
        record("Fixture", c1="0", c6="0"),
        position(cola, 0),
    )
    found = open_planogram("auto", str(tmp_path))
    places = list(
        zip(found.fixture, found.shelf.tolist(), found.position.tolist(), found.product, found.facings.tolist(), strict=True)
    )
    assert places == [
        ("Drinks", 1, 1, "SKU-12", 3),
        ("Drinks", 1, 2, cola, 1),
        ("Drinks", 2, 1, cola, 2),
        ("Drinks", 2, 2, "13", 1),
        ("Café", 1, 1, cola, 1),
    ]
    assert len(found.of("any store", "Drinks")) == 4
    assert found.problems == ()


def test_broken_records_of_a_psa_file_are_named(tmp_path: Path) -> None:
    fixture = record("Fixture", c6="10")
    psa(
        tmp_path / "planogram.psa",
        record("Planogram"),
        position("1", 0),
        fixture,
        position("1", 0),
        "Position,2",
        record("Position"),
        position("3", 0, 1e30),
        position("4", 0, 10**19),
        position("5" * 200_000, 0),
        position("6", 1),
    )
    found = open_planogram("auto", str(tmp_path))
    assert found.product.tolist() == ["1", "6"]
    assert sorted(reasons(found.problems)) == [6, 9, 10, 11, 12, 13]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("planogram.csv", "colour,shape\nred,round\n"),
        ("planogram.csv", ""),
        ("planogram.psa", "SCHEMATIC"),
        ("planogram.parquet", "x"),
    ],
)
def test_what_is_no_planogram_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match="planogram"):
        open_planogram("auto", str(tmp_path))


def test_no_planogram_is_none(tmp_path: Path) -> None:
    for found in (open_planogram("auto", str(tmp_path)), open_planogram(None, str(tmp_path))):
        assert (len(found), found.root, len(found.of("a", "b"))) == (0, None, 0)
    with pytest.raises(ConfigError, match="is not there"):
        open_planogram("gone.csv", str(tmp_path))


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6), max_size=7), max_size=8
    )
)
@settings(deadline=None, max_examples=100)
def test_any_rows_give_places_that_hold_together(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("any")
    table(folder / "planogram.csv", rows, COLUMNS)
    found = open_planogram("auto", str(folder))
    assert all(found.product)
    assert (found.facings >= 1).all()
    assert len({len(one) for one in (found.store, found.fixture, found.shelf, found.position, found.row)}) == 1


@given(st.lists(st.text("Position,Fixture\\1.é-\n", max_size=30), max_size=10))
@settings(deadline=None, max_examples=100)
def test_any_records_of_a_psa_file_are_read_or_named(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    folder = tmp_path_factory.mktemp("psa")
    psa(folder / "planogram.psa", record("Planogram"), record("Fixture", c6="1"), *lines)
    found = open_planogram("auto", str(folder))
    assert all(found.product)
