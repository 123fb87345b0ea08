"""Delete what is past its time so that nothing of it can be read any more, and write down that it was, by whom and why.

What happens to what is kept is a chain of events: `hold` and `release` of a clip or an item, `delete` of items, and `footage`,
the files that were then removed. Each item that went leaves a row in `deleted`: its id, its clip, and the digests of what was
there, which prove its decisions to whoever has a copy and tell nothing to anybody else. Its decisions stay, without their notes:
who decided what of which item, when, and in which order is what the chain of decisions proves.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from hyla.errors import StoreError
from hyla.store import chain
from hyla.store.asks import decision_of
from hyla.store.counts import address
from hyla.store.database import Database
from hyla.store.faults import explain
from hyla.store.held import SOME, ask_all
from hyla.store.lock import running
from hyla.store.remembered import recall_in, remember
from hyla.store.retention_log import Event, append, held_in, read
from hyla.store.rows import canonical
from hyla.store.tables import annotated, decisions, deleted, flags, items, labels, quarantine, retention

FORGOTTEN = "forgotten"  # under which the last deletion is remembered of which nothing is left in the file
LARGE = 2**30  # bytes; to rewrite a larger file takes longer than a run that writes beside it waits
PATIENCE = 5.0  # seconds to wait for who else has the file open, before what was overwritten is left to the next time
_ITEMS = select(items.c.id, items.c.grp, items.c.digest, items.c.decided).where(items.c.id.in_(SOME))
_TWINS = select(items.c.id).where(items.c.twin.in_(SOME), items.c.twin > "")
_QUARANTINE = select(quarantine.c.item_id, quarantine.c.grp).where(quarantine.c.item_id.in_(SOME))
_ANNOTATIONS = select(annotated.c.item_id, annotated.c.id, annotated.c.digest).where(annotated.c.item_id.in_(SOME))
_NOTED = select(decisions).where(decisions.c.item_id.in_(SOME), decisions.c.note > "")
_DELETED = select(deleted.c.item_id).where(deleted.c.item_id.in_(SOME))
_ROWS = ("item_id", "grp", "digest", "annotations", "notes")


def hold(database: Database, what: str, who: str, why: str, keep: bool = True) -> Event:
    """Keep a clip or an item whatever its age or, unless `keep`, no longer.

    Raises:
        StoreError: if there is no such clip or item, no reason is given, or nothing is held that could be released.
    """
    if not why.strip():
        raise StoreError("a hold, and its release, must say why", "--why TEXT")
    with database.write(durable=True) as connection:
        stored = select(items.c.id).where((items.c.id == what) | (items.c.grp == what))
        refused = select(quarantine.c.item_id).where((quarantine.c.item_id == what) | (quarantine.c.grp == what))
        if keep and connection.execute(stored.union_all(refused).limit(1)).first() is None:
            raise StoreError(f"the project has no clip or item {what!r}", "give the id of an item, or the name of a clip")
        if not keep and what not in held_in(connection):
            raise StoreError(f"{what!r} is not held", choices=list(held_in(connection)))
        return append(connection, database, who, "hold" if keep else "release", {"what": what, "why": why})


def remove(
    database: Database,
    decided: Mapping[str, int | None],
    refused: Iterable[str],
    who: str,
    why: str,
    groups: Sequence[str] = (),
    files: Sequence[str] = (),
    kept: Sequence[str] = (),
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> Event | None:
    """Delete items, all or none, with all that was said of them; None, and nothing, if something about them changed.

    Args:
        database: of the project.
        decided: id of each item -> the decision that stood on it when it was looked at, so that what somebody answers meanwhile
            is not lost.
        refused: items in quarantine that go with them. With no items at all, it is files alone that go.
        who: deletes.
        why: to keep with it.
        groups: the clips they are of, which must not be held.
        files: that are to be removed afterwards; the event names them until `swept` says so.
        kept: files that nothing tells of any more and that stay, since nobody asked for more or it is not their time yet.
        facts: what the event says of these files besides; see `hyla.store.retention_log.Event`.
    """
    refused = list(refused)
    with database.write(durable=True) as connection:
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
        about = ask_all(connection, _ITEMS, decided)
        holds = held_in(connection)
        if holds.keys() & {*decided, *refused, *groups} or {row.id: row.decided for row in about} != dict(decided):
            return None
        twins = [row.id for row in ask_all(connection, _TWINS, decided)]
        about += ask_all(connection, _ITEMS, [one for one in twins if one not in decided])
        rows = _rows(connection, about, ask_all(connection, _QUARANTINE, refused))
        if not rows and (decided or refused or not files):
            return None
        clips = sorted({row["grp"] for row in rows} - {""})
        body = {"why": why, "items": len(rows), "clips": clips, "digest": digest(rows)}
        body |= {"files": list(files), "kept": list(kept), **facts}
        event = append(connection, database, who, "delete", body)
        if rows:
            connection.execute(insert(deleted), [{**row, "event": event.id} for row in rows])
            _erase(connection, [row["item_id"] for row in rows])
        return event


def forget(database: Database) -> str:
    """Overwrite what deleted rows left behind in the file and its log; return what stood in the way, or nothing.

    Rows are overwritten as they are deleted (secure_delete). What else may hold them is the log, until it is put into the file
    and emptied, and the free space of pages, which a rewritten file has none of. Nothing is done if nothing was deleted since.
    """
    with database.read() as connection:
        done = recall_in(connection, FORGOTTEN) or 0
        number = connection.scalar(select(func.max(retention.c.id)).where(retention.c.kind == "delete")) or 0
    if number <= done:
        return ""
    if running(database.path.parent) and database.path.stat().st_size > LARGE:
        return "a run is writing, and the file is too large to be rewritten beside it"
    database.engine.dispose()  # what this process holds open must not be in its own way
    try:
        with closing(sqlite3.connect(address(database.path), uri=True, timeout=PATIENCE, isolation_level=None)) as file:
            file.execute("PRAGMA secure_delete=ON")
            file.execute("VACUUM")
            (busy, *_) = file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        return explain(error, database.path).what
    if busy:
        return "somebody else reads the project just now"
    remember(database, FORGOTTEN, number)
    return ""


def gone(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Return those of `ids` that were deleted."""
    return {row.item_id for row in ask_all(connection, _DELETED, ids)}


