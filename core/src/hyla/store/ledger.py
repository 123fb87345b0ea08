"""Keep what people said as a log that only grows: each decision holds the hash of the one before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, func, insert, select, update

from hyla import codec
from hyla.decide.agree import AGREE_IOU, agree
from hyla.errors import StoreError
from hyla.schema import Schema
from hyla.store.answers import (
    STATE,
    State,
    adjudicated,
    answered,
    barred,
    check_turn,
    left,
    seconded,
    still_there,
    wants_second,
)
from hyla.store.asks import AGAIN, Ask, Decision, Stale, check_rows, decision_of, genesis, row_of
from hyla.store.confirming import PLAYED, confirmed, settled
from hyla.store.database import Database, now
from hyla.store.held import SOME, Held, ask_all, load
from hyla.store.ranges import from_ranges, to_ranges
from hyla.store.remembered import recall_in
from hyla.store.rows import Batch
from hyla.store.tables import annotated, decisions, items, labels
from hyla.types import Labels, Record, Verdict

_COUNTS = select(annotated.c.id, annotated.c.n).where(annotated.c.id.in_(SOME))
_WORDS = select(labels.c.annotation_id, labels.c.row, labels.c.verdict)
_WORDS = _WORDS.where(labels.c.annotation_id.in_(SOME), labels.c.verdict != Verdict.ACCEPT.value)
_BLOBS = select(annotated.c.id, annotated.c.blob).where(annotated.c.id.in_(SOME))
_KEYS = select(decisions).where(decisions.c.idempotency_key.in_(SOME))
_SEQS = select(decisions).where(decisions.c.seq.in_(SOME))
_LEFT = update(items).where(items.c.id == bindparam("item")).values({name: bindparam(f"new_{name}") for name in STATE})
_SAY = update(labels).where(labels.c.annotation_id == bindparam("annotation"), labels.c.row == bindparam("place"))
_SAY = _SAY.values(verdict=bindparam("word"))


def decide(
    connection: Connection, project: str, schema: Schema, asks: Sequence[Ask], agree_iou: float = AGREE_IOU
) -> list[Decision]:
    """Append decisions in a transaction that writes, with the labels they bring and the states they leave the items in.

    Later ones see what earlier ones left. What was asked before with the same key is answered with what it became then. Areas of
    two people that overlap by `agree_iou` are the same; see `hyla.decide.agree`.

    Raises:
        StoreError: if there is no such item, its labels are others than those judged (Stale), it is not this person's turn, or
            a key was used for something else.
        StageError: for labels that do not fit the schema.
    """
    for ask in asks:
        ask.prove()
    book = _Book(connection, project, schema, asks, agree_iou)
    made = [book.decide(ask) for ask in asks]
    book.write()
    return made


def add(database: Database, records: Iterable[Record], source: str, schema: Schema) -> int:
    """Decide that the labels of `records` hold, all or none, as the person of `source` gave them; return how many there were.

    The same labels again are the same decision.
    """
    number, who = 0, source.partition(":")[2]
    with database.write(durable=True) as connection:
        for record in records:
            name = sha256(codec.pack(record.labels)).hexdigest()
            key = f"import {source} {record.item.id} {name}"
            decide(connection, database.id, schema, [Ask(record.item.id, "edit", who, key, labels=record.labels, mode="import")])
            number += 1
    return number


class _Book:
    """Make decisions one after another in memory, and write them together."""

    def __init__(self, connection: Connection, project: str, schema: Schema, asks: Sequence[Ask], agree_iou: float) -> None:
        self.connection, self.schema, self.agree_iou = connection, schema, agree_iou
        self.batch = Batch.open(connection)
        self.known = {row.idempotency_key: decision_of(row) for row in ask_all(connection, _KEYS, [ask.key for ask in asks])}
        undone = [ask.undoes for ask in asks if ask.undoes is not None]
        self.past = {row.seq: decision_of(row) for row in ask_all(connection, _SEQS, undone)}
        self.held = load(connection, [ask.item_id for ask in asks])
        self.origin = {item_id: one.state["annotation"] for item_id, one in self.held.items()}
        self.counts: dict[int, int] = {row.id: row.n for row in ask_all(connection, _COUNTS, [*self.origin.values()])}
        self.labels: dict[int, Labels] = {}  # by annotation
        if schema.confirms:
            self.labels |= {row.id: codec.unpack(row.blob) for row in ask_all(connection, _BLOBS, self.origin.values())}
            self.played = bool(recall_in(connection, PLAYED))
        self.revs: dict[tuple[str, str], int] = {}  # last of an item and a source
        last = connection.execute(select(decisions.c.seq, decisions.c.hash).order_by(decisions.c.seq.desc()).limit(1)).first()
        self.seq: int = last.seq if last else 0
        self.head: str = last.hash if last else genesis(project)
        self.made: list[Decision] = []

    def decide(self, ask: Ask) -> Decision:
        request = ask.digest
        if known := self.known.get(ask.key):
            if known.request != request:
                raise StoreError(
                    f"the key {ask.key!r} was used for another decision, number {known.seq}",
                    "give each decision a key of its own",
                )
            return known
        if (held := self.held.get(ask.item_id)) is None:
            raise StoreError(f"the project has no item {ask.item_id!r}")
        before = held.state
        if ask.annotation not in (None, before["annotation"]):
            raise Stale(f"the labels of item {ask.item_id!r} changed meanwhile", AGAIN)
        seq = self.seq + 1
        made = Decision(
            seq=seq,
            item_id=ask.item_id,
            action=ask.action,
            rows=tuple(int(row) for row in ask.rows),
            who=ask.who,
            at=now(),
            before=before,
            after=self._undone(ask, held) if ask.action == "undo" else self._after(ask, held, seq),
            undoes=ask.undoes,
            active_ms=ask.active_ms,
            mode=ask.mode,
            note=ask.note,
            key=ask.key,
            request=request,
            prev_hash=self.head,
        )
        if self.schema.confirms and ask.action != "undo":
            said = confirmed(made, self.schema, self._labels, self._told, self.played)
            made = replace(made, after=settled(made, said, self.schema, self._labels))
        made = replace(made, hash=made.reckon())
        self.seq, self.head, held.state = seq, made.hash, made.after
        self.made.append(made)
        self.known[ask.key] = self.past[seq] = made
        return made

    def write(self) -> None:
        """Write what was decided: labels, decisions, and the state of each item."""
        if not self.made:
            return
        self.batch.insert(self.connection)
        self.connection.execute(insert(decisions), [row_of(made) for made in self.made])
        touched = dict.fromkeys(made.item_id for made in self.made)
        self.connection.execute(_LEFT, [self._left(item_id) for item_id in touched])
        if changes := self._changes(touched):
            self.connection.execute(_SAY, changes)

    def _left(self, item_id: str) -> dict[str, Any]:
        after = self.held[item_id].state
        values = zip(STATE, left(after, barred(after, self._told)), strict=True)
        return {"item": item_id, **{f"new_{name}": value for name, value in values}}

    def _changes(self, touched: Iterable[str]) -> list[dict[str, Any]]:
        """Return which words of labels change."""
        stored: dict[int, dict[int, str]] = defaultdict(dict)
        for row in ask_all(self.connection, _WORDS, [self.origin[item_id] for item_id in touched]):
            stored[row.annotation_id][row.row] = row.verdict
        changes: list[dict[str, Any]] = []
        for item_id in touched:
            held, origin = self.held[item_id], self.origin[item_id]
            holds = held.state["annotation"]
            wanted = {(holds, row): word for row, word in held.words().items()}
            was = {(origin, row): word for row, word in stored[origin].items()}
            changes += [
                {"annotation": place[0], "place": place[1], "word": word}
                for place in was.keys() | wanted.keys()
                if (word := wanted.get(place, Verdict.ACCEPT.value)) != was.get(place)
            ]
        return changes

    def _told(self, seq: int) -> Decision:
        """Return a decision by its number, be it written or not."""
        if seq not in self.past:
            self.past[seq] = decision_of(self.connection.execute(select(decisions).where(decisions.c.seq == seq)).one())
        return self.past[seq]

    def _undone(self, ask: Ask, held: Held) -> State:
        """Return the state of the item before the decision that is undone."""
        undone = self.past.get(ask.undoes or 0)
        if undone is None or undone.item_id != ask.item_id:
            raise StoreError(f"item {ask.item_id!r} has no decision number {ask.undoes}")
        if undone.after["decision"] != held.state["decision"]:
            raise StoreError(f"decision number {undone.seq} does not stand", "undo the later decisions on the item first")
        # Flags may have come since the beginning: what no decision stands on waits as they say now.
        return undone.before if undone.before["decision"] else held.start()

    def _after(self, ask: Ask, held: Held, seq: int) -> State:
        """Return the state of the item after an answer, once the labels it brings are in the batch."""
        before = held.state
        check_turn(before, ask, self._told)
        if ask.rows:
            check_rows(ask.rows, self._count(before["annotation"]))
        brought, kept = ask.labels, ("", "")
        if brought is not None:
            self.schema.check(brought, None if ask.mode == "import" else held.size)  # other tools let boxes hang over the edge
        if ask.action == "reject" and ask.rows:
            judged = self._labels(before["annotation"])
            brought = judged[np.delete(np.arange(len(judged)), ask.rows)]
        if ask.action == "edit" and ask.mode != "import" and brought is not None and (before["mend"] or before["doubt"]):
            judged = self._labels(before["annotation"])
            wrong, doubtful = (still_there(judged, brought, from_ranges(before[name])) for name in ("mend", "doubt"))
            kept = (to_ranges(wrong), to_ranges(doubtful))
        place = (before["annotation"], before["digest"])
        if brought is not None:
            place = self._bring(ask, brought)
        if ask.action == "opinion":
            first = Labels.empty() if before["outcome"] == Verdict.REJECT else self._labels(before["annotation"])
            return seconded(before, seq, place[0], agree(first, self._labels(place[0]), self.schema, self.agree_iou))
        if ask.action == "adjudicate":
            return adjudicated(seq, place)
        return answered(before, ask, seq, place, wants_second(held.flags, held.route), kept)

    def _bring(self, ask: Ask, given: Labels) -> tuple[int, str]:
        """Put labels that a person gave into the batch, and return their number and digest."""
        name = (ask.item_id, f"human:{ask.who}")
        if name not in self.revs:
            mine = (annotated.c.item_id == name[0]) & (annotated.c.source == name[1])
            self.revs[name] = self.connection.scalar(select(func.coalesce(func.max(annotated.c.rev), -1)).where(mine)) or 0
        self.revs[name] += 1
        place = self.batch.annotate(name[0], given, name[1], self.revs[name], None)
        self.labels[place[0]], self.counts[place[0]] = given, len(given)
        return place

    def _labels(self, annotation: int) -> Labels:
        if annotation not in self.labels:
            blob = self.connection.scalars(select(annotated.c.blob).where(annotated.c.id == annotation)).one()
            self.labels[annotation] = codec.unpack(blob)
        return self.labels[annotation]

    def _count(self, annotation: int) -> int:
        if annotation not in self.counts:  # an undo brought other labels back
            self.counts[annotation] = self.connection.scalars(select(annotated.c.n).where(annotated.c.id == annotation)).one()
        return self.counts[annotation]
