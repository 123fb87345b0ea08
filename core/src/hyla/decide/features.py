"""Describe labels and pictures by numbers that may tell which of them are wrong.

Nothing here knows the truth: what is computed is at hand as soon as the machine is done. Everything is computed for all pictures
at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import codec
from hyla.codec import Packed
from hyla.decide.columns import Columns, Floats32, Gathering, best_overlaps
from hyla.types import Bools, Floats, Ints, Labels, Record, Severity

CLIP = 1e-6  # scores of 0 and 1 have no logit
LOW = 0.3  # a score from which on few take a label for certain
NEAR_EDGE = 1.0  # px
SAME = 0.5  # overlap from which on two models mean one object
FEW = 8  # values of a word of the context that are told apart
_SEVERITIES = (Severity.NOTE, Severity.REVIEW, Severity.HUMAN, Severity.SECOND, Severity.REJECT)


@dataclass(eq=False)
class Table:
    """Hold what the machine said of n pictures, r labels in all, and what is known besides.

    Args:
        machine: its labels.
        second: those of a second model, or None.
        seen: (n,) pictures that the second model saw.
        size: (n, 2) height and width in pixels.
        group: (n,) number of the group, -1 for none.
        index: (n,) place in it.
        row_flags: (r, 5) flags on each label, by severity: note, review, human, second, reject.
        flags: (n, 5) flags on each picture as a whole.
        context: (n, k) what is known of each picture as a whole, in numbers, NaN for unknown; `context_names` (k).
    """

    machine: Columns
    second: Columns | None
    seen: Bools
    size: Floats
    group: Ints
    index: Ints
    row_flags: Floats32
    flags: Floats32
    context: Floats32
    context_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Features:
    """Hold numbers `rows` (r, k) of labels and `wholes` (n, w) of pictures, NaN for unknown, with the names of their columns."""

    rows: Floats32
    names: tuple[str, ...]
    wholes: Floats32
    whole_names: tuple[str, ...]


@dataclass
class Reading:
    """Read pictures one after another into a `Table`."""

    _machine: Gathering = field(default_factory=Gathering)
    _second: Gathering = field(default_factory=Gathering)
    _seen: list[bool] = field(default_factory=list)
    _size: list[Sequence[int]] = field(default_factory=list)
    _groups: dict[str, int] = field(default_factory=dict)
    _group: list[int] = field(default_factory=list)
    _index: list[int] = field(default_factory=list)
    _context: list[Mapping[str, Any]] = field(default_factory=list)
    _flagged: list[tuple[int, int]] = field(default_factory=list)  # picture and severity
    _flagged_rows: list[tuple[int, int, int]] = field(default_factory=list)  # picture, row and severity

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, group: str, index: int, size: Sequence[int], machine: Packed, second: Packed | None = None) -> None:
        """Take the next picture of `size` (height, width): its place in a group, and what the models said of it, packed.

        A second model that is None did not see the picture.
        """
        self._machine.add(machine)
        self._second.add(second)
        self._seen.append(second is not None)
        self._size.append(size[-2:])
        self._group.append(self._groups.setdefault(group, len(self._groups)) if group else -1)
        self._index.append(index)
        self._context.append(machine.context)

    def flag(self, picture: int, severity: str, rows: Sequence[int]) -> None:
        """Take a flag on a picture that was added, by its number."""
        place = _SEVERITIES.index(Severity(severity))
        if rows:
            self._flagged_rows += [(picture, row, place) for row in rows]
        else:
            self._flagged.append((picture, place))

    def table(self) -> Table:
        """Return all that was read."""
        machine, n = self._machine.columns(), len(self)
        flags, row_flags = np.zeros((n, 5), np.float32), np.zeros((len(machine.class_id), 5), np.float32)
        places = np.array(self._flagged, dtype=np.int64).reshape(-1, 2)
        np.add.at(flags, (places[:, 0], places[:, 1]), 1)
        rows = np.array(self._flagged_rows, dtype=np.int64).reshape(-1, 3)
        np.add.at(row_flags, (machine.start[rows[:, 0]] + rows[:, 1], rows[:, 2]), 1)
        context, names = _numbers(self._context)
        return Table(
            machine,
            self._second.columns() if any(self._seen) else None,
            np.array(self._seen, dtype=bool),
            np.array(self._size, dtype=np.float64).reshape(-1, 2),
            np.array(self._group, dtype=np.int64),
            np.array(self._index, dtype=np.int64),
            row_flags,
            flags,
            context,
            names,
        )


def table_of(records: Iterable[Record], second: Mapping[str, Labels] | None = None) -> Table:
    """Return the table of records, with the labels of a second model by item id, where it saw the item."""
    read = Reading()
    for number, record in enumerate(records):
        other = (second or {}).get(record.item.id)
        packed = [None if labels is None else codec.peek(codec.pack(labels)) for labels in (record.labels, other)]
        assert packed[0] is not None
        read.add(record.item.group, record.item.index, record.size, packed[0], packed[1])
        for flag in record.flags:
            read.flag(number, flag.severity, flag.rows)
    return read.table()


def logit(score: Floats | Floats32) -> Floats:
    """Return the log odds of probabilities, of which 0 and 1 are taken for a millionth from there."""
    p = np.clip(np.asarray(score, dtype=np.float64), CLIP, 1 - CLIP)
    return np.asarray(np.log(p) - np.log1p(-p))


def features(table: Table) -> Features:
    """Return the numbers that describe the labels and pictures of a table.

    Of a label: its score and the log odds of it; the size, shape and place of its box; how many labels the picture has, how sure
    they are, and how far one of them overlaps this one (crowding), or one of its class (a duplicate); how long its track is and
    how well the label lies on that of the frames before and after; flags of rules; what the model said besides (evidence); and
    how far a second model agrees.

    Of a picture: how many labels, how many of them are doubtful, and how doubtful; what the second model found and the first did
    not; flags; and its context.
    """
    machine = table.machine
    item, count = machine.item, machine.count
    columns: dict[str, Floats | Floats32] = {"score": machine.score, "logit": logit(machine.score)}
    columns |= _geometry(table, item)
    mean = _sums(machine, machine.score) / np.maximum(count, 1)
    among = best_overlaps(machine, machine)
    columns |= {"labels": np.log1p(count)[item], "mean_score": mean[item], "crowding": among.any, "duplicate": among.same}
    columns |= _tracks(table, item)
    columns |= {f"flags_{s.value}": table.row_flags[:, i] for i, s in enumerate(_SEVERITIES)}
    columns |= {"picture_flags": table.flags[:, 1:].sum(axis=1)[item]}
    columns |= {f"evidence_{name}": values for name, values in machine.evidence.items()}
    wholes = _wholes(table, among.any)
    if table.second is not None:
        agreement, missing = _agreement(table, table.second, item)
        columns |= agreement
        wholes |= missing
    wholes |= {f"context_{name}": table.context[:, i] for i, name in enumerate(table.context_names)}
    return Features(_matrix(columns, len(item)), tuple(columns), _matrix(wholes, len(count)), tuple(wholes))


def _geometry(table: Table, item: Ints) -> dict[str, Floats | Floats32]:
    box, size = table.machine.box, table.size[item]
    width, height = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    area = np.maximum(width * height, 1) / np.maximum(size.prod(axis=1), 1)
    edge = (box[:, :2] <= NEAR_EDGE).any(axis=1) | (box[:, 2:] >= size[:, ::-1] - NEAR_EDGE).any(axis=1)
    return {
        "log_area": np.log(area),
        "aspect": np.log(np.maximum(width, 1) / np.maximum(height, 1)),
        "edge": edge.astype(np.float64),
    }


def _tracks(table: Table, item: Ints) -> dict[str, Floats | Floats32]:
    """Return how long each label's track is, and how the label fits that of the frames t - 1 and t + 1 of its group."""
    machine = table.machine
    tracked = np.flatnonzero((machine.track >= 0) & (table.group[item] >= 0))
    if not len(tracked):
        return {}
    group, index, track = table.group[item[tracked]], table.index[item[tracked]], machine.track[tracked]
    order = np.lexsort((index, track, group))
    tracked, group, index, track = tracked[order], group[order], index[order], track[order]
    begins = np.concatenate([[True], (group[1:] != group[:-1]) | (track[1:] != track[:-1])])
    length = np.diff(np.append(np.flatnonzero(begins), len(tracked)))
    long = np.zeros(len(item))
    long[tracked] = np.repeat(length, length)
    next_to = ~begins[1:] & (index[1:] == index[:-1] + 1)
    a, b = tracked[:-1][next_to], tracked[1:][next_to]
    overlap = _overlap(machine.box[a], machine.box[b])
    found: dict[str, Floats | Floats32] = {"track_length": np.log1p(long)}
    for name, here, there in (("before", b, a), ("after", a, b)):
        lies, of_class = np.zeros(len(item)), np.zeros(len(item))
        lies[here], of_class[here] = overlap, machine.class_id[here] == machine.class_id[there]
        found |= {f"track_{name}": lies, f"track_class_{name}": of_class}
    return found


