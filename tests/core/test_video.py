"""Frames come in the order of presentation, at their own times, decoded forward; what can't be read says so."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from hyla.clip_index import read_index
from hyla.errors import BadItem, ConfigError
from hyla.frame import VideoFrame
from hyla.types import item_id
from hyla.video import Video

SIZE = (96, 64)
BFRAMES = {"bf": "2", "g": "12", "crf": "12"}


def shade(i):
    return 20 + 3 * (i % 70)


def write(path, frames=40, codec="mpeg4", times=None, rotation=0, options=None, container=None, size=SIZE):
    """Write a clip whose i-th frame is grey of `shade(i)`, with a white bar at the left; `times` in milliseconds."""
    with av.open(str(path), "w", options=container or {}) as out:
        stream = out.add_stream(codec, rate=25, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.thread_count = 1
        stream.bit_rate = 8_000_000
        if rotation:
            stream.set_display_rotation(rotation)
        for i in range(frames):
            pixels = np.full((size[1], size[0], 3), shade(i), np.uint8)
            pixels[:, :16] = 255
            pixels[:, 24:32] = np.random.default_rng(i).integers(0, 256, (size[1], 8, 3))  # so that frames have some size
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = (times[i] if times else i * 40), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def numbers(images):
    """Return which frame each picture shows, by its grey."""
    return [round((float(image.pixels[:, 40:].mean()) - 20) / 3) for image in images]


def load(loader, items):
    return [loader.load(item) for item in items]


needs_x264 = pytest.mark.skipif("libx264" not in av.codecs_available, reason="this build of PyAV has no libx264")


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "mpeg4", {}),
        ("a.avi", "mpeg4", {}),
        ("b.avi", "mpeg4", {"bf": "2"}),
        ("a.mkv", "mpeg4", {}),
        pytest.param("a.ts", "libx264", BFRAMES, marks=needs_x264),
        pytest.param("b.mp4", "libx264", BFRAMES, marks=needs_x264),
        pytest.param("b.mkv", "libx264", BFRAMES, marks=needs_x264),
        pytest.param("b.flv", "libx264", BFRAMES, marks=needs_x264),
    ],
)
def test_every_frame_comes_once_in_the_order_of_presentation(tmp_path, name, codec, options):
    write(tmp_path / name, codec=codec, options=options)
    loader = Video()
    items = list(loader.items(str(tmp_path / name)))
    assert [item.index for item in items] == list(range(40))
    assert [item.id for item in items] == [item_id(name, i) for i in range(40)]
    assert {(item.uri, item.group, item.kind) for item in items} == {(name, name, "video_frame")}
    images = load(loader, items)
    assert numbers(images) == list(range(40))
    known = 39 if name == "b.avi" else 40  # such a file does not say when its last frame is shown
    assert [image.frame.seconds for image in images][:known] == pytest.approx([i / 25 for i in range(known)], abs=0.0011)
    assert images[3].pixels.shape == (SIZE[1], SIZE[0], 3)
    assert images[3].pixels.flags.writeable
    loader.close(name)
    assert loader._clips == {}


def test_a_frame_knows_its_time(tmp_path):
    write(tmp_path / "a.mkv", frames=5, times=[500, 540, 700, 710, 1500])
    loader = Video()
    images = load(loader, loader.items(str(tmp_path / "a.mkv")))
    assert [image.frame for image in images] == [
        VideoFrame(seconds, i, pts, (1, 1000))
        for i, (seconds, pts) in enumerate([(0.0, 500), (0.04, 540), (0.2, 700), (0.21, 710), (1.0, 1500)])
    ]


def test_frames_without_timestamps_are_counted(tmp_path):
    write(tmp_path / "b.avi", codec="mpeg4", options={"bf": "2"})
    with av.open(str(tmp_path / "b.avi")) as source, av.open(str(tmp_path / "none.avi"), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.pts = None
                packet.stream = stream
                out.mux(packet)
    assert read_index(tmp_path / "none.avi").pts is None
    loader = Video(stride=3)
    items = list(loader.items(str(tmp_path / "none.avi")))
    images = load(loader, items)
    assert numbers(images) == list(range(0, 40, 3))
    assert images[2].frame == VideoFrame(images[2].item.meta["seconds"], 6, 240_000, (1, 1_000_000))
    assert numbers([loader.load(items[1])]) == [3]


def test_scanning_decodes_nothing(tmp_path, monkeypatch):
    write(tmp_path / "a.mp4")
    loader = Video()
    items = loader.items(str(tmp_path / "a.mp4"))
    monkeypatch.setattr("hyla.video._Clip", None)
    assert len(list(items)) == 40


def test_stride_keeps_every_nth_frame_under_its_own_number(tmp_path):
    write(tmp_path / "a.mp4")
    every = {item.index: item for item in Video().items(str(tmp_path))}
    loader = Video(stride=7)
    items = list(loader.items(str(tmp_path)))
    assert [item.index for item in items] == [0, 7, 14, 21, 28, 35]
    assert items == [every[item.index] for item in items]
    assert numbers(load(loader, items)) == [0, 7, 14, 21, 28, 35]


def test_fps_keeps_the_frames_nearest_to_the_grid(tmp_path):
    write(tmp_path / "a.mp4")
    assert [i.index for i in Video(fps=5).items(str(tmp_path))] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert [i.index for i in Video(fps=10).items(str(tmp_path))][:6] == [0, 2, 5, 7, 10, 12]
    assert len(list(Video(fps=1000).items(str(tmp_path)))) == 40


def test_fps_follows_a_variable_frame_rate(tmp_path):
    times = [*range(0, 1000, 20), *range(1000, 3000, 250), 3000, 5000]  # 50 per second, then 4, then a gap
    write(tmp_path / "v.mkv", frames=len(times), times=times)
    kept = [round(item.meta["seconds"], 3) for item in Video(fps=2).items(str(tmp_path))]
    assert kept == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0]


def test_fps_takes_no_memory_for_a_gap_in_time():
    kept = Video(fps=1000).kept(np.array([0.0, 0.04, 1e12, 1e12 + 1]))
    assert kept.tolist() == [0, 1, 2, 3]
    assert Video(fps=30).kept(np.array([0.0])).tolist() == [0]


def test_start_and_stop_cut_in_seconds_and_change_no_id(tmp_path):
    write(tmp_path / "a.mp4")
    loader = Video(start=0.5, stop=0.9)
    items = list(loader.items(str(tmp_path)))
    assert [item.index for item in items] == list(range(13, 23))
    assert numbers(load(loader, items)) == list(range(13, 23))
    assert list(Video(start=100).items(str(tmp_path))) == []


@pytest.mark.parametrize(
    "settings", [{"stride": 0}, {"fps": 0}, {"fps": -1}, {"fps": 2, "stride": 2}, {"start": -1}, {"start": 2, "stop": 2}]
)
def test_settings_that_cant_be_are_refused_at_once(settings):
    with pytest.raises(ConfigError) as error:
        Video(**settings)
    assert error.value.hint


@needs_x264
@pytest.mark.parametrize("name", ["b.mp4", "b.mkv", "b.ts"])
def test_a_later_start_gives_the_same_pixels_as_from_the_beginning(tmp_path, name):
    write(tmp_path / name, frames=60, codec="libx264", options=BFRAMES)
    loader = Video()
    items = list(loader.items(str(tmp_path / name)))
    straight = [image.pixels for image in load(loader, items)]
    for first in (1, 11, 12, 13, 37, 59):
        again = Video()
        list(again.items(str(tmp_path / name)))
        for item in items[first : first + 3]:
            assert np.array_equal(again.load(item).pixels, straight[item.index]), (first, item.index)
    for i in (50, 50, 3, 4, 0):  # back, and the same once more
        assert np.array_equal(loader.load(items[i]).pixels, straight[i])


@needs_x264
def test_forward_loading_never_seeks(tmp_path, monkeypatch):
    write(tmp_path / "b.mp4", codec="libx264", options=BFRAMES)
    loader = Video(stride=3)
    items = list(loader.items(str(tmp_path)))
    loader.load(items[0])
    clip = loader._clips["b.mp4"]

    class Once:
        def __getattr__(self, name):
            assert name != "seek"
            return getattr(container, name)

    container, clip._container = clip._container, Once()
    assert numbers(load(loader, items[1:])) == list(range(3, 40, 3))


@pytest.mark.parametrize(("rotation", "corner"), [(0, "left"), (90, "bottom"), (180, "right"), (-90, "top")])
def test_rotation_is_applied(tmp_path, rotation, corner):
    write(tmp_path / "r.mp4", frames=3, rotation=rotation)
    loader = Video()
    pixels = load(loader, loader.items(str(tmp_path)))[0].pixels
    height, width = pixels.shape[:2]
    assert (width, height) == (SIZE if rotation in (0, 180) else SIZE[::-1])
    bar = {"left": pixels[:, :12], "right": pixels[:, -12:], "top": pixels[:12], "bottom": pixels[-12:]}[corner]
    assert bar.mean() > 240
    assert pixels.mean() < 120


def test_clips_of_a_folder_are_groups_sorted_by_path(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("sub/b.mp4", "a.mp4", "z.mp4"):
        write(tmp_path / name, frames=3)
    (tmp_path / "notes.txt").touch()
    loader = Video()
    items = list(loader.items(str(tmp_path)))
    assert [item.group for item in items] == ["a.mp4"] * 3 + ["sub/b.mp4"] * 3 + ["z.mp4"] * 3
    assert len({item.id for item in items}) == 9
    assert numbers(load(loader, [items[0], items[3], items[1], items[4]])) == [0, 0, 1, 1]


def only_item(loader, source):
    (item,) = loader.items(str(source))
    with pytest.raises(BadItem) as error:
        loader.load(item)
    assert item.group == ""
    return str(error.value)


def test_a_clip_that_cant_be_read_is_one_item_with_a_reason(tmp_path):
    whole = write(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # the index at its end is missing
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a film")
    assert "cut.mp4 can't be opened as a video: Invalid data" in only_item(Video(), tmp_path / "cut.mp4")
    assert "zero.mp4 is empty" in only_item(Video(), tmp_path / "zero.mp4")
    assert "text.mp4 can't be opened as a video" in only_item(Video(), tmp_path / "text.mp4")
    assert "more than max_pixels=6143" in only_item(Video(max_pixels=6143), tmp_path / "whole.mp4")


def test_a_clip_without_pictures_is_one_item_with_a_reason(tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    assert "sound.mp4 has no picture stream" in only_item(Video(), tmp_path / "sound.mp4")
    with av.open(str(tmp_path / "none.mp4"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        out.start_encoding()
    assert "none.mp4 has no picture stream" in only_item(Video(), tmp_path / "none.mp4")
    header = write(tmp_path / "whole.mkv", frames=3).read_bytes()
    (tmp_path / "head.mkv").write_bytes(header[: header.index(b"\x1f\x43\xb6\x75")])  # up to the first cluster
    assert "head.mkv can't be opened as a video: End of file" in only_item(Video(), tmp_path / "head.mkv")


def test_a_playlist_named_as_a_clip_opens_nothing_else(tmp_path):
    write(tmp_path / "real.mp4", frames=3)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile real.mp4\n")
    (tmp_path / "live.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nreal.mp4\n#EXT-X-ENDLIST\n")
    for name in ("list.mp4", "live.mp4"):
        assert f"{name} can't be opened" in only_item(Video(), tmp_path / name)


def outcomes(loader, items):
    good, bad = [], {}
    for item in items:
        try:
            good.append(loader.load(item))
        except BadItem as error:
            bad[item.index if item.kind == "video_frame" else "end"] = str(error)
    return good, bad


@needs_x264
def test_a_clip_cut_off_in_the_middle_gives_what_it_has_and_says_so(tmp_path):
    path = write(tmp_path / "fast.mp4", codec="libx264", options=BFRAMES, container={"movflags": "+faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    loader = Video()
    items = list(loader.items(str(path)))
    good, bad = outcomes(loader, items)
    assert numbers(good) == [image.item.index for image in good]
    assert 5 < len(good) < 40
    assert f"is cut off: {40 - len(items) + 1} frames are missing at its end" in bad["end"]
    assert items[-1].group == ""


@needs_x264
def test_damage_costs_the_frames_it_hits(tmp_path):
    path = write(tmp_path / "b.mp4", frames=60, codec="libx264", options={**BFRAMES, "sc_threshold": "0"})
    with av.open(str(path)) as container:
        (second,) = [p for p in container.demux(video=0) if p.is_keyframe and p.pts and p.pts * p.time_base == Fraction(12, 25)]
        position, size = second.pos, second.size
    content = bytearray(path.read_bytes())
    content[position + 5 : position + size] = b"\x55" * (size - 5)
    path.write_bytes(content)
    loader = Video()
    items = list(loader.items(str(path)))
    good, bad = outcomes(loader, items)
    assert len(items) == 60
    assert 12 in bad
    assert "can't be decoded" in bad[12]
    fine = set(numbers(good))
    assert set(range(10)) <= fine
    assert set(range(24, 60)) <= fine
    again = Video()
    list(again.items(str(path)))
    assert [image.item for image in outcomes(again, items)[0]] == [image.item for image in good]


@pytest.mark.skipif("libvpx" not in av.codecs_available, reason="this build of PyAV has no libvpx")
def test_hidden_frames_of_vp8_are_no_items(tmp_path):
    write(tmp_path / "a.webm", frames=12, codec="libvpx")
    for name, hidden in (("some.webm", {5}), ("all.webm", set(range(12)))):
        with av.open(str(tmp_path / "a.webm")) as source, av.open(str(tmp_path / name), "w") as out:
            stream = out.add_stream_from_template(source.streams.video[0])
            for i, packet in enumerate(p for p in source.demux(video=0) if p.size):
                data = bytearray(bytes(packet))
                data[0] &= 0xEF if i in hidden else 0xFF
                copy = av.Packet(bytes(data))
                copy.pts, copy.dts, copy.time_base, copy.is_keyframe = (
                    packet.pts,
                    packet.dts,
                    packet.time_base,
                    packet.is_keyframe,
                )
                copy.stream = stream
                out.mux(copy)
    loader = Video()
    assert len(load(loader, loader.items(str(tmp_path / "some.webm")))) == 11
    assert "all.webm has no frames" in only_item(Video(), tmp_path / "all.webm")


def test_odd_widths_come_whole(tmp_path):
    with av.open(str(tmp_path / "odd.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 37, 21, "bgr0"
        pixels = np.random.default_rng(0).integers(0, 256, (21, 37, 3), dtype=np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    loader = Video()
    (image,) = load(loader, loader.items(str(tmp_path)))
    assert np.array_equal(image.pixels, pixels)
    assert image.pixels.flags.c_contiguous


def test_real_clips_scan_as_they_decode_and_look_as_in_opencv(shared):
    import cv2

    for name, count in (("udacity_lanes/solidWhiteRight.mp4", 221), ("traffic_video/car-detection.mp4", 377)):
        path = shared / "data" / "driving" / name
        with av.open(str(path)) as container:
            decoded = [frame.pts for frame in container.decode(video=0)]
        loader = Video()
        items = list(loader.items(str(path)))
        assert [item.meta["pts"] for item in items] == decoded
        assert len(items) == count
        capture = cv2.VideoCapture(str(path))
        for item in items[:40]:
            assert np.array_equal(loader.load(item).pixels, capture.read()[1][:, :, ::-1])
        capture.release()


def test_a_clock_that_was_set_back_does_not_mix_what_came_before_and_after(tmp_path):
    joined = b"".join(write(tmp_path / f"{n}.ts", frames=30 + n).read_bytes() for n in range(2))
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "joined.ts").write_bytes(joined)
    loader = Video()
    items = list(loader.items(str(tmp_path / "clips")))
    assert len(items) == 61
    assert np.diff([item.meta["seconds"] for item in items]) == pytest.approx(0.04)
    assert numbers(load(loader, items)) == [*range(30), *range(31)]
    assert numbers([loader.load(items[i]) for i in (40, 5)]) == [10, 5]
