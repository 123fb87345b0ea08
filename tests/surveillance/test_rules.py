"""The review rules of cameras: each fires on a made case, keeps quiet on its opposite, and holds at its limit."""

from __future__ import annotations

import pytest

from hyla.errors import ConfigError
from hyla.plugins import Pipeline
from hyla.rules import draw
from hyla.types import Labels, Severity
from hyla_surveillance.events import EVENTS
from surveillance_kit import RULES, SCHEMA, boxes, event, item, rule, told


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_goes_to_a_person_with_its_name(name):
    labels = Labels.concat([boxes(("person", 3, 0, 0, 20, 60)), event(name)])
    (flag,) = told(rule("candidates"), labels)
    assert (flag.reason, flag.severity, flag.rows) == (name, Severity.HUMAN, (1,))


def test_a_candidate_says_what_speaks_for_it():
    (flag,) = told(rule("candidates"), event("loitering", dwell_s=31.4, radius_m=2.13, fps=8))
    assert flag.message == "candidate: loitering: 31 s, within 2.1 m"


def test_people_and_things_are_no_candidates():
    assert told(rule("candidates"), boxes(("person", 1, 0, 0, 9, 9), ("face", -1, 0, 0, 9, 9))) == []
    assert told(rule("candidates"), Labels.empty()) == []


@pytest.mark.parametrize(("fps", "fires"), [(5.9, True), (6.0, False), (25.0, False)])
def test_events_from_too_few_frames_are_told(fps, fires):
    assert bool(told(rule("low_frame_rate"), event(fps=fps))) is fires
    assert told(rule("low_frame_rate"), event()) == []  # nobody knows


def test_guessed_metres_are_noted():
    (flag,) = told(rule("uncalibrated"), event(calibrated=0.0))
    assert flag.severity == Severity.NOTE
    assert told(rule("uncalibrated"), event(calibrated=1.0)) == []


@pytest.mark.parametrize(("density", "fires"), [(4.9, False), (5.0, True)])
def test_a_dangerous_crowd_needs_two_people(density, fires):
    flags = told(rule("dangerous_crowd"), event("crowding", density_m2=density))
    assert [f.severity for f in flags] == [Severity.SECOND] * fires
    assert told(rule("dangerous_crowd"), event("loitering", density_m2=9.0)) == []


@pytest.mark.parametrize(("side", "fires"), [(23.9, True), (24.0, False)])
def test_a_small_face_is_only_to_be_hidden(side, fires):
    flags = told(rule("small_face"), boxes(("face", -1, 0, 0, side, 40), ("person", 1, 0, 0, 10, 10)))
    assert [f.rows for f in flags] == [(0,)] * fires
    assert all(f.severity == Severity.NOTE for f in flags)


@pytest.mark.parametrize(("quality", "eyes", "fires"), [("good", 59.0, True), ("good", 60.0, False), ("fair", 20.0, False)])
def test_a_face_that_is_called_good_must_be_large(quality, eyes, fires):
    labels = boxes(("face", -1, 0, 0, 90, 90), quality=[quality], eye_distance=[eyes])
    assert bool(told(rule("face_quality"), labels)) is fires
    assert told(rule("face_quality"), boxes(("face", -1, 0, 0, 9, 9))) == []


@pytest.mark.parametrize(("basis", "fires"), [("court order 12", False), ("  ", True), (None, True)])
def test_a_match_without_a_legal_basis_is_dropped(basis, fires):
    labels = boxes(("candidate_match", 1, 0, 0, 30, 30), legal_basis=[basis])
    flags = told(rule("no_legal_basis"), labels)
    assert [f.severity for f in flags] == [Severity.REJECT] * fires
    assert told(rule("no_legal_basis"), boxes(("candidate_match", 1, 0, 0, 30, 30)))


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ({"luma": 19.9}, "camera_covered"),
        ({"luma": 20.0}, None),
        ({"luma": 90.0, "changed": 0.61}, "view_changed"),
        ({"luma": 90.0, "changed": 0.6}, None),
        ({"luma": 90.0, "sharpness": 19.9}, "camera_covered"),
        ({"luma": 90.0, "sharpness": 20.0}, None),
        ({}, None),
    ],
)
def test_a_camera_that_is_covered_or_turned_is_told(context, reason):
    flags = told(rule("covered"), Labels.empty(context))
    assert [(f.reason, f.rows, f.severity) for f in flags] == [(reason, (), Severity.HUMAN)] * (reason is not None)


@pytest.mark.parametrize(
    ("shift", "width", "fires"), [(8.1, 1920, True), (8.0, 1920, False), (2.7, 640, True), (2.6, 640, False)]
)
def test_a_camera_that_moved_is_told_in_shares_of_its_picture(shift, width, fires):
    flags = rule("moved").check(item(size=[width * 9 // 16, width]), Labels.empty({"shift": shift}))
    assert [f.reason for f in flags] == ["camera_moved"] * fires


def test_at_night_more_is_asked_of_scores():
    person, dim = ("person", 1, 0, 0, 20, 60, 0.6), {"infrared": True}
    assert [f.rows for f in told(rule("night"), boxes(person, context=dim))] == [(0,)]
    assert told(rule("night"), boxes(person, context={"timeofday": "night"}))
    assert told(rule("night"), boxes(person, context={"timeofday": "day"})) == []
    assert told(rule("night"), boxes((*person[:6], 0.65), context=dim)) == []
    face = ("face", -1, 0, 0, 9, 9, 0.1)  # hidden whatever its score
    assert told(rule("night"), boxes(face, context=dim)) == []
    assert told(rule("night"), Labels.concat([event(), Labels.empty(dim)])) == []


def test_some_frames_without_anything_are_looked_at():
    names = [item(i) for i in range(2000)]
    drawn = [one for one in names if rule("sample").check(one, Labels.empty())]
    assert 20 <= len(drawn) <= 60
    assert all(draw(one.id) < 0.02 for one in drawn)
    assert rule("sample").check(drawn[0], boxes(("person", 1, 0, 0, 9, 9))) == []
    assert rule("sample", per_camera={"gate": 0.0}).check(drawn[0], Labels.empty()) == []


def test_low_scores_of_faces_are_no_matter():
    assert told(rule("low_score"), boxes(("face", -1, 0, 0, 9, 9, 0.01), ("person", 1, 0, 0, 9, 9, 0.49)))[0].rows == (1,)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_takes_a_severity_and_refuses_a_wrong_one(name):
    assert rule(name, severity="note").severity == Severity.NOTE
    with pytest.raises(ConfigError, match="severity"):
        rule(name, severity="loud")


def test_all_rules_together_take_a_frame_of_everything():
    pipeline = Pipeline({f"rules.{name}": rule(name) for name in RULES})
    everything = [i for i, one in enumerate(SCHEMA.classes) if not one.abstract]
    labels = Labels.of(
        everything, [[0, 0, 5, 5]] * len(everything), kind=[0 if "tag" in SCHEMA.classes[i].kinds else 1 for i in everything]
    )
    SCHEMA.check(labels, (10, 10))
    assert pipeline.check(item(), labels)
    assert pipeline.check(item(), Labels.empty()) == []
