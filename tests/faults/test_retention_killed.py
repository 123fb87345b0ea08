"""Deleting that is killed at any moment leaves each clip as it was or gone, and the next call finishes what was begun."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hyla.retain import retain
from hyla.store import Project
from retention_kit import HOUR, NOW, SECRET, begin, clip, store

CLIPS, FRAMES = 24, 40
RETAIN = """
import sys
from pathlib import Path
from hyla import retain
from hyla.store import Project
from retention_kit import NOW
remove, unlink = Project.remove, Path.unlink

def told(self, *given, **how):
    print("clip", flush=True)
    made = remove(self, *given, **how)
    print("deleted", flush=True)
    return made

def gone(self, missing_ok=False):
    print("file", flush=True)
    unlink(self, missing_ok=missing_ok)
    print("removed", flush=True)

Project.remove, Path.unlink = told, gone
print("begun", flush=True)
with Project.open(sys.argv[1]) as project:
    retain.retain(project, "ann", hours=24.0, sources=True, now=NOW)
print("done", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project of many clips, with a decision and a note on each, and their footage."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    source = tmp_path / "source"
    source.mkdir()
    with Project.create(tmp_path / "out") as project:
        begin(project, source)
        for n in range(CLIPS):
            name = f"c{n:02d}"
            store(project, *clip(name, FRAMES, NOW - 30 * HOUR))
            (source / f"{name}.mp4").write_bytes(SECRET.encode())
            project.decide(f"{name}0003", "accept", who="ann", key=name, note=SECRET)
    return tmp_path / "out"


def killed(folder: Path, after: int) -> int:
    """Kill a call once it has said so many words; return how many it said."""
    child = subprocess.Popen([sys.executable, "-c", RETAIN, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as lines:
        said = [line for _, line in zip(range(after), lines, strict=False)]
        child.kill()
        said += list(lines)
    assert child.wait() in (-signal.SIGKILL, 0)
    return len(said)


def test_each_clip_is_whole_or_gone_and_the_next_call_finishes(folder: Path) -> None:
    source = folder.parent / "source"
    picks = random.Random(5).sample(range(1, 20), 6)
    left = CLIPS
    for after in picks:
        killed(folder, after)
        with Project.open(folder) as project:
            report = project.verify()
            assert report.ok, report.problems
            assert report.decisions == CLIPS
            whole = {record.item.group for record in project.records()}
            assert all(len(list(project.clip(group))) == FRAMES for group in whole)
            assert report.deleted == (CLIPS - len(whole)) * FRAMES
            assert all((source / f"{group}.mp4").exists() for group in whole)  # no file goes before its rows do
            unswept = {one.body["clips"][0] for one in project.unswept()}
            assert {path.stem for path in source.iterdir()} <= whole | unswept
            assert len(unswept) <= 1
            assert len(whole) <= left
            left = len(whole)
    assert left < CLIPS
    with Project.open(folder) as project:
        done = retain(project, "ann", hours=24.0, sources=True, now=NOW)
        assert done.items == left * FRAMES
        assert done.behind == ""
        assert project.unswept() == []
        assert project.verify().ok
    assert list(source.iterdir()) == []
    assert all(SECRET.encode() not in path.read_bytes() for path in folder.rglob("*") if path.is_file())
