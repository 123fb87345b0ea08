"""Run a detection network over the tiles of shelf photos: what every detector of products has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hyla import slices
from hyla.errors import ConfigError, did_you_mean
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Ints, Labels
from hyla_retail.finding import finish, whole
from hyla_retail.pictures import overview

Pixels = npt.NDArray[np.uint8]

# Classes of COCO that shops sell, which is what most public weights know; weights of SKU-110K know one class.
COCO = {
    **dict.fromkeys(("bottle", "cup", "bowl", "wine glass", "book", "vase", "teddy bear", "hair drier"), "product"),
    **dict.fromkeys(("banana", "apple", "orange"), "fruit"),
    **dict.fromkeys(("broccoli", "carrot"), "vegetable"),
    **dict.fromkeys(("sandwich", "hot dog", "pizza"), "ready_meal"),
    **dict.fromkeys(("donut", "cake"), "bakery"),
    "toothbrush": "personal_care",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Hold what a network found in one tile.

    Args:
        box: (n, 4) x0, y0, x1, y1 in pixels of the tile.
        score: (n,) from 0 to 1.
        index: (n,) class, as the network counts.
    """

    box: Floats
    score: Floats
    index: Ints


class Sliced(Model, ABC):
    """Find products tile by tile.

    Each photo is cut into tiles of one size by itself, the whole photo is looked at as well, and what overlaps is merged: see
    `hyla.slices`. Labels do not depend on the batch. A picture of one product (`view` product in its context) gets one
    tag over the whole of it, without any network.

    Args:
        schema: has the class `product`.
        names: what the network calls its classes, by index.
        classes: name that the network uses -> class of the schema, or None to drop it.
        tile: side of a tile, pixels of the photo.
        overlap: of neighbouring tiles, share of a side: the widest pack should fit into it.
        conf: scores above it count, 0 to 1.
        iou: of two boxes that overlap by more, the better one stays, 0 to 1.
        max_det: labels of one photo, at most.

    Raises:
        ConfigError: for settings out of range, and classes that do not exist.
    """

    def __init__(
        self,
        schema: Schema,
        names: Sequence[str],
        classes: Mapping[str, str | None],
        tile: int,
        overlap: float,
        conf: float,
        iou: float,
        max_det: int,
    ) -> None:
        self._ids = class_ids(schema, names, classes)
        self._product = schema.class_id("product")
        self._facing = schema.under("product")
        self.tile, self.overlap, self.conf, self.iou, self.max_det = tile, overlap, conf, iou, max_det

    @staticmethod
    def check(tile: int, overlap: float, conf: float, iou: float, max_det: int) -> None:
        """Raise ConfigError for settings that can't work, before any weights are read."""
        if not 0 <= conf <= 1 or not 0 <= iou <= 1:
            raise ConfigError(f"conf is {conf} and iou is {iou}", "both must lie between 0 and 1")
        if not 0 <= overlap < 0.9:
            raise ConfigError(f"overlap is {overlap}", "it must lie between 0 and 0.9: overlap=0.2")
        if tile < 64:
            raise ConfigError(f"tile is {tile}", "packs need tiles of at least 64 pixels: tile=1024")
        if max_det < 1:
            raise ConfigError(f"max_det is {max_det}", "it must be at least 1")

    @abstractmethod
    def detect(self, crops: Sequence[Pixels]) -> list[Found]:
        """Return what the network finds in each of `crops` (h, w, 3) RGB, whatever the others are."""

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return facings with `shelf` (1 is the top one) and `position` (1 is the leftmost), best score first."""
        return [whole(one, self._product) if one.context.get("view") == "product" else self._shelf(one) for one in images]

    def _shelf(self, image: Image) -> Labels:
        pixels = overview(image.pixels, max(image.size))[0]
        size = (pixels.shape[0], pixels.shape[1])
        places = slices.tiles(size, self.tile, self.overlap)
        found = self.detect([pixels[y0:y1, x0:x1] for x0, y0, x1, y1 in places])
        boxes = [one.box + np.tile(place[:2], 2) for one, place in zip(found, places, strict=True)]
        box = np.concatenate(boxes).astype(np.float64)
        cut = np.concatenate([slices.cut_off(own, place, size) for own, place in zip(boxes, places, strict=True)])
        score = np.concatenate([one.score for one in found]).astype(np.float64)
        ids = self._ids[np.concatenate([one.index for one in found]).astype(np.int64)]
        box = np.clip(box, 0, [size[1], size[0], size[1], size[0]])
        known = np.flatnonzero((ids >= 0) & (score > self.conf) & (box[:, 2:] - box[:, :2] >= 1).all(axis=1))
        rows = known[slices.merge(box[known], score[known], cut[known], self.iou, self.max_det)]
        labels = Labels.of(ids[rows], box[rows], score=np.clip(score[rows], 0, 1))
        return finish(image, labels, np.isin(labels.class_id, self._facing))


def class_ids(schema: Schema, names: Sequence[str], classes: Mapping[str, str | None]) -> Ints:
    """Return (names,) the class of the schema for each class of a network, -1 for one that is dropped.

    `classes` goes first, then weights that know one class know products, then `COCO`, then a class of the schema with that name
    that may have a box.

    Raises:
        ConfigError: for a name or a class that does not exist, and if nothing is left.
    """
    if unknown := sorted(set(classes) - set(names)):
        raise ConfigError(f"the weights know no class {unknown[0]!r}", did_you_mean(unknown[0], names), names)
    boxes = {one.name: i for i, one in enumerate(schema.classes) if "box" in (one.kinds or schema.kinds) and not one.abstract}
    product = schema.class_id("product")
    ids = []
    for name in names:
        if name in classes:
            to = classes[name]
            ids.append(-1 if to is None else schema.class_id(to))
        elif len(names) == 1:
            ids.append(product)
        elif name in COCO:
            ids.append(boxes.get(COCO[name], product))
        else:
            ids.append(boxes.get(name, -1))
    if max(ids, default=-1) < 0:
        hint = "map them: model.classes={name of the weights: product}"
        raise ConfigError(f"no class of the weights is in schema {schema.name!r}", hint, names)
    return np.array(ids, dtype=np.int64)
