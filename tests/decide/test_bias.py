"""The bias audit: figures by declared group, their intervals, and what it warns of."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

from hyla.average_precision import wilson
from hyla.decide.bias import MISSING, audit
from hyla.errors import ConfigError, StageError

_ = np.nan


def site(*counts: tuple[str, int, int]) -> tuple[dict[str, list[str]], np.ndarray]:
    """Return groups and errors of name, wrong and right pictures."""
    names = [name for name, wrong, right in counts for _i in range(wrong + right)]
    return {"site": names}, np.concatenate([np.repeat([1.0, 0.0], [wrong, right]) for _n, wrong, right in counts])


def test_figures_are_those_of_each_group() -> None:
    groups, wrong = site(("A", 4, 36), ("B", 10, 30))
    wrong[0] = _
    n = len(wrong)
    report = audit(
        groups, wrong, accepted=np.arange(n) % 2 == 0, seconds=np.where(np.arange(n) < 40, 2.0, 6.0) + np.arange(n) % 2
    )
    a, b = report.attributes[0].groups
    assert (a.name, a.pictures, b.name, b.pictures) == ("A", 40, "B", 40)
    assert (a.error.value, a.error.n) == (pytest.approx(3 / 39), 39)
    assert (a.error.low, a.error.high) == pytest.approx(wilson(3, 39))
    assert (b.error.low, b.error.high) == pytest.approx(wilson(10, 40))
    assert (a.accepted.value, (a.accepted.low, a.accepted.high)) == (0.5, pytest.approx(wilson(20, 40)))
    assert (a.seconds.value, b.seconds.value) == (2.5, 6.5)
    assert a.seconds.low is not None
    # Student's t of 39 degrees is 2.0227; the standard deviation of 20 zeros and 20 ones 0.50637.
    assert a.seconds.low == pytest.approx(2.5 - 2.0227 * 0.50637 / 40**0.5, abs=1e-4)
    assert report.overall.error.value == pytest.approx(13 / 79)
    assert report.overall.pictures == n


def test_the_gap_is_newcombes() -> None:
    # Newcombe 1998, table II, case (a), method 10: 56/70 less 48/80 is 0.2 from 0.0524 to 0.3339.
    groups, wrong = site(("A", 56, 14), ("B", 48, 32))
    (gap,) = audit(groups, wrong).attributes[0].gaps
    assert (gap.what, gap.high, gap.low, gap.clear, gap.difference.n) == ("error", "A", "B", True, 150)
    assert (gap.difference.value, gap.difference.low, gap.difference.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_sizes_weigh_and_what_weighs_nothing_tells_nothing() -> None:
    groups, wrong = site(("A", 10, 30))
    size = np.where(np.arange(40) < 20, 1.0, 1e-9)  # half of them as good as not there
    figure = audit(groups, wrong, size).attributes[0].groups[0].error
    assert figure.value == pytest.approx(0.5)
    assert (figure.low, figure.high) == pytest.approx(wilson(10, 20))
    assert figure.n == 40
    heavy = audit(groups, wrong, np.full(40, 7.0)).attributes[0].groups[0].error
    assert (heavy.low, heavy.high) == pytest.approx(wilson(10, 40))


def test_a_group_that_is_small_or_unknown_is_warned_of_and_makes_no_gap() -> None:
    groups, wrong = site(("A", 3, 57), ("B", 6, 54), ("tiny", 5, 0), ("dark", 0, 4))
    wrong[-4:] = _
    report = audit(groups, wrong)
    (gap,) = report.attributes[0].gaps
    assert (gap.high, gap.low, gap.clear) == ("B", "A", False)
    dark, tiny = sorted(report.warnings)
    assert dark == "site dark: nothing is known of the error in 4 pictures"
    assert tiny == "site tiny: 5 pictures with a known answer are few; the error may be as high as 1.00"
    assert not audit(*site(("A", 0, 40))).attributes[0].gaps


def test_a_gap_that_is_no_chance_is_said() -> None:
    report = audit(*site(("A", 2, 198), ("B", 50, 150), ("C", 4, 196)), accepted=np.repeat([True, False, True], 200))
    assert [w.split(",")[0] for w in report.warnings] == [
        "site: the share of error is higher in B than in A",
        "site: the share accepted unseen is higher in A than in B",
    ]
    text = str(report)
    assert "largest gap, share of error: B over A by 0.240" in text
    assert "no certificate" in text
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert plain["attributes"][0]["gaps"][0]["difference"]["n"] == 400


def test_chance_alone_is_seldom_called_a_gap() -> None:
    rng = np.random.default_rng(0)
    groups = {"site": np.repeat([*"ABCDEF"], 60).tolist()}
    clear = [audit(groups, rng.random(360) < 0.15).attributes[0].gaps[0].clear for _sim in range(120)]
    assert np.mean(clear) <= 0.08


def test_several_attributes_and_what_is_not_declared() -> None:
    groups: dict[str, list[Any]] = {"site": ["A", None, "B", ""] * 10, "year": [2024, 2025, np.nan, 2025] * 10}
    report = audit(groups, np.zeros(40), seconds=[_] * 39 + [3.0])
    assert [[g.name for g in one.groups] for one in report.attributes] == [[MISSING, "A", "B"], [MISSING, "2024", "2025"]]
    assert report.attributes[0].groups[0].pictures == 20
    assert report.overall.seconds.value is None  # one value has no interval
    assert report.overall.seconds.n == 1
    json.dumps(report.to_dict(), allow_nan=False)


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="an attribute that divides them"):
        audit({}, [0, 1])
    with pytest.raises(ConfigError, match="needs pictures"):
        audit({"site": []}, [])
    with pytest.raises(StageError, match=r"\{'site': 3\}"):
        audit({"site": ["A"] * 3}, [0, 1])
    for size, wrong in (([1, 0], [0, 1]), ([1, 1], [0, -1])):
        with pytest.raises(StageError, match="sizes must be above 0"):
            audit({"site": ["A", "B"]}, wrong, size)
    monkeypatch.setitem(sys.modules, "fairlearn.metrics", None)
    with pytest.raises(ConfigError, match="fairlearn") as e:
        audit({"site": ["A", "B"]}, [0, 1])
    assert e.value.hint == "pip install 'hyla[decide]'"
