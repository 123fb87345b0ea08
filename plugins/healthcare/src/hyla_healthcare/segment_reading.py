"""Put DICOM segmentations back on the slices of the project's series, by position."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.errors import FormatError
from hyla.formats import unknown_class
from hyla.schema import Schema
from hyla.types import Bools, Image, Item, Kind, Labels, Record, item_id
from hyla_healthcare import coding, originals, segment_frames
from hyla_healthcare.originals import Grid

if TYPE_CHECKING:
    from pydicom import Dataset

    from hyla.pictures import Pictures

SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # Segmentation, Label Map Segmentation


@dataclass(frozen=True)
class _Place:
    """Hold an item of the project, where its slices lie, and the gate that gave its UIDs pseudonyms."""

    image: Image
    grid: Grid
    gate: Any
    alone: bool  # the only item of its series

    def is_mine(self, uid: str, mine: str) -> bool:
        """Tell whether a UID of a segmentation, of the source or pseudonymous, is `mine`, as the source has it."""
        return uid in (mine, self.gate.uid(mine))


@dataclass
class _File:
    """Hold one segmentation: what to call it, as its name may tell who the patient is, and which frames found a place."""

    path: Path
    where: str
    frames: int = 0
    placed: set[int] = field(default_factory=set)

    def read(self) -> Dataset:
        """Return the header; raise FormatError if it is damaged."""
        from pydicom import dcmread

        try:
            return dcmread(self.path, stop_before_pixels=True)
        except (OSError, ValueError, EOFError, struct.error) as e:  # what pydicom raises for a damaged file
            raise FormatError(f"{self.where} can't be read: {type(e).__name__}") from e


class Reader:
    """Read segmentations of one project.

    Args:
        pictures: its source.
        schema: of its labels.
        skip: leave out segments that the schema has no class for.
        threshold: share from which a voxel of a fractional segmentation counts.
    """

    def __init__(self, pictures: Pictures, schema: Schema, skip: bool, threshold: float) -> None:
        self._pictures, self._schema, self._skip, self._threshold = pictures, schema, skip, threshold
        self._gate: Any = pictures.loader.gate  # type: ignore[attr-defined]  # originals.needed saw to it
        self._sides = schema.attributes_of("label").get("side")

    def records(self, path: Path) -> Iterator[Record]:
        """Yield a record per item that a segmentation of a file or folder is of, and an empty one for each series not known."""
        found = list(_segmentations(path))
        if not found:
            raise FormatError(f"{path} holds no DICOM segmentation", "name the file or the folder, or another format")
        by_series: dict[str, list[Item]] = {}
        for item in self._pictures.items():
            if "sop_class" in item.meta:
                by_series.setdefault(originals.series_of(item), []).append(item)
        wanted: dict[str, list[_File]] = {}
        for number, file in enumerate(found, 1):
            one = _File(file, f"segmentation {number} of {len(found)}")
            wanted.setdefault(self._series(one, by_series), []).append(one)
        for series, files in wanted.items():
            if series in by_series:
                yield from self._of_series(by_series[series], files)
            else:
                uri = f"seg/{series}"
                yield Record(Item(item_id(uri), uri, kind="series"), Labels.empty())

    def _series(self, file: _File, known: Container[str]) -> str:
        """Return the pseudonymous UID of the series that a segmentation is of: one of the project's if it names any."""
        header = file.read()
        named = [str(one.get("SeriesInstanceUID", "")) for one in header.get("ReferencedSeriesSequence") or []]
        if not any(named):
            raise FormatError(f"{file.where} does not say which series it is of")
        names = [name for uid in named for name in (uid, self._gate.uid(uid))]
        return next((name for name in names if name in known), names[1])

    def _of_series(self, items: Sequence[Item], files: Sequence[_File]) -> list[Record]:
        """Return the records of a series: one volume as a rule, or several, or several radiographs, to which frames belong."""
        out = []
        for item in items:
            image = self._pictures.load(item)
            loader: Any = self._pictures.loader
            headers = [originals.named(one, item) for one in loader.originals(item)]
            place = _Place(image, Grid.of(headers, image.size, image.frame), self._gate, len(items) == 1)
            labels = Labels.concat([self._labels(file, place) for file in files])
            out.append(Record(item, labels, size=image.size, frame=image.frame))
        for file in files:
            if lost := sorted(set(range(file.frames)) - file.placed):
                raise FormatError(
                    f"frame {lost[0] + 1} of {file.where} lies on no slice of its series", "resample it to the series first"
                )
        return [one for one in out if len(one.labels) or len(items) == 1]

    def _labels(self, file: _File, place: _Place) -> Labels:
        dataset = file.read()
        segment_frames.prove(dataset, file.where)
        reference = str(dataset.get("FrameOfReferenceUID", ""))
        mine = place.grid.reference  # empty where the source names none: then only the places tell
        if place.grid.positions is not None and mine and not place.is_mine(reference, mine):
            raise FormatError(
                f"{file.where} is on another frame of reference than its series", "segment the series itself, or register the two"
            )
        classes = self._classes(dataset, file.where)
        masks: dict[int, Bools] = {}
        corners = list(_corners(dataset, place, file.where))
        file.frames = len(corners)
        for number, values in segment_frames.frames(file.path, dataset, file.where):
            if (at := corners[number]) is None:
                continue
            file.placed.add(number)
            for segment, plane in self._planes(dataset, number, values, classes):
                mask = masks.setdefault(segment, np.zeros(place.grid.size, bool))
                _paste(mask[at[0]], plane, at[1:], file.where)
        rows = [(*classes[segment], masks[segment]) for segment in sorted(masks) if masks[segment].any()]
        flat = not place.image.volume
        sides = {"side": [side if self._sided(c, side) else None for c, side, _ in rows]} if self._sides else {}
        return Labels.of(
            [c for c, _, _ in rows],
            kind=Kind.MASK,
            shape=[geometry.encode(mask[0] if flat else mask) for _, _, mask in rows],
            attributes=sides,
        )

    def _sided(self, class_id: int, side: str) -> bool:
        assert self._sides is not None
        allowed = self._sides.classes
        return side in self._sides.choices and (not allowed or class_id in self._schema.under(*allowed))

    def _classes(self, dataset: Dataset, where: str) -> dict[int, tuple[int, str]]:
        """Return segment number -> class id and side."""
        out = {}
        for segment in dataset.get("SegmentSequence") or []:
            number = int(segment.SegmentNumber)
            if number == 0:  # the background of a label map
                continue
            known = coding.class_of(self._schema, segment)
            if known is not None:
                out[number] = known
            elif not self._skip:
                raise unknown_class(_what(segment), where, [c.name for c in self._schema.classes if not c.abstract])
        return out

    def _planes(
        self, dataset: Dataset, number: int, values: npt.NDArray[Any], classes: dict[int, tuple[int, str]]
    ) -> Iterator[tuple[int, Bools]]:
        """Yield (segment number, mask (H, W)) of what a frame holds."""
        if dataset.SegmentationType == "LABELMAP":
            for segment in np.unique(values).tolist():
                if segment in classes:
                    yield segment, values == segment
            return
        segment = segment_frames.segment_of(dataset, number)
        if segment is not None and segment in classes:
            least = self._threshold * int(dataset.MaximumFractionalValue) if dataset.SegmentationType == "FRACTIONAL" else 1
            yield segment, values >= least


