"""Cloud and quality masks of providers, read as the codes of a scene."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hyla.errors import BadItem
from hyla_agriculture.masks import READERS, quality_of, worst
from hyla_agriculture.scene import CLEAR, CLOUD, MISSING, SATURATED, SHADOW, SNOW


def one(value: int, codes: str, dtype: str = "uint16") -> int:
    return int(quality_of(np.array([[value]], dtype), codes)[0, 0])


def test_every_class_of_the_scene_classification() -> None:
    expected = [MISSING, SATURATED, SHADOW, SHADOW, CLEAR, CLEAR, CLEAR, CLEAR, CLOUD, CLOUD, CLOUD, SNOW]
    assert quality_of(np.arange(12, dtype=np.uint8), "scl").tolist() == expected
    assert one(12, "scl", "uint8") == one(255, "scl", "uint8") == MISSING


# Values as USGS lists them (LSDS-1619, table of pixel values).
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1, MISSING),
        (21824, CLEAR),
        (21826, CLOUD),  # dilated
        (21888, CLEAR),  # water
        (22080, CLEAR),  # cloud of medium confidence: still called clear
        (22280, CLOUD),
        (23888, SHADOW),
        (23826, CLOUD),  # shadow in a dilated cloud
        (30048, SNOW),
        (54596, CLOUD),  # cirrus
        (55052, CLOUD),
    ],
)
def test_values_of_qa_pixel(value: int, code: int) -> None:
    assert one(value, "qa_pixel") == code


@settings(deadline=None)
@given(st.integers(0, 65535))
def test_bits_of_qa_pixel(value: int) -> None:
    def bit(n: int) -> bool:
        return bool(value >> n & 1)

    def high(n: int) -> bool:
        return value >> n & 3 == 3

    expected = SNOW if bit(5) or high(12) else CLEAR
    expected = SHADOW if bit(4) or high(10) else expected
    expected = CLOUD if bit(1) or bit(2) or bit(3) or high(8) or high(14) else expected
    assert one(value, "qa_pixel") == (MISSING if bit(0) else expected)


def test_bits_of_qa_radsat() -> None:
    assert one(0, "qa_radsat") == CLEAR
    assert {one(1 << bit, "qa_radsat") for bit in range(9)} == {SATURATED}
    assert one(1 << 9, "qa_radsat") == one(1 << 11, "qa_radsat") == one(1 << 11 | 1, "qa_radsat") == MISSING


def test_fmask_hls_and_plain_masks() -> None:
    assert [one(n, "fmask", "uint8") for n in (0, 1, 2, 3, 4, 5, 255)] == [CLEAR, CLEAR, SHADOW, SNOW, CLOUD, MISSING, MISSING]
    assert [one(n, "hls", "uint8") for n in (0, 1, 2, 4, 8, 16, 32, 0b11000000, 0b1010, 255)] == [
        *(CLEAR, CLOUD, CLOUD, CLOUD, SHADOW, SNOW, CLEAR, CLEAR, CLOUD, MISSING)
    ]
    assert [one(n, codes, "uint8") for codes in ("mask", "shadow", "snow") for n in (0, 7)] == [
        *(CLEAR, CLOUD, CLEAR, SHADOW, CLEAR, SNOW)
    ]


@settings(deadline=None)
@given(
    st.sampled_from(sorted(READERS)),
    st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "i8", "?"]).flatmap(lambda dtype: arrays(dtype, (3, 5))),
)
def test_any_whole_number_has_a_code(codes: str, samples: np.ndarray) -> None:
    found = quality_of(samples, codes)
    assert found.dtype == np.uint8
    assert found.shape == samples.shape
    assert set(np.unique(found)) <= {CLEAR, CLOUD, SHADOW, SNOW, SATURATED, MISSING}
    assert np.array_equal(found[1:, 2:], quality_of(samples[1:, 2:], codes))


def test_masks_of_floats_must_be_whole() -> None:
    floats = np.array([[4.0, 9.0], [np.nan, 3.0]], np.float32)
    assert quality_of(floats, "scl").tolist() == [[CLEAR, CLOUD], [MISSING, SHADOW]]
    with pytest.raises(BadItem, match="whole numbers"):
        quality_of(np.array([[0.5]]), "scl")


@settings(deadline=None)
@given(st.lists(arrays(np.uint8, (4,), elements=st.integers(0, 5)), min_size=1, max_size=4))
def test_the_worst_of_several_masks_wins(parts: list[np.ndarray]) -> None:
    rank = [CLEAR, SNOW, SHADOW, CLOUD, SATURATED, MISSING]
    expected = [max((int(part[i]) for part in parts), key=rank.index) for i in range(4)]
    assert worst(parts).tolist() == expected
    assert np.array_equal(worst([*parts, parts[0]]), worst(parts[::-1]))
