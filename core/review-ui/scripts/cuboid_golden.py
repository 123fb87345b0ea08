"""Write src/cuboid/golden.json: corners, pixels and bounds of cuboids, computed with numpy, for the tests of project.ts.

Run it from this folder's parent: `python scripts/cuboid_golden.py`.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

NEAR = 0.1
Floats = npt.NDArray[np.float64]
OUT = Path(__file__).parent.parent / "src" / "cuboid" / "golden.json"


def rotation(q: Sequence[float]) -> Floats:
    """Return the matrix (3, 3) of a unit quaternion x, y, z, w by Rodrigues' formula, which project.ts does not use."""
    axis, w = np.array(q[:3]), q[3]
    sine = np.linalg.norm(axis)
    if sine == 0:
        return np.eye(3)
    x, y, z = axis / sine
    angle = 2 * np.arctan2(sine, w)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def corners(c: Sequence[float]) -> Floats:
    """Return the corners (8, 3); bit a of a corner's number says at which end of axis a it lies."""
    signs = np.array([[1 if i >> a & 1 else -1 for a in range(3)] for i in range(8)])
    return np.asarray(signs * np.array(c[7:]) / 2 @ rotation(c[3:7]).T + np.array(c[:3]))


def bounds(c: Sequence[float], k: Floats, size: tuple[int, int]) -> list[float] | None:
    """Return x0, y0, x1, y1 of what is seen, from many points along the edges that lie before the camera."""
    at = corners(c)
    t = np.linspace(0, 1, 200_001)[:, None]
    edges = [(a, b) for a, b in itertools.combinations(range(8), 2) if (a ^ b).bit_count() == 1]
    points = np.concatenate([at[a] + t * (at[b] - at[a]) for a, b in edges])
    points = points[points[:, 2] >= NEAR]
    if not len(points):
        return None
    pixels = points @ k.T
    pixels = pixels[:, :2] / pixels[:, 2:]
    low, high = pixels.min(axis=0).clip(0), pixels.max(axis=0)
    high = np.minimum(high, [size[1], size[0]])
    return None if (low >= high).any() else [*low.tolist(), *high.tolist()]


def main() -> None:
    """Write the file."""
    k = np.array([[721.5377, 0.0, 609.5593], [0.0, 721.5377, 172.854], [0.0, 0.0, 1.0]])
    size = (375, 1242)
    rng = np.random.default_rng(7)
    cuboids: list[list[Any]] = [
        [0.0, 0.8, 15.0, 0.0, 0.0, 0.0, 1.0, 4.2, 1.6, 1.8],
        [-16.53, 1.64, 58.49, 0.0, np.sin(1.57 / 2), 0.0, np.cos(1.57 / 2), 3.69, 1.67, 1.87],
        [3.0, 1.0, 2.0, 0.0, np.sin(0.4), 0.0, np.cos(0.4), 12.0, 3.0, 2.5],
        [0.0, 0.0, -9.0, 0.0, 0.0, 0.0, 1.0, 4.0, 1.5, 1.8],
    ]
    for _ in range(12):
        q = rng.normal(size=4)
        q /= np.linalg.norm(q)
        centre = rng.uniform([-6, -2, 4], [6, 2, 30])
        cuboids.append([*centre, *q, *rng.uniform(0.5, 5, 3)])
    cases = []
    for c in cuboids:
        c = [float(v) for v in c]
        at = corners(c)
        ahead = rotation(c[3:7])[:, 0]
        cases.append(
            {
                "cuboid": c,
                "corners": at.tolist(),
                "pixels": [(k @ p / p[2])[:2].tolist() if p[2] >= NEAR else None for p in at],
                "bounds": bounds(c, k, size),
                "yaw": float(np.arctan2(-ahead[2], ahead[0])),
            }
        )
    OUT.write_text(json.dumps({"k": k.tolist(), "size": size, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
