"""Measure how far several readers agree on the same objects: Cohen's kappa, Fleiss' kappa and Krippendorff's alpha.

All three are (o - e) / (1 - e): the agreement that was observed, and the one to expect if all drew their answers from a hat. They
differ in what is in the hat: each reader's own answers (Cohen 1960, Educ Psychol Meas 20:37), the answers of all (Fleiss 1971,
Psychol Bull 76:378), or the answers of all without putting one back (Krippendorff, Content Analysis, 2004, chapter 11), which
alone bears that not everybody saw everything. An object that one reader marked and another did not is a disagreement; what
nobody marked is no object, so that with a single class there is nothing to correct for chance, and the plain shares `found` and
`same` are what to look at.

Intervals are over pictures, drawn anew with replacement, since the objects of one picture are not independent: Student's t
times the standard deviation of the draws, on either side of the logarithm of the disagreement (1 - o) / (1 - e), which is
skewed where it is rare. Where all draws are alike, as they are if nobody disagreed, Wilson's interval of the observed share
takes their place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyla.average_precision import wilson
from hyla.decide.matching import ABSENT, ratings
from hyla.errors import ConfigError, StageError
from hyla.figure import Figure
from hyla.store.asks import NOBODY
from hyla.store.recall import standing
from hyla.types import Floats, Ints, Labels, Verdict

if TYPE_CHECKING:
    from hyla.store import Project
    from hyla.store.asks import Decision

LEVELS = ("nominal", "ordinal", "interval", "ratio")
RELIABLE, TENTATIVE = 0.8, 0.667  # Krippendorff 2004, page 241
FEW = 30  # pictures below which the reading says so
CELLS = 20_000_000  # numbers of one array of draws: of more than 20,000 pictures there are fewer than 1000 draws
NONE = Figure(None, None, None, 0)


@dataclass(frozen=True)
class Agreement:
    """Hold how far readers agree; the n of each figure counts the objects that at least two of them rated.

    Args:
        kappa: Cohen's, of two readers; else None.
        fleiss: of objects that all have the same number of answers, whoever gave them; else None.
        alpha: Krippendorff's.
        same: share of pairs of answers on one object that are the same.
        found: share of pairs of answers on one object of which neither or both say that it is not there.
        named: alpha of the classes alone, where both saw an object.
        readers, pictures, objects: how many; pictures are those with an object that two readers rated.
        level: of measurement, for alpha.
        samples: draws behind the intervals.
        reading: what alpha is conventionally taken to mean.
    """

    kappa: Figure | None
    fleiss: Figure | None
    alpha: Figure
    same: Figure
    found: Figure
    named: Figure
    readers: int
    pictures: int
    objects: int
    level: str
    samples: int
    reading: str

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.readers} readers, {self.objects} objects in {self.pictures} pictures; intervals over pictures"]
        figures = {
            f"Krippendorff's alpha ({self.level})": self.alpha,
            "Cohen's kappa": self.kappa,
            "Fleiss' kappa": self.fleiss,
            "same answer": self.same,
            "found by both": self.found,
            "alpha of the class, where both found it": self.named,
        }
        width = max(map(len, figures))
        lines += [f"  {name:<{width}}  {figure}" for name, figure in figures.items() if figure is not None]
        return "\n".join([*lines, f"  {self.reading}"])


def agreement(
    ratings: npt.ArrayLike, picture: npt.ArrayLike | None = None, *, level: str = "nominal", samples: int = 1000, seed: int = 0
) -> Agreement:
    """Return how far readers agree.

    Args:
        ratings: (readers, objects) class id or grade, `matching.ABSENT`, or NaN where a reader did not see the picture.
        picture: (objects,) index of the picture that each object is in; without it each is a picture of its own.
        level: of measurement. `ordinal`, `interval` and `ratio` are for grades, whose order or distance counts; ABSENT has no
            place among these and is taken as not seen, and there is no kappa. They need the package krippendorff.
        samples: draws behind the intervals, at least 2.
        seed: of these draws.

    Raises:
        ConfigError: for an unknown level, or if the package is needed and missing.
        StageError: for arrays that do not fit together.
    """
    value = np.asarray(ratings, dtype=np.float64)
    where = np.arange(value.shape[-1]) if picture is None else np.asarray(picture)
    if level not in LEVELS:
        raise ConfigError(f"level={level} is not a choice", choices=LEVELS)
    if value.ndim != 2 or where.shape != (value.shape[1],) or samples < 2:
        raise StageError(
            f"ratings must be (readers, objects), with a picture for each object and 2 samples or more; "
            f"got {value.shape}, {where.shape} and {samples}"
        )
    present = np.where(value == ABSENT, np.nan, value)
    kappa = fleiss = None
    rated = _Rated(value, where, samples, seed)
    if level == "nominal":
        alpha = rated.figure(*rated.alpha())
        kappa = rated.figure(*rated.cohen()) if rated.readers == 2 else None
        fleiss = rated.figure(*rated.fleiss()) if rated.even else None
    else:
        rated = _Rated(present, where, samples, seed)
        alpha = _graded(rated, level)
    there = _Rated(np.where(np.isnan(value), np.nan, value != ABSENT), where, samples, seed)
    named = _Rated(present, where, samples, seed)
    return Agreement(
        kappa=kappa,
        fleiss=fleiss,
        alpha=alpha,
        same=rated.figure(rated.alpha()[0]),
        found=there.figure(there.alpha()[0]),
        named=named.figure(*named.alpha()) if level == "nominal" else NONE,
        readers=rated.readers,
        pictures=rated.pictures,
        objects=rated.objects,
        level=level,
        samples=rated.samples,
        reading=read(alpha, rated.pictures, len(np.unique(present[~np.isnan(present)]))),
    )


def read(alpha: Figure, pictures: int, classes: int) -> str:
    """Return in words what Krippendorff's alpha is conventionally taken to mean (Krippendorff 2004, page 241)."""
    if alpha.value is None or alpha.low is None:
        return "nothing to read: no object was rated by two readers, or all of them always said the same one thing"
    words = ((RELIABLE, "reliable (0.80 or more)"), (TENTATIVE, "good for tentative conclusions only (0.667 to 0.80)"))
    said, least = (
        next((text for border, text in words if v >= border), "not reliable (below 0.667)") for v in (alpha.value, alpha.low)
    )
    notes = [f"alpha is {said}" + (f", but its interval reaches down to {alpha.low:.2f}: {least}" if least != said else "")]
    if classes == 1:
        notes.append("there is one class only, so that alpha says little: look at how often both found it")
    if pictures < FEW:
        notes.append(f"{pictures} pictures are few")
    return "; ".join(notes)


