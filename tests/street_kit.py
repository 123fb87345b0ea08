"""Draw what a camera over a square sees: a textured ground, people who walk or stand, bags, shadows, light."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from hyla.frame import VideoFrame
from hyla.types import Image, Item, Labels

SIZE = (240, 320)
FPS = 8


def ground(seed: int = 0) -> np.ndarray:
    """Return a square (H, W, 3) of stones."""
    rng = np.random.default_rng(seed)
    small = rng.integers(90, 170, (SIZE[0] // 8, SIZE[1] // 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(small, SIZE[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def person(
    picture: np.ndarray, x: float, foot: float = 200, tall: float = 70, colour: tuple[int, int, int] = (30, 40, 160)
) -> None:
    """Draw somebody who stands with the feet at (x, foot)."""
    w = 0.17 * tall
    cv2.rectangle(picture, (round(x - w), round(foot - 0.84 * tall)), (round(x + w), round(foot - 0.4 * tall)), colour, -1)
    cv2.rectangle(picture, (round(x - 0.7 * w), round(foot - 0.4 * tall)), (round(x + 0.7 * w), round(foot)), (20, 20, 25), -1)
    cv2.circle(picture, (round(x), round(foot - 0.92 * tall)), round(0.08 * tall), (225, 190, 170), -1)


def bag(picture: np.ndarray, x: float, foot: float = 205) -> None:
    """Draw a bag that stands at (x, foot)."""
    cv2.rectangle(picture, (round(x - 8), round(foot - 14)), (round(x + 8), round(foot)), (200, 30, 30), -1)


def film(draw: Callable[[np.ndarray, float], object], seconds: float, group: str = "c", begin: int = 0) -> list[Image]:
    """Return a clip: `draw(picture, seconds)` draws into each frame, over the ground and with some noise."""
    rng = np.random.default_rng(1)
    out = []
    for i in range(begin, begin + round(seconds * FPS)):
        picture = ground()
        got = draw(picture, i / FPS)
        picture = picture if got is None else np.asarray(got)
        noisy = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)
        out.append(Image(noisy, Item(f"{group}-{i}", "c.mp4", group, i, "video_frame"), VideoFrame(i / FPS, i)))
    return out


def share(found: Labels, box: Sequence[float]) -> float:
    """Return the best intersection over union of what was found with a box."""
    best = 0.0
    for one in found.box:
        w, h = min(one[2], box[2]) - max(one[0], box[0]), min(one[3], box[3]) - max(one[1], box[1])
        inter = max(w, 0) * max(h, 0)
        best = max(best, inter / ((one[2] - one[0]) * (one[3] - one[1]) + (box[2] - box[0]) * (box[3] - box[1]) - inter))
    return best
