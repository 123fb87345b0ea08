"""Put fields and their zones together as labels: columns for all fields at once, each field followed by its zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hyla.schema import Schema
from hyla.types import NO_TRACK, Bools, Floats, Ints, Kind, Labels
from hyla_agriculture.measures import Measures
from hyla_agriculture.patches import Patch
from hyla_agriculture.scene import Fields

CONDITIONS = ("field", "healthy", "stressed", "suspected_drought", "suspected_pest", "bare", "unusable")
ZONES = ("stress_zone", "suspected_pest_zone", "change_zone")
# What stands in for a class that a preset leaves out.
INSTEAD = {
    **{"suspected_drought": "stressed", "suspected_pest": "stressed", "suspected_pest_zone": "stress_zone"},
    **dict.fromkeys(("healthy", "stressed", "bare", "unusable"), "field"),
}


class Zone(NamedTuple):
    """Hold one zone: the number of its field, its class, its score, and where it is."""

    number: int
    name: str
    score: float
    patch: Patch


def standard_schema() -> Schema:
    """Return what `Zones` can say, for use without a project."""
    return Schema.from_config(
        {"name": "zones", "kinds": ["polygon"], "classes": dict.fromkeys((*CONDITIONS, *ZONES)), "attributes": {}}
    )


def assemble(
    schema: Schema,
    known: set[str] | None,
    fields: Fields,
    classes: Sequence[str],
    scores: Floats,
    attributes: Mapping[str, Any],
    evidence: Mapping[str, Floats],
    zones: Sequence[Zone] = (),
    measures: Measures | None = None,
) -> Labels:
    """Return the labels of a scene.

    Args:
        schema: whose classes they get; a class that it lacks gives way to a more general one, or its labels are left out.
        known: names of the attributes that labels may have; None for all.
        fields: of the scene.
        classes: (n,) names.
        scores: (n,) from 0 to 1.
        attributes: name -> (n,) values of the fields.
        evidence: name -> (n,) values of the fields.
        zones: of any of them, those of one field in order.
        measures: of the fields; needed with zones.
    """
    number = np.array([zone.number for zone in zones], dtype=np.int64)
    ids = np.array([_class(schema, name) for name in (*classes, *(zone.name for zone in zones))], dtype=np.int64)
    shapes = np.empty(len(ids), dtype=object)
    for row, shape in enumerate((*fields.shapes, *(zone.patch.rings for zone in zones))):
        shapes[row] = shape
    order = np.argsort(np.concatenate([2 * np.arange(len(fields)), 2 * number + 1]), kind="stable")
    order = order[(ids[order] >= 0) & np.array([len(shapes[row]) > 0 for row in order], dtype=bool)]
    extra, facts = _of_zones(zones, number, fields, attributes, measures)
    return Labels(
        class_id=ids[order],
        score=np.clip(np.concatenate([scores, [zone.score for zone in zones]]), 0, 1)[order],
        box=_boxes(shapes[order]),
        kind=np.full(len(order), Kind.POLYGON, np.uint8),
        shape=shapes[order],
        track=np.full(len(order), NO_TRACK, np.int64),
        attributes={
            name: _joined(column, extra.get(name), len(zones))[order]
            for name, column in attributes.items()
            if known is None or name in known
        },
        evidence={
            name: np.concatenate([column, facts.get(name, np.full(len(zones), np.nan))])[order]
            for name, column in evidence.items()
        },
    )


def _of_zones(
    zones: Sequence[Zone], number: Ints, fields: Fields, attributes: Mapping[str, Any], measures: Measures | None
) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return the attributes and the evidence (m,) of zones."""
    if not zones or measures is None:
        return {}, {}
    patches = [zone.patch for zone in zones]
    pixels, change = (np.array([getattr(one, name) for one in patches], dtype=np.float64) for name in ("pixels", "change"))
    extra: dict[str, Any] = {
        "field": [fields.ids[n] for n in number],
        "crop": [fields.crops[n] for n in number],
        "area_ha": pixels * measures.pixel[number].prod(axis=1) / 1e4,
        "change": change,
        "days": np.where(np.isfinite(change), attributes["days"][number], np.nan),
        **dict(zip(measures.names, np.array([one.means for one in patches]).T, strict=True)),
    }
    facts = {name: np.array([getattr(one, name) for one in patches]) for name in ("compactness", "spread", "least", "most")}
    return extra, {**facts, "pixels": pixels, "cloud": measures.cloud[number], "missing": measures.missing[number]}


def _joined(column: Any, more: Any, count: int) -> Any:
    """Return a column of fields with that of zones behind it: floats, or objects where there is text."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        return np.concatenate([column, np.full(count, np.nan) if more is None else more])
    values = [*column, *([None] * count if more is None else more)]
    if all(value is None for value in values):
        return np.full(len(values), np.nan)
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


def _class(schema: Schema, name: str) -> int:
    while name and name not in schema.ids:
        name = INSTEAD.get(name, "")
    return schema.ids[name] if name else -1


def _boxes(shapes: Any) -> Floats:
    """Return the boxes (n, 4) of shapes that have points."""
    if not len(shapes):
        return np.zeros((0, 4))
    points = np.concatenate([ring for shape in shapes for ring in shape])
    counts = np.array([sum(len(ring) for ring in shape) for shape in shapes])
    starts = np.cumsum(counts) - counts
    return np.hstack([np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)])


def overlap_and_compactness(fields: Fields) -> dict[str, Floats]:
    """Return evidence (n,): the share of each field that others also claim, and 4 pi A / P^2; in pixels, as clipped."""
    import shapely

    from hyla_agriculture.zonal import polygon

    shapes = np.full(len(fields), shapely.Polygon(), dtype=object)
    single = np.array([len(rings) == 1 and len(rings[0]) > 2 for rings in fields.shapes], dtype=bool)
    if single.any():
        rings = [fields.shapes[n][0] for n in np.flatnonzero(single)]
        owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
        shapes[single] = shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=owner))
    for n in np.flatnonzero(~(single & shapely.is_valid(shapes))):
        if usable := [ring for ring in fields.shapes[n] if len(ring) > 2]:
            shapes[n] = polygon(usable)
    one, other = shapely.STRtree(shapes).query(shapes)
    for keep in (lambda a, b: a < b, lambda a, b: _apart(shapes, a, b)):
        pairs: Bools = keep(one, other)
        one, other = one[pairs], other[pairs]
    shared = np.zeros(len(shapes))
    common = shapely.area(shapely.intersection(shapes[one], shapes[other]))
    np.add.at(shared, one, common)
    np.add.at(shared, other, common)
    area, length = shapely.area(shapes), shapely.length(shapes)
    nothing = np.full(len(shapes), np.nan)
    return {
        "overlap": np.minimum(np.divide(shared, area, out=nothing.copy(), where=area > 0), 1),
        "compactness": np.divide(4 * np.pi * area, length**2, out=nothing.copy(), where=length > 0),
    }


def _apart(shapes: Any, one: Ints, other: Ints) -> Bools:
    """Return the pairs that share more than a border."""
    import shapely

    shapely.prepare(shapes[np.unique(one)])
    return np.asarray(shapely.intersects(shapes[one], shapes[other]) & ~shapely.touches(shapes[one], shapes[other]))
