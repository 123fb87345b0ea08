"""Outline what a person clicks on, with the project's own model: built at the first click, and asked by one at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from hyla import plugins, privacy
from hyla.ensemble import Ensemble
from hyla.errors import HylaError
from hyla.hooks import Model
from hyla.plugins import Pipeline
from hyla.review.problems import Refused
from hyla.store import Project
from hyla.types import Click, Image, Rle

log = logging.getLogger("hyla.review")


class Refiner:
    """Hold the model of `project` for who clicks; it is given the picture, and what that person sends."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._pipeline: Pipeline | None = None
        self._model = threading.Lock()
        self._people = threading.Lock()
        self._asking: set[str] = set()

    @cached_property
    def offered(self) -> bool:
        """Tell whether the model of the project outlines what is clicked on, as its class says: it is not built for that."""
        privacy.offline()  # before the module of the model is imported
        try:
            return _refines(self._project.settings().get("model"))
        except HylaError as error:
            log.warning("no click-to-segment: %s", error.line)
            return False

    def refine(self, who: str, image: Image, class_id: int, clicks: Sequence[Click], mask: Rle | None) -> Rle | None:
        """Return the mask of the object that `who` clicked on, None if nothing is found there; this may take long.

        Raises:
            Refused: 429 while this person's last click is still worked on; 409 if the model can't be built on this machine;
                422 if it fails.
        """
        with self._turn(who), self._model:
            pipeline = self._built()
            try:
                return pipeline.refine(image, class_id, clicks, mask)
            except HylaError as error:  # the message may name paths of this machine: it is for the terminal
                log.warning("refining %s: %s", image.item.id, error.line)
                raise Refused(422, "model", "the model can't outline this", "draw it by hand; the terminal says more") from error

    def _built(self) -> Pipeline:
        if self._pipeline is None:
            privacy.offline()
            given = {"device": "auto", "weights_dir": None, **(self._project.recall("machine") or {})}
            node = self._project.settings().get("model")
            try:
                model = plugins.build(node, "model", schema=self._project.schema(), **given)
                self._pipeline = Pipeline({"model": model})
            except HylaError as error:
                log.warning("no click-to-segment: %s", error.line)
                hint = "bring its weights back to where they were during the run; the terminal names what is missing"
                raise Refused(409, "model", "the model of this project can't be started here", hint) from error
        return self._pipeline

    @contextmanager
    def _turn(self, who: str) -> Iterator[None]:
        with self._people:
            if who in self._asking:
                raise Refused(429, "busy", "your last click is still worked on", "click again in a moment")
            self._asking.add(who)
        try:
            yield
        finally:
            with self._people:
                self._asking.discard(who)


def _refines(node: Any) -> bool:
    """Tell whether the model that `node` describes, or a member of it, writes the hook `refine`."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        return False
    cls = plugins.resolve(str(node["_target_"]), "model")
    if issubclass(cls, Ensemble):
        return any(_refines(member) for member in (node.get("members") or {}).values())
    return getattr(cls, "refine", None) not in (None, Model.refine)
