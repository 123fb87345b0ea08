"""Embedded: rough proposals of vehicles by contrast and motion, with a memory that starts again with its clip."""

from __future__ import annotations

import inspect
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

import hyla_driving
from hyla import geometry
from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import Image, Item, Kind
from hyla_driving import vehicles
from hyla_driving.embedded import Embedded

SCHEMA = Schema.from_config(
    {
        "name": "road",
        "kinds": ["box", "track"],
        "classes": {"vehicle": {}, "car": {"parent": "vehicle"}, "lane": {"kinds": ["polyline"]}},
        "attributes": {"position": {"type": "choice", "choices": ["ego_left", "ego_right", "left", "right"]}},
    }
)
VEHICLE = 0
VP = (480, 230)


def road(cars=(), size=(540, 960), seed=0, extra=None):
    """Return a picture of a road with two lines and `cars`: (side in camera heights, row of the wheels)."""
    pixels = np.full((*size, 3), 110, np.uint8)
    pixels[: VP[1]] = (150, 180, 220)
    for row in range(VP[1] + 3, size[0]):
        for side in (-1.2, 1.3):
            centre, half = VP[0] + side * (row - VP[1]), 0.06 * (row - VP[1])
            pixels[row, max(0, round(centre - half)) : max(0, round(centre + half))] = 235
    if extra:
        extra(pixels)
    for side, row in cars:
        x0, y0, x1, y1 = (round(v) for v in box_of(side, row))
        pixels[y0:y1, x0:x1] = (170, 30, 30)
        height = y1 - y0
        pixels[y0 + height // 8 : y0 + height // 2, x0 + height // 8 : x1 - height // 8] = (40, 50, 60)  # window
        pixels[y0 + 5 * height // 8 : y0 + 6 * height // 8, x0:x1] = (200, 60, 60)  # bumper
        pixels[y1 - max(3, height // 6) : y1, x0:x1] = 18  # the dark under it
    noise = np.random.default_rng(seed).normal(0, 3, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def box_of(side, row):
    t = row - VP[1]
    x, wide = VP[0] + side * t, 1.3 * t
    return x - wide / 2, row - 0.8 * wide, x + wide / 2, row


def still(pixels, name="still"):
    return Image(pixels, Item(name, f"{name}.jpg"))


def frame(pixels, index, group="clip"):
    return Image(
        pixels, Item(f"{group}-{index}", "clip.mp4", group, index, "video_frame"), VideoFrame(seconds=index / 25, index=index)
    )


def proposals(labels):
    return labels[labels.class_id == VEHICLE]


def test_cars_on_the_road_are_proposed_with_low_scores():
    cars = [(0.1, 330), (-2.4, 300)]
    labels = Embedded(SCHEMA).predict([still(road(cars))])[0]
    found = proposals(labels)
    overlap = geometry.iou(found.box, [box_of(*car) for car in cars])
    assert (overlap.max(axis=0) > 0.5).all()
    assert len(found) == 2
    assert ((found.score >= 0.2) & (found.score <= 0.5)).all()
    assert (found.track == -1).all(), "a single picture has no tracks"
    assert labels.attributes["position"].tolist() == [None, None, "ego_left", "ego_right"]
    assert (labels.kind[2:] == Kind.POLYLINE).all()
    SCHEMA.check(labels, (540, 960))


def test_an_empty_road_and_shadows_across_it_give_none():
    def bridge(pixels):
        pixels[330:350] //= 3

    def pole(pixels):
        cv2.line(pixels, (300, 500), (700, 380), (30, 30, 30), 6)

    def patch(pixels):
        pixels[400:404, 440:520] = 30  # tar, no higher than a crack

    def tree(pixels):
        x0, _, x1, y1 = box_of(-2.4, 330)
        pixels[int(y1 - 0.25 * (x1 - x0)) : int(y1), int(x0) : int(x1)] = 30  # as wide as a car, but flat

    pictures = [still(road(extra=extra)) for extra in (None, bridge, pole, patch, tree)]
    assert [len(proposals(one)) for one in Embedded(SCHEMA).predict(pictures)] == [0] * 5


def test_a_clip_gives_tracks():
    model = Embedded(SCHEMA)
    labels = [model.predict([frame(road([(0.1, 330 + 2 * i)], seed=i), i)])[0] for i in range(6)]
    tracks = [proposals(one).track.tolist() for one in labels]
    assert tracks[-1] == [1]
    assert all(one in ([1], [-1]) for one in tracks)


def ground(seed=0):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(60, 140, (68, 120, 3), dtype=np.uint8), (960, 540), interpolation=cv2.INTER_CUBIC)


def passing(i, scale=1.0, background=None):
    """Return frame i of a plaza seen from above by a camera that stands, and the box of the car that crosses it from frame 5."""
    pixels = (ground() if background is None else background).astype(float)
    x = 40 + 24 * (i - 5)
    box = (x, 200, x + 160, 280)
    if i >= 5:
        pixels[box[1] : box[3], box[0] : box[2]] = (230, 225, 220)
        pixels[box[1] + 15 : box[3] - 15, box[0] + 40 : box[0] + 80] = (60, 70, 80)
    noise = np.random.default_rng(i).normal(0, 2, pixels.shape)
    return np.clip(pixels * scale + noise, 0, 255).astype(np.uint8), box


def test_what_moves_before_a_standing_camera_is_proposed_and_tracked():
    model = Embedded(SCHEMA)
    found, overlaps = [], []
    for i in range(20):
        pixels, box = passing(i)
        found.append(proposals(model.predict([frame(pixels, i)])[0]))
        overlaps.append(geometry.iou(found[-1].box, [box]).max(initial=0))
    assert all(len(one) == 0 for one in found[:5])
    assert min(overlaps[6:]) > 0.6
    assert found[-1].track.tolist() == [1]
    assert max(one.score.max(initial=0) for one in found) <= 0.5


def test_a_change_of_exposure_is_no_motion():
    motion = vehicles.Motion()
    for i in range(20):
        pixels, box = passing(i, scale=1 - 0.03 * i)  # as if the camera dimmed for the white car
        boxes, _ = motion.update(pixels)
        if i < 5:
            assert len(boxes) == 0
        if i > 6:
            assert len(boxes) == 1
            assert geometry.iou(boxes, [box]).max() > 0.6


def test_a_shaking_camera_is_held_still_and_a_driving_one_gives_nothing():
    large = cv2.resize(np.random.default_rng(5).integers(0, 255, (80, 150, 3), dtype=np.uint8), (1400, 800))
    shake = vehicles.Motion()
    for i in range(10):
        dx, dy = 6 * (i % 3), 4 * (i % 2)
        assert len(shake.update(np.ascontiguousarray(large[40 + dy : 580 + dy, 40 + dx : 1000 + dx]))[0]) == 0
    assert shake.seen == 10, "its background was kept"
    drive = vehicles.Motion()
    for i in range(10):
        grown = 960 - 30 * i  # the view narrows: what a camera sees that moves on
        cut = large[100 : 100 + grown * 540 // 960, 100 : 100 + grown]
        assert len(drive.update(cv2.resize(cut, (960, 540)))[0]) == 0
        assert drive.seen == 1, "its background begins again with each frame"


def test_another_scene_starts_the_background_again():
    motion = vehicles.Motion()
    slope = np.repeat(np.linspace(40, 200, 960)[None, :, None], 540, axis=0).repeat(3, axis=2).astype(np.uint8)  # without corners
    for _ in range(6):
        motion.update(slope)
    assert motion.seen == 6
    assert len(motion.update(np.ascontiguousarray(slope[:, ::-1]))[0]) == 0
    assert motion.seen == 1


def clip(n=12, start=0):
    return [frame(passing(start + i)[0], i) for i in range(n)]


def test_labels_do_not_depend_on_the_batch_or_on_an_interruption():
    frames = clip(12, start=7)  # the car is there from the first frame on, so that the background begins with it
    alone = Embedded(SCHEMA)
    one_by_one = [alone.predict([one])[0] for one in frames]
    assert any((one.track > 0).any() for one in one_by_one)
    batched = Embedded(SCHEMA)
    assert [*batched.predict(frames[:5]), *batched.predict(frames[5:])] == one_by_one
    interrupted = Embedded(SCHEMA)
    interrupted.predict(frames[:7])
    assert interrupted.predict(frames) == one_by_one, "a group that starts again is a replay"
    forgotten = Embedded(SCHEMA)
    forgotten.predict(frames[:7])
    forgotten.forget("clip")
    assert forgotten._motion == {}
    assert forgotten.tracker._groups == {}
    assert forgotten.predict(frames) == one_by_one


def test_groups_and_stills_do_not_disturb_a_clip():
    frames = clip(8)
    expected = Embedded(SCHEMA).predict(frames)
    model = Embedded(SCHEMA)
    mixed = []
    for i, one in enumerate(frames):
        mixed.append(model.predict([still(road(seed=i)), one, frame(road([(0, 320)], seed=i), i, "other")])[1])
    assert mixed == expected


@pytest.mark.parametrize("size", [(1, 1), (40, 900), (48, 64), (700, 300), (1080, 1920)])
def test_any_size_is_taken(size):
    rng = np.random.default_rng(0)
    model = Embedded(SCHEMA)
    for i in range(2):
        labels = model.predict([frame(rng.integers(0, 256, (*size, 3), dtype=np.uint8), i, f"g{size}")])[0]
        SCHEMA.check(labels, size)


def test_a_clip_that_changes_its_size_goes_on():
    model = Embedded(SCHEMA)
    sizes = [(540, 960), (540, 960), (270, 480), (270, 480)]
    for i, size in enumerate(sizes):
        pixels = cv2.resize(passing(0)[0], size[::-1])
        SCHEMA.check(model.predict([frame(pixels, i)])[0], size)


def test_tracking_can_be_left_out():
    model = Embedded(SCHEMA, tracking="none")
    labels = [model.predict([one])[0] for one in clip(10)]
    assert all((one.track == -1).all() for one in labels)
    assert any(len(proposals(one)) for one in labels)


def test_settings_are_checked():
    for bad in ({"threshold": 0.7}, {"tracking": "sort"}, {"lane_threshold": 3}, {"horizon": 0}, {"vehicle_class": "lorry"}):
        with pytest.raises(ConfigError):
            Embedded(SCHEMA, **bad)
    assert Embedded(SCHEMA).memory
    assert Embedded(SCHEMA).provenance() == {"name": "embedded"}


def test_the_yaml_holds_the_defaults():
    conf = OmegaConf.to_container(OmegaConf.load(Path(hyla_driving.__file__).parent / "conf" / "model" / "embedded.yaml"))
    assert conf.pop("_target_") == "hyla_driving.embedded.Embedded"
    defaults = {
        name: p.default for name, p in inspect.signature(Embedded.__init__).parameters.items() if name not in ("self", "schema")
    }
    assert conf == defaults


def test_vehicles_of_tusimple_pictures(shared):
    """Count what was looked at: the pictures show at least this many cars in front, near and far."""
    model = Embedded(SCHEMA)
    counts = {}
    for path in sorted((shared / "data/driving/tusimple_lanes/image").iterdir()):
        pixels = np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])
        labels = model.predict([still(pixels, path.stem)])[0]
        SCHEMA.check(labels, pixels.shape[:2])
        counts[path.stem] = len(proposals(labels))
    assert all(1 <= n <= 9 for n in counts.values()), counts
    assert sum(counts.values()) >= 10


def test_the_cars_of_the_traffic_video_are_seen_moving(shared):
    import av

    model = Embedded(SCHEMA)
    counts = {}
    with av.open(str(shared / "data/driving/traffic_video/car-detection.mp4")) as container:
        for i, one in enumerate(container.decode(video=0)):
            if i >= 110:
                break
            counts[i] = len(proposals(model.predict([frame(one.to_ndarray(format="rgb24"), i)])[0]))
    assert sum(counts[i] for i in range(45)) == 0, "an empty car park"
    assert sum(counts[i] > 0 for i in range(60, 100)) >= 30, "a car crosses from frame 55 to 100"
