"""Say how sure a likeness to known products is, and whether a product is like none of them, from the exemplars themselves.

Each exemplar is compared with those of all other pictures, as if its own product had to be told (leave one picture out). That
gives for n trials the similarity s to the nearest exemplar, the margin m by which the nearest exemplar of any other product is
less similar, and whether the product was right:

- `likeness` = 1 / (1 + exp(-(a + b (s - 0.85) / 0.05 + c m / 0.03))): a logistic curve, fitted to the trials by the largest
  posterior. Before any trials a, b, c are PRIOR, with a deviation of 1 each: the curve over 324 photos of groceries, which is
  alike for appearance and for networks. Until many were tried no likeness comes near 1: it is at most (n + 9) / (n + 10).
- `novelty` = |{i: d_i < d}| / (n + 1) with d = 1 - s: the share of the trials in which the nearest exemplar was less distant. It
  is 1 less a conformal p-value (Vovk 2005): of pictures of known products that were taken as the exemplars were, at most the
  share 1 - t has a novelty above t. Fewer than 19 trials can't tell 5 %: it is unknown then.

The trials know no product that is new, so that the curve alone would trust the lead of whatever lies nearest: a margin above
0.1 counts as 0.1, and above a novelty of 0.95 a likeness is multiplied by (1 - novelty) / 0.05.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hyla.types import Bools, Floats

PRIOR = (-1.5, 1.0, 1.0)
MIDDLE, SPREAD = 0.85, 0.05  # of similarity, and its unit
LEAD, MOST = 0.03, 0.1  # unit of margin, and the most that counts
FEWEST = 19  # trials of which one in 20 can be told
RARE = 0.05  # share of known products that are taken for new ones


@dataclass(frozen=True, eq=False)
class Calibration:
    """Hold what the trials told.

    Args:
        curve: a, b and c of the logistic curve.
        distance: (n,) ascending, to the nearest exemplar.
        right: share of the trials whose product was right; NaN for none.
    """

    curve: tuple[float, float, float] = PRIOR
    distance: Floats = field(default_factory=lambda: np.zeros(0))
    right: float = float("nan")

    def likeness(self, similarity: Floats, margin: Floats) -> Floats:
        """Return the share (m,) of such claims that is right."""
        from scipy.special import expit

        most = (len(self.distance) + 9) / (len(self.distance) + 10)
        found = np.minimum(expit(_features(similarity, margin) @ np.array(self.curve)), most)
        strange = np.nan_to_num(self.novelty(similarity), nan=0.0)
        return np.asarray(found * np.minimum(1.0, (1 - strange) / RARE))

    def novelty(self, similarity: Floats) -> Floats:
        """Return the share (m,) of known products that lie nearer to their exemplars; NaN where too few were tried."""
        n = len(self.distance)
        if n < FEWEST:
            return np.full(np.shape(similarity), np.nan)
        return np.searchsorted(self.distance, 1 - np.asarray(similarity, dtype=np.float64)) / (n + 1)


def calibrate(similarity: Floats, margin: Floats, right: Bools, nearest: Floats) -> Calibration:
    """Return the calibration by n trials.

    Args:
        similarity: (n,) to the nearest exemplar of the product that was told.
        margin: (n,) by which the nearest exemplar of another product is less similar.
        right: (n,) whether it was the right product.
        nearest: (n,) similarity to the nearest exemplar of any product.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    if not len(right):
        return Calibration()
    given, prior, truth = _features(similarity, margin), np.array(PRIOR), right.astype(np.float64)

    def loss(curve: Floats) -> tuple[float, Floats]:
        logit, away = given @ curve, curve - prior
        value = float((np.logaddexp(0, logit) - truth * logit).sum() + 0.5 * (away**2).sum())
        return value, given.T @ (expit(logit) - truth) + away

    # A claim can't get less sure by being more alike, or further ahead.
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=[(None, None), (0, None), (0, None)])
    a, b, c = (float(one) for one in found.x)
    return Calibration((a, b, c), np.sort(1 - np.asarray(nearest, dtype=np.float64)), float(truth.mean()))


def _features(similarity: Floats, margin: Floats) -> Floats:
    s, m = np.asarray(similarity, dtype=np.float64), np.asarray(margin, dtype=np.float64)
    return np.stack([np.ones_like(s), (s - MIDDLE) / SPREAD, np.minimum(m, MOST) / LEAD], axis=-1)
