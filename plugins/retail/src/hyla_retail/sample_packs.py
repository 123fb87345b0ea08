"""Draw the packs of the sample shop: bottle, can, carton, jar, bag, box, tray, each with its light and shade."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from hyla_retail.sample_goods import COLOURS, Colour, Good
from hyla_retail.sample_prints import Floats, face

Pixels = npt.NDArray[np.uint8]
FINE = 2  # drawn so much larger, and reduced, so that edges are smooth
ROUND = ("bottle", "flask", "can", "jar")


def _shoulder(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    """Return points of a smooth line from a neck out to a body."""
    return [(x0 + (x1 - x0) * t * t * (3 - 2 * t), y0 + (y1 - y0) * t) for t in np.linspace(0, 1, 12).tolist()]


# Right halves of the outlines, from the top, in shares of width and height.
FOOT = ((1, 0.965), (0.99, 0.985), (0.96, 0.997), (0.93, 1))
BOTTLE = ((0.34, 0), (0.67, 0), (0.67, 0.085), (0.655, 0.09), *_shoulder(0.66, 0.2, 1, 0.48), *FOOT)
FLASK = ((0.32, 0), (0.68, 0), (0.68, 0.15), *_shoulder(0.72, 0.15, 1, 0.3), *FOOT)
CAN = ((0.1, 0), (0.9, 0), (0.92, 0.03), (1, 0.08), (1, 0.94), (0.94, 0.985), (0.9, 1))
JAR = ((0.07, 0), (0.93, 0), (0.94, 0.15), *_shoulder(0.88, 0.155, 1, 0.24), *FOOT)
CARTON = ((0.04, 0), (0.96, 0), (0.96, 0.05), (0.94, 0.055), (1, 0.17), (1, 1))
TRAY = ((0, 0.06), (1, 0.06), (0.95, 1))
BOX = ((0, 0), (1, 0), (1, 1))


def pack(good: Good, turn: float = 0.0) -> Pixels:
    """Return a pack as it stands on the shelf (height, width, 4) RGBA; round ones are turned by a share of half their girth."""
    return _pack(good, turn if good.shape in ROUND else 0.0)


@cache
def _pack(good: Good, turn: float) -> Pixels:
    width, height = good.width * FINE, good.height * FINE
    rgb = SHAPES[good.shape](good, width, height, turn)
    outline = Image.new("L", (width, height))
    ImageDraw.Draw(outline).polygon(silhouette(good, width, height), fill=255)
    rgba = np.empty((height, width, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = np.clip(rgb, 0, 255), np.asarray(outline)
    return np.asarray(cv2.resize(rgba, (good.width, good.height), interpolation=cv2.INTER_AREA), np.uint8)


def silhouette(good: Good, width: float, height: float) -> list[tuple[float, float]]:
    """Return the outline of a pack in pixels of a picture of that size, clockwise."""
    if good.shape == "bag":
        teeth = [(x / 24, 0.012 * (x % 2)) for x in range(25)]
        right = [(1, 0.04), (0.975, 0.12), (0.995, 0.5), (0.975, 0.9), (1, 0.96)]
        left = [(1 - x, y) for x, y in reversed(right)]
        return [(x * width, y * height) for x, y in [*teeth, *right, *((1 - x, 1 - y) for x, y in teeth), *left]]
    half = {"bottle": BOTTLE, "flask": FLASK, "can": CAN, "jar": JAR, "carton": CARTON, "tray": TRAY}.get(good.shape, BOX)
    right = [one for one in half if one[0] >= 0.5]
    whole = [*right, *((1 - x, y) for x, y in reversed(right))]
    return [(x * (width - 1), y * (height - 1)) for x, y in whole]


def _around(flat: Floats, width: int, turn: float) -> Floats:
    """Return a face laid around a cylinder, seen from the front: `flat` spans the visible half of its girth."""
    x = (np.arange(width) + 0.5) / width * 2 - 1
    across = (np.arcsin(x) / np.pi + 0.5 + turn) * flat.shape[1]
    return np.asarray(flat[:, np.clip(across, 0, flat.shape[1] - 1).astype(int)])


def _round(width: int, gloss: float) -> Floats:
    """Return the light across a cylinder (1, width, 2): what colours are multiplied by, and the white that is added."""
    x = np.linspace(-1, 1, width)
    body = 0.5 + 0.55 * np.sqrt(np.maximum(1 - (x + 0.15) ** 2 / 1.4, 0))
    shine = gloss * (np.exp(-(((x + 0.5) / 0.1) ** 2)) + 0.4 * np.exp(-(((x - 0.72) / 0.06) ** 2)))
    return np.stack([body, shine], axis=-1)[None].astype(np.float32)


def _lit(rgb: Floats, light: Floats) -> Floats:
    return np.asarray(rgb * light[..., :1] + light[..., 1:])


def _filled(width: int, height: int, colour: Colour) -> Floats:
    return np.broadcast_to(np.asarray(colour, np.float32), (height, width, 3)).copy()


def _label(rgb: Floats, good: Good, top: float, bottom: float, turn: float) -> None:
    """Stick the face of a good around a round pack, from `top` to `bottom` of its height."""
    height, width = rgb.shape[:2]
    y0, y1 = int(top * height), int(bottom * height)
    rgb[y0:y1] = _around(face(good, int(width * np.pi / 2), y1 - y0, 0.62), width, turn)


def _can(good: Good, width: int, height: int, turn: float) -> Floats:
    rgb = _filled(width, height, (188, 190, 194))
    _label(rgb, good, 0.06, 0.955, turn)
    rgb[: int(0.012 * height)] = 120
    return _lit(rgb, _round(width, 70))


def _bottle(good: Good, width: int, height: int, turn: float) -> Floats:
    main, second, inside = (COLOURS[name] for name in good.colours)
    clear = good.kind in ("water", "spirits")
    rgb = _filled(width, height, (196, 212, 220) if clear else inside)
    rgb[int(0.1 * height) : int(0.32 * height)] *= 1.0 if clear else 0.85
    _label(rgb, good, 0.5, 0.9, turn)
    rgb[: int(0.09 * height)] = main if clear or good.kind == "soft_drink" else second
    return _lit(rgb, _round(width, 95))


def _flask(good: Good, width: int, height: int, turn: float) -> Floats:
    _, second, inside = (COLOURS[name] for name in good.colours)
    rgb = _filled(width, height, inside)
    rgb[: int(0.15 * height)] = second
    _label(rgb, good, 0.3, 0.95, turn)
    return _lit(rgb, _round(width, 45))


def _jar(good: Good, width: int, height: int, turn: float) -> Floats:
    _, second, inside = (COLOURS[name] for name in good.colours)
    rgb = _filled(width, height, inside)
    rgb[: int(0.15 * height)] = np.asarray(second, np.float32) * 0.9
    rgb[: int(0.15 * height), ::14] *= 0.8
    _label(rgb, good, 0.3, 0.9, turn)
    return _lit(rgb, _round(width, 90))


def _carton(good: Good, width: int, height: int, _turn: float) -> Floats:
    rgb = _filled(width, height, COLOURS["white"])
    top = int(0.17 * height)
    rgb[top:] = face(good, width, height - top)
    rgb[:top] = np.asarray(COLOURS[good.colours[0]], np.float32) * np.linspace(1.15, 0.8, top)[:, None, None]
    rgb[: int(0.05 * height)] = np.asarray(COLOURS[good.colours[0]], np.float32) * 0.75
    centre, r = (width // 2, int(0.11 * height)), int(0.11 * width)
    cv2.circle(rgb, centre, r, (235, 235, 235), -1, cv2.LINE_AA)
    cv2.circle(rgb, centre, r, (150, 150, 150), 3, cv2.LINE_AA)
    return _edged(rgb)


def _box(good: Good, width: int, height: int, _turn: float) -> Floats:
    return _edged(face(good, width, height))


def _edged(rgb: Floats) -> Floats:
    """Return a flat face with the light and dark of its edges."""
    height, width = rgb.shape[:2]
    light = np.linspace(1.06, 0.94, width) * np.linspace(1.04, 0.95, height)[:, None]
    out = np.asarray(rgb * light[..., None].astype(np.float32))
    out[:, : max(2, width // 80)] *= 1.12
    out[:, -max(3, width // 50) :] *= 0.68
    out[-max(3, height // 90) :] *= 0.72
    return out


def _bag(good: Good, width: int, height: int, _turn: float) -> Floats:
    rgb = face(good, width, height)
    y, x = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    puff = 0.68 + 0.42 * np.sqrt(np.clip(1 - 0.75 * (x * x) ** 2 - 0.75 * (y * y) ** 3, 0, 1))
    seed = int(good.sku)
    folds = 0.07 * np.sin(9 * x + 7 * y + 3 * np.sin(4 * y + seed)) * (x * x + 0.3 * (y * y) ** 2)
    shine = 60 * np.exp(-(((x + 0.45 + 0.1 * np.sin(5 * y + seed)) / 0.07) ** 2)) * (np.abs(y) < 0.8)
    out = rgb * (puff + folds)[..., None] + shine[..., None]
    for y0, y1 in ((0, 0.055), (0.945, 1)):
        seam = out[int(y0 * height) : int(y1 * height)]
        seam *= 0.85
        seam[:, ::8] *= 0.8
    return np.asarray(out)


def _tray(good: Good, width: int, height: int, _turn: float) -> Floats:
    rng = np.random.default_rng(int(good.sku))
    picture = Image.new("RGB", (width, height), (46, 60, 50))
    draw = ImageDraw.Draw(picture)
    colour = np.array(COLOURS[good.colours[2]])
    r = 0.17 * height
    for row in range(3):
        for column in range(5):
            x, y = (column + 0.5 + row % 2 * 0.4) * width / 5.2, (0.27 + row * 0.27) * height
            tone = rng.uniform(0.75, 1.1)
            for k in range(5):  # from the dark rim to the light
                s, lift = r * (1 - 0.17 * k), k * 13
                fill = tuple(int(c) for c in np.clip(colour * tone * 0.8 + lift, 0, 255))
                draw.ellipse((x - s - 0.2 * k, y - s - 2 * k, x + s - 0.2 * k, y + s - 2 * k), fill=fill)
    rgb = np.asarray(picture, np.float32).copy()
    w, h = int(0.56 * width), int(0.62 * height)
    x0, y0 = (width - w) // 2, int(0.24 * height)
    rgb[y0 : y0 + h, x0 : x0 + w] = face(good, w, h)
    sheen = 45 * np.exp(-(((np.linspace(-1, 1, width)[None, :] + np.linspace(-0.3, 0.5, height)[:, None]) / 0.08) ** 2))
    return np.asarray(rgb + sheen[..., None])


SHAPES: dict[str, Callable[[Good, int, int, float], Floats]] = {
    "bottle": _bottle,
    "flask": _flask,
    "can": _can,
    "jar": _jar,
    "carton": _carton,
    "box": _box,
    "bag": _bag,
    "tray": _tray,
}
