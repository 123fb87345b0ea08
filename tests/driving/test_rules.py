"""The review rules of the road: each fires on a made case, keeps quiet on its opposite, and holds at its limit."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module, resources
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hyla import plugins
from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.plugins import Pipeline
from hyla.rules import draw
from hyla.schema import Schema
from hyla.types import Flag, Item, Kind, Labels, Record, Rle, Severity
from hyla_driving.ego import EgoLane, Line

CONF = resources.files("hyla_driving") / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "driving.yaml").read_text())["schema"])
RULES = yaml.safe_load((CONF / "rules" / "driving.yaml").read_text())
HEIGHT, WIDTH = 720, 1280
ITEM = Item("a-1", "a.png", meta={"size": [HEIGHT, WIDTH]})
# The ego lane of a camera 1.4 m high over a lane of 3.5 m, vanishing in the middle of the picture: 1.25 heights to each side.
LEFT = [[640 - 1.25 * t, 360 + t] for t in (40, 120, 240, 360)]
RIGHT = [[640 + 1.25 * t, 360 + t] for t in (40, 120, 240, 360)]


def rule(rule_name, **changes):
    """Build a rule as a run does: from the preset's YAML, with some settings changed."""
    return plugins.build({**RULES[rule_name], **changes}, f"rules.{rule_name}", schema=SCHEMA)


def labels(*rows, context=None, **attributes):
    """Return boxes given as (class, x0, y0, x1, y1) or (class, x0, y0, x1, y1, score)."""
    return Labels.of(
        [SCHEMA.class_id(row[0]) for row in rows],
        [row[1:5] for row in rows],
        score=[row[5] if len(row) > 5 else 1.0 for row in rows],
        attributes=attributes,
        context=context,
    )


def lanes(*points, position=None, score=None, more=None):
    lines = Labels.of(
        [SCHEMA.class_id("lane")] * len(points),
        kind=Kind.POLYLINE,
        shape=[np.array(p, dtype=float) for p in points],
        score=score,
        attributes={} if position is None else {"position": position},
    )
    return lines if more is None else Labels.concat([more, lines])


def ego(more=None, left=LEFT, right=RIGHT, **given):
    return lanes(left, right, position=["ego_left", "ego_right"], more=more, **given)


def standing(name, side, t, metres=1.7, half=0.3, score=1.0):
    """Return the box of something `metres` high and 2 * `half` wide that stands `side` camera heights to the side."""
    x, y = 640 + side * t, 360 + t
    pixels = t / 1.4
    return (name, x - half * pixels, y - metres * pixels, x + half * pixels, y, score)


def reasons(flags):
    return [flag.reason for flag in flags]


def rows_of(flags):
    return [flag.rows for flag in flags]


# What each rule is for.


@pytest.mark.parametrize("who", ["person", "rider", "sitting_person"])
def test_someone_in_the_ego_lane_is_for_a_person(who):
    found = rule("vru_near_path").check(ITEM, ego(labels(("car", 0, 0, 50, 50), standing(who, 0.2, 100))))
    assert reasons(found) == ["vru_near_path"]
    assert found[0].severity is Severity.HUMAN
    assert found[0].rows == (1,)
    assert "0.16 half widths, limit 1.5" in found[0].message


@pytest.mark.parametrize(("side", "fires"), [(1.87, True), (1.88, False), (-1.87, True), (-1.88, False)])
@pytest.mark.parametrize("seen", [True, False], ids=["lines", "no lines"])
def test_the_ego_lane_is_widened_by_half(side, fires, seen):
    someone = labels(standing("person", side, 100))
    assert bool(rule("vru_near_path").check(ITEM, ego(someone) if seen else someone)) is fires


def test_a_vehicle_in_the_ego_lane_is_no_vru():
    assert rule("vru_near_path").check(ITEM, ego(labels(standing("car", 0, 100), standing("bicycle", 0, 100)))) == []


def test_widening_can_be_set():
    someone = labels(standing("person", 2.4, 100))
    assert not rule("vru_near_path").check(ITEM, someone)
    assert rule("vru_near_path", widen=2).check(ITEM, someone)


def test_someone_beyond_the_end_of_the_lines_is_not_overlooked():
    short = ego(labels(standing("person", 0, 10)), left=LEFT[2:], right=RIGHT[2:])
    assert rule("vru_near_path").check(ITEM, short)


