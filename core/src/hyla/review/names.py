"""Answer what labels are called: the names that wait, those that are known, and all labels of one, to be renamed."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from hyla.review import wire
from hyla.review.access import DeskDep, ReviewerDep, Visitor
from hyla.review.desk import Desk
from hyla.review.leases import SECONDS
from hyla.review.problems import Refused
from hyla.review.sight import HIDING, sight_of, unblinded
from hyla.store.answers import State
from hyla.store.naming import Called, identity_of, value_of
from hyla.store.ranges import from_ranges
from hyla.types import Verdict

router = APIRouter()
Words = Annotated[str, Query(max_length=300)]
Limit = Annotated[int, Query(ge=1, le=200)]
PART = 500  # items that are counted at once


@router.get("/names")
def waiting(
    at: DeskDep,
    who: ReviewerDep,
    words: Words = "",
    order: Literal["waiting", "doubt", "name"] = "waiting",
    skip: Annotated[int, Query(ge=0, lt=2**53)] = 0,
    limit: Limit = 50,
) -> wire.Names:
    """List what labels that wait are called, in which all `words` are: most first, most doubtful first, or by name."""
    unblinded(at, who)
    parts = words.casefold().split()
    found = at.project.names_waiting()
    found = [one for one in found if all(word in f"{one.name} {one.title} {one.class_name}".casefold() for word in parts)]
    found.sort(key=lambda one: ((one.title or one.name).casefold(), one.name, one.class_name))
    if order == "waiting":
        found.sort(key=lambda one: -one.waiting)
    elif order == "doubt":
        found.sort(key=lambda one: one.score)
    page = found[skip : skip + limit]
    named = [{"name": o.name, "title": o.title, "class": o.class_name, "waiting": o.waiting, "score": o.score} for o in page]
    return wire.Names.model_validate({"names": named, "total": len(found)})


@router.get("/names/known")
def known(at: DeskDep, who: ReviewerDep, words: Words = "", limit: Limit = 20) -> wire.KnownNames:
    """List names that labels have, in which all `words` are: what begins so comes first."""
    unblinded(at, who)
    found = [{"name": o.name, "title": o.title, "class": o.class_name} for o in at.project.names_known(words, limit)]
    return wire.KnownNames.model_validate({"names": found})


@router.get("/names/called")
def called(name: Words, at: DeskDep, who: ReviewerDep) -> wire.Called:
    """Count the labels of a name that hold, by whether they wait, were decided on by people, or neither."""
    unblinded(at, who)
    counts, after = {"waiting": 0, "decided": 0, "unseen": 0}, 0
    while found := at.project.called(name, after, PART):
        states = at.project.states(found)
        for item, rows in found.items():
            state = states[item]
            counts["waiting" if state["lane"] else "decided" if state["decision"] else "unseen"] += len(rows)
        after = max(rows[0].annotation for rows in found.values())
    return wire.Called(**counts)


@router.post("/names/take")
def take(given: wire.TakeNamed, at: DeskDep, who: ReviewerDep) -> wire.Named:
    """Lease the items on which labels of a name hold and this person may call them something else; skip the others."""
    unblinded(at, who)
    found = at.project.called(given.name, given.after, given.n)
    states, units, heads = at.project.states(found), at.units(found), at.project.heads(found)
    held = at.leases.held()
    fit = [
        item
        for item, rows in found.items()
        if _renamable(states[item], rows)
        and sight_of(at, who, item, states[item]) == "single"
        and ((hold := held.get(units[item])) is None or (hold.mode == "grid" and hold.of(who.person, given.tab)))
    ]
    places = {units[item]: (heads[item].lane, heads[item].reason) for item in fit}
    got = set(at.leases.take(who.person, given.tab, places, "grid"))
    taken = [item for item in fit if units[item] in got]
    at.leases.show(taken, who.person)
    numbers = [rows[0].annotation for rows in found.values()]
    return wire.Named(
        items=[
            wire.NamedRows(item=item, annotation=found[item][0].annotation, rows=[one.row for one in found[item]])
            for item in taken
        ],
        skipped=sum(len(rows) for item, rows in found.items() if item not in set(taken)),
        next=max(numbers) if len(numbers) == given.n else 0,
        seconds=SECONDS,
    )


def picture(desk: Desk, who: Visitor, name: str, size: int) -> bytes:
    """Return a picture of what is called so as JPEG: the loader's, else the newest crop that a person named and `who` may see."""
    identity = identity_of(desk.schema)
    if identity is None:
        return b""
    try:
        value = value_of(identity, name)
    except ValueError:
        return b""
    if content := desk.media.reference(identity.name, value, size):
        return content
    rows = desk.project.examples(name)
    states = desk.project.states(one.item_id for one in rows)
    for one in rows:
        if sight_of(desk, who, one.item_id, states[one.item_id]) in HIDING:
            continue
        try:
            content = desk.media.crop(one.item_id, one.annotation, one.row, size)
        except Refused:  # its picture is gone
            continue
        desk.leases.show([one.item_id], who.person)
        desk.project.saw(who.person, [one.item_id], "crop")
        return content
    return b""


def _renamable(state: State, rows: list[Called]) -> bool:
    """Tell whether labels of an item may be called something else without a look at them.

    What waits goes on waiting, and what people decided on stays decided. On an item that nobody looked at, an edit would be taken
    for a look; a label that somebody called wrong or doubtful is answered first; and where only the picture as a whole is asked
    for, that look is still to come.
    """
    if state["lane"]:
        pending = from_ranges(state["mend"]) | from_ranges(state["doubt"])
        if state["lane"] == "repair":
            pending |= from_ranges(state["open"])  # what was called wrong stands there
        return state["lane"] in ("review", "repair") and bool(state["open"]) and pending.isdisjoint(one.row for one in rows)
    return bool(state["decision"]) and state["outcome"] == Verdict.ACCEPT
