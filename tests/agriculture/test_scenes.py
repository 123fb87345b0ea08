"""The loader: items and groups of a source, what loading tells, and sources on other machines."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import layouts_kit
from hyla.errors import BadItem, ConfigError
from hyla.frame import MapFrame
from hyla.types import Item
from hyla_agriculture.raster import RasterScene
from hyla_agriculture.scene import Window, view
from hyla_agriculture.scenes import Scenes
from raster_kit import BANDS, MSI, PLACE, UTM, band_set, cog, samples, truncated, vrt, write


def scan(source: Path | str, **settings: Any) -> tuple[Scenes, list[Item]]:
    loader = Scenes(**settings)
    items = loader.items(str(source))
    assert items is not None
    return loader, list(items)


def test_an_item_says_what_is_known_before_a_pixel_is_read(tmp_path: Path) -> None:
    write(tmp_path / "deep/plot_20240601.tif", samples(6), names=MSI, nodata=0)
    loader, (item,) = scan(tmp_path)
    assert (item.uri, item.group, item.index, item.kind) == ("deep/plot_20240601.tif", "", 0, "scene")
    assert item.meta == {
        "date": "2024-06-01",
        "sensor": "sentinel2",
        "series": "plot",
        "bands": ["blue", "green", "red", "nir", "swir16", "swir22"],
        "nodata": 0.0,
        "scale": 1e-4,
        "offset_known": False,
    }
    assert json.loads(json.dumps(dict(item.meta))) == item.meta
    image = loader.load(item)
    assert image.frame == MapFrame((10, 0, 400_000, 0, -10, 5_800_000), UTM)
    context = {"date": "2024-06-01", "sensor": "sentinel2"}
    assert image.context == {**context, "resolution_m": pytest.approx(10, rel=0.01), "latitude": pytest.approx(52.34, abs=0.01)}
    assert view(image) is image.pixels
    assert view(image).fields is None
    assert image.size == (60, 80)


def test_dates_of_one_place_are_a_group_in_their_order(tmp_path: Path) -> None:
    for day in ("2024-06-21", "2024-06-01", "2023-06-11"):
        write(tmp_path / day[:4] / f"plot_{day}.tif", samples(4))
    write(tmp_path / "plot_undated.tif", samples(4))
    shifted = PLACE @ type(PLACE).translation(300, 0)
    write(tmp_path / "elsewhere" / "plot_2024-06-05.tif", samples(4), transform=shifted)
    write(tmp_path / "elsewhere" / "plot_2024-06-15.tif", samples(4), transform=shifted)
    _, items = scan(tmp_path)
    assert [(i.uri, i.index) for i in items] == [
        ("2023/plot_2023-06-11.tif", 0),
        ("2024/plot_2024-06-01.tif", 1),
        ("2024/plot_2024-06-21.tif", 2),
        ("elsewhere/plot_2024-06-05.tif", 0),
        ("elsewhere/plot_2024-06-15.tif", 1),
        ("plot_undated.tif", 0),
    ]
    groups = [i.group for i in items]
    assert groups[0] == groups[1] == groups[2] != groups[3] == groups[4]
    assert groups[5] == ""
    assert len({i.id for i in items}) == 6


def test_grids_within_half_a_pixel_are_one(tmp_path: Path) -> None:
    for n, off in enumerate((0, 0.4, 0.6)):
        place = PLACE @ type(PLACE).translation(off, 0)
        write(tmp_path / f"plot_2024-06-0{n + 1}.tif", samples(4), transform=place)
    assert [bool(i.group) for i in scan(tmp_path)[1]] == [True, True, False]


def test_years_order_where_no_day_is_known(tmp_path: Path) -> None:
    for year in (2020, 1985):
        write(tmp_path / "place" / f"{year}.tif", samples(4))
    _, items = scan(tmp_path)
    assert [(i.uri, i.index, i.meta["year"], "date" in i.meta) for i in items] == [
        ("place/1985.tif", 0, 1985, False),
        ("place/2020.tif", 1, 2020, False),
    ]
    assert items[0].group == items[1].group != ""


def test_a_stack_of_dates_is_a_group_of_one_file(tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path / f"{n}.tif", samples(1, seed=n))
    vrt(tmp_path / "ndvi.vrt", [f"{n}.tif" for n in range(3)], (60, 80), ["2024-06-01", "2024-06-11", "2024-06-21"])
    loader, items = scan(tmp_path)
    assert [(i.uri, i.index, i.meta["date"]) for i in items] == [
        ("ndvi.vrt", 0, "2024-06-01"),
        ("ndvi.vrt", 1, "2024-06-11"),
        ("ndvi.vrt", 2, "2024-06-21"),
    ]
    assert len({i.id for i in items}) == 3
    for n in (2, 0, 1):
        np.testing.assert_array_equal(np.asarray(loader.load(items[n]).pixels)[..., 0], samples(1, seed=n)[0])
        loader.close(items[n].group)


def test_ids_are_the_same_in_another_folder(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        band_set(tmp_path / folder / "a", BANDS, samples(4))
        write(tmp_path / folder / "x_2024-06-01.tif", samples(4))
        write(tmp_path / folder / "x_2024-06-02.tif", samples(4))
    one, two = (scan(tmp_path / folder)[1] for folder in ("one", "two"))
    assert one == two


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    path = cog(tmp_path / "x.tif", samples(4))
    write(tmp_path / "y.tif", samples(4))
    loader, (item,) = scan(path)
    assert item.uri == "x.tif"
    assert loader.load(item).size == (60, 80)


@pytest.mark.parametrize("name", ["notes.txt", "data.json", "photo.jpg", "plan.xml", "fields.gpkg"])
def test_other_files_are_no_source(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    assert Scenes().items(str(tmp_path / name)) is None
    assert Scenes().items("ftp://host/x.tif") is None
    assert Scenes().items(str(tmp_path / "nowhere")) is None


def test_a_bad_file_costs_itself_alone(tmp_path: Path) -> None:
    write(tmp_path / "good_2024-06-01.tif", samples(4))
    write(tmp_path / "good_2024-06-11.tif", samples(4))
    (tmp_path / "empty_2024-06-01.tif").write_bytes(b"")
    (tmp_path / "text_2024-06-02.tif").write_text("no raster")
    truncated(tmp_path / "good_2024-06-21.tif", samples(4))
    loader, items = scan(tmp_path)
    assert len(items) == 5
    told = {}
    for item in items:
        try:
            loader.load(item)
        except BadItem as error:
            told[item.uri] = error.what
    assert told.keys() == {"empty_2024-06-01.tif", "text_2024-06-02.tif", "good_2024-06-21.tif"}
    assert "is empty" in told["empty_2024-06-01.tif"]
    assert "cut off or damaged" in told["good_2024-06-21.tif"]
    assert [i.index for i in items if i.uri.startswith("good")] == [0, 1, 2]


def test_what_is_gone_since_the_scan_is_a_bad_item(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", samples(4))
    loader, (item,) = scan(tmp_path)
    path.unlink()
    with pytest.raises(BadItem, match=r"x\.tif"):
        loader.load(item)
    with pytest.raises(BadItem, match="not in the source any more"):
        loader.load(Item("other", "other.tif"))


def test_parcels_beside_the_raster_come_with_it(tmp_path: Path) -> None:
    import geopandas
    import shapely

    write(tmp_path / "x.tif", samples(4))
    shapes = [shapely.box(400_050, 5_799_700, 400_250, 5_799_900), shapely.box(400_300, 5_799_500, 400_500, 5_799_800)]
    frame = geopandas.GeoDataFrame({"field_id": ["a", "b"], "crop": ["wheat", "maize"]}, geometry=shapes, crs=UTM)
    frame.to_file(tmp_path / "fields.gpkg", driver="GPKG")
    loader, (item,) = scan(tmp_path)
    fields = view(loader.load(item)).fields
    assert fields is not None
    assert fields.ids == ("a", "b")
    np.testing.assert_allclose(fields.hectares, [4, 6], rtol=0.01)
    assert sorted(map(tuple, np.unique(fields.shapes[0][0], axis=0).tolist())) == [(5, 10), (5, 30), (25, 10), (25, 30)]
    loader, (item,) = scan(tmp_path, fields=None)
    assert view(loader.load(item)).fields is None
    (tmp_path / "fields.gpkg").unlink()
    frame.translate(50_000).to_file(tmp_path / "far.gpkg", driver="GPKG")
    loader, (item,) = scan(tmp_path)
    assert view(loader.load(item)).fields is None  # perhaps nobody meant it
    loader, (item,) = scan(tmp_path, fields="far.gpkg")
    with pytest.raises(BadItem, match=r"no parcel of far\.gpkg lies on x\.tif"):
        loader.load(item)
    (tmp_path / "far.gpkg").rename(tmp_path / "parcels.gpkg")
    loader, (item,) = scan(tmp_path)
    with pytest.raises(BadItem, match=r"no parcel of parcels\.gpkg lies on x\.tif"):
        loader.load(item)


def test_what_became_of_the_parcels_is_told(tmp_path: Path) -> None:
    import geopandas
    import shapely

    write(tmp_path / "x.tif", samples(4))
    bow = shapely.Polygon([(400_300, 5_799_500), (400_500, 5_799_700), (400_500, 5_799_500), (400_300, 5_799_700)])
    shapes = [shapely.box(400_050, 5_799_700, 400_250, 5_799_900), bow, shapely.Point(400_100, 5_799_800)]
    frame = geopandas.GeoDataFrame({"field_id": ["a", "a", "c"]}, geometry=shapes, crs=UTM)
    frame.to_file(tmp_path / "fields.gpkg", driver="GPKG")
    loader, (item,) = scan(tmp_path)
    assert loader.load(item).context["parcels"] == "2 of fields.gpkg; not polygons 1; renamed 1; repaired 1"
    loader, (item,) = scan(tmp_path, fields=None)
    assert "parcels" not in loader.load(item).context


def test_clouds_are_counted_and_can_be_left_out(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(4))
    clouds = np.zeros((1, 60, 80), np.uint8)
    clouds[0, :15] = 1
    write(tmp_path / "x_clouds.tif", clouds)
    loader, (item,) = scan(tmp_path)
    assert loader.load(item).context["cloud_share"] == 0.25
    loader, (item,) = scan(tmp_path, mask=False)
    assert "cloud_share" not in loader.load(item).context


def test_settings_that_can_not_work_are_refused_at_once() -> None:
    for wrong in ({"sensor": "sputnik"}, {"scale": -1.0}, {"threads": 0}, {"bands": ["red", "red"]}):
        with pytest.raises(ConfigError):
            Scenes(**wrong)


class Served(SimpleHTTPRequestHandler):
    """Serve a folder with ranges, as stores of COGs do, and note what is asked for."""

    asked: list[tuple[str, str]]

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Range", "")))
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        start, end = 0, len(data) - 1
        if wanted := self.headers.get("Range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or end), end)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start + 1))
        self.end_headers()
        self.wfile.write(data[start : end + 1])

    def do_HEAD(self) -> None:
        self.asked.append((self.path, "HEAD"))
        super().do_HEAD()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str, list[tuple[str, str]]]]:
    """Yield a folder, the address it is served at, and what was asked for."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked: list[tuple[str, str]] = []
    handler = type("Here", (Served,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_address[1]}", asked
        running.shutdown()
        thread.join()


def test_a_cog_at_an_address_is_read_by_ranges(server: tuple[Path, str, list[tuple[str, str]]]) -> None:
    folder, address, asked = server
    rng = np.random.default_rng(0)
    values = rng.integers(200, 6000, (4, 1024, 1024)).astype(np.uint16)
    size = cog(folder / "x_20240601.tif", values, block=256).stat().st_size
    loader, (item,) = scan(f"{address}/x_20240601.tif")
    assert item.uri == f"{address}/x_20240601.tif"
    assert item.meta["date"] == "2024-06-01"
    scene = view(loader.load(item))
    got = scene.reflectance(Window(300, 340, 500, 520), ("nir",))
    np.testing.assert_allclose(got[0], values[3, 300:340, 500:520] * 1e-4, atol=1e-6)
    assert {path for path, _ in asked} == {"/x_20240601.tif"}  # no .aux.xml, .ovr or listing
    ranges = [one.removeprefix("bytes=").split("-") for _, one in asked if one.startswith("bytes")]
    assert sum(int(b) - int(a) + 1 for a, b in ranges) < size / 2


def test_a_stac_item_at_an_address_is_read(server: tuple[Path, str, list[tuple[str, str]]]) -> None:
    folder, address, _ = server
    for n, name in enumerate(("red", "nir")):
        cog(folder / f"{name}.tif", samples(1, seed=n))
    assets = {
        name: {"href": f"./{name}.tif", "type": "image/tiff", "eo:bands": [{"common_name": name}]} for name in ("red", "nir")
    }
    ring = [[15, 52], [15.1, 52], [15.1, 52.1], [15, 52]]
    item = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "plot-1",
        "properties": {"datetime": "2024-06-01T10:00:00Z"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [15, 52, 15.1, 52.1],
        "links": [],
        "assets": assets,
    }
    (folder / "item.json").write_text(json.dumps(item))
    loader, (found,) = scan(f"{address}/item.json")
    assert found.meta["bands"] == ["red", "nir"]
    np.testing.assert_array_equal(np.asarray(loader.load(found).pixels)[..., 1], samples(1, seed=1)[0])


def test_an_address_that_holds_nothing_is_an_item_that_says_so(server: tuple[Path, str, list[tuple[str, str]]]) -> None:
    _, address, _ = server
    for name in ("gone.tif", "gone.json"):
        loader, (item,) = scan(f"{address}/{name}")
        with pytest.raises(BadItem, match="gone"):
            loader.load(item)


@pytest.mark.parametrize(
    "address",
    ["https://me:secret@host.invalid/x.tif", "https://host.invalid/x.tif?X-Amz-Signature=1", "http://host.invalid/x.tif"],
)
def test_an_address_with_a_secret_or_in_the_clear_is_refused(address: str) -> None:
    with pytest.raises(ConfigError) as error:
        Scenes().items(address)
    assert "secret" not in str(error.value)


def test_a_local_file_can_not_make_gdal_fetch(server: tuple[Path, str, list[tuple[str, str]]], tmp_path: Path) -> None:
    folder, address, asked = server
    cog(folder / "far.tif", samples(4, 30, 40))
    local = tmp_path / "source"
    path = write(local / "x.tif", samples(4))
    for far in (f"/vsicurl/{address}/far.tif", f"{address}/far.tif"):
        path.with_suffix(".tif.aux.xml").write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{far}</MDI></Metadata></PAMDataset>'
        )
        loader, (item,) = scan(local)
        assert loader.load(item).pixels[::2, ::2].shape == (30, 40, 4)
    path.with_suffix(".tif.aux.xml").unlink()
    (local / "wms.tif").write_text(f"<GDAL_WMS><Service name='TMS'><ServerUrl>{address}/far.tif</ServerUrl></Service></GDAL_WMS>")
    for name, source in (("a", f"/vsicurl/{address}/far.tif"), ("b", f"{address}/far.tif"), ("c", "wms.tif")):
        vrt(local / f"{name}.vrt", [source], (60, 80))
    loader, items = scan(local)
    refused = [item for item in items if item.uri != "x.tif"]
    assert len(refused) == 4
    for item in refused:
        with pytest.raises(BadItem):
            loader.load(item)
    assert asked == []


