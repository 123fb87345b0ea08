"""Time the run of indices and zones over a whole scene against reading its blocks with rasterio alone, in alternation.

    python benchmarks/agriculture/scene.py [--small] [--fields 5000] [--cover 1] [--rounds 3] [--threads N] [--scenes 10]

A scene is made once in a temporary folder (--keep DIR: in that one): a COG of 10,980 x 10,980 pixels of 10 m, six bands of
uint16 in tiles of 512, deflate with predictor 2, as reflectance x 10,000 + 1000. Fields are even but for texture of about 100 m
(3 %), and each twentieth has a patch under stress; with the noise of a sensor (sd 0.002) a scene compresses to about half, as
real ones do, and the share is printed. Parcels are given as a GeoPackage: `--fields` of 3 to 12 hectares spread over all of it,
so that every block has some; or, with `--cover 1`, the whole scene cut into that many, so that every pixel is in a field.

`rasterio` reads every block, all bands, on the threads, with one handle each, and drops it. `hyla` is the model `zones`: it reads
the scene, computes six indices and returns labels. What it takes before that to open the scene and to read the parcels, which
depends on the parcels only, is in the figures `with parcels`. Each run has a process of its own, in which a tiny scene was run
before, so that imports are done and the model is built. Seconds are those of the clock, CPU those of all threads; ratios are of
the medians, with the range of all pairs. Memory is the highest resident size of a process that ran one scene, and of one that ran
several dates of a group, with all that is remembered of them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np

BANDS = ("blue", "green", "red", "rededge1", "nir", "swir16")
SOIL = np.array([0.08, 0.11, 0.14, 0.17, 0.23, 0.30])
LUSH = np.array([0.025, 0.06, 0.03, 0.11, 0.45, 0.18])
CRS, EAST, NORTH, PIXEL = "EPSG:32633", 399_960.0, 5_700_000.0, 10.0
TINY = 600
BEFORE = [0.0, 0.0]
NAMES = {"seconds": "seconds", "cpu": "CPU", "all_seconds": "seconds with parcels", "all_cpu": "CPU with parcels"}
NOISE, ILL = 20, 0.05  # in samples, sd; share of the fields with a patch under stress


def make(folder: Path, size: int, fields: int, cover: bool, ill: float) -> Path:
    """Write a scene and its parcels, a share of which is ill, into `folder`, and return it."""
    import geopandas
    import rasterio
    from rasterio.features import rasterize
    from rasterio.shutil import copy
    from rasterio.transform import from_origin
    from rasterio.windows import Window
    from scipy.ndimage import zoom

    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    transform = from_origin(EAST, NORTH, PIXEL, PIXEL)
    shapes = list(_tiles(size, fields) if cover else _parcels(size, fields, rng))
    marks = [(shape, n + 1) for n, shape in enumerate(shapes)]
    cover_of = np.concatenate([[0.3], np.where(rng.uniform(size=len(shapes)) < 0.2, 0.05, rng.uniform(0.75, 0.9, len(shapes)))])
    sick = [shape.representative_point().buffer(60) for shape in shapes if rng.uniform() < ill]
    plain = folder / "plain.tif"
    profile = {"driver": "GTiff", "height": size, "width": size, "count": 6, "dtype": "uint16", "nodata": 0, "crs": CRS}
    tiling = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel", "transform": transform}
    with rasterio.open(plain, "w", **profile, **tiling) as file:
        file.descriptions = BANDS
        file.scales, file.offsets = [1e-4] * 6, [-0.1] * 6
        for row in range(0, size, 512):
            shape = min(512, size - row), size
            here = from_origin(EAST, NORTH - row * PIXEL, PIXEL, PIXEL)
            leaves = cover_of[rasterize(marks, shape, transform=here, dtype=np.int32)]
            if sick:
                leaves *= 1 - 0.6 * rasterize(sick, shape, transform=here, dtype=np.uint8)
            texture = zoom(rng.standard_normal((shape[0] // 10 + 2, size // 10 + 2)), 10, order=1)[: shape[0], :size]
            leaves = np.clip(leaves * (1 + 0.03 * texture), 0, 1).astype(np.float32)
            block = np.empty((6, *shape), np.uint16)
            for band in range(6):
                ground = (LUSH[band] * leaves + SOIL[band] * (1 - leaves)) * 10_000 + 1000
                block[band] = ground + rng.standard_normal(shape, np.float32) * NOISE
            file.write(block, window=Window(0, row, size, shape[0]))
    options = {"BLOCKSIZE": 512, "COMPRESS": "DEFLATE", "PREDICTOR": 2, "NUM_THREADS": "ALL_CPUS", "OVERVIEWS": "AUTO"}
    copy(plain, folder / "big_20240601.tif", driver="COG", **options)
    plain.unlink()
    crops = [("TRZAX", "ZEAMX", "BRSNN")[n % 3] for n in range(len(shapes))]
    columns = {"field_id": [str(n) for n in range(len(shapes))], "crop": crops}
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs=CRS)
    frame.to_file(folder / "fields.gpkg", layer="fields", driver="GPKG")
    return folder


def _parcels(size, fields, rng):
    import shapely
    from shapely import affinity

    side = int(np.ceil(np.sqrt(fields)))
    step = size * PIXEL / side
    for n in range(fields):
        x, y = EAST + (n % side + 0.5) * step, NORTH - (n // side + 0.5) * step
        area, shape = rng.uniform(30_000, 120_000), rng.uniform(1, 2)
        wide, high = min(np.sqrt(area * shape), 0.7 * step), min(np.sqrt(area / shape), 0.7 * step)
        yield affinity.rotate(shapely.box(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2), rng.uniform(-30, 30))


def _tiles(size, fields):
    import shapely
    from shapely import affinity

    side = int(np.ceil(np.sqrt(fields)))
    step, middle = size * PIXEL / side, (EAST + size * PIXEL / 2, NORTH - size * PIXEL / 2)
    whole = shapely.box(EAST, NORTH - size * PIXEL, EAST + size * PIXEL, NORTH)
    for n in range(side * side):
        x, y = EAST + n % side * step, NORTH - n // side * step
        part = affinity.rotate(shapely.box(x, y - step, x + step, y), 4, origin=middle).intersection(whole)
        if part.area > 0:
            yield part


def rasterio_alone(folder: Path, threads: int) -> int:
    """Read every block of the scene, and return the number of pixels."""
    import rasterio

    path = folder / "big_20240601.tif"
    with rasterio.open(path) as file:
        blocks = [window for _, window in file.block_windows(1)]
    local = threading.local()

    def read(window) -> int:
        if not hasattr(local, "file"):
            local.file = rasterio.open(path)
        return local.file.read(window=window).size // 6

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(read, blocks))


def hyla(folder: Path, threads: int, dates: int = 1) -> int:
    """Label the scene by the loader and model of Hyla, as so many dates of one group; return the number of labels.

    Seconds and CPU seconds that pass before the model is asked are added to `BEFORE`.
    """
    from dataclasses import replace

    from hyla.types import Item
    from hyla_agriculture.scenes import Scenes

    model, loader, count = _model(threads), Scenes(), 0
    for date in range(dates):
        used, start = time.process_time(), time.perf_counter()
        [item] = list(loader.items(str(folder)) or ())
        image = loader.load(item)
        assert image is not None
        BEFORE[0] += time.perf_counter() - start
        BEFORE[1] += time.process_time() - used
        if dates > 1:
            meta = {**item.meta, "date": f"2024-06-{date + 1:02d}"}
            image = replace(image, item=Item(f"{item.id}{date}", item.uri, "group", date, item.kind, meta))
        count += len(model.predict([image])[0])
        loader.close(item.group)
    model.forget("group")
    return count


@cache
def _model(threads: int):
    from hyla_agriculture.sample import preset_schema
    from hyla_agriculture.zones import Zones

    return Zones(preset_schema(), device="cpu", threads=threads)


def child(what: str, tiny: str, folder: str, threads: int, dates: int) -> None:
    """Run a tiny scene first, then the large one once; print seconds, CPU seconds and the peak of memory."""
    run = {"rasterio": rasterio_alone, "hyla": hyla}[what]
    more = {"dates": dates} if what == "hyla" else {}
    run(Path(tiny), threads)
    BEFORE[:] = [0.0, 0.0]
    used, start = time.process_time(), time.perf_counter()
    count = run(Path(folder), threads, **more)
    spent, used = time.perf_counter() - start, time.process_time() - used
    seconds, cpu = BEFORE
    found = {"seconds": spent - seconds, "cpu": used - cpu, "all_seconds": spent, "all_cpu": used}
    print(json.dumps({**found, "peak": _status("VmHWM"), "count": count}))


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def measure(what: str, tiny: Path, folder: Path, threads: int, dates: int = 1) -> dict[str, float]:
    """Return what one process measured."""
    command = [sys.executable, __file__, "--child", what, str(tiny), str(folder), str(threads), str(dates)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Make scenes, run both in turns, and print seconds, ratios and memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a scene of 2560 x 2560 pixels")
    parser.add_argument("--fields", type=int, default=5000)
    parser.add_argument("--cover", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--scenes", type=int, default=10, help="dates of a group, for memory; 0 for none")
    parser.add_argument("--keep", help="folder in which scenes are kept from one call to the next")
    parser.add_argument("--child", nargs=5)
    args = parser.parse_args()
    if args.child:
        what, tiny, folder, threads, dates = args.child
        child(what, tiny, folder, int(threads), int(dates))
        return
    size = 2560 if args.small else 10_980
    fields = max(9, round(args.fields * (size / 10_980) ** 2))
    with tempfile.TemporaryDirectory() as temporary:
        base = Path(args.keep or temporary)
        folder, tiny = base / f"{size}-{fields}-{args.cover}", base / f"tiny-{args.cover}"
        for where, side, count, ill in ((folder, size, fields, ILL), (tiny, TINY, 9, 1.0)):
            if not (where / "fields.gpkg").exists():
                make(where, side, count, bool(args.cover), ill)
        share = (folder / "big_20240601.tif").stat().st_size / (size * size * 12 * 4 / 3)
        load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
        covering = " that cover all" if args.cover else ""
        print(f"{size} x {size}, {fields} fields{covering}, {args.threads} threads, load averages {load}")
        print(f"file with overviews {share:.2f} of its uncompressed size")
        runs: dict[str, list[dict[str, float]]] = {"rasterio": [], "hyla": []}
        for turn in range(args.rounds):
            for what in sorted(runs, reverse=turn % 2 == 0):
                runs[what].append(measure(what, tiny, folder, args.threads))
        print(f"{'':10}{'seconds':>20}{'CPU s':>20}{'with parcels: s':>20}{'CPU s':>20}{'peak MB':>10}")
        for what, found in runs.items():
            columns = "".join(f"{_range([one[name] for one in found]):>20}" for name in NAMES)
            print(f"{what:10}{columns}{max(one['peak'] for one in found) / 1e6:10.0f}")
        for name, words in NAMES.items():
            plain, ours = ([one[name] for one in runs[what]] for what in ("rasterio", "hyla"))
            ratios = [b / a for a, b in zip(plain, ours, strict=True)]
            middle = statistics.median(ours) / statistics.median(plain)
            print(f"hyla / rasterio, {words}: {middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f}, n = {len(ratios)})")
        if args.scenes > 1:
            several = measure("hyla", tiny, folder, args.threads, args.scenes)
            one = max(run["peak"] for run in runs["hyla"])
            print(f"peak: {one / 1e6:.0f} MB for 1 scene, {several['peak'] / 1e6:.0f} MB for {args.scenes} dates of a group")


def _range(values: list[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
