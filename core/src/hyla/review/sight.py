"""Say how much of an item one person may see.

Whoever answers blind sees nothing of the machine or of others. Whoever may give a second opinion sees the machine's labels and
not the first answer, whether or not they have taken the item: else a look at it would make the opinion worthless.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from hyla.decide.route import ALWAYS, Route
from hyla.review.access import Visitor
from hyla.review.desk import Desk
from hyla.review.problems import Refused
from hyla.store.answers import ANSWERS, State, barred
from hyla.store.asks import person
from hyla.types import Flag

Sight = Literal["single", "blind", "second", "adjudicate"]
HIDING = ("blind", "second")
BLIND_LANES = ("review", "second")  # where an answer may be given blind


def sight_of(desk: Desk, who: Visitor, item_id: str, state: State) -> Sight:
    """Return how `who` sees an item that is in `state`."""
    return "blind" if is_blind(desk, who, item_id) else open_sight(desk, who, state)


def is_blind(desk: Desk, who: Visitor, item_id: str) -> bool:
    """Tell whether `who` holds an item, or the clip that it is of, blind: what is beside it would tell what is on it."""
    blind = desk.leases.blind(who.person)
    return bool(blind) and desk.units([item_id]).get(item_id) in blind


def unblinded(desk: Desk, who: Visitor) -> None:
    """Raise Refused while `who` holds an item blind, for what tells how the labels of all items are called."""
    if desk.leases.blind(who.person):
        raise Refused(403, "blind", "names are not shown while you answer blind", "answer what you took blind, or give it back")


def open_sight(desk: Desk, who: Visitor, state: State) -> Sight:
    """Return how `who` sees an item in `state` that they do not answer blind."""
    if state["lane"] == "second" and state["outcome"] in ANSWERS and who.may("reviewer") and not is_barred(desk, who, state):
        return "second"
    if state["lane"] == "adjudicate" and who.may("adjudicator") and not is_barred(desk, who, state):
        return "adjudicate"
    return "single"


def is_barred(desk: Desk, who: Visitor, state: State) -> bool:
    """Tell whether `who` gave the answer, or the doubt, that an item now waits to hear another person on."""
    return person(who.person) in map(person, barred(state, desk.project.decision))


def flags_told(flags: Iterable[Flag], route: Route | None, lane: str) -> tuple[Flag, ...]:
    """Return the flags that whoever answers an item in `lane` may see.

    What a lot asks of an item must look the same for whatever reason it is asked: drawn for the audit, to be reviewed, or planted
    with a known error. So as long as it waits, only flags that call for people whatever the lot says are shown.
    """
    return tuple(flag for flag in flags if route is None or not lane or flag.severity in ALWAYS)


def unswayed(desk: Desk, who: Visitor, item_id: str) -> bool:
    """Tell whether `who` was not shown what the machine said of an item, and never decided on it."""
    return item_id not in desk.leases.shown(who.person) and not desk.project.recent(1, who.person, item_id)
