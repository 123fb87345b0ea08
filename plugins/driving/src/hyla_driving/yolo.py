"""Detect and segment with YOLO weights. The one module that imports ultralytics, which is AGPL-3.0; see torchvision_detector."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import geometry, heads, privacy
from hyla import weights as files
from hyla.errors import ConfigError, did_you_mean
from hyla.hooks import Model, hookimpl
from hyla.letterbox import Letterbox, Pixels, rgb
from hyla.schema import Schema
from hyla.tracking import Tracker
from hyla.types import Image, Kind, Labels
from hyla_driving import backends
from hyla_driving.backends import TASKS, Backend, Facts

SUFFIXES = (".pt", ".onnx")
# What a file that is no checkpoint raises, depending on how it is none.
BROKEN = (
    TypeError,
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    ImportError,
    AttributeError,
    LookupError,
    ValueError,
    OSError,
    AssertionError,
)


class Yolo(Model):
    """Find objects, and their masks, with a YOLO network of ultralytics, and follow them over the frames of a clip.

    Each picture is fitted into the network's input by itself (the smallest canvas in steps of the stride, as ultralytics does for
    a batch of one), and the network sees a constant number of pictures: labels do not depend on the batch. Weights are data: they
    are loaded without running code of theirs, and never downloaded.

    Args:
        schema: its classes get what the network finds, by their code in vocabulary `coco` or by name; what it lacks is dropped.
        weights: a .pt file of ultralytics, or an .onnx exported by it (raw or with suppression inside), by path or by name.
        weights_dir: folder in which a name is looked up.
        task: detect, segment, or auto for what the weights are made for.
        backend: torch, onnx, openvino, or auto for the fastest that is installed; an export is made once and kept.
        device: auto, cpu, cuda, cuda:N or mps.
        imgsz: longer side of the network's input in pixels, a multiple of its stride; weights of a fixed size have their own.
        conf: scores above it count, 0 to 1. 0.25 and the following are ultralytics' defaults for predictions.
        iou: of two overlapping boxes of one class by more than this, the better one stays, 0 to 1.
        max_det: labels of one picture, at most.
        classes: name that the network uses -> class of the schema, or null to drop it; goes before the codes.
        tracker: bytetrack, botsort, ocsort or none; see hyla.tracking.
        half: compute in half precision where the device can, which is faster and moves boxes by some pixels.
        threads: of the CPU; null for one per core.
        network_batch: pictures that the network sees together, constantly; null for 1 on a CPU and 8 on an accelerator.

    Raises:
        ConfigError: for weights that are missing, damaged, of another task or no network at all, for a backend or device that is
            not there, and for settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        weights: str = "yolov8n.pt",
        weights_dir: str | None = None,
        task: str = "auto",
        backend: str = "auto",
        device: str = "auto",
        imgsz: int = 640,
        conf: float = 0.25,
        iou: float = 0.7,
        max_det: int = 300,
        classes: Mapping[str, str | None] | None = None,
        tracker: str = "none",
        half: bool = False,
        threads: int | None = None,
        network_batch: int | None = None,
    ) -> None:
        _check(task, conf, iou, max_det, network_batch)
        privacy.offline()
        self.conf, self.iou, self.max_det = conf, iou, max_det
        self._tracker = Tracker(tracker, schema=schema)
        self.memory = self._tracker.memory
        self._path = files.find(weights, weights_dir)
        if self._path.suffix not in SUFFIXES:
            raise ConfigError(f"weights {self._path.name!r} are neither .pt nor .onnx", "give weights of ultralytics")
        self._digest = files.digest(self._path)
        name, chosen = backends.choose(backend, self._path, device)
        self._backend = self._open(name, chosen, half, threads, network_batch)
        facts = self._backend.facts
        _check_task(self._path, facts)
        if task not in ("auto", facts.task):
            raise ConfigError(f"weights {self._path.name!r} are for {facts.task!r}, not for task={task}", f"task={facts.task}")
        _check_kinds(schema, facts.task, self.memory)
        if imgsz < 1 or imgsz % facts.stride:
            near = max(round(imgsz / facts.stride), 1) * facts.stride
            raise ConfigError(f"imgsz is {imgsz}", f"it must be a multiple of {facts.stride}: imgsz={near}")
        self._target = facts.shape or (imgsz, imgsz)
        self._classes = heads.class_ids(schema, facts.names, classes or {})
        self._masks = self._prove()

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return boxes, or masks with segmentation weights, of each picture; evidence `margin` where the network tells it."""
        fits = [self._fit(one) for one in images]
        parts = _parts([fit.canvas for fit in fits], self._backend.batch)
        inputs = (_stack([fits[i].apply(rgb(images[i])) for i in part]) for part in parts)
        found: dict[int, Labels] = {}
        for part, outputs in zip(parts, self._backend.run(inputs), strict=True):
            for place, row in enumerate(part):
                if row not in found:  # the last one may be there several times
                    found[row] = self._labels([one[place] for one in outputs], fits[row])
        return [self._tracker.update(one.item, found[row], one) for row, one in enumerate(images)]

    @hookimpl
    def forget(self, group: str) -> None:
        """Free the tracks of `group`."""
        self._tracker.forget(group)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and sha256 of the weights, the task, and the backend with its version."""
        facts = self._backend.facts
        return {
            "name": self._path.stem,
            "digest": self._digest,
            "task": facts.task,
            "backend": backends.version(self._backend.name),
            **({"libraries": ", ".join(_versions())} if self._path.suffix == ".pt" else {}),
        }

    def _open(self, name: str, device: str, half: bool, threads: int | None, batch: int | None) -> Backend:
        path = self._path
        if path.suffix == ".pt":
            if name == "torch":
                return backends.Torch(*_load(path), device, half, threads, batch)
            path = backends.exported(path, self._digest, _versions())
            if path.is_file():
                with suppress(ConfigError):  # a kept export that is damaged is made again
                    return _start(name, path, half, threads, batch)
            module, facts = _load(self._path)
            module.model[-1].dynamic = True  # its anchors follow the input
            backends.export(module, facts, path)
        return _start(name, path, half, threads, batch)

    def _prove(self) -> int:
        """Run the network once on nothing, so that what it can't do shows before work starts; return its mask coefficients."""
        facts = self._backend.facts
        height, width = facts.shape or (2 * facts.stride, 2 * facts.stride)
        (outputs,) = self._backend.run([np.zeros((self._backend.batch, height, width, 3), dtype=np.uint8)])
        masks = outputs[1].shape[1] if facts.task == "segment" and len(outputs) > 1 and outputs[1].ndim == 4 else 0
        self._raw = heads.is_raw(outputs[0].shape, len(facts.names), masks)
        if self._raw is None or (facts.task == "segment") != bool(masks):
            shapes = ", ".join(str(one.shape) for one in outputs)
            raise ConfigError(f"weights {self._path.name!r} answer in a form that is not known: {shapes}", "export them anew")
        return masks

    def _fit(self, image: Image) -> Letterbox:
        facts = self._backend.facts
        height, width = image.size[-2:]
        return Letterbox.of((height, width), self._target, facts.stride, fixed=facts.shape is not None)

    def _labels(self, outputs: Sequence[npt.NDArray[np.float32]], fit: Letterbox) -> Labels:
        wanted = self._classes >= 0
        if self._raw:
            found = heads.raw(outputs[0], wanted, self.conf, self.iou, self.max_det)
        else:
            found = heads.suppressed(outputs[0], wanted, self.conf, self.max_det)
        boxes = fit.restore(found.box)
        evidence = {} if found.margin is None else {"margin": found.margin}
        labels = Labels.of(self._classes[found.index], boxes, score=np.clip(found.score, 0, 1), evidence=evidence)
        labels = labels[(labels.width > 0) & (labels.height > 0)]
        if not self._masks:
            return labels
        shapes = [geometry.encode(mask) for mask in heads.masks(found, outputs[1], fit, boxes)]
        rows = np.array([i for i, shape in enumerate(shapes) if geometry.rle_area(shape)], dtype=np.int64)
        return Labels.of(
            self._classes[found.index[rows]],
            score=np.clip(found.score[rows], 0, 1),
            kind=Kind.MASK,
            shape=[shapes[i] for i in rows],
            evidence={name: column[rows] for name, column in evidence.items()},
        )


