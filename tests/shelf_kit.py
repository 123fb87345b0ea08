"""Draw shelves whose truth is known to the pixel, in another manner than the sample does, and compare boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from hyla import geometry
from hyla.schema import Schema
from hyla.types import Image, Item, Labels

SCHEMA = Schema.from_config(
    {
        "name": "shop",
        "kinds": ["box", "tag"],
        "classes": {
            "product": {},
            "fruit": {"parent": "product"},
            "bottle": {"kinds": ["tag"]},
            "price_label": {"kinds": ["box"]},
            "gap": {"kinds": ["box"]},
        },
        "attributes": {"shelf": {"type": "integer", "minimum": 1}, "position": {"type": "integer", "minimum": 1}},
    }
)
ROW, RAIL, WIDTH = 260, 34, 1300
COLOURS = [
    (196, 40, 40),
    (30, 90, 180),
    (240, 200, 30),
    (40, 140, 70),
    (120, 50, 140),
    (230, 120, 30),
    (40, 40, 46),
    (235, 235, 230),
]


@dataclass
class Shelf:
    """Hold a drawn picture (H, W, 3) and its truth: boxes (n, 4) by class, and shelf and position of the products."""

    pixels: np.ndarray
    truth: dict[str, np.ndarray]
    shelf: np.ndarray
    position: np.ndarray

    def image(self, context: Mapping[str, Any] | None = None) -> Image:
        """Return it as a loader does."""
        return Image(self.pixels, Item("drawn", "drawn.png"), context=dict(context or {}))


def draw(rows: int = 3, seed: int = 0, empty: tuple[tuple[int, int], ...] = (), labels: bool = True) -> Shelf:
    """Draw `rows` shelves full of packs that repeat; `empty` are (shelf, block), from 0, of which nothing is left."""
    rng = np.random.default_rng(seed)
    canvas = np.full((rows * (ROW + RAIL) + 30, WIDTH, 3), 150, np.uint8)
    found: dict[str, list[tuple[float, ...]]] = {"product": [], "price_label": [], "gap": []}
    shelf, position = [], []
    for row in range(rows):
        top = row * (ROW + RAIL)
        floor = top + ROW
        canvas[top:floor] = np.linspace(110, 168, ROW).astype(np.uint8)[:, None, None]
        canvas[floor : floor + RAIL] = (178, 60, 60)
        x, block, place = 14, 0, 0
        while True:
            width, height = int(rng.integers(70, 130)), int(rng.integers(140, 225))
            count = int(rng.integers(2, 5))
            if x + count * (width + 6) > WIDTH - 10:
                break
            pack = _pack(rng, width, height)
            for n in range(count):
                left = x + n * (width + 6)
                if (row, block) not in empty:
                    canvas[floor - height : floor, left : left + width] = pack
                    found["product"].append((left, floor - height, left + width, floor))
                    place += 1
                    shelf.append(row + 1)
                    position.append(place)
            right = x + count * (width + 6) - 6
            if (row, block) in empty:
                found["gap"].append((x, floor - height, right, floor))
            if labels:
                middle = (x + right) // 2
                canvas[floor + 5 : floor + RAIL - 5, middle - 30 : middle + 30] = 242
                cv2.putText(canvas, "2.49", (middle - 24, floor + RAIL - 11), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1)
                found["price_label"].append((middle - 30, floor + 5, middle + 30, floor + RAIL - 5))
            x, block = right + 14, block + 1
    noise = rng.normal(0, 3, canvas.shape)
    pixels = np.clip(canvas + noise, 0, 255).astype(np.uint8)
    truth = {name: np.array(boxes, dtype=np.float64).reshape(-1, 4) for name, boxes in found.items()}
    return Shelf(pixels, truth, np.array(shelf), np.array(position))


def _pack(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Return a pack (height, width, 3): its colour, a label of another colour, some print, and darker sides."""
    ground, label = rng.permutation(len(COLOURS))[:2]
    pack = np.empty((height, width, 3), np.uint8)
    pack[:] = COLOURS[ground]
    upper, lower = sorted(rng.integers(height // 5, 4 * height // 5, 2))
    pack[upper : max(lower, upper + 20)] = COLOURS[label]
    for _ in range(3):
        x, y = int(rng.integers(5, width - 30)), int(rng.integers(15, height - 15))
        cv2.putText(pack, "Abc", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (250, 250, 250), 2)
    sides = 1 - 0.5 * np.abs(np.linspace(-1, 1, width)) ** 6
    return np.clip(pack * sides[None, :, None], 0, 255).astype(np.uint8)


def warped(shelf: Shelf, matrix: np.ndarray) -> Shelf:
    """Return a shelf as a camera sees it that maps the picture by `matrix` (3, 3); boxes become the bounds of their corners."""
    height, width = shelf.pixels.shape[:2]
    pixels = cv2.warpPerspective(shelf.pixels, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    truth = {}
    for name, box in shelf.truth.items():
        corners = box[:, [[0, 1], [2, 1], [2, 3], [0, 3]]].reshape(-1, 1, 2)
        moved = cv2.perspectiveTransform(corners, matrix).reshape(-1, 4, 2) if len(box) else np.zeros((0, 4, 2))
        truth[name] = np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)
    return Shelf(np.asarray(pixels), truth, shelf.shelf, shelf.position)


def match(truth: np.ndarray, found: np.ndarray, iou: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of `truth` and of `found` that are the same object, one to one."""
    shared = geometry.iou(truth, found)
    rows, columns = linear_sum_assignment(-shared)
    same = shared[rows, columns] >= iou
    return rows[same], columns[same]


def boxes(labels: Labels, name: str) -> np.ndarray:
    """Return the boxes of the labels of class `name`."""
    return labels.box[labels.class_id == SCHEMA.class_id(name)]


def rates(shelf: Shelf, labels: Labels, name: str) -> tuple[float, float]:
    """Return recall and precision at an intersection over union of 0.5."""
    truth, found = shelf.truth[name], boxes(labels, name)
    matched = len(match(truth, found)[0])
    return matched / max(len(truth), 1), matched / max(len(found), 1)
