"""ASAM OpenLABEL 1.0.0, in and out (https://www.asam.net/standards/detail/openlabel/).

One JSON file per clip, and images.json for pictures that stand alone, each picture a frame. A track is an object under its own
number that lives through its frames; a label without a track is an object of one frame with a negative number. Geometry and its
attributes stand in the frames:

    box -> bbox [centre x, centre y, width, height]     rotated_box -> rbbox, the same and the angle from x to y
    polygon -> poly2d, closed, one per ring, with `hierarchy` where there are several     polyline -> poly2d, open
    keypoints -> point2d each, with attribute `visibility`     mask -> image, a PNG of one bit per pixel
    cuboid -> cuboid [x, y, z, qx, qy, qz, qw, sx, sy, sz]     tag -> an object without geometry

Tags with a track of classes that `actions` names are actions, with the frames in which they happen; where an attribute of theirs
lists tracks, relations say which objects they are of.

The score is the attribute `confidence`. What an image as a whole is like stands in a context. `frame_properties.hyla` brings a
frame back to its item; it is one of the additional properties that the standard allows there.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from importlib import resources
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import IO, Any

import msgspec

from hyla import frame as frames
from hyla.codec import labels_to_rows
from hyla.errors import FormatError, HylaError
from hyla.formats import Loss, class_ids, inside, known_attributes, proved, record, unknown_class, writing
from hyla.formats.openlabel_actions import Acts
from hyla.formats.openlabel_checks import problems
from hyla.formats.openlabel_data import (
    Element,
    Entry,
    Moment,
    Root,
    data_in,
    data_out,
    element,
    extend,
    geometry_in,
    geometry_out,
    intervals,
)
from hyla.frame import Frame, VideoFrame
from hyla.hooks import Format, hookimpl
from hyla.schema import KINDS, Schema
from hyla.types import Item, Record, Rle, item_id

VERSION = "1.0.0"
ONTOLOGY = "https://openlabel.asam.net/V1-0-0/ontologies/"  # of ASAM's own types, such as VehicleCar
RESERVED = ("confidence", "score", "type", "visibility")  # attributes with a meaning of their own here
KEPT = ("track", "score", "attribute", "context", "frame", "meta")
ALONE = "images"
CAMERA = "camera"
CONDITIONS = "0"  # number of the context


class OpenLabel(Format):
    """Read and write OpenLABEL.

    Args:
        unknown: `error` to refuse types and attributes that the schema does not have, `skip` to leave them out.
        actions: classes, with those below them, whose tags are actions; none reads and writes objects only.
        participants: attribute of actions that lists the tracks of who takes part, with commas between; empty for none.
    """

    name = "openlabel"

    def __init__(self, unknown: str = "error", actions: Sequence[str] = (), participants: str = "") -> None:
        self.skip, self.actions, self.participants = proved(unknown), tuple(actions), participants

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write one file per clip under `out`, and images.json for what is no clip, as the records come. Return what is lost."""
        loss, taken = Loss(), {f"{ALONE}.json"}
        with ExitStack() as stack:
            alone: _Writer | None = None
            for group, members in groupby(records, key=lambda one: one.item.group):
                if not group:
                    alone = alone or self._writer(out / f"{ALONE}.json", schema, loss, stack)
                    for one in members:
                        alone.add(one)
                    continue
                with ExitStack() as short:
                    clip = self._writer(out / _free(group, taken), schema, loss, short)
                    for one in members:
                        clip.add(one)
                    clip.finish()
            if alone:
                alone.finish()
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of an OpenLABEL file, or of all *.json files below a folder, by name."""
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        if not files:
            raise FormatError(f"{path} holds no *.json", "name the file, or another format")
        for file in files:
            acts = Acts(schema, self.actions, self.participants)
            yield from _Reader(file, schema, self.skip, acts).records()

    def _writer(self, path: Path, schema: Schema, loss: Loss, stack: ExitStack) -> _Writer:
        return _Writer(path, schema, loss, stack, Acts(schema, self.actions, self.participants))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 7) of OpenLABEL 1.0.0."""
    text = resources.files("hyla.formats").joinpath("openlabel_schema.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


class _Writer:
    """Write one file: frames as they come, objects behind them. Only what is known of the tracks is kept."""

    def __init__(self, path: Path, schema: Schema, loss: Loss, stack: ExitStack, acts: Acts) -> None:
        self.schema, self.loss, self.acts = schema, loss, acts
        self.json = msgspec.json.Encoder()
        self.file: IO[bytes] = stack.enter_context(writing(path))
        self.tail: IO[bytes] = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))  # noqa: SIM115  # closed by the stack
        self.name = path.stem
        self.number = -1  # of the frame
        self.frames: list[list[int]] = []
        self.conditions: list[list[int]] = []
        self.tracks: dict[int, tuple[int, list[list[int]]]] = {}  # number -> class id, frames
        self.single = 0  # objects without a track

    def add(self, one: Record) -> None:
        """Write one record as the next frame, under the index of its item in a clip."""
        labels = self.loss.take(one, KINDS, KEPT)
        deep = [isinstance(s, Rle) and len(s.size) != 2 for s in labels.shape]
        self.loss.count("mask of a volume", sum(deep))
        if any(deep):
            labels = labels[[not d for d in deep]]
        clip = bool(one.item.group)
        if clip and one.item.index <= self.number:
            raise FormatError(f"clip {one.item.group!r} is not in order: frame {one.item.index} comes after {self.number}")
        self.file.write(self._begin(one) if self.number < 0 else b",\n")
        before = self.number
        self.number = one.item.index if clip else self.number + 1
        extend(self.frames, self.number)
        out: dict[str, Any] = {"frame_properties": _properties(one)}
        objects: dict[str, dict[str, Any]] = {}
        actions: dict[str, dict[str, Any]] = {}
        for row in labels_to_rows(labels, self.schema):
            for name in RESERVED:
                self.loss.count("attribute", row.get("attributes", {}).pop(name, None) is not None)
            if self.acts.has(row) and (action := str(row["track"])) not in actions:
                actions[action] = self.acts.add(row, self.number, before, self.schema)
                continue
            uid, text = self._object(row)
            data = objects.setdefault(uid, {"object_data": {}})["object_data"]
            geometry_out(row, text, data, self.schema)
        if objects:
            out["objects"] = objects
        if actions:
            out["actions"] = actions
        if said := data_out({k: v for k, v in one.labels.context.items() if v is not None}):
            out["contexts"] = {CONDITIONS: {"context_data": said}}
            extend(self.conditions, self.number)
        self.file.write(self.json.encode(str(self.number)) + b":" + self.json.encode(out))

    def finish(self) -> None:
        """Write what is left: the objects, and when they are there."""
        if self.number < 0:
            return
        for track, (class_id, spans) in self.tracks.items():
            self._write_object(str(track), class_id, spans)
        self.file.write(b'\n},"objects":{')
        self.tail.seek(0)
        shutil.copyfileobj(self.tail, self.file)
        self.file.write(b"\n}")
        for word, elements in self.acts.elements(self.schema, self.tracks).items():
            self.file.write(b"," + self.json.encode(word) + b":" + self.json.encode(elements))
        if self.conditions:
            context = {"name": "conditions", "type": "Conditions", "frame_intervals": intervals(self.conditions)}
            self.file.write(b',"contexts":' + self.json.encode({CONDITIONS: context}))
        self.file.write(b',"frame_intervals":' + self.json.encode(intervals(self.frames)) + b"}}\n")

    def _begin(self, one: Record) -> bytes:
        head: dict[str, Any] = {
            "metadata": {"schema_version": VERSION, "name": one.item.group or self.name, "annotator": one.source or "hyla"},
            "ontologies": {"0": ONTOLOGY, "1": f"urn:hyla:schema:{self.schema.name}:{self.schema.version}"},
            "coordinate_systems": {CAMERA: {"type": "sensor_cs", "parent": "", "children": []}},
            "streams": {CAMERA: _stream(one)},
        }
        return b'{"openlabel":' + self.json.encode(head)[:-1] + b',"frames":{\n'

    def _object(self, row: dict[str, Any]) -> tuple[str, str]:
        """Return the object's number for a label, and the type to name in the frame where it is not the object's own."""
        class_id, track = self.schema.ids[row["class"]], row.get("track")
        if track is None:
            self.single += 1
            self._write_object(str(-self.single), class_id, [[self.number, self.number]])
            return str(-self.single), ""
        first, spans = self.tracks.setdefault(track, (class_id, []))
        extend(spans, self.number)
        return str(track), "" if first == class_id else self.schema.code(class_id, "openlabel")

    def _write_object(self, uid: str, class_id: int, spans: list[list[int]]) -> None:
        out = element(self.schema, class_id, uid, spans)
        self.tail.write((b",\n" if self.tail.tell() else b"\n") + self.json.encode(uid) + b":" + self.json.encode(out))


