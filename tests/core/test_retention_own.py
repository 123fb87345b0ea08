"""No file goes that is somebody else's, not past its time or not labelled yet, wherever folders lie and whatever is mounted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hyla import footage
from hyla.errors import ConfigError
from hyla.store import Project, Quarantined
from hyla.store.lock import running
from hyla.types import Image, Item
from hyla_surveillance.live import Live
from live_kit import plays, steady
from retention_kit import HOUR, NOW, OLD, begin, clip, frame, gone, ids, sound, store, written

LIVE, OTHER = "gate/20250610T080000.000Z", "yard/20250610T080000.000Z"  # sessions of live cameras
ACROSS = NOW - 24.5 * HOUR  # when a clip of an hour begins of which the first half is past its time


def within(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Project]:
    with sound(tmp_path / "site") as made:
        yield made


# Whose recordings these are


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("source", ["site/recordings", "site", ".", "site/recordings/gate", "link"])
def test_a_source_in_the_folder_of_recordings_or_around_it_is_not_hyla_s(
    site: Project, tmp_path: Path, source: str, asked: bool
) -> None:
    folder = site.path / "recordings"
    names = {"gate/0800.mp4", "gate/0900.mp4", "gate/cameras/gate.yaml", f"{LIVE}/0000.ts", f"{LIVE}/0001.ts", f"{OTHER}/0000.ts"}
    written(folder, *names)
    for name in names:
        os.utime(folder / name, (OLD, OLD))
    (tmp_path / "link").symlink_to(folder)
    root = (tmp_path / source).resolve()
    uris = [os.path.relpath(folder / name, root) for name in ("gate/0800.mp4", f"{LIVE}/0000.ts")]
    begin(site, tmp_path / source)
    for uri in uris:
        store(site, *clip(uri, 3, OLD, uri=uri))
    site.hold(uris[0], "ann", "police")
    site.hold(uris[1], "ann", "police")
    assert gone(site, sources=asked).files == 0
    assert within(folder) == names
    site.release(uris[1], "ann", "returned")
    done = gone(site, sources=asked)
    assert (done.items, done.files) == (3, int(asked))
    assert within(folder) == (names - {f"{LIVE}/0000.ts"} if asked else names)


def test_of_a_live_run_whose_folder_lies_in_its_source_the_recordings_go_with_their_items(site: Project, tmp_path: Path) -> None:
    """As with `source=. out=site`, where cameras/*.yaml name the streams."""
    written(site.path, f"recordings/{LIVE}/0000.ts", f"recordings/{LIVE}/0001.ts", f"recordings/{OTHER}/0000.ts")
    os.utime(site.path / f"recordings/{OTHER}/0000.ts", (OLD, OLD))
    begin(site, tmp_path)
    store(site, *clip(LIVE, 3, OLD, uri=f"{LIVE}/0000.ts"))
    assert gone(site).files == 2
    assert within(site.path / "recordings") == {f"{OTHER}/0000.ts"}  # nobody labelled it, and it may be a source some day


def test_what_is_not_named_like_a_recording_is_none(site: Project) -> None:
    names = {
        "gate/0.ts",
        "gate/notes.txt",
        f"{LIVE}/notes.txt",
        f"{LIVE}/more/0000.ts",
        f"x/{OTHER}/0000.ts",
        f"{OTHER}/0000.mp4",
    }
    written(site.path / "recordings", f"{LIVE}/0000.ts", f"{OTHER}/0001.ts", *names)
    for path in site.path.glob("recordings/**/*.*"):
        os.utime(path, (OLD, OLD)) if path.is_file() else None
    begin(site, "rtsp://10.0.0.7/live")
    store(site, *clip(LIVE, 3, OLD, uri=f"{LIVE}/0000.ts"), *clip("gate", 3, OLD, uri="gate/0.ts"))
    assert gone(site).files == 2
    assert within(site.path / "recordings") == names


def test_a_disk_that_several_projects_record_on_is_not_swept(site: Project, tmp_path: Path) -> None:
    written(tmp_path / "disk", f"{LIVE}/0000.ts", f"{OTHER}/0000.ts")
    for path in (tmp_path / "disk").rglob("*.ts"):
        os.utime(path, (OLD, OLD))
    (site.path / "recordings").symlink_to(tmp_path / "disk")
    begin(site, "rtsp://10.0.0.7/live")
    store(site, *clip(LIVE, 3, OLD, uri=f"{LIVE}/0000.ts"))
    assert gone(site).files == 1
    assert within(tmp_path / "disk") == {f"{OTHER}/0000.ts"}


def test_a_recorder_gives_the_names_that_recordings_are_known_by(tmp_path: Path) -> None:
    loader = Live(camera="Tor 3/Süd", project=tmp_path, stream={"queue": 1000, "retry": [0.001, 0.001]})
    loader.frames = plays(steady(4))
    (item,) = loader.items("rtsp://host/gate")
    images = loader.follow(item)
    image = next(one for one in images if isinstance(one, Image))
    images.close()
    (name,) = within(tmp_path / footage.RECORDINGS)
    named = footage.RECORDED.fullmatch(name)
    assert named is not None
    assert (name, named[1]) == (image.item.uri, image.item.group)


