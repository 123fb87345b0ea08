"""Hyla's own tracker: crossings, weak boxes, runners at a few frames per second, smooth boxes, a camera that moves."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.bytetrack import ByteTrack, overlap
from hyla.camera_motion import CameraMotion
from hyla.frame import VideoFrame
from hyla.tracking import Tracker
from hyla.types import Image, Item, Labels


def step(engine: ByteTrack, i: int, box, score=None, *, fps: float = 8.0, family=None, lost: float = 2.0):
    box = np.asarray(box, dtype=np.float64).reshape(-1, 4)
    score = np.full(len(box), 0.9) if score is None else np.asarray(score, dtype=np.float64)
    family = np.zeros(len(box), np.int64) if family is None else np.asarray(family)
    return engine.update(box, score, family, i / fps, 1 / fps, lost).tolist()


def at(x: float, y: float = 100, w: float = 40, h: float = 110) -> list[float]:
    return [x, y, x + w, y + h]


def test_two_who_cross_keep_their_identities():
    engine = ByteTrack()
    for i in range(40):
        a, b = at(10 * i), at(400 - 10 * i, 106)
        hidden = overlap(np.array([a]), np.array([b]))[0, 0] > 0.5
        found = step(engine, i, [b] if hidden else [a, b])
    assert found == [1, 2]


def test_who_runs_is_followed_at_a_few_frames_per_second_although_boxes_no_longer_overlap():
    engine = ByteTrack()
    tracks = [step(engine, i, [at(38 * i)]) for i in range(12)]  # 4.7 m/s for somebody of 1.7 m
    assert tracks[0] == [0]
    assert {one[0] for one in tracks[1:]} == {1}


def test_weak_boxes_continue_a_track_and_start_none():
    engine = ByteTrack()
    for i in range(6):
        found = step(engine, i, [at(10 * i), at(300)], [0.9 if i < 3 else 0.15, 0.15])
    assert found == [1, 0]
    assert step(engine, 6, [at(60)], [0.05]) == [0], "below 0.1 a box says nothing"


def test_the_first_frame_needs_no_confirmation_if_asked():
    engine = ByteTrack(instant=True)
    assert step(engine, 0, [at(0), at(200)]) == [1, 2]
    assert step(engine, 1, [at(0), at(200), at(400)]) == [1, 2, 0]
    assert step(engine, 2, [at(0), at(200), at(400)]) == [1, 2, 3]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_identities_are_unique_in_a_frame_and_never_change_their_family(data):
    engine, families = ByteTrack(confirm=data.draw(st.integers(1, 3))), {}
    number = st.floats(-50, 300, allow_nan=False)
    for i in range(data.draw(st.integers(1, 12))):
        rows = data.draw(
            st.lists(
                st.tuples(number, number, st.floats(0, 90), st.floats(0, 90), st.floats(0, 1), st.integers(0, 2)), max_size=6
            )
        )
        box = np.array([[x, y, x + w, y + h] for x, y, w, h, _, _ in rows]).reshape(-1, 4)
        found = step(engine, i, box, [r[4] for r in rows], family=[r[5] for r in rows] or np.zeros(0, np.int64))
        named = [(t, r[5]) for t, r in zip(found, rows, strict=True) if t]
        assert len({t for t, _ in named}) == len(named)
        for track, family in named:
            assert families.setdefault(track, family) == family
        assert np.isfinite(engine.smoothed).all()


def test_smooth_boxes_have_less_noise_and_lie_inside_the_picture():
    rng = np.random.default_rng(0)
    rough, smooth = [], []
    plain, tracker = Tracker(), Tracker(smooth=True)
    for i in range(60):
        truth = np.array(at(-20 + 5 * i))
        noisy = np.clip([truth + rng.normal(0, 4, 4)], 0, 260)
        image = Image(np.zeros((260, 260, 3), np.uint8), Item(str(i), "c", "c", i), VideoFrame(i / 8, i))
        labels = Labels.of([0], noisy)
        found = tracker.update(image.item, labels, image)
        assert (found.box >= 0).all()
        assert (found.box <= 260).all()
        assert plain.update(image.item, labels, image).box.tolist() == labels.box.tolist() == noisy.tolist()
        if 10 < i < 40:
            rough.append(noisy[0] - truth)
            smooth.append(found.box[0] - truth)
    assert np.std(smooth) < 0.85 * np.std(rough)


def test_the_motion_of_a_camera_is_told_and_nothing_where_nothing_can_be():
    rng = np.random.default_rng(0)
    wide = np.repeat(np.repeat(rng.integers(0, 255, (60, 240, 3), dtype=np.uint8), 4, axis=0), 4, axis=1)
    motion = CameraMotion()

    def view(shift: int) -> Image:
        return Image(np.ascontiguousarray(wide[:, shift : shift + 400]), Item("a", "a", "c", shift))

    none = np.zeros((0, 4))
    assert motion.update(view(0), none) is None, "there is nothing before the first"
    matrix = motion.update(view(7), none)
    assert np.allclose(matrix, [[1, 0, -7], [0, 1, 0]], atol=0.2)
    for pixels in (np.zeros((240, 400, 3), np.uint8), np.zeros((1, 1, 3), np.uint8), np.zeros((40, 40, 4), np.uint8)):
        assert motion.update(Image(pixels, Item("b", "b", "c", 1)), none) is None
