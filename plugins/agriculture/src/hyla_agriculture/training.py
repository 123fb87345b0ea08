"""Train a network on scenes with labels: polygons, masks, or points, with places held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.frame import MapFrame
from hyla.schema import Schema
from hyla.types import Image, Ints, Labels
from hyla_agriculture.blending import origin
from hyla_agriculture.network import Spec, write
from hyla_agriculture.scene import Scene, Window, view
from hyla_agriculture.truth import IGNORE, truth_of

BLOCK = 64  # pixels: side of the places that are held out together
HELD_OUT = 0.2  # share of them
BATCH = 8  # patches in a step
SAMPLES = 200  # patches that mean and deviation of the bands are taken of
MOST = 100_000  # pixels of a class and a scene among which patches are placed


@dataclass(frozen=True)
class Case:
    """Hold a scene with its truth.

    Args:
        scene: that patches are read of.
        truth: channels (h, w), IGNORE where nothing is known.
        start: (row, column) of its first pixel on the grid of the world.
        crs: of that grid.
        places: for each channel, pixels (n, 2), row and column, around which patches are placed.
    """

    scene: Scene
    truth: npt.NDArray[np.uint8]
    start: tuple[int, int]
    crs: str
    places: tuple[Ints, ...] = ()


def fit(
    pairs: Iterable[tuple[Image, Labels]],
    schema: Schema,
    spec: Spec,
    out: Path,
    steps: int = 1000,
    rate: float = 1e-3,
    seed: int = 0,
    device: str = "cpu",
    patch: int = 64,
    held_out: float = HELD_OUT,
) -> dict[str, Any]:
    """Train a network, write `out`/unet.pt and .json, and return the figures.

    Patches are read around labelled pixels of a class drawn first, mirrored and turned by quarters. The loss is the cross-entropy
    at labelled pixels only, so that a few points are enough to begin with; the optimiser is AdamW with a cosine schedule. Mean
    and deviation of the bands are taken of such patches, unless the spec has them. The same seed on the same machine gives the
    same weights. Pixels are read when they are needed; of each scene, only the truth is in memory.

    A share of the places (blocks of BLOCK pixels on the grid of the world, chosen by a hash, no less than one of two) is never
    trained on, on whichever date, and measured: `accuracy`, and the `recall` of each class, with the `n` pixels they are of, and
    the number of places, since pixels of one place are alike.

    Args:
        pairs: scenes and their labels; see `truth.truth_of`.
        schema: of the labels.
        spec: of the network.
        out: folder to write to.
        steps: of the optimiser.
        rate: of learning, at the start.
        seed: of weights and patches.
        device: name as torch knows it.
        patch: side of a patch in pixels, a multiple of what the network divides them by.
        held_out: share of the places; 0 trains on all of them.

    Returns:
        scenes, pixels ({class: labelled pixels trained on}), loss (mean of the first and of the last tenth of the steps),
        held_out ({places, n, accuracy, recall: {class: {recall, n}}}).

    Raises:
        ConfigError: where there is nothing to learn from, and for a patch that the network can't take.
    """
    if patch < 1 or patch % spec.multiple:
        raise ConfigError(f"patch is {patch}", f"it must be a multiple of {spec.multiple}, as the network has it")
    cases = [_case(image, labels, schema, spec) for image, labels in pairs]
    held = held_places(cases, held_out)
    random = np.random.default_rng(seed)
    learnt = [_placed(replace(case, truth=_without(case, held)), spec, random) for case in cases]
    there = [channel for channel in range(len(spec.classes)) if any(len(case.places[channel]) for case in learnt)]
    if not any(spec.classes[channel] for channel in there):
        raise ConfigError(f"no scene to learn from has labels of {', '.join(filter(None, spec.classes))}", "review some first")
    if not spec.mean:
        spec = _scaled(learnt, there, spec, patch, random)
    network = spec.network(seed).to(device)
    losses = _descend(network, learnt, there, spec, steps, rate, patch, device, random)
    tenth = max(1, steps // 10)
    figures = {
        "scenes": len(cases),
        "pixels": {
            spec.classes[channel] or "background": int(sum((case.truth == channel).sum() for case in learnt)) for channel in there
        },
        "steps": steps,
        "loss": [float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))] if losses else [],
        "held_out": measure(network.eval(), cases, held, spec, device),
    }
    write(network, spec, figures, out)
    return figures


def held_places(cases: Sequence[Case], share: float) -> frozenset[tuple[str, int, int]]:
    """Return the places (CRS, row and column of a block) that are held out: the first by a hash, alike on every machine."""
    known = {(case.crs, *block) for case in cases for block in _blocks(case)}
    if share <= 0 or len(known) < 2:
        return frozenset()
    ordered = sorted(known, key=lambda place: hashlib.sha256(repr(place).encode()).digest())
    return frozenset(ordered[: max(1, round(share * len(known)))])


def measure(
    network: Any, cases: Sequence[Case], held: frozenset[tuple[str, int, int]], spec: Spec, device: str
) -> dict[str, Any]:
    """Return how often the network is right at the labelled pixels of the places that were held out."""
    import torch

    right = np.zeros(len(spec.classes), np.int64)
    n = np.zeros(len(spec.classes), np.int64)
    for case in cases:
        for row, column in sorted(_blocks(case)):
            if (case.crs, row, column) not in held:
                continue
            top, left = row * BLOCK - case.start[0], column * BLOCK - case.start[1]
            truth = _cut(case.truth, top, left, BLOCK)
            # A block's width around it, so that the network sees what is beside it. On the grid of tiles: see `blending`.
            values = _values(case, spec, top - BLOCK, left - BLOCK, 3 * BLOCK)
            with torch.inference_mode():
                answer = network(torch.from_numpy(np.nan_to_num(values, nan=0.0))[None].to(device))[0].argmax(dim=0)
            said = answer.cpu().numpy()[BLOCK:-BLOCK, BLOCK:-BLOCK]
            known = (truth != IGNORE) & np.isfinite(values[0, BLOCK:-BLOCK, BLOCK:-BLOCK])
            n += np.bincount(truth[known], minlength=len(n))
            right += np.bincount(truth[known & (said == truth)], minlength=len(n))
    total = int(n.sum())
    return {
        "places": len(held),
        "n": total,
        "accuracy": float(right.sum() / total) if total else None,
        "recall": {
            name or "background": {"recall": float(right[channel] / n[channel]), "n": int(n[channel])}
            for channel, name in enumerate(spec.classes)
            if n[channel]
        },
    }


def _descend(
    network: Any,
    cases: Sequence[Case],
    channels: Sequence[int],
    spec: Spec,
    steps: int,
    rate: float,
    patch: int,
    device: str,
    random: np.random.Generator,
) -> list[float]:
    """Train `network` and return the losses."""
    import torch

    optimiser = torch.optim.AdamW(network.train().parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=max(1, steps))
    loss_of = torch.nn.CrossEntropyLoss(ignore_index=IGNORE)
    losses = []
    for _ in range(steps):
        drawn = [_turned(*_patch(cases, channels, spec, patch, random), random) for _ in range(BATCH)]
        values = torch.from_numpy(np.stack([one for one, _ in drawn])).to(device)
        truth = torch.from_numpy(np.stack([one for _, one in drawn])).long().to(device)
        if not bool((truth != IGNORE).any()):  # all under clouds
            continue
        optimiser.zero_grad()
        loss = loss_of(network(values), truth)
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def _patch(
    cases: Sequence[Case], channels: Sequence[int], spec: Spec, size: int, random: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return values (bands, size, size), 0 where nothing is known, and truth of a patch that holds a pixel of a class drawn."""
    channel = channels[int(random.integers(len(channels)))]
    having = [case for case in cases if len(case.places[channel])]
    case = having[int(random.integers(len(having)))]
    row, column = case.places[channel][int(random.integers(len(case.places[channel])))]
    top, left = int(row - random.integers(size)), int(column - random.integers(size))
    values = _values(case, spec, top, left, size)
    truth = np.where(np.isfinite(values[0]), _cut(case.truth, top, left, size), np.uint8(IGNORE))
    return np.nan_to_num(values, nan=0.0), truth


