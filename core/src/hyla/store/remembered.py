"""Keep small things that no label depends on, by name, beside the project's own facts."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from hyla.errors import StoreError
from hyla.store.database import Database
from hyla.store.rows import canonical
from hyla.store.tables import meta

CAMERA = "camera:"
_PREFIX = "remember:"  # so that no name can take the place of the project's format or id


def remember(database: Database, key: str, value: Any, durable: bool = True) -> None:
    """Keep a JSON-able value under a name, in place of what was there; raise StoreError for one that JSON can't hold.

    Args:
        database: of the project.
        key: its name.
        value: JSON-able.
        durable: do not return before it is on the disk itself.
    """
    try:
        text = canonical(value)
    except (TypeError, ValueError) as e:
        raise StoreError(f"{key!r} can't be remembered: {e}", "use text, numbers, true, false, lists and dicts") from e
    if text == _text(database, key):
        return
    with database.write(durable=durable) as connection:
        connection.execute(delete(meta).where(meta.c.key == _PREFIX + key))
        connection.execute(insert(meta), {"key": _PREFIX + key, "value": text})


def recall(database: Database, key: str) -> Any:
    """Return what was remembered under a name, or None."""
    with database.read() as connection:
        return recall_in(connection, key)


def recall_in(connection: Connection, key: str) -> Any:
    """Return what was remembered under a name, or None, in a transaction."""
    text = connection.scalar(select(meta.c.value).where(meta.c.key == _PREFIX + key))
    return None if text is None else json.loads(text)


def cameras(database: Database) -> dict[str, dict[str, Any]]:
    """Return what was noted of each camera, by name."""
    begin = _PREFIX + CAMERA
    wanted = select(meta.c.key, meta.c.value).where(meta.c.key.startswith(begin, autoescape=True)).order_by(meta.c.key)
    with database.read() as connection:
        return {row.key[len(begin) :]: json.loads(row.value) for row in connection.execute(wanted)}


def _text(database: Database, key: str) -> str | None:
    with database.read() as connection:
        return connection.scalar(select(meta.c.value).where(meta.c.key == _PREFIX + key))
