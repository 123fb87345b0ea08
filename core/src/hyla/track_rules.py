"""Review rules about tracks over a whole clip: what jumps, flips, flickers or is lost from one picture to the next.

They go through the records of a clip once and keep a few numbers per track. Time is the time of the frames
(`VideoFrame.seconds`), since frame rates vary; frames that carry none count as `frame_seconds` apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hyla.frame import VideoFrame
from hyla.hooks import hookimpl
from hyla.rules import SchemaRule
from hyla.schema import Schema
from hyla.types import NO_TRACK, Flag, Floats, Kind, Record

FRAME_SECONDS = 0.1  # between frames that carry no time: the 10 Hz of KITTI


@dataclass(frozen=True, slots=True)
class Sighting:
    """Hold one label of one track: its row, frame number, seconds, box (4,) and class id."""

    row: int
    index: int
    seconds: float
    box: Floats
    class_id: int


def sightings(record: Record, frame_seconds: float) -> dict[int, Sighting]:
    """Return track -> its label in `record`; the first one where a track has several shapes. Events (tags) are no things."""
    labels, index = record.labels, record.item.index
    seconds = record.frame.seconds if isinstance(record.frame, VideoFrame) else index * frame_seconds
    found: dict[int, Sighting] = {}
    for row in np.flatnonzero((labels.track != NO_TRACK) & (labels.kind != Kind.TAG)).tolist():
        found.setdefault(int(labels.track[row]), Sighting(row, index, seconds, labels.box[row], int(labels.class_id[row])))
    return found


class TrackRule(SchemaRule):
    """Go through a clip and compare each sighting of a track with the one before it."""

    frame_seconds = FRAME_SECONDS

    def pairs(self, records: Iterable[Record]) -> Iterator[tuple[Record, list[tuple[Sighting, Sighting]]]]:
        """Yield each record with its (earlier, present) sightings."""
        last: dict[int, Sighting] = {}
        for record in records:
            now = sightings(record, self.frame_seconds)
            yield record, [(last[track], one) for track, one in now.items() if track in last]
            last |= now

    def tell(self, record: Record, reason: str, rows: list[int], message: str) -> Iterator[tuple[str, Flag]]:
        """Yield the pair for `rows` of one record, if there are any."""
        if rows:
            yield record.item.id, Flag(self.name, reason, self.severity, tuple(rows), message)


class TrackJump(TrackRule):
    """Send a track that moves or grows faster than a thing can to review: two things share its identity.

    Args:
        diagonals: distance that the centre may move, in diagonals of the box before, per `seconds`; 2.
        seconds: 0.1.
        growth: relative change of the side of the box (the root of its area) from one frame to the next; 0.4.
        frame_seconds: seconds between frames that carry no time; 0.1.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        diagonals: float = 2.0,
        seconds: float = 0.1,
        growth: float = 0.4,
        frame_seconds: float = FRAME_SECONDS,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.speed = diagonals / seconds
        self.growth = growth
        self.frame_seconds = frame_seconds

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags `track_jump` and `track_growth`, at the later of two sightings."""
        for record, pairs in self.pairs(records):
            if not pairs:
                continue
            before, now = (np.stack([pair[i].box for pair in pairs]) for i in (0, 1))
            sides, new_sides = before[:, 2:] - before[:, :2], now[:, 2:] - now[:, :2]
            passed = np.array([b.seconds - a.seconds for a, b in pairs])
            passed = np.where(passed > 0, passed, self.frame_seconds)
            limit = self.speed * passed * np.hypot(sides[:, 0], sides[:, 1])
            moved = np.hypot(*((now[:, :2] + now[:, 2:] - before[:, :2] - before[:, 2:]) / 2).T)
            ratio = np.divide(moved, limit, out=np.where(moved > 0, np.inf, 0.0), where=limit > 0)
            rows = [pairs[i][1].row for i in np.flatnonzero(ratio > 1)]
            worst = ratio.max()
            yield from self.tell(
                record, "track_jump", rows, f"{len(rows)} track(s) jump: {worst:.1f} times as far as is possible"
            )
            old, new = (np.sqrt(np.maximum(s, 0).prod(axis=1)) for s in (sides, new_sides))
            change = np.divide(np.abs(new - old), old, out=np.where(new > 0, np.inf, 0.0), where=old > 0)
            change[[b.index - a.index != 1 for a, b in pairs]] = 0
            rows = [pairs[i][1].row for i in np.flatnonzero(change > self.growth)]
            text = f"{len(rows)} track(s) change in size by up to {change.max():.0%} in one frame, limit {self.growth:.0%}"
            yield from self.tell(record, "track_growth", rows, text)


class ClassFlip(TrackRule):
    """Send a track that changes its class to review."""

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags at the sightings whose class differs from the one before."""
        names = self.schema.names
        for record, pairs in self.pairs(records):
            flips = [(a, b) for a, b in pairs if a.class_id != b.class_id]
            words = ", ".join(f"{names[a.class_id]} to {names[b.class_id]}" for a, b in flips[:3])
            yield from self.tell(record, "class_flip", [b.row for _, b in flips], f"{len(flips)} track(s) change class: {words}")


class ShortTrack(TrackRule):
    """Send tracks of very few frames to review: what flickers is often nothing.

    Args:
        least: frames that a track must have; 3, as trackers ask for before they trust one.
    """

    def __init__(self, schema: Schema, name: str, least: int = 3, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.least = least

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield a flag for each sighting of a short track, once the clip is over."""
        seen: dict[int, list[tuple[str, int]]] = {}
        for record in records:
            for track, one in sightings(record, self.frame_seconds).items():
                places = seen.setdefault(track, [])
                if len(places) < self.least:
                    places.append((record.item.id, one.row))
        for places in seen.values():
            if len(places) < self.least:
                message = f"a track of {len(places)} frame(s), expected {self.least} or more"
                for item_id, row in places:
                    yield item_id, Flag(self.name, "short_track", self.severity, (row,), message)


class TrackGap(TrackRule):
    """Send a track that comes back after a long absence to review: it may be another thing.

    Args:
        frames: frames without a sighting up to which a track may come back; 30, for which trackers keep a lost track.
    """

    def __init__(self, schema: Schema, name: str, frames: int = 30, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.frames = frames

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags at the sightings after a gap."""
        for record, pairs in self.pairs(records):
            back = [(b.row, b.index - a.index - 1) for a, b in pairs if b.index - a.index - 1 > self.frames]
            longest = max((gap for _, gap in back), default=0)
            text = f"{len(back)} track(s) come back after up to {longest} frames, limit {self.frames}"
            yield from self.tell(record, "track_gap", [row for row, _ in back], text)
