"""Read parcels from a file into the pixels of a scene."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hyla.errors import BadItem, ConfigError, HylaError
from hyla.frame import MapFrame
from hyla.types import Bools, Floats, Objects
from hyla_agriculture.area import hectares
from hyla_agriculture.columns import Columns, declared_hectares, guess, season_of, words
from hyla_agriculture.parcel_files import Box, ParcelFile, describe, rows
from hyla_agriculture.scene import Fields
from hyla_agriculture.zonal import outlines

NAMES = ("fields", "parcels")  # of the file that is looked for beside the rasters
ORDER = (".gpkg", ".parquet", ".geoparquet", ".geojson", ".shp", ".fgb", ".zip")
STRAIGHT = 0.1  # pixels by which a straight edge of the file may be off once it is bent by the raster's CRS
ROUNDS = 5  # in which points are added, until edges are straight enough
DECIMALS = 6  # of pixels that are kept: further ones differ between windows of one scene
_lock = Lock()


def find(folder: str | Path) -> Path | None:
    """Return the file of fields in `folder`: fields.* or parcels.*, else its only vector file if that holds polygons."""
    files = sorted((p for p in Path(folder).iterdir() if p.suffix.lower() in ORDER), key=lambda p: ORDER.index(p.suffix.lower()))
    for name in NAMES:
        for path in files:
            if path.stem.lower() == name:
                return path
    drawn = [path for path in files if path.suffix.lower() != ".zip"]
    if len(drawn) != 1:
        return None
    try:
        return drawn[0] if describe(drawn[0]).polygons else None
    except HylaError:  # nobody named it, so it need not be a file of fields
        return None


def read(
    path: str | Path,
    frame: MapFrame,
    size: tuple[int, int],
    *,
    layer: str | None = None,
    id: str | None = None,
    crop: str | None = None,
    previous: str | None = None,
    area: str | None = None,
) -> tuple[Fields, Counter[str]]:
    """Return the parcels of a file that lie on a raster, in its pixels, and how many were left out or changed, and why.

    Only what meets the raster is read. An edge that is straight in the file's CRS is bent as the raster's CRS bends it, to within
    0.1 pixel. A parcel that the raster cuts into pieces, and a multipolygon, stay one field of several rings. Coordinates are
    rounded to a millionth of a pixel, so that a crop of a scene gets the same parcels. The counter has

    * `outside`: parcels that were read and do not lie on the raster;
    * `repaired`: polygons that cross themselves, made valid;
    * `empty`: rows without a geometry, or without an area;
    * `not polygons`: points and lines;
    * `not on the map`: coordinates that are no place in the raster's CRS;
    * `renamed`: ids that came twice, which got the number of their row.

    The last answers are kept: a series of dates reads its file once.

    Args:
        path: GeoPackage, GeoParquet, Shapefile, GeoJSON, FlatGeobuf, file geodatabase, or a zip of one.
        frame: of the raster.
        size: (height, width) of the raster.
        layer: of the file; needed where it has several layers of polygons.
        id: column of the ids; None guesses it by the names that official files use, see `columns`.
        crop: column of the crops, by code or name; None guesses.
        previous: column of the crops of the season before; None guesses.
        area: column of the declared areas; None guesses.

    Raises:
        ConfigError: for a file that can't be read or has no CRS of the Earth, or a column or layer that it does not have.
        BadItem: for a raster without a CRS, or with one that is on no map of the Earth.
    """
    if not isinstance(frame, MapFrame) or not frame.crs:
        raise BadItem(
            "the raster has no CRS, so that no parcel can be placed on it", "write it into the file: rio edit-info --crs"
        )
    place = Path(path)
    stamp = place.stat().st_mtime_ns if place.exists() else 0
    with _lock:  # one thread reads, the others find what it read
        fields, counts = _read(str(path), stamp, frame, (int(size[0]), int(size[1])), Columns(id, crop, previous, area), layer)
    return fields, Counter(counts)


@lru_cache(maxsize=8)
def _read(
    path: str, _stamp: int, frame: MapFrame, size: tuple[int, int], named: Columns, layer: str | None
) -> tuple[Fields, Counter[str]]:
    file = describe(path, layer)
    _check_places(file, frame)
    columns = guess(file.columns, named, file.path.name)
    counts: Counter[str] = Counter()
    seen: set[int] = set()
    kept: list[tuple[Objects, Objects, Floats, Objects]] = []
    for part in rows(file, columns.used, boxes(frame, size, file.crs)):
        fresh = np.array([number not in seen for number in part.number.tolist()], np.bool_)
        seen.update(part.number.tolist())
        geometry = polygons(part.geometry[fresh], counts)
        clipped, inside = place(geometry, file.crs, frame, size, counts)
        on = np.flatnonzero(inside > 0)
        table = np.empty((len(on), len(columns.used) + 1), dtype=object)
        table[:, 0] = part.number[fresh][on]
        for n, name in enumerate(columns.used):
            table[:, n + 1] = part.columns[name][fresh][on]
        kept.append((geometry[on], clipped[on], inside[on], table))
    if not kept:
        return Fields(), counts
    whole, shapes, share, table = (np.concatenate(one) for one in zip(*kept, strict=True))
    order = np.argsort(table[:, 0].astype(np.int64), kind="stable")
    whole, shapes, share, table = whole[order], shapes[order], share[order], table[order]
    values = {name: table[:, n + 1] for n, name in enumerate(columns.used)}
    true = hectares(whole, file.crs)
    nothing: tuple[str | None, ...] = (None,) * len(whole)
    return Fields(
        ids=_unique(words(values[columns.id]) if columns.id else nothing, table[:, 0], counts),
        shapes=tuple(outlines(shapes)),
        crops=words(values[columns.crop]) if columns.crop else nothing,
        previous=words(values[columns.previous]) if columns.previous else nothing,
        hectares=true,
        declared=declared_hectares(columns.area, values.get(columns.area or ""), true),
        inside=share,
        season=season_of(columns, values),
    ), counts


def _check_places(file: ParcelFile, frame: MapFrame) -> None:
    """Raise ConfigError or BadItem where the file or the raster has coordinates that are on no map of the Earth."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    errors = {
        ConfigError(f"the CRS of {file.path.name} is on no map of the Earth", "say which it is: ogr2ogr -a_srs"): file.crs,
        BadItem("the CRS of the raster is on no map of the Earth", "write it into the file: rio edit-info --crs"): frame.crs,
    }
    for error, crs in errors.items():
        try:
            Transformer.from_crs(crs, "EPSG:4326")
        except ProjError as reason:  # an unknown CRS, or one of a building site
            raise error from reason


