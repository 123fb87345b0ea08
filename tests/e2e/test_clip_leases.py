"""Two people on one project of clips: a clip is one person's until nothing of it waits."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from page_kit import decisions, holds, press, saved
from served import Served

GROUP = "() => window.__hyla?.clip?.film.group"


def start(page: Page) -> str:
    """Click on Start in the queue, and return the clip that comes."""
    page.get_by_role("button", name="Start re").click()
    page.wait_for_function(GROUP)
    return str(page.evaluate(GROUP))


def another(page: Page, group: str) -> str:
    page.wait_for_function(f"(group) => {{ const now = ({GROUP})(); return now && now !== group }}", arg=group)
    return str(page.evaluate(GROUP))


def test_each_has_clips_of_their_own(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve("clip 4 60", "ben")
    ann, ben = visit(here, "ann"), visit(here, "ben", expect=("409",))
    first, second = start(ann), start(ben)  # each has the next clip ahead too
    assert first != second
    frame = ann.evaluate("() => window.__hyla.clip.film.frames[3].item")  # nobody is asked about this one
    ben.goto(f"{here.address}#/video/{frame}")
    expect(ben.get_by_role("alert")).to_contain_text("works on this clip just now")

    press(ann, "f")
    third = another(ann, first)
    assert third not in (first, second)
    press(ann, "d")
    assert another(ann, third) == first
    press(ann, "a")
    saved(ann)
    assert [one.who for one in decisions(here.project)] == ["ann"]
    ben.get_by_role("button", name="Try again").click()  # nothing of it waits any more
    ben.wait_for_function(f"(group) => ({GROUP})() === group", arg=first)
    holds(here.project)
