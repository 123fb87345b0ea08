"""Audit for bias: does the machine err more, is it trusted more, or do people look less, in one declared group than in another?

Three figures for each group of pictures: the share of error, the share that no person sees (auto-accept), and the seconds that
people spend on a picture. Means by group are fairlearn's (`MetricFrame`); intervals are added, since chance alone brings gaps
between small groups.

- An error is measured where it is known. Pictures that were shown to people because they looked wrong say nothing of their group:
  give the error of those in the audit, which were drawn by chance, or of all that have truth.
- Wilson's interval of a weighted share counts as many pictures as would be as sure if all weighed the same: Kish's (sum w)^2 /
  sum w^2 (Kish 1965, Survey Sampling). A share of error between 0 and 1 in a picture spreads less than 0/1 does, so that the
  interval is too wide rather than too narrow.
- The largest gap is picked from all pairs of groups, and so its interval is Newcombe's (1998, Stat Med 17:873, method 10) at
  0.05 divided by the number of pairs (Bonferroni).

Groups that nobody declared can't be looked at, and a gap is no proof of a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.average_precision import wilson
from hyla.errors import ConfigError, StageError
from hyla.figure import Figure
from hyla.types import Bools, Floats, Ints

FEWEST = 30  # pictures with a known answer below which a group is warned of and takes no part in the largest gap
MISSING = "(not declared)"
WHAT = {"error": "share of error", "accepted": "share accepted unseen"}
_Columns = tuple[Floats, Floats, Floats, Floats]  # error, size, accepted, seconds
_CAVEAT = "a warning of small groups and gaps, no certificate: nothing here is part of what is promised"


@dataclass(frozen=True)
class GroupFigures:
    """Hold what was measured of the pictures of one group.

    Args:
        name: of the group.
        pictures: in it.
        error: share of error where it is known, weighted by size.
        accepted: share that no person sees.
        seconds: of people per picture, with Student's interval.
    """

    name: str
    pictures: int
    error: Figure
    accepted: Figure
    seconds: Figure


@dataclass(frozen=True)
class Gap:
    """Hold the largest difference between two groups of an attribute.

    Args:
        what: `error` or `accepted`.
        high, low: names of the groups with the larger and the smaller share.
        difference: with an interval that allows for the choice among all pairs; n counts the pictures of both.
        clear: True if 0 lies outside that interval.
    """

    what: str
    high: str
    low: str
    difference: Figure
    clear: bool


@dataclass(frozen=True)
class AttributeFigures:
    """Hold what was measured by one attribute: groups by name, and the largest gaps where two groups are large enough."""

    name: str
    groups: tuple[GroupFigures, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class BiasReport:
    """Hold the bias audit.

    Args:
        attributes: in the order given.
        overall: all pictures as one group.
        warnings: small groups, groups without a known answer, gaps that are no chance.
    """

    attributes: tuple[AttributeFigures, ...]
    overall: GroupFigures
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        return {**asdict(self), "caveat": _CAVEAT}

    def __str__(self) -> str:
        lines = []
        for one in self.attributes:
            lines.append(one.name)
            width = max(len(group.name) for group in (*one.groups, self.overall))
            lines += [
                f"  {group.name:<{width}}  {group.pictures} pictures  error {group.error}  "
                f"accepted {group.accepted}  seconds {group.seconds}"
                for group in (*one.groups, self.overall)
            ]
            lines += [f"  largest gap, {WHAT[gap.what]}: {gap.high} over {gap.low} by {gap.difference}" for gap in one.gaps]
        return "\n".join([*lines, *(f"! {warning}" for warning in self.warnings), _CAVEAT])


def audit(
    groups: Mapping[str, Sequence[Any]],
    wrong: npt.ArrayLike,
    size: npt.ArrayLike | None = None,
    accepted: npt.ArrayLike | None = None,
    seconds: npt.ArrayLike | None = None,
) -> BiasReport:
    """Return error, auto-accept and seconds by group, for n pictures.

    Args:
        groups: attribute -> group of each picture (n,): site, scanner, sex; None or an empty word where it is not declared.
        wrong: (n,) share of error, from 0 to 1 (more counts as 1), NaN where it is not known.
        size: (n,) weight of each picture in the error, as in the certificate's denominator; all alike if not given. Where the
            pictures with a known error were drawn with chances proportional to their size, that weight is in the draw already.
        accepted: (n,) True where no person sees the picture, or the share of it that none sees; NaN where it is not known.
        seconds: (n,) that people spent on it, or the number of questions they were asked; NaN where it is not known.

    Raises:
        ConfigError: if nothing is declared, or without fairlearn.
        StageError: for arrays of different lengths, and sizes that are not above 0.
    """
    error = np.minimum(np.asarray(wrong, dtype=np.float64), 1.0)
    n = len(error)
    weight = np.ones(n) if size is None else np.asarray(size, dtype=np.float64)
    unseen, spent = (
        np.full(n, np.nan) if column is None else np.asarray(column, dtype=np.float64) for column in (accepted, seconds)
    )
    names = {attribute: np.array([_word(value) for value in values], dtype=object) for attribute, values in groups.items()}
    if not names or not n:
        raise ConfigError("a bias audit needs pictures, and an attribute that divides them", "declare one: --by site")
    if odd := {k: len(v) for k, v in {**names, "size": weight, "accepted": unseen, "seconds": spent}.items() if len(v) != n}:
        raise StageError(f"a bias audit needs one entry per picture, {n}; got {odd}")
    if not (weight > 0).all() or (error < 0).any():
        raise StageError("sizes must be above 0, and shares of error 0 or more")
    columns = (error, weight, unseen, spent)
    attributes, warnings = [], list[str]()
    for attribute, column in names.items():
        figures, overall = _by_group(column, columns)
        gaps = [gap for what in WHAT if (gap := _gap(what, figures, column, columns)) is not None]
        attributes.append(AttributeFigures(attribute, tuple(figures), tuple(gaps)))
        warnings += _warnings(attribute, figures, gaps)
    return BiasReport(tuple(attributes), overall, tuple(warnings))


def _word(value: Any) -> str:
    return MISSING if value is None or value != value or str(value) == "" else str(value)


def _by_group(names: npt.NDArray[np.object_], columns: _Columns) -> tuple[list[GroupFigures], GroupFigures]:
    """Return the figures of each group, by name, and those of all pictures."""
    try:
        from fairlearn.metrics import MetricFrame
    except ImportError as e:
        raise ConfigError("a bias audit needs the package fairlearn", "pip install 'hyla[decide]'") from e
    error, weight, unseen, spent = columns
    means = {"error": _mean(error, weight), "accepted": _mean(unseen), "seconds": _mean(spent)}
    at = np.arange(len(error))  # in place of what is true and predicted: each figure looks up columns of its own
    frame = MetricFrame(metrics=means, y_true=at, y_pred=at, sensitive_features=names)
    groups = [_figures(str(name), names == name, row, columns) for name, row in frame.by_group.iterrows()]
    return groups, _figures("all pictures", np.ones(len(error), dtype=bool), frame.overall, columns)


def _figures(name: str, here: Bools, mean: Mapping[str, float], columns: _Columns) -> GroupFigures:
    """Return the figures of the pictures `here` (n,), whose means are given, with their intervals."""
    error, weight, unseen, spent = columns
    known, told = (int((here & ~np.isnan(column)).sum()) for column in (error, unseen))
    return GroupFigures(
        name=name,
        pictures=int(here.sum()),
        error=_share(float(mean["error"]), _effective(error, weight, here), known),
        accepted=_share(float(mean["accepted"]), told, told),
        seconds=_spent(float(mean["seconds"]), spent[here]),
    )


def _mean(column: Floats, weight: Floats | None = None) -> Callable[[Ints, Ints], float]:
    """Return what gives the mean, weighted if so, of what is known of some rows of a column, NaN where nothing is."""
    known = ~np.isnan(column)
    weights = known * (1.0 if weight is None else weight)
    values = np.where(known, column, 0) * weights

    def mean(rows: Ints, _: Ints) -> float:
        total = weights[rows].sum()
        return float(values[rows].sum() / total) if total > 0 else np.nan

    return mean


def _effective(column: Floats, weight: Floats, here: Bools) -> float:
    some = weight[here & ~np.isnan(column)]
    return float(some.sum() ** 2 / (some**2).sum()) if len(some) else 0.0


def _share(value: float, effective: float, n: int) -> Figure:
    return Figure(value, *wilson(value * effective, effective), n) if n else Figure(None, None, None, 0)


def _spent(value: float, spent: Floats) -> Figure:
    from scipy.stats import t

    known = spent[~np.isnan(spent)]
    if len(known) < 2:  # of one value there is no interval, and no figure stands without
        return Figure(None, None, None, len(known))
    reach = float(t.ppf(0.975, len(known) - 1)) * float(np.std(known, ddof=1)) / np.sqrt(len(known))
    return Figure(value, max(0.0, float(value - reach)), float(value + reach), len(known))


def _gap(what: str, figures: Sequence[GroupFigures], names: npt.NDArray[np.object_], columns: _Columns) -> Gap | None:
    """Return the largest difference between two groups that are large enough, or None if there are no two."""
    shares: dict[str, tuple[float, float, int]] = {}
    for group in figures:
        figure: Figure = getattr(group, what)
        if figure.value is not None and figure.n >= FEWEST:
            here = names == group.name
            effective = _effective(columns[0], columns[1], here) if what == "error" else float(figure.n)
            shares[group.name] = (figure.value, effective, figure.n)
    pairs = list(combinations(shares, 2))
    if not pairs:
        return None
    one, other = max(pairs, key=lambda pair: abs(shares[pair[0]][0] - shares[pair[1]][0]))
    high, low = (one, other) if shares[one][0] >= shares[other][0] else (other, one)
    z = NormalDist().inv_cdf(1 - 0.05 / len(pairs) / 2)
    (p, m, n_high), (q, k, n_low) = shares[high], shares[low]
    (p_low, p_high), (q_low, q_high) = wilson(p * m, m, z), wilson(q * k, k, z)
    below, above = np.hypot(p - p_low, q_high - q), np.hypot(p_high - p, q - q_low)
    difference = Figure(p - q, max(-1.0, float(p - q - below)), min(1.0, float(p - q + above)), n_high + n_low)
    return Gap(what, high, low, difference, bool(p - q - below > 0))


def _warnings(attribute: str, figures: Sequence[GroupFigures], gaps: Sequence[Gap]) -> list[str]:
    said = []
    for group in figures:
        n, high = group.error.n, group.error.high
        if high is None:
            said.append(f"{attribute} {group.name}: nothing is known of the error in {group.pictures} pictures")
        elif n < FEWEST:
            said.append(
                f"{attribute} {group.name}: {n} pictures with a known answer are few; the error may be as high as {high:.2f}"
            )
    return said + [
        f"{attribute}: the {WHAT[gap.what]} is higher in {gap.high} than in {gap.low}, by {gap.difference.low:.3f} at least"
        for gap in gaps
        if gap.clear
    ]
