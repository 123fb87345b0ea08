"""OpenLABEL in and out: valid by the standard's schema and by itself, complete, and strict about what it reads."""

from __future__ import annotations

import base64
import copy
import io
import json
import math
from dataclasses import replace
from importlib import resources

import jsonschema
import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.formats.openlabel import OpenLabel, json_schema
from hyla.formats.openlabel_checks import problems
from hyla.formats.openlabel_data import Root, hierarchy
from hyla.frame import MapFrame, VideoFrame
from hyla.geometry import bounds, encode
from hyla.schema import Schema
from hyla.types import Flag, Item, Kind, Labels, Record, Rle, Verdict, item_id

PRESET = resources.files("hyla_driving") / "conf" / "preset" / "driving.yaml"
SCHEMA = Schema.from_config(yaml.safe_load(PRESET.read_text())["schema"])
VALID = jsonschema.Draft7Validator(json_schema())
SIZE = (48, 64)
ID = SCHEMA.class_id
SQUARE = np.array([[3.5, 4], [20, 4], [20, 12.25], [3.5, 12.25]])
HOLE = np.array([[5.0, 6], [8, 6], [8, 8]])
MASK = encode(np.pad(np.ones((5, 7), bool), ((3, 40), (2, 55))))
CUBOID = np.array([1.5, 0.25, 20, 0.1, 0.2, 0.3, math.sqrt(1 - 0.14), 4.2, 1.5, 1.8])
POINTS = np.array([[5.0, 6, 2], [7, 8, 1], [0, 0, 0]])
SHAPES = {
    Kind.BOX: None,
    Kind.ROTATED_BOX: np.array([20.0, 20, 9, 4, 0.3]),
    Kind.POLYGON: (SQUARE, HOLE),
    Kind.POLYLINE: SQUARE[:3],
    Kind.KEYPOINTS: POINTS,
    Kind.MASK: MASK,
    Kind.CUBOID: CUBOID,
    Kind.TAG: None,
}
NAMES = {Kind.POLYLINE: "lane", Kind.POLYGON: "drivable", Kind.KEYPOINTS: "person"}


def everything(kinds=tuple(SHAPES), track=None, **given):
    """Return labels of all kinds, some with attributes."""
    n = len(kinds)
    shapes = [SHAPES[kind] for kind in kinds]
    box = np.zeros((n, 4))
    for i, (kind, shape) in enumerate(zip(kinds, shapes, strict=True)):
        box[i] = [1.5, 2, 9, 20.25] if shape is None else bounds([kind], [shape])[0]
        if kind == Kind.TAG:
            box[i] = [0, 0, SIZE[1], SIZE[0]]
        if kind == Kind.CUBOID:
            box[i] = [2, 3, 30, 31.5]  # of the picture
        if kind == Kind.MASK:
            box[i, 3] += 0.5  # as a detector gave it
    return Labels.of(
        [ID(NAMES.get(kind, "car")) for kind in kinds],
        box,
        kind=np.array(kinds, dtype=np.uint8),
        shape=shapes,
        score=[1 - 0.125 * (i % 3) for i in range(n)],
        track=track,
        attributes={
            "truncated": [0.25 if i % 2 else None for i in range(n)],
            "occluded": [i % 4 for i in range(n)],
            "position": ["ego_left" if kind == Kind.POLYLINE else None for kind in kinds],
        },
        context=given.pop("context", {"weather": "rain", "glare": True, "luma": 40.5}),
        **given,
    )


def photo(name="a.png", labels=None, **given):
    return Record(Item(item_id(name), name, meta={"size": [48, 64]}), labels or everything(), size=SIZE, **given)


def clip(*frames, name="drive.mp4", ids=None):
    out = []
    for i, labels in enumerate(frames):
        index = i if ids is None else ids[i]
        item = Item(item_id(name, index), name, name, index, "video_frame", {"pts": index})
        out.append(Record(item, labels, source="model:yolo", size=SIZE, frame=VideoFrame(index / 30, index, index, (1, 30))))
    return out


def box(*tracks, names=None):
    """Return boxes of these tracks."""
    names = names or ["car"] * len(tracks)
    return Labels.of([ID(n) for n in names], [[10 * i, 5, 10 * i + 8, 9.5] for i in range(len(tracks))], track=list(tracks))


