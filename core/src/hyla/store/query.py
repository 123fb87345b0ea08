"""Read a project page by page, so that memory does not grow with it.

Each page is read in a moment of its own, and goes on after the last row of the page before: no connection is held between pages,
so that a reader who dawdles or stops half-way holds up nobody. What is stored meanwhile behind the place of reading is seen, each
record whole.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, Column, ColumnElement, Select, bindparam, func, select, tuple_
from sqlalchemy.engine import Connection, Row

from hyla import codec
from hyla.errors import StoreError
from hyla.store.asks import Decision, decision_of
from hyla.store.database import Database
from hyla.store.rows import Quarantined, flag_of, frame_of, item_of
from hyla.store.tables import OWN, annotated, decisions, deleted, flags, groups, items, labels, quarantine
from hyla.types import Flag, Record, Verdict

PAGE = 128  # records held at once
IDS = 512  # ids of one question
WORDS = ("best", "model", "human")
Rows = Sequence[Row[Any]]

# Made once: a statement made anew for each page would leave its ids to the garbage collector.
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_STORED = select(items.c.id).where(items.c.id.in_(_IDS), OWN)
_DELETED = select(deleted.c.item_id).where(deleted.c.item_id.in_(_IDS))
_QUARANTINED = select(quarantine.c.item_id).where(quarantine.c.item_id.in_(_IDS))
_FLAGS = select(flags).where(flags.c.item_id.in_(_IDS)).order_by(flags.c.id)


@dataclass(frozen=True)
class Filter:
    """Say which records are wanted.

    Args:
        source: best, model or human, or one source such as `truth:survey`; see `Project.records`.
        verdict: of the item.
        group: of the item.
        classes: ids; an item counts that has a label of one of them.
        score: bounds, inclusive, of that label's score (of any label, without classes).
        item_id: of the one item wanted.
    """

    source: str = "best"
    verdict: Verdict | None = None
    group: str | None = None
    classes: Collection[int] | None = None
    score: tuple[float, float] | None = None
    item_id: str | None = None

    def statement(self) -> Select[Any]:
        """Return the select of the wanted rows."""
        verdict = items.c.verdict if self.source == "model" else func.coalesce(items.c.outcome, items.c.verdict)
        found = select(
            *(items.c[name] for name in ("id", "ordinal", "uri", "grp", "idx", "kind", "meta", "size", "frame")),
            verdict.label("verdict"),
            *(annotated.c[name] for name in ("source", "run", "blob")),
        ).select_from(items.join(annotated, _chosen(self.source)))
        if self.verdict is not None:
            found = found.where(verdict == Verdict(self.verdict).value)
        if self.group is not None:
            found = found.where(items.c.grp == self.group)
        # A planted item is there by name only, for whoever reviews it.
        found = found.where(OWN if self.item_id is None else items.c.id == self.item_id)
        if self.classes is not None or self.score is not None:
            found = found.where(self._has_label())
        return found

    def _has_label(self) -> ColumnElement[bool]:
        wanted = select(labels.c.row).where(labels.c.annotation_id == annotated.c.id)
        if self.classes is not None:
            wanted = wanted.where(labels.c.class_id.in_([int(c) for c in self.classes]))
        if self.score is not None:
            wanted = wanted.where(labels.c.score.between(*self.score))
        return wanted.exists()


def check_source(connection: Connection, source: str) -> None:
    """Raise StoreError if `source` is no word and nobody's labels, naming whose there are."""
    if source not in WORDS:
        known = connection.scalars(select(annotated.c.source).distinct()).all()
        if source not in known:
            raise StoreError(f"the project has no labels of {source!r}", "`hyla import` brings labels in", [*WORDS, *known])


def known(database: Database, ids: Sequence[str], quarantined: bool) -> set[str]:
    """Return those of `ids` that are stored, were deleted or, if `quarantined`, are in quarantine."""
    found: set[str] = set()
    with database.read() as connection:
        for start in range(0, len(ids), IDS):
            chunk = {"ids": ids[start : start + IDS]}
            found.update(connection.scalars(_STORED, chunk))
            found.update(connection.scalars(_DELETED, chunk))
            if quarantined:
                found.update(connection.scalars(_QUARANTINED, chunk))
    return found


