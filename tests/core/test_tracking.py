"""Tracks: local identities, order of rows, families, time, replay."""

from __future__ import annotations

import numpy as np
import pytest

from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.tracking import NAMES, Tracker
from hyla.types import Image, Item, Kind, Labels

SCHEMA = Schema.from_config(
    {
        "name": "road",
        "kinds": ["box", "polyline", "track"],
        "classes": {
            "vehicle": {"abstract": True},
            "car": {"parent": "vehicle"},
            "truck": {"parent": "vehicle"},
            "person": {},
            "lane": {},
        },
    }
)
CAR, TRUCK, PERSON, LANE = 1, 2, 3, 4


def item(index: int, group: str = "clip") -> Item:
    return Item(f"{group}-{index}", "clip.mp4", group, index, "video_frame")


def car(index: float, x: float = 100, speed: float = 4) -> list[float]:
    left = x + speed * index
    return [left, 200, left + 60, 240]


def film(tracker: Tracker, frames: list[Labels], group: str = "clip", images: list[Image] | None = None) -> list[list[int]]:
    return [tracker.update(item(i, group), one, images[i] if images else None).track.tolist() for i, one in enumerate(frames)]


def two_cars(n: int = 8) -> list[Labels]:
    return [Labels.of([CAR, CAR], [car(i), car(i, 400, -3)], score=[0.9, 0.6]) for i in range(n)]


@pytest.mark.parametrize("name", [n for n in NAMES if n != "none"])
def test_each_tracker_follows_two_cars(name):
    tracks = film(Tracker(name), two_cars(), "clip")
    assert tracks[-1] == [1, 2]
    confirmed = [row for row in tracks if -1 not in row]
    assert len(confirmed) >= 5
    assert all(row == [1, 2] for row in confirmed)


def test_identities_are_local_to_the_group_and_do_not_depend_on_earlier_use():
    tracker = Tracker()
    first = film(tracker, two_cars(), "a")
    assert film(tracker, two_cars(), "b") == first
    assert film(Tracker(), two_cars(), "c") == first


def test_groups_do_not_disturb_each_other():
    alone = film(Tracker(), two_cars(), "a")
    tracker = Tracker()
    mixed = []
    for i, labels in enumerate(two_cars()):
        mixed.append(tracker.update(item(i, "a"), labels).track.tolist())
        tracker.update(item(i, "b"), Labels.of([CAR], [car(i, 300)]))
    assert mixed == alone


def test_a_forgotten_or_replayed_group_starts_again():
    tracker = Tracker()
    first = film(tracker, two_cars())
    tracker.forget("clip")
    assert tracker._groups == {}
    assert film(tracker, two_cars()) == first
    assert film(tracker, two_cars()) == first, "index 0 again is a replay"


def test_rows_stay_in_order_and_all_come_back():
    tracker = Tracker()
    for i in range(6):
        labels = Labels.of(
            [LANE, CAR, PERSON, CAR],
            [[0, 0, 50, 50], car(i, 400, -3), [10, 10, 20, 40], car(i)],
            score=[0.9, 0.05, 0.2, 0.9],
            kind=[Kind.POLYLINE, Kind.BOX, Kind.BOX, Kind.BOX],
            shape=[np.array([[0.0, 0.0], [50.0, 50.0]]), None, None, None],
            attributes={"marking": ["solid", None, None, None]},
        )
        tracked = tracker.update(item(i), labels)
        assert tracked.box.tolist() == labels.box.tolist()
        assert tracked.attributes["marking"].tolist() == ["solid", None, None, None]
        assert labels.track.tolist() == [-1] * 4, "what was given is not changed"
    assert tracked.track.tolist() == [-1, -1, -1, 1], "lanes are not tracked, and weak boxes start no track"


def test_botsort_gives_the_weakest_boxes_back_too():
    frames = [Labels.of([CAR, CAR], [car(i), car(i, 400, -3)], score=[0.05, 0.9]) for i in range(5)]
    assert film(Tracker("botsort"), frames)[-1] == [-1, 1]


def test_a_family_may_flip_its_class_but_a_person_is_no_car():
    flip = [Labels.of([CAR if i < 4 else TRUCK], [car(i)]) for i in range(8)]
    assert film(Tracker(schema=SCHEMA), flip)[-1] == [1]
    assert film(Tracker(), flip)[-1] == [2], "without a schema each class is on its own"
    change = [Labels.of([CAR if i < 4 else PERSON], [car(i)]) for i in range(8)]
    assert film(Tracker(schema=SCHEMA), change)[-1] == [2]


def test_overlapping_boxes_of_two_families_keep_two_tracks():
    frames = [Labels.of([PERSON, CAR], [car(i), car(i)]) for i in range(6)]
    assert film(Tracker(schema=SCHEMA), frames)[-1] == [1, 2]


def seen_at(seconds: list[float], speed: float = 120) -> tuple[list[Labels], list[Image]]:
    images = [
        Image(np.zeros((4, 4, 3), np.uint8), item(i), VideoFrame(seconds=s, index=int(s * 30))) for i, s in enumerate(seconds)
    ]
    return [Labels.of([CAR], [car(s, speed=speed)]) for s in seconds], images


def test_a_track_lives_in_seconds_not_in_frames():
    frames, images = seen_at([i / 10 for i in range(16)], speed=20)
    unseen = [one if i < 4 or i > 12 else Labels.of([], np.zeros((0, 4))) for i, one in enumerate(frames)]  # 0.9 s
    assert film(Tracker(lost=1.0), unseen, images=images)[-1] == [1]
    assert film(Tracker(lost=0.5), unseen, images=images)[-1] == [2], "unseen for longer than it is kept: a new identity"


def test_a_stride_longer_than_the_memory_still_joins_neighbours():
    frames, images = seen_at([0.0, 2.0, 4.0, 6.0], speed=5)
    assert film(Tracker(lost=1.0), frames, images=images) == [[-1], [1], [1], [1]]


def test_a_repeated_timestamp_is_no_error():
    frames, images = seen_at([0.0, 0.1, 0.1, 0.05, 0.3])
    assert film(Tracker(), frames, images=images)[-1] == [1]


def test_botsort_takes_the_motion_of_the_camera_out():
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (240, 900, 3), dtype=np.uint8)
    wide = np.repeat(np.repeat(wide[::4, ::4], 4, axis=0), 4, axis=1)  # texture that a flow can follow
    frames, images = [], []
    for i in range(8):
        shift = 25 * i
        images.append(Image(np.ascontiguousarray(wide[:, shift : shift + 400]), item(i)))
        frames.append(Labels.of([CAR], [[330 - shift, 100, 350 - shift, 120]]))  # narrower than the shift: no overlap
    assert film(Tracker("botsort"), frames, images=images)[-1] == [1]
    assert film(Tracker("bytetrack"), frames, images=images)[-1] == [-1]


def test_none_and_single_pictures_are_left_alone():
    labels = two_cars(1)[0]
    assert Tracker("none").update(item(0), labels) is labels
    assert not Tracker("none").memory
    assert Tracker().memory
    tracker = Tracker()
    for i in range(3):
        assert tracker.update(Item(f"p{i}", f"p{i}.jpg"), labels) is labels
    assert tracker._groups == {}


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="bytetrack") as error:
        Tracker("bytetrak")
    assert "did you mean 'bytetrack'" in str(error.value)
    for bad in ({"threshold": 1.5}, {"lost": -1}, {"confirm": 0}):
        with pytest.raises(ConfigError):
            Tracker(**bad)
