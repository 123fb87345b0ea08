"""Describe how a crop looks, without any weights: colour, edges, texture and layout, as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from hyla_retail.crops import Pixels

Floats32 = npt.NDArray[np.float32]
VERSION = 1  # raised when the vector of a picture changes: those of other versions can't be compared
SIDE = 64  # pixels to which crops are scaled for edges and texture
SMALL = 32  # the same, for colour
CELLS, BINS = 4, 9  # of gradients: cells along a side, and unsigned orientations (Dalal and Triggs 2005)
LEVELS, RINGS, HUES = 5, 3, 12  # of the colours: grey levels, and chromatic ones by chroma and hue at three lightnesses
SPREAD = 6.0  # CIELAB units over which a pixel is shared among neighbouring colours
PLACES = (1.0, 0.5, 0.7)  # weights of the colours of the whole, of its quarters, and of the middle half of each side


def thumbnails(crops: Sequence[Pixels], side: int) -> Pixels:
    """Return the crops (n, side, side, 3), each pressed into a square: what a crop is of does not change with its proportions.

    Of a crop that is far larger every k-th pixel is read, at least 4 per side of a target pixel, since averaging all is slow.
    """
    out = np.empty((len(crops), side, side, 3), dtype=np.uint8)
    for i, crop in enumerate(crops):
        height, width = crop.shape[:2]
        sparse = crop[:: max(1, height // (4 * side)), :: max(1, width // (4 * side))]
        larger = sparse.shape[0] >= side and sparse.shape[1] >= side
        out[i] = cv2.resize(
            np.ascontiguousarray(sparse), (side, side), interpolation=cv2.INTER_AREA if larger else cv2.INTER_LINEAR
        )
    return out


def colours(small: Pixels) -> tuple[Floats32, Floats32, Floats32]:
    """Return histograms of K colours of crops (n, s, s, 3): of the whole (n, K), of quarters (n, 4 * K), of the middle (n, K)."""
    table = _shares()
    code = (small >> 4).astype(np.int32)
    share = table[(code[..., 0] << 8) | (code[..., 1] << 4) | code[..., 2]]
    n, side, k = len(small), small.shape[1], table.shape[1]
    cells = share.reshape(n, 4, side // 4, 4, side // 4, k).mean(axis=(2, 4))
    quarters = cells.reshape(n, 2, 2, 2, 2, k).mean(axis=(2, 4)).reshape(n, -1)
    return cells.mean(axis=(1, 2)), quarters, cells[:, 1:3, 1:3].mean(axis=(1, 2))


def edges(grey: Floats32) -> Floats32:
    """Return histograms of gradient orientation (n, CELLS * CELLS * BINS) of crops (n, s, s), each scaled by the cells around."""
    dy, dx = np.zeros_like(grey), np.zeros_like(grey)
    dy[:, 1:-1], dx[:, :, 1:-1] = grey[:, 2:] - grey[:, :-2], grey[:, :, 2:] - grey[:, :, :-2]
    size = np.hypot(dx, dy)
    place = np.arctan2(dy, dx) * np.float32(BINS / np.pi) % BINS
    low = np.floor(place)
    upper = place - low
    n, side = len(grey), grey.shape[1]
    cell = side // CELLS
    row = np.arange(side, dtype=np.int32) // cell
    where = (row[:, None] * CELLS + row) * BINS + np.arange(n, dtype=np.int32)[:, None, None] * (CELLS * CELLS * BINS)
    length = n * CELLS * CELLS * BINS
    found = np.bincount((where + low.astype(np.int32) % BINS).ravel(), (size * (1 - upper)).ravel(), length)
    found += np.bincount((where + (low.astype(np.int32) + 1) % BINS).ravel(), (size * upper).ravel(), length)
    histogram = found.astype(np.float32).reshape(n, CELLS, CELLS, BINS)
    energy = np.pad((histogram**2).sum(axis=3), ((0, 0), (1, 1), (1, 1)))
    around = np.sqrt(sum(energy[:, i : i + CELLS, j : j + CELLS] for i in range(3) for j in range(3)))
    return np.minimum(histogram / (around[..., None] + 0.05 * SIDE), 0.3).reshape(n, -1)


def texture(grey: Floats32) -> Floats32:
    """Return histograms (n, 4 * 10) of local binary patterns (Ojala 2002: rotation-invariant, uniform, radius 1) by quarter."""
    middle = grey[:, 1:-1, 1:-1]
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    height, width = middle.shape[1:]
    code = np.zeros(middle.shape, dtype=np.uint8)
    for bit, (y, x) in enumerate(ring):
        code |= (grey[:, y : y + height, x : x + width] >= middle + 3).astype(np.uint8) << bit  # 3 grey values: less is noise
    kind = _patterns()[code]
    quarter = (np.arange(height)[:, None] >= height // 2) * 2 + (np.arange(width) >= width // 2)
    where = kind + quarter * 10 + np.arange(len(grey))[:, None, None] * 40
    found = np.bincount(where.ravel(), minlength=len(grey) * 40)
    return np.asarray(found.reshape(len(grey), 40), dtype=np.float32)


def layout(small: Pixels) -> Floats32:
    """Return the picture at 8 x 8 (n, 192) in CIELAB less its own mean: where it is light, dark and of which colour."""
    n = len(small)
    lab = lab_of(small).reshape(n, 8, small.shape[1] // 8, 8, small.shape[2] // 8, 3).mean(axis=(2, 4))
    return np.asarray((lab - lab.mean(axis=(1, 2), keepdims=True)).reshape(n, -1), dtype=np.float32)


def lab_of(pixels: Pixels) -> Floats32:
    """Return CIELAB (..., 3) under D65 of sRGB pixels: lightness 0 to 100, a and b in the same units."""
    flat = np.ascontiguousarray(pixels).reshape(-1, 1, 3).astype(np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2Lab), dtype=np.float32).reshape(pixels.shape)


def grey_of(pixels: Pixels) -> Floats32:
    """Return the grey values (..., ) of RGB pixels, 0 to 255 (ITU-R BT.601)."""
    return np.asarray(pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32), dtype=np.float32)


@cache
def _shares() -> Floats32:
    """Return (4096, K): how much of an RGB colour of 4 bits a band belongs to each of K reference colours."""
    levels = [(lightness, 0.0, 0.0) for lightness in np.linspace(5, 98, LEVELS)]
    angles = np.arange(HUES) * 2 * np.pi / HUES
    chromatic = [
        (lightness, chroma * np.cos(angle), chroma * np.sin(angle))
        for lightness in (30.0, 55.0, 80.0)
        for chroma in np.linspace(28, 65, RINGS)
        for angle in angles
    ]
    reference = np.array(levels + chromatic, dtype=np.float32)
    steps = np.arange(16, dtype=np.uint8) * 17
    every = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    apart = ((lab_of(every) - reference[None]) ** 2).sum(axis=2)
    share = np.exp(-(apart - apart.min(axis=1, keepdims=True)) / (2 * SPREAD**2))
    return np.asarray(share / share.sum(axis=1, keepdims=True), dtype=np.float32)


@cache
def _patterns() -> npt.NDArray[np.int64]:
    """Return (256,): number of set neighbours of a pattern with at most two changes around the ring, 9 for any other."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    changes = (bits != np.roll(bits, 1, axis=1)).sum(axis=1)
    return np.where(changes <= 2, bits.sum(axis=1), 9)
