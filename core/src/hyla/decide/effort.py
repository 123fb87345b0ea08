"""Say how many seconds of a person an answer takes.

The numbers are for people at work on the review page, per action:

- verify, 1.8 s: yes or no to one label. 1.6 s of box verification (Papadopoulos et al. 2016, arXiv 1602.08405) and the page's own
  0.2 s. Yes or no to a whole picture takes 1 to 2 s, and to a mask in a cluster 1.04 s (Papadopoulos et al. 2021,
  ethanweber.me/scaling-anno), so that the same stands for every kind; for keypoints and cuboids, which are harder to see, twice
  of it is an assumption.
- fix of a tag, 1.8 s: another class at a key's press; an assumption.
- fix of a box, 7 s: extreme clicking (Papadopoulos et al. 2017, arXiv 1708.02750). Of a rotated box, 10 s: as much and a turn;
  an assumption.
- fix of a polygon or mask, 26 s: interactive segmentation at three times the speed of COCO's polygons, 79 s (Benenson et al.
  2019, arXiv 1903.10830). Polylines and keypoints are taken to be like it; a cuboid to be twice of it. Both are assumptions.
- scan, 2.5 s for a picture and 0.2 s for each label in it: whether anything is missing. An assumption, to be replaced by what is
  logged; nobody published it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hyla.errors import ConfigError
from hyla.types import Floats, Ints, Kind, Labels

FEWEST = 5  # logged timings of which a median is taken
LONGEST_S = 600.0  # what took longer was interrupted
VERIFY = MappingProxyType({"keypoints": 3.6, "cuboid": 3.6})
FIX = MappingProxyType(
    {
        "tag": 1.8,
        "box": 7.0,
        "rotated_box": 10.0,
        "polygon": 26.0,
        "polyline": 26.0,
        "keypoints": 26.0,
        "mask": 26.0,
        "cuboid": 52.0,
    }
)


class Pace(Protocol):
    """Say what a logged timing holds; see `hyla.store.recall.Timed`."""

    @property
    def mode(self) -> str: ...
    @property
    def action(self) -> str: ...
    @property
    def active_ms(self) -> int: ...


@dataclass(frozen=True)
class Measure:
    """Say where a number of the effort comes from: `seconds`, whether they were measured, and of how many timings."""

    seconds: float
    measured: bool
    n: int


@dataclass(frozen=True)
class Effort:
    """Hold the seconds that a person takes: a stage of the config group `decide`.

    Args:
        verify: yes or no to one label.
        scan: looking over a picture for what is missing.
        scan_label: the same, for each label in it.
        verifies: word of a kind -> seconds, where `verify` does not hold.
        fixes: word of a kind -> seconds of drawing or mending one label, where the usual ones do not hold.
        timed: what was measured, by name: verify, scan or fix; see `logged`.

    Raises:
        ConfigError: for seconds of 0 or less, and for a kind that there is not.
    """

    verify: float = 1.8
    scan: float = 2.5
    scan_label: float = 0.2
    verifies: Mapping[str, float] = field(default_factory=lambda: VERIFY)
    fixes: Mapping[str, float] = field(default_factory=lambda: FIX)
    timed: Mapping[str, Measure] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        words = [kind.word for kind in Kind]
        for name in ("verifies", "fixes"):
            for word in getattr(self, name):
                if word not in words:
                    raise ConfigError(f"decide.effort.{name} has the unknown kind {word!r}", choices=words)
        given = {"verify": self.verify, "scan": self.scan, **self.verifies, **self.fixes}
        for name, value in given.items():
            if not value > 0:
                raise ConfigError(f"decide.effort: {name} takes {value:g} s", "give seconds above 0")
        if self.scan_label < 0:
            raise ConfigError(f"decide.effort.scan_label is {self.scan_label:g}", "give seconds, 0 or more")

    def ask(self, labels: Labels) -> Floats:
        """Return the seconds (n,) that it takes to say of each label whether it is right."""
        return np.asarray(self.tables()[0][labels.kind])

    def tables(self) -> tuple[Floats, Floats]:
        """Return the seconds of asking about a label, and of mending it, by number of its kind."""
        asks = [self.verifies.get(kind.word, self.verify) for kind in Kind]
        return np.array(asks, dtype=np.float64), np.array([self.fix(kind) for kind in Kind], dtype=np.float64)

    def whole(self, labels: Labels, apart: bool = True) -> float:
        """Return the seconds that it takes to look over a picture.

        Args:
            labels: in it. Where all are tags, there is nothing to look for but whether they are right.
            apart: each label is asked about by itself, so that only what is missing is looked for; else both are done at once.
        """
        return float(self.wholes(labels.kind, np.zeros(len(labels), dtype=np.int64), 1, apart)[0])

    def wholes(self, kind: npt.NDArray[Any], picture: Ints, n: int, apart: bool = True) -> Floats:
        """Return the same (n,) for n pictures, of r labels in all: the `kind` (r,) of each, and its `picture` (r,)."""
        asks = np.bincount(picture, self.tables()[0][kind], n)
        count = np.bincount(picture, minlength=n)
        over = self.scan + self.scan_label * count + (0 if apart or "scan" in self.timed else asks)
        tags = np.bincount(picture, kind == Kind.TAG, n)
        return np.asarray(np.where((count > 0) & (tags == count), asks, over))

    def fix(self, kind: Kind | int) -> float:
        """Return the seconds that it takes to draw or mend a label of a kind."""
        return float(self.fixes.get(Kind(kind).word, FIX[Kind(kind).word]))

    def logged(self, paces: Iterable[Pace]) -> Effort:
        """Return the effort with medians of what was logged in place of what was assumed, where there are 5 timings or more.

        A label answered in a grid is a verification; a picture accepted by itself is a scan, with its labels; an edit is both,
        and a fix: what it takes above a scan. Who imported labels or played a reviewer was not at work. A project is
        mostly of one kind of label, so that what was measured holds for every kind.

        Args:
            paces: decisions that stand, as `Project.paces` gives them.
        """
        held = [one for one in paces if one.mode not in ("import", "simulated") and 0 < one.active_ms <= LONGEST_S * 1000]
        grid = _median(held, lambda one: one.mode == "grid" and one.action in ("accept", "reject", "repair", "unsure"))
        scan = _median(held, lambda one: one.mode != "grid" and one.action == "accept")
        edit = _median(held, lambda one: one.mode != "grid" and one.action == "edit")
        found, timed = self, dict[str, Measure]()
        if grid:
            timed["verify"] = grid
            found = replace(found, verify=grid.seconds, verifies={})
        if scan:
            timed["scan"] = scan
            found = replace(found, scan=scan.seconds, scan_label=0.0)
        if edit:
            fix = Measure(max(edit.seconds - (scan.seconds if scan else found.scan), 0.5), True, edit.n)
            timed["fix"] = fix
            found = replace(found, fixes=dict.fromkeys((kind.word for kind in Kind), fix.seconds))
        return replace(found, timed=timed)

    @property
    def basis(self) -> dict[str, dict[str, Any]]:
        """Return name -> seconds, measured (or assumed) and n, for the report: verify, scan, and fix by kind."""
        verify, scan, fix = (self.timed.get(name) for name in ("verify", "scan", "fix"))
        found = {
            "verify": verify or Measure(self.verify, False, 0),
            "scan": scan or Measure(self.scan, False, 0),
            "scan_label": Measure(self.scan_label, scan is not None, scan.n if scan else 0),
        }
        found |= {f"verify {word}": Measure(seconds, False, 0) for word, seconds in self.verifies.items()}
        found |= {f"fix {kind.word}": fix or Measure(self.fix(kind), False, 0) for kind in Kind}
        return {name: {"seconds": one.seconds, "measured": one.measured, "n": one.n} for name, one in found.items()}


def _median(paces: Sequence[Pace], wanted: Callable[[Pace], bool]) -> Measure | None:
    times = [one.active_ms / 1000 for one in paces if wanted(one)]
    return Measure(median(times), True, len(times)) if len(times) >= FEWEST else None
