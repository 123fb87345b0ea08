"""The run: what it stores, in which order, and that neither batches, workers nor interruptions change it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import hyla
from hyla.cli import main
from hyla.codec import record_to_dict
from hyla.errors import ConfigError, StoreError
from hyla.store import Project

SOURCE = "clip1 7\n- alone\nbadclip 9\n- broken\n" + "".join(f"- one{i}\n" for i in range(20)) + "clip2 20\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.toy"
    path.write_text(SOURCE)
    return path


def label(source: Path, out: Path, *overrides: str, **settings: Any) -> Any:
    return hyla.run(hyla.compose("toy", *overrides, source=source, out=out, progress=False, **settings))


def rows(out: Path) -> list[dict[str, Any]]:
    with Project.open(out) as project:
        schema = project.schema()
        found = [record_to_dict(r, schema) for r in project.records(source="model")]
        found += [{"quarantined": q.item.id, "stage": q.stage, "reason": q.reason} for q in project.quarantined()]
    return found


def test_every_item_is_accounted_for(toy: Path, source: Path, tmp_path: Path) -> None:
    summary = label(source, tmp_path / "out")
    assert summary.items == 7 + 1 + 9 + 1 + 20 + 20
    assert summary.quarantined == 3 + 1
    assert summary.accepted + summary.review + summary.rejected + summary.quarantined == summary.items
    assert summary.labels == 2 * (summary.items - summary.quarantined)
    written = json.loads((tmp_path / "out/summary.json").read_text())
    assert {k: written[k] for k in ("items", "labels", "accepted", "review", "quarantined")} == {
        k: getattr(summary, k) for k in ("items", "labels", "accepted", "review", "quarantined")
    }
    assert written["seconds"] > 0
    assert written["items_per_second"] > 0


def test_records_come_in_scan_order_with_frames_and_declared_context(toy: Path, source: Path, tmp_path: Path) -> None:
    label(source, tmp_path / "out", workers=4)
    with Project.open(tmp_path / "out") as project:
        records = list(project.records(source="model"))
    uris = [(r.item.uri, r.item.index) for r in records]
    expected = [("clip1", i) for i in range(7)] + [("alone", 0)] + [("badclip", i) for i in range(9) if i % 3 != 2]
    expected += [(f"one{i}", 0) for i in range(20)] + [("clip2", i) for i in range(20)]
    assert uris == expected
    assert records[3].frame == hyla.VideoFrame(index=3)
    assert records[0].labels.context == {"light": "day"}  # the loader's `moon` is not in the schema
    assert records[0].source == "model:toy@" + "0" * 12


def test_frames_of_a_clip_reach_the_model_in_order(toy: Path, source: Path, tmp_path: Path) -> None:
    label(source, tmp_path / "out", workers=4, batch=5)
    with Project.open(tmp_path / "out") as project:
        tracks = [int(r.labels.track[0]) for r in project.records(source="model", group="clip2")]
    assert tracks == list(range(1, 21))


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (3, 4), (64, 2)])
def test_labels_do_not_depend_on_batch_or_workers(toy: Path, source: Path, tmp_path: Path, batch: int, workers: int) -> None:
    label(source, tmp_path / "a", batch=8, workers=2)
    label(source, tmp_path / "b", batch=batch, workers=workers)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_running_again_does_nothing_twice(toy: Path, source: Path, tmp_path: Path) -> None:
    first = label(source, tmp_path / "out")
    before = rows(tmp_path / "out")
    again = label(source, tmp_path / "out")
    assert again.done == 0
    assert again.items == first.items
    assert rows(tmp_path / "out") == before


def test_a_source_that_grew_is_continued(toy: Path, source: Path, tmp_path: Path) -> None:
    label(source, tmp_path / "out")
    source.write_text(SOURCE + "clip3 4\n- late\n")
    assert label(source, tmp_path / "out").done == 5


def test_other_settings_are_refused_for_the_same_project(toy: Path, source: Path, tmp_path: Path) -> None:
    label(source, tmp_path / "out")
    with pytest.raises(StoreError, match=r"rules\.bright\.above"):
        label(source, tmp_path / "out", "rules.bright.above=0.9")
    label(source, tmp_path / "out", batch=2, workers=1)  # how the work is done may change


def test_rules_flag_rows_and_the_end_of_each_clip(toy: Path, source: Path, tmp_path: Path) -> None:
    summary = label(source, tmp_path / "out", "rules.bright.above=0.2")
    with Project.open(tmp_path / "out") as project:
        last = [r.item for r in project.records(source="model") if any(f.reason == "last_of_clip" for f in r.flags)]
    assert [(i.uri, i.index) for i in last] == [("clip1", 6), ("badclip", 7), ("clip2", 19)]
    assert summary.reasons["bright"] > summary.reasons["last_of_clip"] == 3


def test_running_out_of_memory_halves_the_batch(toy: Path, source: Path, tmp_path: Path) -> None:
    label(source, tmp_path / "a")
    summary = label(source, tmp_path / "b", "+model.limit=3", batch=16)
    assert summary.quarantined == 4
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_a_picture_that_breaks_the_model_costs_only_itself(toy: Path, source: Path, tmp_path: Path) -> None:
    summary = label(source, tmp_path / "out", "+model.fail=one3-", batch=16)
    assert summary.quarantined == 5
    with Project.open(tmp_path / "out") as project:
        found = [q for q in project.quarantined() if q.stage == "predict"]
    assert [q.item.uri for q in found] == ["one3"]
    assert "model failed in predict: ValueError: this picture breaks the model" in found[0].reason


def test_a_rule_that_fails_quarantines_the_item_and_names_the_rule(toy: Path, source: Path, tmp_path: Path) -> None:
    summary = label(source, tmp_path / "out", "+rules.broken._target_=hyla_toy.stages.Broken")
    assert summary.quarantined == 4 + 3
    with Project.open(tmp_path / "out") as project:
        assert any("rules.broken failed in check: KeyError: 'oops'" in q.reason for q in project.quarantined())


def test_rules_are_told_the_size_of_the_picture_and_it_is_not_stored(toy: Path, source: Path, tmp_path: Path) -> None:
    label(source, tmp_path / "out", "+rules.sized._target_=hyla_toy.stages.Sized")
    with Project.open(tmp_path / "out") as project:
        record = next(project.records(source="model"))
    assert record.flags[-1].message == "[24, 32]"
    assert record.item.meta == {}


def test_nothing_is_accepted_on_the_word_of_a_partial_model(toy: Path, source: Path, tmp_path: Path) -> None:
    assert label(source, tmp_path / "a", "~rules.bright").accepted == 54
    summary = label(source, tmp_path / "b", "~rules.bright", "+model.partial=true")
    assert summary.accepted == 0
    assert summary.reasons == {"partial_model": 54}


def test_default_review_sends_unflagged_items_to_people(toy: Path, source: Path, tmp_path: Path) -> None:
    summary = label(source, tmp_path / "out", "~rules.bright", default="review")
    assert summary.accepted == 0
    assert summary.review == summary.items - summary.quarantined


def test_quarantined_items_are_tried_again_when_asked(toy: Path, source: Path, tmp_path: Path) -> None:
    label(source, tmp_path / "out", "+model.fail=one3-")
    again = hyla.run(hyla.compose("toy", "+model.fail=one3-", source=source, out=tmp_path / "out", retry=True, progress=False))
    assert again.quarantined == 5
    assert again.items == 58


def test_a_source_that_no_loader_knows_fails_before_work(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(ConfigError, match="does not recognise source"):
        label(tmp_path / "x.txt", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="does not exist"):
        label(tmp_path / "nowhere", tmp_path / "out")


def test_an_empty_source_gives_an_empty_project(toy: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.toy").write_text("")
    assert label(tmp_path / "empty.toy", tmp_path / "out").items == 0


WARNS = """
import logging

