"""Write clips anew, redacted, with the times of their frames and nothing else of the source, and prove that no face is left."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace

from hyla.errors import BadItem
from hyla.hooks import Model
from hyla.review.pixels import flat
from hyla.types import Floats
from hyla_surveillance.redact import found_in

Pixels = npt.NDArray[np.uint8]
TICK = Fraction(1, 60_000)  # seconds: exact for 24, 25, 30, 50, 60 and 29.97 Hz and for milliseconds; MPEG-4 takes no finer one
BT709 = 1  # as H.264 and MPEG-4 count primaries, transfer and matrix: what players assume of high definition
CODECS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "bf": "0"},  # without B-frames, frames are stored in the order in which they are shown
    "mpeg4": {"bf": "0"},  # where PyAV was built without x264
}
ROUNDS = 4


@dataclass(frozen=True)
class Proof:
    """Hold what looking at a redacted clip again found.

    Args:
        frames: of the clip.
        added: how many boxes were hidden besides, since a face was found there in what had been written.
        remaining: faces that are still found in the file; it must not be given away unless this is 0. None if nobody looked.
        codec: it is written with.
    """

    frames: int
    added: int
    remaining: int | None
    codec: str


def write_clip(
    path: Path, pictures: Iterable[tuple[float, npt.NDArray[Any]]], quality: int = 23, codec: str | None = None
) -> int:
    """Write an MP4 of `pictures` and return how many there were. The same pictures make the same bytes.

    Each is shown from its time on, to 1/120,000 s; one whose time is not after that of the one before is shown 1/60,000 s after
    it. All have the size of the first: sides of an odd number of pixels get one more, a repeated one, as H.264 with colours at
    half size wants it, and a picture of another size is fitted into the upper left corner. A file at `path` is replaced at the
    end, all at once.

    Args:
        path: of the clip.
        pictures: (seconds, (H, W, C) of any type, C = 1 grey or 3 and more, RGB first), in order; seconds at least 0.
        quality: constant rate factor of x264, 0 (without loss) to 51; of mpeg4 the quantiser, in steps of its own.
        codec: one of CODECS; the first that PyAV has if not given.

    Raises:
        BadItem: if there are no pictures.
    """
    chosen = codec or available()
    part = path.with_name(f".{path.name}.part")
    last, count, stream, size = -1, 0, None, (0, 0)
    try:
        options = {"movflags": "+faststart", "fflags": "+bitexact"}  # no name and version of the program
        with av.open(str(part), "w", format="mp4", options=options) as out:
            for seconds, pixels in pictures:
                picture = _rgb(pixels)
                if stream is None:
                    size = _even(picture.shape[0]), _even(picture.shape[1])
                    stream = _stream(out, chosen, size, quality)
                last = max(round(seconds / TICK), last + 1) if math.isfinite(seconds) else last + 1
                out.mux(stream.encode(_frame(_fitted(picture, size), last)))
                count += 1
            if stream is None:
                raise BadItem(f"there are no pictures for {path.name}")
            out.mux(stream.encode())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return count


def write_redacted(
    path: Path,
    pictures: Callable[[Mapping[int, Floats]], Iterable[tuple[float, npt.NDArray[Any]]]],
    faces: Model | None = None,
    quality: int = 23,
    rounds: int = ROUNDS,
) -> Proof:
    """Write a redacted clip, decode it again and look for faces in it; have those hidden too, until none is found.

    What is found is hidden in the frame before and the one after as well.

    Args:
        path: of the clip.
        pictures: gives what `write_clip` takes, redacted, each time it is called; with boxes (n, 4) to hide besides, by number of
            the picture from 0 and in its own pixels. The same pictures each time.
        faces: that looks at the file; None if nothing can, and then nothing is proved.
        quality: see `write_clip`.
        rounds: how often the clip is written, at most.

    Raises:
        BadItem: if there are no pictures.
    """
    codec, extra, found, shape = available(), dict[int, Floats](), dict[int, Floats](), (0, 0, 3)
    for _ in range(max(rounds, 1)):
        sizes: list[tuple[int, ...]] = []
        count = write_clip(path, _sized(pictures(extra), sizes), quality, codec)
        if faces is None:
            return Proof(count, 0, None, codec)
        found = {}
        for i, (_, pixels) in enumerate(read_clip(path)):
            if len(box := found_in(pixels, faces)):
                found[i], shape = box, pixels.shape
        if not found:
            break
        for i, box in found.items():
            for near in range(max(i - 1, 0), min(i + 2, count)):
                own = box / _scale(sizes[near], shape[:2])
                extra[near] = np.concatenate([extra.get(near, np.zeros((0, 4))), own])
    return Proof(count, sum(map(len, extra.values())), sum(map(len, found.values())), codec)


def read_clip(path: Path) -> Iterator[tuple[float, Pixels]]:
    """Yield seconds and picture (H, W, 3) RGB of each frame of a clip that `write_clip` wrote."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield float((frame.pts or 0) * (frame.time_base or TICK)), np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def available() -> str:
    """Return the first of CODECS that PyAV can write."""
    names = av.codecs_available
    return next(name for name in CODECS if name in names)


def _sized(
    pictures: Iterable[tuple[float, npt.NDArray[Any]]], sizes: list[tuple[int, ...]]
) -> Iterator[tuple[float, npt.NDArray[Any]]]:
    """Yield the pictures, and note the size (height, width) of each."""
    for seconds, pixels in pictures:
        sizes.append(pixels.shape[:2])
        yield seconds, pixels


def _stream(out: Any, codec: str, size: tuple[int, int], quality: int) -> Any:
    level = (
        {"crf": str(quality)} if codec == "libx264" else {"qmin": str(max(quality // 5, 1)), "qmax": str(max(quality // 4, 2))}
    )
    stream = out.add_stream(codec, rate=25, options=CODECS[codec] | level)  # a hint alone: frames carry their times
    stream.height, stream.width = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = TICK
    context.thread_count = 1  # the bytes depend on how many there are
    context.color_primaries = context.color_trc = context.colorspace = BT709
    context.color_range = ColorRange.MPEG
    return stream


def _frame(picture: Pixels, tick: int) -> Any:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
    frame.pts, frame.time_base = tick, TICK
    return frame


def _rgb(pixels: npt.NDArray[Any]) -> Pixels:
    shown = flat(pixels if pixels.ndim == 3 else pixels[..., None])
    return np.ascontiguousarray(np.repeat(shown[..., None], 3, axis=2) if shown.ndim == 2 else shown)


def _even(length: int) -> int:
    return length + length % 2


def _scale(own: tuple[int, ...], shown: tuple[int, ...]) -> float:
    """Return by how much a picture of a size (height, width) was scaled to be fitted into a clip of size `shown`."""
    if (_even(own[0]), _even(own[1])) == tuple(shown):
        return 1.0
    return min(shown[0] / own[0], shown[1] / own[1])


def _fitted(picture: Pixels, size: tuple[int, int]) -> Pixels:
    height, width = picture.shape[:2]
    scale = _scale((height, width), size)
    if scale != 1:
        fit = min(max(round(width * scale), 1), size[1]), min(max(round(height * scale), 1), size[0])
        picture = np.asarray(cv2.resize(picture, fit, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8)
    missing = size[0] - picture.shape[0], size[1] - picture.shape[1]
    if not any(missing):
        return picture
    mode = cv2.BORDER_REPLICATE if max(missing) == 1 else cv2.BORDER_CONSTANT
    return np.asarray(cv2.copyMakeBorder(picture, 0, missing[0], 0, missing[1], mode), np.uint8)
