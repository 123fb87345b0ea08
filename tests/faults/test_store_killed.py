"""A process that is killed at any moment loses nothing that was acknowledged."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hyla.store import Project
from hyla.store.lock import running
from hyla.types import Flag, Verdict
from store_kit import fill, start

DECIDE = """
import sys
from hyla.store import Project
from store_kit import boxes
path, begin = sys.argv[1], int(sys.argv[2])
with Project.open(path) as project:
    for i in range(begin, 10_000):
        item = f"item{i % 5:05d}"
        if i % 3:
            made = project.decide(item, "accept", who="ann", key=str(i))
        else:
            made = project.decide(item, "edit", who="ann", key=str(i), labels=boxes([1, 2, 1][: i % 4]))
        print(i, made.seq, made.hash, flush=True)
"""

WRITE = """
import sys
from hyla.store import Project, Stored
from store_kit import record, start
path = sys.argv[1]
with Project.create(path) as project:
    start(project)
    print("started", flush=True)
    for n in range(0, 100_000, 16):
        names = [f"item{i:05d}" for i in range(n, n + 16)]
        if len(project.known(names)) == 16:
            continue
        project.write([Stored(record(name), n + k, 0.0) for k, name in enumerate(names)])
        print(n + 16, flush=True)
"""


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))


def killed(code: str, *words: str, after: int) -> list[list[str]]:
    """Run `code`, kill it as soon as it has printed `after` lines, and return all lines that it had finished printing."""
    child = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as lines:
        said = [line for _, line in zip(range(after), lines, strict=False)]
        child.kill()
        said += [line for line in lines if line.endswith("\n")]  # what it still said before it died
    assert child.wait() == -signal.SIGKILL
    assert len(said) >= after
    return [line.split() for line in said]


def test_each_acknowledged_decision_survives_kill_9(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 5)
    moments = random.Random(2).sample(range(1, 40), 8)
    acknowledged: dict[str, list[str]] = {}
    for after in moments:
        begin = max((int(key) + 1 for key in acknowledged), default=0)
        for key, *rest in killed(DECIDE, str(tmp_path), str(begin), after=after):
            assert acknowledged.setdefault(key, rest) == rest  # one made but not acknowledged before is made once
    with Project.open(tmp_path) as project:
        kept = {d.key: [str(d.seq), d.hash] for d in project.decisions()}
        assert acknowledged.items() <= kept.items()
        assert len(kept) - len(acknowledged) <= 1  # the last may have been on its way
        report = project.verify(head=acknowledged[max(acknowledged, key=int)][1])
        assert report.ok, report.problems
        assert report.decisions == len(kept)


def test_a_killed_run_leaves_whole_batches_and_lets_the_next_in(tmp_path: Path) -> None:
    stored = 0
    for after in (1, 2, 9, 4):
        said = [line[0] for line in killed(WRITE, str(tmp_path), after=after)]
        assert not running(tmp_path)
        with Project.open(tmp_path) as project:
            counts = project.counts()
            assert counts.items % 16 == 0
            assert counts.items >= max([stored, *(int(n) for n in said if n != "started")])
            assert [r.item.id for r in project.records("model")] == [f"item{i:05d}" for i in range(counts.items)]
            assert project.runs()[-1]["state"] == "killed"
            report = project.verify()
            assert report.ok, report.problems
            assert report.labels == 2 * counts.items
            stored = counts.items
    assert stored >= 16 * 9


DECIDE_ALL = """
import sys
from hyla.store import Project
from hyla.store.asks import Ask
path, begin = sys.argv[1], int(sys.argv[2])
with Project.open(path) as project:
    for i in range(begin, 10_000):
        items = [f"item{n:05d}" for n in range(40)]
        if i % 2:  # the items have lost their first label: take that back
            last = [project.recent(1, item_id=item)[0].seq for item in items]
            asks = [Ask(item, "undo", "ann", f"{i} {item}", undoes=seq) for item, seq in zip(items, last)]
        else:
            asks = [Ask(item, "reject", "ann", f"{i} {item}", rows=(0,)) for item in items]
        made = project.decide_all(asks)
        print(i, made[-1].seq, made[-1].hash, flush=True)
"""


def test_many_decisions_are_made_all_or_none_when_killed(tmp_path: Path) -> None:
    with Project.create(tmp_path) as project:
        start(project)
        fill(project, 40, flags=(Flag("r", "why"),), verdict=Verdict.REVIEW)
    said: list[list[str]] = []
    for after in random.Random(3).sample(range(1, 12), 5):
        begin = 0
        if said:
            with Project.open(tmp_path) as project:
                begin = project.counts().decisions // 40
        said += killed(DECIDE_ALL, str(tmp_path), str(begin), after=after)
        with Project.open(tmp_path) as project:
            number = project.counts().decisions
            assert number % 40 == 0
            assert number - int(said[-1][1]) in (0, 40)  # the last may have been on its way
            report = project.verify(head=said[-1][2])
            assert report.ok, report.problems
            assert {len(list(project.decisions(f"item{n:05d}"))) for n in range(40)} == {number // 40}
            assert {project.state(f"item{n:05d}")["open"] for n in range(40)} == {"0" if number // 40 % 2 else "0-1"}
    with Project.open(tmp_path) as project:
        kept = {d.seq: d.hash for d in project.decisions()}
    assert all(kept[int(seq)] == hash_ for _, seq, hash_ in said)
