"""Answer with an item, as the person who asks may see it."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response
from pydantic import TypeAdapter

from hyla import codec
from hyla import frame as frames
from hyla.review import scenes, wire
from hyla.review.access import DeskDep, ViewerDep, Visitor
from hyla.review.desk import Desk
from hyla.review.matching import flags_now, rows_now
from hyla.review.problems import Refused
from hyla.review.sight import HIDING, Sight, flags_told, sight_of
from hyla.store.answers import State
from hyla.store.ranges import from_ranges
from hyla.store.routing import first_words
from hyla.types import Labels, Record, Verdict

router = APIRouter()
_ROWS = TypeAdapter(list[wire.LabelRow])


@router.get("/items/{item_id:path}")
def item(item_id: wire.Id, response: Response, at: DeskDep, who: ViewerDep) -> wire.Item:
    """Return an item as this person may see it now."""
    shown = show(at, who, item_id)
    response.headers["etag"] = f'"{shown.state.annotation}-{shown.state.decision}-{shown.mode}"'
    return shown


def show(desk: Desk, who: Visitor, item_id: str) -> wire.Item:
    """Return an item as `who` may see it now, and note that they have seen it.

    Raises:
        Refused: 404 if there is no such item.
    """
    record = record_of(desk, item_id)
    state, head = desk.project.state(item_id), desk.project.heads([item_id])[item_id]
    sight = sight_of(desk, who, item_id, state)
    if sight != "blind":
        desk.leases.show([item_id], who.person)
    labels, standing = judged(desk, record, state, sight)
    seen = replace(record, labels=labels, flags=() if sight == "blind" else flags_told(record.flags, head.route, state["lane"]))
    flags = list(flags_now(seen.flags, rows_now(record.labels, labels)))
    one = record.item
    return wire.Item(
        id=one.id,
        name=one.uri,
        group=one.group,
        index=one.index,
        view=desk.media.view(one.kind, one.group, record.size, record.frame),
        size=[int(s) for s in record.size],
        frame=frames.to_dict(record.frame),
        media=desk.media.describe(seen, blind=sight == "blind"),
        scenes=scenes.told(desk, seen, blind=sight == "blind"),
        state=standing,
        labels=rows_of(desk, labels),
        flags=[
            wire.FlagInfo(rule=f.rule, reason=f.reason, severity=f.severity.value, rows=rows, message=f.message)
            for f, rows in flags
        ],
        context=labels.context,
        reason="" if sight == "blind" else head.reason,
        mode=sight,
        opinions=_opinions(desk, item_id) if sight == "adjudicate" else [],
    )


def record_of(desk: Desk, item_id: str) -> Record:
    """Return an item with the labels and flags of the machine; raise Refused, 404, if there is none."""
    record = desk.project.record(item_id, "model")
    if record is None:
        raise Refused(404, "item", f"the project has no item {item_id!r}", "go back to the queue")
    return record


def judged(desk: Desk, record: Record, state: State, sight: Sight) -> tuple[Labels, wire.ItemState]:
    """Return the labels that a person of this sight judges, and the state of the item as they may know it.

    A second opinion is about what the machine said, as the first answer was.
    """
    machine = desk.project.machine_annotation(record.item.id)
    second = state["lane"] == "second" and sight in ("blind", "second")
    if sight == "blind":
        held = machine if second else state["annotation"]
        return Labels.empty(), wire.ItemState(annotation=held, open=[], lane="review", outcome=None, decision=0)
    if sight == "second":
        route = desk.project.routes([record.item.id]).get(record.item.id)
        words = first_words(len(record.labels), record.flags, record.verdict, route)
        asked = [row for row, word in enumerate(words) if word == Verdict.REVIEW]
        return record.labels, wire.ItemState(annotation=machine, open=asked, lane="second", outcome=None, decision=0)
    same = state["annotation"] == machine
    return record.labels if same else desk.project.labels_of(state["annotation"])[2], state_of(state)


def state_for(desk: Desk, who: Visitor, item_id: str, state: State) -> wire.ItemState:
    """Return a state of the ledger as `who` may know it."""
    sight = sight_of(desk, who, item_id, state)
    return judged(desk, record_of(desk, item_id), state, sight)[1] if sight in HIDING else state_of(state)


def state_of(state: State) -> wire.ItemState:
    """Return a state of the ledger as it travels."""
    return wire.ItemState(
        annotation=state["annotation"],
        open=sorted(from_ranges(state["open"])),
        lane=state["lane"],
        outcome=state["outcome"],
        decision=state["decision"],
    )


def rows_of(desk: Desk, labels: Labels) -> list[wire.LabelRow]:
    """Return labels as they travel."""
    return _ROWS.validate_python(codec.labels_to_rows(labels, desk.schema))


def _opinions(desk: Desk, item_id: str) -> list[wire.Opinion]:
    return [
        wire.Opinion(
            who=one.who,
            annotation=one.annotation,
            outcome=one.outcome or "",
            labels=rows_of(desk, desk.project.labels_of(one.annotation)[2]),
        )
        for one in desk.project.opinions(item_id)
    ]
