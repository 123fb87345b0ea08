"""Labels as bytes and records as JSON: what goes in comes out, and nothing else gets in."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from hyla import codec
from hyla.errors import FormatError, StageError, StoreError
from hyla.frame import PatientFrame, VideoFrame
from hyla.geometry import encode
from hyla.schema import KINDS, Schema
from hyla.types import Flag, Item, Kind, Labels, Record, Rle, Severity, Verdict
from strategies import JSON, TEXTS, labels, records, schemas, sizes

ROAD = Schema.from_config(
    {
        "name": "road",
        "kinds": [*KINDS, "track"],
        "classes": {"thing": {"abstract": True}, "car": {"kinds": ["box", "mask"]}, "lane": {}},
        "attributes": {
            "colour": {"type": "choice", "choices": ["red", "blue"]},
            "age": {"type": "integer", "minimum": 0, "maximum": 120, "unit": "a"},
            "speed": {"type": "number"},
            "parked": {"type": "boolean"},
            "plate": {},
            "weather": {"type": "choice", "choices": ["sun", "rain"], "scope": "image"},
        },
    }
)
LINE = np.array([[0.0, 1], [2, 3.5]])
ONE = Record(
    Item("a-1", "a.mp4", "a", 3, "video_frame", {"fps": 29.97}),
    Labels.of(
        [1, 2, 1],
        np.array([[0, 0, 2, 2], [0, 1, 2, 3.5], [0, 0, 2, 2]]),
        score=[0.5, 1, 0.25],
        kind=[Kind.BOX, Kind.POLYLINE, Kind.MASK],
        shape=[None, LINE, encode(np.eye(2))],
        track=[7, -1, -1],
        attributes={"colour": ["red", None, None], "age": [3, None, 4]},
        context={"weather": "rain"},
        evidence={"margin": [np.nan, 0.5, np.inf]},
    ),
    (Flag("rules.tiny", "tiny", Severity.HUMAN, (1,), "4 px is less than 8"),),
    Verdict.ACCEPT,
    "model:yolo@0f",
    (4, 6),
    VideoFrame(0.1, 3, 9000, (1, 90000)),
)
WRITTEN = {
    "schema": "road@1",
    "item": {"id": "a-1", "uri": "a.mp4", "group": "a", "index": 3, "kind": "video_frame", "meta": {"fps": 29.97}},
    "size": [4, 6],
    "frame": {"kind": "video", "seconds": 0.1, "index": 3, "pts": 9000, "time_base": [1, 90000], "intrinsics": None},
    "source": "model:yolo@0f",
    "verdict": "accept",
    "context": {"weather": "rain"},
    "labels": [
        {"class": "car", "kind": "box", "score": 0.5, "box": [0, 0, 2, 2], "track": 7, "attributes": {"colour": "red", "age": 3}},
        {
            "class": "lane",
            "kind": "polyline",
            "score": 1,
            "box": [0, 1, 2, 3.5],
            "shape": [[0, 1], [2, 3.5]],
            "evidence": {"margin": 0.5},
        },
        {
            "class": "car",
            "kind": "mask",
            "score": 0.25,
            "box": [0, 0, 2, 2],
            "shape": {"size": [2, 2], "counts": "0120"},
            "attributes": {"age": 4},
        },
    ],
    "flags": [{"rule": "rules.tiny", "reason": "tiny", "severity": "human", "rows": [1], "message": "4 px is less than 8"}],
}


def valid(schema: Schema) -> Draft202012Validator:
    """Return a validator of the schema's records, having checked its JSON Schema itself."""
    Draft202012Validator.check_schema(schema.json_schema())
    return Draft202012Validator(schema.json_schema())


def changed(where: str, value: Any) -> dict[str, Any]:
    """Return WRITTEN with the value at a path like `labels.0.class` put in, or taken out if it is `...`."""
    out: dict[str, Any] = json.loads(json.dumps(WRITTEN))
    at: Any = out
    *path, last = [int(k) if k.isdigit() else k for k in where.split(".")]
    for key in path:
        at = at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return out


