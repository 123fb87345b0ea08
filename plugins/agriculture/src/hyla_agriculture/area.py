"""Measure true areas and lengths on the ellipsoid, whatever the CRS of the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.frame import Frame, MapFrame
from hyla.types import Floats

PIECES = 16  # into which the longer side of a parcel is cut, so that straight edges of a map are followed on the ellipsoid


def hectares(geometries: Sequence[Any] | npt.NDArray[np.object_], crs: Any) -> Floats:
    """Return the geodesic area (n,) in hectares of shapely polygons whose coordinates are in `crs`.

    Edges are straight in `crs`, as GIS take them, and are followed on the WGS84 ellipsoid (Karney 2013, by pyproj.Geod), so that
    Web Mercator, degrees, UTM and an equal-area projection tell the same. Holes are taken off; the parts of a multipolygon are
    summed. NaN for what has coordinates that are no place on Earth; 0 for empty geometries, points and lines.

    Args:
        geometries: polygons and multipolygons; None counts as empty.
        crs: anything pyproj knows: `EPSG:32633`, WKT, a CRS.

    Raises:
        pyproj.exceptions.CRSError: for a CRS that is none.
    """
    import shapely
    from pyproj import Geod

    found = np.asarray(geometries, dtype=object).reshape(-1)
    parts, owner = shapely.get_parts(found, return_index=True)
    polygonal = shapely.get_type_id(parts) == shapely.GeometryType.POLYGON
    parts, owner = parts[polygonal], owner[polygonal]
    total = np.zeros(len(found))
    if not len(parts):
        return total
    box = shapely.bounds(parts)
    side = np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])
    sound = np.isfinite(side)
    parts[sound] = shapely.segmentize(parts[sound], np.maximum(side[sound] / PIECES, 1e-12))
    rings, part = shapely.get_rings(parts, return_index=True)
    first = np.concatenate([[True], part[1:] != part[:-1]])
    points, ring = shapely.get_coordinates(rings, return_index=True)
    lon, lat = _degrees(crs).transform(points[:, 0], points[:, 1])
    starts = np.searchsorted(ring, np.arange(len(rings) + 1))
    geod = Geod(ellps="WGS84")
    for at in range(len(rings)):
        here = slice(starts[at], starts[at + 1] - 1)  # a ring ends where it began
        if np.isfinite(lon[here]).all() and np.isfinite(lat[here]).all():
            size = abs(geod.polygon_area_perimeter(lon[here], lat[here])[0]) / 1e4
        else:
            size = np.nan
        total[owner[part[at]]] += size if first[at] else -size
    return total


def pixel_metres(frame: Frame, size: Sequence[int]) -> tuple[float, float]:
    """Return the true width and height in metres of the pixel at the centre of a raster of `size` (height, width).

    NaN for a frame that is on no map, or a centre that is no place on Earth.
    """
    if not isinstance(frame, MapFrame) or not frame.crs:
        return float("nan"), float("nan")
    from pyproj import Geod

    column, row = size[1] / 2, size[0] / 2
    ends = frame.to_world([[column - 0.5, row], [column + 0.5, row], [column, row - 0.5], [column, row + 0.5]])
    lon, lat = _degrees(frame.crs).transform(ends[:, 0], ends[:, 1])
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return float("nan"), float("nan")
    _, _, metres = Geod(ellps="WGS84").inv(lon[[0, 2]], lat[[0, 2]], lon[[1, 3]], lat[[1, 3]])
    return float(metres[0]), float(metres[1])


def ground_resolution(frame: Frame, size: Sequence[int]) -> float:
    """Return the true size in metres of the pixel at the centre: the side of a square as large as it; see `pixel_metres`."""
    across, down = pixel_metres(frame, size)
    return float(np.sqrt(across * down))


def latitude(frame: Frame, size: Sequence[int]) -> float:
    """Return the latitude in degrees of the centre of a raster of `size` (height, width); NaN where that is no place on Earth."""
    if not isinstance(frame, MapFrame) or not frame.crs:
        return float("nan")
    centre = frame.to_world([[size[1] / 2, size[0] / 2]])
    _, lat = _degrees(frame.crs).transform(centre[:, 0], centre[:, 1])
    return float(lat[0]) if np.isfinite(lat[0]) else float("nan")


@lru_cache(maxsize=32)
def _degrees(crs: Any) -> Any:
    """Return what turns coordinates of `crs` into longitude and latitude; those of a sphere (MODIS) are taken as they are."""
    from pyproj import Transformer

    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
