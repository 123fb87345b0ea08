"""Give boxes an identity over the frames of a clip, with the trackers of the `trackers` package (Apache-2.0)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hyla.errors import ConfigError, did_you_mean
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import NO_TRACK, Image, Ints, Item, Kind, Labels

NAMES = ("bytetrack", "botsort", "ocsort", "none")
TRACKED = (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.KEYPOINTS, Kind.MASK)  # a tag or a lane has no box that moves
FRAME_RATE = 30.0  # frames per second of the library's clock; it cancels out for frames that carry their time


class Tracker:
    """Join the boxes of a clip's frames into tracks: group by group, in order, the same on every run.

    Identities count from 1 within a group, in order of appearance. A row has none (-1) until its track is confirmed. Rows keep
    their order, and all of them come back. Labels of different families never share a track: the family of a class is its topmost
    parent in the schema, so that a car may turn into a truck (which a rule can flag as a class flip) but never into a person;
    without a schema each class is a family. Items without a group are left alone.

    Frames with a `VideoFrame` are tracked in seconds, so that a stride or a variable frame rate changes nothing; others count as
    one step of 1/30 s each. A group that starts again from an earlier index is a replay, and starts with an empty memory.

    Args:
        name: bytetrack (two rounds of overlap, https://arxiv.org/abs/2110.06864), botsort (the same with the camera's motion
            taken out, https://arxiv.org/abs/2206.14651; needs pixels), ocsort (https://arxiv.org/abs/2203.14360), or none.
        schema: tells which classes are of one family.
        threshold: score from 0 to 1 from which a box may start a track; 0.25 is what ultralytics' bytetrack.yaml has
            (new_track_thresh and track_high_thresh). Lower boxes only continue one, and not with ocsort.
        lost: seconds for which an unseen track is kept; 1.0 is the 30 frames at 30 Hz of ByteTrack's paper. Frames further
            apart than that are still joined to the next one.
        confirm: frames in a row that confirm a track; 2 is the library's default.

    Raises:
        ConfigError: for an unknown name or a setting out of range.
    """

    def __init__(
        self, name: str = "bytetrack", schema: Schema | None = None, threshold: float = 0.25, lost: float = 1.0, confirm: int = 2
    ) -> None:
        if name not in NAMES:
            raise ConfigError(f"unknown tracking {name!r}", did_you_mean(name, NAMES), NAMES)
        if not 0 <= threshold <= 1:
            raise ConfigError(f"tracking threshold must lie between 0 and 1, got {threshold}")
        if lost < 0 or confirm < 1:
            raise ConfigError(f"tracking needs lost >= 0 s and confirm >= 1 frames, got {lost} and {confirm}")
        self.name = name
        self.threshold = threshold
        self.lost = lost
        self.confirm = confirm
        self._families = None if schema is None else _families(schema)
        self._groups: dict[str, _Group] = {}
        if name != "none":
            _library(name)  # a missing library shows before any work starts

    @property
    def memory(self) -> bool:
        """Tell whether frames must come in order: False for `none`."""
        return self.name != "none"

    def update(self, item: Item, labels: Labels, image: Image | None = None) -> Labels:
        """Return `labels` with their tracks, given the next item of its group.

        Args:
            item: names the group and the position in it.
            labels: what was found; not changed. Rows of kinds without a moving box (tag, polyline, cuboid) get no track.
            image: gives the moment of the frame, and the pixels that botsort needs.
        """
        if not self.memory or not item.group:
            return labels
        group = self._groups.get(item.group)
        if group is None or item.index <= group.index:
            group = self._groups[item.group] = _Group()
        step = group.advance(item.index, image)
        rows = np.flatnonzero(np.isin(labels.kind, TRACKED))
        family = labels.class_id[rows] if self._families is None else self._families[labels.class_id[rows]]
        local = np.full((len(labels), 2), NO_TRACK, dtype=np.int64)  # family, identity within it
        for key in sorted({*group.trackers, *family.tolist()}):
            mine = rows[family == key]
            tracker = group.trackers.get(key)
            if tracker is None:
                tracker = group.trackers[key] = self._new()
            tracker.maximum_time_without_update = max(self.lost, 1.5 * step)
            local[mine, 0] = key
            local[mine, 1] = self._identities(tracker, labels, mine, group.seconds, image)
        track = np.full(len(labels), NO_TRACK, dtype=np.int64)
        for row in np.flatnonzero(local[:, 1] >= 0):
            track[row] = group.known.setdefault((int(local[row, 0]), int(local[row, 1])), len(group.known) + 1)
        tracked = labels[:]
        tracked.track = track
        return tracked

    def forget(self, group: str) -> None:
        """Free what is remembered of `group`."""
        self._groups.pop(group, None)

    def _new(self) -> Any:
        settings: dict[str, Any] = {
            "lost_track_buffer": round(self.lost * FRAME_RATE),
            "frame_rate": FRAME_RATE,
            "minimum_consecutive_frames": self.confirm,
            "high_conf_det_threshold": self.threshold,
        }
        if self.name != "ocsort":
            settings["track_activation_threshold"] = self.threshold
        if self.name == "botsort":
            settings["instant_first_frame_activation"] = False  # the first frame is confirmed like any other
        return _library(self.name)(**settings)

    def _identities(self, tracker: Any, labels: Labels, rows: Ints, seconds: float, image: Image | None) -> Ints:
        import supervision as sv

        found = sv.Detections(
            xyxy=labels.box[rows].astype(np.float32),
            confidence=labels.score[rows].astype(np.float32),
            data={"row": np.arange(len(rows))},
        )
        frame = None
        if self.name == "botsort" and image is not None and image.pixels.ndim == 3 and image.pixels.shape[2] == 3:
            frame = np.ascontiguousarray(image.pixels[:, :, ::-1])  # it reads BGR
        answer = tracker.update(found, frame=frame, timestamp=seconds)
        ids = np.full(len(rows), NO_TRACK, dtype=np.int64)
        if len(answer):
            ids[answer.data["row"]] = answer.tracker_id
        return ids


@dataclass
class _Group:
    """Hold the trackers of one group by family, its clock, and (family, identity of the library) -> identity of ours."""

    index: int = -1
    seconds: float = -1.0
    trackers: dict[int, Any] = field(default_factory=dict)
    known: dict[tuple[int, int], int] = field(default_factory=dict)

    def advance(self, index: int, image: Image | None) -> float:
        """Move the clock to item `index` and return the seconds that passed, which are always more than 0."""
        least = 1 / FRAME_RATE
        before, self.index = self.seconds, index
        timed = image is not None and isinstance(image.frame, VideoFrame)
        moment = image.frame.seconds if timed else before + least  # type: ignore[union-attr]
        if before < 0:
            self.seconds = max(moment, 0.0)
            return least
        self.seconds = moment if moment > before else before + least  # a stream may repeat a timestamp
        return self.seconds - before


def _families(schema: Schema) -> Ints:
    """Return (classes,) the id of the topmost parent of each class."""
    tops = []
    for one in schema.classes:
        while one.parent in schema.ids:
            one = schema.classes[schema.ids[one.parent]]
        tops.append(schema.ids[one.name])
    return np.array(tops, dtype=np.int64)


def _library(name: str) -> Callable[..., Any]:
    try:
        import trackers
    except ImportError as error:
        raise ConfigError(
            f"tracking={name} needs the package 'trackers'", "pip install trackers, or set tracking=none"
        ) from error
    classes: Sequence[Any] = (trackers.ByteTrackTracker, trackers.BoTSORTTracker, trackers.OCSORTTracker)
    chosen: Callable[..., Any] = dict(zip(NAMES, classes, strict=False))[name]
    return chosen
