"""Pictures with faces for tests: real ones where they are, and red squares that a small model takes for faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hyla.frame import VideoFrame
from hyla.hooks import Model, hookimpl
from hyla.images import read_image
from hyla.types import Image, Item, Labels
from hyla_surveillance.bridging import to_hide
from hyla_surveillance.faces import Faces
from hyla_surveillance.redact import Mosaic
from surveillance_kit import SCHEMA

WEIGHTS = "face_detection_yunet_2026may.onnx"
FACE, PLATE, PERSON, CAR = (SCHEMA.class_id(name) for name in ("face", "plate", "person", "car"))


class Red(Model):
    """Find what is bright red: a detector whose answers are plain to see."""

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the connected red parts of each picture."""
        found = []
        for image in images:
            pixels = image.pixels.astype(int)
            red = (pixels[..., 0] > 150) & (pixels[..., 1:].max(axis=2) < 100)
            _, _, stats, _ = cv2.connectedComponentsWithStats(red.astype(np.uint8))
            box = stats[1:, :4].astype(float)
            box[:, 2:] += box[:, :2]
            found.append(Labels.of(np.full(len(box), FACE), box))
        return found


def image(pixels: Any, seconds: float | None = None, **meta: Any) -> Image:
    """Return a picture as loaders give it, whose pixels can't be written to."""
    own = np.array(pixels)
    own.flags.writeable = False
    frame = {} if seconds is None else {"frame": VideoFrame(seconds, 0, round(seconds * 1e6), (1, 1_000_000))}
    return Image(own, Item("a", "a.png", meta=meta), **frame)


def noise(height: int, width: int, bands: int = 3, seed: int = 0) -> Any:
    """Return a picture in which no two pixels need be alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, bands), dtype=np.uint8)


def boxes(*rows: tuple[int, float, float, float, float]) -> Labels:
    """Return boxes of (class, x0, y0, x1, y1)."""
    return Labels.of([one[0] for one in rows], np.array([one[1:] for one in rows], dtype=float).reshape(-1, 4))


def redacted(frames: Sequence[tuple[Image, Labels]], mosaic: Mosaic) -> Any:
    """Return what `write_redacted` calls for the pictures, redacted by their labels and what was found besides."""

    def pictures(extra: Mapping[int, Any]) -> Iterator[tuple[float, Any]]:
        for i, (one, labels) in enumerate(frames):
            also = to_hide([FACE] * len(extra[i]), extra[i]) if i in extra else Labels.empty()
            yield one.frame.seconds, mosaic.redact(one, Labels.concat([labels, also])).pixels

    return pictures


def yunet(shared: Path, **settings: Any) -> Faces:
    """Return the real detector."""
    return Faces(SCHEMA, WEIGHTS, str(shared / "weights"), **settings)


def photograph(shared: Path, scale: float = 1.0) -> Any:
    """Return the photograph of 1927 with 29 people."""
    pixels = read_image(shared / "data/surveillance/faces/solvay_conference_1927.jpg")
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return pixels if scale == 1 else cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def street(shared: Path, number: int = 1) -> tuple[Any, Any]:
    """Return a frame of MOT17-04 and the boxes (n, 4) of its people."""
    folder = shared / "data/surveillance/mot17_04"
    rows = np.loadtxt(folder / "gt/gt.txt", delimiter=",")
    rows = rows[(rows[:, 0] == number) & (rows[:, 7] == 1)]
    box = np.column_stack([rows[:, 2:4] - 1, rows[:, 2:4] + rows[:, 4:6] - 1])
    return read_image(folder / f"img1/{number:06d}.jpg"), np.clip(box, 0, [1920, 1080, 1920, 1080])
