"""GeoPackage in and out: what GDAL and SQLite read is what was written, and it comes back onto the pixels."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing

import defusedxml.ElementTree as ElementTree
import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.types import Kind, Labels
from hyla_agriculture.geopackage import GeoPackage
from vectors_kit import FRAMES, HOLED, SCHEMA, SIZE, UTM, Known, flagged, labels, placed, polygons, record, same

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def back(path, **given):
    return list(GeoPackage(**given).read(path, SCHEMA))


def query(path, text):
    with closing(sqlite3.connect(path)) as base:
        return base.execute(text).fetchall()


def test_what_is_written_comes_back(tmp_path):
    wrote = [flagged(), record(1, date="2024-06-11"), record(2, of=Labels.empty({"date": "2024-07-01"}))]
    loss = GeoPackage().export(iter(wrote), SCHEMA, tmp_path)
    assert loss == {"tag": 2, "flag": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["labels.gpkg"]
    read = back(tmp_path)
    for a, b in zip(wrote, read, strict=True):
        assert (b.item, b.frame, b.size, b.source, b.verdict) == (a.item, a.frame, a.size, a.source, a.verdict)
        same(placed(a.labels), b.labels)


@few
@given(name=st.sampled_from(sorted(FRAMES)), of=polygons())
def test_polygons_of_any_shape_come_back_in_any_crs(tmp_path, name, of):
    wrote = record(frame=FRAMES[name], of=of)
    GeoPackage().export([wrote], SCHEMA, tmp_path)
    (read,) = back(tmp_path)
    same(wrote.labels, read.labels, 1e-6)


@few
@given(parts=st.lists(st.tuples(st.sampled_from(sorted(FRAMES)), polygons()), min_size=2, max_size=4))
def test_scenes_of_several_crs_share_one(tmp_path, parts):
    wrote = [record(n, frame=FRAMES[name], of=of) for n, (name, of) in enumerate(parts)]
    GeoPackage().export(wrote, SCHEMA, tmp_path)
    if len({name for name, of in parts if len(of)}) > 1:
        assert pyogrio.read_info(tmp_path / "labels.gpkg", layer="polygons")["crs"] == "EPSG:4326"
    for a, b in zip(wrote, back(tmp_path), strict=True):
        same(a.labels, b.labels, 1e-5)


def test_gdal_reads_each_layer_with_its_types(tmp_path):
    GeoPackage().export([flagged()], SCHEMA, tmp_path)
    path = tmp_path / "labels.gpkg"
    listed = dict(pyogrio.list_layers(path).tolist())
    assert listed == {"polygons": "MultiPolygon", "points": "Point", "lines": "MultiLineString"} | dict.fromkeys(
        ["hyla_items", "hyla_about", "layer_styles"]
    )
    frame = gpd.read_file(path, layer="polygons", use_arrow=True)
    assert frame.crs == "EPSG:32633"
    first = frame.iloc[0]
    assert first[["item", "label", "uri", "date", "class", "kind", "score"]].tolist() == [
        record().item.id, 0, "scenes/leipzig.vrt", "2024-06-01", "field", "polygon", 0.5,
    ]  # fmt: skip
    assert first[["field", "bbch", "irrigated", "method", "area_ha", "attribute_FID"]].tolist() == [
        "Ährenfeld 1",
        12,
        True,
        "manual",
        1.25,
        "a",
    ]
    assert first[["source", "label_method", "verdict", "flags"]].tolist() == [
        "model:zones@abc",
        "automated",
        "review",
        "cloudy, late",
    ]
    assert frame["flags"].tolist()[1:] == ["late"] * 3
    assert frame["worldcover"].tolist()[2] == "80"
    drawn = shapely.Polygon(UTM.to_world(HOLED[0]), [UTM.to_world(HOLED[1])])
    assert first.geometry.equals(shapely.MultiPolygon([drawn]))
    assert first["label_area_ha"] == pytest.approx(
        drawn.area / 1e4, rel=1e-3
    )  # the scale of UTM at its central meridian is 0.9996
    types = dict(zip(*(pyogrio.read_info(path, layer="polygons")[key] for key in ("fields", "ogr_types")), strict=True))
    assert (types["ndvi"], types["bbch"], types["field"], types["irrigated"]) == (
        "OFTReal",
        "OFTInteger64",
        "OFTString",
        "OFTInteger",
    )
    assert gpd.read_file(path, layer="points").geometry.tolist() == [shapely.Point(500505, 5699497.5)]


def test_the_file_is_a_sound_geopackage(tmp_path):
    GeoPackage().export([record()], SCHEMA, tmp_path)
    path = tmp_path / "labels.gpkg"
    assert query(path, "PRAGMA application_id") == [(0x47504B47,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    contents = dict(query(path, "SELECT table_name, data_type FROM gpkg_contents"))
    assert {name for name, kind in contents.items() if kind == "features"} == {"polygons", "points", "lines"}
    tables = {name for (name,) in query(path, "SELECT name FROM sqlite_master")}
    for layer in ("polygons", "points", "lines"):
        assert f"rtree_{layer}_geom" in tables
        assert query(path, f"SELECT count(*) FROM rtree_{layer}_geom") == query(path, f"SELECT count(*) FROM {layer}")
    found = gpd.read_file(path, layer="polygons", bbox=(500590, 5699300, 500650, 5699450))  # by the index: the rotated box only
    assert found["kind"].tolist() == ["rotated_box"]


def test_the_same_labels_give_the_same_bytes(tmp_path):
    for name in "ab":
        GeoPackage().export([record(), record(1)], SCHEMA, tmp_path / name)
    assert (tmp_path / "a" / "labels.gpkg").read_bytes() == (tmp_path / "b" / "labels.gpkg").read_bytes()


def test_qgis_finds_a_style_for_each_layer(tmp_path):
    GeoPackage().export([record()], SCHEMA, tmp_path)
    styles = pyogrio.read_dataframe(tmp_path / "labels.gpkg", layer="layer_styles")
    assert sorted(styles["f_table_name"]) == ["lines", "points", "polygons"]
    assert styles["useAsDefault"].all()
    for text in styles["styleQML"]:
        renderer = ElementTree.fromstring(text.partition("\n")[2]).find("renderer-v2")
        assert renderer.get("attr") == "class"
        named = {one.get("value"): one.get("symbol") for one in renderer.iter("category")}
        assert list(named) == ["field", "stressed", "stress_zone", "maize", "water"]
        symbols = {
            one.get("name"): [o.get("value") for o in one.iter("Option") if (o.get("name") or "").endswith("color")]
            for one in renderer.iter("symbol")
        }
        assert any(value.startswith("26,150,65,") for value in symbols[named["field"]])


def test_labels_edited_in_a_gis_come_back_as_edited(tmp_path):
    GeoPackage().export([record()], SCHEMA, tmp_path)
    path = tmp_path / "labels.gpkg"
    frame = pyogrio.read_dataframe(path, layer="polygons")
    frame.loc[0, "class"] = "maize"
    frame.loc[2, "geometry"] = shapely.MultiPolygon(
        [shapely.Polygon(UTM.to_world([[1, 2], [30, 2], [30, 40]]))]
    )  # no longer a box
    frame.loc[3, ["label", "kind", "score"]] = None
    far = UTM.to_world([[-50, -50], [10, -50], [10, 10], [-50, 10]])
    frame.loc[3, "geometry"] = shapely.MultiPolygon([shapely.Polygon(far)])
    pyogrio.write_dataframe(frame.convert_dtypes(), path, layer="polygons", driver="GPKG", geometry_type="MultiPolygon")
    (read,) = back(path)
    kinds = dict(zip(read.labels.class_id.tolist(), read.labels.kind.tolist(), strict=True))
    assert read.labels.class_id.tolist() == [4, 1, 5, 4, 5, 0]  # the row without a number stands last
    assert kinds[0] == Kind.POLYGON
    assert read.labels.kind[2] == Kind.POLYGON
    np.testing.assert_allclose(read.labels.box[-1], [0, 0, 10, 10], atol=1e-6)  # cut off at the edge of the raster


def test_rows_of_no_item_are_refused(tmp_path):
    GeoPackage().export([record()], SCHEMA, tmp_path)
    path = tmp_path / "labels.gpkg"
    frame = pyogrio.read_dataframe(path, layer="polygons")
    frame.loc[0, "item"] = None
    pyogrio.write_dataframe(frame.convert_dtypes(), path, layer="polygons", driver="GPKG", geometry_type="MultiPolygon")
    with pytest.raises(FormatError, match="1 rows are of no item"):
        back(path)
    assert len(back(path, unknown="skip")[0].labels) == 5


@pytest.mark.parametrize("code", ["field", "ZEAMX", 80])
def test_fields_of_another_maker_land_on_the_scenes_they_lie_on(tmp_path, code):
    known = [record(0, of=Labels.empty()), record(1, date="2024-06-11", of=Labels.empty())]
    known.append(record(2, frame=FRAMES["utm south"], of=Labels.empty()))
    inside, across, outside = (shapely.box(x, 5699500, x + 300, 5699900) for x in (500100, 501100, 600000))
    frame = gpd.GeoDataFrame(
        {"crop": [code] * 3, "bbch": [10, None, 30], "other": ["a", "b", "c"]}, geometry=[inside, across, outside], crs=32633
    )
    frame.to_crs(3035).to_file(tmp_path / "fields.gpkg", layer="parcels")
    read = back(tmp_path, class_column="crop", pictures=Known(known))
    assert [one.item for one in read] == [one.item for one in known[:2]]
    for one in read:
        assert set(one.labels.class_id.tolist()) == {{"field": 0, "ZEAMX": 4, 80: 5}[code]}
        np.testing.assert_allclose(one.labels.box, [[10, 10, 40, 50], [110, 10, 120, 50]], atol=1e-3)
        assert one.labels.attributes["bbch"].tolist()[0] == 10
        assert one.frame == UTM
        assert one.size == SIZE


def test_a_row_with_a_date_is_of_that_date_only(tmp_path):
    known = [record(0, of=Labels.empty()), record(1, date="2024-06-11", of=Labels.empty())]
    box = shapely.box(500100, 5699500, 500400, 5699900)
    gpd.GeoDataFrame({"class": ["field", "maize"], "date": ["2024-06-11", None]}, geometry=[box, box], crs=32633).to_file(
        tmp_path / "f.gpkg"
    )
    read = back(tmp_path, pictures=Known(known))
    assert [one.labels.class_id.tolist() for one in read] == [[4], [0, 4]]


def test_points_from_the_field_are_keypoints(tmp_path):
    points = [shapely.Point(500505, 5699495), shapely.MultiPoint([(500105, 5699895), (500205, 5699795)])]
    gpd.GeoDataFrame({"class": ["maize", "water"]}, geometry=points, crs=32633).to_file(tmp_path / "points.gpkg")
    (read,) = back(tmp_path, pictures=Known([record(of=Labels.empty())]))
    assert read.labels.kind.tolist() == [Kind.KEYPOINTS] * 3
    assert [shape[0].round(6).tolist() for shape in read.labels.shape] == [[50.5, 50.5, 2], [10.5, 10.5, 2], [20.5, 20.5, 2]]


def test_files_that_do_not_fit_are_refused(tmp_path):
    known = Known([record(of=Labels.empty())])
    frame = gpd.GeoDataFrame({"class": ["wheat"]}, geometry=[shapely.box(500100, 5699500, 500400, 5699900)], crs=32633)
    frame.to_file(tmp_path / "a.gpkg", layer="a")
    with pytest.raises(FormatError, match="has no class 'wheat'"):
        back(tmp_path / "a.gpkg", pictures=known)
    with pytest.raises(FormatError, match="no items on a map are known"):
        back(tmp_path / "a.gpkg")
    with pytest.raises(FormatError, match="has a column 'crop'"):
        back(tmp_path / "a.gpkg", class_column="crop", pictures=known)
    with pytest.raises(FormatError, match="no layer 'b'"):
        back(tmp_path / "a.gpkg", layer="b", pictures=known)
    frame.assign(**{"class": "maize"}).to_crs(4326).translate(90).to_frame("geometry").assign(**{"class": "maize"}).to_file(
        tmp_path / "far.gpkg"
    )
    with pytest.raises(FormatError, match="none of its 1 rows lies on an item"):
        back(tmp_path / "far.gpkg", pictures=known)
    frame.to_file(tmp_path / "bare.gpkg", layer="bare")
    with closing(sqlite3.connect(tmp_path / "bare.gpkg")) as base, base:
        base.execute("UPDATE gpkg_geometry_columns SET srs_id = -1")
        base.execute("UPDATE gpkg_contents SET srs_id = -1")
    with pytest.raises(FormatError, match="no way from the coordinates of 'Undefined Cartesian SRS'"):
        back(tmp_path / "bare.gpkg", pictures=known)


def test_what_is_no_geopackage_is_refused(tmp_path):
    for name, data in {"a": b"", "b": b"SQLite format 3\0" + bytes(200), "c": b"{}", "d": b"<OGRVRTDataSource/>"}.items():
        path = tmp_path / f"{name}.gpkg"
        path.write_bytes(data)
        with pytest.raises(FormatError, match="is no GeoPackage"):
            back(path, pictures=Known([record()]))
    GeoPackage().export([record()], SCHEMA, tmp_path / "whole")
    whole = (tmp_path / "whole" / "labels.gpkg").read_bytes()
    cut = tmp_path / "cut.gpkg"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="is no GeoPackage, or a damaged one"):
        back(cut)


@pytest.mark.parametrize("text", ['{"version": 2}', "[]", "nonsense", '{"columns": {"own": {}}}', "null"])
def test_damaged_tables_of_hyla_are_refused(tmp_path, text):
    GeoPackage().export([record()], SCHEMA, tmp_path)
    path = tmp_path / "labels.gpkg"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE hyla_about SET about = ?", (text,))
    with pytest.raises(FormatError):
        back(path)


def test_an_item_outside_its_source_is_refused(tmp_path):
    GeoPackage().export([record()], SCHEMA, tmp_path)
    path = tmp_path / "labels.gpkg"
    ((text,),) = query(path, "SELECT record FROM hyla_items")
    values = json.loads(text)
    values["item"]["uri"] = "../../etc/passwd"
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE hyla_items SET record = ?", (json.dumps(values),))
    with pytest.raises(FormatError, match="no path inside"):
        back(path)


def test_an_earlier_file_stays_until_the_new_one_is_whole(tmp_path):
    GeoPackage().export([record()], SCHEMA, tmp_path)
    before = (tmp_path / "labels.gpkg").read_bytes()

    def breaks():
        yield record(1)
        raise FormatError("the source is gone")

    with pytest.raises(FormatError, match="gone"):
        GeoPackage().export(breaks(), SCHEMA, tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"labels.gpkg": before}


def test_text_that_sqlite_cuts_off_is_refused(tmp_path):
    of = labels()
    of.attributes["field"][0] = "a\0b"
    with pytest.raises(FormatError, match="NUL"):
        GeoPackage().export([record(of=of)], SCHEMA, tmp_path)
    assert not list(tmp_path.iterdir())


def test_settings(tmp_path):
    form = formats.get("geopackage", SCHEMA, crs="EPSG:3035")
    form.export([record()], SCHEMA, tmp_path)
    assert pyogrio.read_info(tmp_path / "labels.gpkg", layer="lines")["crs"] == "EPSG:3035"
    same(placed(labels()), back(tmp_path)[0].labels, 1e-4)  # as exactly as PROJ inverts this projection
    with pytest.raises(ConfigError, match="no coordinate reference system"):
        formats.get("geopackage", crs="EPSG:999999")
    with pytest.raises(ConfigError, match="not a choice"):
        formats.get("geopackage", unknown="maybe")


def test_the_shared_parcels_are_read(shared, tmp_path):
    source = shared / "data" / "agriculture" / "field_polygons" / "brpgewaspercelen_definitief_2023.gpkg"
    frame = pyogrio.read_dataframe(source)
    x0, y0, x1, y1 = frame.total_bounds
    over = record(
        frame=type(UTM)(((x1 - x0) / SIZE[1], 0, x0, 0, (y0 - y1) / SIZE[0], y1), frame.crs.to_string()), of=Labels.empty()
    )
    copy = shutil.copy(source, tmp_path)
    column = "category"
    frame[column] = "field"
    pyogrio.write_dataframe(frame, copy, layer="parcels", driver="GPKG")
    (read,) = back(tmp_path, class_column=column, layer="parcels", pictures=Known([over]))
    assert len(read.labels) == len(frame)
    shapes = shapely.transform(frame.geometry.to_numpy(), over.frame.to_pixels)
    np.testing.assert_allclose(read.labels.box, shapely.bounds(shapes)[np.argsort(np.arange(len(frame)))], atol=1e-6)
