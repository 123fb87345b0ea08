"""Maps and huge pictures: shown by tiles, measured in the world, edited by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from rasterio.warp import transform
from shapely import Polygon

from gallery_scenes import HUGE
from page_kit import decisions, drag, holds, ids, labels, near, press, saved, seen, settle, spot
from screens import COLOURS, TILES, open_map
from served import Served

FIELD, GROUND = (200.0, 170.0), (290.0, 240.0)  # inside the first field, and beside it
NUMBERS = re.compile(r"EPSG:32633\s+([\d.]+), ([\d.]+)\s+([\d.]+)° N ([\d.]+)° E\s+x (\d+) y (\d+)")


@pytest.fixture
def raster(serve: Callable[..., Served], visit: Callable[..., Page]) -> tuple[Served, Page, str]:
    here = serve("raster 1")
    (item,) = ids(here.project, "raster").values()
    page = visit(here)
    open_map(page, item)
    return here, page, item


def colours(page: Page) -> Any:
    """Wait until all tiles are there, and return what is painted of a field and of the ground."""
    page.wait_for_function(TILES)
    settle(page)
    return np.array(page.evaluate(COLOURS, [FIELD, GROUND]), int)[:, :3]


def changed(page: Page, before: Any) -> Any:
    """Wait until other tiles are there than those of `before`."""
    page.wait_for_function(
        f"([points, before]) => JSON.stringify(({COLOURS})(points).map((one) => one?.slice(0, 3))) !== before",
        arg=[[FIELD, GROUND], str(before.tolist()).replace(" ", "")],
    )
    return colours(page)


def test_bands_and_stretch(raster: tuple[Served, Page, str]) -> None:
    _, page, _ = raster
    natural = colours(page)
    assert natural[0][1] > natural[0][0], "fields are green"
    bands = page.get_by_role("group", name="Bands")
    choice = lambda name: bands.locator("label", has=page.locator("span", has_text=re.compile(f"^{name}$"))).locator("select")  # noqa: E731
    choice("Red").select_option("nir")
    infrared = changed(page, natural)
    assert infrared[0][0] > natural[0][0], "and bright in the infrared"
    assert np.abs(infrared[:, 1:] - natural[:, 1:]).max() < 12
    for colour in ("Red", "Blue"):
        choice(colour).select_option("green")
        infrared = changed(page, infrared)
    assert np.ptp(infrared, axis=1).max() <= 4, "one band three times is grey"
    choice("Stretch").select_option("0-100")
    whole = changed(page, infrared)
    assert whole[0][0] < infrared[0][0]
    choice("Stretch").select_option("none")
    changed(page, whole)


def test_coordinates_under_the_pointer(raster: tuple[Served, Page, str]) -> None:
    _, page, _ = raster
    (x0, y0), (x1, y1) = spot(page, 0, 0), spot(page, 1000, 1000)
    for x, y in ((100, 100), (650, 333), (1150, 500), (15, 720)):
        at = [round(n) for n in spot(page, x, y)]
        page.mouse.move(*at)
        column, row = (at[0] - x0) * 1000 / (x1 - x0), (at[1] - y0) * 1000 / (y1 - y0)
        line = page.locator("footer .numbers")
        expect(line).to_contain_text("° E")
        expect(line).to_contain_text(f"x {int(column)} y {int(row)}")
        found = NUMBERS.search(line.inner_text().replace("\n", " "))
        assert found, line.inner_text()
        east, north, lat, lon = (float(n) for n in found.groups()[:4])
        assert near([east, north], [500000 + 0.5 * column, 4650000 - 0.5 * row], 0.011)
        (true_lon,), (true_lat,) = transform("EPSG:32633", "EPSG:4326", [east], [north])
        assert near([lat, lon], [true_lat, true_lon], 1.5e-6)
    page.mouse.move(*(n - 8 for n in spot(page, 0, 0)))
    expect(page.locator("footer .numbers")).not_to_contain_text("EPSG")


def test_a_polygon_is_edited_and_measured(raster: tuple[Served, Page, str]) -> None:
    here, page, item = raster
    shown = seen(page)
    row = shown["selected"]
    ring, *holes = shown["labels"][row]["shape"]
    metres = lambda rings: Polygon(rings[0], rings[1:]).area * 0.5**2  # noqa: E731
    facts = page.get_by_label("Selected label")
    expect(facts).to_contain_text(f"{metres([ring, *holes]):.4g} m²")
    corner = ring[1]
    drag(page, corner, (corner[0] + 30, corner[1] - 20))
    after = seen(page)["labels"][row]["shape"]
    assert near(after[0][1], [corner[0] + 30, corner[1] - 20], 2)
    assert after[1:] == holes
    expect(facts).to_contain_text(f"{metres(after):.4g} m²")
    press(page, "Enter")
    page.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(page)
    stored = labels(here.project, item)
    machine = labels(here.project, item, "model")
    assert stored[row]["shape"] == after
    assert stored[:row] + stored[row + 1 :] == machine[:row] + machine[row + 1 :]
    assert [one.action for one in decisions(here.project, item)] == ["edit"]
    holds(here.project)


def test_a_picture_of_100_megapixels(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("huge 1")
    (item,) = ids(here.project, "huge").values()
    page = visit(here, reduced_motion="reduce")  # so that a turn of the wheel is over at once
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/media/" in one.url else None)
    open_map(page, item)
    assert asked
    assert all("/tile/" in url or "max=" in url for url in asked), "never the whole picture at once"
    assert not any("max=full" in url for url in asked)
    assert scale(page) < 1, "what is asked about is seen as large as it is"
    press(page, "0")
    page.wait_for_function(TILES)
    corners = np.array([spot(page, 0, 0), spot(page, *HUGE[::-1])])
    assert (corners > 0).all()
    assert (corners < (1280, 720)).all()
    assert scale(page) > 10
    at, first = [round(n) for n in spot(page, 7100, 3050)], scale(page)
    page.mouse.move(*at)
    while (before := scale(page)) > 0.9:
        page.mouse.wheel(0, -300)
        page.wait_for_function("(x) => window.__hyla.viewer.pixelOf(0, 0)[0] < x", arg=spot(page, 0, 0)[0])
        assert scale(page) < before
        # The pointer is at a whole pixel of the screen, so half a one off at first.
        assert near(list(spot(page, 7100, 3050)), at, 2 + 0.5 * first / scale(page)), "what is below the pointer stays there"
    page.wait_for_function(TILES)
    white = [(7003, 3003), (7196, 3003), (7196, 3096), (7003, 3096)]
    grey = [(6990, 3050), (7210, 3050), (7100, 2990), (7100, 3110)]
    page.wait_for_function(f"(points) => ({COLOURS})(points).every((one) => one && one[0] > 240)", arg=white)
    for (x, y), colour in zip(grey, page.evaluate(COLOURS, grey), strict=True):
        assert abs(colour[0] - (y // 32 + x // 32) % 256) <= 6, "a pixel of the picture is where it belongs"
    assert max(int(url.split("/tile/")[1].split("/")[0]) for url in asked if "/tile/" in url) == 6
    press(page, "Enter")
    page.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(page)
    assert labels(here.project, item) == labels(here.project, item, "model")
    holds(here.project)


def scale(page: Page) -> float:
    """Return how many image pixels one CSS pixel covers."""
    return 1000 / (spot(page, 1000, 0)[0] - spot(page, 0, 0)[0])
