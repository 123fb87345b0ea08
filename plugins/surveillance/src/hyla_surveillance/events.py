"""Say what an event is among labels: a tag with a track of its own on every frame from when it is sure until it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hyla.schema import Schema
from hyla.types import Bools, Floats, Kind, Labels

EVENTS = (
    *("loitering", "intrusion", "line_crossing", "wrong_way"),
    *("abandoned_object", "crowding", "running", "fall"),
)
LINGER = 1.0  # seconds for which an event stays on the frames although just now it is not seen; at least two frames
FIRST_EVENT = 1_000_000  # tracks of events count from here, so that none is that of a person
EVIDENCE = (
    *("dwell_s", "radius_m", "speed_mps", "angle_deg", "distance_m", "still_s"),
    *("owner_away_s", "density_m2", "count", "fps", "calibrated", "drop_s", "danger"),
)


@dataclass(frozen=True)
class Event:
    """Hold what is known of one event at one frame.

    Args:
        name: its class: one of EVENTS.
        track: FIRST_EVENT and up, unique in the clip.
        start, end: seconds of the clip; the end is the frame's own time while it goes on.
        participants: tracks of who takes part, ascending.
        place: zone or line; empty for none.
        direction: in or out, of a line crossing; else empty.
        score: 0 to 1, how far beyond its threshold it is: 0.5 at the threshold.
        evidence: name of EVIDENCE -> value, of those that apply.
    """

    name: str
    track: int
    start: float
    end: float
    participants: tuple[int, ...] = ()
    place: str = ""
    direction: str = ""
    score: float = 0.5
    evidence: dict[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Return how long it lasted so far."""
        return self.end - self.start


def to_labels(events: Sequence[Event], schema: Schema, size: Sequence[int]) -> Labels:
    """Return events as labels of a picture of `size` (height, width): a tag each, over the whole picture.

    Events whose class the schema lacks are left out.
    """
    known = [one for one in events if one.name in schema.ids]
    height, width = size
    return Labels.of(
        [schema.ids[one.name] for one in known],
        np.tile(np.array([0.0, 0.0, width, height]), (len(known), 1)),
        score=[one.score for one in known],
        kind=Kind.TAG,
        track=[one.track for one in known],
        attributes={
            "start": [one.start for one in known],
            "end": [one.end for one in known],
            "participants": [",".join(map(str, one.participants)) or None for one in known],
            "place": [one.place or None for one in known],
            "direction": [one.direction or None for one in known],
        }
        if known
        else None,
        evidence={name: [one.evidence.get(name, np.nan) for one in known] for name in EVIDENCE} if known else None,
    )


def rows_of(labels: Labels, schema: Schema) -> Bools:
    """Return (n,) which labels are events."""
    return np.asarray(np.isin(labels.class_id, schema.under("event")) & (labels.kind == Kind.TAG))


def from_labels(labels: Labels, schema: Schema) -> list[Event]:
    """Return the events among labels; what a person drew without saying when has NaN for start and end."""
    found = []
    for row in np.flatnonzero(rows_of(labels, schema)).tolist():
        value = {name: column[row] for name, column in labels.attributes.items()}
        evidence = {name: float(column[row]) for name, column in labels.evidence.items() if column[row] == column[row]}
        found.append(
            Event(
                schema.names[int(labels.class_id[row])],
                int(labels.track[row]),
                _number(value.get("start")),
                _number(value.get("end")),
                tuple(int(word) for word in _text(value.get("participants")).split(",") if word.strip().isdigit()),
                _text(value.get("place")),
                _text(value.get("direction")),
                float(labels.score[row]),
                {name: v for name, v in evidence.items() if name in EVIDENCE},
            )
        )
    return found


def joined(one: Event, later: Event) -> Event:
    """Return one event of what two frames, in order, say of it: from the first start to the last end, with everybody."""
    start, end = np.fmin(one.start, later.start), np.fmax(one.end, later.end)
    everyone = tuple(sorted({*one.participants, *later.participants}))
    evidence = {**one.evidence, **later.evidence}
    return replace(
        later, start=float(start), end=float(end), participants=everyone, score=max(one.score, later.score), evidence=evidence
    )


def foot(box: Floats) -> Floats:
    """Return where things stand (n, 2): the middle of the lower edge of boxes (n, 4), in pixels."""
    return np.column_stack([(box[:, 0] + box[:, 2]) / 2, box[:, 3]])


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else float("nan")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
