"""Label live streams of cameras as they come."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from hyla.errors import BadItem, ConfigError, did_you_mean
from hyla.frame import VideoFrame
from hyla.hooks import Loader, hookimpl
from hyla.images import MAX_PIXELS
from hyla.live import without_secrets
from hyla.types import Image, Item, item_id
from hyla_surveillance.camera import Camera, Cameras
from hyla_surveillance.camera_file import EXTENSIONS, FOLDER, listed, open_cameras
from hyla_surveillance.loaders import context_of, noted, problems_of
from hyla_surveillance.record import FOLDER as RECORDINGS
from hyla_surveillance.record import TICKS, Recorded, Recorder, ticks
from hyla_surveillance.stream import Frames, Settings, Shot, Stream, decoded

SCHEMES = ("rtsp", "rtsps", "http", "https", "udp")
BEAT = 0.5  # s after which a run is told that nothing came
DAY = 86_400.0  # s: the timestamps of a recording begin again after 26 hours


class Live(Loader):
    """Follow live streams: a session of a camera is a group, which begins with each run and goes on until the run ends.

    A source is the address of a stream; a YAML of names and addresses (`gate: rtsp://10.0.0.7/live`); or a folder with `cameras/`
    whose YAMLs have a `url`. `${NAME}` in an address is taken from the environment. Frames that were labelled are recorded in the
    folder `recordings` of the project, from which they are loaded later.

    Args:
        cameras: see hyla_surveillance.camera_file.open_cameras.
        fps: frames per second that are kept, at most; None for all.
        camera: name of the camera, of an address; None for one made of the address.
        record: keep the frames that are labelled; without them nobody can look at them later.
        gap: seconds without a picture after which another session begins, since nobody knows who is who after that.
        session: seconds after which another session begins, so that rules judge it and people can decide on it; a day at most.
        overlap: seconds for which a session that is over goes on beside the next, so that what happens just then is seen whole by
            one of both; more than any behaviour needs to be sure.
        segment: seconds of one file of a recording.
        max_pixels: larger frames are dropped.
        stream: how streams are held, by the names of hyla_surveillance.stream.Settings.
        project: folder of the project.

    Raises:
        ConfigError: for a setting that can't be.
    """

    def __init__(
        self,
        cameras: str | None = "auto",
        fps: float | None = 8.0,
        camera: str | None = None,
        record: bool = True,
        gap: float = 30.0,
        session: float = 3600.0,
        overlap: float = 120.0,
        segment: float = 60.0,
        max_pixels: int = MAX_PIXELS,
        stream: Mapping[str, Any] | None = None,
        project: Path | None = None,
    ) -> None:
        if fps is not None and not 0 < fps <= 1000:
            raise ConfigError(f"loader.fps is {fps}", "give more than 0 and at most 1000, or null for every frame")
        for name, value, most in (("gap", gap, DAY), ("session", session, DAY), ("segment", segment, DAY)):
            if not 0 < value <= most:
                raise ConfigError(f"loader.{name} is {value}", f"give seconds, more than 0 and at most {most:g}")
        if not 0 <= overlap <= session:
            raise ConfigError(f"loader.overlap is {overlap}", f"give seconds, from 0 to session={session:g}")
        self.setting, self.fps, self.camera, self.max_pixels = cameras, fps, camera, max_pixels
        self.gap, self.session, self.overlap, self.segment = gap, session, overlap, segment
        self.settings = _settings(stream or {})
        self.cameras = Cameras()
        self._folder = None if project is None or not record else Path(project) / RECORDINGS
        self._recorded = Recorded(Path(project or ".") / RECORDINGS)
        self._urls: dict[str, str] = {}
        self._streams: dict[str, Stream] = {}
        self._problems: dict[str, list[str]] = {}
        self._lock = Lock()
        self._groups: set[str] = set()
        self.frames: Callable[[str, Settings], Frames] = decoded

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return one item per stream; None unless `source` is an address of a stream or names some.

        Raises:
            ConfigError: for a YAML that can't be used, or an address that can't be.
        """
        cameras = open_cameras(self.setting, source)
        urls = self._addresses(source, cameras)
        if urls is None:
            return None
        self.cameras, self._urls = cameras, {name: address_of(name, url) for name, url in urls.items()}
        return (Item(item_id(name), name, kind="stream", meta={"camera": name}) for name in self._urls)

    @hookimpl
    def follow(self, item: Item) -> Generator[Image | str | None, None, None] | None:
        """Yield the frames of a stream as they come; see `hyla.hooks.Loader.follow`."""
        return self._follow(item.uri) if item.kind == "stream" else None

    @hookimpl
    def load(self, item: Item) -> Image | None:
        """Return a frame as it was recorded; raise BadItem for one that is not there."""
        if item.kind != "video_frame":
            raise BadItem(f"{item.uri} is a live stream, which is followed and can't be loaded")
        image = self._recorded.load(item)
        camera = self.cameras.of(str(item.meta.get("camera") or ""))
        return None if image is None else replace(image, context=context_of(camera))

    @hookimpl
    def close(self, group: str) -> None:
        """Close the recording of `group`."""
        self._recorded.close(group)

    @hookimpl
    def state(self) -> Mapping[str, Mapping[str, Any]]:
        """Return how each stream fares; see `hyla.hooks.Loader.state`."""
        with self._lock:
            streams, problems = dict(self._streams), {name: list(some) for name, some in self._problems.items()}
        known = {"described": False, "problems": []}
        return {
            name: {**known, **one.state(), "described": self.cameras.knows(name), "problems": problems.get(name, [])}
            for name, one in streams.items()
        }

    def open_stream(self, url: str) -> Stream:
        """Return a stream that begins to be read."""
        return Stream(url, self.fps, self.settings, self.max_pixels, self.frames)

    def _addresses(self, source: str, cameras: Cameras) -> dict[str, str] | None:
        if "://" in source:
            if source.partition("://")[0].lower() not in SCHEMES:
                return None
            plain = without_secrets(source)
            urls = {name: os.path.expandvars(cameras.of(name).url) for name in cameras.names}
            known = [name for name, url in urls.items() if url == os.path.expandvars(source)]
            known = known or [name for name, url in urls.items() if without_secrets(url) == plain]
            return {self.camera or (known[0] if len(known) == 1 else _name_of(plain)): source}
        path = Path(source).expanduser()
        if path.is_file() and path.suffix.lower() in EXTENSIONS:
            if (named := listed(path)) is not None:
                return named
        elif not path.is_dir():
            return None
        return {name: cameras.of(name).url for name in cameras.names if cameras.of(name).url} or None

    def _follow(self, name: str) -> Generator[Image | str | None, None, None]:
        stream = self.open_stream(self._urls[name])
        with self._lock:
            self._streams[name] = stream
        sessions: list[_Session] = []
        try:
            while True:
                shot = stream.get(BEAT)
                for session in [one for one in sessions if self._over(one, shot, stream)]:
                    sessions.remove(session)
                    session.close()
                    yield session.group
                if shot is not None:
                    if not sessions or shot.seconds - sessions[-1].first >= self.session:
                        sessions.append(self._begin(name, shot))
                    for session in sessions:
                        yield session.image(shot)
                elif stream.ended:
                    return
                else:
                    yield None
        finally:
            stream.close()
            for session in sessions:
                session.close()

    def _over(self, session: _Session, shot: Shot | None, stream: Stream) -> bool:
        if shot is None:
            return stream.lost_for() > self.gap
        return shot.seconds - session.last > self.gap or shot.seconds - session.first >= self.session + self.overlap

    def _begin(self, name: str, shot: Shot) -> _Session:
        with self._lock:
            folder, moment = _safe(name), round(shot.utc * 1000)
            while (
                group := f"{folder}/{datetime.fromtimestamp(moment / 1000, UTC):%Y%m%dT%H%M%S}.{moment % 1000:03d}Z"
            ) in self._groups:
                moment += 1
            self._groups.add(group)
        recorder = None if self._folder is None else Recorder(self._folder, group, self.segment)
        return _Session(group, self.cameras.of(name), shot, recorder, self._problem)

    def _problem(self, camera: str, problem: str) -> None:
        with self._lock:
            known = self._problems.setdefault(camera, [])
            if problem not in known:
                known.append(problem)


