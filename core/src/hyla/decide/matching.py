"""Find out which labels of several readers mean the same object, before anybody asks whether they agree on it.

Two labels can mean the same object if they have the same kind of geometry and lie close enough, whatever their classes: a
disagreement on the class is then seen as one. Each two readers are matched for the largest overlap in all (the Hungarian method).
These pairs are joined from the closest to the least close, so that what A and B, and B and C, have in common is one object of all
three, but never two labels of one reader.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from hyla.decide.agree import CENTRE_M, _apart, _near, _overlap, _reach
from hyla.errors import StageError
from hyla.schema import Schema
from hyla.types import Floats, Ints, Kind, Labels, Objects

ABSENT = -1.0  # a reader saw the picture and gave no such label
_SAME_CLASS = 1e-6  # of equal overlaps the one of the same class goes first


class Ratings(NamedTuple):
    """Hold what readers said of objects.

    Args:
        value: (readers, objects) class id, or a number for class and identity where the schema has identity attributes; ABSENT,
            or NaN where a reader did not see the picture.
        picture: (objects,) index of the picture that each is in.
    """

    value: Floats
    picture: Ints


def clusters(readers: Sequence[Labels], schema: Schema, iou: float = 0.5) -> list[tuple[int, ...]]:
    """Return the objects of one picture: for each, the row that each reader gave it, or -1.

    Boxes, rotated boxes, polygons and masks can be one object at intersection over union of `iou` or more; polylines, keypoints
    and cuboids as `hyla.decide.agree` says. Tags are one object if they have one class, or if no reader gave more than one tag.
    Objects come in the order of the first reader's rows, then of those that only later ones have.

    Args:
        readers: labels of one picture, by reader.
        schema: of all.
        iou: above 0, to 1.

    Raises:
        StageError: for labels that do not fit the schema, or an `iou` that is not above 0 and at most 1.
    """
    if not 0 < iou <= 1:
        raise StageError(f"labels are matched at an overlap above 0, to 1; got {iou}")
    for labels in readers:
        schema.check(labels)
    alone = all(int((labels.kind == Kind.TAG).sum()) <= 1 for labels in readers)
    pairs: list[tuple[float, tuple[int, int], tuple[int, int]]] = []
    for a, b in combinations(range(len(readers)), 2):
        close = _closeness(readers[a], readers[b], schema, iou, alone)
        pairs += [(float(close[i, j]), (a, i), (b, j)) for i, j in _assigned(close, iou)]
    joined = {(reader, row): {reader: row} for reader, labels in enumerate(readers) for row in range(len(labels))}
    for _, one, other in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        first, second = joined[one], joined[other]
        if first is not second and not first.keys() & second.keys():
            first.update(second)
            joined.update(dict.fromkeys(second.items(), first))
    found = {id(rows): tuple(rows.get(reader, -1) for reader in range(len(readers))) for rows in joined.values()}
    return list(found.values())


def ratings(pictures: Iterable[Sequence[Labels | None]], schema: Schema, iou: float = 0.5) -> Ratings:
    """Return what readers said of the objects of pictures, each picture with one entry per reader: None if not seen.

    A picture in which nobody found anything has no object, and so counts nowhere.

    Raises:
        StageError: for pictures of different numbers of readers, and as `clusters` does.
    """
    columns: list[Floats] = []
    where: list[int] = []
    width: int | None = None
    numbers: dict[tuple[Any, ...], int] = {}
    for number, given in enumerate(pictures):
        if width is not None and len(given) != width:
            raise StageError(f"picture {number} has {len(given)} readers, those before it have {width}")
        width = len(given)
        saw = [reader for reader, labels in enumerate(given) if labels is not None]
        seen = [labels for labels in given if labels is not None]
        words = [_words(labels, schema, numbers) for labels in seen]
        for rows in clusters(seen, schema, iou):
            said = np.full(width, np.nan)
            said[saw] = [ABSENT if row < 0 else word[row] for word, row in zip(words, rows, strict=True)]
            columns.append(said)
            where.append(number)
    return Ratings(np.array(columns).reshape(len(columns), width or 0).T, np.array(where, dtype=np.int64))


def _words(labels: Labels, schema: Schema, numbers: dict[tuple[Any, ...], int]) -> Sequence[int]:
    """Return a number for what each label says that its object is: the same in all pictures that share `numbers`."""
    if not schema.identities:
        return list(labels.class_id.tolist())
    return [numbers.setdefault(one, len(numbers)) for one in schema.identity_of(labels)]


def _assigned(close: Floats, least: float) -> list[tuple[int, int]]:
    """Return the pairs of rows that have the largest closeness in all, without those that are not close enough."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.where(close >= least, close, 0), maximize=True)
    return [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if close[i, j] >= least]


def _closeness(a: Labels, b: Labels, schema: Schema, least: float, alone: bool) -> Floats:
    """Return how close (n, m) the labels of two readers lie: `least` or more if they can be one object, else less."""
    close = np.zeros((len(a), len(b)))
    for kind in (Kind(k) for k in np.intersect1d(a.kind, b.kind).tolist()):
        rows, columns = np.flatnonzero(a.kind == kind), np.flatnonzero(b.kind == kind)
        pairs = np.indices((len(rows), len(columns))).reshape(2, -1)
        same = schema.same(a, b, rows[pairs[0]], columns[pairs[1]]).reshape(len(rows), len(columns))
        if kind == Kind.TAG:
            values = np.where(same | alone, 1.0, 0.0)
        elif kind == Kind.CUBOID:
            centres = [np.stack([*one.shape])[:, :3] for one in (a[rows], b[columns])]
            values = _scaled(np.linalg.norm(centres[0][:, None] - centres[1], axis=2), CENTRE_M, least)
        else:
            values = _on_the_picture(kind, a[rows], b[columns], least)
        close[np.ix_(rows, columns)] = np.where(values >= least, values + _SAME_CLASS * same, 0)
    return close


def _on_the_picture(kind: Kind, a: Labels, b: Labels, least: float) -> Floats:
    from hyla import geometry

    if kind == Kind.BOX:
        return geometry.iou(a.box, b.box)
    around, others = (geometry.bounds(one.kind, one.shape) for one in (a, b))
    values = np.zeros((len(a), len(b)))
    for row, box in enumerate(around):
        near = _near(kind, box, others)  # there may be thousands: only these are looked at closely
        one, shapes = a.shape[row], b.shape[near]
        if kind in (Kind.POLYLINE, Kind.KEYPOINTS):
            away = _hausdorff(one, shapes) if kind == Kind.POLYLINE else np.array([_apart(one, other) for other in shapes])
            values[row, near] = _scaled(away, _reach(box, others[near]), least)
        else:
            values[row, near] = _overlap(kind, one, shapes)
    return values


def _hausdorff(one: Floats, others: Objects) -> Floats:
    import shapely

    lines = np.array([shapely.LineString(other) for other in others], dtype=object)
    return np.asarray(shapely.hausdorff_distance(shapely.LineString(one), lines), dtype=np.float64)


def _scaled(distance: Floats, reach: Floats | float, least: float) -> Floats:
    """Return 1 for no distance and `least` for as much as may be, in between and beyond in proportion."""
    return np.asarray(np.maximum(1 - (1 - least) * distance / reach, 0))
