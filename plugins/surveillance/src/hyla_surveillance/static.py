"""Find what was put down: things that stand still before the background, each with how long it has stood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hyla.types import Floats
from hyla_surveillance.background import Mask

Grey = npt.NDArray[np.uint8]

SAME = 18  # levels of 255 by which a pixel of a thing that stands may differ from what it was
OTHER = 1.0  # seconds for which something else may hide a thing before each of its pixels begins anew; see `update`
ALONE = 0.6  # share of what stands before the background around a thing that must be still for it to be a thing by itself
OVERLAP = 0.3  # intersection over union from which a thing is the one that was there before
GONE = 0.3  # share of a thing's pixels that still show it, below which it was taken away
HALF = 2  # pixels are counted in steps of so many: things that matter are larger


@dataclass(eq=False)
class Thing:
    """Hold one thing.

    Args:
        box: (4,) in pixels.
        seconds: for how long it has stood.
        hidden: whether it is hidden by something else in this picture, or part of something larger.
    """

    box: Floats
    seconds: float
    hidden: bool = False


class Static:
    """Remember for each pixel what stands there before the background, and since when.

    A pixel that shows the same for longer grows older. While something passes before it, its age stands still; only what hides
    it for as long as the thing itself stood, a minute at most, makes it another thing. Where the background shows, it is gone.

    Args:
        settle: seconds that something must stand to be a thing.
        smallest: share of the picture's area.
    """

    def __init__(self, settle: float = 3.0, smallest: float = 0.0003) -> None:
        self.settle, self.smallest = settle, smallest
        self._age: npt.NDArray[np.float32] | None = None
        self._hidden: npt.NDArray[np.float32] | None = None
        self._shows: Grey | None = None
        self._things: list[Thing] = []

    def age(self, corner: tuple[int, int], mask: Mask) -> float:
        """Return the median age, in seconds, of the pixels of `mask` (h, w; 0 or 255), whose upper left corner is (x, y)."""
        x, y = corner
        some = mask[-y % HALF :: HALF, -x % HALF :: HALF] > 0
        if self._age is None or not some.any():
            return 0.0
        top, left = -(-y // HALF), -(-x // HALF)
        return float(np.median(self._age[top : top + some.shape[0], left : left + some.shape[1]][some]))

    def update(self, grey: Grey, mask: Mask, step: float, people: Sequence[Sequence[int]] = ()) -> list[Thing]:
        """Return the things in the next picture, the oldest first.

        Args:
            grey: (H, W), in the light of the background.
            mask: (H, W), 255 where something stands before the background.
            step: seconds since the last picture.
            people: boxes in which no new thing is seen, since it may be part of somebody.
        """
        small, there = grey[::HALF, ::HALF], mask[::HALF, ::HALF] > 0
        if self._age is None or self._hidden is None or self._shows is None:
            self._age, self._hidden, self._shows = (
                np.zeros(small.shape, np.float32),
                np.zeros(small.shape, np.float32),
                small.copy(),
            )
        same = np.asarray(cv2.absdiff(small, self._shows)) < SAME
        stays, hides = there & same, there & ~same
        self._age[stays] += step
        self._hidden[stays] = 0
        self._hidden[hides] += step
        other = hides & (self._hidden > np.clip(self._age, OTHER / 4, 60.0))
        self._age[~there] = np.maximum(self._age[~there] - 8 * step, 0)  # a flicker of the mask forgets little
        fresh = other | (~there & (self._age <= 0))
        self._shows[fresh] = small[fresh]
        self._age[fresh] = self._hidden[fresh] = 0
        return self._follow(stays, there, people)

    def forget(self, where: Mask) -> None:
        """Drop what stands at `where` (H, W, 255): it was a ghost, or is background now."""
        if self._age is not None:
            self._age[where[::HALF, ::HALF] > 0] = 0

    def _follow(self, stays: npt.NDArray[np.bool_], there: npt.NDArray[np.bool_], people: Sequence[Sequence[int]]) -> list[Thing]:
        assert self._age is not None
        old = ((self._age >= self.settle) & there).astype(np.uint8)
        old = np.asarray(cv2.morphologyEx(old, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)), dtype=np.uint8)
        n, pieces, stats, _ = cv2.connectedComponentsWithStats(old)
        _, blobs = cv2.connectedComponents(there.astype(np.uint8))
        blob_size = np.bincount(blobs.ravel())
        found: list[Thing] = []
        for piece in range(1, n):
            x, y, w, h, area = stats[piece].tolist()
            if area < self.smallest * old.size:
                continue
            window = np.s_[y : y + h, x : x + w]
            mine = pieces[window] == piece
            within = int(np.bincount(blobs[window][mine]).argmax())
            box = np.array([x, y, x + w, y + h], dtype=np.float64) * HALF
            inside = any(a <= box[0] and b <= box[1] and c >= box[2] and d >= box[3] for a, b, c, d in people)
            alone = within > 0 and area >= ALONE * blob_size[within] and not inside
            found.append(Thing(box, float(np.median(self._age[window][mine])), not alone))
        return self._joined(found, stays)

    def _joined(self, found: list[Thing], stays: npt.NDArray[np.bool_]) -> list[Thing]:
        """Keep things that were there before while they are hidden, and add those that stand alone."""
        assert self._age is not None
        kept: list[Thing] = []
        for thing in self._things:
            x0, y0, x1, y1 = (thing.box / HALF).astype(int)
            best = max(found, key=lambda one: _overlap(one.box, thing.box), default=None)
            if best is not None and _overlap(best.box, thing.box) >= OVERLAP and not best.hidden:
                found.remove(best)
                kept.append(best)
            elif (self._age[y0:y1, x0:x1] >= self.settle).mean() >= GONE:
                seconds = float(np.percentile(self._age[y0:y1, x0:x1], 75))
                seen = stays[y0:y1, x0:x1] & (self._age[y0:y1, x0:x1] >= self.settle)
                kept.append(Thing(thing.box, seconds, bool(seen.mean() < GONE)))
        taken = [one for one in found if not one.hidden and all(_overlap(one.box, k.box) < OVERLAP for k in kept)]
        self._things = sorted(kept + taken, key=lambda one: (-one.seconds, *one.box))
        return list(self._things)


def _overlap(a: Floats, b: Floats) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0.0) * max(h, 0.0)
    return float(inter / max((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter, 1e-9))
