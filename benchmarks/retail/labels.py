"""Measure what barcodes, price labels and names cost on a large shelf photo, and how many are right.

    python benchmarks/retail/labels.py [--megapixels 20] [--names 100000] [--rounds 5]

All is drawn by `hyla_retail.sample`. Barcodes: on a large photo, beside zxing-cpp alone, in seconds of processor, and codes
found. Text: on the price labels of photos with truth, in seconds by the clock with the cores that there are, and how many prices
and names are right. Names: the texts of 50 labels against a catalogue of so many names. Shown are medians, and the least and
most of the rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zxingcpp

from hyla.images import read_image
from hyla.schema import Schema
from hyla.types import Labels
from hyla_retail.catalogue import open_catalogue
from hyla_retail.codes import SYMBOLOGIES, Reader
from hyla_retail.names import Names
from hyla_retail.photos import Photos
from hyla_retail.sample import large, preset_schema, write
from hyla_retail.text import Text


def timed(what: str, work: Callable[[], Any], rounds: int, clock: Callable[[], float] = time.perf_counter) -> Any:
    """Print the seconds that `work` takes, and return what it gave last."""
    took = []
    for _ in range(rounds):
        start = clock()
        out = work()
        took.append(clock() - start)
    print(f"{what}: {np.median(took):.3f} s ({min(took):.3f} to {max(took):.3f}), n = {rounds}")
    return out


def names(count: int, rounds: int) -> None:
    """Print how long a text is looked for among `count` names, and how often the right one comes first."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghiklmnoprstuvz", k=rng.randint(4, 9))) for _ in range(30000)]
    kinds = ["milk", "juice", "yoghurt", "beer", "water", "cola", "chips", "soap", "bread", "cheese", "pasta", "tea", "coffee"]
    sizes = ["330 ml", "1 l", "500 g", "1 kg"]
    goods = [(rng.choice(words[:4000]), f"{rng.choice(words)} {rng.choice(kinds)}", rng.choice(sizes)) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        with Path(folder, "catalogue.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["sku", "brand", "name", "size"])
            table.writerows((n, *one) for n, one in enumerate(goods))
        known = Names(open_catalogue("auto", folder))
        known.find("milk")
        asked = rng.sample(goods, 50)
        spoilt = [f"x{brand[1:]} {name} {size} 1,99 EUR" for brand, name, size in asked]
        found = timed(
            f"50 texts with a wrong letter among {count:,} names", lambda: [known.find(t, 1)[0][0] for t in spoilt], rounds
        )
        right = sum(goods[row] == one for row, one in zip(found, asked, strict=True))
        print(f"right: {right} of 50")


def text(schema: Schema, photos: int) -> None:
    """Print how long the price labels of photos take to read, and how often price and product are right."""
    with tempfile.TemporaryDirectory() as folder:
        source = write(Path(folder), photos)
        stage = Text(schema, source=str(source))
        loader = Photos()
        items = {item.id: item for item in loader.items(str(source)) or () if item.kind == "photo"}
        n = prices = products = 0
        took = 0.0
        for line in (Path(folder) / "truth.jsonl").read_text(encoding="utf-8").splitlines():
            truth = json.loads(line)
            shown = [label for label in truth["labels"] if label["class"] == "price_label"]
            image = loader.load(items[truth["item"]["id"]])
            labels = Labels.of([schema.class_id("price_label")] * len(shown), [label["box"] for label in shown])
            if not n:
                stage.read([image], [labels[:2]])  # the networks are loaded
            start = time.perf_counter()
            (got,) = stage.read([image], [labels])
            took += time.perf_counter() - start
            best = {
                row: key
                for _, row, key in sorted(zip(got.likeness.tolist(), got.rows.tolist(), got.product.tolist(), strict=True))
            }
            n += len(shown)
            prices += sum(p == label["attributes"]["price"] for p, label in zip(got.attributes["price"], shown, strict=True))
            numbers = [label["attributes"]["gtin"] for label in shown]
            products += sum(
                row in best and stage.catalogue.row_of(best[row]) == stage.catalogue.by_gtin(number)
                for row, number in enumerate(numbers)
            )
    print(f"text: {60 * took / n:.2f} s for 60 price labels; price right {prices}, product right {products}, n = {n}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=20)
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    schema = preset_schema()
    with tempfile.TemporaryDirectory() as folder:
        pixels = read_image(large(Path(folder), given.megapixels))
    print(f"photo: {pixels.shape[1]} x {pixels.shape[0]}; {os.cpu_count()} cores")
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    formats = zxingcpp.barcode_formats_from_str(",".join(SYMBOLOGIES))
    reader = Reader()
    alone = timed("zxing-cpp alone", lambda: zxingcpp.read_barcodes(grey, formats=formats), given.rounds, time.process_time)
    ours = timed("barcodes", lambda: reader.read(pixels), given.rounds, time.process_time)
    print(f"codes: {len(ours)}, zxing-cpp alone {len(alone)}")
    text(schema, given.photos)
    names(given.names, given.rounds)


if __name__ == "__main__":
    main()
