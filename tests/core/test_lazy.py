"""Pixels that are read when asked for: indexed like the array they stand for, shown by tiles, drawn as a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla.atlas import atlas
from hyla.engine.local import _prove
from hyla.errors import BadItem
from hyla.frame import MapFrame
from hyla.lazy import LazyPixels
from hyla.review.tiles import Decoded, Lazy, Painted
from hyla.schema import Schema
from hyla.types import Flag, Image, Item, Kind, Labels, Record

ARRAY = np.random.default_rng(0).integers(0, 4000, (37, 53, 4), dtype=np.uint16)
SCHEMA = Schema.from_config({"name": "map", "kinds": ["polygon", "keypoints", "box", "tag"], "classes": {"field": {}, "pit": {}}})
FRAME = MapFrame((10, 0, 500000, 0, -10, 4650000), "EPSG:32633")


class Counted(LazyPixels):
    """Stand for an array, and count the samples that are read of it."""

    def __init__(self, array: Any, bands: Sequence[str] = ()) -> None:
        super().__init__(array.shape, array.dtype, bands)
        self.array = array
        self.samples = 0

    def read(self, row0: int, row1: int, column0: int, column1: int, bands: Sequence[int], step: int = 1) -> Any:
        assert 0 <= row0 < row1 <= self.shape[0]
        assert 0 <= column0 < column1 <= self.shape[1]
        part = self.array[row0:row1:step, column0:column1:step, list(bands)]
        self.samples += part.size
        return part


keys = st.one_of(
    st.integers(-30, 30),
    st.builds(slice, st.none() | st.integers(-60, 60), st.none() | st.integers(-60, 60), st.none() | st.integers(1, 9)),
)


@given(
    st.lists(keys, min_size=1, max_size=2),
    st.none() | st.integers(-4, 3) | st.builds(slice, st.integers(0, 4), st.integers(0, 4)),
)
def test_it_is_indexed_as_the_array(first: list[Any], band: Any) -> None:
    key = tuple(first) if band is None or len(first) < 2 else (*first, band)
    np.testing.assert_array_equal(Counted(ARRAY)[key], ARRAY[key])


def test_only_what_is_asked_for_is_read() -> None:
    pixels = Counted(ARRAY)
    assert (pixels.nbytes, pixels.ndim, len(pixels), pixels.bands) == (0, 3, 37, ("1", "2", "3", "4"))
    assert pixels[3, 5, 2] == ARRAY[3, 5, 2]
    assert pixels.samples == 1
    pixels[::10, ::10, :2]
    assert pixels.samples == 1 + 4 * 6 * 2


def test_all_of_it_becomes_an_array() -> None:
    np.testing.assert_array_equal(np.asarray(Counted(ARRAY)), ARRAY)
    assert np.asarray(Counted(ARRAY), dtype=np.float32).dtype == np.float32
    assert isinstance(Counted(ARRAY).copy(), np.ndarray)
    with pytest.raises(ValueError, match="without a copy"):
        np.array(Counted(ARRAY), copy=False)


@pytest.mark.parametrize("key", [(..., 0), ([1, 2],), (slice(None, None, -1),), (0, 0, 0, 0), (99,)])
def test_what_it_can_not_do_is_an_index_error(key: Any) -> None:
    with pytest.raises(IndexError):
        Counted(ARRAY)[key]


def test_a_run_takes_it_and_refuses_an_empty_one() -> None:
    _prove(Image(Counted(ARRAY), Item("a", "a.tif")))
    with pytest.raises(BadItem, match="no pixels"):
        _prove(Image(Counted(ARRAY[:0]), Item("a", "a.tif")))


def test_tiles_are_those_of_the_array() -> None:
    names = ("blue", "green", "red", "nir")
    lazy, decoded = Painted(Lazy(Counted(ARRAY, names), 0)), Painted(Decoded(Image(ARRAY, Item("a", "a.tif")), 0))
    assert lazy.raster.default_bands == (3, 2, 1)
    for bands in ((3, 2, 1), (4,)):
        np.testing.assert_array_equal(lazy.tile(0, 0, 0, bands, (2, 98)), decoded.tile(0, 0, 0, bands, (2, 98)))


def test_a_map_is_drawn_without_reading_all_of_it() -> None:
    large = np.full((6000, 4000, 1), 100, np.uint8)
    pixels = Counted(large)
    square = lambda x, y, side: (np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], float),)  # noqa: E731
    labels = Labels.of(
        [0, 0, 1],
        kind=[Kind.POLYGON, Kind.POLYGON, Kind.KEYPOINTS],
        shape=[square(600, 600, 900), square(2400, 3000, 600), np.array([[3000.0, 5000.0, 2.0]])],
        context={"date": "2024-06-01"},
    )
    flags = (Flag("rule", "reason", rows=(1,)),)
    image = Image(pixels, Item("a", "a.tif"), FRAME)
    drawn = atlas(image, Record(image.item, labels, flags, size=(6000, 4000), frame=FRAME), SCHEMA)
    assert max(drawn.shape) < 2200
    assert pixels.samples < large.size / 3
    scale = drawn.shape[1] / 4000
    row = drawn[round(1000 * scale)].astype(int)
    edge = np.flatnonzero(np.abs(row - 100).max(axis=1) > 100) / scale
    assert abs(edge.min() - 600) < 8
    assert abs(edge.max() - 1500) < 8
    inside, outside = drawn[round(900 * scale), round(900 * scale)], drawn[round(300 * scale), round(300 * scale)]
    assert (outside == 100).all()
    assert not (inside == 100).all()
