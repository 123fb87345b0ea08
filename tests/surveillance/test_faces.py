"""Faces are found near and far, whatever the batch; weights that are none are refused before any work."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

from faces_kit import FACE, WEIGHTS, image, noise, photograph, street, yunet
from hyla import config
from hyla.errors import ConfigError
from hyla.geometry import iou
from hyla.loop import run
from hyla.schema import Schema
from hyla.store import Project
from hyla.weights import digest
from hyla_surveillance.faces import Faces
from surveillance_kit import SCHEMA


@pytest.fixture(scope="module")
def faces(shared) -> Faces:
    return yunet(shared)


@pytest.fixture(scope="module")
def photo(shared):
    return photograph(shared)


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25])
def test_the_29_people_of_1927_are_found_at_any_size(shared, photo, scale):
    pixels = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    (labels,) = yunet(shared, score=0.7).predict([image(pixels)])
    SCHEMA.check(labels, pixels.shape[:2])
    assert len(labels) == 29
    assert (labels.class_id == FACE).all()
    assert (np.diff(labels.score) <= 0).all()
    assert (iou(labels.box, labels.box) - np.eye(29) < 0.2).all()  # each once
    assert set(labels.attributes) == {"eye_distance", "blur", "yaw", "pitch", "roll", "occlusion", "quality"}


def test_faces_across_the_edges_of_tiles_are_found_once(shared, photo):
    half = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    whole = yunet(shared, score=0.7).predict([image(half)])[0]
    tiled = yunet(shared, score=0.7, tile=256).predict([image(half)])[0]
    assert len(whole) == len(tiled) == 29
    assert (iou(whole.box, tiled.box).max(axis=1) > 0.6).all()


def test_a_face_that_fills_the_picture_and_a_far_one_are_found_together(faces, photo):
    near = cv2.resize(photo[1000:1220, 2220:2420], (1900, 2090), interpolation=cv2.INTER_CUBIC)
    canvas = np.full((2160, 3840, 3), 128, np.uint8)
    canvas[40 : 40 + 2090, 100:2000] = near
    far = cv2.resize(photo[1000:1220, 2220:2420], (60, 66), interpolation=cv2.INTER_AREA)
    canvas[1000:1066, 3000:3060] = far
    (labels,) = faces.predict([image(canvas)])
    middle = (labels.box[:, :2] + labels.box[:, 2:]) / 2
    big = labels.height > 700
    assert big.sum() == 1
    assert 100 < middle[big][0, 0] < 2000
    assert ((labels.height < 60) & (np.abs(middle - [3030, 1033]) < 20).all(axis=1)).sum() == 1


def test_tiny_faces_of_a_street_are_on_people(faces, shared):
    found = on = 0
    for number in (1, 8):
        pixels, people = street(shared, number)
        (labels,) = faces.predict([image(pixels)])
        middle = (labels.box[:, :2] + labels.box[:, 2:]) / 2
        upper = people.copy()
        upper[:, 3] = people[:, 1] + 0.3 * (people[:, 3] - people[:, 1])
        inside = (middle[:, None] >= upper[None, :, :2]).all(axis=2) & (middle[:, None] <= upper[None, :, 2:]).all(axis=2)
        found, on = found + len(labels), on + int(inside.any(axis=1).sum())
    assert found >= 25
    assert on >= 0.85 * found  # 2 frames; faces are 13 to 22 pixels wide


def test_labels_do_not_depend_on_the_batch_nor_on_what_came_before(faces, shared, photo):
    pictures = [image(p) for p in (photo[900:1300, :800], street(shared)[0], noise(90, 130), photo[:, :900])]
    together = faces.predict(pictures)
    assert [faces.predict([one])[0] for one in pictures] == together
    assert yunet(shared).predict(pictures[::-1])[::-1] == together
    assert sum(map(len, together)) > 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (40, 3), (64, 64)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "bool"])
def test_any_picture_is_looked_at(faces, shape, dtype):
    for bands in (1, 3, 4):
        pixels = noise(*shape, bands).astype(dtype)
        for one in (pixels, np.zeros_like(pixels)):
            (labels,) = faces.predict([image(one)])
            SCHEMA.check(labels, shape)


def test_grey_and_16_bits_show_the_same_faces(faces, photo):
    part = np.ascontiguousarray(photo[800:1300, :900])
    (colour,) = faces.predict([image(part)])
    (grey,) = faces.predict([image(part[..., :1])])
    (deep,) = faces.predict([image(part[..., :1].astype(np.uint16) * 257)])
    assert len(colour) == len(grey) == len(deep) == 8


def test_a_volume_has_no_faces(faces):
    from hyla.types import Image, Item

    assert len(faces.predict([Image(np.zeros((4, 30, 30), np.int16), Item("v", "v"), volume=True)])[0]) == 0


def test_attributes_that_the_schema_lacks_are_left_out(shared, photo):
    bare = Faces(Schema.from_config({"classes": {"face": {}}}), WEIGHTS, str(shared / "weights"))
    (labels,) = bare.predict([image(photo[800:1300, :900])])
    assert len(labels) == 8
    assert labels.attributes == {}


def test_provenance_names_the_file(faces, shared):
    facts = faces.provenance()
    assert facts["name"] == WEIGHTS.removesuffix(".onnx")
    assert facts["digest"] == digest(shared / "weights" / WEIGHTS)


def test_opencv_says_nothing(shared, capfd):
    yunet(shared).predict([image(noise(50, 50))])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["u2netp.onnx", "yolox_nano.onnx", "osnet_x0_25_msmt17.onnx"])
def test_another_network_is_refused(shared, name):
    with pytest.raises(ConfigError, match="is no YuNet"):
        Faces(SCHEMA, name, str(shared / "weights"))


def test_a_damaged_or_missing_file_is_refused(shared, tmp_path):
    whole = (shared / "weights" / WEIGHTS).read_bytes()
    for name, content in {"cut.onnx": whole[:90_000], "empty.onnx": b"", "text.onnx": b"not a network\n" * 99}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match="is no YuNet"):
            Faces(SCHEMA, str(tmp_path / name))
    with pytest.raises(ConfigError, match="no such file") as caught:
        Faces(SCHEMA, "face_detection_yunet.onnx", str(shared / "weights"))
    assert WEIGHTS in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        *({"score": 0}, {"score": 1.5}, {"iou": 1}, {"tile": 20}, {"overlap": 0.95}, {"enlarge": 0.5}, {"max_det": 0}),
        *({"grades": {"good_eye": 3}}, {"grades": {"good_eyes": -1}}, {"grades": {"fair_blur": "much"}}),
    ],
)
def test_settings_out_of_range_are_refused_before_weights_are_looked_for(settings):
    with pytest.raises(ConfigError):
        Faces(SCHEMA, "nowhere.onnx", **settings)


def test_a_schema_without_faces_is_refused():
    with pytest.raises(ConfigError, match="no class 'face'"):
        Faces(Schema.from_config({"classes": {"thing": {}}}), "nowhere.onnx")


def test_the_preset_labels_a_folder_of_photos(shared, tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    shutil.copy(shared / "data/surveillance/faces/solvay_conference_1927.jpg", source)
    weights = f"weights_dir={shared / 'weights'}"
    run(config.compose("faces", weights, source=str(source), out=str(tmp_path / "out"), progress=False))
    with Project.open(tmp_path / "out") as project:
        (record,) = project.records()
        assert len(record.labels) == 29
        assert set(record.labels.attributes["quality"].tolist()) <= {"poor", "fair", "good"}
