"""The phantoms are what their truth says, lie where their headers say, and read back under the ids of the loader."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest

from hyla.codec import record_from_dict
from hyla.errors import ConfigError
from hyla.frame import PatientFrame
from hyla.geometry import decode
from hyla_healthcare import sample
from hyla_healthcare.studies import Studies

COUNT = 8


@pytest.fixture(scope="module")
def schema():
    return sample.preset_schema()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    to = tmp_path_factory.mktemp("sample")
    return sample.write(to, frames=COUNT), to


@pytest.fixture(scope="module")
def loaded(written):
    loader = Studies()
    return [(item, loader.load(item)) for item in loader.items(str(written[0]))]


@pytest.fixture(scope="module")
def truth(written, schema):
    return [record_from_dict(json.loads(line), schema) for line in (written[1] / "truth.jsonl").read_text().splitlines()]


def masks_of(record, schema):
    names = [schema.names[i] for i in record.labels.class_id]
    return {(name, n): decode(shape) for n, (name, shape) in enumerate(zip(names, record.labels.shape, strict=True))}


def test_truth_stands_under_the_ids_frames_and_sizes_of_the_loader(loaded, truth, schema):
    assert [record.item for record in truth] == [item for item, _ in loaded]
    assert len(truth) == COUNT
    for record, (_, image) in zip(truth, loaded, strict=True):
        assert isinstance(image.frame, PatientFrame)
        assert (record.frame, record.size) == (image.frame, image.size)
        schema.check(record.labels, record.size)
        names = [schema.names[i] for i in record.labels.class_id]
        assert names.count("lung_nodule") == 2
        assert {"body", "lung_left", "lung_right", "airway", "air", "bone", "heart", "aorta"} <= set(names)
        assert {"liver", "spleen", "kidney_left", "kidney_right", "inferior_vena_cava", "liver_lesion"} <= set(names)


def test_pixels_are_of_the_tissue_that_the_truth_says(loaded, truth, schema):
    for record, (_, image) in zip(truth, loaded, strict=True):
        iodine = image.context["contrast"] == "yes" if "contrast" in image.context else False
        for (name, _), mask in masks_of(record, schema).items():
            middle = float(np.median(image.pixels[mask]))
            expected = {"lung_left": -850, "lung_right": -850, "airway": -1000, "liver": 108 if iodine else 58}
            if name in expected:
                assert middle == pytest.approx(expected[name], abs=25), (name, iodine)
        sides = dict(zip([schema.names[i] for i in record.labels.class_id], record.labels.attributes["side"], strict=True))
        assert (sides["lung_left"], sides["lung_right"], sides["kidney_left"]) == ("left", "right", "left")


def test_lesions_have_the_size_they_were_made_with(truth, schema):
    wanted = {one.body.diameters for one in sample.scans(COUNT)}
    found = []
    for record in truth:
        lesions = np.isin(record.labels.class_id, schema.under("lesion"))
        found.append(record.labels.attributes["long_axis_mm"][lesions])
    assert any(long.min() < 3 for long in found)  # one that is too small to count
    for long in found:
        nearest = min(wanted, key=lambda one: np.abs(np.array(one) - long).max())
        assert np.abs(np.array(nearest) - long).max() <= 2.6  # of 2.1 mm pixels and 3 mm slices


def test_patients_differ_as_the_description_says(loaded):
    metas = [image.context | dict(item.meta) for item, image in loaded]
    assert sum(one.get("missing", 0) > 0 for one in metas) == 1
    assert sum(bool(one.get("child")) for one in metas) == 1
    assert sum(one.get("contrast") == "yes" for one in metas) == 2
    assert {one.get("position") for one in metas} >= {"HFS", "FFS", "HFDL"}
    assert len({one["patient"] for one in metas}) == COUNT - 1  # one was scanned twice
    for _, image in loaded:
        matrix = np.array(image.frame.affine)[:3, :3]
        assert np.linalg.det(matrix) > 0
        assert matrix[2, 2] > 0
    assert sum(abs(image.frame.affine[1][2]) > 0.1 for _, image in loaded) == 1  # oblique


def test_the_headers_hold_what_is_to_be_removed_and_say_that_nobody_is_meant(written):
    paths = [path for path in written[0].rglob("*") if path.is_file()]
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    assert {str(ds.PatientName).split("^")[0] for ds in headers} == {"Phantom"}
    assert all(ds.PatientBirthDate and ds.PatientID and ds.InstitutionName and ds[0x0099, 0x1001].value for ds in headers)
    assert {ds.file_meta.TransferSyntaxUID.name for ds in headers} == {"Explicit VR Little Endian", "RLE Lossless"}
    assert len({ds.SOPInstanceUID for ds in headers}) == len(headers)
    in_order = sorted(paths)
    series = [pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID for path in in_order[:20]]
    assert len(set(series)) > 3  # names tell nothing


def test_the_same_seed_gives_the_same_files_and_another_does_not(tmp_path):
    one, again, other = (sample.write(tmp_path / name, frames=1, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    names = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert all((one / name).read_bytes() == (again / name).read_bytes() for name in names)
    assert (tmp_path / "a" / "truth.jsonl").read_bytes() == (tmp_path / "b" / "truth.jsonl").read_bytes()
    assert (tmp_path / "a" / "truth.jsonl").read_bytes() != (tmp_path / "c" / "truth.jsonl").read_bytes()
    assert len(list((sample.write(tmp_path / "a", frames=1)).rglob("*"))) == len(list(again.rglob("*")))  # replaced, not added to
    assert other.name == "ct"


def test_a_place_that_cant_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="the sample can't be written to"):
        sample.write(tmp_path / "file", frames=1)


def test_the_number_of_series_follows_that_of_frames():
    counts = {frames: min(frames, max(sample.SERIES, frames // sample.PER_SERIES)) for frames in (1, 5, 14, 120, 400)}
    assert counts == {1: 1, 5: 5, 14: 14, 120: 15, 400: 50}
    assert len(sample.scans(30)) == 30
    assert sample.scans(3) == sample.scans(9)[:3]
