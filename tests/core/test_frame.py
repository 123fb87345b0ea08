"""Frames: from pixels to the world and back, and through JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from hyla.errors import HylaError
from hyla.frame import FRAMES, Frame, MapFrame, PatientFrame, VideoFrame, from_dict, to_dict
from strategies import frames, reals


@given(frames(), st.data())
def test_there_and_back_again(frame: Frame, data: st.DataObject) -> None:
    across = 3 if isinstance(frame, PatientFrame) else 2
    points = data.draw(nps.arrays(np.float64, st.tuples(st.integers(0, 4), st.just(across)), elements=reals()))
    world = frame.to_world(points)
    assert world.shape == points.shape
    # 1e-6 of a pixel: coordinates of a map reach 1e6 units, of which a float64 holds 1e-10.
    np.testing.assert_allclose(frame.to_pixels(world), points, atol=1e-6)


@given(frames())
def test_a_frame_survives_its_dict_through_json(frame: Frame) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(frame)))) == frame


def test_the_centre_of_the_first_voxel_lies_at_the_origin_of_the_patient() -> None:
    frame = PatientFrame(((0.5, 0, 0, -10), (0, 0.5, 0, -20), (0, 0, 2, 30), (0, 0, 0, 1)), "1.2.3")
    np.testing.assert_allclose(frame.to_world([[0.5, 0.5, 0], [2.5, 0.5, 3]]), [[-10, -20, 30], [-9, -20, 36]])
    np.testing.assert_allclose(frame.to_pixels([[-10, -20, 30]]), [[0.5, 0.5, 0]])


def test_the_corner_of_the_first_pixel_lies_at_the_origin_of_the_map() -> None:
    frame = MapFrame((10, 0, 500_000, 0, -10, 4_600_000), "EPSG:32633")
    np.testing.assert_allclose(frame.to_world([[0, 0], [2, 3]]), [[500_000, 4_600_000], [500_020, 4_599_970]])
    turned = MapFrame((0, 2, 5, 3, 0, 7))
    np.testing.assert_allclose(turned.to_world([[1, 10]]), [[25, 10]])


def test_a_photo_and_a_video_leave_pixels_as_they_are() -> None:
    for frame in (Frame(), VideoFrame(1.5, 3, 135000, (1, 90000))):
        assert frame.to_world([[1, 2]]).tolist() == [[1, 2]]
        assert frame.to_pixels([[1, 2]]).tolist() == [[1, 2]]


def test_a_dict_of_a_kind_alone_is_a_frame() -> None:
    assert [from_dict({"kind": kind}) for kind in FRAMES] == [cls() for cls in FRAMES.values()]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "unknown frame kind None[\\s\\S]*map, patient, pixel, video"),
        ({"kind": "moon"}, "unknown frame kind 'moon'"),
        ({"kind": ["map"]}, "unknown frame kind"),
        ({"kind": "pixel", "crs": ""}, "frame 'pixel' has no field crs"),
        ({"kind": "map", "src": "", "affine": []}, "frame 'map' has no field affine, src[\\s\\S]*crs, transform"),
        ({"kind": "map", "transform": [1, 0, 0]}, "frame 'map': Expected `array` of length 6, got 3 - at `\\$.transform`"),
        ({"kind": "video", "index": "1"}, "frame 'video': Expected `int`, got `str` - at `\\$.index`"),
        ({"kind": "patient", "affine": [[1, 0, 0, "x"]] * 4}, "frame 'patient': Expected `float`"),
    ],
)
def test_a_wrong_dict_is_refused(values: dict[str, Any], says: str) -> None:
    with pytest.raises(HylaError, match=says):
        from_dict(values)
