"""DICOM Segmentation objects, out and in: one per series, on the very slices of the source (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyla.codec import pack
from hyla.errors import ConfigError
from hyla.formats import Loss, proved, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_healthcare import coding, originals, segments
from hyla_healthcare.originals import Grid, uid_of
from hyla_healthcare.segments import Algorithm, Segment

if TYPE_CHECKING:
    from pydicom import Dataset

    from hyla.pictures import Pictures

TYPES = ("binary", "fractional", "labelmap")
UTF8 = "ISO_IR 192"


@dataclass(frozen=True)
class Made:
    """Hold a segmentation and what it was made of.

    Args:
        dataset: the DICOM object.
        segments: what its segments are.
        headers: of the source, as they are written.
        grid: of the source.
        name: for files: the item's id, or for an identified object, which must not name its pseudonym, its UID.
    """

    dataset: Dataset
    segments: list[Segment]
    headers: list[Dataset]
    grid: Grid
    name: str


class DicomSeg(Format):
    """Read and write DICOM segmentations.

    Written are masks; of a radiograph also polygons, as masks. All else is counted as lost. The same labels give the same UIDs.

    Args:
        pictures: the source of the project: its headers say where the slices lie.
        segmentation_type: `binary`; `fractional`, which says the same in 8 bits; or `labelmap`, which is small, but where labels
            overlap only the smallest is kept, and few programs read it yet.
        segments: `label` for a segment per label, `class` for one of all labels of a class.
        identified: write for the archive of the hospital, with the patient's identity, the UIDs of the source and today's date.
            Otherwise everything went through the loader's gate, and dates are those of the source.
        unknown: `error` to refuse segments that the schema has no class for, `skip` to leave them out.
        threshold: share from which a voxel of a fractional segmentation that is read belongs to the segment.

    Raises:
        ConfigError: for a word that is no choice.
    """

    name = "dicom_seg"

    def __init__(
        self,
        pictures: Pictures | None = None,
        segmentation_type: str = "binary",
        segments: str = "label",
        identified: bool = False,
        unknown: str = "error",
        threshold: float = 0.5,
    ) -> None:
        for word, value, choices in (("segmentation_type", segmentation_type, TYPES), ("segments", segments, ("label", "class"))):
            if value not in choices:
                raise ConfigError(f"{word}={value} is not a choice", choices=choices)
        if not 0 < threshold <= 1:
            raise ConfigError(f"threshold={threshold} must lie above 0 and up to 1")
        self._pictures, self._type, self._identified = pictures, segmentation_type, identified
        self._together, self._skip, self._threshold = segments == "class", proved(unknown), threshold

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `<name>.seg.dcm`, see `Made`, under `out` for each record that has masks. Return what is lost.

        Raises:
            FormatError: if the volume of a record does not lie on the images that it was made of.
        """
        loss = Loss()
        for record in records:
            if made := self.make(record, schema, loss):
                save(made.dataset, out / f"{made.name}.seg.dcm")
        return dict(loss)

    @hookimpl
    def read(self, path: Path, schema: Schema) -> Iterator[Record]:
        """Yield a record per series of the project that has segmentations in a file or below a folder.

        A segmentation is put where its positions say, be it on some of the slices only, or on a part of their area.

        Raises:
            FormatError: for one on another frame of reference or another grid than the series it names, and for a segment that
                the schema has no class for.
        """
        from hyla_healthcare.segment_reading import Reader

        yield from Reader(originals.needed(self._pictures), schema, self._skip, self._threshold).records(path)

    def make(self, record: Record, schema: Schema, loss: Loss, carries: Collection[str] = ()) -> Made | None:
        """Return the segmentation of a record, or None if there is none; add to `loss` what neither it nor `carries` holds."""
        pictures = originals.needed(self._pictures)
        headers = originals.headers(pictures, record.item, self._identified)
        moving = len(record.size) == 2 and int(headers[0].get("NumberOfFrames") or 1) > 1 if headers else False
        if not headers or moving:  # no DICOM, or a frame of a cine loop, which has no place of its own
            loss.take(record, ())
            return None
        # UIDs come from those of the source as they are written. Had identified and de-identified objects UIDs in common, anyone
        # could link the two without the gate's key.
        origin = (headers[0].SeriesInstanceUID, headers[0].SOPInstanceUID, *record.item.uri.split("/")[2:])
        proposed, lost = self._proposed(record), Loss()
        found = segments.of(record, schema, self._together, proposed, lost, carries, origin)
        if not found:
            loss.update(lost)
            return None
        grid = Grid.of(headers, record.size, record.frame)
        array = segments.stacked(found, grid.size, self._type, lost)
        model = segments.algorithm_of(record, proposed)
        digest = sha256(pack(record.labels)).hexdigest()
        who = self.person(record.source) if record.source.startswith("human:") else record.source
        seed = (origin, who, digest, self._type, self._together)
        try:
            with originals.names_as_they_are():
                dataset = _dataset(found, grid, headers, array, self._type, (schema, model, seed))
        except (AttributeError, KeyError, TypeError, ValueError):  # how highdicom refuses headers that no object can repeat
            loss.take(record, ())
            return None
        loss.update(lost)
        if record.source.startswith("human:"):
            dataset.ContentCreatorName = who
        date(dataset, headers[0], self._identified)
        name = str(dataset.SOPInstanceUID) if self._identified else record.item.id
        return Made(dataset, found, headers, grid, name)

    def person(self, source: str) -> str:
        """Return the name of the person in `human:who`, or a pseudonym for it: the name of a reader is personal too."""
        if self._identified:
            return source.removeprefix("human:")
        loader: Any = originals.needed(self._pictures).loader
        return f"{loader.gate.patient(source)}^Reader"

    def algorithm(self, record: Record) -> Algorithm:
        """Return the model behind a record."""
        return segments.algorithm_of(record, self._proposed(record))

    def _proposed(self, record: Record) -> Record | None:
        human = record.source.startswith("human:")
        return originals.needed(self._pictures).proposed(record.item) if human else None

    @property
    def identified(self) -> bool:
        """Tell whether what is written carries the patient's identity."""
        return self._identified


