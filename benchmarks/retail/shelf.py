"""Time a shelf photo of 20 megapixels through the whole of `hyla run`, beside decoding it alone, on two cores.

    python benchmarks/retail/shelf.py [--photos 4] [--rounds 5] [--cores 2] [--text]

The sample draws a shop; photos of its shelves are enlarged to 5164 x 3873 pixels, given the noise of a camera (sd 3) and saved
as JPEG of quality 90, with the catalogue, the planogram and the exemplars beside them.

`decode` is `hyla.images.read_image` of one photo. `one` is a run over a folder that holds one photo, from composing the settings
to the last record stored: scan, catalogue, model, loading, finding, naming, rules. `each` is what another photo adds: a run over
--photos of them less `one`, by their number; loading overlaps with predicting there. `facings` is the model `facings` alone,
`retail` the default without the networks that read text (`model.sources.text=null`; with --text they are timed too). `finder` is
predicting facings of a photo in memory. Each round runs all of them in turns, in one process that ran everything once before, and
is bound to --cores cores. Figures are medians over rounds with their range, by the clock and of the cores, which other work
disturbs less; the last lines say what is left of `one` and `each` after the decoding, which is to be below 1 s by the clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

SIZE, QUALITY, NOISE = (5164, 3873), 90, 3.0


def make(folder: Path, photos: int) -> tuple[Path, Path]:
    """Write a source with one photo and another with `photos` of them; return both."""
    import cv2
    from PIL import Image

    from hyla_retail import sample

    drawn = sample.write(folder / "drawn", 2)
    found = sorted(path for path in drawn.rglob("*.jpg") if "packshots" not in path.parts and "exemplars" not in path.parts)
    rng = np.random.default_rng(3)
    sources = folder / "one", folder / "many"
    for source in sources:
        shutil.copytree(drawn, source, ignore=lambda _, names: [n for n in names if (drawn / "mill-lane" / n).is_file()])
    for n in range(photos):
        with Image.open(found[n % len(found)]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        size = SIZE if pixels.shape[1] >= pixels.shape[0] else SIZE[::-1]
        large = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
        noisy = np.clip(large + rng.normal(0, NOISE, large.shape), 0, 255).astype(np.uint8)
        path = sources[1] / "mill-lane" / f"A1_2024-05-{n + 1:02d}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noisy).save(path, quality=QUALITY)
        if n == 0:
            (sources[0] / "mill-lane").mkdir(exist_ok=True)
            shutil.copy(path, sources[0] / "mill-lane")
    return sources


def clocks() -> np.ndarray:
    """Return seconds of the clock, and of all cores for this process."""
    return np.array([time.perf_counter(), time.process_time()])


def run(source: Path, words: list[str]) -> np.ndarray:
    """Return the seconds of one run, everything counted, by the clock and of the cores."""
    from hyla import config, loop

    with tempfile.TemporaryDirectory() as out:
        start = clocks()
        loop.run(config.compose("retail", *words, source=str(source), out=f"{out}/labels"))
        return clocks() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--text", action="store_true")
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.cores])
    from hyla import config
    from hyla.images import read_image
    from hyla.schema import Schema
    from hyla.types import Image, Item
    from hyla_retail.facings import Facings

    models = {
        "facings": ["model=facings"],
        "retail": ["model.sources.text=null"],
        **({"retail with text": []} if given.text else {}),
    }
    with tempfile.TemporaryDirectory() as folder:
        one, many = make(Path(folder), given.photos)
        photo = next((one / "mill-lane").glob("*.jpg"))
        finder = Facings(Schema.from_config(config.compose("retail", source=str(one)).schema))
        times: dict[str, list[np.ndarray]] = {}
        for turn in range(given.rounds + 1):
            took = {}
            start = clocks()
            image = Image(read_image(photo), Item("photo", photo.name))
            took["decode"] = clocks() - start
            start = clocks()
            finder.predict([image])
            took["finder"] = clocks() - start
            for name, words in models.items():
                took[f"{name}, one"] = run(one, words)
                took[f"{name}, each"] = (run(many, words) - took[f"{name}, one"]) / max(given.photos - 1, 1)
            for name, seconds in took.items() if turn else ():  # the first turn imports and fills caches
                times.setdefault(name, []).append(seconds)
        megabytes = photo.stat().st_size / 1e6
    what = f"a photo of {SIZE[0]} x {SIZE[1]} pixels, {megabytes:.1f} MB"
    print(f"{what}, {given.cores} cores, n = {given.rounds} rounds, median (range)")
    for name, seconds in times.items():
        print(f"{name:22} {_spread(seconds)}")
    for name in models:
        for way in ("one", "each"):
            rest = [s - d for s, d in zip(times[f"{name}, {way}"], times["decode"], strict=True)]
            ratio = statistics.median(s[0] / d[0] for s, d in zip(times[f"{name}, {way}"], times["decode"], strict=True))
            print(f"{name}, {way}: {ratio:.2f} x decode; without decoding {_spread(rest)}")


def _spread(values: list[np.ndarray]) -> str:
    clock, cores = np.array(values).T
    return (
        f"{np.median(clock):6.3f} ({clock.min():.3f} to {clock.max():.3f}) s, "
        f"{np.median(cores):6.3f} ({cores.min():.3f} to {cores.max():.3f}) s of the cores"
    )


if __name__ == "__main__":
    main()
