"""Spend a simulated person's time by one policy or another: what Hyla does, what others do, and what nobody could do better.

All arms begin with the same labels of the machine and may ask the same asks. An arm answers asks at a `Desk`, which keeps the
time and what is left, and may stop; what it would still ask after that is asked too, so that the curves of all arms end alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hyla.decide.bounds import betting_e, clopper_pearson_lower
from hyla.decide.drawing import draw, drawable, route
from hyla.decide.lot import Lot
from hyla.decide.planning import Plan, plan
from hyla.decide.reviewer import Reviewer
from hyla.decide.sensitivity import overlooked_upper
from hyla.decide.threshold import Test, test
from hyla.types import Bools, Floats, Ints

NO_ASK = -1  # of an entry of the log that removes nothing
PILOTS = 4  # different ones over all repetitions, since to learn from one takes a while
SEEDS = 300  # known errors planted where the reviewers overlook some (guarantees, 8.5)
PARTS = (0.5, 0.25, 0.25)  # of delta then: for the test, for how well the reviewers look, and for what they overlook by chance

# Errors seen per ask (a,), NaN where nobody answered -> the lot with risks learned from them.
Learn = Callable[[Floats], Lot]


@dataclass(frozen=True, eq=False)
class Case:
    """Hold what arms work on.

    Args:
        lot: with the risks as they are before anybody answered.
        wrong: (a,) true errors of the machine on each ask.
        look: (a,) seconds to look at it and say so, if all is right.
        fix: (a,) seconds to put one error right, beyond the look at it.
        eps: largest error rate that is asked for.
        delta: chance that a certificate is wrong.
        signals: name -> (a,) of what other policies go by: `score`, `entropy`, `objectlab`; NaN where it says nothing.
        learn: how the lot follows from a pilot, if one is made.
        pilot: units of the pilot, 0 for none.
    """

    lot: Lot
    wrong: Floats
    look: Floats
    fix: Floats
    eps: float
    delta: float
    signals: Mapping[str, Floats] = field(default_factory=dict)
    learn: Learn | None = None
    pilot: int = 0

    @property
    def open(self) -> Bools:
        """Return which asks (a,) people have not answered yet."""
        return ~self.lot.settled[self.lot.ask_unit]


class Desk:
    """Keep what a simulated person answered, how long it took, and what errors are left.

    Attributes:
        seen: (a,) errors that the person saw on each ask, NaN where none was asked.
        left: (a,) errors that are still there.
        stopped: number of entries of the log at which the arm had done what it set out to, or None.
        certified: whether it claims a certificate then.
        turn: number of the repetition.
    """

    def __init__(self, case: Case, reviewer: Reviewer, rng: np.random.Generator, turn: int = 0) -> None:
        self.case, self.reviewer, self.rng, self.turn = case, reviewer, rng, turn
        self.seen = np.full(len(case.wrong), np.nan)
        self.left = np.where(case.open, case.wrong, 0.0)
        self.stopped: int | None = None
        self.certified = False
        self._log: list[tuple[Ints, Floats, Floats]] = []

    def answer(self, asks: Ints) -> None:
        """Have those of `asks` answered, in this order, that were not before."""
        asks = asks[np.isnan(self.seen[asks]) & self.case.open[asks]]
        self.seen[asks] = 0.0
        self._look(asks)

    def again(self) -> None:
        """Have all that was answered looked at by another person, who knows nothing of the first."""
        self._look(np.flatnonzero(~np.isnan(self.seen)))

    def spend(self, seconds: Floats) -> None:
        """Count time that removes no error."""
        self._log.append((np.full(len(seconds), NO_ASK), self.reviewer.times(seconds, self.rng), np.zeros(len(seconds))))

    def stop(self, certified: bool = False) -> None:
        """Say that the arm is done, and whether it claims that no more errors are left than were asked for."""
        self.stopped, self.certified = sum(len(asks) for asks, _, _ in self._log), certified

    @property
    def log(self) -> tuple[Ints, Floats, Floats]:
        """Return the asks (k,), or NO_ASK, the seconds (k,) and the errors removed (k,) of all that was done, in order."""
        asks, seconds, removed = zip(*self._log, strict=True)
        return np.concatenate(asks), np.concatenate(seconds), np.concatenate(removed)

    def _look(self, asks: Ints) -> None:
        found = self.reviewer.found(self.left[asks], self.rng)
        self.left[asks] -= found
        self.seen[asks] += found
        drawn = np.ceil(found).astype(np.int64)  # actions besides the look, each of which takes a time of its own
        each = np.repeat(self.case.fix[asks] * found / np.maximum(drawn, 1), drawn)
        fixes = np.bincount(np.repeat(np.arange(len(asks)), drawn), self.reviewer.times(each, self.rng), len(asks))
        self._log.append((asks, self.reviewer.times(self.case.look[asks], self.rng) + fixes, found))


@dataclass(frozen=True)
class Arm:
    """Name a policy.

    Args:
        name: for the command line.
        label: for people.
        play: has asks answered at a desk.
        needs: signal that it goes by.
        single: True where it knows only lots in which each unit is right or wrong.
        claims: True where it may issue a certificate.
        parts: True where that holds for each stratum.
    """

    name: str
    label: str
    play: Callable[[Desk], None]
    needs: str = ""
    single: bool = False
    claims: bool = False
    parts: bool = False

    def why_not(self, case: Case) -> str:
        """Return why this policy can't be followed here, or nothing."""
        if self.needs and self.needs not in case.signals:
            return "needs a second source of labels" if self.needs == "objectlab" else f"needs the {self.needs} of the labels"
        return "knows only what is right or wrong as a whole, and no objects" if self.single and not case.lot.single else ""


