"""Keep what people said as a log that only grows: each decision holds the hash of the one before it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from typing import Any

import numpy as np
from sqlalchemy import func, insert, select, update
from sqlalchemy.engine import Connection

from hyla import codec
from hyla.errors import StoreError, did_you_mean
from hyla.schema import Schema
from hyla.store.database import Database, now
from hyla.store.rows import Batch, canonical, role_of
from hyla.store.tables import annotated, decisions, items
from hyla.types import Labels, Record, Verdict

ACTIONS = ("accept", "reject", "edit", "unsure", "undo")
MODES = ("single", "grid", "blind", "import")
OUTCOME = {"accept": Verdict.ACCEPT, "edit": Verdict.ACCEPT, "reject": Verdict.REJECT, "unsure": Verdict.REVIEW}
_AGAIN = "load the item again, and decide on what is there now"


@dataclass(frozen=True, slots=True)
class Ask:
    """Say what a person decided; see `Project.decide`."""

    item_id: str
    action: str
    who: str
    key: str
    rows: tuple[int, ...] = ()
    labels: Labels | None = None
    annotation: int | None = None
    undoes: int | None = None
    active_ms: int = 0
    mode: str = "single"
    note: str = ""

    def prove(self) -> None:
        """Raise StoreError if this makes no sense, whatever the item."""
        for what, word, choices in (("action", self.action, ACTIONS), ("mode", self.mode, MODES)):
            if word not in choices:
                raise StoreError(f"unknown {what} {word!r}", did_you_mean(word, choices), choices)
        role_of(f"human:{self.who}")
        if not self.key:
            raise StoreError("a decision needs a key, the same whenever it is sent again", "key=str(uuid4())")
        try:
            f"{self.key}{self.note}".encode()
        except UnicodeEncodeError as e:
            raise StoreError(f"the key or the note is not Unicode: {e}") from e
        if (self.action == "edit") != (self.labels is not None):
            raise StoreError("an edit, and nothing else, carries labels")
        if (self.action == "undo") != (self.undoes is not None):
            raise StoreError("an undo, and nothing else, names the decision that it undoes")

    @property
    def digest(self) -> str:
        """Return the sha256 of all that was asked."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        values["labels"] = None if self.labels is None else sha256(codec.pack(self.labels)).hexdigest()
        values["rows"] = [int(r) for r in self.rows]
        return sha256(canonical(values).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Decision:
    """Hold what a person said once.

    Args:
        seq: 1, 2, 3, ... over the whole project.
        item_id: of the item.
        action: accept, reject, edit, unsure or undo.
        rows: the labels it is about, counted in the annotation of `before`; empty for the item as a whole.
        who: said it.
        at: when, in UTC.
        before: state of the item before: `decision` (seq of the one that stood, 0 for none), `outcome` (its verdict or null),
            `annotation` and `digest` of the labels that held.
        after: state of the item since.
        undoes: seq of the decision that an undo takes back.
        active_ms: time that the person spent on it.
        mode: single, grid, blind or import.
        note: what the person wrote.
        key: what makes sending it twice one decision.
        request: sha256 of what was asked for.
        prev_hash: hash of the decision before it; of the project's id for the first.
        hash: sha256 of all of the above as canonical JSON.
    """

    seq: int
    item_id: str
    action: str
    rows: tuple[int, ...]
    who: str
    at: str
    before: dict[str, Any]
    after: dict[str, Any]
    undoes: int | None
    active_ms: int
    mode: str
    note: str
    key: str
    request: str
    prev_hash: str
    hash: str = ""

    def reckon(self) -> str:
        """Return the hash that this decision must have."""
        values = asdict(self)
        del values["hash"]
        return sha256(canonical(values).encode()).hexdigest()


def genesis(project: str) -> str:
    """Return what the first decision of a project is chained to."""
    return sha256(f"hyla ledger of {project}".encode()).hexdigest()


def decision_of(row: Any) -> Decision:
    """Return the decision that a row of the table holds."""
    values = dict(row._mapping)
    values["key"] = values.pop("idempotency_key")
    values["rows"] = tuple(json.loads(values["rows"]))
    values["before"], values["after"] = json.loads(values["before"]), json.loads(values["after"])
    return Decision(**values)


def decide(connection: Connection, project: str, schema: Schema, ask: Ask) -> Decision:
    """Append a decision in a transaction that writes, with the labels it brings and the state it leaves the item in.

    Raises:
        StoreError: if there is no such item, its labels are others than those judged, or the key was used for something else.
        StageError: for labels that do not fit the schema.
    """
    ask.prove()
    request = ask.digest
    if known := connection.execute(select(decisions).where(decisions.c.idempotency_key == ask.key)).first():
        if known.request != request:
            raise StoreError(
                f"the key {ask.key!r} was used for another decision, number {known.seq}", "give each decision a key of its own"
            )
        return decision_of(known)
    before = state(connection, ask.item_id)
    if ask.annotation not in (None, before["annotation"]):
        raise StoreError(f"the labels of item {ask.item_id!r} changed meanwhile", _AGAIN)
    last = connection.execute(select(decisions.c.seq, decisions.c.hash).order_by(decisions.c.seq.desc()).limit(1)).first()
    seq = last.seq + 1 if last else 1
    after = _undone(connection, ask, before) if ask.action == "undo" else _after(connection, schema, ask, seq, before)
    made = Decision(
        seq=seq,
        item_id=ask.item_id,
        action=ask.action,
        rows=tuple(int(r) for r in ask.rows),
        who=ask.who,
        at=now(),
        before=before,
        after=after,
        undoes=ask.undoes,
        active_ms=ask.active_ms,
        mode=ask.mode,
        note=ask.note,
        key=ask.key,
        request=request,
        prev_hash=last.hash if last else genesis(project),
    )
    values = {**asdict(made), "hash": made.reckon(), "idempotency_key": made.key}
    values |= {name: canonical(values[name]) for name in ("rows", "before", "after")}
    del values["key"]
    connection.execute(insert(decisions), values)
    left = {"decided": after["decision"] or None, "outcome": after["outcome"], "best": after["annotation"]}
    connection.execute(update(items).where(items.c.id == ask.item_id).values(left))
    return decision_of(connection.execute(select(decisions).where(decisions.c.seq == seq)).one())


def add(database: Database, records: Iterable[Record], source: str, schema: Schema) -> int:
    """Decide that the labels of `records` hold, all or none, as the person of `source` gave them; return how many there were.

    The same labels again are the same decision.
    """
    number, who = 0, source.partition(":")[2]
    with database.write(durable=True) as connection:
        for record in records:
            name = sha256(codec.pack(record.labels)).hexdigest()
            key = f"import {source} {record.item.id} {name}"
            decide(connection, database.id, schema, Ask(record.item.id, "edit", who, key, labels=record.labels, mode="import"))
            number += 1
    return number


def state(connection: Connection, item_id: str) -> dict[str, Any]:
    """Return what holds of an item, as `Decision.before` says; raise StoreError if there is no such item."""
    held = select(items.c.decided, items.c.outcome, annotated.c.id, annotated.c.digest)
    held = held.join_from(items, annotated, annotated.c.id == items.c.best).where(items.c.id == item_id)
    row = connection.execute(held).first()
    if row is None:
        raise StoreError(f"the project has no item {item_id!r}")
    return {"decision": row.decided or 0, "outcome": row.outcome, "annotation": row.id, "digest": row.digest}


def _undone(connection: Connection, ask: Ask, held: dict[str, Any]) -> dict[str, Any]:
    """Return the state of the item before the decision that is undone."""
    found = connection.execute(select(decisions).where(decisions.c.seq == ask.undoes)).first()
    if found is None or found.item_id != ask.item_id:
        raise StoreError(f"item {ask.item_id!r} has no decision number {ask.undoes}")
    undone = decision_of(found)
    if undone.after != held:
        raise StoreError(f"decision number {undone.seq} does not stand", "undo the later decisions on the item first")
    return undone.before


def _after(connection: Connection, schema: Schema, ask: Ask, seq: int, before: dict[str, Any]) -> dict[str, Any]:
    """Return the state of the item after a decision, once the labels it brings are stored."""
    after, labels = {**before, "decision": seq}, ask.labels
    if ask.rows:
        blob = connection.scalars(select(annotated.c.blob).where(annotated.c.id == before["annotation"])).one()
        judged = codec.unpack(blob)
        _check_rows(ask.rows, len(judged))
        if ask.action == "reject":
            labels = judged[np.delete(np.arange(len(judged)), ask.rows)]
    if ask.action == "edit" or not ask.rows:
        after["outcome"] = OUTCOME[ask.action].value
    if labels is not None:
        size = json.loads(connection.scalars(select(items.c.size).where(items.c.id == ask.item_id)).one())
        schema.check(labels, None if ask.mode == "import" else tuple(size))  # other tools let boxes hang over the edge
        source = f"human:{ask.who}"
        mine = (annotated.c.item_id == ask.item_id) & (annotated.c.source == source)
        rev = connection.scalar(select(func.coalesce(func.max(annotated.c.rev) + 1, 0)).where(mine)) or 0
        batch = Batch.open(connection)
        after["annotation"], after["digest"] = batch.annotate(ask.item_id, labels, source, rev, None)
        batch.insert(connection)
    return after


def _check_rows(rows: Sequence[int], n: int) -> None:
    if not (min(rows) >= 0 and max(rows) < n):
        raise StoreError(f"rows must be 0 to {n - 1}, got {list(rows)}", _AGAIN)
