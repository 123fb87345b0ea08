"""Say what the samples of a plain raster mean: reflectance in some scale, bytes, or an index; never by a silent guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window as Part

from hyla.errors import BadItem
from hyla_agriculture.opening import Header, name_of, open_raster, reading
from hyla_agriculture.scene import BANDS
from hyla_agriculture.sensors import REFLECTANCE, is_index, table
from hyla_agriculture.sources import BandFile

LOOKED_AT = 32  # pixels a side of each of the nine places that samples of floats are looked at
BRIGHT = 1.5  # reflectance; more is possible only for ice or a mirror
TEN_THOUSANDTHS = (50.0, 20_000.0)  # what the median of reflectance x 10,000 lies between
NEGATIVE = -0.05  # reflectance; less is left by no correction of the atmosphere but that of water and shade
FEW = 0.2  # share of samples that may be less nevertheless


@dataclass(frozen=True)
class Given:
    """Hold what the settings say of plain rasters; None and "" where they say nothing.

    Args:
        bands: names, in order.
        sensor: key of `sensors.SENSORS`.
        scale: physical value = sample x scale + offset.
        offset: see above.
        nodata: sample that means nothing.
    """

    bands: tuple[str, ...] = ()
    sensor: str = ""
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None


def overridden(band: BandFile, given: Given) -> BandFile:
    """Return a band of reflectance with scale, offset and nodata of the settings in place of those that were found."""
    nodata = band.nodata if given.nodata is None else given.nodata
    if is_index(band.name) or band.name.startswith("lwir"):
        return replace(band, nodata=nodata)
    scale = band.scale if given.scale is None else given.scale
    return replace(band, scale=scale, offset=band.offset if given.offset is None else given.offset, nodata=nodata)


def scaled(head: Header, named: Sequence[tuple[int, str]], sensor: str, given: Given) -> tuple[BandFile, ...]:
    """Return the bands of a raster with what turns their samples into physical values.

    In this order: the settings; scale and offset of the file; bytes are 255ths; those of the sensor, for larger whole numbers;
    other whole numbers are ten-thousandths, as most products are. Floats are reflectance, or ten-thousandths where the
    median of nine places of the raster is between 50 and 20,000.

    Args:
        head: of the raster.
        named: index in the file, from 1, and name of each band.
        sensor: key of `sensors.SENSORS`, or "".
        given: the settings.

    Raises:
        BadItem: for floats that are neither reflectance nor ten-thousandths of it: an index, heights, per cent.
    """
    known = table(sensor)
    floats = [index for index, name in named if _kind(head, index) == "f" and _reflects(name)]
    usual = _scale_of_floats(head, floats, given) if floats else 1.0
    bands = []
    for index, name in named:
        kind, own = _kind(head, index), (head.scales[index - 1], head.offsets[index - 1])
        of_sensor = known.get(name)
        if own != (1.0, 0.0):
            scale, offset = own
        elif kind == "f":
            scale, offset = (usual if _reflects(name) else 1.0), 0.0
        elif head.dtypes[index - 1] in ("uint8", "int8"):
            scale, offset = (1 / 255, 0.0) if _reflects(name) else (1.0, 0.0)
        elif of_sensor is not None:
            scale, offset = of_sensor.scale, of_sensor.offset
        else:
            scale, offset = (1.0 if name.startswith("lwir") else REFLECTANCE), 0.0
        nodata = of_sensor.nodata if of_sensor and head.nodata[index - 1] is None and kind != "f" else None
        saturated = 65535.0 if head.dtypes[index - 1] == "uint16" and head.nodata[index - 1] != 65535 else None
        bands.append(overridden(BandFile(name, head.path, index, scale, offset, nodata, saturated), given))
    return tuple(bands)


def _scale_of_floats(head: Header, indexes: Sequence[int], given: Given) -> float:
    """Return the scale of bands of floats that are said to be reflectance, from a look at nine places of the raster."""
    if any((head.scales[i - 1], head.offsets[i - 1]) != (1.0, 0.0) for i in indexes):
        return 1.0
    found = _look(head, indexes, given.nodata)
    values = found[np.isfinite(found)]
    if not values.size:
        return 1.0
    scale = 1.0 if given.scale is None else given.scale
    middle = float(np.median(values)) * scale + (given.offset or 0.0)
    low, high = float(values.min()), float(values.max())
    said = f"{name_of(head.path)} holds numbers between {low:.4g} and {high:.4g}"
    if float((values * scale + (given.offset or 0.0) < NEGATIVE).mean()) > FEW:
        what = "as an index does" if high <= BRIGHT and low >= -BRIGHT else "as heights or temperatures do"
        raise BadItem(
            f"{said}, {what}, and no reflectance",
            "say what its bands are: loader.bands=[ndvi]; only reflectance has band names",
            BANDS,
        )
    if given.scale is not None or middle <= BRIGHT:
        return scale
    if not TEN_THOUSANDTHS[0] < middle < TEN_THOUSANDTHS[1]:
        raise BadItem(
            f"{said}: neither reflectance nor its ten-thousandths", "say what turns them into reflectance: loader.scale=0.01"
        )
    return REFLECTANCE


def _look(head: Header, indexes: Sequence[int], nodata: float | None) -> npt.NDArray[Any]:
    """Return samples (n, k) of nine places that lie evenly on a raster, NaN where there is nothing."""
    height, width = head.size
    rows, columns = (sorted({int(n) for n in np.linspace(0, max(0, size - LOOKED_AT), 3)}) for size in (height, width))
    parts = []
    with reading(head.path), open_raster(head.path) as source:
        for row in rows:
            for column in columns:
                part = Part(column, row, min(LOOKED_AT, width - column), min(LOOKED_AT, height - row))
                parts.append(source.read(list(indexes), window=part).reshape(len(indexes), -1).astype(np.float64))
    found = np.concatenate(parts, axis=1)
    nothing = np.array([[nodata if nodata is not None else head.nodata[i - 1]] for i in indexes], np.float64)
    found[(found == nothing) | (found == 0).all(axis=0)] = np.nan
    return found


def _kind(head: Header, index: int) -> str:
    return np.dtype(head.dtypes[index - 1]).kind


def _reflects(name: str) -> bool:
    return not is_index(name) and not name.startswith("lwir")
