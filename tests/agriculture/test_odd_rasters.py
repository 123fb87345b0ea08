"""Rasters that are wrong, odd or hostile: a clear answer each, and nothing else is lost."""

from __future__ import annotations

import json
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine, from_origin

import raster_kit as kit
from hyla.errors import BadItem
from hyla.types import Image
from hyla_agriculture import vrt
from hyla_agriculture.scene import CLOUD, MISSING, Window, view
from hyla_agriculture.scenes import Scenes
from raster_kit import BANDS, samples, write


def load(source: Path, **settings: Any) -> Image:
    """Return the only scene of a source."""
    loader = Scenes(**settings)
    (item,) = loader.items(str(source)) or ()
    return loader.load(item)


def refused(source: Path, **settings: Any) -> BadItem:
    with pytest.raises(BadItem) as error:
        load(source, **settings)
    assert error.value.hint  # what to do next
    return error.value


@pytest.mark.parametrize(
    ("make", "said", "todo"),
    [
        (lambda p: write(p, samples(), crs=None), "has no coordinate reference system", "-a_srs"),
        (lambda p: write(p, samples(), crs=None, transform=None), "has no place on the map|no coordinate reference", "-a_srs"),
        (lambda p: write(p, samples(), transform=None), "has no place on the map", "-a_ullr"),
        (lambda p: kit.rotated(p, samples()), "lies rotated or sheared", "gdalwarp"),
        (lambda p: write(p, samples(), transform=Affine(10, 2, 4e5, 0, -10, 5.8e6)), "rotated or sheared", "gdalwarp"),
        (lambda p: kit.south_up(p, samples()), "upside down or mirrored", "gdalwarp"),
        (lambda p: kit.control_points(p, samples()), "ground control points", "gdalwarp"),
        (lambda p: kit.huge(p), "500000 x 500000 pixels, more than max_pixels", "loader.max_pixels"),
        (lambda p: write(p, samples(60, 8, 8)), "60 bands, and no name", "loader.bands="),
        (lambda p: p.write_bytes(b""), "is empty", "copy it again"),
        (lambda p: p.write_text("<VRTDataset/>"), "can't be read", "copy it again"),
        (lambda p: p.write_bytes(b"II*\0" + bytes(range(250))), "can't be read", "copy it again"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path, make: Callable[[Path], Any], said: str, todo: str) -> None:
    make(tmp_path / "x.tif")
    error = refused(tmp_path)
    assert error.what.startswith("x.tif: ") or "x.tif" in error.what
    assert any(part in error.what for part in said.split("|"))
    assert todo in error.hint


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.95])
def test_a_file_that_is_cut_off_is_found_before_a_model_sees_it(tmp_path: Path, keep: float) -> None:
    kit.truncated(tmp_path / "x.tif", samples(4, 200, 200), keep)
    assert "cut off or damaged" in refused(tmp_path).what or "can't be read" in refused(tmp_path).what


def test_a_jpeg_2000_that_is_cut_off_is_found(tmp_path: Path, shared: Path) -> None:
    whole = next((shared / "data/agriculture/sinop_modis").glob("*.jp2"))
    (tmp_path / whole.name).write_bytes(whole.read_bytes()[:-3000])
    refused(tmp_path)


