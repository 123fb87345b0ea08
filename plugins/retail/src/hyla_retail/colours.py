"""Name the colours of a pack: the eleven basic colour terms, as people use them.

Berlin and Kay's (1969) eleven terms are those of every schema of retail that names colours at all. Which of them a colour is
called follows from the survey of xkcd (2010, public domain): over 200,000 people named colours on their screens. Of the 519 names
that hold exactly one of the terms, the means of clusters in CIELAB stand for the term; a colour is called as the nearest of them
is. Greys go by lightness, since screens show them in shops darker than they are called: little chroma is black below a lightness
of 25, white above 82 and grey between, and so is anything nearly black or nearly white.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from hyla.types import Bools, Floats
from hyla_retail.appearance import lab_of
from hyla_retail.crops import Pixels

NAMES = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
# CIELAB (L, a, b) under D65.
MEANS = {
    "red": ((47, 55, 27), (32, 57, 6), (53, 73, 63), (54, 76, 41), (33, 51, 43)),
    "orange": ((59, 56, 67), (76, 23, 64), (63, 30, 56), (52, 45, 56)),
    "yellow": ((93, -41, 89), (74, -8, 75), (94, -21, 85), (94, -12, 62), (85, 3, 83)),
    "green": (
        *((90, -34, 34), (59, -51, 51), (61, -39, 25), (83, -51, 69), (87, -79, 78)),
        *((67, -26, 65), (24, -29, 28), (84, -60, 37), (48, -20, 44)),
    ),
    "blue": (
        *((52, 26, -66), (78, -7, -30), (33, 65, -91), (39, 4, -39)),
        *((95, -17, -6), (6, 26, -41), (48, -6, -26), (76, -39, -4)),
    ),
    "purple": ((52, 58, -61), (44, 22, -12), (14, 37, -25), (39, 56, -32), (48, 85, -77), (70, 30, -31)),
    "pink": ((64, 36, 9), (62, 70, -39), (56, 85, -9), (66, 55, -12), (83, 23, 0), (54, 66, 13)),
    "brown": ((40, 3, 46), (31, 31, 40), (15, 17, 13), (71, 4, 37), (53, 11, 27), (54, 11, 59)),
}
CHROMA = 11.0  # CIELAB units: less is a grey
DARK, LIGHT = 25.0, 82.0  # lightness of the darkest and the lightest grey
SIDE = 96  # pixels to which a crop is reduced
SHARE, SOFT = (
    0.15,
    0.03,
)  # of the pack from which a colour is one of its own with a probability of 1/2, and how sharply that rises
# In a shop, chosen on 172 photos of produce and packs whose colour is known (benchmarks/README.md):
MIDDLE = 0.25  # of the sides: a pixel counts by its distance from the middle, as a normal distribution of this deviation
SHADE = 0.3  # a pixel counts by its value (largest band, 0 to 1) squared, this at least: shadows tell little of a surface
VIVID = 0.5  # a grey pixel counts so much of a vivid one (60 units of chroma)
BROWN = 0.35  # the same of a brown one, since what is yellow, orange or red is brown in its shadows, and so is wood
NORM, BEST, TOP = 6, 0.95, 245.0  # of `light`: Minkowski norm, and the quantile of values that is brought up to a value
DULL = 1.5  # how much light may take from a band or give to it


def shares(crop: Pixels, paper: Bools | None = None, gains: Floats | None = None) -> dict[str, float]:
    """Return name -> probability that the product in a crop (h, w, 3) is called so; most of it first.

    A colour that covers the share s of the product has 1 / (1 + exp(-(s - 0.15) / 0.03)): an assumption, which no survey stands
    behind. Names under 1 % of probability are left out. On white paper every pixel of the product counts alike; anywhere else
    what is in the middle, light and vivid counts for more.

    Args:
        crop: the picture.
        paper: (h, w) True where white paper lies around the product: it does not count.
        gains: (3,) what the bands are multiplied by where there is no paper: see `light`.
    """
    from scipy.special import expit

    step = max(1, max(crop.shape[:2]) // SIDE)
    part = crop[::step, ::step]
    if paper is not None and not paper[::step, ::step].all():
        named, weight = name_of(part).ravel(), (~paper[::step, ::step]).ravel().astype(np.float64)
    else:
        if gains is not None:
            part = np.clip(part * gains, 0, 255).astype(np.uint8)
        named = name_of(part).ravel()
        weight = _weights(part).ravel() * np.where(named == NAMES.index("brown"), BROWN, 1.0)
    covered = np.bincount(named, weight, minlength=len(NAMES))
    share = covered / max(covered.sum(), 1e-9)
    sure = expit((share - SHARE) / SOFT)
    order = np.argsort(-share, kind="stable")
    return {NAMES[i]: round(float(sure[i]), 4) for i in order.tolist() if sure[i] >= 0.01}


def light(pixels: Pixels) -> Floats:
    """Return what the bands (3,) of a photo (h, w, 3) are to be multiplied by, so that half of the cast of its light is gone.

    The colour of the light is taken to be the mean of the pixels in the Minkowski norm of 6, as shades of grey does (Finlayson
    and Trezzi 2004): bright surfaces count for most. Half of it, since a heap of tomatoes is no proof of red light. A dark photo
    is made lighter.
    """
    step = max(1, max(pixels.shape[:2]) // (4 * SIDE))
    part = pixels[::step, ::step].reshape(-1, 3).astype(np.float64)
    norm = ((part / 255) ** NORM).mean(axis=0) ** (1 / NORM)
    gains = np.sqrt(norm.mean() / np.maximum(norm, 1e-3))
    best = np.quantile((part * gains).max(axis=1), BEST)
    return np.asarray(np.clip(gains, 1 / DULL, DULL) * np.clip(TOP / max(float(best), 1.0), 1, DULL))


def _weights(part: Pixels) -> Floats:
    """Return how much each pixel (h, w) of a photo in a shop counts."""
    height, width = part.shape[:2]
    y, x = (np.arange(height) + 0.5) / height - 0.5, (np.arange(width) + 0.5) / width - 0.5
    middle = np.exp(-(y[:, None] ** 2 + x**2) / (2 * MIDDLE**2))
    value = np.maximum((part.max(axis=2) / 255.0) ** 2, SHADE)
    lab = lab_of(part)
    chroma = np.clip(np.hypot(lab[..., 1], lab[..., 2]) / 60, 0, 1)
    return np.asarray(middle * value * (VIVID + (1 - VIVID) * chroma), dtype=np.float64)


def name_of(pixels: Pixels) -> npt.NDArray[np.intp]:
    """Return (...,) which of NAMES each pixel (..., 3) is called, to 5 bits of each band."""
    code = (pixels >> 3).astype(np.int32)
    return np.asarray(_table()[(code[..., 0] << 10) | (code[..., 1] << 5) | code[..., 2]], dtype=np.intp)


@cache
def _table() -> npt.NDArray[np.uint8]:
    """Return (32768,) the name of every colour of 5 bits a band."""
    steps = (np.arange(32) * 255 / 31).round().astype(np.uint8)
    lab = lab_of(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3))
    means = np.array([one for some in MEANS.values() for one in some], dtype=np.float32)
    names = np.array([NAMES.index(name) for name, some in MEANS.items() for _ in some])
    apart = (lab**2).sum(axis=1)[:, None] - 2 * lab @ means.T + (means**2).sum(axis=1)
    found = names[apart.argmin(axis=1)]
    lightness, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    grey = np.where(lightness < DARK, 0, np.where(lightness > LIGHT, 1, 2))
    found = np.where((chroma < CHROMA) | (lightness < 8) | ((lightness > 92) & (chroma < 16)), grey, found)
    return found.astype(np.uint8)
