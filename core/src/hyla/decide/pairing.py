"""Find which labels of one picture could be about the same thing as which of another side, and how alike they are.

Alikeness goes from 0 to 1. Of boxes, rotated boxes, polygons and masks it is intersection over union; a box beside one of the
others, or beside keypoints, is compared with the box around it, and a mask beside a polygon with the pixels of the polygon. Of
polylines, keypoints and cuboids it falls with the distance, so that the limit of `hyla.decide.agree` is reached where areas have
the wanted overlap. Tags are alike at 1. Equal geometry always is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hyla import geometry
from hyla.decide.agree import CENTRE_M, LEAST_PX, SHARE
from hyla.types import Bools, Floats, Ints, Kind, Labels, Objects, same_shape

ABOUT = 0.1  # from this overlap on a label is about an object, if badly
_AT_ONCE = 1_000_000  # pairs of boxes that are looked at together
_ON_PICTURE = (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.MASK, Kind.KEYPOINTS)


@dataclass(frozen=True, eq=False, slots=True)
class Pairs:
    """Hold p pairs: rows `a` (p,) of one side and `b` (p,) of the other, and how alike they are, `value` (p,)."""

    a: Ints
    b: Ints
    value: Floats

    def where(self, some: Bools) -> Pairs:
        """Return those of the pairs."""
        return Pairs(self.a[some], self.b[some], self.value[some])


def likeness(one: Labels, other: Labels, least: float = 0.5) -> Pairs:
    """Return the pairs of labels with an alikeness of ABOUT or more, whatever their classes.

    Args:
        one: labels of one side.
        other: of the other.
        least: the overlap that counts as agreement, to which distances are scaled.
    """
    found: list[Pairs] = []
    for kind in np.unique(one.kind).tolist():
        for wanted in np.unique(other.kind).tolist():
            rows, columns = np.flatnonzero(one.kind == kind), np.flatnonzero(other.kind == wanted)
            pairs = _of_kinds(Kind(kind), Kind(wanted), one[rows], other[columns], least)
            if pairs is not None:
                kept = pairs.where(pairs.value >= ABOUT)
                found.append(Pairs(rows[kept.a], columns[kept.b], kept.value))
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate([getattr(p, name) for p in found]) for name in ("a", "b", "value")))


def greedy(pairs: Pairs) -> tuple[Ints, Ints]:
    """Return rows and columns matched, each once, the most alike first; of equal ones the earlier rows."""
    order = np.lexsort((pairs.b, pairs.a, -pairs.value))
    taken_a: set[int] = set()
    taken_b: set[int] = set()
    matched: list[tuple[int, int]] = []
    for a, b in zip(pairs.a[order].tolist(), pairs.b[order].tolist(), strict=True):
        if a not in taken_a and b not in taken_b:
            taken_a.add(a)
            taken_b.add(b)
            matched.append((a, b))
    rows = np.array(matched, dtype=np.int64).reshape(-1, 2)
    return rows[:, 0], rows[:, 1]


def _of_kinds(kind: Kind, wanted: Kind, one: Labels, other: Labels, least: float) -> Pairs | None:
    """Return how alike labels of one kind are to those of another, or None for kinds that can't be compared."""
    if kind == wanted == Kind.TAG:
        a, b = (grid.reshape(-1) for grid in np.indices((len(one), len(other))))
        return Pairs(a, b, np.ones(len(a)))
    if kind == wanted == Kind.CUBOID:
        centres = [np.stack([*labels.shape])[:, :3] for labels in (one, other)]
        value = _near(np.linalg.norm(centres[0][:, None] - centres[1][None], axis=2) / CENTRE_M, least)
        a, b = np.nonzero(value >= ABOUT)
        return Pairs(a, b, value[a, b])
    if kind == wanted == Kind.POLYLINE:
        return _lines(one, other, least)
    if kind not in _ON_PICTURE or wanted not in _ON_PICTURE:
        return None
    pairs = _boxes(one.box, other.box)
    if Kind.BOX in (kind, wanted):
        return pairs
    if Kind.KEYPOINTS in (kind, wanted):
        return _points(pairs, one, other, least) if kind == wanted else None
    return _areas(kind, wanted, pairs, one, other)


