"""Statistics by field against coverage worked out by shapely, and against exactextract's own call."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import BadItem, ConfigError
from hyla.types import Image, Item
from hyla_agriculture.scene import CLOUD, Fields, Plain, Window
from hyla_agriculture.zonal import geometries, outline, polygon, zonal

HEIGHT, WIDTH = 40, 50
SQUARES = shapely.box(
    *np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), *np.meshgrid(np.arange(1, WIDTH + 1), np.arange(1, HEIGHT + 1))
)
SLANTED = np.array([[3.3, 2.2], [20.7, 4], [18, 15.5], [4, 12]])
SQUARE = np.array([[30.0, 20], [45, 20], [45, 38], [30, 38]])
HOLE = np.array([[33.0, 25], [40, 25], [40, 30], [33, 30]])


def raster(seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(3, HEIGHT, WIDTH)).astype(np.float32)
    values[0, 5:8, 5:9] = np.nan
    return values


def image(values: np.ndarray) -> Image:
    return Image(np.moveaxis(values, 0, -1), Item("a", "a.tif", meta={"bands": ["red", "nir", "ndvi"]}))


def scene(values: np.ndarray) -> Plain:
    return Plain(image(values))


def fields(*shapes: tuple[np.ndarray, ...]) -> Fields:
    return Fields(ids=tuple(str(n) for n in range(len(shapes))), shapes=shapes)


@given(st.integers(0, 1000), st.lists(st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), min_size=3, max_size=9))
@settings(deadline=None, max_examples=60)
def test_pixels_count_by_how_much_of_them_is_covered(seed: int, corners: list[tuple[float, float]]) -> None:
    shape = shapely.MultiPoint(corners).convex_hull
    if shape.area < 0.01:
        return
    values = raster(seed)
    found = zonal(values, [outline(shape)], ["mean", "count", "sum", "min", "max", "stdev"])
    weight = np.where(np.isnan(values), 0, shapely.area(shapely.intersection(shape, SQUARES)))
    total, filled = weight.sum(axis=(1, 2)), np.nan_to_num(values).astype(np.float64)
    mean = (weight * filled).sum(axis=(1, 2)) / np.where(total > 0, total, np.nan)
    spread = np.sqrt((weight * (filled - mean[:, None, None]) ** 2).sum(axis=(1, 2)) / total)
    np.testing.assert_allclose(found["count"][0], total, atol=1e-4)
    sound = total > 0.01  # of less, coverage is not exact enough for the tolerance
    np.testing.assert_allclose(found["mean"][0, sound], mean[sound], atol=1e-3)
    np.testing.assert_allclose(found["sum"][0], (weight * filled).sum(axis=(1, 2)), atol=1e-3)
    np.testing.assert_allclose(found["stdev"][0, sound], spread[sound], atol=1e-3)
    assert (found["min"][0, sound] <= found["mean"][0, sound] + 1e-6).all()
    assert (found["mean"][0, sound] <= found["max"][0, sound] + 1e-6).all()


def test_the_values_are_those_of_exactextracts_own_call() -> None:
    values, ops = raster(), ["mean", "median", "quantile(q=0.1)", "stdev", "variance", "count", "mode", "variety"]
    shapes = [(SLANTED,), (SQUARE, HOLE), (SLANTED + 1, SQUARE)]
    found = zonal(values, shapes, ops)
    table = gpd.GeoDataFrame(geometry=[shapely.transform(polygon(list(one)), lambda p: p * (1, -1)) for one in shapes], crs=32633)
    for band in range(3):
        source = NumPyRasterSource(values[band], 0, -HEIGHT, WIDTH, 0)
        theirs = exact_extract(source, table, ops, output="pandas")
        for op, name in zip(ops, theirs.columns, strict=True):
            np.testing.assert_array_equal(found[op][:, band], theirs[name].to_numpy(dtype=float))


def test_a_hole_is_left_out_and_a_field_without_data_is_unknown() -> None:
    values = raster()
    lost = np.array([[5.0, 5], [9, 5], [9, 8], [5, 8]])
    found = zonal(values, fields((SQUARE, HOLE), (lost,), (SQUARE + 100,)), ["mean", "count", "mode"])
    assert found["count"][:, 0].tolist() == [15 * 18 - 35, 0, 0]
    assert found["count"][:, 1].tolist() == [235, 12, 0]
    assert np.isnan(found["mean"]).tolist() == [[False] * 3, [True, False, False], [True] * 3]
    assert np.isnan(found["mode"][2]).all()
    assert zonal(values, fields(), ["mean"])["mean"].shape == (0, 3)
    assert zonal(values[1], fields((SLANTED,)))["mean"].shape == (1, 1)


def test_a_window_and_a_scene_read_in_strips_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values, shapes = raster(), fields((SLANTED,), (SQUARE, HOLE), (SLANTED + np.array([25, 24]),), (SQUARE + 100,))
    whole = zonal(values, shapes, ["mean", "count"])
    part = zonal(values[:, 2:, 3:], shapes, ["mean", "count"], window=Window(2, HEIGHT, 3, WIDTH))
    monkeypatch.setattr("hyla_agriculture.zonal.STRIP", 4)
    read = zonal(scene(values), shapes, ["mean", "count"])
    one = zonal(scene(values), shapes, ["mean", "count"], bands=["nir"])
    for op in ("mean", "count"):
        np.testing.assert_array_equal(part[op], whole[op])
        np.testing.assert_array_equal(read[op], whole[op])
        np.testing.assert_array_equal(one[op], whole[op][:, [1]])


def test_clouds_are_left_out_when_asked() -> None:
    class Cloudy(Plain):
        def quality(self, window: Window) -> np.ndarray:
            code = super().quality(window)
            code[:, : max(0, 10 - window.column0)] = CLOUD
            return code

    found = zonal(Cloudy(image(raster())), fields((np.array([[5.0, 10], [15, 10], [15, 20], [5, 20]]),)), ["count"], clear=True)
    assert found["count"].tolist() == [[50] * 3]


@pytest.mark.parametrize("op", ["average", "unique", "quantile(q=2)", "coverage", ""])
def test_an_unknown_statistic_is_a_setting_that_cannot_work(op: str) -> None:
    with pytest.raises(ConfigError, match="there is no statistic"):
        zonal(raster(), fields((SLANTED,)), ["mean", op])


def test_an_unknown_band_costs_the_scene() -> None:
    with pytest.raises(BadItem, match="no band swir16"):
        zonal(scene(raster()), fields((SLANTED,)), bands=["swir16"])


def test_geometries_follow_the_even_odd_rule() -> None:
    bowtie = np.array([[0.0, 0], [4, 4], [4, 0], [0, 4]])
    shapes = [(SQUARE,), (SQUARE, HOLE), (bowtie,), (SQUARE, SQUARE + 20), (SQUARE, HOLE, HOLE[:2].repeat(2, axis=0) + 1)]
    assert shapely.area(geometries(shapes)).tolist() == [270, 235, 8, 540, 235]
    assert shapely.is_valid(geometries(shapes)).all()
    assert shapely.bounds(geometries(shapes[:1], upwards=True)).tolist() == [[30, -38, 45, -20]]
    rings = outline(polygon([SQUARE, HOLE]))
    assert [len(ring) for ring in rings] == [4, 4]
    assert outline(shapely.LineString([[0, 0], [1, 1]])) == ()
