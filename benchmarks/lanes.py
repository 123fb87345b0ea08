"""Measure lanes against pictures with truth: python benchmarks/lanes.py TUSIMPLE [--negatives FOLDER] [--draw FOLDER].

TUSIMPLE holds image/, and gt_instance_image/ with one grey level per lane, of the same names, as the TuSimple data is often
repacked. For each picture and in total:

- precision: share of the pixels of drawn lanes that are truth; recall: share of the pixels of truth that are drawn. Lanes are
  drawn as wide as the truth is (measured on it). Once exactly, and once within 20 px, TuSimple's own tolerance.
- found: lanes of the truth of which 85 % of the rows (each tenth, as TuSimple does) have one same predicted lane within 20 px;
  false: predicted lanes that are within 20 px of no lane of the truth in 85 % of the rows they share with the truth's rows.

With --negatives, pictures without a road: how many get a lane all the same. With --draw, pictures of truth and prediction.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np

from hyla.types import Image, Item
from hyla_driving.lanes import Lanes

TOLERANCE = 20  # pixels, of TuSimple's benchmark
SHARE = 0.85  # of the rows, of TuSimple's benchmark


def read(path):
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def predict(model, path):
    image = Image(read(path), Item(path.stem, path.name))
    started = time.perf_counter()
    labels = model.predict([image])[0]
    return image.pixels, labels, time.perf_counter() - started


def half_width(mask):
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.median(inside[inside >= 0.9 * inside.max()])


def thickness_of(truth):
    """Return the thickness, as cv2.polylines counts it, with which the truth was drawn: the one whose line is as wide."""
    real = np.median([half_width(truth == level) for level in np.unique(truth)[1:]])
    sample = [np.array([[50, 350], [300, 100]], np.float64)]
    return min(range(1, 40), key=lambda n: abs(half_width(drawn(sample, (400, 400), n)) - real))


def drawn(lines, shape, thickness):
    mask = np.zeros(shape, np.uint8)
    for line in lines:
        points = np.round(line * 16).astype(np.int32)
        cv2.polylines(mask, [points], False, 255, thickness, cv2.LINE_8, 4)
    return mask > 0


def near(mask):
    """Return the distance in pixels of each pixel from the mask."""
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)


def at_rows(line, rows):
    order = np.argsort(line[:, 1])
    return np.interp(rows, line[order, 1], line[order, 0], left=np.nan, right=np.nan)


def truth_lanes(truth):
    lanes = []
    for level in np.unique(truth)[1:]:
        rows = np.flatnonzero((truth == level).any(axis=1))
        rows = rows[rows % 10 == 0]
        lanes.append((rows, np.array([np.flatnonzero(truth[row] == level).mean() for row in rows]) + 0.5))
    return lanes


def match(lines, lanes):
    """Return which lanes of the truth are found and which predicted lines are right."""
    found, right = np.zeros(len(lanes), bool), np.zeros(len(lines), bool)
    for i, (rows, columns) in enumerate(lanes):
        for j, line in enumerate(lines):
            close = np.abs(at_rows(line, rows + 0.5) - columns) <= TOLERANCE
            shared = ~np.isnan(at_rows(line, rows + 0.5))
            found[i] |= close.mean() >= SHARE
            right[j] |= shared.any() and close[shared].mean() >= SHARE
    return found, right


@dataclass
class Figures:
    """Hold the counts of one picture, or of several added up: lines and pixels."""

    n: int = 0
    lines: int = 0
    found: int = 0
    lanes: int = 0
    false: int = 0
    drawn: int = 0
    real: int = 0
    both: int = 0
    drawn_near: int = 0
    real_near: int = 0

    def __add__(self, other):
        return Figures(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def precision(self):
        return self.both / self.drawn if self.drawn else float("nan")

    @property
    def recall(self):
        return self.both / self.real

    @property
    def precision_near(self):
        return self.drawn_near / self.drawn if self.drawn else float("nan")

    @property
    def recall_near(self):
        return self.real_near / self.real

    def row(self, name, took):
        shares = (self.precision, self.recall, self.precision_near, self.recall_near)
        cells = [name, self.lines, f"{self.found} of {self.lanes}", self.false, *(f"{one:.3f}" for one in shares), took]
        return "| " + " | ".join(map(str, cells)) + " |"


def compare(lines, truth, thickness):
    mask, real = drawn(lines, truth.shape, thickness), truth > 0
    lanes = truth_lanes(truth)
    found, right = match(lines, lanes)
    return Figures(
        n=1,
        lines=len(lines),
        found=int(found.sum()),
        lanes=len(lanes),
        false=int((~right).sum()),
        drawn=int(mask.sum()),
        real=int(real.sum()),
        both=int((mask & real).sum()),
        drawn_near=int((mask & (near(real) <= TOLERANCE)).sum()),
        real_near=int((real & (near(mask) <= TOLERANCE)).sum()),
    )


def measure(model, folder, show=None, draw=None):
    """Return the figures of all pictures of `folder`, calling show(name, figures, seconds) for each."""
    total = Figures()
    for path in sorted((folder / "image").iterdir()):
        truth = cv2.imread(str(folder / "gt_instance_image" / path.name), cv2.IMREAD_GRAYSCALE)
        pixels, labels, took = predict(model, path)
        thickness = thickness_of(truth)
        one = compare(list(labels.shape), truth, thickness)
        total += one
        if show:
            show(path.name, one, took)
        if draw:
            draw.mkdir(parents=True, exist_ok=True)
            real = truth > 0
            pixels[real] = pixels[real] // 2 + np.array([127, 0, 0], np.uint8)
            pixels[drawn(labels.shape, truth.shape, thickness)] = (0, 255, 0)
            cv2.imwrite(str(draw / path.name), pixels[:, :, ::-1])
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tusimple", type=Path)
    parser.add_argument("--negatives", type=Path)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--threshold", type=float, default=0.3)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    model = Lanes(threshold=args.threshold)
    predict(model, next((args.tusimple / "image").iterdir()))  # the first call pays for loading
    print("| picture | lines | found of truth | false | P exact | R exact | P 20 px | R 20 px | ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    seconds = []

    def show(name, figures, took):
        seconds.append(took)
        print(figures.row(name, f"{1e3 * took:.1f}"))

    total = measure(model, args.tusimple, show, args.draw)
    print(total.row(f"all, n = {total.n}", f"{1e3 * float(np.median(seconds)):.1f}"))
    print("\nms: one core; in the last row the median. Figures of the last row are of all pixels and lines together.")
    if args.negatives:
        files = sorted(p for p in args.negatives.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
        labelled = [len(predict(model, path)[1]) for path in files]
        print(f"Pictures without a road: {np.count_nonzero(labelled)} of {len(files)} get a line, {sum(labelled)} lines in all.")


if __name__ == "__main__":
    main()
