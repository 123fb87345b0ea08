"""The progress bar: what is done, how fast, and what became of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from hyla.store import Counts, Quarantined, Stored


class Progress:
    """Show items, items/s, time left, accepted, to review and quarantined, on the terminal's error stream.

    Args:
        show: False, or an error stream that is no terminal, shows nothing.
        before: counts of what an earlier run stored.
    """

    def __init__(self, show: bool, before: Counts) -> None:
        self._counts: Counter[str] = Counter(accept=before.accepted, review=before.review, reject=before.rejected)
        self._counts["quarantined"] = before.quarantined
        self._before = before.items
        self._bar: Any = None
        if show and sys.stderr.isatty():
            self._bar, self._task = _bar()

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    def scanned(self, items: int) -> None:
        """Say how many items the source has so far."""
        self._update(total=items)

    def total(self, items: int) -> None:
        """Say how many items the source has: it was read to its end."""
        self._update(total=items, more="")

    def stored(self, entries: Sequence[Stored | Quarantined]) -> None:
        """Count a batch that is safely stored."""
        for entry in entries:
            self._counts["quarantined" if isinstance(entry, Quarantined) else str(entry.record.verdict)] += 1
        self._update(completed=self._counts.total())

    def _update(self, **values: Any) -> None:
        if self._bar:
            self._bar.update(self._task, **values, **{k: self._counts[k] for k in ("accept", "review", "quarantined")})


def _bar() -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Rich
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.finished_speed or task.speed or 0:.1f} items/s", style="cyan")

    bar = Rich(
        MofNCompleteColumn(),
        TextColumn("{task.fields[more]}"),
        BarColumn(bar_width=24),
        Speed(),
        TimeRemainingColumn(),
        TextColumn("[green]{task.fields[accept]} accepted"),
        TextColumn("[yellow]{task.fields[review]} to review"),
        TextColumn("[red]{task.fields[quarantined]} quarantined"),
        console=Console(stderr=True),
    )
    return bar, bar.add_task("", total=None, accept=0, review=0, quarantined=0, more="and more")
