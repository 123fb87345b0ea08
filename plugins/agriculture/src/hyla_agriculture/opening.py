"""Open rasters that nobody vouches for: one GDAL driver, nothing fetched unasked, and what a header says checked at once."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Interleaving, MaskFlags
from rasterio.env import set_gdal_config
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as Part

from hyla.errors import BadItem

# What is opened as what, by its ending: GDAL guesses from the content otherwise, and some of its formats are addresses to fetch.
DRIVERS = {".tif": "GTiff", ".tiff": "GTiff", ".jp2": "JP2OpenJPEG", ".vrt": "VRT"}
CACHE = 256 * 2**20  # bytes of decoded blocks that GDAL keeps for the whole process; its own default is 5 % of the memory
MAX_PIXELS = 40_000_000_000  # 200,000 x 200,000; a scene is read by windows, so that its size costs no memory
MAX_BLOCK = 2**30  # bytes that must be decoded in one go
NOWHERE = "127.0.0.1:9"  # the discard port of this machine
# Local files may name others (an overview, a mask) in their metadata: whatever GDAL would fetch for them ends here.
LOCAL = {"CPL_VSIL_CURL_ALLOWED_FILENAME": "nothing", "GDAL_HTTP_PROXY": NOWHERE, "GDAL_HTTPS_PROXY": NOWHERE}
REMOTE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
}

# A raster without a place on the map is refused here, by its transform; the warning would only say it twice.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


@dataclass(frozen=True)
class Header:
    """Hold what a raster says of itself before a sample is read.

    Args:
        path: as it was opened.
        crs: `EPSG:32633`, or WKT where it has no such code.
        transform: six numbers, as `hyla.frame.MapFrame` has them; north is up.
        size: (height, width).
        dtypes: of each band.
        nodata: of each band; None where there is none.
        descriptions: of each band; empty where there is none.
        scales: of each band.
        offsets: of each band.
        alpha: indices, from 1, of bands that say only what is transparent.
        blocks: (height, width) of what is decoded in one go.
        masked: True where a mask or an alpha band says which pixels there are.
        tags: of the raster, then of each band.
    """

    path: str
    crs: str
    transform: tuple[float, float, float, float, float, float]
    size: tuple[int, int]
    dtypes: tuple[str, ...]
    nodata: tuple[float | None, ...]
    descriptions: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    alpha: tuple[int, ...]
    blocks: tuple[int, int]
    masked: bool
    tags: tuple[dict[str, str], ...]

    @property
    def grid(self) -> tuple[Any, ...]:
        """Return what two rasters must share for their pixels to lie on each other."""
        return self.crs, self.transform, self.size


def is_remote(path: str) -> bool:
    """Tell whether `path` is an address that GDAL would fetch from."""
    return "://" in path or path.startswith("/vsi")


def name_of(path: str) -> str:
    """Return the file name of a path or an address, for messages: no folder, and no query, which may hold a secret."""
    return urlsplit(path).path.rsplit("/", 1)[-1] if is_remote(path) else Path(path).name


@contextmanager
def reading(path: str, threads: int = 1) -> Iterator[None]:
    """Set what GDAL may do while it reads `path`, and turn its errors into BadItem."""
    limits = {**REMOTE, "CPL_VSIL_CURL_ALLOWED_FILENAME": _for_gdal(path)} if is_remote(path) else LOCAL
    try:
        with rasterio.Env(GDAL_NUM_THREADS=threads, **limits):
            yield
    except NotGeoreferencedWarning as error:  # where warnings are errors
        raise _no_place(path) from error
    except (RasterioError, UnicodeDecodeError) as error:  # the latter for names in a CRS that are no UTF-8
        raise BadItem(f"{name_of(path)} can't be read: {error.__cause__ or error}", _remedy(path)) from error


def open_raster(path: str) -> Any:
    """Return a rasterio dataset, to be used by one thread at a time; call it inside `reading`.

    Raises:
        BadItem: for a file of another kind.
    """
    _bound()
    if any("\udc80" <= letter <= "\udcff" for letter in path):  # how Python spells bytes that are no UTF-8
        raise BadItem("its name is not UTF-8", "give it another name")
    known = Path(name_of(path)).suffix.lower()
    if known not in DRIVERS and not is_remote(path):
        raise BadItem(f"{name_of(path)} is not a raster that Hyla reads", "convert it with gdal_translate", DRIVERS)
    return rasterio.open(_for_gdal(path), driver=DRIVERS.get(known, "GTiff"))


def header(path: str, max_pixels: int = MAX_PIXELS) -> Header:
    """Return what the raster at `path` says of itself.

    Raises:
        BadItem: for a file that can't be opened, has no place on the map, lies rotated on it or upside down, or is too large.
    """
    if not is_remote(path) and Path(path).is_file() and Path(path).stat().st_size == 0:
        raise BadItem(f"{Path(path).name} is empty", "copy it again from where it came")
    with reading(path), open_raster(path) as source:
        height, width = int(source.height), int(source.width)
        if height * width > max_pixels:
            raise BadItem(
                f"{name_of(path)} has {width} x {height} pixels, more than max_pixels={max_pixels}",
                "raise loader.max_pixels if the file is to be trusted",
            )
        _blocks(source, path)
        return Header(
            path,
            _crs(source, path),
            _transform(source, path),
            (height, width),
            tuple(source.dtypes),
            tuple(None if value is None else float(value) for value in source.nodatavals),
            _descriptions(source),
            tuple(float(value) for value in source.scales),
            tuple(float(value) for value in source.offsets),
            tuple(i for i in source.indexes if source.colorinterp[i - 1] == ColorInterp.alpha),
            tuple(int(n) for n in source.block_shapes[0]),  # type: ignore[arg-type]
            MaskFlags.per_dataset in source.mask_flag_enums[0],
            tuple(_tags(source, index) for index in (0, *source.indexes)),
        )


def last_pixel(source: Any, path: str) -> None:
    """Raise BadItem for a file that is cut off: its last block, which is mostly its last bytes, is decoded. Inside `reading`."""
    try:
        source.read(window=Part(source.width - 1, source.height - 1, 1, 1))
    except RasterioError as error:
        raise BadItem(f"{name_of(path)} is cut off or damaged: {error.__cause__ or error}", _remedy(path)) from error


def _blocks(source: Any, path: str) -> None:
    rows, columns = source.block_shapes[0]
    together = source.count if source.interleaving == Interleaving.pixel else 1
    if rows * columns * together * np.dtype(source.dtypes[0]).itemsize > MAX_BLOCK:
        raise BadItem(
            f"{name_of(path)} is stored in blocks of {columns} x {rows} pixels, more than {MAX_BLOCK >> 20} MiB each",
            "store it in tiles: gdal_translate -of COG in.tif out.tif",
        )


def _crs(source: Any, path: str) -> str:
    if not source.crs or not (source.crs.is_projected or source.crs.is_geographic):
        if source.gcps[0]:
            raise BadItem(
                f"{name_of(path)} has ground control points and no grid on the map",
                "warp it: gdalwarp -r bilinear -t_srs EPSG:xxxx in.tif out.tif",
            )
        raise BadItem(
            f"{name_of(path)} has no coordinate reference system",
            "give it the one it is in: gdal_edit.py -a_srs EPSG:xxxx file.tif",
        )
    code = source.crs.to_epsg(confidence_threshold=100)
    crs = f"EPSG:{code}" if code else str(source.crs.to_wkt())
    if not _is_on_earth(crs):
        raise BadItem(
            f"{name_of(path)} has a coordinate reference system that leads to no place on Earth",
            "give it the one it is in: gdal_edit.py -a_srs EPSG:xxxx file.tif",
        )
    return crs


@lru_cache(maxsize=64)
def _is_on_earth(crs: str) -> bool:
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    except ProjError:
        return False
    return True


def _descriptions(source: Any) -> tuple[str, ...]:
    try:
        return tuple(text or "" for text in source.descriptions)
    except UnicodeDecodeError:  # text of another encoding names nothing, and spoils nothing
        return ("",) * int(source.count)


def _tags(source: Any, index: int) -> dict[str, str]:
    try:
        return dict(source.tags(index) if index else source.tags())
    except UnicodeDecodeError:
        return {}


def _transform(source: Any, path: str) -> tuple[float, float, float, float, float, float]:
    a, b, c, d, e, f = (float(value) for value in source.transform[:6])
    if source.transform.is_identity or a == 0 or e == 0 or not all(map(math.isfinite, (a, b, c, d, e, f))):
        raise _no_place(path)
    if b or d:
        raise BadItem(
            f"{name_of(path)} lies rotated or sheared on the map", "put it on a grid that faces north: gdalwarp in.tif out.tif"
        )
    if e > 0 or a < 0:
        raise BadItem(
            f"{name_of(path)} is stored upside down or mirrored: its first row is not the north, or its first column the west",
            "turn it: gdalwarp in.tif out.tif",
        )
    return a, b, c, d, e, f


def _no_place(path: str) -> BadItem:
    hint = (
        "give it one: gdal_edit.py -a_srs EPSG:xxxx -a_ullr WEST NORTH EAST SOUTH file.tif; photos are read by preset=leaf_photos"
    )
    return BadItem(f"{name_of(path)} has no place on the map (no geotransform)", hint)


def _remedy(path: str) -> str:
    if not is_remote(path):
        return "copy it again from where it came"
    return "is the address right, and may you read it? GDAL takes credentials from the environment (AWS_..., GDAL_HTTP_HEADERS)"


def _for_gdal(path: str) -> str:
    if path.startswith("s3://"):
        return f"/vsis3/{path.removeprefix('s3://')}"
    return f"/vsicurl/{path}" if "://" in path and not path.startswith("/vsi") else path


@cache
def _bound() -> None:
    """Bound GDAL's cache of blocks, once: it belongs to the process, and setting it for each read would empty it each time."""
    import os

    if "GDAL_CACHEMAX" not in os.environ:
        set_gdal_config("GDAL_CACHEMAX", CACHE)
