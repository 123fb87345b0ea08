"""Learning from polygons, masks and points: what becomes truth, what is held out, and what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from hyla.errors import ConfigError
from hyla.frame import MapFrame
from hyla.geometry import encode
from hyla.schema import Schema
from hyla.types import Image, Item, Kind, Labels, Record
from hyla_agriculture import network, training
from hyla_agriculture.network import Spec
from hyla_agriculture.scene import CLOUD, Plain
from hyla_agriculture.training import BLOCK, fit, held_places
from hyla_agriculture.truth import IGNORE, truth_of
from hyla_agriculture.unet import Unet

SCHEMA = Schema.from_config(
    {
        "name": "land",
        "kinds": ["polygon", "mask", "keypoints", "box"],
        "classes": {
            "land": {},
            "crop": {"parent": "land"},
            "wheat": {"parent": "crop"},
            "forest": {"parent": "land"},
            "water": {},
            "built": {},
            "ignore": {},
        },
    }
)
BANDS = ("red", "nir")
SPEC = Spec(("crop", "forest", "water"), BANDS, encoder="mobilenet_v2", channels=(16, 8, 8))
MEANS = np.array([[0.1, 0.3], [0.05, 0.4], [0.04, 0.02]])  # reflectance of each class
NAMES = ("wheat", "forest", "water")


def scene(seed: int, height: int = 128, width: int = 192) -> tuple[Image, np.ndarray]:
    """Return a scene of square patches with noise as wide as the classes are apart in one band, and its classes."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, 3, (height // 16, width // 16)).repeat(16, axis=0).repeat(16, axis=1)
    pixels = (MEANS[classes] + rng.normal(0, 0.06, (height, width, 2))).astype(np.float32)
    frame = MapFrame((10.0, 0.0, 500000.0 + seed * 10 * width, 0.0, -10.0, 5000000.0), "EPSG:32633")
    return Image(pixels, Item(f"s{seed}", f"s{seed}.tif", meta={"bands": list(BANDS)}), frame), classes


def points(classes: np.ndarray, n: int, seed: int = 0) -> Labels:
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, classes.shape[0], n), rng.integers(0, classes.shape[1], n)
    shapes = [np.array([[x + 0.5, y + 0.5, 2.0]]) for y, x in zip(row, column, strict=True)]
    return Labels.of([SCHEMA.class_id(NAMES[k]) for k in classes[row, column]], kind=Kind.KEYPOINTS, shape=shapes)


def masks(classes: np.ndarray) -> Labels:
    shapes = [encode(classes == k) for k in range(3)]
    return Labels.of([SCHEMA.class_id(name) for name in NAMES], kind=Kind.MASK, shape=shapes)


def accuracy(model: Unet, seeds=(50, 51)) -> float:
    found = [(model.raster(image)[0] == classes + 1).mean() for image, classes in map(scene, seeds)]
    return float(np.mean(found))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    pairs = [(image, points(classes, 60, seed)) for seed, (image, classes) in enumerate(map(scene, (0, 1)))]
    return out, fit(pairs, SCHEMA, SPEC, out, steps=90, rate=5e-3, patch=32)


def build(**settings) -> Unet:
    return Unet(**{"schema": SCHEMA, "weights": None, "device": "cpu", "threads": 1, "tile": 256, "least_pixels": 1, **settings})


def test_a_hundred_points_are_enough_to_learn_from(trained):
    out, figures = trained
    model = build(weights=str(out / "unet.pt"))
    first, last = figures["loss"]
    assert last < 0.5 * first
    assert accuracy(model) > 0.85  # on scenes never seen; a pixel's own values tell less: see below
    assert accuracy(model) > best_by_pixel() + 0.03


def best_by_pixel() -> float:
    """Return how often the likeliest class of each pixel alone is right: the classes' true means and noise are known."""
    right = []
    for image, classes in map(scene, (50, 51)):
        distance = ((image.pixels[:, :, None] - MEANS) ** 2).sum(axis=3)
        right.append((distance.argmin(axis=2) == classes).mean())
    return float(np.mean(right))


