"""Events are counted once, however many frames carry them: found, right, late, and how much of their time is shared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyla.evaluate import evaluate
from hyla.frame import VideoFrame
from hyla.occurrences import pair_up
from hyla.schema import Schema
from hyla.types import Item, Kind, Labels, Record

SCHEMA = Schema.from_config(
    {"kinds": ["tag", "box", "track"], "classes": {"event": {}, "fall": {"parent": "event"}, "run": {"parent": "event"}}}
)


def clip(group, n, *events, fps=1.0):
    """Return n frames with events given as (class, track, first frame, last frame)."""
    found = []
    for i in range(n):
        now = [(name, track) for name, track, first, last in events if first <= i <= last]
        labels = Labels.of(
            [SCHEMA.class_id(name) for name, _ in now], [[0, 0, 9, 9]] * len(now), kind=Kind.TAG, track=[t for _, t in now]
        )
        found.append(Record(Item(f"{group}-{i}", group, group, i), labels, size=(9, 9), frame=VideoFrame(i / fps, i)))
    return found


def events(told, true, **settings):
    return evaluate(told, true, SCHEMA, samples=5, **settings).events


def test_an_event_of_many_frames_counts_once():
    true = clip("a", 20, ("fall", 1, 2, 9), ("fall", 2, 15, 18))
    found = events(clip("a", 20, ("fall", 7, 4, 11)), true)["fall"]
    assert (found.found.value, found.found.n) == (0.5, 2)
    assert (found.right.value, found.right.n) == (1.0, 1)
    assert found.late == 2.0
    assert found.overlap == pytest.approx(5 / 9)
    assert "found 0.500" in str(found)
    assert "begins 2.0 s late" in str(found)


def test_an_event_told_twice_is_right_once():
    found = events(clip("a", 9, ("fall", 1, 0, 3), ("fall", 2, 4, 8)), clip("a", 9, ("fall", 1, 0, 8)))["fall"]
    assert (found.found.value, found.right.value, found.right.n) == (1.0, 0.5, 2)


def test_another_class_another_clip_and_another_time_do_not_count():
    true = clip("a", 9, ("fall", 1, 0, 3)) + clip("b", 9)
    assert events(clip("a", 9, ("run", 1, 0, 3)) + clip("b", 9), true)["fall"].found.value == 0
    assert events(clip("a", 9) + clip("b", 9, ("fall", 1, 0, 3)), true)["fall"].found.value == 0
    assert events(clip("a", 9, ("fall", 1, 4, 8)) + clip("b", 9), true)["fall"].found.value == 0


def test_a_folded_class_is_found_under_its_parent():
    told, true = clip("a", 5, ("event", 1, 0, 3)), clip("a", 5, ("fall", 1, 0, 3))
    assert list(events(told, true)) == ["event", "fall"]
    assert events(told, true, fold=["event"])["event"].found.value == 1


def test_time_is_that_of_the_frames():
    found = events(clip("a", 20, ("fall", 1, 8, 12), fps=8), clip("a", 20, ("fall", 1, 4, 12), fps=8))["fall"]
    assert found.late == 0.5


def test_tags_without_a_track_or_a_clip_are_no_events():
    true = clip("a", 5, ("fall", -1, 0, 3)) + clip("", 5, ("fall", 1, 0, 3))
    assert events(true, true) == {}


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda p: (float(p[0]), float(p[0] + p[1]))), max_size=6)


@given(SPANS, SPANS)
def test_each_event_is_in_one_pair_at_most_and_pairs_share_a_moment(true, told):
    pairs = pair_up(true, told)
    assert len(pairs) <= min(len(true), len(told))
    assert all(min(a[1], b[1]) >= max(a[0], b[0]) for a, b in pairs)
    assert len(pair_up(true, true)) == len(true)
