"""Find the pixels of many fields at once: inside, wholly inside after an inward buffer, and near the border.

Edges of all fields are cut into rows together, without a loop over fields, edges or pixels, so that a field costs microseconds.
All is computed from the corner of a field's own window, with points rounded to 2^-10 pixels: a scene that is cropped or shifted
by whole pixels gives the same pixels, to the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.frame import Frame, MapFrame
from hyla.types import Bools, Floats, Ints
from hyla_agriculture.scene import Fields, Window

BUFFER = 5.0  # m by which a field is shrunk before its full pixels are counted (JRC, Remote Sens. 2020, 12(14), 2195)
UNKNOWN = 10.0  # m a pixel has where the scene says nothing of the ground: then the buffer is half a pixel
GRID = 1024.0  # steps in a pixel that corners are rounded to
SLACK = 1e-6  # pixels by which what just fits is let in


class Footprints(NamedTuple):
    """Hold the pixels of some fields, window after window in flat arrays; `starts[i]` to `starts[i + 1]` are those of field i.

    Args:
        starts: (n + 1,) where the window of each field begins.
        inside: mask of the pixels whose centre lies in the field, by the even-odd rule.
        full: mask of those that lie wholly in the field after the buffer.
        edge: (n,) share of the pixels inside whose centre is within one pixel of the border; NaN where none is inside.
        lost: (n,) share of the pixels inside that are not full; 1 where none is inside.
    """

    starts: Ints
    inside: Bools
    full: Bools
    edge: Floats
    lost: Floats


class _Edges(NamedTuple):
    """Hold edges (m,) of many fields in pixels of the field's window, from the upper end to the lower one."""

    field: Ints
    x0: Floats
    y0: Floats
    x1: Floats
    y1: Floats


def windows(fields: Fields, size: Sequence[int]) -> list[Window]:
    """Return the smallest window of whole pixels around each field, within a scene of `size` (height, width)."""
    rings = [ring for shape in fields.shapes for ring in shape]
    if not rings:
        return [Window(0, 0, 0, 0) for _ in fields.shapes]
    points = _rounded(np.concatenate(rings))
    counts = np.array([sum(len(ring) for ring in shape) for shape in fields.shapes])
    some = counts > 0
    starts = (np.cumsum(counts) - counts)[some]
    bounds = np.zeros((len(counts), 4), np.int64)
    limit = [size[1], size[0]]
    bounds[some, :2] = np.clip(np.floor(np.minimum.reduceat(points, starts)), 0, limit)
    bounds[some, 2:] = np.clip(np.ceil(np.maximum.reduceat(points, starts)), 0, limit)
    return [Window(row0, max(row0, row1), column0, max(column0, column1)) for column0, row0, column1, row1 in bounds.tolist()]


