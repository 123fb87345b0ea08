"""Say who works on what just now, so that two people, or two tabs of one, do not answer the same item.

What is leased is a unit: an item, or a whole clip, since one answer about a track is about many of its frames. A lease belongs to
one tab of one person. It lasts ten minutes and is renewed while the tab lives; once it has ended, the unit is anybody's, and
until somebody takes it the tab may have it back. Leases live in memory: after a restart nobody holds anything, and what protects
decisions is the number of the labels that each of them names.

Whoever has seen the machine's labels of an item can't answer it blind any more: that is kept here too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Literal

from hyla.review.wire import Mode

SECONDS = 600
Place = tuple[str, str]  # lane and reason
Unit = tuple[Literal["item", "clip"], str]  # with the id of the item, or the group of the clip


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold a unit: for one tab of one person, in one mode, until a time of the clock; taken from a place in the queue."""

    person: str
    tab: str
    mode: Mode
    place: Place
    until: float

    def of(self, person: str, tab: str) -> bool:
        """Tell whether this tab of this person holds it."""
        return (self.person, self.tab) == (person, tab)


class Leases:
    """Keep the leases of one server, for several threads.

    Args:
        clock: seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._held: dict[Unit, Hold] = {}
        self._seen: dict[str, set[str]] = {}

    def take(self, person: str, tab: str, units: Mapping[Unit, Place], mode: Mode) -> list[Unit]:
        """Lease `units`, given with their place in the queue, and return those that nobody else holds, in the same order."""
        with self._lock:
            until = self._clock() + SECONDS
            free = [unit for unit in units if (hold := self._live(unit)) is None or hold.of(person, tab)]
            self._held.update({unit: Hold(person, tab, mode, units[unit], until) for unit in free})
            return free

    def renew(self, person: str, tab: str, units: Iterable[Unit]) -> list[Unit]:
        """Make the leases of a tab last again, ended ones too; return the units that it has lost."""
        with self._lock:
            until, lost = self._clock() + SECONDS, []
            for unit in units:
                hold = self._held.get(unit)
                if hold is not None and hold.of(person, tab):
                    self._held[unit] = replace(hold, until=until)
                else:
                    lost.append(unit)
            return lost

    def release(self, person: str, tab: str, units: Iterable[Unit]) -> None:
        """Give units back; what the tab does not hold stays as it is."""
        with self._lock:
            for unit in units:
                hold = self._held.get(unit)
                if hold is not None and hold.of(person, tab):
                    del self._held[unit]

    def holder(self, unit: Unit) -> Hold | None:
        """Return who holds a unit now, or None."""
        with self._lock:
            return self._live(unit)

    def held(self) -> dict[Unit, Hold]:
        """Return all that is held now, and forget what ended an hour ago."""
        with self._lock:
            now = self._clock()
            self._held = {unit: hold for unit, hold in self._held.items() if hold.until + 6 * SECONDS > now}
            return {unit: hold for unit, hold in self._held.items() if hold.until > now}

    def blind(self, person: str) -> set[Unit]:
        """Return what a person holds blind, in whatever tab: nothing may tell them what the machine said of it."""
        return {unit for unit, hold in self.held().items() if hold.person == person and hold.mode == "blind"}

    def show(self, items: Iterable[str], person: str) -> None:
        """Note that a person is shown what the machine said of items."""
        with self._lock:
            self._seen.setdefault(person, set()).update(items)

    def shown(self, person: str) -> Collection[str]:
        """Return the items of which a person was shown what the machine said, since the server started."""
        with self._lock:
            return frozenset(self._seen.get(person, ()))

    def _live(self, unit: Unit) -> Hold | None:
        hold = self._held.get(unit)
        return hold if hold is not None and hold.until > self._clock() else None


def apart(units: Iterable[Unit]) -> tuple[list[str], list[str]]:
    """Return the items and the clips among units."""
    both: dict[str, list[str]] = {"item": [], "clip": []}
    for kind, name in units:
        both[kind].append(name)
    return both["item"], both["clip"]
