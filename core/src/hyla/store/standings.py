"""Read of every item, at one moment and in the order of the scan, where people are with it: what a lot is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from hyla.store.answers import ANSWERS
from hyla.store.asks import CARRYING
from hyla.store.database import Database
from hyla.store.query import pages
from hyla.store.recall import standing
from hyla.store.tables import OWN, annotated, decisions, flags, items

_ALL = (
    select(items.c.id, annotated.c.digest, items.c.outcome, items.c.lane, items.c.grp, items.c.decided)
    .join_from(items, annotated, annotated.c.id == items.c.machine)
    .where(OWN)
    .order_by(items.c.ordinal, items.c.id)
)
_WHAT = [items.c[name] for name in ("id", "ordinal", "uri", "grp", "idx", "kind", "meta", "size", "outcome", "lane")]
_WHAT.append(items.c.decided)
_SCAN = select(*_WHAT, annotated.c.digest, annotated.c.blob)
_SCAN = _SCAN.join_from(items, annotated, annotated.c.id == items.c.machine).where(OWN)
_FLAGS = select(flags.c.item_id, flags.c.severity, flags.c.rows)
_SAID = select(*(decisions.c[name] for name in ("seq", "item_id", "action", "rows", "mode", "undoes")))
_SAID = _SAID.order_by(decisions.c.seq.desc())


class Standing(NamedTuple):
    """Hold where people are with an item.

    Args:
        id: of the item.
        digest: of the machine's labels.
        outcome: accept or reject where an answer stands, review while more is wanted, None where nobody decided.
        lane: where it waits; empty for nowhere.
        looked: somebody had the whole picture before them: not only crops of some of its labels, as a grid shows them.
        group: of the item.
        touched: a decision stands, be it on some labels only.
    """

    id: str
    digest: str
    outcome: str | None
    lane: str
    looked: bool
    group: str = ""
    touched: bool = False

    @property
    def settled(self) -> bool:
        """Tell whether people are done with the item, all of it."""
        return self.looked and self.lane == "" and self.outcome in ANSWERS

    @property
    def at_work(self) -> bool:
        """Tell whether people began with it and are not done."""
        return (self.touched or self.outcome is not None) and self.lane != ""


class Scanned(NamedTuple):
    """Hold of an item what a lot is made of, as it is stored: `place` is that in its group, `blob` the machine's labels."""

    standing: Standing
    place: int
    kind: str
    meta: str
    size: str
    blob: bytes


def scan(database: Database) -> Iterator[Scanned]:
    """Yield every item in the order of the scan, page by page: far quicker than as records, where there are many."""
    with database.read() as connection:
        looked = _looked(connection)
    for page, _ in pages(database, _SCAN, (items.c.ordinal, items.c.id)):
        for row in page:
            id_, _, _, group, place, kind, meta, size, outcome, lane, decided, digest, blob = tuple(row)
            found = Standing(id_, digest, outcome, lane, id_ in looked, group, decided is not None)
            yield Scanned(found, place, kind, meta, size, blob)


def flagged(database: Database) -> Iterator[tuple[str, str, str]]:
    """Yield item id, severity and rows (JSON) of each flag."""
    with database.read() as connection:
        yield from (tuple(row) for row in connection.execute(_FLAGS))


def standings(database: Database) -> list[Standing]:
    """Return where people are with each item, in the order of the scan."""
    with database.read() as connection:
        looked = _looked(connection)
        return [Standing(*row[:4], row.id in looked, row.grp, row.decided is not None) for row in connection.execute(_ALL)]


def digests(database: Database) -> dict[str, str]:
    """Return item id -> digest of the machine's labels."""
    with database.read() as connection:
        return {row.id: row.digest for row in connection.execute(_ALL)}


def _looked(connection: Connection) -> set[str]:
    said: list[Any] = list(connection.execute(_SAID))
    return {one.item_id for one in standing(said) if whole_seen(one)}


def whole_seen(one: Any) -> bool:
    """Tell whether who made a decision had the whole picture before them; its rows may be JSON.

    An edit from a grid gives names to crops, or only spells them anew.
    """
    if one.mode == "grid" and one.action == "edit":
        return False
    return one.mode != "grid" or one.action in CARRYING or not one.rows or one.rows == "[]"
