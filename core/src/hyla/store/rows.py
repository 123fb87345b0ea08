"""Turn what a run hands over into rows of the tables, and rows back into records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from itertools import repeat
from typing import Any

import numpy as np
from sqlalchemy import func, insert, select
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from hyla import codec
from hyla import frame as frames
from hyla.decide.route import Words
from hyla.errors import StageError, StoreError
from hyla.frame import Frame
from hyla.store import tables
from hyla.store.database import now
from hyla.store.naming import names_of, stored_identity, titles_of
from hyla.store.routing import first_lane, first_words, principal
from hyla.types import Flag, Item, Labels, Record, Severity

ROLES = ("model", "truth", "human")
_WORDS = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=lambda v: _plain(v))
ITEM_COLUMNS = ("id", "ordinal", "uri", "grp", "idx", "kind", "meta", "size", "frame", "context")
FLAG_COLUMNS = ("item_id", "rule", "reason", "severity", "rows", "message")
LABEL_COLUMNS = ("row", "class_id", "kind", "score", "track", "x0", "y0", "x1", "y1", "name", "title")


@dataclass(frozen=True, slots=True)
class Stored:
    """Hand over a labelled item: its record, its position in the scan from 0, and the seconds it took."""

    record: Record
    ordinal: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Hand over an item that could not be used: its position in the scan, the stage that refused it, and why."""

    item: Item
    ordinal: int
    stage: str
    reason: str


Entry = Stored | Quarantined


@dataclass
class Batch:
    """Gather the rows of one transaction and insert them table by table, which is far faster than item by item.

    Args:
        next_id: the id of the next annotation; see `open`.
        created: the time of all of it.
        identity: the attribute that names labels, if the project has one.
    """

    next_id: int
    created: str
    identity: str | None = None
    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {name: [] for name in ("items", "quarantine", "annotations", "flags")}
    )
    labels: list[tuple[Any, ...]] = field(default_factory=list)

    @classmethod
    def open(cls, connection: Connection) -> Batch:
        """Begin a batch in a transaction that writes: nobody else can take its ids."""
        last = connection.scalar(select(func.coalesce(func.max(tables.annotated.c.id), 0))) or 0
        return cls(last + 1, now(), stored_identity(connection))

    def store(self, entry: Stored, run: int) -> None:
        """Add an item with the labels and flags of the machine; raise StageError, adding nothing, for what can't be stored."""
        record = entry.record
        if role_of(record.source) != "model":
            raise StoreError(f"a run can't store labels of {record.source!r}", "a machine signs its labels model:NAME@DIGEST")
        item, labels = record.item, record.labels
        words = first_words(len(labels), record.flags, record.verdict)
        row = _item_row(item, entry.ordinal, run)
        reason = principal(record.flags, record.verdict)
        row["id"] = row.pop("item_id")
        row["size"] = _json([int(n) for n in record.size], item, "a size")
        row["frame"] = _frame(record.frame, item)
        row["context"] = _json(labels.context, item, "a context")
        try:
            row["digest"] = row_digest(row[name] for name in ITEM_COLUMNS)
            flagged = list(_flag_rows(item.id, record.flags))
        except UnicodeEncodeError as e:  # a file name can hold bytes that are no text
            raise StageError(f"item {item.id!r} has a name or a flag that is not Unicode: {e}") from e
        row |= {"seconds": entry.seconds, "verdict": record.verdict.value, "reason": reason, "decided": None, "outcome": None}
        row |= {"lane": first_lane(record.verdict), "answered": "", "seconded": "", "route": None, "priority": 0.0, "twin": ""}
        row["machine"], _ = self.annotate(item.id, labels, record.source, 0, run, words)
        row["best"] = row["machine"]
        self.rows["items"].append(row)
        self.rows["flags"] += flagged

    def quarantine(self, entry: Quarantined, run: int) -> None:
        """Add an item that could not be used; a file name that is not Unicode is kept with its odd bytes written out."""
        row = {**_item_row(entry.item, entry.ordinal, run), "stage": entry.stage, "reason": entry.reason}
        texts = {k: v.encode("utf-8", "backslashreplace").decode() for k, v in row.items() if isinstance(v, str)}
        self.rows["quarantine"].append({**row, **texts})

    def annotate(
        self, item_id: str, labels: Labels, source: str, rev: int, run: int | None, verdicts: Words | None = None
    ) -> tuple[int, str]:
        """Add what one source says of an item, and return the annotation's id and digest."""
        blob = codec.pack(labels)
        id_, digest = self.next_id, digest_of(item_id, source, rev, blob)
        self.next_id += 1
        role = source.partition(":")[0]
        about = {"id": id_, "item_id": item_id, "source": source, "role": role, "rev": rev, "run": run}
        self.rows["annotations"].append({**about, "created": self.created, "n": len(labels), "blob": blob, "digest": digest})
        words = repeat("accept", len(labels)) if verdicts is None else verdicts.tolist()
        self.labels += zip(repeat(id_, len(labels)), *label_columns(labels, self.identity), words, strict=True)
        return id_, digest

    def flag(self, item_id: str, flags: Iterable[Flag], known: Iterable[str] = ()) -> None:
        """Add the flags of an item, leaving out those of which the digest is known."""
        self.rows["flags"] += _flag_rows(item_id, flags, known)

    def insert(self, connection: Connection) -> None:
        """Write all rows."""
        for name, rows in self.rows.items():
            if rows:
                connection.execute(insert(tables.metadata.tables[name]), rows)
        if self.labels:
            compiled = _insert_labels(connection.dialect)
            if compiled.positional:  # there are many of them: tuples go to the driver as they are
                connection.exec_driver_sql(str(compiled), self.labels)
            else:
                names = tables.labels.c.keys()
                connection.execute(insert(tables.labels), [dict(zip(names, row, strict=True)) for row in self.labels])


