"""Stages of the benchmark's plugin: pictures and volumes that `projects.py` wrote, and a model that knows what is in them.

A source is a text file named *.bench with lines `KIND COUNT [LABELS]`:

    photo 600 10     1920 x 1080 pixels, all labels unsure; 60 files that take turns
    field 1 5000     4000 x 3000 pixels, polygons of 12 points, one of them unsure
    volume 1         512 x 512 x 300 voxels, three masks
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from hyla import Flag, Image, Item, Kind, Labels, Loader, Model, PatientFrame, Rule, Severity, hookimpl
from hyla.geometry import encode
from hyla.images import inside, read_image
from hyla.types import item_id

FILES = 60
PHOTO = (1080, 1920)
FIELD = (3000, 4000)
FRAME = (720, 1280)
VOLUME = (300, 512, 512)
CORNERS = 12
ORGANS = {"liver": (150, 270, 180, 70, 90, 90), "heart": (200, 200, 300, 60, 70, 70), "spine": (150, 380, 256, 140, 35, 35)}


class Source(Loader):
    def __init__(self):
        self.root = Path()

    @hookimpl
    def items(self, source):
        path = Path(source)
        if path.suffix != ".bench":
            return None
        self.root = path.parent.resolve()
        return (item for line in path.read_text().splitlines() for item in self._items(*line.split()))

    def _items(self, kind, count, labels="0"):
        for n in range(int(count)):
            name = f"{kind}-{labels}-{n:04d}"
            file = f"{kind}-{n % FILES:02d}" + (".npy" if kind == "volume" else ".jpg")
            word = "series" if kind == "volume" else "image"
            yield Item(item_id(name), name, kind=word, meta={"made": kind, "number": n, "labels": int(labels), "file": file})

    @hookimpl
    def load(self, item):
        path = inside(self.root, item.meta["file"])
        if item.meta["made"] == "volume":
            spacing = ((0.8, 0.0, 0.0, -205.0), (0.0, 0.8, 0.0, -205.0), (0.0, 0.0, 1.0, -150.0), (0.0, 0.0, 0.0, 1.0))
            context = {"modality": "CT"}
            return Image(np.load(path), item, PatientFrame(spacing, "1.2.3"), context, volume=True)
        return Image(read_image(path), item)


class Oracle(Model):
    def __init__(self, schema):
        self.schema = schema

    @hookimpl
    def predict(self, images):
        return [self._labels(image.item) for image in images]

    def _labels(self, item):
        made = {"photo": cars, "field": roofs, "volume": organs}.get(item.meta.get("made", ""), tracks)
        names, kinds, shapes, boxes, scores, ids = zip(*made(item), strict=True)
        classes = np.array([self.schema.class_id(name) for name in names])
        return Labels.of(
            classes,
            np.array(boxes, dtype=float),
            score=np.array(scores),
            kind=np.array(kinds, dtype=np.uint8),
            shape=list(shapes),
            track=np.array(ids),
        )

    @hookimpl
    def provenance(self):
        return {"name": "bench", "digest": "0" * 64}


class LowScore(Rule):
    def __init__(self, name: str, below: float = 0.5):
        self.name, self.below = name, below

    @hookimpl
    def check(self, item, labels):
        rows = tuple(np.flatnonzero(labels.score < self.below).tolist())
        return [Flag(self.name, "low_score", Severity.REVIEW, rows, f"score below {self.below}")] if rows else []


def cars(item):
    """Return boxes of 60 to 260 pixels, in rows of (class, kind, shape, box, score, track)."""
    height, width = PHOTO
    rng = np.random.default_rng(item.meta["number"])
    for _ in range(item.meta["labels"]):
        w, h = rng.uniform(60, 260, 2)
        x, y = rng.uniform(0, width - w), rng.uniform(0, height - h)
        yield "car", Kind.BOX, None, (x, y, x + w, y + h), float(rng.uniform(0.2, 0.49)), -1


def roofs(item):
    """Return polygons in a grid that fills the picture."""
    height, width = FIELD
    n = item.meta["labels"]
    columns = math.ceil(math.sqrt(n * width / height))
    cell = np.array([width / columns, height / math.ceil(n / columns)])
    rng = np.random.default_rng(n)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    for i in range(n):
        centre = (np.array([i % columns, i // columns]) + 0.5) * cell
        radius = rng.uniform(0.25, 0.45, CORNERS)[:, None] * cell
        ring = centre + radius * np.column_stack([np.cos(angles), np.sin(angles)])
        yield "roof", Kind.POLYGON, (ring,), (*ring.min(axis=0), *ring.max(axis=0)), 0.4 if i == n // 2 else 0.9, -1


def organs(_):
    for name, mask in masks().items():
        z, y, x = (np.flatnonzero(mask.any(axis=other)) for other in ((1, 2), (0, 2), (0, 1)))
        assert len(z)
        yield name, Kind.MASK, encode(mask), (x[0], y[0], x[-1] + 1, y[-1] + 1), 0.4, -1


def tracks(item):
    """Return three cars that cross a frame of a clip."""
    for track in range(3):
        x, y = (40 + 5 * item.index + 300 * track) % 1100, 100 + 200 * track
        yield "car", Kind.BOX, None, (x, y, x + 160, y + 100), 0.4, track + 1


def masks():
    """Return the masks (D, H, W) of the organs: ellipsoids."""
    z, y, x = np.ogrid[: VOLUME[0], : VOLUME[1], : VOLUME[2]]
    return {
        name: ((z - cz) / rz) ** 2 + ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1
        for name, (cz, cy, cx, rz, ry, rx) in ORGANS.items()
    }
