"""The picture under the hand: moving and zooming with thousands of shapes in view."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from browser import Bench, rest
from figures import Figure
from playwright.sync_api import Page

SIZES = (5000, 20_000)
STEPS = 90  # moves of the mouse in a round, one a frame
NOTCHES = 12  # of the wheel, in and out again
NOTCH_MS = 60
SHOWN = "(n) => window.__hyla?.viewer?.counts().passive === n && __hyla.bench.picture.bitmap"


def shapes(bench: Bench) -> list[Figure]:
    found = []
    for n in SIZES[: 1 if bench.quick else 2]:
        with bench.page(bench.projects.field(n)) as (page, _):
            page.get_by_role("button", name="Start re").click()
            page.wait_for_function(SHOWN, arg=n)
            began = time.perf_counter()
            page.reload()
            page.wait_for_function(SHOWN, arg=n)
            opened = time.perf_counter() - began
            rest(page, 1500)
            page.keyboard.press("0")
            rest(page, 1500)
            pan(page)  # warm
            zoom(page)
            pans, zooms = zip(*((pan(page), zoom(page)) for _ in range(1 if bench.quick else 4)), strict=True)
        name, limit = f"{n:,} polygons of 12 points", 55 if n == SIZES[0] else 50
        found += [
            Figure(f"{name}, moved", [ms for frames, _, _ in pans for ms in frames], "fps", limit),
            Figure("- a move of the mouse, until the page has dealt with it", [ms for _, moves, _ in pans for ms in moves]),
            Figure("- longest frame once the hand rests and they are drawn anew", [pause for *_, pause in pans]),
            Figure(f"{name}, zoomed", [ms for frames, _ in zooms for ms in frames], "fps", limit),
            Figure("- longest frame once the wheel rests and they are drawn anew", [pause for _, pause in zooms]),
            Figure(f"{name}, opened with the page", [opened], "s"),
        ]
    return found


def glide(page: Page, points: Sequence[tuple[float, float]], patience_s: float = 60) -> tuple[list[float], list[float]]:
    """Move the mouse from point to point while there is patience.

    Returns:
        milliseconds between frames, and those of each move until the page has dealt with it.
    """
    page.evaluate("() => __bench.count()")
    moves = []
    end = time.perf_counter() + patience_s
    for x, y in points:
        began = time.perf_counter()
        page.mouse.move(x, y)
        moves.append(1000 * (time.perf_counter() - began))
        if time.perf_counter() > end:
            break
    return stop(page), moves


def pan(page: Page) -> tuple[list[float], list[float], float]:
    """Drag the picture there and back with the middle button; return what `glide` does, and the longest frame afterwards."""
    page.mouse.move(600, 450)
    page.mouse.down(button="middle")
    page.mouse.move(605, 455, steps=3)
    there = [(605 + 2 * i, 455 + i) for i in range(STEPS)]
    before = page.evaluate("() => __hyla.viewer.pixelOf(0, 0)[0]")
    frames, moves = glide(page, there)
    after = page.evaluate("() => __hyla.viewer.pixelOf(0, 0)[0]")
    back = glide(page, there[::-1])
    assert abs(after - before - 2 * (STEPS - 1)) < 3, "the picture did not follow the mouse"
    page.evaluate("() => __bench.count()")
    page.mouse.up(button="middle")
    return frames + back[0], moves + back[1], pause(page)


def zoom(page: Page) -> tuple[list[float], float]:
    """Turn the wheel, in and out again; return the times between frames, and the longest one afterwards."""
    page.mouse.move(600, 450)
    before = page.evaluate("() => __hyla.viewer.pixelOf(100, 0)[0] - __hyla.viewer.pixelOf(0, 0)[0]")
    page.evaluate("() => __bench.count()")
    for notch in range(2 * NOTCHES):
        page.mouse.wheel(0, -60 if notch < NOTCHES else 60)
        rest(page, NOTCH_MS)
        if notch == NOTCHES:
            after = page.evaluate("() => __hyla.viewer.pixelOf(100, 0)[0] - __hyla.viewer.pixelOf(0, 0)[0]")
    frames = stop(page)
    assert after > 1.5 * before, "the picture did not grow"
    page.evaluate("() => __bench.count()")
    return frames, pause(page)


def stop(page: Page) -> list[float]:
    times = page.evaluate("() => __bench.stop()")
    return [b - a for a, b in itertools.pairwise(times)]


def pause(page: Page) -> float:
    rest(page, 1500)
    return max(stop(page))
