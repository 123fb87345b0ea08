"""Read barcodes with zxing-cpp, and say which products they name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Bools, Floats, Image, Kind, Labels
from hyla_retail import gtin, sizes
from hyla_retail.catalogue import Catalogue, open_catalogue
from hyla_retail.codes import SURE, SYMBOLOGIES, Box, Code, Reader, library_version
from hyla_retail.reading import Reading, Source
from hyla_retail.shelf_edge import labels_of_facings

NEW = 0.5  # score of a price label of which only the code was seen
WIDER, FLATTER = 1.8, 0.5  # such a label's width, in widths of its code, and its height, in its own widths
MEASURES = ("price", "weight")


class Barcodes(Source):
    """Name products by the barcodes on them, or on their price labels.

    A code within a price label belongs to that, any other to the smallest product around it. On a shelf, the code of a product
    that is in neither but where price labels are becomes a price label of its own. A number that a shop gave itself names a
    product only if its catalogue lists just this number; what is not a GTIN names none, and is kept as text.

    Args:
        schema: with the class `product`, and `price_label` where there are such.
        catalogue, source, columns: see `hyla_retail.catalogue.open_catalogue`.
        symbologies: that are looked for, by the names of zxing-cpp.
        measure: what the numbers of weighed products hold: price (in cents), weight (in g), or None if it is not known.

    Raises:
        ConfigError: for a symbology or measure that is none, or a catalogue that can't be read.
    """

    def __init__(
        self,
        schema: Schema,
        catalogue: str | None = "auto",
        source: str = "",
        columns: Mapping[str, str] | None = None,
        symbologies: Sequence[str] = SYMBOLOGIES,
        measure: str | None = None,
    ) -> None:
        if measure not in (None, *MEASURES):
            raise ConfigError(f"measure is {measure!r}", "price, weight, or null if it is not known", MEASURES)
        self.schema, self.measure = schema, measure
        self.catalogue: Catalogue = open_catalogue(catalogue, source, columns)
        self._reader = Reader(tuple(symbologies))

    def read(self, images: Sequence[Image], labels: Sequence[Labels]) -> list[Reading]:
        """Return what the codes of each picture say of its labels."""
        return [self._one(image, told) for image, told in zip(images, labels, strict=True)]

    def provenance(self) -> dict[str, str]:
        """Return the name, with the version of the library that reads."""
        return {"name": "barcodes", "zxing-cpp": library_version()}

    @cached_property
    def _classes(self) -> tuple[Any, int]:
        return self.schema.under("product"), self.schema.ids.get("price_label", -1)

    def _one(self, image: Image, labels: Labels) -> Reading:
        products, price_label = self._classes
        product = np.isin(labels.class_id, products)
        label = labels.class_id == price_label
        boxes = labels.kind == Kind.BOX
        codes = self._reader.read(np.asarray(image.pixels), _wider(labels.box[label & boxes]))
        home = [_home(code, labels, label & boxes, product) for code in codes]
        at = [(row, code) for row, code in zip(home, codes, strict=True) if row >= 0]
        free = [code for row, code in zip(home, codes, strict=True) if row < 0 and code.gtin]
        new = Labels.empty()
        if free and price_label >= 0 and image.context.get("view") == "shelf":
            seen = [(code.box, labels.box[row]) for row, code in at if label[row] and code.gtin]
            new, held = self._new(free, labels, product & boxes, _around([code.box for code in free], seen, image.size))
            at += [(len(labels) + number, code) for number, code in enumerate(held)]
        return self._said(at, labels, new)

    def _new(self, codes: list[Code], labels: Labels, facing: Bools, boxes: Floats) -> tuple[Labels, list[Code]]:
        """Return price labels, `boxes` around codes, for those codes that stand where labels of facings are, and the codes."""
        here = Labels.of([self._classes[1]] * len(codes), boxes)
        n = len(labels)
        whole = Labels.concat([labels, here])
        mask = np.arange(len(whole)) >= n
        belongs, _ = labels_of_facings(whole, np.append(facing, np.zeros(len(codes), dtype=bool)), mask)
        met = np.unique(belongs[belongs >= 0]) - n
        here = here[met]
        here.score[:] = NEW
        return here, [codes[i] for i in met.tolist()]

    def _said(self, at: list[tuple[int, Code]], labels: Labels, new: Labels) -> Reading:
        """Return what codes say of the labels whose rows they are at; a row beyond `labels` is one of `new`."""
        n, whole = len(labels), len(labels) + len(new)
        columns = {name: np.full(whole, None, dtype=object) for name in ("gtin", "symbology", "text", "pack_size")}
        price, bad, restricted = (np.full(whole, np.nan) for _ in range(3))
        claims: list[tuple[int, str, float]] = []
        for row in sorted({row for row, _ in at}):
            mine = [code for where, code in at if where == row]
            right = [code for code in mine if not code.wrong]
            numbers = sorted({code.gtin for code in right if code.gtin})
            bad[row] = float(not numbers and any(code.wrong or _looks_wrong(code) for code in mine))
            if right:
                first = next((code for code in right if code.gtin), right[0])
                columns["symbology"][row] = first.symbology
            columns["text"][row] = " ".join(dict.fromkeys(code.text for code in right if not code.gtin)) or None
            if numbers:
                restricted[row] = float(any(map(gtin.restricted_prefix, numbers)))
            if len(numbers) == 1:  # of two, the label's own is not known
                columns["gtin"][row] = numbers[0]
                price[row], columns["pack_size"][row] = self._inside(numbers[0])
            claims += [(row, key, SURE / len(numbers)) for number in numbers if (key := self._product(number))]
        known = self.schema.attributes_of("label")
        attributes = {name: column for name, column in (columns | {"price": price}).items() if name in known}
        told = {name: c for name, c in attributes.items() if any(v is not None and v == v for v in c[n:].tolist())}
        further = Labels.of(new.class_id, new.box, score=new.score, attributes={name: c[n:] for name, c in told.items()})
        return Reading(
            np.array([row for row, _, _ in claims], dtype=np.int64),
            np.array([key for _, key, _ in claims], dtype=object),
            np.array([likeness for _, _, likeness in claims], dtype=np.float64),
            {name: column[:n] for name, column in attributes.items()},
            {"bad_digit": bad[:n], "restricted_prefix": restricted[:n]},
            further,
        )

    def _product(self, number: str) -> str:
        """Return the product that a GTIN names, empty if it names none."""
        row = self.catalogue.by_gtin(number)
        if row >= 0:
            return str(self.catalogue.key[row])
        return "" if gtin.restricted_prefix(number) else number

    def _inside(self, number: str) -> tuple[float, str | None]:
        """Return the price, or the weight as a size, that the number of a weighed product holds."""
        inside = gtin.variable_measure(number) if self.measure else None
        if inside is None or not inside.value:
            return np.nan, None
        if self.measure == "price":
            return inside.value / 100, None
        return np.nan, sizes.words(sizes.Size(float(inside.value), "g"))


def _looks_wrong(code: Code) -> bool:
    """Tell whether a code's content says that it is a GTIN, and its check digit is wrong."""
    return not code.gtin and re.search(r"\(01\)\s*\d{14}", code.text) is not None


