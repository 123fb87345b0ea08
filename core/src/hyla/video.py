"""Read clips: frames in the order of presentation, placed in time by their timestamps, decoded once and forward."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import VideoReformatter

from hyla.clip_index import COPY, open_clip, pictures_of, read_index
from hyla.errors import BadItem, ConfigError
from hyla.frame import Matrix3, VideoFrame
from hyla.hooks import Loader, hookimpl
from hyla.images import MAX_PIXELS, files, inside
from hyla.types import Image, Item, item_id

EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts"),
    *(".mpg", ".mpeg", ".flv", ".wmv", ".asf", ".3gp"),
)


class Video(Loader):
    """Load the frames of clips: a file, or the clips of a folder and its subfolders; each clip is a group.

    A frame's `index` and id count all frames of its clip, so that they stay the same whichever frames are kept. A clip that can't
    be read becomes one item that is quarantined with the reason; so does the missing end of one that was cut off.

    Args:
        stride: keep every n-th frame.
        fps: instead, keep the frames nearest to a grid of so many per second; right for variable frame rates too.
        start, stop: keep what is shown from `start` until before `stop`, in seconds from the first frame.
        extensions: of the files to take, in lower case with the dot.
        max_pixels: refuse a clip with larger frames.
        threads: of the decoder, per clip; 0 for one per core.

    Raises:
        ConfigError: for a stride, rate or range that can't be.
    """

    def __init__(
        self,
        stride: int = 1,
        fps: float | None = None,
        start: float = 0.0,
        stop: float | None = None,
        extensions: Collection[str] = EXTENSIONS,
        max_pixels: int = MAX_PIXELS,
        threads: int = 0,
    ) -> None:
        if stride < 1:
            raise ConfigError(f"stride is {stride}", "give 1 for every frame, 5 for every fifth")
        if fps is not None and not 0 < fps <= 1000:
            raise ConfigError(f"fps is {fps}", "give more than 0 and at most 1000, or null for every frame")
        if fps is not None and stride != 1:
            raise ConfigError(f"both stride={stride} and fps={fps} are given", "give one of them")
        if start < 0 or (stop is not None and stop <= start):
            raise ConfigError(f"start={start} and stop={stop} leave no frames", "give 0 <= start < stop, in seconds")
        self.stride, self.fps = stride, fps
        self.start, self.stop = start, np.inf if stop is None else stop
        self.extensions = frozenset(e.lower() for e in extensions)
        self.max_pixels, self.threads = max_pixels, threads
        self.root = Path()
        self._clips: dict[str, _Clip] = {}  # one per group; a group is loaded by one thread

    @hookimpl
    def items(self, source: str) -> Iterator[Item] | None:
        """Return the kept frames of each clip, clips sorted by path; None unless `source` is a folder or a clip."""
        found = files(source, self.extensions)
        if found is None:
            return None
        self.root, uris = found
        return chain.from_iterable(map(self.frames, uris))

    def frames(self, uri: str) -> Iterator[Item]:
        """Yield the kept frames of one clip below `root`, after reading its timestamps; nothing is decoded."""
        try:
            index = read_index(inside(self.root, uri), self.max_pixels)
        except BadItem as error:
            yield Item(item_id(uri), uri, kind="video", meta={"error": str(error)})
            return
        for i in self.kept(index.seconds):
            pts = None if index.pts is None else int(index.pts[i])
            meta = {
                "seconds": float(index.seconds[i]),
                "pts": pts,
                **({} if index.created is None else {"created": index.created}),
            }
            yield Item(item_id(uri, int(i)), uri, uri, int(i), "video_frame", meta)
        if index.lost:
            reason = f"{Path(uri).name} is cut off: {index.lost} frames are missing at its end\n  {COPY}"
            yield Item(item_id(uri), uri, kind="video", meta={"error": reason})

    @hookimpl
    def load(self, item: Item) -> Image | None:
        """Return a frame as (H, W, 3) RGB, the right way up; raise BadItem for one that can't be decoded.

        Forward in a clip costs one decode per frame; a jump ahead at the beginning, or back, one seek to a key frame.
        """
        if "error" in item.meta:
            raise BadItem(str(item.meta["error"]))
        if item.kind != "video_frame":
            return None
        clip = self._clips.get(item.group)
        if clip is None:
            clip = self._clips[item.group] = _Clip(inside(self.root, item.uri), self.threads)
        return clip.load(item)

    @hookimpl
    def close(self, group: str) -> None:
        """Close the clip of `group`."""
        if clip := self._clips.pop(group, None):
            clip.close()

    def kept(self, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return which frames, shown at `seconds` (n,) ascending from the first, are kept by stride, rate, start and stop."""
        if self.fps is None:
            kept = np.arange(0, len(seconds), self.stride)
        else:
            # A frame is kept if a point of the grid lies between the middles to its neighbours; a tie goes to the earlier frame.
            edges = np.concatenate([[-1 / self.fps], (seconds[:-1] + seconds[1:]) / 2, seconds[-1:]])
            kept = np.flatnonzero(np.diff(np.floor(edges * self.fps + 1e-6)) > 0)
        return kept[(seconds[kept] >= self.start) & (seconds[kept] < self.stop)]


