"""Cameras that a test moves by hand: frames, timestamps and clocks are what it says."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np


class Hands:
    """Tell the time that a test sets, in seconds, on the wall and from arrival to arrival."""

    def __init__(self, wall=1_774_746_000.0):
        self.seconds, self.begin = 0.0, wall

    def monotonic(self):
        return self.seconds

    def wall(self):
        return self.begin + self.seconds


def picture(shade=0, width=64, height=48):
    """Return a grey frame as a decoder gives it."""
    plane = np.full((height, width, 3), shade, np.uint8)
    return av.VideoFrame.from_ndarray(plane, format="rgb24").reformat(
        format="yuv420p" if width % 2 == height % 2 == 0 else "yuv444p"
    )


def plays(*connections):
    """Return what opens an address: the n-th time it gives what the n-th of `connections` yields, and then nobody is there.

    An exception in a connection is raised.
    """
    left = list(connections)

    def frames(url, settings):
        for one in left.pop(0) if left else [ConnectionRefusedError(111, "Connection refused")]:
            if isinstance(one, Exception):
                raise one
            yield one

    return frames


def steady(n, fps=25.0, start=0.0, **how):
    """Yield n frames of a camera whose clock is right, the i-th of them of shade i."""
    for i in range(n):
        yield picture(i % 256, **how), start + i / fps


def write_clip(path, times, size=(64, 48), codec="mpeg4", metadata=None, container=None):
    """Write a clip with a frame of shade 10 * i at each of `times`, in milliseconds."""
    with av.open(str(path), "w", options=container or {}) as out:
        out.metadata.update(metadata or {})
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.codec_context.thread_count = 1
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 10 * i % 256, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path
