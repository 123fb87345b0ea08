"""Find people, vehicles and bags with YOLO weights. The one module that imports ultralytics, which is AGPL-3.0."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla import heads, privacy
from hyla import weights as files
from hyla.errors import ConfigError
from hyla.hooks import Model, hookimpl
from hyla.letterbox import Letterbox, Pixels
from hyla.schema import Schema
from hyla.types import Image, Labels
from hyla_surveillance.motion import rgb8

STRIDE = 32
LEAST = 8  # pixels of a side, below which nothing can be told
# What a file that is no checkpoint raises, depending on how it is none.
BROKEN = (
    *(TypeError, RuntimeError, EOFError, pickle.UnpicklingError, ImportError, AttributeError),
    *(LookupError, ValueError, OSError, AssertionError),
)


class Yolo(Model):
    """Find what the schema names with a YOLO network of ultralytics, over the frames of many cameras at once.

    Each frame is fitted into the network's input by itself (the smallest canvas in steps of the stride, as ultralytics does for a
    batch of one), and the network always sees the same number of frames: labels do not depend on the batch. Weights are data:
    they are loaded without running code of theirs, and never downloaded.

    Args:
        schema: its classes get what the network finds, by their code in vocabulary `coco` or by name; what it lacks is dropped.
        weights: a .pt file of ultralytics that detects, by path or by name.
        weights_dir: folder in which a name is looked up.
        device: auto, cpu, cuda, cuda:N or mps.
        imgsz: longer side of the network's input in pixels, a multiple of 32; people of 20 px and less need that of the frames.
        conf: scores above it count, 0 to 1; trackers make use of weak boxes too: 0.1 is what ultralytics' track() takes.
        iou: of two overlapping boxes of one class by more than this, the better one stays, 0 to 1.
        max_det: labels of one frame, at most.
        classes: name that the network uses -> class of the schema, or null to drop it; goes before the codes.
        half: compute in half precision on cuda and mps, which is faster and moves boxes by some pixels.
        threads: of the CPU; null for one per core.
        network_batch: frames that the network sees together, constantly; null for 1 on a CPU and 8 on an accelerator.

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
        conf: float = 0.1,
        iou: float = 0.7,
        max_det: int = 300,
        classes: Mapping[str, str | None] | None = None,
        half: bool = False,
        threads: int | None = None,
        network_batch: int | None = None,
    ) -> None:
        if imgsz < STRIDE or imgsz % STRIDE:
            raise ConfigError(f"imgsz is {imgsz}", f"it must be a multiple of {STRIDE}: imgsz=640")
        if not (0 <= conf <= 1 and 0 <= iou <= 1):
            raise ConfigError(f"conf is {conf} and iou is {iou}", "both must lie between 0 and 1")
        if max_det < 1 or (network_batch is not None and network_batch < 1):
            raise ConfigError(f"max_det is {max_det} and network_batch is {network_batch}", "both must be at least 1")
        privacy.offline()
        self._path = files.find(weights, weights_dir)
        if self._path.suffix != ".pt":
            raise ConfigError(f"weights {self._path.name!r} are no .pt file", "give weights of ultralytics")
        self._digest = files.digest(self._path)
        self.device, self.imgsz, self.half = devices.pick(device), imgsz, half
        self.conf, self.iou, self.max_det = conf, iou, max_det
        self._network, names = _load(self._path)
        self._classes = heads.class_ids(schema, names, classes or {})
        self._batch = network_batch or (1 if self.device == "cpu" else 8)
        devices.set_threads(threads)
        self._network.to(self.device)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the boxes of each frame, best score first; evidence `margin` is how far the best class is before the next."""
        fits = {i: self._fit(one) for i, one in enumerate(images) if not one.volume and min(one.size) >= LEAST}
        found = dict.fromkeys(range(len(images)), Labels.empty())
        for canvas in dict.fromkeys(fit.canvas for fit in fits.values()):
            rows = [i for i, fit in fits.items() if fit.canvas == canvas]
            for start in range(0, len(rows), self._batch):
                part = rows[start : start + self._batch]
                pixels = [fits[i].apply(rgb8(images[i])) for i in part]
                raw = self._run(np.stack(pixels + pixels[-1:] * (self._batch - len(part))))
                found.update({i: self._labels(one, fits[i]) for i, one in zip(part, raw, strict=False)})
        return list(found.values())

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and sha256 of the weights, and the libraries that ran them."""
        libraries = ", ".join(f"{name} {metadata.version(name)}" for name in ("ultralytics", "torch"))
        return {"name": self._path.stem, "digest": self._digest, "task": "detect", "libraries": libraries}

    def _fit(self, image: Image) -> Letterbox:
        return Letterbox.of((image.size[0], image.size[1]), (self.imgsz, self.imgsz), STRIDE)

    def _run(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        import torch

        with torch.inference_mode(), devices.autocast(self.device, self.half):
            given = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float() / 255
            answer = self._network(given)
            answer = answer[0] if isinstance(answer, (tuple, list)) else answer
            return np.asarray(answer.float().cpu().numpy())

    def _labels(self, output: npt.NDArray[np.float32], fit: Letterbox) -> Labels:
        wanted = self._classes >= 0
        if heads.is_raw((1, *output.shape), len(wanted)):
            found = heads.raw(output, wanted, self.conf, self.iou, self.max_det)
        else:  # networks with suppression inside
            found = heads.suppressed(output, wanted, self.conf, self.max_det)
        boxes = fit.restore(found.box)
        evidence = {} if found.margin is None else {"margin": found.margin}
        labels = Labels.of(self._classes[found.index], boxes, score=np.clip(found.score, 0, 1), evidence=evidence)
        return labels[(labels.width > 0) & (labels.height > 0)]


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
            f"{path.name} is no YOLO checkpoint of ultralytics that can be read", f"({type(error).__name__}: {reason})"
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
        raise ConfigError(
            "yolo needs ultralytics", "pip install ultralytics, or choose model.finder=surveillance_torchvision"
        ) from error
    finally:
        if before is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        Pillow.open = opener  # theirs pip installs a reader for a file that is no picture
    off = {name: False for name in ("sync", "clearml", "comet", "dvc", "mlflow", "raytune", "wandb") if settings.get(name)}
    if off:
        settings.update(off)  # type: ignore[no-untyped-call]
    return tasks
