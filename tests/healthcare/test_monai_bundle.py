"""A MONAI bundle from a folder: the right voxels, its classes, what of it may run, clicks."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import bundle_kit
import hyla
from bundle_kit import OBLIQUE, SCHEMA, blocks, image, write
from hyla import privacy
from hyla.errors import ConfigError
from hyla.geometry import decode, encode
from hyla.types import Click, Image, Item
from hyla_healthcare import grow, nifti, structures
from hyla_healthcare.monai_bundle import MonaiBundle


def build(folder: Path, **settings) -> MonaiBundle:
    return MonaiBundle(**{"schema": SCHEMA, "bundle": str(folder), "device": "cpu", "threads": 1, **settings})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("bundle") / "organs")


@pytest.fixture(scope="module")
def model(folder) -> MonaiBundle:
    return build(folder)


def masks(labels) -> dict[str, np.ndarray]:
    return {SCHEMA.names[c]: decode(shape) for c, shape in zip(labels.class_id, labels.shape, strict=True)}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


AFFINES = {
    "axial": np.diag([1.0, 1, 2, 1]),
    "oblique": OBLIQUE,
    "sagittal": np.array([[0, 0, 1.2, 0], [1, 0, 0, -30], [0, -1, 0, 90], [0, 0, 0, 1.0]]),
    "coronal": np.array([[1, 0, 0, -20], [0, 0, 1.5, 7], [0, -1, 0, 60], [0, 0, 0, 1.0]]),
    "upside down": np.array([[-1, 0, 0, 9], [0, -0.8, 0, 4], [0, 0, 2, -5], [0, 0, 0, 1.0]]),
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
def test_masks_come_back_in_the_voxels_they_were_found_in(model, affine):
    pixels = blocks()
    labels = model.predict([image(pixels, affine)])[0]
    SCHEMA.check(labels, pixels.shape)
    found = masks(labels)
    assert sorted(found) == ["liver", "spleen"]
    assert dice(found["liver"], pixels == 0) > 0.9  # borders are resampled twice, and between 0 and 1000 HU lies class 1
    assert dice(found["spleen"], pixels == 1000) > 0.85
    inner = found["spleen"][16:20, 9:14, 23:32]
    assert inner.all()
    assert (labels.score > 0.9).all()
    ml = abs(np.linalg.det(affine[:3, :3])) / 1000
    expected = [round(found[n].sum() * ml, structures.DIGITS) for n in ("liver", "spleen")]
    np.testing.assert_allclose(labels.attributes["volume_ml"], expected, rtol=1e-6)
    doubt = [float(one) for one in labels.context["slice_uncertainty"].split()]
    assert len(doubt) == len(pixels)
    assert all(one >= 0 for one in doubt)


def test_without_resampling_masks_are_exact(tmp_path):
    content = bundle_kit.config()
    del content["preprocessing"]["transforms"][3]
    model = build(write(tmp_path, content))
    for affine in AFFINES.values():
        found = masks(model.predict([image(blocks(), affine)])[0])
        np.testing.assert_array_equal(found["liver"], blocks() == 0)
        np.testing.assert_array_equal(found["spleen"], blocks() == 1000)


def test_a_bundle_that_stays_on_its_own_grid_is_brought_back_by_the_nearest_voxel(tmp_path):
    content = bundle_kit.config()
    del content["postprocessing"]["transforms"][1]
    found = masks(build(write(tmp_path, content)).predict([image(blocks(), OBLIQUE)])[0])
    assert dice(found["liver"], blocks() == 0) > 0.85
    assert dice(found["spleen"], blocks() == 1000) > 0.8


def test_it_equals_monais_own_evaluator(folder, model):
    """The same configuration, run by MONAI's own parser and engine order, gives the same voxels."""
    from monai.bundle import ConfigParser
    from monai.data import decollate_batch, list_data_collate
    from monai.transforms import LoadImaged, SaveImaged

    from hyla_healthcare import inference

    inference.hush()
    parser = ConfigParser(json.loads((folder / "configs/inference.json").read_text()))
    before, after = parser.get_parsed_content("preprocessing"), parser.get_parsed_content("postprocessing")
    before.transforms = tuple(one for one in before.transforms if not isinstance(one, LoadImaged))
    after.transforms = tuple(one for one in after.transforms if not isinstance(one, SaveImaged))
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(bundle_kit.thresholds())
    pixels = blocks()
    batch = list_data_collate([before({"image": inference.to_tensor(image(pixels, OBLIQUE))})])
    inferer = parser.get_parsed_content("inferer")
    inferer.mode = "gaussian"
    with torch.no_grad():
        batch["pred"] = inferer(batch["image"], network)
    theirs = after(decollate_batch(batch)[0])["pred"][0].numpy().transpose(2, 1, 0)
    ours = masks(model.predict([image(pixels, OBLIQUE)])[0])
    np.testing.assert_array_equal(ours["liver"], theirs == 1)
    np.testing.assert_array_equal(ours["spleen"], theirs == 2)


