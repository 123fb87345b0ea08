"""What maps the pixels of an image to the world: patient millimetres, a map's coordinates, a moment of a video.

Pixel coordinates are (x, y) or (x, y, slice), y down, and the centre of the first pixel is (0.5, 0.5): its top-left corner is the
origin. A slice is counted from the centre of slice 0, since a volume is sampled at slices.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from hyla.errors import HylaError

Points = npt.NDArray[np.float64]
Matrix3 = tuple[tuple[float, float, float], ...]
Matrix4 = tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """Leave pixels as they are: a photo, of which nothing more is known."""

    def to_world(self, points: npt.ArrayLike) -> Points:
        """Return world coordinates of `points` (n, 2) or (n, 3), given in pixels."""
        return np.asarray(points, dtype=np.float64)

    def to_pixels(self, points: npt.ArrayLike) -> Points:
        """Return pixel coordinates of world `points`; the inverse of `to_world`."""
        return np.asarray(points, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class VideoFrame(Frame):
    """Place an image in time.

    Args:
        seconds: presentation time from the start of the stream; never index / fps, since frame rates vary.
        index: number of the frame in decoding order, from 0.
        pts: presentation timestamp in units of `time_base`.
        time_base: (numerator, denominator) of a second.
        intrinsics: camera matrix K (3 x 3, pixels), where the camera was calibrated.
    """

    seconds: float = 0.0
    index: int = 0
    pts: int = 0
    time_base: tuple[int, int] = (1, 1)
    intrinsics: Matrix3 | None = None


@dataclass(frozen=True, slots=True)
class PatientFrame(Frame):
    """Place voxels in the patient: millimetres, LPS (x to the left, y to the back, z to the head).

    Args:
        affine: 4 x 4, from (x, y, slice) counted at voxel centres, as DICOM's image plane equation (PS3.3 C.7.6.2.1.1) does.
        reference: the Frame of Reference UID, which tells what may be compared with what.
    """

    affine: Matrix4 = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    reference: str = ""

    def to_world(self, points: npt.ArrayLike) -> Points:
        """Return mm (n, 3) of pixel points (n, 3): x, y from the corner of the first voxel, slice from its centre."""
        centred = np.asarray(points, dtype=np.float64) - (0.5, 0.5, 0.0)
        matrix = np.array(self.affine)
        return np.asarray(centred @ matrix[:3, :3].T + matrix[:3, 3])

    def to_pixels(self, points: npt.ArrayLike) -> Points:
        """Return pixel points (n, 3) of mm (n, 3)."""
        matrix = np.array(self.affine)
        shifted = np.asarray(points, dtype=np.float64) - matrix[:3, 3]
        centred = np.linalg.solve(matrix[:3, :3], shifted.T).T
        return np.asarray(centred + np.array([0.5, 0.5, 0.0]))


@dataclass(frozen=True, slots=True)
class MapFrame(Frame):
    """Place pixels on a map.

    Args:
        transform: (a, b, c, d, e, f), x = a * column + b * row + c and y = d * column + e * row + f, from the top-left corner
            of the first pixel: the order of the affine package and rasterio.
        crs: the coordinate reference system as `EPSG:32633` or WKT.
    """

    transform: tuple[float, float, float, float, float, float] = (1, 0, 0, 0, 1, 0)
    crs: str = ""

    def to_world(self, points: npt.ArrayLike) -> Points:
        """Return map coordinates (n, 2) of pixel points (n, 2)."""
        a, b, c, d, e, f = self.transform
        return np.asarray(np.asarray(points, dtype=np.float64) @ np.array([[a, d], [b, e]]) + (c, f))

    def to_pixels(self, points: npt.ArrayLike) -> Points:
        """Return pixel points (n, 2) of map coordinates (n, 2)."""
        a, b, c, d, e, f = self.transform
        return np.asarray(np.linalg.solve([[a, b], [d, e]], (np.asarray(points, dtype=np.float64) - (c, f)).T).T)


FRAMES: dict[str, type[Frame]] = {"pixel": Frame, "video": VideoFrame, "patient": PatientFrame, "map": MapFrame}
NAMES = {cls: name for name, cls in FRAMES.items()}


def to_dict(frame: Frame) -> dict[str, Any]:
    """Return `frame` as JSON-able values, with its `kind`."""
    return {"kind": NAMES[type(frame)], **asdict(frame)}


def from_dict(values: dict[str, Any]) -> Frame:
    """Return the frame that `to_dict` wrote; raise HylaError for an unknown kind or field, or a wrong value."""
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in FRAMES:
        raise HylaError(f"unknown frame kind {kind!r}", choices=FRAMES)
    cls = FRAMES[kind]
    known = {f.name for f in fields(cls)}
    rest = {k: v for k, v in values.items() if k != "kind"}
    if unknown := set(rest) - known:
        raise HylaError(f"frame {kind!r} has no field {', '.join(sorted(unknown))}", choices=known)
    try:
        return msgspec.convert(rest, cls)
    except msgspec.ValidationError as e:
        raise HylaError(f"frame {kind!r}: {e}") from e
