"""Give the labels of any finder what rules and sources read: shelf, position, and evidence of their boxes."""

from __future__ import annotations

from dataclasses import replace

from hyla.types import Bools, Image, Kind, Labels
from hyla_retail.arrange import arrange
from hyla_retail.box_facts import box_facts


def whole(image: Image, product: int) -> Labels:
    """Return one tag of class `product` over the whole picture, for a photo of one product."""
    height, width = image.size
    return Labels.of([product], [[0, 0, width, height]], kind=Kind.TAG)


def finish(image: Image, labels: Labels, facing: Bools) -> Labels:
    """Return the boxes of a finder with attributes shelf and position, and with evidence of what they look like.

    Args:
        image: in which they lie.
        labels: n boxes.
        facing: (n,) which of them are facings.
    """
    shelf, position = arrange(labels.box, facing)
    labels = replace(labels, attributes={**labels.attributes, "shelf": shelf, "position": position})
    return replace(labels, evidence={**labels.evidence, **box_facts(image.pixels, labels, facing)})
