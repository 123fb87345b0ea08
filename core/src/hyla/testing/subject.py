"""What is tested: one preset on one source, each part made when first asked for."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from itertools import groupby, islice
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hyla import config, formats, plugins, privacy
from hyla.errors import BadItem, ConfigError
from hyla.hooks import Format
from hyla.lazy import LazyPixels
from hyla.pictures import Pictures
from hyla.plugins import Pipeline, Plugin
from hyla.schema import Schema
from hyla.testing import probes
from hyla.types import Image, Item, Labels, Record

SCAN = 10_000  # items looked at, at most, without loading them
BATCH = 3  # small, so that a sample has several batches and an incomplete last one
COPY = 256 * 1024 * 1024  # bytes; a larger source is not copied


class Subject:
    """Hold what the checks of one class look at, and what they wrote.

    Args:
        preset: its name.
        source: data to test on; None for the sample of the preset's plugin.
        overrides: settings, as for `hyla run`.
        limit: items that are loaded and predicted.
    """

    def __init__(self, preset: str, source: str | None, overrides: Sequence[str], limit: int) -> None:
        privacy.offline()  # before a stage is imported, as a run does
        self.preset = preset
        self.given = source
        self.limit = limit
        self.overrides = tuple(overrides)
        if not any(word.startswith("device=") for word in overrides):
            self.overrides += ("device=cpu",)  # where arithmetic is the same in every batch
        self.outcomes: dict[str, Exception | None] = {}
        self.folder = Path(mkdtemp(prefix="hyla-check-"))

    def remove(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # The plugin and its settings.

    @cached_property
    def plugin(self) -> Plugin:
        """Return the plugin that offers the preset."""
        offered = plugins.offered("preset")
        if self.preset not in offered:
            raise plugins.missing("preset", self.preset)
        return offered[self.preset][0]

    @cached_property
    def settings(self) -> config.Run:
        """Return the composed settings of a small run."""
        return self.compose("run", self.source)

    def compose(self, out: str, source: str) -> config.Run:
        """Return the settings of a run from `source` into the folder `out`."""
        where = {"source": source, "out": str(self.folder / out), "batch": BATCH, "workers": 2, "progress": False}
        return config.compose(self.preset, *self.overrides, **where)

    @cached_property
    def schema(self) -> Schema:
        """Return the schema of the preset."""
        return Schema.from_config(self.settings.schema)

    @cached_property
    def formats(self) -> dict[str, Format]:
        """Return the formats that the preset's plugin offers, built, with what the preset says of them under `export`."""
        chosen = self.settings.export
        return {
            name: formats.get(name, self.schema, self.pictures, **(chosen.get(name) or {}))
            for name in self.plugin.offers("export")
        }

    @cached_property
    def pictures(self) -> Pictures:
        """Return the pictures of the source, as a format may ask for them."""
        return Pictures(self.source, self.settings.loader, self.schema)

    def fresh(self) -> Pipeline:
        """Return newly built stages, which remember nothing."""
        return Pipeline(config.stages(self.settings)[0])

    # The data.

    @cached_property
    def source(self) -> str:
        """Return the given source, the sample that the plugin writes, or a few plain pictures if it has none."""
        if self.given is not None:
            if "://" not in self.given and not Path(self.given).exists():
                raise ConfigError(f"source {self.given!r} does not exist", "give a file or folder of your kind of data")
            return self.given if "://" in self.given else str(Path(self.given).resolve())
        folder = self.folder / "sample"
        folder.mkdir(exist_ok=True)
        if find_spec(f"{self.plugin.package}.sample") is None:
            return str(probes.pictures(folder / "pictures").resolve())
        write = import_module(f"{self.plugin.package}.sample").write
        how_many = (self.limit,) if len(signature(write).parameters) > 1 else ()
        found = Path(write(folder / self.preset, *how_many))
        if not found.exists():
            raise ConfigError(f"{self.plugin.package}.sample wrote no {found}", "write(to) must return the source that it wrote")
        return str(found.resolve())

    @cached_property
    def elsewhere(self) -> Path | None:
        """Return a copy of the source in another folder, or None of one that is no file here, or large."""
        source = Path(self.source)
        if "://" in self.source or sum(p.stat().st_size for p in [source, *source.rglob("*")] if p.is_file()) > COPY:
            return None
        to = self.folder / "elsewhere" / "deeper" / source.name
        to.parent.mkdir(parents=True)
        return Path(shutil.copytree(source, to)) if source.is_dir() else Path(shutil.copy2(source, to))

    def scan(self, pipeline: Pipeline, source: str | None = None, limit: int = SCAN) -> list[Item]:
        """Return the first items of a source."""
        items = pipeline.items(source or self.source)
        if items is None:
            raise ConfigError(f"no loader of the preset recognises {source or self.source}", "give --source, or loader=NAME")
        return list(islice(items, limit))

    @cached_property
    def scanned(self) -> list[Item]:
        """Return the items of the source, 10 000 at most."""
        return self.scan(self.fresh())

    def load(self, pipeline: Pipeline, items: Sequence[Item]) -> list[Image]:
        """Return the images of `items`, without those that can't be read, as one loading thread would ask for them."""
        images: list[Image] = []
        for group, members in groupby(items, key=lambda item: item.group):
            for item in members:
                try:
                    image = pipeline.load(item)
                except BadItem:
                    continue
                if image is None:
                    raise ConfigError(f"no loader answered load for {item.uri}", "the loader that lists items must load them")
                images.append(image)
            if group:
                pipeline.close(group)
        return images

    @cached_property
    def images(self) -> list[Image]:
        """Return the first images of the source."""
        pipeline = self.fresh()
        return self.load(pipeline, self.scan(pipeline, limit=self.limit))

    # What the stages make of it.

    def predict(self, batch: int, pipeline: Pipeline | None = None, images: Sequence[Image] | None = None) -> list[Labels]:
        """Return the labels of `images`, in order, each predicted from a copy of its pixels."""
        pipeline, images = pipeline or self.fresh(), self.images if images is None else images
        found: list[Labels] = []
        for start in range(0, len(images), batch):
            found += pipeline.predict([own(i) for i in images[start : start + batch]])
        return found

    @cached_property
    def labels(self) -> list[Labels]:
        """Return the labels of the images, with what the loader said of each image, as a run does."""
        known = self.schema.attributes_of("image")
        return [
            replace(labels, context={k: v for k, v in image.context.items() if k in known} | labels.context)
            for image, labels in zip(self.images, self.predict(BATCH), strict=True)
        ]

    @cached_property
    def probes(self) -> list[Labels]:
        """Return for each image labels of every class and kind that the schema allows."""
        return [probes.labels(self.schema, image.size, seed) for seed, image in enumerate(self.images)]

    @cached_property
    def records(self) -> list[Record]:
        """Return records of the images: as the model labelled them, then the same items with every class and kind."""
        return [
            Record(image.item, labels, source="model:conformance", size=image.size, frame=image.frame)
            for found in (self.labels, self.probes)
            for image, labels in zip(self.images, found, strict=True)
        ]

    # Another process.

    def child(self, seed: int, **job: Any) -> subprocess.CompletedProcess[str]:
        """Do `job` (see `hyla.testing.child`) in a Python of its own, whose hashes of strings are others."""
        job |= {"preset": self.preset, "overrides": self.overrides, "batch": BATCH}
        paths = [p for p in sys.path if p]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": str(seed), "PYTHONWARNINGS": "default"}
        command = [sys.executable, "-m", "hyla.testing.child", json.dumps(job)]
        return subprocess.run(command, env=env, cwd=self.folder, capture_output=True, text=True, check=False)


def own(image: Image) -> Image:
    """Return `image` with a copy of its pixels; those that are read when asked for nobody can change."""
    return image if isinstance(image.pixels, LazyPixels) else replace(image, pixels=image.pixels.copy())
