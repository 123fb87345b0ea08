"""The grid: a page of crops of one class, whose wrong ones are marked, is confirmed, taken back, and followed by the next."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from page_kit import decisions, holds, labels, press, saved, state, waiting
from screens import PICTURES
from served import Served

Cell = tuple[str, int]  # item, row
TINY = "tiny 30"  # 30 pictures with five cars of one pixel each, all of them unsure
CELLS = "() => [...document.querySelectorAll('.cell img')].map((one) => one.getAttribute('src'))"
CROP = re.compile(r"/media/([^/]+)/crop/\d+/(\d+)\.jpg")
FETCHED = """(n) => new Set(performance.getEntriesByType("resource").map((one) => one.name)
  .filter((name) => name.includes("/crop/"))).size === n"""
# Routes of Playwright would switch off the browser's cache, which holds the next page.
HOLD = """() => {
  const fetch = window.fetch;
  const free = new Promise((done) => (window.__release = done));
  window.fetch = (...asked) => (String(asked[0]).endsWith("/decisions") ? free.then(() => fetch(...asked)) : fetch(...asked));
}"""
WATCH = """() => {
  const first = () => document.querySelector(".cell img")?.getAttribute("src");
  const before = first();
  window.__turn = {};
  window.addEventListener("keydown", () => (window.__turn.key = performance.now()), true);
  const look = () => {
    if (!first() || first() === before) return requestAnimationFrame(look);
    const whole = [...document.querySelectorAll(".cell img")].every((one) => one.complete && one.naturalWidth);
    requestAnimationFrame(() => Object.assign(window.__turn, { painted: performance.now(), whole }));
  };
  requestAnimationFrame(look);
}"""
ASKED = """() => performance.getEntriesByType("resource")
  .filter((one) => one.name.includes("/crop/") && one.startTime > window.__turn.key && one.startTime < window.__turn.painted)
  .map((one) => one.name)"""


def shown(page: Page) -> list[Cell]:
    """Wait for all pictures of the page; return what the cells show, in their order."""
    page.wait_for_function(PICTURES)
    return [(str(found[1]), int(found[2])) for url in page.evaluate(CELLS) if (found := CROP.search(url))]


def turned(page: Page, before: list[Cell]) -> list[Cell]:
    """Wait for another page than `before`; return its cells."""
    page.wait_for_function(
        "(url) => { const one = document.querySelector('.cell img'); return one && !one.getAttribute('src').includes(url) }",
        arg=f"{before[0][0]}/crop/",
    )
    return shown(page)


def open_grid(here: Served, visit: Callable[..., Page], name: str = "ann") -> tuple[Page, list[Cell]]:
    page = visit(here, name)
    page.get_by_role("region", name="Grid").get_by_role("button", name="car").click()
    cells = shown(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Click the ones that are not car", ignore_case=True)
    return page, cells


def mark(page: Page, *at: int) -> None:
    for i in at:
        page.locator(f"[data-at='{i}']").click()
        expect(page.locator(f"[data-at='{i}']")).to_have_attribute("aria-selected", "true")


def confirm(page: Page, key: str) -> None:
    """Confirm a page; who is so quick that nobody can have looked is asked once more."""
    before = page.evaluate(CELLS)
    press(page, key)
    page.wait_for_function(f"(before) => document.querySelector('.hasty')?.innerText || ({CELLS})()[0] !== before", arg=before[0])
    if page.evaluate(CELLS) == before:
        expect(page.locator(".hasty")).to_contain_text("That was quick: look once more?")
        press(page, key)


def rows_of(cells: list[Cell]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for item, row in cells:
        found[item].append(row)
    return {item: sorted(rows) for item, rows in found.items()}


@pytest.fixture
def tiny(serve: Callable[..., Served]) -> Served:
    return serve(TINY, "ben")


def test_a_page_of_48_is_confirmed_and_taken_back(tiny: Served, visit: Callable[..., Page]) -> None:
    page, cells = open_grid(tiny, visit)
    assert len(cells) == len(set(cells)) == 48
    assert len(rows_of(cells)) < 48, "several cells of one item"
    mark(page, 5)
    press(page, "ArrowRight", "x", "ArrowDown", "Space")
    wrong = [cells[5], cells[6], cells[14]]
    right = [cell for cell in cells if cell not in wrong]
    expect(page.locator(".cell[aria-selected='true']")).to_have_count(3)
    expect(page.get_by_role("button", name="45 right, 3 to repair")).to_be_visible()
    page.wait_for_function(FETCHED, arg=96)  # this page, and the next one ahead

    # The decisions are held back on their way: the next page must not wait for them.
    page.evaluate(HOLD)
    page.evaluate(WATCH)
    confirm(page, "Enter")
    page.wait_for_function("() => window.__turn.painted")
    assert page.evaluate("window.__turn.whole"), "a crop of the next page was not there yet"
    assert page.evaluate(ASKED) == [], "crops were fetched between the key and the picture"
    after = shown(page)
    assert len(after) == 48
    assert not set(after) & set(cells)
    assert decisions(tiny.project) == []
    page.evaluate("window.__release()")
    expect(page.locator(".toasts")).to_contain_text("45 accepted, 3 to repair.")
    saved(page)

    made = decisions(tiny.project)
    expected = {(item, "accept"): rows for item, rows in rows_of(right).items()}
    expected |= {(item, "repair"): rows for item, rows in rows_of(wrong).items()}
    assert {(one.item_id, one.action): list(one.rows) for one in made} == expected
    assert len(made) == len(expected), "one event for each item and action"
    assert {(one.mode, one.who) for one in made} == {("grid", "ann")}
    total = sum(one.active_ms for one in made)
    assert total > 0
    assert all(abs(one.active_ms - total * len(one.rows) / 48) <= 1 for one in made), "each crop has an equal part of the time"
    for item, rows in rows_of(cells).items():
        found = state(tiny.project, item)
        marked = rows_of(wrong).get(item, [])
        assert numbers(found["mend"] if found["lane"] == "review" else found["open"] if marked else "") == marked
        if len(rows) == 5:
            assert (found["lane"], found["outcome"]) == (("repair", "review") if marked else ("", "accept"))
    assert waiting(tiny.project, "repair") == len(
        {item for item, rows in rows_of(wrong).items() if len(rows_of(cells)[item]) == 5}
    )

    press(page, "z")
    expect(page.locator(".toasts")).to_contain_text("Undone: Accepted 45 × car, 3 to repair")
    assert turned(page, after) == cells
    expect(page.locator(".cell[aria-selected='true']")).to_have_count(3)
    saved(page)
    undone = decisions(tiny.project)[len(made) :]
    assert [one.undoes for one in undone] == [one.seq for one in reversed(made)]
    for item in rows_of(cells):
        found = state(tiny.project, item)
        assert (found["lane"], found["open"], found["mend"]) == ("review", "0-4", "")
    holds(tiny.project)


def numbers(text: str) -> list[int]:
    """Return the rows of a range string: "0-2,4" -> 0, 1, 2, 4."""
    ends = [[int(n) for n in part.split("-")] for part in text.split(",") if part]
    return [row for part in ends for row in range(part[0], part[-1] + 1)]


def test_delete_drops_the_marked_ones(tiny: Served, visit: Callable[..., Page]) -> None:
    page, cells = open_grid(tiny, visit)
    press(page, "Delete")
    expect(page.locator(".toasts")).to_contain_text("Mark the crops first")
    item, rows = next((item, rows) for item, rows in rows_of(cells).items() if len(rows) == 5)
    gone = [cell for cell in cells if cell[0] == item][1:3]
    before = labels(tiny.project, item)
    mark(page, *(cells.index(cell) for cell in gone))
    expect(page.get_by_role("button", name="In the 2 marked nothing is there: remove")).to_be_visible()
    confirm(page, "Delete")
    turned(page, cells)
    saved(page)
    dropped = sorted(row for _, row in gone)
    assert [(one.action, list(one.rows)) for one in decisions(tiny.project, item)] == [
        ("accept", [row for row in rows if row not in dropped]),
        ("reject", dropped),
    ]
    assert labels(tiny.project, item) == [label for row, label in enumerate(before) if row not in dropped]
    found = state(tiny.project, item)
    assert (found["lane"], found["outcome"], found["open"]) == ("", "accept", "")

    press(page, "z")
    expect(page.locator(".toasts")).to_contain_text("Undone: Accepted 46 × car, 2 removed")
    saved(page)
    assert labels(tiny.project, item) == before
    holds(tiny.project)


def test_a_glance_is_asked_once_more(tiny: Served, visit: Callable[..., Page]) -> None:
    page, cells = open_grid(tiny, visit)
    for _ in range(5):
        page.reload()
        shown(page)
        page.keyboard.press("Enter")
        if page.evaluate("performance.now()") < 0.08 * 48 * 1000:
            break
        page.goto(f"{tiny.address}#/queue")  # too slow a machine for so quick a hand: once more
    else:
        pytest.fail("this machine does not show a page of crops in four seconds")
    expect(page.locator(".hasty")).to_contain_text("That was quick: look once more?")
    assert shown(page) == cells
    assert decisions(tiny.project) == []
    press(page, "x")  # who goes on marking has looked
    expect(page.locator(".hasty")).to_be_empty()


def test_two_people_get_different_items_and_all_pages_come(tiny: Served, visit: Callable[..., Page]) -> None:
    page, cells = open_grid(tiny, visit)
    _, others = open_grid(tiny, visit, "ben")
    assert not set(rows_of(cells)) & set(rows_of(others))
    confirm(page, "Enter")
    after = turned(page, cells)
    assert not set(rows_of(after)) & set(rows_of(others))
    saved(page)
    holds(tiny.project)


def test_a_crop_that_cannot_be_shown_is_not_decided(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("tiny 2\nbroken 1")
    page = visit(here, expect=("410",))
    page.get_by_role("region", name="Grid").get_by_role("button", name="car").click()
    gone = page.locator(".cell", has_text="Picture cannot be shown")
    expect(gone).to_have_count(1)
    cells = shown(page)
    assert len(cells) == 10
    gone.click()
    expect(gone).to_have_attribute("aria-selected", "false")
    expect(page.get_by_role("button", name="All 10 are right")).to_be_visible()
    confirm(page, "Enter")
    expect(page.get_by_role("heading", name="No more car here")).to_be_visible()
    expect(page.get_by_text("Still waiting: 1")).to_be_visible()
    saved(page)
    made = decisions(here.project)
    assert {one.item_id: list(one.rows) for one in made} == rows_of(cells)
    assert waiting(here.project) == 1
    holds(here.project)
