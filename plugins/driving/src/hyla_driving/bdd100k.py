"""BDD100K labels as Scalabel JSON, in and out (https://doc.scalabel.ai/format.html, https://doc.bdd100k.com/format.html).

One file of frames, each with its labels: box2d, box3d, poly2d, rle and graph (keypoints). The far edges of box2d belong to the
box there, so that x2 is x1 + width - 1. A cuboid is in the coordinates of the camera and turned about y alone; it has its box in
the picture beside it. `hyla_id` (with `hyla_uri` and `hyla_kind` where they can't be told from the rest) brings a frame back to
its item; Scalabel's own readers pass these over. Words of the data set for weather, time of day, scene, lane lines and lights are
translated (`bdd_words`); other attributes keep their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hyla.codec import labels_to_rows
from hyla.errors import FormatError
from hyla.formats import (
    PICTURES,
    Loss,
    allowed,
    class_ids,
    inside,
    known_attributes,
    picture,
    proved,
    record,
    unknown_class,
    writing,
)
from hyla.formats.segments import around
from hyla.frame import Frame, Matrix3, VideoFrame
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Item, Labels, Record, Rle, item_id
from hyla_driving import bdd_words as words
from hyla_driving.shapes import alpha, from_camera, to_camera

CARRIED = ("tag", "box", "polygon", "polyline", "keypoints", "mask", "cuboid")
KEPT = ("score", "attribute", "context", "evidence.iscrowd", "frame")
UNTRACKED = "untracked-"  # begins the id of a label of a clip that has no track
MILLISECONDS = 1000
STEPS = 8  # points of a Bezier curve
VISIBILITY = {0: "X", 1: "N", 2: "V"}  # of a node: absent, hidden and visible (scalabel.label.transforms.graph_to_keypoints)


class Bdd100k(Format):
    """Read and write BDD100K.

    Args:
        file: name of the JSON file in the folder that is written.
        unknown: `error` to refuse categories and attributes that the schema does not have, `skip` to leave them out.
    """

    name = "bdd"

    def __init__(self, file: str = "labels.json", unknown: str = "error") -> None:
        self.file = inside(file, "export.bdd.file")
        self.skip = proved(unknown)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `out`/labels.json as the records come. Return what is lost."""
        loss = Loss()
        json = msgspec.json.Encoder()
        names = dict.fromkeys(schema.code(i, "bdd100k") for i, one in enumerate(schema.classes) if not one.abstract)
        with writing(out / self.file) as file:
            config = {"categories": [{"name": name} for name in names]}
            file.write(b'{"config":' + json.encode(config) + b',"frames":[')
            for number, one in enumerate(records):
                file.write((b"," if number else b"") + b"\n" + json.encode(_frame(one, schema, loss)))
            file.write(b"\n]}\n")
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a Scalabel file, or of all *.json files of a folder, by name.

        A curve (BDD100K draws some lane lines as cubic Bezier curves) becomes a line of points.
        """
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise FormatError(f"{path} holds no *.json", "name the file, or another format")
        for file in files:
            yield from _Reader(file, schema, self.skip).records()


def _frame(one: Record, schema: Schema, loss: Loss) -> dict[str, Any]:
    item, clip = one.item, bool(one.item.group)
    labels = loss.take(one, CARRIED, (*KEPT, *(["track"] if clip else [])))
    deep = np.array([isinstance(s, Rle) and len(s.size) != 2 for s in labels.shape], dtype=bool)
    loss.count("mask of a volume", deep.sum())
    name = picture(item)
    out: dict[str, Any] = {"name": name, "hyla_id": item.id}
    if item.uri != name:
        out["hyla_uri"] = item.uri
    if item.kind != ("video_frame" if clip else "image"):
        out["hyla_kind"] = item.kind
    if clip:
        out["videoName"] = item.group
    if clip or item.index:
        out["frameIndex"] = item.index
    if any(one.size):
        out["size"] = {"height": int(one.size[-2]), "width": int(one.size[-1])}
    if isinstance(one.frame, VideoFrame):
        out |= _place(one.frame)
    loss.count("frame", _placed(msgspec.convert(out, _FrameOf), item.index) != one.frame)
    if said := words.frame_out(labels.context):
        out["attributes"] = said
    out["labels"] = list(_labels(labels[~deep], schema, clip, loss))
    return out


def _place(frame: VideoFrame) -> dict[str, Any]:
    out: dict[str, Any] = {"timestamp": round(frame.seconds * MILLISECONDS)}
    if frame.intrinsics is not None:
        (fx, skew, cx), (_, fy, cy), _ = frame.intrinsics
        out["intrinsics"] = {"focal": [fx, fy], "center": [cx, cy], "skew": skew}
    return out


def _labels(labels: Labels, schema: Schema, clip: bool, loss: Loss) -> Iterator[dict[str, Any]]:
    ids = class_ids(schema, "bdd100k")
    crowd = labels.evidence.get("iscrowd", np.zeros(len(labels)))
    for number, row in enumerate(labels_to_rows(labels, schema)):
        class_id = schema.ids[row["class"]]
        category = schema.code(class_id, "bdd100k")
        loss.count("class name", ids[category] != class_id)
        track = row.get("track")
        out: dict[str, Any] = {
            "id": str(track) if clip and track is not None else f"{UNTRACKED if clip else ''}{number}",
            "category": category,
            "score": row["score"],
        }
        attributes = row.get("attributes", {})
        said = words.label_out(category, attributes)
        back = words.label_in(category, said)[1]
        loss.count("attribute", sum(back.get(name) != value for name, value in attributes.items()))
        if crowd[number] == 1:
            said["crowd"] = True
        if said:
            out["attributes"] = said
        yield out | _geometry(row, schema.classes[class_id].keypoints, loss)


def _geometry(row: Mapping[str, Any], points: Sequence[str], loss: Loss) -> dict[str, Any]:
    kind: str = row["kind"]
    shape: Any = row.get("shape")
    if kind == "tag":
        return {}
    x0, y0, x1, y1 = row["box"]
    out: dict[str, Any] = {"box2d": {"x1": x0, "y1": y0, "x2": x1 - 1, "y2": y1 - 1}}
    if kind == "polygon":
        out["poly2d"] = [{"vertices": ring, "types": "L" * len(ring), "closed": True} for ring in shape]
        loss.count("hole of a polygon", _holes(shape))
    elif kind == "polyline":
        out["poly2d"] = [{"vertices": shape, "types": "L" * len(shape), "closed": False}]
    elif kind == "mask":
        out["rle"] = {"size": shape["size"], "counts": shape["counts"]}
    elif kind == "keypoints":
        names = points if len(points) == len(shape) else [str(i) for i in range(len(shape))]
        nodes = [
            {"location": [x, y], "category": name, "visibility": VISIBILITY[int(seen)], "id": str(i)}
            for i, (name, (x, y, seen)) in enumerate(zip(names, shape, strict=True))
        ]
        out["graph"] = {"nodes": nodes, "edges": [], "type": "Pose2D"}
    elif kind == "cuboid":
        (height, width, length, x, y, z, turn), tilted = to_camera(shape)
        loss.count("cuboid tilt", tilted)
        out["box3d"] = {
            "alpha": alpha(x, z, turn),
            "orientation": [0.0, turn, 0.0],
            "location": [x, y - height / 2, z],
            "dimension": [height, width, length],
        }
    return out


def _holes(rings: Sequence[Any]) -> int:
    """Return how many rings lie inside another: Scalabel fills each."""
    if len(rings) < 2:
        return 0
    import shapely

    areas = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]
    return sum(any(a is not b and b.contains(a) for b in areas) for a in areas)


class _Box(msgspec.Struct):
    x1: float
    y1: float
    x2: float
    y2: float


class _Cuboid(msgspec.Struct):
    orientation: tuple[float, float, float]
    location: tuple[float, float, float]
    dimension: tuple[float, float, float]


class _Poly(msgspec.Struct):
    vertices: list[tuple[float, float]]
    types: str = ""
    closed: bool = False


class _Runs(msgspec.Struct):
    counts: str
    size: tuple[int, int]


class _Node(msgspec.Struct):
    location: tuple[float, ...]
    category: str = ""
    visibility: str | None = None
    score: float | None = None


class _Graph(msgspec.Struct):
    nodes: list[_Node]


class _Label(msgspec.Struct):
    id: str | int = ""
    category: str | None = None
    score: float | None = None
    attributes: dict[str, Any] | None = None
    box2d: _Box | None = None
    box3d: _Cuboid | None = None
    poly2d: list[_Poly] | None = None
    rle: _Runs | None = None
    graph: _Graph | None = None


class _Size(msgspec.Struct):
    width: int
    height: int


class _Intrinsics(msgspec.Struct):
    focal: tuple[float, float]
    center: tuple[float, float]
    skew: float = 0.0


class _FrameOf(msgspec.Struct):
    name: str | int
    videoName: str | None = None
    frameIndex: int | None = None
    timestamp: int | float | None = None
    size: _Size | None = None
    intrinsics: _Intrinsics | None = None
    attributes: dict[str, Any] | None = None
    labels: list[_Label] | None = None
    hyla_id: str = ""
    hyla_uri: str = ""
    hyla_kind: str = ""


class _Dataset(msgspec.Struct):
    frames: list[_FrameOf]


class _Reader:
    def __init__(self, path: Path, schema: Schema, skip: bool) -> None:
        self.path, self.schema, self.skip = path, schema, skip
        self.names = class_ids(schema, "bdd100k")
        try:
            self.frames = _decoded(path.read_bytes())
        except OSError as error:
            raise FormatError(f"{path} can't be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(
                f"{path} is no Scalabel file: {error}", "Scalabel is a JSON object with frames, or a list of them"
            ) from error

    def records(self) -> Iterator[Record]:
        for one in self.frames:
            where = f"{self.path}: frame {one.name!r}"
            name = inside(str(one.name), where)
            item = self._item(one, name, where)
            size = (one.size.height, one.size.width) if one.size else (0, 0)
            context = known_attributes(words.frame_in(one.attributes or {}, self.schema), self.schema, "image", where, self.skip)
            rows, crowd = [], []
            for number, label in enumerate(one.labels or []):
                if row := self._row(label, bool(item.group), size, f"{where}, label {number}"):
                    rows.append(row)
                    crowd.append((label.attributes or {}).get("crowd") is True)
            made = record(item, rows, self.schema, where, size, context)
            if any(crowd):
                made.labels.evidence["iscrowd"] = np.array(crowd, dtype=np.float64)
            yield replace(made, frame=_placed(one, item.index))

    def _item(self, one: _FrameOf, name: str, where: str) -> Item:
        """Return the item of a frame: the one that we wrote, or the picture below images/ that has its name, or its name."""
        group, index = one.videoName or "", one.frameIndex or 0
        if index < 0:
            raise FormatError(f"{where}: frameIndex is negative")
        kind = one.hyla_kind or ("video_frame" if group else "image")
        if one.hyla_id:
            return Item(one.hyla_id, inside(one.hyla_uri, where) if one.hyla_uri else name, group, index, kind)
        if found := self._pictures.get(name):
            return Item(item_id(found), found, found.rpartition("/")[0] if group else "", index)
        return Item(item_id(name), name, group, index, kind)

    @cached_property
    def _pictures(self) -> dict[str, str]:
        """Return name -> path of the pictures of the data set: those below images/, beside the file or beside a folder above."""
        root = next((p for p in self.path.resolve().parents if (p / "images").is_dir()), None)
        if root is None:
            return {}
        return {p.name: p.relative_to(root).as_posix() for p in (root / "images").rglob("*") if p.suffix.lower() in PICTURES}

    def _row(self, label: _Label, clip: bool, size: tuple[int, int], where: str) -> dict[str, Any] | None:
        category, attributes = words.label_in(label.category or "", label.attributes or {})
        if category not in self.names:
            if self.skip:
                return None
            raise unknown_class(category, where, self.names)
        class_id = self.names[category]
        return {
            "class": self.schema.names[class_id],
            "score": 1.0 if label.score is None else label.score,
            "track": _track(label.id) if clip and "track" in self.schema.kinds else -1,
            "attributes": known_attributes(attributes, self.schema, "label", where, self.skip),
            **self._shape(label, class_id, size, where),
        }

    def _shape(self, label: _Label, class_id: int, size: tuple[int, int], where: str) -> dict[str, Any]:
        offers: dict[str, Any] = {}
        if label.box3d:
            one = label.box3d
            if any(one.orientation[i] for i in (0, 2)):
                raise FormatError(f"{where}: box3d is tilted", "only a turn about y can be read")
            height, width, length = one.dimension
            x, y, z = one.location
            offers["cuboid"] = from_camera(height, width, length, x, y + height / 2, z, one.orientation[1])
        if label.rle:
            offers["mask"] = {"size": list(label.rle.size), "counts": label.rle.counts}
        if label.graph:
            offers["keypoints"] = [_point(node, where) for node in label.graph.nodes]
        if label.poly2d:
            if len({p.closed for p in label.poly2d}) > 1 or (not label.poly2d[0].closed and len(label.poly2d) > 1):
                raise FormatError(
                    f"{where}: poly2d must be one open line, or closed lines only", "give each line a label of its own"
                )
            drawn = [_drawn(p, where) for p in label.poly2d]
            offers |= {"polygon": drawn} if label.poly2d[0].closed else {"polyline": drawn[0]}
        kind = allowed(self.schema, class_id, *offers, "box") if label.box2d or not offers else next(iter(offers))
        box = None
        if label.box2d:
            box = [label.box2d.x1, label.box2d.y1, label.box2d.x2 + 1, label.box2d.y2 + 1]
        elif not offers:
            kind, box = "tag", [0.0, 0.0, float(size[1]), float(size[0])]
        else:
            box = around(kind, offers[kind])
        return {"kind": kind, "box": box, "shape": offers.get(kind)}


def _decoded(data: bytes) -> list[_FrameOf]:
    if data.lstrip()[:1] == b"[":
        return msgspec.json.decode(data, type=list[_FrameOf])
    return msgspec.json.decode(data, type=_Dataset).frames


def _placed(one: _FrameOf, index: int) -> Frame:
    if one.timestamp is None and one.intrinsics is None:
        return Frame()
    matrix: Matrix3 | None = None
    if one.intrinsics:
        (fx, fy), (cx, cy) = one.intrinsics.focal, one.intrinsics.center
        matrix = ((fx, one.intrinsics.skew, cx), (0.0, fy, cy), (0.0, 0.0, 1.0))
    at = round(one.timestamp or 0)
    return VideoFrame(at / MILLISECONDS, index, at, (1, MILLISECONDS), matrix)


def _track(given: str | int) -> int:
    """Return the track of a label's id: its number, or one made from a text, the same for the same text."""
    text = str(given)
    if not text or text.startswith(UNTRACKED):
        return -1
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    return int.from_bytes(sha256(text.encode()).digest()[:7], "big")


