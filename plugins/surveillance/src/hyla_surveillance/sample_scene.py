"""Draw what a camera on a mast sees: a paved yard, people who walk, stand, run and fall, bags, a car; by day or in infrared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats

Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
FOCAL = 560.0  # pixels
MAST = 5.0  # metres above the ground
PITCH = np.deg2rad(20.0)  # downwards
TALL = 1.75  # metres, of a person
SHIFT = 4  # bits of a pixel's fraction that OpenCV draws with
SUN = np.array([0.55, 0.35])  # metres of shadow per metre of height
NOISE = 2.2  # levels
STRIDE = 1.5  # metres for two steps
SKIN, HAIR = (214, 178, 150), (58, 44, 36)


@dataclass(frozen=True)
class Actor:
    """Hold who or what is in the scene.

    Args:
        track: identity, from 1.
        name: class of the schema: person, bag or car.
        path: (k, 3) of seconds, and metres to the right of the mast and ahead of it; between two it moves straight.
        shirt, trousers: RGB; of a bag or car the first is its colour.
        falls: (k, 2) from when until when it lies on the ground, in seconds.
        tall: metres.
    """

    track: int
    name: str
    path: Sequence[tuple[float, float, float]]
    shirt: tuple[int, int, int] = (90, 90, 100)
    trousers: tuple[int, int, int] = (52, 54, 66)
    falls: Sequence[tuple[float, float]] = ()
    tall: float = TALL

    def at(self, seconds: float) -> Floats | None:
        """Return where it is (2,), in metres; None before its path begins and after it ends."""
        times = np.array([p[0] for p in self.path])
        if not times[0] <= seconds <= times[-1]:
            return None
        return np.array([np.interp(seconds, times, [p[i] for p in self.path]) for i in (1, 2)])

    def walked(self, seconds: float) -> float:
        """Return how far it has walked, in metres: where its feet are."""
        times = [p[0] for p in self.path]
        steps = np.hypot(np.diff([p[1] for p in self.path]), np.diff([p[2] for p in self.path]))
        return float(np.interp(seconds, times, np.concatenate([[0.0], np.cumsum(steps)])))

    def lying(self, seconds: float) -> float:
        """Return how far it has fallen: 0 upright, 1 on the ground; falling takes 0.4 s, getting up 1.5 s."""
        return max(0.0, *(min(1.0, (seconds - a) / 0.4, 1 - (seconds - b) / 1.5) for a, b in self.falls), 0.0)


def project(points: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Return the pixels (n, 2) and depths (n,) of points (n, 3): metres to the right, ahead and above the ground."""
    x, y, z = np.asarray(points, dtype=np.float64).reshape(-1, 3).T
    depth = y * np.cos(PITCH) + (MAST - z) * np.sin(PITCH)
    down = -y * np.sin(PITCH) + (MAST - z) * np.cos(PITCH)
    depth = np.maximum(depth, 0.5)
    return np.column_stack([WIDTH / 2 + FOCAL * x / depth, HEIGHT / 2 + FOCAL * down / depth]), depth


def ground(points: npt.ArrayLike) -> Floats:
    """Return the pixels (n, 2) of places (n, 2) on the ground, in metres."""
    at = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return project(np.column_stack([at, np.zeros(len(at))]))[0]


