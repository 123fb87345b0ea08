"""Measure the decision layer on a project of a million labels: python benchmarks/decide/scale.py [--images 94000] [--labels 11].

Of the pictures, 500 were answered before, so that the risks are learned; the machine is wrong on few labels, mostly on those of
low scores. Processor time stands beside the time on the clock, since other work on the machine makes the latter long. Peak memory
is that of the whole process from the moment that the project is there.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hyla.decide.assemble import assemble, build_decide
from hyla.decide.drawing import draw, route
from hyla.decide.gather import asked_by_item
from hyla.decide.lot import Lot
from hyla.decide.planning import plan
from hyla.decide.route import Route
from hyla.decide.threshold import Test, test
from hyla.schema import Class, Schema
from hyla.store import Project, Stored
from hyla.types import Floats, Item, Labels, Record

CLASSES, BATCH, ANSWERED = 80, 64, 500
SCHEMA = Schema("bench", tuple(Class(f"class{i}") for i in range(CLASSES)))
EPS, DELTA = 0.05, 0.05


def main() -> None:
    given = arguments()
    if given.measure:
        measure(given.measure, given.risk)
        return
    with tempfile.TemporaryDirectory(dir=given.to) as folder:
        path = Path(folder) / "project"
        make(path, given.images, given.labels)
        for risk in ("score", "learned"):  # each in a process of its own, for its peak of memory
            env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            subprocess.run([sys.executable, __file__, "--measure", str(path), "--risk", risk], check=True, env=env)


def make(path: Path, images: int, n: int) -> None:
    rng = np.random.default_rng(0)
    with Project.create(path) as project:
        project.start_run({"preset": "bench"}, SCHEMA, "bench", {}, {"name": "bench"})
        for start in range(0, images, BATCH):
            project.write([Stored(made(rng, i, n), i, 0.01) for i in range(start, min(start + BATCH, images))])
        for record in [r for i, r in enumerate(project.records("model")) if i % (images // ANSWERED) == 0]:
            name, right = record.item.id, rng.random(n) > wrong_at(record.labels.score)
            if right.all():
                project.decide(name, "accept", who="bench", key=name)
            else:
                project.decide(name, "edit", who="bench", key=name, labels=record.labels[right])


def made(rng: np.random.Generator, i: int, n: int) -> Record:
    near = rng.random((n, 2)) * 500
    ids = (CLASSES * rng.random(n) ** 2).astype(np.int64)
    labels = Labels.of(ids, np.hstack([near, near + 1 + rng.random((n, 2)) * 100]), score=rng.beta(4, 1, n))
    item = Item(f"image-{i:07d}-0123456789ab", f"folder/image-{i:07d}.jpg", meta={"site": f"s{i % 3}"})
    return Record(item, labels, source="model:bench@0123456789ab", size=(600, 600))


def wrong_at(score: Floats) -> Floats:
    return 0.3 * (1 - score)


def measure(path: Path, risk: str) -> None:
    total = [0.0, 0.0]

    def timed(what: str, work: Callable[[], Any]) -> Any:
        clock, cpu = time.perf_counter(), time.process_time()
        result = work()
        spent = time.perf_counter() - clock, time.process_time() - cpu
        total[:] = [a + b for a, b in zip(total, spent, strict=True)]
        print(f"  {what:<10} {spent[0]:6.2f} s, {spent[1]:6.2f} s of the processor")
        return result

    with Project.open(path) as project:
        stages = build_decide({}, [f"risk={risk}"], SCHEMA)
        print(f"risk={risk}:")
        found = timed("assemble", lambda: assemble(project, *stages, ["site"]))
        lot: Lot = found.lot
        planned = timed("plan", lambda: plan(lot, EPS, DELTA))
        number = timed("freeze", lambda: project.freeze(lot, {"plan": planned.to_dict()}, "0"))
        draws = timed("draw", lambda: draw(lot, planned, "0"))
        wrong = (np.random.default_rng(1).random(len(lot.item)) < lot.risk * 0.3).astype(float)
        tested = timed("test", lambda: [test(lot, one, drawn, wrong) for one, drawn in zip(tests(planned), draws, strict=True)])
        asked = timed("route", lambda: route(lot, [one.cut for one in tested], draws))
        timed("store", lambda: project.route(number, routes(lot, asked)))
        kept = sum(one.accepted for one in tested)
        models = ", ".join(f"{one.about} by {one.model or 'scores'}" for one in found.calibrations)
        print(f"  together   {total[0]:6.2f} s, {total[1]:6.2f} s of the processor; peak memory {peak():.0f} MB")
        print(
            json.dumps(
                {"pictures": len(lot), "asks": len(lot.item), "accepted": kept, "answered": found.trained_on, "risk": models}
            )
        )


def tests(planned: Any) -> list[Test]:
    return [Test(i, s.name, s.method, s.eps, s.delta, s.cuts) for i, s in enumerate(planned.strata)]


def routes(lot: Lot, asked: np.ndarray) -> list[Route]:
    return [Route(lot.id(i), whole, rows) for i, whole, rows in asked_by_item(lot, asked) if not lot.settled[lot.unit[i]]]


def peak() -> float:
    """Return the peak memory of this process in MB (Linux counts in KiB, macOS in bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1024)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=94_000)
    parser.add_argument("--labels", type=int, default=11)
    parser.add_argument("--to", type=Path, help="folder on the disk to measure; the system's temporary folder by default")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--risk", default="learned", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
