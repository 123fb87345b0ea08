"""Keep lots: what was judged together, frozen; what became of it; and what it asks of each item.

A lot, and each event of one, is written once and hashed: an event holds the hash of the one before it, the first that of the lot.
What a lot asks of an item is routing state, written anew with each routing.
"""

from __future__ import annotations

import json
import secrets
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Update, bindparam, func, insert, select, update
from sqlalchemy.sql.compiler import SQLCompiler

from hyla.decide.route import ALWAYS, Route, routed
from hyla.errors import StageError, StoreError
from hyla.store.database import Database, now
from hyla.store.held import CHUNK, SOME, ask_all
from hyla.store.routing import first_lane, principal, read_route, write_route
from hyla.store.rows import canonical, flag_of
from hyla.store.tables import annotated, flags, items, labels, lot_events, lots
from hyla.types import Flag, Severity, Verdict

if TYPE_CHECKING:
    from hyla.decide.lot import Lot

_ROUTED = ("verdict", "reason", "lane", "route", "priority")  # columns that a route sets, in the order of the table
_LOT = [lots.c[name] for name in ("id", "created", "settings", "digest", "seed", "hash")]
_ITEMS = select(*(items.c[name] for name in ("id", "machine", "decided", *_ROUTED)))
_ITEMS = (
    _ITEMS.add_columns(annotated.c.n).join_from(items, annotated, annotated.c.id == items.c.machine).where(items.c.id.in_(SOME))
)
_ROUTES = select(items.c.id, items.c.route, items.c.priority).where(items.c.id.in_(SOME), items.c.route.is_not(None))
_STRONG = (*ALWAYS, Severity.REJECT)  # flags that count for an item that a lot routed
_FLAGS = select(flags).where(flags.c.item_id.in_(SOME), flags.c.severity.in_([s.value for s in _STRONG])).order_by(flags.c.id)
_WORDS = select(labels.c.annotation_id, labels.c.row, labels.c.verdict)
_WORDS = _WORDS.where(labels.c.annotation_id.in_(SOME), labels.c.verdict != Verdict.ACCEPT.value)
_PUT = update(items).where(items.c.id == bindparam("item")).values({name: bindparam(f"new_{name}") for name in _ROUTED})
_PLACE = update(items).where(items.c.id == bindparam("item")).values(priority=bindparam("new_priority"))
_SAY = update(labels).where(labels.c.annotation_id == bindparam("annotation"), labels.c.row == bindparam("place"))
_SAY = _SAY.values(verdict=bindparam("word"))
_CLOSE = update(labels).where(labels.c.annotation_id.in_(SOME), labels.c.verdict == Verdict.REVIEW.value)
_CLOSE = _CLOSE.values(verdict=Verdict.ACCEPT.value)
_Words = dict[int, str]  # of the labels of an item that are not accept, by row


@dataclass(frozen=True, slots=True)
class LotEvent:
    """Hold what became of a lot once: `kind` names it, `body` says more."""

    id: int
    at: str
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LotRow:
    """Hold a frozen lot without its contents: its number from 1, the seed of all chance in it, and what became of it."""

    number: int
    created: str
    settings: dict[str, Any]
    digest: str
    seed: str
    events: list[LotEvent]


def freeze(database: Database, lot: Lot, settings: Mapping[str, Any], seed: str | None) -> int:
    """Store a lot as `Project.freeze` says, and return its number."""
    blob = lot.pack()
    digest = sha256(blob).hexdigest()
    values = {"created": now(), "settings": _text(settings, "the settings of a lot"), "digest": digest}
    if seed is not None and not seed:
        raise StoreError("the seed of a lot is empty", "leave it out to have one drawn")
    values["seed"] = secrets.token_hex(16) if seed is None else seed  # drawn last: whoever made the lot could not know it
    packed = zlib.compress(blob, 1)
    with database.write(durable=True) as connection:
        number = (connection.scalar(select(func.max(lots.c.id))) or 0) + 1
        row = {"id": number, **values}
        connection.execute(insert(lots), {**row, "hash": hash_of(row), "blob": packed})
    return number


