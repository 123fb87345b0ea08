"""Lane networks: tiny ones that know a lane by its brightness, made here, as ONNX and TorchScript."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
from omegaconf import OmegaConf
from onnx import TensorProto, helper, numpy_helper

import hyla_driving
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Image, Item, Kind
from hyla_driving import lane_network
from hyla_driving.lane_network import LaneNetwork

PLAIN = {"mean": (0, 0, 0), "std": (1, 1, 1)}


def image(pixels, name="road"):
    return Image(pixels, Item(name, f"{name}.png"))


def picture(sides=(-1.2, 1.3), size=(270, 480), vp=(240, 120)):
    """Return a dark picture with bright lines of 0.2 camera heights' width."""
    pixels = np.full((*size, 3), 60, np.uint8)
    for row in range(vp[1] + 3, size[0]):
        for side in sides:
            centre, half = vp[0] + side * (row - vp[1]), max(1.0, 0.1 * (row - vp[1]))
            a, b = round(centre - half), round(centre + half)
            if b > 0 and a < size[1]:
                pixels[row, max(a, 0) : b] = 250
    return pixels


def save(path, classes=1, activation="Sigmoid", size=(135, 240)):
    """Write a network: 40 * (mean of the colours - 0.7), for class 0 of two the negative of it, then the activation."""
    gain = np.array([40.0] if classes == 1 else [-20.0, 20.0], np.float32)
    kernel = np.repeat(gain[:, None] / 3, 3, axis=1).reshape(classes, 3, 1, 1).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "kernel", "bias"], ["z"])]
    last = "z"
    if activation:
        nodes.append(helper.make_node(activation, ["z"], ["y"], **({"axis": 1} if activation == "Softmax" else {})))
        last = "y"
    graph = helper.make_graph(
        nodes,
        "lane",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, *size])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, classes, *size])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(-0.7 * gain, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def torchscript(path):
    import torch

    class Bright(torch.nn.Module):
        def forward(self, x):
            return torch.sigmoid(40 * (x.mean(1, keepdim=True) - 0.7))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Bright()).save(str(path))
    return path


def right(labels):
    assert labels.attributes["position"].tolist() == ["ego_left", "ego_right"]
    assert labels.attributes["marking"].tolist() == ["unknown", "unknown"]
    assert (labels.kind == Kind.POLYLINE).all()
    assert ((labels.score > 0.3) & (labels.score <= 1)).all()
    for line, side in zip(labels.shape, (-1.2, 1.3), strict=True):
        assert np.abs(line[:, 0] - (240 + side * (line[:, 1] - 120))).max() < 5
    return labels


def test_an_onnx_network_with_one_map(tmp_path):
    model = LaneNetwork(str(save(tmp_path / "one.onnx")), **PLAIN)
    assert model.size == (135, 240)
    right(model.predict([image(picture())])[0])
    assert len(model.predict([image(np.full((270, 480, 3), 60, np.uint8))])[0]) == 0


@pytest.mark.parametrize(("saved", "asked"), [("Softmax", "none"), ("", "softmax")])
def test_an_onnx_network_with_classes(tmp_path, saved, asked):
    path = save(tmp_path / "two.onnx", 2, saved)
    right(LaneNetwork(str(path), activation=asked, **PLAIN).predict([image(picture())])[0])


def test_the_same_by_opencv(tmp_path, monkeypatch):
    path = save(tmp_path / "one.onnx")
    expected = LaneNetwork(str(path), **PLAIN).map(picture())
    monkeypatch.setattr(lane_network, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="does not say what size"):
        LaneNetwork(str(path), **PLAIN)
    model = LaneNetwork(str(path), size=[135, 240], **PLAIN)
    assert np.allclose(model.map(picture()), expected, atol=1e-5)
    right(model.predict([image(picture())])[0])


@pytest.mark.filterwarnings("default::FutureWarning")
def test_torchscript(tmp_path):
    path = torchscript(tmp_path / "bright.ts")
    with pytest.raises(ConfigError, match="does not say what size"):
        LaneNetwork(str(path), device="cpu", **PLAIN)
    right(LaneNetwork(str(path), size=(135, 240), device="cpu", **PLAIN).predict([image(picture())])[0])


