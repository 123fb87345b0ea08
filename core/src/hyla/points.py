"""Measure areas at points whose class is known: what does the map say where somebody stood and looked?

A point is a label of kind keypoints with one point. What an area says of it is the class of the smallest area that covers it,
among the classes of the same family (with the same most general class): a field called healthy says nothing of land cover.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from hyla import geometry
from hyla.figure import Figure, share
from hyla.formats.segments import areas
from hyla.schema import Schema
from hyla.types import Bools, Floats, Ints, Kind, Labels

NOTHING = -1  # no area of the family covers the point
Known = list[tuple[int, float, float]]  # class id, x, y of the points of one image
COVERING = (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.MASK)


@dataclass(frozen=True)
class PointFigures:
    """Hold how areas agree with points.

    Args:
        right: share of the points whose area has their class, or one below it; a point that nothing covers is wrong.
        covered: share of the points that an area of the family covers.
        recall: class name -> share of its points that are right.
        precision: class name -> share of the points said to be of the class, that are.
        confusion: true class -> what the areas say -> points; `nothing` where no area covers them.
    """

    right: Figure
    covered: Figure
    recall: dict[str, Figure]
    precision: dict[str, Figure]
    confusion: dict[str, dict[str, int]]

    def __str__(self) -> str:
        width = max(map(len, self.recall), default=0)
        lines = [f"points: right {self.right}  covered {self.covered}  (Wilson's intervals, points taken as independent)"]
        for name, row in self.confusion.items():
            said = ", ".join(f"{what} {n}" for what, n in row.items())
            lines.append(f"  {name:<{width}}  recall {self.recall[name]}  precision {self.precision[name]}  said: {said}")
        return "\n".join(lines)


def split(labels: Labels) -> tuple[Labels, Labels]:
    """Return the labels that are single points, and all others."""
    single = np.array([k == Kind.KEYPOINTS and len(s) == 1 for k, s in zip(labels.kind, labels.shape, strict=True)], dtype=bool)
    return labels[single], labels[~single]


def known(points: Labels) -> Known:
    """Return class and place of labels that are single points."""
    return [(int(c), float(s[0][0]), float(s[0][1])) for c, s in zip(points.class_id, points.shape, strict=True)]


def said(points: Known, labels: Labels, family: Ints) -> list[int]:
    """Return the class that the labels of an image give each point, or NOTHING.

    Args:
        points: of the image.
        labels: of the image; other kinds than areas are passed over.
        family: class id -> id of its most general class.
    """
    found = [NOTHING] * len(points)
    at = np.array([[x, y] for _, x, y in points]).reshape(-1, 2)
    wanted = family[np.array([c for c, *_ in points], dtype=np.int64)]
    rows = np.flatnonzero(np.isin(labels.kind, COVERING) & np.isin(family[labels.class_id], wanted))
    rows = np.array([r for r in rows if labels.kind[r] != Kind.MASK or len(labels.shape[r].size) == 2], dtype=np.int64)
    if not len(rows):
        return found
    for row in rows[np.argsort(-areas(labels[rows]), kind="stable")].tolist():
        kin = family[labels.class_id[row]] == wanted
        for n in np.flatnonzero(kin & _covers(labels, row, at)).tolist():
            found[n] = int(labels.class_id[row])
    return found


def figures(pairs: Sequence[tuple[int, int]], schema: Schema) -> PointFigures:
    """Return the figures of (true class, class that was said or NOTHING) of all points."""
    below = {c: set(schema.under(schema.names[c])) for c in {truth for truth, _ in pairs}}
    hit = [answer in below[truth] for truth, answer in pairs]
    counts = Counter(pairs)
    recall, precision, confusion = {}, {}, {}
    for c in sorted(below):
        name = schema.names[c]
        recall[name] = share(sum(h for (t, _), h in zip(pairs, hit, strict=True) if t == c), sum(t == c for t, _ in pairs))
        claimed = [t in below[c] for t, answer in pairs if answer in below[c]]
        precision[name] = share(sum(claimed), len(claimed))
        row: Mapping[int, int] = {answer: n for (t, answer), n in counts.items() if t == c}
        ordered = sorted(row.items(), key=lambda one: (-one[1], one[0]))
        confusion[name] = {("nothing" if answer == NOTHING else schema.names[answer]): n for answer, n in ordered}
    covered = sum(answer != NOTHING for _, answer in pairs)
    return PointFigures(share(sum(hit), len(pairs)), share(covered, len(pairs)), recall, precision, confusion)


def families(schema: Schema) -> Ints:
    """Return (number of classes,) the most general class of each."""
    out = np.arange(len(schema.classes))
    for n, one in enumerate(schema.classes):
        top = one
        while top.parent:
            top = schema.classes[schema.ids[top.parent]]
        out[n] = schema.ids[top.name]
    return out


def _covers(labels: Labels, row: int, at: Floats) -> Bools:
    x0, y0, x1, y1 = labels.box[row]
    near = (at[:, 0] >= x0) & (at[:, 0] <= x1) & (at[:, 1] >= y0) & (at[:, 1] <= y1)
    if not near.any():
        return np.asarray(near)
    inside = np.zeros(len(at), dtype=bool)
    inside[near] = _inside(Kind(int(labels.kind[row])), labels.shape[row], at[near])
    return inside


def _inside(kind: Kind, shape: Any, at: Floats) -> Any:
    if kind == Kind.MASK:
        mask = geometry.decode(shape)
        x, y = np.clip(np.floor(at).astype(int).T, 0, [[mask.shape[1] - 1], [mask.shape[0] - 1]])
        return mask[y, x]
    if kind == Kind.BOX:
        return np.ones(len(at), dtype=bool)
    rings = shape if kind == Kind.POLYGON else (geometry.rotated_corners(shape),)
    odd = np.zeros(len(at), dtype=bool)
    for ring in rings:
        odd ^= shapely.contains_xy(shapely.Polygon(ring), at)
    return odd
