"""Every screen for everybody: without a mouse, at twice the size, without motion, in the system's own colours, read aloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from page_kit import ids
from screens import LOST, PROJECT, open_item, rest, walk
from served import Served

SERIOUS = ("serious", "critical")
RULES = {"resultTypes": ["violations"]}
# What can be operated, and does not say that Tab leaves it out: of a group of radio buttons Tab reaches one.
BEGIN = """() => {
  const inside = document.querySelector("dialog[open]") ?? document;
  const seen = { visibilityProperty: true };
  const wanted = "button, a[href], input, select, textarea, summary, [tabindex]";
  const look = (one) => [one, one.closest("tr"), document.getElementById(one.getAttribute("aria-activedescendant") ?? "")]
    .map((each) => each && getComputedStyle(each))
    .map((css) => css && [css.outlineStyle, css.outlineWidth, css.boxShadow, css.borderColor, css.transform].join())
    .join("|");
  const stop = ({ name }) => {
    const group = [...inside.querySelectorAll("input[type=radio]")].filter((other) => other.name === name);
    return group.find((other) => other.checked) ?? group[0];
  };
  const all = [...inside.querySelectorAll(wanted)].filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility(seen)
    && !(one.type === "radio" && one !== stop(one)));
  document.activeElement?.blur();
  window.__tab = { look, all, plain: new Map(all.map((one) => [one, look(one)])), reached: new Set(), dull: new Set() };
}"""
STEP = """() => {
  const { look, plain, reached, dull } = window.__tab;
  const at = document.activeElement;
  if (!at || at === document.body) return "";
  reached.add(at);
  if (look(at) === plain.get(at)) dull.add(at);
  return at.outerHTML.slice(0, 120);
}"""
END = """() => {
  const { all, reached, dull } = window.__tab;
  const name = (one) => one.outerHTML.slice(0, 120);
  return { missed: all.filter((one) => !reached.has(one) && one.isConnected).map(name), dull: [...dull].map(name) };
}"""
WIDE = """() => {
  const wrong = [];
  const page = document.scrollingElement;
  if (page.scrollWidth > page.clientWidth) wrong.push(`the page is ${page.scrollWidth} px wide`);
  const main = document.querySelector("dialog[open]") ?? document.querySelector("main");
  if (main.scrollWidth > main.clientWidth + 1) wrong.push(`the content is ${main.scrollWidth} px wide`);
  for (const one of main.querySelectorAll("button, select, input")) {
    if (!one.checkVisibility({ visibilityProperty: true }) || one.disabled) continue;
    one.scrollIntoView({ block: "center", inline: "nearest" });
    const { left, right, top, bottom, width, height } = one.getBoundingClientRect();
    const name = one.outerHTML.slice(0, 100);
    if (left < -1 || right > innerWidth + 1) wrong.push(`${name}: ${left} to ${right}`);
    const over = document.elementFromPoint(left + width / 2, top + height / 2);
    if (!over || !(one.closest("label") ?? one).contains(over)) wrong.push(`${name}: below ${over?.outerHTML.slice(0, 60)}`);
  }
  main.scrollTo(0, 0);
  return wrong;
}"""
MOVING = """() => {
  const long = (times) => times.split(", ").some((time) => parseFloat(time) > 0.00002);
  const moves = [...document.querySelectorAll("*")].filter((one) => {
    const css = getComputedStyle(one);
    return (css.animationName !== "none" && long(css.animationDuration)) || long(css.transitionDuration);
  });
  const running = document.getAnimations().filter((one) => one.playState === "running").map(String);
  return [...running, ...moves.map((one) => one.outerHTML.slice(0, 100))];
}"""


def through(
    serve: Callable[..., Served], visit: Callable[..., Page], check: Callable[[Page], list[Any]], **how: Any
) -> list[Any]:
    """Go through all screens, and return what is wrong on them."""
    here = serve(PROJECT)
    page = visit(here, expect=LOST, **how)
    wrong = []
    seen = 0
    for name in walk(page, here):
        rest(page)
        wrong += [(name, one) for one in check(page)]
        seen += 1
    assert seen >= 13
    return wrong


def axe(page: Page) -> list[Any]:
    found = Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found if one["impact"] in SERIOUS]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_moves(scheme: str, serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    both = lambda page: axe(page) + page.evaluate(MOVING)  # noqa: E731
    assert through(serve, visit, both, color_scheme=scheme, reduced_motion="reduce") == []


def test_what_is_wrong_is_found(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    page = visit(serve(PROJECT))
    page.wait_for_selector(".lanes")
    page.evaluate(
        "() => { const add = (style) => { const one = document.createElement('div'); Object.assign(one.style, style);"
        " document.querySelector('main').append(one); return one };"
        " add({ transition: 'opacity 1s' }); add({ width: '3000px', height: '1px' }); add({ outline: 'none' }).tabIndex = 0 }"
    )
    assert len(page.evaluate(MOVING)) == 1
    assert len(page.evaluate(WIDE)) == 1
    assert [word for word, _ in tabbed(page)] == ["not visible"]
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [name for name, _ in axe(page)] == ["button-name"]


def tabbed(page: Page) -> list[Any]:
    """Press Tab until nothing new comes, and return what was not reached, or does not show that it has the focus."""
    page.evaluate(BEGIN)
    count = page.evaluate("window.__tab.all.length")
    assert count > 0 or page.get_by_role("heading", name="Open the link").count()
    blank = 0
    for _ in range(3 * count + 40):
        page.keyboard.press("Tab")
        blank += page.evaluate(STEP) == ""
        if blank > 1 or page.evaluate("window.__tab.all.every((one) => window.__tab.reached.has(one))"):
            break
    found = page.evaluate(END)
    return [("missed", one) for one in found["missed"]] + [("not visible", one) for one in found["dull"]]


def test_everything_is_reached_by_tab_and_shows_it(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    assert through(serve, visit, tabbed) == []


def test_at_twice_the_size_nothing_is_out_of_reach(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    zoomed = {"viewport": {"width": 640, "height": 360}, "device_scale_factor": 2}
    assert through(serve, visit, lambda page: page.evaluate(WIDE), **zoomed) == []


def test_the_systems_own_colours(serve: Callable[..., Served], visit: Callable[..., Page]) -> None:
    here = serve(PROJECT)
    page = visit(here, forced_colors="active")
    open_item(page, ids(here.project, "photo")["photo-0002"])
    panel = page.get_by_role("complementary", name="Labels and decision")
    expect(panel).to_be_visible()
    expect(panel.get_by_role("button", name="Accept")).to_be_visible()
    chosen = panel.locator("[aria-selected='true'], [aria-pressed='true']").first
    expect(chosen).to_be_visible()
    for name in ("roof", "blob"):
        label = panel.get_by_text(name, exact=True).first
        expect(label).to_be_visible()
        ink, paper = label.evaluate(
            "(one) => { const css = getComputedStyle(one); let at = one;"
            " while (getComputedStyle(at).backgroundColor === 'rgba(0, 0, 0, 0)') at = at.parentElement;"
            " return [css.color, getComputedStyle(at).backgroundColor] }"
        )
        assert ink != paper
    accept = panel.get_by_role("button", name="Accept")
    assert accept.evaluate("(one) => getComputedStyle(one).borderStyle") != "none", "a button has an edge where it has no colour"
