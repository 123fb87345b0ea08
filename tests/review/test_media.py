"""Pictures come by item, exact to the frame, within the bounds of memory, whoever asks for them at once."""

from __future__ import annotations

import io
import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image as Pillow

import hyla
from gallery_scenes import number_of
from hyla.errors import StageError
from hyla.frame import Frame, MapFrame, VideoFrame
from hyla.pictures import Pictures
from hyla.review import pixels, reading
from hyla.review.cache import Cache
from hyla.review.media import Media
from hyla.review.problems import Refused
from hyla.store import Project


def read(data):
    return np.asarray(Pillow.open(io.BytesIO(data)))


# The cache


def test_what_is_being_made_while_the_cache_is_emptied_is_not_kept():
    cache, started, go = Cache(10, len), threading.Event(), threading.Event()

    def slow():
        started.set()
        assert go.wait(20)
        return "old"

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(cache.get, "k", slow)
        assert started.wait(20)
        cache.clear()
        assert cache.get("k", lambda: "new") == "new"  # nor is it waited for
        go.set()
        assert first.result(20) == "old"
    assert cache.get("k", lambda: pytest.fail("made twice")) == "new"
    assert (len(cache), cache.weight) == (1, 3)


def test_the_cache_keeps_what_was_used_last_within_its_bound():
    cache = Cache(10, len)
    for key in "abc":
        cache.get(key, lambda: "1234")
    assert ("a" in cache, "b" in cache, "c" in cache, cache.weight) == (False, True, True, 8)
    cache.get("b", lambda: pytest.fail("made twice"))
    cache.get("d", lambda: "12")
    cache.get("e", lambda: "1")
    assert ("b" in cache, "c" in cache, cache.weight) == (True, False, 7)
    cache.get("f", lambda: "x" * 50)  # larger than the bound: kept alone, since it is looked at just now
    assert (len(cache), cache.weight) == (1, 50)
    cache.get("g", lambda: "x")
    assert (len(cache), cache.weight) == (1, 1)


def test_many_threads_make_a_value_once():
    cache, made, all_here = Cache(10, len), [], threading.Barrier(8)

    def want(_):
        all_here.wait()
        return cache.get("k", lambda: (made.append(1), "value")[1])

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(want, range(8))) == {"value"}
    assert made == [1]


def test_what_one_thread_raises_all_that_wait_raise_and_the_next_tries_again(monkeypatch):
    cache, started, waits, go = Cache(10, len), threading.Event(), threading.Event(), threading.Event()
    result = Future.result
    monkeypatch.setattr(Future, "result", lambda self: (waits.set(), result(self))[1])

    def fail():
        started.set()
        go.wait(10)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(cache.get, "k", fail)
        assert started.wait(10)
        second = threads.submit(cache.get, "k", lambda: "never")
        assert waits.wait(10)
        go.set()
        assert isinstance(first.exception(), ValueError)
        assert isinstance(second.exception(), ValueError)
    assert cache.get("k", lambda: "now") == "now"


# A clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Return a project of one clip of 240 frames with B-frames, at times that are uneven, each with its number in it."""
    import av

    if "libx264" not in av.codecs_available:
        pytest.skip("this build of PyAV has no libx264")
    home = tmp_path_factory.mktemp("clip")
    rng = random.Random(4)
    with av.open(str(home / "clip.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"bf": "3", "g": "30", "crf": "14"})
        stream.width, stream.height, stream.pix_fmt = 256, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        at = 0
        for i in range(240):
            picture = np.full((64, 256, 3), 70, np.uint8)
            for bit in range(12):
                picture[:16, 16 * bit : 16 * bit + 16] = 255 if i >> bit & 1 else 0
            picture[16:] = np.random.default_rng(i).integers(60, 80, (48, 256, 3))
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 1000)
            at += rng.choice([17, 33, 40, 120])
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    hyla.run(hyla.compose("blank", "loader=video", source=str(home / "clip.mp4"), out=str(home / "out"), progress=False))
    return home / "out"


@pytest.fixture
def frames(clip):
    with Project.open(clip) as project:
        project.media = Media(project)
        project.ids = [r.item.id for r in project.records()]
        assert len(project.ids) == 240
        yield project


def test_a_hundred_random_frames_are_exact(frames):
    order = random.Random(7).choices(range(240), k=100)
    assert [number_of(read(frames.media.image(frames.ids[n], "full"))) for n in order] == order


def test_two_readers_of_one_clip_get_their_own_frames(frames):
    def walk(seed):
        order = random.Random(seed).choices(range(240), k=25)
        return [number_of(read(frames.media.image(frames.ids[n], "full"))) for n in order] == order

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(walk, range(4)))


def test_going_on_does_not_seek_and_a_jump_does(frames, monkeypatch):
    closed = []
    close = Pictures.close
    monkeypatch.setattr(Pictures, "close", lambda self, group: (closed.append(group), close(self, group))[1])
    for n in (0, 1, 2, 10, 70):
        frames.media.image(frames.ids[n], "full")
    assert closed == []
    frames.media.image(frames.ids[70 + reading.AHEAD + 1], "full")
    frames.media.image(frames.ids[3], "full")
    assert closed == ["clip.mp4"] * 2
    frames.media.image(frames.ids[70], "full")  # kept
    assert len(closed) == 2


