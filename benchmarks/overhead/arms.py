"""The arms of the comparison that run in Hyla's own environment, each in a process of its own: python arms.py ARM FOLDER."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hyla import privacy

privacy.offline()


def loop(job: dict[str, Any]) -> dict[str, Any]:
    """Label with the same decoding, letterbox, network and suppression as Hyla's `yolo`, and nothing else."""
    import numpy as np

    from hyla.letterbox import Letterbox
    from hyla.weights import digest
    from hyla_driving import backends, heads, yolo

    path = Path(job["weights"])
    if job["backend"] == "torch":
        network: Any = backends.Torch(*yolo._load(path), "cpu", threads=job["threads"])
    else:
        kept = backends.exported(path, digest(path), yolo._versions())
        if not kept.is_file():
            module, facts = yolo._load(path)
            module.model[-1].dynamic = True
            backends.export(module, facts, kept)
        network = backends.OpenVino(kept, job["half"], job["threads"])
    names = network.facts.names
    wanted = np.ones(len(names), dtype=bool)
    list(network.run([np.zeros((1, 64, 64, 3), dtype=np.uint8)]))
    boxes: list[Any] = []
    fits: deque[Any] = deque()

    def inputs() -> Iterator[Any]:
        for name, pixels in decoded(job):
            fits.append((name, Letterbox.of(pixels.shape[:2], (640, 640))))
            yield fits[-1][1].apply(pixels)[None]

    images = 0
    start = time.perf_counter()
    for outputs in network.run(inputs()):
        name, fit = fits.popleft()
        found = heads.raw(outputs[0][0], wanted, job["conf"], job["iou"], job["most"])
        for index, box, score in zip(found.index, fit.restore(found.box).tolist(), found.score.tolist(), strict=True):
            boxes.append([name, names[index], *box, score])
        images += 1
    return {"images": images, "seconds": time.perf_counter() - start, "boxes": boxes}


def decoded(job: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (name, pixels), decoded as Hyla does; with `ahead`, on threads beside the network."""
    source = Path(job["source"])
    if job["video"]:
        from hyla.video import Video

        clip = Video()
        items: Any = clip.items(str(source))
        work: Callable[[Any], Any] = lambda item: (item.uri, clip.load(item).pixels)  # noqa: E731
        yield from ahead(work, items, 1) if job["ahead"] else map(work, items)
    else:
        from hyla.images import read_image

        work = lambda path: (path.name, read_image(path))  # noqa: E731
        paths = sorted(source.iterdir())
        yield from ahead(work, paths, job["threads"]) if job["ahead"] else map(work, paths)


def ahead(work: Callable[[Any], Any], things: Iterable[Any], workers: int) -> Iterator[Any]:
    waiting: deque[Any] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for thing in things:
            waiting.append(pool.submit(work, thing))
            if len(waiting) > 2 * workers + 8:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def predict(job: dict[str, Any]) -> dict[str, Any]:
    """Label with ultralytics' own loop, with its number of threads put right (it takes one less than there are cores)."""
    import numpy as np
    import torch
    from ultralytics import YOLO

    weights = Path(job["weights"])
    note = ""
    if job.get("export"):
        weights = exported(weights, Path(job["export"]))
        import openvino

        note = f" ({openvino.Core().get_property('CPU', 'INFERENCE_PRECISION_HINT').to_string()})"
    model = YOLO(str(weights), task="detect")
    model.add_callback("on_predict_start", lambda _: torch.set_num_threads(job["threads"]))
    given = {"conf": job["conf"], "iou": job["iou"], "max_det": job["most"], "imgsz": 640, "device": "cpu"}
    given |= {"batch": job["batch"], "verbose": False, "save": False}
    model.predict(np.zeros((64, 64, 3), dtype=np.uint8), **given)  # builds its predictor
    torch.set_num_threads(job["threads"])
    boxes, images = [], 0
    start = time.perf_counter()
    for one in model.predict(job["source"], stream=True, **given):
        table = one.boxes.data.tolist()
        boxes += [[Path(one.path).name, one.names[int(row[5])], *row[:4], row[4]] for row in table]
        images += 1
    seconds = time.perf_counter() - start
    assert torch.get_num_threads() == job["threads"]
    return {"images": images, "seconds": seconds, "boxes": boxes, "note": note}


def exported(weights: Path, folder: Path) -> Path:
    from ultralytics import YOLO

    folder.mkdir(exist_ok=True)
    kept = folder / f"{weights.stem}_openvino_model"
    if not kept.is_dir():
        shutil.copyfile(weights, folder / weights.name)
        YOLO(str(folder / weights.name)).export(format="openvino", dynamic=True, verbose=False)
    return kept


def costs(job: dict[str, Any]) -> dict[str, Any]:
    """Measure a call through pluggy against a plain one, and the store by picture."""
    import numpy as np

    from hyla import Image, Item, Labels, Model, Record, Rule, Schema, Verdict, hookimpl
    from hyla.plugins import Pipeline
    from hyla.store import Project, Stored

    class Nothing(Model):
        @hookimpl
        def predict(self, images: Any) -> Any:
            return images

    class Silent(Rule):
        @hookimpl
        def check(self, item: Any, labels: Any) -> Any:
            return None

    rng = np.random.default_rng(0)
    schema = Schema.from_config({"name": "bench", "classes": {f"c{i}": {} for i in range(80)}})
    item, labels = Item("i", "i.jpg"), Labels.empty()
    images = [Image(np.zeros((2, 2, 3), np.uint8), item)]
    model = Nothing()
    rows = []
    plain = each(lambda: model.predict(images))
    pipeline = Pipeline({"model": model, **{f"rules.r{i}": Silent() for i in range(10)}})
    rows.append(("predict through pluggy, less a plain call", each(lambda: pipeline.predict(images)) - plain))
    rows.append(("check of 10 rules through pluggy", each(lambda: pipeline.check(item, labels))))
    rows.append(("route through pluggy, nobody answering", each(lambda: pipeline.route(item, labels, ()))))
    for n in (6, 100):
        entries = []
        for i in range(2048):
            corner = rng.uniform(0, 300, (n, 2))
            box = np.concatenate([corner, corner + rng.uniform(1, 90, (n, 2))], axis=1)
            made = Labels.of(rng.integers(0, 80, n), box, score=rng.uniform(0.25, 1, n))
            one = Item(f"i{i}-{n}", f"i{i}.jpg")
            entries.append(Stored(Record(one, made, (), Verdict.REVIEW, "model:bench", (480, 640)), i, 0.0))
        with Project.create(Path(job["out"]) / f"store{n}") as project:
            project.start_run({}, schema, "bench", {}, {"name": "bench"})
            start = time.perf_counter()
            for i in range(0, len(entries), 64):
                project.write(entries[i : i + 64])
            rows.append((f"store one image with {n} labels", 1e6 * (time.perf_counter() - start) / len(entries)))
    return {"rows": rows}


def each(work: Callable[[], Any], times: int = 20_000) -> float:
    """Return microseconds per call."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return 1e6 * (time.perf_counter() - start) / times


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    done = {"loop": loop, "predict": predict, "costs": costs}[sys.argv[1]](json.loads((folder / "job.json").read_text()))
    (folder / "result.json").write_text(json.dumps(done))
