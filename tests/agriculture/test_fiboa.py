"""fiboa in and out: fields only, with the properties that the specification has, of the types that it wants."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely

from hyla import formats
from hyla.types import Kind, Labels
from hyla_agriculture.fiboa import Fiboa
from vectors_kit import FRAMES, SCHEMA, UTM, Known, labels, record, same

FIELD = labels()[[0, 1, 4]]  # of the class field, or of one below it
METHODS = {"manual", "driven", "surveyed", "auto-operation", "auto-imagery", "unknown"}


def back(path, **given):
    return list(Fiboa(**given).read(path, SCHEMA))


def table(path, records):
    Fiboa().export(records, SCHEMA, path)
    return pq.read_table(path / "fields.parquet")


def test_fields_come_back_and_the_rest_is_counted(tmp_path):
    wrote = [record(), record(1, date="2024-06-11")]
    loss = Fiboa().export(iter(wrote), SCHEMA, tmp_path)
    assert loss == {"box": 2, "keypoints": 2, "polyline": 2, "tag": 2}
    for a, b in zip(wrote, back(tmp_path), strict=True):
        assert (b.item, b.frame, b.size, b.source) == (a.item, a.frame, a.size, a.source)
        same(FIELD, b.labels)


def test_columns_have_the_types_of_the_specification(tmp_path):
    found = table(tmp_path, [record()])
    types = {field.name: (field.type, field.nullable) for field in found.schema}
    assert types["id"] == types["collection"] == (pa.string(), False)
    assert types["geometry"] == (pa.binary(), False)
    assert types["metrics:area"] == types["metrics:perimeter"] == (pa.float32(), True)
    assert types["determination:datetime"] == (pa.timestamp("ms", tz="UTC"), True)
    assert types["determination:method"] == (pa.string(), True)
    assert types["bbox"][0] == pa.struct(
        [pa.field(side, pa.float32(), nullable=False) for side in ("xmin", "ymin", "xmax", "ymax")]
    )
    assert not found.schema.names.count("evidence_boundary")


def test_values_are_what_the_specification_says(tmp_path):
    of = labels(evidence={"boundary": [np.nan, 0.8, 0.1, 0.1, np.nan, 0.1, 0.1]})
    machine, person = record(of=of), record(1, of=of, source="human:anna", date="2024-06-11T10:30:00+02:00")
    found = table(tmp_path, [machine, person])
    rows = found.to_pylist()
    assert [row["id"] for row in rows] == ["Ährenfeld 1", "1", "日本"] * 2
    assert [row["collection"] for row in rows] == [machine.item.id] * 3 + [person.item.id] * 3
    assert [row["determination:method"] for row in rows] == ["unknown", "auto-imagery", "unknown"] + ["manual"] * 3
    assert {row["determination:method"] for row in rows} <= METHODS
    assert rows[0]["determination:datetime"] == datetime(2024, 6, 1, tzinfo=UTC)
    assert rows[3]["determination:datetime"] == datetime(2024, 6, 11, 8, 30, tzinfo=UTC)
    frame = gpd.read_parquet(tmp_path / "fields.parquet").to_crs(4326)
    geod = pyproj.Geod(ellps="WGS84")
    for row, shape in zip(rows, frame.geometry, strict=True):
        area, length = geod.geometry_area_perimeter(shapely.orient_polygons(shape))
        assert row["metrics:area"] == pytest.approx(area, rel=1e-5)
        if not shapely.get_num_interior_rings(shapely.get_parts(shape)).any():
            assert row["metrics:perimeter"] == pytest.approx(length, rel=1e-5)
    assert rows[1]["metrics:perimeter"] == pytest.approx(44 * 10, rel=1e-3)  # the outlines and the hole of the mask, in metres


def test_every_collection_names_its_schemas(tmp_path):
    records = [record(), record(1, of=Labels.empty())]
    table(tmp_path, records)
    said = json.loads(pq.read_metadata(tmp_path / "fields.parquet").metadata[b"collection"])
    assert set(said["schemas"]) == {one.item.id for one in records}
    for urls in said["schemas"].values():
        assert urls == [
            "https://vecorel.org/specification/v0.1.0/schema.yaml",
            "https://fiboa.org/specification/v0.3.0/schema.yaml",
        ]


def test_a_field_in_two_parts_has_two_ids(tmp_path):
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9.0]])
    of = Labels.of(
        [0] * 3, kind=Kind.POLYGON, shape=[(square + 20 * n,) for n in range(3)], attributes={"field": ["12", "12", "1"]}
    )
    found = table(tmp_path, [record(of=of), record(1, of=of)])
    assert found["id"].to_pylist() == ["12", "12-1", "1"] * 2


def test_a_date_that_is_none_is_left_out(tmp_path):
    found = table(tmp_path, [record(date="summer")])
    assert found["determination:datetime"].to_pylist() == [None] * 3


def test_a_schema_without_fields_gives_no_rows(tmp_path):
    schema = type(SCHEMA).from_config({"name": "leaves", "kinds": ["box"], "classes": {"lesion": {}}})
    assert Fiboa().export([record(of=Labels.of([0], [[1, 1, 5, 5]]))], schema, tmp_path) == {"box": 1}
    assert [len(one.labels) for one in Fiboa().read(tmp_path, schema)] == [0]


def test_fields_of_another_maker_become_fields(tmp_path):
    boxes = [shapely.box(500100, 5699500, 500400, 5699900), shapely.box(500500, 5699500, 500600, 5699600)]
    frame = gpd.GeoDataFrame(
        {"id": ["12324", "2713"], "collection": ["de_nrw"] * 2, "metrics:area": [120000.0, 10000.0]}, geometry=boxes, crs=32633
    )
    frame["determination:datetime"] = datetime(2005, 2, 28, tzinfo=UTC)
    frame.to_crs(4326).to_parquet(tmp_path / "fields.parquet", write_covering_bbox=True, schema_version="1.1.0")
    known = Known([record(frame=UTM), record(1, date="2024-06-11", frame=UTM), record(2, frame=FRAMES["utm south"])])
    read = back(tmp_path, pictures=known)
    assert [one.item for one in read] == [one.item for one in known.records[:2]]  # however old the outlines are
    for one in read:
        assert one.labels.class_id.tolist() == [0, 0]
        assert one.labels.attributes["field"].tolist() == ["12324", "2713"]
        np.testing.assert_allclose(one.labels.box, [[10, 10, 40, 50], [50, 40, 60, 50]], atol=1e-5)


def test_settings(tmp_path):
    formats.get("fiboa", SCHEMA, crs="EPSG:4326").export([record()], SCHEMA, tmp_path)
    assert gpd.read_parquet(tmp_path / "fields.parquet").crs == "EPSG:4326"
    same(FIELD, back(tmp_path)[0].labels)
