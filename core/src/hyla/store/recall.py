"""Look up what was decided: by number, by key, by person; what holds of items, how long it took, and whose opinion it was."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select

from hyla.errors import StoreError
from hyla.store.answers import ANSWERS, State
from hyla.store.asks import Decision, decision_of
from hyla.store.database import Database
from hyla.store.held import SOME, ask_all, load
from hyla.store.queue import no_item
from hyla.store.rows import flag_of
from hyla.store.tables import annotated, decisions, flags, items
from hyla.types import Flag

One = TypeVar("One", bound=Decision)
_BY_SEQ = select(decisions).where(decisions.c.seq.in_(SOME))
_MACHINES = select(items.c.id, items.c.machine).where(items.c.id.in_(SOME))
_FLAGS = select(flags).where(flags.c.item_id.in_(SOME)).order_by(flags.c.id)
_BY_KEY = select(decisions).where(decisions.c.idempotency_key.in_(SOME))


@dataclass(frozen=True, slots=True)
class Opinion:
    """Hold what one person said of an item: labels, by number, and the outcome."""

    who: str
    annotation: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Timed:
    """Hold how long a decision took in milliseconds; `lane` is where the item waited before, `reason` the item's."""

    item_id: str
    who: str
    lane: str
    reason: str
    mode: str
    action: str
    active_ms: int
    at: str


def states(database: Database, ids: Iterable[str]) -> dict[str, State]:
    """Return item id -> state, at one moment, of those of `ids` that are stored."""
    with database.read() as connection:
        return {item_id: held.state for item_id, held in load(connection, ids).items()}


def state(database: Database, item_id: str) -> State:
    """Return what holds of an item, as `hyla.store.answers` says; raise StoreError if there is no such item."""
    if held := states(database, [item_id]):
        return held[item_id]
    raise no_item(item_id)


def machines(database: Database, ids: Iterable[str]) -> dict[str, int]:
    """Return item id -> number of the machine's labels, of those of `ids` that are stored."""
    with database.read() as connection:
        return {row.id: row.machine for row in ask_all(connection, _MACHINES, ids)}


def spoken(database: Database, item_id: str) -> list[int]:
    """Return the numbers of the machine's labels of an item and of those that each person gave last, in order.

    Of a planted copy, also those of its original: what the copy leaves out on purpose is in the picture all the same.
    """
    both = select(items.c.id).where(items.c.id == item_id).union(select(items.c.twin).where(items.c.id == item_id))
    found = select(func.max(annotated.c.id)).where(annotated.c.item_id.in_(both), annotated.c.role != "truth")
    with database.read() as connection:
        return sorted(connection.scalars(found.group_by(annotated.c.item_id, annotated.c.source)))


def raised(database: Database, ids: Iterable[str]) -> dict[str, list[Flag]]:
    """Return item id -> its flags, in the order in which they were raised, of those of `ids` that have any."""
    found: dict[str, list[Flag]] = defaultdict(list)
    with database.read() as connection:
        for row in ask_all(connection, _FLAGS, ids):
            found[row.item_id].append(flag_of(row))
    return found


def by_number(database: Database, seqs: Iterable[int]) -> dict[int, Decision]:
    """Return seq -> decision of those of `seqs` that there are."""
    with database.read() as connection:
        return _by_number(connection, seqs)


def by_key(database: Database, keys: Sequence[str]) -> list[Decision]:
    """Return the decisions that were made with `keys`, in their order, leaving out keys that were not used."""
    with database.read() as connection:
        found = {row.idempotency_key: decision_of(row) for row in ask_all(connection, _BY_KEY, keys)}
    return [found[key] for key in keys if key in found]


def decision(database: Database, seq: int) -> Decision:
    """Return a decision by its number; raise StoreError if there is none."""
    if found := by_number(database, [seq]):
        return found[seq]
    raise StoreError(f"the project has no decision number {seq}")


def recent(database: Database, limit: int, who: str | None, item_id: str | None) -> list[Decision]:
    """Return decisions, last first, of one person or on one item if given; none on items that were deleted."""
    there = select(items.c.id).where(items.c.id == decisions.c.item_id).exists()
    found = select(decisions).where(there).order_by(decisions.c.seq.desc()).limit(limit)
    if who is not None:
        found = found.where(decisions.c.who == who)
    if item_id is not None:
        found = found.where(decisions.c.item_id == item_id)
    with database.read() as connection:
        return [decision_of(row) for row in connection.execute(found)]


def standing(last_first: Iterable[One]) -> list[One]:
    """Return the answers that were not taken back, without the undoing; an undo that was undone itself took nothing back."""
    back: set[int | None] = set()
    held = []
    for one in last_first:
        if one.seq in back:
            continue
        if one.action == "undo":
            back.add(one.undoes)
        else:
            held.append(one)
    return held


def paces(database: Database, limit: int) -> list[Timed]:
    """Return how long decisions took that stand, of the last `limit`, last first."""
    names = ("seq", "item_id", "who", "mode", "action", "active_ms", "at", "before", "undoes")
    found = select(*(decisions.c[name] for name in names), items.c.reason)
    found = found.join_from(decisions, items, decisions.c.item_id == items.c.id).order_by(decisions.c.seq.desc()).limit(limit)
    with database.read() as connection:
        rows: list[Any] = list(connection.execute(found))  # with as much of a decision as `standing` looks at
        return [
            Timed(row.item_id, row.who, json.loads(row.before)["lane"], row.reason, row.mode, row.action, row.active_ms, row.at)
            for row in standing(rows)
        ]


def opinions(database: Database, item_id: str) -> list[Opinion]:
    """Return the answer that stands and, if somebody gave one, the second opinion on it."""
    with database.read() as connection:
        row = connection.execute(select(items.c.decided).where(items.c.id == item_id)).first()
        if row is None:
            raise no_item(item_id)
        last = _by_number(connection, [row.decided]).get(row.decided)
        if last is None or last.after["outcome"] not in ANSWERS:
            return []
        if last.action != "opinion":
            return [Opinion(last.who, last.after["annotation"], last.after["outcome"])]
        first = _by_number(connection, [seq := last.before["decision"]])[seq]
        held = last.before
        return [Opinion(first.who, held["annotation"], held["outcome"]), Opinion(last.who, last.after["second"], "accept")]


def _by_number(connection: Connection, seqs: Iterable[int]) -> dict[int, Decision]:
    return {row.seq: decision_of(row) for row in ask_all(connection, _BY_SEQ, seqs)}
