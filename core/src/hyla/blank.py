"""Predict nothing, for pictures that people label by hand from the start."""

from __future__ import annotations

from collections.abc import Sequence

from hyla.hooks import Model, hookimpl
from hyla.types import Image, Labels


class Blank(Model):
    """Give no labels for any picture, so that a person draws them all."""

    partial = True

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return one empty Labels per image."""
        return [Labels.empty() for _ in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return `name`: blank."""
        return {"name": "blank"}
