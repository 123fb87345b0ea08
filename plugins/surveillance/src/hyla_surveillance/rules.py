"""Review rules about one frame of a camera: what is a candidate, what can't be trusted, and what may only be hidden.

Each rule looks at all labels at once, remembers nothing, and can be changed or left out by name. Each takes `severity`: what its
flags ask for (note, review, human, second, reject). That a person confirms each event is not a rule that could be left out: the
schema says so (`confirmations`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hyla.hooks import hookimpl
from hyla.rules import Classes, SchemaRule, draw, evidence, fact, lowest
from hyla.schema import Schema
from hyla.types import Flag, Item, Kind, Labels
from hyla_surveillance.events import EVENTS, rows_of

UNITS = {
    "dwell_s": "{:.0f} s",
    "radius_m": "within {:.1f} m",
    "speed_mps": "{:.1f} m/s",
    "angle_deg": "{:.0f} degrees off",
    "distance_m": "{:.1f} m",
    "still_s": "still for {:.0f} s",
    "owner_away_s": "owner away for {:.0f} s",
    "density_m2": "{:.1f} per square metre",
    "count": "{:.0f} people",
    "drop_s": "in {:.1f} s",
}


class Candidates(SchemaRule):
    """Send every event to a person, with what speaks for it in words.

    Args:
        classes: of events; all.
    """

    def __init__(self, schema: Schema, name: str, classes: Sequence[str] = EVENTS, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.classes = self.table(*classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for each event, its reason the name of its class."""
        found = []
        for row in np.flatnonzero(rows_of(labels, self.schema) & self.classes[labels.class_id]).tolist():
            name = self.schema.names[int(labels.class_id[row])]
            said = {key: float(evidence(labels, key)[row]) for key in UNITS if key in labels.evidence}
            words = ", ".join(UNITS[key].format(value) for key, value in said.items() if value == value)
            message = f"candidate: {name.replace('_', ' ')}{': ' + words if words else ''}"
            found.append(Flag(self.name, name, self.severity, (row,), message))
        return found


class LowFrameRate(SchemaRule):
    """Send events to a person that were told from too few frames per second.

    Args:
        fps: frames per second that behaviour needs; 6, the least that vendors of video analytics ask for (Ultinous).
    """

    def __init__(self, schema: Schema, name: str, fps: float = 6.0, severity: str = "human") -> None:
        super().__init__(schema, name, severity)
        self.fps = fps

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the events whose frames came slower."""
        rate = evidence(labels, "fps")
        low = rows_of(labels, self.schema) & (rate < self.fps)
        least = np.min(rate, where=low, initial=np.inf)
        return self.flags("low_frame_rate", low, f"told from {least:.1f} frames per second where {self.fps:g} are asked for")


class Uncalibrated(SchemaRule):
    """Note events whose metres were guessed from how tall people look, since the camera has no ground plane."""

    def __init__(self, schema: Schema, name: str, severity: str = "note") -> None:
        super().__init__(schema, name, severity)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the events that rest on guessed metres."""
        rows = rows_of(labels, self.schema) & (evidence(labels, "calibrated") == 0)
        return self.flags("uncalibrated", rows, "metres are guessed from people's heights: give the camera a ground plane")


class DangerousCrowd(SchemaRule):
    """Send crowding to two people where the density is dangerous.

    Args:
        danger: persons per square metre; 5 (crowd safety, after Fruin 1993 and Still 2014).
    """

    def __init__(self, schema: Schema, name: str, danger: float = 5.0, severity: str = "second") -> None:
        super().__init__(schema, name, severity)
        self.danger = danger
        self.crowding = self.table("crowding")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag `crowd_danger` with what is at or over the limit."""
        density = evidence(labels, "density_m2")
        rows = rows_of(labels, self.schema) & self.crowding[labels.class_id] & (density >= self.danger)
        most = np.max(density, where=rows, initial=0.0)
        return self.flags("crowd_danger", rows, f"{most:.1f} people per square metre, danger from {self.danger:g}")


class SmallFace(SchemaRule):
    """Note faces that serve for nothing but being hidden.

    Args:
        px: shorter side of the box below which a face is `redact_only`; 24.
    """

    def __init__(self, schema: Schema, name: str, px: float = 24.0, severity: str = "note") -> None:
        super().__init__(schema, name, severity)
        self.px = px
        self.face = self.table("face")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the small faces."""
        side = np.minimum(labels.width, labels.height)
        rows = self.face[labels.class_id] & (labels.kind != Kind.TAG) & (side < self.px)
        return self.flags("redact_only", rows, f"{rows.sum()} face(s) under {self.px:g} px: to be hidden, and for nothing else")