def of_project(
    project: Project, *, blind: bool = False, iou: float = 0.5, samples: int = 1000, seed: int = 0
) -> Agreement | None:
    """Return how far people agree in a project: each first answer with the second opinion on it, or None if there are none.

    Answers that a third person decided between count as they were given; what was taken back, imported or simulated does not,
    nor do pictures that were planted. Readers who saw the machine's labels lean towards them, and so towards each other: with
    `blind`, only the second opinions of those who did not see them count.

    Args:
        project: whose decisions are read.
        blind: only opinions given without sight of the machine's labels.
        iou: at which two labels are one object; see `matching.clusters`.
        samples: draws behind the intervals.
        seed: of these draws.
    """
    slim = [one for one in project.decisions() if one.action in ("opinion", "undo")]
    opinions = [one for one in standing(reversed(slim)) if one.action == "opinion" and (one.mode == "blind" or not blind)]
    firsts = project.decisions_by(one.before["decision"] for one in opinions)
    planted, there = project.planted(), project.machine_annotations(one.item_id for one in opinions)  # not what was deleted
    pairs = [
        (first, one)
        for one in reversed(opinions)
        if one.item_id in there.keys() - planted.keys()
        and (first := firsts[one.before["decision"]]).mode not in NOBODY
        and one.mode not in NOBODY
    ]
    if not pairs:
        return None
    people = sorted({one.who for pair in pairs for one in pair})
    seats = {who: seat for seat, who in enumerate(people)}

    def pictures() -> Iterable[list[Labels | None]]:
        for first, second in pairs:
            given: list[Labels | None] = [None] * len(people)
            given[seats[first.who]], given[seats[second.who]] = _answers(project, second)
            yield given

    return agreement(*ratings(pictures(), project.schema(), iou), samples=samples, seed=seed)


def _answers(project: Project, opinion: Decision) -> tuple[Labels, Labels]:
    """Return the labels of a first answer, none where it rejected the picture, and those of the second opinion on it."""
    held = opinion.before
    first = Labels.empty() if held["outcome"] == Verdict.REJECT else project.labels_of(held["annotation"])[2]
    return first, project.labels_of(opinion.after["second"])[2]


