"""Follow people and things through the gaps of their tracks, in tables with a column for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats, Ints

PERSON, VEHICLE, OBJECT = 0, 1, 2
FASTEST = np.array([12.0, 60.0, 12.0])  # metres per second, by family, beyond which it is not the same one any more
JUMP = 1.5  # metres that a place may be off besides
NEAR = np.array([1.0, 2.0, 0.7])  # metres within which one that vanished is looked for at once
STRAY = np.array([0.5, 3.0, 0.0])  # metres more for each second
COAST = 2.0  # seconds for which one that is hidden is believed to go on as before
FARTHEST = np.array([4.0, 15.0, 0.7])  # metres at most
KEEP = 40.0  # seconds for which one that is gone is remembered, as the owner of a thing may be
FIRST, MOST = 64, 4096  # columns at the beginning and at most
FREE = -1


@dataclass(eq=False)
class Column:
    """Hold values for each trail (..., columns), which are `fill` again when a column is given to another trail."""

    values: npt.NDArray[np.float64]
    fill: float


class Trails:
    """Give each tracked box a trail, which lives on when its track breaks off and another begins there soon after.

    A trail goes on under a new track if that appears within `gap` seconds and a few metres of where it was heading, nearest
    first. It keeps to its old track if that comes back. A track that jumps farther than anybody can go is another's. Tables grow
    up to 4096 trails; then those unseen for longest are given up.

    Args:
        gap: (3,) seconds by family (person, vehicle, object) for which a trail may be hidden and still be the same.
    """

    def __init__(self, gap: Floats) -> None:
        self.gap = gap
        self._columns: list[Column] = []
        self._key = self.column(FREE)
        self._former = self.column(FREE)
        self._switched = self.column(-np.inf)
        self._serial = self.column(FREE)
        self._family = self.column(PERSON)
        self._seen = self.column(-np.inf)
        self._first = self.column(np.inf)
        self._place = self.column(np.nan, 2)
        self._scale = self.column(np.nan)
        self._speed = self.column(0.0, 2)
        self._count = 0
        self._sort()

    def column(self, fill: float, *shape: int) -> Column:
        """Return a table (*shape, columns) that grows with the trails and forgets with them."""
        width = self._columns[0].values.shape[-1] if self._columns else FIRST
        self._columns.append(Column(np.full((*shape, width), fill), fill))
        return self._columns[-1]

    @property
    def track(self) -> Ints:
        """Return the track (columns,) that each trail was last seen under."""
        return self._key.values.astype(np.int64) // 4

    @property
    def serial(self) -> Floats:
        """Return what tells trails apart (columns,), also those that had the same column; -1 for a free one."""
        return self._serial.values

    @property
    def family(self) -> Floats:
        """Return (columns,) of PERSON, VEHICLE, OBJECT."""
        return self._family.values

    @property
    def seen(self) -> Floats:
        """Return when each was last seen (columns,)."""
        return self._seen.values

    @property
    def first(self) -> Floats:
        """Return when each was first seen (columns,)."""
        return self._first.values

    @property
    def place(self) -> Floats:
        """Return where each was last seen (2, columns), on the plane of the ground."""
        return self._place.values

    @property
    def scale(self) -> Floats:
        """Return metres per unit of the plane (columns,) there."""
        return self._scale.values

    def gaps(self, interval: float) -> Floats:
        """Return (columns,) the seconds after which each is lost, where a frame comes every `interval` seconds."""
        return np.maximum(self.gap, 2.5 * interval)[self.family.astype(np.int64)]

    def update(self, now: float, interval: float, track: Ints, family: Ints, place: Floats, scale: Floats) -> Ints:
        """Return the column (n,) of each row of a frame; -1 for a row that has no track, or one that another row has.

        Args:
            now: seconds, never less than before.
            interval: usual seconds between frames.
            track: (n,).
            family: (n,) of PERSON, VEHICLE, OBJECT.
            place: (n, 2) on the plane of the ground.
            scale: (n,) metres per unit of the plane there.
        """
        self._release((self.serial >= 0) & (self.seen < now - max(KEEP, float(self.gap.max()))))
        key = np.where(track >= 0, track * 4 + family, FREE)
        if len(set(key.tolist())) < len(key):
            once = np.zeros(len(key), dtype=bool)
            once[np.unique(key, return_index=True)[1]] = True
            key = np.where(once, key, FREE)
        slots = self._held(key)
        held = slots >= 0
        at = slots[held]
        kind = family[held]
        step = now - self.seen[at]
        far = np.hypot(*(place[held].T - self.place[:, at])) * np.minimum(scale[held], self.scale[at])
        broken = (far > JUMP + FASTEST[kind] * step) | (step > self.gaps(interval)[at])
        if broken.any():
            self._key.values[at[broken]] = FREE
            slots[np.flatnonzero(held)[broken]] = -1
            self._sort()
        fresh = np.flatnonzero((slots < 0) & (key >= 0))
        if fresh.size:
            self._seen.values[slots[slots >= 0]] = now
            slots[fresh] = self._adopt(now, interval, key[fresh], family[fresh], place[fresh], scale[fresh])
            # Who came back took the trail that a newcomer had been given meanwhile: the newcomer's begins here.
            late = np.flatnonzero(held & (slots >= 0))
            late = late[self._key.values[slots[late]] != key[late]]
            if late.size:
                slots[late] = self._begin(now, key[late], family[late])
            self._sort()
        kept = slots >= 0
        at = slots[kept]
        self._seen.values[at] = now
        self._first.values[at] = np.minimum(self._first.values[at], now)
        self._place.values[:, at] = place[kept].T
        self._scale.values[at] = scale[kept]
        return slots

    def head(self, slots: Ints, speed: Floats) -> None:
        """Note where trails (n,) are heading, as speeds (n, 2) in metres per second; NaN for not known."""
        self._speed.values[:, slots] = np.where(speed == speed, speed, 0.0).T

    def _held(self, key: Ints) -> Ints:
        """Return the column (n,) that has each key, or -1."""
        if not len(self._keys):
            return np.full(len(key), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        return np.where((self._keys[at] == key) & (key >= 0), self._slots[at], -1)

    def _sort(self) -> None:
        taken = np.flatnonzero(self._key.values >= 0)
        order = np.argsort(self._key.values[taken], kind="stable")
        self._slots, self._keys = taken[order], self._key.values[taken][order].astype(np.int64)

    def _adopt(self, now: float, interval: float, key: Ints, family: Ints, place: Floats, scale: Floats) -> Ints:
        """Return columns (n,) for keys that have none: their own from before, that of one who vanished nearby, or a free one."""
        found = np.full(len(key), -1, dtype=np.int64)
        lost = np.flatnonzero((self.serial >= 0) & (self.seen < now) & (self.seen >= now - self.gaps(interval)))
        if lost.size:
            ahead = np.minimum(now - self.seen[lost], COAST) / self.scale[lost]
            there = self.place[:, lost] + self._speed.values[:, lost] * ahead
            far = np.hypot(*(place.T[:, :, None] - there[:, None, :])) * np.minimum(scale[:, None], self.scale[lost])
            reach = np.minimum(
                NEAR[family][:, None] + STRAY[family][:, None] * (now - self.seen[lost]), FARTHEST[family][:, None]
            )
            fits = (far <= reach) & (family[:, None] == self.family[lost])
            rows, columns = np.nonzero(fits)
            taken: set[int] = set()
            for pair in np.lexsort((columns, rows, far[rows, columns])).tolist():
                row, slot = int(rows[pair]), int(lost[columns[pair]])
                if found[row] < 0 and slot not in taken:
                    found[row] = slot
                    taken.add(slot)
            given = found[found >= 0]
            self._former.values[given] = self._key.values[given]
            self._switched.values[given] = now
        alive = (self.serial >= 0) & (self._switched.values >= now - self.gaps(interval))
        for row in np.flatnonzero(found < 0).tolist() if alive.any() else ():
            far = np.hypot(*(self.place.T - place[row]).T) * scale[row]
            before = np.flatnonzero(alive & (self._former.values == key[row]) & (far <= FARTHEST[family[row]]))
            if before.size:
                found[row] = int(before[0])
                self._switched.values[before[0]] = -np.inf
        self._key.values[found[found >= 0]] = key[found >= 0]
        self._seen.values[found[found >= 0]] = now
        new = np.flatnonzero(found < 0)
        if new.size:
            found[new] = self._begin(now, key[new], family[new])
        return found

    def _begin(self, now: float, key: Ints, family: Ints) -> Ints:
        """Return columns (n,) of new trails; -1 where there is no room left in this frame."""
        free = self._room(len(key), now)
        self._serial.values[free] = self._count + np.arange(free.size)
        self._count += free.size
        self._family.values[free] = family[: free.size]
        self._key.values[free] = key[: free.size]
        self._seen.values[free] = now  # so that none of them is given up for the next
        return np.concatenate([free, np.full(len(key) - free.size, -1, dtype=np.int64)])

    def _room(self, wanted: int, now: float) -> Ints:
        free = np.flatnonzero(self.serial < 0)
        while free.size < wanted and self.serial.size < MOST:
            self._grow()
            free = np.flatnonzero(self.serial < 0)
        if free.size < wanted:
            old = np.flatnonzero((self.serial >= 0) & (self.seen < now))
            old = old[np.lexsort((self.serial[old], self.seen[old]))][: wanted - free.size]
            self._release(np.isin(np.arange(self.serial.size), old))
            free = np.flatnonzero(self.serial < 0)
        return free[:wanted]

    def _grow(self) -> None:
        for one in self._columns:
            one.values = np.concatenate([one.values, np.full_like(one.values, one.fill)], axis=-1)

    def _release(self, which: Bools) -> None:
        if not which.any():
            return
        for one in self._columns:
            one.values[..., which] = one.fill
        self._sort()


class Ring:
    """Remember the last values of each trail: one row for each span of time, the last value in it.

    Args:
        trails: whose columns these are.
        rows: that are remembered.
        spacing: seconds of a row.
        width: values beside the time.
    """

    def __init__(self, trails: Trails, rows: int, spacing: float, width: int) -> None:
        self.rows, self.spacing, self.head = rows, spacing, 0
        self._table = trails.column(np.nan, rows, width + 1)

    def write(self, now: float, slots: Ints, values: Floats) -> None:
        """Keep values (n, width) of trails (n,) at `now`."""
        head = int(np.floor(now / self.spacing))
        if (new := head - self.head) > 0:
            self._table.values[(self.head + 1 + np.arange(min(new, self.rows))) % self.rows] = np.nan
            self.head = head
        row = self._table.values[self.head % self.rows]
        row[0, slots] = now
        row[1:, slots] = values.T

    def path(self, slot: int) -> Floats:
        """Return (rows, 1 + width) time and values of one trail, in no order; NaN where there are none."""
        return self._table.values[:, :, slot]

    def at(self, when: float | Floats, slots: Ints) -> Floats:
        """Return (n, 1 + width) time and values last written until `when`; NaN where there is none, or it is forgotten."""
        table = self._table.values[(self.head - np.arange(self.rows)) % self.rows]
        table = np.take(table, slots, axis=2)  # newest first
        found = (table[:, 0] <= when).argmax(axis=0)
        values = np.asarray(table[found, :, np.arange(len(slots))])
        return np.where((values[:, 0] <= when)[:, None], values, np.nan)
