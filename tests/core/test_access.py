"""Who saw what is written down once per visit, for good, and costs a picture nothing."""

from __future__ import annotations

import json
import logging
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyla import cli
from hyla.store import Project, Twin
from hyla.store.accesses import AGAIN, IDLE, LONGEST, Accesses
from review_kit import Room, clip_of, open_room, waiting
from store_kit import fill, lot_of, raw, record, start


class Clock:
    """Tell a time that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "out") as made:
        start(made)
        fill(made, 4)
        fill_clip(made)
        made.clock = Clock()
        made.__dict__["_accesses"] = Accesses(made._db, made.clock)
        yield made
        report = made.verify()
        assert report.ok, report.problems


def fill_clip(project: Project, n: int = 10) -> None:
    from hyla.store import Stored

    project.write([Stored(record(f"c{i:04d}", group="clip", index=i), 100 + i, 0.0) for i in range(n)])


def told(project: Project, **how) -> list[tuple[str, str, str, str]]:
    return [(one.who, one.how, one.group, one.item_id) for one in project.accesses(**how)]


def test_a_clip_is_one_row_however_many_frames_somebody_sees(project: Project) -> None:
    for _ in range(3):
        for i in range(10):
            project.saw("ann", [f"c{i:04d}"], "picture")
    project.saw("ann", ["c0003"], "crop")
    project.saw("ben", ["c0003"], "picture")
    project.saw("ann", ["item00001"], "picture")
    assert told(project) == [
        ("ann", "picture", "clip", ""),
        ("ann", "crop", "clip", ""),
        ("ben", "picture", "clip", ""),
        ("ann", "picture", "", "item00001"),
    ]


def test_a_visit_ends_after_a_while_without_a_look_and_is_told_again_after_an_hour(project: Project) -> None:
    def at(seconds: float) -> int:
        project.clock.now = seconds
        project.saw("ann", ["c0001"], "picture")
        return len(project.accesses())

    assert [at(0), at(1), at(IDLE), at(2 * IDLE - AGAIN)] == [1, 1, 1, 1]
    begun = 3 * IDLE
    assert at(begun) == 2  # more than ten minutes later
    looks = [at(begun + n * 300) for n in range(1, 14)]
    assert looks[:12] == [2] * 12
    assert looks[-1] == 3
    assert begun + 12 * 300 <= begun + LONGEST < begun + 13 * 300


def test_it_is_listed_by_person_and_by_what_was_seen(project: Project) -> None:
    project.saw("ann", ["c0001", "item00001"], "picture")
    project.saw("ben", ["item00002"], "draw")
    assert told(project, who="ben") == [("ben", "draw", "", "item00002")]
    assert told(project, what="clip") == told(project, what="c0009") == [("ann", "picture", "clip", "")]
    assert told(project, what="item00001") == [("ann", "picture", "", "item00001")]
    assert told(project, limit=1) == [("ben", "draw", "", "item00002")]
    assert [one.id for one in project.accesses()] == [1, 2, 3]


def test_what_was_planted_is_told_as_its_original(project: Project) -> None:
    lot = project.freeze(lot_of(["item00001"]), {})
    labels = project.record("item00001").labels
    (twin,) = project.plant(lot, [Twin(item_id="item00001", labels=labels, about={"kind": "drop"})])
    project.saw("ann", [twin], "picture")
    assert told(project) == [("ann", "picture", "", "item00001")]


def test_it_is_written_once_and_a_change_is_seen(project: Project) -> None:
    project.saw("ann", ["c0001", "item00001"], "picture")
    project.accesses()
    for statement in ("DELETE FROM accesses", "UPDATE accesses SET who = 'ben'"):
        with pytest.raises(sqlite3.IntegrityError, match="written once"):
            raw(project.path, statement)


@pytest.mark.parametrize("statement", ["UPDATE accesses SET who = 'ben' WHERE id = 1", "DELETE FROM accesses WHERE id = 1"])
def test_a_changed_row_is_seen(tmp_path: Path, statement: str) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 2)
        project.saw("ann", ["item00000"], "picture")
        project.saw("ann", ["item00001"], "picture")
        project.accesses()
        raw(tmp_path, statement, free=True)
        assert any("who saw what was changed" in problem for problem in project.verify().problems)


def test_a_normal_end_loses_nothing(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 1)
        project.saw("ann", ["item00000"], "picture")
    with Project.open(tmp_path) as project:
        assert told(project) == [("ann", "picture", "", "item00000")]


KILLED = """
import sys
from hyla.store import Project
with Project.open(sys.argv[1]) as project:
    project.saw("ann", ["item00000"], "picture")
    print("seen", flush=True)
    sys.stdin.read()
