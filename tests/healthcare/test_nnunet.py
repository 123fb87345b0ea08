"""The layout of nnU-Net: series, labels and what dataset.json says of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK

import hyla
from hyla import formats, geometry
from hyla.cli import main
from hyla.errors import ConfigError, FormatError
from hyla.frame import PatientFrame
from hyla.schema import Schema
from hyla.store import Project
from hyla.types import Image, Item, Kind, Labels, Record, item_id
from hyla_healthcare import nifti
from hyla_healthcare.labelmap import numbers
from hyla_healthcare.nnunet import NnUnet

SCHEMA = Schema.from_config(
    {
        "name": "organs",
        "kinds": ["mask"],
        "classes": {
            "ignore": {},
            "liver": {},
            "bone": {},
            "rib": {"parent": "bone"},
            "lesion": {"abstract": True},
            "box": {"kinds": ["box"]},
        },
    }
)
SIZE = (4, 6, 5)
PLACE = ((0.7, 0, 0, -120.5), (0, 0.8, 0, -33.25), (0, 0, 2.5, -804.5), (0, 0, 0, 1))


class Scans:
    """Give made volumes, as the pictures of a project do."""

    source = ""

    def load(self, item):
        values = np.random.default_rng(item.index).integers(-1000, 1000, SIZE).astype(np.int16)
        return Image(values, item, PatientFrame(PLACE), volume=True)

    def known(self):
        return iter(())


def record(number, masks, modality="CT"):
    """Return a record of (class, first slice, last slice)."""
    item = Item(item_id(f"ct/{number}"), f"ct/{number}", index=number, kind="series", meta={"modality": modality})
    shapes = []
    for _, first, last in masks:
        mask = np.zeros(SIZE, bool)
        mask[first:last] = True
        shapes.append(geometry.encode(mask))
    labels = Labels.of([SCHEMA.ids[c] for c, _, _ in masks], kind=Kind.MASK, shape=shapes)
    return Record(item, labels, size=SIZE, frame=PatientFrame(PLACE))


def test_numbers_have_no_gap_and_ignore_is_the_highest():
    """nnU-Net refuses other label files (dataset_format.md, ignore_label.md)."""
    assert numbers(SCHEMA) == {"liver": 1, "bone": 2, "rib": 3, "ignore": 4}
    assert numbers(SCHEMA, ["rib", "liver"]) == {"liver": 1, "rib": 2}


def test_the_dataset_is_what_nnunet_wants(tmp_path):
    records = [record(0, [("liver", 0, 2), ("rib", 2, 3)]), record(1, [("bone", 0, 2), ("rib", 1, 2)]), record(2, [])]
    loss = NnUnet(pictures=Scans()).export(records, SCHEMA, tmp_path)
    assert loss == {"mask as cut mask": 1}
    about = json.loads((tmp_path / "dataset.json").read_text())
    assert about["channel_names"] == {"0": "CT"}
    assert about["labels"] == {"background": 0, "liver": 1, "bone": 2, "rib": 3, "ignore": 4}
    assert about["numTraining"] == len(list((tmp_path / "imagesTr").iterdir())) == 3
    for one in records:
        image = SimpleITK.ReadImage(str(tmp_path / "imagesTr" / f"{one.item.id}_0000{about['file_ending']}"))
        labels = SimpleITK.ReadImage(str(tmp_path / "labelsTr" / f"{one.item.id}{about['file_ending']}"))
        assert np.array_equal(SimpleITK.GetArrayFromImage(image), Scans().load(one.item).pixels)
        for part in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):  # nnU-Net refuses a pair that differs
            assert getattr(image, part)() == getattr(labels, part)()
        assert np.allclose(image.TransformIndexToPhysicalPoint((4, 5, 3)), (np.array(PLACE) @ [4, 5, 3, 1])[:3], atol=1e-3)
    values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "labelsTr" / f"{records[1].item.id}.nii.gz")))
    assert [np.unique(one).tolist() for one in values] == [[2], [3], [0], [0]]


def test_labels_come_back(tmp_path):
    records = [record(0, [("liver", 0, 2), ("rib", 2, 3)]), record(1, [])]
    form = NnUnet(pictures=Scans())
    assert form.export(records, SCHEMA, tmp_path) == {}
    back = sorted(form.read(tmp_path, SCHEMA), key=lambda one: one.item.uri)
    assert sorted(len(one.labels) for one in back) == [0, 2]
    assert next(one for one in back if len(one.labels)).labels == records[0].labels


def test_few_classes_and_one_modality(tmp_path):
    records = [record(0, [("liver", 0, 2), ("rib", 2, 3)]), record(1, [("liver", 0, 1)], "MR")]
    with pytest.raises(FormatError, match="series of CT and of MR"):
        NnUnet(pictures=Scans()).export(records, SCHEMA, tmp_path / "a")
    loss = NnUnet(classes=["rib"], modality="CT", pictures=Scans()).export(records, SCHEMA, tmp_path / "b")
    assert loss == {"mask": 2}
    about = json.loads((tmp_path / "b" / "dataset.json").read_text())
    assert (about["labels"], about["numTraining"]) == ({"background": 0, "rib": 1}, 1)
    with pytest.raises(ConfigError, match="'lever'"):
        NnUnet(classes=["lever"], pictures=Scans()).export(records, SCHEMA, tmp_path / "c")
    with pytest.raises(ConfigError, match="none to read"):
        formats.get("nnunet").export(records, SCHEMA, tmp_path / "d")
    with pytest.raises(FormatError, match="no dataset of nnU-Net"):
        formats.get("nnunet").read(tmp_path, SCHEMA)


def test_a_project_goes_out_and_comes_back(tmp_path, capsys):
    """Volumes of a folder are exported with their labels, and the labels imported again as truth."""
    source, out, to = tmp_path / "source", tmp_path / "out", tmp_path / "to"
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        nifti.write(source / f"{name}.nii.gz", rng.integers(-1000, 1000, SIZE).astype(np.int16), np.array(PLACE))
    hyla.run(hyla.compose("healthcare", "model=none", source=str(source), out=str(out)))
    nifti.write(tmp_path / "labels" / "a.nii.gz", np.ones(SIZE, np.uint8), np.array(PLACE))
    words = ["--format", "nifti", "--from", str(tmp_path / "labels"), "--as", "human:ann", "classes={1: liver}"]
    assert main(["import", str(out), *words]) == 0
    assert main(["export", str(out), "--format", "nnunet", "--to", str(to), "--source", "human:ann", "classes=[liver]"]) == 0
    assert main(["import", str(out), "--format", "nnunet", "--from", str(to)]) == 0
    with Project.open(out) as opened:
        [one] = opened.records("truth:nnunet")
    assert (one.item.uri, geometry.rle_area(one.labels.shape[0])) == ("a.nii.gz", 120)
    nifti.write(next((to / "labelsTr").iterdir()), np.ones(SIZE, np.uint8), np.array(PLACE) + np.eye(4)[:, [3, 0, 1, 2]] * 0.1)
    assert main(["import", str(out), "--format", "nnunet", "--from", str(to), "--as", "truth:b"]) != 0
    assert "from its item" in capsys.readouterr().err
