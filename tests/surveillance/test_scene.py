"""What a frame shows as a whole: light, night mode, shifts, covers, hours."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from hyla.types import Image, Item
from hyla_surveillance.scene import Scene
from street_kit import FPS, film, ground, person
from surveillance_kit import SCHEMA

NAMES = {"luma", "infrared", "sharpness", "timeofday", "changed", "shift"}


def told(draw, seconds):
    scene = Scene()
    return [scene.update(one.item, one) for one in film(draw, seconds)]


def test_every_value_is_an_attribute_of_the_image():
    values = told(lambda p, s: person(p, 40 * s), 2)[-1]
    assert set(values) == NAMES
    assert values.keys() <= SCHEMA.attributes_of("image").keys()
    assert values["changed"] < 0.1
    assert values["shift"] == 0
    assert 100 < values["luma"] < 160
    assert values["timeofday"] == "day"
    assert not values["infrared"]


def test_a_bump_is_told_in_pixels_and_ends_with_it():
    values = told(lambda p, s: np.roll(p, (4, 9), (0, 1)) if 3 <= s < 4 else None, 6)
    bumped = [one["shift"] for one in values[3 * FPS : 4 * FPS]]
    assert bumped == pytest.approx([np.hypot(4, 9)] * len(bumped), abs=1.5)
    assert max(one["shift"] for one in values[: 3 * FPS] + values[4 * FPS :]) < 1


def test_a_camera_that_is_turned_learns_its_new_view_after_a_while():
    blocks = np.random.default_rng(3).integers(0, 255, (30, 40, 1)).astype(np.uint8)
    other = np.repeat(blocks.repeat(8, axis=0).repeat(8, axis=1), 3, axis=2)
    values = told(lambda p, s: other if s >= 3 else None, 40)
    assert min(one["changed"] for one in values[3 * FPS : 30 * FPS]) > 0.6
    assert values[-1]["changed"] < 0.05
    assert values[-1]["shift"] == 0


def test_a_covered_camera_is_dark_and_unlike_what_it_was():
    values = told(lambda p, s: np.full_like(p, 6) if s >= 3 else None, 5)[-1]
    assert values["luma"] < 20
    assert values["changed"] > 0.6
    assert values["sharpness"] < 50
    assert values["timeofday"] == "night"


def test_a_lamp_that_is_switched_on_is_no_other_view():
    values = told(lambda p, s: (p * 0.7).astype(np.uint8) if s >= 3 else None, 4)
    assert max(one["changed"] for one in values) < 0.05


def test_night_mode_is_infrared():
    values = told(lambda p, s: np.repeat(p.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8), 0.125)
    grey = Image(ground()[:, :, :1], Item("a", "a.png"))
    alone = Scene().update(grey.item, grey)
    assert alone["infrared"]
    assert alone["timeofday"] == "night"
    assert alone.keys() == NAMES - {"changed", "shift"}, "a picture by itself has nothing to be compared with"
    assert set(values[0]) == NAMES


@pytest.mark.parametrize(
    ("moment", "zone", "expected"),
    [
        ("2026-06-01T10:00:00", "Europe/Berlin", "day"),
        ("2026-06-01T23:30:00", "Europe/Berlin", "night"),
        ("2026-06-01T17:30:00", "Europe/Berlin", "dusk"),
        ("2026-06-01T17:30:00", "America/New_York", "day"),
        ("2026-03-29T01:00:00", "Europe/Berlin", "night"),
    ],
)
def test_the_clock_of_the_camera_goes_before_the_light(tmp_path, moment, zone, expected):
    (tmp_path / "gate.yaml").write_text(f"camera: gate\ntimezone: {zone}\n")
    utc = datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()
    image = Image(ground(), Item("a", "a", "c", 0, meta={"camera": "gate", "utc": utc}))
    assert Scene(str(tmp_path / "gate.yaml")).update(image.item, image)["timeofday"] == expected
    assert Scene().update(image.item, image)["timeofday"] == "day", "without the camera's time zone only light can tell"
    never = Image(ground(), Item("a", "a", "c", 0, meta={"camera": "gate", "utc": 1e18}))
    assert Scene(str(tmp_path / "gate.yaml")).update(never.item, never)["timeofday"] == "day"


def test_a_replay_and_a_forgotten_clip_say_the_same():
    scene, images = Scene(), film(lambda p, s: person(p, 40 * s), 3)
    first = [scene.update(one.item, one) for one in images]
    assert [scene.update(one.item, one) for one in images] == first
    scene.forget("c")
    assert scene._usual == {}


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (33, 47, 4), (600, 1, 3), (1, 900, 1), (135, 240, 3)])
def test_every_picture_is_taken(shape):
    scene = Scene()
    rng = np.random.default_rng(0)
    for i, dtype in enumerate(("uint8", "uint16", "float32")):
        image = Image((rng.random(shape) * (1 if dtype == "float32" else 200)).astype(dtype), Item(f"{i}", "a", "g", i))
        values = scene.update(image.item, image)
        assert all(v == v for v in values.values())
