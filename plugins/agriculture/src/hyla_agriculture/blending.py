"""Run a network over a scene in tiles that overlap, such that the answer does not depend on where the scene was cut out.

Tiles lie on the grid of the world's pixels (column 0 is where x is 0 on the map), so that a crop, a shifted window or a scene
beside it has the same tiles over the same ground. A margin of each tile is not used, and over the rest of the overlap one tile
gives way to the other by a Hann window. The weights of the tiles over a pixel add up to 1. So:

- Where all tiles over a pixel lie on the data, its answer is the same for every extent.
- If the network looks no further than the margin (`reach`), it answers the same for every size of tile, and for every extent up
  to that far from its edges. Others do so the less, the further they look.
- What lies beyond the data counts as unknown: 0, the mean of each band once values are normalised.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla.errors import ConfigError, StageError
from hyla.frame import Frame, MapFrame
from hyla.types import Bools
from hyla_agriculture.scene import Window

Values = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
# Of a grid whose pixels do not begin at a multiple of their size: numbers of pixels are rounded at a part that grids do not have
# (Landsat's begin at halves), lest the last digit decide.
PART = 0.2345
FAR = 1024  # pixels: a multiple of all that networks divide by


class Strip(NamedTuple):
    """Hold what the network answers for a part of a scene, all across.

    Args:
        row0: the first row.
        row1: the row after the last.
        known: (h, w), False where the scene says nothing: what is answered there is no answer.
        probabilities: a tensor (classes, h, w) on the network's device.
    """

    row0: int
    row1: int
    known: Bools
    probabilities: Any


def origin(frame: Frame) -> tuple[int, int]:
    """Return (row, column) of the first pixel of a scene on the grid of the world's pixels; (0, 0) of a picture on no map."""
    if not isinstance(frame, MapFrame):
        return 0, 0
    a, _, c, _, e, f = frame.transform
    return math.floor(f / e + PART), math.floor(c / a + PART)


def reach(network: Callable[[Any], Any], bands: int, multiple: int) -> int | None:
    """Return how many pixels away from a pixel a network looks at most; None for over the whole tile, or further than FAR.

    Measured: what is not a number spreads as far as anything has an influence.

    Args:
        network: on the CPU, ready to predict; gives logits (n, classes, h, w) of (n, bands, h, w).
        bands: that it takes.
        multiple: see `Blend`.
    """
    import torch

    most = 0
    for shape in ((1, bands, 4 * multiple, 2 * FAR), (1, bands, 2 * FAR, 4 * multiple)):
        for far_side in (False, True):
            tile = torch.zeros(shape)
            line = tile if shape[3] == 2 * FAR else tile.transpose(2, 3)
            (line[..., FAR:] if far_side else line[..., :FAR]).fill_(torch.nan)
            with torch.inference_mode():
                answer = network(tile).isnan().any(dim=1)[0]
            spread = answer.any(dim=0) if shape[3] == 2 * FAR else answer.any(dim=1)
            most = max(most, int(spread.sum()) - FAR)
    return most if most < FAR - multiple else None


