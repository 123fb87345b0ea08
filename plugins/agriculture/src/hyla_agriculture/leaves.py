"""Outline a leaf on a plain ground and what is discoloured of it, by colour alone: severity as a share of the leaf's area.

Severity is the area of lesions over the area of the leaf, in per cent, as diagrams for scoring plant disease have it (James 1971,
Canadian Plant Disease Survey 51:39). Colours are those of CIE L*a*b* (D65): a leaf is of another colour than the ground it lies
on, and what is healthy of it has a green hue, some 110 to 180 degrees. Which pest or disease it is, colour does not say, so that
no label names one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hyla import geometry
from hyla.errors import ConfigError
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Bools, Floats, Image, Kind, Labels

LONGEST = 1024  # px a side that colours are looked at; more shows no more of a leaf
FAR = 40.0  # degrees of hue from the limit at which nothing is surer
BORDER = 0.02  # of the shorter side: what is taken for the ground


class Leaves(Model):
    """Find the largest leaf of a photo and its lesions.

    The ground must be plain: leaves before other leaves are not told apart. A photo without a leaf gets no label.

    Args:
        schema: with the classes leaf and lesion.
        ground: difference in colour (Delta E, CIE 1976) from the ground from which on something belongs to the leaf.
        green: hue in degrees (90 is yellow, 180 green) from which on a part of a leaf is healthy.
        grey: chroma below which it is not, whatever its hue: mildew, or dead tissue.
        dark: L* below which a part of a leaf is dead, whatever its colour.
        least_leaf: share of the picture that a leaf covers.
        least_lesion: share of the leaf that a lesion covers; smaller ones are left out, of the severity as well.

    Raises:
        ConfigError: if the schema lacks a class.
    """

    partial = True

    def __init__(
        self,
        schema: Schema,
        ground: float = 18.0,
        green: float = 110.0,
        grey: float = 8.0,
        dark: float = 22.0,
        least_leaf: float = 0.02,
        least_lesion: float = 0.0005,
    ) -> None:
        self.leaf, self.lesion = (schema.class_id(name) for name in ("leaf", "lesion"))
        if not (ground > 0 and 0 <= least_leaf < 1 and 0 <= least_lesion < 1):
            raise ConfigError("model: ground must be above 0, and least_leaf and least_lesion shares from 0 to 1")
        self.severity = "severity" in schema.attributes_of("label")
        self.ground, self.green, self.grey, self.dark = ground, green, grey, dark
        self.least_leaf, self.least_lesion = least_leaf, least_lesion

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return a mask of the leaf and one of each lesion; nothing for what is no photo of three colours."""
        return [self._one(np.asarray(image.pixels)) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name."""
        return {"name": "leaf_colour"}

    def _one(self, pixels: npt.NDArray[Any]) -> Labels:
        from scipy import ndimage

        if pixels.dtype != np.uint8 or pixels.shape[2] != 3:
            return Labels.empty()
        step = -(-max(pixels.shape[:2]) // LONGEST)
        lab = _lab(pixels, step)
        leaf = self._leaf(lab)
        if leaf is None:
            return Labels.empty()
        chroma = np.hypot(lab[..., 1], lab[..., 2])
        sick = leaf & ((_hue(lab) < self.green) | (chroma < self.grey) | (lab[..., 0] < self.dark))
        # An edge is a mixture with the ground, and a single pixel is noise.
        sick = ndimage.binary_opening(sick & ndimage.binary_erosion(leaf, iterations=2))
        pieces, n = ndimage.label(sick, np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
        chosen = (np.flatnonzero(sizes >= max(1.0, self.least_lesion * leaf.sum())) + 1).tolist()
        severity = 100 * float(sizes[[c - 1 for c in chosen]].sum()) / float(leaf.sum())
        masks = [leaf, *(pieces == c for c in chosen)]
        size = pixels.shape[:2]
        return Labels.of(
            [self.leaf, *[self.lesion] * len(chosen)],
            score=[self._sure(lab, mask) for mask in masks],
            kind=Kind.MASK,
            shape=[geometry.encode(_enlarged(mask, size, step)) for mask in masks],
            attributes={"severity": [round(severity, 2), *[None] * len(chosen)]} if self.severity else {},
        )

    def _leaf(self, lab: Floats) -> Bools | None:
        """Return the largest thing (h, w) that is of another colour than the ground, its holes filled; None if there is none."""
        from scipy import ndimage

        edge = max(1, round(BORDER * min(lab.shape[:2])))
        frame = np.ones(lab.shape[:2], dtype=bool)
        frame[edge:-edge, edge:-edge] = False
        ground = np.median(lab[frame], axis=0)
        other = ndimage.binary_opening(np.linalg.norm(lab - ground, axis=2) > self.ground, iterations=2)
        pieces, n = ndimage.label(other)
        if not n:
            return None
        sizes = np.bincount(pieces.ravel())[1:]
        if sizes.max() < self.least_leaf * other.size:
            return None
        return np.asarray(ndimage.binary_fill_holes(pieces == int(sizes.argmax()) + 1))

    def _sure(self, lab: Floats, mask: Bools) -> float:
        """Return how far the hue of a mask is from the limit between green and not, as 0.5 to 1: no probability."""
        away = abs(float(np.median(_hue(lab[mask]))) - self.green)
        return round(0.5 + 0.5 * min(away / FAR, 1.0), 3)


def _hue(lab: Floats) -> Floats:
    """Return the angle of a* and b* in degrees, 0 to 360: 0 is red, 90 yellow, 180 green, 270 blue."""
    return np.asarray(np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360)


def _lab(pixels: npt.NDArray[Any], step: int) -> Floats:
    """Return the colours (h, w, 3) in L*a*b*, each of the mean of step x step pixels."""
    from skimage.color import rgb2lab
    from skimage.measure import block_reduce

    small = pixels if step == 1 else block_reduce(pixels, (step, step, 1), np.mean)  # type: ignore[no-untyped-call]
    return np.asarray(rgb2lab(np.asarray(small, dtype=np.float64) / 255), dtype=np.float64)


def _enlarged(mask: Bools, size: tuple[int, ...], step: int) -> Bools:
    return mask if step == 1 else np.repeat(np.repeat(mask, step, axis=0), step, axis=1)[: size[0], : size[1]]
