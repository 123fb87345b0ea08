"""Catalogues as shops export them: any columns, encoding and delimiter, and what is wrong named row by row."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalogue_kit import COLUMNS, catalogue, gtin13, photo, reasons, row, table
from hyla.errors import ConfigError
from hyla_retail.catalogue import open_catalogue
from hyla_retail.gtin import check_digit_ok


def test_products_become_parallel_arrays(tmp_path: Path) -> None:
    photo(tmp_path / "packs" / "1.jpg")
    found = catalogue(tmp_path, [row(1, image="packs/1.jpg"), row(2, sku="", price=""), row(3, sku="", gtin="")])
    assert found.key.tolist() == ["s1", gtin13(2).zfill(14), "Product 3"]
    assert found.gtin.tolist() == [gtin13(1).zfill(14), gtin13(2).zfill(14), ""]
    assert found.category.tolist() == [("Food", "Dairy")] * 3
    assert found.price.tolist() == pytest.approx([1.99, np.nan, 1.99], nan_ok=True)
    assert found.image.tolist() == [("packs/1.jpg",), (), ()]
    assert found.row.tolist() == [2, 3, 4]
    assert (found.root, found.file, found.problems) == (tmp_path, "catalogue.csv", ())
    assert found.about == "3 products of catalogue.csv"


def test_a_product_is_found_by_whatever_it_is_called(tmp_path: Path) -> None:
    found = catalogue(tmp_path, [row(1), row(2, gtin="2812345000007", name="Gouda")])
    assert [found.row_of(key) for key in ("s2", "S2", "", None)] == [1, -1, -1, -1]
    assert found.by_gtin(gtin13(1).zfill(14)) == 0
    assert found.by_gtin("") == -1
    assert [found.find(word) for word in ("s1", gtin13(1), f" {gtin13(1)} ", "gouda", "S2", "else", "")] == [
        0,
        0,
        0,
        1,
        1,
        -1,
        -1,
    ]
    assert found.by_gtin("02812345012758") == 1  # the same cheese, weighed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("between", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_seen(tmp_path: Path, encoding: str, between: str) -> None:
    columns = ("Artikel-Nr.", "EAN", "Bezeichnung", "Marke", "Warengruppe", "Preis", "Währung")
    rows = [[f"0{n}", gtin13(n), f"Käse, {n} für {n} €", "Müller", "Molkerei > Käse", f"{n},49", "EUR"] for n in range(1, 5)]
    found = catalogue(tmp_path, rows, columns, encoding=encoding, between=between)
    assert found.key.tolist() == ["01", "02", "03", "04"]
    assert found.name[0] == "Käse, 1 für 1 €"
    assert found.brand[0] == "Müller"
    assert found.price.tolist() == [1.49, 2.49, 3.49, 4.49]
    assert set(found.currency) == {"EUR"}
    assert found.problems == ()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(tmp_path: Path, end: str) -> None:
    (tmp_path / "catalogue.csv").write_bytes(end.join(["sku;name", "1;a\x0bb", "2;c\u2028d", ""]).encode())
    found = open_catalogue("auto", str(tmp_path))
    assert found.name.tolist() == ["a\x0bb", "c\u2028d"]


@pytest.mark.parametrize(
    "columns",
    [
        ("id", "gtin", "title", "brand", "google_product_category", "price", "image_link"),  # Google Merchant
        ("Variant SKU", "Variant Barcode", "Title", "Vendor", "Type", "Variant Price", "Image Src"),  # Shopify
        ("Référence", "Code barre", "Libellé", "Marque", "Rayon", "Prix TTC", "Photo"),
        ("Código", "Código EAN", "Descripción", "Marca", "Sección", "PVP", "Imagen"),
        ("Codice articolo", "Codice EAN", "Descrizione", "Marchio", "Reparto", "Prezzo", "Immagine"),
        ("Artikelnummer", "Streepjescode", "Omschrijving", "Merk", "Categorie", "Prijs", "Afbeelding"),
        ("Artikelnr", "Streckkod", "Benämning", "Varumärke", "Varugrupp", "Pris", "Bild"),
    ],
)
def test_names_of_columns_in_several_languages_are_known(tmp_path: Path, columns: tuple[str, ...]) -> None:
    photo(tmp_path / "1.jpg")
    found = catalogue(tmp_path, [row(1, image="1.jpg")], columns)
    one = [getattr(found, name)[0] for name in ("sku", "gtin", "name", "brand", "category", "price", "image")]
    assert one == ["s1", gtin13(1).zfill(14), "Product 1", "Acme", ("Food", "Dairy"), 1.99, ("1.jpg",)]


def test_columns_without_a_telling_name_are_known_by_what_they_hold(tmp_path: Path) -> None:
    for n in range(4):
        photo(tmp_path / f"{n}.jpg")
    found = catalogue(tmp_path, [[gtin13(n), f"Milk {n}", f"{n}.jpg"] for n in range(4)], ("F1", "name", "F3"))
    assert found.gtin.tolist() == [gtin13(n).zfill(14) for n in range(4)]
    assert found.image.tolist() == [(f"{n}.jpg",) for n in range(4)]


def test_of_several_columns_of_gtins_the_first_right_one_counts(tmp_path: Path) -> None:
    rows = [["1", gtin13(1), ""], ["2", "", gtin13(2)], ["3", "none", gtin13(3)]]
    found = catalogue(tmp_path, rows, ("sku", "EAN", "UPC code"))
    assert found.gtin.tolist() == [gtin13(n).zfill(14) for n in (1, 2, 3)]
    assert found.problems == ()


def test_a_file_of_two_encodings_is_read_in_both(tmp_path: Path) -> None:
    lines = ["sku;name", *[f"{n};Käse Müller" for n in range(5)]]
    (tmp_path / "catalogue.csv").write_bytes("\n".join(lines).encode() + "\n9;Crème €".encode("cp1252"))
    found = open_catalogue("auto", str(tmp_path))
    assert found.name[[0, -1]].tolist() == ["Käse Müller", "Crème €"]


def test_named_columns_stand_above_guesses(tmp_path: Path) -> None:
    table(tmp_path / "catalogue.csv", [["1", "wrong", "right"]], ("sku", "name", "Text 2"))
    assert open_catalogue("auto", str(tmp_path), {"name": "Text 2"}).name.tolist() == ["right"]
    with pytest.raises(ConfigError, match="has no column 'Text 3'"):
        open_catalogue("auto", str(tmp_path), {"name": "Text 3"})
    with pytest.raises(ConfigError, match="colour"):
        open_catalogue("auto", str(tmp_path), {"colour": "name"})
    for odd in (2024, ["Text 3"]):
        with pytest.raises(ConfigError, match="has no column"):
            open_catalogue("auto", str(tmp_path), {"name": odd})  # type: ignore[dict-item]  # as YAML may read it


def test_levels_of_categories_may_stand_in_columns(tmp_path: Path) -> None:
    found = catalogue(
        tmp_path, [["1", "Food", "Dairy", "Milk"], ["2", "Food", "", ""]], ("sku", "category_1", "category_2", "subcategory")
    )
    assert found.category.tolist() == [("Food", "Dairy", "Milk"), ("Food",)]


@pytest.mark.parametrize(
    ("cell", "images"),
    [
        ("1.jpg;2.jpg", ("1.jpg", "2.jpg")),
        ("1.jpg, 2.jpg", ("1.jpg", "2.jpg")),
        ("1.jpg|2.jpg|1.jpg", ("1.jpg", "2.jpg")),
        ('["1.jpg", "2.jpg"]', ("1.jpg", "2.jpg")),
        ("['1.jpg', '2.jpg']", ("1.jpg", "2.jpg")),
        ("1.jpg\n2.jpg", ("1.jpg", "2.jpg")),
        ("1.JPG", ("1.jpg",)),
        (".\\1.jpg", ("1.jpg",)),
        ("a, b.jpg", ("a, b.jpg",)),
    ],
)
def test_a_cell_may_name_several_pictures(tmp_path: Path, cell: str, images: tuple[str, ...]) -> None:
    for name in ("1.jpg", "2.jpg", "a, b.jpg"):
        photo(tmp_path / name)
    found = catalogue(tmp_path, [row(1, image=cell)])
    assert found.image[0] == images
    assert found.problems == ()


def test_a_link_to_itself_costs_no_other_picture(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg")
    for name in ("loop.jpg", "folder"):
        (tmp_path / name).symlink_to(name)
    found = catalogue(tmp_path, [row(1, image="loop.jpg"), row(2, image="folder/1.jpg"), row(3, image="1.jpg")])
    assert found.image.tolist() == [(), (), ("1.jpg",)]
    assert list(reasons(found.problems)) == [2, 3]


def test_numbers_of_a_shop_are_not_made_gtins_by_zeros(tmp_path: Path) -> None:
    upc = [f"3600029{n:03d}" for n in range(20)]
    chance = [n for n in upc if check_digit_ok(n.zfill(14))]
    assert 0 < len(chance) < 10  # one in ten has a right check digit
    found = catalogue(tmp_path, [row(n, gtin=number) for n, number in enumerate(upc)])
    assert set(found.gtin) == {""}
    assert len(found.problems) == 20


def test_a_unit_price_is_no_price_of_a_pack(tmp_path: Path) -> None:
    prices = ["1,99 EUR/100 g", "2,50 €/kg", "3,20 €/St", "1,99 €", "9" * 400]
    found = catalogue(tmp_path, [row(n, price=price) for n, price in enumerate(prices)])
    np.testing.assert_array_equal(found.price, [np.nan, np.nan, 3.2, 1.99, np.nan])
    said = reasons(found.problems)
    assert list(said) == [2, 3, 6]
    assert "is a price per 100 g" in said[2]


def test_of_several_columns_of_prices_that_of_a_unit_counts_last(tmp_path: Path) -> None:
    both = catalogue(tmp_path, [["1", "9.95", "1.99"]], ("sku", "unit price", "list price"))
    assert both.price.tolist() == [1.99]
    alone = catalogue(tmp_path / "b", [["1", "9.95"]], ("sku", "unit price"))
    assert alone.price.tolist() == [9.95]


def test_each_fault_is_named_with_its_row_and_the_rest_goes_on(tmp_path: Path) -> None:
    wrong = gtin13(9)[:-1] + str((int(gtin13(9)[-1]) + 1) % 10)
    rows = [
        row(1),
        row(2, gtin=gtin13(1)),  # 3
        row(1, name="Again"),  # 4
        row(9, gtin=wrong),  # 5
        row(5, price="on request"),  # 6
        row(6, price="2.50 USD"),  # 7
        row(7, image="gone.jpg"),  # 8
        ["only", "three", "cells"],  # 9
        ["", "", "", "Acme", "", "1.00", ""],  # 10
        row(8, price="0"),  # 11
        row(10),
    ]
    rows[0][5] = "1.99 EUR"
    found = catalogue(tmp_path, rows)
    said = reasons(found.problems)
    assert {n: said[n].split(": ")[0] for n in said} == {
        3: "gtin",
        4: "sku",
        5: "gtin",
        6: "price",
        7: "price",
        8: "image",
        9: "",
        10: "",
        11: "price",
    }
    assert "row 2" in said[3]
    assert "s1 is that of row 2 too: left out" in said[4]
    assert f"its check digit is {gtin13(9)[-1]}" in said[5]
    assert "in USD, most are in EUR" in said[7]
    assert "3 cells, the header has 7" in said[9]
    assert found.row.tolist() == [2, 3, 5, 6, 7, 8, 11, 12]
    assert found.left_out == 3
    assert found.gtin[[1, 2]].tolist() == ["", ""]
    assert found.currency[[0, 4]].tolist() == ["EUR", "USD"]
    assert np.isnan(found.price[found.row_of("s5")])
    assert "3 rows left out, 9 problems named row by row" in found.about


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("5449000000996.0", "05449000000996"),
        ("36000291452", "00036000291452"),  # a UPC-A that lost its zero
        ("'5449000000996", "05449000000996"),
        ('="5449000000996"', "05449000000996"),
        ("5.449000000996E+12", "05449000000996"),
        ("5,449000000996E+12", "05449000000996"),
    ],
)
def test_gtins_that_a_spreadsheet_changed_are_mended_where_nothing_is_lost(tmp_path: Path, cell: str, number: str) -> None:
    found = catalogue(tmp_path, [row(1, gtin=cell)])
    assert found.gtin.tolist() == [number]
    assert found.problems == ()
    assert found.notes == ("1 GTIN mended that a spreadsheet had changed",)


@pytest.mark.parametrize(("cell", "why"), [("8.41E+12", "digits are lost"), ("12345", "5 digits"), ("n/a", "is no GTIN")])
def test_gtins_whose_digits_are_lost_are_named(tmp_path: Path, cell: str, why: str) -> None:
    found = catalogue(tmp_path, [row(1, gtin=cell)])
    assert found.gtin.tolist() == [""]
    assert why in reasons(found.problems)[2]


@pytest.mark.parametrize(
    "image", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg", "C:\\secret.jpg", "https://x.example/1.jpg", "file:///x.jpg"]
)
def test_pictures_elsewhere_are_not_looked_at(tmp_path: Path, image: str) -> None:
    photo(tmp_path / "secret.jpg")
    photo(tmp_path / "shop" / "2.jpg")
    found = catalogue(tmp_path / "shop", [row(1, image=image), row(2, image="2.jpg")])
    assert found.image.tolist() == [(), ("2.jpg",)]
    assert "not opened" in reasons(found.problems)[2] or "nothing is fetched" in reasons(found.problems)[2]


def test_a_folder_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    photo(tmp_path / "out" / "1.jpg")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "link").symlink_to(tmp_path / "out")
    found = catalogue(tmp_path / "shop", [row(1, image="link/1.jpg")])
    assert found.image.tolist() == [()]


def test_a_column_of_urls_is_one_problem(tmp_path: Path) -> None:
    found = catalogue(tmp_path, [row(n, image=f"https://x.example/{n}.jpg") for n in range(5)])
    assert [one.row for one in found.problems] == [1]
    assert "all 5 pictures are URLs" in found.problems[0].reason


def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path: Path) -> None:
    lines = ["sku,name", "1,good", '2,"never closed', *[f"{n},after" for n in range(3, 9000)]]
    (tmp_path / "catalogue.csv").write_text("\n".join(lines))
    found = open_catalogue("auto", str(tmp_path))
    assert len(found) == 8998
    assert found.row[[0, 1, -1]].tolist() == [2, 4, 9000]
    assert reasons(found.problems) == {3: ": a quote in it is never closed: left out"}


def test_cells_may_hold_lines_and_quotes(tmp_path: Path) -> None:
    (tmp_path / "catalogue.csv").write_text('sku,name\n1,"two\nlines"\n\n2,"a ""big"" one"\n3,5" pipe\n')
    found = open_catalogue("auto", str(tmp_path))
    assert found.name.tolist() == ["two\nlines", 'a "big" one', '5" pipe']
    assert found.row.tolist() == [2, 4, 5]
    assert found.problems == ()


def test_what_excel_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "catalogue.csv").write_bytes("\ufeffsep=;\r\nEAN;Name;Preis;;\r\n;;;;\r\n5449000000996;Cola;1,29;;\r\n".encode())
    found = open_catalogue("auto", str(tmp_path))
    assert (found.gtin.tolist(), found.price.tolist(), found.problems) == (["05449000000996"], [1.29], ())


def test_prices_follow_the_decimal_sign_of_their_column(tmp_path: Path) -> None:
    comma = catalogue(tmp_path / "a", [row(1, price="1.299"), row(2, price="12,50"), row(3, price="2 für 3,00")])
    point = catalogue(tmp_path / "b", [row(1, price="1,299"), row(2, price="12.50")])
    assert comma.price.tolist() == [1299, 12.5, 1.5]
    assert point.price.tolist() == [1299, 12.5]


def test_parquet_reads_as_its_csv_does(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg")
    photo(tmp_path / "2.jpg")
    columns = {
        "sku": pa.array([1, 2, 3]),
        "gtin": pa.array([int(gtin13(n)) for n in (1, 2, 3)]),
        "name": pa.array(["a", "b", None]),
        "price": pa.array([1.234, 2.0, None]),
        "images": pa.array([["1.jpg", "2.jpg"], [], None]),
        "description": pa.array([[0.1, 0.2]] * 3),  # a vector: no words, whatever its name
        "brand": pa.array(["x", "x", "y"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "catalogue.parquet")
    found = open_catalogue("auto", str(tmp_path))
    assert found.key.tolist() == ["1", "2", "3"]
    assert found.gtin.tolist() == [gtin13(n).zfill(14) for n in (1, 2, 3)]
    assert found.price.tolist() == pytest.approx([1.234, 2.0, np.nan], nan_ok=True)
    assert found.image.tolist() == [("1.jpg", "2.jpg"), (), ()]
    assert found.brand.tolist() == ["x", "x", "y"]
    assert found.problems == ()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("catalogue.csv", b""),
        ("catalogue.csv", b"\n\n"),
        ("catalogue.csv", b"PK\x03\x04\0\0\0"),
        ("catalogue.csv", b"colour,shape\nred,round\n"),
        ("catalogue.parquet", b"no parquet"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match="catalogue"):
        open_catalogue("auto", str(tmp_path))


def test_where_the_catalogue_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, work = tmp_path / "shop", tmp_path / "work"
    table(shop / "tables" / "list.csv", [row(1)])
    table(work / "other.tsv", [row(1), row(2)], between="\t")
    monkeypatch.chdir(work)
    assert len(open_catalogue("tables/list.csv", str(shop))) == 1
    assert len(open_catalogue("other.tsv", str(shop))) == 2
    assert len(open_catalogue(str(work / "other.tsv"), "s3://bucket/photos")) == 2
    for nothing in (open_catalogue("auto", str(shop)), open_catalogue(None, str(shop)), open_catalogue("auto", "s3://bucket")):
        assert (len(nothing), nothing.root, nothing.about, nothing.find("x")) == (0, None, "", -1)
    with pytest.raises(ConfigError, match=r"catalogue=gone\.csv is not there"):
        open_catalogue("gone.csv", str(shop))
    photo(shop / "1.jpg")
    table(shop / "Catalogue.CSV", [row(1)])
    assert len(open_catalogue("auto", str(shop / "1.jpg"))) == 1
    assert len(open_catalogue("auto", str(shop / "tables" / "list.csv"))) == 1


def test_a_catalogue_is_read_again_when_it_changed(tmp_path: Path) -> None:
    first = catalogue(tmp_path, [row(1)])
    assert open_catalogue("auto", str(tmp_path)) is first
    table(tmp_path / "catalogue.csv", [row(1), row(2)])
    os.utime(tmp_path / "catalogue.csv", (1, 1))
    assert len(open_catalogue("auto", str(tmp_path))) == 2


CELLS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)


@given(st.lists(st.lists(CELLS, min_size=1, max_size=8), max_size=8), st.sampled_from([",", ";", "\t", "|"]))
@settings(deadline=None, max_examples=150)
def test_any_rows_give_products_that_hold_together(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], between: str
) -> None:
    found = catalogue(tmp_path_factory.mktemp("any"), rows, between=between)
    keys = found.key.tolist()
    assert all(keys)
    assert len(set(keys)) == len(keys)
    assert all(not one or check_digit_ok(one) for one in found.gtin)
    assert all(found.row_of(key) == n for n, key in enumerate(keys))
    assert not (found.price <= 0).any()


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=150)
def test_any_bytes_are_a_catalogue_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "catalogue.csv").write_bytes(",".join(COLUMNS).encode() + b"\n" + data)
    try:
        found = open_catalogue("auto", str(folder))
    except ConfigError:
        return
    assert len(found) == len(set(found.key))
