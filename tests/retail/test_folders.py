"""Pictures in folders by product: read as truth, from trees and tables; written, and read back."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalogue_kit import gtin13, noise, photo, row, table
from hyla import cli, formats
from hyla.errors import ConfigError, FormatError
from hyla.images import read_image
from hyla.pictures import Pictures
from hyla.store import Project
from hyla.testing.run_checks import compare
from hyla.types import Flag, Item, Kind, Labels, Record, Severity, Verdict, item_id
from hyla_retail.folders import Folders, safe
from hyla_retail.sample import preset_schema

SCHEMA = preset_schema()
LOADER = {"_target_": "hyla_retail.photos.Photos", "view": "product", "planogram": None}


def pictures(source: Path) -> Pictures:
    return Pictures(str(source), LOADER, SCHEMA)


def read(path: Path, given: Pictures | None = None, **settings: Any) -> dict[str, tuple[str, str | None]]:
    """Return path -> class and product of each picture."""
    found: dict[str, tuple[str, str | None]] = {}
    for one in Folders(pictures=given, **settings).read(path, SCHEMA) or ():
        labels = one.labels
        assert labels.kind.tolist() == [Kind.TAG]
        assert labels.box[0].tolist() == [0, 0, *one.size[::-1]]
        found[one.item.uri] = (SCHEMA.names[int(labels.class_id[0])], labels.attributes["product"][0])
    return found


def record(uri: str, labels: Labels, size: tuple[int, int] = (40, 60)) -> Record:
    return Record(Item(item_id(uri), uri, kind="photo"), labels, source="human:ann", size=size)


def test_the_last_folder_is_the_product_and_those_above_say_the_class(tmp_path: Path) -> None:
    for name in ("Fruit/Apple/Pink-Lady/1.jpg", "Drinks/Juice/Bravo/1.png", "Thing/1.jpg", "none.jpg", "Fruit/.hidden/1.jpg"):
        photo(tmp_path / name)
    assert read(tmp_path) == {
        "Fruit/Apple/Pink-Lady/1.jpg": ("fruit", "Pink-Lady"),
        "Drinks/Juice/Bravo/1.png": ("juice", "Bravo"),
        "Thing/1.jpg": ("product", "Thing"),
    }


def test_turned_pictures_have_the_size_that_is_seen(tmp_path: Path) -> None:
    photo(tmp_path / "a" / "1.jpg", noise(20, 50), orientation=6)
    (found,) = Folders().read(tmp_path, SCHEMA) or ()
    assert found.size == (50, 20)
    assert found.labels.box.tolist() == [[0, 0, 20, 50]]


def test_the_catalogue_says_key_and_class(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / gtin13(1) / "1.jpg")
    photo(tmp_path / "photos" / "PRODUCT 2" / "1.jpg")
    rows = [row(1, category="Food > Juice"), row(2, category="nothing known")]
    table(tmp_path / "photos" / "catalogue.csv", rows)
    found = {f"{gtin13(1)}/1.jpg": ("juice", "s1"), "PRODUCT 2/1.jpg": ("product", "s2")}
    assert read(tmp_path / "photos", pictures(tmp_path / "photos")) == found
    assert read(tmp_path / "photos", catalogue=str(tmp_path / "photos" / "catalogue.csv")) == found
    assert read(tmp_path / "photos", catalogue=None)["PRODUCT 2/1.jpg"] == ("product", "PRODUCT 2")


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        (("path", "fine_id", "coarse_id"), [["p/1.jpg", 0, 0], ["p/2.jpg", 1, 0]]),
        (("filename", "label"), [["p/1.jpg", "Pink-Lady"], ["p/2.jpg", "Bravo"]]),
        (("image", "supercategory", "class"), [["p/1.jpg", "Apple", "Pink-Lady"], ["p/2.jpg", "Juice", "Bravo"]]),
        (("p/1.jpg", " 0", " 0"), [["p/2.jpg", " 1", " 0"]]),  # without a header
    ],
)
def test_tables_name_pictures_and_their_products(tmp_path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    for n in (1, 2):
        photo(tmp_path / "p" / f"{n}.jpg")
    header = ("Class Name (str)", "Class ID (int)", "Coarse Class Name", "Coarse Class ID (int)")
    table(tmp_path / "classes.csv", [["Pink-Lady", 0, "Apple", 0], ["Bravo", 1, "Juice", 3]], header)
    path = table(tmp_path / "labels.csv", rows, columns)
    found = read(tmp_path)
    assert {uri: product for uri, (_, product) in found.items()} == {"p/1.jpg": "Pink-Lady", "p/2.jpg": "Bravo"}
    assert read(path) == found
    if "label" not in columns:
        assert found["p/2.jpg"][0] == "juice"


def test_a_column_may_be_named(tmp_path: Path) -> None:
    path = table(tmp_path / "list.csv", [["1.jpg", "a", "b"]], ("path", "label", "Text 2"))
    assert read_products(path, column="Text 2") == ["b"]
    with pytest.raises(FormatError, match="has no column 'Text 3'"):
        read_products(path, column="Text 3")


def read_products(path: Path, **settings: Any) -> list[Any]:
    return [one.labels.attributes["product"][0] for one in Folders(**settings).read(path, SCHEMA) or ()]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([["../x.jpg", "a"]], "no path inside"),
        ([["/x.jpg", "a"]], "no path inside"),
        ([["1.jpg"]], "row 2: it has 1 cells"),
    ],
)
def test_rows_that_lead_elsewhere_or_are_broken_are_refused(tmp_path: Path, rows: list[list[str]], why: str) -> None:
    path = table(tmp_path / "list.csv", rows, ("path", "label"))
    with pytest.raises(FormatError, match=why):
        read_products(path)


def test_what_holds_no_labels_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "1.jpg")
    with pytest.raises(FormatError, match="holds no folders of pictures"):
        read_products(tmp_path)
    with pytest.raises(FormatError, match="has no column of pictures"):
        read_products(table(tmp_path / "list.csv", [["a", "b"]], ("colour", "label")))
    with pytest.raises(FormatError, match="is empty"):
        read_products(table(tmp_path / "labels.csv", [], ()))
    with pytest.raises(ConfigError, match="quality"):
        Folders(quality=0)


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, list[Record]]:
    """Write a shelf photo and a packshot, and return the folder with their labels."""
    source = tmp_path / "photos"
    photo(source / "shelf.jpg", noise(40, 60))
    photo(source / "pack.png", noise(30, 20))
    names = ("juice", "product", "gap", "price_label")
    boxes = [[1, 2, 21, 32], [-0.2, 0, 10.5, 20], [30, 0, 40, 40], [0, 30, 10, 40]]
    attributes = {"product": ["s1", None, None, None], "brand": ["Acme", None, None, None]}
    shelf = Labels.of(
        [SCHEMA.class_id(one) for one in names], boxes, score=[0.5, 1, 1, 1], attributes=attributes, context={"store": "x"}
    )
    pack = Labels.of(
        [SCHEMA.class_id(one) for one in ("wine", "red")],
        [[0, 0, 20, 30]] * 2,
        kind=Kind.TAG,
        attributes={"product": ["A/B: ..", None]},
    )
    return source, [record("shelf.jpg", shelf), record("pack.png", pack, (30, 20)), record("gone.jpg", shelf[:1])]


def test_pictures_are_written_by_class_and_product(labelled: tuple[Path, list[Record]], tmp_path: Path) -> None:
    source, records = labelled
    loss = Folders(pictures=pictures(source)).export(records, SCHEMA, tmp_path / "out")
    assert loss == {"box": 2, "tag": 1, "attribute": 2, "context": 2, "source": 3, "picture": 1}
    with (tmp_path / "out" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shelf, pack = item_id("shelf.jpg"), item_id("pack.png")
    files = ["food/beverage/juice/s1", "product", "food/beverage/alcohol/wine/A_B_"]
    names = [f"{shelf}-000.jpg", f"{shelf}-001.jpg", f"{pack}-000.png"]
    assert [one["file"] for one in rows] == [*(f"{folder}/{name}" for folder, name in zip(files, names, strict=True)), ""]
    assert read_image(tmp_path / "out" / rows[0]["file"]).shape == (30, 20, 3)
    assert read_image(tmp_path / "out" / rows[1]["file"]).shape == (20, 11, 3)
    assert (tmp_path / "out" / rows[2]["file"]).read_bytes() == (source / "pack.png").read_bytes()
    assert rows[2]["product"] == "A/B: .."


def test_no_photo_is_copied_past_the_redaction(labelled: tuple[Path, list[Record]], tmp_path: Path) -> None:
    class Black(Pictures):
        redaction = staticmethod(lambda image: replace(image, pixels=image.pixels * 0))  # type: ignore[assignment]

    source, records = labelled
    Folders(pictures=Black(str(source), LOADER, SCHEMA)).export(records, SCHEMA, tmp_path / "out")
    written = sorted(path for path in (tmp_path / "out").rglob("*") if path.suffix in (".jpg", ".png"))
    assert [path.name for path in written if "wine" in path.parts] == [f"{item_id('pack.png')}-000.jpg"]
    assert len(written) == 3
    assert all(read_image(path).max() < 3 for path in written)
    with (tmp_path / "out" / "labels.csv").open(newline="") as file:
        named = {row["file"] for row in csv.DictReader(file)} - {""}
    assert named == {path.relative_to(tmp_path / "out").as_posix() for path in written}


def test_what_was_written_reads_back(labelled: tuple[Path, list[Record]], tmp_path: Path) -> None:
    source, records = labelled
    form = Folders(pictures=pictures(source))
    loss = form.export(records, SCHEMA, tmp_path / "out")
    back = list(form.read(tmp_path / "out", SCHEMA) or ())
    assert [one.item for one in back] == [one.item for one in records]
    assert compare(records, back, loss) == []
    kept = records[0].labels[:2]
    expected = replace(kept, attributes={"product": kept.attributes["product"]}, context={})
    assert back[0].labels == expected


def test_what_was_called_wrong_stays_behind(labelled: tuple[Path, list[Record]], tmp_path: Path) -> None:
    source, (shelf, pack, _) = labelled
    given = [replace(shelf, flags=(Flag("r", "why", Severity.REJECT, (0,)),)), replace(pack, verdict=Verdict.REJECT)]
    form = Folders(pictures=pictures(source))
    loss = form.export(given, SCHEMA, tmp_path / "out")
    assert (loss["box"], loss["tag"]) == (3, 2)
    assert len([one for one in (tmp_path / "out").rglob("*") if one.suffix in (".jpg", ".png")]) == 1
    back = list(form.read(tmp_path / "out", SCHEMA) or ())
    assert [[SCHEMA.names[i] for i in one.labels.class_id] for one in back] == [["product"], []]


@pytest.mark.parametrize("product", ["=HYPERLINK(0)", "'=x", "@a", "\U0001f9c3" * 90])
def test_products_of_any_name_are_written_and_read_back(tmp_path: Path, product: str) -> None:
    photo(tmp_path / "photos" / "pack.png", noise(30, 20))
    labels = Labels.of([SCHEMA.class_id("wine")], [[0, 0, 20, 30]], kind=Kind.TAG, attributes={"product": [product]})
    form = Folders(pictures=pictures(tmp_path / "photos"))
    form.export([record("pack.png", labels, (30, 20))], SCHEMA, tmp_path / "out")
    with (tmp_path / "out" / "labels.csv").open(encoding="utf-8", newline="") as file:
        (written,) = csv.DictReader(file)
    assert not written["product"].startswith(("=", "@"))
    assert (tmp_path / "out" / written["file"]).is_file()
    (back,) = form.read(tmp_path / "out", SCHEMA) or ()
    assert back.labels.attributes["product"].tolist() == [product]


def test_damage_of_what_was_written_is_told(labelled: tuple[Path, list[Record]], tmp_path: Path) -> None:
    source, records = labelled
    form = Folders(pictures=pictures(source))
    form.export(records, SCHEMA, tmp_path / "out")
    path = tmp_path / "out" / "labels.csv"
    path.write_text(path.read_text().replace("0.5", "half"))
    with pytest.raises(FormatError, match="line 2 is damaged"):
        list(form.read(tmp_path / "out", SCHEMA) or ())


def test_nothing_is_written_without_pictures(labelled: tuple[Path, list[Record]], tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="writes pictures"):
        Folders().export(labelled[1], SCHEMA, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("a/b", "a_b"),
        ("..", "_"),
        ("", "_"),
        (" x. ", "x"),
        ("CON:1", "CON_1"),
        ("é 1 l", "é 1 l"),
        ("x" * 200, "x" * 80),
        ("\U0001f9c3" * 90, "\U0001f9c3" * 50),
        ("a" + "é" * 150, "a" + "é" * 79),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("Com1 .x", "_Com1 .x"),
        ("Contact", "Contact"),
        ("lpt10", "lpt10"),
        ("\ud800", "_"),
    ],
)
def test_names_of_products_are_safe_folders(name: str, folder: str) -> None:
    assert safe(name) == folder


def test_the_format_is_offered() -> None:
    assert isinstance(formats.get("class_folders"), Folders)


def test_the_grocery_store_comes_in_as_truth(shared: Path, tmp_path: Path) -> None:
    data = shared / "data" / "retail" / "grocery_store"
    run = [
        "run",
        "preset=packshots",
        "model=none",
        f"source={data / 'test'}",
        f"out={tmp_path / 'project'}",
        "progress=false",
        "~rules",
    ]
    assert cli.main(run) == 0
    command = ["import", str(tmp_path / "project"), "--format", "class_folders", "--as", "truth", "--from", str(data)]
    assert cli.main(command) == 0
    with Project.open(tmp_path / "project") as project:
        found = list(project.records(source="truth:class_folders"))
    names = Counter(SCHEMA.names[int(one.labels.class_id[0])] for one in found)
    assert names == {"fruit": 112, "vegetable": 88, "dairy": 84, "juice": 40}
    assert len({one.labels.attributes["product"][0] for one in found}) == 81
    assert all(np.array_equal(one.labels.box, [[0, 0, *one.size[::-1]]]) for one in found)
    assert all(one.labels.attributes["product"][0] == one.item.uri.split("/")[-2] for one in found)
