"""Changing what the machine proposed: only what a hand touched is another label afterwards, and leaving sends what was done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

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
    press,
    saved,
    seen,
    spot,
    start,
    state,
    waiting,
)
from served import Served

ROOF, CAR = 2, 0  # rows of a photo of the gallery


@pytest.fixture
def photo(serve: Callable[..., Served], visit: Callable[..., Page]) -> tuple[Served, Page, str]:
    """Serve a project with photos and open the first one, in which the car is open; give the page and the item's id."""
    here = serve("photo 24 9")
    page = visit(here)
    shown = start(page)
    assert [one["kind"] for one in shown["labels"]][ROOF] == "polygon"
    assert shown["selected"] == CAR
    return here, page, shown["id"]


def pick_roof(page: Page) -> list[list[float]]:
    """Click on the roof, beside its hole; return its outline."""
    ring = seen(page)["labels"][ROOF]["shape"][0]
    (x0, y0), (x1, _) = ring[:2]
    click(page, (x0 + 0.2 * (x1 - x0), y0 + 12))
    assert seen(page)["selected"] == ROOF
    return list(ring)


def outline(page: Page) -> list[list[float]]:
    return list(seen(page)["labels"][ROOF]["shape"][0])


def test_vertices_of_a_polygon(photo: tuple[Served, Page, str]) -> None:
    here, page, item = photo
    ring = pick_roof(page)
    x1, y1 = ring[1]
    drag(page, (x1, y1), (x1 - 15, y1 + 22))
    ring[1] = [x1 - 15, y1 + 22]
    assert near(outline(page), ring, 1)

    middle = [(ring[3][0] + ring[4][0]) / 2, (ring[3][1] + ring[4][1]) / 2]
    drag(page, tuple(middle), (middle[0] - 5, middle[1] - 25))  # an edge: a vertex comes in
    ring.insert(4, [middle[0] - 5, middle[1] - 25])
    assert near(outline(page), ring, 1)

    page.keyboard.down("Alt")
    click(page, tuple(ring[3]))
    page.keyboard.up("Alt")
    del ring[3]
    assert near(outline(page), ring, 1)

    press(page, "Enter")
    another(page, item)
    saved(page)
    (made,) = decisions(here.project)
    assert (made.action, made.who, made.mode) == ("edit", "ann", "single")
    machine, now = labels(here.project, item, "model"), labels(here.project, item)
    assert [row for row, one in enumerate(now) if one != machine[row]] == [ROOF]
    assert near(now[ROOF]["shape"][0], ring, 1)
    assert near(now[ROOF]["shape"][1:], machine[ROOF]["shape"][1:], 0.01), "the hole is where it was"
    assert now[ROOF]["attributes"] == machine[ROOF]["attributes"]
    assert labels(here.project, item, "model") == machine
    holds(here.project)


def test_class_attributes_and_note_by_keyboard(photo: tuple[Served, Page, str]) -> None:
    here, page, item = photo
    machine = labels(here.project, item, "model")
    press(page, "5")
    assert seen(page)["labels"][CAR]["class"] == "car", "a box is no lane"
    press(page, "2")
    assert seen(page)["labels"][CAR]["class"] == "truck"

    press(page, "y")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.type") != "number":
        page.keyboard.press("Tab")
    page.keyboard.type("12")
    page.keyboard.press("Tab")
    expect(page.get_by_role("group", name="count").get_by_role("alert")).to_be_visible()
    assert seen(page)["labels"][CAR]["attributes"].get("count") == machine[CAR]["attributes"].get("count")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Control+a")
    page.keyboard.type("7")
    page.keyboard.press("Tab")
    page.get_by_label("colour").get_by_text("blue").click()

    page.locator("[role=application]").focus()
    press(page, "m")
    page.keyboard.type("a van, <b>really</b>")
    page.keyboard.press("Enter")
    press(page, "a")
    another(page, item)
    saved(page)
    (made,) = decisions(here.project)
    assert (made.action, made.note) == ("edit", "a van, <b>really</b>")
    now = labels(here.project, item)
    assert [row for row, one in enumerate(now) if one != machine[row]] == [CAR]
    assert now[CAR]["class"] == "truck"
    given = now[CAR]["attributes"]
    assert (given["occluded"], given["count"], given["colour"]) == (True, 7, "blue")
    assert near(now[CAR]["box"], machine[CAR]["box"], 0)
    found = state(here.project, item)
    assert (found["outcome"], found["lane"]) == ("accept", "")
    holds(here.project)


def test_a_polygon_that_crosses_itself_is_said_so_and_kept(photo: tuple[Served, Page, str]) -> None:
    here, page, item = photo
    ring = pick_roof(page)
    (x0, y0), (x1, y1) = ring[:2]
    drag(page, (x0, y0), (x1 + 30, y1 + 60))
    expect(page.get_by_text("The outline crosses itself")).to_be_visible()
    press(page, "Enter")
    another(page, item)
    saved(page)
    assert near(labels(here.project, item)[ROOF]["shape"][0][0], [x1 + 30, y1 + 60], 1)
    assert state(here.project, item)["outcome"] == "accept"
    holds(here.project)


def test_leaving_sends_what_was_done_and_asks_nothing_twice(photo: tuple[Served, Page, str]) -> None:
    here, page, item = photo
    before = waiting(here.project)
    ring = pick_roof(page)
    drag(page, tuple(ring[1]), (ring[1][0] - 15, ring[1][1] + 22))
    box = seen(page)["labels"][CAR]["box"]
    press(page, "f")
    following = another(page, item)
    saved(page)
    (made,) = decisions(here.project)
    assert (made.item_id, made.action) == (item, "edit")
    assert made.after["open"] == str(CAR), "the car is still asked about"
    assert near(labels(here.project, item)[ROOF]["shape"][0][1], [ring[1][0] - 15, ring[1][1] + 22], 1)
    assert waiting(here.project) == before

    press(page, "d")
    shown = another(page, following["id"])
    assert shown["id"] == item
    assert near(shown["labels"][ROOF]["shape"][0][1], [ring[1][0] - 15, ring[1][1] + 22], 1)
    assert [row for row, one in enumerate(shown["labels"]) if one["open"]] == [CAR]

    # To the queue, by a click.
    at = spot(page, box[2], box[3])
    page.mouse.move(*at)
    click(page, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    drag(page, (box[2], box[3]), (box[2] - 12, box[3] - 9))
    page.get_by_role("link", name="Queue", exact=False).last.click()
    page.get_by_role("heading", name="What waits").wait_for()
    saved(page)
    assert [one.action for one in decisions(here.project)] == ["edit", "edit"]
    assert near(labels(here.project, item)[CAR]["box"], [*box[:2], box[2] - 12, box[3] - 9], 1)

    # And back, to the same item: a reload in the middle of it keeps what was done too.
    page.goto(f"{here.address}#/item/{item}")
    on_screen(page)
    pick_roof(page)
    x, y = outline(page)[0]
    drag(page, (x, y), (x + 8, y + 9))
    page.reload()
    on_screen(page)
    saved(page)
    assert near(labels(here.project, item)[ROOF]["shape"][0][0], [x + 8, y + 9], 1)
    assert near(seen(page)["labels"][ROOF]["shape"][0][0], [x + 8, y + 9], 1)
    assert ids(here.project)["photo-0000"] == item
    holds(here.project)
