"""The detector of torchvision: random weights, state dicts, classes, batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hyla.errors import ConfigError, StageError
from hyla.schema import Schema
from hyla.torchvision_detector import Torchvision
from hyla.types import Image, Item
from hyla.weights import digest

SCHEMA = Schema.from_config({"name": "road", "kinds": ["box", "track"], "classes": {"person": {}, "car": {}, "light": {}}})
SMALL = "ssdlite320_mobilenet_v3_large"
NAMES = ["__background__", "car", "person", "kite"]


def build(**settings) -> Torchvision:
    defaults = {"schema": SCHEMA, "architecture": SMALL, "categories": NAMES, "device": "cpu", "conf": 0.01, "max_det": 20}
    return Torchvision(**{**defaults, **settings})


@pytest.fixture(scope="module")
def lively(tmp_path_factory) -> str:
    """Return weights whose answers differ from place to place: fresh ones give every anchor nearly the same score."""
    network = build(seed=3)._network
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(4)
        norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
        for one in norms:
            one.momentum = 1.0
        network.backbone.train()(torch.rand(4, 3, 320, 320))
        for head in (network.head.classification_head, network.head.regression_head):
            for branch in head.module_list:
                torch.nn.init.normal_(branch[-1].weight, std=0.02)
    path = tmp_path_factory.mktemp("torchvision") / "lively.pth"
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    rng = np.random.default_rng(1)
    sizes = [(60, 80), (81, 47), (60, 80)]
    return [Image(rng.integers(0, 256, (*size, 3), dtype=np.uint8), Item(f"i{i}", f"i{i}.png")) for i, size in enumerate(sizes)]


def test_labels_fit_the_schema_and_do_not_depend_on_the_batch(pictures, lively):
    model = build(weights=lively)
    whole = model.predict(pictures)
    assert sum(map(len, whole)) > 0
    for image, labels in zip(pictures, whole, strict=True):
        SCHEMA.check(labels, image.size)
        assert len(labels) <= 20
        assert (np.diff(labels.score) <= 0).all()
    assert [model.predict([image])[0] for image in pictures] == whole
    assert build(weights=lively).predict(pictures) == whole
    assert len({score for labels in whole for score in labels.score}) > 20


def test_random_weights_are_told_and_follow_the_seed_alone():
    before = torch.random.get_rng_state()
    model = build()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.provenance()["digest"] == "random, seed 0"
    assert "random weights" in model.provenance()["name"]
    one, same, other = (next(build(seed=seed)._network.parameters()) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_weights_are_read_from_a_state_dict_by_name_or_path_plain_or_wrapped(tmp_path, pictures, lively):
    model = build(weights=lively)
    state = model._network.state_dict()
    torch.save(state, tmp_path / "plain.pth")
    torch.save({"model": state, "epoch": 3}, tmp_path / "wrapped.pth")
    for name in ("plain.pth", "wrapped.pth"):
        loaded = build(weights=name, weights_dir=str(tmp_path))
        assert loaded.predict(pictures) == model.predict(pictures)
        assert loaded.provenance()["digest"] == digest(tmp_path / name)
        assert loaded.provenance()["name"] == f"{SMALL} ({name[:-4]})"
    with pytest.raises(ConfigError, match=r"no state dict of ssd300_vgg16 with 4 classes"):
        build(architecture="ssd300_vgg16", weights=str(tmp_path / "plain.pth"))


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_file_that_is_no_state_dict_is_refused_and_never_executed(tmp_path):
    torch.save({"model": _Touch(tmp_path / "touched")}, tmp_path / "evil.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"model": torch.zeros(3)}, tmp_path / "tensor.pth")
    (tmp_path / "text.pth").write_text("weights, honestly")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "list.pth").read_bytes()[:200])
    for name in ("evil", "list", "tensor", "text", "empty", "cut"):
        with pytest.raises(ConfigError, match=f"{name}.pth is no state dict"):
            build(weights=str(tmp_path / f"{name}.pth"))
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"architecture": "yolov8n"}, "no network 'yolov8n'"),
        ({"weights": "nothing.pth"}, "nothing.pth"),
        ({"conf": 2.0}, "conf is 2.0"),
        ({"max_det": 0}, "max_det is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"classes": {"cat": "car"}}, "no class 'cat'"),
        ({"categories": ["__background__", "zebra"]}, "no class of the weights"),
        ({"device": "cuda:77"}, "cuda:77"),
        ({"tracker": "sorted"}, "sorted"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        build(**settings)


def test_the_classes_of_coco_are_known_without_weights():
    model = build(categories=None, classes={"traffic light": "light"})
    assert sorted(set(model._classes.tolist())) == [-1, 0, 1, 2]


def test_tracking_is_memory(pictures):
    model = build(tracker="bytetrack")
    assert model.memory
    assert not build().memory
    clip = [Image(pictures[0].pixels, Item(f"f{i}", "clip.mp4", "clip", i)) for i in range(3)]
    first = model.predict(clip)
    model.forget("clip")
    assert [one for image in clip for one in model.predict([image])] == first
    boxes = Schema.from_config({"name": "boxes", "kinds": ["box"], "classes": {"car": {}}})
    with pytest.raises(ConfigError, match="has no tracks"):
        build(schema=boxes, tracker="bytetrack")


def test_pixels_of_another_type_are_refused(pictures):
    with pytest.raises(StageError, match="8-bit pictures"):
        build().predict([Image(pictures[0].pixels.astype(np.float32), pictures[0].item)])
