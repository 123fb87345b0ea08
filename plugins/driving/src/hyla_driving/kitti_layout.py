"""Find the pictures of KITTI's benchmarks, with their times and camera matrices."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from hyla.errors import BadItem, ConfigError
from hyla.frame import Matrix3
from hyla.hooks import Loader, hookimpl
from hyla.images import MAX_PIXELS, inside, read_image
from hyla.types import Image, Item, item_id
from hyla.video import moment

HZ = 10.0  # Geiger et al., IJRR 2013: the cameras are triggered at 10 Hz
MAX_TEXT = 1 << 20  # bytes of a calibration or a list of times


@dataclass(frozen=True)
class Place:
    """Say where a KITTI benchmark keeps the pictures of a camera.

    Args:
        folder: pattern of the folders of frames, from the source; {c} is the camera.
        calib: the calibration, from such a folder; {stem} is the picture's name, {folder} the folder's.
        times: the timestamps of a sequence, from such a folder.
        sequence: True if a folder is a sequence, False if its pictures stand alone.
    """

    folder: str
    calib: str
    times: str = ""
    sequence: bool = True


PLACES = (
    Place("*ing/image_{c}", "../calib/{stem}.txt", sequence=False),  # object benchmark
    Place("image_{c}", "../calib/{stem}.txt", sequence=False),  # one half of it
    Place("*ing/image_0{c}/*", "../../calib/{folder}.txt"),  # tracking benchmark
    Place("sequences/*/image_{c}", "../calib.txt", "../times.txt"),  # odometry benchmark
    Place("*_drive_*/image_0{c}/data", "../../../calib_cam_to_cam.txt", "../timestamps.txt"),  # raw data of one day
    Place("*/*_drive_*/image_0{c}/data", "../../../calib_cam_to_cam.txt", "../timestamps.txt"),  # of several days
)


class Kitti(Loader):
    """Load KITTI: the object benchmark as single pictures; tracking, odometry and raw drives as sequences.

    Where there is a calibration, the camera matrix comes with the picture, as `VideoFrame.intrinsics`.

    Args:
        camera: 0 and 1 are grey, 2 and 3 colour (left and right).
        max_pixels: refuse larger pictures before they are decoded.
    """

    def __init__(self, camera: int = 2, max_pixels: int = MAX_PIXELS) -> None:
        self.camera, self.max_pixels = camera, max_pixels
        self.root = Path()
        self._matrix = lru_cache(maxsize=64)(self._read_matrix)

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return the pictures of the camera, sorted; None unless `source` is a folder laid out as one of KITTI's benchmarks."""
        root = Path(source).expanduser().resolve()
        if "://" in source or not root.is_dir():
            return None
        found = [(p, f) for p in PLACES for f in sorted(root.glob(p.folder.format(c=self.camera))) if f.is_dir()]
        if not found:
            return None
        self.root = root
        return (item for place, folder in found for item in self._items(place, folder))

    @hookimpl
    def load(self, item: Item) -> Image:
        """Return the picture, placed in time in a sequence; raise BadItem if it, or its calibration, can't be read."""
        pixels = read_image(inside(self.root, item.uri), self.max_pixels)
        matrix = self._matrix(str(item.meta.get("calib") or ""))
        seconds = item.meta.get("seconds")
        if matrix is None and seconds is None:
            return Image(pixels, item)
        return Image(pixels, item, moment(seconds or 0.0, item.index, matrix))

    def _items(self, place: Place, folder: Path) -> Iterator[Item]:
        base = folder.relative_to(self.root).as_posix()
        names = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg") and not p.name.startswith("."))
        times = _read_times(folder / place.times) if place.times else []
        for index, name in enumerate(names):
            uri = f"{base}/{name}"
            calib = folder / place.calib.format(stem=Path(name).stem, folder=folder.name)
            meta: dict[str, Any] = (
                {"calib": calib.resolve().relative_to(self.root).as_posix()} if _within(calib, self.root) else {}
            )
            if not place.sequence:
                yield Item(item_id(uri), uri, meta=meta)
                continue
            meta["seconds"] = times[index] if index < len(times) else index / HZ
            yield Item(item_id(uri), uri, base, index, "image", meta)

    def _read_matrix(self, uri: str) -> Matrix3 | None:
        """Return the left 3 x 3 of the projection matrix of the rectified camera (P2, or P_rect_02 in raw data)."""
        if not uri:
            return None
        path = inside(self.root, uri)
        try:
            match = re.search(rf"^P(?:_rect_0)?{self.camera}:(.*)$", _text(path), re.MULTILINE)
            p = [float(word) for word in match.group(1).split()] if match else []
            if len(p) != 12:
                raise ValueError(f"no projection matrix P{self.camera} of 12 numbers")
        except (OSError, ValueError) as error:
            raise BadItem(f"calibration {uri} can't be read: {error}", "restore it, or take it away") from error
        return (p[0], p[1], p[2]), (p[4], p[5], p[6]), (p[8], p[9], p[10])


def _read_times(path: Path) -> list[float]:
    """Return seconds from the first line, of a file with seconds or dates; nothing if there is no such file."""
    if not path.is_file():
        return []
    try:
        seconds = [_seconds(line) for line in _text(path).splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read as times: {error}", "restore it, or take it away") from error
    return [s - seconds[0] for s in seconds]


def _seconds(line: str) -> float:
    try:
        return float(line)
    except ValueError:
        whole, _, fraction = line.strip().partition(".")  # nanoseconds, which datetime does not read
        return (datetime.fromisoformat(whole) - datetime(2011, 1, 1)).total_seconds() + float(f"0.{fraction or 0}")


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_TEXT:
        raise ValueError(f"it has more than {MAX_TEXT >> 20} MiB")
    return path.read_text(encoding="utf-8")


def _within(path: Path, root: Path) -> bool:
    return path.is_file() and path.resolve().is_relative_to(root)
