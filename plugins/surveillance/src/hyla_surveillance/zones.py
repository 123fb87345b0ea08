"""Tell who is in a zone that nobody may be in, crosses a line, or goes the wrong way."""

from __future__ import annotations

import numpy as np

from hyla.types import Bools, Floats, Ints
from hyla_surveillance.camera import Camera, Line
from hyla_surveillance.limits import Limits
from hyla_surveillance.moment import Found, Moment, Spells, moving, ratio, rows_of, seconds
from hyla_surveillance.trails import Trails

GRACE = 0.5  # seconds: a foot point that jitters over a zone's edge is still in it
SHOWN = 1.0  # seconds for which a crossing, which is of a moment, stays on the frames
SLOW = 0.3  # metres per second below which nobody goes anywhere


class Zones:
    """Tell which zones have which points: those of all zones in one go.

    Args:
        camera: for pictures of the group's size.
    """

    def __init__(self, camera: Camera) -> None:
        self._camera, self._zones = camera, camera.zones
        corners = [zone.polygon for zone in self._zones]
        self._first = np.cumsum([0, *map(len, corners)])[:-1]
        self._a = np.concatenate([*corners, np.empty((0, 2))])
        b = np.concatenate([*(np.roll(one, -1, axis=0) for one in corners), np.empty((0, 2))])
        self._y = b[:, 1]
        self._run = b[:, 0] - self._a[:, 0]
        self._rise = np.where(self._y == self._a[:, 1], 1.0, self._y - self._a[:, 1])

    def inside(self, points: Floats, utc: float | None) -> Bools:
        """Return (zones, n) which points (n, 2) lie in which zone while its schedule holds; by the even-odd rule."""
        if not self._zones or not len(points):
            return np.zeros((len(self._zones), len(points)), dtype=bool)
        x, y = points[:, :1], points[:, 1:]
        spans = (self._a[:, 1] > y) != (self._y > y)
        left = x < self._a[:, 0] + (y - self._a[:, 1]) * self._run / self._rise
        within: Bools = np.logical_xor.reduceat(spans & left, self._first, axis=1).T
        for index, zone in enumerate(self._zones):
            if zone.schedule and not self._camera.in_force(zone.schedule, utc):
                within[index] = False
        return within


class Intrusion:
    """Tell who stands in a `restricted` zone.

    Args:
        camera: for pictures of the group's size.
        trails: of the group.
        limits: see there.
    """

    def __init__(self, camera: Camera, trails: Trails, limits: Limits) -> None:
        self._zones, self._rows = camera.purposes("restricted"), rows_of(camera, "restricted")
        self._needs = seconds(self._zones, limits.intrusion_s)
        self._spells = Spells(trails, len(self._zones), GRACE)

    def update(self, moment: Moment) -> list[Found]:
        """Return who is inside for long enough."""
        if not self._zones:
            return []
        holds = moment.within[self._rows] & moving(moment.family)
        self._spells.update(moment.now, moment.slots, holds, moment.lost)
        found = []
        for index, slot, start, end in self._spells.lasting(self._needs):
            found.append(
                Found(
                    "intrusion",
                    (float(moment.trails.serial[slot]), index, start),
                    start,
                    end,
                    (int(moment.trails.track[slot]),),
                    ratio(end - start, float(self._needs[index])),
                    {"dwell_s": end - start, **moment.facts},
                    self._zones[index].name,
                )
            )
        return found


class WrongWay:
    """Tell who goes against the direction of a `one_way` zone.

    Args:
        camera: for pictures of the group's size.
        trails: of the group.
        limits: see there.
    """

    def __init__(self, camera: Camera, trails: Trails, limits: Limits) -> None:
        self._zones, self._rows, self._limits = camera.purposes("one_way"), rows_of(camera, "one_way"), limits
        self._needs = seconds(self._zones, limits.wrong_way_s)
        ways = np.array([(np.nan, np.nan) if zone.direction is None else zone.direction for zone in self._zones]).reshape(-1, 2)
        long = np.hypot(*ways.T)
        self._ways = ways / np.where(long > 0, long, np.nan)[:, None]  # NaN where there is nothing to go against
        self._spells = Spells(trails, len(self._zones), GRACE)
        self._start = trails.column(np.nan, len(self._zones), 2)
        self._angle = trails.column(np.nan, len(self._zones))
        self._gone = trails.column(np.nan, len(self._zones))  # metres against the direction, the most so far
        self._cosine = np.cos(np.radians(limits.wrong_way_deg))

    def update(self, moment: Moment) -> list[Found]:
        """Return who went the wrong way for long enough and far enough."""
        if not self._zones:
            return []
        pace, ways = np.hypot(*moment.speed.T), self._ways
        cosine = (ways @ moment.speed.T) / np.where(pace > 0, pace, np.nan)
        goes = moving(moment.family) & (pace > SLOW)
        holds = moment.within[self._rows] & goes & (cosine < self._cosine)
        begin = self._spells.update(moment.now, moment.slots, holds, moment.lost, moment.since)
        if not self._spells.any:
            return []
        slots = moment.slots
        # Where a spell begins is half a second back: where its first way began.
        back = moment.place - moment.speed * ((moment.now - moment.since) / np.maximum(moment.scale, 1e-9))[:, None]
        self._start.values[:, :, slots] = np.where(begin[:, None], back.T, self._start.values[:, :, slots])
        self._angle.values[:, slots] = np.where(
            holds, np.degrees(np.arccos(np.clip(cosine, -1, 1))), self._angle.values[:, slots]
        )
        gone = (moment.place.T - self._start.values[:, :, slots]) * -ways[:, :, None] * moment.scale
        before = np.where(begin, np.nan, self._gone.values[:, slots])
        self._gone.values[:, slots] = np.fmax(before, gone.sum(axis=1))
        found = []
        for index, slot, start, end in self._spells.lasting(self._needs):
            way = float(self._gone.values[index, slot])
            if not way > self._limits.wrong_way_m:
                continue
            lasted = ratio(end - start, float(self._needs[index]))
            found.append(
                Found(
                    "wrong_way",
                    (float(moment.trails.serial[slot]), index, start),
                    start,
                    end,
                    (int(moment.trails.track[slot]),),
                    min(lasted, ratio(way, self._limits.wrong_way_m)),
                    {"angle_deg": float(self._angle.values[index, slot]), "distance_m": way, **moment.facts},
                    self._zones[index].name,
                )
            )
        return found


