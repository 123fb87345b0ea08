"""Labels to rows on the map: columns, areas, CRSs, who said what, and memory that does not grow with the records."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings

from hyla import formats, geometry, plugins
from hyla.errors import ConfigError, FormatError, StageError
from hyla.formats import Loss
from hyla.frame import Frame, MapFrame, VideoFrame
from hyla.schema import Schema
from hyla.testing import probes
from hyla.testing.run_checks import compare
from hyla.types import Item, Kind, Labels, Record, item_id
from hyla_agriculture import vectors
from hyla_agriculture.outlines import even_odd, geometries, row_of
from hyla_agriculture.reprojection import common, crs_of, cut, moved_to, reproject
from hyla_agriculture.vectors import Features, Layout
from vectors_kit import FRAMES, HOLED, SCHEMA, SIZE, UTM, Known, flagged, labels, placed, polygons, record

FORMATS = ("geopackage", "geoparquet", "geojson", "fiboa")


def table(path, records, schema=SCHEMA, crs="", **given):
    """Return the rows of records as dicts, and what was lost."""
    loss = Loss()
    with Features(records, schema, loss, path, **given) as features:
        return [row for part, _ in features.tables(features.crs(crs)) for row in part.to_pylist()], dict(loss)


def test_every_attribute_has_a_column_and_no_two_columns_one_name():
    layout = Layout.of(SCHEMA)
    names = layout.table(SCHEMA).names
    assert len({name.casefold() for name in names}) == len(names)
    assert set(layout.attributes) == set(SCHEMA.attributes_of("label"))
    assert layout.attributes["area_ha"] == "area_ha"
    assert layout.own["area_ha"] == "label_area_ha"
    assert layout.attributes["FID"] == "attribute_FID"
    assert layout.codes == {"eppo": "eppo", "worldcover": "worldcover"}


def test_names_that_differ_only_in_case_are_kept_apart():
    schema = Schema.from_config({"classes": {"a": {}}, "attributes": {"Crop": {}, "crop": {}, "CLASS": {}, "label_class": {}}})
    layout = Layout.of(schema)
    assert layout.attributes == {"Crop": "Crop", "crop": "attribute_crop", "CLASS": "CLASS", "label_class": "label_class"}
    assert layout.own["class"] == "label_label_class"


def test_area_is_true_whatever_the_crs(tmp_path):
    side = 100  # pixels of about 10 m, each way, in each of these
    for frame in (
        MapFrame((10, 0, 500000, 0, -10, 5700000), "EPSG:32633"),
        MapFrame((10 / 0.6227, 0, 1669792, 0, -10 / 0.6227, 6699000), "EPSG:3857"),
        MapFrame((10, 0, 4600000, 0, -10, 3160000), "EPSG:3035"),
    ):
        rows, _ = table(tmp_path, [record(frame=frame, of=Labels.of([0], [[0, 0, side, side]]))])
        assert rows[0]["label_area_ha"] == pytest.approx(100, rel=5e-3)


def test_a_photo_has_no_place_and_is_counted(tmp_path):
    photo = Record(Item(item_id("leaf.jpg"), "leaf.jpg"), labels(), size=SIZE)
    video = replace(photo, frame=VideoFrame(1.0))
    bare = replace(photo, frame=MapFrame((1, 0, 0, 0, -1, 0)))
    rows, loss = table(tmp_path, [photo, video, bare])
    assert rows == []
    kinds = ("polygon", "mask", "box", "keypoints", "rotated box", "polyline", "tag")
    assert loss == dict.fromkeys(kinds, 3)


def test_what_has_no_extent_is_counted(tmp_path):
    empty = geometry.encode(np.zeros(SIZE, bool))
    line = np.array([[3, 3], [9, 9], [6, 6.0]])
    of = Labels.of(
        [0] * 6,
        np.array([[0, 0, 0, 0], [3, 3, 9, 9], [5, 5, 5, 8], [1, 1, 2, 2], [1, 1, 2, 2], [4, 4, 4, 4]], dtype=float),
        kind=np.array([Kind.MASK, Kind.POLYGON, Kind.BOX, Kind.KEYPOINTS, Kind.KEYPOINTS, Kind.POLYLINE]),
        shape=[empty, (line,), None, np.array([[1, 1, 2], [2, 2, 1.0]]), np.array([[1, 1, 0.0]]), np.array([[4, 4], [4, 4.0]])],
    )
    rows, loss = table(tmp_path, [record(of=of)])
    assert rows == []
    assert loss == {"mask": 1, "polygon": 1, "box": 1, "keypoints": 2, "polyline": 1}


def test_who_said_what(tmp_path):
    machine = record()
    person = placed(labels())
    person.class_id[1] = 4
    person.attributes["ndvi"][2] = 0.9
    human = replace(record(), labels=person[[0, 1, 2, 3]], source="human:anna")
    known = Known([machine], {machine.item.id: machine})

    def methods(one, pictures=None):
        return [row["label_method"] for row in table(tmp_path, [one], pictures=pictures)[0]]

    assert methods(machine) == ["automated"] * 6
    assert methods(human) == ["manual"] * 4
    assert methods(human, known) == ["automated", "manual", "manual", "automated"]  # class changed, attribute changed
    assert methods(replace(machine, source="truth:points"), known) == ["manual"] * 6
    assert methods(replace(machine, source="")) == [None] * 6


def test_reasons_stand_with_the_labels_they_are_about(tmp_path):
    rows, loss = table(tmp_path, [flagged()])
    assert [row["flags"] for row in rows] == ["cloudy, late"] + ["late"] * 5
    assert loss == {"tag": 1, "flag": 2}


@settings(max_examples=100, deadline=None)
@given(of=polygons())
def test_geometry_is_what_the_even_odd_rule_fills(of):
    for shape, found in zip(of.shape, geometries(of), strict=True):
        assert found.is_valid
        assert found.geom_type in ("Polygon", "MultiPolygon")
        mask = geometry.rasterize(shape, SIZE)
        assert abs(found.area - mask.sum()) <= found.length + 8
        y, x = np.nonzero(mask)
        assert shapely.contains_xy(found.buffer(1e-9), x + 0.5, y + 0.5).all()


def test_a_mask_comes_back_pixel_by_pixel():
    random = np.random.default_rng(0)
    for share in (0.02, 0.4, 0.6, 0.98):  # single pixels, and pixels that touch at a corner, and holes
        mask = random.random((40, 50)) < share
        of = Labels.of([0], kind=Kind.MASK, shape=[geometry.encode(mask)])
        (found,) = geometries(of)
        assert found.is_valid
        assert found.area == mask.sum()
        shape = row_of("mask", found, (40, 50))["shape"]
        assert shape["counts"].encode() == of.shape[0].counts


@pytest.mark.parametrize(("names", "expected"), [
    ([], "EPSG:4326"), (["EPSG:32633"] * 3, "EPSG:32633"), (["EPSG:32633", "EPSG:32634"], "EPSG:4326"),
    (["EPSG:32633", crs_of("EPSG:32633").to_wkt()], "EPSG:32633"),
])  # fmt: skip
def test_scenes_of_one_crs_keep_it(names, expected):
    assert common(names) == expected


def test_scenes_of_several_crs_are_said_to_be_written_in_another(tmp_path):
    wrote = [record(n, frame=frame, of=Labels.of([0], [[1, 1, 9, 9]])) for n, frame in enumerate(FRAMES.values())]
    loss = formats.get("geopackage", SCHEMA).export(wrote, SCHEMA, tmp_path)
    assert formats.describe("geopackage", loss) == "geopackage writes 1 set of scenes in several CRSs as EPSG:4326"
    assert formats.get("geopackage", SCHEMA, crs="EPSG:3857").export(wrote, SCHEMA, tmp_path) == {}
    assert formats.get("geopackage", SCHEMA).export(wrote[:1], SCHEMA, tmp_path) == {}


def test_a_crs_that_is_none_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no coordinate reference system"):
        table(tmp_path, [record(frame=MapFrame(UTM.transform, "EPSG:99"))])
    with pytest.raises(ConfigError, match="no coordinate reference system"):
        formats.get("geoparquet", crs="nonsense")


def test_what_has_no_place_in_a_crs_is_none_and_the_rest_is_moved():
    far = shapely.Point(1e30, 0)
    shapes = np.array([shapely.box(500000, 0, 500001, 1), far, None, shapely.Point(500000, 0)], dtype=object)
    moved = moved_to(shapes, "EPSG:32633", "EPSG:4326")
    assert [one is None for one in moved] == [False, True, True, False]
    assert moved[3].coords[0] == pytest.approx((15, 0))
    assert shapes[1] is far


def test_an_area_that_crosses_itself_in_the_other_crs_is_made_valid():
    notch = shapely.Polygon([(0, 60), (40, 60), (40, 70), (20, 60.2), (0, 70)])  # its tip comes to lie beyond the base
    (moved,) = reproject(np.array([notch], dtype=object), "EPSG:4326", "EPSG:3413")
    assert moved.is_valid
    assert moved.area > 0


@pytest.mark.parametrize("shift", [-360, 0, 360])
def test_longitudes_that_mean_what_they_say_are_cut_but_not_turned(shift):
    wide = shapely.box(-170, 0, 170, 10)  # of a raster of the whole world: not what lies on the other side
    (found,) = cut(np.array([wide], dtype=object), explicit=True)
    assert found.equals(wide)
    across = shapely.box(175 + shift, 0, 185 + shift, 10)
    (found,) = cut(np.array([across], dtype=object), explicit=True)
    assert found.equals(shapely.MultiPolygon([shapely.box(175, 0, 180, 10), shapely.box(-180, 0, -175, 10)]))


def test_memory_does_not_grow_with_the_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "ROWS", 500)
    ring = np.stack([np.cos(np.linspace(0, 6, 60)), np.sin(np.linspace(0, 6, 60))], axis=1)

    def records(n):
        for index in range(n):
            shapes = [(ring * 3 + (10 + i % 100, 50),) for i in range(100)]
            of = Labels.of([0] * 100, kind=Kind.POLYGON, shape=shapes)
            yield Record(Item(f"a{index}", f"a{index}.tif"), of, size=SIZE, frame=UTM)

    form = formats.get("geoparquet", SCHEMA)
    peaks = []
    for n in (5, 20, 60):
        tracemalloc.start()
        form.export(records(n), SCHEMA, tmp_path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1]  # 6000 labels of 60 points against 2000


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("preset", ["agriculture", "leaf_photos"])
def test_labels_of_every_class_and_kind_come_back(tmp_path, name, preset):
    schema = preset_schema(preset)
    wrote = []
    for seed, frame in enumerate([UTM, FRAMES["sinusoidal"], Frame(), UTM]):
        item = Item(item_id("a.tif", seed), "a.tif", "", seed, "scene", {"date": f"2024-06-0{seed + 1}"})
        wrote.append(Record(item, probes.labels(schema, (37, 53), seed), source="model:x", size=(37, 53), frame=frame))
    form = formats.get(name, schema)
    loss = form.export(iter(wrote), schema, tmp_path / "a")
    assert compare(wrote, list(form.read(tmp_path / "a", schema)), loss) == []
    form.export(iter(wrote), schema, tmp_path / "b")
    (first,), (second,) = ((tmp_path / part).iterdir() for part in "ab")
    assert first.read_bytes() == second.read_bytes()


def preset_schema(preset):
    from hyla import config

    return Schema.from_config(config.compose(preset, "device=cpu", source=".", out="x").schema)


def test_names_of_formats_are_unique():
    offered = plugins.offered("export")
    assert {name: offered[name][0].package for name in FORMATS} == dict.fromkeys(FORMATS, "hyla_agriculture")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="can't write"):
        formats.get("geojson", SCHEMA).export([record()], SCHEMA, tmp_path / "file")


def test_labels_that_do_not_fit_the_schema_are_refused(tmp_path):
    of = labels()
    of.attributes["bbch"][0] = 12.5
    for name in FORMATS:
        with pytest.raises(StageError, match="whole number"):
            formats.get(name, SCHEMA).export([record(of=of)], SCHEMA, tmp_path)
    assert not list(tmp_path.iterdir())


def test_even_odd_of_nothing_is_nothing():
    assert even_odd((HOLED[0], HOLED[0])) is None
