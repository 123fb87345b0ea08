"""Show whether people agree, and whether the last lot looks like the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hyla.decide import agreement, drift
from hyla.report import plots
from hyla.report.sections import Section, Table

if TYPE_CHECKING:
    from hyla.store import Project


def agreeing(project: Project) -> Section | None:
    """Show how far two people who answered the same pictures agree; None if no two did."""
    place, title = "agreement", "Do people agree?"
    found = agreement.of_project(project)
    if found is None:
        return None
    figures = {
        "same answer": found.same,
        "found by both": found.found,
        "Krippendorff's alpha": found.alpha,
        "alpha of the class": found.named,
        "Cohen's kappa": found.kappa,
    }
    known = [(name, figure) for name, figure in figures.items() if figure is not None and figure.value is not None]
    lead = f"{found.readers} people, {found.objects:,} objects in {found.pictures:,} pictures. {found.reading}"
    figure = plots.bars("agreement", "agreement between people, with 95 % intervals", known, "1 is full agreement")
    rows = tuple((name, *map(_cell, (one.value, one.low, one.high)), f"{one.n:,}") for name, one in known)
    return Section(place, title, lead, (("", figure),), Table(("measure", "value", "from", "to", "n objects"), rows))


def drifting(project: Project) -> Section | None:
    """Show whether the last lot looks like the one before; None until two were audited."""
    place, title = "drift", "Like the lot before?"
    found = drift.of_project(project)
    if found is None:
        return None
    rows = tuple(
        (
            one.name,
            *map(_cell, (one.mean_before, one.mean_now, one.difference, one.p)),
            f"{one.before:,}, {one.now:,}",
        )
        for one in found.figures
    )
    lead = f"{found.why}. A {found.note}: each lot is certified by its own audit."
    return Section(place, title, lead, table=Table(("what", "before", "now", "difference", "p", "n"), rows))


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
