"""Tell where the decimals begin in a price whose cents are printed small and high beside it, with no point between: 1⁹⁹."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from hyla.types import Bools

SMALLER = 0.8  # of the height of the first digits, which cents printed small have at most
INK = 0.2  # of the height of a line: smaller pieces are signs or specks
_DIGITS = re.compile(r"([^\w\s.,]?)\s?(\d{3,5})\s?([^\w\s.,]?)")


def with_point(text: str, line: npt.NDArray[np.uint8]) -> str:
    """Return the text of a line with a point before its last two digits, if these are printed smaller; else as it is.

    Args:
        text: what was read: three to five digits, perhaps with the sign of a currency.
        line: (h, w, 3) the picture of it.
    """
    match = _DIGITS.fullmatch(text)
    if match is None or min(line.shape[:2]) < 8:
        return text
    digits, heights = match[2], _heights(line)
    # A sign before or after the digits is a piece of its own, if it is large enough.
    spare = len(heights) - len(digits)
    if spare not in (0, len(match[1] + match[3])):
        return text
    first = len(match[1]) if spare else 0
    own = heights[first : first + len(digits)]
    if max(own[-2:]) > SMALLER * min(own[:-2]):
        return text
    return f"{match[1]}{digits[:-2]}.{digits[-2:]}{match[3]}"


def _heights(line: npt.NDArray[np.uint8]) -> list[int]:
    """Return the heights of the pieces of ink in a line, from the left, in pixels."""
    import cv2

    grey = cv2.cvtColor(np.ascontiguousarray(line), cv2.COLOR_RGB2GRAY)
    _, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    ink: Bools = np.asarray(light == (0 if light.mean() > 0.5 else 1))
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    height, width = grey.shape
    pieces = [stats[i] for i in range(1, count) if stats[i][3] >= INK * height and stats[i][2] < 0.6 * width]
    return [int(piece[3]) for piece in sorted(pieces, key=lambda piece: int(piece[0]))]
