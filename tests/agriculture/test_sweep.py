"""The sweep gives each field its own pixels, whatever the blocks and threads are; footprints against shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from hyla.errors import BadItem, ConfigError
from hyla.frame import Frame, MapFrame
from hyla_agriculture import sweep as module
from hyla_agriculture.footprints import footprints, metres, windows
from hyla_agriculture.indices import Evaluator
from hyla_agriculture.scene import CLOUD, Fields, Window
from hyla_agriculture.sweep import batches, sweep
from zones_kit import Land, fields_of

NDVI = {"ndvi": "NDVI", "ndmi": "NDMI"}


def land(size=200):
    found = Land(size)
    found.grid(8)
    found.hide(shapely.box(20, 30, 60, 50), CLOUD)
    return found


def evaluator(scene):
    return Evaluator(NDVI, "cpu").on(scene.bands)


def pixels(image, threads=1):
    found = sweep(image.pixels, image.pixels.fields, evaluator(image.pixels), image.frame, threads)
    return {one.number: one for one in found}


@st.composite
def outlines(draw):
    """Draw a polygon around (30, 30), of points on a grid of 1/8 pixel, which often lie on the borders of pixels."""
    count = draw(st.integers(3, 9))
    angles = sorted(draw(st.lists(st.floats(0, 6.28), min_size=count, max_size=count, unique=True)))
    radii = draw(st.lists(st.floats(2, 25), min_size=count, max_size=count))
    ends = [(r * np.cos(a), r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]
    points = 30 + np.round(np.array(ends) * 8) / 8
    hole = draw(st.booleans())
    shape = shapely.Polygon(points)
    if not shape.is_valid or shape.area < 1:
        return shapely.box(20.5, 21, 33, 40)
    if hole and shape.contains(small := shapely.box(28.5, 28, 31, 32.25)):
        shape = shape.difference(small)
    return shape


@settings(deadline=None, max_examples=60)
@given(outlines(), st.sampled_from([(10.0, 10.0), (30.0, 30.0), (2.0, 2.0), (250.0, 250.0), (8.0, 14.0)]))
def test_footprints_are_what_shapely_finds_pixel_by_pixel(shape, pixel):
    fields = fields_of([shape], [None], (0, 0), (60, 60))
    [window] = windows(fields, (60, 60))
    found = footprints(fields, [0], [window], np.array([pixel]))
    y, x = np.mgrid[window.row0 : window.row1, window.column0 : window.column1]
    x, y = x.ravel(), y.ravel()
    near = shapely.distance(shape.boundary, shapely.points(x + 0.5, y + 0.5))
    sure = near > 1e-9  # a centre on the border belongs to one of the two sides
    np.testing.assert_array_equal(found.inside[sure], shapely.contains_xy(shape, x + 0.5, y + 0.5)[sure])
    # In metres, where the buffer is a disc and pixels are rectangles.
    ground = shapely.transform(shape, lambda points: points * pixel)
    away = shapely.distance(ground.boundary, shapely.box(x * pixel[0], y * pixel[1], (x + 1) * pixel[0], (y + 1) * pixel[1]))
    expected = shapely.contains_xy(shape, x + 0.5, y + 0.5) & (away >= 5 - 1e-4)
    sure = np.abs(away - 5) > 2e-3
    np.testing.assert_array_equal(found.full[sure], expected[sure])
    assert found.lost[0] == pytest.approx(1 - found.full.sum() / found.inside.sum() if found.inside.any() else 1)
    if found.inside.any() and not (np.abs(near - 1) < 1e-5).any():
        assert found.edge[0] == pytest.approx((near[found.inside] < 1).mean())


def test_a_field_that_lies_on_pixel_borders_keeps_what_just_fits():
    fields = fields_of([shapely.box(10, 10, 20, 18)], [None], (0, 0), (40, 40))
    [window] = windows(fields, (40, 40))
    assert window == Window(10, 18, 10, 20)
    whole = footprints(fields, [0], [window], np.array([[1e9, 1e9]]))
    assert whole.full.sum() == whole.inside.sum() == 80
    half = footprints(fields, [0], [window], np.array([[10.0, 10.0]]))
    assert half.full.sum() == 8 * 6
    assert half.edge[0] == pytest.approx(1 - 8 * 6 / 80)
    unknown = footprints(fields, [0], [window], np.full((1, 2), np.nan))
    np.testing.assert_array_equal(unknown.full, half.full)


@pytest.mark.parametrize(
    ("crs", "transform", "expected"),
    [
        ("EPSG:32633", (10, 0, 500_000, 0, -10, 5_700_000), (10.004, 10.004)),
        ("EPSG:3857", (10, 0, 1_670_000, 0, -10, 8_400_000), (5.0, 5.0)),  # at 60 degrees north a metre is half as long
        ("EPSG:4326", (1e-4, 0, 15, 0, -1e-4, 60), (5.58, 11.14)),
    ],
)
def test_pixels_are_measured_on_the_ground(crs, transform, expected):
    frame = MapFrame(transform, crs)
    assert metres(frame, [Window(0, 10, 0, 10)])[0] == pytest.approx(expected, rel=0.01)
    assert np.isnan(metres(Frame(), [Window(0, 10, 0, 10)])).all()
    assert np.isnan(metres(MapFrame((1, 0, 1e9, 0, -1, 1e9), "EPSG:32633"), [Window(0, 9, 0, 9)])).all()


@pytest.mark.parametrize("blocks", [(64, 64), (1, 200), (16, 16), (512, 512), (200, 33), (7, 11)])
@pytest.mark.parametrize("threads", [1, 3])
def test_neither_blocks_nor_threads_change_a_field(blocks, threads, monkeypatch):
    monkeypatch.setattr(module, "LEAST_BLOCK", 32)
    drawn = land()
    image = drawn.image(blocks=blocks)
    scene, fields = image.pixels, image.pixels.fields
    found = pixels(image, threads)
    assert sorted(found) == list(range(len(fields)))
    direct = evaluator(scene)
    whole = direct(scene.reflectance(Window(0, 200, 0, 200), direct.bands))
    for number, one in found.items():
        row0, row1, column0, column1 = one.window
        np.testing.assert_array_equal(one.values, whole[:, row0:row1, column0:column1])
        np.testing.assert_array_equal(one.quality, drawn.quality[row0:row1, column0:column1])
        np.testing.assert_array_equal(one.full & ~one.inside, False)
        assert one.number == number


def test_each_pixel_is_read_once_and_only_around_fields(monkeypatch):
    monkeypatch.setattr(module, "LEAST_BLOCK", 32)
    drawn = Land(400)
    drawn.field(shapely.box(20, 30, 75, 90))
    drawn.field(shapely.box(300, 310, 360, 380))
    image = drawn.image(blocks=(32, 32))
    list(batches(image.pixels, image.pixels.fields, evaluator(image.pixels), image.frame, 2))
    count = np.zeros((400, 400), int)
    for window in image.pixels.windows:
        count[window.row0 : window.row1, window.column0 : window.column1] += 1
    assert count.max() == 1
    assert count.sum() == 55 * 60 + 60 * 70
    assert len(image.pixels.threads) <= 2


def test_memory_holds_a_few_rows_of_blocks_only(monkeypatch):
    monkeypatch.setattr(module, "LEAST_BLOCK", 32)
    drawn = Land(640)
    for n in range(200):
        drawn.shapes.append(shapely.box(10, 4 + 3 * n, 600, 6 + 3 * n))
        drawn.crops.append(None)
    image = drawn.image(blocks=(32, 32))
    held = []
    finish = module._Work.finish

    def watched(work, row):
        held.append(sum(one.quality.size for one in work.buffers.values()))
        return finish(work, row)

    monkeypatch.setattr(module._Work, "finish", watched)
    total = sum(one.quality.size for one in sweep(image.pixels, image.pixels.fields, evaluator(image.pixels), image.frame, 2))
    assert len(held) == 19
    assert max(held) < total / 3


def test_large_batches_are_cut_and_give_the_same(monkeypatch):
    image = land().image()
    whole = pixels(image)
    monkeypatch.setattr(module, "BATCH", 600)
    parts = pixels(image)
    assert len(list(batches(image.pixels, image.pixels.fields, evaluator(image.pixels), image.frame))) > 20
    for number, one in whole.items():
        np.testing.assert_array_equal(one.values, parts[number].values)
        np.testing.assert_array_equal(one.full, parts[number].full)


def test_what_cannot_be_read_is_the_scenes_error_and_threads_end():
    import threading

    image = land().image(blocks=(32, 32))
    image.pixels.broken = 120
    with pytest.raises(BadItem, match="ends here"):
        list(sweep(image.pixels, image.pixels.fields, evaluator(image.pixels), image.frame, 2))
    assert not [one for one in threading.enumerate() if one.name.startswith("hyla-sweep")]


def test_odd_fields_and_settings():
    image = land(120).image()
    scene = image.pixels
    assert list(sweep(scene, Fields(), evaluator(scene))) == []
    tiny = fields_of([shapely.box(5.1, 5.1, 5.2, 5.2), shapely.box(50, 50, 70, 60)], [None, None], (0, 0), (120, 120))
    found = {one.number: one for one in sweep(scene, tiny, evaluator(scene))}
    assert not found[0].inside.any()
    assert found[1].inside.sum() == 200
    with pytest.raises(ConfigError):
        list(batches(scene, tiny, evaluator(scene), threads=0))
