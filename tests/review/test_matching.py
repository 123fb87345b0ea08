"""The rows of flags, as they count once labels came and went."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hyla import geometry
from hyla.review.matching import GONE, flags_now, rows_now
from hyla.types import Flag, Kind, Labels, Severity
from review_kit import box_labels, mask_of


def test_labels_that_moved_up_are_found() -> None:
    machine = box_labels(5)
    now = machine[np.array([1, 3, 4])]
    assert rows_now(machine, now).tolist() == [GONE, 0, GONE, 1, 2]
    assert rows_now(machine, machine).tolist() == [0, 1, 2, 3, 4]


def test_a_label_that_changed_is_gone() -> None:
    for name, value in [("class_id", 2), ("score", 0.5), ("track", 3), ("box", [1, 1, 2, 2])]:
        machine, now = box_labels(3), box_labels(3)
        getattr(now, name)[1] = value
        assert rows_now(machine, now).tolist() == [0, GONE, 2], name
    now = box_labels(3)
    now.attributes["occluded"][1] = None
    assert rows_now(box_labels(3), now).tolist() == [0, GONE, 2]


def test_evidence_and_unknown_attributes_do_not_count() -> None:
    now = box_labels(3)
    now.evidence.clear()
    now.attributes["speed"] = np.full(3, np.nan)
    assert rows_now(box_labels(3), now).tolist() == [0, 1, 2]


def test_shapes_count() -> None:
    def labels(ring: list[list[float]], x: int) -> Labels:
        rle = geometry.encode(mask_of(x, 0, x + 5, 5))
        return Labels.of([1, 1], [[0, 0, 9, 9]] * 2, kind=[Kind.POLYGON, Kind.MASK], shape=[(np.array(ring),), rle])

    one, other = [[0, 0], [9, 0], [9, 9.0]], [[0, 0], [9, 0], [9, 8.0]]
    assert rows_now(labels(one, 0), labels(one, 0)).tolist() == [0, 1]
    assert rows_now(labels(one, 0), labels(other, 0)).tolist() == [GONE, 1]
    assert rows_now(labels(one, 0), labels(one, 1)).tolist() == [0, GONE]


@given(st.lists(st.integers(0, 3), max_size=12), st.data())
def test_of_equal_labels_each_is_found_once(kinds: list[int], data: st.DataObject) -> None:
    machine = Labels.of([1] * len(kinds), [[k, 0, k + 1, 1] for k in kinds] or np.zeros((0, 4)))
    kept = data.draw(st.lists(st.sampled_from(range(len(kinds))), unique=True)) if kinds else []
    now = machine[np.array(sorted(kept), dtype=int)]
    rows = rows_now(machine, now)
    found = [r for r in rows.tolist() if r != GONE]
    assert sorted(found) == list(range(len(now)))
    assert all((machine.box[i] == now.box[r]).all() for i, r in enumerate(rows.tolist()) if r != GONE)


def test_a_flag_about_what_is_gone_is_left_out() -> None:
    machine = box_labels(4)
    rows = rows_now(machine, machine[np.array([2, 3])])
    flags = [
        Flag("r", "gone", Severity.REVIEW, (0, 1)),
        Flag("r", "half", Severity.REVIEW, (1, 2)),
        Flag("r", "all", Severity.REVIEW, ()),
    ]
    assert [(f.reason, now) for f, now in flags_now(flags, rows)] == [("half", [0]), ("all", [])]


def test_thousands_in_another_order() -> None:
    n = 20_000
    machine = Labels.of(np.ones(n, dtype=int), np.arange(4 * n, dtype=float).reshape(n, 4))
    now = machine[np.arange(n)[::-1]]
    assert (rows_now(machine, now) == np.arange(n)[::-1]).all()
