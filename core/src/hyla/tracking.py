"""Give boxes an identity over the frames of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hyla.errors import ConfigError, did_you_mean
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.types import NO_TRACK, Floats, Image, Ints, Item, Kind, Labels

NAMES = ("bytetrack", "botsort", "ocsort", "trackers_bytetrack", "trackers_botsort", "none")
TRACKED = (Kind.BOX, Kind.ROTATED_BOX, Kind.POLYGON, Kind.KEYPOINTS, Kind.MASK)  # a tag or a lane has no box that moves
FRAME_RATE = 30.0  # frames per second of those that carry no time


class Engine(Protocol):
    """Join the boxes of one clip; `smoothed` are those of the last frame (n, 4) without their noise, if it can tell."""

    smoothed: Floats | None

    def update(
        self, box: Floats, score: Floats, family: Ints, seconds: float, step: float, lost: float, image: Image | None
    ) -> Ints:
        """Return the identity (n,) of each box (n, 4) in the next frame, more than 0 and never given twice; 0 for none yet.

        Args:
            box: (n, 4) x0, y0, x1, y1.
            score: (n,) from 0 to 1.
            family: (n,) of which only equals are joined.
            seconds: of the frame.
            step: seconds since the last one.
            lost: seconds for which an unseen track is kept.
            image: of the frame, where there is one.
        """
        ...


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
            taken out, https://arxiv.org/abs/2206.14651; needs pixels and OpenCV), both in `hyla.bytetrack`; ocsort
            (https://arxiv.org/abs/2203.14360), trackers_bytetrack and trackers_botsort of the package `trackers`; or none.
        schema: tells which classes are of one family.
        threshold: score from 0 to 1 from which a box may start a track; 0.25 is what ultralytics' bytetrack.yaml has
            (new_track_thresh and track_high_thresh). Lower boxes only continue one, and not with ocsort.
        lost: seconds for which an unseen track is kept; 1.0 is the 30 frames at 30 Hz of ByteTrack's paper. Frames further
            apart than that are still joined to the next one.
        confirm: frames in a row that confirm a track.
        instant: whether the tracks of a clip's first frame need no confirmation, as in ultralytics; not with the package's.

        smooth: whether boxes that have a track are given back without their noise (the state of the Kalman filter), inside the
            picture; only boxes, given an image, and not with the package's.

    Raises:
        ConfigError: for an unknown name or a setting out of range.
    """

    def __init__(
        self,
        name: str = "bytetrack",
        schema: Schema | None = None,
        threshold: float = 0.25,
        lost: float = 1.0,
        confirm: int = 2,
        instant: bool = False,
        smooth: bool = False,
    ) -> None:
        if name not in NAMES:
            raise ConfigError(f"unknown tracking {name!r}", did_you_mean(name, NAMES), NAMES)
        if not 0 <= threshold <= 1:
            raise ConfigError(f"tracking threshold must lie between 0 and 1, got {threshold}")
        if lost < 0 or confirm < 1:
            raise ConfigError(f"tracking needs lost >= 0 s and confirm >= 1 frames, got {lost} and {confirm}")
        self.name, self.threshold, self.lost = name, threshold, lost
        self.confirm, self.instant, self.smooth = confirm, instant, smooth
        self._families = None if schema is None else _families(schema)
        self._groups: dict[str, _Group] = {}
        if name != "none":
            self._new()  # a missing library shows before any work starts

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
            group = self._groups[item.group] = _Group(self._new(), {})
        step = group.advance(item.index, image)
        rows = np.flatnonzero(np.isin(labels.kind, TRACKED))
        family = labels.class_id[rows] if self._families is None else self._families[labels.class_id[rows]]
        box, score = labels.box[rows].astype(np.float64), labels.score[rows].astype(np.float64)
        found = group.engine.update(box, score, family, group.seconds, step, max(self.lost, 1.5 * step), image)
        track = np.full(len(labels), NO_TRACK, dtype=np.int64)
        track[rows] = [group.known.setdefault(one, len(group.known) + 1) if one else NO_TRACK for one in found.tolist()]
        tracked = labels[:]
        tracked.track = track
        if self.smooth and image is not None and group.engine.smoothed is not None:
            mine = np.flatnonzero((track[rows] != NO_TRACK) & (labels.kind[rows] == Kind.BOX))
            tracked.box = tracked.box.copy()  # a slice shares what it was cut from
            tracked.box[rows[mine]] = _inside(group.engine.smoothed[mine], box[mine], image.size)
        return tracked

    def forget(self, group: str) -> None:
        """Free what is remembered of `group`."""
        self._groups.pop(group, None)

    def _new(self) -> Engine:
        if self.name in ("bytetrack", "botsort"):
            from hyla.bytetrack import ByteTrack

            return ByteTrack(self.threshold, self.confirm, self.instant, camera=self.name == "botsort")
        from hyla.trackers_package import Package

        return Package(self.name.removeprefix("trackers_"), self.threshold, self.lost, self.confirm)


@dataclass
class _Group:
    """Hold the engine of one group, its identities -> ours, and its clock."""

    engine: Engine
    known: dict[int, int]
    index: int = -1
    seconds: float = -1.0

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


def _inside(smoothed: Floats, box: Floats, size: tuple[int, ...]) -> Floats:
    """Return smoothed boxes cut off at the picture's edges; the box itself where nothing is left."""
    height, width = size[-2:]
    cut = np.clip(smoothed, 0, [width, height, width, height])
    left = np.asarray((cut[:, 2:] - cut[:, :2] > 0).all(axis=1))
    return np.where(left[:, None], cut, box)
