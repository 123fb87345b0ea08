"""A volume of 512 x 512 x 300: going through its slices, and the brush."""

from __future__ import annotations

import math

from browser import Bench, painted, rest, timed
from busy import Trace
from figures import Figure
from playwright.sync_api import Page

WARM = 5
STROKES = 3
MOVES = 150  # of the mouse in a stroke
LARGER = 5  # presses of ]: a radius of about 20 voxels
HERE = "() => window.__hyla?.scene?.cache.progress === 1"
DRAWN = "__hyla.timings.length > before"
COUNT = "__hyla.timings.length"


def volume(bench: Bench) -> list[Figure]:
    with bench.page(bench.projects.volume()) as (page, _):
        page.get_by_role("button", name="Start re").click()
        page.wait_for_function(HERE, timeout=240_000)
        rest(page, 2000)
        with Trace(page) as trace:
            steps = [step(page, "." if turn // 20 % 2 == 0 else ",") for turn in range(WARM + bench.n)][WARM:]
        busy = trace.busy[WARM:]
        moves, moving, strokes = brush(page)
    return [
        Figure("slice step (512 x 512 x 300): main thread", busy, limit=8),
        Figure("- of this, painting the plane", [one["own"] for one in steps]),
        Figure("- key to painted", [painted(one) for one in steps]),
        Figure("brush, radius 18 voxels: main thread for one move", moving, limit=8, by="p95"),
        Figure("- move to painted", [painted(one) for one in moves]),
        Figure("longest task after a stroke, when the labels hear of it", strokes),
    ]


def step(page: Page, key: str) -> dict[str, float]:
    rest(page, 100)
    one = timed(page, key, DRAWN, COUNT)
    return {**one, "own": page.evaluate("() => __hyla.timings.at(-1).ms")}


def brush(page: Page) -> tuple[list[dict[str, float]], list[float], list[float]]:
    """Paint circles; return what the probe says of each move, how long the main thread was busy with it, and the longest task
    after each stroke.
    """
    page.keyboard.press("r")
    for _ in range(LARGER):
        page.keyboard.press("]")
    box = page.locator(".large .view").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    moves: list[dict[str, float]] = []
    busy: list[float] = []
    strokes: list[float] = []
    for stroke in range(STROKES):
        radius = 60 + 40 * stroke
        page.mouse.move(x + radius, y)
        page.mouse.down()
        with Trace(page) as trace:
            page.evaluate(f"() => __bench.follow('pointermove', () => {{ const before = {COUNT}; return () => {DRAWN}; }})")
            for i in range(MOVES):
                angle = 2 * math.pi * i / MOVES
                page.mouse.move(x + radius * math.cos(angle), y + radius * math.sin(angle))
            rest(page, 200)
            found = page.evaluate("() => __bench.stop()")
        began = page.evaluate("() => performance.now()")
        page.mouse.up()
        rest(page, 2500)  # longer than the labels are spared a stroke
        tasks = page.evaluate("(from) => __bench.tasks.filter((one) => one.start > from).map((one) => one.ms)", began)
        strokes.append(max(tasks, default=0.0))
        if stroke:  # the first one is warm-up
            moves += found
            busy += trace.busy
    assert len(moves) == len(busy) >= 30, "too few moves of the brush were painted"
    return moves, busy, strokes
