"""The project folder as the rest of Hyla sees it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import insert, select, text, update

from hyla.errors import StoreError
from hyla.schema import Schema
from hyla.store import counts, ledger, people, query, remembered, standings, verify
from hyla.store.counts import Counts
from hyla.store.database import Database, now
from hyla.store.deciding import Deciding
from hyla.store.keeping import Keeping
from hyla.store.lock import RunLock
from hyla.store.people import Person
from hyla.store.releasing import Released
from hyla.store.reviewing import Reviewing
from hyla.store.rows import Entry, Quarantined, canonical, role_of
from hyla.store.settings import refuse_other
from hyla.store.standings import Scanned, Standing
from hyla.store.tables import annotated, groups, runs
from hyla.store.writing import add_truth, finish_group, write_entries
from hyla.types import Flag, Record, Verdict


class Project(Reviewing, Deciding, Keeping):
    """Hold a project open: a folder with `project.db`, which one run fills while others read and decide.

    A context manager, to be used by several threads. Made by `create` or `open`.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._db = database
        self._lock: RunLock | None = None

    @classmethod
    def create(cls, path: str | Path) -> Project:
        """Open the project in the folder `path`, making both where they are not there; raise StoreError if that can't be."""
        return cls(Path(path), Database(Path(path), create=True))

    @classmethod
    def open(cls, path: str | Path) -> Project:
        """Open the project in the folder `path`, read-only if it can't be written to; raise StoreError if there is none."""
        return cls(Path(path), Database(Path(path)))

    def close(self) -> None:
        """Close the file, and let another run in; may be called twice."""
        self._unlock()
        if "_accesses" in self.__dict__:
            self._accesses.close()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # A run

    def start_run(
        self, settings: Mapping[str, Any], schema: Schema, source: str, versions: Mapping[str, str], provenance: Mapping[str, Any]
    ) -> int:
        """Begin or continue the run of this project, and return its number.

        Args:
            settings: JSON-able; all that labels depend on, and nothing else.
            schema: of the labels.
            source: address of the items.
            versions: of the software; kept, and free to change from start to start.
            provenance: what the labels come from, with the digest of the weights.

        Raises:
            StoreError: if another run is writing, or the labels there were made with other settings, schema, source or
                provenance, naming what differs.
        """
        if self._lock is None:
            self._lock = RunLock(self.path)
        try:
            parts = {"settings": settings, "schema": schema.to_dict(), "versions": versions, "provenance": provenance}
            values = {name: json.dumps(dict(part)) for name, part in parts.items()}  # as ordered: class ids count the classes
            values |= {"source": source, "started": now(), "state": "running", "timings": "{}"}
            with self._db.write() as connection:
                if last := connection.execute(select(runs).order_by(runs.c.id.desc()).limit(1)).first():
                    refuse_other(self.path, dict(last._mapping), values)
                connection.execute(update(runs).where(runs.c.state == "running").values(state="killed"))
                (number,) = connection.execute(insert(runs), values).inserted_primary_key or (0,)
                return int(number)
        except BaseException:
            self._unlock()
            raise

    def finish_run(self, run_id: int, state: str, timings: Mapping[str, float]) -> None:
        """Say how run `run_id` ended and where its time went, in seconds by part; another run may then start."""
        with self._db.write(durable=True) as connection:
            values = {"finished": now(), "state": state, "timings": canonical(dict(timings))}
            connection.execute(update(runs).where(runs.c.id == run_id).values(values))
        self._unlock()

    def known(self, ids: Sequence[str], quarantined: bool = True) -> set[str]:
        """Return those of `ids` that are stored, were deleted or, if `quarantined`, are in quarantine."""
        return query.known(self._db, ids, quarantined)

    def write(self, entries: Sequence[Entry]) -> None:
        """Store `entries` together or not at all, in the run that was started last.

        What is stored already stays as it is, so that writing the same again changes nothing; what was in quarantine gives way.
        Labels that can't be stored put their item into quarantine.

        Raises:
            StageError: if two items have the same id.
            StoreError: if no run was started here, the disk is full or the folder can't be written to.
        """
        self._writing()
        write_entries(self._db, entries)

    def group_done(self, group: str) -> bool:
        """Tell whether `group` was finished."""
        with self._db.read() as connection:
            return connection.execute(select(groups.c.grp).where(groups.c.grp == group)).first() is not None

    def finish_group(self, group: str, found: Iterable[tuple[str, Flag]]) -> None:
        """Store what rules found in a whole group, raise the verdicts that follow, and mark the group as done, all at once.

        Doing it again changes nothing.

        Args:
            group: its name.
            found: pairs of item id and flag; read to its end before anything is written.

        Raises:
            StageError: for a flag about an item that is not stored in this group, or about a row that is not there.
        """
        self._writing()
        finish_group(self._db, group, found)

    # What is there

    def records(
        self,
        source: str = "best",
        verdict: Verdict | None = None,
        group: str | None = None,
        class_name: str | None = None,
        score: tuple[float, float] | None = None,
    ) -> Iterator[Record]:
        """Return the records of one source in the order of the scan, read page by page: memory does not grow with the project.

        What is to leave the project is read with `released`.

        Args:
            source: `model` for the machine's labels, with its flags and where the rules send the item; `best` for the labels that
                hold, a person's where there are any, with the person's verdict; `human` for those of `best` that a person gave;
                or one source by name, such as `truth:survey`, or `human:ann` for what she said last.
            verdict: only items with this one.
            group: only items of this one.
            class_name: only items with a label of this class or one under it.
            score: only items with such a label whose score lies between these two, inclusive.

        Raises:
            StoreError: if nobody of that name gave labels.
            ConfigError: if the schema has no such class.
        """
        classes = None
        if class_name is not None:
            schema = self.schema()
            schema.class_id(class_name)
            classes = schema.under(class_name).tolist()
        with self._db.read() as connection:
            query.check_source(connection, source)
        return query.records(self._db, query.Filter(source, verdict, group, classes, score))

    def released(self, source: str = "best") -> Released:
        """Return the records of a source as they may leave the project, read page by page.

        Labels that fewer people confirmed than their class asks for (`Class.confirmations`) are left out, and counted in
        `left_out` once the records were read; those of `truth:NAME` never are.

        Raises:
            StoreError: if nobody of that name gave labels.
        """
        return Released(self.records(source), self._db, self.schema())

    def record(self, item_id: str, source: str = "best") -> Record | None:
        """Return the record of one item, or None if there is none; see `records`."""
        with self._db.read() as connection:
            query.check_source(connection, source)
        return next(query.records(self._db, query.Filter(source, item_id=item_id)), None)

    def quarantined(self) -> Iterator[Quarantined]:
        """Return the items that could not be used, in the order of the scan, each with its stage and reason."""
        return query.quarantined(self._db)

    def counts(self, planted: bool = False) -> Counts:
        """Count what is there, all at one moment; with `planted`, planted copies as well, as if they were items of their own."""
        with self._db.read() as connection:
            return counts.count(lambda statement: [tuple(row) for row in connection.execute(text(statement))], planted)

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs, first to last: id, started, finished, state, source, versions, provenance and timings, JSON-able."""
        with self._db.read() as connection:
            found = [counts.run_row(tuple(row)) for row in connection.execute(text(counts.RUNS))]
        counts.settle(found, self.path)
        return found

    def schema(self) -> Schema:
        """Return the schema of the labels; raise StoreError if nothing was run yet."""
        return Schema.from_config(json.loads(self._of_run("schema")))

    def settings(self) -> dict[str, Any]:
        """Return what labels depend on; raise StoreError if nothing was run yet."""
        return dict(json.loads(self._of_run("settings")))

    def source(self) -> str:
        """Return the address of the items; raise StoreError if nothing was run yet."""
        return self._of_run("source")

    def truths(self) -> list[str]:
        """Return the sources of truth that were added, as `truth:NAME`."""
        with self._db.read() as connection:
            found = select(annotated.c.source).distinct().where(annotated.c.source.like("truth:%"))
            return sorted(connection.scalars(found))

    def standings(self) -> list[Standing]:
        """Return of every item, in the order of the scan and at one moment, where people are with it."""
        return standings.standings(self._db)

    def scan(self) -> Iterator[Scanned]:
        """Return every item in the order of the scan with what a lot is made of, read page by page."""
        return standings.scan(self._db)

    def flagged(self) -> Iterator[tuple[str, str, str]]:
        """Return item id, severity and rows, as JSON, of each flag."""
        return standings.flagged(self._db)

    def machine_digests(self) -> dict[str, str]:
        """Return item id -> digest of the machine's labels."""
        return standings.digests(self._db)

    # What is to be remembered

    @property
    def id(self) -> str:
        """Return the id of the project, drawn when it was made."""
        return self._db.id

    def remember(self, key: str, value: Any) -> None:
        """Keep a JSON-able value under a name, in place of what was there; no label depends on it."""
        remembered.remember(self._db, key, value)

    def recall(self, key: str) -> Any:
        """Return what was remembered under a name, or None."""
        return remembered.recall(self._db, key)

    # Cameras, and what a live run left open

    def note_camera(self, name: str, state: Mapping[str, Any]) -> None:
        """Keep what is known of a camera now, JSON-able, in place of what was there, with the time."""
        remembered.remember(self._db, remembered.CAMERA + name, {**state, "seen": now()}, durable=False)

    def cameras(self) -> dict[str, dict[str, Any]]:
        """Return what was last known of each camera, by name: `state`, `seen` (UTC), and what else its loader told."""
        return remembered.cameras(self._db)

    def open_groups(self) -> list[str]:
        """Return the groups of which items are stored and that were not finished."""
        return query.open_groups(self._db)

    def last_ordinal(self) -> int:
        """Return the place in the scan of the last item that is stored or in quarantine; -1 where there is none."""
        return query.last_ordinal(self._db)

    # Labels from elsewhere

    def add(self, records: Iterable[Record], source: str) -> int:
        """Add labels from elsewhere to items of the project, all or none, and return of how many items.

        Args:
            records: of items that are stored; only the item's id and the labels count.
            source: `truth:NAME`, to measure against; or `human:WHO`, which counts as a decision to take those labels.

        Raises:
            StoreError: for an item that is not stored, or labels of that truth that are there already.
            StageError: for labels that do not fit the schema.
        """
        role, schema = role_of(source), self.schema()
        if role == "model":
            raise StoreError(
                f"labels can't be added as {source!r}", "write truth:NAME or human:WHO; the machine's are of the run"
            )
        return (add_truth if role == "truth" else ledger.add)(self._db, records, source, schema)

    # Who may look and decide

    def invite(self, name: str, role: str) -> str:
        """Let a person in as viewer, reviewer, adjudicator or admin, or change the role; return a token for one login.

        Raises:
            StoreError: for a name or a role that can't be.
        """
        return people.invite(self._db, name, role)

    def people(self) -> list[Person]:
        """Return the people of the project, by name."""
        return people.everyone(self._db)

    def login(self, token: str) -> str | None:
        """Return a session for a token that was not used yet, or None."""
        return people.login(self._db, token)

    def logout(self, session: str) -> None:
        """End a session."""
        people.logout(self._db, session)

    def person_of(self, session: str) -> Person | None:
        """Return whose session it is, or None."""
        return people.person_of(self._db, session)

    def verify(self, head: str | None = None) -> verify.Report:
        """Prove that nothing stored was changed or lost; see `hyla.store.verify`.

        Args:
            head: a head that an earlier report gave; without it, decisions cut off the end may go unseen.
        """
        return verify.verify(self._db, head)

    def _of_run(self, column: str) -> str:
        with self._db.read() as connection:
            found = connection.scalar(select(runs.c[column]).order_by(runs.c.id.desc()).limit(1))
        if found is None:
            raise StoreError(f"nothing was run into {self.path} yet", f"hyla run preset=... source=... out={self.path}")
        return str(found)

    def _writing(self) -> None:
        if self._lock is None:
            raise StoreError(f"no run was started in {self.path}", "call start_run first: it keeps other runs out")

    def _unlock(self) -> None:
        if self._lock:
            self._lock.release()
            self._lock = None
