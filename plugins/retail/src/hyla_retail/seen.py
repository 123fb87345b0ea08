"""Read records as the exports of retail need them: which labels count, and whether a person decided each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.geometry import iou
from hyla.schema import Schema
from hyla.types import Bools, Floats, Ints, Labels, Record, Severity, Verdict

if TYPE_CHECKING:
    from hyla.pictures import Pictures
    from hyla.store.answered import Answered

PAGE = 128  # records whose answers are asked for together
PRODUCT, TAG = "product", "tag"  # classes above those of products, and of what is said of a picture
OF_PRODUCT = frozenset({"gtin", "name", "brand", "category", "catalogue_price", "pack_size", "exemplar", "sources"})
HUMAN, SIMULATED, TRUTH, AUTO = "human", "simulated", "truth", "auto"


@dataclass(frozen=True, slots=True)
class Word:
    """Say who decided a label.

    Args:
        source: `human`; `truth` (imported as such); `simulated` (a program answered in a person's place); or `auto`.
        reviewer: name of who decided, empty for none.
        time: when, in ISO 8601 and UTC, empty for not known.
    """

    source: str = AUTO
    reviewer: str = ""
    time: str = ""

    @property
    def verified(self) -> bool:
        """Tell whether a person decided: a program that answers in their place does not count."""
        return self.source in (HUMAN, TRUTH)


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold a record with the labels that count, and who decided each.

    Args:
        record: as it was given.
        labels: n labels: none of a rejected picture, and none that a rule or a person called wrong.
        words: one per label.
        whole: who decided on the picture as a whole, so that what is not among the labels is not there; else nobody.
        dropped: the labels that do not count.
        renamed: (n,) whether a person gave the label another product: what the machine noted of the one before holds no longer.
    """

    record: Record
    labels: Labels
    words: tuple[Word, ...]
    whole: Word
    dropped: Labels
    renamed: Bools

    @property
    def verified(self) -> Bools:
        """Return (n,) whether a person decided each label."""
        return np.array([word.verified for word in self.words], dtype=bool)

    def value(self, name: str, row: int) -> Any:
        """Return an attribute of a label, or None if it is not known."""
        if name in OF_PRODUCT and self.renamed[row]:
            return None
        column = self.labels.attributes.get(name)
        value = None if column is None else column[row]
        if isinstance(value, np.generic):
            value = value.item()
        return None if value is None or value != value else value

    def of_image(self, name: str) -> Any:
        """Return an attribute of the picture, or None if it is not known."""
        return self.labels.context.get(name)


def seen(records: Iterable[Record], pictures: Pictures | None = None) -> Iterator[Seen]:
    """Yield each record with the labels that count; decisions are looked up in the project of `pictures`, a page at a time."""
    rest = iter(records)
    while page := list(islice(rest, PAGE)):
        answers = pictures.answered(page) if pictures else {}
        for one in page:
            found = _seen(one, answers.get(one.item.id))
            proposed = pictures.proposed(one.item) if pictures and one.source.startswith(HUMAN) else None
            yield found if proposed is None else replace(found, renamed=_renamed(found.labels, proposed.labels))


def products(schema: Schema) -> Ints:
    """Return the ids of the classes of products."""
    return schema.under(PRODUCT)


def tags(schema: Schema) -> Ints:
    """Return the ids of the classes of tags which labels may have."""
    return np.array([i for i in schema.under(TAG).tolist() if not schema.classes[i].abstract], dtype=np.int64)


def _seen(one: Record, said: Answered | None) -> Seen:
    n = len(one.labels)
    default = _default(one.source) if said is None else Word()
    words = [default] * n
    wrong = {row for flag in one.flags if flag.severity is Severity.REJECT for row in flag.rows}
    whole = default if default.verified else Word()
    if said is not None:
        for row, told in said.by.items():
            words[row] = Word(SIMULATED if told.mode == SIMULATED else HUMAN, told.who, told.at)
        wrong = (wrong - said.by.keys()) | said.wrong
        if said.looked and said.by:
            whole = words[max(said.by, key=lambda row: said.by[row].seq)]
    if one.verdict is Verdict.REJECT:
        wrong = set(range(n))
    if not wrong:
        return Seen(one, one.labels, tuple(words), whole, one.labels[[]], np.zeros(n, dtype=bool))
    keep = np.setdiff1d(np.arange(n), list(wrong))
    left = tuple(words[row] for row in keep)
    return Seen(one, one.labels[keep], left, whole, one.labels[sorted(wrong)], np.zeros(len(keep), dtype=bool))


def _renamed(labels: Labels, proposed: Labels) -> Bools:
    """Return (n,) whether the machine gave the label in the same place, or the nearest to it if it was moved, another product.

    Over a packshot lie several tags, of which one names the product and the others, such as colours, name none.
    """
    was: dict[tuple[int, ...], set[tuple[int, str]]] = defaultdict(set)
    before = [_place(*one) for one in zip(proposed.kind, proposed.box, strict=True)]
    for place, *name in zip(before, proposed.class_id.tolist(), _products(proposed), strict=True):
        was[place].add((name[0], name[1]))
    places = [_place(*one) for one in zip(labels.kind, labels.box, strict=True)]
    taken = set(places)
    if moved := [row for row, place in enumerate(places) if place not in was]:
        free = [row for row, place in enumerate(before) if place not in taken]
        near = iou(labels.box[moved], proposed.box[free]) * (labels.kind[moved][:, None] == proposed.kind[free])
        for row, likeness in zip(moved, near, strict=True):
            if likeness.max(initial=0) > 0:
                places[row] = before[free[int(likeness.argmax())]]
    now = zip(places, labels.class_id.tolist(), _products(labels), strict=True)
    return np.array([_other(was[place], class_id, product) for place, class_id, product in now], dtype=bool)


def _other(was: Set[tuple[int, str]], class_id: int, product: str) -> bool:
    """Tell whether a product is none of those that were named in its place; one that was taken away is another, a tag is not."""
    named = {one for _, one in was if one}
    if product:
        return bool(was) and product not in named
    return bool(named) and (class_id, "") not in was


def _place(kind: Any, box: Floats) -> tuple[int, ...]:
    return (int(kind), *(round(side) for side in box.tolist()))


def _products(labels: Labels) -> list[str]:
    column = labels.attributes.get(PRODUCT)
    return [""] * len(labels) if column is None else [one if isinstance(one, str) else "" for one in column.tolist()]


def _default(source: str) -> Word:
    """Return who decided the labels of a record that no project says more of."""
    role, _, name = source.partition(":")
    return Word(role, name) if role in (HUMAN, TRUTH) else Word()