class _Clip:
    """Keep one clip open, with a decoder that runs forward."""

    def __init__(self, path: Path, threads: int) -> None:
        self._path, self._threads = path, threads
        self._begin()

    def load(self, item: Item) -> Image:
        wanted = item.index if item.meta["pts"] is None else int(item.meta["pts"])
        frame = self._at(item, wanted)
        if frame is None or frame.is_corrupt:
            raise BadItem(f"frame {item.index} of {self._path.name} can't be decoded", COPY)
        converted = self._converter.reformat(frame, format="rgb24", threads=1)  # the bytes that OpenCV gives too
        pixels: npt.NDArray[Any] = np.rot90(converted.to_ndarray(), round(frame.rotation / 90) % 4)
        pixels = pixels.copy() if converted is frame else np.ascontiguousarray(pixels)  # the decoder may need its own frame again
        seconds, base = float(item.meta["seconds"]), self._stream.time_base
        if item.meta["pts"] is None:
            return Image(pixels, item, moment(seconds, item.index))
        return Image(pixels, item, VideoFrame(seconds, item.index, wanted, (base.numerator, base.denominator)))

    def close(self) -> None:
        self._frames.close()
        self._container.close()

    def _begin(self) -> None:
        self._container = open_clip(self._path)
        self._stream = pictures_of(self._container, self._path.name)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = self._threads
        self._converter = VideoReformatter()  # kept, since it takes longer to set up than to convert a frame
        self._frames = self._decode()
        self._ahead: Any = None
        self._count = 0
        self._last: int | None = None

    def _at(self, item: Item, wanted: int) -> Any:
        by_pts = item.meta["pts"] is not None
        if self._last is not None and wanted <= self._last:
            self._again()
        if self._last is None and by_pts and item.index > 0:
            try:
                self._container.seek(wanted, stream=self._stream)
                frame = self._forward(wanted, by_pts)
            except av.FFmpegError:
                frame = None
            if frame is not None and not frame.is_corrupt:
                return frame
            self._again()  # the seek went astray, or to where the decoder can't begin: begin at the beginning
        return self._forward(wanted, by_pts)

    def _again(self) -> None:
        self.close()
        self._begin()

    def _forward(self, wanted: int, by_pts: bool) -> Any:
        """Decode until the wanted frame; None if it never comes."""
        self._last = wanted
        while True:
            frame = self._ahead or next(self._frames, None)
            self._ahead = None
            if frame is None:
                return None
            key = frame.pts if by_pts else self._count
            if key is not None and key > wanted:
                self._ahead = frame
                return None
            self._count += 1
            if key == wanted:
                return frame

    def _decode(self) -> Generator[Any, None, None]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.FFmpegError:  # its frames never come, and are missed when they are asked for
                    continue
        except av.FFmpegError:  # the file ends here
            return


def moment(seconds: float, index: int, intrinsics: Matrix3 | None = None) -> VideoFrame:
    """Return the frame of a picture taken at `seconds`, with a timestamp in microseconds."""
    return VideoFrame(float(seconds), index, round(seconds * 1e6), (1, 1_000_000), intrinsics)