def test_real_rasters_load_or_say_why_not(shared: Path) -> None:
    loader, items = scan(shared / "data/agriculture")
    assert len(items) == 24
    refused, read = {}, 0
    for item in items:
        try:
            scene = view(loader.load(item))
        except BadItem as error:
            refused[item.uri] = error.line
            continue
        assert isinstance(scene, RasterScene)
        got = scene.reflectance(Window(0, scene.shape[0], 0, scene.shape[1]), scene.bands)
        with rasterio.open(shared / "data/agriculture" / item.uri) as source:
            for band, values in zip(scene.files.bands, got, strict=True):
                stored = source.read(band.index, masked=True).astype(np.float64)
                wanted = (stored * band.scale + band.offset).filled(np.nan)
                wanted[stored.data == band.nodata] = np.nan
                np.testing.assert_allclose(values, wanted, atol=1e-6, rtol=1e-6)
                read += values.size
    assert read > 6e6
    assert refused.keys() == {"eolearn_lulc/import-tiff-test2.tiff", "ftw_fields/inference-img.tif"}
    assert all("no name of a band; name them in order, loader.bands" in reason for reason in refused.values())
    groups = {g: [i.uri for i in items if i.group == g] for g in {i.group for i in items} - {""}}
    assert sorted(map(len, groups.values())) == [2, 2, 12]  # Landsat 1985 and 2020, NAIP 2014 and 2019, MODIS


