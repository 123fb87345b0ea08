"""Measure model=embedded on the procedural sample: python benchmarks/embedded.py [--frames 120] [--draw FOLDER].

The sample is rendered, so that its truth is exact and nothing else is needed. By time of day:

- vehicles: precision of proposals, that overlap a true vehicle (all classes under `vehicle`) by an IoU of 0.3 or 0.5, and recall
  of true vehicles at least 20 px tall;
- lines: precision and recall, where a line is right when it lies within 15 px of a true one in 85 % of the rows of the truth.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import av
import cv2
import numpy as np

from hyla import geometry
from hyla.codec import record_from_dict
from hyla.frame import VideoFrame
from hyla.types import Image, Item, Kind
from hyla_driving import sample
from hyla_driving.embedded import Embedded

KEYS = ("proposed", "right .3", "right .5", "true", "found .3", "found .5", "lines", "right", "true lines", "found")


def at_rows(line, rows):
    order = np.argsort(line[:, 1])
    return np.interp(rows, line[order, 1], line[order, 0], left=np.nan, right=np.nan)


def same_line(one, truth, rows):
    expected = at_rows(truth, rows)
    there = ~np.isnan(expected)
    return there.any() and (np.abs(at_rows(one, rows) - expected)[there] <= 15).mean() >= 0.85


def count(labels, truth, vehicles, size):
    real = truth[np.isin(truth.class_id, vehicles) & (truth.kind == Kind.BOX)]
    found = labels[np.isin(labels.class_id, vehicles)]
    tall = real.height >= 20
    overlap = geometry.iou(found.box, real.box)
    best, best_of_true = overlap.max(axis=1, initial=0), overlap[:, tall].max(axis=0, initial=0)
    rows = np.arange(0, size[0], 10.0)
    lines, true_lines = (list(one.shape[one.kind == Kind.POLYLINE]) for one in (labels, truth))
    same = np.array([[same_line(a, b, rows) for b in true_lines] for a in lines]).reshape(len(lines), len(true_lines))
    figures = (len(found), (best >= 0.3).sum(), (best >= 0.5).sum(), tall.sum(), (best_of_true >= 0.3).sum())
    more = ((best_of_true >= 0.5).sum(), len(lines), same.any(axis=1).sum(), len(true_lines), same.any(axis=0).sum())
    return np.array([*figures, *more], dtype=int)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--draw", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    schema = sample.preset_schema()
    model = Embedded(schema)
    sums, seconds = defaultdict(lambda: np.zeros(len(KEYS), int)), []
    with tempfile.TemporaryDirectory() as folder:
        source = sample.write(Path(folder), args.frames)
        lines = (Path(folder) / "truth.jsonl").read_text(encoding="utf-8").splitlines()
        truth = [record for line in lines if (record := record_from_dict(json.loads(line), schema)).item.group]
        with av.open(str(source / "road.mp4")) as clip:
            for i, (frame, record) in enumerate(zip(clip.decode(video=0), truth, strict=True)):
                image = Image(
                    frame.to_ndarray(format="rgb24"), Item(str(i), "road.mp4", "road", i), VideoFrame(seconds=frame.time)
                )
                started = time.perf_counter()
                labels = model.predict([image])[0]
                seconds.append(time.perf_counter() - started)
                sums[record.labels.context["timeofday"]] += count(labels, record.labels, schema.under("vehicle"), image.size)
                if args.draw and i % 10 == 0:
                    draw(args.draw, i, image.pixels, labels)
    print("| light | vehicles | P .3 | P .5 | of truth | R .3 | R .5 | lines | P | of truth | R |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for light, counts in sums.items():
        n = dict(zip(KEYS, counts.tolist(), strict=True))
        shares = [("right .3", "proposed"), ("right .5", "proposed"), ("found .3", "true"), ("found .5", "true")]
        a, b, c, d, p, r = (
            f"{n[part] / n[whole]:.2f}" if n[whole] else "-"
            for part, whole in [*shares, ("right", "lines"), ("found", "true lines")]
        )
        print(
            f"| {light} | {n['proposed']} | {a} | {b} | {n['true']} | {c} | {d} | {n['lines']} | {p} | {n['true lines']} | {r} |"
        )
    print(f"\nn = {args.frames} frames; {1e3 * float(np.median(seconds)):.0f} ms per frame (median, one core for OpenCV).")


def draw(folder, i, pixels, labels):
    folder.mkdir(parents=True, exist_ok=True)
    picture = pixels[:, :, ::-1].copy()
    for box, kind, shape, score in zip(labels.box.round().astype(int), labels.kind, labels.shape, labels.score, strict=True):
        if kind == Kind.POLYLINE:
            cv2.polylines(picture, [shape.round().astype(int)], False, (0, 255, 0), 2)
        else:
            cv2.rectangle(picture, box[:2].tolist(), box[2:].tolist(), (0, 0, 255), 2)
            cv2.putText(picture, f"{score:.2f}", box[:2].tolist(), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 255), 2)
    cv2.imwrite(str(folder / f"{i:04d}.png"), picture)


if __name__ == "__main__":
    main()
