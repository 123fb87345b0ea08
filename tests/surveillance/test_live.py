"""A live stream is followed whatever its clock, its size or its connection does, recorded, and ended cleanly."""

from __future__ import annotations

import itertools
from dataclasses import replace
from threading import Event
from time import monotonic

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from hyla.errors import BadItem, ConfigError
from hyla.live import without_secrets
from hyla.types import Image
from hyla_surveillance.clock import WRAPS, Clock
from hyla_surveillance.live import Live
from hyla_surveillance.stream import Settings, Stream
from live_kit import Hands, picture, plays, steady

QUICK = Settings(queue=10_000, retry=(0.001, 0.001))


def taken(stream):
    """Return what a stream gives until nobody is there any more."""
    shots = []
    while stream.state().get("error") != "Connection refused" and not stream.ended:
        if shot := stream.get(0.05):
            shots.append(shot)
    while shot := stream.get(0.0):
        shots.append(shot)
    stream.close()
    return shots


def stream_of(*connections, fps=None, settings=QUICK, hands=None, max_pixels=10**6):
    hands = hands or Hands()
    return Stream("rtsp://host/x", fps, settings, max_pixels, plays(*connections), hands.monotonic, hands.wall)


# Clocks


def told(times):
    """Return the seconds of frames given as (timestamp, arrival)."""
    clock = Clock()
    return [clock.at(pts, arrived) for pts, arrived in times], clock


def test_timestamps_count_and_not_when_frames_arrive():
    seconds, clock = told([(100.0, 5.0), (100.04, 5.9), (100.08, 5.9), (100.12, 6.0)])
    assert seconds == pytest.approx([0, 0.04, 0.08, 0.12])
    assert clock.resets == 0


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_count_that_begins_again_is_no_step(wrap):
    seconds, clock = told([(wrap - 0.04, 0.0), (0.0, 0.04), (0.04, 0.08)])
    assert seconds == pytest.approx([0, 0.04, 0.08], abs=1e-6)
    assert clock.resets == 0


def test_a_frame_that_comes_after_one_shown_later_is_late_and_so_is_one_that_comes_twice():
    seconds, _ = told([(1.0, 0.0), (1.08, 0.08), (1.04, 0.09), (1.08, 0.1), (1.12, 0.12)])
    assert seconds == [0, pytest.approx(0.08), None, None, pytest.approx(0.12)]


def test_a_clock_that_goes_back_counts_on_by_arrival():
    seconds, clock = told([(500.0, 0.0), (500.04, 0.04), (3.0, 0.08), (3.04, 0.12)])
    assert seconds == pytest.approx([0, 0.04, 0.08, 0.12])
    assert clock.resets == 1


def test_a_clock_that_jumps_ahead_does_not_take_the_time_with_it():
    seconds, clock = told([(0.0, 0.0), (0.04, 0.04), (90_000.0, 0.08), (90_000.04, 0.12)])
    assert seconds == pytest.approx([0, 0.04, 0.08, 0.12])
    assert clock.resets == 1


def test_a_clock_that_stands_still_gives_way_to_arrival_until_it_goes_on():
    times = [(7.0, i / 10) for i in range(40)] + [(7.1, 4.0), (7.2, 4.1)]
    seconds, clock = told(times)
    kept = [(arrived, one) for (_, arrived), one in zip(times, seconds, strict=True) if one is not None]
    assert len(kept) == 33  # nothing for the first second, since frames may just come twice
    assert all(arrived == pytest.approx(one) for arrived, one in kept)
    assert clock.resets == 1


def test_frames_without_timestamps_are_timed_by_arrival():
    seconds, _ = told([(None, 2.0), (None, 2.5), (3.0, 2.6), (3.1, 2.9)])
    assert seconds == pytest.approx([0, 0.5, 0.6, 0.7])


@given(st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0, 40)), min_size=1, max_size=60))
@examples(deadline=None)
def test_whatever_clocks_do_time_only_rises_and_never_runs_far_ahead_of_arrival(steps):
    clock, arrived, seconds = Clock(), 0.0, []
    for pts, wait in steps:
        arrived += wait
        if (one := clock.at(pts, arrived)) is not None:
            seconds.append(one)
            assert one <= arrived + 10.01 * len(seconds)
    assert all(a < b for a, b in itertools.pairwise(seconds))


# Streams