# Bytes.


@given(st.data())
def test_labels_survive_their_bytes(data: st.DataObject) -> None:
    one = data.draw(labels(data.draw(schemas()), data.draw(sizes())))
    packed = codec.pack(one)
    got = codec.unpack(packed)
    assert got == one
    assert codec.pack(got) == packed
    for name in ("class_id", "score", "box", "kind", "track"):
        assert getattr(got, name).dtype == getattr(one, name).dtype
    assert {k: v.dtype for k, v in got.attributes.items()} == {k: v.dtype for k, v in one.attributes.items()}


@given(st.data())
def test_the_order_of_names_does_not_change_the_bytes(data: st.DataObject) -> None:
    one = data.draw(labels(data.draw(schemas())))
    other = one[:]
    for name in ("attributes", "context", "evidence"):
        setattr(other, name, dict(reversed(getattr(one, name).items())))
    assert codec.pack(other) == codec.pack(one)


@given(st.dictionaries(TEXTS, JSON, max_size=3))
def test_any_context_that_json_holds_survives(context: dict[str, Any]) -> None:
    assert codec.unpack(codec.pack(Labels.empty(context))).context == context


def test_the_bytes_do_not_depend_on_how_arrays_lie_in_memory() -> None:
    box: Any = np.asfortranarray([[0, 0, 2, 2], [1, 1, 4, 4]], dtype=np.float32)
    score: Any = np.ones(2, np.float32)
    one = Labels.of([0, 1], [[0, 0, 2, 2], [1, 1, 4, 4]], attributes={"age": [1, 2]}, context={"n": 1})
    other = Labels(
        np.array([0, 1], ">i4"),
        score,
        box,
        np.array([1, 1]),
        np.empty(2, object),
        np.full(2, -1, np.int16),
        {"age": np.array([1, 2], np.uint8)},
        {"n": np.int64(1)},
    )
    assert codec.pack(other) == codec.pack(one)


def test_what_is_unpacked_can_be_changed() -> None:
    one = codec.unpack(codec.pack(ONE.labels))
    one.score[0] = 0.125
    one.shape[1][0] = 9
    assert one.score[0] == 0.125


def test_these_bytes_will_be_read_by_every_later_version() -> None:
    packed = codec.pack(Labels.of([1], [[0, 0, 1, 1]], score=[0.5], attributes={"a": ["x"]}, context={"b": True}))
    assert packed.hex() == (
        "0199c4080100000000000000c408000000000000e03fc420"
        + "00" * 16
        + "000000000000f03f" * 2
        + "c40101c408ffffffffffffffffc081a16191a17881a162c380"
    )


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Labels.of([0], np.zeros((1, 4)), shape=[LINE]), "a box has no shape, got ndarray"),
        (Labels.of([0], np.zeros((1, 4)), kind=Kind.POLYLINE), "a polyline is"),
        (Labels.of([0], np.zeros((1, 4)), kind=Kind.MASK, shape=[Rle((2, 2), b"\xff")]), "run-length string"),
        (Labels.of([0], np.zeros((1, 4)), kind=np.array([9])), "there is no kind 9"),
        (Labels.empty({"when": object()}), "a object is nothing that JSON can hold"),
        (Labels.empty({"n": 2**70}), "attributes or context can't be stored"),
        (Labels.empty({"name": "\udc80"}), "attributes or context can't be stored"),
        (Labels.of([0], np.zeros((1, 4)), attributes={"a": [object()]}), "nothing that JSON can hold"),
    ],
)
def test_what_can_not_be_stored_is_refused(given: Labels, says: str) -> None:
    with pytest.raises(StageError, match=says):
        codec.pack(given)


