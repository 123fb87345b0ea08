"""Review rules about tracks and time over a clip: what moves as nobody can, who may be somebody else, what was not recorded.

Rules about any kind of track are in `hyla.track_rules`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hyla.frame import VideoFrame
from hyla.geometry import iou
from hyla.hooks import hookimpl
from hyla.schema import Schema
from hyla.track_rules import Sighting, TrackRule, sightings
from hyla.types import Flag, Floats, Record
from hyla_surveillance.camera_file import open_cameras
from hyla_surveillance.events import foot


class Teleport(TrackRule):
    """Send a track to review that moves faster than anybody can: two people share its identity.

    On the ground in metres where the camera was measured. Elsewhere a person's own height serves as a measure.

    Args:
        speed: metres per second; 12, a little under the world record over 100 m at its fastest.
        tall: metres that a person's box is taken to be high where there is no ground plane; 1.7.
        px: least distance in pixels, below which a jump may be a box that breathes; 12.
        cameras, source: as the loader has them.
        classes: whose tracks; person.
        frame_seconds: seconds between frames that carry no time; 0.1.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        speed: float = 12.0,
        tall: float = 1.7,
        px: float = 12.0,
        cameras: str | None = None,
        source: str = "",
        classes: tuple[str, ...] = ("person",),
        frame_seconds: float = 0.1,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.speed, self.tall, self.px, self.frame_seconds = speed, tall, px, frame_seconds
        self.cameras = open_cameras(cameras, source)
        self.classes = self.chosen(classes)

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags `teleport`, at the later of two sightings."""
        for record, pairs in self.pairs(records):
            pairs = [(a, b) for a, b in pairs if self.classes[b.class_id]]
            if not pairs:
                continue
            before, now = (np.stack([pair[i].box for pair in pairs]) for i in (0, 1))
            passed = np.array([b.seconds - a.seconds for a, b in pairs])
            passed = np.where(passed > 0, passed, self.frame_seconds)
            speed = self._metres(record, before, now) / passed
            far = np.hypot(*(foot(now) - foot(before)).T) > self.px
            jumps = (speed > self.speed) & far
            rows = [pairs[i][1].row for i in np.flatnonzero(jumps)]
            fastest = speed[jumps].max(initial=0.0)
            message = f"{len(rows)} track(s) move at up to {fastest:.0f} m/s, limit {self.speed:g} m/s"
            yield from self.tell(record, "teleport", rows, message)

    def _metres(self, record: Record, before: Floats, now: Floats) -> Floats:
        camera = self.cameras.of(str(record.item.meta.get("camera") or "")).of_size(record.size)
        pixels = np.hypot(*(foot(now) - foot(before)).T)
        guessed = pixels * self.tall / np.maximum((now[:, 3] - now[:, 1] + before[:, 3] - before[:, 1]) / 2, 1.0)
        if camera.homography is None:
            return np.asarray(guessed)
        moved = np.hypot(*(camera.to_ground(foot(now)) - camera.to_ground(foot(before))).T)
        # Far away a pixel is metres: what the box itself says is then the better measure.
        return np.asarray(np.where(np.isfinite(moved), np.minimum(moved, 3 * guessed), guessed))


@dataclass(slots=True)
class _End:
    item_id: str
    one: Sighting


class IdentitySwitch(TrackRule):
    """Send tracks to review that may be somebody else from here on: one ends where another begins, or two cross and part.

    Args:
        seconds: between the end of one and the beginning of the other; 2.
        heights: distance of the two, in heights of the earlier box; 1.
        overlap: IoU of two boxes from which two tracks touch; 0.4.
        classes: whose tracks; person.
        frame_seconds: seconds between frames that carry no time; 0.1.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        seconds: float = 2.0,
        heights: float = 1.0,
        overlap: float = 0.4,
        classes: tuple[str, ...] = ("person",),
        frame_seconds: float = 0.1,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.seconds, self.heights, self.overlap, self.frame_seconds = seconds, heights, overlap, frame_seconds
        self.classes = self.chosen(classes)

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags `identity_switch` where a track begins near the end of another, `tracks_cross` where two touch."""
        last: dict[int, _End] = {}
        touching: set[tuple[int, int]] = set()
        for record in records:
            now = {t: one for t, one in sightings(record, self.frame_seconds).items() if self.classes[one.class_id]}
            rows = []
            for track, one in now.items():
                if track not in last and self._left(one, last, now):
                    rows.append(one.row)
            for track, one in now.items():
                last[track] = _End(record.item.id, one)
            text = f"{len(rows)} track(s) begin where another ended less than {self.seconds:g} s ago"
            yield from self.tell(record, "identity_switch", rows, text)
            together = self._together(now)
            fresh = sorted({row for pair in together - touching for row in (now[pair[0]].row, now[pair[1]].row)})
            text = f"{len(together - touching)} pair(s) of tracks overlap by {self.overlap:g} or more: they may change places"
            yield from self.tell(record, "tracks_cross", fresh, text)
            touching = together
            latest = max((one.seconds for one in now.values()), default=-np.inf)
            last = {t: end for t, end in last.items() if t in now or latest - end.one.seconds <= self.seconds}

    def _left(self, one: Sighting, last: dict[int, _End], now: dict[int, Sighting]) -> bool:
        for track, end in last.items():
            if track in now or not 0 < one.seconds - end.one.seconds <= self.seconds:
                continue
            height = max(float(end.one.box[3] - end.one.box[1]), 1.0)
            if float(np.hypot(*(foot(one.box[None]) - foot(end.one.box[None]))[0])) <= self.heights * height:
                return True
        return False

    def _together(self, now: dict[int, Sighting]) -> set[tuple[int, int]]:
        tracks = sorted(now)
        if len(tracks) < 2:
            return set()
        box = np.stack([now[t].box for t in tracks])
        a, b = np.nonzero(np.triu(iou(box, box) >= self.overlap, 1))
        return {(tracks[i], tracks[j]) for i, j in zip(a.tolist(), b.tolist(), strict=True)}


class LongOcclusion(TrackRule):
    """Send a track to review that comes back after a long absence: it may be somebody else.

    Args:
        seconds: without a sighting up to which a track may come back; 1, half of what the tracker waits.
        frame_seconds: seconds between frames that carry no time; 0.1.
    """

    def __init__(
        self, schema: Schema, name: str, seconds: float = 1.0, frame_seconds: float = 0.1, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.seconds, self.frame_seconds = seconds, frame_seconds

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags `long_occlusion` at the sightings after a gap."""
        for record, pairs in self.pairs(records):
            back = [(b.row, b.seconds - a.seconds) for a, b in pairs if b.seconds - a.seconds > self.seconds]
            longest = max((gap for _, gap in back), default=0.0)
            text = f"{len(back)} track(s) come back after up to {longest:.1f} s, limit {self.seconds:g} s"
            yield from self.tell(record, "long_occlusion", [row for row, _ in back], text)


