"""Read and write the lines and the seqinfo.ini of MOTChallenge (https://motchallenge.net, Milan et al. 2016, arXiv:1603.00831).

    ground truth   frame, id, left, top, width, height, considered (0 or 1), class, visibility
    others         frame, id, left, top, width, height, confidence, x, y, z; what is not known is -1

Frames, ids and pixels count from 1: the top-left corner of a picture is (1, 1), in Hyla (0, 0).
"""

from __future__ import annotations

import configparser
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hyla.errors import ConfigError, FormatError
from hyla.schema import Schema

PEDESTRIAN, DISTRACTOR = 1, 8
NUMBERS = {"person": PEDESTRIAN, "pedestrian": PEDESTRIAN, "car": 3, "bicycle": 4, "motorcycle": 5, "ignore": DISTRACTOR}
# Person on vehicle, non-motorised vehicle, static person, distractor, three kinds of occluder, reflection, crowd: of MOT16
# what the benchmark does not count.
UNCOUNTED = (2, 6, 7, 8, 9, 10, 11, 12, 13)
FRAME_LIMIT = 10**8  # frames of a sequence that a file may name: two years at 1 per second


@dataclass(frozen=True, slots=True)
class Line:
    """Hold one line of a file.

    Args:
        frame: from 1.
        track: -1 for none.
        box: left, top, width, height; the first pixel is (1, 1).
        seventh: considered in ground truth, else the confidence.
        number: class; 0 where the file has none.
        visibility: 0 to 1, -1 for unknown.
        where: file and line, for messages.
    """

    frame: int
    track: int
    box: tuple[float, float, float, float]
    seventh: float
    number: int
    visibility: float
    where: str


def lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file of ground truth, detections or results, told apart by their columns.

    Raises:
        FormatError: for a file that can't be read, or a line that is none of MOTChallenge.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, text in enumerate(file, 1):
                if text.strip():
                    yield _line(text.split(","), f"{path} line {number}")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} can't be read: {error}", "MOTChallenge labels are plain text") from error


def _line(words: Sequence[str], where: str) -> Line:
    if len(words) not in (6, 7, 9, 10):
        raise FormatError(
            f"{where} has {len(words)} columns", "ground truth of MOTChallenge has 9, results and detections 7 or 10"
        )
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise FormatError(f"{where}: {error}", "columns are numbers, with commas between them") from error
    if not all(map(math.isfinite, values)) or not (values[0].is_integer() and values[1].is_integer()):
        raise FormatError(f"{where}: columns must be finite, frame and id whole numbers")
    frame, track = int(values[0]), int(values[1])
    if not 1 <= frame <= FRAME_LIMIT:
        raise FormatError(f"{where}: frame {frame} is out of range", "frames count from 1")
    left, top, width, height = values[2:6]
    if width < 0 or height < 0:
        raise FormatError(f"{where}: a box of {width} x {height} pixels")
    seventh = values[6] if len(values) > 6 else -1.0
    if len(values) != 9:
        return Line(frame, max(track, -1), (left, top, width, height), seventh, 0, -1.0, where)
    if not values[7].is_integer() or seventh not in (0, 1):
        raise FormatError(f"{where}: considered {seventh} and class {values[7]}", "ground truth has 0 or 1, and a whole number")
    return Line(frame, max(track, -1), (left, top, width, height), seventh, int(values[7]), max(values[8], -1.0), where)


def text(value: float) -> str:
    """Return the shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def numbers_of(schema: Schema, every: bool) -> dict[int, int]:
    """Return class id -> number in a file: `codes: {mot: "1"}`, or a known name; with `every`, all classes from 1, in order.

    Raises:
        ConfigError: for a code that is no number from 1.
    """
    found: dict[int, int] = {}
    for i, one in enumerate(schema.classes):
        code = one.codes.get("mot", NUMBERS.get(one.name))
        if one.abstract or (code is None and not every):
            continue
        if not every and not (str(code).isdecimal() and int(str(code)) >= 1):
            raise ConfigError(f"schema.classes.{one.name}: its code of mot is {code!r}", 'a number from 1: codes: {mot: "3"}')
        found[i] = len(found) + 1 if every else int(str(code))
    return found


@dataclass(frozen=True, slots=True)
class Info:
    """Hold what seqinfo.ini says of a sequence; see `read_info`."""

    folder: str = "img1"
    extension: str = ".jpg"
    length: int = 0
    size: tuple[int, int] = (0, 0)  # height, width


def read_info(path: Path) -> Info:
    """Return what a seqinfo.ini says, as far as it says it; what MOTChallenge's own say by default if there is no such file.

    Raises:
        FormatError: for a file that can't be read, or numbers that can't be.
    """
    if not path.is_file():
        return Info()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))
        values = parser["Sequence"]
        length, height, width = (int(values.get(name, "0")) for name in ("seqLength", "imHeight", "imWidth"))
        folder, extension = values.get("imDir", "img1"), values.get("imExt", ".jpg")
    except (OSError, UnicodeDecodeError, ValueError, KeyError, configparser.Error) as error:
        raise FormatError(
            f"{path} can't be read: {error}", "it is a file of MOTChallenge: [Sequence], name=, seqLength="
        ) from error
    if min(length, height, width) < 0 or length > FRAME_LIMIT:
        raise FormatError(f"{path}: seqLength {length}, {width} x {height} pixels")
    if not folder.isprintable() or {"/", "\\", ".."} & {folder, *folder} or not extension.startswith("."):
        raise FormatError(f"{path}: imDir {folder!r}, imExt {extension!r}", "name a folder beside it, and an ending as .jpg")
    return Info(folder, extension, length, (height, width))


def info(name: str, length: int, size: Sequence[int], rate: float | None, extension: str, frames: str) -> str:
    """Return the text of a seqinfo.ini. `frames` says how they are counted: `source` or `consecutive`; others pass it over."""
    told = {
        "name": name,
        "imDir": "img1",
        **({} if rate is None else {"frameRate": max(1, round(rate))}),  # readers expect a whole number
        "seqLength": length,
        "imWidth": int(size[-1]),
        "imHeight": int(size[-2]),
        "imExt": extension,
        "frames": frames,
    }
    return "[Sequence]\n" + "".join(f"{key}={value}\n" for key, value in told.items())
