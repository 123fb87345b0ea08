"""GeoJSON in and out: what RFC 7946 asks for, also across the antimeridian and around a pole."""

from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.frame import MapFrame
from hyla.types import Kind, Labels
from hyla_agriculture.geojson import GeoJson
from vectors_kit import FRAMES, HOLED, SCHEMA, SIZE, UTM, Known, flagged, labels, placed, polygons, record, same

some = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CENTIMETRE = 2e-3  # in pixels of 10 m, and a little


def back(path, **given):
    return list(GeoJson(**given).read(path, SCHEMA))


def written(path, records, **given):
    GeoJson(**given).export(records, SCHEMA, path)
    return json.loads((path / "labels.geojson").read_text())


def test_what_is_written_comes_back_to_a_centimetre(tmp_path):
    wrote = [flagged(), record(1, of=Labels.empty()), record(2, date="2024-06-11")]
    assert GeoJson().export(iter(wrote), SCHEMA, tmp_path) == {"tag": 2, "flag": 2}
    for a, b in zip(wrote, back(tmp_path), strict=True):
        assert (b.item, b.frame, b.size, b.source, b.verdict) == (a.item, a.frame, a.size, a.source, a.verdict)
        same(placed(a.labels), b.labels, CENTIMETRE)


def test_with_more_decimals_it_comes_back_as_it_was(tmp_path):
    GeoJson(decimals=15).export([record()], SCHEMA, tmp_path)
    same(placed(labels()), back(tmp_path)[0].labels, 1e-6)


def positions(geometry):
    return shapely.get_coordinates(shapely.from_geojson(json.dumps(geometry)))


@some
@given(name=st.sampled_from(sorted(FRAMES)), of=polygons())
def test_files_keep_the_rules_of_rfc_7946(tmp_path, name, of):
    file = written(tmp_path, [record(frame=FRAMES[name], of=of)])
    assert file["type"] == "FeatureCollection"
    assert "crs" not in file
    assert len(file["features"]) == len(of)
    for one in file["features"]:
        assert one.keys() == {"type", "properties", "geometry"}
        shape = shapely.from_geojson(json.dumps(one["geometry"]))
        assert shape.is_valid
        for part in shapely.get_parts(shape):
            assert part.exterior.is_ccw
            assert not any(ring.is_ccw for ring in part.interiors)
        at = positions(one["geometry"])
        assert (np.abs(at) <= (180, 90)).all()
        if shape.area > 1e-12:
            np.testing.assert_array_equal(at, at.round(7))
    if len(of):
        every = np.concatenate([positions(one["geometry"]) for one in file["features"]])
        np.testing.assert_allclose(file["bbox"], [*every.min(axis=0), *every.max(axis=0)])


def test_gdal_reads_what_was_written(tmp_path):
    written(tmp_path, [flagged()])
    frame = gpd.read_file(tmp_path / "labels.geojson")
    assert frame.crs == "EPSG:4326"
    assert frame["field"].tolist()[0] == "Ährenfeld 1"
    assert frame["bbch"].tolist()[3] == 99
    assert frame["flags"].tolist()[:2] == ["cloudy, late", "late"]
    expected = gpd.GeoSeries([shapely.Polygon(UTM.to_world(HOLED[0]), [UTM.to_world(HOLED[1])])], crs=32633).to_crs(4326)
    assert shapely.hausdorff_distance(frame.geometry[0], expected[0]) < 1e-7


def test_a_sequence_is_read_by_gdal_and_comes_back(tmp_path):
    wrote = [record(), record(1, of=Labels.empty())]
    formats.get("geojson", SCHEMA, sequence=True).export(wrote, SCHEMA, tmp_path)
    path = tmp_path / "labels.geojsons"
    texts = path.read_bytes().split(b"\x1e")
    assert texts[0] == b""
    assert all(text.endswith(b"\n") and json.loads(text) for text in texts[1:])  # RFC 8142: RS, a text, LF
    assert len(pyogrio.read_dataframe(path)) == 6
    for a, b in zip(wrote, back(tmp_path), strict=True):
        same(placed(a.labels), b.labels, CENTIMETRE)


FIJI = MapFrame((10, 0, 818500, 0, -10, 8100000), "EPSG:32760")  # the antimeridian crosses it at column 67
CHUKOTKA = MapFrame((0.001, 0, 179.94, 0, -0.001, 66.1), "EPSG:4326")  # in degrees up to 180.06


