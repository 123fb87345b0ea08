"""Tell which samples are there: nodata, NaN and saturated detectors, as arrays of the shape of the samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla_agriculture.scene import CLEAR, MISSING, SATURATED

Array = npt.NDArray[Any]
Lost = npt.NDArray[np.bool_] | None  # where samples are none; None for nowhere


class Told:
    """Gather from bands, one after the other, where any is missing or saturated."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.missing, self.saturated = np.zeros(size, np.bool_), np.zeros(size, np.bool_)

    def add(self, samples: Array, lost: Lost, saturated: float | None) -> None:
        """Take in the samples (h, w) of one more band, where they are none, and the sample of a saturated detector."""
        if lost is not None:
            self.missing |= lost
        if saturated is not None and within(samples, saturated):
            self.saturated |= samples == saturated

    def codes(self) -> npt.NDArray[np.uint8]:
        """Return CLEAR, SATURATED or MISSING of each pixel."""
        codes = np.full(self.missing.shape, CLEAR, np.uint8)
        codes[self.saturated] = SATURATED
        codes[self.missing] = MISSING
        return codes


def either(one: Lost, other: Lost) -> Lost:
    """Return where one of two says that there is nothing."""
    if one is None or other is None:
        return other if one is None else one
    return np.asarray(one | other)


def within(samples: Array, value: float) -> bool:
    """Return False where no sample can be `value`, by their range: faster than to compare them all. NaN tell nothing."""
    with np.errstate(invalid="ignore"):
        if not samples.size:
            return False
        # Mostly one of the two tells, and the first sample which.
        return not (value < samples.min() if value < samples.flat[0] else value > samples.max())


def equal(samples: Array, value: float | None) -> Lost:
    """Return where samples, which are finite, are `value`; None for nowhere, or for no value."""
    return samples == value if value is not None and within(samples, value) else None


def without(samples: Array, nodata: float | None) -> Lost:
    """Return where a sample is none: nodata, NaN or infinite."""
    if samples.dtype.kind in "iu" and (nodata is None or not within(samples, nodata)):
        return None
    with np.errstate(over="ignore"):  # -1.8e308 of a file of float32
        lost: Lost = None if nodata is None else np.asarray(samples == samples.dtype.type(nodata))
    if samples.dtype.kind == "f":
        lost = either(lost, ~np.isfinite(samples))
    return lost if lost is not None and lost.any() else None  # nothing is lost mostly, and need not be looked at again


def floats(parts: Sequence[tuple[Array, Lost]]) -> Array:
    """Return samples (n, h, w) as floats with NaN where there are none."""
    found = [samples.astype(np.result_type(samples.dtype, np.float32)) for samples, _ in parts]
    for one, (_, lost) in zip(found, parts, strict=True):
        if lost is not None:
            one[lost] = np.nan
    return np.stack(found)
