"""The images that an item was made of: their headers, and where each slice of the volume lies in the patient.

What an export writes must lie on the very images of the source, whatever order their files are in: slices are told apart by
position (DICOM PS3.3 C.7.6.2), never by file or instance number.
"""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hyla.errors import ConfigError, FormatError
from hyla.frame import Frame, PatientFrame
from hyla.types import Floats, Ints, Item

if TYPE_CHECKING:
    from pydicom import Dataset

    from hyla.pictures import Pictures

# Every object of a study repeats these (type 2 of the patient and study modules): known or not, they must be there.
REPEATED = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
DATE, TIME = r"[0-9]{8}", r"[0-9]{2}|[0-9]{4}|[0-9]{6}(\.[0-9]{1,6})?"
NAMESPACE = uuid.UUID("5c0f4d0e-6d0b-5a54-9a55-0e7f4c3f8f1d")
DEIDENTIFIED = (
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    "LongitudinalTemporalInformationModified",
)
APART = 0.1  # share of a voxel by which a place may be off: writers round positions to a few decimals


def uid_of(*parts: object) -> str:
    """Return a UID of these parts: the same for the same parts, on every machine (PS3.5 B.2, a version 5 UUID)."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(0).join(map(str, parts))).int}"


def needed(pictures: Pictures | None) -> Pictures:
    """Return `pictures`; raise ConfigError if there are none, or their loader does not know the DICOM files."""
    if pictures is None:
        raise ConfigError("this format needs the source of the project, for the headers of its images", "use `hyla export DIR`")
    if not hasattr(pictures.loader, "originals"):
        raise ConfigError("this format needs a source of DICOM files", "run with loader=healthcare, or choose another format")
    return pictures


def headers(pictures: Pictures, item: Item, identified: bool) -> list[Dataset]:
    """Return headers of what `item` was made of, in the order of its slices: one for multi-frame, none if it is no DICOM.

    Args:
        pictures: whose loader is `hyla_healthcare.studies.Studies`.
        item: of the project.
        identified: with the patient's identity, for the hospital's own archive. Otherwise they went through the loader's gate.
    """
    if "sop_class" not in item.meta:
        return []
    loader: Any = needed(pictures).loader
    found = [named(one, item) for one in loader.originals(item)]
    found = found if identified else [loader.gate.clean(one) for one in found]
    for one in found:
        one.StudyInstanceUID = one.get("StudyInstanceUID") or item.meta.get("study") or uid_of("study", item.uri)
        one.SeriesInstanceUID = one.get("SeriesInstanceUID") or series_of(item)
        if "ImagePositionPatient" in one:  # a segmentation must name a frame of reference, whether the source does or not
            one.FrameOfReferenceUID = one.get("FrameOfReferenceUID") or uid_of("frame of reference", one.SeriesInstanceUID)
        for keyword in REPEATED:
            if one.get(keyword) is None:
                setattr(one, keyword, "")
        if one.PatientSex not in ("M", "F", "O"):
            one.PatientSex = ""
        for keyword in ("PatientBirthDate", "StudyDate", "StudyTime"):  # old files write 2004.01.19 and 15:18:59
            text = re.sub("[.:](?=[0-9]{2}([.:]|$))", "", str(one[keyword].value))
            setattr(one, keyword, text if re.fullmatch(TIME if keyword == "StudyTime" else DATE, text) else "")
    return [] if any(not one.SOPInstanceUID for one in found) else found


def series_of(item: Item) -> str:
    """Return the pseudonymous UID of the series of `item`, made up for a source that has none."""
    return str(item.meta.get("series") or uid_of("series", item.uri))


def named(header: Dataset, item: Item) -> Dataset:
    """Return a copy of a header with the UIDs of its object, which some anonymizers leave in the file meta information only."""
    out = deepcopy(header)
    meta = getattr(header, "file_meta", {})
    out.SOPClassUID = out.get("SOPClassUID") or item.meta["sop_class"]
    out.SOPInstanceUID = out.get("SOPInstanceUID") or meta.get("MediaStorageSOPInstanceUID") or ""
    return out


@contextmanager
def names_as_they_are() -> Iterator[None]:
    """Let highdicom take names of one part, such as a pseudonym, without its warning: they must be those of the source."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unlikely to represent the intended person name", category=UserWarning)
        yield