class Crossings:
    """Tell who crosses a line, and which way: once for each time that somebody is surely beyond it.

    A place counts only if it lies farther than a margin from the line. When the straight way from the last such place to the next
    goes through the line, it was crossed: no matter how long somebody stood on it, or was hidden, in between.

    Args:
        camera: for pictures of the group's size.
        trails: of the group.
        limits: see there.
    """

    def __init__(self, camera: Camera, trails: Trails, limits: Limits) -> None:
        self._camera, self._margin = camera, limits.line_m
        self._sure = trails.column(np.nan, len(camera.lines), 3)  # x, y in pixels, and when
        self._count = 0
        self._told: list[Found] = []

    def update(self, moment: Moment) -> list[Found]:
        """Return the crossings that became sure within the last second."""
        self._told = [one for one in self._told if moment.now - one.end <= SHOWN]
        rows = np.flatnonzero(moving(moment.family))
        for index, line in enumerate(self._camera.lines) if rows.size else ():
            self._told += self._crossed(index, line, moment, rows)
        return self._told

    def _crossed(self, index: int, line: Line, moment: Moment, rows: Ints) -> list[Found]:
        slots, foot = moment.slots[rows], moment.foot[rows]
        near = nearest(line.points, foot)
        sure = self._sure.values[index]
        before = sure[:, slots].T
        fresh = np.isnan(before[:, 0])
        way, share = crossed(line.points, before[:, :2], foot)
        # What is farther from the line than it is tall is beyond any margin; the rest is measured, and what crossed.
        box = moment.box[rows]
        close = np.flatnonzero((way != 0) | (((foot - near) ** 2).sum(axis=1) <= (box[:, 3] - box[:, 1]) ** 2))
        metres = np.full(len(rows), np.nan)
        if close.size:
            off = moment.ground.plane(near[close]) - moment.place[rows[close]]
            metres[close] = np.hypot(*off.T) * moment.scale[rows[close]]
        far = (metres >= self._margin) | np.isnan(metres)
        way = np.where(far & ~fresh, way, 0)
        keep = far | fresh
        sure[:, slots[keep]] = np.vstack([foot[keep].T, np.full(keep.sum(), moment.now)])
        in_force = self._camera.in_force(line.schedule, moment.utc)
        found = []
        for row in np.flatnonzero(way).tolist() if in_force else ():
            direction = "in" if way[row] > 0 else "out"
            if line.direction not in ("both", direction):
                continue
            self._count += 1
            start = float(before[row, 2] + share[row] * (moment.now - before[row, 2]))
            beyond = float(np.fmax(metres[row], self._margin))
            found.append(
                Found(
                    "line_crossing",
                    (index, self._count),
                    start,
                    moment.now,
                    (int(moment.trails.track[slots[row]]),),
                    ratio(beyond, self._margin),
                    {"distance_m": beyond, **moment.facts},
                    line.name,
                    direction,
                )
            )
        return found


def nearest(line: Floats, points: Floats) -> Floats:
    """Return the points (n, 2) of a line (k, 2) that are nearest to points (n, 2)."""
    a, d = line[:-1], np.diff(line, axis=0)
    length = np.maximum((d * d).sum(axis=1), 1e-12)
    along = np.clip(((points[:, None] - a) * d).sum(axis=2) / length, 0, 1)
    at = a + along[..., None] * d
    best = ((at - points[:, None]) ** 2).sum(axis=2).argmin(axis=1)
    return np.asarray(at[np.arange(len(points)), best])


def crossed(line: Floats, before: Floats, after: Floats) -> tuple[Ints, Floats]:
    """Return how often (n,) the straight ways from `before` to `after` (n, 2) go through a line (k, 2), and where first (n,).

    From its left to its right, as one looks along it, counts +1, back -1: who goes through and back again has 0. Where is a share
    of the way, 0 to 1.
    """
    a, d = line[:-1], np.diff(line, axis=0)
    way = (after - before)[:, None]
    to = a - before[:, None]
    turn = way[..., 0] * d[:, 1] - way[..., 1] * d[:, 0]
    safe = np.where(turn == 0, np.nan, turn)
    share = (to[..., 0] * d[:, 1] - to[..., 1] * d[:, 0]) / safe
    along = (to[..., 0] * way[..., 1] - to[..., 1] * way[..., 0]) / safe
    last = np.arange(len(d)) == len(d) - 1
    hit = (share > 0) & (share <= 1) & (along >= 0) & ((along < 1) | last & (along <= 1))
    count = np.where(hit, np.where(turn < 0, 1, -1), 0).sum(axis=1)
    return count, np.where(hit, share, 1.0).min(axis=1, initial=1.0)
