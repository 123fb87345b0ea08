"""Give labels out of a project: those that enough people confirmed, where the schema asks for that (`Class.confirmations`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import select

from hyla import codec
from hyla.schema import Schema
from hyla.store.confirming import counted, pairs
from hyla.store.database import Database
from hyla.store.held import SOME, ask_all
from hyla.store.tables import annotated, decisions, items
from hyla.types import Bools, Flag, Ints, Labels, Record, column_of

AT_ONCE = 128
_HELD = (
    select(items.c.id, annotated.c.blob, decisions.c.after)
    .join_from(items, annotated, annotated.c.id == items.c.best)
    .outerjoin(decisions, decisions.c.seq == items.c.decided)
    .where(items.c.id.in_(SOME))
)


def confirmations(database: Database, ids: Iterable[str]) -> dict[str, Ints]:
    """Return item id -> (n,) how many different people said each label that holds, as `hyla.store.confirming.counted`."""
    return {item_id: counts for item_id, (_, counts) in _held(database, ids).items()}


def kept(database: Database, schema: Schema, ids: Iterable[str]) -> dict[str, Bools]:
    """Return item id -> (n,) which labels that hold have the people that their class asks for."""
    held = _held(database, ids)
    return {item_id: counts >= schema.confirmations[labels.class_id] for item_id, (labels, counts) in held.items()}


@dataclass
class Released:
    """Yield records without the labels that lack people.

    A label has those people who confirmed the same label among those that hold now, whichever source it is read from. Labels of
    `truth:NAME` came from outside to be measured against, and stay whole. Flags follow their labels, and go with the last one.
    An attribute that only labels have which people must confirm is on no other: its values there go, and count as a label each.

    Args:
        records: of the project.
        database: of the project.
        schema: of the labels.
        left_out: labels that were left out, since the records are iterated.
    """

    records: Iterable[Record]
    database: Database
    schema: Schema
    left_out: int = 0

    def __iter__(self) -> Iterator[Record]:
        self.left_out = 0
        if not self.schema.confirms:
            yield from self.records
            return
        rest = iter(self.records)
        guarded = _guarded(self.schema)
        while some := [self._bared(one, guarded) for one in islice(rest, AT_ONCE)]:
            asked = [one.item.id for one in some if not one.source.startswith("truth:") and self._least(one.labels).any()]
            held = _held(self.database, asked)
            for one in some:
                yield self._without(one, *held[one.item.id]) if one.item.id in held else one

    def _least(self, labels: Labels) -> Ints:
        return self.schema.confirmations[labels.class_id]

    def _bared(self, one: Record, guarded: Mapping[str, Ints]) -> Record:
        """Return a record without values of guarded attributes on labels of other classes than theirs."""
        if one.source.startswith("truth:"):
            return one
        labels, changed = one.labels, dict[str, Any]()
        for name, classes in guarded.items():
            if (column := labels.attributes.get(name)) is not None:
                known = np.array([value is not None and value == value for value in column.tolist()], dtype=bool)
                if (stray := known & ~np.isin(labels.class_id, classes)).any():
                    changed[name] = column_of([None if gone else v for v, gone in zip(column.tolist(), stray, strict=True)])
                    self.left_out += int(stray.sum())
        return replace(one, labels=replace(labels, attributes={**labels.attributes, **changed})) if changed else one

    def _without(self, one: Record, held: Labels, counts: Ints) -> Record:
        least = self._least(one.labels)
        keep = least == 0
        for row, there in pairs(one.labels, held, self.schema).items():
            keep[row] = counts[there] >= least[row]
        if keep.all():
            return one
        self.left_out += int((~keep).sum())
        return replace(one, labels=one.labels[keep], flags=tuple(_moved(one.flags, keep)))


def _guarded(schema: Schema) -> dict[str, Ints]:
    """Return the attributes of labels of which all classes ask for people -> ids of these classes."""
    found = {}
    for name, one in schema.attributes_of("label").items():
        classes = np.array([c for c in schema.under(*one.classes) if not schema.classes[c].abstract], dtype=np.int64)
        if len(classes) and (schema.confirmations[classes] > 0).all():
            found[name] = classes
    return found


def _moved(flags: Iterable[Flag], keep: Bools) -> Iterator[Flag]:
    """Yield flags as their rows count without those that are not kept."""
    place = np.cumsum(keep) - 1
    for flag in flags:
        rows = tuple(int(place[row]) for row in flag.rows if keep[row])
        if rows or not flag.rows:
            yield replace(flag, rows=rows)


def _held(database: Database, ids: Iterable[str]) -> dict[str, tuple[Labels, Ints]]:
    """Return item id -> the labels that hold, and how many people said each."""
    found: dict[str, tuple[Labels, Ints]] = {}
    with database.read() as connection:
        for row in ask_all(connection, _HELD, ids):
            labels = codec.unpack(row.blob)
            after: dict[str, Any] = json.loads(row.after) if row.after else {"outcome": None, "lane": ""}
            found[row.id] = (labels, counted(after, len(labels)))
    return found
