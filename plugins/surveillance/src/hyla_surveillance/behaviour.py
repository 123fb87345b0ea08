"""Tell events from tracks: how long, how fast and how near, in metres of the ground and seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hyla.errors import ConfigError, did_you_mean
from hyla.schema import Schema
from hyla.types import Floats, Ints, Item, Kind, Labels
from hyla_surveillance.camera import Camera
from hyla_surveillance.camera_file import open_cameras
from hyla_surveillance.crowd import Crowding
from hyla_surveillance.dwell import Loitering
from hyla_surveillance.events import EVENTS, FIRST_EVENT, LINGER, Event, foot
from hyla_surveillance.gait import Falls, Running
from hyla_surveillance.ground import Ground, uncut
from hyla_surveillance.limits import Limits
from hyla_surveillance.moment import Found, Moment, Pace, rows_of
from hyla_surveillance.objects import Abandoned
from hyla_surveillance.trails import OBJECT, PERSON, VEHICLE, Trails
from hyla_surveillance.zones import Crossings, Intrusion, WrongWay, Zones

FAMILIES = {"person": PERSON, "vehicle": VEHICLE, "object": OBJECT}
BACK = 1.0  # seconds that a clock must jump back to have been set anew; less is a frame out of order
USUAL = (1 / 60, 2.0)  # seconds between frames: what lies beyond is a pause, not the camera's rate
FIRST_INTERVAL = 0.125  # seconds: 8 frames a second, until there are two


class Family(Protocol):
    """Tell one kind of event."""

    def update(self, moment: Moment) -> list[Found]:
        """Return what goes on."""
        ...


class Behaviour:
    """Tell events of tracked labels, clip by clip and frame by frame, in order.

    An event goes on from the frame on which it is sure until it ends, with one track of its own; breaks shorter than the gaps of
    `Limits` don't end it. It is a candidate until a person says so. Frame rates from 1 to 60 tell the same events, since time is
    that of presentation. A clock that stands still measures nothing until it goes on. One that jumps back by a second or more was
    set anew: events that go on are ended there and begin again, and what was measured so far counts on.

    Args:
        schema: of the labels: person, vehicle and object with all below them, where it has them.
        cameras: `auto`, a file, a folder or None; see `hyla_surveillance.camera_file.open_cameras`.
        source: that the run labels.
        events: names of those to tell; None for all.
        limits: thresholds by name, with their units: see `hyla_surveillance.limits.Limits`.

    Raises:
        ConfigError: for an unknown event or threshold, one out of range, and cameras that can't be read.
    """

    def __init__(
        self, schema: Schema, cameras: str | None = None, source: str = "", events: Sequence[str] | None = None, **limits: float
    ) -> None:
        self.limits = Limits.of(limits)
        self.cameras = open_cameras(cameras, source)
        for name in events or ():
            if name not in EVENTS:
                raise ConfigError(f"behaviour.events names {name!r}", did_you_mean(name, EVENTS), EVENTS)
        self.events = tuple(EVENTS if events is None else events)
        self._family = np.full(len(schema.classes), -1, dtype=np.int64)
        for name, family in FAMILIES.items():
            self._family[schema.under(name)] = family
        self._groups: dict[str, _Group] = {}

    def update(self, item: Item, labels: Labels, seconds: float, size: tuple[int, int]) -> list[Event]:
        """Return the events that go on, given the next frame's labels with their tracks.

        A group that starts again from an earlier index is a replay, and starts with an empty memory. An item without a group has
        no events.

        Args:
            item: names the group, the position in it, the camera and, for schedules, `utc`.
            labels: of the frame.
            seconds: presentation time of the frame.
            size: (height, width) of the picture, which may change.
        """
        if not item.group:
            return []
        group = self._groups.get(item.group)
        if group is None or item.index <= group.index:
            camera = self.cameras.of(str(item.meta.get("camera") or ""))
            group = self._groups[item.group] = _Group(camera, size, self.limits, self.events)
        group.index = item.index
        utc = item.meta.get("utc")
        known = isinstance(utc, (int, float)) and bool(np.isfinite(utc))
        return group.update(self._family, labels, seconds, size, float(utc) if known and utc is not None else None)

    def forget(self, group: str) -> None:
        """Free what is remembered of a clip."""
        self._groups.pop(group, None)


@dataclass
class Clock:
    """Count seconds that never run backwards, and turn them into those of the clip and back.

    Args:
        now: seconds so far, from 0.
        interval: usual seconds between frames.
        offset: of the clip's clock: its seconds are now + offset.
        begun: the clip's seconds since when its clock has not been set anew.
    """

    now: float = 0.0
    interval: float = FIRST_INTERVAL
    offset: float = 0.0
    begun: float = 0.0
    _started: bool = False
    _steps: int = 0

    def advance(self, seconds: float) -> bool:
        """Go on to the clip's `seconds`; return whether its clock was set anew. What is no number leaves it where it is."""
        if not np.isfinite(seconds):
            return False
        if not self._started:
            self._started, self.offset, self.begun = True, seconds - self.now, seconds
            return False
        step = seconds - self.offset - self.now
        if step <= -BACK:
            self.now += self.interval
            self.offset, self.begun = seconds - self.now, seconds
            return True
        if step > 0:
            self.now += step
            if USUAL[0] / 2 <= step <= USUAL[1]:
                self._steps += 1
                self.interval += max(0.1, 1 / self._steps) * (step - self.interval)
        return False

    def of_clip(self, seconds: float) -> float:
        """Return the clip's own seconds."""
        return max(seconds + self.offset, self.begun)


