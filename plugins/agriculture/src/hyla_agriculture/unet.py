"""A U-Net over any bands, with weights of one's own: land cover, crops, whatever it was trained for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from hyla import device as devices
from hyla import weights as files
from hyla.errors import ConfigError, did_you_mean
from hyla.frame import Frame, MapFrame
from hyla.geometry import encode
from hyla.hooks import Model, hookimpl
from hyla.schema import Schema
from hyla.types import Floats, Image, Kind, Labels, Record
from hyla_agriculture.blending import Blend, origin, reach, top_two
from hyla_agriculture.network import Spec, load_state
from hyla_agriculture.scene import view

OUTPUTS = ("polygons", "masks")
RAMP = 32  # pixels, at least, over which one tile gives way to the next
Bytes = npt.NDArray[np.uint8]


class Unet(Model):
    """Label scenes with a U-Net (Ronneberger 2015, arXiv:1505.04597) whose weights `training.fit` wrote.

    Each region of one class is one polygon along the edges of pixels, whole over the seams of tiles, or each class is one mask.
    `score` is the mean probability of its class over its pixels, evidence `margin` how far the second class was below it, and
    `area_ha` its true area. Pixels without data, under clouds and in shadow of clouds get no label.

    A scene whose bands are dates of one index (`ndvi_1`, `ndvi_2`, ...) is a scene as any other.

    Args:
        schema: has the classes of the network.
        weights: file with its state dict (`.pt`, or `.safetensors`), beside which lies a JSON file of the same name with its
            `Spec`; null for random weights, whose labels mean nothing: for tests, and to train the first.
        weights_dir: folder in which a name is looked up.
        spec: settings of `Spec`, where there are no weights.
        output: polygons or masks.
        least_pixels: a region of fewer takes the class of the largest region at its side, with a margin of 0.
        simplify: polygons, in pixels; see `polygons.polygons`. 0 keeps the edges of pixels.
        clouds: False to label what the scene's mask calls cloud or shadow as well.
        tile, batch, amp: see `blending.Blend`.
        overlap: of tiles; null for as much as the network looks around, so that labels depend neither on the tile nor on the
            extent, or for half a tile if it looks further than a tile has room for.
        device: auto, cpu, cuda, cuda:N or mps.
        threads: of the CPU; null for one per core.
        seed: of random weights, and of training.
        steps: of training.
        pictures: a `hyla.pictures.Pictures`, which reads the scenes that records are about, for training.

    Raises:
        ConfigError: for weights that are missing, damaged or of another network, classes that the schema lacks, and settings
            out of range.
    """

    def __init__(
        self,
        schema: Schema,
        weights: str | None,
        weights_dir: str | None = None,
        spec: Mapping[str, Any] | None = None,
        output: str = "polygons",
        least_pixels: int = 10,
        simplify: float = 0.0,
        clouds: bool = True,
        tile: int = 512,
        overlap: int | None = None,
        batch: int = 8,
        amp: bool = True,
        device: str = "auto",
        threads: int | None = None,
        seed: int = 0,
        steps: int = 1000,
        pictures: Any = None,
    ) -> None:
        path = None if weights is None else files.find(weights, weights_dir)
        if path is not None:
            self.spec = Spec.read(path.with_suffix(".json"))
        else:
            try:
                self.spec = msgspec.convert({**(spec or {})}, Spec)
            except msgspec.ValidationError as error:
                raise ConfigError(f"spec: {error}", "spec={classes: [cropland, forest], bands: [red, nir]}") from error
        if output not in OUTPUTS:
            raise ConfigError(f"there is no output {output!r}", did_you_mean(output, OUTPUTS), OUTPUTS)
        if least_pixels < 1 or simplify < 0:
            raise ConfigError(f"least_pixels is {least_pixels}, simplify {simplify}", "at least 1, and at least 0")
        # Class ids by the number in a raster: the channel + 1, where it is a label.
        self._ids = {channel: schema.class_id(name) for channel, name in enumerate(self.spec.classes, 1) if name}
        for one in (schema.classes[class_id] for class_id in self._ids.values()):
            if one.abstract or output.removesuffix("s") not in (one.kinds or schema.kinds):
                why = "only groups others" if one.abstract else f"is not drawn as {output}"
                raise ConfigError(f"the network labels {one.name!r}, which {why} in schema {schema.name!r}")
        self._has_area = "area_ha" in schema.attributes_of("label")
        self.output, self.least_pixels, self.simplify, self.clouds = output, least_pixels, simplify, clouds
        self.device, self.seed, self.steps, self.pictures = devices.pick(device), seed, steps, pictures
        self.network = self.spec.network(seed)
        if path is not None:
            load_state(self.network, path)
        devices.set_threads(threads)
        self.network.eval().requires_grad_(False)
        margin = None
        if overlap is None:
            overlap, margin = self._overlap(tile)
        self.network.to(self.device)
        self.blend = Blend(tile, overlap, margin, batch, self.spec.multiple, amp, self.device)
        self._provenance = files.provenance("unet", path, seed)

    @hookimpl
    def predict(self, images: Sequence[Image]) -> list[Labels]:
        """Return one label for each region, or for each class, of a scene."""
        return [self._label(image) for image in images]

    @hookimpl
    def provenance(self) -> dict[str, str]:
        """Return the name and sha256 of the weights; of random ones the digest says `random` and the seed."""
        return dict(self._provenance)

    @hookimpl
    def train(self, records: Iterable[Record], schema: Schema, out: Path) -> dict[str, Any]:
        """Train new weights on the labels that people and models gave to scenes; see `training.fit`.

        Raises:
            ConfigError: where this stage was not given `pictures`, which read the scenes.
        """
        from hyla_agriculture.training import fit

        return fit(
            files.examples(records, self.pictures), schema, self.spec, out, steps=self.steps, seed=self.seed, device=self.device
        )

    def _overlap(self, tile: int) -> tuple[int, int | None]:
        """Return the overlap of tiles and the margin of a tile that go with how far the network looks."""
        far, multiple = reach(self.network, len(self.spec.bands), self.spec.multiple), self.spec.multiple
        if far is not None:
            overlap = math.ceil((2 * far + RAMP) / multiple) * multiple
            if 2 * (overlap - far) <= tile:
                return overlap, far
        return max(1, tile // 2 // multiple) * multiple, None

    def raster(self, image: Image) -> tuple[Bytes, Bytes, Bytes]:
        """Return the class of each pixel, its probability and margin, as bytes (h, w), before small regions are taken away.

        A class is 1 + its channel, and 0 where nothing is known.
        """
        scene = view(image)
        height, width = scene.shape[:2]
        classes, score, margin = (np.zeros((height, width), np.uint8) for _ in range(3))
        strips = self.blend(
            self.network,
            lambda window: self.spec.values(scene, window, self.clouds),
            (height, width),
            origin(image.frame),
        )
        for strip in strips:
            rows = slice(strip.row0, strip.row1)
            best, score[rows], margin[rows] = top_two(strip)
            classes[rows] = np.where(strip.known, best + 1, 0)
        return classes, score, margin

    def _label(self, image: Image) -> Labels:
        classes, score, margin = self.raster(image)
        if self.least_pixels > 1:
            self._sieve(classes, score, margin)
        for background in set(range(1, len(self.spec.classes) + 1)) - set(self._ids):
            classes[classes == background] = 0
        return (
            self._masks(classes, score, margin) if self.output == "masks" else self._polygons(image.frame, classes, score, margin)
        )

    def _sieve(self, classes: Bytes, score: Bytes, margin: Bytes) -> None:
        """Give small regions the class of the largest at their side; of that they were not more sure than their own left over."""
        from rasterio.features import sieve

        merged = sieve(classes, self.least_pixels, mask=classes != 0, connectivity=4)
        changed = merged != classes
        margin[changed] = 0
        score[changed] = np.minimum(score[changed], 255 - score[changed])
        classes[...] = merged

    def _polygons(self, frame: Frame, classes: Bytes, score: Bytes, margin: Bytes) -> Labels:
        from hyla_agriculture.polygons import means, polygons

        found = polygons(classes)
        if not found:
            return Labels.empty()
        shapes = [rings for _, rings in found]
        sure, lead = means(shapes, score, margin) / 255
        if self.simplify > 0:
            shapes = [rings for _, rings in polygons(classes, simplify=self.simplify)]
        return Labels.of(
            [self._ids[number] for number, _ in found],
            kind=Kind.POLYGON,
            shape=shapes,
            score=sure,
            attributes=self._area(frame, shapes),
            evidence={"margin": lead},
        )

    def _masks(self, classes: Bytes, score: Bytes, margin: Bytes) -> Labels:
        there = [(number, classes == number) for number in self._ids if (classes == number).any()]
        return Labels.of(
            [self._ids[number] for number, _ in there],
            kind=Kind.MASK,
            shape=[encode(mask) for _, mask in there],
            score=[score[mask].mean() / 255 for _, mask in there],
            evidence={"margin": [margin[mask].mean() / 255 for _, mask in there]},
        )

    def _area(self, frame: Frame, shapes: Sequence[tuple[Floats, ...]]) -> dict[str, Floats]:
        """Return the attribute `area_ha`, where the schema has it and the scene is on a map."""
        if not self._has_area or not isinstance(frame, MapFrame) or not frame.crs:
            return {}
        import shapely

        from hyla_agriculture.area import hectares

        placed = [[frame.to_world(ring) for ring in rings] for rings in shapes]
        return {"area_ha": hectares([shapely.Polygon(rings[0], rings[1:]) for rings in placed], frame.crs)}
