"""Find how many asks may be left out: test cuts in ascending order, on an audit drawn at random, and stop at the first failure.

Losses only grow from cut to cut. Let k be the first cut with more error than is allowed: it does not depend on the draw. A false
claim needs the test at k to pass, which has chance delta at most. So one delta serves all cuts (fixed-sequence testing; Bauer
1991, Angelopoulos 2021), if cuts, order and sample size are fixed before the draw. That is how `alpha` tests. The others are
sharper: what the audit finds is put right, and only what remains is bounded. Which cut then comes first with too much does depend
on the draw; `bounds.remaining_p` and `sequential.remaining_e` hold the proofs that one delta serves all the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hyla.decide import sequential
from hyla.decide.bounds import betting_upper, errors_upper, remaining_p, remaining_upper
from hyla.decide.lot import Lot
from hyla.decide.sensitivity import overlooked_upper
from hyla.decide.sequential import alpha_e, ppr_upper, remaining_e, remaining_wealth
from hyla.errors import ConfigError
from hyla.types import Bools, Floats, Ints

METHODS = ("hypergeometric", "betting", "alpha")


@dataclass(frozen=True, slots=True)
class Test:
    """Say what is to be tested in one stratum, fixed before the audit is drawn.

    Args:
        stratum: its index in the lot.
        name: its name.
        method: "hypergeometric" (0/1 loss, drawn without replacement, all draws at once), "alpha" (the same, valid at any time),
            or "betting" (losses in [0, 1], drawn with replacement with chance in proportion to size, all draws at once).
        eps: the error that may remain, as a share of the sizes of the stratum, in (0, 1).
        delta: the chance that the claim is false, in (0, 1).
        cuts: numbers of asks to leave out, counted in the order of the stratum, ascending; none: every ask is for people.
    """

    __test__: ClassVar[bool] = False  # pytest would take the name for a test

    stratum: int
    name: str
    method: str
    eps: float
    delta: float
    cuts: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"no method {self.method!r}")
        if not (0 < self.eps < 1 and 0 < self.delta < 1):
            raise ConfigError(f"eps and delta must be between 0 and 1, not {self.eps:g} and {self.delta:g}")
        if any(b <= a for a, b in zip((0, *self.cuts), self.cuts, strict=False)):
            raise ValueError("cuts must be above 0 and ascend")


@dataclass(frozen=True, slots=True)
class Tested:
    """Hold what a test found.

    Args:
        name, method, eps, delta: as in the test.
        cut: asks that may be left out, the first of the order of the stratum; 0: none.
        draws: how many units were drawn, those drawn twice counted twice.
        units_audited: how many different ones.
        errors: what the audit found on asks among the cut; people have put it right.
        units, unsettled: in the stratum; of these, not answered before the freeze.
        asks: of unsettled units.
        accepted: asks that nobody answers: among the cut, and not of an audited unit.
        accepted_units: units that were not audited and of which nothing is asked.
        estimate: of the error that remains, per size of the stratum.
        upper: bound on that at level 1 - delta; never below what the test has earned, so `eps` unless the last cut passed.
        upper_accepted: the same error as a share of the sizes of `accepted_units`; 0 if there are none.
        clipped: share of the error found by the audit that the cap of the loss cut off.
        tried: each cut tested, with its p-value, up to the first failure; 1/e for alpha, and for betting, where no more is won
            than 1/delta.
        overlooked: bound on the errors that people do not see, in what they answer and in what they don't; 0 for perfect people.
        second_pass: people overlook so much that nothing may be left out: the answers need a second look.
    """

    __test__: ClassVar[bool] = False

    name: str
    method: str
    eps: float
    delta: float
    cut: int
    draws: int
    units_audited: int
    errors: float
    units: int
    unsettled: int
    asks: int
    accepted: int
    accepted_units: int
    estimate: float
    upper: float
    upper_accepted: float
    clipped: float
    tried: tuple[tuple[int, float], ...]
    overlooked: float = 0.0
    second_pass: bool = False


def first_failure(passes: npt.ArrayLike) -> int:
    """Return how many pass before the first that does not."""
    failed = np.flatnonzero(~np.asarray(passes, dtype=bool))
    return int(failed[0]) if len(failed) else int(np.size(passes))


def counted_p(d: Ints, within: Ints, cuts: Ints, allowed: int) -> Floats:
    """Return the p-value of "more than `allowed` errors remain" at each cut of an audit without replacement.

    Only the units among the last cut count: they were a sample of their own, of a size that the errors have no part in.

    Args:
        d: (..., g) errors found among the first `cut`, and put right.
        within: (..., g) units drawn among them.
        cuts: (g,) ascending.
        allowed: errors that may remain.
    """
    p = remaining_p(d, allowed, cuts[-1], within[..., -1:])
    return np.where(cuts - within <= allowed, 0.0, p)  # so few were not audited that no more can remain


def stratum_order(lot: Lot, stratum: int, order: Ints | None = None) -> Ints:
    """Return the asks of a stratum in the order in which they are left out, from that of the lot, or from `order`."""
    whole = lot.order() if order is None else order
    here: Bools = lot.stratum[lot.ask_unit[whole]] == stratum
    return whole[here]


def test(
    lot: Lot,
    test: Test,
    draws: Ints,
    wrong: Floats,
    *,
    sensitivity: float = 1.0,  # noqa: PT028
    reviewed_found: float = 0.0,  # noqa: PT028
    doubt: float = 0.01,  # noqa: PT028
    order: Ints | None = None,  # noqa: PT028
) -> Tested:
    """Return how many asks of a stratum may be left out.

    Args:
        lot: frozen before the draw.
        test: as planned before the draw.
        draws: units in the order drawn.
        wrong: (a,) errors that people found on each ask; NaN: not answered.
        sensitivity: lower bound of the share of errors that people see (`sensitivity.measure`); 1: they see all.
        reviewed_found: errors found in units that could not be drawn (answered before the freeze, or always asked). What is found
            elsewhere may be added: it makes the bound wider, not wrong.
        doubt: chance that what people overlook exceeds its bound, spent beside delta and that of `sensitivity` where this is
            below 1.
        order: `lot.order()`, where there are many strata to test.

    Raises:
        ConfigError: no unit was drawn, or some drawn units have asks without an answer.
    """
    own = stratum_order(lot, test.stratum, order)
    cuts = np.asarray(test.cuts, dtype=np.int64)
    audit = _Audit.of(lot, test, own, cuts, np.asarray(draws, dtype=np.int64), wrong)
    everything = float(lot.size[lot.stratum == test.stratum].sum())
    allowed = test.eps * everything
    overlooked, aim = 0.0, None
    if sensitivity < 1:
        overlooked = overlooked_upper(audit.seen_upper(test.method, doubt / 2) + reviewed_found, sensitivity, doubt / 2)
        # bets must not know what the draws told, so that they are laid for what the risks say is overlooked
        hidden = overlooked_upper(min(float(lot.risk[own].sum()), audit.size) + reviewed_found, sensitivity, doubt / 2)
        aim = max(allowed - hidden, allowed / 5)
    left = allowed - overlooked
    second = left < 0
    p = np.ones(len(cuts)) if second else audit.p(test.method, left, aim, test.delta)
    passed = first_failure(p <= test.delta)
    cut = int(cuts[passed - 1]) if passed else 0
    upper = 0.0
    if cut:
        upper = min(left, audit.remaining_upper(test.method, left, aim, test.delta)) if passed == len(cuts) else left
    accepted, accepted_units, accepted_size = audit.accepted(cut)
    upper += overlooked
    estimate = audit.remaining_estimate(passed - 1) if cut else 0.0
    if 0 < sensitivity < 1:
        estimate += (audit.seen_estimate() + reviewed_found) * (1 / sensitivity - 1)
    here = lot.stratum == test.stratum
    return Tested(
        name=test.name,
        method=test.method,
        eps=test.eps,
        delta=test.delta,
        cut=cut,
        draws=len(draws),
        units_audited=len(audit.units),
        errors=float(audit.losses[:, passed - 1].sum()) if cut else 0.0,
        units=int(here.sum()),
        unsettled=int((here & ~lot.settled).sum()),
        asks=int((here & ~lot.settled)[lot.ask_unit].sum()),
        accepted=accepted,
        accepted_units=accepted_units,
        estimate=estimate / everything if everything else 0.0,
        upper=min(upper / everything, 1.0) if everything else 0.0,
        upper_accepted=min(upper / accepted_size, 1.0) if accepted_size else 0.0,
        clipped=audit.clipped(passed - 1) if cut else 0.0,
        tried=tuple((int(c), float(v)) for c, v in zip(cuts[: passed + 1], p[: passed + 1], strict=True)),
        overlooked=overlooked,
        second_pass=second,
    )


test.__dict__["__test__"] = False  # not a test of pytest's, whatever module imports it


@dataclass(frozen=True, slots=True)
class _Audit:
    """Hold the audit of a stratum as arrays: k different units drawn, g cuts.

    Args:
        lot: the lot.
        own: asks of the stratum that may be left out, in order.
        cuts: (g,) cuts.
        units: (k,) the different units drawn.
        slot: (draws,) index into `units` of each draw, in the order drawn.
        losses: (k, g) errors on the first `cut` asks.
        total: (k,) errors on all asks of the unit.
        place: (k,) where in `own` the last ask of each unit is.
        eligible: (m,) which units of the lot could be drawn.
    """

    lot: Lot
    own: Ints
    cuts: Ints
    units: Ints
    slot: Ints
    losses: Floats
    total: Floats
    place: Ints
    eligible: Bools

    @classmethod
    def of(cls, lot: Lot, test: Test, own: Ints, cuts: Ints, draws: Ints, wrong: Floats) -> _Audit:
        """Return the audit, once it is certain that it is whole and could have been drawn."""
        ask_unit = lot.ask_unit
        eligible = np.bincount(ask_unit[own], minlength=len(lot)) > 0
        units, slot = np.unique(draws, return_inverse=True)
        if len(cuts) and not len(units):
            raise ConfigError(
                f"stratum {test.name!r} has no audit: no unit of it was drawn",
                "plan again and draw from each stratum, or have people answer all of it",
            )
        if not eligible[units].all() or (len(cuts) and cuts[-1] > len(own)):
            raise ValueError("a unit was drawn, or a cut set, that this stratum does not have")
        if test.method != "betting" and (len(units) != len(draws) or not lot.single):
            raise ValueError(f"method {test.method!r} needs units drawn once, of size 1, with one ask at most")
        where = np.full(len(lot), -1)
        where[units] = np.arange(len(units))
        asked = np.flatnonzero(where[ask_unit] >= 0)
        open_units = np.unique(ask_unit[asked][np.isnan(wrong[asked])])
        if len(open_units):
            raise ConfigError(
                f"the audit of stratum {test.name!r} is not finished: "
                f"{len(open_units)} of {len(units)} units drawn still wait for an answer",
                "finish the audit: `hyla review` shows what waits",
            )
        total = np.bincount(where[ask_unit[asked]], weights=wrong[asked], minlength=len(units)).astype(np.float64)
        at = np.flatnonzero(where[ask_unit[own]] >= 0)
        k = where[ask_unit[own[at]]]
        losses = np.zeros((len(units), len(cuts) + 1))
        np.add.at(losses, (k, np.searchsorted(cuts, at, side="right")), wrong[own[at]])
        place = np.zeros(len(units), dtype=np.int64)
        np.maximum.at(place, k, at)
        losses = losses.cumsum(axis=1)[:, :-1]
        return cls(lot, own, cuts, units, slot.astype(np.int64), losses, total, place, eligible)

    @property
    def size(self) -> float:
        """Return the size of all that could be drawn."""
        return float(self.lot.size[self.eligible].sum())

    def _taint(self, losses: Floats) -> Floats:
        """Return the loss of each draw per size, capped at 1: (k,) to (draws,), or (k, g) to (draws, g)."""
        return np.minimum((losses.T / self.lot.size[self.units]).T, 1.0)[self.slot]

    def p(self, method: str, left: float, aim: float | None, delta: float) -> Floats:
        """Return the p-value (g,) of "more than `left` remains" at each cut; 1/e for betting and alpha."""
        if not len(self.cuts):
            return np.empty(0)
        if method == "betting":
            if left <= 0:
                return np.ones(len(self.cuts))
            x, size = self._firsts(self.losses)
            return _inverse(remaining_wealth(x, size, self.size, left, self._bets(left if aim is None else aim, delta)))
        allowed = math.floor(left + 1e-9)
        if method == "alpha":
            wrong, place = self.total[self.slot] > 0, self.place[self.slot]
            return _inverse(alpha_e(wrong, place, self.cuts, allowed, aim=None if aim is None else math.floor(aim)))
        d = (self.losses > 0).sum(axis=0)
        return counted_p(d, self._within(self.cuts), self.cuts, allowed)

    def _bets(self, aim: float, delta: float) -> Floats:
        """Return the bets for different units in the order in which they were drawn first, laid for `aim`."""
        size = self.lot.size[self.eligible]
        expected = float(-np.expm1(len(self.slot) * np.log1p(-size / size.sum())).sum()) if len(size) > 1 else 1.0
        return remaining_e(*self._firsts(self.losses), self.size, aim, delta, expected)[1]

    def _firsts(self, losses: Floats) -> tuple[Floats, Floats]:
        """Return the capped loss per size, and the size, of each different unit in the order in which they were drawn first."""
        k = self.slot[np.sort(np.unique(self.slot, return_index=True)[1])]
        size = self.lot.size[self.units[k]]
        return np.minimum((losses[k].T / size).T, 1.0), size

    def _within(self, cuts: Ints) -> Ints:
        """Return how many of the units drawn are among the first `cut`, for each cut."""
        return np.searchsorted(np.sort(self.place), cuts)

    def remaining_upper(self, method: str, left: float, aim: float | None, delta: float) -> float:
        """Return a bound on the error that remains at the last cut, in errors; it holds beside the test's at the same delta.

        If more remains at the last cut than is allowed, that it passed is the false claim already counted; if not, no test makes
        a false claim, and only this bound can be false.
        """
        if method == "betting":
            x, size = self._firsts(self.losses[:, -1])
            return sequential.remaining_upper(x, size, self.size, left, delta, self._bets(left if aim is None else aim, delta))
        d, population = int((self.losses[:, -1] > 0).sum()), int(self.cuts[-1])
        n = int(self._within(self.cuts[-1:])[0])
        return ppr_upper(n, d, population, delta) if method == "alpha" else remaining_upper(d, population, n, delta)

    def seen_upper(self, method: str, alpha: float) -> float:
        """Return a bound on the errors that people would see if they were asked everything that could be drawn."""
        if not len(self.units):
            return self.size
        if method == "betting":
            return betting_upper(self._taint(self.total), alpha) * self.size
        n, d, population = len(self.units), int((self.total > 0).sum()), int(self.eligible.sum())
        return float(ppr_upper(n, d, population, alpha) if method == "alpha" else errors_upper(d, population, n, alpha))

    def seen_estimate(self) -> float:
        """Return an estimate of the errors that people would see in all that could be drawn."""
        return float(self._taint(self.total).mean() * self.size) if len(self.slot) else 0.0

    def remaining_estimate(self, g: int) -> float:
        """Return an estimate of the errors that remain at cut g, those found by the audit taken off."""
        return max(float(self._taint(self.losses[:, g]).mean()) * self.size - float(self.losses[:, g].sum()), 0.0)

    def accepted(self, cut: int) -> tuple[int, int, float]:
        """Return how many asks nobody answers, of how many units nothing is asked, and the sum of their sizes."""
        audited = np.zeros(len(self.lot), dtype=bool)
        audited[self.units] = True
        accepted = self.lot.ask_unit[self.own[:cut]]
        asked = np.ones(len(self.lot.item), dtype=bool)
        asked[self.own[:cut]] = False
        whole = self.eligible & ~audited
        whole[self.lot.ask_unit[asked]] = False
        return int((~audited[accepted]).sum()), int(whole.sum()), float(self.lot.size[whole].sum())

    def clipped(self, g: int) -> float:
        """Return the share of the error found at cut g that the cap cut off."""
        taint = self.losses[:, g] / self.lot.size[self.units]
        drawn = taint[self.slot].sum()
        return float(1 - np.minimum(taint, 1.0)[self.slot].sum() / drawn) if drawn else 0.0


def _inverse(log_e: Floats) -> Floats:
    """Return 1/e of the largest e-value of each column, 1 at most."""
    p: Floats = np.exp(-log_e.max(axis=0, initial=0.0) - 1e-9)  # bets aim at 1/delta exactly: let it count as reached
    return p
