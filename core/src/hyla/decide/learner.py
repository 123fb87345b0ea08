"""Fit small models of what is wrong, and take the one that predicts best what it did not see.

The models, from the least to the most daring:

- scores: what the scores say, moved (and, given five errors and five right answers, stretched) to what was seen (Platt 1999);
- classes: the same with a class's own tendency, shrunken towards that of all by ten pseudo-answers;
- logistic: a logistic regression on all numbers, standardised, with a ridge that hardly touches what the scores say;
- boosting: boosted trees (scikit-learn's HistGradientBoosting), from 1,000 answers on, never falling with the score.

For numbers of missed objects: rate, a constant per label; poisson, a Poisson regression of the rate; boosting, of the same.

They are compared by the log loss (for numbers the Poisson deviance) of predictions out of five folds; a picture is never in two.
A more daring one is taken where it is better by more than one standard error of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.decide.features import logit
from hyla.types import Floats, Ints

FOLDS = 5
FEWEST = 5  # errors, and right answers, below which nothing but a move is fitted
MANY = 1000  # answers from which on trees are tried
MOST = 50_000  # answers that one model is fitted to: more change little
PRIOR = 10.0  # pseudo-answers that a class's tendency is shrunken by
HELD, FREE = 0.2, 3.0  # scales under the unit ridge: numbers are held back by 25 times as much, what the scores say by a ninth
FAR = 5.0  # standard deviations beyond which a number says no more
Predict = Callable[["_Rows"], Floats]
Fit = Callable[["_Rows", Floats], Predict]


@dataclass(frozen=True, eq=False)
class _Rows:
    """Hold numbers x (n, k), classes (n,), risks or expected numbers before (n,), and the folds (n,) of what is learned from."""

    x: npt.NDArray[Any]
    classes: Ints
    prior: Floats
    fold: Ints

    def __getitem__(self, some: Ints | slice) -> _Rows:
        return _Rows(self.x[some], self.classes[some], self.prior[some], self.fold[some])

    def __len__(self) -> int:
        return len(self.x)


class Learner:
    """Learn P(wrong), or expected numbers of errors, from numbers that describe things.

    Args:
        names: (k,) of the numbers; `logit` and `score` are the machine's certainty.
        counts: errors are numbers, 0 or more, and not 0 to 1.

    Attributes:
        chosen: name of the model taken.
    """

    def __init__(self, names: Sequence[str], counts: bool = False) -> None:
        self.names, self.counts = tuple(names), counts
        self.chosen = ""
        self._predict: Predict | None = None

    def fit(self, x: npt.NDArray[Any], y: Floats, classes: Ints, groups: Ints, prior: Floats) -> Floats:
        """Choose and fit a model, and return what such models predict (n,) of things that they were not fitted to.

        Args:
            x: (n, k) numbers, NaN for unknown.
            y: (n,) errors: 0 to 1, or numbers.
            classes: (n,).
            groups: (n,) what belongs together: the picture.
            prior: (n,) risks before.
        """
        fold = _folds(groups)
        rows = _Rows(x, classes, prior, fold)
        models = self._models(y)
        out = {name: np.zeros(len(y)) for name in models}
        for one in range(FOLDS):
            held, rest = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
            if not len(held) or not len(rest):
                continue
            rest = rest[:: -(-len(rest) // MOST)]
            for name, fit in models.items():
                out[name][held] = fit(rows[rest], y[rest])(rows[held])
        self.chosen = self._choose(y, out)
        some = np.arange(0, len(y), -(-len(y) // MOST))
        self._predict = models[self.chosen](rows[some], y[some])
        return out[self.chosen]

    def predict(self, x: npt.NDArray[Any], classes: Ints, prior: Floats) -> Floats:
        """Return risks (n,), from 0 to 1, or expected numbers, 0 or more."""
        assert self._predict is not None, "fit comes first"
        rows = _Rows(x, classes, prior, classes)
        found = np.zeros(len(x))
        for start in range(0, len(x), MOST):
            part = slice(start, start + MOST)
            found[part] = self._predict(rows[part])
        return np.maximum(found, 0) if self.counts else np.clip(found, 0, 1)

    def _choose(self, y: Floats, out: dict[str, Floats]) -> str:
        """Return the model to take: a more daring one only where it is better by more than a standard error."""
        chosen, *rest = out
        loss = _deviance if self.counts else _log_loss
        for name in rest:
            better = loss(y, out[chosen]) - loss(y, out[name])
            if better.mean() > better.std() / np.sqrt(len(y)):
                chosen = name
        return chosen

    def _models(self, y: Floats) -> dict[str, Fit]:
        enough = float(y.sum()) >= 2 * FEWEST and (self.counts or float((1 - y).sum()) >= 2 * FEWEST)
        if self.counts:
            found: dict[str, Fit] = {"rate": _rate}
            if enough:
                found["poisson"] = _poisson
            return found | ({"boosting": _boosted_counts} if enough and len(y) >= MANY else {})
        found = {"scores": _scores}
        if enough:
            found |= {"classes": _classes, "logistic": _logistic}
        return found | ({"boosting": self._boosting} if enough and len(y) >= MANY else {})

    def _boosting(self, rows: _Rows, y: Floats) -> Predict:
        from sklearn.ensemble import HistGradientBoostingClassifier

        less = [-1 if name in ("logit", "score") else 0 for name in self.names] + [1]
        model = HistGradientBoostingClassifier(**_TREES, monotonic_cst=less)
        x, wrong, weight = _both_ways(np.column_stack([_known(rows.x), _tendency(rows, y)]), y)
        model.fit(x, wrong, sample_weight=weight)
        effect = _effects(rows.classes, y)
        return lambda new: np.asarray(model.predict_proba(np.column_stack([new.x, effect(new.classes)]))[:, 1])


_TREES: dict[str, Any] = {
    "learning_rate": 0.06,
    "max_iter": 150,
    "max_leaf_nodes": 15,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "max_bins": 63,
    "random_state": 0,
}


def _scores(rows: _Rows, y: Floats) -> Predict:
    return _regression(rows, y)


def _classes(rows: _Rows, y: Floats) -> Predict:
    return _regression(rows, y, by_class=True)


def _logistic(rows: _Rows, y: Floats) -> Predict:
    return _regression(rows, y, by_class=True, numbers=True)


def _regression(rows: _Rows, y: Floats, by_class: bool = False, numbers: bool = False) -> Predict:
    """Fit a logistic regression; where errors or right answers are too few, only move the prior."""
    if y.sum() < FEWEST or (1 - y).sum() < FEWEST:
        by = _move(logit(rows.prior), (float(y.sum()) + 0.5) / (len(y) + 1))
        return lambda new: _sigmoid(logit(new.prior) + by)
    from sklearn.linear_model import LogisticRegression

    scale, certainty = _Scale(rows.x), _Scale(logit(rows.prior)[:, None])
    effect = _effects(rows.classes, y)

    def told(some: _Rows, tendency: Floats) -> Floats:
        parts = [certainty(logit(some.prior)[:, None]) * FREE]
        # A tendency is in log odds already. With many classes most are 0, and standardised the few others would be huge.
        parts += ([tendency[:, None]] if by_class else []) + ([scale(some.x) * HELD] if numbers else [])
        return np.hstack(parts)

    x, wrong, weight = _both_ways(told(rows, _tendency(rows, y)), y)
    model = LogisticRegression(C=1.0, max_iter=2000).fit(x, wrong, sample_weight=weight)
    return lambda new: np.asarray(model.predict_proba(told(new, effect(new.classes)))[:, 1])


def _rate(rows: _Rows, y: Floats) -> Predict:
    """Expect what the prior does, times what was found to what it expected."""
    factor = (float(y.sum()) + 0.5) / (float(rows.prior.sum()) + 0.5)
    return lambda new: new.prior * factor


def _poisson(rows: _Rows, y: Floats) -> Predict:
    from sklearn.linear_model import PoissonRegressor

    scale, weight = _Scale(rows.x), np.maximum(rows.prior, 1e-6)
    model = PoissonRegressor(alpha=0.3, max_iter=2000).fit(scale(rows.x), y / weight, sample_weight=weight)
    most = float(y.max()) + 1
    return lambda new: np.minimum(model.predict(scale(new.x)) * new.prior, most)


def _boosted_counts(rows: _Rows, y: Floats) -> Predict:
    from sklearn.ensemble import HistGradientBoostingRegressor

    weight = np.maximum(rows.prior, 1e-6)
    model = HistGradientBoostingRegressor(loss="poisson", **_TREES).fit(_known(rows.x), y / weight, sample_weight=weight)
    return lambda new: np.asarray(model.predict(new.x)) * new.prior


def _known(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return x (n, k) with 0 in columns of which nothing is known, which trees can't be cut at."""
    return np.where(np.isnan(x).all(axis=0), 0, x)