def _boxes(one: Floats, other: Floats) -> Pairs:
    """Return pairs of boxes (n, 4) and (m, 4) that overlap, or are equal."""
    step = max(1, _AT_ONCE // max(len(other), 1))
    found = []
    for start in range(0, len(one), step):
        part = one[start : start + step]
        value = geometry.iou(part, other)
        a, b = np.nonzero((value > 0) | (part[:, None] == other[None]).all(axis=2))
        equal = (part[a] == other[b]).all(axis=1)
        found.append((a + start, b, np.where(equal, 1.0, value[a, b])))
    return Pairs(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _areas(kind: Kind, wanted: Kind, pairs: Pairs, one: Labels, other: Labels) -> Pairs:
    """Replace the overlap of boxes by that of the shapes in them."""
    shapes, others = one.shape.copy(), other.shape.copy()
    if kind != wanted:
        masks = shapes if kind == Kind.MASK else others if wanted == Kind.MASK else shapes[:0]
        size = masks[0].size if len(masks) else None
        if size is not None and len(size) > 2:
            return pairs.where(np.zeros(len(pairs.a), dtype=bool))  # an area of the picture beside a volume
        for side, of, rows in ((shapes, kind, pairs.a), (others, wanted, pairs.b)):
            for row in np.unique(rows).tolist():  # each once: drawing a mask takes long
                side[row] = _as_one(of, side[row], size)
        kind = Kind.POLYGON if size is None else Kind.MASK
    value = np.zeros(len(pairs.a))
    order = np.argsort(pairs.a, kind="stable")
    starts = np.searchsorted(pairs.a[order], np.arange(len(one) + 1))
    for row in np.unique(pairs.a).tolist():
        mine = order[starts[row] : starts[row + 1]]
        value[mine] = _overlaps(kind, shapes[row], others[pairs.b[mine]])
    return Pairs(pairs.a, pairs.b, value)


def _as_one(kind: Kind, shape: Any, size: tuple[int, ...] | None) -> Any:
    """Return a shape as a mask of `size`, or as rings where there is none."""
    if kind == Kind.MASK:
        return shape
    rings = (geometry.rotated_corners(shape),) if kind == Kind.ROTATED_BOX else shape
    return rings if size is None else geometry.encode(geometry.rasterize(rings, size))


def _overlaps(kind: Kind, shape: Any, others: Objects) -> Floats:
    """Return the overlap (m,) of a shape with others of its kind; masks of another size have none."""
    found = np.array([float(same_shape(shape, other)) for other in others])
    fits = np.array([kind != Kind.MASK or shape.size == other.size for other in others], dtype=bool)
    found[fits] = np.maximum(found[fits], geometry.shape_iou(kind, [shape], [*others[fits]])[0])
    return found


def _lines(one: Labels, other: Labels, least: float) -> Pairs:
    import shapely

    lines = [np.array([shapely.LineString(shape) for shape in labels.shape], dtype=object) for labels in (one, other)]
    reach = _reach(one.box[:, None], other.box[None])
    gap = np.maximum(one.box[:, None, :2] - other.box[None, :, 2:], other.box[None, :, :2] - one.box[:, None, 2:]).max(axis=2)
    a, b = np.nonzero(_near(np.maximum(gap, 0) / reach, least) >= ABOUT)  # the others lie still further apart
    return Pairs(a, b, _near(shapely.hausdorff_distance(lines[0][a], lines[1][b]) / reach[a, b], least))


def _points(pairs: Pairs, one: Labels, other: Labels, least: float) -> Pairs:
    """Take keypoints that are too far apart, or not the same ones, as alike as the boxes around them, but never as agreeing."""
    reach = _reach(one.box[pairs.a], other.box[pairs.b])
    away = np.array([_apart(one.shape[a], other.shape[b]) for a, b in zip(pairs.a, pairs.b, strict=True)])
    value = _near(away / reach, least)
    return Pairs(pairs.a, pairs.b, np.where(value >= least, value, np.minimum(pairs.value, least * 0.99)))


def _apart(one: Floats, other: Floats) -> float:
    """Return how far the furthest keypoint (k, 3) lies from its twin; infinity if others are present."""
    here = one[:, 2] > 0
    if one.shape != other.shape or (here != (other[:, 2] > 0)).any():
        return np.inf
    return float(np.linalg.norm((one - other)[here, :2], axis=1).max(initial=0.0))


def _reach(one: Floats, other: Floats) -> Floats:
    """Return how far points in boxes (..., 4) may lie from their twins in others."""
    low, high = np.minimum(one[..., :2], other[..., :2]), np.maximum(one[..., 2:], other[..., 2:])
    return np.asarray(np.maximum(SHARE * np.linalg.norm(high - low, axis=-1), LEAST_PX))


def _near(distance: Floats, least: float) -> Floats:
    """Return the alikeness of distances, in multiples of what may be: 1 for none, `least` for just as much, less beyond."""
    return np.asarray(1 / (1 + distance * (1 / least - 1))) if least < 1 else np.asarray((distance <= 1).astype(np.float64))
