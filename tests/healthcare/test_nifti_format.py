"""Segmentations as NIfTI, out and in, on the grid of their series and nowhere else."""

from __future__ import annotations

import json
import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from scipy.spatial.transform import Rotation

import hyla
from hyla import formats, geometry
from hyla.cli import main
from hyla.errors import ConfigError, FormatError
from hyla.frame import PatientFrame
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Item, Kind, Labels, Record, item_id
from hyla_healthcare import nifti

SCHEMA = Schema.from_config(
    {
        "name": "organs",
        "kinds": ["mask", "box"],
        "classes": {
            "body": {},
            "liver": {},
            "bone": {},
            "rib": {"parent": "bone"},
            "vertebra": {"parent": "bone"},
            "lung_left": {},
            "adrenal_left": {},
            "odd name/2": {},
        },
        "attributes": {"volume_ml": {"type": "number"}},
    }
)
SIZE = (5, 7, 6)
PLACE = np.array([[0.7, -0.1, 0, -120.5], [0.1, 0.8, 0, -33.25], [0, 0, 2.5, -804.5], [0, 0, 0, 1]])
PLACE[:2, 0] /= np.linalg.norm(PLACE[:2, 0]) / 0.7
PLACE[:2, 1] = np.array([-PLACE[1, 0], PLACE[0, 0]]) / 0.7 * 0.8


def record(masks, name="ct/a", frame=None):
    """Return a record of (class, mask (D, H, W)) pairs."""
    frame = PatientFrame(tuple(map(tuple, PLACE.tolist())), "1.2.3") if frame is None else frame
    shapes = [geometry.encode(mask) for _, mask in masks]
    labels = Labels.of([SCHEMA.ids[c] for c, _ in masks], kind=Kind.MASK, shape=shapes)
    return Record(Item(item_id(name), name, kind="series", meta={"modality": "CT"}), labels, size=SIZE, frame=frame)


def box(z0, z1, y0=0, y1=7, x0=0, x1=6):
    """Return a mask that is a box."""
    mask = np.zeros(SIZE, bool)
    mask[z0:z1, y0:y1, x0:x1] = True
    return mask


def stored(path, values, axes="LPS", affine=PLACE):
    """Write voxels (D, H, W) with nibabel, the axes of the file in another order."""
    straight = np.asarray(values).transpose(2, 1, 0).astype(np.uint8)
    change = ornt_transform(io_orientation(nifti.LPS @ affine), axcodes2ornt(axes))
    ras = nifti.LPS @ affine @ inv_ornt_aff(change, straight.shape)
    nibabel.save(nibabel.Nifti1Image(apply_orientation(straight, change), ras), path)
    return path


