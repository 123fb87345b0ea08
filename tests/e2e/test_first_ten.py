"""Somebody who has never seen Hyla opens the link and labels ten items, by what is visible alone."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from page_kit import another, decisions, holds, on_screen, press, saved, start, state
from served import Served

PHOTOS = "photo 24 9"


def test_ten_items_with_the_buttons(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS)
    page = visit(here)
    expect(page.get_by_text("Look at the label on the picture")).to_be_visible()
    shown = start(page)
    done: list[str] = []
    while len(done) < 10:
        expect(page.get_by_role("heading", level=2).first).to_contain_text("?")
        page.get_by_role("button", name="Accept", exact=False).first.click()
        saved(page)
        shown = on_screen(page)
        done = sorted({one.item_id for one in decisions(here.project)} - {shown["id"]})
    assert all(state(here.project, item)["outcome"] == "accept" for item in done)
    holds(here.project)


def test_ten_items_with_the_keys_that_the_buttons_show(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS)
    page = visit(here)
    begin = page.get_by_role("button", name="Start reviewing").locator("kbd").inner_text()
    assert begin == "Enter"
    press(page, begin)
    shown = on_screen(page)
    key = page.get_by_role("button", name="Accept", exact=False).first.locator("kbd").inner_text()
    assert key == "A"
    done: list[str] = []
    for _ in range(10):
        done.append(shown["id"])
        for _ in [one for one in shown["labels"] if one["open"]]:
            press(page, key.lower())
        shown = another(page, shown["id"])
    saved(page)
    assert all(state(here.project, item)["outcome"] == "accept" for item in done)
    holds(here.project)
