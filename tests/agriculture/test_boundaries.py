"""Outlines of fields: found where they are, and the same from every window and for every size of tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import ConfigError
from hyla.frame import MapFrame
from hyla.schema import Schema
from hyla.types import Image, Item, Kind
from hyla_agriculture import delineation
from hyla_agriculture.boundaries import Boundaries, Found, Limits, delineate, find
from hyla_agriculture.scene import CLOUD, Plain, Window
from hyla_agriculture.zonal import polygon

FRAME = MapFrame((10, 0, 500_000, 0, -10, 5_600_000), "EPSG:32633")
SMALL = Limits(largest=40, strength=0.3)
BANDS = ("red", "green", "blue", "nir")


def image(values: np.ndarray, bands: tuple[str, ...] = BANDS) -> Image:
    return Image(np.moveaxis(values, 0, -1), Item("a", "a.tif", meta={"bands": list(bands)}), FRAME)


def scene(values: np.ndarray, bands: tuple[str, ...] = BANDS) -> Plain:
    return Plain(image(values, bands))


def block(rows: int, columns: int, seed: int = 0, side: int = 16, noise: float = 0.004) -> np.ndarray:
    """Return reflectances (4, h, w) of square fields of 4 kinds, no two alike side by side."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:rows, :columns]
    kinds = (row * 2 + column + 2 * rng.integers(0, 2)) % 4
    colours = np.array([[0.05, 0.08, 0.04, 0.45], [0.15, 0.13, 0.10, 0.22], [0.09, 0.1, 0.06, 0.33], [0.22, 0.18, 0.14, 0.28]])
    values = np.kron(colours[kinds].transpose(2, 0, 1), np.ones((1, side, side)))
    return np.asarray(values + rng.normal(0, noise, values.shape), np.float32)


def known(found: list[Found], down: int = 0, across: int = 0) -> dict[tuple[int, int], tuple[object, ...]]:
    """Return what was found, by the first pixel in the whole scene, as values that can be compared."""
    moved = [(one.first[0] + down, one.first[1] + across) for one in found]
    rings = [tuple(tuple(map(tuple, (ring + np.array([across, down])).tolist())) for ring in one.rings) for one in found]
    return {key: (ring, one.strength) for key, ring, one in zip(moved, rings, found, strict=True)}


def within(found: dict[tuple[int, int], tuple[object, ...]], window: Window) -> dict[tuple[int, int], tuple[object, ...]]:
    """Return those that lie wholly in a window."""
    kept = {}
    for key, value in found.items():
        points = np.concatenate([np.array(ring) for ring in value[0]])  # type: ignore[attr-defined]
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        if y0 >= window.row0 and y1 <= window.row1 and x0 >= window.column0 and x1 <= window.column1:
            kept[key] = value
    return kept


def test_fields_are_outlined_where_they_are() -> None:
    values = block(6, 8)
    fields = delineate(scene(values), FRAME, SMALL)
    assert len(fields) == 48
    assert len(set(fields.ids)) == 48
    areas = [polygon(list(rings)) for rings in fields.shapes]
    for n in range(48):
        row, column = np.divmod(n, 8)
        true = shapely.box(16 * column, 16 * row, 16 * column + 16, 16 * row + 16)
        best = max(area.intersection(true).area / area.union(true).area for area in areas)
        assert best > 0.85
    np.testing.assert_allclose(fields.hectares, [area.area / 100 / 0.9996**2 for area in areas], rtol=1e-3)
    assert fields.ids[0] == "500005_5599995"
    assert np.isnan(fields.declared).all()


def test_neighbours_share_their_borders() -> None:
    values = block(6, 8)
    areas = [polygon(list(rings)) for rings in delineate(scene(values), FRAME, SMALL).shapes]
    together = shapely.union_all(areas)
    assert together.area == pytest.approx(sum(area.area for area in areas), abs=1e-6)
    assert together.area > 0.97 * values[0].size
    assert all(area.is_valid for area in areas)


@pytest.mark.parametrize("kind", ["noise", "ties"])
def test_the_size_of_tiles_and_the_window_change_nothing(kind: str) -> None:
    rng = np.random.default_rng(1)
    if kind == "ties":  # even areas, many alike: ties everywhere, fields of many shapes, some too large
        values = np.kron(rng.integers(1, 6, (1, 14, 18)), np.ones((1, 17, 13))).astype(np.float32) * 0.05
        bands: tuple[str, ...] = ("nir",)
    else:
        values, bands = block(14, 16, 3, noise=0.02), BANDS
    whole = known(list(find(scene(values, bands), SMALL)))
    assert len(whole) > 60
    for tile in (64, 97, 500):
        assert known(list(find(scene(values, bands), SMALL._replace(tile=tile)))) == whole
    height, width = values.shape[1:]
    far = 2 * SMALL.largest + delineation.MARGIN
    for row, column in ((0, 0), (11, 5), (0, 23), (18, 0)):
        part = known(list(find(scene(values[:, row:, column:], bands), SMALL)), row, column)
        window = Window(row + far * (row > 0), height, column + far * (column > 0), width)
        assert within(part, window) == within(whole, window)
        assert len(within(whole, window)) > 20


