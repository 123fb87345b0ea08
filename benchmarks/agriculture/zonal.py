"""Time zonal statistics against exactextract's own call and rasterstats, side by side in one run.

    python benchmarks/agriculture/zonal.py [--fields 4000] [--rounds 5] [--small]

A raster of 5490 x 5490 float32 (a Sentinel-2 tile at 20 m), tiled and deflated, with 2 % of its pixels missing, and turned
rectangles with 5 to 40 corners as fields, of 1 to 60 ha, are made in a temporary folder. Every arm ends with mean, stdev, min,
max and covered pixels of each field, from the array in memory or from the file, with the polygons read before; arms take turns in
each round, in one process and one thread. The ratio to exactextract is taken within each round: its median and range are printed.
exactextract has two strategies; the faster one in each round is what the ratio is to. Ours must give its values to 1e-6;
rasterstats counts a pixel wholly or not at all, so its means may be off by more where a field is small: the median is printed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import rasterstats
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from rasterio.transform import Affine
from scipy import ndimage

from hyla.frame import MapFrame
from hyla_agriculture import fields as parcels
from hyla_agriculture.raster import RasterScene
from hyla_agriculture.sources import BandFile, SceneFiles
from hyla_agriculture.zonal import zonal

OPS = ["mean", "stdev", "min", "max", "count"]
METRES = 20.0
CRS = "EPSG:32633"
Values = dict[str, np.ndarray]


def draw(folder: Path, side: int, count: int) -> tuple[Path, Path]:
    """Write the raster and the fields, and return their paths."""
    rng = np.random.default_rng(7)
    values = ndimage.zoom(rng.normal(0.5, 0.2, (side // 30 + 2,) * 2), 30, order=1)[:side, :side].astype(np.float32)
    values += rng.normal(0, 0.03, values.shape).astype(np.float32)
    values[ndimage.zoom(rng.random((side // 90 + 2,) * 2) < 0.02, 90, order=0)[:side, :side]] = np.nan
    raster = folder / "raster.tif"
    place = Affine(METRES, 0, 300_000, 0, -METRES, 5_400_000)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "float32", "crs": CRS, "transform": place}
    tiles = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "predictor": 3, "nodata": np.nan}
    with rasterio.open(raster, "w", **profile, **tiles) as out:
        out.write(values, 1)
    shapes = []
    for _ in range(count):
        width, height = np.sqrt(rng.uniform(1, 60) * 1e4) * np.array([1, 1]) * rng.uniform(0.5, 1.6, 2)
        box = shapely.segmentize(shapely.box(0, 0, width, height), (width + height) / rng.uniform(2, 20))
        turned = shapely.affinity.rotate(box, rng.uniform(0, 90))
        x, y = rng.uniform(900, side * METRES - 1800, 2)
        shapes.append(shapely.affinity.translate(turned, 300_000 + x, 5_400_000 - side * METRES + y))
    path = folder / "fields.gpkg"
    gpd.GeoDataFrame({"id": np.arange(count).astype(str)}, geometry=shapes, crs=CRS).to_file(path)
    return raster, path


def arms(raster: Path, path: Path) -> dict[str, Callable[[], Values]]:
    """Return what is timed, by name."""
    table = gpd.read_file(path)
    with rasterio.open(raster) as file:
        array, place = file.read(1), file.transform
    height, width = array.shape
    frame = MapFrame(tuple(place)[:6], CRS)
    shapes, _ = parcels.read(path, frame, (height, width))
    if list(shapes.ids) != table["id"].tolist():
        raise SystemExit("the fields came in another order")
    scene = RasterScene(SceneFiles("raster.tif", "raster", bands=(BandFile("ndvi", str(raster)),)), raster.parent)
    extent = (place.c, place.f - height * METRES, place.c + width * METRES, place.f)

    def theirs(source: object, strategy: str) -> Callable[[], Values]:
        def call() -> Values:
            found = exact_extract(source, table, OPS, strategy=strategy, output="pandas")
            return {op: found[op].to_numpy() for op in OPS}

        return call

    def stats(source: object) -> Values:
        words = {"stdev": "std"}
        asked = [words.get(op, op) for op in OPS]
        found = rasterstats.zonal_stats(table, source, affine=place, stats=asked, nodata=np.nan)
        return {op: np.array([one[words.get(op, op)] for one in found], dtype=float) for op in OPS}

    def inner(source: object) -> Callable[[], Values]:
        return lambda: {op: value[:, 0] for op, value in zonal(source, shapes, OPS).items()}

    memory = NumPyRasterSource(array, *extent)
    return {
        "memory: hyla": inner(array),
        "memory: exactextract by feature": theirs(memory, "feature-sequential"),
        "memory: exactextract by raster": theirs(memory, "raster-sequential"),
        "memory: rasterstats": lambda: stats(array),
        "file: hyla": inner(scene),
        "file: exactextract by feature": theirs(str(raster), "feature-sequential"),
        "file: exactextract by raster": theirs(str(raster), "raster-sequential"),
        "file: rasterstats": lambda: stats(str(raster)),
    }


def main() -> None:
    """Run every arm in turns, and print times, ratios and differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a raster of 1098 x 1098 with 300 fields, for a quick try")
    chosen = parser.parse_args()
    side, count = (1098, 300) if chosen.small else (5490, chosen.fields)
    warnings.filterwarnings("ignore")  # of the other libraries
    with tempfile.TemporaryDirectory() as folder:
        timed = arms(*draw(Path(folder), side, count))
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        values: dict[str, Values] = {}
        names = list(timed)
        for number in range(chosen.rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                begun = time.perf_counter()
                values[name] = timed[name]()
                seconds[name].append(time.perf_counter() - begun)
    print(f"{side} x {side} float32, {count} fields, {', '.join(OPS)}; {chosen.rounds} rounds; seconds: median (least to most)")
    for name, taken in seconds.items():
        print(f"  {name:34} {np.median(taken):8.3f} ({min(taken):.3f} to {max(taken):.3f})")
    for where in ("memory", "file"):
        mine = np.array(seconds[f"{where}: hyla"])
        best = np.minimum(seconds[f"{where}: exactextract by feature"], seconds[f"{where}: exactextract by raster"])
        slow = np.array(seconds[f"{where}: rasterstats"])
        for other, ratio in {"exactextract": mine / best, "rasterstats": slow / mine}.items():
            said = "hyla / exactextract" if other == "exactextract" else "rasterstats / hyla"
            print(f"  {where}: {said} {np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})")
        right = values[f"{where}: exactextract by feature"]
        got, rough = values[f"{where}: hyla"], values[f"{where}: rasterstats"]
        far = max(float(np.nanmax(np.abs(got[op] - right[op]) / np.maximum(np.abs(right[op]), 1))) for op in OPS)
        same = all(np.array_equal(np.isnan(got[op]), np.isnan(right[op])) for op in OPS)
        print(f"  {where}: greatest difference from exactextract {far:.1e}, unknown in the same fields: {same};", end=" ")
        print(f"mean, median difference from rasterstats {np.nanmedian(np.abs(got['mean'] - rough['mean'])):.1e}")


if __name__ == "__main__":
    main()
