"""De-identified copies of the source: DICOM files to give away, one folder per series.

Headers go through the gate. Pixels are decoded and written anew, uncompressed, so that nothing rides along in unused bits (where
old overlays lie), in padding, or in comments of a compressed stream. Text in pictures is blacked out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset, uid

from hyla.errors import BadItem, ConfigError
from hyla.formats import Loss, writing
from hyla.hooks import Format, hookimpl
from hyla.schema import Schema
from hyla.types import Record
from hyla_healthcare import burned_in, originals, radiograph
from hyla_healthcare.deidentify import CLEAN_PIXELS, Gate, add_option
from hyla_healthcare.instance import Instance, Source, header_of
from hyla_healthcare.pixel_data import frame

if TYPE_CHECKING:
    from hyla.pictures import Pictures

OFFSETS = ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")  # of compressed frames
CLASSES = {"CT": uid.CTImageStorage, "MR": uid.MRImageStorage, "PT": uid.PositronEmissionTomographyImageStorage}


class Deidentified(Format):
    """Write the DICOM objects that the items were made of, without identity. Labels are not written: see dicom_seg for those.

    An object is left out, and counted, if its pixels can't be decoded, or if its header says that identity is burned into the
    pixels and no text was found to black out.

    Args:
        pictures: the source of the project.
        text: `always` looks for text in every picture that is no slice of a volume, which needs rapidocr; `never` looks nowhere.
        black_out: classes whose labels are blacked out as well, for text that a person marked in the review.

    Raises:
        ConfigError: for a word that is no choice, and where rapidocr is needed and absent.
    """

    name = "dicom"

    def __init__(self, pictures: Pictures | None = None, text: str = "always", black_out: Sequence[str] = ("ignore",)) -> None:
        if text not in ("always", "never"):
            raise ConfigError(f"text={text} is not a choice", choices=("always", "never"))
        if text == "always" and not burned_in.available():
            raise ConfigError("finding text in pictures needs rapidocr", "pip install 'hyla-healthcare[ocr]', or give text=never")
        self._pictures, self._look, self._black_out = pictures, text == "always", tuple(black_out)

    @hookimpl
    def export(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, int]:
        """Write `<series>/<object>.dcm` under `out`, both named by their new UIDs. Return what is lost."""
        loader: Any = originals.needed(self._pictures).loader
        hidden = [schema.class_id(name) for name in self._black_out if name in schema.ids]
        loss = Loss()
        for _, together in groupby(records, key=lambda record: record.item.group or record.item.id):
            boxes: list[Sequence[float]] = []
            for record in (group := list(together)):
                loss.take(record, ())
                boxes += record.labels.box[np.isin(record.labels.class_id, hidden)].tolist()
            if "sop_class" not in group[0].item.meta:
                loss.count("picture that is no DICOM")
                continue
            for instance, source in loader.objects(group[0].item):
                try:
                    copy = self._copy(loader.gate, instance, source, boxes, group[0].item.kind != "series")
                except BadItem:
                    copy = None
                if copy is None:
                    loss.count("object whose pixels can't be cleaned")
                else:
                    _name(copy, loader.gate, str(group[0].item.meta.get("series") or group[0].item.id), instance.number)
                    save(copy, out / str(copy.SeriesInstanceUID) / f"{copy.SOPInstanceUID}.dcm")
        return dict(loss)

    def _copy(
        self, gate: Gate, instance: Instance, source: Source, boxes: Sequence[Sequence[float]], flat: bool
    ) -> Dataset | None:
        header = header_of(source)
        copy = gate.clean(header)
        frames = [frame(instance, index, source) for index in range(instance.frames)]
        if flat and self._look:
            shown = (radiograph.picture(instance, header, index, source) for index in range(instance.frames))
            boxes = [*boxes, *{box for one in shown for box in burned_in.regions(one)}]
        if flat and boxes:
            frames = [burned_in.redact(one, boxes) for one in frames]
        burned = str(copy.get("BurnedInAnnotation", "")).upper() == "YES"
        if burned and not (flat and boxes):
            return None
        if flat and (self._look or boxes):
            copy.BurnedInAnnotation, copy.PatientIdentityRemoved = "NO", "YES"
            add_option(copy, CLEAN_PIXELS)
        _fill(copy, instance, frames)
        return copy


def save(dataset: Dataset, path: Path) -> None:
    """Write a DICOM file that takes its name only when all of it is there; raise FormatError if it can't be written."""
    with writing(path) as file:
        dataset.save_as(file, enforce_file_format=True)


def _name(copy: Dataset, gate: Gate, series: str, number: int) -> None:
    """Give a copy the UIDs that its source lacks: the same ones every time."""
    stands_in = {
        "SOPInstanceUID": gate.uid(f"object {number} of {series}"),
        "SeriesInstanceUID": series if series.startswith("2.25.") else gate.uid(f"series {series}"),
        "StudyInstanceUID": gate.uid(f"study of {series}"),
        "SOPClassUID": CLASSES.get(str(copy.get("Modality", "")), uid.SecondaryCaptureImageStorage),
    }
    for keyword, value in stands_in.items():
        if not copy.get(keyword):
            setattr(copy, keyword, value)
    copy.file_meta.MediaStorageSOPInstanceUID, copy.file_meta.MediaStorageSOPClassUID = copy.SOPInstanceUID, copy.SOPClassUID


def _fill(copy: Dataset, instance: Instance, frames: Sequence[Any]) -> None:
    """Put decoded frames into a header as uncompressed pixels, and make the header say so."""
    from pydicom.pixels.processing import convert_color_space

    kind = instance.photometric
    if kind in ("YBR_FULL", "YBR_FULL_422") and frames[0].dtype == np.uint8:
        frames, kind = [convert_color_space(one, "YBR_FULL", "RGB") for one in frames], "RGB"
    elif kind in ("YBR_RCT", "YBR_ICT"):  # the decoder of JPEG 2000 gave RGB
        kind = "RGB"
    if copy.file_meta.TransferSyntaxUID == uid.ExplicitVRBigEndian:
        for element in copy.iterall():
            if element.VR == "OW" and isinstance(element.value, bytes):
                element.value = np.frombuffer(element.value, ">u2").astype("<u2").tobytes()
    for keyword in (*OFFSETS, "PixelData"):
        if keyword in copy:
            del copy[keyword]
    data = b"".join(one.astype(one.dtype.newbyteorder("<"), copy=False).tobytes() for one in frames)
    depth = frames[0].dtype.itemsize * 8
    copy.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    copy.PhotometricInterpretation = kind
    copy.BitsAllocated, copy.BitsStored = depth, min(instance.stored or depth, depth)
    copy.HighBit, copy.PixelRepresentation = copy.BitsStored - 1, int(instance.signed)
    copy.Rows, copy.Columns, copy.SamplesPerPixel = instance.rows, instance.columns, instance.samples
    if instance.samples > 1:
        copy.PlanarConfiguration = 0
    copy.add_new("PixelData", "OW" if depth > 8 else "OB", data + b"\0" * (len(data) % 2))
