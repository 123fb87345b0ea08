"""Turn flags into verdicts: which labels and which items a person must look at.

A flag of severity HUMAN or SECOND stands above everything else: no opinion, no default, no REJECT flag and no lot takes what it
names away from a person. Such a flag is raised for each label that people must confirm (`Class.confirmations`), whatever the
rules say. Once a lot decided what to ask of an item, its route stands in the place of REVIEW flags, opinions and the default:
they were what its risk was learned from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hyla.errors import StageError
from hyla.schema import Schema
from hyla.types import Bools, Flag, Labels, Severity, Verdict

Words = npt.NDArray[np.str_]
ALWAYS = (Severity.HUMAN, Severity.SECOND)
ASKING = (Severity.REVIEW, *ALWAYS)
SCHEMA, UNCONFIRMED = "schema", "needs_confirmation"  # rule and reason of the flags that ask for confirmations


@dataclass(frozen=True, slots=True)
class Route:
    """Say what a lot asks of an item; nothing at all for one that is accepted as the machine labelled it.

    Args:
        item_id: of the item.
        whole: the picture is to be looked over for what is missing.
        rows: the machine's labels that a person has to answer.
        second: the answer waits for a second opinion.
        priority: place in the queue, the lowest first.
    """

    item_id: str
    whole: bool = False
    rows: tuple[int, ...] = ()
    second: bool = False
    priority: float = 0.0


def confirming(labels: Labels, schema: Schema) -> tuple[Flag, ...]:
    """Return the flags of labels that people must confirm: HUMAN where one must, SECOND where two must."""
    if not schema.confirms or not len(labels):
        return ()
    least = schema.confirmations[labels.class_id]
    return tuple(
        Flag(SCHEMA, UNCONFIRMED, severity, tuple(np.flatnonzero(least == number).tolist()), f"it counts once {people} said so")
        for number, severity, people in ((1, Severity.HUMAN, "a person"), (2, Severity.SECOND, "two different people"))
        if (least == number).any()
    )


def item_verdict(
    labels: Sized, flags: Sequence[Flag], opinion: Verdict | None = None, default: Verdict = Verdict.ACCEPT
) -> Verdict:
    """Return what happens to an item.

    Args:
        labels: of the item; only their number counts.
        flags: what the rules found.
        opinion: what a rule's `route` answered; it replaces what the flags say, but not a HUMAN or SECOND flag.
        default: the preset's verdict for an item of which no flag asks anything.

    Returns:
        REVIEW if a flag is HUMAN or SECOND; else the opinion; else REJECT if a REJECT flag is about the whole item; else REVIEW
        if a flag asks for a person about the whole item or about a label that is not dropped; else the default.

    Raises:
        StageError: for a flag about a row that is not there.
    """
    always, review, reject = _rows(len(labels), flags)
    if any(f.severity in ALWAYS for f in flags):
        return Verdict.REVIEW
    if opinion is not None:
        return Verdict(opinion)
    if any(f.severity == Severity.REJECT and not f.rows for f in flags):
        return Verdict.REJECT
    asked = any(f.severity in ASKING and not f.rows for f in flags)
    return Verdict.REVIEW if asked or bool((always | (review & ~reject)).any()) else default


def label_verdicts(labels: Sized, flags: Sequence[Flag], verdict: Verdict) -> Words:
    """Return the verdict words (n,) of an item's labels, of which the item's own verdict is `verdict`.

    A label is REVIEW where a HUMAN or SECOND flag names it, else REJECT where a REJECT flag does, else REVIEW where a REVIEW flag
    does, else ACCEPT; a flag without rows names every label. An item's verdict that the flags do not explain came from a rule's
    opinion or the preset's default, and holds for all labels that no stronger flag names: ACCEPT clears REVIEW flags, REVIEW asks
    for every label, REJECT drops every label.

    Raises:
        StageError: for a flag about a row that is not there.
    """
    always, review, reject = _rows(len(labels), flags)
    asked = any(f.severity in ASKING for f in flags)
    if verdict == Verdict.REJECT:
        reject[:] = True
    elif verdict == Verdict.ACCEPT:
        review[:] = False
    elif not asked:
        review[:] = True
    words = np.full(len(always), Verdict.ACCEPT.value)
    words[review] = Verdict.REVIEW.value
    words[reject] = Verdict.REJECT.value
    words[always] = Verdict.REVIEW.value
    return words


def routed(labels: Sized, flags: Sequence[Flag], route: Route) -> tuple[Verdict, Words]:
    """Return what happens to an item of which a lot decided what to ask, and the words (n,) of its labels.

    A label is REVIEW where a HUMAN or SECOND flag names it, else REJECT where a REJECT flag does, else REVIEW where the route
    does, else ACCEPT. The item is REVIEW if such a flag is raised, the route asks for the whole of it, or a label is REVIEW; else
    REJECT if a REJECT flag is about the whole item; else ACCEPT.

    Raises:
        StageError: for a flag, or a route, about a row that is not there.
    """
    n = len(labels)
    always, _, reject = _rows(n, flags)
    if route.rows and not (min(route.rows) >= 0 and max(route.rows) < n):
        raise StageError(f"a lot asks for row {max(route.rows, key=abs)} of {n} labels of item {route.item_id!r}")
    words = np.full(n, Verdict.ACCEPT.value)
    words[list(route.rows)] = Verdict.REVIEW.value
    words[reject] = Verdict.REJECT.value
    words[always] = Verdict.REVIEW.value
    if route.whole or any(f.severity in ALWAYS for f in flags) or bool((words == Verdict.REVIEW.value).any()):
        return Verdict.REVIEW, words
    dropped = any(f.severity == Severity.REJECT and not f.rows for f in flags)
    return Verdict.REJECT if dropped else Verdict.ACCEPT, words


def raised(verdict: Verdict, labels: Sized, flags: Sequence[Flag], later: Sequence[Flag]) -> Verdict:
    """Return the verdict of an item after `later` flags joined those of which `verdict` came; it is never lowered to ACCEPT.

    Args:
        verdict: before.
        labels: of the item; only their number counts.
        flags: those of before.
        later: those that a look at the whole group added.
    """
    if any(f.severity in ALWAYS for f in (*flags, *later)):
        return Verdict.REVIEW
    return verdict if verdict == Verdict.REJECT else item_verdict(labels, later, default=verdict)


def _rows(n: int, flags: Iterable[Flag]) -> tuple[Bools, Bools, Bools]:
    """Return which of n labels flags of severity HUMAN or SECOND, REVIEW, and REJECT name, each (n,)."""
    always, review, reject = np.zeros((3, n), dtype=bool)
    for flag in flags:
        if flag.rows and not (min(flag.rows) >= 0 and max(flag.rows) < n):
            raise StageError(f"rule {flag.rule!r} flagged row {max(flag.rows, key=abs)} of {n} labels")
        if flag.severity == Severity.NOTE:
            continue
        named = reject if flag.severity == Severity.REJECT else review if flag.severity == Severity.REVIEW else always
        named[list(flag.rows) if flag.rows else slice(None)] = True
    return always, review, reject
