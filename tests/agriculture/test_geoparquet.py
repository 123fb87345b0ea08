"""GeoParquet in and out: the metadata are those of version 1.1, other readers see what was written, and it comes back."""

from __future__ import annotations

import json

import geopandas as gpd
import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import FormatError
from hyla.types import Labels
from hyla_agriculture import vectors
from hyla_agriculture.geoparquet import GeoParquet
from vectors_kit import FRAMES, HOLED, SCHEMA, SINUSOIDAL, UTM, Known, flagged, placed, polygons, record, same

some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIDE = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
# The essentials of https://geoparquet.org/releases/v1.1.0/schema.json.
METADATA = {
    "type": "object",
    "required": ["version", "primary_column", "columns"],
    "properties": {
        "version": {"const": "1.1.0"},
        "primary_column": {"type": "string", "minLength": 1},
        "columns": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["encoding", "geometry_types"],
                "properties": {
                    "encoding": {
                        "enum": ["WKB", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"]
                    },
                    "geometry_types": {
                        "type": "array",
                        "uniqueItems": True,
                        "items": {"pattern": "^(GeometryCollection|(Multi)?(Point|LineString|Polygon))( Z)?$"},
                    },
                    "crs": {"type": ["object", "null"]},
                    "edges": {"enum": ["planar", "spherical"]},
                    "orientation": {"const": "counterclockwise"},
                    "bbox": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
                    "covering": {
                        "type": "object",
                        "required": ["bbox"],
                        "properties": {
                            "bbox": {
                                "type": "object",
                                "required": ["xmin", "xmax", "ymin", "ymax"],
                                "properties": dict.fromkeys(["xmin", "xmax", "ymin", "ymax"], SIDE),
                            }
                        },
                    },
                },
            },
        },
    },
}


def back(path, **given):
    return list(GeoParquet(**given).read(path, SCHEMA))


def metadata(path):
    return json.loads(pq.read_metadata(path).metadata[b"geo"])


def test_what_is_written_comes_back(tmp_path):
    wrote = [flagged(), record(1, of=Labels.empty()), record(2, date="2024-06-11")]
    assert GeoParquet().export(iter(wrote), SCHEMA, tmp_path) == {"tag": 2, "flag": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["labels.parquet"]
    for a, b in zip(wrote, back(tmp_path), strict=True):
        assert (b.item, b.frame, b.size, b.source, b.verdict) == (a.item, a.frame, a.size, a.source, a.verdict)
        same(placed(a.labels), b.labels)


@some
@given(name=st.sampled_from(sorted(FRAMES)), of=polygons())
def test_polygons_of_any_shape_come_back_in_any_crs(tmp_path, name, of):
    wrote = record(frame=FRAMES[name], of=of)
    GeoParquet().export([wrote], SCHEMA, tmp_path)
    (read,) = back(tmp_path)
    same(wrote.labels, read.labels)
    frame = gpd.read_parquet(tmp_path / "labels.parquet")
    assert frame.crs == pyproj.CRS(FRAMES[name].crs)
    assert frame.geometry.is_valid.all()
    assert frame.geometry.explode().exterior.is_ccw.all()
    box = pq.read_table(tmp_path / "labels.parquet")["bbox"].to_pylist()
    inner = frame.geometry.bounds.to_numpy()
    outer = np.array([[one[side] for side in ("xmin", "ymin", "xmax", "ymax")] for one in box]).reshape(-1, 4)
    assert (outer[:, :2] <= inner[:, :2]).all()
    assert (outer[:, 2:] >= inner[:, 2:]).all()


def test_the_metadata_are_those_of_version_1_1(tmp_path):
    GeoParquet().export([record()], SCHEMA, tmp_path)
    path = tmp_path / "labels.parquet"
    geo = metadata(path)
    jsonschema.validate(geo, METADATA)
    column = geo["columns"][geo["primary_column"]]
    assert column["geometry_types"] == ["LineString", "MultiPolygon", "Point", "Polygon"]
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32633}
    np.testing.assert_allclose(column["bbox"], gpd.read_parquet(path).total_bounds)
    table = pq.read_schema(path)
    assert table.field("geometry").type == pa.binary()
    assert {field.type for field in table.field("bbox").type} == {pa.float32()}
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]


