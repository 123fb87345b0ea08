"""What the tests of the decision layer share: projects with truth, in which scores say something of errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Flag, Item, Kind, Labels, Record
from store_kit import CAR, PERSON, SCHEMA, record, start

TAGS = Schema.from_config({"name": "animals", "kinds": ["tag"], "classes": {"cat": {}, "dog": {}, "cow": {}}})
Make = Callable[[int, np.random.Generator], tuple[Labels, Labels]]


def tags(i: int, rng: np.random.Generator) -> tuple[Labels, Labels]:
    """Return the machine's tag and the true one: wrong as often as the score says."""
    score = float(rng.beta(6, 1.2))
    true = int(rng.integers(3))
    said = true if rng.random() < score else (true + 1) % 3
    box = [[0, 0, 200, 100]]
    return Labels.of([said], box, score=[score], kind=Kind.TAG), Labels.of([true], box, kind=Kind.TAG)


def scene(i: int, rng: np.random.Generator) -> tuple[Labels, Labels]:
    """Return the machine's boxes and the true ones: some spurious, some of another class, some missed, by the score."""
    n = int(rng.integers(1, 8))
    places = np.array([[k * 24 + 1, 10, k * 24 + 19, 60] for k in range(n)], dtype=float)
    classes = rng.choice([CAR, PERSON], n)
    score = np.round(rng.beta(8, 1.0, n), 6)
    spurious, confused = rng.random(n) > score, rng.random(n) > np.sqrt(score)
    said = np.where(confused & ~spurious, CAR + PERSON - classes, classes)
    missed = rng.random(n) < 0.01
    truth = Labels.of(classes[~spurious], places[~spurious])
    return Labels.of(said[~missed], places[~missed], score=score[~missed]), truth


def project_of(
    path: Path,
    n: int,
    make: Make = scene,
    schema: Schema = SCHEMA,
    seed: int = 0,
    flags: Callable[[int], tuple[Flag, ...]] = lambda i: (),
    decide: str = "objects",
) -> Project:
    """Return a project of `n` labelled pictures with `truth:known`; every fifth is of site b, the others of site a."""
    project = Project.create(path)
    more(project, range(n), make, schema, seed, flags, "known")
    if decide != "objects":
        from hyla.decide.stages import composed

        project.remember("decide", composed({}, (f"decide={decide}",)))
    return project


def more(
    project: Project,
    numbers: range,
    make: Make = scene,
    schema: Schema = SCHEMA,
    seed: int = 0,
    flags: Callable[[int], tuple[Flag, ...]] = lambda i: (),
    truth: str = "later",
) -> None:
    """Run pictures of these numbers into a project, and add what is true of them."""
    rng = np.random.default_rng(seed)
    run = start(project, schema=schema)
    machine: list[Record] = []
    known: list[Record] = []
    for i in numbers:
        said, true = make(i, rng)
        item = Item(f"item{i:05d}", f"{i}.jpg", meta={"site": "ab"[i % 5 == 4]})
        one = replace(record(item.id, said, flags(i)), item=item)
        machine.append(one)
        known.append(replace(one, labels=true, flags=()))
    for first in range(0, len(machine), 500):
        some = machine[first : first + 500]
        project.write([Stored(one, numbers[first + k], 0.0) for k, one in enumerate(some)])
    project.finish_run(run, "finished", {})
    project.add(known, f"truth:{truth}")
