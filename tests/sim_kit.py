"""What the tests of the simulation share: lots with known truth."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import numpy as np

from hyla.decide.arms import Case
from hyla.decide.lot import WHOLE, Lot
from hyla.types import Floats


def single(n: int = 2000, seed: int = 0, strata: int = 1, eps: float = 0.05, **changes: Any) -> Case:
    """Return a case of units that are right or wrong, with calibrated risks."""
    rng = np.random.default_rng(seed)
    risk = rng.beta(0.6, 3, n)
    wrong = (rng.random(n) < risk).astype(np.float64)
    lot = _lot(np.ones(n), rng.integers(0, strata, n), np.arange(n), np.full(n, WHOLE), risk, np.full(n, 1.8))
    entropy = -risk * np.log2(risk + 1e-12) - (1 - risk) * np.log2(1 - risk + 1e-12)
    given = {"signals": {"score": 1 - risk, "entropy": entropy}, **changes}
    return Case(lot, wrong, lot.seconds, np.full(n, 7.0), eps, 0.05, **given)


def objects(n: int = 800, seed: int = 0, eps: float = 0.05, **changes: Any) -> Case:
    """Return a case of pictures with about six labels each, and what is missed in them."""
    rng = np.random.default_rng(seed)
    labels = rng.poisson(6, n)
    item = np.concatenate([np.full(k + 1, i) for i, k in enumerate(labels)])
    row = np.concatenate([np.arange(-1, k) for k in labels])
    risk = np.where(row == WHOLE, rng.gamma(0.3, 0.6, len(row)), rng.beta(0.5, 8, len(row)))
    wrong = np.where(row == WHOLE, rng.poisson(risk), rng.random(len(row)) < risk).astype(np.float64)
    seconds = np.where(row == WHOLE, 2.5 + 0.2 * labels[item], 1.8)
    lot = _lot(labels + 1.0, np.zeros(n, np.int64), item, row, risk, seconds)
    score = np.where(row == WHOLE, np.nan, 1 - risk)
    given = {"signals": {"score": score, "entropy": np.where(row == WHOLE, np.nan, risk)}, **changes}
    return Case(lot, wrong, seconds, np.full(len(row), 7.0), eps, 0.05, **given)


def _lot(size: Floats, stratum: Any, item: Any, row: Any, risk: Floats, seconds: Floats) -> Lot:
    n = len(size)
    ids = [f"item{i:05d}".encode() for i in range(n)]
    digests = np.array([sha256(one).hexdigest().encode() for one in ids])
    names = tuple(f"part {k}" for k in range(int(stratum.max()) + 1)) if stratum.any() else ("",)
    settled, always = np.zeros(n, dtype=bool), np.zeros(len(item), dtype=bool)
    return Lot(np.array(ids), digests, np.arange(n), size, stratum, settled, names, item, row, risk, seconds, always)
