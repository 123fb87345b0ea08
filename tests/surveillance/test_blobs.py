"""Pieces of what stands before the background: joined where they are one person, and told by their size."""

from __future__ import annotations

import numpy as np
import pytest

from hyla_surveillance.blobs import PERSON, SMALL, VEHICLE, find
from hyla_surveillance.camera import Camera
from hyla_surveillance.perspective import Perspective
from hyla_surveillance.sample_scene import ground, project
from surveillance_kit import SIZE

CORNERS = [[-6.0, 8], [6, 8], [8, 26], [-8, 26]]


@pytest.fixture(scope="module")
def perspective():
    from hyla_surveillance.homography import homography_of

    return Perspective(SIZE, Camera("gate", SIZE, homography=homography_of(ground(CORNERS), CORNERS)))


def person_at(y):
    """Return x, the row of the head, and that of the feet of somebody 1.7 m tall, y metres ahead."""
    (x, top), (_, bottom) = project([[0.0, y, 1.7], [0.0, y, 0.0]])[0]
    return int(x), int(top), int(bottom)


def kinds(mask, perspective):
    return [(blob.kind, blob.box) for blob in find(mask, perspective)[0]]


def test_head_and_legs_are_one_person_though_the_coat_is_like_the_ground(perspective):
    x, top, bottom = person_at(11)
    tall = bottom - top
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + round(0.2 * tall), x - 6 : x + 6] = 255
    mask[bottom - round(0.45 * tall) : bottom, x - 10 : x + 10] = 255
    assert kinds(mask, perspective) == [(PERSON, (x - 10, top, x + 10, bottom))]


def test_two_things_above_each_other_that_are_less_than_a_person_stay_two(perspective):
    x, top, bottom = person_at(11)
    tall = bottom - top
    mask = np.zeros(SIZE, np.uint8)
    mask[bottom - round(0.7 * tall) : bottom - round(0.6 * tall), x - 6 : x + 6] = 255
    mask[bottom - round(0.2 * tall) : bottom, x - 10 : x + 10] = 255
    assert [kind for kind, _ in kinds(mask, perspective)] == [SMALL, SMALL]


@pytest.mark.parametrize(
    ("wide", "high", "kind"), [(1.0, 0.25, PERSON), (0.4, 0.25, SMALL), (1.0, 0.05, SMALL), (2.0, 0.7, VEHICLE)]
)
def test_who_lies_on_the_ground_is_a_person_of_low_score(perspective, wide, high, kind):
    x, top, bottom = person_at(11)
    tall = bottom - top
    mask = np.zeros(SIZE, np.uint8)
    mask[bottom - round(high * tall) : bottom, x - round(wide * tall / 2) : x + round(wide * tall / 2)] = 255
    (blob,) = find(mask, perspective)[0]
    assert blob.kind == kind
    if kind == PERSON:
        assert blob.fit <= 0.5