@dataclass
class _Group:
    """Hold what is remembered of one clip."""

    camera: Camera
    size: tuple[int, int]
    limits: Limits
    names: tuple[str, ...]
    index: int = -1
    clock: Clock = field(default_factory=Clock)
    told: dict[tuple[object, ...], int] = field(default_factory=dict)
    who: dict[int, tuple[int, ...]] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        limits = self.limits
        self.size = self.camera.size or self.size  # all that follows is in pixels of this size
        self.camera = self.camera.of_size(self.size)
        self.ground = Ground(self.camera, self.size)
        self.trails = Trails(np.array([limits.gap_s, limits.gap_s, limits.thing_gap_s]))
        self.pace = Pace(self.trails)
        self.zones, self.ignored = Zones(self.camera), rows_of(self.camera, "ignore")
        families: dict[str, Family] = {
            "loitering": Loitering(self.camera, self.trails, limits),
            "intrusion": Intrusion(self.camera, self.trails, limits),
            "line_crossing": Crossings(self.camera, self.trails, limits),
            "wrong_way": WrongWay(self.camera, self.trails, limits),
            "abandoned_object": Abandoned(self.trails, limits),
            "crowding": Crowding(self.camera, self.ground, limits),
            "running": Running(self.trails, limits),
            "fall": Falls(self.trails, limits),
        }
        self.families = [families[name] for name in EVENTS if name in self.names]

    def update(self, families: Ints, labels: Labels, seconds: float, size: tuple[int, int], utc: float | None) -> list[Event]:
        if self.clock.advance(float(seconds)):
            self.told.clear()
        moment = self._moment(families, labels, size, utc)
        events, told = [], {}
        for found in [one for family in self.families for one in family.update(moment)]:
            key = (found.name, *found.key)
            track = self.told.get(key)
            if track is None:
                track, self.count = FIRST_EVENT + self.count, self.count + 1
            told[key] = track
            if moment.now - found.end <= max(LINGER, 2 * moment.interval):
                events.append(self._event(found, track))
        self.told = told
        self.who = {track: self.who[track] for track in told.values() if track in self.who}
        return events

    def _event(self, found: Found, track: int) -> Event:
        start, end = self.clock.of_clip(found.start), self.clock.of_clip(found.end)
        score = max(0.5, found.score)  # what is told has reached its threshold, but for the last digit
        # A trail whose track jumped to somebody else has none any more: who took part before did so.
        who = tuple(one for one in found.participants if one >= 0) or self.who.get(track, ())
        self.who[track] = who
        return Event(found.name, track, start, end, who, found.place, found.direction, score, found.evidence)

    def _moment(self, families: Ints, labels: Labels, size: tuple[int, int], utc: float | None) -> Moment:
        """Return what the frame shows: boxes that are some, outside `ignore` zones, in pixels of the group's size."""
        now, interval = self.clock.now, self.clock.interval
        family, box = families[labels.class_id], labels.box
        good = (family >= 0) & (labels.kind != Kind.TAG) & np.isfinite(box).all(axis=1) & (box[:, 2:] > box[:, :2]).all(axis=1)
        rows = np.flatnonzero(good)
        box = box[rows]
        if tuple(size) != tuple(self.size):
            (height, width), (old_height, old_width) = self.size, size
            box = box * np.array([width / old_width, height / old_height] * 2)
        feet = foot(box)
        within = self.zones.inside(feet, utc)
        if self.ignored.size:
            seen = ~within[self.ignored].any(axis=0)
            rows, box, feet, within = rows[seen], box[seen], feet[seen], within[:, seen]
        family, track = family[rows], labels.track[rows]
        whole = uncut(box, self.size)
        people = family == PERSON
        self.ground.learn(box[people & whole], now)
        place, scale = self.ground.plane(feet), self.ground.scale(feet, np.where(people, box[:, 3] - box[:, 1], 0.0))
        slots = self.trails.update(now, interval, track, family, place, scale)
        tracked = np.flatnonzero(slots >= 0)
        mine = slots[tracked]
        parts = box[tracked], feet[tracked], place[tracked], scale[tracked]
        speed, since = self.pace.update(now, mine, *parts)
        self.trails.head(mine, speed)
        return Moment(
            now=now,
            interval=interval,
            utc=utc,
            ground=self.ground,
            trails=self.trails,
            slots=mine,
            family=family[tracked],
            box=parts[0],
            foot=parts[1],
            whole=whole[tracked],
            place=parts[2],
            scale=parts[3],
            speed=speed,
            since=since,
            still=_still(labels, rows[tracked]),
            within=within[:, tracked],
            crowd_within=within[:, people],
            crowd_place=place[people],
            crowd_scale=scale[people],
            crowd_track=track[people],
            lost=now - self.trails.seen > self.trails.gaps(interval),
        )


def _still(labels: Labels, rows: Ints) -> Floats:
    stood = labels.evidence.get("still_s")
    if stood is None:
        return np.zeros(len(rows))
    return np.where(np.isfinite(stood[rows]), np.maximum(stood[rows], 0.0), 0.0)
