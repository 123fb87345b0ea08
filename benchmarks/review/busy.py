"""How long the main thread of the page was busy, from a trace of the browser."""

from __future__ import annotations

import itertools
import json
from types import TracebackType
from typing import Any

from playwright.sync_api import Browser, Page

CATEGORIES = ["toplevel", "blink.user_timing", "disabled-by-default-devtools.timeline"]
TASKS = ("RunTask", "ThreadControllerImpl::RunTask")
BEGUN, PAINTED = "bench-begun", "bench-painted"


class Trace:
    """Trace what is done inside; afterwards `busy` tells of each thing that the probe timed.

    All tasks of the main thread between the event and the paint count, whatever they are for: handling the event, style, layout
    and paint, but also an answer of the server that comes in between. So it is never too small.
    """

    def __init__(self, page: Page) -> None:
        browser = page.context.browser
        assert browser is not None
        self.page, self.browser = page, browser
        self.busy: list[float] = []

    def __enter__(self) -> Trace:
        start(self.browser, self.page)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        events = json.loads(self.browser.stop_tracing())["traceEvents"]
        if error is None:
            self.busy = [busy / 1000 for busy in read(events)]


def start(browser: Browser, page: Page) -> None:
    browser.start_tracing(page=page, screenshots=False, categories=CATEGORIES)


def read(events: list[dict[str, Any]]) -> list[float]:
    """Return the microseconds that the main thread was busy between each mark of `begun` and the next of `painted`."""
    marks = sorted((one for one in events if one["name"] in (BEGUN, PAINTED)), key=lambda one: float(one["ts"]))
    if not marks:
        raise SystemExit("the trace of the browser holds no marks")
    thread = marks[0]["pid"], marks[0]["tid"]
    tasks = [one for one in events if one["name"] in TASKS and one["ph"] == "X" and (one["pid"], one["tid"]) == thread]
    names = {one["name"] for one in tasks}
    tasks = [one for one in tasks if one["name"] == TASKS[0] or TASKS[0] not in names]  # a task may be told twice
    return [
        sum(overlap(task["ts"], task["ts"] + task["dur"], one["ts"], other["ts"]) for task in tasks)
        for one, other in itertools.pairwise(marks)
        if (one["name"], other["name"]) == (BEGUN, PAINTED)
    ]


def overlap(start: float, end: float, begun: float, painted: float) -> float:
    return float(max(0, min(end, painted) - max(start, begun)))
