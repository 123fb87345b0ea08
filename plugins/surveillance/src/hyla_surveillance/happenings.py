"""Gather events over the frames of a clip, and say who confirmed each: what every export of events begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.store.asks import Decision, person
from hyla.store.confirming import PROGRAM, SAID, pairs
from hyla.store.ranges import from_ranges
from hyla.types import NO_TRACK, Item, Kind, Labels, Record
from hyla_surveillance.events import LINGER, Event, from_labels, joined

if TYPE_CHECKING:
    from hyla.store import Project

TINY = 1e-6  # seconds, of rounding
CONFIRMED, DENIED, TRUTH, TOLD = "confirmed", "denied", "truth", "told"


@dataclass(frozen=True)
class Said:
    """Hold that a person answered, and when (ISO 8601, UTC): of several frames the last time."""

    who: str
    at: str


@dataclass
class Happening:
    """Hold one event of a clip, joined over its frames.

    Args:
        event: with start and end in seconds of the clip; it lasts from the first to the last frame that carries it, but for those
            right after its end that show it still.
        group: the clip; of a picture that stands alone its id.
        first, last: the first and the last frame that carry it.
        camera, site: of the clip, where known.
        begin, end: UTC seconds since 1970, where the clip tells them.
        items: ids of the frames that carry it, in order.
        indices: of these frames in the clip.
        truth: it was read from truth, which nobody confirms.
        state: confirmed, denied, truth, or told for a class that asks nobody.
        said: who answered, by name.
    """

    event: Event
    group: str
    first: Item
    last: Item
    camera: str = ""
    site: str = ""
    begin: float | None = None
    end: float | None = None
    items: list[str] = field(default_factory=list)
    indices: list[int] = field(default_factory=list)
    truth: bool = False
    state: str = TOLD
    said: tuple[Said, ...] = ()

    @property
    def id(self) -> str:
        """Return a name that no other event of the project has, and that any file system takes."""
        from hyla.types import item_id

        known = self.event.track != NO_TRACK
        return f"{self.event.name}-{item_id(self.group, self.event.track) if known else item_id(self.items[0])}"


class Gathered:
    """Join the events of one clip as its frames come, in order.

    An event without a track lasts while each next frame has it; a frame has only one of a class.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._known: dict[tuple[str, int], Happening] = {}
        self._loose: dict[str, Happening] = {}
        self._all: list[Happening] = []
        self._seconds = self._interval = np.nan  # of the frame before, and the least between two

    def add(self, one: Record) -> None:
        """Take the next frame."""
        seconds = seconds_of(one)
        self._interval, self._seconds = np.fmin(self._interval, seconds - self._seconds), seconds
        lingers = np.fmax(LINGER, 2 * self._interval)
        loose: dict[str, Happening] = {}
        for event in from_labels(one.labels, self.schema):
            # A person who adds frames may leave the times as they were: it happened in each frame that carries it. But a
            # machine shows an event for a while after its end.
            end = event.end if seconds - event.end <= lingers + TINY else float(np.fmax(event.end, seconds))
            told = replace(event, start=float(np.fmin(event.start, seconds)), end=end)
            if told.track == NO_TRACK:
                before = loose.get(told.name) or self._loose.get(told.name)
            else:
                before = self._known.get((told.name, told.track))
            if before is None:
                before = self._new(one, told)
            begun = before.event.start
            before.event = joined(before.event, told)
            before.last, before.end = one.item, utc_at(one, before.event.end)
            if before.event.start < begun:
                before.begin = utc_at(one, before.event.start)
            if not before.items or before.items[-1] != one.item.id:
                before.items.append(one.item.id)
                before.indices.append(one.item.index)
            if told.track == NO_TRACK:
                loose[told.name] = before
            else:
                self._known[(told.name, told.track)] = before
        self._loose = loose

    def found(self) -> list[Happening]:
        """Return the events so far, by start."""
        return sorted(self._all, key=lambda one: (one.event.start, one.event.track))

    def _new(self, one: Record, event: Event) -> Happening:
        context, meta = one.labels.context, one.item.meta
        camera = str(context.get("camera") or meta.get("camera") or "")
        made = Happening(event, _clip_of(one), one.item, one.item, camera, str(context.get("site") or ""))
        made.begin, made.truth = utc_at(one, event.start), one.source.startswith("truth:")
        self._all.append(made)
        return made


def happenings(records: Iterable[Record], schema: Schema) -> Iterator[list[Happening]]:
    """Yield the events of each clip, clip by clip; a frame that stands alone is a clip of its own."""
    for _, members in groupby(records, key=_clip_of):
        gathered = Gathered(schema)
        for one in members:
            gathered.add(one)
        yield gathered.found()


def confirm(found: Sequence[Happening], schema: Schema, project: Project | None) -> tuple[list[Happening], int]:
    """Return the events that may be told, each with its state and who confirmed it, and how many others there are.

    Nothing is taken on trust: what the project does not say enough people confirmed, on each of its frames, is left out.
    """
    kept = []
    for one in found:
        least = int(schema.confirmations[schema.class_id(one.event.name)])
        if one.truth:
            one.state = TRUTH
        elif least and (project is None or not _confirmed(project, one, schema, least)):
            continue
        elif least:
            one.state = CONFIRMED
        kept.append(one)
    return kept, len(found) - len(kept)