@given(st.integers(0, 100), st.integers(0, 30), st.integers(0, 30), st.sampled_from([64, 75, 128]))
@settings(deadline=None, max_examples=8)
def test_any_shift_gives_the_same_deep_inside(seed: int, down: int, across: int, tile: int) -> None:
    values = block(15, 15, seed, 12, noise=0.03)
    limits = Limits(largest=16, strength=0.2, tile=tile)
    far = 2 * limits.largest + delineation.MARGIN
    whole = known(list(find(scene(values), limits)))
    part = known(list(find(scene(values[:, down:, across:]), limits._replace(tile=100))), down, across)
    window = Window(down + far, 180, across + far, 180)
    assert within(part, window) == within(whole, window)
    assert len(within(whole, window)) > 10


def test_real_farmland_is_the_same_from_every_window(shared: Path) -> None:
    with rasterio.open(shared / "data" / "agriculture" / "ftw_fields" / "inference-img.tif") as file:
        values = file.read().astype(np.float32) * np.float32(1e-4)
    bands = (*BANDS, *(f"{band}_2" for band in BANDS))
    limits = Limits(largest=40)
    whole = known(list(find(scene(values, bands), limits)))
    assert 250 < len(whole) < 600
    assert known(list(find(scene(values, bands), limits._replace(tile=100)))) == whole
    far = 2 * limits.largest + delineation.MARGIN
    part = known(list(find(scene(values[:, 20:, 33:], bands), limits)), 20, 33)
    window = Window(20 + far, 379, 33 + far, 578)
    assert within(part, window) == within(whole, window)
    assert len(within(whole, window)) > 100


def test_water_clouds_and_what_is_missing_are_no_fields() -> None:
    class Cloudy(Plain):
        def quality(self, window: Window) -> np.ndarray:
            code = super().quality(window)
            whole = np.zeros((96, 128), np.uint8)
            whole[48:64, 48:64] = CLOUD
            return np.where(whole[window.row0 : window.row1, window.column0 : window.column1] == CLOUD, np.uint8(CLOUD), code)

    values = block(6, 8)
    values[:, 16:32, 16:32] = np.array([0.04, 0.06, 0.05, 0.02])[:, None, None]
    values[:, 64:80, 80:96] = np.nan
    found = delineate(Cloudy(image(values)), FRAME, SMALL)
    areas = [polygon(list(rings)) for rings in found.shapes]
    for column, row in ((16, 16), (48, 48), (80, 64)):
        hidden = shapely.box(column + 1, row + 1, column + 15, row + 15)
        assert sum(area.intersection(hidden).area for area in areas) < 0.05 * hidden.area
    assert len(found) == 45


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 64, 64), np.float32),
        np.full((4, 64, 64), np.nan, np.float32),
        np.zeros((1, 1, 1), np.uint8),
        np.zeros((3, 5, 7), np.uint16),
        np.random.default_rng(0).integers(0, 256, (60, 40, 40)).astype(np.uint8),
    ],
)
def test_where_there_is_nothing_to_see_there_is_no_field(values: np.ndarray) -> None:
    bands = tuple(f"b{n}" for n in range(len(values)))
    assert len(delineate(scene(values, bands), FRAME)) == 0
    assert len(Boundaries().predict([image(values, bands)])[0]) == 0


def test_the_model_labels_fields_by_the_schema() -> None:
    schema = Schema.from_config(
        {
            "name": "farm",
            "kinds": ["polygon"],
            "classes": {"zone": {}, "field": {}},
            "attributes": {
                "field": {"type": "text"},
                "area_ha": {"type": "number"},
                "method": {"type": "choice", "choices": ["automated", "manual"]},
            },
        }
    )
    values = block(6, 8)
    model = Boundaries(schema, largest=40)
    (labels,) = model.predict([image(values)])
    schema.check(labels, (96, 128))
    assert model.partial
    assert len(labels) == 48
    assert set(labels.class_id) == {1}
    assert set(labels.kind) == {Kind.POLYGON}
    assert set(labels.attributes) == {"field", "area_ha", "method"}
    assert labels.attributes["area_ha"].sum() == pytest.approx(96 * 128 / 100, rel=0.03)
    assert (labels.score == labels.evidence["boundary"]).all()
    assert (labels.evidence["boundary"] > 0.8).all()
    assert (labels.evidence["compactness"] > 0.6).all()
    assert labels == model.predict([image(values)])[0]
    assert set(Boundaries().predict([image(values)])[0].attributes) == set()


def test_a_weak_outline_has_a_weak_score() -> None:
    values = block(4, 4, noise=0.0)
    faint = np.mean(values, axis=(1, 2), keepdims=True) + (values - np.mean(values, axis=(1, 2), keepdims=True)) * 0.08
    strong, weak = (list(find(scene(one), Limits(largest=40, strength=0))) for one in (values, faint.astype(np.float32)))
    assert min(one.strength for one in strong) > 0.9
    assert max((one.strength for one in weak), default=0) < 0.9


@pytest.mark.parametrize(
    "bad", [{"largest": 4}, {"least": 0}, {"tile": 10}, {"strength": 2}, {"simplify": -1}, {"step": 0}, {"least": 100_000}]
)
def test_settings_out_of_range_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="boundaries needs"):
        Boundaries(**bad)  # type: ignore[arg-type]


def test_a_class_that_the_schema_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match="field") as caught:
        Boundaries(Schema.from_config({"name": "x", "kinds": ["box"], "classes": {"cow": {}}}))
    assert caught.value.choices == ["cow"]