def _agreement(table: Table, second: Columns, item: Ints) -> tuple[dict[str, Floats | Floats32], dict[str, Floats | Floats32]]:
    """Return how far the second model agrees with each label, and what it found that the first did not."""
    machine = table.machine
    other = best_overlaps(machine, second)
    score = np.where(other.which >= 0, second.score[other.which] if len(second.score) else 0, 0)
    unseen = ~table.seen[item]
    rows = {"second_same": other.same, "second_any": other.any, "second_score": score}
    alone = best_overlaps(second, machine).any < SAME
    wholes = {
        "second_alone": _sums(second, alone),
        "second_alone_score": _sums(second, second.score * alone),
        "second_more": second.count - machine.count,
    }
    return (
        {name: np.where(unseen, np.nan, values) for name, values in rows.items()},
        {name: np.where(table.seen, values, np.nan) for name, values in wholes.items()},
    )


def _wholes(table: Table, crowd: Floats32) -> dict[str, Floats | Floats32]:
    machine, count = table.machine, table.machine.count
    some, n = count > 0, np.maximum(count, 1)
    doubt = 1 - machine.score.astype(np.float64)
    least, most = np.ones(len(count)), np.zeros(len(count))
    first = np.zeros(len(count), dtype=np.int64)
    if len(machine.score):
        starts = machine.start[:-1][some]
        least[some], most[some] = np.minimum.reduceat(machine.score, starts), np.maximum.reduceat(machine.score, starts)
        first[some] = surest(machine)[some]
    found: dict[str, Floats | Floats32] = {
        "labels": np.log1p(count),
        "doubt": _sums(machine, doubt),
        "low": _sums(machine, machine.score < LOW),
        "score_least": least,
        "score_most": most,
        "logit_most": logit(most),
        "score_mean": np.where(some, 1 - _sums(machine, doubt) / n, 0),
        "any_wrong": 1 - right_all(machine),
        "crowding": _sums(machine, crowd) / n,
        "log_pixels": np.log(np.maximum(table.size.prod(axis=1), 1)),
        "flags_rows": _sums(machine, np.asarray((table.row_flags[:, 1:] > 0).any(axis=1))),
    }
    found |= {f"flags_{s.value}": table.flags[:, i] for i, s in enumerate(_SEVERITIES)}
    for name, values in machine.evidence.items():
        found[f"evidence_{name}"] = np.where(some, values[first] if len(values) else np.nan, np.nan)
    return found


