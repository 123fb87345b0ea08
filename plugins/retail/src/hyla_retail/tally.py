"""Sum up what is known of each product: its facts, the probability of each tag, and how much of it a person decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.formats import Loss
from hyla.schema import Schema
from hyla.types import Floats, Kind
from hyla_retail import seen
from hyla_retail.catalogue import Catalogue
from hyla_retail.seen import Seen

GROUPS = ("colour", "packaging")  # attributes of labels whose words are tags too
FACTS = ("gtin", "name", "brand", "category", "currency")
PRICES = ("catalogue_price", "price")
LIKELY = 0.5  # probability from which a tag is said of a product


@dataclass(slots=True, eq=False)
class Product:
    """Hold one product.

    Args:
        key: in the catalogue, or as labels name it.
        facts: gtin, name, brand, category (levels with > between them) and currency, where they are known.
        price: of the catalogue, else of labels; NaN where there is none.
        class_name: that most of its labels have; empty if it was never seen.
        labels: how many labels name it, on shelves and photos.
        verified: how many of them a person decided.
        said: (2, t) sums of the probabilities of each tag: as the machine said, and as people decided.
        times: (2, t) over how many pictures.
        probability: (t,) of each tag: as people decided where they did, else the machine's mean; NaN where no picture tells.
            It is reckoned when all is added up.
    """

    key: str
    facts: dict[str, str]
    price: float = float("nan")
    class_name: str = ""
    labels: int = 0
    verified: int = 0
    said: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, 0), np.float32))
    times: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, 0), np.float32))
    probability: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def share(self) -> float:
        """Return the share of its labels that a person decided; 0 if it has none."""
        return self.verified / self.labels if self.labels else 0.0

    @property
    def decided(self) -> npt.NDArray[np.bool_]:
        """Return (t,) whether a person decided on each tag."""
        return np.asarray(self.times[1] > 0)


class Tally:
    """Add up records, product by product; what it holds grows with products and not with pictures.

    Args:
        schema: of the labels.
        catalogue: whose products are there from the beginning, seen or not.
    """

    def __init__(self, schema: Schema, catalogue: Catalogue) -> None:
        self.schema, self.catalogue = schema, catalogue
        self.ids = seen.tags(schema)
        self.tags = tuple(schema.names[i] for i in self.ids)
        self._products = seen.products(schema)
        self._at = {int(i): n for n, i in enumerate(self.ids)}
        self._groups = {name: [self.tags.index(t) for t in self._under(name)] for name in GROUPS}
        self._found: dict[str, Product] = {}
        self._classes: dict[str, Counter[str]] = {}
        for row in range(len(catalogue)):
            self._found[catalogue.key[row]] = self._listed(row)

    def add(self, one: Seen) -> list[tuple[int, str]]:
        """Add a picture, and return row and product of its labels that name one."""
        named = []
        for row in np.flatnonzero(np.isin(one.labels.class_id, self._products)).tolist():
            if not (key := one.value(seen.PRODUCT, row)):
                continue
            named.append((row, key))
            product = self._found.get(key) or self._found.setdefault(key, self._new(key, {}))
            product.labels += 1
            product.verified += one.words[row].verified
            self._classes.setdefault(key, Counter())[self.schema.names[int(one.labels.class_id[row])]] += 1
            self._state(product, one, row)
            if one.labels.kind[row] == Kind.TAG:
                self._tag(product, one)
            else:
                self._describe(product, one, row)
        return named

    def products(self) -> list[Product]:
        """Return the products: those of the catalogue in its order, then the others as they were first seen."""
        for key, classes in self._classes.items():
            self._found[key].class_name = min(classes, key=lambda name: (-classes[name], name))
        for one in self._found.values():
            with np.errstate(invalid="ignore"):
                auto, human = one.said.astype(np.float64) / one.times
            one.probability = np.where(one.decided, human, auto)
        return list(self._found.values())

    def count(self, one: Seen, named: Sequence[tuple[int, str]], loss: Loss) -> None:
        """Count the labels of a picture that no product has: those that nothing named, of other classes, and called wrong."""
        product = int(np.isin(one.labels.class_id, self._products).sum())
        loss.count("unnamed product", product - len(named))
        loss.count("other label", len(one.labels) - product - int(np.isin(one.labels.class_id, self.ids).sum()))
        loss.count("wrong label", len(one.dropped))

    def _under(self, name: str) -> Sequence[str]:
        attribute = self.schema.attributes_of("label").get(name)
        return [word for word in (attribute.choices if attribute else ()) if word in self.tags]

    def _new(self, key: str, facts: dict[str, str], price: float = float("nan")) -> Product:
        zeros = (np.zeros((2, len(self.tags)), np.float32) for _ in range(2))
        return Product(key, facts, price, said=next(zeros), times=next(zeros))

    def _listed(self, row: int) -> Product:
        c = self.catalogue
        facts = {"gtin": c.gtin[row], "name": c.name[row], "brand": c.brand[row], "currency": c.currency[row]}
        facts["category"] = " > ".join(c.category[row])
        return self._new(c.key[row], {name: text for name, text in facts.items() if text}, float(c.price[row]))

    def _state(self, product: Product, one: Seen, row: int) -> None:
        for name in FACTS:
            if name not in product.facts and (text := one.value(name, row)):
                product.facts[name] = text
        for name in PRICES:
            if product.price != product.price and (price := one.value(name, row)) is not None:
                product.price = float(price)

    def _tag(self, product: Product, one: Seen) -> None:
        """Add what the photo of a product says; what is not said of it is not there."""
        said, decided = np.zeros(len(self.tags)), np.full(len(self.tags), one.whole.verified)
        for row in np.flatnonzero((one.labels.kind == Kind.TAG) & np.isin(one.labels.class_id, self.ids)).tolist():
            at, verified = self._at[int(one.labels.class_id[row])], one.words[row].verified
            said[at] = max(said[at], 1.0 if verified else one.labels.score[row])
            decided[at] |= verified
        self._sum(product, said, decided, slice(None))

    def _describe(self, product: Product, one: Seen, row: int) -> None:
        """Add the colour and packaging of a facing, which nobody who accepts its box and product need have looked at."""
        for name, places in self._groups.items():
            if (word := one.value(name, row)) in self.tags:
                column = one.labels.evidence.get(f"p_{name}")
                sure = float(column[row]) if column is not None and column[row] == column[row] else float(one.labels.score[row])
                said = np.where(np.array(places) == self.tags.index(word), sure, 0.0)
                self._sum(product, said, np.zeros(len(places), bool), places)

    @staticmethod
    def _sum(product: Product, said: Floats, decided: npt.NDArray[np.bool_], places: Any) -> None:
        product.said[0, places] += said
        product.times[0, places] += 1
        product.said[1, places] += np.where(decided, said, 0)
        product.times[1, places] += decided
