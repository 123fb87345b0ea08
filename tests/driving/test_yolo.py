"""The detector by ultralytics: classes, batches, tracks, masks, weights that can't be used, and equality with its own boxes."""

from __future__ import annotations

import pickle
import shutil
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from hyla import geometry, privacy
from hyla.errors import ConfigError, StageError
from hyla.heads import class_ids, is_raw, raw, suppressed
from hyla.images import read_image
from hyla.letterbox import Letterbox
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels
from hyla.weights import digest
from hyla_driving import backends, yolo
from hyla_driving.yolo import Yolo

SCHEMA = Schema.from_config(
    {
        "name": "road",
        "kinds": ["box", "mask", "track"],
        "classes": {"person": {}, "car": {}, "light": {"codes": {"coco": "traffic light"}}, "stone": {}},
    }
)
BACKENDS = [
    "torch",
    pytest.param("onnx", marks=pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed")),
    pytest.param("openvino", marks=pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")),
]


def build(folder: Path, name: str = "detect.pt", **settings) -> Yolo:
    defaults = {"device": "cpu", "backend": "torch", "conf": 0.05, "imgsz": 128, "schema": SCHEMA}
    return Yolo(weights=name, weights_dir=str(folder), **{**defaults, **settings})


def pictures(n: int = 5, group: str = "") -> list[Image]:
    """Return noise in blocks, of three proportions."""
    rng = np.random.default_rng(7)
    sizes = [(96, 128), (200, 120), (64, 64), (97, 131), (96, 128)]
    out = []
    for i, (height, width) in zip(range(n), sizes * n, strict=False):
        blocks = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
        pixels = np.kron(blocks, np.ones((8, 8, 1), dtype=np.uint8))[:height, :width]
        out.append(Image(np.ascontiguousarray(pixels), Item(f"i{i}", f"i{i}.png", group, i)))
    return out


# Labels -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["detect.pt", "segment.pt", "end2end.pt"])
def test_labels_fit_the_schema_and_do_not_depend_on_the_batch(yolo_weights, backend, name):
    model = build(yolo_weights, name, backend=backend, max_det=20)
    images = pictures()
    whole = model.predict(images)
    assert sum(map(len, whole)) > 0
    for image, labels in zip(images, whole, strict=True):
        SCHEMA.check(labels, image.size)
        assert (labels.kind == (Kind.MASK if name == "segment.pt" else Kind.BOX)).all()
    assert [model.predict([image])[0] for image in images] == whole
    assert model.predict(images[::-1])[::-1] == whole
    assert build(yolo_weights, name, backend=backend, max_det=20).predict(images[3:]) == whole[3:]


@pytest.mark.parametrize("batch", [2, 3, 8])
def test_labels_do_not_depend_on_neighbours_for_any_constant_batch_of_the_network(yolo_weights, batch):
    model = build(yolo_weights, network_batch=batch, max_det=20)
    images = pictures(7)
    assert [model.predict([image])[0] for image in images] == model.predict(images)


def test_no_pictures_give_no_labels(yolo_weights):
    assert build(yolo_weights).predict([]) == []


def test_a_picture_in_which_nothing_scores_has_no_labels(yolo_weights):
    assert build(yolo_weights, conf=1.0).predict(pictures(1)) == [Labels.of([], np.zeros((0, 4)), evidence={"margin": []})]


def test_classes_come_by_code_by_name_or_as_they_are_mapped_and_the_others_are_dropped():
    names = ["car", "person", "traffic light", "kite"]
    assert class_ids(SCHEMA, names, {}).tolist() == [1, 0, 2, -1]
    assert class_ids(SCHEMA, names, {"kite": "stone", "car": None}).tolist() == [-1, 0, 2, 3]
    with pytest.raises(ConfigError, match="know no class 'cra'") as caught:
        class_ids(SCHEMA, names, {"cra": "car"})
    assert "'car'" in caught.value.hint
    with pytest.raises(ConfigError, match="no class 'rock'"):
        class_ids(SCHEMA, names, {"kite": "rock"})
    with pytest.raises(ConfigError, match="no class of the weights"):
        class_ids(SCHEMA, ["zebra"], {})


def test_a_dropped_class_is_not_among_the_labels(yolo_weights):
    images = pictures()
    every = build(yolo_weights, classes={"kite": "stone"}).predict(images)
    some = build(yolo_weights, classes={"car": None, "person": None}).predict(images)
    assert {1, 2} < {int(c) for one in every for c in one.class_id}
    assert {int(c) for one in some for c in one.class_id} == {2}


def test_the_margin_is_the_lead_of_the_best_class(yolo_weights):
    for labels in build(yolo_weights).predict(pictures()):
        assert ((labels.evidence["margin"] >= 0) & (labels.evidence["margin"] <= labels.score)).all()


def test_a_grey_picture_is_read_as_colour_and_other_pixels_are_refused(yolo_weights):
    model = build(yolo_weights)
    item = Item("i", "i.png")
    grey = pictures(1)[0].pixels[:, :, :1]
    as_colour = model.predict([Image(np.repeat(grey, 3, axis=2), item)])
    assert len(as_colour[0]) > 0
    assert model.predict([Image(grey, item)]) == as_colour
    for wrong in (
        Image(grey.astype(np.uint16), item),
        Image(np.zeros((8, 8, 4), np.uint8), item),
        Image(grey, item, volume=True),
    ):
        with pytest.raises(StageError, match="8-bit pictures"):
            model.predict([wrong])


@pytest.mark.parametrize("backend", BACKENDS)
def test_pixels_that_may_not_be_written_are_read_and_left_as_they_are(yolo_weights, backend):
    pixels = pictures(1)[0].pixels  # 96 x 128: the canvas itself
    before = pixels.copy()
    model = build(yolo_weights, backend=backend)
    free = model.predict([Image(pixels, Item("i", "i.png"))])
    pixels.flags.writeable = False
    assert model.predict([Image(pixels, Item("i", "i.png"))]) == free
    assert model.predict([Image(np.asfortranarray(pixels), Item("i", "i.png"))]) == free
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (33, 32)])
def test_odd_sizes_are_read(yolo_weights, size):
    image = Image(np.full((*size, 3), 200, np.uint8), Item("i", "i.png"))
    SCHEMA.check(build(yolo_weights).predict([image])[0], size)


