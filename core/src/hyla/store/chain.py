"""Chain rows that are written once: each holds the hash of the one before it, the first that of the project's id."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, select

from hyla.store.asks import genesis
from hyla.store.lots import hash_of


def append(connection: Connection, table: Table, project: str, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Append rows in a transaction that writes, numbered and hashed, and return their numbers.

    Args:
        connection: in a transaction.
        table: with the columns `id`, first, and `hash`, last.
        project: its id.
        rows: all other columns.
    """
    last = connection.execute(select(table.c.id, table.c.hash).order_by(table.c.id.desc()).limit(1)).first()
    number, head = (last.id, last.hash) if last else (0, genesis(project))
    made = []
    for row in rows:
        number += 1
        one = {"id": number, **row}
        head = hash_of(one, head)
        made.append({**one, "hash": head})
    if made:
        connection.execute(insert(table), made)
    return [one["id"] for one in made]


def broken(connection: Connection, table: Table, project: str) -> Iterator[int]:
    """Yield the numbers of rows that were changed, or before which one is missing."""
    head, number = genesis(project), 0
    for row in connection.execute(select(table).order_by(table.c.id)):
        about = {name: value for name, value in row._mapping.items() if name != "hash"}
        if row.id != number + 1 or hash_of(about, head) != row.hash:
            yield row.id
        number, head = row.id, row.hash
