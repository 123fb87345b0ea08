"""Prove that what was said is as it was written."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.engine import Connection

from hyla import codec
from hyla.decide.route import routed
from hyla.errors import StageError, StoreError
from hyla.store import chain, retention
from hyla.store.answers import STATE, barred, left, words_of
from hyla.store.asks import Decision, decision_of, genesis
from hyla.store.database import Database
from hyla.store.lots import hash_of
from hyla.store.naming import stored_identity
from hyla.store.reconfirm import reconfirm
from hyla.store.routing import first_lane, first_words, principal, read_route
from hyla.store.rows import FLAG_COLUMNS, ITEM_COLUMNS, LABEL_COLUMNS, digest_of, flag_of, label_columns, row_digest
from hyla.store.tables import PLANTED, accesses, annotated, decisions, deleted, flags, items, labels, lot_events, lots
from hyla.store.twins import named_twins
from hyla.types import Flag, Verdict

SHOWN = 100  # problems that a report lists in words
CHUNK = 512  # rows read at a time


@dataclass(frozen=True)
class Report:
    """Hold what `verify` found.

    Args:
        ok: True if nothing was lost or changed.
        decisions, annotations, labels: how many there are.
        head: hash of the last decision. Keep it: only against a head kept elsewhere can one see that decisions were cut off the
            end, or that the whole project was written anew.
        problems: what does not hold, one sentence each; the first hundred.
        deleted: how many items were deleted since they were past their time; what is left of them is named in the account.
    """

    ok: bool
    decisions: int
    annotations: int
    labels: int
    head: str
    problems: tuple[str, ...]
    deleted: int = 0


def verify(database: Database, head: str | None = None) -> Report:
    """Check the file, the chain of decisions, the digests, and that rows and states follow from what was said.

    Memory does not grow with the project. A run or a review may go on meanwhile.

    Args:
        database: of the project.
        head: a head noted earlier, which must be in the chain.
    """
    check = _Check()
    try:
        with database.read() as connection:
            check.all(connection.execution_options(yield_per=CHUNK), database.id, head)
    except StoreError as e:  # SQLite gave up: a page that it needs is broken
        check.say(e.what)
    except (ValueError, TypeError, LookupError) as e:
        check.say(f"rows can't be read, as Hyla would never have written them: {e!r}")
    shown = check.problems[:SHOWN]
    if check.found > len(shown):
        shown.append(f"and {check.found - len(shown)} more")
    return Report(not check.found, head=check.head, problems=tuple(shown), **check.count)


class _Check:
    def __init__(self) -> None:
        self.problems: list[str] = []
        self.found = 0
        self.head = ""
        self.count = {"decisions": 0, "annotations": 0, "labels": 0, "deleted": 0}

    def say(self, problem: str) -> None:
        self.found += 1
        if self.found <= SHOWN:
            self.problems.append(problem)

    def all(self, connection: Connection, project: str, head: str | None) -> None:
        self.file(connection)
        if not self.found:  # what is read from a damaged file tells nothing more
            self.links(connection)
            self.chain(connection, genesis(project), head)
            self.digests(connection)
            self.states(connection)
            self.annotations(connection)
            for problem in reconfirm(connection):
                self.say(problem)
            self.lots(connection)
            self.twins(connection)
            self.kept(connection, project)

    def file(self, connection: Connection) -> None:
        for (line,) in connection.exec_driver_sql("PRAGMA integrity_check"):
            if line != "ok":
                self.say(f"the file is damaged: {line}")

    def links(self, connection: Connection) -> None:
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
            self.say(f"a row of {row[0]} belongs to a row of {row[2]} that is not there")

    def chain(self, connection: Connection, start: str, head: str | None) -> None:
        self.head, seq, seen = start, 0, head in (None, start)
        for row in connection.execute(select(decisions).order_by(decisions.c.seq)):
            one = decision_of(row)
            if one.seq != seq + 1:
                self.say(f"decisions are missing between number {seq} and number {one.seq}")
            elif one.prev_hash != self.head:
                self.say(f"decision {one.seq} does not follow from the one before it")
            if (reckoned := one.reckon()) != one.hash and reckoned != retention.erased(connection, one.item_id, one.seq):
                self.say(f"decision {one.seq} was changed: its hash does not fit")
            for when, state in (("before", one.before), ("after", one.after)):
                self._state(connection, f"{when} decision {one.seq}", one.item_id, state)
            seq, self.head = one.seq, one.hash
            seen = seen or one.hash == head
            self.count["decisions"] += 1
        if not seen:
            self.say("the head given is not in the chain: decisions were removed from its end, or it was written anew")

    def _state(self, connection: Connection, when: str, item_id: str, state: dict[str, Any]) -> None:
        found = select(annotated.c.digest).where(annotated.c.id == state["annotation"], annotated.c.item_id == item_id)
        digest = connection.scalar(found) or retention.digest_of(connection, item_id, state["annotation"])
        if digest != state["digest"]:
            self.say(f"the labels that item {item_id!r} had {when} are gone or others")

    def states(self, connection: Connection) -> None:
        """Compare the state of each item with what its last decision left, or with no decision at all."""

        def told(seq: int) -> Decision:
            return decision_of(connection.execute(select(decisions).where(decisions.c.seq == seq)).one())

        last = select(func.max(decisions.c.seq)).where(decisions.c.item_id == items.c.id).correlate(items).scalar_subquery()
        machine = annotated.alias()
        found = (
            select(*(items.c[name] for name in ("id", "verdict", "machine", *STATE)), decisions.c.after, annotated.c.role)
            .add_columns(machine.c.role.label("first"))
            .outerjoin(decisions, decisions.c.seq == last)
            .outerjoin(annotated, (annotated.c.id == items.c.best) & (annotated.c.item_id == items.c.id))
            .outerjoin(machine, (machine.c.id == items.c.machine) & (machine.c.item_id == items.c.id))
        )
        for row in connection.execute(found):
            after = json.loads(row.after) if row.after else None
            held = tuple(row._mapping[name] for name in STATE)
            if row.role is None or row.first != "model":
                self.say(f"the labels of item {row.id!r} are gone")
            elif after and after["decision"]:
                if held != left(after, barred(after, told)):
                    self.say(f"item {row.id!r} is not in the state that its last decision left")
            elif held != (None, None, row.machine, first_lane(row.verdict), "", ""):
                self.say(f"item {row.id!r} is in a state that no decision led to")

    def annotations(self, connection: Connection) -> None:
        """Compare each annotation with its digest, and its label rows with what it packs and with what was said of them."""
        columns = [labels.c.annotation_id, *(labels.c[name] for name in LABEL_COLUMNS), labels.c.verdict]
        identity = stored_identity(connection)
        rows = _Beside(connection.execute(select(*columns).order_by(labels.c.annotation_id, labels.c.row)))
        judged = select(items.c.machine, flags).join_from(items, flags, flags.c.item_id == items.c.id)
        judged_rows = _Beside(connection.execute(judged.order_by(items.c.machine, flags.c.id)))
        about = (
            select(annotated, *(items.c[name] for name in ("best", "machine", "verdict", "reason", "decided", "route")))
            .add_columns(decisions.c.after)
            .outerjoin_from(annotated, items, items.c.id == annotated.c.item_id)
            .outerjoin(decisions, decisions.c.seq == items.c.decided)
            .order_by(annotated.c.id)
        )
        for one in connection.execute(about):
            self.count["annotations"] += 1
            found, flagged = rows.of(one.id), judged_rows.of(one.id)
            self._annotation(one, [tuple(row)[1:-1] for row in found], identity)
            try:
                self._routing(one, {row.row: row.verdict for row in found}, [flag_of(row) for row in flagged])
            except StageError as e:
                self.say(f"the flags of item {one.item_id!r} do not fit its labels: {e.what}")
        rows.of(math.inf)  # rows of no annotation: the check of foreign keys names them
        self.count["labels"] = rows.read

    def _routing(self, one: Any, words: dict[int, str], flagged: list[Flag]) -> None:
        """Compare the words of an annotation's labels, and the reason of its item, with what was said."""
        route = read_route(one.item_id, one.route)
        if one.id == one.machine and route is not None and one.verdict != routed(range(one.n), flagged, route)[0]:
            self.say(f"item {one.item_id!r} is sent elsewhere than its flags and its route say")
        if one.id == one.machine and one.reason != principal(flagged, one.verdict, route):
            self.say(f"item {one.item_id!r} waits for another reason than its flags give")
        expected: dict[int, str] = {}
        if one.id == one.best and one.after is not None:
            expected = words_of(json.loads(one.after))
        elif one.id == one.best == one.machine:
            expected = dict(enumerate(first_words(one.n, flagged, one.verdict, route).tolist()))
        if any(word != expected.get(row, Verdict.ACCEPT) for row, word in words.items()):
            self.say(f"what waits of the labels {one.source} gave item {one.item_id!r} does not follow from what was said")

    def _annotation(self, one: Any, rows: list[tuple[Any, ...]], identity: str | None) -> None:
        what = f"the labels {one.source} gave item {one.item_id!r}"
        if digest_of(one.item_id, one.source, one.rev, one.blob) != one.digest:
            self.say(f"{what} were changed: their digest does not fit")
            return
        try:
            packed = codec.unpack(one.blob)
        except StoreError as e:
            self.say(f"{what} can't be read: {e.what}")
            return
        if not len(packed) == one.n == len(rows):
            self.say(f"{what} are {len(packed)}, and {len(rows)} rows")
        elif list(zip(*label_columns(packed, identity), strict=True)) != rows:
            self.say(f"{what} differ from their rows")

    def lots(self, connection: Connection) -> None:
        """Compare each lot with its digest, and each with what became of it: an event holds the hash of the one before."""
        heads: dict[int, str] = {}
        for row in connection.execute(select(lots)):
            about = {name: value for name, value in row._mapping.items() if name not in ("blob", "hash")}
            try:
                whole = sha256(zlib.decompress(row.blob)).hexdigest() == row.digest
            except zlib.error:
                whole = False
            if not whole or hash_of(about) != row.hash:
                self.say(f"lot {row.id} was changed: its digest does not fit")
            heads[row.id] = row.hash
        for row in connection.execute(select(lot_events).order_by(lot_events.c.id)):
            about = {name: value for name, value in row._mapping.items() if name != "hash"}
            if hash_of(about, heads.get(row.lot, "")) != row.hash:
                self.say(f"event {row.id} of lot {row.lot} was changed, or one before it is missing")
            heads[row.lot] = row.hash

    def twins(self, connection: Connection) -> None:
        """Compare the planted copies with the events that name them, and with their originals."""
        named, original = named_twins(connection), items.alias("original")
        alike = ("ordinal", "uri", "idx", "kind", "meta", "size", "frame")
        found = select(items.c.id, items.c.twin, items.c.grp, original.c.grp.label("other"), original.c.twin.label("of"))
        same = and_(*(items.c[name] == original.c[name] for name in alike))
        found = found.add_columns(same.label("same")).outerjoin_from(items, original, original.c.id == items.c.twin)
        for row in connection.execute(found.where(PLANTED)):
            if named.pop(row.id, None) != row.twin:
                self.say(f"item {row.id!r} is called a planted copy, and no lot planted it")
            elif row.of != "" or not row.same or row.grp not in (row.other, row.id):
                self.say(f"the planted copy {row.id!r} is not a copy of {row.twin!r}")
        for gone in named.keys() - retention.gone(connection, named):
            self.say(f"the planted copy {gone!r} is gone, or called no copy any more")

    def kept(self, connection: Connection, project: str) -> None:
        """Check the accounts of what was held and deleted, and of who saw what."""
        for problem in retention.problems(connection, project):
            self.say(problem)
        for number in chain.broken(connection, accesses, project):
            self.say(f"entry {number} of who saw what was changed, or one before it is missing")
        self.count["deleted"] = connection.scalar(select(func.count()).select_from(deleted)) or 0

    def digests(self, connection: Connection) -> None:
        """Compare the items and the flags with their digests."""
        for table, names, what in ((items, ITEM_COLUMNS, "item {0!r}"), (flags, FLAG_COLUMNS, "a flag {1} of item {0!r}")):
            for *values, digest in connection.execute(select(*(table.c[name] for name in names), table.c.digest)):
                if row_digest(values) != digest:
                    self.say(f"{what.format(*values)} was changed: its digest does not fit")


class _Beside:
    """Walk along rows that are sorted by their first column, beside another walk in the same order."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self.read = 0
        self._groups = groupby(rows, key=lambda row: row[0])
        self._next = next(self._groups, None)

    def of(self, key: float) -> list[Any]:
        """Return the rows of `key`, passing over those before."""
        found: list[Any] = []
        while self._next and self._next[0] <= key:
            rows = list(self._next[1])
            self.read += len(rows)
            found = rows if self._next[0] == key else found
            self._next = next(self._groups, None)
        return found
