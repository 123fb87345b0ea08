"""Recordings are found as they lie, each frame with its camera, its seconds and, where it is known, its moment."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from hyla.errors import BadItem, ConfigError
from hyla.frame import VideoFrame
from hyla_surveillance.loaders import Recordings
from hyla_surveillance.moments import moment_of
from hyla_surveillance.sequences import sequence
from live_kit import write_clip

BERLIN = ZoneInfo("Europe/Berlin")


def at(text):
    return datetime.fromisoformat(text).timestamp()


def photo(path, shade=0, size=(20, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(np.full((size[1], size[0], 3), shade, np.uint8)).save(path)


def groups(items):
    return {name: list(members) for name, members in groupby(items, key=lambda item: item.group)}


def test_a_clip_keeps_eight_frames_of_each_second_at_their_own_times(tmp_path):
    write_clip(tmp_path / "gate.avi", range(0, 2000, 40), container={})
    loader = Recordings()
    items = list(loader.items(str(tmp_path)))
    assert len(items) == 16
    assert {item.kind for item in items} == {"video_frame"}
    assert {item.group for item in items} == {"gate.avi"}
    assert np.diff([item.meta["seconds"] for item in items]).max() < 0.17
    image = loader.load(items[3])
    assert isinstance(image.frame, VideoFrame)
    assert image.frame.seconds == items[3].meta["seconds"]
    assert image.pixels.shape == (48, 64, 3)
    assert image.context == {"camera": "gate"}
    loader.close("gate.avi")


def test_all_kinds_lie_side_by_side_and_no_group_comes_in_pieces(tmp_path):
    for i in (1, 2, 3, 5):
        photo(tmp_path / "yard" / f"f{i:04d}.png", i)
        photo(tmp_path / "yard" / "deeper" / f"{i}.jpg", i)
    write_clip(tmp_path / "yard" / "f0002a.avi", [0, 40, 80])
    photo(tmp_path / "portrait.jpg")
    (tmp_path / "yard" / ".hidden.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no recording")
    items = list(Recordings(fps=None).items(str(tmp_path)))
    runs = [name for name, _ in groupby(items, key=lambda item: item.group)]
    assert sorted(runs) == ["", "yard", "yard/deeper", "yard/f0002a.avi"]
    found = groups(items)
    assert [(item.index, item.meta["seconds"]) for item in found["yard"]] == [(0, 0.0), (1, 0.04), (2, 0.08), (4, 0.16)]
    assert [item.kind for item in found[""]] == ["image"]
    assert {item.meta["camera"] for item in items} == {"yard", "deeper", tmp_path.name, "portrait"} - {tmp_path.name}
    assert len({item.id for item in items}) == len(items)


def test_pictures_in_the_source_itself_are_of_the_camera_that_the_folder_is_named_after(tmp_path):
    for i in range(4):
        photo(tmp_path / "lobby" / f"{i}.jpg", i)
    items = list(Recordings(fps=None).items(str(tmp_path / "lobby")))
    assert {(item.group, item.meta["camera"]) for item in items} == {("frames", "lobby")}
    one = list(Recordings(fps=None).items(str(tmp_path / "lobby" / "2.jpg")))
    assert [(item.uri, item.group) for item in one] == [("2.jpg", "")]


def test_photos_that_are_no_sequence_stand_alone(tmp_path):
    for name in ("a.jpg", "b.jpg", "c1.jpg"):
        photo(tmp_path / name)
    items = list(Recordings().items(str(tmp_path)))
    assert [(item.uri, item.group, item.kind) for item in items] == [(f"{n}.jpg", "", "image") for n in ("a", "b", "c1")]
    loader = Recordings()
    assert loader.items(str(tmp_path)) is not None
    assert loader.load(items[0]).pixels.shape == (10, 20, 3)


def test_moments_in_the_names_of_pictures_tell_the_time_and_not_their_count(tmp_path):
    for stamp in ("20260329_013000", "20260329_013002", "20260329_013010"):
        photo(tmp_path / f"gate_{stamp}.jpg")
    items = list(Recordings(fps=None).items(str(tmp_path)))
    assert [item.meta["seconds"] for item in items] == [0.0, 2.0, 10.0]
    assert [item.meta["utc"] for item in items] == [at("2026-03-29T01:30:00+00:00") + s for s in (0, 2, 10)]


def test_the_camera_is_who_names_the_file_or_whose_name_the_path_has(tmp_path):
    for uri in ("ch03/a.avi", "north/gate_20260329_013000.avi", "gateway.avi", "gate-2/x.avi", "other/y.avi"):
        (tmp_path / uri).parent.mkdir(parents=True, exist_ok=True)
        write_clip(tmp_path / uri, [0, 40])
    (tmp_path / "cameras.yaml").write_text("camera: gate\n---\ncamera: yard\nfiles: ['ch03/*']\n---\ncamera: gate-2\n")
    cameras = {item.uri: item.meta["camera"] for item in Recordings().items(str(tmp_path))}
    assert cameras == {
        "ch03/a.avi": "yard",
        "north/gate_20260329_013000.avi": "gate",
        "gateway.avi": "gateway",
        "gate-2/x.avi": "gate-2",
        "other/y.avi": "other",
    }


def test_what_is_declared_of_a_camera_goes_with_its_pictures(tmp_path):
    write_clip(tmp_path / "gate.avi", [0, 40])
    (tmp_path / "cameras").mkdir()
    (tmp_path / "cameras" / "gate.yaml").write_text("declared: {site: north, light: LED}\n")
    loader = Recordings()
    item = next(iter(loader.items(str(tmp_path))))
    assert loader.load(item).context == {"camera": "gate", "site": "north", "declared": "light=LED,site=north"}


def test_the_moment_is_that_of_the_name_then_of_the_container_then_of_the_camera(tmp_path):
    write_clip(tmp_path / "gate_2026-03-29T01-30-00Z.mp4", [0, 40], metadata={"creation_time": "2026-05-05T00:00:00Z"})
    write_clip(tmp_path / "gate_b.mp4", [0, 40], metadata={"creation_time": "2026-05-05T00:00:00Z"})
    write_clip(tmp_path / "gate_c.avi", [0, 40])
    write_clip(tmp_path / "yard.avi", [0, 40])
    (tmp_path / "cameras.yaml").write_text("camera: gate\nstart: 2026-01-01T00:00:00Z\nclock_offset: -1.5\nretention_hours: 72\n")
    kept = {item.meta["camera"]: item.meta.get("retention_hours") for item in Recordings().items(str(tmp_path))}
    assert kept == {"gate": 72.0, "yard": None}
    first = {item.uri: item.meta.get("utc") for item in Recordings().items(str(tmp_path)) if item.index == 0}
    assert first == {
        "gate_2026-03-29T01-30-00Z.mp4": at("2026-03-29T01:30:00Z") - 1.5,
        "gate_b.mp4": at("2026-05-05T00:00:00Z") - 1.5,
        "gate_c.avi": at("2026-01-01T00:00:00Z") - 1.5,
        "yard.avi": None,
    }


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("gate_20260329_013000.mp4", "2026-03-29T01:30:00+01:00"),
        ("20260329023000.mp4", "2026-03-29T03:30:00+02:00"),  # left out by daylight saving: the clock was not set
        ("2026-10-25 02-30-00.mkv", "2026-10-25T02:30:00+02:00"),  # twice: the first
        ("2026-03-29T01:30:00.250Z", "2026-03-29T01:30:00.250+00:00"),
        ("x-2026-03-29T01-30-00+0530.mp4", "2026-03-28T20:00:00+00:00"),
        ("2026_03_29_01_30_00_500.jpg", "2026-03-29T01:30:00.500+01:00"),
        ("IMG_0001.jpg", None),
        ("20261329_013000.mp4", None),
        ("12345678901234567.jpg", None),
    ],
)
def test_a_moment_in_a_name(name, wanted):
    assert moment_of(name, BERLIN) == (None if wanted is None else pytest.approx(at(wanted)))


@given(
    st.datetimes(datetime(1980, 1, 1), datetime(2079, 1, 1)),
    st.sampled_from(["%Y%m%d_%H%M%S", "%Y-%m-%dT%H-%M-%S", "%Y%m%d%H%M%S"]),
)
@settings(deadline=None)
def test_whatever_moment_a_name_holds_is_read(moment, pattern):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert moment_of(f"cam3_{moment.strftime(pattern)}Z.mp4", BERLIN) == moment.timestamp()


@given(st.sets(st.integers(0, 10**9), min_size=3, max_size=30), st.floats(0.1, 1000))
@settings(deadline=None)
def test_numbers_place_pictures_in_time_whatever_the_order_and_the_gaps(numbers, rate):
    shots = sequence(sorted(f"{n}.jpg" for n in numbers), rate, BERLIN)
    assert [int(shot.name[:-4]) for shot in shots] == sorted(numbers)
    assert [shot.index for shot in shots] == [n - min(numbers) for n in sorted(numbers)]
    assert all(shot.seconds == shot.index / rate for shot in shots)


def test_a_file_that_is_cut_off_or_empty_costs_only_itself(tmp_path):
    write_clip(tmp_path / "b.mp4", range(0, 4000, 40), container={"movflags": "+faststart"})
    whole = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: int(len(whole) * 0.7)])
    (tmp_path / "a.mp4").write_bytes(b"")
    (tmp_path / "d.mp4").write_bytes(b"this is no clip" * 50)
    for i in range(3):
        photo(tmp_path / "s" / f"{i}.png")
    (tmp_path / "s" / "1.png").write_bytes((tmp_path / "s" / "1.png").read_bytes()[:40])
    loader = Recordings(fps=None)
    good, bad = [], []
    for item in loader.items(str(tmp_path)):
        try:
            good.append(loader.load(item).item.uri)
        except BadItem as error:
            bad.append((item.uri, error.what))
    assert {uri for uri, _ in bad} == {"a.mp4", "b.mp4", "d.mp4", "s/1.png"}
    assert any("cut off" in reason for uri, reason in bad if uri == "b.mp4")
    assert good.count("b.mp4") > 10
    assert "s/2.png" in good


def test_a_zone_outside_the_picture_is_told_of_and_does_not_stop_a_run(tmp_path):
    write_clip(tmp_path / "gate.avi", [0, 40])
    (tmp_path / "cameras.yaml").write_text(
        "camera: gate\nzones:\n  far: {polygon: [[900, 900], [950, 900], [950, 950]]}\n"
        "  near: {polygon: [[0, 0], [20, 0], [20, 20]]}\nlines:\n  door: {points: [[-50, 3], [-10, 3]]}\n"
    )
    loader = Recordings()
    images = [loader.load(item) for item in loader.items(str(tmp_path))]
    assert len(images) == 1
    state = loader.state()["gate"]
    assert [problem.split()[0] for problem in state["problems"]] == ["far", "door"]
    assert "64 x 48" in state["problems"][0]
    assert (state["described"], state["frames"], state["size"]) == (True, 1, [48, 64])


@pytest.mark.parametrize("settings", [{"sequence_fps": 0}, {"fps": 0}, {"start": 3, "stop": 2}])
def test_settings_that_can_not_be_are_refused(settings):
    with pytest.raises(ConfigError):
        Recordings(**settings)


def test_a_camera_file_that_is_named_and_missing_is_told_before_any_work(tmp_path):
    write_clip(tmp_path / "gate.avi", [0, 40])
    with pytest.raises(ConfigError, match="there is no 'sites"):
        Recordings(cameras="sites.yaml").items(str(tmp_path))


def test_what_is_no_recording_is_left_to_others(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert Recordings().items(str(tmp_path / "notes.txt")) is None
    assert Recordings().items("rtsp://127.0.0.1/gate") is None
    assert Recordings().items(str(tmp_path / "nowhere")) is None


def test_real_footage(shared):
    source = shared / "data/surveillance/cctv/vtest.avi"
    loader = Recordings()
    items = list(loader.items(str(source)))
    assert len(items) == 636  # 79.5 s at 10 frames per second, of which the grid of 8 takes four fifths
    image = loader.load(items[0])
    assert image.pixels.shape == (576, 768, 3)
    assert image.context["camera"] == "vtest"


@pytest.mark.parametrize("digits", [3, 4, 6])
def test_a_counter_after_the_moment_is_no_fraction_of_a_second(digits):
    names = [f"gate_20260329_013000_{i:0{digits}d}.png" for i in range(40)]
    assert [shot.seconds for shot in sequence(names, 25.0, ZoneInfo("UTC"))] == pytest.approx([i / 25 for i in range(40)])


@pytest.mark.parametrize("mark", ["_", "-"])
def test_milliseconds_after_the_moment_are_those_of_its_second(mark):
    at = [0, 117, 251, 999, 1006, 1016, 1400, 2009, 2100]
    names = [f"gate_20260329_0130{n // 1000:02d}{mark}{n % 1000:03d}.png" for n in at]
    shots = sequence(sorted(names, reverse=True), 25.0, ZoneInfo("UTC"))
    assert [shot.name for shot in shots] == names
    assert [shot.seconds for shot in shots] == pytest.approx([n / 1000 for n in at], abs=1e-6)
    assert shots[1].utc == pytest.approx(1774747800.117)


@pytest.mark.parametrize("step", [1, 100])
def test_a_counter_after_the_moment_is_no_offset_from_utc(step):
    names = [f"cam_20260329_013000-{i * step:04d}.png" for i in range(1, 14)]
    shots = sequence(names, 25.0, BERLIN)
    assert [shot.name for shot in shots] == names
    assert [shot.seconds for shot in shots] == pytest.approx([i * step / 25 for i in range(13)])
    assert moment_of("cam_20260329_013000-0001.png", BERLIN) == at("2026-03-29T01:30:00+01:00")
    assert moment_of("cam_20260329_013000-0330.png", BERLIN) == at("2026-03-29T01:30:00-03:30")


def test_offsets_that_change_with_daylight_saving_are_offsets():
    names = ["a_20260329_015930+0100.jpg", "a_20260329_030000+0200.jpg", "a_20260329_030030+0200.jpg"]
    assert [shot.seconds for shot in sequence(names, 25.0, BERLIN)] == [0, 30, 60]


def test_a_counter_that_goes_on_over_moments_is_no_fraction_of_them():
    names = [f"gate_20260329_0130{i // 10:02d}_{i:03d}.png" for i in range(40)]
    assert [shot.seconds for shot in sequence(names, 10.0, BERLIN)] == pytest.approx([i / 10 for i in range(40)])


def test_pictures_whose_moments_repeat_without_an_order_stand_alone():
    assert sequence([f"gate_20260329_0130{s:02d}_{i:02d}.png" for s in range(3) for i in range(4)], 4.0, BERLIN) is None


def test_patterns_of_a_camera_name_the_pictures_of_a_sequence_too(tmp_path):
    (tmp_path / "cameras").mkdir()
    (tmp_path / "cameras/gate.yaml").write_text('files: ["*_ch03_*"]\n')
    (tmp_path / "rec").mkdir()
    for i in range(4):
        photo(tmp_path / f"rec/a_ch03_{i:04d}.png")
    assert {item.meta["camera"] for item in Recordings().items(str(tmp_path))} == {"gate"}
