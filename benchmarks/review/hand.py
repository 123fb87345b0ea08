"""Deciding: the next item, the next label, and what the server needs to keep a decision."""

from __future__ import annotations

import json
import time
import uuid
from http.client import HTTPConnection
from typing import Any

from browser import Bench, painted, rest, start, timed
from busy import Trace
from figures import Figure
from playwright.sync_api import Page

WARM = 3  # items before the first that counts
TAB = "benchmark"
AHEAD = """() => {
  const next = __hyla.worklist.peek();
  const got = next && __bench.resources.find((one) => one.name.endsWith(next.image));
  return __hyla.bench.ready && got && performance.now() - got.end > 200;
}"""
OTHER = "__hyla.bench.item && __hyla.bench.item.id !== before && __bench.bitmap && __bench.bitmap === __hyla.bench.picture.bitmap"
ROW = "document.querySelector('[role=option][aria-selected=true]')?.id"
OPEN = "() => __hyla.flow.open"


def next_item(bench: Bench) -> list[Figure]:
    """Press Enter on photo after photo."""
    spent, posted = [], []
    with bench.page(bench.projects.photos(60 if bench.quick else 640)) as (page, _):
        start(page)
        for turn in range(WARM + bench.n):
            ahead(page)
            one = timed(page, "Enter", OTHER, "__hyla.bench.item.id")
            if turn >= WARM:
                spent.append(painted(one))
        posted = posts(page)
    return [
        Figure("next item (photo of 1920 x 1080, 10 labels): key to painted", spent, limit=100),
        Figure("POST /decisions, in the page: one item accepted", posted, limit=30, by="p95"),
    ]


def acknowledged(bench: Bench) -> list[Figure]:
    """Press A on label after label."""
    seen: list[dict[str, float]] = []
    with bench.page(bench.projects.photos(60 if bench.quick else 640)) as (page, _):
        start(page)
        busy: list[float] = []
        while len(seen) < WARM + bench.n:
            with Trace(page) as trace:  # one for each item
                while page.evaluate(OPEN) > 1:
                    rest(page)
                    seen.append(timed(page, "a", f"{ROW} !== before", ROW))
            busy += trace.busy
            ahead(page)
            timed(page, "Enter", OTHER, "__hyla.bench.item.id")
        posted = posts(page)
        seen, busy = seen[WARM:], busy[WARM:]
    return [
        Figure("label accepted, next one selected: main thread", busy, limit=16),
        Figure("- of this, until the page (DOM) says so", [one["changed"] - one["begun"] for one in seen]),
        Figure("- key to painted", [painted(one) for one in seen]),
        Figure("POST /decisions, in the page: one label accepted", posted, limit=30, by="p95"),
    ]


def server(bench: Bench) -> list[Figure]:
    """Accept item after item over one connection, without a browser."""
    n = 40 if bench.quick else 300
    spent = []
    with bench.served(bench.projects.photos(60 if bench.quick else 640)) as here:
        here.login("ann")
        line = Line(here)
        for _ in range(n):
            take = {"tab": TAB, "lane": "review", "n": 1}
            item = line.ask("POST", "/api/v1/leases", take)["items"][0]["id"]
            shown = line.ask("GET", f"/api/v1/items/{item}?tab={TAB}")
            decision = {"item": item, "action": "accept", "annotation": shown["state"]["annotation"], "active_ms": 900}
            body = {"decisions": [decision], "tab": TAB, "mode": "single", "note": ""}
            began = time.perf_counter()
            line.ask("POST", "/api/v1/decisions", body)
            spent.append(1000 * (time.perf_counter() - began))
    return [Figure("POST /decisions, without a browser: one item accepted", spent, limit=30, by="p95")]


class Line:
    """A connection that stays open, as a browser's does."""

    def __init__(self, here: Any) -> None:
        self.here = here
        self.connection = HTTPConnection("127.0.0.1", here.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        own = {"Origin": self.here.address.rstrip("/"), "X-Hyla-CSRF": self.here.csrf, "Cookie": self.here.cookie}
        headers = {**own, "Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        data = json.loads(answer.read())
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {data}")
        return data


def ahead(page: Page) -> None:
    """Wait until the next item is there, as it is when a person has looked at this one for a moment."""
    rest(page)
    page.wait_for_function(AHEAD)


def posts(page: Page) -> list[float]:
    """Return what each decision took, from when the page asked until the answer was there."""
    rest(page, 1000)
    found = page.evaluate("() => __bench.resources.filter((one) => one.name.endsWith('/api/v1/decisions')).map((one) => one.ms)")
    return list(found)
