"""Landsat Collection 2: products by their metadata and by their names, of levels 2 and 1, and broken ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hyla.errors import BadItem
from hyla_agriculture.landsat import scenes
from hyla_agriculture.raster import RasterScene
from hyla_agriculture.scene import CLEAR, CLOUD, SATURATED, Window
from hyla_agriculture.sources import SceneFiles
from layouts_kit import LANDSAT, landsat, mtl_groups, mtl_text, raster

TM = "LT05_L2SP_010067_19860424_20200918_02_T2"
LEVEL1 = "LC08_L1TP_195024_20200617_20200823_02_T1"


def only(path: Path, root: Path) -> SceneFiles:
    (files,) = scenes(path, root)
    return files


def value(files: SceneFiles, band: str) -> float:
    scene = RasterScene(files)
    try:
        return float(scene.reflectance(Window(0, 2, 0, 2), [band])[0, 0, 0])
    finally:
        scene.close()


@pytest.mark.parametrize("mtl", [("json",), ("xml",), ("txt",), ("txt", "xml", "json"), ()])
def test_a_product_of_level_2(tmp_path: Path, mtl: tuple[str, ...]) -> None:
    files = only(landsat(tmp_path, mtl=mtl), tmp_path)
    assert (files.uri, files.name, files.date, files.sensor) == (LANDSAT, "195/024", "2020-06-17", "landsat8")
    assert [band.name for band in files.bands] == ["coastal", "blue", "green", "red", "nir", "swir16", "swir22", "lwir11"]
    assert [mask.codes for mask in files.masks] == ["qa_pixel", "qa_radsat"]
    own = {"level": "L2", "platform": "landsat-8", "nodata": 0}
    assert dict(files.meta) == own | ({"cloud_cover": 7.25, "sun_elevation": 30.0} if mtl else {})
    assert value(files, "red") == pytest.approx(12000 * 2.75e-5 - 0.2, abs=1e-6)
    assert value(files, "lwir11") == pytest.approx(12000 * 0.00341802 + 149, abs=1e-3)


def test_band_numbers_are_those_of_the_instrument(tmp_path: Path) -> None:
    parts = {"SR_B1": 8000, "SR_B3": 9000, "SR_B4": 20000, "SR_B5": 15000, "SR_B7": 11000, "ST_B6": 43000}
    files = only(landsat(tmp_path, TM, values=parts), tmp_path)
    assert [band.name for band in files.bands] == ["blue", "red", "nir", "swir16", "swir22", "lwir11"]
    assert value(files, "nir") == pytest.approx(0.35, abs=1e-6)
    assert value(files, "lwir11") == pytest.approx(295.975, abs=1e-2)
    assert (files.sensor, files.name, files.date) == ("landsat5", "010/067", "1986-04-24")


def test_scale_and_offset_are_those_of_the_metadata(tmp_path: Path) -> None:
    folder = landsat(tmp_path, values={"SR_B4": 10000})
    groups = mtl_groups()
    groups["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"] |= {"REFLECTANCE_MULT_BAND_4": "1e-4", "REFLECTANCE_ADD_BAND_4": "-0.5"}
    (folder / f"{LANDSAT}_MTL.json").write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}))
    assert value(only(folder, tmp_path), "red") == pytest.approx(0.5)


def test_level_1_is_reflectance_at_the_sensor_under_a_sun_in_the_zenith(tmp_path: Path) -> None:
    files = only(landsat(tmp_path, LEVEL1, values={"B4": 10000, "B8": 9000, "B9": 5200, "B10": 22000}), tmp_path)
    assert [band.name for band in files.bands] == ["red", "cirrus"]
    assert value(files, "red") == pytest.approx((10000 * 2e-5 - 0.1) / 0.5, abs=1e-6)  # the sun is 30 degrees high
    assert (files.name, files.meta["level"]) == ("195/024 L1", "L1")


def test_level_1_needs_its_metadata(tmp_path: Path) -> None:
    files = only(landsat(tmp_path, LEVEL1, values={"B4": 10000}, mtl=()), tmp_path)
    assert "needs its MTL" in files.meta["broken"]
    with pytest.raises(BadItem, match="needs its MTL"):
        RasterScene(files)


def test_several_products_in_one_folder_and_one_of_them_by_its_metadata(tmp_path: Path) -> None:
    landsat(tmp_path, folder=False, values={"SR_B4": 12000})
    landsat(tmp_path, TM, folder=False, values={"SR_B4": 12000}, mtl=("txt",))
    first, second = scenes(tmp_path, tmp_path)
    assert (first.sensor, second.sensor) == ("landsat8", "landsat5")
    assert (first.uri, second.uri) == (f"{LANDSAT}_MTL.json", f"{TM}_MTL.txt")
    assert [band.name for band in first.bands + second.bands] == ["red", "nir"]
    assert only(tmp_path / f"{TM}_MTL.txt", tmp_path) == second


def test_analysis_ready_tiles(tmp_path: Path) -> None:
    name = "LC08_CU_003008_20200617_20210425_02"
    files = only(landsat(tmp_path, name, values={"SR_B5": 20000}, mtl=()), tmp_path)
    assert (files.name, files.date, files.bands[0].name) == ("CU 003/008", "2020-06-17", "nir")


def test_quality_is_the_worst_of_both_masks(tmp_path: Path) -> None:
    folder = landsat(tmp_path, values={"SR_B4": 12000})
    pixel, radsat = np.full((20, 20), 21824, np.uint16), np.zeros((20, 20), np.uint16)
    pixel[:, :5], radsat[:, 3:8] = 22280, 1 << 3
    raster(folder / f"{LANDSAT}_QA_PIXEL.TIF", pixel, 30)
    raster(folder / f"{LANDSAT}_QA_RADSAT.TIF", radsat, 30)
    scene = RasterScene(only(folder, tmp_path))
    assert scene.quality(Window(0, 1, 0, 20))[0].tolist() == [CLOUD] * 3 + [SATURATED] * 5 + [CLEAR] * 12
    scene.close()


@pytest.mark.parametrize(
    ("form", "text", "reason"),
    [
        ("json", "{", "no JSON"),
        ("json", "[]", "no JSON object"),
        ("json", "{}", "no MTL"),
        ("json", '{"LANDSAT_METADATA_FILE": 3}', "no MTL"),
        ("xml", "<a", "no XML"),
        ("xml", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "no XML"),
        ("txt", "GROUP = NOTHING", "no MTL"),
        ("txt", "\x00\xff", "no MTL"),
        ("json", mtl_text().replace('"2.75e-05"', '"none"'), "convert"),
        ("json", mtl_text().replace('"2.75e-05"', '"nan"'), "can't be"),
        ("txt", mtl_text(form="txt").replace('"2.75e-05"', '"-1"'), "can't be"),
    ],
)
def test_broken_metadata_make_a_scene_that_says_so(tmp_path: Path, form: str, text: str, reason: str) -> None:
    folder = landsat(tmp_path, values={"SR_B4": 12000}, mtl=())
    (folder / f"{LANDSAT}_MTL.{form}").write_text(text, encoding="latin-1")
    files = only(folder, tmp_path)
    assert reason in files.meta["broken"]
    assert (files.uri, files.name, files.date) == (LANDSAT, "195/024", "2020-06-17")
    with pytest.raises(BadItem, match=LANDSAT):
        files.check()


def test_what_metadata_did_not_compute_is_not_known(tmp_path: Path) -> None:
    folder = landsat(tmp_path, values={"SR_B4": 12000})
    (folder / f"{LANDSAT}_MTL.json").write_text(mtl_text().replace('"7.25"', '"-1.00"').replace('"30.00000000"', '"nan"'))
    assert dict(only(folder, tmp_path).meta) == {"level": "L2", "platform": "landsat-8", "nodata": 0}


def test_a_product_without_bands_says_so_and_other_files_are_no_landsat(tmp_path: Path) -> None:
    folder = landsat(tmp_path / "a", values={})
    assert "no band" in only(folder, tmp_path).meta["broken"]
    raster(tmp_path / "b" / "LC08_B4.tif", np.ones((4, 4), np.uint16))
    raster(tmp_path / "b" / "LM01_L1GS_001010_19720908_20200909_02_T2_B4.TIF", np.ones((4, 4), np.uint8))
    assert scenes(tmp_path / "b", tmp_path) == []


def test_links_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    folder = landsat(tmp_path / "source", values={"SR_B4": 12000})
    away = raster(tmp_path / "away.TIF", np.ones((20, 20), np.uint16), 30)
    (folder / f"{LANDSAT}_SR_B5.TIF").symlink_to(away)
    assert [band.name for band in only(folder, tmp_path / "source").bands] == ["red"]


def test_an_archive_says_that_it_is_one_unless_it_is_unpacked_beside(tmp_path: Path) -> None:
    for name in (f"{LANDSAT}.tar", f"{TM}.tar.gz", "other.tar"):
        (tmp_path / name).write_bytes(b"x")
    landsat(tmp_path, values={"SR_B4": 12000})
    files = only(tmp_path, tmp_path)
    assert (files.uri, files.name) == (f"{TM}.tar.gz", TM)
    assert "unpack it" in files.meta["broken"]