def test_the_lane_goes_on_below_its_lines():
    someone = labels(standing("person", 1.8, 350))
    assert rule("vru_near_path").check(ITEM, ego(someone, left=LEFT[:2], right=RIGHT[:2]))


def test_someone_at_a_vehicle_ahead_is_an_interaction():
    car = standing("car", 0, 100, 1.5, 0.9)
    beside = ("person", car[3] + 20, 340, car[3] + 50, 460)
    away = ("person", car[3] + 70, 340, car[3] + 100, 460)
    found = rule("interaction").check(ITEM, labels(car, beside, away))
    assert (reasons(found), rows_of(found)) == (["vru_at_vehicle"], [(1,)])
    assert found[0].severity is Severity.HUMAN


def test_the_gap_to_a_vehicle_is_half_the_height():
    car = standing("car", 0, 100, 1.5, 0.9)
    at = lambda gap: labels(car, ("person", car[3] + gap, 340, car[3] + gap + 30, 460))  # noqa: E731
    assert rule("interaction").check(ITEM, at(59.9))
    assert not rule("interaction").check(ITEM, at(60.1))


def test_someone_at_a_parked_vehicle_beside_the_lane_is_none():
    car = standing("car", 4, 100, 1.5, 0.9)
    assert rule("interaction").check(ITEM, labels(car, ("person", car[1], 340, car[1] + 30, 460))) == []


@pytest.mark.parametrize("wheels", ["rider", "bicycle", "motorcycle"])
def test_on_foot_and_on_wheels_at_once_is_an_interaction(wheels):
    found = rule("interaction").check(
        ITEM, labels(("person", 0, 0, 40, 100), (wheels, 10, 20, 50, 120), ("person", 900, 0, 940, 99))
    )
    assert (reasons(found), rows_of(found)) == (["walks_or_rides"], [(0, 1)])


@pytest.mark.parametrize(("shift", "fires"), [(81.0, True), (82.0, False)])  # IoU of 0.105 and 0.099
def test_the_overlap_that_makes_one_of_two(shift, fires):
    assert (
        bool(rule("interaction").check(ITEM, labels(("person", 0, 0, 100, 100), ("rider", shift, 0, shift + 100, 100)))) is fires
    )


@pytest.mark.parametrize(
    ("box", "fires"),
    [
        ((1, 50, 99, 99), True),
        ((1.1, 50, 99, 99), False),
        ((50, 1, 99, 99), True),
        ((50, 50, 1279, 99), True),
        ((50, 50, 1278.9, 99), False),
        ((50, 50, 99, 719), True),
        ((50, 50, 99, 718.9), False),
    ],
)
def test_a_box_at_the_border_is_truncated(box, fires):
    assert bool(rule("truncated").check(ITEM, labels(("car", *box)))) is fires


def test_truth_may_say_that_a_box_is_truncated():
    two = labels(("car", 50, 50, 99, 99), ("car", 50, 50, 99, 99), truncated=[0.0, 0.2])
    assert rows_of(rule("truncated").check(ITEM, two)) == [(1,)]


def test_lights_at_the_border_are_left_alone():
    assert rule("truncated").check(ITEM, labels(("traffic_light", 0, 0, 9, 9))) == []


@pytest.mark.parametrize(("level", "fires"), [(0, False), (1, False), (2, True), (3, True), (None, False)])
def test_largely_occluded_things_are_for_review(level, fires):
    assert bool(rule("occluded").check(ITEM, labels(("car", 5, 5, 9, 9), occluded=[level]))) is fires


@pytest.mark.parametrize(("height", "fires"), [(9.99, True), (10, False)])
def test_tiny_things_are_for_review(height, fires):
    found = rule("min_height").check(ITEM, labels(("person", 5, 100, 9, 100 + height)))
    assert bool(found) is fires
    assert not found or found[0].severity is Severity.REVIEW


def test_the_least_height_can_be_set():
    assert rule("min_height", px=40).check(ITEM, labels(("person", 5, 100, 9, 139)))
    assert rule("min_height", severity="human").check(ITEM, labels(("person", 5, 100, 9, 105)))[0].severity is Severity.HUMAN


def test_a_low_lane_line_is_not_tiny():
    assert rule("min_height").check(ITEM, lanes([[0, 0], [100, 2]])) == []


