"""Metres under people's feet: by a homography, and without one by how tall people are."""

from __future__ import annotations

import numpy as np
import pytest

from hyla_surveillance.camera import Camera
from hyla_surveillance.camera_file import homography_of
from hyla_surveillance.ground import Ground, uncut

SIZE = (480, 640)
IMAGE = np.array([[120, 470], [520, 470], [400, 240], [240, 240]], dtype=float)
METRES = np.array([[-2, 4], [2, 4], [3, 20], [-3, 20]], dtype=float)


def people(rows: np.ndarray, scale: float = 0.4) -> np.ndarray:
    """Return boxes of people whose height grows with the row of their feet, as under a horizon at row 60."""
    tall = scale * (rows - 60)
    return np.column_stack([300 - 0.15 * tall, rows - tall, 300 + 0.15 * tall, rows])


def test_a_homography_gives_metres_and_believes_nobody() -> None:
    ground = Ground(Camera("a", SIZE, homography=homography_of(IMAGE, METRES)), SIZE)
    assert ground.calibrated
    np.testing.assert_allclose(ground.plane(IMAGE), METRES, atol=1e-6)
    ground.learn(people(np.linspace(100, 470, 50)), 0.0)
    np.testing.assert_allclose(ground.plane(IMAGE), METRES, atol=1e-6)
    assert (ground.scale(IMAGE) == 1).all()


def test_above_the_horizon_there_is_no_ground() -> None:
    ground = Ground(Camera("a", SIZE, homography=homography_of(IMAGE, METRES)), SIZE)
    assert np.isnan(ground.plane(np.array([[320.0, 0.0]]))).all()


def test_the_area_of_a_zone_is_that_on_the_ground() -> None:
    ground = Ground(Camera("a", SIZE, homography=homography_of(IMAGE, METRES)), SIZE)
    assert ground.area(IMAGE) == pytest.approx((4 + 6) / 2 * 16)
    assert np.isnan(ground.area(np.array([[0.0, 0.0], [640, 0], [640, 470], [0, 470]])))


def test_people_give_the_scale_where_nothing_was_measured() -> None:
    ground = Ground(Camera("a"), SIZE)
    assert not ground.calibrated
    chance = np.random.default_rng(0)
    for second in range(60):
        box = people(chance.uniform(150, 470, 5))
        box[:, 1] += chance.normal(0, 4, 5)
        ground.learn(box, float(second))
    feet = np.array([[320.0, 200.0], [320.0, 300.0], [320.0, 450.0]])
    np.testing.assert_allclose(ground.scale(feet), 1.7 / (0.4 * (feet[:, 1] - 60)), rtol=0.06)
    np.testing.assert_array_equal(ground.plane(feet), feet)


def test_the_first_person_seen_gives_a_first_scale() -> None:
    ground = Ground(Camera("a"), SIZE)
    assert ground.scale(np.array([[1.0, 1.0]]))[0] == pytest.approx(1.7 / 120)
    ground.learn(np.array([[100.0, 100, 130, 200]]), 0.0)
    assert ground.scale(np.array([[320.0, 300.0]]))[0] == pytest.approx(1.7 / 100)


def test_who_lies_or_sits_says_nothing_about_the_scale() -> None:
    ground = Ground(Camera("a"), SIZE)
    for second in range(40):
        ground.learn(np.array([[100.0, 180, 220, 220]]), float(second))
    assert ground.scale(np.array([[320.0, 300.0]]))[0] == pytest.approx(1.7 / 120)


def test_the_scale_of_a_camera_depends_little_on_its_frame_rate() -> None:
    scales = []
    for fps in (1, 30):
        ground = Ground(Camera("a"), SIZE)
        chance = np.random.default_rng(1)
        for n in range(60 * fps):
            ground.learn(people(chance.uniform(150, 470, 4)), n / fps)
        scales.append(ground.scale(np.array([[320.0, 300.0]]))[0])
    assert scales[0] == pytest.approx(scales[1], rel=0.05)


@pytest.mark.parametrize(
    ("box", "expected"),
    [((10, 10, 20, 30), True), ((0, 10, 20, 30), False), ((10, 1, 20, 30), False), ((10, 10, 639, 30), False)],
)
def test_a_box_at_the_edge_may_be_cut(box: tuple[float, ...], expected: bool) -> None:
    assert uncut(np.array([box], dtype=float), SIZE).tolist() == [expected]
