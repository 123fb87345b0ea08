"""Measure the review page in a real Chromium: what a person waits for, and what the page weighs.

    python benchmarks/review/run.py [--quick] [--only NAME] [--keep FOLDER] [--peer FOLDER] [--write]

Every measurement has a server, a browser and a project of its own; figures are of the warm page, medians of 30.
`benchmarks/README.md` says how each is taken. The page is the one that was built into the package, or that of HYLA_REVIEW_STATIC.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import canvas
import clips
import hand
import lists
import peer
import planes
import weight
from browser import Bench
from figures import Figure, Machine, table
from playwright.sync_api import sync_playwright
from projects import Projects

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN, END = "<!-- review: begin -->", "<!-- review: end -->"
MEASUREMENTS: dict[str, Callable[[Bench], list[Figure]]] = {
    "next": hand.next_item,
    "acknowledged": hand.acknowledged,
    "server": hand.server,
    "shapes": canvas.shapes,
    "grid": lists.grid,
    "volume": planes.volume,
    "queue": lists.queue,
    "scripts": weight.scripts,
    "memory": weight.memory,
    "video": clips.video,
}


def main() -> None:
    given = arguments()
    machine = Machine.here()  # before anything is made, which is work too
    with tempfile.TemporaryDirectory(prefix="hyla-bench-", dir=given.scratch) as folder, sync_playwright() as playwright:
        scratch = Path(folder)
        bench = Bench(
            playwright.chromium, Projects(given.keep or scratch / "kept", scratch), 5 if given.quick else 30, given.quick
        )
        with bench.browser() as browser:
            chromium = browser.version
        found: list[Figure] = []
        for name in given.only or MEASUREMENTS:
            began = time.perf_counter()
            figures = MEASUREMENTS[name](bench)
            print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
            print(table(figures, machine.quiet), file=sys.stderr, flush=True)
            found += figures
        beside = peer.label_studio(bench, given.peer) if given.peer else []
    words = [
        "python benchmarks/review/run.py",
        *(f"--only {name}" for name in given.only or ()),
        *(["--quick"] if given.quick else []),
        *(["--peer FOLDER"] if given.peer else []),
    ]
    trial = "\n\n**A trial with few repetitions (`--quick`): to be replaced by a whole run.**" if given.quick else ""
    quiet = machine.quiet and not given.quick
    tables = [table(found, quiet)] + ([f"{peer.RELEASE}, on the same machine:\n\n{table(beside, quiet)}"] if beside else [])
    report = "\n\n".join([f"Command: `{' '.join(words)}`", machine.line(chromium) + trial, *tables])
    print(report)
    if given.write:
        write(report)


def write(report: str) -> None:
    """Put the report between its markers in the README."""
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{report}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions on small projects, to see that it works")
    parser.add_argument("--only", action="append", choices=list(MEASUREMENTS), help="measure this; may be given more than once")
    parser.add_argument("--keep", type=Path, help="folder to keep the projects in for the next time")
    parser.add_argument(
        "--peer", type=Path, help="install Label Studio into an environment under this folder, and measure it too"
    )
    parser.add_argument("--scratch", type=Path, help="folder for copies; the system's temporary folder by default")
    parser.add_argument("--write", action="store_true", help="put the report into benchmarks/README.md")
    given: argparse.Namespace = parser.parse_args()
    if given.write and given.only:
        parser.error("--write is for a whole run")
    return given


if __name__ == "__main__":
    main()
