"""Open files of polygons, and read only what lies in a box."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from hyla.errors import ConfigError, HylaError
from hyla.types import Ints, Objects

# Suffix: how the file begins, and the GDAL driver that is to read it, named where its content might be taken for another's.
KINDS = {
    ".gpkg": (b"SQLite format 3\x00", "GPKG:"),
    ".shp": (b"\x00\x00\x27\x0a", ""),
    ".fgb": (b"fgb\x03", ""),
    ".geojson": (b"", "GeoJSON:"),
    ".json": (b"", "GeoJSON:"),
    ".parquet": (b"PAR1", ""),
    ".geoparquet": (b"PAR1", ""),
}
PARQUET = (".parquet", ".geoparquet")
MOST_BYTES = 16 << 30  # that a zip may hold when unpacked
MOST_RATIO = 200  # of its own size that a zip may hold; those of a geodatabase's empty tables are high
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ParcelFile:
    """Hold what is known of a file of polygons before its rows are read.

    Args:
        path: of the file.
        target: what GDAL opens, or the path of a GeoParquet file.
        layer: its name, or None for GeoParquet.
        crs: as pyproj takes it.
        columns: names of the attributes.
        polygons: False where the file says that it holds other geometries.
    """

    path: Path
    target: str
    layer: str | None
    crs: Any
    columns: tuple[str, ...]
    polygons: bool = True


@dataclass
class Rows:
    """Hold rows of a file: geometries, attributes by column, and the number of each row in the file."""

    geometry: Objects
    columns: dict[str, npt.NDArray[Any]]
    number: Ints


def describe(path: str | Path, layer: str | None = None) -> ParcelFile:
    """Return what the file says of itself.

    Raises:
        ConfigError: for a file that can't be read, is no such file, has no CRS, or has several layers and none is named.
    """
    path = Path(path)
    if not path.exists():
        raise ConfigError(f"there is no file {path}", "name the file of the fields: loader.fields=parcels.gpkg")
    suffix = path.suffix.lower()
    if suffix in PARQUET:
        _check_start(path.name, suffix, _start(path))
        return _describe_parquet(path)
    target = _in_zip(path) if suffix == ".zip" else _target(path)
    import pyogrio

    with _gdal(path):
        layers = {str(name): str(kind) if kind else "" for name, kind in pyogrio.list_layers(target)}
        name = _choose(path, layers, layer)
        info = pyogrio.read_info(target, layer=name)
    if not info["crs"]:
        hint = "write it into the file, as with: ogr2ogr -a_srs EPSG:25832 out.gpkg in.shp"
        raise ConfigError(f"{path.name} does not say which CRS its coordinates are in", hint)
    return ParcelFile(path, target, name, info["crs"], tuple(map(str, info["fields"])), _polygonal(layers[name]))


def rows(file: ParcelFile, columns: Sequence[str], boxes: Sequence[Box] | None) -> Iterator[Rows]:
    """Yield rows of `file` that meet one of `boxes` (in its CRS), or all of them for None, in parts; a row may come twice.

    Raises:
        ConfigError: for a file that can't be read.
    """
    if file.layer is None:
        yield from _rows_of_parquet(file, columns, boxes)
        return
    import pyogrio

    for box in boxes if boxes is not None else [None]:
        with _gdal(file.path):
            table = pyogrio.read_dataframe(
                file.target,
                layer=file.layer,
                columns=list(columns),
                bbox=box,
                fid_as_index=True,
                force_2d=True,
                on_invalid="ignore",
            )
        geometry = table.geometry.to_numpy() if "geometry" in table else np.full(len(table), None, object)
        found = {name: table[name].to_numpy(dtype=object) for name in columns}
        yield Rows(np.asarray(geometry, dtype=object), found, np.asarray(table.index, dtype=np.int64))


@contextmanager
def _gdal(path: Path) -> Iterator[None]:
    """Turn failures to read `path` into ConfigError, and drop GDAL's warnings of single geometries: those are counted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except HylaError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # pyogrio's errors are RuntimeErrors
        raise ConfigError(f"{path.name} can't be read: {error}", "open it in a GIS and save it anew") from error


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise ConfigError(f"{path.name} can't be read: {error.strerror or error}", "name the file of the fields") from error


