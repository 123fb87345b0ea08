"""Put a known error into the labels of a picture, and tell whether somebody took it out again.

The kinds are those that machines make: a wrong class or name (`swap`), a label beside its object (`shift`), an object without a
label (`delete`), a label without an object (`extra`). Each follows from a whole number and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from typing import Any

import numpy as np

from hyla import geometry
from hyla.decide.pairing import ABOUT, greedy, likeness
from hyla.errors import StageError
from hyla.schema import Schema
from hyla.types import NO_TRACK, Bools, Ints, Kind, Labels, Rle

KINDS = ("swap", "shift", "delete", "extra")
OVERLAP, APART = 0.5, 0.1  # a shifted label overlaps its object by less; an extra one overlaps any other by less
TRIES = 40  # places that are tried for a label
_MOVABLE = (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.MASK)


def plant(labels: Labels, schema: Schema, chance: int, kind: str, size: Sequence[int] | None = None) -> Labels | None:
    """Return the labels with one error of a kind, or None where this picture can't have one.

    Args:
        labels: that are right.
        schema: of the labels.
        chance: a whole number, from which the error follows.
        kind: of KINDS.
        size: (height, width) of the picture; without it, labels are moved only where others lie further out.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of error {kind!r}: {', '.join(KINDS)}")
    dice = _dice(chance, kind)
    picture = _Picture(labels, schema, dice, size)
    make = {"swap": picture.swap, "shift": picture.shift, "delete": picture.delete, "extra": picture.extra}[kind]
    return next((made for row in _shuffled(dice, len(labels)) if (made := make(row)) is not None), None)


def caught(kind: str, truth: Labels, planted: Labels, answer: Labels, schema: Schema, iou: float = OVERLAP) -> bool:
    """Tell whether labels that a person gave hold a planted error no longer.

    A deleted label is caught if the answer has it again. A label that was put in, changed or moved is caught if no label of the
    answer is left that is like it (of its class, overlapping it by `iou`, or at all if it was moved) and is not right by itself.
    So who only nudges a shifted label has not caught it.

    Args:
        kind: of KINDS.
        truth: labels before the error was put in.
        planted: with it.
        answer: that a person gave.
        schema: of all three.
        iou: overlap that counts as the same label.
    """
    for labels in (truth, planted, answer):
        schema.check(labels)
    lost, put = _others(truth, planted, schema), _others(planted, truth, schema)
    right, explained = _matched(truth, answer, schema, iou)
    if kind == "delete":
        return bool(right[lost].all())
    pairs = likeness(planted, answer, iou)
    like = pairs.where(schema.same(planted, answer, pairs.a, pairs.b) & put[pairs.a] & ~explained[pairs.b])
    return not bool((like.value >= (ABOUT if kind == "shift" else iou)).any())


def _matched(one: Labels, other: Labels, schema: Schema, least: float) -> tuple[Bools, Bools]:
    """Return which labels of each side have a partner of the same class and identity on the other that overlaps by `least`."""
    pairs = likeness(one, other, least)
    pairs = pairs.where(schema.same(one, other, pairs.a, pairs.b) & (pairs.value >= least))
    rows, columns = greedy(pairs)
    return np.isin(np.arange(len(one)), rows), np.isin(np.arange(len(other)), columns)


def _others(one: Labels, other: Labels, schema: Schema) -> Bools:
    """Return which labels (n,) of `one` are not, as they are, on the other side."""
    there = Counter(_keys(other, schema))
    found = []
    for key in _keys(one, schema):
        found.append(there[key] == 0)
        there[key] -= there[key] > 0
    return np.array(found, dtype=bool)


def _keys(labels: Labels, schema: Schema) -> Iterator[tuple[Any, ...]]:
    for said, kind, box, shape in zip(schema.identity_of(labels), labels.kind.tolist(), labels.box, labels.shape, strict=True):
        points = shape if shape is None or isinstance(shape, Rle) else tuple(np.asarray(ring).tobytes() for ring in shape)
        yield said, kind, box.tobytes(), points


