"""Scripted people and things whose paths are known, in metres, seen from above at 40 pixels a metre."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hyla.schema import Schema
from hyla.types import Item, Kind, Labels
from hyla_surveillance.behaviour import Behaviour
from hyla_surveillance.camera import Camera, Cameras, Line, Zone
from hyla_surveillance.events import Event, joined

PIXELS = 40.0  # in a metre
SIZE = (800, 1200)  # 20 m by 30 m
GROUND = np.diag([1 / PIXELS, 1 / PIXELS, 1.0])
SHAPES = {"person": (0.5, 1.7), "car": (4.0, 1.5), "bag": (0.5, 0.4)}  # metres wide and high
SCHEMA = Schema.from_config(
    {
        "name": "behaviour",
        "kinds": ["box", "tag", "track"],
        "classes": {
            "person": {},
            "vehicle": {"abstract": True},
            "car": {"parent": "vehicle"},
            "object": {"abstract": True},
            "bag": {"parent": "object"},
            "tree": {},
        },
    }
)
Where = tuple[float, float]


@dataclass
class Actor:
    """Be somewhere at each moment, or nowhere.

    Args:
        path: seconds -> (x, y) in metres, or None.
        track: its identity, or what gives it by seconds.
        name: its class.
        shape: (width, height) in metres by seconds; None for that of its class.
        still: seconds -> `still_s`.
    """

    path: Callable[[float], Where | None]
    track: int | Callable[[float], int] = 1
    name: str = "person"
    shape: Callable[[float], tuple[float, float]] | None = None
    still: Callable[[float], float] | None = None


def walk(*stops: tuple[float, float, float]) -> Callable[[float], Where | None]:
    """Return a path through (seconds, x, y), in straight lines; nowhere before the first and after the last."""
    t, x, y = np.array(stops, dtype=float).T

    def at(seconds: float) -> Where | None:
        if not t[0] - 1e-9 <= seconds <= t[-1] + 1e-9:
            return None
        return float(np.interp(seconds, t, x)), float(np.interp(seconds, t, y))

    return at


def labels(actors: Iterable[Actor], seconds: float, noise: np.random.Generator | None = None, sigma: float = 0.0) -> Labels:
    """Return the boxes of a moment; with `sigma` pixels of noise on each edge."""
    ids, boxes, tracks, still = [], [], [], []
    for actor in actors:
        where = actor.path(seconds)
        if where is None:
            continue
        width, height = (actor.shape(seconds) if actor.shape else SHAPES[actor.name]) * np.array(1.0)
        x, y = np.array(where) * PIXELS
        boxes.append([x - width * PIXELS / 2, y - height * PIXELS, x + width * PIXELS / 2, y])
        ids.append(SCHEMA.ids[actor.name])
        tracks.append(actor.track(seconds) if callable(actor.track) else actor.track)
        still.append(actor.still(seconds) if actor.still else np.nan)
    box = np.array(boxes, dtype=float).reshape(-1, 4)
    if noise is not None:
        box += noise.normal(0, sigma, box.shape)
    return Labels.of(ids, box, kind=Kind.BOX, track=tracks, evidence={"still_s": still} if ids else None)


def behaviour(*zones: Zone | Line, ground: bool = True, timezone: str = "UTC", **settings: Any) -> Behaviour:
    """Return a behaviour whose camera `a` has these zones and lines."""
    made = Behaviour(SCHEMA, None, "", **settings)
    camera = Camera(
        "a",
        SIZE,
        tuple(one for one in zones if isinstance(one, Zone)),
        tuple(one for one in zones if isinstance(one, Line)),
        GROUND if ground else None,
        timezone,
    )
    made.cameras = Cameras([camera])
    return made


def square(name: str, purpose: str, x0: float, y0: float, x1: float, y1: float, **more: Any) -> Zone:
    """Return a zone between two corners in metres."""
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) * PIXELS
    return Zone(name, purpose, corners, **more)


def line(name: str, *points: Where, **more: Any) -> Line:
    """Return a line through points in metres."""
    return Line(name, np.array(points) * PIXELS, **more)


def times(seconds: float, fps: float = 8.0) -> list[float]:
    """Return the moments of frames."""
    return [n / fps for n in range(round(seconds * fps) + 1)]


def frames(
    made: Behaviour,
    actors: Sequence[Actor],
    moments: Iterable[float],
    utc: float | None = None,
    sigma: float = 0.0,
    seed: int = 0,
) -> Iterator[list[Event]]:
    """Yield what is told on each frame."""
    noise = np.random.default_rng(seed)
    for index, seconds in enumerate(moments):
        meta: dict[str, Any] = {"camera": "a"} if utc is None else {"camera": "a", "utc": utc + seconds}
        item = Item(f"clip-{index}", "clip.mp4", "clip", index, "video_frame", meta)
        yield made.update(item, labels(actors, seconds, noise, sigma), seconds, SIZE)


def told(frames: Iterable[list[Event]]) -> list[Event]:
    """Return whole events, in order of their tracks."""
    whole: dict[int, Event] = {}
    for events in frames:
        assert len({one.track for one in events}) == len(events)
        for one in events:
            assert one.start <= one.end
            assert 0.5 <= one.score <= 1
            assert all(np.isfinite(v) for v in one.evidence.values()), one
            whole[one.track] = joined(whole[one.track], one) if one.track in whole else one
    return [whole[track] for track in sorted(whole)]


def play(made: Behaviour, actors: Sequence[Actor], moments: Iterable[float], **more: Any) -> list[Event]:
    """Return the events of a script."""
    return told(frames(made, actors, moments, **more))
