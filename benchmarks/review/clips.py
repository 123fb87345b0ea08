"""A clip: the next frame, and a frame far away."""

from __future__ import annotations

import random

from browser import Bench, painted, rest, result, timed
from busy import Trace
from figures import Figure
from playwright.sync_api import Page

WARM = 3
APART = 90  # frames between two places that are sought: more than is fetched around one
NEXT = "() => window.__hyla?.ring?.peek(__hyla.clip.frame + 1) && __hyla.ring.peek(__hyla.clip.frame + 3)"
OTHER = "__bench.bitmap && __bench.bitmap !== before"
QUIET = "() => performance.now() - __bench.resources.at(-1).end > 500"
SOUGHT = "__hyla.clip.frame !== before && __bench.bitmap && __bench.bitmap === __hyla.ring.peek(__hyla.clip.frame)"


def video(bench: Bench) -> list[Figure]:
    frames = APART * (bench.n + 1)
    found = []
    for apart, seconds in ((50, 2), (250, 10)):
        with bench.page(bench.projects.clip(frames, apart)) as (page, _):
            page.get_by_role("button", name="Start re").click()
            page.wait_for_function("() => window.__hyla?.ring?.peek(__hyla.clip.frame)")
            if apart == 50:
                with Trace(page) as trace:
                    steps = [step(page) for _ in range(WARM + bench.n)][WARM:]
                found += [
                    Figure(
                        "next frame of a clip (1280 x 720), fetched before: key to painted", list(map(painted, steps)), limit=33
                    ),
                    Figure("- main thread", trace.busy[WARM:]),
                ]
            places = [APART * i for i in range(2, bench.n + 1)]
            random.Random(0).shuffle(places)
            sought = [seek(page, place, frames) for place in places]
            name = f"frame far away, never asked for; key frames {seconds} s apart: click to painted"
            found.append(Figure(name, [painted(one) for one in sought], limit=250 if apart == 50 else None))
    return found


def step(page: Page) -> dict[str, float]:
    rest(page, 150)
    page.wait_for_function(NEXT)
    return timed(page, ".", OTHER, "__bench.bitmap")


def seek(page: Page, frame: int, frames: int) -> dict[str, float]:
    """Click on the ruler where a frame is, once nothing is on its way."""
    rest(page, 500)
    page.wait_for_function(QUIET)
    box = page.locator(".ruler").bounding_box()
    assert box is not None
    assert not page.evaluate("(frame) => __hyla.ring.peek(frame)", frame), "the frame is here already"
    page.evaluate(f"() => {{ const before = __hyla.clip.frame; __bench.arm('pointerdown', () => {SOUGHT}); }}")
    page.mouse.click(box["x"] + (frame + 0.5) / frames * box["width"], box["y"] + box["height"] / 2)
    return result(page)
