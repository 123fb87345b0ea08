"""TorchScript networks with declared preparation, and deepbet's brain extraction on a real head."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import bundle_kit
import hyla
from bundle_kit import OBLIQUE, SCHEMA, blocks, image
from hyla import plugins
from hyla.errors import ConfigError
from hyla.geometry import decode
from hyla.schema import Schema
from hyla.types import Item
from hyla_healthcare import inference, nifti
from hyla_healthcare.monai_bundle import MonaiBundle
from hyla_healthcare.torchscript import Intensity, TorchScript

BRAIN = Schema.from_config(
    {
        "name": "head",
        "kinds": ["mask"],
        "classes": {"brain": {}},
        "attributes": {"volume_ml": {"type": "number"}, "slice_uncertainty": {"scope": "image"}},
    }
)


def build(weights: Path | str, **settings) -> TorchScript:
    given = {
        "schema": SCHEMA,
        "classes": {1: "liver", 2: "spleen"},
        "intensity": {"kind": "range", "low": -1000, "high": 1000},
        "roi": [16, 16, 16],
        "device": "cpu",
        "threads": 1,
    }
    return TorchScript(weights=str(weights), **{**given, **settings})


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """Return a TorchScript that tells bright from brighter."""
    network = torch.nn.Conv3d(1, 3, 1)
    network.load_state_dict({key.removeprefix("conv."): value for key, value in bundle_kit.thresholds().items()})
    return _saved(network, tmp_path_factory.mktemp("script") / "levels.pt")


def _saved(network: torch.nn.Module, path: Path) -> Path:
    inference.hush()
    torch.jit.script(network).save(path)
    return path


def masks(model: TorchScript, volume) -> dict[str, np.ndarray]:
    labels = model.predict([volume])[0]
    SCHEMA.check(labels, volume.size)
    return {SCHEMA.names[c]: decode(shape) for c, shape in zip(labels.class_id, labels.shape, strict=True)}


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "ASR", "IPL"])
def test_masks_are_exact_whatever_the_orientation(file, orientation):
    for affine in (None, OBLIQUE):
        found = masks(build(file, orientation=orientation), image(blocks(), affine))
        np.testing.assert_array_equal(found["liver"], blocks() == 0)
        np.testing.assert_array_equal(found["spleen"], blocks() == 1000)


def test_resampled_and_stretched_volumes_come_back_to_their_place(file):
    for settings in ({"spacing": [1.0, 0.8, 0.8]}, {"roi": None, "size": [40, 48, 56]}):
        found = masks(build(file, **settings), image(blocks(), OBLIQUE))
        assert overlap(found["spleen"], blocks() == 1000) > 0.8, settings


def test_channels_that_are_a_yes_or_no_of_their_own_may_overlap(file):
    intensity = {"kind": "range", "low": -1000, "high": 1010}
    found = masks(build(file, activation="sigmoid", intensity=intensity), image(blocks(), OBLIQUE))
    np.testing.assert_array_equal(found["liver"], blocks() >= 0)  # all that is over a quarter
    np.testing.assert_array_equal(found["spleen"], blocks() == 1000)


def test_a_threshold_takes_the_place_of_the_highest_channel(tmp_path):
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 1), torch.nn.Softmax(dim=1))
    with torch.no_grad():
        network[0].weight[:] = torch.tensor([0.0, 2.0]).reshape(2, 1, 1, 1, 1)
        network[0].bias[:] = torch.tensor([0.0, -1.0])
    path = _saved(network, tmp_path / "soft.pt")
    pixels = np.linspace(-1000, 1000, 24 * 30 * 36).reshape(24, 30, 36).astype(np.int16)
    settings = {"classes": {1: "liver"}, "activation": "none"}
    half = masks(build(path, **settings), image(pixels))["liver"]
    strict = masks(build(path, **settings, threshold=0.7), image(pixels))["liver"]
    assert half.mean() == pytest.approx(0.5, abs=0.01)
    x = (np.log(0.7 / 0.3) + 1) / 2  # where the sigmoid of 2x - 1 is 0.7
    assert strict.mean() == pytest.approx(1 - x, abs=0.01)


def test_a_finder_narrows_what_the_network_sees(tmp_path, file):
    class Whole(torch.nn.Module):
        """Mark all of what it is shown, so that the mask is where the finder looked."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([torch.zeros_like(x), torch.ones_like(x)], dim=1)

    class Bright(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([(x < 0.75).float(), (x > 0.75).float()], dim=1)

    whole, bright = _saved(Whole(), tmp_path / "whole.pt"), _saved(Bright(), tmp_path / "bright.pt")
    settings = {"classes": {1: "liver"}, "activation": "none", "roi": None, "size": [8, 8, 8], "finder_size": [48, 60, 72]}
    pixels = np.full((24, 30, 36), -1000, np.int16)
    pixels[4:12, 6:16, 8:20] = 1000
    seen = masks(build(whole, finder=str(bright), margin=0.0, **settings), image(pixels))["liver"]
    np.testing.assert_array_equal(seen, pixels == 1000)
    wider = masks(build(whole, finder=str(bright), margin=0.2, **settings), image(pixels))["liver"]
    assert np.argwhere(wider).min(axis=0).tolist() == [2, 4, 6]
    assert np.argwhere(wider).max(axis=0).tolist() == [12, 17, 22]
    nothing = masks(build(whole, finder=str(bright), **settings), image(np.zeros((6, 7, 8), np.int16)))["liver"]
    assert nothing.all()


def test_only_the_largest_piece_stays_with_its_holes_filled(file):
    pixels = np.full((16, 20, 20), -1000, np.int16)
    pixels[2:10, 3:15, 3:15] = 1000
    pixels[5:7, 7:9, 7:9] = -1000
    pixels[13:15, 17:19, 17:19] = 1000
    found = masks(build(file, largest=True), image(pixels))["spleen"]
    assert found[2:10, 3:15, 3:15].all()
    assert found.sum() == 8 * 12 * 12


def test_intensities_are_scaled_as_declared():
    one = torch.arange(0.0, 101.0).reshape(1, 101, 1, 1)
    quantiles = Intensity("quantiles", 0.1, 0.9, 0.449, 0.226)
    assert quantiles.limits(one) == (10.0, 90.0)
    scaled = quantiles(one, quantiles.limits(one))
    assert float(scaled.mean()) == pytest.approx(0.449)
    assert float(scaled.std()) == pytest.approx(0.226)
    assert Intensity("range", 0, 50)(one, (0, 50)).max() == 1
    flat = Intensity("zscore", mean=0.5)(torch.full((1, 4, 4, 4), 7.0), (0, 1))
    assert (flat == 0.5).all()
    assert Intensity()(one, (0, 1)) is one


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"classes": {1: "tail"}}, "no class 'tail'"),
        ({"roi": None}, "either windows or a size"),
        ({"size": [8, 8, 8]}, "either windows or a size"),
        ({"threshold": 1.0}, "threshold is 1.0"),
        ({"margin": -1.0}, "margin is -1.0"),
        ({"activation": "relu"}, "no activation 'relu'"),
        ({"intensity": {"kind": "log"}}, "no intensity 'log'"),
        ({"intensity": {"kind": "quantiles", "low": 5, "high": 95}}, "low must be below high"),
        ({"weights": "/nowhere/a.pt"}, "a.pt"),
    ],
)
def test_settings_that_cannot_work_are_refused(file, settings, says):
    with pytest.raises(ConfigError, match=says):
        build(**{"weights": file, **settings})


