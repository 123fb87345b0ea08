"""Measure labels against truth: average precision, precision and recall by score, Dice of volumes, lines, tags.

No figure stands without its n and its 95 % interval. The interval of an average precision is over images; that of a share
(precision, recall, right tags) is Wilson's, which takes the labels as independent: those of one picture rarely are, so that it is
rather too narrow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla import average_precision as ap
from hyla import points
from hyla.dice import Masks, Overlap, overlaps, volumes_of
from hyla.errors import ConfigError, FormatError, StageError
from hyla.figure import Figure, share
from hyla.formats import picture
from hyla.formats.segments import areas, rle_of
from hyla.geometry import xywh
from hyla.hierarchy import HierarchyFigures
from hyla.lines import right
from hyla.named import NameFigures
from hyla.occurrences import EventFigures, Occurrences
from hyla.paired import Paired, boxed
from hyla.points import PointFigures
from hyla.schema import Schema
from hyla.types import Floats, Ints, Item, Kind, Labels, Record

if TYPE_CHECKING:
    from hyla.store import Project

KINDS = {"boxes": "bbox", "masks": "segm", "keypoints": "keypoints"}
SCORES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class ClassFigures:
    """Hold the average precision of one class (over IoU 0.5 to 0.95, and at 0.5) and the number of its labels on either side."""

    ap: Figure
    ap50: Figure
    truth: int
    predicted: int


@dataclass(frozen=True)
class AtScore:
    """Hold precision and recall at IoU 0.5 of the labels with at least this score, all classes together."""

    score: float
    precision: Figure
    recall: Figure


@dataclass(frozen=True)
class Part:
    """Hold what was measured of one kind of geometry.

    Args:
        average: mAP (IoU 0.5 to 0.95), mAP50, mAP75, and mAP_small, mAP_medium, mAP_large by area: below 32 x 32, 96 x 96, above.
        classes: class name -> its own.
        at_score: by threshold, ascending.
        evaluator: the library whose figures the averages are.
    """

    average: dict[str, Figure]
    classes: dict[str, ClassFigures]
    at_score: tuple[AtScore, ...]
    evaluator: str


@dataclass(frozen=True)
class LineFigures:
    """Hold what was measured of lines (lanes), all classes together, counted as `hyla.lines` says.

    Args:
        precision: share of the lines found that are lines of the truth.
        recall: share of the lines of the truth that were found.
        f1: their harmonic mean, or None where there is nothing to measure.
    """

    precision: Figure
    recall: Figure
    f1: float | None


@dataclass(frozen=True)
class Evaluation:
    """Hold what was measured.

    Args:
        images: with truth; no others count.
        missing: of them, those without a record to measure. They count as if nothing had been found.
        samples: draws behind the intervals of averages.
        parts: boxes, masks and keypoints, where both sides have any.
        tags: share of images with tags whose best tag is one of them, where there are any.
        lines: where the truth has any.
        volumes: class name -> how its masks of volumes agree; a class counts as itself, whatever is folded.
        points: what the areas say at single points of the truth, where it has any; a class counts as itself, likewise.
        hierarchy: `boxes` and `tags`, how near a wrong class is in the tree of classes, where that says more than the rest; a
            class counts as itself, likewise.
        names: attribute that says what a thing is (product) -> whether things found are named right, where the truth names any.
        events: class name -> how events of clips are found: tags with a track, which go on over frames.
    """

    images: int
    missing: int
    samples: int
    parts: dict[str, Part] = field(default_factory=dict)
    tags: Figure | None = None
    lines: LineFigures | None = None
    volumes: dict[str, Overlap] = field(default_factory=dict)
    points: PointFigures | None = None
    hierarchy: dict[str, HierarchyFigures] = field(default_factory=dict)
    names: dict[str, NameFigures] = field(default_factory=dict)
    events: dict[str, EventFigures] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON-able values."""
        return asdict(self)

    def __str__(self) -> str:
        lost = f", {self.missing} of them without labels to measure" if self.missing else ""
        lines = [f"{self.images} images with truth{lost}"]
        for name, part in self.parts.items():
            lines += ["", f"{name}, by {part.evaluator}; intervals over {self.samples} draws of the images"]
            lines += [f"  {what:<12} {figure}" for what, figure in part.average.items()]
            width = max(map(len, part.classes), default=0)
            lines += [f"  {c:<{width}}  AP {f.ap}  AP50 {f.ap50}  predicted {f.predicted}" for c, f in part.classes.items()]
            lines += [f"  score >= {s.score:<4}  precision {s.precision}  recall {s.recall}" for s in part.at_score]
        if self.tags:
            lines += ["", f"tags right in {self.tags}"]
        if self.lines:
            f1 = "-" if self.lines.f1 is None else f"{self.lines.f1:.3f}"
            lines += ["", f"lines: precision {self.lines.precision}  recall {self.lines.recall}  F1 {f1}  (CULane, IoU 0.5)"]
        if self.volumes:
            width = max(map(len, self.volumes))
            lines += ["", f"volumes; intervals over {self.samples} draws of the volumes"]
            lines += [f"  {name:<{width}}  {one}" for name, one in self.volumes.items()]
        if self.points:
            lines += ["", str(self.points)]
        if self.hierarchy:
            lines += ["", *(f"classes of {name} found: {one}" for name, one in self.hierarchy.items())]
        for name, names in self.names.items():
            lines += ["", f"{name}: {names}"]
        if self.events:
            width = max(map(len, self.events))
            lines += ["", "events", *(f"  {name:<{width}}  {one}" for name, one in self.events.items())]
        return "\n".join(lines)


