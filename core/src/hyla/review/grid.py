"""Answer a page of crops of one class, or of one name in it: the surest or the most doubtful first."""

from __future__ import annotations

from fastapi import APIRouter

from hyla.review import wire
from hyla.review.access import DeskDep, ReviewerDep
from hyla.review.leases import SECONDS, apart
from hyla.review.sight import unblinded

router = APIRouter()


@router.post("/grid")
def grid(given: wire.TakeGrid, at: DeskDep, who: ReviewerDep) -> wire.Grid:
    """Lease the items of the surest labels of one class that wait, each with its clip, and return those labels."""
    if given.name is not None:
        unblinded(at, who)
    # A page that was left comes back, but never what this tab or another holds for a look at the whole item.
    held = at.leases.held().items()
    items, clips = apart(unit for unit, hold in held if not (hold.mode == "grid" and hold.of(who.person, given.tab)))
    found = at.project.open_labels(given.class_, given.reason, given.n, items, clips, given.name, given.doubtful)
    units = at.units(one.item_id for one in found)
    places = {units[one.item_id]: ("review", one.reason) for one in found}
    taken = set(at.leases.take(who.person, given.tab, places, "grid"))
    got = {item for item, unit in units.items() if unit in taken}
    at.leases.show(got, who.person)
    cells = [
        wire.Cell(
            item=one.item_id,
            row=one.row,
            annotation=one.annotation,
            score=one.score,
            name=one.uri,
            called=one.name,
            title=one.title,
            reason=one.reason,
            crop=at.media.crop_url(one.item_id, one.annotation, one.row),
            box=at.media.crop_box(one.box, one.size),
        )
        for one in found
        if one.item_id in got
    ]
    if given.name is None:
        waiting = at.project.classes_waiting().get(given.class_, 0)
    else:
        waiting = sum(one.waiting for one in at.project.names_waiting(given.class_, given.name))
    return wire.Grid.model_validate({"class": given.class_, "cells": cells, "waiting": waiting, "seconds": SECONDS})
