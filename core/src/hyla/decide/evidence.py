"""Gather what a certificate rests on in one place, test it, and refuse it where it is not whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyla.decide import threshold
from hyla.decide.drawing import draw, drawable
from hyla.decide.lot import Lot
from hyla.decide.planning import Plan, StratumPlan
from hyla.decide.sensitivity import Sensitivity, measure, overlooked_upper
from hyla.decide.threshold import Test, Tested
from hyla.errors import ConfigError, StoreError
from hyla.types import Bools, Floats, Ints

CENSUS = "census"  # people answer everything
PROTOCOLS = ("single", "double", "adjudicated")


@dataclass(frozen=True)
class Reviewers:
    """Hold what is known of the people who answered.

    Args:
        protocol: `single`, one answer holds; `double`, a second opinion on each; `adjudicated`, and a third where two differ.
        people: how many answered.
        seeds: kind of planted error -> (how many were planted, how many of them were found).
        delta: probability that the sensitivity may be overrated; 0 if nothing was planted.
        alpha: Krippendorff's alpha between them, where measured.
        twice: how many pictures two of them answered.
        simulated: True if a program answered in their place.
    """

    protocol: str = "single"
    people: int = 1
    seeds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    delta: float = 0.0
    alpha: float | None = None
    twice: int = 0
    simulated: bool = False

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ConfigError(f"there is no review protocol {self.protocol!r}", choices=PROTOCOLS)
        if bool(self.seeds) != (self.delta > 0):
            raise ConfigError(
                "planted errors need a share of delta, and nothing else does", "plant some, or leave the share at 0"
            )

    @property
    def sensitivity(self) -> Sensitivity | None:
        """Return how well they see, or None if nothing was planted.

        It has half of `delta`; the other half is for how many errors that leaves (`doubt` of `threshold.test`).
        """
        if not self.seeds:
            return None
        return measure({kind: (found, planted) for kind, (planted, found) in self.seeds.items()}, self.delta / 2)

    @property
    def lowest(self) -> float:
        """Return the share of errors that they see at least, of whatever kind; 1 if nothing was planted: their word is right."""
        return 1.0 if (known := self.sensitivity) is None else known.lowest


@dataclass(frozen=True, eq=False)
class Evidence:
    """Hold all that a certificate rests on.

    Args:
        project: id of the project.
        number: of the lot.
        lot: as frozen.
        seed: that the audit was drawn with.
        plan: stored before the seed was drawn.
        draws: units drawn per stratum, in order; the first of those planned where the method may stop early.
        wrong: (a,) errors of the machine that the answer to each ask removed; NaN where nobody answered.
        reviewers: who answered.
        loss: `name` of the loss, and its settings.
        by: keys that the strata were made by; none if the lot is not divided.
        unit: what one unit is called: picture, clip, patient.
        spent: action -> (how often, seconds in all), as measured.
        times: frozen, drawn, tested, issued -> when, in UTC.
        head: hash of the last decision that was counted.
        given_up: lots over the same pictures that were drawn and given up before this one.
        before: errors per stratum that people had put right before the freeze, in units settled then; none without it.
    """

    project: str
    number: int
    lot: Lot
    seed: str
    plan: Plan
    draws: tuple[Ints, ...]
    wrong: Floats
    reviewers: Reviewers
    loss: Mapping[str, Any]
    by: tuple[str, ...]
    unit: str
    spent: Mapping[str, tuple[int, float]]
    times: Mapping[str, str]
    head: str
    given_up: int = 0
    before: tuple[float, ...] = ()


def tests(evidence: Evidence) -> list[Tested]:
    """Test the cuts of each stratum, as planned, on what the audit found.

    Raises:
        StoreError: if other units were audited than the seed draws.
        ConfigError: if an answer of the audit is missing.
    """
    _prove_draws(evidence)
    lot, people, wrong = evidence.lot, evidence.reviewers, evidence.wrong
    order, unit = lot.order(), lot.ask_unit
    unlucky = ~drawable(lot)[unit]
    doubt = people.delta / 2 / len(lot.strata)
    before = evidence.before or (0.0,) * len(lot.strata)
    found = []
    for k, (part, drawn) in enumerate(zip(evidence.plan.strata, evidence.draws, strict=True)):
        mine = lot.stratum[unit] == k
        if part.method == CENSUS:
            found.append(_census(part, lot, mine, wrong, before[k], people.lowest, doubt))
            continue
        found.append(
            threshold.test(
                lot,
                Test(k, part.name, part.method, part.eps, part.delta, part.cuts),
                drawn,
                wrong,
                sensitivity=people.lowest,
                reviewed_found=float(np.nansum(wrong[mine & unlucky])) + before[k],
                doubt=doubt or 0.01,
                order=order,
            )
        )
    return found


tests.__dict__["__test__"] = False  # pytest would take the name for a test


def prove_review(evidence: Evidence, asked: Bools) -> None:
    """Raise ConfigError unless people answered all that is asked (a,) of them."""
    missing = int((asked & np.isnan(evidence.wrong)).sum())
    if missing:
        raise ConfigError(
            f"of {int(asked.sum())} questions that people must answer in lot {evidence.number}, {missing} are open",
            "answer them with `hyla review`, and certify again",
        )


def _prove_draws(evidence: Evidence) -> None:
    """Raise StoreError unless the units drawn are those of the seed, and ConfigError where the audit is not whole.

    Only `alpha` may have stopped before the last of them: the stakes of `betting` are laid for the number planned.
    """
    meant = draw(evidence.lot, evidence.plan, evidence.seed)
    for part, drawn, due in zip(evidence.plan.strata, evidence.draws, meant, strict=True):
        if not np.array_equal(drawn, due[: len(drawn)]):
            raise StoreError(
                f"the units audited in stratum {part.name!r} of lot {evidence.number} are not those that the seed draws",
                "run `hyla verify` on the project: the seed, the plan or the lot is not what it was",
            )
        if len(drawn) < len(due) and part.method != "alpha":
            raise ConfigError(
                f"the audit of stratum {part.name!r} is not finished: {len(drawn)} of {len(due)} draws are answered",
                "finish it with `hyla review`; only an audit of units that are right or wrong, in mode early, may stop before",
            )


def _census(part: StratumPlan, lot: Lot, mine: Bools, wrong: Floats, before: float, lowest: float, doubt: float) -> Tested:
    """Return what is known of a stratum of which people answer everything: only what they overlook is left."""
    seen = float(np.nansum(wrong[mine])) + before
    overlooked = overlooked_upper(seen, lowest, doubt) if lowest < 1 else 0.0
    return Tested(
        name=part.name,
        method=CENSUS,
        eps=part.eps,
        delta=part.delta,
        cut=0,
        draws=0,
        units_audited=0,
        errors=0.0,
        units=part.units,
        unsettled=part.unsettled,
        asks=int((mine & ~lot.settled[lot.ask_unit]).sum()),
        accepted=0,
        accepted_units=0,
        estimate=seen * (1 / lowest - 1) / part.size if 0 < lowest < 1 else 0.0,
        upper=min(overlooked / part.size, 1.0),
        upper_accepted=0.0,
        clipped=0.0,
        tried=(),
        overlooked=overlooked,
        second_pass=overlooked > part.eps * part.size,
    )