def _stream(one: Record) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "camera", "uri": one.item.uri}
    if isinstance(one.frame, VideoFrame) and one.frame.intrinsics is not None:
        matrix = [value for line in one.frame.intrinsics for value in (*line, 0.0)]  # 3 x 4, as the standard has it
        pinhole = {"camera_matrix": matrix, "height_px": int(one.size[-2]), "width_px": int(one.size[-1])}
        out["stream_properties"] = {"intrinsics_pinhole": pinhole}
    return out


def _properties(one: Record) -> dict[str, Any]:
    item = one.item
    about = {"id": item.id, "uri": item.uri, "group": item.group, "index": item.index, "kind": item.kind, "meta": dict(item.meta)}
    stream: dict[str, Any] = {"type": "camera", "uri": item.uri}
    out: dict[str, Any] = {"streams": {CAMERA: stream}}
    if isinstance(one.frame, VideoFrame):
        out["timestamp"] = one.frame.seconds
        stream["stream_properties"] = {"sync": {"frame_stream": one.frame.index, "timestamp": one.frame.seconds}}
    out["hyla"] = {"item": about, "size": [int(s) for s in one.size], "frame": frames.to_dict(one.frame)}
    return out


class _ItemOf(msgspec.Struct):
    id: str
    uri: str
    group: str = ""
    index: int = 0
    kind: str = "image"
    meta: dict[str, Any] = {}