def written(out, *records, loss=None):
    """Export, prove every file by the standard's schema and by itself, and return file name -> content."""
    lost = OpenLabel().export(records, SCHEMA, out)
    quiet = {"flag", "verdict", "source", "evidence"} if loss is None else set()
    assert {k: v for k, v in lost.items() if k not in quiet} == (loss or {})
    files = {p.relative_to(out).as_posix(): json.loads(p.read_text()) for p in sorted(out.rglob("*.json"))}
    for document in files.values():
        VALID.validate(document)
        assert list(problems(msgspec.convert(document["openlabel"], Root))) == []
    return files


def back(path, **settings):
    return list(OpenLabel(**settings).read(path, SCHEMA))


def known(labels):
    columns = {name: column.tolist() for name, column in labels.attributes.items()}
    return [{n: c[i] for n, c in columns.items() if c[i] is not None and c[i] == c[i]} for i in range(len(labels))]


def same(a, b):
    """Tell whether two labels are the same; boxes to a billionth of a pixel, as centre and size can't say all numbers."""
    for name in ("class_id", "kind", "track", "score"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    np.testing.assert_allclose(a.box, b.box, rtol=0, atol=1e-9)
    for one, other in zip(a.shape, b.shape, strict=True):
        if isinstance(one, tuple) and not isinstance(one, Rle):
            assert [r.tolist() for r in one] == [r.tolist() for r in other]
        else:
            assert one.tolist() == other.tolist() if isinstance(one, np.ndarray) else one == other
    assert known(a) == known(b)
    assert a.context == b.context


def test_the_schema_is_a_schema_and_says_whose_it_is():
    jsonschema.Draft7Validator.check_schema(json_schema())
    assert json_schema()["$id"] == "https://openlabel.asam.net/V1-0-0/schema#"
    assert "Copyright (c) 2023 Vicomtech" in json_schema()["$comment"]
    assert not VALID.is_valid({"openlabel": {}})
    assert not VALID.is_valid({"openlabel": {"metadata": {"schema_version": "2.0.0"}}})


def test_photos_of_every_kind_of_label_come_back(tmp_path):
    records = [photo(), photo("b/c.jpg", Labels.empty()), photo("d.png", box(-1, -1))]
    files = written(tmp_path, *records)
    assert list(files) == ["images.json"]
    read = back(tmp_path)
    for one, again in zip(records, read, strict=True):
        assert (again.item, again.size, again.frame) == (one.item, one.size, one.frame)
        same(again.labels, one.labels)


def test_clips_and_photos_come_back(tmp_path):
    matrix = ((900.0, 0.5, 32.0), (0.0, 901.0, 24.0), (0.0, 0.0, 1.0))
    one = clip(box(1, 2), Labels.empty(), everything(track=[9, -1, 7, 5, -1, 3, 1, -1]), box(2, -1))
    one = [replace(r, frame=replace(r.frame, intrinsics=matrix)) for r in one]
    two = clip(box(1), box(1), name="sub/night.mp4", ids=[3, 7])
    records = [photo("z.png"), *one, photo("y.png"), *two]
    files = written(tmp_path, *records)
    assert list(files) == ["drive.mp4.json", "images.json", "sub/night.mp4.json"]
    read = {r.item.id: r for r in back(tmp_path)}
    for r in records:
        again = read[r.item.id]
        assert (again.item, again.size, again.frame) == (r.item, r.size, r.frame)
        same(again.labels, r.labels)


def test_a_file_says_what_the_standard_asks_for(tmp_path):
    matrix = ((900.0, 0.5, 32.0), (0.0, 901.0, 24.0), (0.0, 0.0, 1.0))
    frames = [box(4, 5), box(4), box(5, -1), everything((Kind.CUBOID, Kind.ROTATED_BOX))]
    records = [replace(r, frame=replace(r.frame, intrinsics=matrix)) for r in clip(*frames, ids=[0, 1, 2, 5])]
    root = written(tmp_path, *records)["drive.mp4.json"]["openlabel"]
    assert root["metadata"] == {"schema_version": "1.0.0", "name": "drive.mp4", "annotator": "model:yolo"}
    assert root["frame_intervals"] == [{"frame_start": 0, "frame_end": 2}, {"frame_start": 5, "frame_end": 5}]
    assert root["objects"]["5"]["frame_intervals"] == [{"frame_start": 0, "frame_end": 0}, {"frame_start": 2, "frame_end": 2}]
    assert root["objects"]["4"]["type"] == "VehicleCar"
    assert root["ontologies"][root["objects"]["4"]["ontology_uid"]] == "https://openlabel.asam.net/V1-0-0/ontologies/"
    assert root["objects"].keys() == {"4", "5", "-1", "-2", "-3"}
    first = root["frames"]["0"]["objects"]["5"]["object_data"]["bbox"][0]
    assert first["val"] == [14, 7.25, 8, 4.5]  # centre, width, height
    assert first["attributes"] == {"num": [{"name": "confidence", "val": 1.0}]}
    last = root["frames"]["5"]
    assert last["objects"]["-2"]["object_data"]["cuboid"][0]["val"] == CUBOID.tolist()
    assert last["objects"]["-2"]["object_data"]["bbox"][0]["val"] == [16, 17.25, 28, 28.5]  # where the picture shows it
    assert last["objects"]["-3"]["object_data"]["rbbox"][0]["val"] == [20, 20, 9, 4, 0.3]
    assert last["frame_properties"]["timestamp"] == pytest.approx(5 / 30)
    stream = root["streams"]["camera"]
    assert (stream["type"], stream["uri"]) == ("camera", "drive.mp4")
    pinhole = stream["stream_properties"]["intrinsics_pinhole"]
    assert pinhole == {"camera_matrix": [900, 0.5, 32, 0, 0, 901, 24, 0, 0, 0, 1, 0], "height_px": 48, "width_px": 64}
    assert root["contexts"]["0"]["frame_intervals"] == [{"frame_start": 5, "frame_end": 5}]
    said = last["contexts"]["0"]["context_data"]
    assert said == {
        "text": [{"name": "weather", "val": "rain"}],
        "boolean": [{"name": "glare", "val": True}],
        "num": [{"name": "luma", "val": 40.5}],
    }


def test_shapes_are_written_as_the_standard_has_them(tmp_path):
    root = written(tmp_path, photo())["images.json"]["openlabel"]
    data = {}
    for part in root["frames"]["0"]["objects"].values():
        for word, entries in part["object_data"].items():
            data.setdefault(word, []).extend(entries)
    outer, inner, line = data["poly2d"]
    assert (outer["mode"], outer["closed"], line["closed"]) == ("MODE_POLY2D_ABSOLUTE", True, False)
    assert outer["val"] == SQUARE.reshape(-1).tolist()
    assert (outer["hierarchy"], inner["hierarchy"]) == ([-1, -1, 1, -1], [-1, -1, -1, 0])
    assert "hierarchy" not in line
    assert [(p["id"], p["val"]) for p in data["point2d"]] == [(0, [5, 6]), (1, [7, 8]), (2, [0, 0])]
    assert [p["attributes"]["num"][0]["val"] for p in data["point2d"]] == [2, 1, 0]
    mask = np.asarray(Pillow.open(io.BytesIO(base64.b64decode(data["image"][0]["val"]))))
    assert (mask.dtype, mask.shape, mask.sum()) == (bool, SIZE, 35)


def test_a_track_that_changes_its_class_keeps_its_number(tmp_path):
    frames = [box(1), box(1, names=["truck"]), box(1)]
    root = written(tmp_path, *clip(*frames))["drive.mp4.json"]["openlabel"]
    assert root["objects"]["1"]["type"] == "VehicleCar"
    for one, frame in zip(back(tmp_path), frames, strict=True):
        same(one.labels, frame)


def test_one_track_may_have_several_shapes_in_a_frame(tmp_path):
    kinds = [Kind.BOX, Kind.MASK, Kind.BOX, Kind.CUBOID, Kind.KEYPOINTS, Kind.POLYGON, Kind.TAG, Kind.TAG]
    labels = everything(kinds, track=[1] * len(kinds))
    labels.class_id[:] = ID("car")
    labels = labels[labels.kind != Kind.POLYGON]
    written(tmp_path, *clip(labels))
    (one,) = back(tmp_path)
    same(one.labels, labels)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_there_is_comes_back(tmp_path_factory, data):
    def labels():
        kinds = data.draw(st.lists(st.sampled_from(list(SHAPES)), max_size=5))
        tracks = data.draw(st.lists(st.integers(-1, 4), min_size=len(kinds), max_size=len(kinds)))
        seen = [t for i, t in enumerate(tracks) if t < 0 or t not in tracks[:i]]
        kinds, tracks = kinds[: len(seen)], seen
        context = {"weather": data.draw(st.sampled_from(["fog", "clear"]))} if data.draw(st.booleans()) else {}
        return everything(kinds, track=tracks, context=context)

    frames = [labels() for _ in range(data.draw(st.integers(1, 4)))]
    ids = sorted(data.draw(st.sets(st.integers(0, 30), min_size=len(frames), max_size=len(frames))))
    records = clip(*frames, ids=ids)
    out = tmp_path_factory.mktemp("openlabel")
    written(out, *records)
    for one, again in zip(records, back(out), strict=True):
        assert (again.item, again.frame) == (one.item, one.frame)
        same(again.labels, one.labels)


def test_the_rest_is_named(tmp_path):
    deep = Rle((2, 2, 2), b"8")
    labels = Labels.of(
        [ID("car")] * 2, [[0, 0, 2, 2]] * 2, kind=[Kind.MASK, Kind.BOX], shape=[deep, None], evidence={"margin": [0, 0.5]}
    )
    one = Record(Item("a", "a.tif"), labels, (Flag("r", "x"),), Verdict.ACCEPT, "model:m", SIZE, MapFrame(crs="EPSG:4326"))
    written(tmp_path, one, loss={"mask of a volume": 1, "evidence": 2, "flag": 1, "verdict": 1, "source": 1})
    assert back(tmp_path)[0].frame == one.frame


def test_an_attribute_with_a_name_of_the_formats_own_is_counted(tmp_path):
    schema = Schema.from_config({"name": "s", "classes": {"car": {}}, "attributes": {"confidence": {"type": "number"}}})
    one = Record(Item("a", "a.png"), Labels.of([0], [[0, 0, 2, 2]], score=[0.5], attributes={"confidence": [7]}), size=SIZE)
    assert OpenLabel().export([one], schema, tmp_path) == {"attribute": 1}
    (again,) = OpenLabel().read(tmp_path, schema)
    assert again.labels.score.tolist() == [0.5]


def test_keypoints_carry_their_names(tmp_path):
    schema = Schema.from_config({"name": "s", "classes": {"p": {"keypoints": ["nose", "hand", "foot"]}}, "kinds": ["keypoints"]})
    one = Record(Item("a", "a.png"), Labels.of([0], kind=Kind.KEYPOINTS, shape=[POINTS]), size=SIZE)
    OpenLabel().export([one], schema, tmp_path)
    root = json.loads((tmp_path / "images.json").read_text())["openlabel"]
    points = root["frames"]["0"]["objects"]["-1"]["object_data"]["point2d"]
    assert [p["name"] for p in points] == ["nose", "hand", "foot"]
    (again,) = OpenLabel().read(tmp_path, schema)
    same(again.labels, one.labels)


def test_a_clip_out_of_order_is_refused(tmp_path):
    with pytest.raises(FormatError, match="not in order"):
        OpenLabel().export(clip(box(1), box(1), ids=[4, 4]), SCHEMA, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_export_writes_nothing(tmp_path):
    assert OpenLabel().export([], SCHEMA, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


# Files of others. The first has the form of the standard's examples for boxes (ASAM OpenLABEL 1.0.0, section 7.12.1).

SIMPLE = {
    "openlabel": {
        "metadata": {"schema_version": "1.0.0"},
        "objects": {
            "1": {
                "name": "car1",
                "type": "car",
                "object_data": {
                    "bbox": [
                        {
                            "name": "shape",
                            "val": [430.0, 300.5, 50, 41],
                            "attributes": {"num": [{"name": "confidence", "val": 0.99}]},
                        }
                    ],
                    "num": [{"name": "occluded", "val": 2}],
                },
            }
        },
    }
}


def foreign(**root):
    return {"openlabel": {"metadata": {"schema_version": "1.0.0"}, **root}}


def given_file(tmp_path, document):
    path = tmp_path / "other.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_labels_of_one_picture_without_frames_are_read(tmp_path):
    VALID.validate(SIMPLE)
    (one,) = back(given_file(tmp_path, SIMPLE))
    assert one.labels.box.tolist() == [[405, 280, 455, 321]]
    assert (one.labels.score.tolist(), one.labels.track.tolist()) == ([0.99], [-1])
    assert known(one.labels) == [{"occluded": 2}]


def test_a_clip_of_another_tool_is_read(tmp_path):
    euler = [1, 2, 3, 0, 0, math.pi / 2, 4, 2, 1.5]
    cuboid = {"name": "shape", "coordinate_system": "lidar", "val": euler, "attributes": {"num": [{"name": "score", "val": 0.5}]}}
    relative = {"name": "l", "val": [10, 40, 5, -5, 5, -5], "mode": "MODE_POLY2D_RELATIVE", "closed": False}
    document = foreign(
        coordinate_systems={"lidar": {"type": "sensor_cs", "parent": ""}},
        streams={"cam": {"type": "camera", "uri": "drive/one.mp4"}},
        objects={
            "2": {"name": "a", "type": "VehicleCar", "frame_intervals": [{"frame_start": 538, "frame_end": 538}]},
            "3": {"name": "b", "type": "lane"},
        },
        frames={
            "538": {
                "frame_properties": {"timestamp": 12.5},
                "objects": {"2": {"object_data": {"cuboid": [cuboid]}}, "3": {"object_data": {"poly2d": [relative]}}},
            },
            "539": {},
        },
    )
    VALID.validate(document)
    first, second = back(given_file(tmp_path, document))
    assert first.item == Item(item_id("drive/one.mp4", 538), "drive/one.mp4", "other", 538, "video_frame")
    assert first.frame == VideoFrame(12.5, 538)
    assert len(second.labels) == 0
    turn = [0, 0, math.sin(math.pi / 4), math.cos(math.pi / 4)]
    np.testing.assert_allclose(first.labels.shape[0], [1, 2, 3, *turn, 4, 2, 1.5], atol=1e-12)
    assert first.labels.shape[1].tolist() == [[10, 40], [15, 35], [20, 30]]
    assert first.labels.track.tolist() == [2, 3]
    assert first.labels.score.tolist() == [0.5, 1]


@given(*[st.floats(-3, 3)] * 3)
def test_three_angles_turn_as_the_standard_says(a, b, c):
    from hyla.formats.openlabel_data import _cuboid

    rotations = [
        np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]]),
        np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]]),
        np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]]),
    ]
    wanted = rotations[2] @ rotations[1] @ rotations[0]
    x, y, z, w = _cuboid([0, 0, 0, a, b, c, 1, 1, 1])[3:7]
    turned = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    np.testing.assert_allclose(turned, wanted, atol=1e-12)