def digest(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the sha256 of rows of `deleted`, in the order of their ids."""
    whole = sha256()
    for row in rows:
        whole.update(canonical([row[name] for name in _ROWS]).encode() + b"\n")
    return whole.hexdigest()


def problems(connection: Connection, project: str) -> Iterator[str]:
    """Yield what does not hold of the account of deletions: that it is whole, that what it names is gone, and nothing else is."""
    for number in chain.broken(connection, retention, project):
        yield f"event {number} of what was held and deleted was changed, or one before it is missing"
    told = {one.id: one.body for one in read(connection, "delete")}
    for number, body in told.items():
        rows = connection.execute(select(deleted).where(deleted.c.event == number).order_by(deleted.c.item_id))
        listed = [dict(row._mapping) for row in rows]
        if len(listed) != body["items"] or digest(listed) != body["digest"]:
            yield f"what deletion {number} names was changed"
    strange = select(func.count()).select_from(deleted).where(deleted.c.event.not_in(list(told)))
    if connection.scalar(strange):
        yield "items are called deleted, and no deletion names them"
    for table, name in ((items, "id"), (annotated, "item_id"), (flags, "item_id"), (quarantine, "item_id")):
        column = table.c[name]
        for item_id in connection.scalars(select(column).where(column.in_(select(deleted.c.item_id))).distinct()):
            yield f"item {item_id!r} was deleted, and the table {table.name} still has it"
    known = select(items.c.id).union(select(deleted.c.item_id))
    for seq in connection.scalars(select(decisions.c.seq).where(decisions.c.item_id.not_in(known)).order_by(decisions.c.seq)):
        yield f"decision {seq} is about an item that is not there, and no deletion names it"


def digest_of(connection: Connection, item_id: str, annotation: int) -> str | None:
    """Return the digest that labels of a deleted item had; None if it was not deleted, or had none of this number."""
    text = connection.scalar(select(deleted.c.annotations).where(deleted.c.item_id == item_id))
    return None if text is None else dict(map(tuple, json.loads(text))).get(annotation)


def erased(connection: Connection, item_id: str, seq: int) -> str | None:
    """Return the hash that a decision must have since its note was erased with its item; None if it had none."""
    text = connection.scalar(select(deleted.c.notes).where(deleted.c.item_id == item_id))
    return None if text is None else dict(map(tuple, json.loads(text))).get(seq)


def _rows(connection: Connection, about: Iterable[Any], refused: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the rows that tell of deleted items, in the order of their ids."""
    found = {row.id: {"item_id": row.id, "grp": row.grp, "digest": row.digest} for row in about}
    found |= {row.item_id: {"item_id": row.item_id, "grp": row.grp, "digest": ""} for row in refused}
    said: dict[str, list[tuple[int, str]]] = defaultdict(list)
    noted: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in ask_all(connection, _ANNOTATIONS, found):
        said[row.item_id].append((row.id, row.digest))
    for one in map(decision_of, ask_all(connection, _NOTED, found)):
        noted[one.item_id].append((one.seq, replace(one, note="").reckon()))
    for name, values in found.items():
        values |= {"annotations": canonical(sorted(said[name])), "notes": canonical(sorted(noted[name]))}
    return [found[name] for name in sorted(found)]


def _erase(connection: Connection, ids: Sequence[str]) -> None:
    """Delete all rows of items whose deletion is written down, and the notes of their decisions."""
    own = select(annotated.c.id).where(annotated.c.item_id.in_(SOME))
    for statement in (
        delete(labels).where(labels.c.annotation_id.in_(own)),
        delete(annotated).where(annotated.c.item_id.in_(SOME)),
        delete(flags).where(flags.c.item_id.in_(SOME)),
        update(decisions).where(decisions.c.item_id.in_(SOME), decisions.c.note > "").values(note=""),
        delete(items).where(items.c.id.in_(SOME)),
        delete(quarantine).where(quarantine.c.item_id.in_(SOME)),
    ):
        for start in range(0, len(ids), 500):
            connection.execute(statement, {"some": list(ids[start : start + 500])})
