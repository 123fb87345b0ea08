"""The table of product labels: what it says of each label, who decided it, and that it comes back."""

from __future__ import annotations

import csv
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.testing.probes import labels as probe_labels
from hyla.testing.run_checks import compare
from hyla.types import Flag, Item, Kind, Labels, Record, Severity
from hyla_retail import seen, table_files
from hyla_retail.product_tags import ProductTags, table
from hyla_retail.table_files import plain, read_table, safe, write_table
from tags_kit import MODEL, SCHEMA, SIZE, photo, pictures, project, rejected, say, shelf

KINDS = (".parquet", ".csv", ".jsonl")
some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def export(to: Path, *records: Record, kind: str = ".parquet", **how: Any) -> list[dict[str, Any]]:
    ProductTags(f"product_tags{kind}", **how).export(iter(records), SCHEMA, to)
    return list(read_table(to / f"product_tags{kind}", table(SCHEMA)))


def test_a_row_says_what_a_label_is_of(tmp_path: Path) -> None:
    one, two = export(tmp_path, shelf([("SKU1", 1), (None, 2)], gaps=[2]))
    assert one["image_id"] == two["image_id"]
    assert (one["uri"], one["kind"], one["class"], one["product"], one["gtin"]) == (
        "bay.jpg",
        "box",
        "juice",
        "SKU1",
        "04006381333931",
    )
    assert one["box"] == {"x0": 25.0, "y0": 70.0, "x1": 45.0, "y1": 130.0}
    assert (one["name"], one["brand"], one["confidence"]) == ("Orange juice", "Sonnig", 0.9)
    assert (one["attributes"]["price"], one["attributes"]["currency"], one["attributes"]["shelf"]) == (1.99, "EUR", 1)
    assert (one["image"]["store"], one["image"]["fixture"], one["image"]["date"]) == ("Dresden 1", "bay 1", "2026-05-02")
    assert (one["verified"], one["source"], one["reviewer"], one["model"]) == (False, "auto", None, "retail@0f")
    assert (two["class"], two["product"], two["gtin"], two["name"]) == ("product", None, None, None)
    assert one["taxonomy"]["path"].startswith("product > ")
    assert one["taxonomy"]["path"].endswith("juice")


def test_codes_of_the_scheme_stand_beside_the_path(tmp_path: Path) -> None:
    coded = [one for one in SCHEMA.classes if "gpc" in one.codes]
    class_id = SCHEMA.ids["juice"]
    record = replace(shelf([("SKU1", 1)]), labels=Labels.of([class_id], [[0, 0, 9, 9]]))
    (row,) = export(tmp_path, record, scheme_version="2025-05")
    code = SCHEMA.classes[class_id].codes.get("gpc")
    assert row["taxonomy"] == {
        "scheme": "gpc" if code else None,
        "version": "2025-05" if code else None,
        "code": code,
        "path": "product > food > beverage > juice",
    }
    assert coded
    assert all(one.codes["gpc"].isdigit() for one in coded)
    (row,) = export(tmp_path, record, scheme="google")
    assert row["taxonomy"]["version"] == "2021-09-21"


def test_tags_stand_in_the_row_of_their_product(tmp_path: Path) -> None:
    (row,) = export(tmp_path, photo("SKU3", [("red", 0.75), ("can", 0.5)]))
    assert (row["kind"], row["product"]) == ("tag", "SKU3")
    assert row["tags"] == [
        {"tag": "red", "probability": 0.75, "verified": False},
        {"tag": "can", "probability": 0.5, "verified": False},
    ]


def test_tags_without_a_product_have_a_row_of_their_own(tmp_path: Path) -> None:
    one = photo("SKU3", [("red", 0.75)])
    (row,) = export(tmp_path, replace(one, labels=one.labels[1:]))
    assert (row["class"], row["product"], [tag["tag"] for tag in row["tags"]]) == (None, None, ["red"])
    (back,) = ProductTags().read(tmp_path, SCHEMA) or ()
    assert back.labels.class_id.tolist() == [SCHEMA.ids["red"]]


def test_who_decided_is_known_of_each_label(tmp_path: Path) -> None:
    bay, juice, other = shelf([("SKU1", 1), ("SKU2", 1), ("SKU3", 2)]), photo("SKU1", [("orange", 0.5)]), photo("SKU2", [])
    with project(tmp_path / "project", [bay, juice, other]) as made:
        say(made, bay, "accept", 0, mode="grid")
        say(made, bay, "reject", 1, mode="grid", who="bob")
        say(made, juice, "accept", mode="simulated", who="machine")
        rows = export(tmp_path, *made.records(), pictures=pictures(made))
        assert [(r["product"], r["verified"], r["source"], r["reviewer"]) for r in rows] == [
            ("SKU1", True, "human", "ann"),
            ("SKU3", False, "auto", None),
            ("SKU1", False, "simulated", "machine"),
            ("SKU2", False, "auto", None),
        ]
        assert rows[0]["time"] == next(made.decisions()).at
        assert rows[2]["tags"] == [{"tag": "orange", "probability": 0.5, "verified": False}], "a program is no person"
        assert [r["model"] for r in rows] == [None, None, "retail@0f", "retail@0f"]


