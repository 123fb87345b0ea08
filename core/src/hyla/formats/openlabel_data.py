"""The pieces of an OpenLABEL file: geometry and attributes."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from hyla import geometry
from hyla.errors import FormatError
from hyla.formats.segments import around
from hyla.schema import Schema
from hyla.types import Rle

Data = dict[str, list[dict[str, Any]]]  # as it is written
ABSOLUTE = "MODE_POLY2D_ABSOLUTE"
MODES = (ABSOLUTE, "MODE_POLY2D_RELATIVE")  # of these, the others are chain codes
PLAIN = ("num", "boolean", "text")
SHAPES = ("bbox", "rbbox", "poly2d", "point2d", "image", "cuboid")
SUFFIX = re.compile(r"#\d+$")  # tells apart the labels that one object has in one frame
PIXELS = 10**9  # of a mask that an import accepts


class Entry(msgspec.Struct):
    """Hold one piece of data, of any type: what is not of that type has its default."""

    val: Any
    name: str = ""
    attributes: dict[str, list[Entry]] = {}
    coordinate_system: str | None = None
    closed: bool = False
    mode: str = ""
    hierarchy: list[int] | None = None
    id: int = 0
    mime_type: str = ""
    encoding: str = ""


class Interval(msgspec.Struct):
    """Hold a closed interval of frames."""

    frame_start: int
    frame_end: int


class Element(msgspec.Struct):
    """Hold an object, an action or a context: what is said of it once."""

    type: str
    name: str = ""
    ontology_uid: str | None = None
    object_data: dict[str, list[Entry]] = {}
    context_data: dict[str, list[Entry]] = {}
    action_data: dict[str, list[Entry]] = {}
    frame_intervals: list[Interval] = []


class Part(msgspec.Struct):
    """Hold what is said of an object, an action or a context in one frame."""

    object_data: dict[str, list[Entry]] = {}
    context_data: dict[str, list[Entry]] = {}
    action_data: dict[str, list[Entry]] = {}


class Agent(msgspec.Struct):
    """Name an element that a relation is about."""

    type: str = ""
    uid: str = ""


class Relation(msgspec.Struct):
    """Say that elements belong together."""

    type: str
    rdf_subjects: list[Agent] = []
    rdf_objects: list[Agent] = []


class Moment(msgspec.Struct):
    """Hold one frame."""

    frame_properties: dict[str, Any] = {}
    objects: dict[str, Part] = {}
    contexts: dict[str, Part] = {}
    actions: dict[str, Part] = {}


class Metadata(msgspec.Struct):
    """Hold what is said of the file."""

    schema_version: str


class Root(msgspec.Struct):
    """Hold a file, as far as Hyla reads it."""

    metadata: Metadata
    objects: dict[str, Element] = {}
    contexts: dict[str, Element] = {}
    actions: dict[str, Element] = {}
    relations: dict[str, Relation] = {}
    frames: dict[Annotated[str, msgspec.Meta(pattern="^[0-9]+$")], Moment] = {}
    streams: dict[str, dict[str, Any]] = {}
    ontologies: dict[str, Any] = {}
    coordinate_systems: dict[str, Any] = {}
    frame_intervals: list[Interval] | None = None


def element(schema: Schema, class_id: int, uid: str, spans: list[list[int]]) -> dict[str, Any]:
    """Return what a file says of an object or an action once."""
    one = schema.classes[class_id]
    ontology = "0" if "openlabel" in one.codes else "1"
    type_name = schema.code(class_id, "openlabel")
    return {"name": f"{one.name} {uid}", "type": type_name, "ontology_uid": ontology, "frame_intervals": intervals(spans)}


def extend(spans: list[list[int]], number: int, before: int | None = None) -> None:
    """Add a frame to closed intervals; frames come in ascending order, `before` is the one before it if some were left out."""
    if spans and spans[-1][1] >= (number - 1 if before is None else before):
        spans[-1][1] = number
    else:
        spans.append([number, number])


def intervals(spans: list[list[int]]) -> list[dict[str, int]]:
    """Return closed intervals as OpenLABEL has them."""
    return [{"frame_start": first, "frame_end": last} for first, last in spans]


def data_out(values: Mapping[str, Any], suffix: str = "") -> Data:
    """Return attributes as OpenLABEL's lists of num, boolean and text."""
    out: Data = {}
    for name, value in values.items():
        kind = "boolean" if isinstance(value, bool) else "num" if isinstance(value, (int, float)) else "text"
        out.setdefault(kind, []).append({"name": f"{name}{suffix}", "val": value})
    return out


def data_in(data: Mapping[str, Sequence[Entry]]) -> dict[str, Any]:
    """Return attribute -> value of OpenLABEL's lists; a vector (vec) stays a list."""
    return {one.name: one.val for kind in (*PLAIN, "vec") for one in data.get(kind, ())}


