"""KITTI in and out: what the files can carry comes back, the rest is named, and wrong files are refused."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla import formats
from hyla.errors import ConfigError, FormatError
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import Flag, Item, Kind, Labels, Record, Rle, Verdict, item_id
from hyla_driving.kitti import Kitti
from hyla_driving.shapes import alpha, from_camera, to_camera

PRESET = resources.files("hyla_driving") / "conf" / "preset" / "driving.yaml"
SCHEMA = Schema.from_config(yaml.safe_load(PRESET.read_text())["schema"])
SIZE = (375, 1242)
ID = SCHEMA.class_id


def turned(angle):
    return [0.0, math.sin(angle / 2), 0.0, math.cos(angle / 2)]


def picture(name="a.png", **given):
    """Return a record of a car as a cuboid, a person as a box with attributes, and a region to ignore."""
    cuboid = np.array([-0.63, 0.08, 25.01, *turned(-1.59), 3.2, 1.61, 1.66])
    labels = Labels.of(
        [ID("car"), ID("person"), ID("ignore")],
        [[565.48, 175.01, 616.66, 224.96], [100.125, 150, 130, 251.0625], [0, 0, 50, 40]],
        kind=[Kind.CUBOID, Kind.BOX, Kind.BOX],
        shape=[cuboid, None, None],
        score=[0.75, 1, 1],
        attributes={"truncated": [0.25, 0, None], "occluded": [1, 3, None]},
    )
    return Record(Item(item_id(name), name), labels, size=SIZE, **given)


def clip(n=3, name="drive.mp4"):
    out = []
    for i in range(n):
        labels = Labels.of(
            [ID("car"), ID("van")][: i % 3], [[10.5 + i, 20, 60, 80.25], [200, 10, 240, 60]][: i % 3], track=[7, -1][: i % 3]
        )
        item = Item(item_id(name, i), name, name, i, "video_frame", {"pts": i * 512})
        out.append(Record(item, labels, size=SIZE, frame=VideoFrame(i / 30, i, i * 512, (1, 15360))))
    return out


def back(out, **settings):
    return list(Kitti(**settings).read(out, SCHEMA))


def same(a, b, tolerance=1e-9):
    """Tell whether two labels are the same, numbers of shapes and boxes to a billionth of a pixel or a metre."""
    assert a.class_id.tolist() == b.class_id.tolist()
    assert a.kind.tolist() == b.kind.tolist()
    assert a.track.tolist() == b.track.tolist()
    np.testing.assert_allclose(a.box, b.box, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.score, b.score, rtol=0, atol=0)
    for one, other in zip(a.shape, b.shape, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)
    for name in a.attributes.keys() | b.attributes.keys():
        blank = np.full(len(a), np.nan)
        np.testing.assert_array_equal(a.attributes.get(name, blank), b.attributes.get(name, blank))


def test_pictures_and_clips_come_back(tmp_path):
    records = [picture(), *clip(), picture("sub/b.jpg"), *clip(4, "other.mp4")]
    loss = Kitti().export(records, SCHEMA, tmp_path)
    assert loss == {}
    read = {one.item.id: one for one in back(tmp_path)}
    assert read.keys() == {one.item.id for one in records}
    for one in records:
        again = read[one.item.id]
        assert (again.item, again.size, again.frame) == (one.item, one.size, one.frame)
        same(again.labels, one.labels)


def test_the_files_are_what_others_read(tmp_path):
    Kitti().export([picture(), *clip()], SCHEMA, tmp_path)
    lines = (tmp_path / "label_2" / "a.txt").read_text().splitlines()
    words = lines[0].split()
    assert (words[0], len(words)) == ("Car", 16)
    truncated, occluded, angle, x0, y0, x1, y1, h, w, length, x, y, z, turn, score = map(float, words[1:])
    assert (truncated, occluded, score) == (0.25, 1, 0.75)
    assert [x0, y0, x1, y1] == [565.48, 175.01, 616.66, 224.96]
    assert [h, w, length] == [1.61, 1.66, 3.2]  # of a car: high, wide, long
    assert [x, y, z] == pytest.approx([-0.63, 0.08 + 1.61 / 2, 25.01])  # the middle of the lower face, y down
    assert turn == pytest.approx(-1.59)
    assert angle == pytest.approx(-1.59 - math.atan2(-0.63, 25.01))
    assert lines[1].split()[0:4] == ["Pedestrian", "0", "3", "-10"]
    assert lines[1].split()[8:] == ["-1", "-1", "-1", "-1000", "-1000", "-1000", "-10", "1"]
    assert lines[2].split()[0:3] == ["DontCare", "-1", "-1"]
    tracking = (tmp_path / "label_02" / "drive.mp4.txt").read_text().splitlines()
    assert [line.split()[:3] for line in tracking] == [["1", "7", "Car"], ["2", "7", "Car"], ["2", "-1", "Van"]]
    assert {len(line.split()) for line in tracking} == {18}


def test_a_cuboid_is_where_the_data_set_says(shared):
    """The corners of each cuboid, seen through the camera matrix, must fill the box that the data set gives for it."""
    truth = json.loads((shared / "data/driving/kitti/kitti_infos_mono3d.coco.json").read_text())
    matrix = np.array(truth["images"][0]["cam_intrinsic"])[:3, :3]
    assert len(truth["annotations"]) >= 2
    for one in truth["annotations"]:
        x, y, z, length, height, width, turn = one["bbox_cam3d"]  # y of the middle
        x, y, z, _, qy, _, qw, along, down, across = from_camera(height, width, length, x, y + height / 2, z, turn)
        corners = np.array([[a * along, b * down, c * across] for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (-0.5, 0.5)])
        angle = 2 * math.atan2(qy, qw)
        about_y = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
        seen = (corners @ about_y.T + [x, y, z]) @ matrix.T
        seen = seen[:, :2] / seen[:, 2:]
        left, top, across_px, down_px = one["bbox"]
        np.testing.assert_allclose([*seen.min(axis=0), *seen.max(axis=0)], [left, top, left + across_px, top + down_px], atol=1)


def test_the_angle_of_observation_is_the_turn_as_the_camera_sees_it():
    assert alpha(0, 20, 0.5) == 0.5
    assert alpha(20, 20, 0.5) == pytest.approx(0.5 - math.pi / 4)
    assert alpha(20, 1, -3) == pytest.approx(2 * math.pi - 3 - math.atan2(20, 1))


numbers = st.floats(-500, 500, width=32)
sides = st.floats(0.125, 30, width=32)


@given(numbers, numbers, numbers, st.floats(-math.pi, math.pi), sides, sides, sides)
def test_upright_cuboids_come_back(x, y, z, turn, length, height, width):
    shape = [x, y, z, *turned(turn), length, height, width]
    place, tilted = to_camera(shape)
    assert not tilted
    np.testing.assert_allclose(from_camera(*place), shape, rtol=0, atol=1e-9)


def test_a_quaternion_need_not_have_length_one():
    assert to_camera([0, 0, 9, 0, 3 * math.sin(0.2), 0, 3 * math.cos(0.2), 4, 1, 2])[0][6] == pytest.approx(0.4)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_boxes_there_are_come_back(tmp_path_factory, data):
    names = [c.name for c in SCHEMA.classes if not c.abstract and not c.kinds]
    n = data.draw(st.integers(0, 4))
    corner = st.tuples(*[st.floats(0, 300, width=64)] * 2)
    boxes = [[*sorted((a, c)), *sorted((b, d))] for (a, b), (c, d) in (data.draw(st.tuples(corner, corner)) for _ in range(n))]
    labels = Labels.of(
        [ID(data.draw(st.sampled_from(names))) for _ in range(n)],
        [[b[0], b[2], b[1], b[3]] for b in boxes],
        score=[data.draw(st.floats(0, 1)) for _ in range(n)],
        track=[data.draw(st.integers(-1, 2**53)) for _ in range(n)],
        attributes={"truncated": [data.draw(st.none() | st.floats(0, 1)) for _ in range(n)]},
    )
    one = Record(Item("x-1", "x.mp4", "x.mp4", 0, "video_frame"), labels, size=SIZE)
    out = tmp_path_factory.mktemp("kitti")
    assert Kitti().export([one], SCHEMA, out) == {}
    same(next(Kitti().read(out, SCHEMA)).labels, labels, tolerance=0)


def test_the_rest_is_named(tmp_path):
    kinds = [Kind.TAG, Kind.POLYLINE, Kind.MASK, Kind.POLYGON, Kind.CUBOID, Kind.BOX]
    square = np.array([[0.0, 0], [4, 0], [4, 4]])
    tilted = np.array([0.0, 1, 9, 0.1, 0, 0, 0.995, 4, 1.5, 2])
    labels = Labels.of(
        [ID("car"), ID("lane"), ID("car"), ID("car"), ID("car"), ID("traffic_light")],
        np.tile([0.0, 0, 4, 4], (6, 1)),
        kind=kinds,
        shape=[None, square[:2], Rle((2, 2), b"04"), (square,), tilted, None],
        track=[-1, -1, 3, -1, -1, -1],
        attributes={"state": [None] * 5 + ["red"], "depth_m": [None] * 4 + [9.0, None]},
        context={"weather": "rain"},
    )
    one = Record(Item("a", "a.png"), labels, (Flag("r", "x"),), Verdict.ACCEPT, "model:m", SIZE)
    loss = Kitti().export([one], SCHEMA, tmp_path)
    assert loss == {
        "tag": 1,
        "polyline": 1,
        "mask as box": 1,
        "polygon as box": 1,
        "cuboid tilt": 1,
        "track": 1,
        "attribute": 2,
        "context": 1,
        "flag": 1,
        "verdict": 1,
        "source": 1,
    }
    assert "; writes 1 polygon as box, 1 mask as box; leaves" in formats.describe("kitti", loss)
    read = back(tmp_path)[0].labels
    assert read.kind.tolist() == [Kind.BOX, Kind.BOX, Kind.CUBOID, Kind.BOX]
    assert SCHEMA.names[read.class_id[3]] == "traffic_light"


def test_without_scores_a_line_has_15_columns(tmp_path):
    assert Kitti(score=False).export([picture()], SCHEMA, tmp_path) == {"score": 1}
    assert {len(line.split()) for line in (tmp_path / "label_2/a.txt").read_text().splitlines()} == {15}
    assert back(tmp_path)[0].labels.score.tolist() == [1, 1, 1]


def test_clips_can_be_written_picture_by_picture(tmp_path):
    assert Kitti(layout="object").export(clip(), SCHEMA, tmp_path) == {"track": 2}
    assert sorted(p.name for p in (tmp_path / "label_2/drive").iterdir()) == ["000000.txt", "000001.txt", "000002.txt"]
    assert [len(one.labels) for one in back(tmp_path)] == [0, 1, 2]
    with pytest.raises(ConfigError, match="layout=raw"):
        Kitti(layout="raw")


def test_the_pictures_of_the_data_set_keep_their_names(tmp_path):
    one = picture("training/image_2/000007.png")
    Kitti().export([one], SCHEMA, tmp_path)
    assert (tmp_path / "label_2" / "000007.txt").is_file()


def test_a_new_export_replaces_the_old_one_and_nothing_else(tmp_path):
    Kitti().export([picture(), *clip()], SCHEMA, tmp_path)
    Kitti().export([picture("other.png")], SCHEMA, tmp_path)
    assert [one.item.uri for one in back(tmp_path)] == ["other.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.jsonl", "label_2"]
    (tmp_path / "images.jsonl").unlink()
    with pytest.raises(FormatError, match="not written by Hyla"):
        Kitti().export([picture()], SCHEMA, tmp_path)


def test_a_failed_export_leaves_the_old_one(tmp_path):
    Kitti().export([picture()], SCHEMA, tmp_path)

    def broken():
        yield picture("b.png")
        raise RuntimeError("the project is gone")

    with pytest.raises(RuntimeError):
        Kitti().export(broken(), SCHEMA, tmp_path)
    assert [one.item.uri for one in back(tmp_path)] == ["a.png"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images.jsonl", "label_2"]


def test_two_clips_of_one_name_stay_apart(tmp_path):
    one, two = clip(2), [replace(r, item=replace(r.item, id=f"x{r.item.index}", group="DRIVE.mp4")) for r in clip(2)]
    Kitti().export([*one, *two], SCHEMA, tmp_path)
    assert len(list((tmp_path / "label_02").iterdir())) == 2
    assert len(back(tmp_path)) == 4


def kitti(tmp_path, lines, part="label_2", name="000007.txt"):
    path = tmp_path / part / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))
    return path


REAL = [  # in the manner of the benchmark
    "Car 0.00 0 -1.50 560.25 170.50 610.75 220.00 1.50 1.60 3.90 -0.70 1.70 25.00 -1.53",
    "Cyclist 0.10 1 1.89 330.60 176.09 355.61 213.60 1.70 0.60 1.80 -12.50 1.90 34.00 1.54",
    "DontCare -1 -1 -10 750.00 160.00 798.00 186.50 -1 -1 -1 -1000 -1000 -1000 -10",
]


@pytest.mark.parametrize("below", ["", "training/"])
def test_the_data_sets_own_files_are_read(tmp_path, below):
    kitti(tmp_path, REAL, f"{below}label_2")
    (one,) = back(tmp_path)
    assert one.item.uri == f"{below}image_2/000007.png"
    assert one.item.id == item_id(one.item.uri)
    assert [SCHEMA.names[i] for i in one.labels.class_id] == ["car", "rider", "ignore"]
    assert one.labels.kind.tolist() == [Kind.CUBOID, Kind.CUBOID, Kind.BOX]
    assert one.labels.box[0].tolist() == [560.25, 170.5, 610.75, 220]
    np.testing.assert_array_equal(one.labels.attributes["occluded"], [0, 1, np.nan])
    assert one.labels.score.tolist() == [1, 1, 1]


def test_the_data_sets_own_clips_are_read(tmp_path):
    box = "10 20 30 40 1.5 1.6 4 1 1.6 20 0.1"
    kitti(tmp_path, [f"0 0 Car 0 0 0 {box}", f"2 0 Car 0 0 0 {box}", f"2 1 Van 0 0 0 {box}"], "training/label_02", "0004.txt")
    records = back(tmp_path)
    assert [(one.item.index, one.labels.track.tolist()) for one in records] == [(0, [0]), (1, []), (2, [0, 1])]
    assert {one.item.group for one in records} == {"training/image_02/0004"}
    assert records[2].item.uri == "training/image_02/0004/000002.png"


def test_one_file_or_one_folder_can_be_read(tmp_path):
    path = kitti(tmp_path, REAL)
    kitti(tmp_path, REAL[:1], name="000008.txt")
    assert len(back(path)) == 1
    assert len(back(path.parent)) == len(back(tmp_path)) == 2
    assert back(path)[0].item == back(tmp_path)[0].item


def test_of_an_export_one_file_can_be_read(tmp_path):
    Kitti().export([picture(), picture("b.png"), *clip()], SCHEMA, tmp_path)
    assert [one.item.uri for one in back(tmp_path / "label_2" / "b.txt")] == ["b.png"]
    assert len(back(tmp_path / "label_02")) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Car 0 0 0 1 2 3", "has 7 columns"),
        ("Car 0 0 0 1 2 3 4 1 1 1 x 0 0 0", "could not convert"),
        ("Car 0 0 0 1 2 nan 4 1 1 1 0 0 0 0", "finite"),
        ("Lorry 0 0 0 1 2 3 4 1 1 1 0 0 0 0", "no class 'Lorry'"),
        ("Car 0 0 0 9 2 3 4 -1 -1 -1 0 0 0 0 2", "scores must lie between 0 and 1"),
        ("Car 0 5 0 1 2 3 4 -1 -1 -1 0 0 0 0", "'occluded' must lie between 0.0 and 3.0"),
    ],
)
def test_a_wrong_line_is_refused_and_named(tmp_path, line, said):
    path = kitti(tmp_path, [REAL[0], line])
    with pytest.raises(FormatError) as error:
        back(tmp_path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_unknown_types_can_be_skipped(tmp_path):
    kitti(tmp_path, [*REAL, "Lorry 0 0 0 1 2 3 4 1 1 1 0 0 0 0"])
    assert len(back(tmp_path, unknown="skip")[0].labels) == 3
    with pytest.raises(ConfigError):
        Kitti(unknown="ignore")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FormatError, match="does not exist"):
        back(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="holds no label_2"):
        back(tmp_path)
    (tmp_path / "label_2").mkdir()
    (tmp_path / "label_2" / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="can't be read"):
        back(tmp_path)


def test_a_list_that_leads_out_of_the_folder_is_refused(tmp_path):
    Kitti().export([picture()], SCHEMA, tmp_path)
    listed = json.loads((tmp_path / "images.jsonl").read_text())
    (tmp_path / "images.jsonl").write_text(json.dumps({**listed, "file": "../../etc/passwd"}))
    with pytest.raises(FormatError, match="inside the dataset"):
        back(tmp_path)
    (tmp_path / "images.jsonl").write_text("{")
    with pytest.raises(FormatError, match=r"images.jsonl line 1"):
        back(tmp_path)


def test_it_is_offered_under_its_name():
    assert isinstance(formats.get("kitti", layout="object"), Kitti)
    assert formats.offered()["kitti"].startswith("KITTI text files")
