"""Small rasters as satellites, drones and careless people make them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.shutil import copy
from rasterio.transform import Affine, from_origin

Array = npt.NDArray[Any]
UTM = "EPSG:32633"
PLACE = from_origin(400_000, 5_800_000, 10, 10)
BANDS = ("blue", "green", "red", "nir")
MSI = ("B02", "B03", "B04", "B08", "B11", "B12")


def samples(bands: int = 4, height: int = 60, width: int = 80, dtype: str = "uint16", seed: int = 0) -> Array:
    """Return (bands, height, width) of ten-thousandths of reflectance between 0.02 and 0.6, no two windows of it alike."""
    drawn = np.random.default_rng(seed).integers(200, 6000, (bands, height, width))
    return drawn.astype(dtype)


def write(
    path: Path,
    values: Array,
    *,
    crs: str | None = UTM,
    transform: Affine | None = PLACE,
    nodata: float | None = None,
    names: Sequence[str] = (),
    scale: float | None = None,
    offset: float | None = None,
    tags: Mapping[str, str] | None = None,
    overviews: Sequence[int] = (),
    alpha: bool = False,
    **profile: Any,
) -> Path:
    """Write (bands, height, width) as a raster; `profile` holds options of GDAL's driver."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    given = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype, "nodata": nodata}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        place = {} if transform is None else {"transform": transform}
        with rasterio.open(path, "w", **{**given, **place, "crs": crs, **profile}) as file:
            if alpha:
                file.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha][-count:]
            file.write(values)
            if names:
                file.descriptions = tuple(names)
            if scale is not None or offset is not None:
                file.scales, file.offsets = [1.0 if scale is None else scale] * count, [offset or 0.0] * count
            if tags:
                file.update_tags(**tags)
            if overviews:
                file.build_overviews(list(overviews), Resampling.nearest)
    return path


def cog(path: Path, values: Array, block: int = 128, **options: Any) -> Path:
    """Write a Cloud Optimized GeoTIFF with overviews."""
    plain = write(path.with_suffix(".plain.tif"), values, **options)
    copy(plain, path, driver="COG", BLOCKSIZE=block, COMPRESS="DEFLATE")
    plain.unlink()
    return path


def band_set(folder: Path, names: Sequence[str], values: Array, form: str = "{}.tif", **options: Any) -> Path:
    """Write each band of (bands, height, width) as a file of its own."""
    for name, one in zip(names, values, strict=True):
        write(folder / form.format(name), one[None], **options)
    return folder


def rotated(path: Path, values: Array) -> Path:
    return write(path, values, transform=PLACE @ Affine.rotation(10))


def south_up(path: Path, values: Array) -> Path:
    return write(path, values, transform=Affine(10, 0, 400_000, 0, 10, 5_790_000))


def control_points(path: Path, values: Array) -> Path:
    """Write a raster that has ground control points and no transform."""
    _, height, width = values.shape
    corners = [(0, 0), (0, width), (height, 0), (height, width)]
    points = [GroundControlPoint(r, c, 15 + c * 1e-4, 52 - r * 1e-4) for r, c in corners]
    return write(path, values, crs="EPSG:4326", transform=None, gcps=points)


def truncated(path: Path, values: Array, keep: float = 0.6) -> Path:
    """Write a raster and cut off its end, as a broken download does."""
    whole = write(path, values, compress="deflate", tiled=True, blockxsize=16, blockysize=16).read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


def huge(path: Path, side: int = 500_000, block: int = 16_384) -> Path:
    """Write a header that claims a raster of `side` x `side` pixels in blocks, none of which is there."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=1,
        height=side,
        width=side,
        dtype="uint8",
        crs=UTM,
        transform=PLACE,
        sparse_ok=True,
        bigtiff="yes",
        tiled=True,
        blockxsize=block,
        blockysize=block,
    ):
        pass
    return path


def vrt(path: Path, files: Sequence[str], size: tuple[int, int], names: Sequence[str] = (), dtype: str = "UInt16") -> Path:
    """Write what `gdalbuildvrt -separate` writes: one band for the first band of each file."""
    height, width = size
    bands = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{n}">'
        + (f"<Description>{names[n - 1]}</Description>" if names else "")
        + f'<SimpleSource><SourceFilename relativeToVRT="1">{file}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/></SimpleSource></VRTRasterBand>'
        for n, file in enumerate(files, 1)
    )
    place = ", ".join(str(value) for value in PLACE.to_gdal())
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{UTM}</SRS><GeoTransform>{place}</GeoTransform>{bands}'
        "</VRTDataset>"
    )
    return path
