"""Figures, and the table and the line about the machine that they are told with."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUSY = 0.25  # load average per core above which nothing is claimed
COLUMNS = ("what", "target", "median", "p95", "n", "met?")


@dataclass(frozen=True)
class Figure:
    """Hold what was measured.

    Args:
        what: was measured.
        values: one per repetition.
        unit: of the values; for `fps` the values are milliseconds between frames.
        limit: that the target names; None for a figure that has none and explains another.
        by: which number is held against it: `median` or `p95`.
    """

    what: str
    values: Sequence[float]
    unit: str = "ms"
    limit: float | None = None
    by: str = "median"

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def p95(self) -> float:
        return percentile(self.values, 0.95)

    def row(self, quiet: bool) -> list[str]:
        """Return the cells of the table; nothing is said to be met on a machine that is not quiet."""
        if self.unit == "fps":
            cells = [
                f">= {self.limit:.0f} fps" if self.limit else "",
                f"{1000 / self.median:.1f} fps",
                f"{self.p95:.1f} ms a frame",
            ]
            met = self.limit is None or 1000 / self.median >= self.limit
        else:
            name = "p95 " if self.by == "p95" else ""
            cells = [f"{name}< {self.limit:g} {self.unit}" if self.limit else "", self._said(self.median)]
            cells.append(self._said(self.p95) if len(self.values) > 1 else "")
            met = self.limit is None or (self.p95 if self.by == "p95" else self.median) < self.limit
        verdict = "" if self.limit is None else "no claim" if not quiet else "yes" if met else "**no**"
        return [self.what, *cells, str(len(self.values)), verdict]

    def _said(self, value: float) -> str:
        return f"{value:.{1 if abs(value) < 100 else 0}f} {self.unit}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: Sequence[Figure], quiet: bool) -> str:
    rows = [list(COLUMNS), ["---"] * len(COLUMNS), *(figure.row(quiet) for figure in figures)]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows)


@dataclass(frozen=True)
class Machine:
    """Describe where it is measured, and how busy it was at the start."""

    cpu: str
    cores: int
    load: float

    @classmethod
    def here(cls) -> Machine:
        info = Path("/proc/cpuinfo")
        lines = info.read_text().splitlines() if info.is_file() else []
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
        return cls(name, len(os.sched_getaffinity(0)), os.getloadavg()[0])

    @property
    def quiet(self) -> bool:
        return self.load <= BUSY * self.cores

    def line(self, chromium: str) -> str:
        text = (
            f"{platform.platform()}, {self.cpu}, {self.cores} cores, no GPU; Chromium {chromium}, headless, "
            f"rendering in software; Python {platform.python_version()}. Load average at the start: {self.load:.2f}."
        )
        warning = (
            f"\n\n**Warning: the load average was {self.load:.2f} on {self.cores} cores. Other work ran beside this, so that the "
            "figures are too large, and none is a claim. Measure again on a quiet machine.**"
        )
        return text + ("" if self.quiet else warning)
