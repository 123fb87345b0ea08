"""Answer what waits, and hand it out: each item to one tab at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import median

from fastapi import APIRouter, Response

from hyla.frame import Frame
from hyla.review import wire
from hyla.review.access import DeskDep, ReviewerDep, ViewerDep, Visitor
from hyla.review.decide import taken
from hyla.review.desk import Desk
from hyla.review.items import record_of
from hyla.review.leases import SECONDS, Place, apart
from hyla.review.problems import Refused
from hyla.review.sight import BLIND_LANES, is_barred, unswayed
from hyla.store.asks import NOBODY
from hyla.store.lock import running
from hyla.store.queue import LaneCount
from hyla.types import Item

router = APIRouter()
WHOLE = ("review", "repair")  # lanes in which a clip is worked on as a whole, unless it is answered blind
TIMED = 5  # items that a time left is reckoned from, at least


@router.get("/queue")
def queue(at: DeskDep, who: ViewerDep) -> wire.Queue:
    """Tell what waits in each lane, for each reason, and how far the project is."""
    counts = at.project.counts(planted=at.project.hiding())
    # A clip counts once: how much of it waits would take long to count.
    taken_now = Counter(hold.place for hold in at.leases.held().values())
    seconds = _seconds(at)
    lanes = []
    for lane in at.project.lanes():
        times = seconds.get((lane.lane, lane.reason), [])
        pace = median(times) if times else None
        lanes.append(
            wire.Lane(
                lane=lane.lane,  # type: ignore[arg-type]
                reason=lane.reason,
                waiting=lane.waiting,
                yours=_yours(at, who, lane),
                taken=taken_now[lane.lane, lane.reason],
                median_s=pace,
                n_timed=len(times),
                eta_s=pace * lane.waiting if pace is not None and len(times) >= TIMED else None,
            )
        )
    return wire.Queue(
        lanes=lanes,
        grid=[wire.GridClass(name=name, waiting=n) for name, n in at.project.classes_waiting().items()],
        items=counts.items,
        waiting=counts.waiting,
        decided=counts.decided,
        quarantined=counts.quarantined,
        running=running(at.project.path),
    )


@router.post("/leases")
def take(given: wire.Take, at: DeskDep, who: ReviewerDep) -> wire.Lease:
    """Lease the next items of a lane to a tab, each with its clip.

    Where a clip is worked on as a whole, its first frame that waits stands for it, as the last of what is handed out at once: a
    clip is long work, and the next one is left to others until then. Who answers picture by picture (blind, a second opinion, an
    adjudication) is handed one frame of the clip after the other.
    """
    if given.lane == "adjudicate" and not who.may("adjudicator"):
        raise Refused(403, "role", "to adjudicate needs the role adjudicator", "ask an admin")
    if given.mode == "grid":
        raise Refused(422, "mode", "a page of the grid is taken with POST /grid")
    if given.mode == "blind" and given.lane not in BLIND_LANES:
        raise Refused(422, "mode", f"nothing in the lane {given.lane} can be answered blind", "take from the lane review")
    blind, after = given.mode == "blind", given.after
    whole = given.mode == "single" and given.lane in WHOLE
    heads: list[wire.Head] = []
    while len(heads) < given.n:  # some may be taken by somebody faster, or not fit to be answered blind
        items, clips = apart(
            unit for unit, hold in at.leases.held().items() if whole or unit[0] == "item" or not hold.of(who.person, given.tab)
        )
        found = at.project.next_items(given.lane, given.reason, given.n - len(heads), items, who.person, after, clips)
        if not found:
            break
        units = [at.unit(one.item, one.size, one.frame) for one in found]
        clip = next((i for i, (kind, _) in enumerate(units) if kind == "clip"), None) if whole else None
        if clip is not None:
            found, units = found[: clip + 1], units[: clip + 1]
        after = found[-1].item.id
        fit = [(unit, one) for unit, one in zip(units, found, strict=True) if not blind or unswayed(at, who, one.item.id)]
        got = set(at.leases.take(who.person, given.tab, {unit: (one.lane, one.reason) for unit, one in fit}, given.mode))
        heads += [_head(at, one.item, one.size, one.frame, (one.lane, one.reason), blind) for unit, one in fit if unit in got]
        if clip is not None and units[clip] in got:
            break
    return wire.Lease(seconds=SECONDS, items=heads)


@router.post("/items/{item_id:path}/lease")
def take_one(item_id: wire.Id, given: wire.TakeOne, at: DeskDep, who: ReviewerDep) -> wire.Lease:
    """Lease one item by name, with its clip, to a tab: blind only if asked for and if this person neither saw nor answered it."""
    record = record_of(at, item_id)
    state = at.project.state(item_id)
    if given.mode == "grid":
        raise Refused(422, "mode", "a page of the grid is taken with POST /grid")
    may = state["lane"] in BLIND_LANES and not is_barred(at, who, state) and unswayed(at, who, item_id)
    mode: wire.Mode = "blind" if given.mode == "blind" and may else "single"
    place = (state["lane"], at.project.heads([item_id])[item_id].reason)
    unit = at.unit(record.item, record.size, record.frame)
    if not at.leases.take(who.person, given.tab, {unit: place}, mode):
        hold = at.leases.holder(unit)
        raise taken(who, hold.person if hold else who.person, unit)
    return wire.Lease(seconds=SECONDS, items=[_head(at, record.item, record.size, record.frame, place, mode == "blind")])


@router.post("/leases/renew")
def renew(given: wire.Renew, at: DeskDep, who: ReviewerDep) -> wire.Renewed:
    """Keep what a tab holds for another while; a frame stands for its clip."""
    units = at.units(given.items)
    lost = set(at.leases.renew(who.person, given.tab, units.values()))
    return wire.Renewed(seconds=SECONDS, lost=[item for item in given.items if item not in units or units[item] in lost])


@router.post("/leases/release", status_code=204)
def release(given: wire.Renew, at: DeskDep, who: ReviewerDep) -> Response:
    """Give back what a tab holds; a frame stands for its clip."""
    at.leases.release(who.person, given.tab, at.units(given.items).values())
    return Response(status_code=204)


def _head(desk: Desk, item: Item, size: tuple[int, ...], frame: Frame, place: Place, blind: bool) -> wire.Head:
    return wire.Head(
        id=item.id,
        name=item.uri,
        group=item.group,
        index=item.index,
        view=desk.media.view(item.kind, item.group, size, frame),
        size=[int(s) for s in size],
        lane="review" if blind else place[0],
        reason="" if blind else place[1],
        image=desk.media.image_url(item.id, size),
    )


def _seconds(desk: Desk) -> dict[Place, list[float]]:
    """Return how long people worked on each item lately, by lane and reason."""
    spent: dict[tuple[Place, str], float] = defaultdict(float)
    for one in desk.project.paces():
        if one.active_ms and one.lane and one.mode not in NOBODY:
            spent[(one.lane, one.reason), one.item_id] += one.active_ms / 1000
    times: dict[Place, list[float]] = defaultdict(list)
    for (place, _), seconds in spent.items():
        times[place].append(seconds)
    return times


def _yours(desk: Desk, who: Visitor, lane: LaneCount) -> int:
    """Return how many of those that wait a person may answer."""
    if not who.may("adjudicator" if lane.lane == "adjudicate" else "reviewer"):
        return 0
    return lane.waiting if lane.lane in ("review", "repair") else desk.project.yours(lane.lane, who.person, lane.reason)
