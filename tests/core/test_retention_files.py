"""Files go with the last item that tells of them, when asked for, and none outside of the source and the project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hyla.store import Project
from retention_kit import HOUR, NOW, OLD, YOUNG, begin, clip, confirm, frame, gone, ids, store, written


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Hold an empty project, which must verify in the end."""
    with Project.create(tmp_path / "out") as made:
        begin(made, tmp_path / "source")
        (tmp_path / "source").mkdir()
        yield made
        report = made.verify()
        assert report.ok, report.problems


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
    store(project, *[frame("c", i, OLD, uri=f"c/{i:06d}.jpg") for i in (0, 3)])
    written(source, *(f"c/{i:06d}.jpg" for i in range(5)), "c/seqinfo.ini")
    assert gone(project, around=0.0, sources=True).files == 5
    assert [path.name for path in (source / "c").iterdir()] == ["seqinfo.ini"]


def test_what_a_live_run_recorded_always_goes(project: Project) -> None:
    written(project.path, "recordings/gate/1/0000.ts", "recordings/gate/1/0001.ts")
    frames = [frame("gate/1", i, NOW - 24 * HOUR - 3 + i, uri=f"gate/1/000{i // 4}.ts") for i in range(8)]
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
