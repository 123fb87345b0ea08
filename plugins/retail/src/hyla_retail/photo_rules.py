"""Review rules about photos: pictures that hardly differ and carry other names, views that disagree, photos that are blurred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from hyla.hooks import hookimpl
from hyla.rules import evidence, fact
from hyla.schema import Schema
from hyla.types import Flag, Item, Kind, Labels, Record
from hyla_retail.gtin import normalise
from hyla_retail.rules import RetailRule, naming, words, worst


class DuplicateImage(RetailRule):
    """Send pictures to a person that are nearly those of another product, and views of one product that were named differently.

    Args:
        bits: of 64 of the perceptual hash that may differ between near duplicates; 4.
    """

    def __init__(self, schema: Schema, name: str, bits: int = 4, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.bits = bits

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the products that look like a picture of another."""
        differs = evidence(labels, "duplicate")
        twin = self.products(labels) & (differs <= self.bits)
        least = worst(differs, twin, highest=False)
        message = f"{twin.sum()} picture(s) nearly the same as one of another product: {least:.0f} of 64 bits differ"
        return self.flags("duplicate_image", twin, f"{message}, limit {self.bits}{naming(labels, twin)}")

    @hookimpl
    def check_group(self, records: Iterable[Record]) -> Iterator[tuple[str, Flag]]:
        """Yield flags for views of one product, as a GTIN or a row of the catalogue ties them, that most others contradict."""
        named: dict[str, tuple[str, int]] = {}
        for record in records:
            product = self.products(record.labels) & (record.labels.kind == Kind.TAG)
            found = [(word, row) for row, word in enumerate(words(record.labels, "product")) if word and product[row]]
            if len(found) == 1 and _of_one(record.item):
                named[record.item.id] = found[0]
        counted = Counter(word for word, _ in named.values())
        if len(counted) < 2:
            return
        most, n = min(counted.items(), key=lambda one: (-one[1], one[0]))
        for item_id, (word, row) in named.items():
            if word != most or n * 2 <= len(named):
                message = f"this view is named {word}, and {n} of {len(named)} views of the same product are {most}"
                yield item_id, Flag(self.name, "views_disagree", self.severity, (row,), message)


class BlurredPhoto(RetailRule):
    """Send photos to review that are too blurred to read: take them again.

    Args:
        sharpness: variance of the Laplacian of the photo, reduced to 1000 pixels, below which it is blurred; 100.
    """

    def __init__(self, schema: Schema, name: str, sharpness: float = 100.0, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.sharpness = sharpness

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for the photo."""
        known = fact(item, labels, "sharpness")
        if not isinstance(known, (int, float)) or isinstance(known, bool) or not known < self.sharpness:
            return []
        return self.whole(
            "blurred_photo", f"the photo is blurred: sharpness {known:.0f}, limit {self.sharpness:g}; take it again"
        )


def _of_one(item: Item) -> bool:
    return bool(item.group) and bool(normalise(item.group) or item.group == item.meta.get("product"))
