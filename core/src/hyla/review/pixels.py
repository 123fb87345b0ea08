"""Turn samples of any type into the 8 bits that a screen shows, and those into JPEG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from hyla.review.problems import Refused
from hyla.types import Bools

Pixels = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Limits = tuple[float, float]
Stretch = tuple[int, int] | None  # percentiles that become black and white; None for the whole range of the type
DEFAULT: Stretch = (2, 98)
QUALITY = 85
SAMPLE = 1_000_000  # pixels that percentiles are taken from


def default_stretch(pixels: npt.DTypeLike) -> Stretch:
    """Return how samples of a dtype are stretched if nobody says otherwise: bytes and bits not at all."""
    return None if np.dtype(pixels).kind == "b" or np.dtype(pixels) == np.uint8 else DEFAULT


def parse_stretch(text: str | None, pixels: npt.DTypeLike) -> Stretch:
    """Return the stretch that `2-98` or `none` means, the default for nothing; raise Refused (422) for anything else."""
    if not text:
        return default_stretch(pixels)
    if text == "none":
        return None
    found = re.fullmatch(r"([0-9]{1,2})-([0-9]{1,3})", text)
    if not found or not int(found[1]) < int(found[2]) <= 100:
        raise Refused(422, "stretch", "stretch is none, or two percentiles such as 2-98")
    return int(found[1]), int(found[2])


def parse_bands(text: str | None, count: int, default: Sequence[int]) -> tuple[int, ...]:
    """Return one or three bands, from 1, of `3,2,1`, or the default for nothing; raise Refused (422) for what is not there."""
    if not text:
        return tuple(default)
    if not re.fullmatch(r"[0-9]{1,5}(,[0-9]{1,5}){2}|[0-9]{1,5}", text):
        raise Refused(422, "bands", "bands are one number or three, such as 3,2,1")
    bands = tuple(int(word) for word in text.split(","))
    if not all(1 <= band <= count for band in bands):
        raise Refused(422, "bands", f"there are bands 1 to {count}")
    return bands


def default_bands(count: int) -> tuple[int, ...]:
    """Return the bands to show of `count`, from 1: the first three as red, green and blue, or the first as grey."""
    return (1, 2, 3) if count >= 3 else (1,)


def valid(pixels: Pixels, nodata: float | None) -> Bools:
    """Return which samples are numbers and not `nodata`, in the shape of `pixels`."""
    finite = np.isfinite(pixels) if pixels.dtype.kind == "f" else np.ones(pixels.shape, dtype=bool)
    return finite if nodata is None else finite & (pixels != nodata)


def limits(band: Pixels, known: Bools, stretch: Stretch) -> Limits:
    """Return the samples that become black and white.

    Args:
        band: of any shape.
        known: which of its samples count.
        stretch: percentiles; None for the whole range of the type, or of the samples where those are floats.
    """
    if stretch is None and band.dtype.kind in "iu":
        return float(np.iinfo(band.dtype).min), float(np.iinfo(band.dtype).max)
    step = max(1, int(np.sqrt(band.size / SAMPLE)))
    seen = band[..., ::step, ::step] if band.ndim > 1 else band[::step]
    values = seen[known[..., ::step, ::step] if band.ndim > 1 else known[::step]]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values.astype(np.float64), stretch or (0, 100))
    return float(low), float(high)


def to_bytes(band: Pixels, known: Bools, between: Limits) -> Bytes:
    """Return `band` as 0 to 255 between its limits; what is not known is black."""
    if band.dtype == bool:
        return np.where(known & band, np.uint8(255), np.uint8(0))
    low, high = between
    if band.dtype == np.uint8 and (low, high) == (0, 255):
        out = band
    else:
        scale = 255 / (high - low) if high > low else 0.0
        shifted = (np.where(known, band, 0).astype(np.float32) - np.float32(low)) * np.float32(scale)
        out = np.rint(np.clip(shifted, 0, 255)).astype(np.uint8)
    return out if known.all() else np.where(known, out, np.uint8(0))


def flat(pixels: Pixels, nodata: float | None = None) -> Bytes:
    """Return a picture (H, W, C) of any type as grey (H, W) or RGB (H, W, 3) with the default bands and stretch."""
    stretch = default_stretch(pixels.dtype)
    shown = [pixels[..., band - 1] for band in default_bands(pixels.shape[2])]
    if stretch is None and nodata is None and pixels.dtype == np.uint8:
        return shown[0] if len(shown) == 1 else np.ascontiguousarray(pixels[..., :3])
    known = [valid(band, nodata) for band in shown]
    layers = [to_bytes(band, ok, limits(band, ok, stretch)) for band, ok in zip(shown, known, strict=True)]
    return layers[0] if len(layers) == 1 else np.stack(layers, axis=-1)


def jpeg(pixels: Bytes, size: tuple[int, int] | None = None) -> bytes:
    """Return a picture (H, W) or (H, W, 3) as JPEG, without metadata, scaled to `size` (width, height) if given."""
    picture = Pillow.fromarray(pixels)
    if size is not None and size != picture.size:
        larger = size[0] > picture.size[0]
        picture = picture.resize(size, Pillow.Resampling.BICUBIC if larger else Pillow.Resampling.LANCZOS, reducing_gap=2.0)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
