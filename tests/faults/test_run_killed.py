"""A run stopped at any moment, by SIGKILL or Ctrl-C, ends with the rows of an undisturbed one when it is started again."""

from __future__ import annotations

import random
import resource
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hyla.codec import record_to_dict
from hyla.store import Project

SOURCE = "clip1 60\n" + "".join(f"- one{i}\n" for i in range(60)) + "badclip 60\nclip2 60\n"
ITEMS = 240


def command(source: Path, out: Path) -> list[str]:
    words = ["preset=toy", f"source={source}", f"out={out}", "loader.slow=0.004", "batch=4", "workers=2", "progress=false"]
    return [sys.executable, "-m", "hyla.cli", "run", *words]


def rows(out: Path) -> list[dict[str, Any]]:
    with Project.open(out) as project:
        schema = project.schema()
        found = [record_to_dict(r, schema) for r in project.records(source="model")]
        found += [{"quarantined": q.item.id, "reason": q.reason} for q in project.quarantined()]
        assert project.verify().ok
    return found


def stored(out: Path) -> int:
    if not (out / "project.db").exists():
        return 0
    with closing(sqlite3.connect(f"file:{out / 'project.db'}?mode=ro", uri=True)) as db:
        try:
            query = "select (select count(*) from items) + (select count(*) from quarantine)"
            return int(db.execute(query).fetchone()[0])
        except sqlite3.OperationalError:  # its tables are being made
            return 0


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.toy"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def undisturbed(toy: Path, source: Path, tmp_path: Path) -> list[dict[str, Any]]:
    subprocess.run(command(source, tmp_path / "whole"), check=True, capture_output=True)
    return rows(tmp_path / "whole")


def test_a_full_disk_ends_the_run_with_one_message_and_loses_nothing(
    undisturbed: list[dict[str, Any]], source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def little_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))  # no file may grow beyond, as on a full disk

    done = subprocess.run(command(source, out), capture_output=True, text=True, preexec_fn=little_space, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 3, done.stderr
    assert 0 < stored(out) < ITEMS
    subprocess.run(command(source, out), check=True, capture_output=True)
    assert rows(out) == undisturbed


def interruptible() -> None:
    """Hear Ctrl-C, also where the tests themselves run in the background of a shell, which leaves it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_ten_interruptions_change_nothing(
    undisturbed: list[dict[str, Any]], source: Path, tmp_path: Path, sign: signal.Signals
) -> None:
    out = tmp_path / "out"
    moments = sorted(random.Random(sign).sample(range(2, ITEMS - 10), 10))
    interrupted = 0
    for moment in moments:
        process = subprocess.Popen(
            command(source, out), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=interruptible
        )
        while process.poll() is None and stored(out) < moment:
            pass
        process.send_signal(sign)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        if sign == signal.SIGINT and process.returncode not in (0, -signal.SIGINT):
            assert process.returncode == 130
        interrupted += process.returncode != 0
    assert interrupted >= 5
    finished = subprocess.run(command(source, out), check=True, capture_output=True, text=True)
    assert f"{ITEMS} items" in finished.stdout
    assert rows(out) == undisturbed
