"""Find the events of a clip: tags with a track, on the frames that have them, and those that people took away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyla import codec
from hyla.decide.agree import agree
from hyla.review import mentions, wire
from hyla.review.access import Visitor
from hyla.review.desk import Desk
from hyla.review.sight import is_barred
from hyla.schema import Schema
from hyla.store.answers import PARTICIPANTS, State, unnumbered
from hyla.store.asks import Decision, person
from hyla.store.confirming import SAID
from hyla.store.queue import ClipItem
from hyla.store.ranges import from_ranges
from hyla.types import NO_TRACK, Bools, Kind, Labels, Verdict

_TAG = int(Kind.TAG)  # compared with each label of a clip


@dataclass
class _Seen:
    """Hold what frames say of one event; `row` is of `labels`, its label in the last frame that has it; `who` takes part.

    `rows` are those of its labels by item.
    """

    track: int
    class_id: int
    first: int
    item: str
    told: bool
    last: int = 0
    labels: Labels = field(default_factory=Labels.empty)
    row: int = 0
    who: set[str] = field(default_factory=set)
    rows: dict[str, int] = field(default_factory=dict)


class ClipEvents:
    """Collect the events of a clip, frame by frame in their order."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._held: dict[int, _Seen] = {}
        self._machine: dict[int, _Seen] = {}

    @property
    def any(self) -> bool:
        """Tell whether the schema knows labels that may be events."""
        return may_have(self._desk.schema)

    def add(self, frame: int, item: str, shown: Labels, machine: Labels, told: bool) -> None:
        """Take the labels of a frame.

        Args:
            frame: its place in the clip.
            item: its id.
            shown: labels that this person is shown.
            machine: labels of the machine, the same object where they are those shown.
            told: this person may know what others said of the frame.
        """
        _note(self._held, frame, item, shown, told)
        if machine is not shown and told:
            _note(self._machine, frame, item, machine, told)

    def found(self) -> list[wire.ClipEvent]:
        """Return the events by their first frame."""
        gone = [one for track, one in self._machine.items() if track not in self._held]
        all_ = [(one, False) for one in self._held.values()] + [(one, True) for one in gone]
        all_.sort(key=lambda pair: (pair[0].first, pair[0].track))
        return [self._told(one, denied) for one, denied in all_]

    def _told(self, one: _Seen, denied: bool) -> wire.ClipEvent:
        schema = self._desk.schema
        (row,) = codec.labels_to_rows(one.labels[[one.row]], schema)
        attributes: dict[str, Any] = row.get("attributes", {})
        if len(one.who) > 1:
            attributes = {**attributes, PARTICIPANTS: mentions.joined(one.who)}
        said = self._said(one, denied) if one.told else []
        known = {"class": schema.names[one.class_id], "denied": denied, "said": said, "attributes": attributes}
        return wire.ClipEvent.model_validate({"track": one.track, "first": one.first, "last": one.last, **known})

    def _said(self, one: _Seen, denied: bool) -> list[str]:
        """Return who confirmed the event, or denied it, first to last.

        Where people must confirm it the ledger knows whose word still counts, on the frame on which the fewest do. Else it is
        told by what they decided on its first frame.
        """
        if denied or not self._desk.schema.confirmations[one.class_id]:
            return list(dict.fromkeys(self._answered(one, denied)))
        if self._counts(one, one.item, self._desk.project.state(one.item)) == set():  # as most often: nobody was asked yet
            return []
        states = self._desk.project.states(one.rows)
        counts = {item: counts for item in one.rows if (counts := self._counts(one, item, states[item])) is not None}
        item = min(counts, key=lambda item: len(counts[item]), default=one.item)
        names: dict[str, str] = {}
        for made in _standing(self._desk, item):
            names.setdefault(person(made.who), made.who)
        return [name for who, name in names.items() if who in counts.get(item, ())]

    def _counts(self, one: _Seen, item: str, state: State) -> set[str] | None:
        """Return whose word counts for an event on one frame; None where somebody said that nothing is there."""
        if state["outcome"] == Verdict.REJECT:
            return None
        # An adjudicator is shown the labels of either.
        row = _row(self._desk, state["annotation"], one) if state["lane"] == "adjudicate" else one.rows[item]
        return {name for name, rows in state.get(SAID, {}).items() if row in from_ranges(rows)}

    def _answered(self, one: _Seen, denied: bool) -> Iterator[str]:
        """Yield who answered the event, first to last."""
        desk = self._desk
        for made in _standing(desk, one.item):
            if made.action in ("opinion", "adjudicate"):
                has = _row(desk, made.after["second"] or made.after["annotation"], one) is not None
                if has != denied:
                    yield made.who
                continue
            before, after = (_row(desk, state["annotation"], one) for state in (made.before, made.after))
            if denied and before is not None and (after is None or (made.action == "reject" and not made.rows)):
                yield made.who
            if denied or after is None:
                continue
            was = before is not None and before in from_ranges(made.before["open"]) | from_ranges(made.before["mend"])
            waits = from_ranges(made.after["open"]) | from_ranges(made.after["mend"]) | from_ranges(made.after["doubt"])
            if (was or before is None) and after not in waits:
                yield made.who


