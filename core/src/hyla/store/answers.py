"""Say what an answer leaves of an item: which labels are open, and in which lane it waits. Nothing here reads or writes.

The state of an item is a dict, kept in each decision as it was before and after:

    decision    seq of the decision that stands, 0 for none
    outcome     the verdict of people, null while none stands
    annotation  number of the labels that hold, and their digest
    lane        where it waits: review, repair, second, adjudicate, or empty for nowhere
    open        rows of the annotation that somebody still has to answer, as ranges
    mend        rows that somebody said are wrong, to be mended once nothing is open
    doubt       rows that somebody was unsure about, for somebody else once nothing is open
    second      number of the labels of the second opinion, 0 for none
    whole       a lot asks for a look at the whole picture, for what is missing, and nobody has taken it yet
    said        who confirmed what, in a schema that asks for confirmations; see `hyla.store.confirming`
    part        true, and there at all, if the decision was an edit of some labels, which says nothing of the others

Nothing is in mend or doubt unless something is open. An item waits in one lane at most. Whoever answers its last open label has
looked at the whole of it, unless they answered from a crop (mode grid): then it waits for that look with nothing open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from hyla.decide.route import Route
from hyla.errors import StoreError
from hyla.store.asks import Ask, Decision, person
from hyla.store.ranges import from_ranges, to_ranges, without
from hyla.types import Flag, Labels, Severity, Verdict, same_shape

State = dict[str, Any]
LANES = ("review", "repair", "second", "adjudicate")
ANSWERS = (Verdict.ACCEPT, Verdict.REJECT)
PART = "part"
PARTICIPANTS = "participants"  # attribute of labels, text: numbers of tracks, "3,7"
SUBJECT = "subject"  # attribute of labels: number of a track
STATE = ("decided", "outcome", "best", "lane", "answered", "seconded")  # columns of items that a decision leaves; see `left`
_ROWS = ("open", "mend", "doubt")


def words_of(state: State) -> dict[int, str]:
    """Return the words of the labels that hold under a decision, by row; where there is none it is accept."""
    wrong, waits = Verdict.REJECT.value, Verdict.REVIEW.value
    return dict.fromkeys(from_ranges(state["mend"]), wrong) | dict.fromkeys(from_ranges(state["open"]), waits)


def left(state: State, barred: tuple[str, str]) -> tuple[Any, ...]:
    """Return the columns STATE of an item in a state, where `barred` may not answer it."""
    return state["decision"] or None, state["outcome"], state["annotation"], state["lane"], *barred


def check_turn(before: State, ask: Ask, told: Callable[[int], Decision]) -> None:
    """Raise StoreError if this answer may not be given now, or not by this person.

    Args:
        before: state of the item.
        ask: the answer; not an undo.
        told: returns a decision by its seq.
    """
    first, second = barred(before, told)
    if ask.action == "opinion":
        if before["lane"] != "second" or before["outcome"] not in ANSWERS:
            raise StoreError(f"item {ask.item_id!r} waits for no second opinion", "decide on it: accept, reject, edit")
        if person(ask.who) == person(first):
            raise StoreError(f"{ask.who} gave the first answer on item {ask.item_id!r}", "a second opinion is somebody else's")
    elif ask.action == "adjudicate":
        if before["lane"] != "adjudicate":
            raise StoreError(f"item {ask.item_id!r} has no two opinions that differ", "decide on it: accept, reject, edit")
        if person(ask.who) in (person(first), person(second)):
            raise StoreError(f"{ask.who} gave one of the two opinions on item {ask.item_id!r}", "somebody else must choose")
    elif before["lane"] == "adjudicate" and ask.mode != "import":
        raise StoreError(f"two opinions on item {ask.item_id!r} differ", "somebody who gave neither must adjudicate")


def barred(state: State, told: Callable[[int], Decision]) -> tuple[str, str]:
    """Return who may not answer where the item waits: who gave the standing answer or was unsure, and the second opinion."""
    if state["lane"] not in ("second", "adjudicate"):
        return "", ""
    one = told(state["decision"])
    if state["lane"] == "adjudicate":
        return told(one.before["decision"]).who, one.who
    if state["outcome"] not in ANSWERS:
        while one.action != "unsure" and one.before["decision"]:
            one = told(one.before["decision"])
    return one.who, ""


def answered(before: State, ask: Ask, seq: int, held: tuple[int, str], second: bool, kept: tuple[str, str]) -> State:
    """Return the state after accept, reject, repair, unsure or edit.

    Args:
        before: state of the item.
        ask: the answer.
        seq: its number.
        held: annotation that holds from now on, and its digest.
        second: a flag, or a lot, asks for a second opinion.
        kept: rows to mend and in doubt after an edit, as ranges of the new labels; see `still_there`.
    """
    opened, mend, doubt = (from_ranges(before[name]) for name in _ROWS)
    rows = set(ask.rows)
    lane, outcome = "", Verdict.REJECT if ask.action == "reject" and not rows else Verdict.ACCEPT
    if ask.action in ("repair", "unsure"):
        moved = rows or opened
        opened, mend, doubt = opened - moved, mend - moved, doubt - moved
        if ask.action == "repair":
            mend |= moved
        else:
            doubt |= moved
        if not moved:  # it is about the picture, not about a label
            lane, outcome = "repair" if ask.action == "repair" else "second", Verdict.REVIEW
    elif ask.action == "edit":
        opened = set(ask.open)
        mend, doubt = (from_ranges(text) - opened for text in kept)
    elif not rows:
        opened, mend, doubt = set(), set(), set()
    elif ask.action == "reject":
        opened, mend, doubt = (without(some, rows) for some in (opened, mend, doubt))
    else:
        opened, mend, doubt = opened - rows, mend - rows, doubt - rows
    word: str | None = outcome.value
    whole = before["whole"] and (bool(opened) or (ask.mode == "grid" and bool(rows)))
    if opened or (whole and not doubt and not mend):
        waits = before["lane"] in ("review", "repair") or (before["lane"] == "second" and before["outcome"] not in ANSWERS)
        lane, word = (before["lane"], before["outcome"]) if waits else ("review", Verdict.REVIEW.value)
    elif doubt:
        lane, opened, doubt, word = "second", doubt, set(), Verdict.REVIEW.value
    elif mend:
        lane, opened, mend, word = "repair", mend, set(), Verdict.REVIEW.value
    elif not lane:
        settled = before["outcome"] in ANSWERS and before["lane"] == ""  # what is changed later is not the first answer
        lane = "second" if second and not settled else ""
    ranges = {name: to_ranges(some) for name, some in zip(_ROWS, (opened, mend, doubt), strict=True)}
    after = {"decision": seq, "outcome": word, "annotation": held[0], "digest": held[1], "lane": lane, **ranges, "second": 0}
    return {**after, "whole": whole, **({PART: True} if ask.part else {})}


def seconded(before: State, seq: int, annotation: int, agreed: bool) -> State:
    """Return the state after a second opinion with the labels `annotation`; the first answer goes on holding."""
    held = {name: value for name, value in before.items() if name != PART}
    return {**held, "decision": seq, "second": annotation, "lane": "" if agreed else "adjudicate"}


def adjudicated(seq: int, held: tuple[int, str]) -> State:
    """Return the state after somebody chose between two opinions: the labels `held` (annotation and digest) hold."""
    outcome = {"decision": seq, "outcome": Verdict.ACCEPT.value, "annotation": held[0], "digest": held[1]}
    return {**outcome, "lane": "", "open": "", "mend": "", "doubt": "", "second": 0, "whole": False}


def still_there(old: Labels, new: Labels, rows: Iterable[int]) -> set[int]:
    """Return the rows in `new` of those labels of `old` that are the same there: class, kind, geometry, score, track, attributes.

    What somebody called wrong or doubtful stays so until somebody changes it or takes it out. Numbers of tracks are no change;
    see `unnumbered`.
    """
    found: set[int] = set()
    if not len(new):
        return found
    for row in sorted(rows):
        alike = (new.box == old.box[row]).all(axis=1)
        for name in ("class_id", "kind", "score", "track"):
            alike &= getattr(new, name) == getattr(old, name)[row]
        for other in np.flatnonzero(alike).tolist():
            alike_too = same_shape(old.shape[row], new.shape[other]) and unnumbered(old, row) == unnumbered(new, other)
            if other not in found and alike_too:
                found.add(other)
                break
    return found


def bare(labels: Labels, row: int) -> dict[str, Any]:
    """Return what is known of a label by attribute."""
    known = {name: column[row] for name, column in labels.attributes.items()}
    return {name: value for name, value in known.items() if value is not None and value == value}


def unnumbered(labels: Labels, row: int) -> dict[str, Any]:
    """Return what is known of a label by attribute, but for the tracks that it names.

    A split or a merge gives a track another number wherever it is named, and that is no change of what was said.
    """
    return {name: value for name, value in bare(labels, row).items() if name not in (PARTICIPANTS, SUBJECT)}


def wants_second(flags: Iterable[Flag], route: Route | None = None) -> bool:
    """Tell whether a flag, or a lot, asks for a second opinion."""
    return (route is not None and route.second) or any(flag.severity == Severity.SECOND for flag in flags)
