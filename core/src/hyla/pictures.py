"""Read the pictures of a project again, with the loader it was made with, and draw what was found on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from hyla import draw, plugins
from hyla.atlas import atlas
from hyla.errors import BadItem, ConfigError
from hyla.frame import MapFrame
from hyla.hooks import Loader
from hyla.montage import montage
from hyla.plugins import Pipeline
from hyla.redaction import Redaction
from hyla.review.pixels import flat
from hyla.schema import Schema
from hyla.store import Project
from hyla.store.answered import Answered
from hyla.types import Image, Item, Record


class Pictures:
    """Load the items of a source again, redacted if the project hides something.

    The loader is built, and the source looked at, when the first item is asked for.

    Args:
        source: as the project stored it.
        loader: the stored settings of its loader.
        schema: of its labels.
        project: that holds the items, where there is one.
    """

    def __init__(self, source: str, loader: Mapping[str, Any], schema: Schema, project: Project | None = None) -> None:
        self.source, self._settings, self._schema = source, loader, schema
        self._project = project
        self._pipeline: Pipeline | None = None
        self._lock = Lock()

    @classmethod
    def of(cls, project: Project) -> Pictures:
        """Return the pictures of `project`; raise ConfigError, as `open` does, if they can't be read again."""
        found = cls(project.source(), project.settings()["loader"], project.schema(), project)
        found.open()
        return found

    @property
    def loader(self) -> Loader:
        """Return the loader that the items came from, its source known to it: for a format of the same plugin."""
        return cast("Loader", self.open().stages["loader"])

    def open(self) -> Pipeline:
        """Return the loader, built once.

        Raises:
            ConfigError: if the source is gone, or the loader no longer recognises it.
        """
        with self._lock:
            if self._pipeline is None:
                if "://" not in self.source and not Path(self.source).exists():
                    raise ConfigError(f"the source of the project is gone: {self.source}", "bring it back to where it was")
                given = {"schema": self._schema, "project": self._project and self._project.path}
                pipeline = Pipeline({"loader": plugins.build(self._settings, "loader", **given)})
                if pipeline.items(self.source) is None:  # a loader finds its items relative to the source
                    raise ConfigError(f"the loader no longer recognises {self.source}")
                self._pipeline = pipeline
            return self._pipeline

    @property
    def project(self) -> Project | None:
        """Return the project that holds the items, where there is one: for a format that tells who decided what, and when."""
        return self._project

    @cached_property
    def redaction(self) -> Redaction | None:
        """Return what redacts the pictures, or None where nothing is hidden."""
        return None if self._project is None else Redaction.of(self._project)

    def items(self) -> Iterable[Item]:
        """Return the items of the source, in the order of the scan."""
        return self.open().items(self.source) or ()

    def known(self) -> Iterator[Record]:
        """Yield what the machine said of each item that the project holds: a format looks there which items a file fits."""
        return iter(()) if self._project is None else self._project.records(source="model")

    @property
    def settings(self) -> Mapping[str, Any]:
        """Return the settings of the loader, as the project stored them."""
        return self._settings

    def answered(self, records: Sequence[Record]) -> dict[str, Answered]:
        """Return item id -> whose answers the labels rest on, of those of `records` that hold in the project, and were judged.

        Rows count the labels of the records: those that `Project.released` leaves in.
        """
        if self._project is None:
            return {}
        found = self._project.answered([one.item.id for one in records])
        if self._schema.confirms:
            found = {key: found[key].of(keep) for key, keep in self._project.kept(found).items()}
        return {one.item.id: said for one in records if (said := found.get(one.item.id)) and said.source == one.source}

    def proposed(self, item: Item) -> Record | None:
        """Return what the machine said of `item`, from which a person's labels may have come; None if that is not known."""
        return None if self._project is None else self._project.record(item.id, source="model")

    def load(self, item: Item) -> Image:
        """Return the pixels of `item` as people may see them; raise BadItem if they can't be read, or redacted."""
        image = self.original(item)
        return image if self.redaction is None else self.redaction(image)

    def original(self, item: Item) -> Image:
        """Return the pixels of `item` as the loader gives them, for a model and never to be shown or written.

        Raises:
            BadItem: if they can't be read.
        """
        image = self.open().load(item)
        if image is None:
            raise BadItem(f"no loader could load {item.uri}")
        return image

    def reference(self, attributes: Mapping[str, Any]) -> Image | None:
        """Return the picture that shows what a label with these attributes is, if the loader has one."""
        return self.open().reference(attributes)

    def close(self, group: str) -> None:
        """Release what is kept open for `group`."""
        self.open().close(group)


def draw_project(project: Project, to: Path, limit: int, source: str = "best", who: str = "") -> list[Path]:
    """Draw up to `limit` items of `project`, evenly spread, as JPEG files in `to`; return their paths. A volume becomes a
    sheet of slices, and what lies on a map gets a legend. Labels that lack confirmations are not drawn. It is written down
    that `who`, if given, sees them.
    """
    to.mkdir(parents=True, exist_ok=True)
    schema, pictures = project.schema(), Pictures.of(project)
    counts = project.counts()
    stored = counts.items - counts.quarantined
    paths = []
    group = ""
    for record in _spread(iter(project.released(source)), stored, limit):
        if group and record.item.group != group:
            pictures.close(group)
        group = record.item.group
        paths.append(_write(pictures.load(record.item), record, schema, to))
        if who:
            project.saw(who, [record.item.id], "draw")
    if group:
        pictures.close(group)
    return paths


def _write(image: Image, record: Record, schema: Schema, to: Path) -> Path:
    path = to / f"{record.item.id}.jpg"
    if image.volume:
        drawn = montage(image, record, schema)
    elif isinstance(record.frame, MapFrame):
        drawn = atlas(image, record, schema)
    else:
        drawn = draw.draw(_rgb(image.pixels), record, schema)
    Pillow.fromarray(drawn).save(path, quality=88)
    return path


def _rgb(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return (H, W, C) of any type as (H, W, 3) bytes, as the review page shows it."""
    shown = flat(pixels)
    return shown if shown.ndim == 3 else np.repeat(shown[:, :, None], 3, axis=2)


def _spread(records: Iterator[Record], total: int, limit: int) -> Iterator[Record]:
    """Yield `limit` of `total` records, evenly spread: the middle of each of `limit` equal parts."""
    wanted = {int((k + 0.5) * total / limit) for k in range(limit)} if total > limit else set(range(total))
    for n, record in enumerate(records):
        if n in wanted:
            yield record
