"""Review rules about things on the road, one picture at a time.

Each rule looks at all labels at once, remembers nothing, and can be changed or left out by name. Each takes `severity`: what its
flags ask for (note, review, human, second, reject).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hyla.geometry import iou
from hyla.hooks import hookimpl
from hyla.rules import SchemaRule
from hyla.schema import Schema
from hyla.types import Bools, Flag, Floats, Item, Kind, Labels
from hyla_driving.ego import CAMERA_HEIGHT, LANE_WIDTH, EgoLane, size_of

OBJECTS = ("vehicle", "vru")
STANDS = np.array([kind not in (Kind.TAG, Kind.POLYLINE) for kind in Kind])


class DrivingRule(SchemaRule):
    """Hold what each rule of this plugin is given, and which classes are lanes."""

    def __init__(self, schema: Schema, name: str, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.lane = self.table("lane")


def things(labels: Labels, classes: Bools) -> Bools:
    """Return (n,) True for labels of `classes` that stand somewhere in the picture: no tag, no line, no cuboid without a box."""
    found = classes[labels.class_id] & STANDS[labels.kind]
    deep = labels.kind == Kind.CUBOID
    return np.asarray(found & ~deep | found & (labels.width > 0) if deep.any() else found)


def foot(labels: Labels) -> tuple[Floats, Floats]:
    """Return x and y (n,) of the middle of the lower edges, where a thing stands on the lane."""
    return (labels.box[:, 0] + labels.box[:, 2]) / 2, labels.box[:, 3]


class VruNearPath(DrivingRule):
    """Send vulnerable road users in or beside the ego lane to a person, always.

    A person, rider or the like whose foot point lies in the ego lane, widened. Without two ego lines the lane is straight ahead,
    3.5 m wide, as a camera 1.4 m above the road sees it. A distance of 3 m to the side is usual where the camera is calibrated;
    half a lane more on both sides is its stand-in here (3.5 m * 1.5 / 2 = 2.6 m from the middle).

    Args:
        widen: factor on the width of the ego lane; 1.5.
        horizon: fraction of the image height, or None to read it off the lane lines; see `hyla_driving.ego.EgoLane`.
        camera_height: metres; 1.4.
        lane_width: metres; 3.5.
        classes: what counts as vulnerable.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        widen: float = 1.5,
        horizon: float | None = None,
        camera_height: float = CAMERA_HEIGHT,
        lane_width: float = LANE_WIDTH,
        classes: Sequence[str] = ("vru",),
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.widen = widen
        self.view = (horizon, camera_height, lane_width)
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows in or beside the ego lane."""
        mine = things(labels, self.classes)
        if not mine.any():
            return []
        lane = EgoLane.of(item, labels, self.lane, *self.view)
        x, y = foot(labels)
        centre, half = lane.across(y)
        off = np.divide(np.abs(x - centre), half, out=np.full(len(y), np.inf), where=half > 0)
        near = mine & (off <= self.widen)
        nearest = off[near].min(initial=np.inf)
        return self.flags(
            "vru_near_path",
            near,
            f"{near.sum()} vulnerable road user(s) in or beside the ego lane: the nearest at {nearest:.2f} half widths, "
            f"limit {self.widen:g}",
        )


class Interaction(DrivingRule):
    """Send what may be an interaction to a person: someone at a vehicle in the ego lane, or on foot and on wheels at once.

    Whether a person crosses, waits, gets in or rides can't be told from boxes, and labels of interaction are always human.

    Args:
        gap: distance to a vehicle in the ego lane up to which someone is at it, in heights of that person; 0.5 (about 0.85 m).
        overlap: IoU from which a person and a rider, bicycle or motorcycle may be one and the same; 0.1.
        horizon, camera_height, lane_width: as in VruNearPath.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        gap: float = 0.5,
        overlap: float = 0.1,
        horizon: float | None = None,
        camera_height: float = CAMERA_HEIGHT,
        lane_width: float = LANE_WIDTH,
        severity: str = "human",
    ) -> None:
        super().__init__(schema, name, severity)
        self.gap = gap
        self.overlap = overlap
        self.view = (horizon, camera_height, lane_width)
        self.vru, self.vehicle = self.table("vru"), self.table("vehicle")
        self.walks = self.table("person")
        self.rides = self.table("rider", "bicycle", "motorcycle")

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for people at a vehicle, and one for people who overlap something on two wheels."""
        vru = np.flatnonzero(things(labels, self.vru))
        if not len(vru):
            return []
        box = labels.box
        at = np.zeros(len(labels), dtype=bool)
        vehicles = things(labels, self.vehicle)
        if vehicles.any():
            centre, half = EgoLane.of(item, labels, self.lane, *self.view).across(box[:, 3])
            ahead = vehicles & (box[:, 0] < centre + half) & (box[:, 2] > centre - half)
            apart = _apart(box[vru], box[ahead])
            at[vru] = (apart <= self.gap * labels.height[vru, None]).any(axis=1)
        walks = np.flatnonzero(things(labels, self.walks))
        rides = np.flatnonzero(things(labels, self.rides))
        one = iou(box[walks], box[rides]) >= self.overlap
        both = np.zeros(len(labels), dtype=bool)
        both[walks[one.any(axis=1)]] = True
        both[rides[one.any(axis=0)]] = True
        return [
            *self.flags(
                "vru_at_vehicle",
                at,
                f"{at.sum()} vulnerable road user(s) at a vehicle in the ego lane: closer than {self.gap:g} of their height",
            ),
            *self.flags(
                "walks_or_rides", both, f"{both.sum()} labels on foot and on wheels overlap by an IoU of {self.overlap:g} or more"
            ),
        ]


class Truncated(DrivingRule):
    """Send things that the border of the picture cuts to review: their box is not the box of the whole thing.

    Args:
        px: distance to the border in pixels up to which a box is cut; 1.
        classes: what is looked at.
    """

    def __init__(
        self, schema: Schema, name: str, px: float = 1.0, classes: Sequence[str] = OBJECTS, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.px = px
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows at the border, or whose attribute `truncated` is above 0."""
        mine = things(labels, self.classes)
        if not mine.any():
            return []
        cut = (labels.box[:, :2] <= self.px).any(axis=1)
        if item.meta.get("size"):
            height, width = size_of(item, labels)
            cut |= (labels.box[:, 2:] >= np.array([width, height]) - self.px).any(axis=1)
        said = labels.attributes.get("truncated")
        if said is not None and said.dtype != object:
            cut |= said > 0
        cut &= mine
        return self.flags(
            "truncated", cut, f"{cut.sum()} label(s) within {self.px:g} px of the border of the image, or said to be cut"
        )


