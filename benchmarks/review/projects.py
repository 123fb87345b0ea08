"""Make the projects that are measured: pictures of noise and gradients from a fixed seed, nothing from the network."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import stages
from PIL import Image as Pillow

import hyla
from hyla.schema import Class, Schema
from hyla.store import Project, Stored
from hyla.types import Flag, Item, Labels, Record, Verdict

PRESET = """
# @package _global_
# The projects of the review benchmark.
defaults:
  - override /loader: {loader}
  - override /model: bench
schema:
  name: bench
  kinds: [box, polygon, mask, track]
  classes: {{car: {{}}, roof: {{}}, liver: {{}}, heart: {{}}, spine: {{}}}}
rules:
  low_score: {{_target_: hyla_bench.stages.LowScore, below: 0.5}}
"""
SITE = {
    "hyla_bench/__init__.py": "",
    "hyla_bench/stages.py": Path(stages.__file__).read_text(encoding="utf-8"),
    "hyla_bench/conf/__init__.py": "",
    "hyla_bench/conf/loader/bench.yaml": "_target_: hyla_bench.stages.Source\n",
    "hyla_bench/conf/loader/clip.yaml": "_target_: hyla.video.Video\n",
    "hyla_bench/conf/model/bench.yaml": "_target_: hyla_bench.stages.Oracle\n",
    "hyla_bench/conf/preset/bench.yaml": PRESET.format(loader="bench"),
    "hyla_bench/conf/preset/benchclip.yaml": PRESET.format(loader="clip"),
    "hyla_bench-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: hyla-bench\nVersion: 0.1\n",
    "hyla_bench-0.1.dist-info/entry_points.txt": "[hyla]\nbench = hyla_bench\n",
}
CLASSES = 80
REASONS = ("low_score", "odd_size", "truncated", "models_differ")
BATCH = 512  # images of one transaction
RATE = 25  # frames per second of a clip


class Projects:
    """Make projects when they are asked for, and keep them in `home`; each measurement gets a copy of its own."""

    def __init__(self, home: Path, scratch: Path) -> None:
        self.home, self.scratch = home.resolve(), scratch
        self.site = self.home / "site"
        for name, text in SITE.items():
            path = self.site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        sys.path.insert(0, str(self.site))
        importlib.invalidate_caches()

    def photos(self, n: int) -> Path:
        """Return a project of `n` photos of 1920 x 1080 with 10 open labels each."""
        return self._copy(f"photos-{n}", lambda folder: self._run(folder, f"photo {n} 10\n"))

    def field(self, labels: int) -> Path:
        """Return a project of one picture of 4000 x 3000 with so many polygons."""
        return self._copy(f"field-{labels}", lambda folder: self._run(folder, f"field 1 {labels}\n"))

    def volume(self) -> Path:
        """Return a project of one volume of 512 x 512 x 300 int16 with three masks."""
        return self._copy("volume", lambda folder: self._run(folder, "volume 1\n"))

    def clip(self, frames: int, apart: int) -> Path:
        """Return a project of one clip of 1280 x 720, H.264, with a key frame every `apart` frames."""

        def make(folder: Path) -> None:
            write_clip(folder / "source" / "clip.mp4", frames, apart)
            run(folder, "benchclip", folder / "source")

        return self._copy(f"clip-{frames}-{apart}", make)

    def labels(self, images: int) -> Path:
        """Return a project of `images` items with 10 labels each, all of which wait, for four reasons; without pictures."""
        return self._copy(f"labels-{images}", lambda folder: store(folder, images))

    def _run(self, folder: Path, text: str) -> None:
        source = folder / "source" / "items.bench"
        source.parent.mkdir(parents=True)
        source.write_text(text)
        for line in text.splitlines():
            kind, count, *_ = line.split()
            for n in range(min(int(count), stages.FILES)):
                write_file(source.parent, kind, n)
        run(folder, "bench", source)

    def _copy(self, name: str, make: Callable[[Path], None]) -> Path:
        kept = self.home / name
        if not (kept / "ready").exists():
            print(f"making the project {name}", file=sys.stderr, flush=True)
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            make(kept)
            (kept / "ready").touch()
        own = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch)) / "project"
        return Path(shutil.copytree(kept, own, ignore=shutil.ignore_patterns("source", "ready")))


def run(folder: Path, preset: str, source: Path) -> None:
    hyla.run(hyla.compose(preset, source=str(source), out=str(folder), progress=False))


def write_file(folder: Path, kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    path = folder / f"{kind}-{n:02d}"
    if kind == "volume":
        voxels = rng.normal(-900, 20, stages.VOLUME).astype(np.int16)
        for value, mask in zip((110, 45, 700), stages.masks().values(), strict=True):
            voxels[mask] += np.int16(900 + value)
        np.save(path.with_suffix(".npy"), voxels)
        return
    Pillow.fromarray(picture(rng, stages.FIELD if kind == "field" else stages.PHOTO)).save(path.with_suffix(".jpg"), quality=90)


def picture(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return (H, W, 3): smooth shapes with the noise of a camera, so that it weighs as JPEG what a photo does."""
    height, width = size
    smooth = Pillow.fromarray(rng.integers(0, 256, (height // 60, width // 60, 3), dtype=np.uint8))
    pixels = np.asarray(smooth.resize((width, height), Pillow.Resampling.BICUBIC)).astype(np.int16)
    return np.clip(pixels + rng.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)


def write_clip(path: Path, frames: int, apart: int) -> None:
    path.parent.mkdir(parents=True)
    height, width = stages.FRAME
    still = picture(np.random.default_rng(0), (height, width + frames))
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "23", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = apart
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(still[:, i : i + width]), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def store(folder: Path, images: int, n: int = 10) -> None:
    schema = Schema("bench", tuple(Class(f"class{i}") for i in range(CLASSES)))
    rng = np.random.default_rng(0)
    with Project.create(folder) as project:
        project.start_run({"preset": "bench"}, schema, "bench", {}, {"name": "bench"})
        for start in range(0, images, BATCH):
            project.write([stored(rng, i, n) for i in range(start, min(start + BATCH, images))])


def stored(rng: np.random.Generator, i: int, n: int) -> Stored:
    near = rng.random((n, 2)) * 500
    boxes = np.hstack([near, near + 1 + rng.random((n, 2)) * 100])
    labels = Labels.of((CLASSES * rng.random(n) ** 2).astype(np.int64), boxes, score=rng.random(n) / 2)
    reason = REASONS[i % len(REASONS)]
    flags = (Flag(reason, reason, rows=tuple(range(n)), message="made up"),)
    item = Item(f"image-{i:07d}-0123456789ab", f"folder/image-{i:07d}.jpg")
    return Stored(Record(item, labels, flags, Verdict.REVIEW, "model:bench@0123456789ab", (600, 600)), i, 0.01)
