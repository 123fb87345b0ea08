"""Gather events over the frames of a clip, and say who confirmed each: what every export of events begins with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.store.asks import person
from hyla.store.confirming import PROGRAM
from hyla.store.ranges import from_ranges
from hyla.types import NO_TRACK, Item, Kind, Labels, Record
from hyla_surveillance.events import Event, from_labels, joined

if TYPE_CHECKING:
    from hyla.store import Project

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
        event: with start and end in seconds of the clip.
        group: the clip.
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

        return f"{self.event.name}-{item_id(self.group, self.event.track if self.event.track >= 0 else self.indices[0])}"


class Gathered:
    """Join the events of one clip as its frames come, in order. An event without a track lasts while each next frame has it."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._known: dict[tuple[str, int], Happening] = {}
        self._loose: dict[str, Happening] = {}
        self._all: list[Happening] = []

    def add(self, one: Record) -> None:
        """Take the next frame."""
        seconds = seconds_of(one)
        loose: dict[str, Happening] = {}
        for event in from_labels(one.labels, self.schema):
            start, end = (seconds if v != v else v for v in (event.start, event.end))
            told = Event(**{**event.__dict__, "start": start, "end": max(start, end)})
            before = self._loose.get(told.name) if told.track == NO_TRACK else self._known.get((told.name, told.track))
            if before is None:
                before = self._new(one, told)
            before.event = joined(before.event, told)
            before.last, before.end = one.item, utc_at(one, before.event.end)
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
        made = Happening(event, one.item.group, one.item, one.item, camera, str(context.get("site") or ""))
        made.begin, made.truth = utc_at(one, event.start), one.source.startswith("truth:")
        self._all.append(made)
        return made


def happenings(records: Iterable[Record], schema: Schema) -> Iterator[list[Happening]]:
    """Yield the events of each clip, clip by clip; a frame that stands alone is a clip of its own."""
    for _, members in groupby(records, key=lambda one: one.item.group or one.item.id):
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
                one.state, one.said = DENIED, _answered(project, one.items, None)
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
    one.said = _answered(project, one.items, names)
    return True


def _answered(project: Project, items: Iterable[str], names: set[str] | None) -> tuple[Said, ...]:
    """Return who answered last on items, of those of `names`, or whoever the standing decisions are of, and when."""
    found: dict[str, Said] = {}
    for item_id in items:
        made = list(project.decisions(item_id))
        for one in made if names is not None else made[-1:]:
            name = (PROGRAM if one.mode == "simulated" else "") + person(one.who)
            if one.action != "undo" and (names is None or name in names):
                found[name] = max(found.get(name, Said(one.who, one.at)), Said(one.who, one.at), key=lambda said: said.at)
    return tuple(sorted(found.values(), key=lambda said: (said.at, said.who)))
