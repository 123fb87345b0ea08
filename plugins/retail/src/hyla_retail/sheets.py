"""Read tables that nobody vouches for, as rows of text: CSV of any encoding and delimiter, with broken rows, and Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hyla.errors import ConfigError

DELIMITERS = ",;\t|"
MOST_BYTES = 1 << 30
MOST_ROWS = 10_000_000  # of Parquet, which holds more in fewer bytes than a CSV
MOST_LINES = 1000  # of one record
_ODD = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8, as `surrogateescape` writes them
_BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Problem(NamedTuple):
    """Say what is wrong in one row of a table.

    Args:
        row: number as a spreadsheet counts: the header is row 1, the first row of data row 2.
        column: name of the column, or empty for the row as a whole.
        reason: what is wrong, and what became of it.
    """

    row: int
    column: str
    reason: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """Hold the rows of a table that have the right number of cells.

    Args:
        path: of the file.
        columns: names, as the header has them.
        rows: cells as text, each row as long as `columns`.
        numbers: of the rows, as `Problem` counts them.
        problems: rows that are left out.
        encoding: that the file was read in; empty for Parquet.
        numeric: places of the columns that hold numbers, written here with a point, and no text.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int]
    problems: tuple[Problem, ...]
    encoding: str = ""
    numeric: frozenset[int] = frozenset()


def read_sheet(path: Path) -> Sheet:
    """Return the rows of a CSV, TSV or Parquet file.

    Raises:
        ConfigError: for a file that can't be read, is empty, or is no table.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} is larger than {MOST_BYTES >> 20} MB", "leave out columns that are not needed")
        if path.suffix.lower() in (".parquet", ".pq"):
            return _parquet(path)
        return _csv(path, path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror or error}") from error


def decoded(data: bytes) -> tuple[str, str]:
    """Return bytes as text, and the encoding: by its mark, else UTF-8 if it is that, else Windows-1252, else Latin-1.

    A file put together from several, mostly UTF-8 and here and there Windows-1252, is read as both, byte by byte.
    """
    for mark, encoding in _BOMS.items():
        if data.startswith(mark):
            return data.decode(encoding, "replace"), encoding
    text = data.decode("utf-8", "surrogateescape")
    odd = set(_ODD.findall(text))
    if not odd:
        return text, "utf-8"
    bad = sum(text.count(one) for one in odd)
    if sum(not one.isascii() for one in text) > 2 * bad:
        western = {ord(one): one.encode("utf-8", "surrogateescape").decode("cp1252", "replace") for one in odd}
        return text.translate(western), "utf-8 and cp1252"
    try:
        return data.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def delimiter_of(lines: Sequence[str]) -> str:
    """Return the delimiter that cuts the header into most cells, of those that cut half of the first lines into as many."""

    def rank(sign: str) -> tuple[bool, int]:
        widths = list(_widths(lines[:20], sign)) or [0]
        return 2 * widths.count(widths[0]) >= len(widths) and widths[0] > 1, widths[0]

    return max(DELIMITERS, key=rank)


def _widths(lines: Sequence[str], delimiter: str) -> Iterator[int]:
    try:
        for row in csv.reader(lines, delimiter=delimiter):
            yield len(row)
    except csv.Error:  # a cell longer than csv takes: the rows above it tell
        return


def _csv(path: Path, data: bytes) -> Sheet:
    text, encoding = decoded(data)
    if "\0" in text[:4096]:
        raise ConfigError(f"{path} is no table of text", "give CSV, TSV or Parquet; save a spreadsheet as CSV in UTF-8")
    lines = list(io.StringIO(text, newline=""))  # ends of lines as csv knows them: str.splitlines knows more
    start, delimiter = 0, ""
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].rstrip("\r\n")) == 5:  # Excel writes it above the header
        start, delimiter = 1, lines[0][4]
    while start < len(lines) and not lines[start].strip():
        start += 1
    if start == len(lines):
        raise ConfigError(f"{path} is empty", "it needs a row of column names, and rows below it")
    records = _records(lines, start, delimiter or delimiter_of(lines[start : start + 20]))
    columns = [name.strip() for name in next(records)[1] or ()]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise ConfigError(f"{path} has no column names", "its first row must name the columns")
    width = len(columns)
    rows, numbers, problems = [], [], []
    for number, cells in records:
        if cells is None:
            problems.append(Problem(number, "", "a quote in it is never closed: left out"))
        elif len(cells) == width or (len(cells) > width and not any(map(str.strip, cells[width:]))):
            rows.append(cells[:width])
            numbers.append(number)
        elif any(map(str.strip, cells)):
            problems.append(Problem(number, "", f"it has {len(cells)} cells, the header has {width}: left out"))
    return Sheet(path, tuple(columns), rows, numbers, tuple(problems), encoding)


def _records(lines: Sequence[str], start: int, delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the number and cells of each record; None for a line whose quote is never closed, which ends with the line.

    A quote that is never closed swallows the lines below it. So a record of several lines must have as many cells as the header,
    be rightly quoted and no longer than `MOST_LINES`; else its first line is given up, and the next one read anew.
    """
    at, number, width, before = start, 1, 0, 0

    def fed() -> Iterator[str]:  # so that a file full of open quotes is not read as often as it has lines
        for n in range(at, len(lines)):
            if n - at - before == MOST_LINES:
                return
            yield lines[n]

    while at < len(lines):
        before = 0
        reader = csv.reader(fed(), delimiter=delimiter)
        try:
            for cells in reader:
                if reader.line_num - before > 1 and not _whole(lines[at + before : at + reader.line_num], delimiter, width):
                    break
                width = width or len(cells)
                yield number, cells
                before = reader.line_num
                number += 1
            else:
                return
        except csv.Error:  # a cell longer than csv takes: its quote was not closed
            pass
        yield number, None
        at, number = at + before + 1, number + 1


