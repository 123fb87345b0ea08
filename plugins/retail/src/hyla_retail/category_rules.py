"""Review rules about categories: goods that the law restricts, and names that contradict a category, a brand or the taxonomy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import evidence
from hyla.schema import Schema
from hyla.types import Bools, Flag, Item, Labels
from hyla_retail.categories import RESTRICTED, open_categories
from hyla_retail.rules import RetailRule, holds, naming, words, worst


class RestrictedGoods(RetailRule):
    """Send goods that the law restricts to a person, always, however sure the model is: a mistake has a legal cost.

    Alcohol, tobacco, medicine, food for infants and weapons by their class or by the words of their category; and what a pack
    claims of itself (organic, vegan, without gluten): regulated statements, and allergens among them.

    Args:
        classes: restricted ones, with all below them.
        taxonomy: a file that says more of categories, `auto` or None, as the model has it.
        source: of the run.

    Raises:
        ConfigError: for a class that the schema has not, and a taxonomy that is named and can't be read.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        classes: Sequence[str] = (*RESTRICTED, "claim"),
        taxonomy: str | None = None,
        source: str = "",
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.classes = self.chosen(classes)
        self._categories = open_categories(schema, taxonomy, source)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows, naming the classes."""
        found = self.classes[labels.class_id] | self._said(labels)
        named = sorted({self.schema.names[i] for i in labels.class_id[found & self.classes[labels.class_id]].tolist()})
        kinds = ", ".join(named) or "by their category"
        return self.flags(
            "restricted_goods", found, f"{found.sum()} label(s) of restricted goods or claims ({kinds}): a person decides"
        )

    def _said(self, labels: Labels) -> Bools:
        texts = words(labels, "category")
        known = {text: bool(self.classes[self._categories.class_id(text.split(" > "))]) for text in set(texts) if text}
        return np.array([known.get(text, False) for text in texts], dtype=bool)


class BrandCategory(RetailRule):
    """Send products to a person whose class is not where the catalogue has product or brand, or contradicts its category.

    Args:
        taxonomy: a file that says more of categories, `auto` or None, as the model has it.
        source: of the run.

    Raises:
        ConfigError: for a taxonomy that is named and can't be read.
    """

    def __init__(self, schema: Schema, name: str, taxonomy: str | None = None, source: str = "", severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self._categories = open_categories(schema, taxonomy, source)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for what the catalogue contradicts, and one for what the words of the category do."""
        product = self.products(labels)
        wrong = product & holds(labels, "category_conflict")
        message = (
            f"the category of {wrong.sum()} product(s) is not one of the brand or product in the catalogue{naming(labels, wrong)}"
        )
        torn = product & ~wrong & ~self._unknown[labels.class_id] & self._torn(labels)
        return [
            *self.flags("brand_category", wrong, message),
            *self.flags("levels_conflict", torn, f"the class of {torn.sum()} product(s) is not on the path of its category"),
        ]

    def _torn(self, labels: Labels) -> Bools:
        texts = words(labels, "category")
        said = {text: self._categories.class_id(text.split(" > ")) for text in set(texts) if text}
        pairs = [(int(one), said.get(text, int(one))) for one, text in zip(labels.class_id, texts, strict=True)]
        apart = {pair: not self._categories.on_one_path(*pair) for pair in set(pairs)}
        return np.array([apart[pair] for pair in pairs], dtype=bool)


class TaxonomyMargin(RetailRule):
    """Send products to a person where the two likeliest are close and lie in different segments: a mistake across the shop.

    Args:
        margin: best minus second, 0 to 1, below which two products are close; 0.15.
        near: what is asked of close products of one segment, such as two flavours: the severity of the reason `close_products`.
    """

    def __init__(self, schema: Schema, name: str, margin: float = 0.15, near: str = "review", severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.margin = margin
        self.near = RetailRule(schema, name, near)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for other segments, and one for the same."""
        margin = evidence(labels, "margin")
        close = self.products(labels) & (margin < self.margin)
        apart = close & (holds(labels, "segment_conflict") | (evidence(labels, "depth") < 1))
        near = close & ~apart
        says = "is {0:.2f} ahead of the second, limit {1:g}"
        return [
            *self.flags(
                "taxonomy_margin",
                apart,
                f"{apart.sum()} product(s) with a second choice in another segment: the best "
                f"{says.format(worst(margin, apart, highest=False), self.margin)}{naming(labels, apart)}",
            ),
            *self.near.flags(
                "close_products",
                near,
                f"{near.sum()} product(s) with a close second choice: the best "
                f"{says.format(worst(margin, near, highest=False), self.margin)}{naming(labels, near)}",
            ),
        ]


class PackSize(RetailRule):
    """Send products to a person on whose pack another size was read than the catalogue has: 500 ml where it says 330 ml."""

    def __init__(self, schema: Schema, name: str, severity: str = "human") -> None:
        super().__init__(schema, name, severity)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the products."""
        wrong = self.products(labels) & holds(labels, "size_conflict")
        read = ", ".join(
            sorted({one for one, bad in zip(words(labels, "pack_size"), wrong.tolist(), strict=True) if bad and one})
        )
        message = (
            f"the size on {wrong.sum()} pack(s) is not that of the catalogue ({read or 'see the crop'}){naming(labels, wrong)}"
        )
        return self.flags("pack_size", wrong, message)
