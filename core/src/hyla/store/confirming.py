"""Say who confirmed each label whose class asks for people by number (`Class.confirmations`). Nothing here reads or writes.

The state of an item then has one more entry:

    said        person -> rows, as ranges, of the labels that hold: which of those that must be confirmed they said are right

What a file says confirms nothing, since it can carry any name; nor does a program that answers in a person's place, but in the
copy of a project that it plays in (`played`), and no label leaves that on its word. Who changes a label confirms what it is now,
alone, and of an edit of a part only that; who calls it wrong takes it from everybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hyla.decide.agree import agree
from hyla.schema import Schema
from hyla.store.answers import PART, bare, unnumbered
from hyla.store.asks import NOBODY, Decision, person
from hyla.store.ranges import from_ranges, to_ranges, without
from hyla.types import Ints, Labels, Verdict, same_shape

SAID = "said"
PLAYED = "played"  # remembered by a copy in which a program answers
PROGRAM = "simulated:"  # before its name
People = defaultdict[int, set[str]]  # row -> who said so
Read = Callable[[int], Labels]  # labels by their number


def counted(state: Mapping[str, Any], n: int, programs: bool = False) -> Ints:
    """Return (n,) how many different people said each label that holds; nobody while two differ, or if nothing is there.

    Labels that nobody must confirm are not counted. `programs` are people too.
    """
    counts = np.zeros(n, dtype=np.int64)
    if state["outcome"] != Verdict.REJECT and state["lane"] != "adjudicate":
        for name, rows in state.get(SAID, {}).items():
            if programs or not name.startswith(PROGRAM):
                counts[list(from_ranges(rows))] += 1
    return counts


def confirmed(
    made: Decision, schema: Schema, read: Read, told: Callable[[int], Decision], played: bool = False
) -> dict[str, str]:
    """Return `said` after a decision that is no undo, of which all else is known.

    Args:
        made: the decision.
        schema: of the labels.
        read: returns labels by their number.
        told: returns a decision by its seq.
        played: the project is a copy in which a program answers.
    """
    before, after, who = made.before, made.after, _known(made, played)
    held = read(after["annotation"])
    wanted = set(_wanted(held, schema))
    if not wanted or after["outcome"] == Verdict.REJECT:
        return {}
    was, rows = _people(before), set(made.rows) or wanted
    match made.action:
        case "repair":
            for row in set(made.rows) or from_ranges(before["open"]) or wanted:
                was.pop(row, None)
            rows = set()
        case "unsure":
            for row in set(made.rows) or from_ranges(before["open"]) or wanted:
                was[row].discard(who)
            rows = set()
        case "reject":
            was = _moved(was, {new: old for old in was for new in without([old], made.rows)})
            rows = set()
        case "edit":
            stayed = pairs(held, read(before["annotation"]), schema)
            was = _moved(was, stayed)
            rows = wanted
            if made.mode == "grid":  # who names labels there saw those alone, and who names none of them only spelt some anew
                rows = wanted - stayed.keys() if made.rows else set()
            elif after.get(PART):
                rows = wanted - stayed.keys()
        case "opinion":
            rows = set(pairs(held, read(after["second"]), schema, exactly=False))
        case "adjudicate":
            was = _moved(was, pairs(held, read(before["annotation"]), schema, exactly=False))
            if second := _known(told(before["decision"]), played):
                for row in pairs(held, read(before["second"]), schema, exactly=False):
                    was[row].add(second)
            rows = wanted
    if who:
        for row in rows - set().union(*(from_ranges(after[name]) for name in ("open", "mend", "doubt"))):
            was[row].add(who)
    found = defaultdict[str, list[int]](list)
    for row in wanted & was.keys():
        for name in was[row]:
            found[name].append(row)
    return {name: to_ranges(some) for name, some in sorted(found.items())}


def settled(made: Decision, said: Mapping[str, str], schema: Schema, read: Read) -> dict[str, Any]:
    """Return the state after a decision, with `said`: an item that would wait for nobody waits while its labels lack people."""
    after = {**made.after, SAID: dict(said)}
    if after["lane"] or after["outcome"] != Verdict.ACCEPT:
        return after
    held = read(after["annotation"])
    if made.action == "opinion" and not _told_alike(held, read(after["second"]), schema):
        return {**after, "lane": "adjudicate"}
    counts, least = counted(after, len(held), programs=True), schema.confirmations[held.class_id]
    if nobody := np.flatnonzero((counts == 0) & (least > 0)).tolist():
        return {**after, "lane": "review", "outcome": Verdict.REVIEW.value, "open": to_ranges(nobody)}
    return {**after, "lane": "second"} if (counts < least).any() else after


def pairs(one: Labels, other: Labels, schema: Schema, exactly: bool = True) -> dict[int, int]:
    """Return row of `one` -> row of `other` of labels that must be confirmed and are the same on both sides, each in one pair.

    They are if they are equal in all but score and evidence. If not `exactly`, the geometry may differ as far as `agree` allows
    two people by default, whatever the project allows them elsewhere, and so may the numbers of tracks that a label names: who
    gives a second opinion is shown those of the machine.
    """
    free, found = _wanted(other, schema), dict[int, int]()
    for row in _wanted(one, schema):
        for twin in free:
            like = _shaped(one, row, other, twin) if exactly else agree(one[[row]], other[[twin]], schema)
            if like and _described(one, row, other, twin, exactly):
                found[row] = twin
                free.remove(twin)
                break
    return found


def _wanted(labels: Labels, schema: Schema) -> list[int]:
    """Return the rows of labels that must be confirmed."""
    found: list[int] = np.flatnonzero(schema.confirmations[labels.class_id] > 0).tolist()
    return found


def _known(made: Decision, played: bool) -> str:
    """Return who said it, as `said` names them; empty for a file, and for a program in a project of people."""
    if made.mode in NOBODY:
        return PROGRAM + person(made.who) if played and made.mode == "simulated" else ""
    return person(made.who)


def _people(state: Mapping[str, Any]) -> People:
    found = People(set)
    for name, rows in state.get(SAID, {}).items():
        for row in from_ranges(rows):
            found[row].add(name)
    return found


def _moved(was: People, now: Mapping[int, int]) -> People:
    """Return who said what, of labels that lie in other rows `now`: new row -> old row."""
    return People(set, {new: set(was[old]) for new, old in now.items() if old in was})


def _told_alike(held: Labels, other: Labels, schema: Schema) -> bool:
    return len(pairs(held, other, schema, exactly=False)) == len(_wanted(held, schema)) == len(_wanted(other, schema))


def _shaped(one: Labels, a: int, other: Labels, b: int) -> bool:
    return bool((one.box[a] == other.box[b]).all()) and same_shape(one.shape[a], other.shape[b])


def _described(one: Labels, a: int, other: Labels, b: int, exactly: bool) -> bool:
    told = bare if exactly else unnumbered
    alike = all(getattr(one, name)[a] == getattr(other, name)[b] for name in ("class_id", "kind", "track"))
    return alike and told(one, a) == told(other, b)
