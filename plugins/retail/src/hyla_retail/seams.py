"""Divide a strip of a shelf into facings: where one pack ends and the next begins, by seams and by packs that repeat."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats, Ints

Strip = npt.NDArray[np.uint8]

EDGE = 48.0  # grey levels of change across a column that count as a whole edge
SLIT = 32.0  # grey levels by which a slit between packs is darker than both of them
SIDES = (2, 4)  # columns to the left and right of a slit where the packs begin
DIP = 5  # a dip of the outline is narrower than this part of the height
COARSE = 6  # rows that are taken together where packs are compared, so that a small shift up or down does no harm
UNLIKE = 8.0  # grey levels by which two places differ that show the same thing under other light


@dataclass(frozen=True, slots=True)
class Cut:
    """Hold what `divide` found in a strip.

    Args:
        start, end: (n,) columns of the facings, from the left, each begins where the one before ends.
        clear: (n,) 0 to 1, how clear the seams on both sides are.
        repeats: (n,) -1 to 1, how much more the pack is like its neighbour than like other places; 0 where nothing repeats.
    """

    start: Ints
    end: Ints
    clear: Floats
    repeats: Floats


def seams(strip: Strip) -> Floats:
    """Return (w,) how much a column of `strip` (h, w, 3) looks like the border of two packs: about 0 to 1.

    Half of it is the share of the height in which the colour changes there, half the share in which the column is darker than
    both its sides, as the slit between two packs is. A border may lie a column to the left or to the right, since packs lean and
    bulge.
    """
    soft = cv2.GaussianBlur(strip, (3, 5), 0).astype(np.int16)
    change = np.zeros(strip.shape[:2], np.float32)
    change[:, 1:-1] = np.abs(soft[:, 2:] - soft[:, :-2]).max(axis=2)
    light = soft.sum(axis=2).astype(np.float32) / 3
    slit = np.zeros_like(light)
    for side in SIDES:
        if 2 * side < light.shape[1]:
            lower = np.minimum(light[:, 2 * side :], light[:, : -2 * side]) - light[:, side:-side]
            slit[:, side:-side] = np.maximum(slit[:, side:-side], lower)
    near = np.ones((1, 3), np.uint8)
    edges = cv2.dilate(np.minimum(change / EDGE, 1), near).mean(axis=0)
    slits = cv2.dilate(np.clip(slit / SLIT, 0, 1), near).mean(axis=0)
    return np.asarray((edges + slits) / 2, dtype=np.float64)


def dips(tops: Floats, height: int) -> Floats:
    """Return (w,) from 0 to 1: how much lower the outline of the row is at a column than on both sides of it, as between bottles.

    Args:
        tops: (w,) row in which the packs begin, from above.
        height: of the strip.
    """
    level = np.minimum(tops, height) / height
    reach = max(height // DIP, 2)
    padded = np.pad(level, reach, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, reach)
    left, right = around[: len(level)].min(axis=1), around[reach + 1 :].min(axis=1)
    return np.asarray(np.clip(level - np.maximum(left, right), 0, 1))


def likeness(strip: Strip, widths: Ints) -> Floats:
    """Return (widths, w): how like the pack of a width that begins at a column is to what follows it on the right, -1 to 1.

    The difference of the two, averaged over the pack, is compared with that at other widths: a plain wall is like itself at every
    distance, and says nothing. Columns that have no whole neighbour get 0.
    """
    height, width = strip.shape[:2]
    coarse = cv2.resize(strip, (width, max(height // COARSE, 1)), interpolation=cv2.INTER_AREA).astype(np.int16)
    columns = np.ascontiguousarray(coarse.transpose(1, 0, 2).reshape(width, -1))
    out = np.zeros((len(widths), width))
    steps = widths[2 * widths <= width]
    if not len(steps):
        return out
    apart = np.zeros((len(steps), width), np.float32)
    for i, step in enumerate(steps):
        apart[i, : width - step] = np.abs(columns[step:] - columns[:-step]).mean(axis=1)
    there = np.maximum((np.arange(width) + steps[:, None] < width).sum(axis=0), 1)
    usual = apart.sum(axis=0) / there  # how unlike a column is to those on the right of it
    for i, step in enumerate(steps):
        own, base = _means(apart[i, : width - step], step), _means(usual[: width - step], step)
        out[i, : len(own)] = (base - own) / (base + UNLIKE)
    return out


def divide(strip: Strip, least: int, most: int, price: float = 0.55, trust: float = 1.0, tops: Floats | None = None) -> Cut:
    """Divide `strip` (h, w, 3), uint8, into packs `least` to `most` columns wide, so that the whole makes the most sense.

    Dynamic programming over the columns: each seam brings what `seams` says above the usual of the strip, each pack brings
    `trust` times its likeness to a neighbour, and costs `price`, so that no more are made than the picture tells of.
    """
    width = strip.shape[1]
    least, most = max(min(least, width), 2), max(min(most, width), 2)
    widths = np.arange(least, most + 1)
    seam = seams(strip)
    if tops is not None:
        seam = seam + dips(tops, strip.shape[0])
    usual, high = np.percentile(seam, [50, 97])
    seam = np.clip((seam - usual) / max(high - usual, 0.08), -0.5, 1.0)
    like = likeness(strip, widths)
    pair = like.copy()  # a pack repeats if it is like its right neighbour or its left one
    for i, step in enumerate(widths):
        pair[i, step:] = np.maximum(like[i, step:], like[i, :-step])
    pair = np.maximum(pair, 0)
    worth = trust * pair * np.sqrt(widths / strip.shape[0])[:, None]  # a wide pack is less likely to repeat by chance
    best = np.full(width + 1, -np.inf)
    best[0], came, places = 0.0, np.zeros(width + 1, np.int64), np.arange(len(widths))
    for end in range(1, width + 1):
        count = int(np.searchsorted(widths, end, side="right"))
        if not count:
            continue
        gain = best[end - widths[:count]] + worth[places[:count], end - widths[:count]]
        choice = int(gain.argmax())
        best[end] = gain[choice] - price + (seam[end] if end < width else 0.5)
        came[end] = end - widths[choice]
    if not np.isfinite(best[width]):
        came[width] = 0
    back = [width]
    while back[-1] > 0:
        back.append(int(came[back[-1]]))
    cuts = np.array(back[::-1])
    starts, ends = cuts[:-1], cuts[1:]
    at = np.concatenate([[0.5], seam[cuts[1:-1]], [0.5]])
    wide = ends - starts
    repeats = np.where((wide >= least) & (wide <= most), pair[np.clip(wide - least, 0, len(widths) - 1), starts], 0.0)
    return Cut(starts, ends, np.clip((at[:-1] + at[1:]) / 2, 0, 1), repeats)


def _means(values: npt.NDArray[np.float32], length: int) -> Floats:
    """Return the means of `values` over every run of `length`."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    return np.asarray((total[length:] - total[:-length]) / length)
