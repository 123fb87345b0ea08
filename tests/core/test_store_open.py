"""Opening a project: what is none, what is newer, what is read-only, and who else is there."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hyla.errors import StoreError
from hyla.store import Project, Stored, database, glance
from hyla.types import Flag
from store_kit import fill, lot_of, nobody, raw, record, start


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that everybody may reach, for tests of rights."""
    path = Path(tempfile.mkdtemp(prefix="hyla-"))
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


def opens(path: Path) -> list[StoreError]:
    """Return what opening and glancing at `path` raise."""
    found = []
    for work in (lambda: Project.open(path), lambda: glance(path)):
        with pytest.raises(StoreError) as e:
            work()
        found.append(e.value)
    return found


def test_create_makes_the_folder_and_opens_it_again(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with Project.create(path) as project:
        start(project)
        made = fill(project, 2)
        assert project.path == path
    with Project.create(str(path)) as project:
        assert list(project.records("model")) == made
    assert sorted(p.name for p in path.iterdir()) == ["project.db", "run.lock"]  # the log of SQLite was folded in


def test_a_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "50 % #1 ?x é"
    with Project.create(path) as project:
        start(project)
        fill(project, 1)
    assert glance(path).counts.items == 1


def test_closing_twice_is_closing(tmp_path: Path) -> None:
    project = Project.create(tmp_path)
    project.close()
    project.close()


def test_what_is_no_project_is_said_to_be_none(tmp_path: Path) -> None:
    for error in opens(tmp_path):
        assert "is not a project" in error.what
        assert "out=" in error.hint
    (tmp_path / "project.db").write_text("this is a text, and a rather long one, long enough for a header of a hundred bytes" * 9)
    for error in opens(tmp_path):
        assert "is not a project" in error.what
    with pytest.raises(StoreError, match="is not a project"):
        Project.create(tmp_path)
    (tmp_path / "project.db").unlink()
    with closing(sqlite3.connect(tmp_path / "project.db")) as db:
        db.execute("CREATE TABLE other (x)")
    for error in opens(tmp_path):
        assert "is not a project" in error.what


def test_a_creation_that_was_killed_is_made_good(tmp_path: Path) -> None:
    (tmp_path / "project.db").touch()
    for error in opens(tmp_path):
        assert "is not a project" in error.what
    with Project.create(tmp_path) as project:
        start(project)
    assert glance(tmp_path).counts.items == 0


@pytest.mark.parametrize(("number", "hint"), [("6", "newer"), ("4", "out=DIR")])
def test_another_format_is_refused(tmp_path: Path, number: str, hint: str) -> None:
    Project.create(tmp_path).close()
    raw(tmp_path, f"UPDATE meta SET value = '{number}' WHERE key = 'format'")
    for error in opens(tmp_path):
        assert f"format {number}, and this Hyla reads format 5" in error.what
        assert hint in error.hint


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't be written"):
        Project.create(tmp_path / "file")


def test_a_folder_that_can_not_be_written_to(folder: Path) -> None:
    folder.chmod(0o555)
    with nobody():
        for path in (folder, folder / "new"):
            with pytest.raises(StoreError, match=r"can't be (opened|written)") as e:
                Project.create(path)
            assert e.value.hint
    assert list(folder.iterdir()) == []


def test_a_project_in_a_read_only_folder_can_be_read(folder: Path) -> None:
    with Project.create(folder) as project:
        start(project)
        made = fill(project, 3)
    (folder / "project.db").chmod(0o444)
    folder.chmod(0o555)
    with nobody():
        with Project.open(folder) as project:
            assert list(project.records("model")) == made
            assert project.verify().ok
            with pytest.raises(StoreError, match="is read-only"):
                project.decide("item00000", "accept", who="ann", key="1")
            with pytest.raises(StoreError, match="can't be written"):
                start(project)
        assert glance(folder).counts.items == 3


def test_a_file_that_another_program_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.0)
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 1)
        with closing(sqlite3.connect(tmp_path / "project.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreError, match="in use by another program") as e:
                project.decide("item00000", "accept", who="ann", key="1")
            assert "try again" in e.value.hint
            assert len(list(project.records())) == 1  # reading goes on
            other.execute("ROLLBACK")
        project.decide("item00000", "accept", who="ann", key="1")


def test_the_tables_refuse_to_change_what_was_said(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 2)
        project.finish_group("", [("item00000", Flag("r", "why"))])
        project.decide("item00000", "accept", who="ann", key="1")
        project.note(project.freeze(lot_of(["item00000"]), {}), "drawn", {})
    routing = ("verdict", "reason", "decided", "outcome", "best", "lane", "answered", "seconded", "route", "priority")
    state = {("labels", "verdict"), *(("items", name) for name in routing)}
    for table in ("items", "annotations", "labels", "flags", "decisions", "lots", "lot_events"):
        columns = [name for _, name, *_ in raw(tmp_path, f"PRAGMA table_info({table})")]
        fixed = [name for name in columns if (table, name) not in state]
        for statement in (f"DELETE FROM {table}", *(f'UPDATE {table} SET "{name}" = "{name}"' for name in fixed)):
            with pytest.raises(sqlite3.IntegrityError, match=f"{table} are written once"):
                raw(tmp_path, statement)
    raw(tmp_path, "UPDATE labels SET verdict = 'accept'", *(f'UPDATE items SET "{name}" = "{name}"' for name in routing))
    with Project.open(tmp_path) as project:
        assert project.verify().ok


def test_reading_while_writing_sees_whole_records(tmp_path: Path) -> None:
    """Several readers, each on a connection of its own, while batches are stored and decisions made."""
    with Project.create(tmp_path) as project:
        start(project)
        done, errors = threading.Event(), []

        def read() -> None:
            try:
                last = 0
                while not done.is_set():
                    found = list(project.records("model"))
                    assert [r.item.id for r in found] == [f"item{i:05d}" for i in range(len(found))]
                    assert all(len(r.labels) == 2 for r in found)
                    assert len(found) >= last
                    counts = project.counts()
                    assert counts.labels == 2 * counts.items >= 2 * len(found)
                    last = len(found)
            except BaseException as e:
                errors.append(e)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        try:
            for i in range(0, 400, 8):
                project.write([Stored(record(f"item{k:05d}"), k, 0.0) for k in range(i, i + 8)])
                project.decide(f"item{i:05d}", "accept", who="ann", key=str(i))
        finally:
            done.set()
            for reader in readers:
                reader.join()
        assert errors == []
        report = project.verify()
        assert (report.ok, report.annotations, report.decisions) == (True, 400, 50)


def test_two_processes_may_create_it_at_once(tmp_path: Path) -> None:
    code = f"from hyla.store import Project; p = Project.create({str(tmp_path / 'p')!r}); print(p.verify().head); p.close()"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    heads = {one.communicate()[0] for one in both}
    assert [one.returncode for one in both] == [0, 0]
    assert len(heads) == 1
