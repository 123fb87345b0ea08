"""Tiles cover a picture with the overlap asked for, and what several of them see is found once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import slices
from hyla.errors import ConfigError
from hyla.types import Image, Item
from hyla_retail.sliced import Found, Pixels, Sliced
from shelf_kit import SCHEMA, match

SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


@settings(deadline=None)
@given(size=SIZES, side=st.integers(64, 1280), overlap=st.floats(0, 0.6))
def test_tiles_lie_inside_and_cover_everything_with_the_overlap(size, side, overlap):
    height, width = size
    tiles = slices.tiles(size, side, overlap)
    assert tiles[-1].tolist() == [0, 0, width, height]
    assert (tiles[:, :2] >= 0).all()
    assert (tiles[:, 2] <= width).all()
    assert (tiles[:, 3] <= height).all()
    if max(size) <= side:
        assert len(tiles) == 1
        return
    for low, high, length in ((0, 2, width), (1, 3, height)):
        spans = np.unique(tiles[:-1][:, [low, high]], axis=0)
        assert spans[0, 0] == 0
        assert spans[-1, 1] == length
        assert (spans[:, 1] - spans[:, 0] == min(side, length)).all()
        assert (spans[:-1, 1] - spans[1:, 0] >= overlap * side - 2).all()


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    size=st.tuples(st.integers(700, 2000), st.integers(700, 2000)),
    side=st.sampled_from([320, 512, 640]),
)
def test_what_is_smaller_than_the_overlap_is_whole_in_some_tile(seed, size, side):
    rng = np.random.default_rng(seed)
    height, width = size
    corner = rng.uniform(0, 1, (40, 2)) * [width - 60, height - 60]
    box = np.concatenate([corner, corner + rng.uniform(5, 0.2 * side - 8, (40, 2))], axis=1).clip(
        0, [width, height, width, height]
    )
    whole = np.zeros(40, dtype=bool)
    for tile in slices.tiles(size, side, 0.2)[:-1]:
        inside = (box[:, :2] >= tile[:2]).all(axis=1) & (box[:, 2:] <= tile[2:]).all(axis=1)
        whole |= inside & ~slices.cut_off(box, tile, size)
    assert whole.all()


def test_a_box_is_cut_off_only_where_the_picture_goes_on():
    box = np.array([[0, 10, 50, 60], [590, 10, 640, 60], [300, 300, 350, 350]], dtype=np.float64)
    assert slices.cut_off(box, [0, 0, 640, 640], (640, 1000)).tolist() == [False, True, False]
    assert slices.cut_off(box, [0, 0, 640, 640], (640, 640)).tolist() == [False, False, False]


def test_merging_keeps_one_of_each_the_whole_one_before_a_piece():
    box = np.array([[0, 0, 100, 100], [2, 0, 101, 100], [60, 0, 100, 100], [200, 0, 300, 100], [0, 0, 1, 1]], dtype=np.float64)
    score = np.array([0.5, 0.6, 0.9, 0.4, 0.3])
    cut = np.array([False, False, True, False, False])
    assert slices.merge(box, score, cut, 0.6, 10).tolist() == [1, 3, 4]
    assert slices.merge(box, score, cut, 0.6, 1).tolist() == [1]
    assert slices.merge(np.zeros((0, 4)), np.zeros(0), np.zeros(0, bool), 0.6, 5).tolist() == []


class Perfect(Sliced):
    """Find bright rectangles exactly, as far as the tile shows them: a network that makes no mistakes of its own."""

    def __init__(self, truth: np.ndarray, **settings) -> None:
        settings = {"tile": 320, "overlap": 0.25, "conf": 0.1, "iou": 0.6, "max_det": 1000, **settings}
        super().__init__(SCHEMA, ("object",), {}, **settings)
        self.truth, self.seen = truth, 0

    def detect(self, crops: Sequence[Pixels]) -> list[Found]:
        out = []
        for crop in crops:
            self.seen += 1
            ids = np.unique(crop[..., 0])
            box = [
                (*np.argwhere(crop[..., 0] == one).min(0)[::-1], *(np.argwhere(crop[..., 0] == one).max(0)[::-1] + 1))
                for one in ids
                if one
            ]
            area = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in box]
            score = 0.4 + 0.5 * np.array(area, dtype=np.float64) / 5000  # a piece is less sure
            out.append(Found(np.array(box, dtype=np.float64).reshape(-1, 4), score.clip(0, 1), np.zeros(len(box), np.int64)))
        return out


def _picture(shift: int = 0) -> tuple[Image, np.ndarray]:
    rng = np.random.default_rng(1)
    pixels = np.zeros((700, 1100 + shift, 3), np.uint8)
    truth = []
    for row in range(6):
        for column in range(13):
            x, y = shift + 12 + column * 82 + int(rng.integers(0, 8)), 8 + row * 114
            pixels[y : y + 100, x : x + 66] = len(truth) + 1
            truth.append((x, y, x + 66, y + 100))
    return Image(pixels, Item("tiled", "tiled")), np.array(truth, dtype=np.float64)


def test_an_object_on_the_border_of_tiles_is_found_once():
    image, truth = _picture()
    model = Perfect(truth)
    [labels] = model.predict([image])
    assert model.seen > 10
    assert len(labels) == len(truth) == 78
    assert len(match(truth, labels.box, 0.999)[0]) == len(truth)
    assert np.nanmax(labels.attributes["shelf"]) == 6
    assert np.nanmax(labels.attributes["position"]) == 13
    SCHEMA.check(labels, image.size)


@pytest.mark.parametrize("shift", [1, 37, 160])
def test_shifted_tiles_find_the_same(shift):
    image, truth = _picture()
    other, moved = _picture(shift)
    [one], [two] = Perfect(truth).predict([image]), Perfect(moved).predict([other])
    assert len(one) == len(two)
    assert len(match(one.box + np.array([shift, 0, shift, 0]), two.box, 0.999)[0]) == len(one)


def test_a_photo_of_one_product_asks_no_network():
    image, truth = _picture()
    model = Perfect(truth)
    [labels] = model.predict([Image(image.pixels, image.item, context={"view": "product"})])
    assert model.seen == 0
    assert len(labels) == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"conf": 2}, "conf is 2"),
        ({"iou": -1}, "iou is -1"),
        ({"overlap": 0.95}, "overlap"),
        ({"tile": 8}, "tile"),
        ({"max_det": 0}, "max_det"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        Sliced.check(**{"tile": 640, "overlap": 0.2, "conf": 0.2, "iou": 0.5, "max_det": 10, **settings})
