"""Read from the ledger what people said of a lot: up to one decision, it is the same evidence whenever it is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.decide import agreement, matching
from hyla.decide.certificate import Evidence, Reviewers
from hyla.decide.drawing import draw
from hyla.decide.losses import Errors, Loss
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.planning import Plan
from hyla.decide.seeds import caught
from hyla.decide.stages import build_decide
from hyla.errors import StoreError
from hyla.store.answers import ANSWERS, State
from hyla.store.asks import Decision, genesis
from hyla.store.recall import standing
from hyla.store.standings import whole_seen
from hyla.types import Bools, Floats, Ints, Labels, Verdict

if TYPE_CHECKING:
    from hyla.store import Project
    from hyla.store.lots import LotRow

PHASES = ("pilot", "drawn", "tested", "issued", "second pass", "given up")
SIMULATED = "simulated"  # mode of decisions that a program made in a person's place
UNITS = {"item": "picture", "group": "group of pictures"}


@dataclass
class Said:
    """Hold what people said of some items up to a decision.

    Args:
        head: hash of that decision, of the project's id where there was none.
        at: when it was made.
        states: item -> state that the last decision on it left.
        looked: items of which somebody had the whole picture before them, and not only crops.
        people: who decided.
        spent: action -> how often and how many seconds, where it was timed.
        opinions: item -> the state with the first answer, and the number of the labels of a second.
        simulated: a program answered in a person's place.
    """

    head: str
    at: str = ""
    states: dict[str, State] = field(default_factory=dict)
    looked: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)
    spent: dict[str, tuple[int, float]] = field(default_factory=dict)
    opinions: dict[str, tuple[State, int]] = field(default_factory=dict)
    simulated: bool = False

    def done(self, item_id: str) -> bool:
        """Tell whether people are done with an item."""
        state = self.states.get(item_id)
        return state is not None and state["outcome"] in ANSWERS and state["lane"] == "" and item_id in self.looked


def said(project: Project, ids: Iterable[str], head: str | None = None) -> Said:
    """Return what was said of items `ids`, up to the decision with the hash `head`, or up to the last.

    Raises:
        StoreError: if no decision has that hash.
    """
    wanted, found = set(ids), Said(genesis(project.id))
    spent: dict[str, list[float]] = defaultdict(list)
    made: list[Decision] = []
    if head != found.head:
        for one in project.decisions():
            found.head, found.at = one.hash, one.at
            if one.item_id in wanted:
                made.append(one)
                found.states[one.item_id] = one.after
                found.people.add(one.who)
                found.simulated |= one.mode == SIMULATED
                if one.active_ms:
                    spent[one.action].append(one.active_ms / 1000)
            if one.hash == head:
                break
        else:
            if head is not None:
                raise StoreError("the decision up to which to read is not in the ledger", "run `hyla verify` on the project")
    stands = standing(reversed(made))
    found.looked = {one.item_id for one in stands if whole_seen(one)}
    found.opinions = {one.item_id: (one.before, one.after["second"]) for one in stands if one.action == "opinion"}
    found.spent = {action: (len(times), sum(times)) for action, times in sorted(spent.items())}
    return found


def phase(row: LotRow) -> str:
    """Return how far a lot has come: the last of PHASES that was noted, or `frozen`."""
    return next((event.kind for event in reversed(row.events) if event.kind in PHASES), "frozen")


def row_of(project: Project, number: int) -> LotRow:
    """Return a lot by its number; raise StoreError if there is none."""
    row = next((row for row in project.lots() if row.number == number), None)
    if row is None:
        raise StoreError(f"the project has no lot {number}", "`hyla certify` begins one")
    return row


def loss_of(project: Project, row: LotRow) -> Loss:
    """Return the loss that a lot was frozen with."""
    return build_decide(row.settings["decide"], (), project.schema())[0]


def evidence(project: Project, number: int, head: str | None = None) -> Evidence:
    """Return all that a certificate of a lot rests on, up to the decision with the hash `head`, or up to the last.

    Raises:
        StoreError: if the machine's labels are not those that were frozen.
    """
    row, lot = row_of(project, number), project.lot(number)
    check_frozen(project, lot)
    twins = project.twins(number)
    names = [lot.id(i) for i in range(len(lot.items))]
    found, loss = said(project, [*names, *(twin.id for twin in twins)], head), loss_of(project, row)
    plan, demand = Plan.from_dict(row.settings["plan"]), row.settings["demand"]
    wrong, draws = errors(project, lot, loss, found, names), draw(lot, plan, row.seed)
    planted = {twin.id for twin in twins}
    twice = [found.opinions[name] for name in sorted(found.opinions.keys() - planted)]
    methods = [part.method for part in plan.strata]
    draws = [_answered(lot, units, wrong) if method == "alpha" else units for units, method in zip(draws, methods, strict=True)]
    times = {event.kind: event.at for event in row.events if event.kind in ("drawn", "tested")}
    return Evidence(
        project=project.id,
        number=number,
        lot=lot,
        seed=row.seed,
        plan=plan,
        draws=tuple(draws),
        wrong=wrong,
        reviewers=Reviewers(
            protocol=demand["protocol"],
            people=len(found.people),
            seeds=_seeds(project, twins, found),
            delta=demand["delta"] - plan.delta if twins else 0.0,
            alpha=_alpha(project, twice),
            twice=len(twice),
            simulated=found.simulated,
        ),
        loss=row.settings["loss"],
        by=tuple(demand["strata"]),
        unit=UNITS[loss.unit],
        spent=found.spent,
        times={"frozen": row.created, **times, "issued": found.at or row.created},
        head=found.head,
        before=settled_errors(project, lot, loss, found, names) if twins else (),
        given_up=sum(other.number < number and _given_up(other) for other in project.lots()),
    )


def _given_up(row: LotRow) -> bool:
    """Tell whether a lot was given up once its audit was drawn: what it spent of delta is spent."""
    return phase(row) == "given up" and any(event.kind == "drawn" for event in row.events)


def check_frozen(project: Project, lot: Lot) -> None:
    """Raise StoreError if the machine's labels are not those that were frozen."""
    now = project.machine_digests()
    changed = [i for i, digest in enumerate(lot.digests.tolist()) if now.get(lot.id(i)) != digest.decode()]
    if changed:
        raise StoreError(
            f"labels of {len(changed)} of {len(lot.items)} pictures changed after the freeze, first of {lot.id(changed[0])!r}",
            "run `hyla verify` on the project; nothing can be promised of this lot: --afresh begins another",
        )


