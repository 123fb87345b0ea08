"""Load recordings of cameras: clips, MOTChallenge folders and sequences of pictures, as they lie in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

import numpy as np

from hyla.errors import ConfigError
from hyla.hooks import Loader, hookimpl
from hyla.images import EXTENSIONS as PICTURES
from hyla.images import MAX_PIXELS, beside, files, inside, read_image
from hyla.types import Image, Item, item_id
from hyla.video import EXTENSIONS as CLIPS
from hyla.video import Video, moment
from hyla_surveillance.camera import Camera, Cameras
from hyla_surveillance.camera_file import open_cameras
from hyla_surveillance.moments import moment_of
from hyla_surveillance.sequences import MAX_RATE, Info, Shot, read_info, sequence

HOLDERS = frozenset({"img1", "img", "imgs", "images", "frames", "jpg", "pictures"})  # folders within a sequence, not its name
ROOT = "frames"  # the group of pictures that lie in the source itself


class Recordings(Loader):
    """Load the recordings of a site: each clip, and each folder of pictures that follow each other, is a group of frames.

    What is found is told by itself: clips by their extension; a MOTChallenge folder by its seqinfo.ini; else pictures of one
    folder whose names all end in a number, or hold a moment, as a sequence. Other pictures stand alone. `Item.meta` has seconds,
    pts, camera and, where it is known, utc: by the moment in the name of the clip or picture, by what the container says, or by
    `start` in the YAML of the camera, in this order, and moved by its `clock_offset`.

    Args:
        cameras: see hyla_surveillance.camera_file.open_cameras.
        fps: keep the frames nearest to a grid of so many per second; None for every frame.
        start, stop: keep what is shown from `start` until before `stop`, in seconds from the first frame.
        sequence_fps: frames per second of pictures whose rate nothing tells.
        threads: of the decoder, per clip; 0 for one per core.
        max_pixels: refuse larger frames and pictures before they are decoded.

    Raises:
        ConfigError: for a rate or range that can't be.
    """

    def __init__(
        self,
        cameras: str | None = "auto",
        fps: float | None = 8.0,
        start: float = 0.0,
        stop: float | None = None,
        sequence_fps: float = 25.0,
        threads: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if not 0 < sequence_fps <= MAX_RATE:
            raise ConfigError(f"sequence_fps is {sequence_fps}", f"give more than 0 and at most {MAX_RATE:g}")
        self.clips = Video(1, fps, start, stop, max_pixels=max_pixels, threads=threads)
        self.setting, self.sequence_fps, self.max_pixels = cameras, sequence_fps, max_pixels
        self.root = Path()
        self.cameras = Cameras()
        self._lock = Lock()
        self._states: dict[str, dict[str, Any]] = {}

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return the kept frames, sorted by path; None unless `source` is a folder, a clip or a picture.

        Raises:
            ConfigError: for a camera's YAML that is named and missing, or that can't be used.
        """
        found = files(source, {*CLIPS, *PICTURES})
        if found is None:
            return None
        self.root = self.clips.root = found[0]
        self.cameras = open_cameras(self.setting, source)
        return self._items(found[1], Path(source).is_file())

    @hookimpl
    def load(self, item: Item) -> Image | None:
        """Return a frame or picture with what is declared of its camera; raise BadItem for one that can't be read."""
        if PurePosixPath(item.uri).suffix.lower() in PICTURES:
            pixels = read_image(inside(self.root, item.uri), self.max_pixels)
            seconds = item.meta.get("seconds")
            image = Image(pixels, item) if seconds is None else Image(pixels, item, moment(seconds, item.index))
        else:
            loaded = self.clips.load(item)
            if loaded is None:
                return None
            image = loaded
        camera = self.cameras.of(str(item.meta.get("camera") or ""))
        self._saw(camera, image.size)
        return replace(image, context=context_of(camera))

    @hookimpl
    def close(self, group: str) -> None:
        """Close the clip of `group`."""
        self.clips.close(group)

    @hookimpl
    def state(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what is known of each camera whose frames were loaded; see `hyla.hooks.Loader.state`."""
        with self._lock:
            return {name: {**values, "problems": list(values["problems"])} for name, values in self._states.items()}

    def _items(self, uris: Iterator[str], single: bool) -> Iterator[Item]:
        done: set[str] = set()
        for uri in uris:
            if PurePosixPath(uri).suffix.lower() in CLIPS:
                yield from self._clip(uri)
                continue
            folder = uri.rpartition("/")[0]
            if folder not in done:
                done.add(folder)
                names = [PurePosixPath(uri).name] if single else beside(self.root, uri, frozenset(PICTURES))
                yield from self._pictures(folder, names)

    def _clip(self, uri: str) -> Iterator[Item]:
        camera = self.cameras.of(self.cameras.of_file(uri))
        named = moment_of(PurePosixPath(uri).name, camera.zone)
        for item in self.clips.frames(uri):
            created = item.meta.get("created")
            meta = {key: value for key, value in item.meta.items() if key != "created"}
            begin = next((one for one in (named, created, _start(camera)) if one is not None), None)
            yield replace(item, meta={**meta, "camera": camera.name, **_told(camera, begin, item.meta.get("seconds"))})

    def _pictures(self, folder: str, names: list[str]) -> Iterator[Item]:
        info = read_info(self.root / folder)
        first = f"{folder}/{names[0]}" if folder else names[0]
        named = self.cameras.named(first)
        camera = self._camera(folder, info) if named is None else self.cameras.of(named)
        zone = camera.zone
        rate = (info and info.rate) or self.sequence_fps
        shots = sequence(names, rate, zone, 1 if info else None)
        prefix = f"{folder}/" if folder else ""
        if shots is None:
            for name in names:
                one = self.cameras.of(self.cameras.of_file(f"{prefix}{name}")) if not info else camera
                yield Item(
                    item_id(prefix + name), prefix + name, meta={"camera": one.name, **_told(one, moment_of(name, zone), 0.0)}
                )
            return
        seconds = np.array([shot.seconds for shot in shots])
        for i in self.clips.kept(seconds - seconds[0]).tolist():
            yield self._shot(prefix, folder or ROOT, shots[i], camera)

    def _shot(self, prefix: str, group: str, shot: Shot, camera: Camera) -> Item:
        uri = prefix + shot.name
        known = _told(camera, shot.utc, 0.0) if shot.utc is not None else _told(camera, _start(camera), shot.seconds)
        meta = {"seconds": shot.seconds, "pts": round(shot.seconds * 1e6), "camera": camera.name, **known}
        return Item(item_id(uri), uri, group, shot.index, "video_frame", meta)

    def _camera(self, folder: str, info: Info | None) -> Camera:
        """Return the camera of a folder of pictures; a folder that only holds the pictures of a sequence is not its name."""
        name = PurePosixPath(folder).name
        holder = folder.rpartition("/")[0] if name.lower() in HOLDERS or (info and info.folder == name) else folder
        name = holder or (info and info.name) or self.root.name
        return self.cameras.of(self.cameras.of_file(f"{name}/x"))

    def _saw(self, camera: Camera, size: tuple[int, ...]) -> None:
        with self._lock:
            known = self._states.setdefault(
                camera.name, {"state": "recorded", "described": self.cameras.knows(camera.name), "frames": 0, "problems": []}
            )
            known["frames"] += 1
            shown = list(size[:2])
            if known.get("size") != shown:
                known["size"] = shown
                for problem in problems_of(camera, size):
                    if problem not in known["problems"]:
                        known["problems"].append(problem)


def context_of(camera: Camera) -> dict[str, Any]:
    """Return what is said of every picture of a camera: its name and what was declared of it."""
    declared = ",".join(f"{key}={value}" for key, value in sorted(camera.declared.items()))
    site = camera.declared.get("site")
    return {"camera": camera.name, **({"site": site} if site else {}), **({"declared": declared} if declared else {})}


def noted(camera: Camera) -> dict[str, float]:
    """Return what `Item.meta` keeps of a camera: for how many hours a frame may be kept, and how many zones are hidden.

    See `hyla.retain`. Who loses the camera's YAML must not see what it hides; see `hyla_surveillance.redact`.
    """
    kept = {} if camera.retention_hours is None else {"retention_hours": camera.retention_hours}
    hidden = len(camera.purposes("hidden"))
    return kept | ({"hidden_zones": hidden} if hidden else {})


def problems_of(camera: Camera, size: tuple[int, ...]) -> list[str]:
    """Return in words what of a camera's YAML can't hold for pictures of `size` (height, width)."""
    where = f"the picture of {size[1]} x {size[0]} pixels: it never holds; draw it on a frame of this camera"
    return [f"{name} lies outside {where}" for name in camera.outside(size)]


def _start(camera: Camera) -> float | None:
    return None if camera.start is None else camera.start.timestamp()


def _told(camera: Camera, begin: float | None, seconds: float | None) -> dict[str, float]:
    known = {} if begin is None or seconds is None else {"utc": begin + seconds + camera.clock_offset}
    return known | noted(camera)
