"""Small networks with random weights, so that tests of detectors need no real ones."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

NAMES = ("car", "person", "traffic light", "kite")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep exports of one test session together, away from the user's cache."""
    folder = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def yolo_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with tiny random checkpoints of ultralytics: detect.pt, segment.pt, end2end.pt, classify.pt."""
    if find_spec("ultralytics") is None:  # importing it here would be before its switches are set
        pytest.skip("ultralytics is not installed")
    from hyla_driving.yolo import _ultralytics

    tasks = _ultralytics()
    folder = tmp_path_factory.mktemp("weights")
    kinds = {"detect": "yolov8n.yaml", "segment": "yolov8n-seg.yaml", "end2end": "yolo26n.yaml"}
    for number, (name, config) in enumerate(kinds.items()):
        _save(folder / f"{name}.pt", tasks.SegmentationModel if name == "segment" else tasks.DetectionModel, config, number)
    import torch

    torch.save({"model": tasks.ClassificationModel("yolov8n-cls.yaml", nc=4, verbose=False)}, folder / "classify.pt")
    return folder


def _save(path: Path, cls: type, config: str, seed: int) -> None:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = cls(config, nc=len(NAMES), verbose=False)
        network.names = dict(enumerate(NAMES))
        norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
        for one in norms:
            one.momentum = 1.0
        with torch.no_grad():
            network.train()(torch.from_numpy(_noise(np.random.default_rng(seed), 4, 128, 128)))  # else all answers are alike
        for one in norms:
            one.momentum = 0.03
        head = network.model[-1]
        for branch in [*head.cv3, *(getattr(head, "one2one_cv3", None) or [])]:
            torch.nn.init.normal_(branch[-1].weight, std=0.25)
            torch.nn.init.constant_(branch[-1].bias, -4.0)
    torch.save({"model": network.eval()}, path)


def _noise(rng: np.random.Generator, n: int, height: int, width: int) -> np.ndarray:
    coarse = rng.random((n, 3, height // 8, width // 8), dtype=np.float32)
    return np.kron(coarse, np.ones((1, 1, 8, 8), dtype=np.float32))
