"""Measure the U-Net on labelled points of real scenes that it was not trained on, against a random forest of single pixels.

    python benchmarks/agriculture/points.py ../shared/data/agriculture

leipzig_s2: 97 points of forest, pasture, urban and water on a Sentinel-2 raster of 8 layers. Points are split by place (blocks of
BLOCK pixels), never at random: points side by side are alike, and a random split would count that as knowledge. REPEATS splits
into FOLDS; in each, both learn from the same points, and each point is predicted once per split.

sinop_modis: 18 points on 12 dates of NDVI (MODIS). Leave one out; so few points tell little, and the intervals say so. Points of
one class lie side by side there, which favours a network, as it smooths.

Intervals are Wilson's, 95 %, with n the number of points (not of predictions), as if points were independent, which those of one
block are not.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from pyproj import Transformer
from scipy.stats import binomtest
from sklearn.ensemble import RandomForestClassifier

from hyla.frame import MapFrame
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels
from hyla_agriculture.network import Spec
from hyla_agriculture.training import fit
from hyla_agriculture.unet import Unet

FOLDS, REPEATS, BLOCK = 5, 3, 16
NETWORK = {"encoder": "mobilenet_v2", "depth": 3, "channels": (32, 16, 16)}


def leipzig(folder: Path) -> tuple[Image, np.ndarray, list[str]]:
    """Return the scene, the points in pixels (n, 2) and their classes."""
    image = scene([folder / "leipzig_s2/leipzig_raster.tif"])
    points = geopandas.read_file(folder / "leipzig_s2/leipzig_points.gpkg").to_crs(image.frame.crs)
    return image, image.frame.to_pixels(np.stack([points.geometry.x, points.geometry.y], axis=1)), list(points["land_cover"])


def sinop(folder: Path) -> tuple[Image, np.ndarray, list[str]]:
    """Return the dates of NDVI as one scene, the points in pixels (n, 2) and their classes."""
    image = scene(sorted((folder / "sinop_modis").glob("*.jp2")), 1e-4)
    with (folder / "sinop_modis/samples_sinop_crop.csv").open() as file:
        rows = list(csv.DictReader(file))
    place = Transformer.from_crs("EPSG:4326", image.frame.crs, always_xy=True)
    x, y = place.transform([float(row["longitude"]) for row in rows], [float(row["latitude"]) for row in rows])
    return image, image.frame.to_pixels(np.stack([x, y], axis=1)), [row["label"] for row in rows]


def scene(paths: Sequence[Path], scale: float = 1.0) -> Image:
    """Return rasters of one grid as one picture, NaN where there is no data."""
    layers = []
    for path in paths:
        with rasterio.open(path) as file:
            values = file.read(masked=True).astype(np.float32).filled(np.nan) * np.float32(scale)
            layers += list(values)
            transform, crs = tuple(file.transform)[:6], file.crs.to_wkt()
    names = [f"layer_{number}" for number in range(1, len(layers) + 1)]
    return Image(np.stack(layers, axis=-1), Item(paths[0].stem, paths[0].name, meta={"bands": names}), MapFrame(transform, crs))


def network(
    image: Image, points: np.ndarray, truth: Sequence[str], learn: np.ndarray, steps: int, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the class that the U-Net gives each point (n,), trained on those of `learn`."""
    names = sorted(set(truth))
    schema = Schema.from_config({"name": "points", "kinds": ["polygon", "keypoints"], "classes": {name: {} for name in names}})
    labels = Labels.of(
        [schema.class_id(truth[i]) for i in learn],
        kind=Kind.KEYPOINTS,
        shape=[np.array([[*points[i], 2.0]]) for i in learn],
    )
    spec = Spec(tuple(names), tuple(image.item.meta["bands"]), **NETWORK)
    with tempfile.TemporaryDirectory() as out:
        figures = fit([(image, labels)], schema, spec, Path(out), steps=steps, rate=5e-3, seed=seed, patch=32, held_out=0.0)
        model = Unet(schema, str(Path(out) / "unet.pt"), least_pixels=1, tile=192, overlap=64, threads=1, device="cpu")
        classes, *_ = model.raster(image)
    column, row = points.astype(int).T
    return np.array(["", *names])[classes[row, column]], figures


def forest(image: Image, points: np.ndarray, truth: Sequence[str], learn: np.ndarray, seed: int) -> np.ndarray:
    """Return the class that a random forest gives each point (n,) by the values of its pixel."""
    column, row = points.astype(int).T
    values = np.nan_to_num(image.pixels[row, column])
    trees = RandomForestClassifier(500, random_state=seed)
    return np.asarray(trees.fit(values[learn], np.array(truth)[learn]).predict(values))


def folds(points: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the fold (n,) of each point: blocks of BLOCK pixels are dealt out whole."""
    _, block = np.unique(points.astype(int) // BLOCK, axis=0, return_inverse=True)
    order = np.random.default_rng(seed).permutation(block.max() + 1)
    return np.asarray((order % count)[block.ravel()])


def compare(image: Image, points: np.ndarray, truth: Sequence[str], splits: Sequence[np.ndarray], steps: int) -> None:
    """Print how often each is right over all splits (arrays (n,) of folds), and what is taken for what."""
    names, real = sorted(set(truth)), np.array(truth)
    said: dict[str, list[np.ndarray]] = {"U-Net": [], "random forest": []}
    for seed, split in enumerate(splits):
        answers = {name: np.full(len(real), "", dtype=object) for name in said}
        for fold in np.unique(split):
            learn, test = np.flatnonzero(split != fold), split == fold
            found, _ = network(image, points, truth, learn, steps, seed)
            answers["U-Net"][test] = found[test]
            answers["random forest"][test] = forest(image, points, truth, learn, seed)[test]
        for name, answer in answers.items():
            said[name].append(answer)
    most = max(names, key=list(truth).count)
    print(f"  always {most}: {interval(float((real == most).mean()), len(real))}")
    for name, answers_ in said.items():
        shares = [float((answer == real).mean()) for answer in answers_]
        print(
            f"  {name}: {interval(float(np.mean(shares)), len(real))}; by split {', '.join(f'{share:.3f}' for share in shares)}"
        )
        print(f"    {'is, said':<12}" + "".join(f"{one:>10}" for one in [*names, "nothing"]))
        for row in names:
            counts = [sum(int(((real == row) & (answer == one)).sum()) for answer in answers_) for one in [*names, ""]]
            print(f"    {row:<12}" + "".join(f"{count / len(answers_):>10.1f}" for count in counts))


def interval(share: float, n: int) -> str:
    """Return a share with its interval and n."""
    low, high = binomtest(round(share * n), n).proportion_ci(method="wilson")
    return f"{share:.3f} right (95 % {low:.3f} to {high:.3f}, n = {n} points)"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    args = parser.parse_args()
    started = time.perf_counter()
    image, points, truth = leipzig(args.folder)
    splits = [folds(points, FOLDS, seed) for seed in range(args.repeats)]
    blocks = len(np.unique(points.astype(int) // BLOCK, axis=0))
    print(f"leipzig_s2: {image.size[0]} x {image.size[1]} pixels, {image.pixels.shape[2]} layers, {blocks} blocks, {FOLDS} folds")
    compare(image, points, truth, splits, args.steps)
    image, points, truth = sinop(args.folder)
    print(f"sinop_modis: {image.size[0]} x {image.size[1]} pixels, {image.pixels.shape[2]} dates, leave one out")
    compare(image, points, truth, [np.arange(len(truth))], args.steps)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
