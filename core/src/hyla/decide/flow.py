"""Take a project from the machine's labels to a certificate, one step each time it is asked.

Where the project is large and nobody answered yet, some pictures, drawn evenly, first teach what the risks are: the pilot. Then
the lot is frozen, the audit drawn, and what is audited or surely asked put into the queue. Once the audit is answered, the cuts
are tested, and the rest is accepted or put into the queue. Once that is answered too, the certificate is issued.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.decide import drift, replay
from hyla.decide.assemble import Assembled, assemble
from hyla.decide.certificate import Certificate, Evidence, issue, tests
from hyla.decide.drawing import draw, drawable, orders, route
from hyla.decide.gather import asked_by_item, evidence, indices, phase, row_of
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.order import priorities
from hyla.decide.planning import Plan, plan
from hyla.decide.route import Route
from hyla.decide.seeds import KINDS, plant
from hyla.decide.stages import build_decide, composed
from hyla.errors import ConfigError, HylaError
from hyla.store.answers import ANSWERS
from hyla.store.asks import Ask
from hyla.store.twins import Twin
from hyla.types import Bools, Ints, Verdict

if TYPE_CHECKING:
    from hyla.store import Project
    from hyla.store.lots import LotRow
    from hyla.store.standings import Standing

PROTOCOLS = ("single", "double")
WHO = "hyla"  # decides nothing of labels: only that somebody must look again
PILOT = 100  # pictures: enough for a risk model of a few numbers (the reference point of the planner)
PILOT_FROM = 1000  # units: of fewer, a pilot costs more than a better order saves
SURELY, UNLEARNED = 2, 4  # times the error allowed: what is expected to leave more is asked without waiting for the test
KNOWN = 50  # answered pictures that make a pilot needless


class NotYet(HylaError):
    """Report that people must answer first."""


@dataclass(frozen=True)
class Demand:
    """Name what is asked for.

    Args:
        eps: largest error rate of the finished labels, above 0 and below 1.
        delta: chance that the claim is wrong, above 0 and below 1.
        strata: what the lot is divided by; the claim holds for each part.
        mode: `planned`, an audit of a size fixed before it is drawn; or `early`, which may stop whenever it suffices.
        protocol: `single`, one answer per audited picture; or `double`, two that are compared, and a third where they differ.
        seeds: known errors to plant, by which the reviewers are measured; 0 words the claim as agreement with them.
        overrides: settings of the decide layer: `loss.iou=0.7`.
    """

    eps: float
    delta: float = 0.05
    strata: tuple[str, ...] = ()
    mode: str = "planned"
    protocol: str = "single"
    seeds: int = 0
    overrides: tuple[str, ...] = field(default=())

    def prove(self) -> None:
        """Raise ConfigError for what makes no sense, before any work."""
        for name in ("eps", "delta"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise ConfigError(f"{name} is {value:g}", f"give a share above 0 and below 1: --{name} 0.05")
        for name, value, choices in (("mode", self.mode, ("planned", "early")), ("protocol", self.protocol, PROTOCOLS)):
            if value not in choices:
                raise ConfigError(f"unknown {name} {value!r}", choices=choices)
        if self.seeds < 0:
            raise ConfigError(f"--seeds {self.seeds} is below 0", "say how many known errors to plant, or 0")

    @property
    def audit_delta(self) -> float:
        """Return what of delta the audit may spend: half of it, where the other half is for measuring the reviewers."""
        return self.delta / 2 if self.seeds else self.delta

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self) | {"strata": list(self.strata), "overrides": list(self.overrides)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Demand:
        """Return what `to_dict` gave."""
        return cls(**{**values, "strata": tuple(values["strata"]), "overrides": tuple(values["overrides"])})


@dataclass(frozen=True)
class Step:
    """Say what was done, and what comes next.

    Args:
        state: pilot, audit, review, second pass, or issued.
        text: for a person.
        data: for a script.
    """

    state: str
    text: str
    data: dict[str, Any]


def look(project: Project, demand: Demand, found: Assembled | None = None) -> tuple[Assembled, Plan]:
    """Return what a certificate would take as things stand; nothing is changed.

    Args:
        project: that it would be of.
        demand: what would be asked for.
        found: what an earlier look at the same labels assembled.

    Raises:
        ConfigError: for a demand that makes no sense.
    """
    demand.prove()
    found = found or _assemble(project, demand)
    return found, plan(found.lot, demand.eps, demand.audit_delta, mode=demand.mode)


def certify(project: Project, demand: Demand, *, afresh: bool = False, stop: bool = False, seed: str | None = None) -> Step:
    """Take the next step towards a certificate, and say what it was.

    Args:
        project: whose labels are to be certified.
        demand: the same each time, until it is issued.
        afresh: give up the last lot, with its certificate if it has one, and begin another. What it spent of delta is spent: the
            next certificate says so.
        stop: of an audit that may stop early, take what it allows so far.
        seed: of all chance in a lot that is frozen now, such as dice gave in front of all; drawn if not given.

    Raises:
        ConfigError: for a demand that makes no sense, is another than the open lot was frozen for, or can't be met.
        NotYet: if people must answer first.
        StoreError: if labels changed after the freeze.
    """
    demand.prove()
    rows = project.lots()
    row = rows[-1] if rows else None
    at = phase(row) if row is not None else ""
    if row is not None and afresh and at != "given up":
        project.note(row.number, "given up", {})
        at = "given up"
    if row is None or at == "given up" or (at == "issued" and _uncovered(project)):
        return _begin(project, demand, seed)
    if at == "pilot":  # it serves whatever is asked for
        return _after_pilot(project, row, demand, seed)
    if row.settings["demand"] != demand.to_dict():
        asked = row.settings["demand"]
        other = [f"{name} {asked[name]!r}, not {value!r}" for name, value in demand.to_dict().items() if asked[name] != value]
        raise ConfigError(f"lot {row.number} was frozen for {'; '.join(other)}", "ask for the same, or give it up: --afresh")
    if at == "drawn":
        return _after_audit(project, row, stop)
    if at == "issued":
        return _issued(project, row.number)
    return (_after_review if at == "tested" else _second_pass)(project, row)


def recompute(project: Project, certificate: Mapping[str, Any]) -> Certificate:
    """Return the certificate as it follows from what is stored, if it is the one given; see `hyla.decide.replay`."""
    return replay.recompute(project, certificate, evidence)


def _begin(project: Project, demand: Demand, seed: str | None) -> Step:
    """Ask for a pilot, or freeze the lot and draw its audit."""
    found = _assemble(project, demand)
    lot, settled = found.lot, int(found.lot.settled.sum())
    if not len(lot):
        raise ConfigError("there is nothing to certify: the project has no items that no certificate covers", "hyla run")
    if len(lot) >= PILOT_FROM and settled < KNOWN:
        return _pilot(project, demand, found, seed)
    return _freeze(project, demand, found, seed)


def _pilot(project: Project, demand: Demand, found: Assembled, seed: str | None) -> Step:
    """Put some pictures into the queue, drawn evenly, that teach what the risks are."""
    number = project.freeze(found.lot, _settings(project, demand, found), seed)
    seed = row_of(project, number).seed
    free = np.flatnonzero(drawable(found.lot))
    chosen = free[np.argsort([sha256(f"{seed}:pilot:{unit}".encode()).hexdigest() for unit in free.tolist()])[:PILOT]]
    asked = np.isin(found.lot.ask_unit, chosen)
    project.note(number, "pilot", {"units": chosen.tolist()})
    _put(project, number, found.lot, asked, chosen, demand, indices(found.lot, chosen))
    return _waiting(project, "pilot", number, f"a pilot of {len(chosen)} pictures, from which the risk of each label is learned")


def _after_pilot(project: Project, row: LotRow, demand: Demand, seed: str | None) -> Step:
    """Freeze the lot once the pilot is answered."""
    lot = project.lot(row.number)
    units = np.array(row.events[-1].body["units"], dtype=np.int64)
    _prove_answered(project, "the pilot", [lot.id(i) for i in indices(lot, units).tolist()])
    return _freeze(project, demand, _assemble(project, demand), seed)


def _freeze(project: Project, demand: Demand, found: Assembled, seed: str | None) -> Step:
    """Freeze the lot, draw the audit, and put into the queue what is audited or surely asked."""
    lot = found.lot
    planned = _within(plan(lot, demand.eps, demand.audit_delta, mode=demand.mode), lot, bool(found.trained_on))
    if not planned.feasible:
        why = "\n    ".join(f"{part.name or 'all'}: {part.why}" for part in planned.strata if part.why)
        raise ConfigError(
            f"at eps {demand.eps:g} nothing can be accepted without a person:\n    {why}",
            "ask for a larger --eps, or have people answer all: hyla review",
        )
    number = project.freeze(lot, {**_settings(project, demand, found), "plan": planned.to_dict()}, seed)
    row = row_of(project, number)
    draws = draw(lot, planned, row.seed)
    audited = np.unique(np.concatenate(draws))
    planted = _plant(project, number, lot, demand, row.seed) if demand.seeds else 0
    project.note(number, "drawn", {"draws": [units.tolist() for units in draws]})
    surely = route(lot, [max(part.cuts, default=0) for part in planned.strata], draws)
    _put(project, number, lot, surely, audited, demand)
    seeds = f" and {planted} copies with known errors" if planted else ""
    what = f"lot {number} is frozen and its audit drawn: {len(audited)} of {len(lot)} pictures{seeds}"
    return _waiting(project, "audit", number, f"{what}\n\n{planned}")


def _within(planned: Plan, lot: Lot, learned: bool) -> Plan:
    """Return the plan without the cuts that surely fail: what lies beyond can be asked at once, among the audit.

    An audit alone holds few errors, and what is rare is overlooked (Wolfe et al. 2005). Beyond the last cut, twice the error that
    may be left is expected, or four times where the risks are but scores, which may be off by as much.
    """
    strata = []
    for part, order in zip(planned.strata, orders(lot), strict=True):
        last = np.searchsorted(np.cumsum(lot.risk[order]), (SURELY if learned else UNLEARNED) * part.eps * part.size)
        strata.append(replace(part, cuts=tuple(cut for cut in part.cuts if cut <= last) or part.cuts[:1]))
    return replace(planned, strata=tuple(strata))


def _after_audit(project: Project, row: LotRow, stop: bool) -> Step:
    """Test the cuts, accept what they allow, and put the rest into the queue."""
    lot, demand = project.lot(row.number), Demand.from_dict(row.settings["demand"])
    draws = draw(lot, Plan.from_dict(row.settings["plan"]), row.seed)
    audited = np.unique(np.concatenate(draws))
    names = [lot.id(i) for i in indices(lot, audited).tolist()]
    twins = [twin.id for twin in project.twins(row.number)]
    _prove_answered(project, "the audit", twins if demand.mode == "early" and stop else [*names, *twins])
    found = evidence(project, row.number)
    tested = tests(found)
    if any(one.second_pass for one in tested):
        return _refuse(project, row, found)
    project.note(row.number, "tested", {"cuts": [one.cut for one in tested], "head": found.head})
    asked = route(lot, [one.cut for one in tested], found.draws)
    _put(project, row.number, lot, asked, audited, demand)
    changed = drift.of_project(project)
    warning = f"\n\nunlike the lot before: {changed}" if changed is not None and changed.warning else ""
    left = int((asked & np.isnan(found.wrong)).sum())
    if not left:
        step = _issue(project, row.number)
        return replace(step, text=step.text + warning)
    kept = sum(one.accepted for one in tested)
    text = f"the audit was tested: {kept} labels and pictures need no person, {left} do{warning}"
    return _waiting(project, "review", row.number, text)


def _after_review(project: Project, row: LotRow) -> Step:
    """Issue the certificate once all that is asked was answered."""
    found = evidence(project, row.number)
    tested = tests(found)
    if any(one.second_pass for one in tested):
        return _refuse(project, row, found)
    asked = route(found.lot, [one.cut for one in tested], found.draws)
    left = found.lot.item[asked & np.isnan(found.wrong)]
    if len(left):
        # What people found meanwhile may lower what can be accepted, where seeds say that they overlook some.
        _put(
            project,
            row.number,
            found.lot,
            asked,
            np.unique(np.concatenate(found.draws)),
            Demand.from_dict(row.settings["demand"]),
        )
        _prove_answered(project, "what the audit left to people", sorted({found.lot.id(i) for i in left.tolist()}))
    return _issue(project, row.number)


def _issue(project: Project, number: int) -> Step:
    made = issue(evidence(project, number))
    project.note(number, "issued", {"certificate": made.to_dict(), "sha256": made.sha256})
    return _issued(project, number)


def _issued(project: Project, number: int) -> Step:
    made = Certificate.from_dict(row_of(project, number).events[-1].body["certificate"])
    paths = [str(path) for path in made.write(project.path)]
    left, seen = made.whole["upper"], made.accepted["upper"]
    readings = f"  at most {left:.2%} of all" + (f"; at most {seen:.2%} of what nobody looked at" if seen is not None else "")
    text = f"{made.sentence}\n{readings}\n  {paths[1]}\n  check it: hyla certify {project.path} --replay"
    return Step("issued", text, {"lot": number, "certificate": made.to_dict(), "files": paths})


def _refuse(project: Project, row: LotRow, found: Evidence) -> Step:
    made = issue(found)
    project.note(row.number, "second pass", {"certificate": made.to_dict()})
    return _second_pass(project, row_of(project, row.number))


def _second_pass(project: Project, row: LotRow) -> Step:
    made = Certificate.from_dict(row.events[-1].body["certificate"])
    text = (
        f"{made.sentence}\n"
        "  What helps: two readers of all that is asked (--protocol double), more planted errors (--seeds), a larger --eps;\n"
        f"  or no --seeds, which promises agreement with the readers. Then: hyla certify {project.path} ... --afresh"
    )
    return Step("second pass", text, {"lot": row.number, "certificate": made.to_dict()})


def _assemble(project: Project, demand: Demand) -> Assembled:
    """Return the lot of all that no certificate covers yet, with risks learned from what was answered."""
    stages = build_decide(project.recall("decide") or {}, demand.overrides, project.schema())
    return assemble(project, *stages, demand.strata, without=_covered(project))


def _covered(project: Project) -> set[str]:
    lots = [project.lot(row.number) for row in project.lots() if phase(row) == "issued"]
    return {lot.id(i) for lot in lots for i in range(len(lot.items))}


def _uncovered(project: Project) -> bool:
    return bool(project.machine_digests().keys() - _covered(project))


def _settings(project: Project, demand: Demand, found: Assembled) -> dict[str, Any]:
    loss = build_decide(settings := composed(project.recall("decide") or {}, demand.overrides), (), project.schema())[0]
    identities = list(project.schema().identities)
    return {
        "demand": demand.to_dict(),
        "decide": settings,
        "loss": {"name": loss.name, **vars(loss), **({"identities": identities} if identities else {})},
        "calibrations": [one.to_dict() for one in found.calibrations],
        "effort": found.effort.basis,
    }


def _put(project: Project, number: int, lot: Lot, asked: Bools, audited: Ints, demand: Demand, only: Ints | None = None) -> None:
    """Put what is asked of a lot into the queue, by its worth and audits among it by chance; accept the rest."""
    seed = row_of(project, number).seed
    chance = np.isin(lot.unit, audited)
    value = np.bincount(lot.item[asked], lot.risk[asked], len(lot.items)) / np.maximum(
        np.bincount(lot.item[asked], lot.seconds[asked], len(lot.items)), 1e-9
    )
    standings = {one.id: one for one in project.standings()}
    groups = {name: one.group or name for name, one in standings.items()}  # frames of a clip resemble each other
    clusters = np.array([groups[lot.id(i)] for i in range(len(lot.items))])
    asked_items = np.bincount(lot.item[asked], minlength=len(lot.items)) > 0
    place = priorities(value, clusters, chance, seed, asked=asked_items)
    # What readers overlook is bounded for all that they answered: if two do it together, then everywhere, else in the audit.
    twice = chance if not demand.seeds else np.ones(len(chance), dtype=bool)
    second = demand.protocol == "double"
    wanted = range(len(lot.items)) if only is None else set(only.tolist())
    _reopen(project, number, [standings[lot.id(i)] for i in np.flatnonzero(asked_items).tolist() if i in wanted])
    project.route(
        number,
        (
            Route(lot.id(i), whole, rows, second and bool(twice[i]) and (whole or bool(rows)), float(place[i]))
            for i, whole, rows in asked_by_item(lot, asked)
            if i in wanted and not lot.settled[lot.unit[i]]
        ),
    )


def _reopen(project: Project, number: int, standings: Iterable[Standing]) -> None:
    """Ask for another look at pictures of which people answered crops only: a route changes nothing that was decided."""
    note = "only crops of it were answered, and a lot asks about it"
    project.decide_all(
        [
            Ask(one.id, "unsure", WHO, f"lot {number} {one.id}", mode="import", note=note)
            for one in standings
            if one.outcome in ANSWERS and one.lane == "" and not one.looked
        ]
    )


def _plant(project: Project, number: int, lot: Lot, demand: Demand, seed: str) -> int:
    """Plant copies of answered pictures with known errors, and return how many there were.

    Pictures that people left as the machine labelled them come first: a label that a person drew looks drawn. Frames of a
    clip are left out, since a copy of one would stand alone in the queue.
    """
    schema, twins = project.schema(), []
    names = [lot.id(i) for i in indices(lot, np.flatnonzero(lot.settled)).tolist()]
    heads, states, machines = project.heads(names), project.states(names), project.machine_annotations(names)
    fit = [name for name in names if states[name]["outcome"] == Verdict.ACCEPT and not heads[name].item.group]
    known = [name for name in fit if states[name]["annotation"] == machines[name]] or fit
    if not known:
        raise ConfigError(
            "known errors are planted in pictures that people answered, and there is none that would do",
            "answer some with `hyla review`, or ask for --seeds 0",
        )
    apart = bool((lot.row != WHOLE).any())  # else copies would have open labels where the audit has none
    for j in range(demand.seeds):
        chance = int(sha256(f"{seed}:seed:{j}".encode()).hexdigest()[:15], 16)
        name = known[chance % len(known)]
        annotation = states[name]["annotation"]
        labels = project.labels_of(annotation)[2]
        for kind in (KINDS[(j + k) % len(KINDS)] for k in range(len(KINDS))):
            if (planted := plant(labels, schema, chance, kind, heads[name].size)) is not None:
                about = {"kind": kind, "truth": annotation}
                rows = None if apart else ()
                twins.append(Twin(name, planted, about, True, rows, demand.protocol == "double", chance / 16**15))
                break
    return len(project.plant(number, twins))


def _prove_answered(project: Project, what: str, names: Sequence[str]) -> None:
    """Raise NotYet if people are not done with some items."""
    states = project.states(names)
    open_ = [name for name in names if states[name]["lane"] or states[name]["outcome"] not in ANSWERS]
    if open_:
        raise NotYet(
            f"of {what}, {len(open_)} of {len(names)} pictures still wait for an answer; nothing is tested on half an audit",
            f"hyla review {project.path}, then the same command again",
        )


def _waiting(project: Project, state: str, number: int, text: str) -> Step:
    waiting = project.counts().waiting
    more = f"\n\nnext: hyla review {project.path} ({waiting} pictures wait), then the same command again"
    return Step(state, text + more, {"lot": number, "waiting": waiting})
