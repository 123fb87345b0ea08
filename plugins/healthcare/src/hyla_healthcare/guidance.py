"""Turn clicks into what a network like DeepEdit takes beside the volume: a map per class, bright where a person clicked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.types import Click, Floats

SIGMA = 3.0  # voxels of the network's grid: MONAI's AddGuidanceSignalDeepEditd
Box = tuple[slice, slice, slice]


def points(clicks: Sequence[Click], image_affine: npt.ArrayLike, network_affine: npt.ArrayLike) -> Floats:
    """Return where clicks lie in the network's grid (n, 3), in voxels counted at centres.

    Args:
        clicks: in pixels of the image, whose first pixel is centred at (0.5, 0.5).
        image_affine: (4, 4) from voxel (x, y, slice) of the image to RAS mm.
        network_affine: (4, 4) from a voxel of the network's grid to RAS mm.
    """
    at = np.array([[one.x - 0.5, one.y - 0.5, one.z, 1.0] for one in clicks], dtype=np.float64).reshape(-1, 4)
    return np.asarray(np.linalg.solve(np.asarray(network_affine), np.asarray(image_affine) @ at.T).T[:, :3])


def maps(at: Floats, channel: npt.ArrayLike, count: int, shape: Sequence[int], sigma: float = SIGMA) -> Any:
    """Return `count` maps (count, X, Y, Z), float32: Gaussians around the points of each channel, the highest value 1.

    Points outside the volume go to its nearest voxel. A channel without points is 0.

    Args:
        at: (n, 3) points in voxels.
        channel: (n,) the map that each belongs to.
        count: number of maps.
        shape: of the volume.
        sigma: of the Gaussian, in voxels.
    """
    import torch

    out = torch.zeros((count, *shape), dtype=torch.float32)
    for point, number in zip(np.clip(at, 0, np.array(shape) - 1), np.asarray(channel, dtype=int), strict=True):
        bumps = [torch.exp(-0.5 * ((torch.arange(n) - p) / sigma) ** 2) for n, p in zip(shape, point, strict=True)]
        out[number] += torch.einsum("x,y,z->xyz", *bumps).float()
    highest = out.flatten(1).amax(dim=1) if out.numel() else torch.zeros(count)
    return out / highest.clamp_min(1e-12)[:, None, None, None]


def around(at: Floats, shape: Sequence[int], roi: Sequence[int]) -> Box:
    """Return the part of a volume to predict again after clicks: half a window around all of them, and no less than a window."""
    low = np.clip(np.floor(at.min(axis=0)).astype(int) - np.array(roi) // 2, 0, None)
    high = np.minimum(np.ceil(at.max(axis=0)).astype(int) + np.array(roi) // 2 + 1, shape)
    low = np.clip(np.minimum(low, high - np.array(roi)), 0, None)
    high = np.minimum(np.maximum(high, low + np.array(roi)), shape)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z
