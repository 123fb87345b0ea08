"""Pair what was found with the truth, whatever it was taken for, to measure classes in their tree and names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from hyla import hierarchy, named, points
from hyla.decide.pairing import Pairs, greedy, likeness
from hyla.hierarchy import HierarchyFigures
from hyla.named import NameFigures
from hyla.schema import Schema
from hyla.types import Bools, Ints, Kind, Labels

BOXED = (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.KEYPOINTS, Kind.MASK)
IOU = 0.5  # of the boxes around two labels, from which they are of one thing
_SAME_CLASS, _SAME_NAME = 1e-9, 1e-6  # what decides between labels that overlap as much


def boxed(labels: Labels) -> Bools:
    """Return (n,) whether each label is an object of a flat picture, with a box around it."""
    flat = [k != Kind.MASK or len(s.size) == 2 for k, s in zip(labels.kind, labels.shape, strict=True)]
    return np.asarray(np.isin(labels.kind, BOXED) & np.array(flat, dtype=bool))


class Paired:
    """Gather pairs of true and found labels, image by image.

    Boxes are paired one to one, greedily by overlap. Of the tags of a picture, the surest is paired with the true tag that is
    nearest in the tree; where tags have names, each is paired with one of the same name, else with the surest of the others.

    Args:
        schema: of both sides.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._above = hierarchy.lineage(schema)
        self._wanted = bool(self._above.sum() > len(self._above) or schema.identities)
        about = schema.attributes_of("label")
        every = np.arange(len(schema.classes))
        self._named = {n: schema.under(*about[n].classes) if about[n].classes else every for n in schema.identities}
        self._truth: dict[int, Labels] = {}
        self._classes: dict[str, list[tuple[int, int, int]]] = {"boxes": [], "tags": []}
        self._names: dict[str, list[named.Pair]] = {name: [] for name in schema.identities}
        self._things = dict.fromkeys(schema.identities, 0)

    def add(self, number: int, truth: Labels) -> None:
        """Note the truth of an image, by its number from 1; a label that stands for a crowd counts neither way."""
        if not self._wanted:
            return
        crowd = truth.evidence.get("iscrowd", np.zeros(len(truth))) == 1
        labels = points.split(truth[~crowd])[1]
        self._truth[number] = labels[boxed(labels) | (labels.kind == Kind.TAG)]
        for name in self._names:
            self._things[name] += sum(one is not None for one in self._names_of(name, self._truth[number]))

    def match(self, number: int, found: Labels) -> None:
        """Pair what was found in an image with its truth, once."""
        truth = self._truth.pop(number, None)
        if truth is None:
            return
        left, right = (labels[boxed(labels)] for labels in (truth, points.split(found)[1]))
        rows, columns = self._pair(left, right, likeness(_as_boxes(left), _as_boxes(right)))
        pairs = zip(left.class_id[rows].tolist(), right.class_id[columns].tolist(), strict=True)
        self._classes["boxes"] += [(number - 1, a, b) for a, b in pairs]
        self._note(left[rows], right[columns])
        left, right = (labels[labels.kind == Kind.TAG] for labels in (truth, found))
        right = right[np.lexsort((-right.class_id, -right.score))]
        if len(left) and len(right):
            best = int(right.class_id[0])
            near = (self._above[left.class_id] & self._above[best]).sum(axis=1) + (left.class_id == best)
            self._classes["tags"].append((number - 1, int(left.class_id[np.argmax(near)]), best))
        if self._named:
            some = np.unique(np.concatenate([*self._named.values()]))
            left, right = (labels[np.isin(labels.class_id, some)] for labels in (left, right))
            rows, columns = self._pair(left, right, likeness(left, right))
            self._note(left[rows], right[columns])

    def hierarchy(self, images: int, samples: int, seed: int) -> dict[str, HierarchyFigures]:
        """Return what the tree of classes says of boxes and of tags, where it says something; see `hyla.hierarchy.figures`."""
        made = {name: hierarchy.figures(pairs, self._schema, images, samples, seed) for name, pairs in self._classes.items()}
        return {name: one for name, one in made.items() if one is not None}

    def names(self) -> dict[str, NameFigures]:
        """Return how things are named, by attribute that says what they are, where the truth names any."""
        return {name: named.figures(self._names[name], n) for name, n in self._things.items() if n}

    def _pair(self, left: Labels, right: Labels, pairs: Pairs) -> tuple[Ints, Ints]:
        pairs = pairs.where(pairs.value >= IOU)
        value = pairs.value + _SAME_CLASS * (left.class_id[pairs.a] == right.class_id[pairs.b])
        for name in self._names:
            mine, theirs = self._names_of(name, left), self._names_of(name, right)
            same = [mine[a] is not None and mine[a] == theirs[b] for a, b in zip(pairs.a, pairs.b, strict=True)]
            value = value + _SAME_NAME * np.array(same, dtype=np.float64)
        return greedy(Pairs(pairs.a, pairs.b, value))

    def _note(self, left: Labels, right: Labels) -> None:
        """Note the names of pairs, of what has one by its true class."""
        for name, classes in self._named.items():
            some = np.isin(left.class_id, classes)
            self._names[name] += zip(self._names_of(name, left[some]), self._names_of(name, right[some]), strict=True)

    def _names_of(self, name: str, labels: Labels) -> list[Any]:
        """Return the names (n,) of labels, None for those without one or of a class that has none."""
        column = labels.attributes.get(name)
        values = [None] * len(labels) if column is None else column.tolist()
        has = np.isin(labels.class_id, self._named[name])
        return [one if ok and one is not None and one == one else None for one, ok in zip(values, has, strict=True)]


def _as_boxes(labels: Labels) -> Labels:
    return replace(labels, kind=np.full(len(labels), Kind.BOX, np.uint8), shape=np.full(len(labels), None, dtype=object))
