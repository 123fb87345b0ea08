"""From the masks that a model found to labels with measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.errors import StageError
from hyla.frame import PatientFrame
from hyla.schema import Schema
from hyla.types import Bools, Floats, Image, Kind, Labels
from hyla_healthcare import body, components, measure
from hyla_healthcare.components import Box

FRAGMENT = 0.01  # share of a structure's voxels above which a piece of it counts
SIDES = ("_left", "_right")
DIGITS = 3  # of ml and mm after the point: what people read and correct
MEASURES = ("volume_ml", "long_axis_mm", "short_axis_mm", "side")
EVIDENCE = (
    *("mean_hu", "outside_body", "components", "fragment", "area_jump", "entropy"),
    *("midline_mm", "touches_edge"),
)


@dataclass(frozen=True)
class Structure:
    """Hold one structure that a model found.

    Args:
        name: class of the schema.
        mask: (D, H, W), boolean.
        score: from 0 to 1.
        entropy: mean nats per voxel of the mask, None if the model can't tell.
    """

    name: str
    mask: Bools
    score: float = 1.0
    entropy: float | None = None


def labels(
    image: Image, schema: Schema, found: Sequence[Structure], context: Mapping[str, Any] | None = None, track: Sequence[int] = ()
) -> Labels:
    """Return one mask label per structure of a volume, with measures as attributes and what rules need as evidence.

    Structures whose class the schema lacks, or has only to group others, and those whose mask is empty are left out. Attributes,
    where the schema has them: volume_ml; long_axis_mm and short_axis_mm of lesions (`measure.diameters_mm`); side (that of the
    patient on which the centroid lies) of classes named left or right and others that the schema gives it. Evidence is NaN where
    it can't be known:

    - mean_hu: mean of the pixels in the mask; HU in CT.
    - outside_body: share of the voxels that are outside the body, which is the structure `body`, and in CT without one what
      `body.body` finds.
    - components: number of pieces with more than 1 % of the voxels; fragment: share of the voxels that are not in the largest
      piece. Voxels that share a corner belong together.
    - area_jump: largest change of the area from one slice of the structure to the next, as a share of its largest area; gaps
      between its slices count, its two ends do not.
    - entropy: as the model says.
    - midline_mm: distance of the centroid from that of the body in those slices, along LPS x: above 0 on the patient's left.
    - touches_edge: 1 if it meets the first or the last slice, so that it may go on beyond.

    Args:
        image: a volume; without a PatientFrame nothing is known in mm.
        schema: of the project.
        found: masks of the image's size.
        context: facts about the image as a whole; those that the schema does not declare are left out.
        track: identity of each structure, or none.

    Raises:
        StageError: for a mask that has not the size of the image.
    """
    declared = schema.attributes_of("image")
    facts = {name: value for name, value in (context or {}).items() if name in declared}
    boxes: list[tuple[Structure, Box, int]] = []
    for number, one in enumerate(found):
        if one.mask.shape != image.size:
            raise StageError(f"the mask of {one.name!r} is {one.mask.shape}, not of the image's size {image.size}")
        known = one.name in schema.ids and not schema.classes[schema.ids[one.name]].abstract
        if known and (box := components.box_of(one.mask)) is not None:
            boxes.append((one, box, track[number] if track else -1))
    if not boxes:
        return Labels.empty(facts)
    affine = np.array(image.frame.affine) if isinstance(image.frame, PatientFrame) else None
    around = _Body.of(image, found, affine)
    rows = [_measured(one, box, image, affine, around) for one, box, _ in boxes]
    names = [one.name for one, _, _ in boxes]
    return Labels.of(
        [schema.ids[name] for name in names],
        [[box[2].start, box[1].start, box[2].stop, box[1].stop] for _, box, _ in boxes],
        score=[min(1.0, max(0.0, one.score)) for one, _, _ in boxes],
        kind=Kind.MASK,
        shape=[geometry.encode(one.mask) for one, _, _ in boxes],
        track=[number for _, _, number in boxes],
        attributes=_attributes(schema, names, boxes, rows, affine),
        context=facts,
        evidence={name: np.array([row[name] for row in rows], dtype=np.float64) for name in EVIDENCE},
    )


@dataclass(frozen=True)
class _Body:
    """Hold the body and, for each slice, where its centroid lies along LPS x in mm; NaN where there is no body."""

    mask: Bools
    middle: Floats

    @classmethod
    def of(cls, image: Image, found: Sequence[Structure], affine: Floats | None) -> _Body | None:
        given = next((one.mask for one in found if one.name == "body"), None)
        if given is None and is_ct(image):
            given = body.body(image.pixels, spacing(image))
        if given is None:
            return None
        middle = np.full(len(given), np.nan) if affine is None else middles(given, affine)
        return cls(given, middle)


def middles(mask: Bools, affine: Floats) -> Floats:
    """Return LPS x (D,) in mm of the centroid of each slice of a mask; NaN where a slice is empty."""
    rows, columns = np.count_nonzero(mask, axis=2), np.count_nonzero(mask, axis=1)
    total = rows.sum(axis=1)
    y, x = ((counts * np.arange(counts.shape[1])).sum(axis=1) / np.maximum(total, 1) for counts in (rows, columns))
    points = np.stack([x, y, np.arange(len(mask)), np.ones(len(mask))])
    return np.where(total > 0, affine[0] @ points, np.nan)


def is_ct(image: Image) -> bool:
    """Tell whether the pixels of a volume are HU: the loader says that it is CT, or that its unit is HU."""
    says = {**image.item.meta, **image.context}
    return image.volume and (says.get("modality") == "CT" or says.get("unit") == "HU")


def spacing(image: Image) -> tuple[float, float, float]:
    """Return the mm between slices, rows and columns of a volume; 1 where the frame is not the patient's."""
    if not isinstance(image.frame, PatientFrame):
        return 1.0, 1.0, 1.0
    x, y, z = np.linalg.norm(np.array(image.frame.affine)[:3, :3], axis=0).clip(min=1e-3).tolist()
    return z, y, x


