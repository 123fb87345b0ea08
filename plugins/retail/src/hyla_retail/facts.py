"""State what the catalogue knows of named products, and where it differs from what was read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from hyla.schema import Schema
from hyla.types import Bools, Floats, Ints, Labels, Objects
from hyla_retail import sizes
from hyla_retail.catalogue import Catalogue, open_catalogue
from hyla_retail.categories import open_categories
from hyla_retail.money import CODES

APART = " > "


class Facts:
    """Hold a catalogue, and which class of the schema each of its products has.

    Args:
        schema: of the labels.
        catalogue, source, columns: see `open_catalogue`.
        taxonomy: a file that says more of categories, or `auto` or None; see `hyla_retail.taxonomy.read`.

    Raises:
        ConfigError: for a catalogue or taxonomy that is named and can't be read.
    """

    def __init__(
        self,
        schema: Schema,
        catalogue: str | None,
        source: str,
        columns: Mapping[str, str] | None = None,
        taxonomy: str | None = None,
    ) -> None:
        self.schema = schema
        self.catalogue: Catalogue = open_catalogue(catalogue, source, columns)
        self.categories = open_categories(schema, taxonomy, source)
        self._product = schema.ids.get("product", -1)

    @property
    def digest(self) -> str:
        """Return the sha256 of the file of the catalogue, or nothing where there is none."""
        from hyla.weights import digest

        return digest(self.catalogue.root / self.catalogue.file) if self.catalogue.root and len(self.catalogue) else ""

    @cached_property
    def classes(self) -> Ints:
        """Return the class (n,) of each product of the catalogue."""
        known: dict[tuple[str, ...], int] = {}
        for path in self.catalogue.category:
            if path not in known:
                known[path] = self.categories.class_id(path)
        return np.array([known[path] for path in self.catalogue.category], dtype=np.int64)

    @cached_property
    def brands(self) -> dict[str, set[int]]:
        """Return brand -> the segments that its products are in, of those whose segment is known."""
        found = dict[str, set[int]]()
        for brand, class_id in zip(self.catalogue.brand, self.classes.tolist(), strict=True):
            if brand and class_id != self._product:
                found.setdefault(brand.casefold(), set()).add(self.categories.segment(class_id))
        return found

    def state(self, labels: Labels, product: Bools, second: Objects, below: Ints) -> Labels:
        """Return labels with class, attributes and evidence by the catalogue.

        Args:
            labels: with `product` and what was read; an attribute that was read is not replaced, except by what the catalogue
                says of a product that is named.
            product: (n,) which of them are products; one without a name keeps its class.
            second: (n,) the product that is second best, or None.
            below: (n,) row of the price label that belongs to each, or -1.
        """
        keys = labels.attributes["product"]
        rows, others = self._rows(keys), self._rows(second)
        product = product & np.array([key is not None for key in keys.tolist()], dtype=bool)
        labels = _without_categories(labels, ~product)
        read = self._classes_read(labels, product)
        classes = self._classes(labels, product & (rows >= 0), rows, read)
        attributes = self._attributes(labels, rows)
        evidence = dict(labels.evidence) | {
            "category_conflict": self._category_conflict(labels, product, rows, classes, read),
            "price_diff": self._price_difference(attributes, rows),
            "size_conflict": self._size_conflict(labels, rows),
            "label_text": self._label_text(labels, rows, below),
            **self._apart(rows, others),
        }
        allowed = self.schema.attributes_of("label")
        kept = {name: column for name, column in attributes.items() if name in allowed}
        return replace(labels, class_id=classes, attributes=kept, evidence=evidence)

    def _rows(self, keys: Objects) -> Ints:
        return np.array([-1 if key is None else self.catalogue.row_of(key) for key in keys.tolist()], dtype=np.int64)

    def _classes_read(self, labels: Labels, product: Bools) -> Ints:
        """Return the class that each label had before its name was known: by the finder, or the category of its exemplar."""
        classes = labels.class_id.copy()
        told = labels.attributes.get("category")
        for row in np.flatnonzero(product & (classes == self._product)).tolist() if told is not None else ():
            if told is not None and told[row]:
                classes[row] = self.categories.class_id(tuple(part.strip() for part in str(told[row]).split(APART)))
        return classes

    def _classes(self, labels: Labels, named: Bools, rows: Ints, read: Ints) -> Ints:
        """Return the class by the catalogue, where that is more than `product`; else the one that was read."""
        classes = read.copy()
        if len(self.catalogue):
            own = self.classes[rows]
            some = named & (own != self._product)
            classes[some] = own[some]
        return classes

    def _attributes(self, labels: Labels, rows: Ints) -> dict[str, Any]:
        """Return the attributes with those of the catalogue, and the size on the pack where the catalogue has none."""
        out = dict(labels.attributes)
        named = np.flatnonzero(rows >= 0)
        if not len(named):
            return out
        at = rows[named]
        table = self.catalogue
        texts = {"gtin": table.gtin, "name": table.name, "brand": table.brand, "pack_size": table.size}
        for name, column in texts.items():
            values = out[name].astype(object) if name in out else np.full(len(labels), None, dtype=object)
            for row, value in zip(named.tolist(), column[at].tolist(), strict=True):
                # The size that stands on the pack stays: a rule shows it where the catalogue has another.
                values[row] = values[row] or value if name == "pack_size" else value or values[row]
            out[name] = values
        paths = out["category"].astype(object) if "category" in out else np.full(len(labels), None, dtype=object)
        for row, path in zip(named.tolist(), (table.category[i] for i in at.tolist()), strict=True):
            paths[row] = APART.join(path) or paths[row]
        prices = np.full(len(labels), np.nan)
        prices[named] = table.price[at]
        return out | {"category": paths, "catalogue_price": prices}

    def _category_conflict(self, labels: Labels, product: Bools, rows: Ints, classes: Ints, read: Ints) -> Floats:
        """Return 1 where class and what was read lie in other branches, or the brand that was read sells nothing of the kind."""
        out = np.full(len(labels), np.nan)
        brands = labels.attributes.get("brand")
        for row in np.flatnonzero(product & (rows >= 0)).tolist():
            pair = int(classes[row]), int(read[row])
            line = [set(self._ancestors(one)) for one in pair]
            differs = pair[0] not in line[1] and pair[1] not in line[0]
            brand = str(brands[row]).casefold() if brands is not None and isinstance(brands[row], str) else ""
            sold = self.brands.get(brand, set())
            foreign = bool(sold) and pair[0] != self._product and self.categories.segment(pair[0]) not in sold
            out[row] = float(differs or foreign)
        return out

    def _ancestors(self, class_id: int) -> list[int]:
        """Return a class and all above it."""
        out, one = [class_id], self.schema.classes[class_id]
        while one.parent:
            out.append(self.schema.ids[one.parent])
            one = self.schema.classes[out[-1]]
        return out

    def _price_difference(self, attributes: Mapping[str, Any], rows: Ints) -> Floats:
        """Return the share by which the price on the label is off the catalogue's; unknown where currencies differ."""
        out = np.full(len(rows), np.nan)
        if "price" not in attributes or not len(self.catalogue):
            return out
        price, wanted = np.asarray(attributes["price"], dtype=np.float64), np.where(rows >= 0, self.catalogue.price[rows], np.nan)
        some = np.isfinite(price) & np.isfinite(wanted) & (wanted > 0)
        if "currency" in attributes:
            pairs = zip(attributes["currency"].tolist(), self.catalogue.currency[rows].tolist(), strict=True)
            # a column in which no currency is known holds NaN
            some &= np.array([not isinstance(a, str) or not a or not b or a == b for a, b in pairs], dtype=bool)
        out[some] = np.abs(price[some] - wanted[some]) / wanted[some]
        return out

    def _size_conflict(self, labels: Labels, rows: Ints) -> Floats:
        """Return 1 where the size read on the pack is none that the catalogue says, 0 where it is."""
        out = np.full(len(rows), np.nan)
        read = labels.attributes.get("pack_size")
        for row in np.flatnonzero(rows >= 0).tolist() if read is not None else ():
            if read is None or not isinstance(read[row], str) or not self.catalogue.size[rows[row]]:
                continue
            seen, wanted = sizes.parse(str(read[row])), sizes.parse(str(self.catalogue.size[rows[row]]))
            if seen and wanted:
                out[row] = float(not any(sizes.same(a, b) for a in seen for b in wanted))
        return out

    def _label_text(self, labels: Labels, rows: Ints, below: Ints) -> Floats:
        """Return how alike, 0 to 1, the text of the price label is to the catalogue's brand and name: words in any order.

        Of a label on which no more than a price was read, nothing is known.
        """
        out = np.full(len(rows), np.nan)
        text = labels.attributes.get("text")
        some = np.flatnonzero((rows >= 0) & (below >= 0))
        if text is None or not len(some):
            return out
        from rapidfuzz.fuzz import token_set_ratio
        from rapidfuzz.utils import default_process

        for row in some.tolist():
            said, at = text[below[row]], rows[row]
            if isinstance(said, str) and _names(said):  # a column in which nothing is known holds NaN
                wanted = f"{self.catalogue.brand[at]} {self.catalogue.name[at]}"
                out[row] = token_set_ratio(str(said), wanted, processor=default_process) / 100
        return out

    def _apart(self, rows: Ints, others: Ints) -> dict[str, Floats]:
        """Return how many levels the two best products share, and whether their segments differ, if both categories are known."""
        depth, segment = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
        for row in np.flatnonzero((rows >= 0) & (others >= 0)).tolist():
            a, b = int(self.classes[rows[row]]), int(self.classes[others[row]])
            if self._product in (a, b):  # of no known category, so that nothing tells how far apart they are
                continue
            depth[row] = self.categories.depth(a, b)
            segment[row] = float(self.categories.segment(a) != self.categories.segment(b))
        return {"depth": depth, "segment_conflict": segment}


def _without_categories(labels: Labels, rows: Bools) -> Labels:
    """Return labels of which some have no category: that of an exemplar is worth no more than its name."""
    if "category" not in labels.attributes:
        return labels
    category = labels.attributes["category"].astype(object)
    category[rows] = None
    return replace(labels, attributes={**labels.attributes, "category": category})


def _names(text: str) -> bool:
    """Tell whether a text has a word of three letters or more that is no currency."""
    return any(word.upper() not in CODES for word in re.findall(r"[^\W\d_]{3,}", text))
