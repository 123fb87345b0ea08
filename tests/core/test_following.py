"""Live streams: each on a thread of its own, groups ended as they say, all of them when a run is stopped, and none held up."""

from __future__ import annotations

import itertools
import queue
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from hyla.engine import Done, Failed, GroupEnd, Task, local
from hyla.engine.following import SESSION
from hyla.engine.local import Local
from hyla.errors import BadItem, ConfigError, StageError
from hyla.hooks import Loader, Model, Rule, hookimpl
from hyla.live import Reports, camera_lines, end_open_groups
from hyla.plugins import Pipeline
from hyla.store import Project, Quarantined, Stored, glance
from hyla.types import Flag, Image, Item, Labels
from store_kit import fill, record, start


def stream(name):
    return Item(f"id-{name}", name, kind="stream")


def shot(name, index, group=None):
    group = group or f"{name}/1"
    return Image(np.zeros((4, 4, 3), np.uint8), Item(f"{group}-{index}", name, group, index, "video_frame"))


class Live(Loader):
    """Follow what a dict of functions yields, by name."""

    def __init__(self, **streams):
        self.streams, self.closed, self.ended = streams, [], []

    @hookimpl
    def follow(self, item):
        if item.kind != "stream":
            return None
        return self._follow(item.uri)

    def _follow(self, name):
        try:
            yield from self.streams[name]()
        finally:
            self.closed.append(name)

    @hookimpl
    def load(self, item):
        return shot("loaded", item.index, item.group)

    @hookimpl
    def close(self, group):
        self.ended.append(group)


class Counting(Model):
    memory = True

    def __init__(self):
        self.batches, self.forgotten, self.seen = [], [], threading.Event()

    @hookimpl
    def predict(self, images):
        self.batches.append([image.item.id for image in images])
        self.seen.set()
        return [Labels.empty() for _ in images]

    @hookimpl
    def forget(self, group):
        self.forgotten.append(group)


def follow(loader, model=None, until=None, batch=4, tasks=(), names=None):
    """Return the events of following every stream of `loader`."""
    until = until or threading.Event()
    pipeline = Pipeline({"loader": loader, "model": model or Counting()})
    live = Task("", [(SESSION, stream(name)) for name in names or loader.streams], until=until)
    return list(Local(workers=1).stream(pipeline, [live, *tasks], batch))


def test_each_image_is_labelled_and_each_group_ends_after_its_last_image():
    def frames():
        yield None
        yield from (shot("gate", i) for i in range(3))
        yield "gate/1"
        yield from (shot("gate", i, "gate/2") for i in range(2))

    loader, model = Live(gate=frames), Counting()
    events = follow(loader, model)
    found = [event.group if isinstance(event, GroupEnd) else event.item.id for event in events]
    assert [one for one in found if "-" in one] == ["gate/1-0", "gate/1-1", "gate/1-2", "gate/2-0", "gate/2-1"]
    assert found.index("gate/1") > found.index("gate/1-2")
    assert found[-1] == "gate/2"
    assert model.forgotten == loader.ended == ["gate/1", "gate/2"]
    assert loader.closed == ["gate"]