@lru_cache(maxsize=8)
def _insert_labels(dialect: Dialect) -> SQLCompiler:
    return insert(tables.labels).compile(dialect=dialect)


def canonical(value: Any) -> str:
    """Return `value` as the one JSON text that stands for it: keys sorted, no spaces, no NaN.

    Raises:
        ValueError, TypeError: for what JSON can't hold.
    """
    return _WORDS.encode(value)


def digest_of(item_id: str, source: str, rev: int, blob: bytes) -> str:
    """Return the sha256 of an annotation, which binds the labels to the item and to who said them."""
    return sha256(canonical([item_id, source, rev]).encode() + b"\n" + blob).hexdigest()


def row_digest(values: Iterable[Any]) -> str:
    """Return the sha256 of an item or a flag: of its columns ITEM_COLUMNS or FLAG_COLUMNS."""
    return sha256(canonical(list(values)).encode()).hexdigest()


def label_columns(labels: Labels, identity: str | None) -> tuple[Iterable[Any], ...]:
    """Return LABEL_COLUMNS, each of length n; `identity` is the attribute that names labels."""
    columns = (labels.class_id, labels.kind, labels.score, labels.track, *labels.box.T)
    return (range(len(labels)), *(column.tolist() for column in columns), names_of(labels, identity), titles_of(labels, identity))


def item_of(row: Any, item_id: str) -> Item:
    """Return the item that a row of items or of quarantine describes."""
    return Item(item_id, row.uri, row.grp, row.idx, row.kind, json.loads(row.meta))


def flag_of(row: Any) -> Flag:
    """Return the flag of a row."""
    return Flag(row.rule, row.reason, Severity(row.severity), tuple(json.loads(row.rows)), row.message)


@lru_cache(maxsize=256)
def frame_of(text: str) -> Frame:
    """Return the frame that the store keeps as `text`."""
    return frames.from_dict(json.loads(text))


def role_of(source: str) -> str:
    """Return the role in `role:name`; raise StoreError for a source of another form."""
    role, _, name = source.partition(":")
    if role not in ROLES or not name or not name.isprintable():
        raise StoreError(
            f"{source!r} does not say whose labels these are", "write role:name, as in truth:survey", [f"{r}:NAME" for r in ROLES]
        )
    return role


def _item_row(item: Item, ordinal: int, run: int) -> dict[str, Any]:
    row = {"item_id": item.id, "ordinal": ordinal, "uri": item.uri, "grp": item.group, "idx": item.index}
    return {**row, "kind": item.kind, "meta": _json(item.meta, item, "meta"), "run": run}


def _flag_rows(item_id: str, flags: Iterable[Flag], known: Iterable[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the rows of flags, each once, that are not known."""
    seen = set(known)
    for flag in flags:
        rows = canonical([int(r) for r in flag.rows])
        values = (item_id, flag.rule, flag.reason, flag.severity.value, rows, flag.message)
        digest = row_digest(values)
        if digest not in seen:
            seen.add(digest)
            yield {**dict(zip(FLAG_COLUMNS, values, strict=True)), "digest": digest}


def _frame(frame: Frame, item: Item) -> str:
    if type(frame) is Frame:  # the commonest
        return '{"kind":"pixel"}'
    if type(frame) not in frames.NAMES:
        raise StageError(f"item {item.id!r} has a frame of the unknown type {type(frame).__name__}", choices=frames.FRAMES)
    return _json(frames.to_dict(frame), item, "a frame")


def _json(value: Any, item: Item, what: str) -> str:
    if value == {}:  # the commonest
        return "{}"
    try:
        text = canonical(value)
        text.encode()
    except (TypeError, ValueError) as e:  # UnicodeEncodeError is a ValueError
        raise StageError(f"item {item.id!r} has {what} that JSON can't hold: {e}") from e
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is not JSON")