class _Rated:
    """Hold answers as counts by picture, of which any draw of the pictures is a weighted sum."""

    def __init__(self, value: Floats, picture: Ints, samples: int, seed: int) -> None:
        pairable = (~np.isnan(value)).sum(axis=0) >= 2
        value, picture = value[:, pairable], picture[pairable]
        self.value = value[(~np.isnan(value)).any(axis=1)]
        self.readers, self.objects = self.value.shape
        self.domain = np.unique(value[~np.isnan(value)])
        self.counts = (self.value.T[:, :, None] == self.domain).sum(axis=1).astype(np.float64)  # (objects, values)
        self.answers = self.counts.sum(axis=1)
        self.even = bool(self.objects and (self.answers == self.answers[0]).all())
        names, self.picture = np.unique(picture, return_inverse=True)
        self.pictures = len(names)
        self.samples = max(2, min(samples, CELLS // max(self.pictures, 1)))
        self.weight = np.ones((1 + self.samples, self.pictures))  # the first is the figure itself
        if self.pictures:
            alike = np.full(self.pictures, 1 / self.pictures)
            self.weight[1:] = np.random.default_rng(seed).multinomial(self.pictures, alike, size=self.samples)

    def alpha(self) -> tuple[Floats, Floats]:
        """Return agreement observed and expected (1 + samples,), as Krippendorff's alpha of nominal values takes them."""
        pairs = (self.counts * (self.counts - 1)).sum(axis=1) / (self.answers - 1)
        total, by_value = self._sum(self.answers), self._sum(self.counts)
        expected = (by_value * (by_value - 1)).sum(axis=1)
        return _over(self._sum(pairs), total), _over(expected, total * (total - 1))

    def fleiss(self) -> tuple[Floats, Floats]:
        """Return agreement observed and expected (1 + samples,), as Fleiss' kappa takes them."""
        m = self.answers
        pairs = (self.counts * (self.counts - 1)).sum(axis=1) / (m * (m - 1))
        share = _over(self._sum(self.counts), self._sum(m)[:, None])
        return _over(self._sum(pairs), self._sum(np.ones(self.objects))), (share**2).sum(axis=1)

    def cohen(self) -> tuple[Floats, Floats]:
        """Return agreement observed and expected (1 + samples,), as Cohen's kappa of two readers takes them."""
        n = self._sum(np.ones(self.objects))
        shares = [_over(self._sum((one[:, None] == self.domain).astype(np.float64)), n[:, None]) for one in self.value]
        return _over(self._sum((self.value[0] == self.value[1]).astype(np.float64)), n), (shares[0] * shares[1]).sum(axis=1)

    def figure(self, observed: Floats, expected: Floats | None = None) -> Figure:
        """Return agreement beyond chance with its interval over pictures; without `expected`, the plain share."""
        chance = np.zeros(len(observed)) if expected is None else expected
        values = _over(observed - chance, 1 - chance)
        return self.interval(values, float(observed[0]), float(chance[0]))

    def interval(self, values: Floats, observed: float = np.nan, chance: float = np.nan) -> Figure:
        """Return values[0] with the interval that the other draws give, or Wilson's of `observed` where they are all alike."""
        from scipy.stats import t

        value, draws = float(values[0]), values[1:][~np.isnan(values[1:])]
        if np.isnan(value):
            return Figure(None, None, None, self.objects)
        error = float(np.std(draws, ddof=1)) if self.pictures > 1 and len(draws) > 1 else 0.0
        if error < 1e-9:
            ends = [(share - chance) / (1 - chance) for share in wilson(observed * self.pictures, self.pictures)]
            low, high = ends if np.isfinite(ends).all() else (-1.0, 1.0)
        else:
            spread = float(t.ppf(0.975, self.pictures - 1)) * error * np.sqrt(self.pictures / (self.pictures - 1))
            stretch = np.exp(spread / (1 - value))
            low, high = 1 - (1 - value) * stretch, 1 - (1 - value) / stretch
        return Figure(value, max(-1.0, float(low)), min(1.0, float(high)), self.objects)

    def _sum(self, of_objects: Floats) -> Floats:
        """Return the sums (1 + samples, ...) over the objects of each draw."""
        sums = np.zeros((self.pictures, *of_objects.shape[1:]))
        np.add.at(sums, self.picture, of_objects)
        return np.asarray(self.weight @ sums)


def _graded(rated: _Rated, level: Any) -> Figure:
    """Return Krippendorff's alpha of grades, as the package krippendorff computes it."""
    try:
        from krippendorff import alpha
    except ImportError as e:
        raise ConfigError("alpha of grades needs the package krippendorff", "pip install 'hyla[decide]'") from e
    if len(rated.domain) < 2:
        return Figure(None, None, None, rated.objects)
    values = np.full(len(rated.weight), np.nan)
    for draw, weight in enumerate(rated.weight.astype(np.int64)):
        counts = np.repeat(rated.counts, weight[rated.picture], axis=0)
        if np.count_nonzero(counts.sum(axis=0)) > 1:
            values[draw] = alpha(value_counts=counts, value_domain=rated.domain, level_of_measurement=level)
    return rated.interval(values)


def _over(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=np.abs(whole) > 1e-12))
