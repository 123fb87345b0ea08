"""Print the faces of the packs of the sample shop: brand, variety, size, claims and a pattern in the colours of the brand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from hyla_retail.sample_goods import COLOURS, Colour, Good

Floats = npt.NDArray[np.float32]


@cache
def font(size: int) -> Any:
    """Return Pillow's own font at a size in pixels."""
    return ImageFont.load_default(size)


def fitted(text: str, width: float, height: float) -> Any:
    """Return the font at which a line of text just fits."""
    size = max(int(height), 6)
    return font(max(6, min(size, int(size * width / max(font(size).getlength(text), 1)))))


def write(
    draw: ImageDraw.ImageDraw,
    text: str,
    centre: tuple[float, float],
    width: float,
    height: float,
    fill: Colour,
    bold: float = 0.0,
) -> None:
    """Write a line of text around a point, within a width and a height in pixels."""
    face = fitted(text, width, height)
    draw.text(centre, text, fill=fill, font=face, anchor="mm", stroke_width=round(face.size * bold), stroke_fill=fill)


def face(good: Good, width: int, height: int, whole: float = 1.0) -> Floats:
    """Return the printed face of a pack (height, width, 3); words keep to the middle `whole` of its width."""
    main, second, _ = (COLOURS[name] for name in good.colours)
    picture = Image.new("RGB", (width, height), main)
    draw = ImageDraw.Draw(picture)
    PATTERNS[good.pattern](draw, width, height, second)
    room, middle = 0.86 * width * whole, width / 2
    ink = COLOURS["white"] if sum(main) < 480 else COLOURS["black"]
    plate = COLOURS["white"] if good.pattern in ("rays", "dots", "stripes") else main
    half = room / 2 + 0.04 * width * whole
    draw.rounded_rectangle((middle - half, 0.13 * height, middle + half, 0.36 * height), 0.04 * width, plate)
    write(draw, good.brand, (middle, 0.245 * height), room, 0.2 * height, ink if plate == main else main, 0.03)
    on_second = good.pattern in ("band", "fruit")
    draw.rounded_rectangle(
        (middle - half, 0.4 * height, middle + half, 0.55 * height), 0.03 * width, second if on_second else main
    )
    under = sum(second if on_second else main) < 480
    write(
        draw, good.variety, (middle, 0.475 * height), room, 0.13 * height, COLOURS["white"] if under else COLOURS["black"], 0.02
    )
    words = " ".join(good.claims[:1]).replace("_", " ").upper()
    if words:
        draw.rounded_rectangle(
            (middle - half * 0.8, 0.6 * height, middle + half * 0.8, 0.69 * height), 0.03 * height, (40, 120, 60)
        )
        write(draw, words, (middle, 0.645 * height), room * 0.72, 0.065 * height, COLOURS["white"])
    draw.rounded_rectangle((middle - half * 0.7, 0.84 * height, middle + half * 0.7, 0.96 * height), 0.02 * height, main)
    write(draw, good.printed, (middle, 0.9 * height), room * 0.66, 0.1 * height, ink, 0.02)
    return np.asarray(picture, np.float32)


def _stripes(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    for n in range(-3, 10, 2):
        draw.polygon([(n * w / 6, 0), ((n + 1) * w / 6, 0), ((n + 3) * w / 6, h), ((n + 2) * w / 6, h)], second)


def _dots(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    step = w / 6
    for row in range(int(h / step) + 1):
        for column in range(7):
            x, y = (column + row % 2 / 2) * step, row * step
            draw.ellipse((x - step / 4, y - step / 4, x + step / 4, y + step / 4), second)


def _wave(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    x = np.linspace(0, w, 40)
    top, bottom = (h * (y + 0.05 * np.sin(x / w * 2 * np.pi)) for y in (0.6, 0.76))
    draw.polygon([*zip(x, top, strict=True), *zip(x[::-1], bottom[::-1], strict=True)], second)


def _band(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    draw.rectangle((0, 0.38 * h, w, 0.57 * h), second)
    draw.rectangle((0, 0.05 * h, w, 0.08 * h), second)


def _fruit(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    draw.rectangle((0, 0.38 * h, w, 0.57 * h), second)
    for x in (0.3, 0.5, 0.7):
        r = 0.11 * min(w, h)
        draw.ellipse((x * w - r, 0.75 * h - r, x * w + r, 0.75 * h + r), second)


def _rays(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    for n in range(0, 24, 2):
        a, b = (2 * np.pi * (n + k) / 24 for k in (0, 1))
        reach = w + h
        draw.polygon([(w / 2, 0.6 * h), *((w / 2 + reach * np.cos(t), 0.6 * h + reach * np.sin(t)) for t in (a, b))], fill=second)


def _leaf(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    for x, y in ((0.12, 0.2), (0.88, 0.3), (0.15, 0.75), (0.85, 0.72)):
        draw.ellipse((x * w - 0.06 * w, y * h - 0.12 * h, x * w + 0.06 * w, y * h + 0.12 * h), second)


def _plain(draw: ImageDraw.ImageDraw, w: int, h: int, second: Colour) -> None:
    draw.rectangle((0.04 * w, 0.03 * h, 0.96 * w, 0.97 * h), outline=second, width=max(2, w // 40))


PATTERNS: dict[str, Callable[[ImageDraw.ImageDraw, int, int, Colour], None]] = {
    "stripes": _stripes,
    "dots": _dots,
    "wave": _wave,
    "band": _band,
    "fruit": _fruit,
    "rays": _rays,
    "leaf": _leaf,
    "plain": _plain,
}
