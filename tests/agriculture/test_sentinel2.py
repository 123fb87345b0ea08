"""Sentinel-2: SAFE products and loose bands, their offset, resolutions and masks, and products that are broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hyla.errors import BadItem
from hyla_agriculture.raster import RasterScene
from hyla_agriculture.scene import CLEAR, CLOUD, SATURATED, Window
from hyla_agriculture.sentinel2 import scenes
from hyla_agriculture.sentinel2_facts import shift_of
from hyla_agriculture.sources import SceneFiles
from layouts_kit import SAFE, product_xml, raster, safe, tile_xml

OLD = "S2A_MSIL2A_20210601T102021_N0300_R065_T32UQC_20210601T134700.SAFE"
ALL = ["coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09", "swir16", "swir22"]


def only(path: Path, root: Path) -> SceneFiles:
    (files,) = scenes(path, root)
    return files


def value(files: SceneFiles, band: str) -> float:
    scene = RasterScene(files)
    try:
        return float(scene.reflectance(Window(0, 2, 0, 2), [band])[0, 0, 0])
    finally:
        scene.close()


def test_a_product_is_described_by_its_metadata(tmp_path: Path) -> None:
    files = only(safe(tmp_path), tmp_path)
    assert (files.uri, files.name, files.date, files.sensor) == (SAFE, "T32UQC", "2022-04-13", "sentinel2")
    assert [band.name for band in files.bands] == ALL
    assert dict(files.meta) == {
        "baseline": "04.00",
        "offset": -1000,
        "level": "L2A",
        "platform": "sentinel-2b",
        "cloud_cover": 12.5,
        "sun_elevation": 46.75,
        "orbit": 108,
        "time": "10:25:59",
        "nodata": 0.0,
    }
    files.check()


def test_each_band_comes_from_its_own_resolution_and_the_mask_from_20_m(tmp_path: Path) -> None:
    files = only(safe(tmp_path), tmp_path)
    metres = {band.name: Path(band.path).parent.name for band in files.bands}
    assert {name for name, folder in metres.items() if folder == "R10m"} == {"blue", "green", "red", "nir"}
    assert {name for name, folder in metres.items() if folder == "R60m"} == {"coastal", "nir09"}
    assert [(Path(mask.path).name, mask.codes) for mask in files.masks] == [("T32UQC_20220413T102559_SCL_20m.jp2", "scl")]


@pytest.mark.parametrize(("name", "reflectance"), [(SAFE, 0.1), (OLD.replace("N0300", "N0301"), 0.2)])
@pytest.mark.parametrize("xml", ["", None])
def test_2000_is_a_tenth_from_baseline_4_on_and_a_fifth_before(
    tmp_path: Path, name: str, reflectance: float, xml: str | None
) -> None:
    files = only(safe(tmp_path, name, values={"B04": 2000, "B08": 2000, "B11": 2000}, xml=xml), tmp_path)
    assert value(files, "red") == pytest.approx(reflectance, abs=1e-6)
    assert value(files, "swir16") == pytest.approx(reflectance, abs=1e-6)
    assert files.meta["baseline"] == ("04.00" if reflectance == 0.1 else "03.01")
    assert "offset_known" not in files.meta


def test_offset_and_scale_are_those_of_each_band(tmp_path: Path) -> None:
    xml = product_xml(offsets={3: -1000, 7: -500, 8: -250}, quantification="20000")
    files = only(safe(tmp_path, values={"B04": 2000, "B08": 2000, "B8A": 2000}, xml=xml), tmp_path)
    assert [value(files, band) for band in ("red", "nir", "nir08")] == pytest.approx([0.05, 0.075, 0.0875])


@pytest.mark.parametrize(
    ("baseline", "date", "expected"),
    [
        ("04.00", "2021-01-01", (-1000, True)),  # Collection 1: an old scene, processed anew
        ("05.11", "2025-01-01", (-1000, True)),
        ("03.01", "2022-01-24", (0, True)),
        ("02.14", "2030-01-01", (0, True)),
        ("", "2022-01-24", (0, False)),
        ("", "2022-01-25", (-1000, False)),
        ("99.99", "2022-01-25", (-1000, False)),
        ("odd", "", (0, False)),
    ],
)
def test_the_baseline_tells_the_offset_and_the_date_hints_at_it(baseline: str, date: str, expected: tuple[float, bool]) -> None:
    assert shift_of(baseline, date) == expected


def test_metadata_of_baseline_4_without_offsets_leave_it_open(tmp_path: Path) -> None:
    files = only(safe(tmp_path, values={"B04": 2000}, xml=product_xml(offsets={})), tmp_path)
    assert files.meta["offset_known"] is False
    assert "offset" not in files.meta


def test_neither_name_nor_metadata_tell_the_baseline(tmp_path: Path) -> None:
    for word in ("B04", "B08"):
        raster(tmp_path / "field" / f"T32UQC_20220413T102559_{word}_10m.jp2", np.full((12, 12), 2000, np.uint16))
    files = only(tmp_path / "field", tmp_path)
    assert files.meta["offset_known"] is False
    assert (files.name, files.date, files.meta.get("time", "")) == ("T32UQC", "2022-04-13", "")
    assert value(files, "red") == pytest.approx(0.1)  # what a product of that day most likely needs


def test_level_1c_has_one_folder_of_images_and_masks_of_its_own(tmp_path: Path) -> None:
    name = SAFE.replace("MSIL2A", "MSIL1C")
    folder = safe(tmp_path, name, values={"B02": 1500, "B04": 2000, "B8A": 3000})
    granule = next((folder / "GRANULE").iterdir())
    classes = np.zeros((3, 10, 10), np.uint8)
    classes[1, :, 5:] = 1
    raster(granule / "QI_DATA" / "MSK_CLASSI_B00.jp2", classes, 60)
    files = only(folder, tmp_path)
    assert (files.name, files.meta["level"], files.meta["offset"]) == ("T32UQC L1C", "L1C", -1000)
    assert value(files, "nir08") == pytest.approx(0.2)
    scene = RasterScene(files)
    quality = scene.quality(Window(0, 60, 0, 60))
    scene.close()
    assert set(np.unique(quality[:, :30])) == {CLEAR}
    assert set(np.unique(quality[:, 30:])) == {CLOUD}


def test_saturated_samples_are_known(tmp_path: Path) -> None:
    files = only(safe(tmp_path, values={"B04": 65535, "B08": 3000}), tmp_path)
    assert {band.saturated for band in files.bands} == {65535.0}
    scene = RasterScene(files)
    assert set(np.unique(scene.quality(Window(0, 4, 0, 4)))) == {SATURATED}
    scene.close()


def test_geotiffs_in_a_product_are_preferred_and_several_granules_are_several_scenes(tmp_path: Path) -> None:
    folder = safe(tmp_path, values={"B04": 2000}, tiles=("T32UQC", "T32UPC"))
    images = sorted(folder.glob("GRANULE/*T32UQC*/IMG_DATA/R10m"))[0]
    raster(images / "T32UQC_20220413T102559_B04_10m.tif", np.full((60, 60), 3000, np.uint16))
    first, second = scenes(folder, tmp_path)
    assert (first.name, second.name) == ("T32UPC", "T32UQC")
    assert first.uri.startswith(f"{SAFE}/GRANULE/")
    assert first.uri != second.uri
    assert value(second, "red") == pytest.approx(0.2)


def test_missing_bands_leave_what_there_is(tmp_path: Path) -> None:
    folder = safe(tmp_path, values={"B02": 1200, "B05": 1300, "B04": 2000})
    shutil.rmtree(next(folder.glob("GRANULE/*/IMG_DATA/R10m")))
    files = only(folder, tmp_path)
    assert [(band.name, Path(band.path).parent.name) for band in files.bands] == [
        *(("blue", "R20m"), ("red", "R20m"), ("rededge1", "R20m"))
    ]
    assert files.masks == ()


def test_loose_cogs_as_earth_search_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "S2B_32UQC_20210413_0_L2A"
    for word in ("B04", "B8A", "SCL"):
        raster(folder / f"{word}.tif", np.full((12, 12), 2000 if word != "SCL" else 9, np.uint16), 10)
    files = only(folder, tmp_path)
    assert (files.uri, files.name, files.date, files.meta["level"]) == (folder.name, "T32UQC", "2021-04-13", "L2A")
    assert [band.name for band in files.bands] == ["red", "nir08"]
    assert files.masks[0].codes == "scl"
    (folder / "item.json").write_text('{"type": "Feature", "stac_version": "1.0.0"}')
    assert scenes(folder, tmp_path) == []  # the item says more of the samples than names can


def test_folders_by_resolution_without_a_product_around_them(tmp_path: Path) -> None:
    folder = tmp_path / "tiles" / "32" / "U" / "QC" / "2022" / "4" / "13" / "0"
    raster(folder / "R10m" / "B04.jp2", np.full((12, 12), 2000, np.uint16), 10)
    raster(folder / "R20m" / "B8A.jp2", np.full((6, 6), 2000, np.uint16), 20)
    (folder / "metadata.xml").write_text(tile_xml())
    files = only(folder, tmp_path)
    assert [band.name for band in files.bands] == ["red", "nir08"]
    assert (files.name, files.date, files.meta["baseline"], files.meta["offset"]) == ("T32UQC", "2022-04-13", "04.00", -1000)
    assert scenes(folder / "R10m", tmp_path) == []


def test_what_lies_in_a_product_is_of_no_other_scene(tmp_path: Path) -> None:
    folder = safe(tmp_path, values={"B04": 2000})
    for inner in [path for path in folder.rglob("*") if path.is_dir()]:
        assert scenes(inner, tmp_path) == []
    assert only(folder, folder).uri == "MTD_MSIL2A.xml"  # the product itself as the source
    assert only(folder / "MTD_MSIL2A.xml", folder).bands == only(folder, folder).bands


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<n1:Level-2A_User_Product", "no XML"),
        ("", "no XML"),
        (product_xml().replace("<n1:Level-2A_User", '<!DOCTYPE a [<!ENTITY b "c">]><n1:Level-2A_User', 1), "no XML"),
        (product_xml(quantification="0"), "zero"),
        (product_xml(quantification="nan"), "can't be"),
        (product_xml(quantification="-10000"), "can't be"),
        (product_xml(offsets={3: float("inf")}), "can't be"),
        (product_xml(quantification="many"), "convert"),
        (product_xml() + " " * (17 * 2**20), "larger than"),
    ],
    ids=["cut", "empty", "entity", "zero", "nan", "negative", "infinite", "word", "huge"],
)
def test_broken_metadata_make_a_scene_that_says_so(tmp_path: Path, xml: str, reason: str) -> None:
    folder = safe(tmp_path, values={"B04": 2000}, xml=" " if xml == "" else xml)
    files = only(folder, tmp_path)
    assert reason in files.meta["broken"]
    assert (files.uri, files.name, files.date) == (SAFE, "T32UQC", "2022-04-13")
    with pytest.raises(BadItem, match=SAFE):
        RasterScene(files)


def test_a_product_without_images_and_one_with_broken_tile_metadata(tmp_path: Path) -> None:
    (tmp_path / SAFE / "GRANULE").mkdir(parents=True)
    assert "no granule" in only(tmp_path / SAFE, tmp_path).meta["broken"]
    folder = safe(tmp_path, OLD, values={"B04": 2000})
    next(folder.glob("GRANULE/*/MTD_TL.xml")).write_text("<cut")
    files = only(folder, tmp_path)
    assert "sun_elevation" not in files.meta
    assert value(files, "red") == pytest.approx(0.2)


def test_links_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    source, away = tmp_path / "source", tmp_path / "away"
    folder = safe(source, values={"B04": 2000, "B03": 2000})
    images = next(folder.glob("GRANULE/*/IMG_DATA/R10m"))
    moved = away / "B03.jp2"
    away.mkdir()
    for file in list(folder.rglob("*B03_*.jp2")):
        shutil.move(file, moved)
    (images / "T32UQC_20220413T102559_B03_10m.jp2").symlink_to(moved)
    assert [band.name for band in only(folder, source).bands] == ["red"]
    metadata = folder / "MTD_MSIL2A.xml"
    shutil.move(metadata, away / "m.xml")
    metadata.symlink_to(away / "m.xml")
    assert "not a file in the source" in only(folder, source).meta["broken"]


def test_other_folders_are_not_sentinel2(tmp_path: Path) -> None:
    raster(tmp_path / "leipzig_B04.tif", np.ones((4, 4), np.uint16))
    raster(tmp_path / "HLS.S30.T32UQC.2022103T102559.v2.0.B04.tif", np.ones((4, 4), np.uint16))
    assert scenes(tmp_path, tmp_path) == []
    assert scenes(tmp_path / "nothing", tmp_path) == []


def test_an_archive_says_that_it_is_one_unless_it_is_unpacked_beside(tmp_path: Path) -> None:
    for name in (SAFE.replace(".SAFE", ".zip"), f"{OLD}.zip", "photos.zip"):
        (tmp_path / name).write_bytes(b"PK")
    safe(tmp_path, values={"B04": 2000})
    files = only(tmp_path, tmp_path)
    assert (files.uri, files.name) == (f"{OLD}.zip", OLD.removesuffix(".SAFE"))
    assert "unpack it" in files.meta["broken"]