@dataclass(frozen=True)
class Grid:
    """Hold where the slices of an item lie.

    Args:
        size: (D, H, W); D is 1 for a radiograph.
        images: (D,) SOP Instance UID of each slice.
        frames: (D,) number of the frame within that, from 0.
        positions: (D, 3) LPS mm of the centre of each slice's first voxel; None for a radiograph, which has no place.
        steps: (2, 3) mm from a voxel to the next along x, and along y.
        reference: Frame of Reference UID.
    """

    size: tuple[int, int, int]
    images: tuple[str, ...]
    frames: Ints
    positions: Floats | None
    steps: Floats
    reference: str

    @classmethod
    def of(cls, found: Sequence[Dataset], size: Sequence[int], frame: Frame) -> Grid:
        """Return the grid of an item with the headers `found`, and the size and frame that the loader gave it.

        Raises:
            FormatError: if the volume does not lie on those images, so that a mask of it could not either.
        """
        whole = (1, *size) if len(size) == 2 else tuple(int(s) for s in size)
        depth, height, width = whole
        first = found[0]
        if (first.Rows, first.Columns) != (height, width):
            raise FormatError(f"the item is {width} x {height} pixels, its images are {first.Columns} x {first.Rows}")
        if not isinstance(frame, PatientFrame):
            if depth != 1 or len(found) != 1:
                raise FormatError("the item has several slices but no place in the patient")
            return cls((1, height, width), (str(first.SOPInstanceUID),), np.zeros(1, np.int64), None, np.eye(2, 3), "")
        places = [place for one in found for place in places_of(one)]
        positions, steps = np.array([p for p, _ in places]), places[0][1]
        affine = np.array(frame.affine)
        chosen = _chosen(positions, affine, depth) if len(found) == 1 else np.arange(len(places))
        positions = positions[chosen]
        voxel = np.linalg.norm(steps, axis=1).min()
        if (
            len(chosen) != depth
            or np.abs(steps - affine[:3, :2].T).max() > 1e-2 * voxel
            or np.abs(positions[0] - affine[:3, 3]).max() > APART * voxel
        ):
            raise FormatError("the volume of the item does not lie on the images that it was made of", "run again on the source")
        if len(found) == 1:
            images, frames = (str(first.SOPInstanceUID),) * depth, chosen
        else:
            images, frames = tuple(str(one.SOPInstanceUID) for one in found), np.zeros(depth, np.int64)
        return cls((depth, height, width), images, frames, positions, steps, str(first.get("FrameOfReferenceUID", "")))

    def where(self, position: Floats, steps: Floats) -> tuple[int, int, int] | None:
        """Return (slice, y, x) of the voxel at `position` (3,) mm of a plane with these `steps` (2, 3), or None if it is on none.

        The place may lie outside the size: a plane can be larger, or cut smaller.
        """
        assert self.positions is not None
        lengths = np.linalg.norm(self.steps, axis=1)
        if np.abs(steps - self.steps).max() > APART * lengths.min() / max(self.size[1:]):
            return None
        normal = np.cross(*self.steps)
        normal /= np.linalg.norm(normal)
        along = self.positions @ normal
        z = int(np.abs(along - position @ normal).argmin())
        gaps = np.abs(np.diff(along))
        off = position - self.positions[z]
        x, y = (off @ self.steps.T) / lengths**2
        near = abs(off @ normal) <= APART * (gaps.min() if len(gaps) else lengths.min())
        if not near or max(abs(x - round(x)), abs(y - round(y))) > APART:
            return None
        return z, round(float(y)), round(float(x))


def places_of(dataset: Dataset) -> list[tuple[Floats, Floats]]:
    """Return (position (3,), steps (2, 3)) in mm of each frame of a header, single- or multi-frame.

    Raises:
        FormatError: for an image without position, orientation or spacing.
    """
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if groups is None:
        return [_place(dataset, dataset, dataset)]
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [dataset])[0]
    out = []
    for group in groups:
        parts = [
            (group.get(word) or shared.get(word) or [dataset])[0]
            for word in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
        ]
        out.append(_place(*parts))
    return out


def _place(position: Dataset, orientation: Dataset, spacing: Dataset) -> tuple[Floats, Floats]:
    try:
        cosines = np.array(orientation.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        down, right = (float(v) for v in spacing.PixelSpacing)
        return np.array(position.ImagePositionPatient, dtype=np.float64).reshape(3), cosines * [[right], [down]]
    except (AttributeError, TypeError, ValueError) as e:
        raise FormatError("an image does not say where it lies: position, orientation or pixel spacing is missing") from e


def _chosen(positions: Floats, affine: Floats, depth: int) -> Ints:
    """Return which frames of a multi-frame image are the slices of a volume, in its order."""
    along = (positions - affine[:3, 3]) @ affine[:3, 2] / (affine[:3, 2] @ affine[:3, 2])
    if len(positions) == depth:
        return np.asarray(np.argsort(along, kind="stable"))
    return np.asarray(np.abs(along[None] - np.arange(depth)[:, None]).argmin(axis=1))