class Occluded(DrivingRule):
    """Send things of which little is seen to review.

    Args:
        level: value of the attribute `occluded` from which a label is flagged; 2 is KITTI's "largely occluded" (0 fully visible,
            1 partly, 2 largely, 3 unknown), near nuScenes' lowest visibility of 0 to 40 %.
    """

    def __init__(self, schema: Schema, name: str, level: int = 2, severity: str = "review") -> None:
        super().__init__(schema, name, severity)
        self.level = level

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that are hidden from `level` up."""
        said = labels.attributes.get("occluded")
        if said is None or said.dtype == object:
            return []
        hidden = said >= self.level
        return self.flags("occluded", hidden, f"{hidden.sum()} label(s) occluded at level {self.level} or above")


class MinHeight(DrivingRule):
    """Send tiny things to review: detectors are unsure of them, and so are people.

    Args:
        px: height in pixels below which a box is tiny; 10. KITTI leaves out what is below 40 (easy) or 25 (moderate, hard).
        classes: what is looked at.
    """

    def __init__(
        self, schema: Schema, name: str, px: float = 10.0, classes: Sequence[str] = OBJECTS, severity: str = "review"
    ) -> None:
        super().__init__(schema, name, severity)
        self.px = px
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that are less than `px` high."""
        tiny = things(labels, self.classes) & (labels.height < self.px)
        least = labels.height[tiny].min(initial=np.inf)
        return self.flags("tiny", tiny, f"{tiny.sum()} box(es) under {self.px:g} px high: the smallest has {least:.1f} px")


