"""Bring geometries from one CRS into another so that they stay valid: also across the antimeridian and around a pole."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError
from shapely import affinity

from hyla.errors import FormatError
from hyla.types import Floats, Objects

DEGREES = "EPSG:4326"


@lru_cache(maxsize=64)
def crs_of(name: str) -> CRS:
    """Return the CRS called `name` (`EPSG:32633`, WKT, PROJ text); raise FormatError for a name that is none."""
    try:
        return CRS.from_user_input(name)
    except CRSError as error:
        raise FormatError(f"{name[:200]!r} is no coordinate reference system", "write it as EPSG:xxxx or as WKT") from error


def same(a: str, b: str) -> bool:
    """Tell whether two names mean one CRS, numbers being given as x (or longitude) first in both."""
    return a == b or crs_of(a) == crs_of(b)


def common(names: list[str]) -> str:
    """Return the CRS that all `names` mean, or EPSG:4326 where they differ or there is none."""
    return names[0] if names and all(same(names[0], other) for other in names[1:]) else DEGREES


def reproject(geometries: Objects, source: str, target: str, *, wrap: bool = False) -> Objects:
    """Return `geometries` (n,) in the CRS `target`, None for each that has no place there (its coordinates are not finite).

    Vertices are moved and none is added between them. In degrees, what crosses the antimeridian is cut there (RFC 7946, 3.1.9)
    and what goes around a pole reaches up to it. An area that crosses itself afterwards is made valid.

    Args:
        geometries: shapely, or None.
        source: CRS of the coordinates, x or longitude first.
        target: CRS to bring them into.
        wrap: cut at the antimeridian also where both are the same degrees, as for a raster from 179 to 181 degrees.
    """
    if same(source, target):
        return cut(geometries, explicit=True) if wrap else geometries
    moved = moved_to(geometries, source, target)
    if crs_of(target).is_geographic:
        moved = cut(moved, explicit=crs_of(source).is_geographic)
    return valid(moved)


def moved_to(geometries: Objects, source: str, target: str) -> Objects:
    """Return `geometries` with each vertex moved into the CRS `target`, None for those with a vertex that has no place there."""
    if same(source, target):
        return geometries
    x, y = _transformer(source, target).transform(*shapely.get_coordinates(geometries).T)
    good = np.isfinite(x) & np.isfinite(y)
    owner = shapely.get_coordinates(geometries, return_index=True)[1]
    lost = np.zeros(len(geometries), dtype=bool)
    lost[owner[~good]] = True
    points = np.stack([np.where(good, x, 0.0), np.where(good, y, 0.0)], axis=1)
    moved: Objects = shapely.set_coordinates(geometries.copy(), points)
    moved[lost] = None
    return moved


def valid(geometries: Objects) -> Objects:
    """Return `geometries`, of which areas that cross themselves are made valid; None for those of which nothing is left."""
    broken = np.flatnonzero(~shapely.is_valid(geometries) & ~shapely.is_missing(geometries))
    if len(broken):
        geometries = geometries.copy()
        for at in broken.tolist():
            geometries[at] = repaired(geometries[at])
    return geometries


def repaired(geometry: Any) -> Any:
    """Return an area whose rings touch or cross by rounding as a valid one, outlines less holes; None if nothing is left."""
    return areas_of(shapely.make_valid(geometry, method="structure", keep_collapsed=False))


def areas_of(geometry: Any) -> Any:
    """Return the polygon or multipolygon in a geometry of any type, None if it has no area."""
    parts = shapely.get_parts(geometry)
    while (shapely.get_type_id(parts) > shapely.GeometryType.MULTILINESTRING).any():
        parts = shapely.get_parts(parts)
    parts = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)]
    return None if not len(parts) else parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def cut(geometries: Objects, *, explicit: bool) -> Objects:
    """Return geometries in degrees cut at the antimeridian, all longitudes between -180 and 180.

    Args:
        geometries: in degrees, longitude first.
        explicit: True if their longitudes mean what they say; False if they came out of a projection, where an edge always goes
            the shorter way round.
    """
    west, _, east, _ = shapely.bounds(geometries).reshape(-1, 4).T
    with np.errstate(invalid="ignore"):  # None has bounds of NaN
        over = (west < -180) | (east > 180) | (not explicit and (east - west > 180))
    if over.any():
        geometries = geometries.copy()
        for at in np.flatnonzero(over).tolist():
            geometries[at] = _cut(geometries[at], explicit)
    return geometries


def _cut(geometry: Any, explicit: bool) -> Any:
    parts = shapely.get_parts(geometry)
    if geometry.geom_type in ("Point", "MultiPoint"):
        x, y = shapely.get_coordinates(geometry).T
        points = shapely.points((x + 180) % 360 - 180, y)
        return points[0] if geometry.geom_type == "Point" else shapely.multipoints(points)
    if geometry.geom_type in ("LineString", "MultiLineString"):
        lines = [_within(shapely.LineString(_unwrapped(shapely.get_coordinates(one), explicit))) for one in parts]
        return shapely.line_merge(shapely.union_all(lines))
    whole = []
    for one in parts:
        outline, *holes = (_region(shapely.get_coordinates(ring), explicit) for ring in shapely.get_rings(one))
        whole.append(shapely.difference(outline, shapely.union_all(holes)))
    return areas_of(shapely.union_all(whole))


def _region(ring: Floats, explicit: bool) -> Any:
    """Return the area in a closed ring; one whose longitude does not come back to its start goes around a pole."""
    ring = _unwrapped(ring, explicit)
    if abs(ring[-1, 0] - ring[0, 0]) > 180:
        pole = np.copysign(90.0, ring[:, 1].mean())
        ring = np.concatenate([ring, [(ring[-1, 0], pole), (ring[0, 0], pole)]])
    return _within(shapely.make_valid(shapely.Polygon(ring)))


def _unwrapped(points: Floats, explicit: bool) -> Floats:
    return points if explicit else np.stack([np.unwrap(points[:, 0], period=360), points[:, 1]], axis=1)


def _within(geometry: Any) -> Any:
    """Return a geometry with what lies beyond 180 degrees moved to where it is."""
    west, _, east, _ = shapely.bounds(geometry)
    pieces = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.ceil((east + 180) / 360))):
        piece = shapely.intersection(geometry, shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90))
        pieces.append(affinity.translate(piece, -360.0 * turn))
    return shapely.union_all(pieces)


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer:
    try:
        return Transformer.from_crs(crs_of(source), crs_of(target), always_xy=True)
    except ProjError as error:  # no place on this Earth: a drawing's own system, or another planet
        what = f"there is no way from the coordinates of {crs_of(source).name!r} to {crs_of(target).name!r}"
        raise FormatError(what, "give the file the CRS it was drawn in") from error
