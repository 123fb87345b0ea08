"""Count what a project holds, through SQLAlchemy or, for a quick look, without it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hyla.store.faults import DATABASE, check_format, explain, no_project
from hyla.store.lock import running

Query = Callable[[str], Sequence[Sequence[Any]]]
RUNS = "SELECT id, started, finished, state, source, versions, provenance, timings FROM runs ORDER BY id"

_CAMERA = "remember:camera:"  # as hyla.store.remembered keeps them, which needs SQLAlchemy
CAMERAS = "SELECT key, value FROM meta WHERE substr(key, 1, 16) = 'remember:camera:' ORDER BY key"


@dataclass(frozen=True)
class Counts:
    """Count what a project holds.

    Args:
        items: accepted + review + rejected + quarantined.
        labels: of the machine, on the items that were not quarantined.
        accepted, review, rejected: items by where the machine and the rules send them.
        quarantined: items that could not be used.
        decisions: all that people said, undone or not.
        decided: items on which a person's verdict stands.
        waiting: items in any lane: for a first answer, a repair, a second opinion or an adjudication.
        classes: class name -> labels of the machine.
        reasons: reason code -> flags.
        quarantine_reasons: reason -> items, the fifty commonest.
        sources: source -> items it labelled.
    """

    items: int = 0
    labels: int = 0
    accepted: int = 0
    review: int = 0
    rejected: int = 0
    quarantined: int = 0
    decisions: int = 0
    decided: int = 0
    waiting: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    quarantine_reasons: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Glance:
    """Hold what `glance` saw: the counts, the runs as `Project.runs` gives them, and the cameras as `Project.cameras` does."""

    path: str
    source: str
    counts: Counts
    runs: list[dict[str, Any]]
    cameras: dict[str, dict[str, Any]] = field(default_factory=dict)


def count(query: Query, planted: bool = False) -> Counts:
    """Count through `query`, which answers a statement with its rows. The statements are plain SQL.

    Planted items and their labels do not count, unless `planted`. They are few, and one index finds them: they are counted apart.
    """
    twins = Counts() if planted else _planted(query)
    verdicts = _table(query, "SELECT verdict, count(*) FROM items GROUP BY verdict")
    quarantined = _one(query, "SELECT count(*) FROM quarantine")
    outcomes = "SELECT count(*) FROM items WHERE outcome IS NOT NULL"
    waiting = "SELECT count(*) FROM items WHERE lane > ''"
    quarantine = "SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY count(*) DESC, reason LIMIT 50"
    sources = _table(query, "SELECT source, count(*) FROM annotations WHERE rev = 0 GROUP BY source ORDER BY source")
    return Counts(
        items=sum(verdicts.values()) + quarantined - twins.items,
        labels=_one(query, "SELECT coalesce(sum(n), 0) FROM annotations WHERE source LIKE 'model:%'") - twins.labels,
        accepted=verdicts.get("accept", 0) - twins.accepted,
        review=verdicts.get("review", 0) - twins.review,
        rejected=verdicts.get("reject", 0) - twins.rejected,
        quarantined=quarantined,
        decisions=_one(query, "SELECT count(*) FROM decisions"),
        decided=_one(query, outcomes) - twins.decided,
        waiting=_one(query, waiting) - twins.waiting,
        classes=_less(_classes(query), twins.classes),
        reasons=_table(query, "SELECT reason, count(*) FROM flags GROUP BY reason ORDER BY reason"),
        quarantine_reasons=_table(query, quarantine),
        sources=_less(sources, twins.sources),
    )


def run_row(row: Sequence[Any]) -> dict[str, Any]:
    """Return a row of RUNS as JSON-able values by name."""
    names = ("id", "started", "finished", "state", "source", "versions", "provenance", "timings")
    values = dict(zip(names, row, strict=True))
    return {name: json.loads(v) if name in names[-3:] else v for name, v in values.items()}


def glance(path: Path) -> Glance:
    """Return where the project in `path` stands, quickly: this reads SQLite without SQLAlchemy.

    Raises:
        StoreError: if there is no project.
    """
    database = path / DATABASE
    if not database.is_file():
        raise no_project(path)
    try:
        with closing(sqlite3.connect(address(database), uri=True, timeout=30)) as connection:
            connection.execute("BEGIN")  # one moment for all counts
            made = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
            check_format(path, int(made[0]) if made else 0)
            runs = [run_row(row) for row in connection.execute(RUNS)]
            counts = count(lambda statement: connection.execute(statement).fetchall())
            cameras = {str(key)[len(_CAMERA) :]: json.loads(value) for key, value in connection.execute(CAMERAS)}
    except sqlite3.Error as e:
        raise (no_project(path) if "no such table" in str(e) else explain(e, database)) from e
    settle(runs, path)
    return Glance(str(path), runs[-1]["source"] if runs else "", counts, runs, cameras)


def settle(runs: list[dict[str, Any]], folder: Path) -> None:
    """Say `killed` of a run that never ended and is not running now."""
    for run in runs:
        if run["state"] == "running" and not (run is runs[-1] and running(folder)):
            run["state"] = "killed"


def address(database: Path) -> str:
    """Return the URI to open a database with, for reading where the folder can't be written to."""
    if writable(database) and writable(database.parent):
        return f"{database.absolute().as_uri()}?mode=rw"
    # SQLite can't make its shared memory in such a folder, and needs none for a file that nobody changes: one without a log.
    still = "" if database.with_name(database.name + "-wal").exists() else "&immutable=1"
    return f"{database.absolute().as_uri()}?mode=ro{still}"


