"""Cut pictures that are too large for a screen into tiles, in pixels: from the raster file where that works, else from memory.

Level `levels - 1` is full size; each level below it has half the width and height, rounded up. Tile x, y of a level begins at
pixel 256 x, 256 y of it. A pixel of a level covers 2**k x 2**k pixels of the picture.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from hyla.errors import BadItem
from hyla.frame import MapFrame
from hyla.images import inside
from hyla.lazy import LazyPixels
from hyla.review import pixels
from hyla.review.pixels import Bytes, Limits, Pixels, Stretch, default_bands, valid
from hyla.types import Bools, Image, Item, Record

TILE = 256
OVERVIEW = 1024  # px of the longer side, at most, of what percentiles are taken from
AVERAGED = 4096  # px a side that are averaged into a tile at most; of more, every n-th is taken
# Extension -> driver of GDAL; none whose files name other files to open, as a VRT does.
DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG", ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


class Raster(Protocol):
    """Read parts of a picture at any level.

    Args:
        size: (height, width) in pixels.
        bands: their names.
        default_bands: those to show at first, from 1.
        dtype: of the samples.
    """

    size: tuple[int, int]
    bands: list[str]
    default_bands: tuple[int, ...]
    dtype: npt.DTypeLike

    def block(self, scale: int, x0: int, y0: int, x1: int, y1: int, bands: Sequence[int]) -> tuple[Pixels, Bools]:
        """Return samples (bands, h, w) of columns x0 to x1 and rows y0 to y1 of the picture made `scale` times smaller.

        Also which of them are valid. `scale` is a power of 2, and the part lies inside the picture.
        """
        ...


class Painted:
    """Paint parts of a raster in 8 bits, with one stretch over the whole of it.

    Args:
        raster: to read.
    """

    def __init__(self, raster: Raster) -> None:
        self.raster = raster
        self.levels = levels(raster.size)
        self._limits: dict[tuple[int, Stretch], Limits] = {}
        self._lock = threading.Lock()

    def tile(self, z: int, x: int, y: int, bands: Sequence[int], stretch: Stretch) -> Bytes | None:
        """Return a tile (256, 256) or (256, 256, 3), black outside the picture; None for one that is not there."""
        if not 0 <= z < self.levels:
            return None
        scale = 2 ** (self.levels - 1 - z)
        height, width = (math.ceil(length / scale) for length in self.raster.size)
        if not (0 <= x < math.ceil(width / TILE) and 0 <= y < math.ceil(height / TILE)):
            return None
        x0, y0 = x * TILE, y * TILE
        part = self.part(scale, x0, y0, min(x0 + TILE, width), min(y0 + TILE, height), bands, stretch)
        whole = np.zeros((TILE, TILE, *part.shape[2:]), dtype=np.uint8)
        whole[: part.shape[0], : part.shape[1]] = part
        return whole

    def part(self, scale: int, x0: int, y0: int, x1: int, y1: int, bands: Sequence[int], stretch: Stretch) -> Bytes:
        """Return a part (h, w) or (h, w, 3) of the picture made `scale` times smaller; see `Raster.block`."""
        samples, known = self.raster.block(scale, x0, y0, x1, y1, bands)
        painted = [
            pixels.to_bytes(one, ok, self.limits(band, stretch)) for one, ok, band in zip(samples, known, bands, strict=True)
        ]
        return painted[0] if len(painted) == 1 else np.stack(painted, axis=-1)

    def fit(self, longest: int) -> Bytes:
        """Return the whole picture with the default bands and stretch, at least `longest` pixels long if it has them."""
        scale = scale_for(max(self.raster.size), longest)
        height, width = (math.ceil(length / scale) for length in self.raster.size)
        raster = self.raster
        return self.part(scale, 0, 0, width, height, raster.default_bands, pixels.default_stretch(raster.dtype))

    def cut(self, window: Sequence[int], longest: int) -> Bytes:
        """Return the part x0, y0, x1, y1 of the picture with the default bands and stretch, at least `longest` pixels long."""
        x0, y0, x1, y1 = window
        scale = scale_for(max(x1 - x0, y1 - y0), longest)
        far = (math.ceil(x1 / scale), math.ceil(y1 / scale))
        raster = self.raster
        return self.part(scale, x0 // scale, y0 // scale, *far, raster.default_bands, pixels.default_stretch(raster.dtype))

    def limits(self, band: int, stretch: Stretch) -> Limits:
        """Return the samples of a band that become black and white; computed once, from an overview."""
        with self._lock:
            if (band, stretch) not in self._limits:
                scale = scale_for(max(self.raster.size), OVERVIEW, above=False)
                height, width = (math.ceil(length / scale) for length in self.raster.size)
                samples, known = self.raster.block(scale, 0, 0, width, height, (band,))
                self._limits[band, stretch] = pixels.limits(samples[0], known[0], stretch)
            return self._limits[band, stretch]


def shown_first(bands: Sequence[str]) -> tuple[int, ...]:
    """Return the bands to show at first, from 1: those called red, green and blue, else as `pixels.default_bands` has it."""
    named = {name.lower(): band + 1 for band, name in reversed(list(enumerate(bands)))}
    rgb = tuple(named[name] for name in ("red", "green", "blue") if name in named)
    return rgb if len(rgb) == 3 else default_bands(len(bands))


def levels(size: Sequence[int]) -> int:
    """Return how many levels a picture (height, width) has: so many that the smallest is one tile."""
    return 1 + max(0, math.ceil(math.log2(max(size) / TILE)))


def scale_for(length: int, wanted: int, above: bool = True) -> int:
    """Return the power of 2 that makes `length` about `wanted`: not less than it, or not more unless `above`."""
    ratio = math.log2(max(1, length) / max(1, wanted))
    return int(2 ** max(0, math.floor(ratio) if above else math.ceil(ratio)))


class Decoded:
    """Read a picture in memory; smaller levels are made when first asked for.

    Args:
        image: (H, W, C).
        nodata: the sample that means nothing, if one does.
    """

    def __init__(self, image: Image, nodata: float | None = None) -> None:
        height, width = image.size
        self.size = (height, width)
        self.bands = [str(band + 1) for band in range(image.pixels.shape[2])]
        self.default_bands = default_bands(image.pixels.shape[2])
        self.dtype: npt.DTypeLike = image.pixels.dtype
        self._nodata = nodata
        self._pyramid = [image.pixels]
        self._lock = threading.Lock()

    def block(self, scale: int, x0: int, y0: int, x1: int, y1: int, bands: Sequence[int]) -> tuple[Pixels, Bools]:
        """Return samples and which are valid; see `Raster.block`."""
        with self._lock:
            while len(self._pyramid) <= (level := scale.bit_length() - 1):
                self._pyramid.append(_half(self._pyramid[-1]))
        part = np.moveaxis(self._pyramid[level][y0:y1, x0:x1], -1, 0)[[band - 1 for band in bands]]
        return part, valid(part, self._nodata)


class Lazy:
    """Read pixels that a loader gives part by part.

    Args:
        pixels: (H, W, C).
        nodata: the sample that means nothing, if one does.
    """

    def __init__(self, pixels: LazyPixels, nodata: float | None = None) -> None:
        self.size = pixels.shape[:2]
        self.bands = list(pixels.bands)
        self.default_bands = shown_first(self.bands)
        self.dtype: npt.DTypeLike = pixels.dtype
        self._pixels, self._nodata = pixels, nodata

    def block(self, scale: int, x0: int, y0: int, x1: int, y1: int, bands: Sequence[int]) -> tuple[Pixels, Bools]:
        """Return samples and which are valid; see `Raster.block`."""
        height, width = self.size
        rows, columns = (y0 * scale, min(y1 * scale, height)), (x0 * scale, min(x1 * scale, width))
        part = np.moveaxis(self._pixels.read(*rows, *columns, [band - 1 for band in bands], scale), -1, 0)
        return part, valid(part, self._nodata)


class OnDisk:
    """Read a raster file along its blocks and overviews, through rio-tiler.

    Args:
        path: of the file; opened anew for each read, since a file that GDAL holds open is one thread's.
        part: column, row, width and height in the file, if the picture is a part of it.
        bands: their names, if the loader knows them better than the file.

    Raises:
        BadItem: if the file can't be opened.
        ImportError: if rio-tiler is not installed.
    """

    def __init__(self, path: Path, part: Sequence[int] | None = None, bands: Sequence[str] = ()) -> None:
        import rio_tiler.reader
        from rasterio.enums import ColorInterp

        self._path, self._reader = path, rio_tiler.reader
        with self._open() as source:
            self.window = tuple(int(v) for v in part) if part else (0, 0, int(source.width), int(source.height))
            self._overview = max([1, *source.overviews(1)])
            shown = [band for band in source.indexes if source.colorinterp[band - 1] != ColorInterp.alpha]
            self.bands = list(bands) or [source.descriptions[band - 1] or str(band) for band in shown]
            if len(self.bands) != len(shown):
                raise BadItem(f"{path.name} has {len(shown)} bands, and the picture {len(self.bands)}")
            self.dtype: npt.DTypeLike = np.dtype(source.dtypes[0])
            colors = {source.colorinterp[band - 1]: band for band in reversed(shown)}
            wanted = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            rgb = tuple(colors[color] for color in wanted if color in colors)
            self.default_bands = rgb if len(rgb) == 3 else shown_first(self.bands)
            self.file_size = (int(source.height), int(source.width))
        self.size = (self.window[3], self.window[2])

    def block(self, scale: int, x0: int, y0: int, x1: int, y1: int, bands: Sequence[int]) -> tuple[Pixels, Bools]:
        """Return samples and which are valid; see `Raster.block`."""
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        column, row, across, down = self.window
        left, top = x0 * scale, y0 * scale
        right, bottom = min(x1 * scale, across), min(y1 * scale, down)
        # Averaging wants every pixel; far below the smallest overview that is too much for one look.
        much = (right - left) * (bottom - top) > (AVERAGED * self._overview) ** 2
        try:
            with self._open() as source:
                read = self._reader.read(
                    source,
                    window=Window(column + left, row + top, right - left, bottom - top),
                    height=y1 - y0,
                    width=x1 - x0,
                    indexes=tuple(bands),
                    resampling_method="nearest" if much or scale == 1 else "average",
                )
        except RasterioError as error:
            raise BadItem(f"{self._path.name} is damaged") from error
        masked = read.array
        known = ~np.ma.getmaskarray(masked)
        return masked.data, known & valid(masked.data, None)

    def _open(self) -> Any:
        import rasterio
        from rasterio.errors import RasterioError

        try:
            return rasterio.open(self._path, driver=DRIVERS[self._path.suffix.lower()])
        except RasterioError as error:
            raise BadItem(f"{self._path.name} can't be read as a raster") from error


def on_disk(record: Record, source: str) -> OnDisk | None:
    """Return the raster file of an item that lies on a map, or None where its pixels have to be loaded.

    Args:
        record: of the item. Its `meta["window"]`, column, row, width and height, says which part of the file it is.
        source: address of the project's items; the file must lie inside.
    """
    part = record.item.meta.get("window")
    if not isinstance(record.frame, MapFrame) or "://" in source or not _is_window(part):
        return None
    root = Path(source).resolve()
    try:
        path = inside(root if root.is_dir() else root.parent, record.item.uri)
        raster = OnDisk(path, part, record.item.meta.get("bands", ())) if _is_raster(path) else None
    except (BadItem, ImportError):
        return None
    if raster is None or raster.size != tuple(record.size) or not raster.bands:
        return None  # the loader gave something else than the file holds
    column, row, width, height = raster.window
    fits = column + width <= raster.file_size[1] and row + height <= raster.file_size[0]
    return raster if fits else None


def nodata_of(item: Item, image: Image) -> float | None:
    """Return the sample that means nothing, where item or image name one as `nodata`."""
    value = item.meta.get("nodata", image.context.get("nodata"))
    return float(value) if isinstance(value, (int, float)) else None


def _is_raster(path: Path) -> bool:
    return path.suffix.lower() in DRIVERS and path.is_file()


def _is_window(part: Any) -> bool:
    """Tell whether `part` says which part of a file is meant; None is the whole of it."""
    return part is None or (isinstance(part, Sequence) and len(part) == 4 and all(isinstance(v, int) and v >= 0 for v in part))


def _half(full: Pixels) -> Pixels:
    """Return a picture (H, W, C) made half as large, each pixel the mean of up to 2 x 2."""
    height, width, bands = full.shape
    half = np.empty((math.ceil(height / 2), math.ceil(width / 2), bands), dtype=full.dtype)
    for band in range(bands):
        one = full[..., band]
        if full.dtype == np.uint8:
            half[..., band] = Pillow.fromarray(np.ascontiguousarray(one)).reduce(2)
        else:
            mean = np.asarray(Pillow.fromarray(one.astype(np.float32)).reduce(2))
            half[..., band] = np.rint(mean) if full.dtype.kind in "iu" else mean
    return half
