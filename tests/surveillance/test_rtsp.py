"""A real RTSP server on this machine: watched, lost, found again with another picture, ended by Ctrl-C and by SIGKILL."""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyla.errors import BadItem
from hyla.pictures import Pictures
from hyla.retain import retain
from hyla.store import Project
from hyla_surveillance.stream import Settings, Stream, decoded

SYSTEM = "/usr/bin/python3"
SERVER = Path(__file__).resolve().parents[1] / "rtsp_server.py"
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
SETTINGS = Settings(queue=64, patience=5.0, retry=(0.05, 0.2))


@pytest.fixture(scope="module")
def server() -> Callable[..., Any]:
    """Give a function that serves streams for as long as its block lasts; see `rtsp_server.py`."""
    if not Path(SYSTEM).exists() or subprocess.run([SYSTEM, "-c", NEEDED], capture_output=True, check=False).returncode:
        pytest.skip("the system's Python has no GStreamer RTSP server (gir1.2-gst-rtsp-server-1.0, python3-gi)")

    @contextmanager
    def serve(*streams: str, port: int = 0, user: str = "") -> Iterator[int]:
        words = [SYSTEM, str(SERVER), str(port), *streams, *(["--user", user] if user else [])]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                listens = process.stdout.readline().strip()
                assert listens, f"the server did not start: {process.communicate()}"
                yield int(listens)
            finally:
                process.kill()

    return serve


def stored(out: Path) -> int:
    if not (out / "project.db").exists():
        return 0
    with closing(sqlite3.connect(f"file:{out / 'project.db'}?mode=ro", uri=True)) as db:
        try:
            return int(db.execute("select count(*) from items").fetchone()[0])
        except sqlite3.OperationalError:  # its tables are being made
            return 0


def interruptible() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(source: str, out: Path, *more: str) -> list[str]:
    words = [
        "preset=surveillance",
        "loader=rtsp",
        "model=none",
        "redact=none",
        f"source={source}",
        f"out={out}",
        "progress=false",
    ]
    return [sys.executable, "-m", "hyla.cli", "run", *words, "loader.stream.retry=[0.05,0.2]", *more]


def watched(words: list[str], out: Path, items: int, sign: signal.Signals) -> tuple[int, str]:
    """Run until so many items are stored, send a signal, and return the exit status and what was said."""
    before = stored(out)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=interruptible)
    while process.poll() is None and stored(out) < before + items:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    process.send_signal(sign)
    said, _ = process.communicate(timeout=30)
    return process.returncode, said


def groups(out: Path) -> tuple[list[str], list[str]]:
    """Return the groups in the order of the records, and those that were not finished."""
    with Project.open(out) as project:
        names = [name for name, _ in itertools.groupby(record.item.group for record in project.records(source="model"))]
        return names, project.open_groups()


def test_frames_come_at_the_pace_of_the_camera_with_its_own_times(server):
    with server("gate=320x240@20") as port:
        stream = Stream(f"rtsp://127.0.0.1:{port}/gate", None, SETTINGS, 10**6, decoded)
        shots = [stream.get(20.0) for _ in range(30)]
        stream.close()
    assert all((shot.frame.width, shot.frame.height) == (320, 240) for shot in shots)
    steps = np.diff([shot.seconds for shot in shots])
    assert steps[1:] == pytest.approx(0.05, abs=0.01)  # the first frame may come before its time is known
    assert stream.state()["clock_resets"] == 0


def test_a_camera_that_dies_and_comes_back_with_another_picture_is_found_again(server):
    with server("gate=320x240") as port:
        stream = Stream(f"rtsp://127.0.0.1:{port}/gate", 8, SETTINGS, 10**6, decoded)
        first = stream.get(20.0)
    while stream.state()["state"] != "lost":
        stream.get(0.1)
    assert stream.lost_for() > 0
    with server("gate=480x272", port=port):
        later = first
        while later is None or later.frame.width == 320:
            later = stream.get(20.0)
            assert later is not None, stream.state()
    stream.close()
    assert (later.frame.width, later.frame.height) == (480, 272)
    assert later.seconds > first.seconds
    assert stream.state()["reconnects"] >= 1


