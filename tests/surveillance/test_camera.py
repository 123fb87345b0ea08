"""A camera's YAML is read as it is meant, or refused with file, key and reason; its clock is the one on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hyla.errors import ConfigError
from hyla_surveillance.camera import DAYS, Camera, Line, Span, Zone
from hyla_surveillance.camera_file import camera_of, open_cameras
from hyla_surveillance.homography import homography_of

WHOLE = """
camera: entrance
size: [576, 768]
timezone: Europe/Berlin
files: ["gate/*", "*_ch03_*"]
url: rtsp://${GATE}@10.0.0.7/live
start: 2026-03-29T01:30:00Z
clock_offset: -1.5
ground:
  image: [[100, 500], [700, 500], [500, 200], [250, 200]]
  metres: [[0, 0], [8, 0], [8, 20], [0, 20]]
zones:
  yard: {purpose: restricted, polygon: [[0, 300], [300, 300], [300, 576], [0, 576]], seconds: 2,
         schedule: [{days: [mon, tue], begin: "22:00", end: "06:00"}]}
  lane: {purpose: one_way, polygon: [[0, 0], [10, 0], [10, 10]], direction: [0, 1]}
lines:
  door: {points: [[300, 400], [400, 400]], direction: in}
legal_basis: legitimate interest, sign at the gate
retention_hours: 72
declared: {site: north}
"""


def utc(text):
    return datetime.fromisoformat(text).timestamp()


def read(tmp_path, text, setting="auto", name="cameras.yaml"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return open_cameras(setting, str(tmp_path))


def test_everything_that_a_file_can_say(tmp_path):
    cameras = read(tmp_path, WHOLE)
    camera = cameras.of("entrance")
    assert cameras.names == ("entrance",)
    assert camera.size == (576, 768)
    assert camera.start == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert (camera.clock_offset, camera.retention_hours) == (-1.5, 72)
    assert (camera.files, dict(camera.declared)) == (("gate/*", "*_ch03_*"), {"site": "north"})
    yard, lane = camera.zones
    assert (yard.purpose, yard.seconds, yard.schedule) == ("restricted", 2.0, (Span(("mon", "tue"), time(22), time(6)),))
    assert lane.direction is not None
    assert lane.direction.tolist() == [0, 1]
    assert [(line.name, line.direction) for line in camera.lines] == [("door", "in")]
    assert camera.to_ground([[100, 500], [500, 200]]) == pytest.approx(np.array([[0, 0], [8, 20]]), abs=1e-6)
    assert "10.0.0.7" not in repr(camera)


def test_a_camera_that_nobody_described_is_one_of_which_nothing_is_known(tmp_path):
    cameras = open_cameras("auto", str(tmp_path))
    assert len(cameras) == 0
    assert cameras.of("x") == Camera("x")
    assert not cameras.knows("x")
    assert len(open_cameras(None, str(tmp_path))) == 0


def test_files_of_a_folder_are_named_after_themselves_and_no_name_comes_twice(tmp_path):
    (tmp_path / "cameras").mkdir()
    (tmp_path / "cameras" / "a.yaml").write_text("size: [1, 1]\n")
    (tmp_path / "cameras" / "b.yml").write_text("# nothing yet\n")
    (tmp_path / "cameras" / "notes.txt").write_text("}{")
    assert open_cameras("auto", str(tmp_path)).names == ("a",)
    (tmp_path / "cameras" / "c.yaml").write_text("camera: a\n")
    with pytest.raises(ConfigError, match="two cameras 'a'"):
        open_cameras("auto", str(tmp_path))


def test_a_file_that_changed_is_read_anew(tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_text("camera: a\n")
    assert open_cameras("auto", str(tmp_path)).names == ("a",)
    path.write_text("camera: b\n")
    import os

    os.utime(path, ns=(1, 1))
    assert open_cameras("auto", str(tmp_path)).names == ("b",)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("camera: a\nzoness: {}\n", "no setting 'zoness'"),
        ("camera: a\nsize: [0, 3]\n", "size is"),
        ("camera: a\nsize: 3\n", "size must be"),
        ("camera: a\ntimezone: Mars/Olympus\n", "unknown timezone"),
        ("camera: a\ntimezone: ../../etc/passwd\n", "unknown timezone"),
        ("camera: a\nstart: yesterday\n", "no moment"),
        ("camera: a\nclock_offset: soon\n", "no number"),
        ("camera: a\nclock_offset: .nan\n", "no number"),
        ("camera: a\nretention_hours: 0\n", "retention_hours is"),
        ("camera: a\nfiles: [3]\n", "must be text"),
        ("camera: a\nurl: 3\n", "must be text"),
        ("camera: a\nzones: [1]\n", "dict by name"),
        ("camera: a\nzones: {z: 3}\n", "keys and values"),
        ("camera: a\nzones: {z: {polygon: [[0, 0], [9, 9]]}}\n", "no area"),
        ("camera: a\nzones: {z: {polygon: [[0, 0], [9, 9], [9, 0], [0, 9]]}}\n", "no area"),
        ("camera: a\nzones: {z: {polygon: [[0, 0], [9, .inf], [9, 0]]}}\n", "finite"),
        ("camera: a\nzones: {z: {purpose: secret, polygon: [[0, 0], [9, 0], [9, 9]]}}\n", "unknown purpose"),
        ("camera: a\nzones: {z: {purpose: one_way, polygon: [[0, 0], [9, 0], [9, 9]]}}\n", "needs a direction"),
        ("camera: a\nzones: {z: {polygon: [[0, 0], [9, 0], [9, 9]], seconds: -1}}\n", "seconds is"),
        ("camera: a\nsize: [10, 10]\nzones: {z: {polygon: [[90, 0], [99, 0], [99, 9]]}}\n", "outside the picture"),
        ("camera: a\nlines: {l: {points: [[0, 0]]}}\n", "no line"),
        ("camera: a\nlines: {l: {points: [[0, 0], [0, 0]]}}\n", "no line"),
        ("camera: a\nlines: {l: {points: [[0, 0], [5, 0]], direction: up}}\n", "unknown direction"),
        ("camera: a\nzones: {z: {polygon: [[0, 0], [9, 0], [9, 9]], schedule: [{days: [caturday]}]}}\n", "unknown day"),
        ("camera: a\nzones: {z: {polygon: [[0, 0], [9, 0], [9, 9]], schedule: [{begin: noon}]}}\n", "no time of day"),
        ("camera: a\nground: {image: [[0, 0]], metres: [[0, 0]]}\n", "four or more"),
        ("camera: a\nground: {image: [[0, 0], [1, 0], [2, 0], [3, 0]], metres: [[0, 0], [1, 0], [2, 0], [3, 0]]}\n", "no plane"),
        ("camera: a\nground: {matrix: [[1, 0, 0], [0, 1, 0], [0, 0, 0]]}\n", "no plane"),
        ("- a\n- b\n", "keys and values"),
        ("camera: [\n", "line 2, column 1"),
        ("!!python/object/apply:os.system ['true']\n", "constructor"),
    ],
)
def test_what_can_not_be_is_refused_with_the_reason(tmp_path, text, wanted):
    with pytest.raises(ConfigError, match=wanted) as caught:
        read(tmp_path, text)
    assert "cameras.yaml" in caught.value.what


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path):
    (tmp_path / "cameras.yaml").write_bytes(b"\xff\xfe\x00camera")
    with pytest.raises(ConfigError, match=r"cameras\.yaml can't be read"):
        open_cameras("auto", str(tmp_path))
    (tmp_path / "cameras.yaml").write_bytes(b"#" * (1 << 21))
    with pytest.raises(ConfigError, match="larger than"):
        open_cameras("auto", str(tmp_path))


def test_a_bom_and_hours_that_yaml_reads_as_numbers_do_no_harm(tmp_path):
    text = "\ufeffcamera: a\nzones: {z: {polygon: [[0, 0], [9, 0], [9, 9]], schedule: {begin: 22:00, end: 6:30, days: Monday}}}\n"
    (zone,) = read(tmp_path, text).of("a").zones
    assert zone.schedule == (Span(("mon",), time(22), time(6, 30)),)


KEYS = ["camera", "size", "zones", "lines", "ground", "start", "declared", "files", "polygon", "points", "z"]
ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=12,
)


@given(ODD)
@settings(deadline=None, max_examples=300)
def test_no_yaml_at_all_gets_anything_but_a_camera_or_a_reason(values):
    reason = ""
    try:
        camera_of(values, "odd.yaml", "odd").outside((10, 10))
    except ConfigError as error:
        reason = error.what
    assert not reason or reason.startswith("odd.yaml")


# Schedules

NIGHT = (Span(begin=time(22), end=time(6)),)
BERLIN = Camera("a", timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("moment", "wanted"),
    [
        ("2026-03-28T20:59:59+00:00", False),  # 21:59:59, an hour east of Greenwich
        ("2026-03-28T21:00:00+00:00", True),
        ("2026-03-29T00:59:59+00:00", True),  # 01:59:59, then the clock jumps to 03:00
        ("2026-03-29T03:59:59+00:00", True),  # 05:59:59, now two hours east
        ("2026-03-29T04:00:00+00:00", False),
        ("2026-10-25T00:30:00+00:00", True),  # 02:30 the first time
        ("2026-10-25T01:30:00+00:00", True),  # 02:30 the second time
        ("2026-10-25T04:59:59+00:00", True),
        ("2026-10-25T05:00:00+00:00", False),  # 06:00, an hour east again
    ],
)
def test_a_night_is_by_the_clock_on_the_wall_also_when_clocks_change(moment, wanted):
    assert BERLIN.in_force(NIGHT, utc(moment)) is wanted


@given(
    st.integers(0, 2**31 - 1),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
)
@settings(deadline=None)
def test_a_span_and_what_it_leaves_fill_each_day_once(moment, zone):
    camera = Camera("a", timezone=zone)
    for begin, end in ((time(22), time(6)), (time(6), time(22)), (time(2), time(3))):
        one, other = Span(begin=begin, end=end), Span(begin=end, end=begin)
        assert camera.in_force((one,), moment) is not camera.in_force((other,), moment)
        local = datetime.fromtimestamp(moment, ZoneInfo(zone)).time()
        inside = begin <= local < end if begin < end else local >= begin or local < end
        assert camera.in_force((one,), moment) is inside


@given(st.integers(0, 2**31 - 1), st.sampled_from(DAYS))
@settings(deadline=None)
def test_a_night_belongs_to_the_day_on_which_it_begins(moment, day):
    local = datetime.fromtimestamp(moment, UTC)
    night = Span((day,), time(22), time(6))
    began = (local - timedelta(hours=6)).strftime("%a").lower()
    assume(not time(6) <= local.time() < time(22))
    assert Camera("a").in_force((night,), moment) is (began == day)


def test_a_schedule_of_whole_days_and_no_time_at_all():
    whole = (Span(("sat", "sun")),)
    assert BERLIN.in_force(whole, utc("2026-03-28T00:00:00+01:00"))
    assert BERLIN.in_force(whole, utc("2026-03-29T23:59:59+02:00"))
    assert not BERLIN.in_force(whole, utc("2026-03-30T00:00:00+02:00"))
    assert BERLIN.in_force(whole, None)
    assert BERLIN.in_force((), utc("2026-03-30T00:00:00+02:00"))


# Where things are


@given(st.integers(50, 4000), st.integers(50, 4000), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None)
def test_whatever_size_a_stream_takes_places_stay_where_they_are_in_the_picture(height, width, x, y):
    ground = homography_of([[100, 500], [700, 500], [500, 200], [250, 200]], [[0, 0], [8, 0], [8, 20], [0, 20]])
    zone = Zone("z", "dwell", np.array([[0.0, 300.0], [300.0, 300.0], [300.0, 576.0], [0.0, 576.0]]))
    camera = Camera("a", (576, 768), (zone,), (Line("l", np.array([[0.0, 0.0], [768.0, 576.0]])),), ground)
    other = camera.of_size((height, width))
    old, new = np.array([[x * 768, y * 576]]), np.array([[x * width, y * height]])
    np.testing.assert_allclose(other.to_ground(new), camera.to_ground(old), rtol=1e-6, atol=1e-6)
    edge = min(abs(x * 768 - 300), abs(x * 768), abs(y * 576 - 300), abs(y * 576 - 576))
    if edge > 1e-6:
        assert other.zones[0].contains(new)[0] == camera.zones[0].contains(old)[0]
    assert other.lines[0].points.tolist() == [[0, 0], [width, height]]
    assert other.size == (height, width)


@given(
    st.tuples(st.floats(0.2, 3), st.floats(-0.3, 0.3), st.floats(-50, 50)),
    st.tuples(st.floats(-0.3, 0.3), st.floats(0.2, 3), st.floats(-50, 50)),
    st.tuples(st.floats(-2e-4, 2e-4), st.floats(-2e-4, 2e-4)),
)
@settings(deadline=None)
def test_four_points_give_back_the_plane_they_were_taken_from(first, second, third):
    true = np.array([first, second, (*third, 1.0)])
    image = np.array([[0, 0], [640, 0], [640, 480], [0, 480], [320, 240]], dtype=float)
    projected = np.column_stack([image, np.ones(5)]) @ true.T
    with np.errstate(all="ignore"):  # LAPACK minds numbers that are all but 0
        assume(abs(np.linalg.det(true)) > 0.02)
    metres = projected[:, :2] / projected[:, 2:]
    camera = Camera("a", homography=homography_of(image[:4], metres[:4]))
    np.testing.assert_allclose(camera.to_ground(image), metres, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(camera.to_picture(metres), image, rtol=1e-5, atol=1e-3)


def test_nothing_lies_on_the_ground_at_the_horizon_and_above():
    camera = Camera(
        "a", homography=homography_of([[100, 500], [700, 500], [500, 200], [250, 200]], [[0, 0], [8, 0], [8, 20], [0, 20]])
    )
    ground = camera.to_ground([[400, 500], [400, -5000]])
    assert np.isfinite(ground[0]).all()
    assert np.isnan(ground[1]).all()
    assert np.isnan(Camera("b").to_ground([[1, 1]])).all()


def test_what_lies_wholly_outside_is_told_and_what_leaves_in_part_is_not():
    zones = [Zone(n, "dwell", np.array(p, dtype=float)) for n, p in (
        ("in", [[0, 0], [9, 0], [9, 9]]), ("part", [[-5, -5], [5, -5], [5, 5]]),
        ("right", [[100, 0], [120, 0], [120, 9]]), ("above", [[0, -9], [9, -9], [9, 0]]),
    )]  # fmt: skip
    camera = Camera("a", zones=tuple(zones), lines=(Line("below", np.array([[0.0, 60.0], [9.0, 70.0]])),))
    assert camera.outside((50, 100)) == ("right", "above", "below")
    assert camera.outside((500, 1000)) == ("above",)


def test_the_example_in_the_docstring_is_a_camera():
    from hyla_surveillance import camera_file

    text = camera_file.__doc__.partition("`---`):")[2].replace("polygon: [...]", "polygon: [[0, 0], [9, 0], [9, 9]]")
    assert camera_of(yaml.safe_load(text), "docs").name == "entrance"


def test_a_matrix_of_another_tool_with_the_other_sign_is_the_same_plane(tmp_path):
    image, metres = [[100, 500], [700, 500], [500, 200], [250, 200]], [[0, 0], [8, 0], [8, 20], [0, 20]]
    matrix = homography_of(image, metres)
    for sign in (1, -1):
        text = yaml.safe_dump({"camera": "gate", "ground": {"matrix": (sign * 3.0 * matrix).tolist()}})
        assert read(tmp_path, text).of("gate").to_ground(image) == pytest.approx(np.array(metres), abs=1e-6)


@pytest.mark.parametrize(
    "image",
    [
        [[100, 100], [700, 100], [700, 500], [100, 500]],  # straight from above
        [[90, 100], [710, 100], [690, 500], [110, 500]],  # from above, what is higher in the picture is nearer
        [[700, 500], [100, 500], [300, 200], [500, 200]],
    ],
)
def test_the_ground_of_a_camera_is_measured_wherever_it_looks_from(tmp_path, image):
    metres = [[0, 0], [6, 0], [6, 4], [0, 4]]
    size = "size: [600, 800]\n"
    texts = [size + yaml.safe_dump({"ground": {"image": image, "metres": metres}})]
    for scale in (1.0, -3.0, 1e-4):
        matrix = (scale * homography_of(image, metres)).tolist()
        texts += [size + yaml.safe_dump({"ground": {"matrix": matrix}}), yaml.safe_dump({"ground": {"matrix": matrix}})]
    for text in texts:
        assert read(tmp_path, "camera: gate\n" + text).of("gate").to_ground(image) == pytest.approx(np.array(metres), abs=1e-6)


@given(st.lists(st.floats(-1.5, 1.5), min_size=8, max_size=8))
@settings(deadline=None)
def test_points_that_were_clicked_badly_are_on_the_ground(errors):
    image = np.array([[100, 100], [700, 100], [700, 500], [100, 500]]) + np.reshape(errors, (4, 2))
    values = {"ground": {"image": image.tolist(), "metres": [[0, 0], [6, 0], [6, 4], [0, 4]]}}
    assert np.isfinite(camera_of(values, "docs", "a").to_ground(image)).all()


@pytest.mark.parametrize(
    "url", ['"rtsp://admin:Hunter\\zwei@10.0.0.7/live"', "rtsp://admin:Hunter: zwei@10.0.0.7/live", "'Hunter"]
)
def test_what_is_wrong_with_a_file_is_said_without_the_password_in_it(tmp_path, url):
    with pytest.raises(ConfigError, match=r"cameras\.yaml, line \d") as caught:
        read(tmp_path, f"camera: gate\nurl: {url}\n")
    assert "Hunter" not in f"{caught.value!r} {caught.value.line} {caught.value.__cause__}"


def test_points_of_a_camera_without_a_size_are_those_of_the_first_picture_asked_for():
    camera = Camera("gate", homography=np.eye(3)).of_size((480, 640))
    assert camera.size == (480, 640)
    assert camera.of_size((240, 320)).to_ground([[100, 100]]).tolist() == [[200.0, 200.0]]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("zones: {a: {polygon: [[0, 0], [9, 0], [9, 9]], seconds: 0}}", "seconds is 0"),
        (
            'zones: {a: {polygon: [[0, 0], [9, 0], [9, 9]], schedule: {begin: "08:00+02:00", end: "09:00"}}}',
            "has a time zone of its own",
        ),
    ],
)
def test_what_would_fail_at_every_frame_is_refused_before_any_work(tmp_path, text, wanted):
    with pytest.raises(ConfigError, match=wanted):
        read(tmp_path, text)


def test_a_moment_of_no_calendar_is_one_that_nobody_knows():
    assert Camera("gate").in_force((Span(begin=time(1), end=time(2)),), 1e20)
