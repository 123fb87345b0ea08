"""What is kept of one DICOM object after a scan: enough to group, order and decode it, about 2 kB whatever its header weighs."""

from __future__ import annotations

import logging
import math
import os
import re
import struct
import sys
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pydicom
from pydicom import Dataset, dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from hyla.errors import BadItem

Source = Path | Dataset
T = TypeVar("T")
Numbers = tuple[float, ...]

# Beside what identifies, places and describes the pixels: what tells apart the volumes that share a series.
IDENTITY = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "FrameOfReferenceUID",
    "Modality",
)
PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "ImageType", "ConcatenationUID")
PIXELS = (
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"),
)
SIEMENS_B, GE_B = (0x0019, 0x100C), (0x0043, 0x1039)  # b-values of scanners older than the standard's own tag
PHASES = (
    *("TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime", "InversionTime", "DiffusionGradientOrientation"),
    *("FlipAngle", "AcquisitionTime"),
)
TAGS = [*IDENTITY, *PLACE, *PIXELS, "EchoNumbers", "EchoTime", "DiffusionBValue", *PHASES, 0x00190010, 0x0019100C, 0x00431039]

NO_PIXELS = -1
UNDEFINED = 0xFFFFFFFF  # length of what is kept in fragments
SILENT = ("ignore", None, Warning, re.compile("pydicom"), 0)  # as `warnings` keeps a filter
DEFLATED = DeflatedExplicitVRLittleEndian.encode()
HEADER_LIMIT = 64 << 20  # bytes of a deflated file that are inflated to read its header


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """Hold one DICOM object.

    Args:
        source: its file, or a dataset in memory (with or without pixels).
        number: its place among the files of the source, from 1, by which messages name it; no name of a file is ever told.
        sop_class, sop, series, study, patient, reference: the ORIGINAL identifiers, empty where the header has none.
        place: of a series without UID: which folder.
        image_type: of the header, in capitals.
        frames, rows, columns, samples, allocated, stored, high_bit, signed, photometric, planar: the pixels.
        position: (3,) mm LPS of the centre of the first pixel; None if missing or malformed, as the next two.
        orientation: (6,) direction of rows, then of columns.
        spacing: (2,) mm between rows, between columns.
        slope, intercept: of the Modality LUT.
        contrast: (echo, b-value), which always split a series.
        phases: what else may tell two pictures of one place apart; see PHASES.
        concatenation: ConcatenationUID of a multi-frame object in several files.
        syntax: Transfer Syntax UID.
        offset, length: of the value of Pixel Data in its file; offset -1 if the pixels can only be had by reading the dataset.
        stamp: size and time of change of its file, to notice that it is another one by now.
    """

    source: Source
    number: int
    sop_class: str
    sop: str
    series: str
    study: str
    patient: str
    reference: str
    modality: str
    place: str
    image_type: tuple[str, ...]
    frames: int
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    photometric: str
    planar: int
    position: Numbers | None
    orientation: Numbers | None
    spacing: Numbers | None
    slope: float
    intercept: float
    contrast: tuple[str, float | None]
    phases: tuple[str, ...]
    concatenation: str
    syntax: str
    offset: int = NO_PIXELS
    length: int = 0
    stamp: tuple[int, int] = (0, 0)
    pixels: bool = True

    @property
    def multiframe(self) -> bool:
        """Tell whether frames are described by functional groups (enhanced CT, MR, PET)."""
        return self.frames > 1 or self.sop_class in ENHANCED

    @property
    def at_hand(self) -> bool:
        """Tell whether the pixels are in the source: a header of an archive has none."""
        return self.pixels if isinstance(self.source, Path) else "PixelData" in self.source

    @classmethod
    def of(
        cls, dataset: Dataset, source: Source | None = None, number: int = 1, place: str = "", syntax: str = "", **where: Any
    ) -> Instance:
        """Return the instance of a dataset (its header is enough); `source` defaults to the dataset itself."""

        def text(keyword: str) -> str:
            return sys.intern(str(value(dataset, keyword, str) or "").strip())  # the same in most files of a series

        def whole(keyword: str, default: int = 0) -> int:
            return default if (found := value(dataset, keyword, int)) is None else found

        stored = whole("BitsStored", whole("BitsAllocated"))
        meta = getattr(dataset, "file_meta", None) or Dataset()
        return cls(
            source=dataset if source is None else source,
            number=number,
            sop_class=text("SOPClassUID") or str(value(meta, "MediaStorageSOPClassUID", str) or ""),
            sop=text("SOPInstanceUID") or str(value(meta, "MediaStorageSOPInstanceUID", str) or ""),
            series=text("SeriesInstanceUID"),
            study=text("StudyInstanceUID"),
            patient=text("PatientID"),
            reference=text("FrameOfReferenceUID"),
            modality=text("Modality").upper(),
            place=place,
            image_type=tuple(str(word).upper() for word in value(dataset, "ImageType", _words) or ()),
            frames=max(1, whole("NumberOfFrames", 1)),
            rows=whole("Rows"),
            columns=whole("Columns"),
            samples=whole("SamplesPerPixel", 1),
            allocated=whole("BitsAllocated"),
            stored=stored,
            high_bit=whole("HighBit", stored - 1),
            signed=whole("PixelRepresentation") == 1,
            photometric=text("PhotometricInterpretation"),
            planar=whole("PlanarConfiguration"),
            position=numbers(dataset, "ImagePositionPatient", 3),
            orientation=numbers(dataset, "ImageOrientationPatient", 6),
            spacing=numbers(dataset, "PixelSpacing", 2),
            slope=_or(numbers(dataset, "RescaleSlope", 1), 1.0),
            intercept=_or(numbers(dataset, "RescaleIntercept", 1), 0.0),
            contrast=(text("EchoNumbers") or text("EchoTime"), _b_value(dataset)),
            phases=tuple(text(keyword) for keyword in PHASES),
            concatenation=text("ConcatenationUID"),
            syntax=str(syntax or value(meta, "TransferSyntaxUID", str) or ""),
            **where,
        )