@dataclass(frozen=True)
class Blend:
    """Blend the answers for tiles.

    Args:
        tile: side of a tile in pixels, a multiple of `multiple`.
        overlap: pixels that neighbours share, a multiple of `multiple`.
        margin: pixels at each side of a tile that are not used, below half of the overlap; None for a quarter of it. Between
            the two margins one tile gives way to the other; a tile must be large enough for that on both sides.
        batch: tiles that the network sees together; where memory runs out, fewer.
        multiple: what the network divides pixels by in all: 2 to the power of its depth.
        amp: compute in half precision on cuda and mps; tiles that overflow it are done again in single precision.
        device: where the network is.

    Raises:
        ConfigError: for numbers that do not fit each other.
    """

    tile: int = 256
    overlap: int = 64
    margin: int | None = None
    batch: int = 8
    multiple: int = 32
    amp: bool = True
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.tile < 1 or self.tile % self.multiple:
            raise ConfigError(f"tile is {self.tile}", f"it must be a multiple of {self.multiple}, as the network has it")
        if self.overlap < 1 or self.overlap % self.multiple:
            raise ConfigError(f"overlap is {self.overlap}", f"it must be a multiple of {self.multiple}, as the network has it")
        if not 0 <= self.edge < self.overlap / 2:
            raise ConfigError(
                f"margin is {self.edge}, and overlap {self.overlap}", "the margin must be below half of the overlap"
            )
        if 2 * (self.overlap - self.edge) > self.tile:
            least = math.ceil(2 * (self.overlap - self.edge) / self.multiple) * self.multiple
            raise ConfigError(f"overlap is {self.overlap}, and tile {self.tile}", f"a tile for it has at least {least} pixels")
        if self.batch < 1:
            raise ConfigError(f"batch is {self.batch}", "it must be at least 1")

    @property
    def edge(self) -> int:
        """Return the pixels at each side of a tile that are not used."""
        return self.overlap // 4 if self.margin is None else self.margin

    def __call__(
        self,
        network: Callable[[Any], Any],
        read: Callable[[Window], Values],
        size: tuple[int, int],
        start: tuple[int, int] = (0, 0),
    ) -> Iterator[Strip]:
        """Yield the probabilities of a scene of `size` (height, width) from top to bottom, each row once.

        Memory holds one row of tiles of the scene and of the answers: what is yielded is overwritten by the next. The next row
        is read while the network works.

        Args:
            network: gives logits (n, classes, tile, tile) of tiles (n, bands, tile, tile).
            read: gives normalised values (bands, h, w) of a window of the scene, NaN where nothing is known.
            size: of the scene.
            start: (row, column) of its first pixel on the grid of the world; see `origin`.

        Raises:
            StageError: when the network's answers are no numbers.
        """
        import torch

        height, width = size
        if not height or not width:
            return
        weight = torch.from_numpy(self._weight()).to(self.device)
        columns = self._starts(start[1], width)
        left = columns[0]
        across = columns[-1] - left + self.tile
        sums = None
        done = 0
        for top, values in self._rows(read, size, start):
            for at, answer in self._answers(network, values, [column - left for column in columns]):
                if sums is None:
                    sums = torch.zeros((len(answer), self.tile, across), device=self.device)
                sums[:, :, at : at + self.tile] += answer * weight
            until = min(height, top + self.tile - self.overlap + self.edge)
            if until > done:
                here = slice(done - top, until - top), slice(-left, width - left)
                known = np.asarray(np.isfinite(values[:, *here]).all(axis=0))
                if sums is None:  # nothing is known so far
                    yield Strip(done, until, known, torch.zeros((1, until - done, width)))
                else:
                    yield Strip(done, until, known, sums[:, *here])
                done = until
            if sums is not None:  # what the next row of tiles adds to
                below = sums[:, self.tile - self.overlap :].clone()
                sums.zero_()[:, : self.overlap] = below

    def _starts(self, first: int, length: int) -> list[int]:
        """Return where, in pixels of the scene, the tiles begin that are used for `length` pixels from the world's `first`."""
        step, edge = self.tile - self.overlap, self.edge
        # Tile k is used from the world's pixel k * step + edge to k * step + tile - edge.
        low = (first - (self.tile - edge)) // step + 1
        high = (first + length - 1 - edge) // step
        return [k * step - first for k in range(low, high + 1)]

    def _weight(self) -> Values:
        """Return the weights (tile, tile), whose sum over all tiles is 1 at every pixel."""
        edge, ramp = self.edge, self.overlap - 2 * self.edge
        line = np.ones(self.tile)
        line[:edge] = 0
        line[edge : edge + ramp] = np.sin(np.pi / 2 * (np.arange(ramp) + 0.5) / ramp) ** 2
        line = np.minimum(line, line[::-1])
        return np.outer(line, line).astype(np.float32)

    def _rows(
        self, read: Callable[[Window], Values], size: tuple[int, int], start: tuple[int, int]
    ) -> Iterator[tuple[int, Values]]:
        """Yield the top of each row of tiles and its values (bands, tile, width of all tiles); each pixel is read once."""
        height, width = size
        tops, columns = self._starts(start[0], height), self._starts(start[1], width)
        across = columns[-1] - columns[0] + self.tile

        def fresh(top: int, bottom: int) -> Values | None:
            row0, row1 = max(0, top), min(height, bottom)
            if row0 >= row1:
                return None
            part = read(Window(row0, row1, 0, width))
            whole = np.full((len(part), bottom - top, across), np.nan, np.float32)
            whole[:, row0 - top : row1 - top, -columns[0] : width - columns[0]] = part
            return whole

        # The first row of tiles is read as a whole, of the others what the one before does not have.
        spans = [(tops[0], tops[0] + self.tile), *((top + self.overlap, top + self.tile) for top in tops[1:])]
        before: Values | None = None
        with ThreadPoolExecutor(1, "hyla-tiles") as pool:
            reading = pool.submit(fresh, *spans[0])
            for number, top in enumerate(tops):
                new = reading.result()
                if number + 1 < len(tops):
                    reading = pool.submit(fresh, *spans[number + 1])
                if before is None:
                    assert new is not None  # the first row of tiles lies on the scene
                    values = new
                else:
                    old = before[:, -self.overlap :]
                    shape = (len(old), self.tile - self.overlap, across)
                    values = np.concatenate([old, np.full(shape, np.nan, np.float32) if new is None else new], axis=1)
                yield top, values
                before = values

    def _answers(self, network: Callable[[Any], Any], values: Values, columns: list[int]) -> Iterator[tuple[int, Any]]:
        """Yield (column, probabilities) of the tiles of one row; tiles in which nothing is known are passed over."""
        import torch

        known: Bools = np.any(np.isfinite(values).all(axis=0), axis=0)
        there = [column for column in columns if known[column : column + self.tile].any()]
        batch = self.batch
        while there:
            some = there[:batch]
            tiles = np.nan_to_num(np.stack([values[:, :, at : at + self.tile] for at in some]), nan=0.0)
            try:
                answers = self.run(network, torch.from_numpy(tiles).to(self.device))
            except (RuntimeError, MemoryError) as error:
                if not devices.is_oom(error) or batch == 1:
                    raise
                batch //= 2
            else:
                yield from zip(some, answers, strict=True)
                there = there[batch:]
                continue
            devices.free()

    def run(self, network: Callable[[Any], Any], tiles: Any) -> Any:
        """Return the probabilities (n, classes, h, w) of a batch of tiles; raise StageError where they are no numbers."""
        import torch

        for half in (True, False) if self.amp and self.device != "cpu" else (False,):
            with torch.inference_mode(), devices.autocast(self.device, half):
                answer = network(tiles).float().softmax(dim=1)
            if bool(answer.isfinite().all()):
                return answer
        raise StageError("the network's answers are no numbers", "are its weights whole, and its bands scaled as in training?")


def top_two(strip: Strip) -> tuple[Bytes, Bytes, Bytes]:
    """Return the number of the best class, its probability, and how far the second is below it, as bytes (h, w): 255 is 1."""
    best = strip.probabilities.topk(min(2, len(strip.probabilities)), dim=0)
    first = best.values[0]
    margin = first - best.values[1] if len(best.values) > 1 else first
    levels = [(255 * one).round().clamp(0, 255) for one in (first, margin)]
    number, probability, lead = (one.byte().cpu().numpy() for one in (best.indices[0], *levels))
    return number, probability, lead
