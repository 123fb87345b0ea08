"""A disk that is full: a clear message, nothing stored is lost, and work goes on once there is space."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from hyla.errors import StoreError
from hyla.store import Project, Stored
from store_kit import boxes, fill, record, start


def limit(project: Project, pages: int) -> None:
    """Let the file of `project` grow by no more than `pages` from now on."""

    def connected(connection: Any, _: Any) -> None:
        size = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {size + pages}")

    project._db.engine.dispose()
    event.listen(project._db.engine, "connect", connected)


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        made = fill(project, 10)
        kept = project.decide("item00000", "accept", who="ann", key="1")
        limit(project, 3)
        big = [Stored(record(f"big{i}", boxes([1] * 50)), 10 + i, 0.0) for i in range(64)]
        for work in (
            lambda: project.write(big),
            lambda: project.add([record(r.item.id, boxes([1] * 500)) for r in made], "truth:x"),
            lambda: project.decide("item00001", "edit", who="ann", key="2", labels=boxes([1] * 2000)),
        ):
            with pytest.raises(StoreError, match=r"no space left for .*project\.db") as e:
                work()
            assert e.value.hint == "nothing stored is lost; free space and run again"
        assert list(project.records("model")) == made
        assert list(project.decisions()) == [kept]
        assert project.verify().ok
    with Project.open(tmp_path) as project:  # there is space again
        start(project)
        project.write(big)
        project.decide("item00001", "accept", who="ann", key="2")
        assert project.counts().items == 74
        report = project.verify(head=kept.hash)
        assert report.ok, report.problems


FILL = """
import resource, sys
from hyla.errors import StoreError
from hyla.store import Project, Stored
from store_kit import record, start
with Project.open(sys.argv[1]) as project:
    start(project)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    stored = project.counts().items
    try:
        for n in range(stored, 100_000, 16):
            project.write([Stored(record(f"item{i:05d}"), i, 0.0) for i in range(n, n + 16)])
            stored = n + 16
    except StoreError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(stored, error, sep="\\n")
"""


def test_a_system_that_refuses_to_write_is_said_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own limit on the size of a file stands for a quota: the write itself fails."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 16)
    done = subprocess.run([sys.executable, "-c", FILL, str(tmp_path)], capture_output=True, text=True, check=True)
    stored, what, hint = done.stdout.splitlines()
    assert "the disk is full, over quota or failing" in what
    assert "nothing stored is lost" in hint
    with Project.open(tmp_path) as project:
        assert project.counts().items == int(stored) > 16
        assert project.verify().ok
        start(project)
        fill(project, int(stored) + 16)
        assert project.counts().items == int(stored) + 16