def polygons(geometry: Objects, counts: Counter[str]) -> Objects:
    """Return the valid polygons and multipolygons of `geometry`, None for what is none; count what is repaired or left out."""
    found = np.array(geometry, dtype=object)
    kind = shapely.get_type_id(found)
    empty = (kind < 0) | shapely.is_empty(found)
    other = ~empty & ~np.isin(kind, [shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON])
    other &= kind != shapely.GeometryType.GEOMETRYCOLLECTION
    lost = ~empty & ~other & ~np.isfinite(shapely.bounds(found)).all(axis=1)
    found[empty | other | lost] = None
    broken = ~shapely.is_valid(found) & ~(empty | other | lost)
    found[broken] = shapely.make_valid(found[broken])
    found = areal(found)
    gone = shapely.is_missing(found) & ~(empty | other | lost)
    counts.update({"empty": int((empty | gone).sum()), "not polygons": int(other.sum()), "not on the map": int(lost.sum())})
    counts.update({"repaired": int((broken & ~gone).sum())})
    return found


def areal(geometry: Objects) -> Objects:
    """Return each geometry without its points and lines; None for what has no area."""
    found = np.array(geometry, dtype=object)
    mixed = ~np.isin(shapely.get_type_id(found), [-1, shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON])
    for at in np.flatnonzero(mixed):
        parts = shapely.get_parts(shapely.get_parts(found[at]))
        found[at] = shapely.union_all(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])
    found[~(shapely.area(found) > 0)] = None
    return found


def boxes(frame: MapFrame, size: tuple[int, int], crs: Any) -> list[Box] | None:
    """Return the boxes in `crs` that hold the raster, two across the antimeridian; None where it has no bounds there."""
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    x, y = frame.to_world([[0, 0], [size[1], 0], [0, size[0]], [size[1], size[0]]]).T
    try:
        change = Transformer.from_crs(frame.crs, crs, always_xy=True)
        x0, y0, x1, y1 = change.transform_bounds(x.min(), y.min(), x.max(), y.max(), densify_pts=41)
    except ProjError:
        return None
    if not np.isfinite([x0, y0, x1, y1]).all():
        return None
    turn = 360.0 * CRS.from_user_input(crs).is_geographic
    x1 += turn * (x1 < x0)  # the far end of degrees that cross the antimeridian
    across, down = (x1 - x0) / 50, (y1 - y0) / 50
    found = (x0 - across, y0 - down, x1 + across, y1 + down)
    shifts = {0.0, turn * (found[2] > 180), -turn * (found[0] < -180)}
    return [(found[0] - by, found[1], found[2] - by, found[3]) for by in sorted(shifts)]


