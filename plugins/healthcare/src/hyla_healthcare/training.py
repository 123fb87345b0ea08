"""Train a network on volumes with labels: patches, Dice and cross-entropy, simulated clicks, patients held out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.geometry import decode
from hyla.schema import Schema
from hyla.types import Image, Kind, Labels
from hyla_healthcare import guidance, inference
from hyla_healthcare.inference import Windows
from hyla_healthcare.segresnet import Spec, new_network, write

HELD_OUT = 0.2  # share of the patients
ANYWHERE = 0.3  # share of clicks that are put anywhere in a class, and not where the network is wrong
PATCHES = 2  # in a step, of one volume


@dataclass(frozen=True)
class Case:
    """Hold one volume on the network's grid, with its truth, both tensors (1, X, Y, Z), and the patient it is of."""

    volume: Any
    truth: Any
    patient: str


def fit(
    pairs: Iterable[tuple[Image, Labels]],
    schema: Schema,
    spec: Spec,
    out: Path,
    steps: int = 2000,
    rate: float = 1e-3,
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train a network, write `out`/segresnet.pt and .json, and return the figures.

    Patches of a window's size are cut around voxels of a class drawn first, then around any, the loss is Dice with cross-entropy
    (MONAI's DiceCELoss), the optimiser AdamW with a cosine schedule. With `spec.guided` half of the steps show clicks where the
    network was just wrong, as a person would (DeepEdit, arXiv:2305.10655). The same seed on the same machine gives the same
    weights. All volumes are held in memory.

    A fifth of the patients (`item.meta["patient"]`, or the item where that is not known), chosen by a hash and no less than one,
    is never trained on, and measured: `dice` of each class, with the `n` volumes that hold it. With one patient there are no such
    figures.

    Args:
        pairs: volumes and their labels; masks of other classes than the spec's are background.
        schema: of the labels.
        spec: of the network.
        out: folder to write to.
        steps: of the optimiser.
        rate: of learning, at the start.
        seed: of weights, patches and clicks.
        device: name as torch knows it.

    Returns:
        volumes, patients (trained on), loss (mean of the first and of the last tenth of the steps), dice ({class: {dice, n}}).

    Raises:
        ConfigError: where there is nothing to learn from.
    """
    import torch
    from monai.losses import DiceCELoss

    inference.hush()
    cases = [_case(image, labels, schema, spec) for image, labels in pairs if image.volume]
    held = held_out([case.patient for case in cases])
    learnt = [case for case in cases if case.patient not in held]
    if not any(bool(case.truth.any()) for case in learnt):
        raise ConfigError(f"no volume to learn from has a mask of {', '.join(spec.classes)}", "review some first")
    random = np.random.default_rng(seed)
    network = new_network(spec, seed).to(device).train()
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, include_background=len(spec.classes) == 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=max(1, steps))
    losses = []
    for _ in range(steps):
        volume, truth = _patches(learnt[int(random.integers(len(learnt)))], spec, random)
        volume, truth = volume.to(device), truth.to(device)
        if spec.guided:
            volume = _with_clicks(network, volume, truth, spec, random)
        optimiser.zero_grad()
        loss = loss_of(network(volume), truth)
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    tenth = max(1, steps // 10)
    figures = {
        "volumes": len(learnt),
        "patients": len({case.patient for case in learnt}),
        "steps": steps,
        "loss": [float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))],
        "held_out": len(cases) - len(learnt),
        "dice": dice(network.eval(), [case for case in cases if case.patient in held], spec, device),
    }
    write(network, spec, figures, out)
    return figures


def held_out(patients: Iterable[str]) -> frozenset[str]:
    """Return the patients to measure on: a fifth of them by a hash of the name, at least one of two or more."""
    known = sorted(set(patients), key=lambda one: hashlib.sha256(one.encode()).hexdigest())
    return frozenset(known[: max(1, round(HELD_OUT * len(known)))] if len(known) > 1 else [])


def dice(network: Any, cases: Iterable[Case], spec: Spec, device: str) -> dict[str, dict[str, float]]:
    """Return {class: {dice, n}}: the mean Dice over the n volumes of `cases` that hold the class, on the network's grid."""
    import torch

    x, y, z = inference.triple(spec.roi, "roi")
    windows = Windows((x, y, z), device=device)
    found: dict[str, list[float]] = {name: [] for name in spec.classes}
    with torch.no_grad():
        for case in cases:
            volume = torch.cat([case.volume, case.volume.new_zeros((len(spec.guides), *case.volume.shape[1:]))])
            said = windows(network, volume).argmax(dim=0).cpu()
            for channel, name in spec.channels.items():
                if bool((real := case.truth[0] == channel).any()):
                    found[name].append(2 * int((real & (said == channel)).sum()) / int(real.sum() + (said == channel).sum()))
    return {name: {"dice": float(np.mean(values)), "n": len(values)} for name, values in found.items() if values}


def truth_of(labels: Labels, schema: Schema, spec: Spec, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return the channel of each voxel (D, H, W) by the masks of `labels`; of masks that overlap, the later class stands."""
    truth = np.zeros(size, dtype=np.uint8)
    for channel, name in spec.channels.items():
        for row in np.flatnonzero((labels.class_id == schema.class_id(name)) & (labels.kind == Kind.MASK)):
            truth[decode(labels.shape[row])] = channel
    return truth


def _case(image: Image, labels: Labels, schema: Schema, spec: Spec) -> Case:
    volume = inference.to_tensor(image)
    truth = inference.to_tensor(Image(truth_of(labels, schema, spec, image.size), image.item, image.frame, volume=True))
    data = spec.before("image", "truth")({"image": volume, "truth": truth})
    patient = str(image.item.meta.get("patient") or image.item.id)
    return Case(inference.plain(data["image"]), inference.plain(data["truth"]).round().byte(), patient)


def _patches(case: Case, spec: Spec, random: np.random.Generator) -> tuple[Any, Any]:
    """Return PATCHES windows (n, 1, X, Y, Z) of a volume and its truth: of each two, one around a voxel of a class."""
    import torch
    from torch.nn import functional

    roi = inference.triple(spec.roi, "roi")
    lack = [max(0, want - have) for want, have in zip(roi, case.volume.shape[1:], strict=True)]
    pad = [amount for want in reversed(lack) for amount in (want // 2, want - want // 2)]
    volume, truth = functional.pad(case.volume, pad), functional.pad(case.truth, pad)
    there = torch.unique(truth[truth > 0]).tolist()
    cut = []
    for number in range(PATCHES):
        centre = random.integers(0, truth.shape[1:])
        if there and number % 2 == 0:
            voxels = (truth[0] == there[int(random.integers(len(there)))]).nonzero()
            centre = voxels[int(random.integers(len(voxels)))].numpy()
        low = np.clip(centre - np.array(roi) // 2, 0, np.array(truth.shape[1:]) - roi)
        cut.append((slice(None), *(slice(int(a), int(a) + size) for a, size in zip(low, roi, strict=True))))
    return torch.stack([volume[one] for one in cut]), torch.stack([truth[one] for one in cut])


def _with_clicks(network: Any, volume: Any, truth: Any, spec: Spec, random: np.random.Generator) -> Any:
    """Return patches with maps of clicks: none in half of the steps, else up to three per class where the network is wrong."""
    import torch

    count = len(spec.guides)
    empty = volume.new_zeros((len(volume), count, *volume.shape[2:]))
    blank = torch.cat([volume, empty], dim=1)
    if random.random() < 0.5:
        return blank
    with torch.no_grad():
        said = network(blank).argmax(dim=1, keepdim=True)
    signals = []
    for patch in range(len(volume)):
        at, where = [], []
        for number, channel in enumerate(spec.guides):
            real = truth[patch, 0] == channel
            missed = real & (said[patch, 0] != channel)
            voxels = (real if random.random() < ANYWHERE else missed).nonzero().cpu().numpy()
            for _ in range(int(random.integers(1, 4)) if len(voxels) else 0):
                at.append(voxels[int(random.integers(len(voxels)))])
                where.append(number)
        signals.append(guidance.maps(np.array(at, dtype=np.float64).reshape(-1, 3), where, count, volume.shape[2:]))
    return torch.cat([volume, torch.stack(signals).to(volume.device)], dim=1)