def _home(code: Code, labels: Labels, price_label: Bools, product: Bools) -> int:
    """Return the row of the label that a code is in the middle of: a price label before a product, the smallest first; or -1."""
    x, y = (code.box[0] + code.box[2]) / 2, (code.box[1] + code.box[3]) / 2
    box = labels.box
    around = (box[:, 0] <= x) & (x <= box[:, 2]) & (box[:, 1] <= y) & (y <= box[:, 3])
    for kind in (price_label, product):
        rows = np.flatnonzero(around & kind)
        if len(rows):
            return int(rows[np.argmin((labels.width * labels.height)[rows])])
    return -1


def _wider(boxes: Floats) -> Floats:
    """Return boxes with a margin, so that a code at the edge of a label has its quiet zone."""
    margin = 0.15 * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def _around(codes: Sequence[Box], seen: Sequence[tuple[Box, Floats]], size: tuple[int, ...]) -> Floats:
    """Return what a price label around each code is likely to cover, within the picture.

    Args:
        codes: boxes of the codes.
        seen: boxes of other codes and their price labels in the same picture: labels of one shop are alike.
        size: height and width of the picture.
    """
    code = np.array(codes, dtype=np.float64)
    wide, high = (code[:, 2:] - code[:, :2]).T
    if seen:
        known = np.array([one for one, _ in seen], dtype=np.float64)
        scale = np.maximum(known[:, 2] - known[:, 0], 1.0)[:, None]
        spare = np.median((np.stack([label for _, label in seen]) - known) / scale, axis=0) * wide[:, None]
        box = code + spare
    else:
        half = np.stack([WIDER * wide, np.maximum(high, FLATTER * WIDER * wide)], axis=1) / 2
        middle = (code[:, :2] + code[:, 2:]) / 2
        box = np.concatenate([middle - half, middle + half], axis=1)
    # The code itself is within it, whatever the others are like.
    box = np.concatenate([np.minimum(box[:, :2], code[:, :2]), np.maximum(box[:, 2:], code[:, 2:])], axis=1)
    height, width = size
    return np.asarray(box.clip(0, (width, height, width, height)), dtype=np.float64)
