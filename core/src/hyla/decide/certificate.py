"""Say what is promised of a lot, from what was frozen, drawn and answered: the same from the same evidence, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from hyla import __version__
from hyla.decide import wording
from hyla.decide.drawing import drawable, route
from hyla.decide.evidence import Evidence as Evidence
from hyla.decide.evidence import Reviewers as Reviewers
from hyla.decide.evidence import prove_review
from hyla.decide.evidence import tests as tests
from hyla.decide.lot import Lot
from hyla.decide.threshold import Tested
from hyla.errors import StoreError
from hyla.types import Bools, Floats, Ints

FORMAT = 1
ISSUED, SECOND_PASS = "issued", "second pass needed"
NAMES = ("certificate.json", "certificate.html")


@dataclass(frozen=True)
class Stratum:
    """Hold what was done and found in one stratum; errors are per `size`, the denominator.

    Args:
        name: of the stratum.
        method: of the test: hypergeometric, betting or alpha.
        eps, delta: what was to be shown of it.
        units, size: how many there are, and their share of the denominator.
        settled: units that people had answered before the freeze.
        eligible: units that could be drawn.
        draws, audited: how often a unit was drawn, and how many different ones.
        errors: found by the audit in what would have been accepted.
        asks, cut, accepted: questions that could be left out; how many of the safest were; and of these, those nobody answered.
        accepted_units: units of which nobody was asked anything.
        estimate: of the error that is left, from the audit.
        upper: that the error left is at most, over all of the stratum.
        upper_accepted: the same errors per size of what nobody answered, where they are; None if there is nothing.
        clipped: share of the audit's errors that the cap of one unit cut off.
        tried: (cut, p-value) of each test, up to the first failure.
        outcome: issued, or second pass needed.
    """

    name: str
    method: str
    eps: float
    delta: float
    units: int
    size: float
    settled: int
    eligible: int
    draws: int
    audited: int
    errors: float
    asks: int
    cut: int
    accepted: int
    accepted_units: int
    estimate: float
    upper: float
    upper_accepted: float | None
    clipped: float
    tried: tuple[tuple[int, float], ...]
    outcome: str


@dataclass(frozen=True)
class Certificate:
    """Hold what is promised of a lot, on what grounds, and what is not.

    Args:
        format: number of this format.
        version: of Hyla that issued it.
        project, lot, digest, seed, head: what it is about: ids and hashes.
        outcome: `issued`; or `second pass needed`, and then nothing is promised.
        simulated: True if a program answered in place of people.
        sentence: the claim.
        eps, delta: at most so much error is left, but for this probability.
        shares: how `delta` was divided: `audit`, of which each stratum has its part, and `reviewers`.
        mode: `planned`, or `early` if the audit could stop at any time.
        unit, loss, by: what an audit opened whole, the loss with its settings, and what the strata are.
        denominator, error: what the sizes count, and what an error is, in words.
        strata: one row each.
        whole: error left over the whole lot: `estimate` and `upper`.
        accepted: the same errors among what nobody answered, where they are: `upper`, per `size`.
        units: how many there are, in all and by what was done: `settled`, `audited`, `reviewed`, `accepted`.
        asks: how many questions were `answered` and `accepted`.
        corrected: errors of the machine that people took out.
        reviewers: `protocol`, `people`, `seeds` with what is known of each kind, `sensitivity`, `alpha`, `twice`.
        seconds: `spent` by action with how often; `planned` for the audit and the review, `review_all` for everything.
        assumptions, not_covered: sentences.
        times: when it was frozen, drawn, tested and issued.
    """

    format: int
    version: str
    project: str
    lot: int
    digest: str
    seed: str
    head: str
    outcome: str
    simulated: bool
    sentence: str
    eps: float
    delta: float
    shares: dict[str, float]
    mode: str
    unit: str
    loss: dict[str, Any]
    denominator: str
    error: str
    by: tuple[str, ...]
    strata: tuple[Stratum, ...]
    whole: dict[str, float]
    accepted: dict[str, float | None]
    units: dict[str, int]
    asks: dict[str, int]
    corrected: float
    reviewers: dict[str, Any]
    seconds: dict[str, Any]
    assumptions: tuple[str, ...]
    not_covered: tuple[str, ...]
    times: dict[str, str]

    @property
    def issued(self) -> bool:
        """Tell whether anything is promised."""
        return self.outcome == ISSUED

    @property
    def text(self) -> str:
        """Return the one JSON text of this certificate: keys sorted, no NaN, each number with all its digits."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

    @property
    def sha256(self) -> str:
        """Return the hash of `text`, in hex."""
        return sha256(self.text.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the certificate as JSON reads it back."""
        return dict(json.loads(self.text))

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Certificate:
        """Return the certificate that `to_dict` gave; raise StoreError for anything else."""
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            raise StoreError(f"this is no certificate of format {FORMAT}", "give the certificate.json that `hyla certify` wrote")
        try:
            rows = tuple(
                Stratum(**{**row, "tried": tuple((int(cut), float(p)) for cut, p in row["tried"])}) for row in value["strata"]
            )
            lists = {name: tuple(value[name]) for name in ("by", "assumptions", "not_covered")}
            return cls(**{**value, **lists, "strata": rows})
        except (TypeError, KeyError, ValueError) as e:
            raise StoreError(f"the certificate can't be read: {e}", "give the certificate.json that `hyla certify` wrote") from e

    def html(self) -> str:
        """Return the certificate as one page that needs nothing else."""
        from jinja2 import Environment, StrictUndefined

        source = files("hyla.decide").joinpath("certificate.html.j2").read_text(encoding="utf-8")
        room = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        room.filters.update(wording.FILTERS)
        return room.from_string(source).render(c=self)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write certificate.json and certificate.html into a folder, and return where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        data, page = (folder / name for name in NAMES)
        data.write_text(self.text, encoding="utf-8")
        page.write_text(self.html(), encoding="utf-8")
        return data, page


def issue(evidence: Evidence) -> Certificate:
    """Return the certificate that the evidence bears, or one that says that a second pass is needed.

    The same evidence gives the same certificate, bit for bit.

    Raises:
        StoreError: if other units were audited than the seed draws.
        ConfigError: if answers are missing, of the audit or of what the tests do not let go.
    """
    lot, plan, people = evidence.lot, evidence.plan, evidence.reviewers
    tested = tests(evidence)
    second = any(one.second_pass for one in tested)
    asked, known = route(lot, [one.cut for one in tested], evidence.draws), people.sensitivity
    if not second:
        prove_review(evidence, asked)
    touched = _touched(lot, evidence.draws, asked)
    rows = tuple(_row(evidence, k, one, asked, touched) for k, one in enumerate(tested))
    delta, size, seeded = plan.delta + people.delta, float(lot.size.sum()), bool(people.seeds)
    clipped = max(row.clipped for row in rows)
    left = sum(row.upper * row.size for row in rows)
    unseen = float(_unseen(lot, asked).sum())
    return Certificate(
        format=FORMAT,
        version=__version__,
        project=evidence.project,
        lot=evidence.number,
        digest=lot.digest,
        seed=evidence.seed,
        head=evidence.head,
        outcome=SECOND_PASS if second else ISSUED,
        simulated=people.simulated,
        sentence=wording.refused(evidence.number, people.lowest, people.simulated)
        if second
        else wording.sentence(
            evidence.loss,
            evidence.number,
            eps=plan.eps,
            delta=delta,
            size=size,
            strata=len(rows),
            protocol=people.protocol,
            seeded=seeded,
            simulated=people.simulated,
        ),
        eps=plan.eps,
        delta=delta,
        shares={"audit": plan.delta, "reviewers": people.delta},
        mode=plan.mode,
        unit=evidence.unit,
        loss=dict(evidence.loss),
        denominator=wording.denominator(evidence.loss),
        error=wording.error(evidence.loss),
        by=tuple(evidence.by),
        strata=rows,
        whole={
            "size": size,
            "estimate": sum(row.estimate * row.size for row in rows) / size,
            "upper": left / size,
        },
        accepted={"size": unseen, "upper": min(left / unseen, 1.0) if unseen else None},
        units=_units(lot, evidence.draws, touched),
        asks={"answered": int(asked.sum()), "accepted": sum(row.accepted for row in rows)},
        corrected=float(np.nansum(evidence.wrong)),
        reviewers={
            "protocol": people.protocol,
            "people": people.people,
            "seeds": {
                kind: {"found": found, "planted": planted, "least": least}
                for kind, (found, planted, least) in (known.kinds.items() if known else ())
            },
            "lowest": people.lowest,
            "alpha": people.alpha,
            "twice": people.twice,
        },
        seconds={
            "spent": {action: {"n": int(n), "seconds": float(s)} for action, (n, s) in evidence.spent.items()},
            "planned": float(plan.seconds),
            "review_all": float(plan.review_all_seconds),
        },
        assumptions=wording.assumptions(people.protocol, seeded, plan.mode),
        not_covered=wording.not_covered(
            evidence.loss,
            evidence.unit,
            strata=len(rows),
            seeded=seeded,
            simulated=people.simulated,
            clipped=clipped,
            given_up=evidence.given_up,
        ),
        times=dict(evidence.times),
    )


def _touched(lot: Lot, draws: Sequence[Ints], asked: Bools) -> Bools:
    """Return True (m,) for the units of which people said something."""
    touched = lot.settled.copy()
    touched[lot.ask_unit[asked]] = True
    for drawn in draws:
        touched[drawn] = True
    return touched


def _unseen(lot: Lot, asked: Bools) -> Floats:
    """Return what each ask (a,) that nobody answers has of the size of its unit, shared evenly; 0 for the others."""
    unit = lot.ask_unit
    share = lot.size[unit] / np.bincount(unit, minlength=len(lot))[unit]
    return np.where(asked | lot.settled[unit], 0.0, share)


def _units(lot: Lot, draws: Sequence[Ints], touched: Bools) -> dict[str, int]:
    """Count the units by the first of these that is so: settled before, audited, reviewed at least in part, accepted unseen."""
    audited, settled = len(np.unique(np.concatenate(draws))), int(lot.settled.sum())
    return {
        "all": len(lot),
        "settled": settled,
        "audited": audited,
        "reviewed": int(touched.sum()) - settled - audited,
        "accepted": int((~touched).sum()),
    }


def _row(evidence: Evidence, k: int, tested: Tested, asked: Bools, touched: Bools) -> Stratum:
    lot, drawn = evidence.lot, evidence.draws[k]
    here = lot.stratum == k
    free = here[lot.ask_unit] & ~lot.always & ~lot.settled[lot.ask_unit]
    size, unseen = float(lot.size[here].sum()), float(_unseen(lot, asked)[here[lot.ask_unit]].sum())
    return Stratum(
        name=tested.name,
        method=tested.method,
        eps=tested.eps,
        delta=tested.delta,
        units=int(here.sum()),
        size=size,
        settled=int((here & lot.settled).sum()),
        eligible=int((here & drawable(lot)).sum()),
        draws=len(drawn),
        audited=len(np.unique(drawn)),
        errors=tested.errors,
        asks=int(free.sum()),
        cut=tested.cut,
        accepted=int((free & ~asked).sum()),
        accepted_units=int((here & ~touched).sum()),
        estimate=tested.estimate,
        upper=tested.upper,
        upper_accepted=min(tested.upper * size / unseen, 1.0) if unseen else None,
        clipped=tested.clipped,
        tried=tested.tried,
        outcome=SECOND_PASS if tested.second_pass else ISSUED,
    )
