"""Read what waits for people: items by lane, open labels by class, clips.

Each answer comes from indexes, in milliseconds whatever the size of the project.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, tuple_

from hyla import codec
from hyla.decide.route import Route
from hyla.errors import StoreError
from hyla.frame import Frame
from hyla.schema import Schema
from hyla.store.database import Database
from hyla.store.held import SOME, ask_all
from hyla.store.query import pages
from hyla.store.routing import read_route
from hyla.store.rows import frame_of, item_of
from hyla.store.tables import BESIDE, OWN, PENDING, annotated, items, labels
from hyla.types import Item, Labels, Verdict

FEW = 4000  # items: of fewer, looking at each is quicker than looking through all open labels of a class
# SQLite uses the index of open labels where the question says word for word which rows it wants. Where it should begin with the
# items instead, the same is said in other words.
_OPEN = PENDING
_OPEN_HERE = labels.c.verdict.not_in((Verdict.ACCEPT.value, Verdict.REJECT.value))
_HEAD = [items.c[name] for name in ("id", "uri", "grp", "idx", "kind", "meta", "size", "frame")]
_HEAD += [items.c[name] for name in ("lane", "reason", "best", "route", "priority")]
_ORDER = (items.c.priority, items.c.ordinal, items.c.id)  # in which what waits is handed out
_HEADS = select(*_HEAD).where(items.c.id.in_(SOME))
_ANNOTATIONS: Any = bindparam("annotations", expanding=True)
_OPEN_ROWS = select(labels.c.annotation_id, labels.c.row).where(labels.c.annotation_id.in_(_ANNOTATIONS), _OPEN_HERE)
_OPEN_ROWS = _OPEN_ROWS.order_by(labels.c.annotation_id, labels.c.row)


@dataclass(frozen=True, slots=True)
class LaneCount:
    """Count the items that wait in a lane for one reason."""

    lane: str
    reason: str
    waiting: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Name an item that waits, with the `size` of its picture, the number of the labels that hold, and what a lot asks of it."""

    item: Item
    lane: str
    reason: str
    size: tuple[int, ...]
    frame: Frame
    annotation: int
    route: Route | None = None


@dataclass(frozen=True, slots=True)
class OpenLabel:
    """Name a label that waits: row `row` of `annotation`, its `box` (4,), the `size` of the picture, and what it is called."""

    item_id: str
    uri: str
    annotation: int
    row: int
    score: float
    box: tuple[float, float, float, float]
    reason: str
    size: tuple[int, ...]
    name: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class ClipItem:
    """Hold one item of a group, with the labels that hold and the rows of them that are open."""

    item: Item
    annotation: int
    open: tuple[int, ...]
    lane: str
    outcome: str | None
    labels: Labels
    frame: Frame
    size: tuple[int, ...]
    route: Route | None = None


def lanes(database: Database) -> list[LaneCount]:
    """Count what waits, by lane and reason."""
    found = select(items.c.lane, items.c.reason, func.count()).where(items.c.lane > "").group_by(items.c.lane, items.c.reason)
    with database.read() as connection:
        return [LaneCount(*row) for row in connection.execute(found)]


def classes_waiting(database: Database, schema: Schema) -> dict[str, int]:
    """Return class name -> open labels of items in the lane review, in the order of the schema, where there are any."""
    everywhere = select(labels.c.class_id, func.count()).where(_OPEN).group_by(labels.c.class_id)
    # All open labels less the few that wait elsewhere: this reads one index, and no item of the lane review.
    elsewhere = select(labels.c.class_id, func.count()).join_from(items, labels, labels.c.annotation_id == items.c.best)
    elsewhere = elsewhere.where(items.c.lane.in_(("repair", "second")), _OPEN_HERE).group_by(labels.c.class_id)
    with database.read() as connection:
        counts: dict[int, int] = dict(map(tuple, connection.execute(everywhere)))
        for class_id, n in connection.execute(elsewhere):
            counts[class_id] -= n
    return {schema.names[class_id]: counts[class_id] for class_id in sorted(counts) if counts[class_id]}


def next_items(
    database: Database,
    lane: str,
    reason: str | None,
    limit: int,
    without: Collection[str],
    who: str,
    after: str | None,
    groups: Collection[str],
) -> list[Waiting]:
    """Return the first items of a lane; see `Project.next_items`."""
    found = select(*_HEAD).where(_in_lane(lane, reason)).order_by(*_ORDER).limit(limit)
    if who:
        found = found.where(*_open_to(lane, who))
    found = _less(found, without, groups)
    with database.read() as connection:
        if after is not None:
            place = connection.execute(select(*_ORDER).where(items.c.id == after)).first()
            if place is None:
                raise no_item(after)
            found = found.where(tuple_(*_ORDER) > tuple(place))
        return [_waiting(row) for row in connection.execute(found)]


def heads(database: Database, ids: Iterable[str]) -> dict[str, Waiting]:
    """Return item id -> where it waits, in no lane if it does not, of those of `ids` that are stored."""
    with database.read() as connection:
        return {row.id: _waiting(row) for row in ask_all(connection, _HEADS, ids)}


def beside(database: Database, group: str) -> list[Waiting]:
    """Return the items of a group, in their order in it; see `Project.beside`."""
    found = select(*_HEAD).where(items.c.grp == group, OWN).order_by(items.c.idx, items.c.id)
    with database.read() as connection:
        return [_waiting(row) for row in connection.execute(found)]


