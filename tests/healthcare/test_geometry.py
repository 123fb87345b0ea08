"""Order, affine, gaps and tilt of series; and what makes several volumes of one."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exported_kit import series
from hyla.errors import BadItem
from hyla_healthcare import decode, geometry
from hyla_healthcare.instance import Instance
from series_kit import datasets, volume


def found(headers, same=lambda a, b: False):
    return geometry.volumes([Instance.of(one, number=n) for n, one in enumerate(headers, 1)], same)


def one(headers):
    [volume] = found(headers)
    return volume


def shifted(headers, places):
    """Put slices at these mm along z."""
    for header, place in zip(headers, places, strict=True):
        header.ImagePositionPatient = [-10, -20, place]
    return headers


def rotation(a, b, c):
    """Return a proper rotation of Euler angles."""
    z, y, x = ([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]] for t in (a, b, c))
    first, second, third = np.eye(3), np.eye(3), np.eye(3)
    first[:2, :2], third[1:, 1:] = z, x
    second[np.ix_([0, 2], [0, 2])] = y
    return first @ second @ third


@settings(max_examples=60)
@given(
    st.tuples(*[st.floats(-3, 3)] * 3), st.tuples(st.floats(0.5, 8), st.floats(0.2, 3), st.floats(0.2, 3)),
    st.integers(2, 9), st.randoms(use_true_random=False),
)  # fmt: skip
def test_whatever_the_orientation_slices_ascend_along_the_normal_and_the_affine_places_each(angles, spacing, depth, random):
    turned = rotation(*angles)
    headers = series(depth, spacing=spacing, orientation=(*turned[:, 0], *turned[:, 1]))
    random.shuffle(headers)
    volume = one(headers)
    matrix = np.array(volume.affine)
    assert np.linalg.det(matrix[:3, :3]) > 0
    for z, slice_ in enumerate(volume.slices):
        assert np.allclose((matrix @ [0, 0, z, 1])[:3], slice_.position, atol=1e-3)
    assert np.allclose(np.diff([turned[:, 2] @ s.position for s in volume.slices]), spacing[0], atol=1e-4)
    assert np.allclose(volume.spacing, spacing, atol=1e-4)
    assert (volume.missing, volume.tilt) == (0, 0)
    assert volume.uneven < 1e-3


def test_neither_names_nor_instance_numbers_decide_the_order():
    headers = series()  # InstanceNumber descends as z ascends
    assert [s.position[2] for s in one(headers).slices] == sorted(float(h.ImagePositionPatient[2]) for h in headers)


def test_missing_slices_are_counted_by_the_gaps():
    headers = series(10)
    del headers[6], headers[3]
    volume = one(headers)
    assert (volume.missing, volume.uneven) == (2, pytest.approx(1))


def test_uneven_slices_are_measured_against_the_median_gap():
    volume = one(shifted(series(5), [0, 2, 4, 6.5, 8.5]))
    assert (volume.missing, volume.uneven) == (0, pytest.approx(0.25))


def test_a_tilted_gantry_shears_the_affine_and_is_measured():
    headers = series(6)
    for z, header in enumerate(headers):
        header.ImagePositionPatient = [-10, -20 + z * 2.5 * np.tan(np.radians(15)), 30 + z * 2.5]
    volume = one(headers)
    assert volume.tilt == pytest.approx(15, abs=1e-6)
    assert volume.spacing[0] == pytest.approx(2.5)
    assert np.allclose((np.array(volume.affine) @ [0, 0, 5, 1])[:3], headers[5].ImagePositionPatient)


def test_a_single_slice_is_as_thick_as_it_says():
    volume = one(series(1, SliceThickness=3))
    assert volume.spacing == (3, 0.75, 0.5)
    assert np.allclose(np.array(volume.affine)[:3, 2], [0, 0, 3])


def test_the_same_object_twice_is_left_out_and_counted():
    headers = series(5)
    assert one([*headers, *map(deepcopy, headers[1:3])]).duplicates == 2


def test_the_same_pixels_under_another_name_are_a_duplicate():
    found_ = datasets(volume(4))
    copy = deepcopy(found_[2])
    copy.SOPInstanceUID = "1.2.3.4.999"
    [volume_] = geometry.volumes([Instance.of(d, number=n) for n, d in enumerate([*found_, copy], 1)], decode.same_pixels)
    assert (len(volume_.slices), volume_.duplicates) == (4, 1)


def test_other_pixels_at_the_same_place_are_refused_not_guessed():
    headers = series(4)
    copy = deepcopy(headers[2])
    copy.SOPInstanceUID = "1.2.3.4.999"
    with pytest.raises(BadItem, match="1 places have different slices"):
        found([*headers, copy])


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("EchoNumbers", (1, 2)),
        ("DiffusionBValue", (0.0, 1000.0)),
        ("TemporalPositionIdentifier", (1, 2)),
        ("AcquisitionNumber", (1, 2)),
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])),
    ],
)
def test_volumes_of_one_place_are_told_apart(keyword, values):
    both = []
    for n, value in enumerate(values):
        for header in series(4):
            header.SOPInstanceUID = f"{header.SOPInstanceUID}.{n}"
            setattr(header, keyword, value)
            both.append(header)
    first, second = found(both[::-1])
    assert [len(v.slices) for v in (first, second)] == [4, 4]
    assert all(v.spacing[0] == pytest.approx(2.5) for v in (first, second))
    for got, value in zip((first, second), values, strict=True):
        wanted = {h.SOPInstanceUID for h in both if getattr(h, keyword) == value}
        assert {s.instance.sop for s in got.slices} == wanted


def test_orientations_and_localizers_are_volumes_of_their_own():
    sagittal = series(3, orientation=(0, 1, 0, 0, 0, -1))
    scout = series(1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    for n, header in enumerate([*sagittal, *scout]):
        header.SOPInstanceUID = f"1.2.9.{n}"
    volumes = found([*scout, *sagittal, *series(6)])
    assert [len(v.slices) for v in volumes] == [6, 3, 1]
    assert volumes[2].slices[0].image_type[2] == "LOCALIZER"


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "PatientID", "StudyInstanceUID"])
def test_a_series_of_two_frames_of_reference_or_patients_is_refused_and_neither_is_named(keyword):
    headers = series(4)
    setattr(headers[2], keyword, "1.2.3.4711")
    with pytest.raises(BadItem, match=f"mixes 2 values of {keyword}") as caught:
        found(headers)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("PixelSpacing", None, "PixelSpacing missing or malformed"),
        ("PixelSpacing", [0, 1], "PixelSpacing is not positive"),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0], "no two perpendicular directions"),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0], "no two perpendicular directions"),
    ],
)
def test_what_can_not_be_measured_is_refused(keyword, value, told):
    headers = series(3)
    setattr(headers[1], keyword, value)
    with pytest.raises(BadItem, match=f"file 2: .*{told}"):
        found(headers)


def test_slices_that_lie_along_no_line_are_refused():
    headers = series(5)
    headers[2].ImagePositionPatient = [40, -20, 35]
    with pytest.raises(BadItem, match="do not lie along a line"):
        found(headers)


def test_two_objects_of_one_place_in_an_archive_are_compared_by_their_headers_alone():
    headers = series(3)
    copy = deepcopy(headers[1])
    copy.SOPInstanceUID = "1.2.3.4.999"
    with pytest.raises(BadItem, match="1 places have different slices"):
        found([*headers, copy], decode.same_pixels)
