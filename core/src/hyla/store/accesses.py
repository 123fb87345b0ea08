"""Keep who saw which clip or item: one row for each person, clip and visit, written once and chained.

A visit lasts as long as somebody looks about every ten minutes, and an hour at most; then another row says that
they still did. What is seen is noted in memory and written in the background, so that a picture costs nothing: a process that is
killed loses a second of it, one that ends as usual loses nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import select

from hyla.errors import StoreError
from hyla.store import chain
from hyla.store.database import Database, now
from hyla.store.held import SOME, ask_all
from hyla.store.tables import accesses, deleted, items

IDLE = 600.0  # seconds without a look that end a visit
AGAIN = 60.0  # seconds in which another look at the same item by the same person tells nothing new
LONGEST = 3600.0  # seconds of a visit that one row tells of
DELAY = 0.5  # seconds until what was noted is written
KEPT = 50_000  # looks that are remembered
_ABOUT = select(items.c.id, items.c.grp, items.c.twin).where(items.c.id.in_(SOME))
log = logging.getLogger("hyla.access")
Unit = tuple[str, str]  # clip and item, of which one is empty


@dataclass(frozen=True, slots=True)
class Access:
    """Say that somebody began to look at something.

    Args:
        id: 1, 2, 3, ... over the project.
        at: when, in UTC.
        who: looked.
        how: picture, crop, tile or slices, on the review page; draw; or export and its format.
        group: the clip; empty for an item that stands alone.
        item_id: the item; empty for a clip.
    """

    id: int
    at: str
    who: str
    how: str
    group: str
    item_id: str


class Accesses:
    """Note who saw what in `database`, and write it down in the background.

    Args:
        database: of the project.
        clock: seconds that only grow.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._db, self._clock = database, clock
        self._looks: dict[tuple[str, str, str], float] = {}  # (who, item, how) -> last look
        self._visits: dict[tuple[str, Unit, str], tuple[float, float]] = {}  # (who, unit, how) -> begin, last look
        self._new: dict[tuple[str, str, str], tuple[float, str]] = {}  # looks that no visit knows of yet -> when
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._timer: threading.Timer | None = None

    def saw(self, who: str, ids: Iterable[str], how: str) -> None:
        """Note that `who` sees some items now."""
        here = self._clock()
        with self._lock:
            for item_id in ids:
                look = (who, item_id, how)
                last = self._looks.get(look)
                if last is None or here - last > AGAIN:
                    self._looks[look] = here
                    self._new[look] = (here, now())
            if self._new and self._timer is None:
                self._timer = threading.Timer(DELAY, self._work)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write down what was noted; raise StoreError if that can't be."""
        with self._writing:
            with self._lock:
                new, self._new, self._timer = self._new, {}, None
                if len(self._looks) > KEPT:
                    self._looks = {look: last for look, last in self._looks.items() if look in new}
            if new:
                try:
                    self._write(new)
                except BaseException:
                    with self._lock:
                        self._new = {**new, **self._new}
                    raise

    def close(self) -> None:
        """Write down the rest; a project that can't be written to is only read, and keeps no account of it."""
        with self._lock:
            timer = self._timer
        if timer is not None:
            timer.cancel()
        self._work()

    def _work(self) -> None:
        try:
            self.flush()
        except StoreError as error:
            log.warning("who saw what can't be written down: %s", error.line)

    def _write(self, new: dict[tuple[str, str, str], tuple[float, str]]) -> None:
        with self._db.read() as connection:
            about = {row.id: row for row in ask_all(connection, _ABOUT, [item_id for _, item_id, _ in new])}
            originals = [row.twin for row in about.values() if row.twin]
            about |= {row.id: row for row in ask_all(connection, _ABOUT, originals)} if originals else {}
        rows = []
        visits = dict(self._visits)
        for (who, item_id, how), (when, at) in new.items():
            row = about.get(item_id)
            if row is not None and row.twin:  # whoever reads this must not learn what was planted
                row = about.get(row.twin)
            unit = ("", item_id) if row is None else (row.grp, "") if row.grp else ("", row.id)
            begin, last = visits.get((who, unit, how), (float("-inf"), float("-inf")))
            if when - last > IDLE or when - begin > LONGEST:
                rows.append({"at": at, "who": who, "how": how, "grp": unit[0], "item_id": unit[1]})
                begin = when
            visits[who, unit, how] = (begin, max(when, last))
        if rows:
            with self._db.write() as connection:
                chain.append(connection, accesses, self._db.id, rows)
        latest = max(when for when, _ in new.values())
        self._visits = {key: one for key, one in visits.items() if latest - one[1] <= IDLE}


def listed(database: Database, who: str | None = None, what: str | None = None, limit: int = 0) -> list[Access]:
    """Return accesses, first to last: of one person, or of one clip or item, if given.

    Args:
        database: of the project.
        who: looked.
        what: a clip or the id of an item; of an item of a clip, the clip is what is listed.
        limit: only the last so many; 0 for all.
    """
    found = select(accesses)
    with database.read() as connection:
        if who is not None:
            found = found.where(accesses.c.who == who)
        if what is not None:
            clips = select(items.c.grp).where(items.c.id == what).union(select(deleted.c.grp).where(deleted.c.item_id == what))
            group = connection.scalar(clips) or what
            found = found.where((accesses.c.grp == group) | (accesses.c.item_id == what))
        if limit:
            rows = connection.execute(found.order_by(accesses.c.id.desc()).limit(limit)).all()[::-1]
        else:
            rows = connection.execute(found.order_by(accesses.c.id)).all()
    return [Access(row.id, row.at, row.who, row.how, row.grp, row.item_id) for row in rows]