class _Session:
    """Make images of the frames of one camera, from when it connected until it was lost."""

    def __init__(self, group: str, camera: Camera, first: Shot, recorder: Recorder | None, problem: Any) -> None:
        self.group, self.first, self.last = group, first.seconds, first.seconds
        self._camera, self._utc, self._recorder, self._problem = camera, first.utc, recorder, problem
        self._index = 0
        self._size: tuple[int, int] | None = None
        self._converter = VideoReformatter()

    def image(self, shot: Shot) -> Image:
        """Return the next image, recorded."""
        self.last = shot.seconds
        seconds = ticks(shot.seconds - self.first) / TICKS
        pixels: npt.NDArray[Any] = self._converter.reformat(shot.frame, format="rgb24", threads=1).to_ndarray()
        self._check((pixels.shape[0], pixels.shape[1]))
        uri, pts = self._record(shot, seconds)
        meta = {"seconds": seconds, "pts": pts, "camera": self._camera.name, "utc": self._utc + seconds}
        meta |= noted(self._camera)
        item = Item(item_id(self.group, self._index), uri, self.group, self._index, "video_frame", meta)
        self._index += 1
        return Image(pixels, item, VideoFrame(seconds, item.index, pts, (1, TICKS)), context_of(self._camera))

    def close(self) -> None:
        if self._recorder:
            self._recorder.close()

    def _record(self, shot: Shot, seconds: float) -> tuple[str, int]:
        if self._recorder:
            try:
                return self._recorder.add(shot.frame, seconds)
            except OSError as error:  # labelling goes on: what can't be shown can still be counted
                self._problem(self._camera.name, f"its frames can't be recorded: {error}")
        return self.group, ticks(seconds)

    def _check(self, size: tuple[int, int]) -> None:
        if size != self._size:
            self._size = size
            for problem in problems_of(self._camera, size):
                self._problem(self._camera.name, problem)


def address_of(name: str, url: str) -> str:
    """Return the address of a stream with what the environment holds filled in; raise ConfigError for one that can't be."""
    filled = os.path.expandvars(url)
    if missing := re.findall(r"\$\{(\w+)\}", filled):
        raise ConfigError(
            f"camera {name!r}: its address needs {missing[0]}", f"set it in the environment: export {missing[0]}=..."
        )
    if filled.partition("://")[0].lower() not in SCHEMES or not _host(filled):
        raise ConfigError(
            f"camera {name!r}: {without_secrets(filled)!r} is no address of a stream", choices=[f"{s}://" for s in SCHEMES]
        )
    return filled


def _settings(given: Mapping[str, Any]) -> Settings:
    import msgspec

    known = Settings.__dataclass_fields__
    if unknown := sorted(str(key) for key in given if key not in known):
        raise ConfigError(f"loader.stream has no setting {unknown[0]!r}", did_you_mean(unknown[0], known), known)
    try:
        return msgspec.convert(dict(given), Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"loader.stream: {error}") from error


def _host(url: str) -> str:
    return re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]


def _name_of(url: str) -> str:
    return _safe(re.split("[?#]", url.partition("://")[2], maxsplit=1)[0].strip("/"))


def _safe(name: str) -> str:
    """Return a name as one part of a path."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or FOLDER
