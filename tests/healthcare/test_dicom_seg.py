"""DICOM segmentations: on the right slices of the source, readable by others, and back; real ones of other programs are read."""

from __future__ import annotations

from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from exported_kit import (
    SCHEMA,
    Pictures,
    affine_like,
    boxes,
    dciodvfy,
    export,
    itk,
    masks_of,
    radiograph,
    record_of,
    series,
    volume,
)
from hyla import geometry
from hyla.errors import ConfigError, FormatError
from hyla.frame import Frame, PatientFrame
from hyla.pictures import Pictures as RealPictures
from hyla.types import Item, Kind, Labels, Record
from hyla_healthcare.dicom_seg import DicomSeg
from hyla_healthcare.originals import Grid, places_of

ID = SCHEMA.class_id
OBLIQUE = (0.8, 0.6, 0, 0, 0, -1)  # rows turned by 37 degrees, slices from front to back
ORIENTATIONS = ((1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, -1, 0), (0, 1, 0, 0, 0, -1), OBLIQUE)


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


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**31), st.sampled_from(ORIENTATIONS), st.sampled_from(("binary", "fractional", "labelmap")), st.booleans())
def test_masks_come_back_whatever_the_orientation(tmp_path_factory, seed, orientation, kind, identified):
    rng = np.random.default_rng(seed)
    pictures = Pictures()
    image = volume(pictures, series(depth=int(rng.integers(1, 7)), size=(9, 13), orientation=orientation))
    numbers = rng.integers(0, 4, image.size)
    numbers[rng.integers(0, len(numbers)), 0, :3] = (1, 2, 3)
    masks = [numbers == n for n in (1, 2, 3)]
    if kind != "labelmap":
        masks[0] = masks[0] | masks[1]  # a label map has no room for two labels in one place
    record = record_of(image, ["liver", "lung_left", "lung_nodule"], masks)
    out = tmp_path_factory.mktemp("seg")
    loss, file = export(pictures, record, out, segmentation_type=kind, identified=identified)
    assert not {"mask", "overlap"} & loss.keys()
    assert kind == "labelmap" or not dciodvfy(file)  # the version of 2022 does not know label maps
    (back,) = DicomSeg(pictures).read(out, SCHEMA)
    assert back.item == record.item
    assert back.size == record.size
    assert back.frame == record.frame
    assert back.labels.class_id.tolist() == record.labels.class_id.tolist()
    assert list(back.labels.shape) == list(record.labels.shape)


def test_another_reader_finds_each_mask_at_its_place(made, tmp_path):
    pictures, record = made
    _, file = export(pictures, record, tmp_path)
    read = hd.seg.segread(file)
    found = read.get_volume()
    affine = np.array(record.frame.affine)
    z0 = 1  # the first slice that is not empty
    # highdicom counts slice, row, column
    expected = np.column_stack([affine[:3, 2], affine[:3, 1], affine[:3, 0], affine[:3] @ (0, 0, z0, 1)])
    found = affine_like(found, expected)
    assert np.abs(found.affine[:3] - expected).max() < 0.01
    for n, mask in enumerate(masks_of(record)):
        assert (found.array[..., n] == mask[z0:5]).all()
    seg = dcmread(file)
    frames = itk(file)
    for group, (position, _), frame in zip(seg.PerFrameFunctionalGroupsSequence, places_of(seg), frames, strict=True):
        mask = masks_of(record)[group.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1]
        z = round(float((position[2] - affine[2, 3]) / affine[2, 2]))
        assert ((frame > 0) == mask[z]).all()
    assert len(frames) == sum(m.any(axis=(1, 2)).sum() for m in masks_of(record))


