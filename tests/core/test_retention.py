"""What is past its time goes, for good; what is confirmed or held stays; and what went is written down and proved."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import hyla
from hyla import cli
from hyla.errors import ConfigError, StoreError
from hyla.retain import retain
from hyla.store import Project, Quarantined, Stored, Twin
from hyla.types import Item
from retention_kit import HOUR, NOW, OLD, SECRET, YOUNG, begin, clip, confirm, frame, gone, ids, sound, store, written
from store_kit import lot_of, raw

LIVE = "gate/20250610T080000.000Z"  # a session of a live camera
TABLES = ("items", "annotations", "labels", "flags", "quarantine")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with sound(tmp_path / "out") as made:
        begin(made, tmp_path / "source")
        (tmp_path / "source").mkdir()
        yield made


def rows(project: Project) -> dict[str, int]:
    return {table: raw(project.path, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


# What goes


def test_without_a_period_nothing_is_deleted_and_it_says_what_to_do(project: Project) -> None:
    store(project, *clip("a", 2, OLD), *clip("b", 3, OLD, hours=1.0))
    with pytest.raises(ConfigError, match="2 items don't say") as refused:
        gone(project, hours=None)
    assert "--hours" in refused.value.hint
    assert len(ids(project)) == 5
    with pytest.raises(ConfigError, match="no length of time"):
        gone(project, hours=-1.0)
    with pytest.raises(ConfigError, match="no length of time"):
        gone(project, around=float("nan"))


def test_what_is_past_its_time_goes_and_all_that_was_said_of_it(project: Project) -> None:
    store(project, *clip("a", 5, OLD), *clip("b", 5, YOUNG))
    before = rows(project)
    done = gone(project)
    assert (done.items, done.clips, done.waiting, done.behind) == (5, 1, 5, "")
    assert ids(project) == [f"b{i:04d}" for i in range(5)]
    assert rows(project) == {name: n // 2 for name, n in before.items()}
    assert project.counts().items == 5
    assert project.record("a0000") is None
    assert [one.item.id for one in project.next_items("review", limit=9)] == ids(project)
    assert gone(project).items == 0


def test_a_camera_s_own_period_stands_above_the_call_s(project: Project) -> None:
    store(project, *clip("a", 2, OLD, hours=48.0), *clip("b", 2, YOUNG, hours=2.0), *clip("c", 2, OLD))
    assert gone(project, hours=24.0).items == 4
    assert ids(project) == ["a0000", "a0001"]
    assert gone(project, hours=None, now=NOW + 24 * HOUR).items == 2


def test_what_does_not_say_when_it_was_taken_counts_from_when_it_was_labelled(project: Project) -> None:
    store(project, frame("", 1, None), frame("", 2, 9e12))  # and a clock that is ahead can't keep it longer
    assert gone(project, now=None).items == 0
    (created,) = raw(project.path, "SELECT min(created) FROM annotations")[0]
    from datetime import datetime

    assert gone(project, now=datetime.fromisoformat(created).timestamp() + 24 * HOUR + 60).items == 2


def test_a_finished_clip_goes_as_a_whole_and_a_stream_frame_by_frame(project: Project) -> None:
    across = NOW - 24 * HOUR - 10
    store(project, *clip("done", 20, across), *clip("live", 20, across), finish=False)
    project.finish_group("done", [])
    assert gone(project).items == 11
    assert [one for one in ids(project) if one.startswith("live")] == [f"live{i:04d}" for i in range(11, 20)]
    assert len([one for one in ids(project) if one.startswith("done")]) == 20
    assert gone(project, now=NOW + 20).items == 29


def test_what_was_in_quarantine_goes_too(project: Project) -> None:
    bad = Item("a0009", "a.mp4", "a", 9, "video_frame", {"utc": OLD, "note": SECRET})
    store(project, *clip("a", 2, OLD))
    project.write([Quarantined(bad, 9, "load", SECRET)])
    assert gone(project).items == 3
    assert rows(project)["quarantine"] == 0
    assert project.known(["a0009"], quarantined=False) == {"a0009"}


def test_a_planted_copy_goes_with_its_original(project: Project) -> None:
    store(project, frame("", 0, OLD), frame("", 1, YOUNG))
    lot = project.freeze(lot_of(["one0000", "one0001"]), {})
    labels = project.record("one0000").labels
    names = project.plant(lot, [Twin(item_id=name, labels=labels, about={"kind": "drop"}) for name in ("one0000", "one0001")])
    gone(project)
    assert set(project.planted().values()) == {"one0001"}
    assert project.known(names) >= {names[0]}


# What stays


def test_a_confirmed_event_stays_with_the_seconds_around_it(project: Project) -> None:
    store(project, *clip("a", 60, OLD, events=range(20, 30)))
    confirm(project, "a0022")
    done = gone(project, around=5.0)
    assert ids(project) == [f"a{i:04d}" for i in range(15, 35)]
    assert (done.items, done.confirmed) == (40, 20)
    assert gone(project, around=5.0).items == 0


def test_what_one_of_two_people_said_is_no_confirmed_event(project: Project) -> None:
    store(project, *clip("a", 8, OLD, events=[3]), *clip("b", 8, OLD, events=[3]))
    confirm(project, "a0003", people=["ann"])
    project.decide("b0003", "reject", who="ann", key="1")
    assert gone(project).items == 16


def test_another_event_of_the_clip_is_not_confirmed_with_it(project: Project) -> None:
    frames = [frame("a", i, OLD + i, event={5: 1, 40: 2}.get(i)) for i in range(50)]
    store(project, *frames)
    confirm(project, "a0005")
    gone(project, around=2.0)
    assert ids(project) == [f"a{i:04d}" for i in range(3, 8)]


def test_what_is_held_stays_until_it_is_released(project: Project) -> None:
    store(project, *clip("a", 3, OLD), *clip("b", 3, OLD), frame("", 1, OLD))
    project.hold("a", "ann", "police, file 17")
    project.hold("b0001", "ann", "asked for by the person in it")
    assert project.held() == {"a": "police, file 17", "b0001": "asked for by the person in it"}
    done = gone(project)
    assert (done.items, done.held) == (3, 4)
    assert ids(project) == ["a0000", "a0001", "a0002", "b0001"]
    project.release("a", "ben", "the file was closed")
    assert gone(project).items == 3
    assert ids(project) == ["b0001"]
    assert [one.kind for one in project.retention()] == ["hold", "hold", "delete", "delete", "release", "delete"]


@pytest.mark.parametrize(
    ("what", "why", "said"), [("a", "", "must say why"), ("a", "  ", "must say why"), ("z", "x", "no clip or item 'z'")]
)
def test_a_hold_without_a_reason_or_an_object_is_refused(project: Project, what: str, why: str, said: str) -> None:
    store(project, *clip("a", 1, OLD))
    with pytest.raises(StoreError, match=said):
        project.hold(what, "ann", why)
    with pytest.raises(StoreError, match="not held"):
        project.release("a", "ann", "x")


def test_what_somebody_answers_or_holds_just_then_is_left_for_the_next_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(project, *clip("a", 2, OLD), *clip("b", 2, OLD), *clip("c", 2, OLD))
    remove = Project.remove
    meanwhile = {
        "a": lambda: project.decide("a0001", "accept", who="ann", key="1"),
        "b": lambda: project.hold("b", "ann", "just now"),
    }

    def late(self, *given, **how):
        meanwhile.pop(given[4][0], lambda: None)()
        return remove(self, *given, **how)

    monkeypatch.setattr(Project, "remove", late)
    done = gone(project)
    assert (done.items, done.changed) == (2, 2)
    assert gone(project).items == 2
    assert ids(project) == ["b0000", "b0001"]


def test_a_dry_run_says_what_would_go_and_changes_nothing(project: Project) -> None:
    store(project, *clip(LIVE, 6, OLD, events=[2], uri=f"{LIVE}/0000.ts"), *clip("b", 4, OLD), frame("", 1, YOUNG))
    project.hold("b", "ann", "x")
    written(project.path, f"recordings/{LIVE}/0000.ts")
    before = (project.path / "project.db").read_bytes(), raw(project.path, "SELECT * FROM retention")
    would = gone(project, dry_run=True)
    assert (project.path / "project.db").read_bytes(), raw(project.path, "SELECT * FROM retention") == before
    assert len(ids(project)) == 11
    done = gone(project)
    assert (would.items, would.clips, would.held, would.waiting, would.files, would.bytes) == (6, 1, 4, 6, 1, 5)
    assert would == done


# What is left of it


def everything(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_nothing_of_it_can_be_read_in_any_file(project: Project) -> None:
    store(project, *clip("a", 40, OLD))
    project.decide("a0003", "accept", who="ann", key="1", note=SECRET)
    project.decide("a0004", "edit", who="ann", key="2", labels=project.record("a0004").labels)
    assert SECRET.encode() in everything(project.path)
    done = gone(project)
    assert done.behind == ""
    left = everything(project.path)
    assert SECRET.encode() not in left
    assert b"red coat" not in left
    assert project.verify().ok


def test_while_somebody_reads_it_says_that_the_file_still_has_traces(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyla.store.retention.PATIENCE", 0.05)
    store(project, *clip("a", 5, OLD))
    other = sqlite3.connect(project.path / "project.db", isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM items").fetchall()
    done = gone(project)
    assert done.items == 5
    assert done.behind
    other.close()
    assert gone(project).behind == ""
    assert SECRET.encode() not in everything(project.path)


def test_a_large_file_is_not_rewritten_beside_a_run_and_later_it_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hyla.store.retention.LARGE", 1000)
    store(project, *clip("a", 5, OLD))
    assert "a run is writing" in gone(project).behind  # the project that `begin` made is one
    monkeypatch.undo()
    assert gone(project).behind == ""
    assert SECRET.encode() not in everything(project.path)


def test_a_call_that_deletes_nothing_does_not_rewrite_the_file(project: Project) -> None:
    store(project, *clip("a", 5, OLD))
    assert gone(project).items == 5
    before = (project.path / "project.db").stat()
    gone(project)
    after = (project.path / "project.db").stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)


def test_decisions_are_proved_without_their_notes(project: Project) -> None:
    store(project, *clip("a", 3, OLD), *clip("b", 3, YOUNG))
    first = project.decide("a0000", "accept", who="ann", key="1", note=SECRET)
    undone = project.decide("a0000", "undo", who="ann", key="2", undoes=first.seq)
    project.decide("b0000", "accept", who="ben", key="3", note="a word about b")
    head = project.verify().head
    gone(project)
    report = project.verify(head)
    assert report.ok, report.problems
    assert (report.decisions, report.deleted) == (3, 3)
    assert [one.note for one in project.decisions()] == ["", "", "a word about b"]
    assert [one.hash for one in project.decisions()][:2] == [first.hash, undone.hash]
    assert [one.item_id for one in project.recent(9)] == ["b0000"]  # the page lists what it can show
    assert project.decide("b0001", "accept", who="ann", key="4").prev_hash == head
    with pytest.raises(StoreError, match="no item"):
        project.decide("a0000", "accept", who="ann", key="5")


TAMPERED = {
    "UPDATE deleted SET item_id = 'b0000' WHERE item_id = 'a0000'": "deletion 1 names was changed",
    "DELETE FROM deleted WHERE item_id = 'a0002'": "deletion 1 names was changed",
    "UPDATE retention SET who = 'mallory'": "event 1 of what was held and deleted was changed",
    "DELETE FROM retention": "no deletion names them",
    "UPDATE decisions SET who = 'mallory' WHERE item_id = 'a0000'": "decision 1 was changed",
    "UPDATE decisions SET note = 'x' WHERE item_id = 'a0000'": "decision 1 was changed",
    "UPDATE deleted SET annotations = '[]' WHERE item_id = 'a0000'": "that item 'a0000' had before decision 1",
    "INSERT INTO quarantine SELECT 'a0001', 1, '', '', 1, '', '{}', '', '', 1": "still has it",
    "UPDATE decisions SET item_id = 'z' WHERE item_id = 'b0000'": "decision 2 is about an item that is not there",
}


@pytest.mark.parametrize("statement", TAMPERED)
def test_a_changed_account_is_seen(tmp_path: Path, statement: str) -> None:
    with Project.create(tmp_path) as project:
        begin(project)
        store(project, *clip("a", 3, OLD), *clip("b", 3, YOUNG))
        project.decide("a0000", "accept", who="ann", key="1", note=SECRET)
        project.decide("b0000", "accept", who="ann", key="2")
        gone(project)
        assert project.verify().ok
        raw(tmp_path, "PRAGMA foreign_keys=OFF", statement, free=True)
        report = project.verify()
    assert any(TAMPERED[statement] in problem for problem in report.problems), report.problems


def test_what_is_deleted_past_hyla_is_seen(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        begin(project)
        store(project, *clip("a", 2, OLD))
        project.decide("a0000", "accept", who="ann", key="1")
        for table in ("items", "annotations", "labels", "flags", "decisions"):
            with pytest.raises(sqlite3.IntegrityError, match="written once"):
                raw(tmp_path, f"DELETE FROM {table}")
        with pytest.raises(sqlite3.IntegrityError, match="written once"):
            raw(tmp_path, "UPDATE decisions SET note = ''")
        for table in ("labels", "annotations", "flags", "items"):
            raw(tmp_path, f"DELETE FROM {table}", free=True)
        report = project.verify()
    assert any("no deletion names it" in problem for problem in report.problems)


def test_what_is_written_down_is_written_once(project: Project) -> None:
    store(project, *clip("a", 2, OLD))
    project.decide("a0000", "accept", who="ann", key="1", note="x")
    gone(project)
    for table, column in (("retention", "who"), ("deleted", "grp"), ("decisions", "who")):
        with pytest.raises(sqlite3.IntegrityError, match="written once"):
            raw(project.path, f"DELETE FROM {table}")
        with pytest.raises(sqlite3.IntegrityError, match="written once"):
            raw(project.path, f"UPDATE {table} SET {column} = 'x'")
    with pytest.raises(sqlite3.IntegrityError, match="written once"):
        raw(project.path, "UPDATE decisions SET note = 'y'")  # it may be erased, and nothing be put there


# A run afterwards


def test_a_run_does_not_label_what_was_deleted_again(toy: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "some.toy", tmp_path / "out"
    source.write_text("clip 4\n- one\n- two\n")

    def run() -> list[str]:
        hyla.run(hyla.compose("toy", source=str(source), out=str(out), progress=False))
        with Project.open(out) as project:
            return ids(project)

    first = run()
    with Project.open(out) as project:
        assert retain(project, "ann", hours=0.0, now=None).items == 6
        assert ids(project) == []
    source.write_text("clip 4\n- one\n- two\n- three\n")
    again = run()
    assert len(again) == 1
    assert not set(again) & set(first)
    with Project.open(out) as project:
        assert project.counts().items == 1


def test_what_was_under_way_while_it_was_deleted_is_not_stored(project: Project) -> None:
    frames = clip("a", 3, OLD)
    store(project, *frames)
    gone(project)
    project.write([Stored(one, i, 0.0) for i, one in enumerate(frames)])
    project.write([Quarantined(frames[0].item, 0, "load", "x")])
    assert rows(project) == dict.fromkeys(TABLES, 0)


# The verb


def test_the_verb_says_what_it_does(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    store(project, *clip("a", 3, OLD), *clip("b", 2, OLD, hours=10**6))
    out = str(project.path)

    def said(*words: str, status: int = 0) -> str:
        assert cli.main(["retain", out, *words]) == status
        told = capsys.readouterr()
        return told.out + told.err

    assert "3 items don't say how long they may be kept" in said(status=1)
    assert "3 items of 1 clips would be deleted; 3 of them still waited" in said("--hours", "24", "--dry-run")
    assert "must say why" in said("--hold", "a", status=1)
    assert "hold: a, asked" in said("--hold", "a", "--why", "asked", "--as", "ann")
    assert "0 that are held" not in said("--hours", "24", "--dry-run")
    assert "release: a" in said("--release", "a", "--why", "done")
    assert "3 items of 1 clips deleted" in said("--hours", "24", "--as", "ann")
    listed = said("--list")
    assert "delete: 3 items of 1 clips, past its time" in listed
    assert json.loads(said("--list", "--json"))["events"][-1]["who"] == "ann"
    assert cli.main(["verify", out]) == 0
    assert "3 items were deleted, past their time" in capsys.readouterr().out
