"""Find and black out text that is burned into the pixels of a picture: names, numbers and dates on captures and ultrasound.

rapidocr finds and reads the text on this machine, with the networks that lie in its wheel. What was read serves to tell words
from other marks, and is then forgotten: only regions leave this module.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError

Box = tuple[int, int, int, int]
MARKER = 2  # letters: L, R, AP, PA say which side or view it is, and name nobody
MARGIN = 4
TILE, OVERLAP = 960, 160  # pixels; in larger pictures the reader overlooks small letters
_lock = Lock()
_engine: Any = None


def available() -> bool:
    """Tell whether rapidocr is installed, without importing it."""
    from importlib.util import find_spec

    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


def regions(pixels: npt.NDArray[Any]) -> list[Box]:
    """Return where text is in a picture, as (x0, y0, x1, y1) in pixels, from top to bottom; markers of a side or view are left.

    Any thread may call this; one at a time is served.

    Args:
        pixels: (H, W), (H, W, 1) or (H, W, 3) numbers of any type, shown from the lowest as black to the highest as white.

    Raises:
        ConfigError: if rapidocr is not installed.
    """
    shown = _shown(pixels)
    if not shown.size or min(shown.shape[:2]) < 8 or shown.min() == shown.max():
        return []
    height, width = shown.shape[:2]
    found = {box for y in _starts(height) for x in _starts(width) for box in _read(shown[y : y + TILE, x : x + TILE], x, y)}
    if (step := -(-max(height, width) // TILE)) > 1:  # letters larger than a tile
        found |= {tuple(step * v for v in box) for box in _read(np.ascontiguousarray(shown[::step, ::step]))}
    return sorted(found, key=lambda box: (box[1], box[0]))


def _starts(length: int) -> range:
    return range(0, max(length - OVERLAP, 1), TILE - OVERLAP)


def _read(tile: npt.NDArray[np.uint8], left: int = 0, top: int = 0) -> list[Box]:
    """Return the boxes of the text in a tile that begins at (left, top) of its picture."""
    with _lock:
        found = _reader()(np.ascontiguousarray(tile), use_det=True, use_cls=False, use_rec=True)
    if found.boxes is None:
        return []
    height, width = tile.shape[:2]
    out = []
    for corners, text in zip(np.asarray(found.boxes), found.txts, strict=True):
        low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
        wide, tall = (high - low).tolist()
        if not _is_mark(str(text), wide, tall, width * height):
            (x0, y0), (x1, y1) = low.clip(0).astype(int).tolist(), high.clip(0, (width, height)).astype(int).tolist()
            out.append((left + x0, top + y0, left + x1, top + y1))
    return out


def redact(pixels: npt.NDArray[Any], boxes: Sequence[Sequence[float]], margin: int = MARGIN) -> npt.NDArray[Any]:
    """Return a copy of `pixels` (H, W) or (H, W, C) whose `boxes`, and `margin` pixels around each, have its lowest value."""
    out = pixels.copy()
    if not out.size:
        return out
    black = out.min()
    for x0, y0, x1, y1 in boxes:
        top, left = max(int(y0) - margin, 0), max(int(x0) - margin, 0)
        out[top : max(int(np.ceil(y1)) + margin, 0), left : max(int(np.ceil(x1)) + margin, 0)] = black
    return out


def _is_mark(text: str, width: float, height: float, area: float) -> bool:
    """Tell whether one or two letters were read, in a box too narrow to hold more, or one so large that it is the anatomy."""
    few = sum(map(str.isalnum, text)) <= MARKER
    return few and (width <= 1.5 * height * MARKER or width * height > area / 4)


def _shown(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return (H, W, 3) bytes, from the lowest value as 0 to the highest as 255."""
    values = pixels if pixels.ndim == 3 else pixels[..., None]
    if values.dtype != np.uint8:
        wide = np.nan_to_num(values.astype(np.float32))
        low, high = (float(wide.min()), float(wide.max())) if wide.size else (0.0, 0.0)
        values = ((wide - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)
    return np.ascontiguousarray(values[..., :3] if values.shape[2] >= 3 else values[..., :1].repeat(3, axis=2))


def _reader() -> Any:
    """Return the one engine, built when first needed."""
    global _engine  # its networks take a second to load
    if _engine is None:
        try:
            from rapidocr import RapidOCR
        except ImportError as e:
            raise ConfigError("finding text in pixels needs rapidocr", "pip install 'hyla-healthcare[ocr]'") from e
        # Its logger would name what it reads.
        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
        _engine = RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False})
    return _engine
