"""Average precision as COCO defines it, and the interval that belongs to it.

The figures are those of faster-coco-eval where it is installed, of pycocotools otherwise. Neither knows how far a figure would
move on other pictures of the same kind: for that, pictures are drawn anew with replacement and the figure is taken again. Labels
are matched once, from the library's own overlaps and by COCO's rule, and only the accumulation is repeated, many draws at a time.
The interval is the figure with about twice the standard deviation of the draws on either side (Efron and Tibshirani, An
Introduction to the Bootstrap, 1993, chapters 6 and 12). The percentiles of the draws would be worse: a picture drawn twice
favours the best precision at each recall, so that the draws lie too high.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.types import Bools, Floats, Ints

IOUS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}  # as COCO's Params
# Of COCO's 17 points of a person, as in its Params; other points all count alike, 1 / their number, as ultralytics takes them.
PERSON = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
EVALUATORS = {"faster-coco-eval": "faster_coco_eval", "pycocotools": "pycocotools"}
Z = 1.959963984540054  # of the standard normal distribution, 95 % lie between -Z and Z
CELLS = 4_000_000  # numbers of one array of the bootstrap


@dataclass
class Matched:
    """Hold the detections (d of them) of one class, best score first, as they matched the truth.

    Args:
        class_id: as in the annotations.
        score: (d,).
        image: (d,) index of the image.
        hit: (areas, ious, d) true where it matched a label of the truth that counts.
        out: (areas, ious, d) true where it counts neither for nor against.
        truth: (areas, images) labels of the truth that count.
    """

    class_id: int
    score: Floats
    image: Ints
    hit: Bools
    out: Bools
    truth: Floats


@dataclass
class Average:
    """Hold average precision by class.

    Args:
        areas: names of the size ranges.
        value: (classes, areas, ious), NaN where there is no truth; the library's.
        classes: what each class matched.
        evaluator: name and version of the library.
    """

    areas: tuple[str, ...]
    value: Floats
    classes: list[Matched]
    evaluator: str


def average(
    truth: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    images: Sequence[dict[str, Any]],
    kind: str,
    evaluator: str = "auto",
    points: int = 17,
) -> Average:
    """Return the average precision of `found` against `truth`.

    Args:
        truth: COCO annotations, ids from 1, with area and iscrowd.
        found: the same, with score.
        images: with id (ascending), height and width.
        kind: bbox, segm or keypoints.
        evaluator: auto, faster-coco-eval or pycocotools.
        points: keypoints of every annotation.
    """
    classes = sorted({a["category_id"] for a in truth} | {a["category_id"] for a in found})
    run, name = _run(truth, found, images, classes, kind, evaluator, points)
    areas = tuple(a for a in AREAS if kind != "keypoints" or a != "small")
    precision = run.eval["precision"][..., -1]  # iou, recall, class, area
    value = np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan).transpose(1, 2, 0)
    most = run.params.maxDets[-1]
    pairs = [_grouped(part) for part in (truth, found)]
    order = {image["id"]: i for i, image in enumerate(images)}
    matched = [_matched(c, pairs[0].get(c, {}), pairs[1].get(c, {}), run.ious, order, most, areas) for c in classes]
    return Average(areas, value, matched, name)


def resampled(averages: Sequence[Average], images: int, samples: int, seed: int) -> tuple[Floats, dict[int, Floats]]:
    """Return average precision over draws of the images: of all classes (draws, areas, ious), and by class id (draws, ious).

    NaN where a draw has no truth.
    """
    rng = np.random.default_rng(seed)
    classes = [one for part in averages for one in part.classes]
    chunk = max(1, CELLS // max([images, *(len(one.score) for one in classes)]))
    means, own = [], defaultdict(list)
    for start in range(0, samples, chunk):
        weight = rng.multinomial(images, np.full(images, 1 / images), size=min(chunk, samples - start)).astype(np.float64)
        values = []
        for one in classes:
            values.append(weighted(one, weight))
            own[one.class_id].append(values[-1][:, 0])
        means.append(mean(np.stack(values), axis=0))
    return np.concatenate(means), {c: np.concatenate(parts) for c, parts in own.items()}


def weighted(one: Matched, weight: Floats) -> Floats:
    """Return the average precision (draws, areas, ious) of a class, each image counted `weight` (draws, images) times."""
    drawn = weight[:, one.image]
    out = np.full((len(weight), *one.hit.shape[:2]), np.nan)
    for area, truth in enumerate(one.truth):
        total = (weight @ truth)[:, None]
        for level, (hit, ignored) in enumerate(zip(one.hit[area], one.out[area], strict=True)):
            at = np.flatnonzero(hit)
            if level == 0 or (ignored != one.out[area, level - 1]).any():
                counted = np.cumsum(drawn * ~ignored, axis=1)
            hits = np.cumsum(drawn[:, at], axis=1)
            some = np.broadcast_to(total > 0, hits.shape)
            recall = np.divide(hits, total, out=np.zeros_like(hits), where=some)
            precision = np.divide(hits, counted[:, at], out=np.zeros_like(hits), where=counted[:, at] > 0)
            best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
            # Of the 101 levels of recall, those first reached by this detection; at each, the best precision from there on.
            reached = np.diff(np.searchsorted(RECALLS, recall, side="right"), axis=1, prepend=0)
            value = (reached * best).sum(axis=1) / len(RECALLS)
            out[:, area, level] = np.where(total[:, 0] > 0, value, np.nan)
    return out


def mean(values: Floats, axis: Any = None) -> Floats:
    """Return the mean of what is not NaN, and NaN where nothing is."""
    known = ~np.isnan(values)
    n = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.asarray(np.divide(total, n, out=np.full(np.shape(n), np.nan), where=n > 0))


def interval(value: float, draws: Floats, images: int) -> tuple[float, float]:
    """Return the 95 % interval of an average `value` on so many images with truth, from figures drawn anew (draws,).

    Of few images the spread is itself uncertain: Student's t takes the place of the normal distribution. Where all draws are
    alike, as they are on one image or if nothing was missed, they tell nothing: Wilson's interval of that share of the images
    takes their place.
    """
    known = draws[~np.isnan(draws)]
    if images < 2 or len(known) < 2 or (error := float(np.std(known, ddof=1))) < 1e-9:
        return wilson(value * images, images)
    spread = _student(images - 1) * error * np.sqrt(images / (images - 1))
    return (max(0.0, value - spread), min(1.0, value + spread))


def wilson(k: float, n: float, z: float = Z) -> tuple[float, float]:
    """Return the score interval of a share k of n (Wilson 1927, JASA 22:209): 95 %, or as `z` says, a point of the normal."""
    if not n:
        return (0.0, 1.0)
    centre, spread = (k + z * z / 2) / (n + z * z), z * np.sqrt(max(k * (n - k), 0) / n + z * z / 4) / (n + z * z)
    return (max(0.0, min(float(centre - spread), k / n)), min(1.0, max(float(centre + spread), k / n)))


def _student(freedom: int) -> float:
    """Return the 97.5 % point of Student's t (Abramowitz and Stegun 26.7.5): 3 % too low for 2 degrees, exact for many."""
    z = Z
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _run(
    truth: Sequence[dict[str, Any]],
    found: Sequence[dict[str, Any]],
    images: Sequence[dict[str, Any]],
    classes: Sequence[int],
    kind: str,
    evaluator: str,
    points: int,
) -> tuple[Any, str]:
    if evaluator == "auto":
        evaluator = next(name for name, module in EVALUATORS.items() if find_spec(module))
    if evaluator not in EVALUATORS:
        raise ConfigError(f"evaluator={evaluator} is not a choice", choices=("auto", *EVALUATORS))
    if evaluator == "pycocotools":
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    else:
        from faster_coco_eval import COCO
        from faster_coco_eval import COCOeval_faster as COCOeval
    with redirect_stdout(io.StringIO()):  # pycocotools prints as it goes
        sides = []
        for annotations in (truth, found):
            side = COCO()
            side.dataset = {"images": list(images), "annotations": list(annotations), "categories": [{"id": c} for c in classes]}
            side.createIndex()
            sides.append(side)
        run = COCOeval(*sides, kind)
        run.params.imgIds, run.params.catIds = [image["id"] for image in images], list(classes)
        if kind == "keypoints":
            run.params.kpt_oks_sigmas = PERSON if points == len(PERSON) else np.full(points, 1 / points)
        run.evaluate()
        run.accumulate()
    return run, f"{evaluator} {version(evaluator)}"


