"""GeoPackage 1.x (OGC 12-128), in and out: layers `polygons`, `points` and `lines`, coloured in QGIS as the schema says.

Two tables without geometry bring records back: `hyla_items` has a row per item with its id, uri, size, frame and the rest, and
`hyla_about` says which column holds what.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError
from pyogrio.raw import read_arrow, write_arrow

from hyla.errors import FormatError
from hyla.types import Objects
from hyla_agriculture.mapformat import MapFormat
from hyla_agriculture.placing import Own, Rows
from hyla_agriculture.qgis_styles import table
from hyla_agriculture.vectors import Features

if TYPE_CHECKING:
    from hyla.pictures import Pictures

LAYERS = {"polygons": "MultiPolygon", "points": "Point", "lines": "MultiLineString"}
ITEMS, ABOUT = "hyla_items", "hyla_about"
APPLICATION = (0x47504B47, 0x47503130, 0x47503131)  # "GPKG", and "GP10" and "GP11" of the first versions
HURRY = "OGR_SQLITE_SYNCHRONOUS"
WHEN = "2000-01-01T00:00:00.000Z"  # in place of the time of writing, so that the same labels give the same file
FAILED = (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError, sqlite3.Error)
DAMAGED = "{} is no GeoPackage, or a damaged one: {}"


class GeoPackage(MapFormat):
    """Write and read GeoPackage; see `MapFormat` for the settings.

    Args:
        file: name of the file in the folder that is written.
        crs: to write in.
        unknown: `error` or `skip`.
        class_column: that holds the class in a file of another maker.
        date_column: that holds the date in a file of another maker.
        layer: to read of a file of another maker; empty for all that have the class column.
        pictures: the items that rows of another maker lie on.
    """

    name = "geopackage"
    patterns = ("labels.gpkg", "*.gpkg")

    def __init__(
        self,
        file: str = "labels.gpkg",
        crs: str = "",
        unknown: str = "error",
        class_column: str = "class",
        date_column: str = "date",
        layer: str = "",
        pictures: Pictures | None = None,
    ) -> None:
        super().__init__(file, crs, unknown, class_column, date_column, pictures)
        self.layer = layer

    def write(self, features: Features, path: Path) -> None:
        """Write the layers, the items and the styles; see `MapFormat.write`."""
        crs = features.crs(self.crs)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _unhurried(), tempfile.TemporaryDirectory(dir=path.parent, prefix=".gpkg-") as folder:
                part = Path(folder) / "labels.gpkg"
                written: set[str] = set()
                empty = (features.columns.empty_table(), np.zeros(0, dtype=object))
                _append(part, "polygons", *empty, crs, written)
                for rows, shapes in features.tables(crs):
                    for layer, here in _by_layer(shapes):
                        if here.any():
                            _append(part, layer, rows.filter(pa.array(here)), shapes[here], crs, written)
                about = pd.DataFrame({"about": [msgspec.json.encode(features.about(crs)).decode()]})
                pyogrio.write_dataframe(about, part, layer=ABOUT, driver="GPKG")
                pyogrio.write_dataframe(_items(features), part, layer=ITEMS, driver="GPKG")
                styles = pd.DataFrame(table(features.schema, sorted(written), features.layout.own["class"], pd.Timestamp(WHEN)))
                pyogrio.write_dataframe(styles, part, layer="layer_styles", driver="GPKG", layer_options={"FID": "id"})
                _finish(part, sorted(written), features.layout.own["item"])
                part.replace(path)
        except (*FAILED, OSError) as error:
            raise FormatError(f"can't write {path}: {error}", "choose a folder that can be written and has room") from error

    def open(self, path: Path) -> Own | Sequence[Rows]:
        """Return what a GeoPackage holds; see `MapFormat.open`."""
        tables = _tables(path)
        try:
            if ITEMS not in tables or ABOUT not in tables:
                return _foreign(path, tables, self.layer, self.class_column)
            about = msgspec.json.decode(read_arrow(path, layer=ABOUT)[1]["about"][0].as_py() or "null")
            items = [_item(row) for row in read_arrow(path, layer=ITEMS)[1].to_pylist()]
            column, crs = _own_columns(about, path)
            layers = [layer for layer in LAYERS if layer in tables]
            counts = _counts(path, layers, column)
        except (*FAILED, KeyError, IndexError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise FormatError(DAMAGED.format(path, error)) from error

        def fetch(ids: Sequence[str]) -> Iterator[Rows]:
            quoted = ", ".join("'" + one.replace("'", "''") + "'" for one in ids)
            for layer in layers:
                try:
                    yield _rows(path, layer, crs, where=f'"{column}" IN ({quoted})')
                except FAILED as error:
                    raise FormatError(DAMAGED.format(path, error)) from error

        return Own(about, items, fetch, counts)


@contextmanager
def _unhurried() -> Iterator[None]:
    """Let SQLite leave it to the system when bytes reach the disk: the whole file is synchronised before it takes its name."""
    before = pyogrio.get_gdal_config_option(HURRY)
    pyogrio.set_gdal_config_options({HURRY: "OFF"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({HURRY: before})


def _by_layer(shapes: Objects) -> Iterator[tuple[str, Any]]:
    types = shapely.get_type_id(shapes)
    points, lines = types == shapely.GeometryType.POINT, np.isin(types, (1, 5))
    yield from (("polygons", ~(points | lines)), ("points", points), ("lines", lines))


def _append(path: Path, layer: str, table: pa.Table, shapes: Objects, crs: str, written: set[str]) -> None:
    """Add rows to a layer, which is made if it is not there."""
    for name in table.column_names:
        if pa.types.is_string(table[name].type) and pc.any(pc.match_substring(table[name], "\0")).as_py():
            raise FormatError(f"a value of column {name!r} has a NUL in it, which SQLite can't hold", "take it out")
    kind = LAYERS[layer]
    if kind.startswith("Multi"):
        parts, owner = shapely.get_parts(shapes, return_index=True)
        make = shapely.multipolygons if kind == "MultiPolygon" else shapely.multilinestrings
        shapes = np.asarray(make(parts, indices=owner)) if len(parts) else shapes
    geometry = pa.array(shapely.to_wkb(shapes) if len(shapes) else [], pa.binary())
    about = {b"ARROW:extension:name": b"ogc.wkb"}
    whole = table.append_column(pa.field("geom", pa.binary(), metadata=about), geometry)
    write_arrow(
        whole,
        path,
        layer=layer,
        driver="GPKG",
        geometry_name="geom",
        geometry_type=kind,
        crs=crs,
        append=layer in written,
    )
    written.add(layer)


def _items(features: Features) -> pd.DataFrame:
    rows = []
    for one in features.items:
        rest = {name: value for name, value in one.items() if name not in ("size", "frame")}
        item = one["item"]
        row = {"id": item["id"], "uri": item["uri"], "size": one["size"], "frame": one["frame"], "record": rest}
        rows.append({name: v if isinstance(v, str) else msgspec.json.encode(v).decode() for name, v in row.items()})
    return pd.DataFrame(rows, columns=["id", "uri", "size", "frame", "record"], dtype="object")


def _item(row: dict[str, Any]) -> dict[str, Any]:
    size, frame, record = (msgspec.json.decode(row.get(name) or "null") for name in ("size", "frame", "record"))
    return {**(record if isinstance(record, dict) else {}), "size": size, "frame": frame}


def _finish(path: Path, layers: Sequence[str], item: str) -> None:
    """Index the rows by item, and put a constant in place of the time of writing."""
    with closing(sqlite3.connect(path)) as base, base:
        for layer in layers:
            base.execute(f'CREATE INDEX "{layer}_item" ON "{layer}" ("{item}")')
        base.execute("UPDATE gpkg_contents SET last_change = ?", (WHEN,))
    with path.open("rb+") as file:  # and in place of the number of writes, which stands twice in the head of the file
        for place in (24, 92):
            file.seek(place)
            file.write((1).to_bytes(4, "big"))
        file.flush()
        os.fsync(file.fileno())


def _tables(path: Path) -> dict[str, str]:
    """Return the names of the tables of a GeoPackage and what they hold; raise FormatError for any other file."""
    try:
        with path.open("rb") as file:
            head = file.read(100)
        if not head.startswith(b"SQLite format 3\0") or int.from_bytes(head[68:72], "big") not in APPLICATION:
            raise FormatError(f"{path} is no GeoPackage", "name a .gpkg file, or another format")
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
            return dict(base.execute("SELECT table_name, data_type FROM gpkg_contents").fetchall())
    except OSError as error:
        raise FormatError(f"{path} can't be read: {error.strerror}") from error
    except sqlite3.Error as error:
        raise FormatError(DAMAGED.format(path, error)) from error


def _own_columns(about: Any, path: Path) -> tuple[str, str]:
    try:
        return str(about["columns"]["own"]["item"]), str(about["crs"])
    except (KeyError, TypeError) as error:
        raise FormatError(f"{path} has a table {ITEMS} but not what Hyla says of its columns", "export it again") from error


def _counts(path: Path, layers: Sequence[str], column: str) -> Counter[str]:
    name = column.replace('"', '""')
    counts: Counter[str] = Counter()
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as base:
        for layer in layers:
            query = f'SELECT coalesce("{name}", \'\'), count(*) FROM "{layer}" GROUP BY 1'  # noqa: S608
            counts.update({str(item): int(n) for item, n in base.execute(query)})
    return counts


def _foreign(path: Path, tables: dict[str, str], layer: str, column: str) -> list[Rows]:
    spatial = [name for name, holds in tables.items() if holds == "features"]
    if layer and layer not in spatial:
        raise FormatError(f"{path} has no layer {layer!r}", choices=spatial)
    columns = {name: pyogrio.read_info(path, layer=name) for name in ([layer] if layer else spatial)}
    chosen = [name for name, info in columns.items() if column in info["fields"]]
    if not chosen:
        every = {field for info in columns.values() for field in info["fields"]}
        hint = "name the column that holds the class: class_column=NAME"
        raise FormatError(f"no layer of {path} has a column {column!r}", hint, every)
    if lost := [name for name in chosen if not columns[name]["crs"]]:
        raise FormatError(f"layer {lost[0]!r} of {path} has no CRS", "give it the one it was drawn in")
    return [_rows(path, name, columns[name]["crs"]) for name in chosen]


def _rows(path: Path, layer: str, crs: str, where: str | None = None) -> Rows:
    about, table = read_arrow(path, layer=layer, where=where)
    name = about["geometry_name"] or "wkb_geometry"
    shapes: Objects = shapely.from_wkb(table[name].to_numpy()) if len(table) else np.zeros(0, dtype=object)
    return Rows(table.drop_columns([name]).to_pylist(), shapes, crs)
