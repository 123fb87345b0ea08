"""Measure events of clips: tags with a track, which go on over frames. One counts once, however many frames carry it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hyla.figure import Figure, share
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import NO_TRACK, Ints, Kind, Record

Span = tuple[float, float]  # first and last second


@dataclass(frozen=True)
class EventFigures:
    """Hold how the events of one class are found; one is, if one of its class goes on at the same time in the same clip.

    Args:
        found: share of the true events that were found, each by one event; Wilson's interval, events taken as independent.
        right: share of the events told that are true ones.
        late: seconds from the true beginning to the one told, the median of those found, negative where it came early; None
            where nothing was found.
        overlap: of those found, the median share that both last of the time that either does.
    """

    found: Figure
    right: Figure
    late: float | None
    overlap: float | None

    def __str__(self) -> str:
        late = "" if self.late is None else f"  begins {abs(self.late):.1f} s {'late' if self.late >= 0 else 'early'}"
        lasts = "" if self.overlap is None else f"  overlap {self.overlap:.2f}"
        return f"found {self.found}  right {self.right}{late}{lasts}"


@dataclass
class Occurrences:
    """Collect the events of truth and predictions, frame by frame in any order.

    Args:
        schema: of both.
        counts_as: (classes,) the class that each counts as.
    """

    schema: Schema
    counts_as: Ints
    _sides: tuple[dict[tuple[str, int, int], Span], ...] = field(default_factory=lambda: ({}, {}))

    def add(self, side: int, record: Record) -> None:
        """Add a frame of the truth (side 0) or of the predictions (side 1)."""
        labels, group = record.labels, record.item.group
        rows = np.flatnonzero((labels.kind == Kind.TAG) & (labels.track != NO_TRACK)) if group else ()
        if not len(rows):
            return
        at = record.frame.seconds if isinstance(record.frame, VideoFrame) else float(record.item.index)
        spans = self._sides[side]
        for row in rows:
            key = (group, int(self.counts_as[labels.class_id[row]]), int(labels.track[row]))
            first, last = spans.get(key, (at, at))
            spans[key] = (min(first, at), max(last, at))

    def figures(self) -> dict[str, EventFigures]:
        """Return class name -> its figures, in order of the schema, of classes that have an event on either side."""
        sides: list[dict[int, dict[str, list[Span]]]] = []
        for spans in self._sides:
            by_class: dict[int, dict[str, list[Span]]] = defaultdict(lambda: defaultdict(list))
            for (group, class_id, _), span in sorted(spans.items()):
                by_class[class_id][group].append(span)
            sides.append(by_class)
        return {self.schema.names[c]: _figures(sides[0][c], sides[1][c]) for c in sorted({*sides[0], *sides[1]})}


def _figures(true: dict[str, list[Span]], told: dict[str, list[Span]]) -> EventFigures:
    pairs = [pair for group, spans in true.items() for pair in pair_up(spans, told.get(group, []))]
    some, all_told = sum(map(len, true.values())), sum(map(len, told.values()))
    late = [b[0] - a[0] for a, b in pairs]
    shares = [_shared(a, b) for a, b in pairs]
    return EventFigures(
        share(len(pairs), some),
        share(len(pairs), all_told),
        float(np.median(late)) if late else None,
        float(np.median(shares)) if shares else None,
    )


def pair_up(true: Sequence[Span], told: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Return pairs of spans that have a moment in common, each in one pair at most, those that share most of their time first."""
    ranked = sorted(
        ((-_shared(a, b), i, k) for i, a in enumerate(true) for k, b in enumerate(told) if min(a[1], b[1]) >= max(a[0], b[0]))
    )
    taken: tuple[set[int], set[int]] = (set(), set())
    pairs = []
    for _, i, k in ranked:
        if i not in taken[0] and k not in taken[1]:
            taken[0].add(i)
            taken[1].add(k)
            pairs.append((true[i], told[k]))
    return pairs


def _shared(a: Span, b: Span) -> float:
    """Return the share that both last of the time that either does; 1 for two single frames at one moment."""
    either = max(a[1], b[1]) - min(a[0], b[0])
    return max(min(a[1], b[1]) - max(a[0], b[0]), 0.0) / either if either > 0 else 1.0
