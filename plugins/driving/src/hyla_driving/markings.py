"""Find road markings in a picture: pixels that are brighter, or more yellow, than the road at both sides of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats, Image, Ints

Mask = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.uint8]

ROOT = (np.sqrt(np.arange(256) / 255) * 255).astype(np.uint8)  # evens out noise and contrast between sun and shadow
NEIGHBOUR = 0.20  # camera heights from a marking to the road beside it: a wide marking is 0.15, the narrowest lane 1.2
NEAREST = 0.015  # of the picture's height, the same distance at the horizon
CONTRAST = 8  # levels of 255 (of the square root of lightness) by which a marking stands out at least
NOISE = 4.0  # times the usual unevenness of the road by which it stands out at least


class Marks(NamedTuple):
    """Hold the cuts of markings with the rows of a picture: (n,) row, column of the centre and width, in pixels."""

    row: Floats
    column: Floats
    width: Floats


class Segments(NamedTuple):
    """Hold straight pieces of marking, column = slope * row + offset: (n,) each, `row` is the centre and `length` in pixels."""

    slope: Floats
    offset: Floats
    row: Floats
    length: Floats


def rgb8(image: Image) -> Pixels:
    """Return the picture as (H, W, 3) RGB of 8 bits: grey is repeated, further bands are left out, 16 bits are scaled."""
    pixels = image.pixels if image.pixels.ndim == 3 else image.pixels[:, :, None]
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        pixels = np.clip(np.nan_to_num(pixels.astype(np.float64)) * (255 if pixels.dtype.kind == "f" else 1), 0, 255).astype(
            np.uint8
        )
    return np.ascontiguousarray(np.repeat(pixels[:, :, :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[:, :, :3])


def find(pixels: Pixels, top: int, horizon: float) -> Mask:
    """Return a mask (H, W) of 0 and 255 of what looks like road markings, empty above row `top`.

    A pixel belongs to a marking when it is lighter than both the pixel as far to the left and the one as far to the right as a
    marking is wide (Nieto et al. 2010, https://doi.org/10.1007/s00138-009-0209-8), which no edge of a shadow is. The distance
    grows with the distance from the `horizon` row. The same is asked of yellowness, the lesser of red and green above blue.
    """
    height = len(pixels)
    red, green, blue = cv2.split(cv2.LUT(pixels[top:], ROOT))
    light = cv2.addWeighted(red, 0.5, green, 0.5, 0)
    yellow = cv2.subtract(cv2.min(red, green), blue)
    reach = NEIGHBOUR * np.maximum(np.arange(top, height) - horizon, 0) + NEAREST * height
    reach = np.maximum(np.round(1.12 ** np.round(np.log(np.maximum(reach, 2)) / np.log(1.12))), 2).astype(int)  # in steps of 12 %
    mask = np.zeros(pixels.shape[:2], np.uint8)
    starts = np.flatnonzero(np.diff(reach, prepend=0))
    for start, stop in zip(starts, [*starts[1:], len(reach)], strict=True):
        step = int(reach[start])
        mask[top + start : top + stop] = cv2.bitwise_or(_ridge(light[start:stop], step), _ridge(yellow[start:stop], step))
    return mask


def _ridge(band: npt.NDArray[Any], step: int) -> Mask:
    smooth = cv2.blur(band, (max(1, step // 4), 1))
    wide = cv2.copyMakeBorder(smooth, 0, 0, step, step, cv2.BORDER_REPLICATE)
    left, right = wide[:, : -2 * step], wide[:, 2 * step :]
    between = cv2.addWeighted(left[:, ::4], 0.5, right[:, ::4], 0.5, 0)  # what an even slope of light has in the middle
    usual = float(np.median(cv2.absdiff(smooth[:, ::4], between)))
    above = cv2.subtract(smooth, cv2.max(left, right))
    return np.asarray(cv2.threshold(above, max(CONTRAST, NOISE * 1.4826 * usual), 255, cv2.THRESH_BINARY)[1])


def cuts(mask: Mask) -> Marks:
    """Return the runs of a mask along its rows, from top to bottom and left to right."""
    height, width = mask.shape
    edged = np.zeros((height, width + 2), np.int8)
    edged[:, 1:-1] = mask != 0
    steps = np.diff(edged.ravel())
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    row = starts // (width + 2)
    length = (stops - starts).astype(np.float64)
    return Marks(row + 0.5, starts - row * (width + 2) + length / 2, length)


def segments(mask: Mask, marks: Marks) -> Segments:
    """Return the connected pieces of a mask that are straight and long: a least squares line through each one's cuts.

    A piece counts when it spans 5 rows, is 2.5 times as long as wide, and its cuts lie within a quarter of its width of the line.
    """
    top = int(marks.row[0]) if len(marks.row) else 0
    n, piece, stats, _ = cv2.connectedComponentsWithStats(mask[top:], connectivity=8)
    of: Ints = piece[marks.row.astype(int) - top, marks.column.astype(int)].astype(np.int64)
    count = np.maximum(np.bincount(of, minlength=n), 1)

    def mean(values: Floats) -> Floats:
        return np.asarray(np.bincount(of, weights=values, minlength=n) / count)

    row, column, width = mean(marks.row), mean(marks.column), mean(marks.width)
    dy, dx = marks.row - row[of], marks.column - column[of]
    yy, xy, xx = mean(dy * dy), mean(dy * dx), mean(dx * dx)
    slope = xy / np.maximum(yy, 1e-9)
    error = np.sqrt(np.maximum(xx - slope * xy, 0))
    rows = stats[:, cv2.CC_STAT_HEIGHT].astype(np.float64)
    across = np.hypot(1, slope)
    good = (rows >= 5) & (error < 0.25 * width + 1) & (rows * across > 2.5 * width / across)
    good[0] = False  # the background
    return Segments(slope[good], (column - slope * row)[good], row[good], (rows * across)[good])


def hough(mask: Mask, marks: Marks) -> Segments:
    """Return straight lines through the centres of the cuts, by the probabilistic Hough transform: for broken markings."""
    centres = np.zeros_like(mask)
    centres[marks.row.astype(int), marks.column.astype(int)] = 255
    least = 0.08 * len(mask)
    lines = cv2.HoughLinesP(centres, 1, np.pi / 180, max(8, int(least / 4)), minLineLength=least, maxLineGap=least)
    ends = (np.zeros((0, 4)) if lines is None else lines.reshape(-1, 4)).astype(np.float64)
    ends = ends[np.abs(ends[:, 3] - ends[:, 1]) >= 4]
    slope = (ends[:, 2] - ends[:, 0]) / (ends[:, 3] - ends[:, 1])
    offset = ends[:, 0] - slope * ends[:, 1]
    return Segments(slope, offset, (ends[:, 1] + ends[:, 3]) / 2, np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]))
