"""What the page weighs: its scripts on the wire, and its memory after many items."""

from __future__ import annotations

import gzip
from pathlib import Path

from browser import Bench, rest, start, timed
from figures import Figure
from hand import OTHER
from playwright.sync_api import CDPSession

from hyla.review.app import static

FULL = 50  # items until every cache of the page is full
ITEMS = 500
GUARD_MS = 130  # two decisions within 120 ms count as one
AHEAD_MS = 3000  # for the pictures of the items ahead
SCRIPTS = """() => performance.getEntriesByType("resource").filter((one) => one.name.endsWith(".js")).map((one) =>
  [one.name, one.startTime])"""
READY = "() => __hyla.bench.ready && __hyla.bench.picture.bitmap && __hyla.worklist.peek()"
MB = 1e6


def scripts(bench: Bench) -> list[Figure]:
    """Add up the scripts, each compressed by itself with gzip (level 6)."""
    home = static()
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 6)) / 1000 for path in home.rglob("*.js")}
    with bench.page(bench.projects.photos(60)) as (page, _):
        page.add_init_script("if (window.__bench) __bench.opening(() => document.querySelector('main tbody tr.row'));")
        page.reload()
        seen = page.evaluate("() => __bench.result")["painted"]
        first = {Path(name).name for name, began in page.evaluate(SCRIPTS) if began < seen}
    return [
        Figure("scripts of the first screen, gzipped", [sum(sizes[name] for name in first)], "kB", limit=250),
        Figure("scripts of all screens, gzipped", [sum(sizes.values())], "kB", limit=250),
    ]


def memory(bench: Bench) -> list[Figure]:
    """Accept item after item; the garbage is collected before each look."""
    items, full = (30, 10) if bench.quick else (ITEMS, FULL)
    project = bench.projects.photos(60 if bench.quick else 640)
    with bench.page(project) as (page, _):
        start(page)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")
        renderer = page.context.browser.new_browser_cdp_session()  # type: ignore[union-attr]
        rest(page, AHEAD_MS)
        looks = [look(session, renderer)]
        for turn in range(items):
            page.wait_for_function(READY)
            timed(page, "Enter", OTHER, "__hyla.bench.item.id")
            rest(page, GUARD_MS)
            if turn + 1 == full:
                looks.append(look(session, renderer))
        looks.append(look(session, renderer))
    first, warm, last = looks
    name = f"memory after {items} items"
    return [
        Figure(f"{name}: JavaScript heap, growth since the first", [last[0] - first[0]], "MB", limit=50),
        Figure(f"{name}: renderer (RSS), growth since the first", [last[1] - first[1]], "MB", limit=50),
        Figure(f"- since item {full}, when the pictures kept are as many as ever", [last[1] - warm[1]], "MB"),
        Figure("- renderer (RSS) at the end", [last[1]], "MB"),
    ]


def look(session: CDPSession, renderer: CDPSession) -> tuple[float, float]:
    """Return the JavaScript heap in use and what the renderer holds in memory, in MB."""
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    processes = renderer.send("SystemInfo.getProcessInfo")["processInfo"]
    sizes = [rss(one["id"]) for one in processes if one["type"] == "renderer"]
    return metrics["JSHeapUsedSize"] / MB, max(sizes)


def rss(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024 / MB
