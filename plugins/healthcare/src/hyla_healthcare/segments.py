"""What labels become in a DICOM segmentation: which rows make a segment, what it is called, and who made it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.formats import Loss
from hyla.schema import Schema
from hyla.types import Bools, Kind, Labels, Record, Rle
from hyla_healthcare import coding
from hyla_healthcare.originals import uid_of

if TYPE_CHECKING:
    from hyla_healthcare.coding import Meaning

ALGORITHMS = ("AUTOMATIC", "SEMIAUTOMATIC", "MANUAL")
SAME = 0.5  # intersection over union from which a mask of another class is the model's, renamed by a person


@dataclass(frozen=True)
class Segment:
    """Hold what becomes one segment.

    Args:
        number: from 1.
        label: what people read.
        class_id: of the schema.
        masks: run lengths, of the size of the record; together they are the segment.
        meaning: its codes.
        algorithm: AUTOMATIC, SEMIAUTOMATIC or MANUAL (PS3.3 C.8.20.4).
        tracking: identifier and UID, the same in every export of the label.
    """

    number: int
    label: str
    class_id: int
    masks: tuple[Rle, ...]
    meaning: Meaning
    algorithm: str
    tracking: tuple[str, str]

    def mask(self) -> Bools:
        """Return the mask (D, H, W), D = 1 for a radiograph."""
        whole = reduce(np.logical_or, [geometry.decode(one) for one in self.masks])
        return whole if whole.ndim == 3 else whole[None]


class Algorithm(NamedTuple):
    """Name the model behind a record; its version is the start of the digest of its weights where it `learned` any."""

    name: str
    version: str
    learned: bool


def algorithm_of(record: Record, proposed: Record | None) -> Algorithm:
    """Return the model behind a record, or Hyla where there is none."""
    source = record.source if proposed is None else proposed.source
    name, _, digest = source.removeprefix("model:").partition("@")
    if not source.startswith("model:"):
        return Algorithm("hyla", version("hyla"), False)
    return Algorithm(name, digest or version("hyla-healthcare"), bool(digest))


def of(
    record: Record,
    schema: Schema,
    together: bool,
    proposed: Record | None,
    loss: Loss,
    carries: Collection[str] = (),
    origin: Sequence[str] = (),
) -> list[Segment]:
    """Return the segments of a record, and count in `loss` what they can't carry.

    Args:
        record: of a volume or a radiograph. Of a radiograph, polygons become masks.
        schema: of its labels.
        together: make one segment of all labels of a class.
        proposed: what the machine said of the item, where a person's labels may have come from it.
        loss: to add to.
        carries: words of `Loss` that the file holds beside the segments.
        origin: what names the images of the source: tracking UIDs come from it.
    """
    flat = len(record.size) == 2
    carries = (*carries, "frame", "source", *(() if together else ("attribute.side",)))
    labels = loss.take(record, ("mask", "polygon") if flat else ("mask",), carries)
    masks = [_mask(int(k), shape, record.size) for k, shape in zip(labels.kind, labels.shape, strict=True)]
    loss.count("polygon as mask", (labels.kind == Kind.POLYGON).sum())
    kept = np.array([m.size == tuple(record.size) and geometry.rle_area(m) > 0 for m in masks], dtype=bool)
    loss.count("mask", (~kept).sum())
    rows = np.flatnonzero(np.isin(record.labels.kind, (Kind.MASK, Kind.POLYGON) if flat else (Kind.MASK,)))
    algorithms = _algorithms(record, labels, masks, proposed)
    groups: dict[int, list[int]] = {}
    for i in np.flatnonzero(kept).tolist():
        groups.setdefault(int(labels.class_id[i]) if together else i, []).append(i)
    loss.count("mask as joined mask", sum(len(g) - 1 for g in groups.values()))
    names = Counter(schema.names[int(labels.class_id[g[0]])] for g in groups.values())
    seen: Counter[str] = Counter()
    out = []
    for number, members in enumerate(groups.values(), 1):
        class_id = int(labels.class_id[members[0]])
        name = schema.names[class_id]
        seen[name] += 1
        side = None if together else _side(labels, members[0])
        meaning = coding.meaning(schema, class_id, side)
        loss.count("attribute", side is not None and meaning.side is not None and meaning.side.meaning.lower() != side)
        which = name if together else f"{name} {int(rows[members[0]])}"
        out.append(
            Segment(
                number,
                (name if names[name] == 1 else f"{name} {seen[name]}")[:64],
                class_id,
                tuple(masks[i] for i in members),
                meaning,
                _together({algorithms[i] for i in members}),
                (which, uid_of("tracking", *origin, which)),
            )
        )
    return out


def stacked(found: Sequence[Segment], size: Sequence[int], kind: str, loss: Loss) -> npt.NDArray[Any]:
    """Return the voxels of all segments as highdicom takes them: numbers (D, H, W) if none overlap, else bits (D, H, W, n).

    Numbers need one or two bytes a voxel, bits one byte a voxel and segment.
    """
    areas = np.array([_area(one.masks) for one in found])
    overlap = areas.sum() > _area([mask for one in found for mask in one.masks])
    if overlap and kind != "labelmap":
        bits = np.zeros((len(found), *size), bool)
        for i, one in enumerate(found):
            bits[i] = one.mask()
        return np.moveaxis(bits, 0, -1)
    numbers = np.zeros(size, np.uint8 if len(found) < 256 else np.uint16)
    for i in np.argsort(-areas, kind="stable"):  # what is small lies on top
        numbers[found[i].mask()] = found[i].number
    if overlap:
        seen = np.bincount(numbers.reshape(-1), minlength=len(found) + 1)[1:]
        loss.count("mask", (seen == 0).sum())
        loss.count("overlap", ((seen > 0) & (seen < areas)).sum())
    return numbers


def _area(masks: Sequence[Rle]) -> int:
    """Return the number of voxels in any of `masks`."""
    from pycocotools import mask as coco

    return int(coco.area(coco.merge([geometry.coco_rle(one) for one in masks])))


def _mask(kind: int, shape: Any, size: Sequence[int]) -> Rle:
    return geometry.encode(geometry.rasterize(shape, size)) if kind == Kind.POLYGON else shape


def _side(labels: Labels, row: int) -> str | None:
    column = labels.attributes.get("side")
    value = None if column is None else column[row]
    return value if isinstance(value, str) and value in coding.SIDE_CODES else None


def _algorithms(record: Record, labels: Labels, masks: Sequence[Rle], proposed: Record | None) -> list[str]:
    """Return how each mask was made.

    A machine's are AUTOMATIC, and so are those that a person took over as they were. One that a person drew over a proposal is
    SEMIAUTOMATIC: it meets one of its class, or is mostly one of another class. All else is MANUAL: drawn from scratch, or of an
    origin that nobody knows.
    """
    if record.source.startswith("model:"):
        return ["AUTOMATIC"] * len(masks)
    if proposed is None or not record.source.startswith("human:"):
        return ["MANUAL"] * len(masks)
    given = [
        (int(c), _mask(int(k), s, record.size))
        for c, k, s in zip(proposed.labels.class_id, proposed.labels.kind, proposed.labels.shape, strict=True)
        if k in (Kind.MASK, Kind.POLYGON)
    ]
    given = [(c, m) for c, m in given if m.size == tuple(record.size)]
    out = []
    for class_id, mask in zip(labels.class_id.tolist(), masks, strict=True):
        overlap = (
            geometry.shape_iou(Kind.MASK, [mask], [m for _, m in given])[0] if given and mask.size == given[0][1].size else []
        )
        same = [c == class_id for c, _ in given]
        if any(c == class_id and m == mask for c, m in given):
            out.append("AUTOMATIC")
        elif any((o > 0 and s) or o >= SAME for o, s in zip(overlap, same, strict=False)):
            out.append("SEMIAUTOMATIC")
        else:
            out.append("MANUAL")
    return out


def _together(found: set[str]) -> str:
    return found.pop() if len(found) == 1 else "SEMIAUTOMATIC"
