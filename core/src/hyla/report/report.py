"""Write the report of a project: one page without scripts that asks nobody for anything."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from hyla import __version__
from hyla.decide.certificate import Certificate
from hyla.decide.wording import FILTERS, duration, percent
from hyla.report import sections
from hyla.report.groups import subgroups
from hyla.report.people import agreeing, drifting
from hyla.types import Verdict

if TYPE_CHECKING:
    from hyla.store import Project

NAME = "report.html"
TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Headline:
    """Hold a number for the top of the page, or `words` in its place: what it is of, and what stands below it."""

    what: str
    value: str
    below: str
    simulated: bool = False
    words: bool = False


def report(project: Project, to: Path | None = None) -> Path:
    """Write the report of a project and return where it is: `to`, or report.html in the project's folder.

    Raises:
        StoreError: if the simulation or the certificate in the project's folder can't be read.
    """
    path = to or project.path / NAME
    if path.is_dir():
        path = path / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(project), encoding="utf-8")
    return path


def page(project: Project) -> str:
    """Return the report as HTML."""
    from jinja2 import Environment, StrictUndefined

    made = sections.certificate(project)
    parts = [
        sections.quality(project),
        sections.reliability(project),
        sections.strata(project, made),
        subgroups(project),
        *sections.decisions(project),
        sections.waiting(project),
        *(one for one in (agreeing(project), drifting(project)) if one is not None),
    ]
    room = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    room.filters.update(FILTERS)
    source = files("hyla.report").joinpath(TEMPLATE).read_text(encoding="utf-8")
    return room.from_string(source).render(
        version=__version__,
        name=project.path.resolve().name,
        source=project.source(),
        headlines=headlines(project, made),
        certificate=made,
        shown=[one for one in parts if not one.missing],
        missing=[one for one in parts if one.missing],
    )


def headlines(project: Project, made: Certificate | None) -> list[Headline]:
    """Return the numbers at the top: pictures, the share that needs no person, the certified bound, and human time."""
    counts = project.counts()
    usable = counts.items - counts.quarantined
    open_ = {one.id for one in project.standings() if one.outcome is None and not one.lane}
    unseen = sum(one.item.id in open_ for one in project.records("model", verdict=Verdict.ACCEPT))
    bad = f", {counts.quarantined:,} unusable" if counts.quarantined else ""
    held, simulated = sections.timed(project)
    seconds = sum(one.active_ms for one in held) / 1000
    people = len({one.who for one in held})
    below = f"{len(held):,} decisions of {people} {'person' if people == 1 else 'people'}" if held else "nobody decided yet"
    return [
        Headline("pictures", f"{counts.items:,}", f"{counts.labels:,} labels of the machine{bad}"),
        Headline(
            "need no person",
            percent(unseen / usable) if usable else "–",
            f"{unseen:,} of {usable:,}" + ("" if made is not None and made.issued else "; nothing is promised of them"),
        ),
        _certified(project, made),
        Headline("human time", duration(seconds) if held else "–", below, simulated),
    ]


def _certified(project: Project, made: Certificate | None) -> Headline:
    if made is None:
        return Headline(
            "certified", "no certificate yet", f"hyla certify {project.path.name} --eps 0.02 --delta 0.05", words=True
        )
    if not made.issued:
        return Headline("certified", made.outcome, "nothing is promised", made.simulated, words=True)
    said = f"error left in lot {made.lot}, with {percent(1 - made.delta)} confidence"
    return Headline("certified", f"≤ {percent(made.whole['upper'])}", said, made.simulated)
