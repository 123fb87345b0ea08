"""Review rules about price labels: the price against the catalogue's, the text against the product's name, and the place."""

from __future__ import annotations

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import evidence, number
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Ints, Item, Kind, Labels
from hyla_retail.rules import TINY, RetailRule, naming, words, worst


class PriceDifference(RetailRule):
    """Send products to a person whose price on the shelf is not the catalogue's, and price labels without a price to review.

    Args:
        share: of the catalogue's price, by which they may differ; 0.01.
        unread: what is asked of price labels whose price was not read: the severity of the reason `price_unread`.
    """

    def __init__(self, schema: Schema, name: str, share: float = 0.01, unread: str = "review", severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.share = share
        self.unread = RetailRule(schema, name, unread)
        self._label = self.table("price_label")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for prices that differ, and one for those that are missing."""
        off = self._difference(labels)
        wrong = off > self.share + TINY
        message = f"{wrong.sum()} price(s) differ from the catalogue by up to {worst(off, wrong):.1%}, limit {self.share:.1%}"
        blank = self._label[labels.class_id] & (labels.kind == Kind.BOX) & np.isnan(number(labels, "price"))
        return [
            *self.flags("price_difference", wrong, f"{message}{naming(labels, wrong)}"),
            *self.unread.flags("price_unread", blank, f"{blank.sum()} price label(s) whose price was not read"),
        ]

    def _difference(self, labels: Labels) -> Floats:
        if "price_diff" in labels.evidence:  # the model knows the currencies too
            return evidence(labels, "price_diff")
        shelf, listed = number(labels, "price"), number(labels, "catalogue_price")
        product = self._product[labels.class_id] & (listed > 0)
        return np.where(product, np.abs(shelf - listed) / np.where(product, listed, 1.0), np.nan)


class LabelText(RetailRule):
    """Send products to a person over whose price label another name is written.

    Args:
        likeness: of the label's text to the name in the catalogue, 0 to 1, below which it is another; 0.6.
    """

    def __init__(self, schema: Schema, name: str, likeness: float = 0.6, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.likeness = likeness

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the products."""
        alike = evidence(labels, "label_text")
        other = self.products(labels) & (alike < self.likeness)
        message = (
            f"the price label under {other.sum()} product(s) names another: likeness {worst(alike, other, highest=False):.2f}"
        )
        return self.flags("label_text", other, f"{message}, limit {self.likeness:g}{naming(labels, other)}")


class LabelOffset(RetailRule):
    """Send products to review that do not stand over their price label.

    Of facings of one product side by side on one shelf, the nearest counts: they share the label. Side by side are those with
    less than a width between them, and no other product.

    Args:
        widths: distance of the centres, in widths of the facing, above which a label may be a neighbour's; 0.5.
    """

    def __init__(self, schema: Schema, name: str, widths: float = 0.5, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.widths = widths

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the facings."""
        offset = evidence(labels, "label_offset")
        facing = self.facings(labels)
        block = _blocks(labels, facing)
        nearest = np.full(len(labels), np.inf)
        np.fmin.at(nearest, block, offset)
        off = facing & (offset > self.widths) & (nearest[block] > self.widths)
        message = f"{off.sum()} facing(s) up to {worst(offset, off):.1f} widths beside their price label, limit {self.widths:g}"
        return self.flags("label_offset", off, f"{message}{naming(labels, off)}")


def _blocks(labels: Labels, facing: Bools) -> Ints:
    """Return a number (n,) that facings of one product have in common which stand side by side on one shelf."""
    block = np.arange(len(labels))
    product, shelf, position = words(labels, "product"), np.nan_to_num(number(labels, "shelf")), number(labels, "position")
    left, right = labels.box[:, 0], labels.box[:, 2]
    last: dict[tuple[str, float], int] = {}  # the facing of each product on each shelf that reaches furthest to the right
    for row in np.lexsort((right, left)).tolist():
        if not facing[row] or not product[row]:
            continue
        place = (product[row], float(shelf[row]))
        before = last.get(place, row)
        near = left[row] - right[before] < right[row] - left[row]
        if near and not abs(position[row] - position[before]) > 1:  # where it is not known, NaN, the place alone tells
            block[row] = block[before]
        if right[row] >= right[before]:
            last[place] = row
    return block
