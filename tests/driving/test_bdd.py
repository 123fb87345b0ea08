"""BDD100K in and out: what Scalabel's JSON can carry comes back, the rest is named, and wrong files are refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib import resources

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.frame import VideoFrame
from hyla.geometry import bounds, encode
from hyla.schema import Schema
from hyla.types import Flag, Item, Kind, Labels, Record, Rle, Verdict, item_id
from hyla_driving import bdd_words
from hyla_driving.bdd100k import Bdd100k
from hyla_driving.bdd_layout import ROAD, TIMEOFDAY, WEATHER

PRESET = resources.files("hyla_driving") / "conf" / "preset" / "driving.yaml"
SCHEMA = Schema.from_config(yaml.safe_load(PRESET.read_text())["schema"])
SIZE = (48, 64)
ID = SCHEMA.class_id
RING = np.array([[3.5, 4], [20, 4], [20, 12.25], [3.5, 12.25]])
MASK = encode(np.pad(np.ones((5, 7), bool), ((3, 40), (2, 55))))
CUBOID = np.array([1.5, 0.25, 20, 0, math.sin(0.3), 0, math.cos(0.3), 4.2, 1.5, 1.8])

# What scalabel 0.3.1 accepts (scalabel/label/typing.py), written down again, and strict: a second reader of the same files.


class Box2D(msgspec.Struct, forbid_unknown_fields=True):
    x1: float
    y1: float
    x2: float
    y2: float


class Box3D(msgspec.Struct, forbid_unknown_fields=True):
    alpha: float
    orientation: tuple[float, float, float]
    location: tuple[float, float, float]
    dimension: tuple[float, float, float]


class Poly2D(msgspec.Struct, forbid_unknown_fields=True):
    vertices: list[tuple[float, float]]
    types: str
    closed: bool


class RLE(msgspec.Struct, forbid_unknown_fields=True):
    counts: str
    size: tuple[int, int]


class Node(msgspec.Struct, forbid_unknown_fields=True):
    location: tuple[float, float]
    category: str
    id: str
    visibility: str | None = None


class Edge(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    target: str


class Graph(msgspec.Struct, forbid_unknown_fields=True):
    nodes: list[Node]
    edges: list[Edge]
    type: str | None = None


class ScalabelLabel(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    score: float | None = None
    attributes: dict[str, bool | int | float | str] | None = None
    category: str | None = None
    box2d: Box2D | None = None
    box3d: Box3D | None = None
    poly2d: list[Poly2D] | None = None
    rle: RLE | None = None
    graph: Graph | None = None


class Size(msgspec.Struct, forbid_unknown_fields=True):
    width: int
    height: int


class Intrinsics(msgspec.Struct, forbid_unknown_fields=True):
    focal: tuple[float, float]
    center: tuple[float, float]
    skew: float = 0


class ScalabelFrame(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    videoName: str | None = None
    intrinsics: Intrinsics | None = None
    attributes: dict[str, str | float] | None = None
    timestamp: int | None = None
    frameIndex: int | None = None
    size: Size | None = None
    labels: list[ScalabelLabel] | None = None
    hyla_id: str = ""
    hyla_uri: str = ""
    hyla_kind: str = ""


class Category(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Config(msgspec.Struct, forbid_unknown_fields=True):
    categories: list[Category]


class Dataset(msgspec.Struct, forbid_unknown_fields=True):
    frames: list[ScalabelFrame]
    config: Config


def everything(name="a.png", group="", index=0, frame=None, tracks=False):
    """Return a record with a label of every kind that the format has."""
    points = np.array([[5.0, 6, 2], [7, 8, 1], [0, 0, 0]])
    kinds = [Kind.BOX, Kind.CUBOID, Kind.POLYGON, Kind.POLYLINE, Kind.MASK, Kind.KEYPOINTS, Kind.TAG, Kind.BOX]
    shapes = [None, CUBOID, (RING, RING + 22), RING[:3], MASK, points, None, None]
    names = ["person", "car", "drivable", "lane", "car", "person", "other", "traffic_light"]
    box = np.array([[1.5, 2, 9, 20], [2, 3, 30, 31.5], *np.zeros((4, 4)), [0, 0, 64, 48], [4, 4, 4.5, 6]])
    box[2:6] = bounds(kinds[2:6], shapes[2:6])
    labels = Labels.of(
        [ID(n) for n in names],
        box,
        kind=kinds,
        shape=shapes,
        score=[0.5, 1, 1, 0.25, 1, 1, 1, 0.875],
        track=[3, 12, -1, -1, 7, -1, -1, -1] if tracks else None,
        attributes={
            "occluded": [1, 0, None, None, None, None, None, None],
            "truncated": [None, 1.0, *[None] * 6],
            "depth_m": [None, 20.5, *[None] * 6],
            "area": [None, None, "direct", *[None] * 5],
            "marking": [*[None] * 3, "double_dashed", *[None] * 4],
            "color": [*[None] * 3, "yellow", *[None] * 4],
            "position": [*[None] * 3, "ego_left", *[None] * 4],
            "direction": [*[None] * 3, "parallel", *[None] * 4],
            "state": [*[None] * 7, "off"],
        },
        context={"weather": "rain", "timeofday": "dusk", "road": "rural", "glare": True, "blur": False, "luma": 40.5},
        evidence={"iscrowd": [0, 0, 0, 0, 1, 0, 0, 0]},
    )
    item = Item(item_id(name, index if group else None), name, group, index, "video_frame" if group else "image")
    return Record(item, labels, size=SIZE, **({} if frame is None else {"frame": frame}))


def written(tmp_path, *records, loss=None, **settings):
    lost = Bdd100k(**settings).export(records, SCHEMA, tmp_path)
    assert lost == (loss or {})
    return json.loads((tmp_path / "labels.json").read_text())


def back(path, **settings):
    return list(Bdd100k(**settings).read(path, SCHEMA))


def same(a, b):
    """Tell whether two labels are the same, boxes and shapes to a billionth of a pixel or a metre."""
    for name in ("class_id", "kind", "track", "score"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist(), name
    np.testing.assert_allclose(a.box, b.box, rtol=0, atol=1e-9)
    for one, other in zip(a.shape, b.shape, strict=True):
        if isinstance(one, np.ndarray):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)
        elif isinstance(one, tuple) and not isinstance(one, Rle):
            assert [r.tolist() for r in one] == [r.tolist() for r in other]
        else:
            assert one == other
    assert known(a) == known(b)
    assert a.context == b.context
    np.testing.assert_array_equal(a.evidence.get("iscrowd", np.zeros(len(a))), b.evidence.get("iscrowd", np.zeros(len(a))))


def known(labels):
    columns = {name: column.tolist() for name, column in labels.attributes.items()}
    return [{n: c[i] for n, c in columns.items() if c[i] is not None and c[i] == c[i]} for i in range(len(labels))]


def test_everything_that_it_has_comes_back(tmp_path):
    one = everything()
    written(tmp_path, one)
    (again,) = back(tmp_path)
    assert (again.item, again.size, again.frame) == (one.item, one.size, one.frame)
    same(again.labels, one.labels)


def test_clips_come_back_with_tracks_and_times(tmp_path):
    matrix = ((900.0, 0.5, 32.0), (0.0, 901.0, 24.0), (0.0, 0.0, 1.0))
    frames = [VideoFrame(i / 10, i, i * 100, (1, 1000), matrix) for i in range(3)]
    records = [everything("a.mp4", "a.mp4", i, frame, tracks=True) for i, frame in enumerate(frames)]
    written(tmp_path, *records, everything("b.png"))
    read = back(tmp_path)
    assert [one.item for one in read[:3]] == [one.item for one in records]
    assert [one.frame for one in read[:3]] == frames
    for one, again in zip(records, read, strict=False):
        same(again.labels, one.labels)


def test_the_file_is_what_scalabel_reads(tmp_path):
    written(tmp_path, everything(), everything("a.mp4", "a.mp4", 1, VideoFrame(0.5, 1, 500, (1, 1000)), tracks=True))
    dataset = msgspec.json.decode((tmp_path / "labels.json").read_bytes(), type=Dataset)
    first, second = dataset.frames
    assert first.attributes == {
        "weather": "rainy",
        "timeofday": "dawn/dusk",
        "road": "rural",
        "glare": 1.0,
        "blur": 0.0,
        "luma": 40.5,
    }
    assert (second.videoName, second.frameIndex, second.timestamp) == ("a.mp4", 1, 500)
    person, car, area, lane, mask, pose, tag, light = first.labels
    assert (person.category, person.box2d) == ("pedestrian", Box2D(1.5, 2, 8, 19))  # far edges belong to the box
    assert person.attributes == {"occluded": True}
    assert car.box3d.location == pytest.approx((1.5, 0.25, 20))  # the middle of the cuboid
    assert car.box3d.dimension == (1.5, 1.8, 4.2)  # high, wide, long
    assert car.box3d.orientation == pytest.approx((0, 0.6, 0))
    assert (area.category, [p.closed for p in area.poly2d]) == ("drivable area", [True, True])
    assert (lane.poly2d[0].types, lane.poly2d[0].closed) == ("LLL", False)
    assert lane.attributes == {
        "laneStyle": "dashed",
        "laneTypes": "double yellow",
        "laneDirection": "parallel",
        "position": "ego_left",
    }
    assert (mask.rle.size, mask.attributes) == ((48, 64), {"crowd": True})
    assert [node.visibility for node in pose.graph.nodes] == ["V", "N", "X"]
    assert tag.box2d is None
    assert (light.category, light.attributes) == ("traffic light", {"state": "off"})
    assert [label.id for label in second.labels[:3]] == ["3", "12", "untracked-2"]
    assert len({label.id for label in first.labels}) == 8
    assert {"pedestrian", "traffic sign"} <= {c.name for c in dataset.config.categories}


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_whatever_attributes_there_are_come_back_or_are_counted(tmp_path_factory, data):
    values = {
        "marking": st.sampled_from(["solid", "dashed", "double", "double_dashed", "unknown"]),
        "color": st.sampled_from(["white", "yellow"]),
        "position": st.sampled_from(["ego_left", "ego_right", "left", "right"]),
        "state": st.sampled_from(["red", "yellow", "green", "off", "unknown"]),
        "occluded": st.integers(0, 3),
        "truncated": st.floats(0, 1),
        "depth_m": st.floats(0, 300),
        "area": st.sampled_from(["direct", "alternative"]),
    }
    chosen = {name: data.draw(st.none() | value) for name, value in values.items()}
    labels = Labels.of(
        [ID(data.draw(st.sampled_from(["lane", "curb", "crosswalk"])))],
        kind=Kind.POLYLINE,
        shape=[RING[:3]],
        attributes={name: [value] for name, value in chosen.items()},
        context={
            name: data.draw(st.none() | st.sampled_from(one.choices))
            for name, one in SCHEMA.attributes_of("image").items()
            if one.choices
        },
    )
    out = tmp_path_factory.mktemp("bdd")
    loss = Bdd100k().export([Record(Item("a", "a.png"), labels, size=SIZE)], SCHEMA, out)
    (again,) = back(out)
    before, after = known(labels)[0], known(again.labels)[0]
    lost = [name for name in before if after.get(name) != before[name]]
    assert set(lost) <= {"occluded", "truncated"}  # for these it has yes and no
    assert loss == ({"attribute": len(lost)} if lost else {})
    assert after.keys() == before.keys()
    assert again.labels.context == {k: v for k, v in labels.context.items() if v is not None}


def test_the_rest_is_named(tmp_path):
    hole = np.array([[5.0, 6], [8, 6], [8, 8]])
    tilted = np.array([0.0, 1, 9, 0.1, 0, 0, 0.995, 4, 1.5, 2])
    deep = Rle((2, 2, 2), b"8")
    labels = Labels.of(
        [ID("car"), ID("car"), ID("car"), ID("car"), ID("van")],
        np.tile([1.0, 1, 9, 9], (5, 1)),
        kind=[Kind.ROTATED_BOX, Kind.POLYGON, Kind.CUBOID, Kind.MASK, Kind.BOX],
        shape=[np.array([5.0, 5, 2, 2, 0.1]), (RING, hole), tilted, deep, None],
        track=[-1, 4, -1, -1, -1],
        attributes={"occluded": [None, 2, None, None, None], "truncated": [None, 0.5, None, None, None]},
        evidence={"margin": [0.1] * 5},
    )
    frame = VideoFrame(1 / 3, 0, 1, (1, 3))
    one = Record(Item("a", "a.png", meta={"pts": 1}), labels, (Flag("r", "x"),), Verdict.ACCEPT, "model:m", SIZE, frame)
    written(
        tmp_path,
        one,
        loss={
            "rotated box": 1,
            "hole of a polygon": 1,
            "cuboid tilt": 1,
            "mask of a volume": 1,
            "track": 1,
            "attribute": 2,
            "evidence": 4,
            "frame": 1,
            "flag": 1,
            "meta": 1,
            "verdict": 1,
            "source": 1,
        },
    )
    assert back(tmp_path)[0].frame.seconds == 0.333


def test_our_words_are_those_of_the_loader():
    ours = {name: {k: v for k, v in table.items() if v not in (None, "unknown")} for name, (_, table) in bdd_words.FRAME.items()}
    assert ours == {"timeofday": TIMEOFDAY, "weather": WEATHER, "road": ROAD}
    for name, table in ours.items():
        assert set(table.values()) <= set(SCHEMA.attributes_of("image")[name].choices)


OLD = [  # in the manner of bdd100k_labels_images_train.json of 2018
    {
        "name": "0000aaaa-1111bbbb.jpg",
        "attributes": {"weather": "clear", "scene": "city street", "timeofday": "daytime"},
        "timestamp": 10000,
        "labels": [
            {
                "category": "traffic light",
                "attributes": {"occluded": False, "truncated": False, "trafficLightColor": "green"},
                "manualShape": True,
                "manualAttributes": True,
                "box2d": {"x1": 1125.5, "y1": 133.25, "x2": 1156.5, "y2": 210.75},
                "id": 0,
            },
            {
                "category": "car",
                "attributes": {"occluded": True, "truncated": False, "trafficLightColor": "none"},
                "box2d": {"x1": 45.5, "y1": 254.5, "x2": 357.5, "y2": 487.5},
                "id": 4,
            },
            {
                "category": "drivable area",
                "attributes": {"areaType": "direct"},
                "poly2d": [{"vertices": [[280, 400], [640, 380], [900, 700], [100, 700]], "types": "LLLL", "closed": True}],
                "id": 7,
            },
            {
                "category": "lane",
                "attributes": {"laneDirection": "parallel", "laneStyle": "solid", "laneTypes": "road curb"},
                "poly2d": [{"vertices": [[0.0, 0.0], [0, 8], [8, 8], [8, 0]], "types": "LCCC", "closed": False}],
                "id": 10,
            },
            {
                "category": "lane",
                "attributes": {"laneDirection": "parallel", "laneStyle": "solid", "laneTypes": "double yellow"},
                "poly2d": [{"vertices": [[10.0, 10.0], [20, 80]], "types": "LL", "closed": False}],
                "id": 11,
            },
        ],
    }
]


def test_the_labels_of_2018_are_read(tmp_path):
    (tmp_path / "train.json").write_text(json.dumps(OLD))
    (one,) = back(tmp_path)
    assert one.item == Item(item_id("0000aaaa-1111bbbb.jpg"), "0000aaaa-1111bbbb.jpg")
    assert one.labels.context == {"weather": "clear", "road": "city", "timeofday": "day"}
    assert [SCHEMA.names[i] for i in one.labels.class_id] == ["traffic_light", "car", "drivable", "curb", "lane"]
    assert known(one.labels) == [
        {"occluded": 0, "truncated": 0, "state": "green"},
        {"occluded": 1, "truncated": 0},
        {"area": "direct"},
        {"direction": "parallel"},
        {"direction": "parallel", "marking": "double", "color": "yellow"},
    ]
    curve = one.labels.shape[3]
    assert len(curve) == 9
    np.testing.assert_allclose(curve[4], [4, 6])  # a cubic Bezier curve, half way: (p0 + 3 p1 + 3 p2 + p3) / 8
    assert one.labels.track.tolist() == [-1] * 5


def test_the_labels_of_2020_are_read(tmp_path):
    label = {
        "id": "00091078",
        "category": "bike",
        "attributes": {"occluded": False, "crowd": True},
        "box2d": {"x1": 0, "y1": 0, "x2": 9, "y2": 4},
    }
    lane = {
        "id": "x7Gz",
        "category": "single white",
        "attributes": {"direction": "vertical", "style": "dashed"},
        "poly2d": [{"vertices": [[0, 0], [5, 9]], "types": "LL", "closed": False}],
    }
    frame = {"name": "b1c-0000003.jpg", "videoName": "b1c", "frameIndex": 2, "labels": [label, lane]}
    (tmp_path / "b1c.json").write_text(
        json.dumps({"frames": [frame, {"name": "b1c-0000004.jpg", "videoName": "b1c", "frameIndex": 3}]})
    )
    first, second = back(tmp_path)
    assert (first.item.group, first.item.index, len(second.labels)) == ("b1c", 2, 0)
    assert SCHEMA.names[first.labels.class_id[0]] == "bicycle"
    assert first.labels.box[0].tolist() == [0, 0, 10, 5]
    assert first.labels.evidence["iscrowd"].tolist() == [1, 0]
    assert first.labels.track[0] == 91078
    assert first.labels.track[1] > 10**9  # an id that is no number keeps its identity
    assert known(first.labels)[1] == {"direction": "vertical", "marking": "dashed", "color": "white"}


def test_labels_find_their_pictures_in_the_data_set(tmp_path):
    (tmp_path / "images/100k/train").mkdir(parents=True)
    (tmp_path / "images/100k/train/0000aaaa-1111bbbb.jpg").write_bytes(b"")
    (tmp_path / "labels/det_20").mkdir(parents=True)
    (tmp_path / "labels/det_20/train.json").write_text(json.dumps(OLD))
    uri = "images/100k/train/0000aaaa-1111bbbb.jpg"
    assert back(tmp_path / "labels/det_20/train.json")[0].item == Item(item_id(uri), uri)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no Scalabel file"),
        ('{"images":[]}', "is no Scalabel file"),
        ('[{"name":"../x.jpg"}]', "no path inside the dataset"),
        ('[{"name":"x.jpg","frameIndex":-1}]', "negative"),
        ('[{"name":"x.jpg","labels":[{"id":"1","category":"tractor"}]}]', "no class 'tractor'"),
        (
            '[{"name":"x.jpg","labels":[{"id":"1","category":"car","attributes":{"colour":"red"}}]}]',
            "no label attribute 'colour'",
        ),
        ('[{"name":"x.jpg","attributes":{"mood":"good"}}]', "no image attribute 'mood'"),
        (
            '[{"name":"x.jpg","labels":[{"id":"1","category":"car","box2d":{"x1":0,"y1":0,"x2":"9","y2":1}}]}]',
            "is no Scalabel file",
        ),
        ('[{"name":"x.jpg","labels":[{"id":"1","category":"lane","poly2d":[{"vertices":[[0,0]],"types":"LL"}]}]}]', "2 types"),
        ('[{"name":"x.jpg","labels":[{"id":"1","category":"lane","poly2d":[{"vertices":[[0,0],[1,1]],"types":"LC"}]}]}]', "'LC'"),
        (
            '[{"name":"x.jpg","labels":[{"id":"1","category":"car","box3d":{"orientation":[0.1,0,0],"location":[0,0,9],"dimension":[1,1,1]}}]}]',
            "tilted",
        ),
        ('[{"name":"x.jpg","labels":[{"id":"1","category":"car","graph":{"nodes":[{"location":[1,2,3]}]}}]}]', "two numbers"),
    ],
)
def test_a_wrong_file_is_refused_and_named(tmp_path, text, said):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FormatError) as error:
        back(tmp_path)
    assert said in str(error.value)
    assert "x.json" in str(error.value)


def test_unknown_things_can_be_skipped(tmp_path):
    label = {"id": "1", "category": "car", "attributes": {"colour": "red"}, "box2d": {"x1": 0, "y1": 0, "x2": 9, "y2": 1}}
    frame = {"name": "x.jpg", "attributes": {"mood": "good"}, "labels": [label, {"id": "2", "category": "tractor"}]}
    (tmp_path / "x.json").write_text(json.dumps([frame]))
    (one,) = back(tmp_path, unknown="skip")
    assert (len(one.labels), one.labels.context) == (1, {})
    with pytest.raises(ConfigError):
        Bdd100k(unknown="drop")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FormatError, match="can't be read"):
        back(tmp_path / "none.json")
    with pytest.raises(FormatError, match=r"holds no \*.json"):
        back(tmp_path)


def test_an_empty_export_reads_back(tmp_path):
    assert written(tmp_path)["frames"] == []
    assert back(tmp_path) == []


def test_an_item_of_another_name_keeps_it(tmp_path):
    one = everything()
    moved = replace(one, item=Item("mine", "https://example.org/a.png", "g", 4, "tile", {}))
    written(tmp_path, moved)
    assert back(tmp_path)[0].item == moved.item


def test_it_is_offered_under_its_name():
    assert isinstance(formats.get("bdd", file="b.json"), Bdd100k)
    assert formats.offered()["bdd"].startswith("BDD100K")
