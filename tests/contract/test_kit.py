"""The conformance kit itself: one line makes a class, deviations are methods, and what it compares it compares rightly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest

from hyla import Item, Kind, Labels, Record, Schema
from hyla.schema import KINDS, Attribute, Class
from hyla.testing import Conformance, conformance, names, probes, run_checks
from hyla.testing.model_checks import differs
from hyla.testing.plugin_checks import _fits
from hyla.testing.run_checks import compare

BOXES = Labels.of([0, 0], [[1, 1, 5, 5], [2, 2, 9, 9]], score=[0.5, 1], track=[4, -1], attributes={"hidden": [0.5, None]})
RING = (np.array([[0.0, 0], [4, 0], [4, 4]]),)
MIXED = Labels.concat([BOXES, Labels.of([1], kind=Kind.POLYGON, shape=[RING])])


def record(labels: Labels) -> Record:
    return Record(Item("a", "a.png"), labels)


# The class.


def test_one_line_gives_a_class_of_sentences_for_pytest() -> None:
    made = conformance("some_preset", source=Path("data"), overrides=["model=embedded"])
    assert issubclass(made, Conformance)
    assert made.__name__ == "TestSomePreset"
    assert (made.preset, made.source, made.overrides) == ("some_preset", "data", ("model=embedded",))
    assert len(names()) > 30
    for name in names(made):
        assert (getattr(made, name).__doc__ or "").strip().endswith("."), name


def test_the_kit_needs_no_pytest_and_leaves_nothing_behind(tmp_path: Path) -> None:
    code = "import sys; from hyla.testing import run_checks; run_checks('blank'); assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, check=True)
    assert not list(tmp_path.glob("hyla-check-*"))


def test_a_preset_that_is_not_there_fails_one_check_and_blocks_the_rest() -> None:
    results = run_checks("drivin")
    assert [r.name for r in results if not r.ok] == ["test_conf_is_found"]
    assert "did you mean 'driving'?" in results[0].message
    assert all(r.skipped and "test_conf_is_found" in r.message for r in results[1:])


def test_deviations_are_methods_and_their_reasons_are_shown() -> None:
    class TestMine(conformance("blank")):  # type: ignore[misc]
        """Deviate."""

        def not_applicable(self) -> Mapping[str, str]:
            """Say why."""
            return {"test_items_are_stable": "they are drawn at random"}

        def limit(self) -> int:
            """Save time."""
            return 2

    try:
        with pytest.raises(SkipTest, match="drawn at random"):
            TestMine().test_items_are_stable()
        TestMine().test_predictions_fit_the_schema()  # what builds on a check that does not apply is checked all the same
        assert len(TestMine.subject().images) == 2
        folder = TestMine.subject().folder
        assert folder.is_dir()
    finally:
        TestMine.teardown_class()
    assert not folder.exists()


def test_a_check_is_made_once_and_tells_the_same_each_time() -> None:
    made = conformance("nowhere")
    try:
        for _ in range(2):
            with pytest.raises(AssertionError, match="no preset is named"):
                made().test_conf_is_found()
        assert len(made.subject().outcomes) == 1
    finally:
        made.teardown_class()


# What it compares.


def test_labels_that_are_equal_do_not_differ_and_others_do() -> None:
    assert differs(BOXES, replace(BOXES)) == ""
    assert "2 labels and 3" in differs(BOXES, MIXED)
    assert "class_id" in differs(BOXES, replace(BOXES, class_id=np.array([0, 1])))
    assert "box" in differs(BOXES, replace(BOXES, box=BOXES.box + 1e-9))
    assert "score" in differs(BOXES, replace(BOXES, score=BOXES.score * 0.9), 0.01)
    assert "attributes" in differs(BOXES, replace(BOXES, attributes={}), 1.0)
    assert "attributes" in differs(BOXES, replace(BOXES, attributes={"hidden": np.array([0.6, np.nan])}))
    moved = Labels.of([1], kind=Kind.POLYGON, shape=[(RING[0] + 0.001,)])
    assert "box" in differs(MIXED[[2]], moved)
    assert "shapes" in differs(MIXED[[2]], replace(moved, box=MIXED.box[[2]]))


def test_a_tolerance_forgives_rounding_and_nothing_else() -> None:
    near = replace(MIXED, box=MIXED.box + 1e-4, score=MIXED.score - 1e-4)
    near.shape[2] = (RING[0] + 1e-4,)
    assert differs(MIXED, near, 1e-3) == ""
    assert differs(MIXED, near)
    assert differs(MIXED, replace(near, track=near.track + 1), 1e-3)


def test_what_a_format_loses_must_be_what_it_names() -> None:
    written = [record(MIXED)]
    assert compare(written, written, {}) == []
    boxes = [record(BOXES)]
    assert compare(written, boxes, {}) == ["1 of 1 polygon labels"]
    assert compare(written, boxes, {"polygon": 1}) == []
    assert compare(boxes, [record(BOXES[[0]])], {}) == ["1 of 2 box labels"]
    as_boxes = [record(replace(MIXED, kind=np.zeros(3, np.uint8) + Kind.BOX))]
    assert compare(written, as_boxes, {"polygon as box": 1}) == []
    assert compare(written, as_boxes, {}) == ["-1 of 2 box labels", "1 of 1 polygon labels"]
    moved = [record(replace(BOXES, box=BOXES.box + 3))]
    assert compare(boxes, moved, {}) == ["the place of a box of class 0"]
    other = [record(replace(BOXES, class_id=np.array([1, 1])))]
    assert compare(boxes, other, {}) == ["2 of 2 box labels of class 0"]
    untracked = [record(replace(BOXES, track=np.array([-1, -1])))]
    assert compare(boxes, untracked, {}) == ["1 values of track"]
    assert compare(boxes, untracked, {"track": 1}) == []
    plain = [record(replace(BOXES, attributes={}, score=np.ones(2)))]
    assert compare(boxes, plain, {"score": 1}) == ["1 values of attribute"]


@pytest.mark.parametrize(
    ("one", "wide", "fits"),
    [
        (list[Labels], Sequence[Labels] | None, True),
        (list[Labels] | None, list[Labels], False),
        (Iterator[Item] | None, Iterable[Item] | None, True),
        (Iterator[str], Iterable[Item], False),
        (dict[str, int], dict[str, int] | None, True),
        (dict[str, str], dict[str, int] | None, False),
        (list[tuple[str, Item]], Iterable[tuple[str, Item]], True),
        (bool, int, True),
        (int, str, False),
        (Any, str, True),
        (list, list[Item], True),
        (None, list[Item] | None, True),
    ],
)
def test_types_fit_where_a_value_may_stand_for_another(one: Any, wide: Any, fits: bool) -> None:
    assert _fits(type(None) if one is None else one, wide) is fits


# What it tests with.


@pytest.mark.parametrize("size", [(480, 640), (1, 1), (9, 7), (3, 20, 30)])
def test_probes_are_of_every_class_and_kind_and_fit_the_schema(size: tuple[int, ...]) -> None:
    attributes = (
        Attribute("hidden", "number", maximum=1),
        Attribute("dark", "boolean"),
        Attribute("sky", "choice", "image", ("a", "b")),
    )
    schema = Schema(
        "all", (Class("a"), Class("b", parent="a", kinds=("box",)), Class("c", abstract=True)), (*KINDS, "track"), attributes
    )
    seen: set[tuple[int, int]] = set()
    for seed in range(8):
        labels = probes.labels(schema, size, seed)
        schema.check(labels, size)
        seen |= set(zip(labels.class_id.tolist(), labels.kind.tolist(), strict=True))
        assert labels == probes.labels(schema, size, seed)
        assert (labels.track >= 0).any()
    assert seen == {(0, int(kind)) for kind in Kind} | {(1, int(Kind.BOX))}


def test_the_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    one, two = probes.pictures(tmp_path / "one"), probes.pictures(tmp_path / "two")
    assert len(list(one.iterdir())) == 8
    assert all(p.read_bytes() == (two / p.name).read_bytes() for p in one.iterdir())