def test_frames_are_thinned_out_by_their_time():
    shots = taken(stream_of(steady(250), fps=8))
    assert len(shots) == 80
    assert np.diff([shot.seconds for shot in shots]) == pytest.approx(0.125, abs=0.036)


def test_the_oldest_frame_is_dropped_for_a_new_one_and_counted():
    hold = iter(range(30))
    stream = stream_of(((picture(), i / 25) for i in hold), settings=replace(QUICK, queue=4))
    with stream._changed:
        assert stream._changed.wait_for(lambda: stream._error == "Connection refused", 20)
    shots = taken(stream)
    assert [round(shot.seconds * 25) for shot in shots] == [26, 27, 28, 29]
    assert (stream.state()["frames"], stream.state()["dropped"]) == (30, 26)


def test_a_stream_that_dies_is_connected_again_and_goes_on_in_time():
    hands = Hands()

    def one():
        yield from steady(5)
        hands.seconds += 20
        raise ConnectionResetError(104, "Connection reset by peer")

    stream = stream_of(one(), [OSError("rtsp://bob:secret@host/x")], steady(5, start=900.0), hands=hands)
    shots = taken(stream)
    assert [shot.seconds for shot in shots] == pytest.approx(
        [0, 0.04, 0.08, 0.12, 0.16, 20.16, 20.2, 20.24, 20.28, 20.32], abs=0.2
    )
    assert stream.state()["reconnects"] == 1
    assert stream.state()["clock_resets"] == 0


def test_what_broke_is_told_without_the_address():
    stream = stream_of(steady(1), [OSError("can't reach rtsp://bob:secret@host/x")])
    seen = set()
    while (state := stream.state()).get("error") != "Connection refused":
        seen.add((state["state"], state.get("error")))
        stream.get(0.001)
    stream.close()
    assert "secret" not in str(seen)
    assert stream.state()["state"] == "ended"


def test_damaged_and_oversized_frames_are_passed_over_and_counted():
    frames = [(picture(), 0.0), (None, None), (picture(width=640, height=480), 0.04), (picture(), 0.08)]
    stream = stream_of(frames, max_pixels=64 * 48)
    assert [shot.seconds for shot in taken(stream)] == pytest.approx([0, 0.08])
    assert (stream.state()["damaged"], stream.state()["dropped"]) == (1, 1)


def test_a_stream_ends_by_itself_after_its_duration():
    stream = stream_of(steady(1000), fps=10, settings=replace(QUICK, duration=2.0))
    assert len(taken(stream)) == 20
    assert stream.state()["state"] == "ended"


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ({"queue": 0}, "queue"),
        ({"patience": 0}, "patience"),
        ({"retry": [5, 1]}, "retry"),
        ({"transport": "pigeon"}, "transport"),
        ({"duration": -1}, "duration"),
        ({"quue": 3}, "quue"),
        ({"queue": "many"}, "queue"),
    ],
)
def test_settings_of_streams_that_can_not_be_are_refused(given_, wanted):
    with pytest.raises(ConfigError, match=wanted):
        Live(stream=given_)


@pytest.mark.parametrize("given_", [{"fps": 0}, {"gap": 0}, {"session": 90_000}, {"segment": -1}, {"overlap": 4000}])
def test_settings_that_can_not_be_are_refused(given_):
    with pytest.raises(ConfigError, match=next(iter(given_))):
        Live(**given_)


# The loader


def live(tmp_path, *connections, **settings):
    loader = Live(project=tmp_path / "out", stream={"queue": 10_000, "retry": [0.001, 0.001]}, **settings)
    loader.frames = plays(*connections)
    return loader


def followed(loader, source="rtsp://host/gate"):
    """Return what comes of the one stream of a source until nobody is there any more."""
    (item,) = loader.items(source)
    got, images = [], loader.follow(item)
    for one in images:
        got.append(one)
        if one is None and loader.state()[item.uri].get("error") == "Connection refused":
            images.close()
    return [one for one in got if one is not None]


