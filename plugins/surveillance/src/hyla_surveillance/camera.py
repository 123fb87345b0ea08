"""Know a camera: its zones, lines and schedules, where its picture lies on the ground, and what the law allows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from hyla.types import Floats

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PURPOSES = ("restricted", "dwell", "one_way", "crowd", "ignore", "hidden")


@dataclass(frozen=True)
class Span:
    """Name hours of the week, by the clock on the wall.

    Args:
        days: on which it begins: mon to sun.
        begin, end: of a day; an end that is not after the beginning is on the day after.
    """

    days: tuple[str, ...] = DAYS
    begin: time = time(0, 0)
    end: time = time(0, 0)

    def holds(self, local: datetime) -> bool:
        """Tell whether `local`, with its time zone, lies in the span: the end is not part of it."""
        clock, today = local.time(), DAYS[local.weekday()]
        if self.begin < self.end:
            return today in self.days and self.begin <= clock < self.end
        before = DAYS[local.weekday() - 1]
        return (today in self.days and clock >= self.begin) or (before in self.days and clock < self.end)


@dataclass(frozen=True)
class Zone:
    """Mark out a part of the picture.

    Args:
        name: of the zone.
        purpose: restricted (nobody may be there), dwell (staying is noticed), one_way, crowd (density is watched), ignore (what
            stands there is not looked at), hidden (never shown to anybody).
        polygon: (k, 2) in pixels.
        schedule: when it holds; empty for always.
        direction: (2,) allowed way of a one_way zone: on the ground in metres if the camera has a ground, else in pixels.
        seconds: that something must last here, instead of what the behaviour says; None for that.
    """

    name: str
    purpose: str
    polygon: Floats
    schedule: tuple[Span, ...] = ()
    direction: Floats | None = None
    seconds: float | None = None

    def contains(self, points: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return (n,) which points (n, 2), in pixels, lie inside; by the even-odd rule."""
        at = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        a, b = self.polygon, np.roll(self.polygon, -1, axis=0)
        x, y = at[:, :1], at[:, 1:]
        spans = (a[:, 1] > y) != (b[:, 1] > y)
        rise = np.where(b[:, 1] == a[:, 1], 1.0, b[:, 1] - a[:, 1])
        left = x < a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / rise
        return np.asarray((spans & left).sum(axis=1) % 2 == 1)


