"""Tell who runs, and who may have fallen."""

from __future__ import annotations

import numpy as np

from hyla.types import Floats
from hyla_surveillance.limits import Limits
from hyla_surveillance.moment import TINY, WINDOW, Found, Moment, Spells, ratio
from hyla_surveillance.trails import PERSON, Ring, Trails

BELOW = np.array([0.0, 1.0])  # the next row of the picture
BLUR = 3.0  # pixels that a box may be off from one frame to another; far away they are metres, and no pace
ROWS = 24  # of the ring that pace is read from: twice the time that running must last
DROP = 0.3  # share of the standing height that the head comes down by: what hides somebody's feet leaves it where it was


class Running:
    """Tell people who are faster than walking: by how far they got within the time that it must last, less what boxes are off.

    Args:
        trails: of the group.
        limits: see there.
    """

    def __init__(self, trails: Trails, limits: Limits) -> None:
        self._limits = limits
        self._spells = Spells(trails, 1, WINDOW)
        self._fastest = trails.column(np.nan)
        self._window = max(limits.running_s, WINDOW)
        self._past = Ring(trails, ROWS, self._window / ROWS * 2, 2)  # place

    def update(self, moment: Moment) -> list[Found]:
        """Return who has run for long enough."""
        pace, since = self._pace(moment)
        holds = (moment.family == PERSON) & (pace > self._limits.running_mps) & np.isfinite(moment.speed).all(axis=1)
        begin = self._spells.update(moment.now, moment.slots, holds[None], moment.lost, since)[0]
        if not self._spells.any:
            return []
        slots, fastest = moment.slots, self._fastest.values
        fastest[slots] = np.where(begin, pace, np.where(holds, np.fmax(fastest[slots], pace), fastest[slots]))
        found = []
        for _, slot, start, end in self._spells.lasting(np.array([self._limits.running_s])):
            speed = float(fastest[slot])
            found.append(
                Found(
                    "running",
                    (float(moment.trails.serial[slot]), start),
                    start,
                    end,
                    (int(moment.trails.track[slot]),),
                    min(ratio(speed, self._limits.running_mps), ratio(end - start, self._limits.running_s)),
                    {"speed_mps": speed, "dwell_s": end - start, **moment.facts},
                )
            )
        return found

    def _pace(self, moment: Moment) -> tuple[Floats, Floats]:
        """Return metres per second (n,) over the time that running must last, and since when; NaN where not known."""
        now, slots, feet = moment.now, moment.slots, moment.foot
        before = self._past.at(now - self._window, slots)
        self._past.write(now, slots, moment.place)
        step = np.where(now > before[:, 0], now - before[:, 0], np.nan)
        off = BLUR * np.hypot(*(moment.ground.plane(feet + BELOW) - moment.place).T)
        gone = np.hypot(*(moment.place - before[:, 1:]).T) - off
        return np.asarray(gone * moment.scale / step), before[:, 0]


class Falls:
    """Tell people whose box turns from upright to lying at once, with the head coming down, and stays so.

    A box that touches the picture's edge says nothing: neither that somebody stands nor that somebody lies.

    Args:
        trails: of the group.
        limits: see there.
    """

    def __init__(self, trails: Trails, limits: Limits) -> None:
        self._limits = limits
        self._spells = Spells(trails, 1, WINDOW)
        self._upright = trails.column(np.nan, 3)  # when last, the head's y then, the height
        self._drop = trails.column(np.nan)

    def update(self, moment: Moment) -> list[Found]:
        """Return who has lain for long enough after standing."""
        limits, slots, now = self._limits, moment.slots, moment.now
        tall = moment.box[:, 3] - moment.box[:, 1]
        shape = tall / (moment.box[:, 2] - moment.box[:, 0])
        person = (moment.family == PERSON) & moment.whole
        when, head, height = self._upright.values[:, slots]
        # A slow camera can't see anybody fall within half a second: the frame before is as near as it gets.
        at_once = now - when <= max(limits.fall_s, 1.5 * moment.interval)
        lies = person & (shape <= limits.lying_ratio)
        fell = lies & at_once & (moment.box[:, 1] - head >= DROP * height)
        holds = fell | (lies & ~np.isnan(self._spells.since[0, slots])) if self._spells.any else fell
        begin = self._spells.update(now, slots, holds[None], moment.lost, np.where(fell, when, now))[0]
        self._drop.values[slots] = np.where(begin, now - when, self._drop.values[slots])
        stands = person & (shape >= limits.standing_ratio)
        upright = self._upright.values
        upright[:, slots[stands]] = np.vstack([np.full(stands.sum(), now), moment.box[stands, 1], tall[stands]])
        found = []
        for _, slot, start, end in self._spells.lasting(np.array([limits.lying_s])):
            drop = float(self._drop.values[slot])
            if end - start - drop < limits.lying_s - TINY:
                continue
            found.append(
                Found(
                    "fall",
                    (float(moment.trails.serial[slot]), start),
                    start,
                    end,
                    (int(moment.trails.track[slot]),),
                    ratio(end - start - drop, limits.lying_s),
                    {"drop_s": drop, "still_s": end - start - drop, **moment.facts},
                )
            )
        return found
