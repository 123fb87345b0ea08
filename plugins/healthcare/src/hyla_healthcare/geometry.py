"""Put the slices of a series in order, in patient space: affine, gaps, duplicates, gantry tilt; and tell its volumes apart.

Positions follow PS3.3 C.7.6.2.1.1 (Image Plane): the centre of the first pixel and two direction cosines, in mm, LPS. Slices are
sorted by the projection of their position on the normal of the plane (rows x columns), never by name or InstanceNumber.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla.frame import Matrix4
from hyla_healthcare.instance import ENHANCED, Instance
from hyla_healthcare.slices import Slice, slices_of, thickness

Floats = npt.NDArray[np.float64]

PARALLEL = 1e-3  # largest difference of direction cosines within one volume: 0.06 degrees
SAME_PLACE = 0.01  # mm between positions that are one
MISSING = 0.1  # share of a gap by which it may differ from a whole number of gaps, and still be called missing slices
TILT = 0.1  # degrees from which a sheared volume is called tilted


@dataclass(frozen=True)
class Volume:
    """Hold the slices of one volume in order, D along the normal.

    Args:
        slices: ascending along the normal, so that the affine is right-handed.
        affine: 4 x 4, from (x, y, slice) at voxel centres to mm LPS; sheared where the gantry was tilted.
        gaps: mm between neighbours, along the normal.
        duplicates: slices that came twice and were left out.
    """

    slices: Sequence[Slice]
    affine: Matrix4
    gaps: tuple[float, ...]
    duplicates: int = 0

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Return mm between slices along the normal (of a single one its thickness), rows and columns."""
        first = self.slices[0]
        between = float(np.mean(self.gaps)) if self.gaps else thickness(first)
        return between, first.spacing[0], first.spacing[1]

    @property
    def uneven(self) -> float:
        """Return the largest deviation of a gap from the median gap, as a share of it."""
        if len(self.gaps) < 2:
            return 0.0
        middle = float(np.median(self.gaps))
        return float(np.abs(np.array(self.gaps) - middle).max() / middle)

    @property
    def missing(self) -> int:
        """Return how many slices are lacking, by gaps that are a whole number of the median gap."""
        if len(self.gaps) < 2:
            return 0
        ratio = np.array(self.gaps) / np.median(self.gaps)
        whole = np.round(ratio)
        return int((whole - 1)[(whole > 1) & (np.abs(ratio - whole) <= MISSING * whole)].sum())

    @property
    def tilt(self) -> float:
        """Return the angle in degrees between the normal and the line through the slices; 0 if it is below 0.1."""
        matrix = np.array(self.affine)[:3, :3]
        normal = np.cross(matrix[:, 0], matrix[:, 1])
        length = np.linalg.norm(matrix[:, 2]) * np.linalg.norm(normal)
        angle = float(np.degrees(np.arccos(np.clip(matrix[:, 2] @ normal / length, -1, 1))))
        return angle if angle >= TILT else 0.0


def volumes(instances: Iterable[Instance], same: Callable[[Slice, Slice], bool]) -> list[Volume]:
    """Return the volumes of one series, in an order that does not depend on the names of files.

    Two orientations, sizes, echoes, b-values or kinds (localizer) are volumes of their own. Slices of one place are told apart by
    time, acquisition, gradient or kind of picture; a true duplicate (the same object, or `same` pixels) is left out and counted.

    Raises:
        BadItem: for mixed frames of reference, patients or studies; for a spacing, position or orientation that can't be; for
            slices of one place that nothing tells apart; and for slices that do not lie along a line.
    """
    objects = list(instances)
    _one(objects, "PatientID", lambda i: i.patient)
    _one(objects, "StudyInstanceUID", lambda i: i.study)
    slices = [one for instance in objects for one in slices_of(instance)]
    _one(slices, "FrameOfReferenceUID", lambda s: s.reference)
    found = []
    for group in _apart(slices, _kind):
        for parallel in _by_orientation(group):
            found += _by_phase(parallel, same)
    return sorted(found, key=_order)


def _order(volume: Volume) -> tuple[Any, ...]:
    one = volume.slices[0]
    echo, b_value = one.contrast
    times = tuple((len(word), word) for word in (echo, *one.phases, one.instance.sop))  # shorter numbers are smaller
    return "LOCALIZER" in one.image_type, -1 if b_value is None else b_value, -len(volume.slices), times, one.position


