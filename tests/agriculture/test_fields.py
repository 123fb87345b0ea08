"""Parcels of a file on a raster: every format, every CRS, and every file that can't be used."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from fields_kit import FRAME, KINDS, SIZE, parcels, save, square, table
from hyla.errors import BadItem, ConfigError
from hyla.frame import MapFrame
from hyla_agriculture import parcel_files
from hyla_agriculture.fields import boxes, find, read
from hyla_agriculture.zonal import polygon


def area(rings: tuple[np.ndarray, ...]) -> float:
    return float(polygon(list(rings)).area)


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_parcels(tmp_path: Path, kind: str) -> None:
    fields, counts = read(save(parcels(), tmp_path, kind), FRAME, SIZE)
    order = np.argsort(fields.ids)  # FlatGeobuf keeps rows by place
    assert [fields.ids[n] for n in order] == ["P1", "P2", "P3", "P4", "P5", "P6"]
    assert [fields.crops[n] for n in order] == ["wheat", "rapeseed", "sugar beet"] * 2
    assert [fields.previous[n] for n in order] == ["maize", None] * 3
    np.testing.assert_allclose(fields.hectares, 4, rtol=2e-3)  # a UTM zone shrinks by 0.04 % along its middle
    np.testing.assert_allclose(fields.declared, 4, rtol=1e-6)
    np.testing.assert_array_equal(fields.inside, 1)
    assert [len(rings) for rings in fields.shapes] == [1] * 6
    np.testing.assert_allclose([area(rings) for rings in fields.shapes], 400, atol=1e-3)
    np.testing.assert_allclose(fields.shapes[order[0]][0].min(axis=0), 5, atol=1e-5)
    assert not +counts


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3035", "EPSG:25832", "ESRI:54008"])
def test_any_crs_is_brought_to_the_rasters(tmp_path: Path, crs: str) -> None:
    fields, counts = read(save(parcels(crs=crs), tmp_path), FRAME, SIZE)
    np.testing.assert_allclose([area(rings) for rings in fields.shapes], 400, rtol=1e-3)
    np.testing.assert_allclose(fields.shapes[0][0].min(axis=0), 5, atol=0.1)
    assert not +counts


@given(
    st.floats(-170, 170),
    st.floats(-70, 70),
    st.sampled_from([0.01, 0.3, 2.0]),
    st.sampled_from(["EPSG:4326", "EPSG:3857", "ESRI:54008", "EPSG:6933"]),
)
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_straight_edge_stays_within_a_tenth_of_a_pixel(tmp_path: Path, lon: float, lat: float, side: float, crs: str) -> None:
    file = save(table([shapely.box(lon, lat, lon + side, lat + side / 2)], "EPSG:4326", id=["a"]).to_crs(crs), tmp_path)
    zone = f"EPSG:{(32600 if lat >= 0 else 32700) + int((lon + 180) // 6) + 1}"
    (outline,) = gpd.read_file(file).geometry
    dense = shapely.segmentize(outline, shapely.length(outline) / 1500)
    true = np.stack(Transformer.from_crs(crs, zone, always_xy=True).transform(*shapely.get_coordinates(dense).T), axis=1)
    (west, south), (east, north) = true.min(axis=0), true.max(axis=0)
    frame = MapFrame((10, 0, west - 50, 0, -10, north + 50), zone)
    fields, _ = read(file, frame, (int((north - south) / 10) + 10, int((east - west) / 10) + 10))
    border = shapely.boundary(polygon(list(fields.shapes[0])))
    far = shapely.distance(border, shapely.points(frame.to_pixels(true)))
    assert far.max() < 0.1


def test_a_clip_that_cuts_a_parcel_in_two_leaves_one_field_of_two_rings(tmp_path: Path) -> None:
    horseshoe = square(70, 10, 30, 30).difference(square(70, 20, 20, 10))  # open to the left, its back beyond the raster
    far = square(200, 10)
    fields, counts = read(save(table([horseshoe, far], id=["u", "far"]), tmp_path), FRAME, SIZE)
    assert fields.ids == ("u",)
    assert len(fields.shapes[0]) == 2
    assert fields.inside[0] == pytest.approx(200 / 700)
    assert area(fields.shapes[0]) == pytest.approx(200)
    assert fields.hectares[0] == pytest.approx(7.0, rel=2e-3)
    assert sum(counts.values()) <= 1  # the far one is not even read


def test_a_multipolygon_with_a_hole_stays_one_field(tmp_path: Path) -> None:
    shape = shapely.MultiPolygon([square(5, 5, 10).difference(square(8, 8, 2)), square(30, 5, 10)])
    fields, _ = read(save(table([shape], id=["m"]), tmp_path), FRAME, SIZE)
    assert len(fields.shapes[0]) == 3
    assert area(fields.shapes[0]) == pytest.approx(196)


def test_what_is_wrong_is_repaired_or_left_out_and_counted(tmp_path: Path) -> None:
    bowtie = shapely.Polygon(FRAME.to_world([[10, 10], [20, 20], [20, 10], [10, 20]]))
    line = shapely.LineString(FRAME.to_world([[1, 1], [50, 50]]))
    flat = shapely.Polygon(FRAME.to_world([[1, 1], [9, 1], [5, 1], [1, 1]]))
    shapes = [bowtie, line, square(30, 30).centroid, None, shapely.Polygon(), flat, square(40, 40), square(84, 5)]
    ids = ["a", "b", "c", "d", "e", "f", "a", "h"]
    fields, counts = read(save(table(shapes, id=ids), tmp_path, ".geojson"), FRAME, SIZE)
    assert fields.ids == ("a", "a-6")
    assert area(fields.shapes[0]) == pytest.approx(50)
    assert counts["repaired"] == 1
    assert counts["not polygons"] == 2
    assert counts["renamed"] == 1
    assert counts["outside"] in (0, 1)
    assert counts["empty"] in (1, 2, 3)  # a row without a geometry is in no box, so that GDAL does not give it


def test_coordinates_that_are_nowhere_are_left_out(tmp_path: Path) -> None:
    poles = [shapely.box(10, 88, 20, 90), shapely.box(10, 40, 10.02, 40.01)]
    file = save(table(poles, "EPSG:4326", id=["pole", "field"]), tmp_path, ".geojson")
    world = MapFrame((4e4, 0, -2.01e7, 0, -4e4, 2.5e7), "EPSG:3857")
    fields, counts = read(file, world, (1250, 1005))
    assert fields.ids == ("field",)
    assert counts["not on the map"] == 1


def test_the_antimeridian_is_crossed(tmp_path: Path) -> None:
    both = shapely.MultiPolygon([shapely.box(179.98, -17, 180, -16.98), shapely.box(-180, -17, -179.98, -16.98)])
    file = save(table([both, shapely.box(-179.96, -17, -179.94, -16.98)], "EPSG:4326", id=["both", "east"]), tmp_path)
    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32760", always_xy=True).transform(179.95, -16.95)
    for frame in (MapFrame((10, 0, x, 0, -10, y), "EPSG:32760"), MapFrame((1e-4, 0, 179.95, 0, -1e-4, -16.95), "EPSG:4326")):
        fields, counts = read(file, frame, (1500, 1500))
        assert fields.ids == ("both", "east")
        np.testing.assert_array_equal(fields.inside, 1)
        assert np.ptp(np.concatenate(fields.shapes[0])[:, 0]) < 450
        assert not +counts
        assert len(boxes(frame, (1500, 1500), "EPSG:4326") or ()) == 2


def test_only_what_meets_the_raster_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = table([square(100 * n, 100 * m, 20) for n in range(-10, 10) for m in range(-10, 10)], id=[str(n) for n in range(400)])
    seen = []

    def watched(*args: object) -> object:
        for part in rows(*args):  # type: ignore[arg-type]
            seen.append(len(part.number))
            yield part

    rows = parcel_files.rows
    monkeypatch.setattr("hyla_agriculture.fields.rows", watched)
    for kind in (".gpkg", ".fgb", ".parquet"):
        fields, _ = read(save(many, tmp_path, kind), FRAME, SIZE)
        assert fields.ids == ("210",)
    assert len(seen) == 3
    assert max(seen) <= 4


def test_a_window_of_a_scene_gets_the_same_parcels(tmp_path: Path) -> None:
    file = save(parcels(crs="EPSG:4326"), tmp_path)
    whole, _ = read(file, FRAME, SIZE)
    x, y = FRAME.to_world([[3, 4]])[0]
    part, _ = read(file, MapFrame((10, 0, x, 0, -10, y), FRAME.crs), (56, 77))
    assert part.ids == whole.ids
    for a, b in zip(part.shapes, whole.shapes, strict=True):
        np.testing.assert_allclose(a[0] + (3, 4), b[0], atol=1e-9)


def test_a_series_reads_its_file_once_and_a_changed_file_anew(tmp_path: Path) -> None:
    file = save(parcels(), tmp_path)
    first, _ = read(file, FRAME, SIZE)
    assert read(file, FRAME, SIZE)[0] is first
    file.unlink()
    save(parcels(rows=1), tmp_path)
    assert len(read(file, FRAME, SIZE)[0]) == 3


@pytest.mark.parametrize(
    ("name", "crs", "count", "crop", "unit", "season"),
    [
        ("brpgewaspercelen_definitief_2023.gpkg", "EPSG:32631", 100, "Sloot", None, "2023"),
        ("lwb_nutzungsflaechen_v2_0_lv95.gpkg", "EPSG:32632", 100, "Sommergerste", 1, "2023"),
        ("jp_field_polygons_2024.parquet", "EPSG:32654", 100, "field", None, "2024"),
        ("NationalCSB_2017-2024_rev23.zip", "EPSG:32613", 100, "152", 1, "2024"),
        ("fiboa-example.json", "EPSG:32632", 2, "Ackerland", 1, ""),
    ],
)
def test_official_files_are_understood(
    shared: Path, name: str, crs: str, count: int, crop: str, unit: float | None, season: str
) -> None:
    file = shared / "data" / "agriculture" / "field_polygons" / name
    said = parcel_files.describe(file)
    parts = list(parcel_files.rows(said, [], None))
    bounds = shapely.total_bounds(shapely.union_all(np.concatenate([part.geometry for part in parts]), grid_size=1e-6))
    west, south, east, north = Transformer.from_crs(said.crs, crs, always_xy=True).transform_bounds(*bounds)
    frame = MapFrame((10, 0, west - 100, 0, -10, north + 100), crs)
    fields, counts = read(file, frame, (int((north - south) / 10) + 20, int((east - west) / 10) + 20))
    assert len(fields) == count
    assert fields.crops[0] == crop
    assert fields.season == season
    assert set(+counts) <= {"repaired"}
    np.testing.assert_array_equal(fields.inside, 1)
    if unit is None:
        assert np.isnan(fields.declared).all()
    else:
        np.testing.assert_allclose(fields.declared, fields.hectares, rtol=2e-2)
    if name.startswith("NationalCSB"):
        assert fields.previous[1] == "24"


def test_columns_can_be_named_and_must_be_there(tmp_path: Path) -> None:
    file = save(parcels().rename(columns={"crop": "what", "id": "who"}), tmp_path)
    fields, _ = read(file, FRAME, SIZE, id="WHO", crop="what", previous="prev_crop", area="area_ha")
    assert fields.ids[0] == "P1"
    assert fields.crops[0] == "wheat"
    with pytest.raises(ConfigError, match="no column 'wath'") as caught:
        read(file, FRAME, SIZE, crop="wath")
    assert "what" in caught.value.choices


@pytest.mark.parametrize(("name", "factor"), [("area", 1.0), ("area", 1e4), ("flaeche_m2", 1e4), ("CSBACRES", 1 / 0.40468564224)])
def test_areas_are_in_hectares_whatever_the_unit(tmp_path: Path, name: str, factor: float) -> None:
    found = parcels().drop(columns="area_ha").assign(**{name: [4.0 * factor] * 6})
    fields, _ = read(save(found, tmp_path), FRAME, SIZE)
    np.testing.assert_allclose(fields.declared, 4)


@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
@pytest.mark.parametrize("covered", [True, False])
def test_geoparquet_of_either_encoding_is_read_row_group_by_row_group(tmp_path: Path, encoding: str, covered: bool) -> None:
    many = table([square(100 * n, 5, 20) for n in range(-5, 5)], id=[str(n) for n in range(10)])
    file = tmp_path / "fields.parquet"
    many.to_parquet(file, geometry_encoding=encoding, write_covering_bbox=covered, row_group_size=2, index=False)
    fields, _ = read(file, FRAME, SIZE)
    assert fields.ids == ("5",)
    said = parcel_files.describe(file)
    parts = list(parcel_files.rows(said, ["id"], [(500_000, 5_599_000, 500_900, 5_600_000)]))
    groups = {("WKB", True): 1, ("WKB", False): 5}.get((encoding, covered), 1)
    assert len(parts) == groups
    assert sorted(set(np.concatenate([part.number for part in parts])) & {5}) == [5]


def test_geoparquet_of_an_unknown_crs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fields.parquet"
    table([square(5, 5)], None, id=["a"]).to_parquet(file)
    with pytest.raises(ConfigError, match="not known"):
        read(file, FRAME, SIZE)


def test_layers_are_chosen_or_asked_for(tmp_path: Path) -> None:
    file = save(parcels(), tmp_path, stem="all", layer="north")
    save(parcels(rows=1), tmp_path, stem="all", layer="south")
    with pytest.raises(ConfigError, match="several layers") as caught:
        read(file, FRAME, SIZE)
    assert caught.value.choices == ["north", "south"]
    assert len(read(file, FRAME, SIZE, layer="south")[0]) == 3
    with pytest.raises(ConfigError, match="no layer 'west'"):
        read(file, FRAME, SIZE, layer="west")


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    naked = save(parcels(), tmp_path, ".shp", "naked")
    naked.with_suffix(".prj").unlink()
    cut = save(parcels(), tmp_path, ".gpkg", "cut")
    cut.write_bytes(cut.read_bytes()[:5000])
    short = save(parcels(), tmp_path, ".parquet", "short")
    short.write_bytes(short.read_bytes()[:2000])
    plain = tmp_path / "plain.parquet"
    pq.write_table(pq.read_table(save(parcels(), tmp_path, ".parquet", "whole")).replace_schema_metadata(None), plain)
    (tmp_path / "words.geojson").write_text('{"type": "FeatureCollection", "features": [')
    (tmp_path / "notes.docx").write_text("no fields")
    for file, said in {
        naked: "which CRS",
        cut: "can't be read",
        short: "can't be read|no GeoParquet",
        plain: "no GeoParquet",
        tmp_path / "words.geojson": "can't be read",
        tmp_path / "notes.docx": "no file of fields",
        tmp_path / "absent.gpkg": "there is no file",
    }.items():
        with pytest.raises(ConfigError, match=said):
            read(file, FRAME, SIZE)
    with pytest.raises(BadItem, match="no CRS"):
        read(cut, MapFrame(FRAME.transform), SIZE)


def test_what_is_on_no_map_of_the_earth_is_refused(tmp_path: Path) -> None:
    site = 'LOCAL_CS["site",UNIT["metre",1]]'
    file = save(parcels(), tmp_path, ".shp")
    for crs in (site, "EPSG:0"):
        with pytest.raises(BadItem, match="CRS of the raster"):
            read(file, MapFrame(FRAME.transform, crs), SIZE)
    file.with_suffix(".prj").write_text(site)
    with pytest.raises(ConfigError, match=r"CRS of fields.shp"):
        read(file, FRAME, SIZE)


def test_a_file_cannot_make_gdal_look_elsewhere(tmp_path: Path) -> None:
    secret = save(parcels(), tmp_path, ".geojson", "secret")
    vrt = f'<OGRVRTDataSource><OGRVRTLayer name="secret"><SrcDataSource>{secret}</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'
    command = json.dumps({"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read {secret} ! write out.gpkg"})
    for name, text in {"a.gpkg": vrt, "b.geojson": vrt, "c.geojson": command, "d.fgb": vrt, "e.shp": vrt}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=r"can't be read|not what its name says"):
            read(tmp_path / name, FRAME, SIZE)
        with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
            archive.write(tmp_path / name, name)
        with pytest.raises(ConfigError, match=r"can't be read|not what its name says"):
            read(tmp_path / "z.zip", FRAME, SIZE)


def test_zips_are_looked_through_before_they_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = save(parcels(), tmp_path, ".geojson", "inner").read_bytes()
    for names, said in {
        ("../fields.geojson",): "points out of it",
        ("/fields.geojson",): "points out of it",
        ("a.geojson", "b.geojson"): "holds 2 files",
        ("readme.txt",): "holds no file",
    }.items():
        with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
            for name in names:
                archive.writestr(name, inner)
        with pytest.raises(ConfigError, match=said):
            read(tmp_path / "z.zip", FRAME, SIZE)
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("fields.geojson", inner + b" " * (4 << 20))
    assert len(read(tmp_path / "z.zip", FRAME, SIZE)[0]) == 6
    for limit, least in {"MOST_BYTES": 1 << 20, "MOST_RATIO": 3}.items():
        with monkeypatch.context() as patch:
            patch.setattr(parcel_files, limit, least)
            with pytest.raises(ConfigError, match="when unpacked"):
                parcel_files.describe(tmp_path / "z.zip")
    (tmp_path / "z.zip").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ConfigError, match="can't be read"):
        read(tmp_path / "z.zip", FRAME, SIZE)


def test_the_file_beside_the_rasters_is_found(tmp_path: Path) -> None:
    assert find(tmp_path) is None
    points = save(table([square(5, 5).centroid], id=["a"]), tmp_path, stem="points")
    assert find(tmp_path) is None  # the only vector file, but of points
    only = save(parcels(), tmp_path, ".parquet", "region")
    assert find(tmp_path) is None  # two
    points.unlink()
    assert find(tmp_path) == only
    second = save(parcels(), tmp_path, ".geojson", "parcels")
    assert find(tmp_path) == second
    best = save(parcels(), tmp_path, ".gpkg", "Fields")
    assert find(tmp_path) == best
