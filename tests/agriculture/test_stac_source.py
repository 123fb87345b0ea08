"""STAC: items, item collections and catalogues of the source; what they may name, and what nothing is fetched for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyla.errors import BadItem
from hyla_agriculture.raster import RasterScene
from hyla_agriculture.scene import CLOUD, Window
from hyla_agriculture.sources import SceneFiles
from hyla_agriculture.stac_source import scenes
from layouts_kit import LANDSAT, catalog, landsat, raster, stac_assets, stac_item, write

COLLECTION_1 = {"s2__processing_baseline": "05.00", "s2__mgrs_tile": "32UQC"}
FAR = "https://data.example.org/S2B/B04.tif"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    asked: list[Any] = []

    def refuse(self: Any, address: Any) -> None:
        asked.append(address)
        raise OSError(f"a test asked for {address}")

    monkeypatch.setattr("socket.socket.connect", refuse)
    yield asked
    assert asked == []


def only(path: Path, root: Path, **more: Any) -> SceneFiles:
    (files,) = scenes(path, root, **more)
    return files


def value(files: SceneFiles, band: str) -> float:
    scene = RasterScene(files)
    try:
        return float(scene.reflectance(Window(0, 2, 0, 2), [band])[0, 0, 0])
    finally:
        scene.close()


def test_an_item_of_stac_1_0(tmp_path: Path) -> None:
    assets = stac_assets(tmp_path, {"B04": 2000, "B05": 2500, "B8A": 3000, "SCL": 9}, scale=1e-4, offset=-0.1)
    facts = COLLECTION_1 | {"eo__cloud_cover": 3.5, "view__sun_elevation": 46.75}
    write(tmp_path / "item.json", stac_item(assets, collection="sentinel-2-c1-l2a", **facts))
    files = only(tmp_path, tmp_path)
    assert (files.uri, files.name, files.date, files.sensor) == ("item.json", "T32UQC", "2022-04-13", "sentinel2")
    assert [band.name for band in files.bands] == ["red", "rededge1", "nir08"]
    assert dict(files.meta) == {
        "platform": "sentinel-2b",
        "cloud_cover": 3.5,
        "sun_elevation": 46.75,
        "baseline": "05.00",
        "time": "10:30:21",
        "level": "L2A",
        "offset": -1000,
        "nodata": 0.0,
    }
    assert value(files, "red") == pytest.approx(0.1)
    scene = RasterScene(files)
    assert set(np.unique(scene.quality(Window(0, 4, 0, 4)))) == {CLOUD}
    scene.close()


def test_an_item_of_stac_1_1(tmp_path: Path) -> None:
    raster(tmp_path / "B04_10m.jp2", np.full((12, 12), 2000, np.uint16))
    raster(tmp_path / "B04_20m.jp2", np.full((6, 6), 9000, np.uint16), 20)
    raster(tmp_path / "SCL_20m.jp2", np.full((6, 6), 4, np.uint8), 20)
    assets = {
        key: {
            "href": f"./{key}.jp2",
            "type": "image/jp2",
            "roles": ["data"],
            "bands": [{"name": "B04", "eo:common_name": "red"}] if key.startswith("B04") else [{"name": "SCL"}],
            "nodata": 0,
            **({"raster:scale": 0.0001, "raster:offset": -0.1} if key.startswith("B04") else {}),
        }
        for key in ("B04_20m", "B04_10m", "SCL_20m")
    }
    facts = {"grid__code": "MGRS-32UQC", "processing__version": "05.11"}
    write(tmp_path / "item.json", stac_item(assets, stac_version="1.1.0", collection="sentinel-2-l2a", **facts))
    files = only(tmp_path, tmp_path)
    assert (files.name, files.meta["baseline"], files.meta["offset"]) == ("T32UQC", "05.11", -1000)
    assert Path(files.bands[0].path).name == "B04_10m.jp2"
    assert [(Path(mask.path).name, mask.codes) for mask in files.masks] == [("SCL_20m.jp2", "scl")]
    assert value(files, "red") == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("facts", "band", "reflectance", "meta"),
    [
        ({"s2__processing_baseline": "04.00"}, {}, 0.1, {"offset": -1000}),
        ({"s2__processing_baseline": "03.01"}, {}, 0.2, {"offset": 0}),
        ({"s2__processing_baseline": "05.10"}, {"scale": 1e-4, "offset": 0}, 0.2, {"offset": 0}),
        (
            {"s2__processing_baseline": "05.10", "earthsearch__boa_offset_applied": True},
            {"scale": 1e-4, "offset": -0.1},
            0.2,
            {"offset": 0},
        ),
        ({"sentinel__processing_baseline": "04.00", "sentinel__boa_offset_applied": True}, {}, 0.2, {"offset": 0}),
        ({"s2__product_uri": "S2B_MSIL2A_20220413T102559_N0400_R108_T32UQC_20220413T134700.SAFE"}, {}, 0.1, {"offset": -1000}),
        ({}, {}, 0.1, {"offset_known": False}),
        ({"datetime": "2021-04-13T10:30:21Z"}, {}, 0.2, {"offset_known": False}),
    ],
)
def test_the_offset_is_what_the_provider_says(
    tmp_path: Path, facts: dict[str, Any], band: dict[str, Any], reflectance: float, meta: dict[str, Any]
) -> None:
    write(tmp_path / "item.json", stac_item(stac_assets(tmp_path, {"B04": 2000}, **band), **facts))
    files = only(tmp_path, tmp_path)
    assert value(files, "red") == pytest.approx(reflectance)
    assert {key: files.meta[key] for key in ("offset", "offset_known") if key in files.meta} == meta
    applied = any(key.endswith("boa_offset_applied") for key in facts)
    assert files.meta.get("harmonised", False) is applied


def test_a_collection_known_to_be_wrong_about_the_offset_is_not_believed(tmp_path: Path) -> None:
    assets = stac_assets(tmp_path, {"B04": 2000}, scale=1e-4, offset=-0.1)
    facts = COLLECTION_1 | {"earthsearch__boa_offset_applied": False}
    write(tmp_path / "item.json", stac_item(assets, collection="sentinel-2-l2a", **facts))
    files = only(tmp_path, tmp_path)
    assert files.meta["offset_known"] is False
    assert value(files, "red") == pytest.approx(0.1)


def test_landsat_and_naip_and_hls(tmp_path: Path) -> None:
    raster(tmp_path / "landsat" / "B4.TIF", np.full((6, 6), 20000, np.uint16), 30)
    raster(tmp_path / "landsat" / "QA.TIF", np.full((6, 6), 22280, np.uint16), 30)
    assets = {
        "nir08": {
            "href": "B4.TIF",
            "type": "image/tiff",
            "eo:bands": [{"name": "SR_B4", "common_name": "nir08"}],
            "roles": ["data"],
        },
        "qa_pixel": {"href": "QA.TIF", "type": "image/tiff", "roles": ["cloud", "cloud-shadow"]},
        "qa": {"href": "QA.TIF", "type": "image/tiff", "roles": ["data"]},
    }
    facts = {"platform": "landsat-5", "landsat__wrs_path": "010", "landsat__wrs_row": "067"}
    write(tmp_path / "landsat" / "i.json", stac_item(assets, id="LT05_L2SP_010067_19860424_02_T2", **facts))
    files = only(tmp_path / "landsat", tmp_path)
    assert (files.name, files.sensor, [band.name for band in files.bands]) == ("010/067", "landsat5", ["nir"])
    assert value(files, "nir") == pytest.approx(0.35, abs=1e-6)  # scale and offset of the sensor, as the item has none
    assert [mask.codes for mask in files.masks] == ["qa_pixel"]

    raster(tmp_path / "naip" / "image.tif", np.full((4, 8, 8), 51, np.uint8), 1)
    names = [{"name": name, "common_name": name.lower()} for name in ("Red", "Green", "Blue", "NIR")]
    write(
        tmp_path / "naip" / "i.json",
        stac_item({"image": {"href": "image.tif", "eo:bands": names}}, id="al_m_3008501_ne_16_060_20191109"),
    )
    files = only(tmp_path / "naip", tmp_path)
    assert (files.uri, files.sensor) == ("naip/image.tif", "naip")
    assert [(band.name, band.index) for band in files.bands] == [("blue", 3), ("green", 2), ("red", 1), ("nir", 4)]
    assert value(files, "nir") == pytest.approx(0.2)

    raster(tmp_path / "hls" / "B05.tif", np.full((6, 6), 3000, np.int16), 30)
    raster(tmp_path / "hls" / "Fmask.tif", np.full((6, 6), 2, np.uint8), 30)
    assets = {key: {"href": f"{key}.tif", "type": "image/tiff"} for key in ("B05", "Fmask")}
    write(tmp_path / "hls" / "i.json", stac_item(assets, id="HLS.L30.T32UQC.2022103T102559.v2.0", platform="LANDSAT-8"))
    files = only(tmp_path / "hls", tmp_path)
    assert (files.sensor, files.masks[0].codes, files.name) == ("hls_l30", "hls", "HLS.L30.T32UQC_v2.0")
    assert value(files, "nir") == pytest.approx(0.3)


def test_an_unknown_sensor_goes_by_common_names(tmp_path: Path) -> None:
    raster(tmp_path / "a.tif", np.full((3, 4, 4), 0.25, np.float32), 3)
    bands = [{"name": "band-1", "common_name": "red"}, {"name": "band-2", "common_name": "nir08"}, {"name": "band-3"}]
    clouds = {"href": "c.tif", "type": "image/tiff", "roles": ["cloud"], "title": "Cloud probability"}
    raster(tmp_path / "c.tif", np.zeros((4, 4), np.uint8), 3)
    item = stac_item({"data": {"href": "a.tif", "eo:bands": bands}, "clouds": clouds}, id="field_20240601", platform="drone")
    write(tmp_path / "i.json", item)
    files = only(tmp_path, tmp_path)
    assert ([band.name for band in files.bands], files.sensor, files.name) == (["red", "nir"], "", "field")
    assert files.masks == ()
    item["assets"]["clouds"]["title"] = "Clouds"
    write(tmp_path / "i.json", item)
    assert [mask.codes for mask in only(tmp_path, tmp_path).masks] == ["mask"]


def test_an_item_collection_has_a_scene_for_each_item(tmp_path: Path) -> None:
    features = [
        stac_item(stac_assets(tmp_path, {"B04": 2000}, at=day), id=f"S2B_32UQC_{day}_0_L2A", **COLLECTION_1) for day in ("1", "2")
    ]
    features.append({"type": "Feature", "stac_version": "1.0.0", "id": "cut"})
    write(tmp_path / "items.json", {"type": "FeatureCollection", "features": [*features, 7]})
    found = scenes(tmp_path, tmp_path)
    assert [one.uri for one in found] == ["1/B04.tif", "2/B04.tif", "items.json#2", "items.json#3"]
    assert ["broken" in one.meta for one in found] == [False, False, True, True]


def test_catalogues_are_followed_and_each_item_comes_once(tmp_path: Path) -> None:
    for day in ("a", "b"):
        assets = stac_assets(tmp_path / "s2" / day, {"B04": 2000, "B08": 4000})
        write(tmp_path / "s2" / day / "item.json", stac_item(assets, id=f"S2B_32UQC_{day}", **COLLECTION_1))
    catalog(tmp_path / "s2", [("item", "./a/item.json"), ("item", "b/item.json"), ("root", "../catalog.json")], kind="Collection")
    catalog(tmp_path, [("child", "./s2/collection.json"), ("item", "s2/a/item.json"), ("child", "catalog.json")])
    assert [one.uri for one in scenes(tmp_path / "catalog.json", tmp_path)] == ["s2/a/item.json", "s2/b/item.json"]
    taken: set[Path] = set()
    folders = [tmp_path, tmp_path / "s2", tmp_path / "s2" / "a", tmp_path / "s2" / "b"]
    found = [one.uri for folder in folders for one in scenes(folder, tmp_path, taken=taken)]
    assert sorted(found) == ["s2/a/item.json", "s2/b/item.json"]


def test_a_catalogue_that_leads_nowhere_says_so(tmp_path: Path) -> None:
    catalog(tmp_path, [("child", "https://data.example.org/catalog.json"), ("item", "../../etc/passwd")])
    assert "none of the 2 documents" in only(tmp_path, tmp_path).meta["broken"]
    catalog(tmp_path, [("child", "here.json"), ("child", "gone.json")])
    catalog(tmp_path / "x", [])
    (tmp_path / "x" / "catalog.json").rename(tmp_path / "here.json")
    assert scenes(tmp_path, tmp_path) == []  # an empty catalogue is no fault


@pytest.mark.parametrize(
    "href",
    [
        "../away/B04.tif",
        "/etc/hostname.tif",
        "/vsicurl/https://data.example.org/B04.tif",
        "file:///etc/hostname.tif",
        "link.tif",
        "s3://bucket/B04.tif",
        "https://data.example.org/B04.tif",
        "http://169.254.169.254/B04.tif",
        "B04.tif\x00.jp2",
        "",
    ],
)
def test_rasters_beyond_the_source_are_not_taken(tmp_path: Path, href: str) -> None:
    source = tmp_path / "source"
    away = raster(tmp_path / "away" / "B04.tif", np.full((4, 4), 2000, np.uint16))
    source.mkdir()
    (source / "link.tif").symlink_to(away)
    asset = {"href": href, "type": "image/tiff", "eo:bands": [{"name": "red", "common_name": "red"}]}
    write(source / "item.json", stac_item({"red": asset}, **COLLECTION_1))
    for more in ({}, {"remote": True}, {"remote": True, "hosts": ["other.example.org"]}, {"hosts": ["data.example.org"]}):
        files = only(source, source, **more)
        assert files.bands == ()
        assert "not in the source" in files.meta["broken"]
        with pytest.raises(BadItem, match="not in the source"):
            RasterScene(files, remote=True)


def test_a_way_round_into_the_source_is_not_taken(tmp_path: Path) -> None:
    source = tmp_path / "source"
    raster(source / "B04.tif", np.full((4, 4), 2000, np.uint16))
    (tmp_path / "round").symlink_to(source)
    asset = {"href": "../round/B04.tif", "type": "image/tiff", "eo:bands": [{"name": "red", "common_name": "red"}]}
    write(source / "item.json", stac_item({"red": asset}, **COLLECTION_1))
    assert "not in the source" in only(source, source).meta["broken"]


def test_named_hosts_are_taken_by_https_only_and_a_copy_beside_the_item_is_preferred(tmp_path: Path) -> None:
    asset = {"href": f"{FAR}?signature=secret", "type": "image/tiff", "eo:bands": [{"name": "red", "common_name": "red"}]}
    plain = {"href": FAR.replace("https", "http"), "type": "image/tiff", "eo:bands": [{"name": "nir", "common_name": "nir"}]}
    write(tmp_path / "item.json", stac_item({"red": asset, "nir": plain}, **COLLECTION_1))
    files = only(tmp_path, tmp_path, remote=True, hosts=["data.example.org"])
    assert [(band.name, band.path) for band in files.bands] == [("red", f"{FAR}?signature=secret")]
    assert files.uri == FAR  # a secret is not kept
    raster(tmp_path / "B04.tif", np.full((12, 12), 2000, np.uint16))
    assert {band.path for band in only(tmp_path, tmp_path).bands} == {str(tmp_path / "B04.tif")}


def test_absolute_and_escaped_paths_in_the_source_are_taken(tmp_path: Path) -> None:
    file = raster(tmp_path / "a b" / "B04.tif", np.full((12, 12), 2000, np.uint16))
    eo = {"type": "image/tiff", "eo:bands": [{"name": "red", "common_name": "red"}]}
    for href in (str(file), file.as_uri(), "a%20b/B04.tif", "./a b/../a b/B04.tif"):
        write(tmp_path / "item.json", stac_item({"red": eo | {"href": href}}, **COLLECTION_1))
        assert only(tmp_path, tmp_path).bands[0].path == str(file)


def test_an_old_item_makes_nobody_fetch_its_collection(tmp_path: Path) -> None:
    item = stac_item(stac_assets(tmp_path, {"B04": 2000}), collection="far", **COLLECTION_1)
    item |= {"stac_version": "0.9.0", "stac_extensions": ["commons"]}
    item["links"] = [{"rel": "collection", "href": "http://169.254.169.254/collection.json"}]
    write(tmp_path / "item.json", item)
    assert [band.name for band in only(tmp_path, tmp_path).bands] == ["red"]


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "Feature", "stac_version": "1.0.0"',
        '["stac_version"',
        '{"type": "Feature", "stac_version": "1.0.0", "id": "a", "assets": 3}',
        '{"type": "Feature", "stac_version": 7, "id": null, "properties": null, "assets": {}}',
        '{"type": "Collection", "stac_version": "1.0.0", "links": 3}',
        '{"a": ' * 5000 + '"stac_version"',
    ],
)
def test_broken_documents_make_a_scene_that_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "item.json").write_text(text)
    files = only(tmp_path, tmp_path)
    assert files.uri == "item.json"
    assert files.meta["broken"]


def test_other_json_is_no_stac(tmp_path: Path) -> None:
    (tmp_path / "fields.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "large.json").write_bytes(b'{"stac_version": 1}' + b" " * (17 * 2**20))
    assert scenes(tmp_path, tmp_path) == []


def test_the_item_that_comes_with_a_landsat_product_is_left_to_its_metadata(tmp_path: Path) -> None:
    landsat(tmp_path, folder=False, values={"SR_B4": 12000})
    write(tmp_path / f"{LANDSAT}_SR_stac.json", stac_item({"red": {"href": FAR, "type": "image/tiff"}}, id=LANDSAT))
    assert scenes(tmp_path, tmp_path) == []


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_in_any_place_is_a_scene_or_a_reason(tmp_path: Path, data: st.DataObject) -> None:
    if not (tmp_path / "B04.tif").exists():
        stac_assets(tmp_path, {"B04": 2000, "SCL": 4})
    item = stac_item(stac_assets_of(tmp_path), collection="sentinel-2-l2a", **COLLECTION_1, eo__cloud_cover=3)
    words = st.sampled_from(
        ["//[", "https://[x", "%00.tif", "../..", "nan", "-1e999", "file:", "C:\\B04.tif", "https:///B04.tif"]
    )
    odd = st.one_of(
        st.none(), st.integers(), st.floats(), words, st.lists(st.one_of(st.integers(), words), max_size=2), st.just({})
    )
    places = list(leaves(item))
    for holder, key in data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=3, unique_by=str)):
        holder[key] = data.draw(odd)
    item["stac_version"] = item.get("stac_version") or "1.0.0"
    write(tmp_path / "item.json", item)
    for files in scenes(tmp_path / "item.json", tmp_path):
        assert files.meta.get("broken") or files.bands
        json.dumps(dict(files.meta), allow_nan=False)


def stac_assets_of(folder: Path) -> dict[str, Any]:
    eo = {"eo:bands": [{"name": "red", "common_name": "red"}], "raster:bands": [{"scale": 1e-4, "offset": -0.1, "nodata": 0}]}
    return {
        "red": {"href": "B04.tif", "type": "image/tiff", "roles": ["data"], **eo},
        "scl": {"href": "SCL.tif", "type": "image/tiff", "roles": ["data"]},
    }


def leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (holder, key) of everything in a JSON value but its type and version."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if key not in ("stac_version", "type"):
            yield value, key
        if isinstance(inner, (dict, list)):
            yield from leaves(inner)
