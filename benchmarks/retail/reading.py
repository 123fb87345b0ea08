"""Measure what reading costs: a catalogue beside the csv module alone, a photo beside its decoder alone, an overview beside both.

    python benchmarks/retail/reading.py [--rows 100000] [--megapixels 20] [--rounds 9]

Seconds are of one core's processor (`process_time`); OpenCV has one thread. A round measures both sides one after the other;
shown are the medians, the median of the ratios with an interval of 95 % by order statistics of the rounds, and how many rounds.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from scipy.stats import binom

from hyla.images import read_image
from hyla_retail import catalogue
from hyla_retail.gtin import check_digit
from hyla_retail.photo_facts import sharpness
from hyla_retail.photos import overview
from hyla_retail.sample import large


def write_catalogue(path: Path, rows: int) -> None:
    """Write a German catalogue: semicolons, decimal commas, signs of currency, sizes of packs."""
    rng = random.Random(0)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=";", lineterminator="\n")
        table.writerow(["Artikelnr", "EAN", "Bezeichnung", "Marke", "Warengruppe", "Preis", "Inhalt"])
        for n in range(rows):
            bare = f"40{n * 97:010d}"
            price, size = f"{rng.randrange(1, 30)},{rng.randrange(100):02d} €", rng.choice(["0,5 l", "1 kg", "6 x 330 ml", ""])
            path_of = f"Lebensmittel > Getränke > Sorte {n % 200}"
            table.writerow(
                [f"{n:06d}", bare + check_digit(bare), f"Produkt {n} {n % 900} g", f"Marke {n % 300}", path_of, price, size]
            )


def seconds(work: Callable[[], Any]) -> float:
    """Return the seconds of processor that `work` takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(what: str, work: Callable[[], Any], beside: Callable[[], Any], rounds: int) -> None:
    """Print the seconds of both, and their ratio."""
    pairs = np.array([(seconds(work), seconds(beside)) for _ in range(rounds)])
    ratio = np.sort(pairs[:, 0] / pairs[:, 1])
    low = max(0, int(binom.ppf(0.025, rounds, 0.5)) - 1)
    interval = f"{ratio[low]:.2f} to {ratio[rounds - 1 - low]:.2f}"
    ours, theirs = np.median(pairs, axis=0)
    print(f"{what}: {ours:.3f} s beside {theirs:.3f} s, ratio {np.median(ratio):.2f} ({interval}), n = {rounds}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--megapixels", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "catalogue.csv")
        write_catalogue(path, given.rows)

        def ours() -> None:
            catalogue._opened.cache_clear()
            assert len(catalogue.open_catalogue("auto", folder)) == given.rows

        def alone() -> None:
            with path.open(encoding="utf-8", newline="") as file:
                assert sum(1 for _ in csv.reader(file, delimiter=";")) == given.rows + 1

        compare(f"catalogue of {given.rows:,} rows, beside csv alone", ours, alone, given.rounds)
        photo = large(Path(folder), given.megapixels)
        pixels = read_image(photo)
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        print(f"photo: {pixels.shape[1]} x {pixels.shape[0]}, {photo.stat().st_size:,} bytes;", end=" ")
        print(f"OpenCV gives the same pixels: {np.array_equal(pixels, cv2.imread(str(photo), flags))}")
        compare("read_image, beside Pillow's decoder", lambda: read_image(photo), lambda: Image.open(photo).load(), given.rounds)
        compare("read_image, beside cv2.imread", lambda: read_image(photo), lambda: cv2.imread(str(photo), flags), given.rounds)
        for longest in (1400, 640):
            compare(
                f"overview of {longest} px, beside read_image",
                lambda n=longest: overview(photo, n),
                lambda: read_image(photo),
                given.rounds,
            )
        compare("sharpness, beside read_image", lambda: sharpness(pixels), lambda: read_image(photo), given.rounds)


if __name__ == "__main__":
    main()