def place(geometry: Objects, crs: Any, frame: MapFrame, size: tuple[int, int], counts: Counter[str]) -> tuple[Objects, Floats]:
    """Return `geometry` (n,), given in `crs`, in the pixels of a raster and clipped to it, and which share of each lies on it."""
    known = np.flatnonzero(~shapely.is_missing(geometry))
    clipped, inside = np.full(len(geometry), None, object), np.zeros(len(geometry))
    pixels, lost = _to_pixels(geometry[known], crs, frame, size)
    counts["not on the map"] += int(lost.sum())
    known, pixels = known[~lost], pixels[~lost]
    pixels = shapely.set_precision(pixels, 10.0**-DECIMALS, mode="pointwise")
    broken = ~shapely.is_valid(pixels)
    pixels[broken] = shapely.make_valid(pixels[broken])
    pixels = areal(pixels)
    whole = shapely.area(pixels)
    x0, y0, x1, y1 = shapely.bounds(pixels).T
    cut = ~((x0 >= 0) & (y0 >= 0) & (x1 <= size[1]) & (y1 <= size[0]))
    part = pixels.copy()
    part[cut] = areal(shapely.intersection(pixels[cut], shapely.box(0, 0, size[1], size[0])))
    share = np.where(cut, 0.0, 1.0)
    both = cut & (whole > 0) & ~shapely.is_missing(part)
    share[both] = np.minimum(shapely.area(part[both]) / whole[both], 1)
    on = ~shapely.is_missing(part)
    counts["outside"] += int((~on).sum())
    clipped[known[on]], inside[known[on]] = part[on], share[on]
    return clipped, inside


def _to_pixels(geometry: Objects, crs: Any, frame: MapFrame, size: tuple[int, int]) -> tuple[Objects, Bools]:
    """Return `geometry` in pixels, with points added on edges that the raster's CRS bends, and which are no place in it."""
    from pyproj import CRS, Transformer

    source, target = CRS.from_user_input(crs), CRS.from_user_input(frame.crs)
    middle = float(frame.to_world([[size[1] / 2, size[0] / 2]])[0, 0])
    turn = 360.0 if target.is_geographic else 0.0
    if source == target and not turn:
        return shapely.transform(geometry, frame.to_pixels), np.zeros(len(geometry), np.bool_)
    change = Transformer.from_crs(source, target, always_xy=True)

    def pixels(points: npt.NDArray[Any]) -> Floats:
        x, y = change.transform(points[:, 0], points[:, 1])
        x = np.where(np.isfinite(x), x, np.nan)
        if turn:  # the same place may be 181 degrees east or 179 west: take what is nearer to the raster
            x = x - turn * np.round((x - middle) / turn)
        return frame.to_pixels(np.stack([x, np.where(np.isfinite(y), y, np.nan)], axis=1))

    found = np.array(geometry, dtype=object)
    lost = np.zeros(len(found), np.bool_)
    todo = np.arange(len(found))
    for _ in range(ROUNDS):
        torn, step = _bends(found[todo], pixels)
        lost[todo[torn]] = True
        bent = np.isfinite(step) & ~torn
        todo, step = todo[bent], step[bent]
        if not len(todo):
            break
        found[todo] = shapely.segmentize(found[todo], step)
    found[~lost] = shapely.transform(found[~lost], pixels)
    return found, lost


def _bends(geometry: Objects, pixels: Callable[[Floats], Floats]) -> tuple[Bools, Floats]:
    """Return which geometries (n,) are no place on the raster's map, and to which length their edges must be cut, inf for not."""
    rings, owner = shapely.get_rings(geometry, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    edge = np.flatnonzero(ring[1:] == ring[:-1])
    start, end = points[edge], points[edge + 1]
    ends = pixels(points)
    off = np.zeros(len(edge))
    for part in (0.25, 0.5, 0.75):  # not the middle alone: an edge that is bent like an S is on its chord there
        between = ends[edge] * (1 - part) + ends[edge + 1] * part
        off = np.maximum(off, np.linalg.norm(pixels(start * (1 - part) + end * part) - between, axis=1))
    # An edge that is torn apart, as along the antimeridian, is off by a quarter of its length or more; no true one is.
    torn = ~np.isfinite(off) | ((off > 1) & (off > 0.2 * np.linalg.norm(ends[edge + 1] - ends[edge], axis=1)))
    of = owner[ring[edge]]
    lost = np.zeros(len(geometry), np.bool_)
    lost[of[torn]] = True
    step = np.full(len(geometry), np.inf)
    # The distance from a chord falls with the square of its length; half the tolerance leaves room for what that neglects.
    far = off > STRAIGHT / 2
    np.minimum.at(step, of[far], np.linalg.norm((end - start)[far], axis=1) / np.ceil(np.sqrt(off[far] / (STRAIGHT / 2))))
    return lost, step


def _unique(ids: tuple[str | None, ...], numbers: Objects, counts: Counter[str]) -> tuple[str, ...]:
    """Return ids that are all different: that of the file, its row's number where it has none, both where it came before."""
    given = [str(number) if one is None else one for one, number in zip(ids, numbers, strict=True)]
    taken: set[str] = set()
    for at, one in enumerate(given):
        if one in taken:
            counts["renamed"] += 1
            given[at] = f"{one}-{numbers[at]}"
            while given[at] in taken:
                given[at] += "'"
        taken.add(given[at])
    return tuple(given)
