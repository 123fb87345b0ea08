"""Clips written anew keep the times of their frames and nothing else of the source; what is found in them is hidden too."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faces_kit import FACE, PERSON, Red, boxes, image, noise, redacted, street, yunet
from hyla.errors import BadItem
from hyla.types import Labels
from hyla.video import Video, read_index
from hyla_surveillance.clips import CODECS, available, read_clip, write_clip, write_redacted
from hyla_surveillance.redact import Mosaic, remaining
from surveillance_kit import SCHEMA


def plain(shade: int, size=(48, 64)) -> np.ndarray:
    return np.full((*size, 3), (shade, 255 - shade, 90), np.uint8)


@pytest.mark.parametrize("codec", CODECS)
def test_times_and_pictures_come_back(tmp_path, codec):
    times = [0.0, 0.04, 0.1, 0.1 + 1001 / 30000, 1.234, 2.5, 60.0, 3600.125]  # of no fixed rate
    assert write_clip(tmp_path / "a.mp4", [(t, plain(25 * i)) for i, t in enumerate(times)], codec=codec) == 8
    back = list(read_clip(tmp_path / "a.mp4"))
    assert np.abs(np.array([t for t, _ in back]) - times).max() <= 1 / 120_000
    for i, (_, pixels) in enumerate(back):
        assert np.abs(pixels.reshape(-1, 3).mean(axis=0) - plain(25 * i)[0, 0]).max() < 6  # colours too
    assert np.allclose(read_index(tmp_path / "a.mp4").seconds, times, atol=1e-5)


def test_times_that_stand_still_or_go_back_cost_no_frame(tmp_path):
    times = [5.0, 5.0, 4.0, float("nan"), 5.1, -3.0]
    assert write_clip(tmp_path / "a.mp4", [(t, plain(30 * i)) for i, t in enumerate(times)]) == 6
    found = [t for t, _ in read_clip(tmp_path / "a.mp4")]
    tick = 1 / 60_000
    assert found == pytest.approx([5.0, 5 + tick, 5 + 2 * tick, 5 + 3 * tick, 5.1, 5.1 + tick], abs=1e-6)


@given(
    st.lists(st.tuples(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 3, 4])), min_size=1, max_size=4),
    st.sampled_from(["uint8", "uint16", "float32", "bool"]),
    st.sampled_from(list(CODECS)),
)
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pictures_make_a_clip_of_the_size_of_the_first(tmp_path, sizes, dtype, codec):
    pictures = [(i / 8, noise(*size, seed=i).astype(dtype)) for i, size in enumerate(sizes)]
    path = tmp_path / "a.mp4"
    assert write_clip(path, pictures, codec=codec) == len(sizes)
    height, width, _ = sizes[0]
    shapes = {pixels.shape for _, pixels in read_clip(path)}
    assert shapes == {(height + height % 2, width + width % 2, 3)}


def test_an_odd_size_keeps_every_pixel_where_it_was(tmp_path):
    picture = np.zeros((41, 63, 3), np.uint8)
    picture[20:, 30:] = 255
    write_clip(tmp_path / "a.mp4", [(0.0, picture)], quality=4)
    ((_, back),) = read_clip(tmp_path / "a.mp4")
    assert back.shape == (42, 64, 3)
    assert np.abs(back[:41, :63].astype(int) - picture).mean() < 2
    assert back[41, 63].mean() > 240


def test_nothing_of_the_source_is_carried_over_and_the_bytes_are_the_same_again(tmp_path):
    secret = "somebody's house, camera 12"
    with av.open(str(tmp_path / "source.mp4"), "w") as out:
        out.metadata.update({"title": secret, "comment": secret, "location": "+50.83+004.37/"})
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(5):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(plain(40 * i), format="rgb24")))
        out.mux(stream.encode())
    assert secret.encode() in (tmp_path / "source.mp4").read_bytes()
    loader = Video()
    items = list(loader.items(str(tmp_path / "source.mp4")))
    frames = [(loader.load(one), boxes((FACE, 5, 5, 20, 20))) for one in items]
    for name in ("a.mp4", "b.mp4"):
        assert write_redacted(tmp_path / name, redacted(frames, Mosaic(SCHEMA))).remaining is None
    made = (tmp_path / "a.mp4").read_bytes()
    assert made == (tmp_path / "b.mp4").read_bytes()
    assert secret.encode() not in made
    assert b"+50.83" not in made
    assert b"Lavf" not in made
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not {"title", "comment", "location", "creation_time", "encoder"} & set(container.metadata)
        assert [one.type for one in container.streams] == ["video"]


def test_a_clip_without_pictures_is_refused_and_what_was_there_stays(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"before")
    with pytest.raises(BadItem, match=r"no pictures for a\.mp4"):
        write_clip(path, [])

    def broken():
        yield 0.0, plain(0)
        raise BadItem("the source ends here")

    with pytest.raises(BadItem, match="ends here"):
        write_clip(path, broken())
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.mp4"]


def test_what_is_found_in_the_file_is_hidden_and_the_file_is_looked_at_again(tmp_path):
    frames = []
    for i in range(6):
        pixels = noise(120, 161, seed=i) // 5
        pixels[30:62, 20 + 8 * i : 52 + 8 * i] = (255, 0, 0)
        frames.append((image(pixels, seconds=i / 8), boxes((FACE, 20 + 8 * i, 30, 52 + 8 * i, 62)) if i < 3 else Labels.empty()))
    path = tmp_path / "a.mp4"
    proof = write_redacted(path, redacted(frames, Mosaic(SCHEMA, cells=1)), Red())
    assert (proof.frames, proof.remaining, proof.codec) == (6, 0, available())
    assert proof.added >= 3
    assert [remaining(pixels, Red()) for _, pixels in read_clip(path)] == [0] * 6
    assert [t for t, _ in read_clip(path)] == pytest.approx([i / 8 for i in range(6)])
    once = write_redacted(path, redacted(frames, Mosaic(SCHEMA, cells=1)), Red(), rounds=1)
    assert once.remaining >= 3  # told, not hidden: whoever gave it away would know


def test_a_size_that_changes_is_hidden_at_the_right_place(tmp_path):
    def frame(size, box, seconds):
        pixels = noise(*size) // 5
        pixels[box[1] : box[3], box[0] : box[2]] = (255, 0, 0)
        return image(pixels, seconds=seconds), Labels.empty()

    frames = [frame((120, 160), (40, 40, 80, 80), 0.0), frame((240, 320), (200, 120, 280, 200), 0.1)]
    frames.append(frame((90, 200), (120, 20, 160, 60), 0.2))
    proof = write_redacted(tmp_path / "a.mp4", redacted(frames, Mosaic(SCHEMA)), Red())
    assert proof.remaining == 0
    assert [remaining(pixels, Red()) for _, pixels in read_clip(tmp_path / "a.mp4")] == [0, 0, 0]


def test_faces_of_a_real_street_are_found_before_and_not_after_the_encoding(shared, tmp_path):
    finder, checker = yunet(shared, score=0.5), yunet(shared)
    frames = []
    for number in (1, 4, 8):
        pixels, people = street(shared, number)
        rows = [*finder.predict([image(pixels)]), boxes(*((PERSON, *row) for row in people))]
        frames.append((image(pixels, seconds=number / 30), Labels.concat(rows)))
    write_clip(tmp_path / "raw.mp4", [(one.frame.seconds, one.pixels) for one, _ in frames])
    before = [remaining(pixels, checker) for _, pixels in read_clip(tmp_path / "raw.mp4")]
    proof = write_redacted(tmp_path / "redacted.mp4", redacted(frames, Mosaic(SCHEMA)), checker)
    after = [remaining(pixels, checker) for _, pixels in read_clip(tmp_path / "redacted.mp4")]
    assert min(before) >= 10
    assert after == [0, 0, 0]
    assert proof.remaining == 0


def test_a_real_clip_keeps_its_times(shared, tmp_path):
    loader = Video(fps=8, stop=3)
    items = list(loader.items(str(shared / "data/surveillance/cctv/vtest.avi")))
    frames = [loader.load(one) for one in items]
    write_clip(Path(tmp_path / "a.mp4"), ((one.frame.seconds, one.pixels) for one in frames))
    back = list(read_clip(tmp_path / "a.mp4"))
    assert np.allclose([t for t, _ in back], [one.frame.seconds for one in frames], atol=1 / 120_000)
    assert max(np.abs(b.astype(int) - one.pixels).mean() for (_, b), one in zip(back, frames, strict=True)) < 6
