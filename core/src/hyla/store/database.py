"""Open the SQLite file of a project: its transactions, how safely each is written, and what its complaints mean."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, insert, select
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from hyla.errors import StoreError
from hyla.store.counts import address, writable
from hyla.store.faults import DATABASE, FORMAT, check_format, explain, no_project, system_errors
from hyla.store.tables import meta, metadata

BUSY_SECONDS = 30.0

# A transaction that writes takes the lock at its start, so that it can't fail for it half-way. A decision is on the disk itself
# when its commit returns (FULL). A batch of machine labels survives the death of the process, but a power cut may undo the last
# batches (NORMAL): SQLite keeps the order of commits, so that what is left is what an earlier interruption would have left, and
# the run resumes from there.
READ = ("BEGIN",)
BATCH = ("PRAGMA synchronous=NORMAL", "BEGIN IMMEDIATE")
DURABLE = ("PRAGMA synchronous=FULL", "BEGIN IMMEDIATE")


class Clash(StoreError):
    """Report that a transaction broke a rule of the tables, such as a key that is taken."""


class Database:
    """Hold one project's file open, for several threads.

    Args:
        folder: of the project.
        create: make the folder and the file if they are not there.

    Raises:
        StoreError: if there is no project, it can't be opened, or a newer Hyla wrote it.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        self.path = folder / DATABASE
        if create:
            with system_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            _prepare(self.path)
        elif not self.path.is_file():
            raise no_project(folder)
        self.engine = _engine(self.path)
        try:
            self.id = self._open(folder, create)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees the project as it is at the first statement, whatever is written meanwhile."""
        with self._transaction(READ) as connection:
            yield connection

    @contextmanager
    def write(self, durable: bool = False) -> Iterator[Connection]:
        """Give a connection whose changes are stored together at the end of the block, or not at all.

        Args:
            durable: do not return before they are on the disk itself.

        Raises:
            StoreError: if the disk is full, or the file is read-only or in use.
        """
        with self._transaction(DURABLE if durable else BATCH) as connection:
            yield connection

    @contextmanager
    def _transaction(self, statements: tuple[str, ...]) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                connection = connection.execution_options(hyla_begin=statements)
                with connection.begin():
                    yield connection
        except IntegrityError as e:
            raise Clash(f"{self.path}: {e.orig}", "run `hyla verify` on the project") from e
        except (DBAPIError, sqlite3.Error) as e:
            raise explain(getattr(e, "orig", None) or e, self.path) from e

    def _open(self, folder: Path, create: bool) -> str:
        """Return the project's id, once its tables are there and of a format that this version reads."""
        values = self._meta()
        if values is None and create:
            with self.write(durable=True) as connection:
                metadata.create_all(connection)
                if not connection.execute(select(meta)).first():  # two may create it at once
                    made = {"format": str(FORMAT), "project": secrets.token_hex(16), "created": now()}
                    connection.execute(insert(meta), [{"key": k, "value": v} for k, v in made.items()])
            values = self._meta()
        if values is None:
            raise no_project(folder)
        check_format(folder, int(values.get("format", 0)))
        return values["project"]

    def _meta(self) -> dict[str, str] | None:
        with self.read() as connection:
            if not connection.exec_driver_sql("SELECT 1 FROM sqlite_master WHERE name = 'meta'").first():
                return None
            return {row.key: row.value for row in connection.execute(select(meta))}


def now() -> str:
    """Return the time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _prepare(path: Path) -> None:
    """Make the file, in WAL mode: readers and one writer side by side. The mode is kept in the file."""
    if not path.exists() or writable(path):
        try:
            with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.Error as e:
            raise explain(e, path) from e


def _engine(path: Path) -> Engine:
    # The driver must not begin transactions by itself (isolation_level None): `_begin` does, and says of which sort.
    engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=QueuePool, pool_size=8, max_overflow=-1)
    event.listen(engine, "begin", _begin)
    return engine


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(address(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-32768")  # KiB
        connection.execute("PRAGMA wal_autocheckpoint=8000")  # pages of 4 KiB; the default of 1000 makes loading a third slower
        # On macOS fsync alone leaves data in the drive's cache; elsewhere this does nothing.
        connection.execute("PRAGMA fullfsync=ON")
    except sqlite3.Error:  # a file that is no database says so at the first statement
        connection.close()
        raise
    return connection


def _begin(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    for statement in connection.get_execution_options().get("hyla_begin", READ):
        driver.execute(statement)