@pytest.mark.parametrize(("n", "fires"), [(5, False), (6, True)])
@pytest.mark.parametrize("who", ["person", "car"])
def test_many_that_overlap_are_a_crowd(n, fires, who):
    row = [(who, 30 * i, 0, 30 * i + 60, 100) for i in range(n)]
    found = rule("crowd").check(ITEM, labels(*row, (who, 900, 0, 960, 100)))
    assert rows_of(found) == ([tuple(range(n))] if fires else [])


def test_many_apart_are_no_crowd():
    assert rule("crowd").check(ITEM, labels(*[("person", 60 * i, 0, 60 * i + 50, 100) for i in range(12)])) == []


def test_people_and_cars_are_counted_apart():
    row = [("person" if i % 2 else "car", 20 * i, 0, 20 * i + 60, 100) for i in range(6)]
    assert rule("crowd").check(ITEM, labels(*row)) == []


@pytest.mark.parametrize(
    ("metres", "fires"), [(1.7, False), (0.8 / 1.5 + 0.01, False), (0.8 / 1.5 - 0.01, True), (3.29, False), (3.31, True)]
)
def test_a_person_has_a_height(metres, fires):
    found = rule("size_depth").check(ITEM, ego(labels(standing("person", 0, 100, metres))))
    assert bool(found) is fires
    assert not found or f"{metres:.1f} m high, expected 0.5 to 3.3 m" in found[0].message


def test_a_car_in_the_sky_does_not_fit():
    found = rule("size_depth").check(ITEM, labels(("car", 600, 100, 700, 160)))
    assert "stands above the horizon" in found[0].message


def test_what_the_lower_border_cuts_has_no_foot():
    assert rule("size_depth").check(ITEM, labels(("car", 600, 700, 700, 720))) == []


def test_the_horizon_comes_from_the_lanes_then_the_camera_then_the_middle():
    calibrated = replace(ITEM, meta={**ITEM.meta, "intrinsics": [[900, 0, 640], [0, 900, 300], [0, 0, 1]]})
    table = np.isin(np.arange(len(SCHEMA.classes)), SCHEMA.under("lane"))
    low = [[[640 - t, 250 + t] for t in (50, 400)], [[640 + t, 250 + t] for t in (50, 400)]]
    assert EgoLane.of(calibrated, ego(left=low[0], right=low[1]), table).horizon == pytest.approx(250)
    assert EgoLane.of(calibrated, Labels.empty(), table).horizon == 300
    assert EgoLane.of(ITEM, Labels.empty(), table).horizon == 360
    assert EgoLane.of(calibrated, ego(), table, horizon=0.4).horizon == 288


def test_another_class_at_the_same_place_is_a_duplicate():
    two = [("car", 0, 0, 100, 100), ("truck", 0, 0, 100, 81)]
    assert rows_of(rule("duplicates").check(ITEM, labels(*two, ("car", 500, 0, 600, 90)))) == [(0, 1)]
    assert rule("duplicates").check(ITEM, labels(two[0], ("truck", 0, 0, 100, 80))) == []
    assert rule("duplicates").check(ITEM, labels(two[0], ("car", 0, 0, 100, 99))) == []


@pytest.mark.parametrize(
    ("name", "limit"), [("car", 0.8), ("vehicle", 0.8), ("rider", 0.8), ("traffic_light", 0.5), ("drivable", 0.5), ("lane", 0.0)]
)
def test_each_class_has_its_threshold(name, limit):
    low, high = ((name, 0, 0, 9, 9, max(limit - 0.01, 0)), (name, 0, 0, 9, 9, limit))
    assert rows_of(rule("low_score").check(ITEM, labels(low, high))) == ([(0,)] if limit else [])


def test_a_threshold_of_a_class_goes_before_that_of_its_parent():
    mine = rule("low_score", classes={"train": 0.1, "vehicle": 0.6, "vru": None})
    found = mine.check(ITEM, labels(("train", 0, 0, 9, 9, 0.2), ("car", 0, 0, 9, 9, 0.55), ("person", 0, 0, 9, 9, 0.55)))
    assert rows_of(found) == [(1,)]
    assert "0.55 where 0.60 is asked for" in found[0].message