def test_an_object_with_a_box_and_an_outline_is_one_label(tmp_path):
    document = copy.deepcopy(SIMPLE)
    data = document["openlabel"]["objects"]["1"]["object_data"]
    data["poly2d"] = [{"name": "outline", "val": [406, 281, 454, 281, 454, 320], "mode": "MODE_POLY2D_ABSOLUTE", "closed": True}]
    (one,) = back(given_file(tmp_path, document))
    assert one.labels.kind.tolist() == [Kind.POLYGON]
    assert one.labels.box.tolist() == [[405, 280, 455, 321]]
    data["bbox"].append({"name": "head", "val": [5, 5, 2, 2]})
    (one,) = back(given_file(tmp_path, document))
    assert sorted(one.labels.kind.tolist()) == [Kind.BOX, Kind.BOX, Kind.POLYGON]


def test_what_is_said_once_goes_for_all_frames(tmp_path):
    static = {"bbox": [{"name": "b", "val": [5, 5, 2, 2]}], "num": [{"name": "occluded", "val": 1}]}
    spans = [{"frame_start": 1, "frame_end": 2}]
    document = foreign(
        objects={
            "1": {"name": "a", "type": "car", "object_data": static, "frame_intervals": spans},
            "2": {"name": "b", "type": "traffic_sign", "object_data": {"bbox": [{"name": "b", "val": [9, 9, 2, 2]}]}},
            "3": {"name": "c", "type": "person"},
        },
        frames={
            "0": {"objects": {"3": {}}},
            "1": {"objects": {"1": {"object_data": {"num": [{"name": "truncated", "val": 0.5}]}}}},
            "2": {},
        },
    )
    VALID.validate(document)
    read = back(given_file(tmp_path, document))
    assert [[SCHEMA.names[i] for i in one.labels.class_id] for one in read] == [
        ["person", "traffic_sign"],
        ["car", "traffic_sign"],
        ["car", "traffic_sign"],
    ]
    assert known(read[1].labels)[0] == {"occluded": 1, "truncated": 0.5}
    assert read[0].labels.kind.tolist() == [Kind.TAG, Kind.BOX]


