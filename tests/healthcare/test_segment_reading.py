"""Segmentations of other programs are read, put at their place, or refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread

from exported_kit import SCHEMA, Pictures, boxes, export, itk, real_series, record_of, series, volume
from hyla import geometry
from hyla.errors import FormatError
from hyla.schema import Schema
from hyla_healthcare.dicom_seg import DicomSeg
from hyla_healthcare.originals import places_of


@pytest.fixture
def made():
    """Return pictures with one series, and a record of it: a body, a nodule and a kidney in it, and a region without a code."""
    pictures = Pictures()
    image = volume(pictures, series())
    masks = boxes(
        (6, 40, 32), ((1, 5, 5), (5, 30, 25)), ((2, 10, 10), (3, 14, 20)), ((2, 30, 2), (4, 35, 6)), ((2, 36, 20), (4, 39, 26))
    )
    sides = {"side": [None, "left", "left", None]}
    return pictures, record_of(image, ["body", "lung_nodule", "kidney_left", "ignore"], masks, attributes=sides)


@pytest.fixture(scope="module")
def liver_ct(shared):
    """Return pictures of the CT of three slices that comes with dcmqi's segmentations, and its folder."""
    folder = shared / "data" / "healthcare" / "ct3_seg"
    headers, pixels = real_series(folder, "0*.dcm")
    pictures = Pictures()
    volume(pictures, headers, pixels)
    return pictures, folder


def test_a_liver_of_dcmqi(liver_ct):
    pictures, folder = liver_ct
    (back,) = DicomSeg(pictures).read(folder / "liver.dcm", SCHEMA)
    assert [SCHEMA.names[c] for c in back.labels.class_id] == ["liver"]
    assert (geometry.decode(back.labels.shape[0]) == (itk(folder / "liver_seg.nrrd") > 0)).all()


@pytest.mark.parametrize("name", ["nonbyte_aligned", "nonbyte_aligned_j2k"])
def test_a_liver_cut_to_frames_that_end_within_a_byte(liver_ct, name):
    pictures, folder = liver_ct
    path = folder.parent / "pydicom_data" / f"liver_{name}.dcm"
    (back,) = DicomSeg(pictures).read(path, SCHEMA)
    assert geometry.rle_area(back.labels.shape[0]) == 107098


@pytest.mark.parametrize("name", ["deflate", "nonbyte_aligned_rle"])
def test_a_compression_that_no_decoder_knows_is_refused(liver_ct, name):
    pictures, folder = liver_ct
    with pytest.raises(FormatError, match="can't be read"):
        list(DicomSeg(pictures).read(folder.parent / "pydicom_data" / f"liver_{name}.dcm", SCHEMA))


def test_overlapping_segments_of_dcmqi(liver_ct):
    pictures, folder = liver_ct
    found = dcmread(folder / "partial_overlaps.dcm").SegmentSequence
    codes = {one.SegmentLabel: one.SegmentedPropertyTypeCodeSequence[0].CodeValue for one in found}
    schema = Schema.from_config(
        {"kinds": ["mask"], "classes": {name: {"codes": {"snomed": code}} for name, code in codes.items()}}
    )
    (back,) = DicomSeg(pictures).read(folder / "partial_overlaps.dcm", schema)
    areas = {schema.names[c]: geometry.decode(m) for c, m in zip(back.labels.class_id, back.labels.shape, strict=True)}
    assert len(areas) == 5
    parts = [itk(folder / f"partial_overlaps-{n}.nrrd") for n in (1, 2, 3)]
    expected = {int(n): part == n for part in parts for n in np.unique(part) if n}
    for number, one in enumerate(found, 1):
        assert (areas[one.SegmentLabel] == expected[number]).all(), number
    with pytest.raises(FormatError, match="no class"):
        list(DicomSeg(pictures).read(folder / "partial_overlaps.dcm", SCHEMA))


def test_fractional_and_overlapping_segments_of_highdicom(shared):
    folder = shared / "data" / "healthcare"
    headers, pixels = real_series(folder / "dicomdir" / "77654033" / "CT2")
    pictures = Pictures()
    image = volume(pictures, headers, pixels)
    (binary,) = DicomSeg(pictures).read(folder / "highdicom" / "seg_image_ct_binary.dcm", SCHEMA)
    (fractional,) = DicomSeg(pictures).read(folder / "highdicom" / "seg_image_ct_binary_fractional.dcm", SCHEMA)
    assert [SCHEMA.names[c] for c in binary.labels.class_id] == ["bone"]
    assert binary.labels == fractional.labels
    for threshold in (0.25, 0.5):
        name = folder / "highdicom" / "seg_image_ct_true_fractional.dcm"
        (back,) = DicomSeg(pictures, threshold=threshold).read(name, SCHEMA)
        raw = dcmread(name)
        share = raw.pixel_array / raw.MaximumFractionalValue
        assert geometry.rle_area(back.labels.shape[0]) == (share >= threshold).sum()
        assert back.size == image.size