@dataclass
class Scene:
    """Draw one camera's pictures, each the same for the same seed and number.

    Args:
        seed: of paving and grain.
        infrared: night mode: no colour, lit from the mast, more grain.
        marks: (k, 2) outlines on the ground that are painted there, in metres.
    """

    seed: int
    infrared: bool = False
    marks: Sequence[npt.ArrayLike] = ()
    _back: npt.NDArray[np.int16] = field(init=False)
    _grain: list[npt.NDArray[np.int16]] = field(init=False)

    def __post_init__(self) -> None:
        chance = np.random.default_rng(self.seed)
        self._back = self._background(chance)
        level = 2.2 * NOISE if self.infrared else NOISE
        fields = [chance.normal(0, level, (HEIGHT, WIDTH, 1)) for _ in range(6)]
        self._grain = [np.round(one).astype(np.int16) for one in fields]

    def shoot(
        self, actors: Sequence[Actor], seconds: float, number: int, clock: str
    ) -> tuple[Pixels, dict[int, tuple[Floats, float]]]:
        """Return the picture (H, W, 3), and track -> (box, visible share) of whom it shows.

        Boxes (4,) are those of the whole figure, cut at the picture's edge; the share is of the figure's pixels.
        """
        picture = self._back.copy()
        here = [(actor, place) for actor in actors if (place := actor.at(seconds)) is not None]
        here.sort(key=lambda pair: -float(pair[1][1]))
        owner = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        drawn: dict[int, tuple[Floats, int]] = {}
        for actor, place in here:
            parts = _parts(actor, place, seconds)
            if not self.infrared:
                self._shadow(picture, parts)
        for actor, place in here:
            parts = _parts(actor, place, seconds)
            mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
            for part in parts:
                part.draw(mask, (actor.track,))
                part.draw(picture, part.color)
            covered = int(np.count_nonzero(mask))
            if covered:
                rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
                drawn[actor.track] = (np.array([columns[0], rows[0], columns[-1] + 1.0, rows[-1] + 1.0]), _whole(parts, covered))
            owner[mask > 0] = actor.track
        seen = np.bincount(owner.ravel(), minlength=256)
        chance = np.random.default_rng((self.seed, number))
        grain = self._grain[int(chance.integers(len(self._grain)))]
        picture += np.roll(grain, tuple(chance.integers(0, 64, 2)), axis=(0, 1))
        if self.infrared:
            grey = picture.mean(axis=2, keepdims=True)
            picture = np.repeat(grey * self._lamp(), 3, axis=2).astype(np.int16)
        shown = np.clip(picture, 0, 255).astype(np.uint8)
        cv2.putText(shown, clock, (10, HEIGHT - 12), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (235, 235, 235), 1, cv2.LINE_AA)
        return shown, {track: (box, min(1.0, seen[track] / whole)) for track, (box, whole) in drawn.items()}

    def _background(self, chance: np.random.Generator) -> npt.NDArray[np.int16]:
        """Return paving slabs, a hedge and the wall of a building."""
        v, u = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
        down, right = (v - HEIGHT / 2) / FOCAL, (u - WIDTH / 2) / FOCAL
        slope = down * np.cos(PITCH) + np.sin(PITCH)
        ahead = np.where(slope > 1e-3, MAST * (np.cos(PITCH) - down * np.sin(PITCH)) / np.maximum(slope, 1e-3), 1e3)
        side = right * (ahead * np.cos(PITCH) + MAST * np.sin(PITCH))
        slabs = chance.uniform(-9, 9, (64, 64))
        paving = 128 + slabs[(np.floor(ahead / 1.2) % 64).astype(int), (np.floor(side / 1.2) % 64).astype(int)]
        near = np.clip(14 / ahead, 0.15, 1.0)
        joint = (np.abs(ahead % 1.2 - 0.6) > 0.57) | (np.abs(side % 1.2 - 0.6) > 0.57)
        paving = np.where(joint, paving - 26 * near, paving)
        rough = cv2.GaussianBlur(chance.normal(0, 1, (HEIGHT, WIDTH)), (0, 0), 2.5) * 14
        picture = np.stack([paving + rough + 6, paving + rough, paving + rough - 8], axis=2)
        wall = ahead > 34
        bricks = 108 + 10 * ((np.floor(v / 9) + np.floor(u / 22)) % 2)
        picture[wall] = np.stack([bricks + 34, bricks, bricks - 18], axis=2)[wall]
        canvas = np.ascontiguousarray(np.clip(picture, 0, 255)).astype(np.int16)
        for x in (-22, -11, 0, 11, 22):
            corners = project([[x - 1.6, 36, 0.9], [x + 1.6, 36, 0.9], [x + 1.6, 36, 2.6], [x - 1.6, 36, 2.6]])[0]
            _fill(canvas, corners, (64, 78, 92))
        for mark in self.marks:
            outline = ground(np.asarray(mark, dtype=np.float64))
            cv2.polylines(canvas, [_fixed(outline)], True, (214, 206, 150), 2, cv2.LINE_8, SHIFT)
        return canvas

    def _shadow(self, picture: npt.NDArray[np.int16], parts: Sequence[_Part]) -> None:
        mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        for part in parts:
            fallen = [(x + z * SUN[0], y + z * SUN[1], 0.0) for x, y, z in part.solid]
            _Part(fallen, part.width, part.color).draw(mask, (255,))
        x, y, w, h = cv2.boundingRect(mask)
        if w and h:
            dark = cv2.GaussianBlur(mask[y : y + h, x : x + w], (3, 3), 0).astype(np.float32)[:, :, None] / 255 * 0.42
            picture[y : y + h, x : x + w] = (picture[y : y + h, x : x + w] * (1 - dark)).astype(np.int16)

    def _lamp(self) -> npt.NDArray[np.float64]:
        v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
        far = ((u - WIDTH / 2) / WIDTH) ** 2 + ((v - 0.62 * HEIGHT) / HEIGHT) ** 2
        return np.asarray((0.20 + 0.62 * np.exp(-3.4 * far))[:, :, None])


@dataclass(frozen=True)
class _Part:
    """Hold a limb: a line of points in metres, as thick as `width` metres; or, closed, an area."""

    solid: Sequence[tuple[float, float, float]]
    width: float
    color: tuple[int, ...]
    area: bool = False

    def draw(self, canvas: npt.NDArray[Any], color: tuple[int, ...]) -> None:
        at, depth = project(self.solid)
        if self.area:
            _fill(canvas, at, color)
            return
        thick = max(1, round(FOCAL * self.width / float(depth.mean())))
        cv2.polylines(canvas, [_fixed(at)], False, color, thick, cv2.LINE_8, SHIFT)


