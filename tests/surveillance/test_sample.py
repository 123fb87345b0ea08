"""The drawn sample is what its truth says, and reads back under the ids of the loader."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hyla.codec import record_from_dict
from hyla.errors import ConfigError
from hyla_surveillance import sample
from hyla_surveillance.camera_file import open_cameras
from hyla_surveillance.events import EVENTS, foot, from_labels
from hyla_surveillance.loaders import Recordings
from hyla_surveillance.sample_scene import Actor, Scene, ground, project
from surveillance_kit import SCHEMA


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    to = tmp_path_factory.mktemp("sample")
    return sample.write(to, seconds=2), to


def truth(to):
    return [record_from_dict(json.loads(line), SCHEMA) for line in (to / "truth.jsonl").read_text().splitlines()]


def test_truth_stands_under_the_ids_and_frames_of_the_loader(written):
    source, to = written
    loader = Recordings()
    records = truth(to)
    assert [record.item for record in records] == list(loader.items(str(source)))
    assert len(records) == 3 * 16
    for record in records:
        image = loader.load(record.item)
        assert image.size == record.size == (480, 640)
        assert image.frame.seconds == pytest.approx(record.frame.seconds)
        SCHEMA.check(record.labels, record.size)


def test_cameras_have_zones_metres_and_the_moment_at_which_clocks_go_forward(written):
    cameras = open_cameras("auto", str(written[0]))
    assert cameras.names == ("gate", "store", "yard")
    gate, yard = cameras.of("gate"), cameras.of("yard")
    assert gate.to_ground(ground([[2.0, 11.0]]))[0] == pytest.approx([2.0, 11.0], abs=0.02)
    assert [zone.purpose for zone in gate.zones] == ["restricted", "one_way"]
    (depot,) = yard.zones
    for seconds in (0, 20):  # 1:59:50 and 3:00:10 on the clock on the wall
        assert yard.in_force(depot.schedule, yard.start.timestamp() + seconds)
    assert not yard.in_force(depot.schedule, yard.start.timestamp() + 4 * 3600)


def test_the_same_seed_gives_the_same_files_and_another_does_not(written, tmp_path):
    source, to = written
    again = sample.write(tmp_path / "again", seconds=2)
    for name in ("gate.mp4", "yard.mp4", "cameras/gate.yaml"):
        assert (again / name).read_bytes() == (source / name).read_bytes(), name
    assert (again.parent / "truth.jsonl").read_text() == (to / "truth.jsonl").read_text()
    other = sample.write(tmp_path / "other", seconds=0.25, seed=1)
    assert (other / "gate.mp4").read_bytes() != (source / "gate.mp4").read_bytes()


def test_a_place_that_cant_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the sample can't be written to"):
        sample.write(tmp_path / "file", seconds=0.25)


@pytest.mark.parametrize("actor", [a for a in sample.GATE.cast if a.name != "car"], ids=lambda a: f"{a.name}-{a.track}")
def test_a_box_holds_all_that_is_drawn_of_somebody_and_stands_where_they_do(actor):
    seconds = (actor.path[0][0] + actor.path[-1][0]) / 2
    place = actor.at(seconds)
    scene = Scene(0)
    empty, _ = scene.shoot((), seconds, 5, "")
    full, seen = scene.shoot((actor,), seconds, 5, "")
    box, share = seen[actor.track]
    assert share == 1.0
    drawn = np.abs(full.astype(int) - empty).max(axis=2) > 40
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    assert columns[0] >= box[0] - 1  # its shadow falls to the right
    assert rows[0] >= box[1] - 1
    if not actor.lying(seconds):
        assert np.abs(foot(box[None])[0] - ground(place)[0]).max() < 14
        top = project([[place[0], place[1], actor.tall if actor.name == "person" else 0.46]])[0][0, 1]
        assert abs(box[1] - top) < 6


def test_who_is_half_out_of_the_picture_or_behind_another_is_less_visible():
    scene = Scene(0)
    near, far = (Actor(n, "person", [(0, 0, y), (1, 0, y)]) for n, y in ((1, 10), (2, 11)))
    _, seen = scene.shoot((near, far), 0.5, 0, "")
    assert seen[1][1] == 1.0
    assert seen[2][1] < 0.6
    edge = Actor(3, "person", [(0, -6.0, 10), (1, -6.0, 10)])
    _, seen = scene.shoot((edge,), 0.5, 0, "")
    assert 0 < seen[3][1] <= 1.0
    assert seen[3][0][0] >= 0


def test_every_event_of_the_sample_is_one_of_the_plugin_and_names_who_takes_part():
    for shot in sample.SHOTS:
        tracks = {actor.track for actor in shot.cast}
        for event, sure in shot.events:
            assert event.name in EVENTS
            assert set(event.participants) <= tracks
            assert event.start <= sure < event.end <= shot.seconds
    assert {e.name for e, _ in sample.GATE.events} == set(EVENTS) - {"crowding"}


def test_an_event_is_told_from_when_it_is_sure_until_it_ends():
    scene = Scene(0)
    labels = {t: sample.shoot(scene, sample.GATE, SCHEMA, int(t * 8))[1] for t in (42.0, 43.0, 71.0, 72.0)}
    told = {t: [e for e in from_labels(one, SCHEMA) if e.name == "loitering"] for t, one in labels.items()}
    assert [len(told[t]) for t in (42.0, 43.0, 71.0, 72.0)] == [0, 1, 1, 0]
    assert told[71.0][0].end == 71.0