def waits(database: Database, group: str, lanes: Collection[str], who: str) -> bool:
    """Tell whether something of a group waits in one of `lanes` for `who`."""
    there = select(items.c.lane, items.c.answered, items.c.seconded).where(items.c.grp == group).distinct()
    with database.read() as connection:
        return any(row.lane and row.lane in lanes and who not in row[1:] for row in connection.execute(there))


def yours(database: Database, lane: str, who: str, reason: str | None) -> int:
    """Count the items of a lane that `who` may answer."""
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(items).where(_in_lane(lane, reason), *_open_to(lane, who))) or 0


def open_labels(
    database: Database,
    class_id: int,
    reason: str | None,
    limit: int,
    without: Collection[str],
    groups: Collection[str],
    name: str | None,
    doubtful: bool,
) -> list[OpenLabel]:
    """Return open labels of a class in the lane review; see `Project.open_labels`."""
    label = [labels.c[name] for name in ("annotation_id", "row", "score", "x0", "y0", "x1", "y1", "name", "title")]
    found = select(items.c.id, items.c.uri, items.c.reason, items.c.size, *label)
    found = found.where(labels.c.class_id == class_id, _in_lane("review", reason)).limit(limit)
    score = labels.c.score if doubtful else labels.c.score.desc()
    found = found.order_by(score, labels.c.annotation_id, labels.c.row)
    if name is not None:
        found = found.where(labels.c.name == name)
    found = _less(found, without, groups)
    with database.read() as connection:
        found = _from_items(found) if reason is not None and _few(connection, reason) else _from_labels(found)
        return [
            OpenLabel(
                row.id,
                row.uri,
                row.annotation_id,
                row.row,
                row.score,
                (row.x0, row.y0, row.x1, row.y1),
                row.reason,
                _size(row.size),
                row.name or "",
                row.title or "",
            )
            for row in connection.execute(found)
        ]


def labels_of(database: Database, annotation: int) -> tuple[str, str, Labels]:
    """Return item id, source and labels of an annotation; raise StoreError if there is none."""
    found = select(annotated.c.item_id, annotated.c.source, annotated.c.blob).where(annotated.c.id == annotation)
    with database.read() as connection:
        row = connection.execute(found).first()
    if row is None:
        raise StoreError(f"the project has no labels number {annotation}")
    return row.item_id, row.source, codec.unpack(row.blob)


def machine_annotation(database: Database, item_id: str) -> int:
    """Return the number of the machine's labels of an item; raise StoreError if there is no such item."""
    with database.read() as connection:
        found = connection.scalar(select(items.c.machine).where(items.c.id == item_id))
    if found is None:
        raise no_item(item_id)
    return int(found)


def clip(database: Database, group: str) -> Iterator[ClipItem]:
    """Yield the items of a group in the order of the scan, read page by page."""
    wanted = select(*_HEAD, items.c.ordinal, items.c.outcome, annotated.c.blob)
    wanted = wanted.join_from(items, annotated, annotated.c.id == items.c.best).where(items.c.grp == group, BESIDE)
    for page, open_rows in pages(database, wanted, (items.c.ordinal, items.c.id), _open_rows):
        for row in page:
            opened = tuple(open_rows.get(row.best, ()))
            held = codec.unpack(row.blob)
            size, frame = _size(row.size), frame_of(row.frame)
            route = read_route(row.id, row.route, row.priority)
            yield ClipItem(item_of(row, row.id), row.best, opened, row.lane, row.outcome, held, frame, size, route)


def _in_lane(lane: str, reason: str | None) -> ColumnElement[bool]:
    return items.c.lane == lane if reason is None else (items.c.lane == lane) & (items.c.reason == reason)


def _open_to(lane: str, who: str) -> list[ColumnElement[bool]]:
    """Return what must hold of an item of a lane for `who` to answer it."""
    return [items.c.answered != who, items.c.seconded != who] if lane in ("second", "adjudicate") else []


def _less(found: Select[Any], without: Collection[str], groups: Collection[str]) -> Select[Any]:
    """Leave items and groups out."""
    if without:
        found = found.where(items.c.id.not_in(list(without)))
    return found.where(items.c.grp.not_in(list(groups))) if groups else found


def _waiting(row: Any) -> Waiting:
    size, frame, route = _size(row.size), frame_of(row.frame), read_route(row.id, row.route, row.priority)
    return Waiting(item_of(row, row.id), row.lane, row.reason, size, frame, row.best, route)


def _few(connection: Connection, reason: str) -> bool:
    some = select(items.c.id).where(_in_lane("review", reason)).limit(FEW).subquery()
    return (connection.scalar(select(func.count()).select_from(some)) or 0) < FEW


def _from_labels(found: Select[Any]) -> Select[Any]:
    join = labels.join(annotated, annotated.c.id == labels.c.annotation_id)
    join = join.join(items, (items.c.id == annotated.c.item_id) & (items.c.best == annotated.c.id))
    return found.select_from(join).where(_OPEN)


def _from_items(found: Select[Any]) -> Select[Any]:
    return found.select_from(items.join(labels, labels.c.annotation_id == items.c.best)).where(_OPEN_HERE)


def _open_rows(connection: Connection, page: Any) -> dict[int, list[int]]:
    """Return annotation -> its open rows."""
    found: dict[int, list[int]] = defaultdict(list)
    for row in connection.execute(_OPEN_ROWS, {"annotations": [row.best for row in page]}):
        found[row.annotation_id].append(row.row)
    return found


def _size(text: str) -> tuple[int, ...]:
    return tuple(json.loads(text))


def no_item(item_id: str) -> StoreError:
    """Return the error for an item that is not there."""
    return StoreError(f"the project has no item {item_id!r}")
