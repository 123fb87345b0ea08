"""What is told of labels and pictures by numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hyla import codec
from hyla.decide.columns import Gathering, best_overlaps
from hyla.decide.features import Features, features, logit, table_of
from hyla.types import Flag, Item, Labels, Record, Severity


def record(name: str, labels: Labels, group: str = "", index: int = 0, flags: tuple[Flag, ...] = ()) -> Record:
    return Record(Item(name, name, group, index), labels, flags, size=(100, 200))


def column(found: Features, name: str) -> list[float]:
    return found.rows[:, found.names.index(name)].tolist()


def whole(found: Features, name: str) -> list[float]:
    return found.wholes[:, found.whole_names.index(name)].tolist()


def test_a_label_is_told_by_score_size_shape_and_place() -> None:
    labels = Labels.of([0, 1], [[10, 10, 30, 20], [0, 50, 100, 100]], score=[0.9, 0.2])
    found = features(table_of([record("a", labels)]))
    assert column(found, "score") == pytest.approx([0.9, 0.2])
    assert column(found, "logit") == pytest.approx([np.log(9), -np.log(4)], abs=1e-5)
    assert column(found, "log_area") == pytest.approx([np.log(200 / 20_000), np.log(5000 / 20_000)])
    assert column(found, "aspect") == pytest.approx([np.log(2), np.log(2)])
    assert column(found, "edge") == [0, 1]
    assert whole(found, "doubt") == pytest.approx([0.9])
    assert whole(found, "low") == [1]
    assert whole(found, "any_wrong") == pytest.approx([1 - 0.18])


def test_pictures_without_labels_have_numbers_too() -> None:
    records = [record("a", Labels.empty()), record("b", Labels.of([0], [[0, 0, 9, 9]])), record("c", Labels.empty())]
    found = features(table_of(records))
    assert found.rows.shape == (1, len(found.names))
    assert found.wholes.shape == (3, len(found.whole_names))
    assert np.isfinite(found.wholes).all()
    nothing = features(table_of(records[:1]))
    assert nothing.rows.shape[0] == 0
    assert np.isfinite(nothing.wholes).all()


def test_crowding_looks_at_others_of_the_same_picture_only() -> None:
    pair = Labels.of([0, 0, 1], [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 8]])
    alone = Labels.of([0], [[0, 0, 10, 10]])
    found = features(table_of([record("a", pair), record("b", alone)]))
    assert column(found, "crowding") == pytest.approx([0.8, 0.625, 0.8, 0])
    assert column(found, "duplicate") == pytest.approx([0.5, 0.5, 0, 0])


def test_overlaps_are_those_of_a_plain_loop() -> None:
    from hyla import geometry

    rng = np.random.default_rng(3)
    sides, made = [Gathering(), Gathering()], ([], [])
    for _ in range(40):
        for side, kept in zip(sides, made, strict=True):
            n = int(rng.integers(0, 7))
            near = rng.random((n, 2)) * 20
            kept.append(Labels.of(rng.integers(0, 2, n), np.hstack([near, near + 1 + rng.random((n, 2)) * 15])))
            side.add(codec.peek(codec.pack(kept[-1])))
    one, other = (side.columns() for side in sides)
    best, row = best_overlaps(one, other), 0
    for a, b in zip(*made, strict=True):
        iou = geometry.iou(a.box, b.box)
        same = np.where(a.class_id[:, None] == b.class_id[None], iou, 0)
        for i in range(len(a)):
            assert best.any[row] == pytest.approx(iou[i].max(initial=0), abs=1e-5)
            assert best.same[row] == pytest.approx(same[i].max(initial=0), abs=1e-5)
            if best.which[row] >= 0:
                assert same[i, best.which[row] - other.start[other.item[best.which[row]]]] == pytest.approx(
                    best.same[row], abs=1e-5
                )
            row += 1


def test_a_track_is_compared_with_the_frames_before_and_after() -> None:
    def frame(*given: tuple[int, int, float]) -> Labels:
        boxes = [[x, 0, x + 10, 10] for _, _, x in given]
        return Labels.of([c for _, c, _ in given], boxes, track=[t for t, _, _ in given])

    records = [
        record("a0", frame((1, 0, 0.0), (2, 0, 50.0)), "a", 0),
        record("a1", frame((1, 1, 5.0)), "a", 1),
        record("a3", frame((1, 1, 5.0), (2, 0, 50.0)), "a", 3),  # not the frame after
        record("b0", frame((1, 1, 5.0)), "b", 0),  # another clip
        record("still", frame((1, 1, 5.0))),  # no clip at all
    ]
    found = features(table_of(records))
    third = 5 / 15
    assert column(found, "track_before") == pytest.approx([0, 0, third, 0, 0, 0, 0])
    assert column(found, "track_after") == pytest.approx([third, 0, 0, 0, 0, 0, 0])
    assert column(found, "track_class_before") == [0] * 7
    assert column(found, "track_length") == pytest.approx(np.log1p([3, 2, 3, 3, 2, 1, 0]).tolist())


def test_flags_are_counted_by_severity_and_place() -> None:
    flags = (
        Flag("r", "x", Severity.REVIEW, (1,)),
        Flag("r", "y", Severity.REVIEW, (0, 1)),
        Flag("r", "z", Severity.HUMAN),
        Flag("r", "w", Severity.REJECT, (0,)),
    )
    two = Labels.of([0, 0], [[0, 0, 1, 1], [5, 5, 6, 6]])
    found = features(table_of([record("b", two), record("a", two, flags=flags)]))
    assert column(found, "flags_review") == [0, 0, 1, 2]
    assert column(found, "flags_reject") == [0, 0, 1, 0]
    assert column(found, "picture_flags") == [0, 0, 1, 1]
    assert whole(found, "flags_human") == [0, 1]
    assert whole(found, "flags_rows") == [0, 2]


def test_a_second_model_agrees_or_found_more() -> None:
    mine = Labels.of([0, 1], [[0, 0, 10, 10], [50, 50, 60, 60]])
    theirs = Labels.of([0, 0, 0], [[0, 0, 10, 5], [50, 50, 60, 60], [80, 80, 90, 90]], score=[0.7, 0.6, 0.5])
    found = features(table_of([record("a", mine), record("b", mine)], {"a": theirs}))
    assert column(found, "second_same")[:2] == pytest.approx([0.5, 0])
    assert column(found, "second_any")[:2] == pytest.approx([0.5, 1])
    assert column(found, "second_score")[:2] == pytest.approx([0.7, 0])
    assert whole(found, "second_alone")[0] == 1
    assert whole(found, "second_alone_score")[0] == pytest.approx(0.5)
    assert np.isnan([column(found, "second_same")[2], whole(found, "second_alone")[1]]).all()  # it did not see that picture


def test_evidence_that_some_lack_is_unknown_there() -> None:
    known = Labels.of([0], [[0, 0, 1, 1]], evidence={"margin": [0.4]})
    found = features(table_of([record("a", known), record("b", Labels.of([0], [[0, 0, 1, 1]]))]))
    assert column(found, "evidence_margin")[0] == pytest.approx(0.4)
    assert np.isnan(column(found, "evidence_margin")[1])
    assert np.isnan(whole(found, "evidence_margin")[1])


def test_context_becomes_numbers_and_words_yes_or_no() -> None:
    given = [{"rain": 0.5, "time": "day"}, {"time": "night"}, {"night": True}]
    found = features(table_of([record(str(i), Labels.empty(context)) for i, context in enumerate(given)]))
    assert whole(found, "context_time=night") == [0, 1, 0]
    assert whole(found, "context_rain")[0] == 0.5
    assert np.isnan(whole(found, "context_rain")[1:]).all()
    assert whole(found, "context_night")[2] == 1


def test_certain_scores_have_a_logit() -> None:
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()