def records(database: Database, wanted: Filter) -> Iterator[Record]:
    """Yield the wanted records in the order of the scan."""
    for page, judged in pages(database, wanted.statement(), (items.c.ordinal, items.c.id), _flags):
        for row in page:
            yield _record(row, judged.get(row.id, []))


def quarantined(database: Database) -> Iterator[Quarantined]:
    """Yield the items in quarantine, in the order of the scan."""
    for page, _ in pages(database, select(quarantine), (quarantine.c.ordinal, quarantine.c.item_id)):
        for row in page:
            yield Quarantined(item_of(row, row.item_id), row.ordinal, row.stage, row.reason)


def decisions_of(database: Database, item_id: str | None) -> Iterator[Decision]:
    """Yield the decisions of an item or, for None, of all, first to last."""
    wanted = select(decisions) if item_id is None else select(decisions).where(decisions.c.item_id == item_id)
    for page, _ in pages(database, wanted, (decisions.c.seq,)):
        yield from map(decision_of, page)


def pages(
    database: Database, wanted: Select[Any], key: tuple[Column[Any], ...], also: Callable[[Connection, Rows], Any] | None = None
) -> Iterator[tuple[Rows, Any]]:
    """Yield pages of rows in the order of `key`, which is unique, each with what `also` reads for it at the same moment."""
    names = [f"after_{i}" for i in range(len(key))]
    after = tuple_(*key) > tuple_(*(bindparam(name, type_=column.type) for name, column in zip(names, key, strict=True)))
    page, place = wanted.order_by(*key).limit(PAGE), dict[str, Any]()
    while True:
        with database.read() as connection:
            found = connection.execute(page, place).all()
            more = also(connection, found) if also else None
        yield found, more
        if len(found) < PAGE:
            return
        if not place:
            page = page.where(after)
        place = {name: found[-1]._mapping[column] for name, column in zip(names, key, strict=True)}


def _flags(connection: Connection, page: Rows) -> dict[str, list[Flag]]:
    """Return item id -> flags, in the order in which they were raised, of the records that a run made."""
    found: dict[str, list[Flag]] = defaultdict(list)
    if ids := [row.id for row in page if row.run is not None]:
        for row in connection.execute(_FLAGS, {"ids": ids}):
            found[row.item_id].append(flag_of(row))
    return found


def _record(row: Any, judged: list[Flag]) -> Record:
    # The rows of a flag count the machine's labels: beside other labels they would point at the wrong ones.
    size = tuple(json.loads(row.size))
    return Record(
        item_of(row, row.id), codec.unpack(row.blob), tuple(judged), Verdict(row.verdict), row.source, size, frame_of(row.frame)
    )


def _chosen(source: str) -> ColumnElement[bool]:
    """Return the condition that joins the right annotation to an item.

    Each gives the annotation's number for an item, so that the database goes through the items in order and never the other way.
    """
    if source == "best":
        return annotated.c.id == items.c.best
    if source == "human":
        return (annotated.c.id == items.c.best) & (annotated.c.role == "human")
    if source == "model":
        return annotated.c.id == items.c.machine
    other = annotated.alias()
    last = select(func.max(other.c.id)).where(other.c.item_id == items.c.id, other.c.source == source)
    return annotated.c.id == last.correlate(items).scalar_subquery()


def open_groups(database: Database) -> list[str]:
    """Return the groups of which items are stored and that were not finished, in the order of the scan."""
    done = select(groups.c.grp)
    wanted = select(items.c.grp).where(items.c.grp > "", items.c.grp.not_in(done)).group_by(items.c.grp)
    with database.read() as connection:
        return list(connection.scalars(wanted.order_by(func.min(items.c.ordinal))))


def last_ordinal(database: Database) -> int:
    """Return the highest place in the scan of what is stored or in quarantine; -1 where there is nothing."""
    with database.read() as connection:
        found = [connection.scalar(select(func.max(table.c.ordinal))) for table in (items, quarantine)]
    return max([-1, *(int(number) for number in found if number is not None)])
