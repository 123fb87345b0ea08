"""Say what an error of the machine is, and which ask it belongs to.

An error that one can point at belongs to the label that is wrong. What is missing belongs to the picture as a whole. So each
error is counted once, and for each ask left unasked one knows which errors stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.decide.agree import agree
from hyla.decide.pairing import ABOUT, greedy, likeness
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Bools, Floats, Ints, Kind, Labels, Rle

UNITS = ("item", "group")
MEASURES = ("iou", "dice")


@dataclass(frozen=True, eq=False, slots=True)
class Errors:
    """Hold the errors of the machine in one picture.

    Args:
        rows: (n,) on each of the machine's labels.
        whole: on the picture as a whole.
    """

    rows: Floats
    whole: float

    @property
    def total(self) -> float:
        """Return all of them."""
        return float(self.rows.sum() + self.whole)


class Loss(ABC):
    """Say what an error is: a stage of the config group `decide`.

    Args:
        unit: what an audit opens whole: `item`, or `group`, where the items of a group (a clip, a patient) resemble each other.

    Attributes:
        name: for people.
        apart: each label is asked by itself, and the picture for what is missing; else the picture is the only question.
        kinds: of labels that it looks at; the others may be as they like.

    Raises:
        ConfigError: for another unit.
    """

    name: ClassVar[str]
    apart: ClassVar[bool] = False
    kinds: ClassVar[tuple[Kind, ...]] = tuple(Kind)

    def __init__(self, unit: str = "item") -> None:
        if unit not in UNITS:
            raise ConfigError(f"decide.loss.unit is {unit!r}", choices=UNITS)
        self.unit = unit

    @abstractmethod
    def errors(self, machine: Labels, truth: Labels, schema: Schema) -> Errors:
        """Return the errors of the machine's labels of one picture against the truth; both fit the schema."""

    def about(self, kind: npt.NDArray[Any]) -> Bools:
        """Return which labels (n,), by their `kind` (n,), are looked at."""
        return np.isin(kind, self.kinds)

    def rows(self, labels: Labels) -> Ints:
        """Return the rows that are asked one by one."""
        return np.flatnonzero(self.about(labels.kind)) if self.apart else np.zeros(0, dtype=np.int64)

    def sizes(self, count: Ints) -> Floats:
        """Return the share of pictures (n,) in the denominator of the error, by the number of labels (n,) that are looked at."""
        return np.ones(len(count))

    def size(self, labels: Labels) -> float:
        """Return the share of one picture."""
        return float(self.sizes(np.array([int(self.about(labels.kind).sum())]))[0])


class Objects(Loss):
    """Count wrong labels and missed objects.

    Labels are matched to those of the truth twice. First the right ones: same class and identity attributes, and as alike as
    `hyla.decide.pairing` says with `iou`, the most alike first, each once. Then what is left over, whatever its class, where the
    overlap is 0.1 or more: such a label is about an object, but calls it something else or lies badly. It is one error, on its
    row, and the object is not missed besides. A label that is about nothing is an error on its row. An object that no label is
    about is one on the whole.

    Objects of the truth whose `evidence["iscrowd"]` is 1 stand for many: none of them is missed, and a label of their class that
    is about nothing else and lies in one by half of its area or more is no error, as in COCO's evaluation.

    The size of a picture is its labels + 1, so that the error rate is errors per label and picture, and a picture without labels
    counts as well.

    Args:
        iou: from which intersection over union on a label is where it belongs: above 0.1, to 1.
        unit: item or group.

    Raises:
        ConfigError: for another `iou` or unit.
    """

    name = "objects"
    apart = True

    def __init__(self, iou: float = 0.5, unit: str = "item") -> None:
        super().__init__(unit)
        if not ABOUT < iou <= 1:
            raise ConfigError(f"decide.loss.iou is {iou:g}", f"give an overlap above {ABOUT:g}, to 1")
        self.iou = float(iou)

    def sizes(self, count: Ints) -> Floats:
        """Return labels + 1."""
        return np.asarray(count + 1.0)

    def errors(self, machine: Labels, truth: Labels, schema: Schema) -> Errors:
        """Return 1 for each wrong label on its row, and the number of missed objects on the whole."""
        truth, crowd = _without_crowd(truth)
        wrong, found = np.ones(len(machine), dtype=bool), np.zeros(len(truth), dtype=bool)
        pairs = likeness(machine, truth, self.iou)
        same = schema.same(machine, truth, pairs.a, pairs.b)
        rows, objects = greedy(pairs.where(same & (pairs.value >= self.iou)))
        wrong[rows], found[objects] = False, True
        taken, objects = greedy(pairs.where(wrong[pairs.a] & ~found[pairs.b]))
        found[objects] = True
        if len(crowd) and wrong.any():
            stray = wrong.copy()
            stray[taken] = False
            wrong &= ~(stray & _in_crowd(machine, crowd))
        return Errors(wrong.astype(np.float64), float((~found).sum()))


