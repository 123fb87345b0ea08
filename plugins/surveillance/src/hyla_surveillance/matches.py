"""Bring in candidate matches that something outside compared: nothing here looks at a face, keeps a gallery or knows anybody.

A file has one candidate a row, as CSV with a header or as JSON lines:

    clip,seconds,x0,y0,x1,y1,entry,similarity
    gate.mp4,12.375,310,88,352,140,17,0.83

`item`, the id or the path of a picture or frame, may stand in place of `clip` and `seconds`; without a box the candidate is about
the whole picture; `list`, if there, must be the list that the settings name. Each becomes a label of class `candidate_match`,
which counts for nothing until two different people said so (`Class.confirmations`).

Rows that fit nothing label nothing, and the log says how many there are and which is the first: names that a source on this
machine lacks before any work, and times at which a clip has no frame when the clip is over.

Whoever may lawfully compare faces can write a model of their own in place of the file: docs/surveillance.md says what it must do.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from hyla.errors import BadItem, ConfigError
from hyla.frame import VideoFrame
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Image, Kind, Labels

CLASS = "candidate_match"
PEOPLE = 2  # who must confirm a match: Regulation (EU) 2024/1689, Article 14(5)
ATTRIBUTES = ("list", "entry", "similarity", "legal_basis")
BOX = ("x0", "y0", "x1", "y1")
COLUMNS = ("item", "clip", "seconds", *BOX, "list", "entry", "similarity")
MAX_FILE = 256 << 20  # bytes
WORD = 300  # characters of an entry
ID = re.compile(r"[\w-]+-[0-9a-f]{12}")  # of an item, as `hyla.types.item_id` makes it: no path
log = logging.getLogger("hyla.matches")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Hold one row: `seconds` is NaN for a picture named by itself, `box` x0, y0, x1, y1 in pixels, or None for all of it.

    `where` is its row or line in the file.
    """

    where: str = field(compare=False)
    entry: str
    similarity: float
    seconds: float
    box: tuple[float, float, float, float] | None


class Matches(Model):
    """Label pictures with the candidates of a file.

    Args:
        schema: has the class `candidate_match`, confirmed by two people, with the attributes `list`, `entry`, `similarity` and
            `legal_basis`.
        source: of the run, in which `file` is looked for first.
        file: .csv or .jsonl with the candidates.
        list_name: of the list that was compared with: whose, and for what.
        legal_basis: that allows this comparison here: law and paragraph, order or authorisation. It is kept with each label.
        tolerance: seconds by which a frame may lie off a candidate's time, excluded above: half of the time between two frames.

    Raises:
        ConfigError: without a file, a named list or a legal basis; where fewer than two people would confirm a match; for a file
            that can't be used, with the row.
    """

    def __init__(
        self,
        schema: Schema,
        source: str = "",
        file: str | None = None,
        list_name: str | None = None,
        legal_basis: str | None = None,
        tolerance: float = 0.0625,
    ) -> None:
        for name, value, why in (
            ("legal_basis", legal_basis, "name the law and paragraph, order or authorisation that allows it; without one, don't"),
            ("list_name", list_name, "name the one list that is compared with: whose it is, and for what"),
            ("file", file, "give the .csv or .jsonl with the candidates"),
        ):
            if not (value or "").strip():
                raise ConfigError(f"candidate matches need {name}", why)
        if tolerance <= 0 or not math.isfinite(tolerance):
            raise ConfigError(f"tolerance is {tolerance}", "give seconds, more than 0")
        self._class = schema.class_id(CLASS)
        if schema.confirmations[self._class] < PEOPLE:
            raise ConfigError(f"schema {schema.name!r} lets a {CLASS} count on fewer than two people", "confirmations: 2")
        if missing := [name for name in ATTRIBUTES if name not in schema.attributes_of("label")]:
            raise ConfigError(f"schema {schema.name!r} has no attribute {missing[0]!r}", choices=ATTRIBUTES)
        self.list_name, self.legal_basis, self.tolerance = str(list_name).strip(), str(legal_basis).strip(), tolerance
        text, self.digest = _text(_find(str(file), source))
        self._items: dict[str, list[Candidate]] = defaultdict(list)
        self._clips: dict[str, list[Candidate]] = defaultdict(list)
        self._fitted: set[str] = set()  # rows of the file
        for where, row in _rows(text, Path(str(file)).suffix):
            place, one = _candidate(row, self.list_name, f"{Path(str(file)).name}, {where}")
            (self._items if math.isnan(one.seconds) else self._clips)[place].append(one)
        gone = [place for place in (*self._items, *self._clips) if _lacks(source, place)]
        _say(
            [one for place in gone for one in (*self._items.get(place, ()), *self._clips.get(place, ()))],
            "the source has no such picture",
        )

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the candidates of each picture.

        Raises:
            BadItem: for a box that lies outside the picture.
        """
        return [self._labels(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name, the sha256 of the file, the list and the legal basis."""
        return {"name": "matches", "digest": self.digest, "list": self.list_name, "legal_basis": self.legal_basis}

    @hookimpl
    def forget(self, group: str) -> None:
        """Say which candidates of a clip lie at no time at which it has a frame."""
        given = self._clips.get(group, [])
        _say([one for one in given if one.where not in self._fitted], f"{group} had no frame at that time in this run")
        self._fitted.difference_update(one.where for one in given)

    def _labels(self, image: Image) -> Labels:
        found = list(dict.fromkeys(self._of(image)))
        if not found:
            return Labels.empty()
        height, width = image.size[-2:]
        boxes = []
        for one in found:
            x0, y0, x1, y1 = one.box or (0.0, 0.0, width, height)
            boxes.append((max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)))
            if boxes[-1][0] >= boxes[-1][2] or boxes[-1][1] >= boxes[-1][3]:
                raise BadItem(f"a candidate match lies outside the picture of {width} x {height} pixels: {list(one.box or ())}")
        n = len(found)
        return Labels.of(
            [self._class] * n,
            boxes,
            kind=[Kind.TAG if one.box is None else Kind.BOX for one in found],
            score=[one.similarity for one in found],
            attributes={
                "list": [self.list_name] * n,
                "entry": [one.entry for one in found],
                "similarity": [one.similarity for one in found],
                "legal_basis": [self.legal_basis] * n,
            },
        )

    def _of(self, image: Image) -> Iterator[Candidate]:
        """Yield the candidates of a picture; clips are known by their path alone, since two folders may have one file name."""
        item = image.item
        if isinstance(image.frame, VideoFrame):
            yield from self._items.get(item.id, ())
            for clip in dict.fromkeys((item.uri, item.group)):
                for one in self._clips.get(clip, ()):
                    if -self.tolerance <= one.seconds - image.frame.seconds < self.tolerance:
                        self._fitted.add(one.where)
                        yield one
        else:
            for name in dict.fromkeys((item.id, item.uri)):
                yield from self._items.get(name, ())


