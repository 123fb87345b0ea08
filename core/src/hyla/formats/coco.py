"""COCO instances JSON, in and out (https://cocodataset.org/#format-data).

What COCO has no word for goes under keys that its readers pass over and other tools use too: `attributes`, `track_id`, `score`,
and `videos` with `video_id` and `frame_id` as COCO-VID has them, whose `instance_id` is read as well; `hyla_id` (with `hyla_uri`
and `hyla_kind` where they can't be told from the rest) brings a record back to its item. A rotated box is written as its outline,
with `rotation` in degrees.
A region to ignore (iscrowd) is `evidence["iscrowd"]` of 1; an area that the geometry does not give is `evidence["area"]`.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import msgspec
import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.errors import FormatError, StageError
from hyla.formats import Loss, allowed, class_ids, find, inside, known_attributes, picture, proved, record, unknown_class, writing
from hyla.formats.segments import apart, areas, filled, rle_of, segmentation
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Item, Kind, Labels, Record, Rle, item_id

CARRIED = ("box", "rotated_box", "polygon", "keypoints", "mask")
KEPT = ("track", "score", "attribute", "context", "evidence.iscrowd", "evidence.area")
CVAT = ("rotation", "track_id", "keyframe")  # what CVAT writes among the attributes of every label
PIXELS = 10**9  # of a mask that an import accepts


class Coco(Format):
    """Read and write COCO.

    Args:
        file: name of the JSON file in the folder that is written.
        unknown: `error` to refuse classes, attributes and tracks that the schema does not have, `skip` to leave them out.
    """

    name = "coco"

    def __init__(self, file: str = "instances.json", unknown: str = "error") -> None:
        self.file = inside(file, "export.coco.file")
        self.skip = proved(unknown)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `out`/instances.json as the records come: images to the file, annotations behind them. Return what is lost."""
        loss = Loss()
        videos: dict[str, int] = {}
        json = msgspec.json.Encoder()
        with writing(out / self.file) as file, tempfile.TemporaryFile(dir=out) as tail:
            about = {"description": schema.name, "version": schema.version}
            file.write(b'{"info":' + json.encode(about) + b',"licenses":[],"images":[')
            first = 1
            for number, one in enumerate(records, 1):
                labels = loss.take(one, CARRIED, KEPT)
                labels = labels[~_volumes(labels, loss)]
                file.write((b"," if number > 1 else b"") + b"\n" + json.encode(self.image(number, one, videos)))
                for annotation in _annotations(labels, number, first, one.size, schema, loss):
                    tail.write((b"," if first > 1 else b"") + b"\n" + json.encode(self.annotation(annotation, one, videos)))
                    first += 1
            file.write(b'\n],"annotations":[')
            tail.seek(0)
            shutil.copyfileobj(tail, file)
            file.write(b"\n]," + json.encode({**self.beside(videos), "categories": _categories(schema)})[1:] + b"\n")
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a COCO file, or of a folder that holds one.

        A class is found by its name, else by its `coco` code. Of what an annotation holds, the first that the schema allows
        for its class is taken: keypoints, the rotated box, the polygon, the mask, the box.
        """
        found = find(path, self.file, "*.json", "annotations/*.json")
        yield from _Reader(found, schema, self.skip).records()

    # What a dialect of COCO says more is added by a class that inherits this one.

    def image(self, number: int, one: Record, videos: dict[str, int]) -> dict[str, Any]:
        """Return the entry of a picture. `videos` has the numbers of groups, and is given new ones here."""
        return _image(number, one, videos)

    def annotation(self, entry: dict[str, Any], one: Record, videos: Mapping[str, int]) -> dict[str, Any]:
        """Return the entry of a label of `one`."""
        return entry

    def beside(self, videos: Mapping[str, int]) -> dict[str, Any]:
        """Return what stands beside images, annotations and categories, once all were written."""
        return {"videos": [{"id": i, "name": name} for name, i in videos.items()]}


def _image(number: int, one: Record, videos: dict[str, int]) -> dict[str, Any]:
    item = one.item
    name = picture(item)
    out: dict[str, Any] = {
        "id": number,
        "file_name": name,
        "height": int(one.size[-2]),
        "width": int(one.size[-1]),
        "hyla_id": item.id,
    }
    if item.group:
        out |= {"video_id": videos.setdefault(item.group, len(videos) + 1)}
    if item.group or item.index:
        out["frame_id"] = item.index
    if item.uri != name:
        out["hyla_uri"] = item.uri
    if item.kind != _kind_of(item.group):
        out["hyla_kind"] = item.kind
    if len(one.size) == 3:
        out["depth"] = int(one.size[0])
    if known := {k: v for k, v in one.labels.context.items() if v is not None}:
        out["attributes"] = known
    return out


def _annotations(
    labels: Labels, image: int, first: int, size: Sequence[int], schema: Schema, loss: Loss
) -> Iterator[dict[str, Any]]:
    crowd = labels.evidence.get("iscrowd", np.zeros(len(labels)))
    columns = {name: _values(schema, name, column) for name, column in labels.attributes.items()}
    about = (labels.class_id, geometry.xywh(labels.box), areas(labels), labels.kind, labels.score, labels.track, crowd == 1)
    for row, (class_id, box, area, kind, score, track, ignored) in enumerate(zip(*(a.tolist() for a in about), strict=True)):
        shape = labels.shape[row]
        out: dict[str, Any] = {
            "id": first + row,
            "image_id": image,
            "category_id": class_id + 1,
            "bbox": box,
            "area": area,
            "iscrowd": int(ignored),
            "segmentation": [] if shape is None else segmentation(kind, shape, size[-2:]),
        }
        if kind == Kind.POLYGON and isinstance(out["segmentation"], dict):
            loss.count("polygon with holes as mask")
        if kind == Kind.ROTATED_BOX:
            out["rotation"] = float(np.degrees(shape[4]))
        if kind == Kind.KEYPOINTS:
            out["keypoints"] = shape.reshape(-1).tolist()
            out["num_keypoints"] = int((shape[:, 2] > 0).sum())
        if score != 1:
            out["score"] = score
        if track >= 0:
            out["track_id"] = track
        if known := {name: values[row] for name, values in columns.items() if values[row] is not None}:
            out["attributes"] = known
        yield out


def _values(schema: Schema, name: str, column: npt.NDArray[Any]) -> list[Any]:
    attribute = schema.attributes_of("label").get(name)
    whole = attribute is not None and attribute.type == "integer"
    return [None if v is None or v != v else int(v) if whole else v for v in column.tolist()]


def _categories(schema: Schema) -> list[dict[str, Any]]:
    out = []
    for i, one in enumerate(schema.classes):
        if one.abstract:
            continue
        category: dict[str, Any] = {"id": i + 1, "name": one.name, "supercategory": one.parent}
        if one.keypoints:
            numbers = {name: n for n, name in enumerate(one.keypoints, 1)}
            category |= {"keypoints": list(one.keypoints), "skeleton": [[numbers[a], numbers[b]] for a, b in one.skeleton]}
        out.append(category)
    return out


def _volumes(labels: Labels, loss: Loss) -> npt.NDArray[np.bool_]:
    deep = np.array([isinstance(s, Rle) and len(s.size) != 2 for s in labels.shape], dtype=bool)
    loss.count("mask of a volume", deep.sum())
    return deep


def _kind_of(group: str) -> str:
    return "video_frame" if group else "image"


class _Image(msgspec.Struct):
    id: int | str
    file_name: str
    height: int | None = None
    width: int | None = None
    depth: int | None = None
    video_id: int | str | None = None
    frame_id: int | None = None
    attributes: dict[str, Any] | None = None
    hyla_id: str = ""
    hyla_uri: str = ""
    hyla_kind: str = ""


class _Named(msgspec.Struct):
    id: int | str
    name: str
    keypoints: list[str] | None = None


class _Track(msgspec.Struct):
    id: int | str
    hyla_track: int | None = None


class _File(msgspec.Struct):
    images: list[_Image]
    annotations: list[msgspec.Raw]
    categories: list[_Named] = []
    videos: list[_Named] = []
    tracks: list[_Track] = []


class _OfImage(msgspec.Struct):
    image_id: int | str


class _Annotation(msgspec.Struct):
    category_id: int | str
    bbox: tuple[float, float, float, float] | None = None
    segmentation: Any = None
    keypoints: list[float] | None = None
    iscrowd: int | bool | None = None
    area: float | None = None
    score: float | None = None
    track_id: int | str | None = None
    instance_id: int | str | None = None
    rotation: float | None = None
    attributes: dict[str, Any] | None = None


_IMAGE_ID = msgspec.json.Decoder(_OfImage)
_ANY = msgspec.json.Decoder(dict[str, Any])


class _Reader:
    """Hold one COCO file while it is read: the annotations stay undecoded bytes until their image's turn."""

    def __init__(self, path: Path, schema: Schema, skip: bool) -> None:
        self.path, self.schema, self.skip = path, schema, skip
        self.names = class_ids(schema, "coco")
        self.labels_of = schema.attributes_of("label")
        try:
            self.file = msgspec.json.decode(path.read_bytes(), type=_File)
        except OSError as error:
            raise FormatError(f"{path} can't be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(
                f"{path} is no COCO file: {error}", "COCO is a JSON object with images, annotations and categories"
            ) from error
        self.categories = {c.id: c for c in self.file.categories}
        self.videos = {v.id: v.name for v in self.file.videos}
        self.tracks: dict[str, int] = {}
        self.own = {one.id: one.hyla_track for one in self.file.tracks if one.hyla_track is not None}

    def records(self) -> Iterator[Record]:
        of_image: dict[int | str, list[tuple[int, msgspec.Raw]]] = {image.id: [] for image in self.file.images}
        if len(of_image) != len(self.file.images):
            raise FormatError(f"{self.path}: two images have the same id")
        for number, raw in enumerate(self.file.annotations):
            image_id = self._decoded(_IMAGE_ID, raw, number).image_id
            if image_id not in of_image:
                raise FormatError(f"{self.path}: annotations[{number}] is of image {image_id!r}, which is not in the file")
            of_image[image_id].append((number, raw))
        for image in self.file.images:
            yield self._record(image, of_image.pop(image.id))

    def _record(self, image: _Image, annotations: Sequence[tuple[int, msgspec.Raw]]) -> Record:
        where = f"{self.path}: image {image.file_name!r}"
        name = inside(image.file_name, where)
        uri = inside(image.hyla_uri, where) if image.hyla_uri else name
        if image.video_id is not None and image.video_id not in self.videos:
            raise FormatError(f"{where} is of video {image.video_id!r}, which is not in the file")
        group = "" if image.video_id is None else self.videos[image.video_id]
        index = image.frame_id or 0
        size = (*(() if image.depth is None else (image.depth,)), image.height or 0, image.width or 0)
        if min(*size, index) < 0:
            raise FormatError(f"{where} has a negative size or frame_id")
        ident = image.hyla_id or item_id(uri, None if uri == name else index)
        rows = [row for number, raw in annotations if (row := self._row(number, raw, size))]
        context = known_attributes(image.attributes or {}, self.schema, "image", where, self.skip)
        item = Item(ident, uri, group, index, image.hyla_kind or _kind_of(group))
        made = record(item, [row for _, row in rows], self.schema, where, size, context)
        made.labels.evidence.update(_evidence([one for one, _ in rows], made.labels))
        return made

    def _row(self, number: int, raw: msgspec.Raw, size: Sequence[int]) -> tuple[_Annotation, dict[str, Any]] | None:
        where = f"{self.path}: annotations[{number}]"
        values = self._decoded(_ANY, raw, number)
        try:
            one = msgspec.convert(values, _Annotation)
        except msgspec.ValidationError as error:
            raise FormatError(f"{where}: {error}") from error
        if one.category_id not in self.categories:
            raise FormatError(f"{where}: its category {one.category_id!r} is not in the file")
        category = self.categories[one.category_id]
        if category.name not in self.names:
            if self.skip:
                return None
            raise unknown_class(category.name, where, self.names)
        class_id = self.names[category.name]
        inner = one.attributes or {}
        beside = {k: v for k, v in values.items() if k in self.labels_of and k not in _Annotation.__struct_fields__}
        own = {k: v for k, v in inner.items() if k in self.labels_of or k not in CVAT}
        row = {
            "class": self.schema.names[class_id],
            "score": 1.0 if one.score is None else one.score,
            "track": self._track(
                next((t for t in (one.track_id, one.instance_id) if t is not None), inner.get("track_id")), where
            ),
            "attributes": beside | known_attributes(own, self.schema, "label", where, self.skip),
        }
        return one, row | self._geometry(one, category, class_id, size, where)

    def _geometry(self, one: _Annotation, category: _Named, class_id: int, size: Sequence[int], where: str) -> dict[str, Any]:
        box = None
        if one.bbox is not None:
            x, y, w, h = one.bbox
            if not (all(map(math.isfinite, one.bbox)) and w >= 0 and h >= 0):
                raise FormatError(f"{where}: bbox must be x, y, width and height, and these not negative; got {list(one.bbox)}")
            box = [x, y, x + w, y + h]
        offers: dict[str, Any] = {}
        drawn = self._drawn(one.segmentation, size, where)
        if one.keypoints and (any(one.keypoints[2::3]) or not drawn):
            offers["keypoints"] = self._keypoints(one.keypoints, category, class_id, where)
        if (turned := _rotated(one, drawn, box)) is not None:
            offers["rotated_box"] = turned
        if isinstance(drawn, dict):
            offers |= {"mask": drawn, "polygon": None}  # None: made below, if it is what the schema wants
        elif drawn:
            offers |= {"polygon": drawn} | ({"mask": None} if len(size) == 2 and 0 < size[0] * size[1] <= PIXELS else {})
        kind = allowed(self.schema, class_id, *offers, "box")
        if kind in offers and offers[kind] is None:
            offers[kind] = _as_mask(drawn, size) if kind == "mask" else _as_polygon(drawn, where)
        if box is None:
            word = next((word for word, shape in offers.items() if shape is not None), "")
            if not word:
                raise FormatError(f"{where} has neither a bbox nor a segmentation")
            box = geometry.bounds([Kind[word.upper()]], [_array(word, offers[word])])[0].tolist()
        if kind in offers and offers[kind] is None:  # a mask without a pixel has no outline but its box
            kind = allowed(self.schema, class_id, "box", kind)
            x0, y0, x1, y1 = box
            offers[kind] = None if kind == "box" else [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]]
        return {"kind": kind, "box": box, "shape": offers.get(kind)}

    def _drawn(self, given: Any, size: Sequence[int], where: str) -> Any:
        """Return run lengths as {size, counts}, rings as lists of points, or None."""
        if not given:
            return None
        if isinstance(given, Mapping):
            return _run_lengths(given, size, where)
        flat = [given] if isinstance(given, list) and isinstance(given[0], (int, float)) else given
        try:
            rings = [np.asarray(ring, dtype=np.float64) for ring in flat]
            good = all(r.ndim == 1 and len(r) % 2 == 0 and (np.abs(r) < PIXELS).all() for r in rings)
        except (TypeError, ValueError):
            good = False
        if not good:
            raise FormatError(f"{where}: segmentation must be run lengths, or lists of x, y, x, y, ...")
        closed = [r.reshape(-1, 2) for r in rings if len(r) >= 6]
        if closed and not apart(closed):  # COCO fills each ring; by our rule, what two of them cover would be out
            closed = filled(closed)
        return [r.tolist() for r in closed] or None

    def _keypoints(self, flat: Sequence[float], category: _Named, class_id: int, where: str) -> list[list[float]]:
        if len(flat) % 3:
            raise FormatError(f"{where}: keypoints must be x, y, visibility of each; got {len(flat)} numbers")
        points = [list(flat[i : i + 3]) for i in range(0, len(flat), 3)]
        ours, theirs = self.schema.classes[class_id].keypoints, category.keypoints
        if ours and len(points) != len(ours):
            raise FormatError(f"{where} has {len(points)} keypoints; the schema names {len(ours)} for {category.name!r}")
        if ours and theirs and list(ours) != theirs:
            if sorted(ours) != sorted(theirs):
                raise FormatError(f"{where}: the keypoints of {category.name!r} are not those of the schema", choices=ours)
            points = [points[theirs.index(name)] for name in ours]
        return points

    def _track(self, given: Any, where: str) -> int:
        if given is None or (self.skip and "track" not in self.schema.kinds):
            return -1
        if isinstance(given, int):
            return max(self.own.get(given, given), -1)
        if not isinstance(given, str):
            raise FormatError(f"{where}: track_id must be a number or text")
        return self.tracks.setdefault(given, len(self.tracks))

    def _decoded(self, decoder: msgspec.json.Decoder[Any], raw: msgspec.Raw, number: int) -> Any:
        try:
            return decoder.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(f"{self.path}: annotations[{number}]: {error}") from error


