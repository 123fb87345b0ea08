"""Compare ways of spending people's time on labels of which the truth is known: error left against simulated human seconds.

Nothing here was measured with people. The errors are real, those of the machine against the truth; the answers and their times
are those of a simulated person (`hyla.decide.reviewer`). All seconds count: pilots, audits, seeds and second passes too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from hyla.average_precision import wilson
from hyla.decide.arms import ARMS, NO_ASK, Arm, Case, Desk
from hyla.decide.assemble import Assembled, assemble
from hyla.decide.flow import KNOWN, PILOT, PILOT_FROM
from hyla.decide.losses import Loss
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.reviewer import Reviewer, fixing
from hyla.decide.risk import Asked, Known, Risk
from hyla.decide.simulation import MARKS, Outcome, Simulation
from hyla.decide.stages import build_decide
from hyla.errors import ConfigError
from hyla.figure import Figure
from hyla.schema import Schema
from hyla.types import Floats, Labels, Record

if TYPE_CHECKING:
    from hyla.store import Project

POINTS = 101  # of a curve
SPREAD = (0.025, 0.975)
TINY = 1e-12  # of sums of floats


@dataclass(frozen=True, eq=False)
class _Run:
    """Hold one repetition of one arm; what is of its end is so where it stops, or where the budget is spent if it does not."""

    error: Floats
    to: Floats
    seconds: float
    stops: bool
    certified: bool
    asked: float
    untouched: float
    left: float
    worst: float
    broken: bool


def simulate(
    case: Case,
    arms: Iterable[str] = tuple(ARMS),
    reviewer: Reviewer | None = None,
    repetitions: int = 20,
    seed: int = 0,
    *,
    objects: int = 0,
    about: dict[str, str] | None = None,
) -> Simulation:
    """Play arms on a case, again and again, and return what came of it.

    Args:
        case: what there is to ask, and the truth of it.
        arms: names; the random order and the oracle are played in any case, since the areas are measured by them.
        reviewer: who answers; one who overlooks nothing if not given.
        repetitions: how often.
        seed: of all that is drawn: what is audited, overlooked, and how long it takes.
        objects: labels of the truth, for seconds per object.
        about: kept as it is.

    Raises:
        ConfigError: for an arm that there is not, or fewer than 2 repetitions.
    """
    reviewer, names = reviewer or Reviewer(), list(dict.fromkeys(arms))
    if unknown := [name for name in names if name not in ARMS]:
        raise ConfigError(f"there is no arm {unknown[0]!r}", "name some of these", ARMS)
    if repetitions < 2:
        raise ConfigError(f"{repetitions} repetitions give no interval", "give 2 or more: --repetitions 20")
    lot, wrong = case.lot, np.where(case.open, case.wrong, 0.0)
    grid = np.linspace(0, float((case.look + case.fix * wrong)[case.open].sum()), POINTS)
    playable = {name: arm for name, arm in ARMS.items() if not arm.why_not(case)}
    runs: dict[str, list[_Run]] = {}
    budgets = [0.0] * repetitions
    for name in sorted(playable.keys() & {*names, "hyla", "random", "oracle"}, key=["hyla", *ARMS].index):
        runs[name] = [_play(playable[name], case, reviewer, grid, (seed, k), budgets[k]) for k in range(repetitions)]
        if name == "hyla":
            budgets = [run.seconds for run in runs[name]]
    return Simulation(
        eps=case.eps,
        delta=case.delta,
        reviewer=str(reviewer),
        repetitions=repetitions,
        units=len(lot),
        asks=len(lot.item),
        size=float(lot.size.sum()),
        errors=float(wrong.sum()),
        objects=objects,
        strata=lot.strata,
        about=about or {},
        seconds=tuple(grid.tolist()),
        arms=tuple(_outcome(ARMS[name], case, runs) for name in ARMS if name in names),
    )


def _play(arm: Arm, case: Case, reviewer: Reviewer, grid: Floats, seed: tuple[int, int], budget: float) -> _Run:
    digest = sha256(f"{seed}:{arm.name}".encode()).digest()
    desk = Desk(case, reviewer, np.random.default_rng(int.from_bytes(digest[:8], "little")), seed[1])
    arm.play(desk)
    lot, (asks, seconds, removed) = case.lot, desk.log
    wrong, stratum = np.where(case.open, case.wrong, 0.0), lot.stratum[lot.ask_unit]
    spent = np.concatenate([[0.0], np.cumsum(seconds)])
    error = (wrong.sum() - np.concatenate([[0.0], np.cumsum(removed)])) / lot.size.sum()
    end = int(np.searchsorted(spent, budget, side="right")) - 1 if desk.stopped is None else desk.stopped
    done, gone = asks[:end][asks[:end] != NO_ASK], removed[:end][asks[:end] != NO_ASK]
    sizes = np.bincount(lot.stratum, lot.size, len(lot.strata))
    left = np.bincount(stratum, wrong, len(sizes)) - np.bincount(stratum[done], gone, len(sizes))
    answered = np.unique(done)
    remain = wrong - np.bincount(done, gone, len(wrong))
    counted = np.minimum(np.bincount(lot.ask_unit, remain, len(lot)), lot.size)  # as a certificate counts them
    parts = np.bincount(lot.stratum, counted, len(sizes)) > case.eps * sizes + TINY
    touched = np.unique(np.concatenate([lot.ask_unit[answered], np.flatnonzero(lot.settled)]))
    reached = [int(np.argmax(error <= mark + TINY)) if error[-1] <= mark + TINY else -1 for mark in MARKS]
    return _Run(
        error=error[np.searchsorted(spent, grid, side="right") - 1],
        to=np.array([spent[k] if k >= 0 else np.nan for k in reached]),
        seconds=float(spent[end]),
        stops=desk.stopped is not None,
        certified=desk.certified,
        asked=len(answered) / max(int(case.open.sum()), 1),
        untouched=1 - len(touched) / len(lot),
        left=float(error[end]),
        worst=float((left / np.where(sizes > 0, sizes, 1)).max()),
        broken=desk.certified and bool((parts if arm.parts else counted.sum() > case.eps * sizes.sum() + TINY).any()),
    )


def _outcome(arm: Arm, case: Case, runs: Mapping[str, Sequence[_Run]]) -> Outcome:
    if why := arm.why_not(case):
        return Outcome(arm.name, arm.label, why)
    mine = runs[arm.name]
    area = {name: np.array([np.trapezoid(run.error) for run in runs[name]]) for name in {arm.name, "random", "oracle"}}
    most, least = area["random"].mean(), area["oracle"].mean()
    curves = np.array([run.error for run in mine])
    low, high = np.quantile(curves, SPREAD, axis=0)
    stops = mine[0].stops
    judged = [run for run in mine if run.certified or not arm.claims] if stops else []
    return Outcome(
        name=arm.name,
        label=arm.label,
        error=tuple(curves.mean(axis=0).tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        auc=_figure((most - area[arm.name]) / (most - least)) if most > least else None,
        to={f"{mark:g}": _figure([run.to[i] for run in mine]) for i, mark in enumerate(MARKS)},
        stopped=_figure([run.seconds for run in mine]) if stops else None,
        asked=_figure([run.asked for run in mine]) if stops else None,
        untouched=_figure([run.untouched for run in mine]) if stops else None,
        left=_figure([run.left for run in mine]),
        worst=_figure([run.worst for run in mine]),
        certified=_figure([run.seconds for run in mine if run.certified]) if arm.claims else None,
        broken=_share(sum(run.broken for run in mine), sum(run.certified for run in mine)) if arm.claims else None,
        over=_share(sum(run.left > case.eps + TINY for run in judged), len(judged)) if stops else None,
    )


def _figure(values: Sequence[float] | Floats) -> Figure:
    """Return the mean with the middle 95 %, of the values that are there."""
    there = np.asarray(values, dtype=np.float64)
    there = there[~np.isnan(there)]
    if not len(there):
        return Figure(None, None, None, 0)
    low, high = np.quantile(there, SPREAD)
    return Figure(float(there.mean()), float(low), float(high), len(there))


def _share(k: int, n: int) -> Figure:
    low, high = wilson(k, n)
    return Figure(k / n, low, high, n) if n else Figure(None, None, None, 0)


def simulate_project(
    project: Project,
    truth: str,
    eps: float,
    delta: float = 0.05,
    *,
    arms: Iterable[str] = tuple(ARMS),
    reviewer: Reviewer | None = None,
    strata: Sequence[str] = (),
    overrides: Sequence[str] = (),
    repetitions: int = 20,
    seed: int = 0,
) -> Simulation:
    """Play arms on a project of which the truth was imported; see `simulate`. Nothing in the project is changed.

    Args:
        project: that it is about.
        truth: name of the truth.
        eps: largest error rate of the finished labels, above 0 and below 1.
        delta: chance that a certificate is wrong, above 0 and below 1.
        arms: names.
        reviewer: who answers.
        strata: what the lot is divided by; see `hyla.decide.assemble`.
        overrides: settings of the decide layer: `second=truth:other`.
        repetitions: how often each arm is played.
        seed: of all that is drawn.

    Raises:
        ConfigError: for an eps or delta that can't be, or truth that is not there or misses items.
    """
    for name, value in (("eps", eps), ("delta", delta)):
        if not 0 < value < 1:
            raise ConfigError(f"{name} is {value:g}", f"give a share above 0 and below 1: --{name} 0.05")
    case, objects = project_case(project, truth, eps, delta, strata, overrides)
    about = {"truth": truth.removeprefix("truth:")}
    return simulate(case, arms, reviewer, repetitions, seed, objects=objects, about=about)


def project_case(
    project: Project, truth: str, eps: float, delta: float, strata: Sequence[str] = (), overrides: Sequence[str] = ()
) -> tuple[Case, int]:
    """Return what there is to ask of a project, with the true errors, and the number of labels of the truth.

    Raises:
        ConfigError: for truth that is not there or misses items.
    """
    source = f"truth:{truth.removeprefix('truth:')}"
    if source not in (known := project.truths()):
        names = [name.removeprefix("truth:") for name in known]
        raise ConfigError(f"the project has no truth {truth!r}", f"hyla import {project.path} --format coco --from FILE", names)
    schema = project.schema()
    loss, risk, effort = build_decide(project.recall("decide") or {}, overrides, schema)
    found = assemble(project, loss, risk, effort, strata)
    read = _Truth(found, loss)
    missing: list[str] = []
    truths = iter(project.records(source))
    true = next(truths, None)
    for record in project.records("model"):  # both come in the order of the scan
        if true is None or true.item.id != record.item.id:
            missing.append(record.item.uri)
            continue
        if not missing:
            read.add(record, true.labels, schema)
        true = next(truths, None)
    if missing:
        raise ConfigError(
            f"{source} misses {len(missing)} of {len(found.lot.items)} pictures, such as {missing[0]!r}",
            "an empty picture needs truth that says so: add the missing ones, or run on the pictures that have truth",
        )
    return read.case(eps, delta, risk), read.objects


class _Truth:
    """Gather, picture by picture, the true errors of each ask of a lot, what its answer takes, and what other policies go by.

    Attributes:
        objects: labels of the truth.
    """

    def __init__(self, found: Assembled, loss: Loss) -> None:
        self.objects = 0
        self._lot, self._loss, self._effort, self._table = found.lot, loss, found.effort, found.table
        self._place = {found.lot.id(i): i for i in range(len(found.lot.items))}
        self._asks = np.argsort(found.lot.item, kind="stable")
        self._start = np.searchsorted(found.lot.item[self._asks], np.arange(len(found.lot.items) + 1)).tolist()
        names = ("wrong", "fix", "look", "score", "entropy")
        self._columns = {name: np.full(len(found.lot.item), np.nan) for name in names}

    def add(self, record: Record, truth: Labels, schema: Schema) -> None:
        """Take the next picture."""
        labels, i, loss, effort = record.labels, self._place[record.item.id], self._loss, self._effort
        errors, (fix, fix_whole) = loss.errors(labels, truth, schema), fixing(labels, truth, loss, schema, effort)
        about = loss.about(labels.kind)
        crowd = truth.evidence.get("iscrowd", np.zeros(len(truth))) == 1
        self.objects += int((loss.about(truth.kind) & ~crowd).sum())
        p = np.clip(labels.score, TINY, 1 - TINY)
        entropy = labels.evidence.get("entropy", -(p * np.log2(p) + (1 - p) * np.log2(1 - p)))
        # Where labels are asked by themselves, the picture has no score; else it is that of the least sure label.
        scored = not loss.apart and about.any()
        rows = {"wrong": errors.rows, "fix": fix, "look": effort.ask(labels), "score": labels.score, "entropy": entropy}
        wholes = {
            "wrong": errors.whole,
            "fix": fix_whole,
            "look": effort.whole(labels[about], loss.apart),
            "score": labels.score[about].min() if scored else np.nan,
            "entropy": entropy[about].max() if scored else np.nan,
        }
        asks = self._asks[self._start[i] : self._start[i + 1]]
        row = self._lot.row[asks]
        for name, column in self._columns.items():
            column[asks] = np.where(row == WHOLE, wholes[name], np.append(rows[name], 0.0)[row])

    def case(self, eps: float, delta: float, risk: Risk) -> Case:
        """Return what was gathered; with a pilot where the project would begin with one."""
        lot, columns, table = self._lot, self._columns, self._table
        assert table is not None  # as assemble gives it
        machine, asked = table.machine, Asked(self._loss.about(table.machine.kind), self._loss.apart)
        signals = {name: columns[name] for name in ("score", "entropy")}
        is_whole, row = lot.row == WHOLE, machine.start[lot.item] + np.maximum(lot.row, 0)  # of each ask among all labels
        if table.second is not None:
            from hyla.decide.objectlab import ObjectLab

            quality = ObjectLab(risk.second).assess(table, Known.nothing(), asked)
            signals["objectlab"] = 1 - quality.wholes[lot.item]
            signals["objectlab"][~is_whole] = 1 - quality.rows[row[~is_whole]]
        if len(machine.kind):  # what people draw where the machine drew nothing
            columns["fix"][(machine.count == 0)[lot.item]] = self._effort.fix(int(np.bincount(machine.kind).argmax()))
        mend = np.divide(lot.seconds - columns["look"], lot.risk, out=np.zeros(len(row)), where=lot.risk > 0)

        @cache
        def learned(raw: bytes) -> Lot:
            seen = np.frombuffer(raw)
            answered = np.unique(lot.item[~np.isnan(seen)])
            errors, wholes = np.zeros(len(machine.class_id)), np.zeros(len(lot.items))
            rows = np.nan_to_num(seen)
            errors[row[~is_whole]], wholes[lot.item[is_whole]] = rows[~is_whole], rows[is_whole]
            known_rows = np.flatnonzero(np.isin(machine.item, answered))
            assessed = risk.assess(table, Known(answered, known_rows, errors[known_rows], wholes[answered]), asked)
            new = assessed.wholes[lot.item]
            new[~is_whole] = assessed.rows[row[~is_whole]]
            return replace(lot, risk=new, seconds=columns["look"] + new * mend)

        def learn(seen: Floats) -> Lot:
            return learned(seen.tobytes())

        pilot = PILOT if len(lot) >= PILOT_FROM and int(lot.settled.sum()) < KNOWN else 0
        return Case(lot, columns["wrong"], columns["look"], columns["fix"], eps, delta, signals, learn, pilot)
