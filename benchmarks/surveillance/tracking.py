"""Compare trackers by HOTA, IDF1 and MOTA (TrackEval) on the same frames and detections, and time them.

    python benchmarks/surveillance/tracking.py --data DIR/mot17_04 --weights yolov8n.pt

Arms: Hyla's own bytetrack and botsort, those of the package `trackers`, and ultralytics' track() and its trackers. Sequences:
the real frames (MOTChallenge folder, yolov8n at 1280) and people who walk over a square (crowd.py), at 8 and 25 Hz.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import crowd
import numpy as np

from hyla import privacy
from hyla.frame import VideoFrame
from hyla.schema import Schema
from hyla.tracking import Tracker
from hyla.types import Image, Item, Labels

SCHEMA = Schema.from_config(
    {"name": "people", "kinds": ["box", "track"], "classes": {"person": {"kinds": ["box"], "codes": {"coco": "person"}}}}
)
OURS = {
    "hyla bytetrack": ("bytetrack", True),
    "hyla bytetrack, boxes as found": ("bytetrack", False),
    "hyla botsort": ("botsort", True),
    "trackers bytetrack": ("trackers_bytetrack", False),
    "trackers botsort": ("trackers_botsort", False),
    "trackers ocsort": ("ocsort", False),
}
THEIRS = ("bytetrack", "botsort")
Rows = list[tuple[int, int, np.ndarray]]  # frame from 1, identity, box


def hyla(
    name: str, smooth: bool, frames: Iterable[tuple[float, np.ndarray, np.ndarray, np.ndarray | None]]
) -> tuple[Rows, list[float]]:
    """Track (seconds, boxes, scores, pixels) and return rows, and milliseconds of each frame."""
    tracker, rows, spent = Tracker(name, SCHEMA, lost=2.0, instant=True, smooth=smooth), [], []
    for i, (seconds, box, score, pixels) in enumerate(frames):
        image = Image(
            np.zeros((*crowd.SIZE, 3), np.uint8) if pixels is None else pixels, Item(str(i), "c", "c", i), VideoFrame(seconds, i)
        )
        labels = Labels.of(np.zeros(len(box), int), box, score=score)
        begin = time.perf_counter()
        found = tracker.update(image.item, labels, image)
        spent.append(1000 * (time.perf_counter() - begin))
        rows += [(i + 1, int(t), b) for t, b in zip(found.track, found.box, strict=True) if t > 0]
    return rows, spent


def ultralytics(name: str, frames: Iterable[tuple[float, np.ndarray, np.ndarray, np.ndarray | None]]) -> tuple[Rows, list[float]]:
    """Track the same detections with ultralytics' tracker, in its default settings."""
    from ultralytics.cfg import ROOT
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.bot_sort import BOTSORT
    from ultralytics.trackers.byte_tracker import BYTETracker
    from ultralytics.utils import YAML

    settings = SimpleNamespace(**YAML.load(ROOT / f"cfg/trackers/{name}.yaml"))
    if name == "botsort":
        settings.gmc_method = "none"  # the camera stands, and there are no pictures
    tracker = (BOTSORT if name == "botsort" else BYTETracker)(settings)
    rows, spent = [], []
    for i, (_, box, score, pixels) in enumerate(frames):
        given = np.column_stack([box, score, np.zeros(len(box))]).astype(np.float32).reshape(-1, 6)
        begin = time.perf_counter()
        found = tracker.update(Boxes(given, crowd.SIZE), pixels)
        spent.append(1000 * (time.perf_counter() - begin))
        rows += [(i + 1, int(one[4]), one[:4]) for one in found]
    return rows, spent


def ultralytics_track(name: str, paths: list[Path], weights: str, imgsz: int) -> Rows:
    """Run ultralytics' own track() over pictures."""
    from ultralytics import YOLO

    model, rows = YOLO(weights), []
    for i, path in enumerate(paths):
        found = model.track(str(path), persist=True, tracker=f"{name}.yaml", imgsz=imgsz, classes=[0], verbose=False)[0].boxes
        if found.id is not None:
            rows += [(i + 1, int(t), b) for t, b in zip(found.id.tolist(), found.xyxy.numpy(), strict=True)]
    return rows


