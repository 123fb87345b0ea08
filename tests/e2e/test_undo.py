"""Undo takes back anything, across items, and redo does it again: the project is as it was, and as it became."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from page_kit import another, decisions, drag, holds, ids, labels, on_screen, one_open, press, project, saved, seen, start
from served import Served

PHOTOS = "photo 60 9"


def everything(folder: Path) -> dict[str, Any]:
    """Return what holds of every item, without the numbers of decisions, which only grow."""
    with project(folder) as found:
        states = found.states(ids(folder).values())
    kept = {item: {k: v for k, v in one.items() if k not in ("decision", "annotation")} for item, one in states.items()}
    return {item: (one, labels(folder, item)) for item, one in kept.items()}


def turn(page: Page, key: str, sent: bool = True) -> None:
    """Press the key of undo or redo, and wait until that is done; `sent`: the server has to know."""
    if sent:
        with page.expect_response("**/api/v1/undo") as answer:
            press(page, key)
        assert answer.value.status == 200
        saved(page)
        on_screen(page)
    else:
        press(page, key)


def shrink(page: Page) -> None:
    """Drag a corner of the selected label."""
    shown = seen(page)
    _, _, x, y = shown["labels"][shown["selected"]]["box"]
    drag(page, (x, y), (x - 15, y - 10))


def test_ten_items_back_and_forth(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS)
    page = visit(here)
    start_state = everything(here.project)
    shown = start(page)
    touched = []
    for key in ("Enter", "x", "Delete", "Space", "Enter", "x", "Enter", "drag", "2", ""):
        shown = one_open(page, shown, "box" if key in ("drag", "2", "") else "")
        touched.append(shown["id"])
        if key == "drag":
            shrink(page)
            press(page, "a")
        elif key == "2":
            press(page, "2", "Enter")
        elif key:
            press(page, key)
        if key:
            shown = another(page, shown["id"])
    saved(page)
    made = len(decisions(here.project))
    assert made == 9
    before_gesture = seen(page)["labels"]
    shrink(page)
    assert seen(page)["labels"] != before_gesture
    end_state = everything(here.project)
    assert sum(start_state[item] != end_state[item] for item in touched) == 9

    turn(page, "z", sent=False)
    assert seen(page)["labels"] == before_gesture
    for one in reversed(decisions(here.project)):
        turn(page, "z")
        assert seen(page)["id"] == one.item_id, "undo goes to where it was done"
    turn(page, "z", sent=False)
    expect(page.locator(".toasts")).to_contain_text("Nothing to undo.")
    assert everything(here.project) == start_state
    assert len(decisions(here.project)) == 2 * made

    for _ in range(made):
        turn(page, "Shift+Z")
    assert everything(here.project) == end_state
    turn(page, "Shift+Z", sent=False)
    expect(page.locator(".toasts")).to_contain_text("Nothing to redo.")
    assert len(decisions(here.project)) == 3 * made
    holds(here.project)


def test_a_reload_does_not_forget_what_can_be_undone(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PHOTOS)
    page = visit(here)
    start_state = everything(here.project)
    shown = start(page)
    done = []
    for _ in range(3):
        done.append(shown["id"])
        press(page, "Enter")
        shown = another(page, shown["id"])
    saved(page)
    page.reload()
    on_screen(page)
    steps = page.get_by_role("region", name="Last steps").get_by_role("listitem")
    expect(steps).to_have_count(3)
    for item in reversed(done):
        turn(page, "z")
        assert seen(page)["id"] == item
    expect(steps).to_have_text("Nothing yet.")
    assert everything(here.project) == start_state
    turn(page, "Shift+Z")
    assert decisions(here.project)[-1].item_id == done[0]
    assert everything(here.project)[done[0]] != start_state[done[0]]
    holds(here.project)
