"""True areas and lengths, whatever the CRS."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Transformer

from hyla.frame import Frame, MapFrame
from hyla_agriculture.area import ground_resolution, hectares, latitude, pixel_metres

MODIS = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
EQUAL = "EPSG:6933"  # of WGS84: what is straight and large there needs points along its edges, and its areas are true


def ring(lon: float, lat: float, radius: float, turns: list[float]) -> shapely.Polygon:
    """Return a star-shaped polygon in degrees about a place: `radius` in metres times `turns` for its corners."""
    angles = np.linspace(0, 2 * np.pi, len(turns), endpoint=False)
    metres = radius * np.array(turns)[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return shapely.Polygon(np.array([lon, lat]) + metres / 111_000 / (math.cos(math.radians(lat)), 1))


corners = st.lists(st.floats(0.3, 1), min_size=3, max_size=12)


@given(st.floats(-178, 178), st.floats(-75, 75), st.floats(30, 3000), corners)
@settings(deadline=None, max_examples=60)
def test_an_area_is_that_of_an_equal_area_projection(lon: float, lat: float, radius: float, turns: list[float]) -> None:
    shape = ring(lon, lat, radius, turns)
    change = Transformer.from_crs("EPSG:4326", EQUAL, always_xy=True)
    dense = shapely.segmentize(shape, shape.length / 500)
    true = shapely.transform(dense, lambda p: np.stack(change.transform(*p.T), axis=1)).area / 1e4
    np.testing.assert_allclose(hectares([shape], "EPSG:4326"), [true], rtol=1e-4)


@given(st.floats(-170, 170), st.floats(-70, 70), st.floats(100, 1500), corners)
@settings(deadline=None, max_examples=60)
def test_every_crs_tells_the_same_area(lon: float, lat: float, radius: float, turns: list[float]) -> None:
    shape = shapely.segmentize(ring(lon, lat, radius, turns), radius / 111_000 / 20)  # edges mean the same in each CRS then
    zone = f"EPSG:{(32600 if lat >= 0 else 32700) + int((lon + 180) // 6) + 1}"
    (true,) = hectares([shape], "EPSG:4326")
    for crs in ("EPSG:3857", zone, MODIS, "ESRI:54008", CRS.from_epsg(6933).to_wkt()):
        change = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        moved = shapely.transform(shape, lambda p, to=change: np.stack(to.transform(*p.T), axis=1))
        np.testing.assert_allclose(hectares([moved], crs), [true], rtol=1e-4)


def test_a_degree_square_at_the_equator_is_known() -> None:
    # 1 x 1 degree north of the equator on WGS84: 12,308.8 km2, edges along the parallel at 1 degree.
    (area,) = hectares([shapely.segmentize(shapely.box(0, 0, 1, 1), 0.01)], "EPSG:4326")
    assert area == pytest.approx(1_230_877, rel=1e-4)


def test_holes_parts_and_what_has_no_area() -> None:
    whole, hole = shapely.box(500_000, 5_600_000, 501_000, 5_601_000), shapely.box(500_200, 5_600_200, 500_400, 5_600_400)
    far = shapely.box(510_000, 5_600_000, 511_000, 5_601_000)
    shapes = [
        whole.difference(hole),
        shapely.MultiPolygon([whole, far]),
        shapely.Point(500_000, 5_600_000),
        shapely.Polygon(),
        None,
    ]
    (one,) = hectares([whole], "EPSG:32633")
    got = hectares(shapes, "EPSG:32633")
    np.testing.assert_allclose(got, [one * 0.96, one * 2, 0, 0, 0], rtol=1e-4)
    assert one == pytest.approx(100 / 0.9996**2, rel=1e-5)
    assert hectares([shapely.box(1e9, 1e9, 2e9, 2e9)], "EPSG:32633")[0] != one  # nowhere: not a number, or nothing like it
    assert len(hectares([], "EPSG:4326")) == 0


def test_across_the_antimeridian_and_around_the_pole() -> None:
    change = Transformer.from_crs("EPSG:4326", "EPSG:32760", always_xy=True)
    x, y = change.transform(180, -17)
    (area,) = hectares([shapely.box(x - 500, y - 500, x + 500, y + 500)], "EPSG:32760")
    assert area == pytest.approx(100, rel=3e-3)
    (cap,) = hectares([shapely.Point(0, 0).buffer(1000, quad_segs=64)], "EPSG:3413")
    assert cap == pytest.approx(math.pi * 100 / 0.9697**2, rel=5e-3)  # scale of the projection at the pole


@pytest.mark.parametrize(
    ("transform", "crs", "across", "down", "north"),
    [
        ((10, 0, 500_000, 0, -10, 5_500_500), "EPSG:32633", 10.004, 10.004, 49.65),
        ((1e-4, 0, 13, 0, -1e-4, 60.005), "EPSG:4326", 5.58, 11.14, 60),
        ((10, 0, 1_500_000, 0, -10, 8_399_737), "EPSG:3857", 5.01, 5.01, 60),
        ((6, 8, 500_000, 8, -6, 5_500_500), "EPSG:32633", 10.004, 10.004, 49.65),
    ],
)
def test_a_pixel_has_its_size_on_the_ground(
    transform: tuple[float, ...], crs: str, across: float, down: float, north: float
) -> None:
    frame = MapFrame(transform, crs)  # type: ignore[arg-type]
    assert pixel_metres(frame, (100, 100)) == pytest.approx((across, down), rel=5e-3)
    assert ground_resolution(frame, (100, 100)) == pytest.approx(math.sqrt(across * down), rel=5e-3)
    assert latitude(frame, (100, 100)) == pytest.approx(north, abs=0.02)


@pytest.mark.parametrize("frame", [Frame(), MapFrame(), MapFrame((10, 0, 9e9, 0, -10, 9e9), "EPSG:32633")])
def test_what_is_on_no_map_has_no_size(frame: Frame) -> None:
    assert math.isnan(ground_resolution(frame, (10, 10)))
    assert math.isnan(latitude(frame, (10, 10)))