def test_masks_have_the_size_of_the_picture_and_lie_in_it(yolo_weights):
    image = pictures(2)[1]
    labels = build(yolo_weights, "segment.pt", max_det=5).predict([image])[0]
    assert len(labels)
    for shape, box in zip(labels.shape, labels.box, strict=True):
        assert shape.size == image.size
        assert geometry.rle_area(shape) > 0
        assert np.array_equal(geometry.rle_bounds(shape), box)


def test_provenance_is_the_same_on_every_start(yolo_weights):
    model = build(yolo_weights)
    given = model.provenance()
    assert given["digest"] == digest(yolo_weights / "detect.pt")
    assert given["name"] == "detect"
    assert given["backend"].startswith("torch ")
    assert build(yolo_weights).provenance() == given


# Tracks -----------------------------------------------------------------------------------------------------------------------


def test_tracking_is_memory_of_a_group_that_can_be_forgotten(yolo_weights):
    model = build(yolo_weights, tracker="bytetrack", max_det=10, conf=0.3)
    assert model.memory
    assert not build(yolo_weights).memory
    still = [Image(pictures(1)[0].pixels, Item(f"f{i}", "clip.mp4", "clip", i)) for i in range(4)]
    first = model.predict(still)
    assert (first[-1].track > 0).all()
    assert len(first[-1]) > 0
    model.forget("clip")
    assert [one for image in still for one in model.predict([image])] == first


def test_a_batch_that_fails_leaves_the_tracks_as_they_were(yolo_weights, monkeypatch):
    model = build(yolo_weights, tracker="bytetrack")
    seen = []
    monkeypatch.setattr(model._tracker, "update", lambda item, labels, image: seen.append(item.id) or labels)
    run = model._backend.run

    def fails_later(inputs):
        yield from islice(run(inputs), 2)
        raise MemoryError

    monkeypatch.setattr(model._backend, "run", fails_later)
    with pytest.raises(MemoryError):
        model.predict(pictures(4, "clip"))
    assert seen == []


