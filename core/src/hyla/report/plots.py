"""Draw the figures of the report as SVG that lives in the page: its text is text, its colours are those of the page.

Figures are drawn with stand-in colours, which become variables of the page's style, so that one drawing serves light and dark.
Each is drawn twice, for a wide and for a narrow screen, since what is only scaled down can't be read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hyla.decide.simulation import Simulation

# Name of a variable of the page -> what stands in for it while drawing. No two differ by less than the SVG writer keeps apart.
INK, MUTED, LINE, ACCENT, SOFT, WARN, PAPER = (f"#0{k}0{k}0{k}" for k in range(1, 8))
OTHERS = tuple(f"#1{k}1{k}1{k}" for k in range(1, 8))  # of arms besides Hyla
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", SOFT: "soft", WARN: "warn", PAPER: "paper"}
VARIABLES |= {colour: f"arm-{k}" for k, colour in enumerate(OTHERS, start=1)}
FONT = 12.0  # points of the drawing, of which 72 make an inch: pixels of the page
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": FONT,
    "font.family": "DejaVu Sans",
    "text.color": MUTED,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 1.0,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.major.pad": 6.0,
    "ytick.major.pad": 6.0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True)
class Drawn:
    """Hold a figure: SVG for wide and for narrow screens."""

    wide: str
    narrow: str


def draw(
    name: str, about: str, paint: Callable[[Axes, bool], None], wide: tuple[float, float], narrow: tuple[float, float]
) -> Drawn:
    """Return what `paint(axes, narrow)` draws, with `about` as its description, in pixels (width, height) of the page."""
    return Drawn(*(_svg(f"{name}-{k}", about, paint, size, bool(k)) for k, size in enumerate((wide, narrow))))


def curves(simulation: Simulation) -> Drawn:
    """Return the error left against human seconds, one line for each arm, with the middle 95 % of Hyla's repetitions."""
    arms = [one for one in simulation.arms if not one.why]
    unit, word = (3600.0, "hours") if simulation.seconds[-1] > 2 * 3600 else (60.0, "minutes")
    colours = dict(zip([one.name for one in arms if one.name not in ("hyla", "oracle", "random")], OTHERS, strict=False))

    def paint(axes: Axes, narrow: bool) -> None:
        x = np.array(simulation.seconds) / unit
        for one in arms:
            y = 100 * np.array(one.error)
            if one.name == "hyla":
                axes.fill_between(x, 100 * np.array(one.low), 100 * np.array(one.high), color=SOFT, linewidth=0, zorder=2)
                axes.plot(x, y, color=ACCENT, linewidth=3, label=one.label, zorder=5)
            elif one.name in ("oracle", "random"):
                axes.plot(
                    x, y, color=MUTED, linewidth=1.5, linestyle=(0, (4, 3) if one.name == "oracle" else (1, 2)), label=one.label
                )
            else:
                axes.plot(x, y, color=colours.get(one.name, MUTED), linewidth=1.5, label=one.label, zorder=3)
            if (
                one.stopped
                and one.stopped.value is not None
                and one.left
                and one.left.value is not None
                and one.name != "review-all"
            ):
                colour = ACCENT if one.name == "hyla" else MUTED if one.name == "oracle" else colours.get(one.name, MUTED)
                size = 9 if one.name == "hyla" else 5
                axes.plot(
                    one.stopped.value / unit,
                    100 * one.left.value,
                    "o",
                    color=colour,
                    markersize=size,
                    markeredgecolor=PAPER,
                    zorder=6,
                )
        axes.axhline(100 * simulation.eps, color=WARN, linewidth=1, linestyle=(0, (6, 3)), zorder=1)
        said = f"asked for: {100 * simulation.eps:g} %"
        axes.annotate(said, (0, 100 * simulation.eps), xytext=(6, 4), textcoords="offset points", color=WARN)
        axes.set_xlim(0, x[-1])
        axes.set_ylim(0, 105 * simulation.errors / simulation.size)
        axes.set_xlabel(f"simulated human {word}")
        axes.set_ylabel("errors left, %")
        axes.grid(axis="y")
        axes.legend(
            loc="upper right",
            ncols=2 if narrow else 1,
            fontsize=FONT - 1 if narrow else FONT,
            handlelength=1.6,
            columnspacing=1.2,
        )

    return draw("quality", "errors left against simulated human time, by policy", paint, (1060, 420), (340, 360))


def reliability(name: str, predicted: Sequence[float], observed: Sequence[Figure]) -> Drawn:
    """Return observed against predicted shares of wrong labels; on the diagonal the risks say what is."""
    points = [(p, one) for p, one in zip(predicted, observed, strict=True) if one.value is not None]

    def paint(axes: Axes, _: bool) -> None:
        axes.plot([0, 100], [0, 100], color=LINE, linewidth=1.5, zorder=1)
        for p, one in points:
            axes.plot(
                [100 * p] * 2, [100 * (one.low or 0), 100 * (one.high or 0)], color=ACCENT, linewidth=2, alpha=0.45, zorder=2
            )
        axes.plot(
            [100 * p for p, _ in points],
            [100 * (one.value or 0) for _, one in points],
            "o-",
            color=ACCENT,
            markersize=6,
            zorder=3,
        )
        top = min(100.0, 110 * max([p for p, _ in points] + [one.high or 0 for _, one in points]))
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_xlabel("predicted to be wrong, %")
        axes.set_ylabel("found wrong, %")
        axes.grid()

    return draw(f"reliability-{name}", f"{name}: share found wrong against the share predicted", paint, (510, 340), (340, 300))