class _Ours(msgspec.Struct):
    item: _ItemOf
    size: tuple[int, ...]
    frame: dict[str, Any]


class _File(msgspec.Struct):
    openlabel: Root


class _Reader:
    def __init__(self, path: Path, schema: Schema, skip: bool, acts: Acts) -> None:
        self.path, self.schema, self.skip, self.acts = path, schema, skip, acts
        self.types = class_ids(schema, "openlabel")
        try:
            self.root = msgspec.json.decode(path.read_bytes(), type=_File).openlabel
        except OSError as error:
            raise FormatError(f"{path} can't be read: {error.strerror}") from error
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(
                f"{path} is no OpenLABEL file: {error}", "it must be a JSON object `openlabel` with metadata"
            ) from error
        if self.root.metadata.schema_version != VERSION:
            raise FormatError(f"{path} is of version {self.root.metadata.schema_version}", f"version {VERSION} can be read")
        if wrong := next(problems(self.root), ""):
            raise FormatError(f"{path}: {wrong}", "the file contradicts itself; ask for a correct one")

    def records(self) -> Iterator[Record]:
        frames, single = self.root.frames, not self.root.frames  # without frames, labels of one picture
        for number, one in sorted(frames.items(), key=lambda pair: int(pair[0])) if frames else [("0", Moment())]:
            yield self._record(number, one, single)

    @cached_property
    def _always(self) -> dict[str, Element]:
        """Return the objects of which something is said for all of their frames at once."""
        dynamic = {uid for one in self.root.frames.values() for uid in one.objects}
        objects = self.root.objects.items()
        return {uid: one for uid, one in objects if one.object_data or (uid not in dynamic and not self.root.frames)}

    def _objects(self, number: int, one: Moment) -> Iterator[tuple[str, dict[str, list[Entry]]]]:
        """Yield the objects of a frame, with what is said of them here and for all of their frames."""
        for uid, part in one.objects.items():
            always = self._always[uid].object_data if uid in self._always else {}
            words = dict.fromkeys((*always, *part.object_data))
            yield uid, {word: [*always.get(word, ()), *part.object_data.get(word, ())] for word in words}
        for uid, always_there in self._always.items():
            spans = always_there.frame_intervals
            if uid not in one.objects and (
                not spans or not self.root.frames or any(s.frame_start <= number <= s.frame_end for s in spans)
            ):
                yield uid, always_there.object_data

    def _record(self, number: str, one: Moment, single: bool) -> Record:
        where = f"{self.path}: frame {number}"
        item, size, frame = self._place(number, one, where, single)
        rows = [
            row
            for uid, data in self._objects(int(number), one)
            for row in self._rows(self.root.objects[uid].type, uid, data, size, f"{where}, object {uid}", single)
        ]
        for uid, action, about in self.acts.of_frame(self.root, number) if self.acts.wanted else ():
            rows += self._rows(action.type, uid, about, size, f"{where}, action {uid}", single=False)
        said: dict[str, Any] = {}
        for data in one.contexts.values():
            said |= data_in(data.context_data)
        context = known_attributes(said, self.schema, "image", where, self.skip)
        return replace(record(item, rows, self.schema, where, size, context), frame=frame)

    def _place(self, number: str, one: Moment, where: str, single: bool) -> tuple[Item, tuple[int, ...], Frame]:
        properties = one.frame_properties
        if "hyla" in properties:
            try:
                ours = msgspec.convert(properties["hyla"], _Ours)
                frame = frames.from_dict(ours.frame)
            except (msgspec.MsgspecError, HylaError) as error:
                raise FormatError(f"{where}: frame_properties.hyla: {error}") from error
            i = ours.item
            return Item(i.id, inside(i.uri, where), i.group, i.index, i.kind, i.meta), ours.size, frame
        index = int(number)
        streams = {**self.root.streams, **properties.get("streams", {})}
        given = next((s["uri"] for s in streams.values() if s.get("type", "camera") == "camera" and s.get("uri")), None)
        uri = inside(given, where) if given else self.path.stem
        seconds = properties.get("timestamp")
        place = VideoFrame(float(seconds), index) if isinstance(seconds, (int, float)) else Frame()
        if single:
            return Item(item_id(uri), uri), (0, 0), place
        return Item(item_id(uri, index), uri, self.path.stem, index, "video_frame"), (0, 0), place

    def _rows(
        self, kind: str, uid: str, data: dict[str, list[Entry]], size: tuple[int, ...], where: str, single: bool
    ) -> Iterator[dict[str, Any]]:
        track = int(uid) if not single and uid.isdigit() and "track" in self.schema.kinds else -1
        for shape, attributes in geometry_in(data, size, where):
            name = attributes.pop("type", kind)
            if name not in self.types:
                if self.skip:
                    continue
                raise unknown_class(name, where, self.types)
            score = attributes.pop("confidence", attributes.pop("score", 1.0))
            known = known_attributes(attributes, self.schema, "label", where, self.skip)
            yield {"class": self.schema.names[self.types[name]], "score": score, "track": track, "attributes": known, **shape}


def _free(group: str, taken: set[str]) -> str:
    """Return a relative file name for a clip that no other has on any file system, and take it."""
    parts = [p for p in PurePosixPath(group.replace("\\", "/")).parts if p not in ("/", "..", ".")]
    name = f"{'/'.join(parts) or 'clip'}.json"
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name.removesuffix('.json')}-{number}.json"
    taken.add(free.casefold())
    return free
