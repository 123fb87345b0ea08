"""Time the path without weights, and compare its people with those of a detector.

    OMP_NUM_THREADS=1 python benchmarks/surveillance/motion.py --clip vtest.avi --weights yolov8n.pt

One core: OpenCV, the decoder and BLAS have one thread each, and time is that of the processor, which other work on the machine
does not count into. A clip is decoded, reduced to 8 frames per second as a run does, and watched by Motion, Tracker and Scene;
"x real time" is seconds of the clip by seconds of work. The detector's boxes (yolov8n at the size of the frames, score 0.4 and
more) stand in for truth: it misses people too.
"""

from __future__ import annotations

import argparse
import time
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import yaml

from hyla.bytetrack import overlap
from hyla.schema import Schema
from hyla.tracking import Tracker
from hyla.types import Labels
from hyla_surveillance.loaders import Recordings
from hyla_surveillance.motion import Motion
from hyla_surveillance.scene import Scene

IOU = 0.4
CONF = resources.files("hyla_surveillance") / "conf"
SCHEMA = Schema.from_config(yaml.safe_load((CONF / "preset" / "surveillance.yaml").read_text(encoding="utf-8"))["schema"])


def interval(hits: list[tuple[int, int]]) -> str:
    """Return the ratio of (hits, of) pairs, one per frame, with a bootstrap interval of 95 % over stretches of 5 s, and n."""
    blocks = [np.sum(hits[i : i + 40], axis=0) for i in range(0, len(hits), 40)]
    rng = np.random.default_rng(0)
    drawn = [np.sum([blocks[i] for i in rng.integers(len(blocks), size=len(blocks))], axis=0) for _ in range(2000)]
    low, high = np.percentile([a / max(n, 1) for a, n in drawn], [2.5, 97.5])
    found, of = np.sum(hits, axis=0)
    return f"{found / max(of, 1):.3f} (n = {of}, 95 % {low:.2f} to {high:.2f})"


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--clip", type=Path, required=True)
    parse.add_argument("--weights", help="of ultralytics; without, nothing is compared")
    parse.add_argument("--width", type=int, default=640)
    given = parse.parse_args()
    cv2.setNumThreads(1)
    loader, motion, scene = Recordings(threads=1), Motion(SCHEMA, width=given.width), Scene()
    tracker = Tracker(schema=SCHEMA, lost=2.0, instant=True, smooth=True)
    spent: dict[str, list[float]] = {name: [] for name in ("decode", "motion", "track", "scene")}
    found: list[Labels] = []
    items = list(loader.items(str(given.clip)))
    for item in items:
        marks = [time.process_time()]
        image = loader.load(item)
        marks.append(time.process_time())
        labels = motion.predict([image])[0]
        marks.append(time.process_time())
        found.append(tracker.update(item, labels, image))
        marks.append(time.process_time())
        scene.update(item, image)
        marks.append(time.process_time())
        for name, ms in zip(spent, 1000 * np.diff(marks), strict=True):
            spent[name].append(float(ms))
    seconds = items[-1].meta["seconds"] - items[0].meta["seconds"]
    print(f"{given.clip.name}: {image.size[1]} x {image.size[0]}, n = {len(items)} frames of {seconds:.1f} s")
    for name, ms in spent.items():
        print(f"  {name:8}{np.median(ms):7.2f} ms a frame, median; {np.percentile(ms, 95):7.2f} ms at 95 %")
    print(f"  {seconds / (np.sum(spent['motion']) / 1000):.1f} x real time for motion alone")
    print(f"  {seconds / (sum(map(sum, spent.values())) / 1000):.1f} x real time with decoding, tracking and scene")
    tracks, counts = np.unique(np.concatenate([one.track[one.track > 0] for one in found]), return_counts=True)
    print(f"  {len(tracks)} tracks, median {np.median(counts) / 8:.1f} s")
    if given.weights:
        from hyla_surveillance.yolo import Yolo

        model = Yolo(SCHEMA, given.weights, imgsz=-(-max(image.size) // 32) * 32, conf=0.4, device="cpu", threads=1)
        person = SCHEMA.class_id("person")
        recall, precision = [], []
        for item, one in list(zip(items, found, strict=True))[40:]:  # after 5 s
            truth = model.predict([loader.load(item)])[0]
            a, b = truth.box[truth.class_id == person], one.box[one.class_id == person]
            near = overlap(a, b) > IOU
            recall.append((int(near.any(axis=1).sum()) if near.size else 0, len(a)))
            precision.append((int(near.any(axis=0).sum()) if near.size else 0, len(b)))
        print(f"  of the detector's people found (IoU {IOU}): {interval(recall)}")
        print(f"  of the people found, the detector's: {interval(precision)}")


if __name__ == "__main__":
    main()