def _point(node: _Node, where: str) -> list[float]:
    if len(node.location) != 2:
        raise FormatError(f"{where}: graph must have points in the picture, of two numbers")
    seen = {word: number for number, word in VISIBILITY.items()}.get(node.visibility or "")
    if seen is None:
        seen = int(node.score) if node.score in (0, 1, 2) else 2
    return [*node.location, seen]


def _drawn(poly: _Poly, where: str) -> list[list[float]]:
    """Return the points of a poly2d: L is a point, CCC two controls and the end of a cubic Bezier curve."""
    types = poly.types or "L" * len(poly.vertices)
    if len(types) != len(poly.vertices):
        raise FormatError(f"{where}: poly2d has {len(poly.vertices)} vertices and {len(types)} types")
    points = np.array(poly.vertices, dtype=np.float64).reshape(-1, 2)
    out: list[list[float]] = []
    i = 0
    while i < len(types):
        if types[i] == "C" and types[i : i + 3] == "CCC" and out:
            t = np.linspace(0, 1, STEPS + 1)[1:, None]
            a, (b, c, d) = np.array(out[-1]), points[i : i + 3]
            out += ((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d).tolist()
            i += 3
        elif types[i] == "L":
            out.append(points[i].tolist())
            i += 1
        else:
            raise FormatError(f"{where}: poly2d has types {types!r}", "L is a point, CCC a cubic curve from the point before")
    return out