def test_frames_come_with_camera_moment_and_place_and_are_read_back_as_they_were(tmp_path):
    loader = live(tmp_path, steady(50), segment=1.0)
    images = [one for one in followed(loader) if isinstance(one, Image)]
    assert len(images) == 16
    assert [image.item.index for image in images] == list(range(16))
    group = images[0].item.group
    assert group.startswith("host_gate/")
    assert {image.item.group for image in images} == {group}
    assert [image.item.uri.rpartition("/")[2] for image in images[::8]] == ["0000.ts", "0001.ts"]
    meta = images[9].item.meta
    assert meta["utc"] - images[0].item.meta["utc"] == pytest.approx(meta["seconds"])
    again = Live(project=tmp_path / "out")
    assert again.items("rtsp://host/gate") is not None
    for image in (images[12], images[3], images[4], images[15]):
        back = again.load(image.item)
        assert (back.frame, back.context) == (image.frame, image.context)
        assert np.abs(back.pixels.astype(int) - image.pixels).mean() < 4
    again.close(group)


@pytest.mark.parametrize(
    ("form", "full", "matrix"), [("yuv420p", 1, 1), ("yuv420p", 2, 5), ("yuvj420p", 2, 2), ("nv12", 0, 2), ("gray", 0, 2)]
)
def test_colours_are_read_back_as_they_were_whatever_the_camera_calls_them(tmp_path, form, full, matrix):
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24], pixels[24:] = (200, 30, 20), (20, 60, 230)
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=form)
    frame.color_range, frame.colorspace = full, matrix
    images = [one for one in followed(live(tmp_path, [(frame, 0.0), (frame, 0.2)], segment=0.1)) if isinstance(one, Image)]
    again = Live(project=tmp_path / "out")
    again.items("rtsp://host/gate")
    assert np.abs(again.load(images[0].item).pixels.astype(int) - images[0].pixels).mean() < 2.5


def test_what_is_being_recorded_can_be_looked_at(tmp_path):
    noise = np.random.default_rng(0)
    busy = (av.VideoFrame.from_ndarray(noise.integers(0, 256, (96, 128, 3), np.uint8), format="rgb24") for _ in range(200))
    loader = live(tmp_path, ((frame, i / 25) for i, frame in enumerate(busy)))
    (item,) = loader.items("rtsp://host/gate")
    viewer = Live(project=tmp_path / "out")
    viewer.items("rtsp://host/gate")
    images = loader.follow(item)
    for _ in range(5):
        image = next(one for one in images if isinstance(one, Image))
        assert viewer.load(image.item).pixels.shape == image.pixels.shape
    images.close()


def test_a_picture_that_changes_its_size_goes_on_in_the_same_session(tmp_path):
    frames = [*steady(10, fps=8), *((picture(9, 97, 33), 1.25 + i / 8) for i in range(10)), *steady(5, fps=8, start=2.5)]
    images = [one for one in followed(live(tmp_path, frames)) if isinstance(one, Image)]
    assert [image.pixels.shape[:2] for image in images[9:21:5]] == [(48, 64), (33, 97), (33, 97)]
    assert len({image.item.group for image in images}) == 1
    again = Live(project=tmp_path / "out")
    again.items("rtsp://host/gate")
    assert [again.load(image.item).pixels.shape for image in images] == [image.pixels.shape for image in images]


def test_another_session_begins_after_a_gap_and_after_its_time(tmp_path):
    got = followed(live(tmp_path, [*steady(16, fps=8), *steady(40, fps=8, start=9.0)], gap=3, session=4, overlap=0))
    groups = [name for name, _ in itertools.groupby(one if isinstance(one, str) else one.item.group for one in got)]
    assert len(groups) == 3
    ends = [one for one in got if isinstance(one, str)]
    assert ends == groups[:2]  # the last is ended by whoever follows
    assert got.index(ends[0]) == 16
    last = [one for one in got if isinstance(one, Image) and one.item.group == groups[1]]
    assert last[-1].item.meta["seconds"] == pytest.approx(3.875)


def test_what_happens_while_a_session_gives_way_to_the_next_is_seen_whole_by_one_of_them(tmp_path):
    got = followed(live(tmp_path, steady(80, fps=8), session=4, overlap=2))
    spans, ended = {}, {}
    for one in got:
        if isinstance(one, str):
            ended[one] = spans[one][-1]
        else:
            spans.setdefault(one.item.group, []).append(float(one.pixels.mean()) / 8)  # each frame is as bright as its number
    begins, lasts = zip(*((seen[0], seen[-1]) for seen in spans.values()), strict=True)
    assert begins == pytest.approx([0, 4, 8], abs=0.2)
    assert lasts == pytest.approx([5.875, 9.875, 9.875], abs=0.2)
    assert list(ended) == list(spans)[:1]
    assert all(any(a <= t and t + 2 <= b + 0.3 for a, b in zip(begins, lasts, strict=True)) for t in np.arange(0, 7.5, 0.25))