def test_labels_do_not_depend_on_the_batch_and_odd_volumes_do_no_harm(model, folder):
    rng = np.random.default_rng(0)
    odd = [
        image(blocks(), OBLIQUE),
        image(np.zeros((5, 6, 7), np.int16)),
        image(np.full((3, 4, 5), np.nan, np.float32)),
        image(np.where(rng.random((8, 9, 10)) < 0.1, np.nan, 0).astype(np.float32)),
        image(np.full((1, 1, 1), 1000, np.int16)),
        image(np.zeros((0, 4, 4), np.int16)),
        Image(np.zeros((40, 50, 3), np.uint8), Item("photo", "photo.png")),
        Image(np.zeros((4, 5, 6), np.float32), Item("nothing", "nothing.png"), volume=True),
        image(blocks(), OBLIQUE, modality="MR"),
    ]
    with privacy.no_network():
        whole = model.predict(odd)
    assert [model.predict([one])[0] for one in odd] == whole
    assert [len(one) for one in whole][:2] == [2, 1]
    assert len(whole[4]) == 1
    assert [len(one) for one in whole[5:]] == [0, 0, 1, 0]
    for one, labels, again in zip(odd, whole, build(folder, tta=5).predict(odd), strict=True):
        SCHEMA.check(labels, one.size)
        SCHEMA.check(again, one.size)


def test_classes_are_matched_by_name_by_setting_or_refused(folder, tmp_path):
    assert build(folder).channels == {1: "liver", 2: "spleen"}
    assert build(folder, classes={2: "liver", 1: None}).channels == {2: "liver"}
    assert build(folder, classes={"Spleen": "kidney_left"}).channels == {1: "liver", 2: "kidney_left"}
    other = write(tmp_path, meta=bundle_kit.metadata(("Background", "Left Kidney", "tail")))
    with pytest.raises(ConfigError, match="no class for 2: tail") as error:
        build(other)
    assert error.value.choices == ["kidney_left", "kidney_right", "liver", "spleen"]
    assert build(other, drop_unknown=True).channels == {1: "kidney_left"}
    assert build(other, classes={"tail": None}).channels == {1: "kidney_left"}
    with pytest.raises(ConfigError, match="no class for 2: kidney"):  # one that only groups others
        build(other, classes={2: "kidney"})
    with pytest.raises(ConfigError, match="'talk'"):
        build(other, classes={"talk": "liver"})
    with pytest.raises(ConfigError, match="no class of the network"):
        build(other, classes={1: None, 2: None})


def test_yaml_and_wrapped_weights_do_as_well(tmp_path, model):
    other = build(write(tmp_path, yaml=True, state={"model": bundle_kit.thresholds(), "epoch": 3}))
    assert other.predict([image(blocks(), OBLIQUE)]) == model.predict([image(blocks(), OBLIQUE)])


def test_provenance_tells_weights_and_configuration_apart(tmp_path, model):
    told = model.provenance()
    assert told["name"] == "organs 0.1.0"
    content = bundle_kit.config(pixdim=[1.0, 1.0, 1.0])
    other = build(write(tmp_path / "organs", content)).provenance()
    assert (other["digest"], other["name"]) == (told["digest"], told["name"])
    assert other["config"] != told["config"]
    third = build(write(tmp_path / "organs", state=bundle_kit.thresholds(sharp=300))).provenance()
    assert third["digest"] != told["digest"]