def denied(project: Project, schema: Schema) -> Iterator[Happening]:
    """Yield the events that the machine told and that people took out of every frame, with who did."""
    for found in happenings(project.records(source="model"), schema):
        for one in found:
            states = project.states(one.items)
            if all(state["decision"] and not rows_in(project, state, one, schema) for state in states.values()):
                one.state, one.said = DENIED, _told(_denier(project, states[item], one, schema) for item in one.items)
                yield one


def rows_in(project: Project, state: Mapping[str, Any], one: Happening, schema: Schema) -> list[int]:
    """Return in which rows of the labels that hold of a frame an event stands."""
    if state["outcome"] == "reject":
        return []
    return rows_of_event(project.labels_of(state["annotation"])[2], one.event, schema)


def rows_of_event(labels: Labels, event: Event, schema: Schema) -> list[int]:
    """Return the rows of labels that are this event."""
    same = (labels.class_id == schema.class_id(event.name)) & (labels.track == event.track) & (labels.kind == Kind.TAG)
    return [int(row) for row in np.flatnonzero(same)]


def seconds_of(one: Record) -> float:
    """Return when a frame is shown, in seconds of its clip; 0 where nothing tells."""
    if isinstance(one.frame, VideoFrame):
        return one.frame.seconds
    given = one.item.meta.get("seconds")
    return float(given) if isinstance(given, (int, float)) else 0.0


def utc_at(one: Record, seconds: float) -> float | None:
    """Return the UTC time, in seconds since 1970, of a moment of the clip near this frame; None where it is not known."""
    utc = one.item.meta.get("utc")
    return float(utc) + seconds - seconds_of(one) if isinstance(utc, (int, float)) else None


def iso(utc: float | None) -> str:
    """Return UTC seconds since 1970 as ISO 8601, to the millisecond: `2026-03-29T01:30:00.000Z`; empty for None."""
    if utc is None:
        return ""
    return datetime.fromtimestamp(utc, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _confirmed(project: Project, one: Happening, schema: Schema, least: int) -> bool:
    states, counts = project.states(one.items), project.confirmations(one.items)
    names: set[str] = set()
    for item_id in one.items:
        state = states.get(item_id)
        rows = rows_in(project, state, one, schema) if state else []
        if state is None or not rows or any(counts[item_id][row] < least for row in rows):
            return False
        names |= {name for name, said in state["said"].items() if from_ranges(said) & set(rows) and not name.startswith(PROGRAM)}
    one.said = _told(_answer(project, states[item], name, one, schema) for item in one.items for name in sorted(names))
    return True


def _answer(project: Project, state: Mapping[str, Any], name: str, one: Happening, schema: Schema) -> Decision | None:
    """Return what a person said, of what stands, that makes their word count for an event in a frame; None if it does not.

    It counts from the decision on before which it did not, of the label as it is since; see `hyla.store.confirming`.
    """
    for made in _standing(project, state):
        rows = _rows_said(made.after, name) & set(rows_in(project, made.after, one, schema))
        if not rows:
            return None
        new, old = (project.labels_of(state["annotation"])[2] for state in (made.after, made.before))
        twins = pairs(new, old, schema, exactly=made.action != "adjudicate")
        if not {twins[row] for row in rows if row in twins} & _rows_said(made.before, name):
            # Whom an adjudicator agrees with counts from then on: what they said is the opinion that was chosen.
            return made if person(made.who) == name else project.decision(int(made.before["decision"]))
    return None


def _denier(project: Project, state: Mapping[str, Any], one: Happening, schema: Schema) -> Decision | None:
    """Return the decision, of those that stand, that took an event out of a frame."""
    for made in _standing(project, state):
        if rows_in(project, made.before, one, schema) and not rows_in(project, made.after, one, schema):
            return made
    return None


def _standing(project: Project, state: Mapping[str, Any]) -> Iterator[Decision]:
    """Yield the decisions on an item that stand, last to first: none that was undone."""
    while seq := int(state["decision"]):
        made = project.decision(seq)
        yield made
        state = made.before


def _rows_said(state: Mapping[str, Any], name: str) -> set[int]:
    """Return for which rows of the labels that hold a person's word counts."""
    return from_ranges(state.get(SAID, {}).get(name, ""))


def _told(made: Iterable[Decision | None]) -> tuple[Said, ...]:
    """Return who said so, and when: each person once, with the last time."""
    found: dict[str, Said] = {}
    for one in made:
        if one is not None:
            name, said = (PROGRAM if one.mode == "simulated" else "") + person(one.who), Said(one.who, one.at)
            found[name] = max(found.get(name, said), said, key=lambda said: said.at)
    return tuple(sorted(found.values(), key=lambda said: (said.at, said.who)))


def _clip_of(one: Record) -> str:
    """Return the clip of a frame; a picture that stands alone is one of its own."""
    return one.item.group or one.item.id
