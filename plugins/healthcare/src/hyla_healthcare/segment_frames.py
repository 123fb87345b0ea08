"""The frames of a DICOM segmentation: which segment each is of, and its pixels, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyla.errors import FormatError

if TYPE_CHECKING:
    from pydicom import Dataset


def prove(dataset: Dataset, where: str) -> None:
    """Raise FormatError for a segmentation that lacks what places and names its frames."""
    kind = dataset.get("SegmentationType")
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for lacks, what in (
        (not dataset.get("Rows") or not dataset.get("Columns") or dataset.get("BitsAllocated") is None, "its size"),
        (kind not in ("BINARY", "FRACTIONAL", "LABELMAP"), "its segmentation type"),
        (kind == "FRACTIONAL" and not dataset.get("MaximumFractionalValue"), "its maximum fractional value"),
        (len(groups) != int(dataset.get("NumberOfFrames") or 0), "where each of its frames lies"),
        (kind != "LABELMAP" and any(segment_of(dataset, i) is None for i in range(len(groups))), "its frames' segments"),
    ):
        if lacks:
            raise FormatError(f"{where} does not say {what}", "the file is no valid DICOM segmentation: ask for another")


def segment_of(dataset: Dataset, number: int) -> int | None:
    """Return which segment a frame is of; None if it does not say."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [dataset])[0]
    group = dataset.PerFrameFunctionalGroupsSequence[number]
    found = group.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence")
    value = found[0].get("ReferencedSegmentNumber") if found else None
    return None if value is None else int(value)


def frames(path: Path, dataset: Dataset, where: str) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield (number from 0, values (H, W)) of each frame, one at a time."""
    import highdicom as hd
    from pydicom import dcmread

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_transfer_syntax:  # one that pydicom does not know
        raise FormatError(f"{where} is compressed in a way that can't be read", "convert it: gdcmconv --raw IN OUT")
    if dataset.BitsAllocated == 1 and not syntax.is_encapsulated:
        yield from _bits(dcmread(path).get("PixelData") or b"", dataset, where)
        return
    reader = hd.io.ImageFileReader(path)
    try:
        reader.open()
        for number in range(reader.number_of_frames):
            yield number, reader.read_frame(number, correct_color=False)
    except (AttributeError, OSError, ValueError, RuntimeError, NotImplementedError) as e:  # what decoders raise
        raise FormatError(f"the pixels of {where} can't be read: {type(e).__name__}") from e
    finally:
        reader.close()


def _bits(data: bytes, dataset: Dataset, where: str) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield the frames of packed bits, lowest bit first (PS3.5 8.1.1): they follow each other even within a byte.

    pydicom and highdicom cut frames that begin within a byte short.
    """
    height, width, frames = int(dataset.Rows), int(dataset.Columns), int(dataset.NumberOfFrames)
    size = height * width
    if len(data) * 8 < size * frames:
        raise FormatError(f"{where} is cut short: {len(data)} bytes of pixels, {-(-size * frames // 8)} are needed")
    packed = np.frombuffer(data, np.uint8)
    for number in range(frames):
        first, rest = divmod(number * size, 8)
        values = np.unpackbits(packed[first : -(-(number + 1) * size // 8)], bitorder="little")
        yield number, values[rest : rest + size].reshape(height, width)
