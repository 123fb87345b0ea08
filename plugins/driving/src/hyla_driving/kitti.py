"""KITTI text labels, in and out (object and tracking benchmarks, https://www.cvlibs.net/datasets/kitti/).

    label_2/<name>.txt    one file per picture that stands alone
    label_02/<clip>.txt   one file per clip, each line led by frame number and track
    images.jsonl          which item each of them is: id, uri, size, time; KITTI's own readers pass it over

A line is type, truncated, occluded, alpha, box (left, top, right, bottom), height, width, length, x, y, z, rotation_y, score.
Metres are in the coordinates of the camera: x right, y down, z ahead. (x, y, z) is the middle of the cuboid's *lower* face, and
rotation_y turns it about y, from length along x. What is not known is -1, -10 or -1000, as in KITTI's own files.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from hyla.errors import ConfigError, FormatError
from hyla.formats import Loss, class_ids, listing, picture, proved, record, unknown_class, writing
from hyla.formats.listing import Listed
from hyla.frame import Frame
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import NO_TRACK, Item, Kind, Labels, Record, item_id
from hyla_driving.shapes import alpha, from_camera, to_camera

BOXED = ("rotated_box", "polygon", "keypoints", "mask")  # written as their box
CARRIED = ("box", "cuboid", *BOXED)
ATTRIBUTES = ("truncated", "occluded")
KEPT = ("frame", "meta", *(f"attribute.{name}" for name in ATTRIBUTES))
NO_CUBOID = (-1.0, -1.0, -1.0, -1000.0, -1000.0, -1000.0, -10.0)
NO_ALPHA = -10.0
OBJECT, TRACKING = "label_2", "label_02"


class Kitti(Format):
    """Read and write KITTI labels.

    Args:
        layout: `auto` writes clips as tracking files and other pictures as object files; `object` writes object files only.
        score: write the score as 16th column, as results have it; false leaves it out, as ground truth does.
        unknown: `error` to refuse types that the schema does not have, `skip` to leave them out.
    """

    name = "kitti"

    def __init__(self, layout: str = "auto", score: bool = True, unknown: str = "error") -> None:
        if layout not in ("auto", "object"):
            raise ConfigError(f"export.kitti.layout={layout} is not a choice", choices=("auto", "object"))
        self.layout = layout
        self.score = score
        self.skip = proved(unknown)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write label files under `out` and images.jsonl last. Return what is lost.

        Labels of an earlier export are replaced as a whole.

        Raises:
            FormatError: if `out` holds labels of somebody else, or can't be written.
        """
        if any((out / part).exists() for part in (OBJECT, TRACKING)) and not (out / listing.NAME).exists():
            raise FormatError(f"{out} holds labels that were not written by Hyla", "choose another folder")
        loss, written = Loss(), set[str]()
        try:
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out, prefix=".kitti-") as made, writing(out / listing.NAME) as listed:
                clips = self.layout == "auto"
                for group, members in groupby(records, key=lambda one: one.item.group if clips else ""):
                    with ExitStack() as stack:
                        clip = _opened(Path(made), _free(f"{TRACKING}/{group}.txt", written), stack) if group else None
                        for one in members:
                            name = clip[0] if clip else _free(_object_name(one.item), written)
                            lines = self._lines(one, schema, loss, tracked=clip is not None)
                            if clip:
                                clip[1].writelines(lines)
                            else:
                                with ExitStack() as short:
                                    _opened(Path(made), name, short)[1].writelines(lines)
                            listed.write(listing.line(one, name))
                for part in (OBJECT, TRACKING):
                    _replace(Path(made, part), out / part, Path(made, f"{part}.old"))
        except OSError as error:
            raise FormatError(f"can't write under {out}: {error.strerror or error}", "choose a folder that has room") from error
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a folder that holds label_2 or label_02, or training/ with these; of one of these; or of one file.

        Without images.jsonl a picture is image_2/<name>.png, and a clip has the frames up to the last that has a label.
        """
        yield from _Reader(path, schema, self.skip).records()

    def _lines(self, one: Record, schema: Schema, loss: Loss, tracked: bool) -> Iterator[str]:
        labels = loss.take(one, CARRIED, (*KEPT, *(["track"] if tracked else []), *(["score"] if self.score else [])))
        may = np.array(["box" in (c.kinds or schema.kinds) for c in schema.classes])  # a lane, for one, may not be a box
        stays = ~may[labels.class_id] & (labels.kind != Kind.CUBOID)
        for word in BOXED:
            shaped = labels.kind == Kind[word.upper()]
            loss.count(word.replace("_", " "), (shaped & stays).sum())
            loss.count(f"{word.replace('_', ' ')} as box", (shaped & ~stays).sum())
        labels = labels[~stays]
        names, ids = [_word(schema.code(i, "kitti")) for i in range(len(schema.classes))], _types(schema)
        truncated, occluded = (_numbers(labels, name) for name in ATTRIBUTES)
        for row in range(len(labels)):
            class_id = int(labels.class_id[row])
            loss.count("class name", ids.get(names[class_id]) != class_id)
            place: tuple[float, ...] = NO_CUBOID
            angle = NO_ALPHA
            if labels.kind[row] == Kind.CUBOID:
                place, tilted = to_camera(labels.shape[row])
                loss.count("cuboid tilt", tilted)
                angle = alpha(place[3], place[5], place[6])
            numbers = [truncated[row], occluded[row], angle, *labels.box[row].tolist(), *place]
            if self.score:
                numbers.append(float(labels.score[row]))
            lead = f"{one.item.index} {int(labels.track[row])} " if tracked else ""
            yield f"{lead}{names[class_id]} {' '.join(_number(n) for n in numbers)}\n"


class _Reader:
    def __init__(self, path: Path, schema: Schema, skip: bool) -> None:
        self.schema, self.skip, self.types = schema, skip, _types(schema)
        has = {name: name in schema.attributes_of("label") for name in ATTRIBUTES}
        self.attributes = [name for name in ATTRIBUTES if has[name]]
        if not path.exists():
            raise FormatError(f"{path} does not exist")
        if path.is_file():
            self.files = [path]
            self.root = next((p.parent for p in path.parents if p.name in (OBJECT, TRACKING)), path.parent)
        else:
            bases = [path.parent] if path.name in (OBJECT, TRACKING) else [path, path / "training"]
            parts = [path.name] if path.name in (OBJECT, TRACKING) else [OBJECT, TRACKING]
            self.root = next((base for base in bases if any((base / part).is_dir() for part in parts)), path)
            self.files = sorted(f for part in parts for f in (self.root / part).rglob("*.txt") if f.is_file())
        if not self.files:
            raise FormatError(
                f"{path} holds no {OBJECT}/*.txt or {TRACKING}/*.txt", "name the folder above them, or another format"
            )
        # The source that a label file belongs to is the folder that was named, so that ids are those of its pictures.
        self.prefix = self.root.name + "/" if self.root.name == "training" and path != self.root and path.is_dir() else ""

    def records(self) -> Iterator[Record]:
        listed = self._listed()
        if listed is not None:
            yield from self._of_list(listed)
            return
        for file in self.files:
            relative = file.relative_to(self.root)
            clip = relative.parts[0] == TRACKING
            name = PurePosixPath(*relative.parts[1:] if len(relative.parts) > 1 else relative.parts).with_suffix("")
            lines = self._lines(file, clip)
            for index in range(max(lines, default=-1) + 1) if clip else [0]:
                uri = self._uri(f"image_02/{name}/{index:06d}" if clip else f"image_2/{name}")
                item = Item(item_id(uri), uri, str(PurePosixPath(uri).parent) if clip else "", index if clip else 0)
                yield record(item, lines.get(index, []), self.schema, f"{file}, frame {index}" if clip else str(file))

    def _uri(self, stem: str) -> str:
        suffix = next((s for s in (".png", ".jpg", ".jpeg") if (self.root / f"{stem}{s}").is_file()), ".png")
        return f"{self.prefix}{stem}{suffix}"

    def _listed(self) -> Iterator[tuple[str, Listed, Frame]] | None:
        file = self.root / listing.NAME
        if not file.is_file() or not any(
            f.is_relative_to(self.root / part) for f in self.files[:1] for part in (OBJECT, TRACKING)
        ):
            return None
        return listing.read(file)

    def _of_list(self, listed: Iterator[tuple[str, Listed, Frame]]) -> Iterator[Record]:
        wanted = set(self.files)
        for name, members in groupby(listed, key=lambda entry: entry[1].file):
            file = self.root / name
            if file not in wanted:
                continue
            clip = file.is_relative_to(self.root / TRACKING)
            lines = self._lines(file, clip)
            for _, one, frame in members:
                rows = lines.get(one.index if clip else 0, [])
                yield replace(record(one.item, rows, self.schema, f"{file}, item {one.id}", one.size), frame=frame)

    def _lines(self, file: Path, clip: bool) -> dict[int, list[dict[str, Any]]]:
        """Return frame number (0 in an object file) -> rows of one label file."""
        found: dict[int, list[dict[str, Any]]] = {}
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"{file} can't be read: {error}", "KITTI labels are plain text") from error
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{file} line {number}"
            words = line.split()
            if not words:
                continue
            frame, track = 0, NO_TRACK
            if clip:
                frame, track = _whole(words[:2], where)
                words = words[2:]
            if row := self._row(words, track, where):
                found.setdefault(frame, []).append(row)
            else:
                found.setdefault(frame, [])
        return found

    def _row(self, words: Sequence[str], track: int, where: str) -> dict[str, Any] | None:
        if len(words) not in (15, 16):
            raise FormatError(f"{where} has {len(words)} columns from the type on", "KITTI has 15, and the score as 16th")
        if words[0] not in self.types:
            if self.skip:
                return None
            raise unknown_class(words[0], where, self.types)
        try:
            numbers = [float(word) for word in words[1:]]
        except ValueError as error:
            raise FormatError(f"{where}: {error}") from error
        if not all(map(math.isfinite, numbers)):
            raise FormatError(f"{where}: all columns must be finite numbers")
        row: dict[str, Any] = {"class": self.schema.names[self.types[words[0]]], "kind": "box", "box": numbers[3:7]}
        if min(numbers[7:10]) > 0:
            row |= {"kind": "cuboid", "shape": from_camera(*numbers[7:14])}
        if len(numbers) == 15:
            row["score"] = numbers[14]
        if track >= 0 and "track" in self.schema.kinds:
            row["track"] = track
        said = dict(zip(ATTRIBUTES, numbers, strict=False))
        row["attributes"] = {name: said[name] for name in self.attributes if said[name] >= 0}
        return row


def _opened(folder: Path, name: str, stack: ExitStack) -> tuple[str, IO[str]]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return name, stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))


def _replace(new: Path, old: Path, aside: Path) -> None:
    if old.exists():
        old.rename(aside)
    if new.exists():
        new.rename(old)


def _object_name(item: Item) -> str:
    path = PurePosixPath(picture(item)).with_suffix("")
    parts = path.parts
    if "image_2" in parts:  # KITTI's own layout
        parts = parts[parts.index("image_2") + 1 :]
    return f"{OBJECT}/{'/'.join(parts)}.txt"


def _free(name: str, taken: set[str]) -> str:
    """Return a relative path that no other record has on any file system, and take it."""
    path = PurePosixPath(*[part for part in PurePosixPath(name).parts if part not in ("/", "..")])
    number, free = 1, str(path)
    while free.casefold() in taken:
        number += 1
        free = str(path.with_stem(f"{path.stem}-{number}"))
    taken.add(free.casefold())
    return free


def _types(schema: Schema) -> dict[str, int]:
    return {_word(name): i for name, i in class_ids(schema, "kitti").items()}


def _word(name: str) -> str:
    return "_".join(name.split())


def _numbers(labels: Labels, name: str) -> list[float]:
    column = labels.attributes.get(name)
    if column is None or column.dtype == object:
        return [-1.0] * len(labels)
    return np.where(np.isnan(column), -1.0, column).tolist()  # type: ignore[no-any-return]


def _number(value: float) -> str:
    """Return the shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _whole(words: Sequence[str], where: str) -> tuple[int, int]:
    try:
        frame, track = (int(word) for word in words)
    except ValueError as error:
        raise FormatError(f"{where} does not begin with a frame number and a track") from error
    if frame < 0:
        raise FormatError(f"{where}: frame {frame} is negative")
    return frame, max(track, NO_TRACK)
