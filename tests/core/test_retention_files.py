"""Files go with the last item that tells of them, when asked for, and none outside of the source and the project."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyla import footage
from hyla.errors import ConfigError
from hyla.store import Project, Quarantined
from hyla.types import Item
from retention_kit import HOUR, NOW, OLD, YOUNG, begin, clip, confirm, frame, gone, ids, sound, store, written

FIRST, SECOND, THIRD = (f"gate/2025061{n}T080000.000Z" for n in range(3))  # sessions of a live camera


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with sound(tmp_path / "out") as made:
        begin(made, tmp_path / "source")
        (tmp_path / "source").mkdir()
        yield made


def test_footage_goes_with_its_last_item_and_only_when_asked(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "a.mp4", "b.mp4", "c.mp4", "gate/notes.txt")
    store(project, *clip("a", 3, OLD), *clip("b", 3, OLD, events=[1]), *clip("c", 2, YOUNG))
    confirm(project, "b0001")
    assert gone(project, around=0.0).files == 0
    assert gone(project, sources=True, dry_run=True).files == 1  # and what is left of an earlier call goes when it is asked for
    assert len(list(source.iterdir())) == 4
    assert gone(project, sources=True).files == 1
    assert sorted(path.name for path in source.rglob("*.*")) == ["b.mp4", "c.mp4", "notes.txt"]
    assert gone(project, sources=True).files == 0


def test_footage_is_removed_and_written_down(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "a.mp4", "b.mp4", "c.mp4", "gate/notes.txt")
    written(project.path, "pictures/a0001.jpg", "pictures/c0000.jpg")
    store(project, *clip("a", 3, OLD), *clip("b", 3, OLD, events=[1]), *clip("c", 2, YOUNG))
    confirm(project, "b0001")
    done = gone(project, around=0.0, sources=True)
    assert (done.files, done.bytes, done.left) == (2, 10, {})
    assert sorted(path.name for path in source.rglob("*.*")) == ["b.mp4", "c.mp4", "notes.txt"]
    assert [path.name for path in (project.path / "pictures").iterdir()] == ["c0000.jpg"]
    told = [one for one in project.retention() if one.kind == "footage"]
    assert told[0].body["gone"] == ["pictures/a0001.jpg", "source:a.mp4"]
    assert project.unswept() == []


def test_a_sequence_of_pictures_goes_with_those_between_the_labelled_ones(project: Project, tmp_path: Path) -> None:
    """A run that keeps every third frame tells of every third file; the others would be labelled by the next one."""
    source = tmp_path / "source"
    written(source, *(f"{name}/{i:06d}.jpg" for name in "ab" for i in range(9)), "a/notes.txt", "b/alone.jpg")
    for name in "ab":
        frames = [frame(name, i, OLD + i, event=5 if i == 3 else None, uri=f"{name}/{i:06d}.jpg") for i in range(0, 9, 3)]
        store(project, *frames)
    store(project, frame("", 1, YOUNG, uri="b/alone.jpg"))
    confirm(project, "a0003")
    assert gone(project, around=0.0, sources=True).files == 3  # of b the labelled ones: another item lies among them
    assert len(list(source.glob("a/*.jpg"))) == 9  # of a nothing, as long as one frame is kept
    assert (source / "b/alone.jpg").exists()
    written(source, *(f"c/{i:06d}.jpg" for i in range(5)), "c/seqinfo.ini")
    store(project, *[frame("c", i, OLD, uri=f"c/{i:06d}.jpg") for i in (0, 3)])
    assert gone(project, around=0.0, sources=True).files == 4
    assert sorted(path.name for path in (source / "c").iterdir()) == ["000004.jpg", "seqinfo.ini"]


def test_pictures_that_nobody_labelled_yet_stay(project: Project, tmp_path: Path) -> None:
    """A camera goes on writing into the folder, in order or, after its counter began anew, between what is there."""
    source = tmp_path / "source"
    written(source, *(f"gate/{i:06d}.jpg" for i in range(0, 12, 3)), "gate/000004.jpg")
    store(project, *[frame("gate", i, OLD + i, uri=f"gate/{i:06d}.jpg") for i in range(0, 12, 3)])
    written(source, "gate/000012.jpg", "gate/000005.jpg")
    os.utime(source / "gate/000005.jpg", (time.time() + 60, time.time() + 60))
    assert gone(project, sources=True).files == 5
    assert sorted(path.name for path in (source / "gate").iterdir()) == ["000005.jpg", "000012.jpg"]


def test_what_a_live_run_recorded_always_goes(project: Project) -> None:
    written(project.path, f"recordings/{FIRST}/0000.ts", f"recordings/{FIRST}/0001.ts")
    frames = [frame(FIRST, i, NOW - 24 * HOUR - 3 + i, uri=f"{FIRST}/000{i // 4}.ts") for i in range(8)]
    store(project, *frames, finish=False)
    assert gone(project).files == 1
    assert [path.name for path in project.path.rglob("*.ts")] == ["0001.ts"]
    assert len(ids(project)) == 4


@pytest.mark.parametrize("uri", ["../elsewhere.mp4", "link.mp4", "folder/elsewhere.mp4", "/etc/hostname"])
def test_nothing_outside_the_source_is_removed(project: Project, tmp_path: Path, uri: str) -> None:
    source = tmp_path / "source"
    written(tmp_path, "elsewhere.mp4")
    (source / "link.mp4").symlink_to(tmp_path / "elsewhere.mp4")
    (source / "folder").symlink_to(tmp_path)
    store(project, frame("", 1, OLD, uri=uri))
    done = gone(project, sources=True)
    assert (done.items, done.files) == (1, 0)
    assert (tmp_path / "elsewhere.mp4").exists()
    assert (source / "link.mp4").is_symlink()


def test_a_link_inside_the_source_goes_and_what_it_leads_to_stays(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "a.mp4")
    (source / "b.mp4").symlink_to("a.mp4")
    store(project, frame("", 1, OLD, uri="b.mp4"))
    assert gone(project, sources=True).files == 1
    assert sorted(path.name for path in source.iterdir()) == ["a.mp4"]


def test_a_source_that_is_one_file(tmp_path: Path) -> None:
    written(tmp_path / "in", "a.mp4", "b.mp4")
    with Project.create(tmp_path / "out") as project:
        begin(project, tmp_path / "in/a.mp4")
        store(project, *clip("a", 2, OLD))
        assert gone(project, sources=True).files == 1
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["b.mp4"]


def test_what_can_not_be_removed_is_named(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "source", "a.mp4")
    store(project, *clip("a", 2, OLD))

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    done = gone(project, sources=True)
    assert done.left == {"source:a.mp4": "Permission denied"}
    assert project.retention()[-1].body["left"] == done.left


def test_files_of_a_deletion_that_was_stopped_are_removed_by_the_next(project: Project, tmp_path: Path) -> None:
    written(tmp_path / "source", "a.mp4")
    store(project, *clip("a", 1, OLD))
    project.remove({"a0000": None}, [], "ann", "past its time", ["a"], ["source:a.mp4"])  # and then the power fails
    assert [one.body["files"] for one in project.unswept()] == [["source:a.mp4"]]
    assert gone(project).files == 1
    assert list((tmp_path / "source").iterdir()) == []
    assert project.unswept() == []


# Names that mean something else


@pytest.mark.parametrize("uri", ["../project.db", "../pictures/../project.db", "gate/../../project.db", "./../run.lock"])
@pytest.mark.parametrize("refused", [False, True])
def test_of_the_project_only_recordings_and_drawings_are_looked_at(project: Project, uri: str, refused: bool) -> None:
    written(project.path, "recordings/gate/0.ts")
    if refused:
        project.write([Quarantined(Item("x", uri, meta={"utc": OLD}), 0, "load", "damaged")])
    else:
        store(project, frame("", 1, OLD, uri=uri))
    done = gone(project, sources=True)
    assert (done.items, done.left) == (1, {})
    assert (project.path / "project.db").exists()
    assert (project.path / "run.lock").exists()


def test_a_name_outside_is_refused_whoever_wrote_it_down(project: Project, tmp_path: Path) -> None:
    written(tmp_path, "elsewhere.mp4")
    names = ["project.db", "recordings/../project.db", "pictures/../../elsewhere.mp4", f"recordings/{tmp_path}/elsewhere.mp4"]
    names += ["source:../elsewhere.mp4", f"source:{tmp_path}/elsewhere.mp4"]
    store(project, *clip("a", 1, OLD))
    project.remove({"a0000": None}, [], "ann", "past its time", ["a"], names)
    assert list(gone(project).left) == names
    assert (tmp_path / "elsewhere.mp4").exists()
    assert (project.path / "project.db").exists()


def test_a_link_among_the_recordings_is_not_followed_out(project: Project, tmp_path: Path) -> None:
    written(tmp_path / "archive", "0000.ts")
    (project.path / "recordings").mkdir()
    (project.path / "recordings" / FIRST).parent.mkdir()
    (project.path / "recordings" / FIRST).symlink_to(tmp_path / "archive")
    store(project, *clip(FIRST, 2, OLD, uri=f"{FIRST}/0000.ts"))
    gone(project)
    assert (tmp_path / "archive/0000.ts").exists()


def test_while_the_source_is_away_nothing_is_searched_elsewhere_and_it_goes_later(project: Project, tmp_path: Path) -> None:
    source, away = tmp_path / "source", tmp_path / "away"
    written(source, "a.mp4", "b.mp4")
    store(project, *clip("a", 2, OLD), *clip("b", 2, OLD))
    source.rename(away)
    written(tmp_path, "a.mp4")  # a stranger's
    with pytest.raises(ConfigError, match="is not there"):
        gone(project, sources=True)
    assert len(ids(project)) == 4
    assert gone(project).items == 4
    away.rename(source)
    assert gone(project, sources=True).files == 2
    assert list(source.iterdir()) == []
    assert (tmp_path / "a.mp4").exists()
    assert gone(project, sources=True).files == 0


def test_a_file_that_is_away_when_it_is_asked_for_goes_later(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "gate/a.mp4")
    store(project, *clip("a", 2, OLD, uri="gate/a.mp4"))
    (source / "gate").rename(tmp_path / "gate")
    assert gone(project, sources=True).files == 0
    (tmp_path / "gate").rename(source / "gate")
    assert gone(project, sources=True, dry_run=True).files == 1
    assert gone(project, sources=True).files == 1


def test_what_could_not_be_removed_is_tried_again(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(project.path, f"recordings/{FIRST}/0000.ts", f"recordings/{FIRST}/0001.ts")
    store(project, *[frame(FIRST, i, OLD, uri=f"{FIRST}/000{i}.ts") for i in range(2)])
    unlink = Path.unlink

    def refuse(self, missing_ok=False):
        if self.name == "0000.ts":
            raise PermissionError(13, "Permission denied")
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert gone(project).files == 1
    number = project.last_event()
    assert gone(project).left == {f"recordings/{FIRST}/0000.ts": "Permission denied"}
    assert project.last_event() == number  # nothing new was found, so nothing is written
    monkeypatch.undo()
    done = gone(project)
    assert (done.files, done.left) == (1, {})
    assert project.unswept() == []
    assert list(project.path.rglob("*.ts")) == []


@pytest.mark.parametrize("asked", ["at once", "later"])
def test_a_new_file_of_an_old_name_stays(project: Project, tmp_path: Path, asked: str) -> None:
    """Cameras use names again: what was labelled as cam1.mp4 is over, and cam1.mp4 is of today."""
    source = tmp_path / "source"
    written(source, "cam1.mp4", "cam2.mp4")
    store(project, *clip("cam1", 2, OLD), *clip("cam2", 2, OLD))
    if asked == "at once":  # and then the power fails
        names = ["source:cam1.mp4", "source:cam2.mp4"]
        some = dict.fromkeys(ids(project))
        project.remove(some, [], "ann", "past its time", ["cam1", "cam2"], names, facts=footage.facts(project, names))
    else:
        gone(project)
    (source / "cam1.mp4").write_bytes(b"today")
    about = (source / "cam2.mp4").stat()
    (source / "cam2.mp4").write_bytes(b"longer than it was")
    os.utime(source / "cam1.mp4", ns=(about.st_atime_ns, about.st_mtime_ns + 1_000_000))
    os.utime(source / "cam2.mp4", ns=(about.st_atime_ns, about.st_mtime_ns))
    done = gone(project, sources=asked == "later")
    assert done.left == dict.fromkeys(["source:cam1.mp4", "source:cam2.mp4"], "another file has this name now")
    assert len(list(source.iterdir())) == 2
    assert gone(project, sources=True).left == {}


def test_a_file_that_items_tell_of_again_stays(project: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "a.mp4")
    names = ["source:a.mp4"]
    store(project, *clip("a", 1, OLD))
    project.remove({"a0000": None}, [], "ann", "past its time", ["a"], names, facts=footage.facts(project, names))
    store(project, *clip("again", 2, YOUNG, uri="a.mp4"))
    assert gone(project).files == 0
    assert gone(project, now=NOW + 24 * HOUR, sources=True).files == 1
    assert list(source.iterdir()) == []
    assert gone(project).files == 0  # the first deletion names it too
    assert project.unswept() == []


# Recordings that nothing tells of


def test_with_a_clip_goes_all_that_was_recorded_of_it(project: Project) -> None:
    written(project.path, f"recordings/{FIRST}/0000.ts", f"recordings/{FIRST}/0001.ts", f"recordings/{SECOND}/0000.ts")
    store(project, *clip(FIRST, 3, OLD, uri=f"{FIRST}/0000.ts"), *clip("gate", 2, OLD, uri="gate"))
    store(project, *clip(SECOND, 3, YOUNG, uri=f"{SECOND}/0000.ts"))
    assert gone(project).files == 2
    assert [path.parent for path in project.path.rglob("*.ts")] == [project.path / "recordings" / SECOND]


def test_what_a_run_still_records_stays_while_all_that_is_stored_of_it_goes(project: Project) -> None:
    written(project.path, f"recordings/{FIRST}/0000.ts", f"recordings/{FIRST}/0001.ts")
    store(project, *clip(FIRST, 3, OLD, uri=f"{FIRST}/0000.ts"), finish=False)
    assert gone(project).files == 1
    assert [path.name for path in project.path.rglob("*.ts")] == ["0001.ts"]


def test_recordings_of_a_run_that_was_killed_before_it_stored_anything_go(project: Project, tmp_path: Path) -> None:
    written(project.path, f"recordings/{FIRST}/0000.ts", f"recordings/{SECOND}/0000.ts", f"recordings/{THIRD}/0000.ts")
    written(tmp_path / "archive", "0000.ts")
    (project.path / "recordings/linked").symlink_to(tmp_path / "archive")
    store(project, *clip(SECOND, 3, YOUNG, uri=f"{SECOND}/0000.ts"))
    for name in (FIRST, SECOND):
        os.utime(project.path / f"recordings/{name}/0000.ts", (OLD, OLD))
    assert gone(project, dry_run=True).files == 1
    assert gone(project).files == 1
    # What an item tells of stays, and what the run that goes on has written since it began.
    assert sorted(path.parent.name for path in project.path.rglob("*.ts")) == [Path(SECOND).name, Path(THIRD).name]
    assert (tmp_path / "archive/0000.ts").exists()
    assert project.retention()[-2].body["why"] == "recorded, and never labelled"
    with Project.open(project.path) as other:
        project.close()
        assert gone(other).files == 1
        assert [path.parent.name for path in other.path.rglob("*.ts")] == [Path(SECOND).name]
