"""A figure never stands without its n and its 95 % interval."""

from __future__ import annotations

from dataclasses import dataclass

from hyla.average_precision import wilson


@dataclass(frozen=True)
class Figure:
    """Hold a figure with its 95 % interval.

    Args:
        value, low, high: None where there is nothing to measure.
        n: labels (or images) that it is measured on.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.value is None:
            return f"- (n {self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n {self.n})"


def share(k: int, n: int) -> Figure:
    """Return the share k / n with Wilson's interval, which takes the n as independent."""
    return Figure(k / n, *wilson(k, n), n) if n else Figure(None, None, None, 0)
