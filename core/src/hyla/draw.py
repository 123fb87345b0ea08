"""Draw labels on pictures, for people who want to see what a run found."""

from __future__ import annotations

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from hyla import geometry
from hyla.schema import Schema
from hyla.types import Kind, Record, Verdict

GOLDEN = 0.618034  # of a turn: steps of this size spread evenly however many there are
Color = tuple[int, int, int]


def draw(pixels: npt.NDArray[Any], record: Record, schema: Schema) -> npt.NDArray[np.uint8]:
    """Return `pixels` (H, W, 3) uint8 with the labels of `record` on them; the frame's colour is the verdict.

    Labels that a flag asks a person about are dashed, with the reason.
    """
    base = Pillow.fromarray(np.ascontiguousarray(pixels)).convert("RGBA")
    layer = Pillow.new("RGBA", base.size)
    pen = ImageDraw.Draw(layer)
    scale = max(1, round(base.height / 540))
    font = ImageFont.load_default(11 * scale)
    asked = {row: flag.reason for flag in record.flags for row in flag.rows}
    for row in range(len(record.labels)):
        _draw_one(pen, layer, record, row, schema, scale)
    for row in range(len(record.labels)):
        _caption(pen, record, row, schema, asked.get(row, ""), font, scale)
    mark = {Verdict.ACCEPT: (46, 160, 67), Verdict.REVIEW: (219, 154, 4), Verdict.REJECT: (200, 40, 40)}[record.verdict]
    pen.rectangle((0, 0, base.width - 1, base.height - 1), outline=(*mark, 255), width=3 * scale)
    whole = [flag.reason for flag in record.flags if not flag.rows]
    context = [f"{k} {v}" for k, v in record.labels.context.items() if isinstance(v, str)]
    _text(pen, (6 * scale, 6 * scale), "  ".join([str(record.verdict), *context, *whole]), font, mark)
    return np.asarray(Pillow.alpha_composite(base, layer).convert("RGB"))


def color_of(schema: Schema, class_id: int) -> Color:
    """Return the colour of a class: the schema's, or one from its place in the schema, as far as can be from those before it."""
    one = schema.classes[class_id]
    if one.color:
        return tuple(int(one.color[i : i + 2], 16) for i in (1, 3, 5))  # type: ignore[return-value]
    return tuple(round(255 * c) for c in hsv_to_rgb(class_id * GOLDEN % 1, 0.85, 1.0))  # type: ignore[return-value]


def sheet(tiles: Sequence[Pillow.Image], across: int, legend: Sequence[tuple[str, Color]]) -> npt.NDArray[np.uint8]:
    """Return pictures of one size beside and below each other (H, W, 3), `across` in a row, with a legend under them."""
    width, height = tiles[0].size
    columns = min(across, len(tiles))
    rows = -(-len(tiles) // columns)
    font = ImageFont.load_default(14)
    places, x, y = [], 6, rows * height + 5
    for words, color in legend:
        wide = int(font.getlength(words)) + 30
        if x > 6 and x + wide > columns * width:
            x, y = 6, y + 20
        places.append((x, y, words, color))
        x += wide
    whole = Pillow.new("RGB", (columns * width, y + 22 if legend else rows * height), "black")
    for n, tile in enumerate(tiles):
        whole.paste(tile, (n % columns * width, n // columns * height))
    pen = ImageDraw.Draw(whole)
    for x, y, words, color in places:
        pen.rectangle((x, y + 2, x + 12, y + 14), fill=color)
        pen.text((x + 17, y), words, font=font, fill="white")
    return np.asarray(whole)


def _draw_one(pen: ImageDraw.ImageDraw, layer: Pillow.Image, record: Record, row: int, schema: Schema, scale: int) -> None:
    labels = record.labels
    color = color_of(schema, int(labels.class_id[row]))
    line, shape, width = (*color, 255), labels.shape[row], 2 * scale
    match Kind(int(labels.kind[row])):
        case Kind.BOX | Kind.CUBOID:
            pen.rectangle(tuple(labels.box[row]), outline=line, width=width)
        case Kind.ROTATED_BOX:
            pen.polygon(_points(geometry.rotated_corners(shape)), outline=line, width=width)
        case Kind.POLYGON:
            for ring in shape:
                pen.polygon(_points(ring), fill=(*color, 50), outline=line, width=width)
        case Kind.POLYLINE:
            pen.line(_points(shape), fill=line, width=2 * width, joint="curve")
        case Kind.KEYPOINTS:
            for x, y, seen in shape:
                if seen:
                    pen.ellipse((x - width, y - width, x + width, y + width), fill=line)
        case Kind.MASK:
            mask = geometry.decode(shape)
            if mask.ndim == 2:
                layer.paste((*color, 90), (0, 0), Pillow.fromarray(mask.astype(np.uint8) * 255))
                pen.rectangle(tuple(labels.box[row]), outline=line, width=scale)
        case Kind.TAG:
            pass


def _caption(pen: ImageDraw.ImageDraw, record: Record, row: int, schema: Schema, reason: str, font: Any, scale: int) -> None:
    labels = record.labels
    kind = labels.kind[row]
    x, y = labels.box[row][0], labels.box[row][1] - 14 * scale
    if kind == Kind.POLYLINE:
        x, y = labels.shape[row][int(np.argmax(labels.shape[row][:, 1]))]
        x, y = min(max(x, 4), labels.box[row][2]), y - 18 * scale
    track = f" #{labels.track[row]}" if labels.track[row] >= 0 else ""
    words = f"{schema.names[int(labels.class_id[row])]}{track} {labels.score[row]:.2f}" + (f" ? {reason}" if reason else "")
    _text(pen, (float(x), max(0.0, float(y))), words, font, color_of(schema, int(labels.class_id[row])))


def _text(pen: ImageDraw.ImageDraw, at: tuple[float, float], words: str, font: Any, color: Color) -> None:
    left, top, right, bottom = pen.textbbox(at, words, font=font)
    pen.rectangle((left - 2, top - 1, right + 2, bottom + 1), fill=(*color, 210))
    ink = (0, 0, 0, 255) if sum(color) > 380 else (255, 255, 255, 255)
    pen.text(at, words, font=font, fill=ink)


def _points(points: npt.NDArray[Any]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y, *_ in points]
