"""What the tests in a real browser share: hands on the page, and a look at the truth in the project.

The page is driven by mouse and keys only. `window.__hyla`, which it offers with --test-hooks, says where an image point is on the
screen and what is shown; it is read, never called to change anything.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from hyla.store import Decision, Project
from hyla.types import Item
from served import Served

Spot = tuple[float, float]
SEEN = """() => {
  const { bench, viewer } = window.__hyla ?? {};
  const flow = bench?.flow;
  if (!flow) return null;
  const entries = flow.work.entries();
  return {
    id: bench.item.id, name: bench.item.name, mode: bench.item.mode, ready: bench.ready, annotation: flow.work.annotation,
    selected: entries.findIndex((one) => one.key === bench.selected),
    labels: entries.map(({ row, label, open, mark }) => ({ row, open, mark, ...label })),
    tool: viewer?.state.tool, drawing: viewer?.state.drawing, picture: bench.picture.bitmap !== null,
  };
}"""


GONE = ("net::ERR_",)  # what the console says while the server is away


def free_port() -> int:
    """Return a port that nobody listens on, for a server that is to come back where it was."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill(here: Served) -> None:
    """End a server as a power cut does."""
    here.process.kill()
    here.process.wait()


# What is on the screen.


def seen(page: Page) -> dict[str, Any]:
    """Return what the page of an item shows: id, labels, which is selected (its place in `labels`, -1 for none), the tool."""
    found = page.evaluate(SEEN)
    assert found is not None, "no item is on the screen"
    return dict(found)


def on_screen(page: Page, ready: bool = True) -> dict[str, Any]:
    """Wait until an item is there, with its picture if it has one, and can be decided on; return it as `seen` does."""
    page.wait_for_function(
        "(ready) => { const b = window.__hyla?.bench; return b?.flow && (b.ready || !ready)"
        " && location.hash === '#/item/' + encodeURIComponent(b.item.id) && (b.picture.bitmap || !b.item.media.image) }",
        arg=ready,
    )
    return seen(page)


def another(page: Page, item: str) -> dict[str, Any]:
    """Wait until an item other than `item` is there; return it."""
    page.wait_for_function("(id) => window.__hyla.bench.item && window.__hyla.bench.item.id !== id", arg=item)
    return on_screen(page)


def asked(shown: dict[str, Any]) -> int:
    """Count the labels that are open."""
    return sum(one["open"] for one in shown["labels"])


def one_open(page: Page, shown: dict[str, Any], kind: str = "") -> dict[str, Any]:
    """Go on with F, without a decision, to an item that asks about one label, of this kind if given; return that item."""
    while asked(shown) != 1 or (kind and shown["labels"][shown["selected"]]["kind"] != kind):
        press(page, "f")
        shown = another(page, shown["id"])
    return shown


def start(page: Page) -> dict[str, Any]:
    """Click on Start in the queue, and return the first item."""
    page.get_by_role("button", name="Start re").click()
    return on_screen(page)


def choose(page: Page, lane: str, reason: str = "") -> None:
    """Click on a lane of the queue: on its first line, or on that of one reason."""
    lines = page.locator("tbody", has_text=lane).locator("label")
    (lines.filter(has_text=reason) if reason else lines).first.click()


def saved(page: Page) -> None:
    """Wait until the server has acknowledged everything."""
    expect(page.locator("header .saved")).to_have_text("Saved")