DEEP = b"\x01\x99" + b"\x91" * 100_000
PARTS = msgspec.msgpack.decode(codec.pack(ONE.labels)[1:])


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x02" + codec.pack(ONE.labels)[1:], b"\x01", b"\x01\x90", DEEP])
def test_other_bytes_are_no_labels(data: bytes) -> None:
    with pytest.raises(StoreError, match=r"packed labels are damaged[\s\S]*hyla verify"):
        codec.unpack(data)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        (0, b"1234567"),
        (0, b""),
        (0, "text"),
        (1, bytes(16)),
        (2, bytes(40)),
        (3, b"\x01\x04\x08"),
        (3, b"\x01"),
        (4, bytes(8)),
        (5, None),
        (5, [None]),
        (5, [None, bytes(33), PARTS[5][2]]),
        (5, [None, bytes(16), PARTS[5][2]]),
        (5, [None, [bytes(32)], PARTS[5][2]]),
        (5, [None, PARTS[5][1], [[2, 2], b"~"]]),
        (5, [None, PARTS[5][1], [[2, -2], b"0120"]]),
        (5, [None, PARTS[5][1], [[2, 2, 2, 2], b"0120"]]),
        (5, [bytes(32), PARTS[5][1], PARTS[5][2]]),
        (6, {"age": bytes(9)}),
        (6, {"age": [1]}),
        (6, [1]),
        (7, {1: 2}),
        (8, {"margin": bytes(8)}),
    ],
)
def test_damaged_parts_are_found(part: int, value: Any) -> None:
    parts = list(PARTS)
    assert codec.unpack(b"\x01" + msgspec.msgpack.encode(parts)) == ONE.labels
    parts[part] = value
    with pytest.raises(StoreError, match="packed labels are damaged"):
        codec.unpack(b"\x01" + msgspec.msgpack.encode(parts))


@given(st.data())
def test_damaged_bytes_raise_nothing_but_a_store_error(data: st.DataObject) -> None:
    packed = bytearray(codec.pack(ONE.labels))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    with suppress(StoreError):
        codec.unpack(bytes(packed[: data.draw(st.integers(0, len(packed)))]))


# JSON.


def test_a_record_is_written_in_plain_words() -> None:
    assert codec.record_to_dict(ONE, ROAD) == WRITTEN
    valid(ROAD).validate(codec.record_to_dict(ONE, ROAD))


@given(st.data())
def test_a_record_survives_json_and_fits_the_json_schema(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    record = data.draw(records(schema))
    text = json.dumps(codec.record_to_dict(record, schema), allow_nan=False)
    valid(schema).validate(json.loads(text))
    assert codec.record_from_dict(json.loads(text), schema) == record


@given(st.data())
def test_rows_survive_json(data: st.DataObject) -> None:
    schema = data.draw(schemas(kinds=("polygon", "keypoints", "mask", "cuboid", "track")))
    one = data.draw(labels(schema, data.draw(sizes())))
    rows = json.loads(json.dumps(codec.labels_to_rows(one, schema)))
    assert codec.labels_from_rows(rows, one.context, schema) == one


def test_columns_are_of_the_type_that_the_schema_says() -> None:
    row = {"class": "car", "kind": "box", "box": [0, 0, 1, 1], "attributes": {"colour": None, "age": None, "parked": None}}
    got = codec.labels_from_rows([row], {}, ROAD).attributes
    assert {name: column.dtype for name, column in got.items()} == {"colour": object, "age": float, "parked": object}


def test_what_json_has_no_number_for_is_left_out() -> None:
    one = Labels.of(
        [1], [[0, 0, 1, 1]], attributes={"speed": [np.inf]}, evidence={"m": [-np.inf]}, context={"a": [np.nan, np.float32(2)]}
    )
    record = Record(Item("a", "a"), one)
    assert codec.record_to_dict(record, ROAD)["labels"] == [{"class": "car", "kind": "box", "score": 1, "box": [0, 0, 1, 1]}]
    assert codec.record_to_dict(record, ROAD)["context"] == {"a": [None, 2]}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (Labels.of([3], [[0, 0, 1, 1]]), "class ids must be 0 to 2"),
        (Labels.of([-1], [[0, 0, 1, 1]]), "class ids must be 0 to 2"),
        (Labels.of([1], [[0, 0, 1, np.nan]]), "scores and boxes must be finite"),
        (Labels.of([1], [[0, 0, 1, 1]], score=[np.inf]), "scores and boxes must be finite"),
        (Labels.of([1], [[0, 0, 1, 1]], shape=[LINE]), "a box has no shape"),
        (Labels.empty({"weather": object()}), "a object is nothing that JSON can hold"),
    ],
)
def test_labels_that_json_can_not_hold_are_refused(given: Labels, says: str) -> None:
    with pytest.raises(StageError, match=says):
        codec.record_to_dict(Record(Item("a", "a"), given), ROAD)


