"""Price labels that large print parts are one, where the other labels of the photo show their form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla_retail.price_strips import joined

USUAL = [((x, 0.0, x + 100.0, 30.0), 0.9) for x in (0.0, 150.0, 300.0, 450.0)]


def test_pieces_that_make_up_the_usual_form_are_one_label():
    pieces = [((600.0, 1.0, 650.0, 28.0), 0.8), ((672.0, 0.0, 701.0, 30.0), 0.95)]
    found = joined([USUAL, pieces])
    assert found[:4] == USUAL
    assert found[4:] == [((600.0, 0.0, 701.0, 30.0), 0.95)]


def test_labels_beside_each_other_stay_apart():
    assert joined([USUAL]) == USUAL


def test_a_piece_alone_is_less_sure_in_proportion():
    ((box, score),) = joined([USUAL, [((600.0, 0.0, 640.0, 30.0), 0.9)]])[4:]
    assert box == (600.0, 0.0, 640.0, 30.0)
    assert score == pytest.approx(0.36)


@pytest.mark.parametrize("rails", [[], [[]], [USUAL[:3]], [[((0.0, 0.0, 20.0 * n, 10.0 * n), 0.5) for n in range(1, 9)]]])
def test_where_no_form_shows_nothing_is_joined(rails):
    assert joined(rails) == [one for found in rails for one in found]


BOX = st.tuples(st.floats(0, 500), st.floats(0, 50), st.floats(1, 200), st.floats(1, 60)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(st.lists(st.lists(st.tuples(BOX, st.floats(0, 1)), max_size=6), max_size=4))
def test_every_label_lies_in_one_that_stays(rails):
    found = joined([sorted(rail) for rail in rails])
    assert len(found) <= sum(map(len, rails))
    for (x0, y0, x1, y1), _ in (one for rail in rails for one in rail):
        assert any(a <= x0 and b <= y0 and c >= x1 and d >= y1 for (a, b, c, d), _ in found)
    assert all(0 <= score <= 1 for _, score in found)
