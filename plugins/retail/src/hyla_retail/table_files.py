"""Write and read one table as Parquet, CSV or JSON Lines, by the name of its file: some rows at a time, and the same rows back.

A CSV file has a column `box_x0` for the field x0 of a struct `box`, and lists as JSON. Empty text is `""` there, and what is not
known an empty cell. Programs for tables run cells that begin with = + - @ as formulas: such text gets a ' in front, which reading
takes off again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from hyla.errors import ConfigError, FormatError
from hyla.formats import inside, writing

KINDS = (".parquet", ".csv", ".jsonl")
ROWS = 8192  # held in memory at a time
Row = Mapping[str, Any]
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_BLOCK = 16 << 20  # bytes of a CSV file read at a time, in which a row must fit


def checked(file: str, where: str, kinds: Sequence[str] = KINDS) -> str:
    """Return the name of a file for a table; raise ConfigError if it leads elsewhere or its ending is none of `kinds`."""
    try:
        name = inside(file, where)
    except FormatError as error:
        raise ConfigError(error.what, error.hint) from error
    if Path(name).suffix not in kinds:
        raise ConfigError(
            f"{where}={file}: the ending says what kind of file it is", f"name it {Path(name).stem}{kinds[0]}", kinds
        )
    return name


@contextmanager
def writing_table(path: Path, schema: pa.Schema, about: Mapping[str, str] | None = None) -> Iterator[Callable[[Row], None]]:
    """Open a table, and give a function that adds a row to it; the file takes its name when the table is whole.

    Args:
        path: whose ending says what kind of file it is.
        schema: names and types of the columns; a row that lacks one has null there.
        about: what the metadata of a Parquet file say.

    Raises:
        FormatError: if the file can't be written.
    """
    rows: list[Row] = []
    with writing(path) as file, _writer(file, path.suffix, schema, about or {}) as write:

        def add(row: Row) -> None:
            rows.append(row)
            if len(rows) >= ROWS:
                write(rows)
                rows.clear()

        yield add
        if rows:
            write(rows)


def write_table(path: Path, schema: pa.Schema, rows: Iterable[Row], about: Mapping[str, str] | None = None) -> None:
    """Write a whole table; see `writing_table`."""
    with writing_table(path, schema, about) as add:
        for row in rows:
            add(row)


def read_table(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table that `writing_table` wrote; raise FormatError for a file that is none, or lacks a column."""
    try:
        if path.suffix == ".jsonl":
            yield from _json_lines(path, schema)
        elif path.suffix == ".csv":
            yield from _csv_rows(path, schema)
        else:
            with pq.ParquetFile(path) as file:
                _demand(file.schema_arrow.names, schema.names, path)
                for batch in file.iter_batches(ROWS, columns=schema.names):
                    yield from pa.Table.from_batches([batch]).select(schema.names).cast(schema).to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError, msgspec.MsgspecError, RecursionError) as error:
        raise FormatError(
            f"{path} is no table of Hyla, or a damaged one: {error}", "write it again with `hyla export`"
        ) from error


def safe(text: str) -> str:
    """Return text that a program for tables does not take for a formula; see `plain`."""
    return f"'{text}" if _FORMULA.match(text) else text


def plain(text: str) -> str:
    """Return the text that `safe` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


@contextmanager
def _writer(file: Any, kind: str, schema: pa.Schema, about: Mapping[str, str]) -> Iterator[Callable[[list[Row]], None]]:
    if kind == ".jsonl":
        encoder = msgspec.json.Encoder()
        yield lambda rows: file.writelines(encoder.encode({n: row.get(n) for n in schema.names}) + b"\n" for row in rows)
    elif kind == ".csv":
        flat = pa.schema([(name, _csv_type(field.type)) for name, _, field in _flat(schema)])
        with pa_csv.CSVWriter(file, flat) as writer:
            yield lambda rows: writer.write_table(_csv_table(rows, schema, flat))
    else:
        own = schema.with_metadata(dict(about))
        with pq.ParquetWriter(file, own, compression="zstd") as writer:
            yield lambda rows: writer.write_table(pa.Table.from_pylist(list(rows), own))


def _flat(schema: pa.Schema) -> Iterator[tuple[str, tuple[str, ...], pa.Field]]:
    """Yield name, path and field of each column that a CSV file has."""
    for field in schema:
        if pa.types.is_struct(field.type):
            yield from ((f"{field.name}_{part.name}", (field.name, part.name), part) for part in field.type)
        else:
            yield field.name, (field.name,), field


def _csv_type(of: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_nested(of) else of


def _csv_table(rows: Sequence[Row], schema: pa.Schema, flat: pa.Schema) -> pa.Table:
    columns = []
    for name, path, field in _flat(schema):
        values: list[Any] = list(rows)
        for part in path:
            values = [None if value is None else value.get(part) for value in values]
        if pa.types.is_nested(field.type):
            values = [None if value is None else msgspec.json.encode(value).decode() for value in values]
        elif pa.types.is_string(field.type):
            values = [None if value is None else safe(value) for value in values]
        columns.append(pa.array(values, flat.field(name).type))
    return pa.table(columns, flat)


def _csv_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    fields = list(_flat(schema))
    types = {name: _csv_type(field.type) for name, _, field in fields}
    options = pa_csv.ConvertOptions(
        column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False, check_utf8=True
    )
    reading, parsing = pa_csv.ReadOptions(block_size=_BLOCK), pa_csv.ParseOptions(newlines_in_values=True)
    with pa_csv.open_csv(path, reading, parsing, options) as batches:
        _demand(batches.schema.names, list(types), path)
        for batch in batches:
            for cells in batch.to_pylist():
                row: dict[str, Any] = {}
                for name, place, field in fields:
                    value = cells[name]
                    if value is not None and pa.types.is_nested(field.type):
                        value = msgspec.json.decode(value)
                    elif isinstance(value, str):
                        value = plain(value)
                    if len(place) == 1:
                        row[name] = value
                    else:
                        row.setdefault(place[0], {})[place[1]] = value
                yield row


def _json_lines(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row = decoder.decode(line)
                _demand(list(row), schema.names, f"{path} line {number}")
                yield row


def _demand(found: Sequence[str], wanted: Sequence[str], where: Path | str) -> None:
    if missing := [name for name in wanted if name not in found]:
        raise FormatError(f"{where} has no column {', '.join(missing)}", "was it written for another schema?")