ENHANCED = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{tail}"
    for tail in ("2.1", "2.2", "4.1", "4.3", "4.4", "128.1", "130")  # enhanced and legacy converted CT, MR, PET
)


def value(dataset: Dataset, keyword: str, convert: Callable[[Any], T]) -> T | None:
    """Return a value of a header, converted; None if it is missing, empty or malformed."""
    try:
        found = dataset.get(keyword)
        return None if found is None or found == "" else convert(found)
    except Exception:  # a value is parsed when it is first asked for, and may fail on damage in any way
        return None


def numbers(dataset: Dataset, keyword: str, count: int) -> Numbers | None:
    """Return `count` finite numbers of a header; None if they are missing, malformed, or other in number."""
    found = value(dataset, keyword, lambda v: tuple(float(one) for one in _words(v)))
    return found if found is not None and len(found) == count and all(map(math.isfinite, found)) else None


def read(path: Path, number: int = 1, place: str = "") -> Instance:
    """Return the instance in a file, of which only the header is read.

    Raises:
        BadItem: if it is empty, cut off within the header, or no DICOM; the message names no file and no value.
    """
    with path.open("rb") as raw:
        info = os.fstat(raw.fileno())
        if info.st_size == 0:
            raise BadItem(f"file {number} is empty", "copy it again from where it came")
        try:
            stream, deflated = inflated(raw, HEADER_LIMIT)
            dataset = header(stream, TAGS)
            syntax = syntax_of(dataset)
            at = stream.tell()
            start = stream.read(12)
        except Exception as error:  # pydicom may fail on damage anywhere: KeyError, struct.error, OverflowError...
            raise BadItem(f"the header of file {number} can't be read: {type(error).__name__}", "copy it again") from None
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    where: dict[str, Any] = {"syntax": DeflatedExplicitVRLittleEndian if deflated else syntax}
    where["stamp"] = (info.st_size, info.st_mtime_ns)
    if len(start) < 12 or struct.unpack(f"{order}HH", start[:4]) != (0x7FE0, 0x0010):
        return Instance.of(dataset, path, number, place, pixels=False, **where)
    width = 8 if syntax == ImplicitVRLittleEndian else 12
    length = struct.unpack(f"{order}I", start[width - 4 : width])[0]
    return Instance.of(dataset, path, number, place, offset=at + width, length=length, **where)


def header(stream: BinaryIO, tags: Sequence[Any] | None = None) -> Dataset:
    """Return a dataset without its pixels, with all elements or only `tags`; the stream then stands at Pixel Data."""
    quiet()
    return dcmread(stream, stop_before_pixels=True, specific_tags=None if tags is None else list(tags), force=True)


def header_of(source: Source) -> Dataset:
    """Return the whole header of a file, without pixels; of a dataset in memory, itself."""
    if isinstance(source, Dataset):
        return source
    with source.open("rb") as raw:
        return header(inflated(raw, HEADER_LIMIT)[0])


def inflated(stream: BinaryIO, limit: int) -> tuple[BinaryIO, bool]:
    """Return `stream` at its start, or what a deflated one holds, and whether it was one.

    Of a deflated file at most `limit` bytes are inflated, whatever it would grow to (PS3.5 A.5).
    """
    head = stream.read(1024)
    stream.seek(0)
    if DEFLATED not in head or head[128:136] != b"DICM\2\0\0\0":
        return stream, False
    end = 144 + struct.unpack("<I", head[140:144])[0]  # group 0002 is explicit and little-endian, and says its length first
    stream.seek(end)
    body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(stream.read(), limit)
    meta = head[:end].replace(DEFLATED, ExplicitVRLittleEndian.encode().ljust(len(DEFLATED), b"\0"))
    return BytesIO(meta + body), True


def syntax_of(dataset: Dataset) -> str:
    """Return the Transfer Syntax UID, or the uncompressed one that the dataset was read as where the file names none."""
    named = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    if named:
        return str(named)
    implicit, little = dataset.original_encoding
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def quiet() -> None:
    """Keep pydicom from checking, warning and logging: what it says quotes values of the header."""
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    if SILENT not in warnings.filters:
        warnings.filterwarnings("ignore", module="pydicom")


def _words(found: Any) -> Sequence[Any]:
    return [found] if isinstance(found, (str, int, float)) else list(found)


def _or(found: Numbers | None, default: float) -> float:
    return default if found is None else found[0]


def _b_value(dataset: Dataset) -> float | None:
    standard = numbers(dataset, "DiffusionBValue", 1)
    if standard is not None:
        return standard[0]
    try:
        if SIEMENS_B in dataset and "SIEMENS" in str(dataset[0x0019, 0x0010].value):
            return float(dataset[SIEMENS_B].value)
        if GE_B in dataset:
            first = dataset[GE_B].value
            return float(first if isinstance(first, (int, str)) else first[0]) % 1e9
    except (KeyError, TypeError, ValueError, IndexError):  # private, so anything may stand there
        return None
    return None
