"""What Hyla saves on recorded predictions, and how often it is wrong: less than the benchmark, on the same data."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

LABELS = Path(__file__).resolve().parents[2] / "benchmarks/decide/labels.py"
# % of the items that need no person: what the best exact test of the accepted items' own errors gives at any size of audit.
GOALS = [
    ("imagenet", 0.05, 62.0),
    ("imagenet", 0.02, 46.0),
    ("imagenet", 0.01, 34.4),
    ("imagenetv2", 0.05, 40.2),
    ("imagenetv2", 0.02, 26.6),
    ("stance", 0.05, 29.1),
    ("stance", 0.02, 19.5),
    ("misinfo", 0.05, 20.5),
    ("misinfo", 0.02, 7.5),
]
AUDITS = 240


@pytest.fixture(scope="module")
def labels() -> ModuleType:
    """Return the benchmark as a module."""
    spec = importlib.util.spec_from_file_location("labels_benchmark", LABELS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their own names
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "eps", "goal"), GOALS)
def test_recorded_predictions(labels: ModuleType, shared: Path, name: str, eps: float, goal: float) -> None:
    data = labels.read(shared / "data/pac-labels", name)
    audits, lots = (AUDITS, 2) if name == "imagenet" else (1000, 8)
    found = labels.hyla(data, eps, audits, np.random.default_rng(0), lots=lots)
    assert found["within"], found
    assert 100 * found["saved"] >= goal, found
    assert found["q95"] <= 1.05 * eps  # close to what is promised, and so nothing given away: 95 % are below


@pytest.mark.parametrize(("name", "error"), [("misinfo", 0.0707), ("stance", 0.1013)])
def test_confidence_alone_promises_nothing(labels: ModuleType, shared: Path, name: str, error: float) -> None:
    found = labels.naive(labels.read(shared / "data/pac-labels", name), 0.05, 1, np.random.default_rng(0))
    assert found["q95"] == pytest.approx(error, abs=1e-4)  # of all items, with confidence 0.9 and more taken as right


@pytest.mark.parametrize(("name", "eps", "goal"), [("misinfo", 0.05, 28), ("misinfo", 0.02, 20), ("stance", 0.05, 31)])
def test_answers_before_the_freeze_teach_a_better_order(
    labels: ModuleType, shared: Path, name: str, eps: float, goal: float
) -> None:
    data = labels.read(shared / "data/pac-labels", name)
    with threadpool_limits(1):
        found = labels.learned(data, eps, AUDITS, np.random.default_rng(0), lots=6)
    assert found["within"], found
    assert 100 * found["saved"] >= goal, found


@pytest.mark.parametrize("name", ["calibrated", "overconfident", "adversarial"])
def test_synthetic_scores_whose_truth_is_drawn_anew_for_each_audit(labels: ModuleType, name: str) -> None:
    data = labels.synthetic(name, np.random.default_rng(1))
    found = labels.hyla(data, 0.02, AUDITS, np.random.default_rng(0), lots=1)
    assert found["within"], found
    assert 100 * found["saved"] >= 20, found
    assert not labels.naive(data, 0.02, AUDITS, np.random.default_rng(0))["within"]


def test_the_tolerance_sees_three_errors_too_many(labels: ModuleType, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most_found = labels.most_found
    monkeypatch.setattr(labels, "most_found", lambda *args: most_found(*args) + 3)
    monkeypatch.setattr(labels, "PROVED", 0)
    data = labels.read(shared / "data/pac-labels", "stance")
    assert not labels.hyla(data, 0.05, 1000, np.random.default_rng(0), lots=8)["within"]


def test_stopping_at_any_time_holds_too(labels: ModuleType, shared: Path) -> None:
    data = labels.read(shared / "data/pac-labels", "stance")
    found = labels.hyla(data, 0.05, AUDITS, np.random.default_rng(0), mode="early", lots=4)
    assert found["within"], found
    assert 100 * found["saved"] >= 25, found
