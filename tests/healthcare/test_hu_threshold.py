"""What HU and shape find in a phantom, and what they leave alone; objects outlined from clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hydra.utils import instantiate

import hyla_healthcare
from hyla.errors import ConfigError
from hyla.frame import PatientFrame
from hyla.geometry import decode, encode
from hyla.types import Click, Image, Item
from hyla_healthcare import body, sample, structures
from hyla_healthcare.hu_threshold import HuThreshold
from hyla_healthcare.sample_anatomy import Body

ORGANS = ("body", "lung_left", "lung_right", "airway", "air", "bone")


@pytest.fixture(scope="module")
def schema():
    return sample.preset_schema()


@pytest.fixture(scope="module")
def model(schema):
    return HuThreshold(schema)


def image_of(hu, affine, modality="CT"):
    item = Item("a", "ct/a", kind="series", meta={"modality": modality})
    return Image(hu, item, PatientFrame(tuple(map(tuple, affine.tolist()))), volume=True)


def shot(scan):
    hu, masks, affines = sample.shoot(scan, 5)
    return image_of(hu, affines[0]), masks


@pytest.fixture(scope="module")
def plain():
    return shot(sample.Scan(0, Body(seed=1, joined=True, contrast=True, diameters=(14.0, 9.0, 24.0))))


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def check_found(model, schema, image, masks):
    labels = model.predict([image])[0]
    schema.check(labels, image.size)
    names = [schema.names[i] for i in labels.class_id]
    found = {name: decode(shape) for name, shape in zip(names, labels.shape, strict=True)}
    least = {"airway": 0.85, "air": 0.95, "bone": 0.85}
    for name in ORGANS:
        assert dice(found[name], masks[name]) > least.get(name, 0.97), name
    sides = dict(zip(names, labels.attributes["side"], strict=True))
    assert (sides["lung_left"], sides["lung_right"]) == ("left", "right")
    assert labels.evidence["outside_body"] == pytest.approx(0)
    nodules = labels.class_id == schema.class_id("lung_nodule")
    assert (labels.score[nodules] <= 0.5).all()
    assert (labels.score[~nodules] > 0.8).all()
    return labels


def test_lungs_that_touch_are_parted_and_the_sides_are_the_patients(model, schema, plain):
    labels = check_found(model, schema, *plain)
    nodules = [decode(s) for s in labels.shape[labels.class_id == schema.class_id("lung_nodule")]]
    for name in ("lung_nodule.0", "lung_nodule.1"):
        assert max(dice(one, plain[1][name]) for one in nodules) > 0.8


@pytest.mark.parametrize("number", [2, 5, 6], ids=["child", "on the side", "oblique"])
def test_it_finds_the_same_in_a_child_and_however_the_patient_lies(model, schema, number):
    check_found(model, schema, *shot(sample.scans(8)[number]))


def test_a_volume_upside_down_in_memory_keeps_its_sides(model, schema, plain):
    image, masks = plain
    turned = np.array(image.frame.affine) @ np.array([[-1, 0, 0, 159], [0, -1, 0, 159], [0, 0, 1, 0], [0, 0, 0, 1]])
    check_found(model, schema, image_of(image.pixels[:, ::-1, ::-1], turned), {k: m[:, ::-1, ::-1] for k, m in masks.items()})


def test_the_table_is_no_body_and_neither_is_the_air_around(plain):
    image, masks = plain
    found = body.body(image.pixels, structures.spacing(image))
    assert np.count_nonzero((image.pixels > -300) & ~masks["body"]) > 5000  # the table is there
    assert np.count_nonzero(found & ~masks["body"]) < 0.005 * found.sum()


def test_a_score_falls_and_entropy_rises_where_the_outline_is_uncertain(plain):
    image, _ = plain
    names = ("lung_left", "bone")
    firm = {one.name: one for one in HuThreshold().find(image) if one.name in names}
    noisy = image.pixels + np.random.default_rng(0).normal(0, 60, image.pixels.shape)
    loose = {one.name: one for one in HuThreshold().find(image_of(noisy.astype(np.int16), np.array(image.frame.affine)))}
    for name in names:
        assert loose[name].score < firm[name].score
        assert loose[name].entropy > firm[name].entropy > 0


@pytest.mark.parametrize(
    "image",
    [
        Image(np.zeros((64, 64, 3), np.uint8), Item("nothing", "nothing.png")),
        Image(np.zeros((4, 64, 64), np.int16), Item("nothing", "nothing.png"), volume=True),
        image_of(np.zeros((4, 64, 64), np.int16), np.eye(4)),
        image_of(np.full((4, 64, 64), -1000, np.int16), np.eye(4)),
        image_of(np.zeros((1, 1, 1), np.int16), np.eye(4)),
        image_of(np.full((3, 4, 4), -1000, np.float32), np.eye(4)),
    ],
    ids=["picture", "no modality", "zeros", "air", "one voxel", "tiny"],
)
def test_where_there_is_nothing_to_find_it_finds_nothing(model, image):
    assert len(model.predict([image])[0]) == 0


def test_only_ct_is_labelled(model, plain):
    image, _ = plain
    assert len(model.predict([image_of(image.pixels, np.array(image.frame.affine), "MR")])[0]) == 0
    unknown = Image(image.pixels, Item("a", "a.nii.gz"), image.frame, volume=True)
    assert len(model.predict([unknown])[0]) == 0


def test_labels_do_not_depend_on_the_batch(model, plain):
    other = image_of(np.full((4, 64, 64), -1000, np.int16), np.eye(4))
    assert model.predict([other, plain[0]])[1] == model.predict([plain[0]])[0]


@pytest.mark.parametrize(
    "settings", [{"air": -200}, {"bone": 500}, {"table": 0}, {"nodule_mm": [30, 3]}, {"most_nodules": -1}], ids=str
)
def test_settings_out_of_range_are_named(settings):
    with pytest.raises(ConfigError, match=next(iter(settings)) if "bone" not in settings else "dense"):
        HuThreshold(**settings)


def test_the_config_says_what_the_code_does():
    text = (Path(hyla_healthcare.__file__).parent / "conf" / "model" / "hu_threshold.yaml").read_text(encoding="utf-8")
    built, default = instantiate(yaml.safe_load(text)), HuThreshold()
    told = {name: value for name, value in vars(built).items() if name != "schema"}
    assert told == {name: value for name, value in vars(default).items() if name != "schema"}


def click(mask, inside=True):
    """Return a click on the voxel of `mask` that is furthest from its edge."""
    from scipy import ndimage

    z, y, x = np.unravel_index(int(np.argmax(ndimage.distance_transform_edt(np.pad(mask, 1)))), [n + 2 for n in mask.shape])
    return Click(x - 0.5, y - 0.5, int(z) - 1, inside)


@pytest.mark.parametrize(("name", "least"), [("heart", 0.9), ("kidney_left", 0.9), ("spleen", 0.85), ("liver", 0.85)])
def test_a_click_outlines_an_organ(model, plain, name, least):
    image, masks = plain
    organ = masks[name] & ~masks["liver_lesion.2"]
    assert dice(decode(model.refine(image, 0, [click(organ)], None)), organ) > least


def test_an_outside_click_takes_off_what_is_beyond_a_narrow_place(model):
    hu = np.full((9, 80, 120), -100, np.int16)
    two = np.zeros(hu.shape, dtype=bool)
    two[2:7, 20:60, 10:50] = True
    other = np.zeros(hu.shape, dtype=bool)
    other[2:7, 20:60, 70:110] = True
    bridge = np.zeros(hu.shape, dtype=bool)
    bridge[3:6, 36:44, 50:70] = True
    hu[two | other | bridge] = 60
    hu += np.random.default_rng(0).normal(0, 8, hu.shape).astype(np.int16)
    image = image_of(hu, np.eye(4))
    both = model.refine(image, 0, [click(two)], None)
    assert dice(decode(both), two | other | bridge) > 0.95
    one = decode(model.refine(image, 0, [click(two), click(other, inside=False)], None))
    assert dice(one, two) > 0.85
    assert not one[click(other).z, 40, 90]
    again = decode(model.refine(image, 0, [click(two), click(other, inside=False)], both))
    assert dice(again, two) > 0.85
    added = decode(model.refine(image, 0, [click(other)], encode(two)))
    assert (added & two).sum() == two.sum()
    assert dice(added, two | other | bridge) > 0.95


def test_outside_clicks_alone_cut_the_mask_that_is_there_and_nothing_else(model):
    image = image_of(np.zeros((5, 40, 90), np.int16), np.eye(4))
    mask = np.zeros((5, 40, 90), dtype=bool)
    mask[1:4, 5:35, 5:85] = True
    left = decode(model.refine(image, 0, [Click(80.5, 20.5, 2, False)], encode(mask)))
    assert left.any()
    assert not left[2, 20, 80]
    assert not (left & ~mask).any()
    assert left[2, 20, 10]


def test_without_an_inside_click_and_a_mask_there_is_nothing_to_outline(model, plain):
    assert model.refine(plain[0], 0, [], None) is None
    assert model.refine(plain[0], 0, [Click(5, 5, 0, False)], None) is None
    assert model.refine(plain[0], 0, [Click(-5, 5, 0, True), Click(5, 5, 999, True)], None) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_a_thing_in_a_picture_is_outlined_too(model, channels):
    y, x = np.mgrid[:90, :120]
    disc = (x - 60) ** 2 + (y - 40) ** 2 < 25**2
    pixels = np.full((90, 120, channels), 40.0)
    pixels[disc] = (180, 60, 200)[:channels]
    pixels += np.random.default_rng(0).normal(0, 5, pixels.shape)
    found = model.refine(Image(pixels.clip(0, 255).astype(np.uint8), Item("a", "a.png")), 0, [Click(60.5, 40.5, 0, True)], None)
    assert found.size == (90, 120)
    assert dice(decode(found), disc) > 0.95


def test_all_of_a_picture_without_any_edge_is_one_object(model):
    image = Image(np.full((20, 30, 3), 7, np.uint8), Item("a", "a.png"))
    assert decode(model.refine(image, 0, [Click(3.5, 4.5, 0, True)], None)).all()


def test_provenance_names_the_method_and_it_is_partial(model):
    assert model.provenance() == {"name": "hu_threshold"}
    assert model.partial
