"""DICOM SR measurement reports, TID 1500 (PS3.16): what the masks measure, each finding tied to its segment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.formats import Loss
from hyla.frame import PatientFrame
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_healthcare import dicom_seg, measure, originals
from hyla_healthcare.dicom_seg import UTF8, DicomSeg, Made
from hyla_healthcare.originals import uid_of
from hyla_healthcare.segment_frames import segment_of
from hyla_healthcare.segments import Segment

if TYPE_CHECKING:
    from pydicom import Dataset

    from hyla.pictures import Pictures

MEASURED = (
    "attribute.volume_ml",
    "attribute.long_axis_mm",
    "attribute.short_axis_mm",
)  # measured anew


class MeasurementReport(Format):
    """Write measurement reports, each beside the DICOM segmentation that it refers to.

    Volumes, and the axes of lesions (RECIST 1.1), are measured anew from the masks, so that an edited mask has the right figures.
    A report is complete but never verified or final: that is for the hospital's own system to say.

    Args:
        pictures: the source of the project.
        identified: with the patient's identity and the name of the person who decided; see `DicomSeg`.
    """

    name = "sr"

    def __init__(self, pictures: Pictures | None = None, identified: bool = False) -> None:
        self._segmentations = DicomSeg(pictures, identified=identified)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `<name>.sr.dcm` and `<name>.seg.dcm` under `out` for each record that has masks. Return what is lost.

        The name is that of `dicom_seg.Made`.

        Raises:
            FormatError: if the volume of a record does not lie on the images that it was made of.
        """
        loss = Loss()
        for record in records:
            carries = MEASURED if len(record.size) == 3 else ()
            if made := self._segmentations.make(record, schema, loss, carries):
                with originals.names_as_they_are():
                    report = self._report(record, schema, made)
                dicom_seg.date(report, made.headers[0], self._segmentations.identified)
                dicom_seg.save(made.dataset, out / f"{made.name}.seg.dcm")
                dicom_seg.save(report, out / f"{made.name}.sr.dcm")
        return dict(loss)

    def _report(self, record: Record, schema: Schema, made: Made) -> Dataset:
        import highdicom as hd
        from pydicom.sr.codedict import codes
        from pydicom.uid import ExplicitVRLittleEndian

        lesions = set(schema.under("lesion").tolist())
        groups = [_group(one, record, made, one.class_id in lesions) for one in made.segments]
        report = hd.sr.MeasurementReport(
            observation_context=self._context(record),
            procedure_reported=_procedure(made.headers[0]),
            imaging_measurements=groups,
            title=codes.DCM.ImagingMeasurementReport,
        )
        out = hd.sr.ComprehensiveSR(
            evidence=[*made.headers, made.dataset],
            content=report,
            series_instance_uid=uid_of("sr series", made.dataset.SOPInstanceUID),
            series_number=dicom_seg.number_of(made.headers[0], 2),
            sop_instance_uid=uid_of("sr", made.dataset.SOPInstanceUID),
            instance_number=1,
            manufacturer="Hyla",
            manufacturer_model_name="hyla-healthcare",
            software_versions=version("hyla-healthcare"),
            series_description="Hyla measurements",
            is_complete=True,
            is_final=False,
            is_verified=False,
            specific_character_set=UTF8,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
        return out

    def _context(self, record: Record) -> Any:
        """Return who observed: the program with its model, and the person who decided."""
        import highdicom as hd
        from pydicom.sr.codedict import codes

        device = hd.sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=uid_of("device", "hyla", version("hyla-healthcare")),
                name="Hyla",
                manufacturer_name="Hyla",
                model_name=self._segmentations.algorithm(record).name,
            ),
        )
        if not record.source.startswith("human:"):
            return hd.sr.ObservationContext(observer_device_context=device)
        name = self._segmentations.person(record.source)
        person = hd.sr.ObserverContext(
            observer_type=codes.DCM.Person,
            observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(name=name),
        )
        return hd.sr.ObservationContext(observer_person_context=person, observer_device_context=device)


def _group(one: Segment, record: Record, made: Made, lesion: bool) -> Any:
    """Return what is said of one segment: TID 1411 for a volume, TID 1410 for a radiograph."""
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    meaning = one.meaning
    site = meaning.region or (None if meaning.side is None else meaning.what)
    common: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=one.tracking[1], identifier=one.tracking[0]),
        "finding_type": meaning.what,
        "finding_category": meaning.category,
        "finding_sites": None if site is None else [hd.sr.FindingSite(site, laterality=meaning.side)],
    }
    segmentation = made.dataset
    if len(record.size) == 2:
        image = made.headers[0]
        segment = hd.sr.ReferencedSegmentationFrame(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            frame_number=_frames_of(segmentation, one.number),
            segment_number=one.number,
            source_image=hd.sr.SourceImageForSegmentation(image.SOPClassUID, image.SOPInstanceUID),
        )
        del segment[0].ReferencedSOPSequence[0].ReferencedSegmentNumber  # either this or the frame (PS3.3 Table 10-3)
        return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **common)
    assert isinstance(record.frame, PatientFrame)  # Grid.of saw to it
    mask, affine = one.mask(), np.array(record.frame.affine)
    found = [(codes.SCT.Volume, measure.volume_ml(mask, affine), Code("mL", "UCUM", "mL"))]
    if lesion and (axes := measure.diameters_mm(mask, affine)):
        found += [
            (codes.SCT.LongAxis, axes.long, codes.UCUM.Millimeter),
            (codes.SCT.ShortAxis, axes.short, codes.UCUM.Millimeter),
        ]
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=hd.sr.ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            one.number,
            source_series=hd.sr.SourceSeriesForSegmentation(made.headers[0].SeriesInstanceUID),
        ),
        measurements=[hd.sr.Measurement(name=name, value=round(value, 3), unit=unit) for name, value, unit in found],
        **common,
    )


def _frames_of(segmentation: Dataset, number: int) -> Sequence[int]:
    """Return the numbers, from 1, of the frames of a segment."""
    return [i + 1 for i in range(int(segmentation.NumberOfFrames)) if segment_of(segmentation, i) == number]


def _procedure(header: Dataset) -> Any:
    """Return what was done, in codes (CID 100)."""
    from pydicom.sr.codedict import codes

    known = {
        "CT": codes.cid100.CTUnspecifiedBodyRegion,
        "MR": codes.cid100.MRIUnspecifiedBodyRegion,
        "PT": codes.cid100.PETUnspecifiedBodyRegion,
        **dict.fromkeys(("CR", "DX", "MG"), codes.cid100.XRUnspecifiedBodyRegion),
    }
    return known.get(str(header.get("Modality", "")), codes.cid100.ImagingProcedure)
