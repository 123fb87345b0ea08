"""Say what one source knows of the products in a picture: the contract between what finds products and what names them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.types import Floats, Image, Ints, Labels, Objects


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """Hold what one source says of the n labels of one picture that it was given.

    Args:
        rows: (k,) the labels that it names, by row; a label may be named more than once, with different products.
        product: (k,) the key of the product in the catalogue or among the exemplars.
        likeness: (k,) from 0 to 1: of claims such as this, the share that is right.
        attributes: name -> (n,) values as `Labels.attributes` has them, None or NaN where the source says nothing.
        evidence: name -> (n,) float64, NaN where the source says nothing.
        labels: further labels of the picture that the source found (a price label, a barcode); sources asked later see them too.
    """

    rows: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    product: Objects = field(default_factory=lambda: np.zeros(0, dtype=object))
    likeness: Floats = field(default_factory=lambda: np.zeros(0))
    attributes: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    evidence: Mapping[str, Floats] = field(default_factory=dict)
    labels: Labels = field(default_factory=Labels.empty)


class Source(ABC):
    """Read what a picture tells of its labels: barcodes, text, likeness to known products.

    A source that only adds to products, and wants to know their names and what the catalogue says of them, sets `last = True`: it
    is read when they are named, and the products that it claims are not heard.
    """

    last: bool = False

    @abstractmethod
    def read(self, images: Sequence[Image], labels: Sequence[Labels]) -> list[Reading]:
        """Return one reading per image, which must not depend on the other images; change nothing that is given."""

    def provenance(self) -> dict[str, str]:
        """Return what signs the labels: `name`, and `digest` of weights or exemplars where there are any."""
        return {"name": type(self).__name__.lower()}
