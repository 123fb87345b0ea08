"""Say who is on the road and where, and draw them: vehicles, a person on foot, one on a bicycle, a sign."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hyla_driving.sample_scene import Canvas, Color, Floats, World, fixed
from hyla_driving.sample_solids import FOOTPRINTS, NEAR, PAINTS, cut, placed, vehicle

SKIN, HAIR, TROUSERS, TYRE, RED, HELMET = (198, 150, 122), (52, 40, 34), (44, 48, 66), (30, 30, 32), (190, 40, 36), (224, 224, 60)
SIGN_UP, SIGN_RADIUS = 2.3, 0.42  # m: the middle of a speed limit, and its size


@dataclass(frozen=True)
class Actor:
    """Describe one road user and its way.

    Args:
        number: its track.
        kind: car, van, truck, bus, person, rider or traffic_sign.
        lateral, drift: m right of the middle of the ego lane at first, and m/s.
        station, speed: m along the road at first, and m/s.
        color: a word of PAINTS.
        facing: 1 with us, -1 against us; across the road, 1 to the right, -1 to the left.
    """

    number: int
    kind: str
    lateral: float
    station: float
    speed: float = 0.0
    drift: float = 0.0
    color: str = "silver"
    facing: int = 1

    def at(self, seconds: float) -> tuple[float, float]:
        """Return (lateral, station) in m."""
        return self.lateral + self.drift * seconds, self.station + self.speed * seconds


def draw(world: World, canvas: Canvas, s: float, actor: Actor, seconds: float) -> list[Floats]:
    """Draw `actor` as seen from station `s`, and return the polygons (n, 2) that cover it in the picture, beyond its edges too.

    The first polygons of a rider are the bicycle's; see `split`. Nothing is drawn, and nothing returned, for one behind us.
    """
    lateral, station = actor.at(seconds)
    right, ahead = world.place(s, lateral, station)
    if ahead < -5 or ahead > 220:
        return []
    if actor.kind not in FOOTPRINTS:
        flat = {"person": _person, "rider": _rider, "traffic_sign": _sign}[actor.kind]
        return flat(Pen(canvas, actor, right, ahead), seconds) if ahead > 2 else []
    turn = world.road.heading(station) - world.road.heading(s) + (np.pi if actor.facing < 0 else 0.0)
    return vehicle(canvas, actor.kind, PAINTS[actor.color], right, ahead, turn)


def rear(world: World, s: float, actor: Actor, seconds: float) -> float:
    """Return how far ahead (m) of station `s` the nearer end of `actor` is, by which actors are drawn from far to near."""
    return world.place(s, *actor.at(seconds))[1] - FOOTPRINTS.get(actor.kind, (0.0, 0.0))[0]


def shadow(world: World, canvas: Canvas, s: float, actor: Actor, seconds: float) -> None:
    """Darken the ground below `actor`."""
    lateral, station = actor.at(seconds)
    right, ahead = world.place(s, lateral, station)
    length, width = FOOTPRINTS.get(actor.kind, (0.35, 0.3))
    if ahead - length > 160 or ahead + length < NEAR + 0.5:
        return
    turn = world.road.heading(station) - world.road.heading(s)
    base = np.array([[-length, -width, 0.0], [-length, width, 0.0], [length, width, 0.0], [length, -width, 0.0]])
    base[:, 1] += 0.35 * (actor.kind in FOOTPRINTS) * (base[:, 1] > 0)
    outline = canvas.camera.project(cut(placed(base, right, ahead, turn)))
    blur = max(0.6, 0.08 * canvas.camera.focal / max(ahead, 4))
    low = np.clip(np.floor(outline.min(axis=0) - 3 * blur), 0, None).astype(int)
    high = np.minimum(np.ceil(outline.max(axis=0) + 3 * blur).astype(int), [canvas.camera.width, canvas.camera.height])
    if (high <= low).any():
        return
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillPoly(mask, [fixed(outline - low)], 255, cv2.LINE_AA, 4)
    soft = cv2.GaussianBlur(mask, (0, 0), blur) / np.float32(255)
    depth = 0.62 if canvas.light.timeofday == "day" else 0.4
    part = canvas.pixels[low[1] : high[1], low[0] : high[0]]
    part[:] = part * (1 - depth * soft[..., None])


def split(kind: str, polygons: list[Floats]) -> dict[str, list[Floats]]:
    """Return class name -> polygons: a rider is a person (class rider) and a bicycle."""
    if kind != "rider":
        return {kind: polygons}
    return {"bicycle": polygons[:2], "rider": polygons[2:]}


@dataclass(frozen=True)
class Pen:
    """Draw flat figures, upright and seen from the side, in m ahead in their walk and up from their foot."""

    canvas: Canvas
    actor: Actor
    right: float
    ahead: float

    @property
    def scale(self) -> float:
        """Return pixels per m."""
        return self.canvas.camera.focal / self.ahead

    def flat(self, points: Floats) -> Floats:
        """Return pixels (n, 2) of points (n, 2)."""
        foot = self.canvas.camera.project([[self.right, 0, self.ahead]])[0]
        return np.asarray(points * (self.actor.facing, -1) * self.scale + foot)

    def color(self, color: Color) -> Color:
        """Return a colour as it looks in this light and air."""
        light = self.canvas.light
        beam = self.canvas.beam(self.right, 0.6, self.ahead)
        return self.canvas.hazed(
            np.asarray(color) * (np.asarray(light.ambient) + 0.7 * np.asarray(light.sun) + 0.9 * beam), self.ahead
        )

    def limb(self, a: tuple[float, float], b: tuple[float, float], thick: float, color: Color) -> Floats:
        """Draw a rounded stroke, and return its outline."""
        ends = self.flat(np.array([a, b]))
        across, along = ends[1] - ends[0]
        turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 8) + np.arctan2(along, across)
        cap = np.stack([np.cos(turn), np.sin(turn)], axis=1) * 0.5 * thick * self.scale
        outline = np.concatenate([ends[0] + cap, ends[1] - cap])
        self.canvas.fill(outline, self.color(color))
        return np.asarray(outline)

    def disc(self, x: float, up: float, radius: float, color: Color, line: float = 0.0) -> Floats:
        """Draw a disc, or a circle of `line` m, and return its outline."""
        angle = np.linspace(0, 2 * np.pi, 33)[:-1]
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        outline = self.flat(circle * (radius + line / 2) + (x, up))
        if line:
            middle, width = fixed(self.flat(circle * radius + (x, up))), max(1, round(line * self.scale))
            cv2.polylines(self.canvas.pixels, [middle], True, self.color(color), width, cv2.LINE_AA, 4)
        else:
            self.canvas.fill(outline, self.color(color))
        return outline


def _person(pen: Pen, seconds: float) -> list[Floats]:
    out = []
    shirt = PAINTS[pen.actor.color]
    swing = 0.34 * np.sin(2 * np.pi * 0.9 * seconds + pen.actor.number)
    for sign in (-1, 1):
        knee, elbow = (0.1 + 0.55 * sign * swing, 0.46), (-sign * swing * 0.8, 1.02)
        out += [pen.limb((0.0, 0.9), knee, 0.16, TROUSERS), pen.limb(knee, (sign * swing * 1.1, 0.05), 0.12, TROUSERS)]
        out += [pen.limb((0.0, 1.38), elbow, 0.1, shirt), pen.limb(elbow, (0.12 - sign * swing, 0.86), 0.08, SKIN)]
    out += [pen.limb((0.0, 0.92), (0.02, 1.38), 0.33, shirt), pen.limb((0.03, 1.6), (0.04, 1.66), 0.2, SKIN)]
    return [*out, pen.limb((0.01, 1.68), (0.02, 1.7), 0.2, HAIR)]


def _rider(pen: Pen, seconds: float) -> list[Floats]:
    wheels = [pen.disc(x, 0.34, 0.34, TYRE, line=0.05) for x in (-0.52, 0.52)]
    saddle, pedals, bars = (-0.22, 0.86), (-0.1, 0.34), (0.4, 0.84)
    for a, b in (((-0.52, 0.34), pedals), (pedals, saddle), (saddle, bars), (bars, (0.52, 0.34)), (pedals, bars)):
        pen.limb(a, b, 0.05, RED)
    out = []
    crank = 2 * np.pi * 1.2 * seconds
    for sign in (-1, 1):
        foot = (-0.1 + sign * 0.16 * np.cos(crank), 0.34 + sign * 0.16 * np.sin(crank))
        knee = (0.18 + 0.04 * sign, 0.72 + 0.06 * sign * np.sin(crank))
        out += [pen.limb((-0.22, 0.95), knee, 0.15, TROUSERS), pen.limb(knee, foot, 0.11, TROUSERS)]
    out += [pen.limb((-0.22, 0.95), (0.12, 1.42), 0.3, PAINTS[pen.actor.color]), pen.limb((0.12, 1.4), (0.44, 1.02), 0.09, SKIN)]
    out += [pen.limb((0.2, 1.6), (0.22, 1.66), 0.2, SKIN), pen.limb((0.17, 1.7), (0.22, 1.72), 0.21, HELMET)]
    return wheels + out


def _sign(pen: Pen, _: float) -> list[Floats]:
    pen.limb((0.0, 0.0), (0.0, SIGN_UP), 0.07, (140, 142, 146))
    out = [pen.disc(0, SIGN_UP, SIGN_RADIUS, RED), pen.disc(0, SIGN_UP, 0.76 * SIGN_RADIUS, (240, 240, 240))]
    for x in (-0.13, 0.13):  # 80
        for up in (-0.075, 0.075) if x < 0 else (0.0,):
            pen.disc(x, SIGN_UP + up, 0.075 if x < 0 else 0.14, (24, 24, 26), line=0.05)
    return out[:1]
