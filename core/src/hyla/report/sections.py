"""Gather what each part of the report shows: a figure, a table of the same numbers, and one line where there is nothing yet."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.decide.certificate import NAMES, Certificate
from hyla.decide.simulation import MARKS, Simulation
from hyla.decide.wording import duration, percent
from hyla.errors import StoreError
from hyla.figure import Figure
from hyla.report import plots
from hyla.report.plots import Drawn

if TYPE_CHECKING:
    from hyla.store import Project
    from hyla.store.recall import Timed

LAST = 100_000  # decisions that are shown, at most
ALL_ASKED = 0.999  # share of questions from which on nothing was left out
ALL_HOURS = 48  # from more hours on, days are shown
SIMULATED = "simulated"


@dataclass(frozen=True)
class Table:
    """Hold what a figure shows, in words: a head and rows of cells."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """Hold one part of the page.

    Args:
        id: of its place in the page.
        title: of it.
        lead: what the figure says, in a sentence or two, with its n.
        drawn: the figures, each with a line above it where there are several.
        table: the same in numbers.
        notes: warnings and what is to be known.
        missing: what would give it, where there is nothing to show; then there is nothing else.
        wide: True where it takes the whole width.
        simulated: True where a program answered in people's place.
    """

    id: str
    title: str
    lead: str = ""
    drawn: tuple[tuple[str, Drawn], ...] = ()
    table: Table | None = None
    notes: tuple[str, ...] = ()
    missing: str = ""
    wide: bool = False
    simulated: bool = False


def certificate(project: Project) -> Certificate | None:
    """Return the certificate in the project's folder, or None; raise StoreError if it can't be read."""
    path = project.path / NAMES[0]
    try:
        return Certificate.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except ValueError as e:
        raise StoreError(f"{path} can't be read: {e}", f"write it again: hyla certify {project.path}") from e


def quality(project: Project) -> Section:
    """Show errors left against human time, by policy: simulated."""
    place, title = "quality", "Errors left against human time"
    found = Simulation.read(project.path)
    if found is None:
        return Section(place, title, missing=f"Import the truth of it, and compare: hyla simulate {project.path}", wide=True)
    rows, applicable = [], [one for one in found.arms if not one.why]
    for one in applicable:
        to = [time(one.to[f"{mark:g}"]) for mark in MARKS] if one.to else ["–"] * len(MARKS)
        ends = [time(one.stopped), share(one.left), share(one.worst), time(one.certified)]
        rows.append((one.label, _plain(one.auc, ".2f"), *to, *ends, share(one.broken), share(one.over)))
    mine = next((one for one in applicable if one.name == "hyla" and one.certified and one.certified.value is not None), None)
    lead = (
        f"Simulated with the truth of {found.units:,} units: {found.errors:,.0f} errors of the machine "
        f"({percent(found.errors / found.size)}). "
    )
    if mine is not None and mine.certified and mine.certified.value is not None and mine.asked and mine.asked.value is not None:
        each = f", {mine.certified.value / found.objects:.2g} s per object" if found.objects else ""
        took = f"{duration(mine.certified.value)}{each}, in the mean of {mine.certified.n} repetitions"
        if mine.asked.value > ALL_ASKED:
            lead += f"At {percent(found.eps)} nothing can be accepted unseen: people answer everything, which takes {took}."
        else:
            lead += f"A certificate for {percent(found.eps)} takes {took}; to review everything, {duration(found.seconds[-1])}."
    notes = (
        f"Reviewer: {found.reviewer}; {found.repetitions} repetitions; shading and intervals hold the middle 95 % of them. "
        "A dot marks where a policy stops by itself.",
        *(f"{one.label} is left out: it {one.why}." for one in found.arms if one.why),
        *(f"{name.capitalize()}: {text}." for name, text in found.about.items()),
    )
    head = (
        "policy",
        "area, 0 random, 1 oracle",
        *(f"time to {percent(m)}" for m in MARKS),
        "stops at",
        "left then",
        "worst part",
        "certified",
        "certificate false",
        "ended above",
    )
    return Section(place, title, lead, (("", plots.curves(found)),), Table(head, tuple(rows)), notes, wide=True, simulated=True)


def reliability(project: Project) -> Section:
    """Show how far the risks hold on answers that they were not learned from."""
    place, title = "reliability", "Do the risks hold?"
    known = [one for row in project.lots() for one in row.settings.get("calibrations", ()) if one["bins"]]
    last = {one["about"]: one for one in known}
    if not last:
        return Section(
            place, title, missing=f"Answers to learn from, and a frozen lot: hyla review, then hyla certify {project.path}"
        )
    drawn, rows = [], []
    for about, one in last.items():
        bins = one["bins"]
        figures = [Figure(b["observed"], b["observed_low"], b["observed_high"], b["n"]) for b in bins]
        rows += [(about, percent(b["predicted"]), share(figure)) for b, figure in zip(bins, figures, strict=True)]
        drawn.append((f"{about}, n {one['n']:,}", plots.reliability(about, [b["predicted"] for b in bins], figures)))
    lead = "On the line, of what is said to be wrong with 10 %, one in ten is. " + " ".join(
        f"{about.capitalize()}: area under the ROC curve {one['auc']:.2f}, by the score alone {one['auc_before']:.2f}."
        for about, one in last.items()
        if one["auc"] is not None and one["auc_before"] is not None
    )
    notes = tuple(dict.fromkeys(one["note"] for one in last.values() if one["note"]))
    return Section(place, title, lead, tuple(drawn), Table(("of", "predicted to be wrong", "found wrong"), tuple(rows)), notes)


def strata(project: Project, made: Certificate | None) -> Section:
    """Show what is left in each part that the certificate is about."""
    place, title = "strata", "Error left in each part"
    if made is None or not made.issued:
        return Section(place, title, missing=f"A certificate: hyla certify {project.path} --eps 0.02 --delta 0.05 --strata site")
    figures = [(one.name or "all", Figure(one.estimate, one.estimate, one.upper, one.draws), one) for one in made.strata]
    lead = f"The bar is the estimate, the line ends at the bound; at most {percent(made.eps)} was asked for (dashed)."
    rows = tuple(
        (name, f"{one.units:,}", f"{one.audited:,}", f"{one.accepted_units:,}", percent(one.estimate), percent(one.upper))
        for name, _, one in figures
    )
    figure = plots.bars(
        "strata",
        "error left by stratum, with its bound",
        [(name, f) for name, f, _ in figures],
        "errors left, %",
        percent=True,
        limit=made.eps,
    )
    head = ("part", "units", "audited", "need no person", "estimate", "at most")
    return Section(place, title, lead, (("", figure),), Table(head, rows), simulated=made.simulated)


def decisions(project: Project) -> tuple[Section, Section]:
    """Show how long decisions take, and how many are made."""
    (place, title), (later, then) = ("seconds", "Seconds per decision"), ("throughput", "Decisions over time")
    held, simulated = timed(project)
    if not held:
        missing = f"Decisions in the browser: hyla review {project.path}"
        return Section(place, title, missing=missing), Section(later, then, missing=missing)
    times: dict[str, list[float]] = defaultdict(list)
    for one in held:
        if one.active_ms:
            times[f"{one.action}, {one.mode}" if one.mode not in ("single", SIMULATED) else one.action].append(
                one.active_ms / 1000
            )
    ordered = sorted(times.items(), key=lambda pair: -len(pair[1]))
    rows = []
    for action, seconds in ordered:
        low, middle, high = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
        rows.append((action, f"{len(seconds):,}", f"{middle:.3g} s", f"{low:.3g} – {high:.3g} s", duration(sum(seconds))))
    word = "Simulated" if simulated else "Measured"
    total = duration(sum(map(sum, times.values())))
    lead = f"{word}: {len(held):,} decisions that stand, {total} in all. The dot is the median, the line the middle half."
    name = "seconds per decision, by action"
    drawn = ((("", plots.spreads("seconds", name, ordered, "seconds, on a log scale")),)) if ordered else ()
    spent = Section(
        place, title, lead, drawn, Table(("action", "n", "median", "middle half", "in all"), tuple(rows)), simulated=simulated
    )
    if simulated:  # how fast a program answers says nothing
        return spent, Section(later, then, missing=f"Decisions of people, in the browser: hyla review {project.path}")
    return spent, _throughput(later, then, held)


def timed(project: Project) -> tuple[list[Timed], bool]:
    """Return the decisions that people made, or if nobody did those of a program in their place; and whether it is these."""
    held = [one for one in project.paces(LAST) if one.mode != "import"]
    people = [one for one in held if one.mode != SIMULATED]
    return (people, False) if people else (held, bool(held))


def waiting(project: Project) -> Section:
    """Show what waits for a person, by lane and reason."""
    place, title = "waiting", "What waits for a person"
    lanes = sorted(project.lanes(), key=lambda one: -one.waiting)
    if not lanes:
        return Section(place, title, missing="Nothing waits.")
    rows = [(f"{one.lane}: {one.reason.replace('_', ' ')}" if one.reason else one.lane, one.waiting) for one in lanes]
    shown = [(name, Figure(n, None, None, n)) for name, n in rows[:12]]
    lead = f"{sum(n for _, n in rows):,} pictures wait, by lane and reason."
    figure = plots.bars("waiting", "pictures that wait, by lane and reason", shown, "pictures")
    return Section(
        place, title, lead, (("", figure),), Table(("lane and reason", "pictures"), tuple((name, f"{n:,}") for name, n in rows))
    )


def _throughput(place: str, title: str, held: Sequence[Timed]) -> Section:
    hours = Counter(one.at[:13] for one in held)
    by_day = len(hours) > ALL_HOURS
    counts = sorted((Counter(one.at[:10] for one in held) if by_day else hours).items())
    per, labels = (
        ("day", [at[5:10] for at, _ in counts]) if by_day else ("hour", [f"{at[5:10]} {at[11:13]} h" for at, _ in counts])
    )
    seconds = sum(one.active_ms for one in held) / 1000
    pace = f" {3600 * sum(one.active_ms > 0 for one in held) / seconds:,.0f} per hour of work." if seconds else ""
    lead = f"{len(held):,} decisions in {len(counts)} {per}{'s' if len(counts) > 1 else ''} with any, by the clock (UTC).{pace}"
    figure = plots.columns("throughput", f"decisions per {per}", labels, [n for _, n in counts], f"decisions per {per}")
    table = Table((per, "decisions"), tuple((at.replace("T", " "), f"{n:,}") for at, n in counts))
    return Section(place, title, lead, (("", figure),), table)


def share(figure: Figure | None) -> str:
    """Return a share with its interval and n."""
    if figure is None or figure.value is None:
        return "–"
    return f"{percent(figure.value)} ({_ends(figure, percent)}n {figure.n:,})"


def time(figure: Figure | None) -> str:
    """Return seconds with their interval and n."""
    if figure is None or figure.value is None:
        return "–"
    return f"{duration(figure.value)} ({_ends(figure, duration)}n {figure.n:,})"


def _plain(figure: Figure | None, spec: str) -> str:
    if figure is None or figure.value is None:
        return "–"
    return f"{figure.value:{spec}} ({_ends(figure, lambda v: format(v, spec))}n {figure.n:,})"


def _ends(figure: Figure, write: Any) -> str:
    if figure.low is None or figure.high is None or not np.isfinite(figure.high):
        return ""
    return f"{write(figure.low)} – {write(figure.high)}, "