class Pictures(Loss):
    """Count pictures in which anything is wrong or missing, 0 or 1: the strict reading.

    A picture is right if `Objects` finds no error in it, or if the two sides say the same by `hyla.decide.agree`.

    Args:
        iou: from which intersection over union on a label is where it belongs.
        unit: item or group.

    Raises:
        ConfigError: as Objects does.
    """

    name = "pictures"

    def __init__(self, iou: float = 0.5, unit: str = "item") -> None:
        super().__init__(unit)
        self.iou = Objects(iou).iou

    def errors(self, machine: Labels, truth: Labels, schema: Schema) -> Errors:
        """Return 1 on the whole if anything is wrong."""
        wrong = Objects(self.iou).errors(machine, truth, schema).total > 0
        # The most alike first is not always the best matching of all, which `agree` looks for.
        wrong = wrong and not agree(machine, _without_crowd(truth)[0], schema, self.iou)
        return Errors(np.zeros(len(machine)), float(wrong))


class Tags(Loss):
    """Count pictures whose set of tags is another than the truth's, 0 or 1: classification. Other labels do not count.

    Tags differ if their classes or their identity attributes do.
    """

    name = "tags"
    kinds = (Kind.TAG,)

    def errors(self, machine: Labels, truth: Labels, schema: Schema) -> Errors:
        """Return 1 on the whole if the tags differ."""
        said, true = (set(schema.identity_of(one[self.about(one.kind)])) for one in (machine, truth))
        return Errors(np.zeros(len(machine)), float(said != true))


class Pixels(Loss):
    """Measure how far areas are off: 1 - intersection over union, or 1 - Dice, of all pixels of a class: the mean over classes.

    The classes are those that either side has in the picture. A picture in which neither has an area is right. Areas are those of
    polygons, masks and rotated boxes; other labels do not count. Pixels of one picture are never taken as independent: a picture
    is one observation.

    Args:
        measure: iou or dice.
        unit: item or group.

    Raises:
        ConfigError: for another measure or unit.
    """

    name = "pixels"
    kinds = (Kind.POLYGON, Kind.MASK, Kind.ROTATED_BOX)

    def __init__(self, measure: str = "iou", unit: str = "item") -> None:
        super().__init__(unit)
        if measure not in MEASURES:
            raise ConfigError(f"decide.loss.measure is {measure!r}", choices=MEASURES)
        self.measure = measure

    def errors(self, machine: Labels, truth: Labels, schema: Schema) -> Errors:
        """Return the mean over classes of 1 - IoU (or Dice) on the whole, from 0 to 1."""
        sides = [one[self.about(one.kind)] for one in (machine, _without_crowd(truth)[0])]
        size = _canvas(sides)
        off = []
        for class_id in np.union1d(sides[0].class_id, sides[1].class_id).tolist():
            said, true = (_area(one[one.class_id == class_id], size) for one in sides)
            both, either = int((said & true).sum()), int((said | true).sum())
            part, whole = (2 * both, both + either) if self.measure == "dice" else (both, either)
            off.append(1 - part / whole if whole else 0.0)
        return Errors(np.zeros(len(machine)), float(np.mean(off)) if off else 0.0)


def _without_crowd(truth: Labels) -> tuple[Labels, Labels]:
    """Return the labels that stand for one object each, and those that stand for many."""
    if "iscrowd" not in truth.evidence:
        return truth, truth[:0]
    crowd = truth.evidence["iscrowd"] == 1
    return truth[~crowd], truth[crowd]


def _in_crowd(machine: Labels, crowd: Labels) -> Bools:
    """Return which labels (n,) lie in a crowd of their class by half of the area of their box, or more."""
    low = np.maximum(machine.box[:, None, :2], crowd.box[None, :, :2])
    high = np.minimum(machine.box[:, None, 2:], crowd.box[None, :, 2:])
    common = np.maximum(high - low, 0).prod(axis=2)
    same = machine.class_id[:, None] == crowd.class_id[None]
    return np.asarray((same & (common > 0) & (common >= 0.5 * geometry.area(machine.box)[:, None])).any(axis=1))


def _canvas(sides: Sequence[Labels]) -> tuple[int, ...]:
    """Return the size of the masks, or else one that holds all polygons."""
    for labels in sides:
        for shape in labels.shape:
            if isinstance(shape, Rle):
                return shape.size
    far = np.ceil(np.concatenate([one.box[:, 2:] for one in sides] + [np.ones((1, 2))]).max(axis=0)).astype(int)
    return int(far[1]), int(far[0])


def _area(labels: Labels, size: tuple[int, ...]) -> Bools:
    """Return which pixels of a picture of `size` any of the labels has."""
    return reduce(
        np.logical_or, (_pixels(k, s, size) for k, s in zip(labels.kind, labels.shape, strict=True)), np.zeros(size, bool)
    )


def _pixels(kind: int, shape: object, size: tuple[int, ...]) -> Bools:
    if isinstance(shape, Rle):
        return geometry.decode(shape)
    rings = (geometry.rotated_corners(shape),) if kind == Kind.ROTATED_BOX else shape  # type: ignore[arg-type]
    return geometry.rasterize(rings, size)  # type: ignore[arg-type]
