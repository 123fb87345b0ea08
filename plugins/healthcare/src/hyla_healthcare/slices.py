"""Say where each slice lies: of single-frame objects by their header, of multi-frame ones by their functional groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom import Dataset

from hyla.errors import BadItem
from hyla_healthcare.instance import ENHANCED, Instance, Numbers, header_of, numbers, value

UNIT = 0.02  # how far the length of a direction cosine may be from 1
KINDS = ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence")
MOMENTS = ("TemporalPositionIndex", "FrameAcquisitionNumber", "FrameAcquisitionDateTime")


@dataclass(frozen=True, slots=True)
class Slice:
    """Hold one slice: a single-frame object, or one frame of a multi-frame one; see Instance for the fields."""

    instance: Instance
    frame: int
    position: Numbers
    orientation: Numbers
    spacing: Numbers
    slope: float
    intercept: float
    reference: str
    contrast: tuple[Any, ...]
    phases: tuple[str, ...]
    image_type: tuple[str, ...]


def flat(instance: Instance) -> bool:
    """Tell whether an object is a picture of its own, not a slice in space: nothing says where it lies, or it has colours."""
    if instance.sop_class in ENHANCED:
        return False
    return instance.position is None or instance.orientation is None or instance.samples != 1 or instance.frames > 1


def slices_of(instance: Instance) -> list[Slice]:
    """Return the slices of an object, in its own order; those of a multi-frame one from its functional groups.

    Raises:
        BadItem: if something that places them is missing or malformed; the message names the attribute.
    """
    if instance.sop_class in ENHANCED:
        return _frames(instance, header_of(instance.source))
    return [_slice(instance, 0, instance.position, instance.orientation, instance.spacing)]


def _slice(
    instance: Instance,
    frame: int,
    position: Numbers | None,
    orientation: Numbers | None,
    spacing: Numbers | None,
    **other: Any,
) -> Slice:
    where = f"file {instance.number}" + (f", frame {frame + 1}" if instance.frames > 1 else "")
    if position is None or orientation is None or spacing is None:
        named = zip(
            ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"), (position, orientation, spacing), strict=True
        )
        lost = " and ".join(name for name, found in named if found is None)
        raise BadItem(f"{where}: {lost} missing or malformed", "without it nothing can be measured")
    if min(spacing) <= 0:
        raise BadItem(f"{where}: PixelSpacing is not positive", "without it nothing can be measured")
    rows, columns = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.array([np.linalg.norm(rows), np.linalg.norm(columns)])
    if np.abs(lengths - 1).max() > UNIT or abs(rows @ columns) > UNIT:
        raise BadItem(f"{where}: ImageOrientationPatient holds no two perpendicular directions")
    fields: dict[str, Any] = {
        "slope": instance.slope,
        "intercept": instance.intercept,
        "reference": instance.reference,
        "contrast": instance.contrast,
        "phases": instance.phases,
        "image_type": instance.image_type,
    }
    return Slice(instance, frame, position, orientation, spacing, **(fields | other))


def _frames(instance: Instance, header: Dataset) -> list[Slice]:
    """Return the frames of an enhanced object: each functional group is per frame or shared (PS3.3 C.7.6.16)."""
    shared = _first(header, "SharedFunctionalGroupsSequence")
    each = value(header, "PerFrameFunctionalGroupsSequence", list) or []
    if len(each) != instance.frames:
        raise BadItem(f"file {instance.number}: there are {instance.frames} frames and {len(each)} functional groups")
    found = []
    for index, frame in enumerate(each):

        def group(name: str, frame: Dataset = frame) -> Dataset:
            return _first(frame, name) or _first(shared, name) or Dataset()

        values = group("PixelValueTransformationSequence")
        slope, intercept = numbers(values, "RescaleSlope", 1), numbers(values, "RescaleIntercept", 1)
        content, echo, diffusion = group("FrameContentSequence"), group("MREchoSequence"), group("MRDiffusionSequence")
        kind = next(filter(None, map(group, KINDS)), header)
        b_value = numbers(diffusion, "DiffusionBValue", 1)
        gradient = _first(diffusion, "DiffusionGradientDirectionSequence") or Dataset()
        moments = [str(content.get(name, "")) for name in MOMENTS] + [str(gradient.get("DiffusionGradientOrientation", ""))]
        found.append(
            _slice(
                instance,
                index,
                numbers(group("PlanePositionSequence"), "ImagePositionPatient", 3),
                numbers(group("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
                numbers(group("PixelMeasuresSequence"), "PixelSpacing", 2),
                slope=instance.slope if slope is None else slope[0],
                intercept=instance.intercept if intercept is None else intercept[0],
                contrast=(str(echo.get("EffectiveEchoTime", "")), None if b_value is None else b_value[0]),
                phases=tuple(moments),
                image_type=tuple(str(w).upper() for w in kind.get("FrameType", None) or instance.image_type),
            )
        )
    return found


def thickness(one: Slice) -> float:
    """Return SliceThickness in mm, or 1 if it is unknown."""
    header = header_of(one.instance.source)
    measures = _first(_first(header, "SharedFunctionalGroupsSequence") or Dataset(), "PixelMeasuresSequence") or header
    found = numbers(measures, "SliceThickness", 1)
    return found[0] if found is not None and found[0] > 0 else 1.0


def _first(dataset: Dataset | None, name: str) -> Dataset | None:
    items = None if dataset is None else value(dataset, name, list)
    return items[0] if items else None
