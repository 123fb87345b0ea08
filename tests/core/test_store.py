"""The project folder: a run fills it, others read it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tracemalloc
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from hyla.errors import ConfigError, StageError, StoreError
from hyla.schema import Schema
from hyla.store import Project, Quarantined, Stored, glance
from hyla.store.query import PAGE
from hyla.types import Flag, Item, Labels, Severity, Verdict
from store_kit import CAR, MODEL, PERSON, SCHEMA, SETTINGS, boxes, fill, raw, record, start


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "out") as made:
        start(made)
        yield made


def ids(records) -> list[str]:
    return [r.item.id for r in records]


# What goes in comes out


@given(st.data())
def test_any_record_comes_back_as_it_was(data: st.DataObject) -> None:
    schema = data.draw(strategies.schemas())
    some = data.draw(st.lists(strategies.records(schema), max_size=3, unique_by=lambda r: r.item.id))
    some = [replace(r, source="model:toy@0f", flags=tuple(dict.fromkeys(r.flags))) for r in some]
    with tempfile.TemporaryDirectory() as folder, Project.create(folder) as project:
        start(project, schema=schema)
        project.write([Stored(r, i, 0.5) for i, r in enumerate(some)])
        assert list(project.records("model")) == some
        assert list(project.records()) == some
        assert project.schema() == schema
        assert project.verify().ok


def test_records_come_in_the_order_of_the_scan_over_many_pages(project: Project) -> None:
    n = 2 * PAGE + 7
    order = np.random.default_rng(0).permutation(n)
    for part in np.array_split(order, 9):
        project.write([Stored(record(f"x{i}", boxes([CAR])), int(i), 0.0) for i in part])
    assert ids(project.records("model")) == [f"x{i}" for i in range(n)]


def test_records_of_an_empty_project_are_none(project: Project) -> None:
    assert list(project.records()) == []
    assert list(project.quarantined()) == []
    assert list(project.decisions()) == []
    assert project.record("nothing") is None
    assert project.verify().ok


def test_one_record_by_id(project: Project) -> None:
    made = fill(project, 5)
    assert project.record("item00003", "model") == made[3]
    assert project.record("item00009") is None


def test_streaming_does_not_hold_what_was_read(project: Project) -> None:
    """The peak of reading four times as many pages is the same: a page at a time is held."""

    def peak(records: int) -> int:
        stream = project.records("model")
        tracemalloc.start()
        for _ in zip(range(records), stream, strict=False):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    fill(project, 8 * PAGE, batch=256)
    peak(PAGE)  # what is made once: compiled statements, the pool's connection
    assert peak(8 * PAGE) < 1.2 * peak(2 * PAGE)


# Filters


def test_filters_by_class_score_verdict_and_group(project: Project) -> None:
    ask = (Flag("r", "why"),)
    some = [
        record("a", boxes([CAR], 0.9), group="clip", index=0),
        record("b", boxes([PERSON], 0.8), ask, Verdict.REVIEW, group="clip", index=1),
        record("c", boxes([CAR, PERSON], 0.2), ask, Verdict.REVIEW),
        record("d", Labels.empty(), verdict=Verdict.REJECT),
    ]
    project.write([Stored(r, i, 0.0) for i, r in enumerate(some)])

    def found(**how) -> str:
        return "".join(ids(project.records("model", **how)))

    assert found(class_name="car") == "ac"
    assert found(class_name="vehicle") == "ac"  # a car is one
    assert found(class_name="person", verdict=Verdict.REVIEW) == "bc"
    assert found(class_name="person", score=(0.5, 1.0)) == "b"
    assert found(class_name="car", score=(0.9, 0.9)) == "a"
    assert found(score=(0.0, 0.5)) == "c"
    assert found(verdict=Verdict.REJECT) == "d"
    assert found(group="clip") == "ab"
    assert found(group="other") == ""
    with pytest.raises(ConfigError, match="no class 'cart'"):
        found(class_name="cart")


def test_labels_of_nobody_are_an_error_that_names_who_there_is(project: Project) -> None:
    fill(project, 1)
    with pytest.raises(StoreError, match="no labels of 'truth:kitti'") as e:
        project.records("truth:kitti")
    assert e.value.choices == ["best", "human", "model", "model:toy@0f"]


# Writing again


def test_writing_again_changes_nothing(project: Project) -> None:
    made = fill(project, 3)
    other = [Stored(replace(r, labels=boxes([PERSON], 0.1)), i, 9.0) for i, r in enumerate(made)]
    project.write([*other, Stored(record("new"), 3, 0.0)])
    project.write([Quarantined(made[0].item, 0, "load", "gone")])
    assert list(project.records("model")) == [*made, record("new")]
    assert project.counts().quarantined == 0


def test_one_id_for_two_items_is_refused(project: Project) -> None:
    fill(project, 1)
    twin = record("item00000")
    twin = replace(twin, item=replace(twin.item, uri="elsewhere.jpg"))
    for batch in ([twin], [replace(twin, item=Item("new", "a.jpg")), replace(twin, item=Item("new", "b.jpg"))]):
        with pytest.raises(StageError, match=r"two items have the id .*\.jpg and .*\.jpg"):
            project.write([Stored(r, 9 + i, 0.0) for i, r in enumerate(batch)])
    assert ids(project.records("model")) == ["item00000"]


def test_a_batch_is_stored_whole_or_not_at_all(project: Project) -> None:
    with pytest.raises(StoreError, match="can't store labels of 'human:ann'"):
        project.write([Stored(record("a"), 0, 0.0), Stored(record("b", source="human:ann"), 1, 0.0)])
    assert project.counts().items == 0


def test_writing_nothing_is_nothing(project: Project) -> None:
    project.write([])
    assert project.counts().items == 0


def test_what_can_not_be_stored_costs_only_its_item(project: Project) -> None:
    bad_context = record("context", replace(boxes(), context={"light": float("nan")}))
    bad_meta = record("meta")
    bad_meta = replace(bad_meta, item=replace(bad_meta.item, meta={"gps": object()}))
    bad_name = record("name")
    bad_name = replace(bad_name, item=replace(bad_name.item, uri="caf\udce9.jpg"))  # a file name that is not UTF-8
    bad_row = record("row", flags=(Flag("r", "why", rows=(7,)),))
    bad_shape = record("shape", replace(boxes(), kind=np.array([1, 3], np.uint8)))
    some = [bad_context, bad_meta, bad_name, bad_row, bad_shape, record("good")]
    project.write([Stored(r, i, 0.0) for i, r in enumerate(some)])
    assert ids(project.records("model")) == ["good"]
    found = list(project.quarantined())
    assert [q.item.id for q in found] == ["context", "meta", "name", "row", "shape"]
    assert {q.stage for q in found} == {"store"}
    assert "context" in found[0].reason
    assert "object is not JSON" in found[1].reason
    assert found[2].item.uri == r"caf\udce9.jpg"
    assert "row 7 of 2" in found[3].reason
    assert "polygon" in found[4].reason


# Quarantine


def test_quarantine_is_known_until_it_is_retried(project: Project) -> None:
    item = Item("bad", "bad.jpg", "clip", 3, "video_frame", {"pts": 7})
    entry = Quarantined(item, 5, "load", "truncated")
    project.write([entry, Quarantined(Item("worse", "w.jpg"), 2, "load", "empty")])
    assert list(project.quarantined()) == [Quarantined(Item("worse", "w.jpg"), 2, "load", "empty"), entry]
    assert project.known(["bad", "worse", "other"]) == {"bad", "worse"}
    assert project.known(["bad", "worse", "other"], quarantined=False) == set()
    project.write([replace(entry, reason="still truncated")])
    assert [q.reason for q in project.quarantined()] == ["empty", "still truncated"]
    project.write([Stored(record("bad", group="clip", index=3), 5, 0.0)])
    assert [q.item.id for q in project.quarantined()] == ["worse"]
    assert project.known(["bad"], quarantined=False) == {"bad"}


def test_quarantine_comes_in_order_over_many_pages(project: Project) -> None:
    n = 2 * PAGE + 5
    project.write([Quarantined(Item(f"q{i}", f"{i}.jpg"), n - i, "load", "bad") for i in range(n)])
    assert [q.ordinal for q in project.quarantined()] == list(range(1, n + 1))


def test_known_takes_any_number_of_ids(project: Project) -> None:
    fill(project, 3)
    assert project.known([]) == set()
    many = [f"item{i:05d}" for i in range(40_000)]
    assert project.known(many) == {"item00000", "item00001", "item00002"}


# Groups


def test_a_group_ends_with_its_flags_and_verdicts_all_at_once(project: Project) -> None:
    fill(project, 3, group="clip")
    assert not project.group_done("clip")
    jump = Flag("jump", "track_jump", rows=(1,), message="moved 90 px")
    found = [("item00001", jump), ("item00002", Flag("jump", "short", Severity.REJECT)), ("item00001", jump)]
    project.finish_group("clip", iter(found))
    assert project.group_done("clip")
    after = list(project.records("model"))
    assert [r.verdict for r in after] == [Verdict.ACCEPT, Verdict.REVIEW, Verdict.REJECT]
    assert after[1].flags == (jump,)
    words = raw(project.path, "SELECT verdict FROM labels ORDER BY annotation_id, row")
    assert [w for (w,) in words] == ["accept", "accept", "accept", "review", "reject", "reject"]
    assert project.verify().ok


def test_ending_a_group_again_changes_nothing(project: Project) -> None:
    fill(project, 2, group="clip", flags=(Flag("a", "b"),), verdict=Verdict.REVIEW)
    found = [("item00000", Flag("jump", "track_jump")), ("item00000", Flag("a", "b"))]
    project.finish_group("clip", found)
    once = list(project.records("model"))
    project.finish_group("clip", found)
    assert list(project.records("model")) == once
    assert once[0].flags == (Flag("a", "b"), Flag("jump", "track_jump"))


def test_a_rule_may_read_the_group_while_it_flags_it(project: Project) -> None:
    fill(project, 3, group="clip")
    project.finish_group("clip", ((r.item.id, Flag("last", "last")) for r in project.records("model", group="clip") if r.item.id))
    assert all(r.flags for r in project.records("model"))


@pytest.mark.parametrize("item_id", ["other", "nothing"])
def test_a_flag_outside_the_group_stops_it(project: Project, item_id: str) -> None:
    fill(project, 1, group="clip")
    project.write([Stored(record("other", group="another"), 1, 0.0)])
    with pytest.raises(StageError, match=f"rule 'jump' flagged item '{item_id}', which is not stored in group 'clip'"):
        project.finish_group("clip", [("item00000", Flag("jump", "x")), (item_id, Flag("jump", "x"))])
    assert not project.group_done("clip")
    assert not any(r.flags for r in project.records("model"))


def test_verdicts_of_labels_are_kept_beside_them(project: Project) -> None:
    flags = (Flag("small", "too_small", Severity.REJECT, (0,)), Flag("near", "near_path", Severity.HUMAN, (1,)))
    project.write([Stored(record("a", flags=flags, verdict=Verdict.REVIEW), 0, 0.0)])
    assert raw(project.path, "SELECT row, verdict FROM labels ORDER BY row") == [(0, "reject"), (1, "review")]


# Runs


def test_a_run_goes_on_with_the_same_settings(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        first = start(project)
        project.finish_run(first, "interrupted", {"load": 1.5})
        second = start(project, versions={"numpy": "3"})
        project.finish_run(second, "finished", {"load": 0.5})
        runs = project.runs()
        assert [(r["id"], r["state"], r["timings"]) for r in runs] == [
            (1, "interrupted", {"load": 1.5}),
            (2, "finished", {"load": 0.5}),
        ]
        assert [r["versions"]["numpy"] for r in runs] == ["2", "3"]
        assert project.settings() == SETTINGS
        assert project.source() == "/data/street"
        assert runs[0]["provenance"] == MODEL


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        project.finish_run(start(project), "finished", {})
        changes = {"preset": "street", "rules": {"min_height": {"px": 30}}, "new": [1, 2]}
        with pytest.raises(StoreError) as e:
            start(project, settings=changes, source="/data/other", provenance={**MODEL, "digest": "ff"})
        lines = [line.strip() for line in e.value.what.splitlines()[1:]]
        assert lines == [
            "new: (not set) -> [1, 2]",
            'provenance.digest: "0f" -> "ff"',
            "rules.min_height.px: 20 -> 30",
            'source: "/data/street" -> "/data/other"',
            "threshold: 0.25 -> (not set)",
        ]
        assert "out=DIR" in e.value.hint
        assert len(project.runs()) == 1
        start(project)  # the refused one does not hold the lock


def test_many_differences_are_cut_short(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project, settings={f"k{i}": i for i in range(20)})
        with pytest.raises(StoreError, match="and 12 more"):
            start(project, settings={f"k{i}": -1 - i for i in range(20)})


def test_classes_in_another_order_are_other_classes(tmp_path: Path) -> None:
    turned = Schema(SCHEMA.name, SCHEMA.classes[::-1], SCHEMA.kinds)
    with Project.create(tmp_path) as project:
        start(project)
        with pytest.raises(StoreError, match=r"schema\.order"):
            start(project, schema=turned)
        assert project.schema().names == SCHEMA.names


def test_settings_before_any_run_say_what_to_do(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        assert project.counts() == glance(tmp_path).counts
        assert project.runs() == []
        for ask in (project.settings, project.schema, project.source):
            with pytest.raises(StoreError, match="nothing was run") as e:
                ask()
            assert "hyla run" in e.value.hint
        with pytest.raises(StoreError, match="no run was started"):
            project.write([Stored(record("a"), 0, 0.0)])


def test_one_run_at_a_time_and_readers_beside_it(tmp_path: Path) -> None:
    with Project.create(tmp_path) as running:
        number = start(running)
        made = fill(running, 3)
        with Project.create(tmp_path) as other:
            with pytest.raises(StoreError, match="another run is writing") as e:
                start(other)
            assert "out=DIR" in e.value.hint
            assert list(other.records("model")) == made
            other.decide("item00001", "accept", who="ann", key="1")
            assert other.runs()[0]["state"] == "running"
            assert glance(tmp_path).runs[0]["state"] == "running"
            running.finish_run(number, "finished", {})
            assert start(other) == 2


def test_a_run_that_never_ended_was_killed(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
    with Project.create(tmp_path) as project:
        assert project.runs()[0]["state"] == "killed"
        assert glance(tmp_path).runs[0]["state"] == "killed"
        start(project)
        assert [r["state"] for r in project.runs()] == ["killed", "running"]


# Labels from elsewhere


def test_truth_stands_beside_the_machine(project: Project) -> None:
    made = fill(project, 3)
    truth = [record(r.item.id, boxes([PERSON], 1.0)) for r in made[:2]]
    assert project.add(iter(truth), "truth:survey") == 2
    assert project.truths() == ["truth:survey"]
    assert [r.labels for r in project.records("truth:survey")] == [r.labels for r in truth]
    assert [r.source for r in project.records("truth:survey")] == ["truth:survey"] * 2
    assert ids(project.records("truth:survey", class_name="car")) == []
    assert list(project.records("model")) == list(project.records()) == made
    assert project.verify().ok


def test_truth_comes_whole_or_not_at_all(project: Project) -> None:
    fill(project, 300)
    names = [f"item{i:05d}" for i in range(300)]
    for last, what in (("nothing", "no item 'nothing'"), ("item00000", "one item comes twice")):
        with pytest.raises(StoreError, match=what):
            project.add((record(name) for name in [*names, last]), "truth:survey")
        assert project.truths() == []
    with pytest.raises(StageError, match="class ids"):
        project.add([record("item00000", boxes([9]))], "truth:survey")
    assert project.add([record("item00000")], "truth:survey") == 1
    with pytest.raises(StoreError, match="holds labels of 'truth:survey' already"):
        project.add([record("item00001")], "truth:survey")


@pytest.mark.parametrize("source", ["truth", "truth:", "guess:x", "", "model:toy", "human:a\nb"])
def test_labels_need_somebody_who_gave_them(project: Project, source: str) -> None:
    with pytest.raises(StoreError):
        project.add([], source)


# Counting


def test_counts_are_of_the_machine_and_agree_with_a_glance(project: Project) -> None:
    flags = (Flag("r", "small", rows=(0,)), Flag("r", "dark"))
    fill(project, 4)
    project.write([Stored(record("f", flags=flags, verdict=Verdict.REVIEW), 9, 0.0)])
    project.write([Stored(record("g", Labels.empty(), (Flag("r", "dark"),), Verdict.REVIEW), 10, 0.0)])
    project.write([Quarantined(Item(f"q{i}", "q.jpg"), 20 + i, "load", "empty" if i else "text") for i in range(3)])
    project.add([record("item00000", boxes([PERSON] * 5))], "truth:survey")
    project.decide("item00001", "edit", who="ann", key="1", labels=boxes([PERSON] * 7))
    project.decide("f", "accept", who="ann", key="2")
    counts = project.counts()
    assert asdict(counts) == {
        "items": 9,
        "labels": 10,
        "accepted": 4,
        "review": 2,
        "rejected": 0,
        "quarantined": 3,
        "decisions": 2,
        "decided": 2,
        "waiting": 1,
        "classes": {"car": 5, "person": 5},
        "reasons": {"dark": 2, "small": 1},
        "quarantine_reasons": {"empty": 2, "text": 1},
        "sources": {"human:ann": 1, "model:toy@0f": 6, "truth:survey": 1},
    }
    # The same as counting what is read.
    records = list(project.records("model"))
    assert counts.classes == Counter(SCHEMA.names[c] for r in records for c in r.labels.class_id)
    seen = glance(project.path)
    assert seen.counts == counts
    assert seen.runs == project.runs()
    assert seen.source == project.source()


def test_a_glance_loads_nothing_heavy(project: Project) -> None:
    fill(project, 2)
    code = f"""
import sys
from pathlib import Path
from hyla.store import glance
assert glance(Path({str(project.path)!r})).counts.items == 2
heavy = {{"sqlalchemy", "numpy", "hydra", "torch"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
