"""Pictures that nobody vouches for are read as people see them, or refused with a reason."""

from __future__ import annotations

import os
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from hyla.errors import BadItem
from hyla.images import EXTENSIONS, Folder, files, inside, opened, read_image, upright
from hyla.types import Item, item_id

COLORS = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


def png_header(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")


@pytest.mark.parametrize("form", ["png", "bmp", "tiff", "webp", "ppm", "gif"])
def test_lossless_pixels_come_back(tmp_path, form):
    pixels = COLORS if form != "gif" else np.repeat(COLORS[:, :, :1] // 64 * 64, 3, axis=2)
    path = tmp_path / f"a.{form}"
    Image.fromarray(pixels).save(path, **({"lossless": True} if form == "webp" else {}))
    read = read_image(path)
    assert np.array_equal(read, pixels)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    assert read.flags.writeable


def test_the_content_counts_and_not_the_name(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.array_equal(read_image(tmp_path / "a.jpg"), COLORS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_applied(tmp_path, orientation):
    image = Image.fromarray(COLORS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    assert np.array_equal(read_image(tmp_path / "a.png"), expected)


def test_grey_palette_and_bilevel_become_rgb(tmp_path):
    grey = COLORS[:, :, 0]
    Image.fromarray(grey).save(tmp_path / "l.png")
    assert np.array_equal(read_image(tmp_path / "l.png"), np.repeat(grey[:, :, None], 3, axis=2))
    Image.fromarray(COLORS).quantize(16).save(tmp_path / "p.png")
    with Image.open(tmp_path / "p.png") as opened:
        assert np.array_equal(read_image(tmp_path / "p.png"), np.asarray(opened.convert("RGB")))
    Image.fromarray(grey > 128).save(tmp_path / "1.png")
    assert np.array_equal(read_image(tmp_path / "1.png")[:, :, 1], np.where(grey > 128, 255, 0))


def test_what_is_transparent_is_laid_on_white(tmp_path):
    alpha = np.zeros((24, 36), np.uint8)
    alpha[:12] = 255
    Image.fromarray(np.dstack([COLORS, alpha])).save(tmp_path / "rgba.png")
    read = read_image(tmp_path / "rgba.png")
    assert np.array_equal(read[:12], COLORS[:12])
    assert (read[12:] == 255).all()
    Image.fromarray(np.dstack([COLORS[:, :, 0], alpha])).save(tmp_path / "la.png")
    assert (read_image(tmp_path / "la.png")[12:] == 255).all()
    palette = Image.fromarray(COLORS).quantize(8)
    palette.save(tmp_path / "p.png", transparency=bytes([0, 255, 255, 255, 255, 255, 255, 255]))
    assert (read_image(tmp_path / "p.png")[np.asarray(palette) == 0] == 255).all()


def test_sixteen_bits_keep_their_high_byte(tmp_path):
    values = np.array([[0, 255, 256, 32768, 65279, 65535]], np.uint16)
    for name in ("a.png", "a.tiff"):
        Image.fromarray(values).save(tmp_path / name)
        assert read_image(tmp_path / name)[0, :, 0].tolist() == [0, 0, 1, 128, 254, 255]
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">HH", 32768, 65535))
    assert read_image(tmp_path / "a.pgm")[0, :, 0].tolist() == [128, 255]


def test_numbers_that_are_no_grey_values_are_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tiff")
    Image.fromarray(np.full((4, 4), 100_000, np.int32)).save(tmp_path / "i.tiff")
    for name in ("f.tiff", "i.tiff"):
        with pytest.raises(BadItem, match=f"{name} holds numbers of an unknown range"):
            read_image(tmp_path / name)


def test_cmyk_is_seen_in_its_colours(tmp_path):
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # red, in ink
    for name, options in (("a.jpg", {"quality": 95}), ("a.tiff", {})):
        ink.save(tmp_path / name, **options)
        red, green, blue = read_image(tmp_path / name)[4, 4].tolist()
        assert red > 230
        assert max(green, blue) < 40


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 255))
    for name in ("a.gif", "a.png", "a.webp"):
        first.save(tmp_path / name, save_all=True, append_images=[second], **({"lossless": True} if name == "a.webp" else {}))
        assert read_image(tmp_path / name)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("zero.jpg", b"", "zero.jpg is empty"),
        ("text.jpg", b"this is a shopping list", "text.jpg is not a picture"),
        ("page.png", b"<!DOCTYPE html><html></html>", "page.png is not a picture"),
        ("script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "script.png is not a picture"),
        ("bomb.png", png_header(60_000, 60_000), "60000 x 60000 pixels, more than max_pixels=200000000"),
        ("headeronly.png", png_header(12_000, 12_000), "can't be decoded"),
        ("magic.jpg", b"\xff\xd8\xff", "can't be decoded"),
    ],
)
def test_bad_files_are_refused_with_a_reason(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadItem, match=message) as error:
        read_image(tmp_path / name)
    assert error.value.hint


