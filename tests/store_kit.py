"""What the tests of the store share: a small schema, and records to order."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hyla.decide.lot import WHOLE, Lot
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.store.ranges import from_ranges
from hyla.types import Flag, Item, Labels, Record, Verdict

SCHEMA = Schema.from_config(
    {"name": "street", "kinds": ["box", "track"], "classes": {"vehicle": {}, "car": {"parent": "vehicle"}, "person": {}}}
)
CAR, PERSON = SCHEMA.class_id("car"), SCHEMA.class_id("person")
SETTINGS: dict[str, Any] = {"preset": "street", "rules": {"min_height": {"px": 20}}, "threshold": 0.25}
MODEL = {"name": "toy", "digest": "0f"}


def start(project: Project, **changes: Any) -> int:
    """Start a run of the usual settings, changed by name."""
    given = {"settings": SETTINGS, "schema": SCHEMA, "source": "/data/street", "versions": {"numpy": "2"}, "provenance": MODEL}
    return project.start_run(**{**given, **changes})


def boxes(classes: Sequence[int] = (CAR, PERSON), score: float = 0.5) -> Labels:
    """Return one box per class, side by side in a picture of 100 x 200; the 20th lies on the first."""
    return Labels.of(
        list(classes), [[i % 19 * 10, 5, i % 19 * 10 + 8, 40] for i in range(len(classes))], score=[score] * len(classes)
    )


def record(
    name: str,
    labels: Labels | None = None,
    flags: tuple[Flag, ...] = (),
    verdict: Verdict = Verdict.ACCEPT,
    group: str = "",
    index: int = 0,
    source: str = "model:toy@0f",
) -> Record:
    """Return a record of the picture `name`."""
    item = Item(name, f"{name}.jpg", group, index)
    return Record(item, boxes() if labels is None else labels, flags, verdict, source, (100, 200))


def fill(project: Project, n: int, batch: int = 64, **how: Any) -> list[Record]:
    """Store `n` records named item00000, item00001, ... and return them."""
    made = [record(f"item{i:05d}", **how) for i in range(n)]
    for first in range(0, n, batch):
        project.write([Stored(one, first + k, 0.0) for k, one in enumerate(made[first : first + batch])])
    return made


def lot_of(ids: Sequence[str], rows: int = 2) -> Lot:
    """Return a lot of these items, each a unit with so many labels that could be asked about, and the picture."""
    n, each = len(ids), rows + 1
    item, row = np.repeat(np.arange(n), each), np.tile(np.arange(WHOLE, rows), n)
    names, digests = np.array([one.encode() for one in ids]), np.array([b"0" * 64] * n)
    size, zero, asks = np.full(n, float(each)), np.zeros(n, dtype=np.int64), n * each
    free, risk, seconds = np.zeros(n, dtype=bool), np.full(asks, 0.1), np.full(asks, 2.0)
    return Lot(names, digests, np.arange(n), size, zero, free, ("",), item, row, risk, seconds, np.zeros(asks, dtype=bool))


def raw(project: Path, *statements: str, free: bool = False) -> list[Any]:
    """Run statements on the file itself, past Hyla, and return the rows of the last; `free` drops the triggers first."""
    with closing(sqlite3.connect(project / "project.db", isolation_level=None)) as db:
        if free:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
        rows: list[Any] = []
        for statement in statements:
            rows = db.execute(statement).fetchall()
        return rows


def words(project: Project, annotation: int) -> str:
    """Return the words of the labels of an annotation: `accept review`."""
    found = raw(project.path, f"SELECT verdict FROM labels WHERE annotation_id = {annotation} ORDER BY row")
    return " ".join(word for (word,) in found)


def held(project: Project, item_id: str) -> tuple[Any, ...]:
    """Return lane, outcome, open, mend and doubt of an item, once its columns and the words of its labels are as these say."""
    state = project.state(item_id)
    columns = raw(project.path, f"SELECT decided, outcome, best, lane FROM items WHERE id = '{item_id}'")
    assert columns == [(state["decision"] or None, state["outcome"], state["annotation"], state["lane"])]
    said = words(project, state["annotation"]).split()
    assert from_ranges(state["open"]) == {row for row, word in enumerate(said) if word == "review"}
    if state["decision"]:
        assert from_ranges(state["mend"]) == {row for row, word in enumerate(said) if word == "reject"}
    assert state["open"] or not (state["mend"] or state["doubt"])
    return tuple(state[name] for name in ("lane", "outcome", "open", "mend", "doubt"))


@contextmanager
def nobody() -> Iterator[None]:
    """Have no right to write into a folder of mode 555 inside the block, even as the system's administrator."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
