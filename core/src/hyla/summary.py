"""What a run came to: the figures of summary.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hyla.errors import StoreError

if TYPE_CHECKING:
    from hyla.config import Run
    from hyla.store import Counts, Project

SHOWN = 8  # of each list, when printed


@dataclass(frozen=True)
class Summary:
    """Hold the figures of a project after a run.

    Args:
        items: all items of the project: accepted + review + rejected + quarantined.
        labels: machine labels of the stored items.
        accepted, review, rejected: items by verdict.
        quarantined: items that could not be used.
        seconds: wall time of this run.
        items_per_second: items that this run did, per second of it.
        done: items that this run did; the others were there before.
        classes: labels by class.
        reasons: flags by reason code.
        timings: seconds by part, summed over threads, so that they can exceed `seconds`.
    """

    state: str
    preset: str
    source: str
    out: str
    items: int
    labels: int
    accepted: int
    review: int
    rejected: int
    quarantined: int
    seconds: float
    items_per_second: float
    done: int
    classes: dict[str, int]
    reasons: dict[str, int]
    quarantine_reasons: dict[str, int]
    timings: dict[str, float]

    @classmethod
    def of(
        cls, project: Project, settings: Run, state: str, seconds: float, before: Counts, timings: dict[str, float]
    ) -> Summary:
        """Read the figures from the store, since what is stored is what counts."""
        now = project.counts()
        done = now.items - before.items
        return cls(
            state=state,
            preset=settings.preset,
            source=settings.source,
            out=str(project.path),
            items=now.items,
            labels=now.labels,
            accepted=now.accepted,
            review=now.review,
            rejected=now.rejected,
            quarantined=now.quarantined,
            seconds=round(seconds, 3),
            items_per_second=round(done / seconds, 3) if seconds else 0.0,
            done=done,
            classes=now.classes,
            reasons=now.reasons,
            quarantine_reasons=now.quarantine_reasons,
            timings={k: round(v, 3) for k, v in timings.items()},
        )

    def write(self, path: Path) -> None:
        """Write summary.json in one step, so that a reader never sees half of it; raise StoreError if that is not possible."""
        draft = path.with_suffix(".part")
        try:
            draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
            draft.replace(path)
        except OSError as error:
            raise StoreError(
                f"{path} can't be written: {error.strerror}", "what was stored is kept; run again to go on"
            ) from error

    def __str__(self) -> str:
        share = f"{100 * self.accepted / self.items:.0f} %" if self.items else "-"
        lines = [
            f"{self.items} items ({self.done} now, {self.items_per_second:.1f}/s), {self.labels} labels -> {self.out}",
            f"  accepted {self.accepted} ({share})   to review {self.review}   rejected {self.rejected}"
            f"   quarantined {self.quarantined}",
        ]
        for title, counts in (("labels", self.classes), ("why", self.reasons)):
            if counts:
                lines.append(f"  {title}: " + ", ".join(f"{name} {n}" for name, n in _top(counts)) + _more(counts))
        lines += [f"  quarantined {n}: {reason}" for reason, n in _top(self.quarantine_reasons)]
        return "\n".join(lines)


def _top(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]


def _more(counts: dict[str, int]) -> str:
    return " ..." if len(counts) > SHOWN else ""