from hyla import hookimpl
from hyla_toy.stages import Numbers

log = logging.getLogger("hyla.toy")  # before Hydra starts


class Warns(Numbers):
    @hookimpl
    def items(self, source):
        log.warning("a.toy has no end")
        logging.getLogger("library").warning("of every file")
        return super().items(source)
"""


def test_what_a_stage_warns_of_is_told(toy: Path, source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (toy / "hyla_toy/warns.py").write_text(WARNS)
    (toy / "hyla_toy/conf/loader/warns.yaml").write_text("_target_: hyla_toy.warns.Warns\n")
    words = ["run", "preset=toy", "loader=warns", f"source={source}", "progress=false"]
    for n in range(2):  # it is heard by who was there before
        assert main([*words, f"out={tmp_path / str(n)}"]) == 0
    assert [message for message in caplog.messages if "no end" in message or "every" in message] == ["a.toy has no end"] * 2


# Streams beside files


BOTH = """
import os
import signal

from hyla import Item, hookimpl, Image
from hyla_toy.stages import Numbers


class Both(Numbers):
    def __init__(self, stream: bool = False):
        super().__init__()
        self.stream = stream

    @hookimpl
    def items(self, source):
        items = super().items(source)
        return items if not self.stream else [Item("gate", "gate", kind="stream"), *items]

    @hookimpl
    def follow(self, item):
        return self._follow()

    def _follow(self):
        while True:
            yield None

    @hookimpl
    def load(self, item):
        if item.uri == "one40":
            os.kill(os.getpid(), signal.SIGINT)
        return super().load(item)
"""


@pytest.mark.parametrize("stream", [False, True])
def test_a_loader_of_streams_and_files_is_stopped_by_the_first_sign(toy: Path, tmp_path: Path, stream: bool) -> None:
    (toy / "hyla_toy/both.py").write_text(BOTH)
    (toy / "hyla_toy/conf/loader/both.yaml").write_text("_target_: hyla_toy.both.Both\nstream: false\n")
    source = tmp_path / "b.toy"
    source.write_text("".join(f"- one{i}\n" for i in range(3000)))
    summary = label(source, tmp_path / "out", "loader=both", f"loader.stream={str(stream).lower()}", workers=1)
    assert summary.state == "interrupted"
    assert 0 < summary.items < 3000
    with Project.open(tmp_path / "out") as project:
        assert project.verify().ok
