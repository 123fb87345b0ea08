"""Review rules about a whole clip: lights that change and lane lines that move from one picture to the next.

Those about any kind of track are in `hyla.track_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hyla.frame import VideoFrame
from hyla.hooks import hookimpl
from hyla.schema import Schema
from hyla.track_rules import FRAME_SECONDS, TrackRule, sightings
from hyla.types import Flag, Record
from hyla_driving.ego import EgoLane, Line
from hyla_driving.rules import DrivingRule


class StateFlip(TrackRule):
    """Send a traffic light on whose state two frames close in time disagree to a person.

    Args:
        seconds: within which two frames that disagree on the state of one light are flagged; 1.
        frame_seconds: seconds between frames that carry no time; 0.1.
    """

    def __init__(
        self, schema: Schema, name: str, seconds: float = 1.0, frame_seconds: float = FRAME_SECONDS, severity: str = "human"
    ) -> None:
        super().__init__(schema, name, severity)
        self.seconds = seconds
        self.frame_seconds = frame_seconds

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags at the sightings whose attribute `state` differs from one at most `seconds` before."""
        last: dict[int, tuple[float, str]] = {}
        for record in records:
            states = record.labels.attributes.get("state")
            if states is None or states.dtype != object:
                continue
            rows = []
            for track, one in sightings(record, self.frame_seconds).items():
                state = states[one.row]
                if state in (None, "unknown"):
                    continue
                seconds, before = last.get(track, (-np.inf, state))
                if before != state and one.seconds - seconds <= self.seconds:
                    rows.append(one.row)
                last[track] = (one.seconds, state)
            text = f"{len(rows)} traffic light(s) change state within {self.seconds:g} s"
            yield from self.tell(record, "state_flip", rows, text)


@dataclass
class _Seen:
    seconds: float
    lane: EgoLane


class LaneShift(TrackRule, DrivingRule):
    """Send a lane line that moves sideways from one picture to the next to review.

    Args:
        px: mean sideways move in pixels of a picture 1280 wide, in proportion for others; 20, by which TuSimple's measure judges
            a point of a line as found or not.
        seconds: pictures further apart than this are not compared; 0.2.
        frame_seconds: seconds between frames that carry no time; 0.1.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        px: float = 20.0,
        seconds: float = 0.2,
        frame_seconds: float = FRAME_SECONDS,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.px = px
        self.seconds = seconds
        self.frame_seconds = frame_seconds

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags for the ego lines that moved more than they may since the picture before."""
        last: _Seen | None = None
        for record in records:
            item, frame = record.item, record.frame
            seconds = frame.seconds if isinstance(frame, VideoFrame) else item.index * self.frame_seconds
            lane = EgoLane.of(item, record.labels, self.lane, size=record.size)
            if last is not None and seconds - last.seconds <= self.seconds:
                both = ((last.lane.left, lane.left), (last.lane.right, lane.right))
                moved = {new.row: _moved(old, new) for old, new in both if old and new}
                limit = self.px * (lane.width or 1280) / 1280
                rows = [row for row, pixels in moved.items() if pixels > limit]
                most = max(moved.values(), default=0.0)
                yield from self.tell(
                    record,
                    "lane_shift",
                    rows,
                    f"{len(rows)} ego line(s) move sideways by up to {most:.0f} px, limit {limit:.0f} px",
                )
            last = _Seen(seconds, lane)


def _moved(old: Line, new: Line) -> float:
    """Return the mean distance in x of two lines over the rows that both span; 0 where they span none in common."""
    top, bottom = max(old.top, new.top), min(old.bottom, new.bottom)
    if top >= bottom:
        return 0.0
    y = np.linspace(top, bottom, 16)
    return float(np.abs(old.x(y) - new.x(y)).mean())
