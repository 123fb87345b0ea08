"""JSONL and Parquet carry everything; other programs read them; what was tampered with is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import geometry
from hyla.errors import ConfigError, FormatError, StageError
from hyla.formats.jsonl import Jsonl
from hyla.formats.parquet import Parquet
from hyla.frame import VideoFrame
from hyla.hooks import Format
from hyla.schema import Attribute, Class, Schema
from hyla.types import Flag, Item, Kind, Labels, Record, Severity, Verdict
from strategies import WORDS, records, schemas

SCHEMA = Schema(
    "small",
    (Class("car"), Class("road")),
    ("box", "polygon", "mask", "track"),
    (Attribute("occluded", "boolean"), Attribute("doors", "integer"), Attribute("plate"), Attribute("sky", "text", "image")),
)
FORMATS = [Jsonl(), Parquet(rows=3)]


def full(i: int = 0) -> Record:
    ring = np.array([[0.0, 0], [4, 0], [4, 4.5]])
    labels = Labels.of(
        [0, 1, 1],
        [[1, 2, 3, 4.25], [0, 0, 4, 4.5], [0, 0, 3, 2]],
        kind=[Kind.BOX, Kind.POLYGON, Kind.MASK],
        shape=[None, (ring, ring / 2), geometry.encode(np.eye(6, 8, dtype=bool))],
        score=[0.1, 1, 0.30000000000000004],
        track=[7, -1, 0],
        attributes={"occluded": [True, None, False], "doors": [4, None, 2]},
        context={"sky": "grey"},
        evidence={"margin": [0.5, np.nan, 0.25]},
    )
    item = Item(f"i{i}", "clip.mp4", "clip.mp4", i, "video_frame", {"fps": 29.97, "tags": ["a", None]})
    flags = (Flag("small", "too_small", Severity.HUMAN, (0, 2), "3 px < 8 px"), Flag("night", "dark"))
    return Record(item, labels, flags, Verdict.ACCEPT, "model:m@0f", (6, 8), VideoFrame(0.5, i, 3, (1, 6), None))


def empty(i: int = 1) -> Record:
    return Record(Item(f"i{i}", "b.jpg"), Labels.empty(), size=(6, 8))


def same(before: Record, after: Record, exact: bool) -> None:
    assert replace(after, labels=before.labels) == before
    a, b = (one.labels for one in (before, after))
    if not exact:  # in JSON, what is unknown of all labels is left out
        a, b = (replace_unknown(one) for one in (a, b))
    columns = {name: column.tolist() for name, column in a.attributes.items()}
    for name, column in b.attributes.items():
        theirs = columns.pop(name)
        assert [None if v != v else v for v in column.tolist()] == [None if v != v else v for v in theirs]
    assert columns == {}
    assert replace_attributes(a) == replace_attributes(b)


def replace_unknown(labels: Labels) -> Labels:
    out = labels[:]
    out.attributes = {n: c for n, c in out.attributes.items() if any(v is not None and v == v for v in c.tolist())}
    out.evidence = {n: c for n, c in out.evidence.items() if not np.isnan(c).all()}
    return out


def replace_attributes(labels: Labels) -> Labels:
    out = labels[:]
    out.attributes = {}
    return out


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)
def test_everything_comes_back(tmp_path: Path, format_: Any) -> None:
    given_ = [full(0), empty(1), full(2), full(3)]
    assert format_.export(iter(given_), SCHEMA, tmp_path) == {}
    back = list(format_.read(tmp_path, SCHEMA))
    assert back == given_
    assert [list(one.labels.attributes) for one in back] == [list(one.labels.attributes) for one in given_]


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)
@settings(max_examples=60)
@given(st.data())
def test_any_records_come_back(tmp_path_factory: pytest.TempPathFactory, format_: Any, data: st.DataObject) -> None:
    schema = data.draw(schemas())
    given_ = [
        replace(one, item=replace(one.item, uri=f"a/{data.draw(WORDS)}.jpg".replace("//", "/").replace("..", ".")))
        for one in data.draw(st.lists(records(schema), max_size=4))
    ]
    out = tmp_path_factory.mktemp(format_.name)
    assert format_.export(given_, schema, out) == {}
    back = list(format_.read(out, schema))
    assert len(back) == len(given_)
    for before, after in zip(given_, back, strict=True):
        same(before, after, exact=isinstance(format_, Parquet))


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)
def test_no_records_make_files_that_read(tmp_path: Path, format_: Any) -> None:
    format_.export([], SCHEMA, tmp_path)
    assert list(format_.read(tmp_path, SCHEMA)) == []


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)
def test_another_schema_is_refused(tmp_path: Path, format_: Any) -> None:
    format_.export([full()], SCHEMA, tmp_path)
    with pytest.raises(FormatError, match="written for schema 'small@1'"):
        list(format_.read(tmp_path, replace(SCHEMA, version="2")))


@pytest.mark.parametrize("format_", FORMATS, ids=lambda f: f.name)
def test_labels_that_do_not_fit_are_not_written(tmp_path: Path, format_: Any) -> None:
    format_.export([full()], SCHEMA, tmp_path)
    files = {p: p.read_bytes() for p in tmp_path.iterdir()}
    bad = replace(empty(), labels=Labels.of([9], [[0, 0, 1, 1]]))
    with pytest.raises(StageError, match="class ids"):
        format_.export([full(), bad], SCHEMA, tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == files


def test_formats_read_lazily(tmp_path: Path) -> None:
    for format_ in FORMATS:
        assert isinstance(format_, Format)
        format_.export((full(i) for i in range(10)), SCHEMA, tmp_path)
        stream = format_.read(tmp_path, SCHEMA)
        assert isinstance(stream, Iterator)
        assert next(stream).item.id == "i0"


# JSONL


def test_lines_fit_the_json_schema_beside_them(tmp_path: Path) -> None:
    Jsonl().export([full(), empty()], SCHEMA, tmp_path)
    about = json.loads((tmp_path / "schema.json").read_text())
    lines = (tmp_path / "labels.jsonl").read_text().splitlines()
    assert len(lines) == 2
    for line in lines:
        jsonschema.Draft202012Validator(about).validate(json.loads(line))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 3: JSON is malformed|line 3: Input data was truncated"),
        ("[]", "line 3"),
        ('{"schema": "small@1"}', "line 3: record"),
        ("[" * 100_000, "line 3"),
        ('"\xff"', "line 3"),
    ],
)
def test_a_bad_line_is_refused_by_its_number(tmp_path: Path, line: str, message: str) -> None:
    Jsonl().export([full()], SCHEMA, tmp_path)
    with (tmp_path / "labels.jsonl").open("ab") as file:
        file.write(b"\n" + line.encode("latin-1"))
    with pytest.raises(FormatError, match=message):
        list(Jsonl().read(tmp_path, SCHEMA))


def test_a_uri_that_leads_out_is_refused(tmp_path: Path) -> None:
    for format_ in FORMATS:
        format_.export([replace(empty(), item=Item("i", "../b.jpg"))], SCHEMA, tmp_path)  # type: ignore[attr-defined]
        with pytest.raises(FormatError, match="no path inside"):
            list(format_.read(tmp_path, SCHEMA))  # type: ignore[attr-defined]


# Parquet


def test_tables_are_typed_for_other_programs(tmp_path: Path) -> None:
    Parquet().export([full(0), empty(1), full(2)], SCHEMA, tmp_path)
    labels, items = pq.read_table(tmp_path / "labels.parquet"), pq.read_table(tmp_path / "items.parquet")
    assert labels.num_rows == 6
    assert items["labels"].to_pylist() == [3, 0, 3]
    assert labels.schema.field("attribute_occluded").type == pa.bool_()
    assert labels.schema.field("attribute_doors").type == pa.int64()
    assert items.schema.field("context_sky").type == pa.string()
    assert labels["attribute_doors"].to_pylist()[:3] == [4, None, 2]
    assert labels["track"].to_pylist()[:3] == [7, None, 0]
    assert labels["item"].to_pylist()[3:] == ["i2"] * 3
    roads = labels.filter(pc.field("class") == "road")
    assert roads["kind"].to_pylist() == ["polygon", "mask"] * 2
    assert roads["mask_size"].to_pylist()[1] == [6, 8]
    found = labels.group_by("class").aggregate([("score", "count")]).to_pylist()
    assert {row["class"]: row["score_count"] for row in found} == {"car": 2, "road": 4}


def test_row_groups_bound_what_is_held(tmp_path: Path) -> None:
    one = replace(empty(), labels=Labels.of([0] * 10, np.tile([0.0, 0, 1, 1], (10, 1))))
    Parquet(rows=25).export((replace(one, item=Item(f"{i}", "b.jpg")) for i in range(20)), SCHEMA, tmp_path)
    with pq.ParquetFile(tmp_path / "labels.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [30] * 6 + [20]
    assert [len(r.labels) for r in Parquet(rows=7).read(tmp_path, SCHEMA)] == [10] * 20
    with pytest.raises(ConfigError, match="rows must be"):
        Parquet(rows=0)


def change(path: Path, column: str, values: list[Any]) -> None:
    table = pq.read_table(path)
    at = table.schema.get_field_index(column)
    pq.write_table(table.set_column(at, table.field(at), pa.array(values, table.field(at).type)), path)


@pytest.mark.parametrize(
    ("table", "column", "values", "message"),
    [
        ("labels", "class", ["car", "road", "tree"], "'tree' is no kind and no class"),
        ("labels", "class", ["car", "road", None], "None is no kind and no class"),
        ("labels", "kind", ["box", "polygon", "blob"], "'blob' is no kind"),
        ("labels", "kind", ["box", "box", "mask"], "a box has no shape"),
        ("labels", "score", [0.1, 2, 1], "scores must lie"),
        ("labels", "score", [0.1, None, 1], "scores must lie"),
        ("labels", "x0", [np.inf, 0, 0], "finite"),
        ("labels", "item", ["i0", "i1", "i0"], "other labels where those of item 'i0'"),
        ("labels", "mask_counts", [None, None, "111"], "add up"),
        ("labels", "mask_counts", [None, None, None], "run-length"),
        ("labels", "mask_size", [None, None, [10**9, 10**9]], "size of a mask"),
        ("labels", "shape", [None, [[1, 2, 3]], None], "not 2 numbers to a point"),
        ("labels", "shape", [None, None, None], "polygon"),
        ("items", "labels", [2], "a label that is not there"),
        ("items", "flags", [[{"rule": "r", "reason": "x", "severity": "loud", "rows": [], "message": ""}]], "loud"),
        ("items", "labels", [4], "ends before the labels of item 'i0'"),
        ("items", "labels", [-1], "labels"),
        ("items", "labels", [None], "labels"),
        ("items", "verdict", ["perhaps"], "verdict"),
        ("items", "meta", ["{"], "i0"),
        ("items", "frame", ['{"kind": "odd"}'], "frame kind"),
        ("items", "attributes", [["odd"]], "no attribute 'odd'"),
        ("items", "context", ['{"mood": 1}'], "no image attribute"),
        ("items", "uri", ["/etc/passwd"], "no path inside"),
    ],
)
def test_what_was_tampered_with_is_refused(tmp_path: Path, table: str, column: str, values: list[Any], message: str) -> None:
    Parquet().export([full(0)], SCHEMA, tmp_path)
    change(tmp_path / f"{table}.parquet", column, values)
    with pytest.raises(FormatError, match=message) as caught:
        list(Parquet().read(tmp_path, SCHEMA))
    assert ".parquet" in caught.value.what


def test_labels_of_no_item_are_refused(tmp_path: Path) -> None:
    Parquet().export([replace(full(), flags=())], SCHEMA, tmp_path)
    change(tmp_path / "items.parquet", "labels", [2])
    with pytest.raises(FormatError, match=r"items that items\.parquet does not have"):
        list(Parquet().read(tmp_path, SCHEMA))


def test_a_flag_about_no_label_is_refused(tmp_path: Path) -> None:
    Parquet().export([replace(full(), flags=(Flag("r", "x", rows=(3,)),))], SCHEMA, tmp_path)
    with pytest.raises(FormatError, match="about a label that is not there"):
        list(Parquet().read(tmp_path, SCHEMA))


def test_what_are_no_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"items\.parquet does not exist"):
        list(Parquet().read(tmp_path, SCHEMA))
    Parquet().export([full(0)], SCHEMA, tmp_path)
    good = (tmp_path / "labels.parquet").read_bytes()
    for text in (b"", b"PAR1", good[:-40], good[:50] + bytes(50) + good[100:]):
        (tmp_path / "labels.parquet").write_bytes(text)
        with pytest.raises(FormatError, match=r"parquet|no tables"):
            list(Parquet().read(tmp_path, SCHEMA))
    (tmp_path / "labels.parquet").write_bytes(good)
    table = pq.read_table(tmp_path / "labels.parquet")
    pq.write_table(table.drop_columns(["score"]), tmp_path / "labels.parquet")
    with pytest.raises(FormatError, match="has no column score"):
        list(Parquet().read(tmp_path, SCHEMA))