def _segmentations(path: Path) -> Iterator[Path]:
    """Yield the DICOM segmentations of a file or below a folder, by name; what is anything else is passed over."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        try:
            header = dcmread(file, specific_tags=["SOPClassUID"], stop_before_pixels=True)
        except InvalidDicomError:
            continue
        except OSError as e:
            raise FormatError(f"{path} can't be read: {e.strerror or type(e).__name__}") from e
        if header.get("SOPClassUID") in SOP_CLASSES:
            yield file


def _corners(dataset: Dataset, place: _Place, where: str) -> Iterator[tuple[int, int, int] | None]:
    """Yield (slice, y, x) of each frame's first voxel on the grid; None for one that lies on no slice of the item."""
    grid = place.grid
    if grid.positions is not None:
        for position, steps in originals.places_of(dataset):
            yield grid.where(position, steps)
        return
    for group in dataset.PerFrameFunctionalGroupsSequence:
        sources = _sources(dataset, group)
        mine = any(place.is_mine(uid, grid.images[0]) for uid in sources)
        mine = mine or (place.alone and not sources)
        if mine and (dataset.Rows, dataset.Columns) != grid.size[1:]:
            raise FormatError(f"{where} has another size than its radiograph")
        yield (0, 0, 0) if mine else None


def _sources(dataset: Dataset, group: Dataset) -> list[str]:
    """Return the SOP Instance UIDs of the images that a frame was made from, or the whole segmentation where it does not say."""
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [dataset])[0]
    derived = group.get("DerivationImageSequence") or shared.get("DerivationImageSequence") or []
    images = [image for one in derived for image in one.get("SourceImageSequence") or []]
    images = images or [
        image for series in dataset.ReferencedSeriesSequence for image in series.get("ReferencedInstanceSequence") or []
    ]
    return [str(image.ReferencedSOPInstanceUID) for image in images]


def _paste(slice_: Bools, plane: Bools, corner: tuple[int, int], where: str) -> None:
    """Add a plane to a slice at `corner` (y, x); what is outside the slice must be empty."""
    (height, width), (y, x) = slice_.shape, corner
    part = plane[max(0, -y) : max(0, height - y), max(0, -x) : max(0, width - x)]
    if np.count_nonzero(part) != np.count_nonzero(plane):
        raise FormatError(f"{where} reaches beyond the slices of its series")
    top, left = max(0, y), max(0, x)
    slice_[top : top + part.shape[0], left : left + part.shape[1]] |= part


def _what(segment: Dataset) -> str:
    """Return in words what a segment is: its codes, never its label, which anything may stand in."""
    types = segment.get("SegmentedPropertyTypeCodeSequence") or []
    return ", ".join(f"{one.get('CodeMeaning', '')} ({one.get('CodeValue', '')})" for one in types) or "a segment without a type"