def _parts(actor: Actor, place: Floats, seconds: float) -> list[_Part]:
    if actor.name == "car":
        return _car(actor, place)
    if actor.name != "person":
        x, y = place
        box = [(x - 0.24, y, 0.04), (x + 0.24, y, 0.04), (x + 0.24, y, 0.42), (x - 0.24, y, 0.42)]
        return [_Part(box, 0, actor.shirt, area=True), _Part([(x - 0.1, y, 0.46), (x + 0.1, y, 0.46)], 0.05, actor.trousers)]
    swing = 0.30 * np.sin(2 * np.pi * actor.walked(seconds) / STRIDE)
    before = actor.at(max(seconds - 0.2, actor.path[0][0]))
    way = place - before if before is not None else np.zeros(2)
    speed = float(np.hypot(*way))
    forward = way / speed if speed > 1e-6 else np.array([1.0, 0.0])
    swing = swing if speed > 1e-6 else 0.05
    across = np.array([-forward[1], forward[0]])
    scale = actor.tall / TALL
    lying = actor.lying(seconds)

    def point(along: float, aside: float, up: float) -> tuple[float, float, float]:
        up = up * scale
        height = up * np.cos(lying * np.pi / 2) + 0.12 * lying
        at = place + forward * (along + up * np.sin(lying * np.pi / 2)) + across * aside
        return float(at[0]), float(at[1]), float(height)

    def limb(side: int, aside: float, swing: float, heights: tuple[float, float, float]) -> list[tuple[float, float, float]]:
        return [point(share * swing, aside * side, up) for share, up in zip((0.0, 0.6, 1.0), heights, strict=True)]

    legs = [_Part(limb(s, 0.08, s * swing, (0.88, 0.46, 0.04)), 0.15, actor.trousers) for s in (-1, 1)]
    arms = [_Part(limb(s, 0.25, -s * swing, (1.40, 1.10, 0.84)), 0.10, actor.shirt) for s in (-1, 1)]
    body = _Part([point(0, 0, 0.90), point(0, 0, 1.36)], 0.40, actor.shirt)
    face = _Part([point(0.03, 0, 1.54), point(0.03, 0, 1.64)], 0.19, SKIN)
    hair = _Part([point(-0.02, 0, 1.67), point(-0.02, 0, 1.70)], 0.20, HAIR)
    return [*legs, arms[0], body, arms[1], face, hair]


def _car(actor: Actor, place: Floats) -> list[_Part]:
    x, y = place
    half, deep = 2.1, 0.85
    body = _sheet(x, half, half, y - deep, y - deep, 0.3, 0.9)
    bonnet = _sheet(x, half, half, y - deep, y + deep, 0.9, 0.9)
    glass = _sheet(x, 1.15, 0.85, y - deep, y - deep, 0.9, 1.4)
    roof = _sheet(x, 0.85, 0.85, y - deep, y + deep, 1.4, 1.4)
    colors = (actor.shirt, actor.shirt, (40, 52, 62), actor.shirt)
    sides = [_Part(sheet, 0, color, area=True) for sheet, color in zip((body, bonnet, glass, roof), colors, strict=True)]
    wheels = [_Part([(x + s * 1.3, y - deep, 0.28), (x + s * 1.3, y - deep, 0.32)], 0.6, (24, 24, 26)) for s in (-1, 1)]
    return [*sides, *wheels]


def _sheet(
    x: float, below: float, above: float, near: float, far: float, low: float, high: float
) -> list[tuple[float, float, float]]:
    """Return the corners of a symmetric sheet: half as wide as `below` at its lower or nearer edge, as `above` at the other."""
    return [(x - below, near, low), (x + below, near, low), (x + above, far, high), (x - above, far, high)]


def _whole(parts: Sequence[_Part], covered: int) -> int:
    """Return how many pixels a figure would cover if the picture had no edge."""
    points = np.vstack([project(part.solid)[0] for part in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1.0)
    inside = np.minimum(high, (WIDTH, HEIGHT)) - np.maximum(low, 0)
    return max(covered, round(covered / max(float((np.clip(inside, 0, None) / span).prod()), 0.02)))


def _fill(canvas: npt.NDArray[Any], corners: Floats, color: tuple[int, ...]) -> None:
    cv2.fillPoly(canvas, [_fixed(corners)], color, cv2.LINE_8, SHIFT)


def _fixed(points: Floats) -> npt.NDArray[np.int32]:
    """Return points as OpenCV wants them: it draws about the middle of a pixel, ours begins at its corner."""
    return np.round((points - 0.5) * (1 << SHIFT)).astype(np.int32).reshape(-1, 1, 2)
