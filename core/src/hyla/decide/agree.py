"""Tell whether two people said the same of a picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from hyla import geometry
from hyla.schema import Schema
from hyla.types import Bools, Floats, Ints, Kind, Labels, Objects, Rle, same_shape

LEAST_PX, SHARE = 3.0, 0.05  # how far points may lie apart: so many pixels, or this share of the diagonal of the box around both
CENTRE_M = 0.5  # how far centres of cuboids may lie apart
AGREE_IOU = 0.5  # from which areas are the same, unless the project says otherwise
_POINTS = (Kind.POLYLINE, Kind.KEYPOINTS)


def agree(a: Labels, b: Labels, schema: Schema, iou: float = AGREE_IOU) -> bool:
    """Tell whether two sets of labels of one picture say the same, whoever is named first and in whatever order they lie.

    They do if each label has one of its own on the other side, with the same class, identity attributes and kind of geometry, and
    - for a box, rotated box, polygon or mask: intersection over union of at least `iou`;
    - for a polyline: nowhere further from the other (Hausdorff) than 5 % of the diagonal of the box around both, or 3 pixels;
    - for keypoints: the same ones present, each no further from its twin than that;
    - for a cuboid: centres no more than 0.5 m apart;
    - for a tag: nothing more.
    Equal geometry always agrees. Scores, tracks and other attributes are not compared.

    Args:
        a: labels of one person.
        b: labels of another.
        schema: of both.
        iou: above 0, to 1.

    Raises:
        StageError: for labels that do not fit the schema.
    """
    for labels in (a, b):
        schema.check(labels)
    sorts = [_sorts(labels, schema) for labels in (a, b)]
    if sorts[0].keys() != sorts[1].keys() or any(len(rows) != len(sorts[1][sort]) for sort, rows in sorts[0].items()):
        return False
    for sort, rows in sorts[0].items():
        kind = Kind(sort[0])
        if kind != Kind.TAG and not _pairs_up(_alike(kind, a[rows], b[sorts[1][sort]], iou)):
            return False
    return True


def _sorts(labels: Labels, schema: Schema) -> dict[tuple[Any, ...], list[int]]:
    """Return the rows of labels by kind of geometry, class and identity."""
    found = dict[tuple[Any, ...], list[int]]()
    for row, sort in enumerate(zip(labels.kind.tolist(), schema.identity_of(labels), strict=True)):
        found.setdefault(sort, []).append(row)
    return found


def _alike(kind: Kind, a: Labels, b: Labels, least: float) -> list[Ints]:
    """Return for each label of `a` the rows of `b` that may be the same; all are of one class and `kind`."""
    if kind == Kind.CUBOID:
        centres = [np.stack([*labels.shape])[:, :3] for labels in (a, b)]
        return [np.flatnonzero(np.linalg.norm(centres[1] - one, axis=1) <= CENTRE_M) for one in centres[0]]
    around, others = (labels.box if kind == Kind.BOX else geometry.bounds(labels.kind, labels.shape) for labels in (a, b))
    found = []
    for row, box in enumerate(around):
        near = _near(kind, box, others)  # there may be thousands: only these are looked at closely
        if kind == Kind.BOX:
            same = (others[near] == box).all(axis=1) | (geometry.iou(box, others[near])[0] >= least)
        else:
            one, shapes = a.shape[row], b.shape[near]
            equal = np.array([same_shape(one, other) for other in shapes], dtype=bool)
            close = (
                _close(kind, one, shapes, _reach(box, others[near])) if kind in _POINTS else _overlap(kind, one, shapes) >= least
            )
            same = equal | close
        found.append(near[same])
    return found


def _near(kind: Kind, box: Floats, others: Floats) -> Ints:
    """Return the rows of boxes (m, 4) that `box` (4,) meets or, for points, comes near to."""
    gap = np.maximum(box[:2] - others[:, 2:], others[:, :2] - box[2:]).max(axis=1)
    return np.flatnonzero(gap <= (_reach(box, others) if kind in _POINTS else 0.0))


def _reach(box: Floats, others: Floats) -> Floats:
    """Return how far points in `box` (4,) may lie from their twins in each of `others` (m, 4)."""
    low, high = np.minimum(box[:2], others[:, :2]), np.maximum(box[2:], others[:, 2:])
    return np.asarray(np.maximum(SHARE * np.linalg.norm(high - low, axis=1), LEAST_PX))


def _close(kind: Kind, one: Floats, others: Objects, reach: Floats) -> Bools:
    if kind == Kind.POLYLINE:
        import shapely

        lines = np.array([shapely.LineString(other) for other in others], dtype=object)
        return np.asarray(shapely.hausdorff_distance(shapely.LineString(one), lines) <= reach)
    return np.array([_apart(one, other) for other in others]) <= reach


def _apart(one: Floats, other: Floats) -> float:
    """Return how far the furthest keypoint (k, 3) lies from its twin; infinity if others are present."""
    here = one[:, 2] > 0
    if one.shape != other.shape or (here != (other[:, 2] > 0)).any():
        return np.inf
    return float(np.linalg.norm((one - other)[here, :2], axis=1).max(initial=0.0))


def _overlap(kind: Kind, one: Any, others: Objects) -> Floats:
    """Return intersection over union (m,) of a shape with others; masks of another size have none."""
    found = np.zeros(len(others))
    fits = np.array([not isinstance(one, Rle) or one.size == other.size for other in others], dtype=bool)
    found[fits] = geometry.shape_iou(kind, [one], others[fits])[0]
    return found


def _pairs_up(alike: Sequence[Ints]) -> bool:
    """Tell whether each label can have a twin of its own, of those that are `alike`: a bipartite matching that leaves none out.

    Each in turn takes a free twin, or the twin of one that can take another, and so on (an augmenting path, breadth first).
    """
    taken: dict[int, int] = {}  # twin -> who has it
    given: dict[int, int] = {}
    for start in range(len(alike)):
        came: dict[int, int] = {}  # twin -> who asks for it
        asking = deque([start])
        free = None
        while asking and free is None:
            who = asking.popleft()
            for twin in alike[who].tolist():
                if twin not in came:
                    came[twin] = who
                    if twin not in taken:
                        free = twin
                        break
                    asking.append(taken[twin])
        if free is None:
            return False
        while free is not None:
            who = came[free]
            left = given.get(who)
            taken[free], given[who] = who, free
            free = left
    return True
