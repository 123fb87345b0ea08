"""Facings and price labels without weights: drawn shelves, tilted and seen from the side, any picture at all, and real photos."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from hyla.errors import ConfigError
from hyla.images import read_image
from hyla.schema import Schema
from hyla.types import Image, Item, Kind
from hyla_retail import sample
from hyla_retail.facings import Facings
from shelf_kit import SCHEMA, boxes, draw, match, rates, warped


def test_facings_of_a_drawn_shelf_are_found_with_their_shelf_and_position():
    found = expected = right = 0
    for seed in range(4):
        shelf = draw(seed=seed)
        [labels] = Facings(SCHEMA).predict([shelf.image()])
        SCHEMA.check(labels, shelf.pixels.shape[:2])
        recall, precision = rates(shelf, labels, "product")
        assert recall > 0.85, seed
        assert precision > 0.8, seed
        rows, columns = match(shelf.truth["product"], boxes(labels, "product"))
        facing = labels.class_id == 0
        found, expected = found + len(rows), expected + len(shelf.shelf)
        right += int((labels.attributes["shelf"][facing][columns] == shelf.shelf[rows]).sum())
    assert found / expected > 0.93
    assert right / found > 0.97


@pytest.mark.parametrize(
    ("name", "matrix"),
    [
        ("held askew", cv2.getRotationMatrix2D((650, 450), 3, 1)),
        ("held askew the other way", cv2.getRotationMatrix2D((650, 450), -4, 1)),
        ("from the left", np.array([[1, 0, 0], [-0.06, 1, 40], [-0.00012, 0, 1]])),
    ],
)
def test_a_tilted_or_slanting_shelf_is_read_as_well(name, matrix):
    recalls = []
    for seed in range(2):
        shelf = warped(draw(seed=seed), np.vstack([matrix, [0, 0, 1]]) if matrix.shape == (2, 3) else matrix)
        [labels] = Facings(SCHEMA).predict([shelf.image()])
        recalls.append(rates(shelf, labels, "product")[0])
    assert np.mean(recalls) > 0.75, (name, recalls)


def test_price_labels_are_found_on_the_rails_and_none_on_bare_ones():
    truths = founds = matched = bare = 0
    for seed in range(4):
        shelf = draw(seed=seed)
        [labels] = Facings(SCHEMA).predict([shelf.image()])
        found = boxes(labels, "price_label")
        truths, founds = truths + len(shelf.truth["price_label"]), founds + len(found)
        matched += len(match(shelf.truth["price_label"], found)[0])
        assert np.isnan(labels.attributes["shelf"][labels.class_id == SCHEMA.class_id("price_label")]).all()
        [labels] = Facings(SCHEMA).predict([draw(seed=seed, labels=False).image()])
        bare += len(boxes(labels, "price_label"))
    assert matched / truths > 0.6
    assert matched / founds > 0.9
    assert bare < 0.2 * truths


def test_a_larger_photo_of_the_same_shelf_has_the_same_facings():
    shelf = draw(seed=1)
    large = cv2.resize(shelf.pixels, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    [small], [big] = (Facings(SCHEMA, longest=1300).predict([Image(p, Item("a", "a"))]) for p in (shelf.pixels, large))
    one, other = boxes(small, "product"), boxes(big, "product") / 3
    assert len(match(one, other, 0.9)[0]) > 0.9 * max(len(one), len(other))


def test_a_picture_of_one_product_is_one_tag_over_all_of_it():
    image = draw(seed=1).image({"view": "product"})
    [labels] = Facings(SCHEMA).predict([image])
    assert labels.class_id.tolist() == [SCHEMA.class_id("product")]
    assert labels.kind.tolist() == [Kind.TAG]
    height, width = image.size
    assert labels.box.tolist() == [[0, 0, width, height]]


def test_labels_do_not_depend_on_the_batch():
    images = [draw(rows=rows, seed=rows).image() for rows in (1, 2, 3)]
    model = Facings(SCHEMA)
    assert [model.predict([one])[0] for one in images] == model.predict(images)
    assert model.predict([]) == []


def _odd() -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    return [
        *(np.zeros((h, w, 3), np.uint8) for h, w in ((1, 1), (2, 900), (900, 2), (16, 1280), (300, 400))),
        *(noise, noise[:, :, :1], np.concatenate([noise, noise[:, :, :1]], axis=2)),
        *(noise.astype(np.uint16) * 257, noise.astype(np.int32), noise / 255, noise.astype(np.float32), noise > 128),
        *(
            np.full((50, 60, 3), np.nan),
            np.full((50, 60, 3), np.inf, np.float32),
            noise[::-2, ::-1],
            np.full((90, 400, 3), 255, np.uint8),
        ),
    ]


@pytest.mark.parametrize("number", range(len(_odd())))
def test_any_picture_is_answered_within_the_schema(number):
    pixels = _odd()[number]
    before = pixels.copy()
    [labels] = Facings(SCHEMA).predict([Image(pixels, Item("odd", "odd"))])
    SCHEMA.check(labels, pixels.shape[:2])
    assert np.array_equal(pixels, before, equal_nan=pixels.dtype.kind == "f")


def test_an_even_wall_holds_nothing():
    assert len(Facings(SCHEMA).predict([Image(np.full((600, 800, 3), 140, np.uint8), Item("w", "w"))])[0]) == 0


def test_a_schema_may_leave_price_labels_and_gaps_out():
    schema = Schema.from_config({"name": "few", "classes": {"product": {}}})
    [labels] = Facings(schema).predict([draw(empty=((1, 1),)).image()])
    assert set(labels.class_id.tolist()) == {0}
    [labels] = Facings(SCHEMA, labels=False, gaps=False).predict([draw(empty=((1, 1),)).image()])
    assert set(labels.class_id.tolist()) == {0}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"aspect": [1.0]}, "aspect is"),
        ({"aspect": [1.6, 0.2]}, "aspect is"),
        ({"longest": 50}, "longest is 50"),
        ({"price": -1}, "price is -1"),
        ({"threshold": 2}, "threshold is 2"),
        ({"gap_ratio": 0}, "gap_ratio 0"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        Facings(SCHEMA, **settings)
    with pytest.raises(ConfigError, match="product"):
        Facings(Schema.from_config({"name": "none", "classes": {"thing": {}}}))


def test_evidence_tells_what_the_boxes_look_like():
    shelf = draw(seed=1)
    image = shelf.image()
    [labels] = Facings(SCHEMA).predict([image])
    facing = labels.class_id == 0
    for name in ("short_px", "cut", "sharpness"):
        assert np.isfinite(labels.evidence[name]).all()
    assert np.isfinite(labels.evidence["overlap"][facing]).all()
    assert np.isnan(labels.evidence["overlap"][~facing]).all()
    assert np.array_equal(labels.evidence["short_px"], np.minimum(labels.width, labels.height))
    for one in np.unique(labels.attributes["shelf"][facing]):
        row = facing & (labels.attributes["shelf"] == one)
        assert np.allclose(labels.evidence["width_ratio"][row], labels.width[row] / np.median(labels.width[row]))
    blurred = Image(cv2.GaussianBlur(shelf.pixels, (31, 31), 0), image.item)
    assert np.median(Facings(SCHEMA).predict([blurred])[0].evidence["sharpness"]) < np.median(labels.evidence["sharpness"]) / 5


def test_most_facings_of_the_sample_are_found(tmp_path):
    source = sample.write(tmp_path, 2)
    model = Facings(SCHEMA)
    truths = founds = matched = 0
    for line in (tmp_path / "truth.jsonl").read_text().splitlines():
        record = json.loads(line)
        pixels = read_image(source / record["item"]["uri"])
        [labels] = model.predict([Image(pixels, Item("a", "a"))])
        truth = np.array([one["box"] for one in record["labels"] if one["class"] not in ("price_label", "gap")])
        found = boxes(labels, "product")
        truths, founds, matched = truths + len(truth), founds + len(found), matched + len(match(truth, found)[0])
    assert matched / truths > 0.8
    assert matched / founds > 0.7


@pytest.mark.parametrize(("name", "shelves", "facings"), [("test_2.jpg", 6, 50), ("test_3.jpg", 4, 40)])
def test_real_photos_have_about_the_shelves_and_facings_that_were_counted(shared, name, shelves, facings):
    pixels = read_image(shared / "data" / "retail" / "shelves" / name)
    [labels] = Facings(SCHEMA).predict([Image(pixels, Item(name, name))])
    products = labels.class_id == 0
    assert abs(np.nanmax(labels.attributes["shelf"]) - shelves) <= 1
    assert 0.75 * facings <= products.sum() <= 1.4 * facings
