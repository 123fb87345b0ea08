"""Read a scene once, from the top to the bottom, and give the pixels of each field as soon as its last row was read.

Blocks of the raster are read on threads, a few rows of blocks ahead. Only the part of a block around fields is read, and of it
only the windows of fields are kept, so that memory grows with neither the height of the scene nor the number of scenes: it holds
the fields that reach into the rows being read. Indices are computed for many fields together, on the device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hyla.device import threads as cores
from hyla.frame import Frame
from hyla.types import Bools, Floats, Ints
from hyla_agriculture.footprints import Footprints, footprints, metres, windows
from hyla_agriculture.indices import Evaluator
from hyla_agriculture.scene import Fields, Scene, Window

LEAST_BLOCK = 256  # pixels that a read should have along each side; smaller blocks of a file are read together
MOST_BLOCK = 2048  # pixels along each side; larger blocks are read in parts
MOST_THREADS = 8
AHEAD = 2  # rows of blocks that are being read while an earlier one is waited for
BATCH = 1 << 20  # pixels of windows whose indices are computed together; one larger field makes a batch of its own
Values = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]


class FieldPixels(NamedTuple):
    """Hold the pixels of one field.

    Args:
        number: of the field in `Fields`.
        window: around it.
        values: (n, h, w) of the indices, NaN where they are not known.
        quality: (h, w) of codes; see `hyla_agriculture.scene`.
        inside: (h, w) True for pixels whose centre lies in the field.
        full: (h, w) True for pixels wholly in it after the inward buffer.
    """

    number: int
    window: Window
    values: Values
    quality: Codes
    inside: Bools
    full: Bools


@dataclass(frozen=True)
class Batch:
    """Hold the pixels of several fields, window after window in flat arrays.

    Args:
        numbers: (k,) of the fields in `Fields`, ascending.
        windows: (k,) around them.
        prints: which pixels are whose; `prints.starts` tells where each window begins.
        values: (n, pixels) of the indices.
        quality: (pixels,) of codes.
        pixel: (k, 2) width and height in metres of the pixels of each, NaN where not known.
    """

    numbers: Ints
    windows: list[Window]
    prints: Footprints
    values: Values
    quality: Codes
    pixel: Floats

    def __iter__(self) -> Iterator[FieldPixels]:
        for row in range(len(self.numbers)):
            yield self.of(row)

    def of(self, row: int) -> FieldPixels:
        """Return the pixels of the field in `row`; no copies."""
        window = self.windows[row]
        here = slice(int(self.prints.starts[row]), int(self.prints.starts[row + 1]))
        return FieldPixels(
            int(self.numbers[row]),
            window,
            self.values[:, here].reshape(len(self.values), *window.size),
            self.quality[here].reshape(window.size),
            self.prints.inside[here].reshape(window.size),
            self.prints.full[here].reshape(window.size),
        )


def sweep(
    scene: Scene, fields: Fields, evaluator: Evaluator, frame: Frame | None = None, threads: int | None = None
) -> Iterator[FieldPixels]:
    """Yield the pixels of each field once its last row has been read; see `batches`."""
    for batch in batches(scene, fields, evaluator, frame, threads):
        yield from batch


def batches(
    scene: Scene, fields: Fields, evaluator: Evaluator, frame: Frame | None = None, threads: int | None = None
) -> Iterator[Batch]:
    """Yield the fields of a scene with their indices, those first whose last row is higher up.

    What is yielded depends on neither blocks, nor threads, nor their timing, but for how fields are put together in batches.

    Args:
        scene: to be read.
        fields: on it.
        evaluator: of the indices; see `Evaluator.on`.
        frame: of the scene; it tells how large a pixel is on the ground.
        threads: that read; one per core, at most 8, where nothing is said.

    Raises:
        BadItem: for a part of the scene that can't be read.
    """
    work = _Work(scene, fields, evaluator, frame or Frame())
    count = min(cores(threads), MOST_THREADS) if threads is None else cores(threads)
    pool = ThreadPoolExecutor(count, thread_name_prefix="hyla-sweep")
    try:
        under_way: deque[tuple[int, list[Future[None]]]] = deque()
        rows = iter(work.rows())
        going = True
        while going or under_way:
            while going and len(under_way) <= AHEAD:
                row = next(rows, None)
                if row is None:
                    going = False
                else:
                    under_way.append((row, [pool.submit(work.read, part) for part in work.open(row)]))
            if under_way:
                row, futures = under_way.popleft()
                for future in futures:
                    future.result()
                yield from work.finish(row)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Part(NamedTuple):
    """Hold what one thread reads in one go: a window, and the rows in `_Work` of the fields in it."""

    window: Window
    fields: list[int]


class _Buffer(NamedTuple):
    """Hold what is read of one field: (bands, h, w) of reflectance, (h, w) of codes."""

    reflectance: Values
    quality: Codes


class _Work:
    """Know which fields lie where, and hold the pixels of those that are being read."""

    def __init__(self, scene: Scene, fields: Fields, evaluator: Evaluator, frame: Frame) -> None:
        self.scene, self.fields, self.evaluator = scene, fields, evaluator
        height, width = scene.shape[:2]
        self.windows = windows(fields, (height, width))
        self.pixel = metres(frame, self.windows)
        self.block = _side(scene.blocks[0], height), _side(scene.blocks[1], width)
        self.buffers: dict[int, _Buffer] = {}
        self.parts: dict[int, dict[int, list[int]]] = {}  # row of blocks -> column of blocks -> fields
        self.last: dict[int, list[int]] = {}  # row of blocks -> fields that end in it
        for number, window in enumerate(self.windows):
            high, wide = (range(a // s, (max(b - 1, a)) // s + 1) for a, b, s in self._spans(window))
            self.last.setdefault(high[-1], []).append(number)
            if 0 not in window.size:
                for row in high:
                    for column in wide:
                        self.parts.setdefault(row, {}).setdefault(column, []).append(number)

    def rows(self) -> list[int]:
        """Return the rows of blocks that have fields, from the top."""
        return sorted({*self.parts, *self.last})

    def open(self, row: int) -> list[_Part]:
        """Make room for the fields that begin in a row of blocks; return what is to be read."""
        parts = []
        for column, numbers in sorted(self.parts.pop(row, {}).items()):
            for number in numbers:
                if number not in self.buffers:
                    size = self.windows[number].size
                    values = np.empty((len(self.evaluator.bands), *size), np.float32)
                    self.buffers[number] = _Buffer(values, np.empty(size, np.uint8))
            block = Window(
                *(one for at, side in ((row, self.block[0]), (column, self.block[1])) for one in (at * side, (at + 1) * side))
            )
            inside = [_common(block, self.windows[number]) for number in numbers]
            low, high = np.min(inside, axis=0), np.max(inside, axis=0)
            parts.append(_Part(Window(int(low[0]), int(high[1]), int(low[2]), int(high[3])), numbers))
        return parts

    def read(self, part: _Part) -> None:
        """Read a part of the scene, and copy what belongs to fields; called on several threads, each with a part of its own."""
        window = part.window
        reflectance = self.scene.reflectance(window, self.evaluator.bands)
        quality = self.scene.quality(window)
        for number in part.fields:
            own = self.windows[number]
            row0, row1, column0, column1 = _common(window, own)
            here = np.s_[row0 - own.row0 : row1 - own.row0, column0 - own.column0 : column1 - own.column0]
            there = np.s_[row0 - window.row0 : row1 - window.row0, column0 - window.column0 : column1 - window.column0]
            buffer = self.buffers[number]
            buffer.reflectance[:, *here] = reflectance[:, *there]
            buffer.quality[here] = quality[there]

    def finish(self, row: int) -> Iterator[Batch]:
        """Yield the fields that end in a row of blocks, and let go of what was read of them."""
        numbers: list[int] = []
        size = 0
        for number in self.last.pop(row, []):
            pixels = self.windows[number].size[0] * self.windows[number].size[1]
            if numbers and size + pixels > BATCH:
                yield self._batch(numbers)
                numbers, size = [], 0
            numbers.append(number)
            size += pixels
        if numbers:
            yield self._batch(numbers)

    def _batch(self, numbers: Sequence[int]) -> Batch:
        empty = _Buffer(np.empty((len(self.evaluator.bands), 0, 0), np.float32), np.empty((0, 0), np.uint8))
        found = [self.buffers.pop(number, empty) for number in numbers]
        flat = [one.reflectance.reshape(len(self.evaluator.bands), one.quality.size) for one in found]
        joined = flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)
        del flat
        values: Values = self.evaluator(joined[:, None])[:, 0]
        places = [self.windows[number] for number in numbers]
        pixel = self.pixel[list(numbers)]
        prints = footprints(self.fields, numbers, places, pixel)
        quality = np.concatenate([one.quality.ravel() for one in found])
        return Batch(np.array(numbers, dtype=np.int64), places, prints, values, quality, pixel)

    def _spans(self, window: Window) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        return (window.row0, window.row1, self.block[0]), (window.column0, window.column1, self.block[1])


def _side(block: int, length: int) -> int:
    """Return how many pixels to read in one go, along one side: whole blocks where they are not too large."""
    if block >= LEAST_BLOCK:
        return min(block, MOST_BLOCK)
    return max(1, min(-(-LEAST_BLOCK // max(block, 1)) * max(block, 1), max(length, 1)))


def _common(a: Window, b: Window) -> tuple[int, int, int, int]:
    return max(a.row0, b.row0), min(a.row1, b.row1), max(a.column0, b.column0), min(a.column1, b.column1)
