"""Record what was labelled of a live stream, which can't be read again, and read it back."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from hyla.errors import BadItem
from hyla.hooks import hookimpl
from hyla.types import Image, Item
from hyla.video import Video

FOLDER = "recordings"  # of the project
TICKS = 90_000  # per second, of MPEG-TS
# Nearly as good as what was labelled, quick, and each frame written at once: whatever ends the process, what was shown is there.
OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "18", "g": "16"}
CONTAINER = {"mpegts_copyts": "1", "flush_packets": "1"}


class Recorder:
    """Write the frames of one session into files of MPEG-TS, another every so often and where the picture changes its size.

    MPEG-TS is written from front to back and needs no end, so that a process that is killed loses no frame.

    Args:
        folder: of all recordings.
        group: of the session: a path below it.
        seconds: of one file.
    """

    def __init__(self, folder: Path, group: str, seconds: float) -> None:
        self._folder, self._group, self._length = folder, group, seconds
        self._number = -1
        self._begin = 0.0
        self._kind: tuple[int, ...] = ()
        self._out: Any = None
        self._stream: Any = None

    def add(self, frame: Any, seconds: float) -> tuple[str, int]:
        """Write a frame shown at `seconds` of the session, later than the one before; return the file's path and the timestamp.

        Raises:
            OSError: if it can't be written; the next frame begins another file.
        """
        # Colours are halved in both directions, which needs sides of even length.
        form = "yuv420p" if frame.width % 2 == frame.height % 2 == 0 else "yuv444p"
        plain = frame.reformat(format=form)
        # Tags say how bytes become colours: without them they would be other colours when they are read back.
        kind = (plain.width, plain.height, int(plain.color_range), int(plain.colorspace))
        if self._out is None or kind != self._kind or seconds - self._begin >= self._length:
            self._open(plain, kind, seconds)
        pts = ticks(seconds)
        plain.pts, plain.time_base = pts, Fraction(1, TICKS)
        plain.pict_type = 0  # what the camera's encoder made of it is no matter here
        try:
            self._out.mux(self._stream.encode(plain))
        except (FFmpegError, OSError) as error:
            self.close()
            raise OSError(getattr(error, "strerror", None) or str(error)) from error
        return self.uri, pts

    @property
    def uri(self) -> str:
        """Return the path of the file that is written, below the folder of recordings."""
        return f"{self._group}/{self._number:04d}.ts"

    def close(self) -> None:
        """End the file."""
        if self._out is not None:
            with suppress(FFmpegError, OSError):  # a disk that is full was told of when a frame could not be written
                self._out.mux(self._stream.encode())
            with suppress(FFmpegError, OSError):
                self._out.close()
            self._out = None

    def _open(self, frame: Any, kind: tuple[int, ...], seconds: float) -> None:
        self.close()
        self._number += 1
        self._begin, self._kind = seconds, kind
        path = self._folder / self.uri
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._out = av.open(str(path), "w", format="mpegts", container_options=CONTAINER)
            self._stream = self._out.add_stream("libx264", rate=25, options=OPTIONS)
            coder = self._stream.codec_context
            coder.width, coder.height, coder.color_range, coder.colorspace = kind
            coder.pix_fmt, coder.thread_count = frame.format.name, 1
            self._stream.time_base = coder.time_base = Fraction(1, TICKS)
        except (FFmpegError, OSError) as error:
            self._out = None
            raise OSError(getattr(error, "strerror", None) or str(error)) from error


class Recorded(Video):
    """Read back the frames of sessions, each of which lies in several files.

    Args:
        folder: of all recordings.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(threads=1)
        self.root = folder.resolve()
        self._at: dict[str, str] = {}  # group -> the file that is open

    @hookimpl
    def load(self, item: Item) -> Image | None:
        """Return a frame; raise BadItem for one that was not recorded, or whose file was deleted."""
        if not (self.root / item.uri).is_file():
            raise BadItem(f"the recording {item.uri} is not there", "it was deleted, as its time had come, or never made")
        if self._at.get(item.group) != item.uri:
            super().close(item.group)
            self._at[item.group] = item.uri
        try:
            return super().load(item)
        except BadItem:  # the file may have grown since it was opened
            super().close(item.group)
            return super().load(item)

    @hookimpl
    def close(self, group: str) -> None:
        """Close the file of `group`."""
        self._at.pop(group, None)
        super().close(group)


def ticks(seconds: float) -> int:
    """Return the timestamp of a moment of a session."""
    return round(seconds * TICKS)
