"""Drift between lots: a warning where there is one, and no more than that."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hyla.decide.drift import drift
from hyla.errors import StageError


def test_scores_that_fell_and_losses_that_rose_are_warned_of() -> None:
    rng = np.random.default_rng(0)
    before = {"scores": rng.beta(8, 2, 3000), "losses": rng.random(300) < 0.03}
    report = drift(before, {"scores": rng.beta(5, 3, 3000), "losses": rng.random(300) < 0.12})
    assert report.warning
    assert [one.warning for one in report.figures] == [True, True]
    assert report.why.startswith("scores changed (0.799")
    assert "losses changed (0.0" in report.why
    assert report.note in str(report)
    assert "Kolmogorov-Smirnov" in str(report)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["figures"][1]["test"] == "permutation of means"


def test_a_spread_that_grew_is_seen_though_the_mean_stayed() -> None:
    rng = np.random.default_rng(0)
    report = drift({"scores": rng.beta(20, 20, 1000)}, {"scores": rng.beta(2, 2, 1000)})
    assert report.warning
    assert report.figures[0].mean_now == pytest.approx(report.figures[0].mean_before, abs=0.02)


def test_lots_of_one_kind_warn_no_more_often_than_said() -> None:
    rng = np.random.default_rng(0)
    # Losses as an audit gives them: most are 0, the others anything.
    found = [
        drift(*({"scores": rng.beta(8, 2, 400), "losses": (rng.random(200) < 0.1) * rng.random(200)} for _side in range(2)))
        for _sim in range(200)
    ]
    assert np.mean([one.warning for one in found]) <= 0.08  # 0.05 and two standard errors
    assert "does not prove that there is none" in found[0].why
    losses = [one.figures[1].p for one in found]
    assert np.mean(np.array(losses, dtype=float) <= 0.2) == pytest.approx(0.2, abs=0.09)  # neither idle nor eager


def test_the_test_of_losses_is_as_good_as_all_permutations() -> None:
    rng = np.random.default_rng(1)
    before, now = (rng.random(120) < 0.05).astype(float), (rng.random(120) < 0.15).astype(float)
    pooled, real = np.r_[before, now], now.mean() - before.mean()
    shuffled = np.array([rng.permutation(pooled) for _round in range(20000)])
    exact = np.mean(np.abs(shuffled[:, 120:].mean(axis=1) - shuffled[:, :120].mean(axis=1)) >= abs(real) - 1e-12)
    (channel,) = drift({"losses": before}, {"losses": now}).figures
    assert channel.difference == pytest.approx(real)
    assert channel.p == pytest.approx(exact, abs=0.01)


def test_a_difference_too_small_to_matter_is_no_warning_in_a_large_lot() -> None:
    rng = np.random.default_rng(0)
    report = drift({"scores": rng.normal(0.5, 0.1, 100_000)}, {"scores": rng.normal(0.505, 0.1, 100_000)})
    (channel,) = report.figures
    assert channel.p is not None
    assert channel.p < 1e-6
    assert not report.warning
    assert drift({"scores": rng.normal(0.5, 0.1, 999)}, {"scores": rng.normal(0.53, 0.1, 999)}, least=0.0).warning


def test_few_values_say_nothing_and_what_is_unknown_is_left_out() -> None:
    report = drift({"losses": np.zeros(19), "scores": []}, {"losses": np.ones(500), "scores": np.ones(500)})
    assert (report.warning, report.why) == (False, "too few to tell: losses, scores")
    assert report.figures[1].mean_before is None
    assert "too few" in str(report)
    same = drift({"losses": [0, np.nan] * 40}, {"losses": [0, np.nan] * 20})
    assert (same.figures[0].p, same.figures[0].before, same.warning) == (1.0, 40, False)


def test_lots_without_a_common_channel_are_refused() -> None:
    with pytest.raises(StageError, match="compared by a channel of both"):
        drift({"scores": [1]}, {"losses": [1]})
    with pytest.raises(StageError, match="level between 0 and 1"):
        drift({"scores": [1]}, {"scores": [1]}, level=0)
    with pytest.raises(StageError, match="level between 0 and 1"):
        drift({"scores": [1]}, {"scores": [1]}, level=1)
