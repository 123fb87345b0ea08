"""The rules about tracks and time: each fires on a made clip, keeps quiet on its opposite, and holds at its limit."""

from __future__ import annotations

import pytest

from hyla.types import Labels
from surveillance_kit import boxes, clip, rule

GROUND = """
camera: gate
size: [480, 640]
ground: {image: [[0, 480], [640, 480], [640, 0], [0, 0]], metres: [[0, 0], [12.8, 0], [12.8, 9.6], [0, 9.6]]}
"""  # 50 pixels to the metre, seen from straight above


def walk(*places, track=1, name="person", height=85):
    """Return frames with somebody whose foot is at these x."""
    return [boxes((name, track, x - 10, 300 - height, x + 10, 300)) for x in places]


def reasons(of, records):
    return [(item_id, flag.reason, flag.rows) for item_id, flag in of.check_group(records)]


@pytest.fixture
def cameras(tmp_path):
    (tmp_path / "cameras").mkdir()
    (tmp_path / "cameras/gate.yaml").write_text(GROUND)
    return {"cameras": "auto", "source": str(tmp_path)}


@pytest.mark.parametrize(("pixels", "fires"), [(74, False), (76, True)])
def test_nobody_moves_at_more_than_12_metres_per_second(cameras, pixels, fires):
    found = reasons(rule("teleport", **cameras), clip(*walk(100, 100 + pixels)))  # 75 px in 1/8 s are 12 m/s
    assert found == [("gate-0001", "teleport", (0,))] * fires


@pytest.mark.parametrize(("pixels", "fires"), [(74, False), (76, True)])
def test_without_a_ground_plane_a_persons_height_is_the_measure(pixels, fires):
    assert bool(reasons(rule("teleport"), clip(*walk(100, 100 + pixels)))) is fires  # 85 px are 1.7 m


def test_a_box_that_breathes_does_not_jump(cameras):
    assert reasons(rule("teleport", **cameras), clip(*walk(100, 111), seconds=[0.0, 0.001])) == []


def test_cars_are_not_measured_by_people(cameras):
    assert reasons(rule("teleport", **cameras), clip(*walk(100, 400, name="car"))) == []


@pytest.mark.parametrize(("gap", "distance", "fires"), [(2.0, 80, True), (2.1, 80, False), (1.0, 90, False), (0.125, 5, True)])
def test_a_track_that_begins_where_another_ended_may_be_the_same_person(gap, distance, fires):
    frames = [*walk(100, 100), *walk(100 + distance, 100 + distance, track=2)]
    found = reasons(rule("identity_switch"), clip(*frames, seconds=[0, 0.125, 0.125 + gap, 0.25 + gap]))
    assert found == [("gate-0002", "identity_switch", (0,))] * fires


def test_who_is_still_there_was_not_switched():
    both = [Labels.concat([*walk(100), *walk(130, track=2)])]
    assert reasons(rule("identity_switch"), clip(*walk(100, 100), *both)) == []


def test_two_who_cross_may_change_places_and_are_told_once():
    apart, close = (Labels.concat([*walk(100), *walk(100 + d, track=2)]) for d in (60, 4))
    found = reasons(rule("identity_switch"), clip(apart, close, close, apart, close))
    assert found == [("gate-0001", "tracks_cross", (0, 1)), ("gate-0004", "tracks_cross", (0, 1))]


@pytest.mark.parametrize(("gap", "fires"), [(1.0, False), (1.1, True)])
def test_who_comes_back_after_a_long_absence_may_be_somebody_else(gap, fires):
    found = reasons(rule("long_occlusion"), clip(*walk(100, 100), seconds=[0.0, gap]))
    assert found == [("gate-0001", "long_occlusion", (0,))] * fires


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        ([0, 0.125, 2.125], []),
        ([0, 0.125, 2.2], [("gate-0002", "gap")]),
        ([0, 0.125, 0.125], [("gate-0002", "clock")]),
        ([5, 0.125, 0.25], [("gate-0001", "clock")]),
    ],
)
def test_what_was_not_recorded_is_told(seconds, found):
    frames = [Labels.empty()] * 3
    assert [(i, reason) for i, reason, _ in reasons(rule("gaps"), clip(*frames, seconds=seconds))] == found


def test_a_camera_that_nobody_described_is_noted_once(cameras, tmp_path):
    frames = [Labels.empty()] * 3
    assert [r for _, r, _ in reasons(rule("unknown_camera"), clip(*frames))] == ["unknown_camera"]
    assert [r for _, r, _ in reasons(rule("unknown_camera", **cameras), clip(*frames))] == ["camera_without_basis"]
    (tmp_path / "cameras/gate.yaml").write_text(GROUND + "legal_basis: sign at the gate\n")
    assert reasons(rule("unknown_camera", **cameras), clip(*frames)) == []


def test_events_are_no_tracks_of_people():
    from surveillance_kit import event

    frames = [event("line_crossing"), Labels.empty(), *[Labels.empty()] * 20, event("line_crossing")]
    assert list(rule("short_track").check_group(clip(*frames))) == []
    assert reasons(rule("long_occlusion"), clip(*frames)) == []
