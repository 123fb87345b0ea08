"""Photograph the sample shop: from a little aside, in uneven light, with glare, blur, noise, and a phone held any way."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from hyla.types import Floats
from hyla_retail.sample_packs import Pixels
from hyla_retail.sample_shelf import ABOVE, SIDE, Rng

TILT, SLANT = 0.010, 0.012  # radians, and share of the width by which each corner is off
BLUR, BLURRED = (0.3, 0.7), 1.5  # standard deviation in pixels, of most photos and of a bad one
NOISE = 3.0  # standard deviation, of 255
GLARES = 3
SPOTS = (25.0, 70.0)
QUALITY = 82
ORIENTATION, DATE = 274, 306  # EXIF tags
TURNED = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@dataclass(frozen=True)
class Shot:
    """Hold a photo (H, W, 3), upright, and the matrix (3, 3) from the drawing to its pixels."""

    pixels: Pixels
    matrix: Floats

    def box(self, outline: Floats) -> Floats:
        """Return the bounds (4,) of an outline of the drawing, in pixels of the photo, which may lie beyond it."""
        points = np.column_stack([outline, np.ones(len(outline))]) @ self.matrix.T
        flat = points[:, :2] / points[:, 2:]
        return np.concatenate([flat.min(axis=0), flat.max(axis=0)])


def shoot(drawing: Pixels, size: tuple[int, int], rng: Rng, blurred: bool = False, aside: float = 0.0) -> Shot:
    """Photograph a drawn fixture at `size` (width, height); `aside` shifts the camera by that share of the fixture's width."""
    width, height = size
    tall, wide = drawing.shape[:2]
    across, down = wide - 2 * SIDE, tall - 2 * ABOVE
    middle = np.array([SIDE + across * (0.5 + aside), ABOVE + down / 2])
    reach = np.array([across, down]) / 2 * rng.uniform(1.0, 1.012)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (1 + rng.uniform(-SLANT, SLANT, (4, 2)))
    turn = rng.uniform(-TILT, TILT)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    seen = (corners * reach) @ spin.T + middle
    frame = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    matrix = np.asarray(cv2.getPerspectiveTransform(seen.astype(np.float32), frame), np.float64)
    # OpenCV counts from the centre of the first pixel, the labels from its corner.
    half = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    pixels = cv2.warpPerspective(
        drawing, half @ matrix @ np.linalg.inv(half), size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return Shot(_light(np.asarray(pixels, np.uint8), rng, BLURRED if blurred else float(rng.uniform(*BLUR))), matrix)


def relight(pixels: Pixels, rng: Rng, blur: float = 0.4) -> Pixels:
    """Return a picture (H, W, 3) in other light, with other noise."""
    return _light(pixels, rng, blur, 0)


def _light(pixels: Pixels, rng: Rng, blur: float, glares: int = GLARES) -> Pixels:
    height, width = pixels.shape[:2]
    field = rng.uniform(0.86, 1.1, (4, 5)) * rng.uniform(0.86, 1.05)
    gain = cv2.resize(field.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    tint = (1 + rng.uniform(-0.035, 0.035, 3)).astype(np.float32)
    out = cv2.GaussianBlur(pixels, (0, 0), blur)
    lit = np.asarray(cv2.multiply(out, cv2.merge([gain * t for t in tint]), dtype=cv2.CV_32F), np.float32)
    for _ in range(int(rng.integers(0, glares + 1))):
        _glare(lit, rng)
    grain = rng.standard_normal((256, 256, 3), dtype=np.float32) * NOISE
    across, down = -(-width // 256), -(-height // 256)
    lit += np.tile(grain, (down, across, 1))[:height, :width]
    return np.asarray(cv2.convertScaleAbs(np.maximum(lit, 0, out=lit)), np.uint8)


def _glare(lit: npt.NDArray[np.float32], rng: Rng) -> None:
    """Add the reflection of a lamp: a soft bright ellipse."""
    height, width = lit.shape[:2]
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    across, down = rng.uniform(*SPOTS), rng.uniform(*SPOTS)
    x0, x1 = max(0, int(x - 3 * across)), min(width, int(x + 3 * across) + 1)
    y0, y1 = max(0, int(y - 3 * down)), min(height, int(y + 3 * down) + 1)
    far = ((np.arange(x0, x1) - x) / across) ** 2 + ((np.arange(y0, y1)[:, None] - y) / down) ** 2
    lit[y0:y1, x0:x1] += (rng.uniform(50, 150) * np.exp(-far / 2))[..., None].astype(np.float32)


def jpeg(pixels: Pixels, orientation: int = 1, date: str = "", quality: int = QUALITY) -> bytes:
    """Return an upright picture as the JPEG of a camera that was held as the EXIF orientation says."""
    picture = Image.fromarray(pixels)
    if (turn := TURNED[orientation]) is not None:
        picture = picture.transpose(turn)
    exif = Image.Exif()
    if orientation != 1:
        exif[ORIENTATION] = orientation
    if date:
        exif[DATE] = f"{date.replace('-', ':')} 09:00:00"
        exif.get_ifd(0x8769)[36867] = exif[DATE]  # when it was taken
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()
