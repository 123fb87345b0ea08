"""Hold the labels of many pictures as long columns, and compare boxes picture by picture without a loop over pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.codec import Packed
from hyla.errors import StoreError
from hyla.types import Ints

Floats32 = npt.NDArray[np.float32]
_AT_ONCE = 2_000_000  # pairs of boxes that are looked at together
_GATHERED = 512  # pictures of one part: joined early, their arrays do not lie about one by one
_UNKNOWN = np.array(np.nan, "<f8").tobytes()
# Field of Packed -> how it is stored, and how it is held here.
_FIELDS: dict[str, tuple[str, type]] = {
    "class_id": ("<i8", np.int64),
    "score": ("<f8", np.float32),
    "kind": ("|u1", np.uint8),
    "track": ("<i8", np.int64),
    "box": ("<f8", np.float32),
}


@dataclass(eq=False)
class Columns:
    """Hold r labels of n pictures, picture by picture.

    Args:
        start: (n + 1,) where the labels of each picture begin.
        class_id, score, kind, track: (r,) as in Labels.
        box: (r, 4) in pixels.
        evidence: name -> (r,), NaN where it is not known.
    """

    start: Ints
    class_id: Ints
    score: Floats32
    kind: npt.NDArray[np.uint8]
    track: Ints
    box: Floats32
    evidence: dict[str, Floats32]

    @property
    def count(self) -> Ints:
        """Return the number of labels (n,) of each picture."""
        return np.diff(self.start)

    @property
    def item(self) -> Ints:
        """Return the picture (r,) of each label."""
        return np.repeat(np.arange(len(self.start) - 1), self.count)

    @property
    def row(self) -> Ints:
        """Return the row (r,) of each label in its picture."""
        return np.arange(len(self.class_id)) - np.repeat(self.start[:-1], self.count)

    def labels(self, picture: int) -> slice:
        """Return where the labels of a picture are."""
        return slice(int(self.start[picture]), int(self.start[picture + 1]))


@dataclass
class Gathering:
    """Gather the labels of pictures one after another, still packed, for `columns`."""

    counts: list[int] = field(default_factory=list)
    _held: list[Packed] = field(default_factory=list)
    _parts: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)
    _evidence: dict[str, None] = field(default_factory=dict)  # names, in the order in which they came

    def add(self, packed: Packed | None) -> None:
        """Take the labels of the next picture; None for no labels."""
        n = 0 if packed is None else len(packed.kind)
        self.counts.append(n)
        if packed is not None and n:
            self._held.append(packed)
            if len(self._held) >= _GATHERED:
                self._join()

    def columns(self) -> Columns:
        """Return all that was taken; raise StoreError for labels whose arrays are not of one length."""
        self._join()
        start = np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)]).astype(np.int64)
        found = {name: _joined([part[name] for part in self._parts], dtype) for name, (_, dtype) in _FIELDS.items()}
        evidence = {
            name: _joined([p.get(name, np.full(len(p["kind"]), np.nan)) for p in self._parts], np.float32)
            for name in map(_evidence_of, sorted(self._evidence))
        }
        if any(len(column) != start[-1] * (4 if name == "box" else 1) for name, column in (found | evidence).items()):
            raise StoreError("packed labels are damaged: their arrays differ in length", "run `hyla verify` on the project")
        return Columns(
            start,
            found["class_id"],
            found["score"],
            found["kind"],
            found["track"],
            found["box"].reshape(-1, 4),
            {name: evidence[_evidence_of(name)] for name in sorted(self._evidence)},
        )

    def _join(self) -> None:
        some, self._held = self._held, []
        if not some:
            return
        part: dict[str, npt.NDArray[Any]] = {
            name: np.frombuffer(b"".join([getattr(one, name) for one in some]), stored).astype(dtype)
            for name, (stored, dtype) in _FIELDS.items()
        }
        names = dict.fromkeys(name for one in some for name in one.evidence)
        self._evidence |= names
        for name in names:
            held = [one.evidence[name] if name in one.evidence else _UNKNOWN * len(one.kind) for one in some]
            part[_evidence_of(name)] = np.frombuffer(b"".join(held), "<f8").astype(np.float32)
        self._parts.append(part)


def _evidence_of(name: str) -> str:
    return f"evidence {name}"


@dataclass(frozen=True, eq=False)
class Best:
    """Hold for each of r labels its greatest overlap with one of the other side in its picture.

    Args:
        any: with whatever label.
        same: with one of its class.
        which: the row of that one there, -1 for none.
    """

    any: Floats32
    same: Floats32
    which: Ints


def best_overlaps(one: Columns, other: Columns) -> Best:
    """Return for each label of `one` how far its box overlaps that of a label of `other` in the same picture, at the most.

    Args:
        one: columns of n pictures.
        other: columns of the same pictures; the same columns leave each label itself out.
    """
    n = len(one.class_id)
    found = Best(np.zeros(n, np.float32), np.zeros(n, np.float32), np.full(n, -1, np.int64))
    areas = [geometry.area(side.box).astype(np.float32) for side in (one, other)]
    for rows, others, starts in _pairs(one, other):
        a, b = one.box[rows], other.box[others]
        across = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
        down = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
        common = np.maximum(across, 0) * np.maximum(down, 0)
        either = areas[0][rows] + areas[1][others] - common
        overlap = np.divide(common, either, out=np.zeros_like(common), where=either > 0)
        if one is other:
            overlap[rows == others] = 0
        here = rows[starts]
        found.any[here] = np.maximum.reduceat(overlap, starts)
        overlap[one.class_id[rows] != other.class_id[others]] = 0
        found.same[here] = best = np.maximum.reduceat(overlap, starts)
        if one is not other:
            at = np.flatnonzero(overlap == found.same[rows])  # of equal overlaps the first
            first = others[at[np.searchsorted(at, starts)]]
            found.which[here] = np.where(best > 0, first, -1)
    return found


def _pairs(one: Columns, other: Columns) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Yield pairs of rows within pictures, some at a time, all of a row of `one` together, and where each of these begins."""
    item, each = one.item, other.count
    rows = np.flatnonzero(each[item] > 0)
    total = np.cumsum(each[item[rows]])
    first = 0
    while first < len(rows):
        before = total[first - 1] if first else 0
        last = max(int(np.searchsorted(total, before + _AT_ONCE, side="right")), first + 1)
        some = rows[first:last]
        n = each[item[some]]
        starts = np.concatenate([[0], np.cumsum(n)[:-1]]).astype(np.int64)
        others = np.arange(int(n.sum())) - np.repeat(starts - other.start[item[some]], n)
        yield np.repeat(some, n), others, starts
        first = last


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if len(parts) else np.zeros(0, dtype)
