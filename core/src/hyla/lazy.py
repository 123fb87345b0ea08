"""Stand for the pixels of a picture too large to hold: a part of them is read when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class LazyPixels(ABC):
    """Read the pixels (H, W, C) of a picture part by part; a loader may give one as `Image.pixels`.

    It is indexed as an array is, by slices or whole numbers along rows, columns and bands, and gives arrays; a slice may have
    a step, so that `pixels[::8, ::8]` is a small picture. `numpy.asarray` reads all of it. Several threads may read at once.

    Args:
        shape: (H, W, C).
        dtype: of the samples.
        bands: their names, as `blue` and `nir`; where red, green and blue are among them, these are what a page shows at first.
    """

    ndim = 3
    nbytes = 0  # held in memory

    def __init__(self, shape: tuple[int, int, int], dtype: npt.DTypeLike, bands: Sequence[str] = ()) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.bands = tuple(bands) or tuple(str(band + 1) for band in range(shape[2]))

    @abstractmethod
    def read(self, row0: int, row1: int, column0: int, column1: int, bands: Sequence[int], step: int = 1) -> Array:
        """Return samples (h, w, len(bands)) of rows row0 to row1 and columns column0 to column1, which lie in the picture.

        Args:
            row0: the first row.
            row1: the row after the last.
            column0: the first column.
            column1: the column after the last.
            bands: from 0.
            step: take one pixel for every `step` x `step`: h and w are the lengths over `step`, rounded up.

        Raises:
            BadItem: for a part that can't be read.
        """

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Array:
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > self.ndim or not all(isinstance(one, (slice, int, np.integer)) for one in keys):
            raise IndexError("these pixels are read by slices and whole numbers: pixels[rows, columns, bands]")
        keys = (*keys, *[slice(None)] * (self.ndim - len(keys)))
        (row0, row1, down), (column0, column1, across) = (_span(one, n) for one, n in zip(keys[:2], self.shape[:2], strict=True))
        bands = range(self.shape[2])[keys[2]] if isinstance(keys[2], slice) else [range(self.shape[2])[keys[2]]]
        if row0 >= row1 or column0 >= column1 or not bands:
            height, width = (len(range(a, b, s)) for a, b, s in ((row0, row1, down), (column0, column1, across)))
            part = np.empty((height, width, len(bands)), self.dtype)
        elif down == across:
            part = self.read(row0, row1, column0, column1, list(bands), down)
        else:
            part = self.read(row0, row1, column0, column1, list(bands))[::down, ::across]
        return part[tuple(slice(None) if isinstance(one, slice) else 0 for one in keys)]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("pixels that are read from a file can't be had without a copy")
        return self[:, :, :].astype(dtype or self.dtype, copy=False)

    def copy(self) -> Array:
        """Return all pixels as an array of one's own."""
        return self[:, :, :]


def _span(key: Any, length: int) -> tuple[int, int, int]:
    """Return start, stop and step, forwards and in the picture, of a slice or a whole number."""
    if not isinstance(key, slice):
        at = range(length)[key]
        return at, at + 1, 1
    start, stop, step = key.indices(length)
    if step < 1:
        raise IndexError("these pixels are read forwards: a step must be 1 or more")
    return start, stop, step