def test_what_may_be_left_out_has_a_default() -> None:
    row = {"class": "car", "kind": "box", "box": [0, 0, 1, 1]}
    least = {"schema": "road@1", "item": {"id": "a", "uri": "a.jpg"}, "size": [4, 6], "labels": [row]}
    valid(ROAD).validate(least)
    assert codec.record_from_dict(least, ROAD) == Record(Item("a", "a.jpg"), Labels.of([1], [[0, 0, 1, 1]]), size=(4, 6))


REFUSED: list[tuple[str, Any, str]] = [
    ("schema", "road@2", "written for schema 'road@2', this is 'road@1'"),
    ("schema", ..., "missing required field `schema`"),
    ("extra", 1, "unknown field `extra`"),
    ("item.id", 7, "Expected `str`, got `int` - at `\\$.item.id`"),
    ("item.index", -1, "at `\\$.item.index`"),
    ("item.colour", "red", "unknown field `colour`"),
    ("size", [4], "Expected `array` of length >= 2"),
    ("size", [4, -6], "at `\\$.size"),
    ("frame.kind", "moon", "record.frame: unknown frame kind 'moon'"),
    ("frame.crs", "", "record.frame: frame 'video' has no field crs"),
    ("frame.seconds", "0", "record.frame: frame 'video': Expected `float`"),
    ("verdict", "perhaps", "Invalid enum value 'perhaps' - at `\\$.verdict`"),
    ("context.wether", "sun", "has no image attribute 'wether'[\\s\\S]*did you mean 'weather'"),
    ("context.weather", "hail", "'weather' is not one of its choices"),
    ("flags.0.severity", "grave", "Invalid enum value 'grave'"),
    ("flags.0.rows", [-1], "at `\\$.flags"),
    (
        "labels.0.class",
        "cart",
        "labels\\[0\\]: unknown class 'cart'[\\s\\S]*did you mean 'car'",
    ),
    ("labels.0.class", "thing", "does not allow a box for 'thing'"),
    ("labels.0.kind", "bx", "labels\\[0\\]: unknown kind 'bx'"),
    ("labels.0.kind", "polyline", "labels\\[0\\].shape: the shape of a polyline is"),
    ("labels.1.class", "car", "does not allow a polyline for 'car'"),
    ("labels.0.score", 1.5, "scores must lie between 0 and 1"),
    ("labels.0.box", [0, 0, 1], "Expected `array` of length 4"),
    ("labels.0.box", [0, 0, 1, None], "Expected `float`, got `null`"),
    ("labels.0.track", 1.5, "Expected `int`, got `float`"),
    ("labels.0.track", -2, "at `\\$.labels\\[0\\].track"),
    ("labels.0.colour", "red", "unknown field `colour`"),
    ("labels.0.shape", [[0, 0]], "labels\\[0\\].shape: a box has no shape"),
    ("labels.1.shape", ..., "labels\\[1\\].shape: the shape of a polyline is"),
    ("labels.1.shape", [[0, 0]], "labels\\[1\\].shape: the shape of a polyline is"),
    ("labels.1.shape", [[0, 0], [1, "x"]], "labels\\[1\\].shape: the shape of a polyline must be numbers"),
    ("labels.2.shape", [[0, 0]], "labels\\[2\\].shape: Expected `object`"),
    ("labels.2.shape.size", [2], "labels\\[2\\].shape: the size of a mask"),
    ("labels.2.shape.counts", "é", "labels\\[2\\].shape: the runs of a mask are not"),
    ("labels.2.shape.rle", "", "unknown field `rle`"),
    ("labels.0.attributes.hue", 1, "unknown attribute 'hue'"),
    ("labels.0.attributes.colour", "green", "'colour' is not one of its choices: 'green'"),
    ("labels.0.attributes.age", "old", "attribute 'age': Expected `float | null`, got `str`"),
    ("labels.0.attributes.age", True, "attribute 'age': Expected `float | null`, got `bool`"),
    ("labels.0.attributes.age", 121, "'age' must lie between 0.0 and 120.0 a"),
    ("labels.0.attributes.age", 1.5, "'age' must be a whole number"),
    ("labels.0.attributes.parked", 1, "'parked' must be true or false"),
    ("labels.0.attributes.plate", 1, "'plate' must be text"),
    ("labels.1.evidence.margin", "wide", "Expected `float | null`, got `str`"),
]


