"""Polygons of a raster of classes: exact, whole across seams, and with shared borders."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from hyla.geometry import rasterize
from hyla_agriculture.polygons import means, polygons
from hyla_agriculture.scene import Window

RASTERS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 3))


def blocks(classes: np.ndarray, height: int, width: int):
    for row in range(0, classes.shape[0], height):
        for column in range(0, classes.shape[1], width):
            window = Window(row, min(row + height, classes.shape[0]), column, min(column + width, classes.shape[1]))
            yield window, np.ascontiguousarray(classes[window.row0 : window.row1, window.column0 : window.column1])


def same(a, b) -> bool:
    return len(a) == len(b) and all(
        value == other and len(rings) == len(others) and all(np.array_equal(x, y) for x, y in zip(rings, others, strict=True))
        for (value, rings), (other, others) in zip(a, b, strict=True)
    )


def painted(found, size) -> np.ndarray:
    classes = np.zeros(size, np.uint8)
    for value, rings in found:
        inside = rasterize(rings, size)
        assert not classes[inside].any()
        classes[inside] = value
    return classes


def shape(rings) -> shapely.Polygon:
    return shapely.Polygon(rings[0], rings[1:])


@given(classes=RASTERS)
@settings(deadline=None, max_examples=150)
def test_polygons_are_the_regions_and_give_the_raster_back(classes):
    found = polygons(classes)
    assert np.array_equal(painted(found, classes.shape), classes)
    assert len(found) == sum(ndimage.label(classes == value)[1] for value in (1, 2, 3))
    for _, rings in found:
        assert shape(rings).is_valid
        for ring in rings:
            steps = np.diff(np.vstack([ring, ring[:1]]), axis=0)
            assert ((steps == 0).sum(axis=1) == 1).all()  # along rows and columns, never twice in one direction
            assert ((steps[:-1, 0] == 0) != (steps[1:, 0] == 0)).all()


@given(classes=RASTERS, height=st.integers(1, 7), width=st.integers(1, 7), least=st.integers(1, 5), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=150)
def test_block_by_block_is_the_same_as_at_once(classes, height, width, least, seed):
    parts = list(blocks(classes, height, width))
    np.random.default_rng(seed).shuffle(parts)
    assert same(polygons(iter(parts), least_pixels=least), polygons(classes, least_pixels=least))


def test_a_region_that_surrounds_a_seam_has_its_hole():
    classes = np.ones((8, 8), np.uint8)
    classes[3:5, 3:5] = 0
    classes[3, 3] = 2
    found = polygons(blocks(classes, 4, 4))
    assert [(value, len(rings)) for value, rings in found] == [(1, 2), (2, 1)]
    assert found[0][1][0].tolist()[0] == [0, 0]
    assert np.array_equal(painted(found, classes.shape), classes)


def test_small_regions_are_left_out_and_points_are_moved():
    classes = np.zeros((6, 9), np.uint8)
    classes[1:3, 1:4] = 5
    classes[4, 4] = 5
    assert [value for value, _ in polygons(classes)] == [5, 5]
    ((value, (ring,)),) = polygons(classes, least_pixels=6, offset=(100, 50))
    assert value == 5
    assert sorted(ring.tolist()) == [[101, 51], [101, 53], [104, 51], [104, 53]]
    assert polygons(classes, least_pixels=7) == []
    assert polygons(np.zeros((3, 3), np.uint8)) == polygons(iter([])) == []


def test_shared_borders_stay_shared_when_simplified():
    rng = np.random.default_rng(2)
    noise = ndimage.gaussian_filter(rng.normal(size=(3, 60, 80)), (0, 5, 5))
    classes = (noise.argmax(axis=0) + 1).astype(np.uint8)
    plain = [shape(rings) for _, rings in polygons(classes)]
    simple = [shape(rings) for _, rings in polygons(classes, simplify=2.0)]
    assert len(simple) == len(plain)
    assert sum(shapely.get_num_coordinates(simple)) < 0.5 * sum(shapely.get_num_coordinates(plain))
    assert shapely.coverage_is_valid(simple)
    assert shapely.union_all(simple).area == pytest.approx(sum(one.area for one in simple))  # no overlaps
    assert shapely.union_all(simple).area == pytest.approx(60 * 80, rel=0.01)  # no gaps but at the edge of the raster
    assert same(polygons(blocks(classes, 16, 16), simplify=2.0), polygons(classes, simplify=2.0))


def test_masks_of_real_fields_give_their_raster_back(shared):
    with rasterio.open(shared / "data/agriculture/ftw_fields/mask.tif") as file:
        classes = file.read(1)
    found = polygons(classes)
    assert np.array_equal(painted(found, classes.shape), classes)
    assert same(polygons(blocks(classes, 64, 50), least_pixels=8), polygons(classes, least_pixels=8))
    lulc = np.load(shared / "data/agriculture/eolearn_lulc/LULC.npy").squeeze().astype(np.uint8)
    assert np.array_equal(painted(polygons(lulc), lulc.shape), lulc)


@given(classes=RASTERS, seed=st.integers(0, 9))
@settings(deadline=None, max_examples=50)
def test_means_are_those_of_the_pixels_of_each_polygon(classes, seed):
    rng = np.random.default_rng(seed)
    rasters = rng.integers(0, 255, (2, *classes.shape)).astype(np.uint8)
    found = polygons(classes)
    told = means([rings for _, rings in found], *rasters)
    assert told.shape == (2, len(found))
    for column, (_, rings) in enumerate(found):
        inside = rasterize(rings, classes.shape)
        np.testing.assert_allclose(told[:, column], rasters[:, inside].mean(axis=1))


def test_means_over_many_strips_and_over_nothing():
    classes = np.ones((3000, 2), np.uint8)
    values = np.repeat(np.arange(3000.0), 2).reshape(3000, 2)
    thin = np.array([[0.6, 0.0], [0.9, 0.0], [0.9, 9.0]])
    told = means([polygons(classes)[0][1], (thin + np.array([1.0, 0.0]),)], values)
    assert told[0, 0] == pytest.approx(1499.5)
    assert np.isnan(told[0, 1])