def test_a_block_that_is_damaged_costs_the_windows_it_is_in(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", samples(4, 200, 200), compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(path) as source:
        at = int(source.get_tag_item("BLOCK_OFFSET_1_1", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(64))
    scene = view(load(tmp_path))
    assert scene.reflectance(Window(0, 60, 0, 60), BANDS).shape == (4, 60, 60)
    with pytest.raises(BadItem, match=r"x\.tif can't be read"):
        scene.reflectance(Window(60, 130, 60, 130), BANDS)
    assert scene.reflectance(Window(0, 60, 0, 60), BANDS).shape == (4, 60, 60)  # and then goes on


def test_a_huge_header_takes_no_memory(tmp_path: Path) -> None:
    kit.huge(tmp_path / "x.tif")
    tracemalloc.start()
    refused(tmp_path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50e6


def test_a_block_too_large_to_decode_is_refused(tmp_path: Path) -> None:
    kit.huge(tmp_path / "x.tif", side=40_000, block=40_000)
    assert "blocks of 40000 x 40000 pixels, more than 1024 MiB" in refused(tmp_path).what


def test_text_of_another_encoding_spoils_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "x.tif", samples(), tags={"TIFFTAG_ARTIST": "Merida Survey"}, names=("Azul", "Verde", "Rojo", "NIR_"))
    data = path.read_bytes()
    assert b"Merida" in data
    path.write_bytes(data.replace(b"Merida", b"M\xe9rida").replace(b"Verde", b"V\xe9rde"))  # as Latin-1 has it
    image = load(tmp_path)
    np.testing.assert_array_equal(np.asarray(image.pixels), np.moveaxis(samples(), 0, -1))


def test_a_crs_that_leads_nowhere_is_refused(tmp_path: Path) -> None:
    mars = 'GEOGCS["Mars",DATUM["D_Mars",SPHEROID["Mars",3396190,169.9]],PRIMEM["M",0],UNIT["degree",0.0174532925199433]]'
    write(tmp_path / "x.tif", samples(), crs=f'PROJCS["x",{mars},PROJECTION["Nonsense"],UNIT["metre",1]]')
    error = refused(tmp_path)
    assert "leads to no place on Earth" in error.what or "no coordinate reference system" in error.what


def test_sixty_bands_are_read_once_they_are_named(tmp_path: Path) -> None:
    values = samples(60, 20, 30)
    write(tmp_path / "x.tif", values)
    names = [f"band{n}" for n in range(58)] + ["red", "nir"]
    image = load(tmp_path, bands=names)
    scene = view(image)
    assert scene.bands == tuple(names)
    np.testing.assert_allclose(scene.reflectance(Window(0, 20, 0, 30), ("nir", "red")), values[[59, 58]] * 1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        ("EPSG:4326", from_origin(179.99, -16, 1e-3, 1e-3)),  # Fiji, across the antimeridian
        ("EPSG:32660", from_origin(830_000, 8_200_000, 10, 10)),
        ("EPSG:3031", from_origin(-400, 300, 10, 10)),  # the South Pole itself
        ("EPSG:3413", from_origin(-400, 300, 10, 10)),  # the North Pole
        ("EPSG:4326", from_origin(10, 90, 1e-3, 1e-3)),
        ("EPSG:3857", from_origin(0, 20_037_000, 10, 10)),  # 85 degrees north
        ("EPSG:4326", from_origin(-0.04, 0.03, 1e-3, 1e-3)),  # nought degrees everywhere
    ],
)
def test_scenes_at_the_ends_of_the_world_load(tmp_path: Path, crs: str, place: Affine) -> None:
    values = samples()
    write(tmp_path / "x.tif", values, crs=crs, transform=place)
    image = load(tmp_path)
    np.testing.assert_array_equal(np.asarray(image.pixels), np.moveaxis(values, 0, -1))
    assert 0 < image.context.get("resolution_m", 1) < 200
    assert json.loads(json.dumps(dict(image.context))) == image.context


def test_a_place_that_is_not_on_earth_loads_without_a_resolution(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(), crs="EPSG:3035", transform=from_origin(9e9, 9e9, 10, 10))
    assert "resolution_m" not in load(tmp_path).context


def test_a_crs_without_a_code_is_kept_as_wkt(tmp_path: Path) -> None:
    sinusoidal = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
    write(tmp_path / "x.tif", samples(), crs=sinusoidal, transform=from_origin(-6e6, -1e6, 231.656, 231.656))
    image = load(tmp_path)
    assert image.frame.crs.startswith("PROJCS")
    assert image.context["resolution_m"] == pytest.approx(231.7, rel=0.01)


def test_a_scene_without_any_data_is_a_scene(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", np.zeros((4, 30, 40), np.uint16), nodata=0)
    scene = view(load(tmp_path))
    window = Window(0, 30, 0, 40)
    assert np.isnan(scene.reflectance(window, BANDS)).all()
    assert (scene.quality(window) == MISSING).all()


def test_a_scene_that_is_all_cloud_is_a_scene(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(4, 30, 40))
    write(tmp_path / "x_scl.tif", np.full((1, 30, 40), 9, np.uint8))
    image = load(tmp_path)
    assert image.context["cloud_share"] == 1
    assert (view(image).quality(Window(0, 30, 0, 40)) == CLOUD).all()
    write(tmp_path / "x_scl.tif", np.zeros((1, 30, 40), np.uint8))  # nothing but no data
    assert load(tmp_path).context["cloud_share"] == 1


def test_a_mask_of_numbers_with_fractions_costs_its_scene(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(4, 30, 40))
    write(tmp_path / "x_cloud.tif", np.full((1, 30, 40), 0.5, np.float32))
    assert "must hold whole numbers" in refused(tmp_path).what
    assert load(tmp_path, mask=False).size == (30, 40)


def test_a_mask_without_the_band_it_should_have_costs_its_scene(tmp_path: Path) -> None:
    write(tmp_path / "x.tif", samples(4, 30, 40))
    write(tmp_path / "x_udm2.tif", np.zeros((2, 30, 40), np.uint8))
    assert "has 2 bands, no band 6 (a mask of kind mask)" in refused(tmp_path).what


def test_links_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "secret" / "x.tif", samples())
    source = tmp_path / "source"
    source.mkdir()
    (source / "x.tif").symlink_to(tmp_path / "secret" / "x.tif")
    (source / "folder").symlink_to(tmp_path / "secret")
    assert list(Scenes().items(str(source)) or ()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="names are text on this system")
def test_a_name_that_is_no_text_costs_that_file(tmp_path: Path) -> None:
    write(tmp_path / "good.tif", samples())
    (tmp_path / "good.tif").rename(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff.tif"))
    write(tmp_path / "good.tif", samples())
    loader = Scenes()
    good, odd = loader.items(str(tmp_path)) or ()
    assert loader.load(good).size == SIZE
    with pytest.raises(BadItem, match="not UTF-8"):
        loader.load(odd)
    assert odd.uri.encode() == b"odd\\xff.tif"


SIZE = (60, 80)


def stack(folder: Path, source: str = "a.tif", **edits: str) -> Path:
    path = kit.vrt(folder / "x.vrt", [source], SIZE)
    text = path.read_text()
    for old, new in edits.values():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<SimpleSource>", "<PixelFunctionCode>import os</PixelFunctionCode><SimpleSource>", "PixelFunctionCode"),
        ('band="1">', 'band="1" subClass="VRTDerivedRasterBand">', "VRTDerivedRasterBand"),
        ('band="1">', 'band="1" subClass="VRTRawRasterBand">', "VRTRawRasterBand"),
        ("<VRTDataset ", '<VRTDataset subClass="VRTWarpedDataset" ', "VRTWarpedDataset"),
        ("</VRTDataset>", "<GDALWarpOptions/></VRTDataset>", "GDALWarpOptions"),
        ("a.tif<", "../outside.tif<", "no file in the source"),
        ("a.tif<", "/etc/hostname<", "no file in the source"),
        ('relativeToVRT="1">a.tif', 'relativeToVRT="0">a.tif', "no path relative to it"),
        ("a.tif<", "https://far.invalid/a.tif<", "no path relative to it"),
        ("a.tif<", "/vsicurl/https://far.invalid/a.tif<", "no path relative to it"),
        ("a.tif<", "x.vrt<", "holds itself"),
        ("a.tif<", "text.tif<", "neither TIFF nor JPEG 2000"),
        ("<VRTDataset ", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/hostname'>]><VRTDataset ", "no XML"),
        ("</VRTDataset>", "", "no XML"),
    ],
)
def test_a_vrt_that_reads_or_does_more_than_it_should_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    source = tmp_path / "source"
    write(source / "a.tif", samples(1))
    write(tmp_path / "outside.tif", samples(1))
    (source / "text.tif").write_text("<GDAL_WMS/>")
    stack(source, edit=(old, new))
    with pytest.raises(BadItem, match=said):
        vrt.check(source / "x.vrt", source)
    loader = Scenes()
    items = {item.uri: item for item in loader.items(str(source)) or ()}
    with pytest.raises(BadItem):
        loader.load(items["x.vrt"])
    assert loader.load(items["a.tif"]).size == SIZE  # and the raster beside it is none the worse


def test_a_vrt_of_vrts_is_read(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "a.tif", samples(1))
    kit.vrt(tmp_path / "deep" / "inner.vrt", ["a.tif"], SIZE)
    kit.vrt(tmp_path / "x.vrt", ["deep/inner.vrt"], SIZE)
    assert [path.name for path in vrt.check(tmp_path / "x.vrt", tmp_path)] == ["inner.vrt", "a.tif"]
    np.testing.assert_array_equal(np.asarray(load(tmp_path).pixels)[..., 0], samples(1)[0])


def test_pillow_s_bad_pictures_each_get_an_answer(shared: Path) -> None:
    loader = Scenes()
    items = list(loader.items(str(shared / "data/bad_inputs/pillow")) or ())
    assert len(items) > 10
    for item in items:
        with pytest.raises(BadItem):
            loader.load(item)
