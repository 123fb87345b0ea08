"""Measure how long the nearest of 100,000 exemplars take, beside faiss and scikit-learn, and whether they are the same.

    python benchmarks/retail/neighbours.py ../shared/data/retail --weights ../shared/weights/mobilenet_v2-b0353104.pth

Exemplars are crops of real photos (grocery_store): a random part of a random photo, its light changed, described by `Appearance`
(1054 numbers). Computing 100,000 vectors of mobilenet_v2 (1280 numbers) takes long, so those are drawn: real vectors of two
photos mixed at random, with noise of a tenth of their deviation along each number, so that they spread over much the same
directions as real ones; the share that the 64 first directions hold is printed for both.

All use the same number of threads (--threads, 1). Each way is timed REPEATS times after one that is not counted, in turns; the
figures are medians, and the ratio is that of medians with the quartiles of the ratio of paired turns. `alike` is the share of the
16 nearest that are those of faiss flat.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPEATS, NEAREST, BATCH, SINGLE = 9, 16, 150, 10


def crops(photos: list[Any], n: int, random: Any) -> list[Any]:
    """Return n random parts of photos, in other light."""
    import numpy as np

    found = []
    for _ in range(n):
        photo = photos[int(random.integers(len(photos)))]
        side = random.uniform(0.3, 1)
        height, width = (int(side * extent) for extent in photo.shape[:2])
        top, left = (int(random.integers(extent - part + 1)) for extent, part in zip(photo.shape, (height, width), strict=False))
        part = photo[top : top + height : 2, left : left + width : 2] * random.uniform(0.7, 1.3, 3)
        found.append(np.clip(part, 0, 255).astype(np.uint8))
    return found


def drawn(real: Any, n: int, random: Any) -> Any:
    """Return n vectors that spread as the real ones do."""
    import numpy as np

    a, b = (real[random.integers(len(real), size=n)] for _ in range(2))
    share = random.uniform(0.5, 1, (n, 1)).astype(np.float32)
    mixed = share * a + (1 - share) * b + 0.1 * real.std(axis=0) * random.standard_normal(a.shape, dtype=np.float32)
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def spread(vectors: Any) -> float:
    """Return the share of the vectors, squared, that their 64 first directions hold."""
    import numpy as np

    values = np.linalg.eigvalsh(vectors[:8192].T @ vectors[:8192])
    return float(values[-64:].sum() / values.sum())


def measure(ways: dict[str, Callable[[Any], Any]], queries: Any) -> dict[str, list[float]]:
    """Return the seconds of each way, turn by turn."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(REPEATS + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way(queries)
            if turn:
                took[name].append(time.perf_counter() - begun)
    return took


def compare(what: str, vectors: Any, queries: Any) -> None:
    """Print the figures of one embedding."""
    import faiss
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    from hyla_retail.index import Index

    begun = time.perf_counter()
    ours = Index(vectors)
    built = time.perf_counter() - begun
    flat = faiss.IndexFlatIP(vectors.shape[1])
    flat.add(vectors)
    learn = NearestNeighbors(n_neighbors=NEAREST, algorithm="brute", metric="euclidean").fit(vectors)
    _, truth = flat.search(queries, NEAREST)
    _, rows = ours.search(queries, NEAREST)
    alike = np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(rows.tolist(), truth.tolist(), strict=True)])
    print(f"{what}: n = {len(vectors)}, {vectors.shape[1]} numbers, {vectors.nbytes / 2**20:.0f} MiB, built in {built:.1f} s")
    print(f"  64 directions hold {spread(vectors):.3f}; alike to faiss flat: {alike:.4f} of {rows.size}")
    ways: dict[str, Callable[[Any], Any]] = {
        "hyla": lambda q: ours.search(q, NEAREST),
        "faiss flat": lambda q: flat.search(q, NEAREST),
        "scikit-learn": lambda q: learn.kneighbors(q),
    }
    for name, some in ((f"{BATCH} at once", queries[:BATCH]), ("one at a time", queries[:SINGLE])):
        each = some if name != "one at a time" else None
        run = (
            ways
            if each is not None
            else {key: (lambda q, way=way: [way(q[i : i + 1]) for i in range(len(q))]) for key, way in ways.items()}
        )
        took = measure(run, some)
        own = np.array(took["hyla"])
        for key, seconds in took.items():
            ratio = np.array(seconds) / own
            low, high = np.quantile(ratio, [0.25, 0.75])
            millis = 1000 * float(np.median(seconds)) / len(some)
            print(f"  {name}, {key:12}: {millis:7.3f} ms a crop; {np.median(ratio):.2f} times as long ({low:.2f} to {high:.2f})")


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with grocery_store/labels.csv")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="of mobilenet_v2")
    asked = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # read when the libraries are loaded
        os.environ[name] = str(asked.threads)
    import cv2
    import numpy as np

    from hyla.images import read_image
    from hyla_retail.embeddings import Appearance, Network

    cv2.setNumThreads(asked.threads)
    with (asked.data / "grocery_store/labels.csv").open() as file:
        photos = [read_image(asked.data / "grocery_store" / row["path"]) for row in csv.DictReader(file)]
    random = np.random.default_rng(0)
    look = Appearance()
    known = np.concatenate([look(crops(photos, min(500, asked.n - i), random)) for i in range(0, asked.n, 500)])
    compare("appearance, real crops", known, look(crops(photos, BATCH, random)))
    if asked.weights:
        real = Network(str(asked.weights), threads=asked.threads, device="cpu")(photos)
        print(f"64 directions hold {spread(real):.3f} of {len(real)} real vectors of mobilenet_v2")
        compare("mobilenet_v2, drawn", drawn(real, asked.n, random), drawn(real, BATCH, random))
    return 0


if __name__ == "__main__":
    sys.exit(main())
