"""Pose comes back from points that a turned head would show; blur, masks and small size are told; words follow from them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faces_kit import image, noise, photograph, yunet
from hyla.errors import ConfigError
from hyla_surveillance.face_quality import NAMES, POINTS, Grades, angles, occlusion, quality, sharpness, similarity


def turned(yaw: float, pitch: float, roll: float, span: float = 60.0, at=(300.0, 200.0)):
    """Return the five points (5, 2) of a head turned by angles in degrees, as a camera far away sees it."""
    y, p, r = np.radians([yaw, pitch, roll])
    # x to the right, y down, z away: looking ahead is -z, so that a positive yaw looks to +x and a positive pitch to -y
    to_right = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    upward = np.array([[1, 0, 0], [0, np.cos(p), np.sin(p)], [0, -np.sin(p), np.cos(p)]])
    clockwise = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    return (POINTS @ (to_right @ upward @ clockwise).T)[:, :2] * span / 63 + at


def drawn(eyes: float = 70.0):
    """Return a picture with a face of skin, its box and its points; the eyes are `eyes` pixels apart."""
    k = eyes / 63
    size = round(220 * k)
    pixels = np.full((size, size, 3), (60, 90, 60), np.uint8)
    points = POINTS[:, :2] * k + [size / 2, size * 0.42]
    middle = tuple(np.rint(points.mean(axis=0) + np.array([0, 4 * k])).astype(int).tolist())
    cv2.ellipse(pixels, middle, (round(60 * k), round(88 * k)), 0, 0, 360, (205, 160, 135), -1)
    for x, y in points[:2]:
        cv2.circle(pixels, (round(x), round(y)), max(round(6 * k), 1), (40, 30, 30), -1)
    for x, y in points[3:]:
        cv2.circle(pixels, (round(x), round(y)), max(round(3 * k), 1), (150, 60, 60), -1)
    grain = np.random.default_rng(0).normal(0, 6, pixels.shape)
    box = np.array([middle[0] - 60 * k, middle[1] - 88 * k, middle[0] + 60 * k, middle[1] + 88 * k])
    return np.clip(pixels + grain, 0, 255).astype(np.uint8), box, points


@given(st.floats(-70, 70), st.floats(-60, 60), st.floats(-175, 175), st.floats(3, 500))
@settings(deadline=None)
def test_pose_comes_back(yaw, pitch, roll, span):
    told = angles(turned(yaw, pitch, roll, span)[None])
    assert np.allclose([one[0] for one in told], [yaw, pitch, roll], atol=0.01)


def test_signs_are_those_of_the_schema():
    points = turned(0, 0, 0)
    to_the_right, up, clockwise = points.copy(), points.copy(), points @ np.array([[0.9, 0.436], [-0.436, 0.9]])
    to_the_right[2] += [10, 0]  # the nose
    up[2] -= [0, 10]
    assert angles(to_the_right[None])[0][0] > 10
    assert angles(up[None])[1][0] > 10
    assert angles(clockwise[None])[2][0] > 10
    assert clockwise[1, 1] > clockwise[0, 1]  # the eye on the right is lower


def test_points_that_say_nothing_give_nothing():
    told = angles(np.array([np.full((5, 2), 7.0), np.full((5, 2), np.nan), turned(10, 0, 0)]))
    assert np.isnan([one[:2] for one in told]).all()
    assert not np.isnan([one[2] for one in told]).any()
    assert all(len(one) == 0 for one in angles(np.zeros((0, 5, 2))))


def test_sharpness_falls_with_blur_and_with_size():
    pixels, box, _ = drawn(90)
    values = [sharpness(pixels if s == 0 else cv2.GaussianBlur(pixels, (0, 0), s), box) for s in (0, 1, 2, 4, 8)]
    assert (np.diff(values) < 0).all()
    small = cv2.resize(pixels, None, fx=0.2, fy=0.2, interpolation=cv2.INTER_AREA)
    assert sharpness(small, box * 0.2) < 0.2 * values[0]
    assert np.isnan(sharpness(pixels, np.array([-50.0, -50, -10, -10])))


def test_what_lies_over_a_face_is_told():
    pixels, _, points = drawn()
    free = occlusion(pixels, points)
    masked = pixels.copy()
    masked[round(points[2, 1]) - 6 :, :] = (120, 170, 210)  # from the nose down
    assert free <= 0.1
    assert 0.3 <= occlusion(masked, points) <= 0.7
    assert occlusion(pixels, points - [0, points[0, 1] + 3]) > 0.2  # the forehead is out of the picture
    assert occlusion(pixels, points - 500) == 1.0
    assert np.isnan(occlusion(pixels, np.full((5, 2), 9.0)))


def test_words_follow_the_grades():
    def word(eyes=70.0, blur=0.0, cover=False, yaw=0.0, grades=None):
        pixels, box, points = drawn(eyes)
        pixels = cv2.GaussianBlur(pixels, (0, 0), blur) if blur else pixels
        if cover:
            pixels[round(points[2, 1]) :] = (120, 170, 210)
        if yaw:
            points = turned(yaw, 0, 0, eyes) - turned(0, 0, 0, eyes).mean(axis=0) + points.mean(axis=0)
        return quality(pixels, box[None], points[None], grades or Grades())["quality"][0]

    assert word() == "good"
    assert word(eyes=59) == word(yaw=30) == "fair"
    assert word(eyes=25) == word(blur=12) == word(cover=True) == word(yaw=60) == "poor"
    assert word(eyes=11) == "redact_only"  # 21 pixels wide
    assert word(grades=Grades.of({"good_eyes": 90})) == "fair"
    assert word(eyes=11, grades=Grades.of({"redact_px": 10})) == "poor"


def test_a_real_face_is_graded_down_as_it_is_reduced_and_blurred(shared):
    photo = photograph(shared)[950:1270, 2170:2470]
    faces = yunet(shared)

    def told(pixels):
        (labels,) = faces.predict([image(pixels)])
        middle = (labels.box[:, :2] + labels.box[:, 2:]) / 2
        row = int(np.argmin(np.abs(middle - [pixels.shape[1] / 2, pixels.shape[0] / 2]).sum(axis=1)))
        return {name: labels.attributes[name][row] for name in NAMES}

    full, half, tiny = (told(cv2.resize(photo, None, fx=s, fy=s, interpolation=cv2.INTER_AREA)) for s in (1, 0.5, 0.2))
    assert [one["quality"] for one in (full, half, tiny)] == ["fair", "poor", "redact_only"]
    assert full["eye_distance"] == pytest.approx(2 * half["eye_distance"], rel=0.1)
    assert max(abs(full[name] - half[name]) for name in ("yaw", "pitch", "roll")) < 8
    assert told(cv2.GaussianBlur(photo, (0, 0), 5))["blur"] < 0.2 * full["blur"]
    assert told(photo[:, ::-1])["yaw"] == pytest.approx(-full["yaw"], abs=6)
    right, left = (cv2.warpAffine(photo, cv2.getRotationMatrix2D((145, 160), a, 1), (300, 320)) for a in (-20, 20))
    assert told(right)["roll"] > full["roll"] > told(left)["roll"]  # by less than 20: YuNet's points lean towards upright


@given(st.floats(-180, 180), st.floats(0.1, 9), st.floats(-99, 99), st.floats(-99, 99))
@settings(deadline=None)
def test_similarity_comes_back(angle, scale, x, y):
    a = np.radians(angle)
    matrix = scale * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    source = POINTS[:, :2].astype(float)
    assert np.allclose(similarity(source, source @ matrix.T + [x, y]), np.column_stack([matrix, [x, y]]), atol=1e-6)


@given(st.lists(st.floats(-1e4, 1e4), min_size=10, max_size=10), st.lists(st.floats(-60, 60), min_size=4, max_size=4))
@settings(deadline=None, max_examples=50)
def test_any_points_and_boxes_give_values_of_the_schema(points, corners):
    box = np.array([[min(corners[0], corners[2]), min(corners[1], corners[3]), max(corners[::2]) + 1, max(corners[1::2]) + 1]])
    told = quality(noise(40, 40), box, np.array(points).reshape(1, 5, 2), Grades())
    low = {"eye_distance": 0, "blur": 0, "yaw": -90, "pitch": -90, "roll": -180, "occlusion": 0}
    high = {"eye_distance": np.inf, "blur": np.inf, "yaw": 90, "pitch": 90, "roll": 180, "occlusion": 1}
    for name in low:
        assert np.isnan(told[name]).all() or ((low[name] <= told[name]) & (told[name] <= high[name])).all()


def test_grades_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="good_eyes"):
        Grades.of({"good_eye": 1})