def _grouped(annotations: Sequence[dict[str, Any]]) -> dict[int, dict[int, list[dict[str, Any]]]]:
    out: dict[int, dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for one in annotations:
        out[one["category_id"]][one["image_id"]].append(one)
    return out


def _matched(
    class_id: int,
    truth: Mapping[int, list[dict[str, Any]]],
    found: Mapping[int, list[dict[str, Any]]],
    overlaps: Mapping[tuple[int, int], Any],
    order: Mapping[int, int],
    most: int,
    areas: Sequence[str],
) -> Matched:
    count = np.zeros((len(areas), len(order)))
    shape = (len(areas), len(IOUS))
    score, image, hit, out = (
        [np.zeros(0)],
        [np.zeros(0, dtype=np.int64)],
        [np.zeros((*shape, 0), bool)],
        [np.zeros((*shape, 0), bool)],
    )
    for ident in sorted({*truth, *found}, key=order.__getitem__):
        gts, dts = truth.get(ident, []), sorted(found.get(ident, []), key=lambda d: -d["score"])[:most]
        crowd = np.array([bool(g["iscrowd"]) for g in gts], dtype=bool)
        empty = np.array([g.get("num_keypoints") == 0 for g in gts], dtype=bool)
        ignored = _outside([g["area"] for g in gts], areas) | crowd | empty
        count[:, order[ident]] = (~ignored).sum(axis=1)
        if dts:
            overlap = np.asarray(overlaps[ident, class_id] if gts else np.zeros((len(dts), 0)), dtype=np.float64)
            hits, dropped = _match(overlap, crowd, ignored)
            outside = _outside([d["area"] for d in dts], areas)[:, None]
            score.append(np.array([d["score"] for d in dts], dtype=np.float64))
            image.append(np.full(len(dts), order[ident]))
            hit.append(hits)
            out.append(dropped | (~hits & outside))
    scores = np.concatenate(score)
    by_score = np.argsort(-scores, kind="stable")
    hit_, out_ = (np.concatenate(part, axis=2)[:, :, by_score] for part in (hit, out))
    return Matched(class_id, scores[by_score], np.concatenate(image)[by_score], hit_, out_, count)


def _outside(area: Sequence[float], areas: Sequence[str]) -> Bools:
    low, high = np.array([AREAS[name] for name in areas]).T[:, :, None]
    value = np.array(area, dtype=np.float64)[None]
    return np.asarray((value < low) | (value > high))


def _match(overlap: Floats, crowd: Bools, ignored: Bools) -> tuple[Bools, Bools]:
    """Match the detections of one image, best score first, each to the label it overlaps most among those still free.

    COCO's rule: a label that counts goes before one to ignore, a crowd may match many times, and of equals the last is taken.

    Args:
        overlap: (d, g).
        crowd: (g,).
        ignored: (areas, g).

    Returns:
        hit and out, (areas, ious, d); see `Matched`.
    """
    n, shape = len(overlap), (len(ignored), len(IOUS))
    hit, out = np.zeros((*shape, n), bool), np.zeros((*shape, n), bool)
    if not overlap.size:
        return hit, out
    level = np.minimum(IOUS, 1 - 1e-10)
    free = np.ones((*shape, len(crowd)), bool)
    for row in np.flatnonzero(overlap.max(axis=1) >= level[0]):
        may = (free | crowd) & (overlap[row] >= level[:, None])
        counts = may & ~ignored[:, None]
        of = np.where(counts.any(axis=2, keepdims=True), counts, may)
        best = len(crowd) - 1 - np.argmax(np.where(of, overlap[row], -1.0)[..., ::-1], axis=2)
        some = of.any(axis=2)
        drop = np.take_along_axis(ignored, best, axis=1)
        hit[..., row], out[..., row] = some & ~drop, some & drop
        np.put_along_axis(free, best[..., None], np.take_along_axis(free, best[..., None], axis=2) & ~some[..., None], axis=2)
    return hit, out
