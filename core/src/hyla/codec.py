"""Labels as bytes for the store, and records as JSON for files and other programs.

`pack` writes msgpack with the arrays as they lie in memory, for speed; `record_to_dict` writes names in place of numbers, for
readers. JSON has no NaN: what is unknown is left out there, or null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from hyla import frame as frames
from hyla.errors import FormatError, HylaError, StageError, StoreError, did_you_mean
from hyla.geometry import check_runs, check_shape
from hyla.record_schema import json_schema as json_schema
from hyla.schema import KINDS, Attribute, Schema
from hyla.types import NO_TRACK, Flag, Item, Kind, Labels, Record, Rle, Severity, Verdict

VERSION = b"\x01"  # the first byte of packed labels
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


# Bytes, for the store.


class Packed(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Hold labels as `pack` wrote them: each array as the bytes of its numbers, lowest byte first."""

    class_id: bytes
    score: bytes
    box: bytes
    kind: bytes
    track: bytes
    shape: list[Any] | None  # None where no label has one
    attributes: dict[str, bytes | list[Any]]  # bytes of numbers, or a list of objects
    context: dict[str, Any]
    evidence: dict[str, bytes]


def _python(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is nothing that JSON can hold")


_encoder = msgspec.msgpack.Encoder(order="deterministic", enc_hook=_python)
_decoder = msgspec.msgpack.Decoder(Packed)


def pack(labels: Labels) -> bytes:
    """Return `labels` as bytes: the same bytes for the same labels, on every machine.

    Raises:
        StageError: for a shape that is not what its kind says, and for an attribute or a context that JSON could not hold.
    """
    kinds = labels.kind.tolist()
    bare = not any(kind > Kind.BOX for kind in kinds) and all(shape is None for shape in labels.shape)
    packed = Packed(
        _raw(labels.class_id, "<i8"),
        _raw(labels.score, "<f8"),
        _raw(labels.box, "<f8"),
        _raw(labels.kind, "|u1"),
        _raw(labels.track, "<i8"),
        None if bare else [_packed_shape(kind, shape) for kind, shape in zip(kinds, labels.shape, strict=True)],
        {name: _raw(c, "<f8") if c.dtype.kind in "fiu" else c.tolist() for name, c in labels.attributes.items()},
        labels.context,
        {name: _raw(column, "<f8") for name, column in labels.evidence.items()},
    )
    try:
        return VERSION + _encoder.encode(packed)
    except (TypeError, ValueError, OverflowError, RecursionError) as e:
        raise StageError(f"attributes or context can't be stored: {e}", "use text, numbers, true, false, lists and dicts") from e


def unpack(data: bytes) -> Labels:
    """Return the labels that `pack` wrote; raise StoreError for any other bytes."""
    packed = peek(data)
    try:
        return _unpacked(packed)
    except (msgspec.MsgspecError, StageError, ValueError, RecursionError) as e:
        raise StoreError(f"packed labels are damaged: {e}", "run `hyla verify` on the project") from e


def peek(data: bytes) -> Packed:
    """Return the labels that `pack` wrote with their arrays still bytes: for who joins those of many pictures.

    Raises:
        StoreError: for any other bytes.
    """
    if data[:1] != VERSION:
        raise StoreError("packed labels are damaged, or of another version of Hyla", "run `hyla verify` on the project")
    try:
        return _decoder.decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as e:
        raise StoreError(f"packed labels are damaged: {e}", "run `hyla verify` on the project") from e


def _unpacked(packed: Packed) -> Labels:
    kind = _array(packed.kind, "|u1")
    if len(kind) and kind.max() > max(Kind):
        raise StageError(f"there is no kind {kind.max()}")
    shapes = [None] * len(kind) if packed.shape is None else packed.shape
    if len(shapes) != len(kind):
        raise StageError(f"{len(shapes)} shapes for {len(kind)} labels")
    if packed.shape is not None or (kind > Kind.BOX).any():
        shapes = [_unpacked_shape(Kind(k), one) for k, one in zip(kind.tolist(), shapes, strict=True)]
    return Labels(
        _array(packed.class_id, "<i8"),
        _array(packed.score, "<f8"),
        _array(packed.box, "<f8").reshape(-1, 4),
        kind,
        _objects(shapes),
        _array(packed.track, "<i8"),
        {name: _objects(c) if isinstance(c, list) else _array(c, "<f8") for name, c in packed.attributes.items()},
        packed.context,
        {name: _array(column, "<f8") for name, column in packed.evidence.items()},
    )


def _packed_shape(kind: int, shape: Any) -> Any:
    one = check_shape(kind, shape)
    if isinstance(one, tuple):
        return [*one] if isinstance(one, Rle) else [_raw(ring, "<f8") for ring in one]
    return None if one is None else _raw(one, "<f8")


def _unpacked_shape(kind: Kind, packed: Any) -> Any:
    if kind == Kind.MASK:
        return check_shape(kind, Rle(*msgspec.convert(packed, tuple[tuple[Count, ...], bytes])))
    if kind == Kind.POLYGON:
        return check_shape(kind, tuple(_array(ring, "<f8").reshape(-1, 2) for ring in msgspec.convert(packed, list[bytes])))
    if packed is None:
        return check_shape(kind, None)
    points = _array(msgspec.convert(packed, bytes), "<f8")
    across = {Kind.POLYLINE: 2, Kind.KEYPOINTS: 3}.get(kind)
    return check_shape(kind, points.reshape(-1, across) if across else points)


def _raw(array: npt.NDArray[Any], dtype: str) -> bytes:
    return array.astype(dtype, copy=False).tobytes()


def _array(data: bytes, dtype: str) -> npt.NDArray[Any]:
    # A copy, since an array that lies in bytes can't be written to.
    return np.frombuffer(data, dtype=dtype).astype(np.dtype(dtype).newbyteorder("="))


def _objects(values: Sequence[Any]) -> npt.NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        column[i] = value
    return column


# JSON, for files and other programs.


class _Label(msgspec.Struct, forbid_unknown_fields=True):
    class_: str = msgspec.field(name="class")
    kind: str
    box: tuple[float, float, float, float]
    score: float = 1.0
    shape: Any = None
    track: Annotated[int, msgspec.Meta(ge=NO_TRACK, le=2**63 - 1)] = NO_TRACK
    attributes: dict[str, Any] = {}
    evidence: dict[str, float | None] = {}


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    uri: str
    group: str = ""
    index: Count = 0
    kind: str = "image"
    meta: dict[str, Any] = {}


class _Flag(msgspec.Struct, forbid_unknown_fields=True):
    rule: str
    reason: str
    severity: Severity = Severity.REVIEW
    rows: tuple[Count, ...] = ()
    message: str = ""


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    schema: str
    item: _Item
    size: Annotated[tuple[Count, ...], msgspec.Meta(min_length=2, max_length=3)]
    labels: list[_Label]
    frame: dict[str, Any] | None = None
    source: str = ""
    verdict: Verdict = Verdict.REVIEW
    context: dict[str, Any] = {}
    flags: list[_Flag] = []


class _Mask(msgspec.Struct, forbid_unknown_fields=True):
    size: tuple[Count, ...]
    counts: str


def labels_to_rows(labels: Labels, schema: Schema) -> list[dict[str, Any]]:
    """Return one JSON-able dict per label: class, kind, score, box and, if given, shape, track, attributes and evidence.

    Attributes that are unknown are left out, and so is what JSON has no number for. `labels` must have passed `Schema.check`.

    Raises:
        StageError: for labels that do not fit the schema.
    """
    if len(labels) and not (labels.class_id.min() >= 0 and labels.class_id.max() < len(schema.names)):
        raise StageError(f"class ids must be 0 to {len(schema.names) - 1}")
    if not (np.isfinite(labels.score).all() and np.isfinite(labels.box).all()):
        raise StageError("scores and boxes must be finite numbers")
    kinds, tracks = labels.kind.tolist(), labels.track.tolist()
    rows: list[dict[str, Any]] = [
        {"class": schema.names[c], "kind": Kind(k).word, "score": s, "box": b}
        for c, k, s, b in zip(labels.class_id.tolist(), kinds, labels.score.tolist(), labels.box.tolist(), strict=True)
    ]
    for row, kind, shape, track in zip(rows, kinds, labels.shape, tracks, strict=True):
        if shape is not None or kind > Kind.BOX:
            row["shape"] = _json_shape(kind, shape)
        if track != NO_TRACK:
            row["track"] = track
    whole = {a.name for a in schema.attributes_of("label").values() if a.type == "integer"}
    for name, column in labels.attributes.items():
        for row, value in zip(rows, column.tolist(), strict=True):
            if (one := _json(value)) is not None:
                row.setdefault("attributes", {})[name] = int(one) if name in whole and one == int(one) else one
    for name, column in labels.evidence.items():
        for row, value in zip(rows, column.tolist(), strict=True):
            if math.isfinite(value):
                row.setdefault("evidence", {})[name] = value
    return rows


def labels_from_rows(rows: Sequence[Mapping[str, Any]], context: Mapping[str, Any], schema: Schema) -> Labels:
    """Return the labels that `labels_to_rows` wrote.

    Raises:
        FormatError: for rows that do not fit the schema, saying which and why.
    """
    return _labels(_convert(rows, list[_Label], "labels"), context, schema)


def record_to_dict(record: Record, schema: Schema) -> dict[str, Any]:
    """Return `record` as a JSON-able dict, which fits `json_schema(schema)`: one line of a JSONL file.

    Raises:
        StageError: for labels that do not fit the schema.
    """
    item = record.item
    return {
        "schema": f"{schema.name}@{schema.version}",
        "item": {
            "id": item.id,
            "uri": item.uri,
            "group": item.group,
            "index": item.index,
            "kind": item.kind,
            "meta": _json(item.meta),
        },
        "size": [int(s) for s in record.size],
        "frame": _json(frames.to_dict(record.frame)),
        "source": record.source,
        "verdict": str(record.verdict),
        "context": _json(record.labels.context),
        "labels": labels_to_rows(record.labels, schema),
        "flags": [
            {
                "rule": f.rule,
                "reason": f.reason,
                "severity": str(f.severity),
                "rows": [int(r) for r in f.rows],
                "message": f.message,
            }
            for f in record.flags
        ],
    }


def record_from_dict(values: Mapping[str, Any], schema: Schema) -> Record:
    """Return the record that `record_to_dict` wrote.

    Raises:
        FormatError: for a dict that is no record, or one of another schema, saying where and why.
    """
    one = _convert(values, _Record, "record")
    if one.schema != (name := f"{schema.name}@{schema.version}"):
        raise FormatError(
            f"the record was written for schema {one.schema!r}, this is {name!r}", "read it with the schema it was written for"
        )
    try:
        frame = frames.from_dict(one.frame or {"kind": "pixel"})
    except HylaError as e:
        raise FormatError(f"record.frame: {e.what}", e.hint, e.choices) from e
    labels = _labels(one.labels, one.context, schema)
    flags = tuple(Flag(f.rule, f.reason, f.severity, f.rows, f.message) for f in one.flags)
    if any(row >= len(labels) for flag in flags for row in flag.rows):
        raise FormatError(f"record.flags: a flag is about a row that is not there; the record has {len(labels)} labels")
    i = one.item
    return Record(Item(i.id, i.uri, i.group, i.index, i.kind, i.meta), labels, flags, one.verdict, one.source, one.size, frame)


def _labels(rows: list[_Label], context: Mapping[str, Any], schema: Schema) -> Labels:
    known = schema.attributes_of("label")
    shapes = []
    for i, row in enumerate(rows):
        _known("class", row.class_, schema.ids, i)
        _known("kind", row.kind, KINDS, i)
        for name in row.attributes:
            _known("attribute", name, known, i)
        shapes.append(_from_json_shape(KINDS[row.kind], row.shape, i))
    labels = Labels.of(
        [schema.ids[row.class_] for row in rows],
        [row.box for row in rows] or np.zeros((0, 4)),
        score=[row.score for row in rows],
        kind=np.array([KINDS[row.kind] for row in rows], dtype=np.uint8),
        shape=shapes,
        track=[row.track for row in rows],
        context=context,
        evidence={
            name: [np.nan if (v := row.evidence.get(name)) is None else v for row in rows]
            for name in dict.fromkeys(name for row in rows for name in row.evidence)
        },
    )
    for name in dict.fromkeys(name for row in rows for name in row.attributes):
        labels.attributes[name] = _column(known[name], [row.attributes.get(name) for row in rows])
    try:
        schema.check(labels)
    except StageError as e:
        raise FormatError(f"labels: {e.what}", e.hint, e.choices) from e
    return labels


def _known(what: str, word: str, words: Mapping[str, Any], row: int) -> None:
    if word not in words:
        raise FormatError(f"labels[{row}]: unknown {what} {word!r}", did_you_mean(word, words), words)


def _column(attribute: Attribute, values: list[Any]) -> npt.NDArray[Any]:
    if attribute.type not in ("integer", "number"):
        return _objects(values)
    numbers = _convert(values, list[float | None], f"labels: attribute {attribute.name!r}")
    return np.array([np.nan if v is None else v for v in numbers], dtype=np.float64)


def _json_shape(kind: int, shape: Any) -> Any:
    one = check_shape(kind, shape)
    if isinstance(one, Rle):
        return {"size": [int(s) for s in one.size], "counts": one.counts.decode("ascii")}
    return [ring.tolist() for ring in one] if isinstance(one, tuple) else one.tolist()


def _from_json_shape(kind: Kind, shape: Any, row: int) -> Any:
    try:
        if kind == Kind.MASK:
            mask = msgspec.convert(shape, _Mask)
            rle = Rle(mask.size, mask.counts.encode("utf-8", "surrogatepass"))
            check_runs(rle)
            return rle
        return check_shape(kind, shape)
    except (msgspec.ValidationError, StageError) as e:
        raise FormatError(f"labels[{row}].shape: {getattr(e, 'what', e)}") from e


def _convert(values: Any, to: Any, where: str) -> Any:
    try:
        return msgspec.convert(values, to)
    except msgspec.ValidationError as e:
        raise FormatError(f"{where}: {e}") from e


def _json(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(v) for v in value]
    raise StageError(f"a {type(value).__name__} is nothing that JSON can hold", "use text, numbers, true, false, lists and dicts")
