"""Small files of parcels, in every format that is read."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely

from hyla.frame import MapFrame

CRS = "EPSG:32633"
FRAME = MapFrame((10, 0, 500_000, 0, -10, 5_600_000), CRS)  # 10 m pixels, whose first corner is at 500000, 5600000
SIZE = (60, 80)  # (height, width) in pixels of a raster that holds what `parcels` draws
DRIVERS = {
    **{".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".geojson": "GeoJSON", ".json": "GeoJSON", ".fgb": "FlatGeobuf"},
    ".gdb": "OpenFileGDB",
}
KINDS = (".gpkg", ".shp", ".geojson", ".fgb", ".parquet", ".gdb", ".shp.zip", ".gpkg.zip", ".gdb.zip")


def square(column: float, row: float, side: float = 10, height: float | None = None, frame: MapFrame = FRAME) -> Any:
    """Return a rectangle given in pixels, as a polygon on the map."""
    down = side if height is None else height
    corners = [[column, row], [column + side, row], [column + side, row + down], [column, row + down]]
    return shapely.Polygon(frame.to_world(corners))


def table(shapes: Sequence[Any], crs: str | None = CRS, **columns: Sequence[Any]) -> gpd.GeoDataFrame:
    """Return geometries with attributes."""
    return gpd.GeoDataFrame(columns, geometry=list(shapes), crs=crs)


def parcels(rows: int = 2, columns: int = 3, side: int = 20, crs: str = CRS) -> gpd.GeoDataFrame:
    """Return a block of squares of `side` pixels (20: 4 ha) that begins at pixel (5, 5), with id, crop, crop before and area."""
    shapes = [square(5 + side * column, 5 + side * row, side) for row in range(rows) for column in range(columns)]
    count = len(shapes)
    crops = [("wheat", "rapeseed", "sugar beet")[n % 3] for n in range(count)]
    before = [("maize", None)[n % 2] for n in range(count)]
    area = [round(shape.area / 1e4, 4) for shape in shapes]
    found = table(shapes, id=[f"P{n + 1}" for n in range(count)], crop=crops, prev_crop=before, area_ha=area)
    return found.to_crs(crs)


def save(found: gpd.GeoDataFrame, folder: Path, kind: str = ".gpkg", stem: str = "fields", layer: str | None = None) -> Path:
    """Write a table as `kind`, one of KINDS, into `folder` and return the path of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind.endswith(".zip"):
        inner = save(found, folder / "unpacked", kind[:-4], stem)
        path = folder / f"{stem}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted((folder / "unpacked").rglob("*")):
                archive.write(file, f"data/{file.relative_to(folder / 'unpacked').as_posix()}")
        shutil.rmtree(inner.parent)
        return path
    path = folder / f"{stem}{kind}"
    if kind == ".parquet":
        found.to_parquet(path, write_covering_bbox=True, index=False)
    elif layer:
        found.to_file(path, driver=DRIVERS[kind], layer=layer, engine="pyogrio")
    else:
        found.to_file(path, driver=DRIVERS[kind], engine="pyogrio")
    return path