@pytest.mark.parametrize(
    "context",
    [
        {"timeofday": "night"},
        {"weather": "rain"},
        {"weather": "fog"},
        {"weather": "snow"},
        {"glare": True},
        {"blur": True},
        {"luma": 49.9},
    ],
)
def test_bad_conditions_raise_the_threshold(context):
    found = rule("poor_conditions", sample=0).check(
        ITEM, labels(("car", 0, 0, 9, 9, 0.94), ("car", 0, 0, 9, 9, 0.96), context=context)
    )
    assert rows_of(found) == [(0,)]


@pytest.mark.parametrize(
    "context", [{}, {"timeofday": "day", "weather": "clear", "glare": False, "blur": False, "luma": 50}, {"timeofday": "dusk"}]
)
def test_good_conditions_ask_for_no_more(context):
    assert rule("poor_conditions", sample=1).check(ITEM, labels(("car", 0, 0, 9, 9, 0.1), context=context)) == []


def test_a_fifth_of_the_pictures_in_bad_conditions_is_drawn():
    night = labels(context={"timeofday": "night"})
    items = [Item(f"clip-{i:06d}-{i * 7919:x}", "clip.mp4") for i in range(2000)]
    drawn = [item.id for item in items if rule("poor_conditions").check(item, night)]
    assert 340 <= len(drawn) <= 460  # 400 expected, 18 standard deviation
    assert drawn == [item.id for item in items if draw(item.id) < 0.2]
    assert draw("clip-000001") == 0.7647636900436645  # the first 8 bytes of its sha256, over 2^64


@pytest.mark.parametrize(("score", "fires"), [(0.89, True), (0.9, False)])
@pytest.mark.parametrize("name", ["traffic_light", "traffic_sign", "stop_sign"])
def test_signals_must_be_nearly_certain(name, score, fires):
    found = rule("traffic_signals").check(ITEM, labels((name, 0, 0, 9, 9, score), ("car", 0, 0, 9, 9, 0.1)))
    assert rows_of(found) == ([(0,)] if fires else [])
    assert all(flag.severity is Severity.HUMAN for flag in found)


def test_a_class_that_says_too_little_is_always_for_review():
    assert rows_of(rule("generic_class").check(ITEM, labels(("vehicle", 0, 0, 9, 9), ("car", 0, 0, 9, 9)))) == [(0,)]


@pytest.mark.parametrize(("score", "fires"), [(0.59, True), (0.6, False)])
def test_unsure_lane_lines_are_for_review(score, fires):
    found = rule("lane_confidence").check(ITEM, ego(labels(("car", 0, 0, 9, 9, 0.1)), score=[1.0, score]))
    assert rows_of(found) == ([(2,)] if fires else [])


@pytest.mark.parametrize(("metres", "fires"), [(2.45, True), (2.55, False), (3.5, False), (4.45, False), (4.55, True)])
def test_a_lane_has_a_width(metres, fires):
    half = metres / 1.4 / 2
    left, right = ([[640 + side * half * t, 360 + t] for t in (40, 120, 360)] for side in (-1, 1))
    found = rule("lane_shape").check(ITEM, ego(labels(("car", 0, 0, 9, 9)), left=left, right=right))
    assert (reasons(found), rows_of(found)) == ((["lane_width"], [(1, 2)]) if fires else ([], []))
    assert not found or f"{metres:.2f} m wide" in found[0].message


def test_lines_that_cross_are_for_review():
    third = [[LEFT[0][0] - 30, 400], [LEFT[3][0] + 30, 720]]
    found = rule("lane_shape").check(ITEM, lanes(LEFT, RIGHT, third, position=["ego_left", "ego_right", "left"]))
    assert (reasons(found), rows_of(found)) == (["lanes_cross"], [(0, 2)])


def test_lines_that_touch_do_not_cross():
    third = [[LEFT[0][0] - 1.5, 400], [LEFT[3][0] + 1.5, 720]]
    assert rule("lane_shape").check(ITEM, lanes(LEFT, RIGHT, third, position=["ego_left", "ego_right", "left"])) == []


def test_both_ego_lines_are_expected():
    mine = rule("ego_lanes")
    assert mine.check(ITEM, ego()) == []
    assert reasons(mine.check(ITEM, lanes(LEFT, position=["ego_left"]))) == ["ego_lanes"]
    assert mine.check(ITEM, Labels.empty())[0].rows == ()
    assert mine.check(ITEM, lanes(LEFT, RIGHT, position=["left", "ego_right"]))
    assert rule("ego_lanes", least=1).check(ITEM, lanes(LEFT, position=["ego_left"])) == []