def evaluate(
    predictions: Iterable[Record],
    truth: Iterable[Record],
    schema: Schema,
    *,
    samples: int = 500,
    seed: int = 0,
    scores: Sequence[float] = SCORES,
    evaluator: str = "auto",
    fold: Sequence[str] = (),
) -> Evaluation:
    """Measure `predictions` against `truth`, matched by item id.

    Boxes are those of all labels but tags, lines, cuboids and single points; masks those of polygons and masks. At a single point
    of the truth (keypoints with one point) the areas that cover it are measured, see `hyla.points`. A label of the truth whose
    `evidence["iscrowd"]` is 1 counts neither for nor against. A class on neither side is left out.

    All of these go by class alone: a bottle that was found as a bottle is right there, whatever product it was taken for. What
    attributes that say what a thing is (`Schema.identities`) are worth stands in `names`.

    Args:
        predictions: in any order; of an item without truth they do not count.
        truth: each item once, with no labels where there is nothing to find.
        schema: of both.
        samples: draws of the images for the intervals.
        seed: of these draws, so that the same labels give the same intervals.
        scores: at which precision and recall are given.
        evaluator: faster-coco-eval, pycocotools, or auto for the first of them that is installed.
        fold: classes that their descendants count as: with `vehicle`, a car found as a vehicle is right.

    Raises:
        ConfigError: for a class to fold into that the schema does not have.
        StageError: for an item that comes twice, or keypoints that are not as many as those of the truth.
    """
    counts_as = np.arange(len(schema.names))
    for name in fold:
        schema.class_id(name)
        counts_as[schema.under(name)] = schema.class_id(name)
    sides = _Side(counts_as), _Side(counts_as)
    family = points.families(schema)
    paired, events = Paired(schema), Occurrences(schema, counts_as)
    answers: dict[int, list[int]] = {}
    numbers: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    for one in truth:
        if numbers.setdefault(one.item.id, len(numbers) + 1) != len(images) + 1:
            raise StageError(f"the truth has item {one.item.id!r} twice")
        images.append({"id": len(images) + 1, "height": one.size[-2], "width": one.size[-1]})
        sides[0].add(one, images[-1])
        paired.add(len(images), one.labels)
        events.add(0, one)
    seen: set[int] = set()
    for one in predictions:
        if (number := numbers.get(one.item.id)) is not None:
            if number in seen:
                raise StageError(f"the predictions have item {one.item.id!r} twice")
            seen.add(number)
            sides[1].add(one, images[number - 1])
            paired.match(number, one.labels)
            events.add(1, one)
            if asked := sides[0].points.get(number):
                answers[number] = points.said(asked, one.labels, family)
    parts = {}
    for name, kind in KINDS.items():
        left, right = (side.annotations[name] for side in sides)
        if left and (right or name == "boxes"):
            groups = _by_points(left, right) if name == "keypoints" else [(left, right, 0)]
            found = [ap.average(a, b, images, kind, evaluator, n) for a, b, n in groups]
            parts[name] = _part(found, schema, len(images), samples, seed, sorted(scores))
    tags, lines = _tags(sides[0].tags, sides[1].tags), _lines(sides[0].lines, sides[1].lines, images)
    volumes = overlaps(sides[0].volumes, sides[1].volumes, samples, seed)
    named = {schema.names[c]: one for c, one in volumes.items()}
    pairs = [
        (one[0], answer)
        for n, asked in sides[0].points.items()
        for one, answer in zip(asked, answers.get(n, [points.NOTHING] * len(asked)), strict=True)
    ]
    stood = points.figures(pairs, schema) if pairs else None
    tree = paired.hierarchy(len(images), samples, seed)
    missing, names = len(images) - len(seen), paired.names()
    return Evaluation(len(images), missing, samples, parts, tags, lines, named, stood, tree, names, events.figures())