def test_who_may_not_watch_is_told_so_and_the_address_stays_secret(server):
    with server("gate=320x240", user="bob:s3cret-word") as port:
        stream = Stream(f"rtsp://bob:wrong-word@127.0.0.1:{port}/gate", 8, SETTINGS, 10**6, decoded)
        while not stream.state().get("error"):
            stream.get(0.1)
        state = stream.state()
        stream.close()
    assert state["state"] == "connecting"
    assert "401" in state["error"] or "nauthorized" in state["error"], state
    assert "wrong-word" not in str(state)


def test_ctrl_c_ends_the_session_and_the_next_run_begins_another_whoever_is_not_there(server, tmp_path):
    out = tmp_path / "out"
    with server("gate=320x240", "yard=352x288", user="bob:s3cret-word") as port:
        (tmp_path / "list.yaml").write_text(
            f"gate: rtsp://bob:s3cret-word@127.0.0.1:{port}/gate\nyard: rtsp://bob:s3cret-word@127.0.0.1:{port}/yard\n"
            "hall: rtsp://127.0.0.1:1/hall\n"
        )
        words = run(str(tmp_path / "list.yaml"), out)
        status, said = watched(words, out, 24, signal.SIGINT)
        assert status == 130, said
        assert "Traceback" not in said
        assert "s3cret-word" not in said
        first, unfinished = groups(out)
        assert sorted(name.partition("/")[0] for name in first) == ["gate", "yard"]
        assert unfinished == []
        status, said = watched(words, out, 24, signal.SIGINT)
        assert status == 130, said
    later, unfinished = groups(out)
    assert later[:2] == first
    assert len(later) == 4
    assert unfinished == []
    for path in out.rglob("*"):
        assert not path.is_file() or b"s3cret-word" not in path.read_bytes(), path
    with Project.open(out) as project:
        assert project.verify().ok
        cameras = project.cameras()
        assert {name: (one["state"], one.get("size")) for name, one in cameras.items()} == {
            "gate": ("ended", [240, 320]),
            "yard": ("ended", [288, 352]),
            "hall": ("ended", None),
        }
        assert "refused" in cameras["hall"]["error"]
        records = list(project.records(source="model"))
        pictures = Pictures.of(project)
        for record in records[:: len(records) // 6]:
            image = pictures.load(record.item)
            assert image.size == record.size
            assert image.frame == record.frame
    shown = subprocess.run(
        [sys.executable, "-m", "hyla.cli", "status", str(out)], capture_output=True, text=True, check=True
    ).stdout
    assert "camera gate: ended since" in shown
    assert "320 x 240" in shown


def test_an_address_as_source_is_stored_without_its_password(server, tmp_path):
    out = tmp_path / "out"
    with server("gate=320x240", user="bob:s3cret-word") as port:
        words = run(f"rtsp://bob:s3cret-word@127.0.0.1:{port}/gate", out, "loader.stream.duration=1", "loader.camera=gate")
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "s3cret-word" not in done.stdout + done.stderr
    (group,), unfinished = groups(out)
    assert group.startswith("gate/")
    assert unfinished == []
    with Project.open(out) as project:
        assert project.source() == f"rtsp://127.0.0.1:{port}/gate"
    for path in out.rglob("*"):
        assert not path.is_file() or b"s3cret-word" not in path.read_bytes(), path


def test_a_run_that_is_killed_loses_no_group(server, tmp_path):
    out = tmp_path / "out"
    with server("gate=320x240") as port:
        words = run(f"rtsp://127.0.0.1:{port}/gate", out)
        status, _ = watched(words, out, 16, signal.SIGKILL)
        assert status == -signal.SIGKILL
        killed, unfinished = groups(out)
        assert unfinished == killed
        shown = subprocess.run(
            [sys.executable, "-m", "hyla.cli", "status", str(out)], capture_output=True, text=True, check=True
        ).stdout
        assert "ended" not in shown
        status, said = watched(words, out, 8, signal.SIGINT)
        assert status == 130, said
    both, unfinished = groups(out)
    assert both[0] == killed[0]
    assert (len(both), unfinished) == (2, [])
    with Project.open(out) as project:
        pictures = Pictures.of(project)
        for record in project.records(source="model"):
            assert pictures.load(record.item).size == record.size  # also the last that the killed run stored
        assert project.verify().ok
        retain(project, "ann", hours=0, now=time.time() + 1)
        assert list((out / "recordings").rglob("*.ts")) == []
        with pytest.raises(BadItem, match="is not there"):
            pictures.load(record.item)
        assert project.verify().ok
