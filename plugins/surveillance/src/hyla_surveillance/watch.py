"""Watch a camera: boxes found, joined into tracks, faces and plates given to whose they are, events told from the tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Protocol

import numpy as np

from hyla.errors import ConfigError, StageError
from hyla.frame import VideoFrame
from hyla.geometry import iou
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.tracking import Tracker
from hyla.types import NO_TRACK, Bools, Floats, Image, Item, Labels
from hyla_surveillance.events import Event, to_labels

SAME = 0.3  # IoU from which two boxes are of one thing
STEP = 0.125  # seconds between frames that carry no time: the 8 Hz that recordings are read at


class Scenes(Protocol):
    """Say what a frame shows as a whole; see `hyla_surveillance.scene.Scene`."""

    def update(self, item: Item, image: Image) -> dict[str, Any]:
        """Return attributes of the image, given the next frame of its clip."""
        ...

    def forget(self, group: str) -> None:
        """Drop what is remembered of a clip."""
        ...


class Behaviours(Protocol):
    """Tell events from tracks; see `hyla_surveillance.behaviour.Behaviour`."""

    def update(self, item: Item, labels: Labels, seconds: float, size: tuple[int, int]) -> list[Event]:
        """Return the events that go on, given the next frame's tracked labels."""
        ...

    def forget(self, group: str) -> None:
        """Drop what is remembered of a clip."""
        ...


class Watch(Model):
    """Label the frames of cameras, clip by clip and in order; each part may be left out with null.

    Members without memory see whole batches, over all cameras; what remembers is then asked frame by frame. A batch that is tried
    again, or a clip that starts again from an earlier frame, gives the same labels.

    Args:
        schema: of the labels.
        finder: finds people, vehicles and things.
        objects: finds what was put down and stays, where the finder does not.
        tracker: joins boxes into tracks.
        faces, plates: find what is to be hidden; each gets the track of whom or what it belongs to as `subject`.
        scene: says what the frame shows as a whole.
        behaviour: tells events from tracks.

    Raises:
        ConfigError: where a part can't do its work, or the schema has no tracks.
    """

    memory = True
    partial = False

    def __init__(
        self,
        schema: Schema,
        finder: Model | None,
        objects: Model | None = None,
        tracker: Tracker | None = None,
        faces: Model | None = None,
        plates: Model | None = None,
        scene: Scenes | None = None,
        behaviour: Behaviours | None = None,
    ) -> None:
        models = {"finder": finder, "objects": objects, "faces": faces, "plates": plates}
        for name, model in models.items():
            if model is not None and not hasattr(model, "predict"):
                raise ConfigError(f"model.{name} is no model: {type(model).__name__} has no predict")
        if tracker is not None and tracker.memory and "track" not in schema.kinds:
            raise ConfigError(f"schema {schema.name!r} has no tracks", "add track to schema.kinds, or set model.tracker=null")
        if behaviour is not None and (tracker is None or not tracker.memory):
            raise ConfigError("events are told from tracks, and there is no tracker", "set model.behaviour=null too")
        self.schema, self.tracker, self.scene, self.behaviour = schema, tracker, scene, behaviour
        self.models: dict[str, Model] = {name: model for name, model in models.items() if model is not None}
        self.partial = all(getattr(model, "partial", False) for model in (finder, objects) if model is not None)
        self._plain = {name: m for name, m in self.models.items() if not getattr(m, "memory", False)}
        self._remembering = {name: m for name, m in self.models.items() if getattr(m, "memory", False)}
        self._owners = {"face": schema.under("person"), "plate": schema.under("vehicle")}
        self._last: dict[str, int] = {}  # group -> index of its last frame
        # Group and item id -> labels, and what members that remember said, of a batch that has not been handed over yet.
        self._told: dict[tuple[str, str], Labels] = {}
        self._said: dict[tuple[str, str], dict[str, Labels]] = {}

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the labels of each frame: boxes with tracks, faces, plates, events as tags; what it shows as a whole is context.

        Raises:
            StageError: when a member does not answer with one Labels per image.
        """
        found = {name: _all(name, model.predict(images), len(images)) for name, model in self._plain.items()}
        for i, image in enumerate(images):
            if (key := _key(image.item)) not in self._told:
                self._told[key] = self._watch(image, {name: labels[i] for name, labels in found.items()})
        told = [self._told[_key(image.item)] for image in images]
        for image in images:
            self._said.pop(_key(image.item), None)
            self._told.pop(_key(image.item), None)
        return told

    @hookimpl
    def forget(self, group: str) -> None:
        """Pass on that the clip is over."""
        for left in (self._told, self._said):  # of a frame that could not be labelled
            for key in [key for key in left if key[0] == group]:
                del left[key]
        self._begin(group)

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return `name`, and each member's own facts under its name: `finder.digest`; `digest` is the sha256 over theirs."""
        facts: dict[str, Mapping[str, str]] = {name: dict(model.provenance() or {}) for name, model in self.models.items()}
        joined = {"name": "+".join(one.get("name") or name for name, one in facts.items()) or "watch"}
        if digests := [f"{name}:{one['digest']}" for name, one in facts.items() if one.get("digest")]:
            joined["digest"] = sha256("\n".join(digests).encode()).hexdigest()
        if self.tracker is not None:
            joined["tracker"] = self.tracker.name
        return joined | {f"{name}.{key}": value for name, one in facts.items() for key, value in one.items()}

    def _begin(self, group: str) -> None:
        self._last.pop(group, None)
        for part in (*self._remembering.values(), self.tracker, self.scene, self.behaviour):
            if part is not None and hasattr(part, "forget"):
                part.forget(group)

    def _watch(self, image: Image, found: dict[str, Labels]) -> Labels:
        item = image.item
        if _key(item) not in self._said and item.group and item.index <= self._last.get(item.group, -1):
            self._begin(item.group)
        said = self._said.setdefault(_key(item), {})
        for name, model in self._remembering.items():  # what may fail is asked before anything else remembers the frame
            if name not in said:
                said[name] = _all(name, model.predict([image]), 1)[0]
        found |= said
        if item.group:
            self._last[item.group] = item.index
        things = _without_doubles([found[name] for name in ("finder", "objects") if name in found])
        if self.tracker is not None:
            things = self.tracker.update(item, things, image)
        hidden = [self._assigned(things, found[name]) for name in ("faces", "plates") if name in found]
        events = self._events(item, things, image) if self.behaviour is not None and item.group else []
        context = self.scene.update(item, image) if self.scene is not None else {}
        told = to_labels(events, self.schema, image.size)
        return replace(Labels.concat([things, *hidden, *([told] if len(told) else [])]), context=context)

    def _events(self, item: Item, things: Labels, image: Image) -> list[Event]:
        assert self.behaviour is not None
        seconds = image.frame.seconds if isinstance(image.frame, VideoFrame) else item.index * STEP
        height, width = image.size[-2:]
        return self.behaviour.update(item, things, seconds, (height, width))

    def _assigned(self, things: Labels, hidden: Labels) -> Labels:
        """Return faces or plates with the track of whom they belong to."""
        if not len(hidden) or self.tracker is None or "subject" not in self.schema.attributes_of("label"):
            return hidden
        subject = np.full(len(hidden), np.nan)
        for name, owners in self._owners.items():
            rows = np.flatnonzero(np.isin(hidden.class_id, self.schema.under(name)))
            whose = things[np.isin(things.class_id, owners) & (things.track != NO_TRACK)]
            if len(rows) and len(whose):
                subject[rows] = subjects(hidden.box[rows], whose)
        return replace(hidden, attributes={**hidden.attributes, "subject": subject})


