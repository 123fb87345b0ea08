"""The detectors: classes of weights, batches, weights that can't be used, a real photo."""

from __future__ import annotations

from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import torch

from hyla.errors import ConfigError
from hyla.images import read_image
from hyla.types import Image, Item
from hyla.weights import digest
from hyla_retail.sliced import class_ids
from hyla_retail.torchvision_detector import Torchvision
from hyla_retail.yolo import Yolo
from shelf_kit import SCHEMA, draw, match

SMALL = "ssdlite320_mobilenet_v3_large"


def build(**settings) -> Torchvision:
    defaults = {"architecture": SMALL, "categories": ["__background__", "object"], "conf": 0.01, "tile": 640, "threads": 1}
    return Torchvision(SCHEMA, **{**defaults, "device": "cpu", "max_det": 30, **settings})


@pytest.fixture(scope="module")
def images() -> list[Image]:
    return [draw(rows=rows, seed=rows).image() for rows in (1, 2)] + [Image(np.zeros((50, 70, 1), np.uint8), Item("b", "b"))]


def test_classes_are_mapped_as_asked_then_by_what_shops_sell():
    product, fruit = SCHEMA.class_id("product"), SCHEMA.class_id("fruit")
    assert class_ids(SCHEMA, ["anything"], {}).tolist() == [product]
    names = ["bottle", "banana", "cake", "dog", "fruit"]
    assert class_ids(SCHEMA, names, {}).tolist() == [product, fruit, product, -1, fruit]
    assert class_ids(SCHEMA, names, {"dog": "fruit", "bottle": None}).tolist() == [-1, fruit, product, fruit, fruit]
    with pytest.raises(ConfigError, match="know no class 'cta'") as caught:
        class_ids(SCHEMA, names, {"cta": "product"})
    assert "bottle" in str(caught.value.choices)
    with pytest.raises(ConfigError, match="no class 'prodct'"):
        class_ids(SCHEMA, names, {"dog": "prodct"})
    with pytest.raises(ConfigError, match="no class of the weights"):
        class_ids(SCHEMA, ["dog", "car"], {})


def test_labels_of_torchvision_fit_the_schema_and_do_not_depend_on_the_batch(images):
    model = build()
    together = model.predict(images)
    assert sum(map(len, together)) > 10
    for image, labels in zip(images, together, strict=True):
        SCHEMA.check(labels, image.size)
        assert len(labels) <= 30
        assert (np.diff(labels.score) <= 0).all()
        assert {"overlap", "cut", "short_px", "sharpness", "width_ratio"} <= set(labels.evidence)
    assert [model.predict([image])[0] for image in images] == together
    assert build().predict(images[::-1])[::-1] == together


def test_a_state_dict_gives_what_it_was_saved_from_and_nothing_else_is_read(tmp_path, images):
    model = build(seed=4)
    torch.save({"model": model._network.state_dict()}, tmp_path / "shop.pth")
    loaded = build(weights="shop.pth", weights_dir=str(tmp_path))
    assert loaded.predict(images[:1]) == model.predict(images[:1])
    assert loaded.provenance()["digest"] == digest(tmp_path / "shop.pth")
    assert "random" in model.provenance()["digest"]
    with pytest.raises(ConfigError, match="no state dict"):
        build(weights="shop.pth", weights_dir=str(tmp_path), categories=["__background__", "a", "b"], classes={"a": "product"})
    (tmp_path / "text.pth").write_text("weights, honestly")
    with pytest.raises(ConfigError, match="no state dict"):
        build(weights=str(tmp_path / "text.pth"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"architecture": "yolov8n"}, "no network 'yolov8n'"),
        ({"weights": "nothing.pth"}, "nothing.pth"),
        ({"conf": 2.0}, "conf is 2.0"),
        ({"tile": 10}, "tile is 10"),
        ({"categories": ["only"]}, "categories"),
        ({"device": "cuda:77"}, "cuda:77"),
    ],
)
def test_a_setting_of_torchvision_that_cannot_work_is_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        build(**settings)


ultralytics = pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")


@pytest.fixture(scope="module")
def yolo(shared) -> Yolo:
    return Yolo(SCHEMA, weights=str(shared / "weights" / "yolov8n.pt"), device="cpu", threads=1, tile=480)


@ultralytics
def test_bottles_on_a_real_shelf_are_found_once_wherever_the_tiles_lie(shared, yolo):
    pixels = read_image(shared / "data" / "retail" / "shelves" / "test_3.jpg")
    [labels] = yolo.predict([Image(pixels, Item("a", "a"))])
    SCHEMA.check(labels, pixels.shape[:2])
    assert len(labels) >= 25
    assert np.nanmax(labels.attributes["shelf"]) >= 3
    assert np.nanmax(labels.evidence["overlap"]) <= 0.6
    wider = cv2.copyMakeBorder(pixels, 0, 0, 90, 0, cv2.BORDER_REPLICATE)
    [moved] = yolo.predict([Image(np.asarray(wider), Item("a", "a"))])
    sure = labels.box[labels.score > 0.5]
    assert len(match(sure + np.array([90, 0, 90, 0]), moved.box, 0.6)[0]) >= 0.9 * len(sure)


@ultralytics
def test_labels_of_yolo_do_not_depend_on_the_batch(shared, yolo):
    pixels = read_image(shared / "data" / "retail" / "shelves" / "test_3.jpg")
    images = [Image(p, Item("a", "a")) for p in (pixels, pixels[:300], np.zeros((40, 60, 4), np.uint8), pixels[:, :500, :1])]
    together = yolo.predict(images)
    assert [yolo.predict([one])[0] for one in images] == together
    assert set(yolo.provenance()) >= {"name", "digest", "libraries"}
    assert len(together[2]) == 0


@ultralytics
def test_weights_that_are_none_are_refused(tmp_path):
    for name, says in (("cut.pt", "no YOLO checkpoint"), ("net.onnx", "no .pt file"), ("gone.pt", "gone.pt")):
        if name != "gone.pt":
            (tmp_path / name).write_bytes(b"weights, honestly")
        with pytest.raises(ConfigError, match=says):
            Yolo(SCHEMA, weights=str(tmp_path / name))
    with pytest.raises(ConfigError, match="imgsz is 100"):
        Yolo(SCHEMA, weights="any.pt", imgsz=100)
    with pytest.raises(ConfigError, match="network_batch is 0"):
        Yolo(SCHEMA, weights="any.pt", network_batch=0)