def detected(paths: list[Path], weights: str, imgsz: int) -> list[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
    """Detect people with Hyla's finder on the same weights."""
    from hyla.images import read_image
    from hyla_surveillance.yolo import Yolo

    model = Yolo(SCHEMA, weights, imgsz=imgsz, device="cpu")
    out = []
    for i, path in enumerate(paths):
        pixels = np.asarray(read_image(path))
        labels = model.predict([Image(pixels, Item(str(i), path.name, "c", i))])[0]
        out.append((i / 30, labels.box, labels.score, pixels))
    return out


def with_lap() -> None:
    """Give ultralytics its package `lap` where it is not installed: the same optimum, found by SciPy."""
    if find_spec("lap"):
        return
    from scipy.optimize import linear_sum_assignment

    def lapjv(cost: np.ndarray, *, cost_limit: float, **_: bool) -> tuple[float, np.ndarray, np.ndarray]:
        n, m = cost.shape
        large = np.full((n + m, n + m), cost_limit / 2)  # what it costs to leave one alone, as lap extends its matrix
        large[:n, :m], large[n:, m:] = cost, 0.0
        rows, columns = linear_sum_assignment(large)
        x, y = np.full(n, -1), np.full(m, -1)
        for i, j in zip(rows, columns, strict=True):
            if i < n and j < m:
                x[i], y[j] = j, i
        return float(large[rows, columns].sum()), x, y

    sys.modules["lap"] = module = ModuleType("lap")
    module.lapjv, module.__version__ = lapjv, "0.5.12"


def evaluate(truth: str, length: int, arms: dict[str, Rows]) -> dict[str, dict[str, float]]:
    """Return HOTA, IDF1, MOTA and identity switches of each arm, by TrackEval, with MOTChallenge's own preprocessing."""
    import trackeval

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "gt/one/gt").mkdir(parents=True)
        (root / "gt/one/gt/gt.txt").write_text(truth)
        for name, rows in arms.items():
            path = root / "trackers" / name / "data/one.txt"
            path.parent.mkdir(parents=True)
            lines = (f"{f},{t},{b[0]:.2f},{b[1]:.2f},{b[2] - b[0]:.2f},{b[3] - b[1]:.2f},1,-1,-1,-1\n" for f, t, b in rows)
            path.write_text("".join(lines))
        quiet = {"PRINT_RESULTS": False, "PRINT_CONFIG": False, "TIME_PROGRESS": False, "PLOT_CURVES": False}
        quiet |= {"OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "LOG_ON_ERROR": None}
        data = {"GT_FOLDER": str(root / "gt"), "TRACKERS_FOLDER": str(root / "trackers"), "SKIP_SPLIT_FOL": True}
        data |= {"SEQ_INFO": {"one": length}, "PRINT_CONFIG": False}
        metrics = [
            trackeval.metrics.HOTA(),
            trackeval.metrics.CLEAR({"PRINT_CONFIG": False}),
            trackeval.metrics.Identity({"PRINT_CONFIG": False}),
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            result, _ = trackeval.Evaluator(quiet).evaluate([trackeval.datasets.MotChallenge2DBox(data)], metrics)
    out = {}
    for name in arms:
        one = result["MotChallenge2DBox"][name]["one"]["pedestrian"]
        out[name] = {
            "HOTA": 100 * float(np.mean(one["HOTA"]["HOTA"])),
            "IDF1": 100 * float(one["Identity"]["IDF1"]),
            "MOTA": 100 * float(one["CLEAR"]["MOTA"]),
            "switches": int(one["CLEAR"]["IDSW"]),
        }
    return out


def table(title: str, figures: dict[str, dict[str, float]], spent: dict[str, list[float]]) -> None:
    print(f"\n{title}\n{'':32}{'HOTA':>7}{'IDF1':>7}{'MOTA':>7}{'switches':>10}{'ms/frame median, 95 %':>24}")
    for name, one in figures.items():
        ms = f"{np.median(spent[name]):.2f}, {np.percentile(spent[name], 95):.2f}" if name in spent else ""
        print(f"{name:32}{one['HOTA']:7.2f}{one['IDF1']:7.2f}{one['MOTA']:7.2f}{one['switches']:10d}{ms:>24}")


def main() -> None:
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--data", type=Path, help="MOTChallenge folder with truth")
    parse.add_argument("--weights", default="yolov8n.pt")
    parse.add_argument("--imgsz", type=int, default=1280)
    parse.add_argument("--people", type=int, default=25)
    parse.add_argument("--seconds", type=float, default=300)
    parse.add_argument("--seeds", type=int, default=3)
    given = parse.parse_args()
    privacy.offline()
    with_lap()
    if given.data:
        paths = sorted((given.data / "img1").glob("*.jpg"))
        frames = detected(paths, given.weights, given.imgsz)
        arms = {name: hyla(*how, frames)[0] for name, how in OURS.items()}
        arms |= {f"ultralytics track() {name}": ultralytics_track(name, paths, given.weights, given.imgsz) for name in THEIRS}
        truth = (given.data / "gt/gt.txt").read_text()
        boxes = sum(line.split(",")[7] == "1" for line in truth.splitlines())
        table(f"{given.data.name}: n = {len(paths)} frames, {boxes} boxes", evaluate(truth, len(paths), arms), {})
    for fps in (8.0, 25.0):
        for seed in range(100, 100 + given.seeds):  # not those that anything was tuned on
            walked = crowd.walk(given.people, given.seconds, fps, seed)
            frames = [(one.seconds, one.box, one.score, None) for one in walked]
            truth = "".join(
                f"{i + 1},{t},{b[0]:.2f},{b[1]:.2f},{b[2] - b[0]:.2f},{b[3] - b[1]:.2f},1,1,1\n"
                for i, one in enumerate(walked)
                for t, b in zip(one.people, one.truth, strict=True)
            )
            done = {name: hyla(*how, frames) for name, how in OURS.items() if "botsort" not in name}
            done |= {f"ultralytics {name}": ultralytics(name, frames) for name in THEIRS}
            figures = evaluate(truth, len(walked), {name: rows for name, (rows, _) in done.items()})
            count = sum(len(one.people) for one in walked)
            title = (
                f"square at {fps:.0f} Hz, seed {seed}: n = {len(walked)} frames, {count} boxes, {given.people} people at a time"
            )
            table(title, figures, {name: spent for name, (_, spent) in done.items()})


if __name__ == "__main__":
    main()
