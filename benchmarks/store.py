"""Measure the store: load a million labels, read them back in several ways, and prove them.

    python benchmarks/store.py [--images 100000] [--labels 10] [--to FOLDER]

Labels are made up before each batch, outside the time that is counted. Peak memory is that of the whole process, with numpy and
SQLAlchemy loaded; the first line says what it was before anything was stored. The file cache of the system is warm throughout.
"""

from __future__ import annotations

import argparse
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hyla.schema import Class, Schema
from hyla.store import Project, Stored, glance
from hyla.types import Flag, Item, Labels, Record, Verdict

BATCH = 64  # records of one transaction, as in a run
CLASSES = 80
RARE = "class79"
SCHEMA = Schema("bench", tuple(Class(f"class{i}") for i in range(CLASSES)))


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory(dir=given.to) as folder:
        path = Path(folder) / "project"
        print(f"SQLite {sqlite3.sqlite_version}, {given.images} images x {given.labels} labels; peak before: {peak():.0f} MB")
        with Project.create(path) as project:
            load(project, given.images, given.labels)
            ids = [record.item.id for _, record in zip(range(given.images // 2), project.records("model"), strict=False)][::97][
                :1000
            ]
            single = [timed(lambda one=one: project.record(one))[0] for one in ids]
            print(f"one image by id: median {1e6 * statistics.median(single):.0f} us")
            say("images of a rare class", lambda: total(project.records("model", class_name=RARE)))
            say("  of those, the first 128", lambda: first(project.records("model", class_name=RARE), 128))
            say("  with a score of 0.9 or more", lambda: total(project.records("model", class_name=RARE, score=(0.9, 1.0))))
            say("images to review", lambda: total(project.records("model", verdict=Verdict.REVIEW)))
            say("stream all", lambda: total(project.records("model")))
            say("count", lambda: project.counts().labels)
            say("glance", lambda: glance(path).counts.labels)
            say("verify", lambda: project.verify().labels)
            decide(project, ids[:500])
        print(f"file: {(path / 'project.db').stat().st_size / 1e6:.0f} MB; peak memory after all: {peak():.0f} MB")
        start_up(path)


def load(project: Project, images: int, n: int) -> None:
    project.start_run({"preset": "bench"}, SCHEMA, "bench", {}, {"name": "bench"})
    rng, seconds, worst, cpu = np.random.default_rng(0), 0.0, 0.0, 0.0
    for start in range(0, images, BATCH):
        entries = [made(rng, i, n) for i in range(start, min(start + BATCH, images))]
        began = time.process_time()
        spent, _ = timed(lambda entries=entries: project.write(entries))
        cpu += time.process_time() - began
        seconds, worst = seconds + spent, max(worst, spent)
    rate = f"{images / seconds:.0f} images/s, {images * n / seconds:.0f} labels/s"
    print(f"write: {seconds:.1f} s, {1e6 * seconds / images:.0f} us per image ({1e6 * cpu / images:.0f} us of CPU)")
    print(f"  {rate}; slowest batch {1e3 * worst:.0f} ms")
    print(f"peak after loading: {peak():.0f} MB")


def made(rng: np.random.Generator, i: int, n: int) -> Stored:
    near = rng.random((n, 2)) * 500
    # A square makes high ids rare: class79 is on one label in a hundred or so.
    ids = (CLASSES * rng.random(n) ** 2).astype(np.int64)
    labels = Labels.of(
        ids, np.hstack([near, near + 1 + rng.random((n, 2)) * 100]), score=rng.random(n), track=rng.integers(0, 50, n)
    )
    flags = (Flag("small", "too_small", rows=(0,), message="3 px < 10 px"),) if i % 5 == 0 else ()
    verdict = Verdict.REVIEW if flags else Verdict.ACCEPT
    item = Item(f"image-{i:07d}-0123456789ab", f"folder/image-{i:07d}.jpg")
    return Stored(Record(item, labels, flags, verdict, "model:bench@0123456789ab", (600, 600)), i, 0.01)


def decide(project: Project, ids: list[str]) -> None:
    spent = [timed(lambda one=one: project.decide(one, "accept", who="bench", key=one))[0] for one in ids]
    print(f"one decision, on the disk: median {1e3 * statistics.median(spent):.2f} ms, slowest {1e3 * max(spent):.1f} ms")


def start_up(path: Path) -> None:
    quick = f"from pathlib import Path; from hyla.store import glance; glance(Path({str(path)!r}))"
    full = f"from hyla.store import Project; p = Project.open({str(path)!r}); p.close()"
    for name, code in (
        ("nothing", "pass"),
        ("import hyla.store.glance", quick.split("; ")[1]),
        ("glance", quick),
        ("Project.open", full),
    ):
        spent = [timed(lambda code=code: subprocess.run([sys.executable, "-c", code], check=True))[0] for _ in range(5)]
        print(f"a process that does {name}: median {1e3 * statistics.median(spent):.0f} ms")


def say(what: str, work: Callable[[], int]) -> None:
    before = peak()
    seconds, n = timed(work)
    print(f"{what}: {seconds:.2f} s, {n} found; peak memory grew by {peak() - before:.1f} MB")


def total(found: Any) -> int:
    return sum(1 for _ in found)


def first(found: Any, n: int) -> int:
    return sum(1 for _ in zip(range(n), found, strict=False))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def peak() -> float:
    """Return the peak memory of this process in MB (Linux counts in KiB, macOS in bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1024)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labels", type=int, default=10)
    parser.add_argument("--to", type=Path, help="folder on the disk to measure; the system's temporary folder by default")
    return parser.parse_args()


if __name__ == "__main__":
    main()
