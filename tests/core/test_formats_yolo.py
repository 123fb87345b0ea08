"""YOLO: what goes out comes back, ultralytics reads the same, foreign folders are read, bad ones refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from hyla import geometry
from hyla.errors import FormatError
from hyla.formats.yolo import EXACT, TASKS, Yolo
from hyla.frame import VideoFrame
from hyla.schema import Class, Schema
from hyla.types import Item, Kind, Labels, Record, item_id
from strategies import boxes

ALL = Schema(
    "all",
    (Class("vehicle", abstract=True), Class("car", "vehicle"), Class("dog", keypoints=("nose", "tail"), codes={"yolo": "hound"})),
    ("box", "rotated_box", "polygon", "polyline", "keypoints", "mask", "tag"),
)
RING = np.array([[2.0, 3], [20, 4], [18, 15], [5, 12]])
SIZE = (48, 64)


def export(tmp_path: Path, *given_: Record, task: str = "detect", schema: Schema = ALL) -> dict[str, int]:
    return Yolo(task).export(given_, schema, tmp_path)


def read(tmp_path: Path, task: str = "detect", schema: Schema = ALL, **settings_: Any) -> list[Record]:
    return list(Yolo(task, **settings_).read(tmp_path, schema))


def picture(labels: Labels, uri: str = "a.jpg") -> Record:
    return Record(Item(item_id(uri), uri), labels, size=SIZE)


def several() -> Labels:
    mask = np.zeros(SIZE, bool)
    mask[3:9, 4:14] = True
    shapes: list[Any] = [
        None,
        np.array([20.0, 20, 10, 6, 0.5]),
        (RING,),
        np.array([[2.0, 3, 2], [4, 5, 0]]),
        geometry.encode(mask),
    ]
    kinds = [Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.KEYPOINTS, Kind.MASK]
    box = np.array([[1.0, 2, 50, 40], *geometry.bounds(kinds[1:], shapes[1:])])
    box[3] = [1, 2, 30, 31]
    return Labels.of([1, 1, 1, 2, 1], box, kind=kinds, shape=shapes)


def test_a_folder_is_laid_out_as_ultralytics_wants_it(tmp_path: Path) -> None:
    first = Labels.of([1, 2], [[0, 0, 32, 24], [16, 12, 64, 48]], score=[0.5, 1])
    loss = export(tmp_path, picture(first, "day/a.jpg"), picture(Labels.empty(), "b.png"))
    assert loss == {"score": 1}
    assert yaml.safe_load((tmp_path / "data.yaml").read_text()) == {
        "train": "images",
        "val": "images",
        "task": "detect",
        "names": {0: "car", 1: "dog"},
    }
    assert (tmp_path / "labels/day/a.txt").read_text() == "0 0.25 0.25 0.5 0.5\n1 0.625 0.625 0.75 0.75\n"
    assert (tmp_path / "labels/b.txt").read_text() == ""
    lines = [json.loads(line) for line in (tmp_path / "images.jsonl").read_text().splitlines()]
    assert lines[0] == {
        "file": "day/a.jpg",
        "id": item_id("day/a.jpg"),
        "uri": "day/a.jpg",
        "size": [48, 64],
        "frame": {"kind": "pixel"},
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.yaml", "images.jsonl", "labels"]


def test_names_that_collide_are_made_unique(tmp_path: Path) -> None:
    one = Labels.of([1], [[0, 0, 9, 9]])
    uris = ["a.jpg", "a.png", "A.JPG", "images/a.jpg", "x/images/a.jpg", "x/images_/a.jpg", "c.mp4", "c.mp4"]
    given_ = [replace(picture(one, uri), item=Item(f"{i}", uri, "c" if ".mp4" in uri else "", i)) for i, uri in enumerate(uris)]
    export(tmp_path, *given_)
    files = [json.loads(line)["file"] for line in (tmp_path / "images.jsonl").read_text().splitlines()]
    assert files[:4] == ["a.jpg", "a_2.png", "A_3.JPG", "a_4.jpg"]
    assert files[4:] == ["x/images_/a.jpg", "x/images_/a_2.jpg", "c/000006.jpg", "c/000007.jpg"]
    assert len({f.rsplit(".", 1)[0].casefold() for f in files}) == len(uris)
    assert [r.item for r in read(tmp_path)] == [g.item for g in given_]


@pytest.mark.parametrize("task", TASKS)
def test_back_again_gives_what_a_line_holds_and_names_the_rest(tmp_path: Path, task: str) -> None:
    labels = several()
    loss = export(tmp_path, picture(labels), task=task)
    (back,) = read(tmp_path, task)
    kept = [row for row, kind in enumerate(labels.kind) if Kind(kind).word in TASKS[task]]
    assert len(back.labels) == len(kept)
    exact = [k for k in labels.kind[kept] if k in EXACT[task]]
    assert sum(n for what, n in loss.items() if " as " in what) == len(kept) - len(exact)
    assert sum(n for what, n in loss.items() if " as " not in what) == 5 - len(kept)
    for row, (before, after) in enumerate(zip(kept, range(len(kept)), strict=True)):
        assert back.labels.class_id[after] == labels.class_id[before]
        if task in ("detect", "pose") or labels.kind[before] == Kind.BOX:
            assert back.labels.box[row] == pytest.approx(labels.box[before], abs=1e-7)
        if labels.kind[before] in EXACT[task] and labels.shape[before] is not None:
            ours, theirs = labels.shape[before], back.labels.shape[after]
            assert back.labels.kind[after] == labels.kind[before]
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(b, a, rtol=0, atol=1e-7)
    assert (back.size, back.item) == (SIZE, picture(labels).item)


@settings(max_examples=60)
@given(st.data())
def test_boxes_come_back_to_a_millionth_of_a_pixel(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    size = data.draw(st.tuples(st.integers(1, 9000), st.integers(1, 9000)))
    given_ = data.draw(st.lists(boxes(size), max_size=5))
    out = tmp_path_factory.mktemp("yolo")
    item = Item("it", "clip.mp4", "clip.mp4", 3, "video_frame", {"a": [1]})
    record = Record(
        item, Labels.of([1] * len(given_), np.reshape(given_, (-1, 4))), size=size, frame=VideoFrame(seconds=0.1, index=3)
    )
    assert export(out, record) == {}
    (back,) = read(out)
    assert (back.item, back.size, back.frame) == (record.item, record.size, record.frame)
    np.testing.assert_allclose(back.labels.box, record.labels.box, rtol=0, atol=1e-6)


@settings(max_examples=60)
@given(st.tuples(*[st.floats(10, 40)] * 2), st.tuples(*[st.floats(0, 12)] * 2), st.floats(-9, 9))
def test_rotated_boxes_come_back(tmp_path_factory: pytest.TempPathFactory, centre: Any, sides: Any, angle: float) -> None:
    out = tmp_path_factory.mktemp("obb")
    shape = np.array([*centre, *sides, angle])
    box = geometry.bounds([Kind.ROTATED_BOX], [shape])
    export(out, picture(Labels.of([1], box, kind=Kind.ROTATED_BOX, shape=[shape])), task="obb")
    (back,) = read(out, "obb")
    assert back.labels.kind.tolist() == [Kind.ROTATED_BOX]
    np.testing.assert_allclose(geometry.rotated_corners(back.labels.shape[0]), geometry.rotated_corners(shape), rtol=0, atol=1e-6)
    if min(sides) > 1e-3:
        turn = (back.labels.shape[0][4] - angle + np.pi) % (2 * np.pi) - np.pi
        assert abs(turn) < 1e-6 / min(sides)


def test_what_leaves_the_picture_is_cut_at_the_edge_and_named(tmp_path: Path) -> None:
    shape = np.array([4.0, 4, 20, 20, 0.7])
    labels = Labels.of([1, 1], [[-0.4, 0, 10, 10], [0, 0, 20, 20]], kind=[Kind.BOX, Kind.ROTATED_BOX], shape=[None, shape])
    assert export(tmp_path, picture(labels), task="obb") == {"part outside the picture": 1, "box as rotated box": 1}
    numbers = np.array([line.split()[1:] for line in (tmp_path / "labels/a.txt").read_text().splitlines()], dtype=float)
    assert numbers.min() >= -0.01
    assert export(tmp_path, picture(labels[:1])) == {}
    assert read(tmp_path)[0].labels.box[0] == pytest.approx([-0.4, 0, 10, 10], abs=1e-7)


def test_rings_are_joined_into_one_that_fills_the_same(tmp_path: Path) -> None:
    inner, beside = RING * 0.3 + 6, RING * 0.5 + [30, 20]
    labels = Labels.of([1], kind=Kind.POLYGON, shape=[(RING, inner, beside)])
    assert export(tmp_path, picture(labels), task="segment") == {"polygon of several rings as joined polygon": 1}
    (back,) = read(tmp_path, "segment")
    (ring,) = back.labels.shape[0]
    assert (geometry.rasterize((ring,), SIZE) == geometry.rasterize((RING, inner, beside), SIZE)).all()


def test_an_outline_without_a_pixel_is_named_as_lost(tmp_path: Path) -> None:
    masks = [geometry.encode(np.zeros(SIZE, bool)), geometry.encode(np.ones((2, 3, 4), bool))]
    labels = Labels.of([1, 1], [[0, 0, 1, 1]] * 2, kind=Kind.MASK, shape=masks)
    assert export(tmp_path, picture(labels), task="segment") == {"mask": 2}


def test_a_second_export_replaces_the_first_whole(tmp_path: Path) -> None:
    export(tmp_path, picture(several(), "a.jpg"), picture(several(), "b.jpg"))
    export(tmp_path, picture(several(), "b.jpg"))
    assert [p.name for p in (tmp_path / "labels").iterdir()] == ["b.txt"]
    assert len(read(tmp_path)) == 1


def test_labels_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/mine.txt").write_text("0 0.5 0.5 1 1\n")
    with pytest.raises(FormatError, match="was not written by Hyla"):
        export(tmp_path, picture(several()))
    assert (tmp_path / "labels/mine.txt").exists()


def test_an_export_that_fails_leaves_the_old_labels(tmp_path: Path) -> None:
    export(tmp_path, picture(several(), "a.jpg"))
    with pytest.raises(FormatError, match=r"size of b\.jpg is not known"):
        export(tmp_path, replace(picture(several(), "b.jpg"), size=(0, 0)))
    assert [r.item.uri for r in read(tmp_path)] == ["a.jpg"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.yaml", "images.jsonl", "labels"]


def test_keypoints_need_names(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="names no keypoints"):
        export(tmp_path, task="pose", schema=Schema("s", (Class("car"),)))


# ultralytics as the independent reader


def pictures(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.effect_noise((SIZE[1], SIZE[0]), 50).convert("RGB").save(path)


@pytest.fixture
def ultralytics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("YOLO_OFFLINE", "true")
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path / "settings"))
    monkeypatch.setenv("YOLO_VERBOSE", "false")
    monkeypatch.setattr(Pillow, "open", Pillow.open)  # which ultralytics replaces for good
    return pytest.importorskip("ultralytics.data.utils", reason="ultralytics is not installed")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("task", TASKS)
def test_ultralytics_reads_the_same(ultralytics: Any, tmp_path: Path, task: str) -> None:
    out = tmp_path / "out"
    labels = several()
    export(out, picture(labels, "day/a.jpg"), picture(Labels.empty(), "b.png"), task=task)
    pictures(out, "day/a.jpg", "b.png")
    data = ultralytics.check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert data["names"] == {0: "car", 1: "dog"}
    assert Path(data["val"]) == out / "images"
    files = [str(out / "images/day/a.jpg"), str(out / "images/b.png")]
    found = ultralytics.img2label_paths(files)
    points, dims = data.get("kpt_shape", (0, 0))
    results = [
        ultralytics.verify_image_label((image, label, "", task == "pose", 2, points, dims, False))
        for image, label in zip(files, found, strict=True)
    ]
    kept = [row for row, kind in enumerate(labels.kind) if Kind(kind).word in TASKS[task]]
    image, boxes_, shape, segments, keypoints, missing, one, empty, corrupt, message = results[0]
    assert (image, missing, one, empty, corrupt, message) == (files[0], 0, 1, 0, 0, "")
    assert boxes_[:, 0].tolist() == [float(c - 1) for c in labels.class_id[kept]]
    assert tuple(shape) == SIZE
    theirs = boxes_[:, 1:] * ([SIZE[1], SIZE[0]] * 2)
    near = theirs[:, :2] - theirs[:, 2:] / 2
    np.testing.assert_allclose(np.hstack([near, near + theirs[:, 2:]]), labels.box[kept], atol=1e-4)
    if task in ("segment", "obb"):
        assert [len(s) for s in segments] == [4, 4, 4, 4]
        rotated = segments[1] * [SIZE[1], SIZE[0]]
        np.testing.assert_allclose(rotated, geometry.rotated_corners(labels.shape[1]), atol=1e-4)
    if task == "pose":
        np.testing.assert_allclose(keypoints[1] * [SIZE[1], SIZE[0], 1], labels.shape[3], atol=1e-4)
    assert results[1][5:9] == (0, 1, 1, 0)  # found, and empty: a picture in which there is nothing


# Foreign folders


def foreign(folder: Path, lines: str, **more: Any) -> Path:
    pictures(folder, "train/a.jpg", "train/none.jpg")
    label = folder / "labels/train/a.txt"
    label.parent.mkdir(parents=True, exist_ok=True)
    label.write_text(lines)
    data = {"path": "../somewhere/else", "train": "images/train", "val": "images/train", "names": ["car", "hound"], **more}
    (folder / "data.yaml").write_text(yaml.safe_dump(data))
    return folder


def test_a_foreign_folder_is_read_with_the_sizes_of_its_pictures(tmp_path: Path) -> None:
    first, second = read(foreign(tmp_path, "0 0.5 0.5 0.5 0.5\n\n1 0.25 0.25 0.5 0.5 0.75\n"))
    assert first.item == Item(item_id("images/train/a.jpg"), "images/train/a.jpg")
    assert first.size == SIZE
    assert first.labels.class_id.tolist() == [1, 2]
    assert first.labels.box.tolist() == [[16, 12, 48, 36], [0, 0, 32, 24]]
    assert first.labels.score.tolist() == [1, 0.75]
    assert (second.item.uri, len(second.labels)) == ("images/train/none.jpg", 0)
    assert len(read(tmp_path / "data.yaml")) == 2


def test_roboflow_says_one_folder_too_high(tmp_path: Path) -> None:
    foreign(tmp_path, "", train="../images/train", val=None)
    assert len(read(tmp_path)) == 2


def test_a_picture_that_its_exif_turns_has_the_size_it_is_seen_in(tmp_path: Path) -> None:
    foreign(tmp_path, "")
    exif = Pillow.Exif()
    exif[274] = 6
    Pillow.new("RGB", (10, 20)).save(tmp_path / "images/train/a.jpg", exif=exif)
    assert read(tmp_path)[0].size == (10, 20)


def test_corners_of_obb_are_rotated_boxes_where_they_are_meant(tmp_path: Path) -> None:
    line = "0 0.1 0.1 0.5 0.1 0.5 0.4 0.1 0.4\n"
    assert read(foreign(tmp_path, line))[0].labels.kind.tolist() == [Kind.POLYGON]
    assert read(foreign(tmp_path, line, task="obb"))[0].labels.kind.tolist() == [Kind.ROTATED_BOX]
    one = read(foreign(tmp_path, "0 0.1 0.1 0.5 0.12 0.52 0.4 0.1 0.41\n"), "obb")[0].labels
    corners = geometry.rotated_corners(one.shape[0])
    assert geometry.iou(np.concatenate([corners.min(0), corners.max(0)]), one.box)[0, 0] > 0.9  # the smallest one around


def test_keypoints_of_two_numbers_are_seen_unless_negative(tmp_path: Path) -> None:
    one = read(foreign(tmp_path, "1 0.5 0.5 0.5 0.5 0.5 0.5 -1 -1\n", kpt_shape=[2, 2]))[0].labels
    assert one.shape[0][:, 2].tolist() == [2, 0]


def test_a_box_a_little_outside_is_put_to_the_edge(tmp_path: Path) -> None:
    foreign(tmp_path, "0 0.5 0.5 1.018 1\n")
    Pillow.new("RGB", (640, 480)).save(tmp_path / "images/train/a.jpg")
    assert read(tmp_path)[0].labels.box.tolist() == [[0, 0, 640, 480]]


def test_unknown_classes_can_be_left_out(tmp_path: Path) -> None:
    foreign(tmp_path, "0 0.5 0.5 0.5 0.5\n2 0.5 0.5 0.5 0.5\n", names={0: "car", 2: "teapot"})
    assert len(read(tmp_path, unknown="skip")[0].labels) == 1
    with pytest.raises(FormatError, match="no class 'teapot'"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.5", "3 numbers after its class"),
        ("0 0.5 0.5 0.5 0.5 0.5 0.5 0.5", "7 numbers after its class"),
        ("x 0.5 0.5 0.5 0.5", "line 1 is not a class and numbers"),
        ("0.5 0.5 0.5 0.5 0.5", "0.5 is no class"),
        ("9 0.5 0.5 0.5 0.5", "9 is no class"),
        ("-1 0.5 0.5 0.5 0.5", "-1 is no class"),
        ("0 nan 0.5 0.5 0.5", "not finite"),
        ("0 0.5 0.5 inf 0.5", "not finite"),
        ("0 0.5 0.5 3 3", "outside the image"),
        ("0 0.5 0.5 -0.5 -0.5", "far corner before"),
        ("0 0.5 0.5 0.5 0.5 2", "scores must lie"),
        ("\udcff", "can't be read"),
    ],
)
def test_bad_lines_are_refused_with_their_place(tmp_path: Path, line: str, message: str) -> None:
    foreign(tmp_path, "")
    (tmp_path / "labels/train/a.txt").write_bytes(line.encode(errors="surrogateescape"))
    with pytest.raises(FormatError, match=message) as caught:
        read(tmp_path)
    assert "a.txt" in caught.value.what


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"names": None}, "does not give the classes their names"),
        ({"names": {"a": "car"}}, "does not give the classes their names"),
        ({"train": "/etc", "val": None}, "no folder inside the dataset"),
        ({"train": "../..", "val": None}, "no folder inside the dataset"),
        ({"train": "train.txt", "val": None}, "lists of pictures are not read"),
        ({"train": None, "val": None}, "leads to no pictures"),
        ({"kpt_shape": [2, 9]}, "kpt_shape"),
        ({"kpt_shape": "2, 3"}, "kpt_shape"),
    ],
)
def test_a_bad_data_yaml_is_refused(tmp_path: Path, data: dict[str, Any], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(foreign(tmp_path, "", **data))


def test_what_is_no_yaml_and_no_picture_is_refused(tmp_path: Path) -> None:
    foreign(tmp_path, "")
    (tmp_path / "images/train/none.jpg").write_text("not a picture")
    with pytest.raises(FormatError, match=r"none\.jpg is no picture"):
        read(tmp_path)
    (tmp_path / "data.yaml").write_text("[: {")
    with pytest.raises(FormatError, match="can't be read"):
        read(tmp_path)
    with pytest.raises(FormatError, match=r"holds no data\.yaml"):
        read(tmp_path / "images")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"file": "../a.jpg", "id": "a", "uri": "a.jpg", "size": [9, 9]}', "no path inside"),
        ('{"file": "a.jpg", "id": "a", "uri": "/a.jpg", "size": [9, 9]}', "no path inside"),
        ('{"file": "z.jpg", "id": "a", "uri": "a.jpg", "size": [9, 9]}', "is missing"),
        ('{"file": "a.jpg", "id": "a", "uri": "a.jpg", "size": [9]}', "size"),
        ('{"file": "a.jpg", "id": "a", "uri": "a.jpg", "size": [-9, 9]}', "negative"),
        ('{"file": "a.jpg", "id": "a", "uri": "a.jpg", "size": [9, 9], "frame": {"kind": "odd"}}', "frame kind"),
        ("{", "line 1"),
    ],
)
def test_a_bad_list_of_pictures_is_refused(tmp_path: Path, line: str, message: str) -> None:
    export(tmp_path, picture(several()))
    (tmp_path / "images.jsonl").write_text(line + "\n")
    with pytest.raises(FormatError, match=message):
        read(tmp_path)
