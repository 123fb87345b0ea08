"""Answer a click with the mask of what was clicked on. Nothing is stored: the person saves it as they save what they draw."""

from __future__ import annotations

from fastapi import APIRouter

from hyla.errors import HylaError, StageError
from hyla.geometry import check_runs
from hyla.review import wire
from hyla.review.access import DeskDep, ReviewerDep, Visitor
from hyla.review.decide import taken
from hyla.review.desk import Desk
from hyla.review.problems import Refused
from hyla.types import Click, Item, Record, Rle

router = APIRouter()


@router.post("/items/{item_id:path}/refine")
def refine(item_id: wire.Id, given: wire.Refine, at: DeskDep, who: ReviewerDep) -> wire.Refined:
    """Return the mask of one object after this person clicked; `mask` is None where nothing is found.

    It depends on the picture and on what is sent alone, so it tells who answers blind nothing that the machine said of the item.
    """
    record = at.media.record(item_id)
    _check_lease(at, who, given.tab, record)
    if not at.refiner.offered:
        raise Refused(404, "refine", "the model of this project does not outline what is clicked on", "draw it by hand")
    class_id, clicks, mask = _class_id(at, given.class_), _clicks(given.clicks, record.size), _mask(given.mask, record.size)
    found = at.refiner.refine(who.person, at.media.original(item_id), class_id, clicks, mask)
    if found is None:
        return wire.Refined(mask=None)
    return wire.Refined(mask=wire.MaskShape(size=[int(s) for s in found.size], counts=found.counts.decode("ascii")))


def _check_lease(desk: Desk, who: Visitor, tab: str, record: Record) -> None:
    item: Item = record.item
    unit = desk.unit(item, record.size, record.frame)
    hold = desk.leases.holder(unit)
    if hold is None:
        raise Refused(409, "lease", f"you have not taken this {unit[0]}", "open it again, then click")
    if not hold.of(who.person, tab):
        raise taken(who, hold.person, unit)


def _class_id(desk: Desk, name: str) -> int:
    try:
        class_id = desk.schema.class_id(name)
    except HylaError as error:
        raise Refused(422, "labels", error.what, error.hint) from error
    one = desk.schema.classes[class_id]
    if one.abstract or "mask" not in (one.kinds or desk.schema.kinds):
        raise Refused(422, "labels", f"{name} is not drawn as a mask", "choose another class")
    return class_id


def _clicks(given: list[wire.ClickPoint], size: tuple[int, ...]) -> list[Click]:
    depth, height, width = (1, *size)[-3:]
    for one in given:
        if not (0 <= one.x <= width and 0 <= one.y <= height and 0 <= one.z < depth):
            raise Refused(422, "clicks", f"a click lies outside the picture: {one.x:g}, {one.y:g} on slice {one.z}")
    return [Click(one.x, one.y, one.z, one.inside) for one in given]


def _mask(given: wire.MaskShape | None, size: tuple[int, ...]) -> Rle | None:
    if given is None:
        return None
    if tuple(given.size) != tuple(size):
        raise Refused(422, "labels", f"the mask is of a picture of {tuple(given.size)} and this one is {tuple(size)}")
    mask = Rle(tuple(given.size), given.counts.encode("utf-8", "surrogatepass"))
    try:
        lengths = check_runs(mask)
    except StageError as error:
        raise Refused(422, "labels", error.what, error.hint) from error
    return mask if lengths[1::2].any() else None
