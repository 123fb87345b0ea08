"""Odd names, lost files, specks, giants and nothing at all: the page shows what there is, says what there is not, and goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, expect

from gallery_scenes import HUGE, ODD
from page_kit import (
    another,
    click,
    decisions,
    drag,
    holds,
    ids,
    labels,
    near,
    on_screen,
    pixel,
    press,
    rest,
    saved,
    seen,
    settle,
    spot,
    start,
    state,
    waiting,
)
from served import Served

ODDITIES = "photo 4 9\ntiny 1\nempty 1"
Serve = Callable[..., Served]
Visit = Callable[..., Page]


def fits(page: Page) -> None:
    """Assert that nothing makes the page wider than the window."""
    for where in ("html", "main", "aside"):
        for one in page.locator(where).all():
            assert one.evaluate("(it) => it.scrollWidth - it.clientWidth") <= 0, where


def test_names_are_only_ever_text(serve: Serve, visit: Visit) -> None:
    here = serve(ODDITIES)
    page = visit(here)
    alarms: list[str] = []

    def refuse(dialog: Any) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    asked: list[str] = []
    page.on("dialog", refuse)
    page.on("request", lambda request: asked.append(request.url))
    page.locator("main .lanes").wait_for()
    by_name = ids(here.project)
    for n, name in enumerate(ODD):
        number = next(i for i in range(4) if ODD[(i + 8) % 4] == name)
        page.goto(f"{here.address}#/item/{by_name[f'photo-{number:04d}']}")
        shown = on_screen(page)
        row = next(i for i, one in enumerate(shown["labels"]) if one["class"] == name)
        x0, y0, x1, y1 = shown["labels"][row]["box"]
        click(page, ((x0 + x1) / 2, (y0 + y1) / 2))
        assert seen(page)["selected"] == row
        objects = page.get_by_role("listbox", name="Objects")
        expect(objects.locator(".row .name", has_text=name)).to_have_text(name)
        expect(page.get_by_role("region", name="Decision")).to_contain_text(name)
        expect(page.locator("aside .attributes bdi", has_text=name).first).to_have_text(name)
        fits(page)
        press(page, "x" if n == 0 else "a")  # what was done is told with the name, too
        settle(page)
        on_screen(page)
    page.goto(f"{here.address}#/item/{by_name['empty-0000 <b>&amp;</b>']}")
    on_screen(page)
    expect(page.locator("footer .name")).to_have_text("empty-0000 <b>&amp;</b>")
    press(page, "Shift+Q")
    page.get_by_role("heading", name="What waits").wait_for()
    fits(page)
    saved(page)
    assert page.locator("img").count() == page.locator("img[src^='/']").count()
    assert alarms == []
    assert [url for url in asked if not url.startswith((here.address, "blob:"))] == []
    assert [url for url in asked if url.removeprefix(here.address).startswith("x")] == []
    holds(here.project)


def test_a_file_that_is_gone(serve: Serve, visit: Visit) -> None:
    here = serve("photo 4 9\nbroken 1")
    page = visit(here, expect=("410", "404", "409"))
    item = ids(here.project, "broken")["source.files/broken-0000.jpg"]
    page.goto(f"{here.address}#/item/{item}")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The picture is gone")
    assert "/" not in alert.inner_text().replace("source.files/", ""), "no path of the server is told"
    alert.get_by_role("button", name="Unsure").click()
    another(page, item)
    saved(page)
    assert state(here.project, item)["lane"] == "second"
    press(page, "d")
    expect(alert).to_contain_text("The picture is gone")
    alert.get_by_role("button", name="Next item").click()
    another(page, item)
    holds(here.project)


def test_labels_of_one_pixel(serve: Serve, visit: Visit) -> None:
    here = serve(ODDITIES)
    (item,) = ids(here.project, "tiny").values()
    page = visit(here, screen=f"item/{item}")
    shown = on_screen(page)
    assert len(shown["labels"]) == 5
    machine = labels(here.project, item, "model")
    for n in range(4):
        row = seen(page)["selected"]
        x0, y0, x1, y1 = seen(page)["labels"][row]["box"]
        assert (x1 - x0, y1 - y0) == (1, 1)
        at = spot(page, (x0 + x1) / 2, (y0 + y1) / 2)
        area = page.locator("[role=application]").bounding_box()
        assert area is not None
        assert area["x"] < at[0] < area["x"] + area["width"]
        assert area["y"] < at[1] < area["y"] + area["height"]
        assert pixel(page) < 0.25, "close enough to be seen"
        press(page, "a")
        page.wait_for_function("(row) => __hyla.bench.selected !== row", arg=row)
        assert asked_left(page) == 4 - n
    row = seen(page)["selected"]
    x0, y0, x1, y1 = seen(page)["labels"][row]["box"]
    drag(page, (x1, y1), (x1 + 6, y1 + 4)) if x1 < 640 else drag(page, (x0, y0), (x0 - 6, y0 - 4))
    press(page, "a")
    another(page, item)
    saved(page)
    now = labels(here.project, item)
    assert [one["box"] for one in now[:row]] == [one["box"] for one in machine[:row]]
    wide, high = now[row]["box"][2] - now[row]["box"][0], now[row]["box"][3] - now[row]["box"][1]
    assert near([wide, high], [7, 5], 0.6)
    holds(here.project)


def asked_left(page: Page) -> int:
    return sum(one["open"] for one in seen(page)["labels"])


def fetched(page: Page, tile: str) -> None:
    """Wait until a tile, named by level, column and row, has come."""
    page.wait_for_function("(name) => performance.getEntriesByType('resource').some((one) => one.name.includes(name))", arg=tile)


def test_a_picture_of_100_megapixels(serve: Serve, visit: Visit) -> None:
    here = serve("huge 1")
    page = visit(here)
    tiles: list[Request] = []
    page.on("request", lambda request: tiles.append(request) if "/tile/" in request.url else None)
    shown = start(page)
    height, width = HUGE
    row = shown["selected"]
    assert shown["labels"][row]["box"] == [width - 100, height - 100, width, height]
    close = pixel(page)
    press(page, "0")  # all of it
    rest(page)
    assert pixel(page) > max(10, close)
    middle = spot(page, 1200, 1150)
    page.mouse.move(*middle)
    fetched(page, "0/0/0")
    for _ in range(30):
        page.mouse.wheel(0, -400)
        rest(page)
        if pixel(page) < 3:
            break
    assert pixel(page) < 3
    middle = spot(page, 1200, 1150)
    page.mouse.move(*middle)
    page.mouse.wheel(0, -400)
    rest(page)
    assert near(spot(page, 1200, 1150), middle, 2), "what lies under the pointer stays there"
    fetched(page, "6/4/4")  # the sharpest tiles, of what is in view

    page.mouse.down()
    page.mouse.move(middle[0] - 150, middle[1] - 80, steps=4)
    page.mouse.up()
    rest(page)
    moved = spot(page, 1200, 1150)
    assert near(moved, [middle[0] - 150, middle[1] - 80], 60), "as far as the hand, and a little further"
    assert moved[0] < middle[0] - 100
    told = [request.response() for request in tiles]
    assert all(one is None or one.status == 200 for one in told)
    assert max(len(one.body()) for one in told if one is not None) < 200_000

    press(page, "Tab")
    at = seen(page)["selected"]
    assert at != row
    click(page, (1200, 1150))
    assert seen(page)["selected"] == at
    drag(page, (1400, 1300), (1380, 1280))
    press(page, "Enter")
    page.get_by_role("heading", name="Nothing more waits here").wait_for()
    saved(page)
    (item,) = ids(here.project).values()
    assert near(labels(here.project, item)[at]["box"], [1000, 1000, 1380, 1280], 3)
    assert state(here.project, item)["outcome"] == "accept"
    holds(here.project)


def test_an_item_without_labels(serve: Serve, visit: Visit) -> None:
    here = serve(ODDITIES)
    (item,) = ids(here.project, "empty").values()
    page = visit(here, screen=f"item/{item}")
    on_screen(page)
    expect(page.get_by_role("region", name="Decision")).to_contain_text("Something is missing")
    press(page, "Delete", "Tab", "5", "e")
    assert decisions(here.project) == []
    press(page, "x")
    saved(page)
    page.wait_for_function("(id) => __hyla.bench.item?.id !== id", arg=item)
    assert state(here.project, item)["lane"] == "repair"

    page.goto(f"{here.address}#/item/{item}")
    page.wait_for_function("(id) => __hyla.bench.item?.id === id && __hyla.bench.ready", arg=item)
    press(page, "b")
    drag(page, (50, 50), (150, 150))
    page.keyboard.type("car")
    page.keyboard.press("Enter")
    press(page, "Enter")
    saved(page)
    page.wait_for_function("(id) => __hyla.bench.item?.id !== id", arg=item)
    found = state(here.project, item)
    assert (found["lane"], found["outcome"]) == ("", "accept")
    assert [one["class"] for one in labels(here.project, item)] == ["car"]
    holds(here.project)


def test_nothing_waits(serve: Serve, visit: Visit, tmp_path: Path) -> None:
    here = serve("empty 2")
    assert waiting(here.project) == 0
    page = visit(here, expect=("404",))
    page.get_by_role("heading", name="Nothing waits. All is answered.").wait_for()
    press(page, "Enter", "g", "z")
    expect(page.locator(".toasts")).to_contain_text("Nothing to undo.")
    page.get_by_role("link", name="Dashboard").click()
    page.get_by_role("heading", level=1).first.wait_for()
    fits(page)
    press(page, "Shift+Q")
    page.get_by_role("heading", name="Nothing waits. All is answered.").wait_for()
    fits(page)
    page.goto(f"{here.address}#/item/no-such-item")
    expect(page.get_by_role("alert")).to_contain_text("no-such-item")
    assert decisions(here.project) == []
