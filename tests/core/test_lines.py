"""Lines against the truth, and classes folded into their general ones, with answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hyla import Item, Kind, Labels, Record, Schema
from hyla.errors import ConfigError
from hyla.evaluate import evaluate
from hyla.lines import overlaps, right

SIZE = (590, 1640)  # the size of CULane's pictures, on which a line is 30 px wide
SCHEMA = Schema.from_config(
    {"name": "s", "kinds": ["box", "polyline"], "classes": {"vehicle": {}, "car": {"parent": "vehicle"}, "sign": {}, "lane": {}}}
)


def upright(x: float) -> np.ndarray:
    return np.array([[x, 0.0], [x, 590.0]])


def record(item: str, labels: Labels) -> Record:
    return Record(Item(item, f"{item}.jpg"), labels, size=SIZE)


def lanes(*xs: float, score: float = 1.0) -> Labels:
    return Labels.of([3] * len(xs), shape=[upright(x) for x in xs], kind=Kind.POLYLINE, score=[score] * len(xs))


@pytest.mark.parametrize(("shift", "iou"), [(0, 1.0), (10, 20 / 40), (15, 15 / 45), (30, 0.0)])
def test_overlap_of_shifted_lines_is_that_of_their_bands(shift: float, iou: float) -> None:
    assert overlaps([upright(800 + shift)], [upright(800)], SIZE)[0, 0] == pytest.approx(iou, abs=0.005)


def test_the_width_follows_the_picture() -> None:
    half = (295, 820)
    line = np.array([[400.0, 0], [400, 295]])
    assert overlaps([line + np.array([5, 0])], [line], half)[0, 0] == pytest.approx(0.5, abs=0.01)


def test_a_line_of_the_truth_is_taken_once() -> None:
    assert right([upright(800), upright(801)], [upright(800)], SIZE).tolist() == [True, False]
    assert right([upright(100)], [], SIZE).tolist() == [False]
    assert right([], [upright(100)], SIZE).tolist() == []


def test_precision_and_recall_of_lines_over_images() -> None:
    truth = [record("a", lanes(100, 500, 900)), record("b", lanes(300)), record("c", Labels.empty())]
    found = [record("a", lanes(102, 505, 1200)), record("c", lanes(700))]
    lines = evaluate(found, truth, SCHEMA).lines
    assert lines is not None
    assert (lines.precision.value, lines.precision.n) == (2 / 4, 4)
    assert (lines.recall.value, lines.recall.n) == (2 / 4, 4)
    assert lines.f1 == pytest.approx(0.5)
    assert evaluate(found[:0], [record("c", Labels.empty())], SCHEMA).lines is None


def test_folding_counts_a_car_found_as_a_vehicle_as_right() -> None:
    box = [[100, 100, 300, 300]]
    truth, found = [record("a", Labels.of([1], box))], [record("a", Labels.of([0], box, score=[0.9]))]
    apart = evaluate(found, truth, SCHEMA).parts["boxes"]
    folded = evaluate(found, truth, SCHEMA, fold=["vehicle"]).parts["boxes"]
    assert apart.classes["car"].ap50.value == 0
    assert list(folded.classes) == ["vehicle"]
    assert folded.classes["vehicle"].ap50.value == pytest.approx(1)
    with pytest.raises(ConfigError, match="vehicel"):
        evaluate(found, truth, SCHEMA, fold=["vehicel"])