def _run_lengths(given: Mapping[str, Any], size: Sequence[int], where: str) -> dict[str, Any]:
    from pycocotools import mask

    own, counts = given.get("size"), given.get("counts")
    if not _is_size(own) or math.prod(own) > PIXELS:
        raise FormatError(f"{where}: the size of a mask must be [height, width], up to {PIXELS} pixels; got {own!r}")
    if any(size) and list(size[-2:]) != own:
        raise FormatError(f"{where}: its mask is {own[1]} x {own[0]}, its image {size[-1]} x {size[-2]} pixels")
    if isinstance(counts, list):
        if not all(isinstance(c, int) and c >= 0 for c in counts) or sum(counts) != own[0] * own[1]:
            raise FormatError(f"{where}: the counts of a mask must be whole numbers that add up to its size")
        counts = _text(mask.frPyObjects({"size": own, "counts": counts}, own[0], own[1])["counts"])
    if not isinstance(counts, str):
        raise FormatError(f"{where}: the counts of a mask must be text or a list")
    return {"size": own, "counts": counts}


def _is_size(given: Any) -> TypeGuard[list[int]]:
    return isinstance(given, list) and len(given) == 2 and all(isinstance(s, int) and s > 0 for s in given)


def _evidence(given: Sequence[_Annotation], labels: Labels) -> dict[str, Floats]:
    out = {}
    if any(one.iscrowd for one in given):
        out["iscrowd"] = np.array([float(bool(one.iscrowd)) for one in given])
    area = np.array([np.nan if one.area is None else one.area for one in given])
    if (other := np.isfinite(area) & ~np.isclose(areas(labels), area, rtol=1e-6, atol=1e-6)).any():
        out["area"] = np.where(other, area, np.nan)
    return out