# A clip that was not labelled to its end


def test_what_a_run_is_still_labelling_stays(site: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "gate.mp4")
    begin(site, source)
    store(site, *clip("gate.mp4", 20, ACROSS, each=60.0, uri="gate.mp4"), finish=False)
    assert running(site.path)
    assert gone(site, sources=True).items == 0
    store(site, *[frame("gate.mp4", i, ACROSS + i * 60, each=60.0, uri="gate.mp4") for i in range(20, 60)])
    done = gone(site, sources=True)
    assert (done.items, len(ids(site)), (source / "gate.mp4").exists()) == (0, 60, True)
    done = gone(site, sources=True, now=NOW + HOUR)
    assert (done.items, done.files) == (60, 1)


def test_what_a_run_could_not_use_so_far_says_nothing_of_the_rest(site: Project, tmp_path: Path) -> None:
    written(tmp_path / "source", "gate.mp4")
    begin(site, tmp_path / "source")
    site.write([Quarantined(Item("x", "gate.mp4", "gate.mp4", 0, "video_frame", {"utc": OLD}), 0, "model", "damaged")])
    assert gone(site, sources=True).items == 0
    site.finish_group("gate.mp4", [])
    done = gone(site, sources=True)
    assert (done.items, done.files) == (1, 1)


def test_of_a_clip_that_a_run_left_in_the_middle_the_file_stays_as_long_as_its_rest_may(site: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "gate.mp4")
    os.utime(source / "gate.mp4", (OLD, OLD))  # as it was copied here: what brought the time along may have set any
    begin(site, source)
    store(site, *clip("gate.mp4", 20, ACROSS, each=60.0, uri="gate.mp4"), finish=False)
    arrived = time.time()
    with Project.open(site.path) as other:
        site.close()
        assert gone(other, now=ACROSS + 24 * HOUR + 60, sources=True).items == 0  # of what was labelled, not all is past its time
        done = gone(other, sources=True)
        assert (done.items, done.files) == (20, 0)
        assert gone(other, sources=True, now=arrived + 23 * HOUR).files == 0
        assert (source / "gate.mp4").exists()
        assert gone(other, now=arrived + 25 * HOUR, hours=1000.0).files == 0  # nobody asks for it
        assert gone(other, sources=True, now=arrived + 25 * HOUR, hours=1000.0, dry_run=True).files == 1
        assert gone(other, sources=True, now=arrived + 25 * HOUR, hours=1000.0).files == 1
        assert other.unswept(kept=True) == []


def test_what_a_run_goes_on_with_later_keeps_the_file(site: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "gate.mp4")
    begin(site, source)
    store(site, *clip("gate.mp4", 20, ACROSS, each=60.0, uri="gate.mp4"), finish=False)
    site.close()
    with Project.open(site.path) as again:
        assert gone(again, sources=True).items == 20
        begin(again, source)
        store(again, *[frame("gate.mp4", i, ACROSS + i * 60, each=60.0, uri="gate.mp4") for i in range(20, 60)])
        assert gone(again, sources=True, now=NOW + 0.4 * HOUR).files == 0
        assert (source / "gate.mp4").exists()
        assert gone(again, sources=True, now=NOW + HOUR).files == 1


def test_pictures_of_a_sequence_that_was_left_in_the_middle_go_together(site: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, *(f"gate/{i:04d}.jpg" for i in range(60)))
    begin(site, source)
    store(site, *[frame("gate", i, ACROSS + i * 60, each=60.0, uri=f"gate/{i:04d}.jpg") for i in range(40)], finish=False)
    site.close()
    with Project.open(site.path) as other:
        assert gone(other, sources=True).items == 0
        later = time.time() + 25 * HOUR
        done = gone(other, sources=True, now=later)
        assert (done.items, done.files) == (40, 40)
    assert within(source) == {f"gate/{i:04d}.jpg" for i in range(40, 60)}


