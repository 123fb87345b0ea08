"""What all endpoints share while a project is reviewed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from hyla.frame import Frame
from hyla.review.leases import Leases, Unit
from hyla.review.media import Media
from hyla.review.refiner import Refiner
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Item


@dataclass
class Desk:
    """Hold what the endpoints share.

    Args:
        project: open for writing.
        leases: who works on what just now.
        media: the pictures.
        port: that the server listens on; the session cookie carries it in its name, since browsers share cookies between ports.
        features: words that the page asks for, such as `test-hooks`.
    """

    project: Project
    leases: Leases
    media: Media
    port: int
    features: tuple[str, ...] = ()

    @cached_property
    def schema(self) -> Schema:
        """Return the schema of the project's labels."""
        return self.project.schema()

    @cached_property
    def refiner(self) -> Refiner:
        """Return the project's model for who clicks on objects."""
        return Refiner(self.project)

    def unit(self, item: Item, size: tuple[int, ...], frame: Frame) -> Unit:
        """Return what is leased of an item: the clip that it is a frame of, or the item itself."""
        if self.media.view(item.kind, item.group, size, frame) == "video":
            return "clip", item.group
        return "item", item.id

    def units(self, ids: Iterable[str]) -> dict[str, Unit]:
        """Return item id -> what is leased of it, of those of `ids` that are stored."""
        return {key: self.unit(one.item, one.size, one.frame) for key, one in self.project.heads(ids).items()}

    @property
    def cookie(self) -> str:
        """Return the name of the session cookie."""
        return f"hyla-{self.port}"
