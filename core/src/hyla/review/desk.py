"""What all endpoints share while a project is reviewed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hyla.review.leases import Leases
from hyla.review.media import Media
from hyla.schema import Schema
from hyla.store import Project


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

    @property
    def cookie(self) -> str:
        """Return the name of the session cookie."""
        return f"hyla-{self.port}"
