"""Draw a volume with its labels as a sheet of slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from hyla import geometry
from hyla.draw import Color, color_of, sheet
from hyla.review import volumes
from hyla.schema import Schema
from hyla.types import Bools, Image, Kind, Record, Rle

Pixels = npt.NDArray[np.uint8]
TILE = 320  # pixels of the longer side of a slice
FILLED = 0.25  # share of the slice up to which a mask is tinted; larger ones would tint everything


def montage(image: Image, record: Record, schema: Schema, across: int = 4, down: int = 3) -> Pixels:
    """Return a sheet (H, W, 3) of axial slices, evenly spread over what is labelled, with the outlines of the masks.

    Slices are shown through the volume's own window, pixels as far apart as in the patient where that is known.

    Args:
        image: a volume.
        record: its labels.
        schema: of the labels.
        across: slices beside each other.
        down: rows of slices.
    """
    volume = volumes.prepare(image)
    masks = _masks(record)
    chosen = _spread(masks, volume.voxels.shape[0], across * down)
    spacing, _ = volumes.geometry(record.frame)
    tiles = []
    for index in chosen:
        tile = np.repeat(volumes.plane(volume, index)[:, :, None], 3, axis=2)
        for class_id, mask in masks:
            _paint(tile, mask[index], np.array(color_of(schema, class_id)))
        tiles.append(_scaled(tile, spacing, f"{index + 1}/{volume.voxels.shape[0]}"))
    return sheet(tiles, across, _legend(masks, schema))


def _masks(record: Record) -> list[tuple[int, Bools]]:
    """Return class ids and masks of volumes, the largest first, so that small ones lie on top."""
    labels = record.labels
    found: list[tuple[int, Rle]] = list(zip(labels.class_id.tolist(), labels.shape.tolist(), strict=True))
    found = [one for one, kind in zip(found, labels.kind, strict=True) if kind == Kind.MASK and len(one[1].size) == 3]
    return [(c, geometry.decode(rle)) for c, rle in sorted(found, key=lambda one: -geometry.rle_area(one[1]))]


def _spread(masks: list[tuple[int, Bools]], depth: int, wanted: int) -> list[int]:
    labelled = np.zeros(depth, dtype=bool)
    for _, mask in masks:
        labelled |= mask.any(axis=(1, 2))
    first, last = (int(np.argmax(labelled)), depth - 1 - int(np.argmax(labelled[::-1]))) if labelled.any() else (0, depth - 1)
    return sorted({round(z) for z in np.linspace(first, last, min(wanted, last - first + 1))})


def _paint(tile: Pixels, mask: Bools, color: npt.NDArray[Any]) -> None:
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    if mask.mean() <= FILLED:
        tile[inner] = (0.75 * tile[inner] + 0.25 * color).astype(np.uint8)
    tile[mask & ~inner] = color


def _scaled(tile: Pixels, spacing: list[float] | None, words: str) -> Pillow.Image:
    _, dy, dx = spacing or (1.0, 1.0, 1.0)
    height, width = tile.shape[0] * dy, tile.shape[1] * dx
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Pillow.fromarray(tile).resize(size, Pillow.Resampling.BICUBIC)
    ImageDraw.Draw(picture).text(
        (4, 3), words, font=ImageFont.load_default(13), fill="white", stroke_width=2, stroke_fill="black"
    )
    return picture


def _legend(masks: list[tuple[int, Bools]], schema: Schema) -> list[tuple[str, Color]]:
    return [(schema.names[c], color_of(schema, c)) for c in sorted({c for c, _ in masks})]