def test_geopandas_reads_values_types_and_boxes(tmp_path):
    GeoParquet().export([flagged()], SCHEMA, tmp_path)
    path = tmp_path / "labels.parquet"
    frame = gpd.read_parquet(path)
    assert [None if value != value else value for value in frame["field"].tolist()] == [
        "Ährenfeld 1",
        None,
        "x'y\"z",
        "",
        "日本",
        None,
    ]
    assert frame.geometry[0].equals(shapely.Polygon(UTM.to_world(HOLED[0]), [UTM.to_world(HOLED[1])]))
    types = {
        name: pq.read_schema(path).field(name).type for name in ("ndvi", "bbch", "irrigated", "method", "eppo", "label_area_ha")
    }
    assert types == {
        "ndvi": pa.float64(),
        "bbch": pa.int64(),
        "irrigated": pa.bool_(),
        "method": pa.string(),
        "eppo": pa.string(),
        "label_area_ha": pa.float64(),
    }
    assert frame["eppo"].tolist()[3] == "ZEAMX"
    near = gpd.read_parquet(path, bbox=(500590, 5699300, 500650, 5699450))  # uses the covering
    assert near["kind"].tolist() == ["rotated_box"]


def test_a_crs_without_code_is_written_whole(tmp_path):
    GeoParquet().export([record(frame=FRAMES["sinusoidal"])], SCHEMA, tmp_path)
    crs = metadata(tmp_path / "labels.parquet")["columns"]["geometry"]["crs"]
    assert "id" not in crs
    assert pyproj.CRS.from_json_dict(crs) == pyproj.CRS(SINUSOIDAL)
    same(placed(record().labels), back(tmp_path)[0].labels)


def test_no_labels_at_all_is_a_file_too(tmp_path):
    GeoParquet().export([record(of=Labels.empty())], SCHEMA, tmp_path)
    jsonschema.validate(metadata(tmp_path / "labels.parquet"), METADATA)
    assert len(gpd.read_parquet(tmp_path / "labels.parquet")) == 0
    assert [len(one.labels) for one in back(tmp_path)] == [0]
    GeoParquet().export([], SCHEMA, tmp_path)
    assert back(tmp_path) == []


def test_row_groups_are_written_as_the_records_come(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "ROWS", 10)
    wrote = [record(n) for n in range(60)]
    GeoParquet().export(iter(wrote), SCHEMA, tmp_path)
    assert pq.read_metadata(tmp_path / "labels.parquet").num_row_groups == 30
    for a, b in zip(wrote, back(tmp_path), strict=True):
        assert a.item == b.item
        same(placed(a.labels), b.labels)


def test_rows_in_another_order_come_back(tmp_path):
    wrote = [record(n) for n in range(3)]
    GeoParquet().export(wrote, SCHEMA, tmp_path)
    path = tmp_path / "labels.parquet"
    table = pq.read_table(path)
    order = np.random.default_rng(0).permutation(len(table))
    pq.write_table(table.take(order), path, row_group_size=4)
    for a, b in zip(wrote, back(tmp_path), strict=True):
        same(placed(a.labels), b.labels)


