"""What plain rasters are: bands by name, by file and by date, and the scale of their samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from hyla_agriculture import geotiff
from hyla_agriculture.raster import RasterScene
from hyla_agriculture.scaling import Given
from hyla_agriculture.scene import CLEAR, CLOUD, Window
from hyla_agriculture.sources import SceneFiles
from raster_kit import BANDS, MSI, PLACE, band_set, samples, vrt, write


def found(folder: Path, **given: Any) -> list[SceneFiles]:
    return sorted(geotiff.scenes(folder, folder, Given(**given)), key=lambda one: (one.uri, one.date))


def only(folder: Path, **given: Any) -> SceneFiles:
    (one,) = found(folder, **given)
    return one


def names(scene: SceneFiles) -> list[str]:
    return [band.name for band in scene.bands]


def test_descriptions_name_the_bands_and_tell_the_sensor(tmp_path: Path) -> None:
    write(tmp_path / "field_20240601.tif", samples(6), names=MSI)
    scene = only(tmp_path)
    assert names(scene) == ["blue", "green", "red", "nir", "swir16", "swir22"]
    assert (scene.uri, scene.name, scene.date, scene.sensor) == ("field_20240601.tif", "field", "2024-06-01", "sentinel2")
    assert {band.scale for band in scene.bands} == {1e-4}
    assert scene.meta["offset_known"] is False  # nobody knows whether -1000 was taken off


def test_words_name_the_bands(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(4), names=("Red", "NIR", "elevation", "NDVI"))
    scene = only(tmp_path)
    assert names(scene) == ["red", "nir", "elevation", "ndvi"]
    assert scene.sensor == ""


@pytest.mark.parametrize(
    ("count", "wanted"), [(1, ["gray"]), (3, ["red", "green", "blue"]), (4, ["red", "green", "blue", "nir"])]
)
def test_bands_without_names_are_taken_by_their_number(tmp_path: Path, count: int, wanted: list[str]) -> None:
    write(tmp_path / "x.tif", samples(count))
    assert names(only(tmp_path)) == wanted


def test_the_settings_name_bands_that_have_no_names(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(5))
    assert names(only(tmp_path, bands=("B02", "Green", "red", "nir", "ndmi"), sensor="sentinel2")) == [*BANDS, "ndmi"]
    refused = only(tmp_path, bands=("red", "nir"))
    assert refused.meta["broken"] == "x.tif has 5 bands, and loader.bands names 2"


def test_the_sensor_of_the_settings_names_bands_in_its_order(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(10))
    assert names(only(tmp_path, sensor="sentinel2"))[:4] == ["blue", "green", "red", "rededge1"]


def test_an_alpha_band_is_no_band(tmp_path: Path) -> None:
    write(tmp_path / "drone.tif", samples(4).astype(np.uint8), alpha=True, photometric="RGB")
    scene = only(tmp_path)
    assert names(scene) == ["red", "green", "blue"]
    assert scene.meta["reflective"] is False
    assert scene.bands[0].scale == 1 / 255


@pytest.mark.parametrize(
    "form",
    ["{}.tif", "T33UVU_20240601T101559_{}_10m.tif", "S2A_MSIL2A_20240601_{}.tif", "field-7 2024-06-01 {}.tif"],
)
def test_files_of_one_band_each_are_one_scene(tmp_path: Path, form: str) -> None:
    values = samples(4)
    band_set(tmp_path, ("B02", "B03", "B04", "B08"), values, form)
    scene = only(tmp_path, sensor="sentinel2")
    assert names(scene) == ["blue", "green", "red", "nir"]
    assert "B0" not in scene.uri
    np.testing.assert_array_equal(np.asarray(RasterScene(scene)), np.moveaxis(values, 0, -1))


def test_two_dates_of_files_of_one_band_are_two_scenes(tmp_path: Path) -> None:
    for day in ("20240601", "20240611"):
        band_set(tmp_path, ("red", "nir"), samples(2), f"plot_{day}_{{}}.tif")
    assert [(one.uri, one.name, one.date, names(one)) for one in found(tmp_path)] == [
        ("plot_20240601", "plot", "2024-06-01", ["red", "nir"]),
        ("plot_20240611", "plot", "2024-06-11", ["red", "nir"]),
    ]


def test_bands_of_other_resolutions_belong_to_the_same_scene_and_the_finest_wins(tmp_path: Path) -> None:
    form = "T33UVU_20240601_{}.tif"
    band_set(tmp_path, ("B04_10m", "B08_10m"), samples(2), form)
    band_set(tmp_path, ("B04_20m", "B11_20m"), samples(2, 30, 40), form, transform=PLACE @ type(PLACE).scale(2))
    scene = only(tmp_path, sensor="sentinel2")
    assert names(scene) == ["red", "nir", "swir16"]
    assert RasterScene(scene).shape == (60, 80, 3)


def test_files_numbered_by_an_unknown_sensor_ask_whose_they_are(tmp_path: Path) -> None:
    band_set(tmp_path, ("B1", "B2"), samples(2))
    scene = only(tmp_path)
    assert scene.meta["broken"] == "B1.tif, B2.tif: which bands these are is not known"
    assert "loader.sensor" in scene.meta["remedy"]
    assert names(only(tmp_path, sensor="landsat8")) == ["coastal", "blue"]


def test_landsat_names_without_metadata_have_the_scale_of_their_sensor(tmp_path: Path) -> None:
    band_set(tmp_path, ("B4", "B5"), samples(2), "LC08_193024_20240601_SR_{}.TIF")
    scene = only(tmp_path)
    assert (names(scene), scene.sensor, scene.date) == (["red", "nir"], "landsat8", "2024-06-01")
    assert {(band.scale, band.offset, band.nodata) for band in scene.bands} == {(2.75e-5, -0.2, 0)}


def test_a_colour_in_a_place_name_is_no_band(tmp_path: Path) -> None:
    write(tmp_path / "red_deer_field.tif", samples(1))
    assert names(only(tmp_path)) == ["gray"]


def test_a_mask_beside_a_scene_is_its_mask(tmp_path: Path) -> None:
    write(tmp_path / "a_2024-06-01.tif", samples(4))
    write(tmp_path / "b_2024-06-01.tif", samples(4))
    clouds = np.zeros((1, 60, 80), np.uint8)
    clouds[0, :30] = 1
    write(tmp_path / "b_2024-06-01_cloudmask.tif", clouds)
    one, other = found(tmp_path)
    assert not one.masks
    quality = RasterScene(other).quality(Window(0, 60, 0, 80))
    assert (quality == np.where(clouds[0], CLOUD, CLEAR)).all()


def test_a_mask_of_nothing_is_not_lost(tmp_path: Path) -> None:
    for name in ("a", "b", "c_clouds"):
        write(tmp_path / f"{name}.tif", samples(1))
    assert [(one.uri, one.masks) for one in found(tmp_path)] == [("a.tif", ()), ("b.tif", ()), ("c_clouds.tif", ())]


def test_a_stack_of_dates_is_one_scene_per_date_and_its_files_none(tmp_path: Path) -> None:
    days = ("2024-06-21", "2024-06-01", "2024-06-11")
    for n, _day in enumerate(days):
        write(tmp_path / f"{n}.tif", samples(1, seed=n))
    vrt(tmp_path / "field_ndvi.vrt", [f"{n}.tif" for n in range(3)], (60, 80), [f"{day} NDVI" for day in days])
    scenes = found(tmp_path)
    assert [(one.uri, one.date, names(one)) for one in scenes] == [("field_ndvi.vrt", day, ["ndvi"]) for day in sorted(days)]
    for scene in scenes:
        got = RasterScene(scene).reflectance(Window(0, 60, 0, 80), ("ndvi",))[0]
        np.testing.assert_allclose(got, samples(1, seed=days.index(scene.date))[0] * 1e-4, atol=1e-6)


def test_a_stack_of_bare_dates_has_the_band_of_its_name(tmp_path: Path) -> None:
    for n in range(2):
        write(tmp_path / f"{n}.tif", samples(1, seed=n))
    vrt(tmp_path / "kc_ndvi.vrt", ["0.tif", "1.tif"], (60, 80), ["20240601", "20240611"])
    assert [(one.date, names(one)) for one in found(tmp_path)] == [("2024-06-01", ["ndvi"]), ("2024-06-11", ["ndvi"])]


def test_a_stack_of_several_bands_and_dates(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(4), names=("2024-06-01_B4", "2024-06-01_B8", "2024-06-11_B4", "2024-06-11_B8"))
    scenes = found(tmp_path, sensor="sentinel2")
    assert [(one.date, names(one), [b.index for b in one.bands]) for one in scenes] == [
        ("2024-06-01", ["red", "nir"], [1, 2]),
        ("2024-06-11", ["red", "nir"], [3, 4]),
    ]


@pytest.mark.parametrize(
    ("dtype", "factor", "scale"), [("uint8", 1 / 24, 1 / 255), ("uint16", 1, 1e-4), ("int16", 1, 1e-4), ("float32", 1e-4, 1.0)]
)
def test_the_usual_scale_of_reflectance_goes_by_the_type(tmp_path: Path, dtype: str, factor: float, scale: float) -> None:
    write(tmp_path / "x.tif", (samples(4) * factor).astype(dtype))
    scene = only(tmp_path)
    assert {band.scale for band in scene.bands} == {scale}
    assert scene.meta.get("scale", 1.0) == scale


def test_floats_of_ten_thousandths_are_seen_and_said(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(4, dtype="float32"))
    scene = only(tmp_path)
    assert {band.scale for band in scene.bands} == {1e-4}
    assert scene.meta["scale"] == 1e-4
    assert {band.scale for band in only(tmp_path, scale=0.5).bands} == {0.5}


def test_the_file_s_own_scale_and_offset_hold_and_the_settings_above_them(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(6), names=MSI, scale=2e-4, offset=-0.1)
    assert {(band.scale, band.offset) for band in only(tmp_path).bands} == {(2e-4, -0.1)}
    assert "offset_known" not in only(tmp_path).meta
    assert {(b.scale, b.offset, b.nodata) for b in only(tmp_path, scale=1e-4, offset=0.0, nodata=7).bands} == {(1e-4, 0, 7)}


def test_floats_that_are_an_index_are_never_taken_for_reflectance(tmp_path: Path) -> None:
    index = np.random.default_rng(1).uniform(-0.4, 0.9, (4, 60, 80)).astype(np.float32)
    write(tmp_path / "x.tif", index)
    scene = only(tmp_path)
    assert "as an index does, and no reflectance" in scene.meta["broken"]
    assert "loader.bands=[ndvi]" in scene.meta["remedy"]
    assert "no reflectance" in only(tmp_path, bands=BANDS).meta["broken"]  # whoever calls them bands
    named = only(tmp_path, bands=("ndvi", "ndmi", "savi", "evi"))
    assert names(named) == ["ndvi", "ndmi", "savi", "evi"]
    assert {band.scale for band in named.bands} == {1.0}
    assert named.meta["reflective"] is False


def test_one_band_of_floats_asks_what_it_is(tmp_path: Path) -> None:
    index = np.random.default_rng(1).uniform(0.1, 0.9, (1, 60, 80)).astype(np.float32)
    write(tmp_path / "x.tif", index)
    assert "one band of floats, which may be an index or reflectance" in only(tmp_path).meta["broken"]
    (tmp_path / "x.tif").rename(tmp_path / "x_NDVI_2024-06-01.tif")
    assert names(only(tmp_path)) == ["ndvi"]


@pytest.mark.parametrize(("low", "high", "said"), [(5, 20, "neither reflectance"), (-300, 900, "as heights or temperatures do")])
def test_floats_that_are_no_reflectance_are_refused(tmp_path: Path, low: float, high: float, said: str) -> None:
    write(tmp_path / "x.tif", np.random.default_rng(1).uniform(low, high, (4, 60, 80)).astype(np.float32))
    assert said in only(tmp_path).meta["broken"]


def test_a_dark_scene_with_a_few_negative_samples_is_reflectance(tmp_path: Path) -> None:
    drawn = np.random.default_rng(1).normal(0.02, 0.03, (4, 60, 80)).astype(np.float32)  # water
    write(tmp_path / "x.tif", drawn)
    assert {band.scale for band in only(tmp_path).bands} == {1.0}


def test_leipzig(shared: Path) -> None:
    scene = only(shared / "data/agriculture/leipzig_s2")
    assert names(scene) == ["blue", "green", "red", "rededge2", "rededge3", "nir", "swir16", "ndvi"]
    raster = RasterScene(scene)
    with rasterio.open(scene.bands[0].path) as source:
        stored = source.read().astype(np.float64)
    got = raster.reflectance(Window(0, 206, 0, 154), raster.bands)
    np.testing.assert_allclose(got[:7], stored[:7] * 1e-4, atol=1e-6)
    np.testing.assert_allclose(got[7], stored[7], atol=1e-6)  # the index that is stored is left as it is
    ndvi = (got[5] - got[2]) / (got[5] + got[2])
    np.testing.assert_allclose(ndvi, (stored[5] - stored[2]) / (stored[5] + stored[2]), atol=1e-6)


def test_sinop(shared: Path) -> None:
    scenes = found(shared / "data/agriculture/sinop_modis")
    assert len(scenes) == 12
    assert {(one.name, one.sensor, tuple(names(one))) for one in scenes} == {("TERRA_MODIS_012010", "modis", ("ndvi",))}
    assert [one.date for one in scenes] == sorted(one.date for one in scenes)
    with rasterio.open(scenes[0].bands[0].path) as source:
        stored = source.read(1)
    got = RasterScene(scenes[0]).reflectance(Window(0, 147, 0, 255), ("ndvi",))[0]
    np.testing.assert_allclose(got, np.where(stored == -3000, np.nan, stored * 1e-4), atol=1e-6)