def metres(frame: Frame, places: Sequence[Window]) -> Floats:
    """Return the true width and height (n, 2) in metres of the pixel at the centre of each window; NaN where it is on no map."""
    out = np.full((len(places), 2), np.nan)
    if not isinstance(frame, MapFrame) or not frame.crs or not len(places):
        return out
    from pyproj import Geod

    middle = np.array([((p.column0 + p.column1) // 2, (p.row0 + p.row1) // 2) for p in places], dtype=np.float64)
    ends = [degrees(frame, middle + step) for step in ((0, 0), (1, 0), (0, 1))]
    known = np.isfinite(np.hstack(ends)).all(axis=1)
    (lon, lat), across, down = (one[known].T for one in ends)
    geod = Geod(ellps="WGS84")
    for axis, (lon1, lat1) in enumerate((across, down)):
        out[known, axis] = np.round(geod.inv(lon, lat, lon1, lat1)[2], 4)  # the same wherever the scene begins
    return out


def degrees(frame: MapFrame, points: Floats) -> Floats:
    """Return longitude and latitude (n, 2) of points (n, 2) in pixels; NaN for what is no place on Earth."""
    from pyproj import Transformer

    world = frame.to_world(points)
    lon, lat = Transformer.from_crs(frame.crs, "EPSG:4326", always_xy=True).transform(world[:, 0], world[:, 1])
    out = np.stack([lon, lat], axis=1)
    return np.asarray(np.where(np.isfinite(out).all(axis=1)[:, None], out, np.nan))


def footprints(fields: Fields, numbers: Sequence[int], places: Sequence[Window], pixel: Floats) -> Footprints:
    """Return the pixels of the fields `numbers`.

    Args:
        fields: of the scene.
        numbers: (n,) which of them.
        places: (n,) their windows; see `windows`.
        pixel: (n, 2) width and height of a pixel in metres, NaN where they are not known.
    """
    heights = np.array([place.row1 - place.row0 for place in places], dtype=np.int64)
    widths = np.array([place.column1 - place.column0 for place in places], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(heights * widths)])
    edges = _edges(fields, numbers, places)
    metre = np.where(pixel > 0, pixel, UNKNOWN)
    inside = _even_odd(edges, heights, widths, starts)
    full = inside & ~_near(edges, heights, widths, starts, 0.5, BUFFER / metre)
    deep = inside & ~_near(edges, heights, widths, starts, 0.0, np.ones_like(metre))
    count, kept, middle = (_counted(mask, starts) for mask in (inside, full, deep))
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(count > 0, 1 - kept / count, 1.0)
        return Footprints(starts, inside, full, np.where(count > 0, 1 - middle / count, np.nan), lost)


def _counted(mask: Bools, starts: Ints) -> Ints:
    """Return how many pixels (n,) of a flat mask each window has."""
    return np.diff(np.searchsorted(np.flatnonzero(mask), starts))


def _rounded(points: Floats) -> Floats:
    return np.asarray(np.round(points * GRID) / GRID)


def _edges(fields: Fields, numbers: Sequence[int], places: Sequence[Window]) -> _Edges:
    rings = [(at, ring) for at, number in enumerate(numbers) for ring in fields.shapes[number] if len(ring) > 2]
    if not rings:
        none = np.zeros(0)
        return _Edges(np.zeros(0, np.int64), none, none, none, none)
    lengths = np.array([len(ring) for _, ring in rings])
    field = np.repeat([at for at, _ in rings], lengths)
    corner = np.array([(place.column0, place.row0) for place in places], dtype=np.float64)
    here = _rounded(np.concatenate([ring for _, ring in rings])) - corner[field]
    after = np.arange(1, len(here) + 1)
    ends = np.cumsum(lengths)
    after[ends - 1] = ends - lengths
    there = here[after]
    falls = (here[:, 1] <= there[:, 1])[:, None]
    upper, lower = np.where(falls, here, there), np.where(falls, there, here)
    return _Edges(field, upper[:, 0], upper[:, 1], lower[:, 0], lower[:, 1])


def _rows(first: Floats, last: Floats, heights: Ints) -> tuple[Ints, Ints]:
    """Return (edge, row) of every row whose centre is at or below `first` and above `last` (m,), within the windows."""
    begin = np.clip(np.ceil(first - 0.5), 0, heights).astype(np.int64)
    count = np.maximum(np.clip(np.ceil(last - 0.5), 0, heights).astype(np.int64) - begin, 0)
    edge = np.repeat(np.arange(len(count)), count)
    return edge, np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - begin, count)


def _even_odd(edges: _Edges, heights: Ints, widths: Ints, starts: Ints) -> Bools:
    edge, row = _rows(edges.y0, edges.y1, heights[edges.field])
    field, x0, y0, x1, y1 = (column[edge] for column in edges)
    x = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    column = np.clip(np.ceil(x - 0.5), 0, widths[field]).astype(np.int64)
    # What begins or ends behind the last column turns at the first of the next row, where it is as good.
    turns = np.zeros(starts[-1] + 1, np.int8)
    np.bitwise_xor.at(turns, starts[field] + row * widths[field] + column, np.int8(1))
    return np.bitwise_xor.accumulate(turns)[:-1].view(np.bool_)


def _near(edges: _Edges, heights: Ints, widths: Ints, starts: Ints, half: float, radius: Floats) -> Bools:
    """Return the mask of the pixels round whose centre a square reaches the border: sides 2 x `half`, rounded by `radius`.

    What the square sweeps along an edge is convex. In a row its end is on the square at the upper end of the edge, or at the
    lower one, or between them on the line along which the square's outermost point moves.

    `half` is in pixels: 0.5 for the pixel itself, 0 for its centre; `radius` (n, 2) in pixels across and down, by which the
    square grows: an ellipse where pixels are not square.
    """
    # What just fits is let in: the square, or else the circle, is a little smaller.
    across, down = (np.maximum(one if half else one - SLACK, SLACK) for one in radius[edges.field].T)
    half = max(half - 2 * SLACK, 0.0)
    reach = half + down
    # Away from an edge that runs along a row by just the reach is not near.
    edge, row = _rows(edges.y0 - reach, edges.y1 + reach, heights[edges.field])
    field, x0, y0, x1, y1 = (column[edge] for column in edges)
    across, down, reach = across[edge], down[edge], reach[edge]
    centre = row + 0.5
    dx, dy = x1 - x0, y1 - y0
    long = np.maximum(np.hypot(across * dy, down * dx), 1e-12)
    far = half * np.sign(dy) + across * across * dy / long  # the outermost point to the right of the edge
    drop = -half * np.sign(dx) - down * down * dx / long
    slope = np.divide(dx, dy, out=np.zeros_like(dx), where=dy > 0)

    def end(side: float) -> Floats:
        above, below = y0 + side * drop, y1 + side * drop
        x, y = np.where(centre < above, x0, x1), np.where(centre < above, y0, y1)
        bent = np.clip((np.abs(centre - y) - half) / down, 0, 1)
        round_ = x + side * (half + across * np.sqrt(1 - bent * bent))
        straight = x0 + side * far + (centre - above) * slope
        return np.asarray(np.where((centre >= above) & (centre <= below) & (dy > 0), straight, round_))

    begin = np.clip(np.ceil(end(-1.0) - 0.5), 0, widths[field]).astype(np.int64)
    stop = np.clip(np.floor(end(1.0) - 0.5) + 1, 0, widths[field]).astype(np.int64)
    at = starts[field] + row * widths[field]
    kept = begin < stop
    depth = np.zeros(starts[-1] + 1, np.int16)
    np.add.at(depth, at[kept] + begin[kept], np.int16(1))
    np.subtract.at(depth, at[kept] + stop[kept], np.int16(1))
    out: npt.NDArray[np.int16] = np.cumsum(depth, dtype=np.int16)[:-1]
    return np.asarray(out > 0)
