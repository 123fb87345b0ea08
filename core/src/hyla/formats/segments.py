"""What COCO calls a segmentation: rings or run lengths of a label, and the area that goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import chain, combinations
from typing import Any

import numpy as np

from hyla import geometry
from hyla.types import Floats, Kind, Labels, Rle

MANY = 64  # rings from which comparing every two is no longer the cheaper way


def around(kind: str, shape: Any) -> list[float]:
    """Return the box (4,) around a shape as JSON has it; zeros for a cuboid, which lies in the sensor's space."""
    if kind == "polygon":
        one: Any = tuple(np.asarray(ring, dtype=np.float64) for ring in shape)
    elif kind == "mask":
        one = Rle(tuple(shape["size"]), shape["counts"].encode())
    else:
        one = np.asarray(shape, dtype=np.float64)
    return geometry.bounds([Kind[kind.upper()]], [one])[0].tolist()  # type: ignore[no-any-return]


def areas(labels: Labels) -> Floats:
    """Return the areas (n,) of labels in square pixels: `evidence["area"]` where it is known, else of the shape or the box."""
    out = geometry.area(labels.box)
    for row in np.flatnonzero(np.isin(labels.kind, (Kind.ROTATED_BOX, Kind.POLYGON, Kind.MASK))):
        kind, shape = labels.kind[row], labels.shape[row]
        if kind == Kind.ROTATED_BOX:
            out[row] = abs(shape[2] * shape[3])
        else:
            out[row] = geometry.rle_area(shape) if kind == Kind.MASK else _area(shape)
    given = labels.evidence.get("area")
    return out if given is None else np.where(np.isnan(given), out, given)


def segmentation(kind: int, shape: Any, size: Sequence[int]) -> Any:
    """Return a label's COCO segmentation: rings as flat lists, run lengths, or an empty list for a box.

    COCO fills each ring; rings of which one overlaps another become a mask of `size` (height, width).
    """
    if kind == Kind.MASK:
        return {"size": list(shape.size), "counts": shape.counts.decode("ascii")}
    if kind == Kind.ROTATED_BOX:
        return [geometry.rotated_corners(shape).reshape(-1).tolist()]
    if kind != Kind.POLYGON:
        return []
    if apart(shape):
        return [ring.reshape(-1).tolist() for ring in shape]
    far = np.ceil(np.max([ring.max(axis=0) for ring in shape], axis=0)).astype(int)
    return segmentation(Kind.MASK, geometry.encode(geometry.rasterize(shape, size if any(size) else (far[1], far[0]))), size)


def rle_of(kind: int, shape: Any, size: Sequence[int]) -> dict[str, Any]:
    """Return the mask of a polygon, rotated box or mask as pycocotools makes it: `size` and `counts` (bytes)."""
    from pycocotools import mask

    given = segmentation(kind, shape, size)
    if isinstance(given, dict):
        return {**given, "counts": given["counts"].encode()}
    return dict(mask.merge(mask.frPyObjects(given, int(size[0]), int(size[1]))))


def apart(rings: Sequence[Floats]) -> bool:
    """Tell whether no ring overlaps another, so that filling each is the same as filling all by the even-odd rule."""
    box = np.array([[*r.min(axis=0), *r.max(axis=0)] for r in rings])
    if len(rings) <= MANY:
        pairs = combinations(range(len(rings)), 2)
        if not any((box[a, :2] < box[b, 2:]).all() and (box[b, :2] < box[a, 2:]).all() for a, b in pairs):
            return True
    parts = sum(_union([ring]).area for ring in rings)
    return bool(np.isclose(_union(rings).area, parts, rtol=1e-12, atol=0))


def filled(rings: Sequence[Floats]) -> list[Floats]:
    """Return rings for the even-odd rule that cover what `rings` cover together."""
    region = _union(rings)
    parts = getattr(region, "geoms", [region])
    lines = chain.from_iterable((p.exterior, *p.interiors) for p in parts if p.geom_type == "Polygon")
    return [np.asarray(line.coords)[:-1] for line in lines]


def _area(rings: Sequence[Floats]) -> float:
    if not apart(rings):
        import shapely

        return float(reduce(shapely.symmetric_difference, _valid(rings)).area)
    return sum(_ring_area(ring) for ring in rings)


def _ring_area(ring: Floats) -> float:
    x, y = (ring - ring[0]).T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _union(rings: Sequence[Floats]) -> Any:
    import shapely

    return shapely.union_all(_valid(rings))


def _valid(rings: Sequence[Floats]) -> list[Any]:
    import shapely

    return [shapely.make_valid(shapely.Polygon(ring)) for ring in rings]
