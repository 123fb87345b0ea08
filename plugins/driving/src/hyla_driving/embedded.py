"""Label roads without any weights: lanes, and rough proposals of vehicles. It is what the demo runs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hyla import geometry
from hyla.errors import ConfigError
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.tracking import Tracker
from hyla.types import Floats, Image, Labels
from hyla_driving import markings, vehicles
from hyla_driving.lanes import Lanes


class Embedded(Model):
    """Label lanes as `lanes.Lanes` does, and propose vehicles from contrast and motion, tracked over a clip.

    A vehicle is proposed where something as wide as one stands on the road on a dark underside (`vehicles.contrast`), and, before
    a camera that stands still, where something moves (`vehicles.Motion`). It can't tell a car from a lorry, so that its class is
    the general one, and no score is over 0.5, so that a review rule catches it.

    It is no detector. On the sample by day 0.84 of 217 proposals overlap a true vehicle (IoU 0.3) and 0.45 of the vehicles over
    20 px are found; at dusk 0.07, at night none (benchmarks/embedded.py). On 8 TuSimple pictures 0.94 of 31 proposals are
    vehicles to yolov8n as well, which sees 50, half of them found; on 29 Udacity pictures with their small cars, 0.53 of 55, and
    0.18 of 115 found. Use trained weights for anything but a first look.

    Args:
        schema: has the two classes, and says which attributes of lanes are wanted; without `position` among them the proposals
            don't know the ego lane, and guess its width.
        vehicle_class: class of the proposals.
        lane_class: class of the lines.
        threshold: least score of a proposal, from 0 to 0.5.
        lane_threshold: least score of a line, from 0 to 1; see `lanes.Lanes`.
        tracking: trackers_bytetrack, which goes by overlap alone since no score here is over 0.5; or another of `hyla.tracking`.
        horizon: share of the picture's height at which a horizon is expected.

    Raises:
        ConfigError: for a setting out of range, or a class that the schema does not have.
    """

    memory = True
    partial = True

    def __init__(
        self,
        schema: Schema | None = None,
        vehicle_class: str = "vehicle",
        lane_class: str = "lane",
        threshold: float = 0.2,
        lane_threshold: float = 0.3,
        tracking: str = "trackers_bytetrack",
        horizon: float = 0.42,
    ) -> None:
        if not 0 <= threshold <= vehicles.BEST:
            raise ConfigError(f"embedded.threshold must lie between 0 and {vehicles.BEST}, the highest score, got {threshold}")
        self.lanes = Lanes(schema, lane_class, lane_threshold, horizon=horizon)
        self.class_id = 1 if schema is None else schema.class_id(vehicle_class)
        self.threshold, self.horizon = threshold, horizon
        self.tracker = Tracker(tracking, schema, threshold=threshold)
        self._motion: dict[str, tuple[int, vehicles.Motion]] = {}

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return lines and proposals of each picture; those of a clip in order."""
        still = [(image, *self._still(image)) for image in images]  # what does not touch the memory comes first
        return [self._moving(image, lines, boxes, scores) for image, lines, boxes, scores in still]

    @hookimpl
    def forget(self, group: str) -> None:
        """Free the background and the tracks of a clip."""
        self._motion.pop(group, None)
        self.tracker.forget(group)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the method."""
        return {"name": "embedded"}

    def _still(self, image: Image) -> tuple[Labels, Floats, Floats]:
        lines = self.lanes.predict([image])[0]
        if image.volume or min(image.pixels.shape[:2]) < 48:
            return lines, np.zeros((0, 4)), np.zeros(0)
        pixels = markings.rgb8(image)
        scale = min(1.0, 960 / pixels.shape[1])
        if scale < 1:
            size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        stretch = np.array([image.pixels.shape[1] / pixels.shape[1], image.pixels.shape[0] / pixels.shape[0]])
        ego = dict(zip(lines.attributes.get("position", []), lines.shape, strict=False))
        left, right = (ego[name] / stretch if name in ego else None for name in ("ego_left", "ego_right"))
        gauge = vehicles.Gauge.of(left, right, (pixels.shape[0], pixels.shape[1]), self.horizon * pixels.shape[0])
        boxes, scores = vehicles.contrast(pixels, gauge)
        return lines, boxes * np.tile(stretch, 2), scores

    def _moving(self, image: Image, lines: Labels, boxes: Floats, scores: Floats) -> Labels:
        if image.item.group and not image.volume and min(image.pixels.shape[:2]) >= 48:
            index, motion = self._motion.get(image.item.group, (-1, vehicles.Motion()))
            if image.item.index <= index:
                motion = vehicles.Motion()  # a replay starts from an empty memory
            moved, moved_scores = motion.update(markings.rgb8(image))
            self._motion[image.item.group] = (image.item.index, motion)
            boxes, scores = np.concatenate([boxes, moved]), np.concatenate([scores, moved_scores])
        boxes = geometry.clip(boxes, image.size)
        keep = (scores >= self.threshold) & (geometry.area(boxes) > 0)
        boxes, scores = boxes[keep], scores[keep]
        best = np.sort(geometry.nms(boxes, scores, np.zeros(len(scores), np.int64), 0.3))
        found = Labels.of(np.full(len(best), self.class_id), boxes[best], score=scores[best])
        return Labels.concat([self.tracker.update(image.item, found, image), lines])
