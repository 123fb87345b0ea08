"""Warn when a lot looks unlike an earlier one: no guarantee, for silence proves nothing, and no certificate rests on it.

Each lot is audited by itself and so is right whatever the earlier ones were; what was learned from them (risk scores, plans) only
costs more if it fits no longer. This says when to look.

Two samples of a channel are compared by a test of scipy: scores, which may change in spread as well as in height, by Kolmogorov
and Smirnov's; losses, most of which are 0, by their means, over permutations of who is in which lot. MAPIE's tests of
exchangeability are made for one stream in its order with a fitted estimator, and two lots are neither. Channels share the level
by Bonferroni. In a large lot any difference is beyond chance, so that one of scores has to be large enough too; and since
labels of one picture are alike, chance plays a larger part than the tests know.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyla.decide import gather
from hyla.errors import StageError
from hyla.types import Floats

if TYPE_CHECKING:
    from hyla.store import Project

FEWEST = 20  # values of each lot below which nothing is said
LEAST = 0.1  # of D, 0 to 1: the largest difference between the two cumulative shares; a rule of thumb
SHUFFLES, CELLS = 4999, 4_000_000  # permutations; numbers of one array of them
NOTE = "warning, no guarantee"


@dataclass(frozen=True)
class Channel:
    """Hold what was compared of one channel.

    Args:
        name: `scores`, `losses`.
        test: its name.
        before, now: values of each lot, without NaN.
        mean_before, mean_now: their means; None for none.
        difference: D of Kolmogorov and Smirnov, or for losses the difference of the means, now less before; None if too few.
        p: of the test; None if too few.
        warning: True if p is at most the channel's level and the difference large enough.
    """

    name: str
    test: str
    before: int
    now: int
    mean_before: float | None
    mean_now: float | None
    difference: float | None
    p: float | None
    warning: bool


@dataclass(frozen=True)
class DriftReport:
    """Hold whether a lot looks unlike an earlier one.

    Args:
        warning: True if any channel warns.
        why: in words.
        figures: by channel.
        level: false warnings to expect per comparison, at most, if nothing changed.
        note: what this is.
    """

    warning: bool
    why: str
    figures: tuple[Channel, ...]
    level: float
    note: str = NOTE

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.why} ({self.note})"]
        for one in self.figures:
            means = " -> ".join("-" if v is None else f"{v:.3f}" for v in (one.mean_before, one.mean_now))
            said = (
                f"difference {one.difference:.3f}, p {one.p:.2g}"
                if one.difference is not None and one.p is not None
                else "too few"
            )
            lines.append(f"  {one.name}  mean {means} (n {one.before}, {one.now})  {said}  {one.test}")
        return "\n".join(lines)


def drift(
    before: Mapping[str, npt.ArrayLike],
    now: Mapping[str, npt.ArrayLike],
    *,
    losses: Collection[str] = ("losses",),
    level: float = 0.05,
    least: float = LEAST,
) -> DriftReport:
    """Compare an earlier lot with the present one, channel by channel.

    Args:
        before: channel -> values of the earlier lot: `scores`, `losses` of its audit; NaN is left out.
        now: the same of the present one. A channel that only one of them has is not compared.
        losses: names of the channels that hold losses.
        level: chance of a false warning if nothing changed, above 0 and below 1.
        least: D from which scores are worth a warning.

    Raises:
        StageError: for lots that have no channel in common, or a level outside of (0, 1).
    """
    names = [name for name in before if name in now]
    if not names or not 0 < level < 1:
        raise StageError(
            f"lots are compared by a channel of both at a level between 0 and 1; got {sorted(before)}, {sorted(now)} and {level}"
        )
    figures = []
    for name in names:
        first, second = (np.asarray(side[name], dtype=np.float64).reshape(-1) for side in (before, now))
        figures.append(
            _compared(name, first[~np.isnan(first)], second[~np.isnan(second)], name in losses, level / len(names), least)
        )
    changed = [one for one in figures if one.warning]
    few = [one.name for one in figures if one.p is None]
    why = "; ".join(f"{one.name} changed ({one.mean_before:.3f} -> {one.mean_now:.3f} on average)" for one in changed)
    silent = f"too few to tell: {', '.join(few)}" if few else "no change seen, which does not prove that there is none"
    return DriftReport(bool(changed), why or silent, tuple(figures), level)


def of_project(project: Project) -> DriftReport | None:
    """Compare the last two lots of a project whose audits were answered; None if there are not two.

    Scores are those of all labels of a lot, losses the errors per size of what its audit drew.
    """
    numbers = [row.number for row in project.lots() if gather.phase(row) in ("tested", "issued", "second pass")]
    if len(numbers) < 2:
        return None
    before, now = (_losses(project, number) for number in numbers[-2:])
    scores: tuple[list[Floats], list[Floats]] = ([], [])
    for record in project.records("model"):
        for (items, _), side in zip((before, now), scores, strict=True):
            if record.item.id in items:
                side.append(record.labels.score)
    sides = [
        {"scores": np.concatenate([*side, np.zeros(0)]), "losses": losses}
        for side, (_, losses) in zip(scores, (before, now), strict=True)
    ]
    return drift(*sides)


def _losses(project: Project, number: int) -> tuple[set[str], Floats]:
    """Return the items of a lot, and the errors per size of each unit that its audit drew."""
    found = gather.evidence(project, number)
    lot = found.lot
    errors = np.bincount(lot.ask_unit, np.nan_to_num(found.wrong), len(lot)) / lot.size
    drawn = np.concatenate([*found.draws, np.zeros(0, dtype=np.int64)])
    return {lot.id(i) for i in range(len(lot.items))}, np.asarray(errors[drawn])


def _compared(name: str, before: Floats, now: Floats, losses: bool, level: float, least: float) -> Channel:
    from scipy.stats import ks_2samp, permutation_test

    first, second = (float(side.mean()) if len(side) else None for side in (before, now))
    difference = p = None
    if min(len(before), len(now)) < FEWEST or first is None or second is None:
        large = False
    elif losses:
        # The approximation of a rank test is too eager where nearly all losses are tied at 0.
        shuffled: Any = permutation_test(
            (now, before),
            _lead,
            vectorized=True,
            n_resamples=SHUFFLES,
            batch=max(1, CELLS // (len(before) + len(now))),
            random_state=0,
        )
        difference, p, large = second - first, float(shuffled.pvalue), True
    else:
        found = ks_2samp(before, now, method="asymp")
        difference, p = float(found.statistic), float(found.pvalue)
        large = difference >= least
    return Channel(
        name=name,
        test="permutation of means" if losses else "Kolmogorov-Smirnov",
        before=len(before),
        now=len(now),
        mean_before=first,
        mean_now=second,
        difference=difference,
        p=p,
        warning=large and p is not None and p <= level,
    )


def _lead(now: Floats, before: Floats, axis: int = -1) -> Floats:
    return np.asarray(now.mean(axis=axis) - before.mean(axis=axis))