def test_tracks_need_a_schema_that_has_them(yolo_weights):
    boxes = Schema.from_config({"name": "boxes", "kinds": ["box"], "classes": {"car": {}}})
    with pytest.raises(ConfigError, match="has no tracks"):
        build(yolo_weights, schema=boxes, tracker="bytetrack")
    with pytest.raises(ConfigError, match="a mask per object"):
        build(yolo_weights, "segment.pt", schema=boxes)


# What fails before work starts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"task": "pose"}, "no task 'pose'"),
        ({"task": "segment"}, "are for 'detect', not for task=segment"),
        ({"imgsz": 100}, "imgsz is 100"),
        ({"imgsz": 0}, "imgsz is 0"),
        ({"conf": 1.5}, "conf is 1.5"),
        ({"iou": -0.1}, "iou is -0.1"),
        ({"max_det": 0}, "max_det is 0"),
        ({"network_batch": 0}, "network_batch is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"tracker": "bytetrak"}, "bytetrak"),
        ({"backend": "tensorflow"}, "no backend"),
        ({"device": "cuda:77"}, "cuda:77"),
        ({"name": "nothing.pt"}, "nothing.pt"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(yolo_weights, settings, says):
    with pytest.raises(ConfigError, match=says) as caught:
        build(yolo_weights, **settings)
    assert caught.value.hint or caught.value.choices


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def _bad_weights(folder: Path, good: Path) -> dict[str, bytes]:
    import torch

    whole = good.read_bytes()
    torch.save({"state": torch.zeros(3)}, folder / "state")
    torch.save({"model": {"conv.weight": torch.zeros(3)}}, folder / "nested")
    torch.save([1, 2], folder / "list")
    torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)).save(folder / "script")
    torch.save({"model": _Touch(folder / "touched")}, folder / "evil_zip")
    saved = {name: (folder / name).read_bytes() for name in ("state", "nested", "list", "script", "evil_zip")}
    return {
        **saved,
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"weights, honestly",
        "pickle": pickle.dumps({"model": 1}),
        "evil_pickle": pickle.dumps(_Touch(folder / "touched")),
    }


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")  # makes a TorchScript file on purpose
@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_a_file_that_is_no_checkpoint_is_refused_and_never_executed(yolo_weights, tmp_path, backend):
    for name, data in _bad_weights(tmp_path, yolo_weights / "detect.pt").items():
        (tmp_path / f"{name}.pt").write_bytes(data)
        with privacy.no_network(), pytest.raises(ConfigError, match=rf"{name}\.pt is no YOLO checkpoint") as caught:
            build(tmp_path, f"{name}.pt", backend=backend)
        assert "complete" in caught.value.hint
    assert not (tmp_path / "touched").exists()
    pickle.loads(pickle.dumps(_Touch(tmp_path / "touched")))
    assert (tmp_path / "touched").exists()  # it does bite where it is let


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_of_another_task_are_refused(yolo_weights, backend):
    with pytest.raises(ConfigError, match="task 'classify'"):
        build(yolo_weights, "classify.pt", backend=backend)


def test_weights_with_another_ending_are_refused(yolo_weights, tmp_path):
    shutil.copy(yolo_weights / "detect.pt", tmp_path / "detect.pth")
    with pytest.raises(ConfigError, match=r"neither \.pt nor \.onnx"):
        build(tmp_path, "detect.pth")


# Exports ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_an_export_is_made_once_and_can_be_given_as_weights(yolo_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images = pictures(2)
    first = build(yolo_weights, backend="onnx").predict(images)
    (kept,) = (tmp_path / "hyla" / "onnx").glob("*.onnx")
    monkeypatch.setattr(yolo, "_load", lambda path: pytest.fail("loaded again"))
    assert build(yolo_weights, backend="onnx").predict(images) == first
    monkeypatch.setattr(backends, "export", lambda *a: pytest.fail("exported again"))
    direct = build(kept.parent, kept.name, backend="auto")
    assert direct.predict(images) == first
    assert "libraries" not in direct.provenance()


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_an_export_that_is_damaged_is_made_again(yolo_weights, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    images = pictures(2)
    first = build(yolo_weights, backend="onnx").predict(images)
    (kept,) = (tmp_path / "hyla" / "onnx").glob("*.onnx")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:1000])
    assert build(yolo_weights, backend="onnx").predict(images) == first
    assert kept.read_bytes() == whole


