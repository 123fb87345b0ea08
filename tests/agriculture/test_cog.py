"""Class rasters: what GDAL and rio-cogeo read of them, colours and overviews, and labels read back from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.features import rasterize
from rio_cogeo.cogeo import cog_validate

from hyla import formats, geometry
from hyla.draw import color_of
from hyla.errors import ConfigError, FormatError
from hyla.frame import Frame, MapFrame
from hyla.types import Item, Kind, Labels, Record, item_id
from hyla_agriculture.cog import UNKNOWN, Cog, paint
from hyla_agriculture.sample import preset_schema

SCHEMA = preset_schema()
FRAME = MapFrame((10.0, 0.0, 402000.0, 0.0, -10.0, 5702000.0), "EPSG:32633")
SIZE = (700, 600)


def square(x: float, y: float, side: float) -> Any:
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], dtype=float)


def record(frame: Any = FRAME, uri: str = "scene.tif") -> Record:
    hole = (square(100, 100, 200), square(150, 150, 50))
    mask = np.zeros(SIZE, bool)
    mask[600:650, 20:60] = True
    labels = Labels.of(
        [SCHEMA.class_id(name) for name in ("healthy", "stress_zone", "suspected_drought", "water")],
        kind=[Kind.POLYGON, Kind.POLYGON, Kind.POLYGON, Kind.MASK],
        shape=[hole, (square(110, 110, 20),), (square(400, 400, 100),), geometry.encode(mask)],
        attributes={"ndvi": [0.8, None, 0.3, -0.2]},
    )
    return Record(Item(item_id(uri), uri, kind="scene", meta={"date": "2024-06-01"}), labels, size=SIZE, frame=frame)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    loss = Cog(SCHEMA).export([record()], SCHEMA, tmp_path / "out")
    assert loss == {"polygon as region": 3, "mask as region": 1, "attribute": 3}
    return tmp_path / "out" / f"{record().item.id}.tif"


def test_it_is_a_cog_that_other_programs_read(written: Path) -> None:
    valid, errors, warnings = cog_validate(written, strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(written) as raster:
        assert (raster.crs.to_epsg(), tuple(raster.transform)[:6], raster.shape) == (32633, FRAME.transform, SIZE)
        assert (raster.nodata, raster.dtypes, raster.descriptions) == (0, ("uint8",), ("class",))
        assert raster.overviews(1)
        colours = raster.colormap(1)
        values = raster.read(1)
        tags = raster.tags()
    healthy = SCHEMA.class_id("healthy")
    assert colours[healthy + 1][:3] == color_of(SCHEMA, healthy)
    assert tags[f"CLASS_{healthy + 1}"] == "healthy"
    assert values[105, 105] == healthy + 1
    assert values[160, 160] == 0, "a hole stays a hole"
    assert values[120, 120] == SCHEMA.class_id("stress_zone") + 1, "a zone lies on its field"
    assert (values == SCHEMA.class_id("water") + 1).sum() == 50 * 40
    assert (values == SCHEMA.class_id("suspected_drought") + 1).sum() == 100 * 100


def test_it_reads_back_as_regions(written: Path) -> None:
    (back,) = Cog(SCHEMA).read(written.parent, SCHEMA) or ()
    assert (back.item, back.frame, back.size) == (record().item, FRAME, SIZE)
    assert sorted(SCHEMA.names[c] for c in back.labels.class_id) == ["healthy", "stress_zone", "suspected_drought", "water"]
    painted = paint(back.labels, back.labels.class_id + 1.0, SIZE, "uint8", 0)
    with rasterio.open(written) as raster:
        np.testing.assert_array_equal(painted, raster.read(1))


def test_an_attribute_as_a_layer(tmp_path: Path) -> None:
    Cog(SCHEMA, layer="ndvi").export([record()], SCHEMA, tmp_path)
    with rasterio.open(tmp_path / f"{record().item.id}.tif") as raster:
        assert (raster.dtypes, raster.nodata, raster.descriptions) == (("float32",), UNKNOWN, ("ndvi",))
        values = raster.read(1)
    assert values[120, 120] == np.float32(0.8), "what is not known hides nothing"
    assert values[450, 450] == np.float32(0.3)
    assert values[0, 0] == UNKNOWN
    with pytest.raises(ConfigError, match="layer=crop is no number"):
        Cog(SCHEMA, layer="crop")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 12), st.integers(0, 5)), max_size=6))
def test_the_smaller_label_lies_on_top(found: list[tuple[int, int, int, int]]) -> None:
    labels = Labels.of([c for *_, c in found], kind=Kind.POLYGON, shape=[(square(x, y, side),) for x, y, side, _ in found])
    painted = paint(labels, labels.class_id + 1.0, (40, 40), "uint8", 0)
    expected = np.zeros((40, 40), np.uint8)
    for x, y, side, c in sorted(found, key=lambda one: -one[2]):
        expected[y : y + side, x : x + side] = c + 1
    np.testing.assert_array_equal(painted, expected)


def test_what_lies_on_no_map_is_counted(tmp_path: Path) -> None:
    loss = Cog(SCHEMA).export([record(Frame(), "photo.jpg")], SCHEMA, tmp_path)
    assert (loss["polygon"], loss["mask"]) == (3, 1)
    assert not list(tmp_path.glob("*.tif"))


def foreign(path: Path, values: Any, transform: Any = FRAME.transform, **more: Any) -> Path:
    profile = {"driver": "GTiff", "dtype": values.dtype, "count": 1, "height": values.shape[0], "width": values.shape[1]}
    with rasterio.open(path, "w", **{**profile, "crs": FRAME.crs, "transform": rasterio.Affine(*transform), **more}) as raster:
        raster.write(values, 1)
    return path


class Known:
    """Stand for the pictures of a project."""

    def known(self) -> Any:
        return iter([record()])


def test_a_raster_of_another_tool(tmp_path: Path) -> None:
    values = rasterize([(geometry_of(20, 30, 50), 40), (geometry_of(90, 10, 30), 80)], (200, 300), dtype=np.uint16)
    part = (10.0, 0.0, FRAME.transform[2] + 1000, 0.0, -10.0, FRAME.transform[5] - 2000)
    file = foreign(tmp_path / "cover.tif", values, part)
    (back,) = Cog(SCHEMA, classes={"40": "cropland", 80: "water"}, pictures=Known()).read(file, SCHEMA) or ()  # type: ignore[arg-type]
    assert back.item == record().item
    assert [SCHEMA.names[c] for c in back.labels.class_id] == ["water", "cropland"]
    np.testing.assert_allclose(back.labels.box, [[190, 210, 220, 240], [120, 230, 170, 280]])


def geometry_of(x: float, y: float, side: float) -> Any:
    import shapely

    return shapely.box(x, y, x + side, y + side)


@pytest.mark.parametrize(
    ("values", "transform", "more", "message"),
    [
        (np.full((9, 9), 7, np.uint8), FRAME.transform, {}, "nothing says what 7 means"),
        (np.full((9, 9), 1, np.uint8), (7.0, 0, 402000, 0, -7.0, 5702000), {}, "on the grid of no item"),
        (np.full((9, 9), 1, np.uint8), (10.0, 0, 402004, 0, -10.0, 5702000), {}, "on the grid of no item"),
        (np.full((9, 9), 1, np.uint8), FRAME.transform, {"crs": "EPSG:32632"}, "on the grid of no item"),
        (np.full((9, 9), 1, np.uint8), FRAME.transform, {"crs": None}, "does not say where it lies"),
        (np.full((9, 9), 1, np.float32), FRAME.transform, {}, "no raster of classes"),
    ],
)
def test_what_can_not_be_read_says_why(tmp_path: Path, values: Any, transform: Any, more: Any, message: str) -> None:
    file = foreign(tmp_path / "a.tif", values, transform, **more)
    form = Cog(SCHEMA, classes={1: "water"}, pictures=Known())  # type: ignore[arg-type]
    with pytest.raises(FormatError, match=message):
        list(form.read(file, SCHEMA) or ())


def test_no_raster_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0")
    with pytest.raises(FormatError, match="can't be read as a raster"):
        list(Cog(SCHEMA).read(tmp_path / "a.tif", SCHEMA) or ())
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="holds no raster"):
        list(Cog(SCHEMA).read(tmp_path / "empty", SCHEMA) or ())


def test_it_is_offered_by_name(tmp_path: Path) -> None:
    assert "GeoTIFF" in formats.offered()["cog"]
    assert isinstance(formats.get("cog", schema=SCHEMA, layer="ndmi"), Cog)
    Cog(SCHEMA).export([], SCHEMA, tmp_path)
    assert json.loads((tmp_path / "classes.json").read_text())["labels"]["field"] == 1
