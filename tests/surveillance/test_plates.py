"""Plates are found by a network from a file, whatever its form of answer; without one their places on vehicles are guessed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from faces_kit import PLATE, image, noise
from hyla.errors import ConfigError, StageError
from hyla.images import read_image
from hyla.types import Image, Item
from hyla.weights import digest
from hyla_surveillance.plate_places import places, writing
from hyla_surveillance.plates import OUTPUTS, Plates, decode
from surveillance_kit import SCHEMA

SIDE, CELL = 128, 16  # of the network's input, and of the boxes that it knows


def network(path: Path, output: str = "yolov8") -> Path:
    """Write a network that finds what is red: one box for each cell, whose score is how much more red than green it is there."""
    grid = np.arange(CELL / 2, SIDE, CELL, dtype=np.float32)
    middle = np.stack([np.tile(grid, len(grid)), np.repeat(grid, len(grid))])
    size = np.full_like(middle, CELL)
    n = middle.shape[1]
    rows = {
        "yolov8": np.concatenate([middle, size]),
        "yolov5": np.concatenate([middle, size, np.ones((1, n), np.float32)]),
        "end2end": np.concatenate([middle - CELL / 2, middle + CELL / 2]),
    }[output]
    constants = {"box": rows[None], "kernel": np.array([1.0, -1, 0], np.float32).reshape(1, 3, 1, 1)}
    constants |= {"flat": np.array([1, 1, n]), "class": np.zeros((1, 1, n), np.float32)}
    parts = ["box", "score", "class"] if output == "end2end" else ["box", "score"]
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["red"]),
        helper.make_node("Relu", ["red"], ["positive"]),
        helper.make_node("AveragePool", ["positive"], ["mean"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Reshape", ["mean", "flat"], ["score"]),
        helper.make_node("Concat", parts, ["joined"], axis=1),
        helper.make_node("Transpose", ["joined"], ["answer"], perm=[0, 1, 2] if output == "yolov8" else [0, 2, 1]),
    ]
    shape = (1, len(rows) + len(parts) - 1, n)
    graph = helper.make_graph(
        nodes,
        "red",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape if output == "yolov8" else (1, n, shape[1]))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def plated(*corners: tuple[int, int], size=(300, 400), side=CELL) -> np.ndarray:
    pixels = np.full((*size, 3), 90, np.uint8)
    for x, y in corners:
        pixels[y : y + side, x : x + side] = (255, 0, 0)
    return pixels


def build(path: Path, **settings) -> Plates:
    return Plates(SCHEMA, str(path), **{"imgsz": SIDE, "tile": SIDE, "overlap": 0.0, **settings})


@pytest.mark.parametrize("output", ["yolov8", "yolov5", "end2end"])
def test_each_form_of_answer_gives_the_same_plates(tmp_path, output):
    model = build(network(tmp_path / "a.onnx", output), output=output)
    (labels,) = model.predict([image(plated((32, 16), (96, 112), size=(128, 128)))])
    SCHEMA.check(labels, (128, 128))
    assert sorted(labels.box.tolist()) == [[32, 16, 48, 32], [96, 112, 112, 128]]
    assert (labels.class_id == PLATE).all()
    assert labels.score == pytest.approx(1.0)


def test_tiles_and_a_reduced_picture_find_near_and_far_plates(tmp_path):
    path = network(tmp_path / "a.onnx")
    (labels,) = build(path).predict([image(plated((256, 128), (0, 256), size=(384, 384)))])
    assert {tuple(row) for row in labels.box.tolist()} >= {(256, 128, 272, 144), (0, 256, 16, 272)}
    (labels,) = build(path).predict([image(plated((96, 192), size=(384, 384), side=48))])  # found whole at a third of the size
    best = labels.box[np.argmax(labels.width)]
    assert best == pytest.approx([96, 192, 144, 240])


def test_labels_do_not_depend_on_the_batch_and_any_picture_is_looked_at(tmp_path):
    model = build(network(tmp_path / "a.onnx"))
    pictures = [image(plated((32, 48))), image(noise(90, 130)), image(plated((200, 160), (48, 16)))]
    together = model.predict(pictures)
    assert [model.predict([one])[0] for one in pictures] == together
    for dtype in ("uint8", "uint16", "float32", "bool"):
        for size, bands in (((1, 1), 1), ((3, 500), 3), ((40, 40), 4)):
            (labels,) = model.predict([image(noise(*size, bands).astype(dtype))])
            SCHEMA.check(labels, size)
    assert len(model.predict([Image(np.zeros((4, 30, 30), np.int16), Item("v", "v"), volume=True)])[0]) == 0


def test_only_the_classes_asked_for_count():
    rows = np.array([[[0, 0, 9, 9, 0.9, 0], [20, 20, 40, 30, 0.8, 3]]])
    assert decode(rows, classes={3}).tolist() == [[20, 20, 40, 30, 0.8]]
    assert len(decode(rows)) == 2
    batch = np.array([[0, 1, 2, 11, 12, 4, 0.7]])  # number of the picture, corners, class, score
    assert decode(batch).tolist() == [[1, 2, 11, 12, 0.7]]
    assert decode(batch, classes={0}).tolist() == []
    assert decode(np.zeros((0, 7))).shape == (0, 5)
    many = np.zeros((1, 6, 50))
    many[0, :, 7] = [50, 40, 20, 10, 0.2, 0.6]
    assert decode(many)[7].tolist() == [40, 35, 60, 45, 0.6]
    assert len(decode(many, classes={1})) == 1


@pytest.mark.parametrize("shape", [(1, 4, 50), (3,), (1, 2, 3, 4), (1, 50, 3)])
def test_an_answer_that_is_no_boxes_is_told(shape):
    for output in OUTPUTS:
        with pytest.raises(StageError, match="its output of shape"):
            decode(np.zeros(shape), output)


def test_files_that_can_not_be_used_are_refused_before_any_work(tmp_path):
    (tmp_path / "text.onnx").write_text("no network")
    (tmp_path / "a.pt").write_bytes(b"no network")
    whole = network(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("text.onnx", "a.pt", "cut.onnx", "missing.onnx"):
        with pytest.raises(ConfigError):
            build(tmp_path / name)
    with pytest.raises(ConfigError, match=r"whole\.onnx: "):
        build(tmp_path / "whole.onnx", imgsz=64)  # it takes 128


@pytest.mark.parametrize(
    "settings", [{"output": "yolo"}, {"score": 0}, {"iou": 2}, {"imgsz": 100}, {"tile": 9}, {"overlap": 1}, {"max_det": 0}]
)
def test_settings_out_of_range_are_refused(tmp_path, settings):
    with pytest.raises(ConfigError):
        build(tmp_path / "nowhere.onnx", **settings)


def test_provenance_names_the_file(tmp_path):
    path = network(tmp_path / "cars.onnx")
    assert build(path).provenance()["name"] == "cars"
    assert build(path).provenance()["digest"] == digest(path)


def car(plate=(70, 130), shade=60, size=(200, 240)) -> np.ndarray:
    """Return a plain vehicle with the plate AB 1234 at a corner (x, y), 66 x 18 pixels."""
    pixels = np.full((*size, 3), shade, np.uint8)
    pixels[20:70, 30:-30] = shade // 3
    x, y = plate
    pixels[y : y + 18, x : x + 66] = 235
    cv2.putText(pixels, "AB 1234", (x + 3, y + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (15, 15, 15), 1)
    return pixels


@pytest.mark.parametrize("plate", [(70, 130), (20, 150), (150, 90)])
@pytest.mark.parametrize("shade", [40, 160])
def test_writing_on_a_vehicle_is_found_wherever_it_is(plate, shade):
    found = writing(car(plate, shade))
    hidden = np.zeros((200, 240), bool)
    for x0, y0, x1, y1 in np.rint(found).astype(int):
        hidden[max(y0, 0) : y1, max(x0, 0) : x1] = True
    x, y = plate
    assert hidden[y + 4 : y + 14, x + 3 : x + 52].mean() > 0.9  # the letters
    assert hidden.mean() < 0.4
    assert len(found) <= 6
    assert len(writing(np.full((200, 240), shade, np.uint8))) == 0


def test_places_are_in_pixels_of_the_picture_and_small_vehicles_have_none():
    pixels = np.full((500, 700, 3), 120, np.uint8)
    pixels[250:450, 300:540] = car((20, 150))
    found = places(pixels, np.array([[300.0, 250, 540, 450], [10, 10, 50, 40], [-90, -90, -10, -10]]))
    x, y = 300 + 20 + 33, 250 + 150 + 9
    assert ((found[:, :2] < [x, y]).all(axis=1) & (found[:, 2:] > [x, y]).all(axis=1)).any()
    assert (found[:, 0] > 290).all()
    assert places(pixels, np.zeros((0, 4))).shape == (0, 4)
    assert len(places(pixels[..., :1].astype(np.uint16), np.array([[300.0, 250, 540, 450]]))) >= 1


def test_real_plates_lie_in_the_places(shared):
    """The two plates that can be read in these pictures, and their vehicles, as measured by hand."""
    street = read_image(shared / "data/surveillance/mot17_04/img1/000001.jpg")
    found = places(street, np.array([[1192.0, 314, 1461, 577]]))
    plate = np.array([1341, 543, 1382, 560])
    assert ((found[:, :2] <= plate[:2] + 3) & (found[:, 2:] >= plate[2:] - 3)).all(axis=1).any()
