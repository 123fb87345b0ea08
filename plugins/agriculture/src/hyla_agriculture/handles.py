"""Keep rasters open, one handle for each thread: GDAL's handles are one thread's each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from rasterio.windows import Window as Part

from hyla_agriculture.grid import Array, size_of, steps
from hyla_agriculture.opening import Header, header, last_pixel, open_raster, reading
from hyla_agriculture.scene import Window


class Handles:
    """Read windows of raster files, on their own grids, from any thread.

    Args:
        paths: of the files.
        max_pixels: refuse a file with more.
        threads: that GDAL decodes the blocks of one read with.

    Raises:
        BadItem: for a file that can't be opened, has no place on the map, or is too large; see `opening.header`.
    """

    def __init__(self, paths: Sequence[str], max_pixels: int, threads: int = 1) -> None:
        self.headers: dict[str, Header] = {path: header(path, max_pixels) for path in paths}
        self._threads = threads
        self._local, self._lock = threading.local(), threading.Lock()
        self._opened: list[Any] = []

    def read(
        self, path: str, indexes: Sequence[int], part: Window, step: int = 1, mask: bool = False, dtype: Any = None
    ) -> Array:
        """Return samples (n, h, w) of the bands `indexes`, from 1: of every `step` x `step` pixels the middle one.

        Args:
            path: of the file.
            indexes: of the bands, all read in one go.
            part: rows and columns of the file.
            step: for which overviews are used, where the file has any.
            mask: read the file's mask or alpha band instead, 0 where there is nothing.
            dtype: to have samples in while they are copied, which costs least; only with `step` 1.

        Raises:
            BadItem: for a part that can't be read.
        """
        with reading(path, self._threads):
            source = self._handle(path)
            take = source.read_masks if mask else source.read
            if step == 1:
                whole = Part(part.column0, part.row0, part.size[1], part.size[0])
                return np.asarray(take(list(indexes), window=whole, **({} if dtype is None else {"out_dtype": dtype})))
            kind = np.uint8 if mask else np.result_type(*(self.headers[path].dtypes[index - 1] for index in indexes))
            out = np.empty((len(indexes), *size_of(part, step)), kind)
            for row0, row1, down in steps(part.row0, part.row1, step):
                for column0, column1, across in steps(part.column0, part.column1, step):
                    shape = (len(indexes), down.stop - down.start, across.stop - across.start)
                    cell = Part(column0, row0, column1 - column0, row1 - row0)
                    out[:, down, across] = take(list(indexes), window=cell, out_shape=shape)
            return out

    def prove(self, path: str) -> None:
        """Raise BadItem for a file that is cut off."""
        with reading(path, self._threads):
            last_pixel(self._handle(path), path)

    def close(self) -> None:
        """Close all files, in whichever thread they were opened; no read may be under way. A later read opens them again."""
        with self._lock:
            self._local = threading.local()
            for source in self._opened:
                source.close()
            self._opened = []

    def _handle(self, path: str) -> Any:
        mine: dict[str, Any] = self._local.__dict__.setdefault("handles", {})
        if path not in mine:
            mine[path] = open_raster(path)
            with self._lock:
                self._opened.append(mine[path])
        return mine[path]
