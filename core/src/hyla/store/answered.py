"""Tell of each label that holds which person's answer it rests on: what only the machine said, or a lot accepted, has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sqlalchemy import Connection, select

from hyla import codec
from hyla.store.answers import PART
from hyla.store.asks import Decision, decision_of
from hyla.store.database import Database
from hyla.store.held import SOME, ask_all
from hyla.store.ranges import from_ranges, without
from hyla.store.recall import standing
from hyla.store.standings import whole_seen
from hyla.store.tables import annotated, decisions
from hyla.types import Bools, Labels

_MADE = select(decisions).where(decisions.c.item_id.in_(SOME)).order_by(decisions.c.seq.desc())
_SIZES = select(annotated.c.id, annotated.c.n, annotated.c.source).where(annotated.c.id.in_(SOME))
_BLOBS = select(annotated.c.id, annotated.c.blob).where(annotated.c.id.in_(SOME))


@dataclass(frozen=True, slots=True)
class Answered:
    """Hold what people answered of the labels that hold of one item.

    Args:
        source: whose labels hold: `model:name@digest`, or `human:who`.
        by: row -> the last decision that said the label is right, or gave it; none for a label that waits or is to be mended.
        wrong: rows that somebody called wrong, and nobody has mended.
        looked: somebody had the whole picture before them, and what they left out is not there.
    """

    source: str
    by: Mapping[int, Decision] = field(default_factory=dict)
    wrong: frozenset[int] = frozenset()
    looked: bool = False

    def of(self, keep: Bools) -> Answered:
        """Return the same of the labels without those that are not kept (n,)."""
        place = (np.cumsum(keep) - 1).tolist()
        by = {place[row]: told for row, told in self.by.items() if keep[row]}
        return replace(self, by=by, wrong=frozenset(place[row] for row in self.wrong if keep[row]))


def answered(database: Database, ids: Iterable[str]) -> dict[str, Answered]:
    """Return item id -> what people answered, of those of `ids` on which a decision stands."""
    with database.read() as connection:
        made: dict[str, list[Decision]] = defaultdict(list)
        for row in ask_all(connection, _MADE, ids):
            made[row.item_id].append(decision_of(row))
        stands = {item_id: some[::-1] for item_id, all_ in made.items() if (some := standing(all_))}
        sizes, sources, labels = _annotations(connection, [one for some in stands.values() for one in some])
    return {item_id: _walk(some, sizes, sources, labels) for item_id, some in stands.items()}


def _annotations(connection: Connection, made: Sequence[Decision]) -> tuple[dict[int, int], dict[int, str], dict[int, Labels]]:
    """Return sizes and sources of the labels that decisions are about, and the labels themselves where a grid changed them."""
    sides = [(one.before["annotation"], one.after["annotation"]) for one in made]
    changed = [pair for one, pair in zip(made, sides, strict=True) if one.action == "edit" and _of_some(one)]
    rows = ask_all(connection, _SIZES, (number for pair in sides for number in pair))
    blobs = ask_all(connection, _BLOBS, (number for pair in changed for number in pair))
    return (
        {row.id: row.n for row in rows},
        {row.id: row.source for row in rows},
        {row.id: codec.unpack(row.blob) for row in blobs},
    )


def _walk(
    made: Sequence[Decision], sizes: Mapping[int, int], sources: Mapping[int, str], labels: Mapping[int, Labels]
) -> Answered:
    """Follow the decisions that stand, first to last."""
    by: dict[int, Decision] = {}
    for one in made:
        rows, before, after = one.rows, one.before["annotation"], one.after["annotation"]
        if one.action == "accept":
            by |= dict.fromkeys(rows or range(sizes[before]), one)
        elif one.action == "reject" and rows:
            by = {row: told for old, told in by.items() for row in without([old], rows)}
        elif one.action == "edit" and _of_some(one):
            # Who names labels in a grid saw those and not their neighbours; who names none of them only spelt some anew.
            stayed = _same(labels[before], labels[after])
            fresh = one if rows or one.mode != "grid" else None
            by = {
                new: told
                for new in range(sizes[after])
                if (told := by.get(stayed[new]) if new in stayed else fresh or by.get(new))
            }
        elif one.action in ("edit", "adjudicate"):
            by = dict.fromkeys(range(sizes[after]), one)
        for name in ("open", "mend", "doubt"):
            for row in from_ranges(one.after[name]):
                by.pop(row, None)
    last = made[-1].after
    wrong = from_ranges(last["mend"]) | (from_ranges(last["open"]) if last["lane"] == "repair" else set())
    return Answered(sources[last["annotation"]], by, frozenset(wrong), any(map(whole_seen, made)))


def _of_some(edit: Decision) -> bool:
    """Tell whether an edit says nothing of the labels that it leaves as they were."""
    return edit.mode == "grid" or PART in edit.after


def _same(old: Labels, new: Labels) -> dict[int, int]:
    """Return row in `new` -> row in `old` of the labels that did not change, or were only called something else, unseen."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for row in reversed(range(len(old))):
        places[_key(old, row)].append(row)
    keys = [_key(new, row) for row in range(len(new))]
    return {row: places[key].pop() for row, key in enumerate(keys) if places[key]}


def _key(labels: Labels, row: int) -> bytes:
    """Return what a label is known by: all of it; of a machine's its place and score, since what a person said has score 1."""
    one = labels[[row]]
    known = {name: c for name, c in sorted(one.attributes.items()) if c[0] is not None and c[0] == c[0]}
    if one.score[0] != 1:
        one, known = replace(one, class_id=np.zeros(1, np.int64)), {}
    return codec.pack(replace(one, attributes=known, context={}, evidence={}))
