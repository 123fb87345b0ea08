"""The rendered sample is what its truth says, to the pixel, and reads back under the ids of the loader."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from hyla.codec import record_from_dict
from hyla.errors import ConfigError
from hyla.types import Kind
from hyla_driving import sample
from hyla_driving.conditions import Conditions
from hyla_driving.layouts import Recording
from hyla_driving.sample_actors import Actor
from hyla_driving.sample_scene import DAY, DUSK, LINES, NIGHT, Camera, Road, World
from hyla_driving.sample_solids import PARTS, WHEELS, cut, solid


@pytest.fixture(scope="module")
def world():
    return World(0)


@pytest.fixture(scope="module")
def schema():
    return sample.preset_schema()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    to = tmp_path_factory.mktemp("sample")
    return sample.write(to, frames=8), to


def truth(to, schema):
    return [record_from_dict(json.loads(line), schema) for line in (to / "truth.jsonl").read_text().splitlines()]


def test_truth_stands_under_the_ids_and_frames_of_the_loader(written, schema):
    source, to = written
    loader = Recording(conditions=Conditions())
    items = list(loader.items(str(source)))
    records = truth(to, schema)
    assert [record.item for record in records] == items
    assert len(items) == 8 + len(sample.STILLS)
    for record in records:
        image = loader.load(record.item)
        assert image.frame == record.frame
        assert image.size == record.size == (540, 960)
        schema.check(record.labels, record.size)
        assert {k: image.context[k] for k in record.labels.context} == record.labels.context


def test_the_clip_goes_from_day_over_dusk_to_a_night_in_rain(written, schema):
    clip = [record.labels.context for record in truth(written[1], schema) if record.item.group]
    assert [c["timeofday"] for c in clip] == ["day"] * 4 + ["dusk"] * 2 + ["night"] * 2
    assert [c["weather"] for c in clip] == ["clear"] * 6 + ["rain"] * 2


def test_the_same_seed_gives_the_same_files_and_another_does_not(written, tmp_path):
    source, to = written
    again = sample.write(tmp_path / "again", frames=8)
    for name in ("road.mp4", "still-1.jpg", "road.json", "conditions.csv"):
        assert (again / name).read_bytes() == (source / name).read_bytes(), name
    assert (again.parent / "truth.jsonl").read_text() == (to / "truth.jsonl").read_text()
    other = sample.write(tmp_path / "other", frames=1, seed=1)
    assert (other / "still-1.jpg").read_bytes() != (source / "still-1.jpg").read_bytes()


def test_writing_again_replaces_and_a_place_that_cant_be_written_is_named(tmp_path):
    assert sample.write(tmp_path, frames=1) == sample.write(tmp_path, frames=1) == tmp_path / "road"
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the sample can't be written to"):
        sample.write(tmp_path / "file", frames=1)


def alone(monkeypatch, world, schema, actor, seconds, light=DAY):
    """Return the truth of a road with one actor, and which pixels he changes (his shadow and lamps left out)."""
    monkeypatch.setattr("hyla_driving.sample_actors.shadow", lambda *_: None)
    monkeypatch.setattr(sample, "CAST", ())
    empty, _ = sample.shoot(world, schema, seconds, light, 7)
    monkeypatch.setattr(sample, "CAST", (actor,))
    full, labels = sample.shoot(world, schema, seconds, light, 7)
    return labels[labels.kind == Kind.BOX], np.abs(full.astype(int) - empty).max(axis=2) > 12


def bounds(mask):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize(
    "actor",
    [
        Actor(1, "car", -3.5, 18, facing=-1, color="red"),
        Actor(2, "car", 0.0, 12, color="white"),
        Actor(3, "van", 3.5, 25, color="blue"),
        Actor(4, "truck", 3.5, 22, color="green"),
        Actor(5, "bus", -3.5, 40, facing=-1, color="red"),
        Actor(6, "person", 1.0, 14, color="red"),
        Actor(7, "traffic_sign", 5.0, 16),
    ],
    ids=lambda actor: actor.kind,
)
def test_a_box_bounds_the_pixels_of_its_thing(monkeypatch, world, schema, actor):
    labels, changed = alone(monkeypatch, world, schema, actor, 0.0)
    assert [schema.names[i] for i in labels.class_id] == [actor.kind]
    assert labels.track.tolist() == [actor.number]
    edges = slice(3) if actor.kind == "traffic_sign" else slice(4)  # the post of a sign is no part of its box
    assert np.abs(bounds(changed) - labels.box[0])[edges].max() <= 2.1
    assert labels.attributes["truncated"][0] == pytest.approx(0, abs=0.01)
    assert labels.attributes["occluded"][0] == 0
    assert labels.attributes["depth_m"][0] == pytest.approx(actor.station)


def test_a_rider_is_a_rider_and_a_bicycle(monkeypatch, world, schema):
    labels, changed = alone(monkeypatch, world, schema, Actor(8, "rider", 0.0, 15, color="blue"), 0.0)
    assert [schema.names[i] for i in labels.class_id] == ["bicycle", "rider"]
    assert labels.track.tolist() == [108, 8]
    whole = np.concatenate([labels.box[:, :2].min(axis=0), labels.box[:, 2:].max(axis=0)])
    assert np.abs(bounds(changed) - whole).max() <= 2.1


def test_what_leaves_the_picture_is_cut_off_at_its_edge(monkeypatch, world, schema):
    labels, changed = alone(monkeypatch, world, schema, Actor(1, "truck", 3.5, 8, color="green"), 0.0)
    box = labels.box[0]
    assert box[2] == 960.0
    assert box[1] == 0.0
    assert np.abs(bounds(changed) - box).max() <= 2.1
    assert 0.2 < labels.attributes["truncated"][0] < 1


def test_who_is_behind_another_is_occluded_or_no_label(monkeypatch, world, schema):
    monkeypatch.setattr(sample, "CAST", (Actor(1, "car", 0.0, 40), Actor(2, "truck", 0.0, 20), Actor(3, "car", 3.8, 45)))
    _, labels = sample.shoot(world, schema, 0.0, DAY, 0)
    found = dict(zip(labels.track.tolist(), labels.attributes["occluded"].tolist(), strict=True))
    assert 1 not in found
    assert found[2] == 0
    assert found[3] == 2


def test_who_is_behind_us_is_no_label(monkeypatch, world, schema):
    monkeypatch.setattr(sample, "CAST", (Actor(1, "car", -3.5, -9.0), Actor(2, "person", 2.0, 1.0), Actor(3, "bus", -3.5, 300.0)))
    _, labels = sample.shoot(world, schema, 0.0, DAY, 0)
    assert set(labels.kind.tolist()) == {Kind.POLYLINE}


def test_lanes_lie_on_the_painted_lines(monkeypatch, world, schema):
    monkeypatch.setattr(sample, "CAST", ())
    pixels, labels = sample.shoot(world, schema, 1.3, DAY, 0)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(float)
    assert labels.attributes["position"].tolist() == ["left", "ego_left", "ego_right", "right"]
    assert labels.attributes["marking"].tolist() == ["solid", "dashed", "dashed", "solid"]
    assert labels.attributes["color"].tolist() == ["white", "yellow", "white", "white"]
    for shape, (_, marking, _) in zip(labels.shape, LINES, strict=True):
        assert len(shape) >= 10
        assert (np.diff(shape[:, 1]) < 0).all()  # from near to far
        if marking == "solid":
            near = shape[(shape[:, 1] > 250) & (shape[:, 0] > 30) & (shape[:, 0] < 930)]
            for x, y in near:
                here = grey[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].max()
                side = grey[int(y), int(x) + (25 if x < 480 else -25)]
                assert here > side + 20, (x, y)


def test_tracks_move_as_their_actors_do(monkeypatch, world, schema):
    cast = (Actor(1, "car", 0.0, 20, speed=sample.EGO_SPEED), Actor(2, "car", -3.5, 40, speed=-10, facing=-1))
    monkeypatch.setattr(sample, "CAST", cast)
    first, later = (sample.shoot(world, schema, seconds, DAY, 0)[1] for seconds in (0.0, 0.5))
    before, after = (dict(zip(found.track.tolist(), found.height.tolist(), strict=True)) for found in (first, later))
    assert after[1] == pytest.approx(before[1], rel=0.02)
    assert after[2] / before[2] == pytest.approx(40 / 31, rel=0.1)


@pytest.mark.parametrize("light", [DAY, DUSK, NIGHT], ids=lambda light: light.timeofday)
def test_the_light_is_seen_as_what_it_is(world, schema, light):
    for seconds in (0.0, 2.0, 4.0):
        pixels, labels = sample.shoot(world, schema, seconds, light, 0)
        assert Conditions().estimate(pixels)["timeofday"] == light.timeofday == labels.context["timeofday"]


def test_the_camera_is_a_pinhole():
    camera = Camera()
    points = np.array([[1.0, 0.0, 10.0], [-2.0, 1.4, 20.0]])
    k = np.array(camera.matrix)
    flat = (k @ (points * (1, -1, 1) + (0, camera.above, 0)).T).T
    assert camera.project(points) == pytest.approx(flat[:, :2] / flat[:, 2:])


def test_the_road_bends_from_where_we_are():
    road = Road()
    assert road.shift(37.0, 0.0) == pytest.approx(0)
    step = 1e-4
    assert road.shift(37.0, step) / step == pytest.approx(0, abs=1e-5)
    assert abs(float(road.shift(0.0, 80.0))) > 0.5


@pytest.mark.parametrize("kind", sorted(WHEELS))
def test_solids_are_closed_and_symmetric(kind):
    model = solid(kind)
    assert np.linalg.norm(model.normals, axis=1) == pytest.approx(1)
    points = np.concatenate([face.points for face in model.faces])
    assert points[:, 2].min() == pytest.approx(0, abs=1e-9)
    assert points[:, 1].min() == pytest.approx(-points[:, 1].max())
    for parts in PARTS.get(kind, (kind,)):
        assert parts


def test_polygons_are_cut_off_before_the_camera():
    square = np.array([[0, 0, -1.0], [0, 0, 3.0], [2, 0, 3.0], [2, 0, -1.0]])
    part = cut(square)
    assert part[:, 2].min() == pytest.approx(0.8)
    assert part[:, 2].max() == 3.0
    assert len(part) == 4
    assert len(cut(square - (0, 0, 9))) == 0
