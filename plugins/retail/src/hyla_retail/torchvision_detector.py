"""Detect products with the networks of torchvision (BSD-3-Clause): the permissive alternative to YOLO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata

import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla import privacy
from hyla import weights as files
from hyla.errors import ConfigError
from hyla.hooks import hookimpl
from hyla.networks import coco_categories, detector
from hyla.schema import Schema
from hyla_retail.sliced import Found, Sliced

Pixels = npt.NDArray[np.uint8]


class Torchvision(Sliced):
    """Find products with a detection network of torchvision, tile by tile, one tile at a time.

    Args:
        schema: has the class `product`; see `hyla_retail.sliced.class_ids` for what the classes of the weights become.
        architecture: name of the network in torchvision.
        weights: a file with its state dict, by path or by name; null for random weights, whose labels mean nothing: for tests.
        weights_dir: folder in which a name is looked up.
        categories: names by index, beginning with the background, of a network trained on other classes than COCO's 91:
            [__background__, object] for SKU-110K.
        device: auto, cpu, cuda, cuda:N or mps.
        tile: side of a tile, pixels of the photo.
        overlap: of neighbouring tiles, share of a side.
        conf: scores above it count, 0 to 1.
        iou: of two boxes that overlap by more, the better one stays, 0 to 1.
        max_det: labels of one photo, and of one tile, at most.
        classes: name that the weights use -> class of the schema, or null to drop it.
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
        tile: int = 1024,
        overlap: float = 0.2,
        conf: float = 0.25,
        iou: float = 0.6,
        max_det: int = 1000,
        classes: Mapping[str, str | None] | None = None,
        half: bool = False,
        threads: int | None = None,
        seed: int = 0,
    ) -> None:
        self.check(tile, overlap, conf, iou, max_det)
        privacy.offline()
        self._path = None if weights is None else files.find(weights, weights_dir)
        self._digest = None if self._path is None else files.digest(self._path)
        self.architecture, self.half, self.seed = architecture, half, seed
        self.device = devices.pick(device)
        names = tuple(categories or coco_categories(architecture))
        if len(names) < 2:
            raise ConfigError(f"categories are {list(names)}", "begin with the background: categories=[__background__,object]")
        super().__init__(schema, names[1:], classes or {}, tile, overlap, conf, iou, max_det)
        self._network = detector(architecture, len(names), self._path, seed)
        devices.set_threads(threads)
        head = getattr(self._network, "roi_heads", self._network)
        head.score_thresh, head.nms_thresh, head.detections_per_img = conf, iou, max_det
        self._network.to(self.device)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and sha256 of the weights; of random ones the digest says `random` and the seed."""
        return {
            "name": f"{self.architecture} ({'random weights' if self._path is None else self._path.stem})",
            "digest": self._digest or f"random, seed {self.seed}",
            "backend": f"torchvision {metadata.version('torchvision')}, torch {metadata.version('torch')}",
        }

    def detect(self, crops: Sequence[Pixels]) -> list[Found]:
        """Return what the network finds in each of `crops` (h, w, 3) RGB."""
        import torch

        out = []
        for crop in crops:
            with torch.inference_mode(), devices.autocast(self.device, self.half):
                picture = torch.from_numpy(np.array(crop.transpose(2, 0, 1), order="C")).to(self.device)
                answer = self._network([picture.float() / 255])[0]
            index = answer["labels"].cpu().numpy().astype(np.int64) - 1
            box, score = answer["boxes"].float().cpu().numpy(), answer["scores"].float().cpu().numpy()
            seen = index >= 0  # all but the background
            out.append(Found(box[seen].astype(np.float64), score[seen].astype(np.float64), index[seen]))
        return out
