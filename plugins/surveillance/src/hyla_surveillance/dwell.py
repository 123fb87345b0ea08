"""Tell loitering: who stays within a few metres for longer than people do who are on their way."""

from __future__ import annotations

import numpy as np

from hyla.types import Bools, Floats, Ints
from hyla_surveillance.camera import Camera
from hyla_surveillance.limits import Limits
from hyla_surveillance.moment import TINY, Found, Moment, ratio, rows_of, seconds
from hyla_surveillance.trails import PERSON, Trails

ROWS = 64  # spans of time that are remembered; 60 of them are as long as a stay must be
ASIDE = 2.0  # seconds that somebody may be out of the zone without beginning anew
OVER = 0.5  # share of the time below which a stay that was told is over
# How far a place reaches along eight ways: what lies within a circle reaches at most its diameter along each pair of them.
_TURN = np.arange(8) * np.pi / 4
WAYS = np.column_stack([np.cos(_TURN), np.sin(_TURN)])


class Loitering:
    """Measure for each person for how long all places, back from now, fit into a circle.

    The circle goes along with the person, so that it does not matter where in it the stay began. Places are kept as how far they
    reach along eight ways in each of 64 spans of time, which needs no list of them: exact along these, at most 8 % too generous
    between. Without a homography the whole way is measured by where metres are the fewest pixels, so that who walks far into the
    picture and back is not said to stay. In `dwell` zones, only time within one zone counts; without any, all of it is one.

    Args:
        camera: for pictures of the group's size.
        trails: of the group.
        limits: see there.
    """

    def __init__(self, camera: Camera, trails: Trails, limits: Limits) -> None:
        self._zones, self._limits = camera.purposes("dwell"), limits
        self._needs = needs = seconds(self._zones, limits.loitering_s) if self._zones else np.array([limits.loitering_s])
        self._rows = rows_of(camera, "dwell")
        self._zone = trails.column(-1.0)
        self._entered = trails.column(np.nan)
        self._inside = trails.column(np.nan)  # last time
        self._begun = trails.column(np.nan)  # of a stay that is told
        self._radius = trails.column(np.nan)
        self._tables = [_Reach(trails, need) for need in sorted(set(needs.tolist()))]
        self._table_of = np.searchsorted([one.need for one in self._tables], needs)

    def update(self, moment: Moment) -> list[Found]:
        """Return who loiters."""
        if moment.lost.any():
            self._restart(np.flatnonzero(moment.lost), -1.0, np.nan)
        people = np.flatnonzero((moment.family == PERSON) & np.isfinite(moment.place).all(axis=1))
        slots, now = moment.slots[people], moment.now
        within = moment.within[self._rows][:, people]
        inside = np.where(within.any(axis=0), within.argmax(axis=0), -1) if self._zones else np.zeros(len(people), dtype=np.int64)
        zone = self._zone.values[slots]
        same = (inside == zone) & (zone >= 0)
        self._inside.values[slots[same]] = now
        moved = ~same & ((zone < 0) & (inside >= 0) | (zone >= 0) & (now - self._inside.values[slots] > ASIDE))
        if moved.any():
            self._restart(slots[moved], inside[moved], now)
            same |= moved & (inside >= 0)
        for index, table in enumerate(self._tables):
            here = same if len(self._tables) == 1 else same & (self._table_of[np.maximum(inside, 0)] == index)
            if table.add(now, slots[here], moment.place[people[here]], moment.scale[people[here]]):
                self._measure(table, now, slots[here])
        return self._told(moment)

    def _restart(self, slots: Ints, zone: Floats | float, now: float) -> None:
        self._zone.values[slots] = zone
        self._entered.values[slots] = self._inside.values[slots] = now
        self._begun.values[slots] = np.nan
        for table in self._tables:
            table.clear(slots)

    def _measure(self, table: _Reach, now: float, slots: Ints) -> None:
        since, radius = table.stay(slots, self._limits.loitering_m)
        since = np.fmax(since, self._entered.values[slots])
        begun, stayed = self._begun.values[slots], now - since
        starts = np.isnan(begun) & (stayed >= table.need - TINY)
        ends = ~np.isnan(begun) & (stayed < OVER * table.need)
        self._begun.values[slots] = np.where(starts, since, begun)
        self._radius.values[slots] = radius
        if ends.any():
            self._restart(slots[ends], self._zone.values[slots[ends]], now)

    def _told(self, moment: Moment) -> list[Found]:
        found, trails = [], moment.trails
        for slot in np.flatnonzero(~np.isnan(self._begun.values)).tolist():
            zone = int(self._zone.values[slot])
            start, end = float(self._begun.values[slot]), float(self._inside.values[slot])
            evidence = {"dwell_s": end - start, "radius_m": float(self._radius.values[slot]), **moment.facts}
            found.append(
                Found(
                    "loitering",
                    (float(trails.serial[slot]), zone, start),
                    start,
                    end,
                    (int(trails.track[slot]),),
                    max(0.5, ratio(end - start, float(self._needs[zone]))),
                    evidence,
                    self._zones[zone].name if self._zones else "",
                )
            )
        return found


class _Reach:
    """Remember how far each trail's places reach along eight ways, span by span."""

    def __init__(self, trails: Trails, need: float) -> None:
        self.need, self.spacing, self.head = need, need / (ROWS - 4), 0
        self._table = trails.column(-np.inf, ROWS, len(WAYS) + 1)  # and the most metres per unit on the way

    def add(self, now: float, slots: Ints, place: Floats, scale: Floats) -> bool:
        """Take places (n, 2) of trails (n,), and metres per unit there, in; return whether a span ended since."""
        head = int(np.floor(now / self.spacing))
        new = head - self.head
        if new > 0:
            self._table.values[(self.head + 1 + np.arange(min(new, ROWS))) % ROWS] = -np.inf
            self.head = head
        row = self._table.values[head % ROWS]
        row[:, slots] = np.maximum(row[:, slots], np.vstack([WAYS @ place.T, scale]))
        return new > 0

    def clear(self, slots: Ints) -> None:
        """Forget where these trails were."""
        self._table.values[:, :, slots] = -np.inf

    def stay(self, slots: Ints, radius: float) -> tuple[Floats, Floats]:
        """Return since when (n,) each fits into a circle of `radius` metres, and the radius (n,) that it needs."""
        newest = self._table.values[(self.head - np.arange(ROWS)) % ROWS]
        reach = np.maximum.accumulate(np.take(newest, slots, axis=2), axis=0)
        half = 0.5 * (reach[:, :4] + reach[:, 4:8]).max(axis=1) * reach[:, 8]
        fits: Bools = half <= radius
        rows = np.maximum(fits.sum(axis=0), 1)
        return (self.head - rows + 1) * self.spacing, half[rows - 1, np.arange(len(slots))]
