"""Volumes in which each voxel holds the number of a class, and which item such a volume is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.errors import BadItem, FormatError, StageError
from hyla.formats import Loss
from hyla.frame import Frame, PatientFrame
from hyla.pictures import Pictures
from hyla.schema import Schema
from hyla.types import Bools, Item, Kind, Labels, Record, item_id
from hyla_healthcare import nifti
from hyla_healthcare.nifti import Header
from hyla_healthcare.nifti_classes import Classes

Array = npt.NDArray[Any]
Masks = list[tuple[int, Bools]]  # class id, (D, H, W)
Place = tuple[Item, tuple[int, ...], Frame]
TOLERANCE = 0.01  # mm that a corner may be elsewhere: a NIfTI file holds its affine as 32-bit numbers


def numbers(schema: Schema, only: Sequence[str] = ()) -> dict[str, int]:
    """Return class -> number in a labelmap, from 1 without a gap: of classes that may be masks, or of `only` these.

    A class `ignore` comes last, as nnU-Net wants it.
    """
    may = [c.name for c in schema.classes if not c.abstract and "mask" in (c.kinds or schema.kinds)]
    names = [name for name in may if name in (only or may)]
    return {name: n for n, name in enumerate(sorted(names, key=lambda name: name == "ignore"), 1)}


def painted(labels: Labels, size: Sequence[int], schema: Schema, values: Mapping[str, int], loss: Loss) -> Array:
    """Return the labelmap (D, H, W) of masks: of two classes in one voxel the more special one, else the later, wins.

    Args:
        labels: masks of volumes.
        size: (D, H, W).
        schema: of the labels.
        values: class -> number; what it does not name is left out.
        loss: counts labels that no voxel is left of, or that became one with another, and those that lost voxels.
    """
    volume = np.zeros(tuple(size), np.uint8 if max(values.values(), default=0) < 256 else np.uint16)
    depth = [_depth(schema, n) for n in range(len(schema.classes))]
    order = sorted(range(len(labels)), key=lambda row: (depth[labels.class_id[row]], labels.class_id[row]))
    names = [schema.names[c] for c in labels.class_id.tolist()]
    wanted: dict[int, int] = {}
    for row in order:
        if (value := values.get(names[row])) is not None:
            mask = geometry.decode(labels.shape[row])
            volume[mask] = value
            wanted[value] = wanted.get(value, 0) + int(mask.sum())
    left = np.bincount(volume.ravel(), minlength=1)
    kept = [value for value in wanted if value < len(left) and left[value]]
    loss.count("mask", len(labels) - len(kept))
    loss.count("mask as cut mask", sum(left[value] < wanted[value] for value in kept))
    return volume


def split(volume: Array, table: Mapping[int, str], classes: Classes, where: str) -> Masks:
    """Return one mask per class of a labelmap (D, H, W); several numbers may mean one class.

    Raises:
        FormatError: for voxels that are no whole numbers, and as `Classes.meant` does.
    """
    found: dict[int, list[int]] = {}
    values: set[float] = set()
    for one in volume:
        values.update(np.unique(one).tolist())
    if any(value != int(value) or value < 0 for value in values):
        raise FormatError(f"{where} is no labelmap: not all voxels are whole numbers from 0", "name the folder of segmentations")
    for value in sorted(int(value) for value in values if value):
        for class_id in classes.meant(value, table.get(value, ""), where):
            found.setdefault(class_id, []).append(value)
    return [(class_id, np.isin(volume, some)) for class_id, some in sorted(found.items())]


def record(place: Place, masks: Masks, schema: Schema, where: str) -> Record:
    """Return the record of masks; raise FormatError for labels that the schema does not allow. An empty mask is left out."""
    item, size, frame = place
    shapes = [(class_id, geometry.encode(mask)) for class_id, mask in masks if mask.any()]
    labels = Labels.of([c for c, _ in shapes], kind=Kind.MASK, shape=[s for _, s in shapes])
    try:
        schema.check(labels, size)
    except StageError as error:
        raise FormatError(f"{where}: {error.what}", error.hint, error.choices) from error
    return Record(item, labels, size=size, frame=frame)


def volume(file: Path, place: Place) -> Array:
    """Return the voxels of a file as (D, H, W) on the grid of its item, its axes swapped and flipped as need be.

    Raises:
        FormatError: for a file that can't be read, has another size, or lies more than 0.01 mm elsewhere.
    """
    _, size, frame = place
    try:
        known = nifti.header(file)
        like = np.array(frame.affine) if isinstance(frame, PatientFrame) else None
        values, affine = nifti.turned(nifti.stored(file, known), known.affine, like)
        values = nifti.scaled(values.transpose(2, 1, 0), known)
    except BadItem as error:
        raise FormatError(f"{file}: {error.what}", error.hint) from error
    if values.shape != tuple(size):
        theirs, ours = (" x ".join(map(str, reversed(s))) for s in (values.shape, size))
        raise FormatError(f"{file} has {theirs} voxels, its item {ours}", "the labels are of another series, or were resampled")
    if like is not None and (off := _distance(affine, like, size)) > TOLERANCE:
        raise FormatError(
            f"{file} lies {off:.3g} mm from its item", "the labels are of another series, or were resampled: resample them back"
        )
    return values


class Places:
    """Find the item that a file is of.

    Args:
        known: item, size and frame of each item of the project.
        source: what the items came from: a file of it may be an item too, and is no label of itself.
    """

    def __init__(self, known: Iterable[Place], source: str = "") -> None:
        self.known = list(known)
        self.source = Path(source) if Path(source).is_dir() else Path(source).parent
        self.ids = {item.id: (item, size, frame) for item, size, frame in self.known}

    @classmethod
    def of(cls, pictures: Pictures | None) -> Places:
        """Return the places of a project; of none, where there is no project."""
        if pictures is None:
            return cls(())
        return cls(((one.item, one.size, one.frame) for one in pictures.known() if len(one.size) == 3), pictures.source)

    def find(self, name: str, file: Path, chosen: bool = False) -> Place:
        """Return the item with this id, path or name, else the one that lies where `file` does, else an item of its own.

        Args:
            name: path of the file relative to what is read, or the name that the user chose.
            file: NIfTI or NRRD.
            chosen: whether only `name` counts.

        Raises:
            FormatError: if several items fit, or the file can't be read.
        """
        bare = nifti.stem(Path(name))
        others = [p for p in self.known if (self.source / p[0].uri) != file.resolve()]
        named = [p for p in others if name in (p[0].id, p[0].uri) or bare == p[0].id]
        named = named or [p for p in others if bare == nifti.stem(Path(p[0].uri))]
        header = _header(file)
        fits = named or ([] if chosen else [p for p in others if _here(p, header)])
        if len(fits) > 1:
            raise FormatError(f"{file} fits {len(fits)} items", "say which: item=ID", [p[0].id for p in fits[:5]])
        if not fits and chosen:
            raise FormatError(f"the project has no item {name!r}", "give its id or path", [p[0].id for p in self.known[:5]])
        if not fits and len(others) < len(self.known):
            raise FormatError(f"{file} is an item itself, and no other lies in the same place", "say which it is of: item=ID")
        if fits:
            return fits[0]
        shape, affine = _grid(header)
        return Item(item_id(name), name, kind="series"), shape, nifti.frame_of(affine)


def _header(file: Path) -> Header:
    try:
        return nifti.header(file)
    except BadItem as error:
        raise FormatError(f"{file}: {error.what}", error.hint) from error


def _grid(header: Header, like: Array | None = None) -> tuple[tuple[int, ...], Array]:
    """Return size (D, H, W) and affine of a file, its axes in the order of `like`."""
    values, affine = nifti.turned(np.broadcast_to(np.uint8(0), header.shape), header.affine, like)
    return values.shape[::-1], affine


def _here(place: Place, header: Header) -> bool:
    """Tell whether a file lies where an item does."""
    _, size, frame = place
    if not isinstance(frame, PatientFrame) or sorted(header.shape) != sorted(size):
        return False
    like = np.array(frame.affine)
    shape, affine = _grid(header, like)
    return shape == tuple(size) and _distance(affine, like, size) <= TOLERANCE


def _distance(a: Array, b: Array, size: Sequence[int]) -> float:
    """Return the millimetres between the places that two affines give to a corner, at the corner where it is most."""
    depth, height, width = size
    corners = np.array([[x, y, z, 1] for x in (0, width - 1) for y in (0, height - 1) for z in (0, depth - 1)], dtype=np.float64)
    return float(np.linalg.norm((corners @ (a - b).T)[:, :3], axis=1).max())


def _depth(schema: Schema, class_id: int) -> int:
    depth, parent = 0, schema.classes[class_id].parent
    while parent:
        depth, parent = depth + 1, schema.classes[schema.ids[parent]].parent
    return depth
