"""Draw a piece of farmland as a satellite would see it: parcels, crops, a drought, pests, clouds, and what is true of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy.ndimage import gaussian_filter
from shapely import affinity

from hyla.types import Bools, Floats

Grid = npt.NDArray[np.float32]

BANDS = ("blue", "green", "red", "rededge1", "nir", "swir16")
PIXEL = 10.0  # m
# Reflectance of what the ground is made of, in the order of BANDS: rounded from what such surfaces have in Sentinel-2 scenes.
SOIL = np.array([0.08, 0.11, 0.14, 0.17, 0.23, 0.30])
LUSH = np.array([0.025, 0.06, 0.03, 0.11, 0.45, 0.18])
DRY = np.array([0.045, 0.085, 0.09, 0.15, 0.30, 0.30])  # leaves that lack water
EATEN = np.array([0.06, 0.09, 0.13, 0.16, 0.24, 0.24])  # what a pest leaves of them
FOREST = np.array([0.02, 0.04, 0.025, 0.08, 0.33, 0.14])
GRASS = np.array([0.04, 0.08, 0.06, 0.13, 0.33, 0.20])
WATER = np.array([0.05, 0.05, 0.03, 0.025, 0.02, 0.01])
ROAD = np.array([0.12, 0.13, 0.14, 0.16, 0.18, 0.22])
CLOUD = np.array([0.55, 0.55, 0.56, 0.57, 0.60, 0.45])
SHADE = 0.35  # of the light that is left in the shadow of a cloud
NOISE = 0.003  # reflectance, standard deviation of a sample
# Share of the ground that leaves cover, by crop (EPPO code) at the four dates.
COVER = {
    "TRZAX": (0.70, 0.85, 0.88, 0.80),
    "HORVX": (0.72, 0.85, 0.84, 0.70),
    "BRSNN": (0.85, 0.88, 0.85, 0.76),
    "BEAVA": (0.05, 0.30, 0.60, 0.85),
    "ZEAMX": (0.04, 0.08, 0.45, 0.80),
}
BEFORE = {"TRZAX": "BRSNN", "HORVX": "TRZAX", "BRSNN": "HORVX", "BEAVA": "TRZAX", "ZEAMX": "TRZAX"}
COVERED = 0.2  # with less of the ground under leaves a field is bare
PARCHED = 0.5  # from this much drought on a field counts as one that suffers
HIDDEN = 0.3  # of a field under cloud or shadow, from which nothing can be said
CLEAR, SCL_VEGETATION, SCL_SHADOW, SCL_CLOUD = 5, 4, 3, 9  # classes of a Sentinel-2 scene classification


@dataclass
class Parcel:
    """Hold a field: its outline in metres of the map, what grows on it, and what ails it.

    Args:
        name: as the parcel file calls it.
        outline: in the map's coordinates.
        crop: EPPO code.
        drought: 0 to 1 at the last date; it begins at the second.
        weak: share of its leaves that are missing for a reason that nobody knows.
        eaten: where a pest is at the last date, or None.
    """

    name: str
    outline: Any
    crop: str
    drought: float = 0.0
    weak: float = 0.0
    eaten: Any = None


@dataclass
class Land:
    """Hold a square piece of land.

    Args:
        name: of the place.
        east, north: of its top-left corner, in metres of the map.
        size: pixels a side.
        seed: of everything drawn.
    """

    name: str
    east: float
    north: float
    size: int
    seed: int
    parcels: list[Parcel] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.transform = Affine(PIXEL, 0, self.east, 0, -PIXEL, self.north)
        side = self.size * PIXEL
        self.square = shapely.box(self.east, self.north - side, self.east + side, self.north)
        self._split()
        self.texture = self._smooth(3.0)
        self.moisture = self._smooth(40.0)

    def _split(self) -> None:
        """Cut the land into parcels with grass between them, and leave a wood and a lake out."""
        rng, side = self.rng, self.size * PIXEL
        centre = (self.east + side / 2, self.north - side / 2)
        turn = float(rng.uniform(-25, 25))
        at = rng.uniform(0.2, 0.8, (2, 2)) * side
        wood, lake = (
            affinity.scale(shapely.Point(self.east + x, self.north - y).buffer(1), rx, ry)
            for (x, y), (rx, ry) in zip(at, ((0.16 * side, 0.10 * side), (0.05 * side, 0.08 * side)), strict=True)
        )
        self.wood, self.lake = wood, lake
        whole = shapely.box(centre[0] - side, centre[1] - side, centre[0] + side, centre[1] + side)
        plots = [affinity.rotate(one, turn, origin=centre) for one in _halves(whole, rng)]
        taken = shapely.union_all([wood.buffer(15), lake.buffer(15)])
        crops = list(COVER)
        for plot in plots:
            inner = shapely.difference(plot.buffer(-float(rng.uniform(4, 9))), taken)
            inner = max(getattr(inner, "geoms", [inner]), key=lambda one: one.area)
            if inner.area < 8_000 or not inner.within(self.square.buffer(60)) or not inner.intersects(self.square.buffer(-30)):
                continue
            outline = inner.simplify(1.0)
            crop = crops[int(rng.choice(len(crops), p=(0.35, 0.15, 0.15, 0.12, 0.23)))]
            self.parcels.append(Parcel(f"{self.name}-{len(self.parcels) + 1:03d}", outline, crop, *self._ails(outline)))

    def _ails(self, outline: Any) -> tuple[float, float, Any]:
        """Return drought, weakness and the eaten patch of a field: the drought gets worse to the east."""
        rng = self.rng
        share = (outline.centroid.x - self.east) / (self.size * PIXEL)
        drought = float(np.clip(1.9 * share - 0.95 + rng.normal(0, 0.05), 0, 1))
        kind = rng.uniform()
        if drought < 0.3 and kind < 0.10:
            return 0.0, 0.0, self._patch(outline)
        return drought, 0.45 if drought < 0.3 and kind < 0.2 else 0.0, None

    def _patch(self, outline: Any) -> Any:
        middle = outline.representative_point()
        radius = float(np.sqrt(outline.area * self.rng.uniform(0.10, 0.25) / np.pi))
        round_ = affinity.scale(middle.buffer(1), radius * 1.25, radius * 0.8)
        return shapely.intersection(affinity.rotate(round_, float(self.rng.uniform(0, 180))), outline)

    def _smooth(self, metres: float) -> Grid:
        """Return a field of noise (size, size) with mean 0 and standard deviation 1."""
        rough = gaussian_filter(self.rng.standard_normal((self.size, self.size)), max(1.0, metres / PIXEL), mode="reflect")
        return np.asarray((rough - rough.mean()) / rough.std(), np.float32)

    def mask(self, shapes: Any) -> Bools:
        """Return which pixels (size, size) have their centre in any of `shapes`."""
        given = [one for one in shapes if one is not None and not one.is_empty]
        if not given:
            return np.zeros((self.size, self.size), bool)
        return np.asarray(rasterize(given, (self.size, self.size), transform=self.transform, dtype=np.uint8) > 0)

    def clouds(self, date: int, share: float) -> tuple[Bools, Bools]:
        """Return where clouds and their shadows are at a date, about `share` of the land under cloud."""
        if not share:
            return np.zeros((2, self.size, self.size), bool)  # type: ignore[return-value]
        rng = np.random.default_rng([self.seed, date])
        rough = gaussian_filter(rng.standard_normal((self.size, self.size)), self.size / 16, mode="reflect")
        cloud = rough > np.quantile(rough, 1 - share)
        down, right = self.size // 20, self.size // 14
        shadow = np.zeros_like(cloud)
        shadow[down:, right:] = cloud[:-down, :-right]
        shadow &= ~cloud
        return cloud, shadow

    def shoot(self, date: int, cloudy: float) -> tuple[Grid, Bools, Bools]:
        """Return the reflectance (bands, size, size) at a date 0 to 3, and where clouds and shadows are."""
        rng = np.random.default_rng([self.seed, 100 + date])
        soil = SOIL[:, None, None] * (1 - 0.10 * self.moisture)
        ground = np.broadcast_to(GRASS[:, None, None], (len(BANDS), self.size, self.size)) * (1 + 0.05 * self.texture)
        numbers = rasterize(
            [(one.outline, n + 1) for n, one in enumerate(self.parcels)],
            (self.size, self.size),
            transform=self.transform,
            dtype=np.int32,
        )
        cover, dry = self._growth(date)
        cover_, dry_ = cover[numbers], dry[numbers]
        leaves = np.clip(cover_ * (1 + 0.04 * self.texture), 0, 1)
        grown = leaves * (LUSH[:, None, None] * (1 - dry_) + DRY[:, None, None] * dry_) + (1 - leaves) * soil
        ground = np.where(numbers > 0, grown, ground)
        if date == 3:
            ground = np.where(
                self.mask(one.eaten for one in self.parcels), EATEN[:, None, None] * (1 + 0.1 * self.texture), ground
            )
        ground = np.where(self.mask([self.wood]), FOREST[:, None, None] * (1 + 0.12 * self.texture), ground)
        ground = np.where(self.mask([self.lake]), WATER[:, None, None], ground)
        cloud, shadow = self.clouds(date, cloudy)
        ground = np.where(shadow, ground * SHADE, ground)
        ground = np.where(cloud, CLOUD[:, None, None] * (1 + 0.05 * self.texture), ground)
        return (ground + rng.normal(0, NOISE, ground.shape)).astype(np.float32), cloud, shadow

    def _growth(self, date: int) -> tuple[Floats, Floats]:
        """Return the share of leaves and how dry they are, by number of the parcel; 0 is no parcel."""
        cover, dry = np.zeros(len(self.parcels) + 1), np.zeros(len(self.parcels) + 1)
        for n, one in enumerate(self.parcels, 1):
            dry[n] = one.drought * date / 3
            cover[n] = COVER[one.crop][date] * (1 - 0.3 * dry[n]) * (1 - (one.weak if date >= 2 else 0.0))
        return cover, dry

    def condition(self, one: Parcel, date: int, cloud: Bools) -> str:
        """Return the class that a field truly has at a date.

        Args:
            one: the field.
            date: 0 to 3.
            cloud: where clouds and shadows are.
        """
        inside = self.mask([one.outline])
        if not inside.any() or cloud[inside].mean() > HIDDEN:
            return "unusable"
        n = self.parcels.index(one) + 1
        cover, dry = self._growth(date)
        if cover[n] < COVERED:
            return "bare"
        if date == 3 and one.eaten is not None:
            return "suspected_pest"
        if dry[n] >= PARCHED:
            return "suspected_drought"
        return "stressed" if one.weak and date >= 2 else "healthy"


def _halves(whole: Any, rng: np.random.Generator) -> Iterator[Any]:
    """Cut a rectangle in two until the pieces are fields of some 3 to 14 hectares."""
    x0, y0, x1, y1 = whole.bounds
    wide, high = x1 - x0, y1 - y0
    if wide * high < rng.uniform(60_000, 160_000):
        yield whole
        return
    at = rng.uniform(0.35, 0.65)
    if wide > high * rng.uniform(0.7, 1.3):
        cut = x0 + at * wide
        parts = (shapely.box(x0, y0, cut, y1), shapely.box(cut, y0, x1, y1))
    else:
        cut = y0 + at * high
        parts = (shapely.box(x0, y0, x1, cut), shapely.box(x0, cut, x1, y1))
    for part in parts:
        yield from _halves(part, rng)
