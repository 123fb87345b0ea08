"""Show nothing of a picture that the project hides: its redactor, built when first needed, and the labels it goes by."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

from hyla import plugins, privacy
from hyla.errors import BadItem, HylaError
from hyla.plugins import Pipeline
from hyla.store import Project
from hyla.types import Image, Item, Labels

log = logging.getLogger("hyla.redact")


class Redaction:
    """Redact the pictures of `project`, by the labels of the machine and of people together.

    Args:
        project: whose settings name the redactor.
        settings: of the redactor.
    """

    def __init__(self, project: Project, settings: Mapping[str, Any]) -> None:
        self._project, self._settings = project, settings
        self._pipeline: Pipeline | None = None
        self._lock = Lock()

    @classmethod
    def of(cls, project: Project) -> Redaction | None:
        """Return what redacts the pictures of `project`, or None if its run hid nothing. Nothing is built yet."""
        settings = project.settings().get("redact")
        return cls(project, settings) if settings else None

    def version(self, item: Item) -> tuple[int, ...]:
        """Return what the redacted picture of `item` depends on: other labels, another picture."""
        return tuple(self._project.spoken(item.id))

    def __call__(self, image: Image, version: Sequence[int] | None = None, also: Labels | None = None) -> Image:
        """Return `image` without what must not be seen.

        Args:
            image: as the loader gave it; it stays as it is.
            version: of the labels to go by, as `version` gave it; those that hold now if not given.
            also: labels to hide besides, such as what the frames before and after show.

        Raises:
            BadItem: if it can't be redacted, whatever the reason: then it must not be shown. So for an item of which the project
                holds no annotation (even one without labels has one): it was deleted, and nothing says any more what to hide.
        """
        numbers = self.version(image.item) if version is None else version
        if not numbers:
            raise BadItem(f"{image.item.uri} is not in the project any more, so it is not shown")
        try:
            parts = [*(self._project.labels_of(number)[2] for number in numbers), *([] if also is None else [also])]
            labels = Labels.concat(parts)
            with self._lock:
                return self._built().redact(image, labels)
        except HylaError as error:  # the message may name paths of this machine: it is for the terminal
            log.warning("%s can't be redacted, and is not shown: %s", image.item.uri, error.line)
            raise BadItem(f"{image.item.uri} can't be redacted, so it is not shown", "the terminal says why") from error

    def _built(self) -> Pipeline:
        if self._pipeline is None:
            privacy.offline()
            given = {"device": "auto", "weights_dir": None, **(self._project.recall("machine") or {})}
            given |= {"schema": self._project.schema(), "source": self._project.source()}
            self._pipeline = Pipeline({"redact": plugins.build(self._settings, "redact", **given)})
        return self._pipeline
