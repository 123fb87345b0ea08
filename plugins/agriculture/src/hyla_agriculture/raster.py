"""Make a scene of raster files: any thread reads windows of it, as samples, as reflectance, and as what hides the ground."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla.frame import MapFrame
from hyla_agriculture import masks
from hyla_agriculture.grid import Array, bilinear, fit, size_of
from hyla_agriculture.handles import Handles
from hyla_agriculture.opening import MAX_PIXELS, Header, is_remote, name_of
from hyla_agriculture.samples import Lost, Told, either, equal, floats, without
from hyla_agriculture.scene import BANDS, CLEAR, CLOUD, MISSING, NODATA, SHADOW, Fields, Scene, Window
from hyla_agriculture.sources import BandFile, MaskFile, SceneFiles

DTYPES = ("uint8", "int16", "uint16", "float32", "float64")  # what samples are given as: the first that holds all of the files'
OVERVIEW = 512  # pixels of the longer side of the picture that the share of cloud is counted on
TELLS = ("scl", "qa_pixel", "fmask", "hls")  # masks that say themselves where there are no data


class RasterScene(Scene):
    """Read windows of a scene from its files. Nothing is kept but open files, one handle for each thread.

    All bands of a file are read at once. Bands of larger pixels are laid bilinearly on the grid of the finest, masks by the
    nearest pixel, in such a way that a window equals the same part of the whole to the last bit. Samples without data are those
    that the band's nodata, the file's mask or alpha band, or NaN say. Where a corner of a file is zero in all bands though it
    says nothing of zero, and no corner is what it says, the file has a collar: what is zero in all bands is no data.

    Args:
        files: what the scene is made of.
        root: what relative paths in `files` start from.
        remote: True to let GDAL fetch from addresses in `files`.
        threads: that GDAL decodes the blocks of one read with.
        max_pixels: refuse a scene with more.
        fields: parcels, where known.

    Raises:
        BadItem: for a file that can't be read, has no CRS, lies rotated, is cut off, or does not cover what the others do.
    """

    def __init__(
        self,
        files: SceneFiles,
        root: Path | None = None,
        *,
        remote: bool = False,
        threads: int = 1,
        max_pixels: int = MAX_PIXELS,
        fields: Fields | None = None,
    ) -> None:
        files.check()
        self.files, self._root = files, root
        paths = list(dict.fromkeys([*map(self._path, files.bands), *map(self._path, files.masks)]))
        if not remote and (far := [path for path in paths if is_remote(path)]):
            raise BadItem(
                f"{files.uri} names {name_of(far[0])} on another machine, and nothing is fetched unasked",
                "name the address itself as the source, or allow the addresses in local metadata: loader.remote=true",
            )
        self._files = Handles(paths, max_pixels, threads)
        for path in paths:
            if not is_remote(path):  # to fetch the last block of each file costs seconds
                self._files.prove(path)
        self._local = threading.local()
        grid = self._finest()
        self._fits = {path: fit(one, grid) for path, one in self._files.headers.items()}
        super().__init__((*grid.size, len(files.bands)), self._common(), [b.name for b in files.bands], grid.blocks, fields)
        self.frame = MapFrame(grid.transform, grid.crs)
        self._nodata = [self._missing(band) for band in files.bands]
        self._collars: set[str] = set()
        self._collars = {path for path in dict.fromkeys(map(self._path, files.bands)) if self._is_collared(path)}
        self.nodata = self._sample_of_nothing()
        self._telling = self._bands_that_tell()

    def read(self, row0: int, row1: int, column0: int, column1: int, bands: Sequence[int], step: int = 1) -> Array:
        """Return samples (h, w, len(bands)) as stored; `nodata` where there are none. See `LazyPixels.read`."""
        window = Window(row0, row1, column0, column1)
        out = np.empty((*size_of(window, step), len(bands)), self.dtype)
        for place, samples, lost in self._parts(bands, window, step):
            if samples.dtype.kind == "f" and self.dtype.kind != "f":  # laid on a finer grid
                samples = np.rint(np.nan_to_num(samples))
            out[:, :, place] = samples
            if lost is not None and self.nodata is not None:
                out[:, :, place][lost] = self.nodata
        return out

    def reflectance(self, window: Window, bands: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return physical values; see `Scene.reflectance`."""
        if unknown := [band for band in bands if band not in self.bands]:
            raise BadItem(
                f"{self.files.uri} has no band {', '.join(unknown)}, but {', '.join(self.bands)}",
                "choose an index that needs no such band; if bands have wrong names, name them: loader.bands=[...]",
            )
        positions = [self.bands.index(band) for band in bands]
        path = self._plain(positions)
        if path is None:
            out = np.empty((len(bands), *window.size), np.float32)
            parts = self._parts(positions, window)
        else:
            out = self._files.read(path, [self.files.bands[one].index for one in positions], window, dtype=np.float32)
            parts = ((place, samples, equal(samples, self._nodata[positions[place]])) for place, samples in enumerate(out))
        told = Told(window.size)
        for place, samples, lost in parts:
            band = self.files.bands[positions[place]]
            if positions[place] in self._telling:
                told.add(samples, lost, band.saturated)
            with np.errstate(over="ignore", invalid="ignore"):  # nodata of float64 is mostly -1.8e308
                if path is None:
                    out[place] = samples  # faster than to multiply and convert in one step
                out[place] *= np.float32(band.scale)
            if band.offset:
                out[place] += np.float32(band.offset)
            if lost is not None:
                out[place][lost] = np.nan
        self._local.told = (window, frozenset(positions), told)  # `quality` is mostly asked for the same window next
        return out

    def quality(self, window: Window) -> npt.NDArray[np.uint8]:
        """Return what is known of each pixel; see `Scene.quality`."""
        return self._quality(window)

    def cloud_share(self) -> float | None:
        """Return the share, 0 to 1, of the pixels with data that the masks call cloud or shadow, counted on an overview.

        None where there is no mask; 1 where no pixel has data.
        """
        if not self.files.masks:
            return None
        whole = Window(0, self.shape[0], 0, self.shape[1])
        codes = self._quality(whole, max(1, math.ceil(max(self.shape[:2]) / OVERVIEW)))
        known = codes[codes != MISSING]
        return float(np.isin(known, (CLOUD, SHADOW)).mean()) if known.size else 1.0

    def close(self) -> None:
        """Close the files, in whichever thread they were opened; no read may be under way. A later read opens them again."""
        self._files.close()

    def _quality(self, window: Window, step: int = 1) -> npt.NDArray[np.uint8]:
        parts = [self._mask(mask, window, step) for mask in self.files.masks]
        if self._telling:
            parts.append(self._told(window, step))
        return masks.worst(parts) if len(parts) > 1 else parts[0] if parts else np.full(size_of(window, step), CLEAR, np.uint8)

    def _told(self, window: Window, step: int) -> npt.NDArray[np.uint8]:
        """Return what the samples themselves say: MISSING or SATURATED."""
        known, seen, told = getattr(self._local, "told", (None, frozenset(), None))
        if told is None or known != window or step > 1:
            seen, told = frozenset(), Told(size_of(window, step))
        others = [position for position in self._telling if position not in seen]
        for place, samples, lost in self._parts(others, window, step):
            told.add(samples, lost, self.files.bands[others[place]].saturated)
        self._local.told = None, frozenset(), None  # it has taken in what nobody may ask for again
        return told.codes()

    def _parts(self, positions: Sequence[int], window: Window, step: int = 1) -> Iterator[tuple[int, Array, Lost]]:
        """Yield place in `positions`, samples (h, w) on the grid of the scene, and where there are none, file by file."""
        by_file: dict[str, list[int]] = {}
        for place, position in enumerate(positions):
            by_file.setdefault(self._path(self.files.bands[position]), []).append(place)
        for path, places in by_file.items():
            of = [positions[place] for place in places]
            if self._fits[path].same:
                yield from zip(places, *zip(*self._stored(path, of, window, step), strict=True), strict=True)
                continue
            for place, laid in zip(places, self._laid(path, of, window, step), strict=True):
                yield place, laid, np.isnan(laid)

    def _plain(self, positions: Sequence[int]) -> str | None:
        """Return the one file that has all these bands on the scene's grid, and can be read as float32, which costs little.

        None where there is none, where float32 would not hold its samples exactly, or where a mask or collar has its say.
        """
        paths = {self._path(self.files.bands[position]) for position in positions}
        path = paths.pop() if len(paths) == 1 else ""
        if not path or not self._fits[path].same or path in self._collars or self._files.headers[path].masked:
            return None
        kinds = {self._files.headers[path].dtypes[self.files.bands[position].index - 1] for position in positions}
        return path if kinds <= {"uint8", "int8", "int16", "uint16"} else None

    def _laid(self, path: str, positions: Sequence[int], window: Window, step: int) -> Array:
        """Return samples (n, h, w) of a file of other pixels on the grid of the scene, floats with NaN where there are none."""
        if step > 1:
            part, every, pick = self._below(path, window, step)
            return np.asarray(floats(self._stored(path, positions, part, every))[pick])
        rows = self._fits[path].rows.between(window.row0, window.row1)
        columns = self._fits[path].columns.between(window.column0, window.column1)
        part = Window(int(rows[0][0]), int(rows[1][-1]) + 1, int(columns[0][0]), int(columns[1][-1]) + 1)
        stored = floats(self._stored(path, positions, part))
        return bilinear(stored, _from(rows, part.row0), _from(columns, part.column0))

    def _below(self, path: str, window: Window, step: int) -> tuple[Window, int, Any]:
        """Return what to read of a file of other pixels, every how many, and which of these lie nearest to those of the scene."""
        lying = self._fits[path]
        rows = lying.rows.nearest(window.row0, window.row1, step)
        columns = lying.columns.nearest(window.column0, window.column1, step)
        part = Window(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)
        every = max(1, math.floor(step * min(lying.rows.scale, lying.columns.scale)))
        return part, every, (..., ((rows - part.row0) // every)[:, None], (columns - part.column0) // every)

    def _mask(self, mask: MaskFile, window: Window, step: int) -> npt.NDArray[np.uint8]:
        path = self._path(mask)
        if self._fits[path].same:
            return masks.quality_of(self._files.read(path, [mask.index], window, step)[0], mask.codes)
        part, every, pick = self._below(path, window, step)
        return masks.quality_of(self._files.read(path, [mask.index], part, every)[0][pick], mask.codes)

    def _stored(self, path: str, positions: Sequence[int], part: Window, step: int = 1) -> list[tuple[Array, Lost]]:
        """Return samples (h, w) of bands of one file on its own grid, each with where there are none."""
        indexes = [self.files.bands[position].index for position in positions]
        collar = path in self._collars
        found = self._files.read(path, range(1, len(self._files.headers[path].dtypes) + 1) if collar else indexes, part, step)
        lost: Lost = np.asarray(~found.any(axis=0)) if collar else None
        if collar:
            found = found[[index - 1 for index in indexes]]
        if self._files.headers[path].masked:
            lost = either(lost, self._files.read(path, indexes[:1], part, step, mask=True)[0] == 0)
        return [
            (samples, either(lost, without(samples, self._nodata[position])))
            for position, samples in zip(positions, found, strict=True)
        ]

    def _path(self, file: BandFile | MaskFile) -> str:
        return file.path if is_remote(file.path) or self._root is None else str(self._root / file.path)

    def _finest(self) -> Header:
        """Return the header of the finest band; a panchromatic one would make all others larger than they are."""
        seen = [self._files.headers[self._path(band)] for band in self.files.bands if band.name in BANDS]
        seen = seen or [self._files.headers[self._path(band)] for band in self.files.bands]
        return min(seen, key=lambda one: abs(one.transform[0] * one.transform[4]))

    def _common(self) -> np.dtype[Any]:
        """Return the type that samples are given as: one that holds those of all bands, and NODATA where they are floats."""
        every: list[BandFile | MaskFile] = [*self.files.bands, *self.files.masks]
        for file in every:
            count, path = len(self._files.headers[self._path(file)].dtypes), self._path(file)
            if not 1 <= file.index <= count:
                what = file.name if isinstance(file, BandFile) else f"a mask of kind {file.codes}"
                raise BadItem(f"{name_of(path)} has {count} bands, no band {file.index} ({what})", "get the product again")
        kinds = [self._files.headers[self._path(band)].dtypes[band.index - 1] for band in self.files.bands]
        for name in DTYPES:
            if all(np.can_cast(kind, name) for kind in kinds):
                return np.dtype(name)
        raise BadItem(
            f"{self.files.uri} holds samples of the type {', '.join(sorted(set(kinds)))}", "convert it: gdal_translate -ot"
        )

    def _missing(self, band: BandFile) -> float | None:
        """Return the sample that means nothing in a band, if there is one that can occur; NaN is looked for anyway."""
        header = self._files.headers[self._path(band)]
        value = header.nodata[band.index - 1] if band.nodata is None else band.nodata
        kind = np.dtype(header.dtypes[band.index - 1])
        if value is None or math.isnan(value):
            return None
        if kind.kind in "iu" and not (value == int(value) and np.iinfo(kind).min <= value <= np.iinfo(kind).max):
            return None
        return float(value)

    def _is_collared(self, path: str) -> bool:
        """Tell whether a corner of a file of several bands is zero in all of them, and no corner is what it declares as nothing.

        Only of a file whose layout does not know what its bands mean by nothing.
        """
        header = self._files.headers[path]
        own = [n for n, band in enumerate(self.files.bands) if self._path(band) == path]
        if len(own) < 2 or len(own) < len(header.dtypes) or header.masked or any(self._nodata[n] == 0 for n in own):
            return False
        rows, columns = (0, header.size[0] - 1), (0, header.size[1] - 1)
        corners = [Window(row, row + 1, column, column + 1) for row in rows for column in columns]
        found = np.stack([self._files.read(path, range(1, len(own) + 1), corner)[:, 0, 0] for corner in corners])
        declared = any((found[:, self.files.bands[n].index - 1] == self._nodata[n]).any() for n in own)
        return not declared and bool((found == 0).all(axis=1).any())

    def _sample_of_nothing(self) -> float | None:
        if self.dtype.kind == "f":
            return NODATA
        declared = [value for value in self._nodata if value is not None]
        return declared[0] if declared else 0.0 if self._collars or any(h.masked for h in self._files.headers.values()) else None

    def _bands_that_tell(self) -> list[int]:
        """Return the bands that say where there are no data or a saturated detector, if any can and no mask does."""
        if any(mask.codes in TELLS for mask in self.files.masks):
            return []
        finest = [n for n, band in enumerate(self.files.bands) if self._fits[self._path(band)].same]
        seen = [n for n in finest if not self.bands[n].startswith("lwir")] or finest
        return [n for n in seen if self._can_tell(n)]

    def _can_tell(self, position: int) -> bool:
        band = self.files.bands[position]
        header = self._files.headers[path := self._path(band)]
        floats = np.dtype(header.dtypes[band.index - 1]).kind == "f"
        return floats or header.masked or path in self._collars or (self._nodata[position], band.saturated) != (None, None)


def _from(axis: tuple[Any, Any, Any], start: int) -> tuple[Any, Any, Any]:
    return axis[0] - start, axis[1] - start, axis[2]
