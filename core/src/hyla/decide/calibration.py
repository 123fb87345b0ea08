"""Show how far predicted risks hold: of what was said to be wrong with 10 %, was one in ten?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hyla.average_precision import wilson
from hyla.types import Floats

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Hold one point of a reliability diagram.

    Args:
        low, high: of the risks in it.
        n: things in it.
        predicted: mean of their risks.
        observed: share that was wrong.
        observed_low, observed_high: Wilson's 95 % interval of it, which takes them as independent.
    """

    low: float
    high: float
    n: int
    predicted: float
    observed: float
    observed_low: float
    observed_high: float


@dataclass(frozen=True)
class Calibration:
    """Hold how well risks hold on what people answered, predicted by models that had not seen it.

    Args:
        about: labels or pictures.
        model: that was taken; empty where nothing was learned.
        items: answered pictures.
        n: labels or pictures among them.
        errors: of the machine.
        bins: up to ten, of equal numbers; of pictures in which several things can be missing, of whether anything is.
        brier: mean squared difference between risk and error, 0 is best; `brier_before`: of the scores alone.
        auc: chance that of one wrong and one right the wrong one has the higher risk; None where all are alike.
        auc_before: the same of the scores alone.
        note: what to know.
    """

    about: str
    model: str
    items: int
    n: int
    errors: float
    bins: tuple[Bin, ...]
    brier: float | None
    brier_before: float | None
    auc: float | None
    auc_before: float | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return asdict(self)


def reliability(
    about: str, risk: Floats, errors: Floats, before: Floats, model: str, items: int, counts: bool = False
) -> Calibration:
    """Return how well risks (n,) hold against errors (n,).

    Args:
        about: labels or pictures.
        risk: predicted by what had not seen the errors.
        errors: 0 or 1, or shares, or numbers of errors if `counts`.
        before: risks of the scores alone.
        model: that predicts; empty where nothing was learned.
        items: answered pictures.
        counts: risks are expected numbers of errors; whether there is any is then judged, with chance 1 - exp(-risk).
    """
    chance, past = (np.asarray(1 - np.exp(-one)) if counts else np.clip(one, 0, 1) for one in (risk, before))
    wrong = (errors > 0).astype(np.float64) if counts else errors
    n = len(wrong)
    some = n > 0
    note = "" if model else f"uncalibrated: {items} answered pictures are too few to learn from; the scores are taken as they are"
    return Calibration(
        about,
        model,
        items,
        n,
        float(errors.sum()),
        _bins(chance, wrong),
        float(np.mean((chance - wrong) ** 2)) if some else None,
        float(np.mean((past - wrong) ** 2)) if some else None,
        auc(chance, wrong),
        auc(past, wrong),
        note,
    )


def auc(risk: Floats, wrong: Floats) -> float | None:
    """Return the area under the ROC curve, ties counted half; None where nothing, or everything, is wrong by more than half."""
    from scipy.stats import rankdata

    bad = wrong > 0.5
    n, k = len(bad), int(bad.sum())
    if k in (0, n):
        return None
    return float((rankdata(risk)[bad].sum() - k * (k + 1) / 2) / (k * (n - k)))


def _bins(risk: Floats, wrong: Floats) -> tuple[Bin, ...]:
    """Return up to ten bins of equal numbers, of which equal risks are never in two."""
    if not len(risk):
        return ()
    edges = np.unique(np.quantile(risk, np.linspace(0, 1, BINS + 1)[1:-1]))
    place = np.searchsorted(edges, risk, side="left")
    found = []
    for one in np.unique(place).tolist():
        some = place == one
        n, k = int(some.sum()), float(wrong[some].sum())
        low, high = wilson(k, n)
        found.append(
            Bin(float(risk[some].min()), float(risk[some].max()), n, float(risk[some].mean()), k / n, float(low), float(high))
        )
    return tuple(found)
