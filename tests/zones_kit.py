"""Scenes in memory with fields, for tests of indices, of the sweep and of zones."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import numpy as np
import shapely

from hyla.errors import BadItem
from hyla.frame import MapFrame
from hyla.types import Image, Item
from hyla_agriculture.scene import CLEAR, MISSING, Fields, Scene

BANDS = ("blue", "green", "red", "rededge1", "nir", "swir16")
GREEN = (0.025, 0.06, 0.04, 0.11, 0.45, 0.18)  # NDVI 0.84, NDMI 0.43
SOIL = (0.08, 0.11, 0.14, 0.17, 0.23, 0.30)  # NDVI 0.24, BSI 0.17
DRY = (0.05, 0.09, 0.10, 0.15, 0.225, 0.27)  # NDVI 0.38, NDMI -0.09
EATEN = (0.06, 0.09, 0.13, 0.16, 0.28, 0.24)  # NDVI 0.37
EAST, NORTH = 500_000.0, 5_700_000.0


class Drawn(Scene):
    """Serve arrays as a scene, counting what is read."""

    def __init__(self, values, quality=None, bands=BANDS, blocks=(64, 64), fields=None):
        super().__init__((*values.shape[1:], len(bands)), np.float32, bands, blocks, fields)
        self.values = values.astype(np.float32)
        known = np.full(values.shape[1:], CLEAR, np.uint8) if quality is None else quality
        self.codes = np.where(np.isnan(self.values).any(axis=0), np.uint8(MISSING), known)
        self.windows, self.threads, self.broken = [], set(), None
        self._lock = threading.Lock()

    def read(self, row0, row1, column0, column1, bands, step=1):
        return np.moveaxis(self.values[list(bands), row0:row1:step, column0:column1:step], 0, -1)

    def reflectance(self, window, bands):
        with self._lock:
            self.windows.append(window)
            self.threads.add(threading.get_ident())
        if self.broken is not None and window.row0 <= self.broken < window.row1:
            raise BadItem("the file ends here")
        if lost := [band for band in bands if band not in self.bands]:
            raise BadItem(f"no band {lost}")
        rows, columns = slice(window.row0, window.row1), slice(window.column0, window.column1)
        return self.values[[self.bands.index(b) for b in bands], rows, columns].copy()

    def quality(self, window):
        return self.codes[window.row0 : window.row1, window.column0 : window.column1].copy()


@dataclass
class Land:
    """Hold a square piece of land on which fields are drawn, one after the other."""

    size: int = 200
    seed: int = 1
    noise: float = 0.003
    crs: str = "EPSG:32633"
    shapes: list = field(default_factory=list)
    crops: list = field(default_factory=list)

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.values = np.full((6, self.size, self.size), 0.2, np.float32)
        self.grain = rng.normal(0, self.noise, self.values.shape).astype(np.float32)
        self.quality = np.full((self.size, self.size), CLEAR, np.uint8)

    def mask(self, shape):
        column0, row0, column1, row1 = np.clip(np.add(shape.bounds, (-1, -1, 1, 1)), 0, self.size).astype(int)
        y, x = np.mgrid[row0:row1, column0:column1] + 0.5
        out = np.zeros((self.size, self.size), bool)
        out[row0:row1, column0:column1] = shapely.contains_xy(shape, x.ravel(), y.ravel()).reshape(x.shape)
        return out

    def field(self, shape, ground=GREEN, crop="TRZAX"):
        """Add a field with its ground; return its number."""
        self.shapes.append(shape)
        self.crops.append(crop)
        self.paint(shape.buffer(1), ground)
        return len(self.shapes) - 1

    def paint(self, shape, ground):
        self.values[:, self.mask(shape)] = np.array(ground, np.float32)[:, None]

    def hide(self, shape, code):
        self.quality[self.mask(shape)] = code

    def grid(self, count, side=16, gap=4, ground=GREEN):
        """Add `count` x `count` square fields; return their shapes."""
        found = []
        for n in range(count * count):
            x, y = 6.3 + (n % count) * (side + gap), 5.6 + (n // count) * (side + gap)
            shape = shapely.Polygon([(x, y), (x + side, y + 1.7), (x + side - 1.2, y + side), (x + 0.4, y + side - 0.9)])
            self.field(shape, ground)
            found.append(shape)
        return found

    def image(self, box=None, blocks=(64, 64), date=None, group="", index=0, bands=BANDS):
        """Return the picture, or the part of it in `box` (row0, row1, column0, column1), with fields cut off at its edge."""
        row0, row1, column0, column1 = box or (0, self.size, 0, self.size)
        here = np.s_[row0:row1, column0:column1]
        values = (self.values + self.grain)[:, *here][[BANDS.index(b) for b in bands]]
        fields = fields_of(self.shapes, self.crops, (column0, row0), (row1 - row0, column1 - column0))
        scene = Drawn(values, self.quality[here], bands, blocks, fields)
        meta = {"bands": list(bands), **({"date": date} if date else {})}
        frame = MapFrame((10.0, 0.0, EAST + 10 * column0, 0.0, -10.0, NORTH - 10 * row0), self.crs)
        return Image(scene, Item(f"{group}{index}", "a.tif", group, index, "scene", meta), frame)


def fields_of(shapes, crops, corner, size, ids=None):
    """Return fields as a loader gives them: what lies on the scene, in its pixels."""
    window = shapely.box(0, 0, size[1], size[0])
    kept = []
    for n, shape in enumerate(shapes):
        moved = shapely.transform(shape, lambda points: points - corner)
        inside = shapely.intersection(moved, window)
        parts = [one for one in shapely.get_parts(inside) if one.geom_type == "Polygon" and one.area > 0]
        if parts:
            rings = tuple(np.asarray(r.coords)[:-1] for one in parts for r in (one.exterior, *one.interiors))
            kept.append((n, rings, shape.area / 100, sum(one.area for one in parts) / shape.area))
    numbers = [n for n, *_ in kept]
    return Fields(
        tuple(str(n) if ids is None else ids[n] for n in numbers),
        tuple(rings for _, rings, _, _ in kept),
        tuple(crops[n] for n in numbers),
        tuple(None for _ in numbers),
        np.array([area for *_, area, _ in kept]),
        np.full(len(kept), np.nan),
        np.array([share for *_, share in kept]),
    )


def with_fields(image, fields):
    """Return the picture with other fields."""
    image.pixels.fields = fields
    return replace(image)