# What is mounted


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let nobody remove anything until it is undone."""

    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    return monkeypatch


@pytest.mark.parametrize("mounted", ["source", "source/gate"])
def test_a_file_that_could_not_be_removed_is_not_gone_while_it_is_unmounted(
    site: Project, tmp_path: Path, refused: pytest.MonkeyPatch, mounted: str
) -> None:
    source, point, away = tmp_path / "source", tmp_path / mounted, tmp_path / "away"
    written(source, "gate/0800.mp4")
    begin(site, source)
    store(site, *clip("gate/0800.mp4", 3, OLD, uri="gate/0800.mp4"))
    name = "source:gate/0800.mp4"
    assert gone(site, sources=True).left == {name: "Read-only file system"}
    refused.undo()
    point.rename(away)
    point.mkdir()
    device = footage._device
    refused.setattr(footage, "_device", lambda *given: (device(*given) or 0) + 1)  # of the folder that it is mounted on
    for _ in range(2):
        told = gone(site)
        assert (told.files, set(told.left)) == (0, {name})
        assert "mount" in told.left[name]
    assert gone(site, dry_run=True).files == 0
    point.rmdir()
    away.rename(point)
    refused.undo()
    done = gone(site)
    assert (done.files, done.left, site.unswept()) == (1, {}, [])
    assert within(source) == set()


def test_what_is_gone_for_good_with_its_disk_can_be_called_so(site: Project, tmp_path: Path, refused: pytest.MonkeyPatch) -> None:
    """Some file systems have another device after each start of the machine."""
    source = tmp_path / "source"
    written(source, "a.mp4")
    begin(site, source)
    store(site, *clip("a", 3, OLD))
    gone(site, sources=True)
    refused.undo()
    (source / "a.mp4").unlink()
    device = footage._device
    refused.setattr(footage, "_device", lambda *given: (device(*given) or 0) + 1)
    assert "put an empty one in its place" in gone(site).left["source:a.mp4"]
    (source / "a.mp4").touch()
    assert gone(site).left == {"source:a.mp4": "another file has this name now"}
    assert (gone(site).left, site.unswept()) == ({}, [])


def test_what_an_earlier_version_wrote_down_is_removed(site: Project, tmp_path: Path) -> None:
    source = tmp_path / "source"
    written(source, "a.mp4", "b.mp4")
    begin(site, source)
    store(site, *clip("a", 1, OLD), *clip("b", 1, OLD))
    site.remove({"a0000": None}, [], "ann", "past its time", ["a"], ["source:a.mp4"])  # no marks, no devices, no hours
    site.remove({"b0000": None}, [], "ann", "past its time", ["b"], [], ["source:b.mp4"])
    assert "marks" not in site.retention()[-1].body
    assert gone(site, dry_run=True).files == 1
    assert gone(site).files == 1
    assert gone(site, sources=True).files == 1
    assert within(source) == set()


# A source that is one file


@pytest.fixture
def single(site: Project, tmp_path: Path) -> Project:
    """Return a project of one clip, which was all of its source."""
    written(tmp_path / "in", "gate.mp4", "other.mp4")
    begin(site, tmp_path / "in/gate.mp4")
    store(site, *clip("gate.mp4", 3, OLD, uri="gate.mp4"))
    return site


def test_once_it_is_gone_there_is_nothing_left_to_refuse(single: Project, tmp_path: Path) -> None:
    assert gone(single, sources=True).files == 1
    for _ in range(2):
        done = gone(single, sources=True)
        assert (done.items, done.files, done.left) == (0, 0, {})
    assert within(tmp_path / "in") == {"other.mp4"}


def test_killed_between_the_file_and_its_note_the_next_call_ends_it(single: Project, tmp_path: Path) -> None:
    names = ["source:gate.mp4"]
    facts = footage.facts(single, names)
    single.remove(dict.fromkeys(ids(single)), [], "ann", "past its time", ["gate.mp4"], names, facts=facts)
    (tmp_path / "in/gate.mp4").unlink()
    done = gone(single, sources=True)
    assert (done.files, done.left, single.unswept()) == (0, {}, [])
    assert single.retention()[-1].body["gone"] == names


@pytest.mark.parametrize("folder", ["absent", "another"])
def test_while_its_disk_is_away_it_is_not_gone(single: Project, tmp_path: Path, refused: pytest.MonkeyPatch, folder: str) -> None:
    assert gone(single, sources=True).left == {"source:gate.mp4": "Read-only file system"}
    refused.undo()
    (tmp_path / "in").rename(tmp_path / "away")
    if folder == "another":
        (tmp_path / "in").mkdir()
        device = footage._device
        refused.setattr(footage, "_device", lambda *given: (device(*given) or 0) + 1)
    assert set(gone(single).left) == {"source:gate.mp4"}
    with pytest.raises(ConfigError, match="is not there"):
        gone(single, sources=True)
    refused.undo()
    if folder == "another":
        (tmp_path / "in").rmdir()
    (tmp_path / "away").rename(tmp_path / "in")
    assert gone(single, sources=True).files == 1
    assert within(tmp_path / "in") == {"other.mp4"}


def test_before_its_deletion_a_file_that_is_not_there_is_missed(single: Project, tmp_path: Path) -> None:
    (tmp_path / "in/gate.mp4").unlink()
    with pytest.raises(ConfigError, match="is not there"):
        gone(single, sources=True)
    assert gone(single).items == 3


@pytest.mark.parametrize("asked", [True, False])
def test_a_folder_of_which_all_is_gone_may_be_too(site: Project, tmp_path: Path, asked: bool) -> None:
    written(tmp_path / "source", "a.mp4")
    begin(site, tmp_path / "source")
    store(site, *clip("a", 3, OLD))
    gone(site, sources=asked)
    (tmp_path / "source").rename(tmp_path / "away")
    if asked:
        assert gone(site, sources=True).left == {}
    else:
        with pytest.raises(ConfigError, match="is not there"):
            gone(site, sources=True)
