"""Find the outlines of fields in a scene without weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.frame import Frame, MapFrame
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Kind, Labels
from hyla_agriculture.scene import CLEAR, Fields, Scene, Window, view

Rings = tuple[Floats, ...]


class Limits(NamedTuple):
    """Say what may be a field.

    Args:
        largest: width and height in pixels above which a region is none.
        least: pixels below which it is none.
        strength: of its outline, 0 to 1, below which it is none; see `delineation.contrast`.
        simplify: pixels; corners are cut off its outline while each changes less than the square of that.
        step: 1 for reflectances; 2 where fields differ by twice as much as in them, as in pictures with a stretched contrast.
        tile: width and height in pixels of what is looked at in one go, on which memory and time depend, and nothing else.
    """

    largest: int = 160
    least: int = 20
    strength: float = 0.55
    simplify: float = 1.0
    step: float = 1.0
    tile: int = 1024


class Found(NamedTuple):
    """Hold one field: its first pixel (row, column) in reading order, its rings in pixels, the strength of its outline."""

    first: tuple[int, int]
    rings: Rings
    strength: float


def delineate(scene: Scene, frame: Frame | None = None, limits: Limits | None = None) -> Fields:
    """Return what looks like fields in a scene: even regions with a strong outline; `delineation` says how they are found.

    What is found at a place depends only on what is within two `largest` of it. So a window of a scene gives the same polygons as
    the whole, but for those near its edge, and each size of tile gives the same. Neighbours share their borders. An id is the
    place of the field's first pixel (row by row): its world coordinates, or column and row in a scene that is on no map.

    Args:
        scene: whose bands are reflectances; red and nir together tell most. Clouds and shadows are left out.
        frame: of the scene, for ids and areas; that of the scene itself where it has one and none is given.
        limits: of what may be a field; None for the defaults.

    Raises:
        BadItem: for a part of the scene that can't be read.
    """
    return as_fields(list(find(scene, limits or Limits())), getattr(scene, "frame", None) if frame is None else frame)


def find(scene: Scene, limits: Limits) -> Iterator[Found]:
    """Yield the fields of a scene tile by tile."""
    from hyla_agriculture import delineation

    height, width = scene.shape[:2]
    # A region that begins in the tile, its neighbours, and whatever larger region was cut to give them: they are seen whole, or
    # enough is seen of them to know that they are larger than a field.
    around = 2 * limits.largest + delineation.MARGIN
    for row in range(0, height, limits.tile):
        for column in range(0, width, limits.tile):
            rows = max(row - around, 0), min(row + limits.tile + around, height)
            columns = max(column - around, 0), min(column + limits.tile + around, width)
            part = Window(*rows, *columns)

            def read(band: str, part: Window = part) -> npt.NDArray[np.float32]:
                return np.asarray(scene.reflectance(part, [band])[0])

            edge, ground = delineation.edge_strength(read, scene.quality(part) == CLEAR, scene.bands)
            edge /= np.float32(limits.step)
            label = delineation.regions(edge, ground, limits.largest, limits.least)
            label = delineation.grown(label, edge, ground)
            yield from _begun(label, edge, part, (row, column), limits)


def _begun(
    label: npt.NDArray[np.int32], edge: npt.NDArray[np.float32], part: Window, at: tuple[int, int], limits: Limits
) -> Iterator[Found]:
    """Yield the regions of a part of a scene whose first pixel lies in the tile that begins `at` (row, column)."""
    from hyla_agriculture import delineation
    from hyla_agriculture.polygons import polygons

    strength = delineation.contrast(label, edge)
    number, first = np.unique(label, return_index=True)
    row, column = np.divmod(first, label.shape[1])
    row, column = row + part.row0, column + part.column0
    here = (number > 0) & (strength[number] >= limits.strength)
    here &= (row >= at[0]) & (row < at[0] + limits.tile) & (column >= at[1]) & (column < at[1] + limits.tile)
    if not here.any():
        return
    chosen = np.zeros(len(strength), np.bool_)
    chosen[number[here]] = True
    mine = dict(zip(number[here].tolist(), zip(row[here].tolist(), column[here].tolist(), strict=True), strict=True))
    # With all regions that are near, so that borders with neighbours of other tiles are simplified as they are there.
    near, corner = delineation.near(label, chosen)
    offset = (part.column0 + corner[1], part.row0 + corner[0])
    largest: dict[int, Rings] = {}
    for value, rings in polygons(near, simplify=limits.simplify, offset=offset):
        if value in mine and (value not in largest or _area(rings[0]) > _area(largest[value][0])):
            largest[value] = rings
    for value, rings in largest.items():
        yield Found(mine[value], rings, float(strength[value]))


def as_fields(found: Sequence[Found], frame: Frame | None) -> Fields:
    """Return what was found as the parcels of a scene."""
    if not found:
        return Fields()
    first = np.array([one.first[::-1] for one in found], dtype=np.float64)
    count = len(found)
    hectares = np.full(count, np.nan)
    ids = [f"{int(x)}_{int(y)}" for x, y in first]
    if isinstance(frame, MapFrame) and frame.crs:
        import shapely

        from hyla_agriculture.area import hectares as measure

        world = [shapely.Polygon(frame.to_world(one.rings[0]), [frame.to_world(hole) for hole in one.rings[1:]]) for one in found]
        hectares = measure(world, frame.crs)
        # One digit more than tells neighbouring pixels apart.
        digits = max(0, 1 - int(np.floor(np.log10(max(abs(frame.transform[0]), abs(frame.transform[1]))))))
        ids = [f"{x:.{digits}f}_{y:.{digits}f}" for x, y in frame.to_world(first + 0.5)]
    nothing = (None,) * count
    return Fields(
        tuple(ids),
        tuple(one.rings for one in found),
        nothing,
        nothing,
        hectares,
        np.full(count, np.nan),
        np.ones(count),
        found=True,
    )


def _area(ring: Floats) -> float:
    x, y = ring.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def _length(ring: Floats) -> float:
    return float(np.hypot(*(np.roll(ring, -1, axis=0) - ring).T).sum())


class Boundaries(Model):
    """Outline fields by the contrast of their borders, without weights; see `delineate`.

    It sees even ground with a strong outline and does not know what is a field: a lawn, a clearing or an even roof is outlined as
    well, and fields that look alike become one, or none if they are larger than `largest` together: it is `partial`. A score is
    the strength of the outline, and says nothing about whether the place is a field. It is made for reflectances at 3 to 30 m,
    such as Sentinel-2, and finds most where a second date is stacked in; in aerial photographs texture hides the borders.

    Args:
        schema: of the project.
        class_name: class of the outlines.
        largest: width and height in pixels above which a region is no field.
        least: pixels below which it is none.
        strength: of its outline, 0 to 1, below which it is none.
        simplify: pixels; corners are cut off while each changes less than the square of that.
        step: 1 for reflectances; more for pictures with a stretched contrast.
        tile: pixels that are looked at in one go.

    Raises:
        ConfigError: for a setting out of range, or a class that the schema does not have.
    """

    partial = True

    def __init__(
        self,
        schema: Schema | None = None,
        class_name: str = "field",
        largest: int = 160,
        least: int = 20,
        strength: float = 0.55,
        simplify: float = 1.0,
        step: float = 1.0,
        tile: int = 1024,
    ) -> None:
        if not 8 <= largest <= 2048 or not 1 <= least <= largest**2 or tile < 64:
            raise ConfigError(
                f"boundaries needs 8 <= largest <= 2048, 1 <= least <= largest^2 and tile >= 64, got {largest}, {least}, {tile}"
            )
        if not 0 <= strength <= 1 or simplify < 0 or step <= 0:
            raise ConfigError(
                f"boundaries needs 0 <= strength <= 1, simplify >= 0 and step > 0, got {strength}, {simplify}, {step}"
            )
        self.class_id = 0 if schema is None else schema.class_id(class_name)
        self.attributes = {} if schema is None else schema.attributes_of("label")
        self.limits = Limits(largest, least, strength, simplify, step, tile)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return the outlines in each scene."""
        return [self._outline(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name of the method."""
        return {"name": "boundaries"}

    def _outline(self, image: Image) -> Labels:
        found = [] if image.volume else sorted(find(view(image), self.limits), key=lambda one: one.first)
        if not found:
            return Labels.empty()
        fields = as_fields(found, image.frame)
        strength = np.array([one.strength for one in found])
        area = np.array([_area(one.rings[0]) - sum(map(_area, one.rings[1:])) for one in found])
        length = np.array([sum(map(_length, one.rings)) for one in found])
        known: dict[str, Floats | list[str]] = {
            "field": list(fields.ids),
            "area_ha": np.round(fields.hectares, 4),
            "method": ["automated"] * len(found),
        }
        return Labels.of(
            np.full(len(found), self.class_id),
            kind=Kind.POLYGON,
            shape=fields.shapes,
            score=strength,
            attributes={name: column for name, column in known.items() if name in self.attributes},
            evidence={"boundary": strength, "pixels": np.round(area), "compactness": 4 * np.pi * area / length**2},
        )