class Gaps(TrackRule):
    """Send frames to a person before which nothing was recorded, or whose clock stood still or went back.

    Args:
        seconds: between two frames up to which nothing is missing; 2.
    """

    def __init__(self, schema: Schema, name: str, seconds: float = 2.0, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.seconds = seconds

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags `gap` and `clock` for the frame after."""
        before: float | None = None
        for record in records:
            if not isinstance(record.frame, VideoFrame):
                continue
            now = record.frame.seconds
            if before is not None and now - before > self.seconds:
                text = f"nothing was recorded for {now - before:.1f} s before this frame, limit {self.seconds:g} s"
                yield record.item.id, Flag(self.name, "gap", self.severity, (), text)
            elif before is not None and now <= before:
                text = f"the clock of the recording {'stood still' if now == before else f'went back by {before - now:.1f} s'}"
                yield record.item.id, Flag(self.name, "clock", self.severity, (), text)
            before = now


class Unknown(TrackRule):
    """Note, once in a clip, that its camera has no YAML, or that nobody said by what right it records.

    Args:
        cameras, source: as the loader has them.
    """

    def __init__(self, schema: Schema, name: str, cameras: str | None = None, source: str = "", severity: str = "note") -> None:
        super().__init__(schema, name, severity)
        self.cameras = open_cameras(cameras, source)

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield a flag `unknown_camera` or `no_legal_basis` for the first frame."""
        for record in records:
            camera = str(record.item.meta.get("camera") or "")
            if not self.cameras.knows(camera):
                text = f"no YAML describes the camera {camera!r}: no zones, no metres, no schedule"
                yield record.item.id, Flag(self.name, "unknown_camera", self.severity, (), text)
            elif not self.cameras.of(camera).legal_basis:
                text = f"camera {camera!r} has no legal_basis: say by what right it records"
                yield record.item.id, Flag(self.name, "camera_without_basis", self.severity, (), text)
            return
