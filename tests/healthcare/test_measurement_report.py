"""Measurement reports: the figures are those of the masks, each finding is tied to its segment, and nobody is named unasked."""

from __future__ import annotations

from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from exported_kit import SCHEMA, Pictures, dciodvfy, radiograph, series, volume
from hyla import geometry
from hyla.types import Kind, Labels, Record
from hyla_healthcare.measurement_report import MeasurementReport

SPACING = (2.5, 0.75, 0.5)  # mm between slices, lines and columns


def masks(*corners):
    out = np.zeros((len(corners), 6, 40, 32), bool)
    for mask, (low, high) in zip(out, corners, strict=True):
        mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return out


@pytest.fixture
def made():
    """Return pictures with one series, and a record: a liver, a lesion in it, and a left kidney."""
    pictures = Pictures()
    image = volume(pictures, series(spacing=SPACING))
    shapes = masks(((0, 5, 5), (5, 25, 25)), ((2, 10, 10), (4, 14, 20)), ((2, 30, 2), (4, 35, 6)))
    labels = Labels.of(
        [SCHEMA.class_id(c) for c in ("liver", "liver_lesion", "kidney_left")],
        kind=Kind.MASK,
        shape=[geometry.encode(m) for m in shapes],
        attributes={"volume_ml": [999.0, 999, 999], "long_axis_mm": [None, 999, None], "side": [None, "right", "left"]},
    )
    return pictures, Record(image.item, labels, source="model:net@0123456789ab", size=image.size, frame=image.frame)


def export(pictures, record, out, **given):
    """Return what was lost, the report and the segmentation; prove both by dciodvfy."""
    out.mkdir(exist_ok=True)
    loss = MeasurementReport(pictures, **given).export([record], SCHEMA, out)
    found = [next(iter(out.glob(f"*.{part}.dcm"))) for part in ("sr", "seg")]
    for path in found:
        assert dciodvfy(path) == []
    return loss, hd.sr.srread(found[0]), dcmread(found[1])


def values(group):
    return {one.name.meaning: (float(one.value), one.unit.value) for one in group.get_measurements()}


def words(item):
    """Return all text, codes and numbers of an SR, depth first."""
    for one in item.get("ContentSequence") or []:
        yield str(one.get("TextValue") or one.get("PersonName") or one.get("UID") or "")
        yield from words(one)


def test_figures_are_measured_anew_and_tied_to_their_segments(made, tmp_path):
    pictures, record = made
    loss, report, seg = export(pictures, record, tmp_path)
    assert loss == {"meta": 1}
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == 3
    ml = np.prod(SPACING) / 1000
    liver, lesion, kidney = groups
    assert values(liver) == {"Volume": (pytest.approx(5 * 20 * 20 * ml, abs=1e-3), "mL")}
    assert values(kidney) == {"Volume": (pytest.approx(2 * 5 * 4 * ml, abs=1e-3), "mL")}
    axes = values(lesion)
    assert axes["Volume"][0] == pytest.approx(2 * 4 * 10 * ml, abs=1e-3)
    # 10 columns of 0.5 mm by 4 lines of 0.75 mm: the diagonal between the middles of the outer edges, and across it
    assert 5.0 <= axes["Long axis"][0] <= np.hypot(5, 3)
    assert 2.0 <= axes["Short axis"][0] <= axes["Long axis"][0]
    assert axes["Long axis"][1] == "mm"
    assert lesion.finding_type.value == "52988006"
    site = lesion.finding_sites[0]
    assert (site.value.value, site.laterality.meaning) == ("10200004", "Right")
    assert kidney.finding_sites[0].laterality.meaning == "Left"
    for number, (group, segment) in enumerate(zip(groups, seg.SegmentSequence, strict=True), 1):
        assert group.tracking_uid == segment.TrackingUID
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == seg.SOPInstanceUID
        (item,) = [i for i in reference if i.name.meaning == "Referenced Segment"]
        assert item.ReferencedSOPSequence[0].ReferencedSegmentNumber == number
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == ("COMPLETE", "UNVERIFIED", "PRELIMINARY")


def test_an_edited_mask_has_its_own_figures(made, tmp_path):
    pictures, record = made
    edited = replace(record, labels=record.labels[[0]], source="human:ann")
    edited.labels.shape[0] = geometry.encode(masks(((0, 5, 5), (1, 15, 15)))[0])
    pictures.said[record.item.id] = record
    _, report, seg = export(pictures, edited, tmp_path)
    (liver,) = report.content.get_volumetric_roi_measurement_groups()
    assert values(liver)["Volume"][0] == pytest.approx(100 * np.prod(SPACING) / 1000, abs=1e-3)
    assert seg.SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


def test_who_observed(made, tmp_path):
    pictures, record = made
    _, report, _ = export(pictures, record, tmp_path / "model")
    assert "net" in list(words(report))
    assert not any("Reader" in word for word in words(report))
    person = replace(record, source="human:Ann Lee")
    pictures.said[record.item.id] = record
    _, report, _ = export(pictures, person, tmp_path / "person")
    assert any(word.endswith("^Reader") for word in words(report))
    assert "net" in list(words(report))
    raw = (tmp_path / "person" / f"{record.item.id}.sr.dcm").read_bytes()
    for word in (b"Ann", b"MRN-4711", b"Roe", b"19600102", b"ACC-99", b"Doe", b"20200304", b"1.2.3.4\0"):
        assert word not in raw, word
    _, report, _ = export(pictures, person, tmp_path / "known", identified=True)
    assert "Ann Lee" in list(words(report))
    assert (report.PatientID, report.StudyInstanceUID) == ("MRN-4711", "1.2.3.1")


def test_the_same_labels_give_the_same_report(made, tmp_path):
    pictures, record = made
    for name in "ab":
        export(pictures, record, tmp_path / name)
    one, other = ((tmp_path / name / f"{record.item.id}.sr.dcm").read_bytes() for name in "ab")
    assert one == other


def test_a_radiograph_has_findings_without_figures(shared, tmp_path):
    header = dcmread(shared / "data" / "healthcare" / "highdicom" / "dx_image.dcm", stop_before_pixels=True)
    size = (header.Rows, header.Columns)
    pictures = Pictures()
    image = radiograph(pictures, header, size)
    mask = np.zeros(size, bool)
    mask[20:40, 30:60] = True
    labels = Labels.of([SCHEMA.class_id("effusion")], kind=Kind.MASK, shape=[geometry.encode(mask)])
    _, report, seg = export(pictures, Record(image.item, labels, source="human:ann", size=size), tmp_path)
    (group,) = report.content.get_planar_roi_measurement_groups()
    assert group.finding_type.value == "60046008"
    assert group.get_measurements() == []
    assert group.referenced_segmentation_frame.referenced_sop_instance_uid == seg.SOPInstanceUID


def test_an_oblique_series_is_measured_in_the_patient(tmp_path):
    pictures = Pictures()
    image = volume(pictures, series(spacing=SPACING, orientation=(0.8, 0.6, 0, 0, 0, -1)))
    shape = geometry.encode(masks(((1, 5, 5), (3, 15, 25)))[0])
    labels = Labels.of([SCHEMA.class_id("spleen")], kind=Kind.MASK, shape=[shape])
    _, report, _ = export(pictures, Record(image.item, labels, source="truth:x", size=image.size, frame=image.frame), tmp_path)
    (spleen,) = report.content.get_volumetric_roi_measurement_groups()
    assert values(spleen)["Volume"][0] == pytest.approx(2 * 10 * 20 * np.prod(SPACING) / 1000, abs=1e-3)
