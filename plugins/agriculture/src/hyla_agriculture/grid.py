"""Lay rasters of different pixel sizes on one grid, so that any window of the result is the same part of the whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla_agriculture.opening import Header, name_of
from hyla_agriculture.scene import Window

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.intp]
NEAR = 0.01  # pixels by which two grids may be off and still be one


@dataclass(frozen=True)
class Axis:
    """Map positions along one axis of the scene to those of a file: file = scene x scale + shift, in pixels from the edge.

    Args:
        scale: pixels of the file to one of the scene.
        shift: position in the file of the scene's first edge.
        length: pixels of the file.
    """

    scale: float
    shift: float
    length: int

    def nearest(self, start: int, stop: int, step: int = 1) -> Indices:
        """Return the pixel of the file at the middle of each `step` pixels of the scene from `start` to `stop`."""
        first = np.arange(start, stop, step)
        middle = first + np.minimum(step, stop - first) / 2
        return self._clipped(np.floor(middle * self.scale + self.shift))

    def between(self, start: int, stop: int) -> tuple[Indices, Indices, npt.NDArray[np.float32]]:
        """Return, for each pixel of the scene, the pixels of the file before and after its middle, and the latter's share."""
        at = (np.arange(start, stop) + 0.5) * self.scale + self.shift - 0.5
        low = np.floor(at)
        return self._clipped(low), self._clipped(low + 1), (at - low).astype(np.float32)

    def _clipped(self, at: npt.NDArray[np.float64]) -> Indices:
        return np.clip(at, 0, self.length - 1).astype(np.intp)


@dataclass(frozen=True)
class Fit:
    """Say how the pixels of a file lie under those of the scene.

    Args:
        rows: along y.
        columns: along x.
        same: True where they are the same pixels.
    """

    rows: Axis
    columns: Axis
    same: bool


def fit(file: Header, scene: Header) -> Fit:
    """Return how the grid of `file` lies under that of `scene`.

    Raises:
        BadItem: for another CRS, or another extent by more than a pixel of the file.
    """
    if file.crs != scene.crs:
        raise BadItem(
            f"{name_of(file.path)} is in another coordinate reference system than {name_of(scene.path)}",
            "warp all bands to one grid: gdalwarp",
        )
    a, _, c, _, e, f = scene.transform
    a2, _, c2, _, e2, f2 = file.transform
    columns = Axis(a / a2, (c - c2) / a2, file.size[1])
    rows = Axis(e / e2, (f - f2) / e2, file.size[0])
    for axis, length in ((rows, scene.size[0]), (columns, scene.size[1])):
        if abs(axis.shift) > 1 + NEAR or abs(axis.scale * length + axis.shift - axis.length) > 1 + NEAR:
            raise BadItem(
                f"{name_of(file.path)} ({file.size[1]} x {file.size[0]} pixels) does not cover the same ground as "
                f"{name_of(scene.path)} ({scene.size[1]} x {scene.size[0]})",
                "give the bands of a scene one extent: gdalwarp -te, or take the odd one out of the folder",
            )
    off = [axis.shift for axis in (rows, columns)]
    off += [axis.scale * length + axis.shift - length for axis, length in ((rows, scene.size[0]), (columns, scene.size[1]))]
    return Fit(rows, columns, file.size == scene.size and max(map(abs, off)) < NEAR)


def steps(start: int, stop: int, step: int) -> Iterator[tuple[int, int, slice]]:
    """Yield the parts of start to stop that are read in one go with a step: whole steps, and what is left; with their place."""
    whole = (stop - start) // step
    if whole:
        yield start, start + whole * step, slice(0, whole)
    if start + whole * step < stop:
        yield start + whole * step, stop, slice(whole, whole + 1)


def size_of(window: Window, step: int = 1) -> tuple[int, int]:
    """Return (height, width) of what is read of a window with a step."""
    return math.ceil(window.size[0] / step), math.ceil(window.size[1] / step)


def bilinear(values: Array, rows: tuple[Any, ...], columns: tuple[Any, ...]) -> Array:
    """Return samples (n, h, w) in between those of `values` (n, H, W), floats with NaN where there is nothing.

    Weights of what is missing go to its neighbours; NaN where more than half is missing. Each result depends on its four
    neighbours alone, in one order of operations, so that it is the same to the last bit whatever window it is read with.

    Args:
        values: to look between.
        rows: index before, index after, share of the latter, as `Axis.between` gives them.
        columns: the same along x.
    """
    known = ~np.isnan(values)
    if known.all():
        return _between(values, rows, columns)
    plain = _between(np.where(known, values, values.dtype.type(0)), rows, columns)
    weight = _between(known.astype(values.dtype), rows, columns)
    (y0, y1, _), (x0, x1, _) = rows, columns
    across = known[:, :, x0] & known[:, :, x1]
    with np.errstate(divide="ignore", invalid="ignore"):
        mended = np.where(weight >= 0.5, plain / weight, values.dtype.type(np.nan))
    return np.where(across[:, y0] & across[:, y1], plain, mended)


def _between(values: Array, rows: tuple[Any, ...], columns: tuple[Any, ...]) -> Array:
    (y0, y1, down), (x0, x1, across) = rows, columns
    wide = values[:, :, x0] * (1 - across) + values[:, :, x1] * across
    return np.asarray(wide[:, y0] * (1 - down[:, None]) + wide[:, y1] * down[:, None])
