"""Measure how far off a wrong class is, in the tree of classes: a lemon taken for a lime is less wrong than one taken for soap.

With each class stand its ancestors, so that precision and recall count what both sides say of a thing in common (Kiritchenko,
Matwin, Nock and Famili 2006, "Learning and evaluation in the presence of class hierarchies"): of the pairs i of true
and found class, with A(c) the class c and its ancestors, precision is the sum of |A(found i) & A(true i)| over that of
|A(found i)|, recall over that of |A(true i)|. The root of all, which says nothing, does not count: neither the one that no schema
names, nor a class that a schema puts above all others.
The distance is the number of steps from the found class up to the lowest ancestor in common and down to the true one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyla import average_precision as ap
from hyla.figure import Figure, share
from hyla.schema import Schema
from hyla.types import Bools, Floats

Pairs = Sequence[tuple[int, int, int]]  # image from 0, true class, found class
_CELLS = 4_000_000  # of draws times images at once


@dataclass(frozen=True)
class HierarchyFigures:
    """Hold how near the classes found lie to the true ones, of things that were found, whatever they were taken for.

    Args:
        same: share of the pairs with one class.
        precision, recall, f1: with the ancestors of both classes; equal to `same` if classes have none.
        distance: mean number of steps in the tree.
    """

    same: Figure
    precision: Figure
    recall: Figure
    f1: Figure
    distance: Figure

    def __str__(self) -> str:
        return (
            f"same class {self.same}  steps off in the tree {_brief(self.distance)}\n"
            f"  with ancestors: precision {_brief(self.precision)}  recall {_brief(self.recall)}  F1 {_brief(self.f1)}"
        )


def lineage(schema: Schema) -> Bools:
    """Return (classes, classes): whether a column is the class of the row, or an ancestor of it that is not above all."""
    out = np.eye(len(schema.classes), dtype=bool)
    for row, one in enumerate(schema.classes):
        while one.parent:
            out[row, schema.ids[one.parent]] = True
            one = schema.classes[schema.ids[one.parent]]
    out[:, out.all(axis=0)] = False
    np.fill_diagonal(out, True)
    return out


def figures(pairs: Pairs, schema: Schema, images: int, samples: int, seed: int) -> HierarchyFigures | None:
    """Return the figures of true and found classes, or None where classes say as much without their ancestors.

    That is so if no two classes that were mixed up have an ancestor in common. Intervals are over draws of the images, but for
    `same`, which is a share with Wilson's.

    Args:
        pairs: of things that were found.
        schema: of the classes.
        images: with truth.
        samples: draws behind the intervals.
        seed: of these draws.
    """
    above = lineage(schema)
    at, true, found = np.array(pairs, dtype=np.int64).reshape(-1, 3).T
    common = (above[true] & above[found]).sum(axis=1)
    if not ((true != found) & (common > 0)).any():
        return None
    own, theirs = above[found].sum(axis=1), above[true].sum(axis=1)
    sums = np.zeros((images, 5))
    np.add.at(sums, at, np.stack([common, own, theirs, own + theirs - 2 * common, np.ones(len(at))], axis=1))
    drawn = _measures(_draws(sums, samples, seed))
    value = _measures(sums.sum(axis=0))
    shown = int((sums[:, 4] > 0).sum())
    furthest = 2.0 * float(above.sum(axis=1).max())  # steps from leaf to leaf, over the root
    made = []
    for one, draws, most in zip(value, drawn.T, (1.0, 1.0, 1.0, furthest), strict=True):
        low, high = ap.interval(float(one / most), draws / most, shown)
        made.append(Figure(float(one), low * most, high * most, len(at)))
    return HierarchyFigures(share(int((true == found).sum()), len(at)), *made)


def _measures(sums: Floats) -> Floats:
    """Return precision, recall, F1 and distance (..., 4) of sums (..., 5)."""
    common, own, theirs, steps, n = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore"):  # a draw may have no pair at all
        return np.stack([common / own, common / theirs, 2 * common / (own + theirs), steps / n], axis=-1)


def _draws(sums: Floats, samples: int, seed: int) -> Floats:
    """Return the sums (draws, 5) over images that are drawn anew from those there are."""
    rng, images = np.random.default_rng(seed), len(sums)
    chunk = max(1, _CELLS // images)
    parts = []
    for start in range(0, samples, chunk):
        weight = rng.multinomial(images, np.full(images, 1 / images), size=min(chunk, samples - start))
        parts.append(weight @ sums)
    return np.concatenate(parts) if parts else np.zeros((0, sums.shape[1]))


def _brief(one: Figure) -> str:
    return f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
