"""The sheet of keys: what each screen offers, another key for it, and what happens where two want the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from page_kit import another, decisions, ids, on_screen, press, saved, seen, settle, start
from screens import clip_items, go, open_grid, open_video, open_volume
from served import Served


def sheet(page: Page) -> Locator:
    """Open the sheet by its key."""
    press(page, "?")
    found = page.get_by_role("dialog", name="Keys")
    expect(found).to_be_visible()
    return found


def listed(found: Locator) -> dict[str, dict[str, list[str]]]:
    """Return section -> command -> its keys."""
    commands = lambda section: section.get_by_role("listitem").all()  # noqa: E731
    return {
        section.get_by_role("heading").inner_text(): {
            line.locator("> span").inner_text(): line.locator("kbd").all_inner_texts() for line in commands(section)
        }
        for section in found.locator("section").all()
    }


def change(found: Locator, text: str) -> None:
    found.get_by_role("button", name=f"{text}: change the key").click()
    expect(found.get_by_role("status")).to_contain_text(f"Press the new key for “{text}”")


def test_each_screen_lists_its_keys(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("photo 12 9\nclip 1 60\nvolume 1")
    page = visit(here)
    page.wait_for_selector(".lanes")
    everywhere = {
        "Undo, also across items": ["Z", "Ctrl Z"],
        "Redo": ["Shift Z", "Ctrl Shift Z", "Ctrl Y"],
        "Show all keys": ["?"],
        "Back to the queue": ["Shift Q"],
    }
    found = listed(sheet(page))
    assert found == {"Queue": {"Start": ["Enter"], "Open the grid": ["G"]}, "Everywhere": everywhere}
    page.keyboard.press("Escape")

    go(page, f"item/{ids(here.project, 'photo')['photo-0002']}")
    on_screen(page)
    found = listed(sheet(page))
    assert list(found) == ["Labels", "Everywhere"]
    assert found["Everywhere"] == everywhere
    assert found["Labels"]["Accept the label, go to the next"] == ["A"]
    assert found["Labels"]["Set the class"] == list("123456789")
    assert len(found["Labels"]) > 25
    page.keyboard.press("Escape")

    open_grid(page, "car")
    found = listed(sheet(page))
    assert list(found) == ["Grid", "Everywhere"]
    assert found["Grid"]["Mark as wrong, or unmark"] == ["X", "Space"]
    page.keyboard.press("Escape")

    open_video(page, clip_items(here)[30])
    found = listed(sheet(page))
    assert list(found) == ["Video", "Labels", "Everywhere"]
    assert found["Video"]["Split the track here"] == ["S"]
    assert "Draw keypoints" not in found["Labels"], "what does not work here is not offered"
    page.keyboard.press("Escape")

    open_volume(page, *ids(here.project, "volume").values())
    found = listed(sheet(page))
    assert list(found) == ["Volume", "Labels", "Everywhere"]
    assert found["Volume"]["Window preset"] == list("1234567")


def test_a_key_is_changed_used_taken_and_given_back(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("photo 24 9")
    page = visit(here)
    shown = start(page)
    found = sheet(page)
    change(found, "Accept the label, go to the next")
    page.keyboard.press("Escape")
    expect(found).to_be_visible()  # Escape leaves the key as it is, and the sheet open
    change(found, "Accept the label, go to the next")
    page.keyboard.press("Shift+A")
    expect(found.get_by_role("status")).to_contain_text("Accept the label, go to the next: Shift A")
    page.keyboard.press("Escape")
    expect(found).to_have_count(0)

    accept = page.get_by_role("button", name="Accept", exact=False).first
    expect(accept.locator("kbd")).to_have_text("Shift A")
    open_labels = sum(one["open"] for one in shown["labels"])
    press(page, "a")
    settle(page)
    assert seen(page) == shown, "the old key means nothing now"
    for _ in range(open_labels):
        press(page, "Shift+A")
    shown = another(page, shown["id"])
    saved(page)
    assert {one.action for one in decisions(here.project)} == {"accept"}

    page.reload()
    on_screen(page)
    expect(accept.locator("kbd")).to_have_text("Shift A")
    found = sheet(page)
    change(found, "Wrong: to be repaired")
    page.keyboard.press("Shift+A")
    expect(found.get_by_role("status")).to_contain_text("Shift A already means “Accept the label, go to the next”")
    assert listed(found)["Labels"]["Wrong: to be repaired"] == ["X"], "nothing is taken unasked"
    found.get_by_role("button", name="Leave it").click()
    change(found, "Wrong: to be repaired")
    page.keyboard.press("Shift+A")
    found.get_by_role("button", name="Take the key").click()
    expect(found.get_by_role("button", name="Wrong: to be repaired").locator("kbd")).to_have_text("Shift A")
    assert listed(found)["Labels"]["Accept the label, go to the next"] == []
    change(found, "Edit the label")
    page.keyboard.press("x")
    expect(found.get_by_role("status")).to_contain_text("Edit the label: X")  # a key that was given up is free

    found.get_by_role("button", name="Reset all keys").click()
    expect(found.get_by_role("button", name="Wrong: to be repaired").locator("kbd")).to_have_text("X")
    now = listed(found)
    assert now["Labels"]["Accept the label, go to the next"] == ["A"]
    assert now["Labels"]["Edit the label"] == ["E"]


@pytest.mark.parametrize("by", ["key", "button"])
def test_the_focus_comes_back(by: str, serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("photo 12 9")
    page = visit(here)
    start(page)
    picture = page.get_by_role("application")
    expect(picture).to_be_focused()
    keys = page.get_by_role("button", name="Keys")
    if by == "key":
        found = sheet(page)
    else:
        keys.focus()
        page.keyboard.press("Enter")
        found = page.get_by_role("dialog", name="Keys")
    expect(found.get_by_role("button", name="Close")).to_be_focused()
    press(page, "x", "a")
    page.keyboard.press("Escape")
    expect(found).to_have_count(0)
    expect(picture if by == "key" else keys).to_be_focused()
    assert decisions(here.project) == [], "no key reaches the item below the sheet"
