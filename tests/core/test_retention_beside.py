"""What runs, people and other calls do just then: no item, file or event is lost to deletion that was not past its time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hyla.hooks import Rule, hookimpl
from hyla.live import end_open_groups
from hyla.plugins import Pipeline
from hyla.retain import retain
from hyla.store import Project, Quarantined
from hyla.types import Flag, Item, Severity
from retention_kit import HOUR, NOW, OLD, YOUNG, begin, clip, confirm, frame, gone, ids, sound, store, written


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with sound(tmp_path / "out") as made:
        begin(made, tmp_path / "source")
        (tmp_path / "source").mkdir()
        yield made


@pytest.fixture
def meanwhile(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let something happen after a call counted the items, and before it reads them."""
    read = Project.dated

    def later(act: Callable[[], None]) -> None:
        calls = iter([lambda: None, act])

        def dated(self: Project):
            next(calls, lambda: None)()
            return read(self)

        monkeypatch.setattr(Project, "dated", dated)

    return later


def test_of_items_that_stand_alone_only_the_confirmed_one_stays(project: Project) -> None:
    store(project, *[frame("", i, OLD, event=7 if i in (5, 6) else None, each=0.0) for i in range(40)])
    confirm(project, "one0005")
    done = gone(project)
    assert (done.items, done.confirmed) == (39, 1)
    assert ids(project) == ["one0005"]


def test_an_item_that_is_stored_meanwhile_and_names_no_period_is_not_due(project: Project, meanwhile) -> None:
    store(project, *clip("a", 3, OLD, hours=1.0))
    meanwhile(lambda: store(project, *clip("b", 2, OLD), finish=False))
    assert retain(project, "ann", now=NOW).items == 3
    assert ids(project) == ["b0000", "b0001"]


def test_a_file_that_two_clips_share_stays_if_one_of_them_was_left(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "source", "both.mp4")
    store(project, *clip("a", 3, OLD, uri="both.mp4"), *clip("b", 3, OLD, uri="both.mp4"))
    remove = Project.remove

    def late(self: Project, *given, **how):
        if given[4] == ["a"]:
            self.decide("a0001", "accept", who="ann", key="1")
        return remove(self, *given, **how)

    monkeypatch.setattr(Project, "remove", late)
    done = gone(project, sources=True)
    assert (done.items, done.changed, done.files) == (3, 1, 0)
    assert (tmp_path / "source/both.mp4").exists()
    monkeypatch.undo()
    assert gone(project, sources=True).files == 1


def test_a_clip_that_ends_while_a_call_reads_it_stays_for_the_next(project: Project, tmp_path: Path, meanwhile) -> None:
    written(tmp_path / "source", "a.mp4")
    frames = clip("a", 6, OLD)
    store(project, *frames[:3], finish=False)
    meanwhile(lambda: store(project, *frames[3:]))
    assert gone(project, sources=True).items == 0  # of a longer one, the last frames may not have been among what was read
    done = gone(project, sources=True)
    assert (done.items, done.files) == (6, 1)
    assert list((tmp_path / "source").iterdir()) == []


def test_flags_of_what_was_deleted_since_the_rules_looked_are_dropped(project: Project) -> None:
    store(project, *clip("a", 3, OLD), *clip("b", 1, OLD), *[frame("b", 1, YOUNG)], finish=False)
    gone(project)
    odd = Flag("gaps", "odd", Severity.REVIEW)
    project.finish_group("a", [("a0001", odd)])
    project.finish_group("b", [("b0000", odd), ("b0001", odd)])
    assert project.group_done("a")
    assert odd in project.record("b0001").flags


def test_a_group_that_is_deleted_while_its_rules_look_is_ended(project: Project) -> None:
    store(project, *clip("a", 3, OLD), finish=False)

    class Late(Rule):
        @hookimpl
        def check_group(self, records):
            found = [one.item.id for one in records]
            with Project.open(project.path) as other:
                gone(other)
            return [(one, Flag("late", "odd", Severity.REVIEW)) for one in found]

    end_open_groups(project, Pipeline({"rules.late": Late()}))
    assert ids(project) == []
    assert project.group_done("a")


def test_a_stream_that_failed_neither_stops_the_call_nor_is_forgotten(project: Project) -> None:
    failed = Quarantined(Item("id-yard", "yard", kind="stream", meta={"camera": "yard"}), 1 << 24, "load", "it broke")
    store(project, *clip("a", 3, OLD, hours=1.0))
    project.write([failed])
    assert retain(project, "ann", now=NOW).items == 3
    assert retain(project, "ann", hours=0.0).items == 0
    project.write([failed])
    assert project.counts().quarantined == 1


def test_a_deletion_reads_none_of_those_before_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    store(project, *[frame("", i, OLD) for i in range(40)])
    project.hold("one0039", "ann", "x")
    for i in range(20):
        project.remove({f"one{i:04d}": None}, [], "ann", "past its time")
    read: list[str] = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text: read.append(text) or loads(text))
    made = project.remove({"one0020": None}, [], "ann", "past its time")
    monkeypatch.undo()
    assert made == project.retention()[-1]
    assert len([one for one in read if "digest" in one]) <= 1  # its own
    assert len(read) <= 2


def test_who_looked_at_a_clip_is_found_by_an_item_that_was_deleted(project: Project) -> None:
    store(project, *clip("a", 3, OLD), frame("", 1, OLD))
    project.saw("ann", ["a0001", "one0001"], "picture")
    before = project.accesses(what="a0001")
    assert [one.group for one in before] == ["a"]
    gone(project)
    assert project.accesses(what="a0001") == before == project.accesses(what="a")
    assert [one.item_id for one in project.accesses(what="one0001")] == ["one0001"]


@pytest.mark.parametrize("what", ["clip", "q"])
def test_what_is_only_in_quarantine_can_be_held(project: Project, what: str) -> None:
    project.write([Quarantined(Item("q", "q.mp4", "clip", 0, "video_frame", {"utc": OLD}), 0, "load", "damaged")])
    project.hold(what, "ann", "police")
    assert project.remove({}, ["q"], "ann", "past its time", ["clip"]) is None
    done = gone(project)
    assert (done.items, done.held) == (0, 1)
    project.release(what, "ann", "returned")
    assert gone(project).items == 1


@pytest.mark.parametrize("utc", [-1e300, -1e12, -1.0, 1e12, 1e300])
def test_a_time_that_can_t_be_counts_from_when_it_was_labelled(project: Project, utc: float) -> None:
    store(project, frame("", 1, utc), frame("", 2, OLD))
    done = gone(project)
    assert (done.items, done.behind) == (1, "")
    assert done.oldest > "2026"
    assert gone(project, now=NOW + 1e9 + 24 * HOUR).items == 1
