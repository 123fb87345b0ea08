"""Detect products with YOLO weights. The one module that imports ultralytics, which is AGPL-3.0; see torchvision_detector."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla import geometry, privacy
from hyla import weights as files
from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.schema import Schema
from hyla_retail.sliced import Found, Sliced

Pixels = npt.NDArray[np.uint8]
GREY = (114, 114, 114)  # the padding that YOLO networks were trained with
STRIDE = 32
# What a file that is no checkpoint raises, depending on how it is none.
BROKEN = (
    *(TypeError, RuntimeError, EOFError, pickle.UnpicklingError, ImportError, AttributeError),
    *(LookupError, ValueError, OSError, AssertionError),
)


class Yolo(Sliced):
    """Find products with a YOLO network of ultralytics, tile by tile.

    Every tile is fitted into the same square, and the network always sees the same number of tiles, so that labels do not depend
    on the batch. Weights are data: they are loaded without running code of theirs, and never downloaded.

    Args:
        schema: has the class `product`; see `hyla_retail.sliced.class_ids` for what the classes of the weights become.
        weights: a .pt file of ultralytics that detects, by path or by name.
        weights_dir: folder in which a name is looked up.
        device: auto, cpu, cuda, cuda:N or mps.
        imgsz: side of the network's input in pixels, a multiple of 32.
        tile: side of a tile, pixels of the photo: tile = imgsz shows packs as they are, a larger one reduces them.
        overlap: of neighbouring tiles, share of a side.
        conf: scores above it count, 0 to 1.
        iou: of two boxes that overlap by more, the better one stays, 0 to 1.
        max_det: labels of one photo, at most; a dense shelf has several hundred facings.
        classes: name that the weights use -> class of the schema, or null to drop it.
        half: compute in half precision on cuda and mps.
        threads: of the CPU; null for one per core.
        network_batch: tiles that the network sees together, constantly; null for 1 on a CPU and 8 on an accelerator.

    Raises:
        ConfigError: for weights that are missing, damaged or of another task, and for settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        weights: str = "yolov8n.pt",
        weights_dir: str | None = None,
        device: str = "auto",
        imgsz: int = 640,
        tile: int = 1024,
        overlap: float = 0.2,
        conf: float = 0.25,
        iou: float = 0.6,
        max_det: int = 1000,
        classes: Mapping[str, str | None] | None = None,
        half: bool = False,
        threads: int | None = None,
        network_batch: int | None = None,
    ) -> None:
        self.check(tile, overlap, conf, iou, max_det)
        if imgsz < STRIDE or imgsz % STRIDE:
            raise ConfigError(f"imgsz is {imgsz}", f"it must be a multiple of {STRIDE}: imgsz=640")
        if network_batch is not None and network_batch < 1:
            raise ConfigError(f"network_batch is {network_batch}", "it must be at least 1")
        privacy.offline()
        self._path = files.find(weights, weights_dir)
        if self._path.suffix != ".pt":
            raise ConfigError(f"weights {self._path.name!r} are no .pt file", "give weights of ultralytics")
        self._digest = files.digest(self._path)
        self.device, self.imgsz, self.half = devices.pick(device), imgsz, half
        self._batch = network_batch or (1 if self.device == "cpu" else 8)
        self._network, names = _load(self._path)
        super().__init__(schema, names, classes or {}, tile, overlap, conf, iou, max_det)
        devices.set_threads(threads)
        self._network.to(self.device)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and sha256 of the weights, and the libraries that ran them."""
        libraries = ", ".join(f"{name} {metadata.version(name)}" for name in ("ultralytics", "torch"))
        return {"name": self._path.stem, "digest": self._digest, "task": "detect", "libraries": libraries}

    def detect(self, crops: Sequence[Pixels]) -> list[Found]:
        """Return what the network finds in each of `crops` (h, w, 3) RGB."""
        out: list[Found] = []
        for start in range(0, len(crops), self._batch):
            part = list(crops[start : start + self._batch])
            canvases = [self._canvas(crop) for crop in part + part[-1:] * (self._batch - len(part))]
            raw = self._run(np.stack(canvases))
            out += [self._found(one, crop) for one, crop in zip(raw[: len(part)], part, strict=True)]
        return out

    def _fit(self, crop: Pixels) -> tuple[float, int, int]:
        """Return the scale of a crop, and its height and width on the canvas."""
        height, width = crop.shape[:2]
        scale = self.imgsz / max(height, width)
        return scale, max(round(height * scale), 1), max(round(width * scale), 1)

    def _canvas(self, crop: Pixels) -> Pixels:
        _, height, width = self._fit(crop)
        how = cv2.INTER_AREA if height < crop.shape[0] else cv2.INTER_LINEAR
        fitted = cv2.resize(crop, (width, height), interpolation=how)
        below, right = self.imgsz - height, self.imgsz - width
        return np.asarray(cv2.copyMakeBorder(fitted, 0, below, 0, right, cv2.BORDER_CONSTANT, value=GREY), dtype=np.uint8)

    def _run(self, canvases: Pixels) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode(), devices.autocast(self.device, self.half):
            given = torch.from_numpy(canvases).to(self.device).permute(0, 3, 1, 2).float() / 255
            answer = self._network(given)
            answer = answer[0] if isinstance(answer, (tuple, list)) else answer
            return np.asarray(answer.float().cpu().numpy(), dtype=np.float32)

    def _found(self, raw: npt.NDArray[np.float32], crop: Pixels) -> Found:
        """Read a raw answer (4 + classes, anchors), or one with suppression inside (rows, 6)."""
        if raw.shape[0] == 4 + len(self._ids):
            scores = np.where(self._ids[:, None] >= 0, raw[4:], 0)  # a pack that looks a bit like a dog is a pack
            index = scores.argmax(axis=0)
            score = scores[index, np.arange(len(index))]
            half = raw[2:4].T / 2
            box = np.concatenate([raw[:2].T - half, raw[:2].T + half], axis=1)
        else:
            box, score, index = raw[:, :4], raw[:, 4], raw[:, 5].astype(np.int64)
        rows = np.flatnonzero(score > self.conf)
        rows = rows[np.argsort(-score[rows], kind="stable")][: 10 * self.max_det]
        kept = rows[geometry.nms(box[rows], score[rows], np.zeros(len(rows), np.int64), self.iou)]
        limit = np.tile(np.array(crop.shape[1::-1], dtype=np.float64), 2)
        own = np.clip(box[kept].astype(np.float64) / self._fit(crop)[0], 0, limit)
        return Found(own, score[kept].astype(np.float64), index[kept].astype(np.int64))


def _load(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Return the network of a checkpoint, fused and ready to answer, and the names of its classes.

    Only tensors and the known classes of torch and ultralytics are rebuilt: a checkpoint that names anything else is refused.

    Raises:
        ConfigError: for a file that is no checkpoint of ultralytics, truncated, or of another task.
    """
    tasks = _ultralytics()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on the form of files that are refused below
            checkpoint, _ = tasks.torch_safe_load(str(path), safe_only=True)
        module = (checkpoint.get("ema") or checkpoint["model"]).float().eval()
        task = str(getattr(module, "task", None) or tasks.guess_model_task(module))
        names = tuple(str(module.names[i]) for i in range(len(module.names)))
    except BROKEN as error:
        reason = (str(error).strip() or "no message").splitlines()[0][:200]
        raise ConfigError(
            f"{path.name} is no YOLO checkpoint of ultralytics that can be read",
            f"is the file complete? ({type(error).__name__}: {reason})",
        ) from error
    if task != "detect":
        raise ConfigError(f"weights {path.name!r} are for the task {task!r}", "give weights that detect")
    module = module.fuse(verbose=False)
    module.requires_grad_(False)
    module.model[-1].export = True  # answer with the predictions alone
    return module, names


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
        raise ConfigError("retail_yolo needs ultralytics", "pip install ultralytics, or choose retail_torchvision") from error
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        Pillow.open = opener  # theirs pip installs a reader for a file that is no picture
    off = {name: False for name in ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "wandb") if settings.get(name)}
    if off:
        settings.update(off)  # type: ignore[no-untyped-call]
    return tasks
