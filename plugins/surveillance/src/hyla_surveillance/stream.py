"""Hold on to one live stream: connect, decode, thin out, and connect again for as long as somebody listens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import av
from av.error import FFmpegError

from hyla.errors import ConfigError
from hyla_surveillance.clock import Clock

TRANSPORTS = ("tcp", "udp", "udp_multicast", "http", "https")
# What a stream may be made of, so that an address can't make FFmpeg open files or something else that its answer names.
PROTOCOLS = "rtsp,rtsps,rtp,rtcp,srtp,tcp,udp,tls,http,https,httpproxy,crypto"
FORMATS = "rtsp,rtp,sdp,mpegts,mpjpeg,mjpeg,flv,matroska,webm"
PROBE = "2000000"  # microseconds that FFmpeg may look at a stream before it says what is in it
Frames = Generator[tuple[Any, float | None], None, None]


@dataclass(frozen=True)
class Settings:
    """Say how streams are held; no label depends on it.

    Args:
        queue: frames that wait for the model, at most; the oldest is dropped for a new one.
        patience: seconds without anything after which a connection counts as lost.
        retry: seconds before the first attempt to connect again, and at most: each waits twice as long as the one before.
        transport: of RTSP: tcp, udp, udp_multicast, http or https.
        threads: of each decoder.
        duration: seconds of each stream after which it ends; None for never.
    """

    queue: int = 16
    patience: float = 10.0
    retry: tuple[float, float] = (1.0, 60.0)
    transport: str = "tcp"
    threads: int = 1
    duration: float | None = None

    def __post_init__(self) -> None:
        if self.queue < 1:
            raise ConfigError(f"loader.stream.queue is {self.queue}", "give 1 frame or more")
        if self.patience <= 0:
            raise ConfigError(f"loader.stream.patience is {self.patience}", "give seconds, more than 0")
        if len(self.retry) != 2 or not 0 < self.retry[0] <= self.retry[1]:
            raise ConfigError(f"loader.stream.retry is {list(self.retry)}", "give two numbers of seconds: [1, 60]")
        if self.transport not in TRANSPORTS:
            raise ConfigError(f"loader.stream.transport is {self.transport!r}", choices=TRANSPORTS)
        if self.duration is not None and self.duration <= 0:
            raise ConfigError(f"loader.stream.duration is {self.duration}", "give seconds, more than 0, or null for no end")


@dataclass(frozen=True)
class Shot:
    """Hold one frame of a stream.

    Args:
        frame: as PyAV decoded it.
        seconds: from the first frame of the stream; see `Clock`.
        utc: when it arrived, in seconds since 1970.
    """

    frame: Any
    seconds: float
    utc: float


class Stream:
    """Read a live stream on a thread of its own, until it is closed.

    Args:
        url: of the stream. It is never shown.
        fps: frames per second that are kept, at most; None for all.
        settings: how it is held.
        max_pixels: frames that are larger are dropped.
        frames: opens an address and yields frames with their timestamps in seconds.
        monotonic, wall: the clocks.
    """

    def __init__(
        self,
        url: str,
        fps: float | None,
        settings: Settings,
        max_pixels: int,
        frames: Callable[[str, Settings], Frames],
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._url, self._fps, self._settings, self._max_pixels = url, fps, settings, max_pixels
        self._frames = frames
        self._monotonic, self._wall = monotonic, wall
        self._clock = Clock()
        self._due = 0.0
        self._shots: deque[Shot] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._word, self._since, self._error = "connecting", wall(), ""
        self._lost_at: float | None = None
        self._size: list[int] = []
        self._counts = {"frames": 0, "dropped": 0, "late": 0, "damaged": 0, "reconnects": 0}
        self._thread = threading.Thread(target=self._work, name="hyla-stream", daemon=True)
        self._thread.start()

    def get(self, timeout: float) -> Shot | None:
        """Return the next frame, oldest first; None if none comes within `timeout` seconds, or the stream ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._shots or self.ended, timeout)
            return self._shots.popleft() if self._shots else None

    @property
    def ended(self) -> bool:
        """Tell whether nothing more comes than what waits."""
        return self._word == "ended"

    def lost_for(self) -> float:
        """Return for how many seconds nothing came; 0 while it is connected."""
        with self._changed:
            return 0.0 if self._lost_at is None else self._monotonic() - self._lost_at

    def state(self) -> dict[str, Any]:
        """Return how the stream fares: connecting, connected, lost or ended, since when (UTC), and what was counted."""
        with self._changed:
            since = datetime.fromtimestamp(self._since, UTC).isoformat(timespec="seconds")
            told = {"state": self._word, "since": since, **self._counts, "clock_resets": self._clock.resets}
            return told | ({"size": self._size} if self._size else {}) | ({"error": self._error} if self._error else {})

    def close(self) -> None:
        """End the stream. Its thread is waited for but a moment: it may hang in a connection until `patience` is over."""
        self._stop.set()
        self._say("ended")
        self._thread.join(1.0)

    def _work(self) -> None:
        first, longest = self._settings.retry
        wait = first
        while not self._stop.is_set():
            self._clock.restart()
            try:
                with closing(self._frames(self._url, self._settings)) as frames:
                    for frame, pts in frames:
                        wait = first
                        if self._stop.is_set() or not self._take(frame, pts):
                            return
                self._say("lost", "the camera ended the stream")
            except Exception as error:  # whatever a decoder raises, the camera is lost and tried again
                self._say("lost", _reason(error))
            if self._stop.wait(wait):
                return
            wait = min(2 * wait, longest)

    def _take(self, frame: Any, pts: float | None) -> bool:
        """Keep a frame if it is due; return False once the stream has lasted long enough."""
        if frame is None:
            self._count("damaged")
            return True
        seconds = self._clock.at(pts, self._monotonic())
        self._say("connected")
        if seconds is None or frame.width * frame.height > self._max_pixels:
            self._count("late" if seconds is None else "dropped")
            return True
        if self._settings.duration is not None and seconds >= self._settings.duration:
            self._say("ended")
            return False
        if self._fps is not None:
            if seconds < self._due:
                return True
            self._due = (int(seconds * self._fps + 1e-6) + 1) / self._fps - 1e-6
        with self._changed:
            self._counts["frames"] += 1
            self._size = [frame.height, frame.width]
            if len(self._shots) >= self._settings.queue:
                self._shots.popleft()
                self._counts["dropped"] += 1
            self._shots.append(Shot(frame, seconds, self._wall()))
            self._changed.notify_all()
        return True

    def _count(self, what: str) -> None:
        with self._changed:
            self._counts[what] += 1

    def _say(self, word: str, error: str = "") -> None:
        with self._changed:
            if word == "lost" and self._word == "connecting":
                word = "connecting"  # it was never there
            if word == "ended":
                error = self._error  # what it was last stays told
            if self._word == "ended" or (word == self._word and error == self._error):
                return
            if word != self._word:
                self._since = self._wall()
                self._counts["reconnects"] += word == "connected" and self._word == "lost"
                self._lost_at = self._monotonic() if word == "lost" else None
            self._word, self._error = word, error
            self._changed.notify_all()


def decoded(url: str, settings: Settings) -> Frames:
    """Yield (frame, timestamp in seconds) of a stream until it ends, and (None, None) for a frame that is damaged.

    Raises:
        FFmpegError: if the stream can't be opened, breaks, or gives nothing for `patience` seconds.
        ValueError: if it has no picture.
    """
    options = {"protocol_whitelist": PROTOCOLS, "format_whitelist": FORMATS, "analyzeduration": PROBE}
    if url.partition("://")[0].lower() in ("rtsp", "rtsps"):
        options |= {"rtsp_transport": settings.transport, "allowed_media_types": "video"}
    with av.open(url, options=options, timeout=(settings.patience, settings.patience)) as container:
        if not container.streams.video:
            raise ValueError("the stream has no picture")
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", settings.threads
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except FFmpegError:
                yield None, None
                continue
            for frame in frames:
                if frame.is_corrupt:
                    yield None, None
                else:
                    yield frame, None if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)


def _reason(error: Exception) -> str:
    """Return why a stream broke, without its address, which may hold a password."""
    return str(getattr(error, "strerror", None) or ("" if isinstance(error, OSError) else error) or type(error).__name__)
