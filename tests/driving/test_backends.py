"""Backends: the choice, the export and its cache, and that answers do not depend on neighbours."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hyla.errors import ConfigError
from hyla_driving import backends
from hyla_driving.backends import Facts, OnnxRuntime, OpenVino, Torch, choose, export, exported

PT, ONNX = Path("weights.pt"), Path("weights.onnx")


@pytest.fixture
def installed(monkeypatch):
    """Pretend that only these packages are installed."""

    def pretend(*names: str) -> None:
        monkeypatch.setattr(backends, "find_spec", lambda name: name if name in names else None)

    return pretend


@pytest.mark.parametrize(
    ("there", "weights", "got"),
    [
        (["openvino", "onnx", "onnxruntime"], PT, "openvino"),
        (["openvino"], PT, "torch"),  # nothing to export with
        (["onnx", "onnxruntime"], PT, "torch"),
        (["openvino", "onnxruntime"], ONNX, "onnx"),
        (["openvino"], ONNX, "openvino"),
    ],
)
def test_auto_takes_the_fastest_that_is_installed(installed, there, weights, got):
    installed(*there)
    assert choose("auto", weights, "cpu") == (got, "cpu")


def test_auto_takes_torch_on_an_accelerator(installed, monkeypatch):
    installed("openvino", "onnx")
    monkeypatch.setattr(backends.devices, "pick", lambda device: "cuda" if device == "auto" else device)
    assert choose("auto", PT, "auto") == ("torch", "cuda")
    assert choose("torch", PT, "cuda:1") == ("torch", "cuda:1")
    assert choose("openvino", PT, "auto") == ("openvino", "cpu")
    with pytest.raises(ConfigError, match="runs on a CPU"):
        choose("openvino", PT, "cuda:1")


@pytest.mark.parametrize(
    ("backend", "weights", "says"),
    [
        ("tensorrt", PT, "no backend 'tensorrt'"),
        ("onnx", PT, "needs onnxruntime"),
        ("openvino", PT, "needs openvino"),
        ("auto", ONNX, "needs onnxruntime"),
        ("torch", ONNX, "can't run"),
    ],
)
def test_what_is_not_there_is_refused_naming_what_to_install(installed, backend, weights, says):
    installed()
    with pytest.raises(ConfigError, match=says) as caught:
        choose(backend, weights, "cpu")
    assert caught.value.hint or caught.value.choices
    if "needs" in says:
        assert "pip install 'hyla-driving[" in caught.value.hint


def test_the_place_of_an_export_follows_the_content_of_the_weights_and_the_versions():
    places = {exported(Path("a.pt"), digest, versions) for digest in ("1", "2") for versions in (["torch 1"], ["torch 2"])}
    assert len(places) == 4
    assert exported(Path("a.pt"), "1", ["torch 1"]) in places


def test_version_names_the_library():
    assert backends.version("torch") == f"torch {metadata.version('torch')}"


def test_exporting_without_onnx_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ConfigError, match="needs onnx") as caught:
        export(None, Facts("detect", ("car",)), tmp_path / "x.onnx")
    assert "hyla-driving[openvino]" in caught.value.hint


@pytest.mark.skipif(find_spec("onnx") is None, reason="onnx is not installed")
def test_an_export_that_fails_leaves_nothing_behind(tmp_path):
    import torch

    class Fails(torch.nn.Module):
        def forward(self, images):
            raise RuntimeError("no such operator")

    with pytest.raises(ConfigError, match="no such operator"):
        export(Fails(), Facts("detect", ("car",)), tmp_path / "x.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="session")
def small(tmp_path_factory, yolo_weights):
    """Return the path of a small exported network, its module in torch, and its facts."""
    pytest.importorskip("onnx")
    from hyla_driving.yolo import _load

    module, facts = _load(yolo_weights / "detect.pt")
    module.model[-1].dynamic = True
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    export(module, facts, path)
    return path, module, facts


def answer(backend, *inputs: np.ndarray) -> np.ndarray:
    """Return the first output for the last of `inputs`."""
    return list(backend.run(inputs))[-1][0]


@pytest.fixture
def pictures():
    return np.random.default_rng(3).integers(0, 256, (5, 96, 128, 3), dtype=np.uint8)


EXPORTED = [
    pytest.param(OnnxRuntime, marks=pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed")),
    pytest.param(OpenVino, marks=pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")),
]


@pytest.mark.parametrize("cls", EXPORTED)
def test_an_export_carries_its_facts_and_answers_as_torch_does(cls, small, pictures):
    # 0.05 px: random weights magnify rounding; real ones agree to 0.001 px, see test_yolo
    path, module, facts = small
    backend, reference = cls(path), Torch(module, facts, "cpu")
    assert backend.facts == facts
    assert backend.batch == reference.batch == 1
    for picture in pictures[:2]:
        np.testing.assert_allclose(answer(backend, picture[None]), answer(reference, picture[None]), atol=0.05)
    other = pictures[:1, :64, :96]
    np.testing.assert_allclose(answer(backend, other), answer(reference, other), atol=0.05)


@pytest.mark.parametrize("cls", [Torch, *EXPORTED])
def test_answers_do_not_depend_on_the_other_pictures_or_the_place_or_the_threads(cls, small, pictures):
    path, module, facts = small

    def build(**settings):
        return Torch(module, facts, "cpu", **settings) if cls is Torch else cls(path, **settings)

    three = build(batch=3, threads=2)
    assert three.batch == 3
    first, turned = answer(three, pictures[:3]), answer(three, pictures[[4, 2, 0]])
    assert np.array_equal(first[0], turned[2])
    assert np.array_equal(first[2], turned[1])
    if cls is not Torch:  # whose last bits differ from one thread to two
        assert np.array_equal(answer(build(threads=1), pictures[:1]), answer(build(threads=2), pictures[:1]))
    many = [outputs[0] for outputs in build(threads=2).run(one[None] for one in pictures)]  # none overwrites another
    assert all(np.array_equal(got, answer(build(threads=2), one[None])) for got, one in zip(many, pictures, strict=True))


@pytest.mark.parametrize("cls", EXPORTED)
def test_a_damaged_file_is_refused(cls, small, tmp_path):
    whole = small[0].read_bytes()
    for name, data in {"cut": whole[: len(whole) // 3], "empty": b"", "text": b"no network at all"}.items():
        (tmp_path / f"{name}.onnx").write_bytes(data)
        with pytest.raises(ConfigError, match=f"{name}.onnx is no"):
            cls(tmp_path / f"{name}.onnx")


@pytest.mark.parametrize("cls", EXPORTED)
def test_an_onnx_that_is_no_yolo_is_refused(cls, tmp_path):
    import torch

    onnx = pytest.importorskip("onnx")
    export(torch.nn.Conv2d(3, 8, 3), Facts("detect", ("car",)), tmp_path / "conv.onnx")
    model = onnx.load(tmp_path / "conv.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "conv.onnx")
    with pytest.raises(ConfigError, match="no task and no classes"):
        cls(tmp_path / "conv.onnx")


@pytest.mark.parametrize("cls", EXPORTED)
def test_a_file_of_a_fixed_size_says_so_and_refuses_another_batch(cls, small, tmp_path):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(small[0])
    for dim, value in zip(model.graph.input[0].type.tensor_type.shape.dim, (2, 3, 96, 128), strict=True):
        dim.dim_value = value
    onnx.save(model, tmp_path / "fixed.onnx")
    backend = cls(tmp_path / "fixed.onnx")
    assert (backend.batch, backend.facts.shape) == (2, (96, 128))
    with pytest.raises(ConfigError, match="batches of 2, not 4"):
        cls(tmp_path / "fixed.onnx", batch=4)


def test_torch_keeps_a_constant_batch_on_an_accelerator_and_does_not_race_algorithms():
    import torch

    backend = Torch(torch.nn.Conv2d(3, 4, 3), Facts("detect", ("car",)), "cpu", half=True)
    assert not backend.half  # a CPU computes in full
    assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.deterministic
    assert answer(backend, np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 4, 6, 6)


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_openvino_computes_in_float32_unless_half_is_asked_for(small):
    assert OpenVino(small[0])._network.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert OpenVino(small[0], threads=1)._network.get_property("INFERENCE_NUM_THREADS") == 1


@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_a_signal_is_heard_when_a_network_of_several_is_gone(small):
    program = f"""
import signal
from pathlib import Path
from hyla_driving.backends import OpenVino
one = OpenVino(Path({str(small[0])!r}))
other = OpenVino(Path({str(small[0])!r}))
del one
del other
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
signal.raise_signal(signal.SIGINT)
assert heard
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)


def test_an_export_is_the_same_content_for_the_same_weights(small, tmp_path):
    path, module, facts = small
    export(module, facts, tmp_path / "again.onnx")
    assert sha256((tmp_path / "again.onnx").read_bytes()).digest() == sha256(path.read_bytes()).digest()