def test_products_of_agencies_lie_beside_plain_rasters(tmp_path: Path) -> None:
    layouts_kit.safe(tmp_path / "esa")
    layouts_kit.landsat(tmp_path / "usgs")
    write(tmp_path / "esa" / "plain.tif", samples(4))
    loader, items = scan(tmp_path)
    assert [(i.meta.get("sensor"), i.kind) for i in items] == [("sentinel2", "scene"), (None, "scene"), ("landsat8", "scene")]
    for item in items:
        image = loader.load(item)
        scene = view(image)
        height, width = image.size
        whole = scene.reflectance(Window(0, height, 0, width), scene.bands)
        assert np.isfinite(whole).all()
    assert items[0].meta["offset"] == -1000
    assert loader.load(items[0]).context["cloud_share"] == 0
    sentinel = view(loader.load(items[0]))
    assert np.unique(sentinel.reflectance(Window(0, 60, 0, 60), ("nir", "swir16"))) == pytest.approx([(2000 - 1000) * 1e-4])
    landsat = view(loader.load(items[2])).reflectance(Window(0, 20, 0, 20), ("red",))
    assert np.unique(landsat) == pytest.approx([12000 * 2.75e-5 - 0.2])


def test_dates_of_a_tile_in_folders_of_their_own_are_a_group(tmp_path: Path) -> None:
    later = layouts_kit.SAFE.replace(layouts_kit.SAFE.split("_")[2][:8], "20220523")
    for name in (later, layouts_kit.SAFE):
        layouts_kit.safe(tmp_path, name)
    _, items = scan(tmp_path)
    assert [(i.uri, i.index, bool(i.group)) for i in items] == [(layouts_kit.SAFE, 0, True), (later, 1, True)]


