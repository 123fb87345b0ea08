"""Photos as they come: turned phones, a hundred megapixels, other colours, damaged files. One of them never costs the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from catalogue_kit import noise, photo
from hyla.errors import BadItem
from hyla_retail.photos import Photos, overview


def load(path: Path, **settings: Any) -> Any:
    loader = Photos(**settings)
    items = list(loader.items(str(path.parent)) or ())
    return loader.load(next(one for one in items if one.uri == path.name))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_turned_phones_come_out_upright(tmp_path: Path, orientation: int, ending: str) -> None:
    path = photo(tmp_path / f"a.{ending}", noise(40, 64), orientation)
    with Pillow.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    assert np.array_equal(load(path).pixels, expected)


def test_a_hundred_megapixels_load(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Pillow.new("L", (12000, 8500), 90).save(path, quality=50)
    image = load(path)
    assert image.pixels.shape == (8500, 12000, 3)
    assert image.context["sharpness"] == 0
    assert overview(path, 640).shape == (453, 640, 3)


def test_more_pixels_than_allowed_cost_that_photo(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg", noise(40, 64))
    with pytest.raises(BadItem, match="more than max_pixels=2559"):
        load(path, max_pixels=2559)
    with pytest.raises(BadItem, match="more than max_pixels"):
        overview(path, 10, max_pixels=100)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16"])
def test_other_colours_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    if mode == "I;16":
        Pillow.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100).save(path)
    else:
        Pillow.fromarray(noise(20, 30)).convert(mode).save(path)
    image = load(path)
    assert (image.pixels.shape, image.pixels.dtype) == ((20, 30, 3), np.dtype(np.uint8))
    assert overview(path, 10).shape == (7, 10, 3)


def test_a_single_pixel_is_a_photo(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", np.full((1, 1, 3), 7, np.uint8))
    assert load(path).pixels.tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize(("taken", "day"), [("2024:05:03 10:11:12", "2024-05-03"), ("0000:00:00 00:00:00", None), ("soon", None)])
def test_the_day_is_that_of_the_camera(tmp_path: Path, taken: str, day: str | None) -> None:
    assert load(photo(tmp_path / "a.jpg", taken=taken)).context.get("date") == day


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.jpg", b""), ("text.jpg", b"no picture"), ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), ("cut.jpg", None)],
)
def test_a_damaged_photo_is_listed_and_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    good = photo(tmp_path / "good.jpg", noise(200, 300))
    (tmp_path / name).write_bytes(good.read_bytes()[:3000] if content is None else content)
    with pytest.raises(BadItem, match=name):
        load(tmp_path / name)
    assert load(good).pixels.shape == (200, 300, 3)
    with pytest.raises(BadItem):
        overview(tmp_path / name, 64)


def test_a_photo_that_is_gone_is_refused(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg")
    loader = Photos()
    (item,) = loader.items(str(tmp_path)) or ()
    path.unlink()
    with pytest.raises(BadItem, match="can't be read"):
        loader.load(item)


@pytest.mark.parametrize("source", ["hyla-unknown://host/path", "nowhere/at.all", "s3://bucket/photos.csv"])
def test_other_sources_are_left_to_others(source: str) -> None:
    assert Photos().items(source) is None


def test_links_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    photo(tmp_path / "out" / "secret.jpg")
    photo(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "b.jpg").symlink_to(tmp_path / "out" / "secret.jpg")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "out")
    assert [one.uri for one in Photos().items(str(tmp_path / "in")) or ()] == ["a.jpg"]


@pytest.mark.parametrize(("folder", "bad"), [("pillow", 30), ("pillow_exif", 0)])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF, which is what these files are for
def test_the_real_damaged_files_cost_themselves_alone(shared: Path, folder: str, bad: int) -> None:
    loader = Photos()
    items = list(loader.items(str(shared / "data" / "bad_inputs" / folder)) or ())
    refused = []
    for item in items:
        try:
            image = loader.load(item)
        except BadItem as error:
            refused.append((item.uri, error.what))
        else:
            assert image.pixels.shape[2] == 3
            assert {"view", "fixture", "sharpness"} <= image.context.keys()
    assert len(refused) == bad
    assert all(uri in what for uri, what in refused)
    assert len(items) > bad
