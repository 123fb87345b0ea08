"""Find out when each frame of a clip is shown, without decoding it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from hyla.errors import BadItem
from hyla.images import MAX_PIXELS

BEFORE_19: dict[str, Any] = {"metadata_errors": "replace"}  # PyAV 19 replaces by itself and has no such argument
# Only containers that hold their own pictures: a playlist named .mp4 would make FFmpeg open other files, or addresses.
OPTIONS = {"format_whitelist": "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf", "protocol_whitelist": "file"}
COPY = "copy the clip again from where it came, or repair it: ffmpeg -i IN -c copy OUT"
BACK = 1.0  # s by which the order of decoding goes back where a clock was set back, or two recordings were joined


@dataclass(frozen=True)
class Index:
    """Hold the timestamps of a clip.

    Args:
        seconds: (n,) from the first frame, ascending.
        pts: (n,) in the time base of the stream, ascending; None where frames have none, two have the same, or the clock of the
            recorder was set back: they are counted.
        lost: frames that the container names and the file does not hold.
        created: when the container says it was recorded, in seconds since 1970; None where it does not.
    """

    seconds: npt.NDArray[np.float64]
    pts: npt.NDArray[np.int64] | None
    lost: int = 0
    created: float | None = None


class _Packet(NamedTuple):
    pts: int | None
    dts: int | None
    shown: bool


def read_index(path: Path, max_pixels: int = MAX_PIXELS) -> Index:
    """Return the timestamps of a clip's frames, in order of presentation, from its packets: nothing is decoded.

    Where the clock goes back, what follows is shown one frame after what came before.

    Raises:
        BadItem: for a file that is no video, has no picture stream or no frames, or frames larger than `max_pixels`.
    """
    if path.is_file() and path.stat().st_size == 0:
        raise BadItem(f"{path.name} is empty", "copy it again from where it came")
    container = open_clip(path)
    with container:
        stream = pictures_of(container, path.name)
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > max_pixels:
            raise BadItem(f"{path.name} has frames of {width} x {height} pixels, more than max_pixels={max_pixels}")
        packets = list(_packets(container, stream))
        shown = [packet for packet in packets if packet.shown]
        if not shown:
            raise BadItem(f"{path.name} has no frames", COPY)
        lost = max(0, len(stream.index_entries) - len(packets)) if "mp4" in container.format.name else 0
        created = _created({**stream.metadata, **container.metadata})
        if any(packet.pts is None for packet in shown):
            return Index(np.arange(len(shown)) / float(_rate(stream)), None, lost, created)
        parts = [np.sort(np.array([packet.pts for packet in part], dtype=np.int64)) for part in _parts(shown, stream.time_base)]
        seconds = _seconds(parts, stream)
        alone = len(parts) == 1 and (np.diff(parts[0]) > 0).all()
        return Index(seconds, parts[0] if alone else None, lost, created)


def open_clip(path: Path) -> Any:
    """Return an open container; raise BadItem for a file that is none."""
    try:
        try:
            return av.open(str(path), options=OPTIONS)
        except UnicodeDecodeError:  # a title that is no UTF-8, which PyAV minded before version 19
            return av.open(str(path), options=OPTIONS, **BEFORE_19)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadItem(f"{path.name} can't be opened as a video: {reason}", COPY) from error


def pictures_of(container: Any, name: str) -> Any:
    """Return the first stream of pictures that is no cover; raise BadItem if there is none that can be decoded."""
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        raise BadItem(f"{name} has no picture stream", "leave it out of the source")
    if streams[0].codec_context is None:
        raise BadItem(f"{name} is coded in a way that this build of FFmpeg can't decode", "convert it: ffmpeg -i IN OUT.mp4")
    return streams[0]


def _packets(container: Any, stream: Any) -> Iterator[_Packet]:
    """Yield the packets, until the file ends or breaks."""
    vp8 = stream.codec_context.name == "vp8"
    try:
        for packet in container.demux(stream):
            if packet.size:
                hidden = vp8 and not bytes(packet)[0] & 0x10  # RFC 6386, 9.1: an alternate reference frame is not shown
                yield _Packet(packet.pts, packet.dts, not (packet.is_discard or hidden))
    except av.FFmpegError:
        return


def _parts(shown: Sequence[_Packet], base: Fraction) -> Iterator[Sequence[_Packet]]:
    """Cut packets where their order of decoding, which else only rises, goes back."""
    back = int(BACK / base)
    begin, last = 0, None
    for i, packet in enumerate(shown):
        if packet.dts is not None:
            if last is not None and packet.dts < last - back:
                yield shown[begin:i]
                begin = i
            last = packet.dts
    yield shown[begin:]


def _seconds(parts: Sequence[npt.NDArray[np.int64]], stream: Any) -> npt.NDArray[np.float64]:
    """Return when frames are shown; each part begins one frame after the one before."""
    found: list[npt.NDArray[np.float64]] = []
    begin = 0.0
    for part in parts:
        found.append(begin + (part - part[0]) * stream.time_base.numerator / stream.time_base.denominator)
        begin = float(found[-1][-1]) + 1 / float(_rate(stream))
    return np.concatenate(found)


def _created(metadata: Mapping[str, str]) -> float | None:
    try:
        moment = datetime.fromisoformat(metadata.get("creation_time", ""))
    except ValueError:
        return None
    # A muxer that does not know the time writes the beginning of its count: 1904 in MP4, 1970 or 2001 elsewhere.
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() if moment.year > 2001 else None


def _rate(stream: Any) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or 25)