def _kind(one: Slice) -> Hashable:
    """Return what always divides a series: the grid, what was excited, and whether it is a localizer."""
    i = one.instance
    file = (i.concatenation or i.sop or i.number) if i.sop_class in ENHANCED else ""
    spacing = tuple(round(s, 4) for s in one.spacing)
    return file, i.rows, i.columns, i.samples, spacing, "LOCALIZER" in one.image_type, one.contrast


def _by_orientation(slices: Sequence[Slice]) -> list[list[Slice]]:
    groups: list[list[Slice]] = []
    for one in slices:
        for group in groups:
            if max(abs(a - b) for a, b in zip(one.orientation, group[0].orientation, strict=True)) <= PARALLEL:
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _by_phase(slices: Sequence[Slice], same: Callable[[Slice, Slice], bool]) -> list[Volume]:
    """Return the volumes of parallel slices: one, unless slices share a place and something tells them apart."""
    places = _places(slices)
    kept, duplicates = [], 0
    for group in places:
        alone: list[Slice] = []
        for one in group:
            if any((one.instance.sop and _named(one) == _named(other)) or same(one, other) for other in alone):
                duplicates += 1
            else:
                alone.append(one)
        kept.append(alone)
    most = max(map(len, kept))
    if most == 1:
        return [_volume([group[0] for group in kept], duplicates)]
    rest = [one for group in kept for one in group]
    keys: list[Callable[[Slice], Hashable]] = [_image_type, *(partial(_phase, n) for n in range(len(rest[0].phases)))]
    for key in keys:
        groups = _apart(rest, key)
        if len(groups) == most and all(max(map(len, _places(group))) == 1 for group in groups):
            return [_volume(group, duplicates if n == 0 else 0) for n, group in enumerate(groups)]
    shared = sum(len(group) > 1 for group in kept)
    raise BadItem(f"{shared} places have different slices that neither time nor acquisition tells apart", "split the series")


def _image_type(one: Slice) -> Hashable:
    return one.image_type


def _phase(n: int, one: Slice) -> Hashable:
    return one.phases[n]


def _volume(slices: Sequence[Slice], duplicates: int) -> Volume:
    ordered = sorted(slices, key=_along(slices))
    first, last, count = ordered[0], ordered[-1], len(ordered)
    rows, columns = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    normal = np.cross(rows, columns)
    positions = np.array([one.position for one in ordered])
    gaps = tuple(float(gap) for gap in np.diff(positions @ normal))
    if count > 1:
        step = (np.array(last.position) - np.array(first.position)) / (count - 1)
        where = positions[0] + np.outer(positions @ normal - positions[0] @ normal, step / (step @ normal))
        if np.linalg.norm(positions - where, axis=1).max() > max(first.spacing):
            raise BadItem("the slices do not lie along a line: they are no volume", "split the series")
    else:
        step = normal * thickness(first)
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 2] = rows * first.spacing[1], columns * first.spacing[0], step
    matrix[:3, 3] = first.position
    affine = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in matrix)
    return Volume(ordered, affine, gaps, duplicates)


def _places(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Return the slices by place along the normal, ascending."""
    along = _along(slices)
    groups: list[list[Slice]] = []
    last = -np.inf
    for one in sorted(slices, key=along):
        if along(one) - last > SAME_PLACE:
            groups.append([])
            last = along(one)
        groups[-1].append(one)
    return groups


def _along(slices: Sequence[Slice]) -> Callable[[Slice], float]:
    orientation = slices[0].orientation
    normal = np.cross(orientation[:3], orientation[3:])
    return lambda one: float(normal @ np.array(one.position))


def _apart(slices: Sequence[Slice], key: Callable[[Slice], Hashable]) -> list[list[Slice]]:
    groups: dict[Hashable, list[Slice]] = {}
    for one in slices:
        groups.setdefault(key(one), []).append(one)
    return list(groups.values())


def _named(one: Slice) -> tuple[str, int]:
    return one.instance.sop, one.frame


def _one(things: Sequence[Any], name: str, of: Callable[[Any], str]) -> None:
    if (count := len({of(one) for one in things})) > 1:
        raise BadItem(f"the series mixes {count} values of {name}: it is refused, not guessed", "split the series")
