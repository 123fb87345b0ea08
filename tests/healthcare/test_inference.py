"""Tensors and back, windows within memory, predictions of turned volumes, maps of clicks."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bundle_kit import OBLIQUE, blocks, image
from hyla.errors import ConfigError, StageError
from hyla.types import Click
from hyla_healthcare import augment, guidance, inference
from hyla_healthcare.augment import Pass
from hyla_healthcare.inference import Windows


@pytest.fixture(autouse=True)
def _quiet():
    inference.hush()


def smooth(windows: torch.Tensor) -> torch.Tensor:
    """Be a network that looks one voxel around: a blur with two channels."""
    mean = torch.nn.functional.avg_pool3d(windows, 3, 1, 1, count_include_pad=False)
    return torch.cat([1 - mean, mean], dim=1)


def volume(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand((1, *shape), generator=torch.Generator().manual_seed(seed))


def test_nothing_but_its_own_stages_loads_monai_or_torch():
    modules = "augment, bundle_checks, bundle_files, monai_bundle, segresnet, torchscript, training"
    code = (
        f"from hyla_healthcare import {modules}; import sys; print([m for m in ('monai', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_tensor_says_where_each_voxel_is_as_the_image_does():
    one = image(blocks(), OBLIQUE)
    tensor = inference.to_tensor(one)
    assert tuple(tensor.shape) == (36, 30, 24)
    for z, y, x in ((0, 0, 0), (20, 9, 30), (23, 29, 35)):
        assert float(tensor[x, y, z]) == blocks()[z, y, x]
        lps = one.frame.to_world([[x + 0.5, y + 0.5, z]])[0]
        ras = tensor.affine.numpy() @ (x, y, z, 1)
        np.testing.assert_allclose(ras[:3], lps * (-1, -1, 1), atol=1e-9)
    np.testing.assert_array_equal(inference.to_array(tensor), blocks())
    assert inference.to_array(torch.zeros(2, 36, 30, 24)).shape == (2, 24, 30, 36)


def test_what_is_no_number_becomes_the_smallest():
    pixels = np.array([[[np.nan, 3.0, np.inf], [-7.0, 1.0, -np.inf]]], np.float32)
    assert inference.to_array(inference.to_tensor(image(pixels))).tolist() == [[[-7.0, 3.0, -7.0], [-7.0, 1.0, -7.0]]]
    assert inference.to_array(inference.to_tensor(image(np.full((1, 2, 2), np.nan)))).tolist() == [[[0, 0], [0, 0]]]


@pytest.mark.parametrize("shape", [(40, 33, 21), (5, 6, 7), (16, 16, 16), (1, 50, 1)])
@pytest.mark.parametrize("buffer", [0, 1, 2])
@pytest.mark.parametrize("batch", [1, 3])
def test_windows_give_the_same_whatever_is_seen_at_once_and_kept_where(shape, buffer, batch):
    one = volume(*shape)
    plain = Windows((16, 16, 16), amp=False)(smooth, one)
    assert tuple(plain.shape) == (2, *shape)
    other = Windows((16, 16, 16), sw_batch=batch, buffer=buffer)(smooth, one)
    torch.testing.assert_close(other, plain, atol=1e-6, rtol=0)


class Full:
    """Be a network on a device whose memory holds `most` windows at once."""

    def __init__(self, most: int) -> None:
        self.most, self.seen = most, []

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(windows))
        if len(windows) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return smooth(windows)


def test_where_memory_runs_out_fewer_windows_are_seen_at_once_and_the_answer_is_the_same():
    one = volume(40, 33, 21)
    plain = Windows((16, 16, 16))(smooth, one)
    for most, first in ((4, [4]), (2, [4, 2]), (1, [4, 2, 1])):
        network = Full(most)
        torch.testing.assert_close(Windows((16, 16, 16), sw_batch=4)(network, one), plain, atol=1e-6, rtol=0)
        assert list(dict.fromkeys(network.seen))[: len(first)] == first
    with pytest.raises(torch.OutOfMemoryError):
        Windows((16, 16, 16), sw_batch=4)(Full(0), one)


def test_other_failures_are_not_tried_again():
    calls = []

    def network(windows):
        calls.append(len(windows))
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        Windows((16, 16, 16))(network, volume(20, 20, 20))
    assert len(calls) == 1


def test_half_precision_that_overflows_is_done_again_and_no_numbers_are_refused():
    asked = []

    def run(half: bool) -> torch.Tensor:
        asked.append(half)
        return torch.tensor([np.inf if half else 1.0])

    assert inference.finite(run, amp=True).item() == 1.0
    assert asked == [True, False]
    with pytest.raises(StageError, match="no numbers"):
        Windows((16, 16, 16))(lambda windows: smooth(windows) * np.nan, volume(16, 16, 16))


def test_the_finest_answer_of_several_is_taken():
    one = torch.zeros(1, 2, 4, 4, 4)
    for answer in (one, [one, one[..., ::2]], (one,), {"out": one}, {"out": [one]}):
        assert inference.first(answer) is one


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"mode": "blend"}, "no mode 'blend'"),
        ({"overlap": 1.0}, "overlap is 1.0"),
        ({"sw_batch": 0}, "sw_batch 0"),
        ({"buffer": -1}, "buffer -1"),
        ({"roi": (1, 2)}, r"roi is \[1, 2\]"),
    ],
)
def test_settings_of_windows_are_checked(settings_, says):
    with pytest.raises(ConfigError, match=says):
        Windows(**{"roi": (16, 16, 16), **settings_})


@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_the_axes_of_a_volume_are_told_by_its_affine(order, signs, seed):
    matrix = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[world, axis] = sign
    tilt = np.random.default_rng(seed).uniform(-0.2, 0.2, (3, 3))
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) + tilt) @ matrix * (0.7, 0.8, 3.0)
    assert augment.world_axes(affine) == list(order)


def test_passes_mirror_only_axes_that_keep_sides_unless_asked():
    assert augment.passes(0) == []
    assert augment.passes(3) == [Pass("A"), Pass("S"), Pass("AS")]
    assert augment.passes(5)[3:] == [Pass(shift=0.1), Pass(shift=-0.1)]
    assert augment.passes(2, "") == [Pass(shift=0.1), Pass(shift=-0.1)]
    assert augment.passes(1, "L") == [Pass("L")]
    for count, axes in ((6, "AS"), (-1, "AS"), (1, "X"), (1, "AA")):
        with pytest.raises(ConfigError):
            augment.passes(count, axes)


CHANNELS = {1: "kidney_left", 2: "kidney_right", 3: "liver"}
AFFINE = np.array([[0, 0, -2, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])  # tensor axes: front-back, foot-head, left-right


def sided(one: torch.Tensor) -> torch.Tensor:
    """Be a network that calls what is bright left or right by the half that it is in along the tensor's last axis."""
    bright = (one[0] > 0.5).float()
    half = torch.zeros_like(bright)
    half[..., : one.shape[-1] // 2] = 1
    return torch.stack([1 - bright, bright * half, bright * (1 - half), torch.zeros_like(bright)]) * 20


def test_sides_change_places_where_left_and_right_do():
    one = (volume(6, 5, 8) > 0.5).float()
    plain = sided(one).softmax(0)
    assert augment.swapped(CHANNELS) == {1: 2, 2: 1}
    both = augment.mean(sided, one, [Pass("L")], AFFINE, "softmax", CHANNELS)
    torch.testing.assert_close(both, plain)
    wrong = augment.mean(sided, one, [Pass("L")], AFFINE, "softmax", {})
    assert (wrong - plain).abs().max() > 0.4
    for axes in ("A", "S", "AS"):
        torch.testing.assert_close(augment.mean(sided, one, [Pass(axes)], AFFINE, "softmax", {}), plain)


def test_predictions_that_differ_raise_the_entropy():
    one = volume(6, 6, 6)
    calm = augment.mean(sided, (one > 0.5).float(), augment.passes(3), AFFINE, "softmax", CHANNELS)
    shaky = augment.mean(sided, one, augment.passes(5), AFFINE, "softmax", CHANNELS)
    assert augment.entropy(calm, True).max() < 1e-5
    near = (one[0] - 0.5).abs() < 0.1 * one.std()
    doubt = augment.entropy(shaky, True)
    assert doubt[near].min() > 0.4  # brighter and darker disagree there
    assert doubt[(one[0] - 0.5).abs() > 0.11 * one.std()].max() < 1e-4


def test_entropy_is_in_nats():
    even = torch.full((4, 1, 1, 1), 0.25)
    assert augment.entropy(even, True).item() == pytest.approx(np.log(4))
    assert augment.entropy(torch.tensor([0.5, 1.0, 0.0]).reshape(3, 1, 1, 1), False).flatten().tolist() == pytest.approx(
        [np.log(2), 0, 0], abs=1e-6
    )
    assert augment.slices(np.array([[[0.0, 0.5]], [[1.0, 1.0]], [[1 / 3, 1 / 3]]])) == "0.25 1 0.3333"


def test_probabilities_follow_the_activation():
    answers = torch.tensor([[0.0, 2.0], [0.0, -2.0]]).reshape(2, 2, 1, 1)
    assert augment.probability(answers, "softmax")[0].flatten().tolist() == pytest.approx([0.5, 1 / (1 + np.exp(-4))])
    assert augment.probability(answers, "sigmoid")[:, 1].flatten().tolist() == pytest.approx(
        [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))]
    )
    assert augment.probability(answers, "none").flatten().tolist() == [0, 1, 0, 0]