def settle(page: Page) -> None:
    """Wait until the page has drawn twice: whatever a key or a click began without asking the server is done."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def rest(page: Page) -> None:
    """Wait until the view stands still: a zoom takes a quarter of a second."""
    page.evaluate(
        """() => new Promise((done) => {
          const where = () => __hyla.viewer.pixelOf(0, 0).join() + __hyla.viewer.pixelOf(99, 99).join();
          let [last, still] = ["", 0];
          const look = () => {
            still = where() === last ? still + 1 : 0;
            last = where();
            if (still > 6) done();
            else requestAnimationFrame(look);
          };
          look();
        })"""
    )


# Hands.


def spot(page: Page, x: float, y: float) -> Spot:
    """Return where an image point is on the page, in CSS pixels."""
    at = page.evaluate("([x, y]) => window.__hyla.viewer.pixelOf(x, y)", [x, y])
    return float(at[0]), float(at[1])


def click(page: Page, *points: Spot) -> None:
    """Click on image points, one after the other."""
    for x, y in points:
        at = spot(page, x, y)
        page.mouse.move(*at)
        page.mouse.click(*at)
        settle(page)


def drag(page: Page, *points: Spot) -> None:
    """Press at the first image point, move over the others and release at the last."""
    spots = [spot(page, *point) for point in points]
    page.mouse.move(*spots[0])
    page.mouse.down()
    for before, at in pairwise(spots):
        page.mouse.move((before[0] + at[0]) / 2, (before[1] + at[1]) / 2)
        page.mouse.move(*at)
    page.mouse.up()
    settle(page)


def press(page: Page, *keys: str) -> None:
    """Press keys one after the other, as slowly as a person: two decisions in 120 ms count as one."""
    for key in keys:
        page.wait_for_function("() => performance.now() - (window.__pressed ?? -1e9) > 130")
        page.keyboard.press(key)
        page.evaluate("() => void (window.__pressed = performance.now())")


def pixel(page: Page) -> float:
    """Return how many image pixels one CSS pixel covers."""
    return 100 / (spot(page, 100, 0)[0] - spot(page, 0, 0)[0])


# The truth.


@contextmanager
def project(folder: Path) -> Iterator[Project]:
    """Open the project beside the server."""
    with Project.open(folder) as found:
        yield found


def decisions(folder: Path, item: str | None = None) -> list[Decision]:
    """Return what was decided, first to last."""
    with project(folder) as found:
        return list(found.decisions(item))


def state(folder: Path, item: str) -> dict[str, Any]:
    """Return what holds of an item."""
    with project(folder) as found:
        return found.state(item)


def labels(folder: Path, item: str, source: str = "best") -> list[dict[str, Any]]:
    """Return the labels of an item as they travel."""
    from hyla import codec

    with project(folder) as found:
        record = found.record(item, source)
        assert record is not None
        return codec.labels_to_rows(record.labels, found.schema())


def ids(folder: Path, made: str = "") -> dict[str, str]:
    """Return name -> id of the items, of one kind of the gallery if asked."""
    with project(folder) as found:
        items: list[Item] = [record.item for record in found.records()]
    return {one.uri: one.id for one in items if not made or one.meta["made"] == made}


def waiting(folder: Path, lane: str = "review") -> int:
    """Count what waits in a lane."""
    with project(folder) as found:
        return sum(one.waiting for one in found.lanes() if one.lane == lane)


def holds(folder: Path) -> None:
    """Assert that nothing stored was changed or lost."""
    with project(folder) as found:
        report = found.verify()
    assert report.ok, report.problems


def exported(folder: Path, name: str, to: Path) -> Path:
    """Export with `hyla export`, as a user does; return the folder that was written."""
    hyla("export", str(folder), "--format", name, "--to", str(to))
    return to


def read_back(folder: Path, name: str, to: Path) -> dict[str, list[dict[str, Any]]]:
    """Export, read what was written with Hyla's own reader, and return item id -> labels as they travel."""
    from hyla import codec, formats

    with project(folder) as found:
        schema = found.schema()
    records = formats.get(name, schema=schema).read(exported(folder, name, to), schema)
    return {record.item.id: codec.labels_to_rows(record.labels, schema) for record in records}


def hyla(*words: str) -> str:
    """Run `hyla` in a process of its own; return what it wrote."""
    done = subprocess.run([sys.executable, "-m", "hyla.cli", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def near(one: Any, other: Any, within: float) -> bool:
    """Tell whether two shapes, numbers or nested lists of them, differ by no more than `within` anywhere."""
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return abs(one - other) <= within
    if isinstance(one, Sequence) and isinstance(other, Sequence):
        return len(one) == len(other) and all(near(a, b, within) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def as_json(value: Any) -> Any:
    """Return a value as JSON would bring it back: tuples as lists."""
    return json.loads(json.dumps(value))