def project_evaluate(project: Project, truth: str | None = None, **settings: Any) -> Evaluation:
    """Measure the machine's labels of a project against truth that was imported; see `evaluate` for the settings.

    Raises:
        ConfigError: if there is no truth, or several and `truth` does not name one.
    """
    names = [source.removeprefix("truth:") for source in project.truths()]
    if not names:
        raise ConfigError("the project has no truth to measure against", f"hyla import {project.path} --format coco --from FILE")
    name = (truth or (names[0] if len(names) == 1 else "")).removeprefix("truth:")
    if name not in names:
        what = f"the project has no truth {name!r}" if name else f"the project has {len(names)} truths"
        raise ConfigError(what, "say which: --truth NAME", names)
    return evaluate(project.records("model"), project.records(f"truth:{name}"), project.schema(), **settings)


def match_items(records: Iterable[Record], project: Project) -> Matches:
    """Give imported records the items of a project: an iterable of those that match, which counts the others as it goes.

    A record matches by its item's id, else by its path, else by its file's name, whichever first fits any item. Of several files
    of that name, the one is meant whose path ends like the record's.

    Args:
        records: as a format reads them.
        project: whose items they are of.

    Raises:
        FormatError: while iterating, for a record that fits several items, an item that fits several records, labels that lie
            outside its picture, or a picture of another size.
    """
    return Matches(records, project)


class Matches:
    """Hold the records that fit an item of the project, each with that item.

    Attributes:
        unmatched: how many fitted none, once all were read.
        examples: the paths of the first five of them.
    """

    def __init__(self, records: Iterable[Record], project: Project) -> None:
        self._records, self._project = records, project
        self.unmatched = 0
        self.examples: list[str] = []

    def __iter__(self) -> Iterator[Record]:
        index = _Index(self._project.records("model"))
        schema = self._project.schema()
        taken: dict[str, str] = {}
        for one in self._records:
            if (found := index.find(one.item)) is None:
                self.unmatched += 1
                self.examples += [one.item.uri] if len(self.examples) < 5 else []
                continue
            item, size, frame = found
            if item.id in taken:
                raise FormatError(f"{one.item.uri!r} and {taken[item.id]!r} are both labels of item {item.uri!r}")
            if any(one.size) and any(size) and tuple(one.size) != tuple(size):
                theirs, ours = (" x ".join(map(str, reversed(s))) for s in (one.size, size))
                raise FormatError(
                    f"{one.item.uri!r} is labelled as {theirs} pixels, the project's is {ours}",
                    "the labels are of another picture",
                )
            try:
                schema.check(one.labels, size if any(size) else None)
            except StageError as error:
                raise FormatError(f"{one.item.uri!r}: {error.what}", error.hint, error.choices) from error
            taken[item.id] = one.item.uri
            yield replace(one, item=item, size=size, frame=frame)


