"""Estimate how likely each label is wrong, and how much is missing from each picture.

A risk orders what people are asked: no promise rests on it. A poor one costs their time, never the truth of a certificate.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hyla.decide.calibration import Calibration, reliability
from hyla.decide.features import Table, features, logit, right_all, surest
from hyla.decide.learner import Learner
from hyla.errors import ConfigError
from hyla.types import Bools, Floats, Ints

TIE = 1e-4  # share of the scores' risk in a learned one
LEAST = 30  # answered pictures from which on something is learned
MISS = 0.1  # missed objects per label and picture, before anything is known: detectors in use rarely miss more
REJECTED = 0.9  # risk of what a rule would drop


@dataclass(frozen=True, eq=False)
class Known:
    """Hold what people said of pictures, before the lot was frozen and outside of its audit.

    Args:
        items: (k,) which pictures they answered, as places in the table.
        rows: (j,) labels of these pictures, as places in the columns, with the machine's `row_errors` (j,) on each.
        whole_errors: (k,) the machine's errors on each picture as a whole.
    """

    items: Ints
    rows: Ints
    row_errors: Floats
    whole_errors: Floats

    @classmethod
    def nothing(cls) -> Known:
        """Return what is known where nobody answered."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


@dataclass(frozen=True, eq=False)
class Asked:
    """Say what a loss asks of the labels of a table.

    Args:
        about: (r,) labels that it looks at.
        apart: each of them is asked by itself, and the picture only for what is missing.
    """

    about: Bools
    apart: bool


@dataclass(frozen=True, eq=False)
class Assessed:
    """Hold the risks `rows` (r,), from 0 to 1, and `wholes` (n,), 0 or more: expected errors; and how well they hold.

    `calibrations` has one for labels, where they are asked, and one for pictures; each says so where nothing was learned.
    """

    rows: Floats
    wholes: Floats
    calibrations: tuple[Calibration, ...] = ()


class Risk(ABC):
    """Estimate risks: a stage of the config group `decide`.

    Args:
        second: labels of a second model to compare with, such as `truth:other`.
    """

    name: ClassVar[str]

    def __init__(self, second: str | None = None) -> None:
        self.second = second

    @abstractmethod
    def assess(self, table: Table, known: Known, asked: Asked) -> Assessed:
        """Return the risks of all labels and pictures of a table."""


class Score(Risk):
    """Take the machine at its word: a label is wrong with 1 - score.

    Of a picture as a whole, 0.1 missed objects are expected for each label and one more; where it is one question, it is right if
    all its labels are, each by its own, and if nothing is missing. What a rule would drop is wrong with 0.9 at least.

    Args:
        miss: missed objects per label and picture.
        second: not used.

    Raises:
        ConfigError: for a `miss` below 0.
    """

    name = "score"

    def __init__(self, miss: float = MISS, second: str | None = None) -> None:
        super().__init__(second)
        if miss < 0:
            raise ConfigError(f"decide.risk.miss is {miss:g}", "give missed objects per label, 0 or more")
        self.miss = miss

    def assess(self, table: Table, known: Known, asked: Asked) -> Assessed:
        """Return the risks that the scores alone give."""
        rows = np.where(table.row_flags[:, 4] > 0, REJECTED, 0)
        rows = np.maximum(rows, 1 - np.nan_to_num(table.machine.score.astype(np.float64), nan=0.5))
        count = np.bincount(table.machine.item[asked.about], minlength=len(table.machine.count))
        wholes = self.miss * (count + 1.0) if asked.apart else 1 - right_all(table.machine, asked.about) * (count > 0)
        wholes = np.maximum(wholes, np.where(table.flags[:, 4] > 0, REJECTED, 0))
        return Assessed(np.clip(rows, 0, 1), np.asarray(wholes))


class Entropy(Risk):
    """Order by how undecided the model was: `evidence["entropy"]`, else that of the score as the chance of one outcome of two.

    This is an order, in bits cut at 1; not a probability.
    """

    name = "entropy"

    def assess(self, table: Table, known: Known, asked: Asked) -> Assessed:
        """Return entropies; of a picture, the highest of its labels."""
        p = np.clip(table.machine.score.astype(np.float64), 1e-12, 1 - 1e-12)
        rows = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
        if (given := table.machine.evidence.get("entropy")) is not None:
            top = float(np.nanmax(given, initial=0)) or 1.0
            rows = np.where(np.isnan(given), rows, np.clip(given / top, 0, 1))
        return Assessed(np.clip(rows, 0, 1), _highest(table, rows, asked))


class Fixed(Risk):
    """Trust what has a score of at least `threshold`, and nothing else: what many tools do. It promises nothing.

    Args:
        threshold: above 0, to 1.
        second: not used.

    Raises:
        ConfigError: for another threshold.
    """

    name = "fixed"

    def __init__(self, threshold: float = 0.9, second: str | None = None) -> None:
        super().__init__(second)
        if not 0 < threshold <= 1:
            raise ConfigError(f"decide.risk.threshold is {threshold:g}", "give a score above 0, to 1")
        self.threshold = threshold

    def assess(self, table: Table, known: Known, asked: Asked) -> Assessed:
        """Return 1 for each label below the threshold, and for each picture with one; else 0."""
        rows = (table.machine.score < self.threshold).astype(np.float64)
        return Assessed(rows, _highest(table, rows, asked))


