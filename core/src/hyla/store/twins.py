"""Plant copies of items with known errors in their labels, so that one can measure how many of them people find.

A *twin* is an item like any other for whoever reviews: same picture, same name, an id of the same shape. It is none for anybody
else: it is in no listing, count, clip, export or figure of the project. Of a frame of a clip, the twin is a clip of its own, of
that one frame, since it can't be worked on among the labels of its neighbours: there, people may tell.

What can't be hidden is that the number of a twin's labels is higher than that of its neighbours, as after an edit.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from hyla import codec
from hyla.decide.route import Route, routed
from hyla.errors import StageError, StoreError
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.store.database import Database
from hyla.store.held import SOME, ask_all, load
from hyla.store.lots import add_event, check_lot
from hyla.store.routing import first_lane, principal, write_route
from hyla.store.rows import ITEM_COLUMNS, Batch, frame_of, row_digest
from hyla.store.tables import OWN, PLANTED, annotated, items, lot_events
from hyla.types import Labels

PLANT = "plant"  # the event that names twins
_ORIGINALS = select(items, annotated.c.source).join_from(items, annotated, annotated.c.id == items.c.machine)
_ORIGINALS = _ORIGINALS.where(items.c.id.in_(SOME), OWN)
_BLOBS = select(annotated.c.id, annotated.c.blob).where(annotated.c.id.in_(SOME))
_HASHED = re.compile(r"-[0-9a-f]{12}$")  # as hyla.item_id ends


@dataclass(frozen=True, slots=True)
class Twin:
    """Say what to plant: the item `item_id` with other `labels`.

    Args:
        item_id: of the original.
        labels: of the machine, with an error put in.
        about: JSON-able; what the error is.
        whole, rows, second, priority: what is asked of it, as in a Route; of None, all labels are open.
    """

    item_id: str
    labels: Labels
    about: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = True
    rows: tuple[int, ...] | None = None
    second: bool = False
    priority: float = 0.0


class Planted(NamedTuple):
    """Hold a twin: its id, that of its original, what was planted, its state, and the labels that hold on it now."""

    id: str
    original: str
    about: dict[str, Any]
    state: dict[str, Any]
    labels: Labels


def plant(database: Database, number: int, seeds: Iterable[Twin], schema: Schema) -> list[str]:
    """Store twins as `Project.plant` says, and return their ids."""
    wanted = list(seeds)
    with database.write(durable=True) as connection:
        check_lot(connection, number)
        known = {row.id: dict(row._mapping) for row in ask_all(connection, _ORIGINALS, [one.item_id for one in wanted])}
        batch, named = Batch.open(connection), list[dict[str, Any]]()
        for one in wanted:
            if one.item_id not in known:
                raise StoreError(f"the project has no item {one.item_id!r} to plant an error in")
            row = _row(connection, known[one.item_id], one, schema, batch)
            named.append({"id": row["id"], "original": one.item_id, "about": dict(one.about)})
        batch.insert(connection)
        add_event(connection, number, PLANT, {"twins": named})
    return [one["id"] for one in named]


def twins(database: Database, number: int) -> list[Planted]:
    """Return the twins of a lot, in the order in which they were planted."""
    with database.read() as connection:
        check_lot(connection, number)
        named = [one for body in _bodies(connection, number) for one in body["twins"]]
        held = load(connection, [one["id"] for one in named])
        blobs = {row.id: row.blob for row in ask_all(connection, _BLOBS, [one.state["annotation"] for one in held.values()])}
    return [
        Planted(one["id"], one["original"], one["about"], state, codec.unpack(blobs[state["annotation"]]))
        for one in named
        if (state := held[one["id"]].state)
    ]


def named_twins(connection: Connection) -> dict[str, str]:
    """Return twin -> original, as the events of all lots name them."""
    return {one["id"]: one["original"] for body in _bodies(connection, None) for one in body["twins"]}


def planted(database: Database) -> dict[str, str]:
    """Return twin -> original of all twins."""
    with database.read() as connection:
        return {row.id: row.twin for row in connection.execute(select(items.c.id, items.c.twin).where(PLANTED))}


def hiding(database: Database) -> bool:
    """Tell whether a twin waits for somebody: until then, no figure that a reviewer sees may tell twins from other items."""
    with database.read() as connection:
        return connection.execute(select(items.c.id).where(PLANTED, items.c.lane > "").limit(1)).first() is not None


def _row(connection: Connection, original: dict[str, Any], one: Twin, schema: Schema, batch: Batch) -> dict[str, Any]:
    """Add a twin to the batch, and return its row."""
    labels = one.labels
    try:
        schema.check(labels, None)
        rows = tuple(range(len(labels))) if one.rows is None else one.rows
        route = Route(one.item_id, one.whole, rows, one.second, one.priority)
        verdict, words = routed(range(len(labels)), (), route)
    except StageError as e:
        raise StoreError(f"a copy of item {one.item_id!r}: {e.what}", e.hint) from e
    row = {name: value for name, value in original.items() if name != "source"}
    row["id"] = _id(connection, batch, one.item_id)
    if original["grp"] and (original["kind"] == "video_frame" or isinstance(frame_of(original["frame"]), VideoFrame)):
        row["grp"] = row["id"]
    row["digest"] = row_digest(row[name] for name in ITEM_COLUMNS)
    row |= {"verdict": verdict.value, "reason": principal((), verdict, route), "lane": first_lane(verdict)}
    row |= {"decided": None, "outcome": None, "answered": "", "seconded": "", "seconds": 0.0}
    row |= {"route": write_route(route), "priority": float(one.priority), "twin": one.item_id}
    row["machine"], _ = batch.annotate(row["id"], labels, original["source"], 0, original["run"], words)
    row["best"] = row["machine"]
    batch.rows["items"].append(row)
    return row


def _id(connection: Connection, batch: Batch, original: str) -> str:
    """Return a new id that looks like the original's: as `hyla.item_id` makes them, with another hash."""
    while True:
        new = f"{_HASHED.sub('', original)}-{secrets.token_hex(6)}"
        taken = connection.execute(select(items.c.id).where(items.c.id == new)).first()
        if taken is None and all(row["id"] != new for row in batch.rows["items"]):
            return new


def _bodies(connection: Connection, number: int | None) -> list[dict[str, Any]]:
    found = select(lot_events.c.body).where(lot_events.c.kind == PLANT).order_by(lot_events.c.id)
    if number is not None:
        found = found.where(lot_events.c.lot == number)
    return [json.loads(body) for body in connection.scalars(found)]
