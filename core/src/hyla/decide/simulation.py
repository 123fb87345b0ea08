"""Hold what came of a simulation: how each policy fared, as text, as JSON and as what the report draws."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hyla.errors import StoreError
from hyla.figure import Figure

NAME = "simulation.json"
MARKS = (0.05, 0.02, 0.01)  # residual errors of which the seconds are given


@dataclass(frozen=True)
class Outcome:
    """Hold what an arm did, over all repetitions. Intervals hold the middle 95 % of the repetitions.

    Args:
        name, label: of the arm.
        why: why it does not apply here; nothing else is given then.
        error, low, high: share of errors left at each point of `Simulation.seconds`: mean and interval.
        auc: area under the curve, 0 as the random order's and 1 as the oracle's.
        to: residual error -> seconds until it is reached; `n` repetitions reached it.
        stopped: seconds at which it stops by itself, if it does.
        asked: share of asks answered when it stops.
        untouched: share of units of which nobody was asked anything when it stops.
        left: error left when it stops; or, where it does not, when Hyla does.
        worst: the same of the stratum that has most.
        certified: seconds until it claims that at most eps is left; `n` repetitions in which it could.
        broken: share of the certificates that were false by their own words: more is left than eps, in the whole or, if it is
            claimed, in a part; of one unit, no more errors count than its size.
        over: share of the repetitions that ended above eps, of those that stop by themselves and, where it may claim, claim it.
    """

    name: str
    label: str
    why: str = ""
    error: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    auc: Figure | None = None
    to: dict[str, Figure] | None = None
    stopped: Figure | None = None
    asked: Figure | None = None
    untouched: Figure | None = None
    left: Figure | None = None
    worst: Figure | None = None
    certified: Figure | None = None
    broken: Figure | None = None
    over: Figure | None = None


@dataclass(frozen=True)
class Simulation:
    """Hold a comparison of arms.

    Args:
        eps, delta: what was asked for.
        reviewer: who answered, in a word.
        repetitions: how often each arm was played.
        units, asks, size, errors: of the lot; `errors` are the machine's.
        objects: labels of the truth, or 0 where they were not counted.
        strata: names.
        about: what else is to be known: the truth, the model, whether the lot was resampled.
        seconds: human seconds at which the curves are given, from 0 to those of reviewing everything.
        arms: one outcome each.
    """

    eps: float
    delta: float
    reviewer: str
    repetitions: int
    units: int
    asks: int
    size: float
    errors: float
    objects: int
    strata: tuple[str, ...]
    about: dict[str, str]
    seconds: tuple[float, ...]
    arms: tuple[Outcome, ...]

    def __getitem__(self, name: str) -> Outcome:
        return next(one for one in self.arms if one.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able values."""
        return {"simulated": True, **asdict(self)}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Simulation:
        """Return what `to_dict` gave; raise StoreError for anything else."""
        try:
            given = {name: value[name] for name in cls.__dataclass_fields__}
            return cls(
                **{
                    **given,
                    **{n: tuple(given[n]) for n in ("strata", "seconds")},
                    "arms": tuple(map(_read_outcome, given["arms"])),
                }
            )
        except (KeyError, TypeError, AttributeError) as e:
            raise StoreError(f"this is no simulation: {e}", "make it again with `hyla simulate`") from e

    def write(self, folder: Path) -> Path:
        """Write simulation.json into a project's folder, and return where it is."""
        path = folder / NAME
        path.write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read(cls, folder: Path) -> Simulation | None:
        """Return the simulation in a project's folder, or None if there is none; raise StoreError if it can't be read."""
        try:
            return cls.from_dict(json.loads((folder / NAME).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except ValueError as e:
            raise StoreError(f"{folder / NAME} can't be read: {e}", "make it again with `hyla simulate`") from e

    def __str__(self) -> str:
        marks = [f"to {mark:.0%}" for mark in MARKS]
        head = ["", "AUC", *marks, "stops", "asked", "left", "worst part", "certified", "false", "above eps"]
        rows = [head]
        for one in self.arms:
            if one.why:
                continue
            marks = [_short(one.to[f"{mark:g}"], ",.0f") for mark in MARKS] if one.to else []
            ends = ["-" if f is None or not f.n else f"{f.value:.1%} of {f.n}" for f in (one.broken, one.over)]
            shares = [_short(figure, ".2%") for figure in (one.asked, one.left, one.worst)]
            seconds = [_short(figure, ",.0f") for figure in (one.stopped, one.certified)]
            rows.append([one.label, _short(one.auc, ".2f"), *marks, seconds[0], *shares, seconds[1], *ends])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            [
                f"simulated: {self.units:,} units, {self.asks:,} asks, {self.errors:,.0f} errors of the machine "
                f"({self.errors / self.size:.1%}); reviewer {self.reviewer}, {self.repetitions} repetitions, "
                f"eps {self.eps:g}, delta {self.delta:g}; times in seconds",
                *(
                    "  ".join(
                        f"{cell:>{w}}" if i else f"{cell:<{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True))
                    )
                    for row in rows
                ),
                *(f"{one.label}: not applicable, it {one.why}" for one in self.arms if one.why),
                "AUC: 0 as a random order, 1 as the oracle. false: certificates that were, as they count (of a picture no more",
                "errors than its labels + 1); above eps: counting every error.",
            ]
        )


def _read_outcome(value: dict[str, Any]) -> Outcome:
    def figure(one: dict[str, Any] | None) -> Figure | None:
        return None if one is None else Figure(**one)

    names = ("auc", "stopped", "asked", "untouched", "left", "worst", "certified", "broken", "over")
    to = None if value["to"] is None else {mark: Figure(**one) for mark, one in value["to"].items()}
    curves = {name: tuple(value[name]) for name in ("error", "low", "high")}
    return Outcome(**{**value, **curves, **{name: figure(value[name]) for name in names}, "to": to})


def _short(figure: Figure | None, spec: str) -> str:
    return "-" if figure is None or figure.value is None else format(figure.value, spec)