class Learned(Risk):
    """Learn from what people answered before.

    With fewer than 30 answered pictures the risks are those of `Score`, and say that they are not calibrated. Beyond, several
    models are fitted to the `hyla.decide.features`, and the one is taken that predicts best what it was not fitted to; see
    `hyla.decide.learner`. The reliability that is shown is of such predictions. All of it is the same whenever it is done again.

    Args:
        least: answered pictures from which on something is learned.
        miss: as for Score.
        second: labels of a second model to compare with.

    Raises:
        ConfigError: for a `least` below 10, or as Score does.
    """

    name = "learned"

    def __init__(self, least: int = LEAST, miss: float = MISS, second: str | None = None) -> None:
        super().__init__(second)
        if least < 10:
            raise ConfigError(f"decide.risk.least is {least}", "give at least 10 answered pictures")
        self.least, self._score = least, Score(miss)
        self._learner: Learner | None = None

    def assess(self, table: Table, known: Known, asked: Asked) -> Assessed:
        """Return what was learned, or the scores' risks where too little is known."""
        prior = self._score.assess(table, known, asked)
        if len(known.items) < self.least:
            return Assessed(prior.rows, prior.wholes, _uncalibrated(prior, known, asked))
        told, machine = features(table), table.machine
        rows, calibrations = prior.rows, []
        if asked.apart:
            groups = machine.item[known.rows]
            learner = Learner(told.names)
            shown = learner.fit(
                told.rows[known.rows], known.row_errors, machine.class_id[known.rows], groups, prior.rows[known.rows]
            )
            rows = _untied(learner.predict(told.rows, machine.class_id, prior.rows), prior.rows)
            calibrations.append(
                reliability("labels", shown, known.row_errors, prior.rows[known.rows], learner.chosen, len(known.items))
            )
        classes = np.where(machine.count > 0, machine.class_id[surest(machine)] if len(machine.class_id) else -1, -1)
        learner = Learner(told.whole_names, counts=asked.apart)
        shown = learner.fit(
            told.wholes[known.items], known.whole_errors, classes[known.items], known.items, prior.wholes[known.items]
        )
        wholes = _untied(learner.predict(told.wholes, classes, prior.wholes), prior.wholes)
        calibrations.append(
            reliability(
                "pictures",
                shown,
                known.whole_errors,
                prior.wholes[known.items],
                learner.chosen,
                len(known.items),
                counts=asked.apart,
            )
        )
        return Assessed(rows, wholes, tuple(calibrations))

    def fit(self, X: Floats, y: Floats, classes: Ints | None = None) -> Calibration:
        """Learn P(wrong) from bare numbers, and return how well it holds; for a comparison on recorded scores.

        Args:
            X: (n, k), the score first.
            y: (n,) 1 for wrong, else 0.
            classes: (n,) that the machine said.
        """
        given = np.zeros(len(X), np.int64) if classes is None else classes
        self._learner = Learner(("logit", *(f"x{i}" for i in range(1, X.shape[1]))))
        shown = self._learner.fit(_bare(X), y, given, np.arange(len(X)), 1 - X[:, 0])
        return reliability("labels", shown, y, 1 - X[:, 0], self._learner.chosen, len(X))

    def predict(self, X: Floats, classes: Ints | None = None) -> Floats:
        """Return P(wrong) (n,) after `fit`."""
        if self._learner is None:
            raise ConfigError("nothing was learned yet", "call fit first")
        return self._learner.predict(_bare(X), np.zeros(len(X), np.int64) if classes is None else classes, 1 - X[:, 0])


def _bare(X: Floats) -> Floats:
    return np.column_stack([logit(X[:, 0]), X[:, 1:]])


def _highest(table: Table, rows: Floats, asked: Asked) -> Floats:
    """Return the highest (n,) of the labels of each picture that are looked at; 1 where there are none."""
    item = table.machine.item[asked.about]
    found = np.zeros(len(table.machine.count))
    np.maximum.at(found, item, rows[asked.about])
    return np.where(np.bincount(item, minlength=len(found)) > 0, found, 1.0)


def _uncalibrated(prior: Assessed, known: Known, asked: Asked) -> tuple[Calibration, ...]:
    n = len(known.items)
    found = [
        reliability(
            "pictures", prior.wholes[known.items], known.whole_errors, prior.wholes[known.items], "", n, counts=asked.apart
        )
    ]
    if asked.apart:
        before = prior.rows[known.rows]
        found.insert(0, reliability("labels", before, known.row_errors, before, "", n))
    return tuple(found)


def _untied(risk: Floats, prior: Floats) -> Floats:
    """Return risks in which the scores decide where a model says the same of many, as trees do."""
    return np.asarray((1 - TIE) * risk + TIE * prior)
