"""Measure what the boxes of a picture look like, whoever drew them: width, overlap, cut edges, sharpness."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.types import Floats, Labels
from hyla_retail.arrange import arrange
from hyla_retail.pictures import overview

SIDE = 128  # longer side of the crop in which sharpness is measured, pixels
EDGE = 1.0  # pixels from the border of the picture within which a box meets it
BESIDE = 0.5  # share of the lower one's height that a gap and the facings of its shelf have in common


def box_facts(pixels: npt.NDArray[Any], labels: Labels, facing: npt.NDArray[np.bool_]) -> dict[str, Floats]:
    """Return evidence about the boxes of one picture: name -> (n,) float64, NaN where a name does not apply.

    - `short_px`: shorter side, pixels. `cut`: 1 if it meets the border of the picture, else 0.
    - `sharpness`: variance of the Laplacian of its grey values, 0 to 255, reduced to 128 pixels on the longer side.
    - `overlap`, of facings: greatest intersection over union with another facing.
    - `width_ratio`, of facings: width over the median width of the facings of its shelf.
    - `gap_ratio`, of other boxes: width over the median width of the facings at its height, or of all if there are none.

    Args:
        pixels: (H, W, C).
        labels: its labels; their attribute `shelf` tells the shelves, else they are found by `arrange`. Sharpness that is among
            their evidence is not measured again.
        facing: (n,) which of them are facings.
    """
    height, width = pixels.shape[:2]
    box, n = labels.box, len(labels)
    border = (box[:, :2] <= EDGE).any(axis=1) | (box[:, 2] >= width - EDGE) | (box[:, 3] >= height - EDGE)
    facts = {"short_px": np.minimum(labels.width, labels.height), "cut": border.astype(np.float64)}
    known = labels.evidence.get("sharpness", np.full(n, np.nan))
    facts["sharpness"] = np.array(
        [sharpness(pixels, one) if v != v else v for one, v in zip(box, known, strict=True)], dtype=np.float64
    )
    overlap, wide, gap = (np.full(n, np.nan) for _ in range(3))
    rows = np.flatnonzero(facing)
    if len(rows):
        shared = geometry.iou(box[rows], box[rows])
        np.fill_diagonal(shared, 0)
        overlap[rows] = shared.max(axis=1)
        shelf = labels.attributes.get("shelf")
        shelf = arrange(box, facing)[0] if shelf is None else np.asarray(shelf, dtype=np.float64)
        number = np.unique(np.nan_to_num(shelf[rows], nan=-1), return_inverse=True)[1]
        usual = np.array([np.median(labels.width[rows][number == one]) for one in range(number.max() + 1)])
        wide[rows] = labels.width[rows] / np.maximum(usual[number], 1e-9)
        every = float(np.median(labels.width[rows]))
        for i in np.flatnonzero(~np.asarray(facing, dtype=bool)):
            common = np.minimum(box[rows, 3], box[i, 3]) - np.maximum(box[rows, 1], box[i, 1])
            beside = common > BESIDE * np.minimum(labels.height[rows], labels.height[i])
            own = float(np.median(labels.width[rows][beside])) if beside.any() else every
            gap[i] = labels.width[i] / max(own, 1e-9)
    return {**facts, "overlap": overlap, "width_ratio": wide, "gap_ratio": gap}


def sharpness(pixels: npt.NDArray[Any], box: npt.ArrayLike) -> float:
    """Return the variance of the Laplacian of a box (x0, y0, x1, y1) of a picture, reduced to `SIDE`; NaN for an empty box."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = np.asarray(box, dtype=np.float64)
    x0, x1 = (int(np.clip(v, 0, width)) for v in (np.floor(x0), np.ceil(x1)))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (np.floor(y0), np.ceil(y1)))
    if x1 <= x0 or y1 <= y0:
        return float("nan")
    crop = overview(pixels[y0:y1, x0:x1], SIDE)[0]
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())
