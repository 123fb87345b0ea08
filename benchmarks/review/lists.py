"""Screens of many things: the grid, and the queue of a million labels."""

from __future__ import annotations

import time

from browser import Bench, painted, rest, result
from busy import Trace
from figures import Figure
from hand import Line
from playwright.sync_api import Page

WARM = 2
PAGE = 48
GUARD_MS = 150
SWAPPED = f"""(() => {{
  const pictures = [...document.querySelectorAll(".board img")];
  return pictures.length === {PAGE} && pictures[0].src !== before && pictures.every((one) => one.complete && one.naturalWidth);
}})()"""
FIRST = "document.querySelector('.board img')?.src"
READY = f"""(n) => document.querySelectorAll(".board img").length === {PAGE}
  && __bench.resources.filter((one) => one.name.includes("/crop/")).length >= n
  && performance.now() - __bench.resources.at(-1).end > 300"""
ROWS = "document.querySelector('main tbody tr.row')"
LABELS = 10


def grid(bench: Bench) -> list[Figure]:
    """Confirm page after page; the crops of the next page are there, as they are when a person has looked at this one."""
    spent, busy = [], []
    with bench.page(bench.projects.photos(60 if bench.quick else 640), "grid/car") as (page, _):
        for turn in range(WARM + bench.n):
            page.wait_for_function(READY, arg=PAGE * (turn + 2))
            if turn >= WARM:
                with Trace(page) as trace:
                    spent.append(confirm(page))
                busy += trace.busy[-1:]  # the first may be the question whether anybody has looked
            else:
                confirm(page)
    return [
        Figure("next page of the grid, 48 crops: key to painted", [painted(one) for one in spent], limit=60),
        Figure("- main thread", busy),
    ]


def confirm(page: Page) -> dict[str, float]:
    """Press Enter; once more where the page asks whether anybody has looked."""
    for _ in range(2):
        page.evaluate(f"() => {{ const before = {FIRST}; __bench.was = before; __bench.arm('keydown', () => {SWAPPED}); }}")
        page.keyboard.press("Enter")
        rest(page, GUARD_MS)
        if page.evaluate(f"() => {FIRST} !== __bench.was"):
            break
    return result(page)


def queue(bench: Bench) -> list[Figure]:
    """Open the page of a project in which a million labels wait."""
    images = 5000 if bench.quick else 100_000
    opened: list[float] = []
    with bench.page(bench.projects.labels(images)) as (page, here):
        page.wait_for_selector("tr.row")
        page.add_init_script(f"if (window.__bench) __bench.opening(() => {ROWS});")
        for _ in range(WARM + bench.n):
            rest(page)
            page.reload()
            opened.append(painted(result(page)))
        spent = asked(here, bench.n, page)
    name = f"queue of {images * LABELS:,} labels that wait"
    return [
        Figure(f"{name}: navigation to painted", opened[WARM:], limit=1000),
        Figure("- of this, GET /queue, without a browser", spent),
    ]


def asked(here: object, n: int, page: Page) -> list[float]:
    """Ask what waits over a connection that shares the session of the page."""
    cookie = page.context.cookies()[0]
    here.cookie = f"{cookie['name']}={cookie['value']}"  # type: ignore[attr-defined]
    line, spent = Line(here), []
    for _ in range(n):
        began = time.perf_counter()
        line.ask("GET", "/api/v1/queue")
        spent.append(1000 * (time.perf_counter() - began))
    return spent
