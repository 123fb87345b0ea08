"""fiboa 0.3 (https://fiboa.org/specification/v0.3.0/, on Vecorel 0.1), in and out: the outlines of fields as GeoParquet.

Only labels of the class `field` and below are fields; zones and land cover stay behind. Each item is a collection of its own, so
that a field may be in the file once for each date. `id` is the attribute `field`, or the number of the label if that is unknown.
`determination:method` is `manual` for what a person drew, `auto-imagery` for an outline found in the pixels, and `unknown`, as
the specification wants it, for one that came with the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import shapely
from pyproj import Geod

from hyla.formats import Loss
from hyla.schema import Schema
from hyla.types import Objects, Record
from hyla_agriculture.geoparquet import GeoParquet
from hyla_agriculture.outlines import AREAS
from hyla_agriculture.placing import Own, Row, Rows
from hyla_agriculture.reprojection import DEGREES, moved_to
from hyla_agriculture.vectors import Features

if TYPE_CHECKING:
    from hyla.pictures import Pictures

SCHEMAS = ("https://vecorel.org/specification/v0.1.0/schema.yaml", "https://fiboa.org/specification/v0.3.0/schema.yaml")
MOMENT = pa.timestamp("ms", tz="UTC")
FIELDS = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("collection", pa.string(), nullable=False),
    pa.field("metrics:area", pa.float32()),
    pa.field("metrics:perimeter", pa.float32()),
    pa.field("determination:datetime", MOMENT),
    pa.field("determination:method", pa.string()),
]
LARGEST = {"metrics:area": 1e9, "metrics:perimeter": 1.25e9}  # m2 and m that the specification allows
FOUND = "evidence_boundary"  # known of an outline that was found in the pixels


class Fiboa(GeoParquet):
    """Write and read fiboa; see `MapFormat` for the settings. A row of another maker is a label of the class `field`."""

    name = "fiboa"
    patterns = ("fields.parquet", "*.parquet", "*.geoparquet")

    def __init__(
        self, file: str = "fields.parquet", crs: str = "", unknown: str = "error", pictures: Pictures | None = None
    ) -> None:
        super().__init__(file, crs, unknown, class_column="class", date_column="", pictures=pictures)

    def features(self, records: Iterable[Record], schema: Schema, loss: Loss, out: Path) -> Features:
        """Return the rows to write: fields only."""
        fields = schema.under("field")
        return Features(records, schema, loss, out, classes=fields, kinds=AREAS, evidence=("boundary",), pictures=self.pictures)

    def fields(self, features: Features) -> list[pa.Field]:
        """Return the columns of the specification, then those of Hyla."""
        return FIELDS + [field for field in features.columns if field.name != FOUND]

    def values(self, features: Features, crs: str) -> Callable[[pa.Table, Objects], dict[str, Any]]:
        """Return what gives the values of the columns of `fields` for some rows and their geometries."""
        rest = super().values(features, crs)
        parcel = features.layout.attributes.get("field")
        taken: tuple[str, set[str]] = ("", set())  # ids of the collection that is being written

        def values(table: pa.Table, shapes: Objects) -> dict[str, Any]:
            nonlocal taken
            own = {name: table[column].to_pylist() for name, column in features.layout.own.items()}
            ids = []
            for item, label, name in zip(
                own["item"], own["label"], table[parcel].to_pylist() if parcel else [None] * len(table), strict=True
            ):
                taken = taken if taken[0] == item else (item, set())
                ids.append(_free(str(name or label), label, taken[1]))
            said = {
                "id": ids,
                "collection": own["item"],
                "metrics:area": [_allowed("metrics:area", None if ha is None else ha * 1e4) for ha in own["area_ha"]],
                "metrics:perimeter": [_allowed("metrics:perimeter", metres) for metres in perimeters(shapes, crs)],
                "determination:datetime": [_moment(date) for date in own["date"]],
                "determination:method": [
                    "manual" if method == "manual" else "unknown" if found is None else "auto-imagery"
                    for method, found in zip(own["method"], table[FOUND].to_pylist(), strict=True)
                ],
            }
            return {field.name: pa.array(said[field.name], field.type) for field in FIELDS} | rest(table, shapes)

        return values

    def said(self, features: Features) -> Mapping[str, Any]:
        """Return what the specification wants in the metadata of the file: the schemas of each collection."""
        return {"collection": {"schemas": {one["item"]["id"]: SCHEMAS for one in features.items}}}

    def open(self, path: Path) -> Own | Sequence[Rows]:
        """Return what a fiboa file holds; see `MapFormat.open`."""
        source = super().open(path)
        if isinstance(source, Own):
            return source
        return [Rows([_as_field(row) for row in part.rows], part.shapes, part.crs) for part in source]


def perimeters(shapes: Objects, crs: str) -> list[float | None]:
    """Return the length in metres of all rings of each area on the WGS 84 ellipsoid, None for one with no place on Earth."""
    geod = Geod(ellps="WGS84")
    rings = [None if one is None else shapely.get_rings(shapely.get_parts(one)) for one in moved_to(shapes, crs, DEGREES)]
    return [None if some is None else sum(geod.geometry_length(ring) for ring in some) for some in rings]


def _as_field(row: Row) -> Row:
    return {**row, "class": "field", "field": row.get("field") or row.get("id")}


def _free(name: str, label: int, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}-{label}"
    taken.add(name)
    return name


def _allowed(name: str, value: float | None) -> float | None:
    return value if value is not None and 0 < value <= LARGEST[name] else None


def _moment(date: str | None) -> datetime | None:
    """Return a date or a time of day as a moment in UTC, None for a text that is neither."""
    try:
        found = datetime.fromisoformat(date or "")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