class _Picture:
    """Put an error into labels at a row, or return None where that can't be."""

    def __init__(self, labels: Labels, schema: Schema, dice: Iterator[float], size: Sequence[int] | None) -> None:
        self.labels, self.schema, self.dice = labels, schema, dice
        self.edges = _edges(labels, size)

    def swap(self, row: int) -> Labels | None:
        """Call a label something else: what another label of the picture is called if labels carry names, else another class.

        The class may have such geometry, and is not there already at the same place.
        """
        if (named := self._named(row)) is not None:
            return named
        old, kind = int(self.labels.class_id[row]), int(self.labels.kind[row])
        points = [len(one.keypoints) for one in self.schema.classes]
        here = np.append(_about(self.labels, row, OVERLAP), row)
        for class_id in _shuffled(self.dice, len(self.schema.classes)):
            if class_id in self.labels.class_id[here] or (kind == Kind.KEYPOINTS and points[class_id] != points[old]):
                continue
            made = replace(self.labels, class_id=np.where(np.arange(len(self.labels)) == row, class_id, self.labels.class_id))
            if _fits(made, self.schema):
                return made
        return None

    def _named(self, row: int) -> Labels | None:
        """Give a label the class and all attributes of another label of its kind, if both carry names.

        All of them, since others may tell of the name, as a title does: a machine that errs is of one mind.
        """
        said = self.schema.identity_of(self.labels)
        if all(value is None for value in said[row][1:]):
            return None
        for other in _shuffled(self.dice, len(self.labels)):
            if (
                said[other] == said[row]
                or self.labels.kind[other] != self.labels.kind[row]
                or all(value is None for value in said[other][1:])
            ):
                continue
            names = {name: column.copy() for name, column in self.labels.attributes.items()}
            class_id = self.labels.class_id.copy()
            for column in (class_id, *names.values()):
                column[row] = column[other]
            made = replace(self.labels, class_id=class_id, attributes=names)
            if _fits(made, self.schema):
                return made
        return None

    def shift(self, row: int) -> Labels | None:
        """Move a label so far that it is beside its object, and on no other of its class, but still about there."""
        labels, one = self.labels, self.labels[row]
        if not self._movable(row):
            return None
        same = np.flatnonzero((labels.class_id == one.class_id) & (labels.kind == one.kind))
        for _ in range(TRIES):
            turn, far = 2 * np.pi * next(self.dice), 0.4 + 0.5 * next(self.dice)
            by = far * one.width[0] * np.cos(turn), far * one.height[0] * np.sin(turn)
            if (moved := _moved(one, *by, self.edges)) is None:
                continue
            pairs = likeness(moved, labels[same])
            if (pairs.value < OVERLAP).all() and (same[pairs.b] == row).any():
                return _put(labels, row, moved)
        return None

    def delete(self, row: int) -> Labels | None:
        """Take a label out that no other of its class stands in for; a tag stays, since without it a picture says nothing."""
        labels, near = self.labels, _about(self.labels, row, OVERLAP)
        if labels.kind[row] == Kind.TAG or (labels.class_id[near] == labels.class_id[row]).any():
            return None
        return labels[np.arange(len(labels)) != row]

    def extra(self, row: int) -> Labels | None:
        """Copy a label to where nothing is: at its own height in the picture if there is room, else anywhere."""
        labels, one = self.labels, self.labels[row]
        if not self._movable(row):
            return None
        others = labels.box[labels.kind != Kind.TAG]
        x0, y0 = one.box[0, :2]
        width, height = one.width[0], one.height[0]
        for i in range(TRIES):
            dx = next(self.dice) * (self.edges[0] - width) - x0
            down = next(self.dice)
            dy = (down - 0.5) * 0.2 * height if i < TRIES // 2 else down * (self.edges[1] - height) - y0
            copied = _moved(one, dx, dy, self.edges)
            if copied is not None and (geometry.iou(copied.box, others) < APART).all():
                if one.track[0] != NO_TRACK:
                    copied = replace(copied, track=np.array([labels.track.max() + 1]))
                at = int(next(self.dice) * (len(labels) + 1))  # among the others: one that is always last would be suspect
                order = np.insert(np.arange(len(labels)), at, len(labels))
                return Labels.concat([labels, copied])[order]
        return None

    def _movable(self, row: int) -> bool:
        shape = self.labels.shape[row]
        return self.labels.kind[row] in _MOVABLE and not (isinstance(shape, Rle) and len(shape.size) != 2)


def _moved(one: Labels, dx: float, dy: float, edges: tuple[float, float]) -> Labels | None:
    """Return one label moved by so many pixels, or None if it would leave the picture."""
    shape = one.shape[0]
    if isinstance(shape, Rle):
        dx, dy = round(dx), round(dy)
    by = np.array([dx, dy])
    box = one.box + np.tile(by, 2)
    if box.min() < 0 or (box[:, 2] > edges[0]).any() or (box[:, 3] > edges[1]).any():
        return None
    if isinstance(shape, Rle):
        shape = geometry.encode(np.roll(geometry.decode(shape), (int(dy), int(dx)), axis=(0, 1)))
    elif one.kind[0] == Kind.ROTATED_BOX:
        shape = shape + np.append(by, (0, 0, 0))
    elif one.kind[0] == Kind.POLYGON:
        shape = tuple(ring + by for ring in shape)
    shapes = np.empty(1, dtype=object)
    shapes[0] = shape
    return replace(one, box=box, shape=shapes)


def _put(labels: Labels, row: int, one: Labels) -> Labels:
    """Return labels with another one in a row."""
    order = np.arange(len(labels))
    order[row] = len(labels)
    return Labels.concat([labels, one])[order]


def _about(labels: Labels, row: int, least: float) -> Ints:
    """Return the other rows that overlap a label by `least`."""
    others = np.flatnonzero(np.arange(len(labels)) != row)
    pairs = likeness(labels[row], labels[others], least)
    return np.asarray(others[pairs.b[pairs.value >= least]])


def _edges(labels: Labels, size: Sequence[int] | None) -> tuple[float, float]:
    """Return the width and height in which a label may lie: of the picture, or as far as labels of it are known to reach."""
    if size is not None:
        return float(size[-1]), float(size[-2])
    for shape in labels.shape:
        if isinstance(shape, Rle):
            return float(shape.size[-1]), float(shape.size[-2])
    return float(labels.box[:, 2].max(initial=0)), float(labels.box[:, 3].max(initial=0))


def _fits(labels: Labels, schema: Schema) -> bool:
    try:
        schema.check(labels)
    except StageError:
        return False
    return True


def _shuffled(dice: Iterator[float], n: int) -> list[int]:
    """Return the numbers below n in an order that the dice give."""
    return [i for _, i in sorted((next(dice), i) for i in range(n))]


def _dice(chance: int, kind: str) -> Iterator[float]:
    """Yield numbers from 0 to below 1 that follow from a whole number, the same on every machine."""
    for k in count():
        digest = sha256(f"{chance}:{kind}:{k}".encode()).digest()
        yield int.from_bytes(digest[:6], "big") / 2**48