def test_a_file_that_is_no_torchscript_is_refused(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("weights, honestly")
    for name in ("state.pt", "text.pt"):
        with pytest.raises(ConfigError, match=f"{name} is no TorchScript"):
            build(tmp_path / name)


@pytest.fixture(scope="module")
def deepbet(shared) -> TorchScript:
    run = hyla.compose(
        "healthcare", "model=brain_extraction", weights_dir=str(shared / "weights/deepbet"), device="cpu", source="."
    )
    return plugins.build(run.model, "model", schema=BRAIN)


@pytest.fixture(scope="module")
def head(shared):
    return nifti.read(shared / "data/healthcare/brain_t1/t1_crop.nii.gz", Item("head", "head.nii.gz"))


@pytest.fixture(scope="module")
def brain(deepbet, head):
    return deepbet.predict([head])[0]


def test_the_brain_of_a_real_head_is_found(deepbet, head, brain):
    BRAIN.check(brain, head.size)
    assert len(brain) == 1
    assert 1400 < brain.attributes["volume_ml"][0] < 1700  # 1542 when it was looked at, slice by slice
    assert brain.evidence["components"][0] == 1
    assert brain.score[0] > 0.98
    mask = decode(brain.shape[0])
    assert mask[110:150, 110:150, 110:150].mean() > 0.95  # the middle of the head
    assert not mask[230:].any()
    assert len(brain.context["slice_uncertainty"].split()) == len(head.pixels)
    assert deepbet.provenance().keys() == {"name", "digest", "finder"}


def test_a_bundle_of_the_network_that_finds_the_brain_agrees_with_it(shared, tmp_path, head, brain):
    """deepbet's first network, which sees the whole head at 128 voxels a side, as a bundle with MONAI's own transforms."""
    keys = {"keys": "image"}
    chain = [
        {"_target_": "LoadImaged", **keys},
        {"_target_": "EnsureChannelFirstd", **keys},
        {"_target_": "Orientationd", **keys, "axcodes": "RAS"},
        {"_target_": "Resized", **keys, "spatial_size": [128, 128, 128], "mode": "nearest"},
        {
            "_target_": "ScaleIntensityRangePercentilesd",
            **keys,
            "lower": 0.5,
            "upper": 99.5,
            "b_min": 0,
            "b_max": 1,
            "clip": True,
        },
        {"_target_": "NormalizeIntensityd", **keys},
        {"_target_": "ScaleIntensityRanged", **keys, "a_min": 0, "a_max": 1, "b_min": 0.449, "b_max": 0.675},
    ]
    back = {"keys": "pred", "transform": "@preprocessing", "orig_keys": "image"}
    content = {
        "preprocessing": {"_target_": "Compose", "transforms": chain},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [{"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}, {"_target_": "Invertd", **back}],
        },
    }
    folder = bundle_kit.write(tmp_path / "finder", content, meta=bundle_kit.metadata(("background", "brain"), "MR"))
    (folder / "models/model.pt").unlink()
    shutil.copy(shared / "weights/deepbet/bbox_model.pt", folder / "models/model.ts")
    labels = MonaiBundle(BRAIN, str(folder), trust=True, device="cpu").predict([head])[0]
    BRAIN.check(labels, head.size)
    assert overlap(decode(labels.shape[0]), decode(brain.shape[0])) > 0.93


def test_a_volume_of_another_modality_is_left_alone(deepbet):
    assert len(deepbet.predict([image(blocks(), OBLIQUE, modality="CT")])[0]) == 0