class _Index:
    """Find the items of a project by id, path and file name."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.items: dict[str, tuple[Item, tuple[int, ...], Any]] = {}
        self.paths: dict[str, list[str]] = defaultdict(list)
        self.names: dict[str, list[str]] = defaultdict(list)
        for one in records:
            path = picture(one.item)
            self.items[one.item.id] = (one.item, one.size, one.frame)
            self.paths[path].append(one.item.id)
            self.names[PurePosixPath(path).name].append(one.item.id)

    def find(self, item: Item) -> tuple[Item, tuple[int, ...], Any] | None:
        path = picture(item)
        if item.id in self.items:
            return self.items[item.id]
        found = self.paths.get(path) or self.names.get(PurePosixPath(path).name) or []
        if len(found) > 1:
            own = {i: f"/{picture(self.items[i][0])}" for i in found}
            found = [i for i in found if f"/{path}".endswith(own[i]) or own[i].endswith(f"/{path}")] or found
        if len(found) > 1:
            choices = [self.items[i][0].uri for i in found[:5]]
            raise FormatError(
                f"{item.uri!r} fits {len(found)} items of the project", "give the labels the paths of the items", choices
            )
        return self.items[found[0]] if found else None


class _Side:
    """Gather one side of the comparison as COCO annotations by kind of geometry, and the tags of each image."""

    def __init__(self, counts_as: Ints) -> None:
        self._counts_as = counts_as
        self.lines: dict[int, list[Floats]] = {}
        self.annotations: dict[str, list[dict[str, Any]]] = {name: [] for name in KINDS}
        self.tags: dict[int, list[tuple[float, int]]] = {}
        self.volumes: dict[int, Masks] = {}
        self.points: dict[int, points.Known] = {}

    def add(self, one: Record, image: Mapping[str, Any]) -> None:
        single, rest = points.split(one.labels)
        if len(single):
            self.points[image["id"]] = points.known(single)
        labels = replace(rest, class_id=self._counts_as[rest.class_id])
        tags = labels.kind == Kind.TAG
        if volumes := volumes_of(one.labels):
            self.volumes[image["id"]] = volumes
        if (lines := labels.kind == Kind.POLYLINE).any():
            surest = np.argsort(-labels.score[lines], kind="stable")
            self.lines[image["id"]] = list(labels.shape[lines][surest])
        if tags.any():
            self.tags[image["id"]] = list(zip(labels.score[tags].tolist(), labels.class_id[tags].tolist(), strict=True))
        self._boxed(labels[boxed(labels)], image)

    def _boxed(self, labels: Labels, image: Mapping[str, Any]) -> None:
        crowd = labels.evidence.get("iscrowd", np.zeros(len(labels))) == 1
        columns = zip(
            labels.class_id.tolist(), labels.score.tolist(), xywh(labels.box).tolist(), areas(labels).tolist(), strict=True
        )
        for row, (class_id, score, box, area) in enumerate(columns):
            about = {"image_id": image["id"], "category_id": class_id, "score": score, "iscrowd": int(crowd[row])}
            self._put("boxes", {**about, "bbox": box, "area": area})
            kind, shape = labels.kind[row], labels.shape[row]
            if kind in (Kind.POLYGON, Kind.MASK):
                self._put("masks", {**about, "bbox": box, "area": area, "segmentation": self._rle(kind, shape, image)})
            if kind == Kind.KEYPOINTS:
                points = shape.reshape(-1).tolist()
                self._put(
                    "keypoints",
                    {**about, "bbox": box, "area": area, "keypoints": points, "num_keypoints": int((shape[:, 2] > 0).sum())},
                )

    def _put(self, name: str, annotation: dict[str, Any]) -> None:
        self.annotations[name].append({**annotation, "id": len(self.annotations[name]) + 1})

    def _rle(self, kind: int, shape: Any, image: Mapping[str, Any]) -> dict[str, Any]:
        size = (image["height"], image["width"])
        if (kind == Kind.MASK and shape.size != size) or not all(size):
            raise StageError(
                f"a mask of {size} is needed to be compared, this one is of {getattr(shape, 'size', 'no known size')}"
            )
        return rle_of(kind, shape, size)


def _by_points(
    truth: list[dict[str, Any]], found: list[dict[str, Any]]
) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]], int]]:
    """Return both sides by number of keypoints, since the measure counts on one number."""
    number: dict[int, int] = {}
    groups: dict[int, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}
    for side, given in enumerate((truth, found)):
        for one in given:
            n = len(one["keypoints"]) // 3
            if number.setdefault(one["category_id"], n) != n:
                raise StageError(f"labels of one class have {n} keypoints, others {number[one['category_id']]}")
            groups.setdefault(n, ([], []))[side].append(one)
    return [(left, right, n) for n, (left, right) in groups.items()]


def _part(found: Sequence[ap.Average], schema: Schema, images: int, samples: int, seed: int, scores: Sequence[float]) -> Part:
    value = np.concatenate([one.value for one in found])
    matched = [m for one in found for m in one.classes]
    drawn, own = ap.resampled(found, images, samples, seed)
    truth = np.sum([m.truth.sum(axis=1) for m in matched], axis=0).astype(int)
    shown = np.any([m.truth > 0 for m in matched], axis=0).sum(axis=1)  # images with truth, by area
    average = {
        "mAP": _figure(ap.mean(value[:, 0]), ap.mean(drawn[:, 0], axis=1), truth[0], shown[0]),
        "mAP50": _figure(ap.mean(value[:, 0, 0]), drawn[:, 0, 0], truth[0], shown[0]),
        "mAP75": _figure(ap.mean(value[:, 0, 5]), drawn[:, 0, 5], truth[0], shown[0]),
    }
    for area, name in enumerate(found[0].areas[1:], 1):
        average[f"mAP_{name}"] = _figure(ap.mean(value[:, area]), ap.mean(drawn[:, area], axis=1), truth[area], shown[area])
    classes = {}
    for one, m in zip(value[:, 0], matched, strict=True):
        n, draws, own_images = int(m.truth[0].sum()), own[m.class_id], (m.truth[0] > 0).sum()
        both = _figure(one.mean(), draws.mean(axis=1), n, own_images), _figure(one[0], draws[:, 0], n, own_images)
        classes[schema.names[m.class_id]] = ClassFigures(*both, truth=n, predicted=len(m.score))
    return Part(average, classes, tuple(_at_score(matched, s, int(truth[0])) for s in scores), found[0].evaluator)


def _figure(value: Any, draws: Floats, n: Any, images: Any) -> Figure:
    if np.isnan(value):
        return Figure(None, None, None, int(n))
    return Figure(float(value), *ap.interval(float(value), draws, int(images)), int(n))


def _at_score(matched: Sequence[ap.Matched], score: float, truth: int) -> AtScore:
    hits = sum(int((m.hit[0, 0] & (m.score >= score)).sum()) for m in matched)
    counted = sum(int((~m.out[0, 0] & (m.score >= score)).sum()) for m in matched)
    return AtScore(score, share(hits, counted), share(hits, truth))


def _tags(truth: Mapping[int, list[tuple[float, int]]], found: Mapping[int, list[tuple[float, int]]]) -> Figure | None:
    if not truth:
        return None
    right = sum(max(found.get(image, [(0.0, -1)]))[1] in {c for _, c in tags} for image, tags in truth.items())
    return share(right, len(truth))


def _lines(
    truth: Mapping[int, list[Floats]], found: Mapping[int, list[Floats]], images: Sequence[Mapping[str, Any]]
) -> LineFigures | None:
    if not truth:
        return None
    hits = 0
    for image in images:
        n = image["id"]
        hits += int(right(found.get(n, []), truth.get(n, []), (image["height"], image["width"])).sum())
    total, all_found = (sum(len(lines) for lines in side.values()) for side in (truth, found))
    return LineFigures(share(hits, all_found), share(hits, total), 2 * hits / (total + all_found))
