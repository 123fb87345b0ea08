"""Plan an audit before anybody starts: how many units to draw, what that will cost, and what it will save.

The plan rests on predicted risks, and may therefore be wrong about what is saved. What is promised does not rest on them: the
number of draws, the order of the asks and the cuts are all fixed before the draw, and the test holds whatever the risks are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from hyla.decide.bounds import zero_defect
from hyla.decide.drawing import drawable, orders
from hyla.decide.lot import Lot
from hyla.decide.outlook import MODES, Curve, Outlook, best, least_draws, smallest_eps
from hyla.decide.wording import duration
from hyla.errors import ConfigError
from hyla.types import Bools, Floats, Ints

COARSE = 256  # cuts spread evenly over the asks of a stratum: where risks mislead, at most 0.4 % of it is given away
FINE = 512  # cuts around where the test is expected to stop


@dataclass(frozen=True)
class StratumPlan:
    """Say what is planned for a stratum.

    Args:
        name: of the stratum, "" where the lot is not divided.
        units: in it.
        unsettled: units that people haven't answered yet.
        size: the denominator of the error, summed over all units.
        eps: largest share of errors that may remain.
        delta: chance, over the draw, that more remain all the same.
        method: hypergeometric, betting, alpha; or census, where people are asked everything and nothing is left to chance.
        draws: units to draw, 0 for a census.
        cuts: numbers of asks given up that are to be tested, ascending; fixed before the draw.
        accepted: expected share of the units that need no person.
        accepted_asks: expected number of asks that nobody answers.
        audit_seconds: expected time for the units drawn.
        review_seconds: expected time for everything else that is asked.
        all_seconds: time for asking everything.
        feasible: whether anything is expected to be accepted.
        smallest_eps: the smallest eps at which something would be; 0 where nothing is left to accept.
        why: in words, where it is not feasible: what stands in the way, and what would help.
    """

    name: str
    units: int
    unsettled: int
    size: float
    eps: float
    delta: float
    method: str
    draws: int
    cuts: tuple[int, ...]
    accepted: float
    accepted_asks: float
    audit_seconds: float
    review_seconds: float
    feasible: bool
    smallest_eps: float
    why: str
    all_seconds: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Say what a certificate takes, stratum by stratum; `str(plan)` is a table for people."""

    eps: float
    delta: float
    mode: str
    strata: tuple[StratumPlan, ...]

    @property
    def seconds(self) -> float:
        """Return the expected human time until the certificate, audit and review together."""
        return sum(part.audit_seconds + part.review_seconds for part in self.strata)

    @property
    def review_all_seconds(self) -> float:
        """Return the time that asking everything takes."""
        return sum(part.all_seconds for part in self.strata)

    @property
    def feasible(self) -> bool:
        """Tell whether anything is expected to be accepted in any stratum."""
        return any(part.feasible for part in self.strata)

    @property
    def accepted(self) -> float:
        """Return the expected share of all units that need no person."""
        return sum(part.accepted * part.units for part in self.strata) / max(sum(part.units for part in self.strata), 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the plan that `to_dict` wrote."""
        strata = tuple(StratumPlan(**{**part, "cuts": tuple(part["cuts"])}) for part in values["strata"])
        return cls(values["eps"], values["delta"], values["mode"], strata)

    def __str__(self) -> str:
        rows = [["", "units", "need no person", "audit", "time", "instead of"]]
        rows += [
            [
                part.name or "all",
                f"{part.units:,}",
                f"{part.accepted:.1%}",
                f"{part.draws:,}" if part.draws else "all asked",
                duration(part.audit_seconds + part.review_seconds),
                duration(part.all_seconds),
            ]
            for part in self.strata
        ]
        if len(self.strata) > 1:
            units, draws = sum(p.units for p in self.strata), sum(p.draws for p in self.strata)
            total = [f"{units:,}", f"{self.accepted:.1%}", f"{draws:,}"]
            rows.append(["together", *total, duration(self.seconds), duration(self.review_all_seconds)])
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
            for row in rows
        ]
        each = ", in each part" if len(self.strata) > 1 else ""
        head = f"At most {100 * self.eps:.3g} % errors left, with {100 * (1 - self.delta):.4g} % confidence{each}:"
        notes = [f"{part.name or 'all'}: {part.why}" for part in self.strata if part.why]
        return "\n".join([head, "", *lines, *([""] if notes else []), *notes])


def plan(lot: Lot, eps: float, delta: float, *, mode: str = "planned", most: float = 0.5) -> Plan:
    """Return the audit that is expected to leave the least work for people in total.

    For each size of the audit, up to a share `most` of the units, it is predicted from the risks where the test will stop, and
    so what is left to review. Delta is split equally over the strata in which anything can be accepted at all, so that the claim
    holds for all of them at once; where everything is asked, nothing is left to chance.

    Args:
        lot: frozen, or as it would be.
        eps: largest share of errors that may remain in each stratum, above 0 and below 1.
        delta: chance that the claim is wrong, above 0 and below 1.
        mode: `planned`, one test after the whole audit; `early`, tests that hold whenever one stops.
        most: largest share of the units to audit. What the audit opens of what would be asked anyway costs nothing.

    Raises:
        ConfigError: for values that make no sense.
    """
    for name, value in (("eps", eps), ("delta", delta), ("most", most)):
        if not 0 < value < 1:
            raise ConfigError(f"{name} is {value:g}", "give a share above 0 and below 1: 0.05 is 5 %")
    if mode not in MODES:
        raise ConfigError(f"unknown mode {mode!r}", choices=MODES)
    method = "betting" if not lot.single else "alpha" if mode == "early" else "hypergeometric"
    may, order = drawable(lot), orders(lot)
    curves = [_curve(lot, s, order[s], may, method) for s in range(len(lot.strata))]
    found = [best(curve, eps, delta / len(curves), most) for curve in curves]
    share = delta / max(sum(outlook is not None for outlook in found), 1)
    found = [outlook and best(curve, eps, share, most) for curve, outlook in zip(curves, found, strict=True)]
    strata = [
        _stratum(name, int((~lot.settled[lot.stratum == s]).sum()), curve, outlook, eps, share, most)
        for s, (name, curve, outlook) in enumerate(zip(lot.strata, curves, found, strict=True))
    ]
    return Plan(eps, delta, mode, tuple(strata))


def _curve(lot: Lot, s: int, order: Ints, may: Bools, method: str) -> Curve:
    mine = lot.stratum == s
    unit, risk = lot.ask_unit[order], lot.risk[order]
    last = np.full(len(lot), len(order), dtype=np.int64)
    last[unit] = np.arange(len(order))  # of repeated indices the last one holds: the ask of a unit that is given up last
    always = lot.always & ~lot.settled[lot.ask_unit] & mine[lot.ask_unit]
    last[lot.ask_unit[always]] = len(order)
    whole = np.bincount(last[mine & may], minlength=len(order) + 1)[: len(order)]
    size = lot.size[unit]
    at = np.unique(np.r_[np.arange(min(len(order), COARSE) + 1), np.linspace(0, len(order), 4 * COARSE).astype(np.int64)])
    return Curve(
        method=method,
        units=int(mine.sum()),
        drawable=int((mine & may).sum()),
        size=float(lot.size[mine].sum()),
        mass=float(lot.size[mine & may].sum()),
        at=at.astype(np.float64),
        risk=_sums(risk, at),
        square=_sums((risk + 2 * risk * _before(unit, risk) + risk**2) / size, at),
        seconds=_sums(lot.seconds[order], at),
        sized=_sums(lot.seconds[order] * size, at),
        whole=_sums(whole, at),
        fixed=float(lot.seconds[always].sum()),
    )


def _sums(values: Floats | Ints, at: Ints) -> Floats:
    return np.asarray(np.r_[0.0, np.cumsum(values, dtype=np.float64)][at], dtype=np.float64)


def _before(unit: Ints, risk: Floats) -> Floats:
    """Return for each ask the risk of the asks of its unit that are given up before it."""
    by_unit = np.argsort(unit, kind="stable")
    sums = np.cumsum(risk[by_unit]) - risk[by_unit]
    starts = np.flatnonzero(np.r_[True, np.diff(unit[by_unit]) != 0]) if len(unit) else np.empty(0, dtype=np.int64)
    lengths = np.diff(np.r_[starts, len(unit)])
    before = np.empty(len(unit))
    before[by_unit] = sums - np.repeat(sums[starts], lengths)
    return before


def _stratum(
    name: str, unsettled: int, curve: Curve, outlook: Outlook | None, eps: float, delta: float, most: float
) -> StratumPlan:
    least = smallest_eps(curve, delta, most) if curve.drawable else 0.0
    census = StratumPlan(
        name=name,
        units=curve.units,
        unsettled=unsettled,
        size=curve.size,
        eps=eps,
        delta=0.0,
        method="census",
        draws=0,
        cuts=(),
        accepted=0.0,
        accepted_asks=0.0,
        audit_seconds=0.0,
        review_seconds=curve.all_seconds,
        feasible=False,
        smallest_eps=least,
        why="",
        all_seconds=curve.all_seconds,
    )
    if outlook is None:
        return replace(census, why=_why(curve, eps, delta, most, least))
    return replace(
        census,
        delta=delta,
        method=curve.method,
        draws=outlook.draws,
        cuts=_cuts(outlook.stops, int(curve.at[-1])),
        accepted=outlook.accepted_units / curve.units,
        accepted_asks=float(outlook.unaudited.mean()),
        audit_seconds=outlook.audit_seconds,
        review_seconds=outlook.review_seconds,
        feasible=True,
    )


def _cuts(stops: Floats, asks: int) -> tuple[int, ...]:
    """Return the cuts to test: some spread over all asks, more of them around where the test is expected to stop."""
    middle, reach = float(stops.mean()), max(3 * float(np.ptp(stops)), 0.1 * asks)
    fine = np.linspace(max(middle - reach, 1), min(middle + reach, asks), FINE)
    cuts = np.unique(np.r_[np.linspace(1, asks, COARSE), fine].astype(np.int64))
    return tuple(cuts.tolist())


def _why(curve: Curve, eps: float, delta: float, most: float, least: float) -> str:
    if not curve.drawable:
        return "people have answered, or must answer, everything; there is nothing to accept."
    needed, draws = least_draws(curve, eps, delta), curve.most_draws(most)
    would = f"--eps {_round_up(least):g} would do" if least < 1 else "no eps would do"
    if needed > draws:
        return (
            f"too few units for an audit, so everything is asked, which takes {duration(curve.all_seconds)}: "
            f"eps {eps:g} takes at least {needed:,} audited, all without an error, and {most:.0%} of {curve.drawable:,} units is "
            f"{draws:,}. {would}, or merge it with others to about {int(np.ceil(zero_defect(eps, delta) / most)):,} units."
        )
    return (
        f"the machine is expected to be wrong too often for eps {eps:g}, so everything is asked, which takes "
        f"{duration(curve.all_seconds)}. {would}, or a better order: answer some more and plan again."
    )


def _round_up(eps: float) -> float:
    """Return eps with two digits that say something, never below itself."""
    unit = 10.0 ** (np.floor(np.log10(eps)) - 1)
    return float(np.round(np.ceil(eps / unit - 1e-9) * unit, 12))
