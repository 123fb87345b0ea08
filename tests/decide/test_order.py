"""The order of what is asked: what is worth most first, not all of one clip, and the audit nowhere in particular."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla.decide.order import CAP, STRETCH, priorities


def order(value: list[float], cluster: list[int] | None = None, **how: int) -> list[int]:
    """Return the items in the order in which they are asked, none of them drawn by chance."""
    n = len(value)
    given_ = list(range(n)) if cluster is None else cluster
    place = priorities(np.array(value), np.array(given_), np.zeros(n, dtype=bool), "s", asked=np.ones(n, dtype=bool), **how)
    assert ((place >= 0) & (place < 1)).all()
    return [int(i) for i in np.argsort(place, kind="stable")]


def test_what_is_worth_most_comes_first() -> None:
    assert order([0.5, 3.0, 0.0, 2.0]) == [1, 3, 0, 2]
    assert order([1.0] * 5) == [0, 1, 2, 3, 4]  # of equal ones the earlier
    assert order([]) == []


def test_one_clip_does_not_fill_a_stretch() -> None:
    value = [9.0 - i / 10 for i in range(8)] + [1.0] * 8
    assert order(value, [0] * 8 + list(range(1, 9)), cap=2, stretch=4) == [0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15]


def test_what_is_left_of_one_clip_comes_all_the_same() -> None:
    assert order([3.0, 2.0, 1.0, 0.5], [7, 7, 7, 7], cap=1, stretch=3) == [0, 1, 2, 3]
    assert order([3.0, 2.0, 1.0, 2.5], [7, 7, 7, 8], cap=1, stretch=3) == [0, 3, 1, 2]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), max_size=40),
    st.integers(1, 3),
    st.integers(0, 6),
)
def test_a_cluster_comes_too_often_only_where_nothing_else_was_left(rows: list[tuple[int, int]], cap: int, more: int) -> None:
    stretch, cluster = cap + more, [key for _, key in rows]
    found = order([float(worth) for worth, _ in rows], cluster, cap=cap, stretch=stretch)
    assert sorted(found) == list(range(len(rows)))
    keys = [cluster[i] for i in found]
    for at, key in enumerate(keys):
        before = keys[max(0, at - stretch + 1) : at]
        if before.count(key) >= cap:  # then every other that was left had to rest as well
            assert all(before.count(other) >= cap for other in set(keys[at:]))
    for i, j in pairwise(found):
        if cluster[i] == cluster[j]:
            assert rows[i][0] >= rows[j][0]


def test_the_audit_lies_evenly_over_the_queue_whatever_its_worth() -> None:
    n, m = 6000, 2000
    rng = np.random.default_rng(0)
    value = rng.random(n)
    drawn = np.zeros(n, dtype=bool)
    drawn[np.argsort(value)[:m]] = True  # the least valuable
    place = priorities(value, np.arange(n), drawn, "seed")
    ranks = np.sort(np.argsort(np.argsort(place))[drawn]) / n
    # The largest gap between a uniform distribution and this (Kolmogorov): above 1.95 / sqrt(m) once in a thousand.
    assert np.abs(ranks - np.arange(m) / m).max() < 1.95 / np.sqrt(m)
    routed = np.flatnonzero(~drawn)
    assert (np.diff(value[routed[np.argsort(place[routed])]]) <= 0).all()


def test_the_place_of_an_audit_follows_from_the_seed() -> None:
    drawn = np.array([True, True, False])
    one, again, other = (priorities(np.ones(3), np.arange(3), drawn, seed) for seed in ("a", "a", "b"))
    assert one.tolist() == again.tolist()
    assert (one[:2] != other[:2]).all()
    assert one[2] == other[2] == 0.5
    digest = sha256(b"a:order:0").digest()
    assert one[0] == int.from_bytes(digest[:6], "big") / 2**48


def test_what_is_not_asked_comes_last() -> None:
    value, drawn = np.array([0.0, 2.0, 0.0, 1.0]), np.array([False, False, True, False])
    place = priorities(value, np.arange(4), drawn, "s")
    assert (place[0], place[1], place[3]) == (1.0, 0.25, 0.75)
    assert place[2] < 1
    asked = priorities(value, np.arange(4), drawn, "s", asked=np.array([True, True, False, False]))
    assert (asked[1], asked[0], asked[3]) == (0.25, 0.75, 1.0)
    assert asked[2] == place[2]


def test_a_cap_that_can_not_be() -> None:
    for cap, stretch in ((0, 5), (6, 5)):
        with pytest.raises(ValueError, match=f"got {cap} in {stretch}"):
            order([1.0], cap=cap, stretch=stretch)
    assert 1 <= CAP <= STRETCH
