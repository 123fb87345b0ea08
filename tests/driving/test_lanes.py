"""Lanes: drawn roads of known geometry, pictures without a road, and real frames."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

import hyla_driving
from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import Image, Item, Kind
from hyla_driving import markings, road
from hyla_driving.lanes import Lanes

SCHEMA = Schema.from_config(
    {
        "name": "road",
        "classes": {"car": {}, "lane": {"kinds": ["polyline"]}},
        "attributes": {
            "marking": {"type": "choice", "choices": ["solid", "dashed", "unknown"]},
            "position": {"type": "choice", "choices": ["ego_left", "ego_right", "left", "right"]},
        },
    }
)


def image(pixels, name="road", **more):
    return Image(pixels, Item(name, f"{name}.png"), **more)


def columns(side, rows, vp=(480, 250), bend=0.0):
    """Return where a line `side` camera heights to the side is in `rows`."""
    return vp[0] + side * (rows - vp[1]) + bend / (rows - vp[1])


def render(sides, dashed=(), size=(540, 960), vp=(480, 250), bend=0.0, paint=(235, 235, 235), asphalt=95, noise=4, seed=0):
    """Return a drawn road: sky, asphalt and lines 0.11 camera heights wide; the gaps of `dashed` ones are twice the dashes."""
    height, width = size
    pixels = np.full((height, width, 3), asphalt, np.uint8)
    pixels[: vp[1]] = (150, 180, 220)
    for i, side in enumerate(sides):
        t = np.linspace(4, height - vp[1], 4000)
        rows = vp[1] + t
        if i in dashed:
            t = t[(400 / t) % 1.5 < 0.5]  # 1 / t grows with the distance
            rows = vp[1] + t
        left = columns(side - 0.055, rows, vp, bend)
        right = columns(side + 0.055, rows, vp, bend)
        for row, a, b in zip(rows.astype(int), left, right, strict=True):
            if 0 <= row < height and b > 0 and a < width:
                pixels[row, max(0, round(a)) : max(0, round(b))] = paint
    rng = np.random.default_rng(seed)
    return np.clip(pixels + rng.normal(0, noise, pixels.shape), 0, 255).astype(np.uint8)


def named(labels, position):
    return labels.shape[labels.attributes["position"].tolist().index(position)]


def off(line, side, vp=(480, 250), bend=0.0):
    """Return the greatest distance in pixels of a line from the truth."""
    return np.abs(line[:, 0] - columns(side, line[:, 1], vp, bend)).max()


def test_four_lines_are_found_where_they_are():
    labels = Lanes().predict([image(render([-3.3, -1.1, 1.2, 3.4], dashed=(1, 2)))])[0]
    assert labels.attributes["position"].tolist() == ["left", "ego_left", "ego_right", "right"]
    assert labels.attributes["marking"].tolist() == ["solid", "dashed", "dashed", "solid"]
    assert (labels.kind == Kind.POLYLINE).all()
    for line, side in zip(labels.shape, [-3.3, -1.1, 1.2, 3.4], strict=True):
        assert off(line, side) < 5
    assert (labels.score > 0.6).all()
    assert (labels.score <= 1).all()
    for line in labels.shape:
        assert (np.diff(line[:, 1]) < 0).all(), "from near to far"


def test_lines_reach_the_border_and_stay_inside():
    labels = Lanes().predict([image(render([-3.3, -1.1, 1.2, 3.4]))])[0]
    for line in labels.shape:
        assert (line >= 0).all()
        assert (line <= (960, 540)).all()
        assert line[0, 0] < 1 or line[0, 0] > 959 or line[0, 1] > 538
    SCHEMA.check(Lanes(SCHEMA).predict([image(render([-1.1, 1.2]))])[0], (540, 960))


@pytest.mark.parametrize("bend", [-2500, 2500])
def test_a_bend_is_followed(bend):
    labels = Lanes().predict([image(render([-1.2, 1.2], bend=bend))])[0]
    for position, side in (("ego_left", -1.2), ("ego_right", 1.2)):
        line = named(labels, position)
        near = line[line[:, 1] > 290]
        assert len(near) > 10
        assert off(near, side, bend=bend) < 8


@pytest.mark.parametrize("vp", [(400, 200), (560, 330)])
def test_the_vanishing_point_is_found(vp):
    labels = Lanes().predict([image(render([-1.2, 1.3], vp=vp))])[0]
    assert off(named(labels, "ego_left"), -1.2, vp) < 6
    assert off(named(labels, "ego_right"), 1.3, vp) < 6


def test_shadow_and_yellow_paint_on_light_concrete():
    pixels = render([-1.2, 1.2], asphalt=150, paint=(215, 180, 70)).astype(float)
    pixels[380:450] *= 0.35  # a bridge
    for row in range(260, 540):
        pixels[row, : max(0, 2 * row - 600)] *= 0.6  # an edge of shadow that runs across the lane
    labels = Lanes().predict([image(pixels.astype(np.uint8))])[0]
    assert labels.attributes["position"].tolist() == ["ego_left", "ego_right"]
    assert off(named(labels, "ego_left"), -1.2) < 8
    assert off(named(labels, "ego_right"), 1.2) < 8


def test_one_line_alone_is_labelled_with_little_confidence():
    labels = Lanes().predict([image(render([1.3]))])[0]
    assert labels.attributes["position"].tolist() == ["ego_right"]
    assert off(labels.shape[0][labels.shape[0][:, 1] > 300], 1.3) < 12
    assert labels.score[0] <= 0.5


def desk(seed=3):
    rng = np.random.default_rng(seed)
    pixels = np.full((540, 960, 3), (150, 110, 70), float)
    pixels += np.sin(np.arange(960) / 9)[None, :, None] * 6 + rng.normal(0, 6, (540, 960, 1))  # grain of wood
    picture = pixels.clip(0, 255).astype(np.uint8)
    for _ in range(14):
        x, y = rng.integers(0, 900), rng.integers(100, 500)
        shade = tuple(int(v) for v in rng.integers(20, 250, 3))
        cv2.rectangle(picture, (int(x), int(y)), (int(x) + 60, int(y) + 40), shade, -1)
        cv2.circle(picture, (int(rng.integers(0, 960)), int(rng.integers(100, 540))), 22, shade, 3)
    return picture


def test_nothing_is_found_where_there_is_no_road():
    rng = np.random.default_rng(0)
    pictures = [
        desk(),
        desk(4),
        np.zeros((540, 960, 3), np.uint8),
        np.full((540, 960, 3), 255, np.uint8),
        rng.integers(0, 256, (540, 960, 3), dtype=np.uint8),
        np.repeat(np.repeat(rng.integers(0, 256, (54, 96, 3), dtype=np.uint8), 10, 0), 10, 1),
        np.tile(np.arange(960, dtype=np.uint8)[None, :, None], (540, 1, 3)),
        render([]),
    ]
    assert [len(one) for one in Lanes().predict([image(p) for p in pictures])] == [0] * len(pictures)


@pytest.mark.parametrize("size", [(1, 1), (5, 2000), (2000, 5), (47, 47), (48, 64), (375, 1242), (700, 300), (2160, 3840)])
def test_any_size_is_taken(size):
    rng = np.random.default_rng(1)
    labels = Lanes(SCHEMA).predict([image(rng.integers(0, 256, (*size, 3), dtype=np.uint8))])[0]
    SCHEMA.check(labels, size)


def test_the_answer_scales_with_the_picture():
    small = render([-1.2, 1.3])
    large = cv2.resize(small, (1920, 1080), interpolation=cv2.INTER_CUBIC)
    a, b = Lanes().predict([image(small), image(large)])
    for position in ("ego_left", "ego_right"):
        line = named(b, position) / 2
        assert off(line, -1.2 if position == "ego_left" else 1.3) < 6
    assert len(a) == len(b)


def test_other_kinds_of_pixels():
    pixels = render([-1.2, 1.3])
    grey = pixels[:, :, :1]
    deep = pixels.astype(np.uint16) * 257
    real = pixels / 255.0
    four = np.concatenate([pixels, pixels[:, :, :1]], axis=2)
    bare = pixels[:, :, 0]
    for other in (grey, deep, real, four, bare):
        labels = Lanes().predict([image(other)])[0]
        assert labels.attributes["position"].tolist() == ["ego_left", "ego_right"]
    volume = Image(np.zeros((4, 64, 64), np.uint8), Item("v", "v"), volume=True)
    assert len(Lanes().predict([volume])[0]) == 0


def test_labels_do_not_depend_on_the_batch():
    pictures = [image(render([-1.2, 1.3], seed=1), "a"), image(desk(), "b"), image(render([-3.4, -1.1, 1.1], seed=2), "c")]
    together = Lanes().predict(pictures)
    alone = [Lanes().predict([one])[0] for one in pictures]
    assert together == alone
    assert Lanes().predict(pictures[::-1]) == together[::-1]


def test_the_schema_says_what_is_wanted():
    picture = image(render([-1.2, 1.3]))
    assert Lanes(SCHEMA).predict([picture])[0].class_id.tolist() == [1, 1]
    plain = Schema.from_config({"name": "plain", "kinds": ["polyline"], "classes": {"lane": {}}})
    assert Lanes(plain).predict([picture])[0].attributes == {}
    with pytest.raises(ConfigError, match="has no class 'line'"):
        Lanes(SCHEMA, class_name="line")


def test_given_and_calibrated_vanishing_points():
    pixels = render([-1.2, 1.3], vp=(600, 380))  # far from where a dashcam's is expected
    for model, frame in (
        (Lanes(vanishing_point=(0.625, 0.704)), None),
        (Lanes(), VideoFrame(intrinsics=((900.0, 0.0, 600.0), (0.0, 900.0, 380.0), (0.0, 0.0, 1.0)))),
    ):
        picture = image(pixels) if frame is None else image(pixels, frame=frame)
        labels = model.predict([picture])[0]
        assert off(named(labels, "ego_left"), -1.2, (600, 380)) < 8
        assert off(named(labels, "ego_right"), 1.3, (600, 380)) < 8


@pytest.mark.parametrize("wrong", [-14, 14])
def test_a_horizon_that_is_a_little_off_is_put_right(wrong):
    labels = Lanes(vanishing_point=(0.5, (250 + wrong) / 540)).predict([image(render([-3.3, -1.1, 1.2, 3.4]))])[0]
    assert len(labels) == 4
    for line, side in zip(labels.shape, [-3.3, -1.1, 1.2, 3.4], strict=True):
        assert off(line, side) < 4


def test_the_bonnet_is_left_out():
    pixels = render([-1.2, 1.3])
    pixels[460:] = 20
    cv2.line(pixels, (380, 539), (450, 462), (250, 250, 250), 9)  # something bright on the bonnet
    labels = Lanes(bottom=0.85).predict([image(pixels)])[0]
    assert labels.attributes["position"].tolist() == ["ego_left", "ego_right"]
    assert all(line[:, 1].max() <= 460 for line in labels.shape)
    assert off(named(labels, "ego_left"), -1.2) < 6


def test_hough_takes_over_where_markings_are_in_pieces():
    mask = np.zeros((540, 960), np.uint8)
    for row in range(280, 540, 8):
        for side in (-1.2, 1.3):
            x = round(columns(side, row))
            mask[row : row + 3, max(0, x - 3) : x + 4] = 255  # three rows each: too short for a segment
    marks = markings.cuts(mask)
    assert len(markings.segments(mask, marks).length) == 0
    lines = markings.hough(mask, marks)
    x, y = road.vanishing_point(lines, (540, 960), (480, 230))
    assert abs(x - 480) < 15
    assert abs(y - 250) < 15


@pytest.mark.parametrize(
    "bad",
    [
        {"threshold": 2},
        {"horizon": 0.05},
        {"horizon": 0.9, "bottom": 0.8},
        {"bottom": 1.2},
        {"vanishing_point": [0.5]},
        {"vanishing_point": [0.5, 1.5]},
        {"lane_width": [3, 2]},
        {"working_width": 10},
    ],
)
def test_settings_are_checked(bad):
    with pytest.raises(ConfigError, match="lanes"):
        Lanes(**bad)


def test_the_yaml_holds_the_defaults():
    conf = OmegaConf.to_container(OmegaConf.load(Path(hyla_driving.__file__).parent / "conf" / "model" / "lanes.yaml"))
    assert conf.pop("_target_") == "hyla_driving.lanes.Lanes"
    defaults = {name: p.default for name, p in inspect.signature(Lanes.__init__).parameters.items()}
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in conf.items()} == {k: defaults[k] for k in conf}


# --- real frames

# columns of the two ego lines in rows 350 and 480 of 540, read off the pictures drawn and looked at
UDACITY = {
    "solidWhiteCurve": ((428, 264), (554, 784)),
    "solidWhiteRight": ((421, 235), (548, 751)),
    "solidYellowCurve": ((426, 248), (543, 739)),
    "solidYellowCurve2": ((426, 255), (548, 764)),
    "solidYellowLeft": ((418, 235), (550, 755)),
    "whiteCarLaneSwitch": ((435, 266), (550, 774)),
}


def read(path):
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


@pytest.mark.parametrize("name", UDACITY)
def test_both_ego_lines_of_the_udacity_stills(shared, name):
    labels = Lanes().predict([image(read(shared / "data/driving/udacity_lanes" / f"{name}.jpg"))])[0]
    for position, expected in zip(("ego_left", "ego_right"), UDACITY[name], strict=True):
        line = named(labels, position)[::-1]
        assert np.allclose(np.interp([350, 480], line[:, 1], line[:, 0]), expected, atol=12)
    assert labels.attributes["marking"][labels.attributes["position"].tolist().index("ego_right")] == (
        "solid" if "White" in name else "dashed"
    )


def test_precision_and_recall_on_tusimple(shared, monkeypatch):
    spec = importlib.util.spec_from_file_location("bench_lanes", Path(__file__).parents[2] / "benchmarks" / "lanes.py")
    bench = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "bench_lanes", bench)
    spec.loader.exec_module(bench)
    figures = bench.measure(Lanes(), shared / "data/driving/tusimple_lanes")
    assert figures.n == 4
    assert figures.precision_near > 0.9
    assert figures.recall_near > 0.8
    assert figures.found >= 11


def test_pictures_without_a_road_rarely_get_a_line(shared):
    paths = sorted((shared / "data/coco").rglob("*.jpg"))
    assert len(paths) > 100
    model = Lanes()
    labelled = sum(len(model.predict([image(read(path))])[0]) > 0 for path in paths)
    assert labelled <= 0.06 * len(paths)
