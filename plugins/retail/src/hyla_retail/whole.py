"""Take a whole picture for one product."""

from __future__ import annotations

from collections.abc import Sequence

from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Image, Labels
from hyla_retail.finding import whole


class Whole(Model):
    """Give each picture one tag of the class `product`, to be named by sources.

    Args:
        schema: with the class `product`.
    """

    def __init__(self, schema: Schema) -> None:
        self._product = schema.class_id("product")

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return one tag over each picture."""
        return [whole(image, self._product) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name; there are no weights."""
        return {"name": "whole picture"}
