"""Make the geometry that a person drew fit the picture, or say why it can't.

What lies inside is kept as it was drawn, to the last digit. A ring that crosses itself is kept too: the even-odd rule says which
points it holds. What leaves the picture is cut at its edge; what lies wholly outside, or holds no point at all, is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from hyla import geometry
from hyla.errors import StageError
from hyla.types import Floats, Kind, Labels, Rle

MOST_POINTS = 20_000  # of one label
FAR = 1e7  # pixels: beyond any picture, and far from where areas overflow
SLACK = 0.5  # pixels over the edge that `Schema.check` lets pass


def fit(labels: Labels, size: Sequence[int], points: Sequence[int]) -> Labels:
    """Return `labels` cut to a picture of `size`, each box the bounds of its shape where there is one.

    Args:
        labels: finite, and of their schema.
        size: (height, width) or (depth, height, width).
        points: (n,) how many keypoints a label of that class has, 0 for any number.

    Raises:
        StageError: for a label that can't be, naming it as `labels[i]`.
    """
    boxes, shapes = [], np.empty(len(labels), dtype=object)
    for row, (kind, box, shape) in enumerate(zip(labels.kind.tolist(), labels.box, labels.shape, strict=True)):
        try:
            fitted, shapes[row] = _fit(Kind(kind), box, shape, tuple(int(s) for s in size), points[row])
        except StageError as e:
            raise StageError(f"labels[{row}]: {e.what}", e.hint) from e
        boxes.append(fitted)
    out = labels[:]
    out.box, out.shape = np.array(boxes, dtype=np.float64).reshape(-1, 4), shapes
    return out


def inside(labels: Labels, size: Sequence[int]) -> Labels:
    """Return `labels` with those boxes cut that hang over the edge by more than SLACK, as other tools write them."""
    height, width = size[-2:]
    over = (labels.box < -SLACK) | (labels.box > np.array([width, height, width, height]) + SLACK)
    rows = over.any(axis=1) & (labels.kind != Kind.CUBOID)
    if not rows.any():
        return labels
    out = labels[:]
    out.box = np.where(rows[:, None], geometry.clip(labels.box, size), labels.box)
    return out


def _fit(kind: Kind, box: Floats, shape: Any, size: tuple[int, ...], points: int) -> tuple[Floats, Any]:
    rings = shape if isinstance(shape, tuple) and not isinstance(shape, Rle) else (shape,)
    if any(isinstance(ring, np.ndarray) and not (np.abs(ring) < FAR).all() for ring in rings):  # NaN is not below it either
        raise StageError(f"a shape must be finite numbers, none beyond {FAR:.0e}")
    if (n := _count(kind, shape)) > MOST_POINTS:
        raise StageError(f"a shape may have {MOST_POINTS} points, and this one has {n}", "simplify it, or brush a mask")
    match kind:
        case Kind.TAG:
            return np.array([0, 0, size[-1], size[-2]], dtype=np.float64), None
        case Kind.BOX:
            return _solid(geometry.clip(_upright(box), size)[0]), None
        case Kind.ROTATED_BOX:
            return _rotated(shape, size), shape
        case Kind.POLYGON:
            rings = _polygon(shape, size)
            return _around(kind, rings, size), rings
        case Kind.POLYLINE:
            line = _line(shape, size)
            return _around(kind, line, size), line
        case Kind.KEYPOINTS:
            return _keypoints(box, shape, size, points)
        case Kind.MASK:
            return _mask(shape, size), shape
        case Kind.CUBOID:
            if not (shape[7:] > 0).all() or not math.isclose(float(np.linalg.norm(shape[3:7])), 1, abs_tol=1e-3):
                raise StageError("a cuboid has lengths above 0 and a rotation of norm 1")
            return geometry.clip(_upright(box), size)[0], shape


def _count(kind: Kind, shape: Any) -> int:
    if kind == Kind.POLYGON:
        return sum(len(ring) for ring in shape)
    return len(shape) if kind in (Kind.POLYLINE, Kind.KEYPOINTS) else 0


def _upright(box: Floats) -> Floats:
    """Return a box with its near corner first, however it was drawn."""
    return np.concatenate([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])])


def _solid(box: Floats) -> Floats:
    if not ((box[2:] - box[:2]) > 0).all():
        raise StageError("a box must have a width and a height inside the picture")
    return box


def _rotated(shape: Floats, size: tuple[int, ...]) -> Floats:
    """Return the bounds; the shape itself may lie over the edge, since cut it would be a rotated box no more."""
    import shapely

    if not (shape[2:4] > 0).all():
        raise StageError("a rotated box must have a width and a height")
    common = shapely.intersection(shapely.Polygon(geometry.rotated_corners(shape)), _picture(size))
    if not common.area > 0:
        raise StageError("the rotated box lies outside the picture")
    return _around(Kind.ROTATED_BOX, shape, size)


def _polygon(rings: tuple[Floats, ...], size: tuple[int, ...]) -> tuple[Floats, ...]:
    import shapely

    # make_valid reads a ring that crosses itself by the even-odd rule, as rings among each other are read.
    area = reduce(shapely.symmetric_difference, [shapely.make_valid(shapely.Polygon(ring)) for ring in rings])
    if not area.area > 0:
        raise StageError("the polygon has no area", "draw at least three points that are not on one line")
    if _within(np.concatenate(rings), size):
        return rings
    cut = shapely.intersection(area, _picture(size))
    parts = [part for part in shapely.get_parts(cut) if isinstance(part, shapely.Polygon) and part.area > 0]
    if not parts:
        raise StageError("the polygon lies outside the picture")
    return tuple(np.asarray(ring.coords)[:-1] for part in parts for ring in (part.exterior, *part.interiors))


def _line(line: Floats, size: tuple[int, ...]) -> Floats:
    import shapely

    if not np.ptp(line, axis=0).any():
        raise StageError("the line has no length")
    if _within(line, size):
        return line
    cut = shapely.clip_by_rect(shapely.LineString(line), 0, 0, size[-1], size[-2])
    if cut.is_empty or not cut.length > 0:
        raise StageError("the line lies outside the picture")
    if not isinstance(cut, shapely.LineString):
        raise StageError("the line leaves the picture and comes back", "draw each part as a line of its own")
    return np.asarray(cut.coords)


def _keypoints(box: Floats, shape: Floats, size: tuple[int, ...], points: int) -> tuple[Floats, Floats]:
    """Move points over the edge onto it. The box is the one drawn around the object, or the bounds of the points."""
    if points and len(shape) != points:
        raise StageError(f"a label of this class has {points} keypoints, and this one has {len(shape)}")
    there = shape[:, 2] > 0
    at = shape[there, :2]
    if not (there.any() and ((at >= 0) & (at <= (size[-1], size[-2]))).all(axis=1).any()):
        raise StageError("no keypoint lies inside the picture")
    out = shape.copy()
    out[there, :2] = np.clip(at, 0, (size[-1], size[-2]))
    around = geometry.clip(_upright(box), size)[0]
    solid = ((around[2:] - around[:2]) > 0).all()
    return around if solid else _around(Kind.KEYPOINTS, out, size), out


def _mask(rle: Rle, size: tuple[int, ...]) -> Floats:
    if tuple(rle.size) != size:
        raise StageError(f"the mask is of a picture of {tuple(rle.size)} and this one is {size}")
    if not geometry.rle_area(rle):
        raise StageError("the mask is empty", "drop the label instead")
    return geometry.rle_bounds(rle)


def _around(kind: Kind, shape: Any, size: tuple[int, ...]) -> Floats:
    return np.asarray(geometry.clip(geometry.bounds([kind], [shape]), size)[0])


def _within(points: Floats, size: tuple[int, ...]) -> bool:
    return bool(((points >= 0) & (points <= (size[-1], size[-2]))).all())


def _picture(size: tuple[int, ...]) -> Any:
    import shapely

    return shapely.box(0, 0, size[-1], size[-2])
