"""Turn the shapes of labels into geometries in pixels, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import shapely

from hyla import geometry
from hyla.errors import StageError
from hyla.types import Floats, Kind, Labels, Objects, Rle
from hyla_agriculture.reprojection import areas_of, repaired

AREAS = ("box", "rotated_box", "polygon", "mask")
DUST = 1e-6  # square pixels: what rings that cross leave behind by rounding
NEAR = 1e-3  # pixels by which an outline may be off the box that it is said to be
PIXELS = 10**9  # of a mask that is made
BEYOND = 0.5  # pixels that a label may lie outside its raster: what a schema accepts


def geometries(labels: Labels) -> Objects:
    """Return the labels (n,) as geometries in pixels: valid areas, points and lines; None for what has no extent.

    Rings are read by the even-odd rule. Of keypoints, a single point that is not absent is a point.
    """
    out = np.full(len(labels), None, dtype=object)
    for row, (kind, shape) in enumerate(zip(labels.kind.tolist(), labels.shape, strict=True)):
        match kind:
            case Kind.BOX:
                out[row] = shapely.box(*labels.box[row])
            case Kind.ROTATED_BOX:
                out[row] = shapely.Polygon(geometry.rotated_corners(shape))
            case Kind.POLYGON:
                out[row] = shapely.Polygon(shape[0], shape[1:])
            case Kind.MASK if isinstance(shape, Rle):
                out[row] = _mask(shape)
            case Kind.KEYPOINTS if len(shape) == 1 and shape[0, 2] > 0:
                out[row] = shapely.Point(shape[0, :2])
            case Kind.POLYLINE:
                line = shapely.LineString(shape)
                out[row] = line if line.length > 0 else None
    area = np.isin(labels.kind, (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.MASK))
    odd = area & ((labels.kind == Kind.POLYGON) & ~shapely.is_valid(out) | (shapely.area(out) <= 0))
    for row in np.flatnonzero(odd).tolist():
        out[row] = even_odd(labels.shape[row]) if labels.kind[row] == Kind.POLYGON else None
    return out


def even_odd(rings: Sequence[Any]) -> Any:
    """Return what rings (k, 2) fill by the even-odd rule as a valid polygon or multipolygon, None if that is nothing."""
    # make_valid reads a ring that crosses itself by the same rule.
    whole = areas_of(reduce(shapely.symmetric_difference, [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]))
    parts = shapely.get_parts(whole)
    return areas_of(shapely.multipolygons(parts[shapely.area(parts) > DUST]))


def row_of(word: str, found: Any, size: Sequence[int]) -> dict[str, Any]:
    """Return kind, box and shape, as `hyla.formats.record` takes them, of a geometry in pixels; the inverse of `geometries`.

    What lies outside the raster is cut off. An area said to be a box that is none becomes a polygon.

    Args:
        word: kind of label, such as `polygon`.
        found: area, point or line.
        size: (height, width) of the raster.

    Raises:
        StageError: for a geometry that is not of the kind, or lies outside the raster.
    """
    found = _clipped(shapely.force_2d(found), size)
    if word in AREAS:
        found = areas_of(found) if shapely.is_valid(found) else repaired(found)
        if found is None:
            raise StageError(f"its geometry has no area on the raster, so it is no {word.replace('_', ' ')}")
        return _area(word, found, size)
    if len(parts := shapely.get_parts(found)) == 1:
        found = parts[0]
    elif word == "polyline":
        found = shapely.line_merge(found)
    points = shapely.get_coordinates(found)
    fits = {"keypoints": "Point", "polyline": "LineString"}.get(word) == found.geom_type and len(points) > 0
    if not fits:
        raise StageError(f"its geometry, a {found.geom_type}, is no {word} on the raster")
    shape = np.array([[*points[0], 2.0]]) if word == "keypoints" else points
    return {"kind": word, "box": list(shapely.bounds(found).tolist()), "shape": shape}


def kinds_of(geom_type: str) -> tuple[str, ...]:
    """Return the kinds of label that a geometry of this type may be, the best first."""
    if geom_type.endswith("Polygon") or geom_type == "GeometryCollection":
        return ("polygon", "mask", "box")
    return ("keypoints",) if geom_type.endswith("Point") else ("polyline",)


def _area(word: str, found: Any, size: Sequence[int]) -> dict[str, Any]:
    bounds = shapely.bounds(found)
    rings = [shapely.get_coordinates(ring)[:-1] for part in shapely.get_parts(found) for ring in shapely.get_rings(part)]
    box: dict[str, Any] = {"kind": word, "box": bounds.tolist(), "shape": None}
    around = shapely.oriented_envelope(found) if word == "rotated_box" else shapely.box(*bounds)
    if abs(around.area - found.area) <= NEAR * found.length:
        if word == "box":
            return box
        if word == "rotated_box":
            return box | {"shape": _rotated(rings[0] if len(rings[0]) == 4 else shapely.get_coordinates(around)[:-1])}
    if word == "mask":
        if math.prod(size) > PIXELS:
            raise StageError(f"a mask of {math.prod(size)} pixels is too large")
        rle = geometry.encode(geometry.rasterize(rings, size))
        shape = {"size": list(rle.size), "counts": rle.counts.decode("ascii")}
        return box | {"shape": shape, "box": geometry.rle_bounds(rle).tolist()}
    return box | {"kind": "polygon", "shape": rings}


def _rotated(corners: Floats) -> Floats:
    """Return (5,) of the corners (4, 2) of a rotated box, its angle the one nearest to 0."""
    if not shapely.LinearRing(corners).is_ccw:  # counter-clockwise with y upwards is clockwise as seen, as the angle is
        corners = corners[::-1]
    sides = np.roll(corners, -1, axis=0) - corners
    first = int(np.argmin(np.abs(np.arctan2(sides[:, 1], sides[:, 0]))))
    across, down = np.linalg.norm(sides[[first, (first + 1) % 4]], axis=1)
    return np.array([*corners.mean(axis=0), across, down, np.arctan2(sides[first, 1], sides[first, 0])])


def _clipped(found: Any, size: Sequence[int]) -> Any:
    height, width = size
    x0, y0, x1, y1 = shapely.bounds(found)
    if x0 >= -BEYOND and y0 >= -BEYOND and x1 <= width + BEYOND and y1 <= height + BEYOND:
        return found
    if not shapely.is_valid(found):
        found = repaired(found)
    return shapely.intersection(found, shapely.box(0, 0, width, height))


def _mask(rle: Rle) -> Any:
    from hyla_agriculture.polygons import polygons

    mask = geometry.decode(rle)
    x0, y0, x1, y1 = geometry.rle_bounds(rle).astype(int)
    if x0 == x1:
        return None
    found = polygons(mask[y0:y1, x0:x1].astype(np.uint8), offset=(float(x0), float(y0)))
    regions = [shapely.Polygon(rings[0], rings[1:]) for _, rings in found]
    return repaired(shapely.multipolygons(regions)) if regions else None
