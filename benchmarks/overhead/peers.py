"""The arms that run in the environment of another tool, where Hyla is not installed: python peers.py ARM FOLDER."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def autodistill(job: dict[str, Any]) -> dict[str, Any]:
    """Label a folder with autodistill's YOLOv8 base model; it pins an ultralytics of its own (8.0.81)."""
    import torch
    import ultralytics.nn.modules as modules
    from autodistill.detection import CaptionOntology
    from autodistill_yolov8 import YOLOv8Base

    for name in ("conv", "block", "head", "transformer"):  # weights saved by a later version name a package with these parts
        sys.modules.setdefault(f"ultralytics.nn.modules.{name}", modules)
    names = job["classes"]
    base = YOLOv8Base(CaptionOntology({name: name for name in names}), job["weights"])
    predict = base.predict

    def equal(image: Any, **_: Any) -> Any:
        torch.set_num_threads(job["threads"])  # ultralytics puts it to one less than there are cores
        return predict(image, confidence=job["conf"])

    base.predict = equal
    start = time.perf_counter()
    dataset = base.label(input_folder=job["source"], extension=".jpg", output_folder=str(Path(job["out"]) / "labelled"))
    seconds = time.perf_counter() - start
    boxes = [
        [Path(path).name, names[index], *box, score]
        for path, found in dataset.annotations.items()
        for box, score, index in zip(found.xyxy.tolist(), found.confidence.tolist(), found.class_id.tolist(), strict=True)
    ]
    return {"images": len(dataset.annotations), "seconds": seconds, "boxes": boxes}


def fiftyone(job: dict[str, Any]) -> dict[str, Any]:
    """Label a folder with FiftyOne's apply_model; its database runs as a process of this one."""
    server = (
        Path(sys.prefix)
        / "lib"
        / f"python{sys.version_info.major}.{sys.version_info.minor}"
        / "site-packages/fiftyone/db/bin/mongod"
    )
    out = Path(job["out"])
    (out / "db").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        str(server),
        "--dbpath",
        str(out / "db"),
        "--port",
        str(port),
        "--bind_ip",
        "127.0.0.1",
        "--logpath",
        str(out / "log"),
    ]
    database = subprocess.Popen(words)
    try:
        address = f"mongodb://127.0.0.1:{port}"
        os.environ.update(FIFTYONE_DATABASE_URI=address, FIFTYONE_DATABASE_VALIDATION="false", FIFTYONE_DO_NOT_TRACK="true")
        return _fiftyone(job)
    finally:
        database.terminate()
        database.wait()


def _fiftyone(job: dict[str, Any]) -> dict[str, Any]:
    import fiftyone
    import torch
    from ultralytics import YOLO

    model = YOLO(job["weights"])
    model.overrides.update(conf=job["conf"], iou=job["iou"], max_det=job["most"], device="cpu", verbose=False)
    model.add_callback("on_predict_start", lambda _: torch.set_num_threads(job["threads"]))
    start = time.perf_counter()
    dataset = fiftyone.Dataset.from_images_dir(job["source"])
    dataset.apply_model(model, label_field="found", confidence_thresh=job["conf"], batch_size=1, num_workers=0)
    seconds = time.perf_counter() - start
    boxes = []
    dataset.compute_metadata()
    for sample in dataset.iter_samples():
        width, height = sample.metadata.width, sample.metadata.height
        for one in sample.found.detections if sample.found else []:
            x, y, w, h = one.bounding_box
            box = [x * width, y * height, (x + w) * width, (y + h) * height]
            boxes.append([Path(sample.filepath).name, one.label, *box, one.confidence])
    return {"images": len(dataset), "seconds": seconds, "boxes": boxes}


def stay_here(home: Path) -> None:
    """Keep what these tools would send on this machine, and their settings out of the user's home folder."""
    os.environ.update(HOME=str(home), YOLO_CONFIG_DIR=str(home), YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")
    connect = socket.socket.connect

    def local(one: socket.socket, address: Any) -> Any:
        if one.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"{address} is not on this machine")
        return connect(one, address)

    socket.socket.connect = local  # type: ignore[method-assign]


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    stay_here(folder)
    done = {"autodistill": autodistill, "fiftyone": fiftyone}[sys.argv[1]](json.loads((folder / "job.json").read_text()))
    (folder / "result.json").write_text(json.dumps(done))