def opened(lot: Lot, units: Ints) -> Ints:
    """Return all asks of `units`, each of which is opened whole, unit by unit in this order."""
    place = np.full(len(lot), len(lot))
    place[units] = np.arange(len(units))
    asks = np.argsort(place[lot.ask_unit], kind="stable")
    return asks[: int((place[lot.ask_unit] < len(lot)).sum())]


def in_scan_order(desk: Desk) -> None:
    """Open each unit in the order of the scan, or what is left of it."""
    desk.answer(opened(desk.case.lot, np.arange(len(desk.case.lot))))


def review_all(desk: Desk) -> None:
    """Open each unit in the order of the scan, and stop when all is done."""
    in_scan_order(desk)
    desk.stop()


def at_random(desk: Desk) -> None:
    """Open units in any order."""
    desk.answer(opened(desk.case.lot, desk.rng.permutation(len(desk.case.lot))))


def below(threshold: float) -> Callable[[Desk], None]:
    """Return the policy to ask what has a score below a threshold, and to accept the rest."""

    def play(desk: Desk) -> None:
        desk.answer(np.flatnonzero(desk.case.signals["score"] < threshold))
        desk.stop()
        in_scan_order(desk)

    return play


def most_unsure(desk: Desk) -> None:
    """Open the units first whose labels have most entropy in all."""
    lot, entropy = desk.case.lot, np.nan_to_num(desk.case.signals["entropy"])
    desk.answer(opened(lot, np.argsort(-np.bincount(lot.ask_unit, entropy, len(lot)), kind="stable")))


def by_objectlab(desk: Desk) -> None:
    """Open the units first that ObjectLab gives the lowest quality, by a second model."""
    lot = desk.case.lot
    quality = np.full(len(lot), np.inf)
    np.minimum.at(quality, lot.ask_unit, np.nan_to_num(desk.case.signals["objectlab"], nan=np.inf))
    desk.answer(opened(lot, np.argsort(quality, kind="stable")))


def oracle(desk: Desk) -> None:
    """Ask first what has most errors per second, as only somebody could who knows the truth; stop as soon as eps is reached."""
    case = desk.case
    cost = case.look + case.fix * case.wrong
    order = np.argsort(-np.where(case.open, case.wrong, 0) / cost, kind="stable")
    order = order[case.open[order]]
    over = case.wrong[order].sum() - np.cumsum(case.wrong[order]) > case.eps * case.lot.size.sum()
    enough = int(over.sum()) + 1 if case.wrong[order].sum() > case.eps * case.lot.size.sum() else 0
    desk.answer(order[:enough])
    desk.stop()
    desk.answer(order)