def rows(database: Database) -> list[LotRow]:
    """Return the lots, first to last, each with its events in their order."""
    with database.read() as connection:
        found: dict[int, list[LotEvent]] = defaultdict(list)
        for row in connection.execute(select(lot_events).order_by(lot_events.c.id)):
            found[row.lot].append(LotEvent(row.id, row.at, row.kind, json.loads(row.body)))
        return [
            LotRow(row.id, row.created, json.loads(row.settings), row.digest, row.seed, found[row.id])
            for row in connection.execute(select(*_LOT).order_by(lots.c.id))
        ]


def unpack(database: Database, number: int) -> Lot:
    """Return the lot `number`; raise StoreError if there is none, or it was changed."""
    from hyla.decide.lot import Lot

    with database.read() as connection:
        row = connection.execute(select(lots.c.digest, lots.c.blob).where(lots.c.id == number)).first()
    if row is None:
        raise no_lot(number)
    try:
        blob = zlib.decompress(row.blob)
    except zlib.error as e:
        raise changed(number) from e
    if sha256(blob).hexdigest() != row.digest:
        raise changed(number)
    return Lot.unpack(blob)


def note(database: Database, number: int, kind: str, body: Mapping[str, Any]) -> None:
    """Add an event to a lot; once this returns, it is on the disk."""
    with database.write(durable=True) as connection:
        add_event(connection, number, kind, body)


def add_event(connection: Connection, number: int, kind: str, body: Mapping[str, Any]) -> None:
    """Add an event to a lot in a transaction that writes."""
    lot = connection.scalar(select(lots.c.hash).where(lots.c.id == number))
    if lot is None:
        raise no_lot(number)
    last = select(lot_events.c.hash).where(lot_events.c.lot == number).order_by(lot_events.c.id.desc()).limit(1)
    before = connection.scalar(last) or lot
    id_ = (connection.scalar(select(func.max(lot_events.c.id))) or 0) + 1
    row = {"id": id_, "lot": number, "at": now(), "kind": kind, "body": _text(body, f"the event {kind!r} of a lot")}
    connection.execute(insert(lot_events), {**row, "hash": hash_of(row, before)})


def routes(database: Database, ids: Iterable[str]) -> dict[str, Route]:
    """Return item id -> what a lot asks of it, of those of `ids` that one routed."""
    found = {}
    with database.read() as connection:
        for row in ask_all(connection, _ROUTES, ids):
            if one := read_route(row.id, row.route, row.priority):
                found[row.id] = one
    return found


def route(database: Database, number: int, given: Iterable[Route]) -> None:
    """Route items as `Project.route` says."""
    wanted: dict[str, Route] = {}
    for one in given:
        if one.item_id in wanted:
            raise StoreError(f"item {one.item_id!r} is routed twice", "give one route for each item")
        wanted[one.item_id] = one
    with database.write() as connection:
        check_lot(connection, number)
        found = ask_all(connection, _ITEMS, wanted)
        if missing := wanted.keys() - {row.id for row in found}:
            raise StoreError(f"the project has no item {min(missing)!r}", "route items that are stored")
        _route(connection, wanted, found)