def test_another_product_has_other_facts(tmp_path: Path) -> None:
    """Whoever names a facing anew changes its product; what the machine noted of the one before is no longer said."""
    (tmp_path / "catalogue.csv").write_text("sku,gtin,name,brand\nSKU3,4006381333931,Cola 330 ml,Fizz\n", encoding="utf-8")
    bay = shelf([("SKU1", 1), ("SKU1", 1), ("SKU2", 1)])
    named = bay.labels[[0, 1, 2]]
    named.attributes["product"] = np.array(["SKU3", "NEW", "SKU2"], dtype=object)
    with project(tmp_path / "project", [bay], str(tmp_path)) as made:
        say(made, bay, "edit", labels=named)
        rows = export(tmp_path, *made.records(), catalogue="auto", pictures=pictures(made))
    assert [(r["product"], r["gtin"], r["name"], r["brand"]) for r in rows] == [
        ("SKU3", "04006381333931", "Cola 330 ml", "Fizz"),
        ("NEW", None, None, None),
        ("SKU2", "00012345678905", "Apple juice, cloudy", "Sonnig"),
    ]
    assert [r["attributes"]["price"] for r in rows] == [1.99, 1.99, None], "the price is on the shelf, whatever stands above it"


FACTS = [("SKU1", "04006381333931", "Orange juice", "Sonnig")]


@pytest.mark.parametrize(
    ("product", "facts"), [("SKU1", FACTS), ("NEW", [("NEW", None, None, None)]), (None, [(None, None, None, None)])]
)
def test_a_reviewed_photo_of_one_product_keeps_its_facts(tmp_path: Path, product: str | None, facts: list[Any]) -> None:
    """Tags of colour and packaging lie in the same place, and name no product."""
    pack = photo("SKU1", [("orange", 0.9), ("can", 0.6)])
    labels = pack.labels[[0, 1]]
    labels.attributes["product"][0] = product
    with project(tmp_path / "project", [pack]) as made:
        say(made, pack, "edit", labels=labels)
        rows = export(tmp_path, *made.records(), pictures=pictures(made))
    assert [(r["product"], r["gtin"], r["name"], r["brand"]) for r in rows] == facts
    assert [tag["tag"] for tag in rows[0]["tags"]] == ["orange"]


def test_a_facing_that_was_moved_and_named_anew_has_other_facts(tmp_path: Path) -> None:
    bay = shelf([("SKU1", 1), ("SKU2", 1), ("SKU1", 2)])
    labels = bay.labels[[0, 1, 2]]
    labels.box[:2] += 3
    labels.attributes["product"][0] = "NEW"
    with project(tmp_path / "project", [bay]) as made:
        say(made, bay, "edit", labels=labels)
        rows = export(tmp_path, *made.records(), pictures=pictures(made))
    assert [(r["product"], r["gtin"]) for r in rows] == [("NEW", None), ("SKU2", "00012345678905"), FACTS[0][:2]]


@pytest.mark.parametrize(("source", "word", "who"), [("human:ann", "human", "ann"), ("truth:survey", "truth", "survey")])
def test_labels_of_a_person_are_verified_without_a_project(tmp_path: Path, source: str, word: str, who: str) -> None:
    (row,) = export(tmp_path, shelf([("SKU1", 1)], source=source))
    assert (row["verified"], row["source"], row["reviewer"], row["model"]) == (True, word, who, None)


def test_what_was_called_wrong_stays_behind(tmp_path: Path) -> None:
    flagged = replace(shelf([("SKU1", 1), ("SKU2", 1)]), flags=(Flag("r", "why", Severity.REJECT, (0,)),))
    loss = ProductTags().export([flagged, rejected(shelf([("SKU3", 1)], "other"))], SCHEMA, tmp_path)
    assert loss["box"] == 2
    assert [row["product"] for row in read_table(tmp_path / "product_tags.parquet", table(SCHEMA))] == ["SKU2"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_and_kind_comes_back(tmp_path: Path, kind: str) -> None:
    items = [Item(f"i{n}", f"a/{n}.jpg", "g", n, "photo", {"store": "1"}) for n in range(5)]
    wrote = [Record(item, probe_labels(SCHEMA, SIZE, n), source=MODEL, size=SIZE) for n, item in enumerate(items)]
    wrote += [Record(Item("empty", "e.jpg"), Labels.empty({"store": "2"}), source=MODEL, size=SIZE), shelf([("SKU1", 1)])]
    form = ProductTags(f"product_tags{kind}")
    loss = form.export(iter(wrote), SCHEMA, tmp_path)
    read = list(form.read(tmp_path, SCHEMA) or ())
    assert [one.item for one in read] == [one.item for one in wrote]
    assert [one.size for one in read] == [one.size for one in wrote]
    assert compare(wrote, read, loss) == []
    products = np.isin(wrote[1].labels.class_id, SCHEMA.under("product"))
    mine, back = wrote[1].labels[products], read[1].labels[np.isin(read[1].labels.class_id, SCHEMA.under("product"))]
    assert np.array_equal(mine.box, back.box)
    assert np.array_equal(mine.score, back.score)
    for name, column in mine.attributes.items():
        known, read_ = ([None if v is None or v != v else v for v in c.tolist()] for c in (column, back.attributes[name]))
        assert known == read_, name


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12)