def writable(path: Path) -> bool:
    """Tell whether this process may write to `path`."""
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _planted(query: Query) -> Counts:
    """Count the planted items and their labels, where there are any."""
    found = query("SELECT verdict, outcome IS NOT NULL, lane > '', count(*) FROM items WHERE twin > '' GROUP BY 1, 2, 3")
    if not found:
        return Counts()
    verdicts = {word: sum(n for verdict, _, _, n in found if verdict == word) for word in ("accept", "review", "reject")}
    of = "FROM items CROSS JOIN annotations ON item_id = items.id"
    labels = "SELECT class_id, count(*) FROM items CROSS JOIN labels ON annotation_id = machine WHERE twin > '' GROUP BY class_id"
    names = _names(query)
    return Counts(
        items=sum(verdicts.values()),
        labels=_one(query, f"SELECT coalesce(sum(n), 0) {of} WHERE twin > '' AND annotations.id = machine"),
        accepted=verdicts["accept"],
        review=verdicts["review"],
        rejected=verdicts["reject"],
        decided=sum(n for _, decided, _, n in found if decided),
        waiting=sum(n for _, _, waits, n in found if waits),
        classes={names[class_id]: n for class_id, n in query(labels)},
        sources=_table(query, f"SELECT source, count(*) {of} WHERE twin > '' AND rev = 0 GROUP BY source"),
    )


def _less(counts: dict[str, int], others: dict[str, int]) -> dict[str, int]:
    return {name: left for name, n in counts.items() if (left := n - others.get(name, 0))}


def _names(query: Query) -> list[str]:
    schemas = query("SELECT schema FROM runs ORDER BY id DESC LIMIT 1")
    return list(json.loads(schemas[0][0])["classes"]) if schemas else []


def _classes(query: Query) -> dict[str, int]:
    names = _names(query)
    # All labels less the few that no run wrote: this reads one index, and not the annotation of every label.
    total: dict[int, int] = dict(map(tuple, query("SELECT class_id, count(*) FROM labels GROUP BY class_id ORDER BY class_id")))
    # CROSS JOIN makes SQLite begin at those few.
    others = (
        "SELECT class_id, count(*) FROM annotations CROSS JOIN labels "
        "WHERE annotation_id = id AND source NOT LIKE 'model:%' GROUP BY class_id"
    )
    for class_id, n in query(others):
        total[class_id] -= n
    return {names[class_id]: n for class_id, n in total.items() if n}


def _one(query: Query, statement: str) -> int:
    return int(query(statement)[0][0])


def _table(query: Query, statement: str) -> dict[str, int]:
    return {str(word): int(n) for word, n in query(statement)}