@pytest.mark.parametrize("frame", [FIJI, CHUKOTKA])
def test_what_crosses_the_antimeridian_is_cut_there_and_comes_back_whole(tmp_path, frame):
    of = placed(labels())
    shapes = of.shape.copy()
    shapes[0] = (np.array([[10, 10], [110, 15], [105, 90], [20, 80.0]]), np.array([[50, 30], [60, 70], [80, 50.0]]))
    shapes[5] = np.array([[5, 5], [60, 40], [115, 90.0]])
    of.shape[:] = shapes
    of.box[[0, 2, 5]] = [(10, 10, 110, 90), (30, 20, 100, 50), (5, 5, 115, 90)]
    wrote = record(frame=frame, of=of)
    file = written(tmp_path, [wrote], decimals=12)
    kinds = {one["properties"]["kind"]: one["geometry"]["type"] for one in file["features"]}
    assert {kind for kind, drawn in kinds.items() if drawn.startswith("Multi")} >= {"polygon", "mask", "box", "polyline"}
    for one in file["features"]:
        shape = shapely.from_geojson(json.dumps(one["geometry"]))
        assert shape.is_valid
        assert (np.abs(shapely.get_coordinates(shape)[:, 0]) <= 180).all()
        for part in shapely.get_parts(shape):
            assert part.bounds[2] - part.bounds[0] < 1
    west, _, east, _ = file["bbox"]
    assert west > 179
    assert east < -179  # RFC 7946, 5.2: the box crosses, so its west is the greater
    (read,) = back(tmp_path)
    same(wrote.labels, read.labels, 1e-2)
    assert len(read.labels.shape[0]) == 2  # one outline with one hole


@pytest.mark.parametrize("crs", ["EPSG:32660", "EPSG:4326", "EPSG:3832"])
@pytest.mark.parametrize("frame", [FIJI, CHUKOTKA])
def test_a_geopackage_across_the_antimeridian_comes_back_in_any_crs(tmp_path, frame, crs):
    ring = np.array([[10, 10], [110, 15], [105, 90], [20, 80.0]])
    wrote = record(frame=frame, of=Labels.of([0, 4], kind=Kind.POLYGON, shape=[(ring, ring[::-1] / 4 + 40), (ring / 10,)]))
    formats.get("geopackage", SCHEMA, crs=crs).export([wrote], SCHEMA, tmp_path)
    (read,) = formats.get("geopackage", SCHEMA).read(tmp_path, SCHEMA)
    same(wrote.labels, read.labels, 1e-2)
    assert [len(shape) for shape in read.labels.shape] == [2, 1]


def test_fields_of_another_maker_lie_on_a_scene_across_the_antimeridian(tmp_path):
    ring = np.array([[10, 10], [110, 15], [105, 90], [20, 80.0]])
    drawn = record(frame=CHUKOTKA, of=Labels.of([0], kind=Kind.POLYGON, shape=[(ring,)]))
    file = written(tmp_path, [drawn], decimals=12)
    del file["hyla"]
    for one in file["features"]:
        del one["properties"]["item"]
    (tmp_path / "labels.geojson").write_text(json.dumps(file))
    (read,) = back(tmp_path, pictures=Known([drawn]))
    same(Labels.of([0], kind=Kind.POLYGON, shape=[(ring,)]), read.labels, 1e-4)


ARCTIC = MapFrame((1000, 0, -60000, 0, -1000, 50000), "EPSG:3413")  # the pole lies at (60, 50)


def test_an_area_around_the_pole_reaches_up_to_it(tmp_path):
    ring = np.array([[60 + 30 * np.cos(t), 50 + 30 * np.sin(t)] for t in np.linspace(0, 2 * np.pi, 48, endpoint=False)])
    hole = np.array([[60 + 10 * np.cos(t), 50 + 10 * np.sin(t)] for t in np.linspace(0, 2 * np.pi, 24, endpoint=False)])
    of = Labels.of([0, 1], kind=Kind.POLYGON, shape=[(ring,), (ring, hole)])
    file = written(tmp_path, [record(frame=ARCTIC, of=of)])
    cap, band = (shapely.from_geojson(json.dumps(one["geometry"])) for one in file["features"])
    assert cap.is_valid
    assert cap.bounds[0] == -180
    assert cap.bounds[2] == 180
    assert cap.bounds[3] == 90
    assert band.is_valid
    assert band.bounds[3] < 89.95
    for lon in range(-175, 180, 25):
        assert cap.contains(shapely.Point(lon, 89.99))
        assert not band.contains(shapely.Point(lon, 89.99))
        assert band.contains(shapely.Point(lon, 89.85))
    assert file["bbox"][0] == -180
    assert file["bbox"][2:] == [180, 90]


