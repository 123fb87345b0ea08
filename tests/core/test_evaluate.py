"""Figures are those of pycocotools, intervals are what they say, and imported labels find their items."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from hyla import average_precision as ap
from hyla import geometry
from hyla.errors import ConfigError, FormatError, StageError
from hyla.evaluate import evaluate, match_items, project_evaluate
from hyla.formats.coco import Coco
from hyla.schema import Class, Schema
from hyla.store import Project, Quarantined, Stored
from hyla.types import Item, Kind, Labels, Record, item_id

POINTS = tuple(f"p{i}" for i in range(17))
SCHEMA = Schema(
    "s",
    (Class("cat"), Class("dog"), Class("never"), Class("person", keypoints=POINTS)),
    ("box", "polygon", "mask", "keypoints", "tag"),
)
SIZE = (240, 320)
# pycocotools 2.0.11 has numpy 2.4 call its __array__ in a way that is going out of use.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def record(name: str, labels: Labels, size: tuple[int, ...] = SIZE) -> Record:
    return Record(Item(item_id(name), name), labels, size=size)


def some_boxes(rng: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
    near = rng.uniform(0, [280, 200], (n, 2))
    return np.hstack([near, np.minimum(near + rng.uniform(4, 120, (n, 2)), SIZE[::-1])])


def scene(seed: int, images: int = 12) -> tuple[list[Record], list[Record]]:
    """Return truth and predictions of boxes, masks and keypoints: crowds, misses, doubles, false finds, equal scores."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for i in range(images):
        n = int(rng.integers(0, 9))
        box, class_id = some_boxes(rng, n), rng.integers(0, 2, n)
        keep = np.concatenate([np.flatnonzero(rng.random(n) < 0.8), rng.integers(0, n, 2) if n else np.zeros(0, int)])
        guess = np.vstack([box[keep] + rng.normal(0, 4, (len(keep), 4)), some_boxes(rng, 3)])
        guess = geometry.clip(np.hstack([np.minimum(guess[:, :2], guess[:, 2:] - 1), guess[:, 2:]]), SIZE)
        ids = np.concatenate([class_id[keep], rng.integers(0, 2, 3)])
        score = rng.integers(0, 20, len(ids)) / 20
        crowd = {"iscrowd": (rng.random(n) < 0.1).astype(float)}
        truth.append(record(f"{i}.jpg", masked(class_id, box, None, crowd)))
        found.append(record(f"{i}.jpg", masked(ids, guess, score, {})))
    return truth, found