def _check_start(name: str, suffix: str, start: bytes) -> None:
    # GDAL looks at the content and not at the name: what is called a GeoPackage might make it fetch from elsewhere.
    if not start.startswith(KINDS[suffix][0]):
        raise ConfigError(f"{name} is not what its name says: it does not begin as a {suffix} file does", "save it anew")


def _target(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".gdb" and path.is_dir():
        return str(path)
    if suffix not in KINDS:
        raise ConfigError(f"{path.name} is no file of fields that is known", "save it as a GeoPackage", [*KINDS, ".gdb", ".zip"])
    _check_start(path.name, suffix, _start(path))
    return KINDS[suffix][1] + str(path)


def _in_zip(path: Path) -> str:
    """Return what GDAL opens of a zip, which must hold one file of polygons; nothing is unpacked to the disk."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            _check_zip(path, entries)
            inner: dict[str, str] = {}
            for entry in entries:
                parts = PurePosixPath(entry.filename).parts
                gdb = [n for n, part in enumerate(parts) if part.lower().endswith(".gdb")]
                suffix = PurePosixPath(entry.filename).suffix.lower()
                if gdb:
                    inner["/".join(parts[: gdb[0] + 1])] = ""
                elif suffix in KINDS and suffix not in PARQUET and not entry.is_dir() and not parts[0].startswith("__MACOSX"):
                    with archive.open(entry) as file:
                        _check_start(entry.filename, suffix, file.read(16))
                    inner[entry.filename] = KINDS[suffix][1]
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ConfigError(f"{path.name} can't be read: {error}", "pack it anew, without a password") from error
    if len(inner) != 1:
        said = f"holds {len(inner)} files of fields" if inner else "holds no file of fields"
        raise ConfigError(f"{path.name} {said}", "put one into it, or name the unpacked file", inner)
    name, driver = next(iter(inner.items()))
    return f"{driver}/vsizip/{{{path.resolve()}}}/{name}"


def _check_zip(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    for entry in entries:
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
            raise ConfigError(f"{path.name} holds {entry.filename!r}, which points out of it", "do not use files of this source")
    size = sum(entry.file_size for entry in entries)
    if size > MOST_BYTES or size > MOST_RATIO * max(path.stat().st_size, 1 << 20):
        raise ConfigError(f"{path.name} would hold {size / 1e9:.1f} GB when unpacked", "unpack it and name the file in it")


def _polygonal(kind: str) -> bool:
    return not kind or any(word in kind for word in ("Polygon", "Surface", "Unknown", "Collection", "TIN", "Triangle"))


def _choose(path: Path, layers: dict[str, str], layer: str | None) -> str:
    if layer is not None:
        if layer not in layers:
            raise ConfigError(f"{path.name} has no layer {layer!r}", "name one that it has: loader.layer=...", layers)
        return layer
    drawn = [name for name, kind in layers.items() if kind]
    chosen = [name for name in drawn if _polygonal(layers[name])] or drawn
    named = [name for name in chosen if name.lower() in ("fields", "parcels")] or chosen
    if len(named) != 1:
        said = "has several layers of polygons" if named else "has no layer of polygons"
        raise ConfigError(f"{path.name} {said}", "name one: loader.layer=..." if named else "name a file of polygons", named)
    return named[0]


def _describe_parquet(path: Path) -> ParcelFile:
    geo, column = _geo(path)
    said = geo["columns"][column]
    if "crs" in said and said["crs"] is None:
        raise ConfigError(f"{path.name} says that the CRS of its coordinates is not known", "write it into the file")
    from pyproj import CRS

    crs = CRS.from_user_input(said["crs"]) if "crs" in said else CRS.from_user_input("OGC:CRS84")
    kinds = said.get("geometry_types", [])
    import pyarrow.parquet as pq

    columns = tuple(name for name in pq.read_schema(path).names if name != column)
    return ParcelFile(path, str(path), None, crs, columns, not kinds or any(_polygonal(kind) for kind in kinds))


def _geo(path: Path) -> tuple[dict[str, Any], str]:
    """Return the GeoParquet metadata, and the name of the geometry column."""
    import pyarrow.parquet as pq

    try:
        geo = json.loads((pq.read_schema(path).metadata or {})[b"geo"])
        return geo, next(name for name in geo["columns"] if name == geo["primary_column"])
    except OSError as error:
        raise ConfigError(f"{path.name} can't be read: {error}", "write it anew") from error
    except (KeyError, ValueError, TypeError, StopIteration) as error:  # pyarrow's own errors are ValueErrors
        raise ConfigError(f"{path.name} is no GeoParquet: it does not say where its geometries are", "write it anew") from error


def _rows_of_parquet(file: ParcelFile, columns: Sequence[str], boxes: Sequence[Box] | None) -> Iterator[Rows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    geo, column = _geo(file.path)
    said = geo["columns"][column]
    try:
        if said.get("encoding", "WKB") != "WKB":  # coordinates as nested lists: geopandas knows these
            import geopandas as gpd

            table = gpd.read_parquet(file.path, columns=[column, *columns])
            found = {name: table[name].to_numpy(dtype=object) for name in columns}
            yield Rows(shapely.force_2d(table[column].to_numpy()), found, np.arange(len(table)))
            return
        with pq.ParquetFile(file.path) as parquet:
            begun = 0
            for group in range(parquet.num_row_groups):
                count = parquet.metadata.row_group(group).num_rows
                if _meets(parquet.metadata.row_group(group), said.get("covering", {}).get("bbox", {}), boxes):
                    at = begun
                    for batch in parquet.iter_batches(16384, row_groups=[group], columns=[column, *columns]):
                        geometry = shapely.from_wkb(np.asarray(batch.column(column).to_pylist(), object), on_invalid="ignore")
                        geometry = np.asarray(shapely.force_2d(geometry), dtype=object)
                        near = _near(geometry, boxes)
                        found = {c: np.asarray(batch.column(c).to_pandas().to_numpy(dtype=object))[near] for c in columns}
                        yield Rows(geometry[near], found, np.arange(at, at + len(geometry))[near])
                        at += len(geometry)
                begun += count
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ConfigError(f"{file.path.name} can't be read: {error}", "write it anew") from error


def _near(geometry: Objects, boxes: Sequence[Box] | None) -> npt.NDArray[np.bool_]:
    if boxes is None:
        return np.ones(len(geometry), np.bool_)
    x0, y0, x1, y1 = shapely.bounds(geometry).T
    known = np.isnan(x0)  # what is empty is handed on, so that it is counted
    return np.asarray(known | np.any([(x0 <= c) & (x1 >= a) & (y0 <= d) & (y1 >= b) for a, b, c, d in boxes], axis=0))


def _meets(group: Any, covering: dict[str, list[str]], boxes: Sequence[Box] | None) -> bool:
    """Tell whether a row group may hold something in a box: by the statistics of the columns that cover its geometries."""
    if boxes is None or not covering:
        return True
    of = {group.column(n).path_in_schema: group.column(n).statistics for n in range(group.num_columns)}
    known: list[Any] = [of.get(".".join(covering.get(key, []))) for key in ("xmin", "ymin", "xmax", "ymax")]
    if any(one is None or not one.has_min_max for one in known):
        return True
    x0, y0, x1, y1 = known[0].min, known[1].min, known[2].max, known[3].max
    return any(x0 <= c and x1 >= a and y0 <= d and y1 >= b for a, b, c, d in boxes)
