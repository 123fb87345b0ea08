"""Tell what a photo says of itself besides its pixels: where and when it was taken, how sharp it is, the GTIN in its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla_retail.gtin import normalise

LONGEST = 1000  # px to which a photo is reduced before its sharpness is measured, so that photos of all sizes compare
_EXIF_IFD, _TAKEN, _CHANGED = 0x8769, 0x9003, 0x0132  # EXIF 2.32: Exif IFD, DateTimeOriginal, DateTime
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d{3})")
_GTIN = re.compile(r"(?<!\d)(\d{12,14})(?!\d)|^(\d{8})(?!\d)")
_EDGES = " _-.,"


def place_of(uri: str, fixtures: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the store and the fixture that a path tells: `mill-lane/A1_2024-05-02.jpg` is A1 in mill-lane.

    The store is the first folder, if there is one. The fixture is the name of the file up to a date in it; where one of
    `fixtures` (of the planogram, in lower case) begins it, followed by no letter or digit, it is that: A1 of A1_left.
    """
    path = PurePosixPath(uri)
    stem = path.stem
    found = _DATE.search(stem)
    bare = stem[: found.start()].strip(_EDGES) if found else stem
    fixture = bare or stem
    if fixture.lower() not in fixtures:
        starts = [one for one in fixtures if stem.lower().startswith(one) and not stem[len(one) : len(one) + 1].isalnum()]
        fixture = stem[: len(max(starts, key=len))] if starts else fixture
    return {**({"store": path.parts[0]} if len(path.parts) > 1 else {}), "fixture": fixture}


def date_in(uri: str) -> str:
    """Return the date in the name of a file as YYYY-MM-DD, empty if it has none."""
    found = _DATE.search(PurePosixPath(uri).stem)
    return _day(found[0]) if found else ""


def gtin_in(uri: str) -> str:
    """Return the GTIN (14 digits) in the name of a file, such as 05449000000996_2.jpg; empty if it has none.

    Eight digits count at the start of the name alone, and not if they may be a date.
    """
    for one in _GTIN.finditer(PurePosixPath(uri).stem):
        if (number := normalise(one[0])) and not (one[2] and _DATE.fullmatch(one[0])):
            return number
    return ""


def taken(picture: Any) -> str:
    """Return the day on which an open picture was taken, by its EXIF, as YYYY-MM-DD; empty if it does not say."""
    exif = picture.getexif()
    try:
        found = exif.get_ifd(_EXIF_IFD).get(_TAKEN) or exif.get(_CHANGED)
    except Exception:  # damaged EXIF fails in many ways, and must not cost the photo
        found = None
    return _day(found) if isinstance(found, str) else ""


def sharpness(pixels: npt.NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (3 x 3) of the grey picture (H, W, 3), reduced to 1000 px on its longer side.

    Blurred and shaken photos lie lowest (Pertuz, Puig and Garcia 2013, Pattern Recognition 46:1415, measure LAP4). It depends on
    what is photographed: a plain wall is not sharp either.
    """
    import cv2

    scale = min(1.0, LONGEST / max(pixels.shape[:2]))
    size = [max(1, round(side * scale)) for side in pixels.shape[:2]]
    grey = resized(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)), size)  # grey first: a third of the work
    return round(float(cv2.Laplacian(grey, cv2.CV_32F).var(dtype=np.float64)), 2)


def resized(pixels: npt.NDArray[np.uint8], size: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Return a picture (H, W) or (H, W, 3) reduced to (height, width), by means over areas."""
    import cv2

    if tuple(size) == pixels.shape[:2]:
        return pixels
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_AREA))


def _day(text: str) -> str:
    digits = "".join(c for c in text[:10] if c.isascii() and c.isdigit())[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).isoformat()
    except ValueError:
        return ""
