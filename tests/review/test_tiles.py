"""Tiles are the raster's own pixels, level by level, and read no more of it than they show."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from rasterio.windows import Window

from gallery_scenes import BORDER, PART, RASTER
from hyla.errors import BadItem
from hyla.frame import Frame, MapFrame
from hyla.review import pixels, tiles
from hyla.review.media import Media
from hyla.review.places import pixel_of, place_of
from hyla.review.problems import Refused
from hyla.review.tiles import Decoded, OnDisk, Painted
from hyla.store import Project
from hyla.types import Image, Item, Labels, Record

ALL = (1, 2, 3, 4)
PLACE = rasterio.Affine(1, 0, 500_000, 0, -1, 4_600_000)


@pytest.fixture
def project(gallery):
    with Project.open(gallery("raster 1\npart 1\nphoto 1\nhuge 1\n")) as opened:
        yield opened


@pytest.fixture
def raster(project):
    return tiles.on_disk(next(project.records()), project.source())


def test_the_fixture_is_read_from_its_file(raster):
    assert isinstance(raster, OnDisk)
    assert (raster.size, raster.bands) == (RASTER, ["red", "green", "blue", "nir"])
    assert raster.default_bands == (1, 2, 3)


def test_a_tile_of_full_size_is_what_rasterio_reads(project, raster):
    painted = Painted(raster)
    path = f"{project.source().removesuffix('source.gallery')}source.files/raster-0000.tif"
    with rasterio.open(path) as source:
        full = source.read()
        for y in range(4):
            for x in range(5):
                window = Window(x * 256, y * 256, min(256, 1200 - x * 256), min(256, 1000 - y * 256))
                wanted = source.read(window=window)
                samples, known = raster.block(1, x * 256, y * 256, x * 256 + window.width, y * 256 + window.height, ALL)
                assert np.array_equal(samples, wanted)
                assert np.array_equal(known, wanted != 0)
                tile = painted.tile(3, x, y, (4, 3, 1), (2, 98))
                assert tile.shape == (256, 256, 3)
                for layer, band in enumerate((4, 3, 1)):
                    low, high = painted.limits(band, (2, 98))
                    one = np.clip((wanted[band - 1].astype(float) - low) / (high - low) * 255, 0, 255)
                    shown = np.where(wanted[band - 1] == 0, 0, one)
                    assert abs(tile[: window.height, : window.width, layer] - shown).max() <= 0.51
                assert not tile[window.height :].any()
                assert not tile[:, window.width :].any()
    valid = full[0][full[0] != 0]
    assert painted.limits(1, (2, 98)) == pytest.approx(np.percentile(valid, (2, 98)), rel=0.03)  # of an overview


def test_levels_halve_until_one_tile_is_left_and_keep_their_place(raster):
    painted = Painted(raster)
    assert painted.levels == 4
    full, _ = raster.block(1, 0, 0, 1200, 1000, (1,))
    for z, scale in ((2, 2), (1, 4), (0, 8)):
        height, width = -(-1000 // scale), -(-1200 // scale)
        samples, known = raster.block(scale, 0, 0, width, height, (1,))
        assert samples.shape == (1, height, width)
        inner = slice(BORDER // scale + 2, -BORDER // scale - 2)
        mean = full[0].astype(float).reshape(height, scale, width, scale).mean(axis=(1, 3))
        assert abs(samples[0][inner, inner] - mean[inner, inner]).mean() < 4  # overviews are averages of averages
        assert known[0][inner, inner].all()
        assert not known[0][: BORDER // scale - 1].any()
        assert painted.tile(z, (width - 1) // 256, (height - 1) // 256, (1,), None) is not None


def test_nodata_is_black_and_does_not_count_for_the_stretch(project, raster):
    painted = Painted(raster)
    for z in range(4):
        tile = painted.tile(z, 0, 0, (1, 2, 3), (2, 98))
        edge = BORDER // 2 ** (3 - z)
        assert not tile[: edge - 1].any()
        assert tile[edge + 8 : 120, edge + 8 : 120].any()
    assert painted.tile(3, 2, 2, (1, 2, 3), (2, 98)).std() > 20
    whole = np.asarray(Pillow.open(io.BytesIO(Media(project).image(next(project.records()).item.id, "1024"))))
    assert whole.shape == (853, 1024, 3)
    assert whole[:60].max() <= 8


def test_a_raster_that_was_cut_off_meanwhile_is_gone(gallery):
    home = gallery("raster 1\n", own=True)
    path = home / "source.files/raster-0000.tif"
    with Project.open(home) as project:
        media, item = Media(project), next(project.records()).item.id
        media.describe(next(project.records()))
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
        with pytest.raises(Refused) as refused:
            [media.tile(item, 3, x, 3, None, "none") for x in range(4)]
        assert (refused.value.status, refused.value.code) == (410, "gone")


def test_tiles_that_are_not_there_are_none(raster):
    painted = Painted(raster)
    for z, x, y in ((-1, 0, 0), (4, 0, 0), (3, 5, 0), (3, 0, 4), (0, 1, 0), (3, -1, 0)):
        assert painted.tile(z, x, y, (1,), None) is None


def test_an_item_that_is_a_part_of_a_raster_is_cut_out_of_it(project):
    record = list(project.records())[1]
    part = tiles.on_disk(record, project.source())
    column, row, width, height = PART
    whole = tiles.on_disk(next(project.records()), project.source())
    found, _ = part.block(1, 10, 20, 200, 220, ALL)
    wanted, _ = whole.block(1, column + 10, row + 20, column + 200, row + 220, ALL)
    assert part.size == (height, width)
    assert np.array_equal(found, wanted)


def test_a_picture_in_memory_gives_the_same_tiles_as_its_file(project, raster):
    record = next(project.records())
    with Project.open(project.path) as again:
        image = Media(again)._load(record)
    memory = Decoded(image, 0.0)
    a, b = memory.block(1, 256, 256, 500, 512, ALL), raster.block(1, 256, 256, 500, 512, ALL)
    assert all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))
    small, _ = memory.block(4, 40, 40, 200, 200, ALL)
    file, _ = raster.block(4, 40, 40, 200, 200, ALL)
    assert abs(small.astype(int) - file).max() <= 3


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
def test_smaller_levels_are_means(dtype):
    rng = np.random.default_rng(0)
    full = rng.integers(0, 200, (37, 51, 2)).astype(dtype)
    samples, known = Decoded(Image(full, Item("i", "i"))).block(2, 0, 0, 26, 19, (1, 2))
    assert samples.dtype == dtype
    assert known.all()
    even = full[:36, :50].astype(float).reshape(18, 2, 25, 2, 2).mean(axis=(1, 3))
    assert abs(np.moveaxis(samples, 0, -1)[:18, :25] - even).max() <= 0.51
    assert samples[0, 18, 25] == full[36, 50, 0]


def test_what_is_no_number_is_black():
    full = np.ones((20, 20, 1), np.float32)
    full[:10] = np.nan
    full[10:15] = 3
    tile = Painted(Decoded(Image(full, Item("i", "i")))).tile(0, 0, 0, (1,), (2, 98))
    assert not tile[:10].any()
    assert (tile[10:15, :20] == 255).all()


def test_a_large_raster_is_read_along_its_blocks(tmp_path):
    path = tmp_path / "large.tif"
    profile = {"driver": "GTiff", "width": 10_000, "height": 10_000, "count": 3, "dtype": "uint16", "crs": "EPSG:32633"}
    profile |= {"transform": PLACE, "tiled": True, "compress": "deflate", "SPARSE_OK": True}
    with rasterio.open(path, "w", **profile) as out:
        out.write(np.full((3, 512, 512), 700, np.uint16), window=Window(5120, 5120, 512, 512))
    with rasterio.open(path, "r+") as out:
        out.build_overviews([4, 16])
    painted = Painted(OnDisk(path))
    tracemalloc.start()
    assert painted.tile(6, 20, 20, (1, 2, 3), None).max() == round(700 / 65535 * 255)
    assert painted.tile(0, 0, 0, (1, 2, 3), (0, 100)).max() > 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 2**20  # the whole is 600 MB


def test_only_files_inside_the_source_and_of_safe_formats_are_opened(tmp_path):
    (tmp_path / "in").mkdir()
    vrt = '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>'
    for name in ("in/a.tif", "in/a.vrt"):
        (tmp_path / name).write_text(vrt)
    with rasterio.open(
        tmp_path / "out.tif", "w", driver="GTiff", width=4, height=4, count=1, dtype="uint8", transform=PLACE
    ) as out:
        out.write(np.ones((1, 4, 4), np.uint8))
    (tmp_path / "in/link.tif").symlink_to(tmp_path / "out.tif")

    def found(uri, frame=None, size=(4, 4), meta=None):
        item = Item("i", uri, meta=meta or {})
        return tiles.on_disk(
            Record(item, Labels.empty(), size=size, frame=frame or MapFrame(crs="EPSG:32633")), str(tmp_path / "in")
        )

    for uri in ("a.tif", "a.vrt", "../out.tif", "link.tif", "none.tif", "\0.tif", str(tmp_path / "out.tif")):
        assert found(uri) is None
    (tmp_path / "in/good.tif").write_bytes((tmp_path / "out.tif").read_bytes())
    assert isinstance(found("good.tif"), OnDisk)
    assert found("good.tif", size=(5, 4)) is None  # the loader gave something else
    for window in ([3, 3, 4, 4], [0, 0, 4], "0044", [-1, 0, 4, 4], [0.5, 0, 4, 4]):
        assert found("good.tif", meta={"window": window}) is None
    assert found("good.tif", frame=Record(Item("i", "i"), Labels.empty()).frame) is None
    with pytest.raises(BadItem, match=r"a\.tif can't be read"):
        OnDisk(tmp_path / "in/a.tif")


@pytest.mark.parametrize("text", ["0", "5", "1,2", "1,2,3,4", "a", "1;2", "1,2,-3", " 1", "1,2,", "١", "b1/b2", "1e1", "9" * 6])
def test_bands_are_one_number_or_three_that_are_there(text):
    with pytest.raises(Refused) as refused:
        pixels.parse_bands(text, 4, (1, 2, 3))
    assert (refused.value.status, refused.value.code) == (422, "bands")


@pytest.mark.parametrize("text", ["2", "98-2", "2-2", "0-101", "-1-5", "2.5-98", "2-98-99", "None", "NONE ", "2_98", "٢-98"])
def test_a_stretch_is_none_or_two_percentiles(text):
    with pytest.raises(Refused) as refused:
        pixels.parse_stretch(text, np.uint16)
    assert (refused.value.status, refused.value.code) == (422, "stretch")


def test_bands_and_stretches_that_can_be_are_taken():
    assert pixels.parse_bands("4,3,1", 4, (1,)) == (4, 3, 1)
    assert pixels.parse_bands("4", 4, (1,)) == (4,)
    assert pixels.parse_bands(None, 4, (1, 2, 3)) == pixels.parse_bands("", 4, (1, 2, 3)) == (1, 2, 3)
    assert pixels.parse_stretch("0-100", np.uint8) == (0, 100)
    assert pixels.parse_stretch("none", np.uint16) is None
    assert [pixels.parse_stretch(None, d) for d in (np.uint8, bool, np.uint16, np.float32)] == [None, None, (2, 98), (2, 98)]


def test_a_stretch_of_none_shows_the_whole_range_of_the_type():
    band = np.array([[0, 65535, 32768]], np.uint16)
    known = np.ones(band.shape, bool)
    assert pixels.to_bytes(band, known, pixels.limits(band, known, None)).tolist() == [[0, 255, 128]]
    assert pixels.limits(band, ~known, (2, 98)) == (0, 1)


def test_places_are_given_in_the_rasters_system_and_in_degrees(project, monkeypatch):
    raster, part, photo, _ = (r.frame for r in project.records())
    place = place_of(raster, 0, 0)
    assert (place.crs, place.x, place.y) == ("EPSG:32633", 500000, 4650000)
    assert place.lon == pytest.approx(15, abs=1e-9)  # the middle of the zone
    assert place.lat == pytest.approx(42.0013, abs=1e-3)
    assert place_of(part, 10, 20).x == 500000 + (PART[0] + 10) * 0.5
    assert place_of(part, 10, 20).y == 4650000 - (PART[1] + 20) * 0.5
    with pytest.raises(Refused, match="map"):
        place_of(photo, 0, 0)
    for frame, x in ((MapFrame(crs="nonsense"), 1), (MapFrame(), 1), (MapFrame(crs="EPSG:32633"), 1e300)):
        assert (place_of(frame, x, x).lon, place_of(frame, x, x).lat) == (None, None)
    monkeypatch.setitem(sys.modules, "rasterio.warp", None)
    assert place_of(raster, 0, 0).lon is None


@settings(deadline=None)
@given(st.floats(-50, 1300), st.floats(-50, 1100))
def test_a_place_leads_back_to_its_pixel(x, y):
    frame = MapFrame((0.5, 0.1, 500000, 0.1, -0.5, 4650000), "EPSG:32633")
    place = place_of(frame, x, y)
    back = pixel_of(frame, place.lon, place.lat)
    assert (back.x, back.y) == pytest.approx((x, y), abs=1e-4)


def test_a_place_that_a_map_cannot_show_is_refused():
    with pytest.raises(Refused, match="not lie on a map"):
        pixel_of(Frame(), 15, 42)
    with pytest.raises(Refused) as refused:
        pixel_of(MapFrame(crs="nonsense"), 15, 42)
    assert refused.value.status == 422


def test_without_rio_tiler_the_pixels_are_loaded(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "rio_tiler.reader", None)
    media = Media(project)
    told = media.describe(next(project.records())).tiles
    assert (told.levels, told.bands, told.default_bands) == (4, ["1", "2", "3", "4"], [1, 2, 3])
    assert media.tile(next(project.records()).item.id, 3, 1, 1, "4,2,1", "2-98").startswith(b"\xff\xd8")


def test_importing_the_server_loads_no_raster_library():
    code = "import sys, hyla.review.app; print([m for m in ('rasterio', 'rio_tiler', 'av') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_huge_photo_has_tiles_and_no_whole_picture(project):
    media, record = Media(project), list(project.records())[3]
    told = media.describe(record)
    assert (told.image, told.tiles.levels) == (None, 7)
    shown = np.asarray(Pillow.open(io.BytesIO(media.tile(record.item.id, 6, 4, 4, None, None))))
    assert shown[0:70, 0:170].min() > 245  # of the white mark from (1000, 1000) to (1200, 1100); the tile begins at 1024
    assert shown[90:250].max() < 200
    corner = np.asarray(Pillow.open(io.BytesIO(media.tile(record.item.id, 6, 48, 31, None, None))))
    assert corner[8000 - 31 * 256 + 8 :].max() <= 8
    with pytest.raises(Refused) as refused:
        media.image(record.item.id, "full")
    assert refused.value.status == 422
    assert Pillow.open(io.BytesIO(media.image(record.item.id, "2048"))).size == (2048, 1311)