class _Scale:
    """Bring numbers to mean 0 and deviation 1, cut at FAR; what is unknown, or always the same, becomes 0."""

    def __init__(self, x: npt.NDArray[Any]) -> None:
        known = ~np.isnan(x)
        n = np.maximum(known.sum(axis=0), 1)
        self.mean = np.where(known, x, 0).sum(axis=0, dtype=np.float64) / n
        spread = np.sqrt((np.where(known, x - self.mean, 0) ** 2).sum(axis=0, dtype=np.float64) / n)
        self.spread = np.where(spread > 1e-9, spread, np.inf)

    def __call__(self, x: npt.NDArray[Any]) -> Floats:
        return np.asarray(np.clip(np.nan_to_num((x - self.mean) / self.spread), -FAR, FAR))


def _effects(classes: Ints, y: Floats) -> Callable[[Ints], Floats]:
    """Return how much more often than all each class is wrong: the log of the ratio of rates, shrunken; 0 for one never seen."""
    known, place = np.unique(classes, return_inverse=True)
    rate = (float(y.sum()) + 0.5) / (len(y) + 1)
    wrong, n = np.bincount(place, weights=y), np.bincount(place)
    effect = np.log((wrong + PRIOR * rate) / ((n + PRIOR) * rate))

    def of(some: Ints) -> Floats:
        at = np.minimum(np.searchsorted(known, some), len(known) - 1)
        return np.asarray(np.where(known[at] == some, effect[at], 0.0))

    return of