@pytest.mark.skipif(find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_a_network_that_answers_in_an_unknown_form_is_refused(tmp_path):
    import torch

    pytest.importorskip("onnx")
    backends.export(torch.nn.Flatten(2), backends.Facts("detect", ("car", "kite")), tmp_path / "flat.onnx")
    with pytest.raises(ConfigError, match="a form that is not known"):
        build(tmp_path, "flat.onnx", backend="onnx")


# Arithmetic -------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")
@pytest.mark.parametrize("size", [(480, 640), (427, 640), (640, 425), (1, 3000), (720, 1280), (33, 31), (1000, 999), (7, 5)])
@pytest.mark.parametrize("fixed", [False, True])
def test_the_letterbox_is_that_of_ultralytics(size, fixed):
    yolo._ultralytics()
    import torch
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.ops import scale_boxes

    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    fit = Letterbox.of(size, (640, 640), fixed=fixed)
    assert np.array_equal(fit.apply(pixels), LetterBox((640, 640), auto=not fixed, stride=32)(image=pixels))
    boxes = np.array([[3, 4, 50, 60.5], [-20, -20, 700, 700]], dtype=np.float32)
    theirs = scale_boxes(fit.canvas, torch.from_numpy(boxes.copy()), size).numpy()
    np.testing.assert_allclose(fit.restore(boxes), theirs, rtol=1e-6, atol=1e-4)


def test_the_form_of_an_answer_is_known_by_its_shape():
    assert is_raw((1, 84, 8400), 80) is True
    assert is_raw((1, 116, 8400), 80, 32) is True
    assert is_raw((1, 300, 6), 80) is False
    assert is_raw((1, 300, 38), 80, 32) is False
    assert is_raw((1, 3549, 85), 80) is None
    assert is_raw((1, 1000), 80) is None


def test_suppression_keeps_the_better_of_two_alike_and_both_of_two_classes():
    output = np.array(
        [[50, 50, 20, 20, 0.9, 0.1], [51, 50, 20, 20, 0.8, 0.2], [50, 50, 20, 20, 0.1, 0.7], [9, 9, 4, 4, 0.2, 0.2]]
    ).T
    found = raw(output.astype(np.float32), np.array([True, True]), conf=0.25, iou=0.7, max_det=10)
    assert found.index.tolist() == [0, 1]
    assert found.box.tolist() == [[40, 40, 60, 60], [40, 40, 60, 60]]
    np.testing.assert_allclose(found.margin, [0.8, 0.6], rtol=1e-6)
    assert raw(output.astype(np.float32), np.array([False, True]), 0.25, 0.7, 10).index.tolist() == [1]
    assert raw(output.astype(np.float32), np.array([True, True]), 0.25, 0.7, 1).score.tolist() == pytest.approx([0.9])


def test_suppression_is_that_of_the_core():
    rng = np.random.default_rng(5)
    centre, size = rng.uniform(0, 300, (2, 400)), rng.uniform(20, 90, (2, 400))
    output = np.concatenate([centre, size, rng.uniform(0, 1, (3, 400))]).astype(np.float32)
    found = raw(output, np.ones(3, bool), 0.5, 0.4, 400)
    box, scores = np.concatenate([centre - size / 2, centre + size / 2]).T, output[4:].T
    rows = np.flatnonzero(scores.max(1) > 0.5)
    kept = rows[geometry.nms(box[rows], scores[rows].max(1), scores[rows].argmax(1), 0.4)]
    np.testing.assert_allclose(found.box, box[kept], atol=1e-3)


def test_answers_with_suppression_inside_are_only_filtered():
    rows = np.array([[0, 0, 9, 9, 0.9, 1], [1, 1, 9, 9, 0.8, 0], [2, 2, 9, 9, 0.2, 1], [3, 3, 9, 9, 0.7, 5], [0, 0, 0, 0, 0, 0]])
    found = suppressed(rows.astype(np.float32), np.array([True, True]), conf=0.25, max_det=10)
    assert found.index.tolist() == [1, 0]
    assert found.margin is None
    assert suppressed(rows.astype(np.float32), np.array([True, False]), 0.25, 10).box.tolist() == [[1, 1, 9, 9]]


# Real weights and pictures ----------------------------------------------------------------------------------------------------


def _coco() -> Schema:
    yolo._ultralytics()
    from ultralytics.cfg import ROOT
    from ultralytics.utils import YAML

    names = YAML.load(ROOT / "cfg/datasets/coco.yaml")["names"]
    return Schema.from_config({"name": "coco", "kinds": ["box", "mask"], "classes": {name: {} for name in names.values()}})


def _photos(folder: Path, most: int) -> list[tuple[Path, Image]]:
    paths = islice(sorted(folder.rglob("*.jpg")), most)
    return [(path, Image(read_image(path), Item(path.stem, path.name))) for path in paths]


@pytest.mark.parametrize("backend", BACKENDS)
def test_boxes_are_those_of_ultralytics_one_by_one(shared, backend):
    """Compare with `YOLO.predict`, one picture at a time, on real ones of several proportions."""
    schema, photos = _coco(), _photos(shared / "data" / "coco" / "val_a", 16)
    assert len({image.size for _, image in photos}) > 4
    model = build(shared / "weights", "yolov8n.pt", schema=schema, backend=backend, conf=0.25, imgsz=640)
    mine = model.predict([image for _, image in photos])
    from ultralytics import YOLO

    theirs = YOLO(shared / "weights" / "yolov8n.pt")
    for (path, _), labels in zip(photos, mine, strict=True):
        boxes = theirs.predict(str(path), conf=0.25, iou=0.7, max_det=300, device="cpu", verbose=False)[0].boxes
        assert labels.class_id.tolist() == boxes.cls.int().tolist()
        np.testing.assert_allclose(labels.box, boxes.xyxy.numpy(), atol=0.01)
        np.testing.assert_allclose(labels.score, boxes.conf.numpy(), atol=1e-4)
    assert sum(map(len, mine)) > 50


@pytest.mark.parametrize("backend", BACKENDS[1:])
def test_an_onnx_with_suppression_and_masks_inside_is_read(shared, backend):
    photos = _photos(shared / "data" / "coco" / "val_a", 3)
    schema = _coco()
    model = build(shared / "weights", "yolo11n-seg.onnx", schema=schema, backend=backend, conf=0.25, imgsz=640)
    boxes, overlap = build(shared / "weights", "yolov8n.pt", schema=schema, conf=0.5, imgsz=640), []
    assert model.provenance()["task"] == "segment"
    for (_, image), labels in zip(photos, model.predict([image for _, image in photos]), strict=True):
        schema.check(labels, image.size)
        overlap += [geometry.iou(found[None], labels.box).max() for found in boxes.predict([image])[0].box]
    assert np.median(overlap) > 0.8  # another network sees the same things in the same places


@pytest.mark.parametrize("name", ["yolo11n-seg.onnx", "yolov8n.pt"])
def test_real_weights_do_not_depend_on_the_batch(shared, name):
    images = [image for _, image in _photos(shared / "data" / "coco" / "val_b", 6)]
    model = build(shared / "weights", name, schema=_coco(), backend="auto", imgsz=640, conf=0.25)
    assert [model.predict([image])[0] for image in images] == model.predict(images)


@pytest.mark.parametrize(
    ("folder", "name", "says"),
    [
        ("data/bad_inputs/weights", "yolov8n-seg.truncated.pt", "no YOLO checkpoint"),
        ("weights/mtcnn", "pnet.pt", "no YOLO checkpoint"),
        ("weights/deepbet", "model.pt", "no YOLO checkpoint"),
        ("weights", "u2netp.onnx", "no task and no classes"),
        ("weights", "yolox_nano.onnx", "no task and no classes"),
        ("weights", "mobilenet_v2-b0353104.pth", "neither"),
    ],
)
def test_real_files_of_other_kinds_are_refused(shared, folder, name, says):
    with pytest.raises(ConfigError, match=says):
        build(shared / folder, name, backend="auto")
