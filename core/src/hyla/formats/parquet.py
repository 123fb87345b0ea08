"""Everything, as two tables: `items.parquet`, a row per item, and `labels.parquet`, a row per label, in the same order.

    SELECT class, count(*) FROM 'labels.parquet' GROUP BY class
    SELECT uri FROM 'items.parquet' WHERE labels = 0

Attributes are columns of their own type: `attribute_<name>` of labels, `context_<name>` of items. `shape` holds the numbers of a
polygon ring by ring, and those of any other shape as one list; a mask is its size and COCO's counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hyla import frame as frames
from hyla.errors import ConfigError, FormatError, HylaError, StageError
from hyla.formats import inside, writing
from hyla.geometry import check_runs, check_shape
from hyla.hooks import Format, hookimpl
from hyla.schema import KINDS, Attribute, Schema
from hyla.types import NO_TRACK, Flag, Item, Kind, Labels, Record, Rle, Severity, Verdict

TYPES = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "choice": pa.string()}
WIDTH = {Kind.POLYGON: 2, Kind.POLYLINE: 2, Kind.KEYPOINTS: 3}
FLAG = pa.struct(
    {"rule": pa.string(), "reason": pa.string(), "severity": pa.string(), "rows": pa.list_(pa.int64()), "message": pa.string()}
)
Row = dict[str, Any]
Count = Annotated[int, msgspec.Meta(ge=0)]


class _Flag(msgspec.Struct):
    rule: str
    reason: str
    severity: Severity
    rows: tuple[Count, ...]
    message: str


class _Item(msgspec.Struct):
    id: str
    uri: str
    group: str
    index: Count
    kind: str
    labels: Count
    verdict: Verdict
    source: str
    size: tuple[Count, ...]
    frame: str
    meta: str
    context: str
    attributes: list[str]
    evidence: list[str]
    flags: list[_Flag]


class Parquet(Format):
    """Read and write both tables; nothing is lost.

    Args:
        rows: labels (or, where there are fewer, items) in a row group: what is held in memory at a time.
    """

    name = "parquet"

    def __init__(self, rows: int = 65536) -> None:
        if rows < 1:
            raise ConfigError(f"export.parquet.rows must be 1 or more, got {rows}")
        self.rows = rows

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `out`/items.parquet and `out`/labels.parquet as the records come, a row group at a time."""
        tables = (_items_schema(schema), _labels_schema(schema))
        with (
            writing(out / "items.parquet") as items,
            writing(out / "labels.parquet") as labels,
            pq.ParquetWriter(items, tables[0]) as first,
            pq.ParquetWriter(labels, tables[1]) as second,
        ):
            for some in _groups(records, self.rows):
                for one in some:
                    schema.check(one.labels)
                first.write_table(pa.Table.from_pylist([_item_row(one, schema) for one in some], tables[0]))
                second.write_table(pa.table(_label_columns(some, schema, tables[1]), tables[1]))
        return {}

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a folder that holds both tables; raise FormatError for tables that were not written so."""
        names = [path / "items.parquet", path / "labels.parquet"]
        for name in names:
            if not name.is_file():
                raise FormatError(f"{name} does not exist", "name the folder that holds items.parquet and labels.parquet")
        try:
            with pq.ParquetFile(names[0]) as items, pq.ParquetFile(names[1]) as labels:
                of_item = _Rows(_batches(labels, names[1], _labels_schema(schema), self.rows), schema, names[1])
                for batch in _batches(items, names[0], _items_schema(schema), self.rows):
                    for row in batch.to_pylist():
                        yield _record(row, of_item, schema, f"{names[0]}: item {row['id']!r}")
                of_item.finish()
        except (pa.ArrowException, OSError) as error:
            raise FormatError(f"{path} holds no tables of Hyla: {error}") from error


def _items_schema(schema: Schema) -> pa.Schema:
    text, texts, whole = pa.string(), pa.list_(pa.string()), pa.int64()
    columns = {"id": text, "uri": text, "group": text, "index": whole, "kind": text, "labels": whole, "verdict": text}
    columns |= {"source": text, "size": pa.list_(whole), "flags": pa.list_(FLAG), "frame": text, "meta": text, "context": text}
    columns |= {"attributes": texts, "evidence": texts}  # which columns the item's labels have, even where all is unknown
    columns |= {f"context_{a.name}": TYPES[a.type] for a in schema.attributes_of("image").values()}
    return pa.schema(columns, metadata={"hyla_schema": f"{schema.name}@{schema.version}"})


def _labels_schema(schema: Schema) -> pa.Schema:
    text, whole, number = pa.string(), pa.int64(), pa.float64()
    columns = {"item": text, "uri": text, "group": text, "index": whole, "class": text, "kind": text, "score": number}
    columns |= {"x0": number, "y0": number, "x1": number, "y1": number, "track": whole}
    columns |= {f"attribute_{a.name}": TYPES[a.type] for a in schema.attributes_of("label").values()}
    columns |= {"shape": pa.list_(pa.list_(number)), "mask_size": pa.list_(whole), "mask_counts": text}
    columns |= {"evidence": pa.map_(text, number)}
    return pa.schema(columns, metadata={"hyla_schema": f"{schema.name}@{schema.version}"})


def _groups(records: Iterable[Record], rows: int) -> Iterator[list[Record]]:
    some: list[Record] = []
    size = 0
    for one in records:
        some.append(one)
        size += max(len(one.labels), 1)
        if size >= rows:
            yield some
            some, size = [], 0
    if some:
        yield some


def _item_row(one: Record, schema: Schema) -> Row:
    i, labels = one.item, one.labels
    row: Row = {"id": i.id, "uri": i.uri, "group": i.group, "index": i.index, "kind": i.kind, "labels": len(labels)}
    row |= {"verdict": str(one.verdict), "source": one.source, "size": [int(s) for s in one.size]}
    row |= {"frame": _json(frames.to_dict(one.frame)), "meta": _json(i.meta), "context": _json(labels.context)}
    row |= {"attributes": list(labels.attributes), "evidence": list(labels.evidence)}
    row["flags"] = [
        {"rule": f.rule, "reason": f.reason, "severity": str(f.severity), "rows": list(f.rows), "message": f.message}
        for f in one.flags
    ]
    return row | {f"context_{name}": labels.context.get(name) for name in schema.attributes_of("image")}


def _label_columns(some: Sequence[Record], schema: Schema, table: pa.Schema) -> dict[str, Any]:
    parts = [one.labels for one in some]
    counts = [len(part) for part in parts]
    known = schema.attributes_of("label")

    def of_items(values: Sequence[Any]) -> list[Any]:
        return [value for value, n in zip(values, counts, strict=True) for _ in range(n)]

    box = np.concatenate([part.box for part in parts])
    track = np.concatenate([part.track for part in parts])
    shapes = [_shape(k, s) for part in parts for k, s in zip(part.kind.tolist(), part.shape, strict=True)]
    columns: dict[str, Any] = {
        "item": of_items([one.item.id for one in some]),
        "uri": of_items([one.item.uri for one in some]),
        "group": of_items([one.item.group for one in some]),
        "index": of_items([one.item.index for one in some]),
        "class": [schema.names[c] for part in parts for c in part.class_id.tolist()],
        "kind": [Kind(k).word for part in parts for k in part.kind.tolist()],
        "score": np.concatenate([part.score for part in parts]),
        **{name: box[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))},
        "track": pa.array(track, mask=track == NO_TRACK),
    }
    for name in known:
        columns[f"attribute_{name}"] = [
            None if v is None or v != v else v
            for part, n in zip(parts, counts, strict=True)
            for v in (part.attributes[name].tolist() if name in part.attributes else [None] * n)
        ]
    for i, name in enumerate(("shape", "mask_size", "mask_counts")):
        columns[name] = [shape[i] for shape in shapes]
    columns["evidence"] = [row for part in parts for row in _evidence_rows(part)]
    return {name: pa.array(columns[name], type=table.field(name).type) for name in table.names}


def _shape(kind: int, shape: Any) -> tuple[Any, Any, Any]:
    one = check_shape(kind, shape)
    if isinstance(one, Rle):
        return None, list(one.size), one.counts.decode("ascii")
    if one is None:
        return None, None, None
    return [part.reshape(-1).tolist() for part in (one if isinstance(one, tuple) else (one,))], None, None


def _evidence_rows(labels: Labels) -> list[list[tuple[str, float]]]:
    columns = {name: column.tolist() for name, column in labels.evidence.items()}
    return [[(name, values[row]) for name, values in columns.items()] for row in range(len(labels))]


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=lambda v: v.item() if isinstance(v, np.generic) else dict(v)).decode()


def _batches(file: pq.ParquetFile, path: Path, table: pa.Schema, rows: int) -> Iterator[pa.Table]:
    own = (file.schema_arrow.metadata or {}).get(b"hyla_schema", b"").decode(errors="replace")
    if own != (wanted := table.metadata[b"hyla_schema"].decode()):
        raise FormatError(
            f"{path} was written for schema {own!r}, this is {wanted!r}", "read it with the schema it was written for"
        )
    if missing := set(table.names) - set(file.schema_arrow.names):
        raise FormatError(f"{path} has no column {', '.join(sorted(missing))}")
    for batch in file.iter_batches(rows, columns=table.names):
        yield pa.Table.from_batches([batch]).select(table.names).cast(table)


class _Rows:
    """Hand out the rows of labels.parquet item by item; each batch is turned into one Labels, of which items are slices."""

    def __init__(self, batches: Iterator[pa.Table], schema: Schema, path: Path) -> None:
        self.batches, self.schema, self.path = batches, schema, path
        self.labels, self.items, self.at = Labels.empty(), np.empty(0, dtype=object), 0

    def take(self, item: str, n: int) -> Labels:
        """Return the next `n` labels, which must be those of `item`."""
        parts = []
        while n:
            if self.at == len(self.labels):
                batch = next(self.batches, None)
                if batch is None:
                    raise FormatError(f"{self.path} ends before the labels of item {item!r}")
                self.labels, self.items, self.at = self._labels(batch), np.array(batch["item"].to_pylist(), dtype=object), 0
            rows = slice(self.at, min(self.at + n, len(self.labels)))
            if (self.items[rows] != item).any():
                raise FormatError(f"{self.path} has other labels where those of item {item!r} should be")
            parts.append(self.labels[rows])
            n -= rows.stop - rows.start
            self.at = rows.stop
        return parts[0] if len(parts) == 1 else Labels.concat(parts)

    def finish(self) -> None:
        """Raise FormatError if rows are left that belong to no item."""
        if self.at < len(self.labels) or any(batch.num_rows for batch in self.batches):
            raise FormatError(f"{self.path} holds labels of items that items.parquet does not have")

    def _labels(self, batch: pa.Table) -> Labels:
        values = {name: batch[name].to_pylist() for name in ("class", "kind", "track", "shape", "mask_size", "mask_counts")}
        try:
            kinds = [KINDS[word] for word in values["kind"]]
            classes = [self.schema.ids[name] for name in values["class"]]
        except KeyError as error:
            raise FormatError(f"{self.path}: {error.args[0]!r} is no kind and no class of the schema") from error
        rows = zip(kinds, values["shape"], values["mask_size"], values["mask_counts"], strict=True)
        try:
            labels = Labels.of(
                classes,
                np.stack([batch[name].to_numpy() for name in ("x0", "y0", "x1", "y1")], axis=1),
                score=batch["score"].to_numpy(),
                kind=np.array(kinds, dtype=np.uint8),
                shape=[_shape_of(*row) for row in rows],
                track=[NO_TRACK if t is None else t for t in values["track"]],
            )
        except StageError as error:
            raise FormatError(f"{self.path}: {error.what}", error.hint) from error
        for attribute in self.schema.attributes_of("label").values():
            labels.attributes[attribute.name] = _column(attribute, batch[f"attribute_{attribute.name}"])
        evidence = [dict(pairs or ()) for pairs in batch["evidence"].to_pylist()]
        for name in dict.fromkeys(name for row in evidence for name in row):
            labels.evidence[name] = np.array([row.get(name, np.nan) for row in evidence], dtype=np.float64)
        return labels


def _shape_of(kind: Kind, parts: Any, mask_size: Any, mask_counts: Any) -> Any:
    if kind == Kind.MASK:
        rle = Rle(tuple(mask_size or ()), (mask_counts or "").encode("ascii", "replace"))
        check_runs(rle)
        return rle
    if parts is None or kind in (Kind.TAG, Kind.BOX):
        return check_shape(kind, parts)
    width = WIDTH.get(kind, 1)
    if any(part is None or len(part) % width for part in parts) or (kind != Kind.POLYGON and len(parts) != 1):
        raise StageError(f"the shape of a {kind.word} is not {width} numbers to a point")
    arrays = [np.array(part, dtype=np.float64) for part in parts]
    arrays = [a.reshape(-1, width) for a in arrays] if kind in WIDTH else arrays
    return check_shape(kind, tuple(arrays) if kind == Kind.POLYGON else arrays[0])


def _column(attribute: Attribute, column: Any) -> Any:
    if attribute.type in ("integer", "number"):
        return column.to_numpy(zero_copy_only=False).astype(np.float64)
    out = np.empty(len(column), dtype=object)
    out[:] = column.to_pylist()
    return out


def _record(row: Row, of_item: _Rows, schema: Schema, where: str) -> Record:
    try:
        given = msgspec.convert(row, _Item, strict=True)
        meta, context, frame = (
            msgspec.json.decode(text, type=dict[str, Any]) for text in (given.meta, given.context, given.frame)
        )
        flags = tuple(Flag(f.rule, f.reason, f.severity, f.rows, f.message) for f in given.flags)
        labels = of_item.take(given.id, given.labels)
        names = {**labels.attributes}
        known = schema.attributes_of("label")
        labels.attributes = {
            n: names[n] if n in names else _column(known[n], pa.nulls(0, TYPES[known[n].type])) for n in given.attributes
        }
        labels.evidence = {n: labels.evidence.get(n, np.full(len(labels), np.nan)) for n in given.evidence}
        labels.context = context
        schema.check(labels)
        if any(r >= len(labels) for flag in flags for r in flag.rows):
            raise StageError("a flag is about a label that is not there")
        inside(given.uri, where)
        item = Item(given.id, given.uri, given.group, given.index, given.kind, meta)
        return Record(item, labels, flags, given.verdict, given.source, given.size, frames.from_dict(frame))
    except FormatError:
        raise
    except KeyError as error:
        raise FormatError(f"{where}: the schema has no attribute {error.args[0]!r}") from error
    except (msgspec.MsgspecError, HylaError) as error:
        raise FormatError(
            f"{where}: {getattr(error, 'what', error)}", getattr(error, "hint", ""), getattr(error, "choices", ())
        ) from error
