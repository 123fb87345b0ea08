"""Predict a volume more than once, turned and brightened (test-time augmentation), and tell how unsure the network is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError

AXES = "LAS"  # left-right, front-back (anterior), foot-head (superior): the world axes of RAS and of LPS
SHIFT = 0.1  # of intensities, in standard deviations of the volume
ACTIVATIONS = ("softmax", "sigmoid", "none")


class Pass(NamedTuple):
    """Say how to look at a volume again: mirrored along `axes` (letters of AXES), brighter by `shift` standard deviations."""

    axes: str = ""
    shift: float = 0.0


def passes(count: int, axes: str = "AS") -> list[Pass]:
    """Return `count` ways to look at a volume again: mirrored along each set of `axes`, then brighter, then darker.

    The default axes leave left and right where they are. Along L a left kidney looks like a right one: classes `x_left` and
    `x_right` then change places (`swapped`), but the liver lies on the wrong side, which few networks have seen. No mirror image
    is a body that exists: flips tell of uncertainty only if the network was trained with them; axes="" leaves the shifts.

    Raises:
        ConfigError: for letters that are no axes, and a count that is more than there are.
    """
    if set(axes) - set(AXES) or len(set(axes)) != len(axes):
        raise ConfigError(f"tta_axes is {axes!r}", "use each of the letters L (left-right), A (front-back), S (foot-head) once")
    sets = ["".join(chosen) for size in range(1, len(axes) + 1) for chosen in combinations(axes, size)]
    all_of = [*map(Pass, sets), Pass(shift=SHIFT), Pass(shift=-SHIFT)]
    if not 0 <= count <= len(all_of):
        raise ConfigError(f"tta is {count}", f"with tta_axes={axes!r} it may be 0 (off) to {len(all_of)}")
    return all_of[:count]


def swapped(channels: Mapping[int, str]) -> dict[int, int]:
    """Return for each channel of a class `x_left` or `x_right` that of its other side, where both are there."""
    where = {name: channel for channel, name in channels.items()}
    other = {"_left": "_right", "_right": "_left"}
    found = {}
    for name, channel in where.items():
        for end, instead in other.items():
            twin = name.removesuffix(end) + instead
            if name.endswith(end) and twin in where:
                found[channel] = where[twin]
    return found


def mean(
    infer: Callable[[Any], Any],
    volume: Any,
    looks: Sequence[Pass],
    affine: npt.ArrayLike,
    activation: str,
    channels: Mapping[int, str],
) -> Any:
    """Return the mean probability (K, X, Y, Z) of a plain prediction and those of `looks`.

    Args:
        infer: from a volume (C, X, Y, Z) to the network's answers (K, X, Y, Z).
        volume: as the network wants it; shifts change every channel of it.
        looks: see `passes`.
        affine: (4, 4) of the volume, to RAS or LPS mm: says which axis of the tensor is which.
        activation: what turns answers into probabilities.
        channels: class names, of which those of left and right change places where left and right do.
    """
    order = world_axes(affine)
    total = probability(infer(volume), activation)
    scale = float(volume.std(correction=0)) if looks else 0.0
    for look in looks:
        turned = tuple(order.index(AXES.index(letter)) + 1 for letter in look.axes)
        answer = probability(infer(volume.flip(turned) + look.shift * scale), activation).flip(turned)
        if "L" in look.axes:
            other = swapped(channels)
            answer = answer[[other.get(channel, channel) for channel in range(len(answer))]]
        total += answer
    return total / (len(looks) + 1)


def world_axes(affine: npt.ArrayLike) -> list[int]:
    """Return for each axis of a volume the world axis (0 left-right, 1 front-back, 2 foot-head) that it runs along, each once."""
    matrix = np.abs(np.asarray(affine, dtype=np.float64)[:3, :3])
    matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-12)
    found = [-1, -1, -1]
    for _ in range(3):
        world, axis = np.unravel_index(np.argmax(matrix), (3, 3))
        found[int(axis)] = int(world)
        matrix[world, :], matrix[:, axis] = -1, -1
    return found


def probability(answer: Any, activation: str) -> Any:
    """Return the probabilities of a network's answers (K, ...)."""
    if activation == "none":
        return answer.clamp(0, 1)
    return answer.softmax(0) if activation == "softmax" else answer.sigmoid()


def entropy(probabilities: Any, exclusive: bool) -> Any:
    """Return the entropy in nats of each voxel.

    Args:
        probabilities: (K, X, Y, Z).
        exclusive: True where they add up to 1: (X, Y, Z), from 0 to ln K. Otherwise each channel is a yes or no of its own:
            (K, X, Y, Z), from 0 to ln 2.
    """
    import torch

    if not exclusive:
        return torch.special.entr(probabilities) + torch.special.entr(1 - probabilities)
    total = torch.special.entr(probabilities[0])
    for channel in probabilities[1:]:  # one at a time: there may be a hundred
        total += torch.special.entr(channel)
    return total


def slices(values: npt.NDArray[Any]) -> str:
    """Return the mean of each slice of a volume (D, H, W) as text: one number per slice, separated by spaces."""
    return " ".join(f"{value:.4g}" for value in values.reshape(len(values), -1).mean(axis=1, dtype=np.float64))