def test_ego_lines_are_found_by_place_where_nobody_names_them():
    far = [[640 - 4 * t, 360 + t] for t in (40, 150)]
    assert rule("ego_lanes").check(ITEM, lanes(far, LEFT, RIGHT)) == []
    table = np.isin(np.arange(len(SCHEMA.classes)), SCHEMA.under("lane"))
    assert EgoLane.of(ITEM, lanes(far, LEFT, RIGHT), table).rows == [1, 2]
    assert reasons(rule("ego_lanes").check(ITEM, lanes(far, LEFT))) == ["ego_lanes"]


def test_of_two_left_lines_the_surer_counts():
    table = np.isin(np.arange(len(SCHEMA.classes)), SCHEMA.under("lane"))
    three = lanes(LEFT, LEFT, RIGHT, position=["ego_left", "ego_left", "ego_right"], score=[0.6, 0.9, 0.9])
    assert EgoLane.of(ITEM, three, table).rows == [1, 2]


def test_the_slope_is_that_of_the_lower_half():
    bent = np.array([[0.0, 0], [500, 10], [100, 60], [150, 80], [200, 100]])
    assert Line(0, bent).fit == pytest.approx((2.5, -50))


# Clips.


def clip(*frames, step=0.1, times=None, ids=None):
    """Return records of frames given as lists of (track, class, x0, y0, x1, y1), or as Labels."""
    out = []
    for i, frame in enumerate(frames):
        index = i if ids is None else ids[i]
        seconds = index * step if times is None else times[i]
        if not isinstance(frame, Labels):
            frame = Labels.of(
                [SCHEMA.class_id(row[1]) for row in frame], [row[2:6] for row in frame], track=[row[0] for row in frame]
            )
        item = Item(f"clip-{index}", "clip.mp4", "clip.mp4", index)
        out.append(Record(item, frame, size=(HEIGHT, WIDTH), frame=VideoFrame(seconds, index)))
    return out


def car(track, x, size=100, name="car"):
    return (track, name, x, 100, x + size, 100 + size)


def found_in(name, records, **changes):
    return [(item, flag.reason, flag.rows) for item, flag in rule(name, **changes).check_group(records)]


DIAGONAL = 100 * 2**0.5


@pytest.mark.parametrize(("move", "fires"), [(2 * DIAGONAL - 1, False), (2 * DIAGONAL + 1, True)])
def test_a_track_moves_at_most_two_diagonals_in_a_tenth_of_a_second(move, fires):
    records = clip([car(1, 0), car(2, 0)], [car(2, 10), car(1, move)])
    assert found_in("track_jump", records) == ([("clip-1", "track_jump", (1,))] if fires else [])


def test_a_jump_is_judged_by_time_not_by_frames():
    far = [car(1, 0)], [car(1, 500)]
    assert found_in("track_jump", clip(*far, step=0.1))
    assert not found_in("track_jump", clip(*far, step=0.2))
    assert not found_in("track_jump", clip(*far, ids=[0, 3]))
    still = [replace(one, frame=VideoFrame()) for one in clip(*far)]  # timestamps that stand still
    assert found_in("track_jump", still)
    assert not found_in("track_jump", still, frame_seconds=0.2)


@pytest.mark.parametrize(("size", "fires"), [(139, False), (141, True), (61, False), (59, True)])
def test_a_track_grows_at_most_by_forty_percent_in_a_frame(size, fires):
    records = clip([car(1, 0)], [car(1, 0, size)])
    assert found_in("track_jump", records) == ([("clip-1", "track_growth", (0,))] if fires else [])


def test_growth_over_a_gap_is_none():
    assert found_in("track_jump", clip([car(1, 0)], [car(1, 0, 150)], ids=[0, 2])) == []


def test_a_track_keeps_its_class():
    records = clip([car(1, 0), car(2, 500)], [car(1, 0), car(2, 500, name="truck")], [car(1, 0), car(2, 500, name="truck")])
    assert found_in("class_flip", records) == [("clip-1", "class_flip", (1,))]
    assert "car to truck" in next(iter(rule("class_flip").check_group(records)))[1].message


def test_short_tracks_are_for_review():
    records = clip([car(1, 0), car(2, 0)], [car(1, 0), car(2, 0)], [car(1, 0), (-1, "car", 0, 0, 9, 9)])
    assert found_in("short_track", records) == [("clip-0", "short_track", (1,)), ("clip-1", "short_track", (1,))]
    assert len(found_in("short_track", records, least=4)) == 5


