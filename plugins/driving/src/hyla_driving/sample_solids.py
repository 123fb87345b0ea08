"""Draw vehicles as shaded solids in perspective."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from hyla_driving.sample_scene import Canvas, Color, Floats

NEAR = 0.8  # m ahead of the camera at which solids are cut off
PAINTS: dict[str, Color] = {
    "red": (168, 34, 34),
    "blue": (38, 72, 132),
    "silver": (170, 174, 178),
    "white": (224, 226, 228),
    "green": (44, 92, 70),
    "graphite": (66, 70, 78),
}
MATERIALS: dict[str, Color] = {
    "glass": (38, 48, 58),
    "dark": (34, 35, 38),
    "tyre": (26, 26, 28),
    "hub": (150, 152, 156),
    "plate": (226, 224, 206),
    "brake": (176, 22, 24),
    "lamp": (236, 238, 230),
    "box": (212, 214, 212),
    "seam": (150, 152, 152),
}
# Side views, from the rear bumper over the roof to the front: (m along, m up), and what the strip to the next point is made of.
PROFILES = {
    "car": (
        (-2.2, 0.28, "dark"),
        (-2.25, 0.5, "tail"),
        (-2.22, 0.92, "paint"),
        (-1.72, 1.0, "glass"),
        (-1.02, 1.4, "paint"),
        (0.15, 1.43, "glass"),
        (0.95, 0.98, "paint"),
        (2.05, 0.8, "nose"),
        (2.25, 0.46, "dark"),
        (2.2, 0.28, "dark"),
    ),
    "van": (
        (-2.5, 0.32, "dark"),
        (-2.55, 0.6, "tail"),
        (-2.5, 1.15, "glass"),
        (-2.38, 1.92, "paint"),
        (1.25, 1.95, "glass"),
        (1.95, 1.15, "paint"),
        (2.5, 0.98, "nose"),
        (2.6, 0.5, "dark"),
        (2.55, 0.32, "dark"),
    ),
    "bus": (
        (-5.5, 0.35, "dark"),
        (-5.55, 0.6, "tail"),
        (-5.5, 1.3, "glass"),
        (-5.45, 2.5, "paint"),
        (-5.4, 3.0, "paint"),
        (5.3, 3.0, "paint"),
        (5.45, 2.6, "glass"),
        (5.55, 1.1, "nose"),
        (5.55, 0.5, "dark"),
        (5.5, 0.35, "dark"),
    ),
    "cab": (
        (2.15, 0.5, "dark"),
        (2.15, 2.75, "paint"),
        (3.85, 2.75, "glass"),
        (4.0, 1.75, "nose"),
        (4.05, 0.5, "dark"),
    ),
    "load": (
        (-4.0, 0.95, "doors"),
        (-4.0, 3.55, "box"),
        (1.95, 3.55, "box"),
        (1.95, 0.95, "dark"),
    ),
    "frame": (
        (-3.8, 0.5, "dark"),
        (-3.8, 0.95, "dark"),
        (2.2, 0.95, "dark"),
        (2.2, 0.5, "dark"),
    ),
}
PARTS = {"truck": ("frame", "load", "cab")}
WIDTHS = {"car": 1.8, "van": 2.0, "bus": 2.5, "cab": 2.4, "load": 2.5, "frame": 1.9}
BELTS = {"car": 0.95, "van": 1.1, "bus": 2.6, "cab": 1.7}  # m up to where the sides begin to lean in
WHEELS = {  # (m along, radius in m)
    "car": ((-1.38, 0.33), (1.36, 0.33)),
    "van": ((-1.6, 0.36), (1.65, 0.36)),
    "bus": ((-3.2, 0.5), (3.2, 0.5)),
    "truck": ((-2.7, 0.5), (-1.5, 0.5), (3.0, 0.5)),
}
PANES = {  # (m along, m up) of what is set into the sides
    "car": (
        ((-1.5, 0.98), (-0.98, 1.34), (-0.42, 1.36), (-0.42, 0.98)),
        ((-0.34, 0.98), (-0.34, 1.36), (0.12, 1.36), (0.72, 0.98)),
    ),
    "van": (((0.35, 1.16), (0.35, 1.78), (1.2, 1.78), (1.75, 1.16)),),
    "bus": tuple(((x, 1.3), (x, 2.4), (x + 1.4, 2.4), (x + 1.4, 1.3)) for x in (-5.1, -3.6, -2.1, -0.6, 0.9, 2.4, 3.9)),
    "cab": (((2.6, 1.7), (2.6, 2.5), (3.6, 2.5), (3.75, 1.7)),),
}
STRIPE = ((-3.3, 1.9), (-3.3, 2.6), (1.3, 2.6), (1.3, 1.9))  # of paint on a truck's load
FOOTPRINTS = {"truck": (4.2, 1.35), "bus": (5.6, 1.3), "van": (2.7, 1.1), "car": (2.4, 1.0)}  # m: half length, half width
# Lamps, plates and seams: bottom, top, left and right, in shares of a strip's height and of half its width.
SPOTS: dict[str, tuple[tuple[float, float, float, float, str], ...]] = {
    "tail": (
        (0.3, 0.92, -0.97, -0.62, "brake"),
        (0.3, 0.92, 0.62, 0.97, "brake"),
        (0.2, 0.55, -0.28, 0.28, "plate"),
    ),
    "nose": (
        (0.15, 0.75, -0.96, -0.6, "lamp"),
        (0.15, 0.75, 0.6, 0.96, "lamp"),
        (0.3, 0.85, -0.5, 0.5, "dark"),
        (0.62, 0.95, -0.26, 0.26, "plate"),
    ),
    "doors": (
        (0.0, 1.0, -0.01, 0.01, "seam"),
        (0.0, 0.1, -1.0, 1.0, "dark"),
        (0.01, 0.09, -0.96, -0.72, "brake"),
        (0.01, 0.09, 0.72, 0.96, "brake"),
        (0.01, 0.09, -0.2, 0.2, "plate"),
    ),
}


@dataclass(frozen=True)
class Face:
    """Hold a flat polygon (n, 3) of a solid, with what is painted on it, and a point inside the solid."""

    points: Floats
    material: str
    inside: Floats
    details: tuple[tuple[Floats, str], ...] = ()

    @property
    def middle(self) -> Floats:
        """Return the mean (3,) of the corners."""
        return np.asarray(self.points.mean(axis=0))

    @property
    def normal(self) -> Floats:
        """Return the direction (3,) outward, of length 1."""
        across = np.cross(self.points[1] - self.points[0], self.points[2] - self.points[0])
        outward = 1 if across @ (self.middle - self.inside) > 0 else -1
        return np.asarray(outward * across / np.linalg.norm(across))


@dataclass(frozen=True)
class Solid:
    """Hold the faces of a vehicle, with their middles and normals (n, 3)."""

    faces: tuple[Face, ...]
    middles: Floats
    normals: Floats


@cache
def solid(kind: str) -> Solid:
    """Return a vehicle, in m: along, right, up from the middle of its footprint."""
    parts = PARTS.get(kind, (kind,))
    faces = [face for part in parts for face in _extruded(part)]
    half = max(WIDTHS[part] for part in parts) / 2
    for along, radius in WHEELS[kind]:
        angle = np.linspace(0, 2 * np.pi, 17)[:-1]
        circle = np.stack([along + radius * np.cos(angle), np.zeros(16), radius + radius * np.sin(angle)], axis=1)
        for side in (-1, 1):
            outer = circle + np.array([0.0, side * (half - 0.01), 0.0])
            inner = circle + np.array([0.0, side * (half - 0.25), 0.0])
            middle = np.array([along, side * (half - 0.12), radius])
            hub = (outer - outer.mean(axis=0)) * 0.6 + outer.mean(axis=0)
            faces += [Face(outer, "tyre", middle, ((hub, "hub"),)), Face(inner, "tyre", middle)]
            treads = zip(outer, inner, np.roll(inner, -1, axis=0), np.roll(outer, -1, axis=0), strict=True)
            faces += [Face(np.array(tread), "tyre", middle) for tread in treads]
    return Solid(tuple(faces), np.array([face.middle for face in faces]), np.array([face.normal for face in faces]))


def vehicle(canvas: Canvas, kind: str, paint: Color, right: float, ahead: float, turn: float) -> list[Floats]:
    """Draw a vehicle that points `turn` radians to the right, and return the polygons (n, 2) that cover it in the picture."""
    model = solid(kind)
    middles = placed(model.middles, right, ahead, turn)
    normals = placed(model.normals, 0.0, 0.0, turn)
    toward = np.array([0.0, canvas.camera.above, 0.0]) - middles
    order = np.argsort(-np.linalg.norm(toward, axis=1), kind="stable")
    outlines = []
    for i in order[np.einsum("ij,ij->i", normals, toward)[order] > 0].tolist():
        face = model.faces[i]
        for points, material in ((face.points, face.material), *face.details):
            polygon = cut(placed(points, right, ahead, turn))
            if len(polygon) < 3:
                continue
            flat = canvas.camera.project(polygon)
            canvas.fill(flat, _shade(canvas, paint, material, normals[i], polygon.mean(axis=0)))
            if points is face.points:
                outlines.append(flat)
            elif material in ("brake", "lamp") and canvas.light.lamps:
                _light_up(canvas, polygon, material)
    return outlines


def placed(points: Floats, right: float, ahead: float, turn: float) -> Floats:
    """Return camera coordinates (right, up, ahead) of points (along, right, up) of a solid that points `turn` radians right."""
    along, side, up = points.T
    sine, cosine = np.sin(turn), np.cos(turn)
    return np.stack([right + along * sine + side * cosine, up, ahead + along * cosine - side * sine], axis=1)


def cut(points: Floats) -> Floats:
    """Return the part of a polygon that lies ahead of the camera (Sutherland and Hodgman, CACM 1974)."""
    if points[:, 2].min() >= NEAR:
        return points
    out = []
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        if a[2] >= NEAR:
            out.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            out.append(a + (b - a) * (NEAR - a[2]) / (b[2] - a[2]))
    return np.array(out).reshape(-1, 3)


def _extruded(part: str) -> list[Face]:
    """Return a side view as a solid, symmetric about its middle."""
    profile = PROFILES[part]
    points = np.array([(x, 0.0, z) for x, z, _ in profile])
    inside = points.mean(axis=0)
    roof, belt, wide = points[:, 2].max(), BELTS.get(part, np.inf), WIDTHS[part] / 2

    def at(x: float, z: float, side: float) -> tuple[float, float, float]:
        lean = (z - belt) / (roof - belt) if z > belt else 0.0
        return x, side * wide * (1 - 0.16 * lean), z

    faces = []
    for (x0, z0, material), (x1, z1, _) in zip(profile, (*profile[1:], profile[0]), strict=True):
        quad = np.array([at(x0, z0, -1), at(x0, z0, 1), at(x1, z1, 1), at(x1, z1, -1)])
        below = {"tail": "paint", "nose": "paint", "doors": "box"}.get(material, material)
        faces.append(Face(quad, below, inside, _details(quad, material)))
    material = {"load": "box", "frame": "dark"}.get(part, "paint")
    back, front = points[:, 0].min() + 0.1, points[:, 0].max() - 0.1
    for side in (-1.002, 1.002):  # a hair outside
        details = [(np.array([at(x, z, side) for x, z in pane]), "glass") for pane in PANES.get(part, ())]
        if part == "load":
            details.append((np.array([at(x, z, side) for x, z in STRIPE]), "paint"))
        elif part in WHEELS:
            sill = ((back, 0.35), (back, 0.45), (front, 0.45), (front, 0.35))
            details.append((np.array([at(x, z, side) for x, z in sill]), "dark"))
        faces.append(Face(np.array([at(x, z, np.sign(side)) for x, z, _ in profile]), material, inside, tuple(details)))
    return faces


def _details(quad: Floats, material: str) -> tuple[tuple[Floats, str], ...]:
    """Return what is painted on a strip (4, 3): left and right below, right and left above."""

    def at(up: float, across: float) -> Floats:
        left, right = quad[0] * (1 - up) + quad[3] * up, quad[1] * (1 - up) + quad[2] * up
        return np.asarray(left * (1 - across) / 2 + right * (1 + across) / 2)

    out = []
    for low, high, left, right, word in SPOTS.get(material, ()):
        out.append((np.array([at(low, left), at(low, right), at(high, right), at(high, left)]), word))
    return tuple(out)


def _shade(canvas: Canvas, paint: Color, material: str, normal: Floats, middle: Floats) -> Color:
    light = canvas.light
    color = np.asarray(paint if material == "paint" else MATERIALS[material])
    if light.lamps and material in ("brake", "lamp"):
        return canvas.hazed((255, 40, 30) if material == "brake" else (255, 250, 225), float(middle[2]) * 0.3)
    sun = max(0.0, float(normal @ np.asarray(light.toward))) * np.asarray(light.sun)
    sky = np.asarray(light.ambient) * (0.72 + 0.28 * float(normal[1]))
    lit = sky + sun + canvas.beam(*(float(v) for v in middle)) * max(0.0, -float(normal[2])) * np.array([0.95, 0.92, 0.82])
    shaded = color * lit
    if material in ("paint", "glass"):  # both mirror some sky
        shaded = shaded + (0.1 if material == "paint" else 0.22) * max(0.0, float(normal[1])) * np.asarray(light.haze)
    return canvas.hazed(shaded, float(middle[2]))


def _light_up(canvas: Canvas, polygon: Floats, material: str) -> None:
    middle = polygon.mean(axis=0)
    (x, y), scale = canvas.camera.project(middle)[0], canvas.camera.focal / middle[2]
    mirror = canvas.camera.project([[middle[0], 0, middle[2]]])[0, 1]
    color, size = ((255.0, 40.0, 26.0), 0.1) if material == "brake" else ((255.0, 244.0, 214.0), 0.16)
    canvas.glows.append((float(x), float(y), max(1.2, size * scale), color, float(mirror)))
