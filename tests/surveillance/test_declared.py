"""Errors are compared by what was declared of a camera, by camera and by time of day, and by nothing that is guessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hyla import compose
from hyla.decide.bias import MISSING
from hyla.decide.flow import Demand, look
from hyla.decide.strata import spread
from hyla.errors import ConfigError
from hyla.report.groups import subgroups
from hyla.schema import Schema
from hyla.store import Project, Stored
from hyla.types import Item, Labels, Record, Verdict
from store_kit import start

CAMERAS = {
    "gate": {"site": "north", "declared": "entrance=staff,site=north"},
    "yard": {"site": "north", "declared": "entrance=public,site=north"},
    "dock": {"site": "south", "declared": "entrance=public,site=south"},
    "roof": {},
}
TIMES = ("day", "dusk", "night")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Hold 120 frames of four cameras, in which the machine finds one person more at night."""
    schema = Schema.from_config(compose("surveillance", source=".").schema)
    person = schema.class_id("person")
    with Project.create(tmp_path) as made:
        start(made, schema=schema)
        entries, truth = [], []
        for k in range(120):
            camera, time = list(CAMERAS)[k % 4], TIMES[k % 3]
            context: dict[str, Any] = {"camera": camera, "timeofday": time, **CAMERAS[camera]}
            wrong = int(time == "night")
            boxes = [[10 + 60 * i, 10, 50 + 60 * i, 90] for i in range(1 + wrong)]
            labels = Labels.of([person] * len(boxes), boxes, score=[0.9] * len(boxes), context=context)
            item = Item(f"item{k:04d}", f"{k}.jpg", meta={"camera": camera, "codec": f"c{k % 2}"})
            one = Record(item, labels, (), Verdict.ACCEPT, "model:toy@0f", (100, 200))
            entries.append(Stored(one, k, 0.0))
            truth.append(replace(one, labels=labels[:1]))
        made.write(entries)
        made.add(truth, "truth:guard")
        yield made


def test_the_report_compares_declared_groups_cameras_and_times(project: Project) -> None:
    section = subgroups(project)
    rows: dict[str, list[str]] = {}
    for by, group, *_ in section.table.rows:
        rows.setdefault(by, []).append(group)
    assert set(rows) == {"entrance", "site", "timeofday", "camera"}  # and none by the codec, of which nobody declared anything
    assert set(rows["entrance"]) == {"staff", "public", MISSING}
    assert set(rows["camera"]) == set(CAMERAS)
    assert set(rows["timeofday"]) == set(TIMES)
    assert any("timeofday" in warning for warning in section.notes)
    assert not any("camera" in warning for warning in section.notes)


@pytest.mark.parametrize(("key", "n"), [("entrance", 3), ("site", 3), ("camera", 4), ("timeofday", 3)])
def test_a_promise_may_hold_for_each_declared_group(project: Project, key: str, n: int) -> None:
    found, _ = look(project, Demand(0.1, 0.05, (key,)))
    assert len(found.lot.strata) == n
    assert all(name for name in found.lot.strata)


def test_what_nobody_declared_divides_nothing(project: Project) -> None:
    with pytest.raises(ConfigError, match="gender"):
        look(project, Demand(0.1, 0.05, ("gender",)))


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({"declared": "site=north, floor = stone"}, {"site": "north", "floor": "stone"}),
        ({"declared": "site=north", "site": "south"}, {"site": "south"}),
        ({"declared": "site,=north,a=,,b=c=d"}, {"b": "c=d"}),
        ({"declared": None}, {}),
        ({"declared": 3}, {}),
        ({}, {}),
    ],
)
def test_pairs_are_read_as_they_were_written(known: dict[str, Any], found: dict[str, str]) -> None:
    assert {key: value for key, value in spread(known).items() if key != "declared"} == found