def bars(
    name: str, about: str, rows: Sequence[tuple[str, Figure]], unit: str, *, percent: bool = False, limit: float | None = None
) -> Drawn:
    """Return a bar from 0 to each value, with its interval as a line, one below the other; `limit` is drawn across."""
    factor = 100 if percent else 1
    height = 56 + 30 * len(rows)

    def paint(axes: Axes, narrow: bool) -> None:
        for k, (_, one) in enumerate(rows):
            if one.value is None:
                axes.text(0, k, " nothing known", va="center", color=MUTED)
                continue
            axes.barh(k, factor * one.value, height=0.56, color=ACCENT, alpha=0.8, zorder=2)
            if one.low is not None and one.high is not None and np.isfinite(one.high):
                axes.plot([factor * one.low, factor * one.high], [k, k], color=INK, linewidth=1.5, zorder=3)
        if limit is not None:
            axes.axvline(factor * limit, color=WARN, linewidth=1.5, linestyle=(0, (6, 3)), zorder=4)
        _labels(axes, [label for label, _ in rows], narrow)
        axes.set_xlim(left=0)
        axes.set_xlabel(unit)

    return draw(name, about, paint, (510, height), (340, height))


def spreads(name: str, about: str, rows: Sequence[tuple[str, Sequence[float]]], unit: str) -> Drawn:
    """Return each value as a dot, with the median and the middle half as a line, row by row, on a log axis."""
    from matplotlib.ticker import LogLocator

    height = 56 + 40 * len(rows)

    def paint(axes: Axes, narrow: bool) -> None:
        rng = np.random.default_rng(0)  # places dots side by side, and says nothing
        for k, (_, values) in enumerate(rows):
            some = np.array(values)
            shown = some if len(some) <= DOTS else np.quantile(some, np.linspace(0, 1, DOTS))
            axes.plot(
                shown, k + rng.uniform(-0.28, 0.28, len(shown)), ".", color=ACCENT, alpha=0.35, markersize=5, markeredgewidth=0
            )
            low, middle, high = np.quantile(some, [0.25, 0.5, 0.75])
            axes.plot([low, high], [k, k], color=INK, linewidth=2.5, zorder=4)
            axes.plot(middle, k, "o", color=INK, markersize=8, markeredgecolor=PAPER, markeredgewidth=1.5, zorder=5)
        _labels(axes, [label for label, _ in rows], narrow)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda *_: "")
        axes.tick_params(axis="x", which="minor", length=0)
        axes.set_xlabel(unit)

    return draw(name, about, paint, (510, height), (340, height))


def columns(name: str, about: str, labels: Sequence[str], values: Sequence[float], unit: str) -> Drawn:
    """Return a column for each value, from left to right; of many, only some are labelled."""

    def paint(axes: Axes, narrow: bool) -> None:
        axes.bar(range(len(values)), values, width=0.8 if len(values) < 40 else 1.0, color=ACCENT, alpha=0.8, zorder=2)
        step = max(1, -(-len(labels) // (4 if narrow else 7)))
        axes.set_xticks(range(0, len(labels), step), [labels[k] for k in range(0, len(labels), step)])
        axes.set_xlim(-0.6, max(len(values) - 0.4, 5.4))
        axes.set_ylabel(unit)
        axes.locator_params(axis="y", integer=True, nbins=4)
        axes.grid(axis="y")

    return draw(name, about, paint, (510, 280), (340, 260))


DOTS = 300  # of one row, at most: then they are spread as all are
LONGEST = 22  # letters of a label on a narrow screen


def _labels(axes: Axes, labels: Sequence[str], narrow: bool) -> None:
    most = LONGEST if narrow else 2 * LONGEST
    short = [label if len(label) <= most else f"{label[: most - 1]}…" for label in labels]
    axes.set_yticks(range(len(short)), short, color=INK)
    axes.set_ylim(len(short) - 0.4, -0.6)
    axes.grid(axis="x")


def _svg(name: str, about: str, paint: Callable[[Axes, bool], None], size: tuple[float, float], narrow: bool) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = Canvas(figsize=(size[0] / 72, size[1] / 72), layout="constrained")
        FigureCanvasSVG(figure)
        axes: Any = figure.add_subplot()
        paint(axes, narrow)
        figure.patch.set_alpha(0)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inline(out.getvalue(), name, about, size)


def _inline(text: str, name: str, about: str, size: tuple[float, float]) -> str:
    """Return the SVG without its head, with ids of its own, variables for colours and the font of the page."""
    from markupsafe import escape

    body = text[text.index("<svg") :]
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"font: (?:[\w ]+? )?([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    body = body.replace("xlink:href", "href")
    return f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" role="img" aria-label="{escape(about)}">{body.strip()}'