@pytest.mark.parametrize("name", ["sparse-labelmap-noppv.dcm", "sparse-labelmap-ppv5.dcm"])
def test_a_label_map_on_some_slices_and_a_part_of_their_area(shared, name):
    path = shared / "data" / "healthcare" / "ct3_seg" / name
    seg = dcmread(path)
    found = places_of(seg)
    (low, steps), gap = min(found, key=lambda p: p[0][2]), 1.25
    down, right = np.linalg.norm(steps[1]), np.linalg.norm(steps[0])
    heads = series(9, (50, 60), (gap, down, right))
    corner = (
        low - 4 * steps[0] - 7 * steps[1] - (0, 0, 3 * gap)
    )  # the segmentation begins 7 rows, 4 columns and 3 slices further in
    apart = sorted({round(float(p[2] - low[2]) / gap) for p, _ in found})
    for z, one in enumerate(heads):
        one.ImagePositionPatient = (corner + np.array([0, 0, z * gap])).tolist()
        one.FrameOfReferenceUID, one.SeriesInstanceUID = (
            seg.FrameOfReferenceUID,
            seg.ReferencedSeriesSequence[0].SeriesInstanceUID,
        )
    pictures = Pictures()
    volume(pictures, heads)
    (back,) = DicomSeg(pictures).read(path, SCHEMA)
    mask = geometry.decode(back.labels.shape[0])
    frames = sorted(zip((p[2] for p, _ in found), seg.pixel_array, strict=True), key=lambda pair: pair[0])
    for offset, (_, values) in zip(apart, frames, strict=True):
        assert (mask[3 + offset, 7 : 7 + seg.Rows, 4 : 4 + seg.Columns] == (values == 1)).all()
    assert mask.sum() == (seg.pixel_array == 1).sum() > 0


def test_a_segmentation_of_another_place_is_refused(made, tmp_path):
    pictures, record = made
    _, file = export(pictures, record, tmp_path, identified=True)

    def reread(**changes):
        other = Pictures()
        volume(other, series(**changes))
        return list(DicomSeg(other).read(file, SCHEMA))

    assert len(reread(depth=8)[0].labels) == 4
    with pytest.raises(FormatError, match="frame of reference"):
        reread(FrameOfReferenceUID="1.2.3.10")
    with pytest.raises(FormatError, match="no slice"):
        reread(spacing=(2.0, 0.75, 0.5))
    with pytest.raises(FormatError, match="no slice"):
        reread(spacing=(2.5, 0.8, 0.5))
    with pytest.raises(FormatError, match="no slice"):
        reread(depth=3)
    with pytest.raises(FormatError, match="beyond"):
        reread(size=(20, 32))
    (unknown,) = reread(SeriesInstanceUID="1.2.3.5")
    assert (len(unknown.labels), unknown.size) == (0, (0, 0))
    assert "1.2.3.4" not in unknown.item.uri


def test_damaged_and_missing_files_are_refused(made, tmp_path):
    pictures, record = made
    _, file = export(pictures, record, tmp_path / "a")
    whole = file.read_bytes()
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(whole[: len(whole) - 500])
    with pytest.raises(FormatError, match="segmentation 1 of 1"):
        list(DicomSeg(pictures).read(cut, SCHEMA))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "note.txt").write_text("no DICOM")
    with pytest.raises(FormatError, match="holds no DICOM segmentation"):
        list(DicomSeg(pictures).read(tmp_path / "b", SCHEMA))


@pytest.mark.parametrize("keyword", ["SegmentationType", "PerFrameFunctionalGroupsSequence", "Rows", "ReferencedSeriesSequence"])
def test_a_segmentation_that_does_not_say_enough_is_refused(made, tmp_path, keyword):
    pictures, record = made
    _, file = export(pictures, record, tmp_path)
    seg = dcmread(file)
    del seg[keyword]
    seg.save_as(file)
    with pytest.raises(FormatError, match="does not say"):
        list(DicomSeg(pictures).read(file, SCHEMA))
