"""Make lots and audits to order, for the tests of the statistics."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hyla.decide.lot import WHOLE, Lot
from hyla.types import Floats, Ints


def single_lot(risk: npt.ArrayLike, *, stratum: Ints | None = None, settled: npt.ArrayLike | None = None) -> Lot:
    """Return a lot of pictures that are right or wrong, in ascending order of `risk` (give distinct ones)."""
    risk = np.asarray(risk, dtype=np.float64)
    n = len(risk)
    stratum = np.zeros(n, dtype=np.int64) if stratum is None else stratum
    return Lot(
        items=np.array([f"i{k}".encode() for k in range(n)]),
        digests=np.array([f"{k:064x}".encode() for k in range(n)]),
        unit=np.arange(n),
        size=np.ones(n),
        stratum=stratum,
        settled=np.zeros(n, dtype=bool) if settled is None else np.asarray(settled, dtype=bool),
        strata=tuple(f"s{k}" for k in range(int(stratum.max(initial=0)) + 1)),
        item=np.arange(n),
        row=np.full(n, WHOLE),
        risk=risk,
        seconds=np.ones(n),
        always=np.zeros(n, dtype=bool),
    )


def box_lot(boxes: Ints, row_risk: Floats, whole_risk: Floats) -> Lot:
    """Return a lot of pictures with boxes: an ask for each box and one for what is missing; size is boxes + 1.

    Args:
        boxes: (n,) boxes per picture.
        row_risk: risk of each box, picture by picture.
        whole_risk: (n,) risk that something is missing.
    """
    n = len(boxes)
    rows = [np.r_[np.arange(k), WHOLE] for k in boxes]
    first = np.r_[0, np.cumsum(boxes)]
    return Lot(
        items=np.array([f"i{k}".encode() for k in range(n)]),
        digests=np.array([f"{k:064x}".encode() for k in range(n)]),
        unit=np.arange(n),
        size=boxes + 1.0,
        stratum=np.zeros(n, dtype=np.int64),
        settled=np.zeros(n, dtype=bool),
        strata=("",),
        item=np.repeat(np.arange(n), boxes + 1),
        row=np.concatenate(rows),
        risk=np.concatenate([np.r_[row_risk[first[k] : first[k + 1]], whole_risk[k]] for k in range(n)]),
        seconds=np.ones(int(boxes.sum()) + n),
        always=np.zeros(int(boxes.sum()) + n, dtype=bool),
    )


def draw_by_size(rng: np.random.Generator, size: Floats, draws: int) -> Ints:
    """Return units drawn with replacement, with chance in proportion to size."""
    return rng.choice(len(size), draws, p=size / size.sum()).astype(np.int64)