@some
@given(
    words=st.lists(
        st.one_of(TEXT, st.sampled_from(["=1+1", "+x", "-1", "@a", "'", "'=x", "''+", "", "\t", "a\r\nb", '"'])), min_size=1
    )
)
@pytest.mark.parametrize("kind", KINDS)
def test_text_of_any_sort_comes_back(tmp_path: Path, kind: str, words: list[str]) -> None:
    schema = pa.schema([("word", pa.string()), ("of", pa.struct([("word", pa.string())])), ("list", pa.list_(pa.string()))])
    rows = [{"word": word, "of": {"word": word}, "list": [word]} for word in words] + [
        {"word": None, "of": {"word": None}, "list": None}
    ]
    write_table(tmp_path / f"t{kind}", schema, rows)
    assert list(read_table(tmp_path / f"t{kind}", schema)) == rows


@some
@given(text=TEXT)
def test_no_cell_begins_as_a_formula_does(text: str) -> None:
    assert not safe(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert plain(safe(text)) == text


def test_other_programs_read_the_csv(tmp_path: Path) -> None:
    one = shelf([("SKU1", 1), ("SKU3", 1)])
    one.labels.attributes["name"][1] = "=HYPERLINK(0)"
    export(tmp_path, one, kind=".csv")
    frame = pa_csv.read_csv(tmp_path / "product_tags.csv")
    assert frame["box_x0"].to_pylist() == [25.0, 50.0]
    assert frame["verified"].to_pylist() == [False, False]
    with (tmp_path / "product_tags.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["Orange juice", "'=HYPERLINK(0)"]
    assert json.loads(rows[0]["tags"]) == []


def test_rows_are_written_as_the_records_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "ROWS", 10)
    export(tmp_path, *(shelf([("SKU1", 1), ("SKU2", 1)], f"b{n}") for n in range(20)))
    assert pq.read_metadata(tmp_path / "product_tags.parquet").num_row_groups == 4
    assert pq.read_metadata(tmp_path / "product_tags.parquet").metadata[b"hyla_table"] == b"product_tags 1"


def test_what_is_no_table_of_products_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ending"):
        ProductTags("tags.xlsx")
    with pytest.raises(ConfigError, match="no path inside"):
        ProductTags("../tags.csv")
    with pytest.raises(FormatError, match=r"no images\.jsonl"):
        list(ProductTags().read(tmp_path, SCHEMA) or ())
    export(tmp_path, shelf([("SKU1", 1)]))
    (tmp_path / "product_tags.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FormatError, match="damaged"):
        list(ProductTags().read(tmp_path, SCHEMA) or ())
    rows = pa.table({"image_id": ["x"]})
    pq.write_table(rows, tmp_path / "product_tags.parquet")
    with pytest.raises(FormatError, match="no column uri"):
        list(ProductTags().read(tmp_path, SCHEMA) or ())


ODD: list[Any] = [5, "x", [1], [{"x": 1}], {"x": [1]}, [{"tag": [1], "probability": 1, "verified": True}], 10**400, -1, True]


@pytest.mark.parametrize("column", table(SCHEMA).names)
@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:24])
def test_rows_of_json_that_hold_something_else_are_refused(tmp_path: Path, column: str, value: Any) -> None:
    export(tmp_path, photo("SKU1", [("orange", 0.5)]), kind=".jsonl")
    path = tmp_path / "product_tags.jsonl"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), column: value}), encoding="utf-8")
    try:
        (found,) = ProductTags("product_tags.jsonl").read(tmp_path, SCHEMA) or ()
    except FormatError:
        return
    SCHEMA.check(found.labels, SIZE)
    assert column not in ("tags", "box", "image", "attributes"), "none of the values fits those"


def test_it_is_offered() -> None:
    assert "verified" in formats.offered()["product_tags"]
    form = formats.get("product_tags", SCHEMA, file="x.csv")
    assert isinstance(form, ProductTags)
    assert (form.file, form.scheme) == ("x.csv", "gpc")
    assert Kind.TAG.word == "tag"


def test_memory_does_not_grow_with_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "ROWS", 40)
    monkeypatch.setattr(seen, "PAGE", 8)

    def peak(n: int) -> int:
        tracemalloc.start()
        ProductTags().export((shelf([("SKU1", 1)] * 5, f"b{i}") for i in range(n)), SCHEMA, tmp_path)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(10)  # what is imported and cached once
    assert peak(160) < 1.5 * peak(40)
