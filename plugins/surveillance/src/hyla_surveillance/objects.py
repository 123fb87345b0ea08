"""Tell abandoned objects: what somebody put down and left behind."""

from __future__ import annotations

import numpy as np

from hyla.types import Floats, Ints
from hyla_surveillance.limits import Limits
from hyla_surveillance.moment import TINY, Found, Moment, ratio
from hyla_surveillance.trails import OBJECT, PERSON, Ring, Trails

MEMORY = 31.0  # seconds for which it is known where people were
STAYED = 10.0  # seconds that nobody takes who passes by: 6 m at 1.3 m/s are 5 s
PAST, SPACING = 64, 0.5  # rows of the ring that tells where people were, and seconds of each: 32 s
GRACE = 1.0  # seconds that a thing may be elsewhere, or its owner far away, by a bad box
BACK = 0.8  # share of the distance within which an owner who was away is back
LATE = 2.0  # seconds after a thing was put down in which its owner may first be seen


class Abandoned:
    """Follow each thing that stands still, and the person who was nearest when it began to.

    A thing that was found late tells for how long it has stood (`still_s`), and its owner is looked for at that time. An owner
    who can't be seen is where they were last seen until they are seen elsewhere, and away from then on. A thing near which nobody
    was is alone from the beginning.

    Args:
        trails: of the group.
        limits: see there.
    """

    def __init__(self, trails: Trails, limits: Limits) -> None:
        self._limits, self._trails = limits, trails
        self._past = Ring(trails, PAST, SPACING, 2)
        self._anchor = trails.column(np.nan, 2)
        self._since = trails.column(np.nan)  # it stands still
        self._still = trails.column(np.nan)  # last time that it did
        self._owner = trails.column(-1.0)  # serial of their trail
        self._owner_slot = trails.column(-1.0)
        self._owner_track = trails.column(-1.0)
        self._near = trails.column(np.nan)  # last time that the owner was
        self._distance = trails.column(np.nan)

    def update(self, moment: Moment) -> list[Found]:
        """Return the things that are abandoned."""
        people = moment.family == PERSON
        self._past.write(moment.now, moment.slots[people], moment.place[people])
        if moment.lost.any():
            self._since.values[moment.lost] = np.nan
        rows = np.flatnonzero((moment.family == OBJECT) & np.isfinite(moment.place).all(axis=1))
        if rows.size:
            self._stand(moment, rows)
        things = np.flatnonzero(~np.isnan(self._since.values))
        if not things.size:
            return []
        self._attend(moment.now, things)
        return self._told(moment, things)

    def _stand(self, moment: Moment, rows: Ints) -> None:
        """Go on with the things that stand still, and begin anew with those that moved."""
        now, slots, place, scale = moment.now, moment.slots[rows], moment.place[rows], moment.scale[rows]
        off = np.hypot(*(place.T - self._anchor.values[:, slots])) * scale
        # A box's edges are not sharp: a large thing may seem to move more than a small one.
        size = np.sqrt(np.prod(moment.box[rows, 2:] - moment.box[rows, :2], axis=1))
        blur = 0.0 if moment.ground.calibrated else 0.25 * size * scale
        moved = ~(off <= np.maximum(self._limits.still_m, blur))
        new = np.isnan(self._since.values[slots]) | (moved & (now - self._still.values[slots] > GRACE))
        self._still.values[slots[~moved | new]] = now
        begun = slots[new]
        if not begun.size:
            return
        stood = np.where(moment.still[rows[new]] > 0, moment.still[rows[new]], 0.0)
        first = np.isnan(self._since.values[begun])  # a thing that moved is not one that has stood
        since = np.maximum(now - np.where(first, stood, 0.0), 0.0)
        self._anchor.values[:, begun] = place[new].T
        self._since.values[begun] = since
        self._near.values[begun] = since
        for slot, at, where, unit in zip(begun.tolist(), since.tolist(), place[new], scale[new].tolist(), strict=True):
            self._own(slot, at, now - MEMORY, where, unit)

    def _own(self, slot: int, put: float, known: float, where: Floats, unit: float) -> None:
        """Find who was nearest to a thing when it was put down; if that is forgotten, who stayed with it since `known`."""
        trails, when = self._trails, max(put, known)
        people = np.flatnonzero((trails.serial >= 0) & (trails.family == PERSON))
        then = self._past.at(when + 1e-9, people)
        there = then[:, 0] >= when - LATE
        later = (trails.first[people] >= when) & (trails.first[people] <= when + LATE)
        places = np.where(there[:, None], then[:, 1:], np.where(later[:, None], trails.place[:, people].T, np.nan))
        far = np.hypot(*(places - where).T) * (trails.scale[people] + unit) / 2
        near = {}  # by row of people
        for row in np.flatnonzero(far <= self._limits.owner_m).tolist():
            times = self._near_by(int(people[row]), where, unit)
            if put >= known or np.ptp(times if len(times) else [when]) >= STAYED:
                near[row] = times
        row = min(near, key=lambda one: float(far[one]), default=-1)
        owner = int(people[row]) if near else -1
        self._owner_slot.values[slot] = owner
        self._owner.values[slot] = trails.serial[owner] if owner >= 0 else -1
        self._owner_track.values[slot] = trails.track[owner] if owner >= 0 else -1
        if owner >= 0:  # who stayed for a while before the thing was found
            self._near.values[slot] = np.max(near[row], initial=when)

    def _near_by(self, person: int, where: Floats, unit: float) -> Floats:
        """Return when a person was near a place, of the times that are remembered, in no order."""
        path = self._past.path(person)
        far = np.hypot(*(path[:, 1:] - where).T) * (self._trails.scale[person] + unit) / 2
        return np.asarray(path[far <= self._limits.owner_m, 0])

    def _attend(self, now: float, things: Ints) -> None:
        """Note which owners (of n things) are near."""
        trails = self._trails
        owner = self._owner_slot.values[things].astype(np.int64)
        there = (owner >= 0) & (trails.serial[owner] == self._owner.values[things])
        far = np.hypot(*(trails.place[:, owner] - self._anchor.values[:, things]))
        far = np.where(there, far * (trails.scale[owner] + trails.scale[things]) / 2, np.nan)
        away = now - self._near.values[things] > GRACE
        near = far <= self._limits.owner_m * np.where(away, BACK, 1.0)
        seen = np.where(near, trails.seen[owner], -np.inf)
        self._near.values[things] = np.maximum(self._near.values[things], seen)
        self._distance.values[things] = np.where(there & (trails.seen[owner] == now), far, np.nan)
        self._owner_track.values[things] = np.where(there, trails.track[owner], self._owner_track.values[things])

    def _told(self, moment: Moment, things: Ints) -> list[Found]:
        limits, found = self._limits, []
        still = self._still.values[things] - self._since.values[things]
        away = self._still.values[things] - self._near.values[things]
        told = things[(still >= limits.abandoned_s - TINY) & (away >= limits.owner_s - TINY)]
        for slot in told.tolist():
            since, near = float(self._since.values[slot]), float(self._near.values[slot])
            end, owner = float(self._still.values[slot]), int(self._owner_track.values[slot])
            track = int(moment.trails.track[slot])
            evidence = {"still_s": end - since, "owner_away_s": end - near, **moment.facts}
            if (far := float(self._distance.values[slot])) == far:
                evidence["distance_m"] = far
            score = min(ratio(end - since, limits.abandoned_s), ratio(end - near, limits.owner_s))
            who = (track, owner) if owner >= 0 else (track,)
            found.append(
                Found(
                    "abandoned_object",
                    (float(moment.trails.serial[slot]), near),
                    max(since, near),
                    end,
                    tuple(sorted(who)),
                    score,
                    evidence,
                )
            )
        return found
