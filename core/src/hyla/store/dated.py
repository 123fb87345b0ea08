"""Say of every item when it was taken and for how long it may be kept."""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from hyla.store.database import Database
from hyla.store.query import pages
from hyla.store.tables import OWN, annotated, items, quarantine, runs

_STORED = (
    select(*(items.c[name] for name in ("id", "grp", "ordinal", "uri", "meta", "decided", "lane")), annotated.c.created)
    .join_from(items, annotated, annotated.c.id == items.c.machine)
    .where(OWN)
)
# A stream stands in quarantine once it failed: it was taken at no time and shows nothing, and failing again must be told again.
_REFUSED = select(quarantine, runs.c.started).join_from(quarantine, runs).where(quarantine.c.kind != "stream")


@dataclass(frozen=True, slots=True)
class Dated:
    """Hold what the age of an item follows from.

    Args:
        id: of the item.
        group: the clip it is of, or empty.
        ordinal: its place in the scan.
        uri: of the file it is in.
        labelled: when, in seconds since 1970.
        taken: when, in seconds since 1970: `utc` of its meta, but not later than it was labelled; else that.
        hours: for which it may be kept: `retention_hours` of its meta; None if that says nothing.
        seconds: its place in the clip.
        decided: the decision that stands on it.
        waits: for a person.
        stored: False for one in quarantine.
    """

    id: str
    group: str
    ordinal: int
    uri: str
    labelled: float
    taken: float
    hours: float | None
    seconds: float
    decided: int | None
    waits: bool
    stored: bool


def dated(database: Database) -> Iterator[Dated]:
    """Yield every item, clip by clip, in the order of the scan in each; those that stand alone come first."""
    return heapq.merge(_stored(database), _refused(database), key=lambda one: (one.group, one.ordinal, one.id))


def _stored(database: Database) -> Iterator[Dated]:
    for page, _ in pages(database, _STORED, (items.c.grp, items.c.ordinal, items.c.id)):
        for row in page:
            yield _dated(row, row.id, row.created, row.decided, bool(row.lane), True)


def _refused(database: Database) -> Iterator[Dated]:
    for page, _ in pages(database, _REFUSED, (quarantine.c.grp, quarantine.c.ordinal, quarantine.c.item_id)):
        for row in page:
            yield _dated(row, row.item_id, row.started, None, False, False)


def _dated(row: Any, item_id: str, created: str, decided: int | None, waits: bool, stored: bool) -> Dated:
    meta = json.loads(row.meta)
    known = datetime.fromisoformat(created).timestamp()
    taken, hours, seconds = (_number(meta.get(name)) for name in ("utc", "retention_hours", "seconds"))
    taken = known if taken is None or taken < 0 else min(taken, known)  # no camera saw anything before 1970
    return Dated(item_id, row.grp, row.ordinal, row.uri, known, taken, hours, seconds or 0.0, decided, waits, stored)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)