def _parts(canvases: Sequence[tuple[int, int]], size: int) -> list[list[int]]:
    """Return rows of one canvas each, always `size` of them: the last row is repeated where there are too few."""
    parts = []
    for canvas in dict.fromkeys(canvases):
        rows = [i for i, one in enumerate(canvases) if one == canvas]
        parts += [rows[i : i + size] for i in range(0, len(rows), size)]
    return [part + part[-1:] * (size - len(part)) for part in parts]


def _stack(pictures: Sequence[Pixels]) -> Pixels:
    return pictures[0][None] if len(pictures) == 1 else np.stack(pictures)  # no copy of the one picture


def _start(name: str, path: Path, half: bool, threads: int | None, batch: int | None) -> Backend:
    return backends.OnnxRuntime(path, threads, batch) if name == "onnx" else backends.OpenVino(path, half, threads, batch)


def _check(task: str, conf: float, iou: float, max_det: int, batch: int | None) -> None:
    if task not in ("auto", *TASKS):
        raise ConfigError(f"there is no task {task!r}", did_you_mean(task, TASKS), ("auto", *TASKS))
    for name, value in (("conf", conf), ("iou", iou)):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name} is {value}", f"it must lie between 0 and 1: {name}=0.5")
    for name, number in (("max_det", max_det), ("network_batch", batch)):
        if number is not None and number < 1:
            raise ConfigError(f"{name} is {number}", "it must be at least 1")