def save(dataset: Dataset, path: Path) -> None:
    """Write a DICOM file whole or not at all; raise FormatError if it can't be written."""
    with writing(path) as file:
        dataset.save_as(file, enforce_file_format=True)


def date(dataset: Dataset, source: Dataset, identified: bool) -> None:
    """Date an object: today for the archive of the hospital, else as its source, whose dates the gate moved.

    Today's date on a de-identified object would tell, beside a moved one, by how much it was moved. What was done to the source
    is said of the object as well.
    """
    now = datetime.now()
    day = now.strftime("%Y%m%d") if identified else source.StudyDate or "19000101"
    time = now.strftime("%H%M%S") if identified else source.StudyTime or "000000"
    for part in ("InstanceCreation", "Content", "Series"):
        if part != "Series" or "SeriesDate" in dataset:
            setattr(dataset, f"{part}Date", day)
            setattr(dataset, f"{part}Time", time)
    for equipment in dataset.get("ContributingEquipmentSequence") or []:
        equipment.pop("ContributionDateTime", None)  # of highdicom, to the microsecond
    for keyword in originals.DEIDENTIFIED:
        if keyword in source:
            dataset[keyword] = source[keyword]


def _dataset(
    found: Sequence[Segment],
    grid: Grid,
    headers: list[Dataset],
    planes: npt.NDArray[Any],
    kind: str,
    about: tuple[Schema, Algorithm, Sequence[object]],
) -> Dataset:
    """Return the DICOM object of planes in the order of the volume; `about`: schema, model's name and version, seed of UIDs."""
    import highdicom as hd
    from pydicom.pixels.utils import compress
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    schema, model, seed = about
    if grid.positions is not None:  # the slabs that masks fill, where the source does not say how thick its slices are
        gap = float(np.linalg.norm(grid.positions[1] - grid.positions[0])) if len(grid.positions) > 1 else 1.0
        for header in headers:
            if not header.get("SliceThickness") and "NumberOfFrames" not in header:
                header.SliceThickness = f"{gap:.6g}"
    if "NumberOfFrames" in headers[0]:  # a multi-frame source has an order of its own
        whole = np.zeros((int(headers[0].NumberOfFrames), *planes.shape[1:]), planes.dtype)
        whole[grid.frames] = planes
        planes = whole
    out = hd.seg.Segmentation(
        source_images=headers,
        pixel_array=planes,
        segmentation_type=kind.upper(),
        segment_descriptions=[_description(one, schema, model) for one in found],
        series_instance_uid=uid_of("seg series", *seed),
        series_number=number_of(headers[0], 1),
        sop_instance_uid=uid_of("seg", *seed),
        instance_number=1,
        manufacturer="Hyla",
        manufacturer_model_name="hyla-healthcare",
        software_versions=version("hyla-healthcare"),
        device_serial_number="0",
        fractional_type="OCCUPANCY",
        content_label="SEGMENTATION",
        content_description=f"{len(found)} structures, {model.name}"[:64],
        series_description="Hyla segmentation",
        specific_character_set=UTF8,
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    if grid.positions is None:  # a radiograph says how it is turned
        out.PatientOrientation = headers[0].get("PatientOrientation") or ""
    dimensions = uid_of("dimensions", *seed)  # highdicom takes one at random
    for sequence in (out.DimensionOrganizationSequence, out.DimensionIndexSequence):
        for item in sequence:
            item.DimensionOrganizationUID = dimensions
    if kind != "binary":  # bits can't be compressed; highdicom would leave bytes to GDCM, whose encoder aborts on some sizes
        compress(out, RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    return out


def number_of(header: Dataset, step: int) -> int:
    """Return a series number near that of the source, for objects derived from it."""
    return 1000 + 10 * min(max(int(header.get("SeriesNumber") or 0), 0), 10**6) + step


def _description(one: Segment, schema: Schema, model: Algorithm) -> Any:
    import highdicom as hd
    from highdicom.sr import CodedConcept
    from pydicom.sr.coding import Code

    family = Code("123110", "DCM", "Artificial Intelligence") if model.learned else Code("RULES", coding.OWN, "Nothing learned")
    made = hd.AlgorithmIdentificationSequence(name=model.name[:64], family=family, version=model.version[:64])
    meaning = one.meaning
    out = hd.seg.SegmentDescription(
        segment_number=one.number,
        segment_label=one.label,
        segmented_property_category=meaning.category,
        segmented_property_type=meaning.what,
        algorithm_type=one.algorithm,
        algorithm_identification=None if one.algorithm == "MANUAL" else made,
        tracking_id=one.tracking[0],
        tracking_uid=one.tracking[1],
        anatomic_regions=[meaning.region] if meaning.region else None,
        display_color=hd.color.CIELabColor.from_string(color) if (color := schema.classes[one.class_id].color) else None,
    )
    if meaning.side is not None and meaning.region is not None:
        out.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [CodedConcept.from_code(meaning.side)]
    elif meaning.side is not None:
        what = out.SegmentedPropertyTypeCodeSequence[0]
        what.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(meaning.side)]
    return out