@dataclass(frozen=True)
class Line:
    """Mark a line to cross: from `points[0]` to the last; who crosses from its left to its right, as one looks along it, goes in.

    Args:
        name: of the line.
        points: (k, 2) in pixels, k >= 2.
        direction: which crossings are told: in, out or both.
        schedule: when it holds; empty for always.
    """

    name: str
    points: Floats
    direction: str = "both"
    schedule: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Camera:
    """Hold what is known of one camera; all of it may be missing.

    Args:
        name: of the camera: its YAML's `camera`, by which loaders name it in `Item.meta["camera"]`.
        size: (height, width) that the points are given in; None for that of the pictures.
        zones, lines: in the order of the file.
        homography: (3, 3) from pixels to the ground in metres; None if the camera was not measured.
        timezone: of schedules and of day and night; empty where nobody said, which counts as UTC.
        start: when its recordings begin; None if not known.
        clock_offset: seconds to add to the times that its recordings carry.
        legal_basis: on which it records; empty if nobody said.
        retention_hours: how long recordings may be kept; None for what the run says.
        declared: group -> value, to compare errors by.
        files: patterns of its recordings, as paths in the source: `gate/*`, `*_ch03_*.mp4`.
        url: of its live stream; it may hold a password, so it is never stored or shown.
    """

    name: str = ""
    size: tuple[int, int] | None = None
    zones: tuple[Zone, ...] = ()
    lines: tuple[Line, ...] = ()
    homography: Floats | None = None
    timezone: str = ""
    start: datetime | None = None
    clock_offset: float = 0.0
    legal_basis: str = ""
    retention_hours: float | None = None
    declared: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    url: str = field(default="", repr=False)

    def of_size(self, size: Sequence[int]) -> Camera:
        """Return the camera with its points for pictures of `size` (height, width), which a stream may change at any time."""
        height, width = int(size[0]), int(size[1])
        if self.size is None:  # its points are those of the first picture that is asked for
            return replace(self, size=(height, width))
        if self.size == (height, width):
            return self
        scale = np.array([width / self.size[1], height / self.size[0]])
        shrunk = None if self.homography is None else self.homography @ np.diag([1 / scale[0], 1 / scale[1], 1.0])
        # Directions in pixels keep theirs, as far as the shape of the picture does.
        zones = tuple(replace(zone, polygon=zone.polygon * scale) for zone in self.zones)
        lines = tuple(replace(line, points=line.points * scale) for line in self.lines)
        return replace(self, size=(height, width), zones=zones, lines=lines, homography=shrunk)

    def to_ground(self, points: npt.ArrayLike) -> Floats:
        """Return where points (n, 2) of the picture lie on the ground, in metres (n, 2); NaN at and above the horizon.

        The camera must have a homography.
        """
        at = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        if self.homography is None:
            return np.full_like(at, np.nan)
        x, y, w = (np.column_stack([at, np.ones(len(at))]) @ self.homography.T).T
        seen = w > 1e-9
        w = np.where(seen, w, 1.0)
        return np.where(seen[:, None], np.column_stack([x / w, y / w]), np.nan)

    def to_picture(self, metres: npt.ArrayLike) -> Floats:
        """Return the pixels (n, 2) of points on the ground; the inverse of `to_ground`."""
        at = np.asarray(metres, dtype=np.float64).reshape(-1, 2)
        if self.homography is None:
            return np.full_like(at, np.nan)
        x, y, w = (np.column_stack([at, np.ones(len(at))]) @ np.linalg.inv(self.homography).T).T
        return np.column_stack([x / w, y / w])

    def in_force(self, schedule: Sequence[Span], utc: float | None) -> bool:
        """Tell whether a schedule holds at `utc` (seconds since 1970); True where it is empty, or nobody knows the time.

        A moment is turned into the clock on the wall, so that the hour that daylight saving repeats or leaves out is no trap.
        """
        if not schedule or utc is None:
            return True
        try:
            local = datetime.fromtimestamp(utc, UTC).astimezone(self.zone)
        except (OverflowError, ValueError, OSError):  # no moment of any calendar: nobody knows the time
            return True
        return any(span.holds(local) for span in schedule)

    def outside(self, size: Sequence[int]) -> tuple[str, ...]:
        """Return which zones and lines lie wholly outside a picture of `size` (height, width): they can never hold anything."""
        fitted = self.of_size(size)
        places = [*((zone.name, zone.polygon) for zone in fitted.zones), *((line.name, line.points) for line in fitted.lines)]
        far = np.array([size[1], size[0]], dtype=np.float64)
        return tuple(name for name, points in places if (points.max(axis=0) <= 0).any() or (points.min(axis=0) >= far).any())

    def purposes(self, purpose: str) -> tuple[Zone, ...]:
        """Return the zones of one purpose."""
        return tuple(zone for zone in self.zones if zone.purpose == purpose)

    @cached_property
    def zone(self) -> ZoneInfo:
        """Return the time zone of its clock on the wall; UTC where nobody said."""
        return ZoneInfo(self.timezone or "UTC")


class Cameras:
    """Hold the cameras of a site by name.

    Args:
        cameras: in any order.
    """

    def __init__(self, cameras: Iterable[Camera] = ()) -> None:
        self._known = {one.name: one for one in cameras}
        self.names = tuple(sorted(self._known))

    def __len__(self) -> int:
        return len(self._known)

    def of(self, name: str) -> Camera:
        """Return the camera of that name; one of which nothing is known if there is none."""
        return self._known.get(name) or Camera(name)

    def knows(self, name: str) -> bool:
        """Tell whether there is a YAML for the camera."""
        return name in self._known

    def named(self, uri: str) -> str | None:
        """Return the name of the camera whose `files` fit a path relative to the source; None if there is none."""
        fits = (name for name in self.names if any(fnmatchcase(uri, pattern) for pattern in self._known[name].files))
        return next(fits, None)

    def of_file(self, uri: str) -> str:
        """Return the name of the camera that a recording is of.

        In this order: whose `files` fit its path; whose name a folder of the path has, the nearest first, or its file name has or
        begins with, as in `gate_20260329_0130.mp4`; else, of cameras that nobody described, the folder, or the file's name.

        Args:
            uri: path of a clip or of a folder of pictures, relative to the source, with /.
        """
        if (named := self.named(uri)) is not None:
            return named
        path = PurePosixPath(uri)
        stem = path.stem if path.suffix else path.name
        words = [stem, *(part.name for part in path.parents if part.name)]
        for word in words:
            fits = [name for name in self.names if word == name or re.match(rf"{re.escape(name)}(?![^\W_])", word)]
            if fits:
                return max(fits, key=len)
        return path.parent.name or stem
