"""Show what a preset does, on the sample that its plugin makes: nothing else is needed."""

from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from PIL import Image as Pillow

from hyla import config, formats, plugins
from hyla.commands import Answer
from hyla.errors import ConfigError
from hyla.evaluate import Evaluation, match_items, project_evaluate
from hyla.loop import run
from hyla.pictures import draw_project
from hyla.store import Project

MODEL = "model=embedded"  # every plugin offers a model of this name that needs no weights
SHEET = (3, 2)  # pictures across and down on the sheet that is shown


def demo(preset: str, to: Path) -> Answer:
    """Make the sample of `preset`'s plugin, label it, compare with the sample's truth, and draw a sheet of pictures."""
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
    summary = run(config.compose(preset, MODEL, source=str(source), out=str(out)))
    with Project.open(out) as project:
        if not project.truths():
            truth = formats.get("jsonl", schema=project.schema()).read(Path(source).parent / "truth.jsonl", project.schema())
            if truth is not None:
                project.add(match_items(truth, project), "truth:sample")
        schema = project.schema()
        found = project_evaluate(project, fold=[c.name for c in schema.classes if not c.parent])
        sheet = _sheet(draw_project(project, out / "pictures", SHEET[0] * SHEET[1]), out / "sheet.png")
    text = [
        f"{preset}: labelled its own sample with no weights, network or GPU",
        str(summary),
        "against the truth of the sample, which a program drew: the figures say that all works, not how good it is on a road",
        _brief(found),
        f"pictures: {sheet}",
        f"with your own data: hyla run preset={preset} source=YOUR-DATA   then: hyla export DIR --format coco --to labels",
        f"decide what a person must decide, in the browser: hyla review {out}",
    ]
    return Answer({"summary": asdict(summary), "evaluation": found.to_dict(), "sheet": str(sheet)}, "\n".join(text))


def _brief(found: Evaluation) -> str:
    """Return precision and recall of what was found; the classes count as their most general ones."""
    lines = []
    for name, part in found.parts.items():
        some = [f"{c} AP50 {f.ap50}" for c, f in part.classes.items() if f.predicted]
        none = [c for c, f in part.classes.items() if not f.predicted]
        lines.append(f"  {name}: " + "   ".join(some) + (f"   not looked for, or not found: {', '.join(none)}" if none else ""))
    if found.lines:
        lines.append(f"  lines: precision {found.lines.precision}   recall {found.lines.recall}")
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
