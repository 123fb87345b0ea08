"""How long an answer takes, assumed and measured."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hyla.decide.effort import Effort
from hyla.errors import ConfigError
from hyla.types import Kind, Labels


@dataclass
class Pace:
    mode: str
    action: str
    active_ms: int


def labels(*kinds: Kind) -> Labels:
    return Labels.of([0] * len(kinds), [[0, 0, 1, 1]] * len(kinds), kind=[int(kind) for kind in kinds])


def test_the_reference_says_what_nobody_measured() -> None:
    effort = Effort()
    assert effort.ask(labels(Kind.TAG, Kind.BOX, Kind.CUBOID)).tolist() == [1.8, 1.8, 3.6]
    assert [effort.fix(kind) for kind in (Kind.TAG, Kind.BOX, Kind.MASK, int(Kind.POLYGON))] == [1.8, 7, 26, 26]
    assert not any(one["measured"] for one in effort.basis.values())
    assert {f"fix {kind.word}" for kind in Kind} <= effort.basis.keys()


def test_a_whole_is_a_scan_with_its_labels_unless_they_are_asked_apart() -> None:
    effort, two = Effort(), labels(Kind.BOX, Kind.BOX)
    assert effort.whole(two) == pytest.approx(2.5 + 2 * 0.2)
    assert effort.whole(two, apart=False) == pytest.approx(2.5 + 2 * (0.2 + 1.8))
    assert effort.whole(Labels.empty()) == 2.5


def test_tags_are_not_scanned_for() -> None:
    assert Effort().whole(labels(Kind.TAG), apart=False) == 1.8
    assert Effort().whole(labels(Kind.TAG, Kind.BOX)) == pytest.approx(2.9)


def test_logged_times_replace_what_was_assumed() -> None:
    paces = [Pace("grid", "accept", ms) for ms in (700, 800, 900, 1000, 90_000)]
    paces += [Pace("single", "accept", ms) for ms in (4000, 5000, 6000, 7000, 8000)]
    paces += [Pace("single", "edit", ms) for ms in (9000, 10_000, 11_000, 12_000, 13_000)]
    effort = Effort().logged(paces)
    assert effort.ask(labels(Kind.BOX, Kind.CUBOID)).tolist() == [0.9, 0.9]
    assert effort.whole(labels(Kind.BOX, Kind.BOX), apart=False) == 6
    assert effort.fix(Kind.MASK) == 5
    assert effort.basis["verify"] == {"seconds": 0.9, "measured": True, "n": 5}
    assert effort.basis["fix box"]["n"] == 5


def test_few_or_made_up_times_change_nothing() -> None:
    paces = [Pace("grid", "accept", 700)] * 4
    paces += [Pace(mode, "accept", 700) for mode in ("import", "simulated")] * 10
    paces += [Pace("single", "accept", ms) for ms in (0, 3_600_000)] * 10  # not timed, and left open over lunch
    assert Effort().logged(paces) == Effort()


def test_an_edit_is_never_quicker_than_nothing() -> None:
    effort = Effort().logged([Pace("single", "edit", 1000)] * 5)
    assert effort.fix(Kind.BOX) == 0.5


@pytest.mark.parametrize(
    "given", [{"verify": 0}, {"scan": -1}, {"scan_label": -0.1}, {"fixes": {"box": 0}}, {"fixes": {"cube": 3}}]
)
def test_seconds_that_can_not_be_are_refused(given: dict) -> None:
    with pytest.raises(ConfigError):
        Effort(**given)
