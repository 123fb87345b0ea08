"""Hold what one frame tells behaviour, and what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hyla.types import Bools, Floats, Ints
from hyla_surveillance.camera import Camera, Zone
from hyla_surveillance.ground import Ground
from hyla_surveillance.trails import PERSON, Column, Ring, Trails

WINDOW = 0.5  # seconds over which speed is measured
PAST, SPACING = 40, 0.1  # rows of the ring that speed is read from, and seconds of each: 4 s
TINY = 1e-6  # seconds that sums of frame times may be off
STEADY = 0.5  # share of the way of the feet that the head must go too


@dataclass(frozen=True)
class Moment:
    """Hold one frame: n tracked boxes of people, vehicles and things, none of them in an `ignore` zone.

    Args:
        now: seconds since the group began, which never run backwards.
        interval: usual seconds between frames.
        utc: seconds since 1970; None if not known.
        ground, trails: of the group.
        slots: (n,) trail of each box.
        family: (n,) of PERSON, VEHICLE, OBJECT.
        box, foot: (n, 4) and (n, 2) in pixels.
        whole: (n,) which don't touch the picture's edge.
        place, scale: (n, 2) on the plane of the ground, and (n,) metres per unit there.
        speed: (n, 2) metres per second over the last half second, or since the frame before that; NaN where not known.
        since: (n,) when that began.
        still: (n,) seconds that a thing has stood by what found it; 0 where that is not known.
        within: (zones, n) which zones of the camera, while their schedules hold, have which foot point.
        crowd_within: (zones, m) the same of all people, with and without a track.
        crowd_place, crowd_scale, crowd_track: (m, 2), (m,) and (m,) of these: place, scale, and track or -1.
        lost: (columns,) trails that are given up: unseen for longer than a gap.
    """

    now: float
    interval: float
    utc: float | None
    ground: Ground
    trails: Trails
    slots: Ints
    family: Ints
    box: Floats
    foot: Floats
    whole: Bools
    place: Floats
    scale: Floats
    speed: Floats
    since: Floats
    still: Floats
    within: Bools
    crowd_within: Bools
    crowd_place: Floats
    crowd_scale: Floats
    crowd_track: Ints
    lost: Bools

    @property
    def facts(self) -> dict[str, float]:
        """Return the evidence that every event has: frames per second, and whether metres are measured (1) or guessed (0)."""
        return {"fps": 1 / self.interval, "calibrated": float(self.ground.calibrated)}


@dataclass(frozen=True)
class Found:
    """Hold an event that goes on.

    Args:
        name: its class.
        key: what it is told apart by from others of its name: the same on every frame on which it goes on.
        start, end: seconds of `Moment.now`.
        participants: tracks.
        place, direction, score, evidence: see `hyla_surveillance.events.Event`.
    """

    name: str
    key: tuple[float, ...]
    start: float
    end: float
    participants: tuple[int, ...]
    score: float
    evidence: dict[str, float]
    place: str = ""
    direction: str = ""


@dataclass(eq=False)
class Spells:
    """Follow for how long something has been so, by place and trail; short breaks don't end it.

    Args:
        trails: whose these are; None for one column that is nobody's.
        places: number of rows.
        grace: seconds for which it may not be so.
    """

    trails: Trails | None
    places: int
    grace: float

    def __post_init__(self) -> None:
        if self.trails is not None:
            self._since = self.trails.column(np.nan, self.places)
            self._last = self.trails.column(np.nan, self.places)
        else:
            self._since = Column(np.full((self.places, 1), np.nan), np.nan)
            self._last = Column(np.full((self.places, 1), np.nan), np.nan)
        self.any = False  # whether something is so, or was within the grace

    @property
    def since(self) -> Floats:
        """Return when each began (places, columns); NaN where it is not so."""
        return self._since.values

    @property
    def last(self) -> Floats:
        """Return when each was last seen to be so (places, columns)."""
        return self._last.values

    def lasting(self, needs: Floats) -> list[tuple[int, int, float, float]]:
        """Return (place, column, since, last) of each that has lasted for `needs` (places,) seconds."""
        if not self.any:
            return []
        since, last = self.since, self.last
        which = np.nonzero(last - since >= needs[:, None] - TINY)
        return list(zip(*(v.tolist() for v in (*which, since[which], last[which])), strict=True))

    def update(self, now: float, slots: Ints, holds: Bools, lost: Bools, began: Floats | None = None) -> Bools:
        """Go on with what holds (places, n) for the trails seen now (n,), and return which of them (places, n) begin.

        Args:
            now: seconds.
            slots: of the trails.
            holds: what is so.
            lost: (columns,) trails that end all of theirs.
            began: (n,) seconds since when it holds, if that is not just now.
        """
        since, last = self.since, self.last
        if self.any and lost.any():
            since[:, lost] = last[:, lost] = np.nan
            self.any = not np.isnan(since).all()
        if not slots.size or not (self.any or holds.any()):
            return holds
        final = last[:, slots]
        mine = np.where(~holds & (now - final > self.grace), np.nan, since[:, slots])
        begin = holds & np.isnan(mine)
        since[:, slots] = np.where(begin, now if began is None else began, mine)
        last[:, slots] = np.where(holds, now, np.where(np.isnan(mine), np.nan, final))
        self.any = not np.isnan(since).all()
        return begin


def rows_of(camera: Camera, purpose: str) -> Ints:
    """Return which of the camera's zones have a purpose."""
    return np.array([i for i, zone in enumerate(camera.zones) if zone.purpose == purpose], dtype=np.int64)


def seconds(zones: Sequence[Zone], usual: float) -> Floats:
    """Return the seconds (zones,) that something must last: each zone's own, else the usual."""
    return np.array([usual if zone.seconds is None else zone.seconds for zone in zones], dtype=np.float64)


def ratio(value: float, threshold: float) -> float:
    """Return a score from 0 to 1 of a value: 0.5 at its threshold."""
    return float(value / (value + threshold)) if value > 0 else 0.0


def moving(family: Ints) -> Bools:
    """Return (n,) which are people or vehicles."""
    return np.asarray(family <= PERSON + 1)


class Pace:
    """Measure speed over the last half second, from foot points.

    Args:
        trails: whose it is.
    """

    def __init__(self, trails: Trails) -> None:
        self._past = Ring(trails, PAST, SPACING, 6)  # foot x and y, y of the head, x and y on the plane, metres of a unit there

    def update(self, now: float, slots: Ints, box: Floats, foot: Floats, place: Floats, scale: Floats) -> tuple[Floats, Floats]:
        """Return speeds (n, 2) in metres per second and since when (n,); NaN where not known.

        Where the feet move and the head does not, something hid the feet: nobody moved, and the speed is not known.
        """
        before = self._past.at(now - WINDOW, slots)
        self._past.write(now, slots, np.column_stack([foot, box[:, 1], place, scale]))
        then = before[:, 1:3]
        metres = (before[:, 6] + scale) / 2
        step = now - before[:, 0]
        speed = (place - before[:, 4:6]) * (metres / np.where(step > 0, step, np.nan))[:, None]
        feet = foot - then
        head = np.hypot(feet[:, 0], box[:, 1] - before[:, 3])
        steady = head >= STEADY * np.hypot(feet[:, 0], feet[:, 1])
        return np.where(steady[:, None], speed, np.nan), before[:, 0]