def test_labels_do_not_depend_on_the_batch(tmp_path):
    model = LaneNetwork(str(save(tmp_path / "one.onnx")), **PLAIN)
    pictures = [image(picture(), "a"), image(picture((-3, -1, 1)), "b"), image(picture((1.5,), (300, 500)), "c")]
    together = model.predict(pictures)
    assert together == [model.predict([one])[0] for one in pictures]
    assert together[1].attributes["position"].tolist() == ["left", "ego_left", "ego_right"]


def test_a_weak_map_lowers_the_score(tmp_path):
    path = str(save(tmp_path / "one.onnx"))
    strong = LaneNetwork(path, **PLAIN).predict([image(picture())])[0]
    dim = picture()
    dim[dim == 250] = 182  # 40 * (0.714 - 0.7): a probability of 0.63
    weak = LaneNetwork(path, **PLAIN).predict([image(dim)])[0]
    assert (weak.score < 0.75 * strong.score).all()


def test_weights_are_found_by_name_and_named_in_the_provenance(tmp_path):
    path = save(tmp_path / "one.onnx")
    facts = LaneNetwork("one.onnx", weights_dir=str(tmp_path), **PLAIN).provenance()
    assert facts == {"name": "one.onnx", "digest": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_missing_or_wrong_files_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("HYLA_WEIGHTS", raising=False)
    with pytest.raises(ConfigError, match="no such file") as caught:
        LaneNetwork("lane.onnx", weights_dir=str(tmp_path))
    assert "model needs weights 'lane.onnx'" in str(caught.value)
    assert "choose a model= that needs none" in str(caught.value)
    for name in ("broken.onnx", "broken.ts"):
        (tmp_path / name).write_bytes(b"not a network")
        with pytest.raises(ConfigError, match="can't be loaded"):
            LaneNetwork(str(tmp_path / name), size=(32, 32), device="cpu")
    (tmp_path / "lane.pkl").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"can't run lane\.pkl"):
        LaneNetwork(str(tmp_path / "lane.pkl"))


def test_a_network_that_gives_no_map_fails_before_work_starts(tmp_path):
    with pytest.raises(ConfigError, match="no probabilities"):
        LaneNetwork(str(save(tmp_path / "logits.onnx", 2, "")), **PLAIN)
    with pytest.raises(ConfigError, match=r"has 1 output\(s\), output 3"):
        LaneNetwork(str(save(tmp_path / "one.onnx")), output=3, **PLAIN)
    with pytest.raises(ConfigError, match="background 5"):
        LaneNetwork(str(save(tmp_path / "two.onnx", 2, "Softmax")), background=5, **PLAIN)
    with pytest.raises(ConfigError, match="the network fails"):
        LaneNetwork(str(save(tmp_path / "one.onnx")), size=(64, 64), **PLAIN)


@pytest.mark.parametrize(
    "bad", [{"activation": "relu"}, {"probability": 0}, {"threshold": 1.5}, {"std": (0, 1, 1)}, {"mean": (0,)}]
)
def test_settings_are_checked(tmp_path, bad):
    with pytest.raises(ConfigError):
        LaneNetwork(str(save(tmp_path / "one.onnx")), **bad)


def test_the_schema_says_what_is_wanted(tmp_path):
    schema = Schema.from_config({"name": "plain", "classes": {"car": {}, "lane": {"kinds": ["polyline"]}}})
    labels = LaneNetwork(str(save(tmp_path / "one.onnx")), schema, **PLAIN).predict([image(picture())])[0]
    schema.check(labels, (270, 480))
    assert labels.class_id.tolist() == [1, 1]


def test_the_yaml_holds_the_defaults():
    path = Path(hyla_driving.__file__).parent / "conf" / "model" / "lane_network.yaml"
    conf = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    assert conf.pop("_target_") == "hyla_driving.lane_network.LaneNetwork"
    assert conf.pop("weights") == "???"
    assert (conf.pop("weights_dir"), conf.pop("device")) == ("${weights_dir}", "${device}")
    defaults = {name: p.default for name, p in inspect.signature(LaneNetwork.__init__).parameters.items()}
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in conf.items()} == {k: defaults[k] for k in conf}