def _check_task(path: Path, facts: Facts) -> None:
    if facts.task not in TASKS:
        raise ConfigError(f"weights {path.name!r} are for the task {facts.task!r}", "give weights that detect or segment", TASKS)


def _check_kinds(schema: Schema, task: str, tracks: bool) -> None:
    allowed = {*schema.kinds, *(kind for one in schema.classes for kind in one.kinds)}
    kind = "box" if task == "detect" else "mask"
    if kind not in allowed:
        raise ConfigError(
            f"the weights give a {kind} per object, which schema {schema.name!r} does not allow", f"add {kind} to schema.kinds"
        )
    if tracks and "track" not in schema.kinds:
        raise ConfigError(f"schema {schema.name!r} has no tracks", "add track to schema.kinds, or set model.tracker=none")


def _versions() -> list[str]:
    """Return the versions of what turns a checkpoint into a network, without importing it."""
    return [f"{name} {metadata.version(name)}" for name in ("ultralytics", "torch")]


def _load(path: Path) -> tuple[Any, Facts]:
    """Return the network of a checkpoint, fused and ready to answer, and its facts.

    Only tensors and the known classes of torch and ultralytics are rebuilt: a checkpoint that names anything else is refused.

    Raises:
        ConfigError: for a file that is no checkpoint of ultralytics, truncated, or of no known task.
    """
    tasks = _ultralytics()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the form of files that are refused below
            checkpoint, _ = tasks.torch_safe_load(str(path), safe_only=True)
        module = (checkpoint.get("ema") or checkpoint["model"]).float().eval()
        task = getattr(module, "task", None) or tasks.guess_model_task(module)
        names = tuple(str(module.names[i]) for i in range(len(module.names)))
        facts = Facts(str(task), names, max(int(module.stride.max()), 32))
    except BROKEN as error:
        raise ConfigError(
            f"{path.name} is no YOLO checkpoint of ultralytics that can be read", f"is the file complete? {_first_line(error)}"
        ) from error
    _check_task(path, facts)
    module = module.fuse(verbose=False)
    module.requires_grad_(False)
    module.model[-1].export = True  # answer with the predictions alone
    return module, facts


def _first_line(error: BaseException) -> str:
    return f"({type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0][:200]})"


def _ultralytics() -> Any:
    """Import ultralytics with everything off that sends, and undo what its import does to this process and its children."""
    privacy.offline()
    import torch  # noqa: F401  (first, so that it starts with all threads: ultralytics sets OMP_NUM_THREADS=1)
    from PIL import Image as Pillow

    before, opener = os.environ.get("OMP_NUM_THREADS"), Pillow.open
    try:
        from ultralytics import settings
        from ultralytics.nn import tasks
    except ImportError as error:
        raise ConfigError("yolo needs ultralytics", "pip install ultralytics, or choose model=torchvision") from error
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        Pillow.open = opener  # theirs pip installs a reader for a file that is no picture
    off = {name: False for name in ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "wandb") if settings.get(name)}
    if off:
        settings.update(off)  # type: ignore[no-untyped-call]
    return tasks