def bbox(**entry):
    return {"1": {"name": "a", "type": "car", "object_data": {"bbox": [{"name": "b", "val": [5, 5, 2, 2], **entry}]}}}


def framed(number="0", uid="1", **data):
    return {number: {"objects": {uid: {"object_data": data}}}}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "is no OpenLABEL file"),
        ('{"vcd": {}}', "is no OpenLABEL file"),
        ({"openlabel": {"metadata": {"schema_version": "0.9"}}}, "is of version 0.9"),
        (foreign(frames={"x": {}}), "is no OpenLABEL file"),
        (foreign(frames={"4": {}}, frame_intervals=[{"frame_start": 0, "frame_end": 3}]), "frames"),
        (foreign(frames={"4": {}}, frame_intervals=[]), "lies outside its frame intervals"),
        (foreign(frames={"4": {}}, frame_intervals=[{"frame_start": 5, "frame_end": 4}]), "ends before it begins"),
        (foreign(frames=framed()), "has objects 1, which the file does not name"),
        (foreign(objects={"1": {"name": "a", "type": "car", "ontology_uid": "7"}}), "ontology '7'"),
        (
            foreign(
                objects={"1": {"name": "a", "type": "car", "frame_intervals": [{"frame_start": 1, "frame_end": 1}]}},
                frames={**framed(), "1": {}},
            ),
            "objects 1 has frame 0, which lies outside",
        ),
        (foreign(objects=bbox(coordinate_system="lidar")), "coordinate system 'lidar'"),
        (foreign(objects=bbox(val=[5, 5, -2, 2])), "negative side"),
        (foreign(objects=bbox(val=[5, 5, 2])), "must hold 4 numbers"),
        (foreign(objects=bbox(attributes={"num": [{"name": "speed", "val": 3}]})), "no label attribute 'speed'"),
        (foreign(objects={"1": {"name": "a", "type": "Semaphore"}}), "no class 'Semaphore'"),
        (foreign(objects={"1": {"name": "a", "type": "car", "object_data": {"mesh": [{"name": "m", "val": 1}]}}}), "type 'mesh'"),
        (
            foreign(
                objects={
                    "1": {
                        "name": "a",
                        "type": "lane",
                        "object_data": {"poly2d": [{"name": "p", "val": ["1"], "mode": "MODE_POLY2D_SRF6DCC", "closed": True}]},
                    }
                }
            ),
            "MODE_POLY2D_SRF6DCC",
        ),
        (
            foreign(
                objects={
                    "1": {
                        "name": "a",
                        "type": "car",
                        "object_data": {"image": [{"name": "m", "val": "AAAA", "mime_type": "image/png", "encoding": "base64"}]},
                    }
                }
            ),
            "its mask can't be read",
        ),
        (foreign(objects=bbox(), streams={"c": {"uri": "../../x.mp4"}}), "no path inside the dataset"),
    ],
)
def test_a_wrong_file_is_refused_and_named(tmp_path, document, said):
    path = given_file(tmp_path, document)
    with pytest.raises(FormatError) as error:
        back(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_unknown_things_can_be_skipped(tmp_path):
    document = foreign(
        objects={**bbox(attributes={"num": [{"name": "speed", "val": 3}]}), "2": {"name": "s", "type": "Semaphore"}}
    )
    (one,) = back(given_file(tmp_path, document), unknown="skip")
    assert len(one.labels) == 1
    with pytest.raises(ConfigError):
        OpenLabel(unknown="drop")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FormatError, match="can't be read"):
        back(tmp_path / "none.json")
    with pytest.raises(FormatError, match=r"holds no \*.json"):
        back(tmp_path)


def test_rings_know_what_lies_in_what():
    def square(x, side):
        return [[x, x], [x + side, x], [x + side, x + side], [x, x + side]]

    nested = [square(0, 100), square(10, 50), square(20, 10), square(70, 10), square(200, 5)]
    assert hierarchy(nested) == [[4, -1, 1, -1], [3, -1, 2, 0], [-1, -1, -1, 1], [-1, 1, -1, 0], [-1, 0, -1, -1]]


def test_it_is_offered_under_its_name():
    assert isinstance(formats.get("openlabel"), OpenLabel)
    assert "1.0.0" in formats.offered()["openlabel"]