def masks_of(one, schema=SCHEMA):
    """Return class name -> voxels of a record."""
    return {schema.names[c]: geometry.rle_area(s) for c, s in zip(one.labels.class_id.tolist(), one.labels.shape, strict=True)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_masks_come_back_as_they_were(tmp_path_factory, data):
    """The layout `structures` loses nothing: masks overlap, classes repeat, slices are empty, and lie in any direction."""
    out = tmp_path_factory.mktemp("out")
    names = data.draw(st.lists(st.sampled_from(SCHEMA.names), max_size=5))
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    masks = [(name, np.pad(rng.random((4, 6, 5)) < 0.5, ((0, 1), (1, 0), (0, 1)))) for name in names]
    axes = Rotation.from_euler("zyx", data.draw(st.tuples(*[st.sampled_from((0, 30, 45, 90, 135, 180))] * 3)), degrees=True)
    place = np.eye(4)
    place[:3, :3], place[:3, 3] = axes.as_matrix() * (0.7, 0.8, 2.5), rng.uniform(-900, 900, 3)
    one = record(masks, frame=PatientFrame(tuple(map(tuple, place.tolist())), "1.2.3"))
    form = formats.get("nifti")
    loss = form.export([one], SCHEMA, out)
    [back] = form.read(out, SCHEMA)
    assert loss == {}
    assert back.labels == one.labels
    assert (back.item, back.frame, back.size) == (one.item, one.frame, one.size)


def test_itk_sees_the_masks_where_they_are(tmp_path):
    one = record([("liver", box(1, 3, 2, 5, 0, 2))])
    formats.get("nifti").export([one], SCHEMA, tmp_path)
    read = SimpleITK.ReadImage(str(tmp_path / one.item.id / "liver.nii.gz"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(read), box(1, 3, 2, 5, 0, 2))
    assert np.allclose(read.TransformIndexToPhysicalPoint((5, 6, 4)), (PLACE @ [5, 6, 4, 1])[:3], atol=1e-3)


def test_a_labelmap_says_what_it_can_not_hold(tmp_path):
    """Of two in one voxel the more special wins; two of a class become one; what is covered is gone."""
    one = record([("rib", box(0, 2)), ("bone", box(1, 3)), ("body", box(0, 3)), ("liver", box(3, 4)), ("liver", box(4, 5))])
    form = formats.get("nifti", layout="labelmap")
    loss = form.export([one], SCHEMA, tmp_path)
    assert loss == {"mask": 2, "mask as cut mask": 1}  # the body and one liver; the bone
    [back] = form.read(tmp_path, SCHEMA)
    slice_ = 7 * 6
    assert masks_of(back) == {"rib": 2 * slice_, "bone": slice_, "liver": 2 * slice_}
    known = json.loads((tmp_path / "classes.json").read_text())["labels"]
    whole = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / f"{one.item.id}.nii.gz")))
    assert np.unique(whole).tolist() == sorted(known[n] for n in ("rib", "bone", "liver"))


def test_what_is_no_mask_of_a_volume_is_counted(tmp_path):
    flat = geometry.encode(np.ones((7, 6), bool))
    boxes = Record(
        Item("b", "b"), Labels.of([0, 1], [[0, 0, 2, 2]] * 2, score=[0.5, 1], kind=[1, 6], shape=[None, flat]), size=(7, 6)
    )
    loss = formats.get("nifti").export([boxes], SCHEMA, tmp_path)
    assert loss["box"] == loss["mask"] == 1
    assert list(formats.get("nifti").read(tmp_path, SCHEMA)) == []


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR", "SLA", "ASL"])
def test_foreign_axes_are_turned_back(tmp_path, axes):
    """A labelmap saved with its axes in another order lies where it should."""
    stored(tmp_path / "case.nii.gz", 5 * box(1, 3, 2, 5, 0, 2), axes)
    [back] = formats.get("nifti", classes={5: "liver"}).read(tmp_path, SCHEMA)
    assert np.array_equal(geometry.decode(back.labels.shape[0]), box(1, 3, 2, 5, 0, 2))
    assert np.allclose(back.frame.affine, PLACE, atol=1e-3)


def test_numbers_without_a_name_are_refused_unless_told(tmp_path):
    path = stored(tmp_path / "case.nii", 5 * box(1, 3) + 7 * box(3, 4))
    with pytest.raises(FormatError, match="nothing says what 5 means"):
        list(formats.get("nifti").read(path, SCHEMA))
    assert masks_of(next(formats.get("nifti", unknown="skip").read(path, SCHEMA))) == {}
    assert masks_of(next(formats.get("nifti", classes={5: "liver", 7: ["rib", "bone"]}).read(path, SCHEMA))) == {
        "liver": 84,
        "rib": 42,
        "bone": 42,
    }
    with pytest.raises(ConfigError, match="'lever'"):
        list(formats.get("nifti", classes={5: "lever"}).read(path, SCHEMA))
    with pytest.raises(ConfigError, match="totalsegmentor"):
        list(formats.get("nifti", classes="totalsegmentor").read(path, SCHEMA))


