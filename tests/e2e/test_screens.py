"""Each screen, as a person sees it: nothing is said on the console, nothing overflows, what stands still looks the same twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from screens import LOST, PROJECT, rest, walk
from served import Served

LONG = ("queue", "dashboard", "locked", "lost", "login")  # these may be longer than the window
TRIES = 8  # pictures until two are the same: what was asked for may still arrive
CUT = """() => {
  const main = document.querySelector("dialog[open]") ?? document.querySelector("main");
  const name = (one) => one.outerHTML.slice(0, 120);
  const wrong = [];
  if (main.scrollWidth > main.clientWidth) wrong.push(`wider than the window: ${main.scrollWidth}`);
  for (const one of document.querySelectorAll("h1, h2, h3, .place, .detail, button, button > span, kbd, label > span, th")) {
    const css = getComputedStyle(one);
    const cut = one.scrollWidth > one.clientWidth + 1 || one.scrollHeight > one.clientHeight + 1;
    const seen = one.checkVisibility({ visibilityProperty: true }) && !one.matches(".heard, .heard *, .name");
    if (seen && cut && css.overflow !== "visible") wrong.push(name(one));
  }
  const { height } = document.body.getBoundingClientRect();
  for (const one of main.querySelectorAll("button.primary, .ok button")) {
    const box = one.getBoundingClientRect();
    if (box.bottom > height || box.top < 0) wrong.push(`out of sight: ${name(one)}`);
  }
  return wrong;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen(scheme: str, serve: Callable[..., Served], visit: Callable[..., Page], tmp_path: Path) -> None:
    """Set HYLA_SHOTS to a folder to look at the pictures."""
    page = visit(here := serve(PROJECT), expect=LOST, color_scheme=scheme)
    folder = Path(os.environ.get("HYLA_SHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    wrong: list[tuple[str, str]] = []
    for name in walk(page, here):
        rest(page)
        shots = [page.screenshot()]
        while len(shots) < TRIES and shots[-2:-1] != shots[-1:]:
            shots.append(page.screenshot())
        if shots[-2] != shots[-1]:
            wrong.append((name, "does not stand still"))
        (folder / f"{name}-{scheme}.png").write_bytes(shots[-1])
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        wrong += [(name, one) for one in page.evaluate(CUT)]
        height, room = page.locator("main").evaluate("(main) => [main.scrollHeight, main.clientHeight]")
        if name not in LONG and height > room:
            wrong.append((name, f"{height} px high"))
    assert wrong == []


def test_the_switch_of_the_theme(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    page = visit(serve("photo 12 9"), color_scheme="light")
    page.wait_for_selector(".lanes")
    rest(page)
    light = page.screenshot()
    page.get_by_role("combobox", name="Theme").select_option("dark")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    rest(page)
    assert page.screenshot() != light
    page.reload()
    page.wait_for_selector(".lanes")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark", "the choice is kept"