def _measured(one: Structure, box: Box, image: Image, affine: Floats | None, around: _Body | None) -> dict[str, float]:
    part = one.mask[box]
    area = np.count_nonzero(part, axis=(1, 2))
    total = int(area.sum())
    sizes = components.find(one.mask, "corners", box).sizes
    row = dict.fromkeys(EVIDENCE, np.nan)
    row["voxels"] = total
    row["mean_hu"] = float(image.pixels[box][part].mean(dtype=np.float64))
    row["components"] = float(np.count_nonzero(sizes > FRAGMENT * total))
    row["fragment"] = 1 - float(sizes.max()) / total
    row["area_jump"] = float(np.abs(np.diff(area)).max(initial=0) / area.max())
    row["touches_edge"] = float(box[0].start == 0 or box[0].stop == len(one.mask))
    row["entropy"] = np.nan if one.entropy is None else one.entropy
    if around is not None:
        row["outside_body"] = float(np.count_nonzero(part & ~around.mask[box])) / total
        middle = around.middle[box[0]]
        there = np.isfinite(middle) & (area > 0)
        if affine is not None and there.any():
            centroid = measure.centroid_mm(one.mask, affine, box)
            assert centroid is not None
            row["midline_mm"] = float(centroid[0] - np.average(middle[there], weights=area[there]))
    return row


def _attributes(
    schema: Schema, names: list[str], boxes: list[tuple[Structure, Box, int]], rows: list[dict[str, float]], affine: Floats | None
) -> dict[str, npt.ArrayLike | Sequence[Any]]:
    """Return the columns of those measures that the schema has."""
    known = schema.attributes_of("label")
    wanted = [name for name in MEASURES if name in known]
    columns: dict[str, list[Any]] = {name: [None] * len(names) for name in wanted}
    lesions = set(schema.under("lesion").tolist())
    sided = set(schema.under(*known["side"].classes).tolist()) if "side" in known else set()
    for i, ((one, box, _), row) in enumerate(zip(boxes, rows, strict=True)):
        number = schema.ids[one.name]
        axes = {"long_axis_mm", "short_axis_mm"} & columns.keys()
        if affine is not None:
            if "volume_ml" in columns:
                columns["volume_ml"][i] = round(row["voxels"] * measure.voxel_ml(affine), DIGITS)
            if number in lesions and axes and (found := measure.diameters_mm(one.mask, affine, box)):
                for name in axes:
                    columns[name][i] = round(found.long if name == "long_axis_mm" else found.short, DIGITS)
        if "side" in columns and (number in sided or one.name.endswith(SIDES)) and np.isfinite(row["midline_mm"]):
            columns["side"][i] = "left" if row["midline_mm"] > 0 else "right"
    return dict(columns)
