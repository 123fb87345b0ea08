"""Simulate a person who answers from the truth: overlooks some errors, and takes time.

What comes of it is simulated, and is called so wherever it is shown: it compares ways of spending a person's time, and says
nothing of any person. Misses can rise as errors get rarer, as those of people do (Wolfe, Horowitz and Kenner 2005, Nature
435:439), and times are spread as a lognormal around those of the effort model.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hyla.decide.effort import Effort
from hyla.decide.losses import Loss, Objects, Pictures
from hyla.decide.pairing import greedy, likeness
from hyla.errors import ConfigError
from hyla.schema import Schema
from hyla.types import Bools, Floats, Ints, Labels

# Share of targets missed, by the share of trials that hold one (Wolfe et al. 2005, figure 1).
PREVALENCE, MISSED = np.array([0.01, 0.10, 0.50]), np.array([0.30, 0.16, 0.07])
BLOCK = 100  # asks over which a person senses how rare errors are: an assumption
SPREAD = 0.5  # standard deviation of the logarithm of a time: an assumption, the middle half then lies within 0.7 to 1.4 medians
WORDS = ("perfect", "sensitivity=0.9", "prevalence", "sensitivity=0.9,prevalence")


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Hold how well a simulated person looks.

    Args:
        sensitivity: chance that an error which is shown is seen, 0 to 1.
        prevalence: True where it falls besides as errors get rarer: 7 % are missed where half of the asks have an error, 16 % at
            10 %, 30 % at 1 %, on a line over the logarithm between these and level beyond.
        spread: standard deviation of the logarithm of a time.
    """

    sensitivity: float = 1.0
    prevalence: bool = False
    spread: float = SPREAD

    @classmethod
    def parse(cls, text: str) -> Reviewer:
        """Return the reviewer of that name: `perfect`, `sensitivity=0.9`, `prevalence`, or both; else raise ConfigError."""
        sensitivity, prevalence = 1.0, False
        for word in text.replace(" ", "").split(","):
            name, _, value = word.partition("=")
            if name == "sensitivity" and value.replace(".", "", 1).isdigit() and 0 < float(value) <= 1:
                sensitivity = float(value)
            elif word == "prevalence":
                prevalence = True
            elif word != "perfect":
                raise ConfigError(f"there is no simulated reviewer {text!r}", "a sensitivity lies above 0, up to 1", WORDS)
        return cls(sensitivity, prevalence)

    @property
    def perfect(self) -> bool:
        """Tell whether nothing is overlooked."""
        return self.sensitivity == 1 and not self.prevalence

    def __str__(self) -> str:
        words = [f"sensitivity={self.sensitivity:g}"] * (self.sensitivity < 1) + ["prevalence"] * self.prevalence
        return ",".join(words) or "perfect"

    def chance(self, prevalence: Floats | float) -> Floats:
        """Return the chance to see an error where this share of the asks holds one."""
        p = np.clip(np.asarray(prevalence, dtype=np.float64), PREVALENCE[0], PREVALENCE[-1])
        missed = np.interp(np.log(p), np.log(PREVALENCE), MISSED) if self.prevalence else np.zeros(p.shape)
        return np.asarray(self.sensitivity * (1 - missed))

    def found(self, wrong: Floats, rng: np.random.Generator) -> Floats:
        """Return how much of the errors `wrong` (a,) of asks, in the order in which they are answered, is seen and put right.

        Each error of an ask is seen or not by itself; how rare they are is reckoned over a hundred asks at a time.
        """
        if self.perfect:
            return wrong.astype(np.float64)
        block = np.arange(len(wrong)) // BLOCK
        share = np.bincount(block, wrong > 0) / np.maximum(np.bincount(block), 1)
        chance = self.chance(share[block]) if len(wrong) else np.zeros(0)
        whole = np.floor(wrong)
        return rng.binomial(whole.astype(np.int64), chance) + (wrong - whole) * (rng.random(len(wrong)) < chance)

    def times(self, expected: Floats, rng: np.random.Generator) -> Floats:
        """Return a time for each action, lognormal around `expected` (seconds), which stays their mean."""
        return expected * rng.lognormal(-(self.spread**2) / 2, self.spread, len(expected))

    def answer(
        self,
        machine: Labels,
        truth: Labels,
        loss: Loss,
        schema: Schema,
        rng: np.random.Generator,
        rows: Iterable[int] = (),
        whole: bool = True,
        *,
        effort: Effort | None = None,
        prevalence: float = PREVALENCE[-1],
    ) -> tuple[Labels, float]:
        """Return the labels that the simulated person leaves of a picture, and the seconds that it took.

        What is not asked stays as the machine said it. A wrong label that is seen becomes the truth's version of it, or goes
        where there is none; what is missing is added where the picture is looked over. Where a loss asks about the picture alone,
        what it is about becomes the truth altogether.

        Args:
            machine: labels of the machine (n).
            truth: labels of the truth.
            loss: what counts as an error.
            schema: of both.
            rng: of what is overlooked, and of the times.
            rows: labels that are asked about.
            whole: whether the picture is asked about.
            effort: seconds per action; the reference's without.
            prevalence: share of asks that hold an error, as the person senses it.
        """
        effort = effort or Effort()
        errors, chance = loss.errors(machine, truth, schema), float(self.chance(prevalence))
        asked = np.array(sorted({int(r) for r in rows}), dtype=np.int64)
        apart = loss.apart or not len(machine)  # each label, and each thing that is missing, is an error
        fix, fix_whole = fixing(machine, truth, loss, schema, effort)
        if apart:
            version, missing = _versions(machine, truth, errors.rows > 0, schema)
            missing = missing[loss.about(truth.kind)[missing]]
            gone = asked[(errors.rows[asked] > 0) & (rng.random(len(asked)) < chance)]
            added = missing[rng.random(len(missing)) < chance] if whole else missing[:0]
            put = np.concatenate([version[gone][version[gone] >= 0], added])
            fixes = [*fix[gone].tolist(), *[fix_whole] * len(added)]
        elif whole and errors.whole and rng.random() < chance:
            gone, put = (np.flatnonzero(loss.about(one.kind)) for one in (machine, truth))
            fixes = [fix_whole * errors.whole]
        else:
            gone, put, fixes = asked[:0], asked[:0], []
        looks = [*effort.ask(machine)[asked].tolist(), *([effort.whole(machine, apart)] if whole else [])]
        seconds = float(self.times(np.array([*looks, *fixes], dtype=np.float64), rng).sum())
        if not len(gone) and not len(put):
            return machine, seconds
        return Labels.concat([machine[np.setdiff1d(np.arange(len(machine)), gone)], truth[put]]), seconds


