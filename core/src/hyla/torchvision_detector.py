"""Detect with the networks of torchvision (BSD-3-Clause): the permissive alternative to YOLO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata

import numpy as np

from hyla import device as devices
from hyla import privacy
from hyla import weights as files
from hyla.errors import ConfigError
from hyla.heads import class_ids
from hyla.hooks import Model, hookimpl
from hyla.letterbox import rgb
from hyla.networks import coco_categories, detector
from hyla.schema import Schema
from hyla.tracking import Tracker
from hyla.types import Image, Labels


class Torchvision(Model):
    """Find objects with a detection network of torchvision, one picture at a time, so that labels do not depend on the batch.

    Args:
        schema: its classes get what the network finds, by their code in vocabulary `coco` or by name; what it lacks is dropped.
        architecture: name of the network in torchvision.
        weights: a file with its state dict, by path or by name; null for random weights, whose labels mean nothing: for tests.
        weights_dir: folder in which a name is looked up.
        categories: names by index, beginning with the background, of a network trained on other classes than COCO's 91.
        device: auto, cpu, cuda, cuda:N or mps.
        conf: scores above it count, 0 to 1.
        iou: of two overlapping boxes of one class by more than this, the better one stays, 0 to 1; 0.5 is torchvision's default.
        max_det: labels of one picture, at most.
        classes: name that the network uses -> class of the schema, or null to drop it; goes before the codes.
        tracker: bytetrack, botsort, ocsort or none; see hyla.tracking.
        half: compute in half precision on cuda and mps.
        threads: of the CPU; null for one per core.
        seed: of random weights.

    Raises:
        ConfigError: for weights that are missing, damaged or of another network, and for settings out of range.
    """

    def __init__(
        self,
        schema: Schema,
        architecture: str = "fasterrcnn_mobilenet_v3_large_320_fpn",
        weights: str | None = None,
        weights_dir: str | None = None,
        categories: Sequence[str] | None = None,
        device: str = "auto",
        conf: float = 0.25,
        iou: float = 0.5,
        max_det: int = 100,
        classes: Mapping[str, str | None] | None = None,
        tracker: str = "none",
        half: bool = False,
        threads: int | None = None,
        seed: int = 0,
    ) -> None:
        if not (0 <= conf <= 1 and 0 <= iou <= 1):
            raise ConfigError(f"conf is {conf} and iou is {iou}", "both must lie between 0 and 1")
        if max_det < 1:
            raise ConfigError(f"max_det is {max_det}", "it must be at least 1")
        privacy.offline()
        self._path = None if weights is None else files.find(weights, weights_dir)
        self._digest = None if self._path is None else files.digest(self._path)
        self._tracker = Tracker(tracker, schema=schema)
        self.memory = self._tracker.memory
        if self.memory and "track" not in schema.kinds:
            raise ConfigError(f"schema {schema.name!r} has no tracks", "add track to schema.kinds, or set model.tracker=none")
        self.architecture, self.conf, self.half, self.seed = architecture, conf, half, seed
        self.device = devices.pick(device)
        names = tuple(categories or coco_categories(architecture))
        self._classes = class_ids(schema, names, classes or {})
        self._network = detector(architecture, len(names), self._path, seed)
        devices.set_threads(threads)
        head = getattr(self._network, "roi_heads", self._network)
        head.score_thresh, head.nms_thresh, head.detections_per_img = conf, iou, max_det
        self._network.to(self.device)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the boxes of each picture, best score first."""
        found = [self._labels(image) for image in images]
        return [self._tracker.update(i.item, one, i) for i, one in zip(images, found, strict=True)]

    @hookimpl
    def forget(self, group: str) -> None:
        """Free the tracks of `group`."""
        self._tracker.forget(group)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and sha256 of the weights; of random ones the digest says `random` and the seed."""
        return {
            "name": f"{self.architecture} ({'random weights' if self._path is None else self._path.stem})",
            "digest": self._digest or f"random, seed {self.seed}",
            "backend": f"torchvision {metadata.version('torchvision')}, torch {metadata.version('torch')}",
        }

    def _labels(self, image: Image) -> Labels:
        import torch

        pixels = rgb(image)
        with torch.inference_mode(), devices.autocast(self.device, self.half):
            picture = torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C")).to(self.device)
            answer = self._network([picture.float() / 255])[0]
        index = answer["labels"].cpu().numpy()
        boxes, score = answer["boxes"].float().cpu().numpy(), answer["scores"].float().cpu().numpy()
        ids = self._classes[index]
        height, width = image.size[-2:]
        boxes = np.clip(boxes, 0, np.array([width, height, width, height]))
        rows = (ids >= 0) & (score > self.conf) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return Labels.of(ids[rows], boxes[rows], score=np.clip(score[rows], 0, 1))
