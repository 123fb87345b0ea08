"""Data to test with where a plugin brings none: pictures of awkward kinds, and labels of everything that a schema allows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from hyla import geometry
from hyla.schema import KINDS, Attribute, Class, Schema
from hyla.types import NO_TRACK, Floats, Kind, Labels


def pictures(folder: Path) -> Path:
    """Write eight small pictures, each legal and awkward in its own way, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(96, dtype=np.uint8) * 2, (64, 96))
    box = np.full((80, 64, 3), 40, np.uint8)
    box[20:50, 10:40] = 220
    Pillow.fromarray(noise).save(folder / "noise.png")
    Pillow.fromarray(np.zeros((64, 96, 3), np.uint8)).save(folder / "black.png")
    Pillow.fromarray(box).save(folder / "a box.jpg", quality=95)
    Pillow.fromarray(ramp).save(folder / "grey.png")
    Pillow.fromarray(ramp.astype(np.uint16) * 257).save(folder / "sixteen bits.png")
    Pillow.fromarray(box).convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    Pillow.fromarray(noise).convert("P").save(folder / "palette.gif")
    Pillow.fromarray(noise[:9, :7]).save(folder / "tiny.png")
    return folder


def labels(schema: Schema, size: Sequence[int], seed: int) -> Labels:
    """Return a label of each class in each kind that the schema allows it, somewhere in an image of `size`.

    Every fourth is as large as the image, one pixel in a corner, or at the far edge. Attributes take allowed values and unknown.
    """
    random = np.random.default_rng(seed)
    pairs = [(i, KINDS[k]) for i, c in enumerate(schema.classes) if not c.abstract for k in c.kinds or schema.kinds if k in KINDS]
    boxes = [_box(random, size, n + seed) for n in range(len(pairs))]
    shapes = [_shape(kind, schema.classes[i], box, size) for (i, kind), box in zip(pairs, boxes, strict=True)]
    kinds = np.array([kind for _, kind in pairs], dtype=np.uint8)
    whole = np.array([0, 0, size[-1], size[-2]], dtype=np.float64)
    rows = range(len(pairs))
    exact = [
        whole
        if kinds[n] == Kind.TAG
        else boxes[n]
        if shapes[n] is None or kinds[n] == Kind.CUBOID
        else _bounds(kinds[n], shapes[n])
        for n in rows
    ]
    return Labels.of(
        [i for i, _ in pairs],
        np.array(exact).reshape(-1, 4),
        score=[(n * 7 + seed) % 11 / 10 for n in rows],
        kind=kinds,
        shape=shapes,
        track=[n if "track" in schema.kinds and n % 3 else NO_TRACK for n in rows],
        attributes={
            a.name: [_value(a, schema, pairs[n][0], n + seed) for n in rows] for a in schema.attributes_of("label").values()
        },
        context={a.name: value for a in schema.attributes_of("image").values() if (value := _legal(a, seed)) is not None},
    )


def _box(random: np.random.Generator, size: Sequence[int], n: int) -> Floats:
    height, width = size[-2:]
    match n % 4:
        case 1:
            return np.array([0.0, 0.0, width, height])
        case 2:
            return np.array([0.0, 0.0, 1.0, 1.0])
        case 3:
            return np.array([width // 2, height // 2, width, height], dtype=np.float64)
    x, y = (np.sort(random.integers(0, max(1, extent - 1), 2)).astype(np.float64) for extent in (width, height))
    return np.array([x[0], y[0], x[1] + 1, y[1] + 1])


def _shape(kind: Kind, one: Class, box: Floats, size: Sequence[int]) -> Any:
    x0, y0, x1, y1 = box
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    match kind:
        case Kind.ROTATED_BOX:
            extent = min(x1 - x0, y1 - y0) / 2  # its diagonal fits into the box at any angle
            return np.array([*middle, extent, extent, 0.3])
        case Kind.POLYGON:
            return (np.array([(x0, y0), (x1, y0), (x1, y1), middle]),)
        case Kind.POLYLINE:
            return np.array([(x0, y1), middle, (x1, y0)])
        case Kind.KEYPOINTS:
            n = len(one.keypoints) or 3
            along = np.linspace(0.1, 0.9, n)
            return np.stack([x0 + along * (x1 - x0), y0 + along * (y1 - y0), np.full(n, 2.0)], axis=1)
        case Kind.MASK:
            mask = np.zeros(tuple(size), dtype=bool)
            mask[..., int(y0) : int(y1), int(x0) : int(x1)] = True
            return geometry.encode(mask)
        case Kind.CUBOID:
            return np.array([1.0, 2.0, 20.0, 0.0, 0.0, 0.0, 1.0, 4.0, 2.0, 1.5])
        case _:
            return None


def _bounds(kind: int, shape: Any) -> Floats:
    one = np.empty(1, dtype=object)
    one[0] = shape
    return np.asarray(geometry.bounds([kind], one)[0])


def _value(attribute: Attribute, schema: Schema, class_id: int, n: int) -> Any:
    of_class = not attribute.classes or class_id in schema.under(*attribute.classes)
    return _legal(attribute, n) if of_class and n % 3 else None


def _legal(attribute: Attribute, n: int) -> Any:
    low = 0 if attribute.minimum is None else attribute.minimum
    high = low + 2 if attribute.maximum is None else attribute.maximum
    match attribute.type:
        case "choice":
            return attribute.choices[n % len(attribute.choices)]
        case "boolean":
            return bool(n % 2)
        case "integer":
            return round(high if n % 2 else low)
        case "number":
            return float(low + (high - low) / 2)
        case _:
            return f"word {n}"
