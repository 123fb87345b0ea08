"""Read the pictures of a project again, with the loader it was made with, and draw what was found on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from hyla import draw, plugins
from hyla.errors import BadItem, ConfigError
from hyla.plugins import Pipeline
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Image, Item, Record


class Pictures:
    """Load the items of a project again.

    Args:
        project: whose source must still be where it was.

    Raises:
        ConfigError: if the source is gone, or the loader no longer recognises it.
    """

    def __init__(self, project: Project) -> None:
        source, settings = project.source(), project.settings()
        if "://" not in source and not Path(source).exists():
            raise ConfigError(f"the source of the project is gone: {source}", "bring it back to where it was")
        self._pipeline = Pipeline({"loader": plugins.build(settings["loader"], "loader", schema=project.schema())})
        if self._pipeline.items(source) is None:  # a loader finds its items relative to the source
            raise ConfigError(f"the loader no longer recognises {source}")

    def load(self, item: Item) -> Image:
        """Return the pixels of `item`; raise BadItem if they can't be read."""
        image = self._pipeline.load(item)
        if image is None:
            raise BadItem(f"no loader could load {item.uri}")
        return image

    def close(self, group: str) -> None:
        """Release what is kept open for `group`."""
        self._pipeline.close(group)


def draw_project(project: Project, to: Path, limit: int, source: str = "best") -> list[Path]:
    """Draw up to `limit` items of `project`, evenly spread, as JPEG files in `to`; return their paths.

    A volume is passed over: it has no one picture.
    """
    to.mkdir(parents=True, exist_ok=True)
    schema, pictures = project.schema(), Pictures(project)
    counts = project.counts()
    stored = counts.items - counts.quarantined
    paths = []
    group = ""
    for record in _spread(project.records(source=source), stored, limit):
        if group and record.item.group != group:
            pictures.close(group)
        group = record.item.group
        image = pictures.load(record.item)
        if not image.volume:
            paths.append(_write(image, record, schema, to))
    if group:
        pictures.close(group)
    return paths


def _write(image: Image, record: Record, schema: Schema, to: Path) -> Path:
    pixels: Any = image.pixels[..., :3] if image.pixels.shape[2] >= 3 else image.pixels[..., :1].repeat(3, axis=2)
    path = to / f"{record.item.id}.jpg"
    Pillow.fromarray(draw.draw(pixels, record, schema)).save(path, quality=88)
    return path


def _spread(records: Iterator[Record], total: int, limit: int) -> Iterator[Record]:
    """Yield `limit` of `total` records, evenly spread: the middle of each of `limit` equal parts."""
    wanted = {int((k + 0.5) * total / limit) for k in range(limit)} if total > limit else set(range(total))
    for n, record in enumerate(records):
        if n in wanted:
            yield record
