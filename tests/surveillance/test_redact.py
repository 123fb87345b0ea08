"""What must not be seen is hidden for good: few colours are left, more is hidden than labelled, and nothing is found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faces_kit import CAR, FACE, PERSON, PLATE, boxes, image, noise, photograph, street, yunet
from hyla import config, plugins
from hyla.errors import BadItem, ConfigError
from hyla.geometry import iou
from hyla.lazy import LazyPixels
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels
from hyla_surveillance.loaders import Recordings
from hyla_surveillance.redact import Mosaic, covered, found_in, grown, heads, remaining, with_face, with_plate
from live_kit import write_clip
from surveillance_kit import SCHEMA


def changed(before, after) -> np.ndarray:
    return (before != after).any(axis=2)


def colours(pixels) -> int:
    return len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0))


class Stored(LazyPixels):
    """Read from an array, as if it were a file, and note the largest part that was asked for."""

    def __init__(self, pixels):
        super().__init__(pixels.shape, pixels.dtype)
        self.pixels, self.most = pixels, 0

    def read(self, row0, row1, column0, column1, bands, step=1):
        part = self.pixels[row0:row1:step, column0:column1:step][..., list(bands)]
        self.most = max(self.most, part.size)
        return part


@given(st.integers(1, 12), st.integers(1, 40), st.floats(0, 1), st.tuples(*[st.floats(-50, 250)] * 4), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_a_region_keeps_few_colours_and_nothing_else_changes(cells, cell, grow, corners, seed):
    pixels = noise(150, 200, seed=seed)
    x0, x1, y0, y1 = *sorted(corners[:2]), *sorted(corners[2:])
    box = np.clip([[x0, y0, x1, y1]], 0, [200, 150, 200, 150])
    shown = Mosaic(SCHEMA, cells=cells, cell=cell, grow=grow).redact(image(pixels), boxes((FACE, *box[0]))).pixels
    x0, y0, x1, y1 = np.clip([*np.floor(grown(box, grow)[0, :2]), *np.ceil(grown(box, grow)[0, 2:])], 0, [200, 150] * 2).astype(
        int
    )
    if x1 > x0 and y1 > y0:
        assert colours(shown[y0:y1, x0:x1]) <= cells**2
    outside = np.ones((150, 200), bool)
    outside[y0:y1, x0:x1] = False
    assert not changed(pixels, shown)[outside].any()


def test_cells_are_means_so_nothing_finer_can_come_back():
    fine = np.zeros((96, 96, 3), np.uint8)
    fine[::2] = 200
    coarse = np.full((96, 96, 3), 100, np.uint8)
    box = boxes((FACE, 0, 0, 96, 96))
    one, other = (Mosaic(SCHEMA).redact(image(p), box).pixels for p in (fine, coarse))
    assert np.array_equal(one, other)  # two different pictures, one mosaic


def test_a_region_over_another_one_becomes_one_colour():
    pixels = noise(200, 200)
    twice = boxes((FACE, 50, 50, 110, 120), (FACE, 53, 48, 112, 119), (FACE, 120, 100, 180, 170))
    shown = Mosaic(SCHEMA, grow=0.0).redact(image(pixels), twice).pixels
    assert colours(shown[48:119, 53:112]) == 1
    assert colours(shown[120:170, 120:180]) > 1
    assert covered(twice.box).tolist() == [False, True, False]
    assert covered(np.zeros((0, 4))).tolist() == []


def test_the_picture_given_stays_as_it_is_and_nothing_to_hide_is_no_copy():
    picture = image(noise(90, 90))
    before = picture.pixels.copy()
    shown = Mosaic(SCHEMA).redact(picture, boxes((FACE, 20, 20, 50, 60)))
    assert np.array_equal(picture.pixels, before)
    assert (shown.item, shown.frame, shown.pixels.dtype, shown.size) == (picture.item, picture.frame, np.uint8, (90, 90))
    assert Mosaic(SCHEMA).redact(picture, Labels.empty()) is picture
    assert Mosaic(SCHEMA).redact(picture, boxes((SCHEMA.class_id("bag"), 0, 0, 9, 9))) is picture


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int64", "uint64", "float32", "float64", "bool"])
@pytest.mark.parametrize("bands", [1, 3, 4, 7])
@pytest.mark.parametrize("size", [(1, 1), (2, 300), (70, 50)])
def test_any_picture_is_hidden(dtype, bands, size):
    pixels = noise(*size, bands).astype(dtype)
    rows = boxes((FACE, 0, 0, size[1], size[0]), (PERSON, 0, 0, size[1], size[0]), (CAR, 0, 0, size[1], size[0]))
    shown = Mosaic(SCHEMA).redact(image(pixels), rows).pixels
    assert (shown.shape, shown.dtype) == (pixels.shape, pixels.dtype)
    assert colours(shown) <= 36
    assert float(pixels.min()) <= float(shown.min()) <= float(shown.max()) <= float(pixels.max())


def test_polygons_and_tags_are_hidden_by_their_bounds_and_volumes_are_left():
    pixels = noise(60, 60)
    ring = np.array([[10.0, 10], [30, 10], [20, 40]])
    label = Labels.of([FACE], kind=Kind.POLYGON, shape=[(ring,)])
    assert changed(pixels, Mosaic(SCHEMA).redact(image(pixels), label).pixels)[10:40, 10:30].mean() > 0.95
    volume = Image(np.zeros((4, 30, 30), np.int16), Item("v", "v"), volume=True)
    assert Mosaic(SCHEMA).redact(volume, boxes((FACE, 0, 0, 9, 9))) is volume
    bare = Schema.from_config({"classes": {"thing": {}}})
    picture = image(pixels)
    assert Mosaic(bare).redact(picture, Labels.of([0], [[0, 0, 9, 9]])) is picture


def test_a_person_without_a_face_loses_the_head():
    pixels = noise(400, 400)
    person = (PERSON, 100.0, 40.0, 180.0, 340.0)
    hidden = changed(pixels, Mosaic(SCHEMA).redact(image(pixels), boxes(person)).pixels)
    assert hidden[40:115, 100:180].mean() > 0.98
    assert not hidden[140:].any()
    faced = changed(pixels, Mosaic(SCHEMA).redact(image(pixels), boxes(person, (FACE, 128, 50, 152, 80))).pixels)
    assert faced[50:80, 128:152].mean() > 0.98
    assert not faced[95:].any()
    assert not faced[:, :118].any()
    unsure = boxes(person, (FACE, 128, 50, 152, 80))
    unsure.score[1] = 0.6
    assert changed(pixels, Mosaic(SCHEMA).redact(image(pixels), unsure).pixels)[40:115, 100:180].mean() > 0.98
    body = changed(pixels, Mosaic(SCHEMA, people="body").redact(image(pixels), boxes(person)).pixels)
    assert body[40:340, 100:180].mean() > 0.98
    picture = image(pixels)
    assert Mosaic(SCHEMA, people=None).redact(picture, boxes(person)) is picture


def test_heads_of_who_sits_or_lies_take_more():
    standing, sitting, lying = heads(np.array([[0, 0, 40, 120], [0, 0, 80, 100], [0, 0, 150, 60.0]]), 0.25)[:, 3]
    assert (standing, sitting, lying) == (30, 48, 60)


def test_a_face_belongs_to_one_person_alone():
    near, behind = [100, 100, 200, 400], [150, 90, 230, 300]
    face = [165, 95, 200, 130]
    assert with_face(np.array([near, behind], float), np.array([face], float)).tolist() == [False, True]
    both = np.array([face, [130, 105, 165, 145]], float)
    assert with_face(np.array([near, behind], float), both).tolist() == [True, True]
    far = np.array([[140, 110, 150, 122]], float)  # 12 px high on a person of 300
    assert with_face(np.array([near], float), far).tolist() == [False]
    hand = np.array([[110, 170, 140, 200]], float)
    assert with_face(np.array([near], float), hand).tolist() == [False]
    feet = np.array([[130, 360, 165, 395]], float)
    assert with_face(np.array([near], float), feet).tolist() == [False]
    assert with_face(np.zeros((0, 4)), both).tolist() == []


def test_a_vehicle_without_a_plate_label_loses_the_places_of_plates():
    pixels = noise(300, 400)
    car = (CAR, 50.0, 40.0, 350.0, 260.0)
    hidden = changed(pixels, Mosaic(SCHEMA).redact(image(pixels), boxes(car)).pixels)
    assert hidden[130:250, 90:310].mean() > 0.98
    plated = changed(pixels, Mosaic(SCHEMA).redact(image(pixels), boxes(car, (PLATE, 170, 200, 230, 215))).pixels)
    assert plated[200:215, 170:230].mean() > 0.95
    assert not plated[:180].any()
    assert with_plate(np.array([[0, 0, 9, 9.0]]), np.zeros((0, 4))).tolist() == [False]
    picture = image(pixels)
    assert Mosaic(SCHEMA, vehicles=None).redact(picture, boxes(car)) is picture
    assert Mosaic(SCHEMA).redact(picture, boxes((SCHEMA.class_id("bicycle"), *car[1:]))) is picture


def test_hidden_zones_of_the_camera_are_black_whatever_the_size_of_the_picture(tmp_path):
    (tmp_path / "cameras").mkdir()
    text = (
        "camera: gate\nsize: [100, 200]\nzones:\n  yard: {purpose: hidden, polygon: [[20, 10], [120, 10], [120, 60], [20, 60]]}\n"
    )
    (tmp_path / "cameras/gate.yaml").write_text(text + "  way: {purpose: dwell, polygon: [[150, 0], [199, 0], [199, 99]]}\n")
    mosaic = Mosaic(SCHEMA, cameras="auto", source=str(tmp_path))
    for k in (1, 2):
        pixels = np.maximum(noise(100 * k, 200 * k), 1)
        shown = mosaic.redact(image(pixels, camera="gate"), Labels.empty()).pixels
        assert not shown[10 * k : 60 * k, 20 * k : 120 * k].any()
        assert not changed(pixels, shown)[61 * k + 1 :].any()
        assert not changed(pixels, shown)[:, 121 * k + 1 :].any()
        lazy = mosaic.redact(Image(Stored(pixels), Item("a", "a", meta={"camera": "gate"})), Labels.empty()).pixels
        assert np.array_equal(np.asarray(lazy), shown)
        assert not lazy[11 * k : 40 * k, 30 * k : 50 * k].any()
    other = image(pixels, camera="door")
    assert mosaic.redact(other, Labels.empty()) is other


def test_without_its_file_a_camera_that_hid_zones_shows_nothing(tmp_path):
    (tmp_path / "cameras").mkdir()
    write_clip(tmp_path / "gate.avi", [0, 40])
    write_clip(tmp_path / "yard.avi", [0, 40])
    described = tmp_path / "cameras/gate.yaml"
    described.write_text("camera: gate\nzones:\n  flats: {purpose: hidden, polygon: [[0, 0], [40, 0], [40, 40]]}\n")
    loader = Recordings()
    gate, yard = [loader.load(item) for item in loader.items(str(tmp_path))]

    def shown(image):
        return Mosaic(SCHEMA, cameras="auto", source=str(tmp_path)).redact(image, Labels.empty())

    assert not shown(gate).pixels[1, 2].any()
    assert shown(yard) is yard
    described.rename(tmp_path / "gate.yaml")
    with pytest.raises(BadItem, match="'gate' hides zones"):
        shown(gate)
    assert shown(yard) is yard
    described.write_text("camera: gate\n")  # who takes the zones out of it means to show them
    assert shown(gate) is gate


def test_a_picture_too_large_to_hold_is_hidden_when_it_is_read(tmp_path):
    pixels = noise(600, 800)
    stored = Stored(pixels)
    rows = boxes((FACE, 100, 100, 400, 450), (FACE, 700, 20, 790, 90))
    lazy = Mosaic(SCHEMA).redact(Image(stored, Item("a", "a")), rows)
    assert isinstance(lazy.pixels, LazyPixels)
    whole = Mosaic(SCHEMA).redact(image(pixels), rows).pixels
    assert np.array_equal(np.asarray(lazy.pixels), whole)
    assert np.array_equal(lazy.pixels[90:500:7, 50:460:7, 1], whole[90:500:7, 50:460:7, 1])
    assert np.array_equal(lazy.pixels[120:130, 700:710], whole[120:130, 700:710])
    large = Stored(np.zeros((4000, 4000, 1), np.uint8))
    Mosaic(SCHEMA).redact(Image(large, Item("b", "b")), boxes((FACE, 0, 0, 4000, 4000)))
    assert large.most < 800**2


def test_yunet_finds_no_face_in_the_redacted_photograph(shared):
    finder, checker = yunet(shared, score=0.5), yunet(shared)
    for scale in (1.0, 0.5, 0.25):
        pixels = photograph(shared, scale)
        (labels,) = finder.predict([image(pixels)])
        assert remaining(pixels, checker) >= 29
        left = found_in(Mosaic(SCHEMA).redact(image(pixels), labels).pixels, checker)
        assert len(left) <= 1  # a collar, at half the size
        assert not (iou(left, labels.box[labels.score > 0.7]) > 0).any()


def test_yunet_finds_nothing_in_the_redacted_street(shared):
    finder, checker = yunet(shared, score=0.5), yunet(shared)
    for number in (1, 8):
        pixels, people = street(shared, number)
        labels = Labels.concat([*finder.predict([image(pixels)]), boxes(*((PERSON, *row) for row in people))])
        assert remaining(pixels, checker) >= 10
        assert remaining(Mosaic(SCHEMA).redact(image(pixels), labels).pixels, checker) <= 1
        alone = boxes(*((PERSON, *row) for row in people))  # no face was ever looked for
        assert remaining(Mosaic(SCHEMA).redact(image(pixels), alone).pixels, checker) <= 3


@pytest.mark.parametrize(
    "settings",
    [
        {"people": "feet"},
        {"vehicles": "wheel"},
        {"head": 0},
        {"grow": 3},
        {"cells": 0},
        {"cells": 13},
        {"cell": 0},
        {"cameras": "no"},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ConfigError):
        Mosaic(SCHEMA, **settings)


def test_the_preset_hides_by_itself(tmp_path):
    (tmp_path / "clips").mkdir()
    chosen = config.stages(config.compose("surveillance", source=str(tmp_path / "clips"), out=str(tmp_path / "out")))[0]["redact"]
    assert isinstance(chosen, Mosaic)
    assert plugins.Pipeline({"redact": chosen}).redact(image(noise(50, 50)), boxes((FACE, 5, 5, 20, 20))) is not None