def _as_mask(rings: Any, size: Sequence[int]) -> dict[str, Any]:
    made = rle_of(Kind.POLYGON, tuple(np.array(r) for r in rings), size)
    return {"size": list(made["size"]), "counts": _text(made["counts"])}


def _as_polygon(mask: Mapping[str, Any], where: str) -> list[Any] | None:
    try:
        return [ring.tolist() for ring in geometry.polygons_of(geometry.decode(_array("mask", mask)))] or None
    except StageError as error:
        raise FormatError(f"{where}: {error.what}", error.hint) from error


def _array(kind: str, shape: Any) -> Any:
    if shape is None:
        return None
    if kind == "polygon":
        return tuple(np.asarray(ring, dtype=np.float64) for ring in shape)
    return Rle(tuple(shape["size"]), shape["counts"].encode()) if kind == "mask" else np.asarray(shape, dtype=np.float64)


def _rotated(one: _Annotation, drawn: Any, box: Sequence[float] | None) -> list[float] | None:
    """Return centre, size and angle: of the outline that we write, or of a box still to be turned, as CVAT writes it."""
    if one.rotation is not None and isinstance(drawn, list) and len(drawn) == 1 and len(drawn[0]) == 4:
        a, b, c, d = np.asarray(drawn[0])
        centre, width, height = ((a + b + c + d) / 4).tolist(), math.dist(a, b), math.dist(a, d)
        return [*centre, width, height, math.radians(one.rotation)]
    turned = (one.attributes or {}).get("rotation")
    if drawn or box is None or not turned or not isinstance(turned, (int, float)):
        return None
    x0, y0, x1, y1 = box
    return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, math.radians(turned)]


def _text(counts: bytes | str) -> str:
    return counts.decode("ascii") if isinstance(counts, bytes) else counts
