"""Lay the picture of a camera onto the ground."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hyla.types import Floats


def homography_of(image: npt.ArrayLike, metres: npt.ArrayLike) -> Floats:
    """Return the matrix (3, 3) that takes points (n, 2) of the picture to places (n, 2) on the ground, n >= 4.

    Direct linear transform on normalised points (Hartley and Zisserman 2004, algorithm 4.2), scaled so that what is given lies
    before the camera.
    """
    a, b = np.asarray(image, dtype=np.float64), np.asarray(metres, dtype=np.float64)
    ta, tb = _normaliser(a), _normaliser(b)
    p = np.column_stack([a, np.ones(len(a))]) @ ta.T
    q = np.column_stack([b, np.ones(len(b))]) @ tb.T
    zero = np.zeros_like(p)
    rows = np.vstack([np.hstack([p, zero, -q[:, :1] * p]), np.hstack([zero, p, -q[:, 1:2] * p])])
    matrix = np.linalg.inv(tb) @ np.linalg.svd(rows)[2][-1].reshape(3, 3) @ ta
    depth = np.column_stack([a, np.ones(len(a))]) @ matrix[2]
    scale = float(np.median(depth)) or 1.0
    return np.asarray(matrix / scale)


def _normaliser(points: Floats) -> Floats:
    middle = points.mean(axis=0)
    scale = np.sqrt(2) / max(float(np.hypot(*(points - middle).T).mean()), 1e-12)
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1.0]])
