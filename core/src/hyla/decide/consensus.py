"""Make one answer of several: by majority, by how good each reader is (Dawid-Skene), by pixels (STAPLE), by the middle of boxes.

A consensus is no truth. Readers who make the same mistakes outvote the one who does not, and copies of one model, or models that
were trained alike, are not independent readers.

Dawid-Skene needs the package crowd-kit, STAPLE needs SimpleITK. Of crowd-kit one module is imported, which in turn loads all of
its aggregation and with it nltk, from the disk: nothing is fetched. Its data sets, which would be, are never touched.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError, StageError
from hyla.schema import values_of
from hyla.types import Floats, Kind, Labels, Rle

FEWEST = 3  # readers: with two, who of them is right can't be told from their answers
ANCHORED = 10  # objects of known class that each reader must have rated to stand in for a third reader: a rule of thumb


@dataclass(frozen=True, eq=False)
class Consensus:
    """Hold what the readers said together.

    Args:
        value: (objects,) class id, ABSENT, or NaN where nobody answered or nobody won.
        sure: (objects,) from 0 to 1: share of the votes, or probability under the model; NaN where nobody answered.
        domain: (k,) the answers there were, ascending.
        confusion: (readers, k, k) how often each reader says [said] of what is [true], by their own model; None for a majority.
        warnings: what to keep in mind.
    """

    value: Floats
    sure: Floats
    domain: Floats
    confusion: Floats | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Staple:
    """Hold the mask that several readers drew together, and how each of them did against it.

    Args:
        mask: as large as theirs.
        sensitivity: (readers,) share of the mask that each has in theirs.
        specificity: (readers,) share of what is outside, within one pixel around all masks, that each left out.
    """

    mask: Rle
    sensitivity: Floats
    specificity: Floats


def majority(ratings: npt.ArrayLike) -> Consensus:
    """Return what most readers said of each object; of a tie nothing, for a class number is no reason to win.

    Args:
        ratings: (readers, objects) as `matching.ratings` gives them.
    """
    value = _ratings(ratings)
    domain = np.unique(value[~np.isnan(value)])
    if not len(domain):
        return Consensus(np.full(value.shape[1], np.nan), np.full(value.shape[1], np.nan), domain)
    votes = (value.T[:, :, None] == domain).sum(axis=1)  # (objects, k)
    most = votes.max(axis=1)
    total = votes.sum(axis=1)
    alone = (votes == most[:, None]).sum(axis=1) == 1
    won = (total > 0) & alone
    best = np.full(len(votes), np.nan)
    best[won] = domain[votes[won].argmax(axis=1)]
    sure = np.divide(most, total, out=np.full(len(votes), np.nan), where=total > 0)
    return Consensus(best, sure, domain)


def dawid_skene(ratings: npt.ArrayLike, known: npt.ArrayLike | None = None, *, rounds: int = 100) -> Consensus:
    """Return the most probable answers under the model of Dawid and Skene (1979, Appl Statist 28:20), as crowd-kit fits it.

    Each reader has a table of what they say of what is there, and readers err independently of each other; tables and answers
    are fitted in turn (EM, from the majority). What fewer than three readers say does not tell who of them is right: they are
    refused, unless each rated enough objects whose answer is known.

    Args:
        ratings: (readers, objects) as `matching.ratings` gives them.
        known: (objects,) the true answer where an expert gave one, else NaN.
        rounds: of the fit, at most.

    Raises:
        ConfigError: for too few readers, or without crowd-kit.
        StageError: for arrays that do not fit together.
    """
    value = _ratings(ratings)
    rated = ~np.isnan(value)
    truth = np.full(value.shape[1], np.nan) if known is None else np.asarray(known, dtype=np.float64)
    if truth.shape != (value.shape[1],):
        raise StageError(f"known must have one answer per object, {value.shape[1]}, got {truth.shape}")
    overlap = rated.sum(axis=0)[rated.any(axis=0)]
    readers = int(rated.any(axis=1).sum())
    anchors = int((rated & ~np.isnan(truth)).sum(axis=1)[rated.any(axis=1)].min(initial=value.shape[1]))
    if anchors < ANCHORED and (readers < FEWEST or overlap.max(initial=0) < 2):
        what = f"{readers} readers" if readers < FEWEST else "readers who share no object"
        raise ConfigError(
            f"Dawid-Skene is not identified with {what}: their answers don't tell who of them is right",
            f"take the majority, ask a third reader, or give {ANCHORED} known answers that each reader rated (now {anchors})",
        )
    domain = np.unique(value[rated])
    probability, confusion = _fitted(value, truth, domain, rounds)
    answered = rated.any(axis=0)
    best, sure = np.full(len(truth), np.nan), np.full(len(truth), np.nan)
    best[answered] = domain[probability[answered].argmax(axis=1)]
    sure[answered] = probability[answered].max(axis=1)
    notes = ["probabilities hold if readers err independently; those who share a mistake make it look sure"]
    if np.mean(overlap) < FEWEST:
        notes.append(
            f"{np.mean(overlap):.1f} answers per object on average: below {FEWEST} the tables of readers are poorly known"
        )
    return Consensus(best, sure, domain, confusion, tuple(notes))


def staple(masks: Sequence[Rle], *, threshold: float = 0.5) -> Staple:
    """Return the mask that three readers or more drew together, by STAPLE (Warfield 2004, IEEE Trans Med Imaging 23:903).

    Each reader counts by how well they agree with the result. The masks are cut to the box around all of them and one pixel more:
    of a whole picture, the background would decide how good everybody looks.

    Args:
        masks: of one object and one size, by reader; pictures or volumes.
        threshold: probability from which a pixel belongs to the mask.

    Raises:
        ConfigError: for fewer than three masks, or without SimpleITK.
        StageError: for masks of different sizes.
    """
    from hyla import geometry

    if len(masks) < FEWEST:
        raise ConfigError(f"STAPLE needs {FEWEST} masks or more, got {len(masks)}", "of two, who is right can't be told")
    if len(sizes := {one.size for one in masks}) > 1:
        raise StageError(f"masks of different sizes can't be joined: {sorted(sizes)}")
    try:
        sitk: Any = import_module("SimpleITK")
    except ImportError as e:
        raise ConfigError("STAPLE needs the package SimpleITK", "pip install 'hyla[decide]'") from e
    drawn = np.stack([geometry.decode(one) for one in masks])
    union = drawn.any(axis=0)
    if not union.any():
        return Staple(masks[0], np.ones(len(masks)), np.ones(len(masks)))
    inside = tuple(slice(axis.min(), axis.max() + 1) for axis in np.nonzero(union))
    cut = np.pad(drawn[(slice(None), *inside)], [(0, 0), *[(1, 1)] * union.ndim]).astype(np.uint8)
    found = sitk.STAPLEImageFilter()
    found.SetForegroundValue(1)
    probability = sitk.GetArrayFromImage(found.Execute([sitk.GetImageFromArray(one) for one in cut]))
    mask = np.zeros(union.shape, dtype=bool)
    mask[inside] = probability[(slice(1, -1),) * union.ndim] >= threshold
    return Staple(geometry.encode(mask), np.array(found.GetSensitivity()), np.array(found.GetSpecificity()))


def joined(
    readers: Sequence[Labels],
    clusters: Sequence[tuple[int, ...]],
    weights: npt.ArrayLike | None = None,
    identities: Sequence[str] = (),
) -> Labels:
    """Return one set of labels of several: each object that readers of more than half the weight have, as they have it together.

    The class is the one of most weight, the first reader's of equals. A box is the median of theirs, side by side, which one
    outlier does not move; with `weights` it is their weighted mean. A mask has the pixels that more than half the weight of
    those who have the object has. Of any other shape, the one in the middle is taken: the largest sum of overlaps of its box
    with the others'. The score is the share of the weight that has the object. The class is chosen together with `identities`.
    Attributes and context are those of the first reader who calls the object so.

    Args:
        readers: labels of one picture, by reader.
        clusters: as `matching.clusters` gives them.
        weights: (readers,) what each counts, above 0; all alike if not given.
        identities: attributes that say what an object is: `Schema.identities`.

    Raises:
        StageError: for weights that are not above 0, or not one for each reader.
    """
    weight = np.ones(len(readers)) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (len(readers),) or not (weight > 0).all():
        raise StageError(f"weights must be above 0, one for each of {len(readers)} readers")
    parts = []
    for rows in clusters:
        have = [reader for reader, row in enumerate(rows) if row >= 0]
        share = float(weight[have].sum() / weight.sum())
        if share > 0.5:
            ones = [readers[reader][[rows[reader]]] for reader in have]
            parts.append(_one(ones, weight[have], weights is not None, share, identities))
    return Labels.concat(parts) if parts else Labels.empty()


def _one(ones: Sequence[Labels], weight: Floats, weighted: bool, share: float, identities: Sequence[str]) -> Labels:
    """Return the label that labels (each of length 1) of one object and kind make together."""
    said = [(int(one.class_id[0]), *(values_of(one, name)[0] for name in identities)) for one in ones]
    heaviest = max(dict.fromkeys(said), key=lambda word: sum(w for w, other in zip(weight, said, strict=True) if other == word))
    kind, boxes = int(ones[0].kind[0]), np.concatenate([one.box for one in ones])
    if kind in (Kind.TAG, Kind.BOX):
        shape, box = None, np.average(boxes, axis=0, weights=weight) if weighted else np.median(boxes, axis=0)
    elif kind == Kind.MASK and len({one.shape[0].size for one in ones}) == 1:
        shape, box = _by_pixels([one.shape[0] for one in ones], weight)
    else:
        from hyla.geometry import iou

        middle = int(np.argmax((iou(boxes, boxes) * weight).sum(axis=1)))
        shape, box = ones[middle].shape[0], boxes[middle]
    first = ones[said.index(heaviest)]
    shapes = np.empty(1, dtype=object)
    shapes[0] = shape
    chosen = np.array([heaviest[0]], dtype=np.int64)
    return Labels(chosen, np.array([share]), box[None], first.kind, shapes, first.track, first.attributes, first.context)


def _by_pixels(masks: Sequence[Rle], weight: Floats) -> tuple[Rle, Floats]:
    from hyla import geometry

    votes = sum(w * geometry.decode(mask) for mask, w in zip(masks, weight, strict=True))
    mask = geometry.encode(np.asarray(votes > weight.sum() / 2))
    return mask, geometry.rle_bounds(mask)


def _fitted(value: Floats, truth: Floats, domain: Floats, rounds: int) -> tuple[Floats, Floats]:
    """Return probabilities (objects, k) and tables (readers, said, true) of crowd-kit's fit."""
    try:
        from crowdkit.aggregation.classification.dawid_skene import DawidSkene
    except ImportError as e:
        raise ConfigError("Dawid-Skene needs the package crowd-kit", "pip install 'hyla[decide]'") from e
    import pandas as pd

    reader, item = np.nonzero(~np.isnan(value))
    said = np.searchsorted(domain, value[reader, item])
    table = pd.DataFrame({"task": item, "worker": reader, "label": said})
    anchors = np.flatnonzero(np.isin(truth, value) & ~np.isnan(value).all(axis=0))  # crowd-kit knows no answer that nobody gave
    gold = pd.Series(np.searchsorted(domain, truth[anchors]), index=anchors) if len(anchors) else None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The (inplace|copy) keyword")  # crowd-kit 1.4 writes for pandas 2
        fit: Any = DawidSkene(n_iter=rounds).fit(table, gold)
    k = np.arange(len(domain))
    probability = fit.probas_.reindex(index=np.arange(value.shape[1]), columns=k).fillna(0).to_numpy()
    every = pd.MultiIndex.from_product([np.arange(len(value)), k], names=["worker", "label"])
    confusion = fit.errors_.reindex(index=every, columns=k).fillna(0).to_numpy().reshape(len(value), len(k), len(k))
    return probability, confusion


def _ratings(ratings: npt.ArrayLike) -> Floats:
    value = np.asarray(ratings, dtype=np.float64)
    if value.ndim != 2:
        raise StageError(f"ratings must be (readers, objects), got {value.shape}")
    return value