def test_what_is_forgotten_is_closed_and_opened_anew(frames, monkeypatch):
    closed, close, load = [], Pictures.close, Pictures.original
    monkeypatch.setattr(Pictures, "close", lambda self, group: (closed.append(group), close(self, group))[1])
    frames.media.image(frames.ids[0], "full")
    frames.media._reading.forget()
    assert closed == ["clip.mp4"]
    frames.media._reading.forget()
    assert closed == ["clip.mp4"]  # nothing is open

    def meanwhile(self, item):
        frames.media._reading.forget()
        assert len(closed) == 1  # not while it is read
        return load(self, item)

    monkeypatch.setattr(Pictures, "original", meanwhile)
    frames.media.image(frames.ids[1], "full")
    assert closed == ["clip.mp4"] * 2


def test_a_clip_that_is_forgotten_while_others_wait_for_it_is_closed_before_their_turn(frames, monkeypatch):
    went, close, load = [], Pictures.close, Pictures.original
    began, go = threading.Event(), threading.Event()

    def slow(self, item):
        went.append(item.index)
        if item.index == 1:
            began.set()
            assert go.wait(20)
        return load(self, item)

    monkeypatch.setattr(Pictures, "close", lambda self, group: (went.append("closed"), close(self, group))[1])
    monkeypatch.setattr(Pictures, "original", slow)
    reader = frames.media._reading
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(frames.media.image, frames.ids[1], "full")
        assert began.wait(20)
        second = threads.submit(frames.media.image, frames.ids[2], "full")
        while not reader._groups["clip.mp4"]._waiting:
            began.wait(0.001)
        reader.forget()
        go.set()
        first.result(20), second.result(20)
    assert went == [1, "closed", 2]


def test_a_clip_that_can_not_be_closed_keeps_no_other_open(frames, monkeypatch, caplog):
    def fail(self, group):
        raise StageError("disk full")

    frames.media.image(frames.ids[0], "full")
    monkeypatch.setattr(Pictures, "close", fail)
    frames.media._reading.forget()
    assert "clip.mp4: disk full" in caplog.text
    assert not frames.media._reading._groups


def test_of_those_that_wait_for_a_clip_the_next_frame_comes_first():
    group, order, here = reading._Group(), [], threading.Event()

    def want(index):
        with group.turn(index):
            group.last = index
            order.append(index)

    with ThreadPoolExecutor(4) as threads:
        with group.turn(10):
            group.last = 10
            asked = [threads.submit(want, index) for index in (13, 5, 12, 11)]
            while len(group._waiting) < 4:
                here.wait(0.001)
        for one in asked:
            one.result()
    assert order == [11, 12, 13, 5]


def test_clips_are_closed_when_too_many_are_open(gallery, monkeypatch):
    closed = []
    monkeypatch.setattr(Pictures, "close", lambda self, group: closed.append(group))
    with Project.open(gallery("clip 10 2\n")) as project:
        media = Media(project)
        for record in project.records():
            media.image(record.item.id, "full")
        assert closed == ["clip-0000", "clip-0001"]


# Pictures


def test_one_picture_is_decoded_once_for_many_threads(gallery, monkeypatch):
    loaded, load = [], Pictures.original
    monkeypatch.setattr(Pictures, "original", lambda self, item: (loaded.append(item.id), load(self, item))[1])
    with Project.open(gallery("photo 2 9\n")) as project, ThreadPoolExecutor(8) as threads:
        media, ids = Media(project), [r.item.id for r in project.records()]
        sizes = ["1024", "2048", "4096", "full"] * 4
        assert len(set(threads.map(lambda size: media.image(ids[0], size), sizes))) == 1  # 640 x 480: never made larger
        media.crop(ids[0], project.machine_annotation(ids[0]), 0, 192)
        assert loaded == [ids[0]]


def test_memory_is_bounded(gallery):
    with Project.open(gallery("photo 30 9\n")) as project:
        media = Media(project, decoded=5_000_000, encoded=60_000)
        for record in project.records():
            media.image(record.item.id, "full")
        assert media._images.weight == 5 * 640 * 480 * 3
        assert 0 < media._jpegs.weight <= 60_000