def test_a_catalogue_and_its_rasters_are_listed_once(tmp_path: Path) -> None:
    assets = layouts_kit.stac_assets(tmp_path, {"B04": 3000, "B08": 5000, "SCL": 4}, at="data")
    layouts_kit.write(tmp_path / "item.json", layouts_kit.stac_item(assets))
    layouts_kit.catalog(tmp_path, [("item", "./item.json")])
    loader, (item,) = scan(tmp_path)
    assert item.meta["bands"] == ["red", "nir"]
    assert loader.load(item).context["cloud_share"] == 0
    _, (same,) = scan(tmp_path / "item.json")
    assert same.meta == item.meta


def test_addresses_in_local_metadata_are_fetched_only_when_their_host_is_allowed(
    server: tuple[Path, str, list[tuple[str, str]]], tmp_path: Path
) -> None:
    folder, address, asked = server
    assets = layouts_kit.stac_assets(folder, {"B04": 3000, "B08": 5000})
    for asset in assets.values():
        asset["href"] = f"{address}/{asset['href']}"
    source = tmp_path / "source"
    layouts_kit.write(source / "item.json", layouts_kit.stac_item(assets))
    for settings in ({}, {"remote": True}, {"remote": True, "hosts": ["data.example.org"]}, {"hosts": ["127.0.0.1"]}):
        loader, (item,) = scan(source, **settings)
        with pytest.raises(BadItem, match=r"127\.0\.0\.1"):
            loader.load(item)
    assert asked == []
    loader, (item,) = scan(source, remote=True, hosts=["127.0.0.1"])
    assert view(loader.load(item)).reflectance(Window(0, 3, 0, 3), ("nir",)).shape == (1, 3, 3)
    assert asked


def test_a_cog_in_a_bucket_is_read(server: tuple[Path, str, list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, address, asked = server
    (folder / "bucket").mkdir()
    values = samples(4)
    cog(folder / "bucket" / "x.tif", values)
    for name, value in {
        "AWS_S3_ENDPOINT": address.removeprefix("http://"),
        "AWS_HTTPS": "NO",
        "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_NO_SIGN_REQUEST": "YES",
    }.items():
        monkeypatch.setenv(name, value)
    loader, (item,) = scan("s3://bucket/x.tif")
    np.testing.assert_array_equal(np.asarray(loader.load(item).pixels), np.moveaxis(values, 0, -1))
    assert {path for path, _ in asked} == {"/bucket/x.tif"}
