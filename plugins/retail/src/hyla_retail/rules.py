"""Review rules about which product a label is, and what all rules of this plugin share.

Each rule looks at all labels of a photo at once, remembers nothing, and can be changed or left out by name. It judges from what
was read and measured (attributes, evidence, facts of the photo), never from pixels, and is silent where that is not known. Each
takes `severity`: what its flags ask for (note, review, human, second, reject).
"""

from __future__ import annotations

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import SchemaRule, evidence
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Item, Kind, Labels
from hyla_retail.gtin import normalise, restricted_prefix

SEEN = ("exemplar", "text", "barcode", "price_label")  # evidence of sources: how sure each is of the likeliest product
SAID = 3  # products that a message names
TINY = 1e-9  # what sums of decimal fractions are off


class RetailRule(SchemaRule):
    """Hold what each rule of this plugin is given, and which classes are products."""

    def __init__(self, schema: Schema, name: str, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self._product = self.table("product")
        self._unknown = self.table("unknown_product")

    def products(self, labels: Labels) -> Bools:
        """Return (n,) True for products: facings on a shelf, and what a photo of one product shows."""
        return np.asarray(self._product[labels.class_id] & np.isin(labels.kind, (Kind.BOX, Kind.TAG)))

    def facings(self, labels: Labels) -> Bools:
        """Return (n,) True for products in a box."""
        return np.asarray(self._product[labels.class_id] & (labels.kind == Kind.BOX))


def words(labels: Labels, name: str) -> list[str]:
    """Return an attribute that is text (n,), empty where it is not known."""
    column = labels.attributes.get(name)
    if column is None or column.dtype != object:
        return [""] * len(labels)
    return [one if isinstance(one, str) else "" for one in column.tolist()]


def holds(labels: Labels, name: str) -> Bools:
    """Return (n,) True where evidence that answers yes or no says yes."""
    return np.asarray(evidence(labels, name) > 0.5)


def _named(labels: Labels) -> Bools:
    return np.array([bool(one) for one in words(labels, "product")], dtype=bool)


def naming(labels: Labels, rows: Bools) -> str:
    """Return the first products of a mask (n,), for a message."""
    found = list(dict.fromkeys(word for word, here in zip(words(labels, "product"), rows.tolist(), strict=True) if here and word))
    more = f" and {len(found) - SAID} more" if len(found) > SAID else ""
    return f": {', '.join(found[:SAID])}{more}" if found else ""


def worst(values: Floats, rows: Bools, highest: bool = True) -> float:
    """Return the highest or the lowest of the values (n,) of a mask; NaN if it is empty."""
    if not rows.any():
        return float("nan")
    return float(values[rows].max() if highest else values[rows].min())


class GtinMismatch(RetailRule):
    """Send products to a person whose barcode names another product than the rest of what was seen.

    The barcode may be that of a neighbour, or the name is wrong. A barcode that can't be read says nothing.
    """

    def __init__(self, schema: Schema, name: str, severity: str = "human") -> None:
        super().__init__(schema, name, severity)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the products that were named against their barcode, or by it against another source."""
        barcode = evidence(labels, "barcode")
        other = self.products(labels) & ((barcode <= 0) | ((barcode > 0) & holds(labels, "conflict")))
        message = f"barcode and other sources name different products for {other.sum()} label(s){naming(labels, other)}"
        return self.flags("gtin_mismatch", other, message)


class CheckDigit(SchemaRule):
    """Send numbers to a person that look like a GTIN and have a wrong check digit, whoever read or typed them."""

    def __init__(self, schema: Schema, name: str, severity: str = "human") -> None:
        super().__init__(schema, name, severity)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows."""
        bad = holds(labels, "bad_digit") | np.array(
            [bool(one) and not normalise(one) for one in words(labels, "gtin")], dtype=bool
        )
        return self.flags("wrong_check_digit", bad, f"{bad.sum()} number(s) are no GTIN: the check digit or the length is wrong")


class RestrictedPrefix(SchemaRule):
    """Send numbers of restricted circulation to review: they mean something in one company or country only, as 02 and 20 to 29.

    Those that scales print hold a price or a weight, so they differ from pack to pack. None is the number of a product elsewhere.
    """

    def __init__(self, schema: Schema, name: str, severity: str = "review") -> None:
        super().__init__(schema, name, severity)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows."""
        own = [bool(known := normalise(one)) and restricted_prefix(known) for one in words(labels, "gtin")]
        found = holds(labels, "restricted_prefix") | np.array(own, dtype=bool)
        return self.flags(
            "restricted_prefix",
            found,
            f"{found.sum()} number(s) of one company or country (02, 20 to 29): no product elsewhere",
        )


class SourceConflict(RetailRule):
    """Send products to review of which two sources say different things: barcode, text, price label, likeness."""

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the products."""
        torn = self.products(labels) & holds(labels, "conflict")
        return self.flags(
            "sources_conflict", torn, f"two sources name different products for {torn.sum()} label(s){naming(labels, torn)}"
        )


class UnknownProduct(RetailRule):
    """Send products to a person that are like none that is known: a new one, to be named and added to the catalogue.

    Args:
        novelty: share of known products that lie further from their kind than this one does, 0 to 1, from which it is new; 0.95.
        likeness: of a named product, the most that any source is sure of it, 0 to 1, below which it may be another; 0.6.
        named: what flags ask for about products that have a name nevertheless: that of the price label below it, say.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        novelty: float = 0.95,
        likeness: float = 0.6,
        named: str = "review",
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.named = RetailRule(schema, name, named)
        self.novelty = novelty
        self.likeness = likeness

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for what is new, one for names of what looks new, and one for names of which no source is sure."""
        product, unknown = self.products(labels), self._unknown[labels.class_id]
        found = self.flags("unknown_product", unknown, f"{unknown.sum()} product(s) are like none that is known: a new one?")
        new = product & ~unknown & (evidence(labels, "novelty") >= self.novelty)
        found += self.named.flags("looks_new", new, f"{new.sum()} product(s) look like none that is known{naming(labels, new)}")
        best = np.fmax.reduce([evidence(labels, name) for name in SEEN])
        unlike = product & ~unknown & ~new & _named(labels) & (best < self.likeness)
        message = (
            f"no source is sure of {unlike.sum()} product(s): {worst(best, unlike, highest=False):.2f}, limit {self.likeness:g}"
        )
        return found + self.named.flags("unlike_its_product", unlike, message)


class Unnamed(RetailRule):
    """Send products to review that nothing gave a name, and photos on which no product was found."""

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows, or one for the photo."""
        product = self.products(labels)
        if not product.any():
            return self.whole("nothing_found", "no product was found on this photo")
        blank = product & ~self._unknown[labels.class_id] & ~_named(labels)
        return self.flags("unnamed", blank, f"{blank.sum()} product(s) without a name")