@pytest.mark.parametrize(("longest", "wide"), [("1024", 1024), ("2048", 2048), ("4096", 3000), ("full", 3000)])
def test_a_picture_is_made_smaller_never_larger_and_loses_its_metadata(tmp_path, longest, wide):
    (tmp_path / "in").mkdir()
    exif = Pillow.Exif()
    exif[0x010E] = "SECRET"
    Pillow.new("RGB", (3000, 1500), "#804020").save(tmp_path / "in/a.jpg", exif=exif, comment=b"SECRET", quality=97)
    hyla.run(hyla.compose("blank", source=str(tmp_path / "in"), out=str(tmp_path / "out"), progress=False))
    with Project.open(tmp_path / "out") as project:
        data = Media(project).image(next(project.records()).item.id, longest)
    assert b"SECRET" in (tmp_path / "in/a.jpg").read_bytes()
    assert b"SECRET" not in data
    assert b"Exif" not in data
    assert read(data).shape == (wide // 2, wide, 3)
    assert abs(read(data).astype(int) - (128, 64, 32)).max() <= 4


@pytest.mark.parametrize(
    ("made", "view"),
    [("photo", "image"), ("clip", "video"), ("volume", "volume"), ("raster", "map"), ("part", "map"), ("tiny", "image")],
)
def test_every_item_has_its_screen_and_its_pixels(gallery, made, view):
    with Project.open(gallery("photo 1\nclip 1 2\nvolume 1\nraster 1\npart 1\ntiny 1\n")) as project:
        media = Media(project)
        record = next(r for r in project.records() if r.item.meta["made"] == made)
        assert media.view(record.item.kind, record.item.group, record.size, record.frame) == view
        told = media.describe(record)
        here = {"image": told.image, "map": told.tiles, "volume": told.slices, "video": told.image}
        assert here[view] is not None
        assert [told.image, told.tiles, told.slices].count(None) == 2


def test_a_view_follows_from_size_frame_and_kind():
    media = Media(None)
    assert media.view("image", "", (4, 5), VideoFrame()) == "image"
    assert media.view("frame", "clip", (4, 5), VideoFrame()) == "video"
    assert media.view("video_frame", "clip", (4, 5), Frame()) == "video"
    assert media.view("image", "series", (4, 5), Frame()) == "image"
    assert media.view("tile", "clip", (4, 5), MapFrame()) == "map"
    assert media.view("video_frame", "clip", (3, 4, 5), MapFrame()) == "volume"
    assert media.image_url("a b/c", (4, 5)) == "/media/a%20b%2Fc/image.jpg?max=full"
    assert media.image_url("a", (3, 4, 5)) is None
    assert media.image_url("a", (6000, 6000)) is None


def test_what_vanished_is_gone_and_is_described_as_nowhere(gallery):
    home = gallery("broken 1\nraster 1\nphoto 1\nvolume 1\n", own=True)
    with Project.open(home) as project:
        broken, raster, photo, volume = project.records()
        with pytest.raises(Refused) as refused:
            Media(project).image(broken.item.id, "1024")
        assert (refused.value.status, refused.value.code) == (410, "gone")
        assert str(home) not in str(refused.value)
        (home / "source.files/raster-0000.tif").unlink()
        assert Media(project).describe(raster).tiles is None
        (home / "source.gallery").unlink()  # now nothing can be read
        media = Media(project)
        for ask in (
            lambda: media.image(photo.item.id, "full"),
            lambda: media.slices(volume.item.id, "axial", 0, 0),
            lambda: media.tile(raster.item.id, 0, 0, 0, None, None),
        ):
            with pytest.raises(Refused) as refused:
                ask()
            assert (refused.value.status, refused.value.code) == (410, "gone")
            assert str(home) not in str(refused.value)
        assert media.describe(volume).slices is None


def test_another_picture_in_the_same_place_is_not_shown(tmp_path):
    (tmp_path / "in").mkdir()
    Pillow.new("RGB", (64, 48)).save(tmp_path / "in/a.png")
    hyla.run(hyla.compose("blank", source=str(tmp_path / "in"), out=str(tmp_path / "out"), progress=False))
    Pillow.new("RGB", (65, 48)).save(tmp_path / "in/a.png")
    with Project.open(tmp_path / "out") as project, pytest.raises(Refused, match="can't be read any more"):
        Media(project).image(next(project.records()).item.id, "full")


# Eight bits


def test_bytes_stay_and_everything_else_is_stretched():
    rng = np.random.default_rng(0)
    byte = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(pixels.flat(byte), byte)
    assert np.array_equal(pixels.flat(byte[..., :1]), byte[..., 0])
    assert np.array_equal(pixels.flat(byte[..., :2]), byte[..., 0])
    assert np.array_equal(pixels.flat(np.dstack([byte, byte])), byte)
    assert np.array_equal(pixels.flat(byte[..., :1] > 99), (byte[..., 0] > 99) * np.uint8(255))
    deep = rng.integers(1000, 3000, (200, 300, 1)).astype(np.uint16)
    low, high = np.percentile(deep, (2, 98))
    wanted = np.clip((deep[..., 0] - low) / (high - low) * 255, 0, 255)
    assert abs(pixels.flat(deep) - wanted).max() <= 0.51
    deep[:100] = 65535
    assert not pixels.flat(deep, 65535)[:100].any()
    assert abs(pixels.flat(deep, 65535)[100:] - wanted[100:]).max() <= 2
    real = deep.astype(np.float32)
    real[0, 0] = np.nan
    assert pixels.flat(real)[0, 0] == 0
    assert pixels.flat(np.full((4, 4, 1), 5, np.int16)).max() == 0
