"""The ego lane and the horizon as the labels of one picture show them, and what they say about metres.

On flat ground a camera at height h sees a point of the ground z metres ahead at row y = horizon + f * h / z. A length of l metres
across or upright there spans f * l / z = l / h * (y - horizon) pixels: the focal length cancels, and camera height and horizon
are all that is needed (the pinhole camera; used in this form by Hoiem, Efros and Hebert, Putting Objects in Perspective, 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hyla.types import Bools, Floats, Item, Kind, Labels

CAMERA_HEIGHT = 1.4  # metres above the road: a camera behind the windscreen of a passenger car
LANE_WIDTH = 3.5  # metres: the usual lane of a rural road or motorway
HORIZON = 0.5  # of the image height: a camera that looks straight ahead


def size_of(item: Item, labels: Labels) -> tuple[float, float]:
    """Return (height, width) of the picture: `item.meta["size"]`, or what the labels reach to where a loader did not say."""
    said = item.meta.get("size")
    if said:
        return float(said[-2]), float(said[-1])
    flat = labels.box[labels.kind != Kind.CUBOID]
    if not len(flat):
        return 0.0, 0.0
    return float(flat[:, 3].max()), float(flat[:, 2].max())


@dataclass(frozen=True)
class Line:
    """Hold the points (k, 2) of a line, sorted downwards, and the row of the labels that it is."""

    row: int
    points: Floats

    @property
    def top(self) -> float:
        """Return the row of the picture where the line begins."""
        return float(self.points[0, 1])

    @property
    def bottom(self) -> float:
        """Return the row of the picture where the line ends."""
        return float(self.points[-1, 1])

    @cached_property
    def fit(self) -> tuple[float, float]:
        """Return (a, b) of x = a * y + b through the lower half of the line, by least squares."""
        lower = self.points[np.searchsorted(self.points[:, 1], (self.top + self.bottom) / 2) :]
        if lower[-1, 1] - lower[0, 1] < (self.bottom - self.top) / 4:  # too few points there
            lower = self.points
        x0, y0 = lower.mean(axis=0).tolist()
        x, y = lower[:, 0] - x0, lower[:, 1] - y0
        a = float(x @ y) / float(y @ y)
        return a, x0 - a * y0

    def x(self, y: Floats) -> Floats:
        """Return x (n,) at rows `y` (n,): carried on straight below the end of the line, upright above it."""
        points = self.points
        return np.asarray(np.interp(y, points[:, 1], points[:, 0]) + self.fit[0] * np.maximum(y - points[-1, 1], 0))


def lines(labels: Labels, is_lane: Bools) -> list[Line]:
    """Return the lane lines that are at least one pixel high."""
    found = []
    for row in np.flatnonzero((labels.kind == Kind.POLYLINE) & is_lane[labels.class_id]).tolist():
        points = np.asarray(labels.shape[row], dtype=np.float64)
        if len(points) > 1:
            points = points[points[:, 1].argsort(kind="stable")]
            if points[-1, 1] - points[0, 1] >= 1:
                found.append(Line(row, points))
    return found


@dataclass(frozen=True)
class EgoLane:
    """Describe the lane ahead.

    Args:
        height, width: of the picture, in pixels.
        left, right: the lines of the ego lane, or None where not seen.
        horizon: row of the horizon, in pixels.
        camera_height: metres of the camera above the road.
        lane_width: metres of the lane to take for granted where its lines are not seen.
    """

    height: float
    width: float
    left: Line | None
    right: Line | None
    horizon: float
    camera_height: float = CAMERA_HEIGHT
    lane_width: float = LANE_WIDTH

    @classmethod
    def of(
        cls,
        item: Item,
        labels: Labels,
        is_lane: Bools,
        horizon: float | None = None,
        camera_height: float = CAMERA_HEIGHT,
        lane_width: float = LANE_WIDTH,
        size: tuple[int, ...] = (0, 0),
    ) -> EgoLane:
        """Read the lane off the labels of a picture of `size` (height, width), or the size that `size_of` finds.

        The horizon is what is given, as a fraction of the height; or else where the two ego lines meet, if that lies between 0.2
        and 0.8 of the height; or else the principal point of `item.meta["intrinsics"]` (3 x 3), which is right for a camera that
        looks straight ahead; or else the middle.
        """
        height, width = size[-2:] if any(size) else size_of(item, labels)
        left, right = _ego(labels, lines(labels, is_lane), width)
        if horizon is not None:
            row = horizon * height
        else:
            met = _meeting_row(left, right)
            row = met if met is not None and 0.2 * height <= met <= 0.8 * height else _principal_row(item, height)
        return cls(height, width, left, right, row, camera_height, lane_width)

    @property
    def rows(self) -> list[int]:
        """Return the rows of the labels that bound the lane: two, one or none."""
        return [line.row for line in (self.left, self.right) if line is not None]

    def across(self, y: Floats) -> tuple[Floats, Floats]:
        """Return centre and half width (n,), in pixels, of the ego lane at rows `y` (n,).

        Between the two ego lines; where one is missing, straight ahead and `lane_width` wide. Above the end of a line the lane
        keeps the width it has there, which is wider than it is, so that nobody is overlooked for want of a line.
        """
        if self.left is None or self.right is None:
            half = np.maximum(0.5 * self.lane_width / self.camera_height * (y - self.horizon), 0)
            return np.full(len(y), 0.5 * self.width), half
        a, b = self.left.x(y), self.right.x(y)
        return (a + b) / 2, np.maximum(b - a, 0) / 2

    def metres(self, pixels: Floats, y: Floats) -> Floats:
        """Return the metres (n,) of `pixels` (n,) that stand on the road at rows `y` (n,); infinite at or above the horizon."""
        below = y - self.horizon
        return np.asarray(np.divide(pixels * self.camera_height, below, out=np.full(len(y), np.inf), where=below > 0))

    def measured(self) -> float | None:
        """Return the metres across the lane, camera height times the difference of slopes, or None without both lines."""
        if self.left is None or self.right is None:
            return None
        return self.camera_height * (self.right.fit[0] - self.left.fit[0])


def _ego(labels: Labels, found: list[Line], width: float) -> tuple[Line | None, Line | None]:
    """Return the lines that bound the ego lane on the left and on the right.

    By attribute `position` (ego_left, ego_right), the surest of several; where no line has one, those nearest to the middle of
    the picture at the lowest row that the lines have.
    """
    if not found:
        return None, None
    position = labels.attributes.get("position")
    if position is not None and position.dtype == object and any(position[line.row] is not None for line in found):
        said = [[line for line in found if position[line.row] == word] for word in ("ego_left", "ego_right")]
        left, right = (max(mine, key=lambda line: labels.score[line.row], default=None) for mine in said)
        return left, right
    bottom = np.array([max(line.bottom for line in found)])
    offset = [(float(line.x(bottom)[0]) - 0.5 * width, line) for line in found]
    return (
        max(((x, line) for x, line in offset if x < 0), key=lambda one: one[0], default=(0, None))[1],
        min(((x, line) for x, line in offset if x >= 0), key=lambda one: one[0], default=(0, None))[1],
    )


def _meeting_row(left: Line | None, right: Line | None) -> float | None:
    """Return the row where two lines meet if carried on, or None if they do not draw together upwards."""
    if left is None or right is None:
        return None
    (a, b), (c, d) = left.fit, right.fit
    return (b - d) / (c - a) if c - a > 1e-6 else None


def _principal_row(item: Item, height: float) -> float:
    matrix: Any = item.meta.get("intrinsics")
    return float(matrix[1][2]) if matrix else HORIZON * height
