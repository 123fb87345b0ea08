"""Tell crowding: more people on a square metre, or in a zone, than is safe."""

from __future__ import annotations

import numpy as np

from hyla.types import Floats, Ints
from hyla_surveillance.camera import Camera
from hyla_surveillance.ground import Ground
from hyla_surveillance.limits import Limits
from hyla_surveillance.moment import Found, Moment, Spells, ratio, rows_of, seconds

RADIUS = 1.0  # metres of the kernel
SURVEY = 10.0  # seconds after which the areas of zones are measured again
LEAST = 1.0  # square metres of a zone from which its area says something: a person takes up room
GRACE = 1.0  # seconds that people may be hidden behind each other
NAMED = 50  # participants that are named; all are counted
CHUNK = 256  # people whose distances to all others are looked at in one go


class Crowding:
    """Count people, tracked or not, in `crowd` zones; and how close they stand there, or anywhere if there are no such zones.

    Density is what people around a person make, weighed by exp(-d^2 / R^2) / (pi R^2), R = 1 m (Helbing, Johansson and
    Al-Abideen, "Dynamics of crowd disasters", Physical Review E 75, 2007), the highest of any person's; or people by the zone's
    area, if that is more.

    Args:
        camera: for pictures of the group's size.
        ground: that the areas of zones are measured on.
        limits: see there.
    """

    def __init__(self, camera: Camera, ground: Ground, limits: Limits) -> None:
        self._limits, self._ground = limits, ground
        self._zones = camera.purposes("crowd")
        places = max(1, len(self._zones))
        self._needs = seconds(self._zones, limits.crowd_s) if self._zones else np.array([limits.crowd_s])
        self._spells = Spells(None, places, GRACE)
        self._few = min(limits.crowd_density, limits.crowd_count)  # who are no more than that are no crowd, however they stand
        self._rows = rows_of(camera, "crowd")
        self._surveyed, self._area = -np.inf, np.empty(0)  # NaN for a zone that reaches the horizon
        self._most = np.zeros((places, 2))  # people and density of the spell

    def update(self, moment: Moment) -> list[Found]:
        """Return where it is crowded."""
        counts, density, inside = self._measure(moment)
        limits = self._limits
        holds = (density > limits.crowd_density) | ((counts > limits.crowd_count) & bool(self._zones))
        begin = self._spells.update(moment.now, np.array([0]), holds[:, None], np.zeros(1, dtype=bool))[:, 0]
        now = np.column_stack([counts, density])
        self._most = np.where(begin[:, None], now, np.where(holds[:, None], np.maximum(self._most, now), self._most))
        found = []
        for place, _, start, end in self._spells.lasting(self._needs):
            most, dense = self._most[place].tolist()
            worst = max(dense / limits.crowd_density, most / limits.crowd_count if self._zones else 0.0)
            evidence = {"count": most, "density_m2": dense, "dwell_s": end - start, **moment.facts}
            evidence["danger"] = float(dense > limits.crowd_danger)
            found.append(
                Found(
                    "crowding",
                    (place, start),
                    start,
                    end,
                    self._named(moment, inside[place]),
                    max(0.5, ratio(worst, 1.0)),
                    evidence,
                    self._zones[place].name if self._zones else "",
                )
            )
        return found

    def _measure(self, moment: Moment) -> tuple[Floats, Floats, list[Ints]]:
        """Return people (places,), the highest density (places,), and the rows of the crowd in each place."""
        inside = (
            [np.flatnonzero(here) for here in moment.crowd_within[self._rows]]
            if self._zones
            else [np.arange(len(moment.crowd_scale))]
        )
        counts = np.array([float(len(rows)) for rows in inside])
        density = np.array([self._densest(moment, rows) for rows in inside])
        if moment.now - self._surveyed >= SURVEY:  # metres may get better where they are learnt
            self._surveyed = moment.now
            self._area = np.array([self._ground.area(zone.polygon) for zone in self._zones])
        for index in np.flatnonzero((counts > self._few) & (self._area > LEAST)).tolist() if self._zones else ():
            density[index] = max(density[index], counts[index] / self._area[index])
        return counts, density, inside

    def _densest(self, moment: Moment, rows: Ints) -> float:
        """Return the highest density around any of the people of `rows`, in people per square metre."""
        if len(rows) <= self._few:
            return 0.0
        place, scale = moment.crowd_place[rows], moment.crowd_scale[rows]
        seen = np.isfinite(place).all(axis=1)
        (x, y), scale = place[seen].T, scale[seen]
        densest = 0.0
        for first in range(0, len(x), CHUNK):
            some = slice(first, first + CHUNK)
            apart = (x[some, None] - x) ** 2 + (y[some, None] - y) ** 2
            apart *= scale[some, None] * scale / RADIUS**2
            densest = max(densest, float(np.exp(-apart).sum(axis=1).max(initial=0.0)))
        return densest / (np.pi * RADIUS**2)

    def _named(self, moment: Moment, rows: Ints) -> tuple[int, ...]:
        track = moment.crowd_track[rows]
        return tuple(sorted(set(track[track >= 0].tolist()))[:NAMED])