def test_groups_lie_one_after_the_other_in_the_order_of_the_scan():
    def two(name):
        return lambda: (shot(name, i, f"{name}/{n}") for n in range(2) for i in range(5))

    ordinals = {}
    for event in follow(Live(a=two("a"), b=two("b"))):
        if isinstance(event, Done):
            ordinals.setdefault(event.item.group, []).append(event.ordinal)
    assert len(ordinals) == 4
    spans = sorted((found[0], found) for found in ordinals.values())
    assert [first // SESSION for first, _ in spans] == [1, 2, 3, 4]
    assert all(found == [first + i for i in range(5)] for first, found in spans)


def test_more_streams_than_workers_are_all_followed_at_once():
    together = threading.Barrier(6, timeout=20)

    def frames(name):
        def play():
            together.wait()
            yield shot(name, 0)

        return play

    events = follow(Live(**{f"c{i}": frames(f"c{i}") for i in range(6)}))
    assert sum(isinstance(event, Done) for event in events) == 6


def test_what_waits_is_labelled_without_waiting_for_a_full_batch():
    model = Counting()

    def frames():
        yield shot("gate", 0)
        assert model.seen.wait(20)
        yield shot("gate", 1)

    follow(Live(gate=frames), model, batch=64)
    assert model.batches[0] == ["gate/1-0"]


def test_a_batch_is_not_waited_for_longer_the_more_images_come(monkeypatch):
    """The first image sets the moment, on a clock that goes on by 0.1 s with each look at it."""
    now, model, waits = itertools.count(0), Counting(), []

    class Told(queue.Queue):
        def get(self, block=True, timeout=None):
            if timeout is None or timeout == local.POLL:
                return super().get(block, timeout)
            waits.append(timeout)
            return super().get(block, timeout and 20)  # the next image does come

    def frames():
        yield from (shot("gate", i) for i in range(3))
        assert model.seen.wait(20)

    def tasks():
        yield Task("", [(SESSION, stream("gate"))], until=threading.Event())
        assert model.seen.wait(20)  # else the end of the scan comes in between

    monkeypatch.setattr(local, "queue", SimpleNamespace(Queue=Told, Empty=queue.Empty, Full=queue.Full))
    monkeypatch.setattr(local, "time", SimpleNamespace(perf_counter=lambda: next(now) / 10))
    list(local.Local(workers=1).stream(Pipeline({"loader": Live(gate=frames), "model": model}), tasks(), 64))
    assert waits == pytest.approx([local.LATENCY - 0.1, local.LATENCY - 0.3, local.LATENCY - 0.5], abs=1e-9)
    assert model.batches == [["gate/1-0", "gate/1-1", "gate/1-2"]]


def test_a_run_that_is_stopped_hands_over_what_came_and_ends_every_group():
    until = threading.Event()

    def endless(name):
        def play():
            for i in itertools.count():
                yield shot(name, i)
                if i == 20:
                    until.set()

        return play

    def silent():
        yield shot("hall", 0)
        while True:
            yield None

    loader = Live(gate=endless("gate"), yard=endless("yard"), hall=silent)
    events = follow(loader, until=until)
    ends = [event.group for event in events if isinstance(event, GroupEnd)]
    assert sorted(ends) == ["gate/1", "hall/1", "yard/1"]
    for group in ends:
        indexes = [event.item.index for event in events if isinstance(event, Done) and event.item.group == group]
        assert indexes == list(range(len(indexes)))
        assert indexes
    assert sorted(loader.closed) == ["gate", "hall", "yard"]


def test_a_run_that_is_broken_off_leaves_no_thread():
    def silent():
        yield shot("hall", 0)
        while True:
            yield None

    loader = Live(hall=silent)
    pipeline = Pipeline({"loader": loader, "model": Counting()})
    events = Local(workers=1).stream(pipeline, [Task("", [(0, stream("hall"))], until=threading.Event())], 1)
    next(events)
    events.close()
    assert loader.closed == ["hall"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("hyla-")]


@pytest.mark.parametrize("error", [BadItem("no such camera", "look again"), ZeroDivisionError("oops")])
def test_a_stream_that_fails_costs_only_itself(error):
    def broken():
        yield shot("gate", 0)
        raise error

    events = follow(Live(gate=broken, yard=lambda: iter([shot("yard", 0)])))
    assert sorted(event.item.id for event in events if isinstance(event, Done)) == ["gate/1-0", "yard/1-0"]
    assert sorted(event.group for event in events if isinstance(event, GroupEnd)) == ["gate/1", "yard/1"]
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.item.uri == "gate"
    assert ("no such camera" in failed.reason) or ("loader failed in follow: ZeroDivisionError" in failed.reason)


@pytest.mark.parametrize("error", [StageError("disk full"), ZeroDivisionError("oops"), ConfigError("no such folder")])
def test_a_group_that_can_not_be_closed_is_ended_and_told_of_and_its_stream_goes_on(error):
    class Stuck(Live):
        @hookimpl
        def close(self, group):
            raise error

    def frames():
        yield shot("gate", 0)
        yield "gate/1"
        yield shot("gate", 0, "gate/2")

    events, model = [], Counting()
    work = threading.Thread(target=lambda: events.extend(follow(Stuck(gate=frames), model)), daemon=True)
    work.start()
    work.join(20)
    assert not work.is_alive()
    assert [event.group for event in events if isinstance(event, GroupEnd)] == model.forgotten == ["gate/1", "gate/2"]
    assert [event.item.id for event in events if isinstance(event, Done)] == ["gate/1-0", "gate/2-0"]
    failed = [event for event in events if isinstance(event, Failed)]
    assert [one.item.uri for one in failed] == ["gate", "gate"]
    assert all(str(error) in one.reason for one in failed)


def test_a_setting_that_can_not_be_ends_the_run():
    def wrong():
        yield from ()
        raise ConfigError("no such thing")

    with pytest.raises(ConfigError, match="no such thing"):
        follow(Live(gate=wrong))


def test_a_stream_that_nobody_follows_is_told_of():
    class Deaf(Live):
        @hookimpl
        def follow(self, item):
            return None

    (failed,) = follow(Deaf(gate=lambda: iter(())))
    assert "no loader follows gate" in failed.reason


def test_an_image_that_no_model_could_read_is_set_aside():
    def frames():
        yield Image(np.zeros((4, 4), np.uint8), Item("flat", "gate", "gate/1", 0, "video_frame"))
        yield shot("gate", 1)

    failed, done, _ = follow(Live(gate=frames))
    assert (failed.item.id, done.item.id) == ("flat", "gate/1-1")


def test_items_that_are_loaded_go_on_beside_streams():
    task = Task("clip", [(i, Item(f"clip-{i}", "clip", "clip", i)) for i in range(10)])
    events = follow(Live(gate=lambda: (shot("gate", i) for i in range(10))), tasks=[task])
    assert sum(isinstance(event, Done) for event in events) == 20


def test_a_pipeline_without_a_loader_of_streams_says_so():
    with pytest.raises(StageError, match="no loader follows"):
        list(Pipeline({"model": Counting()}).follow(stream("gate")))
    assert Pipeline({"model": Counting()}).state() == {}


# What is kept of cameras


class Telling(Loader):
    def __init__(self):
        self.told = {"gate": {"state": "connected", "frames": 1}}

    @hookimpl
    def state(self):
        return self.told


def test_what_is_known_of_cameras_is_kept_and_shown(tmp_path):
    loader = Telling()
    with Project.create(tmp_path) as project:
        start(project)
        reports = Reports(project, Pipeline({"loader": loader}))
        reports.write()
        assert project.cameras() == {}
        reports.write(now=True)
        seen = project.cameras()["gate"]["seen"]
        reports.write(now=True)
        assert project.cameras()["gate"] == {"state": "connected", "frames": 1, "seen": seen}
        loader.told["gate"] = {"state": "lost", "problems": ["z lies outside"]}
        reports.write(now=True)
        assert project.cameras()["gate"]["state"] == "lost"
        assert project.cameras()["gate"]["seen"] > seen
        project.remember("camerashy", 1)
        assert list(glance(tmp_path).cameras) == ["gate"]
        assert glance(tmp_path).cameras == project.cameras()
        assert project.verify().ok


@pytest.mark.parametrize(
    ("state", "running", "wanted"),
    [
        (
            {"state": "connected", "since": "12:00", "frames": 3, "size": [4, 5]},
            True,
            ["connected since 12:00 (5 x 4, 3 frames)"],
        ),
        ({"state": "connected", "since": "12:00"}, False, ["was connected when the run stopped since 12:00"]),
        ({"state": "lost", "error": "Connection refused"}, True, ["lost", "  Connection refused"]),
        (
            {"state": "recorded", "described": False, "problems": ["z"]},
            False,
            ["recorded; nothing is described of it: no camera file", "  z"],
        ),
        ({}, True, ["unknown"]),
    ],
)
def test_a_camera_in_words(state, running, wanted):
    assert camera_lines(state, running) == wanted


def test_groups_that_were_not_finished_and_the_last_place(tmp_path):
    with Project.create(tmp_path) as project:
        assert (project.open_groups(), project.last_ordinal()) == ([], -1)
        start(project)
        fill(project, 3)
        project.write([Stored(record("b", group="later"), 9, 0.0), Stored(record("a", group="first"), 7, 0.0)])
        project.write([Quarantined(Item("c", "c"), 12, "load", "broken")])
        assert (project.open_groups(), project.last_ordinal()) == (["first", "later"], 12)
        project.finish_group("first", [])
        assert project.open_groups() == ["later"]


def test_a_run_ends_the_groups_that_a_killed_one_left_open_and_its_rules_judge_them(tmp_path):
    class Judge(Rule):
        @hookimpl
        def check_group(self, records):
            return [(one.item.id, Flag("judge", "seen")) for one in records]

    with Project.create(tmp_path) as project:
        start(project)
        project.write([Stored(record(f"f{i}", group="gate/1", index=i), i, 0.0) for i in range(3)])
        end_open_groups(project, Pipeline({"rules.judge": Judge()}))
        assert project.open_groups() == []
        assert [[flag.reason for flag in one.flags] for one in project.records(source="model")] == [["seen"]] * 3
        assert project.verify().ok
