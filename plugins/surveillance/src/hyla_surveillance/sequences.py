"""Find pictures that follow each other in time: MOTChallenge folders, and folders of numbered or timed pictures."""

from __future__ import annotations

import re
from configparser import ConfigParser
from configparser import Error as IniError
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from hyla_surveillance.moments import moment_of

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

    They are one if each name has a number of its own at its end. If each also holds a moment, those tell the time; else the
    numbers do, with `rate` frames per second.

    Args:
        names: of the files; fewer than three are no sequence, unless `begin` is given.
        rate: frames per second of numbered pictures.
        zone: of the moments in names.
        begin: number of the picture at 0 s; None for the first that is there.
    """
    if len(names) < (3 if begin is None else 1):
        return None
    moments = [(moment, name) for name in names if (moment := moment_of(Path(name).stem, zone)) is not None]
    if len(moments) == len(names):
        moments.sort()
        if all(a < b for (a, _), (b, _) in pairwise(moments)):
            first = moments[0][0]
            return [Shot(name, i, moment - first, moment) for i, (moment, name) in enumerate(moments)]
    numbers = {int(found.group()): name for name in names if (found := re.search(r"\d+$", Path(name).stem))}
    if len(numbers) < len(names):
        return None
    first = min(numbers) if begin is None else min(begin, *numbers)
    return [Shot(numbers[n], n - first, (n - first) / rate) for n in sorted(numbers)]


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