def test_a_disk_that_is_full_stops_the_recording_and_not_the_labelling(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recordings").write_text("no folder")
    loader = live(tmp_path, steady(25))
    images = [one for one in followed(loader) if isinstance(one, Image)]
    assert len(images) == 8
    assert "can't be recorded" in loader.state()["host_gate"]["problems"][0]
    with pytest.raises(BadItem, match="is not there"):
        loader.load(images[0].item)


def test_how_long_a_frame_may_be_kept_goes_with_it(tmp_path):
    (tmp_path / "sites.yaml").write_text("camera: gate\nurl: rtsp://host/gate\nretention_hours: 48\n")
    images = [one for one in followed(live(tmp_path, steady(3)), str(tmp_path / "sites.yaml")) if isinstance(one, Image)]
    assert [image.item.meta["retention_hours"] for image in images] == [48.0]


def test_a_recording_that_was_deleted_costs_its_frames_only(tmp_path):
    images = [one for one in followed(live(tmp_path, steady(50), segment=1.0)) if isinstance(one, Image)]
    (tmp_path / "out" / "recordings" / images[0].item.uri).unlink()
    again = Live(project=tmp_path / "out")
    with pytest.raises(BadItem, match="is not there"):
        again.load(images[0].item)
    assert again.load(images[12].item) is not None
    with pytest.raises(BadItem):
        again.load(replace(images[0].item, uri="../../etc/passwd"))


def test_nothing_is_recorded_where_nobody_wants_it(tmp_path):
    loader = live(tmp_path, steady(25), record=False)
    assert sum(isinstance(one, Image) for one in followed(loader)) == 8
    assert not (tmp_path / "out").exists()


def test_a_zone_outside_the_picture_is_told_of(tmp_path):
    (tmp_path / "sites.yaml").write_text(
        "camera: gate\nurl: rtsp://host/gate\nzones: {z: {polygon: [[90, 0], [99, 0], [99, 9]]}}\n"
    )
    loader = live(tmp_path, steady(3))
    followed(loader, str(tmp_path / "sites.yaml"))
    assert "z lies outside the picture of 64 x 48" in loader.state()["gate"]["problems"][0]
    assert loader.state()["gate"]["described"]


# Sources


def test_streams_are_named_by_a_list_by_cameras_or_by_their_address(tmp_path, monkeypatch):
    monkeypatch.setenv("GATE", "bob:secret")
    (tmp_path / "list.yaml").write_text("gate: rtsp://${GATE}@host/1\nyard: rtsp://host/2\n")
    (tmp_path / "cameras").mkdir()
    (tmp_path / "cameras" / "door.yaml").write_text("url: rtsps://host/3\n")
    (tmp_path / "cameras" / "hall.yaml").write_text("timezone: UTC\n")
    loader = Live()
    assert [item.uri for item in loader.items(str(tmp_path / "list.yaml"))] == ["gate", "yard"]
    assert loader._urls["gate"] == "rtsp://bob:secret@host/1"
    assert [item.uri for item in loader.items(str(tmp_path))] == ["door"]
    assert [item.uri for item in loader.items("rtsp://bob:secret@10.0.0.7:554/live/1")] == ["10.0.0.7_554_live_1"]
    assert [item.uri for item in Live(camera="gate").items("rtsp://10.0.0.7/live")] == ["gate"]
    assert "secret" not in str(list(loader.items("rtsp://bob:secret@10.0.0.7/live")))


@pytest.mark.parametrize(
    "source", ["rtsp://host/user=bob&password=hush1", "rtsp://bob:x/hush1@host/key=hush1", "rtsp://bob:x#hush1@host/x"]
)
def test_no_name_is_made_of_a_password(tmp_path, source):
    loader = live(tmp_path, steady(3))
    seen = [*loader.items(source), *(one.item for one in followed(loader, source) if isinstance(one, Image))]
    assert len(seen) > 1
    made = str([(one.uri, one.group, one.meta) for one in seen]) + str(sorted(tmp_path.rglob("*"))) + str(loader.state())
    assert "host" in made
    assert "hush1" not in made
    assert "bob" not in made


def test_an_address_names_its_camera_and_no_other_that_looks_alike(tmp_path):
    (tmp_path / "cameras").mkdir()
    for name, user in (("gate", "a"), ("yard", "b")):
        (tmp_path / "cameras" / f"{name}.yaml").write_text(f"url: rtsp://host/user={user}\n")
    (tmp_path / "cameras" / "hall.yaml").write_text("url: rtsp://host/hall\n")
    loader = Live(cameras=str(tmp_path / "cameras"))
    names = {
        url: [one.uri for one in loader.items(url)]
        for url in ("rtsp://host/user=b", "rtsp://host/user=c", "rtsp://x:y@host/hall")
    }
    assert list(names.values()) == [["yard"], ["host_user"], ["hall"]]


def test_an_address_that_lacks_something_is_told_without_it(tmp_path, monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)
    for text, wanted in (
        ("a: rtsp://${NOT_SET}@host/1\n", "NOT_SET"),
        ("a: file:///etc/passwd\n", "no address"),
        ("a: rtsp://\n", "no address"),
    ):
        (tmp_path / "list.yaml").write_text(text)
        with pytest.raises(ConfigError, match=wanted):
            Live().items(str(tmp_path / "list.yaml"))


def test_what_is_no_stream_is_left_to_others(tmp_path):
    (tmp_path / "x.mp4").write_bytes(b"")
    for source in (tmp_path, tmp_path / "x.mp4", tmp_path / "nowhere"):
        assert Live().items(str(source)) is None
    assert Live().items("hyla-unknown://host/path") is None


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("rtsp://bob:s@cret@10.0.0.7:554/live?channel=1", "rtsp://10.0.0.7:554/live?channel=1"),
        ("http://host/video?user=bob&PWD=secret&n=3", "http://host/video?user=***&PWD=***&n=3"),
        ("rtsp://host/live", "rtsp://host/live"),
        ("rtsp://bob:secret@[bad/live", "rtsp://[bad/live"),
        ("rtsp://bob:s@[fe80::1]:554/live", "rtsp://[fe80::1]:554/live"),
        ("rtsp://host:554/user=bob&password=secret&channel=1", "rtsp://host:554/user=***&password=***&channel=1"),
        (
            "rtsp://host/user=bob_password=secret_channel=1_stream=0.sdp",
            "rtsp://host/user=***_password=***_channel=1_stream=0.sdp",
        ),
        ("rtsp://bob:se/cret@host/live", "rtsp://host/live"),
        ("rtsp://bob:se#cret@host/live", "rtsp://host/live"),
        ("rtsp://bob:se?cret@host/live", "rtsp://host/live"),
        ("rtsp://bob:12/cret@host:554/live", "rtsp://host:554/live"),
        ("rtsp://b@ob:se/cr@et@host/live", "rtsp://host/live"),
        ("http://host/x?access_token=secret&n=3", "http://host/x?access_token=***&n=3"),
        ("http://host/x?loginuse=bob&loginpas=se/c?re#t", "http://host/x?loginuse=***&loginpas=***"),
        (
            "http://host/x?user_pwd=s@cret&SESSION=secret&sid=secret&side=2",
            "http://host/x?user_pwd=***&SESSION=***&sid=***&side=2",
        ),
        ("srt://host:9000?passphrase=secret", "srt://host:9000?passphrase=***"),
        ("https://host/x#token=secret", "https://host/x#token=***"),
        ("rtsp://host/x;password=secret", "rtsp://host/x;password=***"),
        ("http://host/a?next=rtsp://bob:secret@yard/live", "http://yard/live"),
        ("/data/bob@home", "/data/bob@home"),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(source, shown):
    assert without_secrets(source) == shown


def test_a_stream_whose_decoder_breaks_in_any_way_is_lost_and_tried_again():
    calls = []

    def frames(url, settings):
        calls.append(url)
        raise RuntimeError("odd")
        yield

    stream = Stream("rtsp://x/y", 8.0, Settings(retry=(0.01, 0.02)), 10**8, frames)
    until = monotonic() + 10
    while len(calls) < 3 and monotonic() < until:
        Event().wait(0.01)
    assert len(calls) >= 3
    assert "odd" in stream.state()["error"]
    stream.close()
