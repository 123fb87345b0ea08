"""Eight live streams on one machine: does memory stay where it is, and does the machine keep up?

    python benchmarks/surveillance/streams.py            an hour of simulated time
    python benchmarks/surveillance/streams.py --rtsp     a minute of real time, from a real RTSP server on this machine

Simulated cameras go as fast as the run takes their frames, so that nothing is dropped and an hour takes minutes. Each decodes an
H.264 clip of ten seconds again and again, with timestamps that go on; frames are thinned out, recorded and stored as always. The
model is `none` unless another is named.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from scipy import stats

import hyla
from hyla.store import Project
from hyla_surveillance.live import Live
from hyla_surveillance.stream import Settings, Stream

FPS = 25
CLIP = 10  # seconds
SERVER = Path(__file__).resolve().parents[2] / "tests/rtsp_server.py"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=60.0, help="of simulated time")
    parser.add_argument("--seconds", type=float, default=60.0, help="of real time, with --rtsp")
    parser.add_argument("--size", default="352x288")
    parser.add_argument("--model", default="none")
    parser.add_argument("--rtsp", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (live if given.rtsp else simulated)(given, Path(folder))


def simulated(given: argparse.Namespace, folder: Path) -> None:
    """Run an hour as fast as it goes, and watch the memory."""
    width, height = map(int, given.size.split("x"))
    clip = write_clip(folder / "clip.mp4", width, height)
    turns: dict[str, threading.BoundedSemaphore] = {}

    class Paced(Stream):
        def get(self, timeout: float) -> Any:
            shot = super().get(timeout)
            if shot is not None:
                turns[self._url].release()
            return shot

    def frames(url: str, _settings: Settings) -> Iterator[tuple[Any, float | None]]:
        due = 0.0
        for seconds, frame in endless(clip):
            if seconds >= due:  # one that is kept: wait until there is room
                while not turns[url].acquire(timeout=0.5):
                    pass
                due = (int(seconds * 8 + 1e-6) + 1) / 8 - 1e-6
            yield frame, seconds

    def open_stream(self: Live, url: str) -> Stream:
        turns[url] = threading.BoundedSemaphore(8)
        return Paced(url, self.fps, self.settings, self.max_pixels, frames)

    Live.open_stream = open_stream  # type: ignore[method-assign]
    out = folder / "out"
    names = folder / "list.yaml"
    names.write_text("".join(f"camera{i}: rtsp://simulated/{i}\n" for i in range(given.cameras)))
    settings = [f"loader.stream.duration={given.minutes * 60}", "loader.session=900"]
    watch = Watch(out)
    summary = label(names, out, given.model, *settings)
    points = watch.stop()
    minutes, used = np.array(points).T / np.array([[1.0], [1e6]])
    late = minutes > minutes.max() * 0.5  # by then SQLite has filled its cache of 32 MiB
    fit = stats.linregress(minutes[late], used[late])
    half = stats.t.ppf(0.975, late.sum() - 2) * fit.stderr
    with Project.open(out) as project:
        cameras = project.cameras()
        unfinished = project.open_groups()
    ratio = given.minutes * 60 / summary.seconds
    size = sum(path.stat().st_size for path in (out / "recordings").rglob("*.ts"))
    print(f"{given.cameras} cameras of {given.size}, {FPS} frames/s, model={given.model}, {given.minutes:g} simulated minutes")
    print(f"  {ratio:.1f} x real time: {summary.seconds:.0f} s, n = {summary.items} frames kept, {summary.quarantined} lost")
    print(f"  memory: {used[late].mean():.0f} MB in the second half of the time, highest {used.max():.0f} MB")
    low, growth, high = (60 * value for value in (fit.slope - half, fit.slope, fit.slope + half))
    print(f"  there it grows by {growth:+.1f} MB an hour, 95 % interval {low:+.1f} to {high:+.1f} (n = {late.sum()} looks)")
    print(f"  dropped {sum(c['dropped'] for c in cameras.values())}, sessions unfinished {len(unfinished)}", end="; ")
    print(f"recordings {size / 1e6:.0f} MB, database {(out / 'project.db').stat().st_size / 1e6:.0f} MB")


def live(given: argparse.Namespace, folder: Path) -> None:
    """Watch a real server in real time, and say what it took and what was dropped."""
    names = [f"camera{i}" for i in range(given.cameras)]
    words = ["/usr/bin/python3", str(SERVER), "0", *(f"{name}={given.size}@{FPS}" for name in names)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            source = folder / "list.yaml"
            source.write_text("".join(f"{name}: rtsp://127.0.0.1:{port}/{name}\n" for name in names))
            before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            label(source, folder / "out", given.model, f"loader.stream.duration={given.seconds}")
            after, took = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
        finally:
            server.kill()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    with Project.open(folder / "out") as project:
        cameras = project.cameras()
    kept, dropped = (sum(c[what] for c in cameras.values()) for what in ("frames", "dropped"))
    print(f"{given.cameras} RTSP streams of {given.size} at {FPS} frames per second for {given.seconds:g} s, model={given.model}")
    print(f"  {spent / took:.2f} cores; of n = {kept} frames kept {dropped} dropped; lost and found again", end=" ")
    print(f"{sum(c['reconnects'] for c in cameras.values())} times; highest memory {after.ru_maxrss / 1e3:.0f} MB")


def label(source: Path, out: Path, model: str, *settings: str) -> Any:
    words = ["loader=rtsp", f"model={model}", "redact=none", *settings]
    return hyla.run(hyla.compose("surveillance", *words, source=source, out=out, progress=False))


class Watch:
    """Look at the memory of this process for as long as a run goes on: (simulated minutes, bytes), each half second."""

    def __init__(self, out: Path) -> None:
        self._out, self._points, self._stop = out, list[tuple[float, float]](), threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def stop(self) -> list[tuple[float, float]]:
        self._stop.set()
        self._thread.join()
        return self._points

    def _work(self) -> None:
        while not self._stop.wait(0.5):
            minutes = sum(CLIP_SECONDS.values()) / max(1, len(CLIP_SECONDS)) / 60
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            if minutes > 0:
                self._points.append((minutes, pages * resource.getpagesize()))


CLIP_SECONDS: dict[int, float] = {}  # thread of a camera -> the simulated time that it has come to


def endless(clip: Path) -> Iterator[tuple[float, Any]]:
    """Yield (seconds, frame) of a clip that is shown again and again."""
    turn = 0
    while True:
        with av.open(str(clip)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for i, frame in enumerate(container.decode(video=0)):
                seconds = turn * CLIP + i / FPS
                CLIP_SECONDS[threading.get_ident()] = seconds
                yield seconds, frame
        turn += 1


def write_clip(path: Path, width: int, height: int) -> Path:
    """Write ten seconds of a picture with some noise in which a bright box walks."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (height, width, 3))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for i in range(CLIP * FPS):
            pixels = np.clip(ground + rng.integers(-3, 4, ground.shape), 0, 255).astype(np.uint8)
            x = i * (width - 40) // (CLIP * FPS)
            pixels[height // 3 : height // 3 * 2, x : x + 40] = 230
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode())
    return path


if __name__ == "__main__":
    main()