class WrongQuality(SchemaRule):
    """Send faces to review that are said to be of use and are too small for it.

    Args:
        px: distance of the eyes, in pixels, below which a face is not `good`; 60.
    """

    def __init__(self, schema: Schema, name: str, px: float = 60.0, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.px = px
        self.face = self.table("face")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the faces called good whose eyes are too close."""
        said, eyes = labels.attributes.get("quality"), labels.attributes.get("eye_distance")
        if said is None or eyes is None or eyes.dtype == object:
            return []
        rows = self.face[labels.class_id] & (said == "good") & (eyes < self.px)
        return self.flags("quality", np.asarray(rows, dtype=bool), f"called good with eyes less than {self.px:g} px apart")


class NoLegalBasis(SchemaRule):
    """Drop matches for which nobody named the right to compare; with one, two people decide, as the schema has it."""

    def __init__(self, schema: Schema, name: str, severity: str = "reject") -> None:
        super().__init__(schema, name, severity)
        self.match = self.table("candidate_match")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the matches that carry no legal basis."""
        rows = self.match[labels.class_id]
        said = labels.attributes.get("legal_basis")
        if rows.any() and said is not None and said.dtype == object:
            rows = rows & np.array([not str(one or "").strip() for one in said.tolist()], dtype=bool)
        return self.flags("no_legal_basis", rows, "a match without a legal basis is not looked at")


class Covered(SchemaRule):
    """Send frames to a person on which the camera sees nothing, or something quite different: covered, turned or sprayed.

    Args:
        luma: mean brightness, 0 to 255, below which nothing is seen; 20.
        changed: share of the picture unlike its background from which the view is another; 0.6.
        sharpness: below which a lens is covered or out of focus, as `scene.Scene` measures it; 20: sharp streets and corridors
            have 200 to 1400 there, the same out of focus by 5 px of 768 have 18 to 22, and noise on a plain cloth 18.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        luma: float = 20.0,
        changed: float = 0.6,
        sharpness: float = 20.0,
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.luma, self.changed, self.sharpness = luma, changed, sharpness

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag `camera_covered` or `view_changed` for the frame as a whole."""
        luma, changed, sharp = (fact(item, labels, name) for name in ("luma", "changed", "sharpness"))
        if luma is not None and luma < self.luma:
            return self.whole("camera_covered", f"mean brightness {luma:.0f} of 255, limit {self.luma:g}")
        if changed is not None and changed > self.changed:
            return self.whole("view_changed", f"{changed:.0%} of the picture is unlike its background, limit {self.changed:.0%}")
        if sharp is not None and sharp < self.sharpness:
            return self.whole("camera_covered", f"sharpness {sharp:.1f}, limit {self.sharpness:g}: covered, or out of focus")
        return []


class Moved(SchemaRule):
    """Send frames to review on which the camera stands elsewhere than before: zones and ground plane no longer fit.

    Args:
        px: shift against the background, in pixels of a picture 1920 wide, in proportion for others; 8.
    """

    def __init__(self, schema: Schema, name: str, px: float = 8.0, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.px = px

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag `camera_moved` for the frame as a whole."""
        shift, size = fact(item, labels, "shift"), item.meta.get("size")
        limit = self.px * (size[-1] / 1920 if size else 1.0)
        if shift is None or shift <= max(limit, 1.0):
            return []
        return self.whole("camera_moved", f"the picture is shifted by {shift:.1f} px, limit {max(limit, 1.0):.1f} px")


class Night(SchemaRule):
    """Ask more of scores at night and in infrared, where people and things are taken for each other.

    Args:
        raised: added to the threshold; 0.15.
        threshold: score from 0 to 1 that is asked for by day; 0.5.
        classes: thresholds of single classes with all below them.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        raised: float = 0.15,
        threshold: float = 0.5,
        classes: Classes | None = None,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.limit = np.minimum(self.per_class(threshold, classes) + raised, 1.0)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag `night` with the rows below the raised threshold of their class."""
        if not (fact(item, labels, "infrared") or fact(item, labels, "timeofday") == "night"):
            return []
        limit = self.limit[labels.class_id]
        low = (labels.score < limit) & (labels.kind != Kind.TAG)
        return self.flags("night", low, lowest(labels, low, limit, "score too low for a night picture"))


class Sample(SchemaRule):
    """Send a share of the frames on which nothing was found to review: what is missed shows nowhere else.

    Args:
        share: of the frames without labels, 0 to 1; 0.02.
        per_camera: shares of single cameras, by name.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        share: float = 0.02,
        per_camera: Mapping[str, float] | None = None,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.share, self.per_camera = share, dict(per_camera or {})

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag `audit_of_nothing` for frames drawn by their id, the same on every machine."""
        share = self.per_camera.get(str(item.meta.get("camera")), self.share)
        if len(labels) or draw(item.id) >= share:
            return []
        return self.whole("audit_of_nothing", f"nothing was found; {share:.0%} of such frames are looked at")
