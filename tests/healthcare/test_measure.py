"""Volumes, centroids and diameters are those of solids of known size, however the grid lies in the patient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from hyla_healthcare import components, measure

STRUCTURES = {
    "faces": ndimage.generate_binary_structure(3, 1),
    "corners": np.ones((3, 3, 3)),
    "slice": np.array([np.zeros((3, 3)), [[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.zeros((3, 3))]),
}
masks = st.tuples(
    st.tuples(st.integers(1, 5), st.integers(1, 8), st.integers(1, 9)),
    st.sampled_from([0.05, 0.3, 0.6, 0.95]),
    st.integers(0, 2**16),
).map(lambda drawn: np.random.default_rng(drawn[2]).random(drawn[0]) < drawn[1])


def ellipsoid(half, spacing, turn=0.0, shift=(0.0, 0.0, 0.0), tilt=None):
    """Return the mask and affine of an ellipsoid with half axes (x, y, z) in mm, turned in the slice by `turn` radians."""
    count = [int(2 * max(half) / one) + 6 for one in spacing]
    x, y, z = np.meshgrid(
        *((np.arange(n) - n // 2) * one + s for n, one, s in zip(count, spacing, shift, strict=True)), indexing="ij"
    )
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    mask = (along / half[0]) ** 2 + (across / half[1]) ** 2 + (z / half[2]) ** 2 <= 1
    affine = np.eye(4)
    affine[:3, :3] = (Rotation.identity() if tilt is None else tilt).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = (7.0, -30.0, 400.0)
    return np.ascontiguousarray(mask.transpose(2, 1, 0)), affine


@pytest.mark.parametrize("diameter", [3, 6, 12, 25, 40])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.7, 0.7, 2.5), (0.8, 1.2, 0.6)])
def test_a_ball_has_its_volume_and_is_as_long_as_wide_within_a_voxel(diameter, spacing):
    for shift in ((0, 0, 0), (0.31, -0.2, 0.1), (0.5, 0.5, 0.3)):
        mask, affine = ellipsoid((diameter / 2,) * 3, spacing, shift=shift)
        found = measure.diameters_mm(mask, affine)
        voxel = max(spacing[:2])
        assert abs(found.long - diameter) <= max(voxel, spacing[2] ** 2 / diameter)  # between two slices a ball is narrower
        assert -voxel - spacing[2] ** 2 / diameter <= found.short - diameter <= voxel
        if diameter >= 12:
            assert measure.volume_ml(mask, affine) == pytest.approx(np.pi / 6 * diameter**3 / 1000, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, np.pi), st.floats(12, 30), st.floats(0.35, 0.9), st.sampled_from([(1.0, 1.0, 1.0), (0.7, 0.9, 2.0)]))
def test_an_ellipse_has_its_axes_at_any_angle_at_right_angles_to_each_other(turn, half, share, spacing):
    mask, affine = ellipsoid((half, half * share, half * share), spacing, turn)
    found = measure.diameters_mm(mask, affine)
    assert found.long == pytest.approx(2 * half, abs=1.2)
    assert found.short == pytest.approx(2 * half * share, abs=1.5)
    long, short = (np.diff((np.array(ends) * (*spacing[:2], 1.0)), axis=0)[0] for ends in (found.long_ends, found.short_ends))
    assert long @ short == pytest.approx(0, abs=1e-6 * found.long * found.short)
    assert np.linalg.norm(long) == pytest.approx(found.long)
    assert np.linalg.norm(short) == pytest.approx(found.short)
    assert len({end[2] for end in (*found.long_ends, *found.short_ends)}) == 1


@settings(max_examples=25, deadline=None)
@given(masks, st.integers(0, 1000))
def test_where_the_patient_lies_changes_no_measure_and_a_larger_grid_scales_it(mask, seed):
    rng = np.random.default_rng(seed)
    affine = np.diag([0.8, 1.1, 2.0, 1.0])
    turned = np.eye(4)
    turned[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    turned[:3, 3] = rng.uniform(-500, 500, 3)
    one, other = measure.diameters_mm(mask, affine), measure.diameters_mm(mask, turned @ affine)
    if not mask.any():
        assert one is None
        assert measure.centroid_mm(mask, affine) is None
        assert measure.volume_ml(mask, affine) == 0
        return
    assert other.long == pytest.approx(one.long)
    assert other.short == pytest.approx(one.short, abs=0.9)  # of equally long axes, rounding may choose another
    twice = measure.diameters_mm(mask, affine * (2, 2, 2, 1))
    assert (twice.long, twice.short) == pytest.approx((2 * one.long, 2 * one.short))
    assert one.short <= one.long + 1e-9
    assert measure.volume_ml(mask, turned @ affine) == pytest.approx(mask.sum() * 0.8 * 1.1 * 2.0 / 1000)
    z, y, x = np.argwhere(mask).mean(axis=0)
    assert measure.centroid_mm(mask, turned @ affine) == pytest.approx((turned @ affine @ (x, y, z, 1))[:3])


@settings(max_examples=25, deadline=None)
@given(masks)
def test_no_two_points_of_the_outline_in_a_slice_are_further_apart_than_the_long_axis(mask):
    found = measure.diameters_mm(mask, np.diag([0.8, 1.1, 2.0, 1.0]))
    longest = 0.0
    for plane in mask:
        y, x = np.nonzero(plane)
        edge = np.concatenate([np.stack([x + dx, y + dy], axis=1) for dx, dy in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))])
        if len(edge):
            world = edge * (0.8, 1.1)
            longest = max(longest, float(np.linalg.norm(world[:, None] - world[None], axis=2).max()))
    assert (found.long if found else 0.0) == pytest.approx(longest)


def test_the_ends_lie_on_the_outline_in_pixels_of_the_frame():
    mask = np.zeros((3, 9, 12), dtype=bool)
    mask[1, 4, 2:9] = True
    found = measure.diameters_mm(mask, np.diag([0.5, 0.5, 3.0, 1.0]))
    assert found.long == pytest.approx(3.5)
    assert sorted(found.long_ends) == [(2.0, 4.5, 1.0), (9.0, 4.5, 1.0)]
    assert found.short == pytest.approx(0.5)


def test_a_sheared_volume_is_measured_by_its_determinant():
    affine = np.array([[1, 0, 0.4, 0], [0, 1, 0.9, 0], [0, 0, 2.0, 0], [0, 0, 0, 1]])
    assert measure.volume_ml(np.ones((4, 5, 6), dtype=bool), affine) == pytest.approx(4 * 5 * 6 * 2 / 1000)


@settings(max_examples=60, deadline=None)
@given(masks, st.sampled_from(sorted(STRUCTURES)), st.integers(0, 2**16))
def test_components_are_those_of_scipy(mask, connection, seed):
    found = components.find(mask, connection)
    number, count = ndimage.label(mask, STRUCTURES[connection])
    assert len(found) == count
    assert sorted(found.sizes) == sorted(np.bincount(number.ravel(), minlength=count + 1)[1:])
    other = np.random.default_rng(seed).random(mask.shape) < 0.5
    inside = components.counts(found, other)
    for i, bounds in enumerate(found.bounds()):
        piece = found.mask(np.arange(count) == i)
        assert len(np.unique(number[piece])) == 1
        assert [end for one in components.box_of(piece) for end in (one.start, one.stop)] == bounds.tolist()
        assert inside[i] == np.count_nonzero(piece & other)
    assert np.array_equal(found.mask(np.ones(count, dtype=bool)), mask)
    assert np.count_nonzero(found.largest()) == max(found.sizes, default=0)


@settings(max_examples=40, deadline=None)
@given(masks, st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 5)))
def test_morphology_is_that_of_scipy(mask, reach):
    block = np.ones([2 * n + 1 for n in reach])
    assert np.array_equal(components.dilated(mask, reach), ndimage.binary_dilation(mask, block))
    assert np.array_equal(components.eroded(mask, reach), ndimage.binary_erosion(mask, block, border_value=1))
    assert np.array_equal(components.fill_slices(mask), np.array([ndimage.binary_fill_holes(one) for one in mask]))
    assert np.array_equal(components.fill(mask), ndimage.binary_fill_holes(mask))
    assert np.array_equal(components.fill_slices(mask, 0), mask)