def masked(class_id: Any, box: Any, score: Any, evidence: dict[str, Any]) -> Labels:
    """Return ellipses as polygons of cats and as masks of dogs, and the same boxes again as persons with keypoints."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    shapes: list[Any] = []
    for one, c in zip(box, class_id, strict=True):
        centre, half = (one[:2] + one[2:]) / 2, (one[2:] - one[:2]) / 2
        ring = centre + half * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        shapes.append((ring,) if c == 0 else geometry.encode(geometry.rasterize((ring,), SIZE)))
    for i, one in enumerate(box):
        seen = np.full((17, 1), 0.0 if i % 5 == 4 and score is None else 2.0)
        grid = np.stack([np.linspace(one[0], one[2], 17), np.linspace(one[1], one[3], 17)], axis=1)
        shapes.append(np.hstack([grid, seen]))
    kind = [*(Kind.POLYGON if c == 0 else Kind.MASK for c in class_id), *[Kind.KEYPOINTS] * len(box)]
    return Labels.of(
        [*class_id, *[3] * len(box)],
        np.vstack([box, box]),
        kind=np.array(kind, dtype=np.uint8),
        shape=shapes,
        score=None if score is None else np.concatenate([score, score]),
        evidence={name: np.concatenate([v, np.zeros(len(box))]) for name, v in evidence.items()},
    )


def direct(truth: Sequence[Record], found: Sequence[Record], kind: str, out: Path) -> Any:
    """Return what pycocotools itself says of the files that the COCO format writes."""
    with contextlib.redirect_stdout(io.StringIO()):
        for name, records in (("truth", truth), ("found", found)):
            Coco(f"{name}.json").export(records, SCHEMA, out)
        gt, dt = COCO(str(out / "truth.json")), COCO(str(out / "found.json"))
        wanted = {"segm": (1, 2), "keypoints": (4,)}.get(kind, (1, 2, 4))
        for side in (gt, dt):
            anns = [{"score": 1.0, **a} for a in side.dataset["annotations"] if a["category_id"] in wanted]
            side.dataset["annotations"] = anns
            side.createIndex()
        run = COCOeval(gt, dt, kind)
        run.params.catIds = list(wanted)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


@pytest.mark.parametrize("evaluator", ap.EVALUATORS)
@pytest.mark.parametrize(("name", "kind"), [("boxes", "bbox"), ("masks", "segm"), ("keypoints", "keypoints")])
def test_figures_are_those_of_pycocotools(tmp_path: Path, evaluator: str, name: str, kind: str) -> None:
    if evaluator == "faster-coco-eval":
        pytest.importorskip("faster_coco_eval", reason="faster-coco-eval is not installed")
    truth, found = scene(3)
    part = evaluate(found, truth, SCHEMA, samples=20, evaluator=evaluator).parts[name]
    run = direct(truth, found, kind, tmp_path)
    names = ["mAP", "mAP50", "mAP75", *(f"mAP_{a}" for a in ("small", "medium", "large") if (a, name) != ("small", "keypoints"))]
    assert list(part.average) == names
    for figure, theirs in zip(part.average.values(), run.stats, strict=False):
        assert (-1 if figure.value is None else figure.value) == pytest.approx(theirs, abs=1e-6)
    assert sum(f.value is not None for f in part.average.values()) >= 5
    precision = run.eval["precision"][..., 0, -1]
    for i, class_id in enumerate(run.params.catIds):
        ours = part.classes[SCHEMA.names[class_id - 1]]
        assert ours.ap.value == pytest.approx(precision[:, :, i].mean(), abs=1e-6)
        assert ours.ap50.value == pytest.approx(precision[0, :, i].mean(), abs=1e-6)
    assert part.evaluator.startswith(evaluator)
    assert all(
        f.low <= f.value <= f.high
        for f in part.average.values()
        if f.value is not None and f.low is not None and f.high is not None
    )


def annotations(records: Sequence[Record]) -> list[dict[str, Any]]:
    out = []
    for image, one in enumerate(records, 1):
        crowd = one.labels.evidence.get("iscrowd", np.zeros(len(one.labels)))
        for row, box in enumerate(geometry.xywh(one.labels.box).tolist()):
            about = {"image_id": image, "category_id": int(one.labels.class_id[row]), "iscrowd": int(crowd[row])}
            out.append({"id": len(out) + 1, **about, "bbox": box, "area": box[2] * box[3], "score": float(one.labels.score[row])})
    return out


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from(list(ap.EVALUATORS)))
def test_the_figure_taken_again_without_drawing_is_the_librarys(seed: int, evaluator: str) -> None:
    truth, found = scene(seed, 5)
    images = [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(1, 6)]
    one = ap.average(annotations(truth), annotations(found), images, "bbox", evaluator)
    for value, matched in zip(one.value, one.classes, strict=True):
        np.testing.assert_allclose(ap.weighted(matched, np.ones((1, 5)))[0], value, rtol=0, atol=1e-12)


def test_an_image_drawn_twice_is_as_if_it_were_there_twice() -> None:
    truth, found = scene(8, 4)
    order = np.random.default_rng(0).permutation(sum(len(one.labels) for one in found))
    for one in found:  # no two scores alike, since equal ones are taken in the order of the images
        one.labels.score[:], order = (order[: len(one.labels)] + 1) / 1000, order[len(one.labels) :]
    twice = [*range(4), 2, 0, 0]
    images = [{"id": i, "height": SIZE[0], "width": SIZE[1]} for i in range(1, 8)]
    drawn = ap.average(annotations([truth[i] for i in twice]), annotations([found[i] for i in twice]), images, "bbox")
    once = ap.average(annotations(truth), annotations(found), images[:4], "bbox")
    for value, matched in zip(drawn.value, once.classes, strict=True):
        np.testing.assert_allclose(ap.weighted(matched, np.array([[3.0, 1, 2, 1]]))[0], value, rtol=0, atol=1e-12)


def boxes(*box: Sequence[float], class_id: int = 0, score: Any = None, **more: Any) -> Labels:
    return Labels.of([class_id] * len(box), np.reshape(box, (-1, 4)), score=score, **more)


A, B, C = [0.0, 0, 40, 40], [60.0, 60, 100, 100], [120.0, 0, 160, 40]


def test_precision_and_recall_by_score() -> None:
    truth = [record("a.jpg", boxes(A, B)), record("b.jpg", boxes(C)), record("c.jpg", Labels.empty())]
    found = [
        record("a.jpg", boxes(A, C, score=[0.9, 0.6])),
        record("b.jpg", boxes(C, score=[0.3])),
        record("c.jpg", boxes(A, score=[0.2])),
    ]
    one = evaluate(found, truth, SCHEMA, samples=50, scores=(0.5, 0.25, 0.95))
    low, middle, high = one.parts["boxes"].at_score
    assert (low.score, middle.score, high.score) == (0.25, 0.5, 0.95)
    assert (low.precision.value, low.precision.n, low.recall.value, low.recall.n) == (2 / 3, 3, 2 / 3, 3)
    assert (middle.precision.value, middle.recall.value) == (1 / 2, 1 / 3)
    assert (high.precision.value, high.precision.n, high.recall.value) == (None, 0, 0)
    assert low.precision.low == pytest.approx(0.2077, abs=1e-4)
    assert low.precision.high == pytest.approx(0.9385, abs=1e-4)
    assert one.images == 3
    assert one.parts["boxes"].classes.keys() == {"cat"}


def test_a_crowd_counts_neither_for_nor_against() -> None:
    truth = [record("a.jpg", boxes(A, B, evidence={"iscrowd": [0, 1]}))]
    inside = [62.0, 62, 70, 70]
    one = evaluate([record("a.jpg", boxes(A, inside, B, score=[0.5, 0.9, 0.8]))], truth, SCHEMA, samples=10)
    part = one.parts["boxes"]
    assert (part.average["mAP"].value, part.average["mAP"].n) == (1, 1)
    assert part.at_score[0].precision.n == 1
    found = [record("a.jpg", boxes(A, inside, B, score=[0.5, 0.9, 0.8]))]
    plain = evaluate(found, [record("a.jpg", boxes(A, B))], SCHEMA, samples=10).parts["boxes"]
    assert plain.average["mAP"].value is not None
    assert plain.average["mAP"].value < 1


def test_only_images_with_truth_count_and_those_not_labelled_count_as_empty() -> None:
    truth = [record("a.jpg", boxes(A)), record("b.jpg", boxes(B))]
    found = [record("z.jpg", boxes(A, B, C)), record("a.jpg", boxes(A))]
    one = evaluate(found, truth, SCHEMA, samples=10)
    assert (one.images, one.missing) == (2, 1)
    assert one.parts["boxes"].classes["cat"].ap50.value == pytest.approx(0.505, abs=0.001)  # 51 of 101 levels of recall
    assert "2 images with truth, 1 of them without labels" in str(one)


def test_classes_on_one_side_only() -> None:
    one = evaluate([record("a.jpg", boxes(A, class_id=1))], [record("a.jpg", boxes(A))], SCHEMA, samples=10)
    classes = one.parts["boxes"].classes
    assert classes.keys() == {"cat", "dog"}
    assert (classes["cat"].ap.value, classes["cat"].truth, classes["cat"].predicted) == (0, 1, 0)
    assert (classes["dog"].ap.value, classes["dog"].truth, classes["dog"].predicted) == (None, 0, 1)
    assert one.parts["boxes"].average["mAP"].value == 0
    assert one.parts["boxes"].at_score[0].precision.value == 0
    assert one.parts["boxes"].average["mAP_small"].value is None


def test_nothing_found_is_nothing_and_not_an_error() -> None:
    one = evaluate([record("a.jpg", Labels.empty())], [record("a.jpg", boxes(A))], SCHEMA, samples=10)
    assert one.parts["boxes"].average["mAP"].value == 0
    assert evaluate([], [], SCHEMA).parts == {}
    empty = evaluate([record("a.jpg", boxes(A))], [record("a.jpg", Labels.empty())], SCHEMA)
    assert (empty.images, empty.parts) == (1, {})


def test_masks_are_measured_where_both_sides_have_them() -> None:
    ring = np.array([[0.0, 0], [40, 0], [40, 40], [0, 40]])
    drawn = Labels.of([0], kind=Kind.POLYGON, shape=[(ring,)])
    assert evaluate([record("a.jpg", boxes(A))], [record("a.jpg", drawn)], SCHEMA, samples=5).parts.keys() == {"boxes"}
    both = evaluate([record("a.jpg", drawn)], [record("a.jpg", drawn)], SCHEMA, samples=5)
    assert both.parts["masks"].average["mAP"].value == 1
    other = Labels.of([0], [A], kind=Kind.MASK, shape=[geometry.encode(np.ones((5, 5), bool))])
    with pytest.raises(StageError, match="is needed to be compared"):
        evaluate([record("a.jpg", other)], [record("a.jpg", drawn)], SCHEMA)


def test_keypoints_of_any_number_are_measured_together() -> None:
    def dog(n: int, class_id: int) -> Labels:
        points = np.hstack([np.linspace(0, 40, n)[:, None]] * 2 + [np.full((n, 1), 2.0)])
        return Labels.of([class_id], [A], kind=Kind.KEYPOINTS, shape=[points])

    both = [record("a.jpg", Labels.concat([dog(4, 0), dog(17, 3)]))]
    part = evaluate(both, both, SCHEMA, samples=5).parts["keypoints"]
    assert part.classes.keys() == {"cat", "person"}
    assert part.average["mAP"].value == 1
    with pytest.raises(StageError, match="5 keypoints, others 4"):
        evaluate([record("a.jpg", dog(5, 0))], [record("a.jpg", dog(4, 0))], SCHEMA)


def test_tags_are_right_if_the_best_one_is() -> None:
    def tags(*class_id: int, score: Any = None) -> Labels:
        return Labels.of(class_id, [[0, 0, 9, 9]] * len(class_id), kind=Kind.TAG, score=score)

    truth = [record("a.jpg", tags(0)), record("b.jpg", tags(1, 0)), record("c.jpg", tags(1)), record("d.jpg", Labels.empty())]
    found = [record("a.jpg", tags(1, 0, score=[0.2, 0.7])), record("b.jpg", tags(0)), record("d.jpg", tags(0))]
    one = evaluate(found, truth, SCHEMA)
    assert one.tags is not None
    assert (one.tags.value, one.tags.n) == (2 / 3, 3)
    assert "tags right in 0.667 [0.208, 0.939] (n 3)" in str(one)
    assert one.parts == {}


def test_the_interval_is_the_same_for_the_same_labels_and_wide_where_images_differ() -> None:
    truth, found = scene(5, 10)
    first = evaluate(found, truth, SCHEMA, samples=200)
    again = evaluate(list(reversed(found)), truth, SCHEMA, samples=200)
    assert first == again
    assert evaluate(found, truth, SCHEMA, samples=200, seed=1) != first
    same = [record(f"{i}.jpg", boxes(A, B)) for i in range(9)]
    alike = evaluate([replace(r, labels=boxes(A, C, score=[0.9, 0.5])) for r in same], same, SCHEMA, samples=50).parts["boxes"]
    value = alike.average["mAP"].value
    assert value is not None
    assert (alike.average["mAP"].low, alike.average["mAP"].high) == ap.wilson(9 * value, 9)  # nine that are alike are but nine
    figure = first.parts["boxes"].average["mAP50"]
    assert figure.low is not None
    assert figure.high is not None
    assert figure.high - figure.low > 0.05


def test_the_bootstrap_covers_what_it_should() -> None:
    rng = np.random.default_rng(0)
    # One box per image, found with probability 0.7 and nothing else: mAP is the share found, whose error is that of a proportion.
    n, draws = 100, 400
    hit = rng.random(n) < 0.7
    one = ap.Matched(
        0,
        np.ones(hit.sum()),
        np.flatnonzero(hit),
        np.ones((1, 1, hit.sum()), bool),
        np.zeros((1, 1, hit.sum()), bool),
        np.ones((1, n)),
    )
    mean, own = ap.resampled([ap.Average(("all",), np.zeros((1, 1, 1)), [one], "")], n, draws, 0)
    assert mean.shape == (draws, 1, 1)
    assert own[0].shape == (draws, 1)
    expected = np.sqrt(hit.mean() * (1 - hit.mean()) / n)
    assert mean.std() == pytest.approx(expected, rel=0.1)
    assert mean.mean() == pytest.approx(hit.mean(), abs=0.01)


def test_an_interval_of_few_images_is_wide() -> None:
    draws = np.random.default_rng(0).normal(0.5, 0.01, 500)
    widths = [np.diff(ap.interval(0.5, draws, n))[0] for n in (1, 2, 3, 5, 30, 1000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.8
    assert widths[2] == pytest.approx(2 * 4.303 * draws.std(ddof=1) * np.sqrt(3 / 2), rel=0.04)
    assert widths[4] == pytest.approx(2 * 2.0452 * draws.std(ddof=1) * np.sqrt(30 / 29), rel=0.001)
    assert widths[5] == pytest.approx(2 * 1.9623 * draws.std(ddof=1), rel=0.001)
    assert ap.interval(1, np.ones(500), 1) == ap.wilson(1, 1)
    assert ap.interval(0.5, np.full(9, np.nan), 40) == ap.wilson(20, 40)
    assert ap.interval(0.01, draws - 0.49, 20)[0] == 0


def test_a_large_bootstrap_in_pieces_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    truth, found = scene(6, 6)
    whole = evaluate(found, truth, SCHEMA, samples=40)
    monkeypatch.setattr(ap, "CELLS", 100)
    assert evaluate(found, truth, SCHEMA, samples=40) == whole


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (0, 0, 0, 1), (50, 100, 0.4038, 0.5962)],
)
def test_wilsons_interval(k: int, n: int, low: float, high: float) -> None:
    assert ap.wilson(k, n) == pytest.approx((low, high), abs=1e-4)


def test_an_evaluation_is_json_and_text() -> None:
    truth, found = scene(1, 4)
    one = evaluate(found, truth, SCHEMA, samples=10)
    back = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert back["parts"]["boxes"]["average"]["mAP"]["n"] > 0
    parts = {"parts", "tags", "lines", "volumes", "points", "hierarchy", "names", "events"}
    assert {"images", "missing", "samples"} | parts == back.keys()
    assert (back["hierarchy"], back["names"], back["events"]) == ({}, {}, {})
    text = str(one)
    assert all(word in text for word in ("boxes, by", "masks, by", "keypoints, by", "mAP50", "cat", "score >= 0.5"))


def test_an_item_that_comes_twice_is_refused() -> None:
    one, two = record("a.jpg", boxes(A)), record("b.jpg", boxes(A))
    with pytest.raises(StageError, match="truth has item"):
        evaluate([], [one, two, one], SCHEMA)
    with pytest.raises(StageError, match="predictions have item"):
        evaluate([one, one], [one], SCHEMA)
    with pytest.raises(ConfigError, match="evaluator=mine"):
        evaluate([one], [one], SCHEMA, evaluator="mine")


# In a project


@pytest.fixture
def project(tmp_path: Path) -> Any:
    with Project.create(tmp_path / "out") as made:
        made.start_run({}, SCHEMA, "pictures", {}, {"name": "m"})
        items = [Item(item_id(uri), uri) for uri in ("x/a.jpg", "y/a.jpg", "b.jpg", "bad.jpg")]
        items += [Item(item_id("clip.mp4", i), "clip.mp4", "clip.mp4", i, "video_frame") for i in range(2)]
        entries: list[Any] = [
            Stored(Record(item, boxes(A, score=[0.9]), source="model:m", size=SIZE), i, 0.1)
            for i, item in enumerate(items)
            if item.uri != "bad.jpg"
        ]
        made.write([*entries, Quarantined(items[3], 3, "load", "damaged")])
        yield made


def test_truth_is_matched_imported_and_measured(project: Project) -> None:
    truth = [
        record("x/a.jpg", boxes(A)),
        record("elsewhere/b.jpg", boxes(B)),
        record("bad.jpg", boxes(A)),
        record("other.jpg", boxes(A)),
    ]
    matched = match_items(truth, project)
    assert project.add(matched, "truth:mine") == 2
    assert (matched.unmatched, matched.examples) == (2, ["bad.jpg", "other.jpg"])
    one = project_evaluate(project, samples=10)
    assert one == project_evaluate(project, "truth:mine", samples=10)
    assert (one.images, one.missing) == (2, 0)
    assert one.parts["boxes"].average["mAP"].n == 2


def test_which_truth_must_be_said_if_there_are_several(project: Project) -> None:
    with pytest.raises(ConfigError, match="no truth to measure"):
        project_evaluate(project)
    for name in ("one", "two"):
        project.add(match_items([record("b.jpg", boxes(A))], project), f"truth:{name}")
    with pytest.raises(ConfigError, match="2 truths") as caught:
        project_evaluate(project)
    assert caught.value.choices == ["one", "two"]
    with pytest.raises(ConfigError, match="no truth 'three'"):
        project_evaluate(project, "three")
    assert project_evaluate(project, "two", samples=5).images == 1


def found(project: Project, *items: Item, size: tuple[int, ...] = SIZE, labels: Labels | None = None) -> list[Item]:
    given_ = [Record(item, boxes(A) if labels is None else labels, size=size) for item in items]
    return [one.item for one in match_items(given_, project)]


def test_items_are_found_by_id_path_and_name(project: Project) -> None:
    assert found(project, Item(item_id("b.jpg"), "what/ever.png"))[0].uri == "b.jpg"
    assert found(project, Item("?", "y/a.jpg"))[0].uri == "y/a.jpg"
    assert found(project, Item("?", "images/y/a.jpg"))[0].uri == "y/a.jpg"
    assert found(project, Item("?", "images/train/b.jpg"))[0].uri == "b.jpg"
    assert found(project, Item("?", "clip.mp4", "clip.mp4", 1, "video_frame"))[0].index == 1
    assert found(project, Item("?", "clip/000001.jpg"))[0].index == 1
    assert found(project, Item("?", "frames/000001.jpg"))[0].index == 1
    assert found(project, Item("?", "clip/000009.jpg")) == []


def test_items_that_can_not_be_told_apart_are_refused(project: Project) -> None:
    with pytest.raises(FormatError, match="fits 2 items") as caught:
        found(project, Item("?", "z/a.jpg"))
    assert caught.value.choices == ["x/a.jpg", "y/a.jpg"]
    with pytest.raises(FormatError, match="are both labels of item"):
        found(project, Item("?", "b.jpg"), Item("!", "c/b.jpg"))


def test_labels_of_another_picture_are_refused(project: Project) -> None:
    with pytest.raises(FormatError, match="labelled as 640 x 480 pixels, the project's is 320 x 240"):
        found(project, Item("?", "b.jpg"), size=(480, 640))
    with pytest.raises(FormatError, match="outside the image"):
        found(project, Item("?", "b.jpg"), size=(0, 0), labels=boxes([0, 0, 400, 40]))
    (one,) = match_items([Record(Item("?", "b.jpg"), boxes(A))], project)
    assert one.size == SIZE


def test_real_truth_gives_the_figures_of_its_own_file(shared: Path) -> None:
    path = shared / "data/coco/val_a/instances.json"
    file = json.loads(path.read_text())
    schema = Schema("coco", tuple(Class(c["name"]) for c in file["categories"]), ("box", "polygon", "mask"))
    truth = list(Coco().read(path, schema))
    rng = np.random.default_rng(2)
    guesses = []
    for one in truth:
        box = geometry.clip(one.labels.box + rng.normal(0, 5, one.labels.box.shape), one.size)
        box = np.hstack([np.minimum(box[:, :2], box[:, 2:]), box[:, 2:]])
        guesses.append(replace(one, labels=Labels.of(one.labels.class_id, box, score=rng.random(len(box)))))
    ours = evaluate(guesses, truth, schema, samples=10).parts["boxes"]
    ids = {c["name"]: c["id"] for c in file["categories"]}
    results = [
        {"image_id": image["id"], "category_id": ids[schema.names[c]], "bbox": box, "score": s}
        for image, one in zip(file["images"], guesses, strict=True)
        for c, box, s in zip(one.labels.class_id, geometry.xywh(one.labels.box).tolist(), one.labels.score.tolist(), strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(path))
        run = COCOeval(gt, gt.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert [f.value for f in ours.average.values()] == pytest.approx(run.stats[:6].tolist(), abs=1e-6)
