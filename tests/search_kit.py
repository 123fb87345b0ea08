"""Search everything that a program wrote for words that must not be there, however they are coded."""

from __future__ import annotations

import gzip
import re
import sqlite3
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path


def codings(word: str) -> set[bytes]:
    """Return `word` as it may lie in bytes, in lower case: UTF-8, UTF-16, hexadecimal; and base64, as it is."""
    low = word.lower()
    return {low.encode(), low.encode("utf-16-le"), low.encode("utf-16-be"), word.encode().hex().encode()}


def in_base64(word: str) -> set[bytes]:
    """Return the parts of base64 that `word` makes for certain, at each of the three offsets it can have."""
    found = set()
    for form in {word, word.upper(), word.lower()}:
        for before in range(3):
            coded = b64encode(b"\0" * before + form.encode())
            found.add(coded[(0, 2, 3)[before] :].rstrip(b"=")[:-1])
    return {one for one in found if len(one) >= 8}


class Search:
    """Look for secrets in bytes, files and folders.

    Args:
        secrets: words, found in any case.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._words = {coded: word for word in secrets for coded in codings(word)}
        self._exact = {coded: word for word in secrets for coded in in_base64(word)}
        self._any = re.compile(b"|".join(map(re.escape, self._words)))
        self._any_exact = re.compile(b"|".join(map(re.escape, self._exact)))
        self.bytes = 0

    def __call__(self, data: bytes, where: str = "") -> list[str]:
        """Return `secret in where` for each secret that is in `data`, as it is or unpacked."""
        found = set()
        for layer in layers(data):
            self.bytes += len(layer)
            found |= {self._words[one] for one in self._any.findall(layer.lower())}
            found |= {self._exact[one] for one in self._any_exact.findall(layer)}
        return [f"{one} in {where}" for one in sorted(found)]

    def folder(self, folder: Path) -> list[str]:
        """Return what is found in the files of a folder, in their names, and in the tables of databases."""
        found = []
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = path.relative_to(folder).as_posix()
            found += self(name.encode(), f"the name {name}") + self(path.read_bytes(), name)
            if path.read_bytes()[:15] == b"SQLite format 3":
                found += self.database(path)
            if path.suffix == ".parquet":
                found += self(repr(_rows(path)).encode(), name)
        return found

    def database(self, path: Path) -> list[str]:
        """Return what is found in the values of a database, packed ones unpacked."""
        found = []
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
                for row in connection.execute(f'select * from "{table}"'):
                    for value in row:
                        data = value if isinstance(value, bytes) else str(value).encode()
                        found += self(data, f"{path.name}: {table}")
        return found


def layers(data: bytes) -> Iterator[bytes]:
    """Yield `data`, and what is in it if it is packed with zlib, gzip or zip."""
    yield data
    if data[:2] == b"\x1f\x8b":
        yield gzip.decompress(data)
    elif data[:1] == b"\x78":
        try:
            yield zlib.decompress(data)
        except zlib.error:
            return
    elif data[:4] == b"PK\3\4":
        with zipfile.ZipFile(BytesIO(data)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def _rows(path: Path) -> object:
    from pyarrow import parquet

    table = parquet.read_table(path)
    return (table.schema.metadata, table.to_pylist())
