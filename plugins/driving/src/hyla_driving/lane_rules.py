"""Review rules about lane lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import lowest
from hyla.schema import Schema
from hyla.types import Bools, Flag, Item, Labels
from hyla_driving.ego import CAMERA_HEIGHT, EgoLane, Line, lines
from hyla_driving.rules import DrivingRule


class LaneConfidence(DrivingRule):
    """Send unsure lane lines to review.

    Args:
        threshold: score from 0 to 1 below which a line is flagged; 0.6.
    """

    def __init__(self, schema: Schema, name: str, threshold: float = 0.6, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.threshold = threshold

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the lines below `threshold`."""
        low = self.lane[labels.class_id] & (labels.score < self.threshold)
        limit = np.full(len(labels), self.threshold)
        return self.flags("lane_confidence", low, lowest(labels, low, limit, "lane line is unsure"))


class LaneShape(DrivingRule):
    """Send lanes of an impossible shape to review: too narrow, too wide, or lines that cross.

    The width in metres is camera height times the difference of the slopes of both ego lines (see `hyla_driving.ego`).

    Args:
        narrow, wide: metres between which a lane's width must lie; 2.5 and 4.5. A camera mounted at 1.2 to 1.6 m rather than
            1.4 m changes the measure by 15 %.
        px: pixels by which lines must change sides to be said to cross; 2.
        camera_height: metres; 1.4.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        narrow: float = 2.5,
        wide: float = 4.5,
        px: float = 2.0,
        camera_height: float = CAMERA_HEIGHT,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.narrow = narrow
        self.wide = wide
        self.px = px
        self.camera_height = camera_height

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the width of the ego lane, and one with the lines that cross."""
        found = lines(labels, self.lane)
        if len(found) < 2:
            return []
        out: list[Flag] = []
        lane = EgoLane.of(item, labels, self.lane, camera_height=self.camera_height)
        metres = lane.measured()
        if metres is not None and not self.narrow <= metres <= self.wide:
            ego = np.zeros(len(labels), dtype=bool)
            ego[lane.rows] = True
            out += self.flags(
                "lane_width", ego, f"the ego lane is {metres:.2f} m wide, expected {self.narrow:g} to {self.wide:g} m"
            )
        crossing = np.zeros(len(labels), dtype=bool)
        crossing[[line.row for line, does in zip(found, _crossing(found, self.px), strict=True) if does]] = True
        return out + self.flags("lanes_cross", crossing, f"{crossing.sum()} lane lines cross by more than {self.px:g} px")


class EgoLanes(DrivingRule):
    """Send pictures in which the ego lane is not bounded on both sides to review.

    Args:
        least: number of ego lines that must be seen, 1 or 2; 2.
    """

    def __init__(self, schema: Schema, name: str, least: int = 2, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.least = least

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the item if ego lines are missing."""
        seen = len(EgoLane.of(item, labels, self.lane).rows)
        if seen >= self.least:
            return []
        return self.whole("ego_lanes", f"{seen} line(s) of the ego lane seen, expected {self.least}")


def _crossing(found: Sequence[Line], px: float) -> Bools:
    """Return (n,) True for lines that change sides with another one, looked at in 16 rows over the height they span."""
    y = np.linspace(min(line.top for line in found), max(line.bottom for line in found), 16)
    x = np.stack([np.interp(y, one.points[:, 1], one.points[:, 0], left=np.nan, right=np.nan) for one in found])
    side = x[:, None] - x[None]
    change = np.logical_and((side > px).any(axis=2), (side < -px).any(axis=2))
    return np.asarray(np.any(change, axis=1), dtype=bool)
