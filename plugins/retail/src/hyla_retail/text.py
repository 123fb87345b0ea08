"""Read price labels and packs, and say which products of the catalogue their words name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Image, Ints, Kind, Labels
from hyla_retail import gtin, ocr, sizes
from hyla_retail.big_digits import with_point
from hyla_retail.catalogue import Catalogue, open_catalogue
from hyla_retail.crops import cut
from hyla_retail.names import Names
from hyla_retail.prices import price_of
from hyla_retail.reading import Reading, Source

LINES = {"label": 6, "pack": 40}  # that are read, the highest first: a label's price, its name, the price of a unit
AGAIN = 5 / 3  # of the size at first: at which a label without a price is looked at once more
MARGIN = 0.04  # of a label's width and height, which its box may have cut off
MOST = 0.95  # likeness of a name that is there word by word: labels stand under other products, and packs name others
DIGITS = re.compile(r"(?<!\d)\d(?:[ ]?\d){7,13}(?!\d)")  # printed under bars: 4 006381 333931


class Text(Source):
    """Read the price labels of shelves and the packs of product photos, and name products by what is read.

    Attributes: `text`, the lines from the top; of a price label `price` and `currency`; `pack_size`, if it names one and not two;
    `brand` of a pack, if the catalogue has it; `gtin` of digits whose check digit is right and which the catalogue knows.

    Args:
        schema: with the class `product`, and `price_label` where there are such.
        catalogue, source, columns: see `hyla_retail.catalogue.open_catalogue`.
        facings: True to read every facing of a shelf as well, which takes about 0.1 s each.
        label_px: pixels to which the longer side of a price label is brought.
        pack_px: pixels to which the longer side of a pack is brought.
        least: similarity of a name, 0 to 1, from which it is claimed.
        names: products that are claimed for one label, at most.

    Raises:
        ConfigError: if rapidocr is not installed, a number is out of range, or the catalogue can't be read.
    """

    def __init__(
        self,
        schema: Schema,
        catalogue: str | None = "auto",
        source: str = "",
        columns: Mapping[str, str] | None = None,
        facings: bool = False,
        label_px: int = 192,
        pack_px: int = 800,
        least: float = 0.5,
        names: int = 3,
    ) -> None:
        if not ocr.available():
            raise ConfigError("reading text needs rapidocr and onnxruntime", "install them, or set model.sources.text=null")
        if min(label_px, pack_px) < 32 or max(label_px, pack_px) > 4000:
            raise ConfigError(f"label_px is {label_px}, pack_px {pack_px}", "give pixels from 32 to 4000")
        if not 0 <= least <= 1 or names < 1:
            raise ConfigError(f"least is {least}, names {names}", "least is a share from 0 to 1, names 1 or more")
        self.schema, self.facings, self.least, self.limit = schema, facings, least, names
        self.label_px, self.pack_px = label_px, pack_px
        self.catalogue: Catalogue = open_catalogue(catalogue, source, columns)
        self._names = Names(self.catalogue)
        self._products = schema.under("product")
        self._price_label = schema.ids.get("price_label", -1)

    def read(self, images: Sequence[Image], labels: Sequence[Labels]) -> list[Reading]:
        """Return what is written on the labels of each picture."""
        return [self._one(image, told) for image, told in zip(images, labels, strict=True)]

    def provenance(self) -> dict[str, str]:
        """Return the name, the version of the library, and what the networks are."""
        from importlib.metadata import version

        return {"name": "text", "rapidocr": version("rapidocr"), "digest": ocr.digest()}

    def _one(self, image: Image, labels: Labels) -> Reading:
        kinds = (Kind.TAG, Kind.BOX) if self.facings else (Kind.TAG,)
        shelf = np.flatnonzero((labels.class_id == self._price_label) & (labels.kind == Kind.BOX))
        packs = np.flatnonzero(np.isin(labels.class_id, self._products) & np.isin(labels.kind, kinds))
        texts: dict[int, str] = {}
        if len(shelf):
            texts |= self._labels(np.asarray(image.pixels), labels, shelf)
        if len(packs):
            lines = ocr.read(cut(image.pixels, labels.box[packs]), self.pack_px, LINES["pack"])
            texts |= {row: _joined(one) for row, one in zip(packs.tolist(), lines, strict=True)}
        return self._said(labels, {row: text for row, text in texts.items() if text}, set(shelf.tolist()))

    def _labels(self, pixels: npt.NDArray[Any], labels: Labels, rows: Ints) -> dict[int, str]:
        """Return row -> text of price labels; one that shows no price is looked at once more, with larger letters."""
        margin = MARGIN * (labels.box[rows, 2:] - labels.box[rows, :2])
        crops = cut(pixels, np.concatenate([labels.box[rows, :2] - margin, labels.box[rows, 2:] + margin], axis=1))
        texts = [_label(crop, lines) for crop, lines in zip(crops, ocr.read(crops, self.label_px, LINES["label"]), strict=True)]
        missed = [i for i, text in enumerate(texts) if not price_of(text)[0] > 0]
        again = ocr.read([crops[i] for i in missed], round(AGAIN * self.label_px), LINES["label"])
        for i, lines in zip(missed, again, strict=True):
            text = _label(crops[i], lines)
            if price_of(text)[0] > 0 or len(text) > len(texts[i]):
                texts[i] = text
        return dict(zip(rows.tolist(), texts, strict=True))

    def _said(self, labels: Labels, texts: Mapping[int, str], shelf: set[int]) -> Reading:
        n = len(labels)
        columns = {name: np.full(n, None, dtype=object) for name in ("text", "currency", "pack_size", "brand", "gtin")}
        price = np.full(n, np.nan)
        known_gtin = labels.attributes.get("gtin")
        rows: list[int] = []
        keys: list[str] = []
        likeness: list[float] = []
        for row, text in sorted(texts.items()):
            columns["text"][row] = text.replace("\n", " ")
            if row in shelf:
                price[row], currency = price_of(text)
                columns["currency"][row] = currency or None
            else:
                columns["brand"][row] = self._names.brand(text) or None
            columns["pack_size"][row] = _size(text)
            claims = self._claims(text)
            number = self._number(text)
            if number:
                claims = {str(self.catalogue.key[self.catalogue.by_gtin(number)]): MOST}
                if known_gtin is None or not known_gtin[row]:
                    columns["gtin"][row] = number
            rows += [row] * len(claims)
            keys += claims
            likeness += claims.values()
        allowed = self.schema.attributes_of("label")
        attributes = {name: column for name, column in (columns | {"price": price}).items() if name in allowed}
        return Reading(
            np.array(rows, dtype=np.int64), np.array(keys, dtype=object), np.array(likeness, dtype=np.float64), attributes
        )

    def _claims(self, text: str) -> dict[str, float]:
        """Return the products that a text may name, and how likely."""
        likely = self._names.likely(text, self.limit, self.least)
        return {str(self.catalogue.key[row]): MOST * chance for row, chance in likely}

    def _number(self, text: str) -> str:
        """Return the GTIN of the catalogue that is printed in a text; empty if there is none, or more than one."""
        found = {gtin.normalise(match[0]) for match in DIGITS.finditer(text)}
        found = {number for number in found if number and self.catalogue.by_gtin(number) >= 0}
        return found.pop() if len(found) == 1 else ""


def _joined(lines: Sequence[ocr.Line]) -> str:
    return "\n".join(line.text for line in lines)


def _label(crop: npt.NDArray[np.uint8], lines: Sequence[ocr.Line]) -> str:
    """Return the text of a price label, with a point before cents that are printed small."""
    words = []
    for line in lines:
        x0, y0, x1, y1 = (max(round(v), 0) for v in line.box)
        words.append(with_point(line.text, crop[y0:y1, x0:x1]))
    return "\n".join(words)


def _size(text: str) -> str | None:
    """Return the pack size that a text names; None for several that differ. Of 4 x 125 g and 500 g, the first says more."""
    found = sizes.parse(text)
    if not found or not all(sizes.same(found[0], other) for other in found):
        return None
    return sizes.words(max(found, key=lambda size: size.count))