"""


def test_a_killed_server_loses_a_second_at_most(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 1)
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert child.stdin is not None
        assert child.stdout is not None
        with child.stdin, child.stdout:
            assert child.stdout.readline() == "seen\n"
            for _ in range(200):  # it is written half a second later; the machine may be slow
                if found := told(project):
                    break
                child.poll()
                time.sleep(0.05)
            child.kill()
        assert child.wait() == -signal.SIGKILL
        assert found == [("ann", "picture", "", "item00000")]


def test_what_can_not_be_written_down_hides_no_picture_and_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from hyla.errors import StoreError
    from hyla.store import chain

    append = chain.append

    def full(*_):
        raise StoreError("no space left", "free some")

    monkeypatch.setattr(chain, "append", full)
    project.saw("ann", ["c0001"], "picture")
    with caplog.at_level(logging.WARNING):
        project._accesses._work()
    assert "no space left" in caplog.text
    monkeypatch.setattr(chain, "append", append)
    assert told(project) == [("ann", "picture", "clip", "")]  # and it is not forgotten


def test_noting_a_look_touches_no_database(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_, **__):
        raise AssertionError("a look waits for the database")

    project.saw("ann", ["c0000"], "picture")
    project.accesses()
    monkeypatch.setattr("hyla.store.accesses.Accesses._write", never)
    monkeypatch.setattr("hyla.store.accesses.DELAY", 3600.0)
    for i in range(10_000):
        project.saw("ann", [f"c{i % 10:04d}"], "picture")
    project._accesses._timer.cancel()
    monkeypatch.undo()


# Where it is noted


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with open_room(tmp_path / "out", waiting("a"), *clip_of(3)) as made:
        raw(made.project.path, """UPDATE runs SET settings = '{"loader": {"_target_": "hyla.images.Folder"}}'""")
        yield made


def test_the_review_notes_who_was_sent_pixels_and_nothing_else(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.desk.media, "image", lambda *_: b"jpeg")
    monkeypatch.setattr(room.desk.media, "crop", lambda *_: b"jpeg")
    ann, ben = room.person("ann"), room.person("ben", "viewer")
    ann.take(5)
    ann.item("a")
    assert room.project.accesses() == []
    assert ann.http.get("/media/clip0001/image.jpg").status_code == 200
    assert ben.http.get(f"/media/a/crop/{room.project.machine_annotation('a')}/0.jpg").status_code == 200
    assert told(room.project) == [("ann", "picture", "clip", ""), ("ben", "crop", "", "a")]
    etag = ann.http.get("/media/clip0002/image.jpg").headers["etag"]
    cleo = room.person("cleo")
    assert cleo.http.get("/media/clip0002/image.jpg", headers={"if-none-match": etag}).status_code == 304
    assert told(room.project, who="cleo") == [("cleo", "picture", "clip", "")]  # she has it already, and looks at it


def test_what_was_refused_was_not_seen(room: Room) -> None:
    ann = room.person("ann")
    assert ann.http.get("/media/a/image.jpg").status_code == 410
    assert ann.http.get("/media/nothing/image.jpg").status_code == 404
    assert room.project.accesses() == []


def test_an_export_and_the_verb_that_lists(room: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(room.project.path)
    assert cli.main(["export", out, "--format", "jsonl", "--to", str(tmp_path / "given")]) == 0
    assert {(how, group or item) for _, how, group, item in told(room.project)} == {
        ("export jsonl", "a"),
        ("export jsonl", "clip"),
    }
    capsys.readouterr()
    assert cli.main(["access", out]) == 0
    assert capsys.readouterr().out.count("export jsonl") == 2
    assert cli.main(["access", out, "--what", "clip", "--json"]) == 0
    assert [one["group"] for one in json.loads(capsys.readouterr().out)] == ["clip"]
    assert cli.main(["access", out, "--who", "nobody"]) == 0
    assert "nobody saw anything" in capsys.readouterr().out


def test_admins_are_told_on_the_page_and_nobody_else(room: Room) -> None:
    room.project.saw("ann", ["clip0001"], "picture")
    room.project.saw("ben", ["a"], "crop")
    eve = room.person("eve", "admin")
    told = eve.get("/accesses").json()
    assert [(one["person"], one["how"], one["clip"], one["item"]) for one in told] == [
        ("ann", "picture", "clip", ""),
        ("ben", "crop", "", "a"),
    ]
    assert [one["person"] for one in eve.get("/accesses?what=a").json()] == ["ben"]
    assert [one["person"] for one in eve.get("/accesses?person=ann").json()] == ["ann"]
    assert [room.person(role, role).get("/accesses").status_code for role in ("viewer", "reviewer", "adjudicator")] == [403] * 3
