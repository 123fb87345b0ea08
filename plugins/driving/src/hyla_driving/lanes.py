"""Find lanes without weights: contrast, perspective, sliding windows, robust parabolas."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from hyla.errors import ConfigError
from hyla.frame import VideoFrame
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Kind, Labels
from hyla_driving import markings, road
from hyla_driving.markings import Marks, Segments

Size = tuple[int, int]
ATTRIBUTES = ("marking", "position")


class Lanes(Model):
    """Label lane markings as polylines, from near to far, each picture on its own.

    Pixels lighter or more yellow than the road at both sides make marks (`markings.find`); their straight pieces meet in the
    vanishing point; below it, each mark has a place in the bird's-eye view (`road`), where lanes are peaks of a histogram that
    sliding windows follow and a parabola is fitted to. Score is cover x error x clearness of the marks along the curve, times
    how well its distance from its neighbours is that of a lane; 1 is a solid line without noise.

    Measured with benchmarks/lanes.py on the four TuSimple frames with truth (1280 x 720): 0.97 of drawn pixels lie within 20 px
    of truth and 0.94 of the truth within 20 px of a drawn line; 0.51 and 0.51 exactly on it; 11 of 17 lines are within 20 px in
    85 % of their rows. It is made for painted lines on a level road seen from a vehicle: it finds no kerbs, finds a third of the
    lines on a rainy night, goes wrong at the far end where the road climbs or bends sharply, and takes a carpet for a road now
    and then (7 of 119 pictures of COCO get a line).

    Args:
        schema: has the class, and says which of the attributes `marking` (solid, dashed, unknown) and `position` (ego_left,
            ego_right, left, right) are wanted.
        class_name: class of the labels.
        threshold: least score, from 0 to 1; at 0.3 a line may be half hidden behind cars. Reviewing starts well above it.
        vanishing_point: (x, y) in shares of the picture's width and height where straight lanes meet; None to find it in each
            picture, starting from the principal point of a calibrated camera, else from `horizon`.
        horizon: share of the picture's height at which a horizon is expected; dashcams have 0.3 to 0.6.
        bottom: share of the picture's height below which is the car's own bonnet, and nothing is looked for.
        lane_width: least and most distance of neighbouring lines in heights of the camera above the road, that is 1.8 to 5.5 m
            for a camera at 1.3 m.
        working_width: pixels to which wider pictures are reduced; 960 keeps a line of 15 cm visible to about 50 m.

    Raises:
        ConfigError: for a setting out of range, or a class that the schema does not have.
    """

    partial = True

    def __init__(
        self,
        schema: Schema | None = None,
        class_name: str = "lane",
        threshold: float = 0.3,
        vanishing_point: Sequence[float] | None = None,
        horizon: float = 0.42,
        bottom: float = 1.0,
        lane_width: Sequence[float] = (1.3, 4.2),
        working_width: int = 960,
    ) -> None:
        if not 0 <= threshold <= 1:
            raise ConfigError(f"lanes.threshold must lie between 0 and 1, got {threshold}")
        if not 0.1 <= horizon < bottom <= 1:
            raise ConfigError(f"lanes needs 0.1 <= horizon < bottom <= 1, got {horizon} and {bottom}")
        if vanishing_point is not None and (len(vanishing_point) != 2 or not 0 <= vanishing_point[1] < bottom):
            raise ConfigError(f"lanes.vanishing_point must be (x, y) in shares of the picture, got {list(vanishing_point)}")
        if len(lane_width) != 2 or not 0 < lane_width[0] < lane_width[1]:
            raise ConfigError(f"lanes.lane_width must be (least, most) in camera heights, got {list(lane_width)}")
        if working_width < 160:
            raise ConfigError(f"lanes.working_width must be 160 pixels or more, got {working_width}")
        self.writer = Writer(schema, class_name, threshold)
        self.vanishing_point = None if vanishing_point is None else (float(vanishing_point[0]), float(vanishing_point[1]))
        self.horizon = horizon
        self.bottom = bottom
        self.lane_width = (float(lane_width[0]), float(lane_width[1]))
        self.working_width = working_width

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the lanes of each picture."""
        return [self._predict(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the method."""
        return {"name": "lanes"}

    def _predict(self, image: Image) -> Labels:
        height, width = image.pixels.shape[:2]
        scale = min(1.0, self.working_width / width)
        size = (round(height * scale), round(width * scale))
        if image.volume or min(size) < 48:
            return Labels.empty()
        pixels = markings.rgb8(image)
        if scale < 1:
            method = cv2.INTER_LINEAR if scale > 0.5 else cv2.INTER_AREA  # linear is ten times as fast, and aliases below half
            pixels = np.asarray(cv2.resize(pixels, size[::-1], interpolation=method), dtype=np.uint8)
        pixels = pixels[: round(self.bottom * size[0])]
        x, y = self._expected(image)
        expected = (x * size[1], y * size[0])
        mask = markings.find(pixels, int(max(0.0, y - 0.14) * size[0]), expected[1])
        marks = markings.cuts(mask)
        vanishing = expected if self.vanishing_point else vanishing_point(mask, marks, expected)
        if vanishing is None:
            return Labels.empty()
        return self.writer.labels(marks, vanishing, pixels.shape[:2], (height / size[0], width / size[1]), self.lane_width)

    def _expected(self, image: Image) -> tuple[float, float]:
        if self.vanishing_point:
            return self.vanishing_point
        height, width = image.pixels.shape[:2]
        if isinstance(image.frame, VideoFrame) and image.frame.intrinsics is not None:
            matrix = image.frame.intrinsics
            x, y = matrix[0][2] / width, matrix[1][2] / height
            if 0 < x < 1 and 0.1 < y < self.bottom:
                return x, y
        return 0.5, self.horizon


class Writer:
    """Turn marks into labels: what the classical and the trained lane models share.

    Args:
        schema: has the class, and says which attributes are wanted; None for class 0 and all of them.
        class_name: class of the labels.
        threshold: least score, from 0 to 1.
        see_gaps: whether marks show the gaps of dashed lines; if not, `marking` is unknown.
    """

    def __init__(self, schema: Schema | None, class_name: str, threshold: float, see_gaps: bool = True) -> None:
        self.class_id = 0 if schema is None else schema.class_id(class_name)
        known = ATTRIBUTES if schema is None else schema.attributes_of("label")
        self.attributes = [name for name in ATTRIBUTES if name in known]
        self.threshold = threshold
        self.see_gaps = see_gaps

    def labels(
        self, marks: Marks, vanishing: tuple[float, float], size: Size, scale: tuple[float, float], gap: tuple[float, float]
    ) -> Labels:
        """Return the lanes through `marks` of a picture of `size` (height, width), left to right, times `scale` (of y, of x).

        See `road.trace` for `vanishing` and `gap`.
        """
        ground, candidates = road.trace(marks, vanishing, size, gap)
        chosen = [one for one in road.choose(candidates, ground, size, gap) if one[1] >= self.threshold]
        lines: list[Floats] = [lane.points(ground, size) * scale[::-1] for lane, _, _ in chosen]
        keep = [i for i, line in enumerate(lines) if len(line) >= 2]
        if not keep:
            return Labels.empty()
        lanes = [chosen[i][0] for i in keep]
        facts = {
            "marking": [lane.marking(ground, size[0]) if self.see_gaps else "unknown" for lane in lanes],
            "position": [chosen[i][2] for i in keep],
        }
        return Labels.of(
            [self.class_id] * len(keep),
            score=[min(1.0, chosen[i][1]) for i in keep],
            kind=Kind.POLYLINE,
            shape=[lines[i] for i in keep],
            attributes={name: facts[name] for name in self.attributes},
            evidence={
                "lane_cover": [lane.cover for lane in lanes],
                "lane_error": [lane.error for lane in lanes],
                "lane_clear": [lane.clear for lane in lanes],
            },
        )


def vanishing_point(mask: markings.Mask, marks: Marks, expected: tuple[float, float]) -> tuple[float, float] | None:
    """Return where lanes meet as (x, y) in pixels, or None where there is no line at all.

    It is where the straight pieces of marking meet; where they are too few, where Hough lines do; where there is but one line,
    where it meets the expected horizon.
    """
    size = mask.shape[:2]
    pieces = markings.segments(mask, marks)
    found = road.vanishing_point(pieces, size, expected)
    if found is None:
        lines = markings.hough(mask, marks)
        pieces = Segments(*(np.concatenate(pair) for pair in zip(pieces, lines, strict=True)))
        found = road.vanishing_point(pieces, size, expected)
    if found is None and len(pieces.length):
        longest = int(np.argmax(pieces.length))
        x = float(pieces.slope[longest] * expected[1] + pieces.offset[longest])
        found = (x, expected[1]) if 0 < x < size[1] else None
    return found
