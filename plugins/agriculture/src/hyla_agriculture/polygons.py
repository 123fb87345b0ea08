"""Turn a raster of classes into polygons, one for each region of one class, whole across the seams of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize, shapes
from rasterio.transform import Affine

from hyla.types import Floats
from hyla_agriculture.scene import Window

Classes = npt.NDArray[np.uint8]
Rings = tuple[Floats, ...]
STRIP = 1024  # rows


def polygons(
    classes: Classes | Iterable[tuple[Window, Classes]],
    *,
    least_pixels: int = 1,
    simplify: float = 0.0,
    offset: tuple[float, float] = (0.0, 0.0),
) -> list[tuple[int, Rings]]:
    """Return (class, rings) of each region of a raster of classes, in the order of their first pixels, row by row.

    A region is what hangs together by the edges of pixels (4-connected) and has one class; 0 is no class. Its rings follow the
    edges of the pixels, the outline first, then the holes: rasterised, they give the same pixels back. Rings have corners only,
    begin at the uppermost, leftmost one, and are not closed by a copy of it. Simplified ones also have the points where three
    regions meet.

    Given block by block, the polygons are those of the whole raster, whatever the blocks are and in whichever order they come;
    then only polygons are held in memory, never the raster.

    Args:
        classes: uint8 (h, w); or pairs of a window and its pixels, which cover the raster without overlap.
        least_pixels: regions of fewer pixels are left out.
        simplify: in pixels; above 0, corners are taken away while the area of a cut-off triangle is below its square
            (Visvalingam-Whyatt), of borders as a whole: what two regions share stays shared, without gaps or overlaps.
        offset: (x, y) to be added to the points, for a raster that is a part of a scene.
    """
    if isinstance(classes, np.ndarray):
        values, areas = _regions(classes, 0, 0)
    else:
        values, areas = _joined(classes)
    large = shapely.area(areas) >= least_pixels
    found = sorted(_listed(values[large], areas[large], corners=True), key=lambda one: _start(one[1][0]))
    if simplify > 0 and found:
        found = _simplified(found, simplify)
    move = np.array(offset, dtype=np.float64)
    return [(value, tuple(ring + move for ring in rings)) for value, rings in found]


def means(shapes: Sequence[Rings], *rasters: npt.NDArray[Any]) -> Floats:
    """Return the means (rasters, n) of some rasters (h, w) over the pixels whose centre is in each of n polygons without overlap.

    Goes through the rasters in strips; a mean over no pixel is NaN.
    """
    height, width = rasters[0].shape
    areas = [shapely.Polygon(rings[0], rings[1:]) for rings in shapes]
    _, top, _, bottom = shapely.bounds(areas).reshape(-1, 4).T
    count = np.zeros(len(areas) + 1)
    sums = np.zeros((len(rasters), len(areas) + 1))
    for row in range(0, height, STRIP):
        rows = min(STRIP, height - row)
        here = np.flatnonzero((top < row + rows) & (bottom > row))
        if not len(here):
            continue
        owners = rasterize(
            [(areas[i], i + 1) for i in here],
            (rows, width),
            transform=Affine.translation(0, row),
            dtype=np.int32,
        ).ravel()
        count += np.bincount(owners, minlength=len(count))
        for total, raster in zip(sums, rasters, strict=True):
            total += np.bincount(owners, raster[row : row + rows].ravel(), minlength=len(count))
    return np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0)[:, 1:]


def _regions(classes: Classes, row: int, column: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return the classes (n,) and polygons (n,) of the regions of one array whose first pixel is at `row`, `column`."""
    values: list[int] = []
    rings: list[Floats] = []
    owner: list[int] = []
    for shape, value in shapes(classes, mask=classes != 0, connectivity=4, transform=Affine.translation(column, row)):
        for ring in shape["coordinates"]:
            rings.append(np.array(ring, dtype=np.float64))
            owner.append(len(values))
        values.append(int(value))
    if not values:
        return np.zeros(0, np.int64), np.zeros(0, object)
    numbers = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    closed = np.asarray(shapely.linearrings(np.concatenate(rings), indices=numbers))
    return np.array(values, dtype=np.int64), np.asarray(shapely.polygons(closed, indices=np.array(owner)))


def _joined(blocks: Iterable[tuple[Window, Classes]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Return the regions of a raster that comes in blocks: those at the edge of a block are united with their neighbours."""
    values, areas = [np.zeros(0, np.int64)], [np.zeros(0, object)]
    open_: dict[int, list[Any]] = {}
    for window, part in blocks:
        found, shape = _regions(part, window.row0, window.column0)
        left, top, right, bottom = shapely.bounds(shape).reshape(-1, 4).T
        edge = (left == window.column0) | (right == window.column1) | (top == window.row0) | (bottom == window.row1)
        values.append(found[~edge])
        areas.append(shape[~edge])
        for value, one in zip(found[edge].tolist(), shape[edge], strict=True):
            open_.setdefault(value, []).append(one)
    for value, pieces in open_.items():
        # Exact, as all corners are whole numbers. Pieces that touch at a corner only stay apart.
        whole = shapely.get_parts(shapely.union_all(pieces))
        values.append(np.full(len(whole), value))
        areas.append(whole)
    return np.concatenate(values), np.concatenate(areas)


def _simplified(found: list[tuple[int, Rings]], tolerance: float) -> list[tuple[int, Rings]]:
    """Return polygons with fewer corners, their borders being simplified as a whole."""
    # Both sides of a border must have the same points for that: all corners of pixels along it.
    areas = shapely.segmentize([shapely.Polygon(rings[0], rings[1:]) for _, rings in found], 1.0)
    return _listed(np.array([value for value, _ in found]), shapely.coverage_simplify(areas, tolerance), corners=False)


def _listed(values: npt.NDArray[np.int64], areas: npt.NDArray[Any], corners: bool) -> list[tuple[int, Rings]]:
    """Return polygons as rings, alike whatever way they were made; of `corners` only."""
    found = []
    for value, rings in zip(values.tolist(), _rings(areas), strict=True):
        outline, *holes = (_from_top(_corners(ring) if corners else ring) for ring in rings)
        found.append((value, (outline, *sorted(holes, key=_start))))
    return found


def _start(ring: Floats) -> tuple[float, float]:
    return ring[0, 1], ring[0, 0]


def _rings(areas: npt.NDArray[Any]) -> Iterator[list[Floats]]:
    """Yield the points of the rings of each polygon, outline first, without the copy of the first point at the end."""
    closed, owner = shapely.get_rings(shapely.normalize(areas), return_index=True)
    points = shapely.get_coordinates(closed)
    parts = np.split(points, np.cumsum(shapely.get_num_coordinates(closed))[:-1])
    ends = np.searchsorted(owner, np.arange(len(areas) + 1))
    for first, last in pairwise(ends.tolist()):
        yield [part[:-1] for part in parts[first:last]]


def _corners(ring: Floats) -> Floats:
    """Return a ring without the points on a straight line."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return np.asarray(ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]])


def _from_top(ring: Floats) -> Floats:
    """Return a ring from its uppermost, leftmost point on."""
    return np.roll(ring, -int(np.lexsort((ring[:, 0], ring[:, 1]))[0]), axis=0)