def pac_labels(desk: Desk) -> None:
    """Accept as "Probably Approximately Correct Labels" do (Candes, Ilyas and Zrnic 2025, arXiv 2506.10908).

    A tenth of the units is drawn with replacement; thresholds on the machine's own uncertainty go up until the betting bound of
    the error first exceeds eps.
    """
    case, lot = desk.case, desk.case.lot
    asks = np.flatnonzero(case.open)
    unsure = 1 - np.nan_to_num(case.signals["score"])[asks]
    drawn = desk.rng.integers(0, len(asks), max(1, len(asks) // 10))
    desk.answer(np.unique(asks[drawn]))
    grid = np.unique(np.quantile(unsure, np.linspace(0, 1, 201), method="lower"))
    losses = desk.seen[asks[drawn]][:, None] * (unsure[drawn][:, None] <= grid)
    passed = betting_e(losses, case.eps * len(lot) / max(len(asks), 1)).max(axis=0) >= np.log(1 / case.delta)
    stop = int(np.argmin(passed)) if not passed.all() else len(grid)
    desk.answer(asks[unsure > grid[stop - 1]] if stop else asks)
    desk.stop(certified=True)
    in_scan_order(desk)


def hyla(desk: Desk) -> None:
    """Learn risks from a pilot, plan, audit, test, and ask what was not certified; plant seeds where people overlook errors."""
    case, lot = desk.case, desk.case.lot
    if case.pilot and case.learn is not None:
        free = np.flatnonzero(~lot.settled)
        chosen = np.random.default_rng(desk.turn % PILOTS).choice(free, min(case.pilot, len(free)), replace=False)
        pilot = np.sort(chosen)
        desk.answer(opened(lot, pilot))
        settled = lot.settled.copy()
        settled[pilot] = True
        lot = replace(case.learn(desk.seen.copy()), settled=settled)
    planned = plan(lot, case.eps, case.delta if desk.reviewer.perfect else case.delta * PARTS[0])
    draws = draw(lot, planned, f"{desk.rng.integers(2**62):x}")
    desk.answer(opened(lot, np.unique(np.concatenate(draws)).astype(np.int64)))
    desk.answer(np.flatnonzero(lot.always))
    sensitivity = 1.0 if desk.reviewer.perfect else _measured(desk)
    certified = _accept(desk, lot, planned, draws, sensitivity)
    if not certified:
        desk.again()
        certified = _accept(desk, lot, planned, draws, 1 - (1 - sensitivity) ** 2)  # if two people miss independently
    desk.stop(certified)
    desk.answer(np.argsort(-lot.risk / lot.seconds, kind="stable"))


def _measured(desk: Desk) -> float:
    """Plant errors among what was answered, and return a lower bound on the share that the person sees."""
    answered = desk.seen[~np.isnan(desk.seen)]
    prevalence = ((answered > 0).sum() + SEEDS) / (len(answered) + SEEDS)
    desk.spend(np.full(SEEDS, desk.case.look.mean()))
    hits = int(desk.rng.binomial(SEEDS, float(desk.reviewer.chance(prevalence))))
    return float(clopper_pearson_lower(hits, SEEDS, desk.case.delta * PARTS[1]))


def _accept(desk: Desk, lot: Lot, planned: Plan, draws: list[Ints], sensitivity: float) -> bool:
    """Have asked what the test does not let go, and tell whether a certificate follows; else a second pass is needed."""
    order, stratum = lot.order(), lot.stratum[lot.ask_unit]
    outside = np.where(drawable(lot)[lot.ask_unit], 0.0, np.nan_to_num(desk.seen))
    doubt = desk.case.delta * PARTS[2] / len(lot.strata)
    cuts, enough = [0] * len(lot.strata), True
    for k, (part, drawn) in enumerate(zip(planned.strata, draws, strict=True)):
        if len(drawn):
            wanted = Test(k, part.name, part.method, part.eps, part.delta, part.cuts)
            beside = float(outside[stratum == k].sum())
            found = test(lot, wanted, drawn, desk.seen, sensitivity=sensitivity, reviewed_found=beside, doubt=doubt, order=order)
            cuts[k], enough = found.cut, enough and not found.second_pass
    first = np.argsort(-lot.risk / lot.seconds, kind="stable")
    desk.answer(first[route(lot, cuts, draws)[first]])
    for k, (part, drawn) in enumerate(zip(planned.strata, draws, strict=True)):
        if not len(drawn):  # all of it was asked, and only what people overlook can be left
            seen = float(np.nansum(desk.seen[stratum == k]))
            enough = enough and overlooked_upper(seen, sensitivity, doubt) <= part.eps * part.size
    return enough


ARMS = {
    arm.name: arm
    for arm in (
        Arm("review-all", "Review everything", review_all),
        Arm("random", "Random order", at_random),
        Arm("threshold-.5", "Score below 0.5", below(0.5), needs="score"),
        Arm("threshold-.9", "Score below 0.9", below(0.9), needs="score"),
        Arm("entropy", "Entropy", most_unsure, needs="entropy"),
        Arm("objectlab", "ObjectLab", by_objectlab, needs="objectlab"),
        Arm("pac", "PAC labels", pac_labels, needs="score", single=True, claims=True),
        Arm("hyla", "Hyla", hyla, claims=True, parts=True),
        Arm("oracle", "Oracle", oracle),
    )
}