def test_what_was_trained_is_told(trained):
    out, figures = trained
    assert json.loads((out / "unet.json").read_text())["figures"] == figures
    spec = Spec.read(out / "unet.json")
    assert (spec.classes, spec.bands) == (SPEC.classes, BANDS)
    assert np.allclose(spec.mean, MEANS.mean(axis=0), atol=0.05)
    assert min(spec.deviation) > 0.05
    held = figures["held_out"]
    assert figures["scenes"] == 2
    assert sum(figures["pixels"].values()) + held["n"] == len(np.unique(np.concatenate([_cells(s) for s in (0, 1)])))
    assert held["places"] >= 1
    assert held["n"] == sum(one["n"] for one in held["recall"].values())
    right = sum(one["recall"] * one["n"] for one in held["recall"].values())
    assert held["accuracy"] == pytest.approx(right / held["n"])
    assert build(weights="unet.pt", weights_dir=str(out)).provenance()["name"] == "unet (unet)"


def _cells(seed: int) -> np.ndarray:
    _, classes = scene(seed)
    xy = np.stack([shape[0, :2] for shape in points(classes, 60, seed).shape]).astype(int)
    return seed * 10**6 + xy[:, 1] * 1000 + xy[:, 0]


def test_the_same_seed_gives_the_same_weights(tmp_path):
    states = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        before = torch.random.get_rng_state()
        image, classes = scene(0)
        fit([(image, masks(classes))], SCHEMA, SPEC, tmp_path / name, steps=2, seed=seed, patch=32)
        assert torch.equal(torch.random.get_rng_state(), before)
        states.append(network.state_dict(tmp_path / name / "unet.pt"))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


def test_truth_of_areas_and_points():
    square = np.array([[2.0, 2], [12, 2], [12, 12], [2, 12]])
    zone = np.array([[4.0, 4], [8, 4], [8, 8], [4, 8]])
    hole = np.array([[9.0, 9], [11, 9], [11, 11], [9, 11]])
    mask = np.zeros((20, 30), bool)
    mask[0:3, 20:30] = True
    labels = Labels.of(
        [SCHEMA.class_id(name) for name in ("water", "wheat", "built", "forest", "ignore", "wheat", "water")],
        kind=[Kind.POLYGON, Kind.POLYGON, Kind.POLYGON, Kind.MASK, Kind.POLYGON, Kind.KEYPOINTS, Kind.KEYPOINTS],
        shape=[
            (zone,),
            (square, hole),
            (square + np.array([0, 6]),),
            encode(mask),
            (zone + np.array([20, 10]),),
            np.array([[5.5, 5.5, 2.0], [25.5, 1.5, 1.0], [15.5, 15.5, 0.0]]),
            np.array([[29.9, 19.9, 2.0], [30.0, 3.0, 2.0], [-1.0, 3.0, 2.0]]),
        ],
    )
    expected = np.full((20, 30), IGNORE)
    expected[2:12, 2:12] = 0
    expected[9:11, 9:11] = IGNORE
    expected[4:8, 4:8] = 2  # smaller than the field it is in; built is no class of the network
    expected[0:3, 20:30] = 1
    expected[5, 5] = expected[1, 25] = 0  # wheat is a crop
    expected[19, 29] = 2
    assert np.array_equal(truth_of(labels, SCHEMA, SPEC, (20, 30)), expected)
    with_rest = truth_of(labels, SCHEMA, Spec(("", "crop", "forest", "water"), BANDS), (20, 30))
    assert with_rest[0, 0] == 0  # what is in no area is background
    assert with_rest[15, 25] == IGNORE  # but not where nothing is said on purpose
    only_points = truth_of(labels[[5, 6]], SCHEMA, Spec(("", "crop", "water"), BANDS), (20, 30))
    assert (only_points == IGNORE).sum() == 600 - 3
    assert (truth_of(Labels.empty(), SCHEMA, SPEC, (3, 4)) == IGNORE).all()


def test_a_polygon_beyond_the_scene_is_cut_off():
    big = np.array([[-50.0, -50], [100, -50], [100, 5], [-50, 5]])
    away = big + 500
    labels = Labels.of([SCHEMA.class_id("water")] * 2, kind=Kind.POLYGON, shape=[(big,), (away,)])
    truth = truth_of(labels, SCHEMA, SPEC, (10, 12))
    assert (truth[:5] == 2).all()
    assert (truth[5:] == IGNORE).all()