def _whole(lines: Sequence[str], delimiter: str, width: int) -> bool:
    try:
        cells = next(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return False
    return not width or len(cells) == width


def _parquet(path: Path) -> Sheet:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            size, schema = file.metadata.num_rows, file.schema_arrow
            if size > MOST_ROWS:
                raise ConfigError(f"{path} has {size:,} rows", f"{MOST_ROWS:,} at most: leave out those that are not needed")
            if len(set(schema.names)) < len(schema.names):
                raise ConfigError(f"{path} has several columns of one name", "rename them", schema.names)
            table = file.read(columns=[field.name for field in schema if _words(field.type)])
    except (pa.ArrowException, ValueError) as error:
        raise ConfigError(f"{path} can't be read as Parquet: {error}") from error
    columns = tuple(schema.names)
    if not columns:
        raise ConfigError(f"{path} has no columns")
    blank = [""] * size
    cells = [_cells(table[field.name]) if _words(field.type) else blank for field in schema]
    numeric = frozenset(n for n, field in enumerate(schema) if _fraction(field.type))
    return Sheet(path, columns, list(zip(*cells, strict=True)), range(2, size + 2), (), numeric=numeric)


def _cells(column: Any) -> list[str]:
    """Return a column of Parquet as text. A number of 16 or 32 bits has the digits that it was written with."""
    import pyarrow as pa

    narrow = {pa.float16(): np.float16, pa.float32(): np.float32}.get(column.type)
    values = column.to_pylist()
    if narrow is not None:
        values = [None if value is None else float(str(narrow(value))) for value in values]
    return [_text(value) for value in values]


def _fraction(kind: Any) -> bool:
    """Tell whether a type of Arrow holds numbers that may have decimals."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _words(kind: Any) -> bool:
    """Tell whether a type of Arrow holds words, numbers or lists of words: no vectors, pictures or structs, which are large."""
    import pyarrow as pa

    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return bool(pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _text(value: Any) -> str:
    """Return a value of Parquet as a CSV would hold it; the parts of a list on lines of their own."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"  # str would write 1E-7
    return "\n".join(map(_text, value)) if isinstance(value, list) else str(value)
