"""Answer what people did and how long it took. No figure stands without the number of decisions behind it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median, quantiles
from weakref import WeakKeyDictionary

from fastapi import APIRouter

from hyla.average_precision import wilson
from hyla.decide.agree import agree
from hyla.decide.route import label_verdicts
from hyla.review import wire
from hyla.review.access import DeskDep, ViewerDep
from hyla.review.desk import Desk
from hyla.store import Project
from hyla.store.answers import ANSWERS
from hyla.store.asks import NOBODY, Decision
from hyla.store.recall import standing
from hyla.types import Verdict

router = APIRouter()
LAST = 20_000  # decisions that the figures are of, at most
COMPARED = 500  # blind answers that are compared with the machine's, at most
FEWEST = 5  # items of each sort that time saved is reckoned from
# Annotations are written once, and so what a comparison gave stays true: (machine's, person's) -> the same.
_compared: WeakKeyDictionary[Project, dict[tuple[int, int], bool]] = WeakKeyDictionary()


@router.get("/stats")
def stats(at: DeskDep, _: ViewerDep) -> wire.Stats:
    """Return how far the project is, how long decisions take, and how often people and the machine agree.

    What was taken back counts nowhere, and what was done again counts once.
    """
    # A figure that stood still would give a planted copy away: as long as one waits, they count like any item, then nowhere.
    hiding = at.project.hiding()
    counts, planted = at.project.counts(planted=hiding), {} if hiding else at.project.planted()
    said = (one for one in at.project.recent(LAST) if one.mode not in NOBODY and one.item_id not in planted)
    held = standing(said)
    return wire.Stats(
        items=counts.items,
        accepted=counts.accepted,
        waiting=counts.waiting,
        decided=counts.decided,
        rejected=counts.rejected,
        quarantined=counts.quarantined,
        pace=_pace(held),
        hours=[wire.Hour(at=f"{hour}:00:00Z", n=n) for hour, n in sorted(Counter(one.at[:13] for one in held).items())],
        untouched=_untouched(at, held),
        second=share([one.after["lane"] != "adjudicate" for one in held if one.action == "opinion"]),
        blind=_blind(at, held),
        saved=_saved(held),
    )


def share(hits: Sequence[bool]) -> wire.Share:
    """Return how many of so many, with the 95 % interval."""
    n, k = len(hits), sum(hits)
    low, high = wilson(k, n) if n else (None, None)
    return wire.Share(n=n, hits=k, share=k / n if n else None, low=low, high=high)


def _pace(held: Iterable[Decision]) -> list[wire.Pace]:
    """Return seconds per decision by person, lane and mode; `per_hour` counts hours of work, not of the clock."""
    times: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for one in held:
        if one.active_ms:
            times[one.who, one.before["lane"], one.mode].append(one.active_ms / 1000)
    paces = []
    for (who, lane, mode), seconds in sorted(times.items()):
        low, middle, high = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
        hourly = 3600 * len(seconds) / sum(seconds)
        paces.append(
            wire.Pace(who=who, lane=lane, mode=mode, n=len(seconds), median_s=middle, q1_s=low, q3_s=high, per_hour=hourly)
        )
    return paces


def _untouched(desk: Desk, held: Iterable[Decision]) -> dict[str, wire.Share]:
    """Return how often the first answer left the machine's labels as they were, of accepted, changed, rejected and to mend."""
    finished = [
        one
        for one in held
        if one.before["lane"] == "review" != one.after["lane"]
        and one.mode != "blind"
        and (one.after["outcome"] in ANSWERS or one.after["lane"] == "repair")
    ]
    machine = desk.project.machine_annotations(one.item_id for one in finished)
    hits: dict[str, list[bool]] = defaultdict(list)
    for one in finished:
        accepted = one.after["outcome"] == Verdict.ACCEPT
        hits[one.mode].append(accepted and one.after["annotation"] == machine[one.item_id])
    return {mode: share(some) for mode, some in sorted(hits.items())}


def _blind(desk: Desk, held: Iterable[Decision]) -> wire.Share:
    """Return how often somebody who did not see the machine's labels gave the same."""
    answers = [one for one in held if one.mode == "blind" and one.action in ("edit", "opinion")][:COMPARED]
    machine = desk.project.machine_annotations(one.item_id for one in answers)
    hits = []
    for one in answers:
        own = one.after["second"] if one.action == "opinion" else one.after["annotation"]
        hits.append(_same(desk, one.item_id, machine[one.item_id], own))
    return share(hits)


def _same(desk: Desk, item_id: str, machine: int, own: int) -> bool:
    known = _compared.setdefault(desk.project, {})
    if (machine, own) not in known:
        record = desk.project.record(item_id, "model")
        if record is None:
            return False
        kept = label_verdicts(record.labels, record.flags, record.verdict) != Verdict.REJECT.value  # what it would deliver
        known[machine, own] = agree(record.labels[kept], desk.project.labels_of(own)[2], desk.schema, desk.project.agree_iou)
    return known[machine, own]


def _saved(held: Iterable[Decision]) -> dict[str, float] | None:
    """Return how much quicker an item is decided on with the machine's labels than without, by medians of seconds."""
    spent: dict[str, dict[str, float]] = {"blind": defaultdict(float), "single": defaultdict(float)}
    for one in held:
        if one.before["lane"] == "review" and one.mode in spent and one.active_ms:
            spent[one.mode][one.item_id] += one.active_ms / 1000
    blind, assisted = ([*spent[mode].values()] for mode in ("blind", "single"))
    if min(len(blind), len(assisted)) < FEWEST:
        return None
    middle = {"blind_s": median(blind), "assisted_s": median(assisted)}
    return {**middle, "seconds": middle["blind_s"] - middle["assisted_s"], "n_blind": len(blind), "n_assisted": len(assisted)}
