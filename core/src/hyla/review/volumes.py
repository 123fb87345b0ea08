"""Serve a volume slice by slice, as int16 that the page itself turns into grey."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hyla.frame import Frame, PatientFrame
from hyla.review import crops
from hyla.review.pixels import Bytes
from hyla.review.problems import Refused
from hyla.types import Image, Kind, Labels

Axis = Literal["axial", "coronal", "sagittal"]
AXES: dict[Axis, int] = {"axial": 0, "coronal": 1, "sagittal": 2}  # the axis of (D, H, W) that the slices follow
MOST = 32  # slices of one request
TOP = 32_000  # what the largest sample becomes where samples must be scaled
FINE = 1000  # floats that span less than this would lose too much by rounding
SAMPLE = 2_000_000  # voxels that the first window is taken from


@dataclass(frozen=True)
class Volume:
    """Hold a volume as it is served.

    Args:
        voxels: (D, H, W) int16.
        scale, offset: served = (sample - offset) * scale; 1 and 0 where samples are served as they are.
        window: centre and width to begin with, of what is served.
        unit: `HU`, or empty.
        image: as the loader gave it; its pixels are `voxels` themselves where those are served as they are.
    """

    voxels: npt.NDArray[np.int16]
    scale: float
    offset: float
    window: tuple[float, float]
    unit: str
    image: Image


def prepare(image: Image) -> Volume:
    """Return what is served of a volume.

    Samples that int16 can hold are served as they are: whole numbers, and floats that span at least 1000 (Hounsfield units),
    which are rounded. All others are scaled so that the least becomes 0 and the largest 32000, and have no unit then; what is no
    number counts as the least. The window comes from the context's `window` (centre, width) or from percentiles 1 and 99.
    """
    voxels, scale, offset = image.pixels, 1.0, 0.0
    if voxels.dtype != np.int16:
        low, high = _range(voxels)
        if not (low >= -32768 and high <= 32767 and (voxels.dtype.kind in "iub" or high - low >= FINE)):
            scale, offset = TOP / (high - low) if high > low else 1.0, low
        voxels = _served(voxels, low, scale, offset)
    unit = "HU" if image.context.get("modality") == "CT" and (scale, offset) == (1.0, 0.0) else ""
    return Volume(voxels, scale, offset, _window(image.context, voxels, scale, offset), unit, image)


def slices(volume: Volume, axis: Axis, first: int, last: int) -> npt.NDArray[np.int16]:
    """Return slices `first` to `last` (n, h, w), little-endian: axial planes are [y][x], coronal [z][x], sagittal [z][y].

    Raises:
        Refused: 422 for a range that is not there or holds more than 32 slices.
    """
    along = AXES[axis]
    if not 0 <= first <= last < volume.voxels.shape[along]:
        raise Refused(422, "slices", f"there are {axis} slices 0 to {volume.voxels.shape[along] - 1}")
    if last - first >= MOST:
        raise Refused(422, "slices", f"at most {MOST} slices are sent at once")
    part = [slice(None)] * 3
    part[along] = slice(first, last + 1)
    return np.ascontiguousarray(np.moveaxis(volume.voxels[tuple(part)], along, 0), dtype="<i2")


def geometry(frame: Frame) -> tuple[list[float] | None, list[list[float]] | None]:
    """Return the spacing in mm along slices, y and x, as a volume's shape counts, and unit vectors in LPS along x, y and slices.

    Both are None where the frame does not place the volume in a patient, or collapses an axis.
    """
    if not isinstance(frame, PatientFrame):
        return None, None
    axes = np.array(frame.affine, dtype=np.float64)[:3, :3].T
    lengths = np.linalg.norm(axes, axis=1)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        return None, None
    return lengths[::-1].tolist(), (axes / lengths[:, None]).tolist()


def strip(volume: Volume, labels: Labels) -> tuple[list[float], Literal["uncertainty", "area"]]:
    """Return one number a slice: `slice_uncertainty` if there is one for each slice, else the labelled voxels.

    It is of the labels' context, as text of numbers with spaces between them (a model wrote it), or of the picture's context.
    """
    depth = volume.voxels.shape[0]
    for context in (labels.context, volume.image.context):
        given = _numbers(context.get("slice_uncertainty"))
        if len(given) == depth:
            return given, "uncertainty"
    total = np.zeros(depth)
    for kind, shape in zip(labels.kind, labels.shape, strict=True):
        if kind == Kind.MASK and len(shape.size) == 3 and shape.size[0] == depth:
            total += crops.slice_areas(shape)
    return total.tolist(), "area"


def _numbers(given: Any) -> list[float]:
    """Return finite numbers that are given as text or as a list; none if one of them is no such number."""
    words = given.split() if isinstance(given, str) else given
    if not isinstance(words, Sequence) or not all(isinstance(one, (str, int, float)) for one in words):
        return []
    try:
        numbers = [float(one) for one in words]
    except ValueError:
        return []
    return numbers if all(math.isfinite(one) for one in numbers) else []


def plane(volume: Volume, index: int) -> Bytes:
    """Return an axial slice (H, W) in grey, through the volume's own window."""
    centre, width = volume.window
    shown = (volume.voxels[index].astype(np.float32) - (centre - width / 2)) * (255 / max(width, 1e-9))
    return np.asarray(np.rint(np.clip(shown, 0, 255)), dtype=np.uint8)


def _range(voxels: npt.NDArray[Any]) -> tuple[float, float]:
    if voxels.dtype.kind != "f":
        return float(voxels.min()), float(voxels.max())
    finite = voxels[np.isfinite(voxels)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _served(voxels: npt.NDArray[Any], low: float, scale: float, offset: float) -> npt.NDArray[np.int16]:
    out = np.empty(voxels.shape, dtype=np.int16)
    for k, one in enumerate(voxels):  # slice by slice, so that memory does not double
        values = one.astype(np.float64)
        if voxels.dtype.kind == "f":
            values = np.where(np.isfinite(values), values, low)
        out[k] = np.rint((values - offset) * scale)
    return out


def _window(context: Mapping[str, Any], voxels: npt.NDArray[np.int16], scale: float, offset: float) -> tuple[float, float]:
    given = context.get("window")
    if isinstance(given, Sequence) and len(given) == 2 and all(isinstance(v, (int, float)) for v in given) and given[1] > 0:
        return float(given[0] - offset) * scale, float(given[1]) * scale
    step = max(1, round((voxels.size / SAMPLE) ** (1 / 3)))
    low, high = np.percentile(voxels[::step, ::step, ::step], (1, 99))
    return float(low + high) / 2, max(1.0, float(high - low))
