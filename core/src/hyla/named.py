"""Measure whether things that were found are named right: by attributes that say what a thing is, as its product does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hyla.figure import Figure, share

MOST = 10  # pairs of names that were taken for each other
Pair = tuple[Any, Any]  # true name and found name, None for none


@dataclass(frozen=True)
class NameFigures:
    """Hold how the things of the truth that have a name are named; shares with Wilson's intervals, things taken as independent.

    Args:
        found: share of them that was found, under whatever class and name.
        right, wrong, unnamed: of those found, shares with the true name, another, and none.
        invented: of the things found that have no name in the truth, the share that was given one.
        confusions: (true name, name given, how often), the most frequent first, at most 10.
    """

    found: Figure
    right: Figure
    wrong: Figure
    unnamed: Figure
    invented: Figure
    confusions: tuple[tuple[str, str, int], ...]

    def __str__(self) -> str:
        lines = [f"found {self.found}  of these: right {self.right}  wrong {self.wrong}  unnamed {self.unnamed}"]
        if self.invented.n:
            lines.append(f"  named, but not in the truth: {self.invented}")
        if self.confusions:
            lines.append("  mixed up: " + ", ".join(f"{a} named {b} ({n})" for a, b, n in self.confusions))
        return "\n".join(lines)


def figures(pairs: Sequence[Pair], things: int) -> NameFigures:
    """Return the figures of true and given names.

    Args:
        pairs: of all things found.
        things: with a name in the truth, found or not.
    """
    known = [(true, given) for true, given in pairs if true is not None]
    without = [given for true, given in pairs if true is None]
    right = sum(true == given for true, given in known)
    unnamed = sum(given is None for _, given in known)
    mixed = Counter((str(true), str(given)) for true, given in known if given is not None and given != true)
    first = sorted(mixed.items(), key=lambda one: (-one[1], one[0]))[:MOST]
    n = len(known)
    return NameFigures(
        share(n, things),
        share(right, n),
        share(n - right - unnamed, n),
        share(unnamed, n),
        share(sum(given is not None for given in without), len(without)),
        tuple((true, given, times) for (true, given), times in first),
    )
