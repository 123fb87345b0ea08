"""Find people, vehicles and what was put down before a camera that stands still, without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Labels
from hyla_surveillance import blobs
from hyla_surveillance.background import Background, Mask, Pixels, above
from hyla_surveillance.blobs import PERSON, SMALL, VEHICLE, Blob
from hyla_surveillance.camera_file import open_cameras
from hyla_surveillance.perspective import Perspective
from hyla_surveillance.static import Static, Thing

BEST = 0.9  # the highest score: what moves like a person may still be none
LEAST = 24  # pixels of a side, below which nothing can be told
STEP = 0.125  # seconds between frames that carry no time
LONGEST = 2.0  # seconds that count, of a gap between two frames
STILL = 1.0  # seconds after which something that doesn't move is asked whether it is there at all
OBJECT = 0.7  # of a person's height: what is lower, and was put down, is a thing
OUTLINE = 0.12  # share of an outline with edges that the background has not, below which nothing stands there


class Motion(Model):
    """Find what moves, and what was put down and stays, by subtracting the background (MOG2), clip by clip and in order.

    Shadows are taken out, pieces of a person joined and groups parted by how tall a person is in each row of the picture: from
    the camera's ground where it was measured, else learnt from people who walk alone. Until 20 of their boxes were seen, shape
    decides alone. Who stands still stays found; ghosts of who has left are healed by the edges that they lack. When light changes
    at once the picture is compared in the light of the background; when the view changes (moved, covered, night mode) it begins
    again, and finds nothing in that frame. It misses who never moves, and takes a tight group for one person: no score is over
    0.9, and its silence says nothing.

    The evidence `still_s` says for how many seconds a thing has stood, `moved` which share of it moved since the last frame.

    Args:
        schema: has the classes.
        person, vehicle, thing: classes of what is found; null leaves them out.
        threshold: least score, 0 to 1.
        width: pixels to which wider pictures are reduced.
        sensitivity: squared distance from the background, in variances, from which a pixel is none of it; less sees more.
        history: seconds in which a change that is nobody becomes background.
        settle: seconds that something must stand to be a thing.
        absorb: seconds after which what stands still is background.
        cameras: YAML of cameras, for their ground; auto, a path or null: see `camera_file.open_cameras`.
        source: that the run labels, where `auto` looks.

    Raises:
        ConfigError: for a setting out of range, or a class that the schema does not have.
    """

    memory = True
    partial = True

    def __init__(
        self,
        schema: Schema,
        person: str | None = "person",
        vehicle: str | None = "vehicle",
        thing: str | None = "object",
        threshold: float = 0.25,
        width: int = 640,
        sensitivity: float = 20.0,
        history: float = 60.0,
        settle: float = 3.0,
        absorb: float = 900.0,
        cameras: str | None = None,
        source: str = "",
    ) -> None:
        if not 0 <= threshold <= 1 or width < 64:
            raise ConfigError(f"threshold is {threshold} and width is {width}", "give 0 to 1, and at least 64 pixels")
        if min(sensitivity, history, settle) <= 0 or absorb <= settle:
            raise ConfigError(
                f"sensitivity={sensitivity}, history={history}, settle={settle} and absorb={absorb} don't go together",
                "all are more than 0, and absorb is longer than settle",
            )
        names = {PERSON: person, VEHICLE: vehicle, SMALL: thing}
        self._ids = {kind: schema.class_id(name) for kind, name in names.items() if name is not None}
        self.threshold, self.width, self.sensitivity = threshold, width, sensitivity
        self.history, self.settle, self.absorb = history, settle, absorb
        self._cameras = open_cameras(cameras, source)
        self._views: dict[str, _View] = {}

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the boxes of each picture; of those that belong to no clip, or are tiny, none."""
        small = [reduced(image, self.width) for image in images]  # what can fail comes before what remembers
        return [self._labels(image, pixels) for image, pixels in zip(images, small, strict=True)]

    @hookimpl
    def forget(self, group: str) -> None:
        """Free the background of a clip."""
        self._views.pop(group, None)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the method."""
        return {"name": "motion"}

    def _labels(self, image: Image, pixels: Pixels) -> Labels:
        group, size = image.item.group, (pixels.shape[0], pixels.shape[1])
        if not group or image.volume or min(size) < LEAST:
            return Labels.empty()
        view = self._views.get(group)
        if view is None or image.item.index <= view.index or view.perspective.size != size:
            camera = self._cameras.of(str(image.item.meta.get("camera", ""))).of_size(image.size)
            view = self._views[group] = self._begin(
                Perspective(size, None if camera.homography is None else camera.of_size(size))
            )
        step = view.advance(image)
        seen = view.update(pixels, step, self.absorb)
        scale = np.tile(np.array([image.size[1] / size[1], image.size[0] / size[0]]), 2)
        rows = [(self._ids[kind], box, score, still, moved) for kind, box, score, still, moved in seen if kind in self._ids]
        rows = [row for row in rows if row[2] >= self.threshold]
        if not rows:
            return Labels.empty()
        ids, boxes, scores, still, moved = zip(*rows, strict=True)
        limit = np.tile(np.array([image.size[1], image.size[0]], dtype=np.float64), 2)
        return Labels.of(
            ids, np.minimum(np.array(boxes) * scale, limit), score=scores, evidence={"still_s": still, "moved": moved}
        )

    def _begin(self, perspective: Perspective) -> _View:
        return _View(perspective, Background(self.history, self.sensitivity), Static(self.settle))


@dataclass
class _View:
    """Remember one clip."""

    perspective: Perspective
    background: Background
    static: Static
    index: int = -1
    seconds: float = -1.0
    _grey: Any = None
    _people: list[Blob] = field(default_factory=list)

    def advance(self, image: Image) -> float:
        """Move the clock on and return the seconds that count, which are always more than 0."""
        before, self.index = self.seconds, image.item.index
        moment = image.frame.seconds if isinstance(image.frame, VideoFrame) else before + STEP
        self.seconds = moment if moment > before else before + STEP  # a stream may stop its clock, or turn it back
        return STEP if before < 0 else min(self.seconds - before, LONGEST)

    def update(self, pixels: Pixels, step: float, absorb: float) -> list[tuple[int, Floats, float, float, float]]:
        """Return (kind, box, score, still_s, moved) of everything in the next picture."""
        compared = self.background.compare(pixels)
        if compared is None:  # another scene
            self.background = Background(self.background.history, self.background.threshold)
            self.static = Static(self.static.settle, self.static.smallest)
            compared = pixels, np.zeros(pixels.shape[:2], np.uint8)
        lit, mask = compared
        grey = np.asarray(cv2.cvtColor(lit, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        there = self.background.picture
        now = blobs.edges(grey)
        before = now if there is None else blobs.edges(np.asarray(cv2.cvtColor(there, cv2.COLOR_RGB2GRAY), dtype=np.uint8))
        clean = blobs.solid(mask, now, before)
        found, pieces = blobs.find(clean, self.perspective)
        moves = np.zeros_like(clean) if self._grey is None else above(np.asarray(cv2.absdiff(grey, self._grey)), blobs.MOVED)
        self._grey = grey
        things = self.static.update(grey, clean, step, [one.box for one in found if one.kind == PERSON])
        edge = blobs.fresh(now, before)
        ghosts = self._ghosts(found, pieces, clean, edge, absorb)
        protected = np.asarray(cv2.dilate(clean, np.ones((5, 5), np.uint8)), dtype=np.uint8)
        self.background.learn(lit, mask, protected, step)
        if ghosts is not None:
            self.background.heal(lit, ghosts)
            self.static.forget(ghosts)
        return self._told(found, things, clean, np.asarray(moves, dtype=np.uint8), edge, ghosts)

    def _ghosts(self, found: Sequence[Blob], pieces: Any, clean: Mask, edge: Mask, absorb: float) -> Mask | None:
        """Return where (H, W, 255) nothing stands any more, or stands for so long that it belongs there; None for nowhere."""
        gone = np.zeros_like(clean)
        for blob in found:
            x0, y0, x1, y1 = blob.box
            window = np.s_[y0:y1, x0:x1]
            mine = blobs.within(pieces[window], blob.pieces).astype(np.uint8) * 255
            age = self.static.age((x0, y0), mine)
            if age > absorb or (age > STILL and blobs.outlined(blob.box, mine, edge) < OUTLINE):
                gone[window] |= mine
        return np.asarray(cv2.dilate(gone, np.ones((7, 7), np.uint8)), dtype=np.uint8) if gone.any() else None

    def _told(
        self, found: Sequence[Blob], things: Sequence[Thing], clean: Mask, moves: Mask, edge: Mask, ghosts: Mask | None
    ) -> list[tuple[int, Floats, float, float, float]]:
        told: list[tuple[int, Floats, float, float, float]] = []
        alone: list[Blob] = []
        for blob in found:
            x0, y0, x1, y1 = blob.box
            window = np.s_[y0:y1, x0:x1]
            here = clean[window] > 0
            if blob.kind == SMALL or (ghosts is not None and (ghosts[window] > 0)[here].mean() > 0.5):
                continue
            moved = float((moves[window] > 0)[here].mean())
            drawn = min(1.0, blobs.outlined(blob.box, clean[window], edge) / (2 * OUTLINE))
            told.append((blob.kind, np.array(blob.box, dtype=np.float64), BEST * blob.fit * drawn, 0.0, moved))
            if blob.kind == PERSON and blob.whole and drawn == 1 and moved > 0.1 and 1.6 < (y1 - y0) / (x1 - x0) < 4.5:
                alone.append(blob)
        self.perspective.learn(np.array([float(b.box[3]) for b in alone]), np.array([float(b.box[3] - b.box[1]) for b in alone]))
        for thing in things:
            x0, y0, x1, y1 = thing.box.astype(int).tolist()
            if blobs.outlined((x0, y0, x1, y1), clean[y0:y1, x0:x1], edge) < OUTLINE:
                continue
            tall = float(self.perspective.height(thing.box[3:])[0])
            if thing.box[3] - thing.box[1] < OBJECT * tall and thing.box[2] - thing.box[0] < tall:
                told.append((SMALL, thing.box, BEST * min(1.0, 0.4 + thing.seconds / 60), thing.seconds, 0.0))
        return told


def reduced(image: Image, width: int) -> Pixels:
    """Return a picture as (h, w, 3) RGB of 8 bits, at most `width` wide; one black pixel for a volume."""
    if image.volume:
        return np.zeros((1, 1, 3), np.uint8)
    pixels = rgb8(image)
    if pixels.shape[1] > width:
        size = (width, max(1, round(pixels.shape[0] * width / pixels.shape[1])))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return pixels


def rgb8(image: Image) -> Pixels:
    """Return a picture as (H, W, 3) RGB of 8 bits: grey is repeated, further bands are left out, 16 bits and floats scaled."""
    pixels: npt.NDArray[Any] = np.asarray(image.pixels)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        gain = 255.0 if pixels.dtype.kind == "f" else 1.0
        pixels = np.clip(np.nan_to_num(pixels.astype(np.float64)) * gain, 0, 255).astype(np.uint8)
    pixels = np.repeat(pixels[:, :, :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[:, :, :3]
    return np.ascontiguousarray(pixels)
