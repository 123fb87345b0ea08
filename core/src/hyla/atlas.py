"""Draw a picture that lies on a map with its labels: outlines in the colours of their classes, and a legend that counts them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from hyla import geometry
from hyla.draw import Color, color_of, sheet
from hyla.lazy import LazyPixels
from hyla.review import tiles
from hyla.schema import Schema
from hyla.types import Floats, Image, Kind, Labels, Record

LEAST, MOST = 1024, 2048  # px of the longer side of what is drawn
FILL, ASKED, PLAIN = 40, 4, 2  # opacity of 255; px of an outline that a flag asks a person about, and of another
POINT = 5  # px, radius


def atlas(image: Image, record: Record, schema: Schema) -> npt.NDArray[np.uint8]:
    """Return the picture (H, W, 3) with outlines, thick where a flag asks a person, and a legend below.

    A small picture is enlarged to about 1,024 pixels, a large one made smaller than 2,048, and only what that takes is read.

    Args:
        image: that lies on a map.
        record: its labels.
        schema: of the labels.
    """
    nodata = tiles.nodata_of(record.item, image)
    lazy = isinstance(image.pixels, LazyPixels)
    raster = tiles.Lazy(image.pixels, nodata) if lazy else tiles.Decoded(image, nodata)  # type: ignore[arg-type]
    shown = tiles.Painted(raster).fit(MOST)
    rgb = shown if shown.ndim == 3 else np.repeat(shown[:, :, None], 3, axis=2)
    height, width = image.size[:2]
    scale = min(max(LEAST / max(height, width), 1.0), MOST / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = Pillow.Resampling.NEAREST if scale > 1 else Pillow.Resampling.LANCZOS
    base = Pillow.fromarray(np.ascontiguousarray(rgb)).resize(size, way).convert("RGBA")
    layer = Pillow.new("RGBA", base.size)
    pen = ImageDraw.Draw(layer)
    asked = {row for flag in record.flags for row in flag.rows}
    labels = record.labels
    for row in np.argsort(-geometry.area(labels.box), kind="stable").tolist():
        _outline(pen, labels, row, scale, color_of(schema, int(labels.class_id[row])), ASKED if row in asked else PLAIN)
    drawn = Pillow.alpha_composite(base, layer).convert("RGB")
    words = "  ".join([str(record.verdict), *[f"{k} {v}" for k, v in labels.context.items() if isinstance(v, str)]])
    at = (8, 6)
    ImageDraw.Draw(drawn).text(at, words, font=ImageFont.load_default(18), fill="white", stroke_width=2, stroke_fill="black")
    return sheet([drawn], 1, _legend(labels, schema))


def _outline(pen: ImageDraw.ImageDraw, labels: Labels, row: int, scale: float, color: Color, width: int) -> None:
    shape = labels.shape[row]
    match Kind(int(labels.kind[row])):
        case Kind.TAG | Kind.CUBOID:
            return
        case Kind.KEYPOINTS:
            for x, y, seen in shape:
                if seen:
                    x, y = float(x) * scale, float(y) * scale
                    pen.ellipse((x - POINT, y - POINT, x + POINT, y + POINT), fill=(*color, 255), outline="white")
            return
        case Kind.POLYLINE:
            pen.line(_points(shape, scale), fill=(*color, 255), width=width)
            return
        case Kind.POLYGON:
            rings = shape
        case Kind.ROTATED_BOX:
            rings = (geometry.rotated_corners(shape),)
        case Kind.MASK:
            rings = geometry.polygons_of(geometry.decode(shape))
        case _:
            x0, y0, x1, y1 = labels.box[row]
            rings = (np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]),)
    for n, ring in enumerate(rings):
        if len(ring) > 1:
            points = _points(ring, scale)
            if n == 0:
                pen.polygon(points, fill=(*color, FILL))
            pen.line([*points, points[0]], fill=(*color, 255), width=width)


def _points(ring: Floats, scale: float) -> list[tuple[float, float]]:
    return [(float(x) * scale, float(y) * scale) for x, y, *_ in ring]


def _legend(labels: Labels, schema: Schema) -> list[tuple[str, Any]]:
    ids, counts = np.unique(labels.class_id, return_counts=True)
    found = sorted(zip(counts.tolist(), ids.tolist(), strict=True), key=lambda pair: (-pair[0], pair[1]))
    return [(f"{schema.names[c]} {n}", color_of(schema, c)) for n, c in found]