def test_what_has_no_place_on_the_globe_is_counted_as_lost(tmp_path):
    off = MapFrame((100000, 0, 0, 0, -100000, 0), "EPSG:3413")  # far beyond the equator: no place of this projection
    nowhere = MapFrame((1e30, 0, 0, 0, -1e30, 0), "EPSG:32633")
    of = Labels.of([0], [[10, 10, 20, 20]])
    loss = GeoJson().export([record(frame=nowhere, of=of), record(1, of=of), record(2, frame=off, of=of)], SCHEMA, tmp_path)
    read = back(tmp_path)
    assert [len(one.labels) for one in read][:2] == [0, 1]
    assert loss["box"] == 3 - sum(len(one.labels) for one in read)
    assert loss["box"] >= 1


def test_small_areas_stay_areas(tmp_path):
    centimetres = MapFrame((0.001, 0, 500000, 0, -0.001, 5700000), "EPSG:32633")
    of = Labels.of(
        [0, 0],
        kind=Kind.POLYGON,
        shape=[(np.array([[0, 0], [3, 0], [3, 3.0]]),), (np.array([[0, 0], [90, 0], [90, 90], [0, 45.0]]),)],
    )
    file = written(tmp_path, [record(frame=centimetres, of=of)])
    shapes = [shapely.from_geojson(json.dumps(one["geometry"])) for one in file["features"]]
    assert all(one.is_valid and one.area > 0 for one in shapes)


def test_files_of_others_are_read(tmp_path):
    known = Known([record(of=Labels.empty())])
    frame = gpd.GeoDataFrame(
        {"class": ["maize"], "ndvi": [0.5]}, geometry=[shapely.box(500100, 5699500, 500400, 5699900)], crs=32633
    )
    frame.to_crs(4326).to_file(tmp_path / "plain.geojson", driver="GeoJSON", RFC7946="YES", COORDINATE_PRECISION=12)
    frame.to_file(tmp_path / "old.geojson", driver="GeoJSON")  # of 2008, with a CRS of its own
    frame.to_crs(4326).to_file(tmp_path / "lines.geojsonl", driver="GeoJSONSeq", COORDINATE_PRECISION=12)
    feature = json.loads((tmp_path / "plain.geojson").read_text())["features"][0]
    (tmp_path / "one.json").write_text("\ufeff" + json.dumps(feature))
    for name in ("plain.geojson", "old.geojson", "lines.geojsonl", "one.json"):
        (read,) = back(tmp_path / name, pictures=known)
        np.testing.assert_allclose(read.labels.box, [[10, 10, 40, 50]], atol=1e-4, err_msg=name)
        assert read.labels.attributes["ndvi"].tolist() == [0.5]
        assert read.labels.class_id.tolist() == [4]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"type": "Point", "coordinates": [1, 2]}', '{"type": "FeatureCollection", "features": 3}',
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": {"type": "Polygon"}}]}',
        '{"type": "FeatureCollection", "features": [], "hyla": {}}',
        '{"type": "FeatureCollection", "features": [], "hyla": {"items": 3}}',
        '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read a.vrt"}',
        "\x1e\xff", "{}\n{}", '{"type":' * 5000,
    ],
)  # fmt: skip
def test_what_is_no_geojson_is_refused(tmp_path, text):
    path = tmp_path / "a.geojson"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError):
        back(path, pictures=Known([record(of=Labels.empty())]))


def test_rows_without_geometry_are_refused_or_left_out(tmp_path):
    feature = {"type": "Feature", "properties": {"class": "field"}, "geometry": None}
    box = {"type": "Polygon", "coordinates": [UTM.to_world([[1, 1], [9, 1], [9, 9], [1, 1]]).tolist()]}
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    both = {"type": "FeatureCollection", "crs": crs, "features": [feature, {**feature, "geometry": box}]}
    (tmp_path / "a.geojson").write_text(json.dumps(both))
    known = Known([record(of=Labels.empty())])
    with pytest.raises(FormatError, match="no geometry"):
        back(tmp_path, pictures=known)
    (read,) = back(tmp_path, pictures=known, unknown="skip")
    np.testing.assert_allclose(read.labels.box, [[1, 1, 9, 9]])


def test_the_shared_fields_are_read(shared):
    path = shared / "data" / "agriculture" / "field_polygons" / "fiboa-example.json"
    frame = gpd.read_file(path)
    x0, y0, x1, y1 = frame.total_bounds
    over = MapFrame(((x1 - x0) / SIZE[1], 0, x0, 0, (y0 - y1) / SIZE[0], y1), "EPSG:4326")
    schema = type(SCHEMA).from_config({"name": "nrw", "kinds": ["polygon"], "classes": {"arable": {"codes": {"nrw": "A"}}}})
    (read,) = GeoJson(class_column="crop:code", pictures=Known([record(frame=over)])).read(path, schema)
    assert len(read.labels) == len(frame) == 2


def test_settings():
    with pytest.raises(ConfigError, match="decimals"):
        GeoJson(decimals=20)
