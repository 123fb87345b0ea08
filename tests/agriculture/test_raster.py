"""Windows of a scene: the same samples whatever window, thread, block or step they are read with."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.env import get_gdal_config

from hyla.errors import BadItem
from hyla_agriculture.opening import CACHE
from hyla_agriculture.raster import RasterScene
from hyla_agriculture.scene import CLEAR, CLOUD, MISSING, NODATA, SATURATED, SHADOW, Window
from hyla_agriculture.sources import BandFile, MaskFile, SceneFiles
from raster_kit import BANDS, PLACE, band_set, cog, samples, write

ODD = (67, 93)  # a size that no block, step or coarser pixel divides


def files(path: Path, names: tuple[str, ...] = BANDS, **of_band: Any) -> SceneFiles:
    return SceneFiles("x.tif", "x", bands=tuple(BandFile(name, str(path), n + 1, **of_band) for n, name in enumerate(names)))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> RasterScene:
    """A scene of bands of 10, 20 and 60 m with holes, and a mask of 20 m."""
    folder = tmp_path_factory.mktemp("mixed")
    bands = []
    for n, (name, metres) in enumerate((("red", 10), ("nir", 10), ("swir16", 20), ("coastal", 60))):
        size = -(-120 // (metres // 10)), -(-180 // (metres // 10))
        values = samples(1, *size, seed=n)
        values[0, size[0] // 2 : size[0] // 2 + 3, size[1] // 3 : size[1] // 3 + 4] = 0
        grid = PLACE @ type(PLACE).scale(metres / 10)
        tiled = {"tiled": True, "blockxsize": 32, "blockysize": 16}
        path = write(folder / f"{name}.tif", values, transform=grid, nodata=0, overviews=(2, 4), **tiled)
        bands.append(BandFile(name, str(path), 1, 1e-4, -0.1))
    codes = np.full((1, 60, 90), 4, np.uint8)
    codes[0, 10:20, 30:50], codes[0, 40:, :9], codes[0, 50:, 80:] = 9, 3, 0
    mask = write(folder / "scl.tif", codes, transform=PLACE @ type(PLACE).scale(2))
    return RasterScene(SceneFiles("mixed", "mixed", bands=tuple(bands), masks=(MaskFile(str(mask), 1, "scl"),)))


def test_reflectance_is_what_rasterio_and_numpy_say(tmp_path: Path) -> None:
    values = samples(4, *ODD)
    values[:, :5] = 0
    path = write(tmp_path / "x.tif", values, nodata=0, tiled=True, blockxsize=32, blockysize=32)
    scene = RasterScene(files(path, scale=1e-4, offset=-0.1))
    got = scene.reflectance(Window(0, ODD[0], 0, ODD[1]), ("nir", "blue"))
    with rasterio.open(path) as source:
        wanted = source.read([4, 1], masked=True).astype(np.float64) * 1e-4 - 0.1
    assert got.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(got), wanted.mask)
    np.testing.assert_allclose(got, wanted.filled(np.nan), atol=1e-6)
    assert (scene.quality(Window(0, 6, 0, 9)) == [[MISSING]] * 5 + [[CLEAR]]).all()


@given(data=st.data())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_window_is_the_same_part_of_the_whole(mixed: RasterScene, data: st.DataObject) -> None:
    height, width, _ = mixed.shape
    row0, column0 = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    row1, column1 = data.draw(st.integers(row0 + 1, height)), data.draw(st.integers(column0 + 1, width))
    names = tuple(data.draw(st.permutations(mixed.bands)))
    part, whole = Window(row0, row1, column0, column1), Window(0, height, 0, width)
    inside = (slice(row0, row1), slice(column0, column1))
    np.testing.assert_array_equal(mixed.reflectance(part, names), mixed.reflectance(whole, names)[:, *inside])
    np.testing.assert_array_equal(mixed.quality(part), mixed.quality(whole)[inside])
    np.testing.assert_array_equal(mixed.read(*part, range(4)), mixed.read(*whole, range(4))[inside])


def test_coarser_bands_are_interpolated_between_the_middles_of_their_pixels(mixed: RasterScene) -> None:
    from scipy.interpolate import RegularGridInterpolator

    with rasterio.open(mixed.files.bands[2].path) as source:
        coarse = source.read(1).astype(float)
    y, x = (np.arange(n) * 2 + 1.0 for n in coarse.shape)
    between = RegularGridInterpolator((y, x), coarse * 1e-4 - 0.1)
    rows, columns = np.mgrid[4:40, 6:50]
    wanted = between(np.stack([rows + 0.5, columns + 0.5], axis=-1))
    np.testing.assert_allclose(mixed.reflectance(Window(4, 40, 6, 50), ("swir16",))[0], wanted, atol=1e-6)


def test_missing_pixels_of_a_coarser_band_do_not_leak_into_their_neighbours(mixed: RasterScene) -> None:
    got = mixed.reflectance(Window(0, 120, 0, 180), ("swir16",))[0]
    lost = np.isnan(got)
    assert lost[60:66, 60:68].all()  # rows 30 to 32, columns 30 to 33 of the file
    assert lost.sum() == 6 * 8
    assert np.nanmin(got) >= 200 * 1e-4 - 0.1 - 1e-6  # a zero that leaked would be less


def test_masks_are_laid_by_the_nearest_pixel(mixed: RasterScene) -> None:
    quality = mixed.quality(Window(0, 120, 0, 180))
    assert (quality[20:40, 60:100] == CLOUD).all()
    assert (quality[80:, :18] == SHADOW).all()
    assert (quality[100:, 160:] == MISSING).all()
    assert (quality == CLOUD).sum() == 20 * 40
    valid = 120 * 180 - 20 * 20
    assert mixed.cloud_share() == pytest.approx((20 * 40 + 40 * 18) / valid)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 7, 64, 200])
def test_a_step_gives_one_pixel_for_each_step_rounded_up(mixed: RasterScene, step: int) -> None:
    got = mixed.read(3, 100, 5, 172, [3, 0, 2], step)
    assert got.shape == (-(-97 // step), -(-167 // step), 3)
    assert got.dtype == mixed.dtype
    assert mixed[3:100:step, 5:172:step].shape == (-(-97 // step), -(-167 // step), 4)


def test_a_step_shows_the_picture_where_it_is(tmp_path: Path) -> None:  # to within a pixel of what is shown
    rows, columns = np.mgrid[: ODD[0], : ODD[1]]
    path = write(tmp_path / "x.tif", np.stack([rows, columns]).astype(np.uint16), overviews=(2, 4))
    scene = RasterScene(files(path, ("red", "nir")))
    for step in (2, 5, 8):
        got = scene.read(10, 61, 4, 90, [0, 1], step)
        first, second = np.arange(10, 61, step)[:, None], np.arange(4, 90, step)[None]
        assert (np.abs(got[..., 0] - first - (step - 1) / 2) <= step).all()
        assert (np.abs(got[..., 1] - second - (step - 1) / 2) <= step).all()


def test_many_threads_read_what_one_reads(mixed: RasterScene) -> None:
    windows = [Window(r, r + 30, c, c + 30) for r in range(0, 120, 30) for c in range(0, 180, 30)] * 4
    alone = [mixed.reflectance(w, mixed.bands) for w in windows]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda w: (mixed.reflectance(w, mixed.bands), mixed.quality(w)), windows))
    for one, (other, _) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    mixed.close()
    np.testing.assert_array_equal(mixed.reflectance(windows[0], mixed.bands), alone[0])  # opened again


def test_close_leaves_no_file_open(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", samples())
    scene = RasterScene(files(path))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda r: scene.read(r, r + 1, 0, 80, [0]), range(60)))
    opened = list(scene._files._opened)
    assert opened
    scene.close()
    assert all(source.closed for source in opened)


def test_floats_with_nan_give_nodata_and_nan(tmp_path: Path) -> None:
    values = (samples(2, *ODD) / 1e4).astype(np.float32)
    values[0, 3, 4], values[1, 5, 6], values[0, 7, 8] = np.nan, np.inf, -3.4e38
    path = write(tmp_path / "x.tif", values, nodata=-3.4e38)
    scene = RasterScene(files(path, ("red", "nir")))
    stored = np.asarray(scene)
    assert stored.dtype == np.float32
    assert np.isfinite(stored).all()
    assert stored[3, 4, 0] == stored[5, 6, 1] == stored[7, 8, 0] == NODATA == scene.nodata
    got = scene.reflectance(Window(0, ODD[0], 0, ODD[1]), ("red", "nir"))
    assert np.argwhere(np.isnan(got)).tolist() == [[0, 3, 4], [0, 7, 8], [1, 5, 6]]
    assert np.argwhere(scene.quality(Window(0, ODD[0], 0, ODD[1])) == MISSING).tolist() == [[3, 4], [5, 6], [7, 8]]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_the_usual_nodata_of_floats_is_too_large_for_float32(tmp_path: Path, kind: str) -> None:
    nodata = float(np.finfo(kind).min)
    values = (samples(2, *ODD) / 1e4).astype(kind)
    values[:, 3, 4] = nodata
    scene = RasterScene(files(write(tmp_path / "x.tif", values, nodata=nodata), ("red", "nir")))
    got = scene.reflectance(Window(0, ODD[0], 0, ODD[1]), ("red", "nir"))
    assert np.argwhere(np.isnan(got)).tolist() == [[0, 3, 4], [1, 3, 4]]
    assert (scene[3, 4] == NODATA).all()


def test_saturated_detectors_are_told(tmp_path: Path) -> None:
    values = samples(4, *ODD)
    values[2, 9, 9] = 65535
    scene = RasterScene(files(write(tmp_path / "x.tif", values), saturated=65535))
    assert np.argwhere(scene.quality(Window(0, ODD[0], 0, ODD[1])) == SATURATED).tolist() == [[9, 9]]


@pytest.mark.parametrize("declared", [None, -9999, 65535])
def test_a_collar_of_zeros_is_no_data_whatever_the_file_declares(tmp_path: Path, declared: float | None) -> None:
    values = samples(4, *ODD, dtype="int32" if declared == -9999 else "uint16")
    values[:, :10], values[:, :, :7] = 0, 0
    values[1, 30, 30] = 0  # in one band only: a dark pixel, not a hole
    scene = RasterScene(files(write(tmp_path / "x.tif", values, nodata=declared)))
    got = scene.reflectance(Window(0, ODD[0], 0, ODD[1]), BANDS)
    assert np.isnan(got[:, :10]).all()
    assert np.isnan(got[:, :, :7]).all()
    assert not np.isnan(got[:, 10:, 7:]).any()
    assert (scene.quality(Window(0, 11, 0, ODD[1])) == [[MISSING] * 93] * 10 + [[MISSING] * 7 + [CLEAR] * 86]).all()
    part = scene.reflectance(Window(9, 12, 0, ODD[1]), ("nir",))  # of one band, the same
    np.testing.assert_array_equal(part, got[3:, 9:12])


def test_a_true_nodata_is_kept_though_zeros_occur(tmp_path: Path) -> None:
    values = samples(4, *ODD)
    values[:, 0, 0], values[:, -1, -1] = 0, 65535
    scene = RasterScene(files(write(tmp_path / "x.tif", values, nodata=65535)))
    got = scene.reflectance(Window(0, ODD[0], 0, ODD[1]), BANDS)
    assert np.isnan(got).sum() == 4
    assert not np.isnan(got[:, 0, 0]).any()


@given(data=st.data())
@settings(deadline=None, max_examples=30)
def test_what_is_missing_does_not_depend_on_what_was_asked_before(holes: RasterScene, data: st.DataObject) -> None:
    height, width, _ = holes.shape
    whole = Window(0, height, 0, width)
    with rasterio.open(holes.files.bands[0].path) as source:
        stored = source.read()
    wanted = np.where((stored == 0).any(axis=0), MISSING, np.where((stored == 65535).any(axis=0), SATURATED, CLEAR))
    for _ in range(3):
        asked = data.draw(st.lists(st.sampled_from(BANDS), unique=True, min_size=1))
        row, column = data.draw(st.integers(0, height - 2)), data.draw(st.integers(0, width - 2))
        window = data.draw(st.sampled_from((whole, Window(row, height, column, width))))
        holes.reflectance(window, asked)
        if data.draw(st.booleans()):
            window = whole
        inside = wanted[window.row0 : window.row1, window.column0 : window.column1]
        np.testing.assert_array_equal(holes.quality(window), inside)


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> RasterScene:
    """A scene with a hole in each band, and a saturated pixel in two."""
    values = samples(4, *ODD)
    for band in range(4):
        values[band, 10 * band : 10 * band + 4, 20:40] = 0
    values[1, 50, 50] = values[3, 2, 3] = 65535
    return RasterScene(files(write(tmp_path_factory.mktemp("holes") / "x.tif", values, nodata=0), saturated=65535))


def test_an_alpha_band_says_what_is_there(tmp_path: Path) -> None:
    values = samples(4, *ODD).astype(np.uint8) | 1
    values[3], values[3, :20] = 255, 0
    path = write(tmp_path / "x.tif", values, alpha=True, photometric="RGB")
    scene = RasterScene(files(path, ("red", "green", "blue"), scale=1 / 255))
    got = scene.reflectance(Window(0, ODD[0], 0, ODD[1]), ("red",))[0]
    assert np.isnan(got[:20]).all()
    assert not np.isnan(got[20:]).any()
    assert (scene.quality(Window(0, ODD[0], 0, 3))[:20] == MISSING).all()
    assert np.asarray(scene)[:20].max() == 0 == scene.nodata


def test_a_band_that_is_not_there_is_named(tmp_path: Path) -> None:
    scene = RasterScene(files(write(tmp_path / "x.tif", samples())))
    with pytest.raises(BadItem, match=r"no band swir16, but blue, green, red, nir"):
        scene.reflectance(Window(0, 1, 0, 1), ("red", "swir16"))
    with pytest.raises(BadItem, match="has 4 bands, no band 5"):
        RasterScene(SceneFiles("x.tif", "x", bands=(BandFile("red", str(tmp_path / "x.tif"), 5),)))


def test_bands_that_cover_different_ground_are_refused(tmp_path: Path) -> None:
    band_set(tmp_path, ("red",), samples(1, 60, 80))
    band_set(tmp_path, ("nir",), samples(1, 61, 95))
    bands = tuple(BandFile(name, str(tmp_path / f"{name}.tif")) for name in ("red", "nir"))
    with pytest.raises(BadItem, match=r"nir.tif \(95 x 61 pixels\) does not cover the same ground as red.tif \(80 x 60\)"):
        RasterScene(SceneFiles("x", "x", bands=bands))
    band_set(tmp_path, ("nir",), samples(1, 60, 80), crs="EPSG:32632")
    with pytest.raises(BadItem, match="another coordinate reference system"):
        RasterScene(SceneFiles("x", "x", bands=bands))


def test_an_address_is_refused_unless_it_may_be_fetched() -> None:
    far = SceneFiles("item.json", "x", bands=(BandFile("red", "https://far.invalid/secret/red.tif?token=1"),))
    with pytest.raises(BadItem, match=r"red.tif on another machine, and nothing is fetched unasked") as error:
        RasterScene(far)
    assert "token" not in str(error.value)


def test_a_cloud_optimised_file_is_read_block_by_block(tmp_path: Path) -> None:
    values = samples(4, 300, 400)
    scene = RasterScene(files(cog(tmp_path / "x.tif", values)))
    assert scene.blocks == (128, 128)
    np.testing.assert_array_equal(scene.read(100, 280, 3, 399, [3, 1]), np.moveaxis(values[[3, 1], 100:280, 3:399], 0, -1))


def test_the_smallest_raster_is_read(tmp_path: Path) -> None:
    scene = RasterScene(files(write(tmp_path / "x.tif", samples(4, 1, 1)), scale=1e-4))
    assert scene.reflectance(Window(0, 1, 0, 1), BANDS).shape == (4, 1, 1)
    assert scene[::8, ::8].shape == (1, 1, 4)
    assert scene.quality(Window(0, 1, 0, 1)).tolist() == [[CLEAR]]


@pytest.mark.parametrize(
    ("kinds", "wanted"),
    [
        (("uint8", "uint8"), "uint8"),
        (("uint8", "uint16"), "uint16"),
        (("uint16", "int16"), "float32"),
        (("int32", "uint8"), "float64"),
        (("float32", "uint16"), "float32"),
    ],
)
def test_samples_are_given_in_a_type_that_holds_all_bands(tmp_path: Path, kinds: tuple[str, ...], wanted: str) -> None:
    bands = []
    for n, kind in enumerate(kinds):
        band_set(tmp_path, (f"b{n}",), samples(1, dtype=kind))
        bands.append(BandFile(f"b{n}", str(tmp_path / f"b{n}.tif")))
    scene = RasterScene(SceneFiles("x", "x", bands=tuple(bands)))
    assert scene.dtype == wanted
    np.testing.assert_array_equal(scene[:, :, 1], samples(1, dtype=kinds[1])[0].astype(wanted))


def test_complex_samples_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", samples(1).astype(np.complex64))
    with pytest.raises(BadItem, match="samples of the type complex64"):
        RasterScene(files(path, ("red",)))


def test_gdal_keeps_a_bounded_number_of_decoded_blocks(tmp_path: Path) -> None:
    RasterScene(files(write(tmp_path / "x.tif", samples())))
    if "GDAL_CACHEMAX" not in os.environ:
        assert int(get_gdal_config("GDAL_CACHEMAX")) == CACHE
