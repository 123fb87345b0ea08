"""What the tests of certificates share: lots with known errors, and the evidence that perfect or careless readers leave."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np

from hyla.decide import evidence as ledger
from hyla.decide.drawing import draw, route
from hyla.decide.evidence import Evidence, Reviewers
from hyla.decide.lot import WHOLE, Lot
from hyla.decide.planning import plan

TIMES = {name: f"2026-11-23T0{h}:00:00Z" for h, name in enumerate(("frozen", "drawn", "tested", "issued"), 6)}
SPENT = {"answer": (812, 2190.4), "edit": (143, 1012.0)}


def frozen(labels: np.ndarray, risk: np.ndarray, row: np.ndarray, item: np.ndarray, strata: tuple[str, ...], **how: Any) -> Lot:
    n = len(labels)
    digests = np.array([sha256(f"{i}".encode()).hexdigest() for i in range(n)], dtype="S64")
    return Lot(
        items=np.array([f"p{i:05d}" for i in range(n)], dtype="S"),
        digests=digests,
        unit=np.arange(n),
        size=how.pop("size", np.ones(n)),
        stratum=np.arange(n) % len(strata),
        settled=how.pop("settled", np.zeros(n, dtype=bool)),
        strata=strata,
        item=item,
        row=row,
        risk=risk,
        seconds=np.full(len(item), 1.8),
        always=how.pop("always", np.zeros(len(item), dtype=bool)),
    )


def pictures(
    n: int = 4000, strata: tuple[str, ...] = ("",), seed: int = 0, rate: float = 0.15, **how: Any
) -> tuple[Lot, np.ndarray]:
    """Return a lot of pictures that are right or wrong, and which are wrong (a,); the risks are calibrated."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(rate, 1 - rate, n).clip(1e-6, 1)
    wrong = (rng.random(n) < risk).astype(np.float64)
    return frozen(np.zeros(n), risk, np.full(n, WHOLE), np.arange(n), strata, **how), wrong


def objects(n: int = 1500, strata: tuple[str, ...] = ("",), seed: int = 0) -> tuple[Lot, np.ndarray]:
    """Return a lot of pictures with labels, each asked about, and the errors (a,) on each ask."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(1, 12, n)
    item = np.repeat(np.arange(n), labels + 1)
    row = np.concatenate([[WHOLE, *range(k)] for k in labels])
    risk = np.where(row == WHOLE, rng.gamma(0.3, 0.4, len(row)), rng.beta(0.1, 2.2, len(row))).clip(1e-6)
    wrong = np.where(row == WHOLE, rng.poisson(risk), rng.random(len(row)) < risk).astype(np.float64)
    return frozen(labels, risk, row, item, strata, size=labels + 1.0), wrong


def evidence(
    lot: Lot, truth: np.ndarray, eps: float = 0.05, delta: float = 0.05, *, reviewers: Reviewers | None = None, **how: Any
) -> Evidence:
    """Return the evidence after an audit and a review in which people saw all of `truth` (a,)."""
    people = reviewers or Reviewers()
    planned = plan(lot, eps, delta - people.delta, mode=how.pop("mode", "planned"))
    seed = how.pop("seed", "5eed")
    draws = tuple(draw(lot, planned, seed))
    audited = route(lot, [part.cuts[-1] if part.cuts else 0 for part in planned.strata], draws)
    made = Evidence(
        project="4f1c",
        number=1,
        lot=lot,
        seed=seed,
        plan=planned,
        draws=draws,
        wrong=np.where(route(lot, [0] * len(draws), draws), truth, np.nan) if people.seeds else np.where(audited, truth, np.nan),
        reviewers=people,
        loss={"name": "pictures" if lot.single else "objects", "iou": 0.5},
        by=("site",) if len(lot.strata) > 1 else (),
        unit="picture",
        spent=SPENT,
        times=TIMES,
        head="ab" * 32,
    )
    made = replace(made, **how)
    cuts = tuple(one.cut for one in ledger.tests(made))
    return replace(made, wrong=np.where(route(lot, cuts, draws), truth, np.nan))