def differing(desk: Desk, who: Visitor, items: Sequence[ClipItem]) -> dict[str, tuple[int, Labels, tuple[int, ...]]]:
    """Return item id -> the opinion that has all of the events, its labels, and the events that the other lacks.

    Of those items on which two people differ about events and nothing else, and `who` may choose.
    """
    if not may_have(desk.schema) or not who.may("adjudicator"):
        return {}
    ids = [one.item.id for one in items if one.lane == "adjudicate"]
    states = desk.project.states(ids)
    found = {}
    for item in ids:
        if is_barred(desk, who, states[item]):
            continue
        sides = [one.annotation for one in desk.project.opinions(item) if one.outcome != Verdict.REJECT]
        if len(sides) == 2 and (chosen := _fuller(desk, *sides)):
            found[item] = chosen
    return found


def _fuller(desk: Desk, first: int, second: int) -> tuple[int, Labels, tuple[int, ...]] | None:
    """Return the labels that hold all events of two opinions, and which rows the other lacks; None if more differs."""
    mine, other = (desk.project.labels_of(number)[2] for number in (first, second))
    if not agree(mine[~rows_of(mine)], other[~rows_of(other)], desk.schema):
        return None
    for number, full, less in ((first, mine, other), (second, other, mine)):
        there = {int(less.track[row]): row for row in np.flatnonzero(rows_of(less)).tolist()}
        tracks = {int(full.track[row]): row for row in np.flatnonzero(rows_of(full)).tolist()}
        if there.keys() <= tracks.keys():
            asked = [row for track, row in tracks.items() if track not in there or not _same(full, row, less, there[track])]
            return number, full, tuple(sorted(asked))
    return None


def _same(one: Labels, row: int, other: Labels, twin: int) -> bool:
    return bool(one.class_id[row] == other.class_id[twin]) and unnumbered(one, row) == unnumbered(other, twin)


def may_have(schema: Schema) -> bool:
    """Tell whether a schema knows labels that may be events: tags, with tracks."""
    return "track" in schema.kinds and "tag" in schema.kinds


def rows_of(labels: Labels) -> Bools:
    """Return (n,) which labels are events."""
    tags = np.asarray(labels.kind == _TAG)
    return tags & (labels.track != NO_TRACK) if tags.any() else tags


def next_tracks(tracks: set[int], events: set[int]) -> tuple[int, int]:
    """Return the number of the next track, above those of tracks, and of the next event, above all; neither is taken."""
    track = 1 + max(tracks, default=NO_TRACK)
    while track in events:
        track += 1
    return track, 1 + max(tracks | events, default=NO_TRACK)


def _note(seen: dict[int, _Seen], frame: int, item: str, labels: Labels, told: bool) -> None:
    takes_part = labels.attributes.get(PARTICIPANTS)
    for row in np.flatnonzero(rows_of(labels)).tolist():
        track = int(labels.track[row])
        one = seen.get(track)
        if one is None:
            one = seen[track] = _Seen(track, int(labels.class_id[row]), frame, item, told)
        one.last, one.labels, one.row = frame, labels, row
        one.rows[item] = row
        one.told = one.told and told
        if takes_part is not None and isinstance(text := takes_part[row], str):
            one.who.add(text)


def _standing(desk: Desk, item: str) -> list[Decision]:
    """Return the decisions on an item that stand, first to last."""
    made: list[Decision] = []
    seq = int(desk.project.state(item)["decision"])
    while seq:
        one = desk.project.decision(seq)
        made.append(one)
        seq = int(one.before["decision"])
    return made[::-1]


def _row(desk: Desk, annotation: int, one: _Seen) -> int | None:
    """Return the row of an event among the labels of an annotation, or None."""
    labels = desk.project.labels_of(annotation)[2]
    rows = np.flatnonzero(rows_of(labels) & (labels.track == one.track))
    return int(rows[0]) if len(rows) else None
