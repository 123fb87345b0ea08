"""Find pictures that follow each other in time: MOTChallenge folders, and folders of numbered or timed pictures."""

from __future__ import annotations

import re
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from hyla_surveillance.moments import Stamp, stamp_of

INFO = "seqinfo.ini"
MAX_INFO = 1 << 16  # bytes
MAX_RATE = 1000.0  # frames per second


@dataclass(frozen=True)
class Info:
    """Hold what a MOTChallenge seqinfo.ini says; zeros and empty text where it does not.

    Args:
        name: of the sequence.
        folder: of its pictures, beside the file.
        rate: frames per second.
    """

    name: str = ""
    folder: str = "img1"
    rate: float = 0.0


@dataclass(frozen=True)
class Shot:
    """Place one picture of a sequence.

    Args:
        name: of its file.
        index: counted from the first number, so that a missing picture leaves a gap.
        seconds: from the first picture.
        utc: seconds since 1970, where its name says; else None.
    """

    name: str
    index: int
    seconds: float
    utc: float | None = None


def read_info(pictures: Path) -> Info | None:
    """Return what the seqinfo.ini of a folder of pictures says: beside it, or in it; None where there is none that is of it."""
    for path in (pictures.parent / INFO, pictures / INFO):
        info = _info(path)
        if info is not None and (path.parent == pictures or info.folder == pictures.name):
            return info
    return None


def sequence(names: list[str], rate: float, zone: ZoneInfo, begin: int | None = None) -> list[Shot] | None:
    """Return the pictures of one folder in the order of time; None if they are no sequence.

    They are one if each name holds a moment of its own, or has a number of its own at its end. Moments tell the time; where
    several pictures share one, milliseconds behind it do, or numbers that rise from moment to moment, with `rate` frames per
    second. So do numbers without moments.

    Args:
        names: of the files; fewer than three are no sequence, unless `begin` is given.
        rate: frames per second of numbered pictures.
        zone: of the moments in names.
        begin: number of the picture at 0 s; None for the first that is there.
    """
    if len(names) < (3 if begin is None else 1):
        return None
    stamps = {name: stamp for name in names if (stamp := stamp_of(Path(name).stem)) is not None}
    if len(stamps) == len(names):
        timed = _timed(stamps, zone)
        if timed is None:
            return None
        if all(a < b for (a, _), (b, _) in pairwise(timed)):
            first = timed[0][0]
            return [Shot(name, i, moment - first, moment) for i, (moment, name) in enumerate(timed)]
    numbers = {number: name for name in names if (number := _number(Path(name).stem)) >= 0}
    if len(numbers) < len(names):
        return None
    first = min(numbers) if begin is None else min(begin, *numbers)
    return [Shot(numbers[n], n - first, (n - first) / rate) for n in sorted(numbers)]


def _timed(stamps: dict[str, Stamp], zone: ZoneInfo) -> list[tuple[float, str]] | None:
    """Return moment and name of each picture, in order; None where moments repeat and no number goes with them."""
    offsets = {stamp.offset for stamp in stamps.values()}
    if len(offsets) > 2 or ("" in offsets and len(offsets) > 1):  # a clock is set twice a year: these are counters
        stamps = {name: stamp.without_offset() for name, stamp in stamps.items()}
    rows = sorted((stamp.utc(zone), _number(stamp.rest), name) for name, stamp in stamps.items())
    if all(0 <= a < b for (_, a, _), (_, b, _) in pairwise(rows)):  # a counter through all moments
        return [(moment, name) for moment, _, name in rows]
    finer = {name: one for name, stamp in stamps.items() if (one := stamp.with_fraction()) is not None}
    if len(finer) == len(stamps):
        return sorted((stamp.utc(zone), name) for name, stamp in finer.items())
    timed = [(moment, name) for moment, _, name in rows]
    return timed if all(a < b for (a, _), (b, _) in pairwise(timed)) else None


def _number(text: str) -> int:
    """Return the number at the end of a text; -1 if it has none."""
    found = re.search(r"\d+$", text)
    return int(found.group()) if found else -1


def _info(path: Path) -> Info | None:
    try:
        if not path.is_file() or path.stat().st_size > MAX_INFO:
            return None
        parser = ConfigParser(interpolation=None, strict=False)
        parser.read_string(path.read_text(encoding="utf-8-sig"))
        values = parser["Sequence"]
    except (OSError, UnicodeDecodeError, IniError, KeyError):  # then the pictures are a plain sequence
        return None
    try:
        rate = float(values.get("frameRate", "0"))
    except ValueError:
        rate = 0.0
    return Info(values.get("name", ""), values.get("imDir", "img1"), rate if 0 < rate <= MAX_RATE else 0.0)