TOUCH = "__import__('pathlib').Path('{marker}').touch()"
CODE = {
    "pixdim": "$" + TOUCH,
    "network_def.in_channels": "$int(len(__import__('os').system('touch {marker}') or 'a'))",
    "inferer.overlap": "$[x for x in (1,)][0] * 0.5",
    "inferer.sw_batch_size": "$(lambda: 4)()",
    "inferer.roi_size": "$().__class__.__base__.__subclasses__()",
    "inferer.mode": "$torch.load('{marker}')",
    "preprocessing.transforms": "$@missing.transforms",
    "network_def._target_": "subprocess.Popen",
    "preprocessing._target_": "monai.bundle.download",
    "postprocessing._target_": "monai.apps.download_and_extract",
    "inferer._target_": "torch.hub.load",
    "preprocessing.transforms.1": {"_target_": "Lambdad", "keys": "image", "func": "$print"},
    "preprocessing.transforms.2": {"_target_": "monai.transforms.DataStatsd", "keys": "image"},
    "inferer.padding_mode": "%/etc/hostname#x",
    "inferer.sigma_scale": "@##bundle_root",
    "network_def._mode_": "debug",
    "network_def": {"_target_": "EfficientNetBN", "model_name": "efficientnet-b0", "spatial_dims": 3},
}


@pytest.mark.parametrize("key", CODE)
def test_a_configuration_that_runs_code_is_refused_unless_it_is_trusted(tmp_path, key):
    marker = tmp_path / "touched"
    content = copy.deepcopy(bundle_kit.config())
    *path, last = key.split(".")
    node = content
    for part in path:
        node = node[int(part) if isinstance(node, list) else part]
    value = CODE[key]
    node[int(last) if isinstance(node, list) else last] = value.format(marker=marker) if isinstance(value, str) else value
    with privacy.no_network(), pytest.raises(ConfigError, match=r"inference\." + key.split(".")[0]):
        build(write(tmp_path / "bundle", content))
    assert not marker.exists()


def test_trust_runs_what_the_bundle_says(tmp_path):
    marker = tmp_path / "touched"
    content = bundle_kit.config(pixdim="$" + TOUCH.format(marker=marker) + " or [0.8, 0.8, 1.0]")
    (tmp_path / "bundle/scripts").mkdir(parents=True)
    (tmp_path / "bundle/scripts/own.py").write_text(
        "class Brighter:\n    def __call__(self, data):\n        return {**data, 'image': data['image'] + 1000}\n"
    )
    content["preprocessing"]["transforms"].insert(2, {"_target_": "scripts.own.Brighter"})
    model = build(write(tmp_path / "bundle", content), trust=True)
    assert marker.exists()
    found = masks(model.predict([image(blocks(), OBLIQUE)])[0])
    assert found["spleen"][5:13, 6:19, 4:14].all()


def test_sections_that_are_not_needed_may_hold_anything(tmp_path):
    content = bundle_kit.config(run=["$os.abort()"], dataset="$glob.nothing", imports=["$import nothing_of_the_sort"])
    assert build(write(tmp_path, content)).channels


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_weights_are_data(tmp_path):
    for state, says in (
        ({"model": _Touch(tmp_path / "touched")}, "no state dict"),
        ([1, 2], "no state dict"),
        ({"conv.weight": torch.zeros(3, 1, 1, 1, 1)}, "no weights of the bundle's network_def"),
    ):
        with pytest.raises(ConfigError, match=says):
            build(write(tmp_path / "bundle", state=state))
    assert not (tmp_path / "touched").exists()


def test_a_torchscript_needs_trust_and_gives_the_same(tmp_path, model):
    folder = write(tmp_path)
    network = torch.nn.Conv3d(1, 3, 1)
    network.load_state_dict({key.removeprefix("conv."): value for key, value in bundle_kit.thresholds().items()})
    from hyla_healthcare import inference

    inference.hush()
    torch.jit.script(network).save(folder / "models/model.ts")
    (folder / "models/model.pt").unlink()
    with pytest.raises(ConfigError, match="trust"):
        build(folder)
    scripted = build(folder, trust=True)
    assert scripted.predict([image(blocks(), OBLIQUE)]) == model.predict([image(blocks(), OBLIQUE)])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bundle": "/nowhere"}, "no MONAI bundle"),
        ({"weights": "models/other.pt"}, "has no models/other.pt"),
        ({"weights": "../../../etc/hostname"}, "has no "),
        ({"roi": [1, 2]}, "roi"),
        ({"overlap": 1.0}, "overlap is 1.0"),
        ({"mode": "blend"}, "no mode 'blend'"),
        ({"tta": 9}, "tta is 9"),
        ({"tta_axes": "XY"}, "tta_axes"),
        ({"device": "cuda:77"}, "cuda:77"),
    ],
)
def test_settings_that_cannot_work_are_refused(folder, settings, says):
    with pytest.raises(ConfigError, match=says):
        build(folder, **settings)


