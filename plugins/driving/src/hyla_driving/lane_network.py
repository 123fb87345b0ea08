"""Let a trained lane network, from a local file, take the place of the contrast that `lanes` looks for."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla import weights as files
from hyla.errors import ConfigError, StageError, did_you_mean
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Image, Labels
from hyla_driving import markings
from hyla_driving.lanes import Writer, vanishing_point

Map = npt.NDArray[np.float32]
Network = Callable[[Map], list[npt.NDArray[Any]]]  # (1, 3, H, W) -> outputs
SUFFIXES = (".onnx", ".pt", ".torchscript", ".ts")
ACTIVATIONS = ("none", "sigmoid", "softmax")


class LaneNetwork(Model):
    """Label lanes where a network says that a lane is, as polylines from near to far, each picture on its own.

    The network answers with a map: the probability of a lane, (H, W) or (1, H, W), or one map for each class, (C, H, W), of which
    `background` is none and all others are lanes. Curves are fitted to the map as `lanes.Lanes` fits them to contrast, and a
    curve's score is what that gives times the map's mean along it. Whether a line is dashed a map does not tell: `marking` is
    unknown.

    ONNX files run by ONNX Runtime where it is installed, by OpenCV otherwise, on the CPU. TorchScript files (the older way: torch
    calls it deprecated) run by torch. Neither is a pickle that may run any Python, but a TorchScript file is still a program of
    its own; take ONNX for files from others.

    Args:
        weights: file of weights, or its name in `weights_dir`; never downloaded.
        schema: has the class, and says whether the attributes `marking` and `position` are wanted.
        weights_dir: folder in which weights are found by name; see hyla.weights.
        class_name: class of the labels.
        threshold: least score, from 0 to 1.
        probability: of a pixel from which it belongs to a lane, from 0 to 1.
        size: (height, width) in pixels that the network takes; None for what an ONNX file says. The picture is stretched to it.
        mean, std: of red, green and blue from 0 to 1, subtracted and divided by. The defaults are those of ImageNet, which most
            networks of segmentation are trained with; (0, 0, 0) and (1, 1, 1) where the network wants 0 to 1.
        output: which of several outputs is the map, counted from 0.
        background: which class is no lane; None if all of them are.
        activation: what turns the network's answers into probabilities: none, sigmoid or softmax (over classes).
        horizon: share of the picture's height at which a horizon is expected.
        lane_width: least and most distance of neighbouring lines in heights of the camera above the road.
        device: auto, cpu, cuda, cuda:N or mps, for TorchScript.
        threads: that ONNX Runtime computes with; None for one per core.

    Raises:
        ConfigError: when the file is missing or no such network, or for a setting out of range.
    """

    partial = True

    def __init__(
        self,
        weights: str,
        schema: Schema | None = None,
        weights_dir: str | None = None,
        class_name: str = "lane",
        threshold: float = 0.3,
        probability: float = 0.5,
        size: Sequence[int] | None = None,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        output: int = 0,
        background: int | None = 0,
        activation: str = "none",
        horizon: float = 0.42,
        lane_width: Sequence[float] = (1.3, 4.2),
        device: str = "auto",
        threads: int | None = None,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ConfigError(f"unknown activation {activation!r}", did_you_mean(activation, ACTIVATIONS), ACTIVATIONS)
        if not 0 < probability < 1 or not 0 <= threshold <= 1:
            raise ConfigError(f"lane_network needs 0 < probability < 1 and threshold 0 to 1, got {probability}, {threshold}")
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ConfigError(f"lane_network needs mean and std of three colours, std above 0, got {list(mean)}, {list(std)}")
        self.path = files.find(weights, weights_dir)
        self.writer = Writer(schema, class_name, threshold, see_gaps=False)
        self.probability, self.activation, self.background, self.output = probability, activation, background, output
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)
        self.horizon = horizon
        self.lane_width = (float(lane_width[0]), float(lane_width[1]))
        self._network, fixed = load(self.path, device, threads)
        if size is None and fixed is None:
            raise ConfigError(f"{self.path.name} does not say what size it takes", "give size=[height,width]")
        self.size = fixed if size is None else (int(size[0]), int(size[1]))
        self._digest = files.digest(self.path)
        try:
            self.map(np.zeros((*self.size, 3), np.uint8))  # type: ignore[misc]
        except StageError as error:
            raise ConfigError(f"{self.path.name}: {error.what}", error.hint) from error

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the lanes of each picture."""
        return [self._predict(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the file and the sha256 of what is in it."""
        return {"name": self.path.name, "digest": self._digest}

    def map(self, pixels: markings.Pixels) -> Map:
        """Return the probability (h, w), from 0 to 1, of a lane at each place of a picture (H, W, 3), as fine as the network's.

        Raises:
            StageError: when the network can't take the picture or its answer is no such map.
        """
        assert self.size is not None
        resized = cv2.resize(pixels, self.size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
        batch: Map = np.ascontiguousarray(((resized - self.mean) / self.std).transpose(2, 0, 1)[None], dtype=np.float32)
        outputs = self._network(batch)
        if self.output >= len(outputs):
            raise StageError(f"it has {len(outputs)} output(s), output {self.output} was asked for", "count outputs from 0")
        answer = np.asarray(outputs[self.output], dtype=np.float32)
        while answer.ndim > 3 and answer.shape[0] == 1:
            answer = answer[0]
        answer = answer[None] if answer.ndim == 2 else answer
        if answer.ndim != 3 or min(answer.shape[1:]) < 8:
            raise StageError(
                f"its output of shape {answer.shape} is no map (H, W) nor maps (C, H, W)", "choose another: output=1"
            )
        return self._probability(answer)

    def _probability(self, answer: Map) -> Map:
        if self.activation == "sigmoid":
            answer = np.reciprocal(1 + np.exp(-np.clip(answer, -60, 60)))
        elif self.activation == "softmax":
            power = np.exp(answer - answer.max(axis=0))
            answer = power / power.sum(axis=0)
        if not (np.isfinite(answer).all() and answer.min() >= -0.01 and answer.max() <= 1.01):
            raise StageError(
                f"its answers of {answer.min():.3g} to {answer.max():.3g} are no probabilities",
                "set activation to sigmoid or softmax",
            )
        if len(answer) == 1 or self.background is None:
            return np.asarray(answer.max(axis=0), dtype=np.float32)
        if not 0 <= self.background < len(answer):
            raise StageError(f"it has {len(answer)} classes, background {self.background} was asked for")
        return np.asarray(np.delete(answer, self.background, axis=0).max(axis=0), dtype=np.float32)

    def _predict(self, image: Image) -> Labels:
        height, width = image.pixels.shape[:2]
        scale = min(1.0, 960 / width)
        size = (round(height * scale), round(width * scale))
        if image.volume or min(size) < 48:
            return Labels.empty()
        lane = cv2.resize(self.map(markings.rgb8(image)), size[::-1], interpolation=cv2.INTER_LINEAR)
        mask = (lane >= self.probability).astype(np.uint8)
        marks = markings.cuts(mask)
        vanishing = vanishing_point(mask, marks, (0.5 * size[1], self.horizon * size[0]))
        if vanishing is None:
            return Labels.empty()
        stretch = (height / size[0], width / size[1])
        labels = self.writer.labels(marks, vanishing, size, stretch, self.lane_width)
        for i, line in enumerate(labels.shape):
            column, row = np.minimum(line / stretch[::-1], (size[1] - 1, size[0] - 1)).astype(int).T
            labels.score[i] *= min(1.0, float(lane[row, column].mean()))
        return labels[labels.score >= self.writer.threshold]


def load(path: Path, device: str, threads: int | None) -> tuple[Network, tuple[int, int] | None]:
    """Return a function that runs the network on (1, 3, H, W), and the (height, width) it takes, where the file says so.

    Raises:
        ConfigError: when the file can't be loaded.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"lane_network can't run {path.name}", "give an ONNX file, or TorchScript", SUFFIXES)
    try:
        if path.suffix != ".onnx":
            return _torchscript(path, device), None
        return _onnxruntime(path, threads) if find_spec("onnxruntime") else (_opencv(path), None)
    except ConfigError:
        raise
    except Exception as error:  # the libraries' own exceptions have no common base
        raise ConfigError(f"{path} can't be loaded: {_first_line(error)}", "is it complete, and what its name says?") from error


def _onnxruntime(path: Path, threads: int | None) -> tuple[Network, tuple[int, int] | None]:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = devices.threads(threads)
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    taken = session.get_inputs()[0]
    sides = taken.shape[2:] if len(taken.shape) == 4 else []
    fixed = (sides[0], sides[1]) if len(sides) == 2 and all(isinstance(side, int) for side in sides) else None

    def network(batch: Map) -> list[npt.NDArray[Any]]:
        return list(_answer(lambda: session.run(None, {taken.name: batch})))

    return network, fixed


def _opencv(path: Path) -> Network:
    net = cv2.dnn.readNetFromONNX(str(path))
    names = net.getUnconnectedOutLayersNames()

    def network(batch: Map) -> list[npt.NDArray[Any]]:
        net.setInput(batch)
        return list(_answer(lambda: net.forward(names)))

    return network


def _torchscript(path: Path, device: str) -> Network:
    import torch

    place = devices.pick(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that TorchScript is deprecated: the class says so
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(str(path), map_location=place).eval()  # type: ignore[no-untyped-call]

    def network(batch: Map) -> list[npt.NDArray[Any]]:
        with torch.inference_mode():
            answer = _answer(lambda: module(torch.from_numpy(batch).to(place)))
        return [one.float().cpu().numpy() for one in (answer if isinstance(answer, (tuple, list)) else [answer])]

    return network


def _answer(run: Callable[[], Any]) -> Any:
    """Return what the network answers; memory that runs out stays what it is, so that the batch is tried again in halves."""
    try:
        return run()
    except Exception as error:  # the libraries' own exceptions have no common base
        if devices.is_oom(error):
            raise
        raise StageError(
            f"the network fails: {_first_line(error)}", "does it take pictures of this size? size=[height,width]"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
