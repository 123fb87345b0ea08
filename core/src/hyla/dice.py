"""Measure masks of volumes against truth: Dice, by class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco

from hyla import average_precision as ap
from hyla.errors import StageError
from hyla.geometry import coco_rle
from hyla.types import Kind, Labels, Rle

Masks = dict[int, list[Rle]]  # class id -> its masks in one volume


@dataclass(frozen=True)
class Overlap:
    """Hold how the volumes of one class agree.

    Args:
        dice: mean over volumes of 2 |A and B| / (|A| + |B|), with its 95 % interval over volumes; None for a class that the truth
            never has, since it may not have looked for it.
        low, high: of the interval.
        volumes: where either side has the class; where only one has, Dice is 0.
        truth, predicted: volumes in which either side has it.
        size: voxels of the machine over voxels of the truth, where both have it; None where neither does.
    """

    dice: float | None
    low: float | None
    high: float | None
    volumes: int
    truth: int
    predicted: int
    size: float | None

    def __str__(self) -> str:
        n = f"(n {self.volumes}; truth {self.truth}, predicted {self.predicted})"
        ratio = "" if self.size is None else f"  size {self.size:.2f} of the truth"
        return f"Dice {self.dice:.3f} [{self.low:.3f}, {self.high:.3f}] {n}{ratio}" if self.dice is not None else f"- {n}"


def volumes_of(labels: Labels) -> Masks:
    """Return the masks of volumes among `labels`, by class."""
    found: Masks = defaultdict(list)
    for row in np.flatnonzero(labels.kind == Kind.MASK):
        if len(labels.shape[row].size) == 3:
            found[int(labels.class_id[row])].append(labels.shape[row])
    return dict(found)


def overlaps(truth: Mapping[int, Masks], found: Mapping[int, Masks], samples: int, seed: int) -> dict[int, Overlap]:
    """Return class id -> how both sides agree, of the classes that either has; several masks of a class count as one.

    Args:
        truth: what is right, by number of the volume.
        found: what the machine said, likewise.
        samples: draws of the volumes for the intervals.
        seed: of these draws.

    Raises:
        StageError: for masks of one volume that differ in size.
    """
    classes = sorted({c for side in (truth, found) for masks in side.values() for c in masks})
    return {
        c: _overlap([_both(truth.get(n, {}), found.get(n, {}), c) for n in sorted({*truth, *found})], samples, seed)
        for c in classes
    }


def _both(truth: Masks, found: Masks, class_id: int) -> tuple[int, int, int]:
    """Return the voxels of either side, and of both at once."""
    sides = [side.get(class_id, []) for side in (truth, found)]
    if len(sizes := {one.size for side in sides for one in side}) > 1:
        raise StageError(f"masks of one volume differ in size: {sorted(sizes)}")
    merged = [coco.merge([coco_rle(one) for one in side]) if side else None for side in sides]
    a, b = (0 if one is None else int(coco.area(one)) for one in merged)
    return a, b, int(coco.area(coco.merge(merged, intersect=True))) if a and b else 0


def _overlap(voxels: Sequence[tuple[int, int, int]], samples: int, seed: int) -> Overlap:
    truth, found, common = (np.array(column, dtype=np.float64) for column in zip(*voxels, strict=True))
    there, both = truth + found > 0, (truth > 0) & (found > 0)
    n = int(there.sum())
    size = float(found[both].sum() / truth[both].sum()) if both.any() else None
    if not truth.any():
        return Overlap(None, None, None, n, 0, int((found > 0).sum()), size)
    dice = (2 * common / np.maximum(truth + found, 1))[there]
    draws = dice[np.random.default_rng(seed).integers(0, n, (samples, n))].mean(axis=1)
    low, high = ap.interval(float(dice.mean()), draws, n)
    return Overlap(float(dice.mean()), low, high, n, int((truth > 0).sum()), int((found > 0).sum()), size)