def test_each_frame_names_the_image_it_lies_on(made, tmp_path):
    pictures, record = made
    _, file = export(pictures, record, tmp_path, identified=True)
    seg = dcmread(file)
    images = {one.SOPInstanceUID: one for one in pictures.loader.originals(record.item)}
    assert len(seg.PerFrameFunctionalGroupsSequence) == 4 + 1 + 2 + 2  # without empty frames
    for group, (position, steps) in zip(seg.PerFrameFunctionalGroupsSequence, places_of(seg), strict=True):
        source = images[group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert position == pytest.approx(np.array(source.ImagePositionPatient, float))
        assert steps == pytest.approx(places_of(source)[0][1])
    assert {one.FrameOfReferenceUID for one in images.values()} == {seg.FrameOfReferenceUID}
    assert [one.SeriesInstanceUID for one in seg.ReferencedSeriesSequence] == ["1.2.3.4"]


def test_segments_say_what_they_are(made, tmp_path):
    pictures, record = made
    _, file = export(pictures, record, tmp_path)
    body, nodule, kidney, region = dcmread(file).SegmentSequence
    assert [one.SegmentLabel for one in (body, nodule, kidney, region)] == ["body", "lung_nodule", "kidney_left", "ignore"]
    assert (nodule.SegmentedPropertyTypeCodeSequence[0].CodeValue, nodule.AnatomicRegionSequence[0].CodeValue) == (
        "27925004",
        "39607008",
    )
    assert nodule.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeValue == "7771000"
    what = kidney.SegmentedPropertyTypeCodeSequence[0]
    assert (what.CodeValue, what.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning) == ("64033007", "Left")
    assert region.SegmentedPropertyTypeCodeSequence[0].CodingSchemeDesignator == "99HYLA"
    assert {one.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning for one in (body, kidney)} == {"Anatomical Structure"}
    made_by = body.SegmentationAlgorithmIdentificationSequence[0]
    assert (body.SegmentAlgorithmType, made_by.AlgorithmName, made_by.AlgorithmVersion) == ("AUTOMATIC", "net", "0123456789ab")
    (back,) = DicomSeg(pictures).read(file, SCHEMA)
    assert back.labels.attributes["side"].tolist() == [None, "left", "left", None]


def test_the_same_labels_give_the_same_file_and_others_do_not(made, tmp_path):
    pictures, record = made
    one, other = (export(pictures, record, tmp_path / name)[1] for name in "ab")
    assert one.read_bytes() == other.read_bytes()
    edited = replace(record, labels=record.labels[:3])
    before, after = dcmread(one), dcmread(export(pictures, edited, tmp_path / "c")[1])
    assert before.SOPInstanceUID != after.SOPInstanceUID
    kept = [s.TrackingUID for s in before.SegmentSequence][:3]
    assert [s.TrackingUID for s in after.SegmentSequence] == kept  # the same findings


def test_nothing_of_the_patient_is_written_unless_it_is_asked_for(made, tmp_path):
    pictures, record = made
    record = replace(record, source="human:ann")
    secret = dcmread(export(pictures, record, tmp_path / "a")[1])
    raw = (tmp_path / "a" / f"{record.item.id}.seg.dcm").read_bytes()
    for word in (b"MRN-4711", b"Roe", b"19600102", b"ACC-99", b"20200304", b"Doe", b"ann\0", b"1.2.3.4\0"):
        assert word not in raw, word
    assert secret.PatientIdentityRemoved == "YES"
    assert secret.ContentDate == secret.StudyDate != "20200304"
    assert secret.ReferencedSeriesSequence[0].SeriesInstanceUID == record.item.meta["series"]
    known = dcmread(export(pictures, record, tmp_path / "b", identified=True)[1])
    assert (known.PatientID, known.StudyInstanceUID, known.ContentCreatorName) == ("MRN-4711", "1.2.3.1", "ann")
    assert known.ContentDate > "20200304"
    assert "PatientIdentityRemoved" not in known


def test_nothing_links_identified_files_to_the_others(made, tmp_path):
    pictures, record = made
    found = [export(pictures, record, tmp_path / str(word), identified=word)[1] for word in (True, False)]
    uids = [{e.value for e in dcmread(file).iterall() if e.VR == "UI" and isinstance(e.value, str)} for file in found]
    assert not [uid for uid in uids[0] & uids[1] if uid.startswith("2.25.")]
    assert len({file.name for file in found}) == 2
    assert record.item.id not in found[0].name


def test_who_drew_is_told_apart(made, tmp_path):
    pictures, record = made
    pictures.said[record.item.id] = record
    body, nodule, kidney, _ = masks_of(record)
    drawn = boxes(body.shape, ((0, 0, 28), (1, 3, 31)))[0]
    masks = [body, np.roll(nodule, 1, axis=2), np.roll(kidney, 1, axis=1), drawn]
    person = record_of(pictures.load(record.item), ["body", "lung_nodule", "device", "liver_lesion"], masks, source="human:ann")
    _, file = export(pictures, person, tmp_path)
    assert [one.SegmentAlgorithmType for one in dcmread(file).SegmentSequence] == [
        "AUTOMATIC",
        "SEMIAUTOMATIC",
        "SEMIAUTOMATIC",
        "MANUAL",
    ]
    assert dciodvfy(file) == []
    pictures.said.clear()
    _, file = export(pictures, replace(person, source="truth:survey"), tmp_path)
    assert {one.SegmentAlgorithmType for one in dcmread(file).SegmentSequence} == {"MANUAL"}
    assert dciodvfy(file) == []


def test_one_segment_per_class(made, tmp_path):
    pictures, record = made
    record = replace(record, labels=Labels.concat([record.labels, record.labels[[1]]]))
    record.labels.shape[4] = geometry.encode(boxes((6, 40, 32), ((0, 0, 0), (1, 2, 2)))[0])
    loss, file = export(pictures, record, tmp_path, segments="class")
    assert loss["mask as joined mask"] == 1
    assert loss["attribute"] == 3  # sides
    assert [one.SegmentLabel for one in dcmread(file).SegmentSequence] == ["body", "lung_nodule", "kidney_left", "ignore"]
    (back,) = DicomSeg(pictures).read(file, SCHEMA)
    assert geometry.rle_area(back.labels.shape[1]) == 4 + 40
    loss, file = export(pictures, record, tmp_path)
    assert [one.SegmentLabel for one in dcmread(file).SegmentSequence][1::3] == ["lung_nodule 1", "lung_nodule 2"]


def test_what_is_lost_is_counted(made, tmp_path):
    pictures, record = made
    size = (6, 40, 32)
    labels = Labels.of(
        [ID(c) for c in ("liver", "lung_nodule", "opacity", "liver", "spleen")],
        [[0, 0, 1, 1]] * 5,
        score=[0.5, 0.5, 1, 1, 1],
        kind=[Kind.MASK, Kind.MASK, Kind.BOX, Kind.POLYLINE, Kind.MASK],
        shape=[
            *map(geometry.encode, boxes(size, ((0, 0, 0), (2, 8, 8)), ((0, 0, 0), (2, 2, 2)))),
            None,
            np.zeros((2, 2)),
            geometry.encode(np.zeros(size)),
        ],
        attributes={"volume_ml": [1.0, None, None, None, None], "side": [None, "right", None, None, None]},
        context={"modality": "CT"},
    )
    loss, _ = export(pictures, replace(record, labels=labels), tmp_path / "a")
    assert loss == {"box": 1, "polyline": 1, "mask": 1, "score": 2, "attribute": 1, "context": 1, "meta": 1}
    loss, file = export(pictures, replace(record, labels=labels[:2]), tmp_path / "b", segmentation_type="labelmap")
    assert loss["overlap"] == 1
    (back,) = DicomSeg(pictures).read(file, SCHEMA)
    assert [geometry.rle_area(m) for m in back.labels.shape] == [2 * 64 - 8, 8]  # the small one lies on top
    loss, file = export(pictures, replace(record, labels=labels[2:]), tmp_path / "c")
    assert file is None


def test_what_is_no_dicom_is_counted_and_another_loader_refused(made, tmp_path):
    pictures, record = made
    loss, file = export(pictures, replace(record, item=Item("n", "scan.nii.gz")), tmp_path)
    assert (loss["mask"], file) == (4, None)
    with pytest.raises(ConfigError, match="source of the project"):
        DicomSeg().export([record], SCHEMA, tmp_path)
    pictures.loader = object()
    with pytest.raises(ConfigError, match="DICOM"):
        DicomSeg(pictures).export([record], SCHEMA, tmp_path)
    with pytest.raises(ConfigError, match="segmentation_type"):
        DicomSeg(segmentation_type="bits")


def test_frames_of_a_multiframe_source_keep_their_order(shared, tmp_path):
    header = dcmread(shared / "data" / "healthcare" / "pydicom_data" / "eCT_Supplemental.dcm", stop_before_pixels=True)
    frames = places_of(header)
    order = np.argsort([-position[2] for position, _ in frames])  # the volume runs the other way
    first, last = (frames[i][0] for i in (order[0], order[-1]))
    affine = np.eye(4)
    affine[:3] = np.column_stack([*frames[0][1], (last - first) / max(1, len(frames) - 1), first])
    depth = len(frames)
    pictures = Pictures()
    pixels = np.zeros((depth, header.Rows, header.Columns), np.int16)
    image = pictures.add([header], pixels, PatientFrame(tuple(map(tuple, affine.tolist())), "x"))
    masks = boxes(image.size, ((0, 3, 3), (1, 9, 9)), ((depth - 1, 0, 0), (depth, 2, 5)))
    record = record_of(image, ["liver", "spleen"], masks)
    _, file = export(pictures, record, tmp_path, identified=True)
    assert dciodvfy(file) == []
    for group, position in zip(dcmread(file).PerFrameFunctionalGroupsSequence, (first, last), strict=True):
        assert group.PlanePositionSequence[0].ImagePositionPatient == pytest.approx(position)
    numbers = [
        g.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
        for g in dcmread(file).PerFrameFunctionalGroupsSequence
    ]
    assert numbers == [order[0] + 1, order[-1] + 1]
    (back,) = DicomSeg(pictures).read(file, SCHEMA)
    assert list(back.labels.shape) == list(record.labels.shape)


def test_a_radiograph(shared, tmp_path):
    header = dcmread(shared / "data" / "healthcare" / "highdicom" / "dx_image.dcm", stop_before_pixels=True)
    size = (header.Rows, header.Columns)
    pictures = Pictures()
    image = radiograph(pictures, header, size)
    ring = np.array([[10.0, 10], [60, 10], [60, 50]])
    mask = boxes((1, *size), ((0, 80, 90), (1, 100, 120)))[0, 0]
    labels = Labels.of(
        [ID(c) for c in ("opacity", "nodule_2d", "effusion")],
        [[90, 80, 120, 100], [10, 10, 60, 50], [0, 0, 20, 20]],
        kind=[Kind.MASK, Kind.POLYGON, Kind.BOX],
        shape=[geometry.encode(mask), (ring,), None],
    )
    loss, file = export(pictures, Record(image.item, labels, source="human:ann", size=size), tmp_path)
    assert loss == {"box": 1, "polygon as mask": 1, "meta": 1}
    assert dciodvfy(file) == []
    (back,) = DicomSeg(pictures).read(file, SCHEMA)
    assert back.labels.class_id.tolist() == [ID("opacity"), ID("nodule_2d")]
    assert (geometry.decode(back.labels.shape[0]) == mask).all()
    assert (geometry.decode(back.labels.shape[1]) == geometry.rasterize((ring,), size)).all()


def test_the_loader_and_this_meet_on_a_real_series(shared, tmp_path):
    """The files of this series are compressed, in no order of names, and lack their UIDs but in the file meta information."""
    source = str(shared / "data" / "healthcare" / "ct_abdomen_dicom")
    pictures = RealPictures(source, {"_target_": "hyla_healthcare.studies.Studies", "ocr": "never"}, SCHEMA)
    item = next(one for one in pictures.items() if "series" in one.meta)
    image = pictures.load(item)
    record = record_of(image, ["bone", "spleen"], [image.pixels > 300, boxes(image.size, ((3, 200, 300), (9, 260, 380)))[0]])
    _, file = export(pictures, record, tmp_path)
    assert dciodvfy(file) == []
    (back,) = DicomSeg(pictures).read(file, SCHEMA)
    assert back.item == item
    assert list(back.labels.shape) == list(record.labels.shape)
    ours = np.array(image.frame.affine)[:3, [2, 1, 0, 3]]  # slice, row, column
    assert np.abs(affine_like(hd.seg.segread(file).get_volume(), ours).affine[:3] - ours).max() < 0.01


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyTime", "10:11:12"),
        ("StudyDate", "2020.03.04"),
        ("PatientSex", "female"),
        ("PatientName", "Roe"),
        ("StudyID", None),
        ("FrameOfReferenceUID", ""),
        ("SliceThickness", None),
        ("SpecificCharacterSet", ""),
    ],
)
def test_headers_that_are_not_as_they_should_be(tmp_path, keyword, value):
    pictures = Pictures()
    headers = series()
    for one in headers:
        setattr(one, keyword, value)
    record = record_of(volume(pictures, headers), ["liver"], boxes((6, 40, 32), ((1, 5, 5), (5, 30, 25))))
    for identified in (True, False):
        _, file = export(pictures, record, tmp_path / str(identified), identified=identified)
        assert dciodvfy(file) == []
        (back,) = DicomSeg(pictures).read(file, SCHEMA)
        assert list(back.labels.shape) == list(record.labels.shape)


def test_what_no_object_can_repeat_is_counted(made, tmp_path):
    pictures, record = made
    for one in pictures.loader.originals(record.item):
        one.SOPInstanceUID = ""
        one.file_meta.MediaStorageSOPInstanceUID = ""
    loss, file = export(pictures, record, tmp_path)
    assert (loss["mask"], file) == (4, None)


def test_a_volume_that_is_not_on_its_images_is_refused(made, tmp_path):
    pictures, record = made
    shifted = np.array(record.frame.affine)
    shifted[2, 3] += 1
    frame = PatientFrame(tuple(map(tuple, shifted.tolist())), record.frame.reference)
    with pytest.raises(FormatError, match="does not lie on"):
        export(pictures, replace(record, frame=frame), tmp_path)
    headers = pictures.loader.originals(record.item)
    with pytest.raises(FormatError, match="no place"):
        Grid.of(headers, record.size, Frame())
    with pytest.raises(FormatError, match="pixels"):
        Grid.of(headers, (6, 41, 32), record.frame)