def errors(project: Project, lot: Lot, loss: Loss, found: Said, names: list[str]) -> Floats:
    """Return the errors (a,) of the machine on each ask, by what people said; NaN of items that they are not done with."""
    wrong = np.full(len(lot.item), np.nan)
    by_item = np.argsort(lot.item, kind="stable")
    start = np.searchsorted(lot.item[by_item], np.arange(len(lot.items) + 1)).tolist()
    for i, seen in _seen(project, loss, found, names):
        asks = by_item[start[i] : start[i + 1]]
        rows = lot.row[asks]
        wrong[asks] = 0.0 if seen is None else np.where(rows == WHOLE, seen.whole, np.append(seen.rows, 0.0)[rows])
    return wrong


def settled_errors(project: Project, lot: Lot, loss: Loss, found: Said, names: list[str]) -> tuple[float, ...]:
    """Return the errors of the machine, by stratum, that people had put right before the freeze."""
    before = np.zeros(len(lot.strata))
    settled = [name if lot.settled[lot.unit[i]] else "" for i, name in enumerate(names)]
    for i, seen in _seen(project, loss, found, settled):
        before[lot.stratum[lot.unit[i]]] += 0.0 if seen is None else seen.total
    return tuple(before.tolist())


def _seen(project: Project, loss: Loss, found: Said, names: Sequence[str]) -> Iterator[tuple[int, Errors | None]]:
    """Yield the index of each item that people are done with, and the errors that they saw; None where they changed nothing."""
    done = {i: found.states[name] for i, name in enumerate(names) if found.done(name)}
    machines = project.machine_annotations([names[i] for i in done])
    schema = project.schema()
    for i, state in done.items():
        machine = machines[names[i]]
        if state["annotation"] == machine and state["outcome"] == Verdict.ACCEPT:
            yield i, None
        else:
            yield i, loss.errors(project.labels_of(machine)[2], _held(project, state), schema)


def asked_by_item(lot: Lot, asked: Bools) -> Iterator[tuple[int, bool, tuple[int, ...]]]:
    """Yield each item of a lot with whether the picture as a whole, and which of its rows, are asked."""
    chosen = np.flatnonzero(asked)
    chosen = chosen[np.lexsort((lot.row[chosen], lot.item[chosen]))]
    start = np.searchsorted(lot.item[chosen], np.arange(len(lot.items) + 1)).tolist()
    rows: list[int] = lot.row[chosen].tolist()
    for i in range(len(lot.items)):
        some = rows[start[i] : start[i + 1]]
        whole = bool(some) and some[0] == WHOLE
        yield i, whole, tuple(some[1:] if whole else some)


def _answered(lot: Lot, units: Ints, wrong: Floats) -> Ints:
    """Return the units drawn before the first that is not answered."""
    waits = np.zeros(len(lot), dtype=bool)
    waits[lot.ask_unit[np.isnan(wrong)]] = True
    return units[: int(np.argmax(waits[units]))] if waits[units].any() else units


def _held(project: Project, state: State) -> Labels:
    """Return the labels that hold in a state: none of a picture in which somebody said that nothing is."""
    return Labels.empty() if state["outcome"] == Verdict.REJECT else project.labels_of(state["annotation"])[2]


def _seeds(project: Project, twins: Iterable[Any], found: Said) -> Mapping[str, tuple[int, int]]:
    """Return kind -> how many errors were planted, and how many of them people took out."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    schema = project.schema()
    for twin in twins:
        if found.done(twin.id):
            truth = project.labels_of(twin.about["truth"])[2]
            planted = project.labels_of(project.machine_annotation(twin.id))[2]
            state = found.states[twin.id]
            answer = _held(project, state)
            counts[twin.about["kind"]][0] += 1
            counts[twin.about["kind"]][1] += caught(twin.about["kind"], truth, planted, answer, schema)
    return {kind: (planted, hits) for kind, (planted, hits) in sorted(counts.items())}


def _alpha(project: Project, twice: Sequence[tuple[State, int]]) -> float | None:
    """Return Krippendorff's alpha of first answers and second opinions."""
    if not twice:
        return None
    pairs = ((_held(project, first), project.labels_of(second)[2]) for first, second in twice)
    rated = matching.ratings(pairs, project.schema())
    return agreement.agreement(rated.value, rated.picture, samples=2).alpha.value


def indices(lot: Lot, units: Ints) -> Ints:
    """Return the items of some units."""
    return np.flatnonzero(np.isin(lot.unit, units))
