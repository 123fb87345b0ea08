"""The drawn clips: behaviour tells what is acted in them, and nothing else, from true boxes and from tracked ones."""

from __future__ import annotations

import numpy as np
import pytest

from hyla.frame import VideoFrame
from hyla.tracking import Tracker
from hyla.types import NO_TRACK, Image, Item, Kind, Labels
from hyla_surveillance import sample
from hyla_surveillance.behaviour import Behaviour
from hyla_surveillance.camera import Cameras
from hyla_surveillance.camera_file import camera_of
from hyla_surveillance.events import Event, joined
from hyla_surveillance.sample_scene import HEIGHT, WIDTH, Scene

SCHEMA = sample.preset_schema()
SLACK = 6.0  # seconds by which the beginning may differ: who walks up to a place is near it before standing there


@pytest.fixture(scope="module")
def shown() -> dict[str, list[Labels]]:
    """Return the true boxes of each clip, frame by frame."""
    found = {}
    for number, shot in enumerate(sample.SHOTS):
        scene = Scene(number, shot.infrared, [corners for _, corners, _ in shot.zones])
        frames = [sample.shoot(scene, shot, SCHEMA, n)[1] for n in range(round(shot.seconds * sample.FPS))]
        found[shot.name] = [labels[labels.kind != Kind.TAG] for labels in frames]
    return found


def told(shot: sample.Shot, frames: list[Labels], tracked: bool) -> list[Event]:
    """Return what behaviour tells; of boxes that were found with noise, missed now and then, and tracked, if `tracked`."""
    behaviour = Behaviour(SCHEMA)
    behaviour.cameras = Cameras([camera_of(sample.settings(shot), "sample")])
    tracker, chance, whole = Tracker("bytetrack", SCHEMA, lost=2.0), np.random.default_rng(0), {}
    for index, labels in enumerate(frames):
        seconds = index / sample.FPS
        meta = {"camera": shot.name, "utc": shot.start.timestamp() + seconds}
        item = Item(f"{shot.name}-{index}", shot.name, shot.name, index, "video_frame", meta)
        if tracked:
            labels = labels[chance.random(len(labels)) > 0.1]
            labels.box = labels.box + chance.normal(0, 1, labels.box.shape)
            labels.track[:] = NO_TRACK
            labels = tracker.update(item, labels, Image(np.zeros((1, 1, 3), np.uint8), item, VideoFrame(seconds, index)))
        for one in behaviour.update(item, labels, seconds, (HEIGHT, WIDTH)):
            whole[one.track] = joined(whole[one.track], one) if one.track in whole else one
    return list(whole.values())


@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("shot", sample.SHOTS, ids=lambda shot: shot.name)
def test_what_is_acted_is_told_and_nothing_else(shot: sample.Shot, tracked: bool, shown: dict[str, list[Labels]]) -> None:
    events = told(shot, shown[shot.name], tracked)
    true = [event for event, _ in shot.events]
    assert sorted((e.name, e.place, e.direction) for e in events) == sorted((e.name, e.place, e.direction) for e in true)
    for one in true:
        same = [e for e in events if (e.name, e.place, e.direction) == (one.name, one.place, one.direction)]
        found = min(same, key=lambda e: abs(e.start - one.start))
        assert found.start == pytest.approx(one.start, abs=SLACK)
        assert found.end == pytest.approx(one.end, abs=SLACK)
        if not tracked:
            assert set(found.participants) == set(one.participants)