def _tendency(rows: _Rows, y: Floats) -> Floats:
    """Return the effects (n,) of the classes of what a model is fitted to, each from the other folds, not from itself."""
    out = np.zeros(len(y))
    for one in np.unique(rows.fold).tolist():
        held = rows.fold == one
        if not held.all():
            out[held] = _effects(rows.classes[~held], y[~held])(rows.classes[held])
    return out


def _both_ways(x: npt.NDArray[Any], y: Floats) -> tuple[npt.NDArray[Any], Ints, Floats | None]:
    """Return each thing as wrong with weight y and as right with weight 1 - y, or no weights where all are 1."""
    if np.isin(y, (0, 1)).all():
        return x, y.astype(np.int64), None
    bad, good = np.flatnonzero(y > 0), np.flatnonzero(y < 1)
    wrong = np.repeat([1, 0], [len(bad), len(good)])
    return np.concatenate([x[bad], x[good]]), wrong, np.concatenate([y[bad], 1 - y[good]])


def _move(odds: Floats, rate: float) -> float:
    """Return by how much log odds (n,) must be moved to have the mean chance `rate`."""
    low, high = -40.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _sigmoid(odds + middle).mean() < rate else (low, middle)
    return (low + high) / 2


def _folds(groups: Ints) -> Ints:
    """Return the fold (n,) of each thing: those of a group together, the groups shuffled in the same way each time."""
    _, place = np.unique(groups, return_inverse=True)
    n = int(place.max(initial=-1)) + 1
    return np.asarray((np.random.default_rng(0).permutation(n) % FOLDS)[place])


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))))


def _log_loss(y: Floats, p: Floats) -> Floats:
    q = np.clip(p, 1e-6, 1 - 1e-6)
    return np.asarray(-(y * np.log(q) + (1 - y) * np.log1p(-q)))


def _deviance(y: Floats, expected: Floats) -> Floats:
    mean = np.maximum(expected, 1e-6)
    return np.asarray(2 * (np.where(y > 0, y * np.log(np.maximum(y, 1e-300) / mean), 0) - y + mean))