def test_a_run_labels_nifti_files_offline(folder, tmp_path):
    """As `hyla run preset=healthcare model=monai_bundle model.bundle=FOLDER source=FOLDER` does."""
    source = tmp_path / "source"
    source.mkdir()
    nifti.write(source / "a.nii.gz", blocks(), OBLIQUE)
    settings = [f"model.bundle={folder}", "model.tta=1", f"out={tmp_path / 'out'}", "device=cpu"]
    with privacy.no_network():
        hyla.run(hyla.compose("healthcare", "model=monai_bundle", *settings, source=str(source)))
    project = hyla.Project.open(tmp_path / "out")
    (record,) = project.records()
    assert sorted(project.schema().names[c] for c in record.labels.class_id) == ["liver", "spleen"]
    assert record.source.startswith("model:organs 0.1.0@")
    assert len(record.labels.context["slice_uncertainty"].split()) == 24
    assert np.isfinite(record.labels.evidence["entropy"]).all()


def test_augmentation_keeps_the_structures_and_raises_the_entropy(folder, model):
    volume = image(blocks(), OBLIQUE)
    plain, many = model.predict([volume])[0], build(folder, tta=5).predict([volume])[0]
    assert [SCHEMA.names[c] for c in many.class_id] == ["liver", "spleen"]
    assert dice(masks(many)["spleen"], masks(plain)["spleen"]) > 0.9
    assert (many.evidence["entropy"] > plain.evidence["entropy"]).any()


def guided(folder: Path) -> Path:
    """Write a bundle as DeepEdit's are: maps of clicks beside the volume, own transforms that bring them in, no windows."""
    content = bundle_kit.config(
        label_names={"spleen": 1, "background": 0}, number_intensity_ch=1, inferer={"_target_": "SimpleInferer"}
    )
    content["network_def"] |= {"in_channels": "$len(@label_names) + @number_intensity_ch", "out_channels": "$len(@label_names)"}
    first, *rest = content["preprocessing"]["transforms"]
    clicks = [
        {"_target_": "scripts.transforms.OrientationGuidanceMultipleLabelDeepEditd", "ref_image": "image"},
        {"_target_": "AddGuidanceSignalDeepEditd", "keys": "image", "guidance": "guidance"},
    ]
    content |= {"loading": [first], "preparing": rest, "clicking": clicks}
    content["preprocessing"]["transforms"] = "$@loading + @preparing + @clicking"
    return write(folder, content, bundle_kit.thresholds(2, 3), bundle_kit.metadata(("background", "spleen")))


@pytest.mark.parametrize("affine", [AFFINES["axial"], OBLIQUE], ids=["axial", "oblique"])
def test_clicks_reach_a_network_that_takes_them_at_the_right_voxel(tmp_path, affine):
    model = build(guided(tmp_path))
    assert model.guides == (1, 0)
    volume = image(blocks(), affine)
    spleen = SCHEMA.class_id("spleen")
    assert masks(model.predict([volume])[0]).keys() == {"spleen"}
    before = masks(model.predict([volume])[0])["spleen"]
    shifted = masks(build(tmp_path, tta=2, tta_axes="").predict([volume])[0])["spleen"]
    assert dice(shifted, before) > 0.95  # brightness changes, not the empty maps of clicks
    new = model.refine(volume, spleen, [Click(30.5, 25.5, 20, True)], encode(before))
    grown = decode(new) & ~before
    z, y, x = np.argwhere(grown).mean(axis=0)
    assert np.abs(np.array([x + 0.5, y + 0.5, z]) - (30.5, 25.5, 20)).max() < 1.5
    cut = model.refine(volume, spleen, [Click(25.5, 11.5, 17, False)], encode(before))
    lost = before & ~decode(cut)
    assert lost[17, 11, 25]
    assert not (before & ~lost)[17, 11, 25]
    assert lost.sum() < before.sum()


def test_without_maps_of_clicks_the_object_is_grown_from_them(model, tmp_path):
    volume, click = image(blocks()), Click(27.5, 11.5, 18, True)
    grown = model.refine(volume, SCHEMA.class_id("spleen"), [click], None)
    assert grown == grow.refine(volume, [click], None)
    assert decode(grown)[18, 11, 27]
    assert not decode(grown)[:14].any()
    clicked = build(guided(tmp_path))
    assert clicked.refine(volume, SCHEMA.class_id("liver"), [click], None) == grown
    assert clicked.refine(volume, SCHEMA.class_id("spleen"), [], None) == grow.refine(volume, [], None)