def fixing(machine: Labels, truth: Labels, loss: Loss, schema: Schema, effort: Effort) -> tuple[Floats, float]:
    """Return the seconds that it takes, beyond the look, to put right one error of each row (n,), and one of the whole.

    People draw what the machine draws, whatever the truth is drawn with: boxes where it gives boxes. A label that is about
    nothing is only dropped, which the look at it includes.
    """
    errors = loss.errors(machine, truth, schema)
    if not loss.apart:
        said, true = (one[loss.about(one.kind)] for one in (machine, truth))
        objects = Objects(loss.iou if isinstance(loss, Pictures) else 1.0)
        rows, one = fixing(said, true, objects, schema, effort)
        return np.zeros(len(machine)), (float(rows.sum()) + one * objects.errors(said, true, schema).whole) / (
            errors.whole or 1.0
        )
    version, missing = _versions(machine, truth, errors.rows > 0, schema)
    rows = np.array([effort.fix(kind) for kind in machine.kind.tolist()], dtype=np.float64) * ((errors.rows > 0) & (version >= 0))
    kinds = machine.kind if len(machine) else truth.kind[missing]
    return rows, effort.fix(int(np.bincount(kinds).argmax())) if len(kinds) else 0.0


def _versions(machine: Labels, truth: Labels, wrong: Bools, schema: Schema) -> tuple[Ints, Ints]:
    """Return which of the truth each label of the machine (n,) is or should be, or -1, and which of the truth nothing is about.

    Labels are matched as `hyla.decide.losses.Objects` does, so that an error is put right by the ask to which it belongs.
    """
    found = np.full(len(machine), -1, dtype=np.int64)
    single = np.flatnonzero(truth.evidence.get("iscrowd", np.zeros(len(truth))) != 1)
    free = np.zeros(len(truth), dtype=bool)
    free[single] = True
    pairs = likeness(machine, truth)
    same = schema.same(machine, truth, pairs.a, pairs.b)
    for some in (~wrong[pairs.a] & same, wrong[pairs.a]):
        rows, objects = greedy(pairs.where(some & free[pairs.b]))
        found[rows], free[objects] = objects, False
    return found, np.flatnonzero(free)