def test_names_beside_a_labelmap_are_used(tmp_path):
    stored(tmp_path / "case.nii.gz", box(1, 3) + 2 * box(3, 4))
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "liver": 1, "rib": 2, "all": [1, 2]}}))
    [back] = formats.get("nifti").read(tmp_path / "case.nii.gz", SCHEMA)
    assert masks_of(back) == {"liver": 84, "rib": 42}
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(FormatError, match="no list of classes"):
        list(formats.get("nifti").read(tmp_path / "case.nii.gz", SCHEMA))


def test_a_folder_of_structures_is_one_series(tmp_path):
    """As TotalSegmentator writes it: several files may make up one class."""
    folder = tmp_path / "s0011" / "segmentations"
    folder.mkdir(parents=True)
    for name, mask in {
        "liver": box(0, 1),
        "lung_upper_lobe_left": box(1, 2),
        "lung_lower_lobe_left": box(2, 3),
        "rib_left_1": box(3, 4),
        "rib_right_2": box(4, 5),
        "adrenal_gland_left": box(0, 0),
        "sacrum": box(4, 5, 0, 1),
    }.items():
        stored(folder / f"{name}.nii.gz", mask)
    [back] = formats.get("nifti", classes="totalsegmentator").read(tmp_path, SCHEMA)
    assert back.item.uri == "s0011"
    assert masks_of(back) == {"liver": 42, "lung_left": 84, "rib": 84, "bone": 84}


def test_a_probability_map_is_no_labelmap(tmp_path):
    nibabel.save(
        nibabel.Nifti1Image(np.random.default_rng(0).random((4, 4, 4)).astype(np.float32), np.eye(4)), tmp_path / "p.nii"
    )
    with pytest.raises(FormatError, match="not all voxels are whole numbers"):
        list(formats.get("nifti", classes={1: "liver"}).read(tmp_path, SCHEMA))
    with pytest.raises(FormatError, match="holds no volume"):
        list(formats.get("nifti").read(tmp_path / "nothing", SCHEMA))


@pytest.fixture
def project(tmp_path):
    """Return a project of two volumes that lie in different places, its folder and their folder."""
    source = tmp_path / "source"
    source.mkdir()
    values = np.random.default_rng(0).integers(0, 100, SIZE)
    elsewhere = PLACE.copy()
    elsewhere[0, 3] += 40
    stored(source / "one.nii.gz", values)
    stored(source / "two.nii.gz", values, affine=elsewhere)
    hyla.run(hyla.compose("healthcare", "model=none", source=str(source), out=str(tmp_path / "out")))
    return tmp_path / "out", source


def brought(out, path, *words):
    """Return what `hyla import` answers, and the truth that the project then has by item's uri."""
    status = main(["import", str(out), "--format", "nifti", "--from", str(path), *words])
    with Project.open(out) as opened:
        schema = opened.schema()
        return status, {r.item.uri: masks_of(r, schema) for r in opened.records("truth:nifti")} if status == 0 else {}


def test_a_labelmap_finds_its_series_by_name(project, tmp_path):
    out, _ = project
    labels = tmp_path / "labels"
    labels.mkdir()
    stored(labels / "one.nii.gz", 5 * box(1, 3), "RAS")
    assert brought(out, labels, "classes={5: liver}") == (0, {"one.nii.gz": {"liver": 84}})


def test_a_labelmap_finds_its_series_by_its_place(project, tmp_path):
    out, _ = project
    path = stored(tmp_path / "whatever.nii.gz", 5 * box(1, 3), "PIR")
    assert brought(out, path, "classes={5: liver}") == (0, {"one.nii.gz": {"liver": 84}})


def test_a_file_of_the_source_is_no_label_of_itself(project, capsys):
    """A segmentation that lies beside its series is an item of the source too."""
    out, source = project
    assert brought(out, source / "one.nii.gz", "classes={5: liver}")[0] != 0
    assert "is an item itself" in capsys.readouterr().err


