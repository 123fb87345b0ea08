"""Write what runs and files bring, each time in one transaction."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import islice

import numpy as np
from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from hyla.decide.route import confirming, raised, routed
from hyla.errors import StageError, StoreError
from hyla.schema import Schema
from hyla.store.database import Clash, Database, now
from hyla.store.retention import gone
from hyla.store.routing import first_lane, first_words, principal, read_route
from hyla.store.rows import Batch, Entry, Quarantined, Stored, flag_of
from hyla.store.tables import annotated, flags, groups, items, labels, quarantine, runs
from hyla.types import Flag, Item, Record, Verdict

CHUNK = 256  # records of a file that are held at once


def write_entries(database: Database, entries: Sequence[Entry]) -> None:
    """Store `entries` as `Project.write` says."""
    if not entries:
        return
    try:
        _write(database, entries)
    except Clash:  # an id is there already: rare, so that only then we look which
        with database.read() as connection:
            fresh = _fresh(connection, entries)
        _write(database, fresh)


def add_truth(database: Database, records: Iterable[Record], source: str, schema: Schema) -> int:
    """Add the labels of `source` as `Project.add` says, and return of how many items."""
    rest, number = iter(records), 0
    with database.write() as connection:
        if connection.execute(select(annotated.c.id).where(annotated.c.source == source).limit(1)).first():
            raise StoreError(f"the project holds labels of {source!r} already", "add these under another name: --as truth:NAME")
        while chunk := list(islice(rest, CHUNK)):
            batch, seen = Batch.open(connection), _stored(connection, [r.item.id for r in chunk])
            for record in chunk:
                if record.item.id not in seen:
                    raise StoreError(f"the project has no item {record.item.id!r}", "labels can be added to stored items only")
                schema.check(record.labels)
                batch.annotate(record.item.id, record.labels, source, 0, None)
            try:
                batch.insert(connection)
            except IntegrityError as e:
                raise StoreError(f"{source}: one item comes twice", "join its labels into one record") from e
            number += len(chunk)
    return number


def finish_group(database: Database, group: str, found: Iterable[tuple[str, Flag]]) -> None:
    """Store the flags of a group and mark it as done, as `Project.finish_group` says."""
    by_item: dict[str, list[Flag]] = defaultdict(list)
    for item_id, flag in found:
        by_item[item_id].append(flag)
    with database.write() as connection:
        batch, past = Batch.open(connection), gone(connection, by_item)
        for item_id, new in by_item.items():
            if item_id in past:  # deleted since the rules looked at it
                continue
            _raise(connection, batch, group, item_id, new)
        batch.insert(connection)
        if connection.execute(select(groups.c.grp).where(groups.c.grp == group)).first() is None:
            connection.execute(insert(groups), {"grp": group, "finished": now()})


def _raise(connection: Connection, batch: Batch, group: str, item_id: str, new: list[Flag]) -> None:
    """Add `new` flags to an item of `group`, and raise its verdict and, while nobody decided on it, those of its labels."""
    about = select(items.c.grp, items.c.verdict, items.c.decided, items.c.route, annotated.c.id, annotated.c.n)
    about = about.join_from(items, annotated, annotated.c.id == items.c.machine)
    item = connection.execute(about.where(items.c.id == item_id)).first()
    if item is None or item.grp != group:
        raise StageError(f"rule {new[0].rule!r} flagged item {item_id!r}, which is not stored in group {group!r}")
    rows = connection.execute(select(flags).where(flags.c.item_id == item_id).order_by(flags.c.id)).all()
    batch.flag(item_id, new, known=[row.digest for row in rows])
    old, n, was = [flag_of(row) for row in rows], item.n, Verdict(item.verdict)
    route, every = read_route(item_id, item.route), [*old, *new]
    verdict = raised(was, range(n), old, new) if route is None else routed(range(n), every, route)[0]
    values = {"verdict": verdict.value, "reason": principal(every, verdict, route)}
    if item.decided is None:  # what somebody decided on waits where that left it
        values["lane"] = first_lane(verdict)
        before, after = first_words(n, old, was, route), first_words(n, every, verdict, route)
        for row in np.flatnonzero(before != after).tolist():
            one = (labels.c.annotation_id == item.id) & (labels.c.row == row)
            connection.execute(update(labels).where(one).values(verdict=str(after[row])))
    connection.execute(update(items).where(items.c.id == item_id).values(values))


def _write(database: Database, entries: Sequence[Entry]) -> None:
    with database.write() as connection:
        batch = Batch.open(connection)
        run, text = connection.execute(select(runs.c.id, runs.c.schema).order_by(runs.c.id.desc()).limit(1)).one()
        schema = _schema(text)
        past = gone(connection, [_item(entry).id for entry in entries])
        entries = [entry for entry in entries if _item(entry).id not in past]  # deleted while they were under way
        refused = [entry for entry in entries if isinstance(entry, Quarantined)]
        stored = _stored(connection, [entry.item.id for entry in refused])
        for entry in entries:
            if isinstance(entry, Stored):
                try:
                    batch.store(_asking(entry, schema), run)
                except StageError as e:
                    refused.append(Quarantined(entry.record.item, entry.ordinal, "store", str(e)))
        ids = [_item(entry).id for entry in entries]
        connection.execute(delete(quarantine).where(quarantine.c.item_id.in_(ids)))
        for entry in {e.item.id: e for e in refused if e.item.id not in stored}.values():
            try:
                batch.quarantine(entry, run)
            except StageError:  # its meta is what can't be stored
                batch.quarantine(replace(entry, item=replace(entry.item, meta={})), run)
        batch.insert(connection)


def _asking(entry: Stored, schema: Schema) -> Stored:
    """Return an entry with the flags of labels that people must confirm, whoever made it and whatever it says of them."""
    record = entry.record
    wanted = confirming(record.labels, schema)
    missing = [flag for flag in wanted if flag not in record.flags]
    if not missing and (not wanted or record.verdict == Verdict.REVIEW):
        return entry
    return replace(entry, record=replace(record, flags=(*record.flags, *missing), verdict=Verdict.REVIEW))


@lru_cache(maxsize=4)
def _schema(text: str) -> Schema:
    return Schema.from_config(json.loads(text))


def _fresh(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of items that are not stored; raise StageError if an id stands for two items."""
    found = select(items.c.id, items.c.uri, items.c.grp, items.c.idx).where(items.c.id.in_([_item(e).id for e in entries]))
    seen = {row.id: (row.uri, row.grp, row.idx) for row in connection.execute(found)}
    fresh = []
    for entry in entries:
        item = _item(entry)
        place = (item.uri, item.group, item.index)
        if item.id not in seen:
            fresh.append(entry)
            seen[item.id] = place
        elif seen[item.id] != place:
            raise StageError(
                f"two items have the id {item.id!r}: {seen[item.id][0]} and {item.uri}", "hyla.item_id makes ids that differ"
            )
    return fresh


def _stored(connection: Connection, ids: Sequence[str]) -> set[str]:
    return set(connection.scalars(select(items.c.id).where(items.c.id.in_(ids)))) if ids else set()


def _item(entry: Entry) -> Item:
    return entry.record.item if isinstance(entry, Stored) else entry.item
