"""The anatomy of the sample's phantoms: made of ellipsoids, tubes and shells, in millimetres of the patient.

Coordinates are LPS (x to the left, y to the back, z to the head) from the middle of the trunk, for an adult of scale 1: who is
smaller or wider stretches them. It resembles a person as a drawing does: no measurement of anybody is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats

Grid = npt.NDArray[np.float32]
Tube = tuple[Floats, Floats, float, float]  # ends (3,) and radii there, mm
HILUM = (30.0, 14.0, 14.0)  # of the left lung; the right one mirrored
DOMES = (8.0, 16.0)  # z of the top of the diaphragm, left and right
CARINA = 22.0  # z where the trachea divides
# HU without iodine, and with it in the portal venous phase: of the order that textbooks give.
TISSUE = {
    **{"fat": (-100, -100), "muscle": (50, 60), "cavity": (-60, -60), "bowel": (25, 30), "bronchus": (-1000, -1000)},
    **{"liver": (58, 108), "spleen": (48, 118), "kidney": (32, 175), "heart": (42, 150), "aorta": (40, 165)},
    **{"inferior_vena_cava": (38, 140), "lung": (-850, -840), "vessel": (40, 130), "gas": (-1000, -1000)},
    **{"lung_nodule": (30, 55), "liver_lesion": (12, 50), "cortex": (650, 650), "marrow": (190, 200), "disc": (85, 90)},
}


@dataclass(frozen=True)
class Lesion:
    """Hold a ball.

    Args:
        name: class: lung_nodule or liver_lesion.
        at: centre in mm, of an adult of scale 1.
        diameter: mm, whatever the scale.
    """

    name: str
    at: Floats
    diameter: float


@dataclass(frozen=True)
class Body:
    """Hold what makes one patient differ from another.

    Args:
        scale: of everything; 1 for an adult.
        width: of the trunk against the usual.
        contrast: whether iodine was given.
        joined: whether the lungs touch in front of the heart.
        diameters: mm of the nodule in the left lung, of that in the right one, and of the lesion in the liver.
        seed: of vessels and places.
    """

    scale: float = 1.0
    width: float = 1.0
    contrast: bool = False
    joined: bool = False
    diameters: tuple[float, float, float] = (12.0, 7.0, 18.0)
    seed: int = 0
    vessels: tuple[Tube, ...] = field(init=False, repr=False, compare=False)
    lesions: tuple[Lesion, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        object.__setattr__(self, "vessels", tuple(_vessels(rng)))
        object.__setattr__(self, "lesions", tuple(_lesions(rng, self)))

    @property
    def stretch(self) -> Floats:
        """Return mm of the patient per mm of the adult, along x, y and z."""
        return np.array([self.scale * self.width, self.scale, self.scale])


def paint(body: Body, points: Floats) -> tuple[Grid, dict[str, Bools]]:
    """Return HU (D, H, W) without noise, and the masks of structures, at `points` (D, H, W, 3), mm from the middle of the trunk.

    The masks are named by the classes of the preset; of `lung_nodule` and `liver_lesion` there is one per lesion, with its number
    after a dot. A lesion that is smaller than a voxel is the voxel nearest to its middle.
    """
    x, y, z = (np.ascontiguousarray(points[..., i] / body.stretch[i], dtype=np.float32) for i in range(3))
    masks, hidden = _trunk(x, y, z), _skeleton(x, y, z)
    masks |= _chest(body, x, y, z, hidden["thorax"])
    masks |= _abdomen(x, y, z, hidden["cavity"] & ~masks["lung_left"] & ~masks["lung_right"] & ~masks["heart"])
    hu = np.full(x.shape, -1000, dtype=np.float32)
    layers = [(masks["body"], "fat"), (hidden["wall"], "muscle"), (hidden["cavity"], "cavity"), (hidden["middle"], "muscle")]
    layers += [(masks[name], name.removesuffix("_left").removesuffix("_right")) for name in _SOLID]
    layers += [(hidden["cortex"], "cortex"), (hidden["marrow"], "marrow"), (hidden["disc"], "disc"), (masks["air"], "gas")]
    for mask, name in layers:
        hu[mask] = TISSUE[name][body.contrast]
    lung = masks["lung_left"] | masks["lung_right"]
    for vessel in body.vessels:
        where = np.flatnonzero(_near(x, y, z, vessel) & lung)
        inside = _tube(x.ravel()[where], y.ravel()[where], z.ravel()[where], vessel)
        hu.ravel()[where[inside]] = TISSUE["vessel"][body.contrast]
    hu[masks["airway"]] = TISSUE["gas"][body.contrast]
    for number, lesion in enumerate(body.lesions):
        off = np.linalg.norm(points - lesion.at * body.stretch, axis=3)
        ball = off <= max(lesion.diameter / 2, float(off.min()))
        hu[ball] = TISSUE[lesion.name][body.contrast]
        masks[f"{lesion.name}.{number}"] = ball
    masks["bone"] = hidden["cortex"] | hidden["marrow"]
    return hu, {name: mask & masks["body"] for name, mask in masks.items() if name != "bowel"}


_SOLID = (
    *("bowel", "liver", "spleen", "kidney_left", "kidney_right", "lung_left", "lung_right", "heart"),
    *("aorta", "inferior_vena_cava"),
)


def _oval(x: Any, y: Any, width: float, depth: float, power: float = 2.4, shift: float = 0.0) -> Bools:
    return np.asarray(np.abs(x / width) ** power + np.abs((y - shift) / depth) ** power < 1)


def _ball(x: Grid, y: Grid, z: Grid, at: tuple[float, float, float], half: tuple[float, float, float]) -> Bools:
    return np.asarray(((x - at[0]) / half[0]) ** 2 + ((y - at[1]) / half[1]) ** 2 + ((z - at[2]) / half[2]) ** 2 < 1)


def _tube(x: Grid, y: Grid, z: Grid, tube: Tube) -> Bools:
    """Tell which points lie in a tube whose radius goes from that of one end to that of the other."""
    start, end, first, last = tube
    way = end - start
    share = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1] + (z - start[2]) * way[2]) / (way @ way), 0, 1)
    off = sum((one - start[i] - share * way[i]) ** 2 for i, one in enumerate((x, y, z)))
    return np.asarray(off < (first + (last - first) * share) ** 2)


def _near(x: Grid, y: Grid, z: Grid, tube: Tube) -> Bools:
    start, end, first, last = tube
    low, high = np.minimum(start, end) - max(first, last), np.maximum(start, end) + max(first, last)
    close = np.ones(x.shape, dtype=bool)
    for i, one in enumerate((x, y, z)):
        close &= (one > low[i]) & (one < high[i])
    return close


def _trunk(x: Grid, y: Grid, z: Grid) -> dict[str, Bools]:
    girth = 1 - 0.03 * np.cos(z / 30)
    return {"body": _oval(x / girth, y / girth, 150, 108)}


def _skeleton(x: Grid, y: Grid, z: Grid) -> dict[str, Bools]:
    """Return bones, and the layers of the trunk that they lie in."""
    outer, inner = _oval(x, y, 133, 93), _oval(x, y, 122, 82)
    wall = outer & ~inner
    thorax = inner
    out = np.abs(x / 133) ** 2.4 + np.abs(y / 93) ** 2.4
    slope = (z + 0.3 * y - 0.25 * np.abs(x)) % 27
    rib = outer & (out > 0.86) & (slope < 9) & (y > -70) & ((np.abs(x) > 24) | (y < 0))
    rib_core = (out > 0.90) & (out < 0.96) & (slope > 2.5) & (slope < 6.5) & rib
    level = (z + 15) % 32
    vertebra = (x / 20) ** 2 + ((y - 56) / 15) ** 2 < 1
    core = ((x / 17.5) ** 2 + ((y - 56) / 12.5) ** 2 < 1) & (level > 8.5) & (level < 29.5)
    disc = vertebra & (level < 6)
    ring = (x / 14) ** 2 + ((y - 78) / 11) ** 2
    arch = (ring < 1) & (ring > 0.5) & (level > 4)
    spinous = (np.abs(x) < 3.5) & (y > 86) & (y < 99) & (level > 10)
    cortex = (vertebra & ~disc) | arch | spinous | rib
    back = _oval(x, y, 60, 26, 2.4, 78) & ~vertebra  # muscle beside the spine
    marrow = (core & vertebra) | rib_core
    return {
        "thorax": thorax & ~(back | vertebra),
        "cavity": thorax & ~(back | vertebra),
        "wall": wall | back,
        "middle": (x / 26) ** 2 + ((y - 8) / 50) ** 2 < 1,
        "cortex": cortex & ~marrow,
        "marrow": marrow,
        "disc": disc,
    }


def _chest(body: Body, x: Grid, y: Grid, z: Grid, thorax: Bools) -> dict[str, Bools]:
    heart = _ball(x, y, z, (20, -22, 2), (44, 36, 36)) & thorax
    vessel = (x - 15) ** 2 + (y - 36) ** 2 < 11**2
    cava = ((x + 17) ** 2 + (y - 30) ** 2 < 11**2) & (z < 20)
    wind = [(np.array([0, 26, CARINA]), np.array([0, 22, 90.0]), 8.5, 8.5)]
    bronchi = [(np.array([0, 26, CARINA]), np.array([side * 36, 16, 12.0]), 7.5, 5.5) for side in (-1, 1)]
    airway = _tube(x, y, z, wind[0])
    for one in bronchi:
        airway |= _tube(x, y, z, one)
    near_heart = _ball(x, y, z, (20, -22, 2), (48, 40, 40))
    lungs = {}
    for name, side, dome in (("lung_left", 1, DOMES[0]), ("lung_right", -1, DOMES[1])):
        narrow = 1 - 0.22 * (np.maximum(z, 0) / 72) ** 2
        shape = thorax & _oval(x / narrow, y / narrow, 119, 79)
        touching = body.joined & (y < -58) & (z > 24) & (z < 42)  # behind the breastbone
        aside = side * x > np.where(touching, 0, np.where((y < -48) & (z > 10), 4, 24))
        lungs[name] = shape & aside & (z > _floor(side * x, y, dome)) & ~near_heart & ~vessel & ~airway
    return {
        **lungs,
        **{"heart": heart, "aorta": vessel & thorax & ~airway, "inferior_vena_cava": cava & thorax & ~heart & ~airway},
        "airway": airway,
    }


def _floor(x: Grid, y: Grid, dome: float) -> Grid:
    """Return the height of the diaphragm; x is the distance from the middle."""
    return np.asarray(dome - 45 * (((x - 60) / 60) ** 2 + (y / 82) ** 2))


def _abdomen(x: Grid, y: Grid, z: Grid, cavity: Bools) -> dict[str, Bools]:
    right, left = (_ball(x, y, z, (side * 62, 44, -56), (21, 24, 34)) & cavity for side in (-1, 1))
    vessels = ((x - 15) ** 2 + (y - 36) ** 2 < 12**2) | ((x + 17) ** 2 + (y - 30) ** 2 < 12**2)
    free = cavity & ~vessels & (z < 15)
    liver = _ball(x, y, z, (-58, -8, -28), (68, 68, 44)) & free & ~right & (x < 34)
    spleen = _ball(x, y, z, (90, 30, -28), (26, 36, 30)) & free & ~left
    hollow = [((52, -34, -34), (38, 34, 30)), ((-10, -46, -78), (70, 26, 22))]  # the stomach, and a loop of the colon
    bowel, inside = (
        np.logical_or.reduce([_ball(x, y, z, at, (a - wall, b - wall, c - wall)) for at, (a, b, c) in hollow]) for wall in (0, 4)
    )
    bowel &= free & ~liver & ~spleen & (z < _floor(x, y, DOMES[0]) - 4)
    gas = bowel & inside & (y < np.where(z > -56, -46, -52)) & (z < _floor(x, y, DOMES[0]) - 8)
    kidneys = {"kidney_right": right & free, "kidney_left": left & free}
    return {**kidneys, "liver": liver, "spleen": spleen, "bowel": bowel, "air": gas}


def _vessels(rng: np.random.Generator) -> Iterator[Tube]:
    """Yield the vessels of both lungs: trunks from the hilum, each with two branches."""
    for side in (-1.0, 1.0):
        hilum = np.array(HILUM) * (side, 1, 1)
        for _ in range(7):
            aim = np.array([side * rng.uniform(55, 95), rng.uniform(-45, 50), rng.uniform(0, 66)])
            fork = hilum + (aim - hilum) * rng.uniform(0.4, 0.6)
            yield hilum, fork, 4.5, 2.8
            for _ in range(2):
                yield fork, fork + (aim - hilum) * 0.5 + rng.normal(0, 12, 3), 2.6, 1.3


def _lesions(rng: np.random.Generator, body: Body) -> Iterator[Lesion]:
    """Yield a nodule in each lung, away from vessels, heart and wall, and a lesion inside the liver."""
    for side, diameter in ((1.0, body.diameters[0]), (-1.0, body.diameters[1])):
        margin = diameter / 2 / body.scale + 5
        while True:
            at = np.array([side * rng.uniform(60, 92), rng.uniform(-30, 35), rng.uniform(24, 58)])
            x, y, z = (np.array([v], dtype=np.float32) for v in at)
            clear = not any(_tube(x, y, z, (a, b, first + margin, last + margin))[0] for a, b, first, last in body.vessels)
            if clear and not _ball(x, y, z, (20, -22, 2), (44 + margin, 36 + margin, 36 + margin))[0]:
                break
        yield Lesion("lung_nodule", at, diameter)
    yield Lesion(
        "liver_lesion", np.array([rng.uniform(-75, -45), rng.uniform(-25, 10), rng.uniform(-35, -20)]), body.diameters[2]
    )
