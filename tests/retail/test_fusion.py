"""Several sources' claims become one name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla_retail.fusion import Claims, Names, fuse


def names(*claims: tuple[int, int, int, float], n: int = 1, known: int = 100) -> Names:
    row, product, source, likeness = (np.array(column) for column in zip(*claims, strict=True)) if claims else [np.zeros(0)] * 4
    return fuse(Claims(row.astype(int), product.astype(int), source.astype(int), likeness.astype(float)), n, known)


def test_nothing_claimed_is_no_name() -> None:
    found = names(n=2)
    assert found.best.tolist() == found.second.tolist() == [-1, -1]
    assert found.probability.tolist() == [0, 0]
    assert np.isnan(found.margin).all()


def test_one_source_is_as_sure_as_it_says() -> None:
    found = names((0, 3, 0, 0.8))
    assert found.best.tolist() == [3]
    assert found.probability[0] == pytest.approx(0.8)
    assert found.second.tolist() == [-1]


def test_two_that_agree_are_surer_than_each() -> None:
    found = names((0, 3, 0, 0.8), (0, 3, 1, 0.7))
    # 0.8 x 0.7 against 99 others with 0.2 / 99 x 0.3 / 99 each
    assert found.probability[0] == pytest.approx(0.56 / (0.56 + 0.06 / 99))
    assert not found.conflict[0]


def test_of_two_that_differ_the_surer_wins_with_less() -> None:
    found = names((0, 3, 0, 0.95), (0, 5, 1, 0.6))
    one, other = 0.95 * 0.4 / 99, 0.6 * 0.05 / 99
    others = 98 * 0.05 / 99 * 0.4 / 99
    assert (found.best[0], found.second[0]) == (3, 5)
    assert found.probability[0] == pytest.approx(one / (one + other + others))
    assert found.margin[0] == pytest.approx((one - other) / (one + other + others))
    assert found.conflict[0]


def test_claims_that_sum_to_more_than_one_are_scaled() -> None:
    found = names((0, 1, 0, 0.9), (0, 2, 0, 0.9))
    assert found.probability[0] == pytest.approx(0.5, abs=0.01)
    assert found.margin[0] == pytest.approx(0)


def test_labels_do_not_touch_each_other() -> None:
    found = names((0, 1, 0, 0.9), (2, 4, 1, 0.6), n=4)
    assert found.best.tolist() == [1, -1, 4, -1]
    assert found.probability == pytest.approx([0.9, 0, 0.6, 0])


CLAIM = st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2), st.floats(0, 1))


@given(st.lists(CLAIM, max_size=20), st.randoms(use_true_random=False), st.integers(0, 1000))
def test_probabilities_are_such_and_the_order_of_claims_is_nothing(claims, random, known) -> None:
    found = names(*claims, n=4, known=known)
    shuffled = random.sample(claims, len(claims))
    again = names(*shuffled, n=4, known=known)
    assert found.best.tolist() == again.best.tolist()
    assert found.probability == pytest.approx(again.probability)
    assert (found.probability >= 0).all()
    assert (found.probability <= 1).all()
    said = {row for row, _, _, _ in claims}
    assert [best >= 0 for best in found.best.tolist()] == [row in said for row in range(4)]
    assert (np.isnan(found.margin) == (found.second < 0)).all()
    margin = found.margin[found.second >= 0]
    assert (margin >= -1e-12).all()
    assert (margin <= found.probability[found.second >= 0] + 1e-12).all()


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_a_second_voice_never_makes_less_sure(one, other) -> None:
    alone, both = names((0, 0, 0, one)), names((0, 0, 0, one), (0, 0, 1, other))
    assert both.probability[0] >= alone.probability[0] - 1e-9