def geometry_out(row: Mapping[str, Any], type_name: str, data: Data, schema: Schema) -> None:
    """Add one label, a row of `hyla.codec.labels_to_rows`, to the data that its object has in a frame.

    Args:
        row: the label.
        type_name: its type where that is not the object's own; kept as an attribute.
        data: changed in place; a second label of the same object gets names that end in #1, and so on.
        schema: names the keypoints.
    """
    kind: str = row["kind"]
    shape: Any = row.get("shape")
    taken = {_suffix(one["name"]) for entries in data.values() for one in entries}
    suffix = next(s for s in ("", *(f"#{k}" for k in range(1, len(taken) + 2))) if s not in taken)
    attributes = {"confidence": row["score"], **({"type": type_name} if type_name else {}), **row.get("attributes", {})}
    if kind == "tag":
        for word, values in data_out(attributes, suffix).items():
            data.setdefault(word, []).extend(values)
        return
    said = data_out(attributes)
    x0, y0, x1, y1 = row["box"]
    box: dict[str, Any] = {"name": f"box{suffix}", "val": [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]}
    if kind == "box":
        data.setdefault("bbox", []).append({**box, "attributes": said})
        return
    word, entries = _entries(kind, shape, suffix, schema.classes[schema.ids[row["class"]]].keypoints)
    inner = entries[0].setdefault("attributes", {})
    for key, values in said.items():
        inner[key] = [*inner.get(key, []), *values]
    data.setdefault(word, []).extend(entries)
    if not np.allclose(around(kind, shape), row["box"], rtol=0, atol=1e-6):
        data.setdefault("bbox", []).append(box)


def geometry_in(
    data: Mapping[str, Sequence[Entry]], size: Sequence[int], where: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (kind, box and shape, attributes) of each label that an object has in a frame of `size` (height, width).

    An object with one bbox and one other shape is one label, whose box that is. What is said of the object as a whole goes for
    all of its labels.

    Raises:
        FormatError: for geometry that Hyla has no kind for, or that is not what the standard says.
    """
    groups: dict[str, dict[str, list[Entry]]] = {}
    for word, entries in data.items():
        if entries and word not in (*SHAPES, *PLAIN, "vec"):
            raise FormatError(f"{where} has data of type {word!r}, which can't be read", choices=(*SHAPES, *PLAIN))
        for one in entries:
            groups.setdefault(_suffix(one.name), {}).setdefault(word, []).append(one)
    for suffix, group in groups.items() or [("", {})]:
        whole = {name.removesuffix(suffix): value for name, value in data_in(group).items()}
        boxes = [(_box(one, where), data_in(one.attributes)) for one in group.get("bbox", ())]
        shapes = list(_shapes(group, where))
        if len(shapes) == 1 and len(boxes) == 1:
            (box, said), (kind, shape, inner) = boxes[0], shapes[0]
            yield {"kind": kind, "box": box, "shape": shape}, whole | said | inner
            continue
        for box, said in boxes:
            yield {"kind": "box", "box": box}, whole | said
        for kind, shape, inner in shapes:
            yield {"kind": kind, "box": around(kind, shape), "shape": shape}, whole | inner
        if not boxes and not shapes:
            height, width = size[-2:] if size else (0, 0)
            yield {"kind": "tag", "box": [0.0, 0.0, float(width), float(height)]}, whole


def hierarchy(rings: Sequence[Any]) -> list[list[int]]:
    """Return [next, previous, first child, parent] of each ring, as OpenCV's contours have it; -1 for none."""
    import shapely

    areas = [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]
    size = [one.area for one in areas]
    around = [[j for j in range(len(rings)) if size[j] > size[i] and areas[j].contains(areas[i])] for i in range(len(rings))]
    parents = [min(outer, key=lambda j: size[j], default=-1) for outer in around]
    out = []
    for i, parent in enumerate(parents):
        level = [j for j, p in enumerate(parents) if p == parent]
        at = level.index(i)
        child = next((j for j, p in enumerate(parents) if p == i), -1)
        out.append([level[at + 1] if at + 1 < len(level) else -1, level[at - 1] if at else -1, child, parent])
    return out


def _suffix(name: str) -> str:
    found = SUFFIX.search(name)
    return found.group() if found else ""


def _entries(kind: str, shape: Any, suffix: str, points: Sequence[str]) -> tuple[str, list[dict[str, Any]]]:
    """Return OpenLABEL's word and entries for a shape as JSON has it."""
    name = f"{kind}{suffix}"
    if kind == "rotated_box":
        return "rbbox", [{"name": name, "val": shape}]
    if kind == "cuboid":
        return "cuboid", [{"name": name, "val": shape, "coordinate_system": "camera"}]
    if kind == "mask":
        return "image", [{"name": name, "val": _png(shape), "mime_type": "image/png", "encoding": "base64"}]
    if kind == "keypoints":
        return "point2d", [_point(i, point, points, suffix) for i, point in enumerate(shape)]
    rings = shape if kind == "polygon" else [shape]
    entries = [
        {"name": name, "val": [v for point in ring for v in point], "mode": ABSOLUTE, "closed": kind == "polygon"}
        for ring in rings
    ]
    if len(rings) > 1:
        for i, (entry, nest) in enumerate(zip(entries, hierarchy(rings), strict=True)):
            entry |= {"name": f"{kind}.{i}{suffix}", "hierarchy": nest}
    return "poly2d", entries


def _point(i: int, point: Sequence[float], names: Sequence[str], suffix: str) -> dict[str, Any]:
    seen = {"num": [{"name": "visibility", "val": int(point[2])}]}
    name = names[i] if i < len(names) else f"point {i}"
    return {"name": f"{name}{suffix}", "id": i, "val": list(point[:2]), "attributes": seen}


def _png(shape: Mapping[str, Any]) -> str:
    from PIL import Image

    mask = geometry.decode(Rle(tuple(shape["size"]), shape["counts"].encode()))
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).convert("1", dither=Image.Dither.NONE).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _mask(one: Entry, where: str) -> dict[str, Any]:
    from PIL import Image

    if one.mime_type != "image/png" or one.encoding != "base64":
        raise FormatError(f"{where}: a mask must be an image/png in base64, not {one.mime_type!r} in {one.encoding!r}")
    try:
        with Image.open(io.BytesIO(base64.b64decode(one.val, validate=True)), formats=("PNG",)) as picture:
            if picture.width * picture.height > PIXELS:
                raise FormatError(f"{where}: a mask of {picture.width} x {picture.height} pixels is too large")
            pixels = np.asarray(picture.convert("L")) != 0
    except (TypeError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"{where}: its mask can't be read: {error}") from error
    runs = geometry.encode(pixels)
    return {"size": list(runs.size), "counts": runs.counts.decode("ascii")}