class Crowd(DrivingRule):
    """Send crowds to review: where many overlap, some are missed and some are counted twice.

    Args:
        least: number of labels of one group that each overlap another of it, from which it is a crowd; 6.
        overlap: IoU from which two overlap; 0.1.
        groups: classes counted together, each with all below it.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        least: int = 6,
        overlap: float = 0.1,
        groups: Sequence[str] = OBJECTS,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.least = least
        self.overlap = overlap
        self.groups = {group: self.chosen([group]) for group in groups}

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag for each group that is a crowd, with the rows that overlap."""
        out: list[Flag] = []
        for group, classes in self.groups.items():
            rows = np.flatnonzero(things(labels, classes))
            if len(rows) < self.least:
                continue
            close = iou(labels.box[rows], labels.box[rows]) >= self.overlap
            np.fill_diagonal(close, False)
            crowd = np.zeros(len(labels), dtype=bool)
            crowd[rows[close.any(axis=1)]] = True
            if crowd.sum() >= self.least:
                out += self.flags("crowd", crowd, f"{crowd.sum()} labels of {group} overlap others, limit {self.least}")
        return out


class SizeDepth(DrivingRule):
    """Send things whose height does not fit their place on the road to review: a wrong class, a wrong box, or not on the lane.

    The height in metres follows from the foot point and the horizon (see `hyla_driving.ego`). What the lower border cuts has no
    foot point and is left out.

    Args:
        heights: class -> (least, most) metres, for all below it unless they have their own. Cars 1.2 to 2.2 m; trucks and
            buses up to 4.6 m (4.0 m is the limit in the European Union, double-deckers are higher); people from children to tall
            adults.
        tolerance: factor by which the measure may miss; 1.5, for slopes and a horizon that is only estimated.
        horizon, camera_height: as in VruNearPath.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        heights: Mapping[str, Sequence[float] | None] | None = None,
        tolerance: float = 1.5,
        horizon: float | None = None,
        camera_height: float = CAMERA_HEIGHT,
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        given = {k: v for k, v in (heights or {}).items() if v is not None}
        self.least = self.per_class(0.0, {k: v[0] for k, v in given.items()}) / tolerance
        self.most = self.per_class(np.inf, {k: v[1] for k, v in given.items()}) * tolerance
        self.known = self.chosen(list(given))
        self.view = (horizon, camera_height)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows of an implausible height."""
        mine = things(labels, self.known)
        if not mine.any():
            return []
        lane = EgoLane.of(item, labels, self.lane, *self.view)
        y = labels.box[:, 3]
        metres = lane.metres(labels.height, y)
        least, most = self.least[labels.class_id], self.most[labels.class_id]
        odd = mine & ((metres < least) | (metres > most)) & (y < lane.height - 1)
        worst = next(iter(np.flatnonzero(odd).tolist()), None)
        said = "" if worst is None else f"the first {_high(metres[worst])}, expected {least[worst]:.1f} to {most[worst]:.1f} m"
        return self.flags("size_depth", odd, f"{odd.sum()} label(s) of a height that does not fit their place: {said}")


class Duplicates(DrivingRule):
    """Send labels of two classes at one place to review: one of them is wrong.

    Args:
        overlap: IoU above which two labels are at one place; 0.8.
        classes: what is looked at.
    """

    def __init__(
        self,
        schema: Schema,
        name: str,
        overlap: float = 0.8,
        classes: Sequence[str] = (*OBJECTS, "traffic_light", "traffic_sign"),
        severity: str = "review",
    ) -> None:
        super().__init__(schema, name, severity)
        self.overlap = overlap
        self.classes = self.chosen(classes)

    @hookimpl
    def check(self, item: Item, labels: Labels) -> list[Flag]:
        """Return a flag with the rows that share a place with another class."""
        rows = np.flatnonzero(things(labels, self.classes))
        if len(rows) < 2:
            return []
        kind = labels.class_id[rows]
        same = (iou(labels.box[rows], labels.box[rows]) > self.overlap) & (kind[:, None] != kind)
        twice = np.zeros(len(labels), dtype=bool)
        twice[rows[same.any(axis=1)]] = True
        return self.flags(
            "duplicate", twice, f"{twice.sum()} labels of different classes overlap by an IoU above {self.overlap:g}"
        )


def _high(metres: float) -> str:
    return f"would be {metres:.1f} m high" if np.isfinite(metres) else "stands above the horizon"


def _apart(a: Floats, b: Floats) -> Floats:
    """Return distances (n, m) between boxes (n, 4) and (m, 4) in pixels: 0 where they touch or overlap."""
    gap = np.maximum(np.maximum(a[:, None, :2], b[None, :, :2]) - np.minimum(a[:, None, 2:], b[None, :, 2:]), 0)
    return np.asarray(np.hypot(gap[..., 0], gap[..., 1]))
