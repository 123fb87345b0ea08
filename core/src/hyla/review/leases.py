"""Say who works on what just now, so that two people, or two tabs of one, do not answer the same item.

A lease belongs to one tab of one person. It lasts ten minutes and is renewed while the tab lives; once it has ended, the item is
anybody's, and until somebody takes it the tab may have it back. Leases live in memory: after a restart nobody holds anything, and
what protects decisions is the number of the labels that each of them names.

Whoever has seen the machine's labels of an item can't answer it blind any more: that is kept here too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from threading import Lock

from hyla.review.wire import Mode

SECONDS = 600
Place = tuple[str, str]  # lane and reason


@dataclass(frozen=True, slots=True)
class Hold:
    """Hold an item: for one tab of one person, in one mode, until a time of the clock; taken from a place in the queue."""

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
        self._held: dict[str, Hold] = {}
        self._seen: dict[str, set[str]] = {}

    def take(self, person: str, tab: str, items: Mapping[str, Place], mode: Mode) -> list[str]:
        """Lease `items`, given with their place in the queue, and return those that nobody else holds, in the same order."""
        with self._lock:
            until = self._clock() + SECONDS
            free = [item for item in items if (hold := self._live(item)) is None or hold.of(person, tab)]
            self._held.update({item: Hold(person, tab, mode, items[item], until) for item in free})
            return free

    def renew(self, person: str, tab: str, items: Iterable[str]) -> list[str]:
        """Make the leases of a tab last again, ended ones too; return the items that it has lost."""
        with self._lock:
            until, lost = self._clock() + SECONDS, []
            for item in items:
                hold = self._held.get(item)
                if hold is not None and hold.of(person, tab):
                    self._held[item] = replace(hold, until=until)
                else:
                    lost.append(item)
            return lost

    def release(self, person: str, tab: str, items: Iterable[str]) -> None:
        """Give items back; what the tab does not hold stays as it is."""
        with self._lock:
            for item in items:
                hold = self._held.get(item)
                if hold is not None and hold.of(person, tab):
                    del self._held[item]

    def holder(self, item: str) -> Hold | None:
        """Return who holds an item now, or None."""
        with self._lock:
            return self._live(item)

    def mode_of(self, item: str, person: str, tab: str) -> Mode | None:
        """Return the mode in which a tab holds an item, or None if it does not."""
        hold = self.holder(item)
        return hold.mode if hold and hold.of(person, tab) else None

    def others(self, person: str, tab: str) -> set[str]:
        """Return the items that other people or other tabs hold."""
        return {item for item, hold in self.held().items() if not hold.of(person, tab)}

    def held(self) -> dict[str, Hold]:
        """Return all that is held now, and forget what ended an hour ago."""
        with self._lock:
            now = self._clock()
            self._held = {item: hold for item, hold in self._held.items() if hold.until + 6 * SECONDS > now}
            return {item: hold for item, hold in self._held.items() if hold.until > now}

    def blind(self, item: str, person: str) -> bool:
        """Tell whether a person holds an item blind, in whatever tab: nothing may then tell them what the machine said of it."""
        hold = self.holder(item)
        return hold is not None and hold.person == person and hold.mode == "blind"

    def show(self, items: Iterable[str], person: str) -> None:
        """Note that a person is shown what the machine said of items."""
        with self._lock:
            self._seen.setdefault(person, set()).update(items)

    def shown(self, person: str) -> Collection[str]:
        """Return the items of which a person was shown what the machine said, since the server started."""
        with self._lock:
            return frozenset(self._seen.get(person, ()))

    def _live(self, item: str) -> Hold | None:
        hold = self._held.get(item)
        return hold if hold is not None and hold.until > self._clock() else None