def _box(one: Entry, where: str) -> list[float]:
    x, y, width, height = _numbers(one, (4,), where)
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def _shapes(data: Mapping[str, Sequence[Entry]], where: str) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for one in data.get("rbbox", ()):
        yield "rotated_box", _numbers(one, (5,), where), data_in(one.attributes)
    for one in data.get("cuboid", ()):
        yield "cuboid", _cuboid(_numbers(one, (9, 10), where)), data_in(one.attributes)
    for one in data.get("image", ()):
        yield "mask", _mask(one, where), data_in(one.attributes)
    together: dict[str, list[Entry]] = {}
    for i, one in enumerate(data.get("poly2d", ())):
        stem = re.sub(r"\.\d+(#\d+)?$", "", one.name) if one.hierarchy else f"#{i}"
        together.setdefault(stem, []).append(one)
    for rings in together.values():
        drawn, inner = [_points(one, where) for one in rings], data_in(rings[0].attributes)
        yield ("polygon", drawn, inner) if rings[0].closed else ("polyline", drawn[0], inner)
    if points := sorted(data.get("point2d", ()), key=lambda one: one.id):
        said = [data_in(one.attributes) for one in points]
        shape = [[*_numbers(one, (2,), where), mine.pop("visibility", 2)] for one, mine in zip(points, said, strict=True)]
        yield "keypoints", shape, {name: value for mine in said for name, value in mine.items()}


def _points(one: Entry, where: str) -> list[list[float]]:
    if one.mode not in MODES:
        raise FormatError(f"{where}: poly2d of mode {one.mode!r} can't be read", choices=MODES)
    flat = _numbers(one, (), where)
    if len(flat) % 2:
        raise FormatError(f"{where}: poly2d has {len(flat)} numbers, which make no points")
    points = np.array(flat).reshape(-1, 2)
    return (points if one.mode == ABSOLUTE else np.cumsum(points, axis=0)).tolist()  # type: ignore[no-any-return]


def _cuboid(values: list[float]) -> list[float]:
    """Return a cuboid (10,); of 9 numbers, the three angles turn about z, then the new y, then the new x ("ZYX")."""
    if len(values) == 10:
        return values
    (sx, cx), (sy, cy), (sz, cz) = ((math.sin(v / 2), math.cos(v / 2)) for v in values[3:6])
    turn = [sx * cy * cz - cx * sy * sz, cx * sy * cz + sx * cy * sz, cx * cy * sz - sx * sy * cz, cx * cy * cz + sx * sy * sz]
    return [*values[:3], *turn, *values[6:]]


def _numbers(one: Entry, lengths: Sequence[int], where: str) -> list[float]:
    values: list[Any] = one.val if isinstance(one.val, list) else [None]
    good = all(isinstance(v, (int, float)) and math.isfinite(v) for v in values)
    if not good or (lengths and len(values) not in lengths):
        wanted = " or ".join(map(str, lengths)) or "finite"
        raise FormatError(f"{where}: {one.name!r} must hold {wanted} numbers, got {one.val!r}")
    return [float(v) for v in values]
