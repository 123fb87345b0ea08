"""Join boxes into tracks with the package `trackers` (Apache-2.0)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.types import Floats, Image, Ints

FRAME_RATE = 30.0  # frames per second of the library's clock; it cancels out for frames that carry their time
CLASSES = {"bytetrack": "ByteTrackTracker", "botsort": "BoTSORTTracker", "ocsort": "OCSORTTracker"}


class Package:
    """Hold the library's trackers of one clip, one for each family.

    Args:
        name: bytetrack, botsort or ocsort.
        threshold: score from which a box may start a track.
        lost: seconds for which an unseen track is kept.
        confirm: frames in a row that confirm a track.

    Raises:
        ConfigError: if the package is not installed.
    """

    smoothed: Floats | None = None

    def __init__(self, name: str, threshold: float, lost: float, confirm: int) -> None:
        self._class = _library(name)
        self._settings: dict[str, Any] = {
            "lost_track_buffer": round(lost * FRAME_RATE),
            "frame_rate": FRAME_RATE,
            "minimum_consecutive_frames": confirm,
            "high_conf_det_threshold": threshold,
        }
        if name != "ocsort":
            self._settings["track_activation_threshold"] = threshold
        if name == "botsort":
            self._settings["instant_first_frame_activation"] = False  # the first frame is confirmed like any other
        self._pictures = name == "botsort"
        self._trackers: dict[int, Any] = {}
        self._known: dict[tuple[int, int], int] = {}  # family, identity of the library -> identity

    def update(
        self, box: Floats, score: Floats, family: Ints, seconds: float, step: float, lost: float, image: Image | None
    ) -> Ints:
        """Return the identity (n,) of each box in the next frame, counted from 1; 0 for none yet. See `hyla.tracking.Engine`."""
        local = np.full(len(box), -1, dtype=np.int64)
        for key in sorted({*self._trackers, *family.tolist()}):
            tracker = self._trackers.get(key)
            if tracker is None:
                tracker = self._trackers[key] = self._class(**self._settings)
            tracker.maximum_time_without_update = lost
            mine = np.flatnonzero(family == key)
            local[mine] = self._identities(tracker, box[mine], score[mine], seconds, image)
        pairs = zip(family.tolist(), local.tolist(), strict=True)
        return np.array([self._known.setdefault(p, len(self._known) + 1) if p[1] >= 0 else 0 for p in pairs], dtype=np.int64)

    def _identities(self, tracker: Any, box: Floats, score: Floats, seconds: float, image: Image | None) -> Ints:
        import supervision as sv

        found = sv.Detections(xyxy=box.astype(np.float32), confidence=score.astype(np.float32), data={"row": np.arange(len(box))})
        frame = None
        if self._pictures and image is not None and image.pixels.ndim == 3 and image.pixels.shape[2] == 3:
            frame = np.ascontiguousarray(image.pixels[:, :, ::-1])  # it reads BGR
        answer = tracker.update(found, frame=frame, timestamp=seconds)
        ids = np.full(len(box), -1, dtype=np.int64)
        if len(answer):
            ids[answer.data["row"]] = answer.tracker_id
        return ids


def _library(name: str) -> Callable[..., Any]:
    try:
        import trackers
    except ImportError as error:
        raise ConfigError(
            f"this tracking needs the package 'trackers' ({name})", "pip install trackers, or set tracking=bytetrack"
        ) from error
    chosen: Callable[..., Any] = getattr(trackers, CLASSES[name])
    return chosen
