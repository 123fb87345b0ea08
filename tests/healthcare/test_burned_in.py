"""Text in pixels is found and blacked out on this machine, by any thread, and never told."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from header_kit import BURNED, labelled
from hyla.errors import ConfigError
from hyla.privacy import no_network
from hyla_healthcare import burned_in

NAME, NUMBER = (10, 14, 230, 32), (10, 214, 160, 232)  # pixels that the letters of the fixture certainly cover


def covers(outer: tuple[int, int, int, int], inner: tuple[int, int, int, int]) -> bool:
    return outer[0] <= inner[0] + 4 and outer[1] <= inner[1] + 4 and outer[2] >= inner[2] - 4 and outer[3] >= inner[3] - 4


@pytest.mark.parametrize("kind", ["grey", "column", "colour", "12 bits", "HU", "inverted"])
def test_text_is_found_in_every_kind_of_picture(kind: str) -> None:
    grey = labelled()
    pictures = {
        "grey": grey,
        "column": grey[..., None],
        "colour": np.stack([grey // 2, grey, grey // 3], axis=2),
        "12 bits": grey.astype(np.uint16) * 16,
        "HU": grey.astype(np.float32) * 8 - 1024,
        "inverted": 255 - grey,
    }
    first, second = burned_in.regions(pictures[kind])
    assert covers(first, NAME)
    assert covers(second, NUMBER)


def test_nothing_is_left_after_redaction_and_the_rest_stays() -> None:
    picture = labelled()
    boxes = burned_in.regions(picture)
    clean = burned_in.redact(picture, boxes)
    assert burned_in.regions(clean) == []
    assert (clean[10:35, 10:230] == picture.min()).all()
    assert np.array_equal(clean[40:200], picture[40:200])
    assert not np.array_equal(clean, picture)
    assert burned_in.regions(picture) == boxes  # the original was not changed


def test_small_and_huge_text_in_a_large_picture_is_found() -> None:
    """The picture is read in tiles for small letters, also across the edge of two, and as a whole for huge ones."""
    picture = Pillow.fromarray(np.full((1100, 1700), 60, np.uint8))
    pen, small = ImageDraw.Draw(picture), ImageFont.load_default(size=14)
    places = [(20, 20), (1500, 1060), (850, 930)]
    for place in places:
        pen.text(place, BURNED, fill=230, font=small)
    pen.text((60, 300), "OTTOLINE", fill=230, font=ImageFont.load_default(size=340))
    clean = burned_in.redact(np.asarray(picture), burned_in.regions(np.asarray(picture)))
    assert (clean == 60).mean() > 0.999


@pytest.mark.parametrize("size", [12, 24])
def test_text_on_real_radiographs_is_found_and_anatomy_is_not(size: int, shared: Path) -> None:
    font, found = ImageFont.load_default(size=size), []
    for path in sorted((shared / "data/healthcare/chest_xray").glob("*.png")):
        plain = Pillow.open(path).convert("L")
        assert burned_in.regions(np.asarray(plain)) == []
        pen, (width, height) = ImageDraw.Draw(plain), plain.size
        for place, colour in (((10, height - 50), 255), ((width // 3, height // 2), 255), ((width // 3, 20), 0)):
            pen.text(place, "OTTOLINE 1954", fill=colour, font=font)
        found.append(len(burned_in.regions(np.asarray(plain))))
    assert len(found) == 5
    assert min(found) >= 3


def test_markers_of_a_side_stay() -> None:
    picture = Pillow.new("L", (300, 200), 40)
    pen = ImageDraw.Draw(picture)
    pen.text((20, 20), "L", fill=255, font=ImageFont.load_default(size=40))
    pen.text((200, 120), "PA", fill=255, font=ImageFont.load_default(size=40))
    assert burned_in.regions(np.asarray(picture)) == []


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (7, 400), (64, 64), (40, 40, 1), (33, 40, 3)])
def test_pictures_with_nothing_in_them(shape: tuple[int, ...]) -> None:
    assert burned_in.regions(np.zeros(shape, np.int16)) == []
    assert burned_in.redact(np.zeros(shape, np.int16), [(0, 0, 5, 5)]).shape == shape


def test_numbers_that_are_none_are_read() -> None:
    picture = labelled().astype(np.float32)
    picture[100:110] = np.nan
    assert len(burned_in.regions(picture)) == 2


@settings(deadline=None, max_examples=40)
@given(
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 30), st.integers(1, 30)), elements=st.integers(1, 4095)),
    st.lists(st.tuples(*[st.floats(-20, 50)] * 4), max_size=4),
    st.integers(0, 5),
)
def test_redaction_blacks_out_boxes_and_nothing_else(picture: np.ndarray, boxes: list[tuple[float, ...]], margin: int) -> None:
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    inside = np.zeros(picture.shape, bool)
    for x0, y0, x1, y1 in boxes:
        across = (x >= int(x0) - margin) & (x < np.ceil(x1) + margin)
        inside |= across & (y >= int(y0) - margin) & (y < np.ceil(y1) + margin)
    out = burned_in.redact(picture, boxes, margin)
    assert (out[inside] == picture.min()).all()
    assert np.array_equal(out[~inside], picture[~inside])


def test_threads_share_the_reader_and_nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burned_in, "_engine", None)  # so that loading its networks is watched as well
    picture = labelled()
    with no_network() as attempts, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(burned_in.regions, [picture] * 4))
    assert attempts == []
    assert all(one == found[0] for one in found)
    assert len(found[0]) == 2


def test_what_is_read_is_never_told(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    boxes = burned_in.regions(labelled())
    assert all(type(number) is int for box in boxes for number in box)
    said = capfd.readouterr()
    assert said.out + said.err + caplog.text == ""


def test_without_rapidocr_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burned_in, "_engine", None)
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(ConfigError, match="rapidocr") as error:
        burned_in.regions(labelled())
    assert "pip install 'hyla-healthcare[ocr]'" in error.value.hint
