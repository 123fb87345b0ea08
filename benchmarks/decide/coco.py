"""Compare ways of spending people's time on COCO pictures with a real detector: python benchmarks/decide/coco.py [--write].

The detector is YOLOv8n of the preset `coco`, at the preset's least score and at lower ones; a second model, YOLOX-nano, is there
for ObjectLab and as a feature of the learned risk. Truth are the boxes of COCO's own annotations. People are simulated: perfect,
with the times of the effort model (`hyla.decide.effort`). Wrong labels and missed objects both count, per label and picture.

Two readings. *The pictures themselves*: 119, of which an audit can accept little. *Resampled*: lots of 5,000 pictures drawn with
replacement from these, to see what the same structure of errors gives at scale; risks there are learned on other pictures (five
folds), so that no picture teaches what is known of its copies.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from hyla import config, formats, geometry
from hyla.decide.arms import Case
from hyla.decide.flow import PILOT
from hyla.decide.lot import Lot
from hyla.decide.simulate import project_case, simulate
from hyla.decide.simulation import Simulation
from hyla.evaluate import match_items
from hyla.loop import run
from hyla.store import Project
from hyla.types import Labels, Record

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared"
SCORES = (0.25, 0.1, 0.05)  # least score of a label; the first is the preset's
EPS = (0.05, 0.02)
DELTA, LOT, FOLDS = 0.05, 5000, 5
SECOND_SCORE = 0.1
MOONSHOT = 1.0  # human-seconds per object at certified 2 %, misses included
INTRO = """Simulated: a perfect reviewer, times of the effort model. Times are human seconds per object of the truth, with the
middle 95 % of the repetitions; area: 0 as a random order, 1 as the oracle's; left: error when the arm stops, or when Hyla
does; false: certificates that were, counting as they do no more errors of a picture than its labels + 1."""
WHATS = ("pictures", "resampled")
ALL = 0.999  # share of questions from which on nothing was accepted
COLOURS = {"hyla": "#1f6f5c", "oracle": "#555", "random": "#999"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder with data/coco and weights")
    parser.add_argument("--keep", type=Path, help="folder for the projects, used again if they are there")
    parser.add_argument("--scores", type=float, nargs="+", default=SCORES, help="least scores of a label")
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--write", action="store_true", help="write coco.md and coco.svg beside this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        home = args.keep or Path(scratch)
        found: dict[tuple[float, str, float], Simulation] = {}
        known: dict[float, str] = {}
        drawing: dict[float, float] = {}
        for score in args.scores:
            with Project.open(labelled(home, args.shared, score)) as project:
                case, objects = project_case(project, "coco", EPS[0], DELTA, overrides=["second=truth:yolox"])
                lot, n = resampled(case, [len(one.labels) for one in project.records("truth:coco")])
                known[score] = capped(case)
                drawing[score] = float((case.fix * case.wrong).sum()) / objects
                for eps in EPS:
                    for what, one, count in (("pictures", case, objects), ("resampled", lot, n)):
                        asked = replace(one, eps=eps)
                        found[score, what, eps] = simulate(asked, repetitions=args.repetitions, objects=count)
                        print(what, score, found[score, what, eps], sep="\n", flush=True)
    ends = [Ended.of(key, one, drawing[key[0]]) for key, one in found.items()]
    text = "\n".join([INTRO, "", *summary(ends), *table(found, known)])
    print(text)
    if args.write:
        (HERE / "coco.md").write_text(text, encoding="utf-8")
        first = args.scores[0]
        figure(found[first, "pictures", EPS[0]], found[first, "resampled", EPS[0]], HERE / "coco.svg")


def labelled(home: Path, shared: Path, score: float) -> Path:
    """Return a project of the 119 pictures, with the detector's labels, the truth and the second model's labels."""
    out = home / f"coco-{score:g}"
    if (out / "project.db").exists():
        return out
    pictures = home / "pictures"
    if not pictures.exists():
        pictures.mkdir(parents=True)
        whole = {"images": [], "annotations": [], "categories": []}
        for name in ("val_a", "val_b"):
            part = json.loads((shared / "data/coco" / name / "instances.json").read_text(encoding="utf-8"))
            whole["images"] += part["images"]
            whole["annotations"] += [{k: v for k, v in one.items() if k != "segmentation"} for one in part["annotations"]]
            whole["categories"] = part["categories"]
            for one in part["images"]:
                shutil.copy(shared / "data/coco" / name / "images" / one["file_name"], pictures)
        (home / "truth.json").write_text(json.dumps(whole), encoding="utf-8")
    weights = f"weights_dir={shared / 'weights'}"
    run(config.compose("coco", f"model.conf={score}", weights, source=str(pictures), out=str(out)))
    with Project.open(out) as project:
        schema = project.schema()
        truth = formats.get("coco", schema=schema).read(home / "truth.json", schema)
        project.add(match_items(truth, project), "truth:coco")
        names = [one["name"] for one in json.loads((home / "truth.json").read_text(encoding="utf-8"))["categories"]]
        classes = np.array([schema.class_id(name) for name in names])
        project.add(yolox(project, pictures, shared / "weights/yolox_nano.onnx", classes), "truth:yolox")
    return out


def yolox(project: Project, pictures: Path, weights: Path, classes: np.ndarray) -> Iterator[Record]:
    """Yield what YOLOX-nano sees: BGR of 0 to 255, letterboxed to 416 at the top left, raw output on grids of 8, 16, 32 px."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    cells = [(np.stack(np.meshgrid(np.arange(416 // s), np.arange(416 // s)), -1).reshape(-1, 2), s) for s in (8, 16, 32)]
    grid = np.concatenate([cell for cell, _ in cells])
    stride = np.concatenate([np.full((len(cell), 1), s) for cell, s in cells])
    for record in project.records("model"):
        picture = cv2.imread(str(pictures / record.item.uri))
        ratio = 416 / max(picture.shape[:2])
        small = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_LINEAR)[:416, :416]
        canvas = np.full((416, 416, 3), 114, np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        (raw,) = session.run(None, {name: canvas.transpose(2, 0, 1)[None].astype(np.float32)})
        centre, size = (raw[0, :, :2] + grid) * stride / ratio, np.exp(raw[0, :, 2:4]) * stride / ratio
        box = geometry.clip(np.concatenate([centre - size / 2, centre + size / 2], axis=1), record.size)
        chance = raw[0, :, 4:5] * raw[0, :, 5:]
        score, best = chance.max(axis=1), classes[chance.argmax(axis=1)]
        some = np.flatnonzero((score >= SECOND_SCORE) & (geometry.area(box) > 0))
        kept = some[geometry.nms(box[some], score[some], best[some], 0.65)]
        yield replace(record, labels=Labels.of(best[kept], box[kept], score=np.clip(score[kept], 0, 1)))


def resampled(case: Case, objects: list[int]) -> tuple[Case, int]:
    """Return a lot of 5,000 pictures drawn from those of a case, with risks learned on other pictures, and its objects."""
    lot, rng = case.lot, np.random.default_rng(0)
    fold = np.random.default_rng(1).permutation(len(lot)) % FOLDS
    risk, seconds = lot.risk.copy(), lot.seconds.copy()
    for k in range(FOLDS):
        mine = fold[lot.ask_unit] == k
        taught = case.learn(np.where(mine, np.nan, case.wrong))
        risk[mine], seconds[mine] = taught.risk[mine], taught.seconds[mine]
    drawn = rng.integers(0, len(lot), LOT)
    asks = [np.flatnonzero(lot.item == i) for i in range(len(lot))]
    old = np.concatenate([asks[i] for i in drawn])
    item = np.repeat(np.arange(LOT), [len(asks[i]) for i in drawn])
    ids = np.array([f"{i:05d}".encode() for i in range(LOT)])
    digests = np.array([sha256(one).hexdigest().encode() for one in ids])
    none = np.zeros(len(old), dtype=bool)

    def made(risk: np.ndarray, seconds: np.ndarray) -> Lot:
        zeros = np.zeros(LOT, dtype=np.int64)
        return Lot(
            ids, digests, np.arange(LOT), lot.size[drawn], zeros, zeros > 0, ("",), item, lot.row[old], risk, seconds, none
        )

    signals = {name: values[old] for name, values in case.signals.items()}
    before, after = made(lot.risk[old], lot.seconds[old]), made(risk[old], seconds[old])
    big = Case(before, case.wrong[old], case.look[old], case.fix[old], case.eps, case.delta, signals, lambda _: after, PILOT)
    return big, int(np.array(objects)[drawn].sum())


def capped(case: Case) -> str:
    """Say how much of the error a certificate does not see, since of one picture it counts no more errors than labels + 1."""
    errors = np.bincount(case.lot.ask_unit, case.wrong, len(case.lot))
    over = np.maximum(errors - case.lot.size, 0).sum()
    return f"{over / max(errors.sum(), 1):.1%} of the errors are in excess of labels + 1 of their picture"


class Ended(NamedTuple):
    """Hold where one comparison stands: seconds per object, and the share of questions that Hyla asks."""

    score: float
    what: str
    eps: float
    everything: float
    drawing: float
    hyla: float
    asked: float
    oracle: float

    @classmethod
    def of(cls, key: tuple[float, str, float], one: Simulation, drawing: float) -> Ended:
        n, mine = one.objects, one["hyla"]
        return cls(
            *key, one.seconds[-1] / n, drawing, mine.certified.value / n, mine.asked.value, one["oracle"].stopped.value / n
        )


def summary(ends: list[Ended]) -> list[str]:
    """Return where it stands, as Markdown."""
    lines = [
        "| pictures | least score | eps | review everything | of this drawing | Hyla, certified | asked | oracle, uncertified |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in ends:
        what = {"pictures": "the 119", "resampled": "*resampled* to 5,000"}[one.what]
        certified = f"{one.hyla:.2f}" if one.asked <= ALL else f"{one.hyla:.2f}, nothing accepted"
        cells = [f"{one.score:g}", f"{one.eps:.0%}", f"{one.everything:.2f}", f"{one.drawing:.2f}"]
        lines.append(f"| {' | '.join([what, *cells, certified, f'{one.asked:.1%}', f'{one.oracle:.2f}'])} |")
    real, big = (min((one for one in ends if one.what == what and one.eps == EPS[1]), key=lambda one: one.hyla) for what in WHATS)
    floor, oracle = (min(one.drawing for one in ends), min(one.oracle for one in ends if one.eps == EPS[1]))
    nothing = " (people answer everything: an audit of so few can let nothing go)" if real.asked > ALL else ""
    return [
        *lines,
        "",
        f"Moonshot: at most {MOONSHOT:g} s per object at certified 2 %, misses included. It stands at {real.hyla:.2f} s on the",
        f"pictures themselves{nothing}, and",
        f"at {big.hyla:.2f} s *resampled* to 5,000, a bootstrap of the same pictures. No order of questions can reach it",
        f"with this detector: to draw what it misses or misplaces takes {floor:.2f} s per object by itself, and even the oracle",
        f"takes {oracle:.2f} s.",
        "",
    ]


def table(found: dict[tuple[float, str, float], Simulation], known: dict[float, str]) -> list[str]:
    """Return all figures as Markdown."""
    lines = []
    for (score, what, eps), one in found.items():
        size = f"{one.units:,} pictures, {one.objects:,} objects of the truth, {one.asks:,} asks, {one.errors:,.0f} errors"
        lines += [
            f"### {what}, score >= {score:g}, eps {eps:.0%}",
            "",
            f"{size} of the machine ({one.errors / one.size:.1%} of labels and pictures; {known[score]}). Reviewing everything: "
            f"{one.seconds[-1] / one.objects:.2f} s per object. n = {one.repetitions} repetitions.",
            "",
            "| arm | area | to 5 % | to 2 % | to 1 % | stops | asked | left | certified | false | above eps |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for arm in one.arms:
            if arm.why:
                lines.append(f"| {arm.label} | not applicable: {arm.why} | | | | | | | | | |")
                continue
            per = [cell(arm.to[mark], one.objects) if arm.to else "" for mark in ("0.05", "0.02", "0.01")]
            ends = [cell(arm.stopped, one.objects), share(arm.asked), share(arm.left), cell(arm.certified, one.objects)]
            claims = [f"{one.value:.2f} (n {one.n})" if one and one.n else "" for one in (arm.broken, arm.over)]
            lines.append(f"| {arm.label} | {arm.auc.value:.2f} | {' | '.join([*per, *ends, *claims])} |")
        mine = one["hyla"]
        taken = mine.certified.value / one.objects
        nothing = " Nothing can be accepted unseen: this is a review of everything." if mine.asked.value > ALL else ""
        lines += ["", f"Certified at {eps:.0%}: **{taken:.2f} s per object**.{nothing}", ""]
    return lines


def cell(figure, objects: int) -> str:
    if figure is None or figure.value is None:
        return ""
    return f"{figure.value / objects:.2f} ({figure.low / objects:.2f}-{figure.high / objects:.2f})"


def share(figure) -> str:
    return "" if figure is None or figure.value is None else f"{figure.value:.2%}"


def figure(pictures: Simulation, lots: Simulation, to: Path) -> None:
    """Draw the curves of the two readings side by side."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(11, 4.4), layout="constrained")
    FigureCanvasSVG(canvas)
    for axes, one, title in zip(canvas.subplots(1, 2), (pictures, lots), ("the 119 pictures", "resampled to 5,000"), strict=True):
        for arm in one.arms:
            if not arm.why:
                x = np.array(one.seconds) / one.objects
                style = {"color": COLOURS[arm.name]} if arm.name in COLOURS else {"linewidth": 1}
                axes.plot(x, 100 * np.array(arm.error), label=arm.label, **style)
        axes.axhline(100 * one.eps, color="#8a5a00", linewidth=0.8, linestyle="--")
        axes.set_title(title)
        axes.set_xlabel("simulated human seconds per object")
        axes.set_ylabel("errors left per 100 labels and pictures")
        axes.set_xlim(0, None)
        axes.set_ylim(0, None)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    canvas.savefig(to, metadata={"Date": None})


if __name__ == "__main__":
    main()
