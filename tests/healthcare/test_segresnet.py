"""SegResNet: its spec, its weights, learning from labels, learning from clicks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import hyla
from bundle_kit import OBLIQUE, SCHEMA, image
from hyla import plugins
from hyla.errors import ConfigError
from hyla.geometry import decode, encode
from hyla.schema import Schema
from hyla.types import Click, Kind, Labels, Record
from hyla_healthcare import inference, segresnet, training
from hyla_healthcare.segresnet import SegResNet, Spec

AFFINE = np.diag([1.5, 1.5, 2.0, 1.0])
TINY = {"roi": (16, 16, 16), "filters": 8, "blocks_down": (1, 1), "blocks_up": (1,), "low": -200.0, "high": 300.0}


def build(**settings) -> SegResNet:
    return SegResNet(**{"schema": SCHEMA, "weights": None, "device": "cpu", "threads": 1, **settings})


def phantom(seed: int, classes: int = 1) -> tuple:
    """Return a volume with noisy balls in HU, one of each class, and its labels."""
    rng = np.random.default_rng(seed)
    shape = (16, 24, 24)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"))
    pixels = rng.normal(-50, 40, shape)
    masks = []
    for number in range(classes):
        centre = np.array([8, 12, 6 if number == 0 else 18]) + rng.uniform(-1.5, 1.5, 3)
        mask = ((grid - centre[:, None, None, None]) ** 2).sum(0) < 5**2
        pixels[mask] += 160
        masks.append(mask)
    one = image(pixels.astype(np.int16), AFFINE, f"case{seed}", patient=f"p{seed}", modality="CT")
    labels = Labels.of(
        [SCHEMA.class_id(name) for name in ("liver", "spleen")[:classes]], kind=Kind.MASK, shape=[encode(m) for m in masks]
    )
    return one, labels


def dice(labels: Labels, truth: Labels) -> float:
    if not len(labels):
        return 0.0
    a, b = decode(labels.shape[0]), decode(truth.shape[0])
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("trained")
    spec = Spec(classes=("liver",), **TINY)
    return out, training.fit((phantom(seed) for seed in range(6)), SCHEMA, spec, out, steps=50, rate=5e-3)


def test_a_few_steps_lower_the_loss_and_beat_random_weights_on_patients_never_seen(trained):
    out, figures = trained
    first, last = figures["loss"]
    assert last < 0.7 * first
    assert (figures["volumes"], figures["patients"], figures["held_out"]) == (5, 5, 1)
    assert figures["dice"]["liver"]["n"] == 1
    assert figures["dice"]["liver"]["dice"] > 0.7
    model, random = build(weights=str(out / "segresnet.pt")), build(spec={"classes": ["liver"], **TINY})
    new = [phantom(seed) for seed in (100, 101)]
    for one, truth in new:
        said, guessed = model.predict([one])[0], random.predict([one])[0]
        SCHEMA.check(said, one.size)
        assert dice(said, truth) > 0.7
        assert dice(said, truth) > dice(guessed, truth) + 0.2
        assert said.score[0] > 0.5
        assert 0 < said.evidence["entropy"][0] < np.log(2)


def test_what_was_trained_is_told(trained):
    out, figures = trained
    stored = json.loads((out / "segresnet.json").read_text())
    assert stored["figures"] == figures
    assert Spec.read(out / "segresnet.json") == Spec(classes=("liver",), **TINY)
    model = build(weights="segresnet.pt", weights_dir=str(out))
    assert model.provenance()["name"] == "segresnet (segresnet)"
    assert len(model.provenance()["digest"]) == 64
    assert build(spec={"classes": ["liver"], **TINY}).provenance()["digest"] == "random, seed 0"


def test_the_same_seed_gives_the_same_weights(tmp_path):
    spec = Spec(classes=("liver", "spleen"), **TINY)
    states = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        before = torch.random.get_rng_state()
        training.fit([phantom(seed_, 2) for seed_ in range(3)], SCHEMA, spec, tmp_path / name, steps=3, seed=seed)
        assert torch.equal(torch.random.get_rng_state(), before)
        states.append(inference.state_dict(tmp_path / name / "segresnet.pt"))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not all(torch.equal(states[0][key], states[2][key]) for key in states[0])


def test_patients_are_held_out_whole():
    names = [f"p{i // 3}" for i in range(30)]
    held = training.held_out(names)
    assert len(held) == 2
    assert held == training.held_out(reversed(names))
    assert training.held_out(["one", "one"]) == frozenset()
    assert len(training.held_out(["one", "two"])) == 1


def test_nothing_to_learn_from_is_refused(tmp_path):
    spec = Spec(classes=("spleen",), **TINY)
    for pairs in ([], [phantom(0)]):
        with pytest.raises(ConfigError, match="no volume to learn from"):
            training.fit(pairs, SCHEMA, spec, tmp_path, steps=1)
    assert not (tmp_path / "segresnet.pt").exists()


class Shelf:
    """Read pictures that are in memory."""

    def __init__(self, images) -> None:
        self.images = {one.item.id: one for one in images}

    def original(self, item):
        return self.images[item.id]


def test_the_hook_trains_with_pictures_and_refuses_without(tmp_path):
    pairs = [phantom(seed) for seed in range(3)]
    records = [Record(one.item, labels) for one, labels in pairs]
    spec = {"classes": ["liver"], **TINY}
    with pytest.raises(ConfigError, match="nothing reads their pictures"):
        build(spec=spec).train(records, SCHEMA, tmp_path)
    figures = build(spec=spec, pictures=Shelf(one for one, _ in pairs), steps=2).train(records, SCHEMA, tmp_path)
    assert figures["volumes"] == 2
    assert build(weights=str(tmp_path / "segresnet.pt")).spec.classes == ("liver",)


def test_clicks_are_learnt_and_mend_what_the_network_got_wrong(tmp_path):
    """Two balls look alike and one of them is the object: nothing but clicks tells which."""

    def ambiguous(seed: int) -> tuple:
        one, labels = phantom(seed, 2)
        row = seed % 2
        return one, Labels.of([SCHEMA.class_id("liver")], kind=Kind.MASK, shape=[labels.shape[row]])

    spec = Spec(classes=("liver",), guided=True, **{**TINY, "roi": (24, 24, 16)})
    training.fit([ambiguous(seed) for seed in range(8)], SCHEMA, spec, tmp_path, steps=110, rate=2e-2)
    model = build(weights=str(tmp_path / "segresnet.pt"))
    assert model.guides == (1, 0)
    for seed in (200, 201):
        one, truth = ambiguous(seed)
        left, right = (6, 18) if seed % 2 == 0 else (18, 6)
        clicks = [Click(left + 0.5, 12.5, 8, True), Click(right + 0.5, 12.5, 8, False)]
        plain = model.predict([one])[0]
        mask = model.refine(one, SCHEMA.class_id("liver"), clicks, plain.shape[0] if len(plain) else None)
        mended = Labels.of([SCHEMA.class_id("liver")], kind=Kind.MASK, shape=[mask])
        assert dice(mended, truth) > dice(plain, truth) + 0.1
        assert dice(mended, truth) > 0.7


def test_it_is_built_from_the_settings_of_a_run():
    run = hyla.compose("healthcare", "model=segresnet", "model.weights=null", "model.spec={classes: [liver, spleen]}", source=".")
    model = plugins.build(run.model, "model", schema=Schema.from_config(run.schema))
    assert model.channels == {1: "liver", 2: "spleen"}


@pytest.mark.parametrize("affine", [AFFINE, OBLIQUE], ids=["axial", "oblique"])
def test_patches_and_truth_lie_on_one_grid(affine):
    one, labels = phantom(3)
    turned = image(one.pixels, affine, "turned")
    spec = Spec(classes=("liver",), spacing=(1.5, 1.2, 1.0), **TINY)
    case = training._case(turned, labels, SCHEMA, spec)
    assert case.volume.shape == case.truth.shape
    bright = (case.volume > 0.5).float()
    assert float(bright[case.truth == 1].mean()) > 0.7
    assert float(bright[case.truth == 0].mean()) < 0.2


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"spec": {"classes": ["tail"]}}, "no class 'tail'"),
        ({"spec": {"classes": []}}, "no classes"),
        ({"spec": {"classes": ["liver"], "roi": [10, 16, 16]}}, "multiple of 8"),
        ({"spec": {"classes": ["liver"], "intensity": "log"}}, "no intensity 'log'"),
        ({"spec": {"classes": ["liver"], "low": 5, "high": 5}}, "low must be below high"),
        ({"spec": {"classes": ["liver"], "spacing": [0, 1, 1]}}, "spacing"),
        ({"spec": {"classes": 3}}, "spec: "),
        ({"weights": "/nowhere/net.pt"}, "net.pt"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, says):
    with pytest.raises(ConfigError, match=says):
        build(**settings)


def test_weights_need_their_spec_and_fit_it(tmp_path):
    spec = Spec(classes=("liver",), **TINY)
    path = segresnet.write(segresnet.new_network(spec, 0), spec, {}, tmp_path)
    other = Spec(classes=("liver", "spleen"), **TINY)
    path.with_suffix(".json").write_text(json.dumps({"spec": {**spec.__dict__, "classes": other.classes}}))
    with pytest.raises(ConfigError, match="holds no weights of the SegResNet"):
        build(weights=str(path))
    for text in ("{", "[]", '{"spec": {"classes": 1}}', "{}"):
        path.with_suffix(".json").write_text(text)
        with pytest.raises(ConfigError, match="says not how the network is made"):
            build(weights=str(path))
    path.with_suffix(".json").unlink()
    with pytest.raises(ConfigError, match="not beside the weights"):
        build(weights=str(path))