def surest(machine: Columns) -> Ints:
    """Return for each of n pictures the place of its label of the highest score, the first of equals; 0 where it has none."""
    found = np.zeros(len(machine.count), dtype=np.int64)
    order = np.lexsort((machine.row, -machine.score, machine.item))
    some = machine.count > 0
    found[some] = order[machine.start[:-1][some]]
    return found


def right_all(machine: Columns, about: Bools | None = None) -> Floats:
    """Return the product of scores (n,) of the labels of each picture, of those `about` which it is asked; 1 without any."""
    logs = np.log(np.maximum(machine.score.astype(np.float64), CLIP))
    return np.exp(_sums(machine, logs if about is None else np.where(about, logs, 0)))


def _sums(columns: Columns, values: npt.NDArray[Any]) -> Floats:
    """Return the sums (n,) over the labels of each picture."""
    return np.bincount(columns.item, weights=values, minlength=len(columns.count)).astype(np.float64)


def _overlap(a: Floats32, b: Floats32) -> Floats:
    """Return intersection over union (p,) of boxes (p, 4) and (p, 4), each with its own."""
    side = np.maximum(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0)
    common = side.prod(axis=1)
    either = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - common
    return np.asarray(np.divide(common, either, out=np.zeros(len(a)), where=either > 0))


def _matrix(columns: dict[str, Floats | Floats32], n: int) -> Floats32:
    out = np.empty((n, len(columns)), dtype=np.float32)
    for i, values in enumerate(columns.values()):
        out[:, i] = values
    return out


def _numbers(context: Iterable[Mapping[str, Any]]) -> tuple[Floats32, tuple[str, ...]]:
    """Return numbers (n, k) for what is known of pictures, and k names: a number is itself, a word becomes yes or no to each."""
    held = list(context)
    names = sorted({name for one in held for name in one})
    columns: dict[str, list[float]] = {}
    for name in names:
        values = [one.get(name) for one in held]
        if any(isinstance(value, (int, float)) for value in values):
            columns[name] = [float(v) if isinstance(v, (int, float)) else np.nan for v in values]
        words = Counter(value for value in values if isinstance(value, str))
        for word, _ in sorted(words.most_common(FEW)) if len(words) > 1 else []:
            columns[f"{name}={word}"] = [float(value == word) for value in values]
    return np.array(list(columns.values()), dtype=np.float32).reshape(len(columns), len(held)).T, tuple(columns)