def test_places_are_held_out_on_all_dates_and_never_trained_on():
    image, classes = scene(0, 256, 320)
    cases = [training._case(image, masks(classes), SCHEMA, SPEC), training._case(image, points(classes, 40), SCHEMA, SPEC)]
    held = held_places(cases, 0.2)
    assert held == held_places(cases[::-1], 0.2)
    # 50,000 is no multiple of 64, so the blocks of the world are cut by the edges of the scene.
    assert len(held) == round(0.2 * len({(c.crs, *b) for c in cases for b in training._blocks(c)}))
    for case in cases:
        truth = training._without(case, held)
        row, column = np.nonzero(truth != IGNORE)
        places = {
            ("EPSG:32633", (r + case.start[0]) // BLOCK, (c + case.start[1]) // BLOCK) for r, c in zip(row, column, strict=True)
        }
        assert not places & held
        assert (truth != IGNORE).sum() < (case.truth != IGNORE).sum()
    assert held_places(cases, 0.0) == frozenset()
    one = training._case(*_single(), SCHEMA, SPEC)
    assert held_places([one], 0.2) == frozenset()


def _single() -> tuple[Image, Labels]:
    image, classes = scene(0, 16, 16)
    return image, points(classes, 5)


def test_nothing_is_learnt_of_what_clouds_hide():
    image, classes = scene(0)

    class Cloudy(Plain):
        def quality(self, window):
            codes = np.zeros(window.size, np.uint8)
            codes[max(0, 40 - window.row0) :] = CLOUD
            return codes

    case = training._case(Image(Cloudy(image), image.item, image.frame), masks(classes), SCHEMA, SPEC)
    values, truth = training._patch([training._placed(case, SPEC, np.random.default_rng(0))], [0, 1, 2], SPEC, 64, _Middle())
    assert set(np.unique(truth)) <= {0, 1, 2, IGNORE}
    hidden = (values == 0).all(axis=0)
    assert hidden.any()
    assert (truth[hidden] == IGNORE).all()


class _Middle:
    """Draw the number in the middle each time."""

    def integers(self, most: int) -> int:
        return most // 2


def test_patches_are_turned_with_their_truth():
    values = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
    seen = set()
    for seed in range(60):
        turned, truth = training._turned(values, values[0].astype(np.uint8), np.random.default_rng(seed))
        assert np.array_equal(turned[0], truth)
        assert np.array_equal(turned[1], truth + 16.0)
        seen.add(truth.tobytes())
    assert len(seen) == 8


class Shelf:
    """Read pictures that are in memory."""

    def __init__(self, images) -> None:
        self.images = {one.item.id: one for one in images}

    def original(self, item):
        return self.images[item.id]


def test_the_hook_trains_with_pictures_and_refuses_without(tmp_path):
    pairs = [(image, masks(classes)) for image, classes in map(scene, (0, 1))]
    records = [Record(image.item, labels) for image, labels in pairs]
    spec = {"classes": ["crop", "forest", "water"], "bands": list(BANDS), "encoder": "mobilenet_v2", "channels": [16, 8, 8]}
    with pytest.raises(ConfigError, match="nothing reads their pictures"):
        build(spec=spec).train(records, SCHEMA, tmp_path)
    figures = build(spec=spec, pictures=Shelf(image for image, _ in pairs), steps=2).train(records, SCHEMA, tmp_path)
    assert figures["scenes"] == 2
    assert build(weights=str(tmp_path / "unet.pt")).spec.classes == SPEC.classes


def test_nothing_to_learn_from_is_refused(tmp_path):
    image, classes = scene(0)
    built = Labels.of([SCHEMA.class_id("built")], kind=Kind.MASK, shape=[encode(classes == 0)])
    for pairs in ([], [(image, Labels.empty())], [(image, built)]):
        with pytest.raises(ConfigError, match="no scene to learn from"):
            fit(pairs, SCHEMA, SPEC, tmp_path, steps=1)
    with pytest.raises(ConfigError, match="patch is 30"):
        fit([(image, masks(classes))], SCHEMA, SPEC, tmp_path, steps=1, patch=30)
    lost = Image(np.full_like(image.pixels, np.nan), image.item, image.frame)
    with pytest.raises(ConfigError, match="no labelled place has a pixel"):
        fit([(lost, masks(classes))], SCHEMA, SPEC, tmp_path, steps=1)
    assert not (tmp_path / "unet.pt").exists()