def test_truncated_files_are_refused(tmp_path):
    for name in ("a.jpg", "a.png"):
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(tmp_path / name)
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(BadItem, match="truncated"):
            read_image(tmp_path / name)


def test_the_size_is_checked_before_decoding(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=24 * 36).shape == (24, 36, 3)
    with pytest.raises(BadItem, match="36 x 24 pixels, more than max_pixels=863"):
        read_image(tmp_path / "a.png", max_pixels=863)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadItem, match="is not a file"):
        read_image(tmp_path / "pipe.jpg")
    with pytest.raises(BadItem, match="is not a file"):
        read_image(tmp_path)
    with pytest.raises(BadItem, match="can't be read: No such file"):
        read_image(tmp_path / "gone.jpg")


def test_threads_read_at_once_with_the_same_result(tmp_path):
    for i in range(8):
        Image.fromarray(COLORS // (i + 1)).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.jpg").write_bytes(b"no")
    wrong = []

    def work(i):
        for _ in range(20):
            if not np.array_equal(read_image(tmp_path / f"{i}.png"), COLORS // (i + 1)):
                wrong.append(i)
            with pytest.raises(BadItem):
                read_image(tmp_path / f"{i}.jpg")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert wrong == []


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_pictures_give_pixels_or_a_reason(shared):
    found = sorted((shared / "data" / "bad_inputs" / "pillow").iterdir())
    reasons = {}
    for path in found:
        try:
            pixels = read_image(path)
        except BadItem as error:
            reasons[path.name] = error.what
            continue
        assert pixels.ndim == 3
        assert pixels.dtype == np.uint8
    assert len(found) > 50
    assert len(reasons) > 20
    assert all(name in reason for name, reason in reasons.items())


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_but_valid_pictures_are_read_upright(shared):
    folder = shared / "data" / "bad_inputs" / "pillow_exif"
    upright = read_image(folder / "hopper.jpg").astype(int)
    for path in sorted(folder.iterdir()):
        pixels = read_image(path)
        if "orientation" in path.name:
            assert np.abs(pixels.astype(int) - upright).mean() < 12, path.name


def test_jpeg_pixels_are_those_of_opencv(shared):
    cv2 = pytest.importorskip("cv2")
    paths = sorted((shared / "data" / "coco" / "val_a" / "images").glob("*.jpg"))[:12]
    paths += sorted((shared / "data" / "driving").glob("**/*.jpg"))
    assert len(paths) > 15
    for path in paths:
        assert np.array_equal(read_image(path), cv2.imread(str(path))[:, :, ::-1]), path.name


def tree(root):
    for name in ("b/2.png", "b/10.png", "a.JPG", "b/c/x.webp", "z.txt", ".hidden/h.png", "b/.h.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_a_folder_is_walked_in_order_and_ids_are_its_own(tmp_path):
    tree(tmp_path)
    items = list(Folder().items(str(tmp_path)))
    assert [item.uri for item in items] == ["a.JPG", "b/10.png", "b/2.png", "b/c/x.webp"]
    assert [item.id for item in items] == [item_id(item.uri) for item in items]
    assert {item.group for item in items} == {""}
    moved = tmp_path.rename(tmp_path.parent / "elsewhere")
    assert list(Folder().items(str(moved))) == items


def test_scanning_opens_no_file_and_is_lazy(tmp_path):
    tree(tmp_path)
    items = Folder().items(str(tmp_path))
    assert next(items).uri == "a.JPG"
    (tmp_path / "b" / "9.png").touch()
    assert [item.uri for item in items] == ["b/10.png", "b/2.png", "b/9.png", "b/c/x.webp"]


def test_links_out_of_the_source_are_not_followed(tmp_path):
    outside, source = tmp_path / "outside", tmp_path / "source"
    outside.mkdir()
    (outside / "secret.png").touch()
    tree(source)
    (source / "out.png").symlink_to(outside / "secret.png")
    (source / "folder").symlink_to(outside)
    (source / "loop").symlink_to(source)
    (source / "in.png").symlink_to(source / "b" / "2.png")
    (source / "itself.png").symlink_to("itself.png")
    os.mkfifo(source / "pipe.png")
    assert [item.uri for item in Folder().items(str(source))] == ["a.JPG", "b/10.png", "b/2.png", "b/c/x.webp", "in.png"]
    for uri in ("../outside/secret.png", "out.png", "/etc/passwd", "folder/secret.png"):
        with pytest.raises(BadItem, match="lies outside the source"):
            inside(source.resolve(), uri)
    with pytest.raises(BadItem, match="no path"):
        inside(source.resolve(), "a\0b")


def test_one_picture_is_a_source_too(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "only.png")
    Image.fromarray(COLORS).save(tmp_path / "other.png")
    loader = Folder()
    (item,) = loader.items(str(tmp_path / "only.png"))
    assert item == Item(item_id("only.png"), "only.png")
    image = loader.load(item)
    assert np.array_equal(image.pixels, COLORS)
    assert image.size == (24, 36)


@pytest.mark.parametrize("source", ["https://example.org/a.png", "s3://bucket/a.png", "nowhere", "notes.txt"])
def test_other_sources_are_left_to_other_loaders(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    assert Folder().items(source) is None


def test_only_the_given_extensions_are_taken(tmp_path):
    tree(tmp_path)
    assert [item.uri for item in Folder(extensions=[".WEBP"]).items(str(tmp_path))] == ["b/c/x.webp"]
    assert all(e == e.lower() and e.startswith(".") for e in EXTENSIONS)
    root, uris = files(str(tmp_path), (".txt",))
    assert (root, list(uris)) == (tmp_path.resolve(), ["z.txt"])


def test_a_name_that_is_no_utf8_costs_that_one_item(tmp_path):
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    loader = Folder()
    (item,) = loader.items(str(tmp_path))
    assert item.uri == "caf\\xe9.png"
    with pytest.raises(BadItem, match="can't be read") as error:
        loader.load(item)
    assert "UTF-8" in str(error.value)


def test_an_open_picture_was_not_decoded_and_may_be_drafted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((64, 96, 3), 90, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    with opened(tmp_path / "a.jpg") as picture:
        assert picture.size == (96, 64)
        picture.draft(None, (24, 16))
        assert upright(picture, "a.jpg").shape == (24, 16, 3)
    with pytest.raises(BadItem, match=r"a\.jpg can't be decoded: odd"), opened(tmp_path / "a.jpg"):
        raise ValueError("odd")
    with pytest.raises(BadItem, match="more than max_pixels=10"), opened(tmp_path / "a.jpg", max_pixels=10):
        pass