def _route(connection: Connection, wanted: Mapping[str, Route], found: list[Any]) -> None:
    """Write what changes: of items that somebody decided on the place in the queue, of the others all that follows."""
    free = [row for row in found if row.decided is None]
    flagged: dict[str, list[Flag]] = defaultdict(list)
    for row in ask_all(connection, _FLAGS, [row.id for row in free]):
        flagged[row.item_id].append(flag_of(row))
    moved = [(wanted[row.id].priority, row.id) for row in found if row.decided is not None]
    put, closed, odd = list[tuple[Any, ...]](), list[int](), dict[int, _Words]()
    for item_id, machine, _, *old, n in free:
        one, judged = wanted[item_id], flagged.get(item_id, ())
        verdict, words = _follows(n, judged, one)
        new = [verdict.value, principal(judged, verdict, one), first_lane(verdict), write_route(one), float(one.priority)]
        if new == old:
            continue  # the words follow from what did not change
        put.append((*new, item_id))
        if words or judged or old[0] == Verdict.REJECT:
            odd[machine] = words
        elif old[0] == Verdict.REVIEW:
            closed.append(machine)  # all that is open of it, without a look at each label
    for start in range(0, len(closed), CHUNK):
        connection.execute(_CLOSE, {"some": closed[start : start + CHUNK]})
    _many(connection, _PUT, (*(f"new_{name}" for name in _ROUTED), "item"), put)
    _many(connection, _PLACE, ("new_priority", "item"), moved)
    _many(connection, _SAY, ("word", "annotation", "place"), _differences(connection, odd))


def _differences(connection: Connection, wanted: Mapping[int, _Words]) -> list[tuple[Any, ...]]:
    """Return the labels whose words must change, of annotations that have other words than open ones."""
    stored: dict[int, _Words] = {machine: {} for machine in wanted}
    for row in ask_all(connection, _WORDS, wanted):
        stored[row.annotation_id][row.row] = row.verdict
    return [
        (words.get(place, Verdict.ACCEPT.value), machine, place)
        for machine, words in wanted.items()
        for place in stored[machine].keys() | words.keys()
        if stored[machine].get(place) != words.get(place)
    ]


def _many(connection: Connection, statement: Update, names: tuple[str, ...], values: list[tuple[Any, ...]]) -> None:
    """Run an update for each tuple of values of the parameters `names`; as tuples they go to the driver, which is far faster."""
    if not values:
        return
    compiled = statement.compile(dialect=connection.dialect)
    if isinstance(compiled, SQLCompiler) and compiled.positional and tuple(compiled.positiontup or ()) == names:
        connection.exec_driver_sql(str(compiled), values)
    else:
        connection.execute(statement, [dict(zip(names, one, strict=True)) for one in values])


def _follows(n: int, judged: Iterable[Flag], one: Route) -> tuple[Verdict, _Words]:
    """Return the verdict of an item and the words of its labels; of most, which no flag names, without a look at each label."""
    try:
        if judged or (one.rows and not 0 <= min(one.rows) <= max(one.rows) < n):
            verdict, words = routed(range(n), list(judged), one)
            return verdict, {row: word for row, word in enumerate(words.tolist()) if word != Verdict.ACCEPT}
    except StageError as e:
        raise StoreError(e.what, "route the labels of the machine that were frozen") from e
    asked = dict.fromkeys(one.rows, Verdict.REVIEW.value)
    return Verdict.REVIEW if one.whole or asked else Verdict.ACCEPT, asked


def hash_of(row: Mapping[str, Any], before: str = "") -> str:
    """Return the sha256 of a lot's row without the blob, or of an event's and the hash `before` it."""
    return sha256(canonical({**row, "before": before}).encode()).hexdigest()


def check_lot(connection: Connection, number: int) -> None:
    """Raise StoreError if there is no lot of this number."""
    if connection.scalar(select(lots.c.id).where(lots.c.id == number)) is None:
        raise no_lot(number)


def no_lot(number: int) -> StoreError:
    """Return the error for a lot that is not there."""
    return StoreError(f"the project has no lot number {number}")


def changed(number: int) -> StoreError:
    """Return the error for a lot that is not as it was frozen."""
    return StoreError(
        f"lot {number} was changed after it was frozen: its digest does not fit", "run `hyla verify` on the project"
    )


def _text(value: Mapping[str, Any], what: str) -> str:
    try:
        text = canonical(dict(value))
        text.encode()
    except (TypeError, ValueError) as e:
        raise StoreError(f"{what} can't be kept as JSON: {e}") from e
    return text
