"""Say what a face can be used for: its size, sharpness and pose, and how much of it is hidden; nothing of whose it is.

All is estimated from a box and five points, which is enough to sort a dataset by and too little to measure a face with.
Eyes are 63 mm apart (mean of adults: Dodgson 2004, https://doi.org/10.1117/12.529999), which ties pixels between the eyes to
pixels per metre: the 250 pixels per metre by which EN 62676-4:2015 identifies an unknown person are 16 pixels between the eyes,
the 500 by which IEC 62676-4:2025 does ("validate", since 250 were found too few in poor light) are 31.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError, did_you_mean
from hyla.types import Floats

Pixels = npt.NDArray[np.uint8]
NAMES = ("eye_distance", "blur", "yaw", "pitch", "roll", "occlusion", "quality")
SIDE = 112  # pixels at which sharpness is judged, the size that networks which compare faces take
# A head from the front, in mm from the middle of the eyes: x to the right of the picture, y down, z away from the camera.
# Eyes as above; the rest are round figures, the nose so low that the 29 faces of a group photograph look ahead in the median.
POINTS = np.array([[-31.5, 0, 0], [31.5, 0, 0], [0, 40, -24], [-26, 72, -4], [26, 72, -4]])
# Where skin is expected, in mm as above: forehead, temples, under the eyes, nose, cheeks, upper lip, jaws and chin.
SKIN = np.array(
    [
        [0, -32],
        [-24, -30],
        [24, -30],
        [0, 12],
        [-24, 28],
        [24, 28],
        [0, 36],
        [-32, 50],
        [32, 50],
        [0, 54],
        [-22, 88],
        [22, 88],
        [0, 98],
    ]
)
SPOT = 5.0  # mm around such a place that are averaged
COLOUR, LIGHT = 18.0, 40.0  # how far a place may be from the face's median in Lab: a* and b* together, and L* (0 to 100)


@dataclass(frozen=True)
class Grades:
    """Hold when a face is `good` or `fair`; below that it is `poor`, and `redact_only` where it is too small for anything.

    Args:
        redact_px: a face narrower than this many pixels is good for nothing but to be hidden: some 150 pixels per metre, a little
            more than recognising a known person takes (125, EN 62676-4:2015).
        good_eyes, fair_eyes: least distance of the eyes in pixels. 60 is what makers of face search ask for (AxxonSoft: "not less
            than 60 pixels", and 30 for one of their modules); 30 is the density of "validate" above.
        good_blur, fair_blur: least variance of the Laplacian; chosen here, on one photograph blurred by degrees.
        good_turn, fair_turn: most degrees of yaw and of pitch; chosen here. A passport photograph allows 5.
        good_hidden, fair_hidden: most of the face that may be hidden, share; chosen here.
    """

    redact_px: float = 24.0
    good_eyes: float = 60.0
    fair_eyes: float = 30.0
    good_blur: float = 100.0
    fair_blur: float = 30.0
    good_turn: float = 20.0
    fair_turn: float = 45.0
    good_hidden: float = 0.2
    fair_hidden: float = 0.4

    @classmethod
    def of(cls, given: Mapping[str, float] | None) -> Grades:
        """Return the grades with what is given; raise ConfigError for a setting that is not known, or no number of at least 0."""
        names = [one.name for one in fields(cls)]
        for name, value in (given or {}).items():
            if name not in names:
                raise ConfigError(f"model.grades has no setting {name!r}", did_you_mean(str(name), names), names)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise ConfigError(f"model.grades.{name} is {value!r}", "give a number of at least 0")
        return cls(**{str(name): float(value) for name, value in (given or {}).items()})


def quality(pixels: Pixels, box: Floats, points: Floats, grades: Grades) -> dict[str, npt.NDArray[Any]]:
    """Return the attributes NAMES of faces, each (n,), numbers with NaN where nothing can be said.

    Args:
        pixels: (H, W, 3) RGB.
        box: (n, 4) in pixels.
        points: (n, 5, 2) as `POINTS`, in pixels.
        grades: that give the word.
    """
    eyes = np.hypot(*(points[:, 1] - points[:, 0]).T)
    yaw, pitch, roll = angles(points)
    blur = np.array([sharpness(pixels, one) for one in box])
    hidden = np.array([occlusion(pixels, one) for one in points])
    turn = np.fmax(np.abs(yaw), np.abs(pitch))

    def fit(least_eyes: float, least_blur: float, most_turn: float, most_hidden: float) -> npt.NDArray[np.bool_]:
        return np.asarray((eyes >= least_eyes) & (blur >= least_blur) & (turn <= most_turn) & (hidden <= most_hidden))

    word = np.full(len(box), "poor", dtype=object)
    word[fit(grades.fair_eyes, grades.fair_blur, grades.fair_turn, grades.fair_hidden)] = "fair"
    word[fit(grades.good_eyes, grades.good_blur, grades.good_turn, grades.good_hidden)] = "good"
    word[box[:, 2] - box[:, 0] < grades.redact_px] = "redact_only"
    return dict(zip(NAMES, (eyes, blur, yaw, pitch, roll, hidden, word), strict=True))


def angles(points: Floats) -> tuple[Floats, Floats, Floats]:
    """Return yaw, pitch and roll (n,) in degrees of faces whose five points (n, 5, 2) are known; NaN where they say nothing.

    Yaw to the right of the picture, pitch up, and roll clockwise as seen are positive. The head is taken as far away, measured
    by its size (scaled orthography): an affine map from `POINTS` to the picture by least squares, and the rotation nearest to
    it. Depth hangs on the nose alone. The angles are as good as the points, and those of YuNet lean towards an upright face from
    ahead: a head that leans by 20 degrees was told as 5 to 20, and a profile comes out as turned less than it is.
    """
    model = POINTS - POINTS.mean(axis=0)
    seen = points - points.mean(axis=1, keepdims=True)
    maps = np.swapaxes(seen, 1, 2) @ np.linalg.pinv(model).T  # (n, 2, 3)
    known = np.isfinite(maps).all(axis=(1, 2)) & (np.abs(maps).max(axis=(1, 2), initial=0) > 1e-9)
    left, _, right = np.linalg.svd(np.where(known[:, None, None], maps, np.eye(2, 3)), full_matrices=False)
    rows = left @ right
    depth = np.cross(rows[:, 0], rows[:, 1])
    yaw = np.degrees(np.arctan2(-rows[:, 0, 2], depth[:, 2]))
    pitch = np.degrees(np.arcsin(np.clip(rows[:, 1, 2], -1, 1)))
    roll = np.degrees(np.arctan2(rows[:, 1, 0], rows[:, 1, 1]))
    none = np.where(known, 0.0, np.nan)
    return np.clip(yaw, -90, 90) + none, np.clip(pitch, -90, 90) + none, roll + none


def sharpness(pixels: Pixels, box: Floats) -> float:
    """Return the variance of the Laplacian (Pech-Pacheco et al. 2000) of the grey face at 112 x 112 pixels; low is blurred.

    A face that is smaller in the picture is enlarged, and thus blurred too.
    """
    x0, y0 = np.maximum(np.floor(box[:2]), 0).astype(int)
    x1, y1 = np.maximum(np.ceil(box[2:]), 0).astype(int)
    crop = pixels[y0:y1, x0:x1]
    if not crop.size:
        return float("nan")
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    shrunk = min(grey.shape) > SIDE
    face = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR)
    return float(cv2.Laplacian(face, cv2.CV_64F).var())


def occlusion(pixels: Pixels, points: Floats) -> float:
    """Return the share, 0 to 1, of the places of a face that are not like the rest of it, or lie outside the picture.

    A mask, a scarf, a hand in a glove or a beard is found; a bare hand is not, and light from one side alone can look like
    something in front. In a grey picture only light and dark tell.

    Args:
        pixels: (H, W, 3) RGB.
        points: (5, 2) as `POINTS`.
    """
    span = np.linalg.norm(points[1] - points[0])
    if not np.isfinite(points).all() or span < 1:
        return float("nan")
    turn = similarity(POINTS[:, :2], points)
    places = SKIN @ turn[:, :2].T + turn[:, 2]
    reach = max(round(SPOT * float(np.sqrt(abs(np.linalg.det(turn[:, :2]))))), 0)
    height, width = pixels.shape[:2]
    inside = (places >= 0).all(axis=1) & (places < [width, height]).all(axis=1)
    if inside.sum() < 4:
        return 1.0
    colours = []
    for x, y in places[inside].astype(int):
        spot = pixels[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        colours.append(spot.reshape(-1, 3).mean(axis=0))
    lab = cv2.cvtColor((np.array(colours, np.float32) / 255)[None], cv2.COLOR_RGB2LAB)[0]
    away = np.abs(lab - np.median(lab, axis=0))
    odd = (np.hypot(away[:, 1], away[:, 2]) > COLOUR) | (away[:, 0] > LIGHT)
    return float((odd.sum() + (~inside).sum()) / len(SKIN))


def similarity(source: Floats, target: Floats) -> Floats:
    """Return the (2, 3) turn, scale and shift that takes points (k, 2) nearest to others, by least squares (Umeyama 1991)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    total = max(float((a**2).sum()), 1e-12)
    along, across = float((a * b).sum()) / total, float((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()) / total
    turn = np.array([[along, -across], [across, along]])
    return np.column_stack([turn, target.mean(axis=0) - turn @ source.mean(axis=0)])
