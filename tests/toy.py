"""A small plugin for tests of the run: pictures made from numbers, a model with memory, rules."""

from __future__ import annotations

import textwrap
from pathlib import Path

STAGES = '''
"""Stages of the toy plugin; a source is a text file of lines `clip frames`, or `- name` for a picture that stands alone."""

import time
from pathlib import Path

import numpy as np

from hyla import BadItem, Flag, Image, Item, Labels, Loader, Model, Rule, Severity, VideoFrame, hookimpl, item_id


class Numbers(Loader):
    def __init__(self, slow: float = 0.0):
        self.slow = slow

    @hookimpl
    def items(self, source):
        path = Path(source)
        return self._read(path) if path.suffix == ".toy" else None

    def _read(self, path):
        for line in path.read_text().splitlines():
            name, count = line.rsplit(" ", 1)
            if name == "-":
                yield Item(item_id(count), count)
            else:
                for i in range(int(count)):
                    yield Item(item_id(name, i), name, name, i, "frame")

    @hookimpl
    def load(self, item):
        if self.slow:
            time.sleep(self.slow)
        if "bad" in item.uri and item.index % 3 == 2 or item.uri.startswith("broken"):
            raise BadItem(f"{item.uri} can't be read")
        rng = np.random.default_rng(sum(map(ord, item.uri)) * 1000 + item.index)
        pixels = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        return Image(pixels, item, VideoFrame(index=item.index), {"light": "day", "moon": 1})


class Tracker(Model):
    """A box whose track counts the frames of the clip that were seen: it shows if one was missed or doubled."""

    memory = True

    def __init__(self, memory: bool = True, fail: str = "", limit: int = 0, partial: bool = False):
        self.memory, self.fail, self.limit, self.partial, self._seen = memory, fail, limit, partial, {}

    @hookimpl
    def predict(self, images):
        if self.limit and len(images) > self.limit:
            raise MemoryError(f"{len(images)} images do not fit")
        if self.fail and any(self.fail in image.item.id for image in images):
            raise ValueError("this picture breaks the model")
        found = []
        for image in images:
            group = image.item.group
            n = self._seen.get(group, 0) + 1
            if group and self.memory:
                self._seen[group] = n
            mean = float(image.pixels.mean())
            track = [n if group and self.memory else -1, -1]
            found.append(Labels.of([0, 1], [[1, 2, 20, 20], [3, 3, 9, 9]], score=[mean / 256, 0.5], track=track))
        return found

    @hookimpl
    def forget(self, group):
        self._seen.pop(group, None)

    @hookimpl
    def provenance(self):
        return {"name": "toy", "digest": "0" * 64}


class Bright(Rule):
    def __init__(self, name: str, above: float = 0.5):
        self.name, self.above = name, above

    @hookimpl
    def check(self, item, labels):
        rows = tuple(int(i) for i in np.flatnonzero(labels.score > self.above))
        return [Flag(self.name, "bright", Severity.REVIEW, rows, f"score above {self.above}")] if rows else []

    @hookimpl
    def check_group(self, records):
        last = None
        for last in records:
            pass
        return [(last.item.id, Flag(self.name, "last_of_clip", message="the last of its clip"))] if last else []


class Sized(Rule):
    @hookimpl
    def check(self, item, labels):
        return [Flag("sized", "size", Severity.NOTE, message=str(item.meta["size"]))]


class Broken(Rule):
    @hookimpl
    def check(self, item, labels):
        if item.index == 1:
            raise KeyError("oops")
'''

PRESET = """
# @package _global_
# Numbers as pictures, for tests.
defaults:
  - override /loader: numbers
  - override /model: toy
schema:
  name: toy
  kinds: [box, track]
  classes: {thing: {}, other: {parent: thing}}
  attributes: {light: {type: choice, scope: image, choices: [day, night]}}
rules:
  bright: {_target_: hyla_toy.stages.Bright, above: 0.5}
"""


def write(
    folder: Path, name: str = "toy", package: str = "hyla_toy", stages: str = STAGES, presets: dict[str, str] | None = None
) -> Path:
    """Write the plugin, with the metadata that makes it count as installed, into `folder`, which belongs on sys.path."""
    home = folder / package
    files = {
        home / "__init__.py": "",
        home / "stages.py": stages,
        home / "conf/__init__.py": "",
        home / "conf/loader/numbers.yaml": f"_target_: {package}.stages.Numbers\nslow: 0.0\n",
        home / "conf/model/toy.yaml": f"_target_: {package}.stages.Tracker\nmemory: true\n",
        folder / f"{package}-0.1.dist-info/METADATA": f"Metadata-Version: 2.1\nName: hyla-{name}\nVersion: 0.1\n",
        folder / f"{package}-0.1.dist-info/entry_points.txt": f"[hyla]\n{name} = {package}\n",
    }
    for preset, text in (presets or {name: PRESET}).items():
        files[home / f"conf/preset/{preset}.yaml"] = text
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder
