"""GeoParquet 1.1 (https://geoparquet.org/releases/v1.1.0/), in and out: one table, geometry as WKB, with a box per row.

The metadata of the file say under `geo` what the standard asks for, and under `hyla` what brings each record back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from hyla.errors import FormatError
from hyla.formats import writing
from hyla.types import Objects
from hyla_agriculture.mapformat import MapFormat
from hyla_agriculture.placing import Own, Rows
from hyla_agriculture.reprojection import crs_of
from hyla_agriculture.vectors import Features

if TYPE_CHECKING:
    from hyla.pictures import Pictures

VERSION = "1.1.0"
GEOMETRY = "geometry"
SIDES = ("xmin", "ymin", "xmax", "ymax")
BOX = pa.struct([pa.field(side, pa.float32(), nullable=False) for side in SIDES])
COVERING = {"bbox": {side: ["bbox", side] for side in SIDES}}
LONLAT = "OGC:CRS84"  # where a file names no CRS
HINT = "name a GeoParquet file, or another format"


class GeoParquet(MapFormat):
    """Write and read GeoParquet; see `MapFormat` for the settings."""

    name = "geoparquet"
    patterns = ("labels.parquet", "*.parquet", "*.geoparquet")

    def __init__(
        self,
        file: str = "labels.parquet",
        crs: str = "",
        unknown: str = "error",
        class_column: str = "class",
        date_column: str = "date",
        pictures: Pictures | None = None,
    ) -> None:
        super().__init__(file, crs, unknown, class_column, date_column, pictures)

    def write(self, features: Features, path: Path) -> None:
        """Write the table, a row group for some thousand rows; see `MapFormat.write`."""
        crs = features.crs(self.crs)
        fields = [*self.fields(features), pa.field("bbox", BOX), pa.field(GEOMETRY, pa.binary(), nullable=False)]
        bounds, types = np.array([np.inf, np.inf, -np.inf, -np.inf]), set()
        said = {"hyla": {**features.about(crs), "items": features.items}, **self.said(features)}
        values = self.values(features, crs)
        try:
            with (
                writing(path) as file,
                pq.ParquetWriter(file, pa.schema(fields), compression="zstd", store_schema=False) as writer,
            ):
                for table, shapes in features.tables(crs):
                    boxes = shapely.bounds(shapes).reshape(-1, 4)
                    bounds = np.concatenate([np.minimum(bounds[:2], boxes[:, :2].min(0, initial=np.inf)),
                                             np.maximum(bounds[2:], boxes[:, 2:].max(0, initial=-np.inf))])  # fmt: skip
                    types |= {shape.geom_type for shape in shapes}
                    columns = values(table, shapes)
                    columns["bbox"] = pa.StructArray.from_arrays(list(_outward(boxes).T), fields=list(BOX))
                    columns[GEOMETRY] = pa.array(shapely.to_wkb(shapes), pa.binary())
                    writer.write_table(pa.table([columns[f.name] for f in fields], pa.schema(fields)))
                geo = {"version": VERSION, "primary_column": GEOMETRY, "columns": {GEOMETRY: _column(crs, bounds, types)}}
                for name, value in {"geo": geo, **said}.items():
                    writer.add_key_value_metadata({name: msgspec.json.encode(value).decode()})
        except pa.ArrowException as error:
            raise FormatError(f"can't write {path}: {error}") from error

    def fields(self, features: Features) -> list[pa.Field]:
        """Return the columns before box and geometry."""
        return list(features.columns)

    def values(self, features: Features, crs: str) -> Callable[[pa.Table, Objects], dict[str, Any]]:
        """Return what gives the values of the columns of `fields` for some rows and their geometries."""
        return lambda table, _: {name: table[name] for name in table.column_names}

    def said(self, features: Features) -> Mapping[str, Any]:
        """Return what else the metadata of the file say, by key."""
        return {}

    def open(self, path: Path) -> Own | Sequence[Rows]:
        """Return what a GeoParquet file holds; see `MapFormat.open`."""
        try:
            with pq.ParquetFile(path) as file:
                metadata = file.metadata.metadata or {}
                names = file.schema_arrow.names
            column, crs = _geometry(metadata, names, path)
            if b"hyla" not in metadata:
                return [_rows(pq.read_table(path), column, crs)]
            about = msgspec.json.decode(metadata[b"hyla"], type=dict[str, Any])
            items, item, crs = about["items"], about["columns"]["own"]["item"], about["crs"]
            groups, counts = _groups(path, item)
        except (pa.ArrowException, OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(f"{path} is no GeoParquet file, or a damaged one: {error}", HINT) from error
        except (KeyError, TypeError) as error:
            raise FormatError(f"{path} is damaged: its metadata `hyla` lack {error}") from error

        def fetch(wanted: Sequence[str]) -> Iterator[Rows]:
            numbers = sorted({number for one in wanted for number in groups.get(one, ())})
            try:
                with pq.ParquetFile(path) as file:
                    for number in numbers:
                        table = file.read_row_group(number)
                        yield _rows(table.filter(pc.is_in(table[item], pa.array(wanted))), column, crs)
            except (pa.ArrowException, OSError) as error:
                raise FormatError(f"{path} is damaged: {error}") from error

        return Own(about, items, fetch, counts)


def _column(crs: str, bounds: Any, types: set[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"encoding": "WKB", "geometry_types": sorted(types), "crs": crs_of(crs).to_json_dict()}
    out |= {"orientation": "counterclockwise", "edges": "planar", "covering": COVERING}
    return out | ({"bbox": bounds.tolist()} if np.isfinite(bounds).all() else {})


def _outward(boxes: Any) -> Any:
    """Return boxes (n, 4) in single precision that hold those in double precision."""
    small = boxes.astype(np.float32)
    low, high = np.nextafter(small, np.float32(-np.inf)), np.nextafter(small, np.float32(np.inf))
    return np.where(
        np.array([True, True, False, False]), np.where(small > boxes, low, small), np.where(small < boxes, high, small)
    )


def _geometry(metadata: Mapping[bytes, bytes], names: Sequence[str], path: Path) -> tuple[str, str]:
    """Return the geometry column of a file and its CRS."""
    if b"geo" not in metadata:
        raise FormatError(f"{path} is a Parquet file without geometry", HINT)
    try:
        geo = msgspec.json.decode(metadata[b"geo"])
        column = geo["primary_column"]
        about = geo["columns"][column]
        encoding, crs = about["encoding"], about.get("crs", LONLAT)
    except (KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: its metadata `geo` lack {error}") from error
    if encoding != "WKB" or column not in names:
        raise FormatError(f"{path} holds geometry as {encoding}", "write it with the encoding WKB")
    if crs is None:
        raise FormatError(f"{path} has no CRS", "write it with the one it was drawn in")
    return column, crs if isinstance(crs, str) else crs_of(msgspec.json.encode(crs).decode()).to_wkt()


def _groups(path: Path, item: str) -> tuple[dict[str, list[int]], Counter[str]]:
    """Return the row groups that hold rows of each item, and how many rows it has; "" for rows that name none."""
    found: dict[str, list[int]] = {}
    counts: Counter[str] = Counter()
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            for one in file.read_row_group(number, [item])[item].value_counts().to_pylist():
                name = str(one["values"] or "")
                found.setdefault(name, []).append(number)
                counts[name] += one["counts"]
    return found, counts


def _rows(table: pa.Table, column: str, crs: str) -> Rows:
    shapes: Objects = shapely.from_wkb(table[column].to_numpy()) if len(table) else np.zeros(0, dtype=object)
    rest = [name for name in table.column_names if name != column and not pa.types.is_nested(table[name].type)]
    return Rows(table.select(rest).to_pylist(), shapes, crs)
