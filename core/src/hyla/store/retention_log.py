"""Write down what happens to what is kept, as a chain of events, and read what is held and which files are still to go."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, select

from hyla.store import chain
from hyla.store.database import Database, now
from hyla.store.rows import canonical
from hyla.store.tables import retention


@dataclass(frozen=True, slots=True)
class Event:
    """Say what happened to what is kept.

    Args:
        id: 1, 2, 3, ... over the project.
        at: when, in UTC.
        who: did it.
        kind: hold, release, delete or footage.
        body: of a hold and a release `what` and `why`; of a deletion `why`, `items`, `clips`, the `digest` of the rows of
            `deleted`, the `files` that go with it, those that are `kept`, `marks`, file -> [bytes, nanoseconds since 1970 of its
            last change] of those that are there, so that another file of the name is not taken for it, `devices`, folder of the
            source -> the device it was on, and `hours`, for which files of a clip that was not labelled to its end may be kept
            (earlier versions wrote no `kept`, marks or devices); of footage the `event`, the files that are `gone`, those `left`,
            with the reason, and those that were `replaced` by others of their name.
    """

    id: int
    at: str
    who: str
    kind: str
    body: dict[str, Any]


def events(database: Database) -> list[Event]:
    """Return all that happened to what is kept, first to last."""
    with database.read() as connection:
        return read(connection)


def last(database: Database) -> int:
    """Return the number of the last event, 0 before the first."""
    with database.read() as connection:
        return int(connection.scalar(select(func.max(retention.c.id))) or 0)


def held(database: Database) -> dict[str, str]:
    """Return clip or item -> why it is held, of those that are."""
    with database.read() as connection:
        return held_in(connection)


def swept(
    database: Database, event: int, who: str, gone: Sequence[str], left: Mapping[str, str], replaced: Sequence[str] = ()
) -> None:
    """Write down which files of a deletion are gone, which are left, with the reason, and which gave way to another file."""
    body = {"event": event, "gone": list(gone), "left": dict(left)} | ({"replaced": list(replaced)} if replaced else {})
    with database.write(durable=True) as connection:
        append(connection, database, who, "footage", body)


def pending(database: Database, which: str = "files") -> list[Event]:
    """Return the deletions with files that are not gone yet: whoever removes them was stopped, or could not.

    The body of each names as `which`, files or kept, only these, and as `left` why they could not be removed the last time.
    """
    done, left = defaultdict[int, set[str]](set), defaultdict[int, dict[str, str]](dict)
    found = events(database)
    for one in found:
        if one.kind == "footage":
            done[one.body["event"]] |= {*one.body["gone"], *one.body.get("replaced", ())}
            left[one.body["event"]] |= one.body["left"]
    deletions = []
    for one in found:
        rest = [name for name in one.body.get(which, ()) if name not in done[one.id]] if one.kind == "delete" else []
        if rest:
            deletions.append(replace(one, body={**one.body, which: rest, "left": left[one.id]}))
    return deletions


def append(connection: Connection, database: Database, who: str, kind: str, body: Mapping[str, Any]) -> Event:
    """Append an event in a transaction that writes, and return it."""
    row = {"at": now(), "who": who, "kind": kind, "body": canonical(dict(body))}
    (number,) = chain.append(connection, retention, database.id, [row])
    return Event(number, row["at"], who, kind, json.loads(row["body"]))


def read(connection: Connection, *kinds: str) -> list[Event]:
    """Return the events, or those of some kinds, first to last."""
    wanted = select(retention).order_by(retention.c.id)
    rows = connection.execute(wanted.where(retention.c.kind.in_(kinds)) if kinds else wanted)
    return [Event(row.id, row.at, row.who, row.kind, json.loads(row.body)) for row in rows]


def held_in(connection: Connection) -> dict[str, str]:
    """Return clip or item -> why it is held, of those that are; what was deleted is not read for it."""
    found: dict[str, str] = {}
    for one in read(connection, "hold", "release"):
        if one.kind == "hold":
            found[one.body["what"]] = one.body["why"]
        elif one.kind == "release":
            found.pop(one.body["what"], None)
    return found
