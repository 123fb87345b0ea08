"""Everything, as JSON: `labels.jsonl` with one record per line, and `schema.json`, the JSON Schema of a line, beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from hyla.codec import json_schema, record_from_dict, record_to_dict
from hyla.errors import FormatError
from hyla.formats import find, inside, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record


class Jsonl(Format):
    """Read and write records as lines of JSON; see `hyla.codec.record_to_dict` for what a line holds. Nothing is lost."""

    name = "jsonl"

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `out`/labels.jsonl and `out`/schema.json as the records come."""
        encoder = msgspec.json.Encoder()
        with writing(out / "labels.jsonl") as file:
            for one in records:
                file.write(encoder.encode(record_to_dict(one, schema)) + b"\n")
        with writing(out / "schema.json") as file:
            file.write(msgspec.json.format(encoder.encode(json_schema(schema))) + b"\n")
        return {}

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield the records of a file, or of the one .jsonl file in a folder; raise FormatError with the line's number."""
        found = find(path, "labels.jsonl", "*.jsonl")
        decoder = msgspec.json.Decoder(dict)
        try:
            with found.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        where = f"{found}, line {number}"
                        try:
                            one = record_from_dict(decoder.decode(line), schema)
                        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                            raise FormatError(f"{where}: {error}", "a line must be one JSON object") from error
                        except FormatError as error:
                            raise FormatError(f"{where}: {error.what}", error.hint, error.choices) from error
                        inside(one.item.uri, where)
                        yield one
        except OSError as error:
            raise FormatError(f"{found} can't be read: {error.strerror}") from error
