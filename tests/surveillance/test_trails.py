"""Trails live on through the gaps of tracks, stay bounded, and keep people apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla_surveillance.trails import MOST, OBJECT, PERSON, VEHICLE, Ring, Trails

GAPS = np.array([5.0, 5.0, 15.0])


def seen(trails: Trails, now: float, *rows: tuple[int, float, float], family: int = PERSON, scale: float = 1.0) -> list[float]:
    """Return the serial of the trail of each (track, x, y)."""
    track = np.array([row[0] for row in rows], dtype=np.int64)
    place = np.array([row[1:] for row in rows], dtype=float).reshape(-1, 2)
    kind = np.full(len(rows), family, dtype=np.int64)
    slots = trails.update(now, 0.125, track, kind, place, np.full(len(rows), scale))
    return [float(trails.serial[slot]) if slot >= 0 else -1.0 for slot in slots]


def test_a_track_keeps_its_trail() -> None:
    trails = Trails(GAPS)
    assert seen(trails, 0.0, (7, 0, 0), (3, 5, 5)) == [0, 1]
    assert seen(trails, 0.1, (3, 5.1, 5), (7, 0.1, 0)) == [1, 0]


def test_a_new_track_goes_on_where_one_broke_off() -> None:
    trails = Trails(GAPS)
    seen(trails, 0.0, (1, 0, 0), (2, 9, 9))
    seen(trails, 1.0, (2, 9, 9))
    assert seen(trails, 3.0, (5, 0.5, 0.5), (2, 9, 9)) == [0, 1]


def test_the_nearest_newcomer_goes_on() -> None:
    trails = Trails(GAPS)
    seen(trails, 0.0, (1, 0, 0))
    assert seen(trails, 2.0, (8, 1.5, 0), (9, 0.2, 0)) == [1, 0]


def test_who_was_walking_is_looked_for_ahead() -> None:
    trails = Trails(GAPS)
    seen(trails, 0.0, (1, 0, 0))
    trails.head(np.array([0]), np.array([[1.5, 0.0]]))
    assert seen(trails, 2.0, (8, 0, 0), (9, 3, 0)) == [1, 0], "who comes out of the door is not who went in"


def test_too_late_too_far_and_another_family_begin_anew() -> None:
    for seconds, x, family in ((6.0, 0.0, PERSON), (2.0, 8.0, PERSON), (2.0, 0.0, VEHICLE)):
        trails = Trails(GAPS)
        seen(trails, 0.0, (1, 0, 0))
        assert seen(trails, seconds, (2, x, 0), family=family) == [1]


def test_things_are_waited_for_longer_but_do_not_move() -> None:
    trails = Trails(GAPS)
    seen(trails, 0.0, (1, 0, 0), (2, 5, 0), family=OBJECT)
    assert seen(trails, 12.0, (3, 0.3, 0), (4, 6.5, 0), family=OBJECT) == [0, 2]


def test_one_that_was_only_missed_takes_its_trail_back_from_a_newcomer() -> None:
    trails = Trails(GAPS)
    seen(trails, 0.0, (1, 0, 0))
    assert seen(trails, 0.25, (2, 0.6, 0)) == [0]
    first, second = seen(trails, 0.5, (1, 0, 0), (2, 0.6, 0))
    assert (first, second) == (0, 1)
    assert seen(trails, 0.75, (2, 0.6, 0), (1, 0, 0)) == [1, 0]


def test_swapped_tracks_are_swapped_back() -> None:
    trails = Trails(GAPS)
    seen(trails, 0.0, (1, 0, 0), (2, 9, 0))
    assert seen(trails, 0.125, (1, 9, 0), (2, 0, 0)) == [1, 0]
    assert seen(trails, 0.25, (1, 9, 0), (2, 0, 0)) == [1, 0]


def test_a_track_twice_in_a_frame_counts_once() -> None:
    trails = Trails(GAPS)
    assert seen(trails, 0.0, (1, 0, 0), (1, 4, 0), (2, 8, 0)) == [0, -1, 1]
    assert seen(trails, 0.1, (1, 0, 0), (1, 4, 0), (2, 8, 0)) == [0, -1, 1]


def test_no_track_is_no_trail() -> None:
    trails = Trails(GAPS)
    assert seen(trails, 0.0, (-1, 0, 0), (-1, 4, 0)) == [-1, -1]


def test_columns_are_cleared_for_the_next() -> None:
    trails = Trails(GAPS)
    column = trails.column(np.nan, 2)
    seen(trails, 0.0, (1, 0, 0))
    column.values[:, 0] = 5
    seen(trails, 100.0, (2, 50, 0))
    assert np.isnan(column.values).all()


def test_memory_is_bounded_whatever_the_tracker_does() -> None:
    trails = Trails(GAPS)
    column = trails.column(np.nan, 3)
    at = np.random.default_rng(0).uniform(0, 1000, (500, 2))
    family = np.zeros(500, dtype=np.int64)
    for n in range(20):
        slots = trails.update(n / 8, 0.125, np.arange(500) + 500 * n, family, at * (1 + n), np.ones(500))
        assert (slots >= 0).all()
        assert len(np.unique(slots)) == 500
    assert trails.serial.size == column.values.shape[1] <= MOST


def test_more_people_than_there_is_room_for_are_left_out() -> None:
    trails = Trails(GAPS)
    n = MOST + 10
    at = np.column_stack([np.arange(n) * 10.0, np.zeros(n)])
    slots = trails.update(0.0, 0.125, np.arange(n), np.zeros(n, dtype=np.int64), at, np.ones(n))
    assert (slots >= 0).sum() == MOST


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 3),
            st.lists(st.tuples(st.integers(-1, 8), st.integers(0, 2), st.floats(-20, 20), st.floats(-20, 20)), max_size=8),
        ),
        max_size=25,
    )
)
def test_no_two_boxes_of_a_frame_share_a_trail(frames: list[tuple[float, list[tuple[int, int, float, float]]]]) -> None:
    trails, now = Trails(GAPS), 0.0
    for step, rows in frames:
        now += step
        table = np.array(rows, dtype=float).reshape(-1, 4)
        ints = table[:, :2].astype(np.int64)
        slots = trails.update(now, 0.5, ints[:, 0], ints[:, 1], table[:, 2:], np.ones(len(table)))
        kept = slots[slots >= 0]
        assert len(np.unique(kept)) == len(kept)
        keys = {(int(t), int(f)) for t, f in ints if t >= 0}
        assert len(kept) == len(keys), "every track of the frame has a trail"
        assert (trails.track[kept] == ints[slots >= 0, 0]).all()
        assert (trails.family[kept] == ints[slots >= 0, 1]).all()
        assert (trails.seen[kept] == now).all()


def test_a_ring_gives_what_was_last_known() -> None:
    trails = Trails(GAPS)
    ring = Ring(trails, 10, 0.1, 1)
    slots = np.array([3])
    for n in range(20):
        ring.write(n * 0.1, slots, np.array([[float(n)]]))
    np.testing.assert_allclose(ring.at(1.46, slots), [[1.4, 14.0]])
    assert np.isnan(ring.at(0.5, slots)).all(), "what is older than the ring is forgotten"
    assert np.isnan(ring.at(1.5, np.array([4]))).all()
    ring.write(60.0, slots, np.array([[1.0]]))
    assert np.isnan(ring.at(59.0, slots)).all()
