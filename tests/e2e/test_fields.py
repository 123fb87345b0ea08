"""Fields of a place at several dates: compared, judged one by one, with points that were taken on the ground."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Response, expect
from rasterio.warp import transform

from gallery_scenes import dry, plot
from page_kit import click, decisions, drag, holds, ids, labels, near, press, rest, saved, seen, settle, spot, state, waiting
from screens import COLOURS, TILES, open_map
from served import Served

FIELDS = 24
DRY = tuple(float(v) for v in plot(3, FIELDS).mean(axis=0))  # dry in July, green in June
GREEN = tuple(float(v) for v in plot(7, FIELDS).mean(axis=0))  # green in both
MAY, JUNE, JULY = "1 May 2024", "5 Jun 2024", "10 Jul 2024"
Start = tuple[Served, Page, str]


@pytest.fixture
def july(serve: Callable[..., Served], visit: Callable[..., Page]) -> Start:
    """Return a server, and a page that shows the last of three dates of a place, all of it."""
    here = serve(f"series 1 {FIELDS}")
    page = visit(here, reduced_motion="reduce")
    item = dates(here)[2]
    open_map(page, item)
    return here, page, item


def dates(here: Served) -> list[str]:
    return [item for _, item in sorted(ids(here.project, "series").items())]


def colours(page: Page, *points: tuple[float, ...]) -> Any:
    """Return red, green and blue (n, 3) that are painted of the picture."""
    settle(page)
    return np.array(page.evaluate(COLOURS, [list(point) for point in points]), int)[:, :3]


def until(page: Page, point: tuple[float, ...], green: bool) -> None:
    """Wait until a point of the picture is painted green, or as dry land is."""
    page.wait_for_function(
        f"([point, green]) => {{ const c = ({COLOURS})([point])[0]; return c && c[3] && (c[1] > c[0] + 20) === green; }}",
        arg=[list(point), green],
    )


def strip(page: Page) -> Locator:
    return page.get_by_role("group", name="Dates of this place")


def test_the_dates_of_a_place_are_told(july: Start) -> None:
    _, page, _ = july
    assert strip(page).locator("li").all_inner_texts() == [MAY, JUNE, JULY]
    expect(strip(page).locator("[aria-current=date]")).to_have_text(JULY)
    expect(strip(page).get_by_role("button", name=JUNE)).to_have_attribute("aria-pressed", "true")
    expect(strip(page)).to_contain_text("Sentinel2")


def test_a_key_shows_the_date_before_under_the_same_view(july: Start) -> None:
    here, page, item = july
    before = spot(page, 0, 0)
    assert np.ptp(colours(page, DRY)) > 20
    until(page, DRY, green=False)
    page.keyboard.down("c")
    until(page, DRY, green=True)
    expect(page.get_by_text(f"This is {JUNE}. The labels are of {JULY}.")).to_be_visible()
    assert spot(page, 0, 0) == before
    page.keyboard.up("c")
    until(page, DRY, green=False)
    press(page, ",")
    expect(strip(page).get_by_role("button", name=MAY)).to_have_attribute("aria-pressed", "true")
    page.keyboard.down("c")
    until(page, GREEN, green=False)
    page.keyboard.up("c")
    until(page, GREEN, green=True)
    press(page, ".")
    strip(page).get_by_role("button", name="Other date").click()
    until(page, DRY, green=True)
    strip(page).get_by_role("button", name="Other date").click()
    until(page, DRY, green=False)
    assert seen(page)["labels"] == [
        {**one, **label} for one, label in zip(seen(page)["labels"], labels(here.project, item), strict=True)
    ]
    assert decisions(here.project) == []


def test_the_other_date_has_the_same_bands(july: Start) -> None:
    _, page, _ = july
    bands = page.get_by_role("group", name="Bands")
    bands.locator("label", has_text=re.compile("^Red")).locator("select").select_option("nir")
    page.wait_for_function(TILES)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/tile/" in one.url else None)
    page.keyboard.down("c")
    page.wait_for_function(f"(p) => {{ const c = ({COLOURS})([p])[0]; return c && c[0] > 240; }}", arg=list(DRY))
    page.keyboard.up("c")
    other = [url for url in asked if "scene=" in url]
    assert other
    assert all("scene=1&bands=4,2,3&stretch=2-98" in url.replace("%2C", ",") for url in other)


def test_a_divider_parts_two_dates(july: Start) -> None:
    _, page, _ = july
    press(page, "u")
    divider = page.get_by_role("slider", name=f"Divider between {JUNE} and {JULY}")
    expect(divider).to_be_focused()
    left, right = (tuple(plot(n, FIELDS).mean(axis=0)) for n in (0, 15))  # both are dry in July
    until(page, left, green=True)
    until(page, right, green=False)
    page.keyboard.press("Home")
    until(page, left, green=False)
    page.keyboard.press("End")
    until(page, right, green=True)
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", "50")
    page.keyboard.press("ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "51")
    until(page, right, green=False)
    box = divider.bounding_box()
    assert box
    x, y = spot(page, right[0] + 40, right[1])
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 60)
    page.mouse.down()
    page.mouse.move((box["x"] + x) / 2, y)
    page.mouse.move(x, y)
    page.mouse.up()
    until(page, right, green=True)
    page.keyboard.press("Escape")
    expect(page.get_by_role("application")).to_be_focused()
    press(page, "u")
    expect(divider).to_have_count(0)
    until(page, left, green=False)


def test_fields_are_judged_one_by_one(july: Start) -> None:
    here, page, item = july
    wanted = state(here.project, item)["open"]
    progress = page.get_by_label("Progress")
    asked = [row for row in range(FIELDS) if row % 4 == 0]
    expect(progress).to_contain_text("0 of 6 judged")
    judged: list[int] = []
    facts = page.get_by_label("Attributes", exact=True)
    why = page.locator("details", has_text="Why is this shown")
    for answer in ("a", "a", "x", "Space", "2"):
        rest(page)
        now = seen(page)
        row = now["selected"]
        judged.append(row)
        x0, y0, x1, y1 = now["labels"][row]["box"]
        (left, top), (right, bottom) = spot(page, x0, y0), spot(page, x1, y1)
        view = page.get_by_role("application").bounding_box()
        assert view
        assert view["x"] < left < right < view["x"] + view["width"]
        assert view["y"] < top < bottom < view["y"] + view["height"]
        if len(judged) > 1:
            assert max(right - left, bottom - top) > 0.25 * min(view["width"], view["height"]), "it was flown to"
        expect(facts).to_contain_text("crop wheat")
        severity = 48 if dry(row, 2) else 0
        expect(facts).to_contain_text(f"severity {severity} %")
        expect(facts).to_contain_text(re.compile(r"area [\d.]+ ha"))
        expect(why).to_contain_text("score below 0.5")
        if answer == "2":
            press(page, "/")
            page.keyboard.type("bare")
            page.keyboard.press("Enter")
            press(page, "a")
        else:
            press(page, answer)
    expect(progress).to_contain_text("5 of 6 judged")
    expect(progress).to_contain_text("3 right")
    expect(progress).to_contain_text("1 wrong")
    expect(progress).to_contain_text("1 unsure")
    assert judged == asked[:5], "least sure first"
    page.get_by_role("button", name="Accept", exact=False).first.click()
    page.wait_for_function("(id) => window.__hyla.bench.item?.id !== id", arg=item)
    saved(page)
    made = decisions(here.project, item)
    assert [(one.action, list(one.rows)) for one in made if one.action != "edit"] == [
        ("accept", [0]),
        ("accept", [4]),
        ("repair", [8]),
        ("unsure", [12]),
        ("accept", [20]),
    ]
    assert [one.action for one in made].index("edit") == 4
    stored = labels(here.project, item)
    assert stored[16]["class"] == "bare"
    assert [one["class"] for i, one in enumerate(stored) if i != 16] == [
        one["class"] for i, one in enumerate(labels(here.project, item, "model")) if i != 16
    ]
    assert state(here.project, item)["lane"] in ("repair", "second")
    assert waiting(here.project) == 1, "June is left"
    assert wanted
    holds(here.project)


def test_points_are_set_moved_and_removed(july: Start) -> None:
    here, page, item = july
    press(page, "o")
    expect(page.get_by_role("button", name="Point", exact=True)).to_have_attribute("aria-pressed", "true")
    click(page, (400, 300))
    page.get_by_role("combobox", name="Search a class").fill("sample")
    page.keyboard.press("Enter")
    shown = seen(page)
    point = shown["labels"][shown["selected"]]
    assert (point["class"], point["kind"], len(point["shape"])) == ("sample", "keypoints", 1)
    assert near(point["shape"][0], [400, 300, 2], 1)
    click(page, (420, 340))
    press(page, "Escape")
    assert len(seen(page)["labels"]) == FIELDS + 5
    at = seen(page)["labels"][-1]["shape"][0]
    drag(page, (at[0], at[1]), (450, 360))
    moved = seen(page)["labels"][-1]["shape"][0]
    assert near(moved, [450, 360, 2], 1.5)
    page.keyboard.press("ArrowRight")
    assert near(seen(page)["labels"][-1]["shape"][0], [moved[0] + 1, moved[1], 2], 1e-6)
    x, y = spot(page, 400, 300)
    page.mouse.click(x, y - 17)  # the head of the pin
    settle(page)
    assert seen(page)["selected"] == FIELDS + 3
    press(page, "Delete")
    assert len(seen(page)["labels"]) == FIELDS + 4
    press(page, "Enter")
    page.wait_for_function("(id) => window.__hyla.bench.item?.id !== id", arg=item)
    saved(page)
    stored = labels(here.project, item)
    assert len(stored) == FIELDS + 4
    assert (stored[-1]["class"], stored[-1]["kind"]) == ("sample", "keypoints")
    assert near(stored[-1]["shape"][0], [moved[0] + 1, moved[1], 2], 1e-6)
    assert [one.action for one in decisions(here.project, item)] == ["edit"]
    holds(here.project)


def test_points_by_keys_alone(july: Start) -> None:
    here, page, item = july
    press(page, "o", "Enter")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Search a class").fill("sample")
    page.keyboard.press("Enter")
    shown = seen(page)
    assert shown["labels"][-1]["class"] == "sample"
    press(page, "Escape", "Enter")
    page.wait_for_function("(id) => window.__hyla.bench.item?.id !== id", arg=item)
    saved(page)
    assert labels(here.project, item)[-1]["shape"] == shown["labels"][-1]["shape"]
    holds(here.project)


def test_points_are_placed_by_coordinates(july: Start) -> None:
    here, page, item = july
    field = page.get_by_role("textbox", name="Coordinates")
    point = page.locator("section", has=page.get_by_role("heading", name="Point"))
    (lon,), (lat,) = transform("EPSG:32633", "EPSG:4326", [503456.7], [4647654.3])
    press(page, "i")
    expect(field).to_be_focused()
    field.fill(f"{lon:.12f} {lat:.12f}")
    page.keyboard.press("Enter")
    page.get_by_role("combobox", name="Search a class").fill("sample")
    page.keyboard.press("Enter")
    first = seen(page)["labels"][-1]
    assert near(first["shape"][0], [345.67, 234.57, 2], 1e-4)
    expect(point).to_contain_text("503456.70, 4647654.30")
    expect(point).to_contain_text(f"{lat:.6f}° N {lon:.6f}° E")
    field.fill("503000.5, 4647000.25")
    page.get_by_role("button", name="Move here").click()
    settle(page)
    assert seen(page)["labels"][-1]["shape"][0] == [300.05, 299.975, 2]
    expect(point).to_contain_text("503000.50, 4647000.25")
    field.fill("41.97° N 15.04° E")
    page.get_by_role("button", name="Add", exact=True).click()
    settle(page)
    (east,), (north,) = transform("EPSG:4326", "EPSG:32633", [15.04], [41.97])
    second = seen(page)["labels"][-1]
    assert len(seen(page)["labels"]) == FIELDS + 5
    assert near(second["shape"][0], [(east - 500000) / 10, (4650000 - north) / 10, 2], 1e-4)
    for text, words in (
        (f"{lat} {lon}", "Longitude comes first"),
        ("3 4", "outside of this picture"),
        ("here", "Write two numbers"),
    ):
        field.fill(text)
        page.get_by_role("button", name="Add", exact=True).click()
        expect(point).to_contain_text(words)
    assert len(seen(page)["labels"]) == FIELDS + 5
    field.press("Escape")
    press(page, "Enter")
    page.wait_for_function("(id) => window.__hyla.bench.item?.id !== id", arg=item)
    saved(page)
    stored = labels(here.project, item)
    assert stored[-2]["shape"] == [[300.05, 299.975, 2]]
    assert stored[-1]["shape"] == second["shape"]
    holds(here.project)


def test_blind_answers_see_the_dates_and_nothing_else(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(f"series 1 {FIELDS}")
    heard: list[Response] = []
    page = visit(here, heard=heard, reduced_motion="reduce")
    page.get_by_label("Blind").check()
    page.get_by_role("button", name="Start re").click()
    page.wait_for_function("() => window.__hyla?.bench?.item?.mode === 'blind'")
    page.wait_for_function(TILES)
    expect(strip(page).locator("li")).to_have_count(3)
    page.keyboard.down("c")
    expect(page.get_by_text("The labels are of")).to_be_visible()
    page.keyboard.up("c")
    told = [answer.json() for answer in heard if "/api/v1/items/" in answer.url and answer.request.method == "GET"]
    assert told
    for one in told:
        assert (one["mode"], one["labels"], one["flags"], one["context"]) == ("blind", [], [], {})
        assert {key for scene in one["scenes"] for key in scene} == {"index", "name", "date", "sensor", "here", "same"}
    others = set(dates(here)) - {one["id"] for one in told}
    assert not any(other in json.dumps(told) for other in others)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(serve: Callable[..., Served], visit: Callable[..., Page], scheme: str) -> None:
    here = serve(f"series 1 {FIELDS}")
    page = visit(here, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    open_map(page, dates(here)[2])
    press(page, "u")
    press(page, "x", "Space")
    click(page, (float(plot(0, FIELDS)[2][0]) + 4, float(plot(0, FIELDS)[2][1]) + 4))
    settle(page)
    found = [one for one in Axe().run(page).response["violations"] if one["impact"] in ("serious", "critical")]
    assert found == [], json.dumps(found, indent=1)[:2000]


def test_two_thousand_fields(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("series 1 2000")
    page = visit(here, reduced_motion="reduce")
    item = dates(here)[2]
    open_map(page, item)
    expect(page.get_by_label("Progress")).to_contain_text("0 of 500 judged")
    before = page.evaluate("() => window.__hyla.viewer.counts()")
    assert before["labels"] == before["passive"] == 2003
    for _ in range(5):
        press(page, "a")
        rest(page)
    after = page.evaluate("() => window.__hyla.viewer.counts()")
    assert after["rebuilds"] - before["rebuilds"] <= 5, "the bitmap of all fields is drawn once for an answer at most"
    expect(page.get_by_label("Progress")).to_contain_text("5 of 500 judged")
    saved(page)
    assert [(one.action, list(one.rows)) for one in decisions(here.project, item)] == [("accept", [4 * i]) for i in range(5)]
    holds(here.project)


def test_a_map_of_no_date_offers_none(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("raster 1")
    page = visit(here)
    (item,) = ids(here.project, "raster").values()
    open_map(page, item)
    assert page.get_by_role("group", name=re.compile("^Date")).count() == 0
    page.keyboard.press("u")
    settle(page)
    assert page.get_by_role("slider").count() == 0
