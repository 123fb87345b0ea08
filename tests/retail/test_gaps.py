"""Gaps of a row: where nothing stands, how wide it is beside its neighbours, and what is no gap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_retail import gaps
from hyla_retail.facings import Facings
from shelf_kit import SCHEMA, boxes, draw, match

EMPTY = ((0, 1), (1, 0), (1, 2), (2, 1))


@pytest.mark.parametrize("seed", range(3))
def test_what_was_sold_out_is_a_gap(seed):
    shelf = draw(seed=seed, empty=EMPTY)
    [labels] = Facings(SCHEMA).predict([shelf.image()])
    SCHEMA.check(labels, shelf.pixels.shape[:2])
    truth, found = shelf.truth["gap"], boxes(labels, "gap")
    covered = [max((_share(one, other) for other in found), default=0) for one in truth]
    assert np.mean(np.array(covered) > 0.6) >= 0.75
    for box in boxes(labels, "gap"):  # no pack stands in a gap
        assert all(_share(pack, box) < 0.3 for pack in shelf.truth["product"])


def test_a_full_shelf_has_no_gap_between_its_packs():
    for seed in range(3):
        shelf = draw(seed=seed)
        [labels] = Facings(SCHEMA).predict([shelf.image()])
        last = {row: shelf.truth["product"][shelf.shelf == row, 2].max() for row in (1, 2, 3)}
        for x0, y0, _, y1 in boxes(labels, "gap"):
            assert x0 > last[int((y0 + y1) / 2 // 294) + 1] - 20  # nothing stands at the right end of the rows


def test_the_ratio_of_a_gap_is_its_width_in_packs_of_its_shelf():
    shelf = draw(seed=1, empty=((1, 1),))
    [labels] = Facings(SCHEMA).predict([shelf.image()])
    rows, columns = match(shelf.truth["gap"], boxes(labels, "gap"))
    assert len(rows) == 1
    gap = np.flatnonzero(labels.class_id == SCHEMA.class_id("gap"))[columns[0]]
    packs = labels.attributes["shelf"] == 2
    assert labels.evidence["gap_ratio"][gap] == pytest.approx(labels.width[gap] / np.median(labels.width[packs]))
    assert np.isnan(labels.evidence["gap_ratio"][labels.class_id == 0]).all()


def test_a_gap_narrower_than_the_ratio_is_none():
    shelf = draw(seed=1, empty=((1, 1),))
    some = boxes(Facings(SCHEMA, gap_ratio=0.5).predict([shelf.image()])[0], "gap")
    none = boxes(Facings(SCHEMA, gap_ratio=50).predict([shelf.image()])[0], "gap")
    assert len(some) > 0
    assert len(none) == 0


@settings(deadline=None)
@given(hollow=st.lists(st.booleans(), max_size=200), least=st.integers(1, 30))
def test_runs_cover_the_row_in_turn_and_empty_ones_are_wide(hollow, least):
    found = gaps.runs(np.array(hollow, dtype=bool), least)
    assert [a for a, _, _ in found[1:]] == [b for _, b, _ in found[:-1]]
    if hollow:
        assert found[0][0] == 0
        assert found[-1][1] == len(hollow)
    assert all(one[2] != two[2] for one, two in itertools.pairwise(found))
    for start, end, empty in found[1:-1]:
        if empty:
            assert end - start >= least


def test_joints_of_the_wall_do_not_part_a_gap():
    hollow = np.ones(120, dtype=bool)
    hollow[[30, 60, 61, 90]] = False
    assert gaps.runs(hollow, 12) == [(0, 120, True)]
    hollow[50:80] = False
    assert gaps.runs(hollow, 12) == [(0, 50, True), (50, 80, False), (80, 120, True)]


def test_an_even_place_is_surer_than_a_mixed_one():
    rng = np.random.default_rng(0)
    even, mixed = np.full((72, 50, 3), 140, np.uint8), rng.integers(0, 256, (72, 50, 3), dtype=np.uint8)
    assert 0 < gaps.score(mixed) < 0.5 < gaps.score(even) <= 1


def _share(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of `one` that lies in `other`."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(high, 0) / ((one[2] - one[0]) * (one[3] - one[1]))
