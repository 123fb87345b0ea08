"""Find the files and frames of MOTChallenge sequences, and say which items they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from hyla.errors import FormatError
from hyla.formats import PICTURES, allowed, listing, unknown_class
from hyla.frame import Frame
from hyla.schema import Schema
from hyla.types import Item, item_id
from hyla_surveillance.mot_text import DISTRACTOR, PEDESTRIAN, UNCOUNTED, Info, Line, lines, numbers_of, read_info

if TYPE_CHECKING:
    from hyla.pictures import Pictures

INFO = "seqinfo.ini"
TRUTH, FOUND = "gt/gt.txt", "det/det.txt"
NOT_LABELS = ("labels.txt", "readme.txt", "requirements.txt")


@dataclass
class Row:
    """Hold one label: a row as `hyla.codec.labels_from_rows` takes it, and what is no part of the label."""

    row: dict[str, Any]
    evidence: dict[str, float] = field(default_factory=dict)


Framed = tuple[Item, Sequence[int], Frame, list[Row], str]  # item, size, frame, labels, where


class Reader:
    """Read what lies at `path`: a folder of sequences, a sequence, or a file.

    Raises:
        FormatError: if no labels of MOTChallenge are there.
    """

    def __init__(self, path: Path, schema: Schema, skip: bool, clip: bool, pictures: Pictures | None) -> None:
        self.path, self.schema, self.skip, self.clip, self.pictures = path, schema, skip, clip, pictures
        self.numbers = {number: i for i, number in reversed(numbers_of(schema, False).items())}
        self.visible = "visibility" in schema.attributes_of("label")
        self.files = _files(path)
        if not self.files:
            raise FormatError(f"{path} holds no {TRUTH}, {FOUND} or results", "name the folder of the sequences, or a file")
        # The folder that was named is the source, as the loader sees it, so that ids are those of its pictures.
        self.root = path if path.is_dir() else _sequence(path)[0].parent
        self._clips: dict[str, dict[int, Item]] | None = None

    def frames(self) -> Iterator[Framed]:
        """Yield the frames, file by file and in order."""
        above = next((p for p in [self.path, *self.path.parents][:4] if (p / listing.NAME).is_file()), None)
        listed: dict[Path, list[tuple[listing.Listed, Frame]]] = {}
        if above is not None:
            for _, one, frame in listing.read(above / listing.NAME):
                listed.setdefault(above / one.file, []).append((one, frame))
        places = {file: place for place, file in enumerate(listed)}
        for file in sorted(self.files, key=lambda one: places.get(one, len(places))):
            found = self._lines(file)
            if file in listed:
                for one, frame in listed[file]:
                    rows = found.pop(one.number or one.index + 1, [])
                    yield one.item, one.size, frame, self._rows(rows, file, one.size), f"{file}, item {one.id}"
                if found:
                    raise FormatError(f"{file} has labels of frame {min(found)}, which {listing.NAME} does not list")
            else:
                yield from self._foreign(file, found)

    def _lines(self, file: Path) -> dict[int, list[Line]]:
        found: dict[int, list[Line]] = {}
        for line in lines(file):
            found.setdefault(line.frame, []).append(line)
        return found

    def _foreign(self, file: Path, found: Mapping[int, list[Line]]) -> Iterator[Framed]:
        folder, name = _sequence(file)
        info = read_info(folder / INFO)
        images = {int(p.stem): p.name for p in sorted(folder.joinpath(info.folder).glob("*")) if _is_frame(p)}
        clip = {} if images else self._clip(name)
        last = max(found, default=0)
        if clip:
            numbers = sorted({*(index + 1 for index in clip), *found})
        elif images:
            numbers = sorted({*images, *found})
        else:
            numbers = list(range(1, max(info.length, last) + 1))
        for number in numbers:
            item = clip.get(number - 1) or self._item(folder, info, images.get(number), number)
            yield item, info.size, Frame(), self._rows(found.get(number, []), file, info.size), f"{file}, frame {number}"

    def _item(self, folder: Path, info: Info, name: str | None, number: int) -> Item:
        inner = folder.relative_to(self.root).as_posix() if folder.is_relative_to(self.root) else folder.name
        uri = str(PurePosixPath(inner, info.folder, name or f"{number:06d}{info.extension}"))
        return Item(item_id(uri), uri, str(PurePosixPath(uri).parent), number - 1, "video_frame")

    def _clip(self, name: str) -> dict[int, Item]:
        """Return index -> item of the clip of the project that is called like the sequence."""
        if self._clips is None:
            self._clips = {}
            for one in self.pictures.known() if self.pictures else ():
                path = PurePosixPath(one.item.group)
                if one.item.group and path.suffix.lower() not in PICTURES and one.item.uri == one.item.group:
                    self._clips.setdefault(path.stem, {})[one.item.index] = one.item
        return self._clips.get(name, {})

    def _rows(self, found: Sequence[Line], file: Path, size: Sequence[int]) -> list[Row]:
        names = _names(file)
        return [row for line in found if (row := self._row(line, names, size))]

    def _row(self, line: Line, names: Sequence[str], size: Sequence[int]) -> Row | None:
        class_id, evidence = self._class(line, names)
        if class_id is None:
            return None
        x0, y0 = line.box[0] - 1, line.box[1] - 1
        box = [x0, y0, x0 + line.box[2], y0 + line.box[3]]
        if self.clip and any(size):
            height, width = size[-2:]
            box = [min(max(v, 0.0), limit) for v, limit in zip(box, (width, height, width, height), strict=True)]
        row: dict[str, Any] = {"class": self.schema.names[class_id], "box": box, "kind": allowed(self.schema, class_id, "box")}
        if line.track >= 0 and "track" in self.schema.kinds:
            row["track"] = line.track
        if line.number:
            usual = float(bool(names) or line.number == PEDESTRIAN)
            evidence |= {} if line.seventh == usual else {"considered": line.seventh}
            if line.visibility >= 0 and self.visible:
                row["attributes"] = {"visibility": line.visibility}
        elif line.seventh != -1:
            if not 0 <= line.seventh <= 1:
                raise FormatError(
                    f"{line.where}: a confidence of {line.seventh}", "scale those of the detector to 0 to 1, or write -1 for all"
                )
            row["score"] = line.seventh
        return Row(row, evidence)

    def _class(self, line: Line, names: Sequence[str]) -> tuple[int | None, dict[str, float]]:
        number = line.number or PEDESTRIAN
        if names and line.number:
            word = names[number - 1] if 1 <= number <= len(names) else str(number)
            if word in self.schema.ids or self.skip:
                return self.schema.ids.get(word), {}
            raise unknown_class(word, line.where, self.schema.names)
        if number in self.numbers:
            return self.numbers[number], {}
        if number in UNCOUNTED and DISTRACTOR in self.numbers:
            return self.numbers[DISTRACTOR], {"mot_class": float(number)}
        if self.skip:
            return None, {}
        raise unknown_class(f"number {number}", line.where, [f"{n}: {self.schema.names[i]}" for n, i in self.numbers.items()])


def _files(path: Path) -> list[Path]:
    """Return the label files at `path`; ground truth where there is one, else detections, else results."""
    if not path.exists():
        raise FormatError(f"{path} does not exist")
    if path.is_file():
        return [path]
    for name in (TRUTH, FOUND):
        if found := sorted(p for p in (path / name, *path.rglob(f"*/{name}")) if p.is_file()):
            return list(dict.fromkeys(found))
    inner = (p for folder in (path, path / "data") for p in sorted(folder.glob("*.txt")))
    return [p for p in inner if p.is_file() and p.name.lower() not in NOT_LABELS]


def _sequence(file: Path) -> tuple[Path, str]:
    """Return the folder and the name of the sequence that a label file is of."""
    if file.parent.name in ("gt", "det"):
        return file.parent.parent, file.parent.parent.resolve().name
    return file.with_suffix(""), file.stem


def _names(file: Path) -> list[str]:
    """Return the classes of the numbers from 1, where labels.txt beside the file gives them."""
    beside = file.with_name("labels.txt")
    if not beside.is_file():
        return []
    try:
        return [line.strip() for line in beside.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{beside} can't be read: {error}", "one class per line") from error


def _is_frame(path: Path) -> bool:
    return path.stem.isdecimal() and path.stem.isascii() and path.suffix.lower() in PICTURES