def _lacks(source: str, place: str) -> bool:
    """Tell whether a source on this machine has no file or folder of that name; ids of items and addresses can't be known."""
    root = Path(source)
    if not source or "://" in source or "://" in place or not root.exists() or ID.fullmatch(place):
        return False
    return not any((folder / place).exists() for folder in (root, root.parent))


def _say(rows: Sequence[Candidate], why: str) -> None:
    if rows:
        log.warning("%d candidate matches label nothing: %s; the first is %s", len(rows), why, rows[0].where)


def _find(file: str, source: str) -> Path:
    root = Path(source) if "://" not in source else Path()
    for place in ((root.parent if root.is_file() else root) / file, Path(file).expanduser()):
        if place.is_file():
            return place
    raise ConfigError(f"there is no file of candidate matches {file!r}", "give a path in the source, or from here")


def _text(path: Path) -> tuple[str, str]:
    """Return what a file says, and its sha256."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise ConfigError(f"{path.name} is larger than {MAX_FILE} bytes", "split it, a project each")
        content = path.read_bytes()
        return content.decode("utf-8-sig"), sha256(content).hexdigest()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} can't be read: {error}", "save it as UTF-8") from error


def _rows(text: str, suffix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield where a row stands, and its values by column."""
    if suffix == ".csv":
        try:
            yield from ((f"row {n}", row) for n, row in enumerate(csv.DictReader(io.StringIO(text), strict=True), 2))
        except csv.Error as error:
            raise ConfigError(f"the candidate matches are no CSV: {error}") from error
    elif suffix == ".jsonl":
        for n, line in enumerate(text.splitlines(), 1):
            if line.strip():
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise ConfigError(f"line {n} of the candidate matches is no JSON: {error}") from error
                if not isinstance(row, dict):
                    raise ConfigError(f"line {n} of the candidate matches must be a JSON object")
                yield f"line {n}", row
    else:
        raise ConfigError(f"candidate matches can't be read from {suffix!r}", choices=(".csv", ".jsonl"))


def _candidate(row: Mapping[str, Any], list_name: str, where: str) -> tuple[str, Candidate]:
    """Return the item or clip of a row, and what it says; raise ConfigError, beginning with `where`, for what can't be."""
    given = {key: value for key, value in row.items() if value not in (None, "")}
    if unknown := [key for key in row if key not in COLUMNS]:
        raise ConfigError(f"{where}: no column is called {unknown[0]!r}", choices=COLUMNS)
    if given.get("list", list_name) != list_name:
        raise ConfigError(f"{where}: it is of the list {given['list']!r}, and the settings allow {list_name!r} alone")
    place, entry = str(given.get("item") or given.get("clip") or ""), str(given.get("entry") or "")
    if not place or ("item" in given) == ("clip" in given) or ("clip" in given) != ("seconds" in given):
        raise ConfigError(f"{where}: it names no picture", "give item; or clip and seconds")
    if not entry.isprintable() or not 0 < len(entry) <= WORD:
        raise ConfigError(f"{where}: it names no entry of the list", f"give 1 to {WORD} printable characters")
    similarity = _number(given.get("similarity"), f"{where}: similarity")
    if not 0 <= similarity <= 1:
        raise ConfigError(f"{where}: similarity is {similarity}", "give 0 to 1")
    box: tuple[float, float, float, float] | None = None
    if any(name in given for name in BOX):
        x0, y0, x1, y1 = (_number(given.get(name), f"{where}: {name}") for name in BOX)
        box = (x0, y0, x1, y1)
        if x0 >= x1 or y0 >= y1:
            raise ConfigError(f"{where}: the box {list(box)} is no area", "give x0 < x1 and y0 < y1, in pixels")
    seconds = _number(given["seconds"], f"{where}: seconds") if "seconds" in given else math.nan
    return place, Candidate(where, entry, similarity, seconds, box)


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{where} is {value!r}, which is no number")
    return number
