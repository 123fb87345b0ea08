"""Geometry that label formats of the road share: upright cuboids before a camera."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hyla.types import Floats

UPRIGHT = 1e-6  # sine of half the tilt from which a cuboid is not upright


def to_camera(shape: Floats | Sequence[float]) -> tuple[tuple[float, ...], bool]:
    """Return (height, width, length, x, y, z, rotation_y) of a cuboid (10,), and whether it is tilted, which these can't say.

    KITTI's axes of a car are length along x, height along y (down) and width along z when rotation_y is 0.
    """
    x, y, z, qx, qy, qz, qw, length, height, width = (float(v) for v in shape)
    norm = math.sqrt(qx * qx + qy * qy + qz * qz + qw * qw) or 1.0
    qx, qy, qz, qw = qx / norm, qy / norm, qz / norm, qw / norm
    ahead_x, ahead_z = 1 - 2 * (qy * qy + qz * qz), 2 * (qx * qz - qy * qw)  # where the length axis points
    tilted = math.hypot(qx, qz) > UPRIGHT
    return (height, width, length, x, y + height / 2, z, math.atan2(-ahead_z, ahead_x)), tilted


def from_camera(height: float, width: float, length: float, x: float, y: float, z: float, turn: float) -> list[float]:
    """Return the cuboid (10,) of KITTI's seven numbers; the inverse of `to_camera`."""
    return [x, y - height / 2, z, 0.0, math.sin(turn / 2), 0.0, math.cos(turn / 2), length, height, width]


def alpha(x: float, z: float, turn: float) -> float:
    """Return the observation angle, from -pi to pi, of a thing at (x, z) before the camera: its turn as the camera sees it."""
    return math.remainder(turn - math.atan2(x, z), math.tau)