def _turned(
    values: npt.NDArray[np.float32], truth: npt.NDArray[np.uint8], random: np.random.Generator
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return a patch turned by quarters and mirrored at random: a field has no upper side."""
    turns, mirrored = int(random.integers(4)), bool(random.integers(2))
    values, truth = np.rot90(values, turns, (1, 2)), np.rot90(truth, turns)
    if mirrored:
        values, truth = values[:, :, ::-1], truth[:, ::-1]
    return np.ascontiguousarray(values), np.ascontiguousarray(truth)


def _scaled(cases: Sequence[Case], channels: Sequence[int], spec: Spec, patch: int, random: np.random.Generator) -> Spec:
    """Return the spec with the mean and deviation of the bands over patches as they are trained on."""
    raw = replace(spec, mean=(), deviation=())
    sums = np.zeros((3, len(spec.bands)))
    for _ in range(SAMPLES):
        channel = channels[int(random.integers(len(channels)))]
        having = [case for case in cases if len(case.places[channel])]
        case = having[int(random.integers(len(having)))]
        row, column = case.places[channel][int(random.integers(len(case.places[channel])))]
        values = _values(case, raw, int(row) - patch // 2, int(column) - patch // 2, patch).astype(np.float64)
        known = values[:, np.isfinite(values[0])]
        sums += [np.full(len(known), known.shape[1]), known.sum(axis=1), (known**2).sum(axis=1)]
    if not sums[0, 0]:
        raise ConfigError("no labelled place has a pixel with data in all bands and without clouds", "label others")
    mean = sums[1] / sums[0]
    deviation = np.sqrt(np.maximum(sums[2] / sums[0] - mean**2, 0))
    return replace(spec, mean=tuple(mean.tolist()), deviation=tuple(np.where(deviation > 1e-9, deviation, 1.0).tolist()))


def _case(image: Image, labels: Labels, schema: Schema, spec: Spec) -> Case:
    scene = view(image)
    frame = image.frame
    crs = frame.crs if isinstance(frame, MapFrame) and frame.crs else image.item.id
    return Case(scene, truth_of(labels, schema, spec, (scene.shape[0], scene.shape[1])), origin(frame), crs)


def _placed(case: Case, spec: Spec, random: np.random.Generator) -> Case:
    """Return the case with the pixels around which patches are placed, of each class no more than MOST."""
    places = []
    for channel in range(len(spec.classes)):
        found = np.flatnonzero(case.truth == channel)
        if len(found) > MOST:
            found = np.sort(random.choice(found, MOST, replace=False))
        places.append(np.stack(np.unravel_index(found, case.truth.shape), axis=1))
    return replace(case, places=tuple(places))


def _blocks(case: Case) -> set[tuple[int, int]]:
    """Return the blocks (row, column) of the grid of the world in which a case has labels."""
    row, column = np.nonzero(case.truth != IGNORE)
    blocks = np.stack([(row + case.start[0]) // BLOCK, (column + case.start[1]) // BLOCK], axis=1)
    return {(int(r), int(c)) for r, c in np.unique(blocks, axis=0)}


def _without(case: Case, held: frozenset[tuple[str, int, int]]) -> npt.NDArray[np.uint8]:
    """Return the truth of a case without that of the places which are held out."""
    truth = case.truth.copy()
    for crs, row, column in held:
        if crs == case.crs:
            top, left = row * BLOCK - case.start[0], column * BLOCK - case.start[1]
            truth[max(0, top) : max(0, top + BLOCK), max(0, left) : max(0, left + BLOCK)] = IGNORE
    return truth


def _values(case: Case, spec: Spec, top: int, left: int, size: int) -> npt.NDArray[np.float32]:
    """Return the values (bands, size, size) of a square that may lie beyond the scene, NaN there."""
    height, width = case.truth.shape
    window = Window(max(0, top), min(height, top + size), max(0, left), min(width, left + size))
    values = np.full((len(spec.bands), size, size), np.nan, np.float32)
    if window.row0 < window.row1 and window.column0 < window.column1:
        rows, columns = slice(window.row0 - top, window.row1 - top), slice(window.column0 - left, window.column1 - left)
        values[:, rows, columns] = spec.values(case.scene, window)
    return values


def _cut(truth: npt.NDArray[np.uint8], top: int, left: int, size: int) -> npt.NDArray[np.uint8]:
    """Return a square of the truth that may lie beyond the scene, IGNORE there."""
    part = np.full((size, size), IGNORE, np.uint8)
    row0, column0 = max(0, top), max(0, left)
    inside = truth[row0 : max(0, top + size), column0 : max(0, left + size)]
    part[row0 - top : row0 - top + inside.shape[0], column0 - left : column0 - left + inside.shape[1]] = inside
    return part
