"""Show what a preset does, on the sample that its plugin makes: nothing else is needed."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from PIL import Image as Pillow

from hyla import config, formats, plugins
from hyla.commands import Answer
from hyla.decide.flow import Demand, Step
from hyla.decide.play import play
from hyla.decide.reviewer import Reviewer
from hyla.decide.simulate import simulate_project
from hyla.errors import ConfigError
from hyla.evaluate import Evaluation, match_items, project_evaluate
from hyla.loop import run
from hyla.pictures import draw_project
from hyla.report import report
from hyla.store import Project

EPS = 0.1  # errors that the simulated certificate allows
DEMO_ARMS = ("review-all", "random", "entropy", "hyla", "oracle")
SHEET = (3, 2)  # pictures across and down on the sheet that is shown


def demo(preset: str, to: Path) -> Answer:
    """Label the sample of a plugin, compare with its truth, draw a sheet of pictures, and certify a copy.

    In the copy, a program answers in a person's place, from the truth.
    """
    offered = plugins.offered("preset")
    if preset not in offered:
        raise plugins.missing("preset", preset)
    package = offered[preset][0].package
    try:
        sample = import_module(f"{package}.sample")
    except ModuleNotFoundError as error:
        raise ConfigError(f"{package} makes no sample", f"hyla run preset={preset} source=YOUR-DATA") from error
    source = sample.write(to / f"{preset}-sample")
    out = to / preset
    summary = run(config.compose(preset, *getattr(sample, "OVERRIDES", ()), source=str(source), out=str(out)))
    with Project.open(out) as project:
        if not project.truths():
            truth = formats.get("jsonl", schema=project.schema()).read(Path(source).parent / "truth.jsonl", project.schema())
            if truth is not None:
                project.add(match_items(truth, project), "truth:sample")
        schema = project.schema()
        fold = getattr(sample, "FOLD", [c.name for c in schema.classes if not c.parent])
        found = project_evaluate(project, fold=fold)
        sheet = _sheet(draw_project(project, out / "pictures", SHEET[0] * SHEET[1]), out / "sheet.png")
        compared = simulate_project(project, "sample", EPS, arms=DEMO_ARMS, repetitions=5)
        compared.write(out)
        step = _played(project, to / f"{preset}-simulated")
    copy = to / f"{preset}-simulated"
    compared.write(copy)
    with Project.open(copy) as played:
        page = report(played)
    text = [
        f"{preset}: labelled its own sample with no weights, network or GPU",
        str(summary),
        "against the truth of the sample, which a program drew: the figures say that all works, not how good it is in the field",
        _brief(found),
        f"pictures: {sheet}",
        f"with your own data: hyla run preset={preset} source=YOUR-DATA   then: hyla export DIR --format coco --to labels",
        "",
        "with a program that answers from the truth in a person's place (so what follows is SIMULATED):",
        str(compared),
        "",
        *([step] if isinstance(step, str) else [step.text, *_unseen(step)]),
        f"on one page: {page}",
        "",
        f"decide yourself what a person must decide, in the browser: hyla review {out}",
    ]
    return Answer(
        {
            "summary": asdict(summary),
            "evaluation": found.to_dict(),
            "sheet": str(sheet),
            "step": step.data if isinstance(step, Step) else None,
            "report": str(page),
        },
        "\n".join(text),
    )


def _played(project: Project, to: Path) -> Step | str:
    """Certify a copy of the project with simulated answers, or say why there is no certificate; one of an earlier demo goes."""
    shutil.rmtree(to, ignore_errors=True)
    try:
        return play(project, "sample", to, Demand(EPS), Reviewer())
    except ConfigError as error:
        return f"no certificate: {error.what}"


def _unseen(step: Step) -> list[str]:
    """Return what to make of a certificate that lets little go."""
    units = step.data["certificate"]["units"]
    if units["accepted"] > 0.1 * units["all"]:
        return []
    return [
        f"  only {units['accepted']} of {units['all']} pictures need no person: a model without weights is wrong too often,",
        "  and so few pictures are little to audit; `hyla plan` says what your own take",
    ]


def _brief(found: Evaluation) -> str:
    """Return precision and recall of what was found, by class."""
    lines = []
    for name, part in found.parts.items():
        some = [f"{c} AP50 {f.ap50}" for c, f in part.classes.items() if f.predicted]
        none = [c for c, f in part.classes.items() if not f.predicted]
        lines.append(f"  {name}: " + "   ".join(some) + (f"   not looked for, or not found: {', '.join(none)}" if none else ""))
    lines += [f"  {name}: {one}" for name, one in found.names.items()]
    lines += [f"  events {name}: {one}" for name, one in found.events.items()]
    if found.lines:
        lines.append(f"  lines: precision {found.lines.precision}   recall {found.lines.recall}")
    lines += [f"  {name}: {one}" for name, one in found.volumes.items() if one.predicted]
    if lost := [name for name, one in found.volumes.items() if not one.predicted]:
        lines.append(f"  not looked for, or not found: {', '.join(lost)}")
    return "\n".join(lines)


def _sheet(paths: list[Path], to: Path) -> Path:
    across, _ = SHEET
    tiles = []
    for path in paths:
        with Pillow.open(path) as picture:
            picture.thumbnail((640, 640))
            tiles.append(picture.copy())
    width, height = max(t.width for t in tiles), max(t.height for t in tiles)
    sheet = Pillow.new("RGB", (across * width, -(-len(tiles) // across) * height))
    for n, tile in enumerate(tiles):
        sheet.paste(tile, (n % across * width, n // across * height))
    sheet.save(to)
    return to
