"""Find long straight lines that run roughly level across a picture, as the edges of shelves do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Ints

Grey = npt.NDArray[np.uint8]
Maps = npt.NDArray[np.float32]

STRIPS = 32  # columns of the picture that are looked at one by one; an edge counts within a strip, a rail joins strips
LEVELS = 640  # rows that positions are searched in
SLOPES = np.linspace(-0.16, 0.16, 33)  # rise per run of a rail: a tilt or perspective of up to 9 degrees
NOISE = 12.0  # grey levels of gradient that are no edge
LEAST = 0.5  # share of the gradients in a strip that must lie along the rail, from which on a strip speaks for it
FAINT = 0.3  # share from which on a line that is there goes on
CLEAR = 0.66  # the mean of that share along a rail
ROUNDS = 3  # of looking for lines: each hides what lies behind the lines of the one before
TAKEN = -1.0
SLACK = 0.03  # most by which the slope of a rail is off that of the others, in heights of the picture per width
LENGTH = 0.12  # least length of a rail, in widths of the picture


class Line(NamedTuple):
    """Hold a line over strips: the first one, the last one + 1, its level at the left end and at the right end, its strength."""

    first: int
    last: int
    start: float
    end: float
    strength: float


def lines(grey: Grey) -> list[Line]:
    """Return the lines of a grey picture (H, W), which are parallel, or nearly, as shelves in perspective are.

    The picture is divided into strips. In the strips that a line crosses, the gradients along it all point up or all point down:
    prints on packs change their direction from pixel to pixel, the edge of a board does not.
    """
    height, width = grey.shape
    return _alike(_lines(_coherence(grey), width / STRIPS * LEVELS / height))


def _coherence(grey: Grey) -> Maps:
    """Return (LEVELS, STRIPS) from 0 to 1: the share of the gradients of a strip that lies along it, all in one direction."""
    soft = cv2.GaussianBlur(grey, (3, 3), 0)
    size = (STRIPS, grey.shape[0])
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, ksize=3)
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, ksize=3)
    along, any_down, any_across = (
        cv2.blur(cv2.resize(one, size, interpolation=cv2.INTER_AREA), (1, 3)) for one in (down, np.abs(down), np.abs(across))
    )
    share = np.abs(along) / (any_down + any_across + NOISE)
    thick = max(round(0.005 * grey.shape[0]), 1)
    share = cv2.dilate(share, np.ones((thick, 1), np.uint8))  # a line that is a bit bent or off the slopes tried is one line
    return np.asarray(cv2.resize(share, (STRIPS, LEVELS), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _lines(said: Maps, run: float) -> list[Line]:
    """Return lines, the clearest first; `run` is the width of a strip in levels."""
    left = said - LEAST
    shift = np.rint(SLOPES[:, None] * (np.arange(STRIPS) - (STRIPS - 1) / 2) * run).astype(np.int64)  # (slopes, strips)
    out: list[Line] = []
    for _ in range(ROUNDS):
        total, begin, end = _runs_of_most(left, shift)
        mean = total / np.maximum(end - begin + 1, 1)
        total[(mean < CLEAR - LEAST) | (end - begin + 1 < LENGTH * STRIPS)] = -np.inf
        fresh = 0
        best = total.argmax(axis=0)  # one slope for each level; another one at the same level comes in the next round
        for level in np.argsort(-total.max(axis=0), kind="stable").tolist():
            slope = int(best[level])
            if not np.isfinite(total[slope, level]):
                break
            strips = np.arange(int(begin[slope, level]), int(end[slope, level]) + 1)
            centre = np.clip(level + shift[slope, strips], 0, LEVELS - 1)
            if (left[centre, strips] <= TAKEN).mean() > 0.3:
                continue
            strips = _longer(left, level + shift[slope], strips)
            centre = np.clip(level + shift[slope, strips], 0, LEVELS - 1)
            half = SLOPES[slope] * run / 2
            ends = level + SLOPES[slope] * (strips[[0, -1]] - (STRIPS - 1) / 2) * run + (-half, half)
            out.append(
                Line(int(strips[0]), int(strips[-1]) + 1, float(ends[0]), float(ends[1]), float(mean[slope, level]) + LEAST)
            )
            for strip, y in zip(strips, centre, strict=True):
                left[max(y - 4, 0) : y + 5, strip] = TAKEN
            fresh += 1
        if not fresh:
            break
    return out


def _longer(left: Maps, centre: Ints, strips: Ints) -> Ints:
    """Return `strips` and those beside them in which the line at levels `centre` goes on, more faintly."""
    first, last = int(strips[0]), int(strips[-1])
    inside = (centre >= 0) & (centre < LEVELS)
    faint = inside & (left[np.clip(centre, 0, LEVELS - 1), np.arange(STRIPS)] > FAINT - LEAST)
    while first > 0 and faint[first - 1]:
        first -= 1
    while last < STRIPS - 1 and faint[last + 1]:
        last += 1
    return np.arange(first, last + 1)


def _alike(lines: Sequence[Line]) -> list[Line]:
    """Return the lines whose slope is that of the others at their height: shelves are parallel, seen in perspective.

    The slope is taken to change evenly from the top of the picture to the bottom: a line through slopes over heights, that of the
    pair of lines which most others agree with, by their length and strength.
    """
    if len(lines) < 3:
        return list(lines)
    slope = np.array([(one.end - one.start) / (one.last - one.first) for one in lines])
    level = np.array([one.start + one.end for one in lines]) / (2 * LEVELS)
    weight = np.array([(one.last - one.first) * (one.strength - LEAST) for one in lines])
    i, j = np.triu_indices(len(lines), 1)
    apart = level[j] - level[i]
    usable = np.abs(apart) > 0.15
    change = np.where(usable, (slope[j] - slope[i]) / np.where(usable, apart, 1), 0)
    base = np.where(usable, slope[i] - change * level[i], (slope[i] + slope[j]) / 2)
    off = np.abs(base[:, None] + change[:, None] * level - slope)
    far = SLACK / STRIPS * LEVELS
    votes = (weight * np.maximum(1 - off / far, 0)).sum(axis=1)
    return [line for line, one in zip(lines, off[int(votes.argmax())], strict=True) if one <= far]


def _runs_of_most(left: Maps, shift: Ints) -> tuple[Maps, Ints, Ints]:
    """Return, by slope and level, the greatest sum over strips that follow each other, the first of them and the last."""
    levels = np.arange(LEVELS)
    shape = (len(shift), LEVELS)
    best, current = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.float32)
    start, begin, end = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    room = int(np.abs(shift).max())
    padded = np.pad(left, ((room, room), (0, 0)), constant_values=-1.0)
    for strip in range(left.shape[1]):
        value = padded[levels[None] + shift[:, strip, None] + room, strip]
        fresh = current <= 0
        current = np.where(fresh, value, current + value)
        start = np.where(fresh, strip, start)
        better = current > best
        best = np.where(better, current, best)
        begin, end = np.where(better, start, begin), np.where(better, strip, end)
    return best, begin, end
