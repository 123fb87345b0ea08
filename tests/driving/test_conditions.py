"""Conditions are what pixels can tell, overruled by what a person wrote beside them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from hyla.errors import BadItem, ConfigError
from hyla.images import read_image
from hyla.schema import Schema
from hyla.types import Labels
from hyla_driving import conditions
from hyla_driving.conditions import CHOICES, Conditions, Sidecars

PRESET = Path(conditions.__file__).parent / "conf" / "preset" / "driving.yaml"


def scene(sky, road, size=(360, 640), contrast=20):
    pixels = np.full((*size, 3), road, np.float64)
    pixels[: size[0] // 3] = sky
    pixels += np.random.default_rng(0).normal(0, contrast, (*size, 1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("sky", "road", "expected"),
    [(160, 100, "day"), (60, 65, "dusk"), (20, 30, "night"), (140, 30, "day"), (100, 20, "night"), (100, 45, "dusk")],
)
def test_time_of_day_follows_luma_and_sky(sky, road, expected):
    said = Conditions().estimate(scene(sky, road, contrast=1))
    assert said["timeofday"] == expected
    assert said["luma"] == pytest.approx(sky / 3 + road * 2 / 3, abs=1)


def test_luma_is_that_of_bt601():
    pixels = np.zeros((30, 30, 3), np.uint8)
    pixels[:] = (200, 100, 50)
    assert Conditions().estimate(pixels)["luma"] == pytest.approx(0.299 * 200 + 0.587 * 100 + 0.114 * 50, abs=0.6)


def test_blur_is_seen_whatever_the_exposure():
    sharp = scene(140, 90)
    soft = cv2.GaussianBlur(sharp, (0, 0), 4)
    for pixels, blurred in ((sharp, False), (sharp // 3, False), (soft, True), (soft // 3, True)):
        assert Conditions().estimate(pixels)["blur"] is blurred
    flat = Conditions().estimate(np.full((64, 64, 3), 90, np.uint8))
    assert (flat["blur"], flat["sharpness"]) == (True, 0.0)


def test_glare_is_light_below_the_sky():
    pixels = scene(140, 90)
    assert Conditions().estimate(pixels)["glare"] is False
    pixels[:110] = 255
    assert Conditions().estimate(pixels)["glare"] is False
    pixels[200:280, 100:220] = 255
    assert Conditions().estimate(pixels)["glare"] is True


def test_thresholds_are_settings():
    pixels = scene(60, 65, contrast=1)
    assert Conditions(dusk=60).estimate(pixels)["timeofday"] == "day"
    assert Conditions(night=70).estimate(pixels)["timeofday"] == "night"
    assert Conditions(sky=50).estimate(pixels)["timeofday"] == "day"
    assert Conditions(blown=60, glare=0.1).estimate(pixels)["glare"] is True


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (37, 41), (2160, 3840)])
def test_any_size_is_judged(size):
    said = Conditions().estimate(scene(140, 90, size))
    assert said["luma"] > 70
    assert isinstance(said["blur"], bool)


def test_what_is_estimated_fits_the_schema_of_the_preset():
    schema = Schema.from_config(yaml.safe_load(PRESET.read_text())["schema"])
    schema.check(Labels.empty(Conditions().estimate(scene(140, 90))))
    declared = schema.attributes_of("image")
    for key, choices in CHOICES.items():
        assert set(choices) <= set(declared[key].choices)


def test_real_day_pictures_are_day_sharp_and_free_of_glare(shared):
    driving = shared / "data" / "driving"
    patterns = ("udacity_lanes/*.jpg", "tusimple_lanes/image/*", "tusimple_unlabelled/*.jpg", "kitti/*.png")
    paths = [path for pattern in patterns for path in sorted(driving.glob(pattern))]
    assert len(paths) == 15
    for path in paths:
        pixels = read_image(path)
        said = Conditions().estimate(pixels)
        assert (said["timeofday"], said["glare"], said["blur"]) == ("day", False, False), path.name
        assert Conditions().estimate(cv2.GaussianBlur(pixels, (0, 0), 2.5))["blur"] is True, path.name
        assert Conditions().estimate(pixels // 3)["timeofday"] == "night", path.name


def test_a_table_beside_the_pictures_speaks_by_file_pattern_and_time(tmp_path):
    (tmp_path / "conditions.csv").write_text(
        "file,start,stop,timeofday,weather,road\n"
        "a.mp4,,,day,clear,highway\n"
        "a.mp4,2,4.5,,rain,\n"
        "night/*.jpg,,,night,,\n"
    )  # fmt: skip
    said = Sidecars(tmp_path)
    assert said.of("a.mp4", 1.99) == {"timeofday": "day", "weather": "clear", "road": "highway"}
    assert said.of("a.mp4", 2.0)["weather"] == "rain"
    assert said.of("a.mp4", 4.5)["weather"] == "clear"
    assert said.of("night/1.jpg") == {"timeofday": "night"}
    assert said.of("b.mp4", 1) == {}


def test_a_json_beside_a_clip_wins_over_the_table(tmp_path):
    (tmp_path / "conditions.csv").write_text("file,weather\na.mp4,clear\n")
    (tmp_path / "a.json").write_text(json.dumps({"timeofday": "dusk", "ranges": [{"start": 1, "weather": "fog"}]}))
    said = Sidecars(tmp_path)
    assert said.of("a.mp4", 0.5) == {"timeofday": "dusk", "weather": "clear"}
    assert said.of("a.mp4", 1.0) == {"timeofday": "dusk", "weather": "fog"}


@pytest.mark.parametrize("content", [b'{"shapes": []}', b"[1, 2]", b'{"frames": [{"weather": "odd"}]}', b"{", b"", b"\xff\xfe"])
def test_a_json_of_something_else_is_left_alone(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    assert Sidecars(tmp_path).of("a.jpg") == {}


def test_a_large_json_is_left_alone(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"weather": "rain", "labels": "x" * (1 << 20)}))
    assert Sidecars(tmp_path).of("a.jpg") == {}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("file,wether\na,rain\n", "unknown column 'wether'"),
        ("start,stop\n1,2\n", "no column 'file'"),
        ("file,weather\na,sunny\n", "line 2: weather is 'sunny'"),
        ("file,start\na,soon\n", "line 2: start or stop is no number"),
        ("file,start,stop\na,3,2\n", "line 2: start=3.0 and stop=2.0 span no time"),
    ],
)
def test_a_wrong_table_is_refused_before_work_starts(tmp_path, table, message):
    (tmp_path / "conditions.csv").write_text(table)
    with pytest.raises(ConfigError, match=message):
        Sidecars(tmp_path)


def test_a_table_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "conditions.csv").write_bytes(b"file,weather\ncaf\xe9.jpg,rain\n")
    with pytest.raises(ConfigError, match="can't be read"):
        Sidecars(tmp_path)


@pytest.mark.parametrize("said", [{"weather": "sunny"}, {"ranges": 3}, {"ranges": [{"start": 2, "stop": 1}]}, {"ranges": ["x"]}])
def test_a_wrong_json_costs_its_own_pictures_only(tmp_path, said):
    (tmp_path / "a.json").write_text(json.dumps(said))
    sidecars = Sidecars(tmp_path)
    with pytest.raises(BadItem, match=r"a\.json"):
        sidecars.of("a.jpg")
    assert sidecars.of("b.jpg") == {}