@pytest.mark.parametrize(("back", "fires"), [(31, False), (32, True)])
def test_a_track_that_comes_back_late_is_for_review(back, fires):
    records = clip([car(1, 0)], [car(1, 0)], ids=[0, back])
    assert found_in("track_gap", records) == ([(f"clip-{back}", "track_gap", (0,))] if fires else [])


def light(state, track=1):
    one = Labels.of([SCHEMA.class_id("traffic_light")], [[0, 0, 9, 9]], track=[track], attributes={"state": [state]})
    return one


def test_a_light_that_flickers_is_for_a_person():
    records = clip(light("red"), light("green"), light("unknown"), light(None), light("green"))
    assert found_in("state_flip", records) == [("clip-1", "state_flip", (0,))]
    assert next(iter(rule("state_flip").check_group(records)))[1].severity is Severity.HUMAN


@pytest.mark.parametrize(("seconds", "fires"), [(1.0, True), (1.01, False)])
def test_a_light_may_change_after_a_second(seconds, fires):
    assert bool(found_in("state_flip", clip(light("red"), light("green"), times=[0, seconds]))) is fires


def shifted(pixels):
    return ego(left=[[x + pixels, y] for x, y in LEFT])


@pytest.mark.parametrize(("pixels", "fires"), [(19, False), (21, True), (-21, True)])
def test_a_lane_line_does_not_jump(pixels, fires):
    assert found_in("lane_shift", clip(ego(), shifted(pixels))) == ([("clip-1", "lane_shift", (0,))] if fires else [])


def test_a_lane_line_may_move_between_pictures_far_apart():
    assert found_in("lane_shift", clip(ego(), shifted(80), times=[0, 0.21])) == []
    assert found_in("lane_shift", clip(ego(), shifted(80), times=[0, 0.19]))


def test_the_shift_is_measured_in_pictures_of_1280():
    wide = [replace(one, size=(HEIGHT, 2 * WIDTH)) for one in clip(ego(), shifted(21))]
    assert found_in("lane_shift", wide) == []


def test_a_line_that_comes_or_goes_does_not_shift():
    assert found_in("lane_shift", clip(ego(), lanes(RIGHT, position=["ego_right"]), ego())) == []


# All of them together.

finite = st.floats(-50, 2000, width=32)
unit = st.floats(0, 1)


@st.composite
def any_labels(draw_from):
    n = draw_from(st.integers(0, 6))
    rows = []
    for _ in range(n):
        x, y = sorted((draw_from(finite), draw_from(finite))), sorted((draw_from(finite), draw_from(finite)))
        kind = draw_from(st.sampled_from(list(Kind)))
        points = np.array(draw_from(st.lists(st.tuples(finite, finite), max_size=5))).reshape(-1, 2)
        shape = {
            Kind.ROTATED_BOX: np.array([5.0, 5, 2, 2, 0.1]),
            Kind.POLYGON: (points,),
            Kind.POLYLINE: points,
            Kind.KEYPOINTS: np.column_stack([points, np.ones(len(points))]),
            Kind.MASK: Rle((2, 2), b"04"),
            Kind.CUBOID: np.array([0.0, 1, 9, 0, 0, 0, 1, 4, 1.5, 2]),
        }.get(kind)
        usual = draw_from(st.sampled_from(["lane", "person", "car", "rider", "traffic_light"]))
        name = (
            draw_from(st.sampled_from([c.name for c in SCHEMA.classes if not c.abstract])) if draw_from(st.booleans()) else usual
        )
        rows.append(
            (SCHEMA.class_id(name), [x[0], y[0], x[1], y[1]], kind, shape, draw_from(unit), draw_from(st.integers(-1, 3)))
        )
    known = st.none() | st.sampled_from(["ego_left", "ego_right", "left", "right"])
    columns = {
        "position": [draw_from(known) for _ in rows],
        "state": [draw_from(st.none() | st.sampled_from(["red", "green", "unknown"])) for _ in rows],
        "truncated": [draw_from(st.none() | unit) for _ in rows],
        "occluded": [draw_from(st.none() | st.integers(0, 3)) for _ in rows],
    }
    context = draw_from(
        st.sampled_from([{}, {"timeofday": "night", "luma": 10.0}, {"weather": None, "luma": None, "glare": None}])
    )
    return Labels.of(
        [r[0] for r in rows],
        np.array([r[1] for r in rows]).reshape(-1, 4),
        kind=np.array([r[2] for r in rows], dtype=np.uint8),
        shape=[r[3] for r in rows],
        score=[r[4] for r in rows],
        track=[r[5] for r in rows],
        attributes={name: column for name, column in columns.items() if draw_from(st.booleans())},
        context=context,
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_labels(), max_size=4), st.booleans())
def test_no_rule_ever_fails_or_changes_what_it_sees(frames, sized):
    pipeline = Pipeline({name: rule(name) for name in RULES})
    records = clip(*frames)
    before = [one.labels[:] for one in records]
    for one in records:
        item = replace(one.item, meta={"size": [HEIGHT, WIDTH]} if sized else {})
        flags = pipeline.check(item, one.labels)
        assert flags == pipeline.check(item, one.labels)
        assert all(isinstance(flag, Flag) and flag.message for flag in flags)
        assert all(0 <= row < len(one.labels) and isinstance(row, int) for flag in flags for row in flag.rows)
    pairs = pipeline.check_group(records)
    assert pairs == pipeline.check_group(records)
    lengths = {one.item.id: len(one.labels) for one in records}
    assert all(0 <= row < lengths[item] for item, flag in pairs for row in flag.rows)
    assert [one.labels for one in records] == before