def test_a_labelmap_in_another_place_is_refused(project, tmp_path, capsys):
    out, _ = project
    moved = PLACE.copy()
    moved[0, 3] += 0.02
    path = stored(tmp_path / "one.nii.gz", 5 * box(1, 3), affine=moved)
    assert brought(out, path, "classes={5: liver}")[0] != 0
    assert "lies 0.02 mm from its item" in capsys.readouterr().err
    path = stored(tmp_path / "one.nii.gz", np.ones((4, 7, 6)))
    assert brought(out, path, "classes={1: liver}")[0] != 0
    assert "6 x 7 x 4 voxels, its item 6 x 7 x 5" in capsys.readouterr().err


def test_an_item_can_be_named(project, tmp_path, capsys):
    out, _ = project
    path = stored(tmp_path / "x.nii.gz", 5 * box(1, 3))
    assert brought(out, path, "classes={5: liver}", "item=two.nii.gz")[0] != 0
    assert "lies 40 mm from its item" in capsys.readouterr().err
    assert brought(out, path, "classes={5: liver}", "item=three")[0] != 0
    assert "no item 'three'" in capsys.readouterr().err
    assert brought(out, path, "classes={5: liver}", "item=one.nii.gz") == (0, {"one.nii.gz": {"liver": 84}})


def test_real_reference_masks_go_to_the_dicom_series(shared, tmp_path):
    """A reference labelmap lies beside a CT of 20 files: it finds the series, and its voxels count the same as ITK's."""
    root = shared / "data" / "healthcare" / "ct_abdomen_dicom"
    out, source = tmp_path / "out", tmp_path / "source"
    shutil.copytree(root, source)
    hyla.run(hyla.compose("healthcare", "model=none", source=str(source), out=str(out)))
    reference = source / "example_seg_dicom.nii.gz"
    status, truth = brought(out, reference, "classes=totalsegmentator")
    assert status == 0
    [(uri, masks)] = truth.items()
    assert uri.startswith("ct/2.25.")
    values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(reference)))
    assert masks["liver"] == (values == 5).sum()
    assert masks["aorta"] == (values == 52).sum()
    with Project.open(out) as opened:
        [one] = opened.records("truth:nifti")
        schema = opened.schema()
    at = one.labels.class_id.tolist().index(schema.ids["liver"])
    ours = one.frame.to_world(np.argwhere(geometry.decode(one.labels.shape[at]))[:, ::-1] + (0.5, 0.5, 0)).mean(axis=0)
    image = SimpleITK.ReadImage(str(reference))
    centres = SimpleITK.LabelShapeStatisticsImageFilter()
    centres.Execute(image)
    assert np.abs(ours - centres.GetCentroid(5)).max() < 0.01


def test_real_volumes_of_a_named_modality(shared, tmp_path):
    """A NIfTI CT does not say that it is one: told so, it is in HU, and its reference masks land on it by place alone."""
    root, source, out = shared / "data" / "healthcare" / "nifti_small", tmp_path / "source", tmp_path / "out"
    source.mkdir()
    shutil.copy(root / "example_ct_sm.nii.gz", source / "case.nii.gz")
    hyla.run(hyla.compose("healthcare", "model=none", "loader.modality=CT", source=str(source), out=str(out)))
    with Project.open(out) as opened:
        [one] = opened.records("model")
    assert (one.item.meta["modality"], one.item.meta["unit"]) == ("CT", "HU")
    status, truth = brought(out, root / "example_seg.nii.gz", "classes=totalsegmentator")
    values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(root / "example_seg.nii.gz")))
    assert status == 0
    assert truth["case.nii.gz"]["liver"] == (values == 5).sum()
    assert truth["case.nii.gz"]["kidney_left"] == (values == 3).sum()
    assert truth["case.nii.gz"]["lung_left"] == np.isin(values, (10, 11)).sum()