def test_maps_of_clicks_are_highest_at_the_click():
    one = image(blocks(), OBLIQUE)
    clicks = [Click(30.5, 9.5, 20, True), Click(2.5, 3.5, 4, False), Click(25.5, 9.5, 18, True)]
    at = guidance.points(clicks, inference.ras_affine(one), inference.ras_affine(one))
    np.testing.assert_allclose(at, [[30, 9, 20], [2, 3, 4], [25, 9, 18]], atol=1e-9)
    maps = guidance.maps(at, [0, 1, 0], 3, (36, 30, 24))
    assert maps.dtype == torch.float32
    assert maps[1, 2, 3, 4] == 1
    assert maps[0].max() == 1
    assert not maps[2].any()
    assert np.unravel_index(int(maps[1].argmax()), (36, 30, 24)) == (2, 3, 4)
    outside = guidance.maps(np.array([[-5.0, 9, 99]]), [0], 1, (36, 30, 24))
    assert outside[0, 0, 9, 23] == 1


@given(st.lists(st.tuples(*[st.floats(-2, 60)] * 3), min_size=1, max_size=4), st.tuples(*[st.integers(1, 50)] * 3))
@settings(deadline=None, max_examples=50)
def test_what_is_predicted_again_holds_the_clicks_and_a_whole_window_where_there_is_room(points, shape):
    box = guidance.around(np.array(points), shape, (16, 8, 12))
    for axis, (part, size, roi) in enumerate(zip(box, shape, (16, 8, 12), strict=True)):
        assert 0 <= part.start < part.stop <= size
        assert part.stop - part.start >= min(size, roi)
        for point in points:
            inside = min(max(point[axis], 0), size - 1)
            assert part.start <= inside < part.stop + 1
