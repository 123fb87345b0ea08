"""Take what people decide, and take it back: all or nothing, once for each key, and only on the labels that they saw."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse

from hyla.review import wire
from hyla.review.access import DeskDep, ReviewerDep, ViewerDep, Visitor
from hyla.review.desk import Desk
from hyla.review.items import record_of, show, state_for
from hyla.review.leases import Unit
from hyla.review.problems import Refused
from hyla.review.sight import HIDING, is_barred, sight_of, unswayed
from hyla.review.turns import Behind, Turn, numbers_alone
from hyla.review.wire import Mode
from hyla.store.answers import State
from hyla.store.asks import CARRYING, Ask, Decision, Stale

router = APIRouter()
Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=100, pattern=r"^[\x21-\x7e]+$")]


@router.post("/decisions", response_model=wire.AllMade, responses={409: {"model": wire.Stale}})
def decide(given: wire.Decisions, key: Key, at: DeskDep, who: ReviewerDep) -> wire.AllMade | JSONResponse:
    """Record decisions, all or nothing; sent again with the same key, the answer is the same and nothing happens.

    Numbers of tracks that no label of an item names change nothing: there is no decision on it, and no answer.
    """
    try:
        return _decide(at, who, given, key)
    except Behind as error:
        return _stale(at, who, error)


@router.post("/undo", response_model=wire.AllMade, responses={409: {"model": wire.Stale}})
def undo(given: wire.Undo, key: Key, at: DeskDep, who: ReviewerDep) -> wire.AllMade | JSONResponse:
    """Take decisions back, the last first, all or nothing; undoing an undo is redoing."""
    try:
        return _undo(at, who, given, key)
    except Behind as error:
        return _stale(at, who, error)


@router.get("/history")
def history(
    at: DeskDep,
    who: ViewerDep,
    item: wire.Id | None = None,
    mine: bool = False,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> wire.History:
    """List what was decided, last first, without what would tell this person of an item that they have yet to answer unswayed."""
    recent = at.project.recent(limit, who=who.person if mine else None, item_id=item)
    states = at.project.states([one.item_id for one in recent])
    hidden = {key for key, state in states.items() if sight_of(at, who, key, state) in HIDING}
    shown = [one for one in recent if one.item_id not in hidden]
    names = {key: record_of(at, key).item.uri for key in {one.item_id for one in shown}}
    return wire.History(
        events=[
            wire.Event(
                seq=one.seq,
                item=one.item_id,
                name=names[one.item_id],
                action=one.action,
                rows=len(one.rows),
                who=one.who,
                at=one.at,
                mode=one.mode,
                active_ms=one.active_ms,
                note=one.note,
                stands=states[one.item_id]["decision"] == one.seq,
            )
            for one in shown
        ]
    )


def _decide(desk: Desk, who: Visitor, given: wire.Decisions, key: str) -> wire.AllMade:
    ids = [one.item for one in given.decisions]
    changed = {one.item for one in given.decisions if one.action in CARRYING}
    if any(n > 1 and item in changed for item, n in Counter(ids).items()):
        raise Refused(422, "twice", "an item whose labels are changed stands in a request only once", "send them one by one")
    states = _states(desk, ids)  # before the keys: the same request may be on its way twice
    idle = {i for i, one in enumerate(given.decisions) if numbers_alone(one) is not None}
    if known := _known(desk, who, key, len(ids), idle):
        # Judged in the state of then, it comes out as the same and is known again; what changed nothing then goes without.
        told = {i: known[f"{key}/{i}"].before for i in range(len(ids)) if f"{key}/{i}" in known}
    else:
        _check_leases(desk, who, given)
        told = dict(enumerate(states))
    asks = [ask for i, state in told.items() if (ask := _ask(desk, who, given, i, key, state))]
    made = _made(desk, asks)
    if not known:
        _release(desk, who, given.tab, made)
    return wire.AllMade(made=[_told(desk, who, one) for one in made])


def _ask(desk: Desk, who: Visitor, given: wire.Decisions, i: int, key: str, state: State) -> Ask | None:
    one = given.decisions[i]
    parts = Turn(desk, who, one, given.mode == "blind", state).parts()
    if parts is None:
        return None
    return Ask(
        item_id=one.item,
        who=who.person,
        key=f"{key}/{i}",
        annotation=state["annotation"],
        active_ms=one.active_ms,
        mode=given.mode,
        note=given.note,
        **parts,
    )


def _undo(desk: Desk, who: Visitor, given: wire.Undo, key: str) -> wire.AllMade:
    if len(set(given.decisions)) < len(given.decisions):
        raise Refused(422, "twice", "a decision stands in a request only once")
    decisions = desk.project.decisions_by(seq for seq in given.decisions if 0 < seq < 2**63)  # what the store can count
    if missing := [seq for seq in given.decisions if seq not in decisions]:
        raise Refused(404, "decision", f"there is no decision number {missing[0]}")
    if not who.may("adjudicator") and any(one.who != who.person for one in decisions.values()):
        raise Refused(403, "role", "only an adjudicator takes back what somebody else decided", "ask an adjudicator")
    items = [one.item_id for one in decisions.values()]
    states = desk.project.states(items)
    if not _known(desk, who, key, len(given.decisions)):
        _check_taken(desk, who, given.tab, desk.units(items).values())
        _check_standing(states, decisions)
    places = sorted(range(len(given.decisions)), key=lambda i: -given.decisions[i])
    seqs = [given.decisions[i] for i in places]
    asks = [
        Ask(decisions[seq].item_id, "undo", who.person, f"{key}/{i}", undoes=seq) for i, seq in zip(places, seqs, strict=True)
    ]
    made = dict(zip(places, _made(desk, asks), strict=True))
    return wire.AllMade(made=[_told(desk, who, made[i]) for i in range(len(places))])


def _known(desk: Desk, who: Visitor, key: str, n: int, idle: Collection[int] = ()) -> dict[str, Decision]:
    """Return key -> decision of those that were made with `key`; empty if it is new. Those at `idle` may have changed nothing."""
    known = {one.key: one for one in desk.project.decisions_of_keys([f"{key}/{i}" for i in range(n)])}
    missing = any(f"{key}/{i}" not in known for i in range(n) if i not in idle)
    if known and (missing or any(one.who != who.person for one in known.values())):
        raise Refused(409, "key", "this Idempotency-Key was used for another request", "give each request a key of its own")
    return known


def _states(desk: Desk, ids: Sequence[str]) -> list[State]:
    found = desk.project.states(ids)
    if missing := [item for item in ids if item not in found]:
        raise Refused(404, "item", f"the project has no item {missing[0]!r}", "go back to the queue")
    return [found[item] for item in ids]


def _check_taken(desk: Desk, who: Visitor, tab: str, units: Iterable[Unit]) -> set[Mode]:
    """Return the modes in which a tab holds units; raise Refused if somebody else holds one."""
    holds = [(unit, hold) for unit in dict.fromkeys(units) if (hold := desk.leases.holder(unit))]
    for unit, hold in holds:
        if not hold.of(who.person, tab):
            raise taken(who, hold.person, unit)
    return {hold.mode for _, hold in holds}


def _check_standing(states: Mapping[str, State], decisions: Mapping[int, Decision]) -> None:
    """Raise Behind if one of `decisions` does not stand once the later ones among them are taken back."""
    standing = {item: state["decision"] for item, state in states.items()}
    for seq, one in sorted(decisions.items(), reverse=True):
        if one.after["decision"] != standing[one.item_id]:
            hint = "take back the later decisions on the item first"
            raise Behind(one.item_id, "undo", f"decision number {seq} does not stand any more", hint)
        standing[one.item_id] = one.before["decision"]


def taken(who: Visitor, holder: str, unit: Unit) -> Refused:
    """Return the refusal of an item, or a clip, that somebody else works on."""
    if holder == who.person:
        return Refused(409, "taken", f"you work on this {unit[0]} in another tab", "go on there, or close it")
    return Refused(409, "taken", f"{holder} works on this {unit[0]} just now", "take another one")


def _check_leases(desk: Desk, who: Visitor, given: wire.Decisions) -> None:
    ids = list(dict.fromkeys(one.item for one in given.decisions))
    if others := _check_taken(desk, who, given.tab, desk.units(ids).values()) - {given.mode}:
        raise Refused(403, "mode", f"the item was taken in mode {min(others)}, not {given.mode}", "take it again")
    if given.mode == "blind" and not all(unswayed(desk, who, item) for item in ids):  # of a clip, some may have been seen before
        raise Refused(403, "mode", "you have seen what the machine says of this item", "answer it as it is shown")


def _made(desk: Desk, asks: Sequence[Ask]) -> list[Decision]:
    try:
        return desk.project.decide_all(asks)
    except Stale as error:  # between our look and the ledger's
        states = desk.project.states([ask.item_id for ask in asks])
        late = [ask.item_id for ask in asks if ask.annotation not in (None, states[ask.item_id]["annotation"])]
        raise Behind(late[0] if late else asks[0].item_id) from error


def _release(desk: Desk, who: Visitor, tab: str, made: Sequence[Decision]) -> None:
    """Give back the items that left their lane, or wait there for somebody else; a clip once none of it waits for this person."""
    before = {one.item_id: one.before["lane"] for one in reversed(made)}
    after: Mapping[str, State] = {one.item_id: one.after for one in made}
    gone = [item for item, to in after.items() if not (to["lane"] and to["lane"] == before[item]) or is_barred(desk, who, to)]
    lanes: dict[Unit, set[str]] = defaultdict(set)
    for item, unit in desk.units(gone).items():
        lanes[unit].add(before[item])
    for unit, some in lanes.items():
        kind, name = unit
        if kind == "clip" and (hold := desk.leases.holder(unit)) and desk.project.waits(name, {hold.place[0], *some}, who.person):
            continue
        desk.leases.release(who.person, tab, [unit])


def _told(desk: Desk, who: Visitor, one: Decision) -> wire.Made:
    return wire.Made(seq=one.seq, item=one.item_id, state=state_for(desk, who, one.item_id, one.after))


def _stale(desk: Desk, who: Visitor, error: Behind) -> JSONResponse:
    """Answer with what holds now, as this person may see it."""
    problem = wire.Problem(code=error.code, message=error.what, hint=error.hint)
    state = desk.project.state(error.item_id)
    name, at = "", ""
    if state["decision"] and sight_of(desk, who, error.item_id, state) not in HIDING:
        last = desk.project.decision(state["decision"])
        name, at = last.who, last.at
    found = wire.Stale(error=problem, item=show(desk, who, error.item_id), who=name, at=at)
    return JSONResponse(found.model_dump(mode="json", by_alias=True), 409)