def test_a_clean_picture_has_no_flags():
    pipeline = Pipeline({name: rule(name) for name in RULES})
    clean = ego(labels(standing("car", 0.1, 60, 1.5, 0.9), standing("truck", 3, 60, 3.5, 1.2), standing("person", 4, 60)))
    assert pipeline.check(ITEM, clean) == []
    moving = [
        ego(Labels.of([SCHEMA.class_id("car")], [standing("car", 0.1, 60 + i, 1.5, 0.9)[1:5]], track=[1])) for i in range(4)
    ]
    assert pipeline.check_group(clip(*moving)) == []


def test_every_flag_carries_the_name_of_its_rule():
    built = plugins.build(RULES["min_height"], "rules.mine", schema=SCHEMA)
    assert built.check(ITEM, labels(("car", 5, 5, 9, 9)))[0].rule == "mine"


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("low_score", {"classes": {"pedestrain": 0.5}}, "pedestrain"),
        ("truncated", {"classes": ["cars"]}, "did you mean 'car'?"),
        ("size_depth", {"heights": {"lorry": [1, 2]}}, "lorry"),
        ("generic_class", {"classes": ["vehicles"]}, "did you mean 'vehicle'?"),
        ("crowd", {"severity": "urgent"}, "urgent"),
        ("min_height", {"px": "tall"}, "px"),
        ("min_height", {"pixels": 3}, "pixels"),
    ],
)
def test_a_setting_that_can_not_be_is_refused_before_work_starts(name, changes, said):
    with pytest.raises(ConfigError) as error:
        rule(name, **changes)
    assert said in str(error.value)


def test_the_yaml_shows_every_setting_with_the_default_of_the_code():
    import inspect

    for name, node in RULES.items():
        module, _, cls = node["_target_"].rpartition(".")
        parameters = inspect.signature(getattr(import_module(module), cls)).parameters
        assert set(node) - {"_target_"} == set(parameters) - {"schema", "name"}, name
        for setting, value in node.items():
            default = parameters[setting].default if setting != "_target_" else None
            if default is not None:
                assert (list(default) if isinstance(default, tuple) else default) == value, f"{name}.{setting}"


def test_the_table_of_the_page_shows_every_rule_with_its_settings():
    page = Path(__file__).parents[2] / "docs" / "driving.md"
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name: rest for name, rest in rows if name in RULES}
    assert set(shown) == set(RULES)
    for name, node in RULES.items():
        for setting, value in node.items():
            if setting == "_target_":
                continue
            text = f"`{setting}` {'none' if value is None else _said(value)}"
            assert text in shown[name], f"{name}: the table lacks {text}"


def _said(value):
    if isinstance(value, dict):
        return ", ".join(f"{k} {_said(v)}" for k, v in value.items())
    if isinstance(value, list):
        return (" to " if value and not isinstance(value[0], str) else ", ").join(map(_said, value))
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)
