"""Prove that who confirmed which label follows from what was decided, and that every label that needs people was asked about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from sqlalchemy import Connection, select

from hyla import codec
from hyla.decide.route import SCHEMA, confirming
from hyla.schema import Schema
from hyla.store.asks import Decision, decision_of
from hyla.store.confirming import PLAYED, confirmed, settled
from hyla.store.remembered import recall_in
from hyla.store.rows import flag_of
from hyla.store.tables import OWN, annotated, decisions, flags, items, runs
from hyla.types import Labels

_MACHINES = select(items.c.id, annotated.c.blob).join_from(items, annotated, annotated.c.id == items.c.machine).where(OWN)
_SAID = select(decisions).where(decisions.c.action != "undo").order_by(decisions.c.seq)


class _Gone(Exception):
    """Labels are not there any more: whether they may be is for others to tell."""


def _labels(connection: Connection, item_id: str, number: int) -> Labels:
    found = select(annotated.c.blob).where(annotated.c.id == number, annotated.c.item_id == item_id)
    if (blob := connection.scalar(found)) is None:
        raise _Gone
    return codec.unpack(blob)


def reconfirm(connection: Connection) -> Iterator[str]:
    """Yield what does not hold, one sentence each; nothing in a project whose schema asks for no confirmations."""
    text = connection.scalar(select(runs.c.schema).order_by(runs.c.id.desc()).limit(1))
    schema = None if text is None else Schema.from_config(json.loads(text))
    if schema is None or not schema.confirms:
        return
    played = bool(recall_in(connection, PLAYED))

    def told(seq: int) -> Decision:
        return decision_of(connection.execute(select(decisions).where(decisions.c.seq == seq)).one())

    for row in connection.execute(_SAID):
        one = decision_of(row)
        read = partial(_labels, connection, one.item_id)
        try:
            follows = settled(one, confirmed(one, schema, read, told, played), schema, read)
        except _Gone:
            continue
        if follows != one.after:
            yield f"who confirmed the labels of item {one.item_id!r} does not follow from decision {one.seq}"
    for row in connection.execute(_MACHINES):
        if wanted := {*confirming(codec.unpack(row.blob), schema)}:
            asked = connection.execute(select(flags).where(flags.c.item_id == row.id, flags.c.rule == SCHEMA))
            if not wanted <= {flag_of(flag) for flag in asked}:
                yield f"item {row.id!r} has labels that people must confirm, and no flag says so"
