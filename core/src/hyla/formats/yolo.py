"""YOLO text labels, in and out, laid out as ultralytics reads them (https://docs.ultralytics.com/datasets/).

    data.yaml  labels/<name>.txt  images/<name>.jpg  images.jsonl

A line is a class and numbers from 0 to 1, parts of the picture's width and height: a box (detect), an outline (segment), four
corners (obb) or a box and its keypoints (pose). A picture without labels has an empty file. Pictures are not copied: put or link
them in images/, under the names that images.jsonl gives beside each item. The format knows no sizes and ids; images.jsonl does.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from hyla import geometry
from hyla.errors import ConfigError, FormatError
from hyla.formats import (
    PICTURES,
    Loss,
    allowed,
    class_ids,
    find,
    listing,
    picture,
    proved,
    record,
    unknown_class,
    writing,
)
from hyla.frame import Frame
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Item, Kind, Record, item_id

TASKS = {
    "detect": ("box", "rotated_box", "polygon", "keypoints", "mask"),
    "segment": ("box", "rotated_box", "polygon", "mask"),
    "obb": ("box", "rotated_box", "polygon", "mask"),
    "pose": ("box", "keypoints"),
}
EXACT = {  # what a line of the task gives back as it was; any other kind is written as the first of these
    "detect": (Kind.BOX,),
    "segment": (Kind.POLYGON,),
    "obb": (Kind.ROTATED_BOX,),
    "pose": (Kind.KEYPOINTS, Kind.BOX),
}
SLACK = 0.01  # by which ultralytics lets a coordinate leave the picture; one beyond costs it the whole picture


class Yolo(Format):
    """Read and write YOLO labels.

    Args:
        task: detect, segment, obb or pose: what a line holds.
        unknown: `error` to refuse classes that the schema does not have, `skip` to leave them out.
    """

    name = "yolo"

    def __init__(self, task: str = "detect", unknown: str = "error") -> None:
        if task not in TASKS:
            raise ConfigError(f"export.yolo.task={task} is not a choice", choices=TASKS)
        self.task = task
        self.skip = proved(unknown)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write one text file per record under `out`/labels, and data.yaml last. Return what is lost.

        Labels of an earlier export are replaced as a whole; a labels folder that is not of such an export is left alone.

        Raises:
            FormatError: if `out` holds labels of somebody else or can't be written, or the size of a picture is not known.
        """
        labels = out / "labels"
        if labels.exists() and not (out / listing.NAME).exists():
            raise FormatError(f"{labels} exists and was not written by Hyla", "choose another folder")
        loss = Loss()
        lines = _Lines(self.task, schema, loss)
        taken: set[str] = set()
        try:
            out.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out, prefix=".labels-") as made, writing(out / listing.NAME) as listed:
                new = Path(made, "labels")
                new.mkdir()
                for one in records:
                    name = _free_name(one.item, taken)
                    target = (new / name).with_suffix(".txt")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(lines.of(one), encoding="ascii")
                    listed.write(listing.line(one, name))
                if labels.exists():
                    shutil.rmtree(labels)
                new.replace(labels)
            with writing(out / "data.yaml") as file:
                file.write(lines.data())
        except OSError as error:
            raise FormatError(f"can't write under {out}: {error.strerror or error}", "choose a folder that has room") from error
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a YOLO folder or its data.yaml.

        Sizes and items come from images.jsonl; without one, from the headers of the pictures themselves. A class is found by
        its name, else by its `yolo` code. Lines of 5 numbers are boxes (a sixth is a score), longer ones outlines; keypoints
        where data.yaml has a kpt_shape, corners of a rotated box where it says `task: obb` or this format was told so.
        """
        yield from _Reader(find(path, "data.yaml", "*.yaml"), schema, self.task, self.skip).records()


class _Lines:
    """Turn records into the lines of one task."""

    def __init__(self, task: str, schema: Schema, loss: Loss) -> None:
        self.task, self.schema, self.loss = task, schema, loss
        concrete = [i for i, one in enumerate(schema.classes) if not one.abstract]
        self.numbers = {class_id: n for n, class_id in enumerate(concrete)}
        self.points = max((len(one.keypoints) for one in schema.classes), default=0)
        if task == "pose" and not self.points:
            raise FormatError(f"schema {schema.name!r} names no keypoints", "give a class its keypoints, or choose another task")

    def data(self) -> bytes:
        """Return data.yaml. It says no `path`, so that ultralytics takes the folder in which it lies."""
        import yaml

        names = {n: self.schema.names[i] for i, n in self.numbers.items()}
        data: dict[str, Any] = {"train": "images", "val": "images", "task": self.task, "names": names}
        if self.task == "pose":
            data["kpt_shape"] = [self.points, 3]
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True).encode()

    def of(self, one: Record) -> str:
        """Return the lines of one record, in the order of its labels."""
        kept = self.loss.take(one, TASKS[self.task], ("frame", "meta"))
        if not len(kept):
            return ""
        height, width = one.size[-2:]
        if not (height and width):
            raise FormatError(f"the size of {one.item.uri} is not known, and YOLO counts in parts of it")
        scale = np.array([width, height], dtype=np.float64)
        lines = []
        for row in range(len(kept)):
            kind, shape = Kind(int(kept.kind[row])), kept.shape[row]
            numbers = self._numbers(kind, shape, kept.box[row], scale)
            word = kind.word.replace("_", " ")
            if numbers is None:
                self.loss.count(word)
                continue
            if kind not in EXACT[self.task]:
                self.loss.count(f"{word} as {EXACT[self.task][0].word.replace('_', ' ')}")
            lines.append(f"{self.numbers[int(kept.class_id[row])]} " + " ".join(map("{:.12g}".format, numbers.tolist())) + "\n")
        return "".join(lines)

    def _numbers(self, kind: Kind, shape: Any, box: Floats, scale: Floats) -> Floats | None:
        corners = box.reshape(2, 2)
        if self.task in ("detect", "pose"):
            near, far = self._within(corners / scale)
            numbers = np.concatenate([(near + far) / 2, far - near])
            return np.concatenate([numbers, self._points(kind, shape, scale)]) if self.task == "pose" else numbers
        if kind == Kind.ROTATED_BOX:
            rings: Sequence[Floats] = (geometry.rotated_corners(shape),)
        elif kind == Kind.BOX or self.task == "obb":
            rings = (corners[[0, 1, 1, 0], [[0], [1]]].T,)
        elif kind == Kind.MASK:
            rings = geometry.polygons_of(geometry.decode(shape)) if len(shape.size) == 2 else ()
        else:
            rings = shape
            self.loss.count("polygon of several rings as joined polygon", len(rings) > 1)
        return self._within(_joined(rings) / scale).reshape(-1) if rings else None

    def _points(self, kind: Kind, shape: Any, scale: Floats) -> Floats:
        out = np.zeros((self.points, 3))
        if kind == Kind.KEYPOINTS:
            given = shape[: self.points]
            self.loss.count("keypoint", len(shape) - len(given))
            out[: len(given), :2] = self._within(given[:, :2] / scale)
            out[: len(given), 2] = given[:, 2]
        return out.reshape(-1)

    def _within(self, points: Floats) -> Floats:
        if ((points >= -SLACK) & (points <= 1 + SLACK)).all():
            return points
        self.loss.count("part outside the picture")
        return np.clip(points, 0, 1)


class _Reader:
    """Hold data.yaml of one YOLO folder while its labels are read."""

    def __init__(self, path: Path, schema: Schema, task: str, skip: bool) -> None:
        import yaml

        self.path, self.root, self.schema, self.skip = path, path.parent, schema, skip
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            raise FormatError(f"{path} can't be read: {error}") from error
        names = data.get("names") if isinstance(data, dict) else None
        if isinstance(names, list):
            names = dict(enumerate(names))
        if not isinstance(names, dict) or not all(isinstance(k, int) and isinstance(v, str) for k, v in names.items()):
            raise FormatError(f"{path} does not give the classes their names", "names: {0: car, 1: bus}")
        self.data, self.names = data, names
        self.ids = class_ids(schema, "yolo")
        self.points = data.get("kpt_shape")
        if self.points is not None:
            good = isinstance(self.points, list) and len(self.points) == 2 and isinstance(self.points[0], int)
            if not good or not 0 < self.points[0] <= 10_000 or self.points[1] not in (2, 3):
                raise FormatError(f"{path}: kpt_shape must be [number, 2 or 3], got {self.points!r}")
        self.obb = data.get("task", task) == "obb"

    def records(self) -> Iterator[Record]:
        listed = self.root / listing.NAME
        for item, size, frame, labels in self._listed(listed) if listed.exists() else self._found():
            one = record(item, list(self._rows(labels, size)), self.schema, str(labels), size)
            yield replace(one, frame=frame)

    def _listed(self, path: Path) -> Iterator[tuple[Item, Sequence[int], Frame, Path]]:
        for where, one, frame in listing.read(path):
            labels = (self.root / "labels" / one.file).with_suffix(".txt")
            if not labels.exists():
                raise FormatError(f"{labels} is missing, but {where} lists its picture", "an empty file means no labels")
            yield one.item, one.size, frame, labels

    def _found(self) -> Iterator[tuple[Item, Sequence[int], Frame, Path]]:
        seen: set[Path] = set()
        for split in ("train", "val", "test"):
            given = self.data.get(split) or []
            for folder in given if isinstance(given, list) else [given]:
                for path in sorted(p for p in self._folder(folder).rglob("*") if p.suffix.lower() in PICTURES):
                    if path in seen:
                        continue
                    seen.add(path)
                    uri = path.relative_to(self.root.resolve()).as_posix()
                    before, found, after = f"/{uri}".rpartition("/images/")
                    labels = self.root / f"{before}/labels/{after}".lstrip("/") if found else path
                    yield Item(item_id(uri), uri), _size(path), Frame(), labels.with_suffix(".txt")
        if not seen:
            raise FormatError(f"{self.path} leads to no pictures", "their sizes are needed: put them where `train` and `val` say")

    def _folder(self, given: Any) -> Path:
        """Return the folder of a split: inside the dataset, wherever it says that this lies."""
        root = self.root.resolve()
        base = self.data.get("path")
        tries = [root / str(given), root / str(base or ".") / str(given), root / str(given).removeprefix("../")]
        for one in tries:
            if one.is_dir() and one.resolve().is_relative_to(root):
                return one.resolve()
        raise FormatError(
            f"{self.path}: {given!r} is no folder inside the dataset", "lists of pictures are not read: name a folder"
        )

    def _rows(self, path: Path, size: Sequence[int]) -> Iterator[dict[str, Any]]:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines() if path.exists() else []
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"{path} can't be read: {error}") from error
        for number, line in enumerate(lines, 1):
            if not (words := line.split()):
                continue
            where = f"{path}, line {number}"
            try:
                values = np.array(words, dtype=np.float64)
            except ValueError as error:
                raise FormatError(f"{where} is not a class and numbers") from error
            if not np.isfinite(values).all() or values[0] not in self.names:
                raise FormatError(f"{where}: {words[0]} is no class of {self.path.name}, or a number is not finite")
            name = self.names[int(values[0])]
            if name in self.ids:
                class_id = self.ids[name]
                yield {"class": self.schema.names[class_id], **self._geometry(values[1:], class_id, size, where)}
            elif not self.skip:
                raise unknown_class(name, where, self.ids)

    def _geometry(self, values: Floats, class_id: int, size: Sequence[int], where: str) -> dict[str, Any]:
        scale = np.array([size[-1], size[-2]], dtype=np.float64)
        if self.points is not None or len(values) in (4, 5):
            near = values[:2] - values[2:4] / 2
            box = _to_edge(np.stack([near, near + values[2:4]]) * scale, scale)
            if self.points is not None and len(values) > 5:
                return {"box": box.reshape(-1).tolist(), **self._keypoints(values[4:], class_id, scale, where)}
            score = {"score": float(values[4])} if len(values) == 5 else {}
            return {"kind": "box", "box": box.reshape(-1).tolist(), **score}
        if len(values) < 6 or len(values) % 2:
            raise FormatError(f"{where} has {len(values)} numbers after its class: neither a box nor an outline")
        ring = _to_edge(values.reshape(-1, 2) * scale, scale)
        box = np.concatenate([ring.min(axis=0), ring.max(axis=0)]).tolist()
        corners = self.obb and len(ring) == 4
        kind = allowed(self.schema, class_id, *(("rotated_box",) if corners else ()), "polygon", "box")
        shape = {"polygon": [ring.tolist()], "box": None}[kind] if kind != "rotated_box" else _rotated(ring)
        return {"kind": kind, "box": box, "shape": shape}

    def _keypoints(self, values: Floats, class_id: int, scale: Floats, where: str) -> dict[str, Any]:
        number, each = self.points
        if len(values) != number * each:
            raise FormatError(f"{where} has {len(values)} numbers for {number} keypoints of {each}")
        points = values.reshape(number, each)
        seen = points[:, 2:] if each == 3 else np.where((points < 0).any(axis=1), 0.0, 2.0)[:, None]
        own = len(self.schema.classes[class_id].keypoints) or number
        shape = np.concatenate([points[:, :2] * scale, seen], axis=1)[:own]
        kind = allowed(self.schema, class_id, *(("keypoints",) if shape.any() else ("box", "keypoints")), "box")
        return {"kind": kind, "shape": shape.tolist() if kind == "keypoints" else None}


def _free_name(item: Item, taken: set[str]) -> str:
    """Return a file name for the picture of `item` whose labels nobody else has, on any file system.

    ultralytics finds labels by replacing the last /images/ of a path, so no folder below may be called that.
    """
    path = PurePosixPath(picture(item))
    parts = path.parts[1:] if path.parts[0] == "images" and len(path.parts) > 1 else path.parts
    path = PurePosixPath(*(f"{p}_" if p == "images" else p for p in parts))
    stem, number = path.stem, 1
    while str(path.with_suffix("")).casefold() in taken:
        number += 1
        path = path.with_stem(f"{stem}_{number}")
    taken.add(str(path.with_suffix("")).casefold())
    return str(path)


def _joined(rings: Sequence[Floats]) -> Floats:
    """Return one ring that fills as all of them do: from the first point of the first to each other one and back."""
    start = rings[0][:1]
    parts = [rings[0]]
    for ring in rings[1:]:
        parts += [start, ring, ring[:1]]
    return np.concatenate([*parts, start]) if len(rings) > 1 else rings[0]


def _to_edge(points: Floats, scale: Floats) -> Floats:
    """Return points (n, 2) in pixels, at the edge of the picture if they are at most SLACK outside."""
    over = np.maximum(-points, points - scale)
    return np.clip(points, 0, scale) if over.max() > 0.5 and (over <= SLACK * scale).all() else points


def _rotated(corners: Floats) -> list[float]:
    """Return the rotated box of four corners in order; the smallest around them if they are no rectangle."""
    a, b, c, d = corners
    width, height = np.hypot(*(b - a)), np.hypot(*(d - a))
    if np.abs(a + c - b - d).max() + abs(np.dot(b - a, d - a)) / max(width, height, 1e-9) > 1e-3 * max(width, height, 1e-3):
        import shapely

        return _rotated(shapely.get_coordinates(shapely.MultiPoint(corners).minimum_rotated_rectangle)[:4])
    along = b - a if width else np.array([d[1] - a[1], a[0] - d[0]])
    return [*((a + b + c + d) / 4).tolist(), float(width), float(height), float(np.arctan2(along[1], along[0]))]


def _size(path: Path) -> tuple[int, int]:
    """Return (height, width) of a picture from its header, turned as its EXIF says."""
    from PIL import Image

    from hyla.images import FORMATS, ORIENTATION

    try:
        with Image.open(path, formats=FORMATS) as image:
            turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            return image.size if turned else (image.height, image.width)
    # ultralytics, once imported, has Pillow ask for a module of its own for what is no picture.
    except (OSError, SyntaxError, ValueError, ImportError, Image.DecompressionBombError) as error:
        raise FormatError(f"{path} is no picture whose size can be read: {error}") from error