def test_files_of_geopandas_land_on_the_scenes_they_lie_on(tmp_path):
    boxes = [shapely.box(500100, 5699500, 500400, 5699900), shapely.box(0, 0, 1, 1)]
    frame = gpd.GeoDataFrame({"class": ["maize", "field"], "ndvi": [0.5, 0.1], "list": [[1], [2]]}, geometry=boxes, crs=32633)
    frame.to_parquet(tmp_path / "a.parquet")
    (read,) = back(tmp_path, pictures=Known([record(of=Labels.empty())]))
    np.testing.assert_allclose(read.labels.box, [[10, 10, 40, 50]])
    assert read.labels.attributes["ndvi"].tolist() == [0.5]
    frame.iloc[:1].to_crs(4326).to_parquet(tmp_path / "a.parquet")
    (read,) = back(tmp_path, pictures=Known([record(of=Labels.empty())]))
    np.testing.assert_allclose(read.labels.box, [[10, 10, 40, 50]], atol=1e-6)


def test_a_file_that_geopandas_wrote_again_still_finds_its_items(tmp_path):
    wrote = [record(n) for n in range(2)]
    GeoParquet().export(wrote, SCHEMA, tmp_path)
    frame = gpd.read_parquet(tmp_path / "labels.parquet")
    frame[frame["label"] == 0].to_parquet(tmp_path / "labels.parquet")
    read = back(tmp_path, pictures=Known(wrote))
    assert [one.item for one in read] == [one.item for one in wrote]
    assert [one.labels.attributes["field"].tolist() for one in read] == [["Ährenfeld 1"], ["Ährenfeld 1"]]


def test_real_parcels_are_read(shared):
    path = shared / "data" / "agriculture" / "field_polygons" / "jp_field_polygons_2024.parquet"
    frame = gpd.read_parquet(path)
    x0, y0, x1, y1 = frame.total_bounds
    over = type(UTM)(((x1 - x0) / 120, 0, x0, 0, (y0 - y1) / 100, y1), "EPSG:6668")
    read = list(GeoParquet(class_column="land_type", unknown="skip", pictures=Known([record(frame=over)])).read(path, SCHEMA))
    assert read == []  # its land types, 100 and 200, are no class
    names = {"one": {"codes": {"maff": "100"}}, "two": {"codes": {"maff": "200"}}}
    schema = type(SCHEMA).from_config({"name": "jp", "kinds": ["polygon"], "classes": names})
    (found,) = GeoParquet(class_column="land_type", pictures=Known([record(frame=over)])).read(path, schema)
    assert len(found.labels) == len(frame) == 100
    bounds = shapely.bounds(shapely.transform(frame.geometry.to_numpy(), over.to_pixels))
    assert sorted(found.labels.box[:, 0].round(6)) == sorted(bounds[:, 0].round(6))


@pytest.mark.parametrize("damage", ["hyla", "geo"])
def test_damaged_metadata_are_refused(tmp_path, damage):
    GeoParquet().export([record()], SCHEMA, tmp_path)
    path = tmp_path / "labels.parquet"
    table = pq.read_table(path)
    for value in (b"", b"[]", b"{}", b'{"items": [1], "columns": {"own": {"item": "item"}}, "crs": "EPSG:1"}', b"\xff"):
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, damage.encode(): value}), path)
        with pytest.raises(FormatError):
            back(path)


def test_files_that_are_no_geoparquet_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    for data in (b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"):
        path.write_bytes(data)
        with pytest.raises(FormatError, match="is no GeoParquet file"):
            back(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(FormatError, match="without geometry"):
        back(path)
    box = gpd.GeoDataFrame({"class": ["field"]}, geometry=[shapely.box(0, 0, 1, 1)])
    box.to_parquet(path)
    with pytest.raises(FormatError, match="has no CRS"):
        back(path, pictures=Known([record()]))
    box.set_crs(4326).to_parquet(path, geometry_encoding="geoarrow", schema_version="1.1.0")
    with pytest.raises(FormatError, match="holds geometry as polygon"):
        back(path, pictures=Known([record()]))


def test_the_same_labels_give_the_same_bytes(tmp_path):
    for name in "ab":
        formats.get("geoparquet", SCHEMA).export([record(), record(1)], SCHEMA, tmp_path / name)
    assert (tmp_path / "a" / "labels.parquet").read_bytes() == (tmp_path / "b" / "labels.parquet").read_bytes()