@pytest.mark.parametrize(("where", "value", "says"), REFUSED)
def test_a_wrong_record_is_refused_by_the_reader_and_by_the_json_schema(where: str, value: Any, says: str) -> None:
    record = changed(where, value)
    with pytest.raises(FormatError, match=says):
        codec.record_from_dict(record, ROAD)
    with pytest.raises(ValidationError):
        valid(ROAD).validate(record)


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        ("flags.0.rows", [3], "a flag is about a row that is not there; the record has 3 labels"),
        ("labels.2.shape.counts", "0121", "do not add up to its size"),
        ("labels.0.box", [0, 0, 1, float("inf")], "boxes must be finite"),
        pytest.param("labels.0.box", [0, 0, 1, 10**400], "Number out of range", id="huge box"),
        pytest.param("labels.0.attributes.speed", 10**400, "Number out of range", id="huge speed"),
        ("labels.0.track", 2**63, "at `\\$.labels\\[0\\].track"),
    ],
)
def test_the_reader_finds_what_json_schema_can_not_say(where: str, value: Any, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        codec.record_from_dict(changed(where, value), ROAD)


@pytest.mark.parametrize("values", [None, [], "record", 7, {}])
def test_what_is_no_dict_is_no_record(values: Any) -> None:
    with pytest.raises(FormatError, match="record: "):
        codec.record_from_dict(values, ROAD)


def test_json_schema_names_the_kinds_of_each_class() -> None:
    track = Schema.from_config({"classes": {"car": {}}, "kinds": ["box"]})
    one = codec.record_to_dict(Record(Item("a", "a"), Labels.of([0], [[0, 0, 1, 1]], track=[3])), track)
    with pytest.raises(ValidationError, match="'track' was unexpected"):
        valid(track).validate(one)
    with pytest.raises(FormatError, match="has no kind 'track'"):
        codec.record_from_dict(one, track)


def test_a_frame_of_a_volume_survives() -> None:
    frame = PatientFrame(((0.5, 0, 0, -10), (0, 0.5, 0, -20), (0, 0, 2, 30), (0, 0, 0, 1)), "1.2.3")
    volume = Labels.of([1], kind=Kind.MASK, shape=[encode(np.ones((2, 3, 4)))])
    record = Record(Item("ct", "ct/"), volume, size=(2, 3, 4), frame=frame)
    written = json.loads(json.dumps(codec.record_to_dict(record, ROAD)))
    valid(ROAD).validate(written)
    assert codec.record_from_dict(written, ROAD) == record


def test_reading_labels_needs_no_heavy_library() -> None:
    import subprocess

    code = (
        "import sys, hyla.codec; print(sorted({'torch', 'cv2', 'shapely', 'hydra', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