def subjects(box: Floats, whose: Labels) -> Floats:
    """Return the track (n,) of whom each face or plate (n, 4) belongs to; NaN where nobody's box holds its centre.

    Of several that do, the one in whose box the face sits most like a face: near the top middle of a person. Plates sit anywhere.
    """
    centre = (box[:, None, :2] + box[:, None, 2:]) / 2
    low, high = whose.box[None, :, :2], whose.box[None, :, 2:]
    inside: Bools = np.asarray(((centre >= low) & (centre <= high)).all(axis=2))
    span = np.maximum(high - low, 1e-9)
    at = (centre - low) / span
    far = np.abs(at[..., 0] - 0.5) + at[..., 1]
    best = np.where(inside, far, np.inf).argmin(axis=1)
    return np.where(inside.any(axis=1), whose.track[best].astype(np.float64), np.nan)


def _key(item: Item) -> tuple[str, str]:
    return item.group, item.id


def _without_doubles(parts: Sequence[Labels]) -> Labels:
    """Return what the finder found, and of what was put down that which it did not find."""
    if len(parts) == 2 and len(parts[0]) and len(parts[1]):
        parts = [parts[0], parts[1][iou(parts[1].box, parts[0].box).max(axis=1) < SAME]]
    return Labels.concat(parts)


def _all(name: str, answer: list[Labels] | None, n: int) -> list[Labels]:
    if answer is None or len(answer) != n:
        got = "nothing" if answer is None else f"{len(answer)} answers"
        raise StageError(f"member {name!r} gave {got} for {n} images")
    return answer
