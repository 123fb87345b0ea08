"""The detectors with weights: classes, batches, odd pictures, weights that can't be used."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from hyla.errors import ConfigError
from hyla.images import read_image
from hyla.torchvision_detector import Torchvision
from hyla.types import Image, Item
from surveillance_kit import CONF, SCHEMA

NAMES = ["__background__", "person"]  # of a network that nobody trained
needs_ultralytics = pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")


def odd() -> list[Image]:
    """Return pictures of every kind."""
    rng = np.random.default_rng(0)
    shapes = [
        ((1, 1, 3), "uint8"),
        ((33, 47, 4), "uint8"),
        ((40, 60, 1), "float32"),
        ((64, 48, 3), "uint16"),
        ((9, 200, 3), "uint8"),
    ]
    return [
        Image((rng.random(shape) * (1 if dtype == "float32" else 200)).astype(dtype), Item(f"{i}", "a", "g", i))
        for i, (shape, dtype) in enumerate(shapes)
    ]


def test_torchvision_gives_boxes_of_the_schema_and_does_not_depend_on_the_batch():
    model = Torchvision(SCHEMA, "ssdlite320_mobilenet_v3_large", None, categories=NAMES, conf=0.01, threads=1, device="cpu")
    rng = np.random.default_rng(0)
    images = [Image(rng.integers(0, 255, (90, 120, c), dtype=np.uint8), Item(f"{c}", "a", "g", c)) for c in (3, 1)]
    together = model.predict(images)
    for image, labels in zip(images, together, strict=True):
        SCHEMA.check(labels, image.size)
    assert sum(map(len, together)) > 5, "random weights see something anywhere"
    assert [model.predict([one])[0] for one in images] == together
    assert not model.memory, "frames are tracked by the joined model"


@pytest.fixture(scope="module")
def yolo(shared):
    if find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")
    from hyla_surveillance.yolo import Yolo

    return Yolo(SCHEMA, str(shared / "weights/yolov8n.pt"), device="cpu", threads=1, imgsz=640)


@needs_ultralytics
def test_yolo_finds_people_on_a_real_street(yolo, shared):
    path = shared / "data/surveillance/mot17_04/img1/000001.jpg"
    image = Image(np.asarray(read_image(path)), Item("a", path.name, "g", 0))
    (labels,) = yolo.predict([image])
    SCHEMA.check(labels, image.size)
    assert (labels.class_id == SCHEMA.class_id("person")).sum() >= 10
    assert (np.diff(labels.score) <= 0).all()
    assert (labels.evidence["margin"] <= labels.score + 1e-6).all()
    assert {SCHEMA.names[i] for i in labels.class_id} <= {
        "person",
        *("bicycle", "motorcycle", "car", "bus", "truck"),
        "backpack",
        "handbag",
        "suitcase",
    }


@needs_ultralytics
def test_yolo_takes_every_picture_and_does_not_depend_on_the_batch(yolo, shared):
    path = shared / "data/surveillance/mot17_04/img1/000001.jpg"
    pixels = np.asarray(read_image(path))
    images = [*odd(), Image(pixels, Item("a", "a", "g", 9)), Image(pixels[:400, :700], Item("b", "b", "g", 10))]
    images.append(Image(np.zeros((3, 20, 20), np.uint8), Item("v", "v", "v"), volume=True))
    together = yolo.predict(images)
    for image, labels in zip(images[:-1], together, strict=False):
        SCHEMA.check(labels, image.size)
    assert [yolo.predict([one])[0] for one in images] == together
    assert yolo.predict(images[::-1])[::-1] == together
    assert yolo.predict([]) == []
    assert len(yolo.provenance()["digest"]) == 64


@needs_ultralytics
def test_weights_that_can_not_be_used_are_refused(tmp_path):
    from hyla_surveillance.yolo import Yolo

    (tmp_path / "broken.pt").write_bytes(b"PK\x03\x04 no network")
    (tmp_path / "other.onnx").write_bytes(b"x")
    for weights, match in (("broken.pt", "no YOLO checkpoint"), ("other.onnx", "no .pt file"), ("absent.pt", "absent")):
        with pytest.raises(ConfigError, match=match):
            Yolo(SCHEMA, weights, str(tmp_path))
    for bad in ({"imgsz": 600}, {"conf": 2}, {"max_det": 0}):
        with pytest.raises(ConfigError):
            Yolo(SCHEMA, "broken.pt", str(tmp_path), **bad)


@pytest.mark.parametrize("name", ["surveillance_yolo", "surveillance_torchvision", "surveillance_objects", "motion"])
def test_settings_in_yaml_are_those_of_the_constructor(name, tmp_path):
    import inspect

    import yaml
    from hydra.utils import get_class

    values = yaml.safe_load((CONF / "model" / f"{name}.yaml").read_text(encoding="utf-8"))
    base = yaml.safe_load((CONF / "model" / "motion.yaml").read_text(encoding="utf-8")) if "defaults" in values else {}
    values = {**base, **{k: v for k, v in values.items() if k != "defaults"}}
    parameters = inspect.signature(get_class(values["_target_"])).parameters
    assert set(values) - {"_target_"} == set(parameters) - {"schema"}
    for key, value in values.items():
        free = key in ("_target_", "weights", "weights_dir", "device", "cameras", "source", "classes")
        if not free and name == "motion":
            assert value == parameters[key].default, f"{key} in YAML and in code"
